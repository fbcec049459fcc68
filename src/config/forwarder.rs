//! `[[forwarder]]`: whose word about its clients counts, and which words.

use std::collections::HashMap;
use std::ops::Range;

use ipnet::IpNet;

use super::device::report_mac;
use super::diagnostic::Diagnostic;
use super::endpoint::parse_net;
use super::network::once;
use super::problems::Problems;
use super::read::{Entry, Written};
use super::resolve::{missing, report_address};
use super::spec::{ForwarderSpec, Text};
use super::words::whole;
use super::{Forwarder, Trust};
use crate::mac::Mac;

/// The option that holds a subscriber's id unless said, in the range that RFC 6891 section 9 leaves
/// to everybody.
const SUBSCRIBER_OPTION: i64 = 65_280;
/// Options of that range that other programs use for something else.
const TAKEN: [i64; 2] = [65_073, 65_074];
/// What a forwarder can say, as it is written.
const KINDS: [&str; 4] = ["client-subnet", "cpe-id", "mac", "subscriber"];

/// The forwarders that somebody listed.
pub(super) fn forwarders(written: &Written, problems: &mut Problems) -> Vec<Forwarder> {
    let mut forwarders = Vec::new();
    let mut seen = HashMap::new();
    for entry in &written.forwarders {
        let spec = &entry.spec;
        let forwarder = Forwarder {
            addresses: addresses(entry, written, &mut seen, problems),
            macs: macs(spec, problems),
            trust: trust(spec.trust.as_ref(), problems),
            subscriber_option: subscriber_option(spec, problems),
            proxy: spec.proxy.unwrap_or(false),
        };
        let is_silent = spec.trust.as_ref().is_none_or(Vec::is_empty) && !forwarder.proxy;
        if is_silent && entry.whole {
            problems.report_absence(
                Diagnostic::error("missing-key", "nothing this forwarder says would count")
                    .at(
                        problems.place(&entry.span),
                        "needs `trust = […]` or `proxy = true`",
                    )
                    .note("`trust` takes `mac`, `cpe-id`, `subscriber`, `client-subnet`"),
            );
        }
        forwarders.push(forwarder);
    }
    forwarders
}

/// Where one forwarder asks from.
fn addresses(
    entry: &Entry<ForwarderSpec>,
    written: &Written,
    seen: &mut HashMap<IpNet, Range<usize>>,
    problems: &mut Problems,
) -> Vec<IpNet> {
    let mut addresses = Vec::new();
    match &entry.spec.address {
        Some(words) if !words.value().is_empty() => {
            for word in words.value() {
                let net = match parse_net(word.text()) {
                    Ok(net) => net,
                    Err(error) => {
                        report_address(word, "address or prefix", &error, problems);
                        continue;
                    }
                };
                let twice = || format!("`{net}` is a forwarder twice");
                if once(seen, net, word.span(), twice, problems) {
                    trusts_no_device(word, net, written, problems);
                    addresses.push(net);
                }
            }
        }
        _ => missing(entry, "forwarder", "address", problems),
    }
    addresses
}

/// The MAC addresses of one forwarder. Behind a loopback address there is none.
fn macs(spec: &ForwarderSpec, problems: &mut Problems) -> Vec<Mac> {
    let Some(words) = &spec.mac else {
        return Vec::new();
    };
    let addresses = spec.address.iter().flat_map(|words| words.value());
    let is_here = |it: &&Text| parse_net(it.text()).is_ok_and(|net| net.addr().is_loopback());
    if let Some(here) = addresses.into_iter().find(is_here) {
        let (first, second) = (problems.place(&words.span()), problems.place(&here.span()));
        problems.report(
            Diagnostic::error("no-mac", "a program on this machine has no MAC address")
                .against(first, second, "this address is one of this machine")
                .help("write two `[[forwarder]]`"),
        );
    }
    let mut macs = Vec::new();
    for word in words.value() {
        match word.text().parse() {
            Ok(mac) => macs.push(mac),
            Err(error) => report_mac(word, error, problems),
        }
    }
    macs
}

/// A device inside a prefix that is trusted could say that it is any other. A single address is
/// that of the forwarder itself, which may be a device too.
fn trusts_no_device(word: &Text, net: IpNet, written: &Written, problems: &mut Problems) {
    let place = problems.place(&word.span());
    if net.prefix_len() == 0 {
        problems.report(
            Diagnostic::error("trusts-all", "everybody would be a forwarder")
                .at(place, "whoever asks could say it is somebody else"),
        );
        return;
    }
    if net.prefix_len() == net.max_prefix_len() {
        return;
    }
    for device in &written.devices {
        let words = device.spec.address.iter().flat_map(|words| words.value());
        let inside = |it: &&Text| parse_net(it.text()).is_ok_and(|it| net.contains(&it));
        if let Some(inside) = words.into_iter().find(inside) {
            let name = device.spec.name.as_ref().map_or("", Text::text);
            let there = problems.place(&inside.span());
            let message = format!("device `{name}` could say that it is another");
            problems.report(
                Diagnostic::warning("trusts-device", message)
                    .against(place, there, "this device asks from there")
                    .help("name the forwarder's own addresses alone"),
            );
            return;
        }
    }
}

/// What one forwarder is believed.
fn trust(words: Option<&Vec<Text>>, problems: &mut Problems) -> Trust {
    let mut trust = Trust::default();
    for word in words.into_iter().flatten() {
        match word.text() {
            "mac" => trust.mac = true,
            "cpe-id" => trust.cpe_id = true,
            "subscriber" => trust.subscriber = true,
            "client-subnet" => trust.client_subnet = true,
            other => problems.report(
                Diagnostic::error(
                    "unknown-value",
                    format!("`trust` cannot hold `{}`", other.escape_debug()),
                )
                .at(problems.place(&word.span()), "not one of its values")
                .suggest(other, KINDS)
                .known("known values", KINDS),
            ),
        }
    }
    trust
}

/// The number of the option that holds a subscriber's id.
fn subscriber_option(spec: &ForwarderSpec, problems: &mut Problems) -> u16 {
    let word = spec.subscriber_option.as_ref();
    let key = "subscriber-option";
    let number = whole(word, key, 65_002..=65_534, SUBSCRIBER_OPTION, problems);
    if let Some(word) = word
        && TAKEN.contains(&number)
    {
        let message = format!("`{key}` cannot be {number}");
        problems.report(Diagnostic::error("taken", message).at(
            problems.place(&word.span()),
            "holds a MAC address or a CPE id already",
        ));
    }
    // Within the range above.
    number as u16
}
