//! The cryptography under every TLS and QUIC connection, on both sides.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};

/// The one provider that is linked in: ring, whose suites all have forward secrecy and authenticated
/// encryption. Nothing is installed for the whole process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}
