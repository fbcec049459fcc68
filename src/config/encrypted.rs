//! `[encrypted]`: the encrypted ways to us.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;

use super::diagnostic::Diagnostic;
use super::network::once;
use super::problems::Problems;
use super::read::Written;
use super::resolve::{Around, socket};
use super::spec::{EncryptedSpec, Text};
use super::{CertificateFiles, Encrypted, Listen, rules};
use crate::name::{MAX_LABEL, MAX_NAME, Name};

/// The port of DNS over TLS and over QUIC (RFC 7858 section 3.1, RFC 9250 section 4.1.1).
const TLS_PORT: u16 = 853;
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;
/// The path that RFC 8484 uses in its examples, and everybody since.
const DEFAULT_PATH: &str = "/dns-query";
/// Longer ones only cost room in every request.
const MAX_PATH: usize = 128;

/// What stands beside DNS on the listener of DNS over HTTPS ([`crate::certificate::page`]), `/` aside.
const PAGES: [&str; 5] = [
    "/ca.pem",
    "/ca.crt",
    "/ca-next.crt",
    "/ca.mobileconfig",
    "/invite",
];

/// What `[encrypted]` says.
pub(super) fn encrypted(
    written: &Written,
    listen: &[Listen],
    around: &Around<'_>,
    problems: &mut Problems,
) -> Encrypted {
    let spec = &written.encrypted;
    let has_quic = cfg!(feature = "quic");
    let http3 = spec.http3.unwrap_or(false) && has_quic;
    let mut taken = Taken::default();
    let dot = taken.addresses(spec.dot.as_deref(), TLS_PORT, &[Wire::Tcp], problems);
    let over: &[Wire] = if http3 {
        &[Wire::Tcp, Wire::Udp]
    } else {
        &[Wire::Tcp]
    };
    let doh = taken.addresses(spec.doh.as_deref(), HTTPS_PORT, over, problems);
    let doq = taken.addresses(spec.doq.as_deref(), TLS_PORT, &[Wire::Udp], problems);
    taken.beside(listen, problems);
    let quic_words = spec.doq.iter().flatten().next();
    if let Some(word) = quic_words.filter(|_| !has_quic) {
        problems.report(
            Diagnostic::error("not-in-this-build", "this build has no QUIC")
                .at(problems.place(&word.span()), "cannot be answered")
                .help("take `doq` out, or use a build with the feature `quic`"),
        );
    }
    let first = [&spec.dot, &spec.doh, &spec.doq].into_iter().flatten();
    let first = first.flatten().next();
    let name = spec.name.as_ref().and_then(|word| name(word, problems));
    if let (Some(first), None) = (first, &spec.name) {
        problems.report_absence(
            Diagnostic::error("missing-key", "`[encrypted]` without `name`")
                .at(
                    problems.place(&first.span()),
                    "clients check a name before they ask here",
                )
                .help("name this resolver: `name = \"dns.home.example\"`"),
        );
    }
    let without_effect = [&spec.name, &spec.certificate, &spec.key];
    if let (None, Some(word)) = (first, without_effect.into_iter().flatten().next()) {
        problems.report(
            Diagnostic::warning("no-effect", "`[encrypted]` names no address")
                .at(problems.place(&word.span()), "nothing of it is used")
                .help("say where to listen: `dot = [\"0.0.0.0:853\"]`"),
        );
    }
    Encrypted {
        name,
        dot,
        doh,
        doq,
        http3,
        path: path(spec.path.as_ref(), problems),
        certificate: certificate(spec, around, problems),
    }
}

/// What carries a transport: two may share a port only if these differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wire {
    Tcp,
    Udp,
}

/// The sockets that were asked for, and where.
#[derive(Default)]
struct Taken(HashMap<(SocketAddr, Wire), Range<usize>>);

