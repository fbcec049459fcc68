//! What the journal keeps, and above all what it must not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::*;
use crate::clock::{ManualTime, Timestamp};
use crate::verdict::{Cause, Reason, RewriteTarget, Scope, Tier, Trigger, Verdict};

const NAME: &str = "casino.example.org";

fn journal(max_bytes: u64) -> (Journal, std::sync::Arc<ManualTime>) {
    let time = ManualTime::starting_at("2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap());
    time.advance(Duration::from_secs(5));
    (Journal::new(max_bytes, time.clock()), time)
}

fn outcome(name: &str) -> Outcome {
    Outcome {
        at: Moment::from_micros(2_000_000),
        transport: Transport::Udp,
        device: "tablet",
        client: IpAddr::from([192, 0, 2, 7]),
        profile: "mia",
        privacy: Privacy::Names,
        qname: NameBuf::parse(name).unwrap(),
        qtype: 28,
        verdict: Verdict::Allow(Reason::UNLISTED),
        of_lifeline: false,
        source: Source::Upstream,
        rcode: 0,
        took: Duration::from_micros(1500),
    }
}

fn listed(tier: Tier, category: &'static str) -> Reason {
    Reason {
        tier,
        cause: Cause::List {
            list: "starter",
            category,
            labels: 2,
        },
        trigger: Trigger::Qname,
    }
}

fn blocked(name: &str) -> Outcome {
    Outcome {
        verdict: Verdict::Block(listed(Tier::ChildSafety, "gambling")),
        source: Source::Own,
        ..outcome(name)
    }
}

/// Everything anybody can read out of a journal, as one text.
fn everything(journal: &Journal) -> String {
    let all = LogFilter::default();
    serde_json::to_string(&(
        journal.totals(),
        journal.devices(),
        journal.log(None, 1000, &all),
        journal.log(Some(0), 1000, &all),
        journal.top(100),
    ))
    .unwrap()
}

#[test]
fn an_entry_holds_what_happened() {
    let (journal, _time) = journal(1 << 16);
    journal.record(&blocked(NAME));
    let page = journal.log(None, 10, &LogFilter::default());
    assert_eq!(
        serde_json::to_value(&page.entries[0]).unwrap(),
        serde_json::json!({
            "seq": 1,
            "at": "2026-11-22T12:00:02.000Z",
            "device": "tablet",
            "profile": "mia",
            "verdict": "block",
            "category": "gambling",
            "tier": "child-safety",
            "trigger": "qname",
            "source": "own",
            "rcode": "NOERROR",
            "name": NAME,
            "qtype": "AAAA",
            "client": "192.0.2.7",
            "transport": "udp",
            "took_us": 1500,
            "reason": "gambling (list starter)",
        })
    );
}

#[test]
fn every_reason_survives_the_log() {
    let causes = [
        Cause::Unlisted,
        Cause::List {
            list: "l",
            category: "c",
            labels: u8::MAX,
        },
        Cause::Rule {
            scope: Scope::Device,
            rule: "=a.example.org",
        },
        Cause::Rule {
            scope: Scope::Profile,
            rule: "*.example.org",
        },
        Cause::Rule {
            scope: Scope::Household,
            rule: "example.org",
        },
        Cause::AllowOnly,
        Cause::SafeSearch { engine: "google" },
        Cause::Canary,
        Cause::Unsure { list: "l" },
        Cause::Unreadable,
        Cause::Rebinding,
        Cause::SpecialUse,
        Cause::LookAlike {
            of: "l",
            category: "c",
        },
        Cause::UnusualType,
        Cause::Tunnel,
        Cause::UnusualName,
        Cause::Service {
            service: "roblox",
            title: "Roblox",
            category: "games",
            labels: 2,
        },
        Cause::OpenService { service: "roblox" },
        Cause::Schedule {
            schedule: "bedtime",
            of: "everything",
        },
        Cause::Quota {
            quota: "games and video",
            of: "games",
        },
        Cause::Grant {
            of: "roblox",
            is_service: true,
        },
        Cause::Grant {
            of: "example.org",
            is_service: false,
        },
        Cause::Pause { by: "parents" },
    ];
    let triggers = [
        Trigger::Qname,
        Trigger::Cname,
        Trigger::Address,
        Trigger::SvcbTarget,
        Trigger::SvcbHint,
    ];
    let mut words = Words::new(100);
    let mut checked = 0;
    // Neither a lifeline nor a sealed name is written down.
    for tier in &Tier::ALL[2..] {
        for trigger in triggers {
            for cause in causes {
                let reason = Reason {
                    tier: *tier,
                    cause,
                    trigger,
                };
                let written = Outcome {
                    verdict: Verdict::Rewrite(RewriteTarget(3), reason),
                    client: "2001:db8::7".parse().unwrap(),
                    transport: Transport::Tcp,
                    source: Source::Failure,
                    ..outcome(&"a.".repeat(127))
                };
                let entry = record::write(&written, &mut words);
                let entry = entry.parts().concat();
                let read = record::read(&entry, words.list()).unwrap();
                let details = read.details.unwrap();
                assert_eq!(details.reason, reason);
                assert_eq!(details.qname, written.qname.as_ref());
                assert_eq!(details.client, written.client);
                assert_eq!(details.transport, Transport::Tcp);
                assert_eq!(
                    (read.action, read.source),
                    (Action::Rewrite, Source::Failure)
                );
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 4 * 5 * 23);
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let (journal, _time) = journal(4096);
    for number in 0..10 {
        journal.record(&outcome(&format!("n{number}.example.org")));
    }
    let all = LogFilter::default();
    let newest = journal.log(None, 3, &all);
    let names = |page: &LogPage| -> Vec<String> {
        let names = page.entries.iter().map(|e| e.name.clone().unwrap());
        names.map(|n| n.replace(".example.org", "")).collect()
    };
    assert_eq!(names(&newest), ["n7", "n8", "n9"]);
    assert_eq!(newest.next_after, 10);
    assert_eq!(journal.log(Some(10), 3, &all).entries, []);
    let first = journal.log(Some(0), 4, &all);
    assert_eq!(names(&first), ["n0", "n1", "n2", "n3"]);
    assert_eq!(first.next_after, 4);
    assert_eq!(names(&journal.log(Some(4), 2, &all)), ["n4", "n5"]);
    // A number from before a restart: nothing is repeated, nothing blows up.
    assert_eq!(journal.log(Some(99), 5, &all).next_after, 10);
    // What has gone is said.
    for _ in 0..500 {
        journal.record(&outcome("later.example.org"));
    }
    let page = journal.log(Some(10), 1000, &all);
    assert_eq!(page.lost + page.entries.len() as u64, 500);
    assert!(page.lost > 0);
}

#[test]
fn the_newest_are_found_across_segments_and_filters() {
    let (journal, _time) = journal(1 << 16);
    for number in 0..600 {
        let mut one = if number % 100 == 0 {
            blocked(NAME)
        } else {
            outcome("a.example.org")
        };
        if number % 2 == 1 {
            (one.device, one.profile) = ("phone", "ben");
        }
        journal.record(&one);
    }
    let only_blocked = LogFilter {
        blocked: true,
        ..LogFilter::default()
    };
    assert_eq!(journal.log(None, 1000, &only_blocked).entries.len(), 6);
    let last_two = journal.log(None, 2, &only_blocked);
    let seqs: Vec<_> = last_two.entries.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [401, 501]);
    let phone = LogFilter {
        device: Some("phone".into()),
        ..LogFilter::default()
    };
    let page = journal.log(Some(0), 10, &phone);
    assert_eq!((page.entries.len(), page.next_after), (10, 20));
    let nobody = LogFilter {
        profile: Some("nobody".into()),
        ..LogFilter::default()
    };
    assert_eq!(journal.log(None, 10, &nobody).entries, []);
}

#[test]
fn categories_only_means_nothing_that_leads_to_the_name() {
    let (journal, _time) = journal(1 << 16);
    for verdict in [
        Verdict::Block(listed(Tier::ChildSafety, "gambling")),
        Verdict::Block(Reason {
            tier: Tier::Household,
            cause: Cause::Rule {
                scope: Scope::Profile,
                rule: NAME,
            },
            trigger: Trigger::Cname,
        }),
    ] {
        journal.record(&Outcome {
            privacy: Privacy::Categories,
            verdict,
            ..outcome(NAME)
        });
    }
    let read = everything(&journal);
    assert!(read.contains("gambling") && read.contains("\"rule\""));
    for secret in ["casino", "4711", "starter", "192.0.2.7"] {
        assert!(!read.contains(secret), "{secret} in {read}");
    }
    let page = journal.log(None, 10, &LogFilter::default());
    let entries = serde_json::to_string(&page.entries).unwrap();
    for detail in ["name", "qtype", "client", "transport", "took_us", "reason"] {
        assert!(!entries.contains(&format!("\"{detail}\"")), "{entries}");
    }
    assert_eq!(journal.top(10).blocked_names, []);
}

#[test]
fn no_privacy_setting_hides_the_plain_total() {
    let (journal, _time) = journal(1 << 16);
    journal.record(&Outcome {
        privacy: Privacy::None,
        ..blocked(NAME)
    });
    assert_eq!(journal.totals().queries, 1);
    assert_eq!(journal.totals().verdicts["block"], 1);
    assert_eq!(journal.devices(), []);
    assert_eq!(journal.log(None, 10, &LogFilter::default()).entries, []);
    assert_eq!(journal.top(10).queries, 0);
}

/// The journal reads exactly as if nobody had asked, whatever the profile of the one who did keeps.
#[test]
fn a_sealed_name_is_counted_and_never_written_down() {
    let (journal, _time) = journal(1 << 16);
    journal.record(&Outcome {
        verdict: Verdict::Block(listed(Tier::Sealed, "sealed")),
        ..outcome("hidden.example.net")
    });
    let read = everything(&journal);
    assert!(!read.contains("hidden"), "{read}");
    assert!(read.contains("sealed"), "{read}");
    assert_eq!(journal.totals().queries, 1);
}

#[test]
fn a_lifeline_leaves_no_trace() {
    const HELPLINE: &str = "helpline.example.net";
    let lifeline = Outcome {
        verdict: Verdict::Allow(listed(Tier::Lifeline, "lifeline")),
        ..outcome(HELPLINE)
    };
    for privacy in [Privacy::Names, Privacy::Categories, Privacy::None] {
        let (with_lifeline, _time) = journal(1 << 16);
        let (without, _time) = journal(1 << 16);
        for journal in [&with_lifeline, &without] {
            journal.record(&blocked(NAME));
            journal.record(&outcome("www.example.org"));
        }
        with_lifeline.record(&Outcome {
            privacy,
            ..lifeline
        });
        // With a search suffix behind it, whoever decided.
        for verdict in [
            Verdict::Allow(Reason::UNLISTED),
            Verdict::Block(listed(Tier::ChildSafety, "gambling")),
        ] {
            with_lifeline.record(&Outcome {
                privacy,
                verdict,
                of_lifeline: true,
                ..outcome("helpline.example.net.lan")
            });
        }
        let read = everything(&with_lifeline);
        assert_eq!(read, everything(&without), "{privacy:?}");
        assert!(!read.contains("helpline") && !read.contains("lifeline"));
        assert_eq!(with_lifeline.totals().queries, 2);
        assert_eq!(with_lifeline.devices()[0].queries, 2);
        assert_eq!(with_lifeline.top(10).queries, 2);
    }
}

#[test]
fn rankings_come_out_of_the_log() {
    let (journal, _time) = journal(1 << 16);
    for (name, times) in [("a.example.org", 3), ("b.example.org", 5)] {
        for _ in 0..times {
            journal.record(&outcome(name));
        }
    }
    journal.record(&Outcome {
        device: "phone",
        ..blocked(NAME)
    });
    let top = journal.top(1);
    assert_eq!((top.queries, top.blocked), (9, 1));
    assert_eq!(top.since.as_deref(), Some("2026-11-22T12:00:02.000Z"));
    let first = |ranked: &[Ranked]| (ranked.len(), ranked[0].name.clone(), ranked[0].count);
    assert_eq!(first(&top.allowed_names), (1, "b.example.org".into(), 5));
    assert_eq!(first(&top.blocked_names), (1, NAME.into(), 1));
    assert_eq!(first(&top.devices), (1, "tablet".into(), 8));
    assert_eq!(first(&top.categories), (1, "gambling".into(), 1));
}

#[test]
fn what_is_forgotten_is_in_no_read_out() {
    let (journal, _time) = journal(1 << 16);
    journal.record(&blocked(NAME));
    journal.record(&Outcome {
        device: "phone",
        ..outcome("www.example.org")
    });
    journal.forget(Some("tablet"));
    let read = everything(&journal);
    assert!(!read.contains(NAME) && !read.contains("tablet"));
    assert!(read.contains("www.example.org"));
    let page = journal.log(Some(0), 10, &LogFilter::default());
    assert_eq!((page.entries.len(), page.next_after), (1, 2));
    journal.forget(None);
    assert!(!everything(&journal).contains("www.example.org"));
    assert_eq!(journal.totals().queries, 2);
    journal.record(&blocked(NAME));
    let page = journal.log(None, 10, &LogFilter::default());
    assert_eq!(page.entries[0].seq, 3);
}

#[test]
fn a_million_random_names_stay_within_the_bound() {
    const MAX_BYTES: u64 = 256 * 1024;
    let (journal, _time) = journal(MAX_BYTES);
    let empty = journal.memory_bytes();
    let mut state = 1u64;
    for _ in 0..1_000_000 {
        // xorshift64: all that is wanted is names that do not repeat.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        journal.record(&outcome(&format!("{state:x}.example.org")));
    }
    let held = journal.memory_bytes();
    assert!(
        held as u64 <= empty as u64 + MAX_BYTES + 4096,
        "{held} bytes, {empty} before"
    );
    assert_eq!(journal.totals().queries, 1_000_000);
    let page = journal.log(None, 1000, &LogFilter::default());
    assert_eq!(page.entries.len(), 1000);
    assert_eq!(page.next_after, 1_000_000);
    journal.set_max_bytes(MAX_BYTES / 4);
    assert!(journal.memory_bytes() as u64 <= empty as u64 + MAX_BYTES / 4 + 4096);
    assert_eq!(
        journal.log(None, 1, &LogFilter::default()).next_after,
        1_000_000
    );
}

#[test]
fn workers_record_side_by_side() {
    let (journal, _time) = journal(1 << 14);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| journal.record(&blocked(NAME))));
        }
        for _ in 0..20 {
            let page = journal.log(None, 50, &LogFilter::default());
            assert!(page.entries.windows(2).all(|e| e[0].seq + 1 == e[1].seq));
        }
    });
    let totals = journal.totals();
    assert_eq!(totals.queries, 4000);
    let expected = BTreeMap::from([("allow", 0), ("block", 4000), ("rewrite", 0)]);
    let verdicts: BTreeMap<_, _> = totals
        .verdicts
        .iter()
        .map(|(k, v)| (k.as_str(), *v))
        .collect();
    assert_eq!(verdicts, expected);
}
