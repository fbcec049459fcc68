//! What a device does with its addresses changes nothing about who it is.

use std::time::Duration;

use crate::street::{LAPTOP, Street, TABLET, Who, is_possible, wait_for};

const V4: &str = "10.77.0.1:53";
const V6: &str = "[fd77::1]:53";
const LOCAL: &str = "[fe80::1%eth0]:53";

#[test]
fn all_addresses_of_a_machine_are_one_device_from_their_first_query() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let Street { tablet, router, .. } = &street;
    // As a temporary address is: made up, and with an end.
    tablet.ip("addr add fd77::1d2c:3b4a:5968:7786/64 dev eth0 valid_lft 3600 preferred_lft 1800");
    let local = wait_for("a link-local address", || {
        let shown = tablet.ip("-6 -o addr show dev eth0 scope link");
        let address = shown.split_whitespace().nth(3)?.split('/').next()?;
        Some(format!("[{address}%eth0]:0"))
    });
    for (from, to) in [
        ("10.77.0.10:0", V4),
        ("[fd77::10]:0", V6),
        ("[fd77::1d2c:3b4a:5968:7786]:0", V6),
        (&local, LOCAL),
    ] {
        assert_eq!(tablet.ask(from, to), Some(Who::Tablet), "{from}");
        // The same when the kernel knows nobody.
        router.forget_neighbours();
        assert_eq!(tablet.ask(from, to), Some(Who::Tablet), "{from} again");
    }
    // An address that did not exist a moment ago.
    for round in 0..10 {
        tablet.ip(&format!("addr add fd77::a:{round}/64 dev eth0"));
        let from = format!("[fd77::a:{round}]:0");
        assert_eq!(tablet.ask(&from, V6), Some(Who::Tablet), "{from}");
        tablet.ip(&format!("addr add 10.77.0.{}/24 dev eth0", 100 + round));
        let from = format!("10.77.0.{}:0", 100 + round);
        assert_eq!(tablet.ask(&from, V4), Some(Who::Tablet), "{from}");
    }
    assert_eq!(street.laptop.ask("10.77.0.20:0", V4), Some(Who::Laptop));
    assert_eq!(street.laptop.ask("[fd77::20]:0", V6), Some(Who::Laptop));
    // The router's own programs do not wait for themselves.
    for from in ["127.0.0.1", "10.77.0.1"] {
        let patience = Duration::from_millis(900);
        let said = router.machine.ask_for(patience, &format!("{from}:0"), V4);
        assert_eq!(said, Some(Who::Guest), "{from}");
    }
}

#[test]
fn who_takes_the_address_of_another_stays_who_it_is() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let Street {
        tablet,
        laptop,
        router,
    } = &street;
    // Another address of its own.
    assert_eq!(tablet.ask("10.77.0.10:0", V4), Some(Who::Tablet));
    tablet.ip("addr add 10.77.0.11/24 dev eth0");
    tablet.ip("addr del 10.77.0.10/24 dev eth0");
    assert_eq!(tablet.ask("10.77.0.11:0", V4), Some(Who::Tablet));
    // So many of them that others might stand behind it.
    for last in 30..36 {
        tablet.ip(&format!("addr add 10.77.0.{last}/24 dev eth0"));
        let from = format!("10.77.0.{last}:0");
        assert_eq!(tablet.ask(&from, V4), Some(Who::Tablet), "{from}");
    }

    // The parent was here, and is away.
    for (from, to) in [("10.77.0.20:0", V4), ("[fd77::20]:0", V6)] {
        assert_eq!(laptop.ask(from, to), Some(Who::Laptop));
    }
    laptop.ip("link set eth0 down");
    for address in ["10.77.0.20", "fd77::20"] {
        assert!(router.neighbour(address).contains(LAPTOP), "{address}");
    }
    tablet.ip("addr add 10.77.0.20/24 dev eth0");
    tablet.ip("addr add fd77::20/64 dev eth0");
    // It asks for the router's MAC address in the name of the address it took.
    for (from, to, address) in [
        ("10.77.0.20:0", V4, "10.77.0.20"),
        ("[fd77::20]:0", V6, "fd77::20"),
    ] {
        tablet.ip("neigh flush dev eth0");
        tablet.ip("-6 neigh flush dev eth0");
        assert_eq!(tablet.ask(from, to), Some(Who::Tablet), "{from}");
        assert!(router.neighbour(address).contains(TABLET), "{address}");
    }
    // And the parent takes its own address back.
    tablet.ip("addr del 10.77.0.20/24 dev eth0");
    laptop.ip("link set eth0 up");
    wait_for("the parent's answer", || {
        let patience = Duration::from_millis(200);
        let said = laptop.ask_for(patience, "10.77.0.20:0", V4);
        assert_ne!(said, Some(Who::Tablet));
        said
    });
}

