//! The file of devices that the program writes itself: where it is, how it is changed, and what
//! happens when it is broken.
//!
//! A change goes from text to text ([`DeviceEdit::apply`]) and leaves everything else as somebody
//! wrote it: comments, order, blanks. Whoever writes the new text checks it first, by reading the
//! whole configuration with it in place of the file ([`GivenDevices`]).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::diagnostic::{Diagnostic, Severity};
use super::list::state_folder;
use super::load::{Loaded, MAX_FILE, Overrides};
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::Around;
use super::spec::DeviceSpec;
use crate::files::Files;
use crate::mac::Mac;

/// One change of the devices file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEdit {
    /// A device that was not there.
    Add {
        /// Its name.
        name: String,
        /// Its profile.
        profile: String,
        /// Its MAC address.
        mac: Option<Mac>,
        /// Its address, where it has no MAC address that can be seen.
        address: Option<IpAddr>,
    },
    /// Another name.
    Rename {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// Another profile.
    Assign {
        /// The device.
        name: String,
        /// Its profile.
        profile: String,
    },
    /// One more MAC address.
    AddMac {
        /// The device.
        name: String,
        /// The MAC address.
        mac: Mac,
    },
    /// One more id of its own ([`super::new_client_id`]).
    AddId {
        /// The device.
        name: String,
        /// The id.
        id: String,
    },
    /// An id that does not count any more; none takes back all of them.
    RevokeId {
        /// The device.
        name: String,
        /// The id.
        id: Option<String>,
    },
    /// A device that is not there any more.
    Remove {
        /// The device.
        name: String,
    },
}

/// Why a text cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is no TOML.
    #[error("it is broken: {0}")]
    Syntax(String),
    /// Its devices are not written as tables of their own.
    #[error("its devices are not written as `[[device]]`")]
    Shape,
    /// It holds no such device.
    #[error("it holds no device `{0}`")]
    Missing(String),
}

/// What the devices file said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicesRead {
    /// Where it is.
    pub path: PathBuf,
    /// Its content; none if there is no such file or something else was read in its place.
    pub text: Option<Vec<u8>>,
    /// As what it stands in messages.
    pub(super) shown_as: PathBuf,
    /// Whether it has mistakes in itself, rather than with what stands in other files.
    pub(super) is_broken: bool,
    /// The line of each device in it.
    pub(super) lines: Vec<u32>,
}

/// A text that is read in place of the devices file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenDevices {
    /// As what it stands in messages.
    pub shown_as: PathBuf,
    /// The text.
    pub text: String,
    /// Which devices in it are passed over, from 0.
    pub(super) without: BTreeSet<usize>,
}

impl GivenDevices {
    /// `text`, as it is to stand at `path`.
    pub fn new(path: &Path, text: String) -> Self {
        Self {
            shown_as: path.to_path_buf(),
            text,
            without: BTreeSet::new(),
        }
    }

    /// Takes those out of `devices` that are passed over; the first `others` stand in other files.
    pub(super) fn leave_out(&self, devices: &mut Vec<Entry<DeviceSpec>>, others: usize) {
        let mut place = 0;
        devices.retain(|_| {
            place += 1;
            place <= others || !self.without.contains(&(place - 1 - others))
        });
    }
}

/// The name of the devices file in the state folder.
const NAME: &str = "devices.toml";

/// Where the devices file is.
pub(super) fn path(written: &Written, around: &Around<'_>, problems: &mut Problems) -> PathBuf {
    let Some(word) = &written.identity.devices_file else {
        return state_folder(&written.lists_section, around).join(NAME);
    };
    let path = around.path(word);
    // Changes of files called otherwise are not looked at.
    if path.extension().is_none_or(|end| end != "toml") {
        problems.report(
            Diagnostic::error("bad-name", "`devices-file` cannot be used")
                .at(problems.place(&word.span()), "its name must end in `.toml`"),
        );
    }
    path
}

