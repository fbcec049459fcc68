//! `[time]`: who is asked what time it is, where the machine does not know.

use std::collections::HashMap;

use super::diagnostic::Diagnostic;
use super::endpoint::{AddressError, parse_socket};
use super::network::once;
use super::problems::Problems;
use super::read::Written;
use super::upstream::Host;
use super::upstream_url::parse_name;
use crate::sntp::AGREE;

/// Where the time comes from while the machine's own clock shows one that cannot be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Time {
    /// NTP servers, each at one address or under a name; none asks nobody.
    pub servers: Vec<Host>,
}

/// The port of NTP (RFC 5905).
const NTP_PORT: u16 = 123;

/// `[time]`.
pub(super) fn time(written: &Written, problems: &mut Problems) -> Time {
    let words = written.time.servers.as_ref();
    let mut servers = Vec::new();
    let mut seen = HashMap::new();
    let before = problems.count();
    for word in words.map(|it| it.value().as_slice()).unwrap_or_default() {
        let text = word.text();
        let read = match parse_socket(text, NTP_PORT) {
            Ok(address) if address.port() == 0 => Err(AddressError::PortZero.to_string()),
            Ok(address) if address.ip().is_unspecified() => {
                Err(AddressError::Unspecified.to_string())
            }
            Ok(address) => Ok(Host::Addresses(vec![address])),
            Err(AddressError::NotAddress) => {
                parse_name(text, NTP_PORT).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(host) => {
                let twice = || format!("time server `{text}` is named twice");
                if once(&mut seen, host.clone(), word.span(), twice, problems) {
                    servers.push(host);
                }
            }
            Err(why) => {
                let message = format!("`{}` is not a time server", text.escape_debug());
                let place = problems.place(&word.span());
                problems.report(Diagnostic::error("bad-address", message).at(place, why));
            }
        }
    }
    // One under two ports has one voice.
    let mut hosts: Vec<String> = Vec::new();
    for server in &servers {
        let host = match server {
            Host::Addresses(addresses) => match addresses.first() {
                Some(address) => address.ip().to_canonical().to_string(),
                None => continue,
            },
            Host::Name { name, .. } => name.clone(),
        };
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if let Some(words) = words.filter(|_| !hosts.is_empty() && hosts.len() < AGREE)
        && !problems.any_error_from(before)
    {
        problems.report(
            Diagnostic::error("missing-value", "too few time servers").at(
                problems.place(&words.span()),
                format!("{AGREE} have to agree"),
            ),
        );
    }
    Time { servers }
}
