//! The few octets of a message that an exchange itself writes and compares.
//!
//! By hand and not through the codec: whether a packet is the reply to our question is decided
//! octet for octet, letter case included, before anything in it is decoded. Only what passes
//! [`Request::judge`] is handed to [`crate::message::Answer::from_upstream`].

use rand::RngExt;

use crate::message::Question;

/// The Internet; the border refuses every other class.
const CLASS_IN: u16 = 1;
/// Type of the OPT pseudo-record (RFC 6891 section 6.1.1).
const TYPE_OPT: u16 = 41;
/// Octets of a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;
/// The padding option (RFC 7830 section 3).
const PADDING: u16 = 12;
/// Octets of which padded questions have a multiple (RFC 8467 section 4.1).
const BLOCK: usize = 128;
/// The UDP payload that crosses every link unfragmented (DNS flag day 2020).
const PAYLOAD: u16 = 1232;

/// RCODEs an exchange acts upon (RFC 1035 section 4.1.1, RFC 6891 section 9).
pub(super) mod rcode {
    pub(in crate::upstream) const NOERROR: u16 = 0;
    pub(in crate::upstream) const FORMERR: u16 = 1;
    pub(in crate::upstream) const SERVFAIL: u16 = 2;
    pub(in crate::upstream) const NXDOMAIN: u16 = 3;
    pub(in crate::upstream) const NOTIMP: u16 = 4;
    pub(in crate::upstream) const REFUSED: u16 = 5;
    pub(in crate::upstream) const BADVERS: u16 = 16;

    /// The name people read, as in `SERVFAIL` or `RCODE 9`.
    pub(in crate::upstream) fn label(rcode: u16) -> String {
        let known = match rcode {
            NOERROR => "NOERROR",
            FORMERR => "FORMERR",
            SERVFAIL => "SERVFAIL",
            NXDOMAIN => "NXDOMAIN",
            NOTIMP => "NOTIMP",
            REFUSED => "REFUSED",
            BADVERS => "BADVERS",
            other => return format!("RCODE {other}"),
        };
        known.into()
    }
}

/// A question as it goes out, and so what its reply must repeat.
#[derive(Clone, Debug)]
pub(super) struct Request {
    bytes: Vec<u8>,
    /// Where the name ends in `bytes`.
    name_end: usize,
    /// Whether the reply has to repeat the case of letters.
    mixed_case: bool,
}

/// What a question has on against those who listen in or forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dress {
    /// Nothing.
    Plain,
    /// Letters in mixed case (draft-vixie-dnsext-dns0x20).
    MixedCase,
    /// Padding, so that its length tells nothing of the name (RFC 7830, RFC 8467 section 4.1); for
    /// where nobody can forge.
    Padded,
}

/// What a packet is to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// Its reply.
    Exact,
    /// Its reply but for the case of letters, which were mixed: from a server that folds case, or forged.
    Folded,
    /// A header without a question that says FORMERR or NOTIMP: what servers from before EDNS send.
    Bare,
    /// Not its reply.
    Stranger,
}

