//! What the admin wrote, what it means, and what is wrong with it.
//!
//! A file enters as text; [`Config`] leaves, fully resolved and valid, or a list of
//! [`Diagnostic`]s with file, line and column. The file as written (`spec`) never leaves this
//! module. Read [`load()`] first.

mod acme;
mod case;
mod catalogue;
mod client_id;
mod closing;
mod default;
mod device;
mod devices_file;
mod diagnostic;
mod download;
mod encrypted;
mod endpoint;
mod family_resolvers;
mod firewall;
mod forwarder;
mod growth;
mod household;
mod layer;
mod list;
mod load;
mod matching;
mod network;
mod presets;
mod problems;
mod profiles;
mod read;
mod resolve;
mod resolvers;
mod rules;
mod schedule;
mod source;
mod spec;
mod speech;
mod subject;
mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod time;
mod tree;
mod units;
mod upstream;
mod upstream_url;
mod validation;
mod words;

pub use case::{Case, CaseAsker, CaseNames, CaseTime, Expect};
pub use catalogue::{CatalogueEntry, catalogue};
pub use client_id::{ClientIdError, check_client_id, new_client_id};
pub use closing::{Closing, MAX_TIMES, Period, Quota, WhenClockUnset};
pub use default::default_text;
pub use devices_file::{DeviceEdit, DevicesRead, EditError, GivenDevices, good_copy};
pub use diagnostic::{Coloured, Diagnostic, Place, Related, Severity};
pub use growth::{Birth, BirthError, Growth, Stage, Step, today};
pub use load::{
    DEFAULT_PATH, Loaded, MAX_FILE, Overrides, fuzz_entry, load, load_default, load_demo,
    load_embedded, load_to_start, load_with, parse_listen,
};
pub use matching::{matches_glob, whole_labels};
pub use presets::{DEMO, is_preset};
pub use resolvers::Resolvers;
pub use schedule::Schedule;
pub use spec::schema;
pub use subject::{Subject, SubjectError};
pub use suggest::nearest;
pub use time::Time;
pub use units::{duration_of, show_duration, size_of};
pub use upstream::{
    Authorities, AuthorityFile, Forward, Host, Transport, Upstream, UpstreamServer,
};
pub use validation::{TrustAnchor, Validation};

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::files::Files;
pub use crate::lists::ListSource;
use crate::lists::{ListFormat, ListKind};
use crate::mac::Mac;
use crate::name::Name;
use crate::schedule::Zone;
use crate::verdict::Tier;

/// Everything the daemon needs to know, resolved and valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where and whom we serve.
    pub server: Server,
    /// The encrypted ways to us.
    pub encrypted: Encrypted,
    /// A certificate from a public authority.
    pub acme: Option<Acme>,
    /// Bounds that keep a flood from hurting.
    pub limits: Limits,
    /// The cache of upstream answers.
    pub cache: Cache,
    /// Who answers what we cannot.
    pub upstream: Upstream,
    /// Where the time comes from while the machine has none.
    pub time: Time,
    /// What is remembered of queries.
    pub journal: Journal,
    /// The local control socket.
    pub control: Control,
    /// The metrics page.
    pub metrics: Metrics,
    /// The daemon's own log.
    pub log: Log,
    /// How devices are told apart.
    pub identity: Identity,
    /// The table that keeps devices on this resolver.
    pub firewall: Firewall,
    /// Who in front of us may say for whom it asks.
    pub forwarders: Vec<Forwarder>,
    /// Rules for everybody.
    pub household: Rules,
    /// The household's time zone.
    pub zone: Zone,
    /// Times that profiles refer to.
    pub schedules: Vec<Schedule>,
    /// All profiles, presets included, each with its inheritance resolved.
    pub profiles: Vec<Profile>,
    /// Index into `profiles`: what a device gets before somebody said whose it is.
    pub guest: usize,
    /// The devices somebody named.
    pub devices: Vec<Device>,
    /// File and line of each of them.
    pub device_places: Vec<(PathBuf, u32)>,
    /// Where lists are kept and how they are compiled.
    pub list_store: ListStore,
    /// All lists, the embedded ones included, unless the admin left them out.
    pub lists: Vec<List>,
    /// Whether the services that came with the program are among the lists; they are not in
    /// [`Self::lists`].
    pub services: bool,
    /// What must stay so.
    pub cases: Vec<Case>,
}

