//! What a change of the configuration means, in words.

use serde::Serialize;

use crate::config::{
    Closing, Config, Device, Period, Privacy, Profile, Quota, Rule, Rules, Schedule, Subject,
    WhenClockUnset, WhenUnsure, Youtube, show_duration,
};
use crate::lists::ListKind;

/// One thing that would be different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// What kind of thing it is about: `profile`, `device`, `list`, `household` or `program`.
    pub kind: &'static str,
    /// Its name; empty for the household and the program.
    pub name: String,
    /// What is different, as in `blocks games now`.
    pub what: String,
}

/// What is different in `after`, seen from `before`; nothing where they mean the same.
pub fn differences(before: &Config, after: &Config) -> Vec<Difference> {
    let mut found = Found::default();
    household(before, after, &mut found);
    for profile in &after.profiles {
        found.begin("profile", &profile.name);
        match before.profiles.iter().find(|it| it.name == profile.name) {
            None => found.tell(format!("is new, from the preset {}", profile.preset)),
            Some(old) => profiles(&Of(old, before), &Of(profile, after), &mut found),
        }
    }
    for profile in gone(&before.profiles, &after.profiles, |it| &it.name) {
        found.begin("profile", &profile.name);
        found.tell("is gone");
    }
    for device in &after.devices {
        found.begin("device", &device.name);
        let owner = profile_name(after, device);
        match before.devices.iter().find(|it| it.name == device.name) {
            None => found.tell(format!("is new, with the profile {owner}")),
            Some(old) => {
                let earlier = profile_name(before, old);
                if earlier != owner {
                    found.tell(format!("belongs to {owner} instead of {earlier}"));
                }
                if old.matches != device.matches {
                    found.tell("is recognised by something else");
                }
                rules(&old.rules, &device.rules, &mut found);
            }
        }
    }
    for device in gone(&before.devices, &after.devices, |it| &it.name) {
        found.begin("device", &device.name);
        found.tell("is nobody's any more, and so a guest's");
    }
    lists(before, after, &mut found);
    program(before, after, &mut found);
    found.all
}

/// What was found so far, and what it is about now.
#[derive(Default)]
struct Found {
    all: Vec<Difference>,
    kind: &'static str,
    name: String,
}

impl Found {
    fn begin(&mut self, kind: &'static str, name: &str) {
        self.kind = kind;
        name.clone_into(&mut self.name);
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.all.push(Difference {
            kind: self.kind,
            name: self.name.clone(),
            what: what.into(),
        });
    }

    /// Tells which words came and which went.
    fn words<'w>(
        &mut self,
        before: impl Iterator<Item = &'w str> + Clone,
        after: impl Iterator<Item = &'w str> + Clone,
        now: impl Fn(&str) -> String,
        no_more: impl Fn(&str) -> String,
    ) {
        for word in after.clone() {
            if !before.clone().any(|it| it == word) {
                self.tell(now(word));
            }
        }
        for word in before {
            if !after.clone().any(|it| it == word) {
                self.tell(no_more(word));
            }
        }
    }

    fn switch(&mut self, what: &str, before: bool, after: bool) {
        match (before, after) {
            (false, true) => self.tell(format!("{what} is on now")),
            (true, false) => self.tell(format!("{what} is off now")),
            _ => {}
        }
    }

    fn setting(&mut self, what: &str, before: &str, after: &str) {
        if before != after {
            self.tell(format!("{what}: {after} instead of {before}"));
        }
    }
}

/// A profile and the configuration it is of.
struct Of<'c>(&'c Profile, &'c Config);

fn gone<'b, T>(
    before: &'b [T],
    after: &'b [T],
    name: impl Fn(&T) -> &String,
) -> impl Iterator<Item = &'b T> {
    before
        .iter()
        .filter(move |old| !after.iter().any(|it| name(it) == name(old)))
}

fn profile_name<'c>(config: &'c Config, device: &Device) -> &'c str {
    let profile = config.profiles.get(device.profile);
    profile.map_or("", |profile| &profile.name)
}

fn texts(words: &[String]) -> impl Iterator<Item = &str> + Clone {
    words.iter().map(String::as_str)
}

