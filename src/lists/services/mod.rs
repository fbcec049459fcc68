//! The services that come with the program: small named sets of names, as in `roblox`.
//!
//! What people write stands in `blocklists/services/*.toml`, one file for each group. The program
//! carries the same in a text that is searched in place, `services.txt`: the services in the order
//! of their ids, each a head, what it shares with others, and its names as lines of a list. A test
//! compares the two, so nobody edits the text.
//!
//! Each service is a list of the index, with the service's id as its own and the category of its
//! group. A service is never called like a category, so one word is enough to mean either.

use std::sync::LazyLock;

#[cfg(test)]
mod tests;

/// The text; see the module's page.
const TEXT: &str = include_str!("services.txt");

/// The beginning of an embedded list's file name that means a service.
const FOLDER: &str = "services/";

/// Where the lists of services come from, for people.
pub const ORIGIN: &str = "embedded blocklists/services";

/// A group of services and the category it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id, and the name of its file.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The category that holds its services.
    pub category: &'static str,
}

/// The groups, in the order of their ids. Where a category of the starter lists is about the same,
/// that one holds the group's services; the others are categories of services alone.
pub const GROUPS: [Group; 14] = {
    const fn group(id: &'static str, title: &'static str, category: &'static str) -> Group {
        Group {
            id,
            title,
            category,
        }
    }
    [
        group("ai-chat", "AI chat and AI companions", "ai-chat"),
        group("anonymous-chat", "Anonymous chat", "chat"),
        group("app-stores", "App stores", "app-stores"),
        group("cloud-storage", "Cloud storage", "cloud-storage"),
        group("dating", "Dating", "dating"),
        group("gambling", "Gambling and loot boxes", "gambling"),
        group("games", "Games and game stores", "games"),
        group("messengers", "Messengers", "messengers"),
        group("school", "School tools", "school"),
        group("shopping", "Shopping", "shopping"),
        group("social", "Social networks", "social-media"),
        group("streaming", "Films, series and music", "streaming"),
        group("video", "Video and live streams", "video"),
        group("vpn", "VPN", "vpn"),
    ]
};

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its id, unique among services and categories.
    pub id: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// The file name of its list among what came with the program.
    pub file: &'static str,
    /// Its group.
    pub group: &'static Group,
    /// The youngest age its own terms permit; none where nobody knows of one.
    pub minimum_age: Option<u8>,
    /// The age from which no parent has to agree, if its terms state one.
    pub alone_from: Option<u8>,
    /// The condition on these ages, in a few words; may be empty.
    pub age_note: &'static str,
    /// What a family notices when it is blocked.
    pub breaks: &'static str,
    shared: &'static str,
    names: &'static str,
}

/// A name that a service needs and others need too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The name, with all below it.
    pub name: &'static str,
    with: &'static str,
    /// Why both need it.
    pub why: &'static str,
}

impl Service {
    /// The category it belongs to.
    pub const fn category(&self) -> &'static str {
        self.group.category
    }

    /// Its names, as rules are written: `example.org`, `=example.org`, `cdn*.example.org`.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.names.lines()
    }

    /// The names that it has in common with others.
    pub fn shared(&self) -> impl Iterator<Item = Shared> + use<> {
        self.shared.lines().filter_map(|line| {
            let mut parts = line.strip_prefix('~')?.split('\t');
            Some(Shared {
                name: parts.next()?,
                with: parts.next()?,
                why: parts.next()?,
            })
        })
    }

    /// The service whose head begins at `at` in the text.
    fn at(at: u32) -> Option<Self> {
        let text = TEXT.get(at as usize..)?.strip_prefix('+')?;
        let (head, rest) = text.split_once('\n')?;
        let rest = rest.split("\n+").next().unwrap_or(rest);
        let shared = rest.split_inclusive('\n');
        let shared = shared.take_while(|line| line.starts_with('~'));
        let names_at = shared.map(str::len).sum();
        let (shared, names) = rest.split_at_checked(names_at)?;
        let mut parts = head.split('\t');
        let mut part = || parts.next();
        let (file, group, title) = (part()?, part()?, part()?);
        let age = |text: Option<&str>| text?.parse().ok();
        Some(Self {
            id: file.strip_prefix(FOLDER)?,
            title,
            file,
            group: GROUPS.iter().find(|known| known.id == group)?,
            minimum_age: age(part()),
            alone_from: age(part()),
            age_note: part()?,
            breaks: part()?,
            shared,
            names,
        })
    }
}

impl Shared {
    /// The ids of the others.
    pub fn with(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.with.split(',')
    }
}

/// Where the services begin in the text, in the order of their ids.
static PLACES: LazyLock<Box<[u32]>> = LazyLock::new(|| {
    let heads = TEXT.match_indices("\n+").map(|(at, _)| at + 1);
    heads.filter_map(|at| u32::try_from(at).ok()).collect()
});

/// All services, in the order of their ids.
pub fn all() -> impl ExactSizeIterator<Item = Service> {
    let service = |place: &u32| Service::at(*place);
    PLACES.iter().map(move |place| {
        service(place).expect("the text was written by a test that reads it again")
    })
}

/// The service with this id.
pub fn find(id: &str) -> Option<Service> {
    let id_at = |place: &u32| {
        let head = &TEXT[*place as usize + 1..];
        let file = head.split('\t').next();
        file.and_then(|file| file.strip_prefix(FOLDER))
            .unwrap_or_default()
    };
    let found = PLACES.binary_search_by(|place| id_at(place).cmp(id)).ok()?;
    Service::at(PLACES[found])
}

/// The service whose embedded list has this file name.
pub(super) fn of_file(file: &str) -> Option<Service> {
    find(file.strip_prefix(FOLDER)?)
}

/// Whether this is the file name of a service's embedded list.
pub(super) fn is_file(file: &str) -> bool {
    file.starts_with(FOLDER)
}

/// The lines of the service's list.
pub(super) const fn lines(service: &Service) -> &'static [u8] {
    service.names.as_bytes()
}

/// Whether a category holds services.
pub fn is_category(category: &str) -> bool {
    GROUPS.iter().any(|group| group.category == category)
}

/// The services of a category, in the order of their ids.
pub fn of_category(category: &str) -> impl Iterator<Item = Service> {
    all().filter(move |service| service.category() == category)
}
