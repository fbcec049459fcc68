//! The stub upstream: a small answer to everything, and how many ports it was asked from.

use std::error::Error;
use std::net::SocketAddrV4;

use nix::errno::Errno;

use crate::batch::{self, Batch, MOST};
use crate::wire::{self, SIZE_OF_HEAD};

/// Who asks for this name is told what was counted, and the count begins anew.
pub const COUNTS: &str = "counts.of.the.stub.invalid";

/// Answers until killed.
pub fn run(address: SocketAddrV4) -> Result<(), Box<dyn Error>> {
    let socket = batch::socket(address)?;
    let fd = batch::fd(&socket);
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
