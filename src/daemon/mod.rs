//! The life of the process: configuration, sockets, privileges, lists, threads, signals, end.
//!
//! The order at the start matters. Sockets are bound first, while we may still bind them and so
//! that a busy port is told at once; privileges are dropped next; lists are read as the account
//! that will read them again at a reload; and only when all of it stands is the first query taken
//! from a socket, so that no child gets an unfiltered answer.

mod child;
mod devices;
mod doors;
mod encrypted;
mod events;
mod explain;
mod family;
mod gateway;
mod growth;
mod household;
#[cfg(feature = "acme")]
mod issued;
mod lists;
mod newcomers;
mod profile;
mod pulse;
mod renames;
mod search;
mod time;
mod timekeeper;
mod updates;

pub use events::{Event, Events};
pub use explain::{explain, explain_offline};
pub use household::Daemon;
pub use lists::{
    WantedLists, accept_lists, accepted, compile_lists, list_specs, list_states, list_summary,
    update_specs, updated, wanted_lists,
};
pub use search::search_lists;
pub use updates::update_settings;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use newcomers::Newcomers;
use notify::Watcher;
use pulse::{Pulse, Watchdog};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::certificate::Certificates;
use crate::clock::Clock;
use crate::config::{Config, DeviceMatch, Diagnostic, Listen, LogTarget, Overrides};
use crate::control::{self, Household, api};
use crate::device::neighbours::Service;
use crate::device::{self, Neighbours};
use crate::evidence::Condition;
use crate::evidence::leases::Leases;
use crate::evidence::netlink;
use crate::files::Files;
use crate::footprint;
use crate::journal::Journal;
use crate::listener::alone::Sleeper;
use crate::listener::{self, BindError, Bound, Places, tcp, udp};
use crate::logging::{self, Logging, LoggingError};
use crate::reload::{Interest, Reloader, Source, StartError, list_troubles};
use crate::resolve::{Resolver, TimeKeeper};

/// How the daemon is to be started.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where its configuration is.
    pub source: Source,
    /// What the command line says over the files.
    pub overrides: Overrides,
}

/// What stands when the first query may come.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Names on all lists.
    pub names: usize,
    /// The control socket.
    pub control: Option<PathBuf>,
    /// Whether the demonstration family lives here.
    pub demo: bool,
    /// What went wrong without stopping us.
    pub warnings: Vec<String>,
}

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration has errors; they were not shown yet.
    #[error("the configuration has errors")]
    Config(Vec<Diagnostic>),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The world cannot be built.
    #[error(transparent)]
    Start(StartError),
    /// The control socket cannot be made.
    #[error("control socket: {0}")]
    Control(#[from] control::socket::BindError),
    /// The metrics page cannot be served.
    #[error("cannot serve metrics at {address}: {source}")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// We cannot become the account that was asked for.
    #[error("cannot become user `{user}`: {reason}")]
    User {
        /// The account.
        user: String,
        /// What the system said.
        reason: String,
    },
    /// There is no log at all.
    #[error("{0}")]
    Log(LoggingError),
    /// A thread or a timer could not be had.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl From<StartError> for ServeError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(diagnostics) => Self::Config(diagnostics),
            other => Self::Start(other),
        }
    }
}

/// After the last change in a folder, before it is read: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(200);
/// The longest a stream of changes may put off a reload.
const SETTLE_AT_MOST: Duration = Duration::from_secs(2);
/// How long after a start or a reload it is taken to be over.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// The most threads where each worker has one for each listening address; where there would be more, it has
/// one for all.
const OWN_THREADS: usize = 16;
/// How long questions under way may still take when we are told to end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How long an authority that is just being asked may keep us from ending.
#[cfg(feature = "acme")]
const ISSUING_PATIENCE: Duration = Duration::from_secs(3);

