//! What serves first, and whose index is believed, on a disk of the test's own.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::verdict::Tier;

/// A folder with the list `games`, and a program in place of the one that compiles.
struct World {
    folder: tempfile::TempDir,
    files: Files,
    store: ListStore,
    apart: Option<Apart>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("games.txt"), "game.example\n").unwrap();
        let store = ListStore {
            folder: folder.path().join("state"),
            work_folder: Some(folder.path().to_path_buf()),
            compile_memory: 24 << 20,
            update: false,
        };
        std::fs::create_dir(&store.folder).unwrap();
        Self {
            folder,
            files: Files::disk(),
            store,
            apart: None,
        }
    }

    /// Has lists compiled by a shell with `script`.
    fn compiled_by(&mut self, script: &str) {
        let path = self.folder.path().join("compiler");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        self.apart = Some(Apart::by_program(path));
    }

    fn shelf(&self) -> Shelf<'_> {
        let apart = self.apart.as_ref();
        Shelf::new(&self.files, &self.store, true, Day(20_000), apart)
    }

    fn specs(&self) -> Vec<ListSpec> {
        let spec = |id: &str, source| ListSpec {
            id: id.to_owned(),
            category: "games".to_owned(),
            kind: ListKind::Block,
            tier: Tier::ChildSafety,
            source,
            format: None,
            member: None,
            public_suffixes: false,
            urls: Vec::new(),
            sha256: None,
        };
        vec![
            spec("starter-games", ListSource::Embedded("games.txt")),
            spec("own", ListSource::Inline(vec!["own.example".to_owned()])),
            spec(
                "games",
                ListSource::File(self.folder.path().join("games.txt")),
            ),
        ]
    }

    fn first(&self) -> Served {
        self.shelf().first(&self.specs()).unwrap()
    }

    /// Makes the list so long that it is not compiled before the first answer.
    fn lengthen(&self) {
        let many = "game.example\n".repeat(100_000);
        std::fs::write(self.folder.path().join("games.txt"), many).unwrap();
        assert!(self.shelf().weight(&self.specs()) > SOON);
    }
}

fn ids(index: &Index) -> Vec<&str> {
    index.lists().map(|(_, list)| list.id).collect()
}

