//! The household's own certificate authority.
//!
//! Made at the first start, for ten years, with a key that never leaves the state folder. It can say
//! nothing but what belongs here: its name constraints (RFC 5280 section 4.2.1.10) leave it the
//! household's name, `home.arpa`, and addresses of private networks and of this machine. So whoever
//! steals the key cannot pass for a bank, on devices that heed constraints (Apple's, Android's,
//! Firefox's, Chrome's and Windows' do).
//!
//! Its beginning is the release of this program: no device with a right clock takes that for the
//! future, whatever the clock here shows.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PublicKeyData as _, SanType,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use super::encoding::pem;
use super::{CertificateError, MAX_FILE, Validity};
use crate::clock::RELEASED;
use crate::clock::Timestamp;
use crate::files::Files;
use crate::wall::Wall;

/// Days before its end: when the authority that follows is made, so that every device meets both, and
/// when that one begins to issue.
pub(super) const CROSS_DAYS: i64 = 365;
const LEAVE_DAYS: u64 = 30;
/// Authorities that follow one another: more than this program will live.
const MAX_GENERATIONS: u32 = 8;
const DAY: u64 = 24 * 60 * 60;
/// How long the authority serves.
const AUTHORITY_DAYS: u64 = 3652;
/// How long a server's certificate serves. Apple's devices take at most 825 days from a private
/// authority, browsers 398 from a public one.
const SERVER_DAYS: u64 = 90;
/// How long one serves that was made without a clock: the most that Apple's devices take, since
/// nobody knows how much of it has passed.
const CLOCKLESS_DAYS: u64 = 824;
/// How far a device's clock may be behind ours.
const BEHIND: u64 = DAY;

/// Networks whose addresses mean nothing outside of a home: those the authority may always name.
const PRIVATE: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

/// The household's authority.
pub(super) struct Authority {
    name: String,
    pub(super) root: CertificateDer<'static>,
    key: KeyPair,
    /// The server's key: the same for all certificates, so that who pinned it may keep the pin.
    server_key: KeyPair,
}

impl std::fmt::Debug for Authority {
    /// Without its keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Where its parts stand.
struct Place {
    root: PathBuf,
    key: PathBuf,
    server_key: PathBuf,
}

impl Place {
    /// In `folder`. Each name has its own: an authority that may speak for one cannot for another.
    fn of(folder: &Path, name: &str, generation: u32) -> Self {
        let folder = folder.join(name);
        let file = |end: &str| match generation {
            1 => folder.join(format!("ca.{end}")),
            _ => folder.join(format!("ca-{generation}.{end}")),
        };
        Self {
            root: file("pem"),
            key: file("key"),
            server_key: folder.join("server.key"),
        }
    }
}

impl Authority {
    /// The one for `name` in `folder` that issues at `wall`, and the root of the one that follows when
    /// that is near. What is not there is made, for this machine's `addresses`.
    ///
    /// # Errors
    /// What is there cannot be read, or nothing can be written. An authority that is there is never
    /// replaced: devices trust it.
    pub(super) fn open(
        files: &Files,
        folder: &Path,
        name: &str,
        addresses: &[IpAddr],
        wall: Wall,
    ) -> Result<(Self, Option<CertificateDer<'static>>), CertificateError> {
        let open = |generation| Self::open_one(files, folder, name, generation, addresses, wall);
        // Where the time is not known it is this at least.
        let now = wall.time().map_or(0, seconds).max(RELEASED);
        let mut authority = open(1)?;
        for generation in 2..=MAX_GENERATIONS {
            let life = Validity::of(&authority.root);
            let left = life.map_or(u64::MAX, |it| seconds(it.not_after).saturating_sub(now));
            if left > CROSS_DAYS.unsigned_abs() * DAY {
                return Ok((authority, None));
            }
            let next = match open(generation) {
                Ok(next) => next,
                Err(error) if left > LEAVE_DAYS * DAY => {
                    // The one there is must go on.
                    tracing::warn!(%error, "the authority that follows the home's cannot be made");
                    return Ok((authority, None));
                }
                Err(error) => return Err(error),
            };
            if left > LEAVE_DAYS * DAY {
                return Ok((authority, Some(next.root)));
            }
            authority = next;
        }
        Ok((authority, None))
    }