impl Config {
    /// Octets a question in flight takes at most, its tasks, sockets' buffers in our memory and
    /// waiting clients included: 10.4 KiB were measured with a full table.
    const QUESTION: u64 = 12 << 10;
    /// Octets a TCP connection takes at most: its task, a message half read, and its share of the
    /// answers that wait to be taken.
    const CONNECTION: u64 = 16 << 10;
    /// The same for an encrypted connection, with its keys and what of HTTP/2 and QUIC is open.
    const ENCRYPTED: u64 = 16 << 10;

    /// Lowers what would not fit under the ceiling [`Limits::memory`]: half of it goes to questions
    /// in flight at most, a quarter to connections, an eighth to encrypted ones if there are any, and the
    /// cache gets no more than the rest.
    ///
    /// Gives what was lowered, in words.
    fn fit_memory(&mut self) -> Vec<String> {
        let wanted = (self.limits.clone(), self.cache.max_bytes);
        let limits = &mut self.limits;
        let most = |share: u64, each: u64| usize::try_from(share / each).unwrap_or(usize::MAX);
        let questions = most(limits.memory / 2, Self::QUESTION).max(1);
        let connections = most(limits.memory / 4, Self::CONNECTION).max(1);
        let encrypted = most(limits.memory / 8, Self::ENCRYPTED).max(1);
        limits.in_flight = limits.in_flight.min(questions);
        limits.in_flight_per_client = limits.in_flight_per_client.min(limits.in_flight);
        limits.tcp_connections = limits.tcp_connections.min(connections);
        limits.tcp_per_client = limits.tcp_per_client.min(limits.tcp_connections);
        if self.encrypted.is_on() {
            limits.encrypted_connections = limits.encrypted_connections.min(encrypted);
            let all = limits.encrypted_connections;
            limits.encrypted_per_client = limits.encrypted_per_client.min(all);
        }
        let rest = limits.memory.saturating_sub(self.needed_beside_cache());
        self.cache.max_bytes = self.cache.max_bytes.min(rest);
        let (before, cache) = wanted;
        let now = &self.limits;
        let counts = [
            ("in-flight", before.in_flight, now.in_flight),
            (
                "in-flight-per-client",
                before.in_flight_per_client,
                now.in_flight_per_client,
            ),
            (
                "tcp-connections",
                before.tcp_connections,
                now.tcp_connections,
            ),
            ("tcp-per-client", before.tcp_per_client, now.tcp_per_client),
            (
                "encrypted-connections",
                before.encrypted_connections,
                now.encrypted_connections,
            ),
            (
                "encrypted-per-client",
                before.encrypted_per_client,
                now.encrypted_per_client,
            ),
        ];
        let counts = counts.iter().filter(|(_, wanted, got)| wanted != got);
        let mut lowered: Vec<String> = counts
            .map(|(key, wanted, got)| format!("`{key}` is {got} instead of {wanted}"))
            .collect();
        if self.cache.max_bytes < cache {
            lowered.push(format!(
                "the cache gets {} instead of {}",
                units::show_size(self.cache.max_bytes),
                units::show_size(cache)
            ));
        }
        lowered
    }

    /// What everything but the cache may take of [`Limits::memory`].
    fn needed_beside_cache(&self) -> u64 {
        let encrypted = match self.encrypted.is_on() {
            true => self.limits.encrypted_connections as u64 * Self::ENCRYPTED,
            false => 0,
        };
        self.limits.in_flight as u64 * Self::QUESTION
            + encrypted
            + self.limits.tcp_connections as u64 * Self::CONNECTION
            + self.journal.max_bytes
    }
}

/// Where and whom we serve.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Addresses for UDP and TCP; default `0.0.0.0:53` and `[::]:53`.
    pub listen: Vec<Listen>,
    /// Who may ask; default the private, link-local and loopback ranges.
    pub serve: Vec<IpNet>,
    /// Largest UDP answer in octets, 512 to 4096; default 1232.
    pub udp_payload: u16,
    /// Threads that answer; 0 is one for each processor, at most 4.
    pub workers: usize,
    /// Account to become after binding; none stays who we are.
    pub user: Option<String>,
}

/// Encrypted DNS for the family's devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Encrypted {
    /// The name that clients check, and before which a device's id stands; there whenever anything
    /// listens.
    pub name: Option<Name>,
    /// Where DNS over TLS is answered (RFC 7858).
    pub dot: Vec<SocketAddr>,
    /// Where DNS over HTTPS is answered (RFC 8484).
    pub doh: Vec<SocketAddr>,
    /// Where DNS over QUIC is answered (RFC 9250).
    pub doq: Vec<SocketAddr>,
    /// Whether [`Self::doh`] answers HTTP/3 too. Default false.
    pub http3: bool,
    /// The path of DNS over HTTPS; begins with a slash and does not end with one. Default
    /// `/dns-query`.
    pub path: String,
    /// The admin's own certificate; none is for the household's own authority to make.
    pub certificate: Option<CertificateFiles>,
}

