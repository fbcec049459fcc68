//! Servers that do not send what they should, or send us where we must not go.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hedgerow::update::ListUpdateSpec;

use crate::http::{Authority, Reply, Stub};
use crate::world::{World, good, names};

#[track_caller]
fn refused(reply: Reply, cause: &str) {
    let mut world = World::with_copy();
    world.spec.max_bytes = 1 << 20;
    world.restart();
    world.serve("/ads.txt", reply);
    world.refuses(cause);
}

#[test]
fn a_list_that_is_cut_short_is_no_short_list() {
    let cut = "https://lists.example/ads.txt: cut short";
    let half = Reply::head(200, &["Content-Length: 1000"]).then(names(3));
    refused(half, cut);
    let chunk = Reply::head(200, &["Transfer-Encoding: chunked"]).chunk(b"one.test\n");
    refused(chunk, cut);
    let inside = Reply::head(200, &["Transfer-Encoding: chunked"]).then("ff\r\none.test\n");
    refused(inside, cut);
}

#[test]
fn more_than_was_announced_is_not_read() {
    let mut world = World::with_copy();
    let reply = Reply::head(200, &["Content-Length: 9"]).then("one.test\ntwo.test\n");
    world.serve("/ads.txt", reply);
    assert_eq!(world.entries(), 1);
}

#[test]
fn a_list_of_unknown_length_is_not_believed() {
    refused(
        Reply::head(200, &[]).then(good()),
        "https://lists.example/ads.txt: sent without its length, \
         so a missing end would not be noticed",
    );
}

#[test]
fn a_list_that_never_ends_is_given_up() {
    let large = "https://lists.example/ads.txt: larger than 1048576 bytes";
    refused(
        Reply::head(200, &["Content-Length: 1048577"]).stall(),
        large,
    );
    // A line of a gigabyte; nobody reads it to the end.
    let chunk = [b"10000\r\n".to_vec(), vec![b'a'; 0x10000], b"\r\n".to_vec()].concat();
    let endless = Reply::head(200, &["Transfer-Encoding: chunked"]).repeat(&chunk, 1 << 14);
    refused(endless, large);
}

#[test]
fn other_answers_are_no_lists() {
    for (reply, cause) in [
        (
            Reply::head(500, &["Content-Length: 0"]),
            "the server answers 500",
        ),
        (Reply::head(204, &[]), "the server answers 204"),
        (
            Reply::head(206, &["Content-Length: 3"]).then("a.b"),
            "the server answers 206",
        ),
        (
            Reply::with(good(), &["Content-Encoding: br"]),
            "sent with content encoding `br`",
        ),
    ] {
        refused(reply, &format!("https://lists.example/ads.txt: {cause}"));
    }
    let mut world = World::new();
    world.serve("/ads.txt", Reply::not_modified());
    assert!(
        world.failure().ends_with("answers 304"),
        "nobody asked if it changed"
    );
}

#[test]
fn what_is_no_http_is_no_list() {
    let mut world = World::with_copy();
    let before = world.content(crate::world::COPY);
    let identity = world.authority.identity(&["lists.example"]);
    let stub = Stub::tls(&identity, |_| Reply::head(200, &["Content-Length: x"]));
    world.net.publish("lists.example", &stub);
    assert!(world.failure().starts_with("lists.example: "));
    world.stays(&before);
}

fn impatient(world: &mut World, change: impl FnOnce(&mut hedgerow::update::Timeouts)) {
    change(&mut world.timeouts);
    world.restart();
}

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn a_server_that_says_nothing() {
    let mut world = World::with_copy();
    impatient(&mut world, |timeouts| timeouts.connect = SHORT);
    // It never answers the greeting of TLS.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    world
        .net
        .route_to("lists.example", mute.local_addr().unwrap());
    world.refuses("lists.example: no connection in time");
}

#[test]
fn a_server_that_stalls_at_the_first_octet() {
    for (sent, cause) in [
        (&b"H"[..], "lists.example: no answer in time"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\no",
            "lists.example: the download stalled",
        ),
    ] {
        let mut world = World::with_copy();
        impatient(&mut world, |timeouts| {
            timeouts.first_byte = SHORT;
            timeouts.stall = SHORT * 2;
        });
        world.serve("/ads.txt", Reply::raw(sent).stall());
        world.refuses(cause);
    }
}

#[test]
fn a_server_that_drips() {
    let mut world = World::with_copy();
    impatient(&mut world, |timeouts| timeouts.total = SHORT * 2);
    let reply = Reply::head(200, &["Content-Length: 100000"]).drip(SHORT / 10);
    world.serve("/ads.txt", reply);
    world.refuses("lists.example: the download took too long");
}

#[test]
fn a_name_that_leads_nowhere() {
    let mut world = World::with_copy();
    world.net.name("lists.example", &[]);
    world.refuses("cannot look up `lists.example`: no address");
}

#[test]
fn a_server_that_is_not_there() {
    let mut world = World::with_copy();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    world.net.route_to("lists.example", address);
    world.refuses("no connection to lists.example: Connection refused (os error 111)");
}

#[test]
fn a_certificate_for_another_name() {
    let mut world = World::with_copy();
    let identity = world
        .authority
        .identity(&["other.example", "third.example"]);
    let stub = Stub::tls(&identity, |_| Reply::ok(good()));
    world.net.publish("lists.example", &stub);
    world.refuses(
        "no safe connection to lists.example: \
         its certificate is for other names: other.example, third.example",
    );
    assert_eq!(stub.take_requests(), []);
}

