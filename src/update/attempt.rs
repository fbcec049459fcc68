//! One attempt: download, check, read under guard, put in place.

use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::delta::{self, DeltaError, hexadecimal};
use super::fetch::{FetchRequest, Fetched, Received};
use super::signature::{self, MAX_SIGNATURE, Signed, Version};
use super::sorted::Workshop;
use super::spec::{ListUpdateSpec, SignatureSpec};
use super::state::ListState;
use super::updater::{Kept, Updater};
use super::{FetchError, SignatureError, url};
use crate::files::{FileError, Scratch};
use crate::lists::guard::{Guard, Protected, Refusal};
use crate::lists::parse::{Report, read_list};
use crate::lists::sealed::{FeedHead, KEYS_FILE, MAX_KEYS_FILE, SealKey, SealKeys, is_feed};
use crate::lists::{KEPT_ERRORS, LineNote};

/// Why there is no new version of a list.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The id could lead out of the folder.
    #[error("`{0}` cannot be the name of a file")]
    Id(String),
    /// Somebody else updates lists in the same folder.
    #[error("another process is updating the lists")]
    Busy,
    /// Whoever wanted it no longer does.
    #[error("broken off, since it is no longer wanted")]
    Cancelled,
    /// The download failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The list is there, its signature is not.
    #[error("no signature: {0}")]
    NoSignature(FetchError),
    /// The signature is not accepted.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The list would do more harm than good.
    #[error("refused: {}", refusal.told(id))]
    Refused {
        /// Which list.
        id: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The disk does not play along.
    #[error(transparent)]
    File(#[from] FileError),
    /// A working file does not.
    #[error("cannot use the working file: {0}")]
    Work(#[from] io::Error),
}

/// What an attempt brought.
pub(super) enum Done {
    Unchanged,
    Updated {
        before: Option<u64>,
        downloaded: u64,
        by_delta: bool,
    },
}

/// A new version, checked and not yet in place.
struct Candidate {
    work: Box<dyn Scratch>,
    received: Received,
    signed: Option<Signed>,
    /// The canonical form's sum where it came by a delta.
    canonical: Option<String>,
}

impl Updater {
    /// Looks for a new version of `list` and puts it in place.
    pub(super) fn attempt(
        &self,
        list: &mut Kept,
        force: bool,
        remark: &mut Option<String>,
    ) -> Result<Done, UpdateError> {
        list.spec.check_id()?;
        self.files.create_folder(&self.folder.0)?;
        let _lock = self.files.lock(&self.folder.0)?.ok_or(UpdateError::Busy)?;
        self.refresh(list)?;
        let at_hand = self.is_copy_at_hand(list);
        if at_hand && !force && list.spec.delta_url.is_some() {
            match self.delta(list) {
                Ok(Some(candidate)) => {
                    let done = self.admit(list, candidate, false);
                    match done {
                        Ok(done) => return Ok(done),
                        Err(UpdateError::File(error)) => return Err(error.into()),
                        Err(error) => *remark = Some(error.to_string()),
                    }
                }
                // The copy is what the server has, or the server has no delta for it.
                Ok(None) => {}
                Err(error) => *remark = Some(error.to_string()),
            }
        }
        match self.whole(list, at_hand && !force)? {
            None => Ok(Done::Unchanged),
            Some(candidate) => self.admit(list, candidate, force),
        }
    }

    /// Reads the state again if another process wrote it.
    fn refresh(&self, list: &mut Kept) -> Result<(), UpdateError> {
        let path = self.folder.state(&list.spec.id);
        let stamp = self.files.stamp(&path);
        if stamp.is_some() && stamp != list.stamp {
            list.state = ListState::load(&self.files, &path)?;
            list.stamp = stamp;
            list.unsaved = false;
        }
        Ok(())
    }

    /// Whether the copy on the disk is the one the state speaks of: a kill may have come between
    /// the two, and flash wears out. Only then the server is asked whether it changed.
    pub(super) fn is_copy_at_hand(&self, list: &Kept) -> bool {
        let spec = &list.spec;
        let keys = spec.signature.as_ref().map(|signature| &signature.keys);
        let still_signed = keys.is_none_or(|keys| {
            let signer = list.state.signed_by.as_ref();
            signer.is_some_and(|signer| keys.contains(signer))
        });
        if !list.state.has_copy() || list.state.url != spec.url || !still_signed {
            return false;
        }
        let mut nowhere = io::sink();
        let summed = self
            .files
            .open(&self.folder.copy(&spec.id))
            .ok()
            .and_then(|mut copy| pour(&mut copy, &mut nowhere).ok());
        summed.is_some_and(|(sum, _)| sum == list.state.sha256)
    }

    /// Downloads the whole list; none if the copy at hand is the newest.
    fn whole(&self, list: &Kept, conditional: bool) -> Result<Option<Candidate>, UpdateError> {
        let (spec, state) = (&list.spec, &list.state);
        let mut work = self.scratch()?;
        let request = FetchRequest {
            etag: state.etag.as_deref().filter(|_| conditional),
            last_modified: state.last_modified.as_deref().filter(|_| conditional),
            ..spec.request(&spec.url)
        };
        let received = match self.fetch(&request, &mut work)? {
            Fetched::NotModified => return Ok(None),
            Fetched::Body(received) => received,
        };
        let signed = match &spec.signature {
            None => None,
            Some(signature) => {
                let at = signature.url.as_deref();
                Some(self.verify(list, signature, &mut work, &spec.url, at)?)
            }
        };
        Ok(Some(Candidate {
            work,
            received,
            signed,
            canonical: None,
        }))
    }

    /// Downloads and applies a delta; none if there is none for the copy at hand.
    fn delta(&self, list: &mut Kept) -> Result<Option<Candidate>, UpdateError> {
        let copy = self.folder.copy(&list.spec.id);
        let options = list.spec.options();
        let workshop = Workshop {
            files: &self.files,
            folder: &self.settings.working_folder,
            memory: self.settings.memory,
        };
        let failed = |error: DeltaError| UpdateError::Work(io::Error::other(error.to_string()));
        let base = match &list.state.canonical {
            Some(base) => base.clone(),
            None => {
                let base = delta::version(self.files.open(&copy)?, &options, &workshop);
                let base = base.map_err(failed)?;
                list.state.canonical.insert(base).clone()
            }
        };
        let (spec, pattern) = (&list.spec, list.spec.delta_url.as_deref());
        let short = base.get(..16).unwrap_or_default();
        let url = pattern.unwrap_or_default().replace("{from}", short);
        let mut work = self.scratch()?;
        let received = match self.fetch(&spec.request(&url), &mut work) {
            Ok(Fetched::Body(received)) => received,
            Ok(Fetched::NotModified)
            | Err(UpdateError::Fetch(FetchError::Status { status: 404, .. })) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let signed = match &spec.signature {
            None => None,
            Some(signature) => Some(self.verify(list, signature, &mut work, &url, None)?),
        };
        work.seek(SeekFrom::Start(0))?;
        let mut result = self.scratch()?;
        let base = self.files.open(&copy)?;
        let applied =
            delta::apply(base, &mut work, &options, &workshop, &mut result).map_err(failed)?;
        Ok(Some(Candidate {
            work: result,
            received,
            signed,
            canonical: Some(applied.to),
        }))
    }

    /// Downloads what `request` says until nobody wants it any more.
    fn fetch(
        &self,
        request: &FetchRequest<'_>,
        work: &mut Box<dyn Scratch>,
    ) -> Result<Fetched, UpdateError> {
        let mut wanted = Wanted {
            stream: work,
            updater: self,
        };
        match self.fetcher.fetch(request, &mut wanted) {
            Err(_) if self.is_cancelled() => Err(UpdateError::Cancelled),
            done => Ok(done?),
        }
    }

    /// The key of a sealed list: the one that came with it, or the one that was handed over.
    fn key_of(&self, head: FeedHead) -> Option<SealKey> {
        head.key.or_else(|| {
            let path = self.settings.state_folder.join(KEYS_FILE);
            let kept = self.files.read(&path, MAX_KEYS_FILE).ok()?;
            let kept = SealKeys::of_lines(&String::from_utf8_lossy(&kept));
            kept.get(head.key_id).cloned()
        })
    }

    /// Fetches the signature of `work`, which came from `url`, and checks it.
    fn verify(
        &self,
        list: &Kept,
        signature: &SignatureSpec,
        work: &mut Box<dyn Scratch>,
        url: &str,
        signature_url: Option<&str>,
    ) -> Result<Signed, UpdateError> {
        let beside = match url.split_once('?') {
            Some((path, query)) => format!("{path}.minisig?{query}"),
            None => format!("{url}.minisig"),
        };
        let request = FetchRequest {
            max_bytes: MAX_SIGNATURE,
            ..list.spec.request(signature_url.unwrap_or(&beside))
        };
        let mut text = Vec::new();
        self.fetcher
            .fetch(&request, &mut text)
            .map_err(UpdateError::NoSignature)?;
        work.seek(SeekFrom::Start(0))?;
        let is_known = list.state.url == list.spec.url;
        let kept = list.state.version_under(&signature.keys);
        let kept = kept.filter(|_| is_known);
        let name = url::file_name(url);
        Ok(signature::verify(work, &text, &signature.keys, name, kept)?)
    }

    /// Reads a new version under guard and, if it may be used, makes it the last good copy.
    fn admit(
        &self,
        list: &mut Kept,
        mut candidate: Candidate,
        force: bool,
    ) -> Result<Done, UpdateError> {
        let spec = &list.spec;
        // What lies at another address is another list: nothing of the old one speaks against it.
        let anew = ListState::default();
        let old = if list.state.url == spec.url {
            &list.state
        } else {
            &anew
        };
        let before = old.has_copy().then_some(old.entries);
        let head = sealed_head(&mut candidate.work)?;
        let edition = head.as_ref().map(|head| head.edition.serial);
        if let (Some(found), Some(kept)) = (edition, old.edition)
            && found < kept
        {
            let (found, kept) = (Version::Serial(found), Version::Serial(kept));
            return Err(SignatureError::Replayed { found, kept }.into());
        }
        candidate.work.seek(SeekFrom::Start(0))?;
        let (sum, bytes) = pour(&mut candidate.work, &mut io::sink())?;
        let mut state = ListState {
            url: spec.url.clone(),
            etag: candidate.received.etag,
            last_modified: candidate.received.last_modified,
            error: None,
            failures: 0,
            edition: edition.or(old.edition),
            ..old.clone()
        };
        match &candidate.signed {
            Some(signed) => {
                state.signed_by = Some(signed.by.clone());
                state.version = Some(signed.version.to_string());
            }
            None => (state.signed_by, state.version) = (None, None),
        }
        let by_delta = candidate.canonical.is_some();
        if let Some(canonical) = candidate.canonical {
            // The full file's name is not known; when the delta was made is late enough to ask by.
            state.etag = None;
            state.canonical = Some(canonical);
        } else if sum != old.sha256 {
            state.canonical = None;
        }
        if sum == old.sha256 && self.is_copy_at_hand(list) {
            list.unsaved |=
                (&state.version, &state.edition) != (&list.state.version, &list.state.edition);
            state.error.clone_from(&list.state.error);
            list.state = state;
            return Ok(Done::Unchanged);
        }
        candidate.work.seek(SeekFrom::Start(0))?;
        let protected = self.protected(spec);
        let mut guard = Guard::new(&protected, spec.kind);
        if let Some(key) = head.and_then(|head| self.key_of(head)) {
            guard = guard.with_key(&key);
        }
        let reader = Wanted {
            stream: &mut candidate.work,
            updater: self,
        };
        let report = read_list(reader, &spec.options(), |line, item| {
            // A pattern may take its time.
            if !self.is_cancelled() {
                guard.admits(line, item);
            }
        });
        if self.is_cancelled() {
            return Err(UpdateError::Cancelled);
        }
        // Somebody who signs an empty list means it.
        let is_meant = report.entries == 0 && candidate.signed.is_some();
        let passed = guard.judge(&report, before.filter(|_| !force && !is_meant));
        let passed = passed.and_then(|passed| match report.entries {
            0 if !is_meant => Err(Refusal::Empty),
            _ => Ok(passed),
        });
        let passed = passed.map_err(|refusal| UpdateError::Refused {
            id: spec.id.clone(),
            refusal,
        })?;
        state.sha256 = sum;
        state.bytes = bytes;
        state.entries = report.entries;
        state.bad_lines = report.bad_lines;
        state.protected = passed.protected;
        state.notes = notes(&report, passed.notes);
        state.fetched = self.today();
        state.checked.clone_from(&state.fetched);
        state.server_date = candidate.received.date;
        self.install(list, state, &mut candidate.work)?;
        Ok(Done::Updated {
            before,
            downloaded: candidate.received.bytes,
            by_delta,
        })
    }

    /// What no list may take: what is always protected, and where lists come from. Made when a new
    /// version is read, since there is none on most days.
    fn protected(&self, current: &ListUpdateSpec) -> Protected {
        let others = self.lists.iter().map(|list| &list.spec);
        Protected::with_servers(others.chain([current]).flat_map(ListUpdateSpec::urls))
    }

    /// Makes what is in `work` the last good copy.
    ///
    /// A kill may come between any two steps. The highest version seen is written first, so that no
    /// older one is taken afterwards; the copy second; what the state says of the copy last: until
    /// then its sum does not fit, and the server is asked for all of it.
    fn install(
        &self,
        list: &mut Kept,
        state: ListState,
        work: &mut Box<dyn Scratch>,
    ) -> Result<(), UpdateError> {
        let path = self.folder.state(&list.spec.id);
        let marks = |state: &ListState| {
            let (by, version) = (state.signed_by.clone(), state.version.clone());
            (by, version, state.edition)
        };
        if marks(&state) != marks(&list.state) && state.version.is_some() | state.edition.is_some()
        {
            let (signed_by, version, edition) = marks(&state);
            let raised = ListState {
                signed_by,
                version,
                edition,
                ..list.state.clone()
            };
            raised.save(&self.files, &path)?;
            list.state = raised;
            list.stamp = self.files.stamp(&path);
        }
        let copy = self.folder.copy(&list.spec.id);
        let failed = |source| FileError {
            path: copy.clone(),
            doing: "cannot write",
            source,
        };
        work.seek(SeekFrom::Start(0))?;
        let mut draft = self.files.private_draft(&copy)?;
        pour(work, &mut draft).map_err(failed)?;
        draft.commit().map_err(failed)?;
        list.state = state;
        self.save(list);
        Ok(())
    }

    fn scratch(&self) -> Result<Box<dyn Scratch>, UpdateError> {
        Ok(self.files.scratch(&self.settings.working_folder)?)
    }
}

/// Moves all of `from` to `to`: its SHA-256 and how many octets it had.
fn pour(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let piece = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(piece);
        bytes += piece.len() as u64;
        to.write_all(piece)?;
    }
    Ok((hexadecimal(&hash.finalize()), bytes))
}

/// A stream that ends in an error once nobody wants it any more.
struct Wanted<'u, S> {
    stream: S,
    updater: &'u Updater,
}

impl<S> Wanted<'_, S> {
    fn stream(&mut self) -> io::Result<&mut S> {
        if self.updater.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        Ok(&mut self.stream)
    }
}

impl<S: Read> Read for Wanted<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream()?.read(buffer)
    }
}

impl<S: Write> Write for Wanted<'_, S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream()?.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream()?.flush()
    }
}

/// The head of a sealed list; none for other lists.
fn sealed_head(work: &mut Box<dyn Scratch>) -> io::Result<Option<FeedHead>> {
    work.seek(SeekFrom::Start(0))?;
    let mut begin = Vec::new();
    Read::by_ref(work).take(16 * 1024).read_to_end(&mut begin)?;
    if !is_feed(&begin) {
        return Ok(None);
    }
    Ok(FeedHead::read(&begin).ok())
}

/// The first lines that somebody should look at.
fn notes(report: &Report, protected: Vec<LineNote>) -> Vec<String> {
    let bad = report.first_errors.iter().map(LineNote::from);
    let all = bad.chain(protected).map(|note| note.to_string());
    all.take(KEPT_ERRORS).collect()
}
