//! As much of HTTP/2 as a client of DoH needs (RFC 9113, RFC 8484), without a library that would cost
//! more than the servers that are measured.
//!
//! Header lists are what a browser's are: said in full once, then by their places in the dynamic table
//! (RFC 7541 section 2.3.2). Of answers only the body is read: nothing but an answer of status 200 has
//! a DNS message in it that fits the question.

use std::collections::HashMap;

/// What a client says first, with its settings: no server push.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const SIZE_OF_HEAD: usize = 9;
/// Octets of bodies that either side may send at first (RFC 9113 section 6.9.2), and at most.
const WINDOW: u32 = 65_535;
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// No question is longer.
const LARGEST_BODY: i64 = 512;

/// What has come of a request.
#[derive(Debug, PartialEq)]
pub struct Answered {
    pub slot: u16,
    /// Empty where the server refused the stream.
    pub body: Vec<u8>,
}

/// One connection.
pub struct Http2 {
    authority: String,
    /// Whether our header fields stand in the server's dynamic table.
    is_known: bool,
    next_stream: u32,
    open: HashMap<u32, Answered>,
    /// Octets that we may send, and those that we have received since we last made room.
    window: i64,
    received: u32,
    /// Requests the server takes at a time.
    pub most: usize,
    /// Frames to be sent.
    pub output: Vec<u8>,
}

impl Http2 {
    /// With the preface to be sent.
    pub fn new(authority: &str) -> Self {
        let mut output = PREFACE.to_vec();
        // SETTINGS_ENABLE_PUSH (RFC 9113 section 6.5.2).
        frame(&mut output, SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 0]);
        let more = (LARGEST_WINDOW - WINDOW).to_be_bytes();
        frame(&mut output, WINDOW_UPDATE, 0, 0, &more);
        Self {
            authority: authority.to_owned(),
            is_known: false,
            next_stream: 1,
            open: HashMap::new(),
            window: i64::from(WINDOW),
            received: 0,
            most: 100,
            output,
        }
    }

    /// Whether the server takes one more.
    pub fn has_room(&self) -> bool {
        self.window >= LARGEST_BODY && self.open.len() < self.most
    }

    /// Puts a request behind what is to be sent.
    pub fn request(&mut self, message: &[u8], slot: u16) {
        self.head(message.len());
        let stream = self.next_stream - 2;
        frame(&mut self.output, DATA, END_STREAM, stream, message);
        self.window -= message.len() as i64;
        let body = Vec::new();
        self.open.insert(stream, Answered { slot, body });
    }

    /// The same with half of its body, and without an end.
    pub fn half_a_request(&mut self, message: &[u8]) {
        self.head(message.len());
        let stream = self.next_stream - 2;
        frame(
            &mut self.output,
            DATA,
            0,
            stream,
            &message[..message.len() / 2],
        );
    }

    /// The head of a request with so long a body; gives its stream.
    pub fn head(&mut self, length: usize) -> u32 {
        let mut block = vec![0x83, 0x87];
        if self.is_known {
            block.extend_from_slice(&[0xc1, 0xc0, 0xbf, 0xbe]);
        } else {
            // `:authority`, `:path`, `accept` and `content-type` by their places in the static table,
            // to be put into the dynamic one (RFC 7541 section 6.2.1, appendix A).
            let of_dns = "application/dns-message";
            let authority = self.authority.clone();
            for (place, value) in [
                (1, authority.as_str()),
                (4, "/dns-query"),
                (19, of_dns),
                (31, of_dns),
            ] {
                block.extend_from_slice(&[0x40 | place, value.len() as u8]);
                block.extend_from_slice(value.as_bytes());
            }
            self.is_known = true;
        }
        // `content-length`, which is another each time and not kept.
        let length = length.to_string();
        block.extend_from_slice(&[0x0f, 28 - 15, length.len() as u8]);
        block.extend_from_slice(length.as_bytes());
        let stream = self.next_stream;
        self.next_stream += 2;
        frame(&mut self.output, HEADERS, END_HEADERS, stream, &block);
        stream
    }

    /// Takes whole frames from the front of `input`; tells how many octets they were. Answers to them
    /// are put behind what is to be sent, finished requests into `answered`.
    pub fn take(&mut self, input: &[u8], answered: &mut Vec<Answered>) -> Result<usize, String> {
        let mut place = 0;
        while let Some(head) = input.get(place..place + SIZE_OF_HEAD) {
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let begin = place + SIZE_OF_HEAD;
            let Some(payload) = input.get(begin..begin + length) else {
                break;
            };
            place = begin + length;
            self.take_frame(kind, flags, stream, payload, answered)?;
        }
        Ok(place)
    }

    fn take_frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
        answered: &mut Vec<Answered>,
    ) -> Result<(), String> {
        match kind {
            DATA => {
                self.received += payload.len() as u32;
                if self.received > LARGEST_WINDOW / 2 {
                    let more = self.received.to_be_bytes();
                    frame(&mut self.output, WINDOW_UPDATE, 0, 0, &more);
                    self.received = 0;
                }
                if let Some(it) = self.open.get_mut(&stream) {
                    it.body.extend_from_slice(unpadded(flags, payload));
                }
            }
            SETTINGS if flags & ACK == 0 => {
                for it in payload.chunks_exact(6) {
                    let which = u16::from_be_bytes([it[0], it[1]]);
                    let value = u32::from_be_bytes([it[2], it[3], it[4], it[5]]);
                    match (which, value) {
                        // A smaller header table, or no room for a question: nobody here has that.
                        (1, ..4096) => return Err(format!("a header table of {value} octets")),
                        (4, ..512) => return Err(format!("a window of {value} octets")),
                        (3, most) => self.most = most as usize,
                        _ => {}
                    }
                }
                frame(&mut self.output, SETTINGS, ACK, 0, &[]);
            }
            PING if flags & ACK == 0 => frame(&mut self.output, PING, ACK, 0, payload),
            WINDOW_UPDATE if stream == 0 => {
                let more: [u8; 4] = payload.try_into().map_err(|_| "a broken frame")?;
                self.window += i64::from(u32::from_be_bytes(more));
            }
            GOAWAY => return Err(format!("the server goes away: {payload:?}")),
            RST_STREAM => {
                if let Some(mut it) = self.open.remove(&stream) {
                    it.body.clear();
                    answered.push(it);
                }
            }
            _ => {}
        }
        if matches!(kind, DATA | HEADERS)
            && flags & END_STREAM != 0
            && let Some(it) = self.open.remove(&stream)
        {
            answered.push(it);
        }
        Ok(())
    }
}

