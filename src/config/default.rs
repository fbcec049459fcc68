//! The commented default configuration, put together from the docs of the settings.

use serde_json::Value;

use super::network::DEFAULT_SERVE;
use super::resolve::DEFAULT_SOCKET;
use super::upstream::DEFAULT_RESOLV_CONF;

/// A configuration file that says what holds anyway, with every setting explained; the lines that
/// would change something or name somebody are comments.
pub fn default_text() -> String {
    let schema: Value = serde_json::from_str(super::schema()).unwrap_or_default();
    let mut text = INTRODUCTION.to_owned();
    for (section, header, keys) in LAYOUT {
        let spec = spec_of(&schema, section);
        text.push('\n');
        comment(&mut text, spec["description"].as_str().unwrap_or_default());
        // The header of an example is one too.
        let example = header.starts_with("# ");
        text.push_str(header);
        text.push('\n');
        for (key, value) in *keys {
            let about = spec["properties"][key]["description"].as_str();
            comment(&mut text, about.unwrap_or_default());
            let mark = if example || value.starts_with(UNSET) {
                "# "
            } else {
                ""
            };
            let value = value.trim_start_matches(UNSET);
            match value {
                "SERVE" => text.push_str(&format!("{key} = {}\n", array(&DEFAULT_SERVE))),
                "SOCKET" => text.push_str(&format!("{key} = {DEFAULT_SOCKET:?}\n")),
                "RESOLV" => text.push_str(&format!("{key} = {DEFAULT_RESOLV_CONF:?}\n")),
                value => text.push_str(&format!("{mark}{key} = {value}\n")),
            }
        }
    }
    text
}

/// Marks the value of a setting that is not set unless somebody sets it.
const UNSET: char = '?';

/// A section: its name in the schema, its header, its keys with their defaults.
type Layout = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const INTRODUCTION: &str = "\
# Hedgerow's configuration. Without any line of it everything works: every device is a guest, and
# what a guest may reach is strict. Each setting stands here with its default. Lines that begin
# with `# ` and a setting are examples: take the `# ` away and put your own words in.
#
# Files under `conf.d/` beside this one are read after it, files under `profiles/` hold profiles.
# `hedgerow check` tells what is wrong. Sizes have units (\"4 MiB\"), and so have times (\"1.5s\",
# \"10m\", \"1d\").
";

