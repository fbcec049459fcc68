//! How much of finished answers waits to be taken, and for whom.
//!
//! A little waits for each client whatever others do, so that ordinary answers always find room. The
//! rest is one room for all, which counts twice for whom it is used: nobody has more of it than he leaves to
//! everybody else. All addresses of one machine are one there, since a laptop has as many as it likes; but
//! each has its little, since a repeater lends its MAC address to those behind it.

use std::collections::HashMap;

use crate::limit::Client;

/// Octets of finished answers that no client has taken yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Of all, beyond each client's little.
    all: usize,
    /// The same of each machine; none has 0.
    machines: HashMap<Client, usize>,
    /// All of each client of a machine; none has 0.
    clients: HashMap<Party, usize>,
}

/// Whom something waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Party {
    pub(super) machine: Client,
    pub(super) client: Client,
}

/// Octets that always find room for one client; of the others so many are there on average for each
/// connection there may be.
pub(super) const HELD_FOR_EACH: usize = 4096;
/// Those in all, where connections are few: whoever waits for an answer of the greatest length leaves
/// as much to others.
const LEAST_HELD: usize = 2 << 16;

/// Octets there is room for beyond each client's little, where there may be so many connections.
pub(super) fn room(connections: usize) -> usize {
    connections.saturating_mul(HELD_FOR_EACH).max(LEAST_HELD)
}

impl Waiting {
    /// Whether another answer of `octets` may wait for `party`, which is counted then: what waits for
    /// its machine already, and this one, must be no more of `room` than is left without them.
    pub(super) fn add(&mut self, party: Party, octets: usize, room: usize) -> bool {
        let before = self.clients.get(&party).copied().unwrap_or(0);
        let after = before.saturating_add(octets);
        let more = beyond(after) - beyond(before);
        let own = self.machines.get(&party.machine).copied().unwrap_or(0);
        let needed = self.all.saturating_add(own).saturating_add(more);
        let fits = more == 0 || needed <= room;
        if fits && octets > 0 {
            self.clients.insert(party, after);
            if more > 0 {
                self.all += more;
                self.machines.insert(party.machine, own + more);
            }
        }
        fits
    }

    /// Gives back what was counted for `party`.
    pub(super) fn remove(&mut self, party: Party, octets: usize) {
        let Some(client) = self.clients.get_mut(&party) else {
            return;
        };
        let less = beyond(*client) - beyond(*client - octets);
        *client -= octets;
        if *client == 0 {
            self.clients.remove(&party);
        }
        self.all -= less;
        if let Some(own) = self.machines.get_mut(&party.machine) {
            *own -= less;
            if *own == 0 {
                self.machines.remove(&party.machine);
            }
        }
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all == 0 && self.machines.is_empty() && self.clients.is_empty()
    }
}

/// What of a client's `octets` is more than its little.
const fn beyond(octets: usize) -> usize {
    octets.saturating_sub(HELD_FOR_EACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> Client {
        Client::Address([192, 0, 2, last].into())
    }

    /// A laptop that took nothing at each of many addresses once used up what there is for all.
    #[test]
    fn all_addresses_of_one_machine_share_what_it_has() {
        let room = room(64);
        let mut waiting = Waiting::default();
        let laptop = Client::Machine(crate::mac::Mac::new([2, 0, 0, 0, 0, 1]).unwrap());
        let mut taken = Vec::new();
        for last in 1..=60 {
            let client = at(last);
            let party = Party {
                machine: laptop,
                client,
            };
            for octets in [4096, 30_000, 4096] {
                if waiting.add(party, octets, room) {
                    taken.push((party, octets));
                }
            }
        }
        assert!(waiting.all <= room.midpoint(30_000), "{}", waiting.all);
        // Each of those behind one machine has its little.
        assert_eq!(waiting.clients.len(), 60);
        let phone = Party {
            machine: at(99),
            client: at(99),
        };
        assert!(waiting.add(phone, 65_537, room), "a phone's longest answer");
        waiting.remove(phone, 65_537);
        for (party, octets) in taken {
            waiting.remove(party, octets);
        }
        assert!(waiting.is_empty());
    }
}
