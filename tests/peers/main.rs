//! The real binary with other programs as its upstream: over TLS and HTTPS with certificates of the
//! test's own, and with one that falls silent.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/daemon/mod.rs"]
mod support;

mod outage;

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use skip::skip_peer;
use support::home::{Running, free_port};
use support::wire::rtype;
use support::{Home, wait_for};

/// Names that every program knows; all of them have the same address.
const NAMES: usize = 20;
const ADDRESS: &str = "192.0.2.77";

/// Everything is allowed, and nothing has to be compiled for that.
const OPEN: &str = "[household]\nguest-profile = \"adult\"\n[lists]\nstarter = false\n";

/// Where a program is asked.
struct Ports {
    tls: u16,
    https: u16,
    /// For one that insists on being asked in the clear too.
    plain: u16,
}

/// Writes the files of a program into a folder that holds `cert.pem` and `key.pem`, and says how
/// it is started.
type SetUp = fn(&Path, &Ports) -> Command;

fn name(index: usize) -> String {
    format!("n{index}.example.org")
}

fn unbound(folder: &Path, ports: &Ports) -> Command {
    let mut config = format!(
        "server:\n directory: {folder:?}\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
         use-syslog: no\n do-daemonize: no\n interface: 127.0.0.1@{tls}\n \
         interface: 127.0.0.1@{https}\n tls-port: {tls}\n https-port: {https}\n \
         tls-service-key: key.pem\n tls-service-pem: cert.pem\n \
         access-control: 127.0.0.0/8 allow\n module-config: iterator\n \
         local-zone: example.org. static\n",
        tls = ports.tls,
        https = ports.https,
    );
    for index in 0..NAMES {
        writeln!(
            config,
            " local-data: \"{}. 300 IN A {ADDRESS}\"",
            name(index)
        )
        .unwrap();
    }
    config.push_str("remote-control:\n control-enable: no\n");
    std::fs::write(folder.join("unbound.conf"), config).unwrap();
    let mut command = Command::new("unbound");
    command.arg("-d").arg("-c").arg(folder.join("unbound.conf"));
    command
}

fn named(folder: &Path, ports: &Ports) -> Command {
    let mut zone = "$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\n\
                    ns IN A 192.0.2.1\n"
        .to_owned();
    for index in 0..NAMES {
        writeln!(zone, "n{index} IN A {ADDRESS}").unwrap();
    }
    std::fs::write(folder.join("zone"), zone).unwrap();
    let config = format!(
        "tls own {{ cert-file {cert:?}; key-file {key:?}; }};\n\
         http own {{ endpoints {{ \"/dns-query\"; }}; }};\n\
         controls {{ }};\n\
         options {{\n directory {folder:?}; pid-file none; lock-file none;\n \
         session-keyfile {session:?};\n \
         listen-on port {} tls own {{ 127.0.0.1; }};\n \
         listen-on port {} tls own http own {{ 127.0.0.1; }};\n \
         listen-on-v6 {{ none; }}; recursion no; allow-query {{ any; }};\n}};\n\
         zone \"example.org\" {{ type primary; file {zone:?}; }};\n",
        ports.tls,
        ports.https,
        cert = folder.join("cert.pem"),
        key = folder.join("key.pem"),
        session = folder.join("session.key"),
        zone = folder.join("zone"),
    );
    std::fs::write(folder.join("named.conf"), config).unwrap();
    let mut command = Command::new("named");
    command.arg("-g").arg("-c").arg(folder.join("named.conf"));
    command
}

fn dnsdist(folder: &Path, ports: &Ports) -> Command {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let config = format!(
        "setLocal('127.0.0.1:{}')\n\
         addTLSLocal('127.0.0.1:{}', {cert:?}, {key:?})\n\
         addDOHLocal('127.0.0.1:{}', {cert:?}, {key:?}, '/dns-query')\n\
         setSecurityPollSuffix('')\n\
         for i = 0, {NAMES} do\n  \
         addAction(QNameRule('n' .. i .. '.example.org.'), SpoofAction('{ADDRESS}'))\n\
         end\n",
        ports.plain, ports.tls, ports.https,
    );
    std::fs::write(folder.join("dnsdist.conf"), config).unwrap();
    let mut command = Command::new("dnsdist");
    command.args(["--supervised", "--disable-syslog", "-C"]);
    command.arg(folder.join("dnsdist.conf"));
    command
}

