//! Upstreams as an admin writes them.
//!
//! `192.0.2.1`, `udp://192.0.2.1:53`, `tcp://192.0.2.1`, `tls://192.0.2.1#dns.example`,
//! `https://dns.example/dns-query`, `h3://…`, `quic://dns.example:853`. Behind the `#` stands the name
//! that the certificate has to be for, as unbound and systemd-resolved write it.

use super::endpoint::{AddressError, parse_socket};
use super::{Host, Transport, UpstreamServer};
use crate::name::Name;

/// Why a text is no upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    /// No address where one has to be.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// Neither an address nor a name.
    #[error("neither an address nor a name")]
    Host,
    /// Digits that are no port.
    #[error("not a port: 1 to 65535")]
    Port,
    /// Nobody's certificate is looked at over this transport.
    #[error("only an encrypted transport has a certificate to check")]
    NameInTheClear,
    /// What stands behind `#` is no name.
    #[error("what stands behind `#` is not the name of a certificate")]
    TlsName,
    /// A path where none belongs.
    #[error("only `https://` and `h3://` have a path")]
    Path,
    /// A path with what a request cannot hold.
    #[error("the path has a character that must not stand there")]
    PathCharacter,
    /// QUIC was left out of this build.
    #[error("this build has no QUIC")]
    NoQuic,
    /// No transport at all.
    #[error("unknown transport")]
    Scheme,
}

/// The path of DNS over HTTPS unless said; the one in most operators' URLs.
const USUAL_PATH: &str = "/dns-query";

/// Reads an upstream.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_upstream(text: &str) -> Result<UpstreamServer, UrlError> {
    let (transport, rest) = match text.split_once("://") {
        None => (Transport::Udp, text),
        Some((scheme, rest)) => (transport(scheme)?, rest),
    };
    let (rest, tls_name) = match rest.split_once('#') {
        None => (rest, None),
        Some(_) if !transport.is_encrypted() => return Err(UrlError::NameInTheClear),
        Some((rest, name)) => (rest, Some(host_name(name).ok_or(UrlError::TlsName)?)),
    };
    let (authority, path) = split_path(rest, transport)?;
    let host = match parse_socket(authority, transport.port()) {
        Ok(address) if address.ip().is_unspecified() => {
            return Err(AddressError::Unspecified.into());
        }
        Ok(address) if address.port() == 0 => return Err(AddressError::PortZero.into()),
        Ok(address) => Host::Addresses(vec![address]),
        Err(AddressError::NotAddress) if transport.is_encrypted() => {
            parse_name(authority, transport.port())?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(UpstreamServer {
        host,
        transport,
        tls_name,
        path,
    })
}

fn transport(scheme: &str) -> Result<Transport, UrlError> {
    let transport = Transport::ALL
        .into_iter()
        .find(|transport| transport.label() == scheme)
        .ok_or(UrlError::Scheme)?;
    if transport.is_quic() && !cfg!(feature = "quic") {
        return Err(UrlError::NoQuic);
    }
    Ok(transport)
}

/// The authority and, for HTTP, the path.
fn split_path(rest: &str, transport: Transport) -> Result<(&str, Option<String>), UrlError> {
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if !transport.is_http() {
        return match path {
            "" | "/" => Ok((authority, None)),
            _ => Err(UrlError::Path),
        };
    }
    // As in the templates of RFC 8484: questions are sent by POST, which needs no variable.
    let path = path.strip_suffix("{?dns}").unwrap_or(path);
    let path = if path.is_empty() { USUAL_PATH } else { path };
    let fine = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '{' | '}' | '#');
    if !path.chars().all(fine) {
        return Err(UrlError::PathCharacter);
    }
    Ok((authority, Some(path.to_owned())))
}

/// `dns.example` or `dns.example:853`.
pub(super) fn parse_name(authority: &str, usual: u16) -> Result<Host, UrlError> {
    let (name, port) = match authority.split_once(':') {
        None => (authority, usual),
        Some((name, digits)) => {
            let port = digits.parse().ok().filter(|&port| port != 0);
            (name, port.ok_or(UrlError::Port)?)
        }
    };
    let name = host_name(name).ok_or(UrlError::Host)?;
    Ok(Host::Name { name, port })
}

/// A name as certificates have it: letters, digits and `-`, in small letters, not digits alone.
fn host_name(text: &str) -> Option<String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_number = |label: &str| label.chars().all(|c| c.is_ascii_digit());
    let text = text.strip_suffix('.').unwrap_or(text);
    let last = text.rsplit('.').next()?;
    if !text.chars().all(fine) || is_number(last) || Name::parse(text).is_err() {
        return None;
    }
    Some(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let server = parse_upstream(text).unwrap();
        format!("{} {}", server.transport.label(), server)
    }

    #[test]
    fn urls() {
        for (text, expected) in [
            ("192.0.2.1", "udp 192.0.2.1:53"),
            ("tcp://192.0.2.1", "tcp 192.0.2.1:53"),
            ("udp://[2001:db8::1]:54", "udp [2001:db8::1]:54"),
            ("tls://192.0.2.1", "tls 192.0.2.1:853"),
            (
                "tls://192.0.2.1#DNS.example.",
                "tls 192.0.2.1:853#dns.example",
            ),
            (
                "tls://[2001:db8::1]:8853#dns.example",
                "tls [2001:db8::1]:8853#dns.example",
            ),
            ("tls://dns.example", "tls dns.example:853"),
            ("tls://dns.example:8853/", "tls dns.example:8853"),
            ("https://dns.example", "https dns.example:443/dns-query"),
            (
                "https://dns.example/family{?dns}",
                "https dns.example:443/family",
            ),
            (
                "https://192.0.2.1/x#dns.example",
                "https 192.0.2.1:443/x#dns.example",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        if cfg!(feature = "quic") {
            assert_eq!(shown("quic://dns.example"), "quic dns.example:853");
            assert_eq!(shown("h3://dns.example/q"), "h3 dns.example:443/q");
        } else {
            assert_eq!(parse_upstream("quic://dns.example"), Err(UrlError::NoQuic));
            assert_eq!(parse_upstream("h3://dns.example"), Err(UrlError::NoQuic));
        }
    }

    #[test]
    fn what_is_none() {
        let address = UrlError::Address;
        for (text, error) in [
            ("dns.example", address(AddressError::NotAddress)),
            ("tcp://dns.example", address(AddressError::NotAddress)),
            ("0.0.0.0", address(AddressError::Unspecified)),
            ("tls://0.0.0.0", address(AddressError::Unspecified)),
            ("192.0.2.1:0", address(AddressError::PortZero)),
            ("tls://192.0.2.1:99999", address(AddressError::Port)),
            ("ftp://192.0.2.1", UrlError::Scheme),
            ("TLS://192.0.2.1", UrlError::Scheme),
            ("192.0.2.1#53", UrlError::NameInTheClear),
            ("tls://192.0.2.1#", UrlError::TlsName),
            ("tls://192.0.2.1#853", UrlError::TlsName),
            ("tls://192.0.2.1/dns-query", UrlError::Path),
            ("tls://dns.example:0", UrlError::Port),
            ("tls://dns.example:x", UrlError::Port),
            ("tls://", UrlError::Host),
            ("tls://192.0.2.300", UrlError::Host),
            ("tls://me@dns.example", UrlError::Host),
            ("https://dns.example/a b", UrlError::PathCharacter),
        ] {
            assert_eq!(parse_upstream(text), Err(error), "{text}");
        }
    }
}
