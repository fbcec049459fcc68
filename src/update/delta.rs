//! Deltas between two versions of a list.
use std::io::{Read, Write};
use std::path::Path;

use crate::files::Files;
use crate::lists::ListFormat;

/// Where the working files of a delta go, and how much memory it may take.
#[derive(Clone, Copy, Debug)]
pub struct Workshop<'w> {
    /// The file system.
    pub files: &'w Files,
    /// The folder of the working files, which have no name there.
    pub folder: &'w Path,
    /// Octets of memory for sorting; 64 KiB at least.
    pub memory: usize,
}

/// What a delta says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeltaSummary {
    /// The version it begins at: SHA-256 of its canonical form, in hexadecimal.
    pub from: String,
    /// The version it leads to.
    pub to: String,
    /// Rules added.
    pub added: u64,
    /// Rules taken away.
    pub removed: u64,
    /// Rules of the version it leads to.
    pub rules: u64,
}

/// Why there is no delta, or why it cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// stub
    #[error("stub")]
    Stub,
}

/// Writes into `delta` what leads from the list `old` to the list `new`, whatever their syntaxes.
///
/// # Errors
/// [`DeltaError`].
pub fn diff(
    old: impl Read,
    new: impl Read,
    format: Option<ListFormat>,
    workshop: &Workshop<'_>,
    delta: &mut dyn Write,
) -> Result<DeltaSummary, DeltaError> {
    let _ = (old, new, format, workshop, delta);
    Err(DeltaError::Stub)
}

/// Writes into `list` the canonical form of the version to which `delta` leads from the list `base`.
///
/// What was written must be thrown away on an error.
///
/// # Errors
/// [`DeltaError`]; [`DeltaError::is_other_base`] when the full file is needed.
pub fn apply(
    base: impl Read,
    delta: impl Read,
    format: Option<ListFormat>,
    workshop: &Workshop<'_>,
    list: &mut dyn Write,
) -> Result<DeltaSummary, DeltaError> {
    let _ = (base, delta, format, workshop, list);
    Err(DeltaError::Stub)
}
