//! Whether every thread lives, for systemd's watchdog.
//!
//! A thread is asked, and answers, unless it sleeps; nobody asks where there is no watchdog. A thread with a
//! clock of its own would have the kernel set a timer each time it waits for a query, which costs more than
//! a hundredth of one that comes alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use crate::listener::alone::{Alone, Life};

/// A thread's end of it.
pub(super) struct Pulse {
    asked: watch::Receiver<u64>,
    life: Arc<Life>,
}

impl Pulse {
    /// For the only task of this thread, which may sleep until it is `stopped`.
    pub(super) fn alone(&self, stopped: watch::Receiver<bool>) -> Alone {
        let (asked, life) = (self.asked.clone(), Arc::clone(&self.life));
        Alone::new(Handle::current(), asked, stopped, life)
    }

    /// Answers the next time the thread is asked; never ends where nobody asks any more.
    pub(super) async fn answer(&mut self) {
        if self.asked.changed().await.is_err() {
            return std::future::pending().await;
        }
        let asked = *self.asked.borrow_and_update();
        self.life.answer(asked);
    }
}

/// Tells systemd that we live, as long as every thread answers.
pub(super) struct Watchdog {
    interval: Option<Interval>,
    /// How often was asked.
    asked: watch::Sender<u64>,
    lives: Vec<Arc<Life>>,
}

impl Watchdog {
    /// As often as systemd wants it; never where it does not.
    pub(super) fn new() -> Self {
        // Half the time that systemd allows, as sd_watchdog_enabled(3) advises.
        let interval = sd_notify::watchdog_enabled().map(|allowed| {
            let every = (allowed / 2).max(Duration::from_millis(100));
            let mut interval = tokio::time::interval(every);
            // Two at once would leave nobody time to answer the first.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self {
            interval,
            asked: watch::Sender::new(0),
            lives: Vec::new(),
        }
    }

    /// The pulse of one thread more.
    pub(super) fn pulse(&mut self) -> Pulse {
        let life = Arc::new(Life::since(*self.asked.borrow()));
        self.lives.push(Arc::clone(&life));
        Pulse {
            asked: self.asked.subscribe(),
            life,
        }
    }

    /// Waits for the time to tell systemd, and tells it.
    pub(super) async fn tick(&mut self) {
        let Some(interval) = &mut self.interval else {
            return std::future::pending().await;
        };
        interval.tick().await;
        if self.ask() {
            super::tell_systemd(&[sd_notify::NotifyState::Watchdog]);
        }
    }

    /// Asks every thread; whether all who are awake have answered since they were asked before.
    fn ask(&self) -> bool {
        let asked = *self.asked.borrow();
        let all_live = self.lives.iter().all(|life| life.is_shown(asked));
        self.asked.send_replace(asked.wrapping_add(1));
        all_live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_lives_as_long_as_all_answer() {
        let mut watchdog = Watchdog::new();
        let mut pulses = [watchdog.pulse(), watchdog.pulse()];
        for _ in 0..3 {
            assert!(watchdog.ask());
            for pulse in &mut pulses {
                pulse.answer().await;
            }
        }
        assert!(watchdog.ask());
        pulses[0].answer().await;
        assert!(!watchdog.ask(), "the other one is silent");
        for pulse in &mut pulses {
            pulse.answer().await;
        }
        assert!(watchdog.ask(), "late, but it lives");
        let mut late = watchdog.pulse();
        for pulse in &mut pulses {
            pulse.answer().await;
        }
        assert!(
            watchdog.ask(),
            "who came after the question has not to answer it"
        );
        for pulse in pulses.iter_mut().chain([&mut late]) {
            pulse.answer().await;
        }
        assert!(watchdog.ask());
    }

    #[tokio::test]
    async fn who_sleeps_need_not_answer_and_has_answered_when_it_wakes() {
        let mut watchdog = Watchdog::new();
        let pulse = watchdog.pulse();
        let (_stop, stopped) = watch::channel(false);
        let mut alone = pulse.alone(stopped);
        for _ in 0..3 {
            assert!(alone.may_sleep());
            alone.sleep(|| {
                for _ in 0..3 {
                    assert!(watchdog.ask(), "it sleeps");
                }
            });
            assert!(watchdog.ask(), "it has just woken");
            assert!(!watchdog.ask(), "it does something for long");
        }
    }
}
