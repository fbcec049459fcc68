//! The immutable world of a query: everything it is judged by, from its first octet to its last.
//!
//! A reload builds the next snapshot beside the one in use and swaps a pointer, so no query ever
//! sees half of two configurations.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::cache::Cache;
use crate::clock::Moment;
use crate::config::{Config, Listen};
use crate::device::{Asking, Device, Devices, HomeAnswer, HomeNames, Neighbours, Origin};
use crate::lists::Index;
use crate::message::Question;
use crate::name::{Name, NameRef};
use crate::policy::{Gate, RuleBook, RuleOwner, SafeSearch, View};
use crate::profile::Profile;
use crate::standing::Standings;
use crate::upstream::Upstreams;

/// What one generation of the configuration came to.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts reloads, from 1.
    pub generation: u64,
    /// What it was built from.
    pub config: Arc<Config>,
    /// Who is asking.
    pub devices: Devices,
    /// Which rules hold, by id.
    pub profiles: Vec<Profile>,
    guest: u16,
    /// What holds for them now and for some time; whoever looks at the clock puts new ones in.
    pub standings: ArcSwap<Standings>,
    /// The household's own lines.
    pub rules: RuleBook,
    /// What comes before them and the safe forms.
    pub gate: Gate,
    /// All lists.
    pub lists: Arc<Index>,
    /// The safe forms of search engines.
    pub safe_search: Arc<SafeSearch>,
    /// The names of its devices.
    pub home: HomeNames,
    /// Domains whose answers may point into the home: those the household has resolvers for, and its
    /// own.
    pub private_domains: Vec<Name>,
    /// What upstream said; kept from one generation to the next while its settings stay.
    pub cache: Arc<Cache>,
    /// Whom we ask; kept likewise.
    pub upstream: Arc<Upstreams>,
}

/// The parts that may live on from one snapshot to the next.
#[derive(Clone, Debug)]
pub struct Lasting {
    /// All lists.
    pub lists: Arc<Index>,
    /// The safe forms of search engines.
    pub safe_search: Arc<SafeSearch>,
    /// What upstream said.
    pub cache: Arc<Cache>,
    /// Whom we ask.
    pub upstream: Arc<Upstreams>,
    /// Which MAC address stands behind an address.
    pub neighbours: Arc<Neighbours>,
}

impl Snapshot {
    /// The world that `config` describes, for queries that come in at `listeners`: those that were
    /// bound at the start, whatever a later configuration says, since sockets are known by place.
    pub fn new(
        generation: u64,
        config: Arc<Config>,
        listeners: &[Listen],
        lasting: Lasting,
    ) -> Self {
        let rules = RuleBook::new(
            std::iter::once((RuleOwner::Household, &config.household))
                .chain(
                    (0..)
                        .zip(&config.profiles)
                        .map(|(id, profile)| (RuleOwner::Profile(id), &profile.rules)),
                )
                .chain(
                    (0..)
                        .zip(&config.devices)
                        .map(|(index, device)| (RuleOwner::Device(index), &device.rules)),
                ),
        );
        let profiles: Vec<Profile> = (0..)
            .zip(&config.profiles)
            .map(|(id, profile)| Profile::compile(id, profile, &lasting.lists))
            .collect();
        let forwarded = config.upstream.forward.iter().map(|it| &it.domain);
        let own = config.identity.home_domain.iter();
        let devices = Devices::new(&config.devices, listeners, lasting.neighbours)
            .with_forwarders(&config.forwarders);
        Self {
            generation,
            home: HomeNames::new(&config, &devices),
            devices,
            standings: ArcSwap::from_pointee(Standings::plain(&profiles)),
            profiles,
            // `Config` holds an index that exists, and far fewer than 65,536 profiles.
            guest: config.guest as u16,
            gate: Gate::new(&rules, &lasting.safe_search),
            rules,
            private_domains: forwarded.chain(own).cloned().collect(),
            lists: lasting.lists,
            safe_search: lasting.safe_search,
            cache: lasting.cache,
            upstream: lasting.upstream,
            config,
        }
    }

