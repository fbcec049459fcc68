//! A real dnsmasq gives addresses away, and its leases say whose they are.

use std::process::{Command, Stdio};

use crate::newcomers::new_devices;
use crate::skip::skip;
use crate::street::{NOT_YET, PHONE, Router, Running, Street, Who, is_possible, wait_for};

const V4: &str = "10.77.0.1:53";

/// A DHCP server on the router; none where the program is missing.
fn start_dnsmasq(router: &Router) -> Option<Running> {
    if Command::new("dnsmasq").arg("--version").output().is_err() {
        skip("dnsmasq is missing (Debian and Ubuntu: apt install dnsmasq-base)");
        return None;
    }
    let leases = router.path("dhcp/leases");
    let child = router
        .machine
        .command("dnsmasq")
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
        .args(["--user=root", "--pid-file=", "--interface=br0", "--no-ping"])
        .arg("--dhcp-range=10.77.0.200,10.77.0.220,1h")
        .arg(format!("--dhcp-leasefile={}", leases.display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Some(Running(child.unwrap()))
}

/// A street whose daemon knows nothing but the leases of a DHCP server that comes later.
fn street() -> Street {
    let mut street = Street::new(NOT_YET);
    let router = &mut street.router;
    std::fs::create_dir(router.path("dhcp")).unwrap();
    let leases = router.path("dhcp/leases");
    router.configure(&format!(
        "[identity]\nneighbours = false\nleases = [{leases:?}]\n"
    ));
    router.start(&[]);
    street
}

#[test]
fn a_lease_alone_says_which_device_it_is() {
    if !is_possible() {
        return;
    }
    let street = street();
    let Street { tablet, router, .. } = &street;
    let Some(_dnsmasq) = start_dnsmasq(router) else {
        return;
    };
    tablet.ip("-4 addr flush dev eth0");
    let address = tablet.take_lease("Mias-iPad");
    let from = format!("{address}:0");
    wait_for("the lease to be read", || {
        (tablet.ask(&from, V4) == Some(Who::Tablet)).then_some(())
    });
    let said = router.hedgerow(&format!("explain --client {address} who.example"));
    for expected in ["tablet", "DHCP lease", "medium"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // Whoever has no lease is nobody.
    tablet.ip("addr add 10.77.0.30/24 dev eth0");
    assert_eq!(tablet.ask("10.77.0.30:0", V4), Some(Who::Guest));
}

#[test]
fn what_a_new_device_calls_itself_is_its_name_if_nobody_gives_another() {
    if !is_possible() {
        return;
    }
    let street = street();
    let router = &street.router;
    let Some(_dnsmasq) = start_dnsmasq(router) else {
        return;
    };
    let phone = street.add_host("phone", PHONE);
    let address = phone.take_lease("Omas-Handy");
    let from = format!("{address}:0");
    let new = wait_for("its lease beside it", || {
        assert_eq!(phone.ask(&from, V4), Some(Who::Guest));
        let new = new_devices(router);
        let its = new.iter().find(|it| it["addresses"][0] == address)?;
        (its["host_name"] == "omas-handy").then(|| its.clone())
    });
    assert_eq!(new["mac"]["mac"], PHONE, "{new}");
    router.hedgerow(&format!("device assign {} --profile child", new["number"]));
    assert_eq!(phone.ask(&from, V4), Some(Who::Tablet));
    let shown = router.hedgerow("device show omas-handy");
    assert!(shown.contains(PHONE), "{shown}");
}
