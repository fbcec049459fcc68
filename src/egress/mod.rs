//! Pinned egress: which addresses a device may reach, because they were just answered to it.
//!
//! The firewall's table has two sets of pairs, a device's MAC address and an address
//! ([`TABLE`], [`SET_V4`], [`SET_V6`]); [`Egress`] puts pairs into them, with an end, before the
//! answer that holds the address is sent. Whoever types an address, carries one along, has it from
//! another resolver or spells it as a name ([`Spelling`]) finds it closed.
//!
//! The kernel forgets a pair by itself. What it does not do before Linux 6.13 is put off the end of
//! one it has, so a pair that is there is taken out and put in anew, in one step. What is there is
//! known as long as nobody else changes the firewall, which the kernel counts; after that, and after
//! a start, pairs are put in as new ones, and the kernel says which of them it has.
//!
//! All of it stands between a question and its answer, so it is bounded: [`MOST_ADDRESSES`] in one
//! transaction, a fraction of a second for a kernel that does not answer, and then a while without.

mod spelling;
mod wire;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

pub use spelling::Spelling;
pub use wire::Members;

use crate::clock::Moment;
use crate::mac::Mac;
use wire::{Change, Query};

/// The table of the firewall.
pub const TABLE: &str = "hedgerow";
/// The set of pairs of a MAC address and an IPv4 address.
pub const SET_V4: &str = "answered4";
/// The set of pairs of a MAC address and an IPv6 address.
pub const SET_V6: &str = "answered6";
/// Pairs that each set has room for.
pub const MOST: usize = 65_536;

/// How long a pinned device may keep an answer, in seconds: it asks again before its pair ends.
pub const TTL: u32 = 300;
/// Addresses of one answer that are opened; the rest stay closed. Sites have fewer.
pub const MOST_ADDRESSES: usize = 32;
/// The longest that a pair stays: programs use an address for a while after its TTL.
const HOLD: Duration = Duration::from_mins(10);
/// How much longer than its answer a pair stays at least: for what is on its way.
const SLACK: Duration = Duration::from_secs(30);
/// With less than this left a pair is put in anew.
const RENEW: Duration = Duration::from_secs(TTL as u64 + SLACK.as_secs());
/// What is told in whole seconds is not exact.
const ROUNDING: Duration = Duration::from_secs(1);
/// The kernel answers before it returns; this is for one that does not.
const PATIENCE_MILLIS: i64 = 200;
/// How long such a kernel is left alone.
const REST: Duration = Duration::from_secs(2);

/// To whom something is opened, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The device.
    pub mac: Mac,
    /// How long what was judged holds: a pair does not outlive it by more than a moment.
    pub lasts: Duration,
    /// Whether it was let through although everything is closed, as a lifeline is.
    pub while_closed: bool,
}

/// Fills the sets of pinned egress.
#[derive(Debug, Default)]
pub struct Egress {
    state: Mutex<State>,
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    socket: Option<OwnedFd>,
    sequence: u32,
    /// The kernel's count of changes after our last one.
    generation: u32,
    /// What is in the sets, as far as is known.
    pairs: HashMap<(Mac, IpAddr), Pair>,
    /// The next time that pairs past their end are forgotten.
    sweep: Moment,
    /// The kernel did not answer and is left alone until then.
    rests_until: Moment,
    changes: Vec<Change>,
    room: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    end: Moment,
    while_closed: bool,
}

impl Egress {
    /// Lets a device reach `addresses`, from now on and for some minutes.
    ///
    /// # Errors
    /// When the kernel refuses: there is no table, or this account may not change it. The addresses
    /// stay closed then.
    pub fn open(
        &self,
        opening: Opening,
        addresses: impl IntoIterator<Item = IpAddr>,
        now: Moment,
    ) -> io::Result<()> {
        let mut state = self.state();
        let addresses = addresses.into_iter().take(MOST_ADDRESSES);
        let done = state.open(opening, addresses, now);
        self.settle(&mut state, done, now)
    }

