//! The certificate of encrypted DNS and what is said of it: tended in the background, told in
//! `status`, and made into invitations.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::household::Daemon;
#[cfg(feature = "acme")]
use super::issued;
use crate::certificate::invitation::Invitation;
use crate::certificate::page::Page;
use crate::certificate::{
    Certificates, Served, Settings, Tended, Validity, base64, fingerprint, pem,
};
use crate::config::{self, Config, DeviceMatch};
use crate::control::{ControlError, DeviceRequest, InviteQuery, api};
use crate::discovery::{Designation, Services, networks_of};
use crate::files::Files;
use crate::wall::Wall;

/// How often it is looked whether a file changed, an address came, or a renewal is due.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The folder of the household's authority, in the state folder.
pub(super) const FOLDER: &str = "certificates";
/// Hours between two warnings of the same in the log.
const WARN_EVERY: Duration = Duration::from_hours(24);

/// Looks after the certificate until it is told to end.
pub(super) async fn keep(daemon: Arc<Daemon>, stopped: watch::Receiver<bool>) {
    let stopped = super::wait_for(stopped);
    tokio::pin!(stopped);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned = None;
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = &mut stopped => return,
        }
        let tending = Arc::clone(&daemon);
        let done = tokio::task::spawn_blocking(move || {
            tending.tend_certificate();
            tending.certificate_warning()
        });
        // A panic there is told by the runtime; the next look may succeed.
        let Ok(Some(warning)) = done.await else {
            warned = None;
            continue;
        };
        let now = daemon.clock.now();
        if warned.is_none_or(|then| now.since(then) >= WARN_EVERY) {
            warned = Some(now);
            warn!("{warning}");
        }
    }
}

/// What `config` serves encrypted, with the ports that are listened on in `bound`.
fn services_of(config: &Config, bound: &config::Encrypted) -> Option<Services> {
    let port = |listen: &[std::net::SocketAddr]| listen.first().map(std::net::SocketAddr::port);
    let all = [&bound.dot, &bound.doh, &bound.doq].into_iter().flatten();
    let addresses = networks_of(all.map(std::net::SocketAddr::ip));
    Some(Services {
        name: name_of(config)?,
        dot: port(&bound.dot),
        doh: port(&bound.doh),
        h3: cfg!(feature = "quic") && bound.http3 && !bound.doh.is_empty(),
        doq: port(&bound.doq).filter(|_| cfg!(feature = "quic")),
        path: config.encrypted.path.clone(),
        addresses,
    })
}

pub(super) fn name_of(config: &Config) -> Option<String> {
    let name = config.encrypted.name.as_ref()?.to_string();
    Some(name.trim_end_matches('.').to_owned())
}

/// Where the certificate of `config` comes from.
fn settings_of(config: &Config, services: &Services, files: &Files, wall: Wall) -> Settings {
    // Also where plain DNS is asked: a device that found us there checks that address.
    let plain = config.server.listen.iter().map(|it| it.address.ip());
    let mut addresses: Vec<IpAddr> = services.addresses.iter().map(|it| it.addr()).collect();
    addresses.extend(networks_of(plain).iter().map(|it| it.addr()));
    addresses.sort();
    addresses.dedup();
    let own = config.encrypted.certificate.as_ref();
    let own = own.map(|it| (it.certificate.clone(), it.key.clone()));
    // Where there is none that serves, the household's own is better than none.
    #[cfg(feature = "acme")]
    let issued = issued::had(config, &services.name, files, wall);
    #[cfg(not(feature = "acme"))]
    let (issued, _) = (None, (files, wall));
    Settings {
        name: services.name.clone(),
        by_acme: own.is_none() && issued.is_some(),
        files: own.or(issued),
        folder: config.list_store.folder.join(FOLDER),
        addresses,
    }
}

/// Brings the certificate of `config` up to date, and says in the log what came of it. Takes as long
/// as the disk takes.
pub(super) fn tend(
    certificates: &Certificates,
    config: &Config,
    bound: &config::Encrypted,
    wall: Wall,
) -> Option<Designation> {
    let services = services_of(config, bound).filter(|_| bound.is_on())?;
    let settings = settings_of(config, &services, certificates.files(), wall);
    match certificates.tend(&settings, wall) {
        Tended::Same => {}
        Tended::New => {
            if let Some(served) = certificates.served() {
                info!(
                    name = settings.name,
                    issuer = served.issuer.label(),
                    expires = %served.validity.not_after,
                    "certificate of encrypted DNS"
                );
            }
        }
        Tended::Failed(error) => {
            warn!(
                "{}",
                trouble(&error.to_string(), certificates.served().is_some())
            );
        }
    }
    let served = certificates.served()?;
    Designation::of(&services, |name| served.covers(name))
}

