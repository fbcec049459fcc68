//! Names in other scripts that look like a name of plain letters.
//!
//! `xn--80ak6aa92e` is written `аррӏе` and looks like `apple`, though no letter of it is Latin. The
//! *plain form* of such a name has in place of each letter the plain one it looks like. A name
//! with a letter that looks like no plain one has no plain form: whoever reads it sees that it is
//! another. So a Russian or Greek word under its own top-level domain is left alone.
//!
//! The table is our own and small: the letters of Latin, Cyrillic and Greek that look alike in the
//! fonts of browsers, and the accented ones.
//!
//! Accents are a matter apart. Nobody writes `rоblox` with one Cyrillic letter by chance, but `vélo`
//! is a bicycle, and that a list has `velo.example` among what children should not buy says nothing
//! about it. Where nothing but accents tells two names apart, only what was said of that very site
//! counts: a service that is blocked, and the household's own lists and rules.

use crate::name::{MAX_LABEL, MAX_NAME, NameBuf, NameRef};

/// What a name looks like.
#[derive(Debug)]
pub(super) struct PlainForm {
    /// The name of plain letters.
    pub(super) name: NameBuf,
    /// Whether nothing but accents tells it from that.
    pub(super) is_accented: bool,
}

/// The name of plain letters that `name` looks like; none for a name without an A-label of another
/// script, or with a letter that looks like no other.
pub(super) fn plain_form(name: NameRef<'_>) -> Option<PlainForm> {
    if !name.labels().any(|label| label.starts_with(PREFIX)) {
        return None;
    }
    let mut wire = [0_u8; MAX_NAME];
    let mut at = 0;
    let mut is_accented = true;
    for label in name.labels() {
        let start = at;
        at += 1;
        match label.strip_prefix(PREFIX) {
            Some(encoded) => {
                let mut letters = ['\0'; MAX_LABEL];
                for letter in decode(encoded, &mut letters)? {
                    // No more letters than the label had octets.
                    wire[at] = plain(*letter)?;
                    is_accented &= letter.is_ascii() || is_latin(*letter);
                    at += 1;
                }
            }
            None => {
                wire[at..at + label.len()].copy_from_slice(label);
                at += label.len();
            }
        }
        // Nothing behind the prefix is no label.
        if at == start + 1 {
            return None;
        }
        // At most 63, by the length of an A-label.
        wire[start] = (at - start - 1) as u8;
    }
    let (name, _) = NameBuf::read_wire(&wire[..=at]).ok()?;
    Some(PlainForm { name, is_accented })
}

