//! `[dnssec]`: whether signatures are checked, and where trust begins.

use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::read::Written;
use super::rules;
use super::spec::Text;
use super::upstream::Forward;
use crate::name::{Name, NameBuf, NameError};

/// How signatures are checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// Names at and below which nothing is checked (RFC 7646).
    pub negative: Vec<Name>,
    /// Keys that are trusted besides the root's; one of the root stands in place of those built in.
    pub anchors: Vec<TrustAnchor>,
}

/// A key that is trusted: what a DS record says of it (RFC 4034 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchor {
    /// The zone.
    pub owner: Name,
    /// The key's tag.
    pub tag: u16,
    /// The key's algorithm.
    pub algorithm: u8,
    /// How the digest was made.
    pub digest_type: u8,
    /// The digest of the key.
    pub digest: Box<[u8]>,
}

/// Why a text is no trust anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum AnchorError {
    #[error("{0}")]
    Owner(NameError),
    #[error("a trust anchor has a name, a key tag, an algorithm, a digest type and a digest")]
    Parts,
    #[error("this is a key, not its digest")]
    Key,
    #[error("the {0} has to be a number below {1}")]
    Number(&'static str, u32),
    #[error("the digest has to be in hexadecimal")]
    Hex,
    #[error("a digest of type {kind} has {expected} octets, and this one {found}")]
    Length {
        kind: u8,
        expected: usize,
        found: usize,
    },
    #[error("digests of type {0} cannot be checked")]
    Digest(u8),
    #[error("signatures of algorithm {0} cannot be checked")]
    Algorithm(u8),
}

/// What `[dnssec]` says; none while nothing is checked.
pub(super) fn validation(
    written: &Written,
    forward: &[Forward],
    problems: &mut Problems,
) -> Option<Validation> {
    let spec = &written.dnssec;
    let mut settings = Validation::default();
    let negative = spec.negative_trust_anchors.as_deref().unwrap_or_default();
    for word in negative {
        if let Some(name) = negative_anchor(word, problems) {
            if forward
                .iter()
                .any(|it| name.as_ref().is_within(it.domain.as_ref()))
            {
                problems.report(
                    Diagnostic::warning("no-effect", format!("`{name}` is not checked anyway"))
                        .at(problems.place(&word.span()), "within a `[[forward]]`"),
                );
            }
            settings.negative.push(name);
        }
    }
    let anchors = spec.trust_anchors.as_deref().unwrap_or_default();
    for word in anchors {
        let anchor = match parse_anchor(word.text()) {
            Ok(anchor) => anchor,
            Err(error) => {
                problems.report(
                    Diagnostic::error("bad-trust-anchor", "a trust anchor cannot be read")
                        .at(problems.place(&word.span()), error.to_string())
                        .help("write it as a DS record: \"home.example. DS 12345 13 2 49FD…\""),
                );
                continue;
            }
        };
        if settings.negative.contains(&anchor.owner) {
            let message = format!(
                "`{}` is trusted and not checked at the same time",
                anchor.owner
            );
            problems.report(Diagnostic::error("conflict", message).at(
                problems.place(&word.span()),
                "also in `negative-trust-anchors`",
            ));
        }
        settings.anchors.push(anchor);
    }
    let Some(validate) = spec.validate.as_ref().filter(|word| *word.value()) else {
        if let Some(word) = negative.first().or_else(|| anchors.first()) {
            problems.report(
                Diagnostic::warning("no-effect", "signatures are not checked")
                    .at(
                        problems.place(&word.span()),
                        "nothing of `[dnssec]` is used",
                    )
                    .help("write `validate = true`"),
            );
        }
        return None;
    };
    if !cfg!(feature = "dnssec") {
        problems.report(
            Diagnostic::error("not-in-this-build", "this build cannot check signatures")
                .at(problems.place(&validate.span()), "cannot be done")
                .help("take it out, or use a build with the feature `dnssec`"),
        );
        return None;
    }
    Some(settings)
}

fn negative_anchor(word: &Text, problems: &mut Problems) -> Option<Name> {
    let why = match rules::parse_name(word.text()) {
        Ok(name) if name.as_ref().is_root() => "all names there are".to_owned(),
        Ok(name) => return Some(name),
        Err(error) => error.to_string(),
    };
    let message = format!("`{}` is not a domain", word.text().escape_debug());
    let diagnostic = Diagnostic::error("bad-domain", message).at(problems.place(&word.span()), why);
    problems.report(match word.text() {
        "." => diagnostic.help("write `validate = false`"),
        _ => diagnostic,
    });
    None
}

