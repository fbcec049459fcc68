//! From the sources of all lists to the index.

use std::io::{self, Read};
use std::path::PathBuf;

use super::parse::{self, Report};
use super::{BuildError, Index, IndexBuilder, ListFormat, ListInfo, ListKind, ListWriter, starter};
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
            Self::Embedded(_) => "embedded".to_owned(),
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
/// A list that cannot be loaded is there without names and says why in its
/// [`ListInfo::failure`]. `cancelled` is asked before every block that is read.
///
/// # Errors
/// [`CompileError`]; never because of what a list holds.
pub fn compile(
    specs: &[ListSpec],
    files: &Files,
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
        read(spec, files, cancelled, builder.start_list(info)?)?;
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
                list.discard(|info| info.failure = Some(error.to_string()));
                return Ok(());
            }
        },
        ListSource::Inline(lines) => {
            let text = lines.join("\n").into_bytes();
            ("configuration".to_owned(), Box::new(io::Cursor::new(text)))
        }
    };
    let source = UntilCancelled { source, cancelled };
    let report = parse::read_list(source, spec.format, |line, entry| list.push(line, entry));
    match report.failure.clone() {
        None => {
            list.finish(|info| note(info, report))?;
        }
        Some(fault) => {
            list.discard(|info| {
                note(info, report);
                info.entries = 0;
                info.failure = Some(format!("{place}: {fault}"));
            });
        }
    }
    Ok(())
}

/// Completes what is known of a list by what reading it brought.
fn note(info: &mut ListInfo, report: Report) {
    info.format = Some(report.format);
    info.head = report.head;
    info.entries = report.entries;
    info.bad_lines = report.bad_lines;
    info.first_errors = report.first_errors;
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
        let index = compile(&specs, &memory.files(), &|| false).unwrap();
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
        assert_eq!(origins[4..6], ["configuration", "embedded"]);
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
        let index = compile(&[list], &memory.files(), &|| false).unwrap();
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
            let stopped = compile(&specs, &memory.files(), &cancelled);
            assert_eq!(stopped.unwrap_err(), CompileError::Cancelled);
            assert!(asked.get() <= patience + 3);
        }
    }
}
