//! `hedgerow firewall`: the table that keeps devices on this resolver.

use super::lists::Place;
use super::output::Style;
use super::{Backend, Exit, Failure, FirewallVerb, Output};
use crate::config::Config;
use crate::egress::TABLE;
use crate::firewall::{self, NftError, Plan, PlanError};

pub(super) fn run(
    verb: &FirewallVerb,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match verb {
        FirewallVerb::Print { config } => {
            let plan = plan(&read(config.as_ref(), backend)?, output)?;
            Ok(write!(output.out, "{}", plan.script())?)
        }
        FirewallVerb::Apply { config } => {
            let plan = plan(&read(config.as_ref(), backend)?, output)?;
            done(firewall::apply(&plan.script()), output)?;
            let good = output.paint(Style::Good, "in place:");
            output.line(&format!("{good} table `inet {TABLE}`, {plan}"))?;
            Ok(())
        }
        FirewallVerb::Remove => {
            done(firewall::remove(), output)?;
            let good = output.paint(Style::Good, "gone:");
            Ok(output.line(&format!("{good} table `inet {TABLE}`"))?)
        }
    }
}

fn read(config: Option<&std::path::PathBuf>, backend: &dyn Backend) -> Result<Config, Failure> {
    let place = Place {
        config: config.cloned(),
        ..Place::default()
    };
    Ok(backend.config(&place)?)
}

fn plan(config: &Config, output: &mut Output<'_>) -> Result<Plan, Failure> {
    Plan::of(config).map_err(|error| {
        if error == PlanError::OnlyLoopback {
            let help = "add the router's own address to `listen` in `[server]`, or say \
                        `redirect-dns = false` in `[firewall]`";
            output.complain(&error.to_string(), Some(help));
            return Failure::Said(Exit::Failed);
        }
        let help =
            "name where the family's devices are in `[firewall]`: `interfaces = [\"br-lan\"]`";
        output.complain(&error.to_string(), Some(help));
        Failure::Said(Exit::Failed)
    })
}

fn done(result: Result<(), NftError>, output: &mut Output<'_>) -> Result<(), Failure> {
    result.map_err(|error| {
        let help = match &error {
            NftError::Missing => {
                Some("install it: `apt install nftables`, or on OpenWrt `nftables-json`")
            }
            NftError::Refused(said) if said.contains("not permitted") => {
                Some("changing the firewall needs root")
            }
            NftError::Refused(_) | NftError::Run(_) => None,
        };
        output.complain(&error.to_string(), help);
        Failure::Said(Exit::Failed)
    })
}
