//! Domain names in one form: wire format, lower case.
//!
//! Every comparison in the program is between such names, so case and presentation are settled
//! once, at the border: a name is a row of length-prefixed labels that ends in the root's zero
//! (RFC 1035 section 3.1), ASCII letters in lower case (RFC 4343). `Example.org.` is
//! `7 e x a m p l e 3 o r g 0`. Its parents are its suffixes: nothing needs to be cut or copied to
//! walk up from `www.example.org` to `org`.
//!
//! [`NameRef`] borrows one, [`Name`] owns one on the heap (configuration, lists), [`NameBuf`] owns
//! one on the stack (the query path, which does not allocate).

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;

/// The longest name in wire format, root included (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;
/// The longest label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;

/// Why a text or a row of bytes is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("the name is empty")]
    Empty,
    /// Two dots in a row, or one in front.
    #[error("the name has an empty label")]
    EmptyLabel,
    /// A label of more than 63 octets.
    #[error("a label has {0} octets; 63 is the most")]
    LabelTooLong(usize),
    /// More than 255 octets in wire format.
    #[error("the name is longer than 255 octets")]
    TooLong,
    /// An octet that no host name has.
    #[error("`{}` cannot stand in a domain name", shown(*.0))]
    Character(char),
    /// Not ASCII: an internationalised name in its Unicode form, which only the border converts.
    #[error("the name is not ASCII")]
    NotAscii,
    /// The bytes end inside a label or carry on after the root.
    #[error("the bytes are not one name in wire format")]
    Wire,
}

/// A character for a message: escaped where a terminal would act on it.
fn shown(c: char) -> String {
    if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' {
        c.to_string()
    } else {
        c.escape_unicode().to_string()
    }
}

/// A borrowed domain name: wire format, lower case, ends with the root label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// The root.
    pub const ROOT: NameRef<'static> = NameRef(&[0]);

    /// Takes bytes that are known to be one lower-case name in wire format; checks that they are.
    ///
    /// # Errors
    /// [`NameError::Wire`] or a length error when they are not.
    pub fn from_wire(bytes: &'a [u8]) -> Result<Self, NameError> {
        if bytes.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        let mut at = 0;
        loop {
            let length = usize::from(*bytes.get(at).ok_or(NameError::Wire)?);
            if length == 0 {
                return if at + 1 == bytes.len() {
                    Ok(Self(bytes))
                } else {
                    Err(NameError::Wire)
                };
            }
            if length > MAX_LABEL {
                return Err(NameError::LabelTooLong(length));
            }
            at += 1 + length;
        }
    }

    /// The wire format, root label included.
    pub const fn as_wire(self) -> &'a [u8] {
        self.0
    }

    /// Whether this is the root.
    pub const fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// The labels from left to right, without the root.
    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first()?;
            if *length == 0 {
                return None;
            }
            let (label, after) = tail.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(label)
        })
    }

    /// How many labels, the root not counted.
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// The name itself and its parents, longest first, without the root.
    pub fn suffixes(self) -> impl Iterator<Item = NameRef<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let length = *rest.first()?;
            if length == 0 {
                return None;
            }
            let this = NameRef(rest);
            rest = rest.get(1 + usize::from(length)..)?;
            Some(this)
        })
    }

    /// The name without its first label; the root has no parent.
    pub fn parent(self) -> Option<Self> {
        let length = usize::from(*self.0.first()?);
        if length == 0 {
            return None;
        }
        self.0.get(1 + length..).map(NameRef)
    }

    /// The name without its last `labels` labels, unless it has no more than those.
    pub fn without_last(self, labels: usize) -> Option<NameBuf> {
        let kept = self
            .label_count()
            .checked_sub(labels)
            .filter(|kept| *kept > 0)?;
        let rest = self.suffixes().nth(kept).map_or(1, |rest| rest.0.len());
        let end = self.0.len().checked_sub(rest)?;
        let mut name = NameBuf::ROOT;
        // At most 254, and the root's zero is there already.
        name.length = (end + 1) as u8;
        name.bytes.get_mut(..end)?.copy_from_slice(&self.0[..end]);
        Some(name)
    }

    /// Whether this is `ancestor` or lies below it.
    pub fn is_within(self, ancestor: NameRef<'_>) -> bool {
        ancestor.is_root() || self.suffixes().any(|suffix| suffix.0 == ancestor.0)
    }

    /// The part a flood of random names has in common: the last two labels, or three where the
    /// second-last is the short label of a registry such as `co.uk`.
    ///
    /// A guess without the public suffix list, good enough to share out places in a table. Only
    /// labels that registries use count: `abc.me` is somebody's own.
    pub fn registrable_guess(self) -> Self {
        let count = self.label_count();
        let mut last_two = self.labels().skip(count.saturating_sub(2));
        let keep = match (last_two.next(), last_two.next()) {
            // All reverse names have the same two; the networks they are of begin below.
            (Some(_), Some(b"arpa")) => 4,
            (Some(second), Some(top)) if top.len() == 2 && REGISTRIES.contains(&second) => 3,
            _ => 2,
        };
        self.suffixes()
            .nth(count.saturating_sub(keep))
            .unwrap_or(self)
    }

    /// The address whose reverse name this is, exactly; see [`NameBuf::reverse_of`].
    pub fn to_reversed(self) -> Option<IpAddr> {
        const V4: &[u8] = b"\x07in-addr\x04arpa\x00";
        const V6: &[u8] = b"\x03ip6\x04arpa\x00";
        if self.0.ends_with(V4) && self.label_count() == 6 {
            let mut octets = [0; 4];
            for (place, label) in octets.iter_mut().rev().zip(self.labels()) {
                // Without leading zeroes, so that each address has one such name.
                if label.len() > 1 && label[0] == b'0' || !label.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                *place = std::str::from_utf8(label).ok()?.parse().ok()?;
            }
            return Some(octets.into());
        }
        if self.0.ends_with(V6) && self.label_count() == 34 {
            let mut octets = [0_u8; 16];
            for (label, at) in self.labels().zip(0..32) {
                let [digit] = label else {
                    return None;
                };
                // One hexadecimal digit is below 16.
                let value = char::from(*digit).to_digit(16)? as u8;
                octets[15 - at / 2] |= value << (4 * (at % 2));
            }
            return Some(octets.into());
        }
        None
    }

    /// An owned copy on the heap.
    pub fn to_name(self) -> Name {
        Name(self.0.into())
    }
}

