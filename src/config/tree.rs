//! Changes to a parsed file before it is read: places moved, broken values taken out.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Whether `outer` holds all of `inner`.
pub(super) fn encloses(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Takes the value at `span` out of `table`: an element of an array, or a key with its value.
pub(super) fn remove_at(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let Some((key, _)) = table
        .iter()
        .find(|(_, value)| encloses(&value.span(), span))
    else {
        return false;
    };
    let key = key.clone();
    let Some(value) = table.remove(&key) else {
        return false;
    };
    let whole = value.span();
    if let DeValue::Array(array) = value.into_inner()
        && whole != *span
    {
        let rest: DeArray<'_> = array
            .into_iter()
            .filter(|item| !encloses(&item.span(), span))
            .collect();
        table.insert(key, Spanned::new(whole, DeValue::Array(rest)));
    }
    true
}

/// `table` without the values in which the parser lost its way: what it made of them is not what
/// was written. Tables with a header of their own stay, less what is broken in them.
pub(super) fn without_broken<'i>(table: DeTable<'i>, text: &str, broken: &[usize]) -> DeTable<'i> {
    table
        .into_iter()
        .filter_map(|(key, value)| {
            let span = value.span();
            let header = text
                .get(span.start..)
                .is_some_and(|rest| rest.starts_with('['));
            let value = match value.into_inner() {
                DeValue::Table(inner) if header => {
                    DeValue::Table(without_broken(inner, text, broken))
                }
                // A table that only headers and keys below it imply begins with its own name.
                DeValue::Table(inner) if span == key.span() => {
                    DeValue::Table(without_broken(inner, text, broken))
                }
                DeValue::Array(array)
                    if text
                        .get(span.start..)
                        .is_some_and(|rest| rest.starts_with("[[")) =>
                {
                    let items = array.into_iter().map(|item| {
                        let span = item.span();
                        let item = match item.into_inner() {
                            DeValue::Table(inner) => {
                                DeValue::Table(without_broken(inner, text, broken))
                            }
                            other => other,
                        };
                        Spanned::new(span, item)
                    });
                    DeValue::Array(items.collect())
                }
                other => {
                    let first = broken.partition_point(|at| *at < span.start);
                    if broken.get(first).is_some_and(|at| *at < span.end) {
                        return None;
                    }
                    other
                }
            };
            Some((key, Spanned::new(span, value)))
        })
        .collect()
}

/// Moves all places in `table` to where its file begins in the common space.
pub(super) fn shift_table(table: DeTable<'_>, base: usize) -> DeTable<'_> {
    table
        .into_iter()
        .map(|(key, value)| {
            let key = Spanned::new(shift(key.span(), base), key.into_inner());
            (key, shift_value(value, base))
        })
        .collect()
}

fn shift_value(value: Spanned<DeValue<'_>>, base: usize) -> Spanned<DeValue<'_>> {
    let span = shift(value.span(), base);
    let value = match value.into_inner() {
        DeValue::Array(array) => {
            DeValue::Array(array.into_iter().map(|v| shift_value(v, base)).collect())
        }
        DeValue::Table(table) => DeValue::Table(shift_table(table, base)),
        plain => plain,
    };
    Spanned::new(span, value)
}

/// `span` of a file as a span of the common space.
pub(super) fn shift(span: Range<usize>, base: usize) -> Range<usize> {
    span.start + base..span.end + base
}
