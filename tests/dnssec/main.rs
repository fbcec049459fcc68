//! Validation by the real binary: zones signed by BIND's tools and served by `named`, asked with dig,
//! and every verdict compared with delv's.

#![cfg(feature = "dnssec")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/daemon/mod.rs"]
mod support;

mod zones;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hedgerow::clock::{RELEASED, Timestamp};
use skip::{skip, skip_peer};
use support::{Home, wait_for};
use zones::Tree;

/// Everything is allowed, and nothing has to be compiled for that.
const OPEN: &str = "[household]\nguest-profile = \"adult\"\n[lists]\nstarter = false\n";

fn tree() -> Option<Tree> {
    Tree::grow().map_err(|why| skip_peer(&why)).ok()
}

/// A home that asks `servers` and checks what they say.
fn home(tree: &Tree, servers: &[u16], more_of_dnssec: &str, more: &str) -> Home {
    let mut list = String::new();
    for port in servers {
        write!(list, "\"127.0.0.1:{port}\", ").unwrap();
    }
    let anchor = tree.anchor();
    Home::start(&format!(
        "{OPEN}[upstream]\nservers = [{list}]\n[dnssec]\nvalidate = true\n\
         trust-anchors = [{anchor:?}]\n{more_of_dnssec}\n{more}"
    ))
}

/// What dig shows of an answer.
struct Shown(String);

impl Shown {
    fn rcode(&self) -> &str {
        let after = self
            .0
            .split_once("status: ")
            .unwrap_or_else(|| panic!("{}", self.0))
            .1;
        after.split_once(',').unwrap().0
    }

    fn has_flag(&self, flag: &str) -> bool {
        let after = self.0.split_once(";; flags:").unwrap().1;
        let flags = after.split_once(';').unwrap().0;
        flags.split_ascii_whitespace().any(|it| it == flag)
    }

    /// The code of the Extended DNS Error.
    fn ede(&self) -> Option<u16> {
        let after = self.0.split_once("; EDE: ")?.1;
        after
            .split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    }

    /// Types of the records, OPT aside.
    fn types(&self) -> Vec<&str> {
        let records = self
            .0
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(';'));
        records
            .map(|line| line.split_ascii_whitespace().nth(3).unwrap())
            .collect()
    }

    /// `secure`, `insecure` or `bogus` and the Extended DNS Error.
    fn verdict(&self) -> String {
        match (self.rcode(), self.has_flag("ad"), self.ede()) {
            ("SERVFAIL", false, Some(code)) => format!("bogus {code}"),
            ("NOERROR" | "NXDOMAIN", true, None) => "secure".into(),
            ("NOERROR" | "NXDOMAIN", false, None) => "insecure".into(),
            ("NOERROR" | "NXDOMAIN", false, Some(code)) => format!("insecure {code}"),
            _ => panic!("{}", self.0),
        }
    }
}

