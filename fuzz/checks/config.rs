//! What holds for any bytes given as a configuration.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

/// Nothing panics; either there is a configuration or an error that says why not, and what is said
/// holds no character that a terminal would act on.
pub(crate) fn check(bytes: &[u8]) {
    let loaded = hedgerow::config::fuzz_entry(bytes);
    let errors = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error());
    assert_eq!(loaded.config.is_none(), errors.count() > 0);
    for diagnostic in &loaded.diagnostics {
        let text = diagnostic.to_string();
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
    }
}
