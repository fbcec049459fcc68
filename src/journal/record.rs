//! One entry of the log as bytes: what the privacy of a profile lets be remembered, and no more.
//!
//! The head stands in every entry: when, which device, which profile, what was decided and the
//! category. The details, among them the name, follow only where the profile keeps names. A list
//! and its line, or a rule as written, would give the name away just as well, so they are details.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::segments::MAX_ENTRY;
use super::words::Words;
use super::{Action, Outcome, Source, Transport};
use crate::clock::Moment;
use crate::config::Privacy;
use crate::lists::services;
use crate::name::{MAX_NAME, NameRef};
use crate::verdict::{Cause, Reason, Scope, Tier, Trigger};

/// The word for labels that found no place in the table.
pub(super) const UNKNOWN_WORD: &str = "other";

const NO_WORD: u16 = u16::MAX;
const FLAG_DETAILS: u8 = 1;
const FLAG_ERASED: u8 = 2;
const TRIGGERS: [Trigger; 5] = [
    Trigger::Qname,
    Trigger::Cname,
    Trigger::Address,
    Trigger::SvcbTarget,
    Trigger::SvcbHint,
];
const SCOPES: [Scope; 3] = [Scope::Device, Scope::Profile, Scope::Household];

/// An entry, read.
#[derive(Debug, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) at: Moment,
    pub(super) device: &'static str,
    pub(super) profile: &'static str,
    pub(super) label: &'static str,
    pub(super) action: Action,
    pub(super) tier: Tier,
    pub(super) trigger: Trigger,
    pub(super) source: Source,
    pub(super) rcode: u8,
    pub(super) details: Option<Details<'a>>,
}

/// What is only there where the profile keeps names.
#[derive(Debug, PartialEq)]
pub(super) struct Details<'a> {
    pub(super) qname: NameRef<'a>,
    pub(super) qtype: u16,
    pub(super) client: IpAddr,
    pub(super) transport: Transport,
    pub(super) took_us: u32,
    pub(super) reason: Reason,
}

/// One entry on the stack: all but the name, and the name.
pub(super) struct Written<'o> {
    bytes: [u8; BEFORE_NAME],
    length: usize,
    name: &'o [u8],
}

/// The most there is before the name: 20 octets of the head, 34 of details with an IPv6 address.
const BEFORE_NAME: usize = 64;
const _: () = assert!(BEFORE_NAME + MAX_NAME <= MAX_ENTRY);

impl Written<'_> {
    fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        let end = self.length + N;
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
    }

    /// Its octets, in two parts.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [&self.bytes[..self.length], self.name]
    }
}

/// Writes `outcome` as its privacy allows.
pub(super) fn write<'o>(outcome: &'o Outcome, words: &mut Words) -> Written<'o> {
    let mut entry = Written {
        bytes: [0; BEFORE_NAME],
        length: 0,
        name: &[],
    };
    let reason = outcome.verdict.reason();
    // Not even a parent's log may hold a sealed name, or one that leads to it.
    let detailed = matches!(outcome.privacy, Privacy::Names) && reason.tier != Tier::Sealed;
    let mut word = |word: &'static str| words.id(word).unwrap_or(NO_WORD).to_le_bytes();
    entry.put(&[if detailed { FLAG_DETAILS } else { 0 }]);
    entry.put(&outcome.at.as_micros().to_le_bytes());
    entry.put(&word(outcome.device));
    entry.put(&word(outcome.profile));
    entry.put(&word(reason.label()));
    entry.put(&[
        Action::from(&outcome.verdict) as u8,
        reason.tier as u8,
        reason.trigger as u8,
        outcome.source as u8,
        outcome.rcode,
    ]);
    if !detailed {
        return entry;
    }
    let (kind, first, second, number) = match reason.cause {
        Cause::Unlisted => (0, None, None, 0),
        Cause::List {
            list,
            category,
            labels,
        } => (1, Some(list), Some(category), u32::from(labels)),
        Cause::Rule { scope, rule } => (2, Some(rule), None, scope as u32),
        Cause::AllowOnly => (3, None, None, 0),
        Cause::SafeSearch { engine } => (4, Some(engine), None, 0),
        Cause::Canary => (5, None, None, 0),
        Cause::Unsure { list } => (6, Some(list), None, 0),
        Cause::Rebinding => (7, None, None, 0),
        Cause::SpecialUse => (8, None, None, 0),
        Cause::LookAlike { of, category } => (9, Some(of), Some(category), 0),
        Cause::UnusualType => (10, None, None, 0),
        Cause::Tunnel => (11, None, None, 0),
        Cause::UnusualName => (18, None, None, 0),
        Cause::Unreadable => (19, None, None, 0),
        Cause::Service {
            service,
            category,
            labels,
            ..
        } => (12, Some(service), Some(category), u32::from(labels)),
        Cause::OpenService { service } => (13, Some(service), None, 0),
        Cause::Schedule { schedule, of } => (14, Some(schedule), Some(of), 0),
        Cause::Quota { quota, of } => (15, Some(quota), Some(of), 0),
        Cause::Grant { of, is_service } => (16, Some(of), None, u32::from(is_service)),
        Cause::Pause { by } => (17, Some(by), None, 0),
    };
    let mut word = |text: Option<&'static str>| {
        let id = text.and_then(|text| words.id(text));
        id.unwrap_or(NO_WORD).to_le_bytes()
    };
    entry.put(&[kind]);
    entry.put(&word(first));
    entry.put(&word(second));
    entry.put(&number.to_le_bytes());
    entry.put(&outcome.qtype.to_le_bytes());
    let took_us = u32::try_from(outcome.took.as_micros()).unwrap_or(u32::MAX);
    entry.put(&took_us.to_le_bytes());
    entry.put(&[outcome.transport as u8]);
    match outcome.client {
        IpAddr::V4(v4) => {
            entry.put(&[4]);
            entry.put(&v4.octets());
        }
        IpAddr::V6(v6) => {
            entry.put(&[16]);
            entry.put(&v6.octets());
        }
    }
    entry.name = outcome.qname.as_ref().as_wire();
    entry
}

