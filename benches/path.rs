//! What the first half of the path costs, from the octets of a query to those of its answer and its
//! entry in the journal, without a socket: `cargo bench --bench path`.
//!
//! Prints nanoseconds per query for each case, the median of several rounds; CPU time of one thread,
//! lists of the size a household has. No other work may run beside it for figures that count.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hedgerow::clock::Clock;
use hedgerow::config::{self, Overrides};
use hedgerow::device::Origin;
use hedgerow::files::MemoryFiles;
use hedgerow::journal::{Journal, Outcome, Transport};
use hedgerow::lists::{Index, services};
use hedgerow::message::{Answer, Question};
use hedgerow::name::NameBuf;
use hedgerow::policy::{View, judge_name};
use hedgerow::reload::{Reloader, Source};
use hedgerow::resolve::{Resolver, Step};
use hedgerow::snapshot::Snapshot;
use hedgerow::socket::batch::BATCH;
use hedgerow::verdict::Verdict;

/// The variable that asks for one part alone, many times, for a program that counts instructions: of
/// a verdict `nothing`, `look-up` or `verdict` (the difference is what counts); of the whole path
/// `cached`, `blocked` or `household`, which `bench/count/run` holds against what they were.
const COUNTED: &str = "HEDGEROW_COUNTED";
const ROUNDS: usize = 9;
const QUERIES: usize = 200_000;
/// Names of a made-up list beside the starter lists.
const LISTED: usize = 300_000;
/// The same where instructions are counted, and queries then: a program that counts is slow.
const LISTED_COUNTED: usize = 20_000;
const QUERIES_COUNTED: usize = 20_000;

fn main() {
    if let Some(part) = std::env::var_os(COUNTED) {
        return match part.to_string_lossy().as_ref() {
            part @ ("cached" | "blocked" | "household") => hot(part),
            part => verdicts(Some(part)),
        };
    }
    let resolver = resolver(LISTED);
    let blocked: Vec<_> = (0..1000)
        .map(|i| query(&listed(i * 7 % LISTED), 1))
        .collect();
    let cached: Vec<_> = (0..1000).map(|i| format!("host{i}.example.org")).collect();
    for name in &cached {
        keep(&resolver, name);
    }
    let cached: Vec<_> = cached.iter().map(|name| query(name, 1)).collect();
    println!(
        "{} names on the lists",
        resolver.snapshot().lists.name_count()
    );
    measure("blocked", &resolver, &blocked);
    measure("cached", &resolver, &cached);
    let junk = [vec![0_u8; 12]];
    measure("malformed", &resolver, &junk);
    verdicts(None);
}

/// One of the hot cases, once: what makes it ready, then its queries in [`counted`].
fn hot(part: &str) {
    let resolver = resolver(LISTED_COUNTED);
    let blocked: Vec<_> = (0..1000)
        .map(|i| query(&listed(i * 7 % LISTED_COUNTED), 1))
        .collect();
    let cached: Vec<_> = (0..1000).map(|i| format!("host{i}.example.org")).collect();
    for name in &cached {
        keep(&resolver, name);
    }
    let cached: Vec<_> = cached.iter().map(|name| query(name, 1)).collect();
    // Numbers that look random and are the same in every run, for names by Zipf's law: the logarithm
    // of the rank is spread evenly.
    let mut state = 1_u64;
    let mut zipf = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let even = (state >> 11) as f64 / (1_u64 << 53) as f64;
        (1000_f64.powf(even) as usize - 1).min(999)
    };
    let queries: Vec<&[u8]> = (0..QUERIES_COUNTED)
        .map(|place| match part {
            "cached" => &cached[place % cached.len()],
            "blocked" => &blocked[place % blocked.len()],
            _ if place % 20 < 3 => &blocked[zipf()],
            _ => &cached[zipf()],
        })
        .map(Vec::as_slice)
        .collect();
    let origin = Origin::new([127, 0, 0, 3].into(), 0, 0);
    let mut out = Vec::with_capacity(4096);
    // What is made at the first query of a kind is not counted.
    let warm = &queries[..queries.len() / 10];
    assert_eq!(answer_all(warm, &resolver, &origin, &mut out), warm.len());
    let answered = counted(&queries, &resolver, &origin, &mut out);
    println!("{answered} queries answered");
}

