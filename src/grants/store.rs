//! Grants, pauses and requests in a file of the state folder.
//!
//! The file is replaced whole at each change, so that a power cut leaves what was before it or what
//! is after. It is JSON of a version of its own. A grant or a request that makes no sense is left out;
//! of a file of a later version, or one that makes no sense as a whole, everything is. Both times the
//! file is kept beside it and it is told: what is lost can be said again.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Answer, Ended, Grant, Grants, MAX_BONUS, MAX_BY, MAX_ENDED, MAX_HOLDING, MAX_REVEALS, MAX_WHY,
    Request, RequestStatus, Scope, What, bounded_words, requests,
};
use crate::clock::Timestamp;
use crate::config::Subject;
use crate::files::{FileError, Files};

/// The name of the file in the state folder.
pub const FILE: &str = "grants.json";
/// The most octets of the file; everything at its bounds stays below.
pub const MAX_FILE: u64 = 1 << 20;
/// The version of what is written.
const VERSION: u32 = 1;
/// The most octets of a name of a profile, a device or a quota.
const MAX_NAME: usize = 300;

/// What is wrong with a file of which a copy is kept.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It was written by a later version.
    #[error(
        "{}: version {found} of the file; this build reads {VERSION}. It was set aside: grants and \
         pauses begin empty", path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Some grants or requests make no sense; the others hold.
    #[error(
        "{}: {left_out} of its grants and requests cannot be read and do not hold ({reason}). The \
         file was kept beside it", path.display()
    )]
    Records {
        /// The file.
        path: PathBuf,
        /// How many.
        left_out: usize,
        /// What is wrong with the first of them.
        reason: String,
    },
    /// It makes no sense.
    #[error("{}: {reason}. It was set aside: grants and pauses begin empty", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads what was said and asked for from `path`; what is wrong with the file beside it.
pub fn load(files: &Files, path: &Path) -> (Grants, Option<LoadError>) {
    let (grants, error) = match read(files, path) {
        Ok((grants, None)) => return (grants, None),
        Ok((grants, Some(error))) => (grants, error),
        Err(LoadError::File(error)) if error.is_missing() => return (Grants::default(), None),
        Err(error) => (Grants::default(), error),
    };
    set_aside(files, path);
    (grants, Some(error))
}

/// Writes `grants` to `path`, whole or not at all.
///
/// # Errors
/// With path and cause; the file before is then still there.
pub fn save(grants: &Grants, files: &Files, path: &Path) -> Result<(), FileError> {
    let failed = |error: serde_json::Error| FileError {
        path: path.to_path_buf(),
        doing: "cannot write",
        source: error.into(),
    };
    let mut text = serde_json::to_vec(&Stored::from(grants)).map_err(failed)?;
    text.push(b'\n');
    if let Some(folder) = path.parent() {
        files.create_folder(folder)?;
    }
    files.replace_privately(path, &text)
}

/// Where a file that makes no sense is kept.
pub fn aside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".set-aside");
    aside.into()
}

/// What the file says, and what is wrong with single grants and requests of it.
fn read(files: &Files, path: &Path) -> Result<(Grants, Option<LoadError>), LoadError> {
    let damaged = |reason: String| LoadError::Damaged {
        path: path.to_path_buf(),
        reason,
    };
    let text = files.read(path, MAX_FILE)?;
    // The version first: what follows it may be anything in a later one.
    let Version { version: found } =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if found != VERSION {
        let path = path.to_path_buf();
        return Err(LoadError::Version { path, found });
    }
    let found: Found = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    let (grants, faults) = found.understand().map_err(damaged)?;
    let left_out = faults.len();
    let error = faults.into_iter().next().map(|reason| LoadError::Records {
        path: path.to_path_buf(),
        left_out,
        reason,
    });
    Ok((grants, error))
}

