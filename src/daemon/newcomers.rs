//! Those who asked and whom nobody named: each is told of once, and remembered across restarts.
//!
//! A query of a guest is noted by [`Neighbours::note_stranger`] and arrives here through a bounded
//! channel. The memory is bounded too ([`MAX_MACS`], [`MAX_ADDRESSES`]); it is written to
//! `devices.seen` in the state folder once a minute at most, since flash wears out, and at the end.
//! What stands in it decides nothing but what people are told.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::events::{Event, Events};
use crate::clock::{Clock, Moment, Timestamp};
use crate::config::{self, DeviceMatch};
use crate::control::api;
use crate::device::neighbours::MacId;
use crate::device::{Arrival, HostName, Lease, Neighbours, Place, Witness};
use crate::files::Files;
use crate::mac::Mac;

/// How many new devices with a MAC address are remembered.
pub(super) const MAX_MACS: usize = 1_024;
/// How many without are.
pub(super) const MAX_ADDRESSES: usize = 256;
/// The most octets of the file.
const MAX_FILE: u64 = 4 << 20;
/// How long the file is left alone after it was written.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// How old the times in the file may get while nothing else changes.
const REFRESH_EVERY: Duration = Duration::from_hours(6);
/// How many new devices are told of in an hour, each with a line of the log.
const TOLD_AN_HOUR: u32 = 32;
/// How often a device is asked what it calls itself, once a minute.
const MAX_ASKED: u8 = 3;
/// How long two that look alike may have been there together by mistake: the kernel keeps who left
/// for a while.
const OVERLAP: u64 = 600;
const DAY: u64 = 86_400;

/// The name of the file in the state folder.
pub(super) const FILE: &str = "devices.seen";

/// Those nobody named.
#[derive(Debug)]
pub(super) struct Newcomers {
    files: Files,
    clock: Clock,
    events: Events,
    memory: Mutex<Memory>,
}

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Memory {
    /// The number of the last that came.
    last_number: u32,
    new: Vec<Newcomer>,
    /// What was last known of MAC addresses that have a name.
    named: Vec<Remembered>,
    #[serde(skip)]
    is_changed: bool,
    #[serde(skip)]
    written: Option<Moment>,
    #[serde(skip)]
    told: Told,
}

/// How much was told in this hour.
#[derive(Debug, Default)]
struct Told {
    since: Moment,
    /// New devices, each by itself.
    count: u32,
    /// Whether it was told how many wait for the next hour.
    is_rest_told: bool,
}

impl Told {
    /// Whether one more may be told of now.
    fn take(&mut self, now: Moment) -> bool {
        if now.since(self.since) >= Duration::from_hours(1) {
            *self = Self {
                since: now,
                ..Self::default()
            };
        }
        let is_free = self.count < TOLD_AN_HOUR;
        self.count += u32::from(is_free);
        is_free
    }
}

/// Somebody nobody named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Newcomer {
    pub(super) number: u32,
    pub(super) whom: Whom,
    /// Whether it was told of.
    #[serde(default)]
    is_told: bool,
    #[serde(flatten)]
    seen: Seen,
}

/// A MAC address of a device that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Remembered {
    whom: Whom,
    #[serde(flatten)]
    seen: Seen,
}

/// What was seen of somebody, in seconds since 1970 where the clock was set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Seen {
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_name: Option<String>,
    /// In hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// How often it was asked what it calls itself.
    #[serde(skip)]
    asked: u8,
}

/// By what somebody is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum Whom {
    /// A MAC address.
    Mac(Mac),
    /// An address behind which none can be seen.
    Address(IpAddr),
}

impl From<Whom> for String {
    fn from(whom: Whom) -> Self {
        match whom {
            Whom::Mac(mac) => mac.to_string(),
            Whom::Address(address) => address.to_string(),
        }
    }
}

impl TryFrom<String> for Whom {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(mac) = text.parse() {
            return Ok(Self::Mac(mac));
        }
        let address = text.parse().map(Self::Address);
        address.map_err(|_| format!("`{}` is no address", text.escape_debug()))
    }
}

