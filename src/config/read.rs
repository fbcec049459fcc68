//! From the text of one file to its sections, with everything that is wrong in it.
//!
//! The text is parsed once, past every syntax error. Then each section is read on its own: keys it
//! does not know are told and taken out, and when serde stops at a value of the wrong type, that
//! value is told, taken out, and the section read again. So one mistake never hides the next.

use std::ops::Range;

use serde::de::{self, DeserializeOwned};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::spec::*;
use super::tree::{encloses, remove_at, shift_table, without_broken};

/// What one or more files say, in the order they were read.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) server: ServerSpec,
    pub(super) listeners: Vec<Entry<ListenerSpec>>,
    pub(super) encrypted: EncryptedSpec,
    pub(super) acme: AcmeSpec,
    pub(super) limits: LimitsSpec,
    pub(super) cache: CacheSpec,
    pub(super) upstream: UpstreamSpec,
    pub(super) forwards: Vec<Entry<ForwardSpec>>,
    pub(super) resolvers: Vec<(Text, Entry<ResolversSpec>)>,
    pub(super) time: TimeSpec,
    pub(super) journal: JournalSpec,
    pub(super) control: ControlSpec,
    pub(super) metrics: MetricsSpec,
    pub(super) log: LogSpec,
    pub(super) household: HouseholdSpec,
    pub(super) schedules: Vec<(Text, Entry<ScheduleSpec>)>,
    pub(super) identity: IdentitySpec,
    pub(super) dnssec: DnssecSpec,
    pub(super) firewall: FirewallSpec,
    pub(super) forwarders: Vec<Entry<ForwarderSpec>>,
    pub(super) devices: Vec<Entry<DeviceSpec>>,
    pub(super) lists: Vec<Entry<ListSpec>>,
    pub(super) lists_section: ListsSpec,
    pub(super) profiles: Vec<(Text, Entry<ProfileSpec>)>,
    pub(super) tests: Vec<Entry<TestSpec>>,
}

/// One `[[table]]` of several, with the place of its header.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    pub(super) span: Range<usize>,
    pub(super) spec: T,
    /// Whether all of it was understood. If not, what seems missing may only be misspelt.
    pub(super) whole: bool,
}

/// The sections of a file: `true` for those written `[[name]]`.
const SECTIONS: [(&str, bool); 25] = [
    ("server", false),
    ("listener", true),
    ("encrypted", false),
    ("acme", false),
    ("limits", false),
    ("cache", false),
    ("upstream", false),
    ("forward", true),
    ("resolvers", false),
    ("dnssec", false),
    ("time", false),
    ("journal", false),
    ("control", false),
    ("metrics", false),
    ("log", false),
    ("household", false),
    ("schedule", false),
    ("identity", false),
    ("firewall", false),
    ("forwarder", true),
    ("device", true),
    ("list", true),
    ("lists", false),
    ("profile", false),
    ("test", true),
];

/// Those of which each has a name: `[profile.NAME]`.
const NAMED: [&str; 3] = ["schedule", "resolvers", "profile"];

/// Which sections a file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// All of them.
    Main,
    /// Profiles only.
    Profiles,
    /// Devices only: the file that the program writes itself.
    Devices,
}

/// Reads the file that begins at `base` and adds what it says to `written`.
pub(super) fn read_file(
    base: usize,
    kind: FileKind,
    written: &mut Written,
    problems: &mut Problems,
) {
    let text = problems.sources.text(base).to_owned();
    let told = problems.count();
    let mut from = 0;
    // An array that is not closed swallows what follows; reading goes on at the next header.
    for _ in 0..MAX_RESUMED {
        let Some(next) = read_from(from, base, &text, kind, written, problems) else {
            break;
        };
        from = next;
    }
    problems.sort_from(told);
}

/// How often one file is taken up again behind an array that is not closed.
const MAX_RESUMED: usize = 16;

