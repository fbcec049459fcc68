//! The whole way, from sources to hits.

use std::cell::Cell;

use sha2::{Digest, Sha256};

use super::*;
use crate::files::MemoryFiles;
use crate::lists::ListId;
use crate::lists::guard::is_collapse;
use crate::name::Name;

fn spec(id: &str, source: ListSource) -> ListSpec {
    ListSpec {
        id: id.into(),
        category: "ads".into(),
        kind: ListKind::Block,
        tier: Tier::Lists,
        source,
        format: None,
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    }
}

fn lists_that_name(index: &Index, name: &str) -> Vec<&'static str> {
    let mut ids = Vec::new();
    index.look_up(Name::parse(name).unwrap().as_ref(), |hit| {
        ids.push(index.list(hit.list).id);
    });
    ids
}

#[test]
fn lists_come_from_everywhere_and_fail_one_by_one() {
    let memory = MemoryFiles::new();
    memory.put("/lists/good", "0.0.0.0 example.org\n");
    memory.put("/lists/page", "<html>");
    memory.put("/lists/bad", "no name\n".repeat(30));
    let file = |path: &str| ListSource::File(path.into());
    let specs = [
        spec("good", file("/lists/good")),
        spec("gone", file("/lists/gone")),
        spec("page", file("/lists/page")),
        spec("bad", file("/lists/bad")),
        spec(
            "own",
            ListSource::Inline(vec!["example.org".into(), "a.test".into()]),
        ),
        ListSpec {
            kind: ListKind::Lifeline,
            ..spec("lifelines", ListSource::Embedded("lifelines.txt"))
        },
        spec("lost", ListSource::Embedded("lost.txt")),
    ];
    let index = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    assert_eq!(lists_that_name(&index, "www.example.org"), ["good", "own"]);
    let failures: Vec<Option<&str>> = index
        .lists()
        .map(|(_, info)| info.failure.as_deref())
        .collect();
    assert_eq!(
        failures,
        [
            None,
            Some("/lists/gone: cannot open: entity not found"),
            Some("/lists/page: an HTML or XML page, not a list"),
            Some(
                "/lists/bad: 30 of 30 lines not understood as domains; \
                 a list that lost most of its lines is not used"
            ),
            None,
            None,
            Some("embedded lost.txt: no such list came with the program"),
        ]
    );
    let origins: Vec<&str> = index.lists().map(|(_, info)| &*info.origin).collect();
    assert_eq!(origins[0], "/lists/good");
    assert_eq!(
        origins[4..6],
        ["configuration", "embedded blocklists/lifelines.txt"]
    );
    let good = index.list(ListId(0));
    assert_eq!((good.entries, good.format), (1, Some(ListFormat::Hosts)));
    let bad = index.list(ListId(3));
    assert_eq!(
        (bad.entries, bad.bad_lines, bad.first_errors.len()),
        (0, 30, 20)
    );
}

#[test]
fn a_given_format_is_not_second_guessed() {
    let memory = MemoryFiles::new();
    memory.put("/lists/a", "*.example.org\n".repeat(3));
    let mut list = spec("a", ListSource::File("/lists/a".into()));
    list.format = Some(ListFormat::Domains);
    let index = compile_in_memory(&[list], &memory.files(), None, &|| false).unwrap();
    let info = index.list(ListId(0));
    assert_eq!(
        (info.bad_lines, info.format),
        (3, Some(ListFormat::Domains))
    );
}

#[test]
fn compiling_stops_where_it_is_told_to() {
    let memory = MemoryFiles::new();
    memory.put("/lists/a", "example.org\n".repeat(100_000));
    let specs = [spec("a", ListSource::File("/lists/a".into()))];
    for patience in [0, 1, 2, 10] {
        let asked = Cell::new(0);
        let cancelled = || asked.replace(asked.get() + 1) >= patience;
        let stopped = compile_in_memory(&specs, &memory.files(), None, &cancelled);
        assert!(matches!(stopped, Err(CompileError::Cancelled)));
        assert!(asked.get() <= patience + 3);
    }
}

