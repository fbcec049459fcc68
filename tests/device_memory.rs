//! What it costs to know a thousand devices with ten addresses each: counted at the allocator, not
//! computed.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(unsafe_code, reason = "only an allocator can count what is allocated")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicI64, Ordering};

use hedgerow::device::neighbours::{Change, Neighbours, Place, Witness};
use hedgerow::mac::Mac;

static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size().cast_signed() as i64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size().cast_signed() as i64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
    let before = LIVE_BYTES.load(Ordering::Relaxed);
    let (table, _service) = Neighbours::new();
    for device in 0..DEVICES {
        // As they come: a few at a time.
        table.apply((0..ADDRESSES).map(|number| Change {
            place: Place::new(address(device, number), 2),
            witness: Witness::Kernel,
            mac: Some(mac(device)),
        }));
    }
    let taken = LIVE_BYTES.load(Ordering::Relaxed) - before;
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
