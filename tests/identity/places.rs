//! Networks of their own, addresses that mean something on one link only, and machines with many.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::street::{NOT_YET, PHONE, Street, Who, is_possible, wait_for};

const CHILDREN: &str = "[[device]]\nname = \"children's Wi-Fi\"\nprofile = \"child\"\n\
                        interface = \"kids0\"\n";

#[test]
fn whoever_asks_from_a_network_that_has_a_name_is_known_by_it() {
    if !is_possible() {
        return;
    }
    let mut street = Street::new(NOT_YET);
    let phone = street.add_host("phone", PHONE);
    // A port that is no bridge's, as a Wi-Fi or a VLAN of its own is.
    let plug_in = |street: &Street| {
        let router = &street.router.machine;
        let peer = phone.name();
        router.ip(&format!(
            "link add kids0 type veth peer name eth1 netns {peer}"
        ));
        router.ip("link set kids0 up");
        router.ip("addr add 10.78.0.1/24 dev kids0");
        phone.ip(&format!("link set eth1 address {PHONE} up"));
        phone.ip("addr add 10.78.0.30/24 dev eth1");
    };
    plug_in(&street);
    phone.ip("addr add 10.77.0.30/24 dev eth0");
    street.router.configure(CHILDREN);
    street.router.start(&[]);
    let (inside, outside) = ("10.78.0.1:53", "10.77.0.1:53");
    assert_eq!(phone.ask("10.78.0.30:0", inside), Some(Who::Tablet));
    assert_eq!(phone.ask("10.77.0.30:0", outside), Some(Who::Guest));
    // It comes back under another number of the kernel's.
    street.router.machine.ip("link del kids0");
    street
        .router
        .machine
        .ip("link add other0 type veth peer name other1");
    plug_in(&street);
    let patience = std::time::Duration::from_millis(200);
    wait_for("the network to be back", || {
        phone.ask_for(patience, "10.78.0.30:0", inside)
    });
    assert_eq!(phone.ask("10.78.0.30:0", inside), Some(Who::Tablet));
    assert_eq!(phone.ask("10.77.0.30:0", outside), Some(Who::Guest));
    // Under another name it is another, and under its own it is itself.
    for (name, expected) in [("cellar0", Who::Guest), ("kids0", Who::Tablet)] {
        let before = if name == "kids0" { "cellar0" } else { "kids0" };
        let router = &street.router.machine;
        router.ip(&format!("link set {before} down"));
        router.ip(&format!("link set {before} name {name} up"));
        assert_eq!(phone.ask("10.78.0.30:0", inside), Some(expected), "{name}");
    }
}

/// The answer has to leave from the link-local address, to one of another scope.
#[test]
fn a_link_local_address_of_ours_answers_every_address_of_its_clients() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    street.tablet.ip("addr add fe80::5/64 dev eth0");
    for from in ["[fd77::10]:0", "[fe80::5%eth0]:0"] {
        let said = street.tablet.ask(from, "[fe80::1%eth0]:53");
        assert_eq!(said, Some(Who::Tablet), "{from}");
    }
}

/// Who takes all connections with as many addresses as he likes once kept out whoever came next.
#[test]
fn a_machine_with_many_addresses_is_one_where_connections_are_short() {
    if !is_possible() {
        return;
    }
    let mut street = Street::new(NOT_YET);
    street.router.configure("");
    let file = street.router.path("hedgerow.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let few = "[limits]\ntcp-idle = \"1h\"\ntcp-connections = 8\ntcp-per-client = 4\n";
    std::fs::write(&file, config.replace("[limits]\n", few)).unwrap();
    street.router.start(&[]);
    // It answers, and so it has found out who is there.
    let crowd = street.add_host("crowd", PHONE);
    crowd.add_crowd("fd77::1:", 8);
    let said = crowd.ask_as_crowd("fd77::1:", 8, "[fd77::1]:53");
    assert_eq!(said, "192.0.2.13=8");
    let mut holder = crowd
        .inside("hold fd77::1: 8 [fd77::1]:53")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let held = lines.map(Result::unwrap).find(|line| line.contains(": "));
    assert_eq!(held.as_deref(), Some("outcome: 8"));
    for from in ["10.77.0.10:0", "[fd77::10]:0"] {
        let to = if from.starts_with('[') {
            "[fd77::1]:53"
        } else {
            "10.77.0.1:53"
        };
        let said = street.tablet.ask_by_tcp(from, to);
        assert_eq!(said, Some(Who::Tablet), "{from}");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
}
