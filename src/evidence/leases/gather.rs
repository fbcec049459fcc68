//! Reads the files there are and enters what changed into the living table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::{Faults, MAX_FILE, places, read_ethers, read_leases};
use crate::clock::Clock;
use crate::config::Identity;
use crate::device::neighbours::Change;
use crate::device::{HostName, Lease, Neighbours, Place, Witness};
use crate::files::{FileError, Files};
use crate::mac::Mac;

/// Reads files of leases.
#[derive(Debug)]
pub struct Gatherer {
    files: Files,
    clock: Clock,
    neighbours: Arc<Neighbours>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the last look found.
    seen: Vec<LeaseFile>,
    /// When the first lease ends, in seconds since 1970.
    first_end: Option<u64>,
}

/// A file as the last look found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFile {
    /// Where it is.
    pub path: PathBuf,
    /// Who wrote it, as people call that.
    pub writer: &'static str,
    /// How many leases it holds, or lines of `/etc/ethers`.
    pub count: usize,
    /// What cannot be read of it, in a sentence.
    pub problem: Option<String>,
}

/// What all files together say.
#[derive(Debug, Default)]
struct Said {
    /// In the order of files and lines.
    leases: Vec<Lease>,
    /// Where the lease of an address stands among them.
    places: BTreeMap<IpAddr, usize>,
    ethers: BTreeMap<IpAddr, Mac>,
    names: Vec<(Mac, HostName)>,
    files: Vec<LeaseFile>,
}

impl Gatherer {
    /// One that enters what it finds into `neighbours`.
    pub fn new(files: Files, clock: Clock, neighbours: Arc<Neighbours>) -> Self {
        Self {
            files,
            clock,
            neighbours,
            state: Mutex::default(),
        }
    }

    /// Reads all files that the settings mean. Takes as long as the disk takes.
    pub fn gather(&self, identity: &Identity) {
        let said = self.read(identity);
        let macs = said.leases.iter();
        let macs = macs.filter_map(|lease| Some((lease.address, lease.mac?)));
        self.enter(Witness::Lease, &macs.collect());
        self.enter(Witness::Ethers, &said.ethers);
        let first_end = said.leases.iter().filter_map(|lease| lease.ends).min();
        // Behind the MAC addresses, so that those have their numbers.
        if *self.neighbours.leases() != said.leases {
            self.neighbours.set_leases(said.leases);
        }
        if *self.neighbours.host_names() != said.names {
            self.neighbours.set_host_names(said.names);
        }
        let mut state = self.state();
        tell(&state.seen, &said.files);
        *state = State {
            seen: said.files,
            first_end,
        };
    }

    /// The files that the last look found.
    pub fn seen(&self) -> Vec<LeaseFile> {
        self.state().seen.clone()
    }

    /// How long it is until a lease ends, by clocks that may be wrong: an hour at most. None while
    /// none ends.
    pub fn until_first_end(&self) -> Option<Duration> {
        const LONGEST: u64 = 3600;
        let first_end = self.state().first_end?;
        let seconds = first_end.saturating_sub(self.now()).clamp(1, LONGEST);
        Some(Duration::from_secs(seconds))
    }

    fn read(&self, identity: &Identity) -> Said {
        let mut said = Said::default();
        let now = self.now();
        let mut read = BTreeSet::new();
        let spots = places::leases(&self.files, identity);
        for path in spots.iter().flat_map(|spot| spot.files(&self.files)) {
            // One file may be at two of the usual places, by a link.
            if !read.insert(self.files.target(&path).unwrap_or_else(|| path.clone())) {
                continue;
            }
            match self.files.read(&path, MAX_FILE) {
                Ok(bytes) => {
                    let reading = read_leases(&bytes, now);
                    let writer = reading.format.map_or("unknown", |format| format.label());
                    let count = reading.leases.len();
                    let problem = problem(&reading.faults, reading.left_out);
                    said.files.push(LeaseFile {
                        path,
                        writer,
                        count,
                        problem,
                    });
                    reading.leases.into_iter().for_each(|it| said.add(it));
                }
                Err(error) => said.files.extend(unread(error, identity)),
            }
        }
        match self.files.read(&identity.ethers, MAX_FILE) {
            Ok(bytes) => {
                let ethers = read_ethers(&bytes);
                said.files.push(LeaseFile {
                    path: identity.ethers.clone(),
                    writer: "by hand",
                    count: ethers.addresses.len() + ethers.names.len(),
                    problem: problem(&ethers.faults, ethers.left_out),
                });
                said.ethers = ethers.addresses;
                said.names = ethers.names;
            }
            Err(error) => said.files.extend(unread(error, identity)),
        }
        said
    }

