//! What was asked for most, out of the log.
//!
//! Nothing is counted beforehand: whoever wants a ranking pays for it, and what the log must not
//! hold can't turn up in a ranking either.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::ToSchema;

use super::record::Record;
use super::{Action, UNNAMED};

/// Rankings over what the log still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct Top {
    /// The oldest entry that counts, RFC 3339; none if the log is empty.
    pub since: Option<String>,
    /// Entries looked at.
    pub queries: u64,
    /// Those that were blocked.
    pub blocked: u64,
    /// Names let through, the most frequent first.
    pub allowed_names: Vec<Ranked>,
    /// Names blocked or replaced.
    pub blocked_names: Vec<Ranked>,
    /// Devices by queries.
    pub devices: Vec<Ranked>,
    /// Categories by blocked queries.
    pub categories: Vec<Ranked>,
}

/// One place in a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct Ranked {
    /// The name, device or category.
    pub name: String,
    /// How often, at least.
    pub count: u64,
}

/// Names kept in mind at once; a flood of random names costs no more than this.
const MAX_KEYS: usize = 4096;

/// Counts entries one by one.
#[derive(Debug)]
pub(super) struct Ranking {
    top: Top,
    allowed: Frequent,
    blocked: Frequent,
    devices: HashMap<&'static str, u64>,
    categories: HashMap<&'static str, u64>,
}

impl Ranking {
    pub(super) fn new() -> Self {
        Self {
            top: Top::default(),
            allowed: Frequent::new(MAX_KEYS),
            blocked: Frequent::new(MAX_KEYS),
            devices: HashMap::new(),
            categories: HashMap::new(),
        }
    }

    /// Counts `record`.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        self.top.queries += 1;
        *self.devices.entry(record.device).or_default() += 1;
        let names = match record.action {
            Action::Allow => &mut self.allowed,
            Action::Block | Action::Rewrite => &mut self.blocked,
        };
        if let Some(details) = &record.details {
            names.add(details.qname.as_wire());
        }
        if record.action == Action::Block {
            self.top.blocked += 1;
            *self.categories.entry(record.label).or_default() += 1;
        }
    }

    /// The first `limit` places of each ranking.
    pub(super) fn finish(self, since: Option<String>, limit: usize) -> Top {
        let words = |counts: HashMap<&'static str, u64>| {
            let named = counts.into_iter().map(|(name, count)| Ranked {
                name: name.to_owned(),
                count,
            });
            first_places(named.collect(), limit)
        };
        Top {
            since,
            allowed_names: first_places(self.allowed.read(), limit),
            blocked_names: first_places(self.blocked.read(), limit),
            devices: words(self.devices),
            categories: words(self.categories),
            ..self.top
        }
    }
}

fn first_places(mut all: Vec<Ranked>, limit: usize) -> Vec<Ranked> {
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    all.truncate(limit);
    all
}

/// The most frequent of any number of keys, in bounded memory (Misra and Gries, 1982).
///
/// When a new key finds no room, every count falls by one and keys at zero leave. With room for
/// two, `a b a c a` goes `a1`, `a1 b1`, `a2 b1`, then `c` takes one from each: `a1`, then `a2`. A
/// key asked for more than one time in `capacity` is always there, with a count that is never too
/// high. Up to `capacity` different keys all counts are exact.
#[derive(Debug)]
struct Frequent {
    counts: HashMap<Box<[u8]>, u64>,
    capacity: usize,
}

impl Frequent {
    fn new(capacity: usize) -> Self {
        Self {
            counts: HashMap::new(),
            capacity,
        }
    }

    fn add(&mut self, key: &[u8]) {
        if let Some(count) = self.counts.get_mut(key) {
            *count += 1;
        } else if self.counts.len() < self.capacity {
            self.counts.insert(key.into(), 1);
        } else {
            self.counts.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    fn read(self) -> Vec<Ranked> {
        self.counts
            .into_iter()
            .map(|(wire, count)| Ranked {
                name: crate::name::NameRef::from_wire(&wire)
                    .map_or_else(|_| UNNAMED.to_owned(), |name| name.to_string()),
                count,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_does_not_push_out_what_is_frequent() {
        let mut frequent = Frequent::new(16);
        for number in 0..10_000u32 {
            frequent.add(b"\x05often\x00");
            frequent.add(&[&[4][..], &number.to_be_bytes(), &[0]].concat());
        }
        assert!(frequent.counts.len() <= 16);
        let places = first_places(frequent.read(), 1);
        assert_eq!(places[0].name, "often");
        assert!(places[0].count <= 10_000 && places[0].count > 8_000);
    }
}
