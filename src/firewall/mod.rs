//! The firewall's part: a table of nftables that keeps devices on this resolver.
//!
//! A resolver alone closes no way that does not ask it. This table does what only the gateway can:
//! what devices ask of other resolvers comes to us, DNS in disguise is rejected, and devices of a
//! profile with `pinned-egress` reach only addresses that we just answered to them
//! ([`crate::egress`] fills the sets).
//!
//! [`Plan`] is what the configuration asks for, [`Plan::script`] its text for `nft -f`. The table is
//! ours alone: putting it in place and taking it away touches no other rule, and both can be done
//! again and again.

mod nft;
mod script;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub use nft::{NftError, apply, remove};
pub use script::removal;

use crate::config::{Config, DeviceMatch, Firewall};
use crate::egress::Members;
use crate::mac::Mac;
use crate::policy::resolvers;

/// What the table is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the configuration says of it.
    settings: Firewall,
    /// The port we answer on.
    port: u16,
    /// The devices that it concerns, unless it is all of them.
    chosen: Option<Vec<Mac>>,
    /// Devices that are left alone.
    exempt: Vec<Mac>,
    /// IPv4 addresses of resolvers we ask: they ask others, and not us.
    upstreams_v4: Vec<Ipv4Addr>,
    /// IPv6 addresses of resolvers we ask.
    upstreams_v6: Vec<Ipv6Addr>,
    /// Devices that reach only what was answered to them.
    pinned: Vec<Mac>,
    /// Where guests reach only what was answered to them: devices that are none.
    known: Option<Vec<Mac>>,
    /// IPv4 addresses of public resolvers.
    resolvers_v4: Vec<Ipv4Net>,
    /// IPv6 addresses of public resolvers.
    resolvers_v6: Vec<Ipv6Net>,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No interface is named.
    #[error("the configuration names no interface of the family's devices")]
    NoInterface,
    /// Questions cannot be sent here: nobody answers but to this machine itself.
    #[error(
        "the daemon listens on loopback addresses only, where questions cannot be redirected to"
    )]
    OnlyLoopback,
}

impl fmt::Display for Plan {
    /// What it amounts to, in a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        write!(f, "devices behind {}", settings.interfaces.join(", "))?;
        for (is_set, what) in [
            (settings.redirect_dns, "port 53 comes here"),
            (settings.block_encrypted, "port 853 is closed"),
            (settings.block_resolvers, "public resolvers are closed"),
        ] {
            if is_set {
                write!(f, "; {what}")?;
            }
        }
        for (macs, what) in [(&self.exempt, "left alone"), (&self.pinned, "pinned")] {
            if !macs.is_empty() {
                write!(f, "; {what}: {} MAC address(es)", macs.len())?;
            }
        }
        if self.known.is_some() {
            f.write_str("; pinned: every device without a name")?;
        }
        Ok(())
    }
}

impl Plan {
    /// The sets of devices in the table, and who is in them.
    pub fn members(&self) -> [Members<'_>; 4] {
        [
            ("chosen", self.chosen.as_deref().unwrap_or_default()),
            ("exempt", self.exempt.as_slice()),
            ("pinned", self.pinned.as_slice()),
            ("known", self.known.as_deref().unwrap_or_default()),
        ]
        .map(|(name, macs)| Members { name, macs })
    }

    /// Whether a table made for `other` serves this plan too, but for the devices in its sets.
    pub fn is_like(&self, other: &Self) -> bool {
        let without_devices = |plan: &Self| Self {
            settings: Firewall {
                devices: Vec::new(),
                except: Vec::new(),
                ..plan.settings.clone()
            },
            chosen: plan.chosen.as_ref().map(|_| Vec::new()),
            exempt: Vec::new(),
            pinned: Vec::new(),
            known: plan.known.as_ref().map(|_| Vec::new()),
            ..plan.clone()
        };
        without_devices(self) == without_devices(other)
    }

