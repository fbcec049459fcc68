//! An answer that leaves from a link-local address of ours to a client whose own address is not one.
//!
//! A link-local address means something on one link only (RFC 4007), and the kernel refuses to send
//! from it (EINVAL) unless it is told which: by the client's address if that is link-local too, and
//! otherwise by the number of the interface beside our address (RFC 3542 section 6.2). That number is
//! what is missing from the datagrams of `quinn-udp`.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{MsgHdr, SockAddr, SockRef};
use tokio::net::UdpSocket;

/// The level and the type of `struct in6_pktinfo` (`linux/in6.h`).
const IPPROTO_IPV6: i32 = 41;
const IPV6_PKTINFO: i32 = 50;
/// Octets of `struct in6_pktinfo`: an address and the number of an interface.
const PKTINFO: usize = 20;
/// Octets of `struct cmsghdr`: a length as wide as a pointer, level and type.
const CMSGHDR: usize = size_of::<usize>() + 8;
/// Both, up to the next multiple of the width of a pointer.
const CONTROL: usize = (CMSGHDR + PKTINFO).next_multiple_of(size_of::<usize>());

/// Our address that an answer has to leave from, where the kernel has to be told the interface.
pub(super) fn needed(ours: Option<IpAddr>, client: SocketAddr) -> Option<Ipv6Addr> {
    match (ours, client.ip()) {
        (Some(IpAddr::V6(ours)), IpAddr::V6(client))
            if ours.is_unicast_link_local() && !client.is_unicast_link_local() =>
        {
            Some(ours)
        }
        _ => None,
    }
}

/// Sends `answer` to `client` from our address on the link of `interface`.
pub(super) fn send(
    socket: &UdpSocket,
    answer: &[u8],
    client: SocketAddr,
    ours: Ipv6Addr,
    interface: u32,
) -> io::Result<usize> {
    let control = control(ours, interface);
    let (client, answer) = (SockAddr::from(client), [IoSlice::new(answer)]);
    let message = MsgHdr::new()
        .with_addr(&client)
        .with_buffers(&answer)
        .with_control(&control);
    SockRef::from(socket).sendmsg(&message, 0)
}

/// The control message that says from where to send.
fn control(ours: Ipv6Addr, interface: u32) -> [u8; CONTROL] {
    let mut out = [0; CONTROL];
    let parts: [&[u8]; 5] = [
        &(CMSGHDR + PKTINFO).to_ne_bytes(),
        &IPPROTO_IPV6.to_ne_bytes(),
        &IPV6_PKTINFO.to_ne_bytes(),
        &ours.octets(),
        &interface.to_ne_bytes(),
    ];
    let octets = parts.into_iter().flatten();
    for (place, octet) in out.iter_mut().zip(octets) {
        *place = *octet;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_from_a_link_local_address_to_another_scope_an_interface_is_needed() {
        let local: Ipv6Addr = "fe80::1".parse().unwrap();
        for (ours, client, expected) in [
            (Some("fe80::1"), "[2001:db8::7]:5353", Some(local)),
            (Some("fe80::1"), "[fd77::7]:5353", Some(local)),
            (Some("fe80::1"), "[fe80::7]:5353", None),
            (Some("2001:db8::1"), "[2001:db8::7]:5353", None),
            (Some("192.0.2.1"), "[::ffff:192.0.2.7]:5353", None),
            (None, "[2001:db8::7]:5353", None),
        ] {
            let ours = ours.map(|it| it.parse().unwrap());
            assert_eq!(needed(ours, client.parse().unwrap()), expected, "{client}");
        }
    }
}
