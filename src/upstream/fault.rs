//! Why one attempt at one server brought nothing, as the transports say it.

use std::io;
use std::sync::Arc;

/// Why a transport brought no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// What the system said.
    Io(io::ErrorKind),
    /// What is wrong with the server, in words: its certificate, its HTTP, its QUIC.
    Said(Arc<str>),
}

impl Fault {
    /// In words.
    pub(super) fn said(what: impl Into<Arc<str>>) -> Self {
        Self::Said(what.into())
    }

    /// The connection ended before the reply came.
    pub(super) const HUNG_UP: Self = Self::Io(io::ErrorKind::ConnectionAborted);
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(tls) => Self::said(crate::trust::explain(tls)),
            None => Self::Io(error.kind()),
        }
    }
}
