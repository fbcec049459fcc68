//! Is this a list at all?

use super::{ListFault, text};

/// How many bytes decide whether something is text.
const LOOKED_AT: usize = 4096;

/// First bytes of packed files.
const PACKED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
];

/// The name of the format in which a file that begins with `sample` is packed, if it is.
pub(super) fn packing(sample: &[u8]) -> Option<&'static str> {
    let packing = PACKED.iter().find(|(magic, _)| sample.starts_with(magic));
    packing.map(|(_, name)| *name)
}

/// Why a file that begins with `sample` is no list, if it is none.
pub(super) fn refuse(sample: &[u8]) -> Option<ListFault> {
    if let Some(name) = packing(sample) {
        return Some(ListFault::Nested(name));
    }
    if sample.starts_with(b"\xff\xfe") || sample.starts_with(b"\xfe\xff") {
        return Some(ListFault::Utf16);
    }
    let content = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    // No syntax of lists has a line that begins so.
    let content = content.trim_ascii_start();
    if content.starts_with(b"<") {
        return Some(ListFault::Page);
    }
    let inner = content.strip_prefix(b"[").unwrap_or(content);
    if is_json(inner, inner.len() < content.len()) {
        return Some(ListFault::Json);
    }
    let looked_at = sample.get(..LOOKED_AT).unwrap_or(sample);
    let strange = looked_at.iter().filter(|b| text::is_control(**b)).count();
    // A list in which a tenth of all bytes are control characters has no lines worth keeping; a
    // few NULs after a power cut cost their lines only.
    (strange * 10 > looked_at.len()).then_some(ListFault::Binary {
        strange,
        of: looked_at.len(),
    })
}

/// Whether a text is JSON, by what it begins with behind the `[` of an array.
///
/// `[Adblock Plus]` is a list, and so is `[a-z]+` in a list of expressions.
fn is_json(text: &[u8], in_array: bool) -> bool {
    match text.trim_ascii_start() {
        [b'{', ..] => true,
        [b'"', ..] => in_array,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_is_said_plainly() {
        for (sample, said) in [
            (
                &b"\n\n <!DOCTYPE html>\n<html>"[..],
                "an HTML or XML page, not a list",
            ),
            (
                b"\xef\xbb\xbf<?xml version='1.0'?>",
                "an HTML or XML page, not a list",
            ),
            (b"\x1f\x8b\x08\x00", "packed more than once (gzip)"),
            (b"{\"error\": 404}", "a JSON document, not a list"),
            (b" [ {}, {} ]", "a JSON document, not a list"),
            (b"[\"example.org\"]", "a JSON document, not a list"),
            (b"\xff\xfee\x00x\x00", "UTF-16 text; lists are UTF-8"),
            (
                b"\x7fELF\x01\x01\x01\x00\x00\x00",
                "not text: 7 of the first 10 bytes are control characters",
            ),
        ] {
            assert_eq!(refuse(sample).unwrap().to_string(), said);
        }
    }

    #[test]
    fn a_list_with_a_few_strange_bytes_is_still_a_list() {
        assert_eq!(refuse(b""), None);
        assert_eq!(refuse(b"[Adblock Plus 2.0]\n"), None);
        assert_eq!(refuse(b"[a-z]+\\.example\n"), None);
        assert_eq!(refuse(b"# fran\xe7ais\r\n\texample.org\r\n"), None);
        assert_eq!(
            refuse(b"example.org\nexample.net\n\x00\x00example.com\n"),
            None
        );
    }
}
