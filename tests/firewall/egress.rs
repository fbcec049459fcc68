//! Pinned egress against a real set: pairs that are put in, put off, and gone in between.

use std::net::IpAddr;
use std::time::Duration;

use hedgerow::clock::Moment;
use hedgerow::egress::{Egress, MOST_ADDRESSES, Opening};
use hedgerow::mac::Mac;

use crate::CHILD;
use crate::machines::{Machine, are_possible};

/// Tells this program, started once more on a machine of its own, to do its part there.
const INSIDE: &str = "HEDGEROW_EGRESS_INSIDE";

fn nft(words: &str) -> Result<String, String> {
    let output = std::process::Command::new("nft")
        .args(words.split(' '))
        .output()
        .unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

fn moment(seconds: u64) -> Moment {
    Moment::from_micros(seconds * 1_000_000)
}

/// Seconds that the kernel lets the pair be; none if it is not there.
fn left(address: &str) -> Option<u64> {
    let set = if address.contains(':') {
        "answered6"
    } else {
        "answered4"
    };
    let text = nft(&format!("list set inet hedgerow {set}")).unwrap();
    let pair = format!("{CHILD} . {address} timeout ");
    let rest = text.split(&pair).nth(1)?.split("expires ").nth(1)?;
    let mut seconds = 0;
    let word = rest.split([',', ' ', '\n']).next()?.replace("ms", " ");
    for part in word.split_inclusive(['m', 's', ' ']) {
        let number: u64 = part.trim_end_matches(['m', 's', ' ']).parse().unwrap();
        seconds += match part.chars().last() {
            Some('m') => 60 * number,
            Some('s') => number,
            _ => 0,
        };
    }
    Some(seconds)
}

/// Without the variable, as in an ordinary run, there is nothing to do.
#[test]
fn inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let mac: Mac = CHILD.parse().unwrap();
    let addresses: [IpAddr; 2] = ["192.0.2.1", "2001:db8::1"].map(|it| it.parse().unwrap());
    let egress = Egress::default();
    let child = Opening {
        mac,
        lasts: Duration::MAX,
        while_closed: false,
    };
    // No table: that is told, and counted.
    assert_eq!(egress.has_table(), Some(false));
    assert!(egress.open(child, addresses, moment(0)).is_err());
    assert_eq!(egress.failures(), 1);
    nft("add table inet hedgerow").unwrap();
    for (set, kind) in [("answered4", "ipv4_addr"), ("answered6", "ipv6_addr")] {
        nft(&format!(
            "add set inet hedgerow {set} {{ type ether_addr . {kind}; flags timeout; }}"
        ))
        .unwrap();
    }
    assert_eq!(egress.has_table(), Some(true));
    egress.open(child, addresses, moment(0)).unwrap();
    for address in ["192.0.2.1", "2001:db8::1"] {
        assert!(left(address).unwrap() > 590, "{address}");
    }
    // The kernel's time runs on; ours says whether a pair is old.
    std::thread::sleep(Duration::from_millis(1500));
    let young = left("192.0.2.1").unwrap();
    assert!(young < 599, "{young}");
    egress.open(child, addresses, moment(200)).unwrap();
    assert!(left("192.0.2.1").unwrap() <= young);
    // Another one, as after a restart: it does not know what is there and puts it off all the same.
    Egress::default()
        .open(child, addresses, moment(200))
        .unwrap();
    for address in ["192.0.2.1", "2001:db8::1"] {
        assert!(left(address).unwrap() >= 599, "{address}");
    }
    egress.open(child, addresses, moment(600)).unwrap();
    // Gone between two answers, by somebody else or as its time ended just then: the next one puts
    // it in, however young it is.
    nft(&format!(
        "delete element inet hedgerow answered4 {{ {CHILD} . 192.0.2.1 }}"
    ))
    .unwrap();
    assert_eq!(left("192.0.2.1"), None);
    egress.open(child, addresses, moment(601)).unwrap();
    for address in ["192.0.2.1", "2001:db8::1"] {
        assert!(left(address).unwrap() >= 599, "{address}");
    }
    // What holds for a minute more is not opened for longer, and what is open is cut short.
    let until_bedtime = Opening {
        lasts: Duration::from_secs(60),
        ..child
    };
    egress.open(until_bedtime, addresses, moment(602)).unwrap();
    for address in ["192.0.2.1", "2001:db8::1"] {
        assert!((80..=90).contains(&left(address).unwrap()), "{address}");
    }
    // A pause: what was opened before is closed, and a lifeline's answer is not.
    let in_pause = Opening {
        while_closed: true,
        ..child
    };
    let lifeline: IpAddr = "192.0.2.2".parse().unwrap();
    egress.open(in_pause, [lifeline], moment(603)).unwrap();
    egress.close(|_| false, moment(603)).unwrap();
    assert!(left("192.0.2.1").is_some());
    egress.close(|closed| closed == mac, moment(603)).unwrap();
    for address in addresses {
        assert_eq!(left(&address.to_string()), None, "{address}");
    }
    assert!(left("192.0.2.2").is_some());
    // An answer with more addresses than any site has.
    let many = (0..1000_u32).map(|number| IpAddr::V4((0xc633_6400 + number).into()));
    egress.open(child, many, moment(604)).unwrap();
    let set = nft("list set inet hedgerow answered4").unwrap();
    assert_eq!(set.matches(" . 198.51.").count(), MOST_ADDRESSES);
    assert_eq!(egress.failures(), 1);
    // The table is taken away and made anew behind our back.
    nft("delete table inet hedgerow").unwrap();
    assert!(egress.open(child, addresses, moment(1300)).is_err());
    assert_eq!((egress.failures(), egress.has_table()), (2, Some(false)));
}

#[test]
fn pairs_are_put_off_before_they_end() {
    if !are_possible(&["ip", "nft"]) {
        return;
    }
    let machine = Machine::new("egress");
    let program = std::env::current_exe().unwrap();
    let output = machine
        .command(program.to_str().unwrap())
        .args(["egress::inside", "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
