//! Many datagrams with one call of the kernel, in and out, each with the address it was sent to and
//! the interface it came in on.
//!
//! An [`Inbox`] takes up to [`BATCH`] of what waits, an [`Outbox`] sends up to as many answers, each
//! to its own client and from the address that client asked. Both own all the memory the kernel reads
//! and writes, made once: nothing is allocated and nothing prepared that is not used.
//!
//! Addresses and control messages are read and written as octets, in the layout of `sockaddr_in`,
//! `sockaddr_in6` (`linux/in6.h`) and `cmsghdr`; only the calls themselves are not safe.

#![expect(
    unsafe_code,
    reason = "the kernel is told where buffers lie: `recvmmsg`, `sendmmsg`, `sendmsg`"
)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use nix::libc;

/// Datagrams taken or sent by one call.
pub const BATCH: usize = 32;
/// The largest query we read, in octets. Ordinary ones have some 60; a padded one 128.
pub const MAX_QUERY: usize = 2048;
/// What an answer has room for before its buffer grows, in octets.
const USUAL_ANSWER: usize = 512;

/// Where a datagram came from and where its answer must go.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    /// Who asked.
    pub client: SocketAddr,
    /// Our address that it asked; the answer leaves from it (RFC 1035 section 7.3, RFC 2181
    /// section 4), since a client drops what comes from another.
    pub ours: Option<IpAddr>,
    /// The kernel's number of the interface it came in on; 0 if unknown.
    pub interface: u32,
}

/// Makes the kernel say where each datagram was sent to, and cut an answer into fragments that is
/// longer than an interface takes, whatever was heard of the path's size, which may be forged.
///
/// # Errors
/// What the kernel said.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    let set = |level, option, value: libc::c_int| {
        // SAFETY: the value is read before the call is over, in the length that is said.
        let failed = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                size_of_val(&value) as _,
            )
        };
        match failed {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    let mtu = match socket.local_addr()? {
        SocketAddr::V4(_) => {
            set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            set(
                libc::IPPROTO_IP,
                libc::IP_MTU_DISCOVER,
                libc::IP_PMTUDISC_OMIT,
            )
        }
        SocketAddr::V6(_) => {
            set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            let omit = libc::IPV6_PMTUDISC_OMIT;
            set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, omit)
        }
    };
    if let Err(error) = mtu {
        // A kernel from before 3.15: only what is longer than a packet of the path suffers.
        tracing::debug!(%error, "the kernel decides which answers are cut into fragments");
    }
    Ok(())
}

/// Datagrams that came in together.
pub struct Inbox {
    octets: Box<[[u8; MAX_QUERY]; BATCH]>,
    names: Box<[Name; BATCH]>,
    controls: Box<[Control; BATCH]>,
    /// Both point into the boxes above, for good.
    _slices: Box<[libc::iovec; BATCH]>,
    headers: Box<[libc::mmsghdr; BATCH]>,
    count: usize,
}

// SAFETY: the pointers in it lead to boxes it owns and nobody else knows.
unsafe impl Send for Inbox {}

impl Default for Inbox {
    fn default() -> Self {
        let mut octets = Box::new([[0; MAX_QUERY]; BATCH]);
        let mut names = Box::new([Name::EMPTY; BATCH]);
        let mut controls = Box::new([Control::EMPTY; BATCH]);
        let mut slices = Box::new([NO_SLICE; BATCH]);
        let mut headers = Box::new([no_header(); BATCH]);
        let parts = octets.iter_mut().zip(slices.iter_mut());
        let places = names.iter_mut().zip(controls.iter_mut());
        for (header, ((octets, slice), (name, control))) in
            headers.iter_mut().zip(parts.zip(places))
        {
            slice.iov_base = octets.as_mut_ptr().cast();
            slice.iov_len = octets.len();
            let header = &mut header.msg_hdr;
            header.msg_iov = slice;
            header.msg_iovlen = 1;
            header.msg_name = name.0.as_mut_ptr().cast();
            header.msg_control = control.0.as_mut_ptr().cast();
        }
        Self {
            octets,
            names,
            controls,
            _slices: slices,
            headers,
            // So that the first call fills in the lengths of all.
            count: BATCH,
        }
    }
}

