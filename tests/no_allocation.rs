//! The first half of the path allocates nothing on the way to a block or a fresh cached answer:
//! counted at the allocator, over every verdict a child meets most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use hedgerow::clock::Clock;
use hedgerow::config::Subject;
use hedgerow::config::{self, Overrides};
use hedgerow::device::Origin;
use hedgerow::files::MemoryFiles;
use hedgerow::journal::{Journal, Transport};
use hedgerow::lists::services;
use hedgerow::message::{Answer, Question};
use hedgerow::name::NameBuf;
use hedgerow::reload::{Reloader, Source};
use hedgerow::resolve::{Resolver, Step};
use hedgerow::standing::{Closer, Closing, Count, Grant, Meter, StandingInput, Standings};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    // Fails only while the thread ends.
    let _ended = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator can be counted only from inside")]
// SAFETY: every call goes on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` through `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the pointer came from `System` through `alloc` above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HOME: &str = r#"
[limits]
queries-per-second = 0

[upstream]
servers = ["192.0.2.53"]

[household]
block = ["unwanted.example.org", "ads*.example.org"]

[[device]]
name = "tablet"
profile = "schoolchild"
mac = ["02:00:5e:10:00:01"]
subscriber = ["family-4711"]
address = ["192.168.1.7"]
block = ["game.example.org"]

[[forwarder]]
address = ["192.168.1.2"]
trust = ["mac", "cpe-id", "subscriber", "client-subnet"]
"#;

fn resolver() -> Resolver {
    let files = MemoryFiles::new();
    files.put("/etc/h.toml", HOME);
    let clock = Clock::system();
    let main = Path::new("/etc/h.toml");
    let loaded = config::load_with(&files.files(), main, &Overrides::default());
    let problems: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    let config = loaded.config.unwrap_or_else(|| panic!("{problems:?}"));
    let reloader = Reloader::new(
        Source::File(main.into()),
        Overrides::default(),
        vec![],
        files.files(),
        clock.clone(),
        hedgerow::device::Neighbours::new().0,
    );
    let snapshot = reloader.first(config, vec![], &[]).expect("a world");
    let journal = Arc::new(Journal::new(64 << 10, clock.clone()));
    Resolver::new(snapshot, journal, clock)
}

fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    let name = NameBuf::parse(name).expect("a name");
    message.extend_from_slice(name.as_ref().as_wire());
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    // EDNS with a client cookie, as dig sends it.
    message.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8]);
    message.extend_from_slice(b"abcdefgh");
    message
}

/// Makes it a query of a client that understands structured errors.
fn ask_for_structured_errors(message: &mut Vec<u8>) {
    let length = message.len();
    message[length - 13] += 6;
    message.extend_from_slice(&[0, 15, 0, 2, 0, 0]);
}

fn keep_in_cache(resolver: &Resolver, name: &str, data: &[u8]) {
    keep_record_in_cache(resolver, name, 1, data);
}

fn keep_record_in_cache(resolver: &Resolver, name: &str, qtype: u8, data: &[u8]) {
    let question = Question {
        qname: NameBuf::parse(name).expect("a name"),
        qtype: u16::from(qtype),
        dnssec_ok: false,
        checking_disabled: false,
        via: 0,
    };
    let mut wire = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    wire.extend_from_slice(question.qname.as_ref().as_wire());
    wire.extend_from_slice(&[0, qtype, 0, 1, 0xc0, 12, 0, qtype, 0, 1, 0, 0, 14, 16, 0]);
    wire.push(u8::try_from(data.len()).expect("short data"));
    wire.extend_from_slice(data);
    let answer = Arc::new(Answer::from_upstream(&wire, &question).expect("an answer"));
    let snapshot = resolver.snapshot();
    snapshot
        .cache
        .store(&question, &answer, Clock::system().now());
}

