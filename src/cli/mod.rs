//! The command line: what can be typed, what is printed, which exit code it ends in.
//!
//! Arguments enter, an exit code leaves. Verbs that ask a running daemon go through
//! [`crate::control::client`]; those that need the program itself go through [`Backend`], which
//! `main.rs` fills. Nothing outside this module prints.

mod admin;
mod child;
mod devices;
mod explain;
mod family;
mod firewall;
mod invite;
mod lists;
mod log;
mod output;
mod process;
mod program;
mod progress;
mod proof;
mod schedule;
mod services;
mod show;
mod status;
#[cfg(test)]
mod tests;
mod top;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde::{Deserialize, Serialize};

pub use lists::Place;
pub use output::Output;
pub use program::Program;

use crate::config::Config;
use crate::control::api::{ErrorBody, Explanation};
use crate::control::client::{Client, ClientError};
use crate::control::{ControlError, ExplainRequest};
use crate::reload;
use crate::snapshot::Snapshot;

/// Where the control socket is unless somebody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/hedgerow/control.sock";

/// What the command line needs of the program itself.
pub trait Backend {
    /// Runs the daemon until it is told to end.
    ///
    /// # Errors
    /// When the configuration is bad or the daemon cannot start.
    fn serve(&self, options: &ServeOptions) -> Result<(), BackendError>;

    /// Reads the configuration (the default one without a path) and says what is wrong with it.
    ///
    /// # Errors
    /// When it cannot be checked at all; mistakes in it are in the report.
    fn check(&self, config: Option<&Path>) -> Result<CheckReport, BackendError>;

    /// Explains a question from the configuration alone, without a daemon.
    ///
    /// # Errors
    /// When the configuration is bad or there is no such device.
    fn explain(
        &self,
        config: Option<&Path>,
        request: &ExplainRequest,
    ) -> Result<Explanation, BackendError>;

    /// Reads the configuration at `place`.
    ///
    /// # Errors
    /// When it is bad.
    fn config(&self, place: &Place) -> Result<Config, BackendError>;

    /// The world of the configuration at `place`, as the daemon would have it, with its lists.
    ///
    /// # Errors
    /// When it is bad or the lists cannot be had.
    fn world(&self, place: &Place) -> Result<Arc<Snapshot>, BackendError>;

    /// The JSON schema of the configuration.
    ///
    /// # Errors
    /// When it cannot be written as text.
    fn schema(&self) -> Result<String, BackendError>;
}

/// How the daemon is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// The configuration; none is the default one.
    pub config: Option<PathBuf>,
    /// Addresses to listen on instead of the configured ones.
    pub listen: Vec<SocketAddr>,
    /// With a household made up for trying things out, and no configuration.
    pub demo: bool,
    /// The control socket, if it is not to be the configured one.
    pub socket: Option<PathBuf>,
    /// The folder for what must survive a restart, if it is not to be the configured one.
    pub state: Option<PathBuf>,
}

/// What was found in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The file or folder that was read.
    pub config: String,
    /// Whether the daemon would start with it.
    pub ok: bool,
    /// What is wrong or odd.
    pub diagnostics: Vec<CheckedLine>,
    /// One line that says what it amounts to, as in `3 profiles, 7 devices, 24 lists`.
    pub summary: String,
}

/// One thing that is wrong or odd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedLine {
    /// `error` or `warning`.
    pub severity: String,
    /// The file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The whole of it as people read it, with the line and a mark under the word.
    pub text: String,
}

/// Why the program could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The configuration is bad; the diagnostics as people read them.
    #[error("{0}")]
    Config(String),
    /// Something else.
    #[error("{}", .0.error)]
    Failed(ErrorBody),
}

impl From<ControlError> for BackendError {
    fn from(error: ControlError) -> Self {
        Self::Failed(error.body().clone())
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Fine,
    /// It could not be done.
    Failed,
    /// The command line can't be understood.
    Usage,
    /// No daemon answers.
    NotRunning,
    /// The configuration is bad (`EX_CONFIG` of sysexits.h).
    BadConfig,
}

impl Exit {
    /// The number the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::BadConfig => 78,
        }
    }
}

