//! The stub upstream: a small answer to everything, and how many ports it was asked from.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::thread;

use nix::errno::Errno;

use crate::batch::{self, Batch, MOST, SIZE};
use crate::tls::framed;
use crate::wire::{self, SIZE_OF_HEAD};

/// Who asks for this name is told what was counted, and the count begins anew.
pub const COUNTS: &str = "counts.of.the.stub.invalid";

/// Answers until killed.
pub fn run(address: SocketAddrV4) -> Result<(), Box<dyn Error>> {
    let socket = batch::socket(address)?;
    let fd = batch::fd(&socket);
    let streams = TcpListener::bind(address)?;
    thread::spawn(move || take_streams(&streams));
    let mut batch = Batch::new(MOST);
    let mut counts = Counts::new();
    let asked_for_counts = wire::query(COUNTS, wire::TXT);
    loop {
        let count = match batch.receive(fd, true) {
            Ok(count) => count,
            Err(Errno::EINTR | Errno::ECONNREFUSED) => continue,
            Err(error) => return Err(error.into()),
        };
        for place in 0..count {
            let port = batch.port(place);
            let (buffer, length) = batch.message_mut(place);
            if buffer[SIZE_OF_HEAD..*length] == asked_for_counts[SIZE_OF_HEAD..] {
                let text = counts.take();
                wire::answer_with_text(buffer, length, &text);
            } else {
                counts.note(port);
                wire::answer(buffer, length);
            }
        }
        // Who asked may be gone meanwhile.
        if let Err(error) = batch.send_back(fd, count)
            && error != Errno::ECONNREFUSED
        {
            return Err(error.into());
        }
    }
}

/// Over TCP too, where some servers ask what they were asked over TLS; not counted.
fn take_streams(streams: &TcpListener) {
    for stream in streams.incoming().flatten() {
        // Whoever is there no more needs no answer.
        thread::spawn(move || answer_stream(stream).is_ok());
    }
}

fn answer_stream(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; SIZE];
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        let mut length = usize::from(u16::from_be_bytes(head));
        let query = buffer.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
        stream.read_exact(query)?;
        wire::answer(&mut buffer, &mut length);
        stream.write_all(&framed(&buffer[..length]))?;
    }
}

/// Queries, and from how many ports they came.
struct Counts {
    queries: u64,
    ports: Vec<bool>,
}

impl Counts {
    fn new() -> Self {
        Self {
            queries: 0,
            ports: vec![false; 1 << 16],
        }
    }

    fn note(&mut self, port: u16) {
        self.queries += 1;
        self.ports[usize::from(port)] = true;
    }

    /// `queries ports`, and nothing is counted any more.
    fn take(&mut self) -> String {
        let ports = self.ports.iter().filter(|&&it| it).count();
        let text = format!("{} {ports}", self.queries);
        *self = Self::new();
        text
    }
}
