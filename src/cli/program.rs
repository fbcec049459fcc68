//! The verbs that need the program itself: each joined to the module that does it.

use std::io::IsTerminal;
use std::path::Path;

use super::{Backend, BackendError, CheckReport, CheckedLine, Place, ServeOptions};
use crate::clock::Clock;
use crate::config::{self, Config, Diagnostic, Listen, Overrides};
use crate::control::ExplainRequest;
use crate::control::api::{ErrorBody, Explanation};
use crate::daemon::{self, Ready, ServeError};
use crate::files::Files;
use crate::proof::{self, Proved};
use crate::reload::{self, Source};
use crate::snapshot::Snapshot;

/// This program.
#[derive(Clone, Copy, Debug)]
pub struct Program;

impl Backend for Program {
    fn serve(&self, options: &ServeOptions) -> Result<(), BackendError> {
        let source = match (&options.config, options.demo) {
            (_, true) => Source::Demo,
            (Some(path), false) => Source::File(path.clone()),
            (None, false) => Source::Default,
        };
        let listen = options.listen.iter().map(|address| Listen {
            address: *address,
            name: None,
        });
        let overrides = Overrides {
            listen: listen.collect(),
            socket: options.socket.clone(),
            state: options.state.clone(),
            ..overrides()
        };
        daemon::serve(daemon::ServeOptions { source, overrides }, greet).map_err(
            |error| match error {
                ServeError::Config(diagnostics) => BackendError::Config(texts(&diagnostics)),
                other => BackendError::Failed(ErrorBody::new(other.to_string(), "")),
            },
        )
    }

    fn check(&self, config: Option<&Path>) -> Result<CheckReport, BackendError> {
        let source = source_of(config);
        let files = Files::disk();
        let loaded = source.load(&files, &overrides());
        let mut diagnostics: Vec<CheckedLine> = loaded.diagnostics.iter().map(line).collect();
        let mut summary = "it has errors".to_owned();
        let mut ok = loaded.config.is_some();
        if let Some(config) = loaded.config {
            summary = summarise(&config);
            diagnostics.extend(daemon::doubts(&config).into_iter().map(doubt));
            let snapshot = offline(config, &files)?;
            diagnostics.extend(list_lines(&snapshot));
            let tried = proof::try_cases(&snapshot, Clock::system().wall());
            let broken: Vec<Diagnostic> = tried.iter().filter_map(Proved::diagnostic).collect();
            ok = broken.is_empty();
            diagnostics.extend(broken.iter().map(line));
            summary.push_str(&format!(", {} names", snapshot.lists.name_count()));
        }
        Ok(CheckReport {
            config: source.label(),
            ok,
            diagnostics,
            summary,
        })
    }

    fn explain(
        &self,
        config: Option<&Path>,
        request: &ExplainRequest,
    ) -> Result<Explanation, BackendError> {
        let files = Files::disk();
        let loaded = source_of(config).load(&files, &overrides());
        let Some(config) = loaded.config else {
            return Err(BackendError::Config(texts(&loaded.diagnostics)));
        };
        let snapshot = offline(config, &files)?;
        let clock = Clock::system();
        Ok(daemon::explain_offline(&snapshot, &files, request, &clock)?)
    }

    fn config(&self, place: &Place) -> Result<Config, BackendError> {
        let overrides = Overrides {
            state: place.state.clone(),
            ..overrides()
        };
        let loaded = source_of(place.config.as_deref()).load(&Files::disk(), &overrides);
        let diagnostics = &loaded.diagnostics;
        loaded
            .config
            .ok_or_else(|| BackendError::Config(texts(diagnostics)))
    }

    fn world(&self, place: &Place) -> Result<std::sync::Arc<Snapshot>, BackendError> {
        offline(self.config(place)?, &Files::disk())
    }

    fn schema(&self) -> Result<String, BackendError> {
        Ok(config::schema().to_owned())
    }
}

/// What the environment says: systemd names the folder it made for us.
fn overrides() -> Overrides {
    let folders = std::env::var_os("STATE_DIRECTORY").unwrap_or_default();
    // Several are separated by colons; the first is ours.
    let first = std::env::split_paths(&folders).next();
    Overrides {
        usual_state: first.filter(|folder| folder.is_absolute()),
        now: Some(Clock::system().wall()),
        ..Overrides::default()
    }
}

fn source_of(config: Option<&Path>) -> Source {
    config.map_or(Source::Default, |path| Source::File(path.to_path_buf()))
}

