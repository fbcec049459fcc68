mod ids;

use super::*;
use crate::message::Decoded;

fn device(name: &str, matches: Vec<DeviceMatch>) -> config::Device {
    config::Device {
        name: name.to_owned(),
        profile: 0,
        matches,
        rules: config::Rules::default(),
    }
}

fn net(text: &str) -> DeviceMatch {
    DeviceMatch::Net(text.parse().unwrap())
}

fn from(address: &str) -> Origin {
    Origin::new(address.parse().unwrap(), 0, 0)
}

fn on_link(net: &str) -> neighbours::Link {
    neighbours::Link {
        interface: 3,
        net: net.parse().unwrap(),
    }
}

#[test]
fn the_most_specific_match_wins() {
    let listeners = [config::Listen {
        address: "127.0.0.1:53".parse().unwrap(),
        name: Some("kids".to_owned()),
    }];
    let devices = Devices::new(
        &[
            device("home", vec![net("192.168.1.0/24"), net("2001:db8::/32")]),
            device("kids", vec![net("192.168.1.64/26")]),
            device(
                "tablet",
                vec![net("192.168.1.70/32"), net("2001:db8::7/128")],
            ),
            device("asked-kids", vec![DeviceMatch::Listener("kids".to_owned())]),
        ],
        &listeners,
        Neighbours::new().0,
    );
    for (address, expected) in [
        ("192.168.1.70", "tablet"),
        ("192.168.1.71", "kids"),
        ("192.168.1.1", "home"),
        ("2001:db8::7", "tablet"),
        ("2001:db8::8", "home"),
        ("10.0.0.1", "asked-kids"),
    ] {
        let index = devices.settle(&from(address), None).unwrap();
        assert_eq!(devices.device(index).unwrap().name, expected, "{address}");
    }
    let elsewhere = Origin {
        listener: 1,
        ..from("10.0.0.1")
    };
    assert_eq!(devices.identify(&elsewhere, None), Who::Guest);
    assert_eq!(
        devices.known_by(&from("192.168.1.71"), None).to_string(),
        "prefix 192.168.1.64/26"
    );
}

/// A family behind a forwarder at 192.0.2.1, which is a device itself.
fn behind_a_forwarder() -> Devices {
    let mac = |text: &str| DeviceMatch::Mac(text.parse().unwrap());
    let listeners = ["plain", "kids"].map(|name| config::Listen {
        address: "127.0.0.1:53".parse().unwrap(),
        name: Some(name.to_owned()),
    });
    let forwarder = Forwarder {
        addresses: vec!["192.0.2.1/32".parse().unwrap()],
        macs: vec![],
        trust: config::Trust {
            mac: true,
            cpe_id: true,
            subscriber: true,
            client_subnet: true,
        },
        subscriber_option: 65_280,
        proxy: false,
    };
    Devices::new(
        &[
            device("router", vec![net("192.0.2.1/32")]),
            device("parent", vec![mac("02:00:5e:10:00:02"), net("10.0.0.2/32")]),
            device("tablet", vec![mac("02:00:5e:10:00:01")]),
            device("line", vec![DeviceMatch::CpeId("line-1".to_owned())]),
            device("family", vec![DeviceMatch::Subscriber("f-1".to_owned())]),
            device("printer", vec![net("10.0.0.9/32")]),
            device("office", vec![net("10.1.0.0/16")]),
            device("everybody", vec![DeviceMatch::Interface("lo".to_owned())]),
            device("kids", vec![DeviceMatch::Listener("kids".to_owned())]),
        ],
        &listeners,
        Neighbours::new().0,
    )
    .with_forwarders(&[forwarder])
}

/// A query with these EDNS options.
fn message(options: &[Opt<'_>]) -> Vec<u8> {
    let each = options.iter().flat_map(|(code, value)| {
        let length = (value.len() as u16).to_be_bytes();
        [&code.to_be_bytes()[..], &length, value].concat()
    });
    let data: Vec<u8> = each.collect();
    let mut out = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1];
    out.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, data.len() as u8]);
    out.extend(data);
    out
}

fn claimed(devices: &Devices, origin: &Origin, options: &[Opt<'_>]) -> Option<Claim> {
    match Query::decode(&message(options)) {
        Decoded::Ask(query) => devices.claim(origin, &query),
        other => panic!("not a query: {other:?}"),
    }
}

/// An EDNS option: its number, what it holds.
type Opt<'o> = (u16, &'o [u8]);

