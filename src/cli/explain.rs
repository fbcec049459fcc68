//! `hedgerow explain`: who has a say about a name, in the order of authority, and who decided.

use std::io;

use super::output::{Style, padded, plain, time};
use super::{Backend, ExplainArguments, Failure, Output, wait};
use crate::control::ExplainQuery;
use crate::control::ExplainRequest;
use crate::control::api::{Explanation, Voice};
use crate::control::client::Client;
use crate::verdict::Tier;

pub(super) fn run(
    arguments: ExplainArguments,
    daemon: &Client,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let json = arguments.format.json;
    let is_offline = arguments.offline || arguments.config.is_some();
    let query = ExplainQuery {
        name: arguments.name,
        qtype: Some(arguments.qtype),
        device: arguments.device,
        client: arguments.client,
        at: arguments.at,
    };
    // Mistakes in the question are found here, whoever answers it.
    let request = ExplainRequest::parse(&query)?;
    let explanation = if is_offline {
        backend.explain(arguments.config.as_deref(), &request)?
    } else {
        ask(daemon, query)?
    };
    if json {
        return Ok(output.json(&explanation)?);
    }
    Ok(print(&explanation, output)?)
}

fn ask(daemon: &Client, query: ExplainQuery) -> Result<Explanation, Failure> {
    let mut answer = None;
    wait(async {
        let parameters = [
            ("name", Some(query.name)),
            ("type", query.qtype),
            ("device", query.device),
            ("client", query.client),
            ("at", query.at),
        ];
        answer = Some(daemon.get("/api/v1/explain", &parameters).await?);
        Ok(())
    })?;
    Ok(answer.unwrap_or_default())
}

fn print(explanation: &Explanation, output: &mut Output<'_>) -> io::Result<()> {
    let question = &explanation.question;
    let done = match explanation.verdict.as_str() {
        "block" => "blocked",
        "rewrite" => "answered in a safe form",
        _ => "let through",
    };
    let done = output.paint(Style::of_verdict(&explanation.verdict), done);
    output.line(&format!(
        "{} {} is {done} for {}",
        plain(&question.name),
        plain(&question.qtype),
        plain(&explanation.device.label)
    ))?;
    let mut facts = vec![("  why", plain(&explanation.reason))];
    if let Some(at) = &question.at {
        facts.push(("  at", time(at)));
    }
    facts.push(("  device", device(explanation)));
    let chain = &explanation.device.chain;
    if !chain.is_empty() {
        facts.push(("  chain", plain(&chain.join(" → "))));
    }
    facts.push(("  profile", profile(explanation)));
    let answer = plain(&explanation.answer);
    facts.push((
        "  answer",
        explanation
            .ttl
            .map_or_else(|| answer.clone(), |ttl| format!("{answer}, for {ttl} s")),
    ));
    output.facts(&facts)?;
    output.line("")?;
    output.line("In the order of authority:")?;
    for (index, tier) in Tier::ALL.into_iter().enumerate() {
        let of_tier = |voice: &&Voice| voice.tier == tier.label();
        let voices: Vec<_> = explanation.voices.iter().filter(of_tier).collect();
        print_tier(&format!("{} {}", index + 1, tier.label()), &voices, output)?;
    }
    // Of a later version.
    let is_unknown = |voice: &&Voice| Tier::ALL.iter().all(|tier| tier.label() != voice.tier);
    for voice in explanation.voices.iter().filter(is_unknown) {
        print_tier(&format!("  {}", plain(&voice.tier)), &[voice], output)?;
    }
    for note in &explanation.notes {
        output.line(&format!("note: {}", plain(note)))?;
    }
    Ok(())
}

fn device(explanation: &Explanation) -> String {
    let device = &explanation.device;
    if device.known_by.is_empty() {
        return plain(&device.label);
    }
    let known_by = plain(&device.known_by);
    let confidence = match device.confidence.as_str() {
        // By its name, or not at all.
        "" | "none" => String::new(),
        _ if device.chain.is_empty() => String::new(),
        confidence => format!(" ({} confidence)", plain(confidence)),
    };
    format!("{}, known by {known_by}{confidence}", plain(&device.label))
}

fn profile(explanation: &Explanation) -> String {
    let profile = &explanation.profile;
    let mut text = format!(
        "{} (preset {})",
        plain(&profile.name),
        plain(&profile.preset)
    );
    if !profile.inherits.is_empty() {
        let chain = plain(&profile.inherits.join(", then "));
        text.push_str(&format!(", inherits from {chain}"));
    }
    text
}

fn print_tier(tier: &str, voices: &[&Voice], output: &mut Output<'_>) -> io::Result<()> {
    if voices.is_empty() {
        return output.line(&format!("  {}-", padded(tier, 16)));
    }
    for (index, voice) in voices.iter().enumerate() {
        let tier = if index == 0 { tier } else { "" };
        let mark = if voice.decisive { "> " } else { "  " };
        let effect = padded(voice.effect.label(), 11);
        let effect = if voice.decisive {
            output.paint(Style::Strong, &effect)
        } else {
            effect
        };
        output.line(&format!(
            "{mark}{}{effect}{}",
            padded(tier, 16),
            speaker(voice)
        ))?;
        if let Some(note) = &voice.note {
            output.line(&format!("{}({})", " ".repeat(29), plain(note)))?;
        }
    }
    Ok(())
}

fn speaker(voice: &Voice) -> String {
    let mut text = plain(&voice.who);
    if let Some(category) = &voice.category {
        text.push_str(&format!(", {}", plain(category)));
    }
    if let Some(rule) = &voice.text {
        text.push_str(&format!(": `{}`", plain(rule)));
    }
    match (&voice.file, voice.line) {
        (Some(file), Some(line)) => text.push_str(&format!(" ({}:{line})", plain(file))),
        (Some(file), None) => text.push_str(&format!(" ({})", plain(file))),
        (None, Some(line)) => text.push_str(&format!(" (line {line})")),
        (None, None) => {}
    }
    if let Some(since) = &voice.since {
        text.push_str(&format!(", since {}", time(since)));
    }
    if let Some(until) = &voice.until {
        text.push_str(&format!(", until {}", time(until)));
    }
    text
}
