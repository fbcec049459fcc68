//! The plain pages that the DoH listener shows to browsers: what this is, the household's authority
//! to install, and the invitation of a device.
//!
//! Nothing here is secret but an id, and who has the address of an invitation has that already. An id
//! that no device has gets the same page as one that has one: pages tell nobody which there are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::invitation::{self, Invitation};
use super::mobileconfig::{Profile, escape};
use super::{Served, encoding, qr, signed};
use crate::config::check_client_id;
use crate::discovery::Services;

/// What is shown: its media type and its content.
pub type Page = (&'static str, Vec<u8>);

const HTML: &str = "text/html; charset=utf-8";
const APPLE: &str = "application/x-apple-aspen-config";
const DER: &str = "application/x-x509-ca-cert";
const PEM: &str = "application/x-pem-file";

/// Pages that are kept.
const MAX_KEPT: usize = 16;

/// The pages that were shown last: a signature and a picture take a slow core a while, and anybody in
/// the home may ask for them again and again.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<Option<Kept>>);

/// Pages, and what they were made of.
#[derive(Debug)]
struct Kept {
    services: Services,
    served: Arc<Served>,
    pages: VecDeque<(String, Page)>,
}

impl Kept {
    fn is_of(&self, services: &Services, served: &Arc<Served>) -> bool {
        Arc::ptr_eq(&self.served, served) && self.services == *services
    }
}

impl Shelf {
    /// What [`page`] says, made once.
    pub fn page(&self, path: &str, services: &Services, served: &Arc<Served>) -> Option<Page> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*lock()
            && kept.is_of(services, served)
            && let Some((_, page)) = kept.pages.iter().find(|it| it.0 == path)
        {
            return Some(page.clone());
        }
        let made = page(path, services, served)?;
        let mut shelf = lock();
        if shelf
            .as_ref()
            .is_none_or(|kept| !kept.is_of(services, served))
        {
            *shelf = Some(Kept {
                services: services.clone(),
                served: Arc::clone(served),
                pages: VecDeque::new(),
            });
        }
        if let Some(kept) = &mut *shelf {
            kept.pages.truncate(MAX_KEPT - 1);
            kept.pages.push_front((path.to_owned(), made.clone()));
        }
        Some(made)
    }
}

/// What stands at `path` of `services`, served with the certificate `served`; none if nothing does.
pub fn page(path: &str, services: &Services, served: &Served) -> Option<Page> {
    let root = served.root.as_deref();
    match path {
        "/" => return Some((HTML, home(services, served).into_bytes())),
        "/ca.pem" => {
            root?;
            let all = served.roots().into_iter();
            let all: String = all.map(|it| encoding::pem("CERTIFICATE", it)).collect();
            return Some((PEM, all.into_bytes()));
        }
        "/ca.crt" => return Some((DER, root?.to_vec())),
        "/ca-next.crt" => return Some((DER, served.next_root.as_deref()?.to_vec())),
        "/ca.mobileconfig" => {
            root?;
            let profile = Profile {
                name: &services.name,
                device: None,
                url: None,
                roots: &served.roots(),
                is_locked: false,
            };
            let profile = profile.to_xml().into_bytes();
            let signed = signed::sign(&profile, &served.outside);
            return Some((APPLE, signed.unwrap_or(profile)));
        }
        _ => {}
    }
    let id = path.strip_prefix("/invite/")?;
    let (id, is_profile) = match id.strip_suffix(".mobileconfig") {
        Some(id) => (id, true),
        None => (id, false),
    };
    let invitation = Invitation {
        device: "this device",
        id: Some(id).filter(|id| check_client_id(id).is_ok())?,
        services,
        served,
    };
    match is_profile {
        true => {
            let signed = invitation.signed_mobileconfig(false);
            let profile = || Some(invitation.mobileconfig(false)?.into_bytes());
            Some((APPLE, signed.or_else(profile)?))
        }
        false => Some((HTML, invite(&invitation).into_bytes())),
    }
}