/// Reads the text of one file from the byte `from`; tells where to go on if not to its end.
fn read_from(
    from: usize,
    base: usize,
    text: &str,
    kind: FileKind,
    written: &mut Written,
    problems: &mut Problems,
) -> Option<usize> {
    let (text, base) = (text.get(from..)?, base + from);
    let (mut table, mut errors) = DeTable::parse_recoverable(text);
    let unclosed = super::syntax::unclosed_array(&errors, text);
    if let Some(at) = unclosed {
        errors.retain(|error| error.span().is_some_and(|span| span.start <= at));
        table = DeTable::parse_recoverable(&text[..at]).0;
    }
    let mut broken: Vec<usize> = errors
        .iter()
        .filter(|error| error.message() != super::syntax::DUPLICATE)
        .filter_map(|error| Some(error.span()?.start))
        .collect();
    broken.sort_unstable();
    let mut table = table.into_inner();
    if !broken.is_empty() {
        // The end of a part that was cut off lies inside the array that was not closed.
        broken.extend(unclosed.map(|at| at - 1));
        broken.sort_unstable();
        table = without_broken(table, text, &broken);
    }
    let table = shift_table(table, base);
    super::syntax::report(errors, base, text, &table, problems);
    for (key, value) in in_order(table) {
        read_section(key, value, kind, written, problems);
    }
    Some(from + super::syntax::next_header(text, unclosed?)?)
}

