//! `[upstream]` and `[[forward]]`: whom we ask, and whom we believe.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hasher;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::RootCertStore;

use super::diagnostic::Diagnostic;
use super::endpoint::{AddressError, comes_back};
use super::network::once;
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::{Around, missing};
use super::resolvers::{HOUSEHOLD, Resolvers, resolvers, tiers};
use super::spec::{ForwardSpec, Text, UpstreamSpec};
use super::upstream_url::{UrlError, parse_upstream};
use super::validation::{Validation, validation};
use super::words::{choice, duration};
use super::{Listen, family_resolvers, rules};
use crate::name::Name;
use crate::trust;

/// Who answers what we cannot.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Resolvers, the first choice first; empty means the system's own (`/etc/resolv.conf`).
    pub servers: Vec<UpstreamServer>,
    /// Who is asked when none of `servers` answers, tier by tier.
    pub fallback: Vec<Vec<UpstreamServer>>,
    /// Those that some profiles ask in place of all these.
    pub groups: Vec<Resolvers>,
    /// Who is asked for the addresses of servers that are given by name; each by address.
    pub bootstrap: Vec<UpstreamServer>,
    /// Domains that have resolvers of their own, such as the home's or a company's.
    pub forward: Vec<Forward>,
    /// How signatures are checked, if they are (`[dnssec]`).
    pub validation: Option<Validation>,
    /// Whom we believe about a server's certificate.
    pub authorities: Authorities,
    /// The whole time one question may take until the client hears of a failure. Default 2 s.
    pub budget: Duration,
    /// Mixed case in questions over UDP as a further guard against forged answers
    /// (draft-vixie-dnsext-dns0x20). Default on, with fallback for a server that cannot.
    pub mixed_case: bool,
    /// File that lists the system's resolvers.
    pub resolv_conf: PathBuf,
}

impl Upstream {
    /// Everybody who may be asked what the household asks, some more than once; the bootstrap
    /// servers are not among them.
    pub fn all_servers(&self) -> impl Iterator<Item = &UpstreamServer> {
        let everybody = self.servers.iter().chain(self.fallback.iter().flatten());
        let groups = self.groups.iter();
        let groups = groups.flat_map(|it| it.servers.iter().chain(it.fallback.iter().flatten()));
        let forwards = self.forward.iter().flat_map(|zone| &zone.servers);
        everybody.chain(groups).chain(forwards)
    }
}

/// How to reach an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP, and TCP when an answer is cut.
    Udp,
    /// TCP only.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS, HTTP/2 (RFC 8484).
    Https,
    /// DNS over HTTPS, HTTP/3 (RFC 8484, RFC 9114).
    H3,
    /// DNS over QUIC (RFC 9250).
    Quic,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Udp,
        Self::Tcp,
        Self::Tls,
        Self::Https,
        Self::H3,
        Self::Quic,
    ];

    /// The word before `://`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::H3 => "h3",
            Self::Quic => "quic",
        }
    }

    /// The port unless said.
    pub const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 53,
            Self::Tls | Self::Quic => 853,
            Self::Https | Self::H3 => 443,
        }
    }

    /// Whether nobody on the way can read or change what is said, and the server shows who it is.
    pub const fn is_encrypted(self) -> bool {
        !matches!(self, Self::Udp | Self::Tcp)
    }

    /// Whether a question is an HTTP request.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Https | Self::H3)
    }

    /// Whether it stands on QUIC, which a build may leave out.
    pub const fn is_quic(self) -> bool {
        matches!(self, Self::H3 | Self::Quic)
    }
}

/// One resolver we ask. Shown as `192.0.2.1:853#dns.example`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamServer {
    /// Where it is.
    pub host: Host,
    /// How to reach it.
    pub transport: Transport,
    /// The name its certificate has to be for; [`Self::host`] unless said.
    pub tls_name: Option<String>,
    /// The path of its URL, for HTTP.
    pub path: Option<String>,
}

/// Where a resolver is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// At these addresses, all of the same server; one at least.
    Addresses(Vec<SocketAddr>),
    /// Where this name leads.
    Name {
        /// The name, in small letters and without a dot at its end.
        name: String,
        /// The port there.
        port: u16,
    },
}

impl UpstreamServer {
    /// The resolver at `address`, without a name.
    pub fn at(address: SocketAddr, transport: Transport) -> Self {
        Self {
            host: Host::Addresses(vec![address]),
            transport,
            tls_name: None,
            path: transport.is_http().then(|| "/dns-query".to_owned()),
        }
    }

