//! What it costs to know a thousand devices with ten addresses each: counted at the allocator, not
//! computed.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/allocator.rs"]
#[allow(dead_code, reason = "two test binaries share this, each uses a part")]
mod allocator;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use allocator::live_bytes;
use hedgerow::device::neighbours::{Change, Neighbours, Place, Witness};
use hedgerow::mac::Mac;

const DEVICES: u16 = 1_000;
const ADDRESSES: u16 = 10;

fn mac(device: u16) -> Mac {
    let [high, low] = device.to_be_bytes();
    Mac::new([0x02, 0, 0x5e, 0x10, high, low]).unwrap()
}

/// The first address of a device is an IPv4 one.
fn address(device: u16, number: u16) -> IpAddr {
    let [high, low] = device.to_be_bytes();
    match number {
        0 => Ipv4Addr::new(10, 0, high, low).into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, number, 7, 7, device).into(),
    }
}

#[test]
fn a_thousand_devices_with_ten_addresses_each_take_less_than_a_megabyte() {
    let before = live_bytes();
    let (table, _service) = Neighbours::new();
    for device in 0..DEVICES {
        // As they come: a few at a time.
        table.apply((0..ADDRESSES).map(|number| Change {
            place: Place::new(address(device, number), 2),
            witness: Witness::Kernel,
            mac: Some(mac(device)),
        }));
    }
    let taken = live_bytes() - before;
    println!("{taken} octets");
    for device in 0..DEVICES {
        for number in 0..ADDRESSES {
            let known = table.find(Place::new(address(device, number), 2)).unwrap();
            let (id, witness) = known.best().unwrap();
            assert_eq!(
                (table.mac(id), witness),
                (Some(mac(device)), Witness::Kernel)
            );
        }
    }
    assert!(taken <= 1_000_000, "{taken}");
}
