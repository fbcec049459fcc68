//! The catalogue: public lists a household may subscribe to by a word.
//!
//! It is a file of the repository, `blocklists/catalogue.toml`, read when somebody refers to it.
//! Nothing of the lists themselves is in it.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// A public list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// What `catalogue = "…"` says.
    pub id: String,
    /// What its publisher calls it.
    pub title: String,
    /// The category it fills.
    pub category: String,
    /// Where it is downloaded from.
    pub url: String,
    /// Its syntax.
    pub format: String,
    /// The folder to read of an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// Its licence, as far as its publisher says.
    pub licence: String,
    /// About how many names are on it.
    pub entries: u64,
    /// Where people read about it.
    pub homepage: String,
    /// What somebody who chooses should know.
    pub note: String,
    /// The day the entry was written down.
    pub noted: String,
}

/// All public lists, by category.
pub fn catalogue() -> &'static [CatalogueEntry] {
    #[derive(Deserialize)]
    struct Catalogue {
        list: Vec<CatalogueEntry>,
    }
    static ENTRIES: OnceLock<Vec<CatalogueEntry>> = OnceLock::new();
    // It is part of the program; a test reads it.
    ENTRIES.get_or_init(|| {
        toml::from_str(TEXT)
            .map(|catalogue: Catalogue| catalogue.list)
            .unwrap_or_default()
    })
}

const TEXT: &str = include_str!("../../blocklists/catalogue.toml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load_embedded};
    use crate::files::MemoryFiles;

    #[test]
    fn every_entry_can_be_subscribed_to() {
        let entries = catalogue();
        assert_eq!(entries.len(), 82);
        let text: String = entries
            .iter()
            .map(|entry| format!("[[list]]\ncatalogue = {:?}\n", entry.id))
            .collect();
        let files = MemoryFiles::new().files();
        let loaded = load_embedded(&text, &files, &Overrides::default());
        for diagnostic in &loaded.diagnostics {
            // A category the program brings no lists for is blocked by the profiles that name it.
            assert!(
                diagnostic.message.ends_with("category `piracy`"),
                "{diagnostic}"
            );
        }
        let config = loaded.config.unwrap();
        for entry in entries {
            let list = config.lists.iter().find(|list| list.id == entry.id);
            let list = list.unwrap_or_else(|| panic!("{}", entry.id));
            assert_eq!(list.category, entry.category);
            assert_eq!(list.download.as_ref().unwrap().url, entry.url);
            assert_eq!(list.format.unwrap().label(), entry.format);
            assert_eq!(list.member, entry.member);
            let is_archive = entry.url.ends_with(".tar.gz");
            assert_eq!(entry.member.is_some(), is_archive, "{}", entry.id);
        }
    }
}
