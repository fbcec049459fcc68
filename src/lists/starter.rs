//! The lists that come with the program.
//!
//! They are text in the binary, read at start like any other list, so that the daemon protects
//! from the first second, without a network and without a file.

use super::services;
use crate::name::{NameBuf, NameRef};

/// The file names under `blocklists/` and their content.
pub static STARTER: &[(&str, &[u8])] = &starter![
    "ads.txt",
    "adult.txt",
    "allow-children.txt",
    "background.txt",
    "chat.txt",
    "dating.txt",
    "drugs.txt",
    "encrypted-dns.txt",
    "extremism.txt",
    "gambling.txt",
    "games.txt",
    "lifelines.txt",
    "malware.txt",
    "phishing.txt",
    "proxy.txt",
    "self-harm.txt",
    "social-media.txt",
    "trackers.txt",
    "unsafe-search.txt",
    "video.txt",
    "violence.txt",
    "vpn.txt",
];

/// The content of the file `name`, if one of that name came with the program; the lists of services
/// are called as in `services/roblox`.
pub fn content(name: &str) -> Option<&'static [u8]> {
    if services::is_file(name) {
        return services::of_file(name).map(|service| services::lines(&service));
    }
    STARTER
        .iter()
        .find_map(|(file, content)| (*file == name).then_some(*content))
}

/// How many labels the lifeline of this program has that `name` is, or that it is below. Reads the list line by
/// line, for where its compiled form cannot be read.
pub fn lifeline_labels(name: NameRef<'_>) -> Option<u8> {
    let lines = content("lifelines.txt").and_then(|it| std::str::from_utf8(it).ok())?;
    let lines = lines.lines().filter(|it| !it.starts_with('#'));
    let lifelines = lines.filter_map(|line| NameBuf::parse(line.trim()).ok());
    let mut around = lifelines.filter(|it| !it.as_ref().is_root() && name.is_within(it.as_ref()));
    let labels = around.next()?.as_ref().label_count();
    u8::try_from(labels).ok()
}

/// Names and contents of files under `blocklists/`.
macro_rules! starter {
    ($($file:literal),* $(,)?) => {
        [$((
            $file,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/blocklists/", $file)) as &[u8],
        )),*]
    };
}
use starter;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::ListFormat;
    use crate::lists::parse::{ReadOptions, detect, read_list};

    #[test]
    fn every_starter_list_is_understood_to_the_last_line() {
        for &(file, content) in STARTER {
            let report = read_list(content, &ReadOptions::default(), |_, _| {});
            assert_eq!(report.failure, None, "{file}");
            assert_eq!(report.first_errors, [], "{file}");
            assert_eq!(detect(content), ListFormat::Domains, "{file}");
        }
        assert_eq!(STARTER.len(), 22);
    }

    #[test]
    fn lifelines_are_found_line_by_line() {
        let labels = |name: &str| lifeline_labels(NameBuf::parse(name).unwrap().as_ref());
        assert_eq!(labels("who.int"), Some(2));
        assert_eq!(labels("www.who.int"), Some(2));
        assert_eq!(labels("lifelines.hedgerow.test"), Some(3));
        for name in ["int", "awho.int", "example.org", "."] {
            assert_eq!(labels(name), None, "{name}");
        }
    }

    #[test]
    fn every_starter_list_says_what_it_is() {
        for &(file, content) in STARTER {
            let stem = file.strip_suffix(".txt").unwrap();
            let (category, kind) = match stem {
                "lifelines" => (stem, "lifeline"),
                "allow-children" | "background" => (stem, "allow"),
                _ => (stem, "block"),
            };
            let head = read_list(content, &ReadOptions::default(), |_, _| {}).head;
            assert_eq!(head.kind.as_deref(), Some(kind), "{file}");
            if kind == "block" {
                assert_eq!(head.category.as_deref(), Some(category), "{file}");
            }
            let rest = [
                head.title,
                head.source,
                head.date,
                head.licence,
                head.covers,
            ];
            assert!(rest.iter().all(Option::is_some), "{file}: {rest:?}");
        }
    }

    #[test]
    fn the_table_is_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/blocklists");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            // What no list may take is no list to choose; see `guard`.
            // Nor are the addresses of resolvers; see `policy`.
            .filter(|file| file.ends_with(".txt"))
            .filter(|file| !matches!(file.as_str(), "protected.txt" | "resolver-addresses.txt"))
            .collect();
        files.sort();
        let table: Vec<&str> = STARTER.iter().map(|(file, _)| *file).collect();
        assert_eq!(files, table);
    }

    #[test]
    fn content_is_found_by_name() {
        assert_eq!(content("ads.txt").unwrap().as_ptr(), STARTER[0].1.as_ptr());
        assert_eq!(content("no.txt"), None);
    }
}
