//! Which MAC address stands behind a client's address: the living table that evidence writes and
//! queries read.
//!
//! Evidence comes in as [`Change`]s, from the kernel's neighbour table, from leases, from
//! `/etc/ethers`. A query finds its client with one hash look-up and no lock: the table is divided
//! into shards, and a change replaces the one shard it is in.
//!
//! A client that nobody has seen yet is asked about with [`Neighbours::ask`]. That waits for the
//! kernel to resolve the address, as the answer to the query would have to anyway: the kernel cannot
//! deliver it before.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot};

use super::lease::{HostName, Lease};
use super::names::LeaseNames;
use crate::hash::{Keyed, keyed};
use crate::mac::Mac;

/// A client's address as one knows it on its link: a link-local address means something on one
/// interface only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place([u8; 16]);

impl Place {
    /// The address, IPv4 or IPv6, seen on the interface with this number of the kernel.
    pub fn new(address: IpAddr, interface: u32) -> Self {
        let address = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let mut octets = address.octets();
        // Octets 2 to 7 of a link-local address are zero (RFC 4291 section 2.5.6). One of which they
        // are not stays itself, so that it is taken for no other.
        if address.is_unicast_link_local() && octets[2..8] == [0; 6] {
            octets[2..6].copy_from_slice(&interface.to_be_bytes());
        }
        Self(octets)
    }

    /// The address, and for a link-local one the interface.
    pub fn address(self) -> (IpAddr, Option<u32>) {
        let mut octets = self.0;
        let address = Ipv6Addr::from(octets);
        if !address.is_unicast_link_local() {
            return (IpAddr::V6(address).to_canonical(), None);
        }
        let interface = u32::from_be_bytes([octets[2], octets[3], octets[4], octets[5]]);
        octets[2..6].fill(0);
        (IpAddr::V6(octets.into()), Some(interface))
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address() {
            (address, None) => write!(f, "{address}"),
            (address, Some(interface)) => write!(f, "{address}%{interface}"),
        }
    }
}

/// Who says which MAC address stands behind an address, the best witness first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Witness {
    /// The kernel's neighbour table.
    Kernel,
    /// A DHCP server's leases: who was given the address, not who uses it.
    Lease,
    /// `/etc/ethers`.
    Ethers,
}

impl Witness {
    /// How many there are.
    const COUNT: usize = 3;

    /// As people read it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Kernel => "neighbour table",
            Self::Lease => "DHCP lease",
            Self::Ethers => "/etc/ethers",
        }
    }
}

/// Something that a witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The address.
    pub place: Place,
    /// Who says it.
    pub witness: Witness,
    /// The MAC address behind it; none when it is no longer known.
    pub mac: Option<Mac>,
}

/// The number of a MAC address for the life of the process; one that the configuration names is
/// never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacId(u16);

impl MacId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What each witness says, or [`NOBODY`].
    by: [u16; Witness::COUNT],
}

/// No MAC address.
const NOBODY: u16 = u16::MAX;

impl Known {
    const NOTHING: Self = Self {
        by: [NOBODY; Witness::COUNT],
    };

    /// The MAC address of the best witness, and who that is.
    #[inline]
    pub fn best(self) -> Option<(MacId, Witness)> {
        const ORDER: [Witness; Witness::COUNT] = [Witness::Kernel, Witness::Lease, Witness::Ethers];
        let mut said = self.by.into_iter().zip(ORDER);
        said.find_map(|(id, witness)| (id != NOBODY).then_some((MacId(id), witness)))
    }

    /// What one witness says.
    pub fn by(self, witness: Witness) -> Option<MacId> {
        let id = self.by[witness as usize];
        (id != NOBODY).then_some(MacId(id))
    }
}

/// An address of this machine, with the prefix that is on its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of the interface.
    pub interface: u32,
    /// The address and its prefix.
    pub net: IpNet,
}

/// Where the kernel's word comes from.
pub trait Feed: std::fmt::Debug + Send + Sync {
    /// Enters what the kernel told until now, without waiting for it.
    fn catch_up(&self, table: &Neighbours);
}

