//! What an index keeps of its lists, as JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::intern::intern;
use crate::lists::{Head, LineNote, ListFormat, ListInfo, ListKind, services};
use crate::verdict::Tier;

/// The longest id or category that is believed, in octets. Words are kept for the life of the
/// process, so an index must not bring any number of them.
const MAX_WORD: usize = 1024;

/// The syntax of the lists of services.
const SERVICE_FORMAT: ListFormat = ListFormat::Wildcards;

/// A [`ListInfo`] as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    id: String,
    /// Whether it is a service, of which nothing is written that holds for all of them.
    #[serde(default, skip_serializing_if = "is_false")]
    service: bool,
    category: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tier: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over references"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The octets of the section.
pub(super) fn write(lists: &[ListInfo]) -> Result<Vec<u8>, serde_json::Error> {
    let saved: Vec<Saved> = lists.iter().map(Saved::from).collect();
    serde_json::to_vec(&saved)
}

/// The lists of a section, or what about them makes no sense.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<ListInfo>, &'static str> {
    let Restored(lists) = serde_json::from_slice(bytes).map_err(|_| "what it says of its lists")?;
    let lists = lists?;
    if lists.len() > usize::from(u16::MAX) {
        return Err("more than 65,535 lists");
    }
    Ok(lists)
}

/// All lists, restored one by one: most are services, and all of them as they stand in the file
/// would take more memory than what is kept.
struct Restored(Result<Vec<ListInfo>, &'static str>);

impl<'de> Deserialize<'de> for Restored {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Lists;
        impl<'de> Visitor<'de> for Lists {
            type Value = Restored;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("lists")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Restored, A::Error> {
                let mut lists = Ok(Vec::new());
                while let Some(saved) = from.next_element::<Saved>()? {
                    if let Ok(known) = &mut lists {
                        match saved.restore() {
                            Ok(list) => known.push(list),
                            Err(why) => lists = Err(why),
                        }
                    }
                }
                if let Ok(known) = &mut lists {
                    known.shrink_to_fit();
                }
                Ok(Restored(lists))
            }
        }
        from.deserialize_seq(Lists)
    }
}

impl From<&ListInfo> for Saved {
    fn from(info: &ListInfo) -> Self {
        let notes = |notes: &[LineNote]| {
            let pairs = notes.iter().map(|note| (note.line, note.text.clone()));
            pairs.collect()
        };
        let head = info.head.as_deref().cloned().unwrap_or_default();
        let is_service = info.service.is_some();
        // What is so of every service is not said of each.
        let unless = |usual: bool, text: &str| match is_service && usual {
            true => String::new(),
            false => text.to_owned(),
        };
        let format = info.format.map(ListFormat::label);
        Self {
            id: info.id.to_owned(),
            service: is_service,
            category: info.category.to_owned(),
            kind: unless(info.kind == ListKind::Block, info.kind.label()),
            tier: unless(info.tier == Tier::ChildSafety, info.tier.label()),
            origin: unless(info.origin == services::ORIGIN, &info.origin),
            format: format
                .filter(|format| !is_service || *format != SERVICE_FORMAT.label())
                .map(str::to_owned),
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
        let known = services::find(&self.id).filter(|_| self.service);
        let id = known.map_or_else(|| intern(&self.id), |service| service.id);
        let is_usual = |text: &str| self.service && text.is_empty();
        let kind = match is_usual(&self.kind) {
            true => Some(ListKind::Block),
            false => (ListKind::ALL.into_iter()).find(|kind| kind.label() == self.kind),
        };
        let tier = match is_usual(&self.tier) {
            true => Some(Tier::ChildSafety),
            false => (Tier::ALL.into_iter()).find(|tier| tier.label() == self.tier),
        };
        let origin = match is_usual(&self.origin) {
            true => Cow::Borrowed(services::ORIGIN),
            false => Cow::Owned(self.origin),
        };
        let usual_format = self.service.then_some(SERVICE_FORMAT);
        let head = Head {
            title: self.head.title,
            category: self.head.category,
            kind: self.head.kind,
            source: self.head.source,
            date: self.head.date,
            licence: self.head.licence,
            covers: self.head.covers,
        };
        let format = self.format.map(|label| {
            let mut all = ListFormat::ALL.into_iter();
            all.find(|format| format.label() == label)
                .ok_or("a list of an unknown syntax")
        });
        Ok(ListInfo {
            id,
            category: known.map_or_else(|| intern(&self.category), |service| service.category()),
            service: self
                .service
                .then(|| known.map_or(id, |service| service.title)),
            kind: kind.ok_or("a list of an unknown kind")?,
            tier: tier.ok_or("a list of an unknown tier")?,
            origin,
            format: format.transpose()?.or(usual_format),
            head: (head != Head::default()).then(|| Box::new(head)),
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
