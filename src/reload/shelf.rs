//! The compiled lists on the disk: which file serves, and when it is made anew.
//!
//! At the start the index of the last run serves, whatever has changed since: a minute without
//! names is worse than a minute with yesterday's lists. Where the lists are small they are compiled
//! first, since that takes no time anybody notices. A note beside the index says what it was made
//! from; without it, or where it says something else, the index is compiled again.
//!
//! Where there is no index and none can be made, the lists that are at hand serve: those that came
//! with the program and those in the configuration. They are few, so that the daemon compiles them
//! in its own memory whatever became of the process that was to compile all of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::apart::{Apart, ApartError, IndexMark, Made, Work};
use crate::config::ListStore;
use crate::files::{FileError, Files, Stamp};
use crate::footprint;
use crate::lists::sealed::{Day, FeedHead, KEYS_FILE, MAX_KEYS_FILE, SealKeys, is_feed};
use crate::lists::{
    self, Accepted, CompileError, Index, IndexError, ListFormat, ListKind, ListSource, ListSpec,
    Settings, Target, starter,
};

/// Lists of fewer octets together are compiled before the first answer rather than after it.
const SOON: u64 = 2 << 20;
/// The most octets of a sealed list's head.
const HEAD: u64 = 16 * 1024;
/// The most octets of the note.
const SMALL_FILE: u64 = 64 * 1024;

/// An index that can serve.
#[derive(Debug)]
pub(super) struct Served {
    /// All lists, or those there are.
    pub(super) index: Index,
    /// What it holds.
    pub(super) standing: Standing,
    /// What went wrong on the way, one line each.
    pub(super) warnings: Vec<String>,
}

/// How an index stands to what the lists say now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It holds that.
    Current,
    /// It holds what they said in an earlier run; nobody tried to make it anew yet.
    Earlier,
    /// It is what there is since it could not be made anew.
    Failed,
}

/// Why there is no new index.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenewError {
    /// It cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The process that was to compile it did not.
    #[error(transparent)]
    Apart(ApartError),
    /// What was compiled cannot be opened.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Something else stands in its place.
    #[error("another process compiled the lists at the same time")]
    Another,
}

impl RenewError {
    /// Whether whoever compiled came to a bad end, as anybody may who does the same.
    const fn was_fatal(&self) -> bool {
        use ApartError::{Died, TooLong};
        matches!(self, Self::Apart(Died(_) | TooLong(_)))
    }
}

/// Where compiled lists are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shelf<'a> {
    files: &'a Files,
    store: &'a ListStore,
    /// Whether anything may be written.
    writes: bool,
    /// By the household's clock.
    today: Day,
    /// See [`Settings::accept`].
    accept: &'a [Accepted],
    /// Has another process compile, if there may be one.
    apart: Option<&'a Apart>,
}

impl<'a> Shelf<'a> {
    /// The shelf of `store`; one that only looks writes nothing and compiles in memory.
    pub(super) const fn new(
        files: &'a Files,
        store: &'a ListStore,
        writes: bool,
        today: Day,
        apart: Option<&'a Apart>,
    ) -> Self {
        Self {
            files,
            store,
            writes,
            today,
            accept: &[],
            apart,
        }
    }

    /// The same, where the lists `accept` are taken however much they shrank or grew.
    pub(super) const fn accepting(self, accept: &'a [Accepted]) -> Self {
        Self { accept, ..self }
    }

    /// Whether an index can be put there.
    pub(super) fn is_writable(&self) -> bool {
        self.writes && self.files.scratch(&self.store.folder).is_ok()
    }

    /// What serves first.
    ///
    /// # Errors
    /// When there is no index and none can be made.
    pub(super) fn first(&self, specs: &[ListSpec]) -> Result<Served, CompileError> {
        let path = self.store.index();
        let mut warnings = Vec::new();
        let last = match Index::open(self.files, &path) {
            Ok(index) => Some(index),
            Err(IndexError::File(error)) if is_absent(&error) => None,
            Err(error) => {
                warnings.push(format!("{error}; the lists are compiled again"));
                None
            }
        };
        if let Some(index) = last {
            let is_current = self.is_current(&index, specs);
            let standing = if is_current {
                Standing::Current
            } else if self.writes && self.weight(specs) > SOON {
                Standing::Earlier
            } else {
                match self.renew(specs, Some(&index)) {
                    Ok(served) => return Ok(served),
                    Err(error) => warnings.push(told(&error, specs, &index)),
                }
                Standing::Failed
            };
            let mut served = Served {
                index,
                standing,
                warnings,
            };
            self.unlock(&mut served, specs);
            return Ok(served);
        }
        let mut served = match self.renew(specs, None) {
            Ok(served) => served,
            Err(RenewError::Compile(error)) if !self.writes => return Err(error),
            Err(error) => self.at_hand(specs, &error)?,
        };
        served.warnings.splice(0..0, warnings);
        Ok(served)
    }

