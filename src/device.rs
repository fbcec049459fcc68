//! Who is asking: from the address, interface or listener of a query to a device.
//!
//! The most specific knowledge wins: an address before a prefix, a longer prefix before a shorter,
//! a prefix before the interface, the interface before the listening address. What nobody named is
//! the guest.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::{self, DeviceMatch};
use crate::intern::intern;

/// Where a query came from, as far as it can be seen from the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, IPv4 in its own form.
    pub client: IpAddr,
    /// The kernel's number of the interface it came in on; 0 if unknown.
    pub interface: u32,
    /// Which of the listening addresses it asked.
    pub listener: u16,
}

/// A device as a query sees it.
#[derive(Debug)]
pub struct Device {
    /// Its name.
    pub name: &'static str,
    /// Index of its profile in the snapshot.
    pub profile: u16,
}

/// The devices of a household.
#[derive(Debug)]
pub struct Devices {
    all: Vec<Device>,
    by_address: HashMap<IpAddr, u16>,
    /// Longest first.
    by_prefix: Vec<(IpNet, u16)>,
    by_interface: Vec<(String, u16)>,
    by_listener: HashMap<u16, u16>,
}

/// How a device was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// Its address.
    Address(IpAddr),
    /// A prefix its address lies in.
    Prefix(IpNet),
    /// The interface.
    Interface(String),
    /// The listening address.
    Listener,
    /// Not at all.
    Nothing,
}

impl std::fmt::Display for KnownBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "address {address}"),
            Self::Prefix(prefix) => write!(f, "prefix {prefix}"),
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::Listener => f.write_str("the address it asked"),
            Self::Nothing => f.write_str("nothing: it is a guest"),
        }
    }
}

impl Devices {
    /// The devices of a configuration that listens at `listeners`.
    pub fn new(devices: &[config::Device], listeners: &[config::Listen]) -> Self {
        let mut this = Self {
            all: Vec::with_capacity(devices.len()),
            by_address: HashMap::new(),
            by_prefix: Vec::new(),
            by_interface: Vec::new(),
            by_listener: HashMap::new(),
        };
        for (device, index) in devices.iter().zip(0_u16..) {
            this.all.push(Device {
                name: intern(&device.name),
                profile: device.profile as u16,
            });
            for known_by in &device.matches {
                this.add(known_by, index, listeners);
            }
        }
        this.by_prefix
            .sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.prefix_len()));
        this
    }

    fn add(&mut self, known_by: &DeviceMatch, index: u16, listeners: &[config::Listen]) {
        match known_by {
            DeviceMatch::Net(net) if net.prefix_len() == net.max_prefix_len() => {
                self.by_address.insert(net.addr(), index);
            }
            DeviceMatch::Net(net) => self.by_prefix.push((net.trunc(), index)),
            DeviceMatch::Interface(name) => self.by_interface.push((name.clone(), index)),
            DeviceMatch::Listener(name) => {
                for (listener, place) in listeners.iter().zip(0..) {
                    if listener.name.as_deref() == Some(name) {
                        self.by_listener.insert(place, index);
                    }
                }
            }
        }
    }

    /// The device a query comes from, as an index for [`Self::device`]; none for a guest.
    pub fn identify(&self, origin: &Origin) -> Option<u16> {
        self.by_address
            .get(&origin.client)
            .or_else(|| Some(&self.find_prefix(origin.client)?.1))
            .or_else(|| Some(&self.find_interface(origin.interface)?.1))
            .or_else(|| self.by_listener.get(&origin.listener))
            .copied()
    }

    /// How [`Self::identify`] came to its answer.
    pub fn known_by(&self, origin: &Origin) -> KnownBy {
        if self.by_address.contains_key(&origin.client) {
            KnownBy::Address(origin.client)
        } else if let Some((prefix, _)) = self.find_prefix(origin.client) {
            KnownBy::Prefix(*prefix)
        } else if let Some((name, _)) = self.find_interface(origin.interface) {
            KnownBy::Interface(name.clone())
        } else if self.by_listener.contains_key(&origin.listener) {
            KnownBy::Listener
        } else {
            KnownBy::Nothing
        }
    }

    /// The device at `index`.
    pub fn device(&self, index: u16) -> Option<&Device> {
        self.all.get(usize::from(index))
    }

    /// The device called `name`.
    pub fn find(&self, name: &str) -> Option<u16> {
        let index = self.all.iter().position(|device| device.name == name)?;
        u16::try_from(index).ok()
    }

    fn find_prefix(&self, address: IpAddr) -> Option<&(IpNet, u16)> {
        self.by_prefix
            .iter()
            .find(|(prefix, _)| prefix.contains(&address))
    }

    fn find_interface(&self, number: u32) -> Option<&(String, u16)> {
        if self.by_interface.is_empty() || number == 0 {
            return None;
        }
        // Asked of the kernel each time, since interfaces come and go and take others' numbers;
        // one system call, and only in homes that tell devices apart by interface.
        let name = nix::net::if_::if_indextoname(number).ok()?;
        let name = name.to_str().ok()?;
        self.by_interface.iter().find(|(known, _)| known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, matches: Vec<DeviceMatch>) -> config::Device {
        config::Device {
            name: name.to_owned(),
            profile: 0,
            matches,
            rules: config::Rules::default(),
        }
    }

    fn net(text: &str) -> DeviceMatch {
        DeviceMatch::Net(text.parse().unwrap())
    }

    fn from(address: &str) -> Origin {
        Origin {
            client: address.parse().unwrap(),
            interface: 0,
            listener: 0,
        }
    }

    #[test]
    fn the_most_specific_match_wins() {
        let listeners = [config::Listen {
            address: "127.0.0.1:53".parse().unwrap(),
            name: Some("kids".to_owned()),
        }];
        let devices = Devices::new(
            &[
                device("home", vec![net("192.168.1.0/24"), net("2001:db8::/32")]),
                device("kids", vec![net("192.168.1.64/26")]),
                device(
                    "tablet",
                    vec![net("192.168.1.70/32"), net("2001:db8::7/128")],
                ),
                device("asked-kids", vec![DeviceMatch::Listener("kids".to_owned())]),
            ],
            &listeners,
        );
        for (address, expected) in [
            ("192.168.1.70", "tablet"),
            ("192.168.1.71", "kids"),
            ("192.168.1.1", "home"),
            ("2001:db8::7", "tablet"),
            ("2001:db8::8", "home"),
            ("10.0.0.1", "asked-kids"),
        ] {
            let index = devices.identify(&from(address)).unwrap();
            assert_eq!(devices.device(index).unwrap().name, expected, "{address}");
        }
        let elsewhere = Origin {
            listener: 1,
            ..from("10.0.0.1")
        };
        assert_eq!(devices.identify(&elsewhere), None);
        assert_eq!(
            devices.known_by(&from("192.168.1.71")).to_string(),
            "prefix 192.168.1.64/26"
        );
    }

    #[test]
    fn the_loopback_interface_is_known_by_name() {
        let by_interface = vec![DeviceMatch::Interface("lo".to_owned())];
        let devices = Devices::new(&[device("here", by_interface)], &[]);
        let number = nix::net::if_::if_nametoindex("lo").unwrap();
        let origin = Origin {
            interface: number,
            ..from("203.0.113.1")
        };
        assert_eq!(devices.identify(&origin), Some(0));
        assert_eq!(devices.identify(&from("203.0.113.1")), None);
    }
}