/// Where the copy is kept of what the devices file said when it was last right.
pub fn good_copy(path: &Path) -> PathBuf {
    let mut copy = path.as_os_str().to_owned();
    copy.push(".good");
    copy.into()
}

/// See [`super::load::load_to_start`].
pub(super) fn load_to_start(
    files: &Files,
    overrides: &Overrides,
    load: impl Fn(&Overrides) -> Loaded,
) -> Loaded {
    let strict = load(overrides);
    let Some(read) = strict.devices.as_ref().filter(|_| strict.config.is_none()) else {
        return strict;
    };
    if !read.only_it_is_wrong(&strict.diagnostics) {
        return strict;
    }
    let path = &read.path;
    let copy = good_copy(path);
    let good = files.read(&copy, MAX_FILE).ok().map(|text| (&copy, text));
    let own = read.text.clone().map(|text| (path, text));
    let mut found = None;
    for (shown_as, text) in good.into_iter().chain(own) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let given = GivenDevices::new(shown_as, text);
        found = load_what_is_right(overrides, given, &load);
        if found.is_some() {
            break;
        }
    }
    let nothing = || GivenDevices::new(path, String::new());
    let (given, mut loaded) = match found {
        Some(found) => found,
        None => (nothing(), load_given(overrides, nothing(), &load)),
    };
    let mut message = format!("`{}` cannot be used as it is: ", path.display());
    message += match (&given, given.without.len()) {
        (given, _) if given.text.is_empty() => "its devices are guests",
        (given, 0) if given.shown_as == copy => "its last good copy is in force",
        (given, _) if given.shown_as == copy => {
            "what is right in its last good copy is in force, the other devices are guests"
        }
        _ => "what is right in it is in force, the other devices are guests",
    };
    let said = Diagnostic::warning("devices-file", message).help(format!(
        "mend it, or copy `{}` over it; until then other changes of the configuration wait too",
        copy.display()
    ));
    let mut diagnostics = vec![said];
    diagnostics.extend(strict.diagnostics.into_iter().map(as_warning));
    for told in loaded.diagnostics {
        let told = as_warning(told);
        if !diagnostics.contains(&told) {
            diagnostics.push(told);
        }
    }
    loaded.diagnostics = diagnostics;
    loaded
}

/// Reads the configuration with `given`, each time without the devices that were wrong the last
/// time; none if something else is wrong.
fn load_what_is_right(
    overrides: &Overrides,
    mut given: GivenDevices,
    load: &impl Fn(&Overrides) -> Loaded,
) -> Option<(GivenDevices, Loaded)> {
    loop {
        let loaded = load_given(overrides, given.clone(), load);
        if loaded.config.is_some() {
            return Some((given, loaded));
        }
        let read = loaded.devices?;
        let before = given.without.len();
        // Of those left, as numbers among all.
        let left: Vec<usize> = (0..read.lines.len() + before)
            .filter(|place| !given.without.contains(place))
            .collect();
        let wrong = read.wrong_devices(&loaded.diagnostics);
        let wrong = wrong.filter_map(|place| left.get(place).copied());
        given.without.extend(wrong);
        if given.without.len() == before {
            return None;
        }
    }
}

fn load_given(
    overrides: &Overrides,
    given: GivenDevices,
    load: &impl Fn(&Overrides) -> Loaded,
) -> Loaded {
    load(&Overrides {
        devices: Some(given),
        ..overrides.clone()
    })
}

impl DevicesRead {
    /// Whether all errors are the devices file's.
    fn only_it_is_wrong(&self, diagnostics: &[Diagnostic]) -> bool {
        let mut errors = diagnostics.iter().filter(|it| it.is_error());
        errors.all(|error| match &error.place {
            Some(place) => place.file == self.shown_as,
            // It could not be read at all.
            None => self.is_broken && error.code == "unreadable",
        })
    }

