//! `[server]` and `[[listener]]`: where we listen, whom we serve.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::diagnostic::Diagnostic;
use super::endpoint::{DNS_PORT, parse_net};
use super::problems::Problems;
use super::read::Entry;
use super::resolve::{Around, account, missing, report_address, socket};
use super::spec::{ListenerSpec, ServerSpec};
use super::words::{label, whole};
use super::{Listen, Server};

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
