//! A file that shrank a lot, over restarts of the program and with a clock that may be wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hedgerow::clock::{ManualTime, Timestamp};
use hedgerow::config::Overrides;
use hedgerow::device::Neighbours;
use hedgerow::files::MemoryFiles;
use hedgerow::journal::Journal;
use hedgerow::reload::{Reloader, Source};
use hedgerow::resolve::Resolver;

use crate::world::moment;

const LIST: &str = "/lists/games.txt";
const KEPT: &str = "/state/lists.doubted";
const HOUR: Duration = Duration::from_hours(1);

/// The disk of a household with one list in a file, of 500 names.
fn disk() -> Arc<MemoryFiles> {
    let memory = MemoryFiles::new();
    memory.put(
        "/etc/hedgerow.toml",
        "[lists]\nstarter = false\nfolder = \"/state\"\nwork-folder = \"/work\"\n\
         [[list]]\nid = \"games\"\ncategory = \"ads\"\nfile = \"/lists/games.txt\"\n",
    );
    memory.put(LIST, names(500));
    memory
}

fn names(count: usize) -> String {
    (0..count).map(|it| format!("n{it}.example\n")).collect()
}

/// A program that was started on a disk.
struct Running {
    time: Arc<ManualTime>,
    reloader: Reloader,
    resolver: Resolver,
}

impl Running {
    fn start(memory: &Arc<MemoryFiles>, wall: Timestamp) -> Self {
        let time = ManualTime::starting_at(wall);
        let source = Source::File("/etc/hedgerow.toml".into());
        let loaded = source.load(&memory.files(), &Overrides::default());
        let reloader = Reloader::new(
            source,
            Overrides::default(),
            Vec::new(),
            memory.files(),
            time.clock(),
            Neighbours::new().0,
        );
        let first = reloader.first(loaded.config.unwrap(), loaded.watched, &[]);
        let journal = Arc::new(Journal::new(1 << 16, time.clock()));
        let resolver = Resolver::new(first.unwrap(), journal, time.clock());
        Self {
            time,
            reloader,
            resolver,
        }
    }

    /// What the list says after so long.
    fn entries_after(&self, wait: Duration) -> u64 {
        self.time.advance(wait);
        self.reloader.reload(&self.resolver);
        let lists = &self.resolver.snapshot().lists;
        lists.list(lists.find("games").unwrap()).entries
    }
}

/// A disk on which the list collapsed at noon of the first of June.
fn collapsed() -> Arc<MemoryFiles> {
    let memory = disk();
    let running = Running::start(&memory, moment("2027-06-01T12:00:00Z"));
    memory.put(LIST, names(2));
    assert_eq!(running.entries_after(Duration::ZERO), 500);
    memory
}

fn is_kept(memory: &Arc<MemoryFiles>) -> bool {
    memory.paths().iter().any(|it| it == Path::new(KEPT))
}

#[test]
fn the_day_goes_on_over_a_restart() {
    let memory = collapsed();
    assert!(is_kept(&memory));
    let running = Running::start(&memory, moment("2027-06-02T02:00:00Z"));
    assert_eq!(running.entries_after(HOUR), 500);
    assert_eq!(running.reloader.patience(), HOUR * 9);
    assert_eq!(running.entries_after(HOUR * 9), 2);
    assert!(!is_kept(&memory));
}

#[test]
fn a_clock_that_is_not_set_yet_counts_once_it_is() {
    let memory = collapsed();
    let running = Running::start(&memory, moment("1970-01-01T00:00:00Z"));
    assert_eq!(running.entries_after(HOUR), 500);
    // Somebody looks again soon, and not only after a day.
    assert_eq!(running.reloader.patience(), HOUR);
    running.time.set_wall(moment("2027-06-02T13:00:00Z"));
    assert_eq!(running.entries_after(Duration::ZERO), 2);
}

#[test]
fn a_clock_that_cannot_be_right_begins_another_day() {
    for wall in ["2027-05-01T00:00:00Z", "2029-01-01T00:00:00Z"] {
        let memory = collapsed();
        let running = Running::start(&memory, moment(wall));
        assert_eq!(running.entries_after(HOUR * 23), 500, "{wall}");
        assert_eq!(running.entries_after(HOUR), 2, "{wall}");
    }
}

#[test]
fn a_clock_that_jumps_while_the_program_runs_changes_nothing() {
    let memory = disk();
    let running = Running::start(&memory, moment("2027-06-01T12:00:00Z"));
    memory.put(LIST, names(2));
    assert_eq!(running.entries_after(Duration::ZERO), 500);
    running.time.set_wall(moment("2027-06-05T12:00:00Z"));
    assert_eq!(running.entries_after(HOUR), 500);
    // What is kept is right by the new clock.
    let running = Running::start(&memory, moment("2027-06-05T14:00:00Z"));
    assert_eq!(running.entries_after(HOUR * 20), 500);
    assert_eq!(running.entries_after(HOUR * 4), 2);
}

#[test]
fn what_is_written_after_somebody_accepted_it_is_judged() {
    let memory = disk();
    let running = Running::start(&memory, moment("2027-06-01T12:00:00Z"));
    memory.put(LIST, names(3));
    running.reloader.accept(&["games".to_owned()]);
    memory.put(LIST, names(2));
    assert_eq!(running.entries_after(Duration::ZERO), 500);
    // It is not said of the file that comes back either.
    running.reloader.accept(&["games".to_owned()]);
    assert_eq!(running.entries_after(Duration::ZERO), 2);
}
