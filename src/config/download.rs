//! `url` of a `[[list]]` and what goes with it.

use std::net::IpAddr;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::spec::{ListSpec, Text};
use super::words::{duration, size};
use super::{Download, Signature};

/// Looked for this often unless said.
const DAY: Duration = Duration::from_hours(24);
/// The most of one list unless said.
const MAX_SIZE: u64 = 64 << 20;
/// The longest address.
const MAX_URL: usize = 2048;

/// How the list is downloaded; none is told.
pub(super) fn download(spec: &ListSpec, problems: &mut Problems) -> Option<Download> {
    let url = spec.url.as_ref()?;
    let keys = match &spec.signature_key {
        Some(word) => Some(keys(word, problems)?),
        None => None,
    };
    let allow_private = spec.allow_private.as_ref().is_some_and(|it| *it.value());
    let guard = Guard {
        signed: keys.is_some(),
        allow_private,
    };
    let checked = |word: &Text, problems: &mut Problems| {
        let fault = guard.check(word.text()).err();
        let is_fine = fault.is_none();
        if let Some(fault) = fault {
            fault.report(word, problems);
        }
        is_fine
    };
    let mut fine = checked(url, problems);
    for word in [&spec.signature_url, &spec.delta_url].into_iter().flatten() {
        fine &= checked(word, problems);
    }
    if let (Some(word), None) = (&spec.signature_url, &spec.signature_key) {
        problems.report(
            Diagnostic::error("contradiction", "`signature-url` without `signature-key`").at(
                problems.place(&word.span()),
                "needs the key that signs the list",
            ),
        );
        fine = false;
    }
    let every = duration(
        spec.update.as_ref(),
        "update",
        Duration::from_mins(15)..=30 * DAY,
        DAY,
        problems,
    );
    let max_bytes = size(
        spec.max_size.as_ref(),
        "max-size",
        1 << 10..=4 << 30,
        MAX_SIZE,
        problems,
    );
    fine.then(|| Download {
        url: url.text().to_owned(),
        every,
        signature: keys.map(|keys| Signature {
            keys,
            url: spec.signature_url.as_ref().map(|it| it.text().to_owned()),
        }),
        delta_url: spec.delta_url.as_ref().map(|it| it.text().to_owned()),
        max_bytes,
        allow_private,
    })
}

/// Tells of settings that mean nothing without `url`.
pub(super) fn without_url(spec: &ListSpec, problems: &mut Problems) {
    let words = [
        ("update", &spec.update),
        ("signature-key", &spec.signature_key),
        ("signature-url", &spec.signature_url),
        ("delta-url", &spec.delta_url),
        ("max-size", &spec.max_size),
    ];
    let mut places: Vec<_> = words
        .into_iter()
        .filter_map(|(key, word)| Some((key, word.as_ref()?.span())))
        .collect();
    let private = spec.allow_private.as_ref();
    places.extend(private.map(|word| ("allow-private", word.span())));
    for (key, span) in places {
        problems.report(
            Diagnostic::error("contradiction", format!("`{key}` for a list without `url`"))
                .at(problems.place(&span), "only what is downloaded has it"),
        );
    }
}

/// The keys `word` holds, if they are keys.
fn keys(word: &Text, problems: &mut Problems) -> Option<Vec<String>> {
    let keys: Vec<String> = word.text().split_whitespace().map(str::to_owned).collect();
    let is_key = |key: &String| minisign_verify::PublicKey::from_base64(key).is_ok();
    if !keys.is_empty() && keys.iter().all(is_key) {
        return Some(keys);
    }
    problems.report(
        Diagnostic::error("bad-key", "`signature-key` is not a minisign key")
            .at(
                problems.place(&word.span()),
                "56 characters, the first of them `RW`",
            )
            .help("take the second line of the file `minisign.pub`"),
    );
    None
}

/// What an address may be.
struct Guard {
    /// What comes from it is signed.
    signed: bool,
    /// It may be inside the home.
    allow_private: bool,
}

/// Why an address cannot be downloaded from.
#[derive(Debug, PartialEq, Eq)]
enum UrlFault {
    NotUrl,
    Path,
    File(String),
    Scheme(String),
    Plain,
    Character(char),
    TooLong,
    Password,
    Host,
    Private(IpAddr),
}

impl Guard {
    fn check(&self, text: &str) -> Result<(), UrlFault> {
        if text.len() > MAX_URL {
            return Err(UrlFault::TooLong);
        }
        if text.starts_with(['/', '.']) {
            return Err(UrlFault::Path);
        }
        if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(UrlFault::Character(c));
        }
        let (scheme, rest) = text.split_once(':').ok_or(UrlFault::NotUrl)?;
        let scheme = scheme.to_ascii_lowercase();
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letters) {
            return Err(UrlFault::NotUrl);
        }
        if scheme == "file" {
            return Err(UrlFault::File(rest.trim_start_matches("//").to_owned()));
        }
        let rest = rest.strip_prefix("//").ok_or(UrlFault::NotUrl)?;
        if !matches!(&*scheme, "https" | "http") {
            return Err(UrlFault::Scheme(scheme));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlFault::Password);
        }
        let host = host_of(authority).ok_or(UrlFault::Host)?;
        if scheme == "http" && !self.signed {
            return Err(UrlFault::Plain);
        }
        match host.parse::<IpAddr>() {
            Ok(address) if is_private(address) && !self.allow_private => {
                Err(UrlFault::Private(address))
            }
            _ => Ok(()),
        }
    }
}

