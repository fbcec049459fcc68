//! Start and end of the process.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::home::{self, FAMILY, Running};
use crate::support::wire::{self, ask, rtype};
use crate::support::{Gate, Home, Reply, Say, Upstream, wait_for};

const PARENT: &str = "[household]\nguest-profile = \"adult\"\n[lists]\nstarter = false\n";

#[test]
fn terminate_ends_it_within_five_seconds_and_answers_what_is_under_way() {
    let mut home = Home::start(PARENT);
    let gate = Gate::default();
    let held = Say::Held(gate.clone(), Box::new(Say::address("192.0.2.9")));
    home.upstream.on_name("*.slow.example", held);
    // Several over UDP, so that both workers have some, and one over TCP.
    let waiting: Vec<_> = (0..8)
        .map(|number| {
            let asked = ask(&format!("n{number}.slow.example"), rtype::A);
            let socket = wire::udp(asked.from, home.v4);
            socket.send(&asked.octets()).unwrap();
            socket
        })
        .collect();
    let mut connection = home.connect();
    connection.send(&ask("tcp.slow.example", rtype::A));
    wait_for("the questions at upstream", || {
        let mut names: Vec<_> = home.upstream.seen().into_iter().map(|a| a.name).collect();
        names.sort();
        names.dedup();
        (names.len() == 9).then_some(())
    });
    home.signal("TERM");
    wait_for("the beginning of the end", || {
        home.log().contains("ending").then_some(())
    });
    gate.open();
    for (socket, number) in waiting.iter().zip(0..) {
        let octets = wire::receive(socket).unwrap_or_else(|| panic!("no answer to n{number}"));
        assert_eq!(Reply::read(octets).answers(), ["A 192.0.2.9"], "n{number}");
    }
    let reply = connection.receive().expect("an answer over TCP");
    assert_eq!(reply.answers(), ["A 192.0.2.9"]);
    let (status, took) = home.wait_for_end();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    println!("ended {took:?} after the last answer");
}

#[test]
fn terminate_with_a_silent_upstream_still_gives_an_answer_and_ends() {
    let mut home = Home::start(PARENT);
    home.upstream.on_name("slow.example", Say::Silence);
    let asked = ask("slow.example", rtype::A).edns(1232);
    let socket = wire::udp(asked.from, home.v4);
    socket.send(&asked.octets()).unwrap();
    wait_for("the question at upstream", || {
        (home.upstream.times("slow.example") > 0).then_some(())
    });
    home.signal("TERM");
    let reply = Reply::read(wire::receive(&socket).expect("an answer"));
    assert_eq!((reply.rcode(), reply.ede_code()), (2, Some(22)));
    let (status, took) = home.wait_for_end();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn idle_it_ends_at_once_and_leaves_nothing_behind() {
    for signal in ["TERM", "INT"] {
        let mut home = Home::start(PARENT);
        let socket = home.path("../run/control.sock");
        assert!(socket.exists());
        // An open connection that asks nothing holds nobody up.
        let mut connection = home.connect();
        connection.ask(&ask("www.example.org", rtype::A));
        home.signal(signal);
        let (status, took) = home.wait_for_end();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(took < Duration::from_secs(2), "{signal}: {took:?}");
        assert!(!socket.exists(), "{signal}: the control socket is gone");
        assert!(
            UdpSocket::bind(home.v4).is_ok(),
            "{signal}: the port is free"
        );
    }
}

#[test]
fn it_starts_again_at_once_on_the_same_port() {
    let folder = TempDir::new().unwrap();
    let upstream = Upstream::start();
    let port = home::free_port();
    home::lay_out(folder.path(), port, upstream.address, PARENT);
    for round in 0..3 {
        let mut child = Running(home::command(folder.path()).spawn().unwrap());
        answered_at(port);
        // An open connection must not keep the port busy.
        let address = ([127, 0, 0, 1], port).into();
        let mut connection = crate::support::Connection::open(address);
        connection.ask(&ask("www.example.org", rtype::A));
        let pid = child.0.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(sent.unwrap().success());
        let status = wait_for("its end", || child.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "round {round}");
    }
}

/// False afterwards, however it ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn systemd_hears_that_it_lives_whether_it_sleeps_or_answers() {
    let folder = TempDir::new().unwrap();
    let upstream = Upstream::start();
    let port = home::free_port();
    home::lay_out(folder.path(), port, upstream.address, PARENT);
    let notified = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&notified).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut command = home::command(folder.path());
    command
        .env("NOTIFY_SOCKET", &notified)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID");
    let child = Running(command.spawn().unwrap());
    answered_at(port);
    let lives = || {
        let mut buffer = [0; 512];
        let length = systemd.recv(&mut buffer).expect("a word to systemd");
        String::from_utf8_lossy(&buffer[..length]).contains("WATCHDOG=1")
    };
    let wait_for_signs = |count| {
        let mut seen = 0;
        while seen < count {
            seen += usize::from(lives());
        }
    };
    // Nobody asks anything.
    wait_for_signs(8);
    // All threads have something to do all the time.
    let busy = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let _until_here = Ends(&busy);
        for address in ["127.0.0.1:0", "[::1]:0"].repeat(4) {
            let busy = &busy;
            scope.spawn(move || {
                let socket = UdpSocket::bind(address).unwrap();
                socket
                    .connect((socket.local_addr().unwrap().ip(), port))
                    .unwrap();
                socket
                    .set_read_timeout(Some(Duration::from_millis(100)))
                    .unwrap();
                let mut answers = 0;
                while busy.load(Ordering::Relaxed) {
                    socket
                        .send(&ask("www.example.org", rtype::A).octets())
                        .unwrap();
                    answers += usize::from(wire::receive(&socket).is_some());
                }
                assert!(answers > 0, "nothing was answered at {address}");
            });
        }
        wait_for_signs(8);
    });
    wait_for_signs(2);
    drop(child);
}

