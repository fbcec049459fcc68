//! Reading lists into the pipeline, and what becomes of those that cannot be read.

use std::collections::HashMap;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::beside::Spool;
use super::pipeline::{Pipeline, State};
use super::suffix::{PublicSuffix, public_suffix};
use super::{Accepted, CompileError, ListSource, ListSpec, Progress, Stage};
use crate::files::Files;
use crate::lists::addresses::MAX_ADDRESSES;
use crate::lists::fault::quoted;
use crate::lists::guard::{Effort, Protected, Refusal, Taken, is_collapse};
use crate::lists::index::{Index, ListId};
use crate::lists::parse::{self, Report};
use crate::lists::patterns::{MAX_PATTERNS, PatternFault};
use crate::lists::sealed::SealedList;
use crate::lists::{
    Effect, Entry, Item, KEPT_ERRORS, LineFault, LineNote, ListFault, ListFormat, ListInfo,
    ListKind, Pattern, Reach, starter,
};

/// On what terms lists are taken.
#[derive(Clone, Copy)]
pub(super) struct Terms<'t> {
    /// Files that may have shrunk or grown as they like.
    pub(super) accept: &'t [Accepted],
    /// What those of somebody else may not take.
    pub(super) protected: &'t Protected,
}

/// Reads all lists. Those that cannot be loaded get what they said `before`, if they did.
pub(super) fn read_all(
    specs: &[ListSpec],
    terms: Terms<'_>,
    files: &Files,
    before: Option<&Index>,
    pipeline: &mut Pipeline,
    progress: &mut dyn FnMut(Progress),
    cancelled: &dyn Fn() -> bool,
) -> Result<(), CompileError> {
    let total = specs.iter().map(|spec| length(spec, files)).sum();
    let mut done = 0;
    let (mut kept, mut guarded) = (Vec::new(), Vec::new());
    for spec in specs {
        if cancelled() {
            return Err(CompileError::Cancelled);
        }
        let list = pipeline.add_list(spec.info())?;
        if matches!(spec.source, ListSource::Inline(_)) {
            // The household's own, whatever it is about.
            pipeline.beside.put_first(list);
        }
        let good = last_good(spec, before);
        let advance = &mut |octets: u64| {
            done += octets;
            progress(Progress {
                stage: Stage::Reading,
                done: done.min(total),
                total,
            });
        };
        let then = good.filter(|_| spec.may_collapse());
        let then = then.map(|(index, id)| index.list(id).entries);
        let guard = spec.is_guarded().then_some(terms.protected);
        let task = Task {
            spec,
            list,
            guard,
            then,
            accept: terms.accept,
        };
        let failure = read(task, files, pipeline, advance, cancelled)?;
        // A list that was cut short for us is not a list that failed.
        if cancelled() {
            return Err(CompileError::Cancelled);
        }
        match (failure, good) {
            (None, _) => pipeline.settle(list, State::Fresh),
            (Some(failure), Some((index, old))) => {
                if let Some(info) = pipeline.list(list) {
                    *info = ListInfo {
                        tier: spec.tier,
                        stale: Some(failure),
                        ..index.list(old).clone()
                    };
                }
                pipeline.settle(list, State::Kept);
                kept.push((old, list, spec.kind));
                guarded.extend(guard.map(|_| old));
            }
            (Some(failure), None) => {
                if let Some(info) = pipeline.list(list) {
                    info.entries = 0;
                    info.failure = Some(failure);
                }
            }
        }
    }
    if let Some(before) = before.filter(|_| !kept.is_empty()) {
        let may_not_take = |list: ListId| guarded.contains(&list).then_some(terms.protected);
        keep(before, &kept, &may_not_take, pipeline, cancelled)?;
    }
    for lost in pipeline.beside.take_lost() {
        let Some(info) = pipeline.list(lost.list) else {
            continue;
        };
        info.entries = info.entries.saturating_sub(1);
        leave_out(info, lost.line, lost.why);
    }
    Ok(())
}

