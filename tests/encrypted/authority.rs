//! A home without files: the household's own authority, and the pages that help to install it.

use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::house::{NAME, PHONE, Talk};
use crate::skip::skip;
use crate::support::Home;
use crate::support::Reply;
use crate::support::home::free_port;
use crate::support::wire::{ask, rtype};

const CONFIG: &str = r#"
[lists]
starter = false

[household]
guest-profile = "adult"

[profile.adult]
block-names = ["blocked.example"]
"#;

/// A home that serves HTTPS at a port, with the file of its authority.
struct Own {
    home: Home,
    port: u16,
}

impl Own {
    fn open() -> Self {
        let port = free_port();
        let serves = format!("[encrypted]\nname = \"{NAME}\"\ndoh = [\"127.0.0.1:{port}\"]\n");
        let home = Home::start(&format!("{serves}{CONFIG}"));
        let this = Self { home, port };
        let root = this.hedgerow(&["encrypted", "show", "--for", "ca"]);
        std::fs::write(this.home.path("root.pem"), root).unwrap();
        this
    }

    fn hedgerow(&self, arguments: &[&str]) -> String {
        let socket = self.home.path("../run/control.sock");
        let socket = ["--socket", socket.to_str().unwrap()];
        let output = self.home.hedgerow(&[arguments, &socket].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What curl gets at `path`, trusting the household's authority alone: head and content.
    fn get(&self, path: &str, more: &[&str]) -> (String, Vec<u8>) {
        let (name, port) = (NAME, self.port);
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--include",
                "--http1.1",
                "--noproxy",
                "*",
            ])
            .arg("--cacert")
            .arg(self.home.path("root.pem"))
            .args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
            .args(more)
            .arg(format!("https://{name}:{port}{path}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{path}: {output:?}");
        let end = output
            .stdout
            .windows(4)
            .position(|it| it == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8_lossy(&output.stdout[..end]).to_lowercase();
        (head, output.stdout[end + 4..].to_vec())
    }
}

fn has_curl() -> bool {
    Command::new("curl").arg("--version").output().is_ok()
}

#[test]
fn a_home_without_files_answers_under_its_own_authority() {
    if !has_curl() {
        return skip("`curl` is missing");
    }
    let own = Own::open();
    for (name, address) in [
        ("www.example.org", "A 192.0.2.1"),
        ("blocked.example", "A 0.0.0.0"),
    ] {
        let question = own.home.path("question");
        std::fs::write(&question, ask(name, rtype::A).edns(1232).octets()).unwrap();
        let data = format!("@{}", question.display());
        let header = "content-type: application/dns-message";
        let (head, body) = own.get("/dns-query", &["--data-binary", &data, "-H", header]);
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(Reply::read(body).answers(), [address], "{name}");
    }
    assert_eq!(own.home.upstream.times("blocked.example"), 0);
}

#[test]
fn pages_help_to_install_the_authority_and_tell_no_ids() {
    if !has_curl() {
        return skip("`curl` is missing");
    }
    let own = Own::open();
    let (head, page) = own.get("/", &[]);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains("content-security-policy: default-src 'none'"),
        "{head}"
    );
    assert!(head.contains("referrer-policy: no-referrer"), "{head}");
    assert!(String::from_utf8_lossy(&page).contains(NAME));
    let (head, pem) = own.get("/ca.pem", &[]);
    assert!(
        head.contains("content-type: application/x-pem-file"),
        "{head}"
    );
    assert_eq!(pem, std::fs::read(own.home.path("root.pem")).unwrap());

    own.hedgerow(&["device", "name", "02:00:5e:10:00:01", "phone"]);
    let invited = own.hedgerow(&["device", "invite", "phone", "--format", "json"]);
    let invited: serde_json::Value = serde_json::from_str(&invited).unwrap();
    let page = invited["page"].as_str().unwrap();
    assert!(
        page.starts_with(&format!("https://{NAME}:{}/invite/", own.port)),
        "{page}"
    );
    let path = page.split_once(&own.port.to_string()).unwrap().1;
    let (head, mine) = own.get(path, &[]);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    // One that nobody has looks the same but for itself.
    let id = invited["id"].as_str().unwrap();
    let other: String = id.chars().rev().collect();
    let (_, others) = own.get(&path.replace(id, &other), &[]);
    let others = String::from_utf8_lossy(&others).replace(&other, id);
    assert_eq!(others.len(), String::from_utf8_lossy(&mine).len());
    let (head, _) = own.get("/no/such/page", &[]);
    assert!(head.starts_with("http/1.1 404"), "{head}");
    assert!(!own.home.log().contains(id), "an id in the log");
}

#[test]
fn a_profile_is_signed_by_the_home() {
    let own = Own::open();
    own.hedgerow(&["device", "name", "02:00:5e:10:00:01", "phone"]);
    let socket = own.home.path("../run/control.sock");
    let invite = ["device", "invite", "phone", "--format", "mobileconfig"];
    let socket = ["--socket", socket.to_str().unwrap()];
    let output = own.home.hedgerow(&[&invite[..], &socket].concat());
    let profile = own.home.path("profile");
    std::fs::write(&profile, &output.stdout).unwrap();
    let verify = ["cms", "-verify", "-binary", "-inform", "DER"];
    let verified = Command::new("openssl")
        .args(verify)
        .args(["-purpose", "any", "-CAfile"])
        .arg(own.home.path("root.pem"))
        .arg("-in")
        .arg(&profile)
        .output();
    let Ok(verified) = verified else {
        return skip("`openssl` is missing");
    };
    assert!(verified.status.success(), "{verified:?}");
    let text = String::from_utf8(verified.stdout).unwrap();
    assert!(
        text.starts_with("<?xml") && text.ends_with("</plist>\n"),
        "{text}"
    );
    assert!(text.contains("com.apple.dnsSettings.managed"), "{text}");
}

#[test]
fn who_is_not_at_home_sees_no_address_of_it() {
    let port = free_port();
    let home = Home::start(&format!(
        "[server]\nserve = [\"127.0.0.1/32\", \"::1/128\"]\n\n[encrypted]\nname = \"{NAME}\"\n\
         doh = [\"127.0.0.1:{port}\"]\n\n[[device]]\nname = \"phone\"\nprofile = \"adult\"\n\
         ids = [\"{PHONE}\"]\n{CONFIG}"
    ));
    let socket = home.path("../run/control.sock");
    let show = ["encrypted", "show", "--for", "ca", "--socket"];
    let root = home.hedgerow(&[&show[..], &[socket.to_str().unwrap()]].concat());
    let root = CertificateDer::from_pem_slice(&root.stdout).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Arc::new(client);
    let shows_address = |from: &str| {
        let to = ([127, 0, 0, 1], port).into();
        let mut talk = Talk::open(to, from, NAME, Arc::clone(&client));
        let stream = &mut talk.stream;
        stream.conn.complete_io(&mut stream.sock).unwrap();
        let chain = stream.conn.peer_certificates().unwrap();
        chain[0].windows(4).any(|it| it == [127, 0, 0, 1])
    };
    assert!(shows_address("127.0.0.1"));
    assert!(!shows_address("127.0.0.2"));
}
