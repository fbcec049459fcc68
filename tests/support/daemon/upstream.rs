//! An upstream that says what a test wants, over UDP and TCP on one port.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use super::wire::{self, rtype};

/// A resolver on loopback; gone when dropped.
pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// By name, in lower case without the last dot; `*.name` is all below it, `*` the rest.
    says: Mutex<HashMap<(String, u16), Say>>,
    seen: Mutex<Vec<Asked>>,
    /// Questions that came, kept apart so that a flood need not be stored.
    count: AtomicUsize,
    is_silent: AtomicBool,
    keeps_no_record: AtomicBool,
    stop: AtomicBool,
}

/// A question that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// In lower case, without the last dot.
    pub name: String,
    pub qtype: u16,
    pub is_tcp: bool,
    pub octets: Vec<u8>,
}

/// What the upstream says to a question.
#[derive(Clone)]
pub enum Say {
    /// NOERROR with these records.
    Records(Vec<Record>),
    /// NXDOMAIN with an SOA of this TTL and minimum.
    NxDomain(u32),
    /// NOERROR without records, with such an SOA.
    NoData(u32),
    /// An RCODE and nothing else.
    Rcode(u8),
    /// Nothing at all.
    Silence,
    /// Over UDP an empty answer with TC; over TCP this.
    Truncated(Box<Self>),
    /// This, some time later.
    Late(Duration, Box<Self>),
    /// This, when the test opens the gate.
    Held(Gate, Box<Self>),
}

/// A record in an answer.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose it is; none for the question's name.
    pub owner: Option<String>,
    pub rtype: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

/// What holds answers back until the test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let shut = self.0.0.lock().unwrap();
        drop(
            self.0
                .1
                .wait_timeout_while(shut, super::PATIENCE, |open| !*open)
                .unwrap(),
        );
    }
}

impl Record {
    fn new(rtype: u16, data: Vec<u8>) -> Self {
        Self {
            owner: None,
            rtype,
            ttl: 60,
            data,
        }
    }

    pub fn of(mut self, owner: &str) -> Self {
        self.owner = Some(owner.to_owned());
        self
    }

    pub fn ttl(mut self, ttl: u32) -> Self {
        self.ttl = ttl;
        self
    }
}

/// An A or AAAA record.
pub fn address(text: &str) -> Record {
    match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(v4) => Record::new(rtype::A, v4.octets().to_vec()),
        IpAddr::V6(v6) => Record::new(rtype::AAAA, v6.octets().to_vec()),
    }
}

/// A CNAME record.
pub fn cname(target: &str) -> Record {
    Record::new(rtype::CNAME, wire::name(target))
}

/// A TXT record of one string.
pub fn txt(text: &str) -> Record {
    let mut data = vec![text.len() as u8];
    data.extend_from_slice(text.as_bytes());
    Record::new(rtype::TXT, data)
}

/// An HTTPS record with IPv4 hints, and `ech` if there are octets for it.
pub fn https(priority: u16, target: &str, hints: &[&str], ech: &[u8]) -> Record {
    let mut data = priority.to_be_bytes().to_vec();
    data.extend(wire::name(target));
    let mut param = |key: u16, value: &[u8]| {
        data.extend(key.to_be_bytes());
        data.extend((value.len() as u16).to_be_bytes());
        data.extend_from_slice(value);
    };
    if priority > 0 {
        param(1, b"\x02h2");
        let octets: Vec<u8> = hints
            .iter()
            .flat_map(|hint| hint.parse::<std::net::Ipv4Addr>().unwrap().octets())
            .collect();
        if !octets.is_empty() {
            param(4, &octets);
        }
        if !ech.is_empty() {
            param(5, ech);
        }
    }
    Record::new(rtype::HTTPS, data)
}

/// A record of a type nobody knows.
pub fn unknown(rtype: u16, data: &[u8]) -> Record {
    Record::new(rtype, data.to_vec())
}