const PARENT: Opt<'_> = (65_001, &[2, 0, 0x5e, 0x10, 0, 2]);
const TABLET: Opt<'_> = (65_001, &[2, 0, 0x5e, 0x10, 0, 1]);
const STRANGER: Opt<'_> = (65_001, &[2, 0, 0x5e, 0x10, 0, 9]);

#[test]
fn a_forwarder_speaks_for_its_clients_in_a_stated_order() {
    let devices = behind_a_forwarder();
    let lo = nix::net::if_::if_nametoindex("lo").unwrap();
    let forwarder = Origin {
        interface: lo,
        ..from("192.0.2.1")
    };
    let client = |last: u8| [0, 1, 32, 0, 10, 0, 0, last];
    let line: Opt<'_> = (65_074, b"line-1");
    let family: Opt<'_> = (65_280, b"f-1");
    let cases: [(&[Opt<'_>], &str); 18] = [
        (&[], "router"),
        (&[(10, b"a cookie")], "router"),
        (&[TABLET], "tablet"),
        (&[STRANGER], ""),
        (&[line], "line"),
        (&[(65_074, b"line-10")], ""),
        (&[(65_074, b"f-1")], ""),
        (&[family], "family"),
        (&[family, line], "line"),
        (&[family, line, TABLET], "tablet"),
        (&[STRANGER, family], "family"),
        (&[(8, &client(9))], "printer"),
        (&[(8, &client(9)), family], "family"),
        // The parent's address counts only while no MAC address is seen.
        (&[(8, &client(2))], "parent"),
        (&[(8, &client(2)), STRANGER], ""),
        (&[(8, &[0, 1, 24, 0, 10, 1, 7])], "office"),
        (&[(8, &[0, 1, 8, 0, 10])], ""),
        // Neither the forwarder's own address nor its interface is its client's.
        (&[(8, &[0, 1, 0, 0])], ""),
    ];
    for (said, expected) in cases {
        let claim = claimed(&devices, &forwarder, said);
        let index = devices.settle(&forwarder, claim.as_ref());
        let name = index.map_or("", |index| devices.device(index).unwrap().name);
        assert_eq!(name, expected, "{said:?}");
        assert_ne!(
            devices.identify(&forwarder, claim.as_ref()),
            Who::Unseen,
            "{said:?}"
        );
        // From anybody else it is not even looked at.
        assert_eq!(claimed(&devices, &from("192.0.2.2"), said), None);
    }
    let claim = claimed(&devices, &forwarder, &[family, STRANGER]);
    assert_eq!(
        devices.known_by(&forwarder, claim.as_ref()).to_string(),
        "what its forwarder says: MAC address 02:00:5e:10:00:09, subscriber `f-1`"
    );
}

/// A child that puts a parent's MAC address beside the forwarder's own words, or junk to make
/// them void, is a guest: neither the parent, nor the forwarder.
#[test]
fn a_claim_that_is_void_is_nobodys() {
    let devices = behind_a_forwarder();
    let forwarder = from("192.0.2.1");
    for said in [
        &[PARENT, TABLET][..],
        &[TABLET, PARENT],
        &[TABLET, (65_073, b"02:00:5e:10:00:02")],
        &[(65_001, b"junk")],
        &[(8, &[0, 1, 32, 0, 10, 0, 0, 2]), (65_001, b"junk")],
    ] {
        let claim = claimed(&devices, &forwarder, said);
        assert_eq!(claim, Some(Claim::VOID), "{said:?}");
        assert_eq!(devices.settle(&forwarder, claim.as_ref()), None);
        let known_by = devices.known_by(&forwarder, claim.as_ref());
        assert_eq!(known_by, KnownBy::Nothing);
    }
    // A network of its own is what an admin gave that forwarder.
    let kids = Origin {
        listener: 1,
        ..forwarder
    };
    let claim = Some(&Claim::VOID);
    let index = devices.settle(&kids, claim).unwrap();
    assert_eq!(devices.device(index).unwrap().name, "kids");
    assert_eq!(devices.known_by(&kids, claim), KnownBy::Listener);
}

#[test]
fn a_connection_names_its_client() {
    let devices = behind_a_forwarder();
    let id = |id: &[u8]| ForeignId::new(IdKind::Subscriber, id);
    let name = |origin: &Origin| {
        assert_ne!(devices.identify(origin, None), Who::Unseen);
        let index = devices.settle(origin, None);
        index.map_or("", |index| devices.device(index).unwrap().name)
    };
    let told = |address: &str| Origin {
        via: Via::Teller,
        ..from(address)
    };
    assert_eq!(name(&told("10.0.0.9")), "printer");
    assert_eq!(name(&told("10.9.9.9")), "");
    let named = Origin {
        id: id(b"f-1"),
        ..told("10.0.0.9")
    };
    assert_eq!(name(&named), "family");
    let known_by = devices.known_by(&named, None).to_string();
    assert_eq!(known_by, "what its forwarder says: subscriber `f-1`");
    let misnamed = Origin {
        id: id(b"f-2"),
        ..named
    };
    assert_eq!(name(&misnamed), "printer");
    // Behind a load balancer that does not say who: its own address is nobody's, and what the
    // client wrote into its query is not the load balancer's word.
    let hidden = Origin {
        via: Via::Veil,
        ..from("192.0.2.1")
    };
    assert_eq!(name(&hidden), "");
    assert_eq!(claimed(&devices, &hidden, &[PARENT]), None);
    let named = Origin {
        id: id(b"f-1"),
        ..hidden
    };
    assert_eq!(name(&named), "family");
}

#[test]
fn the_loopback_interface_is_known_by_name() {
    let by_interface = vec![DeviceMatch::Interface("lo".to_owned())];
    let devices = Devices::new(&[device("here", by_interface)], &[], Neighbours::new().0);
    let number = nix::net::if_::if_nametoindex("lo").unwrap();
    let origin = Origin {
        interface: number,
        ..from("203.0.113.1")
    };
    assert_eq!(devices.identify(&origin, None), Who::Device(0));
    assert_eq!(devices.identify(&from("203.0.113.1"), None), Who::Guest);
}

fn mac(last: u8) -> Mac {
    Mac::new([0x02, 0, 0x5e, 0x10, 0, last]).unwrap()
}

fn by_mac(last: u8) -> DeviceMatch {
    DeviceMatch::Mac(mac(last))
}

/// A child's tablet and a parent's laptop that are known by MAC address, a printer by address.
fn family() -> (Devices, Arc<Neighbours>) {
    let (neighbours, _) = Neighbours::new();
    let devices = [
        device("tablet", vec![by_mac(1), net("192.168.1.10/32")]),
        device("laptop", vec![by_mac(2), net("192.168.1.20/32")]),
        device("printer", vec![net("192.168.1.30/32")]),
        device("cellar", vec![net("192.168.2.0/24")]),
    ];
    (
        Devices::new(&devices, &[], Arc::clone(&neighbours)),
        neighbours,
    )
}

fn sees(neighbours: &Neighbours, witness: Witness, address: &str, last: u8) {
    neighbours.apply([neighbours::Change {
        place: Place::new(address.parse().unwrap(), 0),
        witness,
        mac: Some(mac(last)),
    }]);
}

fn name_of(devices: &Devices, address: &str) -> Option<&'static str> {
    let index = devices.settle(&from(address), None)?;
    Some(devices.device(index).unwrap().name)
}

#[test]
fn all_addresses_of_a_mac_address_are_one_device() {
    let (devices, neighbours) = family();
    for address in ["192.168.1.77", "fe80::1", "2001:db8::1", "2001:db8::9999"] {
        sees(&neighbours, Witness::Kernel, address, 1);
        assert_eq!(name_of(&devices, address), Some("tablet"), "{address}");
        let known_by = devices.known_by(&from(address), None);
        assert_eq!(known_by, KnownBy::Mac(mac(1), Witness::Kernel));
        assert_eq!(known_by.confidence(), Confidence::High);
    }
}

#[test]
fn who_takes_the_address_of_another_does_not_become_that_one() {
    let (devices, neighbours) = family();
    assert_eq!(name_of(&devices, "192.168.1.20"), Some("laptop"));
    // The child takes the parent's address.
    sees(&neighbours, Witness::Kernel, "192.168.1.20", 1);
    assert_eq!(name_of(&devices, "192.168.1.20"), Some("tablet"));
    // The child makes up a MAC address, and keeps the parent's address.
    sees(&neighbours, Witness::Kernel, "192.168.1.20", 9);
    assert_eq!(name_of(&devices, "192.168.1.20"), None);
    assert_eq!(
        devices.known_by(&from("192.168.1.20"), None),
        KnownBy::Nothing
    );
    // Who was named by address only is whoever has the address: nothing better was said.
    sees(&neighbours, Witness::Kernel, "192.168.1.30", 9);
    assert_eq!(name_of(&devices, "192.168.1.30"), Some("printer"));
    assert_eq!(
        devices.known_by(&from("192.168.1.30"), None).confidence(),
        Confidence::Low
    );
}

#[test]
fn a_lease_counts_until_the_kernel_says_otherwise() {
    let (devices, neighbours) = family();
    sees(&neighbours, Witness::Lease, "192.168.1.50", 2);
    assert_eq!(name_of(&devices, "192.168.1.50"), Some("laptop"));
    assert_eq!(
        devices.known_by(&from("192.168.1.50"), None).confidence(),
        Confidence::Medium
    );
    sees(&neighbours, Witness::Kernel, "192.168.1.50", 1);
    assert_eq!(name_of(&devices, "192.168.1.50"), Some("tablet"));
}

#[test]
fn who_takes_many_addresses_becomes_nobody_else_by_it() {
    const TAKEN: [&str; 5] = ["20", "30", "40", "41", "42"];
    let (devices, neighbours) = family();
    // The tablet takes the laptop's address and four others; then so does a stranger.
    for (mac, expected) in [
        (1, [Some("tablet"); 5]),
        (9, [None, Some("printer"), None, None, None]),
    ] {
        for (last, name) in TAKEN.into_iter().zip(expected) {
            sees(
                &neighbours,
                Witness::Kernel,
                &format!("192.168.1.{last}"),
                mac,
            );
            assert_eq!(
                name_of(&devices, &format!("192.168.1.{last}")),
                name,
                "{last}"
            );
        }
        assert_eq!(name_of(&devices, "192.168.1.20"), expected[0]);
    }
}

#[test]
fn a_forwarder_that_remembers_who_had_an_address_is_not_believed() {
    let (devices, neighbours) = family();
    let claim = Claim {
        mac: Some(mac(2)),
        client: Some("192.168.1.20/32".parse().unwrap()),
        ..Claim::default()
    };
    let ask = || devices.identify(&from("127.0.0.1"), Some(&claim));
    assert_eq!(ask(), Who::Device(1));
    sees(&neighbours, Witness::Kernel, "192.168.1.20", 2);
    assert_eq!(ask(), Who::Device(1));
    sees(&neighbours, Witness::Kernel, "192.168.1.20", 1);
    assert_eq!(ask(), Who::Guest);
}

#[test]
fn only_somebody_on_our_link_is_waited_for() {
    let (devices, neighbours) = family();
    let ask = |address: &str| devices.identify(&from(address), None);
    // Nobody tells us anything: what there is counts.
    assert_eq!(ask("192.168.1.20"), Who::Device(1));
    neighbours.set_watching(true);
    neighbours.set_links(vec![on_link("192.168.1.1/24"), on_link("fe80::1/64")]);
    assert_eq!(ask("192.168.1.20"), Who::Unseen);
    assert_eq!(ask("192.168.1.99"), Who::Unseen);
    let on = |interface| Origin {
        interface,
        ..from("fe80::5")
    };
    assert_eq!(devices.identify(&on(3), None), Who::Unseen);
    // Where there are no neighbours, as behind a tunnel.
    assert_eq!(devices.identify(&on(4), None), Who::Guest);
    for (address, who) in [
        // Routed, this machine itself, and loopback.
        ("192.168.2.5", Who::Device(3)),
        ("192.168.1.1", Who::Guest),
        ("127.0.0.1", Who::Guest),
    ] {
        assert_eq!(ask(address), who, "{address}");
    }
    sees(&neighbours, Witness::Kernel, "192.168.1.99", 9);
    assert_eq!(ask("192.168.1.99"), Who::Guest);
    // Where nobody is known by MAC address there is nothing to wait for.
    let without = [device("printer", vec![net("192.168.1.30/32")])];
    let without = Devices::new(&without, &[], Arc::clone(&neighbours));
    assert_eq!(without.identify(&from("192.168.1.55"), None), Who::Guest);
}

#[test]
fn who_does_not_answer_the_kernel_gains_nothing_by_it() {
    let (devices, neighbours) = family();
    neighbours.set_watching(true);
    neighbours.set_links(vec![on_link("192.168.1.1/24")]);
    sees(&neighbours, Witness::Lease, "192.168.1.10", 1);
    for (address, expected) in [
        // A lease says it is the tablet's, and the laptop has the other.
        ("192.168.1.10", None),
        ("192.168.1.20", None),
        // Known by nothing but its address.
        ("192.168.1.30", Some("printer")),
    ] {
        assert_eq!(name_of(&devices, address), expected, "{address}");
    }
    // Where the kernel cannot be asked, a lease is what there is.
    neighbours.set_watching(false);
    assert_eq!(name_of(&devices, "192.168.1.10"), Some("tablet"));
}

#[test]
fn a_number_that_is_new_since_the_configuration_was_read_is_nobodys() {
    let (devices, neighbours) = family();
    for last in 10..40 {
        sees(&neighbours, Witness::Kernel, "192.168.1.99", last);
        assert_eq!(name_of(&devices, "192.168.1.99"), None);
    }
    // The next configuration names it.
    let later = [device("tablet", vec![by_mac(39)])];
    let later = Devices::new(&later, &[], Arc::clone(&neighbours));
    assert_eq!(name_of(&later, "192.168.1.99"), Some("tablet"));
    assert_eq!(name_of(&devices, "192.168.1.99"), None);
}

/// Programs on this machine hear everybody's reverse name; one that speaks for others does not.
#[test]
fn a_forwarder_on_this_machine_does_not_ask_for_itself() {
    let forwarder = Forwarder {
        addresses: vec!["127.0.0.9/32".parse().unwrap()],
        macs: vec![],
        trust: config::Trust::default(),
        subscriber_option: 65_280,
        proxy: true,
    };
    let devices = Devices::new(&[], &[], Neighbours::new().0).with_forwarders(&[forwarder]);
    assert!(devices.is_this_machine(&from("127.0.0.1")));
    assert!(devices.is_this_machine(&from("::1")));
    assert!(!devices.is_this_machine(&from("127.0.0.9")));
    assert!(!devices.is_this_machine(&from("192.0.2.1")));
    // Nor does a load balancer's client that says it is here.
    for via in [Via::Teller, Via::Veil] {
        let origin = Origin {
            via,
            ..from("127.0.0.1")
        };
        assert!(!devices.is_this_machine(&origin), "{via:?}");
    }
}

#[test]
fn who_takes_a_forwarders_address_without_its_mac_address_is_not_believed() {
    let mac = |last| Mac::new([2, 0, 0x5e, 0x10, 0, last]).unwrap();
    let (neighbours, _service) = Neighbours::new();
    let forwarder = Forwarder {
        addresses: vec!["192.0.2.1/32".parse().unwrap()],
        macs: vec![mac(0xfe)],
        trust: config::Trust {
            mac: true,
            ..config::Trust::default()
        },
        subscriber_option: 65_280,
        proxy: true,
    };
    let listed = [
        device("parent", vec![DeviceMatch::Mac(mac(2))]),
        device("tablet", vec![DeviceMatch::Mac(mac(1))]),
    ];
    let devices = Devices::new(&listed, &[], Arc::clone(&neighbours)).with_forwarders(&[forwarder]);
    let origin = Origin {
        interface: 3,
        ..from("192.0.2.1")
    };
    let asked = || {
        let claim = claimed(&devices, &origin, &[PARENT]);
        (devices.identify(&origin, claim.as_ref()), claim)
    };
    let says = |mac| {
        neighbours.apply([neighbours::Change {
            place: Place::new(origin.client, 3),
            witness: Witness::Kernel,
            mac,
        }]);
    };
    // Where MAC addresses cannot be seen, nobody is.
    let (who, claim) = asked();
    assert_eq!(who, Who::Guest);
    assert!(claim.unwrap().is_void);
    assert!(devices.forwarder(&origin).is_none());
    // Where they can, it is waited for.
    neighbours.set_links(vec![on_link("192.0.2.254/24")]);
    neighbours.set_watching(true);
    assert_eq!(asked(), (Who::Unseen, None));
    // A tablet with its address is the tablet.
    says(Some(mac(1)));
    assert_eq!(asked(), (Who::Device(1), None));
    assert!(devices.forwarder(&origin).is_none());
    // And itself it is believed.
    says(Some(mac(0xfe)));
    assert_eq!(asked().0, Who::Device(0));
    assert!(devices.forwarder(&origin).is_some());
}
