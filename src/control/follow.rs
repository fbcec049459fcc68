//! The log as it grows, as server-sent events.
//!
//! Each entry is an event whose id is its number, so that a reader who lost the connection goes on
//! where it was (`Last-Event-ID`). The journal is asked a few times a second while somebody
//! follows: a query never has to wake a reader.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::Household;
use crate::journal::{LogFilter, LogPage};

/// How often the journal is asked.
const PERIOD: Duration = Duration::from_millis(200);
/// A sign of life after so many quiet periods, so that a broken connection is noticed.
const QUIET_PERIODS: u32 = 75;
/// Entries in one piece.
const ENTRIES: usize = 100;

/// A response body that never ends by itself; it ends with the reader or with the daemon.
pub(super) struct Follow {
    household: Arc<dyn Household>,
    filter: LogFilter,
    after: u64,
    interval: Interval,
    quiet: u32,
    stopped: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Follow {
    /// Follows the log from entry `after` on, or from now.
    pub(super) fn new(
        household: Arc<dyn Household>,
        after: Option<u64>,
        filter: LogFilter,
        stopped: watch::Receiver<bool>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let now = || household.log(None, 0, &LogFilter::default()).next_after;
        let after = after.unwrap_or_else(now);
        let mut interval = tokio::time::interval(PERIOD);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            household,
            filter,
            after,
            interval,
            // The first piece goes out at once: the head of the response arrives with it.
            quiet: QUIET_PERIODS,
            stopped,
            _place: place,
        }
    }

    fn piece(&mut self) -> Option<String> {
        let page = self.household.log(Some(self.after), ENTRIES, &self.filter);
        self.after = page.next_after;
        let mut piece = events(&page);
        self.quiet += 1;
        if piece.is_empty() && self.quiet > QUIET_PERIODS {
            piece.push_str(": still here\n\n");
        }
        if piece.is_empty() {
            return None;
        }
        self.quiet = 0;
        if page.entries.len() >= ENTRIES {
            self.interval.reset_immediately();
        }
        Some(piece)
    }
}

fn events(page: &LogPage) -> String {
    let mut text = String::new();
    if page.lost > 0 {
        text.push_str(&format!("event: gap\ndata: {{\"lost\":{}}}\n\n", page.lost));
    }
    for entry in &page.entries {
        // Plain fields always become JSON.
        if let Ok(json) = serde_json::to_string(entry) {
            text.push_str(&format!("id: {}\ndata: {json}\n\n", entry.seq));
        }
    }
    text
}

impl Body for Follow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            ready!(self.interval.poll_tick(context));
            if *self.stopped.borrow() {
                return Poll::Ready(None);
            }
            if let Some(piece) = self.piece() {
                return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
            }
        }
    }
}