#[test]
fn two_do_not_compile_to_the_same_folder_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::disk();
    let target = folder.path().join("lists.index");
    let compile_to = |line: &str| {
        let specs = [spec("a", ListSource::Inline(vec![line.to_owned()]))];
        let (quiet, never) = (&mut |_| {}, &|| false);
        let target = Target::File(&target);
        compile(
            &specs,
            &Settings::in_memory(),
            &files,
            None,
            quiet,
            never,
            target,
        )
    };
    compile_to("one.example").unwrap();
    let lock = files.lock(folder.path()).unwrap().unwrap();
    let busy = compile_to("two.example").unwrap_err();
    assert!(matches!(busy, CompileError::Busy), "{busy}");
    assert_eq!(
        busy.to_string(),
        "another process compiles the lists at this moment"
    );
    // Nothing is touched, nor left behind.
    let paths = std::fs::read_dir(folder.path()).unwrap();
    let paths: Vec<_> = paths.map(|it| it.unwrap().path()).collect();
    assert_eq!(paths, [&*target]);
    let index = Index::open(&files, &target).unwrap();
    assert_eq!(lists_that_name(&index, "one.example"), ["a"]);
    drop(lock);
    let done = compile_to("two.example").unwrap();
    let index = Index::open(&files, &target).unwrap();
    assert_eq!(lists_that_name(&index, "two.example"), ["a"]);
    assert_eq!(
        (&done.recipe, done.totals.bytes),
        (index.recipe(), index.file_bytes())
    );
}

#[test]
fn a_list_that_breaks_keeps_what_it_said_and_stops_no_other() {
    let memory = MemoryFiles::new();
    memory.put("/lists/a", "one.example\ntwo.example\n");
    memory.put("/lists/b", "three.example\n");
    let spec = |id: &str| ListSpec {
        id: id.to_owned(),
        category: "adult".to_owned(),
        kind: ListKind::Block,
        tier: Tier::ChildSafety,
        source: ListSource::File(format!("/lists/{id}").into()),
        format: None,
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    };
    let first =
        compile_in_memory(&[spec("a"), spec("b")], &memory.files(), None, &|| false).unwrap();
    memory.remove(Path::new("/lists/a"));
    memory.put("/lists/b", "four.example\n");
    memory.put("/lists/c", "five.example\n");
    let specs = [spec("c"), spec("b"), spec("a")];
    let second = compile_in_memory(&specs, &memory.files(), Some(&first), &|| false).unwrap();
    let names = |index: &Index| {
        let mut found: Vec<String> = Vec::new();
        for name in ["one", "two", "three", "four", "five"] {
            let name = Name::parse(&format!("{name}.example")).unwrap();
            index.look_up(name.as_ref(), |hit| {
                found.push(format!("{} {}", name, index.list(hit.list).id));
            });
        }
        found
    };
    assert_eq!(
        names(&second),
        [
            "one.example a",
            "two.example a",
            "four.example b",
            "five.example c"
        ]
    );
    let kept = second.list(second.find("a").unwrap());
    assert_eq!((kept.entries, kept.failure.as_deref()), (2, None));
    assert!(
        kept.stale
            .as_deref()
            .is_some_and(|why| why.starts_with("/lists/a: cannot open"))
    );
    // It stays so at the next reload, and is read again once it is back.
    let third = compile_in_memory(&specs, &memory.files(), Some(&second), &|| false).unwrap();
    assert_eq!(names(&third), names(&second));
    memory.put("/lists/a", "six.example\n");
    let fourth = compile_in_memory(&specs, &memory.files(), Some(&third), &|| false).unwrap();
    assert_eq!(fourth.list(fourth.find("a").unwrap()).stale, None);
    assert_eq!(names(&fourth), ["four.example b", "five.example c"]);
}

