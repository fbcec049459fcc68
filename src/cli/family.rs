//! What a household says from day to day: `allow`, `pause`, `bonus`, `grants`, `request`,
//! `requests`, `quota`.

use clap::{Args, Subcommand, ValueEnum};

use super::output::{Cell, Style, Table, counted, plain, span, time};
use super::{Failure, Format, Output};
use crate::control::api::{AccessRequest, Grant, GrantChange, QuotaUse, RequestChange};
use crate::control::client::Client;

/// How long something is to hold.
#[derive(Debug, Args)]
pub(super) struct Term {
    /// How long, as in 30m or 2h
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    time: Option<String>,
    /// Until when: bedtime or another schedule, 21:30, tomorrow, or a time of RFC 3339
    #[arg(long, value_name = "WHEN", required_unless_present = "time")]
    until: Option<String>,
}

/// Who says it and why.
#[derive(Debug, Args)]
pub(super) struct Said {
    /// Why, for whoever looks at it later
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Who says so, beside the account of the caller
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct AllowArguments {
    /// `everything`, a category, a service, or a name such as example.org
    what: String,
    /// For the devices of this profile
    #[arg(long, conflicts_with = "device", required_unless_present = "device")]
    profile: Option<String>,
    /// For this device
    #[arg(long)]
    device: Option<String>,
    #[command(flatten)]
    term: Term,
    #[command(flatten)]
    said: Said,
}

/// What can be paused.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Paused {
    /// Nothing but lifelines is open
    Internet,
    /// The profile's categories do not hold
    Filter,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whom").required(true)))]
pub(super) struct PauseArguments {
    /// What to pause
    #[arg(value_enum)]
    what: Paused,
    /// For the devices of this profile
    #[arg(long, group = "whom")]
    profile: Option<String>,
    /// For this device
    #[arg(long, group = "whom")]
    device: Option<String>,
    /// For all devices
    #[arg(long, group = "whom")]
    everybody: bool,
    #[command(flatten)]
    term: Term,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Args)]
pub(super) struct BonusArguments {
    /// How many minutes
    minutes: u32,
    /// Whose
    #[arg(long)]
    profile: String,
    /// Of this quota, as `quota show` calls it; without it of each
    #[arg(long)]
    quota: Option<String>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Args)]
