//! The file as written: one struct for each section, every key optional.
//!
//! The doc comments here are the documentation of the settings: the JSON schema and the commented
//! default configuration are generated from them. Whole numbers are read as `i64` and words as
//! text, so that a value out of range or misspelt is told with its legal values by
//! [`super::resolve`] rather than by serde.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Deserialize;

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
        /// How long one TCP message may take to arrive, "100ms" to "1h".
        tcp_read: Text,
        /// Ceiling for everything that grows with traffic (cache, journal, waiting questions,
        /// connections), "1 MiB" to "64 GiB". The lists come on top.
        memory: Text,
    }

    /// The cache of upstream answers.
    struct CacheSpec {
        /// Memory it may take, within the `memory` of `[limits]`. "0" switches it off. With a
        /// `memory` below "16 MiB" the default is a quarter of that.
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
        /// Resolvers in order: "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53", and
        /// "tcp://192.0.2.1" for TCP only. None means those of `resolv-conf`.
        servers: Vec<Text>,
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
        /// Public names that point into the home are not answered.
        block_rebinding: bool,
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
    limits: Option<LimitsSpec>,
    cache: Option<CacheSpec>,
    upstream: Option<UpstreamSpec>,
    forward: Option<Vec<ForwardSpec>>,
    journal: Option<JournalSpec>,
    control: Option<ControlSpec>,
    metrics: Option<MetricsSpec>,
    log: Option<LogSpec>,
    household: Option<HouseholdSpec>,
    identity: Option<IdentitySpec>,
    forwarder: Option<Vec<ForwarderSpec>>,
    device: Option<Vec<DeviceSpec>>,
    list: Option<Vec<ListSpec>>,
    lists: Option<ListsSpec>,
    profile: Option<std::collections::BTreeMap<String, ProfileSpec>>,
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
        assert_eq!(sections.len(), 17);
        for (name, section) in sections {
            assert_eq!(section["additionalProperties"], false, "{name}");
            // Every key is optional: a later file may say the rest.
            assert!(section.get("required").is_none(), "{name}");
        }
        let levels = &schema["$defs"]["LogSpec"]["properties"]["level"]["enum"];
        assert_eq!(levels.as_array().unwrap().len(), 5);
    }
}
