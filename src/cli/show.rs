//! Verbs that show what the daemon knows: lists, devices, profiles.

use super::output::{Cell, Style, Table, counted, plain, time, words};
use super::{Exit, Failure, Format, Output};
use crate::control::api::{Device, List, Profile};
use crate::control::client::Client;

/// `hedgerow lists show`.
pub(super) async fn lists(
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let lists: Vec<List> = daemon.get("/api/v1/lists", &[]).await?;
    if format.json {
        return Ok(output.json(&lists)?);
    }
    let heads = [
        "List",
        "Category",
        "Kind",
        "Tier",
        "Names",
        "Bad lines",
        "Format",
        "Origin",
    ];
    let mut table = Table::new(&heads);
    for list in &lists {
        let style = if list.failure.is_some() {
            Style::Bad
        } else {
            Style::Plain
        };
        table.row([
            Cell::text(&list.id).styled(style),
            Cell::text(&list.category),
            Cell::text(&list.kind),
            Cell::text(&list.tier),
            Cell::number(list.entries),
            Cell::number(list.bad_lines),
            Cell::text(list.format.as_deref().unwrap_or_default()),
            Cell::text(&list.origin),
        ]);
    }
    output.table(0, &table)?;
    for list in &lists {
        let (id, origin) = (plain(&list.id), plain(&list.origin));
        if let Some(failure) = &list.failure {
            let label = output.paint(Style::Bad, "failed:");
            output.line(&format!("{label} {id}: {}", plain(failure)))?;
        }
        for bad in &list.first_errors {
            output.line(&format!(
                "{id}: {origin}:{}: {}",
                bad.line,
                plain(&bad.error)
            ))?;
        }
    }
    Ok(())
}

/// `hedgerow device list`.
pub(super) async fn devices(
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let devices: Vec<Device> = daemon.get("/api/v1/devices", &[]).await?;
    if format.json {
        return Ok(output.json(&devices)?);
    }
    let heads = [
        "Device",
        "Profile",
        "Queries",
        "Blocked",
        "Last seen",
        "Known by",
    ];
    let mut table = Table::new(&heads);
    for device in &devices {
        table.row([
            Cell::text(&device.name),
            Cell::text(&device.profile),
            Cell::number(device.queries),
            Cell::number(device.blocked),
            Cell::text(&device.last_seen.as_deref().map(time).unwrap_or_default()),
            Cell::text(&device.known_by.join(", ")),
        ]);
    }
    Ok(output.table(0, &table)?)
}

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
        ("inherits from", words(&profile.inherits)),
        ("devices", words(&profile.devices)),
        ("stance", stance(profile)),
        ("blocked categories", words(&profile.block_categories)),
        ("blocked lists", words(&profile.block_lists)),
        ("allowed lists", words(&profile.allow_lists)),
        ("allow rules", words(&profile.allow)),
        ("block rules", words(&profile.block)),
        ("safe search", on(profile.safe_search)),
        ("unsafe search blocked", on(profile.block_unsafe_search)),
        ("video restriction", plain(&profile.youtube)),
        ("bypass closed", on(profile.close_bypass)),
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
    ]
}
