//! A forwarder that is known by its MAC address, and others at its address.

use crate::street::{LAPTOP, Machine, PHONE, Street, TABLET, Who, is_possible};

const V4: &str = "10.77.0.1:53";
const FROM: &str = "10.77.0.30:0";

#[test]
fn who_takes_a_forwarder_s_address_is_not_believed_what_it_says() {
    if !is_possible() {
        return;
    }
    let street = Street::new(&format!(
        "[[forwarder]]\naddress = [\"10.77.0.30\"]\nmac = [{PHONE:?}]\ntrust = [\"mac\"]\n"
    ));
    let forwarder = street.add_host("forwarder", PHONE);
    forwarder.ip("addr add 10.77.0.30/24 dev eth0");
    // The first question comes before the kernel has seen it.
    assert_eq!(forwarder.claim(FROM, V4, LAPTOP), Some(Who::Laptop));
    assert_eq!(forwarder.claim(FROM, V4, TABLET), Some(Who::Tablet));
    assert_eq!(forwarder.ask(FROM, V4), Some(Who::Guest));
    // Switched off; the child takes its address, and would be the parent.
    let take = |host: &Machine| {
        host.ip("addr add 10.77.0.30/24 dev eth0");
        // It asks for the router's MAC address in the name of the address it took.
        host.ip("neigh flush dev eth0");
    };
    forwarder.ip("addr del 10.77.0.30/24 dev eth0");
    take(&street.tablet);
    assert_eq!(street.tablet.claim(FROM, V4, LAPTOP), Some(Who::Tablet));
    street.tablet.ip("addr del 10.77.0.30/24 dev eth0");
    let stranger = street.add_host("stranger", "02:00:5e:10:00:78");
    take(&stranger);
    assert_eq!(stranger.claim(FROM, V4, LAPTOP), Some(Who::Guest));
    // It comes back.
    stranger.ip("addr del 10.77.0.30/24 dev eth0");
    take(&forwarder);
    assert_eq!(forwarder.claim(FROM, V4, LAPTOP), Some(Who::Laptop));
}