/// Notes that what stands on a line does not count.
pub(super) fn leave_out(info: &mut ListInfo, line: u32, why: String) {
    info.flagged_lines += 1;
    let text = said(info.kind, why);
    let place = info.first_flags.partition_point(|note| note.line <= line);
    info.first_flags.insert(place, LineNote { line, text });
    info.first_flags.truncate(KEPT_ERRORS);
}

/// Takes over what lists said in the index `before`, where their ids are the first of each
/// triple; without what `guard` says of such a list that it may not take, since more may be
/// protected by now.
fn keep<'p>(
    before: &Index,
    kept: &[(ListId, ListId, ListKind)],
    guard: &dyn Fn(ListId) -> Option<&'p Protected>,
    pipeline: &mut Pipeline,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), CompileError> {
    /// Names after which somebody is asked whether it is still wanted.
    const STRETCH: u32 = 1 << 12;
    let mut efforts: HashMap<ListId, Effort> = HashMap::new();
    let mut takes = |list: ListId, pattern: &Pattern| {
        let effort = efforts.entry(list).or_insert_with(Effort::of_list);
        let taken = guard(list)?.taken_by_pattern(pattern, effort)?;
        (!taken.harmless).then(|| taken.told(ListKind::Block, pattern))
    };
    let mut result = pipeline.beside.keep(before, kept, &mut takes, cancelled);
    let mut names = 0_u32;
    before.walk(|name, postings| {
        names = names.wrapping_add(1);
        if names.is_multiple_of(STRETCH) && cancelled() && result.is_ok() {
            result = Err(CompileError::Cancelled);
        }
        for posting in postings {
            let now = kept.iter().find(|(old, _, _)| *old == posting.list);
            let (Some((_, list, kind)), Ok(())) = (now, &result) else {
                continue;
            };
            let taken = guard(posting.list).and_then(|it| it.taken_by_posting(name, posting));
            match taken.filter(|taken| !taken.harmless) {
                Some(taken) => pipeline.beside.lose(*list, taken.told(*kind, name)),
                None => result = pipeline.push_kept(*list, name, posting),
            }
        }
    });
    // What can be read of it is better than nothing, and of what cannot the daemon tells.
    result
}

/// A list to read.
#[derive(Clone, Copy)]
struct Task<'t> {
    spec: &'t ListSpec,
    list: ListId,
    /// What it may not take.
    guard: Option<&'t Protected>,
    /// How many entries it had when it was compiled last, where that is of interest.
    then: Option<u64>,
    /// See [`Terms::accept`].
    accept: &'t [Accepted],
}

