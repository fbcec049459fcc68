//! Who is asking: from what can be seen of a query to a device.
//!
//! # What counts, and in which order
//!
//! 1. What something in front of us that we trust says: the id that came with the connection
//!    ([`Origin::id`]), then what a forwarder says of its client ([`Claim`]): its MAC address, the id
//!    of its line or router, that of its subscriber, its address or prefix. Nothing of the
//!    forwarder's own but the address it asked counts for its clients.
//! 2. The MAC address behind the client's address ([`neighbours`]): the kernel's word, then a
//!    lease's, then that of `/etc/ethers`.
//! 3. The client's address, then the longest prefix it lies in.
//! 4. The interface the query came in on, then the address it asked.
//!
//! On encrypted connections a device may show an id of its own ([`IdKind::Device`]), a secret by which
//! it is known outside the home too. It stands between 2 and 3: it names the device where no MAC
//! address does, whatever its address. Where one is seen that belongs to a device, that device it is,
//! whatever id it shows: a child that knows a parent's id is still the child. And where one is seen
//! that is nobody's, an id counts only for a device of which no MAC address is known: whoever makes up
//! a new one does not become somebody else. What contradicts itself so is treated as if no id had
//! been shown. An id that no device has is refused, wherever it comes from.
//!
//! What nobody named is the guest.
//!
//! A device that is known by MAC address is not known by its address as well: its address counts
//! only while no MAC address can be seen behind it. So a child that takes the address of a parent's
//! computer is still the child, and a child whose tablet makes up a new MAC address is a guest, not
//! whoever had the address before. Many addresses behind one MAC address (a repeater that lends others
//! its own) change nothing in that, since any machine can take four addresses: it is told of, and
//! devices behind one that nobody named are known by address if that is all that was said of them.

pub mod claim;
pub mod lease;
pub mod names;
pub mod neighbours;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;

pub use self::claim::{Claim, ForeignId, IdKind};
pub use self::lease::{HostName, Lease};
pub use self::names::{Asking, HomeAnswer, HomeNames};

use self::neighbours::Asked;
pub use self::neighbours::{Arrival, Neighbours, Place, Witness};
use crate::config::{self, DeviceMatch, Forwarder};
use crate::hash::{self, Map};
use crate::intern::intern;
use crate::mac::Mac;
use crate::message::Query;

/// Where a query came from, as far as it can be seen from the packet or the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, IPv4 in its own form.
    pub client: IpAddr,
    /// The kernel's number of the interface it came in on; 0 if unknown, or not the client's.
    pub interface: u32,
    /// Which of the listening addresses it asked.
    pub listener: u16,
    /// How its address is known.
    pub via: Via,
    /// What the connection calls the client, for all its queries.
    pub id: Option<ForeignId>,
}

/// What stands between a client and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Nothing that would hide it: the address is the packet's.
    Nothing,
    /// A load balancer, which says the client's address. The kernel need not know it.
    Teller,
    /// A load balancer that does not say who its client is; the address is its own.
    Veil,
}

impl Origin {
    /// That of a packet which speaks for itself.
    pub const fn new(client: IpAddr, interface: u32, listener: u16) -> Self {
        Self {
            client,
            interface,
            listener,
            via: Via::Nothing,
            id: None,
        }
    }
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
    /// By ids that forwarders say and by devices' own.
    by_id: HashMap<ForeignId, u16>,
    /// Whether any of them is a device's own.
    has_ids: bool,
    by_address: Map<IpAddr, u16>,
    /// Longest first.
    by_prefix: Vec<(IpNet, u16)>,
    by_interface: Vec<(String, u16)>,
    /// Which of those a number of the kernel's means.
    numbered: ArcSwap<Numbered>,
    by_listener: HashMap<u16, u16>,
    /// Whose word about its clients counts, the longest prefix first.
    forwarders: Vec<(IpNet, Speaker)>,
}

/// A forwarder, with the numbers of its MAC addresses.
#[derive(Clone, Debug)]
struct Speaker {
    forwarder: Forwarder,
    macs: Vec<neighbours::MacId>,
}

/// Which interfaces the kernel's numbers mean, as far as it was asked.
#[derive(Clone, Debug, Default)]
struct Numbered {
    /// As [`Neighbours::interface_changes`] said then.
    since: u32,
    /// Each number with a place among [`Devices::by_interface`], or none of them.
    places: Vec<(u32, Option<usize>)>,
}

