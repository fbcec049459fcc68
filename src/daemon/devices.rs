//! The devices of the home for those who manage it: what is known of each, and the changes of the
//! devices file.
//!
//! A change is made to the text of the file, read as part of the whole configuration before it is
//! written, and put in force by a reload. Only devices that stand in that file are changed; of
//! others it is said where they stand.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::household::{Daemon, counted_device, match_text};
use super::newcomers::{self, Newcomer, Present, Whom, has, macs_of};
use crate::clock::Timestamp;
use crate::config::{self, Config, Device, DeviceEdit, DeviceMatch, Diagnostic, Loaded, MAX_FILE};
use crate::control::{ControlError, DeviceRequest, api};
use crate::device::{Arrival, Confidence, HostName, Witness};
use crate::evidence::mdns;
use crate::files::Files;
use crate::journal::LogFilter;
use crate::mac::Mac;
use crate::message::{Question, rtype};
use crate::name::NameBuf;
use crate::snapshot::Snapshot;
use crate::upstream;

/// How often it is looked who is there.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How many devices are asked at a time what they call themselves.
const MAX_ASKING: usize = 8;
/// How many entries of the log are looked through for a new device.
const RECENT: usize = 1_000;

/// Takes in those who arrive, looks now and then who is there, and writes down what must survive a
/// restart.
pub(super) async fn follow(
    daemon: Arc<Daemon>,
    mut arrivals: mpsc::Receiver<Arrival>,
    stopped: watch::Receiver<bool>,
) {
    let stopped = super::wait_for(stopped);
    tokio::pin!(stopped);
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut asking = JoinSet::new();
    loop {
        tokio::select! {
            Some(arrival) = arrivals.recv() => {
                let snapshot = daemon.resolver.snapshot();
                daemon.newcomers.arrive(arrival, snapshot.devices.neighbours());
                ask_names(&daemon, &mut asking);
            }
            // Nobody needs to know how it ended.
            Some(_) = asking.join_next() => {}
            _ = look.tick() => {
                let looker = Arc::clone(&daemon);
                let looking = tokio::task::spawn_blocking(move || looker.look_who_is_there(false));
                // A panic there is told by the runtime; the next look may succeed.
                drop(looking.await);
                ask_names(&daemon, &mut asking);
            }
            () = &mut stopped => return,
        }
    }
}

/// Asks those whose names nobody knows what they call themselves, not too many at a time.
fn ask_names(daemon: &Arc<Daemon>, asking: &mut JoinSet<()>) {
    let snapshot = daemon.resolver.snapshot();
    if !snapshot.config.identity.ask_names {
        return;
    }
    let neighbours = snapshot.devices.neighbours();
    let room = MAX_ASKING.saturating_sub(asking.len());
    for (mac, place) in daemon.newcomers.nameless(neighbours, room) {
        let daemon = Arc::clone(daemon);
        asking.spawn(async move {
            let (address, interface) = place.address();
            let mut name = mdns::ask(address, interface.unwrap_or(0)).await;
            if name.is_none() {
                name = daemon.reverse_name(address).await;
            }
            if let Some(name) = name {
                daemon.newcomers.call(mac, &name);
            }
        });
    }
}

/// Somebody that a request means.
enum Meant {
    /// A device with a name, by its place in the configuration.
    Device(usize),
    /// Somebody without.
    New(Whom),
}

/// A change that is about to be made.
struct Plan {
    edits: Vec<DeviceEdit>,
    /// The name of the device afterwards; before, if it is removed.
    name: String,
    done: &'static str,
    notes: Vec<String>,
}

impl Daemon {
    /// Looks who is there now; writes down what has to be.
    pub(super) fn look_who_is_there(&self, is_end: bool) {
        let snapshot = self.resolver.snapshot();
        let neighbours = snapshot.devices.neighbours();
        self.newcomers.look(&snapshot.config.devices, neighbours);
        if let Some(path) = newcomers::path_in(&snapshot.config) {
            self.newcomers.save(&path, is_end);
        }
    }

