//! Adblock rules, as far as a DNS filter can follow them.
//!
//! A rule is understood as a whole or not at all: a modifier we do not know may turn its meaning
//! round (`$badfilter`), so a rule is never read without it.

use super::super::fault::quoted;
use super::{hosts, text};
use crate::lists::{Effect, Entry, Item, LineFault, Reach, Unsupported};

/// What separates a site from what a cosmetic rule does there.
const COSMETIC: [&str; 8] = ["##", "#@#", "#?#", "#@?#", "#$#", "#@$#", "#%#", "$$"];

/// `||example.org^`, `@@||example.org^`, `|example.org^`, `||*.example.org^`, `example.org`.
///
/// Lines in hosts syntax may stand among them, as AdGuard allows.
pub(super) fn read(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    let line = line.trim_ascii();
    if is_comment(line) {
        return Ok(());
    }
    let rule = text::checked(line)?;
    if is_cosmetic(rule) {
        return Err(Unsupported::Cosmetic.into());
    }
    if let Some((first, _)) = rule.split_once([' ', '\t'])
        && hosts::address(first).is_some()
    {
        return hosts::read(line, into);
    }
    let (effect, pattern) = match rule.strip_prefix("@@") {
        Some(pattern) => (Effect::Excepted, pattern),
        None => (Effect::Listed, rule),
    };
    let (reach, name) = pattern_of(pattern)?;
    into.push(Item::Name(Entry {
        name: text::name(name)?,
        reach,
        effect,
        modifiers: None,
    }));
    Ok(())
}

/// Blank lines, `! comment`, `# comment`, `## section`, `[Adblock Plus 2.0]`.
fn is_comment(line: &[u8]) -> bool {
    match line {
        [] | [b'!', ..] => true,
        [b'[', .., b']'] => !line.contains(&b'^'),
        // `##.banner` is a rule for all sites; `## banners` and `####` are not.
        [b'#', ..] => !COSMETIC.iter().any(|mark| {
            let after = line.strip_prefix(mark.as_bytes());
            let next = after.and_then(<[u8]>::first);
            next.is_some_and(|octet| !octet.is_ascii_whitespace() && *octet != b'#')
        }),
        _ => false,
    }
}

/// Whether a rule hides a part of a page.
fn is_cosmetic(rule: &str) -> bool {
    COSMETIC.iter().any(|mark| rule.contains(mark))
}

/// Which names a pattern matches, and of which name.
fn pattern_of(pattern: &str) -> Result<(Reach, &str), LineFault> {
    if pattern == "*" {
        return Err(LineFault::Everything("*"));
    }
    if pattern.len() > 1 && pattern.starts_with('/') {
        // `/ads/` is a regular expression, `/ads/x.js` a path.
        let body = pattern.rsplit_once('$').map_or(pattern, |(body, _)| body);
        let closed = body.ends_with('/') || pattern.ends_with('/');
        return Err(if closed {
            Unsupported::Regex
        } else {
            Unsupported::Path
        }
        .into());
    }
    if let Some((_, modifiers)) = pattern.rsplit_once('$') {
        let first = modifiers.split(',').next().unwrap_or(modifiers);
        return Err(Unsupported::Modifier(quoted(first)).into());
    }
    let (anchor, body) = if let Some(body) = pattern.strip_prefix("||") {
        (Some(Reach::Subtree), body)
    } else if let Some(body) = pattern.strip_prefix('|') {
        (Some(Reach::Exact), body)
    } else {
        (None, pattern)
    };
    if body.contains("://") {
        return Err(Unsupported::Url.into());
    }
    let (body, closed) = close(body);
    if body.contains(['/', '^', '?', '&']) {
        return Err(Unsupported::Path.into());
    }
    if let Some((_, port)) = body.rsplit_once(':')
        && body.matches(':').count() == 1
        && port.bytes().all(|octet| octet.is_ascii_digit())
    {
        return Err(Unsupported::Url.into());
    }
    let (reach, name) = match (anchor, body.strip_prefix("*.")) {
        (Some(Reach::Subtree), Some(name)) if !name.contains('*') => (Reach::Below, name),
        (anchor, _) => (anchor.unwrap_or(Reach::Subtree), body),
    };
    if name.contains('*') {
        return Err(if name == "*" {
            LineFault::Everything("*")
        } else {
            Unsupported::Wildcard.into()
        });
    }
    match (anchor, closed) {
        (None, true) => Err(Unsupported::Unanchored.into()),
        (Some(_), false) => Err(Unsupported::OpenEnd.into()),
        _ => Ok((reach, name)),
    }
}

