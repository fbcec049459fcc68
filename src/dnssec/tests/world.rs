//! A small world of signed zones, and a server for all of it that does not lie unless told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ring::digest;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::super::crypto::nsec3_hash;
use super::super::denial::{order, wildcard_of};
use super::super::{Fetch, Judged, Memory, Stop, Validator};
use crate::clock::{Clock, ManualTime, Standing, Timestamp};
use crate::config::{TrustAnchor, Validation};
use crate::message::{Answer, Question};
use crate::name::{Name, NameBuf};

pub(super) const A: u16 = 1;
pub(super) const NS: u16 = 2;
pub(super) const CNAME: u16 = 5;
pub(super) const SOA: u16 = 6;
pub(super) const TXT: u16 = 16;
pub(super) const DNAME: u16 = 39;
pub(super) const DS: u16 = 43;
pub(super) const RRSIG: u16 = 46;
pub(super) const NSEC: u16 = 47;
pub(super) const DNSKEY: u16 = 48;
pub(super) const NSEC3: u16 = 50;

/// The hour in which all of it plays: 2026-12-01T00:00:00Z.
pub(super) const NOW: u32 = 1_796_083_200;
const DAY: u32 = 86_400;

pub(super) fn name(text: &str) -> NameBuf {
    if let Some(below) = text.strip_prefix("*.") {
        return wildcard_of(name(below).as_ref()).unwrap();
    }
    NameBuf::parse(text).unwrap()
}

fn wire(name: &NameBuf) -> &[u8] {
    name.as_ref().as_wire()
}

/// How a zone says no.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Denial {
    Nsec,
    Nsec3 { iterations: u16, opt_out: bool },
}

/// A key of a zone.
pub(super) struct TestKey {
    pair: Ed25519KeyPair,
    pub(super) flags: u16,
}

impl TestKey {
    pub(super) fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        Self {
            pair,
            flags: 0x0101,
        }
    }

    pub(super) fn data(&self) -> Vec<u8> {
        let mut data = self.flags.to_be_bytes().to_vec();
        data.extend([3, 15]);
        data.extend(self.pair.public_key().as_ref());
        data
    }

    pub(super) fn tag(&self) -> u16 {
        super::super::key::Key::read(&self.data()).unwrap().tag
    }

    /// The RDATA of the DS of this key.
    pub(super) fn ds(&self, zone: &NameBuf) -> Vec<u8> {
        let digest = digest::digest(&digest::SHA256, &[wire(zone), &self.data()].concat());
        let mut data = self.tag().to_be_bytes().to_vec();
        data.extend([15, 2]);
        data.extend(digest.as_ref());
        data
    }
}

/// A record on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rr {
    pub(super) owner: NameBuf,
    pub(super) kind: u16,
    pub(super) data: Vec<u8>,
}

/// An answer on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    pub(super) rcode: u8,
    pub(super) answers: Vec<Rr>,
    pub(super) authorities: Vec<Rr>,
}

impl Message {
    pub(super) fn to_wire(&self, question: &Question) -> Vec<u8> {
        let mut out = vec![0, 0, 0x84, self.rcode, 0, 1];
        out.extend((self.answers.len() as u16).to_be_bytes());
        out.extend((self.authorities.len() as u16).to_be_bytes());
        out.extend([0, 0]);
        out.extend(wire(&question.qname));
        out.extend(question.qtype.to_be_bytes());
        out.extend([0, 1]);
        for rr in self.answers.iter().chain(&self.authorities) {
            out.extend(wire(&rr.owner));
            out.extend(rr.kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0x0e, 0x10]);
            out.extend((rr.data.len() as u16).to_be_bytes());
            out.extend(&rr.data);
        }
        out
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Rr) -> bool) {
        self.answers.retain(&keep);
        self.authorities.retain(&keep);
    }
}

pub(super) struct Zone {
    pub(super) apex: NameBuf,
    pub(super) keys: Vec<TestKey>,
    /// The RDATA of keys that sign nothing.
    pub(super) more_keys: Vec<Vec<u8>>,
    pub(super) records: BTreeMap<(Name, u16), Vec<Vec<u8>>>,
    pub(super) denial: Denial,
    pub(super) inception: u32,
    pub(super) expiration: u32,
    pub(super) is_signed: bool,
}

