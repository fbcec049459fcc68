//! odhcpd's state file.
//!
//! ```text
//! # br-lan 00030001020053000001 5e100001 mias-tablet 1795003600 7 128 2001:db8::7/128 fd00::7/128
//! # br-lan 02005e100001 ipv4 mias-tablet 1795003600 c0000207 32 192.0.2.7/32
//! 192.0.2.7 mias-tablet.lan mias-tablet
//! ```
//!
//! Behind `#`: interface; DUID, IAID, or MAC address and `ipv4`; host name or `-`; end, -1 for never,
//! 0 for one that is over; number of the host or address in hexadecimal; length; addresses. A name
//! that is none stands behind `broken\x20`. The other lines are for programs that read host files.
//!
//! Until the summer of 2026 names were written as they came, blanks included, so the number of fields
//! is part of the syntax here, and the address of an `ipv4` line has to be there twice.

use std::net::{IpAddr, Ipv4Addr};

use super::hex::{client_id, mac_in_duid, octets};
use super::{Book, Faults, LineFault, host_address, lines};
use crate::device::{HostName, Lease};
use crate::mac::Mac;

pub(super) fn read(bytes: &[u8], book: &mut Book, faults: &mut Faults) {
    for (number, line) in lines(bytes) {
        match line.and_then(|line| read_line(&line)) {
            Ok(leases) => leases.into_iter().for_each(|lease| book.put(lease)),
            Err(fault) => faults.add(number, fault),
        }
    }
}

/// The leases on a line.
fn read_line(line: &str) -> Result<Vec<Lease>, LineFault> {
    let Some(line) = line.strip_prefix("# ") else {
        return Ok(Vec::new());
    };
    let words: Vec<&str> = line.split(' ').collect();
    let [_, who, iaid, name, until, number, _, addresses @ ..] = words.as_slice() else {
        return Err(LineFault::Fields);
    };
    let ends = match until.parse::<i64>().map_err(|_| LineFault::Time)? {
        0 => return Ok(Vec::new()),
        // -1, for ever.
        until => u64::try_from(until).ok(),
    };
    let who = octets(who).ok_or(LineFault::Fields)?;
    let is_v4 = *iaid == "ipv4";
    let mac = if is_v4 {
        Mac::from_slice(&who)
    } else {
        mac_in_duid(&who)
    };
    let number = u32::from_str_radix(number, 16);
    let mut leases = Vec::new();
    for address in addresses {
        let (address, length) = address.split_once('/').ok_or(LineFault::Fields)?;
        let address = host_address_of(address, is_v4)?;
        let length: u8 = length.parse().map_err(|_| LineFault::Fields)?;
        let is_as_numbered =
            |v4: Ipv4Addr| number == Ok(u32::from(v4)) && addresses.len() == 1 && length == 32;
        match address {
            IpAddr::V4(v4) if !is_as_numbered(v4) => return Err(LineFault::Fields),
            // A whole network, given to a router of its own.
            IpAddr::V6(_) if length != 128 => continue,
            _ => {}
        }
        leases.push(Lease {
            address,
            mac,
            host_name: HostName::new(name),
            client_id: client_id(who.clone()).filter(|_| !is_v4),
            ends,
        });
    }
    Ok(leases)
}

/// An address of the family that the line is about.
fn host_address_of(text: &str, is_v4: bool) -> Result<IpAddr, LineFault> {
    let address = host_address(text)?;
    if address.is_ipv4() == is_v4 {
        Ok(address)
    } else {
        Err(LineFault::Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, bare, lease};
    use super::super::{Format, read_leases};
    use super::*;

    #[test]
    fn leases_of_both_families_are_read() {
        let text = "\
# br-lan 0003000102005e100001 5e100001 Mias-Tablet 1795003600 7 128 2001:db8::7/128 fd00::7/128
fd00::7\tMias-Tablet.lan\tMias-Tablet
# br-lan 00010001aabbccdd02005e100002 1 - -1 8 128 2001:db8::8/128
# br-lan 0003000102005e100003 2 router 1795003600 10 60 2001:db8:0:10::/60
# br-lan 0003000102005e100004 2 - 0 9 128
# br-lan 02005e100001 ipv4 Mias-Tablet 1795003600 c0000207 32 192.0.2.7/32
192.0.2.7\tMias-Tablet.lan\tMias-Tablet
# br-lan 02005e100005 ipv4 broken\\x20bad\\x20name 1795003600 c000020a 32 192.0.2.10/32
# br-lan 02005e100006 ipv4 - 1794000000 c000020b 32 192.0.2.11/32
";
        let reading = read_leases(text.as_bytes(), NOW);
        let (one, two) = (Some("02:00:5e:10:00:01"), Some("02:00:5e:10:00:02"));
        let (name, ends) = (Some("mias-tablet"), Some(1_795_003_600));
        assert_eq!(reading.format, Some(Format::Odhcpd));
        assert_eq!(reading.faults, Faults::default());
        assert_eq!(
            bare(&reading),
            [
                lease("2001:db8::7", one, name, ends),
                lease("fd00::7", one, name, ends),
                lease("2001:db8::8", two, None, None),
                lease("192.0.2.7", one, name, ends),
                lease("192.0.2.10", Some("02:00:5e:10:00:05"), None, ends),
            ]
        );
        assert_eq!(reading.leases[0].client_id.as_ref().unwrap().len(), 10);
        assert_eq!(reading.leases[3].client_id, None);
    }

    #[test]
    fn a_name_with_blanks_in_it_passes_for_nothing() {
        for text in [
            // The client's own words stand between its address and the end.
            "# br-lan 02005e100001 ipv4 x 1795003600 c0000232 32 192.0.2.50/32 1795003600 c0000207 \
             32 192.0.2.7/32\n",
            "# br-lan 02005e100001 ipv4 a name 1795003600 c0000207 32 192.0.2.7/32\n",
            "# br-lan 0003000102005e100001 1 x 1795003600 7 128 2001:db8::50/128 1795003600 7 128 \
             2001:db8::7/128\n",
            // The two addresses differ.
            "# br-lan 02005e100001 ipv4 x 1795003600 c0000232 32 192.0.2.7/32\n",
            "# br-lan 02005e100001 ipv4 x 1795003600 c0000207 24 192.0.2.7/24\n",
            "# br-lan 0003000102005e100001 1 x 1795003600 7 128 192.0.2.7/32\n",
            "# br-lan zz ipv4 x 1795003600 c0000207 32 192.0.2.7/32\n",
            "# br-lan 02005e100001 ipv4 x\n",
        ] {
            let reading = read_leases(text.as_bytes(), NOW);
            assert_eq!(
                (reading.leases, reading.faults.count),
                (vec![], 1),
                "{text}"
            );
        }
    }
}