fn dig(home: &Home, name: &str, kind: &str, flags: &[&str]) -> Shown {
    let port = home.v4.port().to_string();
    let output = Command::new("dig")
        .args(["@127.0.0.1", "-p", &port, "+time=8", "+tries=1", name, kind])
        .args(flags)
        .output()
        .unwrap();
    Shown(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_verdicts_are_those_of_delv() {
    let Some(tree) = tree() else {
        return;
    };
    let home = home(&tree, &[tree.port], "", "");
    let cases = [
        ("www.secure.lab", "A", "secure"),
        ("www.secure.lab", "TXT", "secure"),
        ("nowhere.secure.lab", "A", "secure"),
        ("a.b.c.nowhere.secure.lab", "A", "secure"),
        ("empty.secure.lab", "A", "secure"),
        ("any.wild.secure.lab", "A", "secure"),
        ("any.wild.secure.lab", "TXT", "secure"),
        ("alias.secure.lab", "A", "secure"),
        ("to-n3.secure.lab", "A", "secure"),
        ("to-plain.secure.lab", "A", "insecure"),
        ("to-expired.secure.lab", "A", "bogus 7"),
        ("mail.secure.lab", "MX", "secure"),
        ("srv.secure.lab", "SRV", "secure"),
        ("naptr.secure.lab", "NAPTR", "secure"),
        ("ptr.secure.lab", "PTR", "secure"),
        ("long.secure.lab", "TXT", "secure"),
        ("service.secure.lab", "HTTPS", "secure"),
        ("secure.lab", "SOA", "secure"),
        ("secure.lab", "DNSKEY", "secure"),
        ("secure.lab", "DS", "secure"),
        ("plain.lab", "DS", "secure"),
        ("lab", "NS", "secure"),
        ("nosuchtld", "A", "secure"),
        ("www.rsa256.lab", "A", "secure"),
        ("www.rsa512.lab", "A", "secure"),
        ("www.p384.lab", "A", "secure"),
        ("www.ed25519.lab", "A", "secure"),
        ("nowhere.ed25519.lab", "A", "secure"),
        ("www.n3.lab", "A", "secure"),
        ("www.n3.lab", "TXT", "secure"),
        ("any.wild.n3.lab", "A", "insecure"),
        ("nowhere.n3.lab", "A", "insecure"),
        ("www.plain.n3.lab", "A", "insecure"),
        ("www.plain.lab", "A", "insecure"),
        ("nowhere.plain.lab", "A", "insecure"),
        ("www.expired.lab", "A", "bogus 7"),
        ("nowhere.expired.lab", "A", "bogus 7"),
        ("www.early.lab", "A", "bogus 8"),
        ("www.otherkey.lab", "A", "bogus 9"),
        ("www.stripped.lab", "A", "bogus 10"),
        ("www.tampered.lab", "A", "bogus 6"),
        ("www.iterated.lab", "A", "secure"),
        ("nowhere.iterated.lab", "A", "insecure 27"),
    ];
    let mut differences = Vec::new();
    for (name, kind, expected) in cases {
        let found = dig(&home, name, kind, &["+adflag"]).verdict();
        if found != expected {
            differences.push(format!("{name} {kind}: {found}, expected {expected}"));
        }
        // Where delv says secure and the RFCs let or want it be insecure: its bound is 150 iterations (RFC
        // 9276 section 3.2), and it takes opt-out for a proof (RFC 5155 section 9.2).
        if ["nowhere.iterated.lab", "nowhere.n3.lab"].contains(&name) {
            continue;
        }
        let theirs = tree.delv(name, kind);
        if expected.split(' ').next() != Some(&*theirs) {
            differences.push(format!(
                "{name} {kind}: delv says {theirs}, expected {expected}"
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    // From the cache it is the same.
    for (name, expected) in [
        ("www.secure.lab", "secure"),
        ("www.plain.lab", "insecure"),
        ("nowhere.iterated.lab", "insecure 27"),
        ("www.expired.lab", "bogus 7"),
    ] {
        assert_eq!(
            dig(&home, name, "A", &["+adflag"]).verdict(),
            expected,
            "{name}"
        );
    }
    let socket = home.path("../run/control.sock");
    let socket = socket.to_str().unwrap();
    let status = home.hedgerow(&["status", "--socket", socket]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    let line = status.lines().find(|line| line.starts_with("dnssec"));
    let line = line.unwrap_or_else(|| panic!("{status}"));
    assert!(
        line.contains(" secure, ") && line.ends_with(" bogus"),
        "{line}"
    );
    let explained = home.hedgerow(&["explain", "--socket", socket, "www.expired.lab"]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(
        explained.contains("has a signature that expired"),
        "{explained}"
    );
    let explained = home.hedgerow(&["explain", "--socket", socket, "www.secure.lab"]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains("signatures are checked"), "{explained}");
}

#[test]
fn ad_do_and_cd_are_as_the_client_asked() {
    let Some(tree) = tree() else {
        return;
    };
    let home = home(&tree, &[tree.port], "", "");
    let (ad, no_ad, with, cd) = ("+adflag", "+noadflag", "+dnssec", "+cdflag");
    // Twice, so that the second comes from the cache.
    for _ in 0..2 {
        let plain = dig(&home, "www.secure.lab", "A", &[no_ad, "+noedns"]);
        assert_eq!((plain.has_flag("ad"), plain.types()), (false, vec!["A"]));
        let asked = dig(&home, "www.secure.lab", "A", &[ad, "+noedns"]);
        assert_eq!((asked.has_flag("ad"), asked.types()), (true, vec!["A"]));
        let signed = dig(&home, "www.secure.lab", "A", &[no_ad, with]);
        assert_eq!(
            (signed.has_flag("ad"), signed.types()),
            (true, vec!["A", "RRSIG"])
        );
        let no = dig(&home, "nowhere.secure.lab", "A", &[no_ad]);
        assert_eq!((no.rcode(), no.types()), ("NXDOMAIN", vec!["SOA"]));
        let no = dig(&home, "nowhere.secure.lab", "A", &[no_ad, with]);
        assert!(
            no.has_flag("ad") && no.types().contains(&"NSEC"),
            "{}",
            no.0
        );
        // Who checks by itself gets what came, and nobody else gets it.
        let own = dig(&home, "www.expired.lab", "A", &[with, cd]);
        assert_eq!((own.rcode(), own.types()), ("NOERROR", vec!["A", "RRSIG"]));
        assert!(own.has_flag("cd") && !own.has_flag("ad"), "{}", own.0);
        let own = dig(&home, "www.secure.lab", "A", &[with, cd]);
        assert_eq!(
            (own.has_flag("ad"), own.types()),
            (false, vec!["A", "RRSIG"])
        );
        let bogus = dig(&home, "www.expired.lab", "A", &[with]);
        assert_eq!(
            (bogus.rcode(), bogus.ede(), bogus.types()),
            ("SERVFAIL", Some(7), vec![])
        );
        let insecure = dig(&home, "www.plain.lab", "A", &[ad, with]);
        assert_eq!(
            (insecure.rcode(), insecure.has_flag("ad")),
            ("NOERROR", false)
        );
    }
    // What delv finds behind us is what it finds itself.
    assert_eq!(tree.delv("www.secure.lab", "A"), "secure");
}

#[test]
fn what_the_household_says_comes_first() {
    let Some(tree) = tree() else {
        return;
    };
    let own = format!(
        "[household]\nblock = [\"blocked.secure.lab\", \"blocked.expired.lab\"]\n\
         [[forward]]\ndomain = \"early.lab\"\nservers = [\"127.0.0.1:{}\"]\n\
         [[list]]\nid = \"help\"\ncategory = \"lifelines\"\nkind = \"lifeline\"\n\
         lines = [\"helpline.expired.lab\", \"helpline.secure.lab\"]\n",
        tree.port
    );
    let home = {
        let more = "negative-trust-anchors = [\"tampered.lab\"]";
        let text = own.replacen("[household]\n", "", 1);
        // One table each: the household's stands in `OPEN`.
        let (block, rest) = text.split_once('\n').unwrap();
        let anchor = tree.anchor();
        Home::start(&format!(
            "[household]\nguest-profile = \"adult\"\n{block}\n[lists]\nstarter = false\n\
             [upstream]\nservers = [\"127.0.0.1:{}\"]\n[dnssec]\nvalidate = true\n\
             trust-anchors = [{anchor:?}]\n{more}\n{rest}",
            tree.port
        ))
    };
    // What is blocked stays blocked, is no failure and never authentic.
    for name in ["blocked.secure.lab", "blocked.expired.lab"] {
        let blocked = dig(&home, name, "A", &["+adflag", "+dnssec"]);
        assert_eq!(blocked.rcode(), "NOERROR", "{}", blocked.0);
        assert!(
            !blocked.has_flag("ad") && blocked.0.contains("0.0.0.0"),
            "{}",
            blocked.0
        );
    }
    // Help is never SERVFAIL for somebody's expired signature.
    for name in ["helpline.expired.lab", "helpline.secure.lab"] {
        let help = dig(&home, name, "A", &["+adflag"]);
        assert_eq!((help.rcode(), help.has_flag("ad")), ("NOERROR", false));
        assert!(help.0.contains("192.0.2.5"), "{}", help.0);
    }
    assert_eq!(dig(&home, "www.expired.lab", "A", &[]).verdict(), "bogus 7");
    assert_eq!(
        dig(&home, "www.tampered.lab", "A", &[]).verdict(),
        "insecure"
    );
    assert_eq!(dig(&home, "www.early.lab", "A", &[]).verdict(), "insecure");
    assert_eq!(dig(&home, "www.secure.lab", "A", &[]).verdict(), "secure");
}

/// A server before `port` that does not know DO.
struct Stripping {
    port: u16,
    over: Arc<AtomicBool>,
}

impl Stripping {
    fn before(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wait = Duration::from_millis(50);
        socket.set_read_timeout(Some(wait)).unwrap();
        let own = socket.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        std::thread::spawn(move || {
            let behind = UdpSocket::bind("127.0.0.1:0").unwrap();
            behind.connect(("127.0.0.1", port)).unwrap();
            behind.set_read_timeout(Some(wait * 20)).unwrap();
            let mut message = [0; 4096];
            while !is_over.load(Ordering::Relaxed) {
                let Ok((length, asker)) = socket.recv_from(&mut message) else {
                    continue;
                };
                // The OPT stands last, without options: DO is in its TTL.
                message[length - 4] &= 0x7f;
                behind.send(&message[..length]).unwrap();
                if let Ok(length) = behind.recv(&mut message) {
                    socket.send_to(&message[..length], asker).unwrap();
                }
            }
        });
        Self { port: own, over }
    }
}

impl Drop for Stripping {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

#[test]
fn another_server_is_asked_when_one_strips_signatures() {
    let Some(tree) = tree() else {
        return;
    };
    let stripping = Stripping::before(tree.port);
    let alone = home(&tree, &[stripping.port], "", "");
    assert_eq!(dig(&alone, "www.plain.lab", "A", &[]).verdict(), "bogus 10");
    assert_eq!(
        dig(&alone, "www.secure.lab", "A", &[]).verdict(),
        "bogus 10"
    );
    drop(alone);
    let both = home(&tree, &[stripping.port, tree.port], "", "");
    for name in [
        "www.secure.lab",
        "www.n3.lab",
        "www.rsa256.lab",
        "nowhere.secure.lab",
    ] {
        let kind = dig(&both, name, "A", &[]).verdict();
        let expected = "secure";
        assert_eq!(kind, expected, "{name}");
    }
    assert_eq!(dig(&both, "www.expired.lab", "A", &[]).verdict(), "bogus 7");
    assert_eq!(dig(&both, "www.plain.lab", "A", &[]).verdict(), "insecure");
}

/// What somebody does to the reply to a question for a type: how often it was asked before, and the reply;
/// how long that takes.
type Meddle = fn(kind: u16, name: &[u8], before: usize, reply: &mut [u8]) -> Duration;

/// A server before `port` with somebody on its line.
struct Meddling {
    port: u16,
    over: Arc<AtomicBool>,
}

impl Meddling {
    fn before(port: u16, meddle: Meddle) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let wait = Duration::from_millis(50);
        socket.set_read_timeout(Some(wait)).unwrap();
        let own = socket.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        std::thread::spawn(move || {
            let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
            let mut message = [0; 4096];
            while !is_over.load(Ordering::Relaxed) {
                let Ok((length, asker)) = socket.recv_from(&mut message) else {
                    continue;
                };
                let question = message[..length].to_vec();
                let name = question[12..].split(|octet| *octet == 0).next().unwrap();
                let name = name.to_ascii_lowercase();
                let at = 12 + name.len() + 1;
                let kind = u16::from_be_bytes([question[at], question[at + 1]]);
                let asked = counts.entry([&name, &question[at..at + 2]].concat());
                let asked = asked.or_default();
                let before = *asked;
                *asked += 1;
                let socket = Arc::clone(&socket);
                std::thread::spawn(move || {
                    let behind = UdpSocket::bind("127.0.0.1:0").unwrap();
                    behind.set_read_timeout(Some(wait * 20)).unwrap();
                    behind.send_to(&question, ("127.0.0.1", port)).unwrap();
                    let mut reply = [0; 4096];
                    if let Ok(length) = behind.recv(&mut reply) {
                        std::thread::sleep(meddle(kind, &name, before, &mut reply[..length]));
                        // Whoever asked may be gone.
                        let _sent = socket.send_to(&reply[..length], asker);
                    }
                });
            }
        });
        Self { port: own, over }
    }
}

impl Drop for Meddling {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

const DNSKEY: u16 = 48;

/// A TLD was closed for half a minute by one damaged message, where there is no other server to ask.
#[test]
fn one_bad_answer_of_the_only_server_closes_no_zone() {
    let Some(tree) = tree() else {
        return;
    };
    // The first time its keys are asked for, the last octet of a signature is another.
    let meddling = Meddling::before(tree.port, |kind, name, before, reply| {
        if kind == DNSKEY && name == b"\x03lab" && before == 0 {
            for at in 12..reply.len() - 40 {
                reply[at] ^= u8::from(at > reply.len() - 60);
            }
        }
        Duration::ZERO
    });
    let home = home(&tree, &[meddling.port], "", "");
    for name in ["www.secure.lab", "www.n3.lab"] {
        assert_eq!(dig(&home, name, "A", &[]).verdict(), "secure", "{name}");
    }
}

/// Whoever asks first may have little time left for the keys: that says nothing of those who have more.
#[test]
fn keys_that_came_too_late_for_one_are_there_for_the_next() {
    let Some(tree) = tree() else {
        return;
    };
    let meddling = Meddling::before(tree.port, |kind, name, _, _| {
        let is_late = name.starts_with(b"\x03www\x06secure") && kind == 1;
        // Two seconds are all there is.
        Duration::from_millis(match (is_late, kind) {
            (true, _) => 1700,
            (_, DNSKEY) => 600,
            _ => 0,
        })
    });
    let home = home(&tree, &[meddling.port], "", "");
    assert_eq!(dig(&home, "www.secure.lab", "A", &[]).rcode(), "SERVFAIL");
    assert_eq!(
        dig(&home, "alias.secure.lab", "TXT", &[]).verdict(),
        "secure"
    );
    assert_eq!(dig(&home, "www.n3.lab", "A", &[]).verdict(), "secure");
}

/// Time servers on loopback that agree that it is `behind` less than the machine's clock shows; as
/// `[time]` has them.
fn time_servers(behind: Duration) -> String {
    let mut all = String::new();
    for last in 1..=3 {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        write!(all, "\"{}\", ", socket.local_addr().unwrap()).unwrap();
        // It ends with the process.
        std::thread::spawn(move || {
            let mut request = [0; 128];
            while let Ok((length, from)) = socket.recv_from(&mut request) {
                if length != 48 {
                    continue;
                }
                let now = Timestamp::now() - behind;
                let seconds = (now.as_second() + 2_208_988_800) as u32;
                let mut reply = [0; 48];
                (reply[0], reply[1]) = (0x24, 2);
                reply[24..32].copy_from_slice(&request[40..48]);
                reply[40..44].copy_from_slice(&seconds.to_be_bytes());
                drop(socket.send_to(&reply, from));
            }
        });
    }
    format!("[time]\nservers = [{all}]")
}

/// A router whose clock is ahead had no signed name: here the world is four hours behind it.
#[test]
fn a_clock_that_is_ahead_has_its_time_from_the_network() {
    const HOUR: Duration = Duration::from_secs(3600);
    let now = Timestamp::now();
    let behind = 4 * HOUR;
    let truth = now - behind;
    if truth.as_second().unsigned_abs() < RELEASED {
        return skip("it is the day of the release, and nothing was before that");
    }
    let tree = match Tree::grow_between(truth - 24 * HOUR, truth + HOUR) {
        Ok(tree) => tree,
        Err(why) => return skip_peer(&why),
    };
    let home = home(&tree, &[tree.port], "", &time_servers(behind));
    assert_eq!(dig(&home, "www.secure.lab", "A", &[]).verdict(), "bogus 7");
    wait_for("a time from the network", || {
        let verdict = dig(&home, "www.secure.lab", "A", &[]).verdict();
        (verdict == "secure").then_some(())
    });
    home.has_said("the machine's clock is ahead, so the time of the network is used");
    let status = home.hedgerow(&[
        "--socket",
        home.path("../run/control.sock").to_str().unwrap(),
        "status",
    ]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("own clock is ahead: it shows"), "{status}");
    // What is over by the true time too stays so.
    assert_eq!(dig(&home, "www.expired.lab", "A", &[]).verdict(), "bogus 7");
    assert_eq!(dig(&home, "www.n3.lab", "A", &[]).verdict(), "secure");
}