impl Whom {
    /// Whether the other is the same as far as can be told: without a MAC address, whoever asks from
    /// the same /64 may be one device that changes its address every day (RFC 8981).
    fn is(self, other: Self) -> bool {
        let near = |address: IpAddr| match address {
            IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
                Ok(v6.octets().first_chunk::<8>().copied())
            }
            other => Err(other),
        };
        match (self, other) {
            (Self::Mac(one), Self::Mac(other)) => one == other,
            (Self::Address(one), Self::Address(other)) => near(one) == near(other),
            _ => false,
        }
    }

    const fn is_mac(self) -> bool {
        matches!(self, Self::Mac(_))
    }
}

impl Newcomers {
    /// What was remembered at `path`. A file that makes no sense is begun anew, with a warning.
    pub(super) fn load(files: Files, clock: Clock, events: Events, path: Option<&Path>) -> Self {
        let read = path.map(|path| files.read(path, MAX_FILE));
        let memory = match read {
            None => Memory::default(),
            Some(Err(error)) if error.is_missing() => Memory::default(),
            Some(Err(error)) => {
                tracing::warn!(%error, "the memory of new devices begins anew");
                Memory::default()
            }
            Some(Ok(text)) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(%error, "the memory of new devices makes no sense; it begins anew");
                Memory::default()
            }),
        };
        Self {
            files,
            clock,
            events,
            memory: Mutex::new(memory.bounded()),
        }
    }

    /// Takes in somebody who asked.
    pub(super) fn arrive(&self, arrival: Arrival, neighbours: &Neighbours) {
        let whom = match arrival {
            Arrival::Mac(id) => match neighbours.mac(id) {
                Some(mac) => Whom::Mac(mac),
                None => return,
            },
            Arrival::Claimed(mac) => Whom::Mac(mac),
            Arrival::Address(place) => Whom::Address(place.address().0),
        };
        let now = self.time();
        let mut memory = self.memory();
        if let Some(known) = memory.new.iter_mut().find(|it| it.whom.is(whom)) {
            known.seen.last = now.or(known.seen.last);
            if let (Whom::Address(_), Whom::Address(address)) = (known.whom, whom) {
                known.whom = whom;
                known.seen.address = Some(address);
            }
            return;
        }
        if let Some(gone) = memory.make_room(whom) {
            // It is new again when it asks again.
            neighbours.forget_stranger(arrival_of(gone, neighbours));
        }
        memory.last_number = memory.last_number.wrapping_add(1).max(1);
        let mut newcomer = Newcomer {
            number: memory.last_number,
            whom,
            is_told: false,
            seen: Seen {
                first: now,
                last: now,
                ..Seen::default()
            },
        };
        let present = Present::of(neighbours);
        newcomer.seen.look(whom, &present, now);
        // Without a MAC address it is worth a second look: the kernel may not have been asked yet.
        if whom.is_mac() {
            newcomer.is_told = self.tell(&mut memory.told, &newcomer, &present);
        }
        memory.new.push(newcomer);
        memory.is_changed = true;
    }

    /// Looks who is there, forgets who has a name by now, and tells of those who still have none, as
    /// many as may be told of in this hour; the rest waits.
    pub(super) fn look(&self, devices: &[config::Device], neighbours: &Neighbours) {
        let present = Present::of(neighbours);
        let now = self.time();
        let mut memory = self.memory();
        let (gone, mut new): (Vec<_>, Vec<_>) = std::mem::take(&mut memory.new)
            .into_iter()
            .partition(|it| is_named(it.whom, devices) || present.has_mac(it.whom));
        for newcomer in &gone {
            neighbours.forget_stranger(arrival_of(newcomer.whom, neighbours));
        }
        memory.is_changed |= !gone.is_empty();
        for newcomer in &mut new {
            memory.is_changed |= newcomer.seen.look(newcomer.whom, &present, now);
            if !newcomer.is_told && self.tell(&mut memory.told, newcomer, &present) {
                newcomer.is_told = true;
                memory.is_changed = true;
            }
        }
        let rest = new.iter().filter(|it| !it.is_told).count();
        if rest > 0 && !memory.told.is_rest_told {
            memory.told.is_rest_told = true;
            tracing::info!(
                count = rest,
                "more new devices, told of later; `hedgerow device list --new` shows them"
            );
        }
        memory.new = new;
        let macs: Vec<Mac> = devices.iter().flat_map(macs_of).take(MAX_MACS).collect();
        let is_one = |it: &Remembered| matches!(it.whom, Whom::Mac(mac) if macs.contains(&mac));
        memory.named.retain(is_one);
        for mac in macs {
            let whom = Whom::Mac(mac);
            if let Some(known) = memory.named.iter_mut().find(|it| it.whom == whom) {
                let is_changed = known.seen.look(whom, &present, now);
                memory.is_changed |= is_changed;
                continue;
            }
            let mut seen = Seen::default();
            seen.look(whom, &present, now);
            if seen != Seen::default() {
                memory.named.push(Remembered { whom, seen });
                memory.is_changed = true;
            }
        }
    }

    /// Forgets somebody: who asks again is new again.
    pub(super) fn forget(&self, whom: Whom, neighbours: &Neighbours) {
        let mut memory = self.memory();
        let before = memory.new.len();
        memory.new.retain(|it| it.whom != whom);
        memory.named.retain(|it| it.whom != whom);
        memory.is_changed |= memory.new.len() != before;
        neighbours.forget_stranger(arrival_of(whom, neighbours));
    }

    /// Those who are on a link of ours and of whom nobody says what they are called, at most `most`,
    /// and where they are. Each comes a few times, since it may be asleep.
    pub(super) fn nameless(&self, neighbours: &Neighbours, most: usize) -> Vec<(Mac, Place)> {
        let present = Present::of(neighbours);
        let mut memory = self.memory();
        let Memory { new, named, .. } = &mut *memory;
        let new = new.iter_mut().map(|it| (it.whom, &mut it.seen));
        let named = named.iter_mut().map(|it| (it.whom, &mut it.seen));
        let mut found = Vec::new();
        for (whom, seen) in new.chain(named) {
            let Whom::Mac(mac) = whom else { continue };
            // Of several behind one MAC address any could be asked.
            if seen.host_name.is_some() || seen.asked >= MAX_ASKED || present.is_shared(mac) {
                continue;
            }
            let mut places = present.places_of(mac).iter();
            if let Some((place, _)) = places.find(|(_, witness)| *witness == Witness::Kernel)
                && found.len() < most
            {
                seen.asked += 1;
                found.push((mac, *place));
            }
        }
        found
    }

    /// Takes in what a device says it is called, unless a lease says that already.
    pub(super) fn call(&self, mac: Mac, name: &HostName) {
        let mut memory = self.memory();
        let Memory { new, named, .. } = &mut *memory;
        let new = new.iter_mut().map(|it| (it.whom, &mut it.seen));
        let named = named.iter_mut().map(|it| (it.whom, &mut it.seen));
        let its = new.chain(named).find(|(whom, _)| *whom == Whom::Mac(mac));
        if let Some((_, seen)) = its.filter(|(_, seen)| seen.host_name.is_none()) {
            seen.host_name = Some(name.to_string());
            memory.is_changed = true;
        }
    }

    /// Writes what is remembered to `path`, unless it was done a moment ago or nothing changed.
    pub(super) fn save(&self, path: &Path, is_end: bool) {
        let mut memory = self.memory();
        let age = memory.written.map(|at| self.clock.now().since(at));
        let is_due = age.is_none_or(|age| age >= WRITE_EVERY) && memory.is_changed
            || age.is_some_and(|age| age >= REFRESH_EVERY);
        let is_worth_it = memory.is_changed || !memory.new.is_empty() || !memory.named.is_empty();
        if !(is_due || is_end && is_worth_it) {
            return;
        }
        // Tried again in a while, whatever comes of it.
        memory.written = Some(self.clock.now());
        let Ok(mut text) = serde_json::to_vec_pretty(&*memory) else {
            return;
        };
        text.push(b'\n');
        memory.is_changed = false;
        drop(memory);
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let made = self.files.create_folder(folder);
        let written = made.and_then(|()| self.files.replace_privately(path, &text));
        if let Err(error) = written {
            self.memory().is_changed = true;
            tracing::debug!(%error, "the memory of new devices is not written");
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.memory().new.len()
    }

    /// The one with a number.
    pub(super) fn by_number(&self, number: u32) -> Option<Whom> {
        let memory = self.memory();
        let found = memory.new.iter().find(|it| it.number == number)?;
        Some(found.whom)
    }

    /// All of them as people read it, the first that came first.
    pub(super) fn list(&self, present: &Present<'_>) -> Vec<(Newcomer, api::NewDevice)> {
        let memory = self.memory();
        let new = memory.new.iter().filter(|it| !present.has_mac(it.whom));
        new.map(|it| (it.clone(), it.text(present))).collect()
    }

    /// The device that a newcomer may be, and what is the same. `has_asked` says when a device
    /// asked last; see [`api::LooksLike`].
    pub(super) fn like(
        &self,
        newcomer: &Newcomer,
        devices: &[config::Device],
        present: &Present<'_>,
        has_asked: impl Fn(&config::Device) -> Option<u64>,
    ) -> Option<(usize, String)> {
        if !newcomer.whom.is_mac() {
            return None;
        }
        let memory = self.memory();
        let mut found = None;
        for (index, device) in devices.iter().enumerate() {
            let mut same = None;
            let mut is_here = false;
            for mac in macs_of(device) {
                is_here |= present.is_here(mac);
                let Some(known) = memory.named.iter().find(|it| it.whom == Whom::Mac(mac)) else {
                    continue;
                };
                same = same.or_else(|| newcomer.seen.same(&known.seen));
                // Both were there for longer than it takes to see that one is gone.
                let (came, last) = (newcomer.seen.first, known.seen.last);
                is_here |= came.zip(last).is_some_and(|(came, last)| {
                    last > came + OVERLAP && last + DAY > newcomer.seen.last.unwrap_or(last)
                });
            }
            // The kernel keeps for hours who left; that it asked nothing since says more.
            let is_silent = has_asked(device)
                .zip(newcomer.seen.first)
                .is_some_and(|(asked, came)| asked < came);
            if let Some(same) = same.filter(|_| is_silent || !is_here) {
                // Two that look like it are none.
                if found.is_some() {
                    return None;
                }
                found = Some((index, same));
            }
        }
        found
    }

    /// Tells of a newcomer, unless too many were told of in this hour; whether it did.
    fn tell(&self, told: &mut Told, newcomer: &Newcomer, present: &Present<'_>) -> bool {
        if !told.take(self.clock.now()) {
            return false;
        }
        let text = newcomer.text(present);
        // What a device says of itself is a host name by now, or nothing.
        tracing::info!(
            number = text.number,
            mac = text.mac.as_ref().map(|it| it.mac.as_str()),
            made_up = text.mac.as_ref().map(|it| it.made_up),
            address = text.addresses.first(),
            host_name = text.host_name,
            "new device: a guest until somebody names it"
        );
        self.events.tell(Event::NewDevice(Box::new(text)));
        true
    }

    /// Now, in seconds since 1970; none while the clock is not set.
    fn time(&self) -> Option<u64> {
        let seconds = u64::try_from(self.clock.wall().as_second()).ok()?;
        (seconds >= crate::clock::RELEASED).then_some(seconds)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// What came from a file, within its bounds.
    fn bounded(mut self) -> Self {
        let mut left = (MAX_MACS, MAX_ADDRESSES);
        self.new.retain(|it| {
            let left = if it.whom.is_mac() {
                &mut left.0
            } else {
                &mut left.1
            };
            let fits = *left > 0;
            *left -= usize::from(fits);
            fits
        });
        self.named.truncate(MAX_MACS);
        let seen = self.new.iter_mut().map(|it| &mut it.seen);
        for seen in seen.chain(self.named.iter_mut().map(|it| &mut it.seen)) {
            let said = seen.host_name.take();
            seen.host_name = said
                .and_then(|said| HostName::new(&said))
                .map(|name| name.to_string());
            let is_hex = |id: &String| {
                id.len() <= 2 * crate::device::lease::MAX_CLIENT_ID
                    && id.bytes().all(|octet| octet.is_ascii_hexdigit())
            };
            seen.client_id = seen.client_id.take().filter(is_hex);
        }
        self
    }

    /// Makes room for one more of its kind: who was not seen for longest goes.
    fn make_room(&mut self, whom: Whom) -> Option<Whom> {
        let most = if whom.is_mac() {
            MAX_MACS
        } else {
            MAX_ADDRESSES
        };
        let of_kind = || {
            let all = self.new.iter().enumerate();
            all.filter(|(_, it)| it.whom.is_mac() == whom.is_mac())
        };
        if of_kind().count() < most {
            return None;
        }
        let (place, _) = of_kind().min_by_key(|(_, it)| (it.seen.last, it.number))?;
        Some(self.new.remove(place).whom)
    }
}

impl Newcomer {
    fn text(&self, present: &Present<'_>) -> api::NewDevice {
        let (mac, addresses) = match self.whom {
            Whom::Mac(mac) => (Some(present.mac_text(mac)), present.addresses_of(mac)),
            Whom::Address(_) => (None, Vec::new()),
        };
        let addresses = if addresses.is_empty() {
            let known = self.seen.address.iter();
            known.map(ToString::to_string).collect()
        } else {
            addresses
        };
        api::NewDevice {
            number: self.number,
            mac,
            addresses,
            host_name: self.seen.host_name.clone(),
            client_id: self.seen.client_id.clone(),
            first_seen: time_text(self.seen.first),
            last_seen: time_text(self.seen.last),
            ..api::NewDevice::default()
        }
    }

    /// What it calls itself.
    pub(super) fn host_name(&self) -> Option<&str> {
        self.seen.host_name.as_deref()
    }
}

impl Seen {
    /// Takes over what can be seen now; says whether it is worth writing down.
    fn look(&mut self, whom: Whom, present: &Present<'_>, now: Option<u64>) -> bool {
        let before = (self.host_name.clone(), self.client_id.clone());
        let (places, lease) = match whom {
            Whom::Mac(mac) => (
                present.places_of(mac),
                present.hints(|it| it.mac == Some(mac)),
            ),
            Whom::Address(address) => {
                self.address = Some(address);
                (&[][..], present.hints(|it| it.address == address))
            }
        };
        if let Some((place, _)) = places.first() {
            self.address = Some(place.address().0);
        }
        if places
            .iter()
            .any(|(_, witness)| *witness == Witness::Kernel)
        {
            self.last = now.or(self.last);
            self.first = self.first.or(now);
        }
        let (host_name, client_id) = lease;
        self.host_name = host_name.or_else(|| self.host_name.take());
        self.client_id = client_id.or_else(|| self.client_id.take());
        before != (self.host_name.clone(), self.client_id.clone())
    }

    /// What both say of themselves, in words.
    fn same(&self, other: &Self) -> Option<String> {
        if self.host_name.is_some() && self.host_name == other.host_name {
            let name = self.host_name.as_deref().unwrap_or_default();
            return Some(format!("host name {name}"));
        }
        let is_same = self.client_id.is_some() && self.client_id == other.client_id;
        is_same.then(|| "DHCP client identifier".to_owned())
    }
}

/// Who is in the home now, as far as can be seen.
pub(super) struct Present<'n> {
    neighbours: &'n Neighbours,
    places: HashMap<MacId, Vec<(Place, Witness)>>,
    /// Addresses behind which a MAC address is seen.
    with_mac: HashMap<IpAddr, MacId>,
    leases: Arc<Vec<Lease>>,
}

