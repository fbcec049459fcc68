//! Adblock masks: `||ads*.example.org^`, `|example.org|`, `-banner-`.
//!
//! A mask means what it means in AdGuard, which matches it against `http://` and the name. Masks
//! that come to a name with or without what is below it are told apart from the others, since a
//! name costs a look-up and a pattern a comparison. One thing differs: a whole name without any
//! mark (`example.org`) covers what is below it, as in all our syntaxes.

use super::super::fault::quoted;
use super::text;
use crate::lists::{LineFault, PatternKind, Reach, Unsupported};
use crate::name::{MAX_NAME, Name, NameError};

/// Which names a mask matches.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// A name.
    Name(Name, Reach),
    /// Names by their text.
    Pattern(PatternKind, String),
    /// All names.
    Everything,
}

/// Where a mask begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// `||`: at a label.
    Label,
    /// `|`: where the name begins.
    Name,
    /// Anywhere.
    Anywhere,
}

/// Reads a rule without its `@@` and modifiers; a regular expression is not one.
pub(super) fn read(rule: &str) -> Result<Mask, LineFault> {
    let (begin, body) = begin(rule)?;
    let (body, has_end) = end(body);
    check_url(body)?;
    if body.is_empty() && has_end {
        return Err(NameError::Empty.into());
    }
    if body.bytes().all(|octet| matches!(octet, b'*' | b'.')) && body != "." {
        return Ok(Mask::Everything);
    }
    match begin {
        Begin::Label => anchored(body, has_end, Reach::Subtree, PatternKind::WildcardSubtree),
        Begin::Name => anchored(body, has_end, Reach::Exact, PatternKind::WildcardExact),
        Begin::Anywhere => anywhere(body, has_end),
    }
}

/// Cuts off what marks the begin.
fn begin(rule: &str) -> Result<(Begin, &str), LineFault> {
    if let Some(body) = rule.strip_prefix("||") {
        return Ok((Begin::Label, body));
    }
    // AdGuard compares these with a URL that always begins with `http://`.
    for scheme in ["://", "http://"] {
        if let Some(body) = rule.strip_prefix(scheme) {
            return Ok((Begin::Name, body));
        }
    }
    if let Some(body) = rule.strip_prefix('|') {
        return Ok((Begin::Name, body));
    }
    if let Some(body) = rule.strip_prefix('/') {
        // `/ads.` is how a list for browsers says "a host that begins with `ads.`".
        let is_host = body.len() > 2
            && body.ends_with('.')
            && body
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'));
        return if is_host {
            Ok((Begin::Name, body))
        } else {
            Err(Unsupported::Path.into())
        };
    }
    Ok((Begin::Anywhere, rule))
}

/// Cuts off what marks the end: `^` (a separator or the end, and a name has no separator), `|`
/// (the end), `^*`, and the `/*` of lists for browsers.
fn end(body: &str) -> (&str, bool) {
    if let Some(body) = body.strip_suffix("/*") {
        return (body, true);
    }
    let without_star = body.trim_end_matches('*');
    let marked = if without_star.ends_with('^') {
        without_star
    } else {
        body
    };
    let bare = marked.strip_suffix('|').unwrap_or(marked);
    let bare = bare.strip_suffix('^').unwrap_or(bare);
    (bare, bare.len() < marked.len())
}

/// Refuses what only a URL can hold.
fn check_url(body: &str) -> Result<(), LineFault> {
    let has_port = body.rsplit_once(':').is_some_and(|(host, port)| {
        !host.contains(':') && port.bytes().all(|octet| octet.is_ascii_digit())
    });
    if body.contains("://") || has_port {
        return Err(Unsupported::Url.into());
    }
    if body.contains(['/', '^', '?', '&']) {
        return Err(Unsupported::Path.into());
    }
    Ok(())
}

/// A mask that begins at a label or with the name.
fn anchored(body: &str, has_end: bool, reach: Reach, kind: PatternKind) -> Result<Mask, LineFault> {
    if has_end {
        if !body.contains('*') {
            return Ok(Mask::Name(text::name(body)?, reach));
        }
        if let Some(parent) = body.strip_prefix("*.").filter(|it| !it.contains('*')) {
            return Ok(Mask::Name(text::name(parent)?, Reach::Below));
        }
        return Ok(Mask::Pattern(kind, wildcard(body)?));
    }
    Ok(Mask::Pattern(kind, wildcard(&format!("{body}*"))?))
}

/// A mask that begins anywhere.
fn anywhere(body: &str, has_end: bool) -> Result<Mask, LineFault> {
    let is_bare = !has_end && !body.contains('*');
    if is_bare && let Some(bare) = bare_name(body)? {
        return Ok(Mask::Name(bare, Reach::Subtree));
    }
    // Whatever comes before is matched anyway.
    let mut body = body.trim_start_matches('*');
    let has_end = has_end && !body.ends_with('*');
    if has_end {
        // `*.example.org^` and `.example.org^`.
        if let Some(parent) = body.strip_prefix('.').filter(|it| !it.contains('*')) {
            return Ok(Mask::Name(text::name(parent)?, Reach::Below));
        }
    } else {
        body = body.trim_end_matches('*');
    }
    let mut text = checked(body)?;
    if has_end {
        text.push('|');
    }
    Ok(Mask::Pattern(PatternKind::Substring, text))
}

