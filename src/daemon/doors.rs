//! The thread of encrypted DNS: its sockets, its certificate, its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::server::ResolvesServerCert;
use tokio::sync::watch;
use tracing::error;

use super::{ServeError, give_last_answers, wait_for};
use crate::config::Config;
use crate::control::api;
use crate::files::Files;
use crate::listener::certificate::read_certificate;
use crate::listener::encrypted::{self, Door};
use crate::resolve::Resolver;

/// Sockets that are bound, before there is a certificate for them.
pub(super) struct Bound(Vec<Door>);

/// Encrypted DNS, ready to be served.
pub(super) struct Doors {
    doors: Vec<Door>,
    certificate: Arc<dyn ResolvesServerCert>,
}

impl Doors {
    /// Binds what the configuration asks for, while we may.
    pub(super) fn bind(config: &Config) -> Result<Bound, ServeError> {
        Ok(Bound(encrypted::bind(&config.encrypted)?))
    }

    /// As they are shown.
    pub(super) fn texts(&self) -> impl Iterator<Item = api::Listener> {
        self.doors.iter().map(|door| api::Listener {
            address: door.address.to_string(),
            transport: door.transport.label().to_owned(),
            name: None,
        })
    }

    /// Starts the thread; gives it with its pulse.
    pub(super) fn start(
        self,
        resolver: &Arc<Resolver>,
        stopped: &watch::Receiver<bool>,
    ) -> io::Result<(JoinHandle<()>, Arc<AtomicU64>)> {
        let pulse = Arc::new(AtomicU64::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (resolver, stopped) = (Arc::clone(resolver), stopped.clone());
        let running = self.run(resolver, stopped, Arc::clone(&pulse));
        let thread = std::thread::Builder::new()
            .name("encrypted".to_owned())
            .spawn(move || runtime.block_on(running))?;
        Ok((thread, pulse))
    }

    async fn run(
        self,
        resolver: Arc<Resolver>,
        stopped: watch::Receiver<bool>,
        pulse: Arc<AtomicU64>,
    ) {
        let mut serving = tokio::spawn(encrypted::serve(
            self.doors,
            self.certificate,
            Arc::clone(&resolver),
        ));
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        let mut stopped = std::pin::pin!(wait_for(stopped));
        let mut is_serving = true;
        loop {
            tokio::select! {
                () = &mut stopped => break,
                _ = beat.tick() => {
                    pulse.fetch_add(1, Ordering::Relaxed);
                }
                ended = &mut serving, if is_serving => {
                    is_serving = false;
                    error!(?ended, "encrypted DNS is no longer answered");
                }
            }
        }
        serving.abort();
        give_last_answers(&resolver).await;
    }
}

impl Bound {
    /// Puts a certificate to the sockets. Without one there is no encrypted DNS, which is told: the
    /// family's DNS in the clear matters more.
    pub(super) fn with_certificate(
        self,
        config: &Config,
        files: &Files,
        warnings: &mut Vec<String>,
    ) -> Option<Doors> {
        if self.0.is_empty() {
            return None;
        }
        let Some(from) = &config.encrypted.certificate else {
            warnings
                .push("`[encrypted]` without `certificate`: nothing of it is served".to_owned());
            return None;
        };
        match read_certificate(files, from) {
            Ok(certificate) => Some(Doors {
                doors: self.0,
                certificate,
            }),
            Err(error) => {
                warnings.push(format!("no encrypted DNS: {error}"));
                None
            }
        }
    }
}
