//! Reading single words: numbers in a range, sizes, times, choices, rules.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::household::Known;
use super::problems::Problems;
use super::rules::{self, RuleError};
use super::spec::{Text, Word};
use super::units::{UnitError, parse_duration, parse_size, show_duration, show_size};
use super::{Pattern, Rule, Rules};

/// A whole number within `range`.
pub(super) fn whole(
    word: Option<&Word<i64>>,
    key: &str,
    range: RangeInclusive<i64>,
    default: i64,
    problems: &mut Problems,
) -> i64 {
    let Some(word) = word else {
        return default;
    };
    if range.contains(word.value()) {
        return *word.value();
    }
    problems.report(
        Diagnostic::error("out-of-range", format!("`{key}` is out of range"))
            .at(problems.place(&word.span()), bounds(&range)),
    );
    default
}

/// A size within `range`.
pub(super) fn size(
    word: Option<&Text>,
    key: &str,
    range: RangeInclusive<u64>,
    default: u64,
    problems: &mut Problems,
) -> u64 {
    let hint = "write a size as a number with a unit: \"4 MiB\", \"512 KiB\", or \"0\"";
    let shown = |bytes: &u64| show_size(*bytes);
    amount(
        word,
        key,
        range,
        default,
        (parse_size, shown, hint),
        problems,
    )
}

/// A time within `range`.
pub(super) fn duration(
    word: Option<&Text>,
    key: &str,
    range: RangeInclusive<Duration>,
    default: Duration,
    problems: &mut Problems,
) -> Duration {
    let hint = "write a time as a number with a unit (ms, s, m, h, d): \"1.5s\", \"10m\", \"1d\", or \"0\"";
    let shown = |time: &Duration| show_duration(*time);
    amount(
        word,
        key,
        range,
        default,
        (parse_duration, shown, hint),
        problems,
    )
}

