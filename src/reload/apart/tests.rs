//! Orders to another process, and what comes back.

use super::*;

fn spec(source: ListSource) -> ListSpec {
    ListSpec {
        id: "ads".to_owned(),
        category: "ads \u{1f600}\n".to_owned(),
        kind: ListKind::Block,
        tier: Tier::Lists,
        source,
        format: None,
        member: None,
        public_suffixes: false,
        urls: vec!["https://lists.example.org/ads".to_owned()],
        sha256: None,
    }
}

#[test]
fn an_order_arrives_as_it_was_given() {
    use std::os::unix::ffi::OsStrExt;
    // A path is octets.
    let path = Path::new(OsStr::from_bytes(b"/lists/\xff\x00 x"));
    let mut specs = vec![
        spec(ListSource::Embedded("lifelines.txt")),
        spec(ListSource::File(path.to_path_buf())),
        spec(ListSource::Inline(vec![
            String::new(),
            "\"\u{0}".to_owned(),
        ])),
    ];
    for kind in ListKind::ALL {
        for tier in Tier::ALL {
            for format in ListFormat::ALL {
                specs.push(ListSpec {
                    kind,
                    tier,
                    format: Some(format),
                    member: Some(format.label().to_owned()),
                    public_suffixes: true,
                    sha256: Some([7; 32]),
                    ..spec(ListSource::Inline(Vec::new()))
                });
            }
        }
    }
    let settings = Settings {
        memory: usize::MAX,
        folder: Some(path.to_path_buf()),
        accept: vec![Accepted {
            id: "kept".to_owned(),
            stamp: Stamp {
                length: 1,
                modified: 1_795_305_600_000_000_000,
                inode: u64::MAX,
            },
        }],
    };
    let work = Work {
        specs: &specs,
        settings: &settings,
        before: None,
        target: path,
        patience: PATIENCE,
    };
    let sent = Order::new(work, None, Pace::Behind);
    let octets = serde_json::to_vec(&sent).unwrap();
    let order: Order = serde_json::from_slice(&octets).unwrap();
    assert_eq!(order, sent);
    assert_eq!(order.specs(), Some(specs));
    assert_eq!(order.settings(), settings);
    assert_eq!(order.target, path.as_os_str());
}

#[test]
fn a_word_nobody_knows_is_not_guessed() {
    let mut order = ListOrder::new(&spec(ListSource::Inline(Vec::new())));
    assert!(order.spec().is_some());
    order.kind = "blocks".to_owned();
    assert_eq!(order.spec(), None);
}

/// So long that it does not end anything here.
const PATIENCE: Duration = Duration::from_mins(10);
/// What a process says that is done.
const DONE: &str = r#"{"done":{"index":{"recipe":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7],"octets":9},"warnings":["x"]}}"#;

/// What comes of a shell instead of this program.
fn told_within(patience: Duration, script: &str) -> Result<Made, ApartError> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script);
    run(
        command,
        Work {
            specs: &[],
            settings: &Settings::in_memory(),
            before: None,
            target: Path::new("/nowhere"),
            patience,
        },
        Pace::Behind,
    )
}

fn told(script: &str) -> Result<Made, ApartError> {
    told_within(PATIENCE, script)
}

