//! Kea's memfile: a journal in comma-separated lines under a line of column names.
//!
//! ```text
//! address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context
//! 192.0.2.7,02:00:5e:10:00:01,01:02:00:5e:10:00:01,3600,1795003600,1,0,0,mias-tablet,0,
//! ```
//!
//! Versions add columns, so they are found by name. A later line about an address is the one that
//! counts; a lifetime of 0 takes the lease away, and so does every state but 0. Commas inside a field
//! are written as `&#x2c`.

use std::net::IpAddr;

use super::hex::{client_id, mac_in_duid, octets};
use super::{Book, Faults, LineFault, host_address, is_blank, lines};
use crate::device::{HostName, Lease};
use crate::mac::Mac;

pub(super) fn read(bytes: &[u8], book: &mut Book, faults: &mut Faults) {
    let mut columns = Columns::default();
    for (number, line) in lines(bytes) {
        let line = match line {
            Ok(line) if is_blank(&line) => continue,
            Ok(line) if line.starts_with("address,") => {
                columns = Columns::read(&line);
                continue;
            }
            Ok(line) => line,
            Err(fault) => {
                faults.add(number, fault);
                continue;
            }
        };
        match columns.read_line(&line) {
            Ok(Entry::Lease(lease)) => book.put(lease),
            Ok(Entry::Gone(address)) => book.remove(address),
            Ok(Entry::Network) => {}
            Err(fault) => faults.add(number, fault),
        }
    }
}

/// What a line says.
enum Entry {
    /// A lease.
    Lease(Lease),
    /// The address is nobody's any more.
    Gone(IpAddr),
    /// A whole network was given to a router of its own.
    Network,
}

/// Where the columns stand.
#[derive(Debug, Default)]
struct Columns {
    count: usize,
    hwaddr: Option<usize>,
    client_id: Option<usize>,
    duid: Option<usize>,
    valid_lifetime: Option<usize>,
    expire: Option<usize>,
    lease_type: Option<usize>,
    hostname: Option<usize>,
    state: Option<usize>,
}

impl Columns {
    fn read(line: &str) -> Self {
        let names: Vec<&str> = line.split(',').collect();
        let find = |wanted: &str| names.iter().position(|name| *name == wanted);
        Self {
            count: names.len(),
            hwaddr: find("hwaddr"),
            client_id: find("client_id"),
            duid: find("duid"),
            valid_lifetime: find("valid_lifetime"),
            expire: find("expire"),
            lease_type: find("lease_type"),
            hostname: find("hostname"),
            state: find("state"),
        }
    }

    fn read_line(&self, line: &str) -> Result<Entry, LineFault> {
        /// A lifetime without end (RFC 2131 section 3.3).
        const FOR_EVER: u64 = 0xffff_ffff;
        let fields: Vec<&str> = line.split(',').collect();
        if fields.len() != self.count {
            return Err(LineFault::Fields);
        }
        let field = |column: Option<usize>| column.map_or("", |column| fields[column]);
        let number = |column: Option<usize>| field(column).parse::<u64>();
        if !matches!(field(self.lease_type), "" | "0" | "1") {
            return Ok(Entry::Network);
        }
        let address = host_address(fields[0])?;
        let lifetime = number(self.valid_lifetime).map_err(|_| LineFault::Time)?;
        let expire = number(self.expire).map_err(|_| LineFault::Time)?;
        if lifetime == 0 || !matches!(field(self.state), "" | "0") {
            return Ok(Entry::Gone(address));
        }
        let duid = octets(field(self.duid));
        let mac = field(self.hwaddr).parse::<Mac>().ok();
        Ok(Entry::Lease(Lease {
            address,
            mac: mac.or_else(|| mac_in_duid(duid.as_deref()?)),
            host_name: HostName::new(field(self.hostname)),
            client_id: duid
                .or_else(|| octets(field(self.client_id)))
                .and_then(client_id),
            ends: (lifetime != FOR_EVER).then_some(expire),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, bare, lease};
    use super::super::{Format, read_leases};
    use super::*;

    #[test]
    fn the_last_line_about_an_address_counts() {
        let text = "\
address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id
192.0.2.7,02:00:5e:10:00:01,01:02:00:5e:10:00:01,3600,1795001800,1,0,0,mias-tablet,0,,0
192.0.2.8,02:00:5e:10:00:02,,3600,1795003600,1,0,0,,0,,0
192.0.2.9,02:00:5e:10:00:03,,3600,1795003600,1,0,0,phone,0,,0
192.0.2.7,02:00:5e:10:00:01,01:02:00:5e:10:00:01,3600,1795003600,1,0,0,Mias-Tablet.lan,0,{ \"a\": \"b&#x2cc\" },0
192.0.2.8,02:00:5e:10:00:02,,0,1795003600,1,0,0,,0,,0
192.0.2.9,02:00:5e:10:00:03,,3600,1795003600,1,0,0,phone,2,,0
192.0.2.10,,,4294967295,1795000000,1,0,0,,0,,0
192.0.2.11,02:00:5e:10:00:04,,3600,1794000000,1,0,0,,0,,0
192.0.2.12,02:00:5e:10:00:05,,3600,1795003600,1,0,0,,1,,0
";
        let reading = read_leases(text.as_bytes(), NOW);
        assert_eq!(reading.format, Some(Format::Kea));
        assert_eq!(reading.faults, Faults::default());
        let one = Some("02:00:5e:10:00:01");
        assert_eq!(
            bare(&reading),
            [
                lease("192.0.2.7", one, Some("mias-tablet"), Some(1_795_003_600)),
                lease("192.0.2.10", None, None, None),
            ]
        );
        assert_eq!(
            reading.leases[0].client_id.as_deref(),
            Some(&[1, 2, 0, 0x5e, 0x10, 0, 1][..])
        );
    }

    #[test]
    fn a_duid_tells_the_mac_address_where_no_column_does() {
        let text = "\
address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state,user_context
2001:db8::7,00:03:00:01:02:00:5e:10:00:01,3600,1795003600,1,1800,0,7,128,0,0,mias-tablet,,0,
2001:db8::8,00:03:00:01:02:00:5e:10:00:01,3600,1795003600,1,1800,1,7,128,0,0,,02:00:5e:10:00:02,0,
2001:db8:0:10::,00:03:00:01:02:00:5e:10:00:01,3600,1795003600,1,1800,2,7,60,0,0,,,0,
";
        let reading = read_leases(text.as_bytes(), NOW);
        let ends = Some(1_795_003_600);
        assert_eq!(reading.faults, Faults::default());
        assert_eq!(
            bare(&reading),
            [
                lease(
                    "2001:db8::7",
                    Some("02:00:5e:10:00:01"),
                    Some("mias-tablet"),
                    ends
                ),
                lease("2001:db8::8", Some("02:00:5e:10:00:02"), None, ends),
            ]
        );
    }

    #[test]
    fn a_line_of_other_fields_is_told() {
        let text = "\
address,hwaddr,client_id,valid_lifetime,expire,hostname,state
192.0.2.7,02:00:5e:10:00:01,,3600,1795003600,a,b,0
192.0.2.7,02:00:5e:10:00:01,,3600
192.0.2.7,02:00:5e:10:00:01,,soon,1795003600,,0
192.0.2.7/24,02:00:5e:10:00:01,,3600,1795003600,,0
";
        let reading = read_leases(text.as_bytes(), NOW);
        assert_eq!((reading.leases, reading.faults.count), (vec![], 4));
    }
}
