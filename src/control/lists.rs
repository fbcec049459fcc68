//! The lists behind the door: what is known of each, a search in them, what an update brought.

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::{IntoParams, ToSchema};

use super::ControlError;
use super::api::VoiceEffect;
use super::explain::parse_name;
use crate::name::NameBuf;

/// One list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct List {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub title: Option<String>,
    /// The category it fills.
    pub category: String,
    /// `block`, `allow`, `lifeline` or `sealed`.
    pub kind: String,
    /// The weight of what it says, as in `child-safety`.
    pub tier: String,
    /// Where it came from: a path, an address, `embedded` or `configuration`.
    pub origin: String,
    /// Its syntax.
    pub format: Option<String>,
    /// Entries understood; a line may hold several.
    pub entries: u64,
    /// Lines not understood.
    pub bad_lines: u64,
    /// The first of them.
    pub first_errors: Vec<BadLine>,
    /// Lines that name a public suffix (`co.uk`) and were not taken at their word.
    pub flagged_lines: u64,
    /// The first of them.
    pub first_flags: Vec<BadLine>,
    /// Why nothing could be loaded, if so.
    pub failure: Option<String>,
    /// Why it holds what it said before, if so.
    pub stale: Option<String>,
    /// How it is kept up to date; none for what is on this machine.
    pub updates: Option<ListUpdates>,
}

/// A line of a list that somebody should look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct BadLine {
    /// The line, from 1; 0 where nobody knows.
    pub line: u32,
    /// What is wrong with it.
    pub error: String,
}

/// How a list is kept up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ListUpdates {
    /// Where it comes from.
    pub url: String,
    /// Seconds from one look to the next.
    pub every_s: u64,
    /// Whether it must be signed.
    pub signed: bool,
    /// Bytes of the last good copy; 0 without one.
    pub bytes: u64,
    /// When the last good copy was fetched; none without one, or when the clock was not set.
    pub fetched: Option<String>,
    /// Seconds since then.
    pub age_s: Option<u64>,
    /// When it was last looked for.
    pub checked: Option<String>,
    /// Seconds until the next attempt, where a daemon runs.
    pub next_s: Option<u64>,
    /// Why the last attempt failed; none if it did not.
    pub error: Option<String>,
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    /// Entries that name what is protected; they are not obeyed.
    pub protected: u64,
}

/// Which lists are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct ListUpdateQuery {
    /// Their ids, with a comma between them; without it, all that have an address.
    pub lists: Option<String>,
    /// Fetch them even if nothing changed, and believe a list that shrank or grew a lot.
    pub force: bool,
}

/// Which lists are looked for, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListUpdateRequest {
    /// Their ids; none are all that have an address.
    pub ids: Vec<String>,
    /// Whether they are fetched even if nothing changed, and believed even if they shrank or grew a
    /// lot.
    pub force: bool,
}

impl ListUpdateQuery {
    /// What it means.
    pub fn request(&self) -> ListUpdateRequest {
        let ids = self.lists.as_deref().unwrap_or_default().split(',');
        let ids = ids.map(str::trim).filter(|id| !id.is_empty());
        ListUpdateRequest {
            ids: ids.map(str::to_owned).collect(),
            force: self.force,
        }
    }
}

/// What came of looking for new versions of lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ListUpdateReport {
    /// What came of each.
    pub lists: Vec<ListUpdated>,
    /// Whether there is a new index and it is in force.
    pub compiled: bool,
    /// Why there is none although a list changed; the one before stays in force.
    pub failure: Option<String>,
    /// Names in the index in force.
    pub names: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// How long all of it took.
    pub took_ms: u64,
}

/// What came of looking for a new version of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ListUpdated {
    /// Its id.
    pub id: String,
    /// `updated`, `unchanged` or `failed`.
    pub outcome: String,
    /// Entries of the new version.
    pub entries: Option<u64>,
    /// Entries of the version before.
    pub before: Option<u64>,
    /// Bytes downloaded.
    pub downloaded: u64,
    /// Whether the difference to the version before was enough.
    pub by_delta: bool,
    /// Lines not understood.
    pub bad_lines: u64,
    /// Entries that name what is protected; they are not obeyed.
    pub protected: u64,
    /// Why it failed, if so. The last good copy stays in use.
    pub error: Option<String>,
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    /// Seconds until the next attempt.
    pub next_s: u64,
}

/// Which name is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ListSearchQuery {
    /// The name.
    pub name: String,
}

impl ListSearchQuery {
    /// The name, understood.
    ///
    /// # Errors
    /// [`ControlError::BadRequest`] if it is none.
    pub fn parse(&self) -> Result<NameBuf, ControlError> {
        parse_name(&self.name)
    }
}

/// Which lists name a name or a parent of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ListSearch {
    /// The name; withheld if a sealed list holds it.
    pub name: String,
    /// The lines that match it, list by list.
    pub found: Vec<ListMatch>,
    /// What else a reader should know, as that a list could not be read.
    pub notes: Vec<String>,
}

/// A line of a list that matches a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct ListMatch {
    /// The list's id; of a sealed list not even that.
    pub list: Option<String>,
    /// The category it fills.
    pub category: String,
    /// `block`, `allow`, `lifeline` or `sealed`.
    pub kind: String,
    /// The weight of what it says.
    pub tier: String,
    /// What the line wants.
    pub effect: VoiceEffect,
    /// The line as a rule.
    pub rule: Option<String>,
    /// The file it stands in.
    pub file: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// Why it does not count, if so.
    pub note: Option<String>,
    /// The profiles that use the list.
    pub profiles: Vec<String>,
    /// Whether it counts for everybody, whatever the profile.
    pub everybody: bool,
}
