//! Adblock rules, in the syntax for DNS filters that AdGuard documents.
//!
//! `[@@] mask [$ modifiers]`, where the mask is one of [`super::mask`] or a regular expression
//! between slashes, and the modifiers are those of [`super::modifiers`]. Lines in hosts syntax and
//! names alone may stand among them. A rule is understood as a whole or not at all: a modifier we
//! do not know may turn its meaning round (`$badfilter`), so a rule is never read without it.

use super::mask::{self, Mask};
use super::{hosts, modifiers, pattern, text};
use crate::lists::{
    Effect, Entry, Item, LineFault, Modifiers, Pattern, PatternKind, Reach, Unsupported,
};
use crate::name::NameError;

/// What separates a site from what a cosmetic rule does there.
const COSMETIC: [&str; 8] = ["##", "#@#", "#?#", "#@?#", "#$#", "#@$#", "#%#", "$$"];

/// Masks with fewer octets need something that restricts them, as in AdGuard.
const SHORTEST_MASK: usize = 3;

/// `||example.org^$important`, `@@||example.org^`, `|example.org^`, `/ads[0-9]/`, `example.org`.
pub(super) fn read(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    let line = line.trim_ascii();
    let plain = line
        .strip_prefix(b"||")
        .and_then(|rest| rest.strip_suffix(b"^"));
    if let Some(name) = plain.and_then(text::plain_name) {
        into.push(text::listed(name, Reach::Subtree));
        return Ok(());
    }
    if is_comment(line) {
        return Ok(());
    }
    let rule = text::checked(line)?;
    let (effect, bare) = match rule.strip_prefix("@@") {
        Some(bare) => (Effect::Excepted, bare),
        None => (Effect::Listed, rule),
    };
    if !is_expression(bare) {
        if is_cosmetic(rule) {
            return Err(Unsupported::Cosmetic.into());
        }
        if let Some((first, _)) = rule.split_once([' ', '\t'])
            && hosts::address(first).is_some()
        {
            return hosts::read(line, into);
        }
    }
    into.push(item(bare, effect)?);
    Ok(())
}

/// A rule without its `@@`.
fn item(rule: &str, effect: Effect) -> Result<Item, LineFault> {
    let (body, words) = cut(rule);
    let modifiers = match words {
        Some(words) => modifiers::read(words, effect == Effect::Excepted)?,
        None if body.is_empty() => return Err(NameError::Empty.into()),
        None => Modifiers::default(),
    };
    let is_restricted = !(modifiers.denyallow.is_empty()
        && modifiers.types.is_empty()
        && modifiers.clients.is_empty()
        && modifiers.tags.is_empty());
    let modifiers = (modifiers != Modifiers::default()).then(|| Box::new(modifiers));
    let (kind, text) = if is_expression(body) {
        let text = body.get(1..body.len() - 1).unwrap_or_default();
        (PatternKind::Regex, text.to_owned())
    } else {
        match mask::read(body)? {
            Mask::Name(name, reach) => {
                return Ok(Item::Name(Entry {
                    name,
                    reach,
                    effect,
                    modifiers,
                }));
            }
            Mask::Everything if !is_restricted => return Err(LineFault::Everything("*")),
            Mask::Everything => (PatternKind::Substring, "*".to_owned()),
            Mask::Pattern(..) if body.len() < SHORTEST_MASK && !is_restricted => {
                return Err(LineFault::TooWide(body.to_owned()));
            }
            Mask::Pattern(kind, text) => (kind, text),
        }
    };
    pattern::item(Pattern {
        kind,
        text,
        effect,
        modifiers,
    })
}

/// Whether a pattern is a regular expression.
fn is_expression(pattern: &str) -> bool {
    pattern.len() > 1 && pattern.starts_with('/') && pattern.ends_with('/')
}

/// Cuts a rule where its modifiers begin: at the last `$` that has no `\` in front and something
/// behind it, or, where the rule is an expression with modifiers, behind its last slash.
fn cut(rule: &str) -> (&str, Option<&str>) {
    if is_expression(rule) {
        return (rule, None);
    }
    if rule.starts_with('/')
        && let Some(slash) = rule.rfind("/$").filter(|slash| *slash > 0)
        && let Some((pattern, words)) = rule.split_at_checked(slash + 1)
    {
        return (pattern, words.strip_prefix('$'));
    }
    let is_cut = |(at, _): &(usize, &str)| {
        *at + 1 < rule.len() && !rule.get(..*at).is_some_and(|it| it.ends_with('\\'))
    };
    match rule.rmatch_indices('$').find(is_cut) {
        Some((at, _)) => (rule.get(..at).unwrap_or_default(), rule.get(at + 1..)),
        None => (rule, None),
    }
}