#[test]
fn a_list_that_collapses_or_bursts_is_not_believed() {
    for (then, now, broken) in [
        (5_000, 1, true),
        (5_000, 0, true),
        (5_000, 600, false),
        (5_000, 60_000, true),
        (5_000, 40_000, false),
        (50, 0, false),
        (50, 5_000, false),
    ] {
        assert_eq!(is_collapse(then, now), broken, "{then} {now}");
    }
    let memory = MemoryFiles::new();
    let many: String = (0..500)
        .map(|number| format!("n{number}.example\n"))
        .collect();
    memory.put("/l", many);
    let spec = ListSpec {
        id: "l".to_owned(),
        category: "adult".to_owned(),
        kind: ListKind::Block,
        tier: Tier::ChildSafety,
        source: ListSource::File("/l".into()),
        format: None,
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    };
    let specs = [spec];
    let first = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    memory.put("/l", "n1.example\n");
    let second = compile_in_memory(&specs, &memory.files(), Some(&first), &|| false).unwrap();
    assert_eq!(second.name_count(), 500);
    let stale = second.list(ListId(0)).stale.clone().unwrap();
    assert_eq!(
        stale,
        "/l: 1 entries after 500; that looks cut off or wrong; `hedgerow lists update --force l` \
         takes it all the same"
    );
}

/// Compiles with little memory, so that the names go through several working files; gives the
/// octets of the index and the number of working files' folder.
fn small(specs: &[ListSpec], memory: usize, files: &MemoryFilesHandle) -> Vec<u8> {
    let settings = Settings {
        memory,
        folder: Some("/work".into()),
        accept: Vec::new(),
    };
    let outcome = compile(
        specs,
        &settings,
        &files.files(),
        None,
        &mut |_| {},
        &|| false,
        Target::Memory,
    );
    outcome.unwrap().bytes.unwrap()
}

type MemoryFilesHandle = std::sync::Arc<MemoryFiles>;

/// Two lists with some thousand names, many of them twice, in no order, and with parents.
fn many_names(memory: &MemoryFiles, lines: u32) -> [ListSpec; 2] {
    let mut state = 7_u32;
    let mut number = |limit: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16 & 0xffff & (limit - 1)
    };
    for list in ["/lists/a", "/lists/b"] {
        let lines: String = (0..lines)
            .map(|_| {
                let name = format!("n{}.example", number(2048));
                match number(4) {
                    0 => format!("www.{name}\n"),
                    1 => format!("a.b.{name}\n"),
                    _ => format!("{name}\n"),
                }
            })
            .collect();
        memory.put(list, lines);
    }
    ["a", "b"].map(|id| spec(id, ListSource::File(format!("/lists/{id}").into())))
}

#[test]
fn the_same_lists_give_the_same_octets_whatever_the_memory() {
    let memory = MemoryFiles::new();
    let specs = many_names(&memory, 1500);
    let expected = compile(
        &specs,
        &Settings::in_memory(),
        &memory.files(),
        None,
        &mut |_| {},
        &|| false,
        Target::Memory,
    )
    .unwrap();
    assert!(expected.folded > 100, "{expected:?}");
    assert!(expected.mentioned > expected.totals.names);
    let expected = expected.bytes.unwrap();
    for octets in [0, 20_000, 60_000, 24 << 20] {
        assert!(small(&specs, octets, &memory) == expected, "{octets}");
    }
}

#[test]
fn a_disk_that_fills_up_leaves_the_old_index_and_nothing_else() {
    let memory = MemoryFiles::new();
    let specs = many_names(&memory, 250);
    let settings = Settings {
        memory: 20_000,
        folder: Some("/state".into()),
        accept: Vec::new(),
    };
    let path = Path::new("/state/lists.index");
    memory.put(path, "the old index");
    let before = memory.paths();
    let run = || {
        compile(
            &specs,
            &settings,
            &memory.files(),
            None,
            &mut |_| {},
            &|| false,
            Target::File(path),
        )
    };
    let mut failures = 0;
    loop {
        memory.fail_after(failures, io::ErrorKind::StorageFull);
        let result = run();
        memory.recover();
        assert_eq!(memory.paths(), before);
        match result {
            Ok(outcome) if outcome.lists.iter().all(|list| list.failure.is_none()) => break,
            // The sources could not be opened, which is the lists' failure and not ours.
            Ok(_) => memory.put(path, "the old index"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("/state"), "{text}");
                let old = memory.files().read(path, 100).unwrap();
                assert_eq!(old, b"the old index", "{failures}: {text}");
            }
        }
        failures += 1;
    }
    assert!(failures > 20, "{failures}");
    let index = Index::open(&memory.files(), path).unwrap();
    assert!(index.name_count() > 200);
}

