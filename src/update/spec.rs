//! What a list's updates need to know, as the configuration says it.

use std::time::Duration;

use super::attempt::UpdateError;
use super::fetch::{FetchRequest, Require};
use crate::lists::parse::ReadOptions;
use crate::lists::{ListFormat, ListKind};

/// A list that is kept up to date from somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListUpdateSpec {
    /// Its id: lower-case letters, digits, `-` and `_`; its files are named after it.
    pub id: String,
    /// What its names are for.
    pub kind: ListKind,
    /// Where it is: `https://…`, or `http://…` when it is signed.
    pub url: String,
    /// Its syntax; none is detected from the content.
    pub format: Option<ListFormat>,
    /// What to read of it where it is an archive; see [`crate::lists::parse::ReadOptions`].
    pub member: Option<String>,
    /// How long after one look the next one is due.
    pub interval: Duration,
    /// The most octets that are downloaded, compressed as they come.
    pub max_bytes: u64,
    /// Whether the server may have an address inside the home. Never for one a redirect leads to
    /// unless the list's own server has one.
    pub allow_private: bool,
    /// Who must have signed it; none if the connection to the server is enough.
    pub signature: Option<SignatureSpec>,
    /// Where deltas are: a URL with `{from}` for the version at hand.
    pub delta_url: Option<String>,
}

impl ListUpdateSpec {
    /// How often a list is looked for, unless told otherwise.
    pub const INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
    /// The most octets of a download, unless told otherwise.
    pub const MAX_BYTES: u64 = 64 << 20;

    /// A blocklist at `url` with the usual settings.
    pub fn new(id: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kind: ListKind::Block,
            url: url.into(),
            format: None,
            member: None,
            interval: Self::INTERVAL,
            max_bytes: Self::MAX_BYTES,
            allow_private: false,
            signature: None,
            delta_url: None,
        }
    }
}

impl ListUpdateSpec {
    /// Checks that the id names a file in the folder and nothing else.
    pub(super) fn check_id(&self) -> Result<(), UpdateError> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_".contains(&c);
        let fine = (1..=64).contains(&self.id.len()) && self.id.bytes().all(plain);
        fine.then_some(())
            .ok_or_else(|| UpdateError::Id(self.id.chars().take(64).collect()))
    }

    /// How it is read.
    pub(super) fn options(&self) -> ReadOptions {
        ReadOptions {
            member: self.member.clone(),
            ..ReadOptions::format(self.format)
        }
    }

    /// A download from `url` as this list is downloaded, whatever is at hand.
    pub(super) fn request<'r>(&self, url: &'r str) -> FetchRequest<'r> {
        FetchRequest {
            url,
            etag: None,
            last_modified: None,
            max_bytes: self.max_bytes,
            require: match self.signature {
                Some(_) => Require::Signature,
                None => Require::Https,
            },
            allow_private: self.allow_private,
        }
    }

    /// Where it comes from: the list, its deltas, its signature.
    pub(super) fn urls(&self) -> impl Iterator<Item = &str> {
        let signature = self.signature.as_ref().and_then(|it| it.url.as_ref());
        let all = [Some(&self.url), self.delta_url.as_ref(), signature];
        all.into_iter().flatten().map(String::as_str)
    }
}

/// Who must have signed a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureSpec {
    /// Public keys as minisign prints them (`RW…`); one of them is enough, so that a key can be
    /// replaced by a new one.
    pub keys: Vec<String>,
    /// Where the signature is; none if at the list's URL with `.minisig` behind it.
    pub url: Option<String>,
}