/// The body of a pattern without the end mark, and whether it had one: `^` (a separator or the
/// end), `|` (the end) or both.
fn close(body: &str) -> (&str, bool) {
    let without = body.strip_suffix('|').unwrap_or(body);
    let without = without.strip_suffix('^').unwrap_or(without);
    (without, without.len() < body.len())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault};
    use super::*;
    use crate::lists::ListFormat::Adblock;
    use crate::name::NameError;

    #[test]
    fn lines_understood() {
        for (line, expected) in [
            ("||Example.org^", "||example.org^"),
            ("||example.org^|", "||example.org^"),
            ("||example.org|", "||example.org^"),
            ("@@||example.org^", "@@||example.org^"),
            ("|example.org^", "|example.org^"),
            ("@@|example.org|", "@@|example.org^"),
            ("||*.example.org^", "||*.example.org^"),
            ("example.org", "||example.org^"),
            ("@@example.org", "@@||example.org^"),
            ("  ||example.org^  ", "||example.org^"),
            ("||münchen.example^", "||xn--mnchen-3ya.example^"),
            ("0.0.0.0 example.org", "||example.org^"),
        ] {
            assert_eq!(entries(Adblock, line), [expected], "{line}");
        }
        for silent in [
            "",
            "! Title: a list",
            "!##comment",
            "# comment",
            "#comment",
            "## section",
            "#",
            "######## section ########",
            "[Adblock Plus 2.0]",
            "[Adblock Plus 2.0; AdGuard]",
            "127.0.0.1 localhost",
        ] {
            assert!(entries(Adblock, silent).is_empty(), "{silent}");
        }
    }

    #[test]
    fn rules_not_supported() {
        for (line, expected) in [
            ("example.org##.banner", Unsupported::Cosmetic),
            ("##.banner", Unsupported::Cosmetic),
            ("#@#.banner", Unsupported::Cosmetic),
            ("example.org#$#body { margin: 0 }", Unsupported::Cosmetic),
            ("example.org$$script[data-src]", Unsupported::Cosmetic),
            (
                "||example.org^$third-party,script",
                Unsupported::Modifier("third-party".into()),
            ),
            (
                "||example.org^$important",
                Unsupported::Modifier("important".into()),
            ),
            (
                "@@||example.org^$badfilter",
                Unsupported::Modifier("badfilter".into()),
            ),
            ("||example.org^$", Unsupported::Modifier(String::new())),
            ("/banner[0-9]+/", Unsupported::Regex),
            ("/^ads?\\./$important", Unsupported::Regex),
            ("/ads.js", Unsupported::Path),
            ("||example.org/ads", Unsupported::Path),
            ("||example.org^ads", Unsupported::Path),
            ("example.org/ads", Unsupported::Path),
            ("|https://example.org^", Unsupported::Url),
            ("||example.org:8080^", Unsupported::Url),
            ("||ads*.example.org^", Unsupported::Wildcard),
            ("||*.ads*.example.org^", Unsupported::Wildcard),
            ("|*.example.org^", Unsupported::Wildcard),
            ("*.example.org", Unsupported::Wildcard),
            ("||example.*^", Unsupported::Wildcard),
            ("example.org^", Unsupported::Unanchored),
            ("@@example.org^", Unsupported::Unanchored),
            ("||example.org", Unsupported::OpenEnd),
            ("|example.org", Unsupported::OpenEnd),
        ] {
            assert_eq!(fault(Adblock, line), expected.into(), "{line}");
        }
    }

    #[test]
    fn lines_not_understood() {
        for (line, expected) in [
            ("||org^", LineFault::TopLevel("org".into())),
            ("||^", LineFault::Name(NameError::Empty)),
            ("@@", LineFault::Name(NameError::Empty)),
            ("|", Unsupported::OpenEnd.into()),
            ("||*^", LineFault::Everything("*")),
            ("*", LineFault::Everything("*")),
            ("||.^", LineFault::Everything(".")),
            (
                "||192.0.2.7^",
                LineFault::Address("192.0.2.7".parse().unwrap()),
            ),
            (
                "||2001:db8::7^",
                LineFault::Address("2001:db8::7".parse().unwrap()),
            ),
            ("||a b.org^", LineFault::Name(NameError::Character(' '))),
            ("=example.org", LineFault::Name(NameError::Character('='))),
            ("||exa\0mple.org^", LineFault::Control(0)),
        ] {
            assert_eq!(fault(Adblock, line), expected, "{line}");
        }
    }
}
