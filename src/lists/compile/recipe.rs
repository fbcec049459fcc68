//! What an index was compiled from, as one number.

use sha2::{Digest, Sha256};

use super::{ListSource, ListSpec};
use crate::files::Files;
use crate::lists::guard::Protected;
use crate::lists::{ListInfo, starter};

/// A hash over the version of the program, the lists and the state of their sources. While it stays
/// the same, compiling again would give the same index.
///
/// Reads no list: a file is known by its path and what its folder says of it (length, time of the
/// last change, number).
pub fn recipe(specs: &[ListSpec], files: &Files) -> [u8; 32] {
    let mut hash = Hash::new(b"sources", specs, &ListSpec::protected(specs));
    for spec in specs {
        match &spec.source {
            ListSource::Embedded(name) => {
                hash.part(b"embedded");
                hash.part(name.as_bytes());
                hash.part(starter::content(name).unwrap_or_default());
            }
            ListSource::File(path) => {
                hash.part(b"file");
                hash.part(path.as_os_str().as_encoded_bytes());
                hash.part(spec.sha256.as_ref().map_or(&[], |sum| &sum[..]));
                // A link is known by what it leads to.
                if let Some(stamp) = files.stamp(path) {
                    hash.part(&stamp.length.to_le_bytes());
                    hash.part(&stamp.modified.to_le_bytes());
                    hash.part(&stamp.inode.to_le_bytes());
                } else {
                    hash.part(b"not there");
                }
            }
            ListSource::Inline(lines) => {
                hash.part(b"inline");
                hash.part(&(lines.len() as u64).to_le_bytes());
                for line in lines {
                    hash.part(line.as_bytes());
                }
            }
        }
    }
    hash.0.finalize().into()
}

/// The same of what the sources hold: the recipe of an index. The same lists give the same on every
/// machine, wherever they are kept.
pub(super) fn of_content(
    specs: &[ListSpec],
    protected: &Protected,
    lists: &[ListInfo],
) -> [u8; 32] {
    let mut hash = Hash::new(b"content", specs, protected);
    for spec in specs.iter().filter(|spec| spec.is_service()) {
        if let ListSource::Embedded(name) = spec.source {
            hash.part(starter::content(name).unwrap_or_default());
        }
    }
    for info in lists {
        hash.part(info.sha256.as_ref().map_or(&[], |hash| &hash[..]));
        hash.part(&[
            u8::from(info.failure.is_some()),
            u8::from(info.stale.is_some()),
        ]);
    }
    hash.0.finalize().into()
}

/// Raised when the same lists give another index: with the format of the index, and with what the
/// compiler makes of a list.
const FORMAT: u32 = 3;

struct Hash(Sha256);

impl Hash {
    /// Begins with the version of the program, what is protected and what is said of each list.
    fn new(what: &[u8], specs: &[ListSpec], protected: &Protected) -> Self {
        let mut hash = Self(Sha256::new());
        hash.part(b"hedgerow lists");
        hash.part(what);
        hash.part(env!("CARGO_PKG_VERSION").as_bytes());
        hash.part(&FORMAT.to_le_bytes());
        hash.part(&protected.hash());
        hash.part(&(specs.len() as u64).to_le_bytes());
        for spec in specs {
            hash.part(spec.id.as_bytes());
            hash.part(spec.category.as_bytes());
            hash.part(spec.kind.label().as_bytes());
            hash.part(spec.tier.label().as_bytes());
            hash.part(spec.format.map_or("", |format| format.label()).as_bytes());
            hash.part(spec.member.as_deref().unwrap_or_default().as_bytes());
            hash.part(&[u8::from(spec.public_suffixes)]);
        }
        hash
    }

    /// Adds a part so that no two rows of parts are the same octets.
    fn part(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }
}
