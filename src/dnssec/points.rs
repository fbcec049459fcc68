//! What was found out about names on the way from a trust anchor to an answer, by time and by bytes.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::fault::Fault;
use super::key::Key;
use crate::clock::Moment;
use crate::name::NameRef;

/// What a name is to the chain of trust.
#[derive(Clone, Debug)]
pub(super) enum Point {
    /// The top of a signed zone, and its keys.
    Zone(Arc<[Key]>),
    /// From here on nothing is signed, by proof; with the Extended DNS Error that says why, if that is
    /// out of the ordinary.
    Unsigned(Option<u16>),
    /// A name of the zone above it.
    Inside,
    /// No name at all, by proof.
    Nothing,
    /// Bogus.
    Bogus(Fault),
}

/// Points, kept until their time is over.
#[derive(Debug)]
pub(super) struct Points(Cache<Box<[u8]>, Entry, ByBytes>);

/// For whom something was found out, and by which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    /// The resolvers of [`crate::message::Question::via`]: what one group forged must not fail for
    /// another.
    pub(super) via: u8,
    /// [`crate::clock::Clock::generation`]: what was found out by another time is found out anew.
    pub(super) generation: u64,
    /// Whether there was a time.
    pub(super) is_dated: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    point: Point,
    context: Context,
    ends: Moment,
    /// How long it was kept for, if it is bogus.
    wait: Duration,
}

/// Memory for them: some hundred zones with their keys, or two thousand names without.
const MAX_BYTES: u64 = 256 * 1024;
/// What an entry takes besides name and keys.
const OVERHEAD: usize = 200;
/// How long a name is remembered as bogus, twice as long each time it is found to be so again (RFC 9520
/// section 3.2 has 1 s to 5 minutes): the first time may have been one message that was forged or
/// damaged, and whatever lies below the name fails as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Box<[u8]>, Entry> for ByBytes {
    fn weight(&self, name: &Box<[u8]>, entry: &Entry) -> u64 {
        let more = match &entry.point {
            Point::Zone(keys) => keys.iter().map(Key::weight).sum(),
            Point::Bogus(fault) => fault.owner.as_ref().as_wire().len(),
            Point::Unsigned(_) | Point::Inside | Point::Nothing => 0,
        };
        (name.len() + more + OVERHEAD) as u64
    }
}

impl Points {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(512, MAX_BYTES, ByBytes))
    }

    /// What is known of `name` at `now` in `context`.
    pub(super) fn find(&self, name: NameRef<'_>, context: Context, now: Moment) -> Option<Point> {
        let entry = self.0.get(&*key(name, context.via))?;
        (now < entry.ends && entry.context == context).then_some(entry.point)
    }

    /// Keeps `point` until `ends`.
    pub(super) fn keep(&self, name: NameRef<'_>, context: Context, point: Point, ends: Moment) {
        let entry = Entry {
            point,
            context,
            ends,
            wait: Duration::ZERO,
        };
        self.0.insert(key(name, context.via), entry);
    }

    /// Remembers that `name` was found to be bogus at `now`.
    pub(super) fn keep_bogus(
        &self,
        name: NameRef<'_>,
        context: Context,
        fault: Fault,
        now: Moment,
    ) {
        let key = key(name, context.via);
        let before = self.0.get(&*key);
        let is_it = |it: &Entry| it.context == context && !it.wait.is_zero();
        let before = before.filter(is_it);
        let wait = match before.map(|it| (it.wait, it.ends)) {
            // Another query found the same, or this one again.
            Some((wait, ends)) if now < ends => wait,
            Some((wait, ends)) if now < ends.after(wait) => LONGEST_WAIT.min(wait * 2),
            _ => FIRST_WAIT,
        };
        let entry = Entry {
            point: Point::Bogus(fault),
            context,
            ends: now.after(wait),
            wait,
        };
        self.0.insert(key, entry);
    }

    /// Octets they take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }
}

fn key(name: NameRef<'_>, via: u8) -> Box<[u8]> {
    [name.as_wire(), &[via]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    #[test]
    fn what_is_bogus_is_kept_for_1_s_then_twice_as_long_each_time_up_to_5_minutes() {
        use super::super::fault::Flaw;
        let points = Points::new();
        let name = NameBuf::parse("zone.test").unwrap();
        let name = name.as_ref();
        let context = Context {
            via: 0,
            generation: 0,
            is_dated: true,
        };
        let at = |secs: u64| Moment::from_micros(secs * 1_000_000);
        let keep = |now| {
            let fault = Fault::new(Flaw::Bogus, name, 48);
            points.keep_bogus(name, context, fault, at(now));
        };
        let is_kept = |now| points.find(name, context, at(now)).is_some();
        let mut now = 100;
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            keep(now);
            // Whoever else found it at the same time does not make it longer.
            keep(now);
            assert!(is_kept(now + wait - 1) && !is_kept(now + wait), "{wait}");
            now += wait;
        }
        // Once it was right it starts anew.
        points.keep(name, context, Point::Inside, at(now + 10));
        keep(now + 5);
        assert!(is_kept(now + 5) && !is_kept(now + 6));
        now += 1000;
        keep(now);
        assert!(is_kept(now) && !is_kept(now + 1));
    }

    #[test]
    fn a_flood_of_names_takes_no_more_room() {
        let points = Points::new();
        let at = Moment::from_micros;
        let context = |via| Context {
            via,
            generation: 0,
            is_dated: true,
        };
        for index in 0..20_000 {
            let name = NameBuf::parse(&format!("host-{index}.example.test")).unwrap();
            points.keep(name.as_ref(), context(0), Point::Inside, at(10));
        }
        assert!(points.bytes() <= MAX_BYTES);
        let name = NameBuf::parse("late.test").unwrap();
        points.keep(name.as_ref(), context(0), Point::Unsigned(None), at(10));
        assert!(points.find(name.as_ref(), context(0), at(9)).is_some());
        assert!(
            points.find(name.as_ref(), context(1), at(9)).is_none(),
            "another group's"
        );
        assert!(points.find(name.as_ref(), context(0), at(10)).is_none());
        for other in [
            Context {
                generation: 1,
                ..context(0)
            },
            Context {
                is_dated: false,
                ..context(0)
            },
        ] {
            let found = points.find(name.as_ref(), other, at(9));
            assert!(found.is_none(), "by another time");
        }
    }
}
