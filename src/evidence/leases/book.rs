//! Leases while a file is being read: the later word about an address counts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::device::Lease;
use crate::device::neighbours::MAX_LEASES;

/// Leases by address.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// With their places in the order of the file.
    entries: BTreeMap<IpAddr, (usize, Lease)>,
    next: usize,
    left_out: usize,
}

impl Book {
    /// Enters a lease in place of what was said of its address before.
    pub(super) fn put(&mut self, lease: Lease) {
        let before = self.entries.get(&lease.address);
        if before.is_none() && self.entries.len() >= MAX_LEASES {
            self.left_out += 1;
            return;
        }
        // A lease that is renewed stays where it was.
        let place = match before {
            Some((place, old)) if old.mac == lease.mac => *place,
            _ => {
                self.next += 1;
                self.next
            }
        };
        self.entries.insert(lease.address, (place, lease));
    }

    /// Takes out what was said of an address.
    pub(super) fn remove(&mut self, address: IpAddr) {
        self.entries.remove(&address);
    }

    /// The leases that hold at `now`, and how many there was no room for.
    pub(super) fn into_leases(self, now: u64) -> (Vec<Lease>, usize) {
        let mut entries: Vec<_> = self.entries.into_values().collect();
        entries.sort_unstable_by_key(|(place, _)| *place);
        let holding = entries.into_iter().filter_map(|(_, mut lease)| {
            lease.ends = lease.ends.filter(|ends| *ends >= PLAUSIBLE);
            let is_over = now >= PLAUSIBLE && lease.ends.is_some_and(|ends| ends <= now);
            (!is_over).then_some(lease)
        });
        (holding.collect(), self.left_out)
    }
}

/// 2020-01-01, before which nobody ran this. A clock that shows less was never set; an end that is
/// less is none: the server's clock was not set when it wrote, or it writes how long the lease runs,
/// as dnsmasq does where it is built for machines without a clock.
const PLAUSIBLE: u64 = 1_577_836_800;

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, lease};
    use super::*;

    fn held(now: u64, ends: Option<u64>) -> Vec<Lease> {
        let mut book = Book::default();
        book.put(lease("192.0.2.7", None, None, ends));
        book.into_leases(now).0
    }

    #[test]
    fn what_is_over_is_left_out_where_clocks_can_be_believed() {
        assert_eq!(held(NOW, Some(NOW)), []);
        assert_eq!(held(NOW, Some(NOW + 1)).len(), 1);
        assert_eq!(held(NOW, None).len(), 1);
        // Our clock was never set.
        assert_eq!(held(90, Some(NOW)).len(), 1);
        // The server's was not, or it wrote a length.
        assert_eq!(
            held(NOW, Some(43_200)),
            [lease("192.0.2.7", None, None, None)]
        );
    }

    #[test]
    fn the_later_word_counts_and_a_renewed_lease_stays_where_it_was() {
        let mut book = Book::default();
        let (one, two) = (Some("02:00:5e:10:00:01"), Some("02:00:5e:10:00:02"));
        book.put(lease("192.0.2.7", one, None, None));
        book.put(lease("192.0.2.8", two, None, None));
        book.put(lease("192.0.2.9", two, None, None));
        book.put(lease("192.0.2.7", one, Some("tablet"), None));
        book.put(lease("192.0.2.8", one, None, None));
        book.put(lease("192.0.2.10", two, None, None));
        book.remove("192.0.2.10".parse().unwrap());
        assert_eq!(
            book.into_leases(NOW).0,
            [
                lease("192.0.2.7", one, Some("tablet"), None),
                lease("192.0.2.9", two, None, None),
                lease("192.0.2.8", one, None, None),
            ]
        );
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut book = Book::default();
        for number in 0..MAX_LEASES as u32 + 3 {
            let address = IpAddr::from((0x0a00_0001 + number).to_be_bytes());
            book.put(lease(&address.to_string(), None, None, None));
        }
        let (leases, left_out) = book.into_leases(NOW);
        assert_eq!((leases.len(), left_out), (MAX_LEASES, 3));
    }
}
