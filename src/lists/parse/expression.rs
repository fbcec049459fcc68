//! Regular expressions of all syntaxes, within bounds.

use regex_lite::{Regex, RegexBuilder};

use super::super::fault::quoted;
use crate::lists::LineFault;

/// The most memory a compiled expression may take, in octets. `^([a-z0-9-]{1,63}\.){1,4}example`
/// fits; what repeats a repetition a thousand times does not.
const MAX_COMPILED: usize = 64 * 1024;
/// How deep groups may be nested.
const MAX_NESTING: u32 = 32;

/// Names that have nothing in common: an expression that is found in all of them is found in any,
/// or in so many that it makes no difference.
const ANY_NAMES: [&str; 4] = ["a", "0-9.example", "xn--q.z_y.test", "www.mmm.k7"];

/// Compiles an expression as it is searched for later: anywhere in the name, letter case means
/// nothing.
///
/// # Errors
/// [`LineFault::Regex`]: not an expression, one that looks around or back, or one too large.
pub(super) fn compile(text: &str) -> Result<Regex, LineFault> {
    if !text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return Err(LineFault::Regex("names hold only ASCII".to_owned()));
    }
    RegexBuilder::new(text)
        .case_insensitive(true)
        .size_limit(MAX_COMPILED)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| LineFault::Regex(quoted(&error.to_string())))
}

/// Whether an expression is found in every name.
pub(super) fn matches_everything(regex: &Regex) -> bool {
    ANY_NAMES.iter().all(|name| regex.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_has_bounds() {
        assert!(compile(r"^([a-z0-9-]{1,63}\.){1,4}example").is_ok());
        for (text, said) in [
            ("(a{1000}){1000}", "compiled regex exceeded size limit"),
            ("(?!a)b", "look-around is not supported"),
            ("münchen", "names hold only ASCII"),
            ("(a", "found open group without closing ')'"),
        ] {
            let fault = compile(text).unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
        let deep = format!("{}a{}", "(".repeat(100), ")".repeat(100));
        assert!(compile(&deep).is_err());
    }

    #[test]
    fn expressions_for_all_names_are_known() {
        for (text, everything) in [
            (".*", true),
            ("", true),
            (".", true),
            ("^[a-z0-9]", true),
            ("^[a-z0-9.-]+$", false),
            ("a*", true),
            ("^(.+)$", true),
            ("ads", false),
            (r"\.test$", false),
        ] {
            let regex = compile(text).unwrap();
            assert_eq!(matches_everything(&regex), everything, "{text}");
        }
    }
}
