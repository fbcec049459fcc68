//! What can be said about a name.

use super::authority::Rank;
use crate::verdict::{Reason, RewriteTarget};

/// Whether a voice is for or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stance {
    /// Let it through.
    Allow,
    /// Block it.
    Block,
    /// Answer with the restricted name.
    Rewrite,
}

/// One voice about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// What it says.
    pub stance: Stance,
    /// Its weight and where it comes from.
    pub reason: Reason,
    /// The restricted name, for a rewrite.
    pub target: Option<RewriteTarget>,
    /// How much of the name it is about: labels, doubled, and one more if it means the name alone;
    /// 0 where it is about all names.
    pub precision: u16,
    /// Whether it comes before exceptions that are not important; heard in the lowest tier only.
    pub important: bool,
}

impl Voice {
    /// Its place in the order of authority.
    pub fn rank(&self) -> Rank {
        Rank::of(&self.reason)
    }
}

/// See [`Voice::precision`].
pub(crate) fn precision(labels: u8, name_alone: bool) -> u16 {
    u16::from(labels) * 2 + u16::from(name_alone)
}
