//! A bar for long work, on a terminal only.

use std::io::Write;
use std::time::Duration;

use super::Output;
use crate::clock::{Clock, Moment};

/// Shows how far a work has come, on the last line of a terminal; nowhere else.
pub(super) struct Progress {
    clock: Clock,
    /// Whether there is somebody to show it to.
    shown: bool,
    /// When it was last drawn.
    drawn: Option<Moment>,
}

/// A terminal is not drawn on more often than this.
const PACE: Duration = Duration::from_millis(100);
/// Columns of the bar.
const WIDTH: u64 = 30;

impl Progress {
    /// Nothing drawn yet.
    pub(super) fn new(clock: Clock, output: &Output<'_>) -> Self {
        Self {
            clock,
            shown: output.err_is_terminal,
            drawn: None,
        }
    }

    /// `done` of `total`, in the same unit, of `what`.
    pub(super) fn show(&mut self, what: &str, done: u64, total: u64, output: &mut Output<'_>) {
        let now = self.clock.now();
        let is_early = self.drawn.is_some_and(|drawn| now.since(drawn) < PACE);
        if !self.shown || is_early {
            return;
        }
        self.drawn = Some(now);
        let bar = bar(what, done, total);
        // Nobody to complain to.
        drop(write!(output.err, "\r{bar}\x1b[K").and_then(|()| output.err.flush()));
    }

    /// Takes the bar away.
    pub(super) fn clear(&mut self, output: &mut Output<'_>) {
        if self.drawn.take().is_some() {
            drop(write!(output.err, "\r\x1b[K").and_then(|()| output.err.flush()));
        }
    }
}

/// `reading  [#########...]  42 %`.
fn bar(what: &str, done: u64, total: u64) -> String {
    let of = |most: u64| {
        let share = u128::from(done.min(total)) * u128::from(most);
        let share = share.checked_div(u128::from(total)).unwrap_or_default();
        usize::try_from(share).unwrap_or_default()
    };
    let full = "#".repeat(of(WIDTH));
    format!("{what:<10} [{full:.<30}] {:>3} %", of(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualTime, Timestamp};

    #[test]
    fn a_bar_shows_its_share() {
        assert_eq!(
            bar("reading", 1, 2),
            "reading    [###############...............]  50 %"
        );
        assert_eq!(
            bar("writing", 7, 5),
            "writing    [##############################] 100 %"
        );
        assert!(bar("reading", 0, 0).ends_with("]   0 %"));
        assert!(bar("reading", u64::MAX, u64::MAX).ends_with("100 %"));
    }

    #[test]
    fn a_bar_is_drawn_on_a_terminal_at_a_pace_and_taken_away() {
        let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
        let drawn = |is_terminal: bool| {
            let mut err = Vec::new();
            let mut output = Output {
                out: Box::new(std::io::sink()),
                err: Box::new(&mut err),
                out_is_terminal: false,
                err_is_terminal: is_terminal,
                out_colour: false,
                err_colour: false,
            };
            let mut progress = Progress::new(time.clock(), &output);
            progress.show("a", 0, 2, &mut output);
            progress.show("b", 1, 2, &mut output);
            time.advance(PACE);
            progress.show("c", 2, 2, &mut output);
            progress.clear(&mut output);
            progress.clear(&mut output);
            drop(output);
            String::from_utf8(err).unwrap()
        };
        assert_eq!(drawn(false), "");
        let shown = drawn(true);
        assert!(shown.starts_with("\ra ") && shown.ends_with("\r\x1b[K"));
        assert!(shown.contains("\rc ") && !shown.contains("\rb "));
        assert_eq!(shown.matches("\x1b[K").count(), 3);
    }
}