/// Whether a line has a mark that no list in a plainer syntax has.
pub(super) fn has_mark(line: &[u8]) -> bool {
    line.starts_with(b"|")
        || line.starts_with(b"@@")
        || line.starts_with(b"!")
        || line.starts_with(b"[")
        || line.ends_with(b"^")
        || str::from_utf8(line).is_ok_and(is_expression)
        || line.windows(2).any(|pair| pair == b"^$")
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

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault};
    use super::*;
    use crate::lists::ListFormat::Adblock;

    #[test]
    fn lines_understood() {
        for (line, expected) in [
            ("||Example.org^", "||example.org^"),
            ("@@||example.org^", "@@||example.org^"),
            ("|example.org^", "|example.org^"),
            ("@@|example.org|", "@@|example.org^"),
            ("||*.example.org^", "||*.example.org^"),
            ("example.org", "||example.org^"),
            ("@@example.org", "@@||example.org^"),
            ("  ||example.org^  ", "||example.org^"),
            ("||münchen.example^", "||xn--mnchen-3ya.example^"),
            ("0.0.0.0 example.org", "||example.org^"),
            ("||ads*.example.org^", "||ads*.example.org^"),
            ("||example.org", "||example.org*^"),
            ("example.org^", "*example.org|"),
            ("*.example.org", "*.example.org*"),
            ("@@-ads-", "@@*-ads-*"),
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
    fn modifiers_follow_any_mask() {
        for (line, expected) in [
            ("||example.org^$important", "||example.org^$important"),
            ("@@||example.org^$badfilter", "@@||example.org^$badfilter"),
            (
                "||example.org^$client=192.0.2.0/24,dnstype=~AAAA",
                "||example.org^$dnstype=~AAAA,client=192.0.2.0/24",
            ),
            (
                "||ads*.example.org^$important",
                "||ads*.example.org^$important",
            ),
            (
                "example.org$ctag=user_child",
                "||example.org^$ctag=user_child",
            ),
            ("*$denyallow=com|net", "*$denyallow=com|net"),
            ("@@*$denyallow=com", "@@*$denyallow=com"),
            ("@@||*^$client=127.0.0.1", "@@*$client=127.0.0.1"),
            (
                "$dnstype=AAAA,denyallow=example.org,dnsrewrite=NOERROR;;",
                "*$denyallow=example.org,dnstype=AAAA,dnsrewrite=NOERROR;;",
            ),
        ] {
            assert_eq!(entries(Adblock, line), [expected], "{line}");
        }
    }

    #[test]
    fn expressions_stand_between_slashes() {
        for (line, expected) in [
            ("/banner[0-9]+/", "/banner[0-9]+/"),
            ("@@/^ads?\\./$important", "@@/^ads?\\./$important"),
            ("/ads$/", "/ads$/"),
            ("/^a(b$|c)/$dnstype=A", "/^a(b$|c)/$dnstype=A"),
            ("/a/$important/", "/a/$important/"),
            ("/##/", "/##/"),
            ("/.*/$client=192.0.2.1", "/.*/$client=192.0.2.1"),
        ] {
            assert_eq!(entries(Adblock, line), [expected], "{line}");
        }
        for (line, said) in [
            (
                "/(?!ads)/",
                "not supported in a pattern: looking around (`(?=`, `(?!`)",
            ),
            ("/.*/", "the pattern matches every name"),
            ("//", "the pattern matches every name"),
        ] {
            assert_eq!(fault(Adblock, line).to_string(), said, "{line}");
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
                "||example.org^$important,all",
                Unsupported::Modifier("all".into()),
            ),
            ("/ads.js", Unsupported::Path),
            ("/ads/banner", Unsupported::Path),
            ("||example.org/ads", Unsupported::Path),
            ("||example.org^ads", Unsupported::Path),
            ("example.org/ads", Unsupported::Path),
            ("|https://example.org^", Unsupported::Url),
            ("||example.org:8080^", Unsupported::Url),
        ] {
            assert_eq!(fault(Adblock, line), expected.into(), "{line}");
        }
    }

    #[test]
    fn lines_not_understood() {
        for (line, expected) in [
            ("||org^", LineFault::TopLevel("org".into())),
            ("banner", LineFault::TopLevel("banner".into())),
            ("||*.org^", LineFault::TopLevel("org".into())),
            ("||^", LineFault::Name(NameError::Empty)),
            ("@@", LineFault::Name(NameError::Empty)),
            ("|", LineFault::Everything("*")),
            ("||*^", LineFault::Everything("*")),
            ("*", LineFault::Everything("*")),
            ("@@||*^$important", LineFault::Everything("*")),
            ("||.^", LineFault::Everything(".")),
            ("-a", LineFault::TooWide("-a".into())),
            (
                "||192.0.2.7^",
                LineFault::Address("192.0.2.7".parse().unwrap()),
            ),
            (
                "||2001:db8::7^",
                LineFault::Address("2001:db8::7".parse().unwrap()),
            ),
            ("||a b.org^", LineFault::Name(NameError::Character(' '))),
            ("||example.org^$", LineFault::Unsupported(Unsupported::Path)),
            ("||a*|b^", LineFault::Name(NameError::Character('|'))),
            ("=example.org", LineFault::Name(NameError::Character('='))),
            ("||exa\0mple.org^", LineFault::Control(0)),
            ("||mün*.org^", LineFault::Idna("mün*.org".into())),
        ] {
            assert_eq!(fault(Adblock, line), expected, "{line}");
        }
    }
}