#[test]
fn a_public_suffix_is_not_taken_at_its_word() {
    let memory = MemoryFiles::new();
    let lines = "||co.uk^\n||github.io^\n|com.au^\n||*.github.io^\n||example.co.uk^\n\
                 @@||blogspot.com^";
    memory.put("/l", lines);
    let mut list = spec("l", ListSource::File("/l".into()));
    list.format = Some(ListFormat::Adblock);
    let specs = [list];
    let index = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    let told = |index: &Index, name: &str| lists_that_name(index, name).len();
    assert_eq!(told(&index, "shop.co.uk"), 0);
    assert_eq!(told(&index, "www.example.co.uk"), 1);
    assert_eq!(told(&index, "com.au"), 1);
    assert_eq!(told(&index, "somebody.github.io"), 0);
    let info = index.list(ListId(0));
    let texts = |notes: &[crate::lists::LineNote]| -> Vec<String> {
        notes.iter().map(ToString::to_string).collect()
    };
    let whole = cfg!(feature = "public-suffixes");
    if whole {
        assert_eq!(told(&index, "github.io"), 1);
        assert_eq!(
            (info.entries, info.bad_lines, info.flagged_lines),
            (4, 2, 2)
        );
        assert_eq!(
            texts(&info.first_errors),
            [
                "line 1: `co.uk` is a public suffix; a list cannot name all of it",
                "line 4: `github.io` is a public suffix; a list cannot name all of it",
            ]
        );
        assert_eq!(
            texts(&info.first_flags),
            [
                "line 2: `github.io` is a public suffix; the name alone is listed",
                "line 6: `blogspot.com` is a public suffix; the name alone is excepted",
            ]
        );
    }
    let trusted = specs.map(|spec| ListSpec {
        public_suffixes: true,
        // Below both there is what a list of somebody else may not take.
        source: ListSource::Inline(vec![lines.to_owned()]),
        ..spec
    });
    let index = compile_in_memory(&trusted, &memory.files(), None, &|| false).unwrap();
    let info = index.list(ListId(0));
    assert_eq!(
        (info.entries, info.bad_lines, info.flagged_lines),
        (6, 0, 0)
    );
    assert_eq!(told(&index, "shop.co.uk"), 1);
    // The second line covers the fourth.
    assert_eq!(told(&index, "somebody.github.io"), 1);
}

#[test]
fn what_is_protected_is_left_out_of_lists_and_not_of_the_households_lines() {
    let memory = MemoryFiles::new();
    let lines = "||msftconnecttest.com^\n||ads.example^\n||lists.example^\n||a.lists.example^\n\
                 /^www\\.msftconnect/\n||www.samaritans.org^$denyallow=x.www.samaritans.org\n";
    memory.put("/l", lines);
    let mut list = spec("l", ListSource::File("/l".into()));
    list.format = Some(ListFormat::Adblock);
    let own = ListSpec {
        id: "own".into(),
        source: ListSource::Inline(vec!["||www.msftconnecttest.com^".into()]),
        ..list.clone()
    };
    let allow = ListSpec {
        id: "allow".into(),
        kind: ListKind::Allow,
        ..list.clone()
    };
    let fetched = ListSpec {
        id: "fetched".into(),
        source: ListSource::Inline(vec!["other.example".into()]),
        urls: vec!["https://lists.example/other.txt".into()],
        ..list.clone()
    };
    let specs = [list, own, allow, fetched];
    let index = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    for (name, expected) in [
        ("www.msftconnecttest.com", &["own", "allow", "allow"][..]),
        ("x.msftconnecttest.com", &["allow"]),
        ("lists.example", &["allow"]),
        ("a.lists.example", &["l", "allow", "allow"]),
        ("www.samaritans.org", &["allow"]),
        ("ads.example", &["l", "allow"]),
    ] {
        let mut named = lists_that_name(&index, name);
        named.sort_by_key(|id| ["l", "own", "allow"].iter().position(|known| known == id));
        assert_eq!(named, expected, "{name}");
    }
    let info = index.list(ListId(0));
    assert_eq!(
        (info.entries, info.bad_lines, info.flagged_lines),
        (2, 0, 4)
    );
    let told: Vec<String> = info.first_flags.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 1: `||msftconnecttest.com^` would take the protected name \
             `www.msftconnecttest.com`",
            "line 3: `||lists.example^` would take the protected name `lists.example`",
            "line 5: `/^www\\.msftconnect/` would take the protected name \
             `www.msftconnecttest.com`",
            "line 6: `||www.samaritans.org^$denyallow=x.www.samaritans.org` would take the \
             protected name `samaritans.org`",
        ]
    );
    let report = verify(&specs, &[], &memory.files(), &index, &mut |_| {});
    assert_eq!((report.differences, &report.first), (0, &Vec::new()));
    assert_eq!(report.left_out, 4);
    let only = verify(&specs, &["l".into()], &memory.files(), &index, &mut |_| {});
    assert_eq!((only.differences, only.left_out, only.replayed), (0, 4, 2));
}