    fn open_one(
        files: &Files,
        folder: &Path,
        name: &str,
        generation: u32,
        addresses: &[IpAddr],
        wall: Wall,
    ) -> Result<Self, CertificateError> {
        let place = Place::of(folder, name, generation);
        let root = match files.read(&place.root, MAX_FILE) {
            Ok(content) => content,
            Err(error) if error.is_missing() => {
                return Self::make(files, folder, &place, name, addresses, wall);
            }
            Err(error) => return Err(error.into()),
        };
        let broken = |path: &Path, what: &str| CertificateError::Broken {
            path: path.to_path_buf(),
            what: what.to_owned(),
        };
        let root = CertificateDer::from_pem_slice(&root)
            .map_err(|error| broken(&place.root, &error.to_string()))?;
        let key = read_key(files, &place.key)?;
        if !has(&root, &key) {
            return Err(broken(&place.key, "it is not the key of `ca.pem`"));
        }
        let server_key = match read_key(files, &place.server_key) {
            Err(CertificateError::File(error)) if error.is_missing() => {
                new_key(files, &place.server_key)?
            }
            read => read?,
        };
        Ok(Self {
            name: name.to_owned(),
            root,
            key,
            server_key,
        })
    }

    fn make(
        files: &Files,
        folder: &Path,
        place: &Place,
        name: &str,
        addresses: &[IpAddr],
        wall: Wall,
    ) -> Result<Self, CertificateError> {
        files.create_folder(&folder.join(name))?;
        let key = new_key(files, &place.key)?;
        // The same under every authority.
        let server_key = match read_key(files, &place.server_key) {
            Ok(key) => key,
            Err(_) => new_key(files, &place.server_key)?,
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name(name, &key);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted(name, addresses),
            excluded_subtrees: Vec::new(),
        });
        let now = wall.time().map_or(0, seconds).max(RELEASED);
        set_dates(&mut params, RELEASED, now + AUTHORITY_DAYS * DAY);
        let root = params.self_signed(&key)?.der().clone();
        // Last: without it the others are made anew.
        files.replace(&place.root, pem("CERTIFICATE", &root).as_bytes())?;
        Ok(Self {
            name: name.to_owned(),
            root,
            key,
            server_key,
        })
    }

    /// A certificate for the server, with `addresses` as far as the authority may name them.
    pub(super) fn issue(
        &self,
        addresses: &[IpAddr],
        wall: Wall,
    ) -> Result<Issued, CertificateError> {
        let whole = self.sign(addresses, wall)?;
        if self.may_say(&whole) {
            return Ok(whole);
        }
        // An address that came after the authority.
        let private: Vec<IpAddr> = addresses.iter().copied().filter(is_private).collect();
        let less = self.sign(&private, wall)?;
        if self.may_say(&less) {
            return Ok(less);
        }
        Err(CertificateError::Broken {
            path: PathBuf::from("ca.pem"),
            what: format!("it may not speak for `{}`", self.name),
        })
    }

