//! Pinned egress: which addresses a device may reach, because they were just answered to it.
//!
//! The firewall's table has two sets of pairs, a device's MAC address and an address
//! ([`TABLE`], [`SET_V4`], [`SET_V6`]); [`Egress`] puts pairs into them, with an end, before the
//! answer that holds the address is sent. Whoever types an address, carries one along or has it from
//! another resolver finds it closed.
//!
//! The kernel forgets a pair by itself. What it does not do before Linux 6.13 is put off the end of
//! one it has, so a pair that is asked for again late in its time is taken out and put in anew, in
//! one step.

mod wire;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::clock::Moment;
use crate::mac::Mac;

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
/// How long a pair stays: programs use an address for a while after its TTL.
const HOLD: Duration = Duration::from_mins(10);
/// With less than this left a pair is put in anew: a TTL, and time for what is on its way.
const RENEW: Duration = Duration::from_secs(TTL as u64 + 30);
/// The kernel answers before it returns; this is for one that does not.
const PATIENCE: TimeVal = TimeVal::new(1, 0);

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
    /// When the pairs that are in the sets end.
    ends: HashMap<(Mac, IpAddr), Moment>,
    /// The next time that pairs past their end are forgotten.
    sweep: Moment,
    room: Vec<u8>,
}

impl Egress {
    /// Lets the device with the address `mac` reach `addresses`, from now on and for some minutes.
    ///
    /// # Errors
    /// When the kernel refuses: there is no table, or this account may not change it. The addresses
    /// stay closed then.
    pub fn open(
        &self,
        mac: Mac,
        addresses: impl IntoIterator<Item = IpAddr>,
        now: Moment,
    ) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sweep(now);
        let done = addresses.into_iter().try_for_each(|address| {
            let address = address.to_canonical();
            state.open(mac, address, now)
        });
        if done.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
            // What is in the sets is no longer known: somebody may have taken the table away.
            state.ends.clear();
            state.socket = None;
        }
        done
    }

    /// How often the kernel refused since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Forgets what it put in: the table was made anew.
    pub fn forget(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ends.clear();
    }
}

impl State {
    fn open(&mut self, mac: Mac, address: IpAddr, now: Moment) -> io::Result<()> {
        let pair = (mac, address);
        let before = self.ends.get(&pair).copied().filter(|end| *end > now);
        if before.is_some_and(|end| end.since(now) >= RENEW) {
            return Ok(());
        }
        // One that ends this very moment is gone when it is to be taken out: then it is put in.
        let is_there = before.is_some();
        match self.change(mac, address, is_there) {
            Err(Errno::ENOENT) if is_there => self.change(mac, address, false),
            other => other,
        }?;
        // The kernel's set is the bound; what does not fit here is put in once more.
        if self.ends.len() < 2 * MOST {
            self.ends.insert(pair, now.after(HOLD));
        }
        Ok(())
    }

    /// Puts a pair in, after taking it out if `anew`.
    fn change(&mut self, mac: Mac, address: IpAddr, anew: bool) -> nix::Result<()> {
        self.sequence = self.sequence.wrapping_add(8).max(8);
        wire::write(&mut self.room, self.sequence, mac, address, HOLD, anew);
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(connect()?),
        };
        let kernel = NetlinkAddr::new(0, 0);
        sendto(socket.as_raw_fd(), &self.room, &kernel, MsgFlags::empty())?;
        let mut answer = [0_u8; 4096];
        loop {
            let received = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut answer);
            let (length, sender) = match received {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            if sender.is_none_or(|sender| sender.pid() != 0) {
                continue;
            }
            match wire::verdict(&answer[..length], self.sequence) {
                Some(0) => return Ok(()),
                Some(errno) => return Err(Errno::from_raw(errno)),
                // An answer to what was asked before.
                None => {}
            }
        }
    }

    fn sweep(&mut self, now: Moment) {
        if now >= self.sweep {
            self.ends.retain(|_, end| *end > now);
            self.sweep = now.after(Duration::from_mins(1));
        }
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
    setsockopt(&socket, sockopt::ReceiveTimeout, &PATIENCE)?;
    Ok(socket)
}
