//! How devices find our encrypted DNS by themselves: what is answered when they ask for it (DDR,
//! RFC 9462), and what a DHCP server can tell them (DNR, RFC 9463).
//!
//! Only we are designated, never another resolver; and only while we serve it with a certificate that
//! holds for the address a device asks, since a device that checks (RFC 9462 section 4.2) would be
//! turned away otherwise. Without that there is no data, as for everybody who serves none.
//!
//! Inside the home our own name leads to the address in the device's own network: the name need not
//! be known to anybody else, and a router need not send a device round by the outside.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::check_client_id;
use crate::message::rtype;
use crate::name::{NameBuf, NameRef};

/// Keys of service parameters (RFC 9460 section 14.3.2, RFC 9461 section 8).
mod key {
    pub(super) const ALPN: u16 = 1;
    pub(super) const PORT: u16 = 3;
    pub(super) const IPV4HINT: u16 = 4;
    pub(super) const IPV6HINT: u16 = 6;
    pub(super) const DOHPATH: u16 = 7;
}

/// Options that carry DNR (RFC 9463 sections 4.1 and 5.1).
const OPTION_V6: u16 = 144;
const OPTION_V4: u8 = 162;

/// What encrypted DNS is served, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// The server's name, in A-labels, without a dot at its end.
    pub name: String,
    /// Port of DNS over TLS.
    pub dot: Option<u16>,
    /// Port of DNS over HTTPS.
    pub doh: Option<u16>,
    /// Whether that is served over HTTP/3 too.
    pub h3: bool,
    /// Port of DNS over QUIC.
    pub doq: Option<u16>,
    /// Path of DNS over HTTPS, as in `/dns-query`.
    pub path: String,
    /// Our addresses, each with the network it is in.
    pub addresses: Vec<IpNet>,
}

impl Services {
    /// The addresses a device could use: loopback only where there is nothing else.
    pub fn reachable(&self) -> Vec<IpAddr> {
        let all = self.addresses.iter().map(IpNet::addr);
        let outside: Vec<IpAddr> = all.clone().filter(|it| !it.is_loopback()).collect();
        match outside.is_empty() {
            true => all.collect(),
            false => outside,
        }
    }

