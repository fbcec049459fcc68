//! What people ask with: kdig, curl, dnspython, libcurl, and unbound and dnsdist as forwarders.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::house::{House, NAME, PHONE};
use crate::skip::{skip, skip_peer};
use crate::support::home::{Running, free_port};
use crate::support::wire::{ask, exchange, rtype};
use crate::support::{Reply, Say, clients, programs, wait_for};

fn open() -> House {
    let house = House::open("");
    house
        .home
        .upstream
        .on_name("www.example", Say::address("192.0.2.1"));
    house
}

#[test]
fn kdig_asks_by_every_way() {
    let house = open();
    let root = format!("+tls-ca={}", house.root_file().display());
    let host = format!("+tls-hostname={NAME}");
    let own = format!("+tls-hostname={PHONE}.{NAME}");
    let path = format!("+https={NAME}/dns-query/{PHONE}");
    let by_name = format!("+https={NAME}/dns-query");
    let ways: [(SocketAddr, &[&str]); 5] = [
        (house.tls, &["+tls"]),
        (house.tls, &["+tls", "+padding", "+keepopen"]),
        (house.https, &[&by_name]),
        (house.https, &[&by_name, "+https-get"]),
        (house.https, &[&path]),
    ];
    for (to, way) in ways {
        let arguments = [way, &[&root, &host, "www.example", "A"]].concat();
        let Some(text) = clients::kdig(to, "", &arguments) else {
            return;
        };
        assert!(text.contains("status: NOERROR"), "{way:?}\n{text}");
        assert_eq!(clients::records(&text), ["A 192.0.2.1"], "{way:?}\n{text}");
    }
    let arguments = ["+tls", &root, &own, "phone.example", "A"];
    let Some(text) = clients::kdig(house.tls, "127.0.0.2", &arguments) else {
        return;
    };
    assert_eq!(clients::records(&text), ["A 0.0.0.0"], "{text}");
}

#[test]
#[cfg(feature = "quic")]
fn kdig_asks_over_quic() {
    if !programs::says("kdig", "--help", "[no]quic") {
        return skip_peer("`kdig` is missing, or was built without QUIC");
    }
    let house = open();
    let root = format!("+tls-ca={}", house.root_file().display());
    let host = format!("+tls-hostname={NAME}");
    let own = format!("+tls-hostname={PHONE}.{NAME}");
    let ways: [(&[&str], &str, &str); 3] = [
        (&[&host], "www.example", "A 192.0.2.1"),
        (&[&host, "+padding"], "www.example", "A 192.0.2.1"),
        (&[&own], "phone.example", "A 0.0.0.0"),
    ];
    for (way, name, address) in ways {
        // Last, since each option about TLS turns it back to TCP.
        let arguments = [&[&*root], way, &["+quic", name, "A"]].concat();
        let Some(text) = clients::kdig(house.tls, "", &arguments) else {
            return;
        };
        assert!(text.contains(";; QUIC session"), "{text}");
        assert_eq!(clients::records(&text), [address], "{way:?}\n{text}");
    }
}

