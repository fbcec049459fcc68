use std::io;
use std::process::Command;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, UnixTime};

use super::page::page;
use super::*;
use crate::certificate::invitation::Invitation;
use crate::clock::RELEASED;
use crate::discovery::Services;
use crate::files::MemoryFiles;

const DAY: i64 = 86_400;
/// An id that could be a device's.
const ID: &str = "mzxw6ytboi5hk3tpojsxg5dbnq";

fn at(days: i64) -> Wall {
    Wall::Set(Timestamp::from_second(RELEASED as i64 + days * DAY).unwrap())
}

fn settings() -> Settings {
    Settings {
        name: "dns.home.example".to_owned(),
        files: None,
        by_acme: false,
        folder: "/state/certificates".into(),
        addresses: vec!["192.168.1.1".parse().unwrap(), "fd00::1".parse().unwrap()],
    }
}

fn from_files() -> Settings {
    Settings {
        files: Some(("/own/chain.pem".into(), "/own/key.pem".into())),
        ..settings()
    }
}

fn services() -> Services {
    Services {
        name: "dns.home.example".to_owned(),
        dot: Some(853),
        doh: Some(8443),
        h3: false,
        doq: None,
        path: "/dns-query".to_owned(),
        addresses: vec!["192.168.1.1/24".parse().unwrap()],
    }
}

/// A chain and its key for `name`, in PEM.
fn pair(name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let chain = params.self_signed(&key).unwrap();
    (
        pem("CERTIFICATE", chain.der()),
        pem("PRIVATE KEY", key.serialized_der()),
    )
}

fn put(memory: &Arc<MemoryFiles>, pair: &(String, String)) {
    memory.put("/own/chain.pem", pair.0.clone());
    memory.put("/own/key.pem", pair.1.clone());
}

/// Whether a client that trusts `root` takes the chain for `name` at `seconds` since 1970.
fn client_takes(served: &Served, root: &CertificateDer<'static>, name: &str, seconds: u64) -> bool {
    use rustls::client::danger::ServerCertVerifier as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::new(ring::default_provider()),
    );
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let chain = &served.key.cert;
    let verifier = verifier.build().unwrap();
    let verified = verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
    verified.is_ok()
}

#[test]
fn the_first_start_makes_an_authority_that_devices_can_trust() {
    let memory = MemoryFiles::new();
    let certificates = Certificates::new(memory.files());
    assert!(certificates.served().is_none());
    assert!(matches!(
        certificates.tend(&settings(), at(10)),
        Tended::New
    ));
    let served = certificates.served().unwrap();
    let root = served.root.clone().unwrap();
    let now = RELEASED + 10 * DAY as u64;
    for name in [
        "dns.home.example",
        "abc.dns.home.example",
        "192.168.1.1",
        "fd00::1",
    ] {
        assert!(served.covers(name), "{name}");
        assert!(client_takes(&served, &root, name, now), "{name}");
        // A device whose clock is some hours behind.
        assert!(
            client_takes(&served, &root, name, now - 20 * 3600),
            "{name}"
        );
    }
    for name in ["home.example", "a.b.dns.home.example", "192.168.1.2"] {
        assert!(!served.covers(name), "{name}");
    }
    assert!(served.covers_ids());
    let life = Validity::of(&root).unwrap();
    assert_eq!(life.not_before.as_second(), RELEASED as i64);
    let years = (life.not_after.as_second() - now as i64) / (365 * DAY);
    assert_eq!(years, 10);
    let days = (served.validity.not_after.as_second() - now as i64) / DAY;
    assert_eq!(days, 90);

    // After a restart it is the same authority and the same key.
    let again = Certificates::new(memory.files());
    assert!(matches!(again.tend(&settings(), at(11)), Tended::New));
    let after = again.served().unwrap();
    assert_eq!(after.root, Some(root.clone()));
    assert!(client_takes(
        &after,
        &root,
        "dns.home.example",
        now + DAY as u64
    ));
    let key = |served: &Served| served.key.key.public_key().unwrap().to_vec();
    assert_eq!(key(&served), key(&after));
}

