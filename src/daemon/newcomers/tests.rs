//! New devices: told of once, remembered, forgotten.

use super::*;
use crate::clock::ManualTime;
use crate::device::neighbours::Change;
use crate::files::MemoryFiles;

const PATH: &str = "/state/devices.seen";

/// A home with its clock, files, living table and memory.
struct Home {
    time: Arc<ManualTime>,
    disk: Arc<MemoryFiles>,
    neighbours: Arc<Neighbours>,
    events: Events,
}

impl Home {
    fn new() -> Self {
        let time = ManualTime::starting_at("2027-01-01T12:00:00Z".parse().unwrap());
        Self {
            time,
            disk: MemoryFiles::new(),
            neighbours: Neighbours::new().0,
            events: Events::default(),
        }
    }

    fn newcomers(&self) -> Newcomers {
        let (files, clock) = (self.disk.files(), self.time.clock());
        Newcomers::load(files, clock, self.events.clone(), Some(Path::new(PATH)))
    }

    /// The kernel sees a MAC address at an address.
    fn sees(&self, address: &str, last: u16) -> Arrival {
        self.says(address, Some(mac(last)));
        Arrival::Mac(self.neighbours.id(mac(last)).unwrap())
    }

    fn says(&self, address: &str, mac: Option<Mac>) {
        self.neighbours.apply([Change {
            place: Place::new(address.parse().unwrap(), 0),
            witness: Witness::Kernel,
            mac,
        }]);
    }

    fn leases(&self, leases: &[(&str, u16, &str)]) {
        let leases = leases.iter().map(|(address, last, name)| Lease {
            address: address.parse().unwrap(),
            mac: Some(mac(*last)),
            host_name: HostName::new(name),
            client_id: None,
            ends: None,
        });
        self.neighbours.set_leases(leases.collect());
    }

    fn list(&self, newcomers: &Newcomers) -> Vec<api::NewDevice> {
        let list = newcomers.list(&Present::of(&self.neighbours));
        list.into_iter().map(|(_, text)| text).collect()
    }
}

fn mac(last: u16) -> Mac {
    let [high, low] = last.to_be_bytes();
    Mac::new([2, 0, 0x5e, 0x10, high, low]).unwrap()
}

fn at(address: &str) -> Arrival {
    Arrival::Address(Place::new(address.parse().unwrap(), 0))
}

fn device(name: &str, last: u16) -> config::Device {
    config::Device {
        name: name.to_owned(),
        profile: 0,
        matches: vec![DeviceMatch::Mac(mac(last))],
        rules: config::Rules::default(),
    }
}

#[test]
fn somebody_new_is_told_of_once_also_after_a_restart() {
    let home = Home::new();
    let mut told = home.events.listen();
    let newcomers = home.newcomers();
    let arrival = home.sees("192.0.2.9", 9);
    home.leases(&[("192.0.2.9", 9, "Mias-iPad")]);
    newcomers.arrive(arrival, &home.neighbours);
    newcomers.arrive(arrival, &home.neighbours);
    let Ok(Event::NewDevice(text)) = told.try_recv() else {
        panic!("it was not told of");
    };
    assert_eq!(text.number, 1);
    assert_eq!(text.host_name.as_deref(), Some("mias-ipad"));
    assert_eq!(text.addresses, ["192.0.2.9"]);
    assert!(text.mac.unwrap().made_up);
    assert_eq!(text.first_seen.as_deref(), Some("2027-01-01T12:00:00Z"));
    newcomers.save(Path::new(PATH), false);
    let before = home.list(&newcomers);
    let newcomers = home.newcomers();
    newcomers.arrive(arrival, &home.neighbours);
    newcomers.look(&[], &home.neighbours);
    assert!(told.try_recv().is_err());
    assert_eq!(home.list(&newcomers), before);
    // Named, and new again once it has no name any more.
    newcomers.look(&[device("tablet", 9)], &home.neighbours);
    assert_eq!(newcomers.count(), 0);
    newcomers.arrive(arrival, &home.neighbours);
    assert!(told.try_recv().is_ok());
    assert_eq!(home.list(&newcomers)[0].number, 2);
}

