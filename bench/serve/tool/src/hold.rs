//! Connections that are held: idle ones, and those of clients that never get to the point.
//!
//! Standard input says how many: a number on a line is answered with a line of JSON when so many are
//! there, and when input ends, the last line says what became of them. Meanwhile who was cut off comes
//! again at once, but for idle ones, which nobody should cut off.

use std::error::Error;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::given::Given;
use crate::http2::{Http2, one_octet};
use crate::tls::{Client, Connection, framed};
use crate::wire::{self, A};

/// An octet each.
const DRIP: Duration = Duration::from_secs(1);
/// A message that never ends at that pace.
const LONG: usize = 512;
/// Of idle ones, each so many-th is asked again at the end.
const ASKED_AGAIN: usize = 100;

/// At which point a client falls silent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// After a query and its answer: what well-behaved clients do.
    Idle,
    /// After the handshake of TCP.
    Tcp,
    /// In the middle of its first message of TLS.
    Hello,
    /// After the handshake of TLS.
    Silent,
    /// In the middle of a DNS message.
    Half,
    /// Never: each second it says another octet of one.
    Drip,
}

impl Kind {
    fn parse(word: &str) -> Result<Self, String> {
        Ok(match word {
            "idle" => Self::Idle,
            "tcp" => Self::Tcp,
            "hello" => Self::Hello,
            "silent" => Self::Silent,
            "half" => Self::Half,
            "drip" => Self::Drip,
            _ => return Err(format!("no kind `{word}`")),
        })
    }
}

/// What a run is.
pub struct Options {
    kinds: Vec<Kind>,
    /// Over DoT and over DoH, by turns; idle ones over DoT alone.
    dot: SocketAddrV4,
    doh: SocketAddrV4,
    trust: String,
    name: String,
    /// Connections from one address: clients 127.1.0.1 and following.
    per_client: usize,
}

impl Options {
    /// From `--key value` pairs.
    pub fn parse(words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut given = Given::parse(words)?;
        let mut take = |key: &str, otherwise: &str| given.take(key, otherwise);
        let options = Self {
            kinds: take("kinds", "idle")
                .split(',')
                .map(Kind::parse)
                .collect::<Result<_, _>>()?,
            dot: take("dot", "").parse()?,
            doh: take("doh", "").parse()?,
            trust: take("trust", ""),
            name: take("name", "dns.home.example"),
            per_client: take("per-client", "16").parse()?,
        };
        given.end()?;
        if options.per_client == 0 || options.kinds.is_empty() {
            return Err("no connection at all".into());
        }
        Ok(options)
    }
}

/// Holds what standard input asks for.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let crowd = Crowd {
        options,
        over_dot: Client::new(&options.trust, &options.name, b"dot")?,
        over_doh: Client::new(&options.trust, &options.name, b"h2")?,
    };
    let wanted = lines();
    let mut held = Held::default();
    let begin = Instant::now();
    loop {
        match wanted.try_recv() {
            Ok(count) => {
                let begin = Instant::now();
                while held.all.len() < count {
                    let number = held.all.len();
                    held.all.push(crowd.join(number)?);
                }
                println!(
                    r#"{{"held":{},"seconds":{:.3}}}"#,
                    held.all.len(),
                    begin.elapsed().as_secs_f64()
                );
            }
            Err(TryRecvError::Empty) => held.look(&crowd)?,
            Err(TryRecvError::Disconnected) => break,
        }
    }
    let (open, answered, asked) = held.end();
    println!(
        r#"{{"held":{},"open":{open},"again":{:?},"refused":{},"asked":{asked},"answered":{answered},"seconds":{:.3}}}"#,
        held.all.len(),
        held.again,
        held.refused,
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Numbers on standard input, until it ends.
fn lines() -> Receiver<usize> {
    let (say, heard) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(count) = line.trim().parse() else {
                break;
            };
            if say.send(count).is_err() {
                break;
            }
        }
    });
    heard
}

/// How its members come in.
struct Crowd<'a> {
    options: &'a Options,
    over_dot: Client,
    over_doh: Client,
}

/// A connection that is held.
struct Member {
    kind: Kind,
    socket: TcpStream,
    /// The keys, where something is yet to be said.
    connection: Option<Box<Connection>>,
    /// The stream of its request, over DoH.
    stream: u32,
    next: Instant,
}

