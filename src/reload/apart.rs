//! Compiling in a process of its own.
//!
//! Whatever compiling takes is given back to the system when that process ends, and when memory
//! runs out it is that process that is killed and not the daemon. It is this very program: what
//! runs is what `/proc/self/exe` leads to, also after an upgrade put another file in its place, so
//! that both always speak of the same [`Order`]s and indexes.
//!
//! The daemon writes an [`Order`] to the standard input of the process and reads [`Word`]s, one a
//! line, from its standard output. What is to be said of each list (entries, lines not understood,
//! fingerprint, failure) stands in the index, as it does for a daemon that starts anew. Which index
//! that is the process says: another one may stand at its place by the time the daemon opens it.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::files::{Files, Stamp, end_this_process_first};
use crate::footprint;
use crate::intern::intern;
use crate::lists::{
    self, Accepted, Index, ListFormat, ListKind, ListSource, ListSpec, Progress, Settings, Target,
    let_others_go_first, take_what_others_leave,
};
use crate::verdict::Tier;

/// The verb by which this program compiles for a daemon.
pub const VERB: &str = "compile-for-daemon";
/// This program, whatever stands at its path by now.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// The most octets of what the process says.
const MOST_WORDS: u64 = 64 * 1024;

/// Has lists compiled by another process.
#[derive(Debug)]
pub(super) struct Apart {
    /// Which program that runs.
    program: PathBuf,
    /// Whether it was told that this machine does not let us.
    told: AtomicBool,
}

/// How much of the processor a process takes while other lists are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Pace {
    /// What others leave: no query waits for it.
    Idle,
    /// Less than others.
    Behind,
}

/// How many times longer than at [`Pace::Idle`] it may take in all.
const IDLE_PART: u32 = 200;

/// What is to be compiled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work<'a> {
    pub(super) specs: &'a [ListSpec],
    pub(super) settings: &'a Settings,
    /// What lists that cannot be read say on.
    pub(super) before: Option<&'a Index>,
    pub(super) target: &'a Path,
    /// How long it may take.
    pub(super) patience: Duration,
}

/// What a process made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) index: IndexMark,
    /// What went wrong on the way, one line each.
    pub(super) warnings: Vec<String>,
}

/// Which index somebody made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexMark {
    /// Of which lists.
    recipe: [u8; 32],
    /// Its octets: what lists that cannot be read say on is in no recipe.
    octets: u64,
}

impl IndexMark {
    /// That of the index that was just made.
    pub(super) const fn of(made: &lists::Outcome) -> Self {
        Self {
            recipe: made.recipe,
            octets: made.totals.bytes,
        }
    }

    /// Whether it is that of `index`.
    pub(super) fn is_of(&self, index: &Index) -> bool {
        (&self.recipe, self.octets) == (index.recipe(), index.file_bytes())
    }
}

/// Why no process compiled the lists.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApartError {
    /// There is none; whoever asked has to do it.
    #[error("no process can be started: {0}")]
    NotStarted(String),
    /// It said why not.
    #[error("{0}")]
    Failed(String),
    /// It ended before it was done.
    #[error("the process that compiles them {0}")]
    Died(End),
    /// It was ended after this time.
    #[error("the process that compiles them was not done after {} seconds", .0.as_secs())]
    TooLong(Duration),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By a signal.
    Signal(i32),
    /// With an exit code.
    Code(i32),
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Code(status.code().unwrap_or_default()),
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Signal(KILL) => write!(f, "was killed (signal {KILL}), as when memory runs out"),
            Self::Signal(number) => write!(f, "was ended by signal {number}"),
            Self::Code(code) => write!(f, "ended with code {code} before it was done"),
        }
    }
}

/// The number of the signal that cannot be refused.
const KILL: i32 = Signal::SIGKILL as i32;

impl Default for Apart {
    fn default() -> Self {
        Self {
            program: THIS_PROGRAM.into(),
            told: AtomicBool::default(),
        }
    }
}

impl Apart {
    /// By another program than this one.
    #[cfg(test)]
    pub(super) fn by_program(program: PathBuf) -> Self {
        Self {
            program,
            ..Self::default()
        }
    }