/// Somebody wants to know who is behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The address, IPv4 in its own form.
    pub address: IpAddr,
    /// The interface its query came in on; 0 if unknown.
    pub interface: u32,
}

/// What came of asking the kernel for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It was resolved; by now it may be forgotten again.
    Seen,
    /// The kernel does not even try: the way to that address is another. Or its MAC address has more
    /// addresses than are remembered.
    Hopeless,
    /// Not in time. Whom the kernel does not find it cannot bring an answer either.
    Late,
}

/// How many MAC addresses are remembered.
pub const MAX_MACS: usize = 4_096;
/// How many addresses are remembered. Kernels keep 1,024 for each family unless told otherwise.
pub const MAX_PLACES: usize = 16_384;
/// How many addresses of one MAC address are remembered.
pub const MAX_PLACES_OF_ONE: u16 = 256;
/// How many leases are remembered.
pub const MAX_LEASES: usize = 4_096;
/// A MAC address with so many IPv4 addresses is a router or a repeater with others behind it.
pub const SHARED: u16 = 4;
/// How many queries may wait at a time until their client is known.
const MAX_WAITING: usize = 256;
/// How many of them may wait for the same address.
const MAX_WAITING_FOR_ONE: usize = 8;
/// After how many questions in a row from beyond our links it is said that nobody can be seen.
const OUT_OF_SIGHT: u32 = 64;
/// How long a query waits until its client is known. Kernels give up after three seconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Parts of the table, a power of two.
const SHARDS: usize = 64;

/// How many addresses without a MAC address are remembered as told, a power of two.
const TOLD: usize = 1_024;

/// Bit of a MAC address's marks: it asked something.
const ASKED: u8 = 1;
/// Bit of a MAC address's marks: others stand behind it.
const IS_SHARED: u8 = 2;

/// Somebody nobody named, who asked something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// The MAC address with this number.
    Mac(MacId),
    /// A MAC address that a forwarder told.
    Claimed(Mac),
    /// An address behind which no MAC address can be seen.
    Address(Place),
}
/// A pointer that is as wide as others.
type FeedHandle = Arc<dyn Feed>;

type Shard = HashMap<Place, Known, Keyed>;

/// The living table.
#[derive(Debug)]
pub struct Neighbours {
    hasher: Keyed,
    shards: Box<[ArcSwap<Shard>]>,
    /// By number of the MAC address.
    marks: Box<[AtomicU8]>,
    /// The addresses of each, by its number; none while it has none.
    places_of: Box<[ArcSwapOption<PlacesOf>]>,
    links: ArcSwap<Vec<Link>>,
    /// Counts when interfaces of this machine may have come, gone or got another name.
    interface_changes: AtomicU32,
    leases: ArcSwap<Vec<Lease>>,
    /// Names that somebody gave to MAC addresses by hand.
    host_names: ArcSwap<Vec<(Mac, HostName)>>,
    /// What follows from those two.
    lease_names: ArcSwap<LeaseNames>,
    /// Whether the kernel tells us.
    is_watching: AtomicBool,
    /// How many questions in a row came from beyond our links; no more than [`OUT_OF_SIGHT`].
    out_of_sight: AtomicU32,
    /// What of it nobody has read yet.
    feed: ArcSwapOption<FeedHandle>,
    state: Mutex<State>,
    requests: mpsc::Sender<Request>,
    /// What was told of addresses without a MAC address: a part of their hash, in the place that
    /// another part says. Two that share a place are told of more than once, which does no harm.
    told: Box<[AtomicU32]>,
    /// Whoever nobody named and asked for the first time.
    arrivals: mpsc::Sender<Arrival>,
}

/// The addresses of a MAC address.
#[derive(Debug)]
struct PlacesOf {
    /// Whose they are: a number is another's one day.
    mac: Mac,
    places: Vec<Place>,
}

