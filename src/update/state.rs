//! What is known of a list's updates, and kept across restarts.

/// The state of one list: the file `lists/<id>.json` of the state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ListState {
    /// Where the last good copy came from.
    pub url: String,
    /// The server's name for that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When the server says it was changed, as it wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// SHA-256 of the last good copy, in hexadecimal; empty if there is none.
    pub sha256: String,
    /// Octets of the last good copy.
    pub bytes: u64,
    /// Its entries.
    pub entries: u64,
    /// Its lines that were not understood.
    pub bad_lines: u64,
    /// Its entries that name what is protected; they are not obeyed.
    pub protected: u64,
    /// The first of the two, as `line N: why`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// When it was fetched, by the household's clock (RFC 3339); none if that clock was not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched: Option<String>,
    /// When it was last looked for, at most a day late; none if the clock was not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// What the server's clock showed at `fetched`; for people only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_date: Option<String>,
    /// The key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// The highest version seen: as `timestamp:N` or `serial:N`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// SHA-256 of its canonical form, in hexadecimal, if it was needed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical: Option<String>,
    /// Why the last attempt failed; none if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many attempts failed since the last that did not.
    pub failures: u32,
}
