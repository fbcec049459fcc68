//! The household's time zone.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::files::Files;

/// The rules of all zones as they are today, for routers, which often come without a time zone
/// database: on each line a rule as POSIX writes it and the zones it holds in. The test at the
/// bottom of this file makes it.
const RULES: &str = include_str!("zones.txt");

/// Where systems keep their time zone database.
const DATABASE: &str = "/usr/share/zoneinfo";

/// The largest file of that database; the largest we know has 4 KB.
const MAX_FILE: u64 = 64 << 10;

/// A time zone: what clocks on the wall show at each moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// Why a text names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Neither the system nor the program knows a zone of this name.
    #[error("no time zone has this name")]
    Unknown,
    /// A rule that says when clocks change, but cannot be read.
    #[error("not a rule as POSIX writes it: {0}")]
    Rule(String),
    /// The system's file of this zone is broken.
    #[error("the system's file of this zone cannot be read: {0}")]
    File(String),
}

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            rules: TimeZone::UTC,
        }
    }

    /// The zone that `text` names: by its name in the IANA database (`Europe/Berlin`), or by its rule
    /// as POSIX writes it (`CET-1CEST,M3.5.0,M10.5.0/3`).
    ///
    /// The system's file of the zone comes first, since it may be newer than the program; the
    /// program's own table stands in where there is none.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str, files: &Files) -> Result<Self, ZoneError> {
        let named = |rules| Self {
            name: text.to_owned(),
            rules,
        };
        if is_name(text)
            && let Ok(bytes) = files.read(&Path::new(DATABASE).join(text), MAX_FILE)
        {
            let rules = TimeZone::tzif(text, &bytes);
            return rules
                .map(named)
                .map_err(|error| ZoneError::File(error.to_string()));
        }
        if let Some(rule) = rule_of(text) {
            let rules = TimeZone::posix(rule);
            return rules
                .map(named)
                .map_err(|error| ZoneError::Rule(error.to_string()));
        }
        // Every rule has an offset in it; a name without a digit is one that nobody knows.
        if !text.contains(|c: char| c.is_ascii_digit()) || is_area(text) {
            return Err(ZoneError::Unknown);
        }
        let rules = TimeZone::posix(text).map_err(|error| ZoneError::Rule(error.to_string()))?;
        Ok(named(rules))
    }

    /// The zone the system is set to, if it says one.
    ///
    /// OpenWrt keeps a rule in `/etc/TZ`; elsewhere `/etc/localtime` is a link to the zone's file.
    /// `/etc/timezone` comes after it: `timedatectl` changes the link alone. The environment is not
    /// asked, so that a configuration means the same whoever reads it.
    pub fn of_system(files: &Files) -> Option<Self> {
        let first_line = |path: &str| {
            let bytes = files.read(Path::new(path), MAX_FILE).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let line = text.lines().next()?.trim().trim_start_matches(':');
            Self::parse(line, files).ok()
        };
        let local = Path::new("/etc/localtime");
        let linked = || {
            let target = files.target(local)?;
            let (_, name) = target.to_str()?.rsplit_once("zoneinfo/")?;
            Self::parse(name, files).ok()
        };
        let copied = || {
            let bytes = files.read(local, MAX_FILE).ok()?;
            let rules = TimeZone::tzif("local", &bytes).ok()?;
            let name = "the system's".to_owned();
            Some(Self { name, rules })
        };
        first_line("/etc/TZ")
            .or_else(linked)
            .or_else(|| first_line("/etc/timezone"))
            .or_else(copied)
    }

    /// Its name, or its rule where it was given by one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What clocks show at `at`.
    pub fn clock_at(&self, at: Timestamp) -> DateTime {
        self.rules.to_datetime(at)
    }

    /// How far clocks are ahead of UTC at `at`, in seconds.
    pub fn offset_at(&self, at: Timestamp) -> i32 {
        self.rules.to_offset(at).seconds()
    }

    /// The moment that clocks show `clock`.
    ///
    /// A time that clocks show twice, when they are put back, means the first of both moments. A time
    /// that they skip, when they are put forward, means the moment they skip it. So a later time on
    /// the clock is never an earlier moment. At the ends of time it is the nearest moment there is.
    pub fn moment_of(&self, clock: DateTime) -> Timestamp {
        let ends = || {
            if clock.year() > 0 {
                Timestamp::MAX
            } else {
                Timestamp::MIN
            }
        };
        let ambiguous = self.rules.to_ambiguous_timestamp(clock);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(clock),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(clock),
            AmbiguousOffset::Gap { before, after } => {
                return match (after.to_timestamp(clock), before.to_timestamp(clock)) {
                    (Ok(earlier), Ok(later)) => self.change_between(earlier, later),
                    _ => ends(),
                };
            }
        }
        .unwrap_or_else(|_| ends())
    }

    /// The moment clocks are put forward, which lies after `earlier` and not after `later`.
    fn change_between(&self, earlier: Timestamp, later: Timestamp) -> Timestamp {
        let before = self.offset_at(earlier);
        let (mut low, mut high) = (earlier.as_second(), later.as_second());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let at = Timestamp::from_second(middle).unwrap_or(later);
            if self.offset_at(at) == before {
                low = middle;
            } else {
                high = middle;
            }
        }
        Timestamp::from_second(high).unwrap_or(later)
    }

    /// The moment the day `date` begins.
    pub(super) fn midnight(&self, date: Date) -> Timestamp {
        self.moment_of(date.at(0, 0, 0, 0))
    }
}

