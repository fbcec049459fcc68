//! Datagrams in batches: one system call for up to [`MOST`] of them.
//!
//! The calls themselves and not nix's wrappers, which do more for each datagram: the echo is the bar
//! for everybody, so nothing may make it dearer.

#![allow(unsafe_code, reason = "two system calls that nothing safe offers")]

use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

/// Datagrams in one system call.
pub const MOST: usize = 32;
/// Octets a datagram may have here.
pub const SIZE: usize = 1232;

const SIZE_OF_ADDRESS: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;

/// What one call receives, and where it came from.
pub struct Batch {
    buffers: Vec<[u8; SIZE]>,
    lengths: Vec<usize>,
    addresses: Vec<libc::sockaddr_in>,
}

impl Batch {
    /// Room for `most` datagrams, at most [`MOST`].
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, MOST);
        let nobody = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: 0 },
            sin_zero: [0; 8],
        };
        Self {
            buffers: vec![[0; SIZE]; most],
            lengths: vec![0; most],
            addresses: vec![nobody; most],
        }
    }

    /// Receives what is there, and tells how many. `may_wait` waits for the first one.
    pub fn receive(&mut self, fd: RawFd, may_wait: bool) -> nix::Result<usize> {
        let most = self.buffers.len();
        let mut iovs = [EMPTY; MOST];
        let mut headers = [HEADER; MOST];
        for place in 0..most {
            iovs[place].iov_base = self.buffers[place].as_mut_ptr().cast();
            iovs[place].iov_len = SIZE;
            let header = &mut headers[place].msg_hdr;
            header.msg_iov = &raw mut iovs[place];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut self.addresses[place]).cast();
            header.msg_namelen = SIZE_OF_ADDRESS;
        }
        let wait = if may_wait { 0 } else { libc::MSG_DONTWAIT };
        // SAFETY: each of the `most` headers names a buffer of SIZE octets, an address of
        // SIZE_OF_ADDRESS octets and one iovec, all of which outlive the call.
        let received = unsafe {
            libc::recvmmsg(
                fd,
                headers.as_mut_ptr(),
                most as libc::c_uint,
                libc::MSG_WAITFORONE | wait,
                std::ptr::null_mut(),
            )
        };
        let count = Errno::result(received)? as usize;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..count]) {
            *length = (header.msg_len as usize).min(SIZE);
        }
        Ok(count)
    }

    /// One of those that were received.
    pub fn message(&self, place: usize) -> &[u8] {
        &self.buffers[place][..self.lengths[place]]
    }

    /// The whole buffer of one that was received, and its length, to make the answer in.
    pub fn message_mut(&mut self, place: usize) -> (&mut [u8; SIZE], &mut usize) {
        (&mut self.buffers[place], &mut self.lengths[place])
    }

    /// The port it came from.
    pub fn port(&self, place: usize) -> u16 {
        u16::from_be(self.addresses[place].sin_port)
    }

    /// Sends the first `count` back to where they came from.
    pub fn send_back(&mut self, fd: RawFd, count: usize) -> nix::Result<()> {
        send(fd, count, |place| {
            (self.message(place), Some(&self.addresses[place]))
        })
    }
}

/// Sends `count` datagrams, at most [`MOST`], over a connected socket.
pub fn send_all<'a>(
    fd: RawFd,
    count: usize,
    message: impl Fn(usize) -> &'a [u8],
) -> nix::Result<()> {
    send(fd, count, |place| (message(place), None))
}

fn send<'a>(
    fd: RawFd,
    count: usize,
    message: impl Fn(usize) -> (&'a [u8], Option<&'a libc::sockaddr_in>),
) -> nix::Result<()> {
    let mut iovs = [EMPTY; MOST];
    let mut headers = [HEADER; MOST];
    let count = count.min(MOST);
    for place in 0..count {
        let (octets, address) = message(place);
        iovs[place].iov_base = octets.as_ptr().cast_mut().cast();
        iovs[place].iov_len = octets.len();
        let header = &mut headers[place].msg_hdr;
        header.msg_iov = &raw mut iovs[place];
        header.msg_iovlen = 1;
        if let Some(address) = address {
            header.msg_name = std::ptr::from_ref(address).cast_mut().cast();
            header.msg_namelen = SIZE_OF_ADDRESS;
        }
    }
    let mut sent = 0;
    while sent < count {
        let rest = &mut headers[sent..count];
        // SAFETY: each header names octets, perhaps an address, and one iovec; all of them outlive
        // the call, which only reads what they point to.
        let taken = unsafe { libc::sendmmsg(fd, rest.as_mut_ptr(), rest.len() as libc::c_uint, 0) };
        match Errno::result(taken) {
            Ok(taken) => sent += taken as usize,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

const EMPTY: libc::iovec = libc::iovec {
    iov_base: std::ptr::null_mut(),
    iov_len: 0,
};

// SAFETY: nothing but numbers and pointers, for which zero is a value.
const HEADER: libc::mmsghdr = unsafe { std::mem::zeroed() };

/// A socket with room for what arrives while nobody looks.
pub fn socket(address: SocketAddrV4) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    setsockopt(&socket, sockopt::RcvBuf, &(4 << 20))?;
    setsockopt(&socket, sockopt::SndBuf, &(4 << 20))?;
    Ok(socket)
}

/// The number by which the calls above know a socket.
pub fn fd(socket: &UdpSocket) -> RawFd {
    socket.as_raw_fd()
}