impl<'n> Present<'n> {
    /// What the living table says now.
    pub(super) fn of(neighbours: &'n Neighbours) -> Self {
        let mut places: HashMap<MacId, Vec<(Place, Witness)>> = HashMap::new();
        let mut with_mac = HashMap::new();
        for (place, known) in neighbours.all() {
            if let Some((id, witness)) = known.best() {
                places.entry(id).or_default().push((place, witness));
                with_mac.insert(place.address().0, id);
            }
        }
        Self {
            neighbours,
            places,
            with_mac,
            leases: neighbours.leases(),
        }
    }

    /// Where a MAC address is.
    pub(super) fn places_of(&self, mac: Mac) -> &[(Place, Witness)] {
        let id = self.neighbours.id(mac);
        let places = id.and_then(|id| self.places.get(&id));
        places.map_or(&[], Vec::as_slice)
    }

    /// The addresses of a MAC address, as people read them.
    pub(super) fn addresses_of(&self, mac: Mac) -> Vec<String> {
        let places = self.places_of(mac).iter();
        places.map(|(place, _)| place_text(*place)).collect()
    }

    /// The MAC addresses behind an address, on any interface.
    pub(super) fn behind(&self, address: IpAddr) -> Vec<Mac> {
        let mut ids: Vec<MacId> = self
            .places
            .iter()
            .filter(|(_, places)| places.iter().any(|(it, _)| it.address().0 == address))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids.into_iter()
            .filter_map(|id| self.neighbours.mac(id))
            .collect()
    }

