//! What changed between two versions of a list, and applying it.
//!
//! A version is known by its *canonical form*: what the list says of itself, then its rules, one a
//! line as adblock rules, sorted by their octets, each once. Two lists of different syntaxes that
//! say the same have the same canonical form. Comments and bad lines are not in it. The canonical
//! form is itself a list. A sealed list's is the list without its comments: all of its head, then
//! its fingerprints.
//!
//! A delta is text. Its rules are in the order of the canonical form, so that it is made and applied
//! in one pass, in bounded memory, whatever the size of the list:
//!
//! ```text
//! hedgerow-delta 1
//! format adblock
//! from 0f3c…(SHA-256 of the base's canonical form) 104211
//! to 9b1d…(SHA-256 of the result's canonical form) 104210
//! =! syntax: adblock
//! =! title: Gambling
//! -||closed.example^
//! -||moved.example^
//! +||new.example^
//! ```
//!
//! The numbers are those of the rules. Lines with `=` are what the result says of itself. Who
//! applies a delta checks both sums: the result is that of the full file or there is none.

mod canonical;
mod read;

use std::cmp::Ordering;
use std::io::{self, Read, Write};

use self::canonical::{Canonical, Summed};
use self::read::{Change, Delta, MAGIC};
use super::sorted::Workshop;
use crate::lists::ListFault;
use crate::lists::parse::ReadOptions;

pub(super) use self::canonical::hexadecimal;

/// What a delta says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeltaSummary {
    /// The version it begins at: SHA-256 of its canonical form, in hexadecimal.
    pub from: String,
    /// The version it leads to.
    pub to: String,
    /// Rules added.
    pub added: u64,
    /// Rules taken away.
    pub removed: u64,
    /// Rules of the version it leads to.
    pub rules: u64,
}

/// Why there is no delta, or why it cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// One of the lists is none.
    #[error("{0}")]
    Unreadable(#[from] ListFault),
    /// A sealed list is not as its format wants it.
    #[error("{0}")]
    Feed(String),
    /// The head of a packed sealed list is not at hand.
    #[error("a sealed list must not be packed if there are deltas of it")]
    Packed,
    /// A rule has no adblock form.
    #[error("line {line} of the list cannot be said in a delta")]
    Unsayable {
        /// The line, from 1.
        line: u32,
    },
    /// One list holds names, the other fingerprints of names.
    #[error("a sealed list and one of names have nothing in common")]
    Mixed,
    /// Not a delta.
    #[error("not a delta of lists")]
    NotADelta,
    /// Something in it is not as it must be.
    #[error("line {line} of the delta: {why}")]
    Corrupt {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// It begins at another version than the one at hand: the full file is needed.
    #[error("the delta begins at version {wanted}, this is {found}; the full file is needed")]
    OtherBase {
        /// Where it begins.
        wanted: String,
        /// What is at hand.
        found: String,
    },
    /// It does not lead where it says: the full file is needed.
    #[error("the delta does not lead to the version it says; the full file is needed")]
    WrongResult,
    /// A file cannot be read or written.
    #[error("{0}")]
    Io(String),
}

impl From<io::Error> for DeltaError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// The version of `list`: SHA-256 of its canonical form, in hexadecimal.
///
/// # Errors
/// [`DeltaError`].
pub fn version(
    list: impl Read,
    options: &ReadOptions,
    workshop: &Workshop<'_>,
) -> Result<String, DeltaError> {
    Ok(Canonical::of(list, options, workshop)?.sum)
}

/// Writes into `delta` what leads from the list `old` to the list `new`, whatever their syntaxes.
///
/// # Errors
/// [`DeltaError`].
pub fn diff(
    old: impl Read,
    new: impl Read,
    options: &ReadOptions,
    workshop: &Workshop<'_>,
    delta: &mut dyn Write,
) -> Result<DeltaSummary, DeltaError> {
    let mut old = Canonical::of(old, options, workshop)?;
    let mut new = Canonical::of(new, options, workshop)?;
    if old.format != new.format && old.count > 0 {
        return Err(DeltaError::Mixed);
    }
    writeln!(delta, "{MAGIC}")?;
    writeln!(delta, "format {}", new.format)?;
    writeln!(delta, "from {} {}", old.sum, old.count)?;
    writeln!(delta, "to {} {}", new.sum, new.count)?;
    for line in &new.head {
        writeln!(delta, "={line}")?;
    }
    let (mut removed, mut added) = (0, 0);
    let mut before = old.rules.next()?;
    let mut after = new.rules.next()?;
    loop {
        let order = match (before, after) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => before.cmp(after),
        };
        if order.is_lt() {
            write_line(delta, b"-", before)?;
            removed += 1;
        } else if order.is_gt() {
            write_line(delta, b"+", after)?;
            added += 1;
        }
        if order.is_le() {
            before = old.rules.next()?;
        }
        if order.is_ge() {
            after = new.rules.next()?;
        }
    }
    Ok(DeltaSummary {
        from: old.sum,
        to: new.sum,
        added,
        removed,
        rules: new.count,
    })
}

