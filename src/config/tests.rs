//! Whole configurations, from files to what they mean.

use super::*;
use crate::files::MemoryFiles;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

const MAIN: &str = "/etc/hedgerow/hedgerow.toml";

fn with(files: &[(&str, &str)]) -> Loaded {
    let memory = MemoryFiles::new();
    for (path, text) in files {
        memory.put(format!("/etc/hedgerow/{path}"), *text);
    }
    load(&memory.files(), Path::new(MAIN))
}

fn config(files: &[(&str, &str)]) -> Config {
    let loaded = with(files);
    assert_eq!(loaded.diagnostics, []);
    loaded.config.unwrap()
}

fn messages(loaded: &Loaded) -> Vec<&str> {
    loaded
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect()
}

#[test]
fn an_empty_file_is_a_working_home() {
    let mut config = config(&[("hedgerow.toml", "")]);
    config.identity.devices_file = None;
    assert_eq!(config, Config::default_home());
    let names: Vec<_> = config.profiles.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        names,
        ["preschooler", "schoolchild", "adolescent", "adult", "guest"]
    );
    assert!(config.profiles.iter().all(|p| p.preset == p.name));
    assert_eq!(config.profiles[config.guest].name, "guest");
    assert_eq!(config.lists.len(), CATEGORIES.len() + 3);
    assert_eq!(config.server.listen.len(), 2);
    assert_eq!(
        config.control.socket,
        Some("/run/hedgerow/control.sock".into())
    );
}

#[test]
fn presets_are_what_the_design_says() {
    let config = Config::default_home();
    let [preschooler, schoolchild, adolescent, adult, guest] = &config.profiles[..] else {
        panic!("five presets");
    };
    let harmful = [
        "adult",
        "drugs",
        "extremism",
        "gambling",
        "malware",
        "phishing",
        "self-harm",
        "violence",
        "encrypted-dns",
        "proxy",
        "vpn",
        "unsafe-search",
    ];
    for profile in [preschooler, schoolchild, adolescent, guest] {
        for category in harmful {
            assert!(
                profile.block_categories.iter().any(|c| c == category),
                "{}: {category}",
                profile.name
            );
        }
        assert!(profile.close_bypass && profile.safe_search && profile.block_unsafe_search);
    }
    assert!(preschooler.allow_only);
    assert_eq!(preschooler.allow_lists, ["children"]);
    for profile in [preschooler, schoolchild] {
        for category in ["social-media", "chat", "dating", "ads", "trackers"] {
            assert!(profile.block_categories.iter().any(|c| c == category));
        }
        assert_eq!(profile.youtube, Youtube::Strict);
    }
    assert!(
        !schoolchild
            .block_categories
            .iter()
            .any(|c| c == "games" || c == "video")
    );
    assert_eq!(adolescent.block_categories.len(), harmful.len());
    assert_eq!(
        (adolescent.youtube, adolescent.privacy),
        (Youtube::Moderate, Privacy::Categories)
    );
    assert_eq!(adult.block_categories, ["malware", "phishing"]);
    assert!(!adult.safe_search && !adult.close_bypass && adult.block_rebinding);
    assert_eq!(guest.block_categories, schoolchild.block_categories);
    assert_eq!(guest.when_unsure, WhenUnsure::Allow);
}

#[test]
fn later_files_win_and_tables_add_up() {
    let config = config(&[
        (
            "hedgerow.toml",
            "[server]\nworkers = 1\nudp-payload = 1400\n[household]\nblock = [\"a.example\"]",
        ),
        (
            "conf.d/10.toml",
            "[server]\nworkers = 2\n[[device]]\nname = \"a\"\nprofile = \"mia\"\naddress = [\"192.0.2.1\"]",
        ),
        (
            "conf.d/20.toml",
            "[server]\nworkers = 3\n[household]\nblock = [\"b.example\"]\n[[device]]\nname = \"b\"\nprofile = \"unknown\"\naddress = [\"192.0.2.0/24\"]",
        ),
        ("conf.d/ignored.txt", "nonsense"),
        ("conf.d/.hidden.toml", "nonsense"),
        (
            "profiles/mia.toml",
            "[profile.mia]\ninherits = \"schoolchild\"\nunblock = [\"chat\"]",
        ),
    ]);
    assert_eq!(
        (config.server.workers, config.server.udp_payload),
        (3, 1400)
    );
    let blocked: Vec<_> = config
        .household
        .block
        .iter()
        .map(|r| r.text.as_str())
        .collect();
    assert_eq!(blocked, ["a.example", "b.example"]);
    assert_eq!(config.devices.len(), 2);
    let mia = &config.profiles[config.devices[0].profile];
    assert_eq!(
        (mia.name.as_str(), mia.preset.as_str()),
        ("mia", "schoolchild")
    );
    assert!(!mia.block_categories.iter().any(|c| c == "chat"));
    assert_eq!(config.devices[1].profile, config.guest);
}

