//! Ids that devices show, beside everything else that says who somebody is.

use super::*;

const PHONE: &str = "mzxw6ytboi5hk3tpojsxg5dbnq";
const PARENT: &str = "nzxw6ytboi5hk3tpojsxg5dbnq";

/// A child's tablet known by MAC address, a parent's laptop by MAC address and id, a phone by id alone,
/// and a place for everybody else.
fn home() -> (Devices, Arc<Neighbours>) {
    let (neighbours, _) = Neighbours::new();
    let id = |text: &str| DeviceMatch::Id(text.to_owned());
    let devices = [
        device("tablet", vec![by_mac(1)]),
        device("laptop", vec![by_mac(2), id(PARENT)]),
        device("phone", vec![id(PHONE)]),
        device("cellar", vec![net("192.168.2.0/24")]),
    ];
    let devices = Devices::new(&devices, &[], Arc::clone(&neighbours));
    (devices, neighbours)
}

fn showing(id: &str, address: &str) -> Origin {
    Origin {
        id: ForeignId::new(IdKind::Device, id.as_bytes()),
        ..from(address)
    }
}

#[test]
fn a_mac_address_outranks_an_id_and_an_id_an_address() {
    let (devices, neighbours) = home();
    sees(&neighbours, Witness::Kernel, "192.168.1.1", 1);
    sees(&neighbours, Witness::Kernel, "192.168.1.2", 2);
    // Made up.
    sees(&neighbours, Witness::Kernel, "192.168.1.9", 9);
    sees(&neighbours, Witness::Kernel, "192.168.2.9", 10);
    let nobody = "ozxw6ytboi5hk3tpojsxg5dbnq";
    for (id, address, name) in [
        // Away from home there is nothing but the id.
        (PHONE, "203.0.113.1", Some("phone")),
        (PARENT, "203.0.113.1", Some("laptop")),
        (nobody, "203.0.113.1", None),
        // A child that knows a parent's id is still the child.
        (PARENT, "192.168.1.1", Some("tablet")),
        (PHONE, "192.168.1.1", Some("tablet")),
        (PHONE, "192.168.1.2", Some("laptop")),
        (PARENT, "192.168.1.2", Some("laptop")),
        // A MAC address that was made up contradicts a device that has one.
        (PARENT, "192.168.1.9", None),
        (PARENT, "192.168.2.9", Some("cellar")),
        (PHONE, "192.168.1.9", Some("phone")),
        (PHONE, "192.168.2.9", Some("phone")),
        // Addresses anybody can take.
        (PHONE, "192.168.2.1", Some("phone")),
        (nobody, "192.168.2.1", Some("cellar")),
    ] {
        let origin = showing(id, address);
        let index = devices.settle(&origin, None);
        let found = index.map(|index| devices.device(index).unwrap().name);
        assert_eq!(found, name, "{id} {address}");
        assert_eq!(devices.shows_id(&origin), Some(id != nobody));
    }
    assert_eq!(devices.shows_id(&from("203.0.113.1")), None);
    let known_by = devices.known_by(&showing(PHONE, "203.0.113.1"), None);
    assert_eq!(known_by, KnownBy::Id);
    assert_eq!(known_by.confidence(), Confidence::Medium);
    let known_by = devices.known_by(&showing(PARENT, "192.168.1.2"), None);
    assert_eq!(known_by, KnownBy::Mac(mac(2), Witness::Kernel));
    assert!(!known_by.to_string().contains(PARENT));
}

#[test]
fn who_does_not_answer_the_kernel_gains_nothing_by_an_id() {
    let (devices, neighbours) = home();
    neighbours.set_links(vec![on_link("192.168.1.254/24")]);
    neighbours.set_watching(true);
    let on_our_link = |id| Origin {
        interface: 3,
        ..showing(id, "192.168.1.7")
    };
    for (id, settled) in [(PARENT, None), (PHONE, devices.find("phone"))] {
        let origin = on_our_link(id);
        assert_eq!(devices.identify(&origin, None), Who::Unseen, "{id}");
        assert_eq!(devices.settle(&origin, None), settled, "{id}");
    }
    // Elsewhere nobody is waited for.
    let away = showing(PARENT, "203.0.113.1");
    assert_eq!(devices.identify(&away, None), Who::Device(1));
}

#[test]
fn an_id_of_a_device_is_no_subscriber_and_the_other_way_round() {
    let (neighbours, _) = Neighbours::new();
    let listed = [
        device("family", vec![DeviceMatch::Subscriber(PARENT.to_owned())]),
        device("phone", vec![DeviceMatch::Id(PHONE.to_owned())]),
    ];
    let devices = Devices::new(&listed, &[], neighbours);
    let as_subscriber = |id: &str| Origin {
        id: ForeignId::new(IdKind::Subscriber, id.as_bytes()),
        ..from("203.0.113.1")
    };
    assert_eq!(devices.settle(&as_subscriber(PARENT), None), Some(0));
    assert_eq!(devices.settle(&as_subscriber(PHONE), None), None);
    assert_eq!(devices.settle(&showing(PARENT, "203.0.113.1"), None), None);
    assert!(devices.has_ids());
}
