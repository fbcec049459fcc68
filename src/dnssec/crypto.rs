//! Signatures and digests (RFC 8624, RFC 9904), by ring.

use ring::digest;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};

/// RSA keys that are checked: what every validator has to be able to (RFC 5702 section 2), and no more,
/// since the cost grows with the square of their length.
const RSA_OCTETS: std::ops::RangeInclusive<usize> = 128..=512;
/// The largest exponent; the usual one is 65,537, and some chose 4,294,967,297. Larger ones are legal
/// (RFC 3110 section 2), cost the more, and ring does not know them.
const LARGEST_EXPONENT: u64 = (1 << 33) - 1;

/// Whether signatures of this algorithm can be checked. A zone that has no others counts as unsigned
/// (RFC 4035 section 5.2).
pub(super) const fn knows_algorithm(algorithm: u8) -> bool {
    matches!(algorithm, 5 | 7 | 8 | 10 | 13 | 14 | 15)
}

/// Whether digests of this type can be made: SHA-1, SHA-256 and SHA-384.
pub(super) const fn knows_digest(kind: u8) -> bool {
    matches!(kind, 1 | 2 | 4)
}

/// Whether `signature` of `data` was made with `key`, in the form of a DNSKEY's public key.
pub(super) fn is_signed(algorithm: u8, key: &[u8], data: &[u8], signature: &[u8]) -> bool {
    match algorithm {
        5 | 7 => is_signed_by_rsa(
            &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            key,
            data,
            signature,
        ),
        8 => is_signed_by_rsa(
            &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            key,
            data,
            signature,
        ),
        10 => is_signed_by_rsa(
            &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            key,
            data,
            signature,
        ),
        // RFC 6605 section 4 leaves out the octet that says "uncompressed".
        13 | 14 => {
            let curve: &dyn signature::VerificationAlgorithm = match algorithm {
                13 => &signature::ECDSA_P256_SHA256_FIXED,
                _ => &signature::ECDSA_P384_SHA384_FIXED,
            };
            let mut point = Vec::with_capacity(1 + key.len());
            point.push(4);
            point.extend_from_slice(key);
            let key = UnparsedPublicKey::new(curve, point);
            key.verify(data, signature).is_ok()
        }
        15 => UnparsedPublicKey::new(&signature::ED25519, key)
            .verify(data, signature)
            .is_ok(),
        _ => false,
    }
}

fn is_signed_by_rsa(how: &RsaParameters, key: &[u8], data: &[u8], signature: &[u8]) -> bool {
    let Some((e, n)) = rsa_parts(key) else {
        return false;
    };
    let key = RsaPublicKeyComponents { n, e };
    key.verify(how, data, signature).is_ok()
}

/// Exponent and modulus, without zeroes in front (RFC 3110 section 2).
fn rsa_parts(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match key {
        [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => return None,
    };
    let (e, n) = rest.split_at_checked(length)?;
    let (e, n) = (without_zeroes(e), without_zeroes(n));
    let is_small = e.len() <= size_of::<u64>();
    let exponent = e
        .iter()
        .fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet));
    let is_checked =
        is_small && (1..=LARGEST_EXPONENT).contains(&exponent) && RSA_OCTETS.contains(&n.len());
    is_checked.then_some((e, n))
}

/// Whether signatures by `key` can be checked, as far as its size goes.
pub(super) fn knows_size(algorithm: u8, key: &[u8]) -> bool {
    !matches!(algorithm, 5 | 7 | 8 | 10) || rsa_parts(key).is_some()
}

fn without_zeroes(number: &[u8]) -> &[u8] {
    let zeroes = number.iter().take_while(|octet| **octet == 0).count();
    &number[zeroes..]
}

/// Whether `expected` is the digest of `parts`, one behind the other.
pub(super) fn is_digest(kind: u8, parts: &[&[u8]], expected: &[u8]) -> bool {
    let algorithm = match kind {
        1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        2 => &digest::SHA256,
        4 => &digest::SHA384,
        _ => return false,
    };
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref() == expected
}

/// The hash of a name for NSEC3 (RFC 5155 section 5).
pub(super) fn nsec3_hash(name: &[u8], salt: &[u8], iterations: u16) -> [u8; 20] {
    let round = |octets: &[u8]| {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(octets);
        context.update(salt);
        let mut hash = [0; 20];
        // SHA-1 has 20 octets.
        hash.copy_from_slice(context.finish().as_ref());
        hash
    };
    let mut hash = round(name);
    for _ in 0..iterations {
        hash = round(&hash);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hashed_as_in_rfc_5155_appendix_a() {
        // `example` and `a.example`, salt aabbccdd, 12 iterations.
        let salt = [0xaa, 0xbb, 0xcc, 0xdd];
        for (name, expected) in [
            (&b"\x07example\0"[..], "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            (b"\x01a\x07example\0", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
        ] {
            let expected = super::super::denial::from_base32hex(expected.as_bytes());
            assert_eq!(Some(nsec3_hash(name, &salt, 12)), expected);
        }
    }

    #[test]
    fn rsa_keys_out_of_bounds_are_not_tried() {
        let key = |e: &[u8], n: usize| {
            let mut key = vec![e.len() as u8];
            key.extend(e);
            key.extend(vec![0xff; n]);
            key
        };
        assert!(rsa_parts(&key(&[1, 0, 1], 256)).is_some());
        assert!(rsa_parts(&key(&[0, 1, 0, 1], 256)).is_some());
        assert!(rsa_parts(&key(&[1, 0, 0, 0, 1], 256)).is_some());
        assert!(rsa_parts(&key(&[1, 0xff, 0xff, 0xff, 0xff], 256)).is_some());
        for bad in [
            key(&[1, 0, 1], 64),
            key(&[1, 0, 1], 513),
            key(&[2, 0, 0, 0, 1], 256),
            key(&[1, 0, 0, 0, 0, 0, 0, 0, 1], 256),
            key(&[0], 256),
            vec![],
            vec![0],
            vec![200, 1],
        ] {
            assert_eq!(rsa_parts(&bad), None);
            assert!(!is_signed(8, &bad, b"data", b"signature"));
        }
    }
}
