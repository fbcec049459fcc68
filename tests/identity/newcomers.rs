//! Who asks without a name is shown with the MAC address that the kernel sees.

use std::process::Stdio;

use crate::street::{Machine, PHONE, Router, Running, Street, Who, is_possible, wait_for};

/// Those nobody named, as `hedgerow device list --new` has them.
pub fn new_devices(router: &Router) -> Vec<serde_json::Value> {
    serde_json::from_str(&router.hedgerow("device list --new --json")).unwrap()
}

#[test]
fn a_new_device_is_told_of_once_with_its_mac_address() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let router = &street.router;
    let phone = street.add_host("phone", PHONE);
    phone.ip("addr add 10.77.0.30/24 dev eth0");
    phone.ip("addr add fd77::30/64 dev eth0");
    let asks = [
        ("10.77.0.30:0", "10.77.0.1:53"),
        ("[fd77::30]:0", "[fd77::1]:53"),
    ];
    for (from, to) in asks {
        assert_eq!(phone.ask(from, to), Some(Who::Guest), "{from}");
    }
    let its = |new: &serde_json::Value| new["mac"]["mac"] == PHONE;
    let new = wait_for("the new device", || {
        new_devices(router).into_iter().find(its)
    });
    assert_eq!(new["mac"]["made_up"], true, "{new}");
    let addresses = new["addresses"].as_array().unwrap();
    for address in ["10.77.0.30", "fd77::30"] {
        assert!(addresses.iter().any(|it| it == address), "{new}");
    }
    let told = router.log().matches(PHONE).count();
    assert_eq!(told, 1, "{}", router.log());

    // With a name it is new no more, by all its addresses and by those to come.
    router.hedgerow(&format!(
        "device assign {PHONE} --name phone --profile child"
    ));
    phone.ip("addr add fd77::31/64 dev eth0");
    for (from, to) in [asks[0], asks[1], ("[fd77::31]:0", "[fd77::1]:53")] {
        assert_eq!(phone.ask(from, to), Some(Who::Tablet), "{from}");
    }
    assert!(!new_devices(router).iter().any(its));
}

/// Something that answers at `port` that everybody is called `name`.
fn responder(machine: &Machine, port: u16, name: &str) -> Running {
    let mut responder = machine.inside(&format!("respond {port} {name}"));
    let running = Running(responder.stdout(Stdio::null()).spawn().unwrap());
    wait_for("the responder to listen", || {
        let sockets = machine.command("cat").arg("/proc/net/udp6").output();
        let sockets = String::from_utf8(sockets.unwrap().stdout).unwrap();
        sockets.contains(&format!(":{port:04X} ")).then_some(())
    });
    running
}

/// Waits until a phone that asked is shown with a host name.
fn wait_for_name(router: &Router, phone: &Machine, name: &str) {
    phone.ip("addr add 10.77.0.30/24 dev eth0");
    let (from, to) = ("10.77.0.30:0", "10.77.0.1:53");
    assert_eq!(phone.ask(from, to), Some(Who::Guest));
    wait_for("its name", || {
        let new = new_devices(router);
        let new = new.iter().find(|it| it["mac"]["mac"] == PHONE)?;
        (new["host_name"] == name).then_some(())
    });
    // It is no more than a name.
    assert_eq!(phone.ask(from, to), Some(Who::Guest));
}

#[test]
fn what_a_new_device_says_by_multicast_dns_is_its_name_for_people() {
    if !is_possible() {
        return;
    }
    let street = Street::new("");
    let router = &street.router;
    let phone = street.add_host("phone", PHONE);
    let _responder = responder(&phone, 5353, "Omas-Handy.local");
    wait_for_name(router, &phone, "omas-handy");
    router.hedgerow(&format!("device assign {PHONE} --profile child"));
    let shown = router.hedgerow("device show omas-handy");
    assert!(shown.contains(PHONE), "{shown}");
}

#[test]
fn the_households_resolver_for_reverse_names_is_asked_who_says_nothing_itself() {
    if !is_possible() {
        return;
    }
    let forward = "[[forward]]\ndomain = \"10.in-addr.arpa\"\nservers = [\"127.0.0.1:5398\"]\n";
    let street = Street::new(forward);
    let phone = street.add_host("phone", PHONE);
    let _responder = responder(&street.router.machine, 5398, "Drucker.lan");
    wait_for_name(&street.router, &phone, "drucker");
}
