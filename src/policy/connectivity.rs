//! Names by which devices find out whether a network leads to the internet.

use crate::name::NameRef;

/// Names by which devices find out whether a network leads to the internet. A phone that gets no answer
/// leaves the Wi-Fi for mobile data, where nobody filters, and at bedtime that is the opposite of
/// what was meant. Each serves that purpose alone, so `www.apple.com` and the like are not here; those of
/// consoles are not either, since a console has no other network to go to.
const CHECKS: [&[u8]; 17] = [
    b"\x07captive\x05apple\x03com\x00",
    b"\x11connectivitycheck\x07gstatic\x03com\x00",
    b"\x11connectivitycheck\x07android\x03com\x00",
    b"\x11connectivitycheck\x08platform\x07hicloud\x03com\x00",
    b"\x07connect\x03rom\x04miui\x03com\x00",
    b"\x03www\x0fmsftconnecttest\x03com\x00",
    b"\x04ipv6\x0fmsftconnecttest\x03com\x00",
    b"\x03www\x08msftncsi\x03com\x00",
    b"\x03dns\x08msftncsi\x03com\x00",
    b"\x0cdetectportal\x07firefox\x03com\x00",
    b"\x12connectivity-check\x06ubuntu\x03com\x00",
    b"\x0cnetwork-test\x06debian\x03org\x00",
    b"\x07nmcheck\x05gnome\x03org\x00",
    b"\x0cnetworkcheck\x03kde\x03org\x00",
    b"\x04ping\x09archlinux\x03org\x00",
    b"\x09conncheck\x08opensuse\x03org\x00",
    b"\x13fireoscaptiveportal\x03com\x00",
];

/// Whether `name` is one by which devices find out whether a network leads to the internet. What
/// closes everything leaves those open.
pub(super) fn is_connectivity_check(name: NameRef<'_>) -> bool {
    CHECKS.contains(&name.as_wire())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    /// Ours, and what no list may take.
    const PROTECTED: &str = include_str!("../../blocklists/protected.txt");

    #[test]
    fn all_are_names_that_no_list_may_take() {
        let lines: Vec<&str> = PROTECTED.lines().collect();
        for check in CHECKS {
            let (name, _) = NameBuf::read_wire(check).unwrap();
            assert!(is_connectivity_check(name.as_ref()));
            let line = format!("={name}");
            let line = line.trim_end_matches('.');
            assert!(
                lines.contains(&line) || lines.contains(&&line[1..]),
                "{line}"
            );
        }
        let other = NameBuf::parse("x.captive.apple.com").unwrap();
        assert!(!is_connectivity_check(other.as_ref()));
    }
}
