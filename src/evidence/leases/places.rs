//! Where lease files are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::{Identity, USUAL_ETHERS};
use crate::files::Files;

/// Where a lease file is or may come to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// At this path.
    File(PathBuf),
    /// In a folder, under a name with this beginning and this end.
    In(&'static str, &'static str, &'static str),
}

/// Where programs keep their leases unless told otherwise: dnsmasq on its own, in Fedora, in Pi-hole,
/// on EdgeOS and on UniFi's gateways; Kea in its two spellings; ISC's server in Debian, in Fedora and
/// on EdgeOS.
const USUAL: [&str; 15] = [
    "/var/lib/misc/dnsmasq.leases",
    "/var/lib/dnsmasq/dnsmasq.leases",
    "/etc/pihole/dhcp.leases",
    "/run/dnsmasq-dhcp.leases",
    "/data/udapi-config/dnsmasq.lease",
    "/mnt/data/udapi-config/dnsmasq.lease",
    "/var/lib/kea/kea-leases4.csv",
    "/var/lib/kea/kea-leases6.csv",
    "/var/lib/kea/dhcp4.leases",
    "/var/lib/kea/dhcp6.leases",
    "/var/lib/dhcp/dhcpd.leases",
    "/var/lib/dhcp/dhcpd6.leases",
    "/var/lib/dhcpd/dhcpd.leases",
    "/var/lib/dhcpd/dhcpd6.leases",
    "/run/dhcpd.leases",
];

/// The same on OpenWrt: dnsmasq, then odhcpd since 25.12 and before. Elsewhere anybody may write to
/// `/tmp`.
const ON_OPENWRT: [&str; 3] = [
    "/tmp/dhcp.leases",
    "/tmp/odhcpd.leases",
    "/tmp/hosts/odhcpd",
];

/// Tells OpenWrt and what is made of it.
const OPENWRT: &str = "/etc/openwrt_release";

/// What NetworkManager's dnsmasq writes for each connection that is shared.
const SHARED: Spot = Spot::In("/var/lib/NetworkManager", "dnsmasq-", ".leases");

/// Where the leases are that the settings mean.
pub(super) fn leases(files: &Files, identity: &Identity) -> Vec<Spot> {
    if let Some(paths) = &identity.leases {
        return paths.iter().cloned().map(Spot::File).collect();
    }
    let on_openwrt = files.stamp(Path::new(OPENWRT)).map(|_| ON_OPENWRT);
    let usual = on_openwrt.into_iter().flatten().chain(USUAL);
    let usual = usual.map(|path| Spot::File(path.into()));
    usual.chain([SHARED]).collect()
}

/// Whether somebody wrote into the settings that there is such a file.
pub(super) fn is_named(path: &Path, identity: &Identity) -> bool {
    let named = identity.leases.iter().flatten();
    named.chain([&identity.ethers]).any(|it| it == path) && path != Path::new(USUAL_ETHERS)
}

impl Spot {
    /// The files there may be now.
    pub(super) fn files(&self, files: &Files) -> Vec<PathBuf> {
        match self {
            Self::File(path) => vec![path.clone()],
            Self::In(folder, begin, end) => {
                let all = files.list(Path::new(folder)).unwrap_or_default();
                let fits = |path: &PathBuf| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    name.starts_with(begin) && name.ends_with(end)
                };
                all.into_iter().filter(fits).collect()
            }
        }
    }

    /// The folder it is in.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::File(path) => path.parent().unwrap_or(path),
            Self::In(folder, ..) => Path::new(folder),
        }
    }
}

/// Which names of files and folders matter when they change.
#[derive(Debug, Default)]
pub(super) struct Names {
    whole: Vec<OsString>,
    parts: Vec<(&'static str, &'static str)>,
}

impl Names {
    /// Takes in the names of a place: its own and those of all folders above, since a folder may come
    /// to be too.
    pub(super) fn add(&mut self, spot: &Spot) {
        let path = match spot {
            Spot::File(path) => path,
            Spot::In(folder, begin, end) => {
                self.parts.push((begin, end));
                Path::new(folder)
            }
        };
        self.add_path(path);
    }

    /// Takes in the names of a path.
    pub(super) fn add_path(&mut self, path: &Path) {
        self.whole.extend(path.iter().map(OsString::from));
    }

    /// Whether a change at `path` matters. The path may be written in another way than ours, through
    /// a link, so only its last name counts.
    pub(super) fn cover(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else {
            return true;
        };
        let text = name.to_string_lossy();
        let fits = |(begin, end): &(&str, &str)| text.starts_with(begin) && text.ends_with(end);
        self.whole.iter().any(|whole| whole == name) || self.parts.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::files::MemoryFiles;

    #[test]
    fn the_usual_places_are_looked_at_unless_said() {
        let memory = MemoryFiles::new();
        let mut identity = Config::default_home().identity;
        let usual = leases(&memory.files(), &identity);
        let tmp = |spots: &[Spot]| {
            spots
                .iter()
                .filter(|it| it.folder().starts_with("/tmp"))
                .count()
        };
        assert_eq!((usual.len(), tmp(&usual)), (USUAL.len() + 1, 0));
        memory.put(OPENWRT, "");
        assert_eq!(tmp(&leases(&memory.files(), &identity)), 3);
        identity.leases = Some(vec!["/srv/leases".into()]);
        assert_eq!(
            leases(&memory.files(), &identity),
            [Spot::File("/srv/leases".into())]
        );
    }

    #[test]
    fn what_has_no_fixed_name_is_found_in_its_folder() {
        let memory = MemoryFiles::new();
        for name in ["dnsmasq-wlan0.leases", "dnsmasq-eth1.leases", "timestamps"] {
            memory.put(format!("/var/lib/NetworkManager/{name}"), "");
        }
        let found = SHARED.files(&memory.files());
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["dnsmasq-eth1.leases", "dnsmasq-wlan0.leases"]);
    }

    #[test]
    fn only_what_can_be_a_lease_file_matters() {
        let mut names = Names::default();
        names.add(&Spot::File("/tmp/hosts/odhcpd".into()));
        names.add(&SHARED);
        for path in [
            "/tmp/hosts/odhcpd",
            "/var/hosts",
            "/x/dnsmasq-br0.leases",
            "/",
        ] {
            assert!(names.cover(Path::new(path)), "{path}");
        }
        for path in ["/tmp/hosts/odhcpd.tmp", "/tmp/x", "/x/dnsmasq-br0.leases~"] {
            assert!(!names.cover(Path::new(path)), "{path}");
        }
    }
}