/// A function of its own, for `valgrind --tool=callgrind --toggle-collect=path::counted`.
#[inline(never)]
fn counted(queries: &[&[u8]], resolver: &Resolver, origin: &Origin, out: &mut Vec<u8>) -> usize {
    answer_all(queries, resolver, origin, out)
}

/// Answers and records as the listener does where every batch is full; tells how many were answered at
/// once.
#[inline(never)]
fn answer_all(queries: &[&[u8]], resolver: &Resolver, origin: &Origin, out: &mut Vec<u8>) -> usize {
    let mut answered = 0;
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(BATCH);
    for batch in queries.chunks(BATCH) {
        let at = resolver.catch_up();
        for message in batch {
            match resolver.answer_now(message, origin, Transport::Udp, at, out) {
                Step::Reply(outcome) => outcomes.push(outcome),
                Step::Error => {}
                Step::Silence | Step::Wait(_) => continue,
            }
            answered += 1;
        }
        let sent = resolver.now();
        for outcome in outcomes.drain(..) {
            resolver.record(outcome, sent);
        }
    }
    answered
}

fn measure(what: &str, resolver: &Resolver, queries: &[Vec<u8>]) {
    let origin = Origin::new([127, 0, 0, 3].into(), 0, 0);
    let mut out = Vec::with_capacity(4096);
    let queries: Vec<&[u8]> = (queries.iter().cycle().take(QUERIES))
        .map(Vec::as_slice)
        .collect();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            let answered = answer_all(&queries, resolver, &origin, &mut out);
            assert_eq!(answered, QUERIES, "{what}");
            started.elapsed().as_nanos() as f64 / QUERIES as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!(
        "{what:<10} {:>6.0} ns a query (least {:.0}, most {:.0})",
        rounds[ROUNDS / 2],
        rounds[0],
        rounds[ROUNDS - 1]
    );
}

/// A verdict on a name beside the bare look-up it rests on, in a large household: 32 profiles, 64
/// categories, 200 services blocked, 500 rules. With a `part` that part alone, many times.
fn verdicts(part: Option<&str>) {
    let mut text = String::from("[upstream]\nservers = [\"192.0.2.53\"]\n");
    let files = MemoryFiles::new();
    let list: String = (0..LISTED).map(|index| listed(index) + "\n").collect();
    files.put("/lists/gambling.txt", list);
    text += "[[list]]\nid = \"big\"\ncategory = \"gambling\"\nfile = \"/lists/gambling.txt\"\n";
    for number in 0..38 {
        text += &format!(
            "[[list]]\nid = \"own-{number}\"\ncategory = \"own-{number}\"\n\
             lines = [\"own{number}.example.net\"]\n"
        );
    }
    let services: Vec<String> = services::all()
        .step_by(4)
        .take(200)
        .map(|service| format!("\"{}\"", service.id))
        .collect();
    let own: Vec<String> = (0..38).map(|number| format!("\"own-{number}\"")).collect();
    for profile in 0..32 {
        let rules: Vec<String> = (0..14)
            .map(|rule| format!("\"rule{rule}.p{profile}.example.com\""))
            .collect();
        text += &format!(
            "[profile.p{profile}]\ninherits = \"schoolchild\"\nblock = [{}, {}]\n\
             block-names = [{}]\n",
            own.join(", "),
            services.join(", "),
            rules.join(", ")
        );
    }
    let shared: Vec<String> = (0..52)
        .map(|it| format!("\"home{it}.example.net\""))
        .collect();
    text += &format!("[household]\nallow = [{}]\n", shared.join(", "));
    text += "[[device]]\nname = \"tablet\"\nprofile = \"p7\"\naddress = [\"127.0.0.3\"]\n";
    files.put("/etc/h.toml", text);
    let snapshot = world(&files).0;
    let origin = Origin::new([127, 0, 0, 3].into(), 0, 0);
    let hour = snapshot.at(Clock::system().now());
    let (_, view) = hour.identify(&origin);
    let parse = |text: String| NameBuf::parse(&text).expect("a name");
    let unlisted: Vec<_> = (0..1000)
        .map(|i| parse(format!("host{i}.example.org")))
        .collect();
    let blocked: Vec<_> = (0..1000).map(|i| parse(listed(i * 7 % LISTED))).collect();
    if let Some(part) = part {
        let (part, names) = match part.strip_prefix("listed-") {
            Some(part) => (part, &blocked),
            None => (part, &unlisted),
        };
        for name in names.iter().cycle().take(20_000) {
            match part {
                "look-up" => {
                    std::hint::black_box(bare_look_up(&snapshot.lists, name));
                }
                "verdict" => {
                    std::hint::black_box(verdict_on(name, &view));
                }
                _ => {}
            }
        }
        return;
    }
    for (what, names) in [("unlisted", &unlisted), ("listed", &blocked)] {
        let look_up = time(names, |name| bare_look_up(&snapshot.lists, name));
        let verdict = time(names, |name| u32::from(verdict_on(name, &view).is_block()));
        println!(
            "verdict    {what}: {verdict:.0} ns, look-up alone {look_up:.0} ns, {:+.0} %",
            (verdict / look_up - 1.0) * 100.0
        );
    }
}