impl Request {
    /// Writes `question` with a random id: RD set, CD and DO as asked, nothing else of the client
    /// (no options travel on, so no cookie or subnet of a child leaves the home).
    pub(super) fn new(question: &Question, edns: bool, dress: Dress) -> Self {
        let mixed_case = dress == Dress::MixedCase;
        let mut random = rand::rng();
        let mut bytes = Vec::with_capacity(HEADER + 255 + 4 + 11);
        bytes.extend(random.random::<u16>().to_be_bytes());
        let checking_disabled = if question.checking_disabled { 0x10 } else { 0 };
        // QUERY with RD; one question, and one additional record if EDNS.
        bytes.extend([0x01, checking_disabled, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)]);
        bytes.extend(question.qname.as_ref().as_wire());
        let name_end = bytes.len();
        if mixed_case {
            // Lengths are below 64 and so never letters; every octet can be treated alike.
            let mut coins = 0_u64;
            for (index, octet) in bytes[HEADER..].iter_mut().enumerate() {
                if index % 64 == 0 {
                    coins = random.random();
                }
                if coins & 1 == 1 {
                    octet.make_ascii_uppercase();
                }
                coins >>= 1;
            }
        }
        bytes.extend(question.qtype.to_be_bytes());
        bytes.extend(CLASS_IN.to_be_bytes());
        if edns {
            let dnssec_ok = if question.dnssec_ok { 0x80 } else { 0 };
            bytes.push(0);
            bytes.extend(TYPE_OPT.to_be_bytes());
            bytes.extend(PAYLOAD.to_be_bytes());
            bytes.extend([0, 0, dnssec_ok, 0]);
            if dress == Dress::Padded {
                // Length of the options; code and length of the one there is.
                let before = bytes.len() + 2 + 4;
                let padding = before.next_multiple_of(BLOCK) - before;
                // Below 132 both.
                bytes.extend((padding as u16 + 4).to_be_bytes());
                bytes.extend(PADDING.to_be_bytes());
                bytes.extend((padding as u16).to_be_bytes());
                bytes.resize(before + padding, 0);
            } else {
                bytes.extend([0, 0]);
            }
        }
        Self {
            bytes,
            name_end,
            mixed_case,
        }
    }

    /// The message.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it speaks EDNS.
    pub(super) fn has_edns(&self) -> bool {
        self.bytes[11] > 0
    }

    /// Its id.
    pub(super) fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// Gives it another id: for a connection on which its own is taken, or where all have the same.
    pub(super) fn set_id(&mut self, id: u16) {
        self.bytes[..2].copy_from_slice(&id.to_be_bytes());
    }

    /// What `reply` is to this request.
    pub(super) fn judge(&self, reply: &[u8]) -> Match {
        let Some(header) = reply.get(..HEADER) else {
            return Match::Stranger;
        };
        let is_reply = header[..2] == self.bytes[..2] && header[2] & 0xf8 == 0x80;
        if !is_reply {
            return Match::Stranger;
        }
        match u16::from_be_bytes([header[4], header[5]]) {
            0 if matches!(rcode_of(reply), rcode::FORMERR | rcode::NOTIMP) => Match::Bare,
            1 => {
                let fixed = self.name_end..self.name_end + 4;
                let (Some(name), Some(rest)) =
                    (reply.get(HEADER..self.name_end), reply.get(fixed.clone()))
                else {
                    return Match::Stranger;
                };
                let asked = &self.bytes[HEADER..self.name_end];
                // Type and class apart from the name: type 65 and type 97 differ by the case of a
                // letter.
                if rest != &self.bytes[fixed] || !name.eq_ignore_ascii_case(asked) {
                    Match::Stranger
                } else if name == asked || !self.mixed_case {
                    Match::Exact
                } else {
                    Match::Folded
                }
            }
            _ => Match::Stranger,
        }
    }

    /// Writes the name as asked by the client over the mixed case of a reply that [`Match::Exact`]
    /// or [`Match::Folded`] was said of, so that our coin tosses are not what is kept.
    pub(super) fn unmix(&self, reply: &mut [u8]) {
        if let Some(name) = reply.get_mut(HEADER..self.name_end) {
            name.make_ascii_lowercase();
        }
    }
}