    /// What may live on into the next snapshot.
    pub fn lasting(&self) -> Lasting {
        Lasting {
            lists: Arc::clone(&self.lists),
            safe_search: Arc::clone(&self.safe_search),
            cache: Arc::clone(&self.cache),
            upstream: Arc::clone(&self.upstream),
            neighbours: Arc::clone(self.devices.neighbours()),
        }
    }

    /// The device that asks from `origin` as far as is known now, if somebody named it.
    pub fn device_at(&self, origin: &Origin) -> Option<&Device> {
        let index = self.devices.settle(origin, None)?;
        self.devices.device(index)
    }

    /// Whether everybody may ask from `client`'s address.
    pub fn serves(&self, client: IpAddr) -> bool {
        let mut nets = self.config.server.serve.iter();
        nets.any(|net| net.contains(&client))
    }

    /// The profile of the device with this index; none is a guest.
    pub fn profile_of(&self, index: Option<u16>) -> &Profile {
        let device = index.and_then(|index| self.devices.device(index));
        let profile = device.map_or(self.guest, |device| device.profile);
        &self.profiles[usize::from(profile)]
    }

    /// This world as it is at `at`.
    pub fn at(&self, at: Moment) -> Hour<'_> {
        Hour {
            snapshot: self,
            standings: self.standings.load(),
            at,
        }
    }

    /// This world as `standings` say it will be or was; `at` is a moment of theirs.
    pub fn in_hour(&self, standings: Arc<Standings>, at: Moment) -> Hour<'_> {
        Hour {
            snapshot: self,
            standings: Guard::from_inner(standings),
            at,
        }
    }

    /// Whether the household has resolvers of its own for `name`.
    pub fn is_forwarded(&self, name: NameRef<'_>) -> bool {
        let mut forwarded = self.config.upstream.forward.iter();
        forwarded.any(|forward| name.is_within(forward.domain.as_ref()))
    }

    /// Which resolvers are asked for `qname` where somebody of `profile` asks, as in
    /// [`Question::via`]. For domains that have resolvers of their own all are the same, and a lifeline
    /// is asked of the household's: the filter of a group's must not close it.
    pub fn via(&self, profile: &Profile, qname: NameRef<'_>, of_lifeline: bool) -> u8 {
        if profile.resolvers == 0 || of_lifeline || self.is_forwarded(qname) {
            return 0;
        }
        profile.resolvers
    }

    /// What the home itself answers to a question: of its devices' names and addresses nothing is
    /// asked of an upstream.
    pub fn ask_home(&self, question: &Question, asking: Asking) -> Option<HomeAnswer> {
        let qname = question.qname.as_ref();
        let answer = self
            .home
            .find(qname, question.qtype, &self.devices, asking)?;
        (!self.is_forwarded(qname)).then_some(answer)
    }
}

/// A snapshot at one moment: schedules, quotas, grants and pauses are what they are then.
#[derive(Debug)]
pub struct Hour<'s> {
    snapshot: &'s Snapshot,
    standings: Guard<Arc<Standings>>,
    at: Moment,
}

impl Hour<'_> {
    /// Whose query it is as far as is known now: the device, if somebody named it, and all its
    /// verdicts depend on.
    pub fn identify(&self, origin: &Origin) -> (Option<&Device>, View<'_>) {
        let index = self.snapshot.devices.settle(origin, None);
        self.view_of(index, Some(origin.client))
    }

    /// What the verdicts on the device with this index depend on; none is a guest. `client` is its
    /// address, where it asks from one.
    pub fn view_of(
        &self,
        index: Option<u16>,
        client: Option<IpAddr>,
    ) -> (Option<&Device>, View<'_>) {
        let snapshot = self.snapshot;
        let device = index.and_then(|index| snapshot.devices.device(index));
        let profile = snapshot.profile_of(index);
        let view = View {
            lists: &snapshot.lists,
            rules: &snapshot.rules,
            safe_search: &snapshot.safe_search,
            gate: &snapshot.gate,
            private_domains: &snapshot.private_domains,
            profile,
            standing: self.standings.at(profile.id, index, self.at),
            device: index,
            device_name: device.map(|device| device.name),
            client,
        };
        (device, view)
    }
}
