//! Worlds built, kept and exchanged, on a disk in memory.

use super::doubt::DOUBT;
use super::*;
use crate::clock::ManualTime;
use crate::files::MemoryFiles;
use crate::journal::Journal;

/// A household with one list in a file, whose clock and disk are ours.
struct World {
    memory: Arc<MemoryFiles>,
    time: Arc<ManualTime>,
    reloader: Reloader,
    resolver: Resolver,
}

const LIST: &str = "/lists/games.txt";

fn names(count: usize) -> String {
    (0..count)
        .map(|number| format!("n{number}.example\n"))
        .collect()
}

const CONFIG: &str = "/etc/hedgerow.toml";

impl World {
    fn new() -> Self {
        Self::with_disk(|_| {})
    }

    /// One whose disk is in that state when the first world is made.
    fn with_disk(prepare: impl FnOnce(&MemoryFiles)) -> Self {
        let memory = MemoryFiles::new();
        let path = CONFIG;
        let text = "[lists]\nstarter = false\nfolder = \"/state\"\nwork-folder = \"/work\"\n\
                    [[list]]\nid = \"games\"\ncategory = \"ads\"\nfile = \"/lists/games.txt\"\n";
        memory.put(path, text);
        memory.put(LIST, names(500));
        let time = ManualTime::starting_at("2027-06-01T12:00:00Z".parse().unwrap());
        let clock = time.clock();
        let source = Source::File(path.into());
        let loaded = source.load(&memory.files(), &Overrides::default());
        let reloader = Reloader::new(
            source,
            Overrides::default(),
            Vec::new(),
            memory.files(),
            clock.clone(),
            Neighbours::new().0,
        );
        prepare(&memory);
        let first = reloader.first(loaded.config.unwrap(), loaded.watched, &[]);
        memory.recover();
        let journal = Arc::new(Journal::new(1 << 16, clock.clone()));
        let resolver = Resolver::new(first.unwrap(), journal, clock);
        Self {
            memory,
            time,
            reloader,
            resolver,
        }
    }

    fn reload(&self) -> Report {
        let report = self.reloader.reload(&self.resolver);
        assert!(report.ok, "{report:?}");
        report
    }

    /// Reloads with a disk that is full when the index is whole; whether it is not in force.
    fn fails_to_compile(&self) -> bool {
        self.memory.fail_commits(std::io::ErrorKind::StorageFull);
        self.reloader.reload(&self.resolver);
        self.memory.recover();
        !self.reloader.lists_are_current()
    }

    fn entries(&self) -> u64 {
        let lists = &self.resolver.snapshot().lists;
        lists.list(lists.find("games").unwrap()).entries
    }
}

#[test]
fn a_file_that_collapsed_is_believed_when_it_stays_so_for_a_day() {
    let world = World::new();
    assert_eq!(world.entries(), 500);
    assert_eq!(world.reloader.patience(), DOUBT);
    world.memory.put(LIST, names(2));
    let report = world.reload();
    assert_eq!(
        report.warnings,
        [
            "list `games` holds what it said before: /lists/games.txt: 2 entries after 500; \
             that looks cut off or wrong; `hedgerow lists update --force games` takes it all \
             the same"
        ]
    );
    world.time.advance(DOUBT / 2);
    world.reload();
    assert_eq!(world.entries(), 500);
    assert_eq!(world.reloader.patience(), DOUBT / 2);
    // Whoever writes it again begins a new day.
    world.memory.put(LIST, names(3));
    world.time.advance(DOUBT / 2);
    world.reload();
    assert_eq!(world.entries(), 500);
    assert_eq!(world.reloader.patience(), DOUBT);
    world.time.advance(DOUBT);
    assert_eq!(world.reloader.patience(), Duration::from_secs(1));
    let report = world.reload();
    assert_eq!((world.entries(), report.warnings), (3, vec![]));
    assert_eq!(world.reloader.patience(), DOUBT);
}

#[test]
fn who_knows_better_has_it_believed_at_once() {
    let world = World::new();
    world.memory.put(LIST, "");
    world.reload();
    assert_eq!(world.entries(), 500);
    world.reloader.accept(&["games".to_owned()]);
    world.reload();
    assert_eq!(world.entries(), 0);
    // Once, and not for ever.
    world.memory.put(LIST, names(500));
    world.reload();
    world.memory.put(LIST, names(1));
    world.reload();
    assert_eq!(world.entries(), 500);
}