/// The other ends of the table's channels, for whoever serves it.
#[derive(Debug)]
pub struct Service {
    /// Addresses to be resolved.
    pub requests: mpsc::Receiver<Request>,
    /// Whoever nobody named and asked for the first time; now and then for the second.
    pub arrivals: mpsc::Receiver<Arrival>,
}

#[derive(Debug, Default)]
struct State {
    ids: HashMap<Mac, MacId>,
    macs: Vec<MacEntry>,
    free: Vec<MacId>,
    /// How many addresses there are.
    places: usize,
    waiting: HashMap<Place, Vec<oneshot::Sender<()>>>,
    waiters: usize,
}

#[derive(Debug)]
struct MacEntry {
    mac: Mac,
    /// Named by a configuration of this process.
    is_named: bool,
    /// How many addresses a witness says it has.
    places: u16,
    /// How many of them are IPv4 ones that the kernel says.
    kernel_v4: u16,
}

impl Neighbours {
    /// An empty table.
    pub fn new() -> (Arc<Self>, Service) {
        let (requests, served) = mpsc::channel(MAX_WAITING);
        let (arrivals, arrived) = mpsc::channel(64);
        let hasher = keyed();
        let shards = (0..SHARDS).map(|_| {
            let shard: Shard = HashMap::with_hasher(hasher.clone());
            ArcSwap::from_pointee(shard)
        });
        let this = Self {
            shards: shards.collect(),
            hasher,
            marks: (0..MAX_MACS).map(|_| AtomicU8::new(0)).collect(),
            places_of: (0..MAX_MACS).map(|_| ArcSwapOption::empty()).collect(),
            links: ArcSwap::default(),
            interface_changes: AtomicU32::new(0),
            leases: ArcSwap::default(),
            host_names: ArcSwap::default(),
            lease_names: ArcSwap::default(),
            is_watching: AtomicBool::new(false),
            out_of_sight: AtomicU32::new(0),
            feed: ArcSwapOption::empty(),
            state: Mutex::default(),
            requests,
            told: (0..TOLD).map(|_| AtomicU32::new(0)).collect(),
            arrivals,
        };
        let service = Service {
            requests: served,
            arrivals: arrived,
        };
        (Arc::new(this), service)
    }

    /// What is known of an address.
    #[inline]
    pub fn find(&self, place: Place) -> Option<Known> {
        self.shards[self.shard_of(place)]
            .load()
            .get(&place)
            .copied()
    }

