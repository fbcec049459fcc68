//! Names in the home (RFC 8375): `tablet.home.arpa` for a device, and for who told a DHCP server its
//! name, and the other way round, from address to name.
//!
//! A name leads to the addresses that are its device's now: those of its MAC addresses in the living
//! table, and those of its own in the configuration, unless somebody else has them at the moment.
//! Nothing is searched for that: a MAC address knows its addresses, an address its MAC address.
//!
//! What somebody wrote into the configuration counts before `/etc/ethers`, and that before what
//! devices say of themselves: a tablet that calls itself `printer` is not the printer. Of two that
//! say the same, the one that said it first has the name as long as it has a lease.

use std::collections::HashMap;
use std::net::IpAddr;

use super::neighbours::{Known, MacId};
use super::{Devices, HostName, Lease, Place};
use crate::config::{Config, DeviceMatch};
use crate::mac::Mac;
use crate::message::rtype;
use crate::name::{MAX_LABEL, Name, NameBuf, NameRef};

/// The most addresses of one family in an answer: as many as fit into a datagram.
pub const MAX_ADDRESSES: usize = 32;

/// The names of the devices of a configuration.
#[derive(Debug)]
pub struct HomeNames {
    /// None when there are no such names.
    domain: Option<Name>,
    by_label: HashMap<Box<str>, u16>,
    /// By index.
    devices: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    /// None for one whose name is no label, or is another device's already.
    label: Option<Box<str>>,
    macs: Vec<(Mac, MacId)>,
    /// Its addresses in the configuration.
    fixed: Vec<IpAddr>,
}

/// What is answered to a question about the home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeAnswer {
    /// The addresses behind a name, of the family that was asked for.
    Addresses(Vec<IpAddr>),
    /// The name behind an address.
    Pointer(Name),
    /// The name is there, and nothing of the type that was asked for.
    NoData,
    /// There is no such name.
    Nowhere,
}

/// Who asks about the home.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// Its address, if it asks from one.
    pub client: Option<IpAddr>,
    /// Whether it may hear any name: a device that somebody named, or this machine itself.
    pub hears_all: bool,
}

impl HomeNames {
    /// The names of the devices in `config`, which `devices` were made of.
    pub fn new(config: &Config, devices: &Devices) -> Self {
        let domain = config.identity.home_domain.clone();
        let mut by_label = HashMap::new();
        let mut named = Vec::new();
        for (device, index) in config.devices.iter().zip(0_u16..) {
            let label = label_of(&device.name).filter(|label| !by_label.contains_key(&**label));
            if let Some(label) = &label {
                by_label.insert(label.clone(), index);
            }
            let mut entry = Named {
                label,
                macs: Vec::new(),
                fixed: Vec::new(),
            };
            for known_by in &device.matches {
                match known_by {
                    DeviceMatch::Mac(mac) => {
                        let id = devices.neighbours.id(*mac);
                        entry.macs.extend(id.map(|id| (*mac, id)));
                    }
                    DeviceMatch::Net(net) if net.prefix_len() == net.max_prefix_len() => {
                        entry.fixed.push(net.addr());
                    }
                    _ => {}
                }
            }
            named.push(entry);
        }
        Self {
            domain,
            by_label,
            devices: named,
        }
    }

    /// What is answered to a question, if it is about the home.
    pub fn find(
        &self,
        qname: NameRef<'_>,
        qtype: u16,
        devices: &Devices,
        asking: Asking,
    ) -> Option<HomeAnswer> {
        let domain = self.domain.as_ref()?.as_ref();
        if qname.as_wire().ends_with(domain.as_wire()) && qname.is_within(domain) {
            return Some(self.find_name(qname, qtype, domain, devices));
        }
        let address = qname.to_reversed()?;
        let label = self.label_behind(address, devices)?;
        // Whoever is a guest could walk through the addresses and hear what is in the home.
        let may_hear = asking.hears_all || asking.client == Some(address);
        Some(match (label, qtype) {
            (Some(label), rtype::PTR) if may_hear => {
                match NameBuf::below(label.as_str().as_bytes(), domain) {
                    Some(name) => HomeAnswer::Pointer(name.as_ref().to_name()),
                    None => HomeAnswer::Nowhere,
                }
            }
            (Some(_), _) if may_hear => HomeAnswer::NoData,
            _ => HomeAnswer::Nowhere,
        })
    }

