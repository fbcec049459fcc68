//! The certificate of encrypted DNS, how devices find it, and how they are invited.

use crate::control::told;
use crate::support::home::free_port;
use crate::support::wire::rtype;
use crate::support::{Home, wait_for};

/// A service binding (RFC 9460).
const SVCB: u16 = 64;

/// A family that serves DNS over TLS and HTTPS at `port`.
fn config(port: u16, more: &str) -> String {
    format!(
        r#"
[encrypted]
name = "dns.home.example"
dot = ["127.0.0.1:{port}"]
http3 = false
{more}

[profile.mia]
inherits = "schoolchild"

[[device]]
name = "elsewhere"
profile = "mia"
address = ["127.0.0.5"]
"#
    )
}

fn status(home: &Home) -> serde_json::Value {
    serde_json::from_str(&told(home, &["status", "--json"])).unwrap()
}

#[test]
fn a_home_without_files_makes_its_own_certificate_and_is_found() {
    let port = free_port();
    let home = Home::start(&config(port, ""));
    let served = status(&home)["encrypted"].clone();
    assert_eq!(served["name"], "dns.home.example", "{served}");
    assert_eq!(served["certificate"]["issuer"], "household", "{served}");
    assert_eq!(served["discovered"], true, "{served}");
    let expires = served["certificate"]["expires"].as_i64().unwrap();
    let sum = served["certificate"]["authority_sha256"].clone();
    assert_eq!(sum.as_str().unwrap().len(), 95);

    // DDR, also for a child whose ways round are closed.
    for from in ["127.0.0.1", "127.0.0.5"] {
        for name in ["_dns.resolver.arpa", "_dns.dns.home.example"] {
            let found = home.look_up(from, name, SVCB);
            let expected =
                format!("SVCB 1 dns.home.example. alpn=dot, port={port} ipv4hint=127.0.0.1");
            let shown = found.answers().join("|").replace(['"', ','], "");
            assert_eq!(shown, expected.replace(',', ""), "{from} {name}");
        }
        // Our own name leads to us; nobody else is asked.
        let own = home.look_up(from, "dns.home.example", rtype::A);
        assert_eq!(own.answers(), ["A 127.0.0.1"]);
        let own = home.look_up(from, "dns.home.example", rtype::AAAA);
        assert_eq!((own.answers().len(), own.rcode()), (0, 0));
    }
    assert_eq!(home.upstream.times("dns.home.example"), 0);
    let other = home.look_up("127.0.0.1", "_dns.resolver.arpa", rtype::A);
    assert_eq!((other.answers().len(), other.rcode()), (0, 0));
    // Another resolver's designation stays closed for the child.
    let other = home.look_up("127.0.0.5", "_dns.other.example", SVCB);
    assert!(other.ede().is_some());

    // The key is told by nobody.
    let log = home.log();
    assert!(
        !log.contains("PRIVATE") && !log.contains("panicked"),
        "{log}"
    );
    let ca = told(&home, &["encrypted", "show", "--for", "ca"]);
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----\n"), "{ca}");
    let lines = told(&home, &["encrypted", "show", "--for", "dnsmasq"]);
    assert!(lines.starts_with("dhcp-option=162,00:"), "{lines}");

    // The same authority after a restart.
    let mut home = home;
    home.signal("TERM");
    assert!(home.wait_for_end().0.success());
    home.restart();
    let again = status(&home)["encrypted"]["certificate"].clone();
    assert_eq!(again["authority_sha256"], sum);
    assert!(again["expires"].as_i64().unwrap() >= expires);
}

