//! What a line of a list says, understood: the one vocabulary of all syntaxes.
//!
//! A parser turns a line into [`Item`]s, the compiler puts them into the index, the index gives
//! them back as hits. Nothing a syntax can say about a query is lost on the way; what a DNS filter
//! cannot do at all (cosmetic rules, paths) is refused by the parser with its reason.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::name::Name;

/// What a line of a list says about the names it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// The list's names are blocked (or allowed, for an allowlist): the list speaks.
    Listed,
    /// An exception (`@@`, RPZ's `rpz-passthru.`): the list takes back what it says elsewhere.
    Excepted,
}

/// Which names a line matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// The name and everything below it.
    Subtree,
    /// The name alone.
    Exact,
    /// Everything below the name, not the name.
    Below,
}

/// One thing that a line says. A line may say several (a hosts line with many names).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// A name and what holds for it: nearly all of the millions.
    Name(Entry),
    /// A regular expression or a wildcard inside the name.
    Pattern(Pattern),
    /// An address in the answer (RPZ `rpz-ip`).
    Address(AddressEntry),
    /// The fingerprint of a name nobody must read; see [`super::sealed`].
    Sealed(Fingerprint),
}

impl From<Entry> for Item {
    fn from(entry: Entry) -> Self {
        Self::Name(entry)
    }
}

/// A name of a list and what holds for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// Which names it matches.
    pub reach: Reach,
    /// What it says about them.
    pub effect: Effect,
    /// What restricts or changes it; none for nearly all.
    pub modifiers: Option<Box<Modifiers>>,
}

/// A pattern of a list and what holds for the names it matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// How to read `text`.
    pub kind: PatternKind,
    /// The expression without its slashes, or the wildcard; lower case where case means nothing.
    pub text: String,
    /// What it says about the names.
    pub effect: Effect,
    /// What restricts or changes it.
    pub modifiers: Option<Box<Modifiers>>,
}

/// How to read a [`Pattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PatternKind {
    /// A regular expression, found anywhere in the name as people write it, without the final dot;
    /// letter case means nothing.
    Regex,
    /// The same, but it matches the names in which it is **not** found (Pi-hole's `;invert`).
    InvertedRegex,
    /// Text with `*` for any number of any characters, which matches the whole name and everything
    /// below it (adblock `||ads*.example.org^`).
    WildcardSubtree,
    /// Text with `*`, which matches the whole name alone (adblock `|ads*.example.org^`).
    WildcardExact,
    /// Text with `*` found anywhere in the name (adblock `-ads-*`); where the rule says so, the
    /// text ends with `|` for the name's end. `*` alone is found in every name.
    Substring,
}

/// An address prefix of a list and what holds for answers that contain such an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressEntry {
    /// The prefix.
    pub prefix: IpNet,
    /// What it says about answers with such an address.
    pub effect: Effect,
    /// What restricts or changes it.
    pub modifiers: Option<Box<Modifiers>>,
}

/// The fingerprint of a sealed name: the first octets of a keyed hash of its canonical form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 10]);

impl fmt::Debug for Fingerprint {
    /// Says nothing: not even its fingerprint belongs in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// What restricts or changes a rule: AdGuard's DNS modifiers, and what other syntaxes can say of
/// the same kind. An empty one is the same as none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Modifiers {
    /// `important`: comes before exceptions of the same list that are not.
    pub important: bool,
    /// `badfilter`: takes the rule that is written the same but for this word out of the list.
    pub badfilter: bool,
    /// `denyallow`: names, and all below them, for which the rule does not hold.
    pub denyallow: Vec<Name>,
    /// `dnstype`: the record types it is about; empty for all.
    pub types: Vec<Condition<u16>>,
    /// `client`: who asks; empty for everybody.
    pub clients: Vec<Condition<Client>>,
    /// `ctag`: tags of the device that asks; empty for all.
    pub tags: Vec<Condition<String>>,
    /// What to answer instead of the profile's way to block.
    pub action: Action,
}

/// Something that must hold, or must not (`~`). Of several that must hold one is enough; none of
/// those that must not may hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition<T> {
    /// Whether it must not hold.
    pub negated: bool,
    /// What.
    pub value: T,
}

/// Who asks, as lists may name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    /// By address or prefix.
    Prefix(IpNet),
    /// By the device's name; letter case means nothing.
    Name(String),
}

/// What a rule wants to be answered.
///
/// A list somebody subscribed to must not be able to send a family to a server of its choice, so
/// the daemon answers [`Self::Addresses`], [`Self::Alias`] and [`Self::Record`] as a block; they are
/// kept for `explain` and `export`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// As the profile blocks.
    #[default]
    Block,
    /// "No such name".
    NxDomain,
    /// "No such records".
    NoData,
    /// REFUSED.
    Refused,
    /// No answer at all (RPZ `rpz-drop.`).
    Drop,
    /// An empty, truncated answer over UDP, the true one over TCP (RPZ `rpz-tcp-only.`).
    TcpOnly,
    /// These addresses. None at all, which only exceptions have, stands for whatever a rule wants to
    /// be answered (`@@||example.org^$dnsrewrite`).
    Addresses(Vec<IpAddr>),
    /// An alias to this name.
    Alias(Name),
    /// A record of another type, its data as text.
    Record {
        /// Its type.
        rtype: u16,
        /// Its data, as the list writes it.
        data: String,
    },
}

/// Who asks what, for the conditions of [`Modifiers`].
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The type asked for.
    pub qtype: u16,
    /// The client's address, if it is known.
    pub address: Option<IpAddr>,
    /// The device's name, if it has one.
    pub device: Option<&'a str>,
    /// The device's tags.
    pub tags: &'a [&'a str],
}

