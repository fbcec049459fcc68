//! The household's own lines, of every device, profile and of all, searched at once.
//!
//! Rules about names stand in one hash table, searched for the name and each of its parents; so ten
//! thousand rules cost a query what ten do. A rule with a `*` inside is compared
//! one by one, which is why there may be few of them.

use std::collections::HashMap;

use crate::config::{Pattern, Rule, Rules};
use crate::intern::intern;
use crate::lists::Reach;
use crate::name::{Name, NameRef};
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
    names: HashMap<Name, Vec<NameRule>>,
    globs: Vec<GlobRule>,
}

#[derive(Debug)]
struct NameRule {
    owner: RuleOwner,
    stance: Stance,
    text: &'static str,
    reach: Reach,
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
        let mut names: HashMap<Name, Vec<NameRule>> = HashMap::new();
        let mut globs = Vec::new();
        for (owner, rules) in rules {
            for (stance, lines) in [(Stance::Allow, &rules.allow), (Stance::Block, &rules.block)] {
                for rule in lines {
                    globs.extend(glob_rule(owner, stance, rule));
                    if let Some((name, reach)) = name_of(rule) {
                        names.entry(name.clone()).or_default().push(NameRule {
                            owner,
                            stance,
                            text: intern(&rule.text),
                            reach,
                        });
                    }
                }
            }
        }
        Self { names, globs }
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
                important: false,
            });
        };
        if !self.names.is_empty() {
            let labels = name.label_count();
            for (above, suffix) in name.suffixes().enumerate() {
                let itself = above == 0;
                for rule in self.names.get(suffix.as_wire()).into_iter().flatten() {
                    let matches = match rule.reach {
                        Reach::Subtree => true,
                        Reach::Exact => itself,
                        Reach::Below => !itself,
                    };
                    if matches && rule.owner.concerns(profile, device) {
                        // At most 127 labels.
                        let precision =
                            precision((labels - above) as u8, rule.reach == Reach::Exact);
                        speak(rule.owner, rule.stance, rule.text, precision);
                    }
                }
            }
        }
        for glob in &self.globs {
            if glob.owner.concerns(profile, device) && matches_glob(name, &glob.pattern) {
                speak(glob.owner, glob.stance, glob.text, glob.precision);
            }
        }
    }
}

/// The name a rule is about and its reach, unless it has a `*` inside.
const fn name_of(rule: &Rule) -> Option<(&Name, Reach)> {
    match &rule.pattern {
        Pattern::Subtree(name) => Some((name, Reach::Subtree)),
        Pattern::Exact(name) => Some((name, Reach::Exact)),
        Pattern::Below(name) => Some((name, Reach::Below)),
        Pattern::Glob(_) => None,
    }
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
