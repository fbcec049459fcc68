//! Text for people: aligned columns, a little colour on a terminal, nothing that could fool one.

use std::io::{self, Write};

use serde::Serialize;

/// Where a command prints to.
pub struct Output<'a> {
    /// For results.
    pub out: Box<dyn Write + 'a>,
    /// For complaints.
    pub err: Box<dyn Write + 'a>,
    /// Whether a terminal shows the results.
    pub out_is_terminal: bool,
    /// Whether a terminal shows the complaints, and so a progress bar.
    pub err_is_terminal: bool,
    /// Whether results may be coloured.
    pub out_colour: bool,
    /// Whether complaints may be coloured.
    pub err_colour: bool,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Strong,
    Good,
    Bad,
    Odd,
}

impl Style {
    /// How a verdict looks.
    pub(super) fn of_verdict(verdict: &str) -> Self {
        match verdict {
            "block" => Self::Bad,
            "rewrite" => Self::Odd,
            _ => Self::Good,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Odd => "33",
        }
    }
}

impl Output<'_> {
    /// `text` in `style`, if results may be coloured.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        paint(self.out_colour, style, text)
    }

    /// Prints a line.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", text.trim_end())
    }

    /// Prints `value` as JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        writeln!(self.out, "{text}")
    }

    /// Prints `value` as JSON on one line.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        writeln!(self.out, "{text}")
    }

    /// Prints labels and what belongs to them, one under the other.
    pub(super) fn facts(&mut self, facts: &[(&str, String)]) -> io::Result<()> {
        let width = facts
            .iter()
            .map(|(label, _)| width(label))
            .max()
            .unwrap_or(0);
        for (label, fact) in facts {
            self.line(&format!("{}{fact}", padded(label, width + 2)))?;
        }
        Ok(())
    }

    /// Prints `table`, with `indent` spaces in front of each line.
    pub(super) fn table(&mut self, indent: usize, table: &Table) -> io::Result<()> {
        let heads: Vec<_> = table.heads.iter().map(|head| width(head)).collect();
        let widths: Vec<usize> = (0..heads.len())
            .map(|column| {
                let cells = table.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| width(&cell.text)).max();
                widest.unwrap_or(0).max(heads[column])
            })
            .collect();
        let head: Vec<_> = table
            .heads
            .iter()
            .zip(table.numeric_columns())
            .map(|(head, numeric)| Cell {
                text: (*head).to_owned(),
                style: Style::Strong,
                numeric,
            })
            .collect();
        for row in std::iter::once(&head).chain(&table.rows) {
            let mut line = " ".repeat(indent);
            for (column, (cell, &wide)) in row.iter().zip(&widths).enumerate() {
                let gap = " ".repeat(wide - width(&cell.text));
                let text = self.paint(cell.style, &cell.text);
                let is_last = column + 1 == row.len();
                match (cell.numeric, is_last) {
                    (true, _) => line.extend([gap, text]),
                    (false, true) => line.push_str(&text),
                    (false, false) => line.extend([text, gap]),
                }
                if !is_last {
                    line.push_str("  ");
                }
            }
            self.line(&line)?;
        }
        Ok(())
    }

    /// Says that something went wrong and what to do about it.
    pub(super) fn complain(&mut self, error: &str, help: Option<&str>) {
        let mut text = paint(self.err_colour, Style::Bad, "error:");
        text.push(' ');
        text.push_str(&plain(error));
        if let Some(help) = help {
            let label = paint(self.err_colour, Style::Strong, "help:");
            text.push_str(&format!("\n{label} {}", plain(help)));
        }
        // Nowhere left to complain to.
        drop(writeln!(self.err, "{text}"));
    }

    /// Prints a text that says itself what is wrong, line by line.
    pub(super) fn complain_as_written(&mut self, text: &str) {
        drop(writeln!(self.err, "{}", plain_lines(text)));
    }

    /// Mentions something beside the results.
    pub(super) fn note(&mut self, text: &str) {
        // What was printed before comes first; that it cannot be is told by who prints it.
        drop(self.out.flush());
        let label = paint(self.err_colour, Style::Strong, "note:");
        drop(writeln!(self.err, "{label} {}", plain(text)));
    }
}

fn paint(colour: bool, style: Style, text: &str) -> String {
    if !colour || style == Style::Plain {
        return text.to_owned();
    }
    format!("\x1b[{}m{text}\x1b[0m", style.code())
}