#[test]
fn who_takes_the_address_of_another_without_a_word_gets_no_answer_of_the_others() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let Street {
        tablet,
        laptop,
        router,
    } = &street;
    for (from, to, address) in [
        ("10.77.0.20:0", V4, "10.77.0.20"),
        ("[fd77::20]:0", V6, "fd77::20"),
    ] {
        laptop.ip("link set eth0 up");
        if address.contains(':') {
            // Addresses of IPv6 went with the link.
            laptop.ip("-6 addr replace fd77::20/64 dev eth0");
        }
        let own = if address.contains(':') {
            "[fd77::10]:0"
        } else {
            "10.77.0.10:0"
        };
        assert_eq!(laptop.ask(from, to), Some(Who::Laptop));
        assert_eq!(tablet.ask(own, to), Some(Who::Tablet));
        laptop.ip("link set eth0 down");
        // It knows the router, says nothing of its new address and answers to it.
        for router_address in ["10.77.0.1", "fd77::1"] {
            tablet.ip(&format!(
                "neigh replace {router_address} lladdr 02:00:5e:10:00:ff dev eth0 nud permanent"
            ));
        }
        let length = if address.contains(':') { 64 } else { 24 };
        tablet.ip(&format!("addr add {address}/{length} dev eth0"));
        assert!(router.neighbour(address).contains(LAPTOP), "{address}");
        let mut silent = 0;
        wait_for("an answer", || {
            let patience = Duration::from_millis(100);
            let said = tablet.ask_for(patience, from, to);
            silent += u32::from(said.is_none());
            assert_ne!(said, Some(Who::Laptop), "{from}");
            said
        });
        // At first answers went to the parent.
        assert!(silent > 0, "{from}");
        assert_eq!(tablet.ask(from, to), Some(Who::Tablet), "{from}");
    }
}

#[test]
fn a_mac_address_that_nobody_named_is_a_guests() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let Street { tablet, router, .. } = &street;
    assert_eq!(tablet.ask("10.77.0.10:0", V4), Some(Who::Tablet));
    assert_eq!(tablet.ask("[fd77::10]:0", V6), Some(Who::Tablet));
    tablet.ip("link set eth0 down");
    tablet.ip("link set eth0 address 02:00:5e:10:00:99 up");
    tablet.ip("-6 addr replace fd77::10/64 dev eth0");
    assert_eq!(tablet.ask("10.77.0.10:0", V4), Some(Who::Guest));
    assert_eq!(tablet.ask("[fd77::10]:0", V6), Some(Who::Guest));
    // Nor does the parent's address help.
    street.laptop.ip("link set eth0 down");
    tablet.ip("addr add 10.77.0.20/24 dev eth0");
    router.forget_neighbours();
    assert_eq!(tablet.ask("10.77.0.20:0", V4), Some(Who::Guest));
}

/// The kernel is made to look for a hundred addresses at once and a hundred a second; who comes
/// later waits a moment longer.
#[test]
fn many_addresses_at_once_are_all_recognised() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    street.tablet.add_crowd("fd77::c:", 150);
    let said = street.tablet.ask_as_crowd("fd77::c:", 150, V6);
    assert_eq!(said, "192.0.2.11=150");
}

#[test]
fn more_addresses_than_are_remembered_are_a_guests_and_nobody_elses_matter() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let Street { tablet, laptop, .. } = &street;
    for part in 0..4 {
        let net = format!("fd77::a{part}:");
        tablet.add_crowd(&net, 75);
        let said = tablet.ask_as_crowd(&net, 75, V6);
        // 256 of one MAC address are remembered, one of them of IPv4.
        if part < 3 {
            assert_eq!(said, "192.0.2.11=75", "{part}");
        } else {
            let (its, guests) = said.split_once(' ').expect("two kinds");
            assert!(its.starts_with("192.0.2.11="), "{said}");
            assert!(guests.starts_with("192.0.2.13="), "{said}");
        }
        laptop.add_crowd(&format!("fd77::1{part}:"), 1);
        let from = format!("[fd77::1{part}:1]:0");
        assert_eq!(laptop.ask(&from, V6), Some(Who::Laptop), "{part}");
    }
    // Again and again the same.
    let again = tablet.ask_as_crowd("fd77::a3:", 75, V6);
    assert!(!again.contains("tcp"), "{again}");
    assert_eq!(tablet.ask("[fd77::a0:1]:0", V6), Some(Who::Tablet));
}

#[test]
fn the_same_link_local_address_on_two_links_is_two_devices() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let Street {
        tablet,
        laptop,
        router,
    } = &street;
    // The laptop gets a link of its own.
    router.machine.ip("link set port20 nomaster");
    router.machine.ip("addr add fe80::1/64 dev port20");
    for host in [tablet, laptop] {
        host.ip("addr add fe80::5/64 dev eth0");
    }
    for round in 0..3 {
        let from = "[fe80::5%eth0]:0";
        assert_eq!(tablet.ask(from, LOCAL), Some(Who::Tablet), "{round}");
        assert_eq!(laptop.ask(from, LOCAL), Some(Who::Laptop), "{round}");
        if round == 1 {
            router.forget_neighbours();
        }
    }
}