#[test]
fn a_certificate_of_nobody_we_trust() {
    let mut world = World::with_copy();
    let identity = Authority::new().identity(&["lists.example"]);
    let stub = Stub::tls(&identity, |_| Reply::ok(good()));
    world.net.publish("lists.example", &stub);
    world.refuses(
        "no safe connection to lists.example: no authority we trust signed its certificate",
    );
}

#[test]
fn a_server_without_tls() {
    let mut world = World::with_copy();
    let stub = Stub::plain(|_| Reply::ok(good()));
    world.net.publish("lists.example", &stub);
    let why = world.failure();
    assert!(
        why.starts_with("no safe connection to lists.example: "),
        "{why}"
    );
}

#[test]
fn redirects_without_an_end() {
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::redirect("https://lists.example/ads.txt"));
    world.refuses("more than 5 redirects");
    assert_eq!(world.stub.take_requests().len(), 12);
}

/// A redirect into the home ends there: the server it leads to sees nothing.
#[test]
fn redirects_into_the_home() {
    let inside = Stub::plain(|_| Reply::ok(good()));
    let port = inside.address.port();
    let within = "which is inside the home";
    for (target, cause) in [
        (
            format!("https://127.0.0.1:{port}/a"),
            "`127.0.0.1` is an address inside the home".to_owned(),
        ),
        (
            format!("https://[::ffff:127.0.0.1]:{port}/a"),
            "`::ffff:127.0.0.1` is an address inside the home".to_owned(),
        ),
        (
            "https://192.168.1.1/admin?reboot=1".to_owned(),
            "`192.168.1.1` is an address inside the home".to_owned(),
        ),
        (
            format!("https://rebound.example:{port}/a"),
            format!("`rebound.example` has the address 127.0.0.1, {within}"),
        ),
        (
            "https://printer.example/".to_owned(),
            format!("`printer.example` has the address fd00::7, {within}"),
        ),
    ] {
        let mut world = World::with_copy();
        let addresses = |text: &str| [text.parse::<IpAddr>().unwrap()];
        world.net.name("rebound.example", &addresses("127.0.0.1"));
        world.net.name("printer.example", &addresses("fd00::7"));
        world.serve("/ads.txt", Reply::redirect(&target));
        world.refuses(&cause);
    }
    assert_eq!(inside.take_requests(), []);
}

#[test]
fn redirects_to_where_nothing_is_fetched() {
    for (target, to, why) in [
        (
            "http://lists.example/ads.txt",
            "http://lists.example/ads.txt",
            "a way from `https:` to `http:` is not taken",
        ),
        (
            "file://lists.example/etc/shadow",
            "file://lists.example/etc/shadow",
            "only `https:` and, for signed lists, `http:` are fetched",
        ),
        (
            "https://me:word@lists.example/?key=1",
            "https://lists.example/",
            "a name or password has no place in a URL",
        ),
        ("", "", "not a URL of a server"),
    ] {
        refused(
            Reply::redirect(target),
            &format!("redirected from https://lists.example/ads.txt to `{to}`: {why}"),
        );
    }
}

#[test]
fn urls_that_are_not_fetched() {
    for (url, why) in [
        (
            "file:///etc/shadow",
            "`file:///etc/shadow`: not a URL of a server",
        ),
        (
            "http://lists.example/ads.txt",
            "`http://lists.example/ads.txt`: plain `http:` needs a signature; \
             anybody on the way could change the list",
        ),
        (
            "https://192.168.1.1/ads.txt",
            "`192.168.1.1` is an address inside the home",
        ),
    ] {
        let mut world = World::new();
        world.spec = ListUpdateSpec::new("ads", url);
        assert_eq!(world.failure(), why);
        assert_eq!(world.stub.take_requests(), []);
    }
}

#[test]
fn a_mirror_at_home_is_allowed_where_the_configuration_says_so() {
    let mut world = World::new();
    let identity = world.authority.identity(&["mirror.home.arpa"]);
    let mirror = Stub::tls(&identity, |request| match &*request.path {
        "/ads.txt" => Reply::redirect("/there.txt"),
        "/there.txt" => Reply::ok(good()),
        _ => Reply::redirect("https://lists.example/out"),
    });
    let port = mirror.address.port();
    let home = [IpAddr::from([127, 0, 0, 1])];
    world.net.name("mirror.home.arpa", &home);
    world.spec.url = format!("https://mirror.home.arpa:{port}/ads.txt");
    let why = world.failure();
    assert!(why.contains("127.0.0.1, which is inside the home"), "{why}");
    world.spec.allow_private = true;
    world.restart();
    assert_eq!(world.entries(), 3);
    // Who sends us out of the home cannot send us back in.
    let back = format!("https://mirror.home.arpa:{port}/ads.txt");
    world.serve("/out", Reply::redirect(&back));
    world.spec.url = format!("https://mirror.home.arpa:{port}/away.txt");
    world.restart();
    let why = world.failure();
    assert!(why.contains("127.0.0.1, which is inside the home"), "{why}");
}

#[test]
fn a_download_that_nobody_wants_any_more_ends_with_the_next_octets() {
    let mut world = World::with_copy();
    let cancelled = Arc::clone(&world.cancelled);
    let identity = world.authority.identity(&["lists.example"]);
    // The reload comes when the download has begun, of a server that would go on for a minute.
    world.stub = Stub::tls(&identity, move |_| {
        cancelled.store(true, Ordering::Relaxed);
        let announced = ["Content-Length: 1000000"];
        Reply::head(200, &announced).then(good()).stall()
    });
    world.net.publish("lists.example", &world.stub);
    world.restart();
    assert_eq!(world.failure(), "broken off, since it is no longer wanted");
    world.stays(&good());
    assert_eq!(world.written().failures, 0);
}
