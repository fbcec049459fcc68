//! `hedgerow device invite` and `revoke`: a device's own way to the home's DNS, wherever it is; and
//! `hedgerow encrypted`, what is served and how devices hear of it.

use clap::{Subcommand, ValueEnum};

use super::output::{Style, plain, time};
use super::{Exit, Failure, Format, Output};
use crate::certificate::{qr, unbase64};
use crate::control::api::{Certificate, DeviceChange, Encrypted, Invitation, Status};
use crate::control::client::Client;

/// How an invitation is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    /// For people, with a QR code
    Text,
    /// The QR code as a picture
    Svg,
    /// The profile for Apple's devices
    Mobileconfig,
    /// Everything as JSON
    Json,
}

/// For whom lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Server {
    /// Lines of dnsmasq.conf
    Dnsmasq,
    /// Lines of OpenWrt's /etc/config/dhcp
    Odhcpd,
    /// The authority to install, in PEM
    Ca,
}

/// Verbs of `hedgerow encrypted`.
#[derive(Debug, Subcommand)]
pub(super) enum EncryptedVerb {
    /// Show how encrypted DNS is served, and with which certificate
    Show {
        /// Print only what this server is to be given, so that devices find it
        #[arg(
            long = "for",
            value_enum,
            value_name = "SERVER",
            conflicts_with = "json"
        )]
        server: Option<Server>,
        #[command(flatten)]
        format: Format,
    },
}

/// `hedgerow device invite`.
pub(super) async fn invite(
    who: String,
    shape: Shape,
    again: bool,
    locked: bool,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let flag = |on: bool| on.then(|| "true".to_owned());
    let parameters = [
        ("who", Some(who)),
        ("again", flag(again)),
        ("locked", flag(locked)),
    ];
    let invitation: Invitation = daemon
        .post_with("/api/v1/devices/invite", &parameters)
        .await?;
    let picture = match shape {
        Shape::Json => return Ok(output.json(&invitation)?),
        Shape::Text => return text(&invitation, output),
        Shape::Svg => code_of(&invitation).and_then(qr::svg),
        Shape::Mobileconfig => {
            let signed = invitation.mobileconfig_signed.as_deref();
            if let Some(signed) = signed.and_then(unbase64) {
                output.out.write_all(&signed)?;
                for note in &invitation.notes {
                    output.note(note);
                }
                return Ok(());
            }
            invitation.mobileconfig.clone()
        }
    };
    let Some(picture) = picture else {
        let help = "add `doh` to `[encrypted]`, as in `doh = [\"0.0.0.0:443\"]`";
        output.complain("it needs DNS over HTTPS, which is not served", Some(help));
        return Err(Failure::Said(Exit::Failed));
    };
    write!(output.out, "{picture}")?;
    for note in &invitation.notes {
        output.note(note);
    }
    Ok(())
}

/// What a code holds: the page with everything, or else the name.
fn code_of(invitation: &Invitation) -> Option<&str> {
    let page = invitation.page.as_deref();
    page.or(invitation.tls_name.as_deref())
}

fn text(invitation: &Invitation, output: &mut Output<'_>) -> Result<(), Failure> {
    let device = plain(&invitation.device);
    output.line(&format!(
        "Whoever has what stands here asks as {device}: pass it on to nobody else."
    ))?;
    output.line(&format!("`hedgerow device revoke {device}` takes it back."))?;
    if let Some(page) = &invitation.page {
        output.line("")?;
        if let Some(code) = qr::text(page) {
            write!(output.out, "{code}")?;
        }
        output.line("Open this on the device (the code holds the same):")?;
        output.line(&format!("  {}", plain(page)))?;
    }
    let trust = invitation.authority_sha256.as_deref();
    if let Some(sum) = trust {
        output.line("")?;
        output.line(
            "The device will warn of a certificate it does not know: it is the home's own. Install",
        )?;
        output.line("it from the first page of that server, and compare its SHA-256:")?;
        for half in halves(&plain(sum)) {
            output.line(&format!("  {half}"))?;
        }
    }
    if invitation.mobileconfig.is_some() {
        output.line("")?;
        output.line(&output.paint(Style::Good, "iPhone, iPad, Mac"))?;
        output
            .line("  Open the page, take the profile, and install it under Settings > General >")?;
        output.line("  VPN & Device Management.")?;
        if trust.is_some() {
            output.line("  Then switch on the certificate under Settings > General > About >")?;
            output.line("  Certificate Trust Settings.")?;
        }
    }
    if let Some(name) = invitation.tls_name.as_deref().filter(|_| trust.is_none()) {
        output.line("")?;
        output.line(&output.paint(Style::Good, "Android"))?;
        output.line(
            "  Settings > Network & internet > Private DNS > Private DNS provider hostname:",
        )?;
        output.line(&format!("  {}", plain(name)))?;
    }
    if let Some(url) = &invitation.https_url {
        output.line("")?;
        output.line(&output.paint(Style::Good, "Windows 11"))?;
        output.line(
            "  Settings > Network & internet > hardware properties > DNS server assignment:",
        )?;
        output.line("  this resolver's address, DNS over HTTPS on (manual template):")?;
        output.line(&format!("  {}", plain(url)))?;
        output.line("")?;
        output.line(&output.paint(Style::Good, "Firefox"))?;
        output
            .line("  Settings > Privacy & Security > DNS over HTTPS > Max Protection > Custom:")?;
        output.line(&format!("  {}", plain(url)))?;
    }
    let others = [
        ("DNS over TLS", &invitation.tls_name),
        ("DNS over QUIC", &invitation.quic_name),
    ];
    for (what, name) in others {
        if let Some(name) = name {
            output.line("")?;
            output.line(&output.paint(Style::Good, what))?;
            output.line(&format!("  {}", plain(name)))?;
        }
    }
    for note in &invitation.notes {
        output.note(note);
    }
    Ok(())
}

