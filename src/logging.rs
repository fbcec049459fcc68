//! The daemon's own log: to standard error, to systemd's journal or to the syslog daemon.
//!
//! [`start`] is called once; [`Logging::set_level`] follows a reload. What is written carries
//! fields, not sentences with values inside, so journald keeps them apart.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogLevel, LogTarget};

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// systemd's journal does not take our entries.
    #[error("cannot write to journald: {0}")]
    Journald(#[source] io::Error),
    /// Nobody takes entries on the syslog socket.
    #[error("cannot write to syslog: {}: {source}", path.display())]
    Syslog {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody in this process has opened a log before.
    #[error("a log is open already")]
    Started,
}

/// The log, open.
#[derive(Clone, Debug)]
pub struct Logging {
    level: reload::Handle<LevelFilter, Registry>,
}

impl Logging {
    /// Writes what is at least as important as `level` from now on.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only when the log itself is gone, and then there is nowhere to say so.
        drop(self.level.reload(filter(level)));
    }
}

/// Opens the process's log.
///
/// # Errors
/// When the target cannot be opened, or a log was opened before.
pub fn start(target: LogTarget, level: LogLevel) -> Result<Logging, LoggingError> {
    let (level, handle) = reload::Layer::new(filter(level));
    let layer: Box<dyn Layer<_> + Send + Sync> = match resolve(target) {
        LogTarget::Journald => Box::new(
            tracing_journald::layer()
                .map_err(LoggingError::Journald)?
                .with_syslog_identifier("hedgerow".to_owned()),
        ),
        LogTarget::Syslog => {
            let writer = Syslog::connect("/dev/log").map_err(|source| LoggingError::Syslog {
                path: "/dev/log".into(),
                source,
            })?;
            Box::new(syslog_layer(writer))
        }
        LogTarget::Stderr | LogTarget::Auto => Box::new(stderr_layer()),
    };
    tracing_subscriber::registry()
        .with(level)
        .with(layer)
        .try_init()
        .map_err(|_| LoggingError::Started)?;
    Ok(Logging { level: handle })
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// What `Auto` means here and now.
fn resolve(target: LogTarget) -> LogTarget {
    if target != LogTarget::Auto {
        return target;
    }
    let stderr = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|fd| std::fs::File::from(fd).metadata())
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()));
    let stream = std::env::var("JOURNAL_STREAM").ok();
    if is_journal(stream.as_deref(), stderr) {
        LogTarget::Journald
    } else {
        LogTarget::Stderr
    }
}

