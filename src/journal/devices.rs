//! Statistics for each device: how much, how much blocked and for what, last seen.

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::ToSchema;

use super::words::Words;
use crate::clock::Moment;

/// What one device did since the start, as read out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct DeviceStatistics {
    /// The device, or `others` for all that found no place of their own.
    pub device: String,
    /// Its queries.
    pub queries: u64,
    /// Those that were blocked.
    pub blocked: u64,
    /// Blocked queries by category or kind of rule, the most frequent first.
    pub blocked_by: Vec<CategoryCount>,
    /// Its last query, RFC 3339.
    pub last_seen: Option<String>,
}

/// How often one category was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
pub struct CategoryCount {
    /// The category or the kind of rule.
    pub category: String,
    /// How often.
    pub count: u64,
}

/// Devices with a place of their own; the rest share `others`.
const MAX_DEVICES: u16 = 1024;

/// Categories kept apart for one device; the rest share `other`.
const MAX_CATEGORIES: usize = 32;

/// The table of all devices seen.
#[derive(Debug)]
pub(super) struct DeviceTable {
    words: Words,
    rows: Vec<Row>,
    others: Row,
}

#[derive(Clone, Debug, Default)]
struct Row {
    queries: u64,
    blocked: u64,
    blocked_by: Vec<(&'static str, u64)>,
    last_seen: Moment,
}

impl DeviceTable {
    pub(super) fn new() -> Self {
        Self {
            words: Words::new(MAX_DEVICES),
            rows: Vec::new(),
            others: Row::default(),
        }
    }

    /// Counts a query of `device`; `blocked_for` is the reason if it was blocked.
    pub(super) fn add(
        &mut self,
        device: &'static str,
        at: Moment,
        blocked_for: Option<&'static str>,
    ) {
        let row = match self.words.id(device) {
            Some(id) => {
                let place = usize::from(id);
                if self.rows.len() <= place {
                    self.rows.resize(place + 1, Row::default());
                }
                &mut self.rows[place]
            }
            None => &mut self.others,
        };
        row.queries += 1;
        row.last_seen = row.last_seen.max(at);
        if let Some(category) = blocked_for {
            row.blocked += 1;
            row.count_category(category);
        }
    }

    /// Reads out every device that asked something.
    pub(super) fn read(&self, wall: impl Fn(Moment) -> String) -> Vec<DeviceStatistics> {
        let names = self.words.list().iter().copied().chain(["others"]);
        let rows = self.rows.iter().chain([&self.others]);
        names
            .zip(rows)
            .filter(|(_, row)| row.queries > 0)
            .map(|(device, row)| row.read(device, &wall))
            .collect()
    }

    /// Forgets one device, or all.
    pub(super) fn forget(&mut self, device: Option<&str>) {
        match device {
            None => {
                self.rows.fill(Row::default());
                self.others = Row::default();
            }
            Some(device) => {
                let known = self.words.list().iter().position(|&word| word == device);
                if let Some(row) = known.and_then(|place| self.rows.get_mut(place)) {
                    *row = Row::default();
                }
            }
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let categories: usize = self
            .rows
            .iter()
            .chain([&self.others])
            .map(|row| row.blocked_by.capacity() * size_of::<(&str, u64)>())
            .sum();
        self.words.memory_bytes() + self.rows.capacity() * size_of::<Row>() + categories
    }
}

impl Row {
    fn count_category(&mut self, category: &'static str) {
        let known = self
            .blocked_by
            .iter_mut()
            .find(|(name, _)| *name == category);
        if let Some((_, count)) = known {
            *count += 1;
        } else if self.blocked_by.len() < MAX_CATEGORIES {
            self.blocked_by.push((category, 1));
        } else {
            // The last place turns into what all further ones share.
            self.blocked_by[MAX_CATEGORIES - 1].0 = "other";
            self.blocked_by[MAX_CATEGORIES - 1].1 += 1;
        }
    }

    fn read(&self, device: &str, wall: impl Fn(Moment) -> String) -> DeviceStatistics {
        let mut blocked_by: Vec<_> = self
            .blocked_by
            .iter()
            .map(|&(category, count)| CategoryCount {
                category: category.to_owned(),
                count,
            })
            .collect();
        blocked_by.sort_by(|a, b| b.count.cmp(&a.count).then(a.category.cmp(&b.category)));
        DeviceStatistics {
            device: device.to_owned(),
            queries: self.queries,
            blocked: self.blocked,
            blocked_by,
            last_seen: Some(wall(self.last_seen)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intern::intern;

    #[test]
    fn devices_beyond_the_bound_share_one_row() {
        let mut table = DeviceTable::new();
        for number in 0..u32::from(MAX_DEVICES) + 10 {
            table.add(intern(&format!("bound-{number}")), Moment::default(), None);
        }
        let read = table.read(|_| String::new());
        assert_eq!(read.len(), usize::from(MAX_DEVICES) + 1);
        let others = read.last().unwrap();
        assert_eq!((others.device.as_str(), others.queries), ("others", 10));
    }

    #[test]
    fn categories_beyond_the_bound_share_one_count() {
        let mut table = DeviceTable::new();
        for number in 0..MAX_CATEGORIES + 3 {
            let category = intern(&format!("category-{number:02}"));
            table.add("tablet", Moment::default(), Some(category));
        }
        let read = table.read(|_| String::new());
        assert_eq!(read[0].blocked_by.len(), MAX_CATEGORIES);
        assert_eq!(read[0].blocked_by[0].category, "other");
        assert_eq!(read[0].blocked_by[0].count, 4);
    }

    #[test]
    fn a_forgotten_device_is_gone_and_may_come_back() {
        let mut table = DeviceTable::new();
        table.add("tablet", Moment::default(), Some("adult"));
        table.add("phone", Moment::default(), None);
        table.forget(Some("tablet"));
        let read = table.read(|_| String::new());
        assert_eq!(read.len(), 1);
        table.add("tablet", Moment::default(), None);
        assert_eq!(table.read(|_| String::new())[0].blocked_by, []);
    }
}
