//! What this test program does inside a namespace, started there by another of its kind.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hedgerow::mac::Mac;
use socket2::{Domain, Socket, Type};

use crate::street::wait_for;

/// The variable that holds the task: `ask FROM TO MILLISECONDS`, `claim FROM TO MAC`, `flood FROM TO
/// RATE SECONDS`, `crowd NET COUNT TO`, `hold NET COUNT TO`, `tcp FROM TO`, `lease INTERFACE HOST-NAME` or
/// `respond PORT NAME`.
pub const TASK: &str = "HEDGEROW_IDENTITY_TASK";
/// What the line with the outcome begins with.
const MARK: &str = "outcome: ";

/// The outcome in the output of such a program.
pub fn said(output: &str) -> &str {
    let outcome = output.split(MARK).nth(1).expect("an outcome");
    outcome.lines().next().unwrap_or_default()
}

/// Without a task, as in an ordinary run, there is nothing to do.
#[test]
fn does_its_task() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let words: Vec<&str> = task.split(' ').collect();
    let outcome = match words[..] {
        ["ask", from, to, millis] => {
            let socket = socket(from, to);
            let patience = Duration::from_millis(millis.parse().unwrap());
            ask(&socket, &question(1), patience).map_or_else(String::new, |it| it.to_string())
        }
        ["claim", from, to, mac] => {
            let asked = claiming(mac.parse().unwrap());
            let said = ask(&socket(from, to), &asked, Duration::from_secs(10));
            said.map_or_else(String::new, |it| it.to_string())
        }
        ["flood", from, to, rate, seconds] => {
            let seconds = Duration::from_secs(seconds.parse().unwrap());
            flood(&socket(from, to), rate.parse().unwrap(), seconds)
        }
        ["crowd", net, count, to] => crowd(net, count.parse().unwrap(), to),
        ["hold", net, count, to] => hold(net, count.parse().unwrap(), to),
        ["tcp", from, to] => {
            let said = ask_by_tcp(&mut connection(from, to));
            said.map_or_else(String::new, |it| it.to_string())
        }
        ["respond", port, name] => respond(port, name),
        ["lease", interface, host_name] => {
            crate::dhcp::take_lease(interface, host_name).to_string()
        }
        _ => panic!("no task: {task}"),
    };
    println!("\n{MARK}{outcome}");
}

/// An address and port, in IPv6 perhaps with the name of an interface: `[fe80::1%eth0]:53`.
fn address(text: &str) -> SocketAddr {
    let Some((before, rest)) = text.split_once('%') else {
        return text.parse().unwrap();
    };
    let (interface, after) = rest.split_once(']').unwrap();
    let number = nix::net::if_::if_nametoindex(interface).unwrap();
    let plain: SocketAddrV6 = format!("{before}]{after}").parse().unwrap();
    SocketAddrV6::new(*plain.ip(), plain.port(), 0, number).into()
}

/// A socket of an address that may be a moment old: kernels take their time with those of IPv6.
fn socket(from: &str, to: &str) -> UdpSocket {
    wait_for("the address", || {
        let socket = UdpSocket::bind(address(from)).ok()?;
        socket.connect(address(to)).ok()?;
        Some(socket)
    })
}

/// `who.example A`, with RD.
fn question(id: u16) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    out.extend(b"\x03who\x07example\x00\x00\x01\x00\x01");
    out
}

/// The same with a MAC address as dnsmasq's `add-mac` writes it.
fn claiming(mac: Mac) -> Vec<u8> {
    let mut out = question(1);
    // One additional record: OPT with option 65001.
    out[11] = 1;
    out.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0a\xfd\xe9\x00\x06");
    out.extend(mac.octets());
    out
}

/// Where the address stands in an answer: behind head, question and the rest of the one record.
const ADDRESS: std::ops::Range<usize> = 41..45;

/// The address in an answer, with its id; none where it says only to come by TCP.
fn read(octets: &[u8]) -> (u16, Option<Ipv4Addr>) {
    let id = octets.first_chunk().unwrap();
    let is_whole = octets[2] & 0x02 == 0;
    let address = is_whole.then(|| <[u8; 4]>::try_from(&octets[ADDRESS]).unwrap().into());
    (u16::from_be_bytes(*id), address)
}

fn ask(socket: &UdpSocket, question: &[u8], patience: Duration) -> Option<Ipv4Addr> {
    socket.send(question).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    let mut room = [0; 512];
    match socket.recv(&mut room) {
        Ok(length) => read(&room[..length]).1,
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        // An ICMP message: nobody listens there, or nobody is there.
        Err(error) => {
            eprintln!("{error}");
            None
        }
    }
}