#[test]
fn who_has_no_mac_address_is_told_of_after_a_second_look() {
    let home = Home::new();
    let mut told = home.events.listen();
    let newcomers = home.newcomers();
    for address in ["192.0.2.9", "198.51.100.7", "2001:db8::1", "2001:db8::2"] {
        newcomers.arrive(at(address), &home.neighbours);
    }
    // The kernel was only slow.
    home.sees("192.0.2.9", 9);
    newcomers.look(&[device("tablet", 9)], &home.neighbours);
    let texts = std::iter::from_fn(|| told.try_recv().ok());
    let texts: Vec<_> = texts
        .map(|Event::NewDevice(text)| text.addresses.join(" "))
        .collect();
    // Two addresses of one network may be one device's.
    assert_eq!(texts, ["198.51.100.7", "2001:db8::2"]);
    newcomers.look(&[], &home.neighbours);
    assert!(told.try_recv().is_err());
}

#[test]
fn each_of_many_is_told_of_once_so_many_an_hour() {
    const MANY: usize = 3 * TOLD_AN_HOUR as usize;
    let home = Home::new();
    let mut told = home.events.listen();
    let newcomers = home.newcomers();
    for n in 0..MANY as u16 {
        newcomers.arrive(Arrival::Claimed(mac(n)), &home.neighbours);
    }
    let mut numbers = Vec::new();
    for hour in 1..=3 {
        // As often as it is looked in an hour.
        for _ in 0..60 {
            newcomers.look(&[], &home.neighbours);
        }
        while let Ok(Event::NewDevice(text)) = told.try_recv() {
            numbers.push(text.number);
        }
        assert_eq!(numbers.len(), hour * TOLD_AN_HOUR as usize);
        home.time.advance(Duration::from_hours(1));
    }
    assert_eq!(numbers, Vec::from_iter(1..=MANY as u32));
    newcomers.look(&[], &home.neighbours);
    assert!(told.try_recv().is_err());
}

#[test]
fn who_was_pushed_out_of_memory_is_told_of_again_when_it_asks() {
    let home = Home::new();
    let (neighbours, mut service) = Neighbours::new();
    let newcomers = home.newcomers();
    let arrival = |n: usize| {
        let address = format!("198.51.{}.{}", n / 256, n % 256);
        at(&address)
    };
    let mut arrived = |arrival: Arrival| {
        neighbours.note_stranger(arrival);
        service.arrivals.try_recv().ok() == Some(arrival)
    };
    assert!(arrived(arrival(0)));
    newcomers.arrive(arrival(0), &neighbours);
    assert!(!arrived(arrival(0)), "it is remembered");
    for n in 1..=MAX_ADDRESSES {
        newcomers.arrive(arrival(n), &neighbours);
    }
    assert!(arrived(arrival(0)), "it is forgotten");
}

#[test]
fn a_flood_is_bounded_in_memory_and_in_the_log() {
    let home = Home::new();
    let mut told = home.events.listen();
    let newcomers = home.newcomers();
    for n in 0..MAX_MACS as u16 + 10 {
        newcomers.arrive(Arrival::Claimed(mac(n)), &home.neighbours);
    }
    assert_eq!(newcomers.count(), MAX_MACS);
    let heard = std::iter::from_fn(|| told.try_recv().ok()).count();
    assert_eq!(heard, TOLD_AN_HOUR as usize);
    for n in 0..MAX_ADDRESSES + 10 {
        let address = format!("198.51.{}.{}", n / 256, n % 256);
        newcomers.arrive(at(&address), &home.neighbours);
    }
    assert_eq!(newcomers.count(), MAX_MACS + MAX_ADDRESSES);
    // An hour later it is told again.
    home.time.advance(Duration::from_hours(1));
    newcomers.arrive(Arrival::Claimed(mac(5_000)), &home.neighbours);
    assert!(told.try_recv().is_ok());
    newcomers.save(Path::new(PATH), false);
    assert_eq!(home.newcomers().count(), MAX_MACS + MAX_ADDRESSES);
}