#[test]
fn the_demonstration_loads() {
    let loaded = load_demo(&MemoryFiles::new().files(), &Overrides::default());
    assert_eq!(loaded.diagnostics, []);
    let config = loaded.config.unwrap();
    let profile_at = |address: &str| {
        let wanted = DeviceMatch::Net(format!("{address}/32").parse().unwrap());
        let device = config
            .devices
            .iter()
            .find(|d| d.matches.contains(&wanted))
            .unwrap();
        config.profiles[device.profile].preset.as_str()
    };
    assert_eq!(profile_at("127.0.0.2"), "preschooler");
    assert_eq!(profile_at("127.0.0.3"), "schoolchild");
    assert_eq!(profile_at("127.0.0.4"), "adolescent");
    assert_eq!(profile_at("127.0.0.5"), "adult");
    assert_eq!(config.control.socket, Some("hedgerow-demo.sock".into()));
    assert!(
        config
            .server
            .listen
            .iter()
            .all(|l| l.address.port() == 5335)
    );
}

#[test]
fn a_profile_named_like_a_preset_changes_it() {
    let config = config(&[(
        "hedgerow.toml",
        "[profile.guest]\nprivacy = \"none\"\n[profile.x]\ninherits = \"guest\"\n",
    )]);
    let guest = &config.profiles[config.guest];
    assert_eq!(
        (guest.privacy, guest.preset.as_str()),
        (Privacy::None, "guest")
    );
    assert!(guest.safe_search);
    assert_eq!(
        config.profiles.iter().filter(|p| p.name == "guest").count(),
        1
    );
    let x = config.profiles.iter().find(|p| p.name == "x").unwrap();
    assert_eq!((x.privacy, x.preset.as_str()), (Privacy::None, "guest"));
}

#[test]
fn lifelines_stay_when_the_starter_lists_go() {
    let config = config(&[("hedgerow.toml", "[lists]\nstarter = false")]);
    let [list] = &config.lists[..] else {
        panic!("one list");
    };
    assert_eq!(list.id, "starter-lifelines");
    assert_eq!(list.source, ListSource::Embedded("lifelines.txt"));
}

#[test]
fn unsafe_search_is_one_thing_with_two_names() {
    let config = config(&[(
        "hedgerow.toml",
        "[profile.a]\ninherits = \"adult\"\nblock = [\"unsafe-search\"]\n\
         [profile.b]\ninherits = \"guest\"\nblock-unsafe-search = false\n",
    )]);
    let [.., a, b] = &config.profiles[..] else {
        panic!("two more");
    };
    assert!(a.block_unsafe_search);
    assert!(!b.block_unsafe_search);
    assert!(!b.block_categories.iter().any(|c| c == "unsafe-search"));
}

#[test]
fn paths_start_from_the_main_file_and_folders_are_watched() {
    let memory = MemoryFiles::new();
    memory.put("/home/x/hedgerow.toml", "[[list]]\nid = \"a\"\ncategory = \"games\"\nfile = \"lists/a.txt\"\n[control]\nsocket = \"h.sock\"");
    memory.put("/home/x/lists/a.txt", "game.example");
    memory.put("/home/x/conf.d/a.toml", "");
    let loaded = load(&memory.files(), Path::new("/home/x/hedgerow.toml"));
    assert_eq!(loaded.diagnostics, []);
    let config = loaded.config.unwrap();
    assert_eq!(config.control.socket, Some("/home/x/h.sock".into()));
    assert_eq!(
        config.lists.last().unwrap().source,
        ListSource::File("/home/x/lists/a.txt".into())
    );
    let watched: Vec<_> = loaded.watched.iter().map(|p| p.to_str().unwrap()).collect();
    let state = "/var/lib/hedgerow";
    assert_eq!(
        watched,
        ["/home/x", "/home/x/conf.d", "/home/x/lists", state]
    );
}