/// What a verdict rests on. A function of its own so that its instructions can be counted, as by
/// `valgrind --tool=callgrind --toggle-collect=path::bare_look_up`.
#[inline(never)]
fn bare_look_up(lists: &Index, name: &NameBuf) -> u32 {
    let mut hits = 0;
    lists.look_up(name.as_ref(), |_| hits += 1);
    hits
}

/// Likewise.
#[inline(never)]
fn verdict_on(name: &NameBuf, view: &View<'_>) -> Verdict {
    judge_name(name.as_ref(), 1, view)
}

/// Nanoseconds `work` takes for a name, the median of several rounds.
fn time(names: &[NameBuf], work: impl Fn(&NameBuf) -> u32) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for name in names.iter().cycle().take(QUERIES) {
                std::hint::black_box(work(std::hint::black_box(name)));
            }
            started.elapsed().as_nanos() as f64 / QUERIES as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn listed(index: usize) -> String {
    format!("site-{index}.shop{}.example.com", index % 977)
}

/// The resolver of a household with a list of so many names.
fn resolver(count: usize) -> Resolver {
    let files = MemoryFiles::new();
    let list: String = (0..count).map(|index| listed(index) + "\n").collect();
    files.put("/lists/gambling.txt", list);
    files.put(
        "/etc/h.toml",
        "[upstream]\nservers = [\"192.0.2.53\"]\n[[list]]\nid = \"big\"\ncategory = \"gambling\"\n\
         file = \"/lists/gambling.txt\"\n[[device]]\nname = \"tablet\"\nprofile = \"schoolchild\"\n\
         address = [\"127.0.0.3\"]\n",
    );
    let (snapshot, clock) = world(&files);
    let journal = Arc::new(Journal::new(1 << 20, clock.clone()));
    Resolver::new(snapshot, journal, clock)
}

/// The world that `/etc/h.toml` describes.
fn world(files: &Arc<MemoryFiles>) -> (Arc<Snapshot>, Clock) {
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
    (snapshot, clock)
}

fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    let name = NameBuf::parse(name).expect("a name");
    message.extend_from_slice(name.as_ref().as_wire());
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    message
}

fn keep(resolver: &Resolver, name: &str) {
    let question = Question {
        qname: NameBuf::parse(name).expect("a name"),
        qtype: 1,
        dnssec_ok: false,
        checking_disabled: false,
        via: 0,
    };
    let mut wire = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    wire.extend_from_slice(question.qname.as_ref().as_wire());
    wire.extend_from_slice(&[0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4]);
    wire.extend_from_slice(&[198, 51, 100, 1]);
    let answer = Arc::new(Answer::from_upstream(&wire, &question).expect("an answer"));
    let snapshot = resolver.snapshot();
    snapshot
        .cache
        .store(&question, &answer, Clock::system().now());
}
