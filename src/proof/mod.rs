//! Proof for the household: what it wants to stay so is tried on a configuration before it holds.
//!
//! A [`Case`] of the configuration enters with a [`Snapshot`], a [`Proved`] leaves. Names are judged as
//! on the path of a query, at the hour the case says ([`World`]); nobody is asked. What a log would
//! have been under another configuration is [`replay`], what a change means in words [`effect`].

pub mod effect;
pub mod replay;
mod world;

pub use world::{World, standing_at, standing_unclosed};

use serde::Serialize;

use crate::clock::Timestamp;
use crate::config::{Case, CaseAsker, CaseNames, Config, Diagnostic, Expect};
use crate::lists::{Effect, ListKind, Reach, services};
use crate::name::NameBuf;
use crate::snapshot::Snapshot;
use crate::verdict::{Cause, Reason, Verdict};

/// The code of what a broken case says of itself.
pub const BROKEN: &str = "broken-test";

/// What came of a [`Case`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proved {
    /// What it is about; its number where that is on a sealed list.
    pub title: String,
    /// Whether it is as expected.
    pub ok: bool,
    /// What was expected: `allow` or `block`.
    pub expect: &'static str,
    /// The moment it was asked at, on the household's clocks; none where no schedule counts.
    pub at: Option<String>,
    /// How many names were asked for.
    pub names: usize,
    /// The first name that was not as expected, or the first of all; none where there is none, and
    /// where it is on a sealed list.
    pub name: Option<String>,
    /// What came of it: `allow`, `block` or `rewrite`; none where there was nothing to ask for.
    pub verdict: Option<&'static str>,
    /// Why, the voice that decided first, then the others in the order of authority.
    pub chain: Vec<String>,
    /// The file it stands in.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The case, to be told with its place.
    #[serde(skip)]
    case: Case,
}

impl Proved {
    /// What it says of itself in one line.
    pub fn sentence(&self) -> String {
        let chain = self.chain.join("; ");
        let at = self
            .at
            .as_ref()
            .map_or_else(String::new, |at| format!(" at {at}"));
        let Some(verdict) = self.verdict else {
            return "there is no name to ask for".to_owned();
        };
        let done = match verdict {
            "block" => "blocked",
            "rewrite" => "let through in its safe form",
            _ => "let through",
        };
        let name = self.name.as_deref().unwrap_or("(withheld)");
        let of = match self.names {
            1 => String::new(),
            names => format!(", one of {names} names"),
        };
        format!("{name}{of} is {done}{at}: {chain}")
    }

    /// The mistake it is, where it is not as expected.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        let because = self.case.because.as_ref();
        let wanted = match (self.case.expect, because) {
            (Expect::Allow, None) => "it has to be let through".to_owned(),
            (Expect::Block, None) => "it has to be blocked".to_owned(),
            (Expect::Allow, Some(why)) => format!("it has to be let through because of {why}"),
            (Expect::Block, Some(why)) => format!("it has to be blocked because of {why}"),
        };
        (!self.ok)
            .then(|| Diagnostic::of_case(&self.title, &self.case.place, self.sentence(), wanted))
    }
}

/// Tries all cases of the configuration that `snapshot` was built from, as of `now`.
pub fn try_cases(snapshot: &Snapshot, now: Timestamp) -> Vec<Proved> {
    let cases = snapshot.config.cases.iter().zip(1..);
    let proved = cases.map(|(case, number)| try_case(case, number, snapshot, now));
    proved.collect()
}

fn try_case(case: &Case, number: usize, snapshot: &Snapshot, now: Timestamp) -> Proved {
    let zone = &snapshot.config.zone;
    let moment = case.at.moment(now, zone);
    let standings = match moment {
        Some(at) => standing_at(&snapshot.config, &snapshot.lists, &snapshot.profiles, at),
        None => standing_unclosed(&snapshot.config, &snapshot.lists, &snapshot.profiles),
    };
    let world = World::new(snapshot, &standings);
    let names = names_of(&case.of, snapshot);
    let asked = names.iter().map(|name| {
        let config = &snapshot.config;
        let view = match &case.asker {
            CaseAsker::Device(name) => {
                let index = config.devices.iter().position(|it| it.name == *name);
                index.map_or_else(|| world.of_guest(), |index| world.of_device(index))
            }
            CaseAsker::Profile(name) => {
                let index = config.profiles.iter().position(|it| it.name == *name);
                index.map_or_else(|| world.of_guest(), |index| world.of_profile(index))
            }
        };
        let verdict = world.judge(name.as_ref(), case.qtype, &view);
        (name, view, verdict)
    });
    let mut first = None;
    for (name, view, verdict) in asked {
        let as_expected = is_expected(case, &verdict);
        if first.is_none() || !as_expected {
            let chain = world.chain(name.as_ref(), case.qtype, &view, &verdict);
            let is_sealed = world.is_sealed(name.as_ref(), case.qtype, &view);
            first = Some(((!is_sealed).then_some(name), verdict, chain, as_expected));
        }
        if !as_expected {
            break;
        }
    }
    let ok = first.as_ref().is_some_and(|(.., as_expected)| *as_expected);
    let (name, verdict, chain) = match first {
        None => (None, None, Vec::new()),
        Some((name, verdict, chain, _)) => (name, Some(verdict.label()), chain),
    };
    // What a test is about is what it asks for, and a title may be anything.
    let is_withheld = verdict.is_some() && name.is_none();
    let title = match is_withheld {
        true => number.to_string(),
        false => case.title.clone(),
    };
    Proved {
        title,
        ok,
        expect: case.expect.label(),
        at: moment.map(|at| zone.written(at)),
        names: names.len(),
        name: name.map(|name| name.to_string()),
        verdict,
        chain,
        file: case.place.file.display().to_string(),
        line: case.place.line,
        case: case.clone(),
    }
}