    /// Makes what the table has from a witness be what it says now.
    fn enter(&self, witness: Witness, said: &BTreeMap<IpAddr, Mac>) {
        let is_said = |place: Place| said.contains_key(&place.address().0);
        self.neighbours.retain(witness, is_said);
        let news = said.iter().filter_map(|(address, mac)| {
            let place = Place::new(*address, 0);
            let known = self.neighbours.find(place);
            let before = known.and_then(|known| self.neighbours.mac(known.by(witness)?));
            let mac = Some(*mac);
            (before != mac).then_some(Change {
                place,
                witness,
                mac,
            })
        });
        let news: Vec<_> = news.collect();
        debug!(witness = witness.label(), changes = news.len(), "read");
        self.neighbours.apply(news);
    }

    fn now(&self) -> u64 {
        // Before 1970 it is as wrong as in 1970.
        u64::try_from(self.clock.wall().as_second()).unwrap_or(0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    /// Adds a lease; of two for one address that which ends later counts, and the second if neither
    /// does.
    fn add(&mut self, lease: Lease) {
        let end = |lease: &Lease| lease.ends.unwrap_or(u64::MAX);
        match self.places.get(&lease.address) {
            Some(place) if end(&self.leases[*place]) > end(&lease) => {}
            Some(place) => self.leases[*place] = lease,
            None => {
                self.places.insert(lease.address, self.leases.len());
                self.leases.push(lease);
            }
        }
    }
}

/// What is wrong with a file that could be read.
fn problem(faults: &Faults, left_out: usize) -> Option<String> {
    let faults = (faults.count > 0).then(|| faults.to_string());
    let left_out = (left_out > 0).then(|| format!("{left_out} lines are too many"));
    match (faults, left_out) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => one.or(other),
    }
}

/// A file that could not be read. One at a usual place that is not there is none.
fn unread(error: FileError, identity: &Identity) -> Option<LeaseFile> {
    let is_missing = error.is_missing();
    if is_missing && !places::is_named(&error.path, identity) {
        return None;
    }
    let problem = if is_missing {
        "is not there".to_owned()
    } else {
        format!("{}: {}", error.doing, error.source)
    };
    Some(LeaseFile {
        path: error.path,
        writer: "unknown",
        count: 0,
        problem: Some(problem),
    })
}

/// Says what is new about files: once that there is a problem, once that there is none.
fn tell(before: &[LeaseFile], now: &[LeaseFile]) {
    let find = |path: &Path| before.iter().find(|file| file.path == path);
    for file in now {
        let had_problem = find(&file.path).map(|before| before.problem.is_some());
        let path = file.path.display();
        match (&file.problem, had_problem) {
            (Some(problem), None | Some(false)) => warn!(file = %path, problem, "leases"),
            (None, None | Some(true)) => {
                info!(file = %path, writer = file.writer, count = file.count, "leases are read");
            }
            _ => debug!(file = %path, count = file.count, "leases are read again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualTime, Timestamp};
    use crate::config::Config;
    use crate::files::MemoryFiles;

    const DNSMASQ: &str = "/srv/dnsmasq.leases";
    const KEA: &str = "/srv/kea.csv";
    const COLUMNS: &str = "address,hwaddr,client_id,valid_lifetime,expire,hostname,state\n";

    struct World {
        memory: Arc<MemoryFiles>,
        time: Arc<ManualTime>,
        neighbours: Arc<Neighbours>,
        gatherer: Gatherer,
        identity: Identity,
    }

    fn world() -> World {
        let memory = MemoryFiles::new();
        let time = ManualTime::starting_at(Timestamp::from_second(1_795_000_000).unwrap());
        let neighbours = Neighbours::new().0;
        let gatherer = Gatherer::new(memory.files(), time.clock(), Arc::clone(&neighbours));
        let mut identity = Config::default_home().identity;
        identity.leases = Some(vec![DNSMASQ.into(), KEA.into()]);
        World {
            memory,
            time,
            neighbours,
            gatherer,
            identity,
        }
    }

    impl World {
        fn gather(&self) {
            self.gatherer.gather(&self.identity);
        }

        fn best(&self, address: &str) -> Option<(String, Witness)> {
            let place = Place::new(address.parse().unwrap(), 0);
            let (id, witness) = self.neighbours.find(place)?.best()?;
            Some((self.neighbours.mac(id)?.to_string(), witness))
        }

        fn problems(&self) -> Vec<String> {
            let seen = self.gatherer.seen().into_iter();
            let said =
                |file: LeaseFile| Some(format!("{}: {}", file.path.display(), file.problem?));
            seen.filter_map(said).collect()
        }
    }

    #[test]
    fn what_files_say_is_in_the_table_as_long_as_they_say_it() {
        let world = world();
        let lease = |mac: u8, address: &str| {
            format!("1795003600 02:00:5e:10:00:0{mac} {address} name{mac} *\n")
        };
        world
            .memory
            .put(DNSMASQ, lease(1, "192.0.2.7") + &lease(2, "192.0.2.8"));
        world.memory.put(
            "/etc/ethers",
            "02:00:5e:10:00:03 192.0.2.8\n02:00:5e:10:00:03 192.0.2.9",
        );
        world.gather();
        let one = ("02:00:5e:10:00:01".to_owned(), Witness::Lease);
        let two = ("02:00:5e:10:00:02".to_owned(), Witness::Lease);
        let three = ("02:00:5e:10:00:03".to_owned(), Witness::Ethers);
        assert_eq!(world.best("192.0.2.7"), Some(one));
        assert_eq!(world.best("192.0.2.8"), Some(two.clone()));
        assert_eq!(world.best("192.0.2.9"), Some(three.clone()));
        assert_eq!(world.neighbours.leases().len(), 2);

        // One goes, one gets another address.
        world.memory.put(DNSMASQ, lease(2, "192.0.2.7"));
        world.gather();
        assert_eq!(world.best("192.0.2.7"), Some(two));
        assert_eq!(world.best("192.0.2.8"), Some(three));
        world.memory.remove(Path::new(DNSMASQ));
        world.memory.remove(Path::new("/etc/ethers"));
        world.gather();
        assert_eq!(world.neighbours.all(), []);
        assert_eq!(world.neighbours.leases().len(), 0);
    }

    #[test]
    fn of_two_leases_for_an_address_the_one_that_ends_later_counts() {
        let world = world();
        world
            .memory
            .put(DNSMASQ, "1795003600 02:00:5e:10:00:01 192.0.2.7 * *\n");
        for (end, mac) in [(1_795_000_001, 1), (1_795_003_601, 2)] {
            let line = format!("192.0.2.7,02:00:5e:10:00:02,,3600,{end},,0\n");
            world.memory.put(KEA, format!("{COLUMNS}{line}"));
            world.gather();
            let expected = (format!("02:00:5e:10:00:0{mac}"), Witness::Lease);
            assert_eq!(world.best("192.0.2.7"), Some(expected));
        }
    }

    #[test]
    fn a_lease_that_ends_is_forgotten_at_the_next_look() {
        let world = world();
        world
            .memory
            .put(DNSMASQ, "1795000010 02:00:5e:10:00:01 192.0.2.7 * *\n");
        world.gather();
        assert_eq!(
            world.gatherer.until_first_end(),
            Some(Duration::from_secs(10))
        );
        assert!(world.best("192.0.2.7").is_some());
        world.time.advance(Duration::from_secs(10));
        world.gather();
        assert_eq!(world.best("192.0.2.7"), None);
        assert_eq!(world.gatherer.until_first_end(), None);
    }

    #[test]
    fn what_cannot_be_read_is_kept_for_the_status() {
        let world = world();
        world.memory.put(DNSMASQ, "hello\n");
        world.gather();
        assert_eq!(
            world.problems(),
            [
                "/srv/dnsmasq.leases: 1 line cannot be read (line 1: of no syntax that is known)",
                "/srv/kea.csv: is not there",
            ]
        );
        world.memory.put(KEA, vec![b'x'; MAX_FILE as usize + 1]);
        world.memory.put(DNSMASQ, "");
        world.gather();
        assert_eq!(
            world.problems(),
            ["/srv/kea.csv: cannot read: larger than 4194304 bytes"]
        );
        // At a usual place nothing need be.
        let usual = Config::default_home().identity;
        world.gatherer.gather(&usual);
        assert_eq!(world.gatherer.seen(), []);
    }
}