/// Reads one list into the pipeline and completes what is known of it; gives why nothing of it may
/// be used, if so.
fn read(
    task: Task<'_>,
    files: &Files,
    pipeline: &mut Pipeline,
    advance: &mut dyn FnMut(u64),
    cancelled: &dyn Fn() -> bool,
) -> Result<Option<String>, CompileError> {
    let Task {
        spec,
        list,
        guard,
        then,
        accept,
    } = task;
    let (place, source) = match open(&spec.source, files) {
        Ok(opened) => opened,
        Err(failure) => return Ok(Some(failure)),
    };
    let mut source = Watched {
        source,
        cancelled,
        advance,
        hash: Sha256::new(),
    };
    let sealed = pipeline.beside.spool();
    let mut intake = Intake {
        spec,
        list,
        guard,
        pipeline,
        held: Held::default(),
        sealed,
        trouble: None,
        refused: 0,
        left_out: 0,
        errors: Vec::new(),
        flags: Flags::default(),
    };
    let report = parse::read_list(&mut source, &spec.read_options(), |line, item| {
        intake.take(line, item);
    });
    let Intake {
        pipeline,
        held,
        sealed,
        trouble,
        refused,
        mut left_out,
        errors,
        mut flags,
        ..
    } = intake;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let bad = report.bad_lines + refused;
    let understood = report.entries - refused;
    let fault = report.failure.clone().or_else(|| {
        let lines = report.lines;
        let format = report.format;
        mostly_bad(understood, bad, lines).then_some(ListFault::MostlyBad { bad, lines, format })
    });
    // What stands behind the end of an archive belongs to the file too.
    let rest = io::copy(&mut source, &mut io::sink());
    let sum: Option<[u8; 32]> = rest.is_ok().then(|| source.hash.finalize().into());
    let now = understood - left_out;
    let is_damaged = spec
        .sha256
        .is_some_and(|wanted| sum.is_some_and(|it| it != wanted));
    // Asked now that all of it was read: it is what it was when that was said.
    let is_accepted = || accept.iter().any(|it| it.is_of(spec, files));
    let mut failure = match (fault, then) {
        // Whatever else is wrong with it comes of that.
        _ if is_damaged => Some("cut off or changed since it was downloaded".to_owned()),
        (Some(fault), _) => Some(fault.to_string()),
        (None, Some(then)) if is_collapse(then, now) && !is_accepted() => {
            Some(Refusal::Changed { then, now }.told(&spec.id))
        }
        _ => None,
    };
    if failure.is_none() {
        let mut effort = Effort::of_list();
        for (line, item) in &held.items {
            if cancelled() {
                return Err(CompileError::Cancelled);
            }
            if let Some(taken) = guard.and_then(|guard| guard.taken_within(item, &mut effort))
                && !taken.harmless
            {
                left_out += 1;
                flags.leave_out(*line, taken.told(spec.kind, item));
            } else if let Err(fault) = pipeline.beside.push(list, spec.kind, *line, item) {
                left_out += 1;
                flags.leave_out(*line, said(spec.kind, fault));
            }
        }
    }
    let mut sealed = sealed;
    let key = report.sealed.as_ref().and_then(|head| head.key.as_ref());
    if let (None, Some(guard), Some(key)) = (&failure, guard, key) {
        let protected = guard.sealed_with(key);
        sealed = pipeline.beside.sift(sealed, |fingerprint| {
            let taken = protected.taken_by(fingerprint);
            if let Some(taken) = taken {
                left_out += 1;
                flags.leave_out(0, taken.told(spec.kind, ""));
            }
            taken.is_none()
        })?;
    }
    if failure.is_none() && left_out > 0 && understood == left_out {
        failure = Some(nothing_left(understood, &flags));
    }
    if let (None, Some(head)) = (&failure, &report.sealed) {
        let sealed_list = SealedList {
            list,
            key_id: head.key_id,
            expires: head.edition.expires,
        };
        pipeline.beside.push_sealed(sealed_list, sealed)?;
    }
    if let Some(info) = pipeline.list(list) {
        note(info, report, errors);
        info.entries = understood - left_out;
        info.bad_lines = bad;
        info.flagged_lines = flags.lines;
        info.first_flags = flags.first();
        // What came with the program is known by its version.
        info.sha256 = sum.filter(|_| info.service.is_none());
    }
    Ok(failure.map(|why| format!("{place}: {why}")))
}

/// What is told of a list none of whose entries counts.
fn nothing_left(entries: u64, flags: &Flags) -> String {
    let first = flags.notes.first();
    let first = first.map_or_else(String::new, |note| format!("; {note}"));
    format!("none of its {entries} entries can be used{first}")
}

/// The content of a list and what to call it; or why there is none.
///
/// # Errors
/// What happened, in words.
pub fn open<'s>(
    source: &'s ListSource,
    files: &Files,
) -> Result<(String, Box<dyn Read + 's>), String> {
    match source {
        ListSource::Embedded(name) => match starter::content(name) {
            Some(content) => Ok((format!("embedded {name}"), Box::new(content))),
            None => Err(format!(
                "embedded {name}: no such list came with the program"
            )),
        },
        ListSource::File(path) => {
            if let Some(target) = files.leads_out(path) {
                let (path, target) = (path.display(), target.display());
                return Err(format!(
                    "{path}: a link out of its folder, to {target}; name the file itself"
                ));
            }
            match files.open(path) {
                Ok(file) => Ok((path.display().to_string(), file)),
                Err(error) => Err(error.to_string()),
            }
        }
        ListSource::Inline(lines) => {
            let text = lines.join("\n").into_bytes();
            Ok(("configuration".to_owned(), Box::new(io::Cursor::new(text))))
        }
    }
}

