//! Texts that certificates are carried in: base64 (RFC 4648 section 4), PEM (RFC 7468), fingerprints.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters in a line of PEM (RFC 7468 section 2).
const LINE: usize = 64;

/// `bytes` in base64, with padding and without line ends.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let octet = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for place in 0..4 {
            let is_padding = place > group.len();
            let value = (bits >> (18 - 6 * place)) & 0x3f;
            text.push(match is_padding {
                true => '=',
                false => char::from(ALPHABET[value as usize]),
            });
        }
    }
    text
}

/// The octets of `text` in base64, as [`base64`] writes it; none if it is not that.
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let value = ALPHABET.iter().position(|it| it == digit)?;
            bits = bits << 6 | value as u32;
        }
        let octets = group.len() * 6 / 8;
        let whole = bits << (32 - 6 * group.len());
        bytes.extend_from_slice(&whole.to_be_bytes()[..octets]);
    }
    (base64(&bytes) == text).then_some(bytes)
}

/// `der` as PEM with `label`, as in `CERTIFICATE`.
pub fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let body = base64(der);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// The SHA-256 of a certificate as devices show it: pairs of hexadecimal digits with colons.
pub fn fingerprint(der: &[u8]) -> String {
    let pairs: Vec<String> = Sha256::digest(der)
        .iter()
        .map(|octet| format!("{octet:02X}"))
        .collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn base64_as_in_rfc4648_section_10() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(unbase64(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
        for wrong in ["Z", "Zg", "Zh==", "Zm9 ", "Zm9v=", "Zm9vY==="] {
            assert_eq!(unbase64(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pem_can_be_read_again() {
        for length in [1, 47, 48, 49, 300] {
            let der: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let text = pem("CERTIFICATE", &der);
            assert!(text.lines().all(|line| line.len() <= 64), "{text}");
            let read = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
            assert_eq!(read.as_ref(), der);
        }
    }
}
