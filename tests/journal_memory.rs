//! Recording costs no allocation once the tables have grown: counted at the allocator, not
//! computed.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/allocator.rs"]
mod allocator;

use std::net::IpAddr;
use std::time::Duration;

use allocator::{allocations, live_bytes};
use hedgerow::clock::{Clock, Moment};
use hedgerow::config::Privacy;
use hedgerow::journal::{Journal, LogFilter, Outcome, Reveal, Source, Transport};
use hedgerow::name::NameBuf;
use hedgerow::verdict::{Cause, Reason, Scope, Tier, Trigger, Verdict};

/// The `number`th of many queries by several devices, for names that do not repeat.
fn outcome(number: u64) -> Outcome {
    const DEVICES: [&str; 4] = ["tablet", "phone", "laptop", "console"];
    const CATEGORIES: [&str; 3] = ["adult", "gambling", "malware"];
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut wire = *b"\x10................\x07example\x03org\x00";
    for (place, digit) in wire[1..17].iter_mut().enumerate() {
        *digit = b'a' + ((mixed >> (place * 4)) & 15) as u8;
    }
    let cause = match number % 3 {
        0 => Cause::Unlisted,
        1 => Cause::List {
            list: "starter",
            category: CATEGORIES[(mixed >> 60) as usize % 3],
            labels: number as u8,
        },
        _ => Cause::Rule {
            scope: Scope::Profile,
            rule: "*.example.org",
        },
    };
    let reason = Reason {
        tier: Tier::ChildSafety,
        cause,
        trigger: Trigger::Qname,
    };
    Outcome {
        at: Moment::from_micros(number),
        transport: Transport::Udp,
        device: DEVICES[(mixed >> 32) as usize % 4],
        client: IpAddr::from([192, 0, 2, number as u8]),
        profile: "mia",
        privacy: Privacy::Names,
        qname: NameBuf::read_wire(&wire).unwrap().0,
        qtype: number as u16,
        verdict: if number.is_multiple_of(3) {
            Verdict::Allow(reason)
        } else {
            Verdict::Block(reason)
        },
        of_lifeline: false,
        source: Source::Own,
        rcode: 0,
        took: Duration::from_micros(number % 5_000_000),
    }
}

#[test]
fn a_million_random_names_allocate_nothing_and_stay_within_the_bound() {
    const MAX_BYTES: i64 = 1 << 20;
    let clock = Clock::system();
    let before = live_bytes();
    let journal = Journal::new(MAX_BYTES as u64, clock);
    // Names that are revealed for a while cost nothing more.
    let reveal = |profile: &str| Reveal {
        profile: profile.to_owned(),
        from: Moment::default(),
        until: Moment::from_micros(u64::MAX),
    };
    journal.set_reveals(["leo", "noah", "mia"].map(reveal).into());
    (0..50_000).for_each(|number| journal.record(&outcome(number)));
    let warm = allocations();
    (50_000..1_050_000).for_each(|number| journal.record(&outcome(number)));
    assert_eq!(allocations(), warm);
    let held = live_bytes() - before;
    // Counters and the tables of a few devices and words take some kilobytes besides.
    assert!(held <= MAX_BYTES + 32 * 1024, "{held} bytes");
    assert!(held <= journal.memory_bytes() as i64 + 4096, "{held} bytes");
    let page = journal.log(None, 1, &LogFilter::default());
    assert_eq!(page.next_after, 1_050_000);
    // What a ranking over all of it needs is gone afterwards.
    assert_eq!(journal.top(10).allowed_names.len(), 10);
    drop(page);
    let after = live_bytes() - before;
    assert!(after <= held + 4096, "{after} bytes");
}
