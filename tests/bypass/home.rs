//! A home with the whole protection in place, and the world.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::Attempt;
use crate::machines::{Daemon, Machine, are_possible};
use crate::programs;

pub const CHILD: &str = "02:00:5e:10:02:01";
pub const YOUNG: &str = "02:00:5e:10:02:02";
pub const PARENT: &str = "02:00:5e:10:02:03";
/// What nobody's device has.
pub const STRANGE: &str = "02:00:5e:10:02:77";

/// Who tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A schoolchild.
    Child,
    /// A small child on an allowlist, whose device reaches only what it was answered.
    Young,
    /// A grown-up, whose device the firewall leaves alone.
    Parent,
    /// Somebody out there.
    World,
}

/// All addresses of the world.
const WORLD: [&str; 11] = [
    "203.0.113.53",
    "203.0.113.66",
    "203.0.113.80",
    "203.0.113.81",
    "203.0.113.82",
    "203.0.113.83",
    "9.9.9.9",
    "2001:db8:80::66",
    "2001:db8:80::80",
    "2001:db8:80::81",
    "2620:fe::fe",
];

const CONFIG: &str = r#"
[server]
listen = ["0.0.0.0:53", "[::]:53"]
workers = 2
serve = ["10.78.0.0/24", "fd78::/64", "fe80::/10", "127.0.0.0/8"]

[upstream]
servers = ["203.0.113.53"]

[household]
time-zone = "UTC"
block = ["blocked.example"]
guest-profile = "guest"

[firewall]
interfaces = ["br0"]
except = ["laptop"]

[profile.child]
inherits = "schoolchild"
block = ["tiktok"]
# Mail and pictures; neither the relay nor the resolver below these names.
allow = ["icloud.com", "google.com"]

[profile.young]
inherits = "preschooler"
allow = ["site.example"]
pinned-egress = true

[profile.guest]
pinned-egress = true

# A grown-up whom nothing is kept from, so that what a trick is after can be seen.
[profile.free]
inherits = "adult"
categories = []
block-rebinding = false

[[list]]
id = "our-gambling"
category = "gambling"
lines = ["casino.example"]

[[list]]
id = "our-trackers"
category = "trackers"
lines = ["tracker.example"]
"#;

fn config() -> String {
    let mut config = CONFIG.to_owned();
    for (name, profile, mac) in [
        ("tablet", "child", CHILD),
        ("toy", "young", YOUNG),
        ("laptop", "free", PARENT),
    ] {
        config +=
            &format!("[[device]]\nname = \"{name}\"\nprofile = \"{profile}\"\nmac = [\"{mac}\"]\n");
    }
    config
}

/// A home and the world.
pub struct Home {
    child: Client,
    young: Client,
    parent: Client,
    outside: Client,
    pub router: Machine,
    pub daemon: Daemon,
    _world: Running,
    _certificate: TempDir,
}

impl Home {
    /// None where it cannot be had.
    pub fn new() -> Option<Self> {
        if !are_possible(&["ip", "nft"]) {
            return None;
        }
        let python = python()?;
        let [child, young, parent, router, world] =
            ["child", "young", "parent", "router", "world"].map(Machine::new);
        for family in ["ipv4.ip_forward", "ipv6.conf.all.forwarding"] {
            router.set(&format!("net.{family}"), "1");
        }
        router.ip("link add br0 type bridge");
        router.ip("link set br0 address 02:00:5e:10:02:ff up");
        router.ip("addr add 10.78.0.1/24 dev br0");
        router.ip("addr add fd78::1/64 dev br0");
        for (host, mac, last) in [
            (&child, CHILD, 10),
            (&young, YOUNG, 11),
            (&parent, PARENT, 20),
        ] {
            let port = format!("port{last}");
            router.join(&port, host, "eth0");
            router.ip(&format!("link set {port} master br0"));
            dress(
                host,
                mac,
                &format!("10.78.0.{last}"),
                &format!("fd78::{last}"),
            );
        }
        router.join("wan", &world, "eth0");
        router.ip("addr add 203.0.113.1/24 dev wan");
        router.ip("-6 addr add 2001:db8:80::1/64 dev wan");
        router.ip("route add 9.9.9.9/32 via 203.0.113.53");
        router.ip("-6 route add 2620:fe::fe/128 via 2001:db8:80::80");
        for address in WORLD {
            let bits = if address.contains(':') { 128 } else { 32 };
            world.ip(&format!("addr add {address}/{bits} dev lo"));
        }
        world.ip("addr add 203.0.113.53/24 dev eth0");
        for address in WORLD.iter().filter(|it| it.starts_with("203.0.113")) {
            router.ip(&format!("route replace {address}/32 dev wan"));
        }
        world.ip("-6 addr add 2001:db8:80::80/64 dev eth0");
        for address in ["2001:db8:80::66", "2001:db8:80::81"] {
            router.ip(&format!("-6 route add {address}/128 via 2001:db8:80::80"));
        }
        world.ip("route add default via 203.0.113.1");
        world.ip("-6 route add default via 2001:db8:80::1");
        let folder = TempDir::new().unwrap();
        let serving = serve_world(&world, &python, &folder);
        let daemon = Daemon::start_with(&router, "starter = true", &config());
        let home = Self {
            child: Client::start(child, &python),
            young: Client::start(young, &python),
            parent: Client::start(parent, &python),
            outside: Client::start(world, &python),
            router,
            daemon,
            _world: serving,
            _certificate: folder,
        };
        home.apply_firewall();
        Some(home)
    }