    /// Has the lists compiled, and waits until that is done.
    ///
    /// # Errors
    /// [`ApartError`]; the target is as it was then.
    pub(super) fn compile(&self, work: Work<'_>) -> Result<Made, ApartError> {
        // The kernel ends the process with the thread that started it, which is this one: it waits
        // below until the process has ended.
        let command = || {
            let mut command = Command::new(&self.program);
            command.arg0("hedgerow").arg(VERB);
            command
        };
        if work.before.is_some() {
            let work = Work {
                patience: work.patience / IDLE_PART,
                ..work
            };
            match run(command(), work, Pace::Idle) {
                // Others left nothing.
                Err(error @ ApartError::TooLong(_)) => debug!("{error}, and is begun again"),
                done => return done,
            }
        }
        run(command(), work, Pace::Behind)
    }

    /// The sentence that says that there is no such process, the first time.
    pub(super) fn tell_once(&self, error: &ApartError) -> Option<String> {
        let told = self.told.swap(true, Ordering::Relaxed);
        (!told).then(|| format!("lists are compiled by the daemon itself: {error}"))
    }
}

/// Starts `command`, gives it its order and hears what becomes of it.
fn run(mut command: Command, work: Work<'_>, pace: Pace) -> Result<Made, ApartError> {
    let not_started = |error: io::Error| ApartError::NotStarted(error.to_string());
    let before = match work.before {
        Some(index) if index.file().is_some() => Some(inherited(index).map_err(not_started)?),
        Some(index) if index.lists().len() > 0 => {
            let why = "the lists before are in the memory of the daemon alone";
            return Err(ApartError::NotStarted(why.to_owned()));
        }
        _ => None,
    };
    let order = Order::new(work, before.as_ref(), pace);
    let order = serde_json::to_vec(&order).map_err(|error| not_started(error.into()))?;
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(not_started)?;
    debug!(pid = child.id(), "lists are compiled by another process");
    // It has a descriptor of its own by now.
    drop(before);
    let mut child = Running(child);
    let (heard, is_late) = child.converse(work.patience, &order);
    let end = child.wait().map_err(not_started)?;
    if is_late {
        return Err(ApartError::TooLong(work.patience));
    }
    conclude(heard, end)
}

/// What came of it.
fn conclude(heard: Heard, end: ExitStatus) -> Result<Made, ApartError> {
    match (heard.last, End::from(end)) {
        (Some(Word::Done { index, warnings }), End::Code(0)) => Ok(Made { index, warnings }),
        (Some(Word::Failed { why }), _) => Err(ApartError::Failed(why)),
        (Some(Word::Begun | Word::Done { .. }), end) => Err(ApartError::Died(end)),
        // Whoever has no memory for it has none for doing it himself.
        (None, end @ End::Signal(KILL)) if heard.trouble.is_none() => Err(ApartError::Died(end)),
        (None, end) => Err(ApartError::NotStarted(match heard.trouble {
            Some(trouble) => trouble.to_string(),
            None => format!("it {end}"),
        })),
    }
}

/// A descriptor of the file of `index` that a process we start has too.
fn inherited(index: &Index) -> io::Result<OwnedFd> {
    let file = index.file().ok_or(io::ErrorKind::NotFound)?;
    let file = OwnedFd::from(file.try_clone()?);
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(file)
}

/// What a process said until it said no more.
#[derive(Debug, Default)]
struct Heard {
    last: Option<Word>,
    /// Why it was listened to no longer.
    trouble: Option<io::Error>,
}

impl Heard {
    /// Of a process nobody could listen to.
    fn nothing(trouble: io::Error) -> Self {
        Self {
            last: None,
            trouble: Some(trouble),
        }
    }

    /// What comes out of `output` until it ends.
    fn from_output(output: impl Read) -> Self {
        let mut heard = Self::default();
        for line in BufReader::new(output.take(MOST_WORDS)).lines() {
            let word = line.and_then(|line| Ok(serde_json::from_str(&line)?));
            match word {
                Ok(word) => heard.last = Some(word),
                Err(error) => {
                    heard.trouble = Some(error);
                    break;
                }
            }
        }
        heard
    }
}

/// A process that is ended with this value.
struct Running(Child);