/// Runs the daemon until it is told to end. `on_ready` is called when the first query may come.
///
/// # Errors
/// When it cannot start; nothing that happens later ends it.
pub fn serve(options: ServeOptions, on_ready: impl FnOnce(&Ready)) -> Result<(), ServeError> {
    let clock = Clock::system();
    let files = Files::disk();
    let loaded = options.source.load_to_start(&files, &options.overrides);
    let Some(config) = loaded.config else {
        return Err(ServeError::Config(loaded.diagnostics));
    };
    let mut warnings = Vec::new();
    let logging = open_log(&config, &mut warnings)?;
    raise_descriptor_limit(&config);

    let workers = worker_count(&config);
    let bound = bind_all(&config, workers, &mut warnings)?;
    let doors = doors::Doors::bind(&config)?;
    let addresses: Vec<SocketAddr> = bound.iter().map(|bound| bound.address).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let guard = runtime.enter();
    let control = match &config.control.socket {
        None => None,
        Some(path) => {
            match control::socket::ControlSocket::bind(path, config.control.group.as_deref()) {
                Ok(socket) => Some(socket),
                // Two daemons that share a door would be taken for one another.
                Err(error @ control::socket::BindError::InUse { .. }) => return Err(error.into()),
                // The family's DNS matters more than the door to look at it.
                Err(error) => {
                    warnings.push(format!("control socket: {error}"));
                    None
                }
            }
        }
    };
    let metrics = match config.metrics.listen {
        None => None,
        Some(address) => Some(bind_metrics(address)?),
    };
    if let Some(user) = &config.server.user {
        become_user(user)?;
    }

    let certificates = Certificates::new(files.clone());
    let encrypted = doors.encrypted(&config.encrypted);
    let doors = doors.with_certificate(&certificates);
    let (neighbours, service) = Neighbours::new();
    let leases = Leases::new(
        files.clone(),
        clock.clone(),
        Arc::clone(&neighbours),
        config.identity.clone(),
    );
    // Before the first query: it may be of somebody who is known by nothing else.
    leases.gather();
    let reloader = Reloader::new(
        options.source.clone(),
        options.overrides,
        addresses.clone(),
        files,
        clock.clone(),
        neighbours,
    );
    let reloader = Arc::new(reloader.with_processes());
    let journal = Arc::new(Journal::new(config.journal.max_bytes, clock.clone()));
    warnings.extend(doubts(&config));
    let snapshot = reloader.first(config, loaded.watched, &loaded.diagnostics)?;
    let resolver = Arc::new(Resolver::new(
        Arc::clone(&snapshot),
        Arc::clone(&journal),
        clock.clone(),
    ));
    let resolve = updates::UpstreamResolve::new(Arc::clone(&resolver), runtime.handle().clone());
    let updates = updates::Updates::new(Files::disk(), clock.clone(), Arc::new(resolve));
    updates.follow(&snapshot.config);
    updates.look_at_disk();
    let events = Events::default();
    let seen = newcomers::path_in(&snapshot.config);
    let folder = snapshot.config.list_store.folder.clone();
    let folder = (options.source != Source::Demo).then_some(folder);
    let families = family::Families::load(Files::disk(), clock.clone(), folder);
    warnings.extend(families.troubles.iter().cloned());
    let families = Arc::new(families);
    // Before the first query: it may come at bedtime.
    resolver.keep_time(Arc::clone(&families) as Arc<dyn TimeKeeper>);
    let daemon = Arc::new(Daemon {
        families,
        certificates,
        encrypted,
        newcomers: Newcomers::load(
            Files::disk(),
            clock.clone(),
            events.clone(),
            seen.as_deref(),
        ),
        events,
        editing: Mutex::default(),
        updates,
        resolver: Arc::clone(&resolver),
        reloader,
        journal,
        started: clock.now(),
        clock,
        closed: doors.as_ref().map(doors::Doors::closed),
        listeners: {
            let mut texts = listener_texts(&bound, &snapshot.config.server.listen);
            texts.extend(doors.iter().flat_map(doors::Doors::texts));
            texts
        },
        workers,
        logging,
        reloaded: tokio::sync::Notify::new(),
        due: tokio::sync::Notify::new(),
        start_warnings: warnings.clone(),
        neighbour_table: Condition::default(),
        leases,
    });
    // Before the first certificate and signature: what they are held against.
    daemon.note_earliest();
    // Before the first query: a reveal goes on where it was.
    daemon.renew_reveals(daemon.families.look().wall);
    // Before the first handshake.
    daemon.tend_certificate();
    daemon.follow_firewall(None, &snapshot.config);
    let ready = Ready {
        addresses,
        names: snapshot.lists.name_count(),
        control: control.as_ref().map(|socket| socket.path().to_path_buf()),
        demo: options.source == Source::Demo,
        warnings,
    };
    drop(snapshot);
    let ended = runtime.block_on(run(daemon, bound, doors, control, metrics, service, || {
        on_ready(&ready);
    }));
    drop(guard);
    // A reload that waits for a disk is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

/// Everything that goes on until the end.
async fn run(
    daemon: Arc<Daemon>,
    bound: Vec<Bound>,
    doors: Option<doors::Doors>,
    control: Option<control::socket::ControlSocket>,
    metrics: Option<tokio::net::TcpListener>,
    service: Service,
    on_ready: impl FnOnce(),
) -> Result<(), ServeError> {
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    // Before the first answer: whoever sees one may change something.
    let (changed, mut changes) = mpsc::channel(1);
    let mut watcher = FolderWatcher::new(changed);
    watcher.watch(daemon.reloader.interest());
    let workers = daemon.workers;
    // What the kernel knows of clients is known before they ask.
    let table = Arc::clone(daemon.resolver.snapshot().devices.neighbours());
    let condition = daemon.neighbour_table.clone();
    let mut neighbours = netlink::Watcher::new(table, daemon.clock.clone(), condition);
    neighbours.turn(daemon.wants_neighbours()).await;
    let (wanted, wants) = watch::channel(daemon.wants_neighbours());
    let Service { requests, arrivals } = service;
    tokio::spawn(neighbours.serve(requests, wants));
    tokio::spawn(Arc::clone(&daemon.leases).run());
    let mut watchdog = Watchdog::new();
    let mut crew = Crew::start(bound, workers, &daemon.resolver, &stopped, &mut watchdog)?;
    if let Some(doors) = doors {
        let thread = doors.start(&daemon, &stopped, watchdog.pulse())?;
        crew.threads.push(thread);
    }
    let following = devices::follow(Arc::clone(&daemon), arrivals, stopped.clone());
    tokio::spawn(following);
    tokio::spawn(timekeeper::keep(Arc::clone(&daemon), stopped.clone()));
    tokio::spawn(time::keep(Arc::clone(&daemon), stopped.clone()));
    if daemon.encrypted.is_on() {
        tokio::spawn(encrypted::keep(Arc::clone(&daemon), stopped.clone()));
    }
    #[cfg(feature = "acme")]
    let issuing = daemon
        .encrypted
        .is_on()
        .then(|| tokio::spawn(issued::keep(Arc::clone(&daemon), stopped.clone())));
    let door: Arc<dyn Household> = Arc::new(Arc::clone(&daemon));
    if let Some(socket) = control {
        let serving = control::server::serve(socket, Arc::clone(&door), wait_for(stopped.clone()));
        tokio::spawn(serving);
    }
    if let Some(listener) = metrics {
        tokio::spawn(control::metrics::serve(
            listener,
            door,
            wait_for(stopped.clone()),
        ));
    }

    for oddity in daemon.reloader.oddities() {
        warn!(oddity, "configuration");
    }
    for warning in &daemon.start_warnings {
        warn!(warning, "at the start");
    }
    for warning in daemon.reloader.shelf_warnings() {
        warn!(warning, "at the start");
    }
    for trouble in list_troubles(&daemon.resolver.snapshot().lists) {
        error!(trouble, "at the start");
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        names = daemon.resolver.snapshot().lists.name_count(),
        workers,
        "serving"
    );
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    on_ready();
    // One reload at a time, beside this loop: a disk may be slow, and the watchdog and the end must
    // not wait for it. A change that comes meanwhile is read after it.
    let mut reloads = tokio::task::JoinSet::new();
    // The first look is for what changed between the reading and the watching.
    let first = Arc::clone(&daemon);
    reloads.spawn_blocking(move || first.catch_up());
    let mut again = false;
    // What a start or a reload needed of the program is not needed soon.
    let mut settled = Some(tokio::time::Instant::now() + SETTLED_AFTER);
    // Downloads likewise; the first look is for lists that are due since the last run.
    let mut downloads = tokio::task::JoinSet::new();
    loop {
        if downloads.is_empty() && daemon.updates.patience().is_zero() {
            let daemon = Arc::clone(&daemon);
            downloads.spawn_blocking(move || daemon.update_lists_due());
        }
        if again && reloads.is_empty() {
            again = false;
            let daemon = Arc::clone(&daemon);
            reloads.spawn_blocking(move || drop(daemon.reload_now()));
        }
        tokio::select! {
            _ = hang_up.recv() => again = true,
            () = daemon.due.notified() => again = true,
            Some(()) = changes.recv() => {
                settle(&mut changes).await;
                again = true;
            }
            Some(done) = reloads.join_next() => if let Err(error) = done {
                error!(%error, "the reload broke off; the configuration before stays in force");
            },
            Some(done) = downloads.join_next() => match done {
                Ok(is_new) => again |= is_new,
                Err(error) => error!(%error, "looking for new lists broke off"),
            },
            () = tokio::time::sleep(daemon.updates.patience()), if downloads.is_empty() => {}
            // The lists could not be compiled, or one that collapsed stayed so long enough.
            () = tokio::time::sleep(daemon.reloader.patience()), if reloads.is_empty() => {
                again = true;
            }
            // Also after a reload that the control API asked for.
            () = daemon.reloaded.notified() => {
                settled = Some(tokio::time::Instant::now() + SETTLED_AFTER);
                watcher.watch(daemon.reloader.interest());
                wanted.send_replace(daemon.wants_neighbours());
            }
            () = until(settled), if settled.is_some() => {
                settled = None;
                tokio::task::spawn_blocking(footprint::let_go);
            }
            () = watchdog.tick() => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    info!("ending");
    daemon.updates.cancel();
    // The receivers may be gone already if a thread ended early.
    let _gone = stop.send(true);
    crew.finish().await;
    #[cfg(feature = "acme")]
    if let Some(issuing) = issuing {
        // What the authority was shown is taken away.
        drop(tokio::time::timeout(ISSUING_PATIENCE, issuing).await);
    }
    daemon.look_who_is_there(true);
    daemon.families.write(true);
    Ok(())
}

/// Reads changes until there were none for a moment.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    let quiet = async { while tokio::time::timeout(SETTLE, changes.recv()).await.is_ok() {} };
    // Too many changes: read what is there.
    drop(tokio::time::timeout(SETTLE_AT_MOST, quiet).await);
}

/// Until then; for ever without.
async fn until(then: Option<tokio::time::Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means the sender is gone, which is an end too.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// The threads that answer.
struct Crew {
    threads: Vec<JoinHandle<()>>,
    /// Those that sleep where nothing else is to be done.
    sleepers: Vec<Sleeper>,
}

impl Crew {
    /// Starts the threads for each worker's datagrams, and takes connections on this one.
    fn start(
        bound: Vec<Bound>,
        workers: usize,
        resolver: &Arc<Resolver>,
        stopped: &watch::Receiver<bool>,
        watchdog: &mut Watchdog,
    ) -> Result<Self, ServeError> {
        let places = Arc::new(Places::default());
        // Only who has a single socket may sleep there, and none that is lent.
        let have_own_threads = bound.len().saturating_mul(workers) <= OWN_THREADS
            && !bound.iter().any(|bound| bound.is_lent);
        let mut shares: Vec<Vec<Share>> = Vec::new();
        if !have_own_threads {
            shares.resize_with(workers, Vec::new);
        }
        for bound in bound {
            let index = bound.listener;
            let sockets = bound.udp.into_iter().map(|socket| Share {
                listener: index,
                socket: Arc::new(socket),
                is_lent: bound.is_lent,
            });
            if have_own_threads {
                shares.extend(sockets.map(|it| vec![it]));
            } else {
                for (share, socket) in shares.iter_mut().zip(sockets) {
                    share.push(socket);
                }
            }
            let Some(connections) = bound.tcp else {
                continue;
            };
            let serving = tcp::serve(
                connections,
                index,
                Arc::clone(resolver),
                Arc::clone(&places),
            );
            let stopped = stopped.clone();
            tokio::spawn(async move {
                tokio::select! {
                    ended = serving => if let Err(error) = ended {
                        error!(%error, "connections are no longer taken");
                    },
                    () = wait_for(stopped) => {}
                }
            });
        }
        let mut crew = Self {
            threads: Vec::new(),
            sleepers: Vec::new(),
        };
        for (share, number) in shares.into_iter().zip(1..) {
            // Who has several has to wait for all of them, and whoever gave us a socket wants to be able
            // to wait there after us.
            let may_sleep = matches!(&share[..], [only] if !only.is_lent);
            if may_sleep {
                crew.sleepers.push(Sleeper::at(&share[0].socket));
            }
            let worker = Worker {
                sockets: share,
                may_sleep,
                resolver: Arc::downgrade(resolver),
                stopped: stopped.clone(),
                pulse: watchdog.pulse(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || runtime.block_on(worker.run()))?;
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    /// Waits until the threads, which were told to end, have given their last answers.
    async fn finish(self) {
        drop(self.sleepers);
        let joining = tokio::task::spawn_blocking(move || {
            for thread in self.threads {
                if thread.join().is_err() {
                    error!("a worker broke");
                }
            }
        });
        let patience = LAST_ANSWERS + Duration::from_secs(1);
        drop(tokio::time::timeout(patience, joining).await);
    }
}

/// A socket of one worker.
struct Share {
    listener: u16,
    socket: Arc<std::net::UdpSocket>,
    is_lent: bool,
}

/// One thread that answers datagrams.
struct Worker {
    sockets: Vec<Share>,
    may_sleep: bool,
    resolver: Weak<Resolver>,
    stopped: watch::Receiver<bool>,
    pulse: Pulse,
}

impl Worker {
    async fn run(mut self) {
        let Some(resolver) = self.resolver.upgrade() else {
            return;
        };
        let mut serving = tokio::task::JoinSet::new();
        for share in self.sockets {
            let alone = (self.may_sleep).then(|| self.pulse.alone(self.stopped.clone()));
            serving.spawn(udp::serve(
                share.socket,
                share.listener,
                Arc::clone(&resolver),
                wait_for(self.stopped.clone()),
                alone,
            ));
        }
        let stopped = wait_for(self.stopped.clone());
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                () = self.pulse.answer() => {}
                Some(ended) = serving.join_next(), if !*self.stopped.borrow() => {
                    error!(?ended, "datagrams are no longer taken at one address");
                }
            }
        }
        give_last_answers(&resolver).await;
    }
}

/// Waits a while for questions on their way: they still get their answers.
async fn give_last_answers(resolver: &Resolver) {
    let upstream = Arc::clone(&resolver.snapshot().upstream);
    let idle = async {
        while upstream.load().questions > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    drop(tokio::time::timeout(LAST_ANSWERS, idle).await);
}

fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and that is fine.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Watches folders, and says that something in them changed.
struct FolderWatcher {
    watcher: Option<notify::RecommendedWatcher>,
    interest: Arc<Mutex<Interest>>,
}

impl FolderWatcher {
    fn new(changed: mpsc::Sender<()>) -> Self {
        let interest = Arc::new(Mutex::new(Interest::default()));
        let shared = Arc::clone(&interest);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = match event {
                // Some were lost: any may have mattered.
                Err(_) => true,
                Ok(event) if event.need_rescan() => true,
                Ok(event) => {
                    let interest = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    !event.kind.is_access() && event.paths.iter().any(|path| interest.covers(path))
                }
            };
            if matters {
                // Full means that somebody was told already.
                let _full = changed.try_send(());
            }
        });
        Self {
            watcher: watcher
                .inspect_err(|error| {
                    warn!(%error, "changes of files are not seen; use SIGHUP or `hedgerow reload`");
                })
                .ok(),
            interest,
        }
    }

    /// Watches for this in place of what was of interest before.
    fn watch(&mut self, next: Interest) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        // The watcher's thread waits for this lock when something changes, and we for that thread
        // below: it must not be held there.
        let before = {
            let mut interest = self.interest.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *interest, next.clone())
        };
        let folders = before.folders().iter();
        for gone in folders.filter(|old| !next.folders().contains(old)) {
            // It may be gone from the disk too.
            drop(watcher.unwatch(gone));
        }
        // Also those watched already: a folder that was replaced is another one.
        for folder in next.folders() {
            watch_folder(watcher, folder);
        }
    }
}

fn watch_folder(watcher: &mut notify::RecommendedWatcher, folder: &std::path::Path) {
    // One that is not there yet shows itself in the nearest that is.
    let there = folder.ancestors().find(|folder| folder.is_dir());
    let folder = there.unwrap_or(folder);
    // The same path twice is one watch.
    if let Err(error) = watcher.watch(folder, notify::RecursiveMode::NonRecursive) {
        tracing::debug!(folder = %folder.display(), %error, "not watched");
    }
}

/// Opens the log that was asked for, or standard error if it cannot be had: DNS matters more.
fn open_log(config: &Config, warnings: &mut Vec<String>) -> Result<Logging, ServeError> {
    logging::start(config.log.target, config.log.level).or_else(|error| {
        warnings.push(format!("log: {error}; writing to standard error"));
        logging::start(LogTarget::Stderr, config.log.level).map_err(ServeError::Log)
    })
}

/// One thread for each processor, at most four: a home asks less than one can answer.
fn worker_count(config: &Config) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    match config.server.workers {
        0 => processors().min(4),
        workers => workers,
    }
}

