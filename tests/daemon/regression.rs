//! What once went wrong in a running daemon, each with a line on what it was.

use std::net::UdpSocket;
use std::time::Duration;

use crate::support::wire::{ask, rtype};
use crate::support::{Home, PATIENCE, wait_for};

/// What a command prints; it must succeed.
fn told(home: &Home, arguments: &[&str]) -> String {
    let socket = home.path("../run/control.sock");
    let mut all = vec!["--socket", socket.to_str().unwrap()];
    all.extend(arguments);
    let output = home.hedgerow(&all);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Names stayed in the log after a profile's privacy was made stricter.
#[test]
fn what_became_private_is_forgotten() {
    let config = |privacy: &str| {
        format!(
            "[[device]]\nname = \"laptop\"\nprofile = \"teen\"\naddress = [\"127.0.0.3\"]\n\
             [[device]]\nname = \"phone\"\nprofile = \"adult\"\naddress = [\"127.0.0.5\"]\n\
             [profile.teen]\ninherits = \"adolescent\"\nprivacy = \"{privacy}\"\n\
             [profile.adult]\nprivacy = \"names\"\n"
        )
    };
    let home = Home::start(&config("names"));
    home.look_up("127.0.0.3", "diary.example.org", rtype::A);
    home.look_up("127.0.0.5", "paper.example.org", rtype::A);
    wait_for("both in the log", || {
        let log = told(&home, &["log", "--json"]);
        (log.contains("diary") && log.contains("paper")).then_some(())
    });
    home.write_config(&config("none"));
    wait_for("the diary to be forgotten", || {
        let log = told(&home, &["log", "--json"]);
        let top = told(&home, &["top", "--once", "--json"]);
        (!log.contains("diary") && !top.contains("diary") && log.contains("paper")).then_some(())
    });
}

/// The cache's counters told how many lifelines had been asked for.
#[test]
fn a_lifeline_moves_no_counter() {
    let home = Home::family();
    let counters = || {
        let text = told(&home, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        let cache = &status["cache"];
        assert!(cache["misses"].is_u64() && status["totals"]["queries"].is_u64());
        (
            cache["hits"].clone(),
            cache["misses"].clone(),
            status["totals"].clone(),
        )
    };
    home.look_up("127.0.0.5", "www.example.org", rtype::A);
    wait_for("the first query's entry", || {
        (counters().2["queries"].as_u64() >= Some(1)).then_some(())
    });
    let before = counters();
    for _ in 0..3 {
        home.look_up("127.0.0.3", "helpline.example", rtype::A);
    }
    assert_eq!(home.upstream.times("helpline.example"), 3, "never cached");
    assert_eq!(counters(), before);
}

/// A list half written was believed, and everything on it was open.
#[test]
fn a_list_that_was_cut_off_is_not_believed() {
    let many: String = (0..500)
        .map(|number| format!("n{number}.example\n"))
        .collect();
    let config = "[[list]]\nid = \"own\"\ncategory = \"gambling\"\nfile = \"own.txt\"\n\
                  [[device]]\nname = \"laptop\"\nprofile = \"schoolchild\"\naddress = [\"127.0.0.3\"]\n";
    let home = Home::start_with(config, &[("own.txt", &many)]);
    let is_blocked =
        || home.look_up("127.0.0.3", "n7.example", rtype::A).answers() == ["A 0.0.0.0"];
    assert!(is_blocked());
    home.write("own.txt", "n1.example\n");
    wait_for("the warning", || {
        let status = told(&home, &["status"]);
        status.contains("1 entries after 500").then_some(())
    });
    assert!(is_blocked());
}

/// A list that is a pipe held up the reload, and the reload the end of the process.
#[test]
fn a_pipe_for_a_list_holds_up_nothing() {
    let config = "[[list]]\nid = \"own\"\ncategory = \"gambling\"\nfile = \"own.txt\"\n";
    let mut home = Home::start_with(config, &[("own.txt", "one.example\n")]);
    let path = home.path("own.txt");
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    told(&home, &["reload"]);
    let status = told(&home, &["status"]);
    assert!(status.contains("not a regular file"), "{status}");
    home.signal("TERM");
    let (status, took) = home.wait_for_end();
    assert!(
        status.success() && took < Duration::from_secs(5),
        "{status} {took:?}"
    );
}

/// After a reload that changed `listen`, a socket counted as another listener, and the children
/// who ask there got their parents' profile.
#[test]
fn a_listener_keeps_its_devices_when_listen_changes() {
    let [kids, parents] = [(); 2].map(|()| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    });
    let config = format!(
        "[[listener]]\nname = \"kids\"\naddress = \"{kids}\"\n\
         [[listener]]\nname = \"parents\"\naddress = \"{parents}\"\n\
         [[device]]\nname = \"a child\"\nprofile = \"schoolchild\"\nlistener = \"kids\"\n\
         [[device]]\nname = \"a parent\"\nprofile = \"adult\"\nlistener = \"parents\"\n"
    );
    let home = Home::start(&config);
    let is_blocked = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let asked = ask("adult.hedgerow.test", rtype::A);
        socket.send_to(&asked.octets(), kids).unwrap();
        let mut octets = [0; 512];
        let length = socket.recv(&mut octets).unwrap();
        octets[..length].ends_with(&[0, 4, 0, 0, 0, 0])
    };
    assert!(is_blocked());
    let fewer = format!("[server]\nlisten = [\"{}\"]\n", home.v4);
    home.write("conf.d/90-fewer.toml", &fewer);
    wait_for("the reload", || {
        let status = told(&home, &["status"]);
        status
            .contains("takes effect after a restart")
            .then_some(())
    });
    assert!(is_blocked());
}