impl Running {
    /// Says `order` and hears all there is to hear, until the process has ended; and whether it was
    /// ended since that took longer than `patience`.
    fn converse(&mut self, patience: Duration, order: &[u8]) -> (Heard, bool) {
        let pid = Pid::from_raw(self.0.id().cast_signed());
        let (input, output) = (self.0.stdin.take(), self.0.stdout.take());
        let (enough, is_enough) = mpsc::channel();
        let child = &mut self.0;
        thread::scope(|scope| {
            let watch = thread::Builder::new().spawn_scoped(scope, move || {
                let waited = is_enough.recv_timeout(patience);
                if waited != Err(RecvTimeoutError::Disconnected) {
                    drop(child.kill());
                }
                waited == Err(RecvTimeoutError::Timeout)
            });
            let watch = match watch {
                Ok(watch) => watch,
                Err(error) => return (Heard::nothing(error), false),
            };
            // The order ends where the pipe is closed. Of one that does not take it we hear below.
            if let Some(mut input) = input {
                drop(input.write_all(order));
            }
            let heard = output.map(Heard::from_output).unwrap_or_default();
            if heard.trouble.is_some() {
                // It is not what we take it for, and may go on for ever.
                let _gone = enough.send(());
            }
            // Who says no more may go on all the same.
            let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            while waitid(Id::Pid(pid), ended) == Err(Errno::EINTR) {}
            drop(enough);
            (heard, watch.join().unwrap_or(false))
        })
    }

    fn wait(&mut self) -> io::Result<ExitStatus> {
        // Of no effect on one that has ended.
        drop(self.0.kill());
        self.0.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of no effect on one that has ended and was waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What the daemon tells the process.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    /// The process that waits for the index.
    daemon: u32,
    lists: Vec<ListOrder>,
    memory: usize,
    work_folder: Option<OsString>,
    /// See [`Settings::accept`].
    accept: Vec<(String, Stamp)>,
    /// Where the index before can be opened.
    before: Option<OsString>,
    pace: Pace,
    target: OsString,
}

/// A [`ListSpec`] as it is handed over.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ListOrder {
    id: String,
    category: String,
    kind: String,
    tier: String,
    source: SourceOrder,
    format: Option<String>,
    member: Option<String>,
    public_suffixes: bool,
    urls: Vec<String>,
    sha256: Option<[u8; 32]>,
}

/// A [`ListSource`] as it is handed over.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum SourceOrder {
    Embedded(String),
    File(OsString),
    Inline(Vec<String>),
}

/// What the process tells the daemon.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// It has begun.
    Begun,
    /// The index stands at its place.
    Done {
        index: IndexMark,
        warnings: Vec<String>,
    },
    /// There is no new index.
    Failed { why: String },
}

impl Order {
    fn new(work: Work<'_>, before: Option<&OwnedFd>, pace: Pace) -> Self {
        let os = |path: &Path| path.as_os_str().to_owned();
        let accept = work.settings.accept.iter();
        let accept = accept.map(|it| (it.id.clone(), it.stamp));
        Self {
            daemon: std::process::id(),
            lists: work.specs.iter().map(ListOrder::new).collect(),
            memory: work.settings.memory,
            work_folder: work.settings.folder.as_deref().map(os),
            accept: accept.collect(),
            before: before.map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()).into()),
            pace,
            target: os(work.target),
        }
    }

    fn settings(&self) -> Settings {
        let accept = self.accept.iter().cloned();
        let accept = accept.map(|(id, stamp)| Accepted { id, stamp });
        Settings {
            memory: self.memory,
            folder: self.work_folder.as_ref().map(Into::into),
            accept: accept.collect(),
        }
    }

    /// The lists; none if there is a word we do not know.
    fn specs(&self) -> Option<Vec<ListSpec>> {
        self.lists.iter().map(ListOrder::spec).collect()
    }
}

impl ListOrder {
    fn new(spec: &ListSpec) -> Self {
        Self {
            id: spec.id.clone(),
            category: spec.category.clone(),
            kind: spec.kind.label().to_owned(),
            tier: spec.tier.label().to_owned(),
            source: match &spec.source {
                ListSource::Embedded(name) => SourceOrder::Embedded((*name).to_owned()),
                ListSource::File(path) => SourceOrder::File(path.as_os_str().to_owned()),
                ListSource::Inline(lines) => SourceOrder::Inline(lines.clone()),
            },
            format: spec.format.map(|format| format.label().to_owned()),
            member: spec.member.clone(),
            public_suffixes: spec.public_suffixes,
            urls: spec.urls.clone(),
            sha256: spec.sha256,
        }
    }

