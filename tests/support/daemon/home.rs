//! A home: a folder, a configuration, an upstream and the daemon.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use super::ports::free_port;
use super::upstream::Upstream;
use super::wire::{self, Ask, Connection, Reply, ask, rtype};
use super::{PATIENCE, wait_for};

/// A running daemon with all it needs; ended when dropped.
pub struct Home {
    pub v4: SocketAddr,
    pub v6: SocketAddr,
    pub upstream: Upstream,
    folder: TempDir,
    child: Option<Child>,
}

/// The devices and profiles most tests use: a child by 127.0.0.2 and so on.
pub const FAMILY: &str = r#"
[household]
guest-profile = "guest"

[[device]]
name = "tablet"
profile = "preschooler"
address = ["127.0.0.2"]

[[device]]
name = "laptop"
profile = "mia"
address = ["127.0.0.3"]

[[device]]
name = "phone"
profile = "adolescent"
address = ["127.0.0.4"]

[[device]]
name = "parent"
profile = "adult"
address = ["127.0.0.5"]

[profile.mia]
inherits = "schoolchild"
allow = ["school.example"]
block-names = ["game.example"]

[[list]]
id = "our-gambling"
category = "gambling"
lines = ["casino.example", "both.example"]

[[list]]
id = "our-malware"
category = "malware"
lines = ["evil.example"]

[[list]]
id = "our-ads"
category = "ads"
lines = ["ads.example"]

[[list]]
id = "our-children"
category = "children"
kind = "allow"
lines = ["kids.example"]

[[list]]
id = "our-lifelines"
category = "lifelines"
kind = "lifeline"
lines = ["helpline.example"]
"#;

impl Home {
    /// A home with `config` on top of what every test needs (addresses, upstream, control socket).
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The family of [`FAMILY`].
    pub fn family() -> Self {
        Self::start(FAMILY)
    }

    /// The same with files beside the configuration, each as path and text.
    pub fn start_with(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let upstream = Upstream::start();
        // Another process may take the port between our look and the daemon's.
        for _ in 0..5 {
            let mut home = Self::lay_out(&folder, &upstream, config, files);
            home.launch(&folder);
            if home.is_ready(&folder) {
                return Self {
                    v4: home.v4,
                    v6: home.v6,
                    upstream,
                    child: home.child.take(),
                    folder,
                };
            }
        }
        panic!("the daemon does not start:\n{}", log_in(folder.path()));
    }

