//! Wildcards, as the expressions they stand for.

use super::PatternFault;
use super::syntax::Node;
use crate::lists::PatternKind;

/// Reads the text of a wildcard.
///
/// `*` stands for any number of any characters, dots included. In a text that is found anywhere
/// (AdGuard's rules without `||`), a `|` in front or at the end is the begin or end of the name,
/// `||` in front the begin of a label, and `^` a place where a name begins or ends: the only
/// separators that AdGuard sees when it filters names.
///
/// # Errors
/// When something stands in it that no name has.
pub(super) fn parse(kind: PatternKind, text: &str) -> Result<Node, PatternFault> {
    let mut row = Vec::new();
    let mut rest = text.as_bytes();
    let mut at = 0;
    match kind {
        PatternKind::WildcardSubtree => row.push(label_begin()),
        PatternKind::WildcardExact => row.push(Node::Begin),
        _ => {
            if let Some(behind) = rest.strip_prefix(b"||") {
                row.push(label_begin());
                (rest, at) = (behind, 2);
            } else if let Some(behind) = rest.strip_prefix(b"|") {
                row.push(Node::Begin);
                (rest, at) = (behind, 1);
            }
        }
    }
    let is_substring = kind == PatternKind::Substring;
    let mut ends = !is_substring;
    if is_substring && let Some(before) = rest.strip_suffix(b"|") {
        (rest, ends) = (before, true);
    }
    for octet in rest {
        at += 1;
        match octet {
            b'*' => row.push(Node::anything()),
            b'^' if is_substring => row.push(Node::Either(vec![Node::Begin, Node::End])),
            b'-' | b'_' | b'.' => row.push(Node::octet(*octet)),
            octet if octet.is_ascii_alphanumeric() => row.push(Node::octet(*octet)),
            _ => {
                let what = "a character that no name has";
                return Err(PatternFault::Syntax { at, what });
            }
        }
    }
    if ends {
        row.push(Node::End);
    }
    Ok(Node::Row(row))
}

fn label_begin() -> Node {
    Node::Either(vec![Node::Begin, Node::octet(b'.')])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_name_has_is_told_with_its_place() {
        for (kind, text, at) in [
            (PatternKind::WildcardExact, "ads*.ex/ample", 8),
            (PatternKind::WildcardSubtree, "|ads*", 1),
            (PatternKind::Substring, "||ads*ü", 7),
            (PatternKind::Substring, "a|ds", 2),
        ] {
            let what = "a character that no name has";
            let expected = PatternFault::Syntax { at, what };
            assert_eq!(parse(kind, text), Err(expected), "{text}");
        }
    }
}