    /// Whether the kernel has spoken with a MAC address lately.
    fn is_here(&self, mac: Mac) -> bool {
        let mut places = self.places_of(mac).iter();
        places.any(|(_, witness)| *witness == Witness::Kernel)
    }

    /// Whether somebody known by address has a MAC address by now, and is known by that.
    fn has_mac(&self, whom: Whom) -> bool {
        matches!(whom, Whom::Address(address) if self.with_mac.contains_key(&address))
    }

    /// Whether others stand behind a MAC address.
    pub(super) fn is_shared(&self, mac: Mac) -> bool {
        let id = self.neighbours.id(mac);
        id.is_some_and(|id| self.neighbours.is_shared(id))
    }

    /// A MAC address as people read it.
    pub(super) fn mac_text(&self, mac: Mac) -> api::DeviceMac {
        api::DeviceMac {
            mac: mac.to_string(),
            made_up: mac.is_made_up(),
            shared: self.is_shared(mac),
        }
    }

    /// What leases say that `fit`: host name and client identifier.
    pub(super) fn hints(&self, fit: impl Fn(&Lease) -> bool) -> (Option<String>, Option<String>) {
        let mut hints = (None, None);
        for lease in self.leases.iter().filter(|lease| fit(lease)) {
            let (host_name, client_id) = &mut hints;
            if host_name.is_none() {
                *host_name = lease.host_name.as_ref().map(HostName::to_string);
            }
            if client_id.is_none() {
                *client_id = lease.client_id.as_ref().map(|id| hex(id));
            }
        }
        hints
    }

