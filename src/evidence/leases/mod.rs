//! What DHCP servers and `/etc/ethers` say: which address was given to which device, and what it
//! calls itself.
//!
//! The bytes of a file go into [`read_leases`] or [`read_ethers`], plain functions that know nothing
//! of files;
//! [`gather`] reads the files there are and enters the difference into the living table; [`watch`]
//! notices when they change.
//!
//! Which program wrote a file is told by what it says, not by its name. Host names are what devices
//! say of themselves, and some programs write them down as they came: a line with a field too many
//! is a broken line, so that a name with blanks in it cannot pass for an address.

mod book;
mod dnsmasq;
mod ethers;
pub mod gather;
mod hex;
mod isc;
mod kea;
mod odhcpd;
mod places;
pub mod watch;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

pub use self::ethers::{Ethers, read_ethers};
pub use self::gather::{Gatherer, LeaseFile};
pub use self::watch::Leases;
use crate::device::Lease;
use book::Book;

/// What a file of leases says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Who wrote it; none if nothing in it tells.
    pub format: Option<Format>,
    /// Leases that hold, in the order of the file.
    pub leases: Vec<Lease>,
    /// Leases beyond those that are remembered.
    pub left_out: usize,
    /// What cannot be understood.
    pub faults: Faults,
}

/// The syntax of a file of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// dnsmasq's lease file.
    Dnsmasq,
    /// odhcpd's state file.
    Odhcpd,
    /// Kea's memfile, a journal of comma-separated lines.
    Kea,
    /// ISC's `dhcpd.leases` and `dhcpd6.leases`, a journal of blocks.
    Isc,
}

impl Format {
    /// As people read it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Dnsmasq => "dnsmasq",
            Self::Odhcpd => "odhcpd",
            Self::Kea => "Kea",
            Self::Isc => "ISC dhcpd",
        }
    }

    /// The syntax of a file, by the first line that can only be of one.
    fn detect(bytes: &[u8]) -> Option<Self> {
        lines(bytes).find_map(|(_, line)| {
            let line = line.ok()?;
            let words: Vec<&str> = line.split_ascii_whitespace().take(6).collect();
            match *words.as_slice() {
                [first, ..] if first.starts_with("address,") => Some(Self::Kea),
                ["#", _, _, _, _, until] if until.parse::<i64>().is_ok() => Some(Self::Odhcpd),
                // A name with blanks in it moves the time.
                ["#", _, _, "ipv4", ..] => Some(Self::Odhcpd),
                ["lease" | "ia-na" | "ia-ta" | "ia-pd", _, "{", ..]
                | ["server-duid" | "authoring-byte-order", ..] => Some(Self::Isc),
                ["duid", _] => Some(Self::Dnsmasq),
                [expiry, _, address, _, ..]
                    if expiry.parse::<u64>().is_ok() && address.parse::<IpAddr>().is_ok() =>
                {
                    Some(Self::Dnsmasq)
                }
                _ => None,
            }
        })
    }
}

/// Reads a file of leases. Those that are over at `now`, in seconds since 1970, are left out where
/// clocks can be believed.
pub fn read_leases(bytes: &[u8], now: u64) -> Reading {
    let mut faults = Faults::default();
    let mut book = Book::default();
    let format = Format::detect(bytes);
    match format {
        Some(Format::Dnsmasq) => dnsmasq::read(bytes, &mut book, &mut faults),
        Some(Format::Odhcpd) => odhcpd::read(bytes, &mut book, &mut faults),
        Some(Format::Kea) => kea::read(bytes, &mut book, &mut faults),
        Some(Format::Isc) => isc::read(bytes, &mut book, &mut faults),
        None => {
            for (number, line) in lines(bytes) {
                if !line.as_deref().is_ok_and(is_blank) {
                    faults.add(number, LineFault::Unknown);
                }
            }
        }
    }
    let (leases, left_out) = book.into_leases(now);
    Reading {
        format,
        leases,
        left_out,
        faults,
    }
}

/// Why a line cannot be understood. Says nothing of what stands in it: devices write there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Of no syntax that is known.
    #[error("of no syntax that is known")]
    Unknown,
    /// Longer than any such line.
    #[error("longer than {MAX_LINE} octets")]
    TooLong,
    /// Other fields than such a line has.
    #[error("has other fields than such a line")]
    Fields,
    /// Not an address that a host can have.
    #[error("an address that no host can have")]
    Address,
    /// Not a MAC address that a device can have.
    #[error("no MAC address of a device")]
    Mac,
    /// Neither an address nor a name.
    #[error("neither an address nor a host name")]
    Host,
    /// Not a time.
    #[error("no time")]
    Time,
    /// The file ends inside of it.
    #[error("cut off")]
    CutOff,
}

/// What cannot be understood in a file: how many lines, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How many.
    pub count: usize,
    /// The first [`KEPT_FAULTS`] with the numbers of their lines.
    pub first: Vec<(usize, LineFault)>,
}

impl Faults {
    fn add(&mut self, line: usize, fault: LineFault) {
        self.count += 1;
        if self.first.len() < KEPT_FAULTS {
            self.first.push((line, fault));
        }
    }
}