/// The order in which people read the settings.
const LAYOUT: &[Layout] = &[
    (
        "server",
        "[server]",
        &[
            ("listen", "[\"0.0.0.0:53\", \"[::]:53\"]"),
            ("serve", "SERVE"),
            ("udp-payload", "1232"),
            ("workers", "0"),
            ("user", "?\"hedgerow\""),
        ],
    ),
    (
        "household",
        "[household]",
        &[
            ("guest-profile", "\"guest\""),
            ("allow", "[]"),
            ("block", "[]"),
            ("contact", "[]"),
            ("language", "\"en\""),
            ("time-zone", "?\"Europe/Berlin\""),
        ],
    ),
    (
        "schedule",
        "# [schedule.bedtime]",
        &[
            (
                "windows",
                "[\"sun-thu 20:30-06:30\", \"fri,sat 22:00-07:30\"]",
            ),
            ("dates", "[\"2026-12-20..2027-01-06\"]"),
            ("except", "[\"2026-12-24\"]"),
        ],
    ),
    (
        "identity",
        "[identity]",
        &[
            ("neighbours", "true"),
            ("leases", "?[\"/tmp/dhcp.leases\"]"),
            ("ethers", "\"/etc/ethers\""),
            ("ask-names", "true"),
            ("home-domain", "\"home.arpa\""),
            ("devices-file", "?\"/var/lib/hedgerow/devices.toml\""),
        ],
    ),
    (
        "firewall",
        "[firewall]",
        &[
            ("interfaces", "[]"),
            ("redirect-dns", "true"),
            ("block-encrypted", "true"),
            ("block-resolvers", "true"),
            ("devices", "[]"),
            ("except", "[]"),
        ],
    ),
    (
        "forwarder",
        "# [[forwarder]]",
        &[
            ("address", "[\"192.168.1.1\"]"),
            ("mac", "[\"00:00:5e:00:53:01\"]"),
            ("trust", "[\"mac\"]"),
            ("subscriber-option", "65280"),
            ("proxy", "false"),
        ],
    ),
    (
        "device",
        "# [[device]]",
        &[
            ("name", "\"tablet\""),
            ("profile", "\"schoolchild\""),
            ("mac", "[\"00:00:5e:00:53:14\"]"),
            ("cpe-id", "[\"line-0815\"]"),
            ("subscriber", "[\"family-4711\"]"),
            ("ids", "[\"mzxw6ytboi5hk3tpojsxg5dbnq\"]"),
            ("address", "[\"192.168.1.20\", \"2001:db8::20\"]"),
            ("interface", "\"br-kids\""),
            ("listener", "\"kids\""),
            ("allow", "[\"school.example\"]"),
            ("block", "[\"*.game.example\"]"),
        ],
    ),
    (
        "profile",
        "# [profile.mia]",
        &[
            ("inherits", "\"schoolchild\""),
            ("born", "\"2015-05-03\""),
            ("keep-controls", "false"),
            ("categories", "[\"adult\", \"gambling\"]"),
            ("block", "[\"games\"]"),
            ("unblock", "[\"chat\"]"),
            ("block-lists", "[\"our-blocks\"]"),
            ("allow-lists", "[\"children\"]"),
            ("without-lists", "[\"our-blocks\"]"),
            ("allow", "[\"school.example\"]"),
            ("block-names", "[\"=www.example.org\"]"),
            ("allow-only", "false"),
            ("safe-search", "true"),
            ("block-unsafe-search", "true"),
            ("youtube", "\"strict\""),
            ("close-bypass", "true"),
            ("look-alikes", "true"),
            ("unusual-types", "true"),
            ("tunnels", "true"),
            ("unusual-names", "true"),
            ("block-rebinding", "true"),
            ("pinned-egress", "false"),
            ("block-answer", "\"null\""),
            ("block-addresses", "[\"192.168.1.1\"]"),
            ("block-ttl", "\"10s\""),
            ("when-unsure", "\"block\""),
            ("privacy", "\"names\""),
            ("resolvers", "\"small\""),
            ("language", "\"de\""),
            (
                "during",
                "[{ schedule = \"bedtime\", close = [\"everything\"] }]",
            ),
            (
                "quota",
                "[{ of = [\"games\"], time = \"2h\", per = \"day\" }]",
            ),
            ("when-clock-unset", "\"close\""),
        ],
    ),
    (
        "test",
        "# [[test]]",
        &[
            ("title", "\"no Roblox for Mia\""),
            ("service", "\"roblox\""),
            ("profile", "\"mia\""),
            ("at", "\"sat 15:00\""),
            ("expect", "\"block\""),
            ("because", "\"games\""),
            ("name", "\"www.roblox.com\""),
            ("category", "\"gambling\""),
            ("type", "\"AAAA\""),
            ("device", "\"tablet\""),
        ],
    ),
    (
        "lists",
        "[lists]",
        &[
            ("starter", "true"),
            ("update", "true"),
            ("folder", "?\"/var/lib/hedgerow\""),
            ("work-folder", "?\"/run/hedgerow\""),
            ("compile-memory", "\"8 MiB\""),
        ],
    ),
    (
        "list",
        "# [[list]]",
        &[
            ("id", "\"our-blocks\""),
            ("category", "\"games\""),
            ("kind", "\"block\""),
            ("file", "\"lists/games.txt\""),
            ("lines", "[\"game.example\"]"),
            ("url", "\"https://lists.example/games.txt\""),
            ("catalogue", "\"ut1-games\""),
            ("format", "\"domains\""),
            ("member", "\"games\""),
            ("public-suffixes", "false"),
            ("update", "\"1d\""),
            ("max-size", "\"64 MiB\""),
            (
                "signature-key",
                "\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"",
            ),
            (
                "signature-url",
                "\"https://lists.example/games.txt.minisig\"",
            ),
            ("delta-url", "\"https://lists.example/games/{from}.delta\""),
            ("allow-private", "false"),
        ],
    ),
    (
        "upstream",
        "[upstream]",
        &[
            ("servers", "[]"),
            ("fallback", "[]"),
            ("bootstrap", "[]"),
            ("roots", "\"built-in\""),
            ("ca", "?\"household.pem\""),
            ("resolv-conf", "RESOLV"),
            ("budget", "\"2s\""),
            ("mixed-case", "true"),
        ],
    ),
    (
        "forward",
        "# [[forward]]",
        &[
            ("domain", "\"home.arpa\""),
            ("servers", "[\"192.168.1.1\"]"),
        ],
    ),
    (
        "resolvers",
        "# [resolvers.small]",
        &[
            ("servers", "[\"dns4eu-child\"]"),
            ("fallback", "[\"cleanbrowsing-family\"]"),
        ],
    ),
    (
        "dnssec",
        "[dnssec]",
        &[
            ("validate", "false"),
            ("negative-trust-anchors", "[]"),
            ("trust-anchors", "[]"),
        ],
    ),
    (
        "time",
        "[time]",
        &[(
            "servers",
            "?[\"192.0.2.123\", \"198.51.100.123\", \"time.example\"]",
        )],
    ),
    (
        "listener",
        "# [[listener]]",
        &[("address", "\"192.168.2.1:53\""), ("name", "\"kids\"")],
    ),
    (
        "cache",
        "[cache]",
        &[
            ("size", "\"3 MiB\""),
            ("min-ttl", "\"0\""),
            ("max-ttl", "\"1d\""),
            ("max-negative-ttl", "\"1h\""),
            ("serve-stale", "\"1d\""),
        ],
    ),
    (
        "encrypted",
        "[encrypted]",
        &[
            ("name", "?\"dns.home.example\""),
            ("dot", "?[\"0.0.0.0:853\", \"[::]:853\"]"),
            ("doh", "?[\"0.0.0.0:443\", \"[::]:443\"]"),
            ("doq", "?[\"0.0.0.0:853\", \"[::]:853\"]"),
            ("http3", "false"),
            ("path", "\"/dns-query\""),
            ("certificate", "?\"/etc/hedgerow/cert.pem\""),
            ("key", "?\"/etc/hedgerow/key.pem\""),
        ],
    ),
    (
        "acme",
        "[acme]",
        &[
            (
                "directory",
                "?\"https://acme-v02.api.letsencrypt.org/directory\"",
            ),
            ("email", "?\"parents@home.example\""),
            ("challenge", "?\"dns\""),
            ("http", "?\"0.0.0.0:80\""),
            ("hook", "?\"/etc/hedgerow/dns-hook\""),
            ("ca", "?\"/etc/hedgerow/acme-ca.pem\""),
        ],
    ),
    (
        "limits",
        "[limits]",
        &[
            ("queries-per-second", "1000"),
            ("burst", "2000"),
            ("in-flight", "512"),
            ("in-flight-per-client", "64"),
            ("tcp-connections", "256"),
            ("tcp-per-client", "16"),
            ("tcp-idle", "\"10s\""),
            ("tcp-read", "\"5s\""),
            ("encrypted-connections", "64"),
            ("encrypted-per-client", "16"),
            ("encrypted-streams", "64"),
            ("encrypted-idle", "\"30s\""),
            ("memory", "\"16 MiB\""),
        ],
    ),
    ("journal", "[journal]", &[("size", "\"1 MiB\"")]),
    (
        "control",
        "[control]",
        &[
            ("enabled", "true"),
            ("socket", "SOCKET"),
            ("group", "?\"hedgerow\""),
        ],
    ),
    ("metrics", "[metrics]", &[("listen", "?\"127.0.0.1:9153\"")]),
    (
        "log",
        "[log]",
        &[("level", "\"info\""), ("target", "\"auto\"")],
    ),
];