impl Taken {
    /// Reads addresses, each of which takes a socket for each of `wires`.
    fn addresses(
        &mut self,
        words: Option<&[Text]>,
        port: u16,
        wires: &[Wire],
        problems: &mut Problems,
    ) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for word in words.unwrap_or_default() {
            let Some(address) = socket(word, "address to listen on", port, problems) else {
                continue;
            };
            let twice = || format!("`{address}` is listened on twice");
            // Port 0 takes a new port each time.
            let is_free = address.port() == 0
                || wires
                    .iter()
                    .all(|wire| once(&mut self.0, (address, *wire), word.span(), twice, problems));
            if is_free {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Tells of those that are DNS in the clear already.
    fn beside(&self, listen: &[Listen], problems: &mut Problems) {
        let mut clashes: Vec<_> = self.0.iter().collect();
        clashes.retain(|((address, _), _)| listen.iter().any(|it| it.address == *address));
        clashes.sort_by_key(|(_, span)| span.start);
        clashes.dedup_by_key(|(_, span)| span.start);
        for ((address, _), span) in clashes {
            problems.report(
                Diagnostic::error("duplicate", format!("`{address}` is listened on twice")).at(
                    problems.place(span),
                    "DNS without encryption is answered there",
                ),
            );
        }
    }
}

/// The server's name, before which an id must fit.
fn name(word: &Text, problems: &mut Problems) -> Option<Name> {
    /// With the longest label in front it is still a name.
    const LONGEST: usize = MAX_NAME - MAX_LABEL - 1;
    let why = match rules::parse_name(word.text()) {
        Ok(name) if name.as_ref().is_root() => "all names there are".to_owned(),
        Ok(name) if name.as_ref().label_count() < 2 => {
            "clients take it for a search word; it needs a dot".to_owned()
        }
        Ok(name) if name.as_ref().as_wire().len() > LONGEST => {
            "leaves no room for the ids of devices".to_owned()
        }
        Ok(name) => return Some(name),
        Err(error) => error.to_string(),
    };
    let message = format!("`{}` is no server's name", word.text().escape_debug());
    let place = problems.place(&word.span());
    problems.report(Diagnostic::error("bad-domain", message).at(place, why));
    None
}

fn path(word: Option<&Text>, problems: &mut Problems) -> String {
    let Some(word) = word else {
        return DEFAULT_PATH.to_owned();
    };
    let text = word.text();
    // What needs no percent signs in a path (RFC 3986 section 3.3).
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    let wrong = if !text.starts_with('/') {
        "does not begin with `/`"
    } else if text.ends_with('/') || text.contains("//") {
        "has an empty part: an id stands behind it"
    } else if text.len() > MAX_PATH {
        "longer than 128 characters"
    } else if PAGES.contains(&text) || text.starts_with("/invite/") {
        "a page for people stands there"
    } else if !text.chars().all(fine) {
        "letters, digits, `-`, `.`, `_`, `~` and `/` only"
    } else {
        return text.to_owned();
    };
    let message = format!("`{}` is no path for DNS over HTTPS", text.escape_debug());
    problems.report(
        Diagnostic::error("bad-path", message)
            .at(problems.place(&word.span()), wrong)
            .help("write it like the usual one: `path = \"/dns-query\"`"),
    );
    DEFAULT_PATH.to_owned()
}

fn certificate(
    spec: &EncryptedSpec,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<CertificateFiles> {
    let (has, lacks, word) = match (&spec.certificate, &spec.key) {
        (Some(certificate), Some(key)) => {
            return Some(CertificateFiles {
                certificate: around.path(certificate),
                key: around.path(key),
            });
        }
        (Some(word), None) => ("certificate", "key", word),
        (None, Some(word)) => ("key", "certificate", word),
        (None, None) => return None,
    };
    problems.report_absence(
        Diagnostic::error("missing-key", format!("`{has}` without `{lacks}`")).at(
            problems.place(&word.span()),
            format!("needs `{lacks} = …` beside it"),
        ),
    );
    None
}
