//! Identity scenarios: a configuration, what can be seen of the home, and whose a query is.
//!
//! Each file under `tests/identity-cases/` holds a `config` as an admin would write it, what
//! witnesses say (`evidence`), and queries with the device they must be (`case`). A case of a
//! family's home can be added in ten lines; nothing is asked of a kernel or a network. The head of
//! `tests/identity-cases/family.toml` says what the words mean.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use hedgerow::config::{self, Overrides};
use hedgerow::device::neighbours::{Change, Link};
use hedgerow::device::{Claim, Devices, HostName, Lease, Neighbours, Origin, Place, Who, Witness};
use hedgerow::files::MemoryFiles;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What is shown.
    #[serde(rename = "about")]
    _about: String,
    config: String,
    /// What must be told of a configuration that is refused.
    refused: Option<String>,
    /// Our own addresses, with the prefixes on our links; with any, the kernel is watched.
    #[serde(default)]
    links: Vec<String>,
    #[serde(default)]
    evidence: Vec<Evidence>,
    #[serde(default)]
    case: Vec<Case>,
}

/// What one witness says: the one of `kernel`, `lease` and `ethers` that has an address.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    kernel: Option<IpAddr>,
    lease: Option<IpAddr>,
    ethers: Option<IpAddr>,
    /// The MAC address; none takes back what the witness said.
    mac: Option<String>,
    /// What the lease says the device calls itself.
    host_name: Option<String>,
    /// The interface of a link-local address.
    #[serde(default)]
    on: u32,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is seen from here on, besides what was before.
    #[serde(default)]
    then: Vec<Evidence>,
    /// The address that asks.
    from: IpAddr,
    /// The number of the interface, or its name.
    on: Option<toml::Value>,
    /// The name of the listener that is asked.
    at: Option<String>,
    /// What a trusted forwarder says of its client.
    claim: Option<Told>,
    /// Whether the kernel has to be asked first who it is.
    #[serde(default)]
    unseen: bool,
    /// The device, or `guest`.
    is: String,
    profile: Option<String>,
    known_by: Option<String>,
    confidence: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    mac: Option<String>,
    address: Option<IpAddr>,
}

#[test]
fn scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity-cases");
    let (mut scenarios, mut cases) = (0, 0);
    let mut wrong = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let scenario: Scenario = toml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        scenarios += 1;
        match (&scenario.refused, load(&scenario.config)) {
            (None, Ok(config)) => {
                let home = Home::new(&config, &scenario);
                for (case, number) in scenario.case.iter().zip(1..) {
                    cases += 1;
                    for fault in home.faults(&config, case) {
                        wrong.push(format!("{file}, case {number}: {fault}"));
                    }
                }
            }
            (Some(expected), Err(told)) => {
                cases += 1;
                if !told.contains(expected) {
                    wrong.push(format!("{file}: told `{told}`, not `{expected}`"));
                }
            }
            (None, Err(told)) => wrong.push(format!("{file}: {told}")),
            (Some(expected), Ok(_)) => wrong.push(format!("{file}: not told `{expected}`")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(scenarios >= 8, "only {scenarios} files were read");
    assert!(cases >= 45, "only {cases} cases ran");
}

/// The configuration, or all that is wrong with it.
fn load(text: &str) -> Result<config::Config, String> {
    let files = MemoryFiles::new();
    files.put("/etc/h.toml", text);
    let path = Path::new("/etc/h.toml");
    let loaded = config::load_with(&files.files(), path, &Overrides::default());
    let told: Vec<_> = loaded.diagnostics.iter().map(|it| it.one_line()).collect();
    loaded.config.ok_or_else(|| told.join("; "))
}

/// What a query of the home sees.
struct Home {
    devices: Devices,
    neighbours: Arc<Neighbours>,
}

impl Home {
    fn new(config: &config::Config, scenario: &Scenario) -> Self {
        let (neighbours, _service) = Neighbours::new();
        let links = scenario.links.iter().zip(1..);
        let links: Vec<Link> = links
            .map(|(net, interface)| Link {
                interface,
                net: net.parse().unwrap(),
            })
            .collect();
        neighbours.set_watching(!links.is_empty());
        neighbours.set_links(links);
        let listeners = &config.server.listen;
        let home = Self {
            devices: Devices::new(&config.devices, listeners, Arc::clone(&neighbours)),
            neighbours,
        };
        home.see(&scenario.evidence);
        home
    }

    fn see(&self, evidence: &[Evidence]) {
        let mut leases = Vec::clone(&self.neighbours.leases());
        for seen in evidence {
            let mac = seen.mac.as_ref().map(|mac| mac.parse().unwrap());
            let (address, witness) = match (seen.kernel, seen.lease, seen.ethers) {
                (Some(address), None, None) => (address, Witness::Kernel),
                (None, Some(address), None) => (address, Witness::Lease),
                (None, None, Some(address)) => (address, Witness::Ethers),
                _ => panic!("one of `kernel`, `lease` and `ethers` is needed"),
            };
            if witness == Witness::Lease {
                leases.push(Lease {
                    address,
                    mac,
                    host_name: seen.host_name.as_deref().and_then(HostName::new),
                    client_id: None,
                    ends: None,
                });
            }
            self.neighbours.apply([Change {
                place: Place::new(address, seen.on),
                witness,
                mac,
            }]);
        }
        self.neighbours.set_leases(leases);
    }

    fn faults(&self, config: &config::Config, case: &Case) -> Vec<String> {
        self.see(&case.then);
        let listeners = &config.server.listen;
        let at = |name: &String| {
            let place = listeners
                .iter()
                .position(|it| it.name.as_ref() == Some(name));
            place.unwrap() as u16
        };
        let origin = Origin::new(
            case.from,
            case.on.as_ref().map_or(0, interface),
            case.at.as_ref().map_or(u16::MAX, at),
        );
        let claim = case.claim.as_ref().map(|told| Claim {
            mac: told.mac.as_ref().map(|mac| mac.parse().unwrap()),
            client: told.address.map(Into::into),
            ..Claim::default()
        });
        let claim = claim.as_ref();
        let unseen = self.devices.identify(&origin, claim) == Who::Unseen;
        let index = self.devices.settle(&origin, claim);
        let device = index.map(|index| &config.devices[usize::from(index)]);
        let profile = device.map_or(config.guest, |it| it.profile);
        let known_by = self.devices.known_by(&origin, claim);
        let found = [
            ("unseen", unseen.to_string(), Some(case.unseen.to_string())),
            (
                "is",
                device.map_or("guest", |it| &it.name).to_owned(),
                Some(case.is.clone()),
            ),
            (
                "profile",
                config.profiles[profile].name.clone(),
                case.profile.clone(),
            ),
            ("known_by", known_by.to_string(), case.known_by.clone()),
            (
                "confidence",
                known_by.confidence().label().to_owned(),
                case.confidence.clone(),
            ),
        ];
        let faults = found.into_iter().filter_map(|(what, found, expected)| {
            let expected = expected.filter(|expected| *expected != found)?;
            Some(format!("{}: {what} {found}, not {expected}", case.from))
        });
        faults.collect()
    }
}

/// The kernel's number of an interface that is given by number or by name.
fn interface(value: &toml::Value) -> u32 {
    match value {
        toml::Value::Integer(number) => u32::try_from(*number).unwrap(),
        name => nix::net::if_::if_nametoindex(name.as_str().unwrap()).unwrap(),
    }
}