impl Zone {
    pub(super) fn new(apex: &str, seed: u8) -> Self {
        let mut zone = Self {
            apex: name(apex),
            keys: vec![TestKey::new(seed)],
            more_keys: Vec::new(),
            records: BTreeMap::new(),
            denial: Denial::Nsec,
            inception: NOW - DAY,
            expiration: NOW + DAY,
            is_signed: true,
        };
        let mut soa = vec![0, 0];
        for number in [1_u32, 3600, 600, 86_400, 300] {
            soa.extend(number.to_be_bytes());
        }
        zone.add(apex, SOA, &soa);
        zone.add(apex, NS, b"\x02ns\x04test\0");
        zone
    }

    pub(super) fn add(&mut self, owner: &str, kind: u16, data: &[u8]) {
        let owner = name(owner).as_ref().to_name();
        self.records
            .entry((owner, kind))
            .or_default()
            .push(data.to_vec());
    }

    fn get(&self, owner: &NameBuf, kind: u16) -> Option<Vec<Rr>> {
        let at_apex = *owner == self.apex;
        let data = if kind == DNSKEY && at_apex && self.is_signed {
            let keys = self.keys.iter().map(TestKey::data);
            keys.chain(self.more_keys.iter().cloned()).collect()
        } else {
            self.records.get(&(owner.as_ref().to_name(), kind))?.clone()
        };
        let rr = |data| Rr {
            owner: *owner,
            kind,
            data,
        };
        Some(data.into_iter().map(rr).collect())
    }

    /// An RRset with a signature by each key, as if its owner were `shown`.
    fn signed(&self, set: Vec<Rr>, shown: &NameBuf) -> Vec<Rr> {
        let mut out: Vec<Rr> = set
            .iter()
            .map(|rr| Rr {
                owner: *shown,
                ..rr.clone()
            })
            .collect();
        if !self.is_signed {
            return out;
        }
        for key in &self.keys {
            let data = self.signature(key, &set);
            out.push(Rr {
                owner: *shown,
                kind: RRSIG,
                data,
            });
        }
        out
    }

    pub(super) fn signature(&self, key: &TestKey, set: &[Rr]) -> Vec<u8> {
        let owner = &set[0].owner;
        let is_wildcard = wire(owner).starts_with(b"\x01*");
        let mut head = set[0].kind.to_be_bytes().to_vec();
        head.push(15);
        head.push((owner.as_ref().label_count() - usize::from(is_wildcard)) as u8);
        head.extend(3600_u32.to_be_bytes());
        head.extend(self.expiration.to_be_bytes());
        head.extend(self.inception.to_be_bytes());
        head.extend(key.tag().to_be_bytes());
        head.extend(wire(&self.apex));
        let mut data: Vec<&[u8]> = set.iter().map(|rr| &*rr.data).collect();
        data.sort_unstable();
        let mut message = head.clone();
        for data in data {
            message.extend(wire(owner));
            message.extend(set[0].kind.to_be_bytes());
            message.extend([0, 1]);
            message.extend(3600_u32.to_be_bytes());
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        }
        head.extend(key.pair.sign(&message).as_ref());
        head
    }

    fn types_at(&self, owner: &NameBuf) -> BTreeSet<u16> {
        let at = self
            .records
            .keys()
            .filter(|(it, _)| it.as_ref() == owner.as_ref());
        let mut types: BTreeSet<u16> = at.map(|(_, kind)| *kind).collect();
        if *owner == self.apex {
            types.insert(DNSKEY);
        }
        types
    }

    fn is_cut(&self, owner: &NameBuf) -> bool {
        *owner != self.apex && self.types_at(owner).contains(&NS)
    }

    /// Its names in order: with records, not below a delegation; with those between if `with_empty`.
    fn names(&self, with_empty: bool) -> Vec<NameBuf> {
        let mut names: Vec<NameBuf> = Vec::new();
        for (owner, _) in self.records.keys() {
            let mut above = owner.as_ref().suffixes().skip(1);
            let hidden = above.any(|it| it != self.apex.as_ref() && self.is_cut(&it.into()));
            let inside = |it: &crate::name::NameRef<'_>| it.is_within(self.apex.as_ref());
            let of = owner.as_ref().suffixes().take_while(inside);
            let of = of.take(if with_empty { usize::MAX } else { 1 });
            if !hidden {
                names.extend(of.map(NameBuf::from));
            }
        }
        if self.apex.as_ref().is_root() {
            names.push(self.apex);
        }
        names.sort_by(|left, right| order(left.as_ref(), right.as_ref()));
        names.dedup();
        names
    }