/// Whether `JOURNAL_STREAM` names the device and inode that standard error is (systemd.exec(5)).
///
/// That the variable is set is not enough: a child whose output was redirected to a file inherits
/// it all the same.
fn is_journal(stream: Option<&str>, stderr: Option<(u64, u64)>) -> bool {
    let named = stream.and_then(|text| {
        let (device, inode) = text.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    named.is_some() && named == stderr
}

fn stderr_layer<S>() -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
{
    let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    fmt::layer()
        .compact()
        .with_ansi(wants_colour && io::stderr().is_terminal())
        .with_writer(io::stderr)
}

fn syslog_layer<S>(writer: Syslog) -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
{
    fmt::layer()
        .compact()
        .with_ansi(false)
        // The syslog daemon has a clock and the severity stands in front of each entry.
        .without_time()
        .with_level(false)
        .with_writer(writer)
}

/// Writes entries to a syslog daemon's socket in the form of RFC 3164.
///
/// Without a timestamp: it would have to be in the household's local time, and the daemon that
/// receives an entry puts its own there (RFC 3164 section 4.3.2).
#[derive(Clone, Debug)]
struct Syslog(Arc<SyslogSocket>);

#[derive(Debug)]
struct SyslogSocket {
    path: PathBuf,
    socket: Mutex<UnixDatagram>,
    tag: String,
}

/// Facility `daemon` (RFC 3164 section 4.1.1).
const FACILITY: u8 = 3;
/// The longest entry (RFC 3164 section 4.1).
const MAX_ENTRY: usize = 1024;

impl Syslog {
    fn connect(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let socket = open(&path)?;
        Ok(Self(Arc::new(SyslogSocket {
            path,
            socket: Mutex::new(socket),
            tag: format!("hedgerow[{}]", std::process::id()),
        })))
    }
}

fn open(path: &std::path::Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    // A syslog daemon that does not read must not hold up one that answers queries.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl SyslogSocket {
    fn send(&self, severity: u8, text: &str) {
        let mut entry = format!("<{}>{}: {text}", FACILITY * 8 + severity, self.tag);
        entry.truncate(entry.floor_char_boundary(MAX_ENTRY));
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = socket.send(entry.as_bytes()) else {
            return;
        };
        if error.kind() == io::ErrorKind::WouldBlock {
            return;
        }
        // The syslog daemon was restarted: its socket is a new one.
        if let Ok(fresh) = open(&self.path) {
            *socket = fresh;
            // An entry lost twice is lost; there is nowhere left to say so.
            drop(socket.send(entry.as_bytes()));
        }
    }
}

/// One entry on its way.
#[derive(Debug)]
struct SyslogEntry {
    socket: Arc<SyslogSocket>,
    severity: u8,
}

impl io::Write for SyslogEntry {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.socket.send(self.severity, line.trim());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = SyslogEntry;

    fn make_writer(&'a self) -> SyslogEntry {
        self.entry(Level::INFO)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> SyslogEntry {
        self.entry(*metadata.level())
    }
}

impl Syslog {
    fn entry(&self, level: Level) -> SyslogEntry {
        SyslogEntry {
            socket: Arc::clone(&self.0),
            severity: severity(level),
        }
    }
}

/// The severity of `level` (RFC 3164 section 4.1.1).
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_used_only_when_standard_error_is_its() {
        assert!(is_journal(Some("8:4711"), Some((8, 4711))));
        assert!(!is_journal(Some("8:4712"), Some((8, 4711))));
        assert!(!is_journal(Some("nonsense"), Some((8, 4711))));
        assert!(!is_journal(None, Some((8, 4711))));
        assert!(!is_journal(None, None));
    }

    #[test]
    fn syslog_gets_severity_tag_and_fields_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::connect(&path).unwrap();
        let subscriber = tracing_subscriber::registry().with(syslog_layer(syslog));
        let receive = |daemon: &UnixDatagram| {
            let mut entry = [0; 2048];
            let length = daemon.recv(&mut entry).unwrap();
            String::from_utf8(entry[..length].to_vec()).unwrap()
        };
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(list = "school", "cannot be loaded");
            let pid = std::process::id();
            let entry = receive(&daemon);
            let start = format!("<28>hedgerow[{pid}]: ");
            assert!(entry.starts_with(&start), "{entry}");
            assert!(
                entry.ends_with("cannot be loaded list=\"school\""),
                "{entry}"
            );
            std::fs::remove_file(&path).unwrap();
            drop(UnixDatagram::bind(&path));
            std::fs::remove_file(&path).unwrap();
            let fresh = UnixDatagram::bind(&path).unwrap();
            drop(daemon);
            tracing::error!("{}", "x".repeat(5000));
            let entry = receive(&fresh);
            assert!(entry.starts_with("<27>hedgerow"), "{entry}");
            assert_eq!(entry.len(), MAX_ENTRY);
        });
    }

    #[test]
    fn a_syslog_daemon_that_does_not_read_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let _daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::connect(&path).unwrap();
        for _ in 0..10_000 {
            syslog.0.send(6, "nobody reads this");
        }
    }

    #[test]
    fn the_level_follows_a_reload() {
        let (level, handle) = reload::Layer::new(filter(LogLevel::Warn));
        let subscriber = tracing_subscriber::registry().with(level);
        let logging = Logging { level: handle };
        tracing::subscriber::with_default(subscriber, || {
            assert!(!tracing::enabled!(Level::DEBUG));
            logging.set_level(LogLevel::Debug);
            assert!(tracing::enabled!(Level::DEBUG));
            assert!(!tracing::enabled!(Level::TRACE));
        });
    }
}