#[test]
fn curl_asks_by_every_version_and_resolves_by_us() {
    let house = open();
    let root = house.root_file();
    let root = root.to_str().unwrap();
    let resolve = format!("{NAME}:{}:127.0.0.1", house.https.port());
    let base = format!("https://{NAME}:{}/dns-query", house.https.port());
    let get = format!("{base}?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlAAABAAE");
    let file = house.home.path("question");
    std::fs::write(&file, ask("www.example", rtype::A).octets()).unwrap();
    let body = format!("@{}", file.display());
    let curl = |arguments: &[&str]| {
        let all = [
            "-sS",
            "--max-time",
            "10",
            "--cacert",
            root,
            "--resolve",
            &resolve,
        ];
        let mut command = Command::new(programs::program("curl"));
        command.args(all).args(arguments).output()
    };
    let mut versions = vec![("--http1.1", "1.1"), ("--http2", "2")];
    let has_http3 = cfg!(feature = "quic") && programs::says("curl", "--version", "HTTP3");
    if has_http3 {
        versions.push(("--http3-only", "3"));
    } else {
        eprintln!("skipped: `curl` was built without HTTP/3");
    }
    for (flag, version) in &versions {
        for question in [
            &[&*get][..],
            &[
                "-H",
                "content-type: application/dns-message",
                "--data-binary",
                &body,
                &base,
            ],
        ] {
            let told = [
                "-w",
                "%{stderr}%{http_code} %{http_version} %{content_type}",
            ];
            let Ok(output) = curl(&[&[*flag][..], &told, question].concat()) else {
                return skip("`curl` is missing");
            };
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{flag}: {output:?}");
            assert_eq!(told, format!("200 {version} application/dns-message"));
            assert_eq!(Reply::read(output.stdout).answers(), ["A 192.0.2.1"]);
        }
    }
    // curl finds the address of a server by us, which is curl's own way to use DNS over HTTPS.
    house
        .home
        .upstream
        .on_name("web.example", Say::address("127.0.0.1"));
    let url = format!("https://web.example:{}/nowhere", house.https.port());
    for (flag, version) in &versions {
        let to = [
            flag,
            "--doh-url",
            &base,
            "-k",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{http_version}",
            &url,
        ];
        let output = curl(&to).unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told, format!("404 {version}"), "{output:?}");
    }
}

/// What curl is made of, as Python has it: each of its packages brings HTTP/3.
#[test]
#[cfg(feature = "quic")]
fn libcurl_asks_over_http3() {
    let Some(python) = programs::python("curl_cffi") else {
        return skip_peer("curl_cffi is missing (pip install curl_cffi)");
    };
    let house = open();
    let file = house.home.path("question");
    std::fs::write(&file, ask("www.example", rtype::A).octets()).unwrap();
    let program = format!(
        r#"
import sys
from curl_cffi import Curl, CurlOpt, CurlInfo, CurlHttpVersion
base = 'https://{NAME}:{port}/dns-query'
for post in (None, open({file:?}, 'rb').read()):
    curl, said = Curl(), []
    curl.setopt(CurlOpt.URL, base if post else base + '?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlAAABAAE')
    curl.setopt(CurlOpt.RESOLVE, ['{NAME}:{port}:127.0.0.1'])
    curl.setopt(CurlOpt.CAINFO, {root:?})
    curl.setopt(CurlOpt.TIMEOUT_MS, 20000)
    curl.setopt(CurlOpt.HTTP_VERSION, CurlHttpVersion.V3ONLY)
    if post:
        curl.setopt(CurlOpt.HTTPHEADER, [b'content-type: application/dns-message'])
        curl.setopt(CurlOpt.POST, 1)
        curl.setopt(CurlOpt.POSTFIELDSIZE, len(post))
        curl.setopt(CurlOpt.POSTFIELDS, post)
    curl.setopt(CurlOpt.WRITEFUNCTION, said.append)
    curl.perform()
    version = curl.getinfo(CurlInfo.HTTP_VERSION) == CurlHttpVersion.V3
    print(curl.getinfo(CurlInfo.RESPONSE_CODE), version, b''.join(said).hex())
    curl.close()
"#,
        port = house.https.port(),
        root = house.root_file(),
    );
    let mut command = Command::new(python);
    let output = command.args(["-c", &program]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}\n{}", house.home.log());
    let said: Vec<_> = text.lines().collect();
    assert_eq!(said.len(), 2, "{text}");
    for line in said {
        let octets = line
            .strip_prefix("200 True ")
            .unwrap_or_else(|| panic!("{text}"));
        let octets = (0..octets.len()).step_by(2);
        let octets = octets.map(|at| u8::from_str_radix(&line[9 + at..11 + at], 16).unwrap());
        assert_eq!(Reply::read(octets.collect()).answers(), ["A 192.0.2.1"]);
    }
}

