//! In which syntax is this written?

use super::{Line, LineReader, Lines, adblock, regex};
use crate::lists::sealed::is_feed;
use crate::lists::{Item, LineFault, ListFormat, Unsupported};

/// How many lines vote.
const VOTERS: usize = 200;

/// The syntax that understands the most of the first lines; the plainest of those that do.
///
/// Every parser reads each of the first [`VOTERS`] lines that are neither blank nor `#` comments.
/// Names alone are understood by three syntaxes, and the plainest wins; one `||name^` among them
/// tips the scale. Nearly any text is an expression, and much is a mask, so those two have a say
/// only about lines with a mark that names do not have. A line that is clearly an adblock rule,
/// only not one for us, counts as understood, so that a list of cosmetic rules is recognised for
/// what it is; a hosts line does not count for adblock lists, which may hold some.
pub fn detect(sample: &[u8]) -> ListFormat {
    if is_feed(sample) {
        return ListFormat::Sealed;
    }
    let mut voters = ListFormat::ALL.map(|format| (LineReader::new(format), 0_usize));
    let mut asked = 0;
    let mut lines = Lines::new(sample);
    let mut items = Vec::new();
    // Reading from memory does not fail.
    while let Ok(Some(Line { text, .. })) = lines.next() {
        let text = text.unwrap_or_default();
        let trimmed = text.trim_ascii();
        if trimmed.is_empty() || trimmed.starts_with(b"#") {
            continue;
        }
        let mut is_hosts_line = false;
        for ((reader, votes), format) in voters.iter_mut().zip(ListFormat::ALL) {
            items.clear();
            let read = reader.read(text, &mut items);
            let understood = match format {
                ListFormat::Adblock => match &read {
                    _ if is_hosts_line => false,
                    Ok(()) => adblock::has_mark(trimmed) || has_only_names(&items),
                    Err(fault) => is_rule(trimmed, fault),
                },
                ListFormat::Wildcards => {
                    read.is_ok() && (has_only_names(&items) || trimmed.starts_with(b"*."))
                }
                ListFormat::Regex => read.is_ok() && regex::has_mark(trimmed),
                // Its first line says so, or it is none.
                ListFormat::Sealed => false,
                // A parenthesis in another syntax begins no record.
                ListFormat::Rpz => read.is_ok() && !reader.is_inside(),
                _ => read.is_ok(),
            };
            is_hosts_line |= format == ListFormat::Hosts && understood;
            *votes += usize::from(understood);
        }
        asked += 1;
        if asked == VOTERS {
            break;
        }
    }
    let most = voters.iter().map(|(_, votes)| *votes).max();
    let winner = voters
        .iter()
        .zip(ListFormat::ALL)
        .find(|((_, votes), _)| Some(*votes) == most);
    winner.map_or(ListFormat::Domains, |(_, format)| format)
}

fn has_only_names(items: &[Item]) -> bool {
    items.iter().all(|item| matches!(item, Item::Name(_)))
}

/// Whether a line that is not supported can be nothing but an adblock rule.
///
/// `example.org/path` may be a bad line of any list.
fn is_rule(line: &[u8], fault: &LineFault) -> bool {
    match fault {
        LineFault::Unsupported(Unsupported::Cosmetic | Unsupported::Modifier(_)) => true,
        _ => adblock::has_mark(line) && !line.starts_with(b"["),
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
            ("-ads-\n||example.org^\n", ListFormat::Adblock),
            ("/ads[0-9]/\n", ListFormat::Adblock),
            ("example.org^$important\n", ListFormat::Adblock),
            ("# x\naddress=/example.org/#\n", ListFormat::Dnsmasq),
            (
                "server=/example.org/\nserver=/a.test/\n",
                ListFormat::Dnsmasq,
            ),
            (
                "server:\n  local-zone: \"example.org\" static\n",
                ListFormat::Unbound,
            ),
            (
                "local-data: \"example.org A 0.0.0.0\"\n",
                ListFormat::Unbound,
            ),
            (
                "$TTL 2h\n@ SOA a. b. (\n 1\n 2\n 3\n 4\n 5 )\n NS a.\nexample.org CNAME .\n",
                ListFormat::Rpz,
            ),
            (
                "example.org CNAME .\n*.example.org CNAME .\n",
                ListFormat::Rpz,
            ),
            ("; a zone\nexample.org A 0.0.0.0\n", ListFormat::Rpz),
            ("^ads?[0-9]*\\.\n(^|\\.)a\\.test$\n", ListFormat::Regex),
            ("ads;querytype=A\n", ListFormat::Regex),
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