impl fmt::Display for NameRef<'_> {
    /// Presentation format without the final dot; the root is `.`. Octets that are not printable
    /// come as `\DDD` (RFC 1035 section 5.1), so that no name can forge a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                    0x21..=0x7e => write!(f, "{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An owned domain name on the heap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Reads ASCII presentation format; a final dot is optional, case is folded.
    ///
    /// Stricter than the wire: letters, digits, `-` and `_` only, since this reads what people and
    /// lists write, where anything else is a mistake.
    ///
    /// # Errors
    /// The first thing that is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        NameBuf::parse(text).map(|name| name.as_ref().to_name())
    }

    /// Borrows it.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// An owned domain name on the stack.
#[derive(Clone, Copy)]
pub struct NameBuf {
    length: u8,
    bytes: [u8; MAX_NAME],
}

impl NameBuf {
    /// The root.
    pub const ROOT: Self = Self {
        length: 1,
        bytes: [0; MAX_NAME],
    };

    /// Borrows it.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.bytes[..usize::from(self.length)])
    }

    /// Reads an uncompressed name at the start of `wire`, folding case, and says how many octets
    /// it took. Any octet may stand in a label (RFC 2181 section 11).
    ///
    /// # Errors
    /// [`NameError::Wire`] for a cut-off name or a compression pointer, [`NameError::TooLong`].
    pub fn read_wire(wire: &[u8]) -> Result<(Self, usize), NameError> {
        let mut end = 0;
        loop {
            let length = usize::from(*wire.get(end).ok_or(NameError::Wire)?);
            if length > MAX_LABEL {
                return Err(NameError::Wire);
            }
            end += 1 + length;
            if end > MAX_NAME {
                return Err(NameError::TooLong);
            }
            if length == 0 {
                break;
            }
        }
        let mut name = Self::ROOT;
        let kept = &mut name.bytes[..end];
        kept.copy_from_slice(wire.get(..end).ok_or(NameError::Wire)?);
        // Lengths are below 64 and so never letters.
        kept.make_ascii_lowercase();
        // At most 255, by the check above.
        name.length = end as u8;
        Ok((name, end))
    }

    /// Reads ASCII presentation format; see [`Name::parse`].
    ///
    /// # Errors
    /// The first thing that is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::ROOT);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let mut name = Self::ROOT;
        let mut at = 0;
        for label in text.split('.') {
            if label.is_empty() {
                return Err(NameError::EmptyLabel);
            }
            if let Some(stranger) = label
                .chars()
                .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
            {
                return Err(if stranger.is_ascii() {
                    NameError::Character(stranger)
                } else {
                    NameError::NotAscii
                });
            }
            if label.len() > MAX_LABEL {
                return Err(NameError::LabelTooLong(label.len()));
            }
            let end = at + 1 + label.len();
            if end >= MAX_NAME {
                return Err(NameError::TooLong);
            }
            // At most 63, by the check above.
            name.bytes[at] = label.len() as u8;
            let kept = &mut name.bytes[at + 1..end];
            kept.copy_from_slice(label.as_bytes());
            kept.make_ascii_lowercase();
            at = end;
        }
        // Below 255, by the check above; the root's zero is there already.
        name.length = (at + 1) as u8;
        Ok(name)
    }

    /// The name one label below another, if it is one. The label is in lower case.
    pub fn below(label: &[u8], parent: NameRef<'_>) -> Option<Self> {
        let end = 1 + label.len() + parent.0.len();
        if !(1..=MAX_LABEL).contains(&label.len()) || end > MAX_NAME {
            return None;
        }
        let mut name = Self::ROOT;
        // At most 63 and at most 255, by the checks above.
        name.bytes[0] = label.len() as u8;
        name.length = end as u8;
        name.bytes[1..=label.len()].copy_from_slice(label);
        name.bytes[1 + label.len()..end].copy_from_slice(parent.0);
        Some(name)
    }

    /// The name under which the owner of `address` is found in reverse (RFC 1035 section 3.5,
    /// RFC 3596 section 2.5).
    pub fn reverse_of(address: IpAddr) -> Self {
        let text = match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(v6) => {
                let mut text = String::with_capacity(73);
                for octet in v6.octets().iter().rev() {
                    text.push_str(&format!("{:x}.{:x}.", octet & 0xf, octet >> 4));
                }
                text + "ip6.arpa"
            }
        };
        Self::parse(&text).unwrap_or(Self::ROOT)
    }
}