/// Rows of cells under heads.
#[derive(Debug, Default)]
pub(super) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
    numeric: bool,
}

impl Table {
    pub(super) fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn numeric_columns(&self) -> Vec<bool> {
        let first = self.rows.first();
        (0..self.heads.len())
            .map(|column| first.is_some_and(|row| row.get(column).is_some_and(|c| c.numeric)))
            .collect()
    }
}

impl Cell {
    /// A number, aligned to the right.
    pub(super) fn number(value: impl Into<Option<u64>>) -> Self {
        Self {
            text: value
                .into()
                .map_or_else(|| "-".to_owned(), |v| v.to_string()),
            style: Style::Plain,
            numeric: true,
        }
    }

    /// A text, `-` if there is none.
    pub(super) fn text(text: &str) -> Self {
        Self {
            text: if text.is_empty() {
                "-".to_owned()
            } else {
                plain(text)
            },
            style: Style::Plain,
            numeric: false,
        }
    }

    pub(super) fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// `text` with spaces up to `wide` columns.
pub(super) fn padded(text: &str, wide: usize) -> String {
    let gap = wide.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(gap))
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// `text` on one line, without anything a terminal would obey or that would show in another order
/// than it is written: device names come from people, texts of rules from lists of strangers.
pub(super) fn plain(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same for a text that has lines.
pub(super) fn plain_lines(text: &str) -> String {
    escaped(text.trim_end(), |c| c == '\n')
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let reorders = matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        if (c.is_control() || reorders) && !keep(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// An RFC 3339 time as people read it: `2026-11-22 12:00:02Z`.
pub(super) fn time(text: &str) -> String {
    let Some((date, rest)) = text.split_once('T') else {
        return plain(text);
    };
    let end = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let clock = clock.split('.').next().unwrap_or(clock);
    plain(&format!("{date} {clock}{zone}"))
}

/// A size as people read it: `4.0 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let mut rest = bytes;
    let mut tenths = 0;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if rest < 1024 || unit == "GiB" {
            return if unit == "B" {
                format!("{rest} B")
            } else {
                format!("{rest}.{tenths} {unit}")
            };
        }
        tenths = rest % 1024 * 10 / 1024;
        rest /= 1024;
    }
    format!("{bytes} B")
}

/// A span of time as people read it: `1 d 2 h 3 min`.
pub(super) fn span(seconds: u64) -> String {
    if seconds < 60 {
        return format!("{seconds} s");
    }
    let mut text = String::new();
    for (length, unit) in [(86_400, "d"), (3_600, "h"), (60, "min")] {
        let count = match unit {
            "d" => seconds / length,
            "h" => seconds % 86_400 / length,
            _ => seconds % 3_600 / length,
        };
        if count > 0 {
            let gap = if text.is_empty() { "" } else { " " };
            text.push_str(&format!("{gap}{count} {unit}"));
        }
    }
    text
}

/// Microseconds as people read them: `1.5 ms`.
pub(super) fn latency(micros: u64) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}

/// Words in a row, `-` if there are none.
pub(super) fn words(words: &[String]) -> String {
    if words.is_empty() {
        return "-".to_owned();
    }
    plain(&words.join(", "))
}

/// `1 list`, `2 lists`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (4 << 20, "4.0 MiB"),
            (5 << 40, "5120.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (seconds, text) in [
            (59, "59 s"),
            (60, "1 min"),
            (3_600, "1 h"),
            (93_784, "1 d 2 h 3 min"),
            (86_400 + 60, "1 d 1 min"),
        ] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(latency(12_345), "12.3 ms");
        assert_eq!(time("2026-11-22T12:00:02.123Z"), "2026-11-22 12:00:02Z");
        assert_eq!(
            time("2026-11-22T12:00:02+02:00"),
            "2026-11-22 12:00:02+02:00"
        );
        assert_eq!(time("soon"), "soon");
    }

    #[test]
    fn nothing_fools_the_terminal() {
        assert_eq!(plain("Mias \x1b[2JTablet\n"), "Mias \\u{1b}[2JTablet\\n");
        assert_eq!(plain("a\u{202e}b\u{9b}c ü"), "a\\u{202e}b\\u{9b}c ü");
        assert_eq!(plain_lines("a\r\nb\n"), "a\\r\nb");
    }
}