#[test]
fn compiling_is_tried_again_with_growing_patience() {
    let world = World::new();
    world.memory.put(LIST, names(600));
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert!(world.fails_to_compile());
        waits.push(world.reloader.patience().as_secs());
        world.time.advance(world.reloader.patience());
    }
    assert_eq!(waits[..4], [30, 60, 120, 240]);
    assert_eq!(waits[11], 7200);
    assert_eq!(world.entries(), 500);
    world.reload();
    assert_eq!(world.entries(), 600);
    assert!(world.reloader.lists_are_current());
    assert_eq!(world.reloader.patience(), DOUBT);
}

#[test]
fn a_first_compile_that_fails_is_tried_again_like_any_other() {
    // Far enough for the list to be read from memory, and not for the index to be written.
    let full = std::io::ErrorKind::StorageFull;
    let worlds = (0..32)
        .step_by(4)
        .map(|successes| World::with_disk(|memory| memory.fail_after(successes, full)));
    let mut failed = 0;
    for world in worlds.filter(|world| !world.reloader.lists_are_current()) {
        failed += 1;
        let told = world.reloader.shelf_warnings();
        assert!(
            told.iter().any(|it| it.contains("stay in memory")),
            "{told:?}"
        );
        assert_eq!(world.reloader.patience(), Duration::from_secs(30));
        // Who looks for what was missed does not try at once again.
        world.reloader.catch_up(&world.resolver);
        assert!(!world.reloader.lists_are_current());
        assert_eq!(world.reloader.patience(), Duration::from_secs(30));
        world.time.advance(Duration::from_secs(30));
        world.reload();
        assert!(world.reloader.lists_are_current());
        assert_eq!(world.entries(), 500);
        assert!(world.reloader.shelf_warnings().is_empty());
    }
    assert!(failed > 2, "{failed}");
}

#[test]
fn a_copy_that_is_not_what_was_downloaded_waits_for_one_that_is() {
    use sha2::{Digest, Sha256};
    let world = World::new();
    let copy = "/state/lists/far.list";
    let arrived = |text: &str| {
        let sum = Sha256::digest(text);
        let sum: String = sum.iter().map(|octet| format!("{octet:02x}")).collect();
        let state = format!("{{\"sha256\": \"{sum}\"}}");
        world.memory.put("/state/lists/far.json", state);
    };
    let config = "[lists]\nstarter = false\nfolder = \"/state\"\nwork-folder = \"/work\"\n\
                  [[list]]\nid = \"far\"\ncategory = \"ads\"\n\
                  url = \"https://lists.example/far\"\n";
    world.memory.put(CONFIG, config);
    let text = names(500);
    arrived(&text);
    world.memory.put(copy, &*text);
    let reload = || {
        let warnings = world.reload().warnings;
        let lists = &world.resolver.snapshot().lists;
        (lists.list(lists.find("far").unwrap()).entries, warnings)
    };
    assert_eq!(reload(), (500, vec![]));
    assert!(world.reloader.interest().covers(Path::new(copy)));
    let state = Path::new("/state/lists/far.json");
    assert!(world.reloader.interest().covers(state));
    world.memory.put(copy, names(400));
    let (entries, warnings) = reload();
    assert_eq!(entries, 500);
    assert_eq!(
        warnings,
        [
            "list `far` holds what it said before: /state/lists/far.list: cut off or changed \
             since it was downloaded"
        ]
    );
    // It was new, and what is known of it is written after it.
    arrived(&names(400));
    assert_eq!(reload(), (400, vec![]));
}

#[test]
fn an_error_in_the_configuration_keeps_no_list_away() {
    let world = World::new();
    world.memory.put(LIST, names(600));
    assert!(world.fails_to_compile());
    world.memory.put(CONFIG, "[lists]\nfolder = 7\n");
    let report = world.reloader.reload(&world.resolver);
    assert!(!report.ok);
    assert_eq!(report.changes, ["lists: 1262 names"]);
    assert_eq!((report.generation, world.entries()), (2, 600));
    assert!(world.reloader.lists_are_current());
    // The same where it fails while the error is there.
    world.memory.put(LIST, names(700));
    assert!(world.fails_to_compile());
    assert_eq!(world.reloader.patience(), Duration::from_secs(30));
    assert!(!world.reloader.last_report().unwrap().ok);
    world.time.advance(Duration::from_secs(30));
    world.reloader.reload(&world.resolver);
    assert_eq!(world.entries(), 700);
    assert_eq!(world.reloader.patience(), Duration::from_hours(24));
}

const BESIDE: &str = "/lists/more.txt";

/// What the household says beside the lists.
fn with_tests(devices: &str, lists: &str, tests: &str) -> String {
    format!(
        "[household]\ntime-zone = \"UTC0\"\nguest-profile = \"adult\"\n\
         [lists]\nstarter = false\nfolder = \"/state\"\nwork-folder = \"/work\"\n\
         [[list]]\nid = \"games\"\ncategory = \"ads\"\nfile = \"/lists/games.txt\"\n{lists}\
         [profile.leo]\ninherits = \"adult\"\nblock-names = [\"no.example\"]\n\
         {devices}{tests}"
    )
}

