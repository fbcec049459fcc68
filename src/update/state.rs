//! What is known of a list's updates, and kept across restarts.
//!
//! One small file for each list, `lists/<id>.json` in the state folder, written only when it says
//! something new. Times in it are for people: the household's clock may not be set, so nothing that
//! protects anybody rests on them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::signature::Version;
use crate::files::{FileError, Files};

/// The most octets of a state file.
const MAX_STATE: u64 = 64 * 1024;

/// The state of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// When it was last looked for, at most a day early; none if the clock was not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// What the server's clock showed when it was fetched; for people only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_date: Option<String>,
    /// The key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// The highest signed version of those seen: `timestamp:N` or `serial:N`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The highest serial number in the head of a sealed list, of those seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<u64>,
    /// SHA-256 of its canonical form, in hexadecimal, if it was needed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical: Option<String>,
    /// Why the last attempt failed; none if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many attempts failed since the last that did not, when this was written.
    pub failures: u32,
}

impl ListState {
    /// Whether there is a last good copy.
    pub fn has_copy(&self) -> bool {
        !self.sha256.is_empty()
    }

    /// The highest version seen, as long as its signer is one of `keys`: whoever puts another key
    /// into the configuration begins anew.
    pub(super) fn version_under(&self, keys: &[String]) -> Option<Version> {
        let signer = self.signed_by.as_ref()?;
        let version = keys.contains(signer).then_some(self.version.as_deref()?)?;
        Version::parse(version)
    }

    /// Reads the state of the list `id`; a new one if there is none or it makes no sense.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(super) fn load(files: &Files, path: &Path) -> Result<Self, FileError> {
        match files.read(path, MAX_STATE) {
            Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
            Err(error) if error.is_missing() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Puts this at `path`, whole or not at all.
    ///
    /// # Errors
    /// With path and cause.
    pub(super) fn save(&self, files: &Files, path: &Path) -> Result<(), FileError> {
        let failed = |source: std::io::Error| FileError {
            path: path.to_path_buf(),
            doing: "cannot write",
            source,
        };
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let mut draft = files.private_draft(path)?;
        draft.write_all(&text).map_err(failed)?;
        draft.commit().map_err(failed)
    }
}

/// SHA-256 of the last good copy of a list, which is to be at `copy`, as it was when it came; none
/// where that is not known.
pub fn sum_of_copy(files: &Files, copy: &Path) -> Option<[u8; 32]> {
    let state = ListState::load(files, &state_of_copy(copy)).ok()?;
    let (pairs, []) = state.sha256.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let octet = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok();
    let octets: Option<Vec<u8>> = pairs.iter().map(octet).collect();
    octets?.try_into().ok()
}

/// Where that is kept.
pub fn state_of_copy(copy: &Path) -> PathBuf {
    copy.with_extension("json")
}

/// Where the files of lists are.
#[derive(Clone, Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn copy(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.list"))
    }

    pub(super) fn state(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }

    /// Takes away what a kill left behind; nobody else may be writing.
    pub(super) fn sweep(&self, files: &Files) {
        let left = files.list(&self.0).unwrap_or_default();
        for path in left
            .iter()
            .filter(|path| path.extension().is_some_and(|end| end == "new"))
        {
            // What cannot be removed is in nobody's way; the next write tries again.
            drop(files.remove(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    #[test]
    fn a_state_survives_and_nonsense_does_not() {
        let memory = MemoryFiles::new();
        let files = memory.files();
        let path = Path::new("/state/lists/ads.json");
        assert_eq!(ListState::load(&files, path).unwrap(), ListState::default());
        let state = ListState {
            url: "https://lists.example/ads".into(),
            sha256: "00".into(),
            version: Some("serial:7".into()),
            signed_by: Some("RWkey".into()),
            failures: 2,
            ..ListState::default()
        };
        state.save(&files, path).unwrap();
        assert_eq!(ListState::load(&files, path).unwrap(), state);
        let keys = ["RWnew".to_owned(), "RWkey".to_owned()];
        assert_eq!(state.version_under(&keys), Some(Version::Serial(7)));
        assert_eq!(state.version_under(&keys[..1]), None);
        let sum = |state: ListState| {
            state.save(&files, path).unwrap();
            let folder = Folder("/state/lists".into());
            sum_of_copy(&files, &folder.copy("ads"))
        };
        let whole = |sha256: String| ListState {
            sha256,
            ..ListState::default()
        };
        let mut expected = [0; 32];
        expected[0] = 0xfe;
        assert_eq!(sum(whole(format!("fe{}", "0".repeat(62)))), Some(expected));
        assert_eq!(sum(whole("fe".to_owned())), None);
        assert_eq!(sum(whole("+1".repeat(32))), None);
        assert_eq!(sum(whole(String::new())), None);
        memory.put(path, "{\"url\": 7");
        assert_eq!(ListState::load(&files, path).unwrap(), ListState::default());
        memory.fail_next(std::io::ErrorKind::PermissionDenied);
        assert!(ListState::load(&files, path).is_err());
    }

    #[test]
    fn what_a_kill_left_is_swept() {
        let memory = MemoryFiles::new();
        for name in ["a.list", "a.list.new", "a.json", "b.json.new"] {
            memory.put(Path::new("/state/lists").join(name), "x");
        }
        Folder("/state/lists".into()).sweep(&memory.files());
        let left = ["a.json", "a.list"].map(|name| Path::new("/state/lists").join(name));
        assert_eq!(memory.paths(), left);
    }
}
