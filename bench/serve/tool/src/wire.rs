//! Just enough of RFC 1035 to ask, to answer and to judge an answer.

use crate::batch::SIZE;

pub const A: u16 = 1;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const HTTPS: u16 = 65;
/// Octets before the question.
pub const SIZE_OF_HEAD: usize = 12;
const OPT: u16 = 41;
const NXDOMAIN: u8 = 3;
/// What the stub answers begins with these octets (documentation prefixes), so that nothing else
/// can be taken for it.
const PREFIX_A: [u8; 3] = [192, 0, 2];
const PREFIX_AAAA: [u8; 4] = [0x20, 0x01, 0x0d, 0xb8];

/// What a right answer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expect {
    /// What the stub says.
    Passed,
    /// No such name, nothing of this type, or the null address.
    Blocked,
    /// The very same octets.
    Echo,
}

/// A query with RD, with id 0, without EDNS.
pub fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// Whether `reply` answers `query` as it should; the ids were compared before.
pub fn is_right(reply: &[u8], query: &[u8], expect: Expect) -> bool {
    if expect == Expect::Echo {
        return reply == query;
    }
    let end = query.len();
    if reply.len() < end
        || reply[2] & 0x80 == 0
        || reply[SIZE_OF_HEAD..end] != query[SIZE_OF_HEAD..]
    {
        return false;
    }
    let rcode = reply[3] & 15;
    let answers = u16::from_be_bytes([reply[6], reply[7]]);
    let qtype = u16::from_be_bytes([query[end - 4], query[end - 3]]);
    let rdata = || first_rdata(&reply[end..], qtype);
    match expect {
        Expect::Passed => {
            rcode == 0
                && rdata().is_some_and(|it| match qtype {
                    A => it.starts_with(&PREFIX_A),
                    AAAA => it.starts_with(&PREFIX_AAAA),
                    _ => !it.is_empty(),
                })
        }
        _ => match rcode {
            NXDOMAIN => true,
            0 if answers == 0 => true,
            0 => {
                matches!(qtype, A | AAAA) && rdata().is_some_and(|it| it.iter().all(|&it| it == 0))
            }
            _ => false,
        },
    }
}

/// RDATA of the first record of the answer section, if it is of this type.
fn first_rdata(answer: &[u8], qtype: u16) -> Option<&[u8]> {
    let mut place = 0;
    loop {
        match *answer.get(place)? {
            0 => break place += 1,
            it if it >= 0xc0 => break place += 2,
            it => place += 1 + usize::from(it),
        }
    }
    let head = answer.get(place..place + 10)?;
    let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
    (head[..2] == qtype.to_be_bytes()).then_some(answer.get(place + 10..place + 10 + length)?)
}

/// Turns a query into the stub's answer, in place: two addresses, or one HTTPS record, or nothing of
/// this type; with OPT where the query had it.
pub fn answer(buffer: &mut [u8; SIZE], length: &mut usize) {
    let Some(end) = end_of_question(&buffer[..*length]) else {
        *length = 0;
        return;
    };
    let has_opt = buffer[10..12] != [0, 0];
    let qtype = u16::from_be_bytes([buffer[end - 4], buffer[end - 3]]);
    let hash = buffer[SIZE_OF_HEAD..end - 4]
        .iter()
        .fold(0_u32, |hash, it| {
            hash.wrapping_mul(31)
                .wrapping_add(u32::from(it.to_ascii_lowercase()))
        });
    // TTLs differ from name to name, as real ones do.
    let ttl = 300 + hash % 3301;
    let host = (hash >> 16) as u8;
    let mut out = Out { buffer, end };
    let mut answers = 1;
    match qtype {
        A => {
            for number in [host, host ^ 1] {
                let [one, two, three] = PREFIX_A;
                out.record(A, ttl, &[one, two, three, number]);
            }
            answers = 2;
        }
        AAAA => {
            let mut address = [0; 16];
            address[..4].copy_from_slice(&PREFIX_AAAA);
            address[15] = host;
            out.record(AAAA, ttl, &address);
        }
        // SvcPriority 1, the owner itself, ALPN h3 and h2 (RFC 9460 section 2.2).
        HTTPS => out.record(
            HTTPS,
            ttl,
            &[0, 1, 0, 0, 1, 0, 6, 2, b'h', b'3', 2, b'h', b'2'],
        ),
        _ => answers = 0,
    }
    out.finish(answers, has_opt);
    *length = out.end;
}

