//! What holds for any bytes given to the list parsers.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

use hedgerow::lists::parse::{Limits, LineReader, ReadOptions, Report, read_list};
use hedgerow::lists::{
    Action, Item, KEPT_ERRORS, LineFault, ListFormat, Modifiers, Pattern, PatternKind,
};

/// Little, so that what unpacks to much is cut off soon.
const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_ratio: 200,
};

/// No parser panics; what one understood prints as a rule that says the same; what none
/// understood is told without a character that a terminal would act on.
pub(crate) fn check(bytes: &[u8]) {
    for format in ListFormat::ALL {
        check_line(bytes, format);
        let mut reader = LineReader::new(format);
        for line in bytes.split(|octet| *octet == b'\n') {
            check_line(line, format);
            let mut items = Vec::new();
            check_read(reader.read(line, &mut items), &items);
        }
        check_list(bytes, Some(format), None);
    }
    check_list(bytes, None, None);
    check_list(bytes, None, Some("adult"));
}

fn check_line(line: &[u8], format: ListFormat) {
    let mut items = Vec::new();
    check_read(format.read_line(line, &mut items), &items);
}

fn check_read(read: Result<(), LineFault>, items: &[Item]) {
    match read {
        Ok(()) => items.iter().for_each(check_item),
        Err(fault) => {
            assert!(items.is_empty());
            check_text(&fault.to_string());
        }
    }
}

fn check_item(item: &Item) {
    let rule = item.to_string();
    check_text(&rule);
    if let Item::Name(entry) = item {
        assert!(entry.name.as_ref().label_count() > 1, "{rule}");
    }
    if !can_be_a_rule(item) {
        return;
    }
    let mut again = Vec::new();
    let read = ListFormat::Adblock.read_line(rule.as_bytes(), &mut again);
    assert_eq!(
        (read, again.as_slice()),
        (Ok(()), std::slice::from_ref(item)),
        "{rule}"
    );
}

/// Whether adblock syntax can say all of an item: it has no word for addresses in answers, for
/// inverted expressions, and for what RPZ drops or sends to TCP; and an expression that looks like
/// a cosmetic rule, or data that looks like the end of a rule, would be taken for that.
fn can_be_a_rule(item: &Item) -> bool {
    let modifiers = match item {
        Item::Name(entry) => &entry.modifiers,
        Item::Pattern(Pattern {
            kind: PatternKind::InvertedRegex,
            ..
        }) => return false,
        Item::Pattern(pattern) => {
            let odd = ["#", "$$", "/$"];
            if pattern.kind == PatternKind::Regex && odd.iter().any(|it| pattern.text.contains(it))
            {
                return false;
            }
            &pattern.modifiers
        }
        Item::Address(_) | Item::Sealed(_) => return false,
    };
    let action = modifiers.as_deref().map(|Modifiers { action, .. }| action);
    !matches!(
        action,
        Some(Action::Drop | Action::TcpOnly | Action::Record { .. })
    )
}

fn check_text(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

fn check_list(bytes: &[u8], format: Option<ListFormat>, member: Option<&str>) {
    let mut entries = 0;
    let mut last_line = 1;
    let options = ReadOptions {
        format,
        member: member.map(str::to_owned),
        limits: LIMITS,
    };
    let report = read_list(bytes, &options, |line, item| {
        assert!(line >= last_line);
        last_line = line;
        entries += 1;
        check_item(item);
    });
    assert_eq!(report.entries, entries);
    check_report(&report);
}

fn check_report(report: &Report) {
    assert!(report.lines >= report.bad_lines);
    let kept = usize::try_from(report.bad_lines).map_or(KEPT_ERRORS, |bad| bad.min(KEPT_ERRORS));
    assert_eq!(report.first_errors.len(), kept);
    for error in &report.first_errors {
        check_text(&error.error.to_string());
    }
    assert!(report.notes.len() <= KEPT_ERRORS);
    report.notes.iter().for_each(|note| check_text(note));
    if let Some(failure) = &report.failure {
        check_text(&failure.to_string());
    }
}