fn device(name: &str, last: u8) -> String {
    format!("[[device]]\nname = \"{name}\"\nprofile = \"leo\"\naddress = [\"192.0.2.{last}\"]\n")
}

fn test_of(name: &str, device: &str, expect: &str) -> String {
    format!("[[test]]\nname = \"{name}\"\ndevice = \"{device}\"\nexpect = \"{expect}\"\n")
}

#[test]
fn a_refused_configuration_with_other_lists_keeps_no_list_away() {
    let world = World::new();
    let text = with_tests(&device("tablet", 1), "", "");
    world.memory.put(CONFIG, &*text);
    world.reload();
    let other = "[[list]]\nid = \"more\"\ncategory = \"ads\"\nfile = \"/lists/more.txt\"\n";
    let broken = test_of("no.example", "tablet", "allow");
    let text = with_tests(&device("tablet", 1), other, &broken);
    world.memory.put(CONFIG, &*text);
    world.memory.put(BESIDE, names(40));
    world.memory.put(LIST, names(600));
    let report = world.reloader.reload(&world.resolver);
    assert!(!report.ok);
    assert_eq!(world.entries(), 600, "{report:?}");
    assert!(world.resolver.snapshot().lists.find("more").is_none());
    world.memory.put(LIST, names(610));
    assert!(!world.reloader.reload(&world.resolver).ok);
    assert_eq!(world.entries(), 610);
    assert!(world.reloader.lists_are_current());
    // When it is right, all of it takes effect.
    let right = test_of("no.example", "tablet", "block");
    let text = with_tests(&device("tablet", 1), other, &right);
    world.memory.put(CONFIG, &*text);
    world.reload();
    assert_eq!(world.entries(), 610);
    assert!(world.resolver.snapshot().lists.find("more").is_some());
}

#[test]
fn a_test_is_known_whatever_stands_before_its_device() {
    let world = World::new();
    let case = test_of("no.example", "tablet", "block");
    world
        .memory
        .put(CONFIG, &*with_tests(&device("tablet", 1), "", &case));
    world.reload();
    // Broken by the list: that is told, and holds nothing up.
    let open = |devices: &str| {
        with_tests(devices, "", &case).replace("block-names = [\"no.example\"]\n", "")
    };
    world.memory.put(CONFIG, &*open(&device("tablet", 1)));
    assert!(!world.reloader.reload(&world.resolver).ok);
    let first = world.reloader.try_all().config.unwrap();
    world.resolver.replace_snapshot(Arc::new(Snapshot::new(
        9,
        Arc::new(first),
        &[],
        world.resolver.snapshot().lasting(),
    )));
    let both = format!("{}{}", device("aunt", 2), device("tablet", 1));
    world.memory.put(CONFIG, &*open(&both));
    let report = world.reload();
    assert!(report.diagnostics.iter().any(|it| it.code == proof::BROKEN));
}

#[test]
fn devices_that_break_a_test_are_refused_before_they_are_written() {
    let world = World::new();
    let devices = Path::new("/state/devices.toml");
    let case = test_of("no.example", "tablet", "block");
    let text = with_tests("", "", &case);
    world.memory.put(devices, device("tablet", 1));
    world.memory.put(CONFIG, &*text);
    let report = world.reloader.reload(&world.resolver);
    assert!(report.ok, "{report:?}");
    let current = world.resolver.snapshot();
    let try_text = |text: &str| world.reloader.try_devices(devices, text, &current);
    assert!(try_text(&device("tablet", 9)).config.is_some());
    let free = device("tablet", 1).replace("\"leo\"", "\"adult\"");
    let tried = try_text(&free);
    assert!(tried.config.is_none());
    let last = tried.diagnostics.last().unwrap();
    assert_eq!((last.code, last.is_error()), (proof::BROKEN, true));
    assert!(world.reloader.try_all_beside(&current).config.is_some());
}

#[test]
fn who_looks_sees_what_the_last_reload_left_and_does_not_wait() {
    let world = World::new();
    // As long as a reload goes on.
    let state = world.reloader.state.lock().unwrap();
    assert!(world.reloader.lists_are_current());
    assert!(world.reloader.last_report().is_none());
    assert!(world.reloader.interest().covers(Path::new(LIST)));
    assert!(world.reloader.shelf_warnings().is_empty());
    drop(state);
    world.memory.put(LIST, names(2));
    world.reload();
    assert_eq!(world.reloader.last_report().unwrap().warnings.len(), 1);
}