/// Turns a query into an answer with one text, in place.
pub fn answer_with_text(buffer: &mut [u8; SIZE], length: &mut usize, text: &str) {
    let mut rdata = vec![text.len() as u8];
    rdata.extend_from_slice(text.as_bytes());
    let mut out = Out {
        buffer,
        end: *length,
    };
    out.record(TXT, 0, &rdata);
    out.finish(1, false);
    *length = out.end;
}

/// Where the only question ends, if there is one whose name is not compressed.
fn end_of_question(message: &[u8]) -> Option<usize> {
    if message.len() < SIZE_OF_HEAD || message[4..6] != [0, 1] {
        return None;
    }
    let mut place = SIZE_OF_HEAD;
    loop {
        match *message.get(place)? {
            0 => break,
            it if it < 64 => place += 1 + usize::from(it),
            _ => return None,
        }
    }
    (place + 5 <= message.len()).then_some(place + 5)
}

/// A message that grows.
struct Out<'a> {
    buffer: &'a mut [u8; SIZE],
    end: usize,
}

impl Out<'_> {
    fn put(&mut self, octets: &[u8]) {
        self.buffer[self.end..self.end + octets.len()].copy_from_slice(octets);
        self.end += octets.len();
    }

    /// A record of the name in the question.
    fn record(&mut self, kind: u16, ttl: u32, rdata: &[u8]) {
        self.put(&[0xc0, SIZE_OF_HEAD as u8]);
        self.put(&kind.to_be_bytes());
        self.put(&[0, 1]);
        self.put(&ttl.to_be_bytes());
        self.put(&(rdata.len() as u16).to_be_bytes());
        self.put(rdata);
    }

    /// The head: QR, RD, RA; the counts.
    fn finish(&mut self, answers: u8, has_opt: bool) {
        if has_opt {
            self.put(&[0]);
            self.put(&OPT.to_be_bytes());
            self.put(&[0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        }
        self.buffer[2..12].copy_from_slice(&[
            0x81,
            0x80,
            0,
            1,
            0,
            answers,
            0,
            0,
            0,
            u8::from(has_opt),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(query: &[u8]) -> Vec<u8> {
        let mut buffer = [0; SIZE];
        buffer[..query.len()].copy_from_slice(query);
        let mut length = query.len();
        answer(&mut buffer, &mut length);
        buffer[..length].to_vec()
    }

    #[test]
    fn what_the_stub_says_is_passed_and_not_blocked() {
        for qtype in [A, AAAA, HTTPS] {
            let query = query("www.example.org", qtype);
            let reply = answered(&query);
            assert!(is_right(&reply, &query, Expect::Passed), "{qtype}");
            assert!(!is_right(&reply, &query, Expect::Blocked), "{qtype}");
        }
    }

    #[test]
    fn a_block_is_no_such_name_or_the_null_address() {
        let query = query("www.example.org", A);
        let mut reply = answered(&query);
        let rdata = query.len() + 12;
        reply[rdata..rdata + 4].fill(0);
        assert!(is_right(&reply, &query, Expect::Blocked));
        assert!(!is_right(&reply, &query, Expect::Passed));
        let mut no_such_name = query.clone();
        no_such_name[2] = 0x81;
        no_such_name[3] = 0x80 | NXDOMAIN;
        assert!(is_right(&no_such_name, &query, Expect::Blocked));
        no_such_name[3] = 0x82;
        assert!(!is_right(&no_such_name, &query, Expect::Blocked));
    }

    #[test]
    fn another_question_or_a_query_is_no_answer() {
        let query = query("www.example.org", A);
        let other = answered(&super::query("ww2.example.org", A));
        assert!(!is_right(&other, &query, Expect::Passed));
        assert!(!is_right(&query, &query, Expect::Blocked));
        assert!(is_right(&query, &query, Expect::Echo));
    }

    #[test]
    fn the_stub_answers_edns_with_edns() {
        let mut query = query("www.example.org", A);
        query[11] = 1;
        query.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        let reply = answered(&query);
        assert_eq!(reply[11], 1);
        assert_eq!(reply[reply.len() - 11..][..3], [0, 0, 41]);
    }
}