impl Inbox {
    /// Takes what waits at `socket`, and never waits itself; what was in here before is gone.
    ///
    /// # Errors
    /// What the kernel said; [`io::ErrorKind::WouldBlock`] if there is nothing.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.take(socket, libc::MSG_DONTWAIT)
    }

    /// Waits until something comes to `socket`, and takes what is there then; comes back with nothing
    /// when the socket is shut down, and at once ever after. What was in here before is gone.
    ///
    /// # Errors
    /// What the kernel said; [`io::ErrorKind::WouldBlock`] from a socket that does not wait.
    pub fn wait(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.take(socket, libc::MSG_WAITFORONE)
    }

    fn take(&mut self, socket: &UdpSocket, flags: libc::c_int) -> io::Result<()> {
        // The kernel has written what it used over what there is room for.
        for header in &mut self.headers[..self.count] {
            header.msg_hdr.msg_namelen = NAME as _;
            header.msg_hdr.msg_controllen = CONTROL as _;
        }
        self.count = 0;
        // SAFETY: every header describes memory of this inbox, of the lengths it says, which nobody
        // else reads or writes meanwhile (`&mut self`).
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as _,
                flags as _,
                null_mut(),
            )
        };
        self.count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(())
    }

    /// Whether more may be waiting.
    pub const fn is_full(&self) -> bool {
        self.count == BATCH
    }

    /// What came in; without what came from nowhere.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], Envelope)> {
        (0..self.count).filter_map(|index| {
            let header = &self.headers[index];
            if header.msg_hdr.msg_namelen == 0 {
                return None;
            }
            let length = (header.msg_len as usize).min(MAX_QUERY);
            #[allow(
                clippy::unnecessary_cast,
                reason = "another number in another C library"
            )]
            let used = (header.msg_hdr.msg_controllen as usize).min(CONTROL);
            let (ours, interface) = self.controls[index].read(used);
            let envelope = Envelope {
                client: self.names[index].read()?,
                ours,
                interface,
            };
            Some((&self.octets[index][..length], envelope))
        })
    }
}

/// Answers that leave together.
pub struct Outbox {
    /// One more than are sent, so that there is always one to write into.
    answers: Box<[Vec<u8>; BATCH + 1]>,
    names: Box<[Name; BATCH]>,
    controls: Box<[Control; BATCH]>,
    /// Both point into the boxes above and to the answers, from [`Self::add`] on until they were
    /// sent.
    slices: Box<[libc::iovec; BATCH]>,
    headers: Box<[libc::mmsghdr; BATCH]>,
    count: usize,
    sent: usize,
}

// SAFETY: the pointers in it lead to boxes it owns and nobody else knows.
unsafe impl Send for Outbox {}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            answers: Box::new(std::array::from_fn(|_| Vec::with_capacity(USUAL_ANSWER))),
            names: Box::new([Name::EMPTY; BATCH]),
            controls: Box::new([Control::EMPTY; BATCH]),
            slices: Box::new([NO_SLICE; BATCH]),
            headers: Box::new([no_header(); BATCH]),
            count: 0,
            sent: 0,
        }
    }
}

impl Outbox {
    /// Where the next answer is to be written.
    pub fn room(&mut self) -> &mut Vec<u8> {
        &mut self.answers[self.count]
    }

    /// Takes what stands in [`Self::room`] along; no more than [`BATCH`] before they are sent.
    pub fn add(&mut self, envelope: Envelope) {
        let index = self.count;
        if index == BATCH {
            return;
        }
        let answer = &mut self.answers[index];
        self.slices[index] = libc::iovec {
            iov_base: answer.as_mut_ptr().cast(),
            iov_len: answer.len(),
        };
        self.headers[index].msg_hdr = header(
            envelope,
            &mut self.names[index],
            &mut self.controls[index],
            &mut self.slices[index],
        );
        self.count = index + 1;
    }

