//! A real dnsmasq with `add-mac` between us and two hosts with MAC addresses of their own.
//!
//! The test runs itself a second time in a network namespace, where it may make others: the hosts.
//! ```text
//! tablet   192.168.77.10 ──┐
//! parent   192.168.78.10 ──┼── dnsmasq 192.168.77.1, .78.1, .79.1 ── 127.0.0.1 hedgerow ── upstream
//! stranger 192.168.79.10 ──┘
//! ```

use std::process::{Child, Command, Stdio};

use crate::skip::skip;
use crate::support::home::Running;
use crate::support::{Home, clients, wait_for};
use crate::{FAMILY, reload, taken_for};

/// Set for the second run.
const INSIDE: &str = "HEDGEROW_TEST_INSIDE";

/// A host: its place among the links, whom it is taken for, its MAC address.
const HOSTS: [(u8, &str, &str); 3] = [
    (77, "tablet", "02:00:5e:10:00:01"),
    (78, "parent", "02:00:5e:10:00:02"),
    (79, "guest", "02:00:5e:10:00:03"),
];

#[test]
fn a_real_dnsmasq_says_which_device_it_is() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    for (program, package) in [
        ("dnsmasq", "dnsmasq-base"),
        ("ip", "iproute2"),
        ("nsenter", "util-linux"),
        ("dig", "bind9-dnsutils"),
    ] {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // `ip` and `dig` know no `--version` and say so.
        if found.is_err() {
            skip(&format!(
                "{program} is missing (Debian and Ubuntu: apt install {package})"
            ));
            return;
        }
    }
    // As root, or as somebody who may be root of a namespace of his own.
    let ways: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
    let may = |way: &&&[&str]| {
        let links = ["ip", "link", "add", "probe0", "type", "veth"];
        let made = Command::new("unshare").args(**way).args(links).output();
        made.is_ok_and(|made| made.status.success())
    };
    let Some(way) = ways.iter().find(may) else {
        skip("network namespaces with links cannot be made here");
        return;
    };
    let status = Command::new("unshare")
        .args(*way)
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "dnsmasq::a_real_dnsmasq_says_which_device_it_is"])
        .arg("--nocapture")
        .env(INSIDE, "1")
        .status();
    assert!(status.unwrap().success());
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

/// A host behind a link of its own: a process that holds the namespace.
fn start_host(place: u8, mac: &str) -> Running {
    let sleeper = Command::new("unshare")
        .args(["--net", "sleep", "600"])
        .spawn();
    let host = Running(sleeper.unwrap());
    let pid = host.0.id().to_string();
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    wait_for("the host's namespace", || {
        let its = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
        (its != own).then_some(())
    });
    let (here, there) = (format!("veth{place}"), format!("192.168.{place}.10/24"));
    run(
        "ip",
        &[
            "link", "add", &here, "type", "veth", "peer", "name", "eth0", "netns", &pid,
        ],
    );
    run(
        "ip",
        &[
            "addr",
            "add",
            &format!("192.168.{place}.1/24"),
            "dev",
            &here,
        ],
    );
    run("ip", &["link", "set", &here, "up"]);
    let in_host = |arguments: &[&str]| {
        let inside = [&["--target", &pid, "--net", "ip"], arguments].concat();
        run("nsenter", &inside);
    };
    in_host(&["link", "set", "eth0", "address", mac]);
    in_host(&["link", "set", "eth0", "up"]);
    in_host(&["addr", "add", &there, "dev", "eth0"]);
    host
}

/// dnsmasq with these words of its own.
fn start_dnsmasq(home: &Home, words: &[&str]) -> Child {
    let server = format!("--server=127.0.0.1#{}", home.v4.port());
    Command::new("dnsmasq")
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
        ])
        .args([
            "--no-hosts",
            "--user=root",
            "--pid-file=",
            "--bind-interfaces",
        ])
        .args([
            "--listen-address=192.168.77.1",
            "--listen-address=192.168.78.1",
            "--listen-address=192.168.79.1",
        ])
        .arg(server)
        .args(words)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What `dig` in a host shows of `name`; none when nobody answers.
fn dig(host: &Running, place: u8, name: &str, more: &[&str]) -> Option<String> {
    let (pid, server) = (host.0.id().to_string(), format!("@192.168.{place}.1"));
    let output = Command::new("nsenter")
        .args(["--target", &pid, "--net", "dig", &server])
        .args([
            "+time=5",
            "+tries=2",
            "+noall",
            "+comments",
            "+answer",
            name,
            "A",
        ])
        .args(more)
        .output()
        .unwrap();
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap())
}