/// How to read and show an amount, and what to say when it cannot be read.
type Amount<T, S> = (fn(&str) -> Result<T, UnitError>, S, &'static str);

fn amount<T: PartialOrd, S: Fn(&T) -> String>(
    word: Option<&Text>,
    key: &str,
    range: RangeInclusive<T>,
    default: T,
    (parse, shown, hint): Amount<T, S>,
    problems: &mut Problems,
) -> T {
    let Some(word) = word else {
        return default;
    };
    let diagnostic = match parse(word.text()) {
        Ok(amount) if range.contains(&amount) => return amount,
        Ok(_) => {
            let (least, most) = (shown(range.start()), shown(range.end()));
            Diagnostic::error("out-of-range", format!("`{key}` is out of range")).at(
                problems.place(&word.span()),
                format!("must be {least} to {most}"),
            )
        }
        Err(error) => Diagnostic::error("bad-amount", format!("`{key}` cannot be read"))
            .at(problems.place(&word.span()), error.to_string())
            .help(hint),
    };
    problems.report(diagnostic);
    default
}

fn bounds<T: Display>(range: &RangeInclusive<T>) -> String {
    format!("must be {} to {}", range.start(), range.end())
}

/// One of a few words.
pub(super) fn choice<T: Copy>(
    word: Option<&Text>,
    key: &str,
    values: &[(&'static str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let word = word?;
    if let Some((_, value)) = values.iter().find(|(name, _)| *name == word.text()) {
        return Some(*value);
    }
    let names = || values.iter().map(|(name, _)| *name);
    problems.report(
        Diagnostic::error(
            "unknown-value",
            format!("`{key}` cannot be `{}`", word.text()),
        )
        .at(problems.place(&word.span()), "not one of its values")
        .suggest(word.text(), names())
        .known("known values", names()),
    );
    None
}

/// A name for people: not empty, not endless, nothing that could forge a line of a log.
pub(super) fn label(word: &Text, what: &str, problems: &mut Problems) -> bool {
    /// Characters of a name that people give.
    const MAX_LABEL: usize = 64;
    let text = word.text();
    let wrong = if text.trim().is_empty() {
        "empty"
    } else if text.trim() != text {
        "begins or ends with a blank"
    } else if text.chars().any(char::is_control) {
        "holds a control character"
    } else if text.chars().count() > MAX_LABEL {
        "longer than 64 characters"
    } else {
        return true;
    };
    problems.report(
        Diagnostic::error("bad-name", format!("the name of {what} cannot be used"))
            .at(problems.place(&word.span()), wrong),
    );
    false
}

/// An id for programs: lower-case letters, digits, `-`.
pub(super) fn id(word: &Text, what: &str, problems: &mut Problems) -> bool {
    let text = word.text();
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= 64 && text.chars().all(fine) {
        return true;
    }
    problems.report(
        Diagnostic::error("bad-name", format!("{what} cannot be named `{text}`")).at(
            problems.place(&word.span()),
            "1 to 64 lower-case letters, digits and `-`",
        ),
    );
    false
}

/// The rules of one scope; the same one on both sides is an error.
pub(super) fn rules(
    allow: Option<&Vec<Text>>,
    block: Option<&Vec<Text>>,
    categories: &[&str],
    problems: &mut Problems,
) -> Rules {
    let mut allowed = std::collections::HashMap::new();
    let mut rules = Rules::default();
    for word in allow.into_iter().flatten() {
        if let Some(rule) = rule(word, categories, problems) {
            allowed
                .entry(rule.pattern.clone())
                .or_insert_with(|| word.span());
            rules.allow.push(rule);
        }
    }
    for word in block.into_iter().flatten() {
        let Some(rule) = rule(word, categories, problems) else {
            continue;
        };
        if let Some(there) = allowed.get(&rule.pattern) {
            let here = problems.place(&word.span());
            let there = problems.place(there);
            let message = format!("`{}` is both allowed and blocked", rule.text);
            problems.report(Diagnostic::error("contradiction", message).against(
                here,
                there,
                "allowed here",
            ));
        }
        rules.block.push(rule);
    }
    rules
}

fn rule(word: &Text, categories: &[&str], problems: &mut Problems) -> Option<Rule> {
    let error = match rules::parse_rule(word.text()) {
        Ok(mut rule) => {
            let place = problems.place(&word.span());
            rule.written_in = Some((place.file, place.line));
            return Some(rule);
        }
        Err(error) => error,
    };
    let text = word.text();
    let mut diagnostic = Diagnostic::error("bad-rule", format!("`{text}` is not a rule"))
        .at(problems.place(&word.span()), error.to_string());
    if categories.contains(&text) {
        diagnostic = diagnostic.help(format!(
            "`{text}` is a category; a profile blocks it with `block`"
        ));
    } else if let (RuleError::Foreign, Some(name)) = (&error, rules::name_within(text)) {
        diagnostic = diagnostic.help(format!("did you mean `{name}`?"));
    } else if error == RuleError::GlobNotAscii {
        diagnostic = diagnostic.help("write the label in its `xn--` form");
    } else {
        diagnostic = diagnostic.note(
            "a rule is `example.org` with all below it, `=example.org` alone, `*.example.org` \
             below it, or a name with `*` inside",
        );
    }
    problems.report(diagnostic);
    None
}

/// A list of words from a closed, sorted set; unknown ones are told.
pub(super) fn known_words(
    words: Option<&Vec<Text>>,
    what: &str,
    known: &[&str],
    why: &str,
    problems: &mut Problems,
) -> Vec<String> {
    let mut fine = Vec::new();
    for word in words.into_iter().flatten() {
        let text = word.text();
        if known.binary_search(&text).is_ok() {
            fine.push(text.to_owned());
            continue;
        }
        let mut diagnostic = Diagnostic::error(code_of(what), format!("unknown {what} `{text}`"))
            .at(problems.place(&word.span()), why);
        diagnostic = problems.guess(diagnostic, text, known.iter().copied());
        problems.report_absence(diagnostic.known("known lists", known.iter().copied()));
    }
    fine
}

/// Categories and services to block or not; unknown words are told, with a guess among both.
pub(super) fn blocked_words(
    words: Option<&Vec<Text>>,
    known: &Known<'_>,
    why: &str,
    problems: &mut Problems,
) -> Vec<String> {
    let mut fine = Vec::new();
    for word in words.into_iter().flatten() {
        let text = word.text();
        let is_known = |words: &[&str]| words.binary_search(&text).is_ok();
        if is_known(&known.categories) || is_known(&known.services) {
            fine.push(text.to_owned());
            continue;
        }
        let message = format!("unknown category or service `{text}`");
        let mut diagnostic =
            Diagnostic::error("unknown-category", message).at(problems.place(&word.span()), why);
        let all = known.categories.iter().chain(&known.services);
        diagnostic = problems.guess(diagnostic, text, all.copied());
        if diagnostic.help.is_none()
            && matches!(rules::parse_rule(text), Ok(Rule { pattern, .. }) if !is_glob(&pattern))
        {
            diagnostic = diagnostic.help("names are blocked with `block-names`");
        }
        let diagnostic = diagnostic.known("known categories", known.categories.iter().copied());
        problems.report_absence(diagnostic.note("`hedgerow service list` shows all services"));
    }
    fine
}

const fn is_glob(pattern: &Pattern) -> bool {
    matches!(pattern, Pattern::Glob(_))
}

/// The code of an unknown word.
fn code_of(what: &str) -> &'static str {
    match what {
        "blocklist" | "allowlist" | "list" => "unknown-list",
        _ => "unknown-name",
    }
}