    /// The devices in it that have errors, as numbers from 0.
    fn wrong_devices<'a>(
        &'a self,
        diagnostics: &'a [Diagnostic],
    ) -> impl Iterator<Item = usize> + 'a {
        let errors = diagnostics.iter().filter(|it| it.is_error());
        let places = errors.filter_map(|error| error.place.as_ref());
        let its = places.filter(|place| place.file == self.shown_as);
        its.filter_map(|place| {
            let begun = self.lines.partition_point(|line| *line <= place.line);
            begun.checked_sub(1)
        })
    }
}

fn as_warning(diagnostic: Diagnostic) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        ..diagnostic
    }
}

/// What stands at the head of a new file.
const HEAD: &str = "\
# Devices that were named with `hedgerow device`, which changes this file and keeps what you write
# into it. Only [[device]] can stand here.

";

impl DeviceEdit {
    /// `text` with this change; an empty one gets a head.
    ///
    /// # Errors
    /// [`EditError`]; whether the outcome is a right configuration has to be seen by reading it.
    pub fn apply(&self, text: &str) -> Result<String, EditError> {
        let text = if text.trim().is_empty() { HEAD } else { text };
        let parsed = text.parse::<DocumentMut>();
        let mut document = parsed.map_err(|error| {
            let text = error.to_string();
            // The line is told by who reads the file; here one line is enough.
            let line = text.lines().next().unwrap_or_default();
            EditError::Syntax(line.to_owned())
        })?;
        if document.get("device").is_none() {
            // A head, or comments without a device below them, stand behind all tables there are.
            let head = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing("");
            let mut devices = ArrayOfTables::new();
            self.change(&mut devices)?;
            if let Some(first) = devices.get_mut(0) {
                first.decor_mut().set_prefix(head);
            }
            document.insert("device", Item::ArrayOfTables(devices));
            return Ok(document.to_string());
        }
        let devices = document["device"]
            .as_array_of_tables_mut()
            .ok_or(EditError::Shape)?;
        let rest = self.change(devices)?;
        if !rest.is_empty() {
            let trailing = document.trailing().as_str().unwrap_or_default();
            document.set_trailing(format!("{rest}{trailing}"));
        }
        Ok(document.to_string())
    }

    /// Changes `devices`; gives the comments that stand alone now.
    fn change(&self, devices: &mut ArrayOfTables) -> Result<String, EditError> {
        match self {
            Self::Add {
                name,
                profile,
                mac,
                address,
            } => {
                let mut table = Table::new();
                if !devices.is_empty() {
                    table.decor_mut().set_prefix("\n");
                }
                table.insert("name", Item::Value(name.into()));
                table.insert("profile", Item::Value(profile.into()));
                if let Some(mac) = mac {
                    table.insert("mac", one(&mac.to_string()));
                }
                if let Some(address) = address {
                    table.insert("address", one(&address.to_string()));
                }
                devices.push(table);
            }
            Self::Rename { from, to } => set(find(devices, from)?, "name", to),
            Self::Assign { name, profile } => set(find(devices, name)?, "profile", profile),
            Self::AddMac { name, mac } => add(find(devices, name)?, "mac", mac.to_string()),
            Self::AddId { name, id } => add(find(devices, name)?, "ids", id.clone()),
            Self::RevokeId { name, id } => {
                let table = find(devices, name)?;
                if let Some(ids) = table.get_mut("ids").and_then(Item::as_array_mut) {
                    let stays = |it: &Value| id.is_some() && it.as_str() != id.as_deref();
                    ids.retain(stays);
                    if ids.is_empty() {
                        table.remove("ids");
                    }
                }
            }
            Self::Remove { name } => {
                let place = place_of(devices, name)?;
                let kept = devices.get(place).map(head_above).unwrap_or_default();
                devices.remove(place);
                // What does not belong to the device goes on standing there.
                let Some(next) = devices.get_mut(place) else {
                    return Ok(kept);
                };
                let prefix = next.decor().prefix().and_then(|it| it.as_str());
                let prefix = prefix.unwrap_or_default().trim_start_matches('\n');
                let before = if place == 0 || !kept.is_empty() {
                    ""
                } else {
                    "\n"
                };
                let prefix = format!("{kept}{before}{prefix}");
                next.decor_mut().set_prefix(prefix);
            }
        }
        Ok(String::new())
    }
}