impl Encrypted {
    /// Whether anything is to be listened on.
    pub const fn is_on(&self) -> bool {
        !(self.dot.is_empty() && self.doh.is_empty() && self.doq.is_empty())
    }
}

/// A certificate from a public authority, by ACME (RFC 8555).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// Where the authority is. Default Let's Encrypt.
    pub directory: String,
    /// Where it may write to.
    pub email: Option<String>,
    /// How it sees that the name is ours.
    pub challenge: AcmeChallenge,
    /// Authorities to trust for it besides the usual ones, in PEM.
    pub ca: Option<PathBuf>,
}

/// How an authority sees that a name is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// By a page, shown at this address.
    Http(SocketAddr),
    /// By the connection itself.
    Tls,
    /// By a record that this program writes.
    Dns(PathBuf),
}

/// A certificate and its key, in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, in PEM, the server's own first.
    pub certificate: PathBuf,
    /// The private key, in PEM.
    pub key: PathBuf,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// The name by which devices and logs refer to it, if it was given one.
    pub name: Option<String>,
}

/// Bounds that keep a flood from hurting.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Queries a second from one device; 0 is no limit. Loopback is exempt. Default 1000.
    pub queries_per_second: u32,
    /// Queries a device may send at once after a rest. Default 2000.
    pub burst: u32,
    /// Questions that may wait for upstream, in all. Default 512.
    pub in_flight: usize,
    /// The same for one client. Default 64.
    pub in_flight_per_client: usize,
    /// TCP connections in all. Default 256.
    pub tcp_connections: usize,
    /// TCP connections from one client. Default 16.
    pub tcp_per_client: usize,
    /// How long an idle TCP connection stays open. Default 10 s.
    pub tcp_idle: Duration,
    /// How long one TCP message may take to arrive. Default 5 s.
    pub tcp_read: Duration,
    /// Encrypted connections in all, of every kind. Default 64.
    pub encrypted_connections: usize,
    /// Encrypted connections from one client. Default 16.
    pub encrypted_per_client: usize,
    /// Questions that one encrypted connection may have open. Default 64.
    pub encrypted_streams: usize,
    /// How long an idle encrypted connection stays open. Default 30 s.
    pub encrypted_idle: Duration,
    /// Ceiling for everything that grows with traffic, in bytes: cache, journal, table in flight,
    /// connections. What would not fit is lowered. Default 16 MiB; the lists come on top.
    pub memory: u64,
}

/// The cache of upstream answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Bytes it may take. Default 3 MiB; 0 switches it off.
    pub max_bytes: u64,
    /// The shortest time an answer is kept. Default 0.
    pub min_ttl: Duration,
    /// The longest time an answer is kept. Default 1 day (RFC 8767 section 4 allows a week).
    pub max_ttl: Duration,
    /// The longest time a "no such name" is kept (RFC 2308 section 5). Default 1 h.
    pub max_negative_ttl: Duration,
    /// How long after its end an answer may still be used when upstream is silent (RFC 8767).
    /// Default 1 day; zero switches it off.
    pub serve_stale: Duration,
}

/// What is remembered of queries, in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    /// Bytes for the query log. Default 1 MiB; 0 keeps none.
    pub max_bytes: u64,
}

/// The local control socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Its path; none switches it off. Default `/run/hedgerow/control.sock`.
    pub socket: Option<PathBuf>,
    /// Group whose members may use it, besides the daemon's own account.
    pub group: Option<String>,
}

/// The metrics page.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Where Prometheus finds it; off by default.
    pub listen: Option<SocketAddr>,
}

/// The daemon's own log.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// What is written.
    pub level: LogLevel,
    /// Where to.
    pub target: LogTarget,
}

/// How devices are told apart beyond what each of them says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whether the kernel's neighbour table is asked. Default yes.
    pub neighbours: bool,
    /// Lease files of DHCP servers; none looks at the usual places.
    pub leases: Option<Vec<PathBuf>>,
    /// MAC addresses and the names or addresses that belong to them. Default `/etc/ethers`.
    pub ethers: PathBuf,
    /// Whether devices are asked what they call themselves. Default yes.
    pub ask_names: bool,
    /// The domain in which devices of the home have names; none switches that off. Default
    /// `home.arpa` (RFC 8375).
    pub home_domain: Option<Name>,
    /// The file of the devices that the program names itself; none for a configuration that came
    /// with it.
    pub devices_file: Option<PathBuf>,
}

