//! Looks at the clock: ends what is over, begins days and weeks, makes anew what holds at this
//! hour, writes what is used.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use super::growth::Birthdays;
use super::household::Daemon;
use crate::clock::{Moment, Timestamp};
use crate::lists::Index;
use crate::reload::unread;
use crate::standing::Standings;
use crate::wall::{Look, Wall};

/// How often the clocks are looked at: a jump is noticed that soon.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what is used is written.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// How long before the last span that is known ends new ones are made.
const BEFORE_LAST: Duration = Duration::from_secs(2);

/// Keeps time until it is told to end.
pub(super) async fn keep(daemon: Arc<Daemon>, stopped: watch::Receiver<bool>) {
    let stopped = super::wait_for(stopped);
    tokio::pin!(stopped);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = Rounds::default();
    let mut birthdays = Birthdays::default();
    let mut writing: Option<JoinHandle<()>> = None;
    loop {
        let is_changed = tokio::select! {
            _ = look.tick() => false,
            () = daemon.families.changed.notified() => true,
            () = &mut stopped => return,
        };
        let seen = daemon.families.look();
        let at = daemon.clock.now();
        if rounds.is_set != Some(seen.wall != Wall::Unset) {
            rounds.is_set = Some(seen.wall != Wall::Unset);
            if let Some(doubt) = daemon.families.clock_doubt() {
                warn!("{doubt}");
            }
        } else if seen.is_jump {
            info!(now = ?seen.wall.time(), "the household's clock was set");
        }
        let snapshot = daemon.resolver.snapshot();
        let standings = snapshot.standings.load_full();
        let day = seen.wall.time();
        if day.is_some_and(|now| birthdays.are_due(&snapshot.config, now)) {
            daemon.due.notify_one();
        }
        if let Some(trouble) = rounds.sees_unread(&snapshot.lists) {
            error!("{trouble}");
        }
        if daemon.reloader.is_to_mend(&snapshot.lists) {
            // A reload compiles them.
            daemon.due.notify_one();
        }
        drop(snapshot);
        // What is used up stays so after a power cut.
        let is_used_up = standings.are_outdated(at);
        if !is_changed && !is_used_up && !rounds.is_due(at, seen, &standings) {
            continue;
        }
        daemon.resolver.renew_standings();
        daemon.renew_reveals(seen.wall);
        rounds.next = daemon.families.next_change(seen.wall);
        if is_used_up || at.since(rounds.written) >= WRITE_EVERY {
            rounds.written = at;
            // Never waited for: a disk that hangs must not hold up bedtime. A panic there is told by
            // the runtime; the next minute may succeed.
            if writing.as_ref().is_some_and(|it| !it.is_finished()) {
                rounds.tell_that_it_hangs();
                continue;
            }
            rounds.hangs = false;
            let daemon = Arc::clone(&daemon);
            writing = Some(tokio::task::spawn_blocking(move || {
                daemon.families.write(false);
            }));
        }
    }
}

/// What was done when.
#[derive(Default)]
struct Rounds {
    written: Moment,
    /// When the next change is due by the household's clock.
    next: Option<Timestamp>,
    is_set: Option<bool>,
    has_turned: bool,
    /// Whether it was told that writing takes longer than it should.
    hangs: bool,
    /// The compiled lists of which was told that they cannot be read everywhere.
    unread: Weak<Index>,
}

impl Rounds {
    /// That the compiled lists cannot be read everywhere, if that is news.
    fn sees_unread(&mut self, lists: &Arc<Index>) -> Option<String> {
        let trouble = unread(lists)?;
        let told = std::mem::replace(&mut self.unread, Arc::downgrade(lists));
        (!told.ptr_eq(&self.unread)).then_some(trouble)
    }

    fn tell_that_it_hangs(&mut self) {
        if !std::mem::replace(&mut self.hangs, true) {
            warn!("the disk takes very long: what is used of quotas is not written meanwhile");
        }
    }

    /// Whether something may be different at `at`.
    fn is_due(&mut self, at: Moment, seen: Look, standings: &Standings) -> bool {
        let is_first = !std::mem::replace(&mut self.has_turned, true);
        let is_next = match (self.next, seen.wall) {
            (Some(next), Wall::Set(now)) => now >= next,
            _ => false,
        };
        let last = standings.last_until();
        let is_last = last.is_some_and(|last| last.since(at) <= BEFORE_LAST);
        is_first || seen.is_jump || is_next || is_last || at.since(self.written) >= WRITE_EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn an_index_that_cannot_be_read_is_told_of_once() {
        let mut rounds = Rounds::default();
        let name = Name::parse("example.test").unwrap();
        let ask = |lists: &Index| lists.look_up(name.as_ref(), |_| panic!("it cannot be read"));
        let healthy = Arc::new(Index::empty());
        for _ in 0..2 {
            let lists = Arc::new(Index::broken("a", &["example.test"]));
            assert_eq!(rounds.sees_unread(&lists), None, "nobody has asked");
            ask(&lists);
            let told = rounds.sees_unread(&lists).unwrap();
            assert!(
                told.contains("cannot read") && told.contains("compiled anew"),
                "{told}"
            );
            assert_eq!(crate::reload::list_troubles(&lists), [told]);
            ask(&lists);
            assert_eq!(rounds.sees_unread(&lists), None);
            assert_eq!(rounds.sees_unread(&healthy), None);
            assert_eq!(rounds.sees_unread(&lists), None, "it was told");
        }
    }
}
