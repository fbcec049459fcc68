//! Disks that are full, and power that goes, at any write.

use std::io::ErrorKind;
use std::path::Path;

use hedgerow::files::Files;
use hedgerow::update::{ListUpdateSpec, Outcome, UpdateSettings, Updater};

use crate::http::{Net, Reply};
use crate::minisign::Signer;
use crate::world::{COPY, World, good, names};

/// More operations on files than an update makes.
const MANY: usize = 400;

#[test]
fn a_full_disk_costs_the_new_version_and_nothing_else() {
    let mut refused = 0;
    let mut world = World::with_copy();
    let snapshot = world.snapshot();
    for successes in 0..MANY {
        world.restore(&snapshot);
        world.serve("/ads.txt", Reply::ok(names(4)));
        world.updater();
        world.memory.fail_after(successes, ErrorKind::StorageFull);
        let result = world.update();
        world.memory.recover();
        match result.outcome {
            Outcome::Failed(why) => {
                refused += 1;
                assert!(why.contains("no storage space"), "{why}");
                assert!(result.news);
                world.stays(&good());
            }
            Outcome::Updated { entries: 4, .. } => {
                world.stays(&names(4));
                // Where only the state could not be written, the next attempt makes up for it.
                world.serve("/ads.txt", Reply::not_modified());
                world.update();
                assert_eq!(world.written().entries, 4);
                if successes > refused + 3 {
                    assert!(refused > 5, "{refused}");
                    return;
                }
            }
            other => panic!("{other:?} after {successes} operations"),
        }
        world.serve("/ads.txt", Reply::ok(names(4)));
        world.restart();
        world.update();
        assert_eq!(world.content(COPY), names(4));
    }
    panic!("{MANY} operations were not enough");
}

/// Nothing succeeds after a kill: that is what a disk looks like on which everything fails.
#[test]
fn a_kill_leaves_the_old_version_or_the_new_one_and_no_older_one_is_taken() {
    let signer = Signer::new(1);
    let sign = |count: usize, serial: usize| {
        let list = names(count);
        let signature = signer.sign(list.as_bytes(), &format!("serial:{serial}"));
        (list, signature)
    };
    let ((old, old_signature), (new, new_signature)) = (sign(3, 1), sign(4, 2));
    let (mut stayed, mut replaced) = (0, 0);
    let mut world = World::plain();
    world.require(&[signer.public()]);
    world.serve_signed("/ads.txt", old.as_bytes(), &old_signature);
    assert_eq!(world.entries(), 3);
    let snapshot = world.snapshot();
    for successes in 0..MANY {
        world.restore(&snapshot);
        world.serve_signed("/ads.txt", new.as_bytes(), &new_signature);
        world.updater();
        world.memory.fail_after(successes, ErrorKind::StorageFull);
        let result = world.update();
        world.restart();
        world.memory.recover();
        if world.content(COPY) == new {
            replaced += 1;
            // From here on the older version must not come back.
            world.serve_signed("/ads.txt", old.as_bytes(), &old_signature);
            let why = world.failure();
            assert!(why.contains("serial:1 after serial:2"), "{why}");
            world.stays(&new);
        } else {
            stayed += 1;
            world.stays(&old);
            assert_eq!(world.entries(), 4);
            world.stays(&new);
        }
        if matches!(result.outcome, Outcome::Updated { .. }) && replaced > 3 {
            assert!(stayed > 3, "{stayed}");
            return;
        }
    }
    panic!("{MANY} operations were not enough");
}

/// A household on a real disk.
struct Home {
    folder: tempfile::TempDir,
    world: World,
}

impl Home {
    fn new() -> Self {
        let world = World::new();
        world.serve("/ads.txt", Reply::ok(good()));
        Self {
            folder: tempfile::tempdir().unwrap(),
            world,
        }
    }

    fn updater(&self) -> Updater {
        let settings = UpdateSettings {
            extra_roots: self.world.authority.pem(),
            resolve: std::sync::Arc::<Net>::clone(&self.world.net),
            ..UpdateSettings::new(self.folder.path(), self.folder.path())
        };
        let specs = vec![ListUpdateSpec::new("ads", crate::world::URL)];
        Updater::new(specs, settings, Files::disk(), self.world.time.clock())
    }

    fn lists(&self) -> std::path::PathBuf {
        self.folder.path().join("lists")
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.lists()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_on_a_disk_are_for_their_owner_alone() {
    let home = Home::new();
    let result = home.updater().update_one("ads", false).unwrap();
    assert!(
        matches!(result.outcome, Outcome::Updated { .. }),
        "{result:?}"
    );
    assert_eq!(home.files(), ["ads.json", "ads.list"]);
    for name in home.files() {
        assert_eq!(mode(&home.lists().join(name)), 0o600);
    }
    assert_eq!(mode(&home.lists()), 0o700);
}

#[test]
fn what_a_kill_left_is_taken_away_at_the_start() {
    let home = Home::new();
    std::fs::create_dir(home.lists()).unwrap();
    std::fs::write(home.lists().join("ads.list.new"), "half a li").unwrap();
    std::fs::write(home.lists().join("ads.list"), "one.test\n").unwrap();
    drop(home.updater());
    assert_eq!(home.files(), ["ads.list"]);
}

#[test]
fn two_processes_do_not_update_the_same_lists_at_once() {
    let home = Home::new();
    let mut updater = home.updater();
    std::fs::create_dir_all(home.lists()).unwrap();
    let lock = Files::disk().lock(&home.lists()).unwrap();
    assert!(lock.is_some());
    let result = updater.update_one("ads", false).unwrap();
    assert_eq!(
        result.outcome,
        Outcome::Failed("another process is updating the lists".into())
    );
    assert_eq!(home.files(), [""; 0]);
    drop(lock);
    let result = updater.update_one("ads", false).unwrap();
    assert!(matches!(result.outcome, Outcome::Updated { .. }));
}

/// A list that is a link to somewhere else is replaced, and what it led to is left alone.
#[test]
fn a_link_that_leads_out_of_the_folder_is_not_written_through() {
    let home = Home::new();
    std::fs::create_dir(home.lists()).unwrap();
    let outside = home.folder.path().join("outside");
    std::fs::write(&outside, "theirs").unwrap();
    for name in ["ads.list", "ads.list.new", "ads.json"] {
        std::os::unix::fs::symlink(&outside, home.lists().join(name)).unwrap();
    }
    let result = home.updater().update_one("ads", false).unwrap();
    assert!(
        matches!(result.outcome, Outcome::Updated { .. }),
        "{result:?}"
    );
    assert_eq!(std::fs::read(&outside).unwrap(), b"theirs");
    assert_eq!(home.files(), ["ads.json", "ads.list"]);
    let copy = std::fs::symlink_metadata(home.lists().join("ads.list")).unwrap();
    assert!(copy.is_file());
}