#[test]
fn who_came_to_a_bad_end_is_not_followed() {
    let mut world = World::new();
    for (script, told) in [
        (r#"echo '"begun"'; kill -9 $$"#, "was killed (signal 9)"),
        (r#"kill -9 $$"#, "was killed (signal 9)"),
        (r#"echo '"begun"'; exit 134"#, "ended with code 134"),
    ] {
        world.compiled_by(script);
        let served = world.first();
        assert_eq!(served.standing, Standing::Failed);
        assert_eq!(ids(&served.index), ["starter-games", "own"]);
        let [warning] = &served.warnings[..] else {
            panic!("{served:?}");
        };
        assert!(warning.contains(told), "{warning}");
        assert!(warning.ends_with("these say nothing: `games`"), "{warning}");
        assert!(!world.store.index().exists());
        // Nor at the next attempt, although what serves is in our memory alone.
        let again = world.shelf().renew(&world.specs(), Some(&served.index));
        assert!(
            matches!(again, Err(RenewError::Apart(ApartError::Died(_)))),
            "{again:?}"
        );
    }
}

#[test]
fn lists_that_are_small_serve_from_memory_until_there_is_a_file() {
    let world = World::new();
    let lock = world.files.lock(&world.store.folder).unwrap();
    assert!(lock.is_some());
    let served = world.first();
    assert_eq!(served.standing, Standing::Failed);
    assert_eq!(ids(&served.index), ["starter-games", "own", "games"]);
    assert_eq!(
        served.warnings,
        [
            "the compiled lists cannot be kept and stay in memory: another process compiles the \
             lists at this moment"
        ]
    );
    drop(lock);
    let renewed = world.shelf().renew(&world.specs(), Some(&served.index));
    assert_eq!(renewed.unwrap().standing, Standing::Current);
    assert_eq!(world.first().standing, Standing::Current);
}

#[test]
fn long_lists_wait_for_who_may_compile_them() {
    let world = World::new();
    world.lengthen();
    let lock = world.files.lock(&world.store.folder).unwrap();
    let served = world.first();
    assert_eq!(served.standing, Standing::Failed);
    assert_eq!(ids(&served.index), ["starter-games", "own"]);
    drop(lock);
    let renewed = world
        .shelf()
        .renew(&world.specs(), Some(&served.index))
        .unwrap();
    assert_eq!(ids(&renewed.index), ["starter-games", "own", "games"]);
}

#[test]
fn what_came_with_the_program_is_small_enough_for_any_memory() {
    let octets: usize = starter::STARTER.iter().map(|(_, list)| list.len()).sum();
    assert!(octets < 256 << 10, "{octets}");
}

#[test]
fn the_index_of_somebody_else_is_not_taken_for_ours() {
    let mut world = World::new();
    // Another process puts its own there between the end of ours and our look.
    let ours = world.shelf().renew(&world.specs(), None).unwrap();
    world.compiled_by(&format!(
        "cat >/dev/null; echo '\"begun\"'; echo '{}'",
        serde_json::json!({"done": {
            "index": {"recipe": vec![7; 32], "octets": ours.index.file_bytes()},
            "warnings": [],
        }})
    ));
    let renewed = world.shelf().renew(&world.specs(), Some(&ours.index));
    assert!(matches!(renewed, Err(RenewError::Another)), "{renewed:?}");
    // It is ours if it says so.
    world.compiled_by(&format!(
        "cat >/dev/null; echo '\"begun\"'; echo '{}'",
        serde_json::json!({"done": {
            "index": {"recipe": ours.index.recipe(), "octets": ours.index.file_bytes()},
            "warnings": ["odd"],
        }})
    ));
    let renewed = world.shelf().renew(&world.specs(), Some(&ours.index));
    assert_eq!(renewed.unwrap().warnings, ["odd"]);
}

#[test]
fn patience_grows_with_the_lists() {
    assert_eq!(patience(0), Duration::from_mins(10));
    assert_eq!(patience(90 << 20), Duration::from_mins(100));
    assert!(patience(u64::MAX) > Duration::from_hours(24));
}

#[test]
fn a_folder_for_working_files_that_is_gone_is_made() {
    let mut world = World::new();
    let work = world.folder.path().join("ram/work");
    world.store.work_folder = Some(work.clone());
    let (settings, warning) = world.shelf().settings();
    assert_eq!((settings.folder.as_ref(), warning), (Some(&work), None));
    assert!(work.is_dir());
    assert_eq!(world.first().warnings, [""; 0]);
    // As after a restart.
    std::fs::remove_dir(&work).unwrap();
    let renewed = world.shelf().renew(&world.specs(), None).unwrap();
    assert_eq!(renewed.warnings, [""; 0]);
    assert!(work.is_dir());
    // Who only looks makes none.
    std::fs::remove_dir(&work).unwrap();
    let looking = Shelf::new(&world.files, &world.store, false, Day(20_000), None);
    assert!(looking.settings().0.folder.is_some());
    assert!(!work.exists());
}

#[test]
fn where_no_folder_for_working_files_can_be_made_another_serves_and_it_is_told() {
    let mut world = World::new();
    let work = world.folder.path().join("games.txt/work");
    world.store.work_folder = Some(work.clone());
    let (settings, _) = world.shelf().settings();
    let other = settings.folder.expect("memory stays bounded");
    let served = world.first();
    assert_eq!(served.standing, Standing::Current);
    let [warning] = &served.warnings[..] else {
        panic!("{served:?}");
    };
    let (work, other) = (work.display(), other.display());
    let (begin, end) = (
        format!("{work}: cannot make the folder"),
        format!("working files go to {other}"),
    );
    assert!(
        warning.contains(&begin) && warning.ends_with(&end),
        "{warning}"
    );
}