    fn spec(&self) -> Option<ListSpec> {
        Some(ListSpec {
            id: self.id.clone(),
            category: self.category.clone(),
            kind: found(ListKind::ALL, |it| it.label(), &self.kind)?,
            tier: found(Tier::ALL, |it| it.label(), &self.tier)?,
            source: match &self.source {
                SourceOrder::Embedded(name) => ListSource::Embedded(intern(name)),
                SourceOrder::File(path) => ListSource::File(path.into()),
                SourceOrder::Inline(lines) => ListSource::Inline(lines.clone()),
            },
            format: match &self.format {
                Some(format) => Some(found(ListFormat::ALL, |it| it.label(), format)?),
                None => None,
            },
            member: self.member.clone(),
            public_suffixes: self.public_suffixes,
            urls: self.urls.clone(),
            sha256: self.sha256,
        })
    }
}

/// The one of `all` with this label.
fn found<T: Copy>(
    all: impl IntoIterator<Item = T>,
    label_of: fn(T) -> &'static str,
    label: &str,
) -> Option<T> {
    all.into_iter().find(|one| label_of(*one) == label)
}

/// Compiles what the order on `input` says, as [`Apart`] wants it done, and says on `output` what
/// came of it.
///
/// # Errors
/// When nobody hears us any more.
pub fn compile_for_daemon(input: impl Read, mut output: impl Write) -> io::Result<()> {
    step_back();
    say(&mut output, &Word::Begun)?;
    let word = match take_order(input) {
        Ok(Made { index, warnings }) => Word::Done { index, warnings },
        Err(why) => Word::Failed { why },
    };
    say(&mut output, &word)
}

/// Goes behind everybody else for memory, and to the end with the daemon. Where the system does not
/// let us there is nothing to be done about it.
fn step_back() {
    let _granted = [
        prctl::set_pdeathsig(Signal::SIGKILL).is_ok(),
        // Linux would call us by the last part of `/proc/self/exe`.
        prctl::set_name(c"hedgerow-lists").is_ok(),
        end_this_process_first().is_ok(),
    ];
}

fn say(output: &mut impl Write, word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

/// Does what the order says; or tells why not.
fn take_order(input: impl Read) -> Result<Made, String> {
    let order: Order = serde_json::from_reader(input)
        .map_err(|error| format!("the order of the daemon cannot be understood: {error}"))?;
    // It may have ended before the kernel knew that we want to end with it.
    if nix::unistd::getppid().as_raw() as u32 != order.daemon {
        return Err("nobody waits for the lists".to_owned());
    }
    let files = Files::disk();
    let said = |error: &dyn std::error::Error| error.to_string();
    let mut warnings = Vec::new();
    let before = order.before.as_ref().and_then(|path| {
        // There is something that serves meanwhile. Without it the whole home waits for us.
        let _granted = let_others_go_first();
        if order.pace == Pace::Idle {
            let _granted = take_what_others_leave();
        }
        let opened = Index::open(&files, Path::new(path));
        // One that broke while it was in use must not keep its successor away.
        let told = |error| {
            warnings.push(format!(
                "the lists in force cannot be read again, so that a list that cannot be read now \
                 keeps nothing of them: {error}"
            ));
        };
        opened.map_err(told).ok()
    });
    let specs = order.specs();
    let specs = specs.ok_or("the order of the daemon has a word nobody knows")?;
    let target = Path::new(OsStr::new(&order.target));
    // What each stage has used makes room for the next, and what it used once for the rest of it.
    let (mut stage, mut calls) = (None, 0_u32);
    let mut let_go = |progress: Progress| {
        if stage.replace(progress.stage) != Some(progress.stage) {
            calls = 0;
        }
        calls = calls.saturating_add(1);
        if calls.is_power_of_two() {
            footprint::let_go_of_code();
        }
    };
    let done = lists::compile(
        &specs,
        &order.settings(),
        &files,
        before.as_ref(),
        &mut let_go,
        &|| false,
        Target::File(target),
    );
    let done = done.map_err(|error| said(&error))?;
    Ok(Made {
        index: IndexMark::of(&done),
        warnings,
    })
}

#[cfg(test)]
mod tests;
