//! `/etc/ethers`: MAC addresses and the addresses or host names that belong to them, by the
//! administrator's own hand.
//!
//! ```text
//! 02:00:5e:10:00:01 192.0.2.7
//! 02:00:5e:10:00:02 printer
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Faults, LineFault, host_address, is_blank, lines};
use crate::device::HostName;
use crate::device::neighbours::MAX_LEASES;
use crate::mac::Mac;

/// What such a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ethers {
    /// Whose an address is; the later line counts.
    pub addresses: BTreeMap<IpAddr, Mac>,
    /// What somebody calls a device.
    pub names: Vec<(Mac, HostName)>,
    /// Lines beyond those that are remembered.
    pub left_out: usize,
    /// What cannot be understood.
    pub faults: Faults,
}

/// Reads such a file.
pub fn read_ethers(bytes: &[u8]) -> Ethers {
    let mut ethers = Ethers::default();
    for (number, line) in lines(bytes) {
        match line.and_then(|line| read_line(&line)) {
            Ok(None) => {}
            Ok(Some(_)) if ethers.addresses.len() + ethers.names.len() >= MAX_LEASES => {
                ethers.left_out += 1;
            }
            Ok(Some((mac, Host::Address(address)))) => {
                ethers.addresses.insert(address, mac);
            }
            Ok(Some((mac, Host::Name(name)))) => ethers.names.push((mac, name)),
            Err(fault) => ethers.faults.add(number, fault),
        }
    }
    ethers
}

/// What stands behind a MAC address.
enum Host {
    Address(IpAddr),
    Name(HostName),
}

fn read_line(line: &str) -> Result<Option<(Mac, Host)>, LineFault> {
    if is_blank(line) {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let mac = words.next().and_then(|word| word.parse::<Mac>().ok());
    let mac = mac.ok_or(LineFault::Mac)?;
    let host = words.next().ok_or(LineFault::Fields)?;
    if words.next().is_some_and(|word| !word.starts_with('#')) {
        return Err(LineFault::Fields);
    }
    let host = if host.parse::<IpAddr>().is_ok() {
        Host::Address(host_address(host)?)
    } else {
        Host::Name(HostName::new(host).ok_or(LineFault::Host)?)
    };
    Ok(Some((mac, host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(last: u8) -> Mac {
        Mac::new([2, 0, 0x5e, 0x10, 0, last]).unwrap()
    }

    #[test]
    fn addresses_and_names_are_read() {
        let text = "\
# the children's
02:00:5e:10:00:01 192.0.2.7
2:0:5e:10:0:1\t2001:db8::7   # its other address

02:00:5e:10:00:02 Printer.lan
02:00:5e:10:00:03 192.0.2.7
";
        let ethers = read_ethers(text.as_bytes());
        let addresses = [("192.0.2.7", 3), ("2001:db8::7", 1)];
        assert_eq!(
            ethers,
            Ethers {
                addresses: addresses
                    .map(|(address, last)| (address.parse().unwrap(), mac(last)))
                    .into(),
                names: vec![(mac(2), HostName::new("printer").unwrap())],
                left_out: 0,
                faults: Faults::default(),
            }
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let text = "\
02:00:5e:10:00:01
192.0.2.7 02:00:5e:10:00:01
02:00:5e:10:00:01 127.0.0.1
02:00:5e:10:00:01 <b>
02:00:5e:10:00:01 a b
";
        let ethers = read_ethers(text.as_bytes());
        assert!(ethers.addresses.is_empty() && ethers.names.is_empty());
        assert_eq!(ethers.faults.count, 5);
        assert_eq!(
            ethers.faults.to_string(),
            "5 lines cannot be read (line 1: has other fields than such a line; line 2: no MAC \
             address of a device; line 3: an address that no host can have; …)"
        );
    }
}