fn identity(host: &Running, place: u8, more: &[&str]) -> &'static str {
    taken_for(|name| {
        let text = dig(host, place, name, more).expect("dnsmasq answers");
        clients::records(&text) == ["A 0.0.0.0"]
    })
}

/// dnsmasq says the client's address as well, and a client has written both before, in one order
/// and in the other, once or twice.
fn whoever_writes_both_words_is_believed_neither(
    home: &Home,
    hosts: &[(Running, u8, &'static str)],
) {
    let trust = "trust = [\"mac\", \"client-subnet\"]";
    let forwarder = format!("[[forwarder]]\naddress = [\"127.0.0.1\"]\n{trust}\n");
    let family = FAMILY.replace("127.0.0.9", "127.0.0.1");
    reload(home, &family, &forwarder);
    // The printer's address and the parent's MAC address, in the form that `add-mac` writes, in
    // another, and as the EDNS options they are.
    let (subnet, mac) = ("+ednsopt=8:000120000a000009", "+ednsopt=65001:02005e100002");
    let text = "+ednsopt=65073:30323a30303a35653a31303a30303a3032";
    let forgeries: [&[&str]; 5] = [
        &[subnet, mac],
        &[mac, subnet],
        &[text, mac, subnet],
        &[subnet, subnet, mac, mac],
        &["+subnet=192.168.78.10/32", mac],
    ];
    let words = [
        "--add-mac",
        "--strip-mac",
        "--add-subnet=32,128",
        "--strip-subnet",
    ];
    let dnsmasq = Running(start_dnsmasq(home, &words));
    let (tablet, place, _) = &hosts[0];
    wait_for("dnsmasq to answer", || {
        dig(tablet, *place, "localhost", &[])
    });
    for (host, place, name) in hosts {
        for forgery in forgeries {
            let taken_for = identity(host, *place, forgery);
            assert_eq!(taken_for, *name, "{forgery:?}");
        }
    }
    drop(dnsmasq);
}

fn inside() {
    run("ip", &["link", "set", "lo", "up"]);
    let hosts: Vec<_> = HOSTS
        .iter()
        .map(|(place, name, mac)| (start_host(*place, mac), *place, *name))
        .collect();
    let forwarder = "[[forwarder]]\naddress = [\"127.0.0.1\"]\ntrust = [\"mac\"]\n";
    // dnsmasq is the router, which must not lend its name to what it does not mark.
    let family = FAMILY.replace("127.0.0.9", "127.0.0.1");
    let home = Home::start(&format!("{family}{forwarder}"));
    // What a child would write to be its parent, in both forms, and to be anybody else.
    let forgeries = [
        "+ednsopt=65001:02005e100002",
        "+ednsopt=65073:30323a30303a35653a31303a30303a3032",
        "+ednsopt=65074:6c696e652d31",
        "+subnet=10.0.0.9/32",
    ];
    // dnsmasq marks none of these, and leaves the forged word in the first where it is.
    let signed = "-yhmac-sha256:key.example:c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";
    let unmarked: [&[&str]; 3] = [
        &[signed, forgeries[0]],
        &[signed],
        &["+padding=508", "+nocookie"],
    ];
    for add_mac in ["--add-mac", "--add-mac=text", "--add-mac=base64"] {
        let dnsmasq = Running(start_dnsmasq(&home, &[add_mac, "--strip-mac"]));
        let (tablet, place, _) = &hosts[0];
        wait_for("dnsmasq to answer", || {
            dig(tablet, *place, "localhost", &[])
        });
        for (host, place, name) in &hosts {
            assert_eq!(identity(host, *place, &[]), *name, "{add_mac}");
        }
        for forgery in forgeries {
            let taken_for = identity(tablet, *place, &[forgery]);
            assert_eq!(taken_for, "tablet", "{add_mac} {forgery}");
        }
        for ways in unmarked {
            assert_eq!(
                identity(tablet, *place, ways),
                "guest",
                "{add_mac} {ways:?}"
            );
        }
        drop(dnsmasq);
    }
    whoever_writes_both_words_is_believed_neither(&home, &hosts);
    // Asked past dnsmasq, by a host that is no forwarder, the same words mean nothing: the daemon
    // listens on loopback alone, so that this is a question of 127.0.0.2.
    let asked = crate::support::wire::ask("parent.example", 1).from("127.0.0.2");
    let reply = home.ask(&asked.option(65_001, &[2, 0, 0x5e, 0x10, 0, 2]));
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    println!("dnsmasq was asked by {} hosts", hosts.len());
}
