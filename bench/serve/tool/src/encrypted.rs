//! The load generator for DoT and DoH: a window of queries over warm connections, or an even rate.
//!
//! Each query is a TLS record of its own, as clients send them; what is to be sent at a time goes out
//! with one system call.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::batch::SIZE;
use crate::cpu::Meter;
use crate::given::{self, Given};
use crate::http2::{Answered, Http2};
use crate::load::{Counts, PATIENCE, quantile, summary};
use crate::mix::{Mix, Numbers};
use crate::tls::{Client, Connection, first_message, framed};
use crate::wire::{Expect, is_right};

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Over {
    Dot,
    Doh,
}

/// What a run is.
pub struct Options {
    over: Over,
    server: SocketAddrV4,
    /// The file with the certificate to trust, and the name in it.
    trust: String,
    name: String,
    mix: String,
    names: String,
    /// Processes whose time is counted.
    processes: Vec<u32>,
    /// Connections, each from an address of its own: clients 127.0.0.2 and following.
    connections: usize,
    /// Queries on their way on each.
    window: usize,
    /// Queries a second; 0 is as many as are answered.
    rate: u64,
    /// Before it is measured, and measured.
    lead: Duration,
    measured: Duration,
    seed: u64,
    fresh: u64,
}

impl Options {
    /// From `--key value` pairs.
    pub fn parse(words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut given = Given::parse(words)?;
        let mut take = |key: &str, otherwise: &str| given.take(key, otherwise);
        let options = Self {
            over: match take("over", "").as_str() {
                "dot" => Over::Dot,
                "doh" => Over::Doh,
                _ => return Err("`--over` is dot or doh".into()),
            },
            server: take("server", "").parse()?,
            trust: take("trust", ""),
            name: take("name", "dns.home.example"),
            mix: take("mix", "cached"),
            names: std::fs::read_to_string(take("names", ""))?,
            processes: given::numbers(&take("pids", ""))?,
            connections: take("connections", "5").parse()?,
            window: take("window", "32").parse()?,
            rate: take("rate", "0").parse()?,
            lead: Duration::try_from_secs_f64(take("lead", "0.5").parse()?)?,
            measured: Duration::try_from_secs_f64(take("seconds", "3").parse()?)?,
            seed: take("seed", "1").parse()?,
            fresh: take("fresh", "1").parse()?,
        };
        given.end()?;
        if !(1..=200).contains(&options.connections) || !(1..=1024).contains(&options.window) {
            return Err("connections are 1 to 200, the window 1 to 1024".into());
        }
        Ok(options)
    }
}

