//! A public collection of services and the names they use, to compare with.
//!
//! It is other people's work and not part of the project; see `tests/support/shared_lists.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// The block of a tar archive.
const BLOCK: usize = 512;

/// Services by their id, and all names together.
pub(crate) struct Collection {
    services: BTreeMap<String, BTreeSet<String>>,
    names: BTreeSet<String>,
}

impl Collection {
    /// Reads the collection; none, with a line on standard output, where it is absent.
    pub(crate) fn unpack() -> Option<Self> {
        let data = std::env::var_os("HEDGEROW_TEST_DATA").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
            PathBuf::from,
        );
        let path = data.join("services/v2fly-domain-list-community.tar.gz");
        if !path.is_file() {
            println!("skipped: no {}", path.display());
            return None;
        }
        let mut archive = Vec::new();
        GzDecoder::new(File::open(&path).expect("an archive"))
            .read_to_end(&mut archive)
            .expect("a gzip-compressed archive");
        let services = members(&archive)
            .filter_map(|(name, content)| {
                let id = name.split_once("data/")?.1;
                Some((id.to_owned(), names_of(content)))
            })
            .collect::<BTreeMap<_, _>>();
        let names = services.values().flatten().cloned().collect();
        Some(Self { services, names })
    }

    /// The names of the service `id`.
    pub(crate) fn of(&self, id: &str) -> Option<&BTreeSet<String>> {
        self.services.get(id)
    }

    /// Whether any service has `name`, one above it or one below it.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let parents = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        let above = std::iter::once(name)
            .chain(parents)
            .any(|it| self.names.contains(it));
        above
            || self
                .names
                .iter()
                .any(|it| it.ends_with(&format!(".{name}")))
    }
}

/// The files of a tar archive.
fn members(archive: &[u8]) -> impl Iterator<Item = (String, &str)> {
    let mut rest = archive;
    std::iter::from_fn(move || {
        loop {
            let (head, behind) = rest.split_at_checked(BLOCK)?;
            let text = |field: &[u8]| {
                let end = field.iter().position(|octet| *octet == 0);
                String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
            };
            let length = usize::from_str_radix(text(&head[124..136]).trim(), 8).ok()?;
            let content = behind.get(..length)?;
            rest = behind.get(length.next_multiple_of(BLOCK)..)?;
            // `0` is a file; folders and extended heads are not.
            if head[156] == b'0' || head[156] == 0 {
                return Some((text(&head[..100]), std::str::from_utf8(content).ok()?));
            }
        }
    })
}

/// The names of a file: a line is a name, with what kind it is in front and remarks behind.
fn names_of(content: &str) -> BTreeSet<String> {
    content
        .lines()
        .filter_map(|line| line.split(['#', ' ']).next())
        .filter_map(|word| match word.split_once(':') {
            None => Some(word),
            Some(("full" | "domain", name)) => Some(name),
            Some(_) => None,
        })
        .filter(|name| name.contains('.'))
        .map(str::to_owned)
        .collect()
}
