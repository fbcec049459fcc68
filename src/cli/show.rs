//! Verbs that show what the daemon knows of profiles.

use super::output::{Cell, Table, counted, plain, words};
use super::{Exit, Failure, Format, Output};
use crate::control::api::{Growth, Profile};
use crate::control::client::Client;

/// `hedgerow profile list`.
pub(super) async fn profiles(
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let profiles: Vec<Profile> = daemon.get("/api/v1/profiles", &[]).await?;
    if format.json {
        return Ok(output.json(&profiles)?);
    }
    let mut table = Table::new(&["Profile", "Preset", "Stance", "Privacy", "Devices"]);
    for profile in &profiles {
        table.row([
            Cell::text(&profile.name),
            Cell::text(&profile.preset),
            Cell::text(&stance(profile)),
            Cell::text(&profile.privacy),
            Cell::text(&profile.devices.join(", ")),
        ]);
    }
    Ok(output.table(0, &table)?)
}

fn stance(profile: &Profile) -> String {
    if profile.allow_only {
        return "allowlist only".to_owned();
    }
    let count = profile.block_categories.len() as u64;
    let categories = counted(count, "category", "categories");
    format!("{categories} blocked")
}

/// `hedgerow profile show`.
pub(super) async fn profile(
    name: &str,
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let profiles: Vec<Profile> = daemon.get("/api/v1/profiles", &[]).await?;
    let Some(profile) = profiles.iter().find(|profile| profile.name == name) else {
        let known: Vec<_> = profiles.iter().map(|p| p.name.as_str()).collect();
        output.complain(
            &format!("there is no profile `{name}`"),
            Some(&format!("known profiles: {}", known.join(", "))),
        );
        return Err(Failure::Said(Exit::Failed));
    };
    if format.json {
        return Ok(output.json(profile)?);
    }
    Ok(output.facts(&facts(profile))?)
}

fn facts(profile: &Profile) -> Vec<(&'static str, String)> {
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    vec![
        ("profile", plain(&profile.name)),
        ("preset", plain(&profile.preset)),
        (
            "born",
            profile
                .growth
                .as_ref()
                .map_or_else(|| "not said".to_owned(), born),
        ),
        ("inherits from", words(&profile.inherits)),
        ("devices", words(&profile.devices)),
        ("stance", stance(profile)),
        ("blocked categories", words(&profile.block_categories)),
        ("blocked services", words(&profile.block_services)),
        ("open services", words(&profile.open_services)),
        ("blocked lists", words(&profile.block_lists)),
        ("allowed lists", words(&profile.allow_lists)),
        ("allow rules", words(&profile.allow)),
        ("block rules", words(&profile.block)),
        ("closed at times", sentences(&profile.during)),
        ("quotas", sentences(&profile.quotas)),
        ("when clock unset", plain(&profile.when_clock_unset)),
        ("safe search", on(profile.safe_search)),
        ("unsafe search blocked", on(profile.block_unsafe_search)),
        ("video restriction", plain(&profile.youtube)),
        ("bypass closed", on(profile.close_bypass)),
        ("look-alikes blocked", on(profile.look_alikes)),
        ("unusual types blocked", on(profile.unusual_types)),
        ("tunnels stopped", on(profile.tunnels)),
        ("unusual names blocked", on(profile.unusual_names)),
        ("pinned egress", on(profile.pinned_egress)),
        ("rebinding blocked", on(profile.block_rebinding)),
        (
            "block answer",
            format!(
                "{}, for {} s",
                plain(&profile.block_answer),
                profile.block_ttl
            ),
        ),
        ("when unsure", plain(&profile.when_unsure)),
        ("privacy", plain(&profile.privacy)),
        ("resolvers", plain(&profile.resolvers)),
        ("language", plain(&profile.language)),
    ]
}

/// The birth date, and what comes next.
fn born(growth: &Growth) -> String {
    let age = growth.age;
    format!(
        "{}, {age} years old; {}",
        plain(&growth.born),
        plain(&growth.next())
    )
}

fn sentences(sentences: &[String]) -> String {
    match sentences.is_empty() {
        true => words(sentences),
        false => plain(&sentences.join("; ")),
    }
}
