//! Encrypted DNS: how it is served, and what a device needs to use it wherever it is.

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::{IntoParams, ToSchema};

/// Encrypted DNS as it is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Encrypted {
    /// The server's name.
    pub name: String,
    /// Port of DNS over TLS.
    pub dot: Option<u16>,
    /// Address of DNS over HTTPS.
    pub doh: Option<String>,
    /// Port of DNS over QUIC.
    pub doq: Option<u16>,
    /// The certificate it is served with; none if there is none.
    pub certificate: Option<Certificate>,
    /// Whether devices that ask for it find it by themselves (DDR).
    pub discovered: bool,
    /// Lines for dnsmasq that tell devices of it (DNR).
    pub dnsmasq: Vec<String>,
    /// Lines for odhcpd that do the same.
    pub odhcpd: Vec<String>,
}

/// A certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Certificate {
    /// Who issued it: `household`, the household's own authority, `files`, or `acme`.
    pub issuer: String,
    /// From when it is valid.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// The same in seconds since 1970.
    pub expires: i64,
    /// Whether it holds for names with a device's id before the server's.
    pub covers_ids: bool,
    /// SHA-256 of the household's authority, if that issued it.
    pub authority_sha256: Option<String>,
    /// When that authority ends.
    pub authority_not_after: Option<String>,
    /// The authority in PEM: what devices have to trust.
    pub authority_pem: Option<String>,
    /// SHA-256 of the authority that follows it, once it is near its end.
    pub next_authority_sha256: Option<String>,
    /// When that one ends.
    pub next_authority_not_after: Option<String>,
}

/// Which device to invite.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct InviteQuery {
    /// A device's name.
    pub who: String,
    /// Whether it gets a new id although it has one; the other stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Whether the profile for Apple's devices forbids to switch it off; heeded on supervised devices
    /// only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

/// Which device's ids to take back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct RevokeQuery {
    /// A device's name.
    pub who: String,
}

/// What a device needs to ask us wherever it is. Whoever has it asks as that device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct Invitation {
    /// The device.
    pub device: String,
    /// Its id.
    pub id: String,
    /// What Android's private DNS and other clients of DNS over TLS take; none without that, or where
    /// the certificate does not hold for it.
    pub tls_name: Option<String>,
    /// The same for DNS over QUIC.
    pub quic_name: Option<String>,
    /// Address of DNS over HTTPS.
    pub https_url: Option<String>,
    /// The page with all of it, for the device itself to open.
    pub page: Option<String>,
    /// The profile for Apple's devices, not signed.
    pub mobileconfig: Option<String>,
    /// The same signed (CMS), in base64; none with a key that those devices would not understand.
    pub mobileconfig_signed: Option<String>,
    /// SHA-256 of the household's authority, if devices have to trust that first.
    pub authority_sha256: Option<String>,
    /// What somebody should know, one sentence each.
    pub notes: Vec<String>,
}
