//! What was decided and why: one value that log, Extended DNS Error, statistics and `explain` read.

use std::fmt;

/// How much a voice weighs; a rule may only be relaxed by a tier above it (smaller is higher).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Helplines, emergency, the time service: never blocked, never logged.
    Lifeline,
    /// Hotline fingerprints and orders a court gave an ISP; no household switch.
    Sealed,
    /// The household's own rules and grants.
    Household,
    /// Categories, safe search, allow-only, bypass closing of the profile.
    ChildSafety,
    /// Malware, phishing, rebinding.
    Security,
    /// Ads, trackers, and what a subscribed list says of its own.
    Lists,
}

impl Tier {
    /// All tiers, the highest first.
    pub const ALL: [Self; 6] = [
        Self::Lifeline,
        Self::Sealed,
        Self::Household,
        Self::ChildSafety,
        Self::Security,
        Self::Lists,
    ];

    /// The name people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Lifeline => "lifeline",
            Self::Sealed => "sealed",
            Self::Household => "household",
            Self::ChildSafety => "child-safety",
            Self::Security => "security",
            Self::Lists => "lists",
        }
    }
}

/// Whose rule it was; a device's own word comes before its profile's, that before the household's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// A rule of one device.
    Device,
    /// A rule of a profile.
    Profile,
    /// A rule for everybody.
    Household,
}

/// What spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing spoke: the open web.
    Unlisted,
    /// A line of a list.
    List {
        /// The list's id.
        list: &'static str,
        /// The list's category.
        category: &'static str,
        /// How many labels the rule's name has; the whole name where it is a pattern.
        labels: u8,
    },
    /// A name of a service that is blocked.
    Service {
        /// The service's id.
        service: &'static str,
        /// What people call it.
        title: &'static str,
        /// Its category.
        category: &'static str,
        /// How many labels the name has that its list names; the whole name where it is a pattern.
        labels: u8,
    },
    /// A name of a service that the profile takes out of what is blocked.
    OpenService {
        /// The service's id.
        service: &'static str,
    },
    /// A schedule closes it now.
    Schedule {
        /// The schedule's name.
        schedule: &'static str,
        /// What it closes, as written: `everything`, `games`, `roblox`.
        of: &'static str,
    },
    /// The time for it is used up.
    Quota {
        /// What the quota is of, as written.
        quota: &'static str,
        /// Which of these subjects the name belongs to.
        of: &'static str,
    },
    /// Somebody has granted it for a while.
    Grant {
        /// What was granted, as written.
        of: &'static str,
        /// Whether that is a service; a name otherwise.
        is_service: bool,
    },
    /// The internet is paused.
    Pause {
        /// Who paused it.
        by: &'static str,
    },
    /// A line of the household's own rules.
    Rule {
        /// Whose rule.
        scope: Scope,
        /// The rule as written.
        rule: &'static str,
    },
    /// The profile allows only what is on its allowlists.
    AllowOnly,
    /// The name is a search engine's or video service's, and the profile wants its safe form.
    SafeSearch {
        /// The engine, as in `google`.
        engine: &'static str,
    },
    /// A name by which software asks whether it may use another resolver.
    Canary,
    /// A list the profile needs could not be loaded, and the profile says doubt blocks.
    Unsure {
        /// The list that is missing.
        list: &'static str,
    },
    /// What lists say of it cannot be read, and the profile says doubt blocks.
    Unreadable,
    /// A public name that points into the home (DNS rebinding).
    Rebinding,
    /// A special-use name we answer ourselves (RFC 6761, RFC 6303).
    SpecialUse,
    /// A name in another script that looks like a blocked one.
    LookAlike {
        /// What speaks against that: a list or a rule.
        of: &'static str,
        /// The list's category, or `rule`.
        category: &'static str,
    },
    /// A record type that no ordinary program asks for.
    UnusualType,
    /// One of many made-up names below one: data hidden in names.
    Tunnel,
    /// A name that nobody would type, on no list.
    UnusualName,
}

/// Which part of the exchange the voice spoke about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The name asked for.
    Qname,
    /// A CNAME or DNAME target in the answer.
    Cname,
    /// An A or AAAA record in the answer.
    Address,
    /// The target or alias of an SVCB or HTTPS record.
    SvcbTarget,
    /// An address hint of an SVCB or HTTPS record.
    SvcbHint,
}

impl Trigger {
    /// The name people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Qname => "qname",
            Self::Cname => "cname",
            Self::Address => "address",
            Self::SvcbTarget => "svcb-target",
            Self::SvcbHint => "svcb-hint",
        }
    }
}

/// Why a verdict is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// How much weight the voice had.
    pub tier: Tier,
    /// What spoke.
    pub cause: Cause,
    /// About which part.
    pub trigger: Trigger,
}

impl Reason {
    /// Nothing spoke against it.
    pub const UNLISTED: Self = Self {
        tier: Tier::Lists,
        cause: Cause::Unlisted,
        trigger: Trigger::Qname,
    };

