//! In which syntax is this written?

use super::{Line, Lines};
use crate::lists::{LineFault, ListFormat, Unsupported};

/// How many lines vote.
const VOTERS: usize = 200;

/// The syntax that understands the most of the first lines; the plainest of those that do.
///
/// Every parser reads each of the first [`VOTERS`] lines that are neither blank nor `#` comments.
/// A line that is clearly an adblock rule, only not one for us, counts as understood, so that a
/// list of cosmetic rules is recognised for what it is; a hosts line does not count for adblock
/// lists, which may hold some. Names alone are understood by three syntaxes, and the plainest wins; one `||name^`
/// among them tips the scale.
pub fn detect(sample: &[u8]) -> ListFormat {
    let mut votes = [0_usize; ListFormat::ALL.len()];
    let mut voters = 0;
    let mut lines = Lines::new(sample);
    let mut entries = Vec::new();
    // Reading from memory does not fail.
    while let Ok(Some(Line { text, .. })) = lines.next() {
        let text = text.unwrap_or_default().trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        let mut is_hosts_line = false;
        for (format, votes) in ListFormat::ALL.iter().zip(&mut votes) {
            entries.clear();
            let read = format.read_line(text, &mut entries);
            let understood = match format {
                ListFormat::Adblock => {
                    !is_hosts_line && read.map_or_else(|fault| is_rule(text, &fault), |()| true)
                }
                _ => read.is_ok(),
            };
            is_hosts_line |= *format == ListFormat::Hosts && understood;
            *votes += usize::from(understood);
        }
        voters += 1;
        if voters == VOTERS {
            break;
        }
    }
    let most = votes.iter().max();
    let winner = ListFormat::ALL
        .iter()
        .zip(&votes)
        .find(|(_, votes)| Some(*votes) == most);
    winner.map_or(ListFormat::Domains, |(format, _)| *format)
}

/// Whether a line that is not supported can be nothing but an adblock rule.
///
/// `example.org/path` and `ads*.example.org` may be bad lines of any list.
fn is_rule(line: &[u8], fault: &LineFault) -> bool {
    match fault {
        LineFault::Unsupported(Unsupported::Path | Unsupported::Url | Unsupported::Wildcard) => {
            line.starts_with(b"|") || line.starts_with(b"@@")
        }
        LineFault::Unsupported(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_syntax_is_recognised() {
        for (text, format) in [
            ("", ListFormat::Domains),
            ("# nothing\n", ListFormat::Domains),
            ("example.org\nexample.net # why\n", ListFormat::Domains),
            (
                "# Title: x\n127.0.0.1 localhost\n0.0.0.0 example.org\n",
                ListFormat::Hosts,
            ),
            ("# Title: x\n*.example.org\n", ListFormat::Wildcards),
            ("example.org\n*.example.org\n", ListFormat::Wildcards),
            ("[Adblock Plus 2.0]\nexample.org\n", ListFormat::Adblock),
            ("! Title: x\nexample.org\n", ListFormat::Adblock),
            ("example.org\n||example.net^\n", ListFormat::Adblock),
            (
                "example.org##.banner\nexample.net##.banner\n",
                ListFormat::Adblock,
            ),
            ("@@||example.org^\n", ListFormat::Adblock),
            ("||example.org/ads\nexample.net\n", ListFormat::Adblock),
            ("*.example.org\n*.ads*.example.org\n", ListFormat::Wildcards),
            ("example.org # why\nexample.org/ads\n", ListFormat::Domains),
            ("\0\0\0\n!!\n", ListFormat::Adblock),
        ] {
            assert_eq!(detect(text.as_bytes()), format, "{text:?}");
        }
    }

    #[test]
    fn a_stray_line_does_not_outvote_the_rest() {
        let text = "example.org # a\n".repeat(20) + "||example.net^\n";
        assert_eq!(detect(text.as_bytes()), ListFormat::Domains);
        let text = "0.0.0.0 example.org\n".repeat(20) + "example.net\n";
        assert_eq!(detect(text.as_bytes()), ListFormat::Hosts);
    }
}