fn household(before: &Config, after: &Config, found: &mut Found) {
    found.begin("household", "");
    let guest = |config: &Config| config.profiles[config.guest].name.clone();
    found.setting("profile of guests", &guest(before), &guest(after));
    found.setting("time zone", before.zone.name(), after.zone.name());
    rules(&before.household, &after.household, found);
    let added = after.cases.iter();
    let added = added.filter(|case| !before.cases.iter().any(|it| it.asks_same(case)));
    for case in added {
        found.tell(format!("is tested now: {}", case.title));
    }
    let removed = before.cases.iter();
    let removed = removed.filter(|case| !after.cases.iter().any(|it| it.asks_same(case)));
    for case in removed {
        found.tell(format!("is no longer tested: {}", case.title));
    }
}

fn profiles(old: &Of<'_>, new: &Of<'_>, found: &mut Found) {
    let (Of(before, config_before), Of(after, config_after)) = (old, new);
    found.setting("preset", &before.preset, &after.preset);
    let now = |what: &'static str| move |word: &str| format!("{what} {word} now");
    let no_more = |what: &'static str| move |word: &str| format!("no longer {what} {word}");
    found.words(
        texts(&before.block_categories),
        texts(&after.block_categories),
        now("blocks"),
        no_more("blocks"),
    );
    found.words(
        texts(&before.block_services),
        texts(&after.block_services),
        now("blocks the service"),
        no_more("blocks the service"),
    );
    found.words(
        texts(&before.open_services),
        texts(&after.open_services),
        now("lets through the service"),
        no_more("lets through the service"),
    );
    found.words(
        texts(&before.block_lists),
        texts(&after.block_lists),
        now("uses the blocklist"),
        no_more("uses the blocklist"),
    );
    found.words(
        texts(&before.allow_lists),
        texts(&after.allow_lists),
        now("uses the allowlist"),
        no_more("uses the allowlist"),
    );
    rules(&before.rules, &after.rules, found);
    let switches = |profile: &Profile| {
        [
            ("\"nothing but allowlists\"", profile.allow_only),
            ("safe search", profile.safe_search),
            (
                "blocking of search engines without a safe form",
                profile.block_unsafe_search,
            ),
            ("closing of the ways round", profile.close_bypass),
            ("blocking of look-alikes", profile.ways_round.look_alikes),
            (
                "blocking of unusual types",
                profile.ways_round.unusual_types,
            ),
            ("stopping of tunnels", profile.ways_round.tunnels),
            (
                "blocking of unusual names",
                profile.ways_round.unusual_names,
            ),
            (
                "blocking of names that point into the home",
                profile.block_rebinding,
            ),
            ("pinned egress", profile.pinned_egress),
        ]
    };
    for ((what, was), (_, is)) in switches(before).into_iter().zip(switches(after)) {
        found.switch(what, was, is);
    }
    let settings = |profile: &Profile| {
        [
            (
                "restriction of the video service",
                youtube(profile.youtube).to_owned(),
            ),
            ("what is remembered", privacy(profile.privacy).to_owned()),
            (
                "a list that is missing",
                match profile.when_unsure {
                    WhenUnsure::Allow => "lets through".to_owned(),
                    WhenUnsure::Block => "blocks".to_owned(),
                },
            ),
            (
                "schedules while the clock is not set",
                match profile.when_clock_unset {
                    WhenClockUnset::Close => "close".to_owned(),
                    WhenClockUnset::Open => "open".to_owned(),
                },
            ),
            ("language", profile.speech.language.to_owned()),
            (
                "how long a block is kept",
                format!("{} s", profile.block_ttl),
            ),
        ]
    };
    for ((what, was), (_, is)) in settings(before).into_iter().zip(settings(after)) {
        found.setting(what, &was, &is);
    }
    // By name: the same group may stand in another place.
    let resolvers = |config: &Config, profile: &Profile| {
        config.upstream.resolvers(profile.resolvers).to_owned()
    };
    let (was, is) = (
        resolvers(config_before, before),
        resolvers(config_after, after),
    );
    found.setting("resolvers", &was, &is);
    if before.block_answer != after.block_answer {
        found.tell("answers blocks in another way");
    }
    if before.speech.contact != after.speech.contact {
        found.tell("names somebody else to ask for access");
    }
    closings(before, config_before, after, config_after, found);
    quotas(&before.quotas, &after.quotas, found);
}

const fn youtube(youtube: Youtube) -> &'static str {
    match youtube {
        Youtube::Off => "off",
        Youtube::Moderate => "moderate",
        Youtube::Strict => "strict",
    }
}

const fn privacy(privacy: Privacy) -> &'static str {
    match privacy {
        Privacy::Names => "names",
        Privacy::Categories => "categories and times",
        Privacy::None => "totals only",
    }
}

