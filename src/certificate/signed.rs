//! Signed files: a content with a signature and the certificates to check it, in one (CMS, RFC 5652).
//!
//! This is how Apple's devices take a configuration profile whose writer they are to show. What is
//! written here is the little of the standard that this takes: one signer, known by its certificate's
//! issuer and number, and the content inside.

use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256, Sha384};

use super::validity::{INTEGER, Reader, SEQUENCE, VERSION};

const OCTETS: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const SET: u8 = 0x31;
/// `[0]`, with something in it.
const FIRST: u8 = 0xa0;

/// `id-data` and `id-signedData` (RFC 5652 sections 4 and 5.1).
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// The attributes that say what was signed (RFC 5652 sections 11.1 and 11.2).
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// RFC 5754 section 2.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
/// RFC 5754 section 3.
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];

/// The ways of signing that Apple's devices take and our keys may have.
const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// `content`, signed with `key` and with its chain beside it; none with a key of another kind.
pub(super) fn sign(content: &[u8], key: &CertifiedKey) -> Option<Vec<u8>> {
    let signer = key.key.choose_scheme(&SCHEMES)?;
    let is_384 = signer.scheme() == SignatureScheme::ECDSA_NISTP384_SHA384;
    let (digest, digest_name) = match is_384 {
        true => (Sha384::digest(content).to_vec(), SHA384),
        false => (Sha256::digest(content).to_vec(), SHA256),
    };
    let signature_name = match signer.scheme() {
        SignatureScheme::ECDSA_NISTP256_SHA256 => algorithm(ECDSA_SHA256, false),
        SignatureScheme::ECDSA_NISTP384_SHA384 => algorithm(ECDSA_SHA384, false),
        _ => algorithm(RSA, true),
    };
    let attributes = sorted(vec![
        attribute(CONTENT_TYPE, &element(OID, &[DATA])),
        attribute(MESSAGE_DIGEST, &element(OCTETS, &[&digest])),
    ]);
    // As a set, though they stand in `[0]` (RFC 5652 section 5.4).
    let signature = signer.sign(&element(SET, &[&attributes])).ok()?;
    let digest_name = algorithm(digest_name, false);
    let one = element(INTEGER, &[&[1]]);
    let signed_by = element(
        SEQUENCE,
        &[
            &one,
            &issuer_and_number(key.cert.first()?)?,
            &digest_name,
            &element(FIRST, &[&attributes]),
            &signature_name,
            &element(OCTETS, &[&signature]),
        ],
    );
    let inside = element(FIRST, &[&element(OCTETS, &[content])]);
    let inside = element(SEQUENCE, &[&element(OID, &[DATA]), &inside]);
    let chain = sorted(key.cert.iter().map(|it| it.to_vec()).collect());
    let signed = element(
        SEQUENCE,
        &[
            &one,
            &element(SET, &[&digest_name]),
            &inside,
            &element(FIRST, &[&chain]),
            &element(SET, &[&signed_by]),
        ],
    );
    let signed = element(FIRST, &[&signed]);
    Some(element(SEQUENCE, &[&element(OID, &[SIGNED_DATA]), &signed]))
}

/// Who issued `certificate`, and its number.
fn issuer_and_number(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let mut outer = Reader(certificate);
    let mut certificate = Reader(outer.expect(SEQUENCE)?);
    let mut body = Reader(certificate.expect(SEQUENCE)?);
    if body.0.first() == Some(&VERSION) {
        body.expect(VERSION)?;
    }
    let number = body.expect(INTEGER)?;
    body.expect(SEQUENCE)?;
    let issuer = body.expect(SEQUENCE)?;
    let parts = [element(SEQUENCE, &[issuer]), element(INTEGER, &[number])];
    Some(element(SEQUENCE, &[&parts[0], &parts[1]]))
}

fn algorithm(name: &[u8], has_null: bool) -> Vec<u8> {
    let null: &[u8] = if has_null { &[NULL, 0] } else { &[] };
    element(SEQUENCE, &[&element(OID, &[name]), null])
}

fn attribute(name: &[u8], value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(OID, &[name]), &element(SET, &[value])])
}

/// The elements of a set, in the order that DER wants (X.690 section 11.6).
fn sorted(mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    elements.concat()
}

/// An element of DER, made of `parts`.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|it| it.len()).sum();
    let octets = length.to_be_bytes();
    let octets =
        &octets[octets.len() - (usize::BITS - length.leading_zeros()).div_ceil(8) as usize..];
    let mut whole = vec![tag];
    match length {
        0..0x80 => whole.push(length as u8),
        _ => {
            whole.push(0x80 | octets.len() as u8);
            whole.extend_from_slice(octets);
        }
    }
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Output};

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    const CONTENT: &[u8] = b"<plist>\n\xc3\xa9</plist>\n";

    /// None, with a message, where there is no OpenSSL.
    fn openssl(folder: &Path, arguments: &[&str]) -> Option<Output> {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(folder)
            .output();
        if output.is_err() {
            eprintln!("skipped: no openssl");
        }
        output.ok()
    }

    fn key_in(folder: &Path) -> CertifiedKey {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap();
        let chain = CertificateDer::pem_slice_iter(&read("cert.pem")).collect::<Result<_, _>>();
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(chain.unwrap(), key, &provider).unwrap()
    }

    #[test]
    fn openssl_finds_the_signature_right_and_a_changed_content_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for key in [
            &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
            &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
            &["rsa:2048"],
        ] {
            let make = ["req", "-x509", "-nodes", "-subj", "/CN=dns.home.example"];
            let files = ["-keyout", "key.pem", "-out", "cert.pem", "-newkey"];
            let Some(made) = openssl(folder, &[&make[..], &files, key].concat()) else {
                return;
            };
            assert!(made.status.success(), "{made:?}");
            let signed = sign(CONTENT, &key_in(folder)).unwrap();
            let verify = |octets: &[u8], command: &str| {
                std::fs::write(folder.join("signed"), octets).unwrap();
                let verify = [
                    command, "-verify", "-binary", "-inform", "DER", "-in", "signed",
                ];
                let trust = ["-CAfile", "cert.pem", "-purpose", "any"];
                openssl(folder, &[&verify[..], &trust].concat()).unwrap()
            };
            for command in ["cms", "smime"] {
                let right = verify(&signed, command);
                assert!(right.status.success(), "{key:?} {command}: {right:?}");
                assert_eq!(right.stdout, CONTENT);
            }
            let at = signed.windows(8).position(|it| it == b"</plist>").unwrap();
            let mut changed = signed;
            changed[at + 2] ^= 1;
            assert!(!verify(&changed, "cms").status.success(), "{key:?}");
        }
    }

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        for (length, head) in [
            (0, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (255, &[4, 0x81, 255]),
            (256, &[4, 0x82, 1, 0]),
            (65_536, &[4, 0x83, 1, 0, 0]),
        ] {
            let whole = element(OCTETS, &[&vec![7; length]]);
            assert_eq!(
                (&whole[..head.len()], whole.len()),
                (head, head.len() + length)
            );
        }
    }
}