/// The host of `example.org:8443` or `[2001:db8::1]:8443`, if it is one.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                behind
                    .strip_prefix(':')
                    .or_else(|| behind.is_empty().then_some("443"))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "443")),
    };
    let port = port.parse::<u16>().ok().filter(|port| *port > 0);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    (port.is_some() && !host.is_empty() && host.len() <= 253 && host.chars().all(fits))
        .then_some(host)
}

/// Whether `address` is in somebody's home rather than on the internet.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}

impl UrlFault {
    /// Tells of it.
    fn report(self, word: &Text, problems: &mut Problems) {
        let at = |diagnostic: Diagnostic, label: &str| {
            diagnostic.at(problems.place(&word.span()), label)
        };
        let bad = || Diagnostic::error("bad-url", "a list cannot be downloaded from here");
        let example = "write it as in \"https://example.org/list.txt\"";
        let diagnostic = match self {
            Self::NotUrl => at(bad(), "not an address of the web").help(example),
            Self::Path => at(bad(), "a path").help("name a file with `file`"),
            Self::File(path) => at(bad(), "a file of this machine")
                .help(format!("name it with `file`, as in `file = {path:?}`")),
            Self::Scheme(scheme) => at(bad(), &format!("`{scheme}` is not known here"))
                .note("known schemes: https, http"),
            Self::Plain => at(bad(), "anybody on the way could change the list")
                .help("use `https`, or name the key that signs the list with `signature-key`"),
            Self::Character(c) => at(
                bad(),
                &format!("`{}` cannot stand in an address", c.escape_debug()),
            )
            .help("write it as `%20` and the like"),
            Self::TooLong => at(bad(), &format!("longer than {MAX_URL} characters")),
            Self::Password => at(bad(), "holds a name or password")
                .note("addresses are shown in logs and by `hedgerow lists show`"),
            Self::Host => at(bad(), "no host, or a port that is none").help(example),
            Self::Private(address) => at(bad(), &format!("{address} is inside the home"))
                .help("`allow-private = true` allows it"),
        };
        problems.report(diagnostic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_lists() {
        let guard = Guard {
            signed: false,
            allow_private: false,
        };
        for (url, fault) in [
            ("https://example.org/list.txt", None),
            ("HTTPS://example.org:8443/list?a=b", None),
            ("https://[2001:db8::1]:8443/list", None),
            ("https://example.org", None),
            ("example.org/list", Some(UrlFault::NotUrl)),
            ("https:/example.org", Some(UrlFault::NotUrl)),
            ("", Some(UrlFault::NotUrl)),
            ("1https://example.org", Some(UrlFault::NotUrl)),
            ("/etc/list", Some(UrlFault::Path)),
            ("file:///etc/list", Some(UrlFault::File("/etc/list".into()))),
            ("FILE:list", Some(UrlFault::File("list".into()))),
            ("ftp://example.org/", Some(UrlFault::Scheme("ftp".into()))),
            ("http://example.org/", Some(UrlFault::Plain)),
            ("https://ex ample.org/", Some(UrlFault::Character(' '))),
            ("https://exämple.org/", Some(UrlFault::Character('ä'))),
            ("https://a:b@example.org/", Some(UrlFault::Password)),
            ("https:///list", Some(UrlFault::Host)),
            ("https://example.org:0/", Some(UrlFault::Host)),
            ("https://example.org:99999/", Some(UrlFault::Host)),
            ("https://[2001:db8::1", Some(UrlFault::Host)),
            ("https://[example.org]/", Some(UrlFault::Host)),
            (
                "https://127.0.0.1/",
                Some(UrlFault::Private([127, 0, 0, 1].into())),
            ),
            (
                "https://192.168.1.1:80/",
                Some(UrlFault::Private([192, 168, 1, 1].into())),
            ),
            (
                "https://[::1]/",
                Some(UrlFault::Private("::1".parse().unwrap())),
            ),
            (
                "https://[::ffff:10.0.0.1]/",
                Some(UrlFault::Private("::ffff:10.0.0.1".parse().unwrap())),
            ),
        ] {
            assert_eq!(guard.check(url).err(), fault, "{url}");
        }
        let open = Guard {
            signed: true,
            allow_private: true,
        };
        for url in ["http://example.org/", "http://127.0.0.1:8080/x"] {
            assert_eq!(open.check(url), Ok(()), "{url}");
        }
        let long = format!("https://example.org/{}", "x".repeat(MAX_URL));
        assert_eq!(guard.check(&long), Err(UrlFault::TooLong));
    }
}
