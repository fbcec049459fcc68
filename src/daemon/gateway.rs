//! The firewall's table follows the configuration: who is in its sets of devices.
//!
//! A device that is named, moved to another profile or grown up is in another set from then on. Who
//! edits a profile does not think of the firewall, and a birthday asks nobody; so the daemon, where
//! it may, puts the devices of the new configuration into the sets that are there. Everything else
//! of the table is put in place by an admin's command alone.

use tracing::{info, warn};

use super::household::Daemon;
use crate::config::Config;
use crate::firewall::Plan;

impl Daemon {
    /// Has the table hold the devices of `config`, after `before` or after a start. Tells where it
    /// does not.
    pub(super) fn follow_firewall(&self, before: Option<&Config>, config: &Config) {
        let Ok(plan) = Plan::of(config) else {
            return;
        };
        let before = before.and_then(|before| Plan::of(before).ok());
        if before.as_ref() == Some(&plan) {
            return;
        }
        let egress = self.resolver.egress();
        let has_table = egress.has_table();
        if has_table == Some(false) || has_table.is_none() && before.is_none() {
            return;
        }
        const HELP: &str = "`hedgerow firewall apply` puts it in place anew";
        if before.as_ref().is_some_and(|before| !before.is_like(&plan)) {
            warn!(
                help = HELP,
                "the firewall's table is of the settings before"
            );
        }
        match egress.fill(&plan.members(), self.clock.now()) {
            Ok(()) => info!("the firewall's table holds the devices of the configuration"),
            Err(error) => {
                warn!(%error, help = HELP, "the firewall's table holds the devices of before");
            }
        }
    }
}
