//! How a block is explained: the language, and where access can be asked for.

use super::Speech;
use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::spec::{HouseholdSpec, Text};
use super::words::choice;
use crate::language::TAGS;

/// What `[household]` says of it.
pub(super) fn speech(spec: &HouseholdSpec, problems: &mut Problems) -> Speech {
    let usual = Speech::default();
    Speech {
        language: language(spec.language.as_ref(), problems).unwrap_or(usual.language),
        contact: contact(spec.contact.as_deref(), problems),
    }
}

/// A language there are sentences in.
pub(super) fn language(word: Option<&Text>, problems: &mut Problems) -> Option<&'static str> {
    choice(word, "language", &TAGS.map(|tag| (tag, tag)), problems)
}

/// Who can be asked. All of it stands in every block that is explained, so there is little room.
fn contact(words: Option<&[Text]>, problems: &mut Problems) -> Vec<String> {
    const MOST: usize = 3;
    let words = words.unwrap_or_default();
    if let Some(word) = words.get(MOST) {
        problems.report(
            Diagnostic::error("too-many", format!("more than {MOST} contacts"))
                .at(problems.place(&word.span()), "one too many"),
        );
    }
    let mut contact = Vec::new();
    for word in words {
        match check(word.text()) {
            Ok(()) => contact.push(word.text().to_owned()),
            Err(why) => problems.report(
                Diagnostic::error("bad-contact", format!("`{}` is no contact", word.text()))
                    .at(problems.place(&word.span()), why)
                    .help("write `mailto:` and an address, or `tel:` and a number"),
            ),
        }
    }
    contact
}

/// Whether programs that show an explanation may show this too: the draft has registered two
/// schemes, neither of which opens a page by itself.
fn check(uri: &str) -> Result<(), &'static str> {
    const LONGEST: usize = 80;
    if uri.len() > LONGEST {
        return Err("longer than 80 octets");
    }
    if let Some(address) = uri.strip_prefix("mailto:") {
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"@.-_+~%=!".contains(&octet);
        let has_both = address
            .split_once('@')
            .is_some_and(|(who, at)| !who.is_empty() && !at.is_empty() && !at.contains('@'));
        return if has_both && address.bytes().all(is_plain) {
            Ok(())
        } else {
            Err("not a mail address")
        };
    }
    if let Some(number) = uri.strip_prefix("tel:") {
        let is_plain = |octet: u8| octet.is_ascii_digit() || b"+-.()".contains(&octet);
        return if number.bytes().any(|octet| octet.is_ascii_digit()) && number.bytes().all(is_plain)
        {
            Ok(())
        } else {
            Err("not a telephone number")
        };
    }
    Err("neither `mailto:` nor `tel:`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_a_mail_address_or_a_number_and_fits_json() {
        for good in [
            "mailto:parents@home.example",
            "tel:+49-30-1234567",
            "tel:110",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "mailto:",
            "mailto:home.example",
            "mailto:@home.example",
            "mailto:a@",
            "mailto:a@b@c.example",
            "mailto:a\"@home.example",
            "mailto:ä@home.example",
            "tel:",
            "tel:+",
            "tel:12 34",
            "https://home.example/",
            "sips:a@home.example",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&format!("tel:{}", "1".repeat(77))).is_err());
    }
}