/// Reads an entry; none if it was erased.
pub(super) fn read<'a>(entry: &'a [u8], words: &[&'static str]) -> Option<Record<'a>> {
    let mut cursor = Cursor { rest: entry, words };
    let flags = cursor.byte()?;
    if flags & FLAG_ERASED != 0 {
        return None;
    }
    Some(Record {
        at: Moment::from_micros(u64::from_le_bytes(cursor.take()?)),
        device: cursor.word()?,
        profile: cursor.word()?,
        label: cursor.word()?,
        action: cursor.one_of(&Action::ALL)?,
        tier: cursor.one_of(&Tier::ALL)?,
        trigger: cursor.one_of(&TRIGGERS)?,
        source: cursor.one_of(&Source::ALL)?,
        rcode: cursor.byte()?,
        details: None,
    })
    .map(|record| Record {
        details: (flags & FLAG_DETAILS != 0)
            .then(|| cursor.details(record.tier, record.trigger))
            .flatten(),
        ..record
    })
}

/// Blots out an entry if it is of `device`.
pub(super) fn erase(entry: &mut [u8], device: &str, words: &[&'static str]) {
    if read(entry, words).is_some_and(|record| record.device == device) {
        entry.fill(0);
        entry[0] = FLAG_ERASED;
    }
}

struct Cursor<'a, 'w> {
    rest: &'a [u8],
    words: &'w [&'static str],
}

impl<'a> Cursor<'a, '_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(usize::from(self.byte()?)).copied()
    }

    fn word(&mut self) -> Option<&'static str> {
        let id = u16::from_le_bytes(self.take()?);
        let known = self.words.get(usize::from(id));
        Some(known.copied().unwrap_or(UNKNOWN_WORD))
    }

    fn details(&mut self, tier: Tier, trigger: Trigger) -> Option<Details<'a>> {
        let kind = self.byte()?;
        let (first, second) = (self.word()?, self.word()?);
        let number = u32::from_le_bytes(self.take()?);
        let cause = match kind {
            1 => Cause::List {
                list: first,
                category: second,
                labels: u8::try_from(number).ok()?,
            },
            2 => Cause::Rule {
                scope: *SCOPES.get(usize::try_from(number).ok()?)?,
                rule: first,
            },
            3 => Cause::AllowOnly,
            4 => Cause::SafeSearch { engine: first },
            5 => Cause::Canary,
            6 => Cause::Unsure { list: first },
            7 => Cause::Rebinding,
            8 => Cause::SpecialUse,
            9 => Cause::LookAlike {
                of: first,
                category: second,
            },
            10 => Cause::UnusualType,
            11 => Cause::Tunnel,
            18 => Cause::UnusualName,
            19 => Cause::Unreadable,
            12 => Cause::Service {
                service: first,
                title: services::find(first).map_or(first, |service| service.title),
                category: second,
                labels: u8::try_from(number).ok()?,
            },
            13 => Cause::OpenService { service: first },
            14 => Cause::Schedule {
                schedule: first,
                of: second,
            },
            15 => Cause::Quota {
                quota: first,
                of: second,
            },
            16 => Cause::Grant {
                of: first,
                is_service: number == 1,
            },
            17 => Cause::Pause { by: first },
            _ => Cause::Unlisted,
        };
        Some(Details {
            reason: Reason {
                tier,
                cause,
                trigger,
            },
            qtype: u16::from_le_bytes(self.take()?),
            took_us: u32::from_le_bytes(self.take()?),
            transport: self.one_of(&Transport::ALL)?,
            client: match self.byte()? {
                4 => Ipv4Addr::from(self.take::<4>()?).into(),
                _ => Ipv6Addr::from(self.take::<16>()?).into(),
            },
            qname: NameRef::from_wire(self.rest).ok()?,
        })
    }
}
