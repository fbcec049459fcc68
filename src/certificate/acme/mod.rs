//! Certificates from a public authority, by ACME (RFC 8555).
//!
//! [`Keeper`] asks for one when it is time ([`obtain`]) and puts it beside the household's authority in
//! the state folder, where it is followed like files of somebody else: nothing is in force before it is
//! whole on the disk. Until then, and whenever it cannot be had, the last one goes on, or the
//! household's own.
//!
//! The authority wants to see that the name is ours, in one of three ways: a page on port 80
//! ([`challenge::Pages`]), a certificate shown on port 443 to who asks for `acme-tls/1` (RFC 8737), or
//! a record in the name's zone, which a program of the admin's has to put there
//! ([`challenge::run_hook`]). Only the last one gives a certificate for names with a device's id.
//!
//! Authorities count orders. So what can fail at home is tried before one is made, the key is on the disk
//! before as well, and the order's URL right afterwards: an attempt that was cut off, by the daemon's end
//! or a disk that is full, goes on with the same order.

mod account;
mod challenge;
mod http;
mod keeper;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, ChallengeStatus, ChallengeType, Identifier, Order, OrderStatus,
    RetryPolicy,
};

pub use self::keeper::{Keeper, Turn, pause_after};

use self::challenge::Pages;
use self::keeper::Diary;
use super::{Certificates, Validity, own};
use crate::certificate::CertificateError;
use crate::clock::{Clock, Timestamp};
use crate::files::{FileError, Files};
use crate::update::Resolve;

/// How long the authority may take to look, and to issue.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most octets of what an authority says that are repeated.
const MAX_REASON: usize = 500;
/// Octets that must fit on the disk before anything is asked for: more than a chain has.
const ROOM: usize = 16 * 1024;

/// What is to be had, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// The server's name.
    pub name: String,
    /// Where the authority is.
    pub directory: String,
    /// Where it may write to, as in `mailto:` without that word.
    pub email: Option<String>,
    /// How we show that the name is ours.
    pub method: Method,
    /// Authorities to trust for [`Self::directory`] besides the usual ones.
    pub ca: Option<PathBuf>,
    /// Where certificates are kept.
    pub folder: PathBuf,
}

/// How we show that a name is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// By a page (RFC 8555 section 8.3), shown at this address while it is looked for.
    Http(SocketAddr),
    /// By a certificate on port 443 (RFC 8737).
    TlsAlpn,
    /// By a record that a program writes (RFC 8555 section 8.4).
    Dns(PathBuf),
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The authority or the way there.
    #[error("{0}")]
    Server(String),
    /// It looked, and was not convinced.
    #[error("the authority does not find that the name is ours: {0}")]
    Refused(String),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file or a certificate of our own.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The page cannot be shown.
    #[error("cannot listen on {address} to show the page: {why}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// It is none that could be served: as before it is due.
    #[error(
        "what the authority issued is too old already or for other names; is the clock of this \
         machine right?"
    )]
    Unsuitable,
    /// The daemon ends.
    #[error("the daemon ends")]
    Stopped,
    /// The program of the admin's failed.
    #[error("the hook {}: {why}", path.display())]
    Hook {
        /// The program.
        path: PathBuf,
        /// What happened.
        why: String,
    },
}

impl From<instant_acme::Error> for AcmeError {
    fn from(error: instant_acme::Error) -> Self {
        Self::Server(plain(&error.to_string()))
    }
}

/// As much of `text`, which comes from elsewhere, as can be shown on a terminal.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|it| !it.is_control());
    shown.take(MAX_REASON).collect()
}

impl From<rcgen::Error> for AcmeError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.into())
    }
}