fn kresd(folder: &Path, ports: &Ports) -> Command {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let config = format!(
        "net.listen('127.0.0.1', {}, {{ kind = 'tls' }})\n\
         net.listen('127.0.0.1', {}, {{ kind = 'doh2' }})\n\
         net.tls({cert:?}, {key:?})\n\
         modules.load('hints')\n\
         for i = 0, {NAMES} do hints['n' .. i .. '.example.org'] = '{ADDRESS}' end\n\
         cache.size = 4 * MB\n\
         trust_anchors.remove('.')\n",
        ports.tls, ports.https,
    );
    std::fs::write(folder.join("kresd.conf"), config).unwrap();
    std::fs::create_dir(folder.join("kresd")).unwrap();
    let mut command = Command::new("kresd");
    command.args(["-n", "-q", "-c"]);
    command
        .arg(folder.join("kresd.conf"))
        .arg(folder.join("kresd"));
    command
}

/// Writes `ca.pem`, and a certificate for `dns.example` with its key.
fn write_certificates(folder: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name = DistinguishedName::new();
    let about = "the household of a test";
    authority.distinguished_name.push(DnType::CommonName, about);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["dns.example".to_owned()]).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    for (file, text) in [
        ("ca.pem", issuer.pem()),
        ("cert.pem", server.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(file), text).unwrap();
    }
}

/// Asks a program all its names over TLS and over HTTPS.
fn speak_with(program: &str, package: &str, set_up: SetUp) {
    let is_there = Command::new(program)
        .arg("-V")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if is_there.is_err() {
        skip_peer(&format!(
            "{program} is missing (Debian and Ubuntu: apt install {package})"
        ));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let ports = Ports {
        tls: free_port(),
        https: free_port(),
        plain: free_port(),
    };
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = set_up(folder.path(), &ports);
    command
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let _peer = Running(command.spawn().unwrap());
    for port in [ports.tls, ports.https] {
        wait_for(program, || TcpStream::connect(("127.0.0.1", port)).ok());
    }
    let ca = folder.path().join("ca.pem");
    for (transport, url) in [
        ("tls", format!("tls://127.0.0.1:{}#dns.example", ports.tls)),
        (
            "https",
            format!("https://127.0.0.1:{}/dns-query#dns.example", ports.https),
        ),
    ] {
        let config = format!("{OPEN}[upstream]\nservers = [{url:?}]\nca = {ca:?}\n");
        let home = Home::start(&config);
        for index in 0..NAMES {
            let reply = home.look_up("127.0.0.1", &name(index), rtype::A);
            assert_eq!(
                reply.answers(),
                [format!("A {ADDRESS}")],
                "{program}, {transport}"
            );
        }
        let socket = home.path("../run/control.sock");
        let status = home.hedgerow(&["status", "--socket", socket.to_str().unwrap()]);
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        let line = status.lines().find(|line| line.starts_with("upstream"));
        let line = line.unwrap_or_else(|| panic!("{program}, {transport}:\n{status}"));
        let expected = format!("#dns.example {transport}: answers, 0 failed");
        assert!(line.contains(&expected), "{program}, {transport}: {line}");
        assert_eq!(home.upstream.count(), 0, "nothing went out in the clear");
    }
}

#[test]
fn unbound_answers_us_over_tls_and_https() {
    speak_with("unbound", "unbound", unbound);
}

#[test]
fn bind_answers_us_over_tls_and_https() {
    speak_with("named", "bind9", named);
}

#[test]
fn dnsdist_answers_us_over_tls_and_https() {
    speak_with("dnsdist", "dnsdist", dnsdist);
}

#[test]
fn knot_resolver_answers_us_over_tls_and_https() {
    speak_with("kresd", "knot-resolver", kresd);
}

#[test]
fn a_certificate_for_another_name_is_said_and_nothing_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    if Command::new("unbound").arg("-V").output().is_err() {
        skip_peer("unbound is missing (Debian and Ubuntu: apt install unbound)");
        return;
    }
    let ports = Ports {
        tls: free_port(),
        https: free_port(),
        plain: 0,
    };
    let mut command = unbound(folder.path(), &ports);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _peer = Running(command.spawn().unwrap());
    wait_for("unbound", || {
        TcpStream::connect(("127.0.0.1", ports.tls)).ok()
    });
    let ca = folder.path().join("ca.pem");
    let config = format!(
        "{OPEN}[upstream]\nservers = [\"tls://127.0.0.1:{}#other.example\"]\nca = {ca:?}\n",
        ports.tls
    );
    let home = Home::start(&config);
    let reply = home.look_up("127.0.0.1", &name(0), rtype::A);
    assert_eq!(reply.rcode(), 2);
    let text = String::from_utf8_lossy(&reply.octets).into_owned();
    assert!(
        text.contains("its certificate is for other names: dns.example"),
        "the Extended DNS Error says why: {text}"
    );
}