/// Which devices the gateway keeps on this resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// The interfaces behind which the devices are; a `*` at the end stands for any rest. None means
    /// that there is no table.
    pub interfaces: Vec<String>,
    /// What devices ask of other resolvers in the clear is answered here. Default true.
    pub redirect_dns: bool,
    /// DNS over TLS and over QUIC, by their ports, is rejected. Default true.
    pub block_encrypted: bool,
    /// Whatever goes to the addresses of known public resolvers is rejected. Default true.
    pub block_resolvers: bool,
    /// Names of the devices that are kept here; none means all.
    pub devices: Vec<String>,
    /// Names of devices that are left alone.
    pub except: Vec<String>,
}

/// Where MAC addresses and what belongs to them are written down unless said otherwise.
pub const USUAL_ETHERS: &str = "/etc/ethers";

/// A resolver or load balancer in front of us whose word about its clients counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarder {
    /// Where it asks from.
    pub addresses: Vec<IpNet>,
    /// The MAC addresses that it has; none if its address suffices.
    pub macs: Vec<Mac>,
    /// Which of its EDNS options count.
    pub trust: Trust,
    /// The EDNS option that holds a subscriber's id. Default 65280.
    pub subscriber_option: u16,
    /// Whether its TCP connections begin with a PROXY header.
    pub proxy: bool,
}

/// The EDNS options in which a forwarder names its clients; none unless the admin says so, since
/// what a forwarder does not write itself its clients can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// MAC addresses: dnsmasq's `add-mac`.
    pub mac: bool,
    /// The id of a line or router: dnsmasq's `add-cpe-id`.
    pub cpe_id: bool,
    /// A subscriber's id.
    pub subscriber: bool,
    /// The client's address (RFC 7871).
    pub client_subnet: bool,
}

/// The longest id of a subscriber, a line or a router, in octets: a SHA-256 in hexadecimal digits.
pub const MAX_ID: usize = 64;

/// What is written to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// The admin must act now.
    Error,
    /// The admin should act some day.
    Warn,
    /// Start, stop, reload and what changed.
    Info,
    /// Each step of a query.
    Debug,
    /// Everything.
    Trace,
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// journald when it started us, else standard error.
    Auto,
    /// Standard error.
    Stderr,
    /// systemd's journal.
    Journald,
    /// `/dev/log`.
    Syslog,
}

/// A household's, profile's or device's own lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is let through.
    pub allow: Vec<Rule>,
    /// What is blocked.
    pub block: Vec<Rule>,
}

/// One of the household's own lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As written, for `explain`.
    pub text: String,
    /// The file and line it stands in, likewise.
    pub written_in: Option<(PathBuf, u32)>,
    /// What it matches.
    pub pattern: Pattern,
}

/// What a rule matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `example.org`: the name and everything below it.
    Subtree(Name),
    /// `=example.org`: the name alone.
    Exact(Name),
    /// `*.example.org`: everything below the name, not the name.
    Below(Name),
    /// `cdn*-x.example.org`: a `*` stands for any octets, dots included. Lower case, no final dot.
    Glob(String),
}