impl fmt::Display for Item {
    /// As an adblock rule, the one syntax that can say nearly everything; a fingerprint as nothing
    /// that could be looked up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(entry) => entry.fmt(f),
            Self::Pattern(pattern) => pattern.fmt(f),
            Self::Address(entry) => {
                write!(f, "{}address {}", at_sign(entry.effect), entry.prefix)?;
                write_modifiers(f, entry.modifiers.as_deref())
            }
            Self::Sealed(_) => f.write_str("(sealed)"),
        }
    }
}

impl fmt::Display for Entry {
    /// As an adblock rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let anchor = match self.reach {
            Reach::Subtree => "||",
            Reach::Exact => "|",
            Reach::Below => "||*.",
        };
        write!(f, "{}{anchor}{}^", at_sign(self.effect), self.name)?;
        write_modifiers(f, self.modifiers.as_deref())
    }
}

impl fmt::Display for Pattern {
    /// As an adblock rule; an inverted expression with Pi-hole's `;invert`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(at_sign(self.effect))?;
        match self.kind {
            PatternKind::Regex => write!(f, "/{}/", self.text)?,
            PatternKind::InvertedRegex => write!(f, "/{}/;invert", self.text)?,
            PatternKind::WildcardSubtree => write!(f, "||{}^", self.text)?,
            PatternKind::WildcardExact => write!(f, "|{}^", self.text)?,
            // With stars around it, or it could be taken for a whole name.
            PatternKind::Substring if self.text == "*" => f.write_str("*")?,
            PatternKind::Substring if self.text.ends_with('|') => write!(f, "*{}", self.text)?,
            PatternKind::Substring => write!(f, "*{}*", self.text)?,
        }
        write_modifiers(f, self.modifiers.as_deref())
    }
}

const fn at_sign(effect: Effect) -> &'static str {
    match effect {
        Effect::Listed => "",
        Effect::Excepted => "@@",
    }
}

/// `$important,dnstype=A|~AAAA`, or nothing.
fn write_modifiers(f: &mut fmt::Formatter<'_>, modifiers: Option<&Modifiers>) -> fmt::Result {
    let Some(modifiers) = modifiers.filter(|it| **it != Modifiers::default()) else {
        return Ok(());
    };
    write!(f, "${modifiers}")
}

impl fmt::Display for Modifiers {
    /// As they stand behind an adblock rule's `$`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.important.then(|| "important".to_owned()));
        words.extend(self.badfilter.then(|| "badfilter".to_owned()));
        if !self.denyallow.is_empty() {
            let names: Vec<String> = self.denyallow.iter().map(ToString::to_string).collect();
            words.push(format!("denyallow={}", names.join("|")));
        }
        words.extend(conditions("dnstype", &self.types, |rtype| {
            type_text(*rtype)
        }));
        words.extend(conditions("client", &self.clients, |client| match client {
            Client::Prefix(net) if net.prefix_len() == net.max_prefix_len() => {
                net.addr().to_string()
            }
            Client::Prefix(net) => net.to_string(),
            Client::Name(name) => format!("'{}'", escaped(name)),
        }));
        words.extend(conditions("ctag", &self.tags, Clone::clone));
        words.extend(self.action.words());
        f.write_str(&words.join(","))
    }
}

/// `key=a|~b`, if there is one.
fn conditions<T>(key: &str, all: &[Condition<T>], text: impl Fn(&T) -> String) -> Option<String> {
    let texts: Vec<String> = all
        .iter()
        .map(|it| format!("{}{}", if it.negated { "~" } else { "" }, text(&it.value)))
        .collect();
    (!texts.is_empty()).then(|| format!("{key}={}", texts.join("|")))
}

impl Action {
    /// As AdGuard's `dnsrewrite`, one for each record; nothing for a plain block.
    fn words(&self) -> Vec<String> {
        let one = |text: &str| vec![format!("dnsrewrite={text}")];
        match self {
            Self::Block => Vec::new(),
            Self::NxDomain => one("NXDOMAIN;;"),
            Self::NoData => one("NOERROR;;"),
            Self::Refused => one("REFUSED;;"),
            Self::Drop => one("drop"),
            Self::TcpOnly => one("tcp-only"),
            Self::Addresses(addresses) if addresses.is_empty() => vec!["dnsrewrite".to_owned()],
            Self::Addresses(addresses) => addresses
                .iter()
                .flat_map(|address| one(&address.to_string()))
                .collect(),
            Self::Alias(name) => one(&name.to_string()),
            Self::Record { rtype, data } => one(&format!("NOERROR;{};{data}", type_text(*rtype))),
        }
    }
}

/// A client's name with what means something in a rule escaped.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if matches!(c, '\\' | '\'' | '"' | ',' | '|' | '$' | '/') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// The name of a record type, or RFC 3597's `TYPE65280`.
pub(super) fn type_text(rtype: u16) -> String {
    let name = TYPES.iter().find(|(number, _)| *number == rtype);
    name.map_or_else(|| format!("TYPE{rtype}"), |(_, name)| (*name).to_owned())
}

/// The number of a record type by its name in any case, or RFC 3597's `TYPE65280`.
pub(super) fn type_number(text: &str) -> Option<u16> {
    let known = TYPES
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(text));
    known.map(|(number, _)| *number).or_else(|| {
        let (word, number) = text.split_at_checked(4)?;
        word.eq_ignore_ascii_case("TYPE")
            .then(|| number.parse().ok())?
    })
}

/// Record types that lists name (IANA's registry of DNS parameters).
const TYPES: [(u16, &str); 31] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (37, "CERT"),
    (39, "DNAME"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
];