#[test]
fn a_list_of_protected_names_alone_is_none() {
    let memory = MemoryFiles::new();
    memory.put("/l", "samaritans.org\nwww.samaritans.org\n");
    let specs = [spec("l", ListSource::File("/l".into()))];
    let index = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    assert_eq!(
        index.list(ListId(0)).failure.as_deref(),
        Some(
            "/l: none of its 2 entries can be used; line 1: `||samaritans.org^` would take the \
             protected name `samaritans.org`"
        )
    );
}

#[test]
fn of_a_sealed_list_no_line_is_repeated() {
    let memory = MemoryFiles::new();
    let lines = "secret.example\nsecret..example\nco.uk\ngithub.io\n".repeat(3);
    memory.put("/l", lines);
    let mut list = spec("l", ListSource::File("/l".into()));
    list.kind = ListKind::Sealed;
    let index = compile_in_memory(&[list], &memory.files(), None, &|| false).unwrap();
    let info = index.list(ListId(0));
    assert!(info.bad_lines >= 6, "{info:?}");
    for note in info.first_errors.iter().chain(&info.first_flags) {
        assert!(
            note.text.starts_with("a line that cannot be used"),
            "{note}"
        );
    }
}

#[test]
fn a_copy_that_was_cut_off_is_not_taken() {
    let memory = MemoryFiles::new();
    let whole = "one.example\ntwo.example\nthree.example\n";
    let mut list = spec("a", ListSource::File("/a".into()));
    list.sha256 = Some(Sha256::digest(whole).into());
    let specs = [list];
    let run = |content: &str, before: Option<&Index>| {
        memory.put("/a", content);
        compile_in_memory(&specs, &memory.files(), before, &|| false).unwrap()
    };
    let first = run(whole, None);
    assert_eq!(first.list(ListId(0)).failure, None);
    assert_eq!(first.name_count(), 3);
    // Where a line ends nobody can see that something is missing.
    let cut = "one.example\ntwo.example\n";
    let why = "/a: cut off or changed since it was downloaded";
    let second = run(cut, Some(&first));
    assert_eq!(second.list(ListId(0)).stale.as_deref(), Some(why));
    assert_eq!(lists_that_name(&second, "three.example"), ["a"]);
    for content in [cut, "", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"] {
        let alone = run(content, None);
        assert_eq!(alone.list(ListId(0)).failure.as_deref(), Some(why));
        assert_eq!(alone.name_count(), 0);
    }
    let third = run(whole, Some(&second));
    assert_eq!(third.list(ListId(0)).stale, None);
}

