//! `[acme]`: certificates from a public authority.

use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::read::Written;
use super::resolve::{Around, socket};
use super::spec::Text;
use super::{Acme, AcmeChallenge};

/// Where Let's Encrypt is.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Where a page is looked for (RFC 8555 section 8.3).
const HTTP_PORT: u16 = 80;
const CHALLENGES: [&str; 3] = ["http", "tls", "dns"];

/// What `[acme]` says; none where no challenge is named.
pub(super) fn acme(
    written: &Written,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<Acme> {
    let spec = &written.acme;
    let words = [
        &spec.directory,
        &spec.email,
        &spec.hook,
        &spec.http,
        &spec.ca,
    ];
    let Some(word) = &spec.challenge else {
        if let Some(first) = words.into_iter().flatten().next() {
            problems.report_absence(
                Diagnostic::error("missing-key", "`[acme]` without `challenge`")
                    .at(
                        problems.place(&first.span()),
                        "how is the name shown to be yours?",
                    )
                    .help("say how: `challenge = \"http\"`, `\"tls\"` or `\"dns\"`"),
            );
        }
        return None;
    };
    let encrypted = &written.encrypted;
    if let Some(own) = &encrypted.certificate {
        problems.report(
            Diagnostic::error("duplicate", "the certificate comes from two places")
                .at(problems.place(&own.span()), "from this file")
                .help("take `certificate` and `key` out, or the section `[acme]`"),
        );
    }
    if encrypted.name.is_none() {
        problems.report(
            Diagnostic::warning("no-effect", "`[acme]` without `[encrypted]`")
                .at(problems.place(&word.span()), "there is no name to be shown")
                .help("name this resolver: `name = \"dns.home.example\"` in `[encrypted]`"),
        );
    }
    if cfg!(not(feature = "acme")) {
        problems.report(
            Diagnostic::error("not-in-this-build", "this build has no ACME")
                .at(problems.place(&word.span()), "cannot be asked")
                .help("take the section out, or use a build with the feature `acme`"),
        );
    }
    let challenge = match (word.text(), &spec.hook) {
        ("http", _) => {
            let any = std::net::SocketAddr::from(([0, 0, 0, 0], HTTP_PORT));
            let address = spec.http.as_ref().map_or(Some(any), |word| {
                socket(word, "address to listen on", HTTP_PORT, problems)
            });
            AcmeChallenge::Http(address?)
        }
        ("tls", _) => AcmeChallenge::Tls,
        ("dns", Some(hook)) => AcmeChallenge::Dns(around.path(hook)),
        ("dns", None) => {
            problems.report_absence(
                Diagnostic::error("missing-key", "`challenge = \"dns\"` without `hook`").at(
                    problems.place(&word.span()),
                    "which program writes the record?",
                ),
            );
            return None;
        }
        (other, _) => {
            let message = format!("`{}` is no challenge", other.escape_debug());
            problems.report(
                Diagnostic::error("unknown-value", message)
                    .at(problems.place(&word.span()), "not one of its values")
                    .suggest(other, CHALLENGES)
                    .known("known values", CHALLENGES),
            );
            return None;
        }
    };
    Some(Acme {
        directory: directory(spec.directory.as_ref(), problems)?,
        email: spec.email.as_ref().map(|it| it.text().to_owned()),
        challenge,
        ca: spec.ca.as_ref().map(|it| around.path(it)),
    })
}

fn directory(word: Option<&Text>, problems: &mut Problems) -> Option<String> {
    let Some(word) = word else {
        return Some(DIRECTORY.to_owned());
    };
    if word.text().starts_with("https://") {
        return Some(word.text().to_owned());
    }
    let message = format!(
        "`{}` is no directory of an authority",
        word.text().escape_debug()
    );
    problems.report(
        Diagnostic::error("bad-url", message)
            .at(problems.place(&word.span()), "begins with `https://`"),
    );
    None
}
