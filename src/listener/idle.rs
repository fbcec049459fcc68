//! Connections with several questions at a time, which end when nobody asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::stream::Patience;

/// When a connection was last of use.
#[derive(Debug)]
pub(super) struct Pulse {
    patience: Patience,
    state: Mutex<State>,
    /// Told when the client has no claim to more.
    over: Notify,
}

#[derive(Debug)]
struct State {
    /// Questions that are not answered yet.
    open: usize,
    /// When the connection is idle for too long.
    deadline: Instant,
}

/// A question that is being answered.
#[derive(Debug)]
pub(super) struct Beat(Arc<Pulse>);

impl Pulse {
    /// That of a connection that is open since now and has asked nothing yet.
    pub(super) fn new(patience: Patience) -> Arc<Self> {
        Arc::new(Self {
            patience,
            state: Mutex::new(State {
                open: 0,
                deadline: Instant::now() + patience.message,
            }),
            over: Notify::new(),
        })
    }

    /// Ends the connection: the client does what nobody needs to bear.
    pub(super) fn end(&self) {
        self.over.notify_one();
    }

    /// A question has come; it is answered when the beat is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Beat {
        self.change(|state| state.open += 1);
        Beat(Arc::clone(self))
    }

    /// Waits until there was no question for too long, or the connection is to end.
    pub(super) async fn stopped(&self) {
        tokio::select! {
            () = self.over.notified() => {}
            () = self.rested() => {}
        }
    }

    async fn rested(&self) {
        loop {
            let (open, deadline) = self.change(|state| (state.open, state.deadline));
            if open == 0 && deadline <= Instant::now() {
                return;
            }
            // A question that is open has a time-out of its own.
            let least = Instant::now() + Duration::from_millis(50);
            sleep_until(deadline.max(least)).await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let idle = self.0.patience.idle;
        self.0.change(|state| {
            state.open -= 1;
            state.deadline = Instant::now() + idle;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_at_once_when_it_shall() {
        let patience = Patience {
            message: Duration::from_secs(5),
            idle: Duration::from_secs(30),
        };
        let pulse = Pulse::new(patience);
        let _open = pulse.begin();
        let start = Instant::now();
        pulse.end();
        pulse.stopped().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_when_nobody_asks() {
        let second = Duration::from_secs(1);
        let patience = Patience {
            message: 5 * second,
            idle: 30 * second,
        };
        let start = Instant::now();
        let pulse = Pulse::new(patience);
        pulse.stopped().await;
        assert_eq!(start.elapsed(), patience.message, "it never asked");

        let start = Instant::now();
        let pulse = Pulse::new(patience);
        let beat = pulse.begin();
        let asking = async {
            tokio::time::sleep(7 * second).await;
            drop(beat);
        };
        tokio::join!(asking, pulse.stopped());
        let took = start.elapsed();
        assert!(took >= 37 * second && took < 38 * second, "{took:?}");
    }
}
