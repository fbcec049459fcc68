//! What is wrong with a configuration, in the words an admin reads.
//!
//! A [`Diagnostic`] carries everything it needs to be shown: it can be printed, coloured, or turned
//! into JSON long after the files it speaks of have changed.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used; something in it will not do what was meant.
    Warning,
}

impl Severity {
    /// The word at the start of a message.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong, with its place and what to do about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of mistake, as in `unknown-key`; stable, for programs.
    pub code: &'static str,
    /// The mistake in one line.
    pub message: String,
    /// Where, unless it is about no line of a file.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What stands beside the caret; without one the line is not shown.
    pub label: Option<String>,
    /// Other places it has to do with.
    pub related: Vec<Related>,
    /// What to do, when we can guess.
    pub help: Option<String>,
    /// Facts that help to decide, such as the legal values.
    pub notes: Vec<String>,
}

/// Another place a mistake has to do with.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Related {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What is there, as in "first here".
    pub message: String,
}

/// A word in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The file as it was opened.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column of the first character, from 1, counted in characters.
    pub column: u32,
    /// Column after the last character on the same line.
    pub end_column: u32,
    /// The line, ready to be shown.
    #[serde(skip)]
    pub(super) excerpt: Excerpt,
}

/// A line cut and escaped for showing, with the place of the caret in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Excerpt {
    text: String,
    /// Cells before the caret.
    offset: usize,
    /// Cells under the caret.
    length: usize,
}

impl Excerpt {
    /// Longest piece of a line that is shown, in characters.
    const MAX_CHARS: usize = 110;
    /// How many characters before the caret are shown of a longer line.
    const BEFORE: usize = 40;

    /// Shows `line` with `columns` characters marked after the first `column`.
    pub(super) fn cut(line: &str, column: usize, columns: usize) -> Self {
        let fits = line.chars().nth(Self::MAX_CHARS).is_none();
        let first = if fits {
            0
        } else {
            column.saturating_sub(Self::BEFORE)
        };
        let mut excerpt = Self::default();
        if first > 0 {
            excerpt.text.push('…');
            excerpt.offset = 1;
        }
        let mut chars = line.chars().enumerate().skip(first);
        for (index, c) in chars.by_ref().take(Self::MAX_CHARS) {
            let cells = push_shown(&mut excerpt.text, c);
            if index < column {
                excerpt.offset += cells;
            } else if index < column + columns {
                excerpt.length += cells;
            }
        }
        if chars.next().is_some() {
            excerpt.text.push('…');
        }
        excerpt.length = excerpt.length.max(1);
        excerpt
    }
}

/// Writes `c` so that it can neither move the caret nor command a terminal; says how many cells.
fn push_shown(text: &mut String, c: char) -> usize {
    match c {
        '\t' => {
            text.push_str("    ");
            4
        }
        _ if c.is_control() || is_invisible(c) => {
            let escape = c.escape_unicode().to_string();
            text.push_str(&escape);
            escape.len()
        }
        _ => {
            text.push(c);
            cells_of(c)
        }
    }
}

