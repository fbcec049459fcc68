//! As much of a DHCP client as takes a lease (RFC 2131).

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use crate::street::wait_for;

/// Types of messages (RFC 2132 section 9.6).
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;

/// Where the address stands that is given, the client's hardware address, and the options.
const YIADDR: usize = 16;
const CHADDR: usize = 28;
const OPTIONS: usize = 240;

/// Takes a lease on `interface` for a machine that calls itself `host_name`.
pub fn take_lease(interface: &str, host_name: &str) -> Ipv4Addr {
    let mac = std::fs::read_to_string(format!("/sys/class/net/{interface}/address")).unwrap();
    let octets = mac.trim().split(':');
    let mac: Vec<u8> = octets
        .map(|it| u8::from_str_radix(it, 16).unwrap())
        .collect();
    let socket = UdpSocket::bind("0.0.0.0:68").unwrap();
    let own = socket2::SockRef::from(&socket);
    own.bind_device(Some(interface.as_bytes())).unwrap();
    socket.set_broadcast(true).unwrap();
    let patience = Duration::from_millis(500);
    socket.set_read_timeout(Some(patience)).unwrap();
    let exchange = |kind, expected, more: &[u8]| {
        let host_name = [&[12, host_name.len() as u8], host_name.as_bytes()].concat();
        let message = message(kind, &mac, &[&host_name, more].concat());
        wait_for("the DHCP server", || {
            socket.send_to(&message, "255.255.255.255:67").unwrap();
            let mut room = [0; 1500];
            let length = socket.recv(&mut room).ok()?;
            let reply = room[..length].to_vec();
            let is_ours = reply.get(CHADDR..CHADDR + 6) == Some(&mac[..]);
            (is_ours && option(&reply, 53) == Some(&[expected])).then_some(reply)
        })
    };
    let offer = exchange(DISCOVER, OFFER, &[]);
    let server = option(&offer, 54).unwrap();
    let wanted = &offer[YIADDR..YIADDR + 4];
    let choice = [&[50, 4], wanted, &[54, 4], server].concat();
    let given = exchange(REQUEST, ACK, &choice);
    Ipv4Addr::from(*given[YIADDR..].first_chunk::<4>().unwrap())
}

/// A message of a client without an address, who is to be answered by broadcast.
fn message(kind: u8, mac: &[u8], options: &[u8]) -> Vec<u8> {
    let mut out = vec![0; OPTIONS];
    out[..4].copy_from_slice(&[1, 1, 6, 0]);
    out[4..8].copy_from_slice(b"hedg");
    out[10] = 0x80;
    out[CHADDR..CHADDR + mac.len()].copy_from_slice(mac);
    out[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    out.extend([53, 1, kind]);
    out.extend_from_slice(options);
    out.push(255);
    out
}

/// The value of an option.
fn option(message: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = message.get(OPTIONS..)?;
    loop {
        match *rest {
            [0, ref next @ ..] => rest = next,
            [255, ..] | [] | [_] => return None,
            [kind, length, ref next @ ..] => {
                let (value, next) = next.split_at_checked(length.into())?;
                if kind == wanted {
                    return Some(value);
                }
                rest = next;
            }
        }
    }
}