/// Whether the sender cut its reply (TC).
pub(super) fn is_truncated(reply: &[u8]) -> bool {
    reply.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

/// RCODE, with the upper bits of EDNS where nothing but the question stands before the OPT record,
/// as in every reply whose RCODE needs them.
pub(super) fn rcode_of(reply: &[u8]) -> u16 {
    let low = reply
        .get(3)
        .map_or(rcode::SERVFAIL, |flags| u16::from(flags & 0xf));
    low | u16::from(extended(reply).unwrap_or(0)) << 4
}

/// The upper bits of the RCODE in an OPT record that directly follows the question.
fn extended(reply: &[u8]) -> Option<u8> {
    opt(reply)?.get(5).copied()
}

/// The codes of Extended DNS Errors (RFC 8914) in an OPT record that directly follows the question, as
/// in replies without any other record.
pub(super) fn extended_errors(reply: &[u8]) -> impl Iterator<Item = u16> {
    const ERROR: u16 = 15;
    // Owner, type, class, TTL and length stand before the options (RFC 6891 section 6.1.2).
    let mut rest = opt(reply)
        .and_then(|record| record.get(11..))
        .unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let (head, after) = rest.split_first_chunk::<4>()?;
            let code = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (data, after) = after.split_at_checked(length)?;
            rest = after;
            if let (ERROR, Some(&[high, low])) = (code, data.first_chunk()) {
                return Some(u16::from_be_bytes([high, low]));
            }
        }
    })
}