/// Characters that show nothing or turn the direction of writing.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// How many cells of a terminal `c` fills, by the blocks of Unicode that are wide as a whole.
const fn cells_of(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

impl Diagnostic {
    /// The mistake and its place in one line, for a log.
    pub fn one_line(&self) -> String {
        match &self.place {
            Some(place) => format!(
                "{} ({}:{}:{})",
                self.message,
                place.file.display(),
                place.line,
                place.column
            ),
            None => self.message.clone(),
        }
    }

    /// Something that makes the configuration unusable.
    pub(super) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// Something that will not do what was meant.
    pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    const fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self {
            severity,
            code,
            message,
            place: None,
            label: None,
            related: Vec::new(),
            help: None,
            notes: Vec::new(),
        }
    }

    /// Says where, with a word beside the caret.
    #[must_use]
    pub(super) fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.place = Some(place);
        self.label = Some(label.into());
        self
    }

    /// Says where, and where its twin is: two places without their lines.
    #[must_use]
    pub(super) fn twice(self, second: Place, first: Place) -> Self {
        self.against(second, first, "first here")
    }

    /// Says where, and with what at another place it does not go together.
    #[must_use]
    pub(super) fn against(mut self, here: Place, there: Place, what: &str) -> Self {
        self.place = Some(here);
        self.related.push(Related {
            place: there,
            message: what.to_owned(),
        });
        self
    }

    /// Says what to do.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Asks whether a known word near to `word` was meant; silent when none is near.
    #[must_use]
    pub(super) fn suggest<'k>(
        mut self,
        word: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Self {
        if let Some(near) = super::suggest::nearest(word, known) {
            self.help = Some(format!("did you mean `{near}`?"));
        }
        self
    }

    /// Adds a fact.
    #[must_use]
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds the legal values if they are few enough to be read.
    #[must_use]
    pub(super) fn known<'k>(self, what: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        const FEW: usize = 32;
        let known: Vec<&str> = known.into_iter().take(FEW + 1).collect();
        if known.is_empty() || known.len() > FEW {
            return self;
        }
        self.note(format!("{what}: {}", known.join(", ")))
    }

    /// Whether it makes the configuration unusable.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same message with colours for a terminal.
    pub const fn coloured(&self) -> Coloured<'_> {
        Coloured(self)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, paint: Paint) -> fmt::Result {
        let tone = match self.severity {
            Severity::Error => paint.error,
            Severity::Warning => paint.warning,
        };
        let Paint {
            quiet, bold, off, ..
        } = paint;
        let word = self.severity.label();
        write!(f, "{tone}{word}{off}{bold}: {}{off}", Shown(&self.message))?;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            let width = number.len().max(2);
            let Place {
                file,
                line,
                column,
                excerpt,
                ..
            } = place;
            let file = file.display().to_string();
            write!(
                f,
                "\n{quiet}{:width$}-->{off} {}:{line}:{column}",
                "",
                Shown(&file)
            )?;
            if let Some(label) = &self.label {
                let Excerpt {
                    text,
                    offset,
                    length,
                } = excerpt;
                let carets = "^".repeat(*length);
                write!(f, "\n{quiet}{:width$} |{off}", "")?;
                write!(f, "\n{quiet}{number:>width$} |{off} {text}")?;
                write!(
                    f,
                    "\n{quiet}{:width$} |{off} {:offset$}{tone}{carets}",
                    "", ""
                )?;
                if !label.is_empty() {
                    write!(f, " {}", Shown(label))?;
                }
                f.write_str(off)?;
                if self.help.is_some() || !self.notes.is_empty() {
                    write!(f, "\n{quiet}{:width$} |{off}", "")?;
                }
            }
            for Related { place, message } in &self.related {
                let Place {
                    file, line, column, ..
                } = place;
                let file = file.display().to_string();
                write!(
                    f,
                    "\n{quiet}{:width$}:::{off} {}:{line}:{column}, {message}",
                    "",
                    Shown(&file)
                )?;
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n{bold}help{off}: {}", Shown(help))?;
        }
        for note in &self.notes {
            write!(f, "\n{bold}note{off}: {}", Shown(note))?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    /// Several lines, no colour, no final newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Paint::NONE)
    }
}

/// A [`Diagnostic`] that prints with colours.
#[derive(Clone, Copy, Debug)]
pub struct Coloured<'d>(&'d Diagnostic);

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, Paint::ANSI)
    }
}

/// The escape sequences of a terminal.
#[derive(Clone, Copy)]
struct Paint {
    error: &'static str,
    warning: &'static str,
    quiet: &'static str,
    bold: &'static str,
    off: &'static str,
}