    /// Sends what is left, from `socket`, and never waits; it is empty afterwards.
    ///
    /// # Errors
    /// What the kernel said of the first that is left, which stays; [`io::ErrorKind::WouldBlock`] if
    /// the socket takes no more for now.
    pub fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        while self.sent < self.count {
            let left = &mut self.headers[self.sent..self.count];
            // SAFETY: every header left describes memory of this outbox, of the lengths it says:
            // since it was added, nothing of that was changed (`room` gives out the buffer behind
            // them), and the kernel writes nothing but the length sent into each header.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    left.as_mut_ptr(),
                    left.len() as _,
                    libc::MSG_DONTWAIT as _,
                )
            };
            self.sent += usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        }
        (self.count, self.sent) = (0, 0);
        Ok(())
    }

    /// Gives up the first that is left.
    pub fn skip(&mut self) {
        self.sent = (self.sent + 1).min(self.count);
    }
}

/// Sends a single answer from `socket`, and never waits.
///
/// # Errors
/// What the kernel said; [`io::ErrorKind::WouldBlock`] if the socket takes no more for now.
pub fn send_one(socket: &UdpSocket, answer: &[u8], envelope: Envelope) -> io::Result<()> {
    let (mut name, mut control) = (Name::EMPTY, Control::EMPTY);
    let mut slice = libc::iovec {
        // The kernel only reads what it is given to send.
        iov_base: answer.as_ptr().cast_mut().cast(),
        iov_len: answer.len(),
    };
    let header = header(envelope, &mut name, &mut control, &mut slice);
    // SAFETY: the header describes memory that lives on this stack, or is borrowed, until the call is
    // over, of the lengths it says.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    Ok(())
}

/// What the kernel is told of one datagram to send.
fn header(
    envelope: Envelope,
    name: &mut Name,
    control: &mut Control,
    slice: &mut libc::iovec,
) -> libc::msghdr {
    let mut header = no_header().msg_hdr;
    header.msg_namelen = name.write(envelope.client) as _;
    header.msg_name = name.0.as_mut_ptr().cast();
    header.msg_iov = slice;
    header.msg_iovlen = 1;
    let used = control.write(&envelope);
    if used > 0 {
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = used as _;
    }
    header
}

const NO_SLICE: libc::iovec = libc::iovec {
    iov_base: null_mut(),
    iov_len: 0,
};

fn no_header() -> libc::mmsghdr {
    // SAFETY: a structure of numbers and pointers, all of which may be zero; some libraries have
    // padding of their own in it, so that it cannot be written out.
    unsafe { std::mem::zeroed() }
}

/// Octets of the longest address, `sockaddr_in6`.
const NAME: usize = 28;

/// An address as the kernel writes it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Name([u8; NAME]);

impl Name {
    const EMPTY: Self = Self([0; NAME]);