/// The entries of `table` as they stand in the file.
fn in_order<'i>(table: DeTable<'i>) -> Vec<(Spanned<DeString<'i>>, Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Reads one section, whichever it is.
fn read_section(
    key: Spanned<DeString<'_>>,
    value: Spanned<DeValue<'_>>,
    kind: FileKind,
    written: &mut Written,
    problems: &mut Problems,
) {
    let place = problems.place(&key.span());
    let name = key.get_ref().as_ref();
    let Some(&(_, several)) = SECTIONS.iter().find(|(known, _)| *known == name) else {
        let what = if value.get_ref().is_table() || is_tables(value.get_ref()) {
            "section"
        } else {
            "key"
        };
        let known = || SECTIONS.iter().map(|(known, _)| *known);
        let mut diagnostic = Diagnostic::error("unknown-key", format!("unknown {what} `{name}`"))
            .at(place, format!("no {what} of this name"))
            .suggest(name, known());
        let owners = owners_of(name);
        if what == "key" && !owners.is_empty() {
            diagnostic = diagnostic.help(format!("`{name}` belongs under {owners}"));
        }
        problems.report(diagnostic.known("known sections", known()));
        return;
    };
    if kind == FileKind::Profiles && name != "profile" {
        problems.report(
            Diagnostic::error(
                "misplaced-section",
                format!("`{name}` in a file of profiles"),
            )
            .at(place, "only `[profile.NAME]` can stand here")
            .help("put it into the main file or into a file under `conf.d`"),
        );
        return;
    }
    if kind == FileKind::Devices && name != "device" {
        problems.report(
            Diagnostic::error(
                "misplaced-section",
                format!("`{name}` in the file of devices"),
            )
            .at(place, "only `[[device]]` can stand here")
            .help("put it into the main file or into a file under `conf.d`"),
        );
        return;
    }
    let right_shape = if several {
        is_tables(value.get_ref())
    } else {
        value.get_ref().is_table()
    };
    if !right_shape {
        let header = if several {
            format!("[[{name}]]")
        } else if NAMED.contains(&name) {
            format!("[{name}.NAME]")
        } else {
            format!("[{name}]")
        };
        let times = if several { ", once for each" } else { "" };
        problems.report(
            Diagnostic::error("wrong-type", format!("`{name}` is not written so"))
                .at(place, "a section stands here")
                .help(format!("write it as `{header}`{times}")),
        );
        return;
    }
    let w = written;
    match name {
        "server" => w.server.overlay(read_table(value, "server", problems)),
        "encrypted" => w
            .encrypted
            .overlay(read_table(value, "encrypted", problems)),
        "acme" => w.acme.overlay(read_table(value, "acme", problems)),
        "limits" => w.limits.overlay(read_table(value, "limits", problems)),
        "cache" => w.cache.overlay(read_table(value, "cache", problems)),
        "upstream" => w.upstream.overlay(read_table(value, "upstream", problems)),
        "dnssec" => w.dnssec.overlay(read_table(value, "dnssec", problems)),
        "time" => w.time.overlay(read_table(value, "time", problems)),
        "journal" => w.journal.overlay(read_table(value, "journal", problems)),
        "control" => w.control.overlay(read_table(value, "control", problems)),
        "metrics" => w.metrics.overlay(read_table(value, "metrics", problems)),
        "identity" => w.identity.overlay(read_table(value, "identity", problems)),
        "firewall" => w.firewall.overlay(read_table(value, "firewall", problems)),
        "log" => w.log.overlay(read_table(value, "log", problems)),
        "lists" => w
            .lists_section
            .overlay(read_table(value, "lists", problems)),
        "household" => {
            // Rules of several files add up: a later file must not silently drop a block.
            let later: HouseholdSpec = read_table(value, "household", problems);
            let earlier = std::mem::take(&mut w.household);
            w.household.guest_profile = later.guest_profile.or(earlier.guest_profile);
            w.household.allow = joined(earlier.allow, later.allow);
            w.household.block = joined(earlier.block, later.block);
            w.household.contact = joined(earlier.contact, later.contact);
            w.household.language = later.language.or(earlier.language);
            w.household.time_zone = later.time_zone.or(earlier.time_zone);
        }
        "listener" => read_entries(value, "listener", &mut w.listeners, problems),
        "forward" => read_entries(value, "forward", &mut w.forwards, problems),
        "forwarder" => read_entries(value, "forwarder", &mut w.forwarders, problems),
        "device" => read_entries(value, "device", &mut w.devices, problems),
        "list" => read_entries(value, "list", &mut w.lists, problems),
        "test" => read_entries(value, "test", &mut w.tests, problems),
        "schedule" => {
            for (word, value) in named(value, name, keys_of::<ScheduleSpec>(), problems) {
                let span = value.span();
                let (spec, whole) = read_whole(value, "schedule", problems);
                w.schedules.push((word, Entry { span, spec, whole }));
            }
        }
        "resolvers" => {
            for (word, value) in named(value, name, keys_of::<ResolversSpec>(), problems) {
                let span = value.span();
                let (spec, whole) = read_whole(value, "resolvers", problems);
                w.resolvers.push((word, Entry { span, spec, whole }));
            }
        }
        "profile" => read_profiles(value, &mut w.profiles, problems),
        _ => {}
    }
}

/// Both lists, one behind the other.
fn joined<T>(first: Option<Vec<T>>, second: Option<Vec<T>>) -> Option<Vec<T>> {
    match (first, second) {
        (Some(mut first), Some(second)) => {
            first.extend(second);
            Some(first)
        }
        (first, second) => first.or(second),
    }
}

/// Whether `value` is an array of tables (an empty array counts).
fn is_tables(value: &DeValue<'_>) -> bool {
    value
        .as_array()
        .is_some_and(|array| array.iter().all(|item| item.get_ref().is_table()))
}

/// Reads every `[[name]]`.
fn read_entries<T: Section>(
    value: Spanned<DeValue<'_>>,
    name: &str,
    entries: &mut Vec<Entry<T>>,
    problems: &mut Problems,
) {
    if let DeValue::Array(array) = value.into_inner() {
        for item in array {
            let span = item.span();
            let (spec, whole) = read_whole(item, name, problems);
            entries.push(Entry { span, spec, whole });
        }
    }
}

/// Reads every `[profile.NAME]`.
fn read_profiles(
    value: Spanned<DeValue<'_>>,
    profiles: &mut Vec<(Text, Entry<ProfileSpec>)>,
    problems: &mut Problems,
) {
    for (word, value) in named(value, "profile", keys_of::<ProfileSpec>(), problems) {
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            continue;
        };
        let (mut during, mut quota) = (None, None);
        let mut rest = DeTable::new();
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "during" => during = read_tables(&key, value, problems),
                "quota" => quota = read_tables(&key, value, problems),
                _ => drop(rest.insert(key, value)),
            }
        }
        let rest = Spanned::new(span.clone(), DeValue::Table(rest));
        let (mut spec, whole): (ProfileSpec, bool) = read_whole(rest, "profile", problems);
        spec.during = during;
        spec.quota = quota;
        profiles.push((word, Entry { span, spec, whole }));
    }
}

/// Reads every `[[profile.NAME.KEY]]`.
fn read_tables<T: Section>(
    key: &Spanned<DeString<'_>>,
    value: Spanned<DeValue<'_>>,
    problems: &mut Problems,
) -> Option<Tables<T>> {
    let name = key.get_ref().as_ref();
    if !is_tables(value.get_ref()) {
        let header = header_of(name);
        problems.report(
            Diagnostic::error("wrong-type", format!("`{name}` is not written so"))
                .at(problems.place(&key.span()), "tables stand here")
                .help(format!("write it as {header}, once for each")),
        );
        return None;
    }
    let mut entries = Vec::new();
    read_entries(value, name, &mut entries, problems);
    Some(Tables(entries))
}

