//! Zones signed by BIND's tools, spoilt in every way, and served by `named`.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hedgerow::clock::Timestamp;
use tempfile::TempDir;

use crate::support::home::{Running, free_port};
use crate::support::wait_for;

/// A tree of zones and the server for all of it.
pub(crate) struct Tree {
    pub(crate) port: u16,
    folder: TempDir,
    _named: Running,
}

/// How a zone is signed, and what happens to it afterwards.
pub(crate) struct Plan {
    pub(crate) zone: &'static str,
    algorithm: &'static str,
    /// Further arguments of `dnssec-signzone`.
    how: &'static [&'static str],
    /// Lines of the zone beyond the usual ones.
    more: &'static str,
    /// What becomes of each line of the signed file; none takes it out.
    spoil: fn(&str) -> Option<String>,
    link: Link,
}

/// What the parent says of a zone.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    /// Its DS.
    Ds,
    /// Nothing.
    Nothing,
    /// The DS of a key it does not have.
    OtherKey,
}

fn keep(line: &str) -> Option<String> {
    Some(line.to_owned())
}

const PLAIN: Plan = Plan {
    zone: "",
    algorithm: "ECDSAP256SHA256",
    how: &[],
    more: "",
    spoil: keep,
    link: Link::Ds,
};

/// All zones, the deepest first.
pub(crate) fn plans() -> Vec<Plan> {
    vec![
        Plan {
            zone: "plain.n3.lab",
            link: Link::Nothing,
            ..PLAIN
        },
        Plan {
            zone: "n3.lab",
            how: &["-3", "ab", "-H", "5", "-A"],
            more: "*.wild A 192.0.2.3\n",
            ..PLAIN
        },
        Plan {
            zone: "secure.lab",
            more: "*.wild A 192.0.2.3\nalias CNAME www\nto-n3 CNAME www.n3.lab.\n\
                   to-plain CNAME www.plain.lab.\nto-expired CNAME www.expired.lab.\n\
                   helpline A 192.0.2.5\nblocked A 192.0.2.6\n\
                   mail MX 10 Mx.Example.TEST.\nsrv SRV 1 2 53 WWW\nnaptr NAPTR 1 2 \"s\" \"x\" \"\" Www\n\
                   ptr PTR WWW\nlong TXT \"a text\" \"and another\"\nservice HTTPS 1 . alpn=h2\n",
            ..PLAIN
        },
        Plan {
            zone: "rsa256.lab",
            algorithm: "RSASHA256",
            ..PLAIN
        },
        Plan {
            zone: "rsa512.lab",
            algorithm: "RSASHA512",
            ..PLAIN
        },
        Plan {
            zone: "p384.lab",
            algorithm: "ECDSAP384SHA384",
            ..PLAIN
        },
        Plan {
            zone: "ed25519.lab",
            algorithm: "ED25519",
            how: &["-3", "-"],
            ..PLAIN
        },
        Plan {
            zone: "plain.lab",
            link: Link::Nothing,
            ..PLAIN
        },
        Plan {
            zone: "expired.lab",
            how: &["-s", "20200101000000", "-e", "20200201000000"],
            more: "helpline A 192.0.2.5\n",
            ..PLAIN
        },
        Plan {
            zone: "early.lab",
            how: &["-s", "20400101000000", "-e", "20400201000000"],
            ..PLAIN
        },
        Plan {
            zone: "otherkey.lab",
            link: Link::OtherKey,
            ..PLAIN
        },
        Plan {
            zone: "stripped.lab",
            spoil: |line| (!line.contains("RRSIG\tA ")).then(|| line.to_owned()),
            ..PLAIN
        },
        Plan {
            zone: "tampered.lab",
            spoil: |line| Some(line.replace("192.0.2.1", "192.0.2.66")),
            ..PLAIN
        },
        Plan {
            zone: "iterated.lab",
            how: &["-3", "ab", "-H", "120"],
            ..PLAIN
        },
    ]
}

impl Tree {
    /// Signs and serves all of it; none, with the reason, where a tool is missing.
    pub(crate) fn grow() -> Result<Self, String> {
        Self::grow_with(&[])
    }

    /// The same, where all that has no dates of its own is signed from `begin` to `end`.
    pub(crate) fn grow_between(begin: Timestamp, end: Timestamp) -> Result<Self, String> {
        let text = |at: Timestamp| at.strftime("%Y%m%d%H%M%S").to_string();
        Self::grow_with(&["-s", &text(begin), "-e", &text(end)])
    }