/// Whether a letter is one of the alphabets of Europe and Vietnam that write with accents.
const fn is_latin(letter: char) -> bool {
    matches!(letter, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

const PREFIX: &[u8] = b"xn--";

/// The letters of an A-label without its prefix (RFC 3492), as long as they fit.
fn decode<'l>(encoded: &[u8], letters: &'l mut [char; MAX_LABEL]) -> Option<&'l [char]> {
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;
    let (plain, coded) = match encoded.iter().rposition(|octet| *octet == b'-') {
        Some(at) => (&encoded[..at], &encoded[at + 1..]),
        None => (&[][..], encoded),
    };
    let mut length = 0;
    for octet in plain {
        letters[length] = char::from(*octet);
        length += 1;
    }
    let (mut code, mut place, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = coded.iter();
    while !digits.as_slice().is_empty() {
        let before = place;
        let mut weight = 1_u32;
        let mut step = BASE;
        loop {
            let digit = match *digits.next()? {
                letter @ b'a'..=b'z' => letter - b'a',
                figure @ b'0'..=b'9' => figure - b'0' + 26,
                _ => return None,
            };
            let digit = u32::from(digit);
            place = place.checked_add(digit.checked_mul(weight)?)?;
            let threshold = step.saturating_sub(bias).clamp(T_MIN, T_MAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            step += BASE;
        }
        if length == MAX_LABEL {
            return None;
        }
        let count = length as u32 + 1;
        bias = adapt(place - before, count, before == 0);
        code = code.checked_add(place / count)?;
        place %= count;
        let letter = char::from_u32(code)?;
        let here = place as usize;
        letters.copy_within(here..length, here + 1);
        letters[here] = letter;
        length += 1;
        place += 1;
    }
    Some(&letters[..length])
}

/// The next bias (RFC 3492 section 6.1).
const fn adapt(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut step = 0;
    while delta > 455 {
        delta /= 35;
        step += 36;
    }
    step + 36 * delta / (delta + 38)
}

/// The plain letter that a letter looks like.
fn plain(letter: char) -> Option<u8> {
    if letter.is_ascii() {
        return Some(letter as u8);
    }
    let found = ALIKE.iter().find(|(_, letters)| letters.contains(letter));
    found.map(|(plain, _)| *plain)
}

/// Each plain letter with those that look like it: accented Latin, then Cyrillic, then Greek.
const ALIKE: [(u8, &str); 26] = [
    (b'a', "àáâãäåāăąǎɑаӑӓάαἀἁ"),
    (b'b', "ḃƀƅьЬв"),
    (b'c', "çćĉċčсҫϲ"),
    (b'd', "ďđḋɗԁ"),
    (b'e', "èéêëēĕėęěẽеёѐҽєέε"),
    (b'f', "ḟƒẝſ"),
    (b'g', "ĝğġģǵɡց"),
    (b'h', "ĥħḣһհн"),
    (b'i', "ìíîïĩīĭįıɩіїίιϊ"),
    (b'j', "ĵɉјϳ"),
    (b'k', "ķǩкқκ"),
    (b'l', "ĺļľŀłӏɫ"),
    (b'm', "ṁмӎ"),
    (b'n', "ñńņňŋɴпηή"),
    (b'o', "òóôõöøōŏőơоӧοόօσ"),
    (b'p', "ṗрҏρ"),
    (b'q', "ɋԛզ"),
    (b'r', "ŕŗřṙгɾ"),
    (b's', "śŝşšșṡѕ"),
    (b't', "ţťŧṫțтτ"),
    (b'u', "ùúûüũūŭůűųưυύս"),
    (b'v', "ṽѵνṿ"),
    (b'w', "ŵẁẃẅԝωώ"),
    (b'x', "ẋẍхҳχ"),
    (b'y', "ýÿŷȳуўӯγ"),
    (b'z', "źżžƶᴢ"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain_of(text: &str) -> Option<String> {
        let name = NameBuf::parse(&idna::domain_to_ascii(text).unwrap()).unwrap();
        plain_form(name.as_ref()).map(|plain| plain.name.to_string())
    }

    #[test]
    fn accents_are_told_from_letters_of_other_scripts() {
        for (text, expected) in [
            ("vélo.example", true),
            ("straßenbäume.example", false),
            ("señor.example", true),
            ("ışık.example", true),
            ("đường.example", false),
            ("rоblox.example", false),
            ("rоblóx.example", false),
            ("τόκιο.example", false),
        ] {
            let name = NameBuf::parse(&idna::domain_to_ascii(text).unwrap()).unwrap();
            let plain = plain_form(name.as_ref());
            assert_eq!(plain.is_some_and(|it| it.is_accented), expected, "{text}");
        }
    }

    #[test]
    fn look_alikes_have_the_plain_form_they_look_like() {
        for (text, plain) in [
            ("аррӏе.example", "apple.example"),
            ("раураl.example", "paypal.example"),
            ("rоblох.example", "roblox.example"),
            ("pörnö.example", "porno.example"),
            ("tiκτοκ.example", "tiktok.example"),
            ("www.ԁіѕсоrԁ.example", "www.discord.example"),
        ] {
            assert_eq!(plain_of(text).as_deref(), Some(plain), "{text}");
        }
    }

    #[test]
    fn what_is_plainly_another_word_has_none() {
        for text in [
            "www.example.org",
            "пример.рф",
            "школа.example",
            "例え.example",
            "xn.example",
        ] {
            assert_eq!(plain_of(text), None, "{text}");
        }
        // No A-label, whatever it begins with.
        for text in [
            "xn--.example",
            "xn--a-\u{7f}.example",
            "xn--99999999999.example",
        ] {
            if let Ok(name) = NameBuf::parse(text) {
                let _any = plain_form(name.as_ref());
            }
        }
    }

    #[test]
    fn no_letter_looks_like_two() {
        let all: Vec<char> = ALIKE
            .iter()
            .flat_map(|(_, letters)| letters.chars())
            .collect();
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all.len());
        assert!(all.iter().all(|letter| !letter.is_ascii()));
    }

    proptest! {
        /// The decoder gives what a whole implementation of RFC 3492 gives.
        #[test]
        fn labels_are_read_as_the_standard_says(text in "[a-zа-яα-ωà-ÿ]{1,15}") {
            let encoded = idna::punycode::encode_str(&text).unwrap();
            prop_assume!(encoded.len() <= MAX_LABEL);
            let mut letters = ['\0'; MAX_LABEL];
            let read: String = decode(encoded.as_bytes(), &mut letters).unwrap().iter().collect();
            prop_assert_eq!(read, text);
        }

        /// Whatever stands behind the prefix, nothing breaks, and a plain form is plain.
        #[test]
        fn no_label_breaks_it(tail in "[a-z0-9-]{0,59}") {
            if let Ok(name) = NameBuf::parse(&format!("xn--{tail}.example"))
                && let Some(plain) = plain_form(name.as_ref())
            {
                prop_assert!(plain.name.as_ref().as_wire().is_ascii());
            }
        }
    }
}
