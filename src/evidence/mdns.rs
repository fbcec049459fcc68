//! What a device calls itself in multicast DNS: a hint for people who give names, and nothing else.
//!
//! The device is asked for the name of its own address, by a datagram to it alone (RFC 6762 section
//! 5.5), so that nobody else hears of it; it answers to the port the question came from (section
//! 6.7). Whoever says nothing within two seconds has no name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::device::HostName;
use crate::message::rtype;
use crate::message::wire::{HEADER, Record, WireError, read_name, read_u16, skip_name};
use crate::name::NameBuf;

/// Where every responder listens.
const PORT: u16 = 5353;
/// How often a device is asked: the first datagram may wake it.
const ATTEMPTS: usize = 2;
/// How long it is given each time.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many records of an answer are looked at.
const MAX_RECORDS: u16 = 16;
/// The class of the Internet; the bit above says that others are to be forgotten (RFC 6762 section
/// 10.2).
const IN: u16 = 1;
const CACHE_FLUSH: u16 = 0x8000;

/// What the device at `address`, on the link of `interface`, calls itself.
pub async fn ask(address: IpAddr, interface: u32) -> Option<HostName> {
    let to = match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, PORT, 0, interface).into()
        }
        _ => SocketAddr::new(address, PORT),
    };
    ask_at(to, address).await
}

/// The same of a responder that listens at `to`.
async fn ask_at(to: SocketAddr, address: IpAddr) -> Option<HostName> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    // From now on only its datagrams come in.
    socket.connect(to).await.ok()?;
    let owner = NameBuf::reverse_of(address);
    let id = rand::random();
    let question = question(id, &owner);
    let mut room = [0; 1500];
    for _ in 0..ATTEMPTS {
        socket.send(&question).await.ok()?;
        let answer = async {
            loop {
                // An error says that nobody listens there.
                let length = socket.recv(&mut room).await.ok()?;
                if let Ok(name) = read(&room[..length], id, &owner) {
                    return name;
                }
            }
        };
        if let Ok(name) = tokio::time::timeout(PATIENCE, answer).await {
            return name;
        }
    }
    None
}

/// A question for the PTR record of `owner`.
fn question(id: u16, owner: &NameBuf) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(owner.as_ref().as_wire());
    out.extend(rtype::PTR.to_be_bytes());
    out.extend(IN.to_be_bytes());
    out
}

/// The name in the answer to such a question; none if it holds none that a host can have.
///
/// # Errors
/// When it is no such answer.
fn read(message: &[u8], id: u16, owner: &NameBuf) -> Result<Option<HostName>, WireError> {
    let is_answer = read_u16(message, 2)? & 0x8000 != 0;
    if read_u16(message, 0)? != id || !is_answer {
        return Err(WireError { at: 0 });
    }
    let mut at = HEADER;
    for _ in 0..read_u16(message, 4)?.min(MAX_RECORDS) {
        at = skip_name(message, at)? + 4;
    }
    for _ in 0..read_u16(message, 6)?.min(MAX_RECORDS) {
        let record = Record::read(message, at)?;
        at = record.end;
        let is_asked = record.rtype == rtype::PTR && record.class & !CACHE_FLUSH == IN;
        if is_asked && record.owner(message)? == *owner {
            let (target, _) = read_name(message, record.data)?;
            return Ok(host_name(&target));
        }
    }
    Ok(None)
}

/// The host name in a name such as `mias-ipad.local` or `mias-ipad.lan`.
pub fn host_name(name: &NameBuf) -> Option<HostName> {
    let label = name.as_ref().labels().next()?;
    HostName::new(std::str::from_utf8(label).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to `question` with one record.
    fn answer(question: &[u8], rtype: u16, target: &[u8]) -> Vec<u8> {
        let mut out = question.to_vec();
        out[2] = 0x84;
        out[7] = 1;
        // The owner is the question's name.
        out.extend([0xc0, HEADER as u8]);
        out.extend(rtype.to_be_bytes());
        out.extend((IN | CACHE_FLUSH).to_be_bytes());
        out.extend([0, 0, 0, 10]);
        out.extend((target.len() as u16).to_be_bytes());
        out.extend_from_slice(target);
        out
    }

    #[test]
    fn only_a_host_name_under_the_own_address_is_taken() {
        let owner = NameBuf::reverse_of("192.0.2.7".parse().unwrap());
        let question = question(7, &owner);
        let local = b"\x09Mias-iPad\x05local\0";
        let name = |message: &[u8]| {
            let name = read(message, 7, &owner).ok()?;
            Some(name.map(|name| name.to_string()))
        };
        let good = answer(&question, rtype::PTR, local);
        assert_eq!(name(&good), Some(Some("mias-ipad".to_owned())));
        // What it says of somebody else, and words that are none.
        let other = NameBuf::reverse_of("192.0.2.8".parse().unwrap());
        assert_eq!(read(&good, 7, &other), Ok(None));
        for said in [&b"\x04wpad\x05local\0"[..], b"\x03a\x1bb\x05local\0", b"\0"] {
            assert_eq!(name(&answer(&question, rtype::PTR, said)), Some(None));
        }
        assert_eq!(name(&answer(&question, rtype::A, local)), Some(None));
        // Not an answer to this question, or none at all.
        assert_eq!(read(&good, 8, &owner), Err(WireError { at: 0 }));
        assert_eq!(name(&question), None);
        for length in 0..good.len() {
            assert_eq!(name(&good[..length]), None, "{length}");
        }
    }

    #[tokio::test]
    async fn a_responder_is_asked_for_the_name_of_its_address() {
        let responder = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = responder.local_addr().unwrap();
        let responding = tokio::spawn(async move {
            let mut room = [0; 512];
            let (length, from) = responder.recv_from(&mut room).await.unwrap();
            // Junk first.
            responder.send_to(b"junk", from).await.unwrap();
            let said = answer(&room[..length], rtype::PTR, b"\x02tv\x05local\0");
            responder.send_to(&said, from).await.unwrap();
        });
        let name = ask_at(to, to.ip()).await;
        assert_eq!(name.as_ref().map(HostName::as_str), Some("tv"));
        responding.await.unwrap();
        // Nobody listens there any more: that is known at once.
        assert_eq!(ask_at(to, to.ip()).await, None);
    }
}