    /// Enters what witnesses say.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        // By shard, so that each is copied once.
        let mut by_shard: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
        for change in changes {
            let shard = self.shard_of(change.place);
            by_shard.entry(shard).or_default().push(change);
        }
        let mut state = self.state();
        for (number, changes) in by_shard {
            let mut shard = Shard::clone(&self.shards[number].load());
            let mut too_many = Vec::new();
            for change in &changes {
                let is_entered = self.enter(&mut state, &mut shard, change);
                if !is_entered && change.witness == Witness::Kernel {
                    too_many.push(change.place);
                }
            }
            self.shards[number].store(Arc::new(shard));
            for place in too_many {
                // Asking again would change nothing.
                state.stop_waiting(place);
            }
            // Only now does a query find them.
            for change in changes {
                // Without a MAC address it is still being looked for.
                let told = change.witness == Witness::Kernel && change.mac.is_some();
                if let Some(waiting) = told.then(|| state.waiting.remove(&change.place)).flatten() {
                    state.waiters -= waiting.len();
                    for waiter in waiting {
                        // It may have lost patience.
                        let _gone = waiter.send(());
                    }
                }
            }
        }
    }

    /// Enters one change into its shard; false if it is one more than there may be.
    fn enter(&self, state: &mut State, shard: &mut Shard, change: &Change) -> bool {
        let witness = change.witness as usize;
        let before = shard.get(&change.place).copied();
        let mut known = before.unwrap_or(Known::NOTHING);
        let id = match change.mac {
            None => NOBODY,
            Some(mac) => match state.id_of(mac, &self.marks) {
                Some(id) => id.0,
                // As many as there may be, all in use.
                None => NOBODY,
            },
        };
        if known.by[witness] == id {
            return id != NOBODY || change.mac.is_none();
        }
        let is_full = before.is_none() && state.places >= MAX_PLACES;
        let has_most = id != NOBODY && state.macs[usize::from(id)].places >= MAX_PLACES_OF_ONE;
        let id = if is_full || has_most { NOBODY } else { id };
        let old_best = known.best().map(|(id, _)| id);
        let old = std::mem::replace(&mut known.by[witness], id);
        let best = known.best().map(|(id, _)| id);
        if old_best != best {
            if let Some(id) = old_best {
                self.edit_places(state, id, |places| places.retain(|it| *it != change.place));
            }
            if let Some(id) = best {
                self.edit_places(state, id, |places| places.push(change.place));
            }
        }
        let kernel_v4 =
            u16::from(change.witness == Witness::Kernel && change.place.address().0.is_ipv4());
        if let Some(entry) = state.macs.get_mut(usize::from(old)) {
            entry.places -= 1;
            entry.kernel_v4 -= kernel_v4;
        }
        if let Some(entry) = state.macs.get_mut(usize::from(id)) {
            entry.places += 1;
            entry.kernel_v4 += kernel_v4;
        }
        if known == Known::NOTHING {
            state.places -= usize::from(shard.remove(&change.place).is_some());
        } else {
            state.places += usize::from(shard.insert(change.place, known).is_none());
        }
        for id in [old, id] {
            if let (Some(entry), Some(marks)) = (
                state.macs.get(usize::from(id)),
                self.marks.get(usize::from(id)),
            ) {
                if entry.kernel_v4 >= SHARED {
                    marks.fetch_or(IS_SHARED, Ordering::Relaxed);
                } else {
                    marks.fetch_and(!IS_SHARED, Ordering::Relaxed);
                }
            }
        }
        id != NOBODY || change.mac.is_none()
    }

    /// Changes the addresses of one MAC address.
    fn edit_places(&self, state: &State, id: MacId, edit: impl FnOnce(&mut Vec<Place>)) {
        let (Some(entry), Some(held)) =
            (state.macs.get(id.index()), self.places_of.get(id.index()))
        else {
            return;
        };
        let mut places = held
            .load()
            .as_ref()
            .map_or_else(Vec::new, |held| held.places.clone());
        edit(&mut places);
        let mac = entry.mac;
        held.store((!places.is_empty()).then(|| Arc::new(PlacesOf { mac, places })));
    }

    /// Forgets all that a witness says except about `kept`: after a fresh look at all it knows.
    pub fn retain(&self, witness: Witness, kept: impl Fn(Place) -> bool) {
        let mut gone = Vec::new();
        for shard in &self.shards {
            let shard = shard.load();
            let of_it = shard
                .iter()
                .filter(|(_, known)| known.by(witness).is_some());
            gone.extend(of_it.map(|(place, _)| *place).filter(|place| !kept(*place)));
        }
        self.apply(gone.into_iter().map(|place| Change {
            place,
            witness,
            mac: None,
        }));
    }

    /// The number of a MAC address that the configuration names.
    pub fn name(&self, mac: Mac) -> Option<MacId> {
        let mut state = self.state();
        let id = state.id_of(mac, &self.marks)?;
        state.macs[id.index()].is_named = true;
        Some(id)
    }

    /// The number of a MAC address, if it was seen or named.
    pub fn id(&self, mac: Mac) -> Option<MacId> {
        self.state().ids.get(&mac).copied()
    }

    /// The MAC address with a number.
    pub fn mac(&self, id: MacId) -> Option<Mac> {
        self.state().macs.get(id.index()).map(|entry| entry.mac)
    }

    /// Whether others stand behind a MAC address: a router or repeater that lends them its own.
    #[inline]
    pub fn is_shared(&self, id: MacId) -> bool {
        let marks = self.marks.get(id.index());
        marks.is_some_and(|marks| marks.load(Ordering::Relaxed) & IS_SHARED != 0)
    }

    /// Notes that somebody nobody named asked something; the first time it is told of. Never waits;
    /// who was told of already costs a comparison.
    #[inline]
    pub fn note_stranger(&self, arrival: Arrival) {
        let Arrival::Mac(id) = arrival else {
            let (place, mark) = self.told_place(arrival);
            if place.load(Ordering::Relaxed) != mark && self.arrivals.try_send(arrival).is_ok() {
                place.store(mark, Ordering::Relaxed);
            }
            return;
        };
        let Some(marks) = self.marks.get(id.index()) else {
            return;
        };
        if marks.load(Ordering::Relaxed) & ASKED == 0
            && marks.fetch_or(ASKED, Ordering::Relaxed) & ASKED == 0
            && self.arrivals.try_send(arrival).is_err()
        {
            // Told of at its next question.
            marks.fetch_and(!ASKED, Ordering::Relaxed);
        }
    }

    /// Forgets that somebody was told of: the next question is told of again.
    pub fn forget_stranger(&self, arrival: Arrival) {
        if let Arrival::Mac(id) = arrival {
            if let Some(marks) = self.marks.get(id.index()) {
                marks.fetch_and(!ASKED, Ordering::Relaxed);
            }
            return;
        }
        let (place, mark) = self.told_place(arrival);
        // Another one's may stand there.
        let _other = place.compare_exchange(mark, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Where it stands that somebody was told of, and as what; never 0.
    fn told_place(&self, arrival: Arrival) -> (&AtomicU32, u32) {
        let hash = self.hasher.hash_one(arrival);
        (&self.told[hash as usize % TOLD], (hash >> 32) as u32 | 1)
    }

    /// All addresses with what is known of them, in order.
    pub fn all(&self) -> Vec<(Place, Known)> {
        let shards = self.shards.iter().map(ArcSwap::load);
        let mut all: Vec<_> = shards
            .flat_map(|shard| {
                shard
                    .iter()
                    .map(|(place, known)| (*place, *known))
                    .collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        all
    }

    /// How many addresses a witness knows a MAC address of.
    pub fn count_of(&self, witness: Witness) -> usize {
        let of_shard = |shard: &ArcSwap<Shard>| {
            let shard = shard.load();
            shard.values().filter(|it| it.by(witness).is_some()).count()
        };
        self.shards.iter().map(of_shard).sum()
    }

    /// The addresses of one MAC address, in order.
    pub fn places_of(&self, id: MacId) -> Vec<(Place, Witness)> {
        let held = self.places_of.get(id.index());
        let Some(held) = held.and_then(|held| held.load_full()) else {
            return Vec::new();
        };
        let best = |place: &Place| {
            let (its, witness) = self.find(*place)?.best()?;
            (its == id).then_some((*place, witness))
        };
        let mut places: Vec<_> = held.places.iter().filter_map(best).collect();
        places.sort_unstable_by_key(|(place, _)| *place);
        places
    }

    /// The addresses of one MAC address, without their links; none if the number is another's.
    pub fn addresses_of(&self, mac: Mac, id: MacId) -> Vec<IpAddr> {
        let held = self.places_of.get(id.index()).map(ArcSwapOption::load);
        match held.as_deref() {
            Some(Some(held)) if held.mac == mac => {
                held.places.iter().map(|it| it.address().0).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a number is that of a MAC address which has an address.
    pub fn is(&self, id: MacId, mac: Mac) -> bool {
        let held = self.places_of.get(id.index()).map(ArcSwapOption::load);
        matches!(held.as_deref(), Some(Some(held)) if held.mac == mac)
    }

    /// Takes over the addresses of this machine.
    pub fn set_links(&self, links: Vec<Link>) {
        self.links.store(Arc::new(links));
    }

    /// Notes that interfaces of this machine may have come, gone or got another name.
    pub fn note_interfaces(&self) {
        self.interface_changes.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that is another after interfaces of this machine may have changed; none while
    /// nobody tells.
    pub fn interface_changes(&self) -> Option<u32> {
        let changes = self.interface_changes.load(Ordering::Relaxed);
        self.is_watching().then_some(changes)
    }

    /// Takes over all leases there are now, as hints; what they say of MAC addresses comes by
    /// [`Self::apply`]. Of more than [`MAX_LEASES`] the rest is left out.
    pub fn set_leases(&self, mut leases: Vec<Lease>) {
        leases.truncate(MAX_LEASES);
        self.leases.store(Arc::new(leases));
        self.name_by_leases();
    }

    /// Takes over the names that somebody gave to MAC addresses by hand, as hints.
    pub fn set_host_names(&self, names: Vec<(Mac, HostName)>) {
        self.host_names.store(Arc::new(names));
        self.name_by_leases();
    }

    /// The names that somebody gave to MAC addresses by hand.
    pub fn host_names(&self) -> Arc<Vec<(Mac, HostName)>> {
        self.host_names.load_full()
    }

    /// Which names belong to whom by leases and by hand.
    pub(super) fn lease_names(&self) -> arc_swap::Guard<Arc<LeaseNames>> {
        self.lease_names.load()
    }

    fn name_by_leases(&self) {
        let (leases, by_hand) = (self.leases.load(), self.host_names.load());
        let before = self.lease_names.load();
        // A number is kept for what is written down by hand, seen or not.
        let next = before.next(&leases, &by_hand, |mac| {
            let is_by_hand = by_hand.iter().any(|(it, _)| *it == mac);
            if is_by_hand {
                self.name(mac)
            } else {
                self.id(mac)
            }
        });
        self.lease_names.store(Arc::new(next));
    }

    /// All leases there are.
    pub fn leases(&self) -> Arc<Vec<Lease>> {
        self.leases.load_full()
    }

    /// Says whether the kernel tells us of its neighbours.
    pub fn set_watching(&self, is_watching: bool) {
        self.is_watching.store(is_watching, Ordering::Relaxed);
    }

    /// Whether the kernel tells us of its neighbours.
    pub fn is_watching(&self) -> bool {
        self.is_watching.load(Ordering::Relaxed)
    }

    /// Says where the kernel's word comes from.
    pub fn set_feed(&self, feed: Option<Arc<dyn Feed>>) {
        self.feed.store(feed.map(Arc::new));
    }

    /// Enters what the kernel told until now: a change of which it told before a query arrived must
    /// not be overtaken by it. One system call, and no more if there was none.
    #[inline]
    pub fn catch_up(&self) {
        if let Some(feed) = &*self.feed.load() {
            feed.catch_up(self);
        }
    }

    /// Whether the kernel could resolve an address it has not told us about: it is on one of our
    /// links (a link-local one on that of `interface`), and not our own.
    pub fn can_resolve(&self, address: IpAddr, interface: u32) -> bool {
        if !self.is_watching() || address.is_loopback() {
            return false;
        }
        let is_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let links = self.links.load();
        let is_on =
            |it: &Link| it.net.contains(&address) && (!is_local || it.interface == interface);
        links.iter().any(is_on) && !links.iter().any(|link| link.net.addr() == address)
    }

    /// Notes whether anybody knows the MAC address behind a client; where that is so as ever, it costs
    /// a comparison.
    #[inline]
    pub fn note_sight(&self, client: IpAddr, is_known: bool) {
        let count = self.out_of_sight.load(Ordering::Relaxed);
        if is_known {
            if count > 0 {
                self.out_of_sight.store(0, Ordering::Relaxed);
            }
        } else if count < OUT_OF_SIGHT && self.is_beyond_links(client) {
            // Two at once may count for one.
            self.out_of_sight.store(count + 1, Ordering::Relaxed);
        }
    }

    /// Whether the last [`OUT_OF_SIGHT`] questions all came from where the kernel sees no MAC
    /// addresses: out of a container, or through a router.
    pub fn is_out_of_sight(&self) -> bool {
        self.is_watching() && self.out_of_sight.load(Ordering::Relaxed) >= OUT_OF_SIGHT
    }

    fn is_beyond_links(&self, client: IpAddr) -> bool {
        let is_near = |link: &Link| link.net.contains(&client);
        self.is_watching() && !client.is_loopback() && !self.links.load().iter().any(is_near)
    }

    /// Waits until the kernel has resolved an address, or somebody knows that it will not, a second
    /// at most.
    pub async fn ask(&self, address: IpAddr, interface: u32) -> Asked {
        let place = Place::new(address, interface);
        let (told, waiting) = oneshot::channel();
        {
            let mut state = self.state();
            // It may have come since.
            let is_known = || {
                self.find(place)
                    .is_some_and(|it| it.by(Witness::Kernel).is_some())
            };
            if state.waiters >= MAX_WAITING {
                state.forget_impatient();
            }
            if is_known() {
                return Asked::Seen;
            }
            if state.waiters >= MAX_WAITING {
                return Asked::Late;
            }
            let others = state.waiting.entry(place).or_default();
            if others.len() >= MAX_WAITING_FOR_ONE {
                return Asked::Late;
            }
            let is_first = others.is_empty();
            others.push(told);
            state.waiters += 1;
            let request = Request { address, interface };
            if is_first && self.requests.try_send(request).is_err() {
                state.stop_waiting(place);
                return Asked::Late;
            }
        }
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(())) => Asked::Seen,
            Ok(Err(_)) => Asked::Hopeless,
            Err(_) => {
                self.state().forget_impatient();
                Asked::Late
            }
        }
    }

    /// Whether anybody waits for an address.
    pub fn is_awaited(&self, place: Place) -> bool {
        self.state().waiting.contains_key(&place)
    }

    /// Says that an address cannot be resolved: whoever waits for it goes on.
    pub fn give_up(&self, place: Place) {
        self.state().stop_waiting(place);
    }

    fn shard_of(&self, place: Place) -> usize {
        // Other bits than those by which the shard's own table is ordered.
        (self.hasher.hash_one(place) >> 32) as usize % SHARDS
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of a MAC address, a new one if need be. None when all are in use.
    fn id_of(&mut self, mac: Mac, marks: &[AtomicU8]) -> Option<MacId> {
        if let Some(id) = self.ids.get(&mac) {
            return Some(*id);
        }
        let entry = MacEntry {
            mac,
            is_named: false,
            places: 0,
            kernel_v4: 0,
        };
        if self.macs.len() == MAX_MACS && self.free.is_empty() {
            self.free_unused();
        }
        let id = match self.free.pop() {
            Some(id) => {
                self.macs[id.index()] = entry;
                if let Some(marks) = marks.get(id.index()) {
                    marks.store(0, Ordering::Relaxed);
                }
                id
            }
            None if self.macs.len() < MAX_MACS => {
                // Fewer than 4,096.
                let id = MacId(self.macs.len() as u16);
                self.macs.push(entry);
                id
            }
            None => return None,
        };
        self.ids.insert(mac, id);
        Some(id)
    }

    /// Gives the numbers of MAC addresses free that nobody named and that have no address.
    fn free_unused(&mut self) {
        for (index, entry) in self.macs.iter().enumerate() {
            // Fewer than 4,096.
            let id = MacId(index as u16);
            let is_unused = !entry.is_named && entry.places == 0;
            if is_unused && self.ids.get(&entry.mac) == Some(&id) {
                self.ids.remove(&entry.mac);
                self.free.push(id);
            }
        }
    }

    /// Forgets those that wait no longer.
    fn forget_impatient(&mut self) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|waiter| !waiter.is_closed());
            !waiting.is_empty()
        });
        self.waiters = self.waiting.values().map(Vec::len).sum();
    }

    /// Lets go whoever waits for an address.
    fn stop_waiting(&mut self, place: Place) {
        if let Some(waiting) = self.waiting.remove(&place) {
            self.waiters -= waiting.len();
        }
    }
}

#[cfg(test)]
mod tests;