/// Why a verb ended early.
#[derive(Debug)]
enum Failure {
    Client(ClientError),
    Backend(BackendError),
    Request(ControlError),
    Output(io::Error),
    /// What was wrong has been printed already.
    Said(Exit),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::Request(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A DNS resolver for the home that filters what the children can reach.
#[derive(Debug, Parser)]
#[command(name = "hedgerow", version, arg_required_else_help = true)]
struct Arguments {
    /// Control socket of the daemon [default: /run/hedgerow/control.sock, or $HEDGEROW_SOCKET]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon
    Serve(ServeArguments),
    /// Say what is wrong with a configuration
    Check(CheckArguments),
    /// Say why a name would be blocked or let through
    Explain(ExplainArguments),
    /// Try what the configuration says must stay so
    Test(proof::TestArguments),
    /// Show what a new configuration would have done to the questions in the query log
    Simulate(proof::SimulateArguments),
    /// Say in words what is different between two configurations
    Diff(proof::DiffArguments),
    /// Show how the daemon is doing
    Status(Format),
    /// Show the query log
    Log(LogArguments),
    /// Show what is asked for most
    Top(TopArguments),
    /// Let the daemon read its configuration and lists again
    Reload(Format),
    /// The lists
    #[command(subcommand)]
    Lists(lists::ListsVerb),
    /// The devices
    #[command(subcommand)]
    Device(DeviceVerb),
    /// Encrypted DNS
    #[command(subcommand)]
    Encrypted(invite::EncryptedVerb),
    /// The profiles
    #[command(subcommand)]
    Profile(ProfileVerb),
    /// The firewall's table that keeps devices on this resolver
    #[command(subcommand)]
    Firewall(FirewallVerb),
    /// The schedules
    #[command(subcommand)]
    Schedule(schedule::ScheduleVerb),
    /// Open something for a while
    Allow(family::AllowArguments),
    /// Pause the internet or the filter for a while
    Pause(family::PauseArguments),
    /// Give more time of a quota until its day or week ends
    Bonus(family::BonusArguments),
    /// What was said for a while: grants, pauses, bonus minutes
    #[command(subcommand)]
    Grants(family::GrantsVerb),
    /// Ask for something to be opened
    Request(family::RequestArguments),
    /// What was asked for
    #[command(subcommand)]
    Requests(family::RequestsVerb),
    /// How much time is used
    #[command(subcommand)]
    Quota(family::QuotaVerb),
    /// Keep the names a profile asks for in the log for a while, for a reason the child can read
    Reveal(child::RevealArguments),
    /// Names that are or were revealed
    #[command(subcommand)]
    Reveals(child::RevealsVerb),
    /// What a child can see of the rules for it
    #[command(subcommand)]
    Child(child::ChildVerb),
    /// The services that can be blocked or allowed by their title
    #[command(subcommand)]
    Service(ServiceVerb),
    /// The cache of answers
    #[command(subcommand)]
    Cache(CacheVerb),
    /// Print the JSON schema of the configuration, for editors
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Copy, Debug, Args)]
struct Format {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ServeArguments {
    /// Configuration file
    #[arg(long, short, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Address to listen on instead of the configured ones; port 53 unless said
    #[arg(long, value_name = "ADDRESS", value_parser = parse_listen)]
    listen: Vec<SocketAddr>,
    /// Folder for what must survive a restart, instead of the configured one
    #[arg(long, value_name = "PATH")]
    state: Option<PathBuf>,
    /// Serve a made-up household, to try things out
    #[arg(long, conflicts_with = "config")]
    demo: bool,
}

#[derive(Debug, Args)]
struct CheckArguments {
    /// Configuration file
    #[arg(long, short, value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
struct ExplainArguments {
    /// The name asked for
    name: String,
    /// The device that asks
    #[arg(long, conflicts_with = "client")]
    device: Option<String>,
    /// The address that asks
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// The type asked for
    #[arg(long = "type", value_name = "TYPE", default_value = "A")]
    qtype: String,
    /// The time it is asked at, as in 2026-03-29T21:31:00+02:00
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Explain from this configuration, without a daemon
    #[arg(long, short, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Explain from the default configuration, without a daemon
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
struct LogArguments {
    /// Wait for new entries
    #[arg(long, short)]
    follow: bool,
    /// Only of this device
    #[arg(long)]
    device: Option<String>,
    /// Only of this profile
    #[arg(long)]
    profile: Option<String>,
    /// Only what was blocked
    #[arg(long)]
    blocked: bool,
    /// Entries to show [default: 50; with --follow 0]
    #[arg(short = 'n', value_name = "NUMBER")]
    number: Option<usize>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
struct TopArguments {
    /// Print once instead of again and again
    #[arg(long)]
    once: bool,
    /// Places in each ranking
    #[arg(short = 'n', value_name = "NUMBER", default_value_t = 10)]
    number: usize,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum DeviceVerb {
    /// List all devices, or with --new those that asked and have no name
    List {
        /// Those that asked and have no name
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Show all that is known of one device
    Show {
        /// Its name; of a new one its number or MAC address
        who: String,
        #[command(flatten)]
        format: Format,
    },
    /// Give a new device a name, or another one to a device that has one
    Name {
        /// A name, the number of a new device, a MAC address, an address or a host name
        who: String,
        /// The name
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Say whose a device is
    Assign {
        /// A name, the number of a new device, a MAC address, an address or a host name
        who: String,
        /// The profile
        #[arg(long)]
        profile: Option<String>,
        /// The name of a new device, unless it is to be its host name
        #[arg(long)]
        name: Option<String>,
        /// A further MAC address of a device that has a name
        #[arg(long, value_name = "MAC")]
        mac: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Show what a device needs to use this resolver wherever it is; makes its id if it has none
    Invite {
        /// Its name
        who: String,
        /// How to print it
        #[arg(long, value_enum, default_value = "text")]
        format: invite::Shape,
        /// Make a new id although it has one; the other stays
        #[arg(long)]
        again: bool,
        /// Forbid to switch the profile off; heeded on supervised Apple devices only
        #[arg(long)]
        locked: bool,
    },
    /// Take a device's ids back: who shows one gets no answer any more
    Revoke {
        /// Its name
        who: String,
        #[command(flatten)]
        format: Format,
    },
    /// Take a device's name away, so that it is a guest
    Forget {
        /// A name, the number of a new device, a MAC address or an address
        who: String,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
enum ProfileVerb {
    /// List all profiles
    List(Format),
    /// Show what holds for one profile
    Show {
        /// The profile
        name: String,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
enum FirewallVerb {
    /// Print the table, as `nft -f` reads it
    Print {
        /// Configuration file
        #[arg(long, short, value_name = "PATH")]
        config: Option<PathBuf>,
    },
    /// Put the table in place, or in the place of an earlier one
    Apply {
        /// Configuration file
        #[arg(long, short, value_name = "PATH")]
        config: Option<PathBuf>,
    },
    /// Take the table away
    Remove,
}

#[derive(Debug, Subcommand)]
enum ServiceVerb {
    /// List all services
    List {
        /// Only of this group
        #[arg(long)]
        group: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Show what a service is made of, and what stops when it is blocked
    Show {
        /// The service
        id: String,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
enum CacheVerb {
    /// Forget all answers of upstream
    Flush(Format),
}

/// Reads an address to listen on; port 53 unless said.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    bare.unwrap_or(text)
        .parse::<IpAddr>()
        .map(|address| SocketAddr::new(address, 53))
        .map_err(|_| "write it as in `192.0.2.1`, `127.0.0.1:5353` or `[::1]:5353`".to_owned())
}

/// Whether colour is wanted where it can be shown; see no-color.org.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Does what `arguments` (program name first) say, printing to standard output and error.
pub fn run(arguments: impl IntoIterator<Item = OsString>, backend: &dyn Backend) -> ExitCode {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let wants_colour = wants_colour();
    let mut output = Output {
        out_is_terminal: stdout.is_terminal(),
        out_colour: wants_colour && stdout.is_terminal(),
        err_is_terminal: stderr.is_terminal(),
        err_colour: wants_colour && stderr.is_terminal(),
        out: Box::new(io::BufWriter::new(stdout)),
        err: Box::new(stderr),
    };
    let socket = std::env::var_os("HEDGEROW_SOCKET").map(PathBuf::from);
    ExitCode::from(execute(arguments, socket, backend, &mut output).code())
}

/// Does what `arguments` say; `socket` is the one the environment names.
pub fn execute(
    arguments: impl IntoIterator<Item = OsString>,
    socket: Option<PathBuf>,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Nothing that people type: neither help nor completions know it.
    let done = if matches!(&*arguments, [_, verb] if verb == reload::VERB) {
        process::compile_for_daemon(output)
    } else {
        match Arguments::try_parse_from(arguments) {
            Ok(arguments) => dispatch(arguments, socket, backend, output),
            Err(error) => return usage(&error, output),
        }
    };
    let done = done.and_then(|()| Ok(output.out.flush()?));
    match done {
        Ok(()) => Exit::Fine,
        Err(failure) => report(failure, output),
    }
}

fn dispatch(
    arguments: Arguments,
    socket: Option<PathBuf>,
    backend: &dyn Backend,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let socket = arguments
        .socket
        .or_else(|| socket.filter(|path| !path.as_os_str().is_empty()));
    let path = socket.as_deref();
    let daemon = || Client::new(path.unwrap_or_else(|| Path::new(DEFAULT_SOCKET)));
    match arguments.verb {
        Verb::Serve(serve) => process::serve(serve, path, backend),
        Verb::Check(check) => process::check(&check, backend, output),
        Verb::Schema => process::schema(backend, output),
        Verb::Completions { shell } => process::completions(shell, output),
        Verb::Explain(explain) => explain::run(explain, &daemon(), backend, output),
        Verb::Test(test) => proof::test(test, backend, output),
        Verb::Simulate(simulate) => proof::simulate(simulate, &daemon(), backend, output),
        Verb::Diff(diff) => proof::diff(&diff, backend, output),
        Verb::Status(format) => wait(status::run(format, &daemon(), output)),
        Verb::Log(log) => wait(log::run(log, &daemon(), output)),
        Verb::Top(top) => wait(top::run(top, &daemon(), output)),
        Verb::Reload(format) => wait(admin::reload(format, &daemon(), output)),
        Verb::Cache(CacheVerb::Flush(format)) => {
            wait(admin::flush_cache(format, &daemon(), output))
        }
        Verb::Firewall(verb) => firewall::run(&verb, backend, output),
        Verb::Allow(allow) => wait(family::allow(allow, &daemon(), output)),
        Verb::Pause(pause) => wait(family::pause(pause, &daemon(), output)),
        Verb::Bonus(bonus) => wait(family::bonus(bonus, &daemon(), output)),
        Verb::Grants(verb) => wait(family::grants(verb, &daemon(), output)),
        Verb::Request(request) => wait(family::request(request, &daemon(), output)),
        Verb::Requests(verb) => wait(family::requests(verb, &daemon(), output)),
        Verb::Quota(verb) => wait(family::quota(verb, &daemon(), output)),
        Verb::Reveal(reveal) => wait(child::reveal(reveal, &daemon(), output)),
        Verb::Reveals(verb) => wait(child::reveals(verb, &daemon(), output)),
        Verb::Child(verb) => wait(child::child(verb, &daemon(), output)),
        Verb::Service(ServiceVerb::List { group, format }) => {
            services::list(group.as_deref(), format, output)
        }
        Verb::Service(ServiceVerb::Show { id, format }) => services::show(&id, format, output),
        Verb::Lists(verb) => lists::run(verb, &daemon(), backend, output),
        Verb::Schedule(verb) => schedule::run(verb, backend, output),
        Verb::Encrypted(verb) => wait(invite::encrypted(verb, &daemon(), output)),
        Verb::Device(verb) => wait(devices::run(verb, &daemon(), output)),
        Verb::Profile(ProfileVerb::List(format)) => wait(show::profiles(format, &daemon(), output)),
        Verb::Profile(ProfileVerb::Show { name, format }) => {
            wait(show::profile(&name, format, &daemon(), output))
        }
    }
}

/// Runs what waits for the daemon's answer.
fn wait(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    waited(work)?
}

/// What `work` waits for.
fn waited<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}

fn usage(error: &clap::Error, output: &mut Output<'_>) -> Exit {
    let text = error.render();
    let (stream, exit) = if error.use_stderr() {
        (&mut output.err, Exit::Usage)
    } else {
        (&mut output.out, Exit::Fine)
    };
    // Nowhere left to complain to.
    drop(write!(stream, "{text}").and_then(|()| stream.flush()));
    exit
}

/// Says what went wrong and decides how to end.
fn report(failure: Failure, output: &mut Output<'_>) -> Exit {
    // What was printed before the failure comes first.
    drop(output.out.flush());
    match failure {
        Failure::Said(exit) => exit,
        // Whoever read our output has seen enough, as `head` has.
        Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Fine,
        Failure::Output(error) => {
            output.complain(&format!("cannot write: {error}"), None);
            Exit::Failed
        }
        Failure::Request(error) => {
            output.complain(&error.body().error, error.body().help.as_deref());
            Exit::Usage
        }
        Failure::Backend(BackendError::Config(diagnostics)) => {
            output.complain_as_written(&diagnostics);
            Exit::BadConfig
        }
        Failure::Backend(BackendError::Failed(body))
        | Failure::Client(ClientError::Refused(body)) => {
            output.complain(&body.error, body.help.as_deref());
            Exit::Failed
        }
        Failure::Client(error @ ClientError::NotRunning { .. }) => {
            let help = "start it with `hedgerow serve`, or name its socket with `--socket`";
            output.complain(&error.to_string(), Some(help));
            Exit::NotRunning
        }
        Failure::Client(error @ ClientError::Denied { .. }) => {
            let help = "be root, or a member of the group named by `control.group`";
            output.complain(&error.to_string(), Some(help));
            Exit::Failed
        }
        Failure::Client(error) => {
            output.complain(&error.to_string(), None);
            Exit::Failed
        }
    }
}

/// The definition of the command line, for completions.
fn command() -> clap::Command {
    Arguments::command()
}