    /// The NSEC or NSEC3 records of the chain, signed, each with what it is for.
    fn chain(&self) -> Vec<Rr> {
        match self.denial {
            Denial::Nsec => {
                let names = self.names(false);
                let next = |index: usize| names[(index + 1) % names.len()];
                let of = |(index, owner): (usize, &NameBuf)| {
                    let mut types = self.types_at(owner);
                    types.extend([NSEC, RRSIG]);
                    let mut data = wire(&next(index)).to_vec();
                    data.extend(bitmap(&types));
                    Rr {
                        owner: *owner,
                        kind: NSEC,
                        data,
                    }
                };
                names.iter().enumerate().map(of).collect()
            }
            Denial::Nsec3 {
                iterations,
                opt_out,
            } => {
                let mut names = self.names(true);
                if opt_out {
                    names.retain(|it| !self.is_cut(it) || self.types_at(it).contains(&DS));
                }
                let salt = [0xab];
                let hash = |it: &NameBuf| nsec3_hash(wire(it), &salt, iterations);
                let mut hashes: Vec<_> = names.iter().map(|it| (hash(it), *it)).collect();
                hashes.sort_by_key(|(hash, _)| *hash);
                let of = |(index, (hash, owner)): (usize, &([u8; 20], NameBuf))| {
                    let mut types = self.types_at(owner);
                    let is_unsigned_cut = self.is_cut(owner) && !types.contains(&DS);
                    if !types.is_empty() && !is_unsigned_cut {
                        types.insert(RRSIG);
                    }
                    let mut data = vec![1, u8::from(opt_out)];
                    data.extend(iterations.to_be_bytes());
                    data.extend([1, salt[0], 20]);
                    data.extend(hashes[(index + 1) % hashes.len()].0);
                    data.extend(bitmap(&types));
                    let label = [&[32][..], &base32hex(hash), wire(&self.apex)].concat();
                    Rr {
                        owner: NameBuf::read_wire(&label).unwrap().0,
                        kind: NSEC3,
                        data,
                    }
                };
                hashes.iter().enumerate().map(of).collect()
            }
        }
    }

    /// A "no": the SOA and all proofs there are, which are few.
    fn no(&self, message: &mut Message) {
        let soa = self.get(&self.apex, SOA).unwrap();
        message.authorities.extend(self.signed(soa, &self.apex));
        self.proofs(message);
    }

    fn proofs(&self, message: &mut Message) {
        if self.is_signed {
            for rr in self.chain() {
                let owner = rr.owner;
                message.authorities.extend(self.signed(vec![rr], &owner));
            }
        }
    }
}

fn bitmap(types: &BTreeSet<u16>) -> Vec<u8> {
    // All of them are below 256.
    let mut bits = [0_u8; 32];
    for kind in types {
        bits[usize::from(kind / 8)] |= 0x80 >> (kind % 8);
    }
    let length = bits
        .iter()
        .rposition(|octet| *octet != 0)
        .map_or(0, |at| at + 1);
    if length == 0 {
        return Vec::new();
    }
    [&[0, length as u8][..], &bits[..length]].concat()
}

fn base32hex(hash: &[u8; 20]) -> Vec<u8> {
    let mut out = Vec::new();
    for octets in hash.chunks(5) {
        let mut bits = 0_u64;
        for octet in octets {
            bits = bits << 8 | u64::from(*octet);
        }
        for at in (0..8).rev() {
            out.push(b"0123456789abcdefghijklmnopqrstuv"[(bits >> (5 * at) & 31) as usize]);
        }
    }
    out
}

type Spoil = Box<dyn Fn(&Question, &mut Message) + Send + Sync>;

/// All zones, and what is wrong with what their server says.
pub(super) struct World {
    pub(super) zones: Vec<Zone>,
    spoil: Option<Spoil>,
    asked: AtomicUsize,
    /// Questions that had to wait for one another.
    trips: AtomicUsize,
    negative: Vec<Name>,
    /// Names with a DS of the household's own.
    pub(super) anchors: Vec<(Name, Vec<u8>)>,
    pub(super) time: Arc<ManualTime>,
    /// Confirmed, unless somebody takes that back.
    pub(super) clock: Clock,
}

