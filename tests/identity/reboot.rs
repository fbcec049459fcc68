//! The router itself was away.

use crate::street::{PHONE, Street, Who, is_possible};

const V4: &str = "10.77.0.1:53";
const V6: &str = "[fd77::1]:53";

#[test]
fn after_a_reboot_everybody_is_who_it_was_from_the_first_query() {
    if !is_possible() {
        return;
    }
    let mut street = Street::new("");
    let phone = street.add_host("phone", PHONE);
    phone.ip("addr add 10.77.0.30/24 dev eth0");
    assert_eq!(phone.ask("10.77.0.30:0", V4), Some(Who::Guest));
    street.router.hedgerow(&format!(
        "device assign {PHONE} --name phone --profile child"
    ));
    assert_eq!(street.tablet.ask("10.77.0.10:0", V4), Some(Who::Tablet));
    assert_eq!(street.laptop.ask("10.77.0.20:0", V4), Some(Who::Laptop));

    street.router.switch_off();
    // Meanwhile the parent leaves, and the child takes what was the parent's.
    street.laptop.ip("link set eth0 down");
    street.tablet.ip("addr add 10.77.0.20/24 dev eth0");
    street.tablet.ip("addr add fd77::20/64 dev eth0");
    street.router.start(&[]);
    for (from, to) in [
        ("10.77.0.20:0", V4),
        ("[fd77::20]:0", V6),
        ("10.77.0.10:0", V4),
    ] {
        assert_eq!(street.tablet.ask(from, to), Some(Who::Tablet), "{from}");
    }
    // What was given a name by command still has it.
    assert_eq!(phone.ask("10.77.0.30:0", V4), Some(Who::Tablet));
}