#[test]
fn with_many_addresses_each_is_served_and_all_end() {
    // With two workers more than have threads of their own.
    let names = [
        "127.0.0.2",
        "127.0.0.3",
        "127.0.0.4",
        "127.0.0.5",
        "127.0.0.6",
        "127.0.0.7",
        "127.0.0.8",
    ];
    let ports: Vec<u16> = names.iter().map(|_| home::free_port()).collect();
    let listeners: String = names
        .iter()
        .zip(&ports)
        .map(|(name, port)| {
            format!("[[listener]]\nname = \"at {name}\"\naddress = \"{name}:{port}\"\n")
        })
        .collect();
    let mut home = Home::start(&format!("{PARENT}{listeners}"));
    for (name, port) in names.iter().zip(&ports) {
        let to = format!("{name}:{port}").parse().unwrap();
        let asked = ask("www.example.org", rtype::A);
        let socket = wire::udp(asked.from, to);
        socket.send(&asked.octets()).unwrap();
        let reply = Reply::read(wire::receive(&socket).expect("an answer"));
        assert_eq!(reply.answers(), ["A 192.0.2.1"], "{name}");
    }
    home.signal("TERM");
    let (status, took) = home.wait_for_end();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Waits until somebody answers at `port`.
fn answered_at(port: u16) -> Reply {
    let asked = ask("www.example.org", rtype::A).edns(1232);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    wait_for("an answer", || {
        socket
            .send_to(&asked.octets(), ("127.0.0.1", port))
            .unwrap();
        wire::receive(&socket).map(Reply::read)
    })
}

/// Runs `serve` with what is in `folder`, which is expected to fail.
fn failing(folder: &Path) -> (Output, String) {
    let output = serve(&folder.join("etc/hedgerow.toml"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text)
}

fn serve(config: &Path) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hedgerow"))
        .args(["serve", "--config"])
        .arg(config)
        .env("STATE_DIRECTORY", "/dev/null/state")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = std::time::Instant::now() + crate::support::PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > ended {
            drop(Running(child));
            panic!("it serves, though it cannot");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn a_busy_port_is_told_with_address_transport_and_help() {
    let upstream = Upstream::start();
    let folder = TempDir::new().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (address, transport) in [
        (tcp.local_addr().unwrap(), "TCP"),
        (udp.local_addr().unwrap(), "UDP"),
    ] {
        home::lay_out(folder.path(), address.port(), upstream.address, PARENT);
        let (output, text) = failing(folder.path());
        assert_eq!(output.status.code(), Some(1), "{text}");
        let expected = format!("error: cannot listen on {address} over {transport}: ");
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("another program has this port"), "{text}");
    }
}

#[test]
fn a_second_daemon_does_not_share_the_port_of_the_first() {
    let home = Home::start(PARENT);
    let folder = TempDir::new().unwrap();
    home::lay_out(folder.path(), home.v4.port(), home.upstream.address, PARENT);
    let (output, text) = failing(folder.path());
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot listen on"), "{text}");
    assert!(
        home.look_up("127.0.0.1", "www.example.org", rtype::A)
            .rcode()
            == 0
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_told_with_path_and_cause() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("folder.toml")).unwrap();
    std::fs::write(path("octets.toml"), b"\xff\xfe").unwrap();
    std::fs::write(
        path("broken.toml"),
        "[server]\nlisten = [\"127.0.0.1:x\"]\n",
    )
    .unwrap();
    std::fs::write(path("typo.toml"), "[server]\nlisen = []\n").unwrap();
    let mut cases = 0;
    for (name, cause) in [
        ("missing.toml", "No such file or directory"),
        ("folder.toml", "is a directory"),
        ("octets.toml", "not UTF-8"),
        ("broken.toml", "broken.toml:2:11"),
        ("typo.toml", "typo.toml:2:1"),
    ] {
        let output = serve(&path(name));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{name}: {text}");
        assert!(
            text.contains(path(name).to_str().unwrap()),
            "{name}: {text}"
        );
        assert!(text.contains(cause), "{name}: {text}");
        cases += 1;
    }
    assert_eq!(cases, 5);
    if nix::unistd::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path("secret.toml"), "").unwrap();
    let nobody = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(path("secret.toml"), nobody).unwrap();
    let output = serve(&path("secret.toml"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
}

#[test]
fn a_list_that_is_missing_at_the_start_blocks_where_doubt_does() {
    let config = "[lists]\nstarter = false\n\
        [[list]]\nid = \"games\"\ncategory = \"games\"\nfile = \"missing.txt\"\n\
        [[device]]\nname = \"small\"\nprofile = \"small\"\naddress = [\"127.0.0.2\"]\n\
        [[device]]\nname = \"big\"\nprofile = \"big\"\naddress = [\"127.0.0.3\"]\n\
        [profile.big]\ninherits = \"adult\"\nblock = [\"games\"]\n\
        [profile.small]\ninherits = \"big\"\nwhen-unsure = \"block\"\n";
    let home = Home::start(config);
    let reply = home.look_up("127.0.0.2", "www.example.org", rtype::A);
    let why = "list games could not be loaded".to_owned();
    assert_eq!(reply.ede(), Some((17, why)));
    let reply = home.look_up("127.0.0.3", "www.example.org", rtype::A);
    assert_eq!(reply.answers(), ["A 192.0.2.1"]);
    home.has_said("missing.txt");
}

#[test]
fn systemd_hands_over_its_sockets() {
    // Binds both sockets and starts the daemon, as systemd does (sd_listen_fds(3)), and once more with
    // the same sockets after it has ended.
    const SYSTEMD: &str = r#"
import ctypes, fcntl, os, select, signal, socket, sys
port = int(sys.argv[1])
given = []
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.1", port))
    if kind == socket.SOCK_STREAM:
        sock.listen(16)
    given.append(fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, 20))
    sock.close()
for place, fd in enumerate(given, 3):
    os.dup2(fd, place, inheritable=True)
os.environ["LISTEN_FDS"] = str(len(given))
daemon = 0
signal.signal(signal.SIGTERM, lambda *_: os.kill(daemon, signal.SIGTERM))
daemon = os.fork()
if daemon != 0:
    status = os.waitpid(daemon, 0)[1]
    if status != 0:
        sys.exit(f"the first daemon ended with {status}")
    waiting = select.poll()
    waiting.register(3, select.POLLIN)
    if waiting.poll(0):
        sys.exit("nobody can wait at this socket any more")
else:
    # It ends with us (PR_SET_PDEATHSIG).
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"#;
    let folder = TempDir::new().unwrap();
    let upstream = Upstream::start();
    let (configured, handed) = (home::free_port(), home::free_port());
    home::lay_out(folder.path(), configured, upstream.address, FAMILY);
    let log = std::fs::File::create(folder.path().join("run/log.txt")).unwrap();
    let child = Command::new("python3")
        .args(["-c", SYSTEMD, &handed.to_string()])
        .arg(env!("CARGO_BIN_EXE_hedgerow"))
        .args(["serve", "--config"])
        .arg(folder.path().join("etc/hedgerow.toml"))
        .env("STATE_DIRECTORY", folder.path().join("state"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("python3 is needed");
    let mut child = Running(child);
    assert_eq!(answered_at(handed).answers(), ["A 192.0.2.1"]);
    let to = ([127, 0, 0, 1], handed).into();
    let asked = ask("casino.example", rtype::A).edns(1232);
    let reply = crate::support::Connection::open_from(to, "127.0.0.3").ask(&asked);
    assert_eq!(reply.ede_code(), Some(17), "devices are known over TCP");
    // From many ports: whichever worker a datagram goes to, it is answered.
    for number in 0..50 {
        let asked = ask(&format!("n{number}.example.org"), rtype::A);
        let octets = wire::exchange(to, asked.from, &asked.octets()).expect("an answer");
        assert_eq!(Reply::read(octets).answers(), ["A 192.0.2.1"], "{number}");
    }
    // What the configuration says of addresses is systemd's business now.
    assert!(TcpListener::bind(("127.0.0.1", configured)).is_ok());
    let pid = child.0.id().to_string();
    let terminate = || {
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(sent.unwrap().success());
    };
    terminate();
    // The sockets are as good as before for whoever has them next.
    wait_for("the second daemon", || {
        let log = std::fs::read_to_string(folder.path().join("run/log.txt")).unwrap();
        (log.matches("serving version").count() == 2).then_some(())
    });
    for _ in 0..10 {
        assert_eq!(answered_at(handed).answers(), ["A 192.0.2.1"]);
    }
    terminate();
    let status = wait_for("its end", || child.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