    /// What `config` asks for.
    ///
    /// # Errors
    /// When it names no interface: a table for every interface would take the router's own uplink
    /// for a child. And when questions are to be answered here and no address could take them.
    pub fn of(config: &Config) -> Result<Self, PlanError> {
        let settings = &config.firewall;
        if settings.interfaces.is_empty() {
            return Err(PlanError::NoInterface);
        }
        // A redirected question arrives at the address of the interface it came in on.
        let mut listens = config.server.listen.iter().map(|it| it.address);
        let reached = listens.find(|address| !address.ip().is_loopback());
        if settings.redirect_dns && reached.is_none() {
            return Err(PlanError::OnlyLoopback);
        }
        let macs = |belongs: &dyn Fn(&crate::config::Device) -> bool| {
            let devices = config.devices.iter().filter(|device| belongs(device));
            let matches = devices.flat_map(|device| &device.matches);
            let mut macs: Vec<Mac> = matches
                .filter_map(|it| match it {
                    DeviceMatch::Mac(mac) => Some(*mac),
                    _ => None,
                })
                .collect();
            macs.sort_unstable();
            macs.dedup();
            macs
        };
        let is_pinned = |profile: usize| {
            let profile = config.profiles.get(profile);
            profile.is_some_and(|profile| profile.pinned_egress)
        };
        let (mut resolvers_v4, mut resolvers_v6) = (Vec::new(), Vec::new());
        if settings.block_resolvers {
            for net in resolvers() {
                match net {
                    IpNet::V4(v4) => resolvers_v4.push(*v4),
                    IpNet::V6(v6) => resolvers_v6.push(*v6),
                }
            }
        }
        let upstream = &config.upstream;
        let servers = upstream.all_servers().chain(&upstream.bootstrap);
        let (mut upstreams_v4, mut upstreams_v6) = (Vec::new(), Vec::new());
        for address in servers.flat_map(|server| server.addresses()) {
            match address.ip() {
                ip if ip.is_loopback() => {}
                IpAddr::V4(v4) => upstreams_v4.push(v4),
                IpAddr::V6(v6) => upstreams_v6.push(v6),
            }
        }
        upstreams_v4.sort_unstable();
        upstreams_v4.dedup();
        upstreams_v6.sort_unstable();
        upstreams_v6.dedup();
        Ok(Self {
            upstreams_v4,
            upstreams_v6,
            settings: settings.clone(),
            port: reached.map_or(53, |address| address.port()),
            chosen: (!settings.devices.is_empty())
                .then(|| macs(&|device| settings.devices.contains(&device.name))),
            exempt: macs(&|device| settings.except.contains(&device.name)),
            pinned: macs(&|device| {
                is_pinned(device.profile) && !settings.except.contains(&device.name)
            }),
            // A child that gives its device another MAC address is a guest.
            known: is_pinned(config.guest).then(|| macs(&|_| true)),
            resolvers_v4,
            resolvers_v6,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load_embedded};
    use crate::files::MemoryFiles;

    fn plan(text: &str) -> Result<String, PlanError> {
        let text = format!("[firewall]\ninterfaces = [\"br-lan\"]\n{text}");
        let loaded = load_embedded(&text, &MemoryFiles::new().files(), &Overrides::default());
        let plan = Plan::of(&loaded.config.unwrap())?;
        Ok(plan.script())
    }

    #[test]
    fn questions_go_to_where_devices_can_reach_us() {
        let listening = |on: &str| plan(&format!("[server]\nlisten = [{on}]\n"));
        for (on, port) in [
            ("\"127.0.0.1:5335\", \"0.0.0.0:53\"", 53),
            ("\"[::1]:53\", \"192.168.1.1:5353\"", 5353),
        ] {
            let script = listening(on).unwrap();
            let rule = format!("udp dport 53 redirect to :{port}\n");
            assert!(script.contains(&rule), "{script}");
        }
        assert_eq!(listening("\"127.0.0.1:53\""), Err(PlanError::OnlyLoopback));
        let without = "redirect-dns = false\n[server]\nlisten = [\"127.0.0.1:53\"]\n";
        assert!(!plan(without).unwrap().contains("redirect to"));
    }

    #[test]
    fn resolvers_we_ask_may_ask_others() {
        let upstream = "[server]\nlisten = [\"192.168.1.1\"]\n[upstream]\nservers = \
                        [\"192.168.1.2\", \"[fd00::2]:5353\", \"127.0.0.1:5335\"]\n\
                        [[forward]]\ndomain = \"lan\"\nservers = [\"192.168.1.3\"]\n";
        let script = plan(upstream).unwrap();
        for set in [
            "upstreams4 { 192.168.1.2, 192.168.1.3 }",
            "upstreams6 { fd00::2 }",
        ] {
            assert!(script.contains(set), "{script}");
        }
        for chain in ["questions", "ways-round"] {
            let rule = format!("{chain} ip saddr @upstreams4 ether saddr != @pinned return\n");
            let place = script.find(&rule).unwrap();
            let closing = script.find(&format!("{chain} udp dport")).unwrap();
            assert!(place < closing, "{script}");
        }
    }
}