/// The schema of one section, past arrays, maps and references.
fn spec_of<'s>(schema: &'s Value, section: &str) -> &'s Value {
    let mut at = &schema["properties"][section];
    for _ in 0..4 {
        let next = [&at["items"], &at["additionalProperties"], &at["anyOf"][0]]
            .into_iter()
            .find(|next| next.is_object());
        if let Some(name) = at["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            at = &schema["$defs"][name];
        } else if let (Some(next), None) = (next, at.get("description")) {
            at = next;
        }
    }
    at
}

/// `text` as comment lines of at most 100 columns.
fn comment(to: &mut String, text: &str) {
    const WIDTH: usize = 100;
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            to.push_str(&line);
            to.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    to.push_str(&line);
    to.push('\n');
}

/// Words as an array of TOML, broken into lines when it is long.
fn array(words: &[&str]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("    {word:?},\n"))
        .collect();
    format!("[\n{}]", quoted.concat())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Overrides, load_embedded};
    use super::*;
    use crate::files::MemoryFiles;

    const SHIPPED: &str = include_str!("../../config/hedgerow.toml");

    #[test]
    fn the_shipped_file_is_the_generated_one() {
        let text = default_text();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/hedgerow.toml");
            let disk = crate::files::Files::disk();
            disk.replace(std::path::Path::new(path), text.as_bytes())
                .unwrap();
        } else {
            assert_eq!(text, SHIPPED, "UPDATE_GOLDEN=1 writes it anew");
        }
    }

    #[test]
    fn the_default_file_says_what_holds_anyway() {
        let files = MemoryFiles::new().files();
        let loaded = load_embedded(&default_text(), &files, &Overrides::default());
        assert_eq!(loaded.diagnostics, []);
        assert_eq!(loaded.config, Some(Config::default_home()));
    }

    /// Examples are settings too: with every `# key = ` line taken in, the file still loads.
    #[test]
    fn the_examples_load() {
        let text: String = default_text()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                // The one list takes its names from an address, not from elsewhere as well, and the
                // one test asks for a service of a profile. The birth date stands for `inherits`,
                // and `[acme]` for files with a certificate.
                Some(rest)
                    if [
                        "lines =",
                        "file =",
                        "name = \"www.roblox.com\"",
                        "category = \"gambling\"",
                        "device =",
                        "inherits =",
                        "certificate =",
                        "key = \"/etc/hedgerow/key.pem\"",
                    ]
                    .iter()
                    .any(|key| rest.starts_with(key)) =>
                {
                    String::new()
                }
                Some(rest) if rest.starts_with('[') || is_setting(rest) => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let memory = MemoryFiles::new();
        memory.put("lists/games.txt", "game.example\n");
        let household = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
        memory.put("household.pem", household.cert.pem());
        let loaded = load_embedded(&text, &memory.files(), &Overrides::default());
        let messages: Vec<_> = loaded
            .diagnostics
            .iter()
            .map(|d| d.message.as_str())
            .collect();
        assert_eq!(messages, ["`block-addresses` has no effect"], "{text}");
        let config = loaded.config.unwrap();
        assert_eq!(config.devices[0].matches.len(), 8);
        assert_eq!(config.profiles.last().unwrap().name, "mia");
    }

    fn is_setting(line: &str) -> bool {
        line.split_once(" = ").is_some_and(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        })
    }

    #[test]
    fn every_setting_is_there_with_its_docs() {
        let schema: Value = serde_json::from_str(super::super::schema()).unwrap();
        let sections = schema["properties"].as_object().unwrap();
        assert_eq!(sections.len(), LAYOUT.len());
        for section in sections.keys() {
            let (_, _, keys) = LAYOUT.iter().find(|(name, ..)| name == section).unwrap();
            let spec = spec_of(&schema, section);
            assert!(spec["description"].is_string(), "{section}: {spec}");
            let mut shown: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
            shown.sort_unstable();
            let known: Vec<_> = spec["properties"].as_object().unwrap().keys().collect();
            assert_eq!(shown, known, "{section}");
            for key in shown {
                assert!(
                    spec["properties"][key]["description"].is_string(),
                    "{section}.{key}"
                );
            }
        }
    }
}
