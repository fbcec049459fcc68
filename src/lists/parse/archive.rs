//! Tar archives: the files in them, one after another, in bounded memory.
//!
//! Reads what POSIX calls ustar, with the long names of GNU tar and of pax. Nothing is ever written
//! anywhere; a name only decides whether a file is read.

use std::io::{self, Read};

/// The unit of an archive.
const BLOCK: usize = 512;
/// The longest name, and the longest header that may carry one.
const MAX_EXTENDED: u64 = 64 * 1024;
/// Where the magic of a header stands, and what all flavours have in common.
const MAGIC: (usize, &[u8]) = (257, b"ustar");

/// A stream of files.
pub(super) struct Archive<R> {
    source: R,
    /// Of the current file, and then up to the next header.
    left: u64,
    padding: u64,
}

/// What an archive holds at one place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// A file, by the parts of its path; read it from the archive now.
    File(Vec<String>),
    /// Something that is left alone, and why, for people.
    Ignored { path: String, why: &'static str },
}

/// Whether a file that begins so is a tar archive.
pub(super) fn is_archive(sample: &[u8]) -> bool {
    let (at, magic) = MAGIC;
    sample.get(at..at + magic.len()) == Some(magic)
        && sample.get(..BLOCK).is_some_and(checksum_holds)
}

impl<R: Read> Archive<R> {
    pub(super) const fn new(source: R) -> Self {
        Self {
            source,
            left: 0,
            padding: 0,
        }
    }