/// It cannot pass for anybody outside, although its signature would be right.
#[test]
fn the_authority_may_speak_for_nothing_but_the_home() {
    let memory = MemoryFiles::new();
    let certificates = Certificates::new(memory.files());
    let _ = certificates.tend(&settings(), at(10));
    let root = certificates.served().unwrap().root.clone().unwrap();
    let key = memory.files().read(
        Path::new("/state/certificates/dns.home.example/ca.key"),
        MAX_FILE,
    );
    let key = PrivateKeyDer::from_pem_slice(&key.unwrap()).unwrap();
    let key = rcgen::KeyPair::try_from(&key).unwrap();
    let mut subject = rcgen::CertificateParams::default();
    // The distinguished name as it stands in the authority.
    let name = root_name(&root);
    subject.distinguished_name = name;
    let issuer = rcgen::Issuer::from_params(&subject, &key);
    let server = rcgen::KeyPair::generate().unwrap();
    let forged = |san: &str| {
        let mut params = rcgen::CertificateParams::new([san.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        let leaf = params.signed_by(&server, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(server.serialize_der()).unwrap();
        let key = CertifiedKey::from_der(vec![leaf.der().clone()], key, &ring::default_provider());
        Served::new(key.unwrap(), Issuer::Files, None, &settings(), at(10)).unwrap()
    };
    let now = RELEASED + 10 * DAY as u64;
    for (name, expected) in [
        ("dns.home.example", true),
        ("tablet.home.arpa", true),
        ("10.1.2.3", true),
        ("bank.example", false),
        ("home.example", false),
        ("xdns.home.example", false),
        ("203.0.113.7", false),
        ("2001:db8::1", false),
    ] {
        let taken = client_takes(&forged(name), &root, name, now);
        assert_eq!(taken, expected, "{name}");
    }
}

/// The subject of the household's authority, made of its texts in the order they stand.
fn root_name(root: &CertificateDer<'_>) -> rcgen::DistinguishedName {
    let text = String::from_utf8_lossy(root).into_owned();
    let at = text.find("household ").unwrap();
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::OrganizationName, "Hedgerow");
    name.push(rcgen::DnType::OrganizationalUnitName, &text[at..at + 18]);
    name.push(rcgen::DnType::CommonName, "dns.home.example");
    name
}

#[test]
fn it_renews_itself_when_two_thirds_have_passed() {
    let certificates = Certificates::new(MemoryFiles::new().files());
    let _ = certificates.tend(&settings(), at(0));
    for day in [1, 30, 59] {
        assert!(matches!(
            certificates.tend(&settings(), at(day)),
            Tended::Same
        ));
    }
    assert!(matches!(
        certificates.tend(&settings(), at(60)),
        Tended::New
    ));
    let served = certificates.served().unwrap();
    assert!(served.validity.not_after.as_second() > RELEASED as i64 + 149 * DAY);
    // The clock turns out to have been ahead.
    assert!(matches!(certificates.tend(&settings(), at(2)), Tended::New));
    // It never outlives the authority.
    let _ = certificates.tend(&settings(), at(3600));
    let served = certificates.served().unwrap();
    let life = Validity::of(served.root.as_ref().unwrap()).unwrap();
    assert_eq!(served.validity.not_after, life.not_after);
}

#[test]
fn a_clock_of_1970_makes_a_certificate_that_devices_take() {
    let memory = MemoryFiles::new();
    let certificates = Certificates::new(memory.files());
    assert!(matches!(
        certificates.tend(&settings(), Wall::Unset),
        Tended::New
    ));
    let served = certificates.served().unwrap();
    let root = served.root.clone().unwrap();
    // Whenever that is, from the release on, for two years.
    for days in [0, 1, 400, 823] {
        let now = RELEASED + days * DAY as u64;
        assert!(
            client_takes(&served, &root, "dns.home.example", now),
            "{days}"
        );
    }
    let span = served.validity.not_after.as_second() - served.validity.not_before.as_second();
    assert!(span <= 825 * DAY, "Apple's devices take no more");
    assert!(matches!(
        certificates.tend(&settings(), Wall::Unset),
        Tended::Same
    ));
    // Once the time is known there is a usual one, of the same authority.
    assert!(matches!(
        certificates.tend(&settings(), at(20)),
        Tended::New
    ));
    let served = certificates.served().unwrap();
    assert_eq!(served.root.as_ref(), Some(&root));
    assert!(served.validity.not_after.as_second() < RELEASED as i64 + 111 * DAY);
}

#[test]
fn another_name_has_another_authority_and_the_first_one_is_kept() {
    let memory = MemoryFiles::new();
    let certificates = Certificates::new(memory.files());
    let _ = certificates.tend(&settings(), at(1));
    let first = certificates.served().unwrap().root.clone();
    let other = Settings {
        name: "dns.other.example".to_owned(),
        ..settings()
    };
    assert!(matches!(certificates.tend(&other, at(1)), Tended::New));
    assert_ne!(certificates.served().unwrap().root, first);
    let _ = certificates.tend(&settings(), at(1));
    assert_eq!(certificates.served().unwrap().root, first);
}

#[test]
fn an_address_that_came_later_is_left_out_if_it_is_not_private() {
    let certificates = Certificates::new(MemoryFiles::new().files());
    let mut settings = settings();
    settings.addresses.push("203.0.113.7".parse().unwrap());
    let _ = certificates.tend(&settings, at(1));
    assert!(certificates.served().unwrap().covers("203.0.113.7"));
    settings.addresses.push("203.0.113.8".parse().unwrap());
    settings.addresses.push("10.0.0.1".parse().unwrap());
    assert!(matches!(certificates.tend(&settings, at(1)), Tended::New));
    let served = certificates.served().unwrap();
    let covered = ["10.0.0.1", "192.168.1.1", "203.0.113.7", "203.0.113.8"];
    let covered = covered.map(|it| served.covers(it));
    assert_eq!(covered, [true, true, false, false]);
}

#[test]
fn an_authority_that_cannot_be_read_is_told_and_never_replaced() {
    let memory = MemoryFiles::new();
    let certificates = Certificates::new(memory.files());
    let _ = certificates.tend(&settings(), at(1));
    let root = certificates.served().unwrap().root.clone();
    let folder = "/state/certificates/dns.home.example";
    let stranger = pem(
        "PRIVATE KEY",
        rcgen::KeyPair::generate().unwrap().serialized_der(),
    );
    memory.put(format!("{folder}/ca.key"), stranger);
    let Tended::Failed(error) = certificates.tend(&settings(), at(70)) else {
        panic!("it is broken");
    };
    assert_eq!(
        error.to_string(),
        format!("{folder}/ca.key: it is not the key of `ca.pem`")
    );
    // Once; and the one there is goes on.
    assert!(matches!(
        certificates.tend(&settings(), at(70)),
        Tended::Same
    ));
    assert_eq!(certificates.trouble(), Some(error.to_string()));
    assert_eq!(certificates.served().unwrap().root, root);

    let full = Certificates::new(memory.files());
    memory.fail_next(io::ErrorKind::StorageFull);
    assert!(matches!(full.tend(&settings(), at(1)), Tended::Failed(_)));
    assert!(full.served().is_none());
}

#[test]
fn files_are_read_again_when_they_change_and_a_broken_pair_changes_nothing() {
    let memory = MemoryFiles::new();
    let certificates = Certificates::new(memory.files());
    let settings = from_files();
    let Tended::Failed(error) = certificates.tend(&settings, at(1)) else {
        panic!("there are none");
    };
    assert!(error.to_string().starts_with("/own/chain.pem: "), "{error}");
    let (one, two) = (pair("dns.home.example"), pair("dns.home.example"));
    put(&memory, &one);
    assert!(matches!(certificates.tend(&settings, at(1)), Tended::New));
    assert_eq!(certificates.trouble(), None);
    assert!(matches!(certificates.tend(&settings, at(1)), Tended::Same));
    let first = certificates.served().unwrap();
    assert_eq!((first.issuer, first.root.is_some()), (Issuer::Files, false));
    assert!(!first.covers_ids());

    // Half of a change: the new chain with the old key.
    memory.put("/own/chain.pem", two.0.clone());
    let Tended::Failed(error) = certificates.tend(&settings, at(1)) else {
        panic!("they do not belong together");
    };
    assert_eq!(
        error.to_string(),
        "/own/key.pem: it is not the key of `/own/chain.pem`"
    );
    let now = certificates.served().unwrap();
    assert_eq!(now.key.cert, first.key.cert);
    memory.put("/own/key.pem", two.1.clone());
    assert!(matches!(certificates.tend(&settings, at(1)), Tended::New));
    assert_ne!(certificates.served().unwrap().key.cert, first.key.cert);

    for (file, content, expected) in [
        ("/own/chain.pem", two.1.as_str(), "holds no certificate"),
        ("/own/key.pem", two.0.as_str(), "holds no private key"),
        ("/own/chain.pem", "", "holds no certificate"),
    ] {
        put(&memory, &two);
        let _ = certificates.tend(&settings, at(1));
        memory.put(file, content);
        let Tended::Failed(error) = certificates.tend(&settings, at(1)) else {
            panic!("{file} is broken");
        };
        assert!(error.to_string().contains(expected), "{error}");
        assert!(certificates.served().is_some());
    }
}

#[test]
fn the_end_of_a_certificate_is_told_in_time() {
    let memory = MemoryFiles::new();
    put(&memory, &pair("dns.home.example"));
    let certificates = Certificates::new(memory.files());
    let _ = certificates.tend(&from_files(), at(1));
    let served = certificates.served().unwrap();
    let on = |text: &str| served.warning(Wall::Set(text.parse().unwrap()));
    assert_eq!(on("2026-12-17T00:00:00Z"), None);
    assert_eq!(
        on("2026-12-19T00:00:00Z").unwrap(),
        "the certificate of encrypted DNS expires 2027-01-01T00:00:00Z; put a new one in the place \
         of its file"
    );
    assert!(
        on("2027-01-02T00:00:00Z")
            .unwrap()
            .contains("devices refuse it")
    );
    assert!(
        on("2025-12-31T00:00:00Z")
            .unwrap()
            .contains("only from 2026-01-01")
    );
    assert_eq!(served.warning(Wall::Unset), None);
}

#[test]
fn keys_are_in_no_message() {
    let certificates = Certificates::new(MemoryFiles::new().files());
    let _ = certificates.tend(&settings(), at(1));
    let shown = format!("{certificates:?}");
    assert!(
        shown.contains("not_after") && !shown.contains("key"),
        "{shown}"
    );
}

/// Keys are for the daemon alone.
#[test]
fn keys_on_the_disk_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::TempDir::new().unwrap();
    let settings = Settings {
        folder: folder.path().join("certificates"),
        ..settings()
    };
    let certificates = Certificates::new(Files::disk());
    assert!(matches!(certificates.tend(&settings, at(1)), Tended::New));
    let place = settings.folder.join(&settings.name);
    for (file, expected) in [("ca.key", 0o600), ("server.key", 0o600), ("", 0o700)] {
        let mode = std::fs::metadata(place.join(file)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, expected, "{file}");
    }
}

/// What another program makes of it, with the name constraints.
#[test]
fn openssl_takes_what_is_issued() {
    let folder = tempfile::TempDir::new().unwrap();
    let settings = Settings {
        folder: folder.path().to_path_buf(),
        ..settings()
    };
    let certificates = Certificates::new(Files::disk());
    let _ = certificates.tend(&settings, at(1));
    let served = certificates.served().unwrap();
    let leaf = folder.path().join("leaf.pem");
    std::fs::write(&leaf, pem("CERTIFICATE", &served.key.cert[0])).unwrap();
    let root = folder.path().join("dns.home.example/ca.pem");
    let verify = |check: [&str; 2]| {
        Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver", "-attime"])
            .arg((RELEASED + 2 * DAY as u64).to_string())
            .args(check)
            .arg("-CAfile")
            .args([&root, &leaf])
            .output()
    };
    if verify(["-verify_hostname", "dns.home.example"]).is_err() {
        eprintln!("skipped: no openssl");
        return;
    }
    for (check, expected) in [
        (["-verify_hostname", "dns.home.example"], true),
        (["-verify_hostname", "abc.dns.home.example"], true),
        (["-verify_ip", "192.168.1.1"], true),
        (["-verify_hostname", "bank.example"], false),
    ] {
        let run = verify(check).unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.success(), expected, "{check:?}: {said}");
    }
}