/// The name that a body without any mark is, if it is one.
///
/// As in AdGuard, `ad-server` is a part of a name, while `banner` would be a host without a dot.
fn bare_name(body: &str) -> Result<Option<Name>, LineFault> {
    match text::name(body) {
        Ok(name) => Ok(Some(name)),
        Err(fault @ LineFault::TopLevel(_)) => {
            if body.bytes().all(|octet| octet.is_ascii_alphabetic()) {
                Err(fault)
            } else {
                Ok(None)
            }
        }
        Err(LineFault::Name(NameError::EmptyLabel)) if !body.contains("..") => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The text of a wildcard for a whole name: lower case, one `*` for several in a row.
pub(super) fn wildcard(body: &str) -> Result<String, LineFault> {
    if body.bytes().all(|octet| matches!(octet, b'*' | b'.')) {
        return Err(LineFault::Everything("*"));
    }
    if body.starts_with('.') {
        return Err(NameError::EmptyLabel.into());
    }
    let text = checked(body.strip_suffix('.').unwrap_or(body))?;
    if let Some(top) = text.strip_prefix("*.")
        && !top.contains(['*', '.'])
    {
        return Err(LineFault::TopLevel(quoted(top)));
    }
    Ok(text)
}

/// The text of a pattern, if a name can hold it.
fn checked(body: &str) -> Result<String, LineFault> {
    if !body.is_ascii() {
        // A part of a label has no A-label.
        return Err(LineFault::Idna(quoted(body)));
    }
    let stranger = body
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*')));
    if let Some(stranger) = stranger {
        return Err(NameError::Character(stranger).into());
    }
    if body.contains("..") {
        return Err(NameError::EmptyLabel.into());
    }
    if body.len() > MAX_NAME {
        return Err(NameError::TooLong.into());
    }
    let mut text = String::with_capacity(body.len() + 1);
    for c in body.chars() {
        if c != '*' || !text.ends_with('*') {
            text.push(c.to_ascii_lowercase());
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(kind: PatternKind, text: &str) -> Mask {
        Mask::Pattern(kind, text.into())
    }

    #[test]
    fn a_mask_that_is_a_name_costs_no_more_than_a_name() {
        let name = |text: &str, reach| Mask::Name(Name::parse(text).unwrap(), reach);
        for (rule, expected) in [
            ("||example.org^", name("example.org", Reach::Subtree)),
            ("||example.org|", name("example.org", Reach::Subtree)),
            ("||example.org^|", name("example.org", Reach::Subtree)),
            ("||example.org^*", name("example.org", Reach::Subtree)),
            ("||example.org/*", name("example.org", Reach::Subtree)),
            ("example.org", name("example.org", Reach::Subtree)),
            ("|example.org^", name("example.org", Reach::Exact)),
            ("|example.org|", name("example.org", Reach::Exact)),
            ("://example.org^", name("example.org", Reach::Exact)),
            ("http://example.org/*", name("example.org", Reach::Exact)),
            ("||*.example.org^", name("example.org", Reach::Below)),
            ("|*.example.org^", name("example.org", Reach::Below)),
            ("*.example.org^", name("example.org", Reach::Below)),
            (".example.org^", name("example.org", Reach::Below)),
        ] {
            assert_eq!(read(rule).unwrap(), expected, "{rule}");
        }
    }

    #[test]
    fn other_masks_are_patterns_with_adguards_meaning() {
        use PatternKind::{Substring, WildcardExact, WildcardSubtree};
        for (rule, kind, text) in [
            ("||ads*.example.org^", WildcardSubtree, "ads*.example.org"),
            ("||Ads**.example.org|", WildcardSubtree, "ads*.example.org"),
            ("||example.org", WildcardSubtree, "example.org*"),
            ("||example.", WildcardSubtree, "example.*"),
            ("||example.*^", WildcardSubtree, "example.*"),
            ("|ads*.example.org^", WildcardExact, "ads*.example.org"),
            ("|ads.", WildcardExact, "ads.*"),
            ("://ads.", WildcardExact, "ads.*"),
            ("/ads.", WildcardExact, "ads.*"),
            ("example.org^", Substring, "example.org|"),
            ("example.org|", Substring, "example.org|"),
            ("*example.org^", Substring, "example.org|"),
            ("*.example.org", Substring, ".example.org"),
            ("-ads-", Substring, "-ads-"),
            ("ad-server", Substring, "ad-server"),
            (".ads.", Substring, ".ads."),
            ("*ads.example*", Substring, "ads.example"),
            ("ads*banner", Substring, "ads*banner"),
            ("ads*|", Substring, "ads"),
        ] {
            assert_eq!(read(rule).unwrap(), pattern(kind, text), "{rule}");
        }
    }

    #[test]
    fn what_matches_all_names_is_known_as_such() {
        for rule in ["", "*", "|", "||", "||*", "||*^", "*^", "|*|", "**", "*.*"] {
            assert_eq!(read(rule).unwrap(), Mask::Everything, "{rule}");
        }
    }
}
