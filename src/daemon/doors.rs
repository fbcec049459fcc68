//! The thread of encrypted DNS: its sockets, its certificate, its end.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;
use tracing::error;

use super::household::Daemon;
use super::pulse::Pulse;
use super::{ServeError, give_last_answers, wait_for};
use crate::certificate::Certificates;
use crate::config::{self, Config};
use crate::control::api;
use crate::journal::Transport;
use crate::listener::Pages;
use crate::listener::encrypted::{self, Closed, Door};

/// Sockets that are bound, before there is a certificate for them.
pub(super) struct Bound(Vec<Door>);

/// Encrypted DNS, ready to be served.
pub(super) struct Doors {
    doors: Vec<Door>,
    certificates: Arc<Certificates>,
    closed: Arc<Closed>,
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

    /// Those that are closed at the moment, as they come and go.
    pub(super) fn closed(&self) -> Arc<Closed> {
        Arc::clone(&self.closed)
    }

    /// Starts the thread.
    pub(super) fn start(
        self,
        daemon: &Arc<Daemon>,
        stopped: &watch::Receiver<bool>,
        pulse: Pulse,
    ) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (daemon, stopped) = (Arc::clone(daemon), stopped.clone());
        let running = self.run(daemon, stopped, pulse);
        let thread = std::thread::Builder::new()
            .name("encrypted".to_owned())
            .spawn(move || runtime.block_on(running))?;
        Ok(thread)
    }

    async fn run(self, daemon: Arc<Daemon>, stopped: watch::Receiver<bool>, mut pulse: Pulse) {
        let mut serving = tokio::spawn(encrypted::serve(
            self.doors,
            self.certificates,
            Arc::clone(&daemon) as Arc<dyn Pages>,
            Arc::clone(&daemon.resolver),
            self.closed,
        ));
        let mut stopped = std::pin::pin!(wait_for(stopped));
        let mut is_serving = true;
        loop {
            tokio::select! {
                () = &mut stopped => break,
                () = pulse.answer() => {}
                ended = &mut serving, if is_serving => {
                    is_serving = false;
                    error!(?ended, "encrypted DNS is no longer answered");
                }
            }
        }
        serving.abort();
        give_last_answers(&daemon.resolver).await;
    }
}

impl Bound {
    /// Puts a certificate to the sockets; none if there are none.
    pub(super) fn with_certificate(self, certificates: &Arc<Certificates>) -> Option<Doors> {
        (!self.0.is_empty()).then(|| Doors {
            doors: self.0,
            certificates: Arc::clone(certificates),
            closed: Arc::default(),
        })
    }

    /// What `config` serves encrypted, with the ports that the system chose.
    pub(super) fn encrypted(&self, config: &config::Encrypted) -> config::Encrypted {
        let of = |transport| {
            let doors = self.0.iter().filter(|door| door.transport == transport);
            doors.map(|door| door.address).collect()
        };
        config::Encrypted {
            dot: of(Transport::Dot),
            doh: of(Transport::Doh),
            doq: of(Transport::Doq),
            ..config.clone()
        }
    }
}

impl Pages for Daemon {
    fn page(&self, path: &str) -> Option<(&'static str, Vec<u8>)> {
        self.encrypted_page(path)
    }
}
