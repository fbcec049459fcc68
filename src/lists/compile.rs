//! From the sources of all lists to the index.

use std::io::{self, Read};
use std::path::PathBuf;

use super::parse::{self, ReadOptions, Report};
use super::{
    BuildError, Index, IndexBuilder, Item, LineNote, ListFormat, ListId, ListInfo, ListKind,
    ListWriter, starter,
};
use crate::files::Files;
use crate::intern::intern;
use crate::verdict::Tier;

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

impl ListSource {
    /// Where that is, for people.
    fn origin(&self) -> String {
        match self {
            Self::Embedded(name) => format!("embedded blocklists/{name}"),
            Self::File(path) => path.display().to_string(),
            Self::Inline(_) => "configuration".to_owned(),
        }
    }
}

/// Why there is no index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Somebody no longer wants it.
    #[error("cancelled")]
    Cancelled,
    /// More than an index can hold.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Reads and compiles `specs`, whose places become their ids in the index.
///
/// A list that cannot be loaded keeps what it said in the index `before`, if it was there, and says
/// why in [`ListInfo::stale`]; otherwise it is there without names and says why in its
/// [`ListInfo::failure`]. `cancelled` is asked before every block that is read.
///
/// # Errors
/// [`CompileError`]; never because of what a list holds.
pub fn compile(
    specs: &[ListSpec],
    files: &Files,
    before: Option<&Index>,
    cancelled: &dyn Fn() -> bool,
) -> Result<Index, CompileError> {
    let mut builder = IndexBuilder::new();
    for spec in specs {
        if cancelled() {
            return Err(CompileError::Cancelled);
        }
        let info = ListInfo {
            origin: spec.source.origin(),
            format: spec.format,
            ..ListInfo::new(
                intern(&spec.id),
                intern(&spec.category),
                spec.kind,
                spec.tier,
            )
        };
        read(spec, files, before, cancelled, builder.start_list(info)?)?;
        // A list that was cut short for us is not a list that failed.
        if cancelled() {
            return Err(CompileError::Cancelled);
        }
    }
    Ok(builder.build())
}

/// Reads one list into the index.
fn read(
    spec: &ListSpec,
    files: &Files,
    before: Option<&Index>,
    cancelled: &dyn Fn() -> bool,
    mut list: ListWriter<'_>,
) -> Result<(), CompileError> {
    let (place, source): (String, Box<dyn Read>) = match &spec.source {
        ListSource::Embedded(name) => match starter::content(name) {
            Some(content) => (format!("embedded {name}"), Box::new(content)),
            None => {
                let failure = format!("embedded {name}: no such list came with the program");
                list.discard(|info| info.failure = Some(failure));
                return Ok(());
            }
        },
        ListSource::File(path) => match files.open(path) {
            Ok(file) => (path.display().to_string(), file),
            Err(error) => {
                return keep_or_fail(spec, before, list, error.to_string());
            }
        },
        ListSource::Inline(lines) => {
            let text = lines.join("\n").into_bytes();
            ("configuration".to_owned(), Box::new(io::Cursor::new(text)))
        }
    };
    let source = UntilCancelled { source, cancelled };
    let report = parse::read_list(source, &ReadOptions::format(spec.format), |line, item| {
        if let Item::Name(entry) = item {
            list.push(line, entry);
        }
    });
    match report.failure.clone() {
        None => {
            let now = report.entries;
            let before_it = last_good(spec, before).map(|(index, id)| index.list(id).entries);
            if let Some(then) = before_it.filter(|&then| is_collapse(then, now)) {
                list.clear();
                let why =
                    format!("{place}: {now} entries after {then}; that looks cut off or wrong");
                return keep_or_fail(spec, before, list, why);
            }
            list.finish(|info| note(info, report))?;
        }
        Some(fault) => {
            let failure = format!("{place}: {fault}");
            if last_good(spec, before).is_some() {
                list.clear();
                return keep_or_fail(spec, before, list, failure);
            }
            list.discard(|info| {
                note(info, report);
                info.entries = 0;
                info.failure = Some(failure);
            });
        }
    }
    Ok(())
}

