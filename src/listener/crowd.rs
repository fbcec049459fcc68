//! Places counted group by group, so that it is known at once which group holds most.
//!
//! Each place is in a group, which is in a wider one, and so on up to all. What is asked is never more
//! than "which of the groups within this one holds most", and that is the last entry of an ordered set
//! ([`Crowd::largest`]): a place is taken, given back and taken away in some steps for each width, however
//! many there are. A flood that is refused would otherwise cost a look at all of them each time.
//!
//! Two machines, one of which has two addresses:
//!
//! ```text
//! all 4 ── known 4 ─┬─ machine A 3 ─┬─ address 1: 2
//!                   │               └─ address 2: 1
//!                   └─ machine B 1 ─── address 3: 1
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::hash::{Map, map};
use crate::limit::Client;

/// Places by who holds them.
#[derive(Debug)]
pub(super) struct Crowd {
    /// By their numbers; that of a group that is gone is given to another.
    groups: Vec<Group>,
    unused: Vec<Id>,
    /// What is in a group, by what it is called.
    by_label: Map<(Id, Label), Id>,
    /// What is in a group, by how much it holds.
    by_rank: BTreeSet<(Id, Rank, Id)>,
    /// Those who hold a place, told when somebody else needs it; of each narrowest group the oldest first.
    seats: BTreeMap<Seat, Arc<Notify>>,
    /// How many places were ever taken.
    so_far: u64,
}

/// What tells a group from others in the same wider one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Label {
    /// Those whom we know by name, address or MAC address.
    Known,
    /// Those who have not said yet who they are.
    Strangers,
    /// Strangers from networks that are so well known.
    Familiar(u8),
    /// One client, one machine, or one network.
    Party(Client),
}

/// A group.
#[derive(Debug)]
struct Group {
    within: Id,
    label: Label,
    rank: Rank,
}

/// The number of a group.
type Id = u32;

/// All.
const ALL: Id = 0;

/// How much a group holds. Of several with as many that one ranks first to which nobody came for longest:
/// who is new may yet show who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    count: u32,
    latest: Reverse<u64>,
}

impl Rank {
    /// That of a group without places.
    const NONE: Self = Self {
        count: 0,
        latest: Reverse(u64::MAX),
    };
    /// The greatest.
    const MOST: Self = Self {
        count: u32::MAX,
        latest: Reverse(0),
    };
}

/// One place that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    /// The narrowest group it is in.
    group: Id,
    /// Which of all it was.
    number: u64,
}

impl Default for Crowd {
    fn default() -> Self {
        let all = Group {
            within: ALL,
            label: Label::Known,
            rank: Rank::NONE,
        };
        Self {
            groups: vec![all],
            unused: Vec::new(),
            by_label: map(),
            by_rank: BTreeSet::new(),
            seats: BTreeMap::new(),
            so_far: 0,
        }
    }
}

impl Crowd {
    /// How many places are taken.
    pub(super) fn count(&self) -> usize {
        self.seats.len()
    }

    /// How many the group at `path` holds, which leads to it from the widest group.
    pub(super) fn count_at(&self, path: &[Label]) -> usize {
        self.find(path).map_or(0, |id| self.count_of(id))
    }

    /// Takes a place in the group at `path`; `give_up` is told when it is to be given up.
    pub(super) fn add(&mut self, path: &[Label], give_up: Arc<Notify>) -> Seat {
        let mut group = ALL;
        for label in path {
            group = match self.by_label.get(&(group, *label)) {
                Some(id) => *id,
                None => self.open(group, *label),
            };
        }
        self.so_far += 1;
        let number = self.so_far;
        self.change_up(group, |rank| Rank {
            count: rank.count + 1,
            latest: Reverse(number),
        });
        let seat = Seat { group, number };
        self.seats.insert(seat, give_up);
        seat
    }

    /// Gives a place back; none if it was given up before.
    pub(super) fn remove(&mut self, seat: Seat) -> Option<Arc<Notify>> {
        let give_up = self.seats.remove(&seat)?;
        self.change_up(seat.group, |rank| Rank {
            count: rank.count - 1,
            ..rank
        });
        Some(give_up)
    }

    /// Takes `seat` away from whoever holds it.
    pub(super) fn evict(&mut self, seat: Seat) {
        if let Some(give_up) = self.remove(seat) {
            give_up.notify_one();
        }
    }

    /// The oldest place of the group at `path`, within which there are no others.
    pub(super) fn oldest_at(&self, path: &[Label]) -> Option<Seat> {
        self.oldest(self.find(path)?)
    }

    /// The place that is given up for one more at `path`, one of a stranger's: at each width it is one of
    /// the group that would hold most.
    pub(super) fn stranger_for(&self, path: &[Label]) -> Option<Seat> {
        let mut group = self.find(&[Label::Strangers])?;
        // Where the newcomer would be, as long as that is in the group that is looked at.
        let mut own = path.strip_prefix(&[Label::Strangers]);
        while let Some((most, largest)) = self.largest(group) {
            let next = own.and_then(|own| own.split_first());
            let its = next.and_then(|(label, _)| self.by_label.get(&(group, *label)).copied());
            let would_hold = |id| {
                let rank = self.rank(id);
                let count = rank.count + 1;
                (Rank { count, ..rank } > most).then_some(id)
            };
            group = its.and_then(would_hold).unwrap_or(largest);
            own = next.map(|(_, rest)| rest).filter(|_| its == Some(group));
        }
        self.oldest(group)
    }

