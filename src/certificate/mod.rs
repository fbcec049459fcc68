//! The certificate that encrypted DNS is served with: where it comes from, that it does not run out,
//! and what others need to trust it.
//!
//! It comes from files somebody gave us ([`own`]), or from the household's own authority
//! ([`authority`]), made at the first start. [`Certificates`] holds the one in force; listeners ask it
//! for each handshake, so a new one needs no restart. [`Certificates::tend`] is called now and then:
//! it reads files that changed, renews what has less than a third of its time left, and keeps the last
//! good one when something is wrong.
//!
//! What the router's clock shows does not matter to who connects, but it goes into what we issue: see
//! [`authority`] for how a clock of 1970 is survived. [`page`] is what the DoH listener shows to
//! browsers, [`invitation`] what a device needs to be one of ours wherever it is.

#[cfg(feature = "acme")]
pub mod acme;
mod authority;
mod encoding;
pub mod invitation;
mod mobileconfig;
mod own;
pub mod page;
pub mod qr;
mod signed;
mod validity;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use encoding::{base64, fingerprint, pem, unbase64};
pub use validity::Validity;

use self::authority::{Authority, CROSS_DAYS};
use self::own::Watched;
use crate::clock::Timestamp;
use crate::files::{FileError, Files};
use crate::wall::Wall;

/// The most octets of a file with certificates or a key.
const MAX_FILE: u64 = 256 * 1024;
/// How long before its end a certificate that is not ours to renew is warned of.
const WARN_DAYS: i64 = 14;

/// The protocol by which an authority looks whether a name is ours (RFC 8737). Listeners offer it only
/// to who asks for nothing else, and only while [`Certificates::is_challenged`].
pub const CHALLENGE: &[u8] = b"acme-tls/1";

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error("{}: {what}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// None can be made.
    #[error("a certificate cannot be made: {0}")]
    Make(String),
}

impl From<rcgen::Error> for CertificateError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error.to_string())
    }
}

/// Where the certificate is to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The server's name, in A-labels and lower-case, without a dot at its end.
    pub name: String,
    /// Files with the chain and its key; without them the household's own authority issues it.
    pub files: Option<(PathBuf, PathBuf)>,
    /// Whether an authority issued those by ACME.
    pub by_acme: bool,
    /// Where the household's authority is kept.
    pub folder: PathBuf,
    /// The addresses it is served at.
    pub addresses: Vec<IpAddr>,
}

/// Who says that a certificate is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The household's own authority.
    Household,
    /// Whoever issued the files.
    Files,
    /// A public authority, asked by ACME.
    Acme,
}

impl Issuer {
    /// Its word in `status`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Household => "household",
            Self::Files => "files",
            Self::Acme => "acme",
        }
    }
}

/// The certificate in force.
#[derive(Clone)]
pub struct Served {
    /// Chain and key.
    pub key: Arc<CertifiedKey>,
    /// The same for whoever is not at home: it names no address.
    outside: Arc<CertifiedKey>,
    /// From when until when it is valid.
    pub validity: Validity,
    /// Who says so.
    pub issuer: Issuer,
    /// The household's authority, if that is who: what devices have to trust.
    pub root: Option<CertificateDer<'static>>,
    /// The authority that follows it, once it is near its end: to be trusted beside it.
    pub next_root: Option<CertificateDer<'static>>,
    /// Whether it was made without knowing the time.
    clockless: bool,
    settings: Settings,
}

impl fmt::Debug for Served {
    /// Without its key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("validity", &self.validity)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Served {
    fn new(
        key: CertifiedKey,
        issuer: Issuer,
        root: Option<CertificateDer<'static>>,
        settings: &Settings,
        wall: Wall,
    ) -> Option<Self> {
        let key = Arc::new(key);
        Some(Self {
            validity: Validity::of(key.cert.first()?)?,
            outside: Arc::clone(&key),
            key,
            issuer,
            root,
            next_root: None,
            clockless: wall == Wall::Unset,
            settings: settings.clone(),
        })
    }

    /// All authorities of the household that devices have to trust.
    pub fn roots(&self) -> Vec<&[u8]> {
        let roots = [&self.root, &self.next_root];
        roots.into_iter().flatten().map(|it| it.as_ref()).collect()
    }

    /// Whether it is right for `name`, which may be an address.
    pub fn covers(&self, name: &str) -> bool {
        covers(&self.key, name)
    }

