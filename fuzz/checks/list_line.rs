//! What holds for any bytes given to the list parsers.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

use hedgerow::lists::parse::read_list;
use hedgerow::lists::{Entry, KEPT_ERRORS, LineFault, ListFormat};

/// No parser panics; what one understood prints as a rule that says the same; what none
/// understood is told without a character that a terminal would act on.
pub(crate) fn check(bytes: &[u8]) {
    for format in ListFormat::ALL {
        check_line(bytes, format);
        for line in bytes.split(|octet| *octet == b'\n') {
            check_line(line, format);
        }
        check_list(bytes, Some(format));
    }
    check_list(bytes, None);
}

fn check_line(line: &[u8], format: ListFormat) {
    let mut entries = Vec::new();
    match format.read_line(line, &mut entries) {
        Ok(()) => entries.iter().for_each(check_entry),
        Err(fault) => {
            assert!(entries.is_empty());
            check_fault(&fault);
        }
    }
}

fn check_entry(entry: &Entry) {
    let rule = entry.to_string();
    let mut again = Vec::new();
    let read = ListFormat::Adblock.read_line(rule.as_bytes(), &mut again);
    assert_eq!(
        (read, again.as_slice()),
        (Ok(()), std::slice::from_ref(entry)),
        "{rule}"
    );
    assert!(entry.name.as_ref().label_count() > 1, "{rule}");
}

fn check_fault(fault: &LineFault) {
    let text = fault.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

fn check_list(bytes: &[u8], format: Option<ListFormat>) {
    let mut entries = 0;
    let mut last_line = 1;
    let report = read_list(bytes, format, |line, entry| {
        assert!(line >= last_line);
        last_line = line;
        entries += 1;
        check_entry(entry);
    });
    assert_eq!(report.entries, entries);
    assert!(report.lines >= report.bad_lines);
    let kept = usize::try_from(report.bad_lines).map_or(KEPT_ERRORS, |bad| bad.min(KEPT_ERRORS));
    assert_eq!(report.first_errors.len(), kept);
    report
        .first_errors
        .iter()
        .for_each(|error| check_fault(&error.error));
}