    fn apply_firewall(&self) {
        let config = self.daemon.config();
        let words = ["firewall", "apply", "--config", config.to_str().unwrap()];
        let said = self.router.succeed(env!("CARGO_BIN_EXE_hedgerow"), &words);
        assert!(said.starts_with("in place"), "{said}");
    }

    /// What comes of it.
    pub fn attempt(&self, who: Who, attempt: &Attempt) -> String {
        match attempt {
            Attempt::Says(words) => self.says(who, words),
            Attempt::Does(all) => all(self),
        }
    }

    /// What comes of one line to somebody's client.
    pub fn says(&self, who: Who, words: &str) -> String {
        self.client(who).says(words)
    }

    /// Somebody's machine.
    pub fn machine(&self, who: Who) -> &Machine {
        &self.client(who).machine
    }

    /// Does something while the configuration has `more` at its end.
    pub fn with<T>(&self, more: &str, work: impl FnOnce() -> T) -> T {
        let path = self.daemon.config();
        let before = std::fs::read_to_string(&path).unwrap();
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            self.daemon.hedgerow("reload").unwrap();
        };
        load(&format!("{before}\n{more}"));
        let done = work();
        load(&before);
        done
    }

    fn client(&self, who: Who) -> &Client {
        match who {
            Who::Child => &self.child,
            Who::Young => &self.young,
            Who::Parent => &self.parent,
            Who::World => &self.outside,
        }
    }
}

/// Gives a machine these addresses and no others.
pub fn dress(host: &Machine, mac: &str, v4: &str, v6: &str) {
    host.ip("link set eth0 down");
    host.ip("addr flush dev eth0");
    host.ip(&format!("link set eth0 address {mac} up"));
    host.ip(&format!("addr add {v4}/24 dev eth0"));
    host.ip(&format!("addr add {v6}/64 dev eth0"));
    host.ip("route replace default via 10.78.0.1");
    host.ip("-6 route replace default via fd78::1");
}

/// The Python that the world and the clients are written for.
fn python() -> Option<OsString> {
    let found = programs::python("dns.message, dns.edns, ssl");
    if found.is_none() {
        eprintln!("skipped: no dnspython");
    }
    found
}

fn program(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/bypass").join(name)
}

/// Starts the world's servers and waits until they listen.
fn serve_world(world: &Machine, python: &OsStr, folder: &TempDir) -> Running {
    let signed = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let mut child = world
        .command(python)
        .arg(program("world.py"))
        .args([certificate, key])
        .args(WORLD)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready");
    Running(child)
}

/// A process of the test's own; ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A machine with a client that does what it is told.
struct Client {
    // Ended before the machine is gone.
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    _running: Running,
    machine: Machine,
}

impl Client {
    fn start(machine: Machine, python: &OsStr) -> Self {
        let mut child = machine
            .command(python)
            .arg(program("client.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            talk: Mutex::new((input, output)),
            _running: Running(child),
            machine,
        }
    }

    fn says(&self, words: &str) -> String {
        let mut talk = self.talk.lock().unwrap();
        writeln!(talk.0, "{words}").unwrap();
        let mut line = String::new();
        talk.1.read_line(&mut line).unwrap();
        let line = line.trim().to_owned();
        assert!(
            !line.is_empty() && !line.starts_with("error:"),
            "{words}: {line}"
        );
        line
    }
}