#[test]
fn dnspython_asks_by_every_way() {
    let house = open();
    let program = format!(
        r#"
import dns.query, dns.message, ssl, sys
q = dns.message.make_query('www.example', 'A')
root = {root:?}
def told(r): return [str(it) for rr in r.answer for it in rr]
print(told(dns.query.tls(q, '127.0.0.1', port={tls}, server_hostname='{NAME}', verify=root)))
try:
    import httpx
    url = 'https://{NAME}:{https}/dns-query'
    for post in (True, False):
        r = dns.query.https(q, url, port={https}, bootstrap_address='127.0.0.1', verify=root, post=post)
        print(told(r))
except ImportError:
    print("no httpx")
try:
    import aioquic
    if {quic}:
        print('quic', told(dns.query.quic(q, '127.0.0.1', port={tls}, server_hostname='{NAME}', verify=root)))
        r = dns.query.https(q, url, port={https}, bootstrap_address='127.0.0.1', verify=root,
                            http_version=dns.query.HTTPVersion.H3)
        print('h3', told(r))
except ImportError:
    print("no aioquic")
"#,
        root = house.root_file(),
        tls = house.tls.port(),
        https = house.https.port(),
        quic = if cfg!(feature = "quic") {
            "True"
        } else {
            "False"
        },
    );
    let Some(python) = programs::python("dns.query, aioquic, httpx, h2") else {
        return skip_peer("dnspython with `doh` and `doq` is missing");
    };
    let output = Command::new(python)
        .args(["-c", &program])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    let answers = text.matches("['192.0.2.1']").count();
    let expected = if cfg!(feature = "quic") { 5 } else { 3 };
    assert_eq!(answers, expected, "{text}\n{why}\n{}", house.home.log());
}

/// Asks a forwarder of ours until it is there.
fn ask_by(port: u16) -> Reply {
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for("the forwarder", || {
        let asked = ask("www.example", rtype::A);
        let said = exchange(to, "127.0.0.1".parse().unwrap(), &asked.octets())?;
        let reply = Reply::read(said);
        (!reply.answers().is_empty()).then_some(reply)
    })
}

#[test]
fn unbound_forwards_to_us_over_tls() {
    let house = open();
    let port = free_port();
    let folder = house.home.path(".");
    let config = format!(
        "server:\n  interface: 127.0.0.1@{port}\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  \
         directory: {folder:?}\n  pidfile: \"\"\n  use-syslog: no\n  do-not-query-localhost: no\n  \
         module-config: \"iterator\"\n  tls-cert-bundle: {root:?}\n\
         remote-control:\n  control-enable: no\n\
         forward-zone:\n  name: \".\"\n  forward-tls-upstream: yes\n  \
         forward-addr: 127.0.0.1@{to}#{NAME}\n",
        root = house.root_file(),
        to = house.tls.port(),
    );
    let file = house.home.path("unbound.conf");
    std::fs::write(&file, config).unwrap();
    let started = ["unbound", "/usr/sbin/unbound"].iter().find_map(|program| {
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(&file);
        command.stderr(Stdio::null()).spawn().ok()
    });
    let Some(child) = started else {
        return skip_peer("`unbound` is missing");
    };
    let _unbound = Running(child);
    assert_eq!(ask_by(port).answers(), ["A 192.0.2.1"]);
}

#[test]
fn dnsdist_forwards_to_us_over_tls() {
    let house = open();
    let port = free_port();
    let file = house.home.path("dnsdist.conf");
    let config = format!(
        "setLocal(\"127.0.0.1:{port}\")\nsetACL({{\"127.0.0.0/8\"}})\n\
         newServer({{address=\"127.0.0.1:{to}\", tls=\"openssl\", subjectName=\"{NAME}\", \
         caStore={root:?}}}):setUp()\n",
        root = house.root_file(),
        to = house.tls.port(),
    );
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("dnsdist");
    command
        .args(["--supervised", "--disable-syslog", "-C"])
        .arg(&file);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        return skip_peer("`dnsdist` is missing");
    };
    let _dnsdist = Running(child);
    assert_eq!(ask_by(port).answers(), ["A 192.0.2.1"]);
}
