//! Answers fetched just before something closes, to be used after it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::home::{Home, Who};
use crate::{Trick, steps};

/// What the world lets everybody keep for a day.
const KEPT: &str = "kept.own.example A";
/// What comes of a trick that fails.
const GONE: &str = "gone by then";
const STAYS: &str = "still there";

pub fn tricks() -> Vec<Trick> {
    vec![
        steps(
            "an answer fetched just before bedtime",
            before_bedtime,
            GONE,
        )
        .prize(STAYS)
        .proved_by_steps(|home| outlives(home, Who::Parent, 120)),
        steps(
            "an answer fetched just before a pause",
            before_a_pause,
            GONE,
        )
        .prize(STAYS)
        .proved_by_steps(|home| outlives(home, Who::Parent, 300)),
        steps(
            "an answer fetched in the last minute of a quota",
            before_the_time_is_used_up,
            GONE,
        )
        .prize(STAYS)
        .proved_by_steps(|home| outlives(home, Who::Parent, 60)),
    ]
}

/// Whether somebody who asks now may use the answer longer than so many seconds from now.
fn outlives(home: &Home, who: Who, seconds: u64) -> String {
    let said = home.says(who, KEPT);
    let mut words = said
        .split(' ')
        .skip_while(|word| *word != "kept.own.example.");
    let ttl: u64 = words.nth(1).unwrap().parse().unwrap();
    assert!(said.contains("203.0.113.66"), "{said}");
    match ttl <= seconds {
        true => GONE.to_owned(),
        false => format!("{STAYS} for {ttl} s"),
    }
}

/// Bedtime is the minute after next.
fn before_bedtime(home: &Home) -> String {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let begins = (now() / 60 + 2) * 60;
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let window = format!("{}-{}", clock(begins / 60), clock(begins / 60 + 30));
    let more = format!(
        "[schedule.soon]\nwindows = [\"{window}\"]\n\
         [[profile.child.during]]\nschedule = \"soon\"\nclose = [\"everything\"]\n"
    );
    home.with(&more, || {
        // Rounded up: an answer may begin its last second when bedtime begins.
        let left = begins.saturating_sub(now()) + 1;
        outlives(home, Who::Child, left)
    })
}

/// A parent pauses the internet now; the page closes for whoever asks, and five minutes later for
/// whoever has asked.
fn before_a_pause(home: &Home) -> String {
    let kept = outlives(home, Who::Child, 300);
    let hedgerow = |words: &str| home.daemon.hedgerow(words).unwrap();
    hedgerow("pause internet --profile child --for 10m --json");
    let said = home.says(Who::Child, KEPT);
    assert!(said.contains("EDE 17: the internet is paused"), "{said}");
    hedgerow("grants undo 1");
    let said = home.says(Who::Child, KEPT);
    assert!(said.contains("203.0.113.66"), "{said}");
    kept
}

fn before_the_time_is_used_up(home: &Home) -> String {
    let more = "[[profile.child.quota]]\nof = [\"own.example\"]\ntime = \"1m\"\nper = \"day\"\n";
    home.with(more, || outlives(home, Who::Child, 60))
}
