//! Who is asking: from what can be seen of a query to a device.
//!
//! # What counts, and in which order
//!
//! 1. What a forwarder we trust says of its client ([`Claim`]).
//! 2. The MAC address behind the client's address ([`neighbours`]): the kernel's word, then a
//!    lease's, then that of `/etc/ethers`.
//! 3. The client's address, then the longest prefix it lies in.
//! 4. The interface the query came in on, then the address it asked.
//!
//! What nobody named is the guest.
//!
//! A device that is known by MAC address is not known by its address as well: its address counts
//! only while no MAC address can be seen behind it. So a child that takes the address of a parent's
//! computer is still the child, and a child whose tablet makes up a new MAC address is a guest, not
//! whoever had the address before. That holds even where others seem to stand behind a MAC address
//! (a repeater that lends them its own): whoever gives a machine some more addresses looks the same.
//! Behind an unnamed repeater, devices are told apart by address if they are named by nothing else.

pub mod claim;
pub mod lease;
pub mod neighbours;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

pub use self::claim::Claim;
pub use self::lease::{HostName, Lease};

use self::neighbours::Asked;
pub use self::neighbours::{Neighbours, Place, Witness};
use crate::config::{self, DeviceMatch};
use crate::intern::intern;
use crate::mac::Mac;

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
    /// Whether it is known by MAC address, so that its addresses alone do not make it.
    has_mac: bool,
}

/// The devices of a household.
#[derive(Debug)]
pub struct Devices {
    all: Vec<Device>,
    /// The living table, which outlives this generation of devices.
    neighbours: Arc<Neighbours>,
    /// By number of the MAC address: the device, or [`NOBODY`]. Shorter than there are numbers.
    of_mac: Vec<u16>,
    by_mac: HashMap<Mac, u16>,
    by_address: HashMap<IpAddr, u16>,
    /// Longest first.
    by_prefix: Vec<(IpNet, u16)>,
    by_interface: Vec<(String, u16)>,
    by_listener: HashMap<u16, u16>,
}

/// No device.
const NOBODY: u16 = u16::MAX;

/// Whose query it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// That of the device with this index.
    Device(u16),
    /// A guest's.
    Guest,
    /// Somebody's whose address the kernel has not resolved yet: see [`Devices::wait_for`].
    Unseen,
}

/// How a device was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// What a trusted forwarder said of it, in words.
    Claim(String),
    /// The MAC address behind its address.
    Mac(Mac, Witness),
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

/// How sure it is that a device is the one it was recognised as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It was not recognised.
    None,
    /// Whoever sits in the right place is it: a prefix, an interface, an address.
    Low,
    /// Somebody who should know says so: a lease, a forwarder.
    Medium,
    /// The kernel has spoken with it.
    High,
}

impl Confidence {
    /// As people read it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl KnownBy {
    /// How sure that is.
    pub const fn confidence(&self) -> Confidence {
        match self {
            Self::Mac(_, Witness::Kernel) => Confidence::High,
            Self::Mac(..) | Self::Claim(_) => Confidence::Medium,
            Self::Address(_) | Self::Prefix(_) | Self::Interface(_) | Self::Listener => {
                Confidence::Low
            }
            Self::Nothing => Confidence::None,
        }
    }
}