    /// Each protocol with its names for ALPN, the best first: its port, and the path for HTTP.
    fn protocols(&self) -> Vec<Protocol<'_>> {
        let http: &[&str] = if self.h3 { &["h2", "h3"] } else { &["h2"] };
        let of = |alpn, port: Option<u16>, path| port.map(|port| Protocol { alpn, port, path });
        [
            of(&["dot"][..], self.dot, None),
            of(http, self.doh, Some(self.path.as_str())),
            of(&["doq"][..], self.doq, None),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Lines for dnsmasq: option 162 for DHCPv4, 144 for DHCPv6.
    ///
    /// # Errors
    /// The name is no name.
    pub fn for_dnsmasq(&self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        let v4 = self.dnr_v4()?;
        if !v4.is_empty() {
            lines.push(format!("dhcp-option={OPTION_V4},{}", pairs(&v4)));
        }
        let v6 = self.dnr_v6()?.into_iter();
        lines.extend(v6.map(|value| format!("dhcp-option=option6:{OPTION_V6},{}", pairs(&value))));
        Some(lines)
    }

    /// Lines for odhcpd's part of `/etc/config/dhcp`.
    pub fn for_odhcpd(&self) -> Vec<String> {
        let addresses: Vec<String> = self.reachable().iter().map(IpAddr::to_string).collect();
        let addresses = addresses.join(",");
        let protocols = self.protocols().into_iter().zip(1..);
        let line = |(protocol, priority): (Protocol<'_>, u16)| {
            let path = protocol
                .path
                .map_or_else(String::new, |path| format!(" dohpath={path}{{?dns}}"));
            format!(
                "list dnr '{priority} {} {addresses} alpn={} port={}{path}'",
                self.name,
                protocol.alpn.join(","),
                protocol.port
            )
        };
        protocols.map(line).collect()
    }

    /// The value of DHCPv4's option 162: every instance with its length before it (RFC 9463 section
    /// 5.1); empty without an IPv4 address.
    fn dnr_v4(&self) -> Option<Vec<u8>> {
        let name = NameBuf::parse(&self.name).ok()?;
        let addresses: Vec<u8> = self
            .reachable()
            .iter()
            .filter_map(|it| match it {
                IpAddr::V4(v4) => Some(v4.octets()),
                IpAddr::V6(_) => None,
            })
            .flatten()
            .collect();
        if addresses.is_empty() {
            return Some(Vec::new());
        }
        let mut value = Vec::new();
        for (protocol, priority) in self.protocols().into_iter().zip(1_u16..) {
            let mut instance = priority.to_be_bytes().to_vec();
            let wire = name.as_ref().as_wire();
            instance.push(u8::try_from(wire.len()).ok()?);
            instance.extend_from_slice(wire);
            instance.push(u8::try_from(addresses.len()).ok()?);
            instance.extend_from_slice(&addresses);
            protocol.append_to(&mut instance, &[]);
            value.extend_from_slice(&u16::try_from(instance.len()).ok()?.to_be_bytes());
            value.extend_from_slice(&instance);
        }
        Some(value)
    }

    /// The values of DHCPv6's option 144, one for each protocol (RFC 9463 section 4.1); none
    /// without an IPv6 address.
    fn dnr_v6(&self) -> Option<Vec<Vec<u8>>> {
        let name = NameBuf::parse(&self.name).ok()?;
        let addresses: Vec<u8> = self
            .reachable()
            .iter()
            .filter_map(|it| match it {
                IpAddr::V6(v6) => Some(v6.octets()),
                IpAddr::V4(_) => None,
            })
            .flatten()
            .collect();
        if addresses.is_empty() {
            return Some(Vec::new());
        }
        let protocols = self.protocols().into_iter().zip(1_u16..);
        let instance = |(protocol, priority): (Protocol<'_>, u16)| {
            let mut value = priority.to_be_bytes().to_vec();
            let wire = name.as_ref().as_wire();
            value.extend_from_slice(&u16::try_from(wire.len()).ok()?.to_be_bytes());
            value.extend_from_slice(wire);
            value.extend_from_slice(&u16::try_from(addresses.len()).ok()?.to_be_bytes());
            value.extend_from_slice(&addresses);
            protocol.append_to(&mut value, &[]);
            Some(value)
        };
        protocols.map(instance).collect()
    }
}

/// One protocol that is served.
struct Protocol<'s> {
    alpn: &'s [&'s str],
    port: u16,
    path: Option<&'s str>,
}

impl Protocol<'_> {
    /// Appends its parameters (RFC 9460 section 2.2), keys in order.
    fn append_to(&self, out: &mut Vec<u8>, hints: &[IpAddr]) {
        let mut add = |key: u16, value: &[u8]| {
            out.extend_from_slice(&key.to_be_bytes());
            // Far below 64 KiB: the path is bounded by the configuration.
            out.extend_from_slice(&(value.len() as u16).to_be_bytes());
            out.extend_from_slice(value);
        };
        let mut names = Vec::new();
        for name in self.alpn {
            names.push(name.len() as u8);
            names.extend_from_slice(name.as_bytes());
        }
        add(key::ALPN, &names);
        add(key::PORT, &self.port.to_be_bytes());
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for hint in hints {
            match hint {
                IpAddr::V4(address) => v4.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => v6.extend_from_slice(&address.octets()),
            }
        }
        for (key, value) in [(key::IPV4HINT, v4), (key::IPV6HINT, v6)] {
            if !value.is_empty() {
                add(key, &value);
            }
        }
        if let Some(path) = self.path {
            add(key::DOHPATH, format!("{path}{{?dns}}").as_bytes());
        }
    }
}

fn pairs(octets: &[u8]) -> String {
    let pairs: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    pairs.join(":")
}

/// The addresses at which devices reach `listen`, each with its network: those themselves, or all of
/// this machine's where that is every one.
pub fn networks_of(listen: impl IntoIterator<Item = IpAddr>) -> Vec<IpNet> {
    let here: Vec<IpNet> = nix::ifaddrs::getifaddrs().map_or_else(
        |_| Vec::new(),
        |interfaces| interfaces.filter_map(|it| network(&it)).collect(),
    );
    let mut networks = Vec::new();
    for address in listen {
        if address.is_unspecified() {
            // `[::]` takes IPv4 too, unless somebody else has it.
            let its = here.iter().copied();
            networks.extend(its.filter(|it| address.is_ipv6() || it.addr().is_ipv4()));
            continue;
        }
        let its = here.iter().find(|it| it.addr() == address);
        networks.push(its.copied().unwrap_or_else(|| IpNet::from(address)));
    }
    // Without its interface such an address leads nowhere.
    networks.retain(|it| match it.addr() {
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        IpAddr::V4(_) => true,
    });
    networks.sort();
    networks.dedup();
    networks
}

