//! Questions as octets, answers as hickory reads them.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use socket2::{Domain, Socket, Type};

use super::PATIENCE;

/// Types by number.
pub mod rtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const HTTPS: u16 = 65;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
}

/// A message to send, put together piece by piece.
#[derive(Clone, Debug)]
pub struct Ask {
    pub name: String,
    pub qtype: u16,
    pub qclass: u16,
    pub id: u16,
    /// The two octets of flags.
    pub flags: [u8; 2],
    /// QDCOUNT as told; the question is written as often.
    pub questions: u16,
    pub edns: Option<EdnsAsk>,
    /// How often the OPT is written.
    pub opts: u16,
    pub from: IpAddr,
}

/// The EDNS part of a question.
#[derive(Clone, Debug, Default)]
pub struct EdnsAsk {
    pub payload: u16,
    pub version: u8,
    pub flags: u16,
    pub options: Vec<(u16, Vec<u8>)>,
}

/// A question for `qtype` records of `name`, from 127.0.0.1, RD set.
pub fn ask(name: &str, qtype: u16) -> Ask {
    use std::sync::atomic::{AtomicU16, Ordering};
    static ID: AtomicU16 = AtomicU16::new(1);
    Ask {
        name: name.to_owned(),
        qtype,
        qclass: 1,
        id: ID.fetch_add(1, Ordering::Relaxed),
        flags: [1, 0],
        questions: 1,
        edns: None,
        opts: 1,
        from: IpAddr::from([127, 0, 0, 1]),
    }
}

impl Ask {
    /// From another source address.
    pub fn from(mut self, address: &str) -> Self {
        self.from = address.parse().unwrap();
        self
    }

    pub fn class(mut self, qclass: u16) -> Self {
        self.qclass = qclass;
        self
    }

    pub fn flags(mut self, first: u8, second: u8) -> Self {
        self.flags = [first, second];
        self
    }

    pub fn questions(mut self, count: u16) -> Self {
        self.questions = count;
        self
    }

    /// With EDNS, taking answers of `payload` octets.
    pub fn edns(mut self, payload: u16) -> Self {
        self.edns.get_or_insert_default().payload = payload;
        self
    }

    pub fn edns_version(mut self, version: u8) -> Self {
        self.edns.get_or_insert_default().version = version;
        self
    }

    pub fn edns_flags(mut self, flags: u16) -> Self {
        self.edns.get_or_insert_default().flags = flags;
        self
    }

    pub fn option(mut self, code: u16, data: &[u8]) -> Self {
        let edns = self.edns.get_or_insert_default();
        edns.payload = edns.payload.max(1232);
        edns.options.push((code, data.to_vec()));
        self
    }

    pub fn opts(mut self, count: u16) -> Self {
        self.opts = count;
        self
    }

    pub fn octets(&self) -> Vec<u8> {
        let mut out = self.id.to_be_bytes().to_vec();
        out.extend(self.flags);
        out.extend(self.questions.to_be_bytes());
        out.extend([0; 4]);
        let opts = if self.edns.is_some() { self.opts } else { 0 };
        out.extend(opts.to_be_bytes());
        for _ in 0..self.questions {
            out.extend(name(&self.name));
            out.extend(self.qtype.to_be_bytes());
            out.extend(self.qclass.to_be_bytes());
        }
        if let Some(edns) = &self.edns {
            for _ in 0..opts {
                out.extend([0, 0, 41]);
                out.extend(edns.payload.to_be_bytes());
                out.extend([0, edns.version]);
                out.extend(edns.flags.to_be_bytes());
                let mut data = Vec::new();
                for (code, value) in &edns.options {
                    data.extend(code.to_be_bytes());
                    data.extend((value.len() as u16).to_be_bytes());
                    data.extend_from_slice(value);
                }
                out.extend((data.len() as u16).to_be_bytes());
                out.extend(data);
            }
        }
        out
    }
}

/// An answer, read twice: by hickory, and as octets where the octets matter.
#[derive(Clone, Debug)]
pub struct Reply {
    pub octets: Vec<u8>,
    pub message: Message,
}

impl Reply {
    pub fn read(octets: Vec<u8>) -> Self {
        let message = Message::from_vec(&octets)
            .unwrap_or_else(|error| panic!("an answer nobody can read: {error}: {octets:02x?}"));
        Self { octets, message }
    }

    pub fn id(&self) -> u16 {
        self.message.metadata.id
    }

    /// RCODE with its upper bits, as a number.
    pub fn rcode(&self) -> u16 {
        u16::from(self.message.metadata.response_code)
    }

    /// RCODE as text, for messages.
    pub fn code(&self) -> ResponseCode {
        self.message.metadata.response_code
    }

    pub fn is_truncated(&self) -> bool {
        self.message.metadata.truncation
    }

    /// The answer section as `type data`.
    pub fn answers(&self) -> Vec<String> {
        let answers = self.message.answers.iter();
        answers
            .map(|record| format!("{} {}", record.record_type(), record.data))
            .collect()
    }

