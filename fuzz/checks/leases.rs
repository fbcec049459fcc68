//! What holds for any bytes given to the readers of lease files.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

use std::collections::BTreeSet;

use hedgerow::device::lease::MAX_CLIENT_ID;
use hedgerow::device::neighbours::MAX_LEASES;
use hedgerow::evidence::leases::{Faults, KEPT_FAULTS, read_ethers, read_leases};

/// A moment at which clocks can be believed.
const NOW: u64 = 1_795_000_000;

/// No reader panics; what one understood is bounded, holds now, says one thing of each address; what
/// none understood is told without a character that a terminal would act on.
pub(crate) fn check(bytes: &[u8]) {
    for now in [0, NOW] {
        let reading = read_leases(bytes, now);
        assert!(reading.leases.len() <= MAX_LEASES);
        let mut addresses = BTreeSet::new();
        for lease in &reading.leases {
            assert!(addresses.insert(lease.address), "{lease:?}");
            let address = lease.address;
            assert!(!address.is_loopback() && !address.is_multicast() && !address.is_unspecified());
            assert!(lease.ends.is_none_or(|ends| ends > now));
            let id = lease.client_id.as_deref();
            assert!(id.is_none_or(|id| (1..=MAX_CLIENT_ID).contains(&id.len())));
        }
        check_faults(&reading.faults, bytes);
        if reading.format.is_none() {
            assert!(reading.leases.is_empty());
        }
    }
    let ethers = read_ethers(bytes);
    assert!(ethers.addresses.len() + ethers.names.len() <= MAX_LEASES);
    check_faults(&ethers.faults, bytes);
}

fn check_faults(faults: &Faults, bytes: &[u8]) {
    assert_eq!(faults.first.len(), faults.count.min(KEPT_FAULTS));
    let lines = bytes.iter().filter(|octet| **octet == b'\n').count() + 1;
    assert!(
        faults
            .first
            .iter()
            .all(|(line, _)| (1..=lines).contains(line))
    );
    let text = faults.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