/// The names of all zones the program knows by itself.
pub fn zone_names() -> impl Iterator<Item = &'static str> {
    RULES.lines().flat_map(|line| line.split(' ').skip(1))
}

/// The rule of the zone `name` in the program's own table.
fn rule_of(name: &str) -> Option<&'static str> {
    let line = RULES
        .lines()
        .find(|line| line.split(' ').skip(1).any(|known| known == name))?;
    line.split(' ').next()
}

/// Whether `text` can be the name of a zone's file. Zones under `right/` count leap seconds, which
/// the clocks we know of do not.
fn is_name(text: &str) -> bool {
    let fine = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+'))
    };
    text.len() <= 64 && text.split('/').all(fine) && !text.starts_with("right/")
}

/// Whether `text` begins with an area, as names of zones do.
fn is_area(text: &str) -> bool {
    let area = text.split('/').next().unwrap_or_default();
    area.len() < text.len() && area.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;

    use super::*;
    use crate::files::MemoryFiles;

    /// The rules that the files of the time zone database end in (RFC 9636 section 3.3).
    fn rules_of_the_system() -> BTreeMap<String, BTreeSet<String>> {
        let mut rules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut folders = vec![PathBuf::from(DATABASE)];
        while let Some(folder) = folders.pop() {
            for path in Files::disk().list(&folder).unwrap_or_default() {
                let name = path.strip_prefix(DATABASE).unwrap().to_str().unwrap();
                let by_itself = ["posix", "right", "posixrules", "localtime", "Factory"];
                if by_itself.contains(&name) {
                    continue;
                }
                let Ok(bytes) = Files::disk().read(&path, MAX_FILE) else {
                    folders.push(path);
                    continue;
                };
                if !bytes.starts_with(b"TZif") {
                    continue;
                }
                let text = String::from_utf8_lossy(&bytes);
                let rule = text.trim_end_matches('\n').rsplit('\n').next().unwrap();
                let names = rules.entry(rule.to_owned()).or_default();
                names.insert(name.to_owned());
            }
        }
        rules
    }

    /// `HEDGEROW_BLESS=1` writes the table anew from the system's time zone database. Databases of
    /// other years differ in a zone or two; those here have been as they are for long.
    #[test]
    fn the_table_says_what_the_system_says() {
        const SETTLED: [&str; 12] = [
            "Europe/Berlin",
            "Europe/London",
            "Europe/Dublin",
            "America/New_York",
            "America/St_Johns",
            "America/Sao_Paulo",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Asia/Tokyo",
            "Pacific/Apia",
            "Africa/Casablanca",
            "UTC",
        ];
        let rules = rules_of_the_system();
        if std::env::var_os("HEDGEROW_BLESS").is_some() {
            let line = |(rule, names): (&String, &BTreeSet<String>)| {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                format!("{rule} {}\n", names.join(" "))
            };
            let table: String = rules.iter().map(line).collect();
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schedule/zones.txt");
            Files::disk().replace(&path, table.as_bytes()).unwrap();
            return;
        }
        assert!(zone_names().count() > 500);
        let mut compared = 0;
        for zone in SETTLED {
            let own = rule_of(zone).unwrap_or_else(|| panic!("no {zone}"));
            if let Some((rule, _)) = rules.iter().find(|(_, names)| names.contains(zone)) {
                assert_eq!(own, rule, "{zone}");
                compared += 1;
            }
        }
        assert!(compared == SETTLED.len() || rules.is_empty());
    }

    #[test]
    fn every_rule_of_the_table_can_be_read() {
        let none = MemoryFiles::new().files();
        let mut count = 0;
        for name in zone_names() {
            assert!(is_name(name), "{name}");
            assert_eq!(Zone::parse(name, &none).unwrap().name(), name);
            count += 1;
        }
        assert!(count > 500);
    }

    #[test]
    fn a_zone_is_a_name_or_a_rule() {
        let none = MemoryFiles::new().files();
        let summer: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        for (text, ahead) in [
            ("Europe/Berlin", 7200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 7200),
            ("UTC", 0),
            ("Etc/GMT+5", -5 * 3600),
            ("EST5EDT,M3.2.0,M11.1.0", -4 * 3600),
            ("<+0545>-5:45", 20_700),
        ] {
            let zone = Zone::parse(text, &none).unwrap();
            assert_eq!(zone.offset_at(summer), ahead, "{text}");
        }
        for text in [
            "",
            "Berlin",
            "Europe/Berln",
            "europe/berlin",
            "Europe/Berlin2",
            "../../etc/passwd",
            "right/Europe/Berlin",
        ] {
            let error = Zone::parse(text, &none).unwrap_err();
            assert_eq!(error, ZoneError::Unknown, "{text}");
        }
        let error = Zone::parse("CET-1CEST,M13.5.0,M10.5.0/3", &none).unwrap_err();
        assert!(matches!(error, ZoneError::Rule(_)), "{error:?}");
    }

    #[test]
    fn the_systems_file_comes_before_the_table() {
        let memory = MemoryFiles::new();
        let berlin = Path::new(DATABASE).join("Europe/Berlin");
        memory.put(&berlin, "no such file");
        let broken = Zone::parse("Europe/Berlin", &memory.files());
        assert!(matches!(broken, Err(ZoneError::File(_))), "{broken:?}");
        // A zone without summer time, as a new law might make it.
        let mut file = b"TZif2".to_vec();
        file.resize(20, 0);
        let header_end = |file: &mut Vec<u8>| {
            // No leap seconds and no transitions, one type, four letters.
            for count in [0u32, 0, 0, 0, 1, 4] {
                file.extend(count.to_be_bytes());
            }
            file.extend(3600i32.to_be_bytes());
            file.extend(b"\0\0CET\0");
        };
        header_end(&mut file);
        file.extend(b"TZif2");
        file.resize(file.len() + 15, 0);
        header_end(&mut file);
        file.extend(b"\nCET-1\n");
        memory.put(&berlin, file);
        let zone = Zone::parse("Europe/Berlin", &memory.files()).unwrap();
        let summer: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        assert_eq!(zone.offset_at(summer), 3600);
    }

    #[test]
    fn the_system_says_its_zone() {
        let memory = MemoryFiles::new();
        assert_eq!(Zone::of_system(&memory.files()), None);
        memory.put("/etc/timezone", "Asia/Tokyo\n");
        let name = |memory: &std::sync::Arc<MemoryFiles>| {
            Zone::of_system(&memory.files()).map(|zone| zone.name().to_owned())
        };
        assert_eq!(name(&memory).as_deref(), Some("Asia/Tokyo"));
        memory.put("/etc/TZ", "CET-1CEST,M3.5.0,M10.5.0/3\n");
        assert_eq!(name(&memory).as_deref(), Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        memory.put("/etc/TZ", "nonsense\n");
        assert_eq!(name(&memory).as_deref(), Some("Asia/Tokyo"));
    }

    #[test]
    fn skipped_and_repeated_times_are_one_moment() {
        let none = MemoryFiles::new().files();
        for (zone, clock, moment) in [
            ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59:00Z"),
            ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00:00Z"),
            ("Europe/Berlin", "2026-03-29T02:59", "2026-03-29T01:00:00Z"),
            ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00:00Z"),
            ("Europe/Berlin", "2026-03-29T03:01", "2026-03-29T01:01:00Z"),
            ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30:00Z"),
            ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00:00Z"),
            // Half an hour.
            (
                "Australia/Lord_Howe",
                "2026-10-04T02:15",
                "2026-10-03T15:30:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-10-04T02:31",
                "2026-10-03T15:31:00Z",
            ),
        ] {
            let zone = Zone::parse(zone, &none).unwrap();
            let expected: Timestamp = moment.parse().unwrap();
            assert_eq!(zone.moment_of(clock.parse().unwrap()), expected, "{clock}");
        }
        // The whole of 30 December 2011 was skipped there; only the system's file knows of it.
        if let Ok(bytes) = Files::disk().read(&Path::new(DATABASE).join("Pacific/Apia"), MAX_FILE) {
            let rules = TimeZone::tzif("Pacific/Apia", &bytes).unwrap();
            let zone = Zone {
                name: String::new(),
                rules,
            };
            let expected: Timestamp = "2011-12-30T10:00:00Z".parse().unwrap();
            for clock in ["2011-12-30T00:00", "2011-12-30T20:30", "2011-12-31T00:00"] {
                assert_eq!(zone.moment_of(clock.parse().unwrap()), expected, "{clock}");
            }
        }
    }
}
