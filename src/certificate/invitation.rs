//! What a device needs to ask us wherever it is: names and addresses with its id in them.
//!
//! An id is all that tells a device from others outside of the home. Whoever has it asks as that
//! device, and its rules hold for him; that is all it is good for.

use super::Served;
use super::mobileconfig::Profile;
use super::signed;
use crate::discovery::Services;

/// An invitation of one device.
#[derive(Clone, Copy, Debug)]
pub struct Invitation<'i> {
    /// The device's name.
    pub device: &'i str,
    /// Its id.
    pub id: &'i str,
    /// What is served.
    pub services: &'i Services,
    /// The certificate it is served with.
    pub served: &'i Served,
}

impl Invitation<'_> {
    /// What Android's private DNS and any other client of DNS over TLS takes; none without that, or
    /// where the certificate does not hold for it.
    pub fn tls_name(&self) -> Option<String> {
        let name = self.full_name();
        (self.services.dot.is_some() && self.served.covers(&name)).then_some(name)
    }

    /// The same for DNS over QUIC.
    pub fn quic_name(&self) -> Option<String> {
        let name = self.full_name();
        (self.services.doq.is_some() && self.served.covers(&name)).then_some(name)
    }

    fn full_name(&self) -> String {
        format!("{}.{}", self.id, self.services.name)
    }

    /// Where DNS over HTTPS is asked; none without that.
    pub fn url(&self) -> Option<String> {
        let origin = self.origin()?;
        Some(format!("{origin}{}/{}", self.services.path, self.id))
    }

    /// The page with all of it, which the device itself can open.
    pub fn page(&self) -> Option<String> {
        Some(format!("{}/invite/{}", self.origin()?, self.id))
    }

    fn origin(&self) -> Option<String> {
        origin(self.services)
    }

    /// The profile for Apple's devices; none without DNS over HTTPS.
    pub fn mobileconfig(&self, is_locked: bool) -> Option<String> {
        let profile = Profile {
            name: &self.services.name,
            device: Some(self.device),
            url: Some(&self.url()?),
            roots: &self.served.roots(),
            is_locked,
        };
        Some(profile.to_xml())
    }

    /// The same with a signature; none with a key that Apple's devices would not understand.
    pub fn signed_mobileconfig(&self, is_locked: bool) -> Option<Vec<u8>> {
        let profile = self.mobileconfig(is_locked)?;
        signed::sign(profile.as_bytes(), &self.served.outside)
    }
}

/// The beginning of all addresses of DNS over HTTPS.
pub(super) fn origin(services: &Services) -> Option<String> {
    Some(match services.doh? {
        443 => format!("https://{}", services.name),
        port => format!("https://{}:{port}", services.name),
    })
}
