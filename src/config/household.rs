//! From what is written to what it means: lists, profiles, devices, and how they name one another.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;

use super::case::{self, Case};
use super::device::devices;
use super::diagnostic::Diagnostic;
use super::growth::today;
use super::layer::{layer, nodes, profiles};
use super::list::{list_store, lists, unused_categories};
use super::presets::UNKNOWN;
use super::problems::Problems;
use super::profiles::Layer;
use super::read::Written;
use super::resolve::Around;
use super::resolvers;
use super::schedule::{self, Schedule};
use super::spec::Text;
use super::speech::speech;
use super::words::rules;
use super::{CATEGORIES, Device, List, ListStore, Profile, Rules};
use crate::lists::{ListKind, services};
use crate::schedule::Zone;

/// Everybody and everything in the home.
pub(super) struct Household {
    pub(super) rules: Rules,
    pub(super) zone: Zone,
    pub(super) schedules: Vec<Schedule>,
    pub(super) profiles: Vec<Profile>,
    pub(super) guest: usize,
    pub(super) devices: Vec<Device>,
    /// File and line of each.
    pub(super) device_places: Vec<(PathBuf, u32)>,
    pub(super) list_store: ListStore,
    pub(super) lists: Vec<List>,
    pub(super) services: bool,
    pub(super) cases: Vec<Case>,
}

/// Resolves everything that refers to one another.
pub(super) fn resolve(
    written: &Written,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<Household> {
    let list_store = list_store(&written.lists_section, around, problems);
    let lists = lists(written, &list_store, around, problems);
    let zone = schedule::zone(written, around, problems);
    let schedules = schedule::schedules(written, problems);
    let with_services = written.lists_section.starter.unwrap_or(true);
    let known = Known {
        resolvers: written.resolvers.iter().map(|(it, _)| it.text()).collect(),
        ..Known::of(&lists, &schedules, with_services)
    };
    let rules = rules(
        written.household.allow.as_ref(),
        written.household.block.as_ref(),
        &known.categories,
        problems,
    );
    let nodes = nodes(written, problems);
    let layers: Vec<Layer> = nodes
        .iter()
        .map(|node| layer(&node.spec, &known, problems))
        .collect();
    let speech = speech(&written.household, problems);
    let today = today(around.overrides.now, &zone);
    let mut profiles = profiles(&nodes, &layers, speech.language, today, problems);
    for profile in &mut profiles {
        profile.speech.contact.clone_from(&speech.contact);
    }
    let mut used = vec![false; schedules.len()];
    for at in layers.iter().flat_map(|layer| layer.times.schedules()) {
        used[at] = true;
    }
    schedule::unused(&schedules, &used, problems);
    let asked: Vec<u8> = layers.iter().filter_map(|it| it.resolvers).collect();
    resolvers::unused(written, &asked, problems);
    let index: HashMap<&str, usize> = profiles
        .iter()
        .enumerate()
        .map(|(at, profile)| (profile.name.as_str(), at))
        .collect();
    // Names of all profiles, those too whose chain is broken: naming one is then no mistake.
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let guest = match &written.household.guest_profile {
        None => index.get("guest").copied(),
        Some(word) => profile_of(word, &names, &index, None, problems),
    };
    let devices = devices(written, around, &names, &index, guest, &known, problems);
    let (devices, device_places): (Vec<Device>, Vec<_>) = devices.into_iter().unzip();
    let home = case::Home {
        devices: &devices,
        profiles: &profiles,
        names: &names,
        index: &index,
        guest,
        known: &known,
    };
    let cases = case::cases(written, &home, problems);
    unused_categories(&lists, &profiles, written, problems);
    Some(Household {
        rules,
        zone,
        schedules: schedules
            .into_iter()
            .map(|(schedule, _)| schedule)
            .collect(),
        guest: guest?,
        profiles,
        devices,
        device_places,
        list_store,
        lists,
        services: with_services,
        cases,
    })
}

/// The words a profile can refer to, each set sorted.
pub(super) struct Known<'l> {
    /// Categories that can be blocked.
    pub(super) categories: Vec<&'l str>,
    /// Ids of services.
    pub(super) services: Vec<&'l str>,
    /// Ids of blocklists.
    pub(super) blocklists: Vec<&'l str>,
    /// Ids and categories of allowlists.
    pub(super) allowlists: Vec<&'l str>,
    /// Ids of both and categories of allowlists.
    pub(super) lists: Vec<&'l str>,
    /// Names of schedules, in the order of the configuration's, not sorted.
    pub(super) schedules: Vec<&'l str>,
    /// Names of groups of resolvers, in the order of the configuration's, not sorted.
    pub(super) resolvers: Vec<&'l str>,
}

impl<'l> Known<'l> {
    fn of(
        lists: &'l [List],
        schedules: &'l [(Schedule, Range<usize>)],
        with_services: bool,
    ) -> Self {
        let mut categories: BTreeSet<&str> = CATEGORIES.iter().map(|(name, _)| *name).collect();
        categories.extend(services::GROUPS.iter().map(|group| group.category));
        // The preset for small children refers to it, whether or not its list is switched on.
        let mut allowlists = BTreeSet::from(["children"]);
        let mut blocklists = BTreeSet::new();
        for list in lists {
            match list.kind {
                ListKind::Block => {
                    categories.insert(&list.category);
                    blocklists.insert(list.id.as_str());
                }
                ListKind::Allow => {
                    allowlists.insert(&list.id);
                    allowlists.insert(&list.category);
                }
                ListKind::Lifeline | ListKind::Sealed => {}
            }
        }
        Self {
            categories: categories.into_iter().collect(),
            services: match with_services {
                true => services::all().map(|service| service.id).collect(),
                false => Vec::new(),
            },
            lists: blocklists.union(&allowlists).copied().collect(),
            blocklists: blocklists.into_iter().collect(),
            allowlists: allowlists.into_iter().collect(),
            schedules: schedules.iter().map(|(it, _)| it.name.as_str()).collect(),
            resolvers: Vec::new(),
        }
    }
}

/// The index of the profile that `word` names; none is told, or was when its chain is broken.
pub(super) fn profile_of(
    word: &Text,
    names: &BTreeSet<&str>,
    index: &HashMap<&str, usize>,
    guest: Option<usize>,
    problems: &mut Problems,
) -> Option<usize> {
    let name = word.text();
    if name == UNKNOWN && guest.is_some() {
        return guest;
    }
    if !names.contains(name) {
        let diagnostic = Diagnostic::error("unknown-profile", format!("unknown profile `{name}`"))
            .at(problems.place(&word.span()), "no profile has this name");
        let known = || names.iter().copied();
        let diagnostic = problems.guess(diagnostic, name, known());
        problems.report_absence(diagnostic.known("known profiles", known()));
    }
    index.get(name).copied()
}
