//! An upstream of the test's own, with whatever faults the test wants.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// A resolver on loopback that does what its script says; gone when dropped.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A question that came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: SocketAddr,
    pub(crate) is_tcp: bool,
}

/// What the stub does in reply, in order.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends a message the way the question came.
    Send(Vec<u8>),
    /// Sends it from another port.
    SendFromElsewhere(Vec<u8>),
    /// Lets time pass first; an injected fault, not a way to synchronise.
    Delay(Duration),
    /// Sends a message over TCP octet by octet.
    Trickle(Vec<u8>),
    /// Half-closes the connection.
    Close,
    /// Resets the stream of an HTTP/2 request, or, before `Close`, its connection.
    Reset,
    /// Answers an HTTP request with this status, type and body.
    Http(u16, &'static str, Vec<u8>),
}

/// What a stub does with a question.
pub(crate) type Script = dyn Fn(&Seen) -> Vec<Act> + Send + Sync;

impl Stub {
    /// Over UDP and TCP on a free port.
    pub(crate) fn start(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        for _ in 0..50 {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                return Self::on(udp, Some(tcp), Arc::new(script));
            }
        }
        panic!("no free port");
    }

    /// Over UDP only; TCP is refused.
    pub(crate) fn without_tcp(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self::on(udp, None, Arc::new(script))
    }

    /// Answers everything at once.
    pub(crate) fn answering() -> Self {
        Self::start(|seen| vec![Act::Send(seen.reply(0))])
    }

    /// Never says a word.
    pub(crate) fn silent() -> Self {
        Self::start(|_| Vec::new())
    }

    fn on(udp: UdpSocket, tcp: Option<TcpListener>, script: Arc<Script>) -> Self {
        let address = udp.local_addr().unwrap();
        let mut stub = Self {
            address,
            seen: Arc::default(),
            connections: Arc::default(),
            stop: Arc::default(),
            threads: Vec::new(),
        };
        let (seen, stop) = (Arc::clone(&stub.seen), Arc::clone(&stub.stop));
        let for_udp = Arc::clone(&script);
        stub.threads
            .push(spawn(move || serve_udp(&udp, &for_udp, &seen, &stop)));
        if let Some(tcp) = tcp {
            let (seen, stop) = (Arc::clone(&stub.seen), Arc::clone(&stub.stop));
            let connections = Arc::clone(&stub.connections);
            stub.threads.push(spawn(move || {
                serve_tcp(&tcp, &script, &seen, &connections, &stop);
            }));
        }
        stub
    }

    /// What failures and status call it.
    pub(crate) fn label(&self) -> Arc<str> {
        self.address.to_string().into()
    }

    /// All questions so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The names of all questions so far, as (name, TCP).
    pub(crate) fn names(&self) -> Vec<(String, bool)> {
        self.seen()
            .iter()
            .map(|seen| (seen.name(), seen.is_tcp))
            .collect()
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Seen {
    /// Where the question ends.
    fn question_end(&self) -> usize {
        let mut at = 12;
        while self.bytes[at] != 0 {
            at += 1 + usize::from(self.bytes[at]);
        }
        at + 5
    }

    /// QNAME in lower case.
    pub(crate) fn name(&self) -> String {
        self.name_as_asked().to_ascii_lowercase()
    }

    /// QNAME as it came.
    pub(crate) fn name_as_asked(&self) -> String {
        let mut text = String::new();
        let mut at = 12;
        while self.bytes[at] != 0 {
            let end = at + 1 + usize::from(self.bytes[at]);
            text += std::str::from_utf8(&self.bytes[at + 1..end]).unwrap();
            text += ".";
            at = end;
        }
        text
    }

    pub(crate) fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    pub(crate) fn has_edns(&self) -> bool {
        self.bytes[11] == 1
    }

    pub(crate) fn qtype(&self) -> u16 {
        let at = self.question_end() - 4;
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Where the content of the first EDNS option begins.
    pub(crate) fn padding_at(&self) -> usize {
        self.question_end() + 11 + 4
    }

    /// The EDNS options, by code and length.
    pub(crate) fn options(&self) -> Vec<(u16, usize)> {
        let mut rest = &self.bytes[self.question_end() + 11..];
        let mut options = Vec::new();
        while let [a, b, c, d, ..] = *rest {
            let length = usize::from(u16::from_be_bytes([c, d]));
            options.push((u16::from_be_bytes([a, b]), length));
            rest = &rest[4 + length..];
        }
        options
    }

    /// A reply with RCODE `rcode`; an address for a NOERROR to a question for one.
    pub(crate) fn reply(&self, rcode: u8) -> Vec<u8> {
        let end = self.question_end();
        let mut reply = self.bytes[..end].to_vec();
        reply[2] |= 0x80;
        reply[3] = 0x80 | rcode;
        let is_address = self.bytes[end - 4..end] == [0, 1, 0, 1];
        reply[6..12].copy_from_slice(&[0, 0, 0, 0, 0, 0]);
        if rcode == 0 && is_address {
            reply[7] = 1;
            reply.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
        }
        reply
    }

    /// A reply that was cut.
    pub(crate) fn truncated(&self) -> Vec<u8> {
        let mut reply = self.reply(3);
        reply[2] |= 2;
        reply[3] = 0x80;
        reply
    }

    /// A reply as from a server that folds case.
    pub(crate) fn folded(&self) -> Vec<u8> {
        let mut reply = self.reply(0);
        let end = self.question_end() - 4;
        reply[12..end].make_ascii_lowercase();
        reply
    }

    /// The reply with one octet changed.
    pub(crate) fn spoilt(&self, at: usize, flip: u8) -> Vec<u8> {
        let mut reply = self.reply(0);
        reply[at] ^= flip;
        reply
    }

    /// The place of QTYPE's low octet.
    pub(crate) fn qtype_at(&self) -> usize {
        self.question_end() - 3
    }
}

/// How often a thread looks whether it should end.
const BEAT: Duration = Duration::from_millis(20);

fn serve_udp(socket: &UdpSocket, script: &Arc<Script>, seen: &Mutex<Vec<Seen>>, stop: &AtomicBool) {
    socket.set_read_timeout(Some(BEAT)).unwrap();
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::SeqCst) {
        let Ok((count, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let question = Seen {
            bytes: buffer[..count].to_vec(),
            from,
            is_tcp: false,
        };
        seen.lock().unwrap().push(question.clone());
        let acts = script(&question);
        let (socket, elsewhere) = (socket.try_clone().unwrap(), elsewhere.try_clone().unwrap());
        let act = move || {
            for act in acts {
                // The asker may have closed its port meanwhile.
                drop(match act {
                    Act::Send(bytes) => socket.send_to(&bytes, from),
                    Act::SendFromElsewhere(bytes) => elsewhere.send_to(&bytes, from),
                    Act::Delay(time) => {
                        std::thread::sleep(time);
                        Ok(0)
                    }
                    Act::Trickle(_) | Act::Close | Act::Reset | Act::Http(..) => {
                        panic!("not over UDP")
                    }
                });
            }
        };
        // One thread for each question would cost more than the test.
        act();
    }
}

fn serve_tcp(
    listener: &TcpListener,
    script: &Arc<Script>,
    seen: &Arc<Mutex<Vec<Seen>>>,
    connections: &AtomicUsize,
    stop: &Arc<AtomicBool>,
) {
    listener.set_nonblocking(true).unwrap();
    let mut threads = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let Ok((stream, from)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        connections.fetch_add(1, Ordering::SeqCst);
        stream.set_nonblocking(false).unwrap();
        let (script, seen, stop) = (Arc::clone(script), Arc::clone(seen), Arc::clone(stop));
        threads.push(spawn(move || {
            serve_connection(stream, from, &script, &seen, &stop);
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

fn serve_connection(
    mut stream: TcpStream,
    from: SocketAddr,
    script: &Arc<Script>,
    seen: &Mutex<Vec<Seen>>,
    stop: &AtomicBool,
) {
    stream.set_read_timeout(Some(BEAT)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut incoming = Vec::new();
    let mut chunk = [0; 2048];
    while !stop.load(Ordering::SeqCst) {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => incoming.extend(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        while incoming.len() >= 2 {
            let end = 2 + usize::from(u16::from_be_bytes([incoming[0], incoming[1]]));
            if incoming.len() < end {
                break;
            }
            let question = Seen {
                bytes: incoming[2..end].to_vec(),
                from,
                is_tcp: true,
            };
            incoming.drain(..end);
            seen.lock().unwrap().push(question.clone());
            for act in script(&question) {
                let framed = |bytes: &[u8]| {
                    let mut frame = (bytes.len() as u16).to_be_bytes().to_vec();
                    frame.extend(bytes);
                    frame
                };
                match act {
                    Act::Send(bytes) => drop(stream.write_all(&framed(&bytes))),
                    Act::Trickle(bytes) => {
                        for octet in framed(&bytes) {
                            drop(stream.write_all(&[octet]));
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    }
                    Act::Delay(time) => std::thread::sleep(time),
                    Act::Close => {
                        stream.shutdown(Shutdown::Write).unwrap();
                    }
                    Act::SendFromElsewhere(_) | Act::Reset | Act::Http(..) => {
                        panic!("not over TCP")
                    }
                }
            }
        }
    }
}