    /// The place that is given up for one more of `client`, which is one of `machine`'s, where it is known
    /// who everybody is: that machine's which has most, if it has more than the newcomer's would have, or
    /// else one of his own machine's, by the same rule. Others may stand behind the same: a repeater lends
    /// them its MAC address.
    pub(super) fn known_for(&self, machine: Client, client: Client) -> Option<Seat> {
        let known = self.find(&[Label::Known])?;
        let machine = [Label::Known, Label::Party(machine)];
        let (most, largest) = self.largest(known)?;
        if most.count as usize > self.count_at(&machine) + 1 {
            let (_, client) = self.largest(largest)?;
            return self.oldest(client);
        }
        let machine = self.find(&machine)?;
        let own = self.by_label.get(&(machine, Label::Party(client)));
        let own = own.map_or(0, |id| self.count_of(*id));
        let (most, client) = self.largest(machine)?;
        (most.count as usize > own + 1)
            .then(|| self.oldest(client))
            .flatten()
    }

    /// The one within `group` that holds most, and how much; none if there is none within it.
    fn largest(&self, group: Id) -> Option<(Rank, Id)> {
        let within = (group, Rank::NONE, 0)..=(group, Rank::MOST, Id::MAX);
        let (_, rank, id) = self.by_rank.range(within).next_back()?;
        Some((*rank, *id))
    }

    fn oldest(&self, group: Id) -> Option<Seat> {
        let all = Seat { group, number: 0 }..=Seat {
            group,
            number: u64::MAX,
        };
        self.seats.range(all).next().map(|(seat, _)| *seat)
    }

    fn find(&self, path: &[Label]) -> Option<Id> {
        path.iter().try_fold(ALL, |group, label| {
            self.by_label.get(&(group, *label)).copied()
        })
    }

    fn rank(&self, group: Id) -> Rank {
        let group = self.groups.get(group as usize);
        group.map_or(Rank::NONE, |group| group.rank)
    }

    fn count_of(&self, group: Id) -> usize {
        self.rank(group).count as usize
    }

    /// A new group within another, which holds nothing yet.
    fn open(&mut self, within: Id, label: Label) -> Id {
        let group = Group {
            within,
            label,
            rank: Rank::NONE,
        };
        let id = match self.unused.pop() {
            Some(id) => {
                self.groups[id as usize] = group;
                id
            }
            None => {
                self.groups.push(group);
                (self.groups.len() - 1) as Id
            }
        };
        self.by_label.insert((within, label), id);
        id
    }

    /// Changes the ranks of a group and of all wider ones; those that hold nothing any more are gone.
    fn change_up(&mut self, mut id: Id, change: impl Fn(Rank) -> Rank) {
        loop {
            let group = &mut self.groups[id as usize];
            let (before, after) = (group.rank, change(group.rank));
            group.rank = after;
            if id == ALL {
                return;
            }
            let (within, label) = (group.within, group.label);
            self.by_rank.remove(&(within, before, id));
            if after.count > 0 {
                self.by_rank.insert((within, after, id));
            } else {
                self.by_label.remove(&(within, label));
                self.unused.push(id);
            }
            id = within;
        }
    }

    /// Whether nothing is kept of those that are gone.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
            && self.by_label.is_empty()
            && self.by_rank.is_empty()
            && self.unused.len() + 1 == self.groups.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;

    fn at(number: u32) -> Client {
        Client::Address(std::net::Ipv4Addr::from(number).into())
    }

    fn path(machine: u32, client: u32) -> [Label; 3] {
        let [machine, client] = [machine, client].map(|it| Label::Party(at(it)));
        [Label::Known, machine, client]
    }

    /// A refusal, and a choice whom to displace, once cost a look at all connections.
    #[test]
    fn a_choice_among_many_costs_little_more_than_among_few() {
        let clock = Clock::system();
        let cost = |count: u32| {
            let mut crowd = Crowd::default();
            for number in 0..count {
                crowd.add(&path(number, number), Arc::default());
            }
            let mut least = Duration::MAX;
            for _ in 0..5 {
                let start = clock.now();
                for number in 0..100 {
                    // One who has as many as each, and one who has most.
                    assert_eq!(crowd.known_for(at(number), at(number)), None);
                    let more = crowd.add(&path(count, number), Arc::default());
                    let most = crowd.add(&path(count, number), Arc::default());
                    assert_eq!(crowd.known_for(at(count + 1), at(count + 1)), Some(more));
                    crowd.evict(more);
                    assert!(crowd.remove(more).is_none());
                    crowd.evict(most);
                }
                least = least.min(clock.now().since(start));
            }
            assert_eq!(crowd.count(), count as usize);
            least
        };
        let (few, many) = (cost(64), cost(65_536));
        // A look at all would be a thousand times as much.
        assert!(
            many < 50 * few.max(Duration::from_micros(20)),
            "{few:?} among 64, {many:?} among 65,536"
        );
    }

    #[test]
    fn nothing_is_kept_of_those_that_are_gone() {
        let mut crowd = Crowd::default();
        for _ in 0..3 {
            let seats = [(1, 1), (1, 2), (2, 3), (1, 1)]
                .map(|(machine, client)| crowd.add(&path(machine, client), Arc::default()));
            assert_eq!(crowd.count_at(&path(1, 1)), 2);
            assert_eq!(crowd.count_at(&path(1, 1)[..2]), 3);
            assert_eq!(crowd.oldest_at(&path(1, 1)), Some(seats[0]));
            for seat in seats {
                assert!(crowd.remove(seat).is_some());
            }
            assert!(crowd.is_empty());
            assert_eq!(crowd.groups.len(), 7);
        }
    }
}