/// Takes the sockets systemd handed over, or binds those of the configuration.
fn bind_all(
    config: &Config,
    workers: usize,
    warnings: &mut Vec<String>,
) -> Result<Vec<Bound>, ServeError> {
    let handed = handed_over(&config.server.listen, workers)?;
    if !handed.is_empty() {
        for listen in &config.server.listen {
            if !handed.iter().any(|bound| bound.address == listen.address) {
                warnings.push(format!(
                    "systemd handed over sockets, and `{}` of the configuration is not among them: \
                     it is not served",
                    listen.address
                ));
            }
        }
        return Ok(handed);
    }
    let listen = config.server.listen.iter().zip(0..);
    Ok(listen
        .map(|(listen, place)| listener::bind(listen, place, workers))
        .collect::<Result<_, _>>()?)
}

/// Sockets from systemd: each address as one for datagrams and one for connections.
fn handed_over(listen: &[Listen], workers: usize) -> Result<Vec<Bound>, ServeError> {
    // systemd knows nothing of our names; the address tells which one it is.
    let place_of = |address: SocketAddr| {
        let place = listen.iter().position(|listen| listen.address == address);
        place.map_or(u16::MAX, |place| place as u16)
    };
    let mut handed = listenfd::ListenFd::from_env();
    let (mut datagrams, mut connections) = (Vec::new(), Vec::new());
    for index in 0..handed.len() {
        if let Ok(Some(socket)) = handed.take_udp_socket(index) {
            datagrams.push(socket);
        } else if let Ok(Some(socket)) = handed.take_tcp_listener(index) {
            connections.push(socket);
        } else {
            warn!(
                index,
                "a socket from systemd is neither UDP nor TCP; left alone"
            );
        }
    }
    let mut bound = Vec::new();
    for tcp in connections {
        let address = tcp.local_addr()?;
        tcp.set_nonblocking(true)?;
        let same = datagrams
            .iter()
            .position(|udp: &std::net::UdpSocket| udp.local_addr().is_ok_and(|it| it == address));
        let udp = match same {
            Some(at) => shared_by(datagrams.swap_remove(at), workers)?,
            None => Vec::new(),
        };
        bound.push(Bound {
            listener: place_of(address),
            address,
            udp,
            is_lent: true,
            tcp: Some(tcp),
        });
    }
    for udp in datagrams {
        let address = udp.local_addr()?;
        warn!(%address, "handed over for UDP without TCP: answers that do not fit cannot be had");
        bound.push(Bound {
            listener: place_of(address),
            address,
            udp: shared_by(udp, workers)?,
            is_lent: true,
            tcp: None,
        });
    }
    Ok(bound)
}