impl AcmeSettings {
    /// Where everything about the name stands.
    fn place(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Where chain and key stand.
    pub fn files(&self) -> (PathBuf, PathBuf) {
        let place = self.place();
        (place.join("acme.pem"), place.join("acme.key"))
    }

    /// The names the certificate is to hold for.
    fn names(&self) -> Vec<String> {
        let mut names = vec![self.name.clone()];
        if matches!(self.method, Method::Dns(_)) {
            names.push(format!("*.{}", self.name));
        }
        names
    }

    /// What is asked for, in a form that stays the same from release to release: it is compared with
    /// what was asked for before a restart.
    fn asked(&self) -> String {
        let (challenge, by) = match &self.method {
            Method::Http(address) => ("http", address.to_string()),
            Method::TlsAlpn => ("tls", String::new()),
            Method::Dns(hook) => ("dns", hook.display().to_string()),
        };
        let asked = serde_json::json!({
            "by": by,
            "ca": self.ca.as_ref().map(|it| it.display().to_string()),
            "challenge": challenge,
            "directory": self.directory,
            "email": self.email,
            "name": self.name,
        });
        asked.to_string()
    }

    /// Whether what was issued can be served at `now`, if that is known: it can be read, and is not
    /// over.
    pub fn is_of_use(&self, files: &Files, now: Option<Timestamp>) -> bool {
        let (chain, key) = self.files();
        let Ok(pair) = own::read(files, &chain, &key) else {
            return false;
        };
        let validity = pair.cert.first().and_then(|it| Validity::of(it));
        validity.is_some_and(|it| now.is_none_or(|now| now < it.not_after))
    }

    /// Whether one has to be had at `now`: there is none, less than a third of its time is left, or it
    /// is for other names.
    pub fn is_due(&self, files: &Files, now: Timestamp) -> bool {
        let (chain, key) = self.files();
        let Ok(pair) = own::read(files, &chain, &key) else {
            return true;
        };
        let validity = pair.cert.first().and_then(|it| Validity::of(it));
        let is_old = validity.is_none_or(|it| now >= it.two_thirds());
        let covers = |name: String| super::covers(&pair, &name.replacen('*', "id", 1));
        is_old || !self.names().into_iter().all(covers)
    }
}

/// Asks for a certificate and puts it where [`AcmeSettings::files`] says. `certificates` shows what is
/// to be shown meanwhile; `names` says where the authority is; `diary` remembers what has to be taken
/// away afterwards, whatever came of it.
///
/// # Errors
/// Why there is none; what was there before still is.
async fn obtain(
    settings: &AcmeSettings,
    certificates: &Certificates,
    names: Arc<dyn Resolve>,
    clock: &Clock,
    diary: &mut Diary,
) -> Result<(), AcmeError> {
    let files = &certificates.files;
    let (_, key_path) = settings.files();
    let key = match super::authority::read_key(files, &key_path) {
        Ok(key) => key,
        Err(CertificateError::File(error)) if error.is_missing() => {
            super::authority::new_key(files, &key_path)?
        }
        Err(error) => return Err(error.into()),
    };
    // What is issued and cannot be kept counts all the same.
    let room = settings.place().join("acme.room");
    files.replace(&room, &[b' '; ROOM])?;
    files.remove(&room)?;

    // Likewise an order for which nothing can be shown.
    let pages = match &settings.method {
        Method::Http(address) => Some(Pages::show(*address).await?),
        Method::TlsAlpn | Method::Dns(_) => None,
    };
    let ordered = order(
        settings,
        certificates,
        names,
        clock,
        diary,
        pages.as_ref(),
        &key,
    )
    .await;
    if let Some(pages) = pages {
        pages.close().await;
    }
    ordered
}

/// Orders the certificate for `key`, or goes on with what was ordered, and shows on `pages` what is to
/// be shown there.
async fn order(
    settings: &AcmeSettings,
    certificates: &Certificates,
    names: Arc<dyn Resolve>,
    clock: &Clock,
    diary: &mut Diary,
    pages: Option<&Pages>,
    key: &rcgen::KeyPair,
) -> Result<(), AcmeError> {
    let files = &certificates.files;
    let (chain_path, _) = settings.files();
    let identifiers: Vec<_> = settings.names().into_iter().map(Identifier::Dns).collect();
    loop {
        let begun = diary.order();
        let names = Arc::clone(&names);
        let order = account::order(settings, files, names, clock, &identifiers, begun);
        let (mut order, is_new) = order.await?;
        if is_new {
            diary.keep_order(order.url())?;
        }
        if order.state().status == OrderStatus::Pending {
            answer(settings, certificates, &mut order, pages, diary).await?;
            wait_until_ready(&mut order).await?;
        }
        if order.state().status == OrderStatus::Ready {
            let params = rcgen::CertificateParams::new(settings.names())?;
            let request = params.serialize_request(key)?;
            order.finalize_csr(request.der()).await?;
        }
        let chain = order.poll_certificate(&patience()).await?;
        let is_old = match look_at(settings, &chain, key) {
            Ok(validity) => validity.is_none_or(|it| clock.wall() >= it.two_thirds()),
            Err(error) => {
                diary.forget_order();
                return Err(error);
            }
        };
        if is_old && !is_new {
            // It has lain there for too long.
            diary.forget_order();
            continue;
        }
        files.replace(&chain_path, chain.as_bytes())?;
        diary.forget_order();
        return Ok(());
    }
}

/// How long `chain`, which was issued, can be served with `key`.
///
/// # Errors
/// It is for another key or other names.
fn look_at(
    settings: &AcmeSettings,
    chain: &str,
    key: &rcgen::KeyPair,
) -> Result<Option<Validity>, AcmeError> {
    let (path, _) = settings.files();
    let issued = own::parse(&path, chain.as_bytes(), key)?;
    for name in settings.names() {
        if !super::covers(&issued, &name.replacen('*', "id", 1)) {
            let why = format!("what it issued does not hold for `{name}`");
            return Err(AcmeError::Server(why));
        }
    }
    Ok(issued.cert.first().and_then(|it| Validity::of(it)))
}

const fn patience() -> RetryPolicy {
    RetryPolicy::new()
        .initial_delay(Duration::from_millis(500))
        .backoff(1.5)
        .timeout(PATIENCE)
}

/// Shows what each name of `order` asks for, and says that it is there.
async fn answer(
    settings: &AcmeSettings,
    certificates: &Certificates,
    order: &mut Order,
    pages: Option<&Pages>,
    diary: &mut Diary,
) -> Result<(), AcmeError> {
    let kind = match settings.method {
        Method::Http(_) => ChallengeType::Http01,
        Method::TlsAlpn => ChallengeType::TlsAlpn01,
        Method::Dns(_) => ChallengeType::Dns01,
    };
    let mut all = order.authorizations();
    while let Some(one) = all.next().await {
        let mut one = one?;
        match one.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            ref other => return Err(AcmeError::Refused(format!("{other:?}"))),
        }
        let unsupported = || AcmeError::Server(format!("it does not offer {kind:?}"));
        let mut challenge = one.challenge(kind.clone()).ok_or_else(unsupported)?;
        let proof = challenge.key_authorization();
        match &settings.method {
            Method::Http(_) => {
                if let Some(pages) = pages {
                    pages.add(&challenge.token, proof.as_str());
                }
            }
            Method::TlsAlpn => {
                let key = challenge::certificate(&settings.name, proof.digest().as_ref())?;
                certificates.show_challenge(Some(key));
            }
            Method::Dns(hook) => {
                let name = format!("_acme-challenge.{}", settings.name);
                diary.add_record(hook, name, proof.dns_value()).await?;
            }
        }
        // It may have been told of it before we were started again (RFC 8555 section 7.1.6).
        if challenge.status == ChallengeStatus::Pending {
            challenge.set_ready().await?;
        }
    }
    Ok(())
}

/// Waits until the authority has looked.
async fn wait_until_ready(order: &mut Order) -> Result<(), AcmeError> {
    let said = match order.poll_ready(&patience()).await {
        Ok(OrderStatus::Ready) => return Ok(()),
        Ok(status) => format!("{status:?}"),
        Err(instant_acme::Error::Api(problem)) => problem.to_string(),
        Err(error) => return Err(error.into()),
    };
    let mut reasons = Vec::new();
    let mut all = order.authorizations();
    while let Some(Ok(mut one)) = all.next().await {
        // What is known of it is from before it was looked at.
        if let Ok(state) = one.refresh().await {
            let errors = state.challenges.iter().filter_map(|it| it.error.as_ref());
            reasons.extend(errors.map(ToString::to_string));
        }
    }
    let said = match reasons.is_empty() {
        true => said,
        false => reasons.join("; "),
    };
    Err(AcmeError::Refused(plain(&said)))
}

#[cfg(test)]
mod tests;
