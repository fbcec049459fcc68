//! Patterns of all syntaxes, checked where they are read.

use crate::lists::patterns::check;
use crate::lists::{Item, LineFault, Pattern};

/// A pattern as an item, if it can be searched for.
///
/// # Errors
/// [`LineFault::Pattern`]: it looks around or back, is too large, or matches every name although
/// nothing restricts it; [`LineFault::Regex`] for what no name can hold.
pub(super) fn item(pattern: Pattern) -> Result<Item, LineFault> {
    if !pattern
        .text
        .bytes()
        .all(|octet| matches!(octet, b' '..=b'~'))
    {
        return Err(LineFault::Regex("names hold only ASCII"));
    }
    check(&pattern)?;
    Ok(Item::Pattern(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{Effect, PatternKind};

    #[test]
    fn an_expression_has_bounds() {
        let said = |text: &str| {
            let pattern = Pattern {
                kind: PatternKind::Regex,
                text: text.to_owned(),
                effect: Effect::Listed,
                modifiers: None,
            };
            item(pattern).map_or_else(|fault| fault.to_string(), |item| item.to_string())
        };
        let fine = r"^([a-z0-9-]{1,9}\.){1,4}example";
        assert_eq!(said(fine), format!("/{fine}/"));
        for (text, expected) in [
            ("(a{1000}){1000}", "too complex"),
            ("(?!a)b", "looking around"),
            (r"(a)\1", "back-references"),
            (".*", "matches every name"),
            ("(a", "without its `)`"),
            ("münchen", "names hold only ASCII"),
        ] {
            let fault = said(text);
            assert!(fault.contains(expected), "{text}: {fault}");
        }
        assert!(said(&format!("{}a{}", "(".repeat(2000), ")".repeat(2000))).contains("octets"));
    }
}