/// What is between the length of padding and padding (RFC 9113 section 6.1).
fn unpadded(flags: u8, payload: &[u8]) -> &[u8] {
    match payload {
        [padding, rest @ ..] if flags & PADDED != 0 => {
            &rest[..rest.len().saturating_sub(usize::from(*padding))]
        }
        _ => payload,
    }
}

/// Puts a frame behind `out`.
pub fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A frame with one octet of a body.
pub fn one_octet(out: &mut Vec<u8>, stream: u32) {
    frame(out, DATA, 0, stream, &[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Http2 {
        let mut it = Http2::new("dns.home.example");
        it.output.clear();
        it
    }

    #[test]
    fn header_fields_are_said_in_full_once() {
        let mut it = opened();
        it.request(b"question", 3);
        let first = std::mem::take(&mut it.output);
        it.request(b"question", 4);
        let second = std::mem::take(&mut it.output);
        let has_path = |frames: &[u8]| frames.windows(10).any(|it| it == b"/dns-query");
        assert!(has_path(&first) && !has_path(&second));
        // Two heads, ten octets of header fields, and the question.
        assert_eq!(second.len(), 9 + 10 + 9 + 8);
        assert_eq!(
            second[9..19],
            [0x83, 0x87, 0xc1, 0xc0, 0xbf, 0xbe, 0x0f, 13, 1, b'8']
        );
        assert_eq!((first[8], second[8]), (1, 3));
    }

    #[test]
    fn an_answer_comes_to_the_slot_that_asked_however_it_is_cut() {
        let mut it = opened();
        it.request(b"one", 7);
        it.request(b"other", 8);
        let mut input = Vec::new();
        frame(&mut input, HEADERS, END_HEADERS, 3, &[0x88]);
        frame(&mut input, DATA, 0, 3, b"an");
        frame(&mut input, DATA, END_STREAM | PADDED, 3, b"\x02swer..");
        let whole = input.len();
        frame(&mut input, DATA, END_STREAM, 1, b"first");
        let mut answered = Vec::new();
        assert_eq!(it.take(&input[..whole + 3], &mut answered), Ok(whole));
        let body = b"answer".to_vec();
        assert_eq!(answered, [Answered { slot: 8, body }]);
        assert_eq!(it.take(&input[whole..], &mut answered), Ok(14));
        assert_eq!(
            (answered[1].slot, &answered[1].body[..]),
            (7, &b"first"[..])
        );
    }

    #[test]
    fn what_the_server_allows_is_not_exceeded() {
        let mut it = opened();
        let mut input = Vec::new();
        frame(&mut input, SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 2]);
        frame(&mut input, PING, 0, 0, b"12345678");
        it.take(&input, &mut Vec::new()).unwrap();
        // Both are answered.
        assert_eq!(it.output.len(), 9 + 9 + 8);
        it.request(b"one", 0);
        assert!(it.has_room());
        it.request(b"two", 1);
        assert!(!it.has_room());
        let mut input = Vec::new();
        frame(&mut input, RST_STREAM, 0, 1, &[0; 4]);
        let mut answered = Vec::new();
        it.take(&input, &mut answered).unwrap();
        assert!(it.has_room());
        let body = Vec::new();
        assert_eq!(answered, [Answered { slot: 0, body }]);
        it.window = 511;
        assert!(!it.has_room());
        let mut input = Vec::new();
        frame(&mut input, WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
        it.take(&input, &mut answered).unwrap();
        assert!(it.has_room());
        let mut input = Vec::new();
        frame(&mut input, GOAWAY, 0, 0, &[0; 8]);
        assert!(it.take(&input, &mut answered).is_err());
    }
}
