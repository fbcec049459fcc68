//! Reading lists into the pipeline, and what becomes of those that cannot be read.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::beside::Spool;
use super::pipeline::{Pipeline, State};
use super::suffix::{PublicSuffix, public_suffix};
use super::{CompileError, ListSource, ListSpec, Progress, Stage};
use crate::files::Files;
use crate::lists::addresses::MAX_ADDRESSES;
use crate::lists::fault::quoted;
use crate::lists::index::{Index, ListId};
use crate::lists::parse::{self, Report};
use crate::lists::patterns::MAX_PATTERNS;
use crate::lists::sealed::SealedList;
use crate::lists::{
    Effect, Entry, Item, KEPT_ERRORS, LineFault, LineNote, ListFault, ListFormat, ListInfo,
    ListKind, Reach, starter,
};

/// Reads all lists. Those that cannot be loaded get what they said `before`, if they did.
pub(super) fn read_all(
    specs: &[ListSpec],
    files: &Files,
    before: Option<&Index>,
    pipeline: &mut Pipeline,
    progress: &mut dyn FnMut(Progress),
    cancelled: &dyn Fn() -> bool,
) -> Result<(), CompileError> {
    let total = specs.iter().map(|spec| length(spec, files)).sum();
    let mut done = 0;
    let mut kept = Vec::new();
    for spec in specs {
        if cancelled() {
            return Err(CompileError::Cancelled);
        }
        let list = pipeline.add_list(spec.info())?;
        let good = last_good(spec, before);
        let advance = &mut |octets: u64| {
            done += octets;
            progress(Progress {
                stage: Stage::Reading,
                done: done.min(total),
                total,
            });
        };
        let then = good.map(|(index, id)| index.list(id).entries);
        let failure = read(spec, list, files, then, pipeline, advance, cancelled)?;
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
            }
            (Some(failure), None) => {
                if let Some(info) = pipeline.list(list) {
                    info.entries = 0;
                    info.failure = Some(failure);
                }
            }
        }
    }
    match before {
        Some(before) if !kept.is_empty() => keep(before, &kept, pipeline),
        _ => Ok(()),
    }
}

/// Takes over what lists said in the index `before`, where their ids are the first of each
/// triple.
fn keep(
    before: &Index,
    kept: &[(ListId, ListId, ListKind)],
    pipeline: &mut Pipeline,
) -> Result<(), CompileError> {
    let mut result = pipeline.beside.keep(before, kept);
    before.walk(|name, postings| {
        for posting in postings {
            let now = kept.iter().find(|(old, _, _)| *old == posting.list);
            if let (Some((_, list, _)), Ok(())) = (now, &result) {
                result = pipeline.push_kept(*list, name, posting);
            }
        }
    });
    result
}

/// Reads one list into the pipeline and completes what is known of it; gives why nothing of it may
/// be used, if so.
fn read(
    spec: &ListSpec,
    list: ListId,
    files: &Files,
    then: Option<u64>,
    pipeline: &mut Pipeline,
    advance: &mut dyn FnMut(u64),
    cancelled: &dyn Fn() -> bool,
) -> Result<Option<String>, CompileError> {
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
        pipeline,
        held: Vec::new(),
        sealed,
        trouble: None,
        refused: 0,
        flagged: 0,
        last_line: 0,
        errors: Vec::new(),
        flags: Vec::new(),
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
        flagged,
        mut errors,
        flags,
        ..
    } = intake;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let (mut entries, mut bad) = (report.entries - refused, report.bad_lines + refused);
    let fault = report.failure.clone().or_else(|| {
        let lines = report.lines;
        let format = report.format;
        mostly_bad(entries, bad, lines).then_some(ListFault::MostlyBad { bad, lines, format })
    });
    // What stands behind the end of an archive belongs to the file too.
    let rest = io::copy(&mut source, &mut io::sink());
    let failure = match (fault, then) {
        (Some(fault), _) => Some(format!("{place}: {fault}")),
        (None, Some(then)) if is_collapse(then, entries) => Some(format!(
            "{place}: {entries} entries after {then}; that looks cut off or wrong"
        )),
        _ => None,
    };
    if failure.is_none() {
        for (line, item) in &held {
            let Err(fault) = pipeline.beside.push(list, spec.kind, item) else {
                continue;
            };
            (entries, bad) = (entries - 1, bad + 1);
            errors.push(LineNote {
                line: *line,
                text: said(spec.kind, fault),
            });
        }
        if let Some(head) = &report.sealed {
            let expires = head.edition.expires;
            let key_id = head.key_id;
            let sealed_list = SealedList {
                list,
                key_id,
                expires,
            };
            pipeline.beside.push_sealed(sealed_list, sealed)?;
        }
    }
    if let Some(info) = pipeline.list(list) {
        note(info, report, errors);
        info.entries = entries;
        info.bad_lines = bad;
        info.flagged_lines = flagged;
        info.first_flags = flags;
        info.sha256 = rest.is_ok().then(|| source.hash.finalize().into());
    }
    Ok(failure)
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
    pipeline: &'p mut Pipeline,
    /// What waits until the list is found to be usable, with its line.
    held: Vec<(u32, Item)>,
    /// The fingerprints.
    sealed: Spool,
    /// Why nothing more is taken.
    trouble: Option<CompileError>,
    /// Items that were understood and are not taken.
    refused: u64,
    flagged: u64,
    /// The last line that was flagged.
    last_line: u32,
    errors: Vec<LineNote>,
    flags: Vec<LineNote>,
}

