//! Compile, look, compare, search, export.

use crate::household::Household;

/// Lists in three syntaxes, with lines of every kind.
const CONFIG: &str = "
[[list]]
id = \"games\"
category = \"games\"
file = \"games.txt\"

[[list]]
id = \"trackers\"
category = \"trackers\"
file = \"trackers.hosts\"

[[list]]
id = \"homework\"
category = \"homework\"
kind = \"allow\"
lines = [\"school.example\"]

[[list]]
id = \"order\"
kind = \"sealed\"
lines = [\"sealed.example\"]

[profile.mia]
inherits = \"schoolchild\"
block = [\"games\"]
allow-lists = [\"homework\"]
";

const GAMES: &str = "\
! Title: Games of the day
||example.org^
||deep.example.org^
@@||www.example.org^
|exact.example^
||*.below.example^
||six.example^$dnstype=AAAA
||strong.example^$important
||gone.example^
||gone.example^$badfilter
||ads*.wild.example^
/^track[0-9]+[.]/
||co.uk^
||blogspot.com^
no list at all
";

fn household() -> Household {
    let here = Household::new(CONFIG);
    here.write("games.txt", GAMES);
    here.write(
        "trackers.hosts",
        "0.0.0.0 tracker.example\n0.0.0.0 example.org\n",
    );
    here
}

#[test]
fn what_is_compiled_is_shown_compared_and_found() {
    let here = household();
    let compiled = here.lists("compile --json").json(0);
    assert_eq!(compiled["lists"][1]["title"], "Games of the day");
    let index = std::fs::metadata(here.path("state/lists.index")).unwrap();
    assert_eq!(compiled["bytes"], index.len());
    // The line that a parent covers is folded away.
    assert_eq!(compiled["folded"], 1);

    let shown = here.lists("show --json").json(0);
    let games = &shown.as_array().unwrap()[1];
    assert_eq!(games["id"], "games");
    assert_eq!(
        (&games["bad_lines"], &games["flagged_lines"]),
        (&2.into(), &1.into())
    );
    assert_eq!(games["first_errors"][0]["line"], 13);
    assert_eq!(games["first_flags"][0]["line"], 14);
    let one = here.lists("show games").fine();
    assert!(one.contains("\nflagged lines  1\n"), "{one}");
    assert!(
        one.contains("games.txt:13: `co.uk` is a public suffix"),
        "{one}"
    );

    let verified = here.lists("verify --json").json(0);
    assert_eq!(verified["differences"], 0);
    assert_eq!(verified["skipped"].as_array().unwrap().len(), 0);
    assert!(verified["replayed"].as_u64().unwrap() > 10);
    let told = here.lists("verify trackers").fine();
    assert!(told.starts_with("1 list, 2 of their lines and "), "{told}");
    assert!(told.ends_with(": 0 differences\n"), "{told}");
}

#[test]
fn an_index_that_says_something_else_is_found_out() {
    let here = household();
    here.lists("compile").fine();
    // Lists whose ids and files are exchanged: the index says of each what the other says.
    let swapped = CONFIG
        .replace("games.txt", "x")
        .replace("trackers.hosts", "games.txt")
        .replace("\"x\"", "\"trackers.hosts\"");
    here.configure(&swapped);
    let verified = here.lists("verify games trackers --json");
    let verified = verified.json(0);
    // A source that changed since is not compared, and that is said.
    assert_eq!(verified["skipped"].as_array().unwrap().len(), 2);
}

#[test]
fn a_search_says_who_names_it() {
    let here = household();
    here.lists("compile").fine();
    let found = here.lists("search a.www.example.org --json").json(0);
    let lines: Vec<_> = found["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            format!(
                "{}:{} {} {} {}",
                line["list"].as_str().unwrap(),
                line["line"],
                line["effect"].as_str().unwrap(),
                line["rule"].as_str().unwrap(),
                line["profiles"].as_array().unwrap().len()
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "games:2 block ||example.org^ 1",
            "games:4 exception @@||www.example.org^ 1",
            "trackers:2 block ||example.org^ 4",
        ]
    );
    assert_eq!(found["notes"], serde_json::json!([]));
    for (name, told) in [
        ("track7.example", "`/^track[0-9]+[.]/`"),
        ("ads-x.wild.example", "`||ads*.wild.example^`"),
        ("gone.example", "taken out by `badfilter`"),
        ("foo.co.uk", "a public suffix"),
        (
            "sealed.example",
            "block      a sealed list, for everybody\n",
        ),
        (
            "Nothing.Example",
            "no list names nothing.example or a parent of it\n",
        ),
    ] {
        let done = here.lists(&format!("search {name}"));
        assert!(done.out.contains(told), "{name}: {done:?}");
        assert!(!done.out.contains("order"), "{name}: {done:?}");
    }
}

/// What an export says is what the index says: compiled again it gives the same answers.
#[test]
fn an_export_compiles_to_the_same_decisions() {
    let here = household();
    here.lists("compile").fine();
    let names = [
        "example.org",
        "x.deep.example.org",
        "www.example.org",
        "a.www.example.org",
        "exact.example",
        "a.exact.example",
        "below.example",
        "a.below.example",
        "six.example",
        "strong.example",
        "gone.example",
        "ads1.wild.example",
        "track1.example",
        "blogspot.com",
        "a.blogspot.com",
        "co.uk",
    ];
    // What is said of each name, but for the line and what the line's file is called.
    let said = |here: &Household| {
        names.map(|name| {
            let found = here.lists(&format!("search {name} --json")).json(0);
            let lines = found["found"].as_array().unwrap().iter();
            let counts = lines.filter(|line| line["list"] == "games" && line["effect"] != "none");
            let mut effects: Vec<_> = counts.map(|line| line["effect"].to_string()).collect();
            effects.sort();
            effects.dedup();
            (name, effects)
        })
    };
    let before = said(&here);
    let adblock = here.lists("export games").fine();
    here.write("games.txt", &adblock);
    here.lists("compile").fine();
    assert_eq!(said(&here), before);
    assert_eq!(here.lists("verify games --json").json(0)["differences"], 0);
    // And the export of what was exported is the same.
    assert_eq!(here.lists("export games").fine(), adblock);
}

#[test]
fn every_syntax_is_read_back_as_it_was_written() {
    let here = Household::new("[[list]]\nid = \"l\"\ncategory = \"ads\"\nfile = \"l.txt\"\n");
    let names = [
        "example.org",
        "a.b.example.net",
        "xn--bcher-kva.example",
        "a_b.test",
    ];
    let mut exports = 0;
    for format in ["domains", "hosts", "adblock", "dnsmasq", "unbound", "rpz"] {
        here.write("l.txt", names.join("\n"));
        here.lists("compile").fine();
        let text = here.lists(&format!("export l --format {format}")).fine();
        let domains = here.lists("export l --format domains").fine();
        here.write("l.txt", &text);
        here.lists("compile").fine();
        let shown = here.lists("show l --json").json(0);
        assert_eq!(shown["format"], format, "{text}");
        assert_eq!(shown["bad_lines"], 0, "{text}");
        for name in names {
            let found = here.lists(&format!("search www.{name} --json")).json(0);
            assert!(
                !found["found"].as_array().unwrap().is_empty(),
                "{format} {name}"
            );
        }
        if format != "rpz" {
            let again = here.lists("export l --format domains").fine();
            assert_eq!(again, domains, "{format}");
        }
        exports += 1;
    }
    assert_eq!(exports, 6);
}

#[test]
fn blocklists_are_exported_as_one_and_what_is_sealed_never() {
    let here = household();
    here.lists("compile").fine();
    let done = here.lists("export");
    assert!(
        done.err.starts_with("note: 1 entry left out: exceptions"),
        "{done:?}"
    );
    let text = done.fine();
    assert_eq!(text.matches("||example.org^\n").count(), 1, "{text}");
    assert!(text.contains("||tracker.example^\n"), "{text}");
    assert!(
        !text.contains("@@") && !text.contains("school") && !text.contains("sealed"),
        "{text}"
    );
    let hosts = here.lists("export games --format hosts");
    assert!(
        hosts.err.contains("left out that hosts cannot say"),
        "{hosts:?}"
    );
    assert_eq!(hosts.fine(), "0.0.0.0 example.org\n");
    let refused = here.lists("export order");
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        "error: list `order` is sealed\nhelp: the names of a sealed list are shown nowhere\n"
    );
    let lines = here.lists("export games --json").fine();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(first["rule"].is_string());
}

#[test]
fn the_index_is_the_same_however_much_memory_there_is() {
    let here = household();
    let many: String = (0..20_000)
        .map(|n| format!("||n{n}.many.example^\n"))
        .collect();
    here.write("games.txt", many);
    here.lists("compile --memory 8MiB --out small").fine();
    here.lists("compile --memory 64MiB --out large").fine();
    let read = |name: &str| std::fs::read(here.path(name)).unwrap();
    assert_eq!(read("small"), read("large"));
    assert_eq!(here.files("state"), Vec::<String>::new());
}

#[test]
fn names_are_sealed_and_found_by_nobody_who_reads() {
    let here =
        Household::new("[[list]]\nid = \"hotline\"\nformat = \"sealed\"\nfile = \"feed.txt\"\n");
    here.write("key", "00112233445566778899aabbccddeeff\n");
    let done = here.run(
        "lists seal --key key --with-key --title Hotline --issuer Test --serial 1 --out feed.txt",
        "# comment\nsecret.example\n\nother.example\n",
    );
    assert_eq!((done.code, &*done.out, &*done.err), (0, "", ""));
    assert!(!here.read("feed.txt").contains("secret"));
    here.lists("compile").fine();
    let shown = here.lists("show hotline --json").json(0);
    assert_eq!(shown["entries"], 2);
    let index = std::fs::read(here.path("state/lists.index")).unwrap();
    let holds = |text: &[u8]| index.windows(text.len()).any(|part| part == text);
    assert!(!holds(b"secret") && !holds(&[0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]));
    // Who has no key finds nothing, and says why.
    let found = here.lists("search secret.example --json").json(0);
    assert_eq!(found["found"].as_array().unwrap().len(), 0);
    let note = "sealed lists were not asked: only the daemon has their keys";
    assert_eq!(found["notes"], serde_json::json!([note]));
    let done = here.lists("search secret.example");
    assert!(
        done.out.starts_with("no list names secret.example"),
        "{done:?}"
    );
    assert!(done.err.contains(note), "{done:?}");
}

#[test]
fn a_list_may_be_called_like_a_service() {
    let here = Household::new("");
    // Services come with the starter lists.
    let config = "[profile.ours]\ninherits = \"adult\"\nblock-lists = [\"youtube\"]\n\
                  [profile.theirs]\ninherits = \"adult\"\nblock = [\"youtube\"]\n\
                  [[device]]\nname = \"one\"\nprofile = \"ours\"\naddress = [\"192.0.2.1\"]\n\
                  [[device]]\nname = \"two\"\nprofile = \"theirs\"\naddress = [\"192.0.2.2\"]\n\
                  [[list]]\nid = \"youtube\"\ncategory = \"shows\"\nlines = [\"own.example\"]\n";
    let state = here.path("state");
    here.write(
        "hedgerow.toml",
        format!("[lists]\nfolder = {state:?}\n{config}"),
    );
    let compiled = here.lists("compile --json").json(0);
    let ours = compiled["lists"].as_array().unwrap();
    let ours: Vec<_> = ours.iter().filter(|it| it["id"] == "youtube").collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0]["entries"], 1);
    let service = "service youtube (YouTube)";
    for (name, device, verdict, who) in [
        ("own.example", "one", "block", "list youtube"),
        ("own.example", "two", "allow", "list youtube"),
        ("www.youtube.com", "one", "allow", service),
        ("www.youtube.com", "two", "block", service),
    ] {
        let line = format!("explain {name} --device {device} --json --config hedgerow.toml");
        let said = here.run(&line, "").json(0);
        assert_eq!(said["verdict"], verdict, "{said}");
        let voices = said["voices"].as_array().unwrap();
        let its = voices.iter().find(|it| it["who"] == who);
        let its = its.unwrap_or_else(|| panic!("{said}"));
        assert_eq!(its["decisive"], verdict == "block", "{said}");
    }
    // What each names is told of each alone.
    let search = |name: &str| here.lists(&format!("search {name} --json")).json(0);
    let found = search("own.example");
    assert_eq!(found["found"].as_array().unwrap().len(), 1, "{found}");
    for found in [found, search("www.youtube.com")] {
        assert_eq!(found["notes"], serde_json::json!([]), "{found}");
    }
    let exported = here.lists("export youtube").fine();
    assert!(exported.contains("own.example"), "{exported}");
    assert!(!exported.contains("youtube.com"), "{exported}");
}