#[test]
fn a_missing_main_file_is_an_error_only_when_it_was_named() {
    let files = MemoryFiles::new().files();
    let loaded = load(&files, Path::new("/x.toml"));
    assert_eq!(
        messages(&loaded),
        ["cannot open `/x.toml`: entity not found"]
    );
    assert_eq!(loaded.config, None);
    let loaded = load_default(&files, &Overrides::default());
    let mut config = loaded.config.unwrap();
    let devices_file = config.identity.devices_file.take();
    assert_eq!(devices_file, Some("/var/lib/hedgerow/devices.toml".into()));
    assert_eq!(config, Config::default_home());
}

#[test]
fn the_command_line_wins_over_the_files() {
    let memory = MemoryFiles::new();
    memory.put(
        MAIN,
        "[server]\nlisten = [\"192.0.2.1\"]\n[upstream]\nservers = [\"127.0.0.1\"]",
    );
    let overrides = Overrides {
        socket: None,
        listen: vec![parse_listen("127.0.0.1:0").unwrap()],
        ..Overrides::default()
    };
    let loaded = load_with(&memory.files(), Path::new(MAIN), &overrides);
    assert_eq!(loaded.config.unwrap().server.listen, overrides.listen);
    assert_eq!(parse_listen("here"), Err("not an IP address".to_owned()));
}

#[test]
fn answers_by_address() {
    let config = config(&[(
        "hedgerow.toml",
        "[profile.a]\ninherits = \"guest\"\nblock-answer = \"address\"\nblock-addresses = [\"192.0.2.1\", \"2001:db8::1\"]\n\
         [profile.b]\ninherits = \"a\"\nblock-ttl = \"1m\"\n[profile.c]\ninherits = \"a\"\nblock-answer = \"nxdomain\"",
    )]);
    let [.., a, b, c] = &config.profiles[..] else {
        panic!("three more");
    };
    let expected = BlockAnswer::Addresses(vec![
        "192.0.2.1".parse().unwrap(),
        "2001:db8::1".parse().unwrap(),
    ]);
    assert_eq!((&a.block_answer, a.block_ttl), (&expected, 10));
    assert_eq!((&b.block_answer, b.block_ttl), (&expected, 60));
    assert_eq!(c.block_answer, BlockAnswer::NxDomain);
}

#[test]
fn both_forms_of_an_internationalised_rule_contradict() {
    let loaded = with(&[(
        "hedgerow.toml",
        "[household]\nallow = [\"bücher.example\"]\nblock = [\"XN--BCHER-KVA.example.\"]",
    )]);
    assert_eq!(
        messages(&loaded),
        ["`XN--BCHER-KVA.example.` is both allowed and blocked"]
    );
}

#[test]
fn windows_files_read_like_others() {
    let config = config(&[(
        "hedgerow.toml",
        "\u{feff}[household]\r\nblock = [\r\n  \"a.example\",\r\n]\r\n",
    )]);
    let rule = &config.household.block[0];
    assert!(matches!(&rule.pattern, Pattern::Subtree(name) if name.to_string() == "a.example"));
}

#[test]
fn what_is_no_text_is_told_by_its_place() {
    let loaded = fuzz_entry(b"[server]\nuser = \"a\xff\"\n");
    assert_eq!(
        loaded.diagnostics[0].to_string(),
        "error: the file is not UTF-8\n  --> /etc/hedgerow/hedgerow.toml:2:10\n\
         note: byte 18 of it is 0xff"
    );
    let loaded = fuzz_entry(b"\x7fELF\x02\x01\x01\0\0\0");
    assert_eq!(
        loaded.diagnostics[0].to_string(),
        "error: the file is not a text\n  --> /etc/hedgerow/hedgerow.toml:1:8\n\
         note: byte 7 of it is 0x00"
    );
}

#[test]
fn a_file_too_large_is_not_read() {
    let loaded = fuzz_entry(&vec![b'#'; MAX_FILE as usize + 1]);
    assert_eq!(
        messages(&loaded),
        ["cannot read `/etc/hedgerow/hedgerow.toml`: larger than 4194304 bytes"]
    );
}

