//! ISC's `dhcpd.leases` and `dhcpd6.leases`: a journal of blocks.
//!
//! ```text
//! lease 192.0.2.7 {
//!   ends 4 2026/11/19 22:00:00;
//!   binding state active;
//!   hardware ethernet 02:00:5e:10:00:01;
//!   uid "\001\002\000^\020\000\001";
//!   client-hostname "mias-tablet";
//! }
//! ia-na "\001\000\000\000\000\003\000\001\002\000^\020\000\001" {
//!   iaaddr 2001:db8::7 {
//!     binding state active;
//!     ends 4 2026/11/19 22:00:00;
//!   }
//! }
//! ```
//!
//! A later block about an address is the one that counts. Times are of UTC; `ends never` and `ends
//! epoch 1795003600` are other ways to say it. The string behind `ia-na` is the IAID and the DUID.

use std::net::IpAddr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::hex::{client_id, mac_in_duid};
use super::{Book, Faults, LineFault, MAX_LINE, host_address};
use crate::device::{HostName, Lease};
use crate::mac::Mac;

pub(super) fn read(bytes: &[u8], book: &mut Book, faults: &mut Faults) {
    let mut reader = Reader {
        bytes,
        at: 0,
        line: 1,
        is_cut_off: false,
        book,
        faults,
    };
    while let Some(statement) = reader.statement() {
        reader.outermost(&statement);
    }
}

/// A word, a quoted string, or one of `{`, `}` and `;`.
#[derive(Debug, PartialEq, Eq)]
enum Token<'b> {
    Word(&'b [u8]),
    Text(Vec<u8>),
    Mark(u8),
}

/// The words up to the mark that ends them.
#[derive(Debug)]
struct Statement<'b> {
    /// Where it begins.
    line: usize,
    words: Vec<Token<'b>>,
    /// `;`, `{` or `}`.
    mark: u8,
}