fn trouble(error: &str, has_one: bool) -> String {
    let effect = match has_one {
        true => "the one before stays in force",
        false => "encrypted DNS answers nobody",
    };
    format!("the certificate of encrypted DNS: {error}; {effect}")
}

impl Daemon {
    /// Does what has to be done for the certificate now.
    pub(super) fn tend_certificate(&self) {
        let snapshot = self.resolver.snapshot();
        let wall = self.families.look().wall;
        let designation = tend(&self.certificates, &snapshot.config, &self.encrypted, wall);
        self.resolver.designate(designation);
    }

    /// What is to be told of the certificate, in a sentence.
    pub(super) fn certificate_warning(&self) -> Option<String> {
        let served = self.certificates.served();
        if let Some(error) = self.certificates.trouble() {
            return Some(trouble(&error, served.is_some()));
        }
        served?.warning(self.families.look().wall)
    }

    /// What the DoH listener shows to a browser at `path`; none if nothing is there.
    pub fn encrypted_page(&self, path: &str) -> Option<Page> {
        let services = services_of(&self.resolver.snapshot().config, &self.encrypted)?;
        let served = self.certificates.served()?;
        self.certificates.shelf.page(path, &services, &served)
    }

    /// Encrypted DNS as it is served; none if it is not.
    pub(super) fn encrypted_text(&self) -> Option<api::Encrypted> {
        if !self.encrypted.is_on() {
            return None;
        }
        let services = services_of(&self.resolver.snapshot().config, &self.encrypted)?;
        let served = self.certificates.served();
        let covers = |name: &str| served.as_ref().is_some_and(|it| it.covers(name));
        Some(api::Encrypted {
            doh: services.doh.map(|port| match port {
                443 => format!("https://{}{}", services.name, services.path),
                port => format!("https://{}:{port}{}", services.name, services.path),
            }),
            dot: services.dot,
            doq: services.doq,
            certificate: served.as_deref().map(certificate_text),
            discovered: Designation::of(&services, covers).is_some_and(|it| it.is_found()),
            dnsmasq: services.for_dnsmasq().unwrap_or_default(),
            odhcpd: services.for_odhcpd(),
            name: services.name,
        })
    }

    /// The invitation of a device; one that has no id gets one.
    pub(super) fn invite_device(
        &self,
        query: &InviteQuery,
    ) -> Result<api::Invitation, ControlError> {
        let off = |error: &str| {
            ControlError::bad_request(
                error,
                "say where encrypted DNS is served: `name`, and `dot` or `doh`, in `[encrypted]`",
            )
        };
        if !self.encrypted.is_on() {
            return Err(off("encrypted DNS is not served"));
        }
        let id_of = |config: &Config| {
            let device = config.devices.iter().find(|it| it.name == query.who)?;
            let mut ids = device.matches.iter().filter_map(|it| match it {
                DeviceMatch::Id(id) => Some(id.clone()),
                _ => None,
            });
            // The last one is the newest.
            ids.next_back()
        };
        let snapshot = self.resolver.snapshot();
        if !snapshot
            .config
            .devices
            .iter()
            .any(|it| it.name == query.who)
        {
            return Err(ControlError::not_found(
                format!("there is no device `{}`", query.who.escape_debug()),
                "`hedgerow device list` shows those there are; `hedgerow device assign` gives a new \
                 one a name",
            ));
        }
        let has = id_of(&self.resolver.snapshot().config).filter(|_| !query.again);
        let mut notes = Vec::new();
        let id = match has {
            Some(id) => id,
            None => {
                let change = self.edit_devices(&DeviceRequest::Invite {
                    who: query.who.clone(),
                })?;
                notes.extend(change.notes);
                id_of(&self.resolver.snapshot().config).ok_or_else(|| {
                    ControlError::unavailable(
                        "the id was written and is not in force",
                        "`hedgerow check` says what is wrong with the configuration",
                    )
                })?
            }
        };
        let services = services_of(&self.resolver.snapshot().config, &self.encrypted)
            .ok_or_else(|| off("encrypted DNS has no name"))?;
        let served = self.certificates.served().ok_or_else(|| {
            let why = self.certificate_warning().unwrap_or_default();
            ControlError::unavailable("encrypted DNS has no certificate", why)
        })?;
        let invitation = Invitation {
            device: &query.who,
            id: &id,
            services: &services,
            served: &served,
        };
        notes.extend(notes_on(&invitation, query.locked));
        notes.extend(self.certificate_warning());
        Ok(api::Invitation {
            device: query.who.clone(),
            tls_name: invitation.tls_name(),
            quic_name: invitation.quic_name(),
            https_url: invitation.url(),
            page: invitation.page(),
            mobileconfig: invitation.mobileconfig(query.locked),
            mobileconfig_signed: invitation
                .signed_mobileconfig(query.locked)
                .map(|it| base64(&it)),
            authority_sha256: served.root.as_deref().map(fingerprint),
            notes,
            id,
        })
    }
}