#[test]
fn depth_does_not_overflow_the_stack() {
    for opening in ["[", "{a=", "{a.b.c.d.e.f.g.h.i.j.k.l.m=", "[{a="] {
        let deep = format!("a = {}", opening.repeat(50_000));
        assert!(fuzz_entry(deep.as_bytes()).config.is_none());
    }
    let keys = vec!["a"; 100_000].join(".");
    assert!(
        fuzz_entry(format!("{keys} = 1").as_bytes())
            .config
            .is_none()
    );
    assert!(fuzz_entry(format!("[{keys}]").as_bytes()).config.is_none());
    // Just under every bound of the parser at once.
    let path = vec!["a"; 78].join(".");
    let inner = format!("{{{path} = ").repeat(78);
    let deep = format!("[{path}]\n{path} = {inner} 1 {}", "}".repeat(78));
    assert!(fuzz_entry(deep.as_bytes()).config.is_none());
}

#[test]
fn a_flood_of_mistakes_ends_in_a_number() {
    let many: String = (0..1000).map(|n| format!("[x{n}]\n")).collect();
    let loaded = with(&[("hedgerow.toml", &many)]);
    assert_eq!(loaded.diagnostics.len(), 201);
    assert_eq!(messages(&loaded)[200], "800 more errors are not shown");
}

#[test]
fn nested_prefixes_are_fine() {
    let config = config(&[(
        "hedgerow.toml",
        "[[device]]\nname = \"net\"\nprofile = \"guest\"\naddress = [\"192.0.2.0/24\"]\n\
         [[device]]\nname = \"one\"\nprofile = \"adult\"\naddress = [\"192.0.2.7\"]\n",
    )]);
    assert_eq!(config.devices.len(), 2);
}

#[test]
fn a_missing_list_does_not_stop_the_daemon() {
    let loaded = with(&[(
        "hedgerow.toml",
        "[[list]]\nid = \"a\"\ncategory = \"games\"\nfile = \"a.txt\"\n",
    )]);
    assert_eq!(messages(&loaded), ["list file `a.txt` cannot be read"]);
    assert!(loaded.config.is_some());
}

/// Pieces that bytes alone would not hit upon.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "[server]\n",
            "[[device]]\n",
            "[profile.a]\n",
            "[profile.",
            "[[list]]\n",
            "inherits = ",
            "address = ",
            "block = ",
            "listen = ",
            "[household]\n",
            "\"a\"",
            "[\"*.example\"]",
            "[\"192.0.2.1/24\"]",
            "= ",
            "\n",
            "\"\"\"",
            "'",
            "{",
            "}",
            "[",
            "]",
            "1e9",
            "1979-05-27",
            "name = \"x\"\n",
            "profile = \"a\"\n",
            "\r",
            "\u{202e}",
            "ü",
            "\t",
            "#",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        fuzz_entry(&bytes);
    }

    #[test]
    fn no_pieces_of_configuration_make_it_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        let loaded = fuzz_entry(pieces.concat().as_bytes());
        let errors = loaded.diagnostics.iter().any(Diagnostic::is_error);
        prop_assert_eq!(errors, loaded.config.is_none());
    }

    #[test]
    fn a_broken_default_is_told(at in 0usize..8000, byte in any::<u8>()) {
        let mut bytes = default_text().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let loaded = fuzz_entry(&bytes);
        prop_assert_eq!(
            loaded.diagnostics.iter().any(Diagnostic::is_error),
            loaded.config.is_none()
        );
    }
}

#[test]
fn a_disk_that_fails_is_told() {
    let memory = MemoryFiles::new();
    memory.put(MAIN, "");
    memory.fail_next(std::io::ErrorKind::PermissionDenied);
    let loaded = load(&Arc::clone(&memory).files(), Path::new(MAIN));
    assert_eq!(
        messages(&loaded),
        ["cannot open `/etc/hedgerow/hedgerow.toml`: permission denied"]
    );
}

/// Whatever the ceiling, the parts that grow with traffic fit under it.
#[test]
fn everything_that_grows_fits_under_the_ceiling() {
    for mebibytes in [1_u64, 2, 4, 8, 16, 64] {
        let memory = MemoryFiles::new();
        memory.put(MAIN, format!("[limits]\nmemory = \"{mebibytes} MiB\"\n"));
        let loaded = load(&memory.files(), Path::new(MAIN));
        let problems: Vec<_> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        let config = loaded.config.unwrap_or_else(|| panic!("{problems:?}"));
        let sum = config.needed_beside_cache() + config.cache.max_bytes;
        assert!(sum <= mebibytes << 20, "{mebibytes} MiB: {sum}");
        assert!(config.limits.in_flight >= 32 && config.limits.tcp_connections >= 16);
        if mebibytes >= 16 {
            assert_eq!(
                (config.limits.in_flight, config.limits.tcp_connections),
                (512, 256)
            );
        }
    }
}