impl<'b> Statement<'b> {
    /// The words as text; empty for a string or what is no text.
    fn texts(&self) -> Vec<&'b str> {
        let text = |token: &Token<'b>| match token {
            Token::Word(word) => std::str::from_utf8(word).unwrap_or_default(),
            Token::Text(_) | Token::Mark(_) => "",
        };
        self.words.iter().map(text).collect()
    }

    /// The string in a statement such as `uid "\001";`.
    fn quoted(&self) -> Option<&[u8]> {
        match self.words.as_slice() {
            [_, Token::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// The most words that a statement of use has.
const MAX_WORDS: usize = 8;

struct Reader<'b, 'f> {
    bytes: &'b [u8],
    at: usize,
    line: usize,
    /// Whether it was told that the file ends inside of something.
    is_cut_off: bool,
    book: &'f mut Book,
    faults: &'f mut Faults,
}

impl<'b> Reader<'b, '_> {
    /// The next statement; none at the end of the file.
    fn statement(&mut self) -> Option<Statement<'b>> {
        let mut words = Vec::new();
        let mut begin = None;
        loop {
            let Some(token) = self.token() else {
                if let Some(line) = begin {
                    self.cut_off(line);
                }
                return None;
            };
            let line = *begin.get_or_insert(self.line);
            match token {
                Token::Mark(mark) => return Some(Statement { line, words, mark }),
                word if words.len() < MAX_WORDS => words.push(word),
                _ => {}
            }
        }
    }

    /// What stands in no block.
    fn outermost(&mut self, statement: &Statement<'b>) {
        if statement.mark != b'{' {
            return;
        }
        match statement.texts().as_slice() {
            ["lease", address] => match host_address(address) {
                Ok(address) => self.lease(statement.line, address),
                Err(fault) => {
                    self.faults.add(statement.line, fault);
                    self.skip_block();
                }
            },
            ["ia-na" | "ia-ta", _] => self.association(statement),
            _ => self.skip_block(),
        }
    }

    /// A block about an IPv4 address.
    fn lease(&mut self, line: usize, address: IpAddr) {
        let mut lease = Lease {
            address,
            mac: None,
            host_name: None,
            client_id: None,
            ends: None,
        };
        let done = self.block(line, |reader, statement| {
            match (statement.texts().as_slice(), statement.quoted()) {
                (["hardware", "ethernet", mac], _) => lease.mac = mac.parse::<Mac>().ok(),
                (["uid", ..], Some(id)) => lease.client_id = client_id(id.to_vec()),
                (["client-hostname", ..], Some(name)) => {
                    lease.host_name = std::str::from_utf8(name).ok().and_then(HostName::new);
                }
                _ => return reader.common(statement, &mut lease.ends),
            }
            None
        });
        if let Some(is_active) = done {
            self.enter(lease, is_active);
        }
    }

    /// A block about a client's IPv6 addresses.
    fn association(&mut self, statement: &Statement<'b>) {
        let duid = statement.quoted().and_then(|id| id.get(4..));
        let duid = duid.unwrap_or_default();
        let _is_active = self.block(statement.line, |reader, statement| {
            let texts = statement.texts();
            let ["iaaddr", address] = *texts.as_slice() else {
                return None;
            };
            if statement.mark != b'{' {
                return None;
            }
            let address = host_address(address);
            let mut ends = None;
            let done = reader.block(statement.line, |reader, statement| {
                reader.common(statement, &mut ends)
            });
            match (address, done) {
                (Ok(address), Some(is_active)) => {
                    let lease = Lease {
                        address,
                        mac: mac_in_duid(duid),
                        host_name: None,
                        client_id: client_id(duid.to_vec()),
                        ends,
                    };
                    reader.enter(lease, is_active);
                }
                (Err(fault), _) => reader.faults.add(statement.line, fault),
                (Ok(_), None) => {}
            }
            Some(Inner::Read)
        });
    }

    fn enter(&mut self, lease: Lease, is_active: bool) {
        if is_active {
            self.book.put(lease);
        } else {
            self.book.remove(lease.address);
        }
    }

    /// Statements of both families.
    fn common(&mut self, statement: &Statement<'b>, ends: &mut Option<u64>) -> Option<Inner> {
        match *statement.texts().as_slice() {
            ["binding", "state", state] => Some(Inner::State(state == "active")),
            ["ends", "never"] => {
                *ends = None;
                None
            }
            ["ends", "epoch", seconds] => {
                match seconds.parse() {
                    Ok(seconds) => *ends = Some(seconds),
                    Err(_) => self.faults.add(statement.line, LineFault::Time),
                }
                None
            }
            ["ends", _weekday, date, time] => {
                match moment(date, time) {
                    Some(moment) => *ends = Some(moment),
                    None => self.faults.add(statement.line, LineFault::Time),
                }
                None
            }
            _ => None,
        }
    }

    /// Hands the statements of a block to `look`, and says whether its binding is active; none if
    /// the file ends in it. Blocks inside that `look` did not read are skipped.
    fn block(
        &mut self,
        line: usize,
        mut look: impl FnMut(&mut Self, &Statement<'b>) -> Option<Inner>,
    ) -> Option<bool> {
        // Before there were states, every lease in the file was one.
        let mut is_active = true;
        loop {
            let Some(statement) = self.statement() else {
                self.cut_off(line);
                return None;
            };
            if statement.mark == b'}' {
                return Some(is_active);
            }
            match look(self, &statement) {
                Some(Inner::State(is)) => is_active = is,
                Some(Inner::Read) => {}
                None if statement.mark == b'{' => self.skip_block(),
                None => {}
            }
        }
    }

    /// Tells once that the file ends inside of what begins on `line`.
    fn cut_off(&mut self, line: usize) {
        if !self.is_cut_off {
            self.is_cut_off = true;
            self.faults.add(line, LineFault::CutOff);
        }
    }

    /// Goes on behind the block that was begun.
    fn skip_block(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.token() {
                Some(Token::Mark(b'{')) => depth += 1,
                Some(Token::Mark(b'}')) => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn token(&mut self) -> Option<Token<'b>> {
        self.skip_blanks();
        let rest = self.bytes.get(self.at..)?;
        match *rest.first()? {
            mark @ (b'{' | b'}' | b';') => {
                self.at += 1;
                Some(Token::Mark(mark))
            }
            b'"' => {
                self.at += 1;
                Some(self.string())
            }
            _ => {
                let is_end = |octet: &u8| {
                    octet.is_ascii_whitespace() || matches!(octet, b'{' | b'}' | b';' | b'"')
                };
                let length = rest.iter().position(is_end).unwrap_or(rest.len());
                self.at += length;
                let word = &rest[..length];
                if length > MAX_LINE {
                    self.faults.add(self.line, LineFault::TooLong);
                }
                Some(Token::Word(word))
            }
        }
    }

    /// The rest of a quoted string, with `\\`, `\"` and `\001` undone. What is too long is cut.
    fn string(&mut self) -> Token<'b> {
        let mut text = Vec::new();
        let line = self.line;
        let mut is_long = false;
        while let Some(&octet) = self.bytes.get(self.at) {
            self.at += 1;
            let octet = match octet {
                b'"' => break,
                b'\\' => self.escaped(),
                b'\n' => {
                    self.line += 1;
                    octet
                }
                _ => octet,
            };
            if text.len() < MAX_LINE {
                text.push(octet);
            } else {
                is_long = true;
            }
        }
        if is_long {
            self.faults.add(line, LineFault::TooLong);
        }
        Token::Text(text)
    }

    /// The octet behind a backslash.
    fn escaped(&mut self) -> u8 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let digits = rest.iter().take(3);
        let digits = digits.take_while(|octet| (b'0'..=b'7').contains(octet));
        let (count, value) = digits.fold((0, 0_u32), |(count, value), octet| {
            (count + 1, value * 8 + u32::from(octet - b'0'))
        });
        if count > 0 {
            self.at += count;
            // `\777` is no octet; its low eight bits are as good as any.
            return value as u8;
        }
        let octet = rest.first().copied().unwrap_or(b'\\');
        self.at += usize::from(!rest.is_empty());
        self.line += usize::from(octet == b'\n');
        octet
    }

    fn skip_blanks(&mut self) {
        let mut is_comment = false;
        while let Some(&octet) = self.bytes.get(self.at) {
            match octet {
                b'\n' => {
                    is_comment = false;
                    self.line += 1;
                }
                _ if is_comment || octet.is_ascii_whitespace() => {}
                b'#' => is_comment = true,
                _ => return,
            }
            self.at += 1;
        }
    }
}

/// What came of a statement inside a block.
enum Inner {
    /// It says whether the binding is active.
    State(bool),
    /// It was a block, and is read.
    Read,
}

/// `2026/11/19` and `22:00:00` of UTC, in seconds since 1970.
fn moment(date: &str, time: &str) -> Option<u64> {
    let mut date = date.splitn(3, '/');
    let mut time = time.splitn(3, ':');
    let year = date.next()?.parse().ok()?;
    let number = |text: Option<&str>| text?.parse::<i8>().ok();
    let (month, day) = (number(date.next())?, number(date.next())?);
    let (hour, minute, second) = (
        number(time.next())?,
        number(time.next())?,
        number(time.next())?,
    );
    let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, bare, lease};
    use super::super::{Format, read_leases};
    use super::*;

    #[test]
    fn the_last_block_about_an_address_counts() {
        let text = r#"
# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;

lease 192.0.2.7 {
  starts 2 2026/11/17 10:00:00;
  ends 4 2026/11/19 10:00:00;
  binding state active;
  next binding state free;
  hardware ethernet 02:00:5e:10:00:01;
  uid "\001\002\000^\020\000\001";
  set vendor-class-identifier = "android-dhcp; { 17 }";
  client-hostname "Mias-Tablet";
  on expiry {
    if (exists agent.circuit-id) { log("x"); }
  }
}
lease 192.0.2.8 {
  ends never;
  binding state active;
  hardware ethernet 02:00:5e:10:00:02;
}
lease 192.0.2.9 {
  ends epoch 1795003600; # Wed Nov 18 12:06:40 2026
  binding state active;
  hardware token-ring 02:00:5e:10:00:03;
  client-hostname "bad name\"; }";
}
lease 192.0.2.10 {
  ends never;
  hardware ethernet 02:00:5e:10:00:04;
}
lease 192.0.2.8 {
  ends 1 2026/11/16 10:00:00;
  binding state free;
  hardware ethernet 02:00:5e:10:00:02;
}
failover peer "x" state { my state normal at 1 2026/11/16 10:00:00; }
"#;
        let reading = read_leases(text.as_bytes(), NOW);
        assert_eq!(reading.format, Some(Format::Isc));
        assert_eq!(reading.faults, Faults::default());
        let one = Some("02:00:5e:10:00:01");
        assert_eq!(
            bare(&reading),
            [
                lease("192.0.2.7", one, Some("mias-tablet"), Some(1_795_082_400)),
                lease("192.0.2.9", None, None, Some(1_795_003_600)),
                lease("192.0.2.10", Some("02:00:5e:10:00:04"), None, None),
            ]
        );
        assert_eq!(
            reading.leases[0].client_id.as_deref(),
            Some(&[1, 2, 0, 0x5e, 0x10, 0, 1][..])
        );
    }

    #[test]
    fn ipv6_addresses_stand_in_blocks_of_their_clients() {
        let text = r#"
server-duid "\000\001\000\001";
ia-na "\001\000\000\000\000\003\000\001\002\000^\020\000\001" {
  cltt 4 2026/11/19 10:00:00;
  iaaddr 2001:db8::7 {
    binding state active;
    preferred-life 375;
    max-life 600;
    ends epoch 1795003600;
  }
  iaaddr 2001:db8::8 {
    binding state expired;
    ends epoch 1795003600;
  }
}
ia-pd "\001\000\000\000\000\003\000\001\002\000^\020\000\001" {
  iaprefix 2001:db8:0:10::/60 { binding state active; }
}
"#;
        let reading = read_leases(text.as_bytes(), NOW);
        assert_eq!(reading.faults, Faults::default());
        assert_eq!(
            bare(&reading),
            [lease(
                "2001:db8::7",
                Some("02:00:5e:10:00:01"),
                None,
                Some(1_795_003_600)
            )]
        );
        assert_eq!(reading.leases[0].client_id.as_ref().unwrap().len(), 10);
    }

    #[test]
    fn a_block_that_is_being_written_is_not_taken() {
        let text = "lease 192.0.2.7 {\n  ends soon;\n  ends 4 2026/13/19 10:00:00;\n}\n\
                    lease 127.0.0.1 {\n}\nlease 192.0.2.8 {\n  binding state active;\n  har";
        let reading = read_leases(text.as_bytes(), NOW);
        assert_eq!(bare(&reading), [lease("192.0.2.7", None, None, None)]);
        assert_eq!(
            reading.faults.first,
            [
                (3, LineFault::Time),
                (5, LineFault::Address),
                (9, LineFault::CutOff)
            ]
        );
    }
}