#[test]
fn what_the_process_says_is_believed_once_it_is_through() {
    let done = told(&format!(r#"cat >/dev/null; echo '"begun"'; echo '{DONE}'"#));
    let mut recipe = [0; 32];
    recipe[31] = 7;
    let index = IndexMark { recipe, octets: 9 };
    let warnings = vec!["x".to_owned()];
    assert_eq!(done, Ok(Made { index, warnings }));
    let failed = told(r#"echo '"begun"'; echo '{"failed":{"why":"no room"}}'; exit 1"#);
    assert_eq!(failed, Err(ApartError::Failed("no room".to_owned())));
    let died = told(r#"echo '"begun"'; kill -9 $$"#);
    assert_eq!(died, Err(ApartError::Died(End::Signal(9))));
    assert_eq!(
        died.unwrap_err().to_string(),
        "the process that compiles them was killed (signal 9), as when memory runs out"
    );
    let ended = told(&format!(r#"echo '"begun"'; echo '{DONE}'; exit 3"#));
    assert_eq!(ended, Err(ApartError::Died(End::Code(3))));
    // Without memory for it there is none for doing the same in this process.
    let at_once = told("kill -9 $$");
    assert_eq!(at_once, Err(ApartError::Died(End::Signal(9))));
}

#[test]
fn it_is_not_waited_for_for_ever() {
    let patience = Duration::from_millis(20);
    let too_long = Err(ApartError::TooLong(patience));
    for script in [
        "exec sleep 1000",
        r#"echo '"begun"'; exec sleep 1000"#,
        // Who says no more may go on all the same.
        r#"echo '"begun"'; exec sleep 1000 >&- <&-"#,
    ] {
        assert_eq!(told_within(patience, script), too_long, "{script}");
    }
    assert_eq!(
        ApartError::TooLong(Duration::from_mins(11)).to_string(),
        "the process that compiles them was not done after 660 seconds"
    );
}

#[test]
fn where_others_leave_nothing_it_is_begun_again() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let files = Files::disk();
    let target = folder.path().join("lists.index");
    assert!(made(folder.path(), None).is_ok());
    let before = Index::open(&files, &target).unwrap();
    let program = folder.path().join("program");
    let script = format!(
        "#!/bin/sh\norder=$(cat)\ncase $order in *Idle*) exec sleep 1000;; esac\necho '{DONE}'\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let apart = Apart::by_program(program);
    let work = Work {
        specs: &[],
        settings: &Settings::in_memory(),
        before: Some(&before),
        target: &target,
        // At its idle pace a 200th of them.
        patience: Duration::from_secs(30),
    };
    assert_eq!(apart.compile(work).unwrap().index.octets, 9);
}

#[test]
fn another_program_is_no_process_that_compiles() {
    let silent = told("exit 0").unwrap_err();
    assert_eq!(
        silent.to_string(),
        "no process can be started: it ended with code 0 before it was done"
    );
    // Nor is it waited for.
    let other = told("echo hello; exec sleep 1000");
    assert!(matches!(other, Err(ApartError::NotStarted(_))), "{other:?}");
    let nothing = run(
        Command::new("/nowhere/hedgerow"),
        Work {
            specs: &[],
            settings: &Settings::in_memory(),
            before: None,
            target: Path::new("/nowhere"),
            patience: PATIENCE,
        },
        Pace::Behind,
    );
    assert!(matches!(nothing, Err(ApartError::NotStarted(_))));
}

#[test]
fn it_is_told_once() {
    let apart = Apart::default();
    let error = ApartError::NotStarted("x".to_owned());
    assert!(apart.tell_once(&error).is_some());
    assert_eq!(apart.tell_once(&error), None);
}

#[test]
fn who_is_not_our_child_compiles_nothing() {
    let settings = Settings::in_memory();
    let work = Work {
        specs: &[],
        settings: &settings,
        before: None,
        target: Path::new("/nowhere/lists.index"),
        patience: PATIENCE,
    };
    let order = Order {
        daemon: 0,
        ..Order::new(work, None, Pace::Behind)
    };
    let octets = serde_json::to_vec(&order).unwrap();
    let why = take_order(&*octets).unwrap_err();
    assert_eq!(why, "nobody waits for the lists");
    assert!(take_order(&b"{"[..]).is_err());
}

fn plain(line: &str) -> ListSpec {
    ListSpec {
        category: "ads".to_owned(),
        ..spec(ListSource::Inline(vec![line.to_owned()]))
    }
}

/// What comes of an order to compile one line to a file in `folder`, `before` given.
fn made(folder: &Path, before: Option<&Path>) -> Result<Made, String> {
    let specs = [plain("example.org")];
    let settings = Settings::in_memory();
    let target = folder.join("lists.index");
    let work = Work {
        specs: &specs,
        settings: &settings,
        before: None,
        target: &target,
        patience: PATIENCE,
    };
    let order = Order {
        daemon: nix::unistd::getppid().as_raw().cast_unsigned(),
        before: before.map(Into::into),
        ..Order::new(work, None, Pace::Behind)
    };
    take_order(&*serde_json::to_vec(&order).unwrap())
}

#[test]
fn an_index_that_broke_keeps_no_other_away() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::disk();
    let broken = folder.path().join("broken");
    files.replace(&broken, b"no index at all").unwrap();
    let made = made(folder.path(), Some(&broken)).unwrap();
    let [warning] = &made.warnings[..] else {
        panic!("{made:?}");
    };
    assert!(warning.contains("cannot be read again"), "{warning}");
    let index = Index::open(&files, &folder.path().join("lists.index")).unwrap();
    assert_eq!(index.name_count(), 1);
}

#[test]
fn it_says_which_index_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::disk();
    let target = folder.path().join("lists.index");
    let made = made(folder.path(), None).unwrap();
    assert!(made.warnings.is_empty(), "{made:?}");
    let index = Index::open(&files, &target).unwrap();
    assert!(made.index.is_of(&index));
    let other = [plain("example.net")];
    let other = lists::compile_in_memory(&other, &files, None, &|| false).unwrap();
    assert!(!made.index.is_of(&other));
}