/// Whether what came of it is what the case says.
fn is_expected(case: &Case, verdict: &Verdict) -> bool {
    let expects_block = case.expect == Expect::Block;
    let decided = |word: &String| is_decided_by(&verdict.reason(), word);
    verdict.is_block() == expects_block && case.because.as_ref().is_none_or(decided)
}

/// Whether `word` says what decided.
fn is_decided_by(reason: &Reason, word: &str) -> bool {
    let named = match reason.cause {
        Cause::Service { service, .. } | Cause::OpenService { service } => Some(service),
        Cause::Schedule { schedule, .. } => Some(schedule),
        _ => None,
    };
    reason.label() == word || reason.tier.label() == word || named == Some(word)
}

/// How many names of a list are asked for when a category is.
const OF_EACH_LIST: usize = 16;

/// The names that a case asks for.
fn names_of(of: &CaseNames, snapshot: &Snapshot) -> Vec<NameBuf> {
    match of {
        CaseNames::Name(name) => NameBuf::parse(&name.to_string()).into_iter().collect(),
        CaseNames::Service(id) => services::find(id)
            .into_iter()
            .flat_map(|service| service.names())
            .filter_map(name_of)
            .collect(),
        CaseNames::Category(category) => names_in(category, snapshot),
    }
}

/// A name that a line of a service matches.
fn name_of(line: &str) -> Option<NameBuf> {
    let line = line.strip_prefix('=').unwrap_or(line);
    NameBuf::parse(&line.replace('*', "x")).ok()
}

/// Some names of each list in `category`, services among them.
fn names_in(category: &str, snapshot: &Snapshot) -> Vec<NameBuf> {
    let lists = &snapshot.lists;
    let is_of = |list| {
        let list = lists.list(list);
        list.category == category && list.kind == ListKind::Block
    };
    let mut left: Vec<usize> = lists
        .lists()
        .map(|(id, _)| if is_of(id) { OF_EACH_LIST } else { 0 })
        .collect();
    let mut names = Vec::new();
    if left.iter().all(|left| *left == 0) {
        return names;
    }
    lists.walk(|name, postings| {
        let mut listed = postings.iter().filter(|posting| {
            // What holds for some questions only need not hold for this one.
            posting.effect == Effect::Listed && posting.modifiers.is_none()
        });
        let wanted = listed.find_map(|posting| {
            let left = left.get_mut(usize::from(posting.list.0))?;
            (*left > 0).then(|| *left -= 1)?;
            Some(match posting.reach {
                Reach::Below => format!("x.{name}"),
                Reach::Subtree | Reach::Exact => name.to_string(),
            })
        });
        names.extend(wanted.and_then(|name| NameBuf::parse(&name).ok()));
    });
    names
}

