//! Pi-hole's regular expressions, one a line: `^ads?[0-9]*\.;querytype=A`.
//!
//! Pi-hole uses POSIX extended expressions as the TRE library understands them: in brackets a `\`
//! is a character of its own. What TRE does beyond (references back, approximate matching) is
//! refused.

use std::iter::Peekable;
use std::net::IpAddr;
use std::str::Chars;

use super::super::fault::quoted;
use super::super::rule::type_number;
use super::{pattern, text};
use crate::lists::{
    Action, Condition, Effect, Item, LineFault, Modifiers, Pattern, PatternKind, Unsupported,
};

/// The types Pi-hole knows by name; `OTHER` is any but these.
const NAMED_TYPES: [&str; 15] = [
    "A", "AAAA", "ANY", "DNSKEY", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "RRSIG", "SOA", "SRV",
    "SVCB", "TXT",
];

/// `(^|\.)ads[0-9]*\.example$;querytype=A,AAAA;reply=NXDOMAIN`.
pub(super) fn read(line: &[u8], into: &mut Vec<Item>) -> Result<(), LineFault> {
    let line = line.trim_ascii();
    if line.starts_with(b"#") {
        return Ok(());
    }
    let line = text::checked(line)?;
    if line.is_empty() {
        return Ok(());
    }
    let mut parts = line.split(';');
    let text = translated(parts.next().unwrap_or_default())?;
    let mut modifiers = Modifiers::default();
    let mut kind = PatternKind::Regex;
    let mut reply: Option<Action> = None;
    for part in parts {
        match part.split_once('=').unwrap_or((part, "")) {
            ("invert", "") => kind = PatternKind::InvertedRegex,
            ("querytype", types) => modifiers.types = query_types(types)?,
            ("reply", value) => reply = Some(joined(reply, value)?),
            (other, _) => return Err(Unsupported::Option(quoted(other)).into()),
        }
    }
    modifiers.action = reply.unwrap_or_default();
    into.push(pattern::item(Pattern {
        kind,
        text,
        effect: Effect::Listed,
        modifiers: (modifiers != Modifiers::default()).then(|| Box::new(modifiers)),
    })?);
    Ok(())
}

/// Whether a line looks like an expression and not like a name that happens to be one.
pub(super) fn has_mark(line: &[u8]) -> bool {
    let pairs = [
        &b";querytype="[..],
        b";reply=",
        b";invert",
        b".*",
        b"\\.",
        b")?",
        b"[0-9",
    ];
    line.starts_with(b"^")
        || line.starts_with(b"(")
        || line.ends_with(b"$")
        || pairs
            .iter()
            .any(|pair| line.windows(pair.len()).any(|window| window == *pair))
}

/// `A,AAAA`, `!A,AAAA` for all but these.
fn query_types(types: &str) -> Result<Vec<Condition<u16>>, LineFault> {
    let bad = |text: &str| LineFault::Value {
        word: "querytype",
        value: quoted(text),
    };
    let (all_negated, types) = match types.strip_prefix('!') {
        Some(types) => (true, types),
        None => (false, types),
    };
    let mut conditions = Vec::new();
    for word in types.split(',') {
        let (bare, is_negated) = match word.strip_prefix(['!', '~']) {
            Some(bare) => (bare, true),
            None => (word, all_negated),
        };
        if bare.eq_ignore_ascii_case("OTHER") {
            // Whatever has no name of its own is what none of the names is.
            conditions.extend(NAMED_TYPES.iter().filter_map(|name| {
                Some(Condition {
                    negated: !is_negated,
                    value: type_number(name)?,
                })
            }));
            continue;
        }
        conditions.push(Condition {
            negated: is_negated,
            value: type_number(bare).ok_or_else(|| bad(word))?,
        });
    }
    // `A,OTHER`: what is wanted is not excluded as well.
    let wanted: Vec<u16> = conditions
        .iter()
        .filter(|it| !it.negated)
        .map(|it| it.value)
        .collect();
    let has_other = types.split(',').any(|it| it.eq_ignore_ascii_case("OTHER")) && !all_negated;
    if has_other {
        conditions.retain(|it| it.negated && !wanted.contains(&it.value));
    }
    conditions.sort_unstable();
    conditions.dedup();
    Ok(conditions)
}

/// `;reply=`: one word, or an address of each family.
fn joined(before: Option<Action>, value: &str) -> Result<Action, LineFault> {
    let bad = || LineFault::Value {
        word: "reply",
        value: quoted(value),
    };
    let action = match value.to_ascii_lowercase().as_str() {
        "nodata" => Action::NoData,
        "nxdomain" => Action::NxDomain,
        "refused" => Action::Refused,
        "none" => Action::Drop,
        // Pi-hole's own address, where its page about blocking is.
        "ip" => Action::Block,
        address => Action::Addresses(vec![address.parse::<IpAddr>().map_err(|_| bad())?]),
    };
    match (before, action) {
        (None, action) => Ok(action),
        (Some(Action::Addresses(mut all)), Action::Addresses(more)) => {
            all.extend(more);
            all.sort_unstable();
            all.dedup();
            Ok(Action::Addresses(all))
        }
        _ => Err(bad()),
    }
}