    /// What serves where there is no index and none can be made, because of `error`: all lists if
    /// they are small, and else those that are at hand.
    fn at_hand(&self, specs: &[ListSpec], error: &RenewError) -> Result<Served, CompileError> {
        if !error.was_fatal()
            && self.weight(specs) <= SOON
            && let Ok(mut served) = self.compile_in_memory(specs, None)
        {
            served.standing = Standing::Failed;
            served.warnings.push(cannot_be_kept(error));
            return Ok(served);
        }
        let at_hand: Vec<ListSpec> = specs.iter().filter(|it| !is_in_file(it)).cloned().collect();
        // A working folder on a broken disk must not matter.
        let settings = Settings::in_memory();
        let mut served = self.compile_in_memory_with(&at_hand, None, &settings)?;
        served.standing = Standing::Failed;
        served.warnings.push(told(error, specs, &served.index));
        Ok(served)
    }

    /// Compiles the lists anew. A list that cannot be read keeps what it says in `before`.
    ///
    /// # Errors
    /// [`RenewError`]; the file on the disk is as it was then.
    pub(super) fn renew(
        &self,
        specs: &[ListSpec],
        before: Option<&Index>,
    ) -> Result<Served, RenewError> {
        if !self.writes {
            return Ok(self.compile_in_memory(specs, before)?);
        }
        // What can be read at any time needs nobody who remembers it.
        let remembers = |index: &&Index| {
            let mut in_files = specs.iter().filter(|spec| is_in_file(spec));
            index.file().is_some() || in_files.any(|spec| index.find_spec(spec).is_some())
        };
        let before = before.filter(remembers);
        // Without a folder of its own a daemon still serves: somebody tries it out, or the disk is
        // read-only. A disk that is full or breaks is another matter: there the last index stays.
        let writable = (self.files.create_folder(&self.store.folder))
            .and_then(|()| self.files.scratch(&self.store.folder).map(drop));
        if let Err(error) = writable
            && is_forbidden(&error)
        {
            let mut served = self.compile_in_memory(specs, before)?;
            served.warnings.push(cannot_be_kept(&error));
            return Ok(served);
        }
        let path = self.store.index();
        let sources = lists::recipe(specs, self.files);
        let made = self.compile_to(&path, specs, before)?;
        if self.apart.is_some() {
            // The daemon's: what it read the configuration with makes room for the new index.
            footprint::let_go_of_code();
        }
        let index = Index::open(self.files, &path)?;
        // Somebody else may have compiled other lists to the same place since.
        if !made.index.is_of(&index) {
            return Err(RenewError::Another);
        }
        let mut served = Served {
            index,
            standing: Standing::Current,
            warnings: made.warnings,
        };
        let warning = write_note(self.files, &path, &sources, served.index.recipe());
        served.warnings.extend(warning);
        self.unlock(&mut served, specs);
        Ok(served)
    }

    fn compile_in_memory(
        &self,
        specs: &[ListSpec],
        before: Option<&Index>,
    ) -> Result<Served, CompileError> {
        let (settings, warning) = self.settings();
        let mut served = self.compile_in_memory_with(specs, before, &settings)?;
        served.warnings.extend(warning);
        Ok(served)
    }

    fn compile_in_memory_with(
        &self,
        specs: &[ListSpec],
        before: Option<&Index>,
        settings: &Settings,
    ) -> Result<Served, CompileError> {
        let made = self.compile(specs, before, settings, Target::Memory)?;
        let mut served = Served {
            index: Index::from_bytes(made.bytes.unwrap_or_default())?,
            standing: Standing::Current,
            warnings: Vec::new(),
        };
        self.unlock(&mut served, specs);
        Ok(served)
    }

    /// Compiles to the file `path`, in another process where there can be one.
    fn compile_to(
        &self,
        path: &Path,
        specs: &[ListSpec],
        before: Option<&Index>,
    ) -> Result<Made, RenewError> {
        let (settings, unworkable) = self.settings();
        let work = Work {
            specs,
            settings: &settings,
            before,
            target: path,
            patience: patience(self.weight(specs)),
        };
        let warning = match self.apart.map(|apart| (apart, apart.compile(work))) {
            Some((_, Ok(mut made))) => {
                made.warnings.extend(unworkable);
                return Ok(made);
            }
            Some((apart, Err(error @ ApartError::NotStarted(_)))) => apart.tell_once(&error),
            Some((_, Err(error))) => return Err(RenewError::Apart(error)),
            None => None,
        };
        let made = self.compile(specs, before, &settings, Target::File(path))?;
        Ok(Made {
            index: IndexMark::of(&made),
            warnings: warning.into_iter().chain(unworkable).collect(),
        })
    }