#[test]
fn the_file_is_written_once_a_minute_at_most_and_begun_anew_when_broken() {
    let home = Home::new();
    let newcomers = home.newcomers();
    let path = Path::new(PATH);
    let written = || home.disk.files().read(path, MAX_FILE).ok();
    newcomers.save(path, true);
    assert_eq!(written(), None, "nothing to write");
    newcomers.arrive(Arrival::Claimed(mac(1)), &home.neighbours);
    newcomers.save(path, false);
    let first = written().unwrap();
    newcomers.arrive(Arrival::Claimed(mac(2)), &home.neighbours);
    newcomers.save(path, false);
    assert_eq!(written().unwrap(), first);
    home.time.advance(WRITE_EVERY);
    newcomers.save(path, false);
    let second = written().unwrap();
    assert_ne!(second, first);
    newcomers.arrive(Arrival::Claimed(mac(3)), &home.neighbours);
    newcomers.save(path, true);
    assert_ne!(written().unwrap(), second, "the end does not wait");
    for broken in [
        "",
        "{",
        "[1]",
        "{\"new\": [{\"number\": 1, \"whom\": \"x\"}]}",
    ] {
        home.disk.put(path, broken);
        assert_eq!(home.newcomers().count(), 0, "{broken}");
    }
    let text = "{\"new\":[{\"number\":1,\"whom\":\"192.0.2.1\",\"host-name\":\"a\\u001b[2J\",\
         \"client-id\":\"zz\"}]}";
    home.disk.put(path, text);
    let list = home.list(&home.newcomers());
    assert_eq!(
        (list.len(), &list[0].host_name, &list[0].client_id),
        (1, &None, &None)
    );
}

#[test]
fn who_vanished_and_looks_alike_is_a_guess() {
    let home = Home::new();
    let newcomers = home.newcomers();
    let devices = [device("tablet", 1), device("phone", 2)];
    home.sees("192.0.2.1", 1);
    home.sees("192.0.2.2", 2);
    home.leases(&[("192.0.2.1", 1, "mias-ipad"), ("192.0.2.2", 2, "phone")]);
    newcomers.look(&devices, &home.neighbours);
    let like = |asked: Option<u64>| {
        let present = Present::of(&home.neighbours);
        let (newcomer, _) = newcomers.list(&present).remove(0);
        newcomers.like(&newcomer, &devices, &present, |_| asked)
    };
    home.time.advance(Duration::from_hours(2));
    let arrival = home.sees("192.0.2.3", 3);
    home.leases(&[("192.0.2.3", 3, "mias-ipad")]);
    newcomers.arrive(arrival, &home.neighbours);
    let guess = Some((0, "host name mias-ipad".to_owned()));
    assert_eq!(like(None), None, "the tablet is there");
    assert_eq!(
        like(Some(0)),
        guess,
        "it asked nothing since the new one came"
    );
    assert_eq!(like(Some(u64::MAX)), None, "it asks");
    home.says("192.0.2.1", None);
    newcomers.look(&devices, &home.neighbours);
    assert_eq!(like(None), guess, "it is gone");
    // A restart forgets neither.
    newcomers.save(Path::new(PATH), true);
    let newcomers = home.newcomers();
    let present = Present::of(&home.neighbours);
    let (newcomer, _) = newcomers.list(&present).remove(0);
    assert_eq!(
        newcomers.like(&newcomer, &devices, &present, |_| None),
        guess
    );
    // Two that look alike are none.
    home.leases(&[("192.0.2.2", 2, "mias-ipad")]);
    home.says("192.0.2.2", None);
    newcomers.look(&devices, &home.neighbours);
    let present = Present::of(&home.neighbours);
    assert_eq!(
        newcomers.like(&newcomer, &devices, &present, |_| None),
        None
    );
}
