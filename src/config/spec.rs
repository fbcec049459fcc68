//! The file as written: one struct for each section, every key optional.
//!
//! The doc comments here are the documentation of the settings: the JSON schema and the commented
//! default configuration are generated from them. Whole numbers are read as `i64` and words as
//! text, so that a value out of range or misspelt is told with its legal values by
//! [`super::resolve`] rather than by serde.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

use super::read::Entry;

/// A value together with its place.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Word<T>(toml::Spanned<T>);

/// A text with its place.
pub(super) type Text = Word<String>;

impl<T> Word<T> {
    /// A value at a place.
    pub(super) fn new(span: std::ops::Range<usize>, value: T) -> Self {
        Self(toml::Spanned::new(span, value))
    }

    /// The value.
    pub(super) fn value(&self) -> &T {
        self.0.get_ref()
    }

    /// Where it stands.
    pub(super) fn span(&self) -> std::ops::Range<usize> {
        self.0.span()
    }
}

impl Text {
    /// The text.
    pub(super) fn text(&self) -> &str {
        self.0.get_ref()
    }
}

/// A resolver, or several of one tier, in a list of either.
#[derive(Clone, Debug)]
pub(super) enum Step {
    One(String),
    Tier(Vec<Text>),
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: serde::Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> serde::de::Visitor<'de> for Reader {
            type Value = Step;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text in quotes, or an array of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Step, E> {
                Ok(Step::One(text.to_owned()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut all: A) -> Result<Step, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = all.next_element()? {
                    words.push(word);
                }
                Ok(Step::Tier(words))
            }
        }
        value.deserialize_any(Reader)
    }
}

#[cfg(test)]
impl JsonSchema for Step {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
        })
    }
}

/// Tables within a section, as in `[[profile.NAME.during]]`. They are read one by one like sections
/// ([`super::read`]), so that one bad key does not hide the rest.
#[derive(Clone, Debug)]
pub(super) struct Tables<T>(pub(super) Vec<Entry<T>>);

impl<'de, T> Deserialize<'de> for Tables<T> {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("tables are read one by one"))
    }
}

#[cfg(test)]
impl<T: JsonSchema> JsonSchema for Tables<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Vec::<T>::json_schema(generator)
    }
}

#[cfg(test)]
impl<T: JsonSchema> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// A section whose settings a later file can replace one by one.
pub(super) trait Section: Default + serde::de::DeserializeOwned {
    /// Takes over what `later` says.
    fn overlay(&mut self, later: Self);
}