#[test]
fn comparing_patterns_with_what_is_protected_stops_where_it_is_told_to() {
    let memory = MemoryFiles::new();
    memory.put("/ads", many_patterns("j", 60));
    let mut list = spec("ads", ListSource::File("/ads".into()));
    list.format = Some(ListFormat::Adblock);
    let specs = [list];
    let asked = Cell::new(0);
    let count = || {
        asked.set(asked.get() + 1);
        false
    };
    let first = compile_in_memory(&specs, &memory.files(), None, &count).unwrap();
    assert!(asked.get() > 60, "{}", asked.get());
    // The same of what a list said before.
    memory.remove(Path::new("/ads"));
    asked.set(0);
    compile_in_memory(&specs, &memory.files(), Some(&first), &count).unwrap();
    assert!(asked.get() > 60, "{}", asked.get());
    let asked = Cell::new(0);
    let cancelled = || asked.replace(asked.get() + 1) >= 20;
    let stopped = compile_in_memory(&specs, &memory.files(), Some(&first), &cancelled);
    assert!(matches!(stopped, Err(CompileError::Cancelled)));
}

#[test]
fn the_hash_is_that_of_the_file() {
    let memory = MemoryFiles::new();
    memory.put("/l", "example.org\n");
    let specs = [
        spec("l", ListSource::File("/l".into())),
        spec("none", ListSource::File("/none".into())),
    ];
    let index = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    let hash = |id| index.list(ListId(id)).sha256.map(|hash| hash[..4].to_vec());
    // printf 'example.org\n' | sha256sum
    assert_eq!(hash(0), Some(vec![0x04, 0xe5, 0x12, 0x87]));
    assert_eq!(hash(1), None);
}

#[test]
fn the_recipe_changes_with_what_goes_in() {
    let memory = MemoryFiles::new();
    memory.put("/a", "example.org\n");
    let base = spec("a", ListSource::File("/a".into()));
    let of = |spec: &ListSpec| recipe(std::slice::from_ref(spec), &memory.files());
    let first = of(&base);
    assert_eq!(first, of(&base));
    let mut seen = vec![first];
    let mut differs = |spec: ListSpec| {
        let recipe = of(&spec);
        assert!(!seen.contains(&recipe), "{spec:?}");
        seen.push(recipe);
    };
    let change = |change: fn(&mut ListSpec)| {
        let mut spec = base.clone();
        change(&mut spec);
        spec
    };
    differs(change(|it| it.id = "b".into()));
    differs(change(|it| it.category = "b".into()));
    differs(change(|it| it.kind = ListKind::Allow));
    differs(change(|it| it.tier = Tier::Security));
    differs(change(|it| it.format = Some(ListFormat::Hosts)));
    differs(change(|it| it.public_suffixes = true));
    differs(change(|it| it.sha256 = Some([7; 32])));
    differs(change(|it| it.source = ListSource::File("/b".into())));
    // Another name is protected.
    differs(change(|it| {
        it.urls = vec!["https://lists.example/a".into()]
    }));
    differs(change(|it| it.source = ListSource::Embedded("ads.txt")));
    differs(change(|it| {
        it.source = ListSource::Inline(vec!["a".into(), "b".into()])
    }));
    differs(change(|it| {
        it.source = ListSource::Inline(vec!["ab".into()])
    }));
    memory.put("/a", "example.net\n");
    differs(base.clone());
}