#[test]
fn pages_show_what_a_device_needs() {
    let certificates = Certificates::new(MemoryFiles::new().files());
    let _ = certificates.tend(&settings(), at(1));
    let served = certificates.served().unwrap();
    let root = served.root.clone().unwrap();
    let show = |path: &str| page(path, &services(), &served);
    let text = |path: &str| {
        let (kind, content) = show(path).unwrap();
        // What is signed stands inside as it is.
        (kind, String::from_utf8_lossy(&content).into_owned())
    };
    let (kind, home) = text("/");
    assert_eq!(kind, "text/html; charset=utf-8");
    assert!(home.contains(&fingerprint(&root)), "{home}");
    assert!(home.contains("<svg"));
    assert_eq!(show("/ca.crt").unwrap().1, root.to_vec());
    let (_, read) = text("/ca.pem");
    assert_eq!(
        CertificateDer::from_pem_slice(read.as_bytes()).unwrap(),
        root
    );
    let (kind, profile) = text("/ca.mobileconfig");
    assert_eq!(kind, "application/x-apple-aspen-config");
    assert!(profile.contains("com.apple.security.root"));
    assert!(!profile.contains("dnsSettings"));

    let id = ID;
    let (_, invite) = text(&format!("/invite/{id}"));
    let url = format!("https://dns.home.example:8443/dns-query/{id}");
    assert!(invite.contains(&url), "{invite}");
    assert!(invite.contains(&format!("{id}.dns.home.example")));
    assert!(invite.contains("takes no authority that somebody installed"));
    let (_, profile) = text(&format!("/invite/{id}.mobileconfig"));
    assert!(
        profile.contains(&format!("<string>{url}</string>")),
        "{profile}"
    );
    for path in [
        "/dns-query",
        "/invite/",
        "/invite/short",
        "/invite/<script>aaaaaaaaaaaaaaaaaaaaa",
        "/ca.key",
        "/../ca.key",
    ] {
        assert!(show(path).is_none(), "{path}");
    }
}

