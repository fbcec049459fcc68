//! The text of a zone file, record by record (RFC 1035 section 5.1): comments and parentheses
//! gone, quotes and escapes still there.

use std::borrow::Cow;

use crate::lists::LineFault;
use crate::name::NameError;

/// A record may take this many lines, so that a parenthesis nobody closes costs no more than them.
const MAX_LINES: u32 = 64;
/// And this many octets.
const MAX_RECORD: usize = 16 * 1024;

/// Puts the lines of records together.
#[derive(Debug, Default)]
pub(super) struct Records {
    text: String,
    has_owner: bool,
    lines: u32,
    is_open: bool,
}

/// A whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'t> {
    /// Its words; the owner's name is the first, if it has one.
    pub(super) text: &'t str,
    /// Whether it names its owner; otherwise that is the owner of the record before.
    pub(super) has_owner: bool,
}

impl Records {
    /// Adds a line; the record that ends with it, if one does. A blank line is an empty record.
    ///
    /// # Errors
    /// A quote that is not closed on its line, a parenthesis too many, a record without an end.
    /// Whatever was there is given up.
    pub(super) fn add(&mut self, line: &str) -> Result<Option<Record<'_>>, LineFault> {
        if self.lines == 0 {
            self.text.clear();
            self.has_owner = !line.starts_with([' ', '\t']);
        } else {
            self.text.push(' ');
        }
        self.lines += 1;
        let added = self.append(line);
        if added.is_ok() && self.is_open {
            if self.lines < MAX_LINES && self.text.len() < MAX_RECORD {
                return Ok(None);
            }
            *self = Self::default();
            return Err(LineFault::Expected("a `)`"));
        }
        self.lines = 0;
        self.is_open = false;
        added?;
        Ok(Some(Record {
            text: self.text.trim(),
            has_owner: self.has_owner,
        }))
    }

    /// Whether a parenthesis is open.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    fn append(&mut self, line: &str) -> Result<(), LineFault> {
        let mut is_quoted = false;
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => {
                    self.text.push(c);
                    self.text.extend(chars.next());
                    continue;
                }
                '"' => is_quoted = !is_quoted,
                ';' if !is_quoted => break,
                '(' | ')' if !is_quoted => {
                    if self.is_open == (c == '(') {
                        return Err(LineFault::Expected("parentheses in pairs"));
                    }
                    self.is_open = c == '(';
                    self.text.push(' ');
                    continue;
                }
                _ => {}
            }
            self.text.push(c);
        }
        if is_quoted {
            return Err(LineFault::Expected("a closing quote"));
        }
        Ok(())
    }
}

/// The first word of a record and the rest; a word in quotes may hold blanks.
pub(super) fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let mut is_quoted = false;
    let mut is_escaped = false;
    let end = text.find(|c: char| {
        match c {
            _ if is_escaped => {
                is_escaped = false;
                return false;
            }
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        c.is_ascii_whitespace() && !is_quoted
    });
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (word, rest.trim_start())
}

/// A name with its `\DDD` and `\X` resolved. An escaped dot, which would be part of a label, is
/// refused with all else that no name of a list holds.
pub(super) fn unescaped(name: &str) -> Result<Cow<'_, str>, NameError> {
    if !name.contains('\\') {
        return Ok(Cow::Borrowed(name));
    }
    let mut plain = String::new();
    let mut rest = name;
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        let octet = escaped
            .get(..3)
            .filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u8>().ok());
        let (c, after) = match octet {
            Some(octet) => (char::from(octet), escaped.get(3..).unwrap_or_default()),
            None => {
                let mut chars = escaped.chars();
                let c = chars.next().ok_or(NameError::Character('\\'))?;
                (c, chars.as_str())
            }
        };
        if !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*')) {
            return Err(NameError::Character(c));
        }
        plain.push(c);
        rest = after;
    }
    plain.push_str(rest);
    Ok(Cow::Owned(plain))
}

/// Whether a word is a TTL: seconds, or BIND's `1h30m`.
pub(super) fn is_ttl(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|octet| {
            octet.is_ascii_digit()
                || matches!(octet.to_ascii_lowercase(), b's' | b'm' | b'h' | b'd' | b'w')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<Result<(String, bool), String>> {
        let mut records = Records::default();
        text.lines()
            .filter_map(|line| match records.add(line) {
                Ok(None) => None,
                Ok(Some(record)) => Some(Ok((record.text.to_owned(), record.has_owner))),
                Err(fault) => Some(Err(fault.to_string())),
            })
            .collect()
    }

    #[test]
    fn records_may_take_several_lines() {
        let text = "@ SOA a. b. ( 1 ; serial\n 2h )\n x \"a;( b\" \\; ; end\n\tA (192.0.2.1)";
        let said = records(text);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let plain: Vec<_> = said
            .iter()
            .map(|it| it.as_ref().map(|(text, owner)| (words(text), *owner)))
            .collect();
        assert_eq!(
            plain,
            [
                Ok(("@ SOA a. b. 1 2h".to_owned(), true)),
                Ok(("x \"a;( b\" \\;".to_owned(), false)),
                Ok(("A 192.0.2.1".to_owned(), false)),
            ]
        );
    }

    #[test]
    fn what_is_not_closed_costs_a_bounded_number_of_lines() {
        let text = format!(
            "a TXT \"x\nb A 192.0.2.1\nc ) A\nd ( A\n{}e A",
            "x\n".repeat(63)
        );
        let said = records(&text);
        assert_eq!(said[0], Err("expected a closing quote".to_owned()));
        assert_eq!(said[1], Ok(("b A 192.0.2.1".to_owned(), true)));
        assert_eq!(said[2], Err("expected parentheses in pairs".to_owned()));
        assert_eq!(said[3], Err("expected a `)`".to_owned()));
        assert_eq!(said[4], Ok(("e A".to_owned(), true)));
    }

    #[test]
    fn words_and_escapes() {
        assert_eq!(word("  a\\ b \"c d\" e"), ("a\\ b", "\"c d\" e"));
        assert_eq!(word("\"c d\" e"), ("\"c d\"", "e"));
        assert_eq!(word(""), ("", ""));
        assert_eq!(unescaped("\\097b\\-c.org").unwrap(), "ab-c.org");
        for (text, c) in [
            ("a\\.b", '.'),
            ("a\\046b", '.'),
            ("a\\", '\\'),
            ("\\000", '\0'),
        ] {
            assert_eq!(unescaped(text), Err(NameError::Character(c)), "{text}");
        }
    }

    #[test]
    fn ttls_are_numbers_with_or_without_units() {
        assert!(is_ttl("3600") && is_ttl("1h30M"));
        assert!(!is_ttl("IN") && !is_ttl("h") && !is_ttl("1.2") && !is_ttl(""));
    }
}
