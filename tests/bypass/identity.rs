//! The child's device as another one.

use crate::home::{CHILD, Home, PARENT, STRANGE, Who, YOUNG, dress};
use crate::{Trick, steps};

const GAMBLING: &str = "EDE 17: gambling (list our-gambling)";

pub fn tricks() -> Vec<Trick> {
    let parent = |home: &Home| home.says(Who::Parent, "casino.example A");
    vec![
        steps("another fixed address", static_address, GAMBLING).proved_by_steps(parent),
        steps("another IPv6 address", privacy_address, GAMBLING).proved_by_steps(parent),
        steps("only a link-local address", link_local, GAMBLING).proved_by_steps(parent),
        steps(
            "the parent's address while the laptop is off",
            parents_address,
            GAMBLING,
        )
        .proved_by_steps(parent),
        steps("a new MAC address", new_mac, GAMBLING).proved_by_steps(parent),
        steps(
            "a new MAC address and the parent's address",
            new_mac_parents_address,
            GAMBLING,
        )
        .proved_by_steps(parent),
        steps(
            "a new MAC address for a pinned device",
            pinned_with_new_mac,
            "refused",
        )
        .prize("reached")
        .proved_by_steps(|home| home.says(Who::Parent, "connect 203.0.113.81 443")),
        steps(
            "a new MAC address to another resolver",
            new_mac_elsewhere,
            GAMBLING,
        )
        .proved_by_steps(|home| home.says(Who::Parent, "casino.example A @9.9.9.9")),
    ]
}

/// What comes of `words` while somebody's machine looks otherwise.
fn dressed(home: &Home, who: Who, mac: &str, v4: &str, v6: &str, words: &str) -> String {
    let machine = home.machine(who);
    dress(machine, mac, v4, v6);
    let said = home.says(who, words);
    let (mac, last) = match who {
        Who::Young => (YOUNG, 11),
        _ => (CHILD, 10),
    };
    dress(
        machine,
        mac,
        &format!("10.78.0.{last}"),
        &format!("fd78::{last}"),
    );
    said
}

fn static_address(home: &Home) -> String {
    dressed(
        home,
        Who::Child,
        CHILD,
        "10.78.0.99",
        "fd78::99",
        "casino.example A",
    )
}

fn privacy_address(home: &Home) -> String {
    let (v6, words) = ("fd78::dead:beef:1:2", "casino.example A @fd78::1");
    dressed(home, Who::Child, CHILD, "10.78.0.10", v6, words)
}

fn link_local(home: &Home) -> String {
    let words = "casino.example A @fe80::5eff:fe10:2ff%eth0";
    dressed(home, Who::Child, CHILD, "10.78.0.98", "fd78::98", words)
}

fn parents_address(home: &Home) -> String {
    // The router knows the laptop under its address.
    home.says(Who::Parent, "casino.example A");
    home.machine(Who::Parent).ip("link set eth0 down");
    let said = dressed(
        home,
        Who::Child,
        CHILD,
        "10.78.0.20",
        "fd78::20",
        "casino.example A",
    );
    dress(home.machine(Who::Parent), PARENT, "10.78.0.20", "fd78::20");
    said
}

fn new_mac(home: &Home) -> String {
    dressed(
        home,
        Who::Child,
        STRANGE,
        "10.78.0.77",
        "fd78::77",
        "casino.example A",
    )
}

fn new_mac_parents_address(home: &Home) -> String {
    home.machine(Who::Parent).ip("link set eth0 down");
    let said = dressed(
        home,
        Who::Child,
        STRANGE,
        "10.78.0.20",
        "fd78::20",
        "casino.example A",
    );
    dress(home.machine(Who::Parent), PARENT, "10.78.0.20", "fd78::20");
    said
}

fn pinned_with_new_mac(home: &Home) -> String {
    let words = "connect 203.0.113.81 443";
    dressed(home, Who::Young, STRANGE, "10.78.0.76", "fd78::76", words)
}

fn new_mac_elsewhere(home: &Home) -> String {
    let words = "casino.example A @9.9.9.9";
    dressed(home, Who::Child, STRANGE, "10.78.0.75", "fd78::75", words)
}
