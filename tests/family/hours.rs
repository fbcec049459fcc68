//! The hours of a household against a naive model of them, on clocks of the test's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hedgerow::clock::{Clock, Moment, Timestamp};
use hedgerow::config::{self, Overrides, Subject};
use hedgerow::device::Origin;
use hedgerow::files::MemoryFiles;
use hedgerow::grants::{Grants, Said, Scope, What};
use hedgerow::name::Name;
use hedgerow::policy::{judge_name, marks_of};
use hedgerow::quota::{Meters, Quota};
use hedgerow::reload::offline_snapshot;
use hedgerow::snapshot::Snapshot;
use hedgerow::standing::{Plan, QuotaState, Standings, quotas_of};
use hedgerow::wall::{KnownTime, Wall};

/// A child with a bedtime, homework and an hour of games a day.
const FAMILY: &str = r#"
[household]
time-zone = "ZONE"

[[device]]
name = "tablet"
profile = "mia"
address = ["192.168.1.7"]

[schedule.bedtime]
windows = ["sun-thu 20:30-06:30", "fri,sat 22:00-07:30"]

[schedule.homework]
windows = ["mon-fri 14:00-16:00"]

[profile.mia]
inherits = "adult"
when-clock-unset = "WHEN"

[[profile.mia.during]]
schedule = "bedtime"
close = ["everything"]
open = ["lullaby.example"]

[[profile.mia.during]]
schedule = "homework"
only = ["school.example"]

[[profile.mia.quota]]
of = ["games"]
time = "1h"
linger = "1m"

[[list]]
id = "our-games"
category = "games"
lines = ["play.example"]

[[list]]
id = "our-lifelines"
category = "lifelines"
kind = "lifeline"
lines = ["helpline.example"]
"#;

const NAMES: [&str; 5] = [
    "www.example.org",
    "school.example",
    "play.example",
    "lullaby.example",
    "helpline.example",
];

/// A household whose clocks the test moves.
struct Household {
    world: Arc<Snapshot>,
    grants: Grants,
    meters: Meters,
}

impl Household {
    fn new(zone: &str, when_clock_unset: &str) -> Self {
        let text = FAMILY.replace("ZONE", zone);
        let text = text.replace("WHEN", when_clock_unset);
        let files = MemoryFiles::new();
        files.put("/etc/h.toml", text);
        let files = files.files();
        let loaded = config::load_with(&files, Path::new("/etc/h.toml"), &Overrides::default());
        let config = loaded.config.expect("a configuration");
        Self {
            world: offline_snapshot(config, &files, &Clock::system()).unwrap(),
            grants: Grants::default(),
            meters: Meters::load(files, None).0,
        }
    }

    /// What holds from now on, as the daemon makes it.
    fn renew(&self, at: Moment, wall: Wall) {
        let config = &self.world.config;
        self.meters.follow(&quotas_of(config));
        let bonus = |it: &Quota| self.grants.holding(&it.profile, None, wall).bonus(&it.of);
        let periods = |it: &Quota, time: Timestamp| it.rhythm.period(time, &config.zone);
        self.meters.turn(at, wall, &periods, bonus);
        let shown = self.meters.shown(at).into_iter();
        let quotas = shown.map(|it| QuotaState {
            is_spent: it.left.is_zero(),
            until: it.period.map(|period| period.end),
            meter: self.meters.meter(&it.quota.profile, &it.quota.of).unwrap(),
            profile: it.quota.profile,
            of: it.quota.of,
        });
        let quotas: Vec<QuotaState> = quotas.collect();
        let plan = Plan {
            config,
            grants: &self.grants,
            quotas: &quotas,
            wall,
            at,
        };
        let standings = plan.standings(&self.world.profiles, &self.world.lists);
        self.world.standings.store(Arc::new(standings));
    }

    fn standings(&self) -> Arc<Standings> {
        self.world.standings.load_full()
    }

    /// Whether the tablet may reach `name`; what it may reach counts if it `uses` it.
    fn is_open(&self, name: &str, at: Moment, uses: bool) -> bool {
        let hour = self.world.at(at);
        let origin = Origin::new([192, 168, 1, 7].into(), 0, 0);
        let (_, view) = hour.identify(&origin);
        let name = Name::parse(name).unwrap();
        let is_open = !judge_name(name.as_ref(), 1, &view).is_block();
        if is_open && uses {
            let marks = marks_of(name.as_ref(), 1, &view);
            view.standing.touch(&marks, at);
        }
        is_open
    }

