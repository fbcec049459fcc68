//! Names of the home, and who has them.

use std::sync::Arc;

use super::super::neighbours::{Change, Neighbours, Witness};
use super::*;
use crate::config::{Overrides, load_embedded};
use crate::files::MemoryFiles;

/// The household of these tests.
const HOME: &str = r#"
[[device]]
name = "Mia's Tablet"
profile = "schoolchild"
mac = ["02:00:5e:10:00:01"]

[[device]]
name = "printer"
profile = "adult"
address = ["192.0.2.9"]

[[device]]
name = "laptop"
profile = "adult"
mac = ["02:00:5e:10:00:02"]
address = ["192.0.2.10", "192.0.2.64/26"]

[[device]]
name = "Printer"
profile = "adult"
address = ["192.0.2.11"]
"#;

struct World {
    neighbours: Arc<Neighbours>,
    devices: Devices,
    names: HomeNames,
}

fn config(text: &str) -> Config {
    let files = MemoryFiles::new().files();
    let loaded = load_embedded(text, &files, &Overrides::default());
    loaded
        .config
        .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn world(text: &str) -> World {
    let config = config(text);
    let neighbours = Neighbours::new().0;
    let devices = Devices::new(&config.devices, &[], Arc::clone(&neighbours));
    let names = HomeNames::new(&config, &devices);
    World {
        neighbours,
        devices,
        names,
    }
}

fn mac(last: u8) -> Mac {
    Mac::new([2, 0, 0x5e, 0x10, 0, last]).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn lease(text: &str, last: Option<u8>, name: &str) -> Lease {
    Lease {
        address: address(text),
        mac: last.map(mac),
        host_name: HostName::new(name),
        client_id: None,
        ends: None,
    }
}

impl World {
    fn says(&self, witness: Witness, text: &str, last: Option<u8>) {
        self.neighbours.apply([Change {
            place: Place::new(address(text), 7),
            witness,
            mac: last.map(mac),
        }]);
    }

    fn lease(&self, leases: &[Lease]) {
        for lease in leases {
            self.neighbours.apply([Change {
                place: Place::new(lease.address, 0),
                witness: Witness::Lease,
                mac: lease.mac,
            }]);
        }
        self.neighbours.set_leases(leases.to_vec());
    }

    fn ask(&self, qname: &str, qtype: u16) -> Option<HomeAnswer> {
        self.ask_as(qname, qtype, None, true)
    }

    fn ask_as(
        &self,
        qname: &str,
        qtype: u16,
        client: Option<&str>,
        hears_all: bool,
    ) -> Option<HomeAnswer> {
        let asking = Asking {
            client: client.map(address),
            hears_all,
        };
        let qname = Name::parse(qname).unwrap();
        self.names
            .find(qname.as_ref(), qtype, &self.devices, asking)
    }

    fn addresses(&self, label: &str, qtype: u16) -> Vec<String> {
        match self.ask(&format!("{label}.home.arpa"), qtype) {
            Some(HomeAnswer::Addresses(all)) => all.iter().map(ToString::to_string).collect(),
            Some(HomeAnswer::NoData) => Vec::new(),
            other => vec![format!("{other:?}")],
        }
    }

    fn reverse(&self, text: &str, client: Option<&str>, hears_all: bool) -> Option<HomeAnswer> {
        let qname = NameBuf::reverse_of(address(text)).to_string();
        self.ask_as(&qname, rtype::PTR, client, hears_all)
    }

    fn name_of(&self, text: &str) -> String {
        match self.reverse(text, Some("192.0.2.10"), true) {
            Some(HomeAnswer::Pointer(name)) => name.to_string(),
            other => format!("{other:?}"),
        }
    }
}

#[test]
fn a_name_for_people_becomes_a_label() {
    for (name, expected) in [
        ("tablet", Some("tablet")),
        ("Mia's Tablet", Some("mias-tablet")),
        ("Mia’s  iPad (new)", Some("mias-ipad-new")),
        ("a.b_c", Some("a-b-c")),
        ("-- x --", Some("x")),
        ("Größe", Some("xn--gre-6ka8i")),
        ("日本", Some("xn--wgv71a")),
        ("!?", None),
        ("'", None),
    ] {
        assert_eq!(label_of(name).as_deref(), expected, "{name}");
    }
    assert_eq!(label_of(&"a".repeat(64)), None);
}

#[test]
fn a_device_has_the_addresses_of_its_mac_addresses() {
    let world = world(HOME);
    for text in ["192.0.2.7", "2001:db8::7", "fd00::7", "fe80::7"] {
        world.says(Witness::Kernel, text, Some(1));
    }
    world.says(Witness::Lease, "192.0.2.8", Some(1));
    assert_eq!(
        world.addresses("mias-tablet", rtype::A),
        ["192.0.2.7", "192.0.2.8"]
    );
    assert_eq!(
        world.addresses("MIAS-Tablet", rtype::AAAA),
        ["2001:db8::7", "fd00::7"]
    );
    assert_eq!(world.name_of("2001:db8::7"), "mias-tablet.home.arpa");
    assert_eq!(world.name_of("192.0.2.8"), "mias-tablet.home.arpa");
    assert_eq!(world.name_of("fe80::7"), "None");
    // Gone from the table, gone from the name.
    world.says(Witness::Kernel, "2001:db8::7", None);
    assert_eq!(world.addresses("mias-tablet", rtype::AAAA), ["fd00::7"]);
    assert_eq!(world.name_of("2001:db8::7"), "None");
}

#[test]
fn an_address_in_the_configuration_counts_unless_somebody_else_has_it() {
    let world = world(HOME);
    assert_eq!(world.addresses("printer", rtype::A), ["192.0.2.9"]);
    assert_eq!(world.addresses("laptop", rtype::A), ["192.0.2.10"]);
    assert_eq!(world.name_of("192.0.2.9"), "printer.home.arpa");
    // A prefix is nobody's address.
    assert_eq!(world.name_of("192.0.2.70"), "None");
    // The child takes both.
    world.says(Witness::Kernel, "192.0.2.9", Some(1));
    world.says(Witness::Kernel, "192.0.2.10", Some(1));
    assert_eq!(world.addresses("printer", rtype::A), [""; 0]);
    assert_eq!(world.addresses("laptop", rtype::A), [""; 0]);
    assert_eq!(
        world.addresses("mias-tablet", rtype::A),
        ["192.0.2.9", "192.0.2.10"]
    );
    assert_eq!(world.name_of("192.0.2.9"), "mias-tablet.home.arpa");
    // A stranger takes one: the printer has no MAC address to tell it by, the laptop has.
    world.says(Witness::Kernel, "192.0.2.9", Some(9));
    world.says(Witness::Kernel, "192.0.2.10", Some(9));
    assert_eq!(world.addresses("printer", rtype::A), ["192.0.2.9"]);
    assert_eq!(world.addresses("laptop", rtype::A), [""; 0]);
    assert_eq!(world.name_of("192.0.2.10"), "None");
}

#[test]
fn who_takes_many_addresses_takes_nobody_s_name() {
    let world = world(HOME);
    // As many as behind a repeater, and a parent's and the printer's among them.
    for text in ["192.0.2.9", "192.0.2.10", "192.0.2.30", "192.0.2.31"] {
        world.says(Witness::Kernel, text, Some(1));
    }
    let id = world.neighbours.id(mac(1)).unwrap();
    assert!(world.neighbours.is_shared(id));
    assert_eq!(world.addresses("laptop", rtype::A), [""; 0]);
    assert_eq!(world.addresses("printer", rtype::A), [""; 0]);
    assert_eq!(world.name_of("192.0.2.10"), "mias-tablet.home.arpa");
    // So does a stranger: what has no MAC address to be told by keeps its address.
    for text in ["192.0.2.9", "192.0.2.10", "192.0.2.30", "192.0.2.31"] {
        world.says(Witness::Kernel, text, Some(9));
    }
    let id = world.neighbours.id(mac(9)).unwrap();
    assert!(world.neighbours.is_shared(id));
    assert_eq!(world.addresses("printer", rtype::A), ["192.0.2.9"]);
    assert_eq!(world.addresses("laptop", rtype::A), [""; 0]);
    assert_eq!(world.name_of("192.0.2.10"), "None");
}

#[test]
fn who_told_a_dhcp_server_its_name_has_it_too() {
    let world = world(HOME);
    world.lease(&[
        lease("192.0.2.20", Some(5), "TV"),
        lease("2001:db8::20", Some(5), "tv"),
        lease("192.0.2.21", None, "box"),
        lease("192.0.2.22", Some(6), "tv"),
        lease("192.0.2.23", Some(7), "printer"),
        lease("192.0.2.24", Some(1), "android"),
    ]);
    world.says(Witness::Kernel, "fd00::20", Some(5));
    assert_eq!(world.addresses("tv", rtype::A), ["192.0.2.20"]);
    assert_eq!(
        world.addresses("tv", rtype::AAAA),
        ["2001:db8::20", "fd00::20"]
    );
    assert_eq!(world.name_of("fd00::20"), "tv.home.arpa");
    assert_eq!(world.addresses("box", rtype::A), ["192.0.2.21"]);
    assert_eq!(world.name_of("192.0.2.21"), "box.home.arpa");
    // The second television has no name, and is nobody's business elsewhere.
    assert_eq!(world.name_of("192.0.2.22"), "None");
    // What the configuration calls so keeps its name.
    assert_eq!(world.addresses("printer", rtype::A), ["192.0.2.9"]);
    assert_eq!(world.name_of("192.0.2.23"), "Some(Nowhere)");
    // A device's own name stands in front of what it calls itself.
    assert_eq!(world.name_of("192.0.2.24"), "mias-tablet.home.arpa");
    assert_eq!(world.addresses("android", rtype::A), ["192.0.2.24"]);
}

#[test]
fn who_had_a_name_first_keeps_it_as_long_as_it_has_a_lease() {
    let world = world(HOME);
    let first = lease("192.0.2.20", Some(5), "tv");
    let second = lease("192.0.2.21", Some(6), "tv");
    world.lease(std::slice::from_ref(&first));
    // dnsmasq writes the newest lease first.
    world.lease(&[second.clone(), first]);
    assert_eq!(world.addresses("tv", rtype::A), ["192.0.2.20"]);
    world.says(Witness::Lease, "192.0.2.20", None);
    world.lease(&[second]);
    assert_eq!(world.addresses("tv", rtype::A), ["192.0.2.21"]);
    // What an administrator wrote counts before both.
    let name = HostName::new("tv").unwrap();
    world.neighbours.set_host_names(vec![(mac(8), name)]);
    assert_eq!(world.addresses("tv", rtype::A), [""; 0]);
    world.says(Witness::Kernel, "192.0.2.30", Some(8));
    assert_eq!(world.addresses("tv", rtype::A), ["192.0.2.30"]);
    assert_eq!(world.name_of("192.0.2.30"), "tv.home.arpa");
}

#[test]
fn an_address_that_another_uses_is_not_behind_a_lease_s_name() {
    let world = world(HOME);
    world.lease(&[lease("192.0.2.20", Some(5), "tv")]);
    world.says(Witness::Kernel, "192.0.2.20", Some(1));
    assert_eq!(world.addresses("tv", rtype::A), [""; 0]);
    assert_eq!(world.name_of("192.0.2.20"), "mias-tablet.home.arpa");
}

#[test]
fn other_types_and_names_have_their_answers() {
    let world = world(HOME);
    for (qname, qtype, expected) in [
        ("home.arpa", rtype::A, HomeAnswer::NoData),
        ("home.arpa", rtype::SOA, HomeAnswer::NoData),
        ("printer.home.arpa", 16, HomeAnswer::NoData),
        ("printer.home.arpa", rtype::AAAA, HomeAnswer::NoData),
        ("mias-tablet.home.arpa", rtype::A, HomeAnswer::NoData),
        ("nobody.home.arpa", rtype::A, HomeAnswer::Nowhere),
        ("x.printer.home.arpa", rtype::A, HomeAnswer::Nowhere),
        ("9.2.0.192.in-addr.arpa", 16, HomeAnswer::NoData),
    ] {
        assert_eq!(world.ask(qname, qtype), Some(expected), "{qname} {qtype}");
    }
    for qname in [
        "xhome.arpa",
        "arpa",
        "printer.home.arpa.example",
        "2.0.192.in-addr.arpa",
        "1.9.2.0.192.in-addr.arpa",
        "200.2.0.192.in-addr.arpa",
    ] {
        assert_eq!(world.ask(qname, rtype::PTR), None, "{qname}");
    }
}

#[test]
fn a_guest_cannot_walk_through_the_home() {
    let world = world(HOME);
    world.lease(&[lease("192.0.2.20", Some(5), "tv")]);
    let pointer = |name: &str| {
        let name = Name::parse(name).unwrap();
        Some(HomeAnswer::Pointer(name))
    };
    for (asked, client, hears_all, expected) in [
        ("192.0.2.9", "192.0.2.20", false, Some(HomeAnswer::Nowhere)),
        ("192.0.2.20", "192.0.2.20", false, pointer("tv.home.arpa")),
        (
            "192.0.2.9",
            "192.0.2.10",
            true,
            pointer("printer.home.arpa"),
        ),
    ] {
        let said = world.reverse(asked, Some(client), hears_all);
        assert_eq!(said, expected, "{client} asks {asked}");
    }
}

#[test]
fn the_domain_is_the_household_s_to_choose() {
    let other = world(&format!("[identity]\nhome-domain = \"lan\"\n{HOME}"));
    assert_eq!(
        other.ask("printer.lan", rtype::A),
        Some(HomeAnswer::Addresses(vec![address("192.0.2.9")]))
    );
    assert_eq!(other.ask("printer.home.arpa", rtype::A), None);
    assert_eq!(other.name_of("192.0.2.9"), "printer.lan");
    let off = world(&format!("[identity]\nhome-domain = \"\"\n{HOME}"));
    assert_eq!(off.ask("printer.home.arpa", rtype::A), None);
    assert_eq!(off.name_of("192.0.2.9"), "None");
}

#[test]
fn two_devices_with_one_label_are_told() {
    assert_eq!(
        doubts(&config(HOME)),
        ["device `Printer` has no name in `home.arpa`: `printer.home.arpa` is device `printer`"]
    );
    let odd = "[[device]]\nname = \"!?\"\nprofile = \"adult\"\naddress = [\"192.0.2.1\"]\n";
    assert_eq!(
        doubts(&config(odd)),
        ["device `!?` has no name in `home.arpa`: nothing of its name can stand there"]
    );
    assert_eq!(
        doubts(&config(&format!("[identity]\nhome-domain = \"\"\n{odd}"))),
        [""; 0]
    );
}

#[test]
fn an_answer_fits_into_a_datagram() {
    let world = world(HOME);
    for n in 0..100 {
        world.says(Witness::Kernel, &format!("2001:db8::{n:x}"), Some(1));
    }
    let all = world.addresses("mias-tablet", rtype::AAAA);
    assert_eq!(all.len(), MAX_ADDRESSES);
}
