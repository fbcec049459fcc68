//! The household's own lines, of every device, profile and of all, searched at once.
//!
//! A rule about a name is an entry of one small [`Index`], in which each owner's lines of one kind
//! are a list; so ten thousand rules cost a query what ten do. A rule with a `*` inside is compared
//! one by one, which is why there may be few of them.

use crate::config::{Pattern, Rule, Rules};
use crate::intern::intern;
use crate::lists::{Effect, Entry, Index, IndexBuilder, ListInfo, ListKind, Reach};
use crate::name::NameRef;
use crate::policy::{Stance, Voice, precision};
use crate::verdict::{Cause, Reason, Scope, Tier, Trigger};

/// Whose a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOwner {
    /// Everybody's.
    Household,
    /// Of the profile with this id.
    Profile(u16),
    /// Of the device with this index.
    Device(u16),
}

impl RuleOwner {
    const fn scope(self) -> Scope {
        match self {
            Self::Household => Scope::Household,
            Self::Profile(_) => Scope::Profile,
            Self::Device(_) => Scope::Device,
        }
    }

    fn concerns(self, profile: u16, device: Option<u16>) -> bool {
        match self {
            Self::Household => true,
            Self::Profile(id) => id == profile,
            Self::Device(id) => Some(id) == device,
        }
    }
}

/// All rules of a household.
#[derive(Debug)]
pub struct RuleBook {
    names: Index,
    /// For each list of `names`: whose it is, what it says, the rules as written.
    shelves: Vec<Shelf>,
    globs: Vec<GlobRule>,
}

#[derive(Debug)]
struct Shelf {
    owner: RuleOwner,
    stance: Stance,
    texts: Vec<&'static str>,
}

#[derive(Debug)]
struct GlobRule {
    owner: RuleOwner,
    stance: Stance,
    text: &'static str,
    pattern: Box<str>,
    precision: u16,
}

impl RuleBook {
    /// The book of all `rules`, each with its owner.
    pub fn new<'r>(rules: impl IntoIterator<Item = (RuleOwner, &'r Rules)>) -> Self {
        let mut builder = IndexBuilder::new();
        let mut shelves = Vec::new();
        let mut globs = Vec::new();
        for (owner, rules) in rules {
            for (stance, lines) in [(Stance::Allow, &rules.allow), (Stance::Block, &rules.block)] {
                if lines.is_empty() {
                    continue;
                }
                globs.extend(
                    lines
                        .iter()
                        .filter_map(|rule| glob_rule(owner, stance, rule)),
                );
                let added = builder.add_list(
                    shelf_info(shelves.len()),
                    lines
                        .iter()
                        .zip(1..)
                        .filter_map(|(rule, line)| Some((line, entry(rule)?))),
                );
                if added.is_ok() {
                    shelves.push(Shelf {
                        owner,
                        stance,
                        texts: lines.iter().map(|rule| intern(&rule.text)).collect(),
                    });
                }
            }
        }
        Self {
            names: builder.build(),
            shelves,
            globs,
        }
    }

    /// Hears every rule about `name` that concerns this profile and device.
    pub fn survey(
        &self,
        name: NameRef<'_>,
        profile: u16,
        device: Option<u16>,
        each: &mut impl FnMut(Voice),
    ) {
        let mut speak = |owner: RuleOwner, stance, rule, precision| {
            each(Voice {
                stance,
                reason: Reason {
                    tier: Tier::Household,
                    cause: Cause::Rule {
                        scope: owner.scope(),
                        rule,
                    },
                    trigger: Trigger::Qname,
                },
                target: None,
                precision,
            });
        };
        self.names.look_up(name, |hit| {
            let shelf = &self.shelves[usize::from(hit.list.0)];
            if shelf.owner.concerns(profile, device) {
                let rule = shelf.texts[hit.line as usize - 1];
                let precision = precision(hit.labels, hit.reach == Reach::Exact);
                speak(shelf.owner, shelf.stance, rule, precision);
            }
        });
        for glob in &self.globs {
            if glob.owner.concerns(profile, device) && matches_glob(name, &glob.pattern) {
                speak(glob.owner, glob.stance, glob.text, glob.precision);
            }
        }
    }
}

fn shelf_info(index: usize) -> ListInfo {
    let id = intern(&format!("rules-{index}"));
    ListInfo::new(id, "rule", ListKind::Block, Tier::Household)
}

fn entry(rule: &Rule) -> Option<Entry> {
    let (name, reach) = match &rule.pattern {
        Pattern::Subtree(name) => (name, Reach::Subtree),
        Pattern::Exact(name) => (name, Reach::Exact),
        Pattern::Below(name) => (name, Reach::Below),
        Pattern::Glob(_) => return None,
    };
    Some(Entry {
        name: name.clone(),
        reach,
        effect: Effect::Listed,
    })
}

fn glob_rule(owner: RuleOwner, stance: Stance, rule: &Rule) -> Option<GlobRule> {
    let Pattern::Glob(pattern) = &rule.pattern else {
        return None;
    };
    let whole_labels = pattern.split('.').filter(|label| !label.contains('*'));
    let whole_labels = u8::try_from(whole_labels.count()).unwrap_or(u8::MAX);
    Some(GlobRule {
        owner,
        stance,
        text: intern(&rule.text),
        pattern: pattern.as_str().into(),
        precision: precision(whole_labels, false),
    })
}

/// Whether the whole of `name`, as text without the final dot, matches `pattern`, in which `*`
/// stands for any octets, dots included.
///
/// Goes through the name once and steps back at most to the last `*`, so no pattern is slow.
fn matches_glob(name: NameRef<'_>, pattern: &str) -> bool {
    let wire = name.as_wire();
    // The wire form is the text with each dot replaced by a length, one in front and a zero behind.
    let length = wire.len().saturating_sub(2);
    let mut dots = [false; crate::name::MAX_NAME];
    let mut at = 0;
    for label in name.labels() {
        dots[at] = true;
        at += 1 + label.len();
    }
    let octet = |index: usize| {
        if dots[index + 1] {
            b'.'
        } else {
            wire[index + 1]
        }
    };
    let pattern = pattern.as_bytes();
    let (mut seen, mut used) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < length {
        if pattern.get(used) == Some(&b'*') {
            star = Some((seen, used));
            used += 1;
        } else if pattern.get(used) == Some(&octet(seen)) {
            seen += 1;
            used += 1;
        } else if let Some((from, star_at)) = star {
            star = Some((from + 1, star_at));
            seen = from + 1;
            used = star_at + 1;
        } else {
            return false;
        }
    }
    pattern[used..].iter().all(|&rest| rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn globs_match_whole_names_across_dots() {
        for (pattern, text, expected) in [
            ("cdn*-x.example.org", "cdn12-x.example.org", true),
            ("cdn*-x.example.org", "cdn-x.example.org", true),
            ("cdn*-x.example.org", "acdn-x.example.org", false),
            ("*ads*.example.org", "a.myads.b.example.org", true),
            ("a*b*c.test", "axxbxxbyc.test", true),
            ("a*b*c.test", "axxc.test", false),
            ("*.test", "a.b.test", true),
            ("a.test*", "a.test", true),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!(
                matches_glob(name.as_ref(), pattern),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