    /// The address; none if it is neither IPv4 nor IPv6.
    fn read(&self) -> Option<SocketAddr> {
        let part = |at: usize| [self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]];
        let port = u16::from_be_bytes([self.0[2], self.0[3]]);
        match i32::from(u16::from_ne_bytes([self.0[0], self.0[1]])) {
            libc::AF_INET => Some(SocketAddrV4::new(part(4).into(), port).into()),
            libc::AF_INET6 => {
                let address: [u8; 16] = self.0[8..24].try_into().ok()?;
                let (flow, scope) = (u32::from_ne_bytes(part(4)), u32::from_ne_bytes(part(24)));
                Some(SocketAddrV6::new(address.into(), port, flow, scope).into())
            }
            _ => None,
        }
    }

    /// Writes `address`; how many octets that takes.
    fn write(&mut self, address: SocketAddr) -> usize {
        self.0[2..4].copy_from_slice(&address.port().to_be_bytes());
        let (family, length) = match address {
            SocketAddr::V4(v4) => {
                self.0[4..8].copy_from_slice(&v4.ip().octets());
                self.0[8..16].fill(0);
                (libc::AF_INET, 16)
            }
            SocketAddr::V6(v6) => {
                self.0[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
                self.0[8..24].copy_from_slice(&v6.ip().octets());
                self.0[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                (libc::AF_INET6, NAME)
            }
        };
        self.0[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        length
    }
}

/// Octets for control messages: one of [`IP_PKTINFO`](libc::IP_PKTINFO) or its twin, and one to
/// spare.
const CONTROL: usize = 80;
/// Octets of `cmsghdr`: a length as wide as a pointer, level and type.
const CMSGHDR: usize = size_of::<usize>() + 8;
/// Octets of `in_pktinfo`: number of the interface, our address, the address in the header.
const PKTINFO4: usize = 12;
/// Octets of `in6_pktinfo`: our address, number of the interface.
const PKTINFO6: usize = 20;

/// Control messages as the kernel writes them.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

impl Control {
    const EMPTY: Self = Self([0; CONTROL]);

    /// Our address that was asked, and the number of the interface, from the first `used` octets.
    fn read(&self, used: usize) -> (Option<IpAddr>, u32) {
        let mut rest = &self.0[..used];
        while let Some((head, _)) = rest.split_at_checked(CMSGHDR) {
            let (length, kind) = head.split_at(size_of::<usize>());
            let length = length.try_into().map_or(0, usize::from_ne_bytes);
            let word = |octets: &[u8]| octets.try_into().map_or(0, i32::from_ne_bytes);
            let kind = (word(&kind[..4]), word(&kind[4..]));
            let Some(data) = rest.get(CMSGHDR..length) else {
                break;
            };
            match kind {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) if data.len() >= PKTINFO4 => {
                    // The middle one is where an answer has to come from; it differs from the last
                    // for what was sent to a group.
                    let ours = [data[4], data[5], data[6], data[7]];
                    let interface = word(&data[..4]).cast_unsigned();
                    return (Some(Ipv4Addr::from(ours).into()), interface);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if data.len() >= PKTINFO6 => {
                    let ours: [u8; 16] = data[..16].try_into().unwrap_or_default();
                    let interface = word(&data[16..20]).cast_unsigned();
                    return (Some(Ipv6Addr::from(ours).into()), interface);
                }
                _ => {}
            }
            let step = length.next_multiple_of(size_of::<usize>()).max(CMSGHDR);
            rest = rest.get(step..).unwrap_or_default();
        }
        (None, 0)
    }

    /// Writes where an answer is to leave from; how many octets that takes, 0 where the kernel
    /// chooses.
    fn write(&mut self, envelope: &Envelope) -> usize {
        let (kind, address, data) = match envelope.ours {
            None => return 0,
            Some(IpAddr::V4(ours)) => {
                let at = CMSGHDR + 4;
                self.0[at..at + 4].copy_from_slice(&ours.octets());
                ((libc::IPPROTO_IP, libc::IP_PKTINFO), None, PKTINFO4)
            }
            Some(IpAddr::V6(ours)) => {
                let kind = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
                (kind, Some(ours), PKTINFO6)
            }
        };
        if let Some(ours) = address {
            self.0[CMSGHDR..CMSGHDR + 16].copy_from_slice(&ours.octets());
            // A link-local address means something on one link only (RFC 4007), so the kernel
            // refuses to send from it unless it is told which (RFC 3542 section 6.2).
            let interface = match ours.is_unicast_link_local() {
                true => envelope.interface,
                false => 0,
            };
            let at = CMSGHDR + 16;
            self.0[at..at + 4].copy_from_slice(&interface.to_ne_bytes());
        }
        let word = size_of::<usize>();
        self.0[..word].copy_from_slice(&(CMSGHDR + data).to_ne_bytes());
        self.0[word..word + 4].copy_from_slice(&kind.0.to_ne_bytes());
        self.0[word + 4..CMSGHDR].copy_from_slice(&kind.1.to_ne_bytes());
        (CMSGHDR + data).next_multiple_of(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        prepare(&socket).unwrap();
        socket
    }

    /// Waits until all of `count` are there, without a clock: they are sent on loopback, where a
    /// datagram is in the other queue when the call that sends it is over.
    fn take(inbox: &mut Inbox, socket: &UdpSocket) -> Vec<(Vec<u8>, Envelope)> {
        inbox.receive(socket).unwrap();
        inbox
            .datagrams()
            .map(|(octets, envelope)| (octets.to_vec(), envelope))
            .collect()
    }

    #[test]
    fn each_answer_goes_to_its_client_from_the_address_it_asked() {
        let ours = socket("0.0.0.0:0");
        let port = ours.local_addr().unwrap().port();
        let clients: Vec<UdpSocket> = (1..=40)
            .map(|last| UdpSocket::bind(format!("127.0.1.{last}:0")).unwrap())
            .collect();
        for (number, client) in (0_u8..).zip(&clients) {
            let to = SocketAddr::from(([127, 0, 2, number], port));
            client
                .send_to(&vec![number; 1 + usize::from(number)], to)
                .unwrap();
        }
        let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
        let mut seen = 0_u8;
        for expected in [BATCH, 8] {
            let all = take(&mut inbox, &ours);
            assert_eq!((all.len(), inbox.is_full()), (expected, expected == BATCH));
            for (octets, envelope) in all {
                assert_eq!(octets, vec![seen; 1 + usize::from(seen)]);
                assert_eq!(envelope.ours, Some(IpAddr::from([127, 0, 2, seen])));
                assert_eq!(
                    envelope.client,
                    clients[usize::from(seen)].local_addr().unwrap()
                );
                assert_eq!(envelope.interface, 1, "loopback's number");
                outbox.room().clear();
                outbox.room().extend(vec![seen; 2000]);
                outbox.add(envelope);
                seen += 1;
            }
            outbox.send(&ours).unwrap();
        }
        assert_eq!(
            inbox.receive(&ours).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let mut buffer = [0; 4096];
        for (number, client) in (0_u8..).zip(&clients) {
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[..length], vec![number; 2000]);
            assert_eq!(from, SocketAddr::from(([127, 0, 2, number], port)));
        }
    }

    #[test]
    fn one_that_cannot_be_sent_costs_nobody_else() {
        let (ours, client) = (socket("[::1]:0"), socket("[::1]:0"));
        let reachable = Envelope {
            client: client.local_addr().unwrap(),
            ours: Some(Ipv6Addr::LOCALHOST.into()),
            interface: 0,
        };
        // An address that is not ours.
        let other = Envelope {
            ours: Some("2001:db8::1".parse().unwrap()),
            ..reachable
        };
        let mut outbox = Outbox::default();
        for (envelope, octet) in [(reachable, 1), (other, 2), (reachable, 3)] {
            outbox.room().clear();
            outbox.room().push(octet);
            outbox.add(envelope);
        }
        outbox.send(&ours).unwrap_err();
        outbox.skip();
        outbox.send(&ours).unwrap();
        send_one(&ours, &[4], reachable).unwrap();
        send_one(&ours, &[5], other).unwrap_err();
        let mut inbox = Inbox::default();
        let all = take(&mut inbox, &client);
        let octets: Vec<_> = all.iter().map(|(octets, _)| octets[0]).collect();
        assert_eq!(octets, [1, 3, 4]);
        assert_eq!(all[0].1.client, ours.local_addr().unwrap());
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["192.0.2.1:53", "[2001:db8::7]:5353", "[fe80::1%7]:53"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = Name([0xff; NAME]);
            name.write(address);
            assert_eq!(name.read(), Some(address));
        }
        assert_eq!(Name([0xff; NAME]).read(), None);
    }

    #[test]
    fn only_a_link_local_address_of_ours_needs_an_interface() {
        for (ours, expected) in [
            ("fe80::1", 7),
            ("2001:db8::1", 0),
            ("::1", 0),
            ("192.0.2.1", 0),
        ] {
            let envelope = Envelope {
                client: "[2001:db8::7]:5353".parse().unwrap(),
                ours: Some(ours.parse().unwrap()),
                interface: 7,
            };
            let mut control = Control::EMPTY;
            let used = control.write(&envelope);
            assert_eq!(control.read(used), (envelope.ours, expected), "{ours}");
        }
        let cut = Control([0xff; CONTROL]);
        assert_eq!(cut.read(CONTROL), (None, 0), "nonsense ends it");
        assert_eq!(Control::EMPTY.read(CONTROL), (None, 0));
    }
}