fn network(interface: &nix::ifaddrs::InterfaceAddress) -> Option<IpNet> {
    let ip = |it: &nix::sys::socket::SockaddrStorage| {
        let v4 = it.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
        v4.or_else(|| it.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
    };
    let address = ip(interface.address.as_ref()?)?;
    let mask = interface.netmask.as_ref().and_then(ip);
    let prefix = mask.and_then(|mask| ipnet::ip_mask_to_prefix(mask).ok());
    match prefix {
        Some(prefix) => IpNet::new(address, prefix).ok(),
        None => Some(IpNet::from(address)),
    }
}

/// What is answered to who asks for our encrypted DNS; made once, so that a query copies it.
#[derive(Debug)]
pub struct Designation {
    name: NameBuf,
    /// `_dns` before the name.
    service: NameBuf,
    /// RDATA of SVCB, one for each protocol.
    records: Vec<Vec<u8>>,
    addresses: Vec<IpNet>,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Designated {
    /// The services.
    Services,
    /// Our own name, or that with a device's id before it.
    OurName,
}

/// The name by which any resolver is asked for its encrypted DNS (RFC 9462 section 4).
const ANY_RESOLVER: &[u8] = b"\x04_dns\x08resolver\x04arpa\x00";

impl Designation {
    /// What is to be said of `services`, served with a certificate that `covers` names and
    /// addresses. Only one that holds for an address of ours can be found by it (RFC 9462 section
    /// 4.2); our own name is ours with any.
    pub fn of(services: &Services, covers: impl Fn(&str) -> bool) -> Option<Self> {
        let reachable = services.reachable();
        let is_found = covers(&services.name) && reachable.iter().any(|it| covers(&it.to_string()));
        let name = NameBuf::parse(&services.name).ok()?;
        // Which of several a device could use is not known here; it asks for our name.
        let mut hints = Vec::new();
        for is_ipv4 in [true, false] {
            let its = reachable.iter().filter(|it| it.is_ipv4() == is_ipv4);
            if let [one] = its.collect::<Vec<_>>()[..] {
                hints.push(*one);
            }
        }
        let record = |(protocol, priority): (Protocol<'_>, u16)| {
            let mut record = priority.to_be_bytes().to_vec();
            record.extend_from_slice(name.as_ref().as_wire());
            protocol.append_to(&mut record, &hints);
            record
        };
        let records: Vec<Vec<u8>> = services
            .protocols()
            .into_iter()
            .filter(|_| is_found)
            .zip(1..)
            .map(record)
            .collect();
        Some(Self {
            service: NameBuf::parse(&format!("_dns.{}", services.name)).ok()?,
            name,
            records,
            addresses: services.addresses.clone(),
        })
    }

    /// What a question of `client` is about that we answer ourselves. Our own name is left to others
    /// for who is not at home: out there it may lead elsewhere.
    pub fn find(&self, qname: NameRef<'_>, qtype: u16, client: IpAddr) -> Option<Designated> {
        let wire = qname.as_wire();
        if qtype == rtype::SVCB && (wire == ANY_RESOLVER || wire == self.service.as_ref().as_wire())
        {
            return self.is_found().then_some(Designated::Services);
        }
        if self.has_id(qname) {
            // Whatever is asked of it, and by whomever: nobody else is to hear of an id.
            return Some(Designated::OurName);
        }
        let is_asked = matches!(qtype, rtype::A | rtype::AAAA | rtype::HTTPS);
        let is_ours = wire == self.name.as_ref().as_wire();
        (is_asked && is_ours && self.is_at_home(client)).then_some(Designated::OurName)
    }

    /// Whether devices find our encrypted DNS by it.
    pub fn is_found(&self) -> bool {
        !self.records.is_empty()
    }

    /// Whether an id, as a device may have one, stands before our name in `qname`, with or without
    /// more before that. Other names below ours are somebody's own.
    fn has_id(&self, qname: NameRef<'_>) -> bool {
        let Some(mut below) = (qname.as_wire()).strip_suffix(self.name.as_ref().as_wire()) else {
            return false;
        };
        let mut last: &[u8] = &[];
        while let Some((length, rest)) = below.split_first() {
            let Some((label, rest)) = rest.split_at_checked(usize::from(*length)) else {
                return false;
            };
            (last, below) = (label, rest);
        }
        std::str::from_utf8(last).is_ok_and(|label| check_client_id(label).is_ok())
    }

    /// Whether `client` is in a network of ours, or in a private one.
    fn is_at_home(&self, client: IpAddr) -> bool {
        let is_private = match client {
            IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
            IpAddr::V6(v6) => {
                v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local()
            }
        };
        is_private || self.addresses.iter().any(|net| net.contains(&client))
    }

    /// The server's name.
    pub const fn name(&self) -> NameBuf {
        self.name
    }

    /// RDATA of the SVCB records.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(Vec::as_slice)
    }

    /// Our addresses for `client`: those in its own network, or else all it could use.
    pub fn addresses_for(&self, client: IpAddr) -> impl Iterator<Item = IpAddr> {
        let is_near = move |net: &&IpNet| net.contains(&client) && net.addr() != client;
        let has_near = self.addresses.iter().any(|net| is_near(&net));
        let mine = client.is_loopback() || self.addresses.iter().any(|net| net.addr() == client);
        let all = self.addresses.iter();
        all.filter(move |net| match (mine, has_near) {
            (true, _) => true,
            (false, true) => is_near(net),
            (false, false) => !net.addr().is_loopback(),
        })
        .map(IpNet::addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services() -> Services {
        Services {
            name: "dns.home.example".to_owned(),
            dot: Some(853),
            doh: Some(443),
            h3: true,
            doq: Some(853),
            path: "/dns-query".to_owned(),
            addresses: vec![
                "127.0.0.1/8".parse().unwrap(),
                "192.168.1.1/24".parse().unwrap(),
                "fd00::1/64".parse().unwrap(),
            ],
        }
    }

    fn name(text: &str) -> NameBuf {
        NameBuf::parse(text).unwrap()
    }

    /// Parameters as `key=value`, checked for the order of RFC 9460 section 2.2.
    fn parameters(mut wire: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let mut last = None;
        while !wire.is_empty() {
            let key = u16::from_be_bytes([wire[0], wire[1]]);
            assert!(last < Some(key), "keys ascend");
            last = Some(key);
            let length = usize::from(u16::from_be_bytes([wire[2], wire[3]]));
            let value = &wire[4..4 + length];
            wire = &wire[4 + length..];
            found.push(match key {
                key::ALPN => {
                    let mut rest = value;
                    let mut names = Vec::new();
                    while let Some((length, more)) = rest.split_first() {
                        let (name, behind) = more.split_at(usize::from(*length));
                        names.push(std::str::from_utf8(name).unwrap());
                        rest = behind;
                    }
                    format!("alpn={}", names.join(","))
                }
                key::PORT => format!("port={}", u16::from_be_bytes([value[0], value[1]])),
                key::IPV4HINT => {
                    let octets: [u8; 4] = value.try_into().unwrap();
                    format!("ipv4hint={}", IpAddr::from(octets))
                }
                key::IPV6HINT => {
                    let octets: [u8; 16] = value.try_into().unwrap();
                    format!("ipv6hint={}", IpAddr::from(octets))
                }
                _ => format!("key{key}={}", std::str::from_utf8(value).unwrap()),
            });
        }
        found
    }

    #[test]
    fn a_record_for_each_protocol() {
        let designation = Designation::of(&services(), |_| true).unwrap();
        let own = name("dns.home.example");
        let wire = own.as_ref().as_wire();
        let read: Vec<(u16, Vec<String>)> = designation
            .records()
            .map(|record| {
                assert_eq!(&record[2..2 + wire.len()], wire);
                let priority = u16::from_be_bytes([record[0], record[1]]);
                (priority, parameters(&record[2 + wire.len()..]))
            })
            .collect();
        let hints = ["ipv4hint=192.168.1.1", "ipv6hint=fd00::1"];
        let with = |first: &[&str], path: &[&str]| -> Vec<String> {
            let all = [first, &hints, path].concat();
            all.into_iter().map(str::to_owned).collect()
        };
        assert_eq!(
            read,
            [
                (1, with(&["alpn=dot", "port=853"], &[])),
                (
                    2,
                    with(&["alpn=h2,h3", "port=443"], &["key7=/dns-query{?dns}"])
                ),
                (3, with(&["alpn=doq", "port=853"], &[])),
            ]
        );
    }

    #[test]
    fn nobody_is_led_to_a_certificate_that_does_not_hold() {
        let found = |services: &Services, covers: &dyn Fn(&str) -> bool| {
            Designation::of(services, covers).unwrap().is_found()
        };
        assert!(!found(&services(), &|_| false));
        let only_name = |it: &str| it == "dns.home.example";
        assert!(!found(&services(), &only_name));
        let only_address = |it: &str| it == "192.168.1.1";
        assert!(!found(&services(), &only_address));
        assert!(found(&services(), &|it| only_name(it) || only_address(it)));
        let nothing = Services {
            dot: None,
            doh: None,
            doq: None,
            ..services()
        };
        assert!(!found(&nothing, &|_| true));
        // Our own name is ours all the same, and nobody hears of an id.
        let hidden = Designation::of(&services(), only_name).unwrap();
        let find = |qname: &str, qtype| {
            let client = "203.0.113.7".parse().unwrap();
            hidden.find(name(qname).as_ref(), qtype, client)
        };
        assert_eq!(find("_dns.resolver.arpa", rtype::SVCB), None);
        let id = format!("{ID}.dns.home.example");
        assert_eq!(find(&id, 16), Some(Designated::OurName));
    }

    /// As a device has one.
    const ID: &str = "mzxw6ytboi5hk3tpojsxg5dbnq";

    #[test]
    fn what_we_answer_ourselves() {
        const HOME: &str = "192.168.7.7";
        const AWAY: &str = "203.0.113.7";
        let designation = Designation::of(&services(), |_| true).unwrap();
        for (qname, qtype, client, expected) in [
            (
                "_dns.resolver.arpa",
                rtype::SVCB,
                AWAY,
                Some(Designated::Services),
            ),
            (
                "_dns.dns.home.example",
                rtype::SVCB,
                AWAY,
                Some(Designated::Services),
            ),
            ("_dns.resolver.arpa", rtype::A, HOME, None),
            ("x._dns.resolver.arpa", rtype::SVCB, HOME, None),
            (
                "dns.home.example",
                rtype::A,
                HOME,
                Some(Designated::OurName),
            ),
            ("dns.home.example", rtype::A, AWAY, None),
            ("dns.home.example", rtype::SVCB, HOME, None),
            (
                "mzxw6ytboi5hk3tpojsxg5dbnq.dns.home.example",
                rtype::AAAA,
                HOME,
                Some(Designated::OurName),
            ),
            (
                "mzxw6ytboi5hk3tpojsxg5dbnq.dns.home.example",
                16,
                AWAY,
                Some(Designated::OurName),
            ),
            (
                "_853._tcp.mzxw6ytboi5hk3tpojsxg5dbnq.dns.home.example",
                rtype::A,
                HOME,
                Some(Designated::OurName),
            ),
            // Somebody's own.
            ("nas.dns.home.example", rtype::A, HOME, None),
            ("a.b.dns.home.example", rtype::A, HOME, None),
            ("_acme-challenge.dns.home.example", rtype::A, HOME, None),
            ("xdns.home.example", rtype::A, HOME, None),
            ("home.example", rtype::A, HOME, None),
        ] {
            let found = designation.find(name(qname).as_ref(), qtype, client.parse().unwrap());
            assert_eq!(found, expected, "{qname} {qtype}");
        }
    }

    #[test]
    fn every_address_is_those_of_this_machine() {
        let all = networks_of(["0.0.0.0".parse().unwrap()]);
        assert!(all.contains(&"127.0.0.1/8".parse().unwrap()), "{all:?}");
        assert!(all.iter().all(|it| it.addr().is_ipv4()));
        let one = networks_of(["203.0.113.7".parse().unwrap(), "127.0.0.1".parse().unwrap()]);
        let expected = ["127.0.0.1/8", "203.0.113.7/32"].map(|it| it.parse::<IpNet>().unwrap());
        assert_eq!(one, expected);
    }

    #[test]
    fn a_device_gets_the_address_in_its_own_network() {
        let designation = Designation::of(&services(), |_| true).unwrap();
        let addresses = |client: &str| -> Vec<String> {
            let client = client.parse().unwrap();
            let addresses = designation.addresses_for(client);
            addresses.map(|it| it.to_string()).collect()
        };
        assert_eq!(addresses("192.168.1.7"), ["192.168.1.1"]);
        assert_eq!(addresses("fd00::7"), ["fd00::1"]);
        assert_eq!(addresses("10.0.0.7"), ["192.168.1.1", "fd00::1"]);
        assert_eq!(addresses("127.0.0.1").len(), 3);
    }

    #[test]
    fn options_of_dhcp_say_the_same() {
        // RFC 9463 section 5.1, taken apart again.
        let value = services().dnr_v4().unwrap();
        let own = name("dns.home.example");
        let own = own.as_ref().as_wire();
        let mut rest = &value[..];
        let mut read = Vec::new();
        while !rest.is_empty() {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let (instance, behind) = rest[2..].split_at(length);
            rest = behind;
            let priority = u16::from_be_bytes([instance[0], instance[1]]);
            assert_eq!(usize::from(instance[2]), own.len());
            let (adn, more) = instance[3..].split_at(own.len());
            assert_eq!(adn, own);
            assert_eq!(more[..5], [4, 192, 168, 1, 1]);
            read.push((priority, parameters(&more[5..])));
        }
        let text = |it: &[&str]| -> Vec<String> { it.iter().map(|it| (*it).to_owned()).collect() };
        let expected = [
            (1, text(&["alpn=dot", "port=853"])),
            // Section 3.1.8: no hints, the addresses stand beside it.
            (
                2,
                text(&["alpn=h2,h3", "port=443", "key7=/dns-query{?dns}"]),
            ),
            (3, text(&["alpn=doq", "port=853"])),
        ];
        assert_eq!(read, expected);

        // Section 4.1.
        let values = services().dnr_v6().unwrap();
        let read: Vec<(u16, Vec<String>)> = values
            .iter()
            .map(|value| {
                let number = |at: usize| u16::from_be_bytes([value[at], value[at + 1]]);
                assert_eq!(usize::from(number(2)), own.len());
                assert_eq!(&value[4..4 + own.len()], own);
                let at = 4 + own.len();
                assert_eq!(number(at), 16);
                assert_eq!(value[at + 2..at + 4], [0xfd, 0]);
                (number(0), parameters(&value[at + 18..]))
            })
            .collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn lines_for_servers() {
        let only_dot = Services {
            doh: None,
            doq: None,
            addresses: vec!["192.168.1.1/24".parse().unwrap()],
            name: "a.example".to_owned(),
            ..services()
        };
        assert_eq!(
            only_dot.for_dnsmasq().unwrap(),
            [
                "dhcp-option=162,00:21:00:01:0b:01:61:07:65:78:61:6d:70:6c:65:00:04:c0:a8:01:01:\
                 00:01:00:04:03:64:6f:74:00:03:00:02:03:55"
            ]
        );
        assert_eq!(
            services().for_odhcpd()[1],
            "list dnr '2 dns.home.example 192.168.1.1,fd00::1 alpn=h2,h3 port=443 \
             dohpath=/dns-query{?dns}'"
        );
    }

    /// The real server takes the lines, where there is one.
    #[test]
    fn dnsmasq_takes_the_lines() {
        let dnsmasq = ["/usr/sbin/dnsmasq", "/usr/bin/dnsmasq"];
        let Some(dnsmasq) = dnsmasq.iter().find(|it| std::path::Path::new(it).exists()) else {
            eprintln!("skipped: no dnsmasq");
            return;
        };
        let lines = services().for_dnsmasq().unwrap();
        assert_eq!(lines.len(), 4);
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("dnr.conf");
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let run = std::process::Command::new(dnsmasq)
            .arg("--test")
            .arg(format!("--conf-file={}", path.display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success() && said.contains("OK"), "{said}");
    }
}
