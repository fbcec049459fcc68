//! When an authority is asked, and what of that outlives a restart.
//!
//! Authorities count what they issue and what failed, for a week. So each attempt is on the disk before
//! it begins: a daemon that is started again and again, or whose disk is full, does not use up in an
//! hour what the home has for days. The records that the hook wrote stand there too, so that none stays
//! in the zone because the power went.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{AcmeError, AcmeSettings, Method, challenge, obtain};
use crate::certificate::{Certificates, MAX_FILE};
use crate::clock::{Clock, Moment, Timestamp};
use crate::files::{FileError, Files};
use crate::update::Resolve;

/// How long to wait after a failure, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_mins(15);
const LONGEST_PAUSE: Duration = Duration::from_hours(24);
/// How long the hook may take to remove records when the daemon ends: what is left is removed after
/// the next start.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// Records that are remembered: a hook that cannot remove any must not fill the disk.
const MAX_RECORDS: usize = 16;

/// How long to wait after `failures` in a row.
pub fn pause_after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// Asks for a certificate whenever one is due.
#[derive(Debug)]
pub struct Keeper {
    names: Arc<dyn Resolve>,
    clock: Clock,
    /// What is wanted, and what is known of it; none before the first turn.
    wanted: Option<(AcmeSettings, Diary)>,
    /// Before when not to ask again.
    again: Moment,
}

/// What came of a look.
#[derive(Debug)]
pub enum Turn {
    /// Nothing has to be done.
    Fine,
    /// It is not time yet to ask again.
    Rest,
    /// The same after a start, because of what went wrong before it.
    Waiting(String),
    /// There is a new certificate on the disk.
    Issued,
    /// There is none, and it is asked again after `pause`.
    Failed {
        /// Why.
        error: AcmeError,
        /// How long.
        pause: Duration,
    },
    /// The daemon ends.
    Stopped,
}

impl Keeper {
    /// One that asks `names` where an authority is.
    pub const fn new(names: Arc<dyn Resolve>, clock: Clock) -> Self {
        Self {
            names,
            clock,
            wanted: None,
            again: Moment::from_micros(0),
        }
    }

    /// Asks for what `settings` want if it is due at `wall`, until `stopped` says so. Takes as long as
    /// the disk takes, the authority, and whoever has to see a record.
    pub async fn turn(
        &mut self,
        settings: &AcmeSettings,
        certificates: &Certificates,
        wall: Timestamp,
        stopped: &mut watch::Receiver<bool>,
    ) -> Turn {
        let files = certificates.files();
        let mut before = None;
        let (_, diary) = match &mut self.wanted {
            Some(wanted) if wanted.0 == *settings => wanted,
            other => {
                // What was wrong may be mended.
                let mut diary = Diary::open(files, settings);
                let rest = diary.kept.rest(wall);
                self.again = self.clock.now().after(rest);
                before = diary.kept.why.clone().filter(|_| !rest.is_zero());
                diary.remove_records(&settings.method, None).await;
                other.insert((settings.clone(), diary))
            }
        };
        if !settings.is_due(files, wall) {
            return Turn::Fine;
        }
        if self.clock.now() < self.again {
            return before.map_or(Turn::Rest, Turn::Waiting);
        }
        let failures = diary.kept.failures.saturating_add(1);
        let pause = pause_after(failures);
        diary.kept.failures = failures;
        diary.kept.not_before = after(wall, pause);
        let done = attempt(
            settings,
            certificates,
            &self.names,
            &self.clock,
            diary,
            stopped,
        )
        .await;
        let is_end = matches!(done, Err(AcmeError::Stopped)).then_some(END_PATIENCE);
        diary.remove_records(&settings.method, is_end).await;
        let error = match done {
            Ok(()) if !settings.is_due(files, wall) => {
                diary.kept.succeed();
                diary.write_or_tell();
                self.again = self.clock.now();
                return Turn::Issued;
            }
            // Asked again at once it would come again, until the authority has enough of us.
            Ok(()) => AcmeError::Unsuitable,
            Err(error) => error,
        };
        if is_end.is_some() {
            // Nobody's fault.
            diary.kept.failures -= 1;
            diary.kept.not_before = 0;
            diary.write_or_tell();
            return Turn::Stopped;
        }
        diary.kept.why = Some(error.to_string());
        diary.write_or_tell();
        self.again = self.clock.now().after(pause);
        Turn::Failed { error, pause }
    }
}

/// One attempt, which `diary` knows of.
async fn attempt(
    settings: &AcmeSettings,
    certificates: &Certificates,
    names: &Arc<dyn Resolve>,
    clock: &Clock,
    diary: &mut Diary,
    stopped: &mut watch::Receiver<bool>,
) -> Result<(), AcmeError> {
    let files = certificates.files();
    files.create_folder(&settings.place())?;
    diary.write()?;
    let names = Arc::clone(names);
    let asking = obtain(settings, certificates, names, clock, diary);
    let done = tokio::select! {
        done = asking => done,
        // An error means that who would say so is gone.
        _ = stopped.wait_for(|it| *it) => Err(AcmeError::Stopped),
    };
    certificates.show_challenge(None);
    done
}