/// The comments above a device that do not belong to it: those with an empty line below them.
fn head_above(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(|it| it.as_str());
    let prefix = prefix.unwrap_or_default();
    let end = prefix.rfind("\n\n").map_or(0, |at| at + 2);
    let head = &prefix[..end];
    if head.trim().is_empty() {
        String::new()
    } else {
        head.to_owned()
    }
}

fn place_of(devices: &ArrayOfTables, name: &str) -> Result<usize, EditError> {
    let is_it = |table: &Table| table.get("name").and_then(Item::as_str) == Some(name);
    let missing = || EditError::Missing(name.to_owned());
    devices.iter().position(is_it).ok_or_else(missing)
}

fn find<'d>(devices: &'d mut ArrayOfTables, name: &str) -> Result<&'d mut Table, EditError> {
    let place = place_of(devices, name)?;
    let missing = || EditError::Missing(name.to_owned());
    devices.get_mut(place).ok_or_else(missing)
}

/// Adds to the array `key`, which there may not be yet.
fn add(table: &mut Table, key: &str, text: String) {
    match table.get_mut(key).and_then(Item::as_array_mut) {
        Some(words) => push(words, text),
        None => drop(table.insert(key, one(&text))),
    }
}

/// Sets a key, and leaves the blanks and the comment beside its value.
fn set(table: &mut Table, key: &str, text: &str) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(value) => {
            let decor = value.decor().clone();
            *value = Value::from(text);
            *value.decor_mut() = decor;
        }
        None => drop(table.insert(key, Item::Value(text.into()))),
    }
}

fn one(text: &str) -> Item {
    Item::Value(Value::Array(Array::from_iter([text])))
}