/// Writes into `list` the canonical form of the version to which `delta` leads from the list `base`.
///
/// What was written must be thrown away on an error.
///
/// # Errors
/// [`DeltaError`]; after [`DeltaError::OtherBase`] and most others the full file helps.
pub fn apply(
    base: impl Read,
    delta: impl Read,
    options: &ReadOptions,
    workshop: &Workshop<'_>,
    list: &mut dyn Write,
) -> Result<DeltaSummary, DeltaError> {
    let mut delta = Delta::open(delta)?;
    let mut base = Canonical::of(base, options, workshop)?;
    if base.sum != delta.from {
        return Err(DeltaError::OtherBase {
            wanted: delta.from,
            found: base.sum,
        });
    }
    let mut result = Summed::new(list);
    let (mut removed, mut added) = (0, 0);
    let mut old = base.rules.next()?;
    while let Some((change, rule)) = delta.next(&mut result)? {
        // What comes before this change stays.
        while let Some(line) = old.filter(|line| *line < rule) {
            result.rule(line)?;
            old = base.rules.next()?;
        }
        let there = old == Some(rule);
        match change {
            Change::Remove if there => {
                removed += 1;
                old = base.rules.next()?;
            }
            Change::Add if !there => {
                added += 1;
                result.rule(rule)?;
            }
            Change::Remove => return Err(delta.corrupt("takes away what is not there")),
            Change::Add => return Err(delta.corrupt("adds what is there already")),
        }
    }
    while let Some(line) = old {
        result.rule(line)?;
        old = base.rules.next()?;
    }
    let (sum, rules) = result.finish();
    if (&sum, rules) != (&delta.to, delta.rules) {
        return Err(DeltaError::WrongResult);
    }
    Ok(DeltaSummary {
        from: delta.from,
        to: delta.to,
        added,
        removed,
        rules,
    })
}

