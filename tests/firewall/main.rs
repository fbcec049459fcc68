//! The firewall's table, in a real kernel: a child's and a parent's machine behind a router with the
//! daemon, and a world beyond it with a resolver that answers everything.
//!
//! Needs root, or what of it `ip netns` and `nft` need; without it the tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(
    unreachable_pub,
    reason = "what is used in another file is public there"
)]

mod chosen;
mod egress;
#[path = "../support/machines.rs"]
mod machines;

use std::path::Path;

use machines::{Daemon, Machine, Reached, are_possible};

const CHILD: &str = "02:00:5e:10:01:01";
const PARENT: &str = "02:00:5e:10:01:02";

/// Where a site is, in the world.
const SITE_V4: &str = "203.0.113.80";
const SITE_V6: &str = "2001:db8:80::80";
/// Another one at another address, of which nobody asks.
const OTHER_V4: &str = "203.0.113.81";
const OTHER_V6: &str = "2001:db8:80::81";
/// A resolver everybody may use.
const FREE_V4: &str = "9.9.9.9";
const FREE_V6: &str = "2620:fe::fe";
/// Another one, that no list knows.
const UNKNOWN_V4: &str = "203.0.113.53";

/// What the router answers for what it blocks.
const BLOCKED: &str = "192.0.2.11";

/// The world answers every name of `site.example` and `blocked.example` with the site's addresses.
fn world() -> String {
    let mut listen = Vec::new();
    for address in [SITE_V4, OTHER_V4, FREE_V4, UNKNOWN_V4] {
        for port in [53, 443, 853] {
            listen.push(format!("\"{address}:{port}\""));
        }
    }
    for address in [SITE_V6, OTHER_V6, FREE_V6] {
        for port in [53, 443, 853] {
            listen.push(format!("\"[{address}]:{port}\""));
        }
    }
    format!(
        "[server]\nlisten = [{}]\nserve = [\"0.0.0.0/0\", \"::/0\"]\nworkers = 1\n\
         [upstream]\nservers = [\"127.0.0.1:9\"]\n\
         [household]\nblock = [\"site.example\", \"blocked.example\"]\n\
         [profile.guest]\nblock-answer = \"address\"\n\
         block-addresses = [\"{SITE_V4}\", \"{SITE_V6}\"]\nblock-ttl = \"1h\"\nclose-bypass = false\n",
        listen.join(", ")
    )
}

fn router(more: &str) -> String {
    format!(
        "[server]\nlisten = [\"0.0.0.0:53\", \"[::]:53\"]\nworkers = 2\n\
         serve = [\"10.0.0.0/8\", \"fd00::/8\", \"fe80::/10\", \"127.0.0.0/8\"]\n\
         [upstream]\nservers = [\"{UNKNOWN_V4}\"]\n\
         [household]\nblock = [\"blocked.example\"]\n\
         [firewall]\ninterfaces = [\"br0\"]\nexcept = [\"laptop\"]\n\
         [profile.child]\ninherits = \"schoolchild\"\nblock-answer = \"address\"\n\
         block-addresses = [\"{BLOCKED}\"]\nblock-ttl = \"0\"\n{more}\n\
         [[device]]\nname = \"tablet\"\nprofile = \"child\"\nmac = [\"{CHILD}\"]\n\
         [[device]]\nname = \"laptop\"\nprofile = \"adult\"\nmac = [\"{PARENT}\"]\n"
    )
}

/// A home and the world.
struct Home {
    child: Machine,
    parent: Machine,
    router: Machine,
    daemon: Daemon,
    _world: (Daemon, Machine),
}

impl Home {
    fn new(more: &str) -> Self {
        Self::with(&router(more))
    }

    /// A home whose router has this configuration.
    fn with(router_config: &str) -> Self {
        let [child, parent, router, world] =
            ["child", "parent", "router", "world"].map(Machine::new);
        for family in ["ipv4.ip_forward", "ipv6.conf.all.forwarding"] {
            router.set(&format!("net.{family}"), "1");
        }
        router.ip("link add br0 type bridge");
        router.ip("link set br0 address 02:00:5e:10:01:ff up");
        router.ip("addr add 10.78.0.1/24 dev br0");
        router.ip("addr add fd78::1/64 dev br0 nodad");
        for (host, mac, last) in [(&child, CHILD, 10), (&parent, PARENT, 20)] {
            let port = format!("port{last}");
            router.join(&port, host, "eth0");
            router.ip(&format!("link set {port} master br0"));
            host.ip(&format!("link set eth0 address {mac} up"));
            host.ip(&format!("addr add 10.78.0.{last}/24 dev eth0"));
            host.ip(&format!("addr add fd78::{last}/64 dev eth0 nodad"));
            host.ip("route add default via 10.78.0.1");
            host.ip("-6 route add default via fd78::1");
        }
        router.join("wan", &world, "eth0");
        router.ip("addr add 203.0.113.1/24 dev wan");
        router.ip("-6 addr add 2001:db8:80::1/64 dev wan nodad");
        router.ip(&format!("route add {FREE_V4}/32 via {UNKNOWN_V4}"));
        router.ip(&format!("-6 route add {FREE_V6}/128 via {SITE_V6}"));
        for address in [SITE_V4, OTHER_V4, UNKNOWN_V4] {
            world.ip(&format!("addr add {address}/24 dev eth0"));
        }
        for address in [SITE_V6, OTHER_V6] {
            world.ip(&format!("-6 addr add {address}/64 dev eth0 nodad"));
        }
        world.ip(&format!("addr add {FREE_V4}/32 dev lo"));
        world.ip(&format!("-6 addr add {FREE_V6}/128 dev lo nodad"));
        world.ip("route add default via 203.0.113.1");
        world.ip("-6 route add default via 2001:db8:80::1");
        let outside = Daemon::start(&world, &self::world());
        let daemon = Daemon::start(&router, router_config);
        Self {
            child,
            parent,
            router,
            daemon,
            _world: (outside, world),
        }
    }

