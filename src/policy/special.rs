//! Names that mean something only here, and are never asked of an upstream.

use crate::name::NameRef;

/// A name that is never asked of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialUse {
    /// This machine (RFC 6761 section 6.3).
    Localhost,
    /// There is no such name (RFC 6761 sections 6.2 and 6.4, RFC 6762, RFC 7686, RFC 8375,
    /// RFC 9476), or a private address whose owner only the home could know (RFC 6303).
    Nowhere,
    /// The name exists and has no data: we offer no encrypted DNS by discovery (RFC 9462
    /// section 6.4).
    NoData,
}

impl SpecialUse {
    /// Whether `name` is one.
    pub fn of(name: NameRef<'_>) -> Option<Self> {
        let wire = name.as_wire();
        // What nearly every name ends in is none, and costs one look.
        if !matches!(
            wire,
            [.., b'p', b'a', 0]
                | [.., b's' | b'l', b't', 0]
                | [.., b'i', b'd', 0]
                | [.., b'a', b'l', 0]
                | [.., b'o', b'n', 0]
        ) {
            return None;
        }
        let within = |suffix: &[u8]| {
            wire.ends_with(suffix)
                // At a label's border: a suffix of octets may begin inside a label.
                && name.suffixes().any(|parent| parent.as_wire() == suffix)
        };
        if within(b"\x04arpa\x00") {
            if within(b"\x08resolver\x04arpa\x00") {
                return Some(Self::NoData);
            }
            let nowhere = within(b"\x04home\x04arpa\x00") || is_private_reverse(name);
            return nowhere.then_some(Self::Nowhere);
        }
        if within(b"\x09localhost\x00") {
            return Some(Self::Localhost);
        }
        const NOWHERE: [&[u8]; 5] = [
            b"\x07invalid\x00",
            b"\x04test\x00",
            b"\x05local\x00",
            b"\x05onion\x00",
            b"\x03alt\x00",
        ];
        NOWHERE
            .iter()
            .any(|suffix| within(suffix))
            .then_some(Self::Nowhere)
    }
}

/// Whether `name` is the reverse of an address that means something only inside a home (RFC 6303
/// sections 4.2 to 4.6, RFC 7793).
fn is_private_reverse(name: NameRef<'_>) -> bool {
    // The labels before `in-addr.arpa` or `ip6.arpa`, nearest to the root first.
    let mut nearest = [&[][..]; 3];
    let count = name.label_count();
    for (place, from_end) in nearest.iter_mut().zip(3..) {
        let at = count.checked_sub(from_end);
        *place = at.and_then(|at| name.labels().nth(at)).unwrap_or_default();
    }
    let zone = count.checked_sub(2).and_then(|at| name.labels().nth(at));
    let number = |label: &[u8]| -> Option<u8> { std::str::from_utf8(label).ok()?.parse().ok() };
    match zone {
        Some(b"in-addr") => match (number(nearest[0]), number(nearest[1])) {
            (Some(0 | 10 | 127), _) | (Some(192), Some(168)) | (Some(169), Some(254)) => true,
            (Some(172), Some(second)) => (16..32).contains(&second),
            (Some(100), Some(second)) => (64..128).contains(&second),
            (Some(255), Some(255)) => true,
            _ => false,
        },
        Some(b"ip6") => match (nearest[0], nearest[1], nearest[2]) {
            // fc00::/7 and fe80::/10.
            ([b'f'], [b'c' | b'd'], _) | ([b'f'], [b'e'], [b'8' | b'9' | b'a' | b'b']) => true,
            // The loopback and the unspecified address, thirty-two labels each.
            ([b'0'], [b'0'], [b'0']) => {
                count == 34 && name.labels().take(32).skip(1).all(|label| label == b"0")
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::name::Name;

    #[test]
    fn special_names() {
        for (text, expected) in [
            ("localhost", Some(SpecialUse::Localhost)),
            ("a.localhost", Some(SpecialUse::Localhost)),
            ("notlocalhost", None),
            ("printer.local", Some(SpecialUse::Nowhere)),
            ("x.onion", Some(SpecialUse::Nowhere)),
            ("www.test", Some(SpecialUse::Nowhere)),
            ("invalid", Some(SpecialUse::Nowhere)),
            ("wallet.alt", Some(SpecialUse::Nowhere)),
            ("example.dental", None),
            ("example.amazon", None),
            ("example.org", None),
            ("_dns.resolver.arpa", Some(SpecialUse::NoData)),
            ("tablet.home.arpa", Some(SpecialUse::Nowhere)),
            ("ipv4only.arpa", None),
            ("1.1.168.192.in-addr.arpa", Some(SpecialUse::Nowhere)),
            ("168.192.in-addr.arpa", Some(SpecialUse::Nowhere)),
            ("10.in-addr.arpa", Some(SpecialUse::Nowhere)),
            ("1.1.32.172.in-addr.arpa", None),
            ("1.1.31.172.in-addr.arpa", Some(SpecialUse::Nowhere)),
            ("1.2.0.192.in-addr.arpa", None),
            ("d.f.ip6.arpa", Some(SpecialUse::Nowhere)),
            ("1.0.8.e.f.ip6.arpa", Some(SpecialUse::Nowhere)),
            ("1.0.0.2.ip6.arpa", None),
            ("in-addr.arpa", None),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!(SpecialUse::of(name.as_ref()), expected, "{text}");
        }
        let loopback = crate::name::NameBuf::reverse_of(Ipv6Addr::LOCALHOST.into());
        assert_eq!(SpecialUse::of(loopback.as_ref()), Some(SpecialUse::Nowhere));
        let public = crate::name::NameBuf::reverse_of("2001:db8::1".parse().unwrap());
        assert_eq!(SpecialUse::of(public.as_ref()), None);
    }
}
