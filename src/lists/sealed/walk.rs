//! All fingerprints of a list in a section.

use super::section::filter_words;
use super::view::{FINGERPRINT, Sealed};
use crate::lists::{Fingerprint, ListId};

impl Sealed {
    /// Calls `each` for every fingerprint of `list`, in ascending order.
    pub fn walk(&self, section: &[u8], list: ListId, mut each: impl FnMut(Fingerprint)) {
        let chunks = self.chunks_of(list);
        for (_, begin, count) in chunks.filter_map(|number| self.chunk(section, number)) {
            let begin = begin + filter_words(count) * 8;
            let octets = section.get(begin..begin + count * FINGERPRINT);
            let (fingerprints, _) = octets.unwrap_or_default().as_chunks();
            fingerprints.iter().for_each(|it| each(Fingerprint(*it)));
        }
    }

    /// Whether `list` has this fingerprint; no key is needed to tell.
    pub fn contains(&self, section: &[u8], list: ListId, fingerprint: Fingerprint) -> bool {
        let found = self.opened(list);
        found.is_some_and(|list| self.holds(section, list, fingerprint))
    }
}