/// Declares sections: structs of optional keys that refuse unknown ones.
macro_rules! sections {
    ($($(#[$about:meta])* struct $name:ident { $($(#[$meta:meta])* $key:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[cfg_attr(test, derive(JsonSchema))]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub(super) struct $name { $($(#[$meta])* pub(super) $key: Option<$type>,)* }

        impl Section for $name {
            fn overlay(&mut self, later: Self) {
                $(if later.$key.is_some() { self.$key = later.$key; })*
            }
        }
    )*};
}

sections! {
    /// Where and whom Hedgerow serves.
    struct ServerSpec {
        /// Addresses to answer on, over UDP and TCP. Port 53 unless said.
        listen: Vec<Text>,
        /// Who may ask: addresses and prefixes. Everybody else is refused.
        serve: Vec<Text>,
        /// Largest UDP answer in octets, 512 to 4096.
        udp_payload: Word<i64>,
        /// Threads that answer, 0 to 64. 0 is one for each processor, at most 4.
        workers: Word<i64>,
        /// Account to become after the ports are open. Without it the account stays the same.
        user: Text,
    }

    /// A further address to answer on, with a name by which devices can refer to it.
    struct ListenerSpec {
        /// Address, and port unless it is 53.
        address: Text,
        /// The name.
        name: Text,
    }

    /// Encrypted DNS for the family's devices, at home and wherever they are.
    struct EncryptedSpec {
        /// The name by which devices know this resolver, as it stands in its certificate. A device's
        /// own id stands before it: `ID.dns.home.example`.
        name: Text,
        /// Addresses for DNS over TLS. Port 853 unless said.
        dot: Vec<Text>,
        /// Addresses for DNS over HTTPS, HTTP/1.1 and HTTP/2. Port 443 unless said.
        doh: Vec<Text>,
        /// Addresses for DNS over QUIC. Port 853 unless said.
        doq: Vec<Text>,
        /// Whether the addresses of `doh` answer HTTP/3 too, over UDP.
        http3: bool,
        /// The path of DNS over HTTPS. A device's own id stands behind it: `/dns-query/ID`.
        path: Text,
        /// File of the certificate and those it rests on, in PEM. Without it the household's own
        /// authority makes one.
        certificate: Text,
        /// File of its private key, in PEM.
        key: Text,
    }

    /// A certificate for `[encrypted]` from a public authority, by ACME.
    struct AcmeSpec {
        /// Where the authority is; Let's Encrypt unless said. By naming one you agree to its terms.
        directory: Text,
        /// Where it may write to.
        email: Text,
        /// How it sees that the name is yours: "http" by a page on port 80, "tls" by the connection
        /// on port 443 of `doh`, "dns" by a record. Only "dns" gives a certificate for names with a
        /// device's id, which Android needs.
        challenge: Text,
        /// Where the page of "http" is shown, "0.0.0.0:80" unless said.
        http: Text,
        /// The program that writes the record of "dns": called with `present` or `remove`, with
        /// RECORD_NAME and RECORD_VALUE in its environment; ends when everybody can see it.
        hook: Text,
        /// File with authorities to trust for `directory` besides the usual ones, in PEM.
        ca: Text,
    }

    /// Bounds that keep a flood from hurting.
    struct LimitsSpec {
        /// Queries a second from one client, 0 to 1000000. 0 is no limit. Loopback is exempt.
        queries_per_second: Word<i64>,
        /// Queries a client may send at once after a rest, 1 to 1000000.
        burst: Word<i64>,
        /// Questions that may wait for upstream at the same time, 1 to 65536.
        in_flight: Word<i64>,
        /// The same for one client, at most `in-flight`.
        in_flight_per_client: Word<i64>,
        /// TCP connections at the same time, 1 to 65536.
        tcp_connections: Word<i64>,
        /// The same for one client, at most `tcp-connections`.
        tcp_per_client: Word<i64>,
        /// How long an idle TCP connection stays open, "100ms" to "1h".
        tcp_idle: Text,
        /// How long one TCP message may take to arrive, "100ms" to "1h". The same holds for one
        /// encrypted message and for the handshake before it.
        tcp_read: Text,
        /// Encrypted connections at the same time, 1 to 65536.
        encrypted_connections: Word<i64>,
        /// The same for one client, at most `encrypted-connections`.
        encrypted_per_client: Word<i64>,
        /// Questions that one encrypted connection may have open at the same time, 1 to 1000.
        encrypted_streams: Word<i64>,
        /// How long an idle encrypted connection stays open, "100ms" to "1h".
        encrypted_idle: Text,
        /// Ceiling for everything that grows with traffic (cache, journal, waiting questions,
        /// connections), "1 MiB" to "64 GiB". The lists come on top.
        memory: Text,
    }

    /// The cache of upstream answers.
    struct CacheSpec {
        /// Memory it may take, within the `memory` of `[limits]`. "0" switches it off. With a
        /// `memory` below "12 MiB" the default is a quarter of that.
        size: Text,
        /// The shortest time an answer is kept, "0" to "1d".
        min_ttl: Text,
        /// The longest time an answer is kept, "0" to "7d" (RFC 8767 section 4).
        max_ttl: Text,
        /// The longest time a "no such name" is kept, "0" to "1d" (RFC 2308 section 5).
        max_negative_ttl: Text,
        /// How long after its end an answer may still be used while upstream is silent, "0" to
        /// "7d" (RFC 8767). "0" switches that off.
        serve_stale: Text,
    }

    /// Who answers what Hedgerow cannot.
    struct UpstreamSpec {
        /// Resolvers: "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53", "tcp://192.0.2.1" for TCP
        /// only, encrypted "tls://192.0.2.1#dns.example", "https://dns.example/dns-query", "quic://…",
        /// "h3://…", or a word for a public one that filters for families, such as "dns4eu-child".
        /// The quickest is asked first. None means those of `resolv-conf`.
        servers: Vec<Text>,
        /// Resolvers that are asked while none of `servers` answers; as a list of lists, one tier
        /// after the other.
        fallback: Vec<Word<Step>>,
        /// Resolvers, given by address, that are asked where those are that are given by name.
        bootstrap: Vec<Text>,
        /// Whom to believe about certificates: those that came with the program, or the system's.
        #[cfg_attr(test, schemars(extend("enum" = ["built-in", "system"])))]
        roots: Text,
        /// File of further authorities to believe, in PEM.
        ca: Text,
        /// The whole time one question may take, "100ms" to "30s".
        budget: Text,
        /// Questions in mixed case, a further guard against forged answers.
        mixed_case: bool,
        /// File that lists the system's resolvers.
        resolv_conf: Text,
    }

    /// Resolvers for one domain and all below it, such as the home's or a company's.
    struct ForwardSpec {
        /// The domain.
        domain: Text,
        /// Its resolvers in order, written as in `[upstream]`.
        servers: Word<Vec<Text>>,
    }

    /// Resolvers that some profiles ask in place of those of `[upstream]`, by name. Lifelines are asked
    /// of those of `[upstream]` all the same.
    struct ResolversSpec {
        /// The first choice, written as in `[upstream]`.
        servers: Vec<Text>,
        /// Resolvers that are asked while none of `servers` answers; as a list of lists, one tier
        /// after the other.
        fallback: Vec<Word<Step>>,
    }

    /// Whether answers are what their owners signed.
    struct DnssecSpec {
        /// Signatures are checked: what is wrong is not answered.
        validate: Word<bool>,
        /// Domains at and below which nothing is checked, such as one whose owner made a mistake.
        negative_trust_anchors: Vec<Text>,
        /// Keys to trust besides the root's, as DS records, such as those of a zone of one's own.
        trust_anchors: Vec<Text>,
    }

    /// Where the time comes from while the machine's own clock shows one that cannot be, as on a router
    /// without a battery. The machine's clock is never set.
    struct TimeSpec {
        /// NTP servers by address or by name, three at least: three have to agree. None asks nobody.
        servers: Word<Vec<Text>>,
    }

    /// What is remembered of queries, in memory. What a profile lets be remembered is its
    /// `privacy` setting.
    struct JournalSpec {
        /// Memory for the query log, within the `memory` of `[limits]`. "0" keeps none. With a
        /// `memory` below "16 MiB" the default is a sixteenth of that.
        size: Text,
    }

    /// The local control socket, which `hedgerow status`, `reload` and others use.
    struct ControlSpec {
        /// Whether there is one.
        enabled: bool,
        /// Its path.
        socket: Text,
        /// Group whose members may use it, besides the daemon's own account.
        group: Text,
    }

    /// Numbers for Prometheus.
    struct MetricsSpec {
        /// Address and port of the page. Without it there is none.
        listen: Text,
    }

    /// The daemon's own log. It names no queries.
    struct LogSpec {
        /// What is written.
        #[cfg_attr(test, schemars(extend("enum" = ["error", "warn", "info", "debug", "trace"])))]
        level: Text,
        /// Where to. `auto` is journald when systemd started the daemon, else standard error.
        #[cfg_attr(test, schemars(extend("enum" = ["auto", "stderr", "journald", "syslog"])))]
        target: Text,
    }

    /// What holds for everybody in the home.
    struct HouseholdSpec {
        /// The profile of a device before somebody said whose it is.
        guest_profile: Text,
        /// Names that are let through for everybody.
        allow: Vec<Text>,
        /// Names that are blocked for everybody.
        block: Vec<Text>,
        /// Where access can be asked for, as `mailto:` or `tel:` URIs: told to programs that can
        /// show it.
        contact: Vec<Text>,
        /// The language in which a block is explained.
        #[cfg_attr(test, schemars(extend("enum" = ["en", "ar", "de", "es", "fr", "hi", "pt", "ru", "vi", "zh"])))]
        language: Text,
        /// The zone of the household's clocks: its name, or its rule as POSIX writes it, as in
        /// "CET-1CEST,M3.5.0,M10.5.0/3". The system's unless said.
        time_zone: Text,
    }

    /// Times of the week that profiles refer to by name.
    struct ScheduleSpec {
        /// When it holds: "sun-thu 20:30-06:30", or "08:00-12:00" for every day. A window belongs to
        /// the day it begins on.
        windows: Word<Vec<Text>>,
        /// The only dates on which windows begin: "2026-05-01", "2026-12-20..2027-01-06". Every day
        /// unless said.
        dates: Vec<Text>,
        /// Dates on which no window begins.
        except: Vec<Text>,
    }

    /// What is closed while a schedule holds. For the same schedule it stands in place of what is
    /// inherited.
    struct DuringSpec {
        /// The schedule.
        schedule: Text,
        /// What is closed: categories, services, names, `everything`. `[]` takes back what is
        /// inherited.
        close: Word<Vec<Text>>,
        /// What stays open of it.
        open: Vec<Text>,
        /// What stays open of everything, in place of `close` and `open`.
        only: Word<Vec<Text>>,
    }

    /// What is open for a certain time only. It stands in place of an inherited quota of the same.
    struct QuotaSpec {
        /// What is counted together: categories, services, names, `everything`.
        of: Word<Vec<Text>>,
        /// The time, "0" to "7d". All of a day or week is no limit.
        time: Text,
        /// How often it begins anew.
        #[cfg_attr(test, schemars(extend("enum" = ["day", "week"])))]
        per: Text,
        /// The time of the day at which it does.
        reset: Text,
        /// The day of the week on which it does.
        #[cfg_attr(test, schemars(extend("enum" = [
            "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
        ])))]
        reset_day: Text,
        /// Unused time that goes over into the next day or week, at most.
        roll_over: Text,
        /// How long one query counts as activity, "30s" to "30m".
        linger: Text,
    }

    /// How devices are told apart beyond what `[[device]]` says.
    struct IdentitySpec {
        /// Ask the kernel which MAC address stands behind an address, and follow what changes.
        neighbours: bool,
        /// Lease files of DHCP servers. The usual places are looked at unless said; `[]` for none.
        leases: Vec<Text>,
        /// File of MAC addresses and the names or addresses that belong to them.
        ethers: Text,
        /// Ask devices on our links what they call themselves (multicast DNS, and resolvers of a
        /// `[[forward]]` for reverse names), for people who give names.
        ask_names: bool,
        /// Domain in which devices have names: `tablet.home.arpa`. `""` switches that off.
        home_domain: Text,
        /// File of the devices that `hedgerow device` names; its name ends in `.toml`. `devices.toml`
        /// in the `folder` of `[lists]` unless said.
        devices_file: Text,
    }

    /// The table of firewall rules that keeps devices on this resolver, where it runs on the gateway:
    /// `hedgerow firewall apply`.
    struct FirewallSpec {
        /// Network interfaces behind which the family's devices are. None means that there is no
        /// table.
        interfaces: Vec<Text>,
        /// What devices ask of other resolvers on port 53 is answered here.
        redirect_dns: bool,
        /// DNS over TLS and over QUIC (port 853) is rejected.
        block_encrypted: bool,
        /// Whatever goes to the addresses of known public resolvers is rejected.
        block_resolvers: bool,
        /// The devices that are kept here, by name; they need a `mac`. All behind the interfaces
        /// unless said, which is what holds for a device that changes its MAC address too.
        devices: Vec<Text>,
        /// Devices that are left alone, by name; they need a `mac`.
        except: Vec<Text>,
    }

    /// A resolver or load balancer in front of Hedgerow whose word about its clients counts. A query
    /// it says nothing of is its own.
    struct ForwarderSpec {
        /// Addresses or prefixes it asks from.
        address: Word<Vec<Text>>,
        /// MAC addresses it has. With any, whoever merely takes its address is not believed, and
        /// where the MAC address cannot be seen nobody is.
        mac: Word<Vec<Text>>,
        /// The EDNS options in which it names its clients: `mac` (numbers 65001 and 65073), `cpe-id`
        /// (65074), `subscriber` (`subscriber-option`), `client-subnet` (8). Only what it always
        /// writes itself belongs here: the rest is its clients' own to write.
        #[cfg_attr(test, schemars(extend("items" = {
            "type": "string", "enum": ["mac", "cpe-id", "subscriber", "client-subnet"],
        })))]
        trust: Vec<Text>,
        /// Number of the EDNS option that holds the id of a subscriber, 65002 to 65534.
        subscriber_option: Word<i64>,
        /// Whether its TCP connections begin with a PROXY header of version 2, which names the
        /// client. One without is closed then.
        proxy: bool,
    }

    /// A device and the profile it belongs to. Of several devices that match, the most specific
    /// counts.
    struct DeviceSpec {
        /// Its name, as people know it.
        name: Text,
        /// Its profile.
        profile: Text,
        /// MAC addresses it has, one for each of its network interfaces. A device with any is not
        /// known by `address` where its MAC address can be seen.
        mac: Word<Vec<Text>>,
        /// Ids of its line or router, as a `[[forwarder]]` says them.
        cpe_id: Word<Vec<Text>>,
        /// Ids of its subscriber, as a `[[forwarder]]` says them.
        subscriber: Word<Vec<Text>>,
        /// Its own ids, by which it is known to `[encrypted]` wherever it is: at least 26 of the
        /// characters a to z and 2 to 7, as nobody can guess them. Whoever knows one can ask as this
        /// device; taking it out revokes it.
        ids: Word<Vec<Text>>,
        /// Addresses or prefixes it asks from.
        address: Word<Vec<Text>>,
        /// Network interface its queries come in on.
        interface: Text,
        /// Name of the `[[listener]]` it asks.
        listener: Text,
        /// Names that are let through on this device.
        allow: Vec<Text>,
        /// Names that are blocked on this device.
        block: Vec<Text>,
    }

    /// A list of names.
    struct ListSpec {
        /// Its id: lower-case letters, digits and `-`.
        id: Text,
        /// The category it fills, one of the program's or a new one.
        category: Text,
        /// What its names are for: `block` (the default), `allow`, `lifeline` (never blocked) or
        /// `sealed` (blocked for everybody, its names shown nowhere).
        #[cfg_attr(test, schemars(extend("enum" = ["block", "allow", "lifeline", "sealed"])))]
        kind: Text,
        /// An entry of the catalogue (`hedgerow lists catalogue`), which says `id`, `url`,
        /// `format` and `category` unless they stand here.
        catalogue: Text,
        /// The file it is in.
        file: Text,
        /// Where it is downloaded from: https, or http where `signature-key` is given.
        url: Text,
        /// Its lines, instead of a file or an address.
        lines: Word<Vec<Text>>,
        /// Its syntax. Detected from the content unless said.
        #[cfg_attr(test, schemars(extend("enum" = [
            "domains", "hosts", "wildcards", "adblock", "dnsmasq", "unbound", "rpz", "regex", "sealed",
        ])))]
        format: Text,
        /// The folder to read of an archive that holds many lists.
        member: Text,
        /// Take lines that name a public suffix (`co.uk`, `github.io`) at their word.
        public_suffixes: bool,
        /// How often to look for a newer version, "15m" to "30d".
        update: Text,
        /// The minisign key that signs the list. Nothing unsigned is used then. While a key is being
        /// replaced both can stand here, with a blank between them.
        signature_key: Text,
        /// Where its signature is. `url` with `.minisig` behind it unless said.
        signature_url: Text,
        /// Where the differences between its versions are, `{from}` standing for the one at hand.
        delta_url: Text,
        /// The most that is downloaded of it, "1 KiB" to "4 GiB".
        max_size: Text,
        /// Let `url` lead to an address inside the home.
        allow_private: Word<bool>,
    }

    /// All lists: those that came with the program, and where lists are kept and compiled.
    struct ListsSpec {
        /// Whether the lists that came with the program are used. The lifelines always are.
        starter: bool,
        /// Folder for what must survive a restart: the compiled lists, and the last good copies of
        /// those that are downloaded. Under systemd it is that of `StateDirectory` unless said.
        folder: Text,
        /// Folder for working files while lists are compiled, best one in memory. /run/hedgerow
        /// unless said, or the system's folder for such files where that is not there.
        work_folder: Text,
        /// Memory that compiling may take, "8 MiB" to "1 GiB". More is faster.
        compile_memory: Text,
        /// Whether lists with a `url` are kept up to date.
        update: bool,
    }

    /// The rules of one child or group. A profile named like a preset changes that preset.
    struct ProfileSpec {
        /// The preset or profile it starts from.
        inherits: Text,
        /// The birth date, as in "2015-05-03", in place of a preset: that of the age holds, and
        /// changes on its birthday. From 18 on the profile closes nothing any more.
        born: Text,
        /// With `born`: the rules do not end at 18.
        keep_controls: Word<bool>,
        /// The categories that are blocked, in place of those it starts from.
        categories: Vec<Text>,
        /// Categories to block as well.
        block: Vec<Text>,
        /// Categories to open.
        unblock: Vec<Text>,
        /// Blocklists to use beyond the categories, by id.
        block_lists: Vec<Text>,
        /// Allowlists to use, by id or by category.
        allow_lists: Vec<Text>,
        /// Lists not to take over from the profile it starts from.
        without_lists: Vec<Text>,
        /// Names that are let through.
        allow: Vec<Text>,
        /// Names that are blocked.
        block_names: Vec<Text>,
        /// Only what is on an allowlist or in `allow` can be reached.
        allow_only: bool,
        /// Search engines in their safe form.
        safe_search: bool,
        /// Search engines without a safe form are blocked; the same as the category
        /// `unsafe-search`.
        block_unsafe_search: Word<bool>,
        /// Restriction of the video service.
        #[cfg_attr(test, schemars(extend("enum" = ["off", "moderate", "strict"])))]
        youtube: Text,
        /// Ways round the filter are closed.
        close_bypass: bool,
        /// Names in other scripts that look like a blocked one are blocked. As `close-bypass`
        /// unless said.
        look_alikes: bool,
        /// Types that no ordinary program asks for are blocked. As `close-bypass` unless said.
        unusual_types: bool,
        /// Data hidden in names is stopped. As `close-bypass` unless said.
        tunnels: bool,
        /// Names that nobody would type and no list knows are blocked: rows of letters and figures
        /// without a word in them.
        unusual_names: bool,
        /// Public names that point into the home are not answered.
        block_rebinding: bool,
        /// Its devices reach only addresses that were just answered to them. Needs the table of
        /// `[firewall]`, and devices with `mac`.
        pinned_egress: bool,
        /// How a block is answered. `null` is 0.0.0.0 and ::, `address` is `block-addresses`.
        #[cfg_attr(test, schemars(extend("enum" = ["null", "nxdomain", "nodata", "refused", "address"])))]
        block_answer: Text,
        /// Addresses that stand in for what is blocked, such as a page that explains.
        block_addresses: Word<Vec<Text>>,
        /// How long a client may keep an answer of Hedgerow's own, "0" to "1h".
        block_ttl: Text,
        /// What holds when a list that is needed could not be loaded.
        #[cfg_attr(test, schemars(extend("enum" = ["allow", "block"])))]
        when_unsure: Text,
        /// What is remembered of queries: `names`, `categories` (and times), or `none` (totals
        /// only). Lifelines never are.
        #[cfg_attr(test, schemars(extend("enum" = ["names", "categories", "none"])))]
        privacy: Text,
        /// The group of `[resolvers.NAME]` that is asked for it, or "household" for those of
        /// `[upstream]`.
        resolvers: Text,
        /// The language in which a block is explained. The household's unless said.
        #[cfg_attr(test, schemars(extend("enum" = ["en", "ar", "de", "es", "fr", "hi", "pt", "ru", "vi", "zh"])))]
        language: Text,
        /// What is closed while schedules hold.
        during: Tables<DuringSpec>,
        /// What is open for a certain time only.
        quota: Tables<QuotaSpec>,
        /// What schedules mean while the clock is not set, as after a boot without network: what
        /// they would ever close is closed, or all of it is open.
        #[cfg_attr(test, schemars(extend("enum" = ["close", "open"])))]
        when_clock_unset: Text,
    }

    /// Something that must stay so: a configuration that breaks it does not take effect.
    struct TestSpec {
        /// What it is about, in words. Made of the rest unless said.
        title: Text,
        /// The name that is asked for.
        name: Text,
        /// The service, in place of `name`: every name of it.
        service: Text,
        /// The category, in place of `name`: names of its lists and services.
        category: Text,
        /// The type that is asked for. `A` unless said.
        r#type: Text,
        /// The device that asks.
        device: Text,
        /// The profile, in place of `device`.
        profile: Text,
        /// When: "sat 15:00" is the next one on the household's clocks, "2026-12-24 20:30" a date.
        /// Without it no schedule closes anything.
        at: Text,
        /// What must come of it.
        #[cfg_attr(test, schemars(extend("enum" = ["allow", "block"])))]
        expect: Text,
        /// What must have decided: its kind (`schedule`, `quota`, `rule`, `allow-only` …), its tier, a
        /// category, a service or a schedule.
        because: Text,
    }
}

