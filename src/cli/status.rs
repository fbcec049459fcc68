//! `hedgerow status`.

use super::output::{Style, counted, latency, plain, size, span, time};
use super::{Failure, Format, Output};
use crate::control::api::{DeviceSummary, ListSummary, ReloadReport, Status, UpstreamStatus};
use crate::control::client::Client;

pub(super) async fn run(
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let status: Status = daemon.get("/api/v1/status", &[]).await?;
    if format.json {
        return Ok(output.json(&status)?);
    }
    output.line(&format!(
        "hedgerow {}, running for {} (pid {})",
        plain(&status.version),
        span(status.uptime_s),
        status.pid
    ))?;
    let facts = facts(&status);
    output.facts(&facts)?;
    for warning in &status.warnings {
        let label = output.paint(Style::Odd, "warning:");
        output.line(&format!("{label} {}", plain(warning)))?;
    }
    Ok(())
}

fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let mut facts = vec![(
        "config",
        format!(
            "{} (generation {})",
            plain(&status.config),
            status.config_generation
        ),
    )];
    if let Some(report) = &status.last_reload {
        facts.push(("reload", reload(report)));
    }
    for listener in &status.listeners {
        let name = listener
            .name
            .as_deref()
            .map(|name| format!(" ({})", plain(name)));
        let address = plain(&listener.address);
        let transport = plain(&listener.transport);
        let name = name.unwrap_or_default();
        facts.push(("listening", format!("{address} {transport}{name}")));
    }
    if let Some(served) = &status.encrypted {
        let certificate = match &served.certificate {
            Some(it) => format!("certificate until {}", time(&it.not_after)),
            None => "no certificate".to_owned(),
        };
        facts.push((
            "encrypted",
            format!("{}, {certificate}", plain(&served.name)),
        ));
    }
    let verdict = |label: &str| status.totals.verdicts.get(label).copied().unwrap_or(0);
    facts.push((
        "queries",
        format!(
            "{}, {} blocked, {} in a safe form, {} waiting for upstream",
            status.totals.queries,
            verdict("block"),
            verdict("rewrite"),
            status.in_flight
        ),
    ));
    if status.rate_limited + status.refused_clients > 0 {
        facts.push((
            "dropped",
            format!(
                "{} too many from one client, {} from addresses not served",
                status.rate_limited, status.refused_clients
            ),
        ));
    }
    let cache = &status.cache;
    let looked_up = cache.hits + cache.misses;
    let share = (cache.hits * 100).checked_div(looked_up);
    facts.push((
        "cache",
        format!(
            "{}, {} of {}{}",
            counted(cache.entries, "answer", "answers"),
            size(cache.bytes),
            size(cache.max_bytes),
            share.map_or_else(String::new, |share| format!(", {share} % found")),
        ),
    ));
    if let Some(checks) = &status.dnssec {
        facts.push((
            "dnssec",
            format!(
                "{} secure, {} insecure, {} bogus",
                checks.secure, checks.insecure, checks.bogus
            ),
        ));
    }
    facts.push(("devices", devices(&status.devices)));
    facts.push(("lists", lists(&status.lists)));
    for server in &status.upstreams {
        facts.push(("upstream", upstream(server)));
    }
    for evidence in &status.evidence {
        let [name, state, detail] =
            [&evidence.name, &evidence.state, &evidence.detail].map(|it| plain(it));
        facts.push(("known by", format!("{name}: {state}, {detail}")));
    }
    if let Some(bytes) = status.memory_rss_bytes {
        let journal = size(status.journal_bytes);
        facts.push(("memory", format!("{} (journal {journal})", size(bytes))));
    }
    facts.push(("workers", status.workers.to_string()));
    facts
}

fn reload(report: &ReloadReport) -> String {
    let at = time(&report.at);
    if report.ok {
        format!("{at}, took effect")
    } else {
        let errors = counted(report.errors.len() as u64, "error", "errors");
        format!("{at}, failed with {errors}; the configuration before still holds")
    }
}

fn devices(devices: &DeviceSummary) -> String {
    let named = format!("{} named", devices.named);
    match devices.new {
        0 => named,
        new => format!("{named}, {new} new: see `hedgerow device list --new`"),
    }
}

fn lists(lists: &ListSummary) -> String {
    let mut text = format!(
        "{}, {}, {}",
        counted(lists.count, "list", "lists"),
        counted(lists.names, "name", "names"),
        size(lists.bytes)
    );
    if !lists.failed.is_empty() {
        text.push_str(&format!("; failed: {}", plain(&lists.failed.join(", "))));
    }
    text
}

fn upstream(server: &UpstreamStatus) -> String {
    let mut text = format!(
        "{} {}{}{}{}: {}, {} failed",
        plain(&server.address),
        plain(&server.transport),
        match server.tier {
            // An older daemon does not say it.
            0..=2 if server.fallback => " as fallback".to_owned(),
            0..=2 => String::new(),
            tier => format!(" as fallback in tier {tier}"),
        },
        match server.resolvers.is_empty() {
            true => String::new(),
            false => format!(" of {}", plain(&server.resolvers.join(", "))),
        },
        server
            .domain
            .as_deref()
            .map_or_else(String::new, |domain| format!(" for {}", plain(domain))),
        match server.state.as_str() {
            "unknown" => "not asked yet",
            "failing" => "does not answer as it should",
            "dead" => "silent",
            _ if server.healthy => "answers",
            _ => "silent",
        },
        server.failures
    );
    if let Some(micros) = server.latency_us {
        text.push_str(&format!(", {}", latency(micros)));
    }
    if let Some(micros) = server.latency_p95_us {
        text.push_str(&format!(" (19 of 20 within {})", latency(micros)));
    }
    if let Some(error) = &server.last_error {
        text.push_str(&format!("; last error: {}", plain(error)));
    }
    text
}
