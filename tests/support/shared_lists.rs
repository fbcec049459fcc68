//! The public lists that tests and benchmarks measure against, unpacked into a scratch folder.
//!
//! They are other people's work and not part of the project: they lie in `../shared/data`, or
//! where `HEDGEROW_TEST_DATA` says. Who wants them must do without them too.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use hedgerow::lists::{ListKind, ListSource, ListSpec};
use hedgerow::verdict::Tier;
use tempfile::TempDir;

/// Real lists in a folder that vanishes with this value.
pub(crate) struct SharedLists {
    _folder: TempDir,
    /// The unpacked files, sorted.
    pub(crate) files: Vec<PathBuf>,
}

impl SharedLists {
    /// Unpacks all lists; none, with a line on standard output, where they are absent.
    pub(crate) fn unpack() -> Option<Self> {
        let data = std::env::var_os("HEDGEROW_TEST_DATA").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
            PathBuf::from,
        );
        let lists = data.join("lists");
        if !lists.is_dir() {
            println!("skipped: no public lists in {}", lists.display());
            return None;
        }
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut files = Vec::new();
        for source in entries(&lists) {
            let publisher = folder
                .path()
                .join(source.file_name().expect("a folder's name"));
            fs::create_dir(&publisher).expect("a folder in the scratch folder");
            for packed in entries(&source) {
                let file = publisher.join(packed.file_stem().expect("a file's name"));
                let mut content = GzDecoder::new(File::open(&packed).expect("a list"));
                let mut unpacked = File::create(&file).expect("a file in the scratch folder");
                io::copy(&mut content, &mut unpacked).expect("a gzip-compressed list");
                files.push(file);
            }
        }
        Some(Self {
            _folder: folder,
            files,
        })
    }

    /// What to compile: one list for each file, in the same order.
    pub(crate) fn specs(&self) -> Vec<ListSpec> {
        let spec = |file: &PathBuf| ListSpec {
            id: file.display().to_string(),
            category: "shared".into(),
            kind: ListKind::Block,
            tier: Tier::Lists,
            source: ListSource::File(file.clone()),
            format: None,
            member: None,
            public_suffixes: false,
            urls: Vec::new(),
            sha256: None,
        };
        self.files.iter().map(spec).collect()
    }
}

/// The entries of a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    entries.sort();
    entries
}

/// A generator of numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Numbers(pub u64);

impl Numbers {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The remainder is below `limit`.
        (mixed % limit as u64) as usize
    }

    /// A label of three to twelve letters.
    pub(crate) fn label(&mut self) -> String {
        let length = 3 + self.below(10);
        (0..length)
            .map(|_| char::from(b'a' + self.below(26) as u8))
            .collect()
    }
}