/// Octets of a list, as far as they can be told without reading it.
pub(super) fn length(spec: &ListSpec, files: &Files) -> u64 {
    match &spec.source {
        ListSource::Embedded(name) => {
            starter::content(name).map_or(0, |content| content.len() as u64)
        }
        ListSource::File(path) => files.stamp(path).map_or(0, |stamp| stamp.length),
        ListSource::Inline(lines) => lines.iter().map(|line| line.len() as u64 + 1).sum(),
    }
}

/// What the lines of one list say, on its way into the pipeline.
struct Intake<'p> {
    spec: &'p ListSpec,
    list: ListId,
    /// What the list may not take.
    guard: Option<&'p Protected>,
    pipeline: &'p mut Pipeline,
    /// What waits until the list is found to be usable, with its line.
    held: Held,
    /// The fingerprints.
    sealed: Spool,
    /// Why nothing more is taken.
    trouble: Option<CompileError>,
    /// Items that were understood and are not taken.
    refused: u64,
    /// Items that are left out although nothing is wrong with their lines.
    left_out: u64,
    errors: Vec<LineNote>,
    flags: Flags,
}

impl Intake<'_> {
    fn take(&mut self, line: u32, item: &Item) {
        if self.trouble.is_some() {
            return;
        }
        let pushed = match item {
            Item::Name(entry) => match reach_of(self.spec, self.guard, entry) {
                Made::Whole => self.pipeline.push(self.list, entry, entry.reach),
                Made::NameAlone => {
                    self.flags.tell(line, told_of_suffix(self.spec.kind, entry));
                    self.pipeline.push(self.list, entry, Reach::Exact)
                }
                Made::Nothing => {
                    let fault = LineFault::PublicSuffix(entry.name.to_string());
                    self.refuse(line, &fault);
                    Ok(())
                }
                Made::Protected(taken) => {
                    self.left_out += 1;
                    self.flags
                        .leave_out(line, taken.told(self.spec.kind, entry));
                    Ok(())
                }
            },
            Item::Sealed(fingerprint) => {
                self.sealed.push(*fingerprint);
                Ok(())
            }
            Item::Pattern(_) | Item::Address(_) => {
                if !self.held.take(line, item) {
                    self.left_out += 1;
                    self.flags
                        .leave_out(line, said(self.spec.kind, Held::full_for(item)));
                }
                Ok(())
            }
        };
        self.trouble = pushed.err();
    }

    fn refuse(&mut self, line: u32, fault: &LineFault) {
        self.refused += 1;
        if self.errors.len() < KEPT_ERRORS {
            let text = said(self.spec.kind, fault.to_string());
            self.errors.push(LineNote { line, text });
        }
    }
}

/// What is told of an entry that names a public suffix.
fn told_of_suffix(kind: ListKind, entry: &Entry) -> String {
    let name = quoted(&entry.name.to_string());
    let what = match entry.effect {
        Effect::Listed => "listed",
        Effect::Excepted => "excepted",
    };
    said(
        kind,
        format!("`{name}` is a public suffix; the name alone is {what}"),
    )
}

/// Lines that were understood and do not count, or not in full.
#[derive(Debug, Default)]
struct Flags {
    lines: u64,
    /// The last of them.
    last_line: u32,
    notes: Vec<LineNote>,
}

impl Flags {
    /// Takes a line that counts in part; what is told of it once is enough.
    fn tell(&mut self, line: u32, text: String) {
        if self.lines == 0 || self.last_line != line {
            self.leave_out(line, text);
        }
    }

    /// Takes an item that does not count.
    fn leave_out(&mut self, line: u32, text: String) {
        self.last_line = line;
        self.lines += 1;
        if self.notes.len() < KEPT_ERRORS {
            self.notes.push(LineNote { line, text });
        }
    }

    /// The first of them.
    fn first(mut self) -> Vec<LineNote> {
        self.notes.sort_by_key(|note| note.line);
        self.notes
    }
}

/// Patterns and addresses of a list with their lines, as many as an index may have.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) items: Vec<(u32, Item)>,
    patterns: usize,
}

