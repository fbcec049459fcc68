//! `[firewall]`: which devices the gateway keeps on this resolver.

use super::diagnostic::Diagnostic;
use super::problems::Problems;
use super::read::Written;
use super::spec::Text;
use super::{Device, DeviceMatch, Firewall, Profile};

/// Octets of an interface's name, without the one that ends it (`IFNAMSIZ`).
const MAX_INTERFACE: usize = 15;

/// What `[firewall]` says.
pub(super) fn firewall(
    written: &Written,
    devices: &[Device],
    profiles: &[Profile],
    guest: Option<&Profile>,
    problems: &mut Problems,
) -> Firewall {
    let spec = &written.firewall;
    let interfaces = spec.interfaces.iter().flatten();
    let interfaces = interfaces.filter_map(|word| interface(word, problems));
    let interfaces: Vec<String> = interfaces.collect();
    let mut named = |words: &Option<Vec<Text>>| -> Vec<String> {
        let words = words.iter().flatten();
        words
            .filter_map(|word| device_named(word, devices, problems))
            .collect()
    };
    let (chosen, except) = (named(&spec.devices), named(&spec.except));
    if interfaces.is_empty()
        && let Some(first) = [&spec.interfaces, &spec.devices, &spec.except]
            .into_iter()
            .flatten()
            .find_map(|words| words.first())
    {
        problems.report(
            Diagnostic::warning("no-effect", "`[firewall]` names no interface")
                .at(problems.place(&first.span()), "nothing of it is used")
                .help("name where the family's devices are: `interfaces = [\"br-lan\"]`"),
        );
    }
    unpinned(written, devices, profiles, guest, problems);
    Firewall {
        interfaces,
        redirect_dns: spec.redirect_dns.unwrap_or(true),
        block_encrypted: spec.block_encrypted.unwrap_or(true),
        block_resolvers: spec.block_resolvers.unwrap_or(true),
        devices: chosen,
        except,
    }
}

/// The name of an interface, as the kernel allows it and as no firewall rule ends at it.
fn interface(word: &Text, problems: &mut Problems) -> Option<String> {
    let text = word.text();
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    // A `*` at the end means all that begin like this.
    let stem = text.strip_suffix('*').unwrap_or(text);
    if !stem.is_empty() && text.len() <= MAX_INTERFACE && stem.chars().all(fine) {
        return Some(text.to_owned());
    }
    problems.report(
        Diagnostic::error(
            "bad-name",
            format!("`{}` is no name of an interface", text.escape_debug()),
        )
        .at(
            problems.place(&word.span()),
            "letters, digits, `-`, `_`, `.`, at most 15 of them",
        ),
    );
    None
}

fn device_named(word: &Text, devices: &[Device], problems: &mut Problems) -> Option<String> {
    let Some(device) = devices.iter().find(|device| device.name == word.text()) else {
        let names = || devices.iter().map(|device| device.name.as_str());
        problems.report(
            Diagnostic::error(
                "unknown-device",
                format!("no device is called `{}`", word.text().escape_debug()),
            )
            .at(problems.place(&word.span()), "not among the devices")
            .suggest(word.text(), names()),
        );
        return None;
    };
    if !has_mac(device) {
        problems.report(
            Diagnostic::warning(
                "no-effect",
                format!("the firewall cannot tell `{}` apart", device.name),
            )
            .at(problems.place(&word.span()), "a device without `mac`"),
        );
    }
    Some(device.name.clone())
}

/// Tells of devices that the firewall cannot tell apart: those that are to be pinned, and where guests
/// are, all others too, which it takes for guests.
fn unpinned(
    written: &Written,
    devices: &[Device],
    profiles: &[Profile],
    guest: Option<&Profile>,
    problems: &mut Problems,
) {
    let guests_are_pinned = guest.is_some_and(|profile| profile.pinned_egress);
    let is_pinned = |device: &&Device| {
        profiles
            .get(device.profile)
            .is_some_and(|profile| profile.pinned_egress)
    };
    for device in devices.iter().filter(|device| !has_mac(device)) {
        if is_pinned(&device) == guests_are_pinned {
            // Not concerned, or pinned like a guest as it should be.
            continue;
        }
        let entry = written.devices.iter().find(|entry| {
            let name = entry.spec.name.as_ref();
            name.is_some_and(|name| name.text() == device.name)
        });
        let diagnostic = if guests_are_pinned {
            let message = format!("`{}` is pinned like a guest: it has no `mac`", device.name);
            Diagnostic::warning("pinned-as-guest", message)
        } else {
            let message = format!("`{}` is not pinned: it has no `mac`", device.name);
            Diagnostic::warning("not-pinned", message)
        };
        let diagnostic = diagnostic.help("the firewall tells devices apart by MAC address only");
        problems.report(match entry {
            Some(entry) => diagnostic.at(problems.place(&entry.span), "needs `mac = […]`"),
            None => diagnostic,
        });
    }
}

fn has_mac(device: &Device) -> bool {
    let mut matches = device.matches.iter();
    matches.any(|it| matches!(it, DeviceMatch::Mac(_)))
}