    /// Whose lease has a host name.
    pub(super) fn called(&self, host_name: &HostName) -> Vec<Whom> {
        let mut found = Vec::new();
        for lease in self.leases.iter() {
            if lease.host_name.as_ref() == Some(host_name) {
                let whom = lease.mac.map_or(Whom::Address(lease.address), Whom::Mac);
                if !found.contains(&whom) {
                    found.push(whom);
                }
            }
        }
        found
    }
}

/// The MAC addresses that a device is known by.
pub(super) fn macs_of(device: &config::Device) -> impl Iterator<Item = Mac> + '_ {
    device.matches.iter().filter_map(|it| match it {
        DeviceMatch::Mac(mac) => Some(*mac),
        _ => None,
    })
}

/// Whether a device has exactly this MAC address or address.
pub(super) fn has(device: &config::Device, whom: Whom) -> bool {
    device.matches.iter().any(|it| match (it, whom) {
        (DeviceMatch::Mac(mac), Whom::Mac(other)) => *mac == other,
        (DeviceMatch::Net(net), Whom::Address(address)) => {
            net.prefix_len() == net.max_prefix_len() && net.addr() == address
        }
        _ => false,
    })
}

fn is_named(whom: Whom, devices: &[config::Device]) -> bool {
    devices.iter().any(|device| has(device, whom))
}