fn write_line(to: &mut dyn Write, sign: &[u8], line: Option<&[u8]>) -> io::Result<()> {
    to.write_all(sign)?;
    to.write_all(line.unwrap_or_default())?;
    to.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::MemoryFiles;

    fn with<T>(work: impl FnOnce(&Workshop<'_>) -> T) -> T {
        let files = MemoryFiles::new().files();
        work(&Workshop {
            files: &files,
            folder: Path::new("/run"),
            memory: 0,
        })
    }

    fn delta(old: &str, new: &str) -> Result<String, DeltaError> {
        let mut text = Vec::new();
        with(|shop| {
            diff(
                old.as_bytes(),
                new.as_bytes(),
                &ReadOptions::default(),
                shop,
                &mut text,
            )
        })?;
        Ok(String::from_utf8(text).unwrap())
    }

    fn applied(base: &str, delta: &str) -> Result<String, DeltaError> {
        let mut text = Vec::new();
        with(|shop| {
            apply(
                base.as_bytes(),
                delta.as_bytes(),
                &ReadOptions::default(),
                shop,
                &mut text,
            )
        })?;
        Ok(String::from_utf8(text).unwrap())
    }

    const OLD: &str = "# title: Ads\n0.0.0.0 a.test\n0.0.0.0 b.test c.test\n0.0.0.0 a.test\n";
    const NEW: &str = "! Title: More ads\n||a.test^\n||c.test^\n||d.test^\nno name\n";

    #[test]
    fn a_delta_leads_from_one_version_to_the_other() {
        let text = delta(OLD, NEW).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "hedgerow-delta 1");
        assert_eq!(lines[1], "format adblock");
        assert!(lines[2].starts_with("from ") && lines[2].ends_with(" 3"));
        assert_eq!(
            lines[4..],
            [
                "=! syntax: adblock",
                "=! title: More ads",
                "-||b.test^",
                "+||d.test^"
            ]
        );
        let result = applied(OLD, &text).unwrap();
        assert_eq!(
            result,
            "! syntax: adblock\n! title: More ads\n||a.test^\n||c.test^\n||d.test^\n"
        );
        // The result is itself a list, and the version is that of the file it stands for.
        let version = |list: &str| {
            with(|shop| version(list.as_bytes(), &ReadOptions::default(), shop)).unwrap()
        };
        assert_eq!(version(&result), version(NEW));
        assert_ne!(version(OLD), version(NEW));
    }

    #[test]
    fn nothing_changed_is_a_delta_too() {
        let text = delta(NEW, NEW).unwrap();
        assert_eq!(text.lines().count(), 6);
        assert!(applied(NEW, &text).is_ok());
    }

    #[test]
    fn a_delta_of_another_version_is_not_applied() {
        let text = delta(OLD, NEW).unwrap();
        let other = applied("a.test\n", &text).unwrap_err();
        assert!(matches!(other, DeltaError::OtherBase { .. }), "{other}");
        // A delta that was tampered with leads elsewhere, or nowhere.
        let bent = text.replace("+||d.test^", "+||e.test^");
        assert_eq!(applied(OLD, &bent).unwrap_err(), DeltaError::WrongResult);
        let bent = text.replace("More ads", "Fewer ads");
        assert_eq!(applied(OLD, &bent).unwrap_err(), DeltaError::WrongResult);
        for (from, to, why) in [
            ("-||b.test^", "-||bb.test^", "takes away what is not there"),
            ("+||d", "+||a", "not in order"),
            ("+||d.test^", "+||c.test^", "adds what is there already"),
            ("-||b", "||b", "neither `+` nor `-`"),
            ("=! title", "=title", "neither `+` nor `-`"),
        ] {
            match applied(OLD, &text.replace(from, to)).unwrap_err() {
                DeltaError::Corrupt { why: found, .. } => assert_eq!(found, why, "{from}"),
                other => panic!("{from}: {other}"),
            }
        }
        let short: Vec<&str> = text.lines().take(7).collect();
        assert_eq!(
            applied(OLD, &short.join("\n")).unwrap_err(),
            DeltaError::WrongResult
        );
        for nonsense in [
            "",
            "<html>",
            "hedgerow-delta 2\n",
            "hedgerow-delta 1\nformat x\n",
        ] {
            assert_eq!(applied(OLD, nonsense).unwrap_err(), DeltaError::NotADelta);
        }
    }

    #[test]
    fn what_has_no_adblock_form_has_no_delta() {
        let zone =
            "$TTL 60\n@ SOA a. b. 1 1 1 1 1\n24.0.2.0.192.rpz-ip CNAME .\nads.test CNAME .\n";
        assert_eq!(
            delta(zone, NEW).unwrap_err(),
            DeltaError::Unsayable { line: 3 }
        );
        let modified =
            "||a.test^$dnstype=A|~AAAA,client=192.0.2.1\n/^ads[0-9]+\\./\n||*.b.test^$important\n";
        let text = delta(NEW, modified).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with('+')).count(), 3);
    }

    #[test]
    fn a_sealed_list_has_deltas_too() {
        let feed = |serial: u64, prints: &[&str]| {
            format!(
                "# from the hotline\nsealed: 1\ntitle: Test\nissuer: hotline.example\nserial: {serial}\n\
                 date: 2026-11-22\nhash: siphash-2-4-128/80\n\
                 key: 000102030405060708090a0b0c0d0e0f\ncount: {}\n\n{}\n",
                prints.len(),
                prints.join("\n")
            )
        };
        let old = feed(1, &["0123456789abcdef0123", "1123456789abcdef0123"]);
        let new = feed(2, &["0123456789abcdef0123", "fedcba98765432100123"]);
        let text = delta(&old, &new).unwrap();
        assert!(text.contains("\n=serial: 2\n"));
        let result = applied(&old, &text).unwrap();
        assert_eq!(
            with(|shop| version(result.as_bytes(), &ReadOptions::default(), shop)),
            with(|shop| version(new.as_bytes(), &ReadOptions::default(), shop))
        );
        assert_eq!(delta(&old, NEW).unwrap_err(), DeltaError::Mixed);
        let cut = old.replace("1123456789abcdef0123\n", "");
        assert!(matches!(delta(&cut, &new), Err(DeltaError::Feed(_))));
    }
}