    /// Its addresses as far as they are given.
    pub fn addresses(&self) -> &[SocketAddr] {
        match &self.host {
            Host::Addresses(addresses) => addresses,
            Host::Name { .. } => &[],
        }
    }
}

impl fmt::Display for UpstreamServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Addresses(addresses) => match addresses.first() {
                Some(address) => write!(f, "{address}")?,
                None => f.write_str("nowhere")?,
            },
            Host::Name { name, port } => write!(f, "{name}:{port}")?,
        }
        if let Some(path) = &self.path {
            f.write_str(path)?;
        }
        match &self.tls_name {
            Some(name) => write!(f, "#{name}"),
            None => Ok(()),
        }
    }
}

/// Whom we believe about certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// Those that came with the program.
    pub built_in: bool,
    /// Those in these files.
    pub files: Vec<AuthorityFile>,
}

/// A file of authorities in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityFile {
    /// Its path.
    pub path: PathBuf,
    /// Checksum of what it held when the configuration was read, so that a change is one.
    pub checksum: u64,
}

impl Default for Authorities {
    fn default() -> Self {
        Self {
            built_in: true,
            files: Vec::new(),
        }
    }
}

impl AuthorityFile {
    /// The longest file that is read, in octets; those of systems have 250 KiB.
    pub const MAX_BYTES: u64 = 4 << 20;
}

/// Resolvers for one domain and all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The domain.
    pub domain: Name,
    /// Its resolvers, in order.
    pub servers: Vec<UpstreamServer>,
}

impl Upstream {
    /// What profiles call the resolvers that a question's `via` stands for.
    pub fn resolvers(&self, via: u8) -> &str {
        let group = usize::from(via).checked_sub(1);
        let group = group.and_then(|at| self.groups.get(at));
        group.map_or(HOUSEHOLD, |group| &group.name)
    }
}

/// Where systems list their resolvers.
pub(super) const DEFAULT_RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where systems keep the authorities they trust.
const SYSTEM_AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// `[upstream]` and `[[forward]]`.
pub(super) fn upstream(
    written: &Written,
    listen: &[Listen],
    around: &Around<'_>,
    problems: &mut Problems,
) -> Upstream {
    let spec = &written.upstream;
    let resolv_conf = spec.resolv_conf.as_ref();
    let mut reading = Reading {
        listen,
        by_name: Vec::new(),
    };
    // Whoever is a first choice cannot be the last one too.
    let mut seen = HashMap::new();
    let words = spec.servers.as_deref().unwrap_or_default();
    let first = servers(words, &mut seen, &mut reading, problems);
    let fallback = tiers(spec.fallback.as_ref(), &mut seen, &mut reading, problems);
    let groups = resolvers(written, &mut reading, problems);
    let forward = forwards(&written.forwards, &mut reading, problems);
    let bootstrap = bootstrap(spec, &reading, problems);
    let validation = validation(written, &forward, problems);
    Upstream {
        validation,
        servers: first,
        fallback,
        groups,
        bootstrap,
        forward,
        authorities: authorities(spec, around, problems),
        budget: duration(
            spec.budget.as_ref(),
            "budget",
            Duration::from_millis(100)..=Duration::from_secs(30),
            Duration::from_secs(2),
            problems,
        ),
        mixed_case: spec.mixed_case.unwrap_or(true),
        resolv_conf: resolv_conf
            .map_or_else(|| DEFAULT_RESOLV_CONF.into(), |word| around.path(word)),
    }
}

/// A server that is given by name, where it is, and how it was written.
type ByName = (String, Range<usize>, String);

/// What is known while servers are read.
pub(super) struct Reading<'l> {
    /// Where we listen ourselves.
    listen: &'l [Listen],
    /// The servers so far that are given by name.
    by_name: Vec<ByName>,
}

