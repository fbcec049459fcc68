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

mod authority;
mod encoding;
pub mod invitation;
mod mobileconfig;
mod own;
pub mod page;
pub mod qr;
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

pub use encoding::{fingerprint, pem};
pub use validity::Validity;

use self::authority::Authority;
use self::own::Watched;
use crate::clock::Timestamp;
use crate::files::{FileError, Files};
use crate::wall::Wall;

/// The most octets of a file with certificates or a key.
const MAX_FILE: u64 = 256 * 1024;
/// How long before its end a certificate that is not ours to renew is warned of.
const WARN_DAYS: i64 = 14;

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
}

impl Issuer {
    /// Its word in `status`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Household => "household",
            Self::Files => "files",
        }
    }
}

/// The certificate in force.
#[derive(Clone)]
pub struct Served {
    /// Chain and key.
    pub key: Arc<CertifiedKey>,
    /// From when until when it is valid.
    pub validity: Validity,
    /// Who says so.
    pub issuer: Issuer,
    /// The household's authority, if that is who: what devices have to trust.
    pub root: Option<CertificateDer<'static>>,
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
        Some(Self {
            validity: Validity::of(key.cert.first()?)?,
            key: Arc::new(key),
            issuer,
            root,
            clockless: wall == Wall::Unset,
            settings: settings.clone(),
        })
    }

    /// Whether it is right for `name`, which may be an address.
    pub fn covers(&self, name: &str) -> bool {
        let (Some(first), Ok(name)) = (self.key.cert.first(), ServerName::try_from(name)) else {
            return false;
        };
        ParsedCertificate::try_from(first).is_ok_and(|it| verify_server_name(&it, &name).is_ok())
    }

    /// Whether names with a device's id before the server's are right too.
    pub fn covers_ids(&self) -> bool {
        self.covers(&format!("id.{}", self.settings.name))
    }

    /// What somebody should know of its end at `wall`, in a sentence.
    pub fn warning(&self, wall: Wall) -> Option<String> {
        let now = wall.time()?;
        let left = self.validity.not_after.as_second() - now.as_second();
        let until = format!("{:.0}", self.validity.not_after);
        let help = match self.issuer {
            Issuer::Household => "it should have renewed itself",
            Issuer::Files => "put a new one in the place of its file",
        };
        match left {
            ..0 => Some(format!(
                "the certificate of encrypted DNS expired {until}: devices refuse it; {help}"
            )),
            0.. if left < WARN_DAYS * 86_400 => Some(format!(
                "the certificate of encrypted DNS expires {until}; {help}"
            )),
            _ if self.validity.not_before > now => Some(format!(
                "the certificate of encrypted DNS is valid only from {:.0}",
                self.validity.not_before
            )),
            _ => None,
        }
    }
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
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watched: Watched,
    /// What was told last.
    told: Option<String>,
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
            state: Mutex::default(),
        })
    }

    /// The one in force.
    pub fn served(&self) -> Option<Arc<Served>> {
        self.served.load_full()
    }

    /// Why there is not the one that is wanted, if so.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.told.clone()
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
        let served = Served::new(pair, Issuer::Files, None, settings, wall);
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
        let authority = Authority::open(&self.files, &settings.folder, name, addresses, wall)?;
        let issued = authority.issue(addresses, wall)?;
        let chain = vec![issued.certificate, authority.root.clone()];
        let key = CertifiedKey::from_der(chain, issued.key, &ring::default_provider());
        let key = key.map_err(|error| CertificateError::Make(error.to_string()))?;
        let served = Served::new(key, Issuer::Household, Some(authority.root), settings, wall);
        Ok(served)
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
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.served.load().as_ref().map(|it| Arc::clone(&it.key))
    }
}

#[cfg(test)]
mod tests;
