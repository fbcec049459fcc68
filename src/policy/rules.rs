//! The household's own lines, of every device, profile and of all, searched at once.
//!
//! Rules about names stand in one hash table, searched for the name and each of its parents; so ten
//! thousand rules cost a query what ten do. A rule with a `*` inside is compared
//! one by one, which is why there may be few of them.

use std::collections::HashMap;

use crate::config::{Pattern, Rule, Rules, matches_glob, whole_labels};
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

    /// The names that rules are about, without those with a `*` inside.
    pub(super) fn names(&self) -> impl Iterator<Item = NameRef<'_>> {
        self.names.keys().map(Name::as_ref)
    }

    /// Hears every rule about `name` that concerns this profile and device. Without `may_be_named`
    /// none is about the name or one above it but those with a `*` inside.
    pub(super) fn survey(
        &self,
        name: NameRef<'_>,
        may_be_named: bool,
        profile: u16,
        device: Option<u16>,
        each: &mut impl FnMut(Voice),
    ) {
        if !may_be_named && self.globs.is_empty() {
            return;
        }
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
        if may_be_named {
            let labels = || name.label_count();
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
                            precision((labels() - above) as u8, rule.reach == Reach::Exact);
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
    let whole_labels = u8::try_from(whole_labels(pattern)).unwrap_or(u8::MAX);
    Some(GlobRule {
        owner,
        stance,
        text: intern(&rule.text),
        pattern: pattern.as_str().into(),
        precision: precision(whole_labels, false),
    })
}
