//! Certificates from files that somebody else renews.

use std::path::Path;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{CertificateError, MAX_FILE};
use crate::files::{Files, Stamp};

/// What the files were when they were last read, right or wrong.
#[derive(Debug, Default)]
pub(super) struct Watched {
    stamps: Option<[Option<Stamp>; 2]>,
}

impl Watched {
    /// Whether one of them is another than at the last look.
    pub(super) fn changed(&mut self, files: &Files, chain: &Path, key: &Path) -> bool {
        let now = Some([files.stamp(chain), files.stamp(key)]);
        std::mem::replace(&mut self.stamps, now) != now
    }
}

/// The certificates in `chain`, the server's first, with their `key`. Both in PEM.
///
/// # Errors
/// Which file is wrong, and how.
pub(super) fn read(
    files: &Files,
    chain: &Path,
    key: &Path,
) -> Result<CertifiedKey, CertificateError> {
    let certificates = chain_of(chain, &files.read(chain, MAX_FILE)?)?;
    let content = files.read(key, MAX_FILE)?;
    let private = PrivateKeyDer::from_pem_slice(&content).map_err(|_| {
        let what = "it holds no private key (`-----BEGIN PRIVATE KEY-----`)";
        broken(key, what.to_owned())
    })?;
    CertifiedKey::from_der(certificates, private, &ring::default_provider()).map_err(|error| {
        let what = match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("it is not the key of `{}`", chain.display())
            }
            error => error.to_string(),
        };
        broken(key, what)
    })
}

/// The certificates in `content`, which stands or will stand at `path`.
fn chain_of(path: &Path, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let certificates = CertificateDer::pem_slice_iter(content)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| broken(path, error.to_string()))?;
    if certificates.is_empty() {
        let what = "it holds no certificate (`-----BEGIN CERTIFICATE-----`)";
        return Err(broken(path, what.to_owned()));
    }
    Ok(certificates)
}

/// The certificates in `content`, which are to stand at `path`, with `key`.
///
/// # Errors
/// They are not of that key.
#[cfg(feature = "acme")]
pub(super) fn parse(
    path: &Path,
    content: &[u8],
    key: &rcgen::KeyPair,
) -> Result<CertifiedKey, CertificateError> {
    let private = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|what| CertificateError::Make(what.to_owned()))?;
    let certificates = chain_of(path, content)?;
    CertifiedKey::from_der(certificates, private, &ring::default_provider())
        .map_err(|error| broken(path, error.to_string()))
}

fn broken(path: &Path, what: String) -> CertificateError {
    CertificateError::Broken {
        path: path.to_path_buf(),
        what,
    }
}