    /// What the household's own resolver for reverse names, if it has one, calls an address.
    async fn reverse_name(&self, address: IpAddr) -> Option<HostName> {
        let snapshot = self.resolver.snapshot();
        let qname = NameBuf::reverse_of(address);
        if !snapshot.is_forwarded(qname.as_ref()) {
            return None;
        }
        let question = Question {
            qname,
            qtype: rtype::PTR,
            dnssec_ok: false,
            checking_disabled: false,
            via: 0,
        };
        let client = upstream::Client::new(address, None);
        let said = snapshot.upstream.resolve(&question, client).await.ok()?;
        mdns::host_name(&said.target(rtype::PTR)?)
    }

    /// All devices that have a name, then those that only asked something.
    pub(super) fn device_texts(&self) -> Vec<api::Device> {
        let snapshot = self.resolver.snapshot();
        let config = &snapshot.config;
        let present = Present::of(snapshot.devices.neighbours());
        let mut seen = self.journal.devices();
        let mut devices: Vec<api::Device> = Vec::new();
        for (device, place) in config.devices.iter().zip(&config.device_places) {
            let counted = seen
                .iter()
                .position(|statistics| statistics.device == device.name)
                .map(|at| seen.swap_remove(at));
            devices.push(api::Device {
                name: device.name.clone(),
                profile: config.profiles[device.profile].name.clone(),
                known_by: device.matches.iter().map(match_text).collect(),
                confidence: confidence(device, &present).map(|it| it.label().to_owned()),
                macs: macs_of(device).map(|mac| present.mac_text(mac)).collect(),
                addresses: addresses(device, &present),
                host_name: host_name(device, &present),
                file: Some(place.0.display().to_string()),
                line: Some(place.1),
                ..counted.map(counted_device).unwrap_or_default()
            });
        }
        // Who only asked something: the guests.
        seen.sort_by(|one, other| one.device.cmp(&other.device));
        for statistics in seen {
            let guest = &config.profiles[config.guest];
            devices.push(api::Device {
                name: statistics.device.clone(),
                profile: guest.name.clone(),
                ..counted_device(statistics)
            });
        }
        devices
    }

    /// Those nobody named.
    pub(super) fn new_device_texts(&self) -> Vec<api::NewDevice> {
        let snapshot = self.resolver.snapshot();
        let config = &snapshot.config;
        let present = Present::of(snapshot.devices.neighbours());
        let statistics = self.journal.devices();
        let has_asked = |device: &Device| {
            let of_it = statistics.iter().find(|it| it.device == device.name)?;
            let at: Timestamp = of_it.last_seen.as_ref()?.parse().ok()?;
            u64::try_from(at.as_second()).ok()
        };
        let guests = LogFilter {
            profile: Some(config.profiles[config.guest].name.clone()),
            ..LogFilter::default()
        };
        let log = self.journal.log(None, RECENT, &guests).entries;
        let with_more = |(newcomer, mut text): (Newcomer, api::NewDevice)| {
            let is_its = |client: &String| text.addresses.contains(client);
            let its = log
                .iter()
                .filter(|it| it.client.as_ref().is_some_and(is_its));
            let is_block = |it: &&api::LogEntry| it.verdict == api::Action::Block;
            (text.recent_queries, text.recent_blocked) = (
                its.clone().count() as u64,
                its.filter(is_block).count() as u64,
            );
            let like = self
                .newcomers
                .like(&newcomer, &config.devices, &present, has_asked);
            text.looks_like = like.map(|(index, because)| {
                let device = &config.devices[index];
                let mac = text.mac.as_ref().map_or("", |mac| mac.mac.as_str());
                api::LooksLike {
                    device: device.name.clone(),
                    profile: config.profiles[device.profile].name.clone(),
                    because,
                    command: format!(
                        "hedgerow device assign {} --mac {mac}",
                        shell_word(&device.name)
                    ),
                }
            });
            text
        };
        let new = self.newcomers.list(&present);
        new.into_iter().map(with_more).collect()
    }