    fn lay_out(
        folder: &TempDir,
        upstream: &Upstream,
        config: &str,
        files: &[(&str, &str)],
    ) -> Laid {
        let port = free_port();
        lay_out(folder.path(), port, upstream.address, config);
        for (name, text) in files {
            std::fs::write(folder.path().join("etc").join(name), text).unwrap();
        }
        Laid {
            v4: SocketAddr::from(([127, 0, 0, 1], port)),
            v6: SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)),
            child: None,
        }
    }

    /// A file beside the configuration.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("etc").join(name)
    }

    /// Writes a file as editors do: beside the old one, then in its place.
    pub fn write(&self, name: &str, text: &str) {
        let beside = self.path(&format!("{name}.new"));
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.path(name)).unwrap();
    }

    /// Another configuration in place of the test's own.
    pub fn write_config(&self, config: &str) {
        self.write("conf.d/test.toml", config);
    }

    /// What the daemon wrote to its standard error and output.
    pub fn log(&self) -> String {
        log_in(self.folder.path())
    }

    /// Waits until the daemon said `text`: what it does shows before it tells of it.
    pub fn has_said(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends a signal by its name, such as `HUP`.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success(), "kill -s {signal} {pid}");
    }

    /// Waits for the daemon's own end.
    pub fn wait_for_end(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let mut child = self.child.take().expect("it runs");
        let deadline = started + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return (status, started.elapsed());
            }
            if Instant::now() >= deadline {
                end(&mut child);
                panic!("the daemon does not end:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts the daemon again after its end, in the same folders and at the same address.
    pub fn restart(&mut self) {
        // It would answer in place of the new one, and go on when the test is over.
        assert!(self.child.is_none(), "it has not ended yet");
        let mut laid = Laid {
            v4: self.v4,
            v6: self.v6,
            child: None,
        };
        laid.launch(&self.folder);
        assert!(laid.is_ready(&self.folder), "{}", self.log());
        self.child = laid.child.take();
    }

    /// Resident memory in KiB, but for what stands in files: code comes and goes.
    pub fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:"));
        let number = line.unwrap().split_whitespace().nth(1).unwrap();
        number.parse().unwrap()
    }

    /// The answer to a question, over UDP; checked for what holds for every answer.
    pub fn ask(&self, asked: &Ask) -> Reply {
        let octets = wire::exchange(self.v4, asked.from, &asked.octets());
        let octets = octets.unwrap_or_else(|| panic!("no answer to {asked:?}\n{}", self.log()));
        let reply = Reply::read(octets);
        reply.assert_sound(asked);
        reply
    }

    /// The answer to `name` and `qtype` from the device at `from`, with EDNS.
    pub fn look_up(&self, from: &str, name: &str, qtype: u16) -> Reply {
        self.ask(&ask(name, qtype).from(from).edns(1232))
    }

    /// Whether `octets` get silence: what follows them on the same socket is answered, they not.
    pub fn is_silent_to(&self, octets: &[u8]) -> bool {
        let socket = wire::udp(IpAddr::from([127, 0, 0, 1]), self.v4);
        let sentinel = ask("localhost", rtype::A);
        socket.send(octets).unwrap();
        socket.send(&sentinel.octets()).unwrap();
        let reply = wire::receive(&socket).expect("the sentinel is answered");
        reply[..2] == sentinel.id.to_be_bytes()
    }

    /// A connection from 127.0.0.1.
    pub fn connect(&self) -> Connection {
        Connection::open(self.v4)
    }

    /// Runs the daemon's command line against this home.
    pub fn hedgerow(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_hedgerow"))
            .args(arguments)
            .env("STATE_DIRECTORY", self.folder.path().join("state"))
            .output()
            .unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

/// A daemon about to start.
struct Laid {
    v4: SocketAddr,
    v6: SocketAddr,
    child: Option<Child>,
}

impl Laid {
    fn launch(&mut self, folder: &TempDir) {
        let mut command = command(folder.path());
        self.child = Some(command.spawn().unwrap());
    }

    /// Whether it answers, rather than that it ended.
    fn is_ready(&mut self, folder: &TempDir) -> bool {
        let child = self.child.as_mut().unwrap();
        let asked = ask("localhost", rtype::A);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let ready = wait_for("the daemon to be ready", || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            socket.send_to(&asked.octets(), self.v4).unwrap();
            let mut buffer = [0; 512];
            socket.recv_from(&mut buffer).is_ok().then_some(true)
        });
        if !ready {
            let log = log_in(folder.path());
            assert!(log.contains("cannot listen on"), "it ended:\n{log}");
        }
        ready
    }
}

impl Drop for Laid {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

/// The command that serves the home in `folder`, with its words going to a file.
pub fn command(folder: &Path) -> Command {
    let log = std::fs::File::create(log_path(folder)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hedgerow"));
    command
        .arg("serve")
        .arg("--config")
        .arg(folder.join("etc/hedgerow.toml"))
        .env("NO_COLOR", "1")
        .env("STATE_DIRECTORY", folder.join("state"))
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command
}

/// Not beside the configuration: that folder is watched, and what the daemon says would wake it.
fn log_path(folder: &Path) -> PathBuf {
    folder.join("run/log.txt")
}

/// Makes the folders and writes the configuration of a home.
pub fn lay_out(folder: &Path, port: u16, upstream: SocketAddr, config: &str) {
    std::fs::create_dir_all(folder.join("etc/conf.d")).unwrap();
    std::fs::create_dir_all(folder.join("run")).unwrap();
    let base = base_config(port, upstream, folder);
    std::fs::write(folder.join("etc/hedgerow.toml"), base).unwrap();
    std::fs::write(folder.join("etc/conf.d/test.toml"), config).unwrap();
}

/// The settings every test needs.
pub fn base_config(port: u16, upstream: SocketAddr, folder: &Path) -> String {
    let socket = folder.join("run/control.sock");
    let state = folder.join("state");
    format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\", \"[::1]:{port}\"]\nworkers = 2\n\
         [upstream]\nservers = [\"{upstream}\"]\n\
         [control]\nsocket = {socket:?}\n\
         [lists]\nfolder = {state:?}\n\
         [log]\nlevel = \"debug\"\ntarget = \"stderr\"\n"
    )
}

fn log_in(folder: &Path) -> String {
    std::fs::read_to_string(log_path(folder)).unwrap_or_default()
}

/// Ends a child of ours.
fn end(child: &mut Child) {
    // It may have ended by itself.
    drop(child.kill());
    drop(child.wait());
}

/// A process of a test's own; ended when dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}