#[test]
fn a_list_that_breaks_keeps_its_patterns_addresses_and_fingerprints() {
    use crate::lists::sealed::{Day, Edition, KeyDelivery, SealKey, SealKeys, Sealed, seal};
    let memory = MemoryFiles::new();
    memory.put(
        "/a",
        "||example.org^$dnstype=A\n/^ads[0-9]+\\./$important\n",
    );
    memory.put(
        "/b",
        "www.example.net CNAME .\n24.0.2.0.192.rpz-ip CNAME .\n",
    );
    let key = SealKey::new([7; 16]);
    let edition = Edition {
        title: "Hosts".into(),
        issuer: "hotline.example".into(),
        serial: 1,
        date: Day(20_000),
        expires: Some(Day(20_100)),
    };
    let names: Vec<Name> = (0..9000)
        .map(|number| Name::parse(&format!("n{number}.example")).unwrap())
        .collect();
    let feed = seal(
        names.iter().map(Name::as_ref),
        &key,
        KeyDelivery::InFeed,
        &edition,
    );
    memory.put("/c", feed.unwrap());
    let mut specs = ["a", "b", "c"].map(|id| spec(id, ListSource::File(format!("/{id}").into())));
    specs[0].format = Some(ListFormat::Adblock);
    specs[1].format = Some(ListFormat::Rpz);
    specs[2].kind = ListKind::Sealed;
    let settings = Settings::in_folder("/work");
    let run = |before: Option<&Index>| {
        let (quiet, never) = (&mut |_| {}, &|| false);
        let target = Target::Memory;
        let outcome = compile(
            &specs,
            &settings,
            &memory.files(),
            before,
            quiet,
            never,
            target,
        );
        Index::from_bytes(outcome.unwrap().bytes.unwrap()).unwrap()
    };
    let first = run(None);
    for (_, info) in first.lists() {
        assert_eq!((&info.failure, info.bad_lines), (&None, 0), "{info}");
    }
    let report = verify(&specs, &[], &memory.files(), &first, &mut |_| {});
    assert_eq!((report.differences, &report.first), (0, &Vec::new()));
    assert_eq!(report.replayed, 4 + 9000);

    for id in ["/a", "/b", "/c"] {
        memory.remove(Path::new(id));
    }
    let second = run(Some(&first));
    for (_, info) in second.lists() {
        assert!(info.stale.is_some(), "{info}");
    }
    assert!(!first.patterns_section().is_empty() && !first.addresses_section().is_empty());
    assert_eq!(second.patterns_section(), first.patterns_section());
    assert_eq!(second.addresses_section(), first.addresses_section());
    assert_eq!(second.sealed_section(), first.sealed_section());
    assert_eq!(second.name_count(), 2);
    let mut sealed = Sealed::open(second.sealed_section()).unwrap();
    let mut keys = SealKeys::new();
    keys.add(key);
    assert!(sealed.unlock(&keys).is_empty());
    for (name, expected) in [("www.n17.example", 1), ("n9000.example", 0)] {
        let mut hits = 0;
        let name = Name::parse(name).unwrap();
        sealed.look_up(second.sealed_section(), name.as_ref(), |_| hits += 1);
        assert_eq!(hits, expected, "{name}");
    }
}

#[test]
fn working_files_are_given_back_on_the_way_and_nothing_of_them_is_missed() {
    let memory = MemoryFiles::new();
    let lines = |list: u32| {
        let names = (0..30_000_u32).map(move |n| n.wrapping_mul(2_654_435_761 + list) % 1_000_000);
        names.map(|n| format!("n{n}.of{}.example\n", n % 97))
    };
    // More sets than get a number, so that names are read twice.
    let rare =
        (0..9_000).map(|n| format!("||r{n}.example^$dnsrewrite=192.0.{}.{}\n", n >> 8, n & 255));
    memory.put("/a", lines(0).collect::<String>());
    memory.put("/b", lines(1).chain(rare).collect::<String>());
    let mut specs = ["a", "b"].map(|id| spec(id, ListSource::File(format!("/{id}").into())));
    specs[1].format = Some(ListFormat::Adblock);
    let run = |settings: &Settings| {
        let (quiet, never) = (&mut |_| {}, &|| false);
        let target = Target::Memory;
        let files = memory.files();
        let outcome = compile(&specs, settings, &files, None, quiet, never, target).unwrap();
        assert!(outcome.totals.names > 40_000, "{:?}", outcome.totals);
        assert!(outcome.totals.sets < 9_000, "{:?}", outcome.totals);
        outcome.bytes.unwrap()
    };
    let at_once = run(&Settings::in_memory());
    assert_eq!(memory.forgotten(), 0);
    let little = Settings {
        memory: 1 << 19,
        ..Settings::in_folder("/work")
    };
    assert!(run(&little) == at_once);
    // Each name stood in a run and in the writer's file.
    assert!(memory.forgotten() > 1_000_000, "{}", memory.forgotten());
}