pub(super) struct RequestArguments {
    /// `everything`, a category, a service, or a name such as example.org
    what: String,
    /// The device that asks
    #[arg(long)]
    device: String,
    /// A word to whoever answers
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
pub(super) enum GrantsVerb {
    /// List what holds, with who said it and why
    List {
        /// Also what ended within the last week
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        format: Format,
    },
    /// End a grant, a pause or a bonus before its time
    Undo {
        /// Its number
        id: u32,
        /// Who says so, beside the account of the caller
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum RequestsVerb {
    /// List what waits for an answer
    List {
        /// Also what was answered within the last two weeks
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Open what was asked for, for the profile of who asked
    Grant {
        /// The number of the request
        id: u32,
        #[command(flatten)]
        term: Term,
        /// A word to the child
        #[arg(long, value_name = "TEXT")]
        word: Option<String>,
        /// Who says so, beside the account of the caller
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Refuse what was asked for
    Deny {
        /// The number of the request
        id: u32,
        /// A word to the child
        #[arg(long, value_name = "TEXT")]
        word: Option<String>,
        /// Who says so, beside the account of the caller
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum QuotaVerb {
    /// Show how much of each quota is used, and how it was counted
    Show {
        /// Only of this profile
        #[arg(long)]
        profile: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

/// `hedgerow allow`.
pub(super) async fn allow(
    arguments: AllowArguments,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let said = arguments.said;
    let parameters = [
        ("subject", Some(arguments.what)),
        ("profile", arguments.profile),
        ("device", arguments.device),
        ("for", arguments.term.time),
        ("until", arguments.term.until),
        ("why", said.why),
        ("by", said.by),
    ];
    change("/api/v1/grants", &parameters, said.format, daemon, output).await
}

/// `hedgerow pause`.
pub(super) async fn pause(
    arguments: PauseArguments,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let said = arguments.said;
    let what = match arguments.what {
        Paused::Internet => "internet",
        Paused::Filter => "filter",
    };
    let parameters = [
        ("what", Some(what.to_owned())),
        ("profile", arguments.profile),
        ("device", arguments.device),
        ("everybody", arguments.everybody.then(|| "true".to_owned())),
        ("for", arguments.term.time),
        ("until", arguments.term.until),
        ("why", said.why),
        ("by", said.by),
    ];
    change("/api/v1/pauses", &parameters, said.format, daemon, output).await
}

/// `hedgerow bonus`.
pub(super) async fn bonus(
    arguments: BonusArguments,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let said = arguments.said;
    let parameters = [
        ("minutes", Some(arguments.minutes.to_string())),
        ("profile", Some(arguments.profile)),
        ("quota", arguments.quota),
        ("why", said.why),
        ("by", said.by),
    ];
    let path = "/api/v1/quotas/bonus";
    change(path, &parameters, said.format, daemon, output).await
}

/// `hedgerow grants`.
pub(super) async fn grants(
    verb: GrantsVerb,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let (all, format) = match verb {
        GrantsVerb::List { all, format } => (all, format),
        GrantsVerb::Undo { id, by, format } => {
            let parameters = [("id", Some(id.to_string())), ("by", by)];
            let path = "/api/v1/grants/undo";
            return change(path, &parameters, format, daemon, output).await;
        }
    };
    let parameters = [("all", Some(all.to_string()))];
    let grants: Vec<Grant> = daemon.get("/api/v1/grants", &parameters).await?;
    if format.json {
        return Ok(output.json(&grants)?);
    }
    if grants.is_empty() {
        return Ok(output.line("no grant or pause holds")?);
    }
    let mut table = Table::new(&[
        "Number", "What", "For", "Since", "Until", "By", "Why", "State",
    ]);
    for grant in &grants {
        table.row([
            Cell::number(u64::from(grant.id)),
            Cell::text(&what(grant)),
            Cell::text(&whom(grant)),
            Cell::text(&time(&grant.since)),
            Cell::text(&time(&grant.until)),
            Cell::text(&grant.by),
            Cell::text(&grant.why),
            Cell::text(&grant_state(grant)),
        ]);
    }
    Ok(output.table(0, &table)?)
}

/// `hedgerow request`.
pub(super) async fn request(
    arguments: RequestArguments,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let parameters = [
        ("subject", Some(arguments.what)),
        ("device", Some(arguments.device)),
        ("why", arguments.why),
    ];
    let path = "/api/v1/requests";
    answer(path, &parameters, arguments.format, daemon, output).await
}

/// `hedgerow requests`.
pub(super) async fn requests(
    verb: RequestsVerb,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let (all, format) = match verb {
        RequestsVerb::List { all, format } => (all, format),
        RequestsVerb::Grant {
            id,
            term,
            word,
            by,
            format,
        } => {
            let parameters = [
                ("id", Some(id.to_string())),
                ("for", term.time),
                ("until", term.until),
                ("word", word),
                ("by", by),
            ];
            let path = "/api/v1/requests/grant";
            return answer(path, &parameters, format, daemon, output).await;
        }
        RequestsVerb::Deny {
            id,
            word,
            by,
            format,
        } => {
            let parameters = [("id", Some(id.to_string())), ("word", word), ("by", by)];
            let path = "/api/v1/requests/deny";
            return answer(path, &parameters, format, daemon, output).await;
        }
    };
    let parameters = [("all", Some(all.to_string()))];
    let requests: Vec<AccessRequest> = daemon.get("/api/v1/requests", &parameters).await?;
    if format.json {
        return Ok(output.json(&requests)?);
    }
    if requests.is_empty() {
        return Ok(output.line("no request waits")?);
    }
    let mut table = Table::new(&[
        "Number", "What", "Profile", "Device", "Since", "Times", "Why", "State",
    ]);
    for request in &requests {
        table.row([
            Cell::number(u64::from(request.id)),
            Cell::text(&request.subject),
            Cell::text(&request.profile),
            Cell::text(&request.device),
            Cell::text(&time(&request.since)),
            Cell::number(u64::from(request.times)),
            Cell::text(&request.why),
            Cell::text(&request.state),
        ]);
    }
    Ok(output.table(0, &table)?)
}

/// `hedgerow quota`.
pub(super) async fn quota(
    verb: QuotaVerb,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let QuotaVerb::Show { profile, format } = verb;
    let mut quotas: Vec<QuotaUse> = daemon.get("/api/v1/quotas", &[]).await?;
    quotas.retain(|quota| profile.as_ref().is_none_or(|it| *it == quota.profile));
    if format.json {
        return Ok(output.json(&quotas)?);
    }
    if quotas.is_empty() {
        return Ok(output.line("no profile has a quota")?);
    }
    let mut table = Table::new(&[
        "Profile",
        "Quota",
        "Used",
        "Give or take",
        "Left",
        "Carried on",
        "Bonus",
        "Since",
        "Until",
        "Counted by",
    ]);
    let or_none = |text: Option<&str>| text.map(time).unwrap_or_default();
    for quota in &quotas {
        table.row([
            Cell::text(&quota.profile),
            Cell::text(&quota.quota),
            Cell::text(&span(quota.used_s)),
            Cell::text(&format!("-{}", span(quota.error_s))),
            Cell::text(&span(quota.left_s)),
            Cell::text(&span(quota.carried_s)),
            Cell::text(&span(quota.bonus_s)),
            Cell::text(&or_none(quota.since.as_deref())),
            Cell::text(&or_none(quota.until.as_deref())),
            Cell::text(&quota.counted_by),
        ]);
    }
    Ok(output.table(0, &table)?)
}

/// Says something, and prints what came of it.
pub(super) async fn change(
    path: &str,
    parameters: &[(&str, Option<String>)],
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let change: GrantChange = daemon.post_with(path, parameters).await?;
    if format.json {
        return Ok(output.json(&change)?);
    }
    let done = output.paint(Style::Good, &plain(&change.done));
    let grant = &change.grant;
    let mut line = format!("number {} is {done}: {}", grant.id, grant_text(grant));
    if !grant.is_over() {
        line.push_str(&format!(", until {}", time(&grant.until)));
    }
    output.line(&line)?;
    for note in &change.notes {
        output.note(note);
    }
    Ok(())
}

/// Asks or answers, and prints what came of it.
async fn answer(
    path: &str,
    parameters: &[(&str, Option<String>)],
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let change: RequestChange = daemon.post_with(path, parameters).await?;
    if format.json {
        return Ok(output.json(&change)?);
    }
    if change.done == "open" {
        for note in &change.notes {
            output.line(&plain(note))?;
        }
        return Ok(());
    }
    let request = &change.request;
    let done = output.paint(Style::Good, &plain(&change.done));
    let mut line = format!(
        "request {} is {done}: {} for {}",
        request.id,
        plain(&request.subject),
        plain(&request.profile)
    );
    if change.done == "counted" {
        let times = counted(u64::from(request.times), "time", "times");
        line.push_str(&format!(", asked for {times}"));
    }
    if let Some(grant) = &change.grant {
        line.push_str(&format!(
            ", until {} (grant {})",
            time(&grant.until),
            grant.id
        ));
    }
    output.line(&line)?;
    for note in &change.notes {
        output.note(note);
    }
    Ok(())
}

fn grant_text(grant: &Grant) -> String {
    format!("{} for {}", plain(&what(grant)), plain(&whom(grant)))
}

fn what(grant: &Grant) -> String {
    match grant.kind.as_str() {
        "allow" => format!("allow {}", grant.subject.as_deref().unwrap_or_default()),
        "bonus" => {
            let minutes = u64::from(grant.minutes.unwrap_or_default());
            let minutes = counted(minutes, "minute", "minutes");
            match &grant.quota {
                Some(quota) => format!("{minutes} more of {quota}"),
                None => format!("{minutes} more"),
            }
        }
        "reveal" => "reveal names".to_owned(),
        kind => kind.replace('-', " "),
    }
}

fn whom(grant: &Grant) -> String {
    match (&grant.profile, &grant.device) {
        (Some(profile), _) => profile.clone(),
        (None, Some(device)) => format!("device {device}"),
        (None, None) => "everybody".to_owned(),
    }
}

pub(super) fn grant_state(grant: &Grant) -> String {
    match (&grant.undone_by, &grant.ended) {
        (Some(by), Some(ended)) => format!("undone by {by} at {}", time(ended)),
        _ => grant.state.clone(),
    }
}
