//! Ports for daemons and for the programs around them.

#![allow(
    unreachable_pub,
    reason = "test binaries and the library's own tests share this"
)]

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Mutex;

/// A port nobody has at 127.0.0.1 and ::1 over UDP and TCP, nor gets from here while this process
/// lives, in whichever process: from above the range out of which the system gives ports to clients,
/// of which tests have thousands.
pub fn free_port() -> u16 {
    /// What says that a port is taken although nobody listens there yet.
    static CLAIMS: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());
    for _ in 0..1_000 {
        let port = rand::random_range(61_000..=u16::MAX);
        let name = format!("hedgerow-test-port-{port}");
        let name = SocketAddr::from_abstract_name(name).unwrap();
        let Ok(claim) = UnixDatagram::bind_addr(&name) else {
            continue;
        };
        let (v4, v6) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        if UdpSocket::bind((v4, port)).is_ok()
            && TcpListener::bind((v4, port)).is_ok()
            && UdpSocket::bind((v6, port)).is_ok()
            && TcpListener::bind((v6, port)).is_ok()
        {
            CLAIMS.lock().unwrap().push(claim);
            return port;
        }
    }
    panic!("no free port");
}
