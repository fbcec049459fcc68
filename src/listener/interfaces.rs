//! By which interface somebody comes who has a connection: the kernel tells that of datagrams alone.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use nix::sys::socket::SockaddrStorage;

use crate::clock::{Clock, Moment};

/// How long what was read is good. To ask the kernel for all its addresses at each connection costs more
/// than the connection does.
const GOOD: Duration = Duration::from_secs(1);

/// The addresses of this machine, by the interfaces they are on, as they were a moment ago.
#[derive(Debug)]
pub(super) struct Interfaces {
    clock: Clock,
    read: fn() -> Vec<Address>,
    last: Mutex<Option<(Moment, Arc<[Address]>)>>,
}

/// An address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Address {
    /// The kernel's number of its interface.
    interface: u32,
    /// Itself, with what lies on its link.
    net: IpNet,
}

impl Interfaces {
    /// Those of this machine.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            read,
            last: Mutex::default(),
        }
    }

    /// The kernel's number of the interface by which a connection between `ours` and `client` goes: that
    /// on whose link the client's address lies, which is where our packets leave, whichever of our
    /// addresses it asked; for a client behind a router that which has our address; 0 if none has.
    pub(super) fn between(&self, ours: IpAddr, client: IpAddr) -> u32 {
        let mut addresses = self.addresses(GOOD);
        // An address that is asked and that we do not have is new.
        let is_ours = |it: &Address| it.net.addr() == ours;
        if !ours.is_loopback() && !addresses.iter().any(is_ours) {
            addresses = self.addresses(Duration::ZERO);
        }
        // Of several the longest prefix counts, as for the kernel, and then the first.
        let on_link = addresses.iter().filter(|it| it.net.contains(&client)).rev();
        let on_link = on_link.max_by_key(|it| it.net.prefix_len());
        let of_ours = || addresses.iter().find(|it| is_ours(it));
        on_link.or_else(of_ours).map_or(0, |it| it.interface)
    }

    /// All addresses, as they were read no longer ago than `good`.
    fn addresses(&self, good: Duration) -> Arc<[Address]> {
        let now = self.clock.now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, addresses)) = &*last
            && now.since(*then) < good
        {
            return Arc::clone(addresses);
        }
        let addresses = Arc::from((self.read)());
        *last = Some((now, Arc::clone(&addresses)));
        addresses
    }
}

/// All addresses of this machine; none if the kernel does not tell.
fn read() -> Vec<Address> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let mut addresses = Vec::new();
    for it in interfaces {
        let Some(address) = it.address.as_ref().and_then(ip_of) else {
            continue;
        };
        // Gone in the meantime: then its addresses are too.
        let Ok(interface) = nix::net::if_::if_nametoindex(it.interface_name.as_str()) else {
            continue;
        };
        let mask = it.netmask.as_ref().and_then(ip_of);
        let net = mask.and_then(|mask| IpNet::with_netmask(address, mask).ok());
        addresses.push(Address {
            interface,
            net: net.unwrap_or_else(|| IpNet::from(address)),
        });
    }
    addresses
}

fn ip_of(storage: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::{ManualTime, Timestamp};

    static READ: AtomicU32 = AtomicU32::new(0);

    fn read_here() -> Vec<Address> {
        let times = READ.fetch_add(1, Ordering::Relaxed) + 1;
        let address = |interface, net: &str| Address {
            interface,
            net: net.parse().unwrap(),
        };
        let mut addresses = vec![
            address(1, "127.0.0.1/8"),
            address(2, "192.0.2.1/24"),
            address(3, "192.0.2.129/25"),
            address(4, "192.0.2.130/25"),
            address(5, "2001:db8::1/64"),
        ];
        if times > 2 {
            addresses.push(address(6, "198.51.100.1/24"));
        }
        addresses
    }

    /// Each connection once had the kernel list all its addresses.
    #[test]
    fn addresses_are_read_once_in_a_while_and_when_one_is_new() {
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let interfaces = Interfaces {
            read: read_here,
            ..Interfaces::new(time.clock())
        };
        let between = |ours: &str, client: &str| {
            interfaces.between(ours.parse().unwrap(), client.parse().unwrap())
        };
        for (ours, client, expected) in [
            ("192.0.2.1", "192.0.2.7", 2),
            // Where our packets leave, whichever of our addresses it asked.
            ("2001:db8::1", "192.0.2.7", 2),
            ("192.0.2.1", "192.0.2.200", 3),
            ("192.0.2.130", "203.0.113.7", 4),
            ("2001:db8::1", "2001:db8::7", 5),
            ("127.0.0.9", "127.0.0.5", 1),
        ] {
            for _ in 0..10 {
                assert_eq!(between(ours, client), expected, "{client} at {ours}");
            }
        }
        assert_eq!(READ.load(Ordering::Relaxed), 1);
        time.advance(GOOD);
        assert_eq!(between("192.0.2.1", "192.0.2.7"), 2);
        assert_eq!(READ.load(Ordering::Relaxed), 2);
        // It has just come.
        assert_eq!(between("198.51.100.1", "203.0.113.7"), 6);
        assert_eq!(between("198.51.100.1", "198.51.100.7"), 6);
        assert_eq!(READ.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn loopback_is_an_interface_of_this_machine() {
        let loopback = nix::net::if_::if_nametoindex("lo").unwrap();
        let interfaces = Interfaces::new(Clock::system());
        let [ours, client] = [[127, 0, 0, 1], [127, 9, 0, 5]].map(IpAddr::from);
        let up = read().iter().any(|it| it.interface == loopback);
        assert_eq!(
            interfaces.between(ours, client),
            if up { loopback } else { 0 }
        );
    }
}