/// They were once made anew for everybody who asked.
#[test]
fn a_page_is_made_once_for_each_certificate() {
    let certificates = Certificates::new(MemoryFiles::new().files());
    let _ = certificates.tend(&settings(), at(1));
    let served = certificates.served().unwrap();
    let path = format!("/invite/{ID}.mobileconfig");
    let show = |served: &Arc<Served>| certificates.shelf.page(&path, &services(), served).unwrap();
    let first = show(&served);
    // A signature is another each time it is made.
    assert_ne!(page(&path, &services(), &served).unwrap(), first);
    assert_eq!(show(&served), first);
    for letter in 'a'..='o' {
        let other = format!("/invite/{letter}{}", &ID[1..]);
        let other = certificates.shelf.page(&other, &services(), &served);
        assert!(other.is_some(), "{letter}");
    }
    assert_eq!(show(&served), first);
    let _ = certificates.tend(&settings(), at(70));
    assert_ne!(show(&certificates.served().unwrap()), first);
    assert!(
        certificates
            .shelf
            .page("/nothing", &services(), &served)
            .is_none()
    );
}

#[test]
fn strangers_see_no_address_of_the_home() {
    let certificates = Certificates::new(MemoryFiles::new().files());
    let _ = certificates.tend(&settings(), at(1));
    let served = certificates.served().unwrap();
    for (name, at_home, outside) in [
        ("dns.home.example", true, true),
        ("id.dns.home.example", true, true),
        ("192.168.1.1", true, false),
        ("fd00::1", true, false),
    ] {
        assert_eq!(covers(&served.key, name), at_home, "{name}");
        assert_eq!(covers(&served.outside, name), outside, "{name}");
    }
    // Not anywhere else in it either.
    let octets = [192, 168, 1, 1];
    let holds = |key: &CertifiedKey| key.cert[0].windows(4).any(|it| it == octets);
    assert!(holds(&served.key) && !holds(&served.outside));
}