/// Reads a DS record in presentation format, with or without TTL, class and the word `DS`.
fn parse_anchor(text: &str) -> Result<TrustAnchor, AnchorError> {
    let mut words = text.split_ascii_whitespace().peekable();
    let owner = words.next().ok_or(AnchorError::Parts)?;
    let owner = NameBuf::parse(owner).map_err(AnchorError::Owner)?;
    let rest: Vec<&str> = words.collect();
    let is = |word: &str, what: &str| word.eq_ignore_ascii_case(what);
    if rest.iter().any(|word| is(word, "DNSKEY")) {
        return Err(AnchorError::Key);
    }
    let start = rest.iter().position(|word| is(word, "DS"));
    let start = start.or_else(|| rest.iter().position(|word| is(word, "IN")));
    let rest = &rest[start.map_or(0, |at| at + 1)..];
    let [tag, algorithm, kind, digest @ ..] = rest else {
        return Err(AnchorError::Parts);
    };
    let tag = tag
        .parse()
        .map_err(|_| AnchorError::Number("key tag", 65_536))?;
    let octet = |word: &str, what| {
        word.parse::<u8>()
            .map_err(|_| AnchorError::Number(what, 256))
    };
    let algorithm = octet(algorithm, "algorithm")?;
    let kind = octet(kind, "digest type")?;
    // Presentation format allows blanks in it.
    let digest = from_hex(&digest.concat()).ok_or(AnchorError::Hex)?;
    let expected = match kind {
        1 => 20,
        2 => 32,
        4 => 48,
        other => return Err(AnchorError::Digest(other)),
    };
    if !matches!(algorithm, 5 | 7 | 8 | 10 | 13 | 14 | 15) {
        return Err(AnchorError::Algorithm(algorithm));
    }
    if digest.len() != expected {
        return Err(AnchorError::Length {
            kind,
            expected,
            found: digest.len(),
        });
    }
    Ok(TrustAnchor {
        owner: owner.as_ref().to_name(),
        tag,
        algorithm,
        digest_type: kind,
        digest: digest.into(),
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |octet: u8| char::from(octet).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let octets = pairs.iter().map(|[high, low]| {
        // Two digits are below 256.
        Some((digit(*high)? << 4 | digit(*low)?) as u8)
    });
    octets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ds_record_is_read_however_it_is_written() {
        let digest = "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";
        let plain = parse_anchor(&format!(". 20326 8 2 {digest}")).unwrap();
        assert_eq!(
            (plain.tag, plain.algorithm, plain.digest_type),
            (20326, 8, 2)
        );
        assert!(plain.owner.as_ref().is_root());
        for text in [
            format!(". IN DS 20326 8 2 {digest}"),
            format!(". 86400 IN DS 20326 8 2 {}", digest.to_lowercase()),
            format!(".  DS 20326 8 2 {} {}", &digest[..20], &digest[20..]),
            format!(". in 20326 8 2 {digest}"),
        ] {
            assert_eq!(parse_anchor(&text).as_ref(), Ok(&plain), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_exactly() {
        let of = |text: &str| parse_anchor(text).unwrap_err();
        let hex = "00".repeat(32);
        assert_eq!(of(""), AnchorError::Parts);
        assert_eq!(of("home.test"), AnchorError::Parts);
        assert_eq!(
            of("home..test 1 13 2 00"),
            AnchorError::Owner(NameError::EmptyLabel)
        );
        assert_eq!(of("home.test DNSKEY 257 3 13 abcd"), AnchorError::Key);
        assert_eq!(
            of(&format!("a 65536 13 2 {hex}")),
            AnchorError::Number("key tag", 65_536)
        );
        assert_eq!(
            of(&format!("a 1 256 2 {hex}")),
            AnchorError::Number("algorithm", 256)
        );
        assert_eq!(of(&format!("a 1 16 2 {hex}")), AnchorError::Algorithm(16));
        assert_eq!(of(&format!("a 1 13 3 {hex}")), AnchorError::Digest(3));
        assert_eq!(of("a 1 13 2 0g"), AnchorError::Hex);
        assert_eq!(
            of("a 1 13 2 00"),
            AnchorError::Length {
                kind: 2,
                expected: 32,
                found: 1
            }
        );
    }
}