impl fmt::Display for Faults {
    /// As in `2 lines cannot be read (line 3: no time; line 7: cut off)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.count == 1 { "line" } else { "lines" };
        write!(f, "{} {noun} cannot be read (", self.count)?;
        for (index, (line, fault)) in self.first.iter().enumerate() {
            let before = if index > 0 { "; " } else { "" };
            write!(f, "{before}line {line}: {fault}")?;
        }
        f.write_str(if self.count > self.first.len() {
            "; …)"
        } else {
            ")"
        })
    }
}

/// The largest file that is read.
pub const MAX_FILE: u64 = 4 << 20;
/// How many faults of a file are kept word for word.
pub const KEPT_FAULTS: usize = 3;
/// The longest line, in octets. A client identifier of 255 octets takes 764.
const MAX_LINE: usize = 4_096;

/// The lines of a file with their numbers. Octets that are no text become the character that says
/// so: a device may call itself anything, and has its address all the same.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, Result<Cow<'_, str>, LineFault>)> {
    let lines = bytes.split(|octet| *octet == b'\n').zip(1..);
    lines.map(|(line, number)| {
        if line.len() > MAX_LINE {
            return (number, Err(LineFault::TooLong));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (number, Ok(String::from_utf8_lossy(line)))
    })
}

/// Whether nothing stands in a line, or a comment.
fn is_blank(line: &str) -> bool {
    let line = line.trim_ascii_start();
    line.is_empty() || line.starts_with('#')
}

/// An address that a DHCP server can give away: none that means this machine or many.
fn host_address(text: &str) -> Result<IpAddr, LineFault> {
    let address: IpAddr = text.parse().map_err(|_| LineFault::Address)?;
    let is_fine = match address {
        IpAddr::V4(v4) => !(v4.is_broadcast() || v4.octets()[0] == 0),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && v6.to_ipv4_mapped().is_none(),
    };
    let is_fine =
        is_fine && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast();
    is_fine.then_some(address).ok_or(LineFault::Address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::HostName;
    use crate::mac::Mac;

    /// A moment at which clocks can be believed.
    pub(super) const NOW: u64 = 1_795_000_000;

    /// A lease without a client identifier.
    pub(super) fn lease(
        address: &str,
        mac: Option<&str>,
        name: Option<&str>,
        ends: Option<u64>,
    ) -> Lease {
        Lease {
            address: address.parse().unwrap(),
            mac: mac.map(|text| text.parse::<Mac>().unwrap()),
            host_name: name.map(|text| HostName::new(text).unwrap()),
            client_id: None,
            ends,
        }
    }

    /// What is said without client identifiers, to compare.
    pub(super) fn bare(reading: &Reading) -> Vec<Lease> {
        let bare = |lease: &Lease| Lease {
            client_id: None,
            ..lease.clone()
        };
        reading.leases.iter().map(bare).collect()
    }

    #[test]
    fn who_wrote_a_file_is_told_by_what_it_says() {
        let kea = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,\
                   hostname,state,user_context\n";
        for (text, expected) in [
            ("", None),
            ("# a comment\n\n", None),
            ("192.0.2.7 tablet\n", None),
            ("192.0.2.7\ttablet.lan\ttablet\n", None),
            (
                "1795003600 02:00:5e:10:00:01 192.0.2.7 tablet 01:02:00:5e:10:00:01\n",
                Some(Format::Dnsmasq),
            ),
            (
                "duid 00:01:00:01:2c:3d:4e:5f:02:00:5e:10:00:fe\n",
                Some(Format::Dnsmasq),
            ),
            (
                "# br-lan 00030001020053000001 1 tablet 1795003600 7 128 2001:db8::7/128\n",
                Some(Format::Odhcpd),
            ),
            (
                "# br-lan 02005e100001 ipv4 a name 1795003600 c0000207 32 192.0.2.7/32\n",
                Some(Format::Odhcpd),
            ),
            (kea, Some(Format::Kea)),
            (
                "# The format of this file is documented in the manual.\n\nlease 192.0.2.7 {\n}\n",
                Some(Format::Isc),
            ),
            ("authoring-byte-order little-endian;\n", Some(Format::Isc)),
        ] {
            assert_eq!(Format::detect(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_file_of_no_syntax_that_is_known_is_told_by_its_lines() {
        let long = "x".repeat(MAX_LINE + 1);
        let text = format!("# a comment\n<html>\n\nhello\nworld\n{long}\n");
        let reading = read_leases(text.as_bytes(), NOW);
        assert_eq!(reading.leases, []);
        assert_eq!(
            reading.faults.to_string(),
            "4 lines cannot be read (line 2: of no syntax that is known; line 4: of no syntax \
             that is known; line 5: of no syntax that is known; …)"
        );
    }

    #[test]
    fn no_lease_is_of_this_machine_itself_or_of_many() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:192.0.2.7",
            "192.0.2.07",
            "tablet",
            "",
        ] {
            assert_eq!(host_address(text), Err(LineFault::Address), "{text}");
        }
        for text in ["192.0.2.7", "10.0.0.1", "2001:db8::7", "fd00::7"] {
            assert_eq!(host_address(text), Ok(text.parse().unwrap()));
        }
    }
}
