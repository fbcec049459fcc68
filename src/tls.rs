//! What all TLS here has in common: where its cryptography comes from, and how a certificate is read.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::config::CertificateFiles;
use crate::files::{FileError, Files};

/// The cryptography: ring, whose suites all have forward secrecy and authenticated encryption.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// What stands in a file is no PEM of what should be there.
    #[error("{file}: {reason}")]
    Pem {
        /// Which.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of a kind we cannot use.
    #[error("{file}: {reason}")]
    Key {
        /// The key's file.
        file: String,
        /// What is wrong with it.
        reason: rustls::Error,
    },
}

/// The most of a certificate's or a key's file, in octets.
const MAX_PEM: u64 = 1 << 20;

/// The certificate that these files hold, as it is now.
///
/// # Errors
/// [`CertificateError`].
pub fn read_certificate(
    files: &Files,
    from: &CertificateFiles,
) -> Result<Arc<dyn ResolvesServerCert>, CertificateError> {
    let file = from.certificate.display().to_string();
    let pem = files.read(&from.certificate, MAX_PEM)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => {
            let reason = "holds no certificate".to_owned();
            return Err(CertificateError::Pem { file, reason });
        }
        Err(error) => {
            let reason = error.to_string();
            return Err(CertificateError::Pem { file, reason });
        }
    };
    let file = from.key.display().to_string();
    let pem = files.read(&from.key, MAX_PEM)?;
    let key = match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => key,
        Err(error) => {
            let reason = format!("holds no private key: {error}");
            return Err(CertificateError::Pem { file, reason });
        }
    };
    let certified = CertifiedKey::from_der(chain, key, &provider())
        .map_err(|reason| CertificateError::Key { file, reason })?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}