fn rules(before: &Rules, after: &Rules, found: &mut Found) {
    let sides = [
        ("allows", &before.allow, &after.allow),
        ("blocks the name", &before.block, &after.block),
    ];
    for (what, before, after) in sides {
        let has = |rules: &[Rule], rule: &Rule| rules.iter().any(|it| it.pattern == rule.pattern);
        for rule in after.iter().filter(|rule| !has(before, rule)) {
            found.tell(format!("{what} {} now", rule.text));
        }
        for rule in before.iter().filter(|rule| !has(after, rule)) {
            found.tell(format!("no longer {what} {}", rule.text));
        }
    }
}

fn closings(
    before: &Profile,
    config_before: &Config,
    after: &Profile,
    config_after: &Config,
    found: &mut Found,
) {
    let of = |config: &'_ Config, closing: &Closing| config.schedules[closing.schedule].clone();
    for closing in &after.closings {
        let schedule = of(config_after, closing);
        let earlier = before.closings.iter().find_map(|it| {
            let earlier = of(config_before, it);
            (earlier.name == schedule.name).then_some((it, earlier))
        });
        let Some((old, earlier)) = earlier else {
            let windows = windows(&schedule);
            found.tell(format!(
                "{} ({windows}) {} now",
                schedule.name,
                closes(closing)
            ));
            continue;
        };
        if !same_subjects(&old.close, &closing.close) || !same_subjects(&old.open, &closing.open) {
            found.tell(format!(
                "{} {} instead of: {}",
                schedule.name,
                closes(closing),
                closes(old)
            ));
        }
        times(&earlier, &schedule, found);
    }
    for closing in &before.closings {
        let schedule = of(config_before, closing);
        let mut left = after.closings.iter();
        if !left.any(|it| of(config_after, it).name == schedule.name) {
            found.tell(format!("{} no longer {}", schedule.name, closes(closing)));
        }
    }
}

/// What a closing does: `closes games, roblox and leaves school open`.
pub fn closes(closing: &Closing) -> String {
    let mut text = format!("closes {}", words_of(&closing.close));
    if !closing.open.is_empty() {
        text.push_str(&format!(" and leaves {} open", words_of(&closing.open)));
    }
    text
}

/// Subjects as they are written, one after the other.
pub fn words_of(subjects: &[Subject]) -> String {
    let words: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    words.join(", ")
}

fn same_subjects(one: &[Subject], other: &[Subject]) -> bool {
    let within = |these: &[Subject], those: &[Subject]| {
        let mut these = these.iter();
        these.all(|it| those.iter().any(|other| it.means_same(other)))
    };
    within(one, other) && within(other, one)
}

/// Tells how the times of a schedule changed: `bedtime begins 20:00 instead of 20:30 (sun-thu)`.
fn times(before: &Schedule, after: &Schedule, found: &mut Found) {
    let name = &after.name;
    let in_order = |schedule: &Schedule| {
        let mut windows = schedule.times.windows().to_vec();
        windows.sort_by_cached_key(ToString::to_string);
        windows
    };
    let (was, is) = (in_order(before), in_order(after));
    let same_days =
        was.len() == is.len() && was.iter().zip(&is).all(|(was, is)| was.days == is.days);
    if same_days {
        for (was, is) in was.iter().zip(&is) {
            let (old, new) = (was.to_string(), is.to_string());
            let ((old_begin, old_end), (new_begin, new_end)) = (ends(&old), ends(&new));
            let days = new.rsplit_once(' ').map_or("every day", |(days, _)| days);
            if old_begin != new_begin {
                found.tell(format!(
                    "{name} begins {new_begin} instead of {old_begin} ({days})"
                ));
            }
            if old_end != new_end {
                found.tell(format!(
                    "{name} ends {new_end} instead of {old_end} ({days})"
                ));
            }
        }
    } else if was != is {
        found.tell(format!(
            "{name} holds {} instead of {}",
            windows(after),
            windows(before)
        ));
    }
    let dates = |schedule: &Schedule| {
        let times = &schedule.times;
        let shown = |dates: &[crate::schedule::Dates]| {
            let mut texts: Vec<String> = dates.iter().map(ToString::to_string).collect();
            texts.sort_unstable();
            texts.join(", ")
        };
        (shown(times.dates()), shown(times.except()))
    };
    let ((on, except), (now_on, now_except)) = (dates(before), dates(after));
    let or = |text: String, other: &str| match text.is_empty() {
        true => other.to_owned(),
        false => text,
    };
    found.setting(
        &format!("dates of {name}"),
        &or(on, "every day"),
        &or(now_on, "every day"),
    );
    found.setting(
        &format!("exceptions of {name}"),
        &or(except, "none"),
        &or(now_except, "none"),
    );
}

