//! What forwarders and load balancers in front of us say of the client, through the real binary.
//!
//! On loopback 127.0.0.9 is the forwarder and every other address an ordinary host ([`claims`],
//! [`balancer`]); a real dnsmasq stands between hosts with MAC addresses of their own in network
//! namespaces that the test makes ([`dnsmasq`]).

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/daemon/mod.rs"]
mod support;

mod balancer;
mod claims;
mod dnsmasq;

/// A family whose members are told apart by names that only they cannot reach.
const FAMILY: &str = r#"
[household]
guest-profile = "adult"

[profile.adult]
privacy = "names"

[[device]]
name = "tablet"
profile = "adult"
mac = ["02:00:5e:10:00:01"]
block = ["tablet.example"]

[[device]]
name = "parent"
profile = "adult"
mac = ["02:00:5e:10:00:02"]
block = ["parent.example"]

[[device]]
name = "line"
profile = "adult"
cpe-id = ["line-1"]
block = ["line.example"]

[[device]]
name = "family"
profile = "adult"
subscriber = ["family-4711"]
block = ["family.example"]

[[device]]
name = "printer"
profile = "adult"
address = ["10.0.0.9", "2001:db8::9"]
block = ["printer.example"]

[[device]]
name = "router"
profile = "adult"
address = ["127.0.0.9"]
block = ["router.example"]
"#;

/// Their names; whoever can reach all of them is a guest.
const MEMBERS: [&str; 6] = ["tablet", "parent", "line", "family", "printer", "router"];

/// Who it is that an asker of `is_blocked` is taken for.
fn taken_for(mut is_blocked: impl FnMut(&str) -> bool) -> &'static str {
    let mut found = MEMBERS
        .into_iter()
        .filter(|name| is_blocked(&format!("{name}.example")));
    let first = found.next().unwrap_or("guest");
    assert_eq!(found.next(), None, "two devices at once");
    first
}

/// Puts `family` and `config` behind it in force.
fn reload(home: &support::Home, family: &str, config: &str) {
    home.write_config(&format!("{family}{config}"));
    let socket = home.path("../run/control.sock");
    let output = home.hedgerow(&["reload", "--socket", socket.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
}

/// The client of the last query for `name`, as the log shows it.
fn client_in_log(home: &support::Home, name: &str) -> String {
    let socket = home.path("../run/control.sock");
    let arguments = ["log", "--json", "-n", "500", "--socket"];
    let arguments = [&arguments[..], &[socket.to_str().unwrap()]].concat();
    support::wait_for("the query in the log", || {
        let page: serde_json::Value =
            serde_json::from_slice(&home.hedgerow(&arguments).stdout).unwrap();
        let entries = page["entries"].as_array().unwrap();
        let entry = entries.iter().rev().find(|entry| entry["name"] == name)?;
        Some(entry["client"].as_str().unwrap().to_owned())
    })
}

/// An address as a client subnet of full length (RFC 7871 section 6).
fn subnet(address: &str) -> Vec<u8> {
    match address.parse().unwrap() {
        std::net::IpAddr::V4(v4) => [&[0, 1, 32, 0][..], &v4.octets()].concat(),
        std::net::IpAddr::V6(v6) => [&[0, 2, 128, 0][..], &v6.octets()].concat(),
    }
}
