//! Meters against a model that keeps a set of seconds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::files::MemoryFiles;
use crate::wall::Wall;

/// 2026-12-01T00:00:00Z.
const START: i64 = 1_796_083_200;
const PATH: &str = "/state/quota.ledger";
/// A short day, so that a test passes many.
const DAY: i64 = 1_000;

fn moment(seconds: u64) -> Moment {
    Moment::from_micros(seconds * 1_000_000)
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn days(_: &Quota, at: Timestamp) -> Period {
    let day = (at.as_second() - START).div_euclid(DAY);
    Period {
        begin: time(day * DAY),
        end: time((day + 1) * DAY),
    }
}

fn quota() -> Quota {
    Quota {
        profile: "mia".into(),
        of: "games".into(),
        words: vec!["games".into()],
        formerly: "games".into(),
        rhythm: Rhythm::default(),
        time: seconds(100),
        roll_over: seconds(30),
        linger: seconds(10),
    }
}

fn no_bonus(_: &Quota) -> Duration {
    Duration::ZERO
}

fn load(memory: &Arc<MemoryFiles>) -> Meters {
    let (meters, trouble) = Meters::load(memory.files(), Some(PATH.into()));
    assert!(trouble.is_none(), "{trouble:?}");
    meters.follow(&[quota()]);
    meters
}

/// Meters without a ledger whose day began.
fn begun() -> (Meters, Arc<Meter>) {
    let (meters, _) = Meters::load(MemoryFiles::new().files(), None);
    meters.follow(&[quota()]);
    meters.turn(moment(0), Wall::Set(time(0)), &days, no_bonus);
    let meter = meters.meter("mia", "games").unwrap();
    (meters, meter)
}

#[test]
fn spans_that_overlap_count_once() {
    let (meters, meter) = begun();
    meter.touch(moment(10));
    assert_eq!(meter.used(moment(10)), Duration::ZERO, "it lies ahead");
    assert_eq!(meter.used(moment(14)), seconds(4));
    meter.touch(moment(15));
    assert_eq!(meter.used(moment(60)), seconds(15));
    meter.touch(moment(60));
    // Another device of the same child, at the same time.
    meter.touch(moment(60));
    assert_eq!(meter.used(moment(80)), seconds(25));
    let shown = &meters.shown(moment(80))[0];
    assert_eq!((shown.used, shown.left), (seconds(25), seconds(75)));
    assert_eq!(shown.error, seconds(20), "two stretches of ten seconds");
    assert_eq!(shown.counted_by, "DNS activity");
}

#[test]
fn it_is_spent_to_the_instant() {
    let (_, meter) = begun();
    for second in 0..100 {
        assert!(!meter.is_spent(moment(second)));
        meter.touch(moment(second));
    }
    assert_eq!(meter.left(moment(99)), seconds(1));
    assert!(meter.is_spent(moment(100)));
}

#[test]
fn a_bonus_is_there_while_it_holds_and_is_not_carried_on() {
    let (meters, meter) = begun();
    for second in 0..91 {
        meter.touch(moment(second));
    }
    let now = moment(200);
    assert!(meter.is_spent(now));
    let wall = Wall::Set(time(200));
    meters.turn(now, wall, &days, |_| seconds(50));
    assert_eq!(meter.left(now), seconds(50));
    assert_eq!(meters.shown(now)[0].bonus, seconds(50));
    meters.turn(moment(1000), Wall::Set(time(1000)), &days, no_bonus);
    assert_eq!(meter.left(moment(1000)), seconds(100));
}

#[test]
fn what_is_left_is_carried_on_within_its_bound() {
    let (meters, meter) = begun();
    for second in 0..71 {
        meter.touch(moment(second));
    }
    let at = |day: u64| moment(day * 1000);
    let turn = |day: u64| {
        let wall = Wall::Set(time(i64::try_from(day).unwrap() * DAY));
        meters.turn(at(day), wall, &days, no_bonus);
    };
    turn(1);
    assert_eq!(meter.left(at(1)), seconds(120), "80 used, 20 left");
    turn(2);
    assert_eq!(meter.left(at(2)), seconds(130), "120 left, 30 carried on");
    // Days nobody looked at.
    turn(9);
    assert_eq!(meter.left(at(9)), seconds(130));
    assert_eq!(meters.next_change(), Some(time(10 * DAY)));
}

#[test]
fn a_clock_set_forward_and_back_gives_nothing_and_takes_nothing() {
    let (meters, meter) = begun();
    for second in 0..51 {
        meter.touch(moment(second));
    }
    let turn = |at: u64, wall: i64| meters.turn(moment(at), Wall::Set(time(wall)), &days, no_bonus);
    turn(100, 40_000 * DAY);
    assert_eq!(meter.left(moment(100)), seconds(130), "a new day");
    for second in 100..110 {
        meter.touch(moment(second));
    }
    turn(200, 40_003 * DAY);
    turn(201, 201);
    assert_eq!(meter.used(moment(201)), seconds(60 + 19));
    assert_eq!(meter.left(moment(201)), seconds(21), "nothing carried on");
    // And back behind everything that is known.
    turn(202, -5 * DAY);
    assert_eq!(meter.left(moment(202)), seconds(21));
}

#[test]
fn a_day_that_came_back_and_went_again_is_over_after_a_restart() {
    let memory = MemoryFiles::new();
    let meters = load(&memory);
    let day = |meters: &Meters, at, wall| {
        meters.turn(moment(at), Wall::Set(time(wall)), &days, no_bonus);
    };
    day(&meters, 0, 0);
    meters.meter("mia", "games").unwrap().touch(moment(1));
    day(&meters, 100, 1_000);
    meters.write(moment(100)).unwrap();
    // Set back by a day, and forward again, while nothing is used.
    day(&meters, 101, 300);
    day(&meters, 102, 1_001);
    meters.write(moment(102)).unwrap();
    let again = load(&memory);
    let meter = again.meter("mia", "games").unwrap();
    assert_eq!(meter.used(moment(0)), Duration::ZERO);
}

#[test]
fn without_a_clock_the_last_day_goes_on() {
    let memory = MemoryFiles::new();
    let meters = load(&memory);
    meters.turn(moment(0), Wall::Set(time(0)), &days, no_bonus);
    let meter = meters.meter("mia", "games").unwrap();
    for second in 0..81 {
        meter.touch(moment(second));
    }
    meters.write(moment(100)).unwrap();

    let meters = load(&memory);
    let meter = meters.meter("mia", "games").unwrap();
    meters.turn(moment(0), Wall::Unset, &days, no_bonus);
    assert_eq!(
        meter.left(moment(0)),
        seconds(10),
        "before the first turn too"
    );
    meter.touch(moment(1));
    assert!(meter.is_spent(moment(11)));
    meters.turn(moment(20), Wall::Unset, &days, no_bonus);
    assert!(meter.is_spent(moment(20)));
    // The network time arrives: it is still that day.
    meters.turn(moment(30), Wall::Set(time(130)), &days, no_bonus);
    assert!(meter.is_spent(moment(30)));
    meters.turn(moment(31), Wall::Set(time(DAY)), &days, no_bonus);
    assert_eq!(meter.left(moment(31)), seconds(100));
}

#[test]
fn what_was_counted_before_any_clock_belongs_to_the_first_day() {
    let memory = MemoryFiles::new();
    let meters = load(&memory);
    let meter = meters.meter("mia", "games").unwrap();
    meters.turn(moment(0), Wall::Unset, &days, no_bonus);
    meter.touch(moment(1));
    meters.write(moment(60)).unwrap();
    let meters = load(&memory);
    let meter = meters.meter("mia", "games").unwrap();
    meters.turn(moment(5), Wall::Set(time(5)), &days, no_bonus);
    assert_eq!(meter.used(moment(5)), seconds(10));
}

#[test]
fn what_changed_is_written_and_nothing_else() {
    let memory = MemoryFiles::new();
    let meters = load(&memory);
    let size = || memory.files().read(Path::new(PATH), 1 << 20).unwrap().len();
    meters.turn(moment(0), Wall::Set(time(0)), &days, no_bonus);
    meters.write(moment(0)).unwrap();
    assert_eq!(size(), 8 + 32);
    meters.write(moment(60)).unwrap();
    assert_eq!(size(), 8 + 32);
    meters.meter("mia", "games").unwrap().touch(moment(61));
    meters.write(moment(120)).unwrap();
    meters.write(moment(180)).unwrap();
    assert_eq!(size(), 8 + 2 * 32);
}

#[test]
fn a_reload_keeps_what_was_counted() {
    let (meters, meter) = begun();
    meter.touch(moment(1));
    meters.follow(&[]);
    assert!(meters.meter("mia", "games").is_none());
    let longer = Quota {
        time: seconds(500),
        ..quota()
    };
    meters.follow(&[longer]);
    let same = meters.meter("mia", "games").unwrap();
    assert!(Arc::ptr_eq(&meter, &same));
    assert_eq!(meter.left(moment(50)), seconds(490));
}

/// A gateway that saw two seconds of each look.
#[derive(Debug)]
struct Gateway;

impl Counter for Gateway {
    fn label(&self) -> &'static str {
        "byte counters"
    }

    fn active(&self, _: &Quota, from: Moment, until: Moment) -> Option<Duration> {
        (until.since(from) < seconds(300)).then_some(seconds(2))
    }
}

