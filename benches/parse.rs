//! How long each syntax takes to read: `cargo bench --bench parse`.
//!
//! A million names made up from a seed, in every syntax, from memory; and the same list packed.
//! The time is that of the processor where Linux tells it, so that a busy machine measures the same.

use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use hedgerow::lists::ListFormat;
use hedgerow::lists::parse::{ReadOptions, read_list};

/// Lines of each list.
const LINES: u32 = 1_000_000;
/// How often each is read; the best counts.
const ROUNDS: u32 = 5;

/// How a line about a name looks in a syntax.
type Line = fn(&str) -> String;

const SYNTAXES: [(&str, ListFormat, Line); 10] = [
    ("domains", ListFormat::Domains, |name| format!("{name}\n")),
    ("hosts", ListFormat::Hosts, |name| {
        format!("0.0.0.0 {name}\n")
    }),
    ("wildcards", ListFormat::Wildcards, |name| {
        format!("*.{name}\n")
    }),
    ("adblock", ListFormat::Adblock, |name| {
        format!("||{name}^\n")
    }),
    ("adblock with a modifier", ListFormat::Adblock, |name| {
        format!("||{name}^$important\n")
    }),
    ("domains with a comment", ListFormat::Domains, |name| {
        format!("{name}  # needed by: a.test\n")
    }),
    ("dnsmasq", ListFormat::Dnsmasq, |name| {
        format!("address=/{name}/0.0.0.0\n")
    }),
    ("unbound", ListFormat::Unbound, |name| {
        format!("local-zone: \"{name}\" always_nxdomain\n")
    }),
    ("rpz", ListFormat::Rpz, |name| format!("{name} CNAME .\n")),
    ("regex (a tenth of the lines)", ListFormat::Regex, |name| {
        format!("(^|\\.){}$\n", name.replace('.', "\\."))
    }),
];

fn main() {
    let names = names();
    println!("{LINES} lines, best of {ROUNDS}:");
    for (label, format, line) in SYNTAXES {
        let count = names.len() / if format == ListFormat::Regex { 10 } else { 1 };
        let text: String = names.iter().take(count).map(|name| line(name)).collect();
        report(label, text.as_bytes(), &ReadOptions::format(format));
        if format == ListFormat::Domains {
            report("  detected", text.as_bytes(), &ReadOptions::default());
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            let packed = packer
                .write_all(text.as_bytes())
                .and_then(|()| packer.finish());
            match packed {
                Ok(packed) => report("  gzip", &packed, &ReadOptions::format(format)),
                Err(error) => println!("  gzip: {error}"),
            }
        }
    }
}

fn report(label: &str, list: &[u8], options: &ReadOptions) {
    let mut best = Duration::MAX;
    let mut entries = 0;
    for _ in 0..ROUNDS {
        let begin = now();
        let mut labels = 0_usize;
        let report = read_list(list, options, |line, item| {
            labels = labels.wrapping_add(line as usize);
            std::hint::black_box(item);
        });
        best = best.min(now().saturating_sub(begin));
        std::hint::black_box(labels);
        entries = report.entries;
    }
    let each = best.as_nanos() as f64 / entries as f64;
    let speed = list.len() as f64 / best.as_secs_f64() / 1e6;
    println!("  {label}: {best:.1?}, {each:.0} ns an entry, {speed:.0} MB/s");
}

/// The time this thread has run, or else that since the first call.
fn now() -> Duration {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let begin = BEGIN.get_or_init(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split_whitespace().next()?.parse().ok());
    nanoseconds.map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

/// Names of two to four labels, some 20 octets long, as lists have them.
fn names() -> Vec<String> {
    let mut state = 7_u64;
    let mut number = move |below: u64| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    };
    let tops = ["com", "net", "org", "info", "de", "co.uk", "xyz", "example"];
    (0..LINES)
        .map(|_| {
            let mut name = String::new();
            for _ in 0..1 + number(2) {
                for _ in 0..4 + number(12) {
                    name.push(char::from(b'a' + u8::try_from(number(26)).unwrap_or(0)));
                }
                name.push('.');
            }
            let top = usize::try_from(number(tops.len() as u64)).unwrap_or(0);
            name.push_str(tops.get(top).unwrap_or(&"com"));
            name
        })
        .collect()
}
