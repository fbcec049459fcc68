//! dnsmasq's lease file.
//!
//! ```text
//! 1795003600 02:00:5e:10:00:01 192.0.2.7 mias-tablet 01:02:00:5e:10:00:01
//! 1795003600 02:00:5e:10:00:02 192.0.2.8 * *
//! duid 00:01:00:01:2c:3d:4e:5f:02:00:5e:10:00:fe
//! 1795003600 1578106 2001:db8::7 mias-tablet 00:03:00:01:02:00:5e:10:00:01
//! ```
//!
//! End (0 for never), MAC address, address, host name or `*`, client identifier or `*`. IPv6 leases
//! follow the server's own DUID, with an IAID in place of the MAC address, behind a `T` for temporary
//! addresses, and the client's DUID.

use super::hex::{client_id, mac_in_duid, octets};
use super::{Book, Faults, LineFault, host_address, is_blank, lines};
use crate::device::{HostName, Lease};
use crate::mac::Mac;

pub(super) fn read(bytes: &[u8], book: &mut Book, faults: &mut Faults) {
    for (number, line) in lines(bytes) {
        match line.and_then(|line| read_line(&line)) {
            Ok(Some(lease)) => book.put(lease),
            Ok(None) => {}
            Err(fault) => faults.add(number, fault),
        }
    }
}

/// The lease on a line, if one stands there.
fn read_line(line: &str) -> Result<Option<Lease>, LineFault> {
    if is_blank(line) {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().ok_or(LineFault::Fields);
    let (ends, who) = (word()?, word()?);
    if ends == "duid" {
        return Ok(None);
    }
    // What later versions keep of relays and vendors beside a lease.
    if matches!(ends, "agent-info" | "vendorclass") {
        return Ok(None);
    }
    let ends: u64 = ends.parse().map_err(|_| LineFault::Time)?;
    let address = host_address(word()?)?;
    let (name, id) = (word()?, words.next().unwrap_or("*"));
    if words.next().is_some() {
        return Err(LineFault::Fields);
    }
    let id = octets(id);
    let mac = if address.is_ipv4() {
        // `06-…` is hardware of another type than Ethernet.
        who.parse::<Mac>().ok()
    } else {
        id.as_deref().and_then(mac_in_duid)
    };
    Ok(Some(Lease {
        address,
        mac,
        host_name: HostName::new(name),
        client_id: id.and_then(client_id),
        ends: (ends != 0).then_some(ends),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, bare, lease};
    use super::super::{Format, read_leases};
    use super::*;

    #[test]
    fn leases_of_both_families_are_read() {
        let text = "\
1795003600 02:00:5e:10:00:01 192.0.2.7 Mias-Tablet ff:5e:10:00:01:00:03:00:01:02:00:5e:10:00:01
0 02:00:5e:10:00:02 192.0.2.8 * *
1795003600 06-02:00:5e:10:00:03 192.0.2.9 printer 01:02
1795003600 02:00:5e:10:00:04 192.0.2.10 old
1794999999 02:00:5e:10:00:05 192.0.2.11 gone *
duid 00:01:00:01:2c:3d:4e:5f:02:00:5e:10:00:fe
1795003600 1578106 2001:db8::7 mias-tablet 00:03:00:01:02:00:5e:10:00:01
1795003600 T1578107 2001:db8::8 * 00:01:00:01:2c:3d:4e:5f:02:00:5e:10:00:01
1795003600 9 2001:db8::9 * 00:04:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff
";
        let reading = read_leases(text.as_bytes(), NOW);
        let (one, two) = (Some("02:00:5e:10:00:01"), Some("02:00:5e:10:00:02"));
        let ends = Some(1_795_003_600);
        assert_eq!(reading.format, Some(Format::Dnsmasq));
        assert_eq!(reading.faults, Faults::default());
        assert_eq!(
            bare(&reading),
            [
                lease("192.0.2.7", one, Some("mias-tablet"), ends),
                lease("192.0.2.8", two, None, None),
                lease("192.0.2.9", None, Some("printer"), ends),
                lease("192.0.2.10", Some("02:00:5e:10:00:04"), Some("old"), ends),
                lease("2001:db8::7", one, Some("mias-tablet"), ends),
                lease("2001:db8::8", one, None, ends),
                lease("2001:db8::9", None, None, ends),
            ]
        );
        assert_eq!(reading.leases[2].client_id.as_deref(), Some(&[1, 2][..]));
        assert_eq!(reading.leases[4].client_id.as_ref().unwrap().len(), 10);
    }

    #[test]
    fn a_broken_line_is_told_and_the_others_count() {
        let text = "\
1795003600 02:00:5e:10:00:01 192.0.2.7 a *
1795003600 02:00:5e:10:00:02 192.0.2.8 two words *
soon 02:00:5e:10:00:03 192.0.2.9 * *
1795003600 02:00:5e:10:00:04 127.0.0.1 * *
1795003600 02:00:5e:10:00:05
1795003600 03:00:5e:10:00:06 192.0.2.12 \u{1b}[2J *
";
        let reading = read_leases(text.as_bytes(), NOW);
        assert_eq!(
            bare(&reading),
            [
                lease(
                    "192.0.2.7",
                    Some("02:00:5e:10:00:01"),
                    Some("a"),
                    Some(1_795_003_600)
                ),
                lease("192.0.2.12", None, None, Some(1_795_003_600)),
            ]
        );
        assert_eq!(reading.faults.count, 4);
        assert_eq!(
            reading.faults.first,
            [
                (2, LineFault::Fields),
                (3, LineFault::Time),
                (4, LineFault::Address)
            ]
        );
    }

    #[test]
    fn a_name_that_is_no_text_costs_nothing_but_the_name() {
        let line = b"1795003600 02:00:5e:10:00:01 192.0.2.7 \xff\xfe *\r\n";
        let reading = read_leases(line, NOW);
        assert_eq!(reading.faults.count, 0);
        assert_eq!(reading.leases[0].host_name, None);
    }
}