impl Say {
    pub fn one(record: Record) -> Self {
        Self::Records(vec![record])
    }

    pub fn address(text: &str) -> Self {
        Self::one(address(text))
    }
}

impl Upstream {
    pub fn start() -> Self {
        for _ in 0..50 {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                return Self::on(udp, tcp);
            }
        }
        panic!("no free port for an upstream");
    }

    fn on(udp: UdpSocket, tcp: TcpListener) -> Self {
        let address = udp.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let for_udp = Arc::clone(&shared);
        let for_tcp = Arc::clone(&shared);
        Self {
            address,
            shared,
            threads: vec![
                spawn(move || serve_udp(&udp, &for_udp)),
                spawn(move || serve_tcp(&tcp, &for_tcp)),
            ],
        }
    }

    /// Says `say` when `name` is asked for `qtype` (255: whatever type). `*.name` is every name
    /// below `name`, `*` every other name.
    pub fn on_question(&self, name: &str, qtype: u16, say: Say) -> &Self {
        let mut says = self.shared.says.lock().unwrap();
        says.insert((name.to_owned(), qtype), say);
        drop(says);
        self
    }

    /// Says `say` to every question for an address of `name`.
    pub fn on_name(&self, name: &str, say: Say) -> &Self {
        self.on_question(name, rtype::ANY, say)
    }

    /// Falls silent, or speaks again.
    pub fn be_silent(&self, silent: bool) {
        self.shared.is_silent.store(silent, Ordering::SeqCst);
    }

    /// Counts questions from now on and keeps none of them.
    pub fn keep_no_record(&self) {
        self.shared.keeps_no_record.store(true, Ordering::SeqCst);
    }

    /// All questions so far, without those a resolver asks to see whether we live.
    pub fn seen(&self) -> Vec<Asked> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many questions came.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// How often `name` was asked for, of whatever type.
    pub fn times(&self, name: &str) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|asked| asked.name == name).count()
    }

    /// How often `name` was asked for records of `qtype`.
    pub fn times_of_type(&self, name: &str, qtype: u16) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter()
            .filter(|asked| asked.name == name && asked.qtype == qtype)
            .count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn say(&self, asked: &Asked) -> Say {
        if self.is_silent.load(Ordering::SeqCst) {
            return Say::Silence;
        }
        let says = self.says.lock().unwrap();
        let find = |pattern: &str| {
            says.get(&(pattern.to_owned(), asked.qtype))
                .or_else(|| says.get(&(pattern.to_owned(), rtype::ANY)))
                .cloned()
        };
        if let Some(say) = find(&asked.name) {
            return say;
        }
        let mut rest = asked.name.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(say) = find(&format!("*.{parent}")) {
                return say;
            }
            rest = parent;
        }
        find("*").unwrap_or_else(|| match asked.qtype {
            rtype::A => Say::address("192.0.2.1"),
            rtype::AAAA => Say::address("2001:db8::1"),
            rtype::TXT => Say::one(txt("text")),
            _ => Say::NoData(60),
        })
    }

    fn take(&self, octets: &[u8], is_tcp: bool) -> Option<Asked> {
        let (name, end) = wire::read_name(octets, 12)?;
        let qtype = u16::from_be_bytes([*octets.get(end)?, *octets.get(end + 1)?]);
        let asked = Asked {
            name: name.to_ascii_lowercase(),
            qtype,
            is_tcp,
            octets: octets.to_vec(),
        };
        self.count.fetch_add(1, Ordering::SeqCst);
        if !self.keeps_no_record.load(Ordering::SeqCst) {
            self.seen.lock().unwrap().push(asked.clone());
        }
        Some(asked)
    }
}