#[test]
fn blocks_and_fresh_answers_cost_no_allocation() {
    let resolver = resolver();
    keep_in_cache(&resolver, "www.example.org", &[198, 51, 100, 1]);
    keep_in_cache(&resolver, "inside.example.org", &[192, 168, 1, 1]);
    let service = b"\0\x01\0\0\x05\0\x04\xfe\x0d\0\0";
    keep_record_in_cache(&resolver, "www.example.org", 65, service);
    let child = Origin::new([192, 168, 1, 7].into(), 0, 0);
    let guest = Origin {
        client: [192, 168, 1, 99].into(),
        ..child
    };
    let mut out = Vec::with_capacity(4096);
    let cases = [
        ("a list's block", "www.gambling.hedgerow.test", 1, "block"),
        (
            "a block of another type",
            "gambling.hedgerow.test",
            65,
            "block",
        ),
        ("the device's rule", "game.example.org", 28, "block"),
        ("the household's rule", "unwanted.example.org", 1, "block"),
        ("a glob", "ads7.example.org", 1, "block"),
        ("a fresh answer", "www.example.org", 1, "allow"),
        (
            "an answer that points inside",
            "inside.example.org",
            1,
            "block",
        ),
        ("a special name", "printer.local", 1, "allow"),
        ("ANY", "example.org", 255, "allow"),
        (
            "an answer without its `ech`",
            "www.example.org",
            65,
            "allow",
        ),
        ("a look-alike", "xn--gmbling-2fg.hedgerow.test", 1, "block"),
        ("an unusual type", "www.example.org", 10, "block"),
    ];
    let mut checked = 0;
    for (what, name, qtype, verdict) in cases {
        let mut message = query(name, qtype);
        if verdict == "block" {
            ask_for_structured_errors(&mut message);
        }
        for origin in [&child, &guest] {
            if name == "game.example.org" && origin.client == guest.client {
                continue;
            }
            // First whatever grows to its size and stays: buckets, words, the journal's ring.
            for _ in 0..2000 {
                ask(&resolver, &message, origin, &mut out, what, verdict);
            }
            let before = ALLOCATIONS.get();
            for _ in 0..100 {
                ask(&resolver, &message, origin, &mut out, what, verdict);
            }
            assert_eq!(ALLOCATIONS.get() - before, 0, "{what}");
            checked += 1;
        }
    }
    assert_eq!(checked, 2 * cases.len() - 1);
}