/// The tables of a section of which each has a name; what is no table is told.
fn named<'i>(
    value: Spanned<DeValue<'i>>,
    section: &str,
    keys: &[&str],
    problems: &mut Problems,
) -> Vec<(Text, Spanned<DeValue<'i>>)> {
    let DeValue::Table(table) = value.into_inner() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, value) in in_order(table) {
        let name = key.get_ref().as_ref();
        if value.get_ref().is_table() {
            found.push((Word::new(key.span(), name.to_owned()), value));
            continue;
        }
        let mut diagnostic = Diagnostic::error(
            "wrong-type",
            format!("`{name}` under `[{section}]` is not a {section}"),
        )
        .at(
            problems.place(&key.span()),
            format!("a {section}'s name stands here"),
        );
        if keys.contains(&name) {
            diagnostic = diagnostic.help(format!(
                "write the settings of a {section} under `[{section}.NAME]`"
            ));
        }
        problems.report(diagnostic);
    }
    found
}

/// How many mistakes of type one section may have before we give up on it.
const MAX_RETRIES: usize = 24;

/// [`read_whole`] for sections that need not be.
fn read_table<T: Section>(
    value: Spanned<DeValue<'_>>,
    section: &str,
    problems: &mut Problems,
) -> T {
    read_whole(value, section, problems).0
}

/// Reads one section, telling everything that is wrong with it; what is wrong counts as not said.
/// Tells also whether nothing was wrong.
fn read_whole<T: Section>(
    value: Spanned<DeValue<'_>>,
    section: &str,
    problems: &mut Problems,
) -> (T, bool) {
    let span = value.span();
    let DeValue::Table(written) = value.into_inner() else {
        return (T::default(), false);
    };
    let known = keys_of::<T>();
    let mut whole = true;
    let mut table = DeTable::new();
    for (key, value) in in_order(written) {
        let name = key.get_ref().as_ref();
        if known.contains(&name) {
            table.insert(key, value);
        } else {
            whole = false;
            let place = problems.place(&key.span());
            let diagnostic = if problems.is_full() {
                Diagnostic::error("unknown-key", "")
            } else {
                unknown_key(section, name, known, place)
            };
            problems.report(diagnostic);
        }
    }
    for _ in 0..MAX_RETRIES {
        let copy = Spanned::new(span.clone(), DeValue::Table(table.clone()));
        let error = match T::deserialize(ValueDeserializer::from(copy)) {
            Ok(spec) => return (spec, whole),
            Err(error) => error,
        };
        whole = false;
        let wrong = error.span().unwrap_or_else(|| span.clone());
        let key = table
            .iter()
            .find(|(_, value)| encloses(&value.span(), &wrong))
            .map(|(key, _)| key.get_ref().to_string());
        problems.report(wrong_type(
            key.as_deref(),
            error.message(),
            problems.place(&wrong),
        ));
        if !remove_at(&mut table, &wrong) {
            break;
        }
    }
    (T::default(), false)
}

/// Settings that exist in later versions, with what to do today.
const LATER: [(&str, &str, &str); 1] = [(
    "profile",
    "services",
    "services come with a later version; use `block-names`",
)];

/// Says that `section` has no key `name`.
fn unknown_key(
    section: &str,
    name: &str,
    known: &'static [&'static str],
    place: super::diagnostic::Place,
) -> Diagnostic {
    if let Some((_, _, instead)) = LATER.iter().find(|(s, k, _)| *s == section && *k == name) {
        return Diagnostic::error(
            "not-in-this-version",
            format!("`{name}` is not in this version"),
        )
        .at(place, "cannot be used yet")
        .help(*instead);
    }
    let header = header_of(section);
    let mut diagnostic = Diagnostic::error("unknown-key", format!("unknown key `{name}`"))
        .at(place, format!("no setting of {header}"))
        .suggest(name, known.iter().copied());
    if diagnostic.help.is_none() {
        let owners = owners_of(name);
        if !owners.is_empty() {
            diagnostic = diagnostic.help(format!("`{name}` belongs under {owners}"));
        }
    }
    diagnostic.known("known keys", known.iter().copied())
}

