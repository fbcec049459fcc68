//! A question to explain: as it arrives, and as it means.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::IntoParams;

use super::ControlError;
use crate::clock::Timestamp;
use crate::journal::parse_qtype;
use crate::name::{NameBuf, NameError};

/// A question to explain, as written in the request or on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// The name asked for.
    pub name: String,
    /// The type asked for, as in `AAAA` or `TYPE65`; default `A`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub qtype: Option<String>,
    /// The device that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The address that asks, instead of a device; a link-local one with its interface, as in
    /// `fe80::1%br-lan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The time it is asked at, RFC 3339; default now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// A question to explain, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainRequest {
    /// QNAME.
    pub qname: NameBuf,
    /// QTYPE.
    pub qtype: u16,
    /// Who asks.
    pub asker: Asker,
    /// When; none is now.
    pub at: Option<Timestamp>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Somebody nobody named.
    Guest,
    /// A device by its name.
    Device(String),
    /// Whichever device has this address, on the interface of this name.
    Client(IpAddr, Option<String>),
}

impl ExplainRequest {
    /// Understands `query`. A name in its Unicode form is turned into A-labels.
    ///
    /// # Errors
    /// [`ControlError::BadRequest`] for the first part that can't be understood.
    pub fn parse(query: &ExplainQuery) -> Result<Self, ControlError> {
        let qname = parse_name(&query.name)?;
        let qtype = match &query.qtype {
            None => 1,
            Some(text) => parse_qtype(text).ok_or_else(|| {
                ControlError::bad_request(
                    format!("unknown type `{}`", text.escape_debug()),
                    "write it as in `A`, `AAAA`, `HTTPS` or `TYPE65`",
                )
            })?,
        };
        let asker = match (&query.device, &query.client) {
            (None, None) => Asker::Guest,
            (Some(device), None) => Asker::Device(device.clone()),
            (None, Some(client)) => {
                let (address, interface) = match client.split_once('%') {
                    Some((address, interface)) => (address, Some(interface.to_owned())),
                    None => (client.as_str(), None),
                };
                let address = address.parse().map_err(|_| {
                    ControlError::bad_request(
                        format!("`{}` is not an address", client.escape_debug()),
                        "write it as in `192.0.2.7`, `2001:db8::7` or `fe80::1%br-lan`",
                    )
                });
                Asker::Client(address?, interface)
            }
            (Some(_), Some(_)) => {
                return Err(ControlError::bad_request(
                    "both a device and a client address are given",
                    "give one of them",
                ));
            }
        };
        let at = query.at.as_deref().map(parse_time).transpose()?;
        Ok(Self {
            qname,
            qtype,
            asker,
            at,
        })
    }
}

/// Reads a name as people type it.
pub(super) fn parse_name(text: &str) -> Result<NameBuf, ControlError> {
    let parsed = if text.is_ascii() {
        NameBuf::parse(text)
    } else {
        idna::domain_to_ascii(text)
            .map_err(|_| NameError::NotAscii)
            .and_then(|ascii| NameBuf::parse(&ascii))
    };
    parsed.map_err(|error| {
        ControlError::bad_request(
            format!("`{}` is not a domain name: {error}", text.escape_debug()),
            "write it as in `www.example.org`",
        )
    })
}

fn parse_time(text: &str) -> Result<Timestamp, ControlError> {
    text.parse().map_err(|_| {
        ControlError::bad_request(
            format!("`{}` is not a time", text.escape_debug()),
            "write it as in `2026-03-29T21:31:00+02:00`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str) -> ExplainQuery {
        ExplainQuery {
            name: name.into(),
            ..ExplainQuery::default()
        }
    }

    #[test]
    fn a_question_is_understood() {
        let request = ExplainRequest::parse(&ExplainQuery {
            qtype: Some("https".into()),
            client: Some("2001:db8::7".into()),
            at: Some("2026-03-29T21:31:00+02:00".into()),
            ..query("WWW.Bücher.example")
        })
        .unwrap();
        assert_eq!(request.qname.to_string(), "www.xn--bcher-kva.example");
        assert_eq!(request.qtype, 65);
        assert_eq!(
            request.asker,
            Asker::Client("2001:db8::7".parse().unwrap(), None)
        );
        assert_eq!(request.at.unwrap().to_string(), "2026-03-29T19:31:00Z");
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        let wrong = |query: &ExplainQuery| ExplainRequest::parse(query).unwrap_err().to_string();
        assert_eq!(
            wrong(&query("a b")),
            "`a b` is not a domain name: ` ` cannot stand in a domain name"
        );
        let mut asked = query("example.org");
        asked.qtype = Some("B\u{1b}".into());
        assert_eq!(wrong(&asked), "unknown type `B\\u{1b}`");
        asked.qtype = None;
        asked.client = Some("tablet".into());
        assert_eq!(wrong(&asked), "`tablet` is not an address");
        asked.device = Some("tablet".into());
        assert_eq!(
            wrong(&asked),
            "both a device and a client address are given"
        );
        let mut asked = query("example.org");
        asked.at = Some("tomorrow".into());
        assert_eq!(wrong(&asked), "`tomorrow` is not a time");
    }
}