/// Everything that can stand in a configuration file. It exists for the schema; files are read
/// section by section ([`super::read`]).
#[cfg(test)]
#[derive(JsonSchema)]
#[schemars(
    rename_all = "kebab-case",
    deny_unknown_fields,
    title = "Hedgerow configuration"
)]
#[expect(dead_code, reason = "only its shape is used")]
pub(super) struct Spec {
    server: Option<ServerSpec>,
    listener: Option<Vec<ListenerSpec>>,
    encrypted: Option<EncryptedSpec>,
    acme: Option<AcmeSpec>,
    limits: Option<LimitsSpec>,
    cache: Option<CacheSpec>,
    upstream: Option<UpstreamSpec>,
    forward: Option<Vec<ForwardSpec>>,
    resolvers: Option<std::collections::BTreeMap<String, ResolversSpec>>,
    dnssec: Option<DnssecSpec>,
    time: Option<TimeSpec>,
    journal: Option<JournalSpec>,
    control: Option<ControlSpec>,
    metrics: Option<MetricsSpec>,
    log: Option<LogSpec>,
    household: Option<HouseholdSpec>,
    schedule: Option<std::collections::BTreeMap<String, ScheduleSpec>>,
    identity: Option<IdentitySpec>,
    firewall: Option<FirewallSpec>,
    forwarder: Option<Vec<ForwarderSpec>>,
    device: Option<Vec<DeviceSpec>>,
    list: Option<Vec<ListSpec>>,
    lists: Option<ListsSpec>,
    profile: Option<std::collections::BTreeMap<String, ProfileSpec>>,
    test: Option<Vec<TestSpec>>,
}

