//! Looks at the clock: ends what is over, begins days and weeks, writes what is used.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::family::quotas_of;
use super::household::Daemon;
use crate::clock::{Moment, Timestamp};
use crate::quota::Quota;
use crate::wall::{Look, Wall};

/// How often the clocks are looked at: a jump is noticed that soon.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what is used is written.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// Keeps time until it is told to end.
pub(super) async fn keep(daemon: Arc<Daemon>, stopped: watch::Receiver<bool>) {
    let stopped = super::wait_for(stopped);
    tokio::pin!(stopped);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = Rounds::default();
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
            if seen.wall == Wall::Unset {
                warn!("the household's clock is not set: what is closed at times stays closed");
            }
        } else if seen.is_jump {
            info!(now = ?seen.wall.time(), "the household's clock was set");
        }
        if !is_changed && !rounds.is_due(at, seen) {
            continue;
        }
        daemon.turn(at, seen.wall);
        rounds.next = daemon.next_change(seen.wall);
        if at.since(rounds.written) >= WRITE_EVERY {
            rounds.written = at;
            let daemon = Arc::clone(&daemon);
            let writing = tokio::task::spawn_blocking(move || daemon.families.write(false));
            // A panic there is told by the runtime; the next minute may succeed.
            drop(writing.await);
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
}

impl Rounds {
    /// Whether something may be different at `at`.
    fn is_due(&mut self, at: Moment, seen: Look) -> bool {
        let is_first = !std::mem::replace(&mut self.has_turned, true);
        let is_next = match (self.next, seen.wall) {
            (Some(next), Wall::Set(now)) => now >= next,
            _ => false,
        };
        is_first || seen.is_jump || is_next || at.since(self.written) >= WRITE_EVERY
    }
}

impl Daemon {
    /// Begins what begins at `wall` and ends what ends.
    pub(super) fn turn(&self, at: Moment, wall: Wall) {
        self.renew_reveals(wall);
        let meters = &self.families.meters;
        meters.follow(&quotas_of(&self.resolver.snapshot().config));
        let grants = self.families.grants().clone();
        let bonus = |quota: &Quota| grants.holding(&quota.profile, None, wall).bonus(&quota.of);
        let zone = &self.families.zone;
        let periods = |quota: &Quota, at: Timestamp| quota.rhythm.period(at, zone);
        meters.turn(at, wall, &periods, bonus);
    }

    /// When something will be different by itself.
    fn next_change(&self, wall: Wall) -> Option<Timestamp> {
        let grants = self.families.grants().next_change(wall);
        let periods = self.families.meters.next_change();
        grants.into_iter().chain(periods).min()
    }
}