impl World {
    /// The root, `test`, and `example.test`, which has the usual names; all with DS.
    pub(super) fn new() -> Self {
        let time = ManualTime::starting_at(Timestamp::from_second(NOW.into()).unwrap());
        let clock = time.clock();
        clock.confirm(Standing::Set);
        let mut world = Self {
            zones: vec![
                Zone::new(".", 1),
                Zone::new("test", 2),
                Zone::new("example.test", 3),
            ],
            spoil: None,
            asked: AtomicUsize::new(0),
            trips: AtomicUsize::new(0),
            negative: Vec::new(),
            anchors: Vec::new(),
            time,
            clock,
        };
        world.delegate("test");
        world.delegate("example.test");
        let zone = world.zone("example.test");
        zone.add("www.example.test", A, &[192, 0, 2, 1]);
        zone.add("www.example.test", A, &[192, 0, 2, 2]);
        zone.add("*.wild.example.test", A, &[192, 0, 2, 3]);
        zone.add("deep.empty.example.test", TXT, b"\x01x");
        zone.add("alias.example.test", CNAME, b"\x03www\x07example\x04test\0");
        world
    }

    pub(super) fn zone(&mut self, apex: &str) -> &mut Zone {
        let apex = name(apex);
        self.zones.iter_mut().find(|it| it.apex == apex).unwrap()
    }

    /// Puts the delegation to a signed zone into the one above it.
    pub(super) fn delegate(&mut self, apex: &str) {
        let child = self.zone(apex);
        let ds = child.keys[0].ds(&child.apex);
        let parent = self.parent_of(apex);
        parent.add(apex, NS, b"\x02ns\x04test\0");
        parent.add(apex, DS, &ds);
    }

    /// Adds an unsigned zone, delegated without DS, with one address.
    pub(super) fn add_unsigned(&mut self, apex: &str) {
        let mut zone = Zone::new(apex, 99);
        zone.is_signed = false;
        zone.add(&format!("www.{apex}"), A, &[192, 0, 2, 9]);
        self.zones.push(zone);
        self.parent_of(apex).add(apex, NS, b"\x02ns\x04test\0");
    }

    pub(super) fn parent_of(&mut self, apex: &str) -> &mut Zone {
        let apex = name(apex);
        let above = self.zones.iter_mut();
        let above = above.filter(|it| it.apex != apex && apex.as_ref().is_within(it.apex.as_ref()));
        above
            .max_by_key(|it| it.apex.as_ref().label_count())
            .unwrap()
    }

    pub(super) fn spoil(
        mut self,
        how: impl Fn(&Question, &mut Message) + Send + Sync + 'static,
    ) -> Self {
        self.spoil = Some(Box::new(how));
        self
    }

    pub(super) fn distrust(mut self, apex: &str) -> Self {
        self.negative.push(name(apex).as_ref().to_name());
        self
    }

    pub(super) fn at(self, wall: u32) -> Self {
        self.time
            .set_wall(Timestamp::from_second(wall.into()).unwrap());
        self
    }

    /// Questions that were asked on the way.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many of them waited for another one: as many round trips as that takes.
    pub(super) fn trips(&self) -> usize {
        self.trips.load(Ordering::Relaxed)
    }

    pub(super) fn forget_counts(&self) {
        self.asked.store(0, Ordering::Relaxed);
        self.trips.store(0, Ordering::Relaxed);
    }

    pub(super) fn validator(&self) -> Validator {
        let root = &self.zones[0];
        let ds = root.keys[0].ds(&root.apex);
        let own = std::iter::once((root.apex.as_ref().to_name(), ds));
        let anchor = |(owner, ds): (Name, Vec<u8>)| TrustAnchor {
            owner,
            tag: u16::from_be_bytes([ds[0], ds[1]]),
            algorithm: 15,
            digest_type: 2,
            digest: ds[4..].into(),
        };
        let settings = Validation {
            negative: self.negative.clone(),
            anchors: own
                .chain(self.anchors.iter().cloned())
                .map(anchor)
                .collect(),
        };
        Validator::new(&settings, std::iter::empty(), self.clock.clone())
    }