/// The servers that `words` name; none of them may be in `seen`.
pub(super) fn servers(
    words: &[Text],
    seen: &mut HashMap<UpstreamServer, Range<usize>>,
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Vec<UpstreamServer> {
    let mut servers = Vec::new();
    for word in words {
        let read = match family_resolvers::servers(word.text()) {
            Some(read) => read,
            None => match parse_upstream(word.text()) {
                Ok(server) => vec![server],
                Err(error) => {
                    report_url(word, &error, problems);
                    continue;
                }
            },
        };
        for server in read {
            refuse_ourselves(word, &server, reading.listen, problems);
            if let Host::Name { name, .. } = &server.host {
                let by_name = &mut reading.by_name;
                by_name.push((name.clone(), word.span(), word.text().to_owned()));
            }
            let twice = || format!("upstream `{}` is named twice", word.text());
            if once(seen, server.clone(), word.span(), twice, problems) {
                servers.push(server);
            } else {
                break;
            }
        }
    }
    servers
}

/// Tells why `word` is no upstream.
fn report_url(word: &Text, error: &UrlError, problems: &mut Problems) {
    let text = word.text();
    let place = problems.place(&word.span());
    let is_word = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_word && matches!(error, UrlError::Address(AddressError::NotAddress)) {
        problems.report(
            Diagnostic::error("unknown-value", format!("unknown resolver `{text}`"))
                .at(place, "neither an address nor a word for a resolver")
                .suggest(text, family_resolvers::words())
                .known("known words", family_resolvers::words()),
        );
        return;
    }
    let diagnostic = Diagnostic::error("bad-address", format!("`{text}` is not an upstream"))
        .at(place, error.to_string());
    let transports = || Transport::ALL.map(Transport::label);
    problems.report(match error {
        UrlError::Scheme => {
            let scheme = text.split("://").next().unwrap_or_default();
            // What other programs call them.
            let meant = match scheme.to_ascii_lowercase().as_str() {
                "dot" => Some("tls"),
                "doh" | "http" | "h2" => Some("https"),
                "doq" => Some("quic"),
                "doh3" | "http3" => Some("h3"),
                "dns" => Some("udp"),
                _ => None,
            };
            let diagnostic = match meant {
                Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")),
                None => diagnostic.suggest(scheme, transports()),
            };
            diagnostic.known("known transports", transports())
        }
        UrlError::NoQuic => diagnostic.note("it was built without the feature `quic`"),
        UrlError::Address(AddressError::NotAddress) => diagnostic.help(
            "write its address, as in \"192.0.2.1\" or \"[2001:db8::1]:53\"; only encrypted \
             transports take a name, as in \"tls://dns.example\"",
        ),
        UrlError::NameInTheClear => match text.split_once('#') {
            Some((host, port)) if port.parse::<u16>().is_ok() => {
                diagnostic.help(format!("write a port as `{host}:{port}`"))
            }
            Some((host, name)) => {
                let host = host.rsplit("://").next().unwrap_or(host);
                diagnostic.help(format!("write `tls://{host}#{name}`"))
            }
            None => diagnostic,
        },
        UrlError::TlsName => match text.split_once('#') {
            Some((host, port)) if port.parse::<u16>().is_ok() => {
                diagnostic.help(format!("write a port as `{host}:{port}`"))
            }
            _ => diagnostic,
        },
        UrlError::Path => {
            let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
            diagnostic.help(format!("write `https://{rest}`"))
        }
        _ => diagnostic,
    });
}

/// Tells that `server` is this resolver.
fn refuse_ourselves(
    word: &Text,
    server: &UpstreamServer,
    listen: &[Listen],
    problems: &mut Problems,
) {
    let us = listen.iter().find(|listen| {
        let mut addresses = server.addresses().iter();
        addresses.any(|&address| comes_back(address, listen.address))
    });
    if let Some(us) = us {
        problems.report(
            Diagnostic::error("loop", format!("`{}` is this resolver itself", word.text()))
                .at(
                    problems.place(&word.span()),
                    "questions would go round in a circle",
                )
                .note(format!("it listens on {}", us.address)),
        );
    }
}

/// `bootstrap`, which has to be there if a server is given by name.
fn bootstrap(
    spec: &UpstreamSpec,
    reading: &Reading<'_>,
    problems: &mut Problems,
) -> Vec<UpstreamServer> {
    let by_name = &reading.by_name;
    let mut own = Reading {
        listen: reading.listen,
        by_name: Vec::new(),
    };
    let words = spec.bootstrap.as_deref().unwrap_or_default();
    let before = problems.count();
    let mut bootstrap = servers(words, &mut HashMap::new(), &mut own, problems);
    bootstrap.retain(|server| !server.addresses().is_empty());
    for (name, span, text) in &own.by_name {
        problems.report(
            Diagnostic::error("bad-address", format!("`{text}` needs a bootstrap itself"))
                .at(problems.place(span), "has to be given by address")
                .help(with_address(text, name)),
        );
    }
    if let Some((name, span, text)) = by_name.first()
        && bootstrap.is_empty()
        && !problems.any_error_from(before)
    {
        problems.report_absence(
            Diagnostic::error("missing-key", format!("nobody says where `{name}` is"))
                .at(problems.place(span), "a name, and there is no `bootstrap`")
                .help(with_address(text, name))
                .note("or name servers to ask for it: `bootstrap = [\"9.9.9.9\"]`"),
        );
    }
    if let Some(word) = words.first()
        && by_name.is_empty()
        && !problems.any_error_from(before)
    {
        problems.report(
            Diagnostic::warning("no-effect", "`bootstrap` has no effect")
                .at(problems.place(&word.span()), "no server is given by name"),
        );
    }
    bootstrap
}

/// How to write `text` with the address of `name`.
fn with_address(text: &str, name: &str) -> String {
    let (url, tls_name) = text.split_once('#').unwrap_or((text, name));
    let url = url.replacen(name, "ADDRESS", 1);
    format!("write its address, and the name behind it: `{url}#{tls_name}`")
}

fn forwards(
    entries: &[Entry<ForwardSpec>],
    reading: &mut Reading<'_>,
    problems: &mut Problems,
) -> Vec<Forward> {
    let mut forwards = Vec::new();
    let mut seen = HashMap::new();
    for entry in entries {
        let Some(word) = &entry.spec.domain else {
            missing(entry, "forward", "domain", problems);
            continue;
        };
        let own = match &entry.spec.servers {
            Some(own) => {
                if own.value().is_empty() {
                    problems.report(
                        Diagnostic::error("missing-value", "a forward without servers")
                            .at(problems.place(&own.span()), "nobody to ask"),
                    );
                }
                servers(own.value(), &mut HashMap::new(), reading, problems)
            }
            None => {
                missing(entry, "forward", "servers", problems);
                continue;
            }
        };
        let domain = match rules::parse_name(word.text()) {
            Ok(domain) => domain,
            Err(error) => {
                problems.report(
                    Diagnostic::error("bad-domain", format!("`{}` is not a domain", word.text()))
                        .at(problems.place(&word.span()), error.to_string()),
                );
                continue;
            }
        };
        let twice = || format!("`{domain}` is forwarded twice");
        if once(&mut seen, domain.clone(), word.span(), twice, problems) {
            forwards.push(Forward {
                domain,
                servers: own,
            });
        }
    }
    forwards
}

/// Which authorities `roots` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roots {
    BuiltIn,
    System,
}