/// The same socket for each worker.
fn shared_by(socket: std::net::UdpSocket, workers: usize) -> io::Result<Vec<std::net::UdpSocket>> {
    socket.set_nonblocking(true)?;
    let mut all = (1..workers)
        .map(|_| socket.try_clone())
        .collect::<io::Result<Vec<_>>>()?;
    all.push(socket);
    Ok(all)
}

fn bind_metrics(address: SocketAddr) -> Result<tokio::net::TcpListener, ServeError> {
    let failed = |source| ServeError::Metrics { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    tokio::net::TcpListener::from_std(listener).map_err(failed)
}

/// What is right in itself and will not do what was meant on this machine, one sentence each.
pub fn doubts(config: &Config) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(user) = &config.server.user
        && !matches!(nix::unistd::User::from_name(user), Ok(Some(_)))
    {
        doubts.push(format!("`server.user`: there is no account `{user}`"));
    }
    if let Some(group) = &config.control.group
        && !matches!(nix::unistd::Group::from_name(group), Ok(Some(_)))
    {
        doubts.push(format!("`control.group`: there is no group `{group}`"));
    }
    // Such a forwarder asks for clients wherever they are.
    let mut forwarders = config.forwarders.iter();
    let asks_for_all = forwarders.any(|forwarder| forwarder.trust.client_subnet);
    for device in config.devices.iter().filter(|_| !asks_for_all) {
        for known_by in &device.matches {
            let DeviceMatch::Net(net) = known_by else {
                continue;
            };
            let served = config.server.serve.iter();
            if !served
                .clone()
                .any(|serve| serve.contains(net) || net.contains(serve))
            {
                doubts.push(format!(
                    "device `{}`: {net} lies outside `server.serve`, so its queries are refused",
                    device.name
                ));
            }
        }
    }
    doubts.extend(device::names::doubts(config));
    doubts
}