    fn sign(&self, addresses: &[IpAddr], wall: Wall) -> Result<Issued, CertificateError> {
        let mut params = CertificateParams::default();
        let wildcard = format!("*.{}", self.name);
        for name in [&self.name, &wildcard] {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.as_str().try_into()?));
        }
        let addresses = addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, common_name(&self.name));
        params.distinguished_name = subject;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let (from, until) = span(wall);
        let end = Validity::of(&self.root).map_or(until, |it| seconds(it.not_after).min(until));
        set_dates(&mut params, from, end);
        let mut authority = CertificateParams::default();
        authority.distinguished_name = distinguished_name(&self.name, &self.key);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = Issuer::from_params(&authority, &self.key);
        let certificate = params.signed_by(&self.server_key, &issuer)?;
        let key = self.server_key.serialize_der();
        Ok(Issued {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key)
                .map_err(|what| CertificateError::Make(what.into()))?,
        })
    }

    /// Whether a device that trusts the authority takes what it issued.
    fn may_say(&self, issued: &Issued) -> bool {
        let mut roots = RootCertStore::empty();
        if roots.add(self.root.clone()).is_err() {
            return false;
        }
        let provider = Arc::new(ring::default_provider());
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let (Ok(verifier), Ok(name)) = (builder.build(), ServerName::try_from(self.name.as_str()))
        else {
            return false;
        };
        let Some(validity) = Validity::of(&issued.certificate) else {
            return false;
        };
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds(validity.not_before)));
        verifier
            .verify_server_cert(&issued.certificate, &[], &name, &[], at)
            .is_ok()
    }
}

/// A certificate for the server, with its key.
pub(super) struct Issued {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// From when until when a server's certificate is to be valid, in seconds since 1970.
fn span(wall: Wall) -> (u64, u64) {
    match wall {
        Wall::Set(now) => {
            let now = seconds(now);
            ((now - BEHIND).max(RELEASED), now + SERVER_DAYS * DAY)
        }
        Wall::Unset => (RELEASED, RELEASED + CLOCKLESS_DAYS * DAY),
    }
}

/// What the authority may speak for.
fn permitted(name: &str, addresses: &[IpAddr]) -> Vec<GeneralSubtree> {
    let names = [name, "home.arpa"].map(|name| GeneralSubtree::DnsName(name.to_owned()));
    let own = addresses.iter().filter(|it| !is_private(it));
    let own = own.map(|address| IpNet::from(*address));
    let nets = private_networks().chain(own);
    let nets = nets.map(|net| {
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(net.addr(), net.prefix_len()))
    });
    names.into_iter().chain(nets).collect()
}

fn private_networks() -> impl Iterator<Item = IpNet> {
    PRIVATE.into_iter().filter_map(|net| net.parse().ok())
}

/// Whether `address` means nothing outside of a home.
fn is_private(address: &IpAddr) -> bool {
    private_networks().any(|net| net.contains(address))
}

/// Whom the authority is, from its name and its key: one that was made anew is another.
fn distinguished_name(name: &str, key: &KeyPair) -> DistinguishedName {
    let hash = Sha256::digest(key.subject_public_key_info());
    let mark: String = hash[..4]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Hedgerow");
    subject.push(DnType::OrganizationalUnitName, format!("household {mark}"));
    subject.push(DnType::CommonName, common_name(name));
    subject
}

/// As much of `name` as a common name may have (RFC 5280 appendix A.1: 64).
fn common_name(name: &str) -> &str {
    name.get(..name.len().min(64)).unwrap_or("hedgerow")
}

pub(super) fn read_key(files: &Files, path: &Path) -> Result<KeyPair, CertificateError> {
    let content = files.read(path, MAX_FILE)?;
    let broken = |what: String| CertificateError::Broken {
        path: path.to_path_buf(),
        what,
    };
    let key = PrivateKeyDer::from_pem_slice(&content).map_err(|it| broken(it.to_string()))?;
    KeyPair::try_from(&key).map_err(|it| broken(it.to_string()))
}

pub(super) fn new_key(files: &Files, path: &Path) -> Result<KeyPair, CertificateError> {
    let key = KeyPair::generate()?;
    let text = pem("PRIVATE KEY", key.serialized_der());
    files.replace_privately(path, text.as_bytes())?;
    Ok(key)
}

/// Whether `key` is the one in `certificate`.
fn has(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    let public = key.subject_public_key_info();
    certificate
        .windows(public.len())
        .any(|part| part == public.as_slice())
}

fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}

fn set_dates(params: &mut CertificateParams, from: u64, until: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from);
    params.not_after = epoch + Duration::from_secs(until);
}
