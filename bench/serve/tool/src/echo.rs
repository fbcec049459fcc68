//! The bar: a program that does nothing but send back what it receives, in one thread.

use std::error::Error;
use std::net::SocketAddrV4;

use nix::errno::Errno;

use crate::batch::{Batch, fd};

/// Sends everything back, in batches of at most `most`; until killed.
pub fn run(address: SocketAddrV4, most: usize) -> Result<(), Box<dyn Error>> {
    // The buffers of a plain socket: what a server gets that sets nothing.
    let socket = std::net::UdpSocket::bind(address)?;
    let fd = fd(&socket);
    let mut batch = Batch::new(most);
    loop {
        match batch.receive(fd, true) {
            Ok(count) => batch.send_back(fd, count)?,
            Err(Errno::EINTR | Errno::ECONNREFUSED) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
