//! From the sources of all lists to one index, in bounded memory.
//!
//! [`compile`] reads list after list ([`read`]), turns what their lines say into records that
//! compare like the index is ordered ([`record`]), sorts them on the disk where they are more than
//! memory holds ([`sort`]), gathers what is said of each name and leaves out what a parent says
//! already ([`group`], [`fold`]), and writes the index ([`pipeline`]). The index in use is not
//! touched: the new one is written beside it and takes its place in one step, at the very end.
//!
//! What comes out depends on what the lists say and on nothing else: not on the memory, not on the
//! number of working files, not on the order of lines.

mod aside;
mod beside;
mod build;
mod fold;
mod group;
mod pipeline;
mod read;
mod recipe;
mod record;
mod run;
mod search;
mod sort;
mod suffix;
#[cfg(test)]
mod tests;
mod verify;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::guard::Protected;
use super::index::{Index, IndexError, Totals, WriteError};
use super::parse::ReadOptions;
use super::{ListFormat, ListInfo, ListKind, services};
use crate::files::{FileError, Files, Stamp};
use crate::intern::intern;
use crate::verdict::Tier;

pub use aside::{let_others_go_first, take_what_others_leave};
pub use build::IndexBuilder;
pub use read::open;
pub use recipe::recipe;
pub use search::{Dropped, Line, lines_about};
pub use suffix::{PublicSuffix, public_suffix};
pub use verify::{Difference, VerifyReport, verify};

use pipeline::Pipeline;
use read::Terms;
use run::Workshop;

/// A list to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSpec {
    /// Its id, unique.
    pub id: String,
    /// The category it fills.
    pub category: String,
    /// What its names are for.
    pub kind: ListKind,
    /// The weight of its blocks.
    pub tier: Tier,
    /// Where it is.
    pub source: ListSource,
    /// Its syntax; none is detected from the content.
    pub format: Option<ListFormat>,
    /// What to read of it if it is an archive; see [`ReadOptions::member`].
    pub member: Option<String>,
    /// Whether it may name public suffixes such as `co.uk` and `github.io` with all below them.
    pub public_suffixes: bool,
    /// Where it is fetched from (the list, its deltas, its signature), if it is: servers that no
    /// list may take.
    pub urls: Vec<String>,
    /// SHA-256 of what was downloaded, where that is known: a file that is something else was cut
    /// off or damaged since, and counts as one that cannot be read.
    pub sha256: Option<[u8; 32]>,
}

impl ListSpec {
    /// What is protected from all of `specs`: what always is, and where they come from.
    pub fn protected(specs: &[Self]) -> Protected {
        let urls = specs.iter().flat_map(|spec| &spec.urls);
        Protected::with_servers(urls.map(String::as_str))
    }

    /// Whether it may have broken since it was compiled last: a file that somebody writes here.
    /// What is downloaded was judged when it came, and a copy of another address may be of another
    /// size; lines of the configuration are what they are.
    const fn may_collapse(&self) -> bool {
        matches!(self.source, ListSource::File(_)) && self.urls.is_empty()
    }

    /// Whether it may not take what is protected: a list that somebody else writes. Lines of the
    /// configuration are the household's own.
    fn is_guarded(&self) -> bool {
        matches!(self.kind, ListKind::Block | ListKind::Sealed)
            && !matches!(self.source, ListSource::Inline(_))
            && !self.is_service()
    }

    /// The list of a service that came with the program.
    pub fn service(service: &services::Service) -> Self {
        Self {
            id: service.id.to_owned(),
            category: service.category().to_owned(),
            kind: ListKind::Block,
            tier: Tier::ChildSafety,
            source: ListSource::Embedded(service.file),
            format: Some(ListFormat::Wildcards),
            member: None,
            public_suffixes: false,
            urls: Vec::new(),
            sha256: None,
        }
    }

    /// Whether it holds the names of a service.
    pub fn is_service(&self) -> bool {
        matches!(self.source, ListSource::Embedded(file) if services::is_file(file))
    }

    fn service_title(&self) -> Option<&'static str> {
        match self.source {
            ListSource::Embedded(file) => Some(services::of_file(file)?.title),
            ListSource::File(_) | ListSource::Inline(_) => None,
        }
    }

    /// How to read it.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions {
            member: self.member.clone(),
            ..ReadOptions::format(self.format)
        }
    }

    /// What is known of the list before it is read.
    fn info(&self) -> ListInfo {
        ListInfo {
            service: self.service_title(),
            origin: self.source.origin(),
            format: self.format,
            ..ListInfo::new(
                intern(&self.id),
                intern(&self.category),
                self.kind,
                self.tier,
            )
        }
    }
}