/// The OPT record that directly follows the question, and what is behind it.
fn opt(reply: &[u8]) -> Option<&[u8]> {
    // One question, no answers, no authority, at least one additional record.
    if reply.get(4..10)? != [0, 1, 0, 0, 0, 0] || reply.get(10..12)? == [0, 0] {
        return None;
    }
    let mut at = HEADER;
    loop {
        match usize::from(*reply.get(at)?) {
            0 => break,
            length @ 1..=63 => at += 1 + length,
            _ => return None,
        }
    }
    // The root's zero, type and class of the question; then owner and type of the record.
    let record = reply.get(at + 5..)?;
    (record.get(..3)? == [0, 0, TYPE_OPT as u8]).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    fn question(name: &str, qtype: u16) -> Question {
        Question {
            qname: NameBuf::parse(name).unwrap(),
            qtype,
            dnssec_ok: false,
            checking_disabled: false,
            via: 0,
        }
    }

    fn reply_to(request: &Request) -> Vec<u8> {
        let mut reply = request.bytes().to_vec();
        reply[2] |= 0x80;
        reply
    }

    #[test]
    fn the_question_goes_out_octet_for_octet() {
        let mut asked = question("a.test", 28);
        asked.dnssec_ok = true;
        asked.checking_disabled = true;
        let mut request = Request::new(&asked, true, Dress::Plain);
        request.set_id(0x1234);
        assert_eq!(
            request.bytes(),
            b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\x01\x01a\x04test\0\0\x1c\0\x01\
              \0\0\x29\x04\xd0\0\0\x80\0\0\0"
        );
        let plain = Request::new(&asked, false, Dress::Plain);
        assert_eq!(plain.bytes().len(), 12 + 8 + 4);
    }

    #[test]
    fn a_padded_question_has_a_multiple_of_128_octets() {
        for length in [1, 20, 63] {
            let name = format!("{}.test", "a".repeat(length));
            let request = Request::new(&question(&name, 1), true, Dress::Padded);
            let bytes = request.bytes();
            assert_eq!(bytes.len(), 128, "{length}");
            let options = request.name_end + 4 + 9;
            let rest = bytes.len() - options - 2;
            assert_eq!(bytes[options..options + 2], (rest as u16).to_be_bytes());
            assert_eq!(bytes[options + 2..options + 4], [0, 12]);
            assert_eq!(
                bytes[options + 4..options + 6],
                (rest as u16 - 4).to_be_bytes()
            );
            assert!(bytes[options + 6..].iter().all(|octet| *octet == 0));
            assert_eq!(request.judge(&reply_to(&request)), Match::Exact);
        }
        let long = format!("{0}.{0}.test", "a".repeat(60));
        let request = Request::new(&question(&long, 1), true, Dress::Padded);
        assert_eq!(request.bytes().len(), 256);
        let plain = Request::new(&question("a.test", 1), false, Dress::Padded);
        assert_eq!(plain.bytes().len(), 24, "nowhere to put it");
    }

    #[test]
    fn only_the_very_reply_passes() {
        let request = Request::new(
            &question("aaaaaaaaaaaaaaaaaaaaaaaa.test", 65),
            true,
            Dress::MixedCase,
        );
        let good = reply_to(&request);
        assert_eq!(request.judge(&good), Match::Exact);
        let changed = |at: usize, flip: u8| {
            let mut reply = good.clone();
            reply[at] ^= flip;
            request.judge(&reply)
        };
        assert_eq!(changed(0, 1), Match::Stranger, "id");
        assert_eq!(changed(2, 0x80), Match::Stranger, "QR");
        assert_eq!(changed(2, 0x08), Match::Stranger, "opcode");
        assert_eq!(changed(5, 0x03), Match::Stranger, "QDCOUNT");
        assert_eq!(changed(13, 0x20), Match::Folded, "case");
        assert_eq!(changed(13, 0x01), Match::Stranger, "name");
        let qtype = request.name_end + 1;
        assert_eq!(changed(qtype, 0x20), Match::Stranger, "type 97 for type 65");
        assert_eq!(changed(qtype + 2, 0x02), Match::Stranger, "class");
        for cut in 0..request.name_end + 4 {
            assert_eq!(request.judge(&good[..cut]), Match::Stranger, "cut at {cut}");
        }
    }

    #[test]
    fn case_does_not_matter_where_it_was_not_mixed() {
        let request = Request::new(&question("example.test", 1), true, Dress::Plain);
        let mut reply = reply_to(&request);
        reply[12..request.name_end].make_ascii_uppercase();
        assert_eq!(request.judge(&reply), Match::Exact);
    }

    #[test]
    fn a_header_alone_may_only_say_that_it_did_not_understand() {
        let request = Request::new(&question("a.test", 1), true, Dress::Plain);
        let mut header = reply_to(&request)[..12].to_vec();
        header[4..12].fill(0);
        for (rcode, expected) in [
            (0, Match::Stranger),
            (1, Match::Bare),
            (2, Match::Stranger),
            (4, Match::Bare),
            (5, Match::Stranger),
        ] {
            header[3] = rcode;
            assert_eq!(request.judge(&header), expected, "RCODE {rcode}");
        }
    }

    #[test]
    fn badvers_is_seen_in_the_opt_record() {
        let request = Request::new(&question("a.test", 1), true, Dress::Plain);
        let mut reply = reply_to(&request);
        assert_eq!(rcode_of(&reply), rcode::NOERROR);
        let extended = reply.len() - 6;
        reply[extended] = 1;
        assert_eq!(rcode_of(&reply), rcode::BADVERS);
        for cut in 12..reply.len() {
            // Whatever is cut off, nothing is read beyond the end.
            let _rcode = rcode_of(&reply[..cut]);
        }
    }

    #[test]
    fn the_reasons_of_who_declines_are_read() {
        let request = Request::new(&question("a.test", 1), true, Dress::Plain);
        let mut reply = reply_to(&request);
        assert_eq!(extended_errors(&reply).count(), 0);
        let end = reply.len();
        reply[end - 2..].copy_from_slice(&[0, 14]);
        reply.extend(b"\0\x0a\0\0\0\x0f\0\x06\0\x11text");
        assert_eq!(extended_errors(&reply).collect::<Vec<_>>(), [17]);
        for cut in 12..reply.len() {
            // Whatever is cut off, nothing is read beyond the end.
            assert!(extended_errors(&reply[..cut]).count() <= 1);
        }
    }

    #[test]
    fn case_is_mixed_and_unmixed() {
        let asked = question("abcdefghijklmnopqrstuvwxyz.example.org", 1);
        let request = Request::new(&asked, true, Dress::MixedCase);
        let mut reply = reply_to(&request);
        assert_ne!(
            &reply[12..request.name_end],
            asked.qname.as_ref().as_wire(),
            "one in 2^36 runs"
        );
        request.unmix(&mut reply);
        assert_eq!(&reply[12..request.name_end], asked.qname.as_ref().as_wire());
    }
}
