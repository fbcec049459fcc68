//! Machines in network namespaces: a router with the daemon, and hosts on its bridge.
//!
//! A namespace is a machine as far as the network goes. They are named after this process, end with
//! the test, and those of a process that was killed end with the next run.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::skip::skip;

/// How long a test waits for what must happen. Far more than it takes, since the machine may be
/// busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the daemon listens in its own namespace.
pub const PORT: u16 = 53;
/// What namespaces of ours begin with.
const PREFIX: &str = "hedgerow-";

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

/// Whether this process may make machines; if not, says so.
pub fn is_possible() -> bool {
    let trial = Command::new("unshare")
        .args(["--net", "ip", "link"])
        .output();
    match trial {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            skip(&format!("network namespaces cannot be made: {said}"));
            return false;
        }
        Err(error) => {
            skip(&format!("cannot run unshare: {error}"));
            return false;
        }
    }
    // Naming one needs a folder that only root may write.
    match Machine::new("trial") {
        Ok(_) => true,
        Err(said) => {
            skip(&format!("network namespaces cannot be named: {said}"));
            false
        }
    }
}

/// A network namespace; gone when dropped.
pub struct Machine {
    name: String,
}

impl Machine {
    fn new(label: &str) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        forget_the_dead();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{label}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let this = Self { name };
        this.ip("link set lo up");
        // A second address outlives the first.
        this.set("net.ipv4.conf.default.promote_secondaries", "1");
        // Addresses are used at once instead of a second later.
        this.set("net.ipv6.conf.default.accept_dad", "0");
        this.set("net.ipv6.conf.default.dad_transmits", "0");
        Ok(this)
    }

    /// What the system calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` in it, which must succeed.
    pub fn ip(&self, words: &str) -> String {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(words.split(' '));
        run(&mut command).unwrap_or_else(|said| panic!("ip {words}: {said}"))
    }

    /// Gives its first interface the addresses `net` followed by 1 to `count` in hexadecimal.
    pub fn add_crowd(&self, net: &str, count: u16) {
        let mut child = self
            .command("ip")
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        for number in 1..=count {
            writeln!(stdin, "addr add {net}{number:x}/64 dev eth0").unwrap();
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    /// Asks `to` once from each address of such a crowd, all at the same time: how many were
    /// answered as whom, and how many were told to come by TCP, as in `192.0.2.11=3 tcp=1`.
    pub fn ask_as_crowd(&self, net: &str, count: u16, to: &str) -> String {
        let output = run(&mut self.inside(&format!("crowd {net} {count} {to}"))).unwrap();
        crate::inside::said(&output).to_owned()
    }

    /// Sets a parameter of its kernel.
    pub fn set(&self, key: &str, value: &str) {
        let setting = format!("{key}={value}");
        let mut command = self.command("sysctl");
        command.args(["-q", "-w", &setting]);
        run(&mut command).unwrap_or_else(|said| panic!("sysctl {setting}: {said}"));
    }

    /// How many datagrams its kernel has dropped since a socket was full.
    pub fn overruns(&self) -> u32 {
        let said = run(self.command("cat").arg("/proc/net/snmp")).unwrap();
        let mut of_udp = said.lines().filter_map(|line| line.strip_prefix("Udp:"));
        let (names, numbers) = (of_udp.next().unwrap(), of_udp.next().unwrap());
        let mut both = names.split_whitespace().zip(numbers.split_whitespace());
        let (_, number) = both.find(|(name, _)| *name == "RcvbufErrors").unwrap();
        number.parse().unwrap()
    }

    /// A program that runs in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// This test program in it, to do what [`crate::inside`] does.
    pub fn inside(&self, task: &str) -> Command {
        let program = std::env::current_exe().unwrap();
        let mut command = self.command(program.to_str().unwrap());
        command
            .args(["inside::does_its_task", "--exact", "--nocapture"])
            .env(crate::inside::TASK, task);
        command
    }

    /// Lets a DHCP server give it an address, under the name it calls itself.
    pub fn take_lease(&self, host_name: &str) -> String {
        let output = run(&mut self.inside(&format!("lease eth0 {host_name}"))).unwrap();
        let address = crate::inside::said(&output).to_owned();
        self.ip(&format!("addr add {address}/24 dev eth0"));
        address
    }

    /// Who answers a question from `from` to `to`: a device, or nobody in time.
    pub fn ask(&self, from: &str, to: &str) -> Option<Who> {
        self.ask_for(Duration::from_secs(10), from, to)
    }

    /// The same over TCP.
    pub fn ask_by_tcp(&self, from: &str, to: &str) -> Option<Who> {
        let output = run(&mut self.inside(&format!("tcp {from} {to}"))).unwrap();
        Who::read(crate::inside::said(&output))
    }

    /// The same where the question says that it comes from a device with this MAC address.
    pub fn claim(&self, from: &str, to: &str, mac: &str) -> Option<Who> {
        let output = run(&mut self.inside(&format!("claim {from} {to} {mac}"))).unwrap();
        Who::read(crate::inside::said(&output))
    }

    /// The same with as much patience.
    pub fn ask_for(&self, patience: Duration, from: &str, to: &str) -> Option<Who> {
        let millis = patience.as_millis();
        let output = run(&mut self.inside(&format!("ask {from} {to} {millis}"))).unwrap();
        Who::read(crate::inside::said(&output))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Interfaces in it and their other ends go with it.
        drop(run(Command::new("ip").args(["netns", "del", &self.name])));
    }
}

/// A program that runs until this is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Removes the namespaces of test processes that were killed.
fn forget_the_dead() {
    let Ok(all) = run(Command::new("ip").args(["netns", "list"])) else {
        return;
    };
    for name in all.lines().filter_map(|line| line.split(' ').next()) {
        let pid = name
            .strip_prefix(PREFIX)
            .and_then(|it| it.split('-').next());
        let is_dead = |pid: &str| !PathBuf::from(format!("/proc/{pid}")).exists();
        if pid.is_some_and(is_dead) {
            drop(run(Command::new("ip").args(["netns", "del", name])));
        }
    }
}

/// Runs a command to its end: its output, or what it complained of.
fn run(command: &mut Command) -> Result<String, String> {
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

/// As whom somebody was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Tablet,
    Laptop,
    Guest,
}

impl Who {
    /// By the address that blocks are answered with under its profile.
    pub fn read(address: &str) -> Option<Self> {
        match address {
            "192.0.2.11" => Some(Self::Tablet),
            "192.0.2.12" => Some(Self::Laptop),
            "192.0.2.13" => Some(Self::Guest),
            "" => None,
            other => panic!("an answer that no profile gives: {other}"),
        }
    }
}

pub const TABLET: &str = "02:00:5e:10:00:01";
pub const LAPTOP: &str = "02:00:5e:10:00:02";
/// Nobody named it.
pub const PHONE: &str = "02:00:5e:10:00:77";

/// The child's tablet and the parent's laptop, both known by MAC address, the laptop by its
/// addresses too. Each profile answers the same question in its own way.
pub const FAMILY: &str = r#"
[household]
guest-profile = "stranger"
block = ["who.example"]

[profile.child]
inherits = "schoolchild"
block-answer = "address"
block-addresses = ["192.0.2.11"]

[profile.parent]
inherits = "adult"
block-answer = "address"
block-addresses = ["192.0.2.12"]

[profile.stranger]
inherits = "guest"
block-answer = "address"
block-addresses = ["192.0.2.13"]

[[device]]
name = "tablet"
profile = "child"
mac = ["02:00:5e:10:00:01"]

[[device]]
name = "laptop"
profile = "parent"
mac = ["02:00:5e:10:00:02"]
address = ["10.77.0.20", "fd77::20"]
"#;

/// A router at 10.77.0.1 and fd77::1 that serves [`FAMILY`], and two hosts on its bridge.
pub struct Street {
    pub tablet: Machine,
    pub laptop: Machine,
    pub router: Router,
}

impl Street {
    /// All of it, with `config` after [`FAMILY`].
    pub fn new(config: &str) -> Self {
        let machine = |label| Machine::new(label).unwrap();
        let (router, tablet, laptop) = (machine("router"), machine("tablet"), machine("laptop"));
        router.ip("link add br0 type bridge");
        // Its own, or it would take that of a port.
        router.ip("link set br0 address 02:00:5e:10:00:ff up");
        router.ip("addr add 10.77.0.1/24 dev br0");
        router.ip("addr add fd77::1/64 dev br0");
        router.ip("addr add fe80::1/64 dev br0");
        // As the kernel does it, only sooner.
        for family in ["ipv4", "ipv6"] {
            let key = |name: &str| format!("net.{family}.neigh.br0.{name}");
            router.set(&key("delay_first_probe_time"), "1");
            router.set(&key("retrans_time_ms"), "100");
        }
        for (host, mac, last) in [(&tablet, TABLET, 10), (&laptop, LAPTOP, 20)] {
            plug_in(&router, host, &format!("port{last}"), mac);
            host.ip(&format!("addr add 10.77.0.{last}/24 dev eth0"));
            host.ip(&format!("addr add fd77::{last}/64 dev eth0"));
        }
        Self {
            tablet,
            laptop,
            router: Router::new(router, config),
        }
    }

    /// One more host on the bridge, without addresses of IPv4 yet.
    pub fn add_host(&self, label: &str, mac: &str) -> Machine {
        let host = Machine::new(label).unwrap();
        plug_in(&self.router.machine, &host, &format!("port-{label}"), mac);
        host
    }
}

/// Connects a host to the bridge of the router.
fn plug_in(router: &Machine, host: &Machine, port: &str, mac: &str) {
    router.ip(&format!(
        "link add {port} type veth peer name eth0 netns {}",
        host.name
    ));
    router.ip(&format!("link set {port} master br0 up"));
    host.ip(&format!("link set eth0 address {mac} up"));
}

/// A machine with the daemon.
pub struct Router {
    pub machine: Machine,
    daemon: Option<Child>,
    folder: TempDir,
}

impl Router {
    fn new(machine: Machine, config: &str) -> Self {
        let mut this = Self {
            machine,
            daemon: None,
            folder: TempDir::new().unwrap(),
        };
        this.configure(config);
        std::fs::create_dir(this.path("run")).unwrap();
        if config != NOT_YET {
            this.start(&[]);
        }
        this
    }

    /// A file or folder of the router's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes [`FAMILY`] and `config` as the configuration of a daemon that listens everywhere.
    pub fn configure(&self, config: &str) {
        let has_v6 = self.machine.ip("addr").contains("inet6");
        let everywhere = ["0.0.0.0:53", "[::]:53"];
        self.configure_at(&everywhere[..1 + usize::from(has_v6)], config);
    }

    /// The same for one that listens at these addresses.
    pub fn configure_at(&self, listen: &[&str], config: &str) {
        let (socket, state) = (self.path("run/control.sock"), self.path("state"));
        let base = format!(
            "[server]\nlisten = {listen:?}\nworkers = 2\n\
             [upstream]\nservers = [\"127.0.0.1:5399\"]\n\
             [control]\nsocket = {socket:?}\n\
             [lists]\nfolder = {state:?}\nstarter = false\n\
             [limits]\nqueries-per-second = 0\n\
             [log]\nlevel = \"debug\"\ntarget = \"stderr\"\n"
        );
        let beside = self.path("new");
        std::fs::write(&beside, format!("{base}{FAMILY}{config}")).unwrap();
        std::fs::rename(beside, self.path("hedgerow.toml")).unwrap();
    }

    /// Starts the daemon behind the words of `wrapper`, and waits until it answers.
    pub fn start(&mut self, wrapper: &[&str]) {
        let log = std::fs::File::create(self.path("run/log.txt")).unwrap();
        let mut words = wrapper.to_vec();
        words.push(env!("CARGO_BIN_EXE_hedgerow"));
        let mut command = self.machine.command(words[0]);
        let child = command
            .args(&words[1..])
            .arg("serve")
            .arg("--config")
            .arg(self.path("hedgerow.toml"))
            .env("NO_COLOR", "1")
            .env("STATE_DIRECTORY", self.path("state"))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.daemon = Some(child.unwrap());
        let to = format!("127.0.0.1:{PORT}");
        wait_for("the daemon to be ready", || {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it ended:\n{}", self.log());
            let patience = Duration::from_millis(500);
            self.machine.ask_for(patience, "127.0.0.1:0", &to)
        });
    }

    /// Ends the daemon and makes the kernel forget everybody, as switching the router off does.
    pub fn switch_off(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
        self.forget_neighbours();
    }

    /// What the daemon said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("run/log.txt")).unwrap_or_default()
    }

    /// What `hedgerow` shows.
    pub fn hedgerow(&self, words: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hedgerow"));
        command
            .args(words.split(' '))
            .arg("--socket")
            .arg(self.path("run/control.sock"));
        run(&mut command).unwrap_or_else(|said| panic!("hedgerow {words}: {said}"))
    }

    /// The line of `hedgerow status` about the neighbour table.
    pub fn neighbour_table(&self) -> String {
        let status = self.hedgerow("status");
        let line = status.lines().find(|line| line.contains("neighbour table"));
        line.unwrap_or_else(|| panic!("{status}")).to_owned()
    }

    /// Makes the kernel forget all neighbours.
    pub fn forget_neighbours(&self) {
        self.machine.ip("neigh flush all");
        self.machine.ip("-6 neigh flush all");
    }

    /// What the kernel has of an address.
    pub fn neighbour(&self, address: &str) -> String {
        self.machine.ip(&format!("neigh show {address}"))
    }

    /// Does lines for `ip`, one after the other and again from the first, a hundred a second, until
    /// dropped.
    pub fn churn(&self, lines: Vec<String>) -> Churn {
        let mut child = Command::new("ip")
            .args(["-n", &self.machine.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            for line in lines.iter().cycle() {
                // The pipe breaks when `ip` is ended.
                if stdin.write_all(line.as_bytes()).is_err() {
                    break;
                }
                count += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            count
        });
        Churn {
            child,
            thread: Some(thread),
        }
    }
}

/// No daemon is started yet.
pub const NOT_YET: &str = "# not yet\n";

impl Drop for Router {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // It may have ended by itself.
            drop(daemon.kill());
            drop(daemon.wait());
        }
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

/// Something that goes on changing neighbours.
pub struct Churn {
    child: Child,
    thread: Option<std::thread::JoinHandle<u32>>,
}

impl Churn {
    /// Ends it; how many changes there were.
    pub fn end(mut self) -> u32 {
        drop(self.child.kill());
        drop(self.child.wait());
        self.thread.take().unwrap().join().unwrap()
    }
}
