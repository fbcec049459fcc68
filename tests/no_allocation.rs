//! The first half of the path allocates nothing on the way to a block or a fresh cached answer:
//! counted at the allocator, over every verdict a child meets most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use hedgerow::clock::Clock;
use hedgerow::config::{self, Overrides};
use hedgerow::device::Origin;
use hedgerow::files::MemoryFiles;
use hedgerow::journal::{Journal, Transport};
use hedgerow::message::{Answer, Question};
use hedgerow::name::NameBuf;
use hedgerow::reload::{Reloader, Source};
use hedgerow::resolve::{Resolver, Step};

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
address = ["192.168.1.7"]
block = ["game.example.org"]
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

fn keep_in_cache(resolver: &Resolver, name: &str, data: &[u8]) {
    let question = Question {
        qname: NameBuf::parse(name).expect("a name"),
        qtype: 1,
        dnssec_ok: false,
        checking_disabled: false,
    };
    let mut wire = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    wire.extend_from_slice(question.qname.as_ref().as_wire());
    wire.extend_from_slice(&[0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4]);
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
    let child = Origin {
        client: [192, 168, 1, 7].into(),
        interface: 0,
        listener: 0,
    };
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
    ];
    let mut checked = 0;
    for (what, name, qtype, verdict) in cases {
        let message = query(name, qtype);
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

fn ask(
    resolver: &Resolver,
    message: &[u8],
    origin: &Origin,
    out: &mut Vec<u8>,
    what: &str,
    verdict: &str,
) {
    match resolver.answer_now(message, origin, Transport::Udp, out) {
        Step::Reply(outcome) => {
            assert_eq!(outcome.verdict.label(), verdict, "{what}");
            resolver.record(outcome);
        }
        other => panic!("{what}: {other:?}"),
    }
}

/// The counter counts: otherwise the test above could not fail.
#[test]
fn the_allocator_is_counted() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1_u8]));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}