    /// `hedgerow firewall …` on the router.
    fn firewall(&self, verb: &str) -> String {
        let config = self.daemon.config();
        let mut words = vec!["firewall", verb];
        if verb != "remove" {
            words.extend(["--config", config.to_str().unwrap()]);
        }
        self.router.succeed(env!("CARGO_BIN_EXE_hedgerow"), &words)
    }

    /// All that is in the router's firewall, without what counts down.
    fn rules(&self) -> String {
        self.router.succeed("nft", &["-s", "list", "ruleset"])
    }
}

#[test]
fn questions_to_others_are_answered_here() {
    if !are_possible(&["ip", "nft", "dig", "bash", "timeout"]) {
        return;
    }
    let home = Home::new("");
    let v4 = format!("@{FREE_V4} blocked.example");
    let v6 = format!("@{FREE_V6} blocked.example");
    // Without the table a child asks whom it wants.
    assert_eq!(home.child.dig(&v4), SITE_V4);
    assert_eq!(home.child.dig(&v6), SITE_V4);
    assert_eq!(home.child.connect(FREE_V4, 853), Reached::Yes);

    let said = home.firewall("apply");
    assert!(
        said.starts_with("in place: table `inet hedgerow`"),
        "{said}"
    );
    for to in [&v4, &v6, &format!("@{UNKNOWN_V4} blocked.example")] {
        for transport in ["+notcp", "+tcp"] {
            let question = format!("{transport} {to}");
            assert_eq!(home.child.dig(&question), BLOCKED, "{question}");
            // A device that is left alone asks whom it wants.
            assert_eq!(home.parent.dig(&question), SITE_V4, "{question}");
        }
    }
    // To ourselves, as ever.
    assert_eq!(home.child.dig("@10.78.0.1 blocked.example"), BLOCKED);
    assert_eq!(home.child.dig("@fd78::1 blocked.example"), BLOCKED);
}

#[test]
fn encrypted_resolvers_are_out_of_reach() {
    if !are_possible(&["ip", "nft", "dig", "bash", "timeout"]) {
        return;
    }
    let home = Home::new("");
    home.firewall("apply");
    for (address, port) in [
        (FREE_V4, 853),
        (FREE_V6, 853),
        (UNKNOWN_V4, 853),
        (FREE_V4, 443),
        (FREE_V6, 443),
    ] {
        // At once: an app that waits in silence looks broken.
        assert_eq!(
            home.child.connect(address, port),
            Reached::Refused,
            "{address} {port}"
        );
        assert_eq!(
            home.parent.connect(address, port),
            Reached::Yes,
            "{address} {port}"
        );
    }
    // What is no resolver is reached.
    assert_eq!(home.child.connect(SITE_V4, 443), Reached::Yes);
    assert_eq!(home.child.connect(SITE_V6, 443), Reached::Yes);
}

#[test]
fn a_resolver_in_the_home_that_we_ask_may_ask_others() {
    if !are_possible(&["ip", "nft", "dig", "bash", "timeout"]) {
        return;
    }
    // The laptop has the address of the resolver.
    let config = router("").replace(UNKNOWN_V4, "10.78.0.20");
    let home = Home::with(&config.replace("except = [\"laptop\"]", ""));
    home.firewall("apply");
    let question = format!("@{FREE_V4} blocked.example");
    assert_eq!(home.parent.dig(&question), SITE_V4);
    assert_eq!(home.parent.connect(FREE_V4, 853), Reached::Yes);
    assert_eq!(home.child.dig(&question), BLOCKED);
    assert_eq!(home.child.connect(FREE_V4, 853), Reached::Refused);
}

