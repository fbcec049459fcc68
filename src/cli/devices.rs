//! `hedgerow device`: who is there, who is new, and whose each device is.

use super::output::{Cell, Style, Table, plain, time, words};
use super::{DeviceVerb, Exit, Failure, Format, Output, invite};
use crate::control::api::{Device, DeviceChange, DeviceMac, NewDevice};
use crate::control::client::Client;
use crate::mac::Mac;

/// How many addresses of a device the table shows.
const ADDRESSES: usize = 2;

pub(super) async fn run(
    verb: DeviceVerb,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let (path, parameters, format) = match verb {
        DeviceVerb::List { new: false, format } => return list(format, daemon, output).await,
        DeviceVerb::List { new: true, format } => return list_new(format, daemon, output).await,
        DeviceVerb::Show { who, format } => return show(&who, format, daemon, output).await,
        DeviceVerb::Name { who, name, format } => (
            "/api/v1/devices/name",
            vec![("who", Some(who)), ("name", Some(name))],
            format,
        ),
        DeviceVerb::Assign {
            who,
            profile,
            name,
            mac,
            format,
        } => (
            "/api/v1/devices/assign",
            vec![
                ("who", Some(who)),
                ("profile", profile),
                ("name", name),
                ("mac", mac),
            ],
            format,
        ),
        DeviceVerb::Invite {
            who,
            format,
            again,
            locked,
        } => return invite::invite(who, format, again, locked, daemon, output).await,
        DeviceVerb::Revoke { who, format } => {
            return invite::revoke(who, format, daemon, output).await;
        }
        DeviceVerb::Forget { who, format } => {
            ("/api/v1/devices/forget", vec![("who", Some(who))], format)
        }
    };
    let change: DeviceChange = daemon.post_with(path, &parameters).await?;
    if format.json {
        return Ok(output.json(&change)?);
    }
    let done = output.paint(Style::Good, &plain(&change.done));
    let mut line = format!("{} is {done}", plain(&change.device));
    if let Some(profile) = &change.profile {
        line.push_str(&format!(": profile {}", plain(profile)));
    }
    if !change.known_by.is_empty() {
        line.push_str(&format!(", known by {}", words(&change.known_by)));
    }
    output.line(&line)?;
    for note in &change.notes {
        output.note(note);
    }
    Ok(())
}

/// `hedgerow device list`.
async fn list(format: Format, daemon: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
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
        "Sure",
        "Addresses",
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
            Cell::text(device.confidence.as_deref().unwrap_or_default()),
            Cell::text(&first_of(&device.addresses)),
            Cell::text(&device.known_by.join(", ")),
        ]);
    }
    output.table(0, &table)?;
    for device in &devices {
        for mac in device.macs.iter().filter(|mac| mac.shared) {
            output.line(&format!(
                "{}: several machines ask with {}, as behind a repeater",
                plain(&device.name),
                plain(&mac.mac)
            ))?;
        }
    }
    Ok(())
}

/// `hedgerow device list --new`.
async fn list_new(format: Format, daemon: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
    let devices: Vec<NewDevice> = daemon.get("/api/v1/devices/new", &[]).await?;
    if format.json {
        return Ok(output.json(&devices)?);
    }
    if devices.is_empty() {
        return Ok(output.line("every device that asked has a name")?);
    }
    let heads = [
        "Number",
        "MAC address",
        "Host name",
        "Addresses",
        "First seen",
        "Last seen",
        "Queries",
        "Blocked",
    ];
    let mut table = Table::new(&heads);
    for device in &devices {
        table.row([
            Cell::number(u64::from(device.number)),
            Cell::text(&device.mac.as_ref().map(mac_text).unwrap_or_default()),
            Cell::text(device.host_name.as_deref().unwrap_or_default()),
            Cell::text(&first_of(&device.addresses)),
            Cell::text(&device.first_seen.as_deref().map(time).unwrap_or_default()),
            Cell::text(&device.last_seen.as_deref().map(time).unwrap_or_default()),
            Cell::number(device.recent_queries),
            Cell::number(device.recent_blocked),
        ]);
    }
    output.table(0, &table)?;
    for device in &devices {
        if let Some(like) = like_text(device) {
            output.line(&format!("{}: {like}", device.number))?;
        }
    }
    Ok(())
}

