//! `[[device]]`: how a device is recognised and whose it is.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::client_id::{ClientIdError, check_client_id};
use super::diagnostic::Diagnostic;
use super::endpoint::parse_net;
use super::household::{Known, profile_of};
use super::presets::UNKNOWN;
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::{Around, missing, report_address};
use super::spec::{DeviceSpec, Text, Word};
use super::words::{label, rules};
use super::{Device, DeviceMatch, MAX_ID};
use crate::mac::MacError;

/// The devices that somebody named, with the file and line of each.
pub(super) fn devices(
    written: &Written,
    around: &Around<'_>,
    names: &BTreeSet<&str>,
    index: &HashMap<&str, usize>,
    guest: Option<usize>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Vec<(Device, (PathBuf, u32))> {
    let mut listeners: Vec<&str> = written
        .listeners
        .iter()
        .filter_map(|entry| entry.spec.name.as_ref().map(Text::text))
        .collect();
    listeners.sort_unstable();
    let interfaces = interfaces(around);
    let mut seen_names: HashMap<&str, Range<usize>> = HashMap::new();
    let mut seen_matches: HashMap<DeviceMatch, Range<usize>> = HashMap::new();
    let mut devices = Vec::new();
    for entry in &written.devices {
        let spec = &entry.spec;
        match &spec.name {
            None => missing(entry, "device", "name", problems),
            Some(name) if !label(name, "a device", problems) => {}
            // The labels under which log and statistics keep those that nobody named.
            Some(name) if matches!(name.text(), "guest" | UNKNOWN | "others") => {
                let message = format!("a device cannot be named `{}`", name.text());
                problems.report(
                    Diagnostic::error("bad-name", message)
                        .at(problems.place(&name.span()), "means devices nobody named"),
                );
            }
            Some(name) => {
                if let Some(first) = seen_names.get(name.text()) {
                    let (second, first) = (problems.place(&name.span()), problems.place(first));
                    let message = format!("device `{}` is defined twice", name.text());
                    problems.report(Diagnostic::error("duplicate", message).twice(second, first));
                } else {
                    seen_names.insert(name.text(), name.span());
                }
            }
        }
        let matches = matches(entry, &listeners, &interfaces, problems);
        for (device_match, span) in &matches {
            if let Some(first) = seen_matches.get(device_match) {
                let (second, first) = (problems.place(span), problems.place(first));
                let message = match device_match {
                    DeviceMatch::Mac(mac) => format!("MAC address `{mac}` belongs to two devices"),
                    DeviceMatch::CpeId(id) => {
                        format!("CPE id `{}` belongs to two devices", id.escape_debug())
                    }
                    DeviceMatch::Subscriber(id) => {
                        format!("subscriber `{}` belongs to two devices", id.escape_debug())
                    }
                    // The log may show this, which must not hold an id.
                    DeviceMatch::Id(id) => format!(
                        "id `{}…` belongs to two devices",
                        id.chars().take(4).collect::<String>()
                    ),
                    DeviceMatch::Net(net) if net.prefix_len() == net.max_prefix_len() => {
                        format!("address `{}` belongs to two devices", net.addr())
                    }
                    DeviceMatch::Net(net) => format!("prefix `{net}` belongs to two devices"),
                    DeviceMatch::Interface(name) => {
                        format!("interface `{name}` belongs to two devices")
                    }
                    DeviceMatch::Listener(name) => {
                        format!("listener `{name}` belongs to two devices")
                    }
                };
                problems.report(Diagnostic::error("duplicate", message).twice(second, first));
            } else {
                seen_matches.insert(device_match.clone(), span.clone());
            }
        }
        let words = &known.categories;
        let rules = rules(spec.allow.as_ref(), spec.block.as_ref(), words, problems);
        let profile = match &spec.profile {
            None => {
                missing(entry, "device", "profile", problems);
                None
            }
            Some(word) => profile_of(word, names, index, guest, problems),
        };
        if let (Some(name), Some(profile)) = (&spec.name, profile) {
            let device = Device {
                name: name.text().to_owned(),
                profile,
                matches: matches
                    .into_iter()
                    .map(|(device_match, _)| device_match)
                    .collect(),
                rules,
            };
            let place = problems.place(&entry.span);
            devices.push((device, (place.file, place.line)));
        }
    }
    devices
}

/// How one device is recognised, with the places that say so.
fn matches(
    entry: &Entry<DeviceSpec>,
    listeners: &[&str],
    interfaces: &[String],
    problems: &mut Problems,
) -> Vec<(DeviceMatch, Range<usize>)> {
    let spec = &entry.spec;
    let mut matches = Vec::new();
    for word in spec.mac.iter().flat_map(|words| words.value()) {
        match word.text().parse() {
            Ok(mac) => matches.push((DeviceMatch::Mac(mac), word.span())),
            Err(error) => report_mac(word, error, problems),
        }
    }
    for word in spec.cpe_id.iter().flat_map(|words| words.value()) {
        if foreign_id(word, "cpe-id", problems) {
            matches.push((DeviceMatch::CpeId(word.text().to_owned()), word.span()));
        }
    }
    for word in spec.subscriber.iter().flat_map(|words| words.value()) {
        if foreign_id(word, "subscriber", problems) {
            let id = word.text().to_owned();
            matches.push((DeviceMatch::Subscriber(id), word.span()));
        }
    }
    for word in spec.ids.iter().flat_map(|words| words.value()) {
        match check_client_id(word.text()) {
            Ok(()) => matches.push((DeviceMatch::Id(word.text().to_owned()), word.span())),
            Err(error) => report_id(word, error, problems),
        }
    }
    for word in spec.address.iter().flat_map(|words| words.value()) {
        match parse_net(word.text()) {
            Ok(net) => matches.push((DeviceMatch::Net(net), word.span())),
            Err(error) => report_address(word, "address or prefix", &error, problems),
        }
    }
    if let Some(word) = &spec.interface
        && interface(word, interfaces, problems)
    {
        matches.push((DeviceMatch::Interface(word.text().to_owned()), word.span()));
    }
    if let Some(word) = &spec.listener {
        if listeners.binary_search(&word.text()).is_ok() {
            matches.push((DeviceMatch::Listener(word.text().to_owned()), word.span()));
        } else {
            let message = format!("unknown listener `{}`", word.text());
            let diagnostic = Diagnostic::error("unknown-listener", message).at(
                problems.place(&word.span()),
                "no `[[listener]]` has this name",
            );
            let known = || listeners.iter().copied();
            let diagnostic = problems.guess(diagnostic, word.text(), known());
            problems.report_absence(diagnostic.known("known listeners", known()));
        }
    }
    let is_empty = |words: &Option<Word<Vec<Text>>>| {
        words.as_ref().is_none_or(|words| words.value().is_empty())
    };
    let none = spec.interface.is_none() && spec.listener.is_none() && entry.whole;
    let lists = [
        &spec.mac,
        &spec.cpe_id,
        &spec.subscriber,
        &spec.ids,
        &spec.address,
    ];
    if none && lists.into_iter().all(is_empty) {
        let name = spec.name.as_ref().map_or("", Text::text);
        problems.report_absence(
            Diagnostic::error(
                "missing-key",
                format!("device `{name}` cannot be recognised"),
            )
            .at(
                problems.place(&entry.span),
                "needs `mac`, `cpe-id`, `subscriber`, `ids`, `address`, `interface` or `listener`",
            ),
        );
    }
    matches
}

/// Checks an id that somebody in front of us gave: it is compared octet by octet.
fn foreign_id(word: &Text, key: &str, problems: &mut Problems) -> bool {
    let wrong = if word.text().is_empty() {
        "empty"
    } else if word.text().len() > MAX_ID {
        "longer than 64 octets"
    } else if word.text().chars().any(char::is_control) {
        "holds a control character"
    } else {
        return true;
    };
    let message = format!("this `{key}` cannot be used");
    let place = problems.place(&word.span());
    problems.report(Diagnostic::error("bad-id", message).at(place, wrong));
    false
}

/// Reports a text that is no id of a device. What it is like is not shown: it may be a part of one
/// that is in use.
fn report_id(word: &Text, error: ClientIdError, problems: &mut Problems) {
    let place = problems.place(&word.span());
    problems.report(
        Diagnostic::error("bad-id", "this id cannot be used")
            .at(place, error.to_string())
            .help("`hedgerow device invite` makes one that nobody can guess"),
    );
}

/// Reports a text that is no device's MAC address.
pub(super) fn report_mac(word: &Text, error: MacError, problems: &mut Problems) {
    let message = format!("`{}` is no MAC address", word.text().escape_debug());
    let place = problems.place(&word.span());
    problems.report(Diagnostic::error("bad-mac", message).at(place, error.to_string()));
}

/// The interfaces of this machine, as far as it tells.
fn interfaces(around: &Around<'_>) -> Vec<String> {
    let paths = around
        .files
        .list(Path::new("/sys/class/net"))
        .unwrap_or_default();
    let names = paths.iter().filter_map(|path| path.file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Checks the name of an interface. One that is not there may come later, so that is only told.
fn interface(word: &Text, interfaces: &[String], problems: &mut Problems) -> bool {
    let name = word.text();
    let place = problems.place(&word.span());
    // The kernel's own rule: 15 octets, neither slash nor blank.
    let fine = |c: char| !c.is_whitespace() && !c.is_control() && c != '/' && c != ':';
    if name.is_empty() || name.len() > 15 || !name.chars().all(fine) {
        problems.report(
            Diagnostic::error("bad-name", format!("`{name}` cannot be an interface"))
                .at(place, "1 to 15 characters without blanks"),
        );
        return false;
    }
    let known = || interfaces.iter().map(String::as_str);
    if !interfaces.is_empty() && !known().any(|known| known == name) {
        problems.report(
            Diagnostic::warning(
                "unknown-interface",
                format!("no interface `{name}` at the moment"),
            )
            .at(place, "matches nothing until it appears")
            .suggest(name, known())
            .known("interfaces", known()),
        );
    }
    true
}