impl Paint {
    const NONE: Self = Self {
        error: "",
        warning: "",
        quiet: "",
        bold: "",
        off: "",
    };
    const ANSI: Self = Self {
        error: "\x1b[1;31m",
        warning: "\x1b[1;33m",
        quiet: "\x1b[34m",
        bold: "\x1b[1m",
        off: "\x1b[0m",
    };
}

/// A text from a file inside a message, without anything that could command a terminal.
struct Shown<'t>(&'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Longest message line; a name of a megabyte says nothing more than its start.
        const MAX_CHARS: usize = 600;
        let mut shown = String::with_capacity(self.0.len().min(MAX_CHARS));
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(MAX_CHARS) {
            push_shown(&mut shown, c);
        }
        if chars.next().is_some() {
            shown.push('…');
        }
        f.write_str(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Sources;
    use super::*;
    use std::path::Path;

    fn place_of(line: &str, word: &str) -> Place {
        let mut sources = Sources::default();
        sources.add(Path::new("a.toml"), line.to_owned());
        let at = line.find(word).unwrap();
        sources.place(&(at..at + word.len()))
    }

    fn shown(line: &str, word: &str) -> String {
        Diagnostic::error("x", "no")
            .at(place_of(line, word), "")
            .to_string()
    }

    #[test]
    fn the_caret_stands_under_the_word() {
        assert_eq!(
            shown("a = \"b\"", "\"b\""),
            "error: no\n  --> a.toml:1:5\n   |\n 1 | a = \"b\"\n   |     ^^^"
        );
    }

    #[test]
    fn tabs_wide_and_control_characters_keep_the_caret_in_place() {
        for (line, excerpt, carets) in [
            ("\ta", "    a", "    ^"),
            ("漢字a", "漢字a", "    ^"),
            ("\u{1b}[a", "\\u{1b}[a", "       ^"),
            ("\u{202e}a", "\\u{202e}a", "        ^"),
            ("e\u{301}a", "e\u{301}a", " ^"),
        ] {
            let text = shown(line, "a");
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines[3], format!(" 1 | {excerpt}"));
            assert_eq!(lines[4], format!("   | {carets}"));
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_word() {
        let line = format!("{}bad{}", "x".repeat(5000), "y".repeat(5000));
        let text = shown(&line, "bad");
        let excerpt = format!("…{}bad{}…", "x".repeat(40), "y".repeat(67));
        assert!(text.contains(&format!(" 1 | {excerpt}\n")), "{text}");
        assert!(
            text.contains(&format!("   | {}^^^", " ".repeat(41))),
            "{text}"
        );
        assert!(text.contains("a.toml:1:5001"));
    }

    #[test]
    fn json_says_the_same() {
        let diagnostic = Diagnostic::warning("some-code", "no `b`")
            .at(place_of("a = b", "b"), "here")
            .help("try `c`");
        assert_eq!(
            serde_json::to_value(&diagnostic).unwrap(),
            serde_json::json!({
                "severity": "warning", "code": "some-code", "message": "no `b`",
                "file": "a.toml", "line": 1, "column": 5, "end-column": 6,
                "label": "here", "related": [], "help": "try `c`", "notes": [],
            })
        );
    }

    #[test]
    fn colour_only_when_asked() {
        let diagnostic = Diagnostic::error("x", "no")
            .at(place_of("ab", "b"), "here")
            .note("n");
        assert!(!diagnostic.to_string().contains('\x1b'));
        let coloured = diagnostic.coloured().to_string();
        assert!(coloured.starts_with("\x1b[1;31merror\x1b[0m\x1b[1m: no\x1b[0m\n"));
        let mut plain = coloured;
        for code in ["\x1b[1;31m", "\x1b[34m", "\x1b[1m", "\x1b[0m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, diagnostic.to_string());
    }

    #[test]
    fn a_message_cannot_command_the_terminal() {
        let diagnostic = Diagnostic::error("x", "unknown key `\u{1b}[2J`");
        assert_eq!(diagnostic.to_string(), "error: unknown key `\\u{1b}[2J`");
    }
}