/// Whether a list shrank or grew by so much that it is more likely broken than changed. Small lists
/// are edited by hand and may do what they like.
const fn is_collapse(then: u64, now: u64) -> bool {
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

/// Takes over what the list said before, or leaves it empty with its failure.
fn keep_or_fail(
    spec: &ListSpec,
    before: Option<&Index>,
    mut list: ListWriter<'_>,
    failure: String,
) -> Result<(), CompileError> {
    let Some((index, id)) = last_good(spec, before) else {
        list.discard(|info| info.failure = Some(failure));
        return Ok(());
    };
    index.entries_of(id, |line, name, reach, effect| {
        list.push_name(name, line, reach, effect);
    });
    let old = index.list(id).clone();
    list.finish(|info| {
        *info = ListInfo {
            stale: Some(failure),
            ..old
        };
    })?;
    Ok(())
}

/// Completes what is known of a list by what reading it brought.
fn note(info: &mut ListInfo, report: Report) {
    info.format = Some(report.format);
    info.head = report.head;
    info.entries = report.entries;
    info.bad_lines = report.bad_lines;
    info.first_errors = report.first_errors.iter().map(LineNote::from).collect();
}

/// A stream that ends in an error once nobody wants it any more.
struct UntilCancelled<'c, R> {
    source: R,
    cancelled: &'c dyn Fn() -> bool,
}