/// A long fingerprint on two lines.
fn halves(sum: &str) -> [&str; 2] {
    match sum.char_indices().nth(48) {
        Some((at, _)) => [&sum[..at], &sum[at..]],
        None => [sum, ""],
    }
}

/// `hedgerow device revoke`.
pub(super) async fn revoke(
    who: String,
    format: Format,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let change: DeviceChange = daemon
        .post_with("/api/v1/devices/revoke", &[("who", Some(who))])
        .await?;
    if format.json {
        return Ok(output.json(&change)?);
    }
    let done = output.paint(Style::Good, &plain(&change.done));
    output.line(&format!("the ids of {} are {done}", plain(&change.device)))?;
    for note in &change.notes {
        output.note(note);
    }
    Ok(())
}

/// `hedgerow encrypted`.
pub(super) async fn encrypted(
    verb: EncryptedVerb,
    daemon: &Client,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let EncryptedVerb::Show { server, format } = verb;
    let status: Status = daemon.get("/api/v1/status", &[]).await?;
    let Some(served) = status.encrypted else {
        let help = "say where in `[encrypted]`: `name`, and `dot` or `doh`";
        output.complain("encrypted DNS is not served", Some(help));
        return Err(Failure::Said(Exit::Failed));
    };
    if format.json {
        return Ok(output.json(&served)?);
    }
    let certificate = served.certificate.as_ref();
    let lines = match server {
        None => return Ok(output.facts(&facts(&served))?),
        Some(Server::Dnsmasq) => served.dnsmasq,
        Some(Server::Odhcpd) => served.odhcpd,
        Some(Server::Ca) => {
            let root = certificate.and_then(|it| it.authority_pem.clone());
            let Some(root) = root else {
                let error = "the certificate is not of the household's own authority";
                output.complain(error, Some("there is nothing to install"));
                return Err(Failure::Said(Exit::Failed));
            };
            root.lines().map(str::to_owned).collect()
        }
    };
    for line in lines {
        output.line(&plain(&line))?;
    }
    Ok(())
}

fn facts(served: &Encrypted) -> Vec<(&'static str, String)> {
    let mut facts = vec![("name", plain(&served.name))];
    if let Some(port) = served.dot {
        facts.push(("DNS over TLS", format!("port {port}")));
    }
    if let Some(url) = &served.doh {
        facts.push(("DNS over HTTPS", plain(url)));
    }
    if let Some(port) = served.doq {
        facts.push(("DNS over QUIC", format!("port {port}")));
    }
    let found = match served.discovered {
        true => "by themselves (DDR)",
        false => "only when they are told: the certificate holds for no address of this machine",
    };
    facts.push(("devices find it", found.to_owned()));
    match &served.certificate {
        None => facts.push(("certificate", "none: nobody is answered".to_owned())),
        Some(certificate) => facts.extend(certificate_facts(certificate)),
    }
    facts
}

fn certificate_facts(certificate: &Certificate) -> Vec<(&'static str, String)> {
    let issuer = match certificate.issuer.as_str() {
        "household" => "of the household's own authority",
        "files" => "from files",
        "acme" => "of a public authority (ACME)",
        other => other,
    };
    let ids = match certificate.covers_ids {
        true => "",
        false => ", not for names with a device's id",
    };
    let mut facts = vec![
        ("certificate", format!("{}{ids}", plain(issuer))),
        ("valid until", time(&certificate.not_after)),
    ];
    if let Some(until) = &certificate.authority_not_after {
        facts.push(("authority until", time(until)));
    }
    if let Some(sum) = &certificate.authority_sha256 {
        facts.push(("its SHA-256", plain(sum)));
    }
    if let Some(sum) = &certificate.next_authority_sha256 {
        let until = certificate.next_authority_not_after.as_deref();
        facts.push(("next authority until", until.map_or_else(String::new, time)));
        facts.push(("its SHA-256", plain(sum)));
    }
    facts
}