fn after(wall: Timestamp, pause: Duration) -> i64 {
    wall.as_second().saturating_add_unsigned(pause.as_secs())
}

/// What is remembered.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// What was asked for ([`AcmeSettings::asked`]): attempts at something else do not count.
    wanted: String,
    /// The URL of the order that was made and has not come to its end (RFC 8555 section 7.1.3).
    #[serde(default)]
    order: Option<String>,
    /// Attempts in a row that gave none, the one that began last included.
    failures: u32,
    /// Before when not to ask again, in seconds since 1970.
    not_before: i64,
    /// What went wrong last.
    why: Option<String>,
    /// Name and value of each record that the hook wrote, or was about to, and has not removed.
    records: Vec<(String, String)>,
}

impl Kept {
    /// How long to wait at `wall`. More than we ever meant to was said by a clock that was wrong.
    fn rest(&self, wall: Timestamp) -> Duration {
        let rest = self.not_before.saturating_sub(wall.as_second());
        let rest = Duration::from_secs(u64::try_from(rest).unwrap_or(0));
        match rest > LONGEST_PAUSE {
            true => Duration::ZERO,
            false => rest,
        }
    }

    fn succeed(&mut self) {
        self.failures = 0;
        self.not_before = 0;
        self.why = None;
    }
}

/// What is remembered of one name, in its folder.
#[derive(Debug)]
pub(super) struct Diary {
    files: Files,
    path: PathBuf,
    kept: Kept,
}

impl Diary {
    /// What is known from before; nothing where it cannot be read.
    fn open(files: &Files, settings: &AcmeSettings) -> Self {
        let path = settings.place().join("acme-state.json");
        let read = files.read(&path, MAX_FILE).ok();
        let mut kept: Kept = read
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let wanted = settings.asked();
        if kept.wanted != wanted {
            kept = Kept {
                wanted,
                records: kept.records,
                ..Kept::default()
            };
        }
        Self {
            files: files.clone(),
            path,
            kept,
        }
    }

    fn write(&self) -> Result<(), FileError> {
        // There is nothing in it that could not be written as JSON.
        let text = serde_json::to_vec(&self.kept).unwrap_or_default();
        self.files.replace(&self.path, &text)
    }

    fn write_or_tell(&self) {
        if let Err(error) = self.write() {
            tracing::warn!(%error, "what an authority was asked will not be known after a restart");
        }
    }

    /// The order that was begun before.
    pub(super) fn order(&self) -> Option<&str> {
        self.kept.order.as_deref()
    }

    /// Remembers the order at `url`, before anything is done for it.
    ///
    /// # Errors
    /// It cannot be remembered.
    pub(super) fn keep_order(&mut self, url: &str) -> Result<(), FileError> {
        self.kept.order = Some(url.to_owned());
        self.write()
    }

    /// Nothing more comes of the order.
    pub(super) fn forget_order(&mut self) {
        self.kept.order = None;
        self.write_or_tell();
    }

    /// Has `hook` write a record, and remembers that before.
    ///
    /// # Errors
    /// It cannot be remembered, or the hook fails: what it did may be half of it.
    pub(super) async fn add_record(
        &mut self,
        hook: &Path,
        name: String,
        value: String,
    ) -> Result<(), AcmeError> {
        let surplus = (self.kept.records.len() + 1).saturating_sub(MAX_RECORDS);
        self.kept.records.drain(..surplus);
        self.kept.records.push((name.clone(), value.clone()));
        self.write()?;
        challenge::run_hook(hook, "present", &name, &value).await
    }

    /// Has the hook remove what it wrote, each within `patience` if that is given.
    async fn remove_records(&mut self, method: &Method, patience: Option<Duration>) {
        if self.kept.records.is_empty() {
            return;
        }
        let Method::Dns(hook) = method else {
            tracing::warn!("records of ACME stay in the zone: no hook is there that removes them");
            return;
        };
        let mut left = Vec::new();
        for (name, value) in std::mem::take(&mut self.kept.records) {
            let removing = challenge::run_hook(hook, "remove", &name, &value);
            let removed = match patience {
                Some(patience) => match tokio::time::timeout(patience, removing).await {
                    Ok(removed) => removed,
                    Err(_) => Err(AcmeError::Stopped),
                },
                None => removing.await,
            };
            if let Err(error) = removed {
                tracing::warn!(%error, name, "a record that is not needed any more stays");
                left.push((name, value));
            }
        }
        self.kept.records = left;
        self.write_or_tell();
    }
}