    /// How many there are with and without a name.
    pub(super) fn device_summary(&self, snapshot: &Snapshot) -> api::DeviceSummary {
        api::DeviceSummary {
            named: snapshot.config.devices.len() as u64,
            new: self.newcomers.count() as u64,
        }
    }

    /// MAC addresses of the configuration with others behind them, one sentence each.
    pub(super) fn shared_macs(&self, snapshot: &Snapshot) -> Vec<String> {
        let neighbours = snapshot.devices.neighbours();
        let mut told = Vec::new();
        for device in &snapshot.config.devices {
            for mac in macs_of(device) {
                let id = neighbours.id(mac);
                if id.is_some_and(|id| neighbours.is_shared(id)) {
                    told.push(format!(
                        "device `{}`: several machines ask with MAC address {mac}, as behind a \
                         repeater or a router; all of them are taken for it",
                        device.name
                    ));
                }
            }
        }
        told
    }

    /// What is told where the kernel's table is there and of no use.
    pub(super) fn out_of_sight(&self, snapshot: &Snapshot) -> Option<String> {
        let has_macs = snapshot.config.devices.iter().flat_map(macs_of).next();
        let is_blind = has_macs.is_some() && snapshot.devices.neighbours().is_out_of_sight();
        is_blind.then(|| {
            "the last questions all came from beyond the networks of this machine, where no MAC \
             address can be seen, so devices known by `mac` are taken for guests: let the daemon \
             share the host's network if it runs in a container, or whatever stands in between \
             name its clients (`[[forwarder]]`)"
                .to_owned()
        })
    }

    /// Does what `request` says to the devices file, and puts it in force.
    pub(super) fn edit_devices(
        &self,
        request: &DeviceRequest,
    ) -> Result<api::DeviceChange, ControlError> {
        // Two changes at once would each undo the other's.
        let _editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.resolver.snapshot();
        let config = &snapshot.config;
        let path = config.identity.devices_file.as_deref().ok_or_else(|| {
            ControlError::bad_request(
                "the configuration that came with the program is not changed",
                "start the daemon with one of your own",
            )
        })?;
        let present = Present::of(snapshot.devices.neighbours());
        let meant = self.find(request.who(), config, &present)?;
        if let (DeviceRequest::Forget { .. }, Meant::New(whom)) = (request, &meant) {
            self.newcomers.forget(*whom, snapshot.devices.neighbours());
            return Ok(api::DeviceChange {
                device: String::from(*whom),
                done: "forgotten".to_owned(),
                notes: vec!["if it asks again, it is new again".to_owned()],
                ..api::DeviceChange::default()
            });
        }
        let plan = self.plan(request, meant, config, path, &present)?;
        self.write(path, &plan.edits)?;
        let report = self.reload_now();
        let mut notes = plan.notes;
        if !report.ok {
            notes.push("written, but not in force: the configuration has errors".to_owned());
        }
        self.look_who_is_there(false);
        let after = self.resolver.snapshot();
        let config = &after.config;
        let device = config.devices.iter().find(|it| it.name == plan.name);
        Ok(api::DeviceChange {
            device: plan.name.clone(),
            done: plan.done.to_owned(),
            profile: device.map(|it| config.profiles[it.profile].name.clone()),
            known_by: device
                .map_or_else(Vec::new, |it| it.matches.iter().map(match_text).collect()),
            file: Some(path.display().to_string()),
            notes,
        })
    }

