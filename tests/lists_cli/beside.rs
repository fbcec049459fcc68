//! The same beside a running daemon, which is asked where it knows more.

use std::process::Output;
use std::time::{Duration, Instant};

use crate::daemon::{Home, wait_for};
use crate::http::{Reply, Stub};
use crate::minisign::Signer;
use crate::updates::{Publisher, names};

/// `hedgerow lists …` against the daemon of `home`.
pub(crate) fn lists(home: &Home, line: &str) -> Output {
    let socket = home.path("../run/control.sock").display().to_string();
    let mut arguments = vec!["--socket", &socket, "lists"];
    arguments.extend(line.split_whitespace());
    home.hedgerow(&arguments)
}

pub(crate) fn json(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_daemon_fetches_what_it_is_asked_to_and_serves_it() {
    let publisher = Publisher::new();
    publisher.publish(&names(150), 1);
    let config = format!(
        "{}\n[lists]\nupdate = false\n[profile.mia]\ninherits = \"adult\"\nblock = [\"ads\"]\n\
         [[device]]\nname = \"laptop\"\nprofile = \"mia\"\naddress = [\"127.0.0.3\"]\n",
        publisher.section()
    );
    let home = Home::start(&config);
    let shown = json(&lists(&home, "show ads --json"));
    assert_eq!(shown["entries"], 0);

    let report = json(&lists(&home, "update ads --json"));
    assert_eq!(report["lists"][0]["outcome"], "updated", "{report}");
    assert_eq!(report["compiled"], true, "{report}");
    let blocked = home.look_up("127.0.0.3", "a.n7.example", 1);
    assert!(format!("{blocked:?}").contains("0.0.0.0"), "{blocked:?}");

    let shown = json(&lists(&home, "show ads --json"));
    assert_eq!(shown["entries"], 150, "{shown}");
    assert_eq!(shown["updates"]["signed"], true);
    assert!(shown["updates"]["bytes"].as_u64().unwrap() > 1000);
    let found = json(&lists(&home, "search a.n7.example --json"));
    let profiles = found["found"][0]["profiles"].as_array().unwrap();
    assert!(profiles.contains(&"mia".into()), "{found}");
    assert!(!profiles.contains(&"adult".into()), "{found}");
    assert_eq!(found["notes"], serde_json::json!([]));

    let refused = lists(&home, "update nobody");
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.starts_with("error: there is no list `nobody`\n"),
        "{told}"
    );
}

#[test]
fn a_server_that_stalls_does_not_keep_a_daemon_from_ending() {
    let head = ["Content-Length: 1000"];
    for reply in [Reply::raw(b"H"), Reply::head(200, &head).then("one.test\n")] {
        let stub = Stub::plain(move |_| reply.clone().stall());
        let mut home = Home::start(&format!(
            "[lists]\nupdate = false\n[[list]]\nid = \"ads\"\ncategory = \"ads\"\n\
             url = \"http://{}/ads.txt\"\nsignature-key = {:?}\nallow-private = true\n",
            stub.address,
            Signer::new(1).public()
        ));
        let asked_to_end = std::thread::scope(|scope| {
            let asking = scope.spawn(|| lists(&home, "update ads --json"));
            wait_for("the request", || stub.take_requests().pop());
            let now = Instant::now();
            home.signal("TERM");
            assert!(!asking.join().unwrap().status.success());
            now
        });
        let (status, _) = home.wait_for_end();
        assert!(status.success(), "{status}");
        let took = asked_to_end.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        let left: Vec<_> = std::fs::read_dir(home.path("../state/lists"))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "{left:?}");
    }
}
