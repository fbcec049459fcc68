//! Sockets, beyond what the standard library and the runtime know: many datagrams at once
//! ([`batch`]), and what a socket is watched for.
//!
//! Nothing here knows what a datagram means. Whatever the kernel has to be told by pointers is told
//! here and nowhere else.

#![expect(
    unsafe_code,
    reason = "the runtime must be promised who closes a descriptor"
)]

pub mod batch;

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the runtime watch `socket`, or whatever else owns a descriptor, for `interest` alone: its own
/// sockets are watched for all there is, and so are woken by every datagram that has left.
///
/// # Errors
/// What the kernel said.
pub fn watch<S>(socket: S, interest: Interest) -> io::Result<AsyncFd<S>>
where
    S: AsRawFd + Into<OwnedFd>,
{
    // SAFETY: the socket owns its descriptor and lives in what is returned, so that nobody closes it
    // while it is watched.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

/// A socket that others have too, while it is watched.
#[derive(Debug)]
pub struct Shared(Arc<UdpSocket>);

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// [`watch`] for a socket that others send by meanwhile.
///
/// # Errors
/// What the kernel said.
pub fn watch_shared(socket: Arc<UdpSocket>, interest: Interest) -> io::Result<AsyncFd<Shared>> {
    // SAFETY: what is returned holds the socket, which closes its descriptor when nobody does, and gives
    // it to nobody; so nobody closes it while it is watched.
    Ok(unsafe { AsyncFd::register_with_interest(Shared(socket), interest) }?)
}