    /// What has to be changed for `request`.
    fn plan(
        &self,
        request: &DeviceRequest,
        meant: Meant,
        config: &Config,
        path: &Path,
        present: &Present<'_>,
    ) -> Result<Plan, ControlError> {
        let ours = |index: usize, instead: &str| {
            let name = &config.devices[index].name;
            is_ours(config, path, index, instead).map(|()| name.clone())
        };
        match (request, meant) {
            (DeviceRequest::Name { name, .. }, Meant::Device(index)) => {
                let from = ours(index, &format!("write `name = {name:?}` there"))?;
                Ok(Plan {
                    name: name.clone(),
                    done: "changed",
                    notes: vec![format!(
                        "log and statistics keep what they hold under `{}`",
                        from.escape_debug()
                    )],
                    edits: vec![DeviceEdit::Rename {
                        from,
                        to: name.clone(),
                    }],
                })
            }
            (DeviceRequest::Name { name, .. }, Meant::New(whom)) => {
                Ok(added(name.clone(), GUEST.to_owned(), whom, present))
            }
            (
                DeviceRequest::Assign {
                    profile, name, mac, ..
                },
                Meant::Device(index),
            ) => {
                if name.is_some() {
                    return Err(ControlError::bad_request(
                        "it has a name already",
                        "`hedgerow device name` gives it another one",
                    ));
                }
                let mut instead = Vec::new();
                instead.extend(profile.as_ref().map(|it| format!("`profile = {it:?}`")));
                instead.extend(mac.map(|it| format!("\"{it}\" among `mac`")));
                let instead = format!("write {} there", instead.join(" and "));
                let name = ours(index, &instead)?;
                let assign = profile.clone().map(|profile| DeviceEdit::Assign {
                    name: name.clone(),
                    profile,
                });
                let add_mac = mac.map(|mac| DeviceEdit::AddMac {
                    name: name.clone(),
                    mac,
                });
                Ok(Plan {
                    notes: mac.map_or_else(Vec::new, |mac| mac_notes(mac, present)),
                    edits: assign.into_iter().chain(add_mac).collect(),
                    name,
                    done: "changed",
                })
            }
            (
                DeviceRequest::Assign {
                    profile, name, mac, ..
                },
                Meant::New(whom),
            ) => {
                let (Some(profile), None) = (profile, mac) else {
                    return Err(ControlError::bad_request(
                        "a further MAC address needs a device that has a name",
                        "name it first: `hedgerow device name`",
                    ));
                };
                let name = name.clone().or_else(|| self.name_for(whom, present));
                let name = name.ok_or_else(|| {
                    ControlError::bad_request(
                        "it has no name, and does not say what it is called",
                        "add `--name`, as in `--name \"Mia's tablet\"`",
                    )
                })?;
                Ok(added(name, profile.clone(), whom, present))
            }
            (DeviceRequest::Invite { .. }, Meant::Device(index)) => {
                let id = config::new_client_id();
                let name = ours(index, &format!("write `ids = [\"{id}\"]` there"))?;
                Ok(Plan {
                    edits: vec![DeviceEdit::AddId {
                        name: name.clone(),
                        id,
                    }],
                    name,
                    done: "changed",
                    notes: Vec::new(),
                })
            }
            (DeviceRequest::Revoke { .. }, Meant::Device(index)) => {
                let name = ours(index, "take `ids` out there")?;
                let mut ids = config.devices[index].matches.iter();
                if !ids.any(|it| matches!(it, DeviceMatch::Id(_))) {
                    return Err(ControlError::bad_request(
                        "it has no id",
                        "`hedgerow device invite` gives it one",
                    ));
                }
                Ok(Plan {
                    edits: vec![DeviceEdit::RevokeId {
                        name: name.clone(),
                        id: None,
                    }],
                    name,
                    done: "revoked",
                    notes: vec![
                        "whoever shows one gets no answer any more; take the profile or the private \
                         DNS off the device too"
                            .to_owned(),
                    ],
                })
            }
            (DeviceRequest::Invite { .. } | DeviceRequest::Revoke { .. }, Meant::New(_)) => {
                Err(ControlError::bad_request(
                    "it has no name yet",
                    "`hedgerow device assign` gives it one, and a profile",
                ))
            }
            (DeviceRequest::Forget { .. }, Meant::Device(index)) => {
                let name = ours(index, "take it out there")?;
                Ok(Plan {
                    edits: vec![DeviceEdit::Remove { name: name.clone() }],
                    name,
                    done: "forgotten",
                    notes: vec!["it is a guest now".to_owned()],
                })
            }
            // Done before there is anything to write.
            (DeviceRequest::Forget { .. }, Meant::New(whom)) => Ok(Plan {
                edits: Vec::new(),
                name: String::from(whom),
                done: "forgotten",
                notes: Vec::new(),
            }),
        }
    }