/// Keeps what can be read of the file for whoever wants to look at it.
fn set_aside(files: &Files, path: &Path) {
    let mut content = Vec::new();
    let read = files
        .open(path)
        .map(|file| file.take(MAX_FILE).read_to_end(&mut content));
    if matches!(read, Ok(Ok(_)))
        && let Err(error) = files.replace_privately(&aside(path), &content)
    {
        tracing::warn!(%error, "cannot set the file of grants aside");
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The file as it is written.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Stored {
    version: u32,
    last_id: u32,
    grants: Vec<StoredGrant>,
    requests: Vec<StoredRequest>,
}

/// The file as it is read: one grant that makes no sense must not take a pause with it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Found {
    #[serde(rename = "version")]
    _version: u32,
    last_id: u32,
    grants: Vec<serde_json::Value>,
    requests: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StoredGrant {
    id: u32,
    what: StoredWhat,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    device: Option<String>,
    since: StoredTime,
    until: StoredTime,
    by: String,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    ended: Option<StoredTime>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    undone_by: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    devices: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum StoredWhat {
    Allow(StoredSubject),
    PauseInternet,
    PauseFilter,
    Bonus { minutes: u32, of: Option<String> },
    Reveal,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredSubject {
    Everything,
    Category(String),
    Service(String),
    Name(String),
}

/// A time as RFC 3339 writes it.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct StoredTime(Timestamp);

impl TryFrom<String> for StoredTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{}` is no time", text.escape_debug()))
    }
}

impl From<StoredTime> for String {
    fn from(time: StoredTime) -> Self {
        time.0.to_string()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StoredRequest {
    id: u32,
    profile: String,
    device: String,
    subject: StoredSubject,
    why: String,
    since: StoredTime,
    times: u32,
    status: StoredStatus,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum StoredStatus {
    Waiting,
    Expired,
    Answered {
        at: StoredTime,
        by: String,
        grant: Option<u32>,
        word: String,
    },
}

impl Found {
    /// What it says, and what is wrong with what is left out.
    fn understand(self) -> Result<(Grants, Vec<String>), String> {
        let mut faults = Vec::new();
        let grants = records(self.grants, understand_grant, &mut faults);
        let requests = records(self.requests, StoredRequest::understand, &mut faults);
        if grants.len() > MAX_HOLDING + MAX_ENDED + MAX_REVEALS
            || requests.len() > requests::MAX_REQUESTS
        {
            return Err("more grants or requests than there can be".to_owned());
        }
        let highest = grants.iter().map(|it| it.id);
        let highest = highest.chain(requests.iter().map(|it| it.id)).max();
        let grants = Grants {
            last_id: self.last_id.max(highest.unwrap_or(0)),
            grants,
            requests,
        };
        Ok((grants, faults))
    }
}

/// Those of `found` that can be understood; what is wrong with the others goes to `faults`.
fn records<S: serde::de::DeserializeOwned, T>(
    found: Vec<serde_json::Value>,
    understand: impl Fn(S) -> Result<T, String>,
    faults: &mut Vec<String>,
) -> Vec<T> {
    let read = found.into_iter().map(|value| {
        let stored = serde_json::from_value(value).map_err(|error| error.to_string());
        stored.and_then(&understand)
    });
    read.filter_map(|record| record.map_err(|fault| faults.push(fault)).ok())
        .collect()
}

fn understand_grant(stored: StoredGrant) -> Result<Grant, String> {
    let what = match stored.what {
        StoredWhat::Allow(subject) => What::Allow(subject.understand()?),
        StoredWhat::PauseInternet => What::PauseInternet,
        StoredWhat::PauseFilter => What::PauseFilter,
        StoredWhat::Reveal => What::Reveal,
        StoredWhat::Bonus { minutes, .. } if minutes > MAX_BONUS => {
            return Err(format!("{minutes} bonus minutes"));
        }
        StoredWhat::Bonus { minutes, of } => What::Bonus {
            minutes,
            of: of.map(name).transpose()?,
        },
    };
    let scope = match (stored.profile, stored.device) {
        (None, None) => Scope::Everybody,
        (Some(profile), None) => Scope::Profile(name(profile)?),
        (None, Some(device)) => Scope::Device(name(device)?),
        (Some(_), Some(_)) => return Err("a profile and a device of one grant".to_owned()),
    };
    Ok(Grant {
        id: stored.id,
        what,
        scope,
        since: stored.since.0,
        until: stored.until.0,
        by: bounded_words(&stored.by, MAX_BY),
        why: bounded_words(&stored.why, MAX_WHY),
        ended: stored.ended.map(|at| Ended {
            at: at.0,
            by: stored.undone_by.map(|by| bounded_words(&by, MAX_BY)),
        }),
        devices: stored
            .devices
            .into_iter()
            .map(name)
            .collect::<Result<_, _>>()?,
    })
}

impl StoredRequest {
    fn understand(self) -> Result<Request, String> {
        Ok(Request {
            id: self.id,
            profile: name(self.profile)?,
            device: name(self.device)?,
            subject: self.subject.understand()?,
            why: bounded_words(&self.why, MAX_WHY),
            since: self.since.0,
            times: self.times,
            status: match self.status {
                StoredStatus::Waiting => RequestStatus::Waiting,
                StoredStatus::Expired => RequestStatus::Expired,
                StoredStatus::Answered {
                    at,
                    by,
                    grant,
                    word,
                } => RequestStatus::Answered(Answer {
                    at: at.0,
                    by: bounded_words(&by, MAX_BY),
                    grant,
                    word: bounded_words(&word, MAX_WHY),
                }),
            },
        })
    }
}

impl StoredSubject {
    fn understand(self) -> Result<Subject, String> {
        Ok(match self {
            Self::Everything => Subject::Everything,
            Self::Category(id) => Subject::Category(name(id)?),
            Self::Service(id) => Subject::Service(name(id)?),
            Self::Name(word) => Subject::parse(&word, |_| false, |_| false)
                .map_err(|error| format!("`{}`: {error}", word.escape_debug()))?,
        })
    }
}

/// A name of ours, within its bounds.
fn name(text: String) -> Result<String, String> {
    if text.len() > MAX_NAME || text.chars().any(char::is_control) {
        return Err("a name that cannot be".to_owned());
    }
    Ok(text)
}

impl From<&Grants> for Stored {
    fn from(grants: &Grants) -> Self {
        Self {
            version: VERSION,
            last_id: grants.last_id,
            grants: grants.grants.iter().map(StoredGrant::from).collect(),
            requests: grants.requests.iter().map(StoredRequest::from).collect(),
        }
    }
}

impl From<&Grant> for StoredGrant {
    fn from(grant: &Grant) -> Self {
        let (profile, device) = match &grant.scope {
            Scope::Everybody => (None, None),
            Scope::Profile(name) => (Some(name.clone()), None),
            Scope::Device(name) => (None, Some(name.clone())),
        };
        Self {
            id: grant.id,
            what: match &grant.what {
                What::Allow(subject) => StoredWhat::Allow(subject.into()),
                What::PauseInternet => StoredWhat::PauseInternet,
                What::PauseFilter => StoredWhat::PauseFilter,
                What::Reveal => StoredWhat::Reveal,
                What::Bonus { minutes, of } => StoredWhat::Bonus {
                    minutes: *minutes,
                    of: of.clone(),
                },
            },
            profile,
            device,
            since: StoredTime(grant.since),
            until: StoredTime(grant.until),
            by: grant.by.clone(),
            why: grant.why.clone(),
            ended: grant.ended.as_ref().map(|ended| StoredTime(ended.at)),
            undone_by: grant.ended.as_ref().and_then(|ended| ended.by.clone()),
            devices: grant.devices.clone(),
        }
    }
}

impl From<&Request> for StoredRequest {
    fn from(request: &Request) -> Self {
        Self {
            id: request.id,
            profile: request.profile.clone(),
            device: request.device.clone(),
            subject: (&request.subject).into(),
            why: request.why.clone(),
            since: StoredTime(request.since),
            times: request.times,
            status: match &request.status {
                RequestStatus::Waiting => StoredStatus::Waiting,
                RequestStatus::Expired => StoredStatus::Expired,
                RequestStatus::Answered(answer) => StoredStatus::Answered {
                    at: StoredTime(answer.at),
                    by: answer.by.clone(),
                    grant: answer.grant,
                    word: answer.word.clone(),
                },
            },
        }
    }
}

impl From<&Subject> for StoredSubject {
    fn from(subject: &Subject) -> Self {
        match subject {
            Subject::Everything => Self::Everything,
            Subject::Category(id) => Self::Category(id.clone()),
            Subject::Service(id) => Self::Service(id.clone()),
            Subject::Name(rule) => Self::Name(rule.text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;
    use crate::grants::{Ask, Said};
    use crate::wall::Wall;

    const PATH: &str = "/state/grants.json";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn full() -> Grants {
        let now = time("2026-12-01T12:00:00Z");
        let wall = Wall::Set(now);
        let mut grants = Grants::default();
        let whys = "\"".repeat(MAX_WHY + 7);
        for number in 0..MAX_HOLDING + MAX_ENDED {
            let label = "a".repeat(63);
            let name = format!("x{number:03}.{label}.{label}.{label}.example.org");
            let subject = Subject::parse(&name, |_| false, |_| false).unwrap();
            let said = Said {
                what: What::Allow(subject),
                scope: Scope::Profile("p".repeat(64)),
                until: time("2026-12-02T12:00:00.123456789Z"),
                by: "\\".repeat(MAX_BY),
                why: whys.clone(),
            };
            let id = grants.add(said, wall).unwrap();
            if number < MAX_ENDED {
                grants.undo(id, &"\\".repeat(MAX_BY), wall).unwrap();
            }
        }
        for number in 0..requests::MAX_REQUESTS {
            let ask = Ask {
                profile: "p".repeat(64),
                device: format!("{number:064}"),
                subject: Subject::Service("roblox".into()),
                why: whys.clone(),
            };
            grants.ask(ask, wall).unwrap();
            let id = grants.requests.last().unwrap().id;
            grants.deny_request(id, "me", &whys, wall).unwrap();
        }
        grants
    }

    #[test]
    fn everything_at_its_bounds_fits_and_comes_back() {
        let memory = MemoryFiles::new();
        let grants = full();
        save(&grants, &memory.files(), Path::new(PATH)).unwrap();
        let size = memory
            .files()
            .read(Path::new(PATH), MAX_FILE)
            .unwrap()
            .len();
        assert!(size > 200_000, "{size}");
        let (read, error) = load(&memory.files(), Path::new(PATH));
        assert!(error.is_none(), "{error:?}");
        assert_eq!(read, grants);
    }

    #[test]
    fn no_file_is_no_trouble() {
        let (grants, error) = load(&MemoryFiles::new().files(), Path::new(PATH));
        assert_eq!(grants, Grants::default());
        assert!(error.is_none());
    }

    #[test]
    fn what_makes_no_sense_is_set_aside_and_told() {
        let cases: [(&str, &str); 6] = [
            ("{\"version\":1,", "EOF while parsing"),
            ("{\"version\":2,\"pause\":[]}", "version 2 of the file"),
            (
                "{\"version\":1,\"last-id\":0,\"grants\":[],\"requests\":[],\"x\":1}",
                "unknown field `x`",
            ),
            (
                r#"{"version":1,"last-id":0,"requests":[],"grants":[{"id":1,"what":"pause-all",
                "since":"2026-12-01T12:00:00Z","until":"2026-12-01T12:00:00Z","by":"","why":""}]}"#,
                "unknown variant `pause-all`",
            ),
            (
                r#"{"version":1,"last-id":0,"requests":[],"grants":[{"id":1,
                "what":{"allow":{"name":"a..b"}},
                "since":"2026-12-01T12:00:00Z","until":"2026-12-01T12:00:00Z","by":"","why":""}]}"#,
                "`a..b`: ",
            ),
            ("\u{0}", "expected value"),
        ];
        for (content, expected) in cases {
            let memory = MemoryFiles::new();
            memory.put(PATH, content);
            let (grants, error) = load(&memory.files(), Path::new(PATH));
            assert_eq!(grants, Grants::default());
            let text = error.unwrap().to_string();
            assert!(text.starts_with("/state/grants.json: "), "{text}");
            assert!(text.contains(expected), "{text}");
            let kept = memory.files().read(&aside(Path::new(PATH)), 4096).unwrap();
            assert_eq!(kept, content.as_bytes());
        }
    }

    #[test]
    fn one_grant_that_cannot_be_read_takes_no_pause_with_it() {
        let memory = MemoryFiles::new();
        let grant = |id: u32, what: &str| {
            format!(
                r#"{{"id":{id},"what":{what},"since":"2026-12-01T12:00:00Z",
                "until":"2026-12-01T14:00:00Z","by":"anna","why":""}}"#
            )
        };
        let name = "x".repeat(MAX_NAME + 1);
        let texts = [
            grant(1, "\"pause-internet\""),
            grant(2, &format!(r#"{{"bonus":{{"minutes":15,"of":"{name}"}}}}"#)),
            grant(3, "\"a-later-kind\""),
        ];
        let text = format!(
            r#"{{"version":1,"last-id":3,"grants":[{}],"requests":[{{"id":"four"}}]}}"#,
            texts.join(",")
        );
        memory.put(PATH, text.clone());
        let (mut grants, error) = load(&memory.files(), Path::new(PATH));
        let error = error.unwrap();
        assert!(matches!(error, LoadError::Records { left_out: 3, .. }));
        let text_of_error = error.to_string();
        assert!(text_of_error.contains("a name that cannot be"), "{error}");
        let kept = memory.files().read(&aside(Path::new(PATH)), MAX_FILE);
        assert_eq!(kept.unwrap(), text.as_bytes());
        let wall = Wall::Set(time("2026-12-01T13:00:00Z"));
        assert_eq!(grants.holding("mia", None, wall).internet.unwrap().id, 1);
        let again = Said {
            what: What::PauseFilter,
            scope: Scope::Everybody,
            until: time("2026-12-01T14:00:00Z"),
            by: "anna".into(),
            why: String::new(),
        };
        assert_eq!(grants.add(again, wall), Ok(4), "no number is given twice");
    }

    #[test]
    fn a_file_cut_anywhere_never_breaks_anything() {
        let memory = MemoryFiles::new();
        let mut grants = full();
        grants.grants.truncate(3);
        grants.requests.truncate(2);
        save(&grants, &memory.files(), Path::new(PATH)).unwrap();
        let whole = memory.files().read(Path::new(PATH), MAX_FILE).unwrap();
        for length in 0..whole.len() - 1 {
            memory.put(PATH, &whole[..length]);
            let (read, error) = load(&memory.files(), Path::new(PATH));
            assert!(error.is_some() && read == Grants::default(), "{length}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let memory = MemoryFiles::new();
        memory.put(PATH, vec![b' '; MAX_FILE as usize + 1]);
        let (_, error) = load(&memory.files(), Path::new(PATH));
        assert!(matches!(error, Some(LoadError::File(_))), "{error:?}");
    }
}
