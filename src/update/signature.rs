//! Signatures of lists: minisign's, made over the file as it is downloaded.
//!
//! The trusted comment, which the signature covers too, carries the version: `timestamp:N`, which
//! minisign writes by itself, or `serial:N`. A version only ever goes up, so that nobody can hand a
//! household an old list on which something is not blocked yet. It may also carry `file:NAME`; then
//! the list must lie at a URL that ends in this name, or whoever has two lists signed by the same
//! key could exchange them.

use std::fmt;
use std::io::Read;

use minisign_verify::{PublicKey, Signature};

/// The most octets of a signature file.
pub(super) const MAX_SIGNATURE: u64 = 4096;

/// Why a list's signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A key in the configuration.
    #[error("`{0}` is not a public key of minisign")]
    Key(String),
    /// Signed by nobody at all.
    #[error("there is no key for this list in the configuration")]
    NoKey,
    /// The file is not a signature.
    #[error("what the server gives as signature is none")]
    Malformed,
    /// Made by minisign before 0.10 without `-H`.
    #[error(
        "the signature is of the old kind that needs the whole list in memory; sign with `minisign -SH`"
    )]
    Legacy,
    /// Signed by a key that is not in the configuration.
    #[error("signed by a key that is not in the configuration")]
    OtherKey,
    /// The list is not what was signed.
    #[error("the signature does not fit the list")]
    Mismatch,
    /// Signed for another file.
    #[error("signed for a file named `{signed}`, not `{found}`")]
    OtherFile {
        /// The name in the signature.
        signed: String,
        /// The name in the URL.
        found: String,
    },
    /// No version in the trusted comment.
    #[error(
        "the trusted comment has neither `timestamp:` nor `serial:`, so an old list could be replayed"
    )]
    NoVersion,
    /// An older version.
    #[error("an older version was replayed: {found} after {kept}")]
    Replayed {
        /// The version of this list.
        found: Version,
        /// The highest seen.
        kept: Version,
    },
    /// The list cannot be read back.
    #[error("cannot read the working file: {0}")]
    Read(String),
}

/// Which version of a list was signed; two of different kinds cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// When it was signed, in seconds since 1970 by the signer's clock.
    Timestamp(u64),
    /// A number that its signer counts up.
    Serial(u64),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timestamp(number) => write!(f, "timestamp:{number}"),
            Self::Serial(number) => write!(f, "serial:{number}"),
        }
    }
}

impl Version {
    /// Reads what [`Self::fmt`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, number) = text.split_once(':')?;
        let number = number.trim().parse().ok()?;
        match kind {
            "timestamp" => Some(Self::Timestamp(number)),
            "serial" => Some(Self::Serial(number)),
            _ => None,
        }
    }

    /// Whether this may follow `kept`: it is not older, or nothing was kept.
    fn may_follow(self, kept: Option<Self>) -> bool {
        match (self, kept) {
            (_, None) => true,
            (Self::Timestamp(new), Some(Self::Timestamp(old)))
            | (Self::Serial(new), Some(Self::Serial(old))) => new >= old,
            (_, Some(_)) => false,
        }
    }
}

/// Who signed a list, and which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// The key, as it stands in the configuration.
    pub(super) by: String,
    /// The version.
    pub(super) version: Version,
}

/// Checks that `signature` was made over all of `list` by one of `keys`, for the file `name`, and is
/// not older than `kept`.
///
/// # Errors
/// Why it is not accepted.
pub(super) fn verify(
    mut list: impl Read,
    signature: &[u8],
    keys: &[String],
    name: &str,
    kept: Option<Version>,
) -> Result<Signed, SignatureError> {
    let text = std::str::from_utf8(signature).map_err(|_| SignatureError::Malformed)?;
    let signature = Signature::decode(text).map_err(|_| SignatureError::Malformed)?;
    if keys.is_empty() {
        return Err(SignatureError::NoKey);
    }
    for text in keys {
        let key = PublicKey::from_base64(text.trim())
            .map_err(|_| SignatureError::Key(text.chars().take(80).collect()))?;
        let mut verifier = match key.verify_stream(&signature) {
            Ok(verifier) => verifier,
            Err(minisign_verify::Error::UnexpectedKeyId) => continue,
            Err(minisign_verify::Error::UnsupportedLegacyMode) => {
                return Err(SignatureError::Legacy);
            }
            Err(_) => return Err(SignatureError::Malformed),
        };
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match list.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => verifier.update(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SignatureError::Read(error.to_string())),
            }
        }
        verifier.finalize().map_err(|_| SignatureError::Mismatch)?;
        let version = judge_comment(signature.trusted_comment(), name)?;
        return match kept.filter(|_| !version.may_follow(kept)) {
            None => Ok(Signed {
                by: text.clone(),
                version,
            }),
            Some(kept) => Err(SignatureError::Replayed {
                found: version,
                kept,
            }),
        };
    }
    Err(SignatureError::OtherKey)
}

/// The version in a trusted comment that is for the file `name`.
fn judge_comment(comment: &str, name: &str) -> Result<Version, SignatureError> {
    let words = || comment.split(['\t', ' ']).filter(|word| !word.is_empty());
    let signed = words().find_map(|word| word.strip_prefix("file:"));
    if let Some(signed) = signed.filter(|signed| *signed != name) {
        let clean = |text: &str| text.chars().filter(|c| !c.is_control()).take(80).collect();
        return Err(SignatureError::OtherFile {
            signed: clean(signed),
            found: clean(name),
        });
    }
    // A serial number says more than the time minisign adds by itself.
    let find = |kind: &str| {
        words()
            .filter(|word| word.starts_with(kind))
            .find_map(Version::parse)
    };
    find("serial:")
        .or_else(|| find("timestamp:"))
        .ok_or(SignatureError::NoVersion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_says_version_and_file() {
        let stamp = |comment| judge_comment(comment, "adult.gz");
        assert_eq!(
            stamp("timestamp:1795305600\tfile:adult.gz\thashed"),
            Ok(Version::Timestamp(1_795_305_600))
        );
        assert_eq!(
            stamp("serial:7 timestamp:1795305600"),
            Ok(Version::Serial(7))
        );
        assert_eq!(stamp("our newest list"), Err(SignatureError::NoVersion));
        assert_eq!(stamp("serial:x"), Err(SignatureError::NoVersion));
        assert_eq!(
            stamp("timestamp:1\tfile:allow.gz"),
            Err(SignatureError::OtherFile {
                signed: "allow.gz".into(),
                found: "adult.gz".into()
            })
        );
    }

    #[test]
    fn versions_only_go_up() {
        use Version::{Serial, Timestamp};
        for (new, kept, may) in [
            (Timestamp(5), None, true),
            (Timestamp(5), Some(Timestamp(4)), true),
            (Timestamp(5), Some(Timestamp(5)), true),
            (Timestamp(5), Some(Timestamp(6)), false),
            (Serial(5), Some(Timestamp(4)), false),
            (Timestamp(5), Some(Serial(4)), false),
        ] {
            assert_eq!(new.may_follow(kept), may, "{new} {kept:?}");
        }
        assert_eq!(Version::parse(&Serial(7).to_string()), Some(Serial(7)));
        assert_eq!(Version::parse("epoch:7"), None);
    }
}