/// `roots` and `ca`.
fn authorities(spec: &UpstreamSpec, around: &Around<'_>, problems: &mut Problems) -> Authorities {
    let values = [("built-in", Roots::BuiltIn), ("system", Roots::System)];
    let roots = choice(spec.roots.as_ref(), "roots", &values, problems).unwrap_or(Roots::BuiltIn);
    let mut files = Vec::new();
    if roots == Roots::System
        && let Some(word) = &spec.roots
    {
        let found = SYSTEM_AUTHORITIES
            .iter()
            .find_map(|path| read_authorities(Path::new(path), Roots::System, around).ok());
        match found {
            Some(file) => files.push(file),
            None => problems.report(
                Diagnostic::error("missing-file", "the system has no authorities")
                    .at(problems.place(&word.span()), "none found")
                    .note(format!("looked for {}", SYSTEM_AUTHORITIES.join(", "))),
            ),
        }
    }
    if let Some(word) = &spec.ca {
        let path = around.path(word);
        match read_authorities(&path, Roots::BuiltIn, around) {
            Ok(file) => files.push(file),
            Err(error) => problems.report(
                Diagnostic::error("missing-file", "`ca` cannot be used")
                    .at(problems.place(&word.span()), error)
                    .note(format!("looked for {}", path.display())),
            ),
        }
    }
    Authorities {
        built_in: roots == Roots::BuiltIn,
        files,
    }
}

/// Looks at a file of authorities; what is wrong with it, without its path. Of the system's those that
/// cannot be read are left out, since nobody at home wrote them.
fn read_authorities(
    path: &Path,
    roots: Roots,
    around: &Around<'_>,
) -> Result<AuthorityFile, String> {
    let content = around
        .files
        .read(path, AuthorityFile::MAX_BYTES)
        .map_err(|error| error.source.to_string())?;
    let mut store = RootCertStore::empty();
    let count = match roots {
        Roots::System => trust::add_good(&mut store, &content).0,
        Roots::BuiltIn => trust::add(&mut store, &content)?,
    };
    if count == 0 {
        return Err("holds no certificate in PEM".to_owned());
    }
    let mut hasher = twox_hash::XxHash3_64::new();
    hasher.write(&content);
    Ok(AuthorityFile {
        path: path.to_owned(),
        checksum: hasher.finish(),
    })
}