/// The JSON schema of a configuration file, for editors: what follows from [`Spec`], kept beside the
/// code since making it takes several times as much program.
pub const fn schema() -> &'static str {
    include_str!("schema.json")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::Files;

    /// After a wanted change `HEDGEROW_BLESS=1` writes the schema anew, to be read in the diff.
    #[test]
    fn the_schema_says_what_the_code_says() {
        let generated = schemars::schema_for!(Spec);
        let generated = serde_json::to_string_pretty(&generated).unwrap() + "\n";
        if std::env::var_os("HEDGEROW_BLESS").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/schema.json");
            Files::disk().replace(&path, generated.as_bytes()).unwrap();
            return;
        }
        assert_eq!(schema(), generated);
    }

    #[test]
    fn the_schema_refuses_what_reading_refuses() {
        let schema: serde_json::Value = serde_json::from_str(schema()).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        let sections = schema["$defs"].as_object().unwrap();
        assert_eq!(sections.len(), 27);
        for (name, section) in sections {
            assert_eq!(section["additionalProperties"], false, "{name}");
            // Every key is optional: a later file may say the rest.
            assert!(section.get("required").is_none(), "{name}");
        }
        let levels = &schema["$defs"]["LogSpec"]["properties"]["level"]["enum"];
        assert_eq!(levels.as_array().unwrap().len(), 5);
    }
}