/// Asks at a steady rate. Gives how many were sent and answered, the longest time from a question to
/// its answer in microseconds, how many took longer than 10 ms, by how many microseconds this
/// program itself was late at most, and each answer with its number.
fn flood(socket: &UdpSocket, rate: u32, lasting: Duration) -> String {
    socket.set_nonblocking(true).unwrap();
    let begin = Instant::now();
    let pause = Duration::from_secs(1) / rate;
    let mut answers: BTreeMap<Ipv4Addr, u32> = BTreeMap::new();
    let mut open: BTreeMap<u16, Instant> = BTreeMap::new();
    let (mut sent, mut largest) = (0_u32, Duration::ZERO);
    let (mut late, mut delayed) = (0_u32, Duration::ZERO);
    let mut room = [0; 512];
    let patience = Duration::from_secs(2);
    while begin.elapsed() < lasting || !open.is_empty() {
        let due = pause * sent;
        let now = begin.elapsed();
        if due <= now && due < lasting {
            // What this program itself was kept from is not the daemon's.
            delayed = delayed.max(now - due);
            let id = sent as u16;
            if socket.send(&question(id)).is_ok() {
                open.insert(id, Instant::now());
            }
            sent += 1;
        }
        while let Ok(length) = socket.recv(&mut room) {
            let (id, address) = read(&room[..length]);
            if let Some(address) = address {
                *answers.entry(address).or_default() += 1;
            }
            if let Some(asked) = open.remove(&id) {
                let took = asked.elapsed();
                late += u32::from(took > Duration::from_millis(10));
                largest = largest.max(took);
            }
        }
        open.retain(|_, asked| asked.elapsed() < patience);
        std::thread::sleep(Duration::from_micros(20));
    }
    let count: u32 = answers.values().sum();
    let answers: Vec<String> = answers.iter().map(|(it, n)| format!("{it}={n}")).collect();
    format!(
        "{sent} {count} {} {late} {} {}",
        largest.as_micros(),
        delayed.as_micros(),
        answers.join(" ")
    )
}

/// One question from each of the addresses `net` followed by 1 to `count`.
fn crowd(net: &str, count: u16, to: &str) -> String {
    let from = |number: u16| format!("[{net}{number:x}]:0");
    let sockets: Vec<_> = (1..=count).map(|it| socket(&from(it), to)).collect();
    for socket in &sockets {
        socket.send(&question(1)).unwrap();
    }
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for socket in &sockets {
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut room = [0; 512];
        let length = socket.recv(&mut room).unwrap();
        let answer = read(&room[..length]).1;
        let answer = answer.map_or_else(|| "tcp".to_owned(), |it| it.to_string());
        *answers.entry(answer).or_default() += 1;
    }
    let answers: Vec<String> = answers.iter().map(|(it, n)| format!("{it}={n}")).collect();
    answers.join(" ")
}

/// A connection from an address that may be a moment old.
fn connection(from: &str, to: &str) -> TcpStream {
    wait_for("the address", || {
        let (from, to) = (address(from), address(to));
        let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).ok()?;
        socket.bind(&from.into()).ok()?;
        socket.connect(&to.into()).ok()?;
        Some(socket.into())
    })
}

/// What comes of a question over TCP; nothing where the connection ends instead.
fn ask_by_tcp(stream: &mut TcpStream) -> Option<Ipv4Addr> {
    let question = question(1);
    let length = (question.len() as u16).to_be_bytes();
    stream
        .write_all(&[&length[..], &question].concat())
        .and_then(|()| stream.set_read_timeout(Some(Duration::from_secs(10))))
        .ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    read(&message).1
}

/// Asks over TCP from each of the addresses `net` followed by 1 to `count`, says how many were answered,
/// and keeps all those connections until its input ends.
fn hold(net: &str, count: u16, to: &str) -> String {
    let from = |number: u16| format!("[{net}{number:x}]:0");
    let mut held: Vec<_> = (1..=count).map(|it| connection(&from(it), to)).collect();
    let answered = held.iter_mut().filter_map(ask_by_tcp).count();
    println!("\n{MARK}{answered}");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    answered.to_string()
}

/// Says to whoever asks at `port` that all addresses are called `name`, until it is killed.
fn respond(port: &str, name: &str) -> String {
    let socket = UdpSocket::bind(format!("[::]:{port}")).unwrap();
    let labels = name
        .split('.')
        .map(|it| [&[it.len() as u8], it.as_bytes()].concat());
    let target = [labels.collect::<Vec<_>>().concat(), vec![0]].concat();
    let mut room = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut room).unwrap();
        // The question: a name, whose end is the first octet of zero, type and class.
        let end = 12 + room[12..length].iter().position(|it| *it == 0).unwrap() + 5;
        let mut out = room[..end].to_vec();
        // An answer, one question, one record of PTR and IN, ten seconds.
        out[2..12].copy_from_slice(&[0x84, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        out.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 10, 0, target.len() as u8]);
        out.extend_from_slice(&target);
        socket.send_to(&out, from).unwrap();
    }
}