#[test]
fn only_configuration_and_lists_matter() {
    let interest = Interest {
        folders: vec!["/etc/hedgerow".into()],
        lists: vec!["/var/lists/adult.txt".into()],
    };
    let beside = |name: &str| Path::new("/etc/hedgerow").join(name);
    for name in [
        ".hedgerow.toml.swp",
        "hedgerow.toml~",
        "4913",
        "#x.toml",
        ".x.toml",
        "a.sock",
        "h.log",
    ] {
        assert!(!interest.covers(&beside(name)), "{name}");
    }
    for name in ["hedgerow.toml", "conf.d", "adult.txt"] {
        assert!(interest.covers(&beside(name)), "{name}");
    }
    assert!(
        interest.covers(Path::new("/etc/hedgerow")),
        "replaced whole"
    );
}

#[test]
fn what_lacks_a_list_is_less() {
    let one = Index::broken("a", &["example.test"]);
    assert!(!is_less(&one, &one));
    assert!(is_less(&Index::empty(), &one));
    assert!(!is_less(&one, &Index::empty()));
}

impl World {
    /// Has its lists in an index none of whose names can be read, and asks for one of them.
    fn break_index(&self, list: &'static str) {
        let now = self.resolver.snapshot();
        let lists = Arc::new(Index::broken(list, &["n1.example", "n2.example"]));
        let lasting = Lasting {
            lists: Arc::clone(&lists),
            safe_search: Arc::clone(&now.safe_search),
            cache: Arc::clone(&now.cache),
            upstream: Arc::clone(&now.upstream),
            neighbours: Neighbours::new().0,
        };
        let generation = now.generation;
        let config = Arc::clone(&now.config);
        let next = Snapshot::new(generation, config, &now.config.server.listen, lasting);
        self.resolver.replace_snapshot(Arc::new(next));
        assert!(!self.reloader.is_to_mend(&lists), "nobody has asked");
        assert!(!self.finds_a_name());
    }

    fn is_to_mend(&self) -> bool {
        self.reloader.is_to_mend(&self.resolver.snapshot().lists)
    }

    fn finds_a_name(&self) -> bool {
        let name = crate::name::Name::parse("www.n1.example").unwrap();
        let mut is_found = false;
        let lists = &self.resolver.snapshot().lists;
        lists.look_up(name.as_ref(), |_| is_found = true);
        is_found
    }
}

#[test]
fn an_index_that_cannot_be_read_is_compiled_anew_once_an_hour() {
    let world = World::new();
    world.break_index("games");
    assert!(world.is_to_mend());
    let report = world.reload();
    assert!(
        report.changes.iter().any(|it| it.starts_with("lists: ")),
        "{report:?}"
    );
    assert_eq!(report.warnings, Vec::<String>::new());
    assert!(world.finds_a_name() && !world.is_to_mend());
    // The disk goes on breaking.
    world.break_index("games");
    assert!(!world.is_to_mend());
    let report = world.reload();
    assert_eq!(report.changes, Vec::<String>::new());
    assert!(!world.finds_a_name());
    assert!(
        report.warnings.iter().any(|it| it.contains("cannot read")),
        "{report:?}"
    );
    world.time.advance(MEND_EVERY);
    assert!(world.is_to_mend());
    world.reload();
    assert!(world.finds_a_name());
}

#[test]
fn an_index_that_cannot_be_read_stays_where_another_would_be_less() {
    let world = World::new();
    world.break_index("another");
    let report = world.reload();
    assert!(
        report.warnings.iter().any(|it| it.contains("lacks a list")),
        "{report:?}"
    );
    assert!(!world.finds_a_name());
    let lists = &world.resolver.snapshot().lists;
    assert!(lists.find("another").is_some(), "it is the one before");
}

#[test]
fn an_index_that_cannot_be_read_stays_where_nothing_can_be_written() {
    let world = World::new();
    world.break_index("games");
    world.memory.fail_commits(std::io::ErrorKind::StorageFull);
    let report = world.reloader.reload(&world.resolver);
    assert!(report.ok && !world.finds_a_name(), "{report:?}");
    world.memory.recover();
    assert!(!world.is_to_mend(), "it was tried within the hour");
    world.time.advance(MEND_EVERY);
    world.reload();
    assert!(world.finds_a_name());
}

#[test]
fn an_index_that_cannot_be_read_is_not_compiled_again_and_again_where_that_fails() {
    let world = World::new();
    world.break_index("games");
    world.memory.put(LIST, names(400));
    assert!(world.fails_to_compile());
    assert!(!world.is_to_mend(), "it has its own time");
    world.break_index("games");
    for _ in 0..20 {
        world.time.advance(Duration::from_secs(1));
        assert!(!world.is_to_mend());
    }
}