/// `count` patterns of a list, each of another text.
fn many_patterns(list: &str, count: u32) -> String {
    // What is rare stands in another place of each, or they would be looked for alike.
    let text = |number: u32| format!("/{list}{:05}x/\n", number * 7919 % 100_000);
    (0..count).map(text).collect()
}

#[test]
fn a_long_list_of_patterns_leaves_room_for_a_short_one_behind_it() {
    let memory = MemoryFiles::new();
    memory.put("/ads", many_patterns("j", 2100));
    memory.put("/safety", many_patterns("k", 40));
    let mut specs = ["ads", "safety"].map(|id| {
        let mut spec = spec(id, ListSource::File(format!("/{id}").into()));
        spec.format = Some(ListFormat::Adblock);
        spec
    });
    let first = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    let counts = |index: &Index| {
        let of =
            |(_, info): (ListId, &ListInfo)| (info.entries, info.bad_lines, info.flagged_lines);
        index.lists().map(of).collect::<Vec<_>>()
    };
    assert_eq!(counts(&first), [(1960, 0, 140), (40, 0, 0)]);
    let flags = &first.list(ListId(0)).first_flags;
    assert_eq!(flags.len(), 20);
    assert_eq!(
        flags[0].to_string(),
        "line 1961: more than 2000 patterns in all lists"
    );
    let report = verify(&specs, &[], &memory.files(), &first, &mut |_| {});
    assert_eq!((report.differences, &report.first), (0, &Vec::new()));
    assert_eq!((report.replayed, report.left_out), (2140, 140));
    // One that cannot be read any more has to share what it said, and that is told.
    memory.remove(Path::new("/ads"));
    memory.put("/more", many_patterns("q", 100));
    specs[1].id = "more".into();
    specs[1].source = ListSource::File("/more".into());
    let second = compile_in_memory(&specs, &memory.files(), Some(&first), &|| false).unwrap();
    assert_eq!(counts(&second), [(1900, 0, 200), (100, 0, 0)]);
    assert!(second.list(ListId(0)).stale.is_some());
}

#[test]
fn patterns_of_the_household_and_for_children_come_before_those_against_ads() {
    let memory = MemoryFiles::new();
    memory.put("/ads", many_patterns("j", 2100));
    memory.put("/adult", many_patterns("k", 700));
    let own = many_patterns("q", 800);
    let own = own.lines().map(str::to_owned).collect();
    let mut specs = [
        spec("ads", ListSource::File("/ads".into())),
        spec("own", ListSource::Inline(own)),
        spec("adult", ListSource::File("/adult".into())),
    ];
    specs[2].tier = Tier::ChildSafety;
    for spec in &mut specs {
        spec.format = Some(ListFormat::Adblock);
    }
    let index = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    let entries = |id: &str| index.list(index.find(id).unwrap()).entries;
    assert_eq!(["ads", "own", "adult"].map(entries), [500, 800, 700]);
}

#[test]
fn more_than_a_name_can_hold_is_told() {
    let memory = MemoryFiles::new();
    let lines: String = (0..300)
        .map(|number| format!("||example.org^$client=192.0.2.{}\n", number % 256))
        .chain((0..44).map(|number| format!("||example.org^$client=198.51.100.{number}\n")))
        .collect();
    memory.put("/l", lines + "||example.net^\n");
    let mut list = spec("l", ListSource::File("/l".into()));
    list.format = Some(ListFormat::Adblock);
    let specs = [list];
    let index = compile_in_memory(&specs, &memory.files(), None, &|| false).unwrap();
    assert_eq!(lists_that_name(&index, "example.org").len(), 256);
    let info = index.list(ListId(0));
    assert_eq!((info.entries, info.flagged_lines), (345 - 44, 44));
    assert_eq!(
        info.first_flags[0].to_string(),
        "`example.org`: 256 lines of a list about one name are the most"
    );
    let report = verify(&specs, &[], &memory.files(), &index, &mut |_| {});
    assert_eq!((report.differences, &report.first), (0, &Vec::new()));
    assert_eq!(report.left_out, 44);
}