impl From<NameRef<'_>> for NameBuf {
    fn from(name: NameRef<'_>) -> Self {
        let mut copy = Self::ROOT;
        copy.bytes[..name.0.len()].copy_from_slice(name.0);
        // A NameRef holds at most 255 octets.
        copy.length = name.0.len() as u8;
        copy
    }
}

impl PartialEq for NameBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for NameBuf {}

impl fmt::Display for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// Second labels below which registries of countries take registrations.
const REGISTRIES: [&[u8]; 40] = [
    b"ac", b"ad", b"art", b"asn", b"biz", b"co", b"com", b"ed", b"edu", b"ens", b"firm", b"gen",
    b"go", b"gob", b"gouv", b"gov", b"govt", b"gr", b"gv", b"id", b"inf", b"info", b"int", b"k12",
    b"lg", b"ltd", b"me", b"mil", b"ne", b"net", b"nhs", b"nic", b"nom", b"or", b"org", b"plc",
    b"pro", b"re", b"sch", b"web",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn case_and_final_dot_do_not_matter() {
        assert_eq!(name("WWW.Example.ORG."), name("www.example.org"));
        assert_eq!(name("www.example.org").to_string(), "www.example.org");
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_its_reason() {
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(128);
        for (text, error) in [
            ("", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a b.org", NameError::Character(' ')),
            ("münchen.de", NameError::NotAscii),
            (long_label.as_str(), NameError::LabelTooLong(64)),
            (long_name.as_str(), NameError::TooLong),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_message_shows_no_character_that_acts() {
        for (c, said) in [
            ('*', "`*` cannot stand in a domain name"),
            ('\t', "`\\u{9}` cannot stand in a domain name"),
            ('\u{202e}', "`\\u{202e}` cannot stand in a domain name"),
        ] {
            assert_eq!(NameError::Character(c).to_string(), said);
        }
    }

    #[test]
    fn the_longest_name_is_a_name() {
        let label = "a".repeat(63);
        let text = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(name(&text).as_ref().as_wire().len(), MAX_NAME);
        let text = format!("{label}.{label}.{label}.{}", "a".repeat(62));
        assert_eq!(Name::parse(&text), Err(NameError::TooLong));
    }

    #[test]
    fn suffixes_walk_up_to_the_top() {
        let www = name("www.example.org");
        let all: Vec<_> = www.as_ref().suffixes().map(|s| s.to_string()).collect();
        assert_eq!(all, ["www.example.org", "example.org", "org"]);
        assert!(www.as_ref().is_within(name("example.org").as_ref()));
        assert!(
            !name("notexample.org")
                .as_ref()
                .is_within(name("example.org").as_ref())
        );
    }

    #[test]
    fn wire_names_fold_case_and_refuse_pointers() {
        let (read, used) = NameBuf::read_wire(b"\x03WwW\x03Org\x00rest").unwrap();
        assert_eq!((read.to_string().as_str(), used), ("www.org", 9));
        assert_eq!(NameBuf::read_wire(b"\xc0\x0c"), Err(NameError::Wire));
        assert_eq!(NameBuf::read_wire(b"\x03ab"), Err(NameError::Wire));
    }

    #[test]
    fn display_escapes_what_could_forge_a_line() {
        let (read, _) = NameBuf::read_wire(b"\x05a\n.\\\x7f\x00").unwrap();
        assert_eq!(read.to_string(), "a\\010\\.\\\\\\127");
    }

    #[test]
    fn floods_share_a_bucket() {
        for (text, bucket) in [
            ("x7f.a.example.org", "example.org"),
            ("x7f.example.co.uk", "example.co.uk"),
            ("x7f.example.com.vn", "example.com.vn"),
            ("x7f.abc.me", "abc.me"),
            ("example.org", "example.org"),
            ("org", "org"),
            ("7.2.0.192.in-addr.arpa", "0.192.in-addr.arpa"),
        ] {
            assert_eq!(
                name(text).as_ref().registrable_guess(),
                name(bucket).as_ref(),
                "{text}"
            );
        }
    }

    #[test]
    fn reverse_names() {
        assert_eq!(
            NameBuf::reverse_of("192.0.2.7".parse().unwrap()).to_string(),
            "7.2.0.192.in-addr.arpa"
        );
        let v6 = NameBuf::reverse_of("2001:db8::1".parse().unwrap()).to_string();
        assert!(v6.starts_with("1.0.0.0.") && v6.ends_with("8.b.d.0.1.0.0.2.ip6.arpa"));
        for text in [
            "192.0.2.7",
            "0.0.0.0",
            "2001:db8::1",
            "fe80::1:2ff:fe03:4a5b",
        ] {
            let address: IpAddr = text.parse().unwrap();
            let reverse = NameBuf::reverse_of(address);
            assert_eq!(reverse.as_ref().to_reversed(), Some(address), "{text}");
        }
        let short = v6.strip_prefix("1.").unwrap();
        let other = v6.replacen('1', "g", 1);
        for text in [
            "2.0.192.in-addr.arpa",
            "1.7.2.0.192.in-addr.arpa",
            "07.2.0.192.in-addr.arpa",
            "256.2.0.192.in-addr.arpa",
            "x.2.0.192.in-addr.arpa",
            "7.2.0.192.in-addr.arpa.example",
            "example.org",
            short,
            &other,
        ] {
            assert_eq!(name(text).as_ref().to_reversed(), None, "{text}");
        }
    }

    #[test]
    fn a_label_goes_in_front_of_a_name() {
        let parent = name("home.arpa");
        let below = |label: &str| NameBuf::below(label.as_bytes(), parent.as_ref());
        assert_eq!(below("tablet").unwrap().to_string(), "tablet.home.arpa");
        assert_eq!(below(""), None);
        assert!(below(&"a".repeat(63)).is_some());
        assert_eq!(below(&"a".repeat(64)), None);
        let long = name(&["a".repeat(60).as_str(); 4].join("."));
        assert_eq!(NameBuf::below(b"tablettablet", long.as_ref()), None);
    }
}
