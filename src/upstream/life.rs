//! Signs of life: whether a server that was silent speaks again, and who waits for that.
//!
//! While nobody answers, one question in a while is sent all the same ([`Group::let_through`]); it is as
//! good as any to find out that somebody has returned. Whoever comes in between waits for its turn, or
//! for a sign of life that another brings: so the first query after an upstream's return is answered,
//! whichever name it is for. It waits a moment only, and there is a bound to how many do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::failure::Failure;
use super::flight::Client;
use super::group::{Group, LET_THROUGH};
use super::room::Room;
use crate::message::Question;

/// How long a query waits for its turn or for a sign of life: until it would be let through itself, and
/// another's answer had time to come.
const PATIENCE: Duration = LET_THROUGH.saturating_add(Duration::from_millis(150));
/// How many queries wait so, a quarter of them of one client at most.
const PLACES: usize = 256;

/// What all servers have in common of it.
#[derive(Debug)]
pub(super) struct Life {
    revivals: AtomicU64,
    spoke: Notify,
    room: Room,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            revivals: AtomicU64::new(0),
            spoke: Notify::new(),
            room: Room::new(PLACES),
        }
    }
}

impl Life {
    /// How often a server that was silent beyond doubt has spoken again, or the servers have changed.
    pub(super) fn revivals(&self) -> u64 {
        self.revivals.load(Ordering::Relaxed)
    }

    /// A server that was silent beyond doubt speaks again, or there are others now: what failed for want
    /// of one is void.
    pub(super) fn note_revival(&self) {
        self.revivals.fetch_add(1, Ordering::Relaxed);
        self.note_sign();
    }

    /// Whether `client` may wait for one.
    pub(super) fn has_room(&self, client: Client) -> bool {
        self.room.has_chair(client)
    }

    /// A server that left a question without a reply speaks again.
    pub(super) fn note_sign(&self) {
        self.spoke.notify_waiters();
    }
}

impl Shared {
    /// The servers for `question`, once it may be asked: at once, or when its turn comes while nobody
    /// answers.
    ///
    /// # Errors
    /// Why it fails without being asked.
    pub(super) async fn admit(
        &self,
        question: &Question,
        client: Client,
    ) -> Result<Arc<Group>, Failure> {
        let begun = Instant::now();
        let mut chair = None;
        loop {
            let spoke = self.life.spoke.notified();
            tokio::pin!(spoke);
            // From here on nobody speaks unheard.
            spoke.as_mut().enable();
            let now = self.clock.now();
            let group = self.group(question);
            let Some(doubt) = self.doubt(&group, question, now) else {
                return Ok(group);
            };
            if !doubt.may_be_over {
                return Err(doubt.failure);
            }
            if group.let_through(now) {
                return Ok(group);
            }
            if chair.is_none() {
                chair = self.life.room.sit_down(client);
            }
            // Whoever is let through needs some time too.
            let ends = begun + PATIENCE.min(self.budget * 9 / 10);
            if chair.is_none() || Instant::now() >= ends {
                return Err(doubt.failure);
            }
            let turn = Instant::now() + group.until_let_through(now);
            tokio::select! {
                () = spoke => {}
                () = sleep_until(turn.min(ends)) => {}
            }
        }
    }
}