/// An expression of POSIX and TRE as one of ours.
fn translated(text: &str) -> Result<String, LineFault> {
    let mut ours = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        ours.push(c);
        match c {
            '\\' => ours.extend(chars.next()),
            '[' => bracket(&mut chars, &mut ours)?,
            '{' if matches!(chars.peek(), Some('~' | '+' | '-' | '#')) => {
                return Err(LineFault::Regex("it matches approximately"));
            }
            _ => {}
        }
    }
    Ok(ours)
}

/// Carries over what stands behind a `[`, up to its `]`; each `\` there is one for itself.
fn bracket(chars: &mut Peekable<Chars<'_>>, ours: &mut String) -> Result<(), LineFault> {
    let open = LineFault::Regex("a `[` without its `]`");
    ours.extend(chars.next_if_eq(&'^'));
    // In front it is itself.
    ours.extend(chars.next_if_eq(&']'));
    while let Some(c) = chars.next() {
        ours.push(c);
        match c {
            ']' => return Ok(()),
            '\\' => ours.push(c),
            '[' => {
                // `[:digit:]`, with a `]` of its own.
                let Some(kind) = chars.next_if(|it| matches!(it, ':' | '.' | '=')) else {
                    continue;
                };
                ours.push(kind);
                let mut before = ' ';
                loop {
                    let c = chars.next().ok_or_else(|| open.clone())?;
                    ours.push(c);
                    if before == kind && c == ']' {
                        break;
                    }
                    before = c;
                }
            }
            _ => {}
        }
    }
    Err(open)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entries, fault};
    use super::*;
    use crate::lists::ListFormat::Regex;

    #[test]
    fn expressions_are_carried_over() {
        for (theirs, ours) in [
            (r"^ads?[0-9]*[_.-]", r"^ads?[0-9]*[_.-]"),
            (r"([^.[:space:]]+\.){1,}x", r"([^.[:space:]]+\.){1,}x"),
            (r"[]a]b", r"[]a]b"),
            (r"[^]a-c-]b\.", r"[^]a-c-]b\."),
            (r"[\w]\w", r"[\\w]\w"),
            (r"a{,3}b", r"a{,3}b"),
            (r"(^|\.)a\.test$", r"(^|\.)a\.test$"),
        ] {
            assert_eq!(translated(theirs).unwrap(), ours, "{theirs}");
            assert_eq!(entries(Regex, theirs), [format!("/{ours}/")], "{theirs}");
        }
        for silent in ["", "# comment", "  "] {
            assert!(entries(Regex, silent).is_empty(), "{silent}");
        }
    }

    #[test]
    fn what_stands_behind_a_semicolon() {
        let many = "$dnstype=A|AAAA";
        for (options, expected) in [
            (";querytype=A", "$dnstype=A"),
            (";querytype=AAAA,A", many),
            (";querytype=!A,AAAA", "$dnstype=~A|~AAAA"),
            (";querytype=A,~AAAA", "$dnstype=A|~AAAA"),
            (";reply=nodata", "$dnsrewrite=NOERROR;;"),
            (";reply=NXDOMAIN", "$dnsrewrite=NXDOMAIN;;"),
            (";reply=refused", "$dnsrewrite=REFUSED;;"),
            (";reply=none", "$dnsrewrite=drop"),
            (";reply=ip", ""),
            (
                ";reply=192.0.2.1;reply=2001:db8::1",
                "$dnsrewrite=192.0.2.1,dnsrewrite=2001:db8::1",
            ),
            (";invert", ";invert"),
            (";querytype=A;invert", ";invert$dnstype=A"),
        ] {
            assert_eq!(
                entries(Regex, format!("a{options}")),
                [format!("/a/{expected}")]
            );
        }
        assert_eq!(entries(Regex, ".*;querytype=PTR"), ["/.*/$dnstype=PTR"]);
    }

    #[test]
    fn other_types_are_those_without_a_name() {
        let types = query_types("OTHER").unwrap();
        assert_eq!(types.len(), NAMED_TYPES.len());
        assert!(types.iter().all(|it| it.negated));
        let types = query_types("A,OTHER").unwrap();
        assert!(types.iter().all(|it| it.negated && it.value != 1));
        let types = query_types("!OTHER").unwrap();
        assert!(types.iter().all(|it| !it.negated));
    }

    #[test]
    fn lines_not_understood() {
        let regex = "the regular expression cannot be used: ";
        for (line, said) in [
            ("a{~1}", "it matches approximately"),
            ("(foo){+1-1#2}", "it matches approximately"),
            ("[a", "a `[` without its `]`"),
            ("[[:alpha:", "a `[` without its `]`"),
        ] {
            assert_eq!(fault(Regex, line).to_string(), format!("{regex}{said}"));
        }
        for (line, said) in [
            (r"(a)\1", "back-references"),
            ("[[.a.]]", "collating symbols"),
            ("(a", "a `(` without its `)`"),
            ("(?=a)", "looking around"),
            (".*", "the pattern matches every name"),
        ] {
            let fault = fault(Regex, line).to_string();
            assert!(fault.contains(said), "{line}: {fault}");
        }
        for (line, said) in [
            ("a;querytype=B", "`B` is no value of `querytype`"),
            ("a;reply=x", "`x` is no value of `reply`"),
            ("a;reply=none;reply=ip", "`ip` is no value of `reply`"),
            ("a;other=1", "not supported: the option `other`"),
        ] {
            assert_eq!(fault(Regex, line).to_string(), said, "{line}");
        }
    }
}