impl<R: Read> Read for UntilCancelled<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.cancelled)() {
            return Err(io::Error::other("cancelled"));
        }
        self.source.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::files::MemoryFiles;
    use crate::lists::ListId;
    use crate::name::Name;

    fn spec(id: &str, source: ListSource) -> ListSpec {
        ListSpec {
            id: id.into(),
            category: "ads".into(),
            kind: ListKind::Block,
            tier: Tier::Lists,
            source,
            format: None,
        }
    }

    fn lists_that_name(index: &Index, name: &str) -> Vec<&'static str> {
        let mut ids = Vec::new();
        index.look_up(Name::parse(name).unwrap().as_ref(), |hit| {
            ids.push(index.list(hit.list).id);
        });
        ids
    }

    #[test]
    fn lists_come_from_everywhere_and_fail_one_by_one() {
        let memory = MemoryFiles::new();
        memory.put("/lists/good", "0.0.0.0 example.org\n");
        memory.put("/lists/page", "<html>");
        memory.put("/lists/bad", "no name\n".repeat(30));
        let file = |path: &str| ListSource::File(path.into());
        let specs = [
            spec("good", file("/lists/good")),
            spec("gone", file("/lists/gone")),
            spec("page", file("/lists/page")),
            spec("bad", file("/lists/bad")),
            spec(
                "own",
                ListSource::Inline(vec!["example.org".into(), "a.test".into()]),
            ),
            spec("lifelines", ListSource::Embedded("lifelines.txt")),
            spec("lost", ListSource::Embedded("lost.txt")),
        ];
        let index = compile(&specs, &memory.files(), None, &|| false).unwrap();
        assert_eq!(lists_that_name(&index, "www.example.org"), ["good", "own"]);
        let failures: Vec<Option<&str>> = index
            .lists()
            .map(|(_, info)| info.failure.as_deref())
            .collect();
        assert_eq!(
            failures,
            [
                None,
                Some("/lists/gone: cannot open: entity not found"),
                Some("/lists/page: an HTML or XML page, not a list"),
                Some(
                    "/lists/bad: 30 of 30 lines not understood as domains; \
                     a list that lost most of its lines is not used"
                ),
                None,
                None,
                Some("embedded lost.txt: no such list came with the program"),
            ]
        );
        let origins: Vec<&str> = index.lists().map(|(_, info)| &*info.origin).collect();
        assert_eq!(origins[0], "/lists/good");
        assert_eq!(
            origins[4..6],
            ["configuration", "embedded blocklists/lifelines.txt"]
        );
        let good = index.list(ListId(0));
        assert_eq!((good.entries, good.format), (1, Some(ListFormat::Hosts)));
        let bad = index.list(ListId(3));
        assert_eq!(
            (bad.entries, bad.bad_lines, bad.first_errors.len()),
            (0, 30, 20)
        );
    }

    #[test]
    fn a_given_format_is_not_second_guessed() {
        let memory = MemoryFiles::new();
        memory.put("/lists/a", "*.example.org\n".repeat(3));
        let mut list = spec("a", ListSource::File("/lists/a".into()));
        list.format = Some(ListFormat::Domains);
        let index = compile(&[list], &memory.files(), None, &|| false).unwrap();
        let info = index.list(ListId(0));
        assert_eq!(
            (info.bad_lines, info.format),
            (3, Some(ListFormat::Domains))
        );
    }

    #[test]
    fn compiling_stops_where_it_is_told_to() {
        let memory = MemoryFiles::new();
        memory.put("/lists/a", "example.org\n".repeat(100_000));
        let specs = [spec("a", ListSource::File("/lists/a".into()))];
        for patience in [0, 1, 2, 10] {
            let asked = Cell::new(0);
            let cancelled = || asked.replace(asked.get() + 1) >= patience;
            let stopped = compile(&specs, &memory.files(), None, &cancelled);
            assert_eq!(stopped.unwrap_err(), CompileError::Cancelled);
            assert!(asked.get() <= patience + 3);
        }
    }

    #[test]
    fn a_list_that_breaks_keeps_what_it_said_and_stops_no_other() {
        let memory = MemoryFiles::new();
        memory.put("/lists/a", "one.example\ntwo.example\n");
        memory.put("/lists/b", "three.example\n");
        let spec = |id: &str| ListSpec {
            id: id.to_owned(),
            category: "adult".to_owned(),
            kind: ListKind::Block,
            tier: Tier::ChildSafety,
            source: ListSource::File(format!("/lists/{id}").into()),
            format: None,
        };
        let first = compile(&[spec("a"), spec("b")], &memory.files(), None, &|| false).unwrap();
        memory.remove(std::path::Path::new("/lists/a"));
        memory.put("/lists/b", "four.example\n");
        memory.put("/lists/c", "five.example\n");
        let specs = [spec("c"), spec("b"), spec("a")];
        let second = compile(&specs, &memory.files(), Some(&first), &|| false).unwrap();
        let names = |index: &Index| {
            let mut found: Vec<String> = Vec::new();
            for name in ["one", "two", "three", "four", "five"] {
                let name = Name::parse(&format!("{name}.example")).unwrap();
                index.look_up(name.as_ref(), |hit| {
                    found.push(format!("{} {}", name, index.list(hit.list).id));
                });
            }
            found
        };
        assert_eq!(
            names(&second),
            [
                "one.example a",
                "two.example a",
                "four.example b",
                "five.example c"
            ]
        );
        let kept = second.list(second.find("a").unwrap());
        assert_eq!((kept.entries, kept.failure.as_deref()), (2, None));
        assert!(
            kept.stale
                .as_deref()
                .is_some_and(|why| why.starts_with("/lists/a: cannot open"))
        );
        // It stays so at the next reload, and is read again once it is back.
        let third = compile(&specs, &memory.files(), Some(&second), &|| false).unwrap();
        assert_eq!(names(&third), names(&second));
        memory.put("/lists/a", "six.example\n");
        let fourth = compile(&specs, &memory.files(), Some(&third), &|| false).unwrap();
        assert_eq!(fourth.list(fourth.find("a").unwrap()).stale, None);
        assert_eq!(names(&fourth), ["four.example b", "five.example c"]);
    }

    #[test]
    fn a_list_that_collapses_or_bursts_is_not_believed() {
        for (then, now, broken) in [
            (5_000, 1, true),
            (5_000, 0, true),
            (5_000, 600, false),
            (5_000, 60_000, true),
            (5_000, 40_000, false),
            (50, 0, false),
            (50, 5_000, false),
        ] {
            assert_eq!(is_collapse(then, now), broken, "{then} {now}");
        }
        let memory = MemoryFiles::new();
        let many: String = (0..500)
            .map(|number| format!("n{number}.example\n"))
            .collect();
        memory.put("/l", many);
        let spec = ListSpec {
            id: "l".to_owned(),
            category: "adult".to_owned(),
            kind: ListKind::Block,
            tier: Tier::ChildSafety,
            source: ListSource::File("/l".into()),
            format: None,
        };
        let specs = [spec];
        let first = compile(&specs, &memory.files(), None, &|| false).unwrap();
        memory.put("/l", "n1.example\n");
        let second = compile(&specs, &memory.files(), Some(&first), &|| false).unwrap();
        assert_eq!(second.name_count(), 500);
        let stale = second.list(ListId(0)).stale.clone().unwrap();
        assert_eq!(
            stale,
            "/l: 1 entries after 500; that looks cut off or wrong"
        );
    }
}