/// Adds to an array as its last element stands there: on the same line or on one of its own.
fn push(array: &mut Array, text: String) {
    let last = array.len().checked_sub(1).and_then(|at| array.get_mut(at));
    let mut value = Value::from(text);
    let Some(last) = last else {
        array.push(value);
        return;
    };
    let prefix = last.decor().prefix().and_then(|it| it.as_str());
    let prefix = prefix.unwrap_or_default().to_owned();
    let suffix = last.decor().suffix().and_then(|it| it.as_str());
    let suffix = suffix.unwrap_or_default().to_owned();
    // `["a"]` goes on with a blank, `[ "a" ]` as it is, and a line each without the comment of the
    // line before.
    let prefix = match prefix.rsplit_once('\n') {
        Some((_, indent)) => format!("\n{indent}"),
        None if prefix.is_empty() => " ".to_owned(),
        None => prefix,
    };
    if !suffix.contains('#') {
        last.decor_mut().set_suffix("");
    }
    let suffix = if suffix.contains('#') {
        "\n".to_owned()
    } else {
        suffix
    };
    *value.decor_mut() = toml_edit::Decor::new(prefix, suffix);
    array.push_formatted(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# Ours.

# The tablet from grandma.
[[device]]
name = \"tablet\"   # blue
profile = \"schoolchild\"
mac = [
    \"02:00:5e:10:00:01\",  # Wi-Fi
    \"02:00:5e:10:00:02\"
]

[[device]]
name = 'laptop'
profile = \"adult\"
mac = [\"00:00:5e:00:53:14\"]
# the end
";

    fn mac(last: u8) -> Mac {
        Mac::new([2, 0, 0x5e, 0x10, 0, last]).unwrap()
    }

    fn add(name: &str) -> DeviceEdit {
        DeviceEdit::Add {
            name: name.to_owned(),
            profile: "unknown".to_owned(),
            mac: Some(mac(9)),
            address: None,
        }
    }

    #[test]
    fn a_new_file_gets_a_head_and_devices() {
        let one = add("phone").apply("").unwrap();
        let expected = format!(
            "{HEAD}[[device]]\nname = \"phone\"\nprofile = \"unknown\"\n\
             mac = [\"02:00:5e:10:00:09\"]\n"
        );
        assert_eq!(one, expected);
        let second = DeviceEdit::Add {
            name: "Mia's \"TV\"\n".to_owned(),
            profile: "mia".to_owned(),
            mac: None,
            address: Some("2001:db8::7".parse().unwrap()),
        };
        let two = second.apply(&one).unwrap();
        let added = two.strip_prefix(&one).unwrap();
        let expected = "\n[[device]]\nname = \"\"\"\nMia's \"TV\"\n\"\"\"\nprofile = \"mia\"\n\
             address = [\"2001:db8::7\"]\n";
        assert_eq!(added, expected);
        // All gone again, the head stays.
        let gone = |name: &str, text: &str| {
            let name = name.to_owned();
            DeviceEdit::Remove { name }.apply(text).unwrap()
        };
        assert_eq!(gone("Mia's \"TV\"\n", &two), one);
        let bare = gone("phone", &gone("Mia's \"TV\"\n", &two));
        assert_eq!(bare, HEAD);
        assert_eq!(add("phone").apply(&bare).unwrap(), one);
    }

    #[test]
    fn what_is_not_changed_stays_letter_for_letter() {
        let edits = [
            (
                DeviceEdit::Assign {
                    name: "tablet".to_owned(),
                    profile: "mia".to_owned(),
                },
                FILE.replace("\"schoolchild\"", "\"mia\""),
            ),
            (
                DeviceEdit::Rename {
                    from: "tablet".to_owned(),
                    to: "Mia's tablet".to_owned(),
                },
                FILE.replace("\"tablet\" ", "\"Mia's tablet\" "),
            ),
            (
                DeviceEdit::AddMac {
                    name: "tablet".to_owned(),
                    mac: mac(3),
                },
                FILE.replace("00:02\"\n", "00:02\",\n    \"02:00:5e:10:00:03\"\n"),
            ),
            (
                DeviceEdit::AddMac {
                    name: "laptop".to_owned(),
                    mac: mac(3),
                },
                FILE.replace("53:14\"]", "53:14\", \"02:00:5e:10:00:03\"]"),
            ),
            (
                DeviceEdit::Remove {
                    name: "tablet".to_owned(),
                },
                format!(
                    "# Ours.\n\n{}",
                    &FILE[FILE.find("[[device]]\nname = 'l").unwrap()..]
                ),
            ),
            (
                DeviceEdit::Remove {
                    name: "laptop".to_owned(),
                },
                format!(
                    "{}# the end\n",
                    &FILE[..FILE.find("\n[[device]]\nname = 'l").unwrap()]
                ),
            ),
        ];
        for (edit, expected) in edits {
            assert_eq!(edit.apply(FILE).unwrap(), expected, "{edit:?}");
        }
        let added = add("phone").apply(FILE).unwrap();
        let (before, after) = FILE.split_at(FILE.find("# the end").unwrap());
        assert_eq!(
            added.replace(
                &"\n[[device]]\nname = \"phone\"\nprofile = \"unknown\"\n\
             mac = [\"02:00:5e:10:00:09\"]\n"
                    .to_owned(),
                ""
            ),
            format!("{before}{after}")
        );
    }

    #[test]
    fn what_cannot_be_changed_is_said() {
        let error = |text: &str| add("x").apply(text).unwrap_err();
        assert!(matches!(error("[[device]\n"), EditError::Syntax(_)));
        assert_eq!(error("device = [{ name = \"a\" }]\n"), EditError::Shape);
        let missing = DeviceEdit::Remove {
            name: "nobody".to_owned(),
        };
        let expected = EditError::Missing("nobody".to_owned());
        assert_eq!(missing.apply(FILE).unwrap_err(), expected);
        assert_eq!(missing.apply("").unwrap_err(), expected);
    }
}