/// How many numbers of interfaces are kept.
const MAX_NUMBERED: usize = 64;

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
    /// An id of its own, shown on an encrypted connection.
    Id,
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
            Self::Mac(..) | Self::Claim(_) | Self::Id => Confidence::Medium,
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
            Self::Id => f.write_str("its id"),
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
            by_id: HashMap::new(),
            has_ids: false,
            by_address: hash::map(),
            by_prefix: Vec::new(),
            by_interface: Vec::new(),
            numbered: ArcSwap::default(),
            by_listener: HashMap::new(),
            forwarders: Vec::new(),
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

    /// The same, believing `forwarders` what they say of their clients.
    pub fn with_forwarders(mut self, forwarders: &[Forwarder]) -> Self {
        let neighbours = &self.neighbours;
        let each = forwarders.iter().flat_map(|forwarder| {
            let macs = forwarder.macs.iter();
            let speaker = Speaker {
                forwarder: forwarder.clone(),
                macs: macs.filter_map(|mac| neighbours.name(*mac)).collect(),
            };
            let addresses = forwarder.addresses.iter();
            addresses.map(move |net| (*net, speaker.clone()))
        });
        self.forwarders = each.collect();
        self.forwarders
            .sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        self
    }

    /// The forwarder that opened the connection of `origin`; none where another has its address.
    pub fn forwarder(&self, origin: &Origin) -> Option<&Forwarder> {
        let speaker = self.speaker(origin.client)?;
        (self.is_itself(speaker, origin) == Some(true)).then_some(&speaker.forwarder)
    }

    /// What a forwarder says of the client it asks for; none when somebody asks for himself.
    pub fn claim(&self, origin: &Origin, query: &Query<'_>) -> Option<Claim> {
        // A load balancer that hides its clients hands on what they wrote.
        if self.forwarders.is_empty() || origin.via == Via::Veil {
            return None;
        }
        let speaker = self.speaker(origin.client)?;
        match self.is_itself(speaker, origin) {
            Some(true) => Claim::read(query, &speaker.forwarder),
            // Another has its address, or it is waited for and asked again.
            Some(false) => None,
            None if self.could_be_seen(origin) => None,
            // Nobody can tell: what it says does not count, and its own is not its client's.
            None => Some(Claim {
                is_void: true,
                ..Claim::default()
            }),
        }
    }

    /// Whether who asks from a forwarder's address is that forwarder; none if its MAC address cannot
    /// be seen.
    fn is_itself(&self, speaker: &Speaker, origin: &Origin) -> Option<bool> {
        if speaker.forwarder.macs.is_empty() {
            return Some(true);
        }
        let place = Place::new(origin.client, origin.interface);
        let seen = self.neighbours.find(place)?.by(Witness::Kernel)?;
        Some(speaker.macs.contains(&seen))
    }

    fn speaker(&self, address: IpAddr) -> Option<&Speaker> {
        let mut forwarders = self.forwarders.iter();
        let (_, speaker) = forwarders.find(|(net, _)| net.contains(&address))?;
        Some(speaker)
    }

    /// Whether a program on this machine asks, for itself as far as anybody knows.
    pub fn is_this_machine(&self, origin: &Origin) -> bool {
        origin.client.is_loopback()
            && origin.via == Via::Nothing
            && self.speaker(origin.client).is_none()
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
            DeviceMatch::CpeId(id) => self.add_id(IdKind::Cpe, id, index),
            DeviceMatch::Subscriber(id) => self.add_id(IdKind::Subscriber, id, index),
            DeviceMatch::Id(id) => {
                self.add_id(IdKind::Device, id, index);
                self.has_ids = true;
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

    /// Takes in what the kernel told of its neighbours until now. Whoever reads queries calls this
    /// when some have arrived and before [`Self::identify`] looks at any of them: a change the kernel
    /// told of before they came must not be overtaken by them.
    #[inline]
    pub fn catch_up(&self) {
        if self.is_told_by_mac() {
            self.neighbours.catch_up();
        }
    }

    fn add_id(&mut self, kind: IdKind, id: &str, index: u16) {
        // `Config` holds none that is empty or too long.
        if let Some(id) = ForeignId::new(kind, id.as_bytes()) {
            self.by_id.insert(id, index);
        }
    }

    /// Whose query it is, with one hash look-up for a client whose MAC address somebody named.
    pub fn identify(&self, origin: &Origin, claim: Option<&Claim>) -> Who {
        if let Some(who) = self.identify_told(origin, claim) {
            return who;
        }
        let known = self
            .neighbours
            .find(Place::new(origin.client, origin.interface));
        let best = known.and_then(neighbours::Known::best);
        let is_seen = best.is_some_and(|(_, witness)| witness == Witness::Kernel);
        if !is_seen && self.could_be_seen(origin) {
            return Who::Unseen;
        }
        self.neighbours.note_sight(origin.client, best.is_some());
        self.decide(origin, best)
    }

    /// The same after the kernel was asked. Whom it does not see where it could is none of those
    /// that are known by MAC address, whatever a lease says: who does not answer the kernel in time
    /// must not gain by it.
    pub fn settle(&self, origin: &Origin, claim: Option<&Claim>) -> Option<u16> {
        let who = self.identify_told(origin, claim).unwrap_or_else(|| {
            let known = self
                .neighbours
                .find(Place::new(origin.client, origin.interface));
            let best = known.and_then(neighbours::Known::best);
            let is_seen = best.is_some_and(|(_, witness)| witness == Witness::Kernel);
            if !is_seen && self.could_be_seen(origin) {
                self.without_mac(origin)
            } else {
                self.decide(origin, best)
            }
        });
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
            self.catch_up();
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
            let own = self.own_id(origin).map(Who::Device);
            return own.unwrap_or_else(|| self.by_where(origin, |_| true));
        };
        let of_mac = self.of_mac.get(id.index()).copied();
        let named = of_mac.filter(|index| *index != NOBODY);
        if let Some(index) = named {
            return Who::Device(index);
        }
        // Its MAC address is seen, and is none of those that such a device has.
        self.without_mac(origin)
    }

    /// Who it is among the devices of which no MAC address is known.
    fn without_mac(&self, origin: &Origin) -> Who {
        let may_be = |device: &Device| !device.has_mac;
        let own = self.own_id(origin);
        let own = own.filter(|index| self.device(*index).is_some_and(may_be));
        own.map_or_else(|| self.by_where(origin, may_be), Who::Device)
    }

    /// The device whose own id the connection showed.
    fn own_id(&self, origin: &Origin) -> Option<u16> {
        let id = origin.id.filter(|id| id.kind() == IdKind::Device)?;
        self.by_id.get(&id).copied()
    }

    /// Whether the id that a client showed as a device's own is one; none if it showed none.
    ///
    /// The look-up is by a hash with a key that nobody knows, so that its time tells nothing of how
    /// much of an id is right.
    pub fn shows_id(&self, origin: &Origin) -> Option<bool> {
        let id = origin.id.filter(|id| id.kind() == IdKind::Device)?;
        Some(self.by_id.contains_key(&id))
    }

    /// Whether any device has an id of its own: only then can somebody from outside be served.
    pub fn has_ids(&self) -> bool {
        self.has_ids
    }

    /// Notes that a guest asked, so that somebody hears of him; see
    /// [`Neighbours::note_stranger`].
    pub fn note_guest(&self, origin: &Origin, claim: Option<&Claim>) {
        let place = Place::new(origin.client, origin.interface);
        let arrival = match claim {
            // What is known of a forwarder says nothing of its clients.
            None if origin.via == Via::Veil => return,
            Some(claim) if claim.is_void => return,
            Some(claim) => match (claim.mac, claim.address()) {
                (Some(mac), _) => Arrival::Claimed(mac),
                (None, Some(address)) => Arrival::Address(Place::new(address, 0)),
                (None, None) => return,
            },
            None => match self
                .neighbours
                .find(place)
                .and_then(neighbours::Known::best)
            {
                Some((id, _)) => Arrival::Mac(id),
                None => Arrival::Address(place),
            },
        };
        self.neighbours.note_stranger(arrival);
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

    /// Who it is by what something in front of us says; none when that leaves it to the packet.
    fn identify_told(&self, origin: &Origin, claim: Option<&Claim>) -> Option<Who> {
        if let Some(index) = told_id(origin).and_then(|id| self.by_id.get(&id)) {
            return Some(Who::Device(*index));
        }
        match (claim, origin.via) {
            (Some(claim), _) => Some(self.identify_claimed(origin, claim)),
            (None, Via::Veil) => Some(self.identify_claimed(origin, &Claim::default())),
            (None, Via::Nothing | Via::Teller) => None,
        }
    }

    /// Who it is by what its forwarder says. A client that is named by none of it is a guest: what
    /// is known of the forwarder itself says nothing of those behind it, but for the address it
    /// asked, which an admin may give to one forwarder alone.
    fn identify_claimed(&self, origin: &Origin, claim: &Claim) -> Who {
        // Forwarders remember MAC addresses, some for a minute and a half; what the kernel saw of the
        // same address is newer.
        if let (Some(mac), Some(address)) = (claim.mac, claim.address())
            && let Some(seen) = self.neighbours.find(Place::new(address, 0))
            && let Some(id) = seen.by(Witness::Kernel)
            && self.neighbours.mac(id) != Some(mac)
        {
            return Who::Guest;
        }
        let fits = |index: &&u16| {
            let device = self.device(**index);
            device.is_some_and(|device| claim.mac.is_none() || !device.has_mac)
        };
        let by_id = |id: Option<ForeignId>| self.by_id.get(&id?);
        let found = claim
            .mac
            .and_then(|mac| self.by_mac.get(&mac))
            .or_else(|| by_id(claim.cpe))
            .or_else(|| by_id(claim.subscriber))
            .or_else(|| self.by_address.get(&claim.address()?).filter(fits))
            .or_else(|| {
                let client = claim.address().map_or(claim.client?, IpNet::from);
                let mut prefixes = self.by_prefix.iter();
                let holds = |it: &&(IpNet, u16)| it.0.contains(&client) && fits(&&it.1);
                Some(&prefixes.find(holds)?.1)
            })
            .or_else(|| self.by_listener.get(&origin.listener).filter(fits));
        found.map_or(Who::Guest, |index| Who::Device(*index))
    }

    /// Whether the kernel could find out the client's MAC address, and it matters. It has to find the
    /// way to whoever sent the packet, and to nobody else.
    fn could_be_seen(&self, origin: &Origin) -> bool {
        origin.via == Via::Nothing
            && self.is_told_by_mac()
            && self.neighbours.can_resolve(origin.client, origin.interface)
    }

    /// Whether any device or forwarder is known by MAC address: only then is one worth waiting for.
    fn is_told_by_mac(&self) -> bool {
        let mut speakers = self.forwarders.iter();
        !self.of_mac.is_empty() || speakers.any(|(_, speaker)| !speaker.macs.is_empty())
    }

    /// How [`Self::settle`] comes to its answer.
    pub fn known_by(&self, origin: &Origin, claim: Option<&Claim>) -> KnownBy {
        if let Some(id) = told_id(origin).filter(|id| self.by_id.contains_key(id)) {
            return KnownBy::Claim(id.to_string());
        }
        let Some(index) = self.settle(origin, claim) else {
            return KnownBy::Nothing;
        };
        if claim.is_some() || origin.via == Via::Veil {
            let claim = claim.copied().unwrap_or_default();
            let unasked = Origin {
                listener: u16::MAX,
                ..*origin
            };
            return match self.identify_claimed(&unasked, &claim) {
                Who::Device(_) => KnownBy::Claim(claim.to_string()),
                Who::Guest | Who::Unseen => KnownBy::Listener,
            };
        }
        let is_it = |other: Option<&u16>| other == Some(&index);
        if let Some((mac, witness)) = self.mac_of(origin)
            && is_it(self.by_mac.get(&mac))
        {
            return KnownBy::Mac(mac, witness);
        }
        if is_it(self.own_id(origin).as_ref()) {
            return KnownBy::Id;
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
        // Interfaces come and go and take others' names and numbers.
        let changes = self.neighbours.interface_changes();
        if let Some(changes) = changes {
            let numbered = self.numbered.load();
            let found = numbered.places.iter().find(|it| it.0 == number);
            if let Some((_, place)) = found.filter(|_| numbered.since == changes) {
                return self.by_interface.get((*place)?);
            }
        }
        let name = nix::net::if_::if_indextoname(number).ok()?;
        let name = name.to_str().ok()?;
        let place = self
            .by_interface
            .iter()
            .position(|(known, _)| known == name);
        if let Some(since) = changes {
            let mut next = Numbered::clone(&self.numbered.load());
            if next.since != since || next.places.len() >= MAX_NUMBERED {
                next.places.clear();
            }
            next.since = since;
            next.places.push((number, place));
            self.numbered.store(Arc::new(next));
        }
        self.by_interface.get(place?)
    }
}

/// The id that something in front of us gave the client.
fn told_id(origin: &Origin) -> Option<ForeignId> {
    origin.id.filter(|id| id.kind() != IdKind::Device)
}

#[cfg(test)]
mod tests;
