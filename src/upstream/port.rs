//! Where a question over UDP goes out: a port that nobody can guess, for one question alone.
//!
//! Opening a socket and closing it again costs more than all else that the kernel does for a question.
//! So a socket whose question was answered is kept, and for the next one the kernel gives it another
//! port: dissolving its association (`connect` to no address) takes the old port from it, and
//! connecting it again draws a new one. Of 2,000 questions some 1,930 have a port that no other of them
//! had, as many as when 28,000 ports are drawn from by lot; beside the 16 bits of the id that is
//! another 14.8, and each letter of the name is one more.
//!
//! Where the kernel's lot is no good every question has a socket of its own, with a port that we draw:
//! before Linux 5.10 its draws could be foretold (CVE-2020-16166), and an admin can leave it a handful
//! of ports.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::OnceLock;

use rand::RngExt;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};

use crate::files::Files;
use crate::socket;

/// Ports we choose from; the lower ones belong to services.
const PORTS: std::ops::RangeInclusive<u16> = 1024..=u16::MAX;
/// Taken ports we try before the kernel may choose.
const TRIES: usize = 8;
/// How many ports the kernel must have to draw from.
const ENOUGH: u32 = 16_384;
/// The first Linux whose draws are trusted.
const TRUSTED: (u32, u32) = (5, 10);
/// How many sockets a thread keeps for each family.
const KEPT: usize = 64;

/// Packets for the question before that are thrown away; with more the socket is.
const LEFT_BEHIND: usize = 8;

thread_local! {
    static IDLE: RefCell<Idle> = const { RefCell::new(Idle::none()) };
}

/// Sockets without a question, of the runtime that watches them.
struct Idle {
    runtime: Option<Id>,
    v4: Vec<AsyncFd<UdpSocket>>,
    v6: Vec<AsyncFd<UdpSocket>>,
}

impl Idle {
    const fn none() -> Self {
        Self {
            runtime: None,
            v4: Vec::new(),
            v6: Vec::new(),
        }
    }

    /// Those of this runtime and family; what another one has left behind is closed.
    fn of(&mut self, is_v4: bool) -> &mut Vec<AsyncFd<UdpSocket>> {
        let runtime = Some(Handle::current().id());
        if self.runtime != runtime {
            *self = Self {
                runtime,
                ..Self::none()
            };
        }
        if is_v4 { &mut self.v4 } else { &mut self.v6 }
    }
}

/// A port of ours, connected to a server: packets from elsewhere do not reach it, and that nobody
/// listens there is heard at once.
#[derive(Debug)]
pub(super) struct Port {
    socket: AsyncFd<UdpSocket>,
    is_v4: bool,
}

impl Port {
    /// One that was not used before, as far as chance goes.
    ///
    /// # Errors
    /// What the kernel said.
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        let is_v4 = server.is_ipv4();
        if !kernel_draws_well() {
            let socket = draw(server)?;
            return Self::watch(socket, is_v4);
        }
        let kept = IDLE.with_borrow_mut(|idle| idle.of(is_v4).pop());
        if let Some(socket) = kept {
            let renewed = rustix::net::connect_unspec(&socket)
                .map_err(io::Error::from)
                .and_then(|()| empty(socket.get_ref()))
                .and_then(|()| socket.get_ref().connect(server));
            if renewed.is_ok() {
                return Ok(Self { socket, is_v4 });
            }
        }
        let socket = new(server)?;
        socket.connect(server)?;
        Self::watch(socket, is_v4)
    }

    /// One that is connected already.
    ///
    /// # Errors
    /// What the kernel said.
    pub(super) fn of(socket: UdpSocket, server: SocketAddr) -> io::Result<Self> {
        Self::watch(socket, server.is_ipv4())
    }

    fn watch(socket: UdpSocket, is_v4: bool) -> io::Result<Self> {
        // The kernel would tell of each question that has left, too.
        let interest = Interest::READABLE | Interest::ERROR;
        let socket = socket::watch(socket, interest)?;
        Ok(Self { socket, is_v4 })
    }

    /// Keeps the socket for another question. Only for one that has brought its reply: what still
    /// comes to any other would be in its way.
    pub(super) fn give_back(self) {
        if !kernel_draws_well() {
            return;
        }
        IDLE.with_borrow_mut(|idle| {
            let kept = idle.of(self.is_v4);
            if kept.len() < KEPT {
                kept.push(self.socket);
            }
        });
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// What the kernel said, such as that nobody listens there.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        send(self.socket.get_ref(), packet)
    }

    /// Waits until something arrived and lets `receive` take it, as often as that finds nothing.
    ///
    /// # Errors
    /// What the kernel or `receive` said.
    pub(super) async fn when_readable<T>(
        &self,
        mut receive: impl FnMut(&UdpSocket) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let mut ready = self
                .socket
                .ready(Interest::READABLE | Interest::ERROR)
                .await?;
            if let Ok(received) = ready.try_io(|socket| receive(socket.get_ref())) {
                return received;
            }
        }
    }
}

/// Throws away what has come for the question before; without a port nothing more comes.
///
/// # Errors
/// What the kernel said, or that there is so much that something is wrong.
pub(super) fn empty(socket: &UdpSocket) -> io::Result<()> {
    // An error that waits is told first.
    for _ in 0..LEFT_BEHIND {
        match socket.recv(&mut [0]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::Other.into())
}

/// A socket without a port yet, for a server of this family.
///
/// # Errors
/// What the kernel said.
pub(super) fn new(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(server),
        Type::DGRAM.nonblocking(),
        Some(Protocol::UDP),
    )?;
    Ok(socket.into())
}

