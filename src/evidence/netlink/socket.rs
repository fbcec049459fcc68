//! Sockets to the kernel's routing tables.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::wire::{Message, Messages};

/// Interfaces, neighbours, IPv4 addresses and IPv6 addresses: `RTNLGRP_LINK`, `RTNLGRP_NEIGH`,
/// `RTNLGRP_IPV4_IFADDR` and `RTNLGRP_IPV6_IFADDR`.
const GROUPS: u32 = 1 | 1 << 2 | 1 << 4 | 1 << 8;
/// Room for events that nobody has read yet, some 4,000 of them; a kernel may allow less.
const QUEUE: usize = 1 << 20;
/// The kernel sends at most 32 KiB at a time, and no more than fits.
const DATAGRAM: usize = 32 << 10;
/// The kernel answers before it returns; this is for one that does not.
const PATIENCE_SECONDS: i64 = 1;

/// What the kernel tells by itself.
#[derive(Debug)]
pub(super) struct Events {
    socket: Arc<OwnedFd>,
    room: Box<[u8]>,
}

/// What it answers.
#[derive(Debug)]
pub(super) struct Questions {
    socket: OwnedFd,
    room: Box<[u8]>,
    sequence: u32,
}

/// All that was told in answer to a question.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) messages: Vec<Message>,
    /// Whether some may have been left out.
    pub(super) is_partial: bool,
}

impl Events {
    /// Events from now on.
    pub(super) fn open() -> io::Result<Self> {
        let socket = open(SockFlag::SOCK_NONBLOCK, GROUPS)?;
        // With less room more is lost and asked for again.
        let _smaller = setsockopt(&socket, sockopt::RcvBuf, &QUEUE);
        Ok(Self {
            socket: Arc::new(socket),
            room: vec![0; DATAGRAM].into(),
        })
    }

    /// The socket, to be told when there is something to read.
    pub(super) fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.socket)
    }

    /// The next messages; none when there are no more for now.
    pub(super) fn next(&mut self) -> Option<Messages<'_>> {
        loop {
            match receive(&self.socket, &mut self.room) {
                Ok(Some(length)) => return Some(Messages::new(&self.room[..length])),
                // Nobody but the kernel may send here.
                Ok(None) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return None,
                Err(Errno::ENOBUFS) => return Some(Messages::lost()),
                // Nothing that reading on would change; the loop hears of it from the socket.
                Err(_) => return None,
            }
        }
    }
}

impl Questions {
    pub(super) fn open() -> io::Result<Self> {
        let socket = open(SockFlag::empty(), 0)?;
        let patience = TimeVal::new(PATIENCE_SECONDS, 0);
        setsockopt(&socket, sockopt::ReceiveTimeout, &patience)?;
        Ok(Self {
            socket,
            room: vec![0; DATAGRAM].into(),
            sequence: 0,
        })
    }

    /// What the kernel says to the request that `make` makes with a number.
    pub(super) fn ask(&mut self, make: impl FnOnce(u32) -> Vec<u8>) -> io::Result<Told> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = make(self.sequence);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(
            self.socket.as_raw_fd(),
            &request,
            &kernel,
            MsgFlags::empty(),
        )?;
        let mut told = Told::default();
        loop {
            let length = match receive(&self.socket, &mut self.room) {
                Ok(Some(length)) => length,
                Ok(None) | Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut messages = Messages::new(&self.room[..length]);
            let mut is_all = false;
            for message in &mut messages {
                match message {
                    Message::Done { sequence } if sequence == self.sequence => is_all = true,
                    Message::Error { sequence, errno } if sequence == self.sequence => {
                        if errno != 0 {
                            return Err(io::Error::from_raw_os_error(errno));
                        }
                        is_all = true;
                    }
                    Message::Lost => told.is_partial = true,
                    // The end of what was asked before, or nothing that concerns us.
                    Message::Done { .. }
                    | Message::Error { .. }
                    | Message::Interface
                    | Message::Other => {}
                    Message::Neighbour(_) | Message::Address => told.messages.push(message),
                }
            }
            told.is_partial |= messages.is_interrupted();
            if is_all {
                return Ok(told);
            }
        }
    }
}

fn open(flags: SockFlag, groups: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | flags,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// The next datagram into `room`: how long it is, or none if it is not the kernel's.
fn receive(socket: &OwnedFd, room: &mut [u8]) -> nix::Result<Option<usize>> {
    let (length, sender) = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), room)?;
    Ok(sender
        .is_some_and(|sender| sender.pid() == 0)
        .then_some(length))
}
