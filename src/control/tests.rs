//! The door from outside: a real socket, a real journal, a made-up household.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::api::*;
use super::client::{ClientError, Event};
use super::fake::{FakeHousehold, FakeServer};
use super::{DeviceRequest, Household, metrics, routes};
use crate::files::Files;

/// Longer than anything here takes; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends `request` as it is and reads until the server closes or the answer is complete.
async fn raw(server: &FakeServer, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(&server.socket).await.unwrap();
    // A server that refuses may close before it has read everything.
    drop(stream.write_all(request.as_bytes()).await);
    let mut answer = Vec::new();
    drop(
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .unwrap(),
    );
    let text = String::from_utf8(answer).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

async fn request(server: &FakeServer, method: &str, target: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let text = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let (status, body) = raw(server, &text).await;
    (
        status,
        serde_json::from_str(&body).unwrap_or(Value::String(body)),
    )
}

#[tokio::test]
async fn every_route_answers_what_the_household_says() {
    let server = FakeServer::start();
    server.household.ask("www.example.org");
    server.household.ask("casino.example.org");
    let client = server.client();
    let household = &*server.household;
    let status: Status = client.get("/api/v1/status", &[]).await.unwrap();
    assert_eq!(status, household.status());
    assert_eq!(status.totals.queries, 2);
    let devices: Vec<Device> = client.get("/api/v1/devices", &[]).await.unwrap();
    assert_eq!(devices, household.devices());
    let profiles: Vec<Profile> = client.get("/api/v1/profiles", &[]).await.unwrap();
    assert_eq!(profiles, household.profiles());
    let lists: Vec<List> = client.get("/api/v1/lists", &[]).await.unwrap();
    assert_eq!(lists, household.lists());
    let top: Top = client.get("/api/v1/top", &[]).await.unwrap();
    assert_eq!(top, household.top(10));
    let flushed: Flushed = client.post("/api/v1/cache/flush").await.unwrap();
    assert_eq!(flushed.entries, 100);
    let report: ReloadReport = client.post("/api/v1/reload").await.unwrap();
    assert!(report.ok);
    assert_eq!(household.reloads.load(Ordering::Relaxed), 1);
    let all = [
        ("after", Some("0".to_owned())),
        ("limit", Some("1".to_owned())),
    ];
    let page: LogPage = client.get("/api/v1/log", &all).await.unwrap();
    assert_eq!((page.entries.len(), page.next_after), (1, 1));
    let blocked = [("blocked", Some("true".to_owned()))];
    let page: LogPage = client.get("/api/v1/log", &blocked).await.unwrap();
    let names: Vec<_> = page.entries.iter().map(|e| e.name.as_deref()).collect();
    assert_eq!(names, [Some("casino.example.org")]);
}

#[tokio::test]
async fn lists_are_searched_and_updated_through_the_door() {
    let server = FakeServer::start();
    let client = server.client();
    let ask = |name: &str| [("name", Some(name.to_owned()))];
    let search: ListSearch = client
        .get("/api/v1/lists/search", &ask("WWW.Casino.example.org."))
        .await
        .unwrap();
    assert_eq!(search.name, "www.casino.example.org");
    assert_eq!(search.found[0].line, Some(12));
    let refused = client
        .get::<ListSearch>("/api/v1/lists/search", &ask("a..b"))
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("`a..b` is not a domain name")
    );
    let (status, _) = request(&server, "GET", "/api/v1/lists/search", "").await;
    assert_eq!(status, 400);

    let report: ListUpdateReport = client.post("/api/v1/lists/update").await.unwrap();
    assert!(report.compiled);
    let some = [
        ("lists", Some("malware, malware".to_owned())),
        ("force", Some("true".to_owned())),
    ];
    let report: ListUpdateReport = client
        .post_with("/api/v1/lists/update", &some)
        .await
        .unwrap();
    assert_eq!(report.lists[0].outcome, "updated");
    let asked = server.household.updates.lock().unwrap().clone();
    let asked: Vec<_> = asked.iter().map(|it| (it.ids.len(), it.force)).collect();
    assert_eq!(asked, [(0, false), (2, true)]);
    for (target, code) in [
        ("/api/v1/lists/update?lists=nobody", 404),
        ("/api/v1/lists/update?list=malware", 400),
        ("/api/v1/lists/update?force=perhaps", 400),
    ] {
        let (status, body) = request(&server, "POST", target, "").await;
        assert_eq!(status, code, "{target}: {body}");
        assert!(body["error"].is_string(), "{target}: {body}");
    }
    let (status, _) = request(&server, "GET", "/api/v1/lists/update", "").await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn devices_are_named_through_the_door() {
    let server = FakeServer::start();
    let client = server.client();
    let new: Vec<NewDevice> = client.get("/api/v1/devices/new", &[]).await.unwrap();
    assert_eq!(new, server.household.new_devices());
    let said = |pairs: &[(&'static str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| (*key, Some((*value).to_owned())))
            .collect::<Vec<_>>()
    };
    let named: DeviceChange = client
        .post_with(
            "/api/v1/devices/name",
            &said(&[("who", "3"), ("name", "Mia's TV")]),
        )
        .await
        .unwrap();
    assert_eq!(
        (named.device.as_str(), named.done.as_str()),
        ("Mia's TV", "added")
    );
    let more = said(&[
        ("who", "tablet"),
        ("profile", "mia"),
        ("mac", "0200.5e10.0009"),
    ]);
    let _: DeviceChange = client
        .post_with("/api/v1/devices/assign", &more)
        .await
        .unwrap();
    let _: DeviceChange = client
        .post_with("/api/v1/devices/forget", &said(&[("who", "tablet")]))
        .await
        .unwrap();
    let expected = [
        DeviceRequest::Name {
            who: "3".into(),
            name: "Mia's TV".into(),
        },
        DeviceRequest::Assign {
            who: "tablet".into(),
            profile: Some("mia".into()),
            name: None,
            mac: Some("02:00:5e:10:00:09".parse().unwrap()),
        },
        DeviceRequest::Forget {
            who: "tablet".into(),
        },
    ];
    assert_eq!(*server.household.changes.lock().unwrap(), expected);
    for (target, code) in [
        ("/api/v1/devices/name?who=nobody&name=x", 404),
        ("/api/v1/devices/name?who=3", 400),
        ("/api/v1/devices/name?who=3&name=x&profile=adult", 400),
        ("/api/v1/devices/assign?who=tablet", 400),
        ("/api/v1/devices/assign?who=tablet&mac=x", 400),
        ("/api/v1/devices/forget", 400),
    ] {
        let (status, body) = request(&server, "POST", target, "").await;
        assert_eq!(status, code, "{target}: {body}");
        assert!(body["error"].is_string(), "{target}: {body}");
    }
    let (status, _) = request(&server, "GET", "/api/v1/devices/forget?who=x", "").await;
    assert_eq!(status, 405, "reading changes nothing");
}

#[tokio::test]
async fn explain_understands_its_question() {
    let server = FakeServer::start();
    let client = server.client();
    let ask = |key: &'static str, value: &'static str| {
        [
            ("name", Some("Casino.Example.org.".to_owned())),
            (key, Some(value.to_owned())),
        ]
    };
    let explanation: Explanation = client
        .get("/api/v1/explain", &ask("type", "https"))
        .await
        .unwrap();
    assert_eq!(explanation.question.name, "casino.example.org");
    assert_eq!(explanation.question.qtype, "HTTPS");
    assert!(explanation.voices[0].decisive);
    let explanation: Explanation = client
        .get("/api/v1/explain", &ask("client", "2001:db8::7"))
        .await
        .unwrap();
    assert_eq!(explanation.device.known_by, "address 2001:db8::7");
    let refused = client
        .get::<Explanation>("/api/v1/explain", &ask("device", "tablte"))
        .await
        .unwrap_err();
    let ClientError::Refused(body) = refused else {
        panic!("{refused}");
    };
    assert_eq!(
        body,
        ErrorBody::new("there is no device `tablte`", "did you mean `tablet`?")
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_json() {
    let server = FakeServer::start();
    let large = "x".repeat(70 * 1024);
    let long = format!("/api/v1/status?{}", "x".repeat(9 * 1024));
    for (method, target, body, status, error) in [
        (
            "GET",
            "/api/v1/nothing",
            "",
            404,
            "there is no `/api/v1/nothing`",
        ),
        ("GET", "/", "", 404, "there is no `/`"),
        (
            "GET",
            "/api/v1/reload",
            "",
            405,
            "`/api/v1/reload` does not take GET",
        ),
        (
            "POST",
            "/api/v1/status",
            "",
            405,
            "`/api/v1/status` does not take POST",
        ),
        (
            "POST",
            "/api/v1/reload",
            "{",
            400,
            "the request's body can't be understood: ",
        ),
        (
            "POST",
            "/api/v1/reload",
            "{\"force\":1}",
            400,
            "the request's body can't",
        ),
        (
            "POST",
            "/api/v1/reload",
            &large,
            413,
            "the request's body is larger than 65536",
        ),
        (
            "GET",
            "/api/v1/log?limit=all",
            "",
            400,
            "the parameters can't be understood: ",
        ),
        (
            "GET",
            "/api/v1/log?profil=mia",
            "",
            400,
            "the parameters can't be understood: ",
        ),
        (
            "GET",
            "/api/v1/log/stream?limit=3",
            "",
            400,
            "the parameters can't be understood: ",
        ),
        (
            "GET",
            "/api/v1/explain",
            "",
            400,
            "the parameters can't be understood: ",
        ),
        (
            "GET",
            "/api/v1/explain?name=a..b",
            "",
            400,
            "`a..b` is not a domain name",
        ),
    ] {
        let (found, body) = request(&server, method, target, body).await;
        assert_eq!(found, status, "{target}: {body}");
        let said = body["error"].as_str().unwrap();
        assert!(said.starts_with(error), "{target}: {said}");
    }
    let (status, _) = request(&server, "GET", &long, "").await;
    assert_eq!(status, 431, "the head is too large");
    assert_eq!(raw(&server, "NONSENSE\r\n\r\n").await.0, 400);
    assert_eq!(server.household.reloads.load(Ordering::Relaxed), 0);
    let (status, _) = request(&server, "POST", "/api/v1/reload", "{}").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_reload_that_breaks_off_leaves_the_daemon_running() {
    let server = FakeServer::start();
    server
        .household
        .reload_panics
        .store(true, Ordering::Relaxed);
    let (status, body) = request(&server, "POST", "/api/v1/reload", "").await;
    assert_eq!(
        (status, &body["error"]),
        (503, &"the reload broke off".into())
    );
    server
        .household
        .reload_panics
        .store(false, Ordering::Relaxed);
    assert_eq!(request(&server, "POST", "/api/v1/reload", "").await.0, 200);
}

#[tokio::test]
async fn the_document_and_the_routes_know_the_same_paths() {
    let server = FakeServer::start();
    let (_, document) = request(&server, "GET", "/api/v1/openapi.json", "").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let served: BTreeSet<_> = routes::table()
        .into_iter()
        .map(|(method, path, _)| (method.to_string(), path.to_owned()))
        .collect();
    assert_eq!(described, served);
    assert_eq!(described.len(), 32);
    for (method, path) in &described {
        if path.ends_with("/stream") {
            continue;
        }
        let (status, body) = request(&server, method, path, "").await;
        let needs_more = [
            "/explain",
            "/search",
            "/name",
            "/assign",
            "/forget",
            "/invite",
            "/revoke",
            "/grants",
            "/undo",
            "/pauses",
            "/bonus",
            "/requests",
            "/grant",
            "/deny",
            "/child",
            "/reveals",
        ];
        let needs_more = needs_more.iter().any(|end| path.ends_with(end));
        let known = status == 200 || (needs_more && status == 400);
        assert!(known, "{method} {path}: {status} {body}");
    }
}

/// After a wanted change `HEDGEROW_BLESS=1` writes the document anew, to be read in the diff.
#[test]
fn the_document_says_what_the_code_says() {
    let generated = routes::generated_openapi();
    if std::env::var_os("HEDGEROW_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/openapi.json");
        Files::disk().replace(&path, generated.as_bytes()).unwrap();
        return;
    }
    assert_eq!(super::openapi(), generated);
}

#[tokio::test]
async fn the_document_defines_every_type_it_mentions() {
    let document: Value = serde_json::from_str(super::openapi()).unwrap();
    let text = document.to_string();
    let mut checked = 0;
    for mention in text.split("\"#/components/schemas/").skip(1) {
        let name = mention.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"].get(name).is_some(),
            "{name}"
        );
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

#[tokio::test]
async fn followers_see_what_comes_and_leave_no_trace() {
    let server = FakeServer::start();
    server.household.ask("before.example.org");
    let client = server.client();
    let parameters = [("blocked", Some("true".to_owned()))];
    let mut followed = client
        .follow("/api/v1/log/stream", &parameters)
        .await
        .unwrap();
    for name in [
        "casino.example.org",
        "www.example.org",
        "casino.example.net",
    ] {
        server.household.ask(name);
    }
    let mut names = Vec::new();
    while names.len() < 2 {
        let event = timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
        match event {
            Some(Event::Entry(entry)) => names.push(entry.name.unwrap()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names, ["casino.example.org", "casino.example.net"]);
    drop(followed);
    // The place of a follower is free again once it has gone: far more than there are places can
    // follow one after the other.
    timeout(PATIENCE, async {
        for _ in 0..40 {
            while client.follow("/api/v1/log/stream", &[]).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_follower_goes_on_where_it_was_and_hears_of_what_it_missed() {
    let server = FakeServer::start();
    for _ in 0..3000 {
        server.household.ask("flood.example.org");
    }
    let parameters = [("after", Some("1".to_owned()))];
    let client = server.client();
    let mut followed = client
        .follow("/api/v1/log/stream", &parameters)
        .await
        .unwrap();
    let first = timeout(PATIENCE, followed.next()).await.unwrap().unwrap();
    let Some(Event::Gap(lost)) = first else {
        panic!("{first:?}");
    };
    let mut last = lost + 1;
    while last < 3000 {
        match timeout(PATIENCE, followed.next()).await.unwrap().unwrap() {
            Some(Event::Entry(entry)) => {
                assert_eq!(entry.seq, last + 1);
                last = entry.seq;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn followers_end_with_the_daemon_and_others_are_not_shut_out() {
    let server = FakeServer::start();
    let client = server.client();
    let mut followers = Vec::new();
    for _ in 0..16 {
        followers.push(client.follow("/api/v1/log/stream", &[]).await.unwrap());
    }
    let refused = client.follow("/api/v1/log/stream", &[]).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(_)), "{refused}");
    let status: Status = client.get("/api/v1/status", &[]).await.unwrap();
    assert_eq!(status.pid, 4711);
    server.stop.notify_one();
    for mut follower in followers {
        let end = timeout(PATIENCE, follower.next()).await.unwrap().unwrap();
        assert_eq!(end, None);
    }
    timeout(PATIENCE, server.serving).await.unwrap().unwrap();
    assert!(!server.socket.exists());
    let gone = client
        .get::<Status>("/api/v1/status", &[])
        .await
        .unwrap_err();
    assert!(matches!(gone, ClientError::NotRunning { .. }), "{gone}");
}

#[tokio::test]
async fn connections_are_bounded_and_idle_ones_end() {
    let server = FakeServer::start();
    let mut idle = Vec::new();
    for _ in 0..super::server::MAX_CONNECTIONS {
        idle.push(UnixStream::connect(&server.socket).await.unwrap());
    }
    // One more waits until a place is free.
    let client = server.client();
    let waiting = tokio::spawn(async move { client.get::<Status>("/api/v1/status", &[]).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    idle.pop();
    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    // An idle connection is closed by the server.
    let mut octet = [0];
    let closed = timeout(PATIENCE, idle[0].read(&mut octet)).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
}

#[tokio::test]
async fn a_lifeline_is_nowhere_behind_the_door() {
    let server = FakeServer::start();
    server.household.ask("www.example.org");
    server.household.ask("helpline.example.net");
    for (method, path, _) in routes::table() {
        // That the lists and the document know the word is no secret.
        if path.ends_with("/stream") || path.ends_with("/lists") || path.ends_with(".json") {
            continue;
        }
        let (_, body) = request(&server, method.as_str(), path, "").await;
        let text = body.to_string();
        assert!(
            !text.contains("helpline") && !text.contains("lifeline"),
            "{path}: {text}"
        );
    }
    let text = metrics::text(&*server.household).unwrap();
    assert!(!text.contains("lifeline"), "{text}");
}

#[tokio::test]
async fn metrics_are_readable_and_say_nothing_about_anybody() {
    let household = FakeHousehold::new();
    household.ask("www.example.org");
    household.ask("casino.example.org");
    let text = metrics::text(&*household).unwrap();
    for line in [
        "hedgerow_build_info{version=\"0.1.0\"} 1.0",
        "hedgerow_queries_total{protocol=\"udp\",family=\"ipv4\",qtype=\"A\"} 2",
        "hedgerow_certificate_expires_timestamp_seconds 1803124800.0",
        "hedgerow_responses_total{action=\"block\",rcode=\"NOERROR\"} 1",
        "hedgerow_blocked_total{category=\"gambling\"} 1",
        "hedgerow_request_duration_seconds_bucket{le=\"0.0025\",source=\"own\"} 1",
        "hedgerow_request_duration_seconds_bucket{le=\"+Inf\",source=\"own\"} 1",
        "hedgerow_request_duration_seconds_count{source=\"upstream\"} 1",
        "hedgerow_cache_hits_total 300",
        "hedgerow_cache_bytes 65536.0",
        "hedgerow_dnssec_answers_total{verdict=\"bogus\"} 5",
        "hedgerow_dnssec_signatures_total 180",
        "hedgerow_list_entries{category=\"gambling\"} 1234567.0",
        "hedgerow_list_age_seconds{list=\"malware\"} 176400.0",
        "hedgerow_list_update_failures{list=\"malware\"} 2.0",
        "hedgerow_lists_names 1234567.0",
        "hedgerow_lists_bytes 8000000.0",
        "hedgerow_lists_stale 1.0",
        "hedgerow_config_last_reload_successful 1.0",
        "hedgerow_ratelimit_drops_total 4",
        "hedgerow_void_claims_total 3",
        "# EOF",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    for secret in ["tablet", "mia", "192.0.2.7", "example.org", "starter"] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}

#[tokio::test]
async fn readiness_is_not_life() {
    let household = FakeHousehold::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behind: Arc<dyn Household> = household.clone();
    let serving = tokio::spawn(metrics::serve(listener, behind, std::future::pending()));
    let get = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(
        get("/metrics")
            .await
            .contains("application/openmetrics-text")
    );
    assert!(get("/readyz").await.starts_with("HTTP/1.1 200"));
    household.ready.store(false, Ordering::Relaxed);
    let answer = get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("the lists are not loaded yet\n"));
    assert!(get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get("/api/v1/status").await.starts_with("HTTP/1.1 404"));
    serving.abort();
}

#[tokio::test]
async fn grants_and_requests_go_through_the_door() {
    let server = FakeServer::start();
    let client = server.client();
    let text = |text: &str| Some(text.to_owned());
    let allow = [
        ("subject", text("example.org")),
        ("device", text("tablet")),
        ("for", text("1h")),
        ("why", text("a \u{1b}[2Jtrick")),
    ];
    let change: GrantChange = client.post_with("/api/v1/grants", &allow).await.unwrap();
    assert_eq!(change.grant.device.as_deref(), Some("tablet"));
    assert_eq!(change.grant.why, "a  [2Jtrick");
    assert_eq!(change.grant.by, "somebody", "who is no part of the request");
    let grants: Vec<Grant> = client.get("/api/v1/grants", &[]).await.unwrap();
    assert_eq!(grants, [change.grant]);
    let quotas: Vec<QuotaUse> = client.get("/api/v1/quotas", &[]).await.unwrap();
    assert_eq!(quotas[0].left_s, 4_500);
    for (target, code, error) in [
        (
            "/api/v1/grants?subject=games&for=1h",
            400,
            "neither a profile nor a device is given",
        ),
        (
            "/api/v1/pauses?what=internet&for=1h",
            400,
            "it is not said for whom this is",
        ),
        (
            "/api/v1/pauses?what=internet&everybody=true&profile=mia&for=1h",
            400,
            "more than one says for whom this is",
        ),
        (
            "/api/v1/pauses?what=internet&everybody=true",
            400,
            "neither `for` nor `until` is given",
        ),
        ("/api/v1/grants/undo?id=99", 404, "there is no grant"),
        (
            "/api/v1/grants?subject=games&for=1h&profile=mia&forever=1",
            400,
            "the parameters can't be understood",
        ),
    ] {
        let (status, body) = request(&server, "POST", target, "").await;
        assert_eq!(status, code, "{target}: {body}");
        let said = body["error"].as_str().unwrap();
        assert!(said.starts_with(error), "{target}: {said}");
    }
}
