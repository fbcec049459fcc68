//! `[server]`, `[[listener]]`, `[upstream]`, `[[forward]]`: where we listen, whom we serve, whom we
//! ask.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use ipnet::IpNet;

use super::diagnostic::Diagnostic;
use super::endpoint::{self, DNS_PORT, parse_net, parse_upstream};
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::{Around, account, missing, report_address, socket};
use super::spec::{ForwardSpec, ListenerSpec, ServerSpec, Text};
use super::words::{duration, label, whole};
use super::{Forward, Listen, Server, Upstream, UpstreamServer, rules};

/// `[server]` and `[[listener]]`.
pub(super) fn server(
    spec: &ServerSpec,
    listeners: &[Entry<ListenerSpec>],
    around: &Around<'_>,
    problems: &mut Problems,
) -> Server {
    let mut listen = Vec::new();
    let mut seen = HashMap::new();
    let mut names = HashMap::new();
    let plain = spec.listen.iter().flatten().map(|word| (word, None));
    for (word, name) in plain.chain(
        listeners
            .iter()
            .filter_map(|entry| {
                let address = entry.spec.address.as_ref();
                if address.is_none() {
                    missing(entry, "listener", "address", problems);
                }
                Some((address?, entry.spec.name.as_ref()))
            })
            .collect::<Vec<_>>(),
    ) {
        let Some(address) = socket(word, "address to listen on", DNS_PORT, problems) else {
            continue;
        };
        let twice = || format!("`{address}` is listened on twice");
        // Port 0 takes a new port each time.
        if address.port() != 0 && !once(&mut seen, address, word.span(), twice, problems) {
            continue;
        }
        if let Some(name) = name {
            let twice = || format!("two listeners are named `{}`", name.text());
            if !label(name, "a listener", problems)
                || !once(&mut names, name.text(), name.span(), twice, problems)
            {
                continue;
            }
        }
        listen.push(Listen {
            address,
            name: name.map(|name| name.text().to_owned()),
        });
    }
    if let Some(words) = &spec.listen
        && words.is_empty()
        && listeners.is_empty()
    {
        problems.report(
            Diagnostic::warning("no-effect", "`listen` is empty")
                .help("the default addresses are used; take the line out or name one"),
        );
    }
    if !around.overrides.listen.is_empty() {
        listen.clone_from(&around.overrides.listen);
    } else if listen.is_empty() {
        listen = default_listen();
    }
    Server {
        listen,
        serve: serve(spec, problems),
        udp_payload: whole(
            spec.udp_payload.as_ref(),
            "udp-payload",
            512..=4096,
            1232,
            problems,
        ) as u16,
        workers: whole(spec.workers.as_ref(), "workers", 0..=64, 0, problems) as usize,
        user: account(spec.user.as_ref(), "user", problems),
    }
}

/// Every address of the machine.
fn default_listen() -> Vec<Listen> {
    let any = |ip: std::net::IpAddr| Listen {
        address: SocketAddr::new(ip, DNS_PORT),
        name: None,
    };
    vec![
        any(std::net::Ipv4Addr::UNSPECIFIED.into()),
        any(std::net::Ipv6Addr::UNSPECIFIED.into()),
    ]
}

/// Who may ask unless said: private, link-local and loopback addresses (RFC 1918, RFC 3927,
/// RFC 4193, RFC 4291).
pub(super) const DEFAULT_SERVE: [&str; 8] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fe80::/10",
    "fc00::/7",
];

fn serve(spec: &ServerSpec, problems: &mut Problems) -> Vec<IpNet> {
    let Some(words) = &spec.serve else {
        return DEFAULT_SERVE
            .iter()
            .filter_map(|net| parse_net(net).ok())
            .collect();
    };
    if words.is_empty() {
        problems.report(Diagnostic::warning(
            "no-effect",
            "`serve` is empty: nobody may ask",
        ));
    }
    let mut nets = Vec::new();
    let mut seen = HashMap::new();
    for word in words {
        match parse_net(word.text()) {
            Ok(net) => {
                if net.prefix_len() == 0 {
                    problems.report(
                        Diagnostic::warning("open-resolver", "everybody on the internet may ask")
                            .at(
                                problems.place(&word.span()),
                                "an open resolver is used for attacks",
                            )
                            .help(
                                "name the networks of the home, and keep port 53 behind a firewall",
                            ),
                    );
                }
                let twice = || format!("`{net}` is served twice");
                if once(&mut seen, net, word.span(), twice, problems) {
                    nets.push(net);
                }
            }
            Err(error) => report_address(word, "address or prefix", &error, problems),
        }
    }
    nets
}