/// What somebody should know who passes an invitation on.
fn notes_on(invitation: &Invitation<'_>, is_locked: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let served = invitation.served;
    if !served.covers_ids() {
        notes.push(format!(
            "the certificate does not hold for `*.{}`: a device that is told apart by its server \
             name (DNS over TLS, as Android's private DNS, and over QUIC) would refuse it",
            invitation.services.name
        ));
    }
    if served.root.is_some() && invitation.services.dot.is_some() {
        notes.push(
            "Android's private DNS takes no authority that somebody installed: for Android give \
             `certificate` and `key` of one that is publicly trusted in `[encrypted]`"
                .to_owned(),
        );
    }
    if is_locked {
        notes.push(
            "the profile forbids to switch it off, which Apple's devices heed only when they are \
             supervised; on others it can be removed in the settings"
                .to_owned(),
        );
    }
    notes
}

fn certificate_text(served: &Served) -> api::Certificate {
    let root = served.root.as_deref();
    api::Certificate {
        issuer: served.issuer.label().to_owned(),
        not_before: format!("{:.0}", served.validity.not_before),
        not_after: format!("{:.0}", served.validity.not_after),
        expires: served.validity.not_after.as_second(),
        covers_ids: served.covers_ids(),
        authority_sha256: root.map(fingerprint),
        authority_not_after: root.and_then(end_of),
        authority_pem: root.map(|_| {
            let all = served.roots().into_iter();
            all.map(|it| pem("CERTIFICATE", it)).collect()
        }),
        next_authority_sha256: served.next_root.as_deref().map(fingerprint),
        next_authority_not_after: served.next_root.as_deref().and_then(end_of),
    }
}

/// When a certificate ends.
fn end_of(certificate: &[u8]) -> Option<String> {
    Validity::of(certificate).map(|it| format!("{:.0}", it.not_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Certificates, Settings};
    use crate::clock::Timestamp;
    use crate::files::MemoryFiles;
    use crate::wall::Wall;

    /// `encrypted show` once said nothing of it, although the pages send people there to compare it.
    #[test]
    fn the_next_authority_is_shown_a_year_before_the_end_of_the_first() {
        let certificates = Certificates::new(MemoryFiles::new().files());
        let settings = Settings {
            name: "dns.home.example".to_owned(),
            files: None,
            by_acme: false,
            folder: "/state".into(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
        };
        let shown = |now: Timestamp| {
            let _ = certificates.tend(&settings, Wall::Set(now));
            certificate_text(&certificates.served().unwrap())
        };
        let first = shown("2027-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(
            (first.next_authority_sha256, first.next_authority_not_after),
            (None, None)
        );
        let end: Timestamp = first.authority_not_after.clone().unwrap().parse().unwrap();
        let late = Timestamp::from_second(end.as_second() - 200 * 86_400).unwrap();
        let late = shown(late);
        assert_eq!(late.authority_not_after, first.authority_not_after);
        assert_ne!(late.next_authority_sha256, late.authority_sha256);
        assert_eq!(late.next_authority_sha256.unwrap().len(), 95);
        let next: Timestamp = late.next_authority_not_after.unwrap().parse().unwrap();
        assert!(next > end);
    }
}