    /// What is behind a name in the domain.
    fn find_name(
        &self,
        qname: NameRef<'_>,
        qtype: u16,
        domain: NameRef<'_>,
        devices: &Devices,
    ) -> HomeAnswer {
        if qname == domain {
            return HomeAnswer::NoData;
        }
        let label = qname.labels().next().unwrap_or_default();
        let is_below = qname.parent() == Some(domain);
        let Some(label) = std::str::from_utf8(label).ok().filter(|_| is_below) else {
            return HomeAnswer::Nowhere;
        };
        let wants = |address: &IpAddr| match qtype {
            rtype::A => address.is_ipv4(),
            rtype::AAAA => address.is_ipv6(),
            _ => false,
        };
        let wants_any = matches!(qtype, rtype::A | rtype::AAAA);
        let mut addresses = match self.by_label.get(label) {
            Some(index) if wants_any => self.addresses_of(*index, devices),
            Some(_) => Vec::new(),
            None => {
                let names = devices.neighbours.lease_names();
                let Some(holder) = names.by_name.get(label) else {
                    return HomeAnswer::Nowhere;
                };
                if wants_any {
                    self.addresses_of_holder(holder, devices)
                } else {
                    Vec::new()
                }
            }
        };
        addresses.retain(wants);
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            HomeAnswer::NoData
        } else {
            HomeAnswer::Addresses(addresses)
        }
    }

    /// The addresses that are a device's now.
    fn addresses_of(&self, index: u16, devices: &Devices) -> Vec<IpAddr> {
        let Some(named) = self.devices.get(usize::from(index)) else {
            return Vec::new();
        };
        let seen = named.macs.iter();
        let seen = seen.flat_map(|(mac, id)| devices.neighbours.addresses_of(*mac, *id));
        let all = seen.chain(named.fixed.iter().copied());
        all.filter(|address| can_be_told(*address) && self.holder(*address, devices) == Some(index))
            .collect()
    }

    /// The addresses that belong to whoever has a name by its lease, or by `/etc/ethers`.
    fn addresses_of_holder(&self, holder: &Holder, devices: &Devices) -> Vec<IpAddr> {
        let id = holder.mac.map(|(_, id)| id);
        let mut all = holder.addresses.clone();
        if let Some((mac, id)) = holder.mac {
            all.extend(devices.neighbours.addresses_of(mac, id));
        }
        all.retain(|address| {
            let best = best(*address, devices);
            can_be_told(*address) && best.is_none_or(|best| Some(best) == id)
        });
        all
    }

    /// The name behind an address: none if it is nobody's whom we know, `Some(None)` if that one has
    /// no name.
    fn label_behind(&self, address: IpAddr, devices: &Devices) -> Option<Option<Label>> {
        if !can_be_told(address) {
            return None;
        }
        if let Some(index) = self.holder(address, devices) {
            let named = self.devices.get(usize::from(index));
            let label = named.and_then(|named| named.label.clone());
            return Some(label.map(Label::Device));
        }
        let names = devices.neighbours.lease_names();
        let name = match best(address, devices) {
            Some(id) => {
                let (mac, name) = names.by_mac.get(&id)?;
                // The number may be another's by now.
                devices.neighbours.is(id, *mac).then_some(name)
            }
            None => names.by_address.get(&address),
        }?;
        // A device of the configuration has that name.
        let is_free = !self.by_label.contains_key(name.as_str());
        Some(is_free.then(|| Label::Host(name.clone())))
    }

    /// Which device an address is now; the same decision as for whoever asks from it, as far as it
    /// rests on MAC addresses and single addresses.
    fn holder(&self, address: IpAddr, devices: &Devices) -> Option<u16> {
        let exact = devices.by_address.get(&address).copied();
        let Some(id) = best(address, devices) else {
            return exact;
        };
        let named = devices.of_mac.get(id.index()).copied();
        let named = named.filter(|index| *index != super::NOBODY);
        named.or_else(|| {
            exact.filter(|index| devices.device(*index).is_some_and(|device| !device.has_mac))
        })
    }
}

/// A label to be told.
#[derive(Clone, Debug)]
enum Label {
    Device(Box<str>),
    Host(HostName),
}

impl Label {
    fn as_str(&self) -> &str {
        match self {
            Self::Device(label) => label,
            Self::Host(name) => name.as_str(),
        }
    }
}

/// The MAC address behind an address.
fn best(address: IpAddr, devices: &Devices) -> Option<MacId> {
    let known = devices.neighbours.find(Place::new(address, 0));
    Some(known.and_then(Known::best)?.0)
}

/// Whether an address is of use to others: a link-local one means something on one link only.
const fn can_be_told(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    }
}