/// The rules of one child or group, presets and inheritance already worked in.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The preset it comes from, by name (its own for a preset).
    pub preset: String,
    /// What it inherits from, the nearest first.
    pub lineage: Vec<String>,
    /// How it grows up, where a birth date stands for its preset.
    pub growth: Option<Growth>,
    /// Categories that are blocked.
    pub block_categories: Vec<String>,
    /// Services that are blocked by themselves, by id.
    pub block_services: Vec<String>,
    /// Services taken out of what is blocked, by id: their names are let through the lists of
    /// other categories too.
    pub open_services: Vec<String>,
    /// Lists that are blocked beyond the categories, by id.
    pub block_lists: Vec<String>,
    /// Lists whose names are allowed, by id or by the category of an allowlist; these are what an
    /// allow-only profile may reach.
    pub allow_lists: Vec<String>,
    /// Only what is on an allowlist or in the rules.
    pub allow_only: bool,
    /// The profile's own rules.
    pub rules: Rules,
    /// Search engines in their safe form.
    pub safe_search: bool,
    /// Search engines without a safe form are blocked (category `unsafe-search`).
    pub block_unsafe_search: bool,
    /// The video service's restriction.
    pub youtube: Youtube,
    /// The ways round are closed: the names by which software asks whether it may use a resolver of its
    /// own are answered "no such name".
    pub close_bypass: bool,
    /// Public names that point into the home are not answered.
    pub block_rebinding: bool,
    /// Its devices reach only addresses that were just answered to them, where the firewall's table
    /// is in place.
    pub pinned_egress: bool,
    /// How a block is answered.
    pub block_answer: BlockAnswer,
    /// What holds when a list that is needed could not be loaded.
    pub when_unsure: WhenUnsure,
    /// What is remembered of this profile's queries.
    pub privacy: Privacy,
    /// Seconds a client may keep an answer of our own. Default 10.
    pub block_ttl: u32,
    /// Which resolvers are asked for it: 0 for the household's, else one more than the place of the
    /// group in [`Upstream::groups`].
    pub resolvers: u8,
    /// What is closed while schedules hold.
    pub closings: Vec<Closing>,
    /// What is open for a certain time only.
    pub quotas: Vec<Quota>,
    /// What schedules mean while the clock is not set. Default [`WhenClockUnset::Close`].
    pub when_clock_unset: WhenClockUnset,
    /// Which ways round are closed beyond those every `close_bypass` closes.
    pub ways_round: WaysRound,
    /// How a block is explained.
    pub speech: Speech,
}

/// Ways round the filter that have a switch of their own; each but the last is as `close-bypass` is
/// unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaysRound {
    /// Names in other scripts that look like a blocked one.
    pub look_alikes: bool,
    /// Record types no ordinary program asks for.
    pub unusual_types: bool,
    /// Data hidden in names.
    pub tunnels: bool,
    /// Names that nobody would type, on no list. Off unless said.
    pub unusual_names: bool,
}

/// How a block is explained to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// The tag of the language.
    pub language: &'static str,
    /// Where access can be asked for: `mailto:` and `tel:` URIs.
    pub contact: Vec<String>,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            language: "en",
            contact: Vec::new(),
        }
    }
}

/// The restriction of the video service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Youtube {
    /// As it is.
    Off,
    /// Moderately restricted.
    Moderate,
    /// Strictly restricted.
    Strict,
}

/// How a block is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockAnswer {
    /// `0.0.0.0` and `::`, NODATA for other types.
    Null,
    /// NXDOMAIN.
    NxDomain,
    /// NOERROR with nothing in it.
    NoData,
    /// REFUSED.
    Refused,
    /// Addresses of our own, such as a page that explains.
    Addresses(Vec<IpAddr>),
}

/// What doubt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnsure {
    /// Let through.
    Allow,
    /// Block.
    Block,
}

/// What is remembered of a profile's queries; lifelines never are. The stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privacy {
    /// Names, categories and times.
    Names,
    /// Categories and times, no names.
    Categories,
    /// Totals only.
    None,
}

/// A device somebody named.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Index into [`Config::profiles`].
    pub profile: usize,
    /// How it is recognised; the most specific match of all devices wins.
    pub matches: Vec<DeviceMatch>,
    /// Its own rules.
    pub rules: Rules,
}

/// How a device is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DeviceMatch {
    /// By MAC address.
    Mac(Mac),
    /// By the id of its line or router, at most [`MAX_ID`] octets.
    CpeId(String),
    /// By the id of its subscriber, at most [`MAX_ID`] octets.
    Subscriber(String),
    /// By an id of its own ([`check_client_id`]), which it shows on encrypted connections.
    Id(String),
    /// By address or prefix.
    Net(IpNet),
    /// By the interface its queries come in on.
    Interface(String),
    /// By the name of the listening address it asks.
    Listener(String),
}

/// A list of names.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// Its id, unique.
    pub id: String,
    /// The category it fills.
    pub category: String,
    /// What its names are for.
    pub kind: ListKind,
    /// Where it is; of a list that is downloaded, its last good copy.
    pub source: ListSource,
    /// Its syntax; none is detected from the content.
    pub format: Option<ListFormat>,
    /// The folder to read if it is an archive; none reads what the archive holds.
    pub member: Option<String>,
    /// Whether lines that name a public suffix are taken at their word.
    pub public_suffixes: bool,
    /// How it is kept up to date; none for what is on this machine.
    pub download: Option<Download>,
}