/// The cases that `after` breaks and the configuration in force does not: those it does not know, and
/// those that are as expected there. What is broken already stops nothing.
pub fn broken_by(after: &[Proved], before: &[Proved], config: &Config) -> Vec<usize> {
    let knows = |proved: &Proved| {
        let mut cases = config.cases.iter();
        let place = cases.position(|case| case.asks_same(&proved.case));
        place.and_then(|place| before.get(place)).map(|it| it.ok)
    };
    let broken = after.iter().enumerate().filter(|(_, proved)| !proved.ok);
    broken
        .filter(|(_, proved)| knows(proved) != Some(false))
        .map(|(place, _)| place)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::replay::{Opening, Replayer};
    use super::*;
    use crate::clock::Clock;
    use crate::config::{Overrides, load_embedded};
    use crate::files::MemoryFiles;
    use crate::grants::Scope;
    use crate::journal::LogEntry;
    use crate::reload::offline_snapshot;

    fn world(written: &str) -> std::sync::Arc<Snapshot> {
        let text = format!(
            "[household]\ntime-zone = \"UTC0\"\n[lists]\nstarter = false\n\
             [profile.leo]\ninherits = \"adult\"\n{written}"
        );
        let files = MemoryFiles::new().files();
        let loaded = load_embedded(&text, &files, &Overrides::default());
        let config = loaded.config.expect("a configuration");
        offline_snapshot(config, &files, &Clock::system()).unwrap()
    }

    #[test]
    fn a_quota_of_no_time_closes_at_any_hour() {
        let case = "[[test]]\nname = \"play.example\"\nprofile = \"leo\"\nexpect = \"block\"\n\
                    because = \"quota\"\n";
        let at = case.replace("expect", "at = \"sat 15:00\"\nexpect");
        let snapshot = world(&format!(
            "quota = [{{ of = [\"play.example\"], time = \"0\" }}]\n{case}{at}"
        ));
        let proved = try_cases(&snapshot, "2026-12-01T12:00:00Z".parse().unwrap());
        let ok: Vec<bool> = proved.iter().map(|it| it.ok).collect();
        assert_eq!(ok, [true, true], "{proved:?}");
    }

    #[test]
    fn another_order_of_times_is_no_difference() {
        let text = |windows: &str| {
            world(&format!(
                "during = [{{ schedule = \"bedtime\", close = [\"everything\"] }}]\n\
                 [schedule.bedtime]\nwindows = [{windows}]\n"
            ))
        };
        let before = text(r#""fri,sat 22:00-07:30", "sun-thu 20:30-06:30""#);
        let told = |after: &Snapshot| -> Vec<String> {
            let all = effect::differences(&before.config, &after.config).into_iter();
            all.map(|it| it.what).collect()
        };
        let same = text(r#""sun-thu 20:30-06:30", "fri,sat 22:00-07:30""#);
        assert_eq!(told(&same), [""; 0]);
        let later = text(r#""sun-thu 21:00-06:30", "fri,sat 22:00-07:30""#);
        assert_eq!(
            told(&later),
            ["bedtime begins 21:00 instead of 20:30 (sun-thu)"]
        );
    }

    #[test]
    fn resolvers_are_told_apart_by_name_and_not_by_their_place() {
        let text = |groups: [&str; 2], own: &str| {
            let [first, second] = groups.map(|name| {
                let last = name.len();
                format!("[resolvers.{name}]\nservers = [\"192.0.2.{last}\"]\n")
            });
            world(&format!(
                "resolvers = \"{own}\"\n[profile.mia]\ninherits = \"adult\"\n\
                 resolvers = \"small\"\n{first}{second}"
            ))
        };
        let told = |before: &Snapshot, after: &Snapshot| -> Vec<String> {
            let all = effect::differences(&before.config, &after.config).into_iter();
            let ours = all.filter(|it| it.kind == "profile");
            ours.map(|it| it.what).collect()
        };
        let before = text(["small", "medium"], "medium");
        assert_eq!(told(&before, &text(["medium", "small"], "medium")), [""; 0]);
        assert_eq!(
            told(&before, &text(["medium", "small"], "small")),
            ["resolvers: small instead of medium"]
        );
        assert_eq!(
            told(&before, &text(["small", "medium"], "household")),
            ["resolvers: household instead of medium"]
        );
    }

    /// What was open because a category was granted is no work of the configuration.
    #[test]
    fn what_a_grant_opened_without_a_word_cannot_be_judged() {
        let snapshot = world(
            "block-names = [\"play.example\"]\n\
             [[device]]\nname = \"phone\"\nprofile = \"leo\"\naddress = [\"192.0.2.7\"]\n",
        );
        let entry: LogEntry = serde_json::from_value(serde_json::json!({
            "seq": 1, "at": "2026-12-01T12:00:00Z", "device": "phone", "profile": "leo",
            "verdict": "allow", "category": "unlisted", "tier": "lists", "trigger": "qname",
            "source": "upstream", "rcode": "NOERROR", "name": "play.example", "qtype": "A",
        }))
        .unwrap();
        let opening = |scope: Scope, until: &str| Opening {
            scope,
            since: "2026-12-01T11:00:00Z".parse().unwrap(),
            until: until.parse().unwrap(),
        };
        let leo = || Scope::Profile("leo".to_owned());
        for (opening, expected) in [
            (opening(leo(), "2026-12-01T13:00:00Z"), (0, 1)),
            (opening(Scope::Everybody, "2026-12-01T13:00:00Z"), (0, 1)),
            (opening(leo(), "2026-12-01T11:30:00Z"), (1, 0)),
            (
                opening(Scope::Device("tablet".into()), "2026-12-01T13:00:00Z"),
                (1, 0),
            ),
        ] {
            let mut replayer = Replayer::new(&snapshot);
            replayer.was_open(std::iter::once(opening.clone()));
            replayer.judge(&entry);
            let replay = replayer.finish();
            assert_eq!((replay.changed, replay.undecided), expected, "{opening:?}");
        }
    }
}
