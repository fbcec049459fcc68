//! The load generator: as much as a server can answer, or an even rate.

use std::error::Error;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::batch::{self, Batch, MOST, SIZE};
use crate::cpu::Meter;
use crate::given::{self, Given};
use crate::mix::{Mix, Numbers};
use crate::wire::{Expect, is_right};

/// Who has not answered after this time does not answer any more.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked who has not.
const LOOK: Duration = Duration::from_millis(50);
/// Queries on their way while answers are made to be kept, over all sockets: no server loses those.
const WARMING: usize = 60;

/// What a run is.
pub struct Options {
    server: SocketAddrV4,
    mix: String,
    names: String,
    /// Processes whose time is counted.
    processes: Vec<u32>,
    /// Sockets, each with an address of its own: clients 127.0.0.2 and following.
    sockets: usize,
    /// Queries on their way on each socket.
    window: usize,
    /// Queries a second; 0 is as many as are answered.
    rate: u64,
    /// Before it is measured, and measured.
    lead: Duration,
    measured: Duration,
    /// So many queries at most, whatever the time.
    most: u64,
    seed: u64,
    fresh: u64,
    /// Whether everything that can be kept is asked once before.
    warm: bool,
}

impl Options {
    /// From `--key value` pairs.
    pub fn parse(words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut given = Given::parse(words)?;
        let mut take = |key: &str, otherwise: &str| given.take(key, otherwise);
        let options = Self {
            server: take("server", "").parse()?,
            mix: take("mix", "cached"),
            names: std::fs::read_to_string(take("names", ""))?,
            processes: given::numbers(&take("pids", ""))?,
            sockets: take("sockets", "5").parse()?,
            window: take("window", "50").parse()?,
            rate: take("rate", "0").parse()?,
            lead: Duration::try_from_secs_f64(take("lead", "0.5").parse()?)?,
            measured: Duration::try_from_secs_f64(take("seconds", "3").parse()?)?,
            most: take("queries", &u64::MAX.to_string()).parse()?,
            seed: take("seed", "1").parse()?,
            fresh: take("fresh", "1").parse()?,
            warm: take("warm", "yes") == "yes",
        };
        given.end()?;
        if !(1..=200).contains(&options.sockets) || !(1..=1024).contains(&options.window) {
            return Err("sockets are 1 to 200, the window 1 to 1024".into());
        }
        Ok(options)
    }
}

