//! Names of devices in the home, and the lease files that tell who is where.

use crate::support::wire::{ask, rtype};
use crate::support::{Home, clients, wait_for};

/// A tablet known by its MAC address, a printer by its address, a file of leases, and one of MAC
/// addresses.
fn home(leases: &str) -> Home {
    let ethers = "02:00:5e:10:00:05 nas\n02:00:5e:10:00:05 192.0.2.5\n";
    Home::start_with(
        "[lists]\nstarter = false\n\
         [identity]\nneighbours = false\nleases = [\"leases\"]\nethers = \"ethers\"\n\
         [[device]]\nname = \"Mia's Tablet\"\nprofile = \"schoolchild\"\n\
         mac = [\"02:00:5e:10:00:01\"]\n\
         [[device]]\nname = \"printer\"\nprofile = \"adult\"\naddress = [\"127.0.0.9\"]\n",
        &[("leases", leases), ("ethers", ethers)],
    )
}

/// Two devices, as dnsmasq writes them.
const TWO: &str = "\
0 02:00:5e:10:00:01 192.0.2.7 Galaxy *
0 02:00:5e:10:00:02 192.0.2.8 TV *
duid 00:01:00:01:2c:3d:4e:5f:02:00:5e:10:00:fe
0 7 2001:db8::7 * 00:03:00:01:02:00:5e:10:00:01
";

#[test]
fn a_device_is_found_by_its_name_and_by_its_addresses() {
    let home = home(TWO);
    for (arguments, status, expected) in [
        (
            &["mias-tablet.home.arpa", "A"][..],
            "NOERROR",
            &["A 192.0.2.7"][..],
        ),
        (
            &["MIAS-Tablet.Home.ARPA", "AAAA"],
            "NOERROR",
            &["AAAA 2001:db8::7"],
        ),
        (&["tv.home.arpa", "A"], "NOERROR", &["A 192.0.2.8"]),
        (&["nas.home.arpa", "A"], "NOERROR", &["A 192.0.2.5"]),
        (&["printer.home.arpa", "A"], "NOERROR", &["A 127.0.0.9"]),
        (
            &["-x", "192.0.2.7"],
            "NOERROR",
            &["PTR mias-tablet.home.arpa."],
        ),
        (
            &["-x", "2001:db8::7"],
            "NOERROR",
            &["PTR mias-tablet.home.arpa."],
        ),
        (&["-x", "192.0.2.8"], "NOERROR", &["PTR tv.home.arpa."]),
    ] {
        let Some(text) = clients::dig(home.v4, "", arguments) else {
            return;
        };
        assert_eq!(clients::status(&text), status, "{arguments:?}\n{text}");
        assert_eq!(clients::records(&text), expected, "{arguments:?}\n{text}");
    }
    for (name, qtype, rcode) in [
        ("home.arpa", rtype::A, 0),
        ("home.arpa", rtype::SOA, 0),
        ("tv.home.arpa", rtype::AAAA, 0),
        ("tv.home.arpa", rtype::TXT, 0),
        ("8.2.0.192.in-addr.arpa", rtype::TXT, 0),
        ("nobody.home.arpa", rtype::A, 3),
        ("www.tv.home.arpa", rtype::A, 3),
        ("1.1.168.192.in-addr.arpa", rtype::PTR, 3),
    ] {
        let reply = home.ask(&ask(name, qtype));
        assert_eq!(reply.rcode(), rcode, "{name} {qtype}");
        assert_eq!(reply.answers(), [""; 0], "{name} {qtype}");
        assert!(reply.soa_ttl().is_some_and(|ttl| ttl > 0), "{name} {qtype}");
    }
    let reply = home.ask(&ask("tv.home.arpa", rtype::A));
    assert!(reply.ttls()[0] <= 60);
    let any = home.ask(&ask("tv.home.arpa", 255));
    assert_eq!(any.answers().len(), 1, "as for every name (RFC 8482)");
    assert_eq!(home.upstream.seen(), [], "nothing of it leaves the home");
}

#[test]
fn a_lease_that_comes_or_goes_is_seen_and_shown() {
    let home = home(TWO);
    let shows = |name: &str, expected: &[&str]| {
        wait_for("the leases", || {
            let reply = home.ask(&ask(name, rtype::A));
            (reply.answers() == expected).then_some(())
        });
    };
    shows("tv.home.arpa", &["A 192.0.2.8"]);
    // In place of the old file.
    home.write("leases", "0 02:00:5e:10:00:02 192.0.2.9 TV *\nhello\n");
    shows("tv.home.arpa", &["A 192.0.2.9"]);
    shows("mias-tablet.home.arpa", &[]);
    let socket = home.path("../run/control.sock");
    let said = "dnsmasq, 1 entry; 1 line cannot be read (line 2: has other fields";
    wait_for("the status", || {
        let status = home.hedgerow(&["status", "--socket", socket.to_str().unwrap()]);
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        // Long lines are broken to fit.
        let status = status.split_whitespace().collect::<Vec<_>>().join(" ");
        status.contains(said).then_some(())
    });
    // Emptied and written anew, as dnsmasq does.
    std::fs::write(home.path("leases"), TWO).unwrap();
    shows("mias-tablet.home.arpa", &["A 192.0.2.7"]);
    std::fs::remove_file(home.path("leases")).unwrap();
    shows("mias-tablet.home.arpa", &[]);
    assert_eq!(home.ask(&ask("tv.home.arpa", rtype::A)).rcode(), 3);
    home.has_said("1 line cannot be read");
    let log = home.log();
    assert_eq!(log.matches("1 line cannot be read").count(), 1, "{log}");
}

#[test]
fn another_domain_or_none_takes_effect_at_a_reload() {
    let home = home(TWO);
    let config = std::fs::read_to_string(home.path("conf.d/test.toml")).unwrap();
    let shows = |name: &str, expected: &[&str]| {
        wait_for(name, || {
            let reply = home.ask(&ask(name, rtype::A));
            (reply.answers() == expected).then_some(())
        });
    };
    let with = |domain: &str| {
        let identity = format!("[identity]\nhome-domain = {domain:?}\n");
        home.write_config(&config.replace("[identity]\n", &identity));
    };
    with("lan");
    shows("tv.lan", &["A 192.0.2.8"]);
    for name in ["tv.home.arpa", "nobody.lan"] {
        assert_eq!(home.ask(&ask(name, rtype::A)).rcode(), 3, "{name}");
        assert_eq!(home.upstream.times(name), 0);
    }
    with("");
    shows("tv.lan", &["A 192.0.2.1"]);
    assert!(home.upstream.times("tv.lan") > 0, "its answer");
}
