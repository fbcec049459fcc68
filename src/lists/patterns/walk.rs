//! All patterns of a section, as their lists say them.

use super::Patterns;
use crate::lists::{ListId, Modifiers, Pattern, modifiers};

impl Patterns {
    /// Calls `each` for every pattern, in the order of their numbers.
    pub fn walk(&self, section: &[u8], mut each: impl FnMut(ListId, Pattern)) {
        for number in 0..self.len() {
            let Some(hit) = self.hit(section, number) else {
                continue;
            };
            let Some((kind, text)) = self.text(section, hit.number) else {
                continue;
            };
            let encoded = hit.rule.and_then(|rule| self.modifiers(section, rule));
            let mut modifiers = encoded.and_then(modifiers::decode).unwrap_or_default();
            modifiers.important = hit.important;
            let pattern = Pattern {
                kind,
                text: text.to_owned(),
                effect: hit.effect,
                modifiers: (modifiers != Modifiers::default()).then(|| Box::new(modifiers)),
            };
            each(hit.list, pattern);
        }
    }
}
