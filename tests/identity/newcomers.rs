//! Who asks without a name is shown with the MAC address that the kernel sees.

use crate::street::{PHONE, Router, Street, Who, is_possible, wait_for};

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
