//! `[resolvers.NAME]`: groups of resolvers that profiles name, and tiers of resolvers wherever they
//! are written.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::read::Written;
use super::spec::{Step, Text, Word};
use super::upstream::{Reading, UpstreamServer, servers};
use super::words::label;

/// Resolvers that some profiles ask in place of the household's.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolvers {
    /// What profiles call it.
    pub name: String,
    /// The first choice; one at least.
    pub servers: Vec<UpstreamServer>,
    /// Who is asked while none of those before answers, tier by tier.
    pub fallback: Vec<Vec<UpstreamServer>>,
}

/// What a profile says to be asked with the household's resolvers again.
pub(super) const HOUSEHOLD: &str = "household";
/// As many groups as a home can have; each costs connections.
const MOST: usize = 32;

/// All groups, in the order in which they are written.
pub(super) fn resolvers(
    written: &Written,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Vec<Resolvers> {
    let mut first: HashMap<&str, Range<usize>> = HashMap::new();
    let mut groups = Vec::new();
    for (word, entry) in &written.resolvers {
        let name = word.text();
        if !label(word, "a group of resolvers", problems) {
            continue;
        }
        if name == HOUSEHOLD {
            let message = "a group of resolvers cannot be named `household`";
            problems.report(Diagnostic::error("bad-name", message).at(
                problems.place(&word.span()),
                "stands for those of `[upstream]`",
            ));
            continue;
        }
        if let Some(earlier) = first.get(name) {
            let (second, first) = (problems.place(&word.span()), problems.place(earlier));
            let message = format!("resolvers `{name}` are defined twice");
            problems.report(Diagnostic::error("duplicate", message).twice(second, first));
            continue;
        }
        first.insert(name, word.span());
        let mut seen = HashMap::new();
        let said = entry.spec.servers.as_deref().unwrap_or_default();
        if said.is_empty() && entry.whole {
            let message = format!("resolvers `{name}` without `servers`");
            problems.report_absence(
                Diagnostic::error("missing-key", message)
                    .at(problems.place(&word.span()), "needs `servers = …`"),
            );
        }
        groups.push(Resolvers {
            name: name.to_owned(),
            servers: servers(said, &mut seen, reading, problems),
            fallback: tiers(entry.spec.fallback.as_ref(), &mut seen, reading, problems),
        });
    }
    if groups.len() > MOST {
        let message = format!("more than {MOST} groups of resolvers");
        problems.report(Diagnostic::error("too-many", message));
        groups.truncate(MOST);
    }
    groups
}

/// Tells of groups that no profile names.
pub(super) fn unused(written: &Written, used: &[u8], problems: &mut Problems) {
    let named = used.iter().filter_map(|at| usize::from(*at).checked_sub(1));
    let named = named.filter_map(|at| written.resolvers.get(at));
    let mut told: HashSet<&str> = named.map(|(word, _)| word.text()).collect();
    told.insert(HOUSEHOLD);
    for (word, _) in &written.resolvers {
        if told.insert(word.text()) {
            let message = format!("no profile asks the resolvers `{}`", word.text());
            problems.report_absence(
                Diagnostic::warning("no-effect", message)
                    .at(problems.place(&word.span()), "not used")
                    .help(format!(
                        "a profile names them: `resolvers = \"{}\"`",
                        word.text()
                    )),
            );
        }
    }
}

/// The tiers behind the first choice: `["a", "b"]` is one, `[["a"], ["b"]]` are two.
pub(super) fn tiers(
    steps: Option<&Vec<Word<Step>>>,
    seen: &mut HashMap<UpstreamServer, Range<usize>>,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Vec<Vec<UpstreamServer>> {
    let steps = steps.map(Vec::as_slice).unwrap_or_default();
    let mut single: Vec<Text> = Vec::new();
    let mut several: Vec<&[Text]> = Vec::new();
    for step in steps {
        match step.value() {
            Step::One(word) => single.push(Word::new(step.span(), word.clone())),
            Step::Tier(words) => several.push(words),
        }
    }
    if let (Some(word), false) = (single.first(), several.is_empty()) {
        problems.report(
            Diagnostic::error("wrong-type", "`fallback` mixes resolvers and tiers")
                .at(problems.place(&word.span()), "a resolver among tiers")
                .help(format!(
                    "make it a tier of its own: `[\"{}\"]`",
                    word.text()
                )),
        );
        return Vec::new();
    }
    if !single.is_empty() {
        several.push(&single);
    }
    let tiers = several.into_iter();
    let tiers = tiers.map(|words| servers(words, seen, reading, problems));
    let mut tiers: Vec<_> = tiers.collect();
    tiers.retain(|tier| !tier.is_empty());
    tiers
}