    pub(super) fn question(qname: &str, qtype: u16) -> Question {
        Question {
            qname: name(qname),
            qtype,
            dnssec_ok: true,
            checking_disabled: true,
            via: 0,
        }
    }

    /// What the server says.
    pub(super) fn message(&self, question: &Question) -> Message {
        let mut message = Message::default();
        let mut qname = question.qname;
        for _ in 0..4 {
            match self.look_up(&qname, question.qtype, &mut message) {
                Some(target) => qname = target,
                None => break,
            }
        }
        if let Some(spoil) = &self.spoil {
            spoil(question, &mut message);
        }
        message
    }

    pub(super) fn answer(&self, question: &Question) -> Answer {
        let wire = self.message(question).to_wire(question);
        Answer::from_upstream(&wire, question).unwrap()
    }

    /// Adds what there is of `qname`; gives the target of an alias.
    fn look_up(&self, qname: &NameBuf, qtype: u16, message: &mut Message) -> Option<NameBuf> {
        let zone = self.zones.iter();
        let zone = zone.filter(|it| {
            qname.as_ref().is_within(it.apex.as_ref())
                && (qtype != DS || it.apex != *qname || qname.as_ref().is_root())
        });
        let zone = zone
            .max_by_key(|it| it.apex.as_ref().label_count())
            .unwrap();
        if let Some(set) = zone.get(qname, qtype) {
            message.answers.extend(zone.signed(set, qname));
            return None;
        }
        if let Some(set) = zone.get(qname, CNAME) {
            let target = NameBuf::read_wire(&set[0].data).unwrap().0;
            message.answers.extend(zone.signed(set, qname));
            return Some(target);
        }
        for above in qname.as_ref().suffixes().skip(1) {
            if let Some(set) = zone.get(&above.into(), DNAME) {
                let target = NameBuf::read_wire(&set[0].data).unwrap().0;
                let kept = wire(qname).len() - above.as_wire().len();
                let made = [&wire(qname)[..kept], wire(&target)].concat();
                let target = NameBuf::read_wire(&made).unwrap().0;
                message.answers.extend(zone.signed(set, &above.into()));
                message.answers.push(Rr {
                    owner: *qname,
                    kind: CNAME,
                    data: made,
                });
                return Some(target);
            }
            if let Some(wildcard) = wildcard_of(above)
                && let Some(set) = zone.get(&wildcard, qtype)
            {
                message.answers.extend(zone.signed(set, qname));
                zone.proofs(message);
                return None;
            }
        }
        let names = zone.names(true);
        let exists = names.iter().any(|it| it == qname)
            || qname
                .as_ref()
                .suffixes()
                .skip(1)
                .any(|above| wildcard_of(above).is_some_and(|it| names.contains(&it)));
        message.rcode = if exists { 0 } else { 3 };
        zone.no(message);
        None
    }

    /// The verdict on a question: `secure`, `insecure`, `insecure 27` or `bogus 6`.
    pub(super) fn verdict(&self, qname: &str, qtype: u16) -> String {
        word(self.judge(&self.validator(), qname, qtype))
    }

    pub(super) fn judge(
        &self,
        validator: &Validator,
        qname: &str,
        qtype: u16,
    ) -> Result<Judged, Stop<()>> {
        let question = Self::question(qname, qtype);
        let answer = self.answer(&question);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(validator.judge(&answer, &question, self, Memory::Trusted))
    }
}

pub(super) fn word(judged: Result<Judged, Stop<()>>) -> String {
    match judged {
        Ok(Judged {
            is_secure: true, ..
        }) => "secure".into(),
        Ok(Judged {
            note: Some(note), ..
        }) => format!("insecure {note}"),
        Ok(_) => "insecure".into(),
        Err(Stop::Fault(fault)) => format!("bogus {}", fault.ede()),
        Err(Stop::Fetch(())) => "no answer".into(),
    }
}

impl Fetch for World {
    type Error = ();

    async fn fetch(&self, question: Question) -> Result<Answer, ()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // Those that are asked side by side come back in the same trip.
        let trip = self.trips.load(Ordering::Relaxed) + 1;
        tokio::task::yield_now().await;
        self.trips.fetch_max(trip, Ordering::Relaxed);
        Ok(self.answer(&question))
    }
}
