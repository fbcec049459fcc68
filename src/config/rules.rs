//! The grammar of a household's own lines.
//!
//! | written | matches |
//! |---|---|
//! | `example.org` | the name and everything below it |
//! | `=example.org` | the name alone |
//! | `*.example.org` | everything below the name |
//! | `cdn*-x.example.org` | a `*` stands for any octets, dots included |

use std::net::IpAddr;

use super::{Pattern, Rule};
use crate::name::{Name, NameError};

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RuleError {
    /// No domain name where one must stand.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An internationalised name that IDNA does not know.
    #[error("not a valid internationalised name")]
    Idna,
    /// An address, which rules do not match.
    #[error("an address is not a name")]
    Address,
    /// A whole top-level domain, or everything.
    #[error("too short: a rule has at least two labels")]
    TooShort,
    /// A `*` where it would match half the internet.
    #[error("too wide: a `*` needs letters beside it, and a domain behind it")]
    TooWide,
    /// A `*` in a label that is not ASCII.
    #[error("a label with `*` cannot hold other than ASCII letters")]
    GlobNotAscii,
    /// A line of an adblock list, a URL or an address of mail.
    #[error("more than a domain name")]
    Foreign,
}

/// Reads one rule.
pub(super) fn parse_rule(text: &str) -> Result<Rule, RuleError> {
    let pattern = parse_pattern(text.trim())?;
    Ok(Rule {
        text: text.trim().to_owned(),
        written_in: None,
        pattern,
    })
}

/// Reads a domain name in either form of an internationalised label.
pub(super) fn parse_name(text: &str) -> Result<Name, RuleError> {
    if text.parse::<IpAddr>().is_ok() {
        return Err(RuleError::Address);
    }
    if text.is_ascii() && !text.to_ascii_lowercase().contains("xn--") {
        return Ok(Name::parse(text)?);
    }
    // What cannot stand in any name is told by the name's own error, which is more exact.
    if let Some(stranger) = text
        .chars()
        .find(|c| c.is_ascii() && !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Err(NameError::Character(stranger).into());
    }
    if text.len() > MAX_IDN {
        return Err(NameError::TooLong.into());
    }
    // Characters that show nothing would make a rule mean another name than the one that is seen.
    if text.chars().any(
        |c| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'),
    ) {
        return Err(RuleError::Idna);
    }
    let ascii = idna::domain_to_ascii(text).map_err(|_| RuleError::Idna)?;
    Ok(Name::parse(&ascii)?)
}

/// Longest internationalised text worth converting: four bytes for each octet of a name.
const MAX_IDN: usize = 1024;

fn parse_pattern(text: &str) -> Result<Pattern, RuleError> {
    if text.is_empty() {
        return Err(NameError::Empty.into());
    }
    if text.contains(['/', '|', '^', '@', ':']) && text.parse::<IpAddr>().is_err() {
        return Err(RuleError::Foreign);
    }
    if let Some(exact) = text.strip_prefix('=') {
        return two_labels(parse_name(exact)?).map(Pattern::Exact);
    }
    if let Some(below) = text.strip_prefix("*.")
        && !below.contains('*')
    {
        return two_labels(parse_name(below)?).map(Pattern::Below);
    }
    if text.contains('*') {
        return parse_glob(text).map(Pattern::Glob);
    }
    two_labels(parse_name(text)?).map(Pattern::Subtree)
}

fn two_labels(name: Name) -> Result<Name, RuleError> {
    if name.as_ref().label_count() < 2 {
        return Err(RuleError::TooShort);
    }
    Ok(name)
}