/// How a list is downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// From where: https, or http with a signature.
    pub url: String,
    /// How often a newer version is looked for, 15 minutes to 30 days. Default a day.
    pub every: Duration,
    /// How it is known to be its publisher's; none trusts the connection.
    pub signature: Option<Signature>,
    /// Where the differences between versions are.
    pub delta_url: Option<String>,
    /// The most of it, in bytes. Default 64 MiB.
    pub max_bytes: u64,
    /// Whether it may come from an address inside the home.
    pub allow_private: bool,
}

impl Download {
    /// Where it comes from: the list, its deltas, its signature.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        let signature = self.signature.as_ref().and_then(|it| it.url.as_ref());
        let all = [Some(&self.url), self.delta_url.as_ref(), signature];
        all.into_iter().flatten().map(String::as_str)
    }
}

/// How a list is known to be its publisher's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The publisher's minisign keys, in base64; a signature with one of them is enough.
    pub keys: Vec<String>,
    /// Where the signature is; none is the list's address with `.minisig` behind it.
    pub url: Option<String>,
}

/// Where lists are kept and how they are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStore {
    /// What must survive a restart. Default `/var/lib/hedgerow`.
    pub folder: PathBuf,
    /// Where working files go; none is [`Self::work_folder_in`]'s choice.
    pub work_folder: Option<PathBuf>,
    /// Bytes compiling may take, 8 MiB to 1 GiB. Default 8 MiB.
    pub compile_memory: u64,
    /// Whether lists are kept up to date in the background.
    pub update: bool,
}

impl ListStore {
    /// Bytes compiling may take.
    pub const COMPILE_MEMORY: std::ops::RangeInclusive<u64> = 8 << 20..=1 << 30;
    /// The folder unless somebody says otherwise.
    pub const DEFAULT_FOLDER: &str = "/var/lib/hedgerow";
    /// The folder for working files unless somebody says otherwise, where it is there.
    pub const DEFAULT_WORK_FOLDER: &str = "/run/hedgerow";

    /// The compiled lists.
    pub fn index(&self) -> PathBuf {
        self.folder.join("lists.index")
    }

    /// The file that says since when lists in files are not believed.
    pub fn doubts(&self) -> PathBuf {
        self.folder.join("lists.doubted")
    }

    /// The folder of what was downloaded.
    pub fn copies(&self) -> PathBuf {
        self.folder.join("lists")
    }

    /// The last good copy of the list `id`.
    pub fn copy_of(&self, id: &str) -> PathBuf {
        self.copies().join(format!("{id}.list"))
    }

    /// Where working files go: a folder in which one can be made, in memory rather than on flash, and
    /// beside what is kept rather than nowhere.
    pub fn work_folder_in(&self, files: &Files) -> PathBuf {
        let temporary = std::env::temp_dir();
        let usual = [
            Path::new(Self::DEFAULT_WORK_FOLDER),
            &temporary,
            &self.folder,
        ];
        let mut all = self.work_folder.as_deref().into_iter().chain(usual);
        let found = all.find(|folder| files.scratch(folder).is_ok());
        found.unwrap_or(&temporary).to_path_buf()
    }

    /// The same for whoever is about to write: a folder of the household's that is not there, as in
    /// memory after a restart, is made. Where that cannot be, what to tell comes with another.
    pub fn make_work_folder(&self, files: &Files) -> (PathBuf, Option<String>) {
        let made = self.work_folder.as_deref().map(|folder| {
            files.create_folder(folder)?;
            files.scratch(folder).map(drop)
        });
        let folder = self.work_folder_in(files);
        let told = match made {
            Some(Err(error)) => {
                let place = folder.display();
                Some(format!("{error}; working files go to {place}"))
            }
            _ => None,
        };
        (folder, told)
    }
}

/// The categories the program brings lists for, with the tier their blocks have.
pub const CATEGORIES: [(&str, Tier); 19] = {
    use Tier::{ChildSafety, Lists, Security};
    [
        ("adult", ChildSafety),
        ("ads", Lists),
        ("chat", ChildSafety),
        ("dating", ChildSafety),
        ("drugs", ChildSafety),
        ("encrypted-dns", ChildSafety),
        ("extremism", ChildSafety),
        ("gambling", ChildSafety),
        ("games", ChildSafety),
        ("malware", Security),
        ("phishing", Security),
        ("proxy", ChildSafety),
        ("self-harm", ChildSafety),
        ("social-media", ChildSafety),
        ("trackers", Lists),
        ("unsafe-search", ChildSafety),
        ("video", ChildSafety),
        ("violence", ChildSafety),
        ("vpn", ChildSafety),
    ]
};