/// Becomes `user`, with its groups and nothing else.
fn become_user(user: &str) -> Result<(), ServeError> {
    let failed = |reason: String| ServeError::User {
        user: user.to_owned(),
        reason,
    };
    let account = nix::unistd::User::from_name(user)
        .map_err(|error| failed(error.to_string()))?
        .ok_or_else(|| failed("there is no such account".to_owned()))?;
    if nix::unistd::geteuid() == account.uid {
        return Ok(());
    }
    let name = std::ffi::CString::new(user).map_err(|error| failed(error.to_string()))?;
    nix::unistd::initgroups(&name, account.gid)
        .and_then(|()| nix::unistd::setgid(account.gid))
        .and_then(|()| nix::unistd::setuid(account.uid))
        .map_err(|error| failed(error.to_string()))
}

/// Every question in flight has a socket of its own, and so has every connection; the usual soft limit
/// is 1,024.
fn raise_descriptor_limit(config: &Config) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let limits = &config.limits;
    let connections = limits.tcp_connections + limits.encrypted_connections;
    let enough = 8192 + connections as u64;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = hard.min(enough).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    });
    if let Err(error) = raised {
        warn!(%error, "the number of open files stays as it is");
    }
}

fn listener_texts(bound: &[Bound], listen: &[Listen]) -> Vec<api::Listener> {
    let mut texts = Vec::new();
    for bound in bound {
        for (transport, served) in [("udp", !bound.udp.is_empty()), ("tcp", bound.tcp.is_some())] {
            if !served {
                continue;
            }
            texts.push(api::Listener {
                address: bound.address.to_string(),
                transport: transport.to_owned(),
                name: listen
                    .get(usize::from(bound.listener))
                    .and_then(|listen| listen.name.clone()),
            });
        }
    }
    texts
}