/// Asks, and prints what came of it.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut mix = Mix::new(&options.mix, &options.names, options.seed, options.fresh)?;
    let alpn: &[u8] = match options.over {
        Over::Dot => b"dot",
        Over::Doh => b"h2",
    };
    let client = Client::new(&options.trust, &options.name, alpn)?;
    let mut lanes = (0..options.connections)
        .map(|number| {
            let from = Ipv4Addr::new(127, 0, 0, 2 + number as u8);
            let connection = client.connect(from, options.server)?;
            Lane::new(connection, options, number as u64)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let agreed = lanes[0].connection.agreed();
    let warming = warm(&mix, &mut lanes)?;
    let mut line = measure(options, &mut mix, &mut lanes)?;
    write!(
        line,
        r#","agreed":"{agreed}","warmed":{},"warming_wrong":{},"warming_lost":{}}}"#,
        warming.right, warming.wrong, warming.lost
    )?;
    println!("{line}");
    Ok(())
}

/// A query on its way.
struct Slot {
    message: [u8; SIZE],
    length: usize,
    expect: Expect,
    sent: Instant,
    is_waiting: bool,
}

enum Speech {
    Dot,
    Doh(Box<Http2>),
}

/// One connection with its slots. Over DoT the low ten bits of an id are the slot; over DoH the stream
/// is, and all ids are 0 (RFC 8484 section 4.1).
struct Lane {
    connection: Connection,
    speech: Speech,
    slots: Vec<Slot>,
    free: Vec<u16>,
    ids: Numbers,
    /// What has arrived, and is not a whole message or frame yet.
    input: Vec<u8>,
    answered: Vec<Answered>,
}

const SLOT_BITS: u16 = 0x3ff;

impl Lane {
    fn new(connection: Connection, options: &Options, number: u64) -> io::Result<Self> {
        let slot = |_| Slot {
            message: [0; SIZE],
            length: 0,
            expect: Expect::Passed,
            sent: Instant::now(),
            is_waiting: false,
        };
        connection.socket.set_nonblocking(true)?;
        Ok(Self {
            connection,
            speech: match options.over {
                Over::Dot => Speech::Dot,
                Over::Doh => Speech::Doh(Box::new(Http2::new(&options.name))),
            },
            slots: (0..options.window).map(slot).collect(),
            free: (0..options.window as u16).rev().collect(),
            ids: Numbers(options.fresh ^ (number << 32)),
            input: Vec::new(),
            answered: Vec::new(),
        })
    }

    /// Takes answers that have arrived, with the time each took; tells whether there was anything.
    fn take(&mut self, counts: &mut Counts, latencies: &mut Vec<u32>) -> io::Result<bool> {
        if !self.connection.receive(&mut self.input)? {
            return Ok(false);
        }
        let now = Instant::now();
        let mut place = 0;
        match &mut self.speech {
            Speech::Dot => {
                while let Some(reply) = first_message(&self.input[place..]) {
                    place += 2 + reply.len();
                    let slot = match reply {
                        [high, low, ..] => u16::from_be_bytes([*high, *low]) & SLOT_BITS,
                        _ => SLOT_BITS,
                    };
                    let body = reply.to_vec();
                    self.answered.push(Answered { slot, body });
                }
            }
            Speech::Doh(http) => {
                place = http
                    .take(&self.input, &mut self.answered)
                    .map_err(io::Error::other)?;
                send_frames(http, &mut self.connection)?;
            }
        }
        self.input.drain(..place);
        for Answered { slot, body } in self.answered.drain(..) {
            let it = self.slots.get_mut(usize::from(slot));
            let Some(it) = it.filter(|it| it.is_waiting && body.get(..2) == Some(&it.message[..2]))
            else {
                counts.stray += 1;
                continue;
            };
            it.is_waiting = false;
            self.free.push(slot);
            if is_right(&body, &it.message[..it.length], it.expect) {
                counts.right += 1;
            } else {
                counts.wrong += 1;
            }
            latencies.push(u32::try_from((now - it.sent).as_nanos()).unwrap_or(u32::MAX));
        }
        Ok(true)
    }

    /// Sends up to `most` queries in free slots; tells how many. `next` makes one, or has none left.
    fn fill(
        &mut self,
        now: Instant,
        most: usize,
        mut next: impl FnMut(&mut [u8; SIZE]) -> Option<(usize, Expect)>,
    ) -> io::Result<usize> {
        let mut count = 0;
        while count < most
            && let Some(&slot) = self.free.last()
        {
            if let Speech::Doh(http) = &self.speech
                && !http.has_room()
            {
                break;
            }
            let it = &mut self.slots[usize::from(slot)];
            let Some((length, expect)) = next(&mut it.message) else {
                break;
            };
            self.free.pop();
            (it.length, it.expect, it.sent, it.is_waiting) = (length, expect, now, true);
            match &mut self.speech {
                Speech::Dot => {
                    let id = (self.ids.draw() as u16 & !SLOT_BITS) | slot;
                    it.message[..2].copy_from_slice(&id.to_be_bytes());
                    self.connection.put(&framed(&it.message[..length]))?;
                }
                Speech::Doh(http) => {
                    http.request(&it.message[..length], slot);
                    send_frames(http, &mut self.connection)?;
                }
            }
            count += 1;
        }
        self.connection.flush()?;
        Ok(count)
    }

    /// Gives up waiting where it was too long.
    fn give_up(&mut self, now: Instant, counts: &mut Counts) {
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if slot.is_waiting && now.duration_since(slot.sent) > PATIENCE {
                slot.is_waiting = false;
                self.free.push(place as u16);
                counts.lost += 1;
            }
        }
    }
}