/// Sends a packet by a connected socket of which nothing waits to be sent.
///
/// # Errors
/// What the kernel said, such as that nobody listens there.
pub(super) fn send(socket: &UdpSocket, packet: &[u8]) -> io::Result<()> {
    loop {
        match socket.send(packet) {
            Ok(_all) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nothing of this socket's waits to be sent, so the machine has no room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(nix::errno::Errno::ENOBUFS.into());
            }
            Err(error) => return Err(error),
        }
    }
}

/// A socket on a port that we draw.
fn draw(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = |port| match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    };
    for _ in 0..TRIES {
        let port = rand::rng().random_range(PORTS);
        if let Ok(socket) = UdpSocket::bind(any(port)) {
            socket.set_nonblocking(true)?;
            socket.connect(server)?;
            return Ok(socket);
        }
    }
    let socket = new(server)?;
    socket.connect(server)?;
    Ok(socket)
}

/// Whether ports may be left to the kernel's lot; found out once.
pub(super) fn kernel_draws_well() -> bool {
    static DRAWS_WELL: OnceLock<bool> = OnceLock::new();
    *DRAWS_WELL.get_or_init(|| {
        let uname = nix::sys::utsname::uname().ok();
        let release = uname.as_ref().and_then(|it| it.release().to_str());
        let range = Files::disk()
            .read("/proc/sys/net/ipv4/ip_local_port_range".as_ref(), 64)
            .ok();
        let range = range.as_deref().and_then(|it| std::str::from_utf8(it).ok());
        let draws_well = release.is_some_and(is_trusted) && range.is_some_and(is_wide);
        tracing::debug!(draws_well, "whose lot chooses the ports of questions");
        draws_well
    })
}

/// Whether draws of the Linux of this release, as in `6.6.52-v8+`, are trusted.
fn is_trusted(release: &str) -> bool {
    let mut numbers = release.split(|it: char| !it.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    let version = number().and_then(|major| Some((major, number()?)));
    version.is_some_and(|version| version >= TRUSTED)
}

/// Whether a range of ports, as in `32768\t60999`, is wide enough.
fn is_wide(range: &str) -> bool {
    let mut ends = range.split_whitespace().map(str::parse::<u32>);
    match (ends.next(), ends.next()) {
        (Some(Ok(first)), Some(Ok(last))) => last.saturating_sub(first) >= ENOUGH,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn nearly_every_question_has_a_port_of_its_own() {
        for listens in ["127.0.0.1:0", "[::1]:0"] {
            let server = UdpSocket::bind(listens).unwrap();
            let address = server.local_addr().unwrap();
            let (mut ports, mut buffer) = (BTreeSet::new(), [0; 16]);
            for number in 0..2000_u16 {
                let port = Port::open(address).unwrap();
                port.send(&number.to_be_bytes()).unwrap();
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                assert_eq!(buffer[..length], number.to_be_bytes());
                server.send_to(&buffer[..length], from).unwrap();
                let heard = port.when_readable(|socket| {
                    let mut reply = [0; 16];
                    socket
                        .recv(&mut reply)
                        .map(|length| reply[..length].to_vec())
                });
                assert_eq!(heard.await.unwrap(), number.to_be_bytes());
                ports.insert(from.port());
                port.give_back();
            }
            // Expected are 1,931 of 28,232, give or take 8.
            assert!(ports.len() >= 1_880, "{}", ports.len());
        }
    }

    #[tokio::test]
    async fn a_reply_to_the_question_before_does_not_come_in() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut buffer = [0; 16];
        let first = Port::open(address).unwrap();
        first.send(b"1").unwrap();
        let (_, before) = server.recv_from(&mut buffer).unwrap();
        server.send_to(b"queued", before).unwrap();
        first.give_back();
        let second = Port::open(address).unwrap();
        server.send_to(b"late", before).unwrap();
        second.send(b"2").unwrap();
        let (_, from) = server.recv_from(&mut buffer).unwrap();
        assert_ne!(from, before);
        server.send_to(b"right", from).unwrap();
        let heard = second.when_readable(|socket| {
            let mut reply = [0; 16];
            socket
                .recv(&mut reply)
                .map(|length| reply[..length].to_vec())
        });
        assert_eq!(heard.await.unwrap(), b"right");
    }

    #[tokio::test]
    async fn that_nobody_listens_is_heard() {
        let closed = {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap()
        };
        let port = Port::open(closed).unwrap();
        port.send(b"anybody?").unwrap();
        let heard = port.when_readable(|socket| socket.recv(&mut [0; 16]));
        let error = heard.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn ports_that_we_draw_are_of_the_whole_range() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let ports: BTreeSet<u16> = (0..200)
            .map(|_| draw(address).unwrap().local_addr().unwrap().port())
            .collect();
        assert!(ports.len() > 190, "{}", ports.len());
        assert!(
            ports.first().is_some_and(|least| *least < 16_384),
            "{ports:?}"
        );
    }

    #[test]
    fn old_kernels_and_narrow_ranges_are_not_relied_on() {
        for (release, expected) in [
            ("5.10.0", true),
            ("6.6.52-v8+", true),
            ("5.4.213", false),
            ("4.14", false),
            ("10.1-x", true),
            ("strange", false),
            ("", false),
        ] {
            assert_eq!(is_trusted(release), expected, "{release}");
        }
        for (range, expected) in [
            ("32768\t60999\n", true),
            ("1024 2048", false),
            ("60999 32768", false),
            ("", false),
        ] {
            assert_eq!(is_wide(range), expected, "{range}");
        }
    }
}
