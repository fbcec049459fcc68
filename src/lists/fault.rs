//! What can be wrong with a line, and with a whole list.

use std::net::IpAddr;

use crate::name::NameError;

/// Why a line of a list says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It holds no domain name where one must stand.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Longer than any line that could mean something.
    #[error("the line has {bytes} bytes; {max} is the most", max = super::parse::MAX_LINE)]
    TooLong {
        /// Its length with the line end.
        bytes: u64,
    },
    /// Not text.
    #[error("byte {at} of the line is not UTF-8")]
    NotUtf8 {
        /// Where, from 1, counted from the first byte that is no blank.
        at: usize,
    },
    /// A NUL or another octet that no text has.
    #[error("the line holds the control character 0x{0:02x}")]
    Control(u8),
    /// More than a name on the line.
    #[error("`{0}` stands after the name")]
    SecondWord(String),
    /// An address where a name must stand.
    #[error("`{0}` is an address, not a name")]
    Address(IpAddr),
    /// A name whose last label is a number is a mistyped address; no such top-level domain exists.
    #[error("`{0}` ends in a number like an address")]
    NumericTop(String),
    /// One label: everything under a top-level domain, or a local machine.
    #[error("`{0}` is a top-level domain; a list cannot name all of it")]
    TopLevel(String),
    /// Everything that anybody registered there.
    #[error("`{0}` is a public suffix; a list cannot name all of it")]
    PublicSuffix(String),
    /// The root, or a pattern that matches all names.
    #[error("`{0}` matches every name")]
    Everything(&'static str),
    /// A name in Unicode that IDNA (RFC 5891, UTS 46) does not allow.
    #[error("`{0}` is not a valid internationalised name")]
    Idna(String),
    /// A hosts line that begins with something else.
    #[error("`{0}` stands where the address of a hosts line must")]
    NotAnAddress(String),
    /// A hosts line that sends a name somewhere.
    #[error("`{0}` is neither a null nor a loopback address")]
    OtherAddress(IpAddr),
    /// A hosts line that ends after the address.
    #[error("an address without a name")]
    NoName,
    /// A pattern that cannot be read, or one more than there may be.
    #[error(transparent)]
    Pattern(#[from] super::patterns::PatternFault),
    /// One more address than all lists together may have.
    #[error("more than {max} addresses in all lists", max = super::addresses::MAX_ADDRESSES)]
    TooManyAddresses,
    /// A line of a sealed list, of which nothing is repeated here.
    #[error(transparent)]
    Sealed(#[from] super::sealed::SealedLineFault),
    /// A pattern of one or two characters without anything that restricts it.
    #[error("`{0}` matches too many names")]
    TooWide(String),
    /// A regular expression of a kind that is not searched for.
    #[error("the regular expression cannot be used: {0}")]
    Regex(&'static str),
    /// A word with a value that means nothing there.
    #[error("`{value}` is no value of `{word}`")]
    Value {
        /// The modifier, option or record.
        word: &'static str,
        /// What the line gives it.
        value: String,
    },
    /// A line that ends too early or holds something else than its syntax wants.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A name of a zone file that is not in the zone.
    #[error("`{0}` lies outside of the zone")]
    OutsideZone(String),
    /// A rule that means something we cannot do, so it is left alone as a whole.
    #[error("not supported: {0}")]
    Unsupported(#[from] Unsupported),
}

/// What a well-formed rule asks for that a DNS filter cannot do, or that this one does not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// `example.org##.banner`: hides a part of a page.
    #[error("a cosmetic rule")]
    Cosmetic,
    /// `||example.org^$third-party`.
    #[error("the modifier `{0}`")]
    Modifier(String),
    /// `||example.org/ads`.
    #[error("a path; a query holds only a name")]
    Path,
    /// `|https://example.org^`.
    #[error("a scheme or a port; a query holds only a name")]
    Url,
    /// `$dnsrewrite=SERVFAIL`.
    #[error("to answer with `{0}`")]
    Answer(String),
    /// dnsmasq's `server=/example.org/192.0.2.1`: lists say what is answered, not who is asked.
    #[error("to send a name to a server")]
    Forwarding,
    /// dnsmasq's `dhcp-range=…`, unbound's `forward-addr:`, a zone file's `$GENERATE`.
    #[error("the option `{0}`")]
    Option(String),
    /// unbound's `local-zone: "example.org" ipset`.
    #[error("a zone of type `{0}`")]
    ZoneType(String),
    /// `rpz-nsdname`, `rpz-nsip`: we ask a resolver and never see whom it asked.
    #[error("a trigger on name servers, which a forwarding resolver never sees")]
    NameServer,
    /// `DNAME` in a response policy zone, or a class other than IN.
    #[error("a {0} record")]
    Record(String),
}

/// Why nothing of a list was loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// A web page, such as that of a captive portal or a "not found".
    #[error("an HTML or XML page, not a list")]
    Page,
    /// What a web service answers.
    #[error("a JSON document, not a list")]
    Json,
    /// A file in a format that nothing here unpacks.
    #[error("compressed ({0}); only gzip, zstd and tar are unpacked")]
    Compressed(&'static str),
    /// A compressed file inside a compressed file, or an archive in an archive.
    #[error("packed more than once ({0})")]
    Nested(&'static str),
    /// Compressed data or an archive that is damaged, or wants more memory than it gets.
    #[error("cannot unpack: {0}")]
    Unpack(String),
    /// More text than a list may have.
    #[error("more than {max} bytes of text")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// Little that becomes much.
    #[error("grows more than {ratio} times while it is unpacked")]
    Bomb {
        /// The limit.
        ratio: u32,
    },
    /// A sealed list that is not whole.
    #[error(transparent)]
    Sealed(#[from] super::sealed::FeedFault),
    /// An archive without what was asked for.
    #[error("the archive holds no `{0}`")]
    NoMember(String),
    /// Text of another width.
    #[error("UTF-16 text; lists are UTF-8")]
    Utf16,
    /// No text at all.
    #[error("not text: {strange} of the first {of} bytes are control characters")]
    Binary {
        /// Control characters among them.
        strange: usize,
        /// Bytes looked at.
        of: usize,
    },
    /// What is left is not what its author meant.
    #[error(
        "{bad} of {lines} lines not understood as {format}; a list that lost most of its lines is not used"
    )]
    MostlyBad {
        /// Lines not understood.
        bad: u64,
        /// Lines that are neither blank nor comments.
        lines: u64,
        /// The syntax they were read as.
        format: super::ListFormat,
    },
    /// The file ended in an error.
    #[error("cannot read: {0}")]
    Read(String),
}

/// `text` for a message: what a terminal could act on is escaped, and what is long is cut.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 64;
    let mut kept = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == MOST {
            kept.push('…');
            break;
        }
        if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' {
            kept.push(c);
        } else {
            kept.extend(c.escape_unicode());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_quotes_cannot_steer_a_terminal() {
        assert_eq!(quoted("a\u{1b}[31m\u{202e}é"), "a\\u{1b}[31m\\u{202e}é");
        assert_eq!(quoted(&"x".repeat(70)), format!("{}…", "x".repeat(64)));
    }
}