    /// Whether names with a device's id before the server's are right too.
    pub fn covers_ids(&self) -> bool {
        self.covers(&format!("id.{}", self.settings.name))
    }

    /// What somebody should know of its end at `wall`, in a sentence.
    pub fn warning(&self, wall: Wall) -> Option<String> {
        let now = wall.time()?;
        let Validity {
            not_before,
            not_after,
        } = self.validity;
        let left = not_after.as_second() - now.as_second();
        // Some authorities issue for a week.
        let whole = not_after.as_second() - not_before.as_second();
        let soon = (WARN_DAYS * 86_400).min(whole / 4);
        let until = format!("{not_after:.0}");
        let help = match self.issuer {
            Issuer::Household | Issuer::Acme => "it should have renewed itself",
            Issuer::Files => "put a new one in the place of its file",
        };
        match left {
            ..0 => Some(format!(
                "the certificate of encrypted DNS expired {until}: devices refuse it; {help}"
            )),
            0.. if left < soon => Some(format!(
                "the certificate of encrypted DNS expires {until}; {help}"
            )),
            _ if not_before > now => Some(format!(
                "the certificate of encrypted DNS is valid only from {not_before:.0}"
            )),
            _ => self.authority_warning(now),
        }
    }

    fn authority_warning(&self, now: Timestamp) -> Option<String> {
        let end = Validity::of(self.root.as_ref()?)?.not_after;
        let left = end.as_second() - now.as_second();
        if left >= CROSS_DAYS * 86_400 {
            return None;
        }
        let help = match self.next_root.is_some() {
            true => {
                "install the one that follows it on every device before that: the pages that \
                     show the authority show both"
            }
            false => "the one that follows it cannot be made",
        };
        Some(format!(
            "the home's certificate authority ends {end:.0}: {help}"
        ))
    }
}

/// Whether the certificate of `key` is right for `name`, which may be an address.
fn covers(key: &CertifiedKey, name: &str) -> bool {
    let (Some(first), Ok(name)) = (key.cert.first(), ServerName::try_from(name)) else {
        return false;
    };
    ParsedCertificate::try_from(first).is_ok_and(|it| verify_server_name(&it, &name).is_ok())
}

/// What a look after the certificate did.
#[derive(Debug)]
pub enum Tended {
    /// Nothing had to be done.
    Same,
    /// Another one is in force.
    New,
    /// Another one is wanted and cannot be had; the last good one, if there is one, goes on. Told
    /// once for each cause.
    Failed(CertificateError),
}

/// Holds the certificate in force. Cheap to ask.
pub struct Certificates {
    files: Files,
    served: ArcSwapOption<Served>,
    /// What is shown to who asks for [`CHALLENGE`].
    challenge: ArcSwapOption<CertifiedKey>,
    state: Mutex<State>,
    /// Pages that were made of the one in force.
    pub shelf: page::Shelf,
}

#[derive(Default)]
struct State {
    watched: Watched,
    /// What was told last.
    told: Option<String>,
    /// Why an authority issued none.
    refused: Option<String>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// None yet: [`Self::tend`] finds one.
    pub fn new(files: Files) -> Arc<Self> {
        Arc::new(Self {
            files,
            served: ArcSwapOption::empty(),
            challenge: ArcSwapOption::empty(),
            state: Mutex::default(),
            shelf: page::Shelf::default(),
        })
    }

    /// The one in force.
    pub fn served(&self) -> Option<Arc<Served>> {
        self.served.load_full()
    }

    /// Shows `key` from now on to an authority that asks for [`CHALLENGE`].
    pub fn show_challenge(&self, key: Option<CertifiedKey>) {
        self.challenge.store(key.map(Arc::new));
    }

    /// Whether an authority is about to ask for [`CHALLENGE`].
    pub fn is_challenged(&self) -> bool {
        self.challenge.load().is_some()
    }

    /// Whether `hello` comes from an authority that shall see the challenge: it asks for
    /// [`CHALLENGE`] and nothing else (RFC 8737 section 3), and one is open.
    pub fn is_challenge(&self, hello: &ClientHello<'_>) -> bool {
        asks_for_challenge(hello) && self.is_challenged()
    }

    /// Where files are.
    pub const fn files(&self) -> &Files {
        &self.files
    }