impl Held {
    /// Takes a pattern or an address; whether there is room.
    pub(super) fn take(&mut self, line: u32, item: &Item) -> bool {
        let is_pattern = matches!(item, Item::Pattern(_));
        let has_room = if is_pattern {
            self.patterns < MAX_PATTERNS
        } else {
            self.items.len() - self.patterns < MAX_ADDRESSES
        };
        if has_room {
            self.items.push((line, item.clone()));
            self.patterns += usize::from(is_pattern);
        }
        has_room
    }

    /// What is told of an item for which there is none.
    fn full_for(item: &Item) -> String {
        match item {
            Item::Pattern(_) => PatternFault::TooMany(MAX_PATTERNS).to_string(),
            _ => LineFault::TooManyAddresses.to_string(),
        }
    }
}

/// What is made of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made<'p> {
    /// What it says.
    Whole,
    /// The name without what is below it.
    NameAlone,
    /// Nothing: the list names what it cannot mean.
    Nothing,
    /// Nothing: it would take a protected name.
    Protected(Taken<'p>),
}

/// What is made of an entry of a list that may name a public suffix, and may not take what is
/// protected.
pub(super) fn reach_of<'p>(
    spec: &ListSpec,
    guard: Option<&'p Protected>,
    entry: &Entry,
) -> Made<'p> {
    let name_alone = if spec.public_suffixes || entry.reach == Reach::Exact {
        false
    } else {
        match public_suffix(entry.name.as_ref()) {
            None => false,
            Some(PublicSuffix::Registry) => return Made::Nothing,
            // It does not mean the name itself, so nothing is left of it.
            Some(PublicSuffix::Company) if entry.reach == Reach::Below => return Made::Nothing,
            Some(PublicSuffix::Company) => true,
        }
    };
    let reach = if name_alone {
        Reach::Exact
    } else {
        entry.reach
    };
    let taken = guard.and_then(|guard| guard.taken_by_entry(entry, reach));
    match taken {
        Some(taken) if !taken.harmless => Made::Protected(taken),
        _ if name_alone => Made::NameAlone,
        _ => Made::Whole,
    }
}

/// What may be told of a line: of a sealed list nothing that could hold a name.
fn said(kind: ListKind, text: String) -> String {
    match kind {
        ListKind::Sealed => "a line that cannot be used; of a sealed list no more is told".into(),
        ListKind::Block | ListKind::Allow | ListKind::Lifeline => text,
    }
}

/// Whether what is left of a list is not what its author meant, as [`parse::read_list`] judges it.
const fn mostly_bad(entries: u64, bad: u64, lines: u64) -> bool {
    bad > 0 && (entries == 0 || (bad > 10 && bad > lines.saturating_sub(bad)))
}

/// What the list said when it could last be read, if it could.
fn last_good<'i>(spec: &ListSpec, before: Option<&'i Index>) -> Option<(&'i Index, ListId)> {
    let index = before?;
    let id = index.find_spec(spec)?;
    let info = index.list(id);
    let same = (info.category, info.kind) == (spec.category.as_str(), spec.kind);
    (same && info.failure.is_none()).then_some((index, id))
}

/// Completes what is known of a list by what reading it brought.
fn note(info: &mut ListInfo, report: Report, mut errors: Vec<LineNote>) {
    info.format = Some(report.format);
    info.head = (report.head != parse::Head::default()).then(|| Box::new(report.head));
    let hidden = if report.format == ListFormat::Sealed {
        // Faults of fingerprints hold nothing of them.
        ListKind::Block
    } else {
        info.kind
    };
    errors.extend(report.first_errors.iter().map(|error| LineNote {
        line: error.line,
        text: said(hidden, error.error.to_string()),
    }));
    errors.sort_by_key(|note| note.line);
    errors.truncate(KEPT_ERRORS);
    info.first_errors = errors;
}

/// A stream that is hashed and counted, and that ends in an error once nobody wants it any more.
struct Watched<'c, R> {
    source: R,
    cancelled: &'c dyn Fn() -> bool,
    advance: &'c mut dyn FnMut(u64),
    hash: Sha256,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.cancelled)() {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.source.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        (self.advance)(count as u64);
        Ok(count)
    }
}