fn offline(config: Config, files: &Files) -> Result<std::sync::Arc<Snapshot>, BackendError> {
    reload::offline_snapshot(config, files, &Clock::system())
        .map_err(|error| BackendError::Failed(ErrorBody::new(error.to_string(), "")))
}

fn summarise(config: &Config) -> String {
    let own = config
        .profiles
        .iter()
        .filter(|profile| !config::is_preset(&profile.name));
    format!(
        "{} profiles of your own beside the presets, {} devices, {} lists",
        own.count(),
        config.devices.len(),
        config.lists.len()
    )
}

/// What the lists have to say: those that cannot be loaded, and lines that could not be read.
fn list_lines(snapshot: &Snapshot) -> Vec<CheckedLine> {
    let mut lines = Vec::new();
    for (_, list) in snapshot.lists.lists() {
        let message = match (&list.failure, list.bad_lines) {
            (Some(failure), _) => format!("list `{}` cannot be loaded: {failure}", list.id),
            (None, 0) => continue,
            (None, bad) => format!(
                "list `{}`: {bad} of its lines cannot be read and are left out",
                list.id
            ),
        };
        let mut text = format!("warning: {message}\n");
        for error in &list.first_errors {
            text.push_str(&format!(
                "  --> {}:{}: {}\n",
                list.origin, error.line, error.text
            ));
        }
        lines.push(CheckedLine {
            severity: "warning".to_owned(),
            file: Some(list.origin.to_string()),
            line: list.first_errors.first().map(|error| error.line),
            column: None,
            message,
            help: None,
            text: text.trim_end().to_owned(),
        });
    }
    lines
}

/// Something about this machine rather than about a line of a file.
fn doubt(message: String) -> CheckedLine {
    CheckedLine {
        severity: "warning".to_owned(),
        text: format!("warning: {message}"),
        message,
        ..CheckedLine::default()
    }
}

fn line(diagnostic: &Diagnostic) -> CheckedLine {
    let place = diagnostic.place.as_ref();
    CheckedLine {
        severity: diagnostic.severity.label().to_owned(),
        file: place.map(|place| place.file.display().to_string()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
        text: shown(diagnostic),
    }
}

/// As people read it: in colour on a terminal that wants it.
fn shown(diagnostic: &Diagnostic) -> String {
    let colour = std::io::stdout().is_terminal() && super::wants_colour();
    if colour {
        diagnostic.coloured().to_string()
    } else {
        diagnostic.to_string()
    }
}

fn texts(diagnostics: &[Diagnostic]) -> String {
    let texts: Vec<String> = diagnostics.iter().map(shown).collect();
    texts.join("\n\n")
}

/// Says that it serves, and what to try next.
fn greet(ready: &Ready) {
    let addresses: Vec<String> = ready.addresses.iter().map(ToString::to_string).collect();
    println!(
        "hedgerow {} serves {} with {} names on its lists",
        env!("CARGO_PKG_VERSION"),
        addresses.join(", "),
        ready.names
    );
    for warning in &ready.warnings {
        println!("{warning}");
    }
    let Some(address) = ready.addresses.first() else {
        return;
    };
    let at = if address.ip().is_unspecified() {
        "127.0.0.1".to_owned()
    } else {
        address.ip().to_string()
    };
    let dig = format!("dig @{at} -p {}", address.port());
    println!("\nTry, in another terminal:");
    if ready.demo {
        println!("  {dig} -b 127.0.0.3 gambling.hedgerow.test   # a schoolchild: blocked, and why");
        println!(
            "  {dig} -b 127.0.0.5 gambling.hedgerow.test   # a parent: not blocked (no such name)"
        );
        println!("  {dig} -b 127.0.0.3 www.wikipedia.org        # allowed");
        println!(
            "  {dig} -b 127.0.0.2 www.wikipedia.org        # a preschooler: not on the allowlist"
        );
        println!("  {dig} -b 127.0.0.3 www.google.com           # rewritten to its safe form");
    } else {
        println!("  {dig} gambling.hedgerow.test   # blocked where gambling is, and why");
        println!("  {dig} www.wikipedia.org        # allowed");
        println!("  {dig} www.google.com           # rewritten where safe search is on");
    }
    if let Some(socket) = &ready.control {
        let socket = if *socket == Path::new(super::DEFAULT_SOCKET) {
            String::new()
        } else {
            format!(" --socket {}", socket.display())
        };
        let client = if ready.demo {
            " --client 127.0.0.3"
        } else {
            ""
        };
        // As it was called: right after a build it is not in the path.
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "hedgerow".to_owned());
        println!("  {program} explain{socket}{client} gambling.hedgerow.test");
        println!("  {program} status{socket}");
    }
}