    /// The short form with few distinct values, for counters: a category or the kind of rule.
    pub const fn label(&self) -> &'static str {
        match self.cause {
            Cause::Unlisted => "unlisted",
            Cause::List { category, .. } | Cause::Service { category, .. } => category,
            Cause::OpenService { .. } => "open-service",
            Cause::Schedule { .. } => "schedule",
            Cause::Quota { .. } => "quota",
            Cause::Grant { .. } => "grant",
            Cause::Pause { .. } => "pause",
            Cause::Rule { .. } => "rule",
            Cause::AllowOnly => "allow-only",
            Cause::SafeSearch { .. } => "safe-search",
            Cause::Canary => "canary",
            Cause::Unsure { .. } => "unsure",
            Cause::Unreadable => "unreadable",
            Cause::Rebinding => "rebinding",
            Cause::SpecialUse => "special-use",
            Cause::LookAlike { .. } => "look-alike",
            Cause::UnusualType => "unusual-type",
            Cause::Tunnel => "tunnel",
            Cause::UnusualName => "unusual-name",
        }
    }

    /// The list that spoke, if one did.
    pub const fn list(&self) -> Option<&'static str> {
        match self.cause {
            Cause::List { list, .. }
            | Cause::Unsure { list }
            | Cause::Service { service: list, .. }
            | Cause::OpenService { service: list } => Some(list),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    /// One line for people, as in `gambling (list starter-gambling)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Unlisted => f.write_str("not on any list"),
            // Nearly all blocks: this goes into each answer, and a template costs three times as much.
            Cause::List { list, category, .. } => {
                let parts = [category, " (list ", list, ")"];
                parts.into_iter().try_for_each(|it| f.write_str(it))
            }
            Cause::Service {
                service,
                title,
                category,
                ..
            } => write!(f, "{title} (service {service}, category {category})"),
            Cause::OpenService { service } => write!(f, "service {service} is open"),
            Cause::Schedule { schedule, of } => write!(f, "schedule {schedule} closes {of}"),
            Cause::Quota { quota, of } if quota == of => write!(f, "the time for {of} is used up"),
            Cause::Quota { quota, of } => {
                write!(f, "the time for {quota} is used up ({of})")
            }
            Cause::Grant { of, .. } => write!(f, "granted: {of}"),
            Cause::Pause { by } => write!(f, "the internet is paused (by {by})"),
            Cause::Rule { scope, rule } => {
                let whose = match scope {
                    Scope::Device => "device",
                    Scope::Profile => "profile",
                    Scope::Household => "household",
                };
                write!(f, "{whose} rule `{rule}`")
            }
            Cause::AllowOnly => f.write_str("not on the allowlist of this profile"),
            Cause::SafeSearch { engine } => write!(f, "safe search ({engine})"),
            Cause::Canary => f.write_str("keeps this device on the home's resolver"),
            Cause::Unsure { list } => write!(f, "list {list} could not be loaded"),
            Cause::Unreadable => f.write_str("what the lists say of it cannot be read"),
            Cause::Rebinding => f.write_str("a public name that points into the home"),
            Cause::SpecialUse => f.write_str("a special-use name, answered here"),
            Cause::LookAlike { of, category } => {
                write!(f, "looks like a name that is blocked: {category} ({of})")
            }
            Cause::UnusualType => f.write_str("a record type no ordinary program asks for"),
            Cause::UnusualName => f.write_str("a name that nobody would type, on no list"),
            Cause::Tunnel => f.write_str("made-up names that hide data, about a hundred a minute"),
        }?;
        match self.trigger {
            Trigger::Qname => Ok(()),
            other => write!(f, ", found in the answer ({})", other.label()),
        }
    }
}

/// What is to happen to a name or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow(Reason),
    /// Answer as the profile answers blocks.
    Block(Reason),
    /// Answer with the provider's own restricted name instead; the index is into the safe-search
    /// table's targets.
    Rewrite(RewriteTarget, Reason),
}

/// Which restricted name stands in for the one asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewriteTarget(pub u16);

impl Verdict {
    /// Why.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Allow(reason) | Self::Block(reason) | Self::Rewrite(_, reason) => *reason,
        }
    }

    /// Whether the device gets through.
    pub const fn is_block(&self) -> bool {
        matches!(self, Self::Block(_))
    }

    /// Whether it is a block that is about this very name, and not about all that are asked for.
    pub const fn is_of_the_name(&self) -> bool {
        match self {
            Self::Block(reason) => matches!(
                reason.cause,
                Cause::List { .. } | Cause::Service { .. } | Cause::Rule { .. } | Cause::Canary
            ),
            Self::Allow(_) | Self::Rewrite(..) => false,
        }
    }

    /// The word for counters and logs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Block(_) => "block",
            Self::Rewrite(..) => "rewrite",
        }
    }
}