    /// Whom `who` means: a device by its name, MAC address or address; somebody new by number,
    /// MAC address, address or host name.
    fn find(
        &self,
        who: &str,
        config: &Config,
        present: &Present<'_>,
    ) -> Result<Meant, ControlError> {
        let named = |name: &str| config.devices.iter().position(|it| it.name == name);
        let meant = |whom: Whom| {
            let index = config.devices.iter().position(|it| has(it, whom));
            index.map_or(Meant::New(whom), Meant::Device)
        };
        if let Some(index) = named(who) {
            return Ok(Meant::Device(index));
        }
        if let Ok(number) = who.trim_start_matches('#').parse() {
            let whom = self.newcomers.by_number(number);
            let nobody = || {
                ControlError::not_found(
                    format!("no new device has the number {number}"),
                    "`hedgerow device list --new` shows those there are",
                )
            };
            return whom.map(meant).ok_or_else(nobody);
        }
        if let Ok(mac) = who.parse() {
            return Ok(meant(Whom::Mac(mac)));
        }
        // The interface of a link-local address says nothing more where one MAC address is behind it.
        let address = who.split('%').next().unwrap_or_default();
        if let Ok(address) = address.parse::<IpAddr>() {
            return self.find_address(address.to_canonical(), present, meant);
        }
        let called = HostName::new(who).map(|name| present.called(&name));
        match called.unwrap_or_default().as_slice() {
            [whom] => Ok(meant(*whom)),
            [] => Err(ControlError::not_found(
                format!("nobody is known as `{}`", who.escape_debug()),
                "give a device's name, the number of a new one, a MAC address or an address; \
                 `hedgerow device list` and `hedgerow device list --new` show them",
            )),
            several => {
                let several: Vec<_> = several.iter().map(|whom| String::from(*whom)).collect();
                Err(ControlError::bad_request(
                    format!("several devices call themselves `{}`", who.escape_debug()),
                    format!("say which one: {}", several.join(", ")),
                ))
            }
        }
    }

    fn find_address(
        &self,
        address: IpAddr,
        present: &Present<'_>,
        meant: impl Fn(Whom) -> Meant,
    ) -> Result<Meant, ControlError> {
        let by_address = meant(Whom::Address(address));
        match present.behind(address).as_slice() {
            // All behind it have the same one; the address tells them apart.
            [mac] if present.is_shared(*mac) => Ok(by_address),
            [mac] => Ok(meant(Whom::Mac(*mac))),
            [] => Ok(by_address),
            several => {
                let several: Vec<_> = several.iter().map(ToString::to_string).collect();
                Err(ControlError::bad_request(
                    format!("several devices have {address}"),
                    format!("say which one: {}", several.join(", ")),
                ))
            }
        }
    }

    /// A name for somebody new: what it calls itself.
    fn name_for(&self, whom: Whom, present: &Present<'_>) -> Option<String> {
        let lease = present.hints(|lease| match whom {
            Whom::Mac(mac) => lease.mac == Some(mac),
            Whom::Address(address) => lease.address == address,
        });
        let remembered = || {
            let new = self.newcomers.list(present).into_iter();
            let mut its = new.filter(|(it, _)| it.whom == whom);
            its.next()?.0.host_name().map(str::to_owned)
        };
        lease.0.or_else(remembered)
    }

    /// Makes `edits` to the devices file, if what comes of it is a right configuration.
    fn write(&self, path: &Path, edits: &[DeviceEdit]) -> Result<(), ControlError> {
        rewrite(self.reloader.files(), path, edits, |text| {
            let current = self.resolver.snapshot();
            let tried = self.reloader.try_devices(path, text, &current);
            if tried.config.is_none() {
                let now = self.reloader.try_all_beside(&current);
                return Err(refusal(&tried, now.config.is_none()));
            }
            Ok(())
        })
    }
}