/// Asks, and prints what came of it.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut mix = Mix::new(&options.mix, &options.names, options.seed, options.fresh)?;
    let sockets = (0..options.sockets)
        .map(|number| {
            let client = Ipv4Addr::new(127, 0, 0, 2 + number as u8);
            let socket = batch::socket(SocketAddrV4::new(client, 0))?;
            socket.connect(options.server)?;
            Ok(socket)
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    let warming = if options.warm {
        warm(options, &mix, &sockets)?
    } else {
        Counts::default()
    };
    let mut line = match options.rate {
        0 => saturate(options, &mut mix, &sockets)?,
        _ => pace(options, &mut mix, &sockets)?,
    };
    write!(
        line,
        r#","warmed":{},"warming_wrong":{},"warming_lost":{}}}"#,
        warming.right, warming.wrong, warming.lost
    )?;
    println!("{line}");
    Ok(())
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub right: u64,
    pub wrong: u64,
    pub lost: u64,
    /// Answers to nothing that was asked, or too late.
    pub stray: u64,
}

impl Counts {
    pub fn answered(&self) -> u64 {
        self.right + self.wrong
    }

    pub fn since(&self, before: &Self) -> Self {
        Self {
            right: self.right - before.right,
            wrong: self.wrong - before.wrong,
            lost: self.lost - before.lost,
            stray: self.stray - before.stray,
        }
    }
}

/// A query on its way.
struct Slot {
    message: [u8; SIZE],
    length: usize,
    expect: Expect,
    sent: Instant,
    is_waiting: bool,
}

/// One socket with its slots. The low ten bits of an id are the slot, the others change each time.
struct Lane {
    fd: std::os::fd::RawFd,
    slots: Vec<Slot>,
    free: Vec<u16>,
    ids: Numbers,
}

const SLOT_BITS: u16 = 0x3ff;

impl Lane {
    fn new(socket: &UdpSocket, window: usize, seed: u64) -> Self {
        let slot = |_| Slot {
            message: [0; SIZE],
            length: 0,
            expect: Expect::Echo,
            sent: Instant::now(),
            is_waiting: false,
        };
        Self {
            fd: batch::fd(socket),
            slots: (0..window).map(slot).collect(),
            free: (0..window as u16).rev().collect(),
            ids: Numbers(seed),
        }
    }

    /// Takes answers that have arrived; tells how many.
    fn take(&mut self, batch: &mut Batch, counts: &mut Counts) -> usize {
        // A port that is closed says so here; the slots run out of patience.
        let received = batch.receive(self.fd, false).unwrap_or(0);
        for place in 0..received {
            let reply = batch.message(place);
            let slot = match reply {
                [high, low, ..] => u16::from_be_bytes([*high, *low]) & SLOT_BITS,
                _ => SLOT_BITS,
            };
            let Some(it) = self
                .slots
                .get_mut(usize::from(slot))
                .filter(|it| it.is_waiting && reply[..2] == it.message[..2])
            else {
                counts.stray += 1;
                continue;
            };
            it.is_waiting = false;
            self.free.push(slot);
            if is_right(reply, &it.message[..it.length], it.expect) {
                counts.right += 1;
            } else {
                counts.wrong += 1;
            }
        }
        received
    }

    /// Fills up to a batch of free slots and sends them; `next` makes a query, or has none left.
    fn fill(
        &mut self,
        now: Instant,
        mut next: impl FnMut(&mut [u8; SIZE]) -> Option<(usize, Expect)>,
    ) -> Result<(), Errno> {
        let mut filled = [0_u16; MOST];
        let mut count = 0;
        while count < MOST
            && let Some(&slot) = self.free.last()
        {
            let it = &mut self.slots[usize::from(slot)];
            let Some((length, expect)) = next(&mut it.message) else {
                break;
            };
            self.free.pop();
            let id = (self.ids.draw() as u16 & !SLOT_BITS) | slot;
            it.message[..2].copy_from_slice(&id.to_be_bytes());
            (it.length, it.expect, it.sent, it.is_waiting) = (length, expect, now, true);
            filled[count] = slot;
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let slots = &self.slots;
        let sent = batch::send_all(self.fd, count, |place| {
            let it = &slots[usize::from(filled[place])];
            &it.message[..it.length]
        });
        match sent {
            Err(Errno::ECONNREFUSED) => Ok(()),
            other => other,
        }
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

fn lanes(options: &Options, sockets: &[UdpSocket], window: usize) -> Vec<Lane> {
    (0_u64..)
        .zip(sockets)
        .map(|(number, socket)| Lane::new(socket, window, options.fresh ^ (number << 32)))
        .collect()
}

/// Waits until one of them has an answer, a little while at most.
fn wait(sockets: &[UdpSocket]) -> Result<(), Errno> {
    let mut looked_at: Vec<_> = sockets
        .iter()
        .map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN))
        .collect();
    match poll(&mut looked_at, PollTimeout::from(10_u8)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Asks everything that can be kept, each once; what is lost or wrong is not asked again.
fn warm(options: &Options, mix: &Mix, sockets: &[UdpSocket]) -> Result<Counts, Box<dyn Error>> {
    let mut lanes = lanes(options, sockets, (WARMING / sockets.len()).max(1));
    let mut batch = Batch::new(MOST);
    let mut counts = Counts::default();
    let mut places = 0..mix.known_count();
    let total = mix.known_count() as u64;
    while counts.answered() + counts.lost < total {
        let now = Instant::now();
        let mut received = 0;
        for lane in &mut lanes {
            received += lane.take(&mut batch, &mut counts);
            lane.give_up(now, &mut counts);
            lane.fill(now, |out| Some(mix.known(places.next()?, out)))?;
        }
        if received == 0 {
            wait(sockets)?;
        }
    }
    Ok(counts)
}

/// As much as is answered: a window of queries is always on its way.
fn saturate(
    options: &Options,
    mix: &mut Mix,
    sockets: &[UdpSocket],
) -> Result<String, Box<dyn Error>> {
    let mut lanes = lanes(options, sockets, options.window);
    let mut batch = Batch::new(MOST);
    let mut meter = Meter::new(&options.processes);
    let mut own = Meter::new(&[std::process::id()]);
    let mut counts = Counts::default();
    let mut measured = None;
    let mut left = options.most;
    let begin = Instant::now();
    let mut looked = begin;
    let (began, before, spent, spent_here) = loop {
        let now = Instant::now();
        let is_done = counts.answered() + counts.lost >= options.most;
        if measured.is_none() && (now - begin >= options.lead || is_done) {
            measured = Some((now, counts, meter.read(), own.read()));
        }
        if let Some(measured) = measured
            && (now - measured.0 >= options.measured || is_done)
        {
            break measured;
        }
        let is_time_to_look = now - looked >= LOOK;
        if is_time_to_look {
            looked = now;
        }
        let mut received = 0;
        for lane in &mut lanes {
            received += lane.take(&mut batch, &mut counts);
            if is_time_to_look {
                lane.give_up(now, &mut counts);
            }
            lane.fill(now, |out| {
                left = left.checked_sub(1)?;
                Some(mix.next(out))
            })?;
        }
        if received == 0 {
            wait(sockets)?;
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let spent = meter.read() - spent;
    let spent_here = own.read() - spent_here;
    let found = counts.since(&before);
    let mut line = summary(&found, seconds, spent);
    write!(line, r#","load_cpu_nanoseconds":{spent_here}"#)?;
    Ok(line)
}

/// Of sorted `values`, the one that so large a `share` of them are not above.
pub fn quantile(values: &[u32], share: f64) -> u32 {
    let last = values.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    values.get(place).copied().unwrap_or(0)
}

/// The figures both ways of asking have.
pub fn summary(found: &Counts, seconds: f64, spent: u64) -> String {
    format!(
        r#"{{"right":{},"wrong":{},"lost":{},"stray":{},"seconds":{seconds:.6},"cpu_nanoseconds":{spent}"#,
        found.right, found.wrong, found.lost, found.stray
    )
}

/// At an even rate, whatever comes back; with the time each answer took from when its query was sent.
fn pace(options: &Options, mix: &mut Mix, sockets: &[UdpSocket]) -> Result<String, Box<dyn Error>> {
    // An id is used again after 65,536 queries; whoever is not answered by then is lost.
    const IDS: usize = 1 << 16;
    let begin = Instant::now();
    let slot = || Slot {
        message: [0; SIZE],
        length: 0,
        expect: Expect::Echo,
        sent: begin,
        is_waiting: false,
    };
    let mut slots: Vec<Slot> = (0..IDS).map(|_| slot()).collect();
    let mut batch = Batch::new(MOST);
    let mut meter = Meter::new(&options.processes);
    let mut counts = Counts::default();
    let mut started = None;
    let total = options.lead + options.measured;
    let step = Duration::from_secs(1).as_nanos() as u64 / options.rate;
    let mut sent = 0_u64;
    let mut measured_from = 0_u64;
    let mut latencies: Vec<u32> = Vec::new();
    let mut gaps = Gaps::new();
    let mut latest_send = Duration::ZERO;
    let (mut lost_before, mut spent_before) = (0, 0);
    loop {
        let now = Instant::now();
        let since = now - begin;
        if started.is_none() && since >= options.lead {
            started = Some(now);
            measured_from = sent;
            (lost_before, spent_before) = (counts.lost, meter.read());
            counts = Counts::default();
            gaps = Gaps::new();
            latest_send = Duration::ZERO;
        }
        let is_over = since >= total;
        if is_over {
            break;
        }
        // One at a time: a rate is not a row of bursts, unless we were late.
        let due = Duration::from_nanos(sent * step);
        if since >= due {
            latest_send = latest_send.max(since - due);
            let id = (sent % IDS as u64) as usize;
            let it = &mut slots[id];
            counts.lost += u64::from(it.is_waiting);
            let (length, expect) = mix.next(&mut it.message);
            it.message[..2].copy_from_slice(&(id as u16).to_be_bytes());
            (it.length, it.expect, it.sent, it.is_waiting) = (length, expect, now, true);
            let fd = batch::fd(&sockets[(sent % sockets.len() as u64) as usize]);
            match batch::send_all(fd, 1, |_| &slots[id].message[..length]) {
                Ok(()) | Err(Errno::ECONNREFUSED) => {}
                Err(error) => return Err(error.into()),
            }
            sent += 1;
        }
        for socket in sockets {
            let received = batch.receive(batch::fd(socket), false).unwrap_or(0);
            let now = Instant::now();
            for place in 0..received {
                take_paced(
                    batch.message(place),
                    now,
                    &mut slots,
                    &mut counts,
                    &mut latencies,
                );
                gaps.note(now);
            }
        }
        // What was asked before it was measured is not measured.
        if started.is_none() {
            latencies.clear();
        }
    }
    let began = started.unwrap_or(begin);
    let seconds = began.elapsed().as_secs_f64();
    let spent = meter.read() - spent_before;
    // The last ones have time to arrive.
    let end = Instant::now();
    while end.elapsed() < PATIENCE && slots.iter().any(|it| it.is_waiting) {
        wait(sockets)?;
        for socket in sockets {
            let received = batch.receive(batch::fd(socket), false).unwrap_or(0);
            let now = Instant::now();
            for place in 0..received {
                take_paced(
                    batch.message(place),
                    now,
                    &mut slots,
                    &mut counts,
                    &mut latencies,
                );
            }
        }
    }
    counts.lost += slots.iter().filter(|it| it.is_waiting).count() as u64 + lost_before;
    latencies.sort_unstable();
    let at = |share: f64| quantile(&latencies, share);
    let mut line = summary(&counts, seconds, spent);
    write!(
        line,
        r#","sent":{},"p50_nanoseconds":{},"p90_nanoseconds":{},"p99_nanoseconds":{},"p999_nanoseconds":{},"slowest_nanoseconds":{},"longest_gap_nanoseconds":{},"latest_send_nanoseconds":{}"#,
        sent - measured_from,
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0),
        gaps.longest.as_nanos(),
        latest_send.as_nanos(),
    )?;
    Ok(line)
}

fn take_paced(
    reply: &[u8],
    now: Instant,
    slots: &mut [Slot],
    counts: &mut Counts,
    latencies: &mut Vec<u32>,
) {
    let [high, low, ..] = *reply else {
        counts.stray += 1;
        return;
    };
    let it = &mut slots[usize::from(u16::from_be_bytes([high, low]))];
    if !it.is_waiting {
        counts.stray += 1;
        return;
    }
    it.is_waiting = false;
    if is_right(reply, &it.message[..it.length], it.expect) {
        counts.right += 1;
    } else {
        counts.wrong += 1;
    }
    latencies.push(u32::try_from((now - it.sent).as_nanos()).unwrap_or(u32::MAX));
}

/// The longest time without an answer.
struct Gaps {
    last: Option<Instant>,
    longest: Duration,
}

impl Gaps {
    fn new() -> Self {
        Self {
            last: None,
            longest: Duration::ZERO,
        }
    }

    fn note(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now - last);
        }
    }
}