    /// Remembers why an authority issued none, or that there is nothing wrong with it.
    pub fn note_refusal(&self, why: Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refused = why;
    }

    /// Why there is not the one that is wanted, if so.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.told.clone().or_else(|| state.refused.clone())
    }

    /// Does what has to be done at `wall` so that the certificate that `settings` ask for is in
    /// force. Takes as long as the disk takes.
    pub fn tend(&self, settings: &Settings, wall: Wall) -> Tended {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match &settings.files {
            Some((chain, key)) => self.read(chain, key, settings, wall, &mut state.watched),
            None => self.renew(settings, wall),
        };
        match found {
            Ok(None) => Tended::Same,
            Ok(Some(served)) => {
                self.served.store(Some(Arc::new(served)));
                state.told = None;
                Tended::New
            }
            Err(error) => {
                let text = error.to_string();
                if state.told.as_ref() == Some(&text) {
                    return Tended::Same;
                }
                state.told = Some(text);
                Tended::Failed(error)
            }
        }
    }

    /// What the files hold, if that is new.
    fn read(
        &self,
        chain: &Path,
        key: &Path,
        settings: &Settings,
        wall: Wall,
        watched: &mut Watched,
    ) -> Result<Option<Served>, CertificateError> {
        let served = self.served();
        let is_other = served.is_none_or(|it| it.settings != *settings);
        if !watched.changed(&self.files, chain, key) && !is_other {
            return Ok(None);
        }
        let pair = own::read(&self.files, chain, key)?;
        let issuer = match settings.by_acme {
            true => Issuer::Acme,
            false => Issuer::Files,
        };
        let served = Served::new(pair, issuer, None, settings, wall);
        let broken = || CertificateError::Broken {
            path: chain.to_path_buf(),
            what: "its first certificate cannot be understood".to_owned(),
        };
        Ok(Some(served.ok_or_else(broken)?))
    }

    /// One of the household's own authority, if it is time.
    fn renew(&self, settings: &Settings, wall: Wall) -> Result<Option<Served>, CertificateError> {
        if let Some(served) = self.served()
            && served.settings == *settings
            && !is_due(&served, wall)
        {
            return Ok(None);
        }
        let Settings {
            name, addresses, ..
        } = settings;
        let (authority, next_root) =
            Authority::open(&self.files, &settings.folder, name, addresses, wall)?;
        let issue = |addresses: &[IpAddr]| {
            let issued = authority.issue(addresses, wall)?;
            let chain = vec![issued.certificate, authority.root.clone()];
            CertifiedKey::from_der(chain, issued.key, &ring::default_provider())
                .map_err(|error| CertificateError::Make(error.to_string()))
        };
        let (key, outside) = (issue(addresses)?, issue(&[])?);
        let root = Some(authority.root);
        let served = Served::new(key, Issuer::Household, root, settings, wall);
        Ok(served.map(|served| Served {
            outside: Arc::new(outside),
            next_root,
            ..served
        }))
    }
}

/// Whether a certificate of our own has to be made anew.
fn is_due(served: &Served, wall: Wall) -> bool {
    let Some(now) = wall.time() else {
        return false;
    };
    let Validity {
        not_before,
        not_after,
    } = served.validity;
    // Also when the clock was ahead when it was made.
    served.clockless
        || now >= served.validity.two_thirds()
        || now < not_before
        || not_after < Timestamp::UNIX_EPOCH
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if asks_for_challenge(&hello) {
            return self.challenge.load_full();
        }
        self.served.load().as_ref().map(|it| Arc::clone(&it.key))
    }
}

/// The certificate in force for who is not at home: its names are those of the home, and tell none of
/// its addresses.
#[derive(Debug)]
pub struct Outside(pub Arc<Certificates>);

impl ResolvesServerCert for Outside {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if asks_for_challenge(&hello) {
            return self.0.challenge.load_full();
        }
        let served = self.0.served.load();
        served.as_ref().map(|it| Arc::clone(&it.outside))
    }
}

/// Whether `hello` is that of an authority (RFC 8737 section 3).
fn asks_for_challenge(hello: &ClientHello<'_>) -> bool {
    let mut wanted = hello.alpn().into_iter().flatten();
    wanted.next() == Some(CHALLENGE) && wanted.next().is_none()
}

#[cfg(test)]
mod tests;
