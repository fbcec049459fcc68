//! The seeds of the fuzz targets, run as plain tests.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use hedgerow::evidence::leases::read_leases;

#[path = "../fuzz/checks/config.rs"]
mod config;
#[path = "../fuzz/checks/delta.rs"]
mod delta;
#[cfg(feature = "dnssec")]
#[path = "../fuzz/checks/dnssec.rs"]
mod dnssec;
#[path = "../fuzz/checks/leases.rs"]
mod leases;
#[path = "../fuzz/checks/list_line.rs"]
mod list_line;
#[path = "../fuzz/checks/message.rs"]
mod message;
#[path = "../fuzz/checks/netlink.rs"]
mod netlink;
#[path = "../fuzz/checks/proxy.rs"]
mod proxy;
#[path = "../fuzz/checks/sections.rs"]
mod sections;

/// Runs `check` over the seeds of a target and says how many there were.
fn run(target: &str, check: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut count = 0;
    for seed in std::fs::read_dir(folder.join(target)).unwrap() {
        let path = seed.unwrap().path();
        // Shown when the check fails.
        println!("{}", path.display());
        check(&std::fs::read(path).unwrap());
        count += 1;
    }
    count
}

#[test]
fn list_line() {
    assert!(run("list_line", list_line::check) >= 60);
}

#[test]
fn lease_files() {
    assert!(run("leases", leases::check) >= 15);
}

/// What servers wrote for one client that asked them in a namespace of its own: dnsmasq 2.90, Kea
/// 2.2.0, ISC dhcpd 4.4.3.
#[test]
fn what_real_servers_wrote_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/leases");
    for (file, format, expected) in [
        (
            "dnsmasq-2.90",
            "dnsmasq",
            &["192.0.2.57", "2001:db8:77::5a"][..],
        ),
        ("kea4-2.2", "Kea", &["192.0.2.50"]),
        ("kea6-2.2", "Kea", &["2001:db8:77::50"]),
        ("isc4-4.4.3", "ISC dhcpd", &["192.0.2.50"]),
        ("isc6-4.4.3", "ISC dhcpd", &["2001:db8:77::60"]),
    ] {
        let reading = read_leases(&std::fs::read(folder.join(file)).unwrap(), 1_795_337_000);
        assert_eq!(reading.format.unwrap().label(), format, "{file}");
        assert_eq!(reading.faults.count, 0, "{file}: {}", reading.faults);
        let addresses: Vec<_> = reading
            .leases
            .iter()
            .map(|it| it.address.to_string())
            .collect();
        assert_eq!(addresses, expected, "{file}");
        for lease in &reading.leases {
            assert_eq!(lease.mac, "02:00:5e:10:00:01".parse().ok(), "{file}");
            let name = lease.host_name.as_ref().map(ToString::to_string);
            // ISC's file of IPv6 leases holds no names.
            let expected = (file != "isc6-4.4.3").then(|| "mias-tablet".to_owned());
            assert_eq!(name, expected, "{file}");
            let hour = 1_795_340_000..1_795_341_000;
            assert!(
                lease.ends.is_some_and(|ends| hour.contains(&ends)),
                "{file}"
            );
        }
    }
}

#[test]
fn deltas() {
    let applied = AtomicUsize::new(0);
    let count = run("delta", |bytes| {
        applied.fetch_add(usize::from(delta::applies(bytes)), Ordering::Relaxed);
    });
    assert!(count >= 16, "{count}");
    // Those that are right still are.
    assert!(applied.into_inner() >= 5);
}

#[test]
fn messages() {
    assert!(run("message", message::check) >= 30);
}

#[cfg(feature = "dnssec")]
#[test]
fn signed_messages() {
    assert!(run("dnssec", dnssec::check) >= 10);
    // What is damaged elsewhere is so here.
    assert!(run("message", dnssec::check) >= 30);
}

#[test]
fn netlink() {
    assert!(run("netlink", netlink::check) >= 10);
}

#[test]
fn proxy_headers() {
    assert!(run("proxy", proxy::check) >= 18);
}

#[test]
fn sections() {
    assert!(run("sections", sections::check) >= 25);
}

#[test]
fn configurations() {
    assert!(run("config", config::check) >= 15);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

    /// A seed with a few octets changed, removed or put in: where parsers break.
    #[test]
    fn damaged_messages(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        message::check(&damaged("message", seed, &changes));
    }

    /// The same for what the kernel tells.
    #[test]
    fn damaged_netlink(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        netlink::check(&damaged("netlink", seed, &changes));
    }

    /// The same for what load balancers say.
    #[test]
    fn damaged_proxy_headers(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        proxy::check(&damaged("proxy", seed, &changes));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    /// The same for lists.
    #[test]
    fn damaged_lists(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        list_line::check(&damaged("list_line", seed, &changes));
    }

    /// The same for deltas.
    #[test]
    fn damaged_deltas(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        delta::check(&damaged("delta", seed, &changes));
    }

    /// The same for files of leases.
    #[test]
    fn damaged_leases(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        leases::check(&damaged("leases", seed, &changes));
    }

    /// Octets from nowhere.
    #[test]
    fn any_leases(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        leases::check(&octets);
    }

    /// The same for what stands in an index beside the names.
    #[test]
    fn damaged_sections(
        seed in 0_usize..1000,
        changes in proptest::collection::vec((proptest::num::u16::ANY, proptest::num::u8::ANY, 0_u8..3), 0..6),
    ) {
        sections::check(&damaged("sections", seed, &changes));
    }
}

/// A seed of a target with a few octets changed, removed or put in.
fn damaged(target: &str, seed: usize, changes: &[(u16, u8, u8)]) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut bytes = std::fs::read(&paths[seed % paths.len()]).unwrap();
    for (at, value, kind) in changes {
        let at = usize::from(*at) % (bytes.len() + 1);
        match kind {
            0 => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet = *value;
                }
            }
            1 => bytes.insert(at, *value),
            _ => drop((at < bytes.len()).then(|| bytes.remove(at))),
        }
    }
    bytes
}