#[test]
fn an_authority_near_its_end_is_followed_by_another_that_devices_have_met() {
    let memory = MemoryFiles::new();
    let certificates = Certificates::new(memory.files());
    let tend = |day| {
        let _ = certificates.tend(&settings(), at(day));
        certificates.served().unwrap()
    };
    let first = tend(0).root.clone().unwrap();
    let before = tend(3200);
    assert_eq!(
        (&before.root, &before.next_root),
        (&Some(first.clone()), &None)
    );
    assert_eq!(before.warning(at(3200)), None);
    // In its last year both are shown, and the first one issues.
    let cross = tend(3652 - 200);
    assert_eq!(cross.root.as_ref(), Some(&first));
    let next = cross.next_root.clone().unwrap();
    assert_ne!(next, first);
    let warning = cross.warning(at(3652 - 200)).unwrap();
    assert!(
        warning.starts_with("the home's certificate authority ends 20"),
        "{warning}"
    );
    assert!(
        warning.contains("install the one that follows it"),
        "{warning}"
    );
    let text = |path: &str| {
        let (_, content) = page(path, &services(), &cross).unwrap();
        String::from_utf8_lossy(&content).into_owned()
    };
    assert_eq!(text("/ca.pem").matches("BEGIN CERTIFICATE").count(), 2);
    let profile = text(&format!("/invite/{ID}.mobileconfig"));
    assert_eq!(profile.matches("com.apple.security.root").count(), 2);
    assert!(text("/").contains(&fingerprint(&next)));
    assert_eq!(
        page("/ca-next.crt", &services(), &cross).unwrap().1,
        next.to_vec()
    );
    // In its last month the next one issues, with the key that the server always had.
    let after = tend(3652 - 20);
    assert_eq!(
        (&after.root, &after.next_root),
        (&Some(next.clone()), &None)
    );
    let now = RELEASED + (3652 - 20) * DAY as u64;
    assert!(client_takes(&after, &next, "dns.home.example", now));
    assert!(!client_takes(&after, &first, "dns.home.example", now));
    let key = |served: &Served| served.key.key.public_key().unwrap().to_vec();
    assert_eq!(key(&after), key(&before));
    // A restart, and one with a clock that is not set, find what was there.
    let again = Certificates::new(memory.files());
    let _ = again.tend(&settings(), at(3652 - 19));
    assert_eq!(again.served().unwrap().root, Some(next));
    let _ = again.tend(&settings(), Wall::Unset);
    let _ = again.tend(&settings(), at(100));
    assert_eq!(again.served().unwrap().root, Some(first));
}

/// With a certificate that everybody trusts there is nothing to install.
#[test]
fn without_an_authority_of_our_own_nothing_of_it_is_shown() {
    let memory = MemoryFiles::new();
    put(&memory, &pair("*.dns.home.example"));
    let certificates = Certificates::new(memory.files());
    let _ = certificates.tend(&from_files(), at(1));
    let served = certificates.served().unwrap();
    for path in ["/ca.pem", "/ca.crt", "/ca.mobileconfig"] {
        assert!(page(path, &services(), &served).is_none(), "{path}");
    }
    let services = services();
    let invitation = Invitation {
        device: "phone",
        id: ID,
        services: &services,
        served: &served,
    };
    let profile = invitation.mobileconfig(false).unwrap();
    assert!(!profile.contains("com.apple.security.root"));
    let invite = page(&format!("/invite/{ID}"), &services, &served).unwrap();
    let invite = String::from_utf8(invite.1).unwrap();
    assert!(invite.contains("Private DNS"), "{invite}");
    assert!(!invite.contains("Certificate"), "{invite}");
}