#[test]
fn a_downloaded_list_is_read_from_its_last_good_copy() {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let text = format!(
        "[lists]\nfolder = \"/flash\"\nwork-folder = \"/ram\"\ncompile-memory = \"8 MiB\"\nupdate = false\n\
         [[list]]\nid = \"ours\"\ncategory = \"ads\"\nurl = \"http://10.0.0.1/l.txt\"\n\
         allow-private = true\nsignature-key = {key:?}\nupdate = \"15m\"\nmax-size = \"1 MiB\"\n\
         delta-url = \"http://10.0.0.1/l.delta\"\nmember = \"a/b/\"\npublic-suffixes = true\n"
    );
    let loaded = with(&[("hedgerow.toml", &text)]);
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(
        loaded.watched,
        ["/etc/hedgerow", "/flash"].map(PathBuf::from)
    );
    let config = loaded.config.unwrap();
    let store = &config.list_store;
    assert_eq!(store.index(), PathBuf::from("/flash/lists.index"));
    assert_eq!(store.compile_memory, 8 << 20);
    assert!(!store.update);
    let files = MemoryFiles::new().files();
    assert_eq!(store.make_work_folder(&files), ("/ram".into(), None));
    let list = config.lists.last().unwrap();
    assert_eq!(
        *list,
        List {
            id: "ours".into(),
            category: "ads".into(),
            kind: ListKind::Block,
            source: ListSource::File("/flash/lists/ours.list".into()),
            format: None,
            member: Some("a/b".into()),
            public_suffixes: true,
            download: Some(Download {
                url: "http://10.0.0.1/l.txt".into(),
                every: Duration::from_mins(15),
                signature: Some(Signature {
                    keys: vec![key.into()],
                    url: None,
                }),
                delta_url: Some("http://10.0.0.1/l.delta".into()),
                max_bytes: 1 << 20,
                allow_private: true,
            }),
        }
    );
}

#[test]
fn what_a_list_of_the_catalogue_says_can_be_said_otherwise() {
    let text = "
        [[list]]
        catalogue = \"ut1-games\"

        [[list]]
        catalogue = \"oisd-nsfw\"
        id = \"mirror\"
        category = \"violence\"
        url = \"https://mirror.example/list\"

        [[list]]
        catalogue = \"oisd-nsfw\"
        id = \"helplines\"
        kind = \"lifeline\"";
    let config = config(&[("hedgerow.toml", text)]);
    let [.., games, mirror, helplines] = &config.lists[..] else {
        panic!("three lists");
    };
    assert_eq!(games.id, "ut1-games");
    assert_eq!(games.category, "games");
    assert_eq!(games.format, Some(ListFormat::Domains));
    assert_eq!(games.member.as_deref(), Some("games"));
    assert_eq!(
        games.source,
        ListSource::File("/var/lib/hedgerow/lists/ut1-games.list".into())
    );
    // Another address may have another syntax.
    assert_eq!((mirror.format, mirror.member.as_deref()), (None, None));
    assert_eq!(mirror.category, "violence");
    assert_eq!(
        mirror.download.as_ref().unwrap().url,
        "https://mirror.example/list"
    );
    assert_eq!(helplines.category, "lifelines");
}

