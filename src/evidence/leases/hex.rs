//! Octets written as hexadecimal digits, and the MAC address inside a DUID.

use crate::device::lease::MAX_CLIENT_ID;
use crate::mac::Mac;

/// The octets of `00:01:2c` or of `00012c`; none if it is neither.
pub(super) fn octets(text: &str) -> Option<Vec<u8>> {
    let digit = |octet: u8| char::from(octet).to_digit(16);
    let pair = |pair: &[u8]| {
        let [high, low] = pair else {
            return None;
        };
        // Two digits are at most 255.
        Some((digit(*high)? * 16 + digit(*low)?) as u8)
    };
    if text.is_empty() {
        return None;
    }
    if text.contains(':') {
        text.split(':').map(|text| pair(text.as_bytes())).collect()
    } else {
        text.as_bytes().chunks(2).map(pair).collect()
    }
}

/// A client identifier as it is kept: not without end, and none that is empty.
pub(super) fn client_id(mut octets: Vec<u8>) -> Option<Box<[u8]>> {
    octets.truncate(MAX_CLIENT_ID);
    (!octets.is_empty()).then(|| octets.into())
}

/// The MAC address in a DUID that was made of one (RFC 8415 sections 11.2 and 11.4): `0 1`, hardware
/// type, time, address; or `0 3`, hardware type, address. Hardware type 1 is Ethernet.
pub(super) fn mac_in_duid(duid: &[u8]) -> Option<Mac> {
    match duid {
        [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => Mac::from_slice(mac),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_come_with_colons_or_without() {
        assert_eq!(octets("00:01:2c"), Some(vec![0, 1, 0x2c]));
        assert_eq!(octets("00012C"), Some(vec![0, 1, 0x2c]));
        for text in ["", "0", "001", "0g", "00:1", "00::01", "0é0", "+1"] {
            assert_eq!(octets(text), None, "{text}");
        }
    }

    #[test]
    fn a_mac_address_is_taken_from_a_duid_of_ethernet_only() {
        let mac = "02:00:5e:10:00:01".parse().unwrap();
        for (duid, expected) in [
            ("00010001aabbccdd02005e100001", Some(mac)),
            ("0003000102005e100001", Some(mac)),
            // InfiniBand, a number of the maker's own, a UUID, cut off, too long, a group's.
            ("0003002002005e100001", None),
            ("000200000009aabb", None),
            ("000400112233445566778899aabbccddeeff", None),
            ("0003000102005e1000", None),
            ("0003000102005e10000100", None),
            ("0003000103005e100001", None),
            ("00", None),
        ] {
            assert_eq!(mac_in_duid(&octets(duid).unwrap()), expected, "{duid}");
        }
    }

    #[test]
    fn a_client_identifier_is_cut() {
        assert_eq!(client_id(vec![]), None);
        assert_eq!(client_id(vec![7; 300]).unwrap().len(), MAX_CLIENT_ID);
    }
}