/// A device's name as a label: `Mia's Tablet` is `mias-tablet`. Letters beyond ASCII become an
/// A-label, as browsers make of what people type.
pub fn label_of(name: &str) -> Option<Box<str>> {
    let mut label = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            label.push(c);
        } else if !matches!(c, '\'' | '’' | 'ʼ' | '`') && !label.ends_with('-') {
            label.push('-');
        }
    }
    let label = label.trim_matches('-');
    let label = idna::domain_to_ascii(label).ok()?;
    let is_fine = (1..=MAX_LABEL).contains(&label.len())
        && label
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'-');
    is_fine.then(|| label.into())
}

/// What an administrator may not expect of the names of devices, one sentence each.
pub fn doubts(config: &Config) -> Vec<String> {
    let Some(domain) = &config.identity.home_domain else {
        return Vec::new();
    };
    let mut doubts = Vec::new();
    let mut seen: HashMap<Box<str>, &str> = HashMap::new();
    for device in &config.devices {
        let name = &device.name;
        match label_of(name) {
            None => doubts.push(format!(
                "device `{name}` has no name in `{domain}`: nothing of its name can stand there"
            )),
            Some(label) => {
                if let Some(first) = seen.get(&label) {
                    doubts.push(format!(
                        "device `{name}` has no name in `{domain}`: `{label}.{domain}` is device \
                         `{first}`"
                    ));
                } else {
                    seen.insert(label, name);
                }
            }
        }
    }
    doubts
}

/// Which names belong to whom by leases and `/etc/ethers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseNames {
    by_name: HashMap<Box<str>, Holder>,
    by_mac: HashMap<MacId, (Mac, HostName)>,
    /// Of those whose MAC address nobody knows.
    by_address: HashMap<IpAddr, HostName>,
}

/// Who has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    who: Client,
    mac: Option<(Mac, MacId)>,
    /// Its addresses by its leases.
    addresses: Vec<IpAddr>,
}

/// What stays the same of a client from lease to lease.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Client {
    Mac(Mac),
    Id(Box<[u8]>),
    Address(IpAddr),
}

impl Client {
    fn of(lease: &Lease) -> Self {
        match (lease.mac, &lease.client_id) {
            (Some(mac), _) => Self::Mac(mac),
            (None, Some(id)) => Self::Id(id.clone()),
            (None, None) => Self::Address(lease.address),
        }
    }
}

impl LeaseNames {
    /// The names after a look at all leases, where these were the names before.
    pub(super) fn next(
        &self,
        leases: &[Lease],
        by_hand: &[(Mac, HostName)],
        mut id_of: impl FnMut(Mac) -> Option<MacId>,
    ) -> Self {
        let mut next = Self::default();
        for (mac, name) in by_hand {
            let _another_s = next.claim(name, Client::Mac(*mac), &mut id_of).is_none();
        }
        // First those that had their names before.
        let had = |lease: &Lease, name: &HostName| {
            let holder = self.by_name.get(name.as_str());
            holder.is_some_and(|holder| holder.who == Client::of(lease))
        };
        for keeps in [true, false] {
            for lease in leases {
                if let Some(name) = &lease.host_name
                    && had(lease, name) == keeps
                {
                    next.claim_by_lease(name, lease, &mut id_of);
                }
            }
        }
        next
    }

    /// Gives a name to the client of a lease unless another has it.
    fn claim_by_lease(
        &mut self,
        name: &HostName,
        lease: &Lease,
        id_of: &mut impl FnMut(Mac) -> Option<MacId>,
    ) {
        if let Some(holder) = self.claim(name, Client::of(lease), id_of) {
            holder.addresses.push(lease.address);
            if lease.mac.is_none() {
                self.by_address.insert(lease.address, name.clone());
            }
        }
    }

    /// Gives a name to a client unless another has it.
    fn claim(
        &mut self,
        name: &HostName,
        who: Client,
        id_of: &mut impl FnMut(Mac) -> Option<MacId>,
    ) -> Option<&mut Holder> {
        let by_mac = &mut self.by_mac;
        let holder = self.by_name.entry(name.as_str().into()).or_insert_with(|| {
            let mac = match who {
                Client::Mac(mac) => id_of(mac).map(|id| (mac, id)),
                Client::Id(_) | Client::Address(_) => None,
            };
            if let Some((mac, id)) = mac {
                by_mac.entry(id).or_insert_with(|| (mac, name.clone()));
            }
            Holder {
                who: who.clone(),
                mac,
                addresses: Vec::new(),
            }
        });
        (holder.who == who).then_some(holder)
    }
}

#[cfg(test)]
mod tests;
