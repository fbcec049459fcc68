//! The text of the table, as `nft -f` reads it.

use std::fmt::{Display, Write as _};

use super::Plan;
use crate::egress::{MOST, SET_V4, SET_V6, TABLE};

/// Port 53 of the devices comes to us.
const REDIRECT: &str = "questions";
/// What devices send elsewhere.
const GUARD: &str = "ways-round";
/// What pinned devices send elsewhere.
const PINNED: &str = "pinned-egress";

/// Ports of DNS over TLS and QUIC: RFC 7858, RFC 9250 and what was used before it.
const ENCRYPTED: &str = "{ 784, 853, 8853 }";

/// The text that takes the table away, whether it is there or not.
pub fn removal() -> String {
    format!("add table inet {TABLE}\ndelete table inet {TABLE}\n")
}

impl Plan {
    /// The text that puts the table in place, in one step and again and again: rules and fixed sets
    /// are written anew, and what was answered to pinned devices stays.
    pub fn script(&self) -> String {
        let mut script = Script::default();
        script.line(format_args!("add table inet {TABLE}"));
        for set in self.members() {
            script.set(set.name, "type ether_addr;", set.macs);
        }
        script.set("upstreams4", "type ipv4_addr;", &self.upstreams_v4);
        script.set("upstreams6", "type ipv6_addr;", &self.upstreams_v6);
        let ranges = "flags interval; auto-merge;";
        script.set(
            "resolvers4",
            &format!("type ipv4_addr; {ranges}"),
            &self.resolvers_v4,
        );
        script.set(
            "resolvers6",
            &format!("type ipv6_addr; {ranges}"),
            &self.resolvers_v6,
        );
        for (set, address) in [(SET_V4, "ipv4_addr"), (SET_V6, "ipv6_addr")] {
            script.line(format_args!(
                "add set inet {TABLE} {set} {{ type ether_addr . {address}; size {MOST}; flags timeout; }}"
            ));
        }
        self.redirect(&mut script);
        self.pin(&mut script);
        self.guard(&mut script);
        script.0
    }

    /// What devices ask of other resolvers in the clear is answered here.
    fn redirect(&self, script: &mut Script) {
        script.chain(
            REDIRECT,
            "type nat hook prerouting priority dstnat - 5; policy accept;",
        );
        if !self.settings.redirect_dns {
            return;
        }
        self.concerns_devices(REDIRECT, script);
        // What is sent to us needs no change.
        script.rule(REDIRECT, "fib daddr type local return");
        for protocol in ["udp", "tcp"] {
            let rule = format!("{protocol} dport 53 redirect to :{}", self.port);
            script.rule(REDIRECT, &rule);
        }
    }

    /// DNS in disguise, and everything that pinned devices were not answered.
    fn guard(&self, script: &mut Script) {
        script.chain(
            GUARD,
            "type filter hook forward priority filter - 5; policy accept;",
        );
        self.concerns_devices(GUARD, script);
        if self.settings.block_encrypted {
            script.rule(
                GUARD,
                &format!("tcp dport {ENCRYPTED} reject with tcp reset"),
            );
            script.rule(GUARD, &format!("udp dport {ENCRYPTED} reject"));
        }
        if self.settings.block_resolvers {
            for (to, icmp) in [
                ("ip daddr @resolvers4", "icmp"),
                ("ip6 daddr @resolvers6", "ipv6-icmp"),
            ] {
                script.rule(
                    GUARD,
                    &format!("{to} meta l4proto tcp reject with tcp reset"),
                );
                // Cameras and televisions ping them to see whether they are online.
                script.rule(GUARD, &format!("{to} meta l4proto != {icmp} reject"));
            }
        }
        script.rule(GUARD, &format!("ether saddr @pinned jump {PINNED}"));
        if self.known.is_some() {
            script.rule(GUARD, &format!("ether saddr != @known jump {PINNED}"));
        }
    }

    fn pin(&self, script: &mut Script) {
        script.chain(PINNED, "");
        // What was let through goes on, also when the pair has ended.
        script.rule(PINNED, "ct state established,related return");
        script.rule(PINNED, &format!("ether saddr . ip daddr @{SET_V4} return"));
        script.rule(PINNED, &format!("ether saddr . ip6 daddr @{SET_V6} return"));
        script.rule(PINNED, "meta l4proto tcp reject with tcp reset");
        script.rule(PINNED, "reject with icmpx admin-prohibited");
    }

    /// The rest of `chain` is for devices that are not exempt.
    fn concerns_devices(&self, chain: &str, script: &mut Script) {
        let interfaces: Vec<String> = self
            .settings
            .interfaces
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        script.rule(
            chain,
            &format!("iifname != {{ {} }} return", interfaces.join(", ")),
        );
        if self.chosen.is_some() {
            script.rule(chain, "ether saddr != @chosen return");
        }
        script.rule(chain, "ether saddr @exempt return");
        // A resolver in the home that we ask: its own questions would come back to us.
        for (is_there, from) in [
            (!self.upstreams_v4.is_empty(), "ip saddr @upstreams4"),
            (!self.upstreams_v6.is_empty(), "ip6 saddr @upstreams6"),
        ] {
            if is_there {
                let rule = format!("{from} ether saddr != @pinned return");
                script.rule(chain, &rule);
            }
        }
    }
}

/// Commands of `nft`, one a line.
#[derive(Default)]
struct Script(String);

impl Script {
    fn line(&mut self, line: impl Display) {
        // Writing into a text cannot fail.
        let _always = writeln!(self.0, "{line}");
    }

    /// A set that holds `elements` and nothing else.
    fn set(&mut self, name: &str, kind: &str, elements: &[impl Display]) {
        self.line(format_args!("add set inet {TABLE} {name} {{ {kind} }}"));
        self.line(format_args!("flush set inet {TABLE} {name}"));
        if !elements.is_empty() {
            let all: Vec<String> = elements.iter().map(ToString::to_string).collect();
            let all = all.join(", ");
            self.line(format_args!("add element inet {TABLE} {name} {{ {all} }}"));
        }
    }

    /// A chain that holds the rules which follow and nothing else.
    fn chain(&mut self, name: &str, hook: &str) {
        let body = if hook.is_empty() {
            String::new()
        } else {
            format!(" {{ {hook} }}")
        };
        self.line(format_args!("add chain inet {TABLE} {name}{body}"));
        self.line(format_args!("flush chain inet {TABLE} {name}"));
    }

    fn rule(&mut self, chain: &str, rule: &str) {
        self.line(format_args!("add rule inet {TABLE} {chain} {rule}"));
    }
}