#[test]
fn tags_of_adguard_are_the_presets() {
    let here = Household::new(
        "[profile.kid]\ninherits = \"schoolchild\"\nblock = [\"ads\"]\n\
         [profile.big]\ninherits = \"adult\"\nblock = [\"ads\"]\n\
         [profile.other]\ninherits = \"guest\"\nblock = [\"ads\"]\n\
         [[device]]\nname = \"kid\"\nprofile = \"kid\"\naddress = [\"192.0.2.1\"]\n\
         [[device]]\nname = \"big\"\nprofile = \"big\"\naddress = [\"192.0.2.2\"]\n\
         [[device]]\nname = \"other\"\nprofile = \"other\"\naddress = [\"192.0.2.3\"]\n\
         [[list]]\nid = \"odd\"\ncategory = \"ads\"\nfile = \"odd.txt\"\n",
    );
    here.write(
        "odd.txt",
        "||child.example^$ctag=user_child\n||grown.example^$ctag=~user_child\n\
         ||open.example^\n@@||open.example^$ctag=~user_child\n\
         ||tv.example^\n@@||tv.example^$ctag=~device_tv\n",
    );
    here.lists("compile").fine();
    for (name, blocked_for) in [
        ("child.example", &["kid"][..]),
        ("grown.example", &["big", "other"]),
        // Of who is nobody's child and nobody's parent an exception knows too little.
        ("open.example", &["kid", "other"]),
        ("tv.example", &["kid", "big", "other"]),
    ] {
        for device in ["kid", "big", "other"] {
            let line = format!("explain {name} --device {device} --json --config hedgerow.toml");
            let said = here.run(&line, "").json(0);
            let is_blocked = said["verdict"] == "block";
            assert_eq!(is_blocked, blocked_for.contains(&device), "{said}");
        }
    }
}