/// Where a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListSource {
    /// In the program itself: the file name under `blocklists/`.
    Embedded(&'static str),
    /// A file.
    File(PathBuf),
    /// Lines in the configuration.
    Inline(Vec<String>),
}

/// Where the lines of a list of the household's own are, for people.
pub(super) const OWN: &str = "configuration";

impl ListSource {
    /// Where that is, for people.
    fn origin(&self) -> Cow<'static, str> {
        match self {
            Self::Embedded(name) if services::is_file(name) => services::ORIGIN.into(),
            Self::Embedded(name) => format!("embedded blocklists/{name}").into(),
            Self::File(path) => path.display().to_string().into(),
            Self::Inline(_) => OWN.into(),
        }
    }
}

/// How to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Octets of memory that a process takes which does nothing but compile, more or less; 8 MiB
    /// at least, of which the program itself takes most.
    pub memory: usize,
    /// The folder for working files, which have no names and vanish with the process; none keeps
    /// everything in memory, whatever it takes.
    pub folder: Option<PathBuf>,
    /// Files that are taken however much they shrank or grew.
    pub accept: Vec<Accepted>,
}

impl Settings {
    /// Octets of memory unless somebody says otherwise.
    pub const MEMORY: usize = 8 << 20;

    /// With working files in `folder`.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            memory: Self::MEMORY,
            folder: Some(folder.into()),
            accept: Vec::new(),
        }
    }

    /// Without working files.
    pub const fn in_memory() -> Self {
        Self {
            memory: Self::MEMORY,
            folder: None,
            accept: Vec::new(),
        }
    }

    /// What the buffers of the compiler may take of [`Self::memory`]: all but 5 MiB for the program
    /// itself, its stack and what reading a list takes.
    const fn buffers(&self) -> usize {
        const ELSEWHERE: usize = 5 << 20;
        // Tests have less memory than the program takes.
        let least = self.memory / 8 * 3;
        let rest = self.memory.saturating_sub(ELSEWHERE);
        if rest > least { rest } else { least }
    }
}

/// A list in a file that somebody takes as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The list's id.
    pub id: String,
    /// What the file was like when it was said.
    pub stamp: Stamp,
}

impl Accepted {
    /// Those of `specs` whose ids are among `ids`, as their files are now.
    pub fn now<'s>(
        ids: &[String],
        specs: impl IntoIterator<Item = &'s ListSpec>,
        files: &Files,
    ) -> Vec<Self> {
        let specs = specs.into_iter().filter(|spec| ids.contains(&spec.id));
        let accepted = specs.filter_map(|spec| {
            let ListSource::File(path) = &spec.source else {
                return None;
            };
            let id = spec.id.clone();
            files.stamp(path).map(|stamp| Self { id, stamp })
        });
        accepted.collect()
    }

    /// Whether the file of `spec` is the one it was said of.
    fn is_of(&self, spec: &ListSpec, files: &Files) -> bool {
        match &spec.source {
            ListSource::File(path) => self.id == spec.id && files.stamp(path) == Some(self.stamp),
            ListSource::Embedded(_) | ListSource::Inline(_) => false,
        }
    }
}

/// Where the index goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// To this file, whose old content stays there until the new one is whole.
    File(&'a Path),
    /// To [`Outcome::bytes`].
    Memory,
}

/// How far compiling has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How much of it is done: octets of sources, records.
    pub done: u64,
    /// How much there is, in the same unit.
    pub total: u64,
}

/// What the compiler is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the lists.
    Reading,
    /// Putting what they say together and writing the index.
    Writing,
}