/// Beginning and end of a window as written.
fn ends(window: &str) -> (&str, &str) {
    let times = window.rsplit(' ').next().unwrap_or(window);
    times.split_once('-').unwrap_or((times, ""))
}

/// The windows of a schedule as they are written.
pub fn windows(schedule: &Schedule) -> String {
    let windows = schedule.times.windows().iter();
    let texts: Vec<String> = windows.map(ToString::to_string).collect();
    texts.join(", ")
}

fn quotas(before: &[Quota], after: &[Quota], found: &mut Found) {
    for quota in after {
        let of = words_of(&quota.of);
        // A day's that became a week's is one that changed, unless there were both.
        let is_left = |it: &&Quota| !after.iter().any(|other| other.is_same(it));
        let of_same = |it: &&Quota| same_subjects(&it.of, &quota.of);
        let earlier = before.iter().find(|it| it.is_same(quota));
        let earlier = earlier.or_else(|| before.iter().find(|it| of_same(it) && is_left(it)));
        match earlier {
            None => found.tell(format!("has {} for {of} now", allowance(quota))),
            Some(old) => {
                if (old.time, old.per) != (quota.time, quota.per) {
                    let (was, is) = (allowance(old), allowance(quota));
                    found.tell(format!("has {is} for {of} instead of {was}"));
                }
                let rest = |it: &Quota| (it.reset, it.roll_over, it.linger);
                if rest(old) != rest(quota) {
                    found.tell(format!("the time for {of} is counted in another way"));
                }
            }
        }
    }
    for quota in before {
        let same = |it: &&Quota| same_subjects(&it.of, &quota.of);
        if after.iter().any(|it| it.is_same(quota)) {
            continue;
        }
        let of = words_of(&quota.of);
        if !after.iter().any(|it| same(&it)) {
            found.tell(format!("has no limit for {of} any more"));
        } else if before.iter().filter(same).count() > after.iter().filter(same).count() {
            found.tell(format!("has no longer {} for {of}", allowance(quota)));
        }
    }
}

/// The time of a quota: `2h a day`.
pub fn allowance(quota: &Quota) -> String {
    let per = match quota.per {
        Period::Day => "a day".to_owned(),
        Period::Week(_) => "a week".to_owned(),
    };
    format!("{} {per}", show_duration(quota.time))
}

fn lists(before: &Config, after: &Config, found: &mut Found) {
    let what = |kind| match kind {
        ListKind::Block => "blocklist",
        ListKind::Allow => "allowlist",
        ListKind::Lifeline => "list of lifelines",
        ListKind::Sealed => "sealed list",
    };
    for list in &after.lists {
        found.begin("list", &list.id);
        match before.lists.iter().find(|it| it.id == list.id) {
            None => found.tell(format!(
                "is a new {} of category {}",
                what(list.kind),
                list.category
            )),
            Some(old) => {
                found.setting("category", &old.category, &list.category);
                found.setting("kind", what(old.kind), what(list.kind));
                if old.source != list.source || old.format != list.format {
                    found.tell("takes its names from elsewhere");
                } else if old.download != list.download {
                    found.tell("is downloaded in another way");
                }
            }
        }
    }
    for list in gone(&before.lists, &after.lists, |it| &it.id) {
        found.begin("list", &list.id);
        found.tell("is gone");
    }
    found.begin("household", "");
    found.switch("the list of services", before.services, after.services);
}

/// Settings of the program, of which only that they changed is told.
fn program(before: &Config, after: &Config, found: &mut Found) {
    found.begin("program", "");
    for (what, changed) in [
        ("server", before.server != after.server),
        ("limits", before.limits != after.limits),
        ("cache", before.cache != after.cache),
        ("upstream", before.upstream != after.upstream),
        ("time", before.time != after.time),
        ("journal", before.journal != after.journal),
        ("control", before.control != after.control),
        ("metrics", before.metrics != after.metrics),
        ("log", before.log != after.log),
        ("identity", before.identity != after.identity),
        ("firewall", before.firewall != after.firewall),
        ("forwarder", before.forwarders != after.forwarders),
        ("lists", before.list_store != after.list_store),
    ] {
        if changed {
            found.tell(format!("settings of `{what}` changed"));
        }
    }
}
