//! The cryptography under every TLS connection and QUIC connection, on both sides.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// The one provider that is linked in; nothing is installed for the whole process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
