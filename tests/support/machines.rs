//! Machines for tests: network namespaces, and daemons in them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod skip;
use skip::skip;

/// How long a test waits for what must happen. Far more than it takes, since the machine may be
/// busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);
/// What namespaces of ours begin with.
const PREFIX: &str = "hedgehog-";

/// Looks at `condition` until it gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether machines can be made here and have what `programs` name; if not, says so.
pub fn are_possible(programs: &[&str]) -> bool {
    for program in programs {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        if !found.is_ok_and(|it| it.status.success()) {
            skip(&format!("no `{program}`"));
            return false;
        }
    }
    match Machine::make("trial") {
        Ok(_) => true,
        Err(said) => {
            skip(&format!("network namespaces cannot be made: {said}"));
            false
        }
    }
}

/// A network namespace; gone when dropped.
pub struct Machine {
    name: String,
}

impl Machine {
    /// A machine with nothing but its loopback.
    pub fn new(label: &str) -> Self {
        Self::make(label).unwrap()
    }

    fn make(label: &str) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        forget_the_dead();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{label}", std::process::id());
        succeed(Command::new("ip").args(["netns", "add", &name]))?;
        let this = Self { name };
        this.ip("link set lo up");
        // Addresses are used at once instead of a second later.
        this.set("net.ipv6.conf.default.accept_dad", "0");
        this.set("net.ipv6.conf.default.dad_transmits", "0");
        Ok(this)
    }

    /// Runs `ip` in it, which must succeed.
    pub fn ip(&self, words: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(words.split(' '));
        succeed(&mut command).unwrap_or_else(|said| panic!("ip {words}: {said}"))
    }

    /// Sets a parameter of its kernel.
    pub fn set(&self, key: &str, value: &str) {
        self.succeed("sysctl", &["-q", "-w", &format!("{key}={value}")]);
    }

    /// Joins it with `other` by a cable.
    pub fn join(&self, interface: &str, other: &Self, interface_there: &str) {
        self.ip(&format!(
            "link add {interface} type veth peer name {interface_there} netns {}",
            other.name
        ));
        self.ip(&format!("link set {interface} up"));
        other.ip(&format!("link set {interface_there} up"));
    }

    /// A program that runs in it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a program in it to its end.
    pub fn run(&self, program: &str, words: &[&str]) -> Output {
        self.command(program).args(words).output().unwrap()
    }

    /// The same, which must succeed: what it prints.
    pub fn succeed(&self, program: &str, words: &[&str]) -> String {
        succeed(self.command(program).args(words))
            .unwrap_or_else(|said| panic!("{program} {words:?}: {said}"))
    }

    /// What `dig +short` prints with these words: the records, or an error's text.
    pub fn dig(&self, words: &str) -> String {
        let output = self.run(
            "dig",
            &[
                &["+short", "+tries=1", "+time=5"],
                &words.split(' ').collect::<Vec<_>>()[..],
            ]
            .concat(),
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim().to_owned()
    }

    /// Whether a TCP connection to `address` comes about.
    pub fn connect(&self, address: &str, port: u16) -> Reached {
        let script = format!("exec 3<>/dev/tcp/{address}/{port}");
        let output = self.run("timeout", &["3", "bash", "-c", &script]);
        match output.status.code() {
            Some(0) => Reached::Yes,
            // What `timeout` ends with when it had to end the program.
            Some(124) => Reached::Silence,
            _ => Reached::Refused,
        }
    }
}

/// What came of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    Yes,
    Refused,
    Silence,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Interfaces in it and their other ends go with it.
        drop(succeed(
            Command::new("ip").args(["netns", "del", &self.name]),
        ));
    }
}

/// Removes the namespaces of test processes that were killed.
fn forget_the_dead() {
    let Ok(all) = succeed(Command::new("ip").args(["netns", "list"])) else {
        return;
    };
    for name in all.lines().filter_map(|line| line.split(' ').next()) {
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|it| it.split('-').next());
        let is_dead = |pid: &str| !Path::new(&format!("/proc/{pid}")).exists();
        if pid.is_some_and(is_dead) {
            drop(succeed(Command::new("ip").args(["netns", "del", name])));
        }
    }
}

/// Runs a command to its end: its output, or what it complained of.
fn succeed(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr) + &text(&output.stdout))
    }
}

/// A daemon on a machine, with a configuration of its own.
pub struct Daemon {
    child: Child,
    folder: TempDir,
    /// What every configuration of it begins with.
    base: String,
}

impl Daemon {
    /// Starts one with `config` behind what keeps it in a folder of its own, and waits until it
    /// answers its control socket. It has none of the lists that come along.
    pub fn start(machine: &Machine, config: &str) -> Self {
        Self::start_with(machine, "starter = false", config)
    }

    /// The same with `lists` in `[lists]`.
    pub fn start_with(machine: &Machine, lists: &str, config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (socket, state) = (path("control.sock"), path("state"));
        let base = format!(
            "[control]\nsocket = {socket:?}\n[lists]\nfolder = {state:?}\n{lists}\n\
             [log]\nlevel = \"debug\"\ntarget = \"stderr\"\n"
        );
        std::fs::write(path("hedgerow.toml"), format!("{base}{config}")).unwrap();
        let log = std::fs::File::create(path("log.txt")).unwrap();
        let child = machine
            .command(env!("CARGO_BIN_EXE_hedgerow"))
            .args(["serve", "--config"])
            .arg(path("hedgerow.toml"))
            .env("NO_COLOR", "1")
            .env_remove("NOTIFY_SOCKET")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut this = Self {
            child,
            folder,
            base,
        };
        wait_for("the daemon to be ready", || {
            let ended = this.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended:\n{}", this.log());
            this.hedgerow("status").ok()
        });
        this
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("hedgerow.toml")
    }

    /// Has another configuration take effect.
    #[allow(dead_code, reason = "not all tests that share this change it")]
    pub fn reconfigure(&self, config: &str) {
        std::fs::write(self.config(), format!("{}{config}", self.base)).unwrap();
        self.hedgerow("reload").unwrap();
    }

    /// What `hedgerow` prints, or complains of.
    pub fn hedgerow(&self, words: &str) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hedgerow"));
        command.args(words.split(' ')).env("NO_COLOR", "1");
        succeed(
            command
                .arg("--socket")
                .arg(self.folder.path().join("control.sock")),
        )
    }

    /// What the daemon said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}