/// How the header of a section is written.
fn header_of(section: &str) -> String {
    match SECTIONS.iter().find(|(name, _)| *name == section) {
        Some((_, true)) => format!("`[[{section}]]`"),
        _ if NAMED.contains(&section) => format!("`[{section}.NAME]`"),
        _ if matches!(section, "during" | "quota") => format!("`[[profile.NAME.{section}]]`"),
        _ => format!("`[{section}]`"),
    }
}

/// The headers of the sections that have a key `name`; empty when none has.
fn owners_of(name: &str) -> String {
    let sections: [(&str, &[&str]); 27] = [
        ("server", keys_of::<ServerSpec>()),
        ("listener", keys_of::<ListenerSpec>()),
        ("encrypted", keys_of::<EncryptedSpec>()),
        ("acme", keys_of::<AcmeSpec>()),
        ("limits", keys_of::<LimitsSpec>()),
        ("cache", keys_of::<CacheSpec>()),
        ("upstream", keys_of::<UpstreamSpec>()),
        ("forward", keys_of::<ForwardSpec>()),
        ("resolvers", keys_of::<ResolversSpec>()),
        ("dnssec", keys_of::<DnssecSpec>()),
        ("time", keys_of::<TimeSpec>()),
        ("journal", keys_of::<JournalSpec>()),
        ("control", keys_of::<ControlSpec>()),
        ("metrics", keys_of::<MetricsSpec>()),
        ("log", keys_of::<LogSpec>()),
        ("household", keys_of::<HouseholdSpec>()),
        ("identity", keys_of::<IdentitySpec>()),
        ("firewall", keys_of::<FirewallSpec>()),
        ("forwarder", keys_of::<ForwarderSpec>()),
        ("device", keys_of::<DeviceSpec>()),
        ("list", keys_of::<ListSpec>()),
        ("lists", keys_of::<ListsSpec>()),
        ("profile", keys_of::<ProfileSpec>()),
        ("schedule", keys_of::<ScheduleSpec>()),
        ("during", keys_of::<DuringSpec>()),
        ("quota", keys_of::<QuotaSpec>()),
        ("test", keys_of::<TestSpec>()),
    ];
    let owners: Vec<String> = sections
        .iter()
        .filter(|(_, keys)| keys.contains(&name))
        .map(|(section, _)| header_of(section))
        .collect();
    owners.join(" or ")
}

/// Says in our words what serde says of a value of the wrong type.
fn wrong_type(key: Option<&str>, message: &str, place: super::diagnostic::Place) -> Diagnostic {
    let subject = key.map_or_else(|| "this".to_owned(), |key| format!("`{key}`"));
    let said = message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, expected)) = said else {
        return Diagnostic::error("wrong-type", format!("{subject} cannot be read"))
            .at(place, message.to_owned());
    };
    let expected = match expected {
        "a string" => "a text in quotes",
        "i64" => "a whole number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "an array, as in `[\"a\", \"b\"]`",
        other => other,
    };
    let found = match found.split(' ').next().unwrap_or_default() {
        "string" => "a text",
        "integer" => "a whole number",
        "floating" => "a number with decimals",
        "boolean" => "`true` or `false`",
        "sequence" => "an array",
        "map" => "a table",
        _ => "something else",
    };
    Diagnostic::error("wrong-type", format!("{subject} takes {expected}"))
        .at(place, format!("this is {found}"))
}

/// The keys of a section, as serde knows them.
pub(super) fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // It always fails, once it has been told the fields.
    drop(T::deserialize(AskFields(&mut keys)));
    keys
}

/// A deserializer with nothing to give: it only listens which fields a struct asks for.
struct AskFields<'k>(&'k mut &'static [&'static str]);

impl<'de> de::Deserializer<'de> for AskFields<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only the fields were asked for"))
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_knows_its_keys() {
        assert_eq!(keys_of::<ListenerSpec>(), ["address", "name"]);
        assert!(keys_of::<ProfileSpec>().contains(&"block-names"));
    }

    #[test]
    fn every_section_has_a_name_and_is_read() {
        let schema: serde_json::Value = serde_json::from_str(schema()).unwrap();
        let mut named: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        named.sort_unstable();
        let shaped: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(named, shaped);
    }
}
