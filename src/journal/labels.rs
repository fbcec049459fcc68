//! The field's words for the numbers in a message: QTYPEs and RCODEs.

use std::borrow::Cow;

/// The QTYPEs people meet, by mnemonic.
const QTYPES: [(&str, u16); 27] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("HINFO", 13),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("LOC", 29),
    ("SRV", 33),
    ("NAPTR", 35),
    ("CERT", 37),
    ("DNAME", 39),
    ("DS", 43),
    ("SSHFP", 44),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("NSEC3", 50),
    ("TLSA", 52),
    ("OPENPGPKEY", 61),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("ANY", 255),
    ("URI", 256),
    ("CAA", 257),
];

/// The mnemonic of `qtype`, or `TYPE123` (RFC 3597 section 5).
pub fn qtype_label(qtype: u16) -> Cow<'static, str> {
    QTYPES
        .iter()
        .find(|(_, number)| *number == qtype)
        .map_or_else(
            || Cow::Owned(format!("TYPE{qtype}")),
            |(name, _)| Cow::Borrowed(*name),
        )
}

/// Reads a mnemonic, `TYPE123` or a plain number, in any case.
pub fn parse_qtype(text: &str) -> Option<u16> {
    let upper = text.to_ascii_uppercase();
    QTYPES
        .iter()
        .find(|(name, _)| *name == upper)
        .map(|(_, number)| *number)
        .or_else(|| upper.strip_prefix("TYPE").unwrap_or(&upper).parse().ok())
}

/// The mnemonic of an RCODE (RFC 1035 section 4.1.1, RFC 2136 section 2.2).
pub const fn rcode_label(rcode: u8) -> &'static str {
    match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_they_are_written() {
        for (name, number) in QTYPES {
            assert_eq!(qtype_label(number), name);
            assert_eq!(parse_qtype(name), Some(number));
        }
        assert_eq!(qtype_label(999), "TYPE999");
        assert_eq!(parse_qtype("type999"), Some(999));
        assert_eq!(parse_qtype("aaaa"), Some(28));
        assert_eq!(parse_qtype("65"), Some(65));
        assert_eq!(parse_qtype("sixty"), None);
        assert_eq!(parse_qtype("70000"), None);
    }
}