    /// The next member; none at the end mark.
    ///
    /// # Errors
    /// What the stream said, and [`io::ErrorKind::InvalidData`] where the archive is damaged.
    pub(super) fn next(&mut self) -> io::Result<Option<Member>> {
        let mut long_name = None;
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = number(header.get(124..136).unwrap_or_default())
                .ok_or_else(|| damaged("a size that is no number"))?;
            self.left = size;
            self.padding = size.wrapping_neg() % BLOCK as u64;
            match header.get(156).copied().unwrap_or_default() {
                b'L' => long_name = Some(self.extended()?),
                b'x' => {
                    let pax = self.extended()?;
                    let (name, size) = pax_values(&pax);
                    long_name = name.or(long_name);
                    if size.is_some() {
                        return Err(damaged("a file of more than 8 GiB"));
                    }
                }
                // A header for all that follow, and the long target of a link.
                b'g' | b'K' => {}
                b'0' | b'\0' | b'7' => {
                    let name = long_name.unwrap_or_else(|| path(&header));
                    return Ok(Some(member(&name)));
                }
                kind => {
                    let name = long_name.unwrap_or_else(|| path(&header));
                    let why = match kind {
                        b'5' => {
                            long_name = None;
                            continue;
                        }
                        b'1' | b'2' => "a link",
                        b'3' | b'4' | b'6' => "a device",
                        _ => "neither file nor folder",
                    };
                    return Ok(Some(ignored(&name, why)));
                }
            }
        }
    }

    /// Skips to the next header and reads it; none at the end mark.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let rest = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut self.source.by_ref().take(rest), &mut io::sink())?;
        let mut header = [0; BLOCK];
        let cut_off = || damaged("the archive ends without its end mark");
        if skipped < rest {
            return Err(cut_off());
        }
        self.source
            .read_exact(&mut header)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => cut_off(),
                _ => error,
            })?;
        if header.iter().all(|octet| *octet == 0) {
            return Ok(None);
        }
        if checksum_holds(&header) {
            Ok(Some(header))
        } else {
            Err(damaged("a header that does not match its checksum"))
        }
    }

    /// The text of a header that only says something of the next file.
    fn extended(&mut self) -> io::Result<String> {
        if self.left > MAX_EXTENDED {
            return Err(damaged("a name of more than 64 KiB"));
        }
        let mut text = Vec::new();
        self.read_to_end(&mut text)?;
        while text.last() == Some(&0) {
            text.pop();
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl<R: Read> Read for Archive<R> {
    /// The content of the current file.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let room = buffer.get_mut(..most).unwrap_or_default();
        if room.is_empty() {
            return Ok(0);
        }
        let read = self.source.read(room)?;
        if read == 0 {
            return Err(damaged("the archive ends inside a file"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A file, if its path stays inside the archive.
fn member(name: &str) -> Member {
    if name.starts_with('/') {
        return ignored(name, "its path is absolute");
    }
    let parts: Vec<String> = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .map(str::to_owned)
        .collect();
    if parts.iter().any(|part| part == "..") {
        return ignored(name, "its path leaves the archive");
    }
    Member::File(parts)
}

fn ignored(name: &str, why: &'static str) -> Member {
    Member::Ignored {
        path: name.to_owned(),
        why,
    }
}

/// The path in a header, with the prefix that ustar puts in front of long ones.
fn path(header: &[u8]) -> String {
    let text = |from, to| {
        let field = header.get(from..to).unwrap_or_default();
        let end = field.iter().position(|octet| *octet == 0);
        String::from_utf8_lossy(field.get(..end.unwrap_or(field.len())).unwrap_or(field))
            .into_owned()
    };
    let name = text(0, 100);
    // GNU tar keeps other things where POSIX keeps the prefix.
    let is_posix = header.get(257..263) == Some(b"ustar\0");
    let prefix = if is_posix {
        text(345, 500)
    } else {
        String::new()
    };
    if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    }
}

/// A number in octal digits.
fn number(field: &[u8]) -> Option<u64> {
    let text = str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

/// Whether the octets of a header add up to what it says, its own field counted as blanks.
fn checksum_holds(header: &[u8]) -> bool {
    let stored = header.get(148..156).and_then(number);
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, octet)| {
            u64::from(if (148..156).contains(&at) {
                b' '
            } else {
                *octet
            })
        })
        .sum();
    stored == Some(sum)
}

/// The path and the size among the records `length key=value` of a pax header.
fn pax_values(text: &str) -> (Option<String>, Option<String>) {
    let value = |wanted: &str| {
        text.lines().find_map(|line| {
            let (_, record) = line.split_once(' ')?;
            let (key, value) = record.split_once('=')?;
            (key == wanted).then(|| value.to_owned())
        })
    };
    (value("path"), value("size"))
}

/// Archives for tests.
#[cfg(test)]
pub(super) mod testing {
    use super::BLOCK;

    /// A member as tar writes it: type, path and content.
    pub(in crate::lists::parse) fn member(kind: u8, path: &str, content: &[u8]) -> Vec<u8> {
        let mut header = [0_u8; BLOCK];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|octet| u32::from(*octet)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut bytes = header.to_vec();
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    /// An archive of files.
    pub(in crate::lists::parse) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes: Vec<u8> = files
            .iter()
            .flat_map(|(path, content)| member(b'0', path, content.as_bytes()))
            .collect();
        bytes.extend([0; 2 * BLOCK]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{archive, member as written};
    use super::*;

    /// All members: their paths and contents, or why they are left alone.
    fn all(bytes: &[u8]) -> io::Result<Vec<String>> {
        let mut archive = Archive::new(bytes);
        let mut members = Vec::new();
        while let Some(member) = archive.next()? {
            members.push(match member {
                Member::File(path) => {
                    let mut content = String::new();
                    archive.read_to_string(&mut content)?;
                    format!("{}: {content}", path.join("/"))
                }
                Member::Ignored { path, why } => format!("{path}: {why}"),
            });
        }
        Ok(members)
    }

    #[test]
    fn files_come_one_after_another() {
        let long = "x".repeat(600);
        let bytes = archive(&[("a/domains", "one"), ("./a/./urls", ""), ("b", &long)]);
        assert!(is_archive(&bytes));
        assert_eq!(
            all(&bytes).unwrap(),
            [
                "a/domains: one".to_owned(),
                "a/urls: ".to_owned(),
                format!("b: {long}")
            ]
        );
        // Nobody has to read a file to get to the next.
        let mut archive = Archive::new(bytes.as_slice());
        let mut count = 0;
        while archive.next().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 3);
    }

    #[test]
    fn long_names_stand_in_headers_of_their_own() {
        let long = format!("{}/domains", "d".repeat(150));
        let pax = format!("{} path={long}\n", long.len() + 10);
        let bytes = [
            written(b'L', "././@LongLink", format!("{long}\0").as_bytes()),
            written(b'0', "short", b"one"),
            written(b'g', "global", b"16 comment=none\n"),
            written(b'x', "PaxHeader", pax.as_bytes()),
            written(b'0', "short", b"two"),
            vec![0; BLOCK],
        ]
        .concat();
        assert_eq!(
            all(&bytes).unwrap(),
            [format!("{long}: one"), format!("{long}: two")]
        );
    }

    #[test]
    fn what_is_no_file_or_leads_elsewhere_is_left_alone() {
        let bytes = [
            written(b'5', "adult/", b""),
            written(b'2', "porn", b""),
            written(b'1', "hard", b""),
            written(b'3', "console", b""),
            written(b'0', "/etc/domains", b"a"),
            written(b'0', "a/../../domains", b"a"),
            written(b'S', "sparse", b""),
            vec![0; BLOCK],
        ]
        .concat();
        assert_eq!(
            all(&bytes).unwrap(),
            [
                "porn: a link",
                "hard: a link",
                "console: a device",
                "/etc/domains: its path is absolute",
                "a/../../domains: its path leaves the archive",
                "sparse: neither file nor folder",
            ]
        );
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = archive(&[("a", "one"), ("b", "two")]);
        // Before the first octet of the end mark.
        for end in 0..4 * BLOCK {
            let error = all(&bytes[..end]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{end}");
        }
        let mut changed = bytes.clone();
        changed[2 * BLOCK] ^= 1;
        assert!(all(&changed).is_err());
        let huge = [
            written(b'L', "././@LongLink", &vec![b'a'; 70_000]),
            vec![0; BLOCK],
        ]
        .concat();
        assert!(all(&huge).unwrap_err().to_string().contains("64 KiB"));
    }
}
