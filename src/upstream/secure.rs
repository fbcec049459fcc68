//! TLS as the encrypted transports use it: whom we believe, and who a server says it is.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use crate::clock::Clock;
use crate::config::{Authorities, AuthorityFile, Host, UpstreamServer};
use crate::files::Files;
use crate::trust;

/// What all encrypted connections have in common.
#[derive(Debug)]
pub(super) struct Secure(ClientConfig);

/// Whom a connection is to lead to.
#[derive(Clone)]
pub(super) struct Identity {
    /// The protocols we offer, and the sessions to resume: those of one server.
    pub(super) config: Arc<ClientConfig>,
    /// What its certificate has to be for.
    pub(super) name: ServerName<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.name).finish()
    }
}

impl Secure {
    /// Believes `authorities`. A file that can no longer be read as it was when the configuration
    /// was is left out, and said.
    pub(super) fn new(authorities: &Authorities, clock: &Clock) -> Option<Self> {
        let mut roots = if authorities.built_in {
            trust::built_in()
        } else {
            RootCertStore::empty()
        };
        for AuthorityFile { path, .. } in &authorities.files {
            let content = Files::disk()
                .read(path, AuthorityFile::MAX_BYTES)
                .map_err(|error| error.to_string());
            match content {
                Ok(pem) => {
                    let (read, skipped) = trust::add_good(&mut roots, &pem);
                    if skipped > 0 {
                        tracing::warn!(
                            file = %path.display(), read, skipped,
                            "some authorities cannot be read",
                        );
                    }
                }
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "authorities cannot be read");
                }
            }
        }
        match trust::client_config(roots, clock) {
            Ok(config) => Some(Self(config)),
            Err(error) => {
                tracing::error!(%error, "no certificate of an upstream can be believed");
                None
            }
        }
    }

    /// Whom `server` has to be, with the application protocol `alpn` spoken to it. Sessions are
    /// resumed; nothing is sent before the handshake ends (no 0-RTT), since it could be replayed.
    pub(super) fn identity(&self, server: &UpstreamServer, alpn: &[u8]) -> Option<Identity> {
        /// Sessions that are kept for a server.
        const SESSIONS: usize = 8;
        let mut config = self.0.clone();
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let name = match (&server.tls_name, &server.host) {
            (Some(name), _) | (None, Host::Name { name, .. }) => {
                // The configuration takes no other names.
                ServerName::try_from(name.clone()).ok()?
            }
            (None, Host::Addresses(addresses)) => {
                ServerName::IpAddress(addresses.first()?.ip().into())
            }
        };
        Some(Identity {
            config: Arc::new(config),
            name,
        })
    }
}