#[test]
fn pings_to_public_resolvers_pass() {
    if !are_possible(&["ip", "nft", "bash", "timeout", "python3"]) {
        return;
    }
    let home = Home::new("");
    home.firewall("apply");
    let program = "import socket, sys
\
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
\
        s.settimeout(5)
\
        s.sendto(bytes.fromhex('0800f7fd00010001'), (sys.argv[1], 0))
\
        print(s.recv(100)[20])";
    let reply = home.child.succeed("python3", &["-c", program, FREE_V4]);
    assert_eq!(reply.trim(), "0", "an echo, and no word that it is closed");
    assert_eq!(home.child.connect(FREE_V4, 443), Reached::Refused);
}

#[test]
fn the_table_comes_and_goes_alone() {
    if !are_possible(&["ip", "nft"]) {
        return;
    }
    let home = Home::new("");
    home.router.succeed("nft", &["add table inet others"]);
    home.router.succeed(
        "nft",
        &["add chain inet others filter { type filter hook forward priority 0; policy accept; }"],
    );
    let before = home.rules();
    assert!(before.contains("table inet others"), "{before}");
    // Nothing there to take away.
    home.firewall("remove");
    assert_eq!(home.rules(), before);
    home.firewall("apply");
    let once = home.rules();
    assert!(
        once.contains("table inet hedgerow") && once.starts_with(&before),
        "{once}"
    );
    home.firewall("apply");
    assert_eq!(home.rules(), once);
    // What is printed is what is put in place.
    home.firewall("remove");
    let script = home.firewall("print");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.nft");
    std::fs::write(&file, script).unwrap();
    home.router.succeed("nft", &["-f", file.to_str().unwrap()]);
    assert_eq!(home.rules(), once);
    home.firewall("remove");
    assert_eq!(home.rules(), before);
}

#[test]
fn a_pinned_device_reaches_what_it_was_told() {
    if !are_possible(&["ip", "nft", "dig", "bash", "timeout"]) {
        return;
    }
    let home = Home::new("pinned-egress = true");
    home.firewall("apply");
    // Nobody told it anything: an address typed in, carried along, or of a hosts file.
    for address in [SITE_V4, SITE_V6, OTHER_V4, OTHER_V6] {
        assert_eq!(
            home.child.connect(address, 443),
            Reached::Refused,
            "{address}"
        );
    }
    // Nor does it help to spell one as a name, to a zone that answers with what it is asked.
    let spelled = format!("{}.site.example", SITE_V4.replace('.', "-"));
    assert_eq!(home.child.dig(&format!("@10.78.0.1 {spelled} A")), SITE_V4);
    assert_eq!(home.child.connect(SITE_V4, 443), Reached::Refused);
    assert_eq!(home.child.dig("@10.78.0.1 www.site.example A"), SITE_V4);
    assert_eq!(home.child.connect(SITE_V4, 443), Reached::Yes);
    assert_eq!(home.child.connect(SITE_V6, 443), Reached::Refused);
    assert_eq!(home.child.dig("@fd78::1 www.site.example AAAA"), SITE_V6);
    assert_eq!(home.child.connect(SITE_V6, 443), Reached::Yes);
    assert_eq!(home.child.connect(OTHER_V4, 443), Reached::Refused);
    assert_eq!(home.child.connect(OTHER_V6, 443), Reached::Refused);
    // What another was told opens nothing, and nobody else is pinned.
    assert_eq!(home.parent.connect(OTHER_V4, 443), Reached::Yes);
    // What it was told stays when the table is put in place anew.
    home.firewall("apply");
    assert_eq!(home.child.connect(SITE_V4, 443), Reached::Yes);
    // An answer from the cache opens too: the pair was taken out by hand, so it is put in again by
    // whoever asks once the daemon has noticed.
    assert_eq!(home.child.dig("@10.78.0.1 blocked.example"), BLOCKED);
    assert_eq!(home.child.connect(BLOCKED, 443), Reached::Refused);
    // The answer may be kept no longer than the device is let through.
    let answer = home
        .child
        .dig("+noshort +noall +answer @10.78.0.1 www.site.example A");
    let ttl: u32 = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(ttl <= 300, "{answer}");
    // The table is made anew: whoever asks again is let through again.
    let status = || home.daemon.hedgerow("status").unwrap();
    assert!(!status().contains("table is not in place"), "{}", status());
    home.router.succeed("nft", &["flush", "ruleset"]);
    assert!(status().contains("table is not in place"), "{}", status());
    home.firewall("apply");
    assert_eq!(home.child.connect(SITE_V4, 443), Reached::Refused);
    assert_eq!(home.child.dig("@10.78.0.1 www.site.example A"), SITE_V4);
    assert_eq!(home.child.connect(SITE_V4, 443), Reached::Yes);
    // A pause takes it back.
    let pause = "pause internet --device tablet --for 1h";
    home.daemon.hedgerow(pause).unwrap();
    assert_eq!(home.child.connect(SITE_V4, 443), Reached::Refused);
}

#[test]
fn what_cannot_be_done_is_told() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hedgerow"))
        .args(["firewall", "print", "--config"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/hedgerow.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("names no interface")
            && said.contains("in `[firewall]`: `interfaces = [\"br-lan\"]`"),
        "{said}"
    );
}
