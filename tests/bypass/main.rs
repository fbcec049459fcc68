//! The ways round, tried: tricks of a clever teenager, each by a real client on a machine of its own
//! behind a router with the daemon and the firewall's table.
//!
//! A trick is a row of a table: what the child does, and what must come of it, word for word. Beside
//! it stands its control, which is mostly a parent who does the same and gets what the child is after:
//! so no trick fails because the network is broken. `docs/ways-round.md` has the same table.
//!
//! Needs root, `nft` and dnspython; without them the tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(
    unreachable_pub,
    reason = "what is used in another file is public there"
)]

mod addresses;
mod answers;
mod docs;
mod elsewhere;
mod home;
mod identity;
#[allow(dead_code, reason = "shared with other tests, each uses a part")]
#[path = "../support/machines.rs"]
mod machines;
mod messages;
mod names;
#[path = "../support/programs.rs"]
mod programs;
mod times;

use home::{Home, Who};

/// A way round the filter.
pub struct Trick {
    /// What a teenager would say he does.
    pub name: &'static str,
    who: Who,
    attempt: Attempt,
    /// Part of what comes of it; says why it fails.
    pub fails: &'static str,
    /// What it is all about: not in what comes of the trick, and in what comes of the control.
    prize: &'static str,
    control: Control,
}

/// What is done.
pub enum Attempt {
    /// What a client is told to do (`client.py`).
    Says(&'static str),
    /// Something with more steps; what came of the last.
    Does(fn(&Home) -> String),
}

/// What shows that the trick would get through.
enum Control {
    /// A parent does the same.
    Parent,
    /// Somebody does this.
    Other(Who, Attempt),
}

/// The address of the page that a child must not reach.
const PAGE: &str = "203.0.113.66";

const fn does(name: &'static str, attempt: Attempt, fails: &'static str) -> Trick {
    Trick {
        name,
        who: Who::Child,
        attempt,
        fails,
        prize: PAGE,
        control: Control::Parent,
    }
}

/// A trick of the child that is one line to its client.
const fn says(name: &'static str, words: &'static str, fails: &'static str) -> Trick {
    does(name, Attempt::Says(words), fails)
}

/// A trick with several steps.
const fn steps(name: &'static str, all: fn(&Home) -> String, fails: &'static str) -> Trick {
    does(name, Attempt::Does(all), fails)
}

/// A connection or a datagram to an address.
const fn reaches(name: &'static str, words: &'static str) -> Trick {
    does(name, Attempt::Says(words), "refused").prize("reached")
}

impl Trick {
    /// Tried by somebody else than the schoolchild.
    const fn by(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    const fn prize(mut self, prize: &'static str) -> Self {
        self.prize = prize;
        self
    }

    /// Shown to work by another who does something else.
    const fn proved_by(mut self, who: Who, words: &'static str) -> Self {
        self.control = Control::Other(who, Attempt::Says(words));
        self
    }

    const fn proved_by_steps(mut self, all: fn(&Home) -> String) -> Self {
        self.control = Control::Other(Who::Parent, Attempt::Does(all));
        self
    }

    /// Tries it: what went wrong, if anything.
    fn attempt(&self, home: &Home) -> Result<(), String> {
        let said = home.attempt(self.who, &self.attempt);
        let told = |what: &str, said: &str| Err(format!("{}: {what}: {said}", self.name));
        if said.contains(self.prize) {
            return told("it gets through", &said);
        }
        if !said.contains(self.fails) {
            return told(&format!("not for the reason `{}`", self.fails), &said);
        }
        let control = match &self.control {
            Control::Parent => home.attempt(Who::Parent, &self.attempt),
            Control::Other(who, attempt) => home.attempt(*who, attempt),
        };
        if !control.contains(self.prize) {
            return told("its control does not get through either", &control);
        }
        Ok(())
    }
}

/// All tricks by theme.
pub fn themes() -> Vec<(&'static str, Vec<Trick>)> {
    vec![
        ("Another resolver", elsewhere::tricks()),
        ("Other names for the same", names::tricks()),
        ("Answers that lead on", answers::tricks()),
        ("Odd messages", messages::tricks()),
        ("Another device", identity::tricks()),
        ("Addresses without a name", addresses::tricks()),
        ("Answers kept", times::tricks()),
    ]
}

#[test]
fn no_trick_gets_through() {
    let Some(home) = Home::new() else {
        return;
    };
    let mut count = 0;
    let mut wrong = Vec::new();
    for (theme, tricks) in themes() {
        for trick in tricks {
            count += 1;
            println!("{}", trick.name);
            if let Err(said) = trick.attempt(&home) {
                wrong.push(format!("{theme}: {said}"));
            }
        }
    }
    println!("{count} tricks");
    assert!(count >= 60, "{count} tricks");
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
