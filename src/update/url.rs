//! URLs of lists: which may be used, where a redirect leads, and what of them may be shown.

use std::fmt;

use ureq::http::Uri;

use super::fetch::Require;

/// Why a URL is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlFault {
    /// Not a URL with a server in it.
    Malformed,
    /// `file:`, `ftp:` and the like.
    Scheme,
    /// `http:` for a list without a signature.
    PlainHttp,
    /// A way from `https:` to `http:`.
    Downgrade,
    /// `user:password@`.
    UserInfo,
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a URL of a server",
            Self::Scheme => "only `https:` and, for signed lists, `http:` are fetched",
            Self::PlainHttp => {
                "plain `http:` needs a signature; anybody on the way could change the list"
            }
            Self::Downgrade => "a way from `https:` to `http:` is not taken",
            Self::UserInfo => "a name or password has no place in a URL",
        })
    }
}

/// Reads a URL as written.
///
/// # Errors
/// Why it is not used.
pub(super) fn read(text: &str, require: Require) -> Result<Uri, UrlFault> {
    let uri: Uri = text.parse().map_err(|_| UrlFault::Malformed)?;
    let authority = uri.authority().ok_or(UrlFault::Malformed)?;
    if authority.host().is_empty() {
        return Err(UrlFault::Malformed);
    }
    match (uri.scheme_str(), require) {
        (Some("https"), _) | (Some("http"), Require::Signature) => {}
        (Some("http"), Require::Https) => return Err(UrlFault::PlainHttp),
        _ => return Err(UrlFault::Scheme),
    }
    if authority.as_str().contains('@') {
        return Err(UrlFault::UserInfo);
    }
    Ok(uri)
}

/// Where `target`, as a server at `from` wrote it, leads (RFC 3986 section 5.2, without what no
/// server sends).
///
/// # Errors
/// Why we do not go there.
pub(super) fn follow(from: &Uri, target: &str, require: Require) -> Result<Uri, UrlFault> {
    let target = target.split('#').next().unwrap_or_default().trim();
    if target.is_empty() {
        return Err(UrlFault::Malformed);
    }
    let scheme = from.scheme_str().unwrap_or_default();
    let server = from.authority().map_or("", |authority| authority.as_str());
    let absolute = if has_scheme(target) {
        target.to_owned()
    } else if target.starts_with("//") {
        format!("{scheme}:{target}")
    } else if target.starts_with('/') {
        format!("{scheme}://{server}{target}")
    } else if target.starts_with('?') {
        format!("{scheme}://{server}{}{target}", from.path())
    } else {
        let folder = from
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{server}{folder}/{target}")
    };
    if scheme == "https" && absolute.to_ascii_lowercase().starts_with("http:") {
        return Err(UrlFault::Downgrade);
    }
    read(&absolute, require)
}

/// Whether `text` begins with a scheme.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// `uri` without its query, which may hold a key that is nobody's business.
pub(super) fn shown(uri: &Uri) -> String {
    format!(
        "{}://{}{}",
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", |authority| authority.as_str()),
        uri.path()
    )
}

/// A text that should have been a URL, without what may be secret or steer a terminal.
pub(super) fn cleaned(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (server, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let server = server.rsplit('@').next().unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{server}{path}")
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(200)
        .collect()
}

/// The last part of the path of `url`: the file's name.
pub(super) fn file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_a_signature_will_do() {
        use UrlFault::{Malformed, PlainHttp, Scheme, UserInfo};
        for (text, fault) in [
            ("http://lists.example/a", PlainHttp),
            ("file:///etc/shadow", Malformed),
            ("file://host/etc/shadow", Scheme),
            ("ftp://lists.example/a", Scheme),
            ("lists.example", Scheme),
            ("/etc/shadow", Malformed),
            ("", Malformed),
            ("https://user:word@lists.example/a", UserInfo),
        ] {
            assert_eq!(read(text, Require::Https).unwrap_err(), fault, "{text}");
        }
        assert!(read("https://lists.example:8443/a?b", Require::Https).is_ok());
        assert!(read("http://lists.example/a", Require::Signature).is_ok());
    }

    #[test]
    fn redirects_lead_where_the_standard_says() {
        let from: Uri = "https://lists.example/a/b?c".parse().unwrap();
        for (target, to) in [
            ("https://other.example/x", "https://other.example/x"),
            ("//other.example/x", "https://other.example/x"),
            ("/x#part", "https://lists.example/x"),
            ("x", "https://lists.example/a/x"),
            ("?y", "https://lists.example/a/b?y"),
        ] {
            let uri = follow(&from, target, Require::Https).unwrap();
            assert_eq!(uri.to_string(), to, "{target}");
        }
    }

    #[test]
    fn redirects_do_not_lead_down() {
        let from: Uri = "https://lists.example/a".parse().unwrap();
        for (target, fault) in [
            ("http://lists.example/a", UrlFault::Downgrade),
            ("HTTP://lists.example/a", UrlFault::Downgrade),
            ("file://lists.example/etc/passwd", UrlFault::Scheme),
            ("https://me@lists.example/", UrlFault::UserInfo),
            ("https://lists.example/a b", UrlFault::Malformed),
            ("", UrlFault::Malformed),
        ] {
            let led = follow(&from, target, Require::Signature);
            assert_eq!(led.unwrap_err(), fault, "{target}");
        }
    }

    #[test]
    fn secrets_in_a_url_are_not_shown() {
        let text = "https://me:word@lists.example/a?key=1#x\u{1b}";
        assert_eq!(cleaned(text), "https://lists.example/a");
        let uri: Uri = "https://lists.example/a?key=1".parse().unwrap();
        assert_eq!(shown(&uri), "https://lists.example/a");
        assert_eq!(file_name("https://lists.example/x/a.gz?key=1"), "a.gz");
    }
}