/// `[upstream]` and `[[forward]]`.
pub(super) fn upstream(
    written: &Written,
    listen: &[Listen],
    around: &Around<'_>,
    problems: &mut Problems,
) -> Upstream {
    let spec = &written.upstream;
    let resolv_conf = spec.resolv_conf.as_ref();
    Upstream {
        servers: servers(
            spec.servers.as_deref().unwrap_or_default(),
            listen,
            problems,
        ),
        forward: forwards(&written.forwards, listen, problems),
        budget: duration(
            spec.budget.as_ref(),
            "budget",
            Duration::from_millis(100)..=Duration::from_secs(30),
            Duration::from_millis(1500),
            problems,
        ),
        mixed_case: spec.mixed_case.unwrap_or(true),
        resolv_conf: resolv_conf
            .map_or_else(|| DEFAULT_RESOLV_CONF.into(), |word| around.path(word)),
    }
}

/// Where systems list their resolvers.
pub(super) const DEFAULT_RESOLV_CONF: &str = "/etc/resolv.conf";

fn servers(words: &[Text], listen: &[Listen], problems: &mut Problems) -> Vec<UpstreamServer> {
    let mut servers = Vec::new();
    let mut seen = HashMap::new();
    for word in words {
        let server = match parse_upstream(word.text()) {
            Ok(server) => server,
            Err(error) => {
                report_address(word, "upstream", &error, problems);
                continue;
            }
        };
        let us = listen
            .iter()
            .find(|listen| endpoint::comes_back(server.address, listen.address));
        if let Some(us) = us {
            problems.report(
                Diagnostic::error("loop", format!("`{}` is this resolver itself", word.text()))
                    .at(
                        problems.place(&word.span()),
                        "questions would go round in a circle",
                    )
                    .note(format!("it listens on {}", us.address)),
            );
        }
        let twice = || format!("upstream `{}` is named twice", word.text());
        if once(&mut seen, server.clone(), word.span(), twice, problems) {
            servers.push(server);
        }
    }
    servers
}

fn forwards(
    entries: &[Entry<ForwardSpec>],
    listen: &[Listen],
    problems: &mut Problems,
) -> Vec<Forward> {
    let mut forwards = Vec::new();
    let mut seen = HashMap::new();
    for entry in entries {
        let Some(word) = &entry.spec.domain else {
            missing(entry, "forward", "domain", problems);
            continue;
        };
        let own = match &entry.spec.servers {
            Some(own) => {
                if own.value().is_empty() {
                    problems.report(
                        Diagnostic::error("missing-value", "a forward without servers")
                            .at(problems.place(&own.span()), "nobody to ask"),
                    );
                }
                servers(own.value(), listen, problems)
            }
            None => {
                missing(entry, "forward", "servers", problems);
                continue;
            }
        };
        let domain = match rules::parse_name(word.text()) {
            Ok(domain) => domain,
            Err(error) => {
                problems.report(
                    Diagnostic::error("bad-domain", format!("`{}` is not a domain", word.text()))
                        .at(problems.place(&word.span()), error.to_string()),
                );
                continue;
            }
        };
        let twice = || format!("`{domain}` is forwarded twice");
        if once(&mut seen, domain.clone(), word.span(), twice, problems) {
            forwards.push(Forward {
                domain,
                servers: own,
            });
        }
    }
    forwards
}

/// Where each address is used; the second time is an error.
pub(super) fn once<K: Eq + std::hash::Hash>(
    seen: &mut HashMap<K, Range<usize>>,
    key: K,
    span: Range<usize>,
    message: impl FnOnce() -> String,
    problems: &mut Problems,
) -> bool {
    if let Some(first) = seen.get(&key) {
        let (second, first) = (problems.place(&span), problems.place(first));
        problems.report(Diagnostic::error("duplicate", message()).twice(second, first));
        return false;
    }
    seen.insert(key, span);
    true
}