/// What holds for a while is looked up in bits: bedtime, quotas, grants and a pause cost nothing.
#[test]
fn what_holds_at_this_hour_costs_no_allocation() {
    let resolver = resolver();
    keep_in_cache(&resolver, "www.example.org", &[198, 51, 100, 1]);
    keep_in_cache(&resolver, "lullaby.example.net", &[198, 51, 100, 2]);
    let snapshot = resolver.snapshot();
    let subjects = |words: &[&str]| -> Vec<Subject> {
        let read = |word: &&str| {
            let is_service = |id: &str| services::find(id).is_some();
            Subject::parse(word, services::is_category, is_service).expect("a subject")
        };
        words.iter().map(read).collect()
    };
    let input = StandingInput {
        closings: vec![Closing {
            by: Closer::Schedule("bedtime".to_owned()),
            close: subjects(&["everything", "games", "youtube"]),
            open: subjects(&["lullaby.example.net", "spotify"]),
            since: None,
            until: None,
        }],
        grants: vec![Grant {
            subject: subjects(&["roblox"]).remove(0),
            made: 1,
            since: None,
            until: None,
        }],
        meters: vec![Meter {
            of: subjects(&["everything"]),
            used_up_at: None,
            count: Some(Count {
                meter: Arc::default(),
                is_spent: false,
            }),
        }],
        ..StandingInput::default()
    };
    let inputs = vec![vec![input]; snapshot.profiles.len()];
    let standings = Standings::compile(&snapshot.profiles, &inputs, &snapshot.lists);
    snapshot.standings.store(Arc::new(standings));
    let child = Origin::new([192, 168, 1, 7].into(), 0, 0);
    let mut out = Vec::with_capacity(4096);
    for (name, verdict) in [
        ("www.example.org", "block"),
        ("www.steampowered.com", "block"),
        ("www.youtube.com", "block"),
        ("lullaby.example.net", "allow"),
    ] {
        let message = query(name, 1);
        for _ in 0..2000 {
            ask(&resolver, &message, &child, &mut out, name, verdict);
        }
        let before = ALLOCATIONS.get();
        for _ in 0..100 {
            ask(&resolver, &message, &child, &mut out, name, verdict);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{name}");
    }
}

/// What a forwarder says of its client is read where it stands, in each of its forms.
#[test]
fn claims_of_a_forwarder_cost_no_allocation() {
    let resolver = resolver();
    let forwarder = Origin::new([192, 168, 1, 2].into(), 0, 0);
    let mut out = Vec::with_capacity(4096);
    let options: [(&str, u16, &[u8]); 7] = [
        ("block", 65_001, &[2, 0, 0x5e, 0x10, 0, 1]),
        ("block", 65_073, b"02:00:5e:10:00:01"),
        ("block", 65_073, b"AgBeEAAB"),
        ("block", 65_280, b"family-4711"),
        ("block", 8, &[0, 1, 32, 0, 192, 168, 1, 7]),
        // No device, and nothing that can be read: guests, whom that rule does not block.
        ("allow", 65_074, b"another line"),
        ("allow", 65_001, b"junk"),
    ];
    keep_in_cache(&resolver, "game.example.org", &[198, 51, 100, 1]);
    for (verdict, code, value) in options {
        let mut message = query("game.example.org", 1);
        let length = message.len();
        message[length - 13] += 4 + value.len() as u8;
        message.extend_from_slice(&code.to_be_bytes());
        message.extend_from_slice(&(value.len() as u16).to_be_bytes());
        message.extend_from_slice(value);
        let what = format!("option {code}");
        for _ in 0..2000 {
            ask(&resolver, &message, &forwarder, &mut out, &what, verdict);
        }
        let before = ALLOCATIONS.get();
        for _ in 0..100 {
            ask(&resolver, &message, &forwarder, &mut out, &what, verdict);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{what}");
    }
}

fn ask(
    resolver: &Resolver,
    message: &[u8],
    origin: &Origin,
    out: &mut Vec<u8>,
    what: &str,
    verdict: &str,
) {
    let at = resolver.catch_up();
    match resolver.answer_now(message, origin, Transport::Udp, at, out) {
        Step::Reply(outcome) => {
            assert_eq!(outcome.verdict.label(), verdict, "{what}");
            resolver.record(outcome, resolver.now());
        }
        other => panic!("{what}: {other:?}"),
    }
}

/// What lists say beside names, from the first look-up on: nothing is compiled or kept for it.
#[test]
fn patterns_sealed_names_and_addresses_cost_no_allocation() {
    use hedgerow::lists::sealed::{Day, Edition, KeyDelivery, SealKey, SealKeys, seal};
    use hedgerow::lists::{
        Asker, ListFormat, ListKind, ListSource, ListSpec, Matcher, compile_in_memory,
    };
    let key = SealKey::new([7; 16]);
    let edition = Edition {
        title: "Hosts".into(),
        issuer: "hotline.example".into(),
        serial: 1,
        date: Day(20_000),
        expires: None,
    };
    let bad = NameBuf::parse("bad.example").expect("a name");
    let feed = seal([bad.as_ref()], &key, KeyDelivery::Apart, &edition).expect("a feed");
    let adblock = "/^ad[0-9]+\\./$client=Tablet|192.0.2.0/24\n||ads*.example.org^$dnstype=A\n\
                   -banner-\n/[0-9]{5,}[a-z]/$denyallow=example.net\n";
    let zone = "@ SOA ns.test. root.test. 1 60 60 60 60\n24.0.2.0.192.rpz-ip CNAME .\n";
    let lists = [
        (ListFormat::Sealed, feed.as_str()),
        (ListFormat::Adblock, adblock),
        (ListFormat::Rpz, zone),
    ];
    let specs = lists.map(|(format, text)| ListSpec {
        id: format.label().into(),
        category: "ads".into(),
        kind: ListKind::Block,
        tier: hedgerow::verdict::Tier::Lists,
        source: ListSource::Inline(text.lines().map(str::to_owned).collect()),
        format: Some(format),
        member: None,
        public_suffixes: false,
        urls: Vec::new(),
        sha256: None,
    });
    let files = MemoryFiles::new().files();
    let mut index = compile_in_memory(&specs, &files, None, &|| false).expect("an index");
    let mut keys = SealKeys::new();
    keys.add(key);
    assert!(index.set_seal_keys(&keys).is_empty());
    let asker = Asker {
        qtype: 1,
        address: Some([192, 0, 2, 7].into()),
        device: Some("tablet"),
        tags: &[],
    };
    let cases = [
        ("www.bad.example", 1),
        ("ad7.example.org", 1),
        ("ads7.example.org", 1),
        ("my-banner-1.test", 1),
        ("123456a.test", 1),
        ("example.test", 0),
    ];
    for (name, expected) in cases {
        let name = NameBuf::parse(name).expect("a name");
        let mut hits = 0;
        let before = ALLOCATIONS.get();
        index.look_up(name.as_ref(), |hit| {
            assert_ne!(hit.by, Matcher::Name);
            hits += u32::from(index.applies(&hit, name.as_ref(), &asker));
        });
        assert_eq!(ALLOCATIONS.get() - before, 0, "{name}");
        assert_eq!(hits, expected, "{name}");
    }
    let mut hits = 0;
    let before = ALLOCATIONS.get();
    index.look_up_address([192, 0, 2, 1].into(), |_| hits += 1);
    assert_eq!((ALLOCATIONS.get() - before, hits), (0, 1));
}

/// The counter counts: otherwise the test above could not fail.
#[test]
fn the_allocator_is_counted() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1_u8]));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}