impl fmt::Display for KnownBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(said) => write!(f, "what its forwarder says: {said}"),
            Self::Mac(mac, witness) => write!(f, "MAC address {mac} ({})", witness.label()),
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
    pub fn new(
        devices: &[config::Device],
        listeners: &[config::Listen],
        neighbours: Arc<Neighbours>,
    ) -> Self {
        let mut this = Self {
            all: Vec::with_capacity(devices.len()),
            neighbours,
            of_mac: Vec::new(),
            by_mac: HashMap::new(),
            by_address: HashMap::new(),
            by_prefix: Vec::new(),
            by_interface: Vec::new(),
            by_listener: HashMap::new(),
        };
        for (device, index) in devices.iter().zip(0_u16..) {
            let is_mac = |it: &DeviceMatch| matches!(it, DeviceMatch::Mac(_));
            this.all.push(Device {
                name: intern(&device.name),
                profile: device.profile as u16,
                has_mac: device.matches.iter().any(is_mac),
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
            DeviceMatch::Mac(mac) => {
                self.by_mac.insert(*mac, index);
                // Only a household with thousands of MAC addresses in its configuration gets none.
                if let Some(id) = self.neighbours.name(*mac) {
                    let least = id.index() + 1;
                    self.of_mac.resize(self.of_mac.len().max(least), NOBODY);
                    self.of_mac[id.index()] = index;
                }
            }
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

    /// Whose query it is, with one hash look-up for a client whose MAC address somebody named.
    pub fn identify(&self, origin: &Origin, claim: Option<&Claim>) -> Who {
        if let Some(claim) = claim {
            return self.identify_claimed(origin, claim);
        }
        if self.is_told_by_mac() {
            self.neighbours.catch_up();
        }
        let known = self
            .neighbours
            .find(Place::new(origin.client, origin.interface));
        let best = known.and_then(neighbours::Known::best);
        let is_seen = best.is_some_and(|(_, witness)| witness == Witness::Kernel);
        if !is_seen && self.could_be_seen(origin) {
            return Who::Unseen;
        }
        self.decide(origin, best)
    }

    /// The same after the kernel was asked. Whom it does not see where it could is none of those
    /// that are known by MAC address, whatever a lease says: who does not answer the kernel in time
    /// must not gain by it.
    pub fn settle(&self, origin: &Origin, claim: Option<&Claim>) -> Option<u16> {
        let who = match claim {
            Some(claim) => self.identify_claimed(origin, claim),
            None => {
                let known = self
                    .neighbours
                    .find(Place::new(origin.client, origin.interface));
                let best = known.and_then(neighbours::Known::best);
                let is_seen = best.is_some_and(|(_, witness)| witness == Witness::Kernel);
                if !is_seen && self.could_be_seen(origin) {
                    self.by_where(origin, |device| !device.has_mac)
                } else {
                    self.decide(origin, best)
                }
            }
        };
        match who {
            Who::Device(index) => Some(index),
            Who::Guest | Who::Unseen => None,
        }
    }

    /// Whose query it is, once the kernel has resolved the client's address or does not try; none
    /// when that is not known in time.
    pub async fn wait_for(&self, origin: &Origin) -> Option<Who> {
        // Somebody may make the kernel forget an address as soon as it has found it.
        const LOOKS: usize = 8;
        for _ in 0..LOOKS {
            match self.neighbours.ask(origin.client, origin.interface).await {
                Asked::Seen => {}
                Asked::Hopeless => {
                    let settled = self.settle(origin, None);
                    return Some(settled.map_or(Who::Guest, Who::Device));
                }
                Asked::Late => return None,
            }
            let who = self.identify(origin, None);
            if who != Who::Unseen {
                return Some(who);
            }
        }
        None
    }

    /// Who it is, given the MAC address behind its address.
    fn decide(&self, origin: &Origin, best: Option<(neighbours::MacId, Witness)>) -> Who {
        let Some((id, _)) = best else {
            return self.by_where(origin, |_| true);
        };
        let of_mac = self.of_mac.get(id.index()).copied();
        let named = of_mac.filter(|index| *index != NOBODY);
        if let Some(index) = named {
            return Who::Device(index);
        }
        // Its MAC address is seen, and is none of those that such a device has.
        let who = self.by_where(origin, |device| !device.has_mac);
        if who == Who::Guest {
            self.neighbours.note_stranger(id);
        }
        who
    }

    /// Who it is by the place it asks from, among the devices that `may_be` it.
    fn by_where(&self, origin: &Origin, may_be: impl Fn(&Device) -> bool) -> Who {
        let fits = |index: &&u16| self.device(**index).is_some_and(&may_be);
        let found = self
            .by_address
            .get(&origin.client)
            .filter(fits)
            .or_else(|| {
                let mut prefixes = self.by_prefix.iter();
                let holds = |it: &&(IpNet, u16)| it.0.contains(&origin.client) && fits(&&it.1);
                Some(&prefixes.find(holds)?.1)
            })
            .or_else(|| Some(&self.find_interface(origin.interface)?.1).filter(fits))
            .or_else(|| self.by_listener.get(&origin.listener).filter(fits));
        found.map_or(Who::Guest, |index| Who::Device(*index))
    }

    /// Who it is by what its forwarder says. A client that is named by none of it is a guest: what
    /// is known of the forwarder itself says nothing of those behind it.
    fn identify_claimed(&self, origin: &Origin, claim: &Claim) -> Who {
        let by_mac = claim.mac.and_then(|mac| self.by_mac.get(&mac));
        if let Some(index) = by_mac {
            return Who::Device(*index);
        }
        match claim.address {
            Some(client) => {
                let origin = Origin { client, ..*origin };
                self.by_where(&origin, |device| claim.mac.is_none() || !device.has_mac)
            }
            None => Who::Guest,
        }
    }

    /// Whether the kernel could find out the client's MAC address, and it matters.
    fn could_be_seen(&self, origin: &Origin) -> bool {
        self.is_told_by_mac() && self.neighbours.can_resolve(origin.client, origin.interface)
    }

    /// Whether any device is known by MAC address: only then is one worth waiting for.
    const fn is_told_by_mac(&self) -> bool {
        !self.of_mac.is_empty()
    }

    /// How [`Self::settle`] comes to its answer.
    pub fn known_by(&self, origin: &Origin, claim: Option<&Claim>) -> KnownBy {
        if let Some(claim) = claim {
            return match self.identify_claimed(origin, claim) {
                Who::Device(_) => KnownBy::Claim(claim.to_string()),
                Who::Guest | Who::Unseen => KnownBy::Nothing,
            };
        }
        let Some(index) = self.settle(origin, None) else {
            return KnownBy::Nothing;
        };
        let is_it = |other: Option<&u16>| other == Some(&index);
        if let Some((mac, witness)) = self.mac_of(origin)
            && is_it(self.by_mac.get(&mac))
        {
            return KnownBy::Mac(mac, witness);
        }
        let mut prefixes = self.by_prefix.iter();
        let holds = |it: &&(IpNet, u16)| it.0.contains(&origin.client) && it.1 == index;
        if is_it(self.by_address.get(&origin.client)) {
            KnownBy::Address(origin.client)
        } else if let Some((prefix, _)) = prefixes.find(holds) {
            KnownBy::Prefix(*prefix)
        } else if let Some((name, _)) = self
            .find_interface(origin.interface)
            .filter(|it| it.1 == index)
        {
            KnownBy::Interface(name.clone())
        } else {
            KnownBy::Listener
        }
    }

    /// The MAC address behind a client's address, and who says so.
    pub fn mac_of(&self, origin: &Origin) -> Option<(Mac, Witness)> {
        let place = Place::new(origin.client, origin.interface);
        let (id, witness) = self.neighbours.find(place)?.best()?;
        Some((self.neighbours.mac(id)?, witness))
    }

    /// The living table of neighbours.
    pub const fn neighbours(&self) -> &Arc<Neighbours> {
        &self.neighbours
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

    fn on_link(net: &str) -> neighbours::Link {
        neighbours::Link {
            interface: 3,
            net: net.parse().unwrap(),
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
            Neighbours::new().0,
        );
        for (address, expected) in [
            ("192.168.1.70", "tablet"),
            ("192.168.1.71", "kids"),
            ("192.168.1.1", "home"),
            ("2001:db8::7", "tablet"),
            ("2001:db8::8", "home"),
            ("10.0.0.1", "asked-kids"),
        ] {
            let index = devices.settle(&from(address), None).unwrap();
            assert_eq!(devices.device(index).unwrap().name, expected, "{address}");
        }
        let elsewhere = Origin {
            listener: 1,
            ..from("10.0.0.1")
        };
        assert_eq!(devices.identify(&elsewhere, None), Who::Guest);
        assert_eq!(
            devices.known_by(&from("192.168.1.71"), None).to_string(),
            "prefix 192.168.1.64/26"
        );
    }

    #[test]
    fn the_loopback_interface_is_known_by_name() {
        let by_interface = vec![DeviceMatch::Interface("lo".to_owned())];
        let devices = Devices::new(&[device("here", by_interface)], &[], Neighbours::new().0);
        let number = nix::net::if_::if_nametoindex("lo").unwrap();
        let origin = Origin {
            interface: number,
            ..from("203.0.113.1")
        };
        assert_eq!(devices.identify(&origin, None), Who::Device(0));
        assert_eq!(devices.identify(&from("203.0.113.1"), None), Who::Guest);
    }

    fn mac(last: u8) -> Mac {
        Mac::new([0x02, 0, 0x5e, 0x10, 0, last]).unwrap()
    }

    fn by_mac(last: u8) -> DeviceMatch {
        DeviceMatch::Mac(mac(last))
    }

    /// A child's tablet and a parent's laptop that are known by MAC address, a printer by address.
    fn family() -> (Devices, Arc<Neighbours>) {
        let (neighbours, _) = Neighbours::new();
        let devices = [
            device("tablet", vec![by_mac(1), net("192.168.1.10/32")]),
            device("laptop", vec![by_mac(2), net("192.168.1.20/32")]),
            device("printer", vec![net("192.168.1.30/32")]),
            device("cellar", vec![net("192.168.2.0/24")]),
        ];
        (
            Devices::new(&devices, &[], Arc::clone(&neighbours)),
            neighbours,
        )
    }

    fn sees(neighbours: &Neighbours, witness: Witness, address: &str, last: u8) {
        neighbours.apply([neighbours::Change {
            place: Place::new(address.parse().unwrap(), 0),
            witness,
            mac: Some(mac(last)),
        }]);
    }

    fn name_of(devices: &Devices, address: &str) -> Option<&'static str> {
        let index = devices.settle(&from(address), None)?;
        Some(devices.device(index).unwrap().name)
    }

    #[test]
    fn all_addresses_of_a_mac_address_are_one_device() {
        let (devices, neighbours) = family();
        for address in ["192.168.1.77", "fe80::1", "2001:db8::1", "2001:db8::9999"] {
            sees(&neighbours, Witness::Kernel, address, 1);
            assert_eq!(name_of(&devices, address), Some("tablet"), "{address}");
            let known_by = devices.known_by(&from(address), None);
            assert_eq!(known_by, KnownBy::Mac(mac(1), Witness::Kernel));
            assert_eq!(known_by.confidence(), Confidence::High);
        }
    }

    #[test]
    fn who_takes_the_address_of_another_does_not_become_that_one() {
        let (devices, neighbours) = family();
        assert_eq!(name_of(&devices, "192.168.1.20"), Some("laptop"));
        // The child takes the parent's address.
        sees(&neighbours, Witness::Kernel, "192.168.1.20", 1);
        assert_eq!(name_of(&devices, "192.168.1.20"), Some("tablet"));
        // The child makes up a MAC address, and keeps the parent's address.
        sees(&neighbours, Witness::Kernel, "192.168.1.20", 9);
        assert_eq!(name_of(&devices, "192.168.1.20"), None);
        assert_eq!(
            devices.known_by(&from("192.168.1.20"), None),
            KnownBy::Nothing
        );
        // Who was named by address only is whoever has the address: nothing better was said.
        sees(&neighbours, Witness::Kernel, "192.168.1.30", 9);
        assert_eq!(name_of(&devices, "192.168.1.30"), Some("printer"));
        assert_eq!(
            devices.known_by(&from("192.168.1.30"), None).confidence(),
            Confidence::Low
        );
    }

    #[test]
    fn a_lease_counts_until_the_kernel_says_otherwise() {
        let (devices, neighbours) = family();
        sees(&neighbours, Witness::Lease, "192.168.1.50", 2);
        assert_eq!(name_of(&devices, "192.168.1.50"), Some("laptop"));
        assert_eq!(
            devices.known_by(&from("192.168.1.50"), None).confidence(),
            Confidence::Medium
        );
        sees(&neighbours, Witness::Kernel, "192.168.1.50", 1);
        assert_eq!(name_of(&devices, "192.168.1.50"), Some("tablet"));
    }

    #[test]
    fn with_many_addresses_nobody_becomes_another() {
        let (devices, neighbours) = family();
        let addresses = [10, 20, 30, 40].map(|last| format!("192.168.1.{last}"));
        // A child's tablet that takes others' addresses looks like a repeater with them behind it.
        for address in &addresses {
            sees(&neighbours, Witness::Kernel, address, 1);
        }
        for address in &addresses {
            assert_eq!(name_of(&devices, address), Some("tablet"), "{address}");
        }
        // A repeater that nobody named.
        for address in &addresses {
            sees(&neighbours, Witness::Kernel, address, 9);
        }
        let expected = [None, None, Some("printer"), None];
        for (address, name) in addresses.iter().zip(expected) {
            assert_eq!(name_of(&devices, address), name, "{address}");
        }
    }

    #[test]
    fn only_somebody_on_our_link_is_waited_for() {
        let (devices, neighbours) = family();
        let ask = |address: &str| devices.identify(&from(address), None);
        // Nobody tells us anything: what there is counts.
        assert_eq!(ask("192.168.1.20"), Who::Device(1));
        neighbours.set_watching(true);
        neighbours.set_links(vec![on_link("192.168.1.1/24"), on_link("fe80::1/64")]);
        assert_eq!(ask("192.168.1.20"), Who::Unseen);
        assert_eq!(ask("192.168.1.99"), Who::Unseen);
        let on = |interface| Origin {
            interface,
            ..from("fe80::5")
        };
        assert_eq!(devices.identify(&on(3), None), Who::Unseen);
        // Where there are no neighbours, as behind a tunnel.
        assert_eq!(devices.identify(&on(4), None), Who::Guest);
        for (address, who) in [
            // Routed, this machine itself, and loopback.
            ("192.168.2.5", Who::Device(3)),
            ("192.168.1.1", Who::Guest),
            ("127.0.0.1", Who::Guest),
        ] {
            assert_eq!(ask(address), who, "{address}");
        }
        sees(&neighbours, Witness::Kernel, "192.168.1.99", 9);
        assert_eq!(ask("192.168.1.99"), Who::Guest);
        // Where nobody is known by MAC address there is nothing to wait for.
        let without = [device("printer", vec![net("192.168.1.30/32")])];
        let without = Devices::new(&without, &[], Arc::clone(&neighbours));
        assert_eq!(without.identify(&from("192.168.1.55"), None), Who::Guest);
    }

    #[test]
    fn who_does_not_answer_the_kernel_gains_nothing_by_it() {
        let (devices, neighbours) = family();
        neighbours.set_watching(true);
        neighbours.set_links(vec![on_link("192.168.1.1/24")]);
        sees(&neighbours, Witness::Lease, "192.168.1.10", 1);
        for (address, expected) in [
            // A lease says it is the tablet's, and the laptop has the other.
            ("192.168.1.10", None),
            ("192.168.1.20", None),
            // Known by nothing but its address.
            ("192.168.1.30", Some("printer")),
        ] {
            assert_eq!(name_of(&devices, address), expected, "{address}");
        }
        // Where the kernel cannot be asked, a lease is what there is.
        neighbours.set_watching(false);
        assert_eq!(name_of(&devices, "192.168.1.10"), Some("tablet"));
    }

    #[test]
    fn a_number_that_is_new_since_the_configuration_was_read_is_nobodys() {
        let (devices, neighbours) = family();
        for last in 10..40 {
            sees(&neighbours, Witness::Kernel, "192.168.1.99", last);
            assert_eq!(name_of(&devices, "192.168.1.99"), None);
        }
        // The next configuration names it.
        let later = [device("tablet", vec![by_mac(39)])];
        let later = Devices::new(&later, &[], Arc::clone(&neighbours));
        assert_eq!(name_of(&later, "192.168.1.99"), Some("tablet"));
        assert_eq!(name_of(&devices, "192.168.1.99"), None);
    }
}