    fn grow_with(dates: &[&str]) -> Result<Self, String> {
        for tool in ["dnssec-keygen", "dnssec-signzone", "named", "dig", "delv"] {
            let mut command = Command::new(tool);
            command
                .arg("-V")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if command.status().is_err() {
                return Err(format!(
                    "{tool} is missing (apt install bind9 bind9-dnsutils bind9-utils)"
                ));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let mut delegations = vec![(String::new(), String::new())];
        let mut served = String::new();
        let mut all = plans();
        all.push(Plan {
            zone: "lab",
            ..PLAIN
        });
        all.push(Plan { zone: ".", ..PLAIN });
        for plan in &all {
            let signed = sign(at, plan, dates, &delegations);
            let link = link(at, plan);
            delegations.push((plan.zone.to_owned(), link));
            writeln!(
                served,
                "zone {:?} {{ type primary; file {signed:?}; }};",
                plan.zone
            )
            .unwrap();
        }
        let port = free_port();
        let config = format!(
            "controls {{ }};\n\
             options {{\n directory {at:?}; pid-file none; lock-file none;\n \
             session-keyfile {session:?};\n listen-on port {port} {{ 127.0.0.1; }};\n \
             listen-on-v6 {{ none; }}; recursion yes; allow-query {{ any; }};\n \
             check-integrity no; dnssec-validation no;\n}};\n{served}",
            session = at.join("session.key"),
        );
        std::fs::write(at.join("named.conf"), config).unwrap();
        let log = std::fs::File::create(at.join("log")).unwrap();
        let named = Command::new("named")
            .args(["-g", "-c"])
            .arg(at.join("named.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let named = Running(named);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wait = std::time::Duration::from_millis(100);
        socket.set_read_timeout(Some(wait)).unwrap();
        wait_for("named", || {
            let question = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x03lab\0\0\x06\0\x01";
            socket.send_to(question, ("127.0.0.1", port)).ok()?;
            let mut reply = [0; 512];
            let length = socket.recv(&mut reply).ok()?;
            (length > 12 && reply[3] & 0xf == 0).then_some(())
        });
        Ok(Self {
            port,
            folder,
            _named: named,
        })
    }

    /// The root's DS, as a configuration has it.
    pub(crate) fn anchor(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("dsset-.")).unwrap();
        let line = text.lines().next().unwrap();
        line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What delv says of a question.
    pub(crate) fn delv(&self, name: &str, kind: &str) -> String {
        let anchor = self.anchor();
        let words: Vec<&str> = anchor.split(' ').collect();
        let [tag, algorithm, digest_type] = [words[3], words[4], words[5]];
        let file = self.folder.path().join("anchor.conf");
        let digest = words[6..].concat();
        let text = format!(
            "trust-anchors {{ . static-ds {tag} {algorithm} {digest_type} \"{digest}\"; }};\n"
        );
        std::fs::write(&file, text).unwrap();
        let output = Command::new("delv")
            .args(["@127.0.0.1", "-p", &self.port.to_string(), "-a"])
            .arg(file)
            .args(["+root=.", name, kind])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        // An alias is told link by link: the least of them counts.
        for (mark, verdict) in [
            ("negative response, fully validated", "secure"),
            ("negative response, unsigned answer", "insecure"),
            ("resolution failed", "bogus"),
            ("unsigned answer", "insecure"),
            ("fully validated", "secure"),
        ] {
            if text.contains(mark) {
                return verdict.to_owned();
            }
        }
        text
    }
}

/// Signs the zone of `plan` with what stands in `delegations`; gives the file.
fn sign(at: &Path, plan: &Plan, dates: &[&str], delegations: &[(String, String)]) -> PathBuf {
    let zone = plan.zone;
    let mut text = format!(
        "$TTL 300\n$ORIGIN {origin}\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n\
         ns A 192.0.2.53\nwww A 192.0.2.1\ndeep.empty TXT \"x\"\n{}",
        plan.more,
        origin = if zone == "." {
            ".".to_owned()
        } else {
            format!("{zone}.")
        },
    );
    for (child, link) in delegations {
        let parent = child.split_once('.').map_or(".", |(_, parent)| parent);
        let is_ours = !child.is_empty() && child != "." && parent == zone;
        if is_ours {
            write!(text, "{child}. NS ns.lab.\n{link}").unwrap();
        }
    }
    let file = at.join(format!("zone-{zone}"));
    std::fs::write(&file, text).unwrap();
    run(
        at,
        "dnssec-keygen",
        &["-q", "-f", "KSK", "-a", plan.algorithm, zone],
    );
    let signed = at.join(format!("signed-{zone}"));
    let out = signed.to_str().unwrap().to_owned();
    let mut arguments = vec!["-q", "-z", "-S", "-P", "-o", zone, "-O", "full", "-f", &out];
    // The last of each counts.
    arguments.extend(dates.iter().chain(plan.how));
    arguments.push(file.to_str().unwrap());
    run(at, "dnssec-signzone", &arguments);
    let text = std::fs::read_to_string(&signed).unwrap();
    let kept: Vec<String> = text.lines().filter_map(plan.spoil).collect();
    std::fs::write(&signed, kept.join("\n") + "\n").unwrap();
    signed
}

/// What the parent has to say of the zone of `plan`.
fn link(at: &Path, plan: &Plan) -> String {
    let zone = plan.zone;
    let dot = if zone == "." { "" } else { "." };
    let ds = at.join(format!("dsset-{zone}{dot}"));
    match plan.link {
        Link::Ds => std::fs::read_to_string(ds).unwrap(),
        Link::Nothing => String::new(),
        Link::OtherKey => {
            let other = at.join("other");
            std::fs::create_dir_all(&other).unwrap();
            run(
                &other,
                "dnssec-keygen",
                &["-q", "-f", "KSK", "-a", plan.algorithm, zone],
            );
            let key = std::fs::read_dir(&other).unwrap();
            let mut key = key.map(|entry| entry.unwrap().path());
            let key = key.find(|it| it.extension().is_some_and(|end| end == "key"));
            run(
                &other,
                "dnssec-dsfromkey",
                &[key.unwrap().to_str().unwrap()],
            )
        }
    }
}

fn run(at: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(at)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