#[test]
fn a_device_is_invited_and_its_id_taken_back() {
    let home = Home::start(&config(free_port(), ""));
    told(
        &home,
        &["device", "name", "02:00:5e:10:00:01", "Mia's tablet"],
    );
    let file = home.path("../state/devices.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{written}# hers alone\n")).unwrap();
    let invite = |more: &[&str]| -> serde_json::Value {
        let all = [
            &["device", "invite", "Mia's tablet", "--format", "json"],
            more,
        ]
        .concat();
        serde_json::from_str(&told(&home, &all)).unwrap()
    };
    let first = invite(&[]);
    let id = first["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 26);
    assert_eq!(first["tls_name"], format!("{id}.dns.home.example"));
    // There is no DNS over HTTPS here.
    assert_eq!(first["mobileconfig"], serde_json::Value::Null);
    assert_eq!(invite(&[])["id"], id.as_str(), "the same again");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains(&format!("ids = [\"{id}\"]")), "{written}");
    assert!(written.contains("# hers alone\n"), "{written}");
    let second = invite(&["--again"])["id"].as_str().unwrap().to_owned();
    assert_ne!(second, id);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(
        written.contains(&id) && written.contains(&second),
        "{written}"
    );

    // Its name leads here, and the log does not hold it.
    let own = home.look_up("127.0.0.5", &format!("{id}.dns.home.example"), rtype::A);
    assert_eq!(own.answers(), ["A 127.0.0.1"]);
    let log = wait_for("the question in the log", || {
        let log = told(&home, &["log"]);
        log.contains("dns.home.example").then_some(log)
    });
    assert!(!log.contains(&id), "{log}");

    // What is shown of a device to everybody else is not enough to be it.
    let shown = told(&home, &["device", "show", "Mia's tablet"]);
    assert!(!shown.contains(&id) && !home.log().contains(&id), "{shown}");

    let text = told(&home, &["device", "revoke", "Mia's tablet"]);
    assert!(text.contains("are revoked"), "{text}");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains("ids") && written.contains("Mia's tablet"));
    let socket = home.path("../run/control.sock");
    let refused = |arguments: &[&str]| {
        let mut all = vec!["--socket", socket.to_str().unwrap(), "device"];
        all.extend(arguments);
        let output = home.hedgerow(&all);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (arguments, expected) in [
        (["revoke", "Mia's tablet"], "it has no id"),
        (["invite", "nobody"], "there is no device `nobody`"),
        (["invite", "elsewhere"], "which is yours to change"),
        (["invite", "02:00:5e:10:00:01"], "there is no device"),
    ] {
        let text = refused(&arguments);
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}

/// A pair for `name` as files beside the configuration.
fn write_pair(home: &Home, name: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    let chain = params.self_signed(&key).unwrap();
    // The key first: between the two the pair is broken.
    home.write("key.pem", &key.serialize_pem());
    home.write("cert.pem", &chain.pem());
}

#[test]
fn files_of_ones_own_are_followed_and_a_broken_pair_keeps_the_last_good_one() {
    let files = "certificate = \"cert.pem\"\nkey = \"key.pem\"";
    let home = Home::start(&config(free_port(), ""));
    write_pair(&home, "dns.home.example");
    let served = status(&home)["encrypted"]["certificate"].clone();
    assert_eq!(served["issuer"], "household");
    let port = status(&home)["encrypted"]["dot"].as_u64().unwrap();
    home.write_config(&config(u16::try_from(port).unwrap(), files));
    let served = wait_for("the files to be served", || {
        let served = status(&home)["encrypted"].clone();
        (served["certificate"]["issuer"] == "files").then_some(served)
    });
    assert_eq!(
        served["certificate"]["authority_pem"],
        serde_json::Value::Null
    );
    assert_eq!(served["certificate"]["covers_ids"], false);
    // It holds for no address, so nobody is led here by one.
    assert_eq!(served["discovered"], false);
    let found = home.look_up("127.0.0.1", "_dns.resolver.arpa", SVCB);
    assert_eq!((found.answers().len(), found.rcode()), (0, 0));

    let warnings = || status(&home)["warnings"].to_string();
    let reload = || drop(told(&home, &["reload"]));
    home.write("key.pem", "nonsense");
    reload();
    let told_of = wait_for("the broken key to be told", || {
        let told = warnings();
        told.contains("holds no private key").then_some(told)
    });
    assert!(
        told_of.contains("the one before stays in force"),
        "{told_of}"
    );
    assert_eq!(status(&home)["encrypted"]["certificate"]["issuer"], "files");
    write_pair(&home, "*.dns.home.example");
    reload();
    wait_for("the new pair", || {
        let served = status(&home)["encrypted"]["certificate"].clone();
        let is_whole = !warnings().contains("private key");
        (served["covers_ids"] == true && is_whole).then_some(())
    });
}