impl Crowd<'_> {
    fn join(&self, number: usize) -> io::Result<Member> {
        let options = self.options;
        let kind = options.kinds[number / 2 % options.kinds.len()];
        let is_dot = kind == Kind::Idle || number.is_multiple_of(2);
        let (client, server) = match is_dot {
            true => (&self.over_dot, options.dot),
            false => (&self.over_doh, options.doh),
        };
        let from = u32::from(Ipv4Addr::new(127, 1, 0, 1)) + (number / options.per_client) as u32;
        let from = Ipv4Addr::from(from);
        let mut stream = 0;
        let (socket, connection) = match kind {
            Kind::Tcp => (crate::tls::tcp(from, server)?, None),
            Kind::Hello => {
                let mut socket = crate::tls::tcp(from, server)?;
                let mut hello = Vec::new();
                let mut tls = client.begin().map_err(io::Error::other)?;
                tls.write_tls(&mut hello)?;
                socket.write_all(&hello[..hello.len() / 2])?;
                (socket, None)
            }
            _ => {
                let mut connection = client.connect(from, server)?;
                let message = wire::query("www.example.org", A);
                match (kind, is_dot) {
                    (Kind::Idle, _) => {
                        let mut query = message;
                        query[..2].copy_from_slice(&(number as u16).to_be_bytes());
                        connection.ask(&query)?;
                    }
                    (Kind::Half, true) => connection.put(&framed(&message)[..message.len() / 2])?,
                    (Kind::Drip, true) => connection.put(&(LONG as u16).to_be_bytes())?,
                    (Kind::Half | Kind::Drip, false) => {
                        let mut http = Http2::new(&options.name);
                        if kind == Kind::Half {
                            http.half_a_request(&message);
                        } else {
                            stream = http.head(LONG);
                        }
                        connection.put(&http.output)?;
                    }
                    _ => {}
                }
                connection.flush()?;
                let is_needed = match kind {
                    Kind::Idle => number.is_multiple_of(ASKED_AGAIN),
                    _ => kind == Kind::Drip,
                };
                let socket = connection.socket.try_clone()?;
                (socket, is_needed.then(|| Box::new(connection)))
            }
        };
        Ok(Member {
            kind,
            socket,
            connection,
            stream,
            next: Instant::now() + DRIP,
        })
    }
}

impl Member {
    /// Whether the other side has cut it off. What it said is thrown away.
    fn is_over(&mut self) -> bool {
        let mut buffer = [0; 4096];
        if self.socket.set_nonblocking(true).is_err() {
            return true;
        }
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Says another octet; tells whether that was possible.
    fn drip(&mut self) -> bool {
        let Some(connection) = &mut self.connection else {
            return true;
        };
        self.next = Instant::now() + DRIP;
        let mut octets = Vec::new();
        match self.stream {
            0 => octets.push(0),
            stream => one_octet(&mut octets, stream),
        }
        connection
            .put(&octets)
            .and_then(|()| connection.flush())
            .is_ok()
    }
}

/// Those who are there.
#[derive(Default)]
struct Held {
    all: Vec<Member>,
    /// How often somebody who was cut off came again, over DoT and over DoH, and how often that failed.
    again: [u64; 2],
    refused: u64,
}

impl Held {
    /// Waits a little, and lets come again who was cut off.
    fn look(&mut self, crowd: &Crowd) -> io::Result<()> {
        let is_idle = |it: &Member| it.kind == Kind::Idle;
        if self.all.iter().all(is_idle) {
            thread::sleep(Duration::from_millis(20));
            return Ok(());
        }
        let mut looked_at: Vec<_> = self
            .all
            .iter()
            .map(|it| PollFd::new(it.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        match poll(&mut looked_at, PollTimeout::from(100_u8)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has_said: Vec<bool> = looked_at
            .iter()
            .map(|it| it.revents().is_some_and(|it| !it.is_empty()))
            .collect();
        let now = Instant::now();
        for (number, has_said) in has_said.into_iter().enumerate() {
            let it = &mut self.all[number];
            let is_over =
                has_said && it.is_over() || it.kind == Kind::Drip && it.next <= now && !it.drip();
            if is_over {
                self.again[number % 2] += 1;
                match crowd.join(number) {
                    Ok(it) => self.all[number] = it,
                    Err(_) => self.refused += 1,
                }
            }
        }
        Ok(())
    }

    /// How many are still open; and of those that are asked once more, how many answer.
    fn end(&mut self) -> (usize, usize, usize) {
        let (mut answered, mut asked) = (0, 0);
        for (number, it) in self.all.iter_mut().enumerate() {
            if it.kind == Kind::Idle
                && let Some(connection) = &mut it.connection
            {
                asked += 1;
                let mut query = wire::query("www.example.org", A);
                query[..2].copy_from_slice(&(number as u16).to_be_bytes());
                let reply = connection.ask(&query);
                answered += usize::from(reply.is_ok_and(|it| it[..2] == query[..2]));
            }
        }
        let open = self
            .all
            .iter_mut()
            .filter_map(|it| (!it.is_over()).then_some(()));
        (open.count(), answered, asked)
    }
}