/// Makes `edits` to the text at `path`, if `allow` finds nothing wrong with what comes of it. That
/// takes its time: what somebody else wrote there meanwhile stays, and the edits are made to that.
fn rewrite(
    files: &Files,
    path: &Path,
    edits: &[DeviceEdit],
    mut allow: impl FnMut(&str) -> Result<(), ControlError>,
) -> Result<(), ControlError> {
    const ATTEMPTS: usize = 5;
    let cannot = |error: String| ControlError::unavailable(error, "nothing was changed");
    let read = || match files.read(path, MAX_FILE) {
        Ok(bytes) => {
            String::from_utf8(bytes).map_err(|_| broken(path, &"it is not UTF-8".to_owned()))
        }
        Err(error) if error.is_missing() => Ok(String::new()),
        Err(error) => Err(cannot(error.to_string())),
    };
    let mut before = read()?;
    for _ in 0..ATTEMPTS {
        let mut text = before.clone();
        for edit in edits {
            text = edit.apply(&text).map_err(|error| broken(path, &error))?;
        }
        allow(&text)?;
        let now = read()?;
        if now != before {
            before = now;
            continue;
        }
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let made = files.create_folder(folder);
        let written = made.and_then(|()| files.replace_privately(path, text.as_bytes()));
        return written.map_err(|error| cannot(error.to_string()));
    }
    Err(cannot(format!(
        "{}: somebody else goes on writing it",
        path.display()
    )))
}

impl DeviceRequest {
    fn who(&self) -> &str {
        match self {
            Self::Name { who, .. }
            | Self::Assign { who, .. }
            | Self::Invite { who }
            | Self::Revoke { who }
            | Self::Forget { who } => who,
        }
    }
}

/// What a device gets that has a name and was given to nobody.
const GUEST: &str = "unknown";

/// A device that was not there.
fn added(name: String, profile: String, whom: Whom, present: &Present<'_>) -> Plan {
    let (mac, address) = match whom {
        Whom::Mac(mac) => (Some(mac), None),
        Whom::Address(address) => (None, Some(address)),
    };
    let mut notes = match whom {
        Whom::Mac(mac) => mac_notes(mac, present),
        Whom::Address(address) => {
            let behind = present.behind(address);
            let why = if behind.is_empty() {
                "no MAC address can be seen behind"
            } else {
                "others share the MAC address behind"
            };
            vec![format!(
                "this is weak: {why} {address}, so whoever takes that address is taken for it"
            )]
        }
    };
    if profile == GUEST {
        notes.push(format!(
            "it stays a guest until it gets a profile: `hedgerow device assign {} --profile …`",
            shell_word(&name)
        ));
    }
    Plan {
        edits: vec![DeviceEdit::Add {
            name: name.clone(),
            profile,
            mac,
            address,
        }],
        name,
        done: "added",
        notes,
    }
}

/// What somebody should know who makes a MAC address a device's.
fn mac_notes(mac: Mac, present: &Present<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if mac.is_made_up() {
        notes.push(format!(
            "{mac} was made up by the device; when it makes up another one it is a guest, unless \
             \"private address\" is switched off for your network on the device"
        ));
    }
    if present.is_shared(mac) {
        notes.push(format!(
            "several machines ask with {mac}, as behind a repeater; all of them are taken for it"
        ));
    }
    notes
}

/// Whether a device stands in the devices file; if not, where it does and what to do there.
fn is_ours(config: &Config, path: &Path, index: usize, instead: &str) -> Result<(), ControlError> {
    let elsewhere = config.device_places.get(index).filter(|it| it.0 != path);
    let Some((file, line)) = elsewhere else {
        return Ok(());
    };
    let name = &config.devices[index].name;
    let error = format!(
        "`{}` stands in {}:{line}, which is yours to change",
        name.escape_debug(),
        file.display()
    );
    Err(ControlError::bad_request(error, instead))
}

/// Why the devices file cannot be changed.
fn broken(path: &Path, error: &impl std::fmt::Display) -> ControlError {
    let copy: PathBuf = config::good_copy(path);
    ControlError::bad_request(
        format!("{}: {error}", path.display()),
        format!(
            "mend the file, or copy `{}` over it: that is what it said when it was last right",
            copy.display()
        ),
    )
}

