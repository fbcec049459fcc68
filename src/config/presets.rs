//! What came with the program: presets, lists, the default and the demonstration configuration.

use super::{CATEGORIES, List, ListSource};
use crate::intern::intern;
use crate::lists::ListKind;

/// The presets by name, with their files as an admin would write them.
pub(super) const PRESETS: [(&str, &str); 5] = [
    (
        "preschooler",
        include_str!("../../config/profiles/preschooler.toml"),
    ),
    (
        "schoolchild",
        include_str!("../../config/profiles/schoolchild.toml"),
    ),
    (
        "adolescent",
        include_str!("../../config/profiles/adolescent.toml"),
    ),
    ("adult", include_str!("../../config/profiles/adult.toml")),
    ("guest", include_str!("../../config/profiles/guest.toml")),
];

/// Whether a profile of this name comes with the program.
pub fn is_preset(name: &str) -> bool {
    PRESETS.iter().any(|(preset, _)| *preset == name)
}

/// Another word for the guest profile, whichever that is.
pub(super) const UNKNOWN: &str = "unknown";

/// The category of what is never blocked.
pub(super) const LIFELINES: &str = "lifelines";

/// The demonstration: a family on loopback.
pub const DEMO: &str = include_str!("../../config/demo.toml");

/// The lists that came with the program; without `starter` only the lifelines, which nothing can
/// switch off.
pub(super) fn lists(starter: bool) -> Vec<List> {
    let embedded = |id: &str, file: &str, category: &str, kind| List {
        id: id.to_owned(),
        category: category.to_owned(),
        kind,
        source: ListSource::Embedded(intern(file)),
        format: None,
        member: None,
        // A list of ours means what it says: `translate.goog` is a public suffix and one proxy.
        public_suffixes: id == "starter-proxy",
        download: None,
    };
    let mut lists = Vec::new();
    if starter {
        for (category, _) in CATEGORIES {
            let (id, file) = (format!("starter-{category}"), format!("{category}.txt"));
            lists.push(embedded(&id, &file, category, ListKind::Block));
        }
        lists.push(embedded(
            "starter-children",
            "allow-children.txt",
            "children",
            ListKind::Allow,
        ));
        // Without it quotas would be used up by devices that nobody uses.
        lists.push(embedded(
            "starter-background",
            "background.txt",
            "background",
            ListKind::Allow,
        ));
    }
    lists.push(embedded(
        "starter-lifelines",
        "lifelines.txt",
        LIFELINES,
        ListKind::Lifeline,
    ));
    lists
}
