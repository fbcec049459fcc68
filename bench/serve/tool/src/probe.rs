//! Ordinary clients, few and even: one over UDP, one over a warm DoT connection, and one that makes a
//! new DoT connection for each query. How long do they wait?

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::batch::SIZE;
use crate::cpu::Meter;
use crate::given::{self, Given};
use crate::load::{PATIENCE, quantile};
use crate::mix::{Mix, Numbers};
use crate::tls::Client;
use crate::wire::is_right;

/// Queries a second over UDP, over a warm connection, and over new ones.
const RATES: [u64; 3] = [500, 500, 50];
/// The client they are.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What a run is.
pub struct Options {
    udp: SocketAddrV4,
    dot: SocketAddrV4,
    trust: String,
    name: String,
    names: String,
    /// Processes whose time is counted.
    processes: Vec<u32>,
    measured: Duration,
    seed: u64,
}

impl Options {
    /// From `--key value` pairs.
    pub fn parse(words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut given = Given::parse(words)?;
        let mut take = |key: &str, otherwise: &str| given.take(key, otherwise);
        let options = Self {
            udp: take("udp", "").parse()?,
            dot: take("dot", "").parse()?,
            trust: take("trust", ""),
            name: take("name", "dns.home.example"),
            names: std::fs::read_to_string(take("names", ""))?,
            processes: given::numbers(&take("pids", ""))?,
            measured: Duration::try_from_secs_f64(take("seconds", "5").parse()?)?,
            seed: take("seed", "1").parse()?,
        };
        given.end()?;
        Ok(options)
    }
}

/// Asks, and prints what came of it.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let client = Client::new(&options.trust, &options.name, b"dot")?;
    let mixes = RATES.map(|rate| Mix::new("cached", &options.names, options.seed ^ rate, 1));
    let [plain, warm, new] = mixes;
    let (plain, warm, new) = (plain?, warm?, new?);
    let udp = UdpSocket::bind(SocketAddrV4::new(FROM, 0))?;
    udp.connect(options.udp)?;
    udp.set_read_timeout(Some(PATIENCE))?;
    let mut connection = Some(client.connect(FROM, options.dot)?);
    let mut meter = Meter::new(&options.processes);
    let spent = meter.read();
    let begin = Instant::now();
    let end = begin + options.measured;
    let over_warm = |query: &[u8]| {
        let it = match &mut connection {
            Some(it) => it,
            none => none.insert(client.connect(FROM, options.dot)?),
        };
        let reply = it.ask(query);
        if reply.is_err() {
            connection = None;
        }
        reply
    };
    let over_new = |query: &[u8]| client.connect(FROM, options.dot)?.ask(query);
    let [udp, warm, new] = thread::scope(|scope| {
        let all = [
            scope.spawn(|| asked(RATES[0], begin, end, plain, |query| ask_udp(&udp, query))),
            scope.spawn(|| asked(RATES[1], begin, end, warm, over_warm)),
            scope.spawn(|| asked(RATES[2], begin, end, new, over_new)),
        ];
        all.map(|it| it.join().expect("it only asks"))
    });
    println!(
        r#"{{"udp":{udp},"dot":{warm},"new":{new},"seconds":{:.6},"cpu_nanoseconds":{}}}"#,
        begin.elapsed().as_secs_f64(),
        meter.read() - spent
    );
    Ok(())
}

fn ask_udp(socket: &UdpSocket, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut buffer = [0; SIZE];
    socket.send(query)?;
    loop {
        let length = socket.recv(&mut buffer)?;
        // An answer that came too late is no answer to this one.
        if buffer[..2] == query[..2] {
            return Ok(buffer[..length].to_vec());
        }
    }
}

/// Asks at an even rate, one after the other, and tells how it went. Who waited so long that the next
/// query is late counts its lateness too: a stall strikes all that would have been asked meanwhile.
fn asked(
    rate: u64,
    begin: Instant,
    end: Instant,
    mut mix: Mix,
    mut ask: impl FnMut(&[u8]) -> io::Result<Vec<u8>>,
) -> String {
    let step = Duration::from_secs(1) / rate as u32;
    let mut message = [0; SIZE];
    let mut ids = Numbers(rate);
    let mut latencies = Vec::new();
    let (mut wrong, mut lost) = (0, 0);
    let mut due = begin;
    while due < end {
        let now = Instant::now();
        let since = if now < due {
            thread::sleep(due - now);
            Instant::now()
        } else {
            due
        };
        due += step;
        let (length, expect) = mix.next(&mut message);
        message[..2].copy_from_slice(&(ids.draw() as u16).to_be_bytes());
        let query = &message[..length];
        match ask(query) {
            Ok(reply) if reply.get(..2) == Some(&query[..2]) && is_right(&reply, query, expect) => {
                let took = since.elapsed().as_nanos();
                latencies.push(u32::try_from(took).unwrap_or(u32::MAX));
            }
            Ok(_) => wrong += 1,
            Err(_) => lost += 1,
        }
    }
    latencies.sort_unstable();
    format!(
        r#"{{"right":{},"wrong":{wrong},"lost":{lost},"p50_nanoseconds":{},"p99_nanoseconds":{},"slowest_nanoseconds":{}}}"#,
        latencies.len(),
        quantile(&latencies, 0.5),
        quantile(&latencies, 0.99),
        quantile(&latencies, 1.0),
    )
}