/// Why a change is not made.
fn refusal(tried: &Loaded, was_wrong: bool) -> ControlError {
    /// More than fits on a screen helps nobody.
    const SHOWN: usize = 3;
    let errors = tried.diagnostics.iter().filter(|it| it.is_error());
    let texts: Vec<String> = errors.take(SHOWN).map(Diagnostic::one_line).collect();
    let texts = texts.join("; ");
    let help = tried.diagnostics.iter().find_map(|it| it.help.clone());
    if was_wrong {
        let error = format!("the configuration has errors already: {texts}");
        return ControlError::bad_request(error, "mend them first; `hedgerow check` shows them");
    }
    let error = format!("that would not be a right configuration: {texts}");
    ControlError::bad_request(error, help.unwrap_or_default())
}

/// How sure it is now that the device is the one that has its name; none if it is not seen.
fn confidence(device: &Device, present: &Present<'_>) -> Option<Confidence> {
    let by_mac = macs_of(device).flat_map(|mac| present.places_of(mac));
    let best = by_mac.map(|(_, witness)| match witness {
        Witness::Kernel => Confidence::High,
        Witness::Lease | Witness::Ethers => Confidence::Medium,
    });
    let is_weak = |it: &DeviceMatch| !matches!(it, DeviceMatch::Mac(_));
    let weak = device.matches.iter().any(is_weak);
    best.max().or_else(|| weak.then_some(Confidence::Low))
}

/// The addresses of a device now: those behind its MAC addresses, and those it is known by.
fn addresses(device: &Device, present: &Present<'_>) -> Vec<String> {
    let macs = macs_of(device).flat_map(|mac| present.addresses_of(mac));
    let mut addresses: Vec<String> = macs.collect();
    for it in &device.matches {
        if let DeviceMatch::Net(net) = it
            && net.prefix_len() == net.max_prefix_len()
            && macs_of(device).next().is_none()
        {
            addresses.push(net.addr().to_string());
        }
    }
    addresses.dedup();
    addresses
}

fn host_name(device: &Device, present: &Present<'_>) -> Option<String> {
    macs_of(device).find_map(|mac| present.hints(|lease| lease.mac == Some(mac)).0)
}

/// A word as one types it into a shell.
fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    #[test]
    fn what_is_written_while_an_edit_is_checked_is_not_lost() {
        let memory = MemoryFiles::new();
        let path = Path::new("/state/devices.toml");
        let own = |name: &str| format!("[[device]]\nname = \"{name}\"\nprofile = \"adult\"\n");
        memory.put(path, own("one"));
        let edits = [DeviceEdit::Add {
            name: "tablet".to_owned(),
            profile: "schoolchild".to_owned(),
            mac: Some("02:00:5e:10:00:01".parse().unwrap()),
            address: None,
        }];
        let mut checked = 0;
        let done = rewrite(&memory.files(), path, &edits, |text| {
            checked += 1;
            if checked == 1 {
                memory.put(path, own("one") + &own("two"));
            } else {
                assert!(text.contains("\"two\""), "{text}");
            }
            Ok(())
        });
        assert!(done.is_ok());
        let text = String::from_utf8(memory.files().read(path, MAX_FILE).unwrap()).unwrap();
        for name in ["one", "two", "tablet"] {
            assert_eq!(text.matches(&format!("\"{name}\"")).count(), 1, "{text}");
        }
        assert_eq!(checked, 2);

        // Somebody who never stops is not overwritten.
        let mut round = 0;
        let refused = rewrite(&memory.files(), path, &edits[..0], |_| {
            round += 1;
            memory.put(path, format!("# {round}\n"));
            Ok(())
        });
        assert!(refused.is_err());
        let text = memory.files().read(path, MAX_FILE).unwrap();
        assert_eq!(text, format!("# {round}\n").into_bytes());
    }

    #[test]
    fn a_command_can_be_copied_into_a_shell() {
        for (name, expected) in [
            ("tablet", "tablet"),
            ("Mia's tablet", "'Mia'\\''s tablet'"),
            ("$(reboot)", "'$(reboot)'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(name), expected);
        }
    }
}