/// Reads a rule with `*`; the last label must be plain, and something before it too.
fn parse_glob(text: &str) -> Result<String, RuleError> {
    /// Stars in one rule; each further one makes matching slower and means nothing.
    const MAX_STARS: usize = 8;
    if text.len() > MAX_IDN {
        return Err(NameError::TooLong.into());
    }
    let text = text.replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
    let text = text.strip_suffix('.').unwrap_or(&text);
    let mut labels = Vec::new();
    for label in text.split('.') {
        if !label.contains('*') {
            labels.push(parse_name(label)?.to_string());
        } else if label.is_ascii() {
            // Checked as a name with the stars filled in; the shortest filling is enough.
            Name::parse(&label.replace('*', "x"))?;
            labels.push(label.to_ascii_lowercase());
        } else {
            return Err(RuleError::GlobNotAscii);
        }
    }
    let (last, before) = labels.split_last().ok_or(NameError::Empty)?;
    if before.is_empty() {
        return Err(RuleError::TooShort);
    }
    let letters = before
        .iter()
        .any(|label| label.contains(|c: char| c.is_ascii_alphanumeric()));
    if last.contains('*') || !letters || text.matches('*').count() > MAX_STARS {
        return Err(RuleError::TooWide);
    }
    let glob = labels.join(".");
    if glob.len() >= crate::name::MAX_NAME {
        return Err(NameError::TooLong.into());
    }
    Ok(glob)
}

/// What was meant by something that is more than a name: the host in a URL, the name in `||name^`.
pub(super) fn name_within(text: &str) -> Option<Name> {
    let text = text.trim().trim_start_matches("@@");
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.trim_start_matches('|');
    let text = text.split(['/', '^', '?', '#', '$']).next()?;
    let text = text.rsplit('@').next()?;
    let text = text.split(':').next()?;
    two_labels(parse_name(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, RuleError> {
        parse_rule(text).map(|rule| rule.pattern)
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn the_four_forms() {
        for (text, expected) in [
            ("Example.ORG.", Pattern::Subtree(name("example.org"))),
            ("=example.org", Pattern::Exact(name("example.org"))),
            ("*.example.org", Pattern::Below(name("example.org"))),
            (
                "CDN*-x.example.org",
                Pattern::Glob("cdn*-x.example.org".into()),
            ),
            ("*ads.example.org", Pattern::Glob("*ads.example.org".into())),
            ("*.*.example.org", Pattern::Glob("*.*.example.org".into())),
            (
                "_dmarc.example.org",
                Pattern::Subtree(name("_dmarc.example.org")),
            ),
        ] {
            assert_eq!(pattern(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn both_forms_of_an_internationalised_name_are_one() {
        assert_eq!(pattern("bücher.example"), pattern("xn--bcher-kva.example"));
        assert_eq!(pattern("BÜCHER。example"), pattern("xn--bcher-kva.example"));
        assert_eq!(pattern("=日本.example"), pattern("=xn--wgv71a.example"));
        assert_eq!(
            pattern("a*.bücher.example"),
            Ok(Pattern::Glob("a*.xn--bcher-kva.example".into()))
        );
    }

    #[test]
    fn what_is_no_rule() {
        let long = "ü".repeat(100_000);
        for (text, error) in [
            ("", RuleError::Name(NameError::Empty)),
            ("  ", RuleError::Name(NameError::Empty)),
            ("=", RuleError::Name(NameError::Empty)),
            ("org", RuleError::TooShort),
            ("*.org", RuleError::TooShort),
            ("*", RuleError::TooShort),
            ("=*", RuleError::Name(NameError::Character('*'))),
            ("*.*", RuleError::TooWide),
            ("example.*", RuleError::TooWide),
            ("**.org", RuleError::TooWide),
            ("a*b*c*d*e*f*g*h*i*j.org", RuleError::TooWide),
            ("a..org", RuleError::Name(NameError::EmptyLabel)),
            ("a b.org", RuleError::Name(NameError::Character(' '))),
            ("ü b.org", RuleError::Name(NameError::Character(' '))),
            ("192.0.2.1", RuleError::Address),
            ("2001:db8::1", RuleError::Address),
            ("https://example.org/", RuleError::Foreign),
            ("||example.org^", RuleError::Foreign),
            ("ü*.example.org", RuleError::GlobNotAscii),
            ("xn--a.example", RuleError::Idna),
            (long.as_str(), RuleError::Name(NameError::TooLong)),
        ] {
            assert_eq!(pattern(text), Err(error), "{text:.40}");
        }
    }

    #[test]
    fn the_name_inside_something_else() {
        for (text, inside) in [
            ("https://www.example.org/a?b", Some("www.example.org")),
            ("||example.org^$third-party", Some("example.org")),
            ("example.org:443", Some("example.org")),
            ("anna@example.org", Some("example.org")),
            ("/ads[0-9]+/", None),
        ] {
            assert_eq!(name_within(text), inside.map(name), "{text}");
        }
    }
}