fn send_frames(http: &mut Http2, connection: &mut Connection) -> io::Result<()> {
    if !http.output.is_empty() {
        connection.put(&http.output)?;
        http.output.clear();
    }
    Ok(())
}

/// Waits until one of them has an answer, a little while at most.
fn wait(lanes: &[Lane]) -> Result<(), Errno> {
    let mut looked_at: Vec<_> = lanes
        .iter()
        .map(|it| PollFd::new(it.connection.socket.as_fd(), PollFlags::POLLIN))
        .collect();
    match poll(&mut looked_at, PollTimeout::from(10_u8)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Asks everything that can be kept, each once.
fn warm(mix: &Mix, lanes: &mut [Lane]) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let mut places = 0..mix.known_count();
    let mut latencies = Vec::new();
    while counts.answered() + counts.lost < mix.known_count() as u64 {
        let now = Instant::now();
        let mut has_come = false;
        for lane in &mut *lanes {
            has_come |= lane.take(&mut counts, &mut latencies)?;
            lane.give_up(now, &mut counts);
            lane.fill(now, usize::MAX, |out| Some(mix.known(places.next()?, out)))?;
        }
        if !has_come {
            wait(lanes)?;
        }
    }
    Ok(counts)
}

fn measure(options: &Options, mix: &mut Mix, lanes: &mut [Lane]) -> Result<String, Box<dyn Error>> {
    let mut meter = Meter::new(&options.processes);
    let mut own = Meter::new(&[std::process::id()]);
    let mut counts = Counts::default();
    let mut latencies: Vec<u32> = Vec::new();
    let step = Duration::from_secs(1).as_nanos() as u64 / options.rate.max(1);
    let (mut sent, mut sent_before, mut late) = (0_u64, 0, 0_u64);
    let mut measured = None;
    let begin = Instant::now();
    let (began, before, spent, spent_here) = loop {
        let now = Instant::now();
        if measured.is_none() && now - begin >= options.lead {
            measured = Some((now, counts, meter.read(), own.read()));
            sent_before = sent;
            late = 0;
            latencies.clear();
        }
        if let Some(measured) = measured
            && now - measured.0 >= options.measured
        {
            break measured;
        }
        let mut has_come = false;
        for lane in &mut *lanes {
            has_come |= lane.take(&mut counts, &mut latencies)?;
            lane.give_up(now, &mut counts);
        }
        if options.rate == 0 {
            for lane in &mut *lanes {
                sent += lane.fill(now, usize::MAX, |out| Some(mix.next(out)))? as u64;
            }
            if !has_come {
                wait(lanes)?;
            }
        } else if now - begin >= Duration::from_nanos(sent * step) {
            // One at a time, by turns: a rate is not a row of bursts, unless we were late.
            let which = (sent % lanes.len() as u64) as usize;
            let taken = lanes[which].fill(now, 1, |out| Some(mix.next(out)))?;
            late += u64::from(taken == 0);
            sent += 1;
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let spent = meter.read() - spent;
    let spent_here = own.read() - spent_here;
    let mut found = counts.since(&before);
    // A query for which there was no room was not answered either.
    found.lost += late;
    latencies.sort_unstable();
    let mut line = summary(&found, seconds, spent);
    write!(line, r#","load_cpu_nanoseconds":{spent_here}"#)?;
    if options.rate > 0 {
        write!(
            line,
            r#","sent":{},"p50_nanoseconds":{},"p99_nanoseconds":{},"p999_nanoseconds":{}"#,
            sent - sent_before,
            quantile(&latencies, 0.5),
            quantile(&latencies, 0.99),
            quantile(&latencies, 0.999),
        )?;
    }
    Ok(line)
}