    /// Takes back what was opened to devices for which everything `is_closed` now, but for what was
    /// opened all the same.
    ///
    /// # Errors
    /// As for [`Self::open`]; the pairs end by themselves then.
    pub fn close(&self, is_closed: impl Fn(Mac) -> bool, now: Moment) -> io::Result<()> {
        let mut known = HashMap::new();
        let mut is_closed = |mac| *known.entry(mac).or_insert_with(|| is_closed(mac));
        let open: Vec<_> = {
            let state = self.state();
            let open = state.pairs.iter().filter(|(_, pair)| !pair.while_closed);
            open.map(|(pair, _)| *pair).collect()
        };
        let gone: Vec<_> = open
            .into_iter()
            .filter(|(mac, _)| is_closed(*mac))
            .collect();
        for few in gone.chunks(MOST_ADDRESSES) {
            // Answers come in between.
            let mut state = self.state();
            let done = state.close(few, now);
            self.settle(&mut state, done, now)?;
        }
        Ok(())
    }

    /// Has each of these sets of the table hold these devices and no others, all at once.
    ///
    /// # Errors
    /// When the kernel refuses: there is no table, it has no such sets, or this account may not
    /// change it.
    pub fn fill(&self, sets: &[Members<'_>], now: Moment) -> io::Result<()> {
        let mut state = self.state();
        let done = state.fill(sets, now);
        self.settle(&mut state, done, now)
    }

    /// Whether the table is there; none if this account may not know.
    pub fn has_table(&self) -> Option<bool> {
        match self.state().ask(Query::Table) {
            Ok(_) => Some(true),
            Err(Errno::ENOENT) => Some(false),
            Err(_) => None,
        }
    }

    /// How often the kernel refused since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn settle(&self, state: &mut State, done: nix::Result<()>, now: Moment) -> io::Result<()> {
        if let Err(error) = done {
            self.failures.fetch_add(1, Ordering::Relaxed);
            // What is in the sets is no longer known.
            state.pairs.clear();
            state.socket = None;
            if error == Errno::EAGAIN && now >= state.rests_until {
                state.rests_until = now.after(REST);
            }
        }
        Ok(done?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(
        &mut self,
        opening: Opening,
        addresses: impl Iterator<Item = IpAddr>,
        now: Moment,
    ) -> nix::Result<()> {
        let Opening {
            mac,
            lasts,
            while_closed,
        } = opening;
        self.catch_up(now)?;
        let hold = HOLD.min(lasts.saturating_add(SLACK));
        let mut changes = std::mem::take(&mut self.changes);
        changes.clear();
        for address in addresses {
            let address = address.to_canonical();
            if changes.iter().any(|change| change.address == address) {
                continue;
            }
            let before = self.pairs.get_mut(&(mac, address));
            let before = before.filter(|pair| pair.end > now);
            if let Some(pair) = before {
                pair.while_closed = while_closed;
                let left = pair.end.since(now);
                let enough = RENEW.min(hold).saturating_sub(ROUNDING);
                if (enough..=hold + ROUNDING).contains(&left) {
                    continue;
                }
                changes.push(Change::anew(mac, address, hold));
            } else {
                changes.push(Change::add(mac, address, hold));
            }
        }
        let done = self.make(&changes);
        if done.is_ok() {
            let pair = Pair {
                end: now.after(hold),
                while_closed,
            };
            for change in &changes {
                // The kernel's set is the bound; what does not fit here is put in once more.
                if self.pairs.len() < 2 * MOST {
                    self.pairs.insert((mac, change.address), pair);
                }
            }
        }
        self.changes = changes;
        done
    }

    fn close(&mut self, pairs: &[(Mac, IpAddr)], now: Moment) -> nix::Result<()> {
        self.catch_up(now)?;
        // One that was opened again meanwhile, or is gone.
        let is_meant = |pair: &&(Mac, IpAddr)| {
            let known = self.pairs.get(*pair);
            known.is_some_and(|known| !known.while_closed && known.end > now)
        };
        let meant = pairs.iter().filter(is_meant);
        let changes: Vec<_> = meant
            .map(|(mac, address)| Change::drop(*mac, *address))
            .collect();
        self.make(&changes)?;
        for pair in pairs {
            self.pairs.remove(pair);
        }
        Ok(())
    }

    fn fill(&mut self, sets: &[Members<'_>], now: Moment) -> nix::Result<()> {
        self.catch_up(now)?;
        let first = self.next_sequence();
        let last = wire::write_members(&mut self.room, first, sets);
        self.commit(first, last)
    }

    /// Forgets what is past its end, and everything if somebody else changed the firewall.
    fn catch_up(&mut self, now: Moment) -> nix::Result<()> {
        if now < self.rests_until {
            return Err(Errno::EAGAIN);
        }
        if now >= self.sweep {
            self.pairs.retain(|_, pair| pair.end > now);
            self.sweep = now.after(Duration::from_mins(1));
        }
        let generation = self.ask(Query::Generation)?;
        if generation != self.generation {
            self.pairs.clear();
            self.generation = generation;
        }
        Ok(())
    }

    /// Makes `changes`, all at once; one by one where the kernel has other pairs than was thought.
    fn make(&mut self, changes: &[Change]) -> nix::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        match self.change(changes) {
            Err(Errno::ENOENT | Errno::EEXIST) => {}
            other => return other,
        }
        for change in changes {
            match (self.change(&[*change]), change.otherwise()) {
                (Err(Errno::ENOENT | Errno::EEXIST), Some(other)) => self.change(&[other])?,
                // Gone already.
                (Err(Errno::ENOENT), None) => {}
                (done, _) => done?,
            }
        }
        Ok(())
    }

    /// One transaction.
    fn change(&mut self, changes: &[Change]) -> nix::Result<()> {
        let first = self.next_sequence();
        let last = wire::write(&mut self.room, first, changes);
        self.commit(first, last)
    }

    /// Carries out the transaction in the room.
    fn commit(&mut self, first: u32, last: u32) -> nix::Result<()> {
        self.exchange(|answer| wire::verdict(answer, first, last))?;
        // Zero is left out.
        self.generation = self.generation.wrapping_add(1).max(1);
        Ok(())
    }

    /// One question; the number it is answered by, if it is one.
    fn ask(&mut self, query: Query) -> nix::Result<u32> {
        let sequence = self.next_sequence();
        wire::ask(&mut self.room, sequence, query);
        self.exchange(|answer| wire::told(answer, sequence, query))
    }

    /// Sends what is in the room and waits until `read` has what it waits for.
    fn exchange(&mut self, read: impl Fn(&[u8]) -> Option<Result<u32, i32>>) -> nix::Result<u32> {
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(connect()?),
        };
        let kernel = NetlinkAddr::new(0, 0);
        sendto(socket.as_raw_fd(), &self.room, &kernel, MsgFlags::empty())?;
        let mut answer = [0_u8; 8192];
        loop {
            let received = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut answer);
            let (length, sender) = match received {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            if sender.is_none_or(|sender| sender.pid() != 0) {
                continue;
            }
            // None is an answer to what was asked before.
            if let Some(told) = answer.get(..length).and_then(&read) {
                return told.map_err(Errno::from_raw);
            }
        }
    }

    /// The number of the next message, with room for those behind it.
    fn next_sequence(&mut self) -> u32 {
        let room = wire::MOST_MESSAGES;
        self.sequence = self.sequence.checked_add(room).unwrap_or(room);
        self.sequence
    }
}

fn connect() -> nix::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    let patience = TimeVal::milliseconds(PATIENCE_MILLIS);
    setsockopt(&socket, sockopt::ReceiveTimeout, &patience)?;
    Ok(socket)
}