#[test]
fn a_counter_replaces_the_estimate_where_it_can_tell() {
    let (meters, meter) = begun();
    meters.count_by(Arc::new(Gateway));
    meter.touch(moment(10));
    assert_eq!(meter.used(moment(60)), seconds(10));
    let turn = |at: u64| {
        let wall = Wall::Set(time(i64::try_from(at).unwrap()));
        meters.turn(moment(at), wall, &days, no_bonus);
    };
    turn(60);
    assert_eq!(meter.used(moment(60)), seconds(2));
    turn(120);
    assert_eq!(meter.used(moment(120)), seconds(4), "more than estimated");
    let shown = &meters.shown(moment(120))[0];
    assert_eq!(
        (shown.counted_by, shown.error),
        ("byte counters", Duration::ZERO)
    );
    meter.touch(moment(130));
    turn(500);
    assert_eq!(meter.used(moment(500)), seconds(14), "it could not tell");
    assert_eq!(meters.shown(moment(500))[0].counted_by, "DNS activity");
}

#[test]
fn many_threads_count_what_one_would() {
    let (_, meter) = begun();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let meter = &meter;
            scope.spawn(move || {
                for step in 0..10_000 {
                    meter.touch(Moment::from_micros(1_000 * step + thread));
                }
            });
        }
    });
    let exact = Duration::from_micros(1_000 * 9_999 + 3) + seconds(10);
    let used = meter.used(moment(60));
    // One thread may run through all of its queries before another begins.
    assert!(
        used <= exact && exact - used < Duration::from_micros(50),
        "{used:?}"
    );
}

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Ask,
    Pass { seconds: u64 },
    Jump { seconds: i64 },
    LoseClock,
    Restart,
    PowerCut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Ask),
        6 => (0_u64..40).prop_map(|seconds| Step::Pass { seconds }),
        1 => (200_u64..1500).prop_map(|seconds| Step::Pass { seconds }),
        1 => (-3000_i64..3000).prop_map(|seconds| Step::Jump { seconds }),
        1 => Just(Step::LoseClock),
        1 => Just(Step::Restart),
        1 => Just(Step::PowerCut),
    ];
    prop::collection::vec(step, 1..80)
}

