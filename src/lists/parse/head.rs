//! What a list says of itself in the comments at its head.

use std::str;

/// The lines `# key: value` before the first entry; adblock lists have `!` for `#`, zones `;`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// What people call it.
    pub title: Option<String>,
    /// The category its author had in mind.
    pub category: Option<String>,
    /// `block`, `allow` or `lifeline`.
    pub kind: Option<String>,
    /// Where its names come from.
    pub source: Option<String>,
    /// When it was last changed, as written.
    pub date: Option<String>,
    /// Its licence.
    pub licence: Option<String>,
    /// What it means to cover.
    pub covers: Option<String>,
}

impl Head {
    /// Takes note of a line if it is a known `key: value`; the first of a key counts.
    pub(super) fn note(&mut self, line: &[u8]) {
        let Some(comment) = line
            .strip_prefix(b"#")
            .or_else(|| line.strip_prefix(b"!"))
            .or_else(|| line.strip_prefix(b";"))
            .and_then(|comment| str::from_utf8(comment).ok())
        else {
            return;
        };
        let Some((key, value)) = comment.split_once(':') else {
            return;
        };
        let value = value.trim();
        let Some(place) = self.place(&key.trim().to_ascii_lowercase()) else {
            return;
        };
        // Shown to people as it is, so nothing a terminal would act on.
        if place.is_none() && !value.is_empty() && !value.chars().any(char::is_control) {
            *place = Some(value.to_owned());
        }
    }

    /// Where the value of a key goes, in our words or those of other lists.
    fn place(&mut self, key: &str) -> Option<&mut Option<String>> {
        Some(match key {
            "title" => &mut self.title,
            "category" => &mut self.category,
            "kind" => &mut self.kind,
            "source" | "homepage" => &mut self.source,
            "date" | "last modified" | "updated" => &mut self.date,
            "licence" | "license" => &mut self.licence,
            "covers" | "description" => &mut self.covers,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ReadOptions, read_list};
    use super::*;

    #[test]
    fn our_own_head() {
        let list = "\u{feff}# title: Lifelines\r\n# category: lifelines\r\n# kind: lifeline\r\n\
            # source: a:b\r\n# date: 2026-11-22\r\n# licence: MIT\r\n# covers: help: always\r\n\
            \r\n## section\r\nexample.org\r\n# title: too late\r\n";
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(
            read_list(list.as_bytes(), &ReadOptions::default(), |_, _| {}).head,
            Head {
                title: said("Lifelines"),
                category: said("lifelines"),
                kind: said("lifeline"),
                source: said("a:b"),
                date: said("2026-11-22"),
                licence: said("MIT"),
                covers: said("help: always"),
            }
        );
    }

    #[test]
    fn heads_of_others() {
        let list = "! Title: Ads\n! Title: again\n! Last modified: 2026-07-06\n! License:\n\
            ! Homepage: \x1b[31m\n! Description: all of them\n||example.org^\n";
        let head = read_list(list.as_bytes(), &ReadOptions::default(), |_, _| {}).head;
        assert_eq!(head.title.as_deref(), Some("Ads"));
        assert_eq!(head.date.as_deref(), Some("2026-07-06"));
        assert_eq!(head.covers.as_deref(), Some("all of them"));
        assert_eq!((head.licence, head.source), (None, None));
    }
}