impl Intake<'_> {
    fn take(&mut self, line: u32, item: &Item) {
        if self.trouble.is_some() {
            return;
        }
        let pushed = match item {
            Item::Name(entry) => match reach_of(self.spec, entry) {
                Taken::Whole => self.pipeline.push(self.list, entry, entry.reach),
                Taken::NameAlone => {
                    self.flag(line, entry);
                    self.pipeline.push(self.list, entry, Reach::Exact)
                }
                Taken::Nothing => {
                    let fault = LineFault::PublicSuffix(entry.name.to_string());
                    self.refuse(line, &fault);
                    Ok(())
                }
            },
            Item::Sealed(fingerprint) => {
                self.sealed.push(*fingerprint);
                Ok(())
            }
            Item::Pattern(_) | Item::Address(_) => {
                if self.held.len() < MAX_HELD {
                    self.held.push((line, item.clone()));
                } else {
                    self.refuse(line, &LineFault::TooManyAddresses);
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

    fn flag(&mut self, line: u32, entry: &Entry) {
        if self.flagged > 0 && self.last_line == line {
            return;
        }
        self.last_line = line;
        self.flagged += 1;
        if self.flags.len() < KEPT_ERRORS {
            let name = quoted(&entry.name.to_string());
            let text = match entry.effect {
                Effect::Listed => format!("`{name}` is a public suffix; the name alone is listed"),
                Effect::Excepted => {
                    format!("`{name}` is a public suffix; the name alone is excepted")
                }
            };
            let text = said(self.spec.kind, text);
            self.flags.push(LineNote { line, text });
        }
    }
}

/// More patterns and addresses than an index has.
pub(super) const MAX_HELD: usize = MAX_ADDRESSES + MAX_PATTERNS;

/// What is made of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// What it says.
    Whole,
    /// The name without what is below it.
    NameAlone,
    /// Nothing.
    Nothing,
}

/// What is made of an entry of a list that may name a public suffix.
pub(super) fn reach_of(spec: &ListSpec, entry: &Entry) -> Taken {
    if spec.public_suffixes || entry.reach == Reach::Exact {
        return Taken::Whole;
    }
    match public_suffix(entry.name.as_ref()) {
        None => Taken::Whole,
        Some(PublicSuffix::Registry) => Taken::Nothing,
        // It does not mean the name itself, so nothing is left of it.
        Some(PublicSuffix::Company) if entry.reach == Reach::Below => Taken::Nothing,
        Some(PublicSuffix::Company) => Taken::NameAlone,
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

/// Whether a list shrank or grew by so much that it is more likely broken than changed. Small lists
/// are edited by hand and may do what they like.
pub(super) const fn is_collapse(then: u64, now: u64) -> bool {
    const LARGE: u64 = 100;
    then >= LARGE && now < then / 10 || then >= LARGE * 10 && now / 10 > then
}

/// What the list said when it could last be read, if it could.
fn last_good<'i>(spec: &ListSpec, before: Option<&'i Index>) -> Option<(&'i Index, ListId)> {
    let index = before?;
    let id = index.find(&spec.id)?;
    let info = index.list(id);
    let same = (info.category, info.kind) == (spec.category.as_str(), spec.kind);
    (same && info.failure.is_none()).then_some((index, id))
}

/// Completes what is known of a list by what reading it brought.
fn note(info: &mut ListInfo, report: Report, mut errors: Vec<LineNote>) {
    info.format = Some(report.format);
    info.head = report.head;
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