    fn compile(
        &self,
        specs: &[ListSpec],
        before: Option<&Index>,
        settings: &Settings,
        target: Target<'_>,
    ) -> Result<lists::Outcome, CompileError> {
        let quiet = &mut |_| {};
        lists::compile(
            specs,
            settings,
            self.files,
            before,
            quiet,
            &|| false,
            target,
        )
    }

    /// How to compile, and what to tell where working files are not where they should be.
    fn settings(&self) -> (Settings, Option<String>) {
        let (work, warning) = match self.writes {
            true => self.store.make_work_folder(self.files),
            false => (self.store.work_folder_in(self.files), None),
        };
        let can_work = self.files.scratch(&work).is_ok();
        let settings = Settings {
            memory: usize::try_from(self.store.compile_memory).unwrap_or(Settings::MEMORY),
            folder: can_work.then_some(work),
            accept: self.accept.to_vec(),
        };
        (settings, warning)
    }

    /// Whether `index` was made from what the lists are now.
    fn is_current(&self, index: &Index, specs: &[ListSpec]) -> bool {
        let note = self
            .files
            .read(&note_path(&self.store.index()), SMALL_FILE)
            .unwrap_or_default();
        note == note_text(&lists::recipe(specs, self.files), index.recipe()).as_bytes()
    }

    /// Octets of all sources, as far as they can be told without reading them.
    fn weight(&self, specs: &[ListSpec]) -> u64 {
        let octets = specs.iter().map(|spec| match &spec.source {
            ListSource::Embedded(name) => starter::content(name).map_or(0, |it| it.len() as u64),
            ListSource::File(path) => {
                let stamp: Option<Stamp> = self.files.stamp(path);
                // What is packed becomes some four times as much.
                stamp.map_or(0, |stamp| stamp.length.saturating_mul(2))
            }
            ListSource::Inline(lines) => lines.iter().map(|line| line.len() as u64).sum(),
        });
        octets.sum()
    }

    /// Gives the index the keys of sealed lists: those that come with their feeds, and those kept
    /// from the last time a feed could be read.
    fn unlock(&self, served: &mut Served, specs: &[ListSpec]) {
        if served.index.sealed_section().is_empty() {
            return;
        }
        let path = self.store.folder.join(KEYS_FILE);
        let kept = match self.files.read(&path, MAX_KEYS_FILE) {
            Ok(octets) => String::from_utf8_lossy(&octets).into_owned(),
            Err(error) if is_absent(&error) => String::new(),
            Err(error) => {
                served.warnings.push(error.to_string());
                "# it cannot be read\nand is left as it is".to_owned()
            }
        };
        // Those of the feeds first: a file full of old keys must not keep them out.
        let mut keys = SealKeys::new();
        for spec in specs.iter().filter(|spec| may_be_sealed(spec)) {
            if let Some(key) = self.feed_head(spec).and_then(|head| head.key) {
                keys.add(key);
            }
        }
        // A line somebody got wrong costs that line, and the file is left to be put right.
        let mut is_sound = true;
        // A key may be there before the list it is for; it stays while there is room.
        let mut spare = SealKeys::new();
        let used: Vec<_> = served.index.sealed_lists().map(|it| it.key_id).collect();
        for line in kept.lines() {
            match SealKeys::parse(line) {
                Ok(mut one) => {
                    spare.extend(one.clone());
                    one.keep(|id| used.contains(&id));
                    keys.extend(one);
                }
                Err(_) => is_sound = false,
            }
        }
        keys.extend(spare);
        if !is_sound {
            let place = path.display();
            served
                .warnings
                .push(format!("{place}: a line that is no key"));
        }
        for info in served.index.set_seal_keys(&keys) {
            let id = served.index.list(info.list).id;
            served.warnings.push(format!(
                "list `{id}` blocks nothing: its key {} is not on this machine",
                info.key_id
            ));
        }
        self.tell_protected(served, &keys, specs);
        // A feed that is no longer made must not open what it closed, but somebody has to know.
        for info in served.index.sealed_lists() {
            if let Some(last) = info.expires.filter(|last| *last < self.today) {
                let id = served.index.list(info.list).id;
                served.warnings.push(format!(
                    "list `{id}` was to be used until {last}; it goes on blocking"
                ));
            }
        }
        let text = keys.to_file();
        if self.writes
            && is_sound
            && text != kept
            && let Err(error) = self.keep_keys(&path, &text)
        {
            served.warnings.push(error.to_string());
        }
    }

    /// Tells what the sealed lists take that no list may: of one whose key came apart nobody could
    /// know it when it was compiled. It stays blocked, as all that is sealed does; whoever made the
    /// list has to hear of it.
    fn tell_protected(&self, served: &mut Served, keys: &SealKeys, specs: &[ListSpec]) {
        let protected = ListSpec::protected(specs);
        for (list, note) in served.index.tell_protected(keys, &protected) {
            let id = served.index.list(list).id;
            let text = note.text;
            served.warnings.push(format!("list `{id}`: {text}"));
        }
    }