/// The day each second counts in that was active.
#[derive(Clone, Debug, Default)]
struct Model {
    active: BTreeMap<u64, Option<i64>>,
    day: Option<i64>,
}

impl Model {
    fn turn(&mut self, day: Option<i64>) {
        let Some(day) = day else { return };
        for counted in self.active.values_mut() {
            // Set back, or known at last.
            if counted.is_none_or(|it| it > day) {
                *counted = Some(day);
            }
        }
        self.day = Some(day);
    }

    fn used(&self, now: u64) -> u64 {
        let today = self
            .active
            .range(..now)
            .filter(|(_, day)| **day == self.day);
        today.count() as u64
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn what_is_used_is_a_set_of_seconds(steps in steps()) {
        let memory = MemoryFiles::new();
        let mut meters = load(&memory);
        let mut meter = meters.meter("mia", "games").unwrap();
        let mut model = Model::default();
        let mut written = model.clone();
        // The time since the beginning of all, since the start of the process, and the wall's lead.
        let (mut now, mut started, mut lead) = (0_u64, 0_u64, 0_i64);
        let mut has_clock = true;
        let mut active_until = 0;
        let mut turns = 0;
        for step in steps {
            let wall_at = |now: u64, lead: i64| i64::try_from(now).unwrap() + lead;
            let look = |meters: &Meters, model: &mut Model, at: u64, base: u64, lead, is_set| {
                let wall = wall_at(at, lead);
                let shown = if is_set { Wall::Set(time(wall)) } else { Wall::Unset };
                meters.turn(moment(at - base), shown, &days, no_bonus);
                model.turn(is_set.then(|| wall.div_euclid(DAY)));
            };
            if turns == 0 {
                look(&meters, &mut model, now, started, lead, has_clock);
                turns = 1;
            }
            match step {
                Step::Ask => {
                    meter.touch(moment(now - started));
                    active_until = now + 10;
                }
                Step::Pass { seconds } => for _ in 0..seconds {
                    if now < active_until {
                        model.active.insert(now, model.day);
                    }
                    now += 1;
                    look(&meters, &mut model, now, started, lead, has_clock);
                    if now.is_multiple_of(60) {
                        meters.write(moment(now - started)).unwrap();
                        written = model.clone();
                    }
                },
                Step::Jump { seconds } => {
                    lead += seconds;
                    has_clock = true;
                    look(&meters, &mut model, now, started, lead, has_clock);
                }
                Step::LoseClock => has_clock = false,
                Step::Restart | Step::PowerCut => {
                    if matches!(step, Step::Restart) {
                        meters.write(moment(now - started)).unwrap();
                    } else {
                        prop_assert!(model.used(now) <= written.used(now) + 60
                            || model.day != written.day);
                        model = written.clone();
                    }
                    written = model.clone();
                    (started, active_until) = (now, 0);
                    meters = load(&memory);
                    meter = meters.meter("mia", "games").unwrap();
                    look(&meters, &mut model, now, started, lead, has_clock);
                }
            }
            let used = meter.used(moment(now - started));
            prop_assert_eq!(used, seconds(model.used(now)));
        }
    }
}
/// Days that begin `by` seconds later.
fn days_later(by: i64) -> impl Fn(&Quota, Timestamp) -> Period {
    move |quota, at| {
        let earlier = Timestamp::from_second(at.as_second() - by).unwrap();
        let day = days(quota, earlier);
        let later = |it: Timestamp| Timestamp::from_second(it.as_second() + by).unwrap();
        Period {
            begin: later(day.begin),
            end: later(day.end),
        }
    }
}

#[test]
fn another_hour_of_reset_is_no_new_day() {
    for by in [50, 900] {
        let memory = MemoryFiles::new();
        let meters = load(&memory);
        meters.turn(moment(0), Wall::Set(time(0)), &days, no_bonus);
        meters.meter("mia", "games").unwrap().touch(moment(1));
        let later = days_later(by);
        meters.turn(moment(200), Wall::Set(time(200)), &later, no_bonus);
        meters.write(moment(200)).unwrap();
        let used = |meters: &Meters, at: u64| meters.shown(moment(at))[0].used;
        assert_eq!(used(&meters, 200), seconds(10), "{by}");
        // The same where the daemon did not run meanwhile.
        let again = load(&memory);
        let sooner = days_later(by + 20);
        again.turn(moment(0), Wall::Set(time(300)), &sooner, no_bonus);
        assert_eq!(used(&again, 0), seconds(10), "{by}");
        let next = time(DAY + 1000);
        again.turn(moment(2000), Wall::Set(next), &sooner, no_bonus);
        assert_eq!(used(&again, 2000), Duration::ZERO, "{by}");
    }
}

fn quota_of(words: &[&str]) -> Quota {
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
    Quota {
        of: words.join(", "),
        formerly: words.join(", "),
        words,
        ..quota()
    }
}

#[test]
fn a_quota_that_takes_the_place_of_another_has_used_its_time() {
    let (meters, meter) = begun();
    meter.touch(moment(1));
    let wall = Wall::Set(time(20));
    let used = |meters: &Meters| -> Vec<(String, Duration)> {
        meters.turn(moment(20), wall, &days, no_bonus);
        let shown = meters.shown(moment(20)).into_iter();
        shown.map(|it| (it.quota.of, it.used)).collect()
    };
    meters.follow(&[quota_of(&["chess"]), quota_of(&["games", "roblox"])]);
    let (chess, both) = ("chess".to_owned(), "games, roblox".to_owned());
    assert_eq!(
        used(&meters),
        [(chess, Duration::ZERO), (both, seconds(10))]
    );
    meters.meter("mia", "chess").unwrap().touch(moment(20));
    meters.turn(moment(40), Wall::Set(time(40)), &days, no_bonus);
    // Both together are as much as each for itself: more it cannot be.
    meters.follow(&[quota_of(&["chess", "games"])]);
    assert_eq!(meters.shown(moment(40))[0].used, seconds(20));
    // What comes back has not forgotten, and gives nothing back.
    meters.follow(&[quota()]);
    assert_eq!(meters.shown(moment(40))[0].used, seconds(20));
    // Somebody else's, and one that stays beside it, count for themselves.
    let other = Quota {
        profile: "leo".into(),
        ..quota()
    };
    meters.follow(&[quota(), quota_of(&["everything"]), other]);
    let used: Vec<_> = meters.shown(moment(40)).iter().map(|it| it.used).collect();
    assert_eq!(used, [seconds(20), Duration::ZERO, Duration::ZERO]);
}

#[test]
fn a_week_goes_on_with_the_ledger_of_its_former_name() {
    let memory = MemoryFiles::new();
    let meters = load(&memory);
    meters.turn(moment(0), Wall::Set(time(0)), &days, no_bonus);
    meters.meter("mia", "games").unwrap().touch(moment(1));
    meters.write(moment(100)).unwrap();
    let (again, _) = Meters::load(memory.files(), Some(PATH.into()));
    let renamed = Quota {
        of: "games per week".into(),
        ..quota()
    };
    again.follow(&[renamed]);
    again.turn(moment(0), Wall::Set(time(200)), &days, no_bonus);
    assert_eq!(again.shown(moment(0))[0].used, seconds(10));
    again.write(moment(0)).unwrap();
    let (ledger, _) = ledger::Ledger::load(memory.files(), Some(PATH.into()));
    let records = ledger.records_of(ledger::key("mia", "games per week"));
    assert_eq!(records.len(), 1);
}
