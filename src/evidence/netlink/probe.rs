//! A datagram to a neighbour, so that the kernel finds out its MAC address.
//!
//! Only an administrator may tell the kernel to resolve an address, but anybody may send there, and
//! then it has to. The datagram goes to the discard port (RFC 863), holds one octet and never leaves
//! the link; the neighbour may get it, drops it or says that nobody listens there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use nix::errno::Errno;

use crate::clock::{Clock, Moment};

/// The port of those who listen to nothing.
const DISCARD: u16 = 9;
/// How many datagrams may go out a second. Kernels keep room for 1,024 addresses of each family and
/// hold one that nobody answers for three seconds: strangers' addresses must not fill it.
const PER_SECOND: u64 = 100;
/// How many may go out at once.
const AT_ONCE: u64 = 100;

/// Sends such datagrams, not too many of them.
#[derive(Debug)]
pub(super) struct Probe {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    clock: Clock,
    left: u64,
    filled: Moment,
}

/// Why none was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    #[error("too many at a time")]
    TooMany,
    #[error("there is no socket for its family")]
    NoSocket,
    /// The lack is on our side: no memory, no room in a queue, a firewall that lets nothing out.
    #[error("not sent: {0}")]
    NotNow(io::Error),
    /// There is no way to the address.
    #[error(transparent)]
    NoWay(io::Error),
}

impl ProbeError {
    /// Whether another attempt in a moment may succeed.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::TooMany | Self::NotNow(_))
    }
}

impl From<Errno> for ProbeError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM | Errno::EPERM => {
                Self::NotNow(errno.into())
            }
            _ => Self::NoWay(errno.into()),
        }
    }
}

impl Probe {
    pub(super) fn new(clock: Clock) -> Self {
        // Without one family the other serves.
        let v4 = socket(Ipv4Addr::UNSPECIFIED.into()).ok();
        let v6 = socket(Ipv6Addr::UNSPECIFIED.into()).ok();
        Self {
            v4,
            v6,
            left: AT_ONCE,
            filled: clock.now(),
            clock,
        }
    }

    /// Sends one to `address` on the link of `interface`.
    pub(super) fn send(&mut self, address: IpAddr, interface: u32) -> Result<(), ProbeError> {
        let (socket, to) = match address {
            IpAddr::V4(_) => (&self.v4, SocketAddr::new(address, DISCARD)),
            IpAddr::V6(v6) => {
                let scope = if v6.is_unicast_link_local() {
                    interface
                } else {
                    0
                };
                (&self.v6, SocketAddrV6::new(v6, DISCARD, 0, scope).into())
            }
        };
        let socket = socket.as_ref().ok_or(ProbeError::NoSocket)?;
        let elapsed = self.clock.now().since(self.filled);
        let due = PER_SECOND * u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) / 1_000;
        if due > 0 {
            self.left = self.left.saturating_add(due).min(AT_ONCE);
            let spent = Duration::from_millis(due * 1_000 / PER_SECOND);
            self.filled = self.filled.after(spent);
        }
        self.left = self.left.checked_sub(1).ok_or(ProbeError::TooMany)?;
        let sent = socket.send_to(&[0], to);
        let errno = |error: io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
        sent.map(drop).map_err(|error| errno(error).into())
    }
}

/// A socket that never waits and whose datagrams no router passes on.
fn socket(any: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    let own = socket2::SockRef::from(&socket);
    match any {
        IpAddr::V4(_) => own.set_ttl_v4(1)?,
        IpAddr::V6(_) => own.set_unicast_hops_v6(1)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualTime, Timestamp};

    #[test]
    fn there_are_not_too_many() {
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let mut probe = Probe::new(time.clock());
        let mut sent = || {
            let here = Ipv4Addr::LOCALHOST.into();
            (0..2 * AT_ONCE)
                .filter(|_| probe.send(here, 0).is_ok())
                .count() as u64
        };
        assert_eq!(sent(), AT_ONCE);
        assert_eq!(sent(), 0);
        // Nothing is lost by asking often.
        let of_four = (0..4).map(|_| {
            time.advance(Duration::from_millis(25));
            sent()
        });
        assert_eq!(of_four.sum::<u64>(), PER_SECOND / 10);
        time.advance(Duration::from_secs(60));
        assert_eq!(sent(), AT_ONCE);
    }

    #[test]
    fn what_this_machine_lacks_says_nothing_of_the_neighbour() {
        for (errno, is_passing) in [
            (Errno::ENOBUFS, true),
            (Errno::EAGAIN, true),
            (Errno::EPERM, true),
            (Errno::ENETUNREACH, false),
            (Errno::EHOSTUNREACH, false),
            (Errno::EACCES, false),
        ] {
            assert_eq!(ProbeError::from(errno).is_passing(), is_passing, "{errno}");
        }
        assert!(ProbeError::TooMany.is_passing());
    }
}