    /// Writes the keys for the daemon's account alone.
    fn keep_keys(&self, path: &Path, text: &str) -> Result<(), FileError> {
        let failed = |source| FileError {
            path: path.to_path_buf(),
            doing: "cannot write",
            source,
        };
        let mut draft = self.files.private_draft(path)?;
        draft.write_all(text.as_bytes()).map_err(failed)?;
        draft.commit().map_err(failed)
    }

    /// The head of a sealed list, if it can be read and is one.
    fn feed_head(&self, spec: &ListSpec) -> Option<FeedHead> {
        use std::io::Read;
        let mut begin = Vec::new();
        match &spec.source {
            ListSource::Embedded(name) => begin = starter::content(name)?.to_vec(),
            ListSource::File(path) => {
                let file = self.files.open(path).ok()?;
                file.take(HEAD).read_to_end(&mut begin).ok()?;
            }
            ListSource::Inline(lines) => begin = lines.join("\n").into_bytes(),
        }
        is_feed(&begin).then(|| FeedHead::read(&begin).ok())?
    }
}

/// What is told where the lists could not be compiled and `index` goes on serving.
pub(super) fn told(error: &RenewError, specs: &[ListSpec], index: &Index) -> String {
    let silent = specs.iter().filter(|spec| index.find_spec(spec).is_none());
    let silent: Vec<String> = silent.map(|spec| format!("`{}`", spec.id)).collect();
    if silent.is_empty() {
        return format!("the lists stay as they were: {error}");
    }
    let silent = silent.join(", ");
    format!("the lists cannot be compiled: {error}; until they are, these say nothing: {silent}")
}

/// Whether a list may be gone when it is read again.
const fn is_in_file(spec: &ListSpec) -> bool {
    matches!(spec.source, ListSource::File(_))
}

/// How long compiling sources of `weight` octets may take: a hundred times as long as on a slow
/// router, and not for ever.
fn patience(weight: u64) -> Duration {
    const LEAST: Duration = Duration::from_mins(10);
    const EACH_MIB: Duration = Duration::from_mins(1);
    let mebibytes = u32::try_from(weight >> 20).unwrap_or(u32::MAX);
    LEAST.saturating_add(EACH_MIB.saturating_mul(mebibytes))
}

/// Whether a list may hold fingerprints: where its syntax is left to be detected, only if it is of
/// the kind that is made of them.
fn may_be_sealed(spec: &ListSpec) -> bool {
    spec.format == Some(ListFormat::Sealed)
        || spec.format.is_none() && spec.kind == ListKind::Sealed
}

/// Notes beside the index of `store` that it was made from `sources`, so that a daemon takes it for
/// what it is. To be called once it stands there. Gives what to tell where the note cannot be
/// written, which takes nothing from the index.
///
/// # Errors
/// When the index cannot be opened.
pub fn note_sources(
    store: &ListStore,
    files: &Files,
    sources: &[u8; 32],
) -> Result<Option<String>, IndexError> {
    let path = store.index();
    let index = Index::open(files, &path)?;
    Ok(write_note(files, &path, sources, index.recipe()))
}

/// Writes the note beside the index at `path`; gives what to tell if that fails.
fn write_note(files: &Files, path: &Path, sources: &[u8; 32], recipe: &[u8; 32]) -> Option<String> {
    let note = note_text(sources, recipe);
    let written = files.replace(&note_path(path), note.as_bytes());
    let told = |error| format!("{error}; the lists are compiled again at the next start");
    written.err().map(told)
}

/// The note beside an index: what it was made from, and which index it speaks of.
fn note_path(index: &Path) -> PathBuf {
    let mut path = index.as_os_str().to_owned();
    path.push(".sources");
    path.into()
}

fn note_text(sources: &[u8; 32], recipe: &[u8; 32]) -> String {
    let hex = |octets: &[u8; 32]| -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    };
    format!("sources {}\nindex {}\n", hex(sources), hex(recipe))
}

fn cannot_be_kept(error: &impl std::fmt::Display) -> String {
    format!("the compiled lists cannot be kept and stay in memory: {error}")
}

/// Whether there is nothing at the path of `error`.
fn is_absent(error: &FileError) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(
        error.source.kind(),
        NotFound | NotADirectory | PermissionDenied
    )
}

/// Whether the system will not let us write there, now or later.
fn is_forbidden(error: &FileError) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(
        error.source.kind(),
        PermissionDenied | ReadOnlyFilesystem | NotFound | NotADirectory
    )
}

#[cfg(test)]
mod tests;
