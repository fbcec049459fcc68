//! What an index keeps of its lists, as JSON.

use serde::{Deserialize, Serialize};

use crate::intern::intern;
use crate::lists::{Head, LineNote, ListFormat, ListInfo, ListKind};
use crate::verdict::Tier;

/// The longest id or category that is believed, in octets. Words are kept for the life of the
/// process, so an index must not bring any number of them.
const MAX_WORD: usize = 1024;

/// A [`ListInfo`] as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    id: String,
    category: String,
    kind: String,
    tier: String,
    origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(default, skip_serializing_if = "SavedHead::is_empty")]
    head: SavedHead,
    entries: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    bad_lines: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    first_errors: Vec<(u32, String)>,
    #[serde(default, skip_serializing_if = "is_zero")]
    flagged_lines: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    first_flags: Vec<(u32, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<[u8; 32]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stale: Option<String>,
}

/// A [`Head`] as it stands in the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct SavedHead {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    covers: Option<String>,
}

impl SavedHead {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over references"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The octets of the section.
pub(super) fn write(lists: &[ListInfo]) -> Result<Vec<u8>, serde_json::Error> {
    let saved: Vec<Saved> = lists.iter().map(Saved::from).collect();
    serde_json::to_vec(&saved)
}

/// The lists of a section, or what about them makes no sense.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<ListInfo>, &'static str> {
    let saved: Vec<Saved> =
        serde_json::from_slice(bytes).map_err(|_| "what it says of its lists")?;
    if saved.len() > usize::from(u16::MAX) {
        return Err("more than 65,535 lists");
    }
    saved.into_iter().map(Saved::restore).collect()
}

impl From<&ListInfo> for Saved {
    fn from(info: &ListInfo) -> Self {
        let notes = |notes: &[LineNote]| {
            let pairs = notes.iter().map(|note| (note.line, note.text.clone()));
            pairs.collect()
        };
        let head = info.head.clone();
        Self {
            id: info.id.to_owned(),
            category: info.category.to_owned(),
            kind: info.kind.label().to_owned(),
            tier: info.tier.label().to_owned(),
            origin: info.origin.clone(),
            format: info.format.map(|format| format.label().to_owned()),
            head: SavedHead {
                title: head.title,
                category: head.category,
                kind: head.kind,
                source: head.source,
                date: head.date,
                licence: head.licence,
                covers: head.covers,
            },
            entries: info.entries,
            bad_lines: info.bad_lines,
            first_errors: notes(&info.first_errors),
            flagged_lines: info.flagged_lines,
            first_flags: notes(&info.first_flags),
            sha256: info.sha256,
            failure: info.failure.clone(),
            stale: info.stale.clone(),
        }
    }
}

impl Saved {
    /// The list, or what about it makes no sense.
    fn restore(self) -> Result<ListInfo, &'static str> {
        let notes = |pairs: Vec<(u32, String)>| -> Vec<LineNote> {
            let notes = pairs
                .into_iter()
                .map(|(line, text)| LineNote { line, text });
            notes.collect()
        };
        let is_word = |word: &str| word.len() <= MAX_WORD && !word.contains(char::is_control);
        if !is_word(&self.id) || !is_word(&self.category) {
            return Err("a list's id or category is no word");
        }
        const KINDS: [ListKind; 4] = [
            ListKind::Block,
            ListKind::Allow,
            ListKind::Lifeline,
            ListKind::Sealed,
        ];
        let kind = KINDS.into_iter().find(|kind| kind.label() == self.kind);
        let tier = Tier::ALL.into_iter().find(|tier| tier.label() == self.tier);
        let format = self.format.map(|label| {
            let mut all = ListFormat::ALL.into_iter();
            all.find(|format| format.label() == label)
                .ok_or("a list of an unknown syntax")
        });
        Ok(ListInfo {
            id: intern(&self.id),
            category: intern(&self.category),
            kind: kind.ok_or("a list of an unknown kind")?,
            tier: tier.ok_or("a list of an unknown tier")?,
            origin: self.origin,
            format: format.transpose()?,
            head: Head {
                title: self.head.title,
                category: self.head.category,
                kind: self.head.kind,
                source: self.head.source,
                date: self.head.date,
                licence: self.head.licence,
                covers: self.head.covers,
            },
            entries: self.entries,
            bad_lines: self.bad_lines,
            first_errors: notes(self.first_errors),
            flagged_lines: self.flagged_lines,
            first_flags: notes(self.first_flags),
            sha256: self.sha256,
            failure: self.failure,
            stale: self.stale,
        })
    }
}