/// The first page.
fn home(services: &Services, served: &Served) -> String {
    let mut body = format!(
        "<h1>The home's DNS</h1><p>This is <code>{}</code>, a resolver that keeps a family's rules. \
         There is nothing to be set here.</p>",
        escape(&services.name)
    );
    if let Some(root) = served.root.as_deref() {
        body += &format!(
            "<h2>Its certificate</h2><p>It is the home's own: a device recognises it once this \
             authority was installed on it.</p>\
             <ul><li><a href=\"/ca.mobileconfig\">iPhone, iPad, Mac</a>: open it, install it under \
             Settings → General → VPN &amp; Device Management, then switch it on under Settings → \
             General → About → Certificate Trust Settings</li>\
             <li><a href=\"/ca.crt\">Windows, Android</a>: open it and install it as a CA \
             certificate</li>\
             <li><a href=\"/ca.pem\">Linux, Firefox</a></li></ul>\
             <p>It may speak for nothing but this name and addresses of the home. Compare its \
             SHA-256 with what <code>hedgerow encrypted show</code> says before you trust it:</p>\
             <p><code>{}</code></p>",
            encoding::fingerprint(root)
        );
        if let Some(next) = served.next_root.as_deref() {
            body += &format!(
                "<h2>Its next one</h2><p>The authority is near its end. Install the one that follows \
                 it as well, on every device: the files for iPhone and Linux hold both, for others \
                 there is <a href=\"/ca-next.crt\">this one</a>, whose SHA-256 is</p>\
                 <p><code>{}</code></p>",
                encoding::fingerprint(next)
            );
        }
        let origin = invitation::origin(services).and_then(|it| qr::svg(&format!("{it}/")));
        if let Some(code) = origin {
            body += &format!("<h2>This page on another device</h2><div>{code}</div>");
        }
    }
    html("The home's DNS", &body)
}

/// The page of a device.
fn invite(invitation: &Invitation<'_>) -> String {
    let mut body =
        "<h1>Bring this device home</h1><p>It will ask the home's DNS wherever it is, and \
                    have the rules it has at home. Whoever gets this address asks as this device: \
                    do not pass it on.</p>"
            .to_owned();
    let root = invitation.served.root.is_some();
    if invitation.url().is_some() {
        let trust = match root {
            true => {
                " Then switch on the certificate under Settings → General → About → Certificate \
                 Trust Settings."
            }
            false => "",
        };
        body += &format!(
            "<h2>iPhone, iPad, Mac</h2><p><a href=\"/invite/{}.mobileconfig\">Get the profile</a> \
             and install it under Settings → General → VPN &amp; Device Management.{trust}</p>",
            escape(invitation.id)
        );
    }
    if let Some(name) = invitation.tls_name() {
        let name = escape(&name);
        body += &match root {
            false => format!(
                "<h2>Android</h2><p>Settings → Network → Private DNS → host name of the provider:\
                 </p><p><code>{name}</code></p>"
            ),
            true => format!(
                "<h2>Android</h2><p>Android's private DNS takes no authority that somebody \
                 installed. It needs a certificate that is publicly trusted, for \
                 <code>{name}</code>.</p>"
            ),
        };
    }
    if let Some(url) = invitation.url() {
        let first = match root {
            true => " Install <a href=\"/\">the home's certificate</a> first.",
            false => "",
        };
        body += &format!(
            "<h2>Firefox, Chrome, Windows</h2><p>As the provider of DNS over HTTPS:{first}</p>\
             <p><code>{}</code></p>",
            escape(&url)
        );
    }
    html("Bring this device home", &body)
}

fn html(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"><meta name=\"referrer\" content=\"no-referrer\">\
         <title>{title}</title>\
         <style>body{{font:1rem/1.5 sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}}\
         code{{overflow-wrap:anywhere}}svg{{width:12rem}}</style>{body}</html>\n"
    )
}