/// What came of compiling.
#[derive(Debug)]
pub struct Outcome {
    /// The lists, in the order of their ids.
    pub lists: Vec<ListInfo>,
    /// What tells the index from those of other lists: [`Index::recipe`].
    pub recipe: [u8; 32],
    /// What the index has become.
    pub totals: Totals,
    /// Different names that lists mention; more than are stored where some are folded away.
    pub mentioned: u64,
    /// How often a list says of a name what it says of a parent already.
    pub folded: u64,
    /// The index, where it was to stay in memory.
    pub bytes: Option<Vec<u8>>,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Somebody no longer wants it.
    #[error("cancelled")]
    Cancelled,
    /// Another process compiles to the same folder.
    #[error("another process compiles the lists at this moment")]
    Busy,
    /// A [`ListId`](super::ListId) has 16 bits.
    #[error("more than {most} lists", most = MAX_LISTS)]
    TooManyLists,
    /// Without working files, everything must fit into memory that 31 bits can address.
    #[error("more than fits into memory, and there is no folder for working files")]
    TooLarge,
    /// A pattern or an address that cannot be taken, where it does not come from a list.
    #[error("{0}")]
    Item(String),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The index cannot be written.
    #[error(transparent)]
    Write(WriteError),
    /// The index just written in memory is refused.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// The most lists of an index.
const MAX_LISTS: usize = u16::MAX as usize;

/// Reads and compiles `specs`, whose places become their ids in the index.
///
/// A list that cannot be loaded keeps what it said in the index `before`, if it was there, and says
/// why in [`ListInfo::stale`]; otherwise it is there without names and says why in its
/// [`ListInfo::failure`]. `cancelled` is asked before every block that is read and every now and
/// then while the index is written.
///
/// # Errors
/// [`CompileError`]; never because of what a list holds. The target is as it was then.
pub fn compile(
    specs: &[ListSpec],
    settings: &Settings,
    files: &Files,
    before: Option<&Index>,
    progress: &mut dyn FnMut(Progress),
    cancelled: &dyn Fn() -> bool,
    target: Target<'_>,
) -> Result<Outcome, CompileError> {
    if specs.len() > MAX_LISTS {
        return Err(CompileError::TooManyLists);
    }
    if cancelled() {
        return Err(CompileError::Cancelled);
    }
    // Two that write the same file at once would write into the one that is in use.
    let _lock = match target {
        Target::File(path) => {
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            match files.lock(folder) {
                Ok(lock) => Some(lock.ok_or(CompileError::Busy)?),
                // What is wrong with the folder is told of the file, below.
                Err(_) => None,
            }
        }
        Target::Memory => None,
    };
    // First, so that what a process that was killed left there is gone whatever happens below.
    let draft = match target {
        Target::File(path) => Some((path, files.draft(path)?)),
        Target::Memory => None,
    };
    let workshop = settings.folder.as_ref().map(|folder| Workshop {
        files: files.clone(),
        folder: folder.clone(),
    });
    let mut pipeline = Pipeline::new(workshop, settings.buffers());
    let protected = ListSpec::protected(specs);
    let terms = Terms {
        accept: &settings.accept,
        protected: &protected,
    };
    read::read_all(
        specs,
        terms,
        files,
        before,
        &mut pipeline,
        progress,
        cancelled,
    )?;
    let of_content = |lists: &[ListInfo]| recipe::of_content(specs, &protected, lists);
    let mut tick = |done: u64, total: u64| {
        if cancelled() {
            return Err(CompileError::Cancelled);
        }
        progress(Progress {
            stage: Stage::Writing,
            done,
            total,
        });
        Ok(())
    };
    match draft {
        Some((path, mut draft)) => {
            let outcome = pipeline.write(of_content, &mut draft, &mut tick);
            let outcome = outcome.map_err(|error| at_path(error, path))?;
            if cancelled() {
                return Err(CompileError::Cancelled);
            }
            draft.commit().map_err(|source| failed(path, source))?;
            Ok(outcome)
        }
        None => {
            let mut out = io::Cursor::new(Vec::new());
            let outcome = pipeline.write(of_content, &mut out, &mut tick)?;
            Ok(Outcome {
                bytes: Some(out.into_inner()),
                ..outcome
            })
        }
    }
}

/// Compiles to an index in memory, without working files: for few lists, such as those that come
/// with the program.
///
/// # Errors
/// See [`compile`].
pub fn compile_in_memory(
    specs: &[ListSpec],
    files: &Files,
    before: Option<&Index>,
    cancelled: &dyn Fn() -> bool,
) -> Result<Index, CompileError> {
    let settings = Settings::in_memory();
    let quiet = &mut |_| {};
    let outcome = compile(
        specs,
        &settings,
        files,
        before,
        quiet,
        cancelled,
        Target::Memory,
    )?;
    Ok(Index::from_bytes(outcome.bytes.unwrap_or_default())?)
}

/// The same error, with the path where it is about the index that is written.
fn at_path(error: CompileError, path: &Path) -> CompileError {
    match error {
        CompileError::Write(WriteError::Output(source)) => failed(path, source),
        other => other,
    }
}

fn failed(path: &Path, source: io::Error) -> CompileError {
    CompileError::File(FileError {
        path: path.to_path_buf(),
        doing: "cannot write",
        source,
    })
}
