//! Record types that no ordinary program asks for.
//!
//! Programs that hide a connection in DNS like types whose data can be anything: NULL, private use,
//! numbers nobody has assigned. Browsers, systems, games and mail ask for none of them, so that a
//! child's device loses nothing. TXT is not among them: mail, certificates, virus scanners and
//! music players use it, and what hides in it is found by how it is asked ([`super::tunnel`]).

use crate::message::rtype;
use crate::name::NameRef;

/// Whether no ordinary program asks `name` for records of `qtype`.
pub(super) fn is_unusual(name: NameRef<'_>, qtype: u16) -> bool {
    match qtype {
        // MD, MF and MB to MR were given up in 1987 (RFC 1035 section 3.3), NULL never was for use
        // and WKS went with them; X25, ISDN, NSAP-PTR, EID, NIMLOC, ATMA, SINK, NINFO, RKEY and
        // TALINK belong to networks and trials that are no more.
        3 | 4 | 7..=11 | 19 | 20 | 23 | 31 | 32 | 34 | 40 | 56 | 57 | 58 => true,
        // Unassigned, as far as the registry goes, and private use (RFC 6895 section 3.1). 67 to 70
        // and 261 to 271 are left to what may still be assigned there.
        71..=98 | 110..=127 | 272..=32_767 | 32_770..=u16::MAX => true,
        // How an encrypted resolver is found by its name (RFC 9461). `_dns.resolver.arpa` is
        // answered here for everybody.
        rtype::SVCB => {
            let mut labels = name.labels().skip_while(is_port);
            labels.next() == Some(b"_dns")
        }
        _ => false,
    }
}

/// Whether a label is `_8530`, which stands before `_dns` where a resolver has a port of its own.
fn is_port(label: &&[u8]) -> bool {
    label.split_first().is_some_and(|(first, figures)| {
        *first == b'_' && !figures.is_empty() && figures.iter().all(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    #[test]
    fn what_programs_of_a_home_ask_for_is_never_closed() {
        let name = NameBuf::parse("www.example.org").unwrap();
        // A, NS, CNAME, SOA, PTR, HINFO, MX, TXT, AFSDB, AAAA, LOC, SRV, NAPTR, CERT, DNAME, APL,
        // DS, SSHFP, IPSECKEY, RRSIG, NSEC, DNSKEY, DHCID, NSEC3, NSEC3PARAM, TLSA, SMIMEA, HIP,
        // CDS, CDNSKEY, OPENPGPKEY, CSYNC, ZONEMD, SVCB, HTTPS, SPF, EUI48, EUI64, ANY, URI, CAA.
        let usual = [
            1, 2, 5, 6, 12, 13, 15, 16, 18, 28, 29, 33, 35, 37, 39, 42, 43, 44, 45, 46, 47, 48, 49,
            50, 51, 52, 53, 55, 59, 60, 61, 62, 63, 64, 65, 99, 108, 109, 255, 256, 257,
        ];
        for qtype in usual {
            assert!(!is_unusual(name.as_ref(), qtype), "{qtype}");
        }
    }

    #[test]
    fn what_tunnels_like_is_closed() {
        let name = NameBuf::parse("t.example.org").unwrap();
        for qtype in [10, 11, 40, 100 - 3, 1000, 32_000, 65_280, 65_399, 65_534] {
            assert!(is_unusual(name.as_ref(), qtype), "{qtype}");
        }
        for by_name in ["_dns.resolver.example", "_8530._dns.resolver.example"] {
            let by_name = NameBuf::parse(by_name).unwrap();
            assert!(is_unusual(by_name.as_ref(), rtype::SVCB));
            assert!(!is_unusual(by_name.as_ref(), rtype::A));
        }
        let other = NameBuf::parse("_8443._https.example.org").unwrap();
        assert!(!is_unusual(other.as_ref(), rtype::SVCB));
    }
}