/// `hedgerow device show`.
async fn show(
    who: &str,
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let devices: Vec<Device> = daemon.get("/api/v1/devices", &[]).await?;
    let mac: Option<String> = who.parse().ok().map(|mac: Mac| mac.to_string());
    let has = |it: &DeviceMac| mac.as_ref() == Some(&it.mac);
    let named = devices.iter().find(|it| it.name == who);
    let named = named.or_else(|| devices.iter().find(|it| it.macs.iter().any(has)));
    if let Some(device) = named {
        if format.json {
            return Ok(output.json(device)?);
        }
        return Ok(output.facts(&facts(device))?);
    }
    let new: Vec<NewDevice> = daemon.get("/api/v1/devices/new", &[]).await?;
    let number = who.trim_start_matches('#').parse().ok();
    let is_it = |it: &&NewDevice| number == Some(it.number) || it.mac.as_ref().is_some_and(has);
    let Some(device) = new.iter().find(is_it) else {
        output.complain(
            &format!("there is no device `{who}`"),
            Some("`hedgerow device list` and `hedgerow device list --new` show those there are"),
        );
        return Err(Failure::Said(Exit::Failed));
    };
    if format.json {
        return Ok(output.json(device)?);
    }
    Ok(output.facts(&new_facts(device))?)
}

fn facts(device: &Device) -> Vec<(&'static str, String)> {
    let or_none = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), plain);
    let macs: Vec<String> = device.macs.iter().map(mac_text).collect();
    let place = device.file.as_ref().map(|file| match device.line {
        Some(line) => format!("{file}:{line}"),
        None => file.clone(),
    });
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
    vec![
        ("device", plain(&device.name)),
        ("profile", plain(&device.profile)),
        ("known by", words(&device.known_by)),
        ("confidence", or_none(device.confidence.as_deref())),
        ("MAC addresses", words(&macs)),
        ("addresses now", words(&device.addresses)),
        ("host name", or_none(device.host_name.as_deref())),
        ("queries", number(device.queries)),
        ("blocked", number(device.blocked)),
        (
            "last seen",
            or_none(device.last_seen.as_deref().map(time).as_deref()),
        ),
        ("stands in", or_none(place.as_deref())),
    ]
}

fn new_facts(device: &NewDevice) -> Vec<(&'static str, String)> {
    let or_none = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), plain);
    let mut facts = vec![
        ("number", device.number.to_string()),
        (
            "MAC address",
            or_none(device.mac.as_ref().map(mac_text).as_deref()),
        ),
        ("addresses", words(&device.addresses)),
        ("host name", or_none(device.host_name.as_deref())),
        ("client id", or_none(device.client_id.as_deref())),
        (
            "first seen",
            or_none(device.first_seen.as_deref().map(time).as_deref()),
        ),
        (
            "last seen",
            or_none(device.last_seen.as_deref().map(time).as_deref()),
        ),
        ("recent queries", device.recent_queries.to_string()),
        ("recently blocked", device.recent_blocked.to_string()),
    ];
    facts.extend(like_text(device).map(|text| ("a guess", text)));
    facts
}

/// Which device a new one may be, and what would make them one.
fn like_text(device: &NewDevice) -> Option<String> {
    let like = device.looks_like.as_ref()?;
    Some(format!(
        "looks like {} (profile {}; same {}, which a device says of itself). If it is: {}",
        plain(&like.device),
        plain(&like.profile),
        plain(&like.because),
        plain(&like.command)
    ))
}

fn mac_text(mac: &DeviceMac) -> String {
    let mut text = plain(&mac.mac);
    if mac.made_up {
        text.push_str(" (made up)");
    }
    if mac.shared {
        text.push_str(" (several machines)");
    }
    text
}

/// The first addresses, and how many more there are.
fn first_of(addresses: &[String]) -> String {
    let mut text = addresses
        .iter()
        .take(ADDRESSES)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if addresses.len() > ADDRESSES {
        text.push_str(&format!(" and {} more", addresses.len() - ADDRESSES));
    }
    text
}
