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
    /// The services that each one takes in.
    included: BTreeMap<String, BTreeSet<String>>,
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
        let of_each = |read: fn(&str) -> BTreeSet<String>| {
            members(&archive)
                .filter_map(|(name, content)| {
                    let id = name.split_once("data/")?.1;
                    Some((id.to_owned(), read(content)))
                })
                .collect::<BTreeMap<_, _>>()
        };
        let (services, included) = (of_each(names_of), of_each(included_in));
        let names = services.values().flatten().cloned().collect();
        Some(Self {
            services,
            included,
            names,
        })
    }

    /// The names of the service `id`.
    pub(crate) fn of(&self, id: &str) -> Option<&BTreeSet<String>> {
        self.services.get(id)
    }

    /// The names of all services that the service `id` takes in, and of those they take in.
    #[allow(dead_code, reason = "not all tests that share this ask for it")]
    pub(crate) fn included_by(&self, id: &str) -> BTreeSet<String> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(id) = open.pop() {
            let included = self.included.get(id).into_iter().flatten();
            open.extend(
                included
                    .filter(|it| seen.insert(it.as_str()))
                    .map(String::as_str),
            );
        }
        let names = seen.iter().filter_map(|it| self.services.get(*it));
        names.flatten().cloned().collect()
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

/// The services a file takes in.
fn included_in(content: &str) -> BTreeSet<String> {
    let lines = content.lines();
    lines
        .filter_map(|line| line.strip_prefix("include:"))
        .filter_map(|rest| rest.split(['#', ' ', '@']).next())
        .map(|id| id.trim().to_owned())
        .collect()
}