#[test]
fn a_sealed_list_needs_neither_kind_nor_category() {
    let text = "
        [[list]]
        id = \"hotline\"
        format = \"sealed\"
        url = \"https://hotline.example/feed\"

        [[list]]
        id = \"court\"
        kind = \"sealed\"
        category = \"court-order\"
        lines = [\"example.org\"]";
    let config = config(&[("hedgerow.toml", text)]);
    let [.., hotline, court] = &config.lists[..] else {
        panic!("two lists");
    };
    assert_eq!(
        (hotline.kind, &*hotline.category),
        (ListKind::Sealed, "sealed")
    );
    assert_eq!(
        (court.kind, &*court.category),
        (ListKind::Sealed, "court-order")
    );
}

#[test]
fn the_state_folder_is_said_by_the_command_line_the_file_or_systemd() {
    let folder = |text: &str, overrides: &Overrides| {
        let memory = MemoryFiles::new();
        memory.put(MAIN, text);
        let loaded = load_with(&memory.files(), Path::new(MAIN), overrides);
        loaded.config.unwrap().list_store.folder
    };
    let none = Overrides::default();
    let systemd = Overrides {
        usual_state: Some("/var/lib/private/hedgerow".into()),
        ..Overrides::default()
    };
    let both = Overrides {
        state: Some("/tmp/state".into()),
        ..systemd.clone()
    };
    let written = "[lists]\nfolder = \"state\"";
    assert_eq!(folder("", &none), PathBuf::from("/var/lib/hedgerow"));
    assert_eq!(
        folder("", &systemd),
        PathBuf::from("/var/lib/private/hedgerow")
    );
    assert_eq!(
        folder(written, &systemd),
        PathBuf::from("/etc/hedgerow/state")
    );
    assert_eq!(folder(written, &both), PathBuf::from("/tmp/state"));
}

#[test]
fn a_link_out_of_its_folder_is_told() {
    let top = tempfile::tempdir().unwrap();
    let lists = top.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    std::fs::write(top.path().join("secret"), "root").unwrap();
    std::os::unix::fs::symlink("../secret", lists.join("l.txt")).unwrap();
    let main = top.path().join("hedgerow.toml");
    std::fs::write(
        &main,
        "[[list]]\nid = \"l\"\ncategory = \"ads\"\nfile = \"lists/l.txt\"\n",
    )
    .unwrap();
    let loaded = load(&Files::disk(), &main);
    assert!(loaded.config.is_some());
    assert_eq!(
        messages(&loaded),
        ["list file `lists/l.txt` cannot be read"]
    );
    let told = loaded.diagnostics[0].to_string();
    assert!(told.contains("leads out of its folder, to /"), "{told}");
    assert!(
        told.contains("help: name the file itself: `file = \""),
        "{told}"
    );
}

/// What the files in `texts` come to at the start.
fn at_the_start(texts: &[(&str, &str)]) -> Loaded {
    let memory = MemoryFiles::new();
    for (path, text) in texts {
        memory.put(*path, *text);
    }
    let files = memory.files();
    load_to_start(&files, &Overrides::default(), |overrides| {
        load_with(&files, Path::new(MAIN), overrides)
    })
}

fn device_names(loaded: &Loaded) -> Vec<&str> {
    let devices = &loaded.config.as_ref().unwrap().devices;
    devices.iter().map(|it| it.name.as_str()).collect()
}

const DEVICES: &str = "/var/lib/hedgerow/devices.toml";
const GOOD: &str = "/var/lib/hedgerow/devices.toml.good";
const TWO_DEVICES: &str = "\
[[device]]\nname = \"tablet\"\nprofile = \"mia\"\nmac = [\"02:00:5e:10:00:01\"]\n\
[[device]]\nname = \"laptop\"\nprofile = \"adult\"\naddress = [\"192.0.2.7\"]\n";
const MIA: &str = "[profile.mia]\ninherits = \"schoolchild\"\n";

#[test]
fn the_devices_file_is_read_last_and_holds_devices_only() {
    let own = "[[device]]\nname = \"tv\"\nprofile = \"guest\"\naddress = [\"192.0.2.9\"]\n";
    let main = format!("{MIA}{own}");
    let loaded = at_the_start(&[(MAIN, &main), (DEVICES, TWO_DEVICES)]);
    assert_eq!(messages(&loaded), [""; 0]);
    assert_eq!(device_names(&loaded), ["tv", "tablet", "laptop"]);
    let config = loaded.config.unwrap();
    let places = [(MAIN, 3), (DEVICES, 1), (DEVICES, 5)];
    assert_eq!(
        config.device_places,
        places.map(|(file, line)| (file.into(), line))
    );
    let memory = MemoryFiles::new();
    memory.put(MAIN, "[identity]\ndevices-file = \"d.toml\"\n");
    memory.put("/etc/hedgerow/d.toml", MIA);
    let loaded = load(&memory.files(), Path::new(MAIN));
    assert_eq!(messages(&loaded), ["`profile` in the file of devices"]);
    assert!(loaded.watched.contains(&"/etc/hedgerow".into()));
    memory.put(MAIN, "[identity]\ndevices-file = \"d\"\n");
    let loaded = load(&memory.files(), Path::new(MAIN));
    assert_eq!(messages(&loaded), ["`devices-file` cannot be used"]);
}

#[test]
fn a_home_starts_with_what_is_right_in_its_devices_file() {
    let in_force = |loaded: &Loaded| messages(loaded)[0].to_owned();
    for broken in ["[[device]\n", "\0\0\0", "device = 1\n"] {
        let texts = [(MAIN, MIA), (DEVICES, broken), (GOOD, TWO_DEVICES)];
        let loaded = at_the_start(&texts);
        assert_eq!(device_names(&loaded), ["tablet", "laptop"], "{broken:?}");
        assert!(in_force(&loaded).ends_with("its last good copy is in force"));
        assert!(loaded.diagnostics.len() > 1, "what is wrong is told too");
        assert!(loaded.diagnostics.iter().all(|it| !it.is_error()));
    }
    // Without the profile of one of them, the others go on.
    let texts = [(MAIN, ""), (DEVICES, TWO_DEVICES), (GOOD, TWO_DEVICES)];
    let loaded = at_the_start(&texts);
    assert_eq!(device_names(&loaded), ["laptop"]);
    assert!(in_force(&loaded).contains("what is right in its last good copy"));
    let loaded = at_the_start(&texts[..2]);
    assert_eq!(device_names(&loaded), ["laptop"]);
    assert!(in_force(&loaded).contains("what is right in it is in force"));
    let loaded = at_the_start(&[(MAIN, ""), (DEVICES, "[[device]\n")]);
    assert_eq!(device_names(&loaded), [""; 0]);
    assert!(in_force(&loaded).ends_with("its devices are guests"));
    // Mistakes elsewhere stop the start, as they always do.
    let loaded = at_the_start(&[(MAIN, "[sever]\n"), (DEVICES, "[[device]\n")]);
    assert!(loaded.config.is_none());
    assert!(loaded.diagnostics.iter().any(Diagnostic::is_error));
}

/// What a family's times mean, along `inherits`.
#[test]
fn times_are_inherited_by_schedule_and_by_subject() {
    let text = r#"
        [household]
        time-zone = "CET-1CEST,M3.5.0,M10.5.0/3"
        [schedule.bedtime]
        windows = ["20:30-06:30"]
        [schedule.homework]
        windows = ["mon-fri 14:00-16:00"]
        [profile.kids]
        inherits = "schoolchild"
        when-clock-unset = "open"
        [[profile.kids.during]]
        schedule = "bedtime"
        close = ["everything"]
        open = ["lullaby.example"]
        [[profile.kids.during]]
        schedule = "homework"
        only = ["wikipedia.org"]
        [[profile.kids.quota]]
        of = ["games", "roblox"]
        time = "2h"
        [[profile.kids.quota]]
        of = ["video"]
        time = "3h"
        per = "week"
        reset = "06:30"
        reset-day = "saturday"
        roll-over = "30m"
        linger = "5m"
        [profile.leo]
        inherits = "kids"
        [[profile.leo.during]]
        schedule = "homework"
        close = []
        [[profile.leo.during]]
        schedule = "bedtime"
        close = ["games"]
        [[profile.leo.quota]]
        of = ["roblox", "games"]
        time = "24h"
    "#;
    let files = MemoryFiles::new().files();
    let loaded = load_embedded(text, &files, &Overrides::default());
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let config = loaded.config.unwrap();
    assert_eq!(config.zone.name(), "CET-1CEST,M3.5.0,M10.5.0/3");
    assert_eq!(config.schedules[1].name, "homework");
    let profile = |name: &str| config.profiles.iter().find(|it| it.name == name).unwrap();
    let words = |subjects: &[Subject]| -> Vec<String> {
        subjects.iter().map(ToString::to_string).collect()
    };
    let kids = profile("kids");
    assert_eq!(kids.when_clock_unset, WhenClockUnset::Open);
    assert_eq!(kids.closings.len(), 2);
    assert_eq!(words(&kids.closings[0].open), ["lullaby.example"]);
    assert_eq!(kids.closings[1].schedule, 1);
    assert_eq!(kids.closings[1].close, [Subject::Everything]);
    assert_eq!(words(&kids.closings[1].open), ["wikipedia.org"]);
    assert_eq!(
        kids.quotas[0].of,
        [
            Subject::Category("games".into()),
            Subject::Service("roblox".into())
        ]
    );
    let quota = &kids.quotas[0];
    assert_eq!((quota.per, quota.reset), (Period::Day, 240));
    assert_eq!(quota.linger, Duration::from_mins(3));
    let quota = &kids.quotas[1];
    assert_eq!(quota.per, Period::Week(jiff::civil::Weekday::Saturday));
    assert_eq!((quota.reset, quota.time), (390, Duration::from_hours(3)));
    assert_eq!(quota.roll_over, Duration::from_mins(30));
    assert_eq!(quota.linger, Duration::from_mins(5));
    let leo = profile("leo");
    assert_eq!(leo.when_clock_unset, WhenClockUnset::Open);
    assert_eq!(leo.closings.len(), 1);
    assert_eq!(words(&leo.closings[0].close), ["games"]);
    assert!(leo.closings[0].open.is_empty());
    assert_eq!(leo.quotas.len(), 1);
    assert_eq!(words(&leo.quotas[0].of), ["video"]);
    assert_eq!(profile("adult").closings, []);
    assert_eq!(profile("adult").when_clock_unset, WhenClockUnset::Close);
}

/// "1 h a day and 5 h a week of games" are two quotas, however their subjects are ordered.
#[test]
fn a_day_and_a_week_of_the_same_are_two_quotas() {
    let text = r#"
        [household]
        time-zone = "UTC0"
        [profile.kids]
        inherits = "schoolchild"
        quota = [
            { of = ["roblox", "games"], time = "1h" },
            { of = ["games", "roblox"], time = "5h", per = "week" },
        ]
        [profile.leo]
        inherits = "kids"
        quota = [{ of = ["games", "roblox"], time = "6h", per = "week", reset-day = "sunday" }]
    "#;
    let files = MemoryFiles::new().files();
    let loaded = load_embedded(text, &files, &Overrides::default());
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let config = loaded.config.unwrap();
    let leo = config.profiles.iter().find(|it| it.name == "leo").unwrap();
    let shown: Vec<_> = leo.quotas.iter().map(|it| (it.label(), it.time)).collect();
    let hours = Duration::from_hours;
    assert_eq!(
        shown,
        [
            ("games, roblox".to_owned(), hours(1)),
            ("games, roblox per week".to_owned(), hours(6))
        ]
    );
    let twice = text.replace("per = \"week\" }", "reset = \"05:00\" }");
    let loaded = load_embedded(&twice, &files, &Overrides::default());
    let messages: Vec<_> = loaded.diagnostics.iter().map(|it| &it.message).collect();
    assert_eq!(messages, ["one profile has two quotas of the same"]);
}

/// A quota of very many names has a short name of its own, which fits wherever names are kept.
#[test]
fn the_name_of_a_quota_is_bounded() {
    let quota_of = |number: usize| {
        let of: Vec<String> = (0..number)
            .map(|number| format!("\"n{number}.{}.example\"", "x".repeat(60)))
            .collect();
        let text = format!(
            "[household]\ntime-zone = \"UTC0\"\n[profile.leo]\ninherits = \"schoolchild\"\n\
             quota = [{{ of = [{}], time = \"1h\", per = \"week\" }}]\n",
            of.join(", ")
        );
        let loaded = load_embedded(&text, &MemoryFiles::new().files(), &Overrides::default());
        let config = loaded.config.unwrap();
        let leo = config.profiles.iter().find(|it| it.name == "leo").unwrap();
        leo.quotas[0].label()
    };
    let labels: Vec<String> = [3, 90, 91].map(quota_of).to_vec();
    assert!(labels.iter().all(|it| it.len() <= 200), "{labels:?}");
    assert!(labels[1].contains(", 88 more (#"), "{labels:?}");
    assert_ne!(labels[1].replace("88", "89"), labels[2]);
}

#[test]
fn more_closings_and_quotas_than_can_be_told_apart_are_an_error() {
    let with = |number: usize| {
        let of: Vec<String> = (0..number)
            .map(|number| format!("{{ of = [\"n{number}.example\"], time = \"1h\" }}"))
            .collect();
        let text = format!(
            "[household]\ntime-zone = \"UTC0\"\n[profile.leo]\ninherits = \"schoolchild\"\n\
             quota = [{}]\n",
            of.join(", ")
        );
        load_embedded(&text, &MemoryFiles::new().files(), &Overrides::default())
    };
    assert!(with(64).config.is_some());
    let loaded = with(65);
    assert!(loaded.config.is_none());
    let messages: Vec<_> = loaded.diagnostics.iter().map(|it| &it.message).collect();
    assert_eq!(
        messages,
        ["more than 64 closings and quotas of one profile"]
    );
}
