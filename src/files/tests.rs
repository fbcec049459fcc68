//! Files on a disk, and on one that fails.

use super::*;

#[test]
fn a_failed_replacement_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let files = Files::disk();
    files.replace(&path, b"old").unwrap();
    let blocked = folder.path().join("state.new");
    std::fs::create_dir(&blocked).unwrap();
    let error = files.replace(&path, b"new").unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert_eq!(files.read(&path, 10).unwrap(), b"old");
}

#[test]
fn a_draft_stands_there_once_it_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let files = Files::disk();
    let mut draft = files.draft(&path).unwrap();
    draft.write_all(b"half").unwrap();
    assert!(files.read(&path, 10).unwrap_err().is_missing());
    drop(draft);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let mut draft = files.draft(&path).unwrap();
    draft.write_all(b"whole").unwrap();
    draft.commit().unwrap();
    assert_eq!(files.read(&path, 10).unwrap(), b"whole");
    let mut scratch = files.scratch(folder.path()).unwrap();
    scratch.write_all(b"work").unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_forgotten_of_a_working_file_takes_no_room() {
    use std::io::{Read, Seek};
    use std::os::unix::fs::MetadataExt;
    // File systems on a disk can do it as well.
    let mut file = MemoryScratch(tempfile::tempfile().unwrap());
    file.write_all(&[7; 300_000]).unwrap();
    file.0.sync_all().unwrap();
    let before = file.0.metadata().unwrap().blocks();
    file.forget(0);
    file.forget(250_000);
    let after = file.0.metadata().unwrap();
    assert_eq!(after.len(), 300_000);
    assert!(after.blocks() < before / 3, "{before}, {}", after.blocks());
    let mut content = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    assert_eq!(content.get(250_000..), Some(&[7; 50_000][..]));
}

#[test]
fn a_private_draft_is_for_its_owner_alone_and_follows_no_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    let elsewhere = folder.path().join("elsewhere");
    std::fs::write(&elsewhere, "theirs").unwrap();
    symlink(&elsewhere, folder.path().join("list.new")).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let mut draft = Files::disk().private_draft(&path).unwrap();
    draft.write_all(b"ours").unwrap();
    draft.commit().unwrap();
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"theirs");
    let metadata = std::fs::symlink_metadata(&path).unwrap();
    assert!(metadata.is_file());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_folder_is_locked_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::disk();
    let first = files.lock(folder.path()).unwrap();
    assert!(first.is_some());
    assert!(files.lock(folder.path()).unwrap().is_none());
    drop(first);
    assert!(files.lock(folder.path()).unwrap().is_some());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_disk_may_fill_up_at_any_write() {
    let memory = MemoryFiles::new();
    let write = |path: &str| {
        let mut draft = memory.files().draft(Path::new(path))?;
        draft.write_all(b"x").unwrap_or_default();
        Ok::<_, FileError>(draft.commit().is_ok())
    };
    memory.fail_after(2, io::ErrorKind::StorageFull);
    assert!(!write("/a").unwrap());
    assert!(write("/b").is_err());
    memory.recover();
    assert!(write("/c").unwrap());
    assert_eq!(memory.paths(), [PathBuf::from("/c")]);
}

#[test]
fn a_link_may_lead_within_its_folder() {
    let top = tempfile::tempdir().unwrap();
    let (lists, secret) = (top.path().join("lists"), top.path().join("secret"));
    std::fs::create_dir_all(lists.join("v2")).unwrap();
    std::fs::write(lists.join("v2/ads.txt"), "example.org").unwrap();
    std::fs::write(&secret, "root").unwrap();
    let link = |target: &Path, name: &str| {
        let link = lists.join(name);
        std::os::unix::fs::symlink(target, &link).unwrap();
        link
    };
    let files = Files::disk();
    let inside = link(Path::new("v2/ads.txt"), "ads.txt");
    let outside = link(Path::new("../secret"), "out.txt");
    let chained = link(Path::new("out.txt"), "chain.txt");
    let secret = secret.canonicalize().unwrap();
    assert_eq!(files.leads_out(&inside), None);
    assert_eq!(files.leads_out(&outside), Some(secret.clone()));
    assert_eq!(files.leads_out(&chained), Some(secret));
    assert_eq!(files.leads_out(&lists.join("gone")), None);
}

#[test]
fn a_file_over_the_bound_is_refused() {
    let memory = MemoryFiles::new();
    memory.put("/a", vec![0; 11]);
    let error = memory.files().read(Path::new("/a"), 10).unwrap_err();
    assert_eq!(error.to_string(), "/a: cannot read: larger than 10 bytes");
}

#[test]
fn a_full_disk_is_said_with_its_path() {
    let memory = MemoryFiles::new();
    memory.fail_next(io::ErrorKind::StorageFull);
    let error = memory
        .files()
        .replace(Path::new("/var/x"), b"")
        .unwrap_err();
    assert!(error.to_string().starts_with("/var/x: cannot write: "));
}
