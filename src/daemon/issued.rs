//! Certificates that a public authority issued, asked for in the background.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::warn;

use super::encrypted::{FOLDER, LOOK_EVERY, name_of};
use super::household::Daemon;
use super::updates::UpstreamResolve;
use crate::certificate::acme::{AcmeSettings, Keeper, Method, Turn};
use crate::config::{AcmeChallenge, Config};
use crate::files::Files;
use crate::update::Resolve;
use crate::wall::Wall;

/// Where what an authority issued for `name` stands, if it can be served.
pub(super) fn had(
    config: &Config,
    name: &str,
    files: &Files,
    wall: Wall,
) -> Option<(PathBuf, PathBuf)> {
    let settings = settings(config, name)?;
    let is_of_use = settings.is_of_use(files, wall.time());
    is_of_use.then(|| settings.files())
}

/// What `config` wants of an authority.
fn settings(config: &Config, name: &str) -> Option<AcmeSettings> {
    let acme = config.acme.as_ref()?;
    Some(AcmeSettings {
        name: name.to_owned(),
        directory: acme.directory.clone(),
        email: acme.email.clone(),
        method: match &acme.challenge {
            AcmeChallenge::Http(address) => Method::Http(*address),
            AcmeChallenge::Tls => Method::TlsAlpn,
            AcmeChallenge::Dns(hook) => Method::Dns(hook.clone()),
        },
        ca: acme.ca.clone(),
        folder: config.list_store.folder.join(FOLDER),
    })
}

/// Asks the authority for a certificate whenever one is due, until it is told to end.
pub(super) async fn keep(daemon: Arc<Daemon>, stopped: watch::Receiver<bool>) {
    let end = super::wait_for(stopped.clone());
    tokio::pin!(end);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let names = UpstreamResolve::new(Arc::clone(&daemon.resolver), Handle::current());
    let names: Arc<dyn Resolve> = Arc::new(names);
    let new_keeper = || Keeper::new(Arc::clone(&names), daemon.clock.clone());
    let mut keeper = new_keeper();
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = &mut end => return,
        }
        // Beside the threads that keep the time and answer: a disk may hang.
        let (daemon, stopped) = (Arc::clone(&daemon), stopped.clone());
        let looking =
            tokio::task::spawn_blocking(move || daemon.look_after_issued(keeper, stopped));
        // A panic there was told by the runtime; it is asked again when the disk says.
        keeper = looking.await.unwrap_or_else(|_| new_keeper());
    }
}

impl Daemon {
    /// One look at what an authority issued. Takes as long as it takes.
    fn look_after_issued(&self, mut keeper: Keeper, mut stopped: watch::Receiver<bool>) -> Keeper {
        let config = Arc::clone(&self.resolver.snapshot().config);
        let certificates = &self.certificates;
        let Some(settings) = name_of(&config).and_then(|name| settings(&config, &name)) else {
            certificates.note_refusal(None);
            return keeper;
        };
        // Without a clock nothing can be said of validity, on either side.
        let Some(now) = self.families.look().wall.time() else {
            return keeper;
        };
        let turn = keeper.turn(&settings, certificates, now, &mut stopped);
        match Handle::current().block_on(turn) {
            Turn::Fine => certificates.note_refusal(None),
            Turn::Rest | Turn::Stopped => {}
            Turn::Waiting(why) => certificates.note_refusal(Some(why)),
            Turn::Issued => {
                certificates.note_refusal(None);
                self.tend_certificate();
            }
            Turn::Failed { error, pause } => {
                let again = pause.as_secs() / 60;
                warn!(%error, minutes_until_next = again, "no certificate from the authority");
                certificates.note_refusal(Some(error.to_string()));
            }
        }
        keeper
    }
}