    fn open_names(&self, at: Moment) -> Vec<&'static str> {
        let open = NAMES.into_iter();
        open.filter(|name| self.is_open(name, at, false)).collect()
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn after(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn moment(minutes: u64) -> Moment {
    Moment::default().after(after(minutes))
}

fn subject(word: &str) -> Subject {
    Subject::parse(word, |id| id == "games", |_| false).unwrap()
}

/// Something said in the week: at which minute, for how long, and what.
struct Word {
    minute: u64,
    minutes: u64,
    what: What,
    scope: Scope,
}

impl Word {
    fn holds(&self, minute: u64) -> bool {
        (self.minute..self.minute + self.minutes).contains(&minute)
    }
}

/// A minute of the week that begins on Monday.
const fn minute(day: u64, hour: u64, minute: u64) -> u64 {
    (day * 24 + hour) * 60 + minute
}

fn words() -> Vec<Word> {
    let mia = || Scope::Profile("mia".to_owned());
    let tablet = || Scope::Device("tablet".to_owned());
    let say = |minute, minutes, what, scope| Word {
        minute,
        minutes,
        what,
        scope,
    };
    let bonus = What::Bonus {
        minutes: 30,
        of: None,
    };
    vec![
        say(
            minute(1, 21, 0),
            30,
            What::Allow(subject("example.org")),
            mia(),
        ),
        say(minute(2, 15, 5), 60, What::PauseInternet, tablet()),
        say(
            minute(3, 19, 0),
            120,
            What::Allow(subject("everything")),
            tablet(),
        ),
        say(minute(4, 17, 30), 45, What::PauseInternet, Scope::Everybody),
        say(
            minute(4, 17, 40),
            10,
            What::Allow(subject("play.example")),
            mia(),
        ),
        say(minute(5, 18, 7), 10 * 60 - 7, bonus, mia()),
        say(minute(5, 21, 59), 90, What::Allow(subject("games")), mia()),
        // Somebody else's.
        say(
            minute(6, 12, 0),
            60,
            What::PauseInternet,
            Scope::Device("other".to_owned()),
        ),
    ]
}

/// What a naive reader of the configuration and of what was said expects.
fn expected(name: &str, minute: u64, used: u64, words: &[Word]) -> bool {
    if name == "helpline.example" {
        return true;
    }
    let meant = |word: &&Word| match &word.scope {
        Scope::Everybody | Scope::Profile(_) => true,
        Scope::Device(name) => name == "tablet",
    };
    let held = || words.iter().filter(meant).filter(|word| word.holds(minute));
    let pauses = held().filter(|word| word.what == What::PauseInternet);
    let newest = pauses.map(|word| word.minute).max();
    let grants = held().filter(|word| newest.is_none_or(|pause| word.minute > pause));
    let grants: Vec<String> = grants
        .filter_map(|word| match &word.what {
            What::Allow(subject) => Some(subject.to_string()),
            _ => None,
        })
        .collect();
    let has = |wanted: &str| grants.iter().any(|word| word == wanted);
    if has(name) || name == "www.example.org" && has("example.org") || has("everything") {
        return true;
    }
    if newest.is_some() {
        return false;
    }
    if name == "play.example" && has("games") {
        return true;
    }
    let (day, of_day) = (minute / (24 * 60) % 7, minute % (24 * 60));
    let yesterday = (day + 6) % 7;
    let is_late = |day: u64| day == 4 || day == 5;
    let begin = if is_late(day) { 22 * 60 } else { 20 * 60 + 30 };
    let end = if is_late(yesterday) {
        7 * 60 + 30
    } else {
        6 * 60 + 30
    };
    if (of_day >= begin || of_day < end) && name != "lullaby.example" {
        return false;
    }
    let is_homework = day < 5 && (14 * 60..16 * 60).contains(&of_day);
    if is_homework && name != "school.example" {
        return false;
    }
    let bonus = held().any(|word| matches!(word.what, What::Bonus { .. }));
    let allowance = if bonus { 90 } else { 60 };
    name != "play.example" || used < allowance
}

#[test]
fn a_week_is_what_a_naive_reader_expects_minute_by_minute() {
    let mut household = Household::new("UTC0", "close");
    let begin = time("2026-11-30T00:00:00Z");
    let words = words();
    let (mut used, mut spent_days, mut closed) = (0, 0, 0);
    for minute in 0..7 * 24 * 60 {
        let (at, now) = (moment(minute), begin + after(minute));
        if minute % (24 * 60) == 4 * 60 {
            spent_days += u64::from(used >= 60);
            used = 0;
        }
        let mut is_new = minute % 60 == 0 || household.standings().are_outdated(at);
        for word in words.iter().filter(|word| word.minute == minute) {
            let said = Said {
                what: word.what.clone(),
                scope: word.scope.clone(),
                until: now + after(word.minutes),
                by: "anna".to_owned(),
                why: String::new(),
            };
            household.grants.add(said, Wall::Set(now)).unwrap();
            is_new = true;
        }
        if is_new {
            household.renew(at, Wall::Set(now));
        }
        for name in NAMES {
            let is_open = household.is_open(name, at, false);
            let wanted = expected(name, minute, used, &words);
            assert_eq!(is_open, wanted, "{name} at {now}, {used} minutes used");
            closed += u64::from(!is_open);
        }
        let plays = (12..20).contains(&(minute / 60 % 24));
        if plays && household.is_open("play.example", at, true) {
            used += 1;
        }
    }
    assert!(spent_days >= 5, "{spent_days}");
    assert!(closed > 10_000, "{closed}");
}

#[test]
fn the_nights_clocks_change_begin_and_end_on_the_clock() {
    for (before, begin, end) in [
        (
            "2027-03-27T19:00:00Z",
            "2027-03-27T21:00:00Z",
            "2027-03-28T05:30:00Z",
        ),
        (
            "2027-10-30T18:00:00Z",
            "2027-10-30T20:00:00Z",
            "2027-10-31T06:30:00Z",
        ),
    ] {
        let household = Household::new("Europe/Berlin", "close");
        let before = time(before);
        household.renew(Moment::default(), Wall::Set(before));
        let length = |until: &str| {
            let length = time(until).duration_since(before);
            Duration::try_from(length).unwrap()
        };
        let at = |until: &str| Moment::default().after(length(until));
        let second = Duration::from_secs(1);
        let just_before = |until: &str| Moment::default().after(length(until) - second);
        let is_open = |at| household.is_open("www.example.org", at, false);
        assert!(is_open(just_before(begin)), "{begin}");
        assert!(!is_open(at(begin)), "{begin}");
        // Renewed in time before the last span ends, which says when.
        let last = household.standings().last_until().unwrap();
        assert!(last <= at(end), "{end}");
        let wall = Wall::Set(time(end) - after(60));
        household.renew(Moment::default().after(length(end) - after(60)), wall);
        assert!(!is_open(just_before(end)), "{end}");
        assert!(is_open(at(end)), "{end}");
    }
}

#[test]
fn a_boot_in_1970_closes_what_schedules_ever_close_unless_the_profile_is_open() {
    let pause = Said {
        what: What::PauseInternet,
        scope: Scope::Profile("mia".to_owned()),
        until: time("2026-12-01T13:00:00Z"),
        by: "anna".to_owned(),
        why: String::new(),
    };
    for (when, open) in [("close", &["helpline.example"][..]), ("open", &NAMES[..])] {
        let mut household = Household::new("UTC0", when);
        let noon = Wall::Set(time("2026-12-01T12:00:00Z"));
        let grant = Said {
            what: What::Allow(subject("everything")),
            ..pause.clone()
        };
        household.grants.add(grant, noon).unwrap();
        let mut known = KnownTime::load(MemoryFiles::new().files(), None);
        let look = known.look(moment(1), Timestamp::UNIX_EPOCH);
        household.renew(moment(1), look.wall);
        assert_eq!(household.open_names(moment(1)), open, "{when}");
        // A pause holds without a clock.
        let id = household.grants.add(pause.clone(), noon).unwrap();
        household.renew(moment(2), look.wall);
        assert_eq!(
            household.open_names(moment(2)),
            ["helpline.example"],
            "{when}"
        );
        household.grants.undo(id, "anna", Wall::Unset).unwrap();
        // The network time arrives, and the grant holds.
        let look = known.look(moment(3), time("2026-12-01T12:03:00Z"));
        assert!(look.is_jump);
        household.renew(moment(3), look.wall);
        assert_eq!(household.open_names(moment(3)), NAMES, "{when}");
    }
}

#[test]
fn a_jump_of_the_clock_moves_bedtime_and_gives_no_grant_twice() {
    let mut household = Household::new("UTC0", "close");
    let mut known = KnownTime::load(MemoryFiles::new().files(), None);
    let mut jump = |household: &Household, minute, wall: &str| {
        let look = known.look(moment(minute), time(wall));
        household.renew(moment(minute), look.wall);
        look.is_jump
    };
    assert!(!jump(&household, 0, "2026-12-01T21:00:00Z"));
    let night = ["lullaby.example", "helpline.example"];
    assert_eq!(household.open_names(moment(0)), night);
    let grant = Said {
        what: What::Allow(subject("everything")),
        scope: Scope::Everybody,
        until: time("2026-12-01T21:30:00Z"),
        by: "anna".to_owned(),
        why: String::new(),
    };
    let wall = Wall::Set(time("2026-12-01T21:00:00Z"));
    household.grants.add(grant, wall).unwrap();
    household.renew(moment(0), wall);
    assert_eq!(household.open_names(moment(0)), NAMES);
    // Its end is known beforehand.
    assert_eq!(household.open_names(moment(29)), NAMES);
    assert_eq!(household.open_names(moment(30)), night);
    // Over midnight into the next afternoon, and back.
    assert!(jump(&household, 31, "2026-12-02T17:00:00Z"));
    assert_eq!(household.open_names(moment(31)), NAMES);
    household
        .grants
        .tidy(Wall::Set(time("2026-12-02T17:00:00Z")));
    assert!(jump(&household, 32, "2026-12-01T21:05:00Z"));
    assert_eq!(household.open_names(moment(32)), night);
}