    /// The TTLs in the answer section.
    pub fn ttls(&self) -> Vec<u32> {
        self.message.answers.iter().map(|r| r.ttl).collect()
    }

    /// The TTL of the SOA in the authority section.
    pub fn soa_ttl(&self) -> Option<u32> {
        let soa = |r: &&hickory_proto::rr::Record| u16::from(r.record_type()) == rtype::SOA;
        self.message.authorities.iter().find(soa).map(|r| r.ttl)
    }

    pub fn option(&self, code: u16) -> Option<Vec<u8>> {
        let edns = self.message.edns.as_ref()?;
        match edns.option(EdnsCode::from(code))? {
            EdnsOption::Unknown(_, data) => Some(data.clone()),
            _ => None,
        }
    }

    /// The Extended DNS Error: code and text.
    pub fn ede(&self) -> Option<(u16, String)> {
        let data = self.option(15)?;
        let (code, text) = data.split_first_chunk::<2>()?;
        let text = String::from_utf8(text.to_vec()).expect("EXTRA-TEXT is UTF-8 (RFC 8914)");
        Some((u16::from_be_bytes(*code), text))
    }

    /// The code of the Extended DNS Error.
    pub fn ede_code(&self) -> Option<u16> {
        self.ede().map(|(code, _)| code)
    }

    /// What holds for every answer of ours whatever was asked.
    pub fn assert_sound(&self, asked: &Ask) -> &Self {
        assert_eq!(self.id(), asked.id, "ID");
        assert_eq!(self.octets[2] & 0x80, 0x80, "QR");
        assert_eq!(self.octets[2] & 0x04, 0, "AA is never ours");
        assert_eq!(
            self.octets[3] & 0x20,
            0,
            "AD is never ours: nothing was checked"
        );
        assert_eq!(self.octets[3] & 0x40, 0, "Z must be zero");
        assert_eq!(self.octets[2] & 0x01, asked.flags[0] & 1, "RD as it came");
        assert_eq!(
            self.message.edns.is_some(),
            asked.edns.is_some(),
            "an OPT exactly if the query had one"
        );
        self
    }
}

/// A UDP socket of `from` that talks with `to`.
pub fn udp(from: IpAddr, to: SocketAddr) -> UdpSocket {
    let from = if to.is_ipv6() {
        IpAddr::from(std::net::Ipv6Addr::LOCALHOST)
    } else {
        from
    };
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The answer to `octets`, over UDP.
pub fn exchange(to: SocketAddr, from: IpAddr, octets: &[u8]) -> Option<Vec<u8>> {
    let socket = udp(from, to);
    socket.send(octets).unwrap();
    receive(&socket)
}

/// The next datagram.
pub fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 65_536];
    match socket.recv(&mut buffer) {
        Ok(length) => Some(buffer[..length].to_vec()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        // An ICMP message: nobody listens there.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
        Err(error) => panic!("receiving: {error}"),
    }
}

/// A connection to the daemon.
pub struct Connection {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub fn open(to: SocketAddr) -> Self {
        Self::open_from(to, "127.0.0.1")
    }

    pub fn open_from(to: SocketAddr, from: &str) -> Self {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        if to.is_ipv4() {
            let from = SocketAddr::new(from.parse().unwrap(), 0);
            socket.bind(&from.into()).unwrap();
        }
        socket.connect_timeout(&to.into(), PATIENCE).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub fn send(&mut self, asked: &Ask) {
        self.send_octets(&frame(&asked.octets()));
    }

    pub fn send_octets(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// The next message; none when the daemon closed the connection.
    pub fn receive(&mut self) -> Option<Reply> {
        let mut chunk = [0; 4096];
        loop {
            if let Some((message, rest)) = cut_frame(&self.unread) {
                self.unread = rest;
                return Some(Reply::read(message));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("reading from the daemon: {error}"),
            }
        }
    }

    pub fn ask(&mut self, asked: &Ask) -> Reply {
        self.send(asked);
        let reply = self.receive().expect("an answer over TCP");
        reply.assert_sound(asked);
        reply
    }

    /// Says that nothing more will be asked.
    pub fn shut(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// How long it takes until the daemon ends the connection.
    pub fn time_to_end(&mut self) -> Duration {
        let start = Instant::now();
        assert!(self.receive().is_none(), "the daemon had something to say");
        start.elapsed()
    }
}

/// A message as it goes over TCP.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = (message.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(message);
    out
}

/// The first whole message, and what follows it.
pub fn cut_frame(octets: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    Some((rest.get(..length)?.to_vec(), rest[length..].to_vec()))
}

/// `text` as labels. `.` and the empty text are the root.
pub fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in text.trim_end_matches('.').split('.') {
        if !label.is_empty() {
            out.push(label.len() as u8);
            out.extend_from_slice(label.as_bytes());
        }
    }
    out.push(0);
    out
}

/// The name at `at` as text without the last dot, and the octet after it. Knows no pointers.
pub fn read_name(octets: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*octets.get(at)?);
        if length == 0 {
            return Some((labels.join("."), at + 1));
        }
        let label = octets.get(at + 1..at + 1 + length)?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        at += 1 + length;
    }
}