fn arrival_of(whom: Whom, neighbours: &Neighbours) -> Arrival {
    match whom {
        Whom::Mac(mac) => match neighbours.id(mac) {
            Some(id) => Arrival::Mac(id),
            None => Arrival::Claimed(mac),
        },
        Whom::Address(address) => Arrival::Address(Place::new(address, 0)),
    }
}

/// An address as people read it, a link-local one with its interface.
pub(super) fn place_text(place: Place) -> String {
    let (address, interface) = place.address();
    match interface {
        None => address.to_string(),
        Some(interface) => format!("{address}%{}", interface_text(interface)),
    }
}

/// The name of an interface, or its number if it is gone.
pub(super) fn interface_text(interface: u32) -> String {
    let name = nix::net::if_::if_indextoname(interface).ok();
    let name = name.and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| interface.to_string())
}

fn time_text(seconds: Option<u64>) -> Option<String> {
    let seconds = i64::try_from(seconds?).ok()?;
    Some(Timestamp::from_second(seconds).ok()?.to_string())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Where the memory is kept, if it is.
pub(super) fn path_in(config: &config::Config) -> Option<PathBuf> {
    config.identity.devices_file.as_ref()?;
    Some(config.list_store.folder.join(FILE))
}

#[cfg(test)]
mod tests;