/// The octets of an answer; none for silence. Waits if the answer has to.
fn write(asked: &Asked, say: &Say) -> Option<Vec<u8>> {
    let (_, end) = wire::read_name(&asked.octets, 12)?;
    let mut out = asked.octets[..end + 4].to_vec();
    out[2] = 0x80 | asked.octets[2] & 0x01;
    out[3] = 0x80 | asked.octets[3] & 0x10;
    let had_edns = asked.octets[10..12] != [0, 0];
    out[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    let mut append = |record: &Record| {
        match &record.owner {
            Some(owner) => out.extend(wire::name(owner)),
            None => out.extend([0xc0, 12]),
        }
        out.extend(record.rtype.to_be_bytes());
        out.extend([0, 1]);
        out.extend(record.ttl.to_be_bytes());
        out.extend((record.data.len() as u16).to_be_bytes());
        out.extend_from_slice(&record.data);
    };
    match say {
        Say::Records(records) => {
            records.iter().for_each(&mut append);
            out[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        }
        Say::NxDomain(ttl) | Say::NoData(ttl) => {
            let zone = asked.name.rsplit('.').next().unwrap_or_default();
            let mut data = [wire::name("ns.example.org"), wire::name("x.example.org")].concat();
            for number in [1, 3600, 600, 86_400, *ttl] {
                data.extend(number.to_be_bytes());
            }
            let soa = Record::new(rtype::SOA, data).of(zone).ttl(*ttl);
            append(&soa);
            out[9] = 1;
            if matches!(say, Say::NxDomain(_)) {
                out[3] |= 3;
            }
        }
        Say::Rcode(rcode) => out[3] |= rcode,
        Say::Silence => return None,
        Say::Truncated(_) if !asked.is_tcp => out[2] |= 0x02,
        Say::Truncated(say) => return write(asked, say),
        Say::Late(time, say) => {
            std::thread::sleep(*time);
            return write(asked, say);
        }
        Say::Held(gate, say) => {
            gate.pass();
            return write(asked, say);
        }
    }
    if had_edns {
        out.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        out[11] = 1;
    }
    Some(out)
}

/// Whether an answer has to wait, so that it gets a thread of its own.
fn waits(say: &Say) -> bool {
    match say {
        Say::Late(..) | Say::Held(..) => true,
        Say::Truncated(say) => waits(say),
        _ => false,
    }
}

const BEAT: Duration = Duration::from_millis(20);

fn serve_udp(socket: &UdpSocket, shared: &Arc<Shared>) {
    socket.set_read_timeout(Some(BEAT)).unwrap();
    let mut buffer = [0; 4096];
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(asked) = shared.take(&buffer[..length], false) else {
            continue;
        };
        let say = shared.say(&asked);
        let has_to_wait = waits(&say);
        let answer = move |socket: &UdpSocket| {
            if let Some(octets) = write(&asked, &say) {
                // The asker may have closed its port meanwhile.
                drop(socket.send_to(&octets, from));
            }
        };
        if has_to_wait {
            let socket = socket.try_clone().unwrap();
            spawn(move || answer(&socket));
        } else {
            answer(socket);
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    listener.set_nonblocking(true).unwrap();
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        let shared = Arc::clone(shared);
        spawn(move || serve_connection(stream, &shared));
    }
}

fn serve_connection(mut stream: TcpStream, shared: &Arc<Shared>) {
    stream.set_read_timeout(Some(BEAT)).unwrap();
    let mut incoming = Vec::new();
    let mut chunk = [0; 4096];
    while !shared.stop.load(Ordering::SeqCst) {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => incoming.extend_from_slice(&chunk[..length]),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(_) => return,
        }
        while let Some((message, rest)) = wire::cut_frame(&incoming) {
            incoming = rest;
            let Some(asked) = shared.take(&message, true) else {
                continue;
            };
            let say = shared.say(&asked);
            let mut stream = stream.try_clone().unwrap();
            let answer = move || {
                if let Some(octets) = write(&asked, &say) {
                    drop(stream.write_all(&wire::frame(&octets)));
                }
            };
            spawn(answer);
        }
    }
}
