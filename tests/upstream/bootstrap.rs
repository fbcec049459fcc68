//! Servers that are given by name.

use std::sync::Arc;
use std::time::Duration;

use hedgerow::clock::{ManualTime, Timestamp};
use hedgerow::config::{self, Host, Transport, UpstreamServer};
use hedgerow::upstream::{Failure, Upstreams};

use crate::private::{Household, Private, config};
use crate::stub::{Act, Seen, Stub};
use crate::{ask, build, limits};

/// A bootstrap server that says where `dns.test` is: on loopback, for a minute.
fn knows(seen: &Seen) -> Vec<Act> {
    assert_eq!(seen.name(), "dns.test.");
    let mut reply = seen.reply(0);
    if reply[7] == 1 {
        let end = reply.len();
        reply[end - 4..].copy_from_slice(&[127, 0, 0, 1]);
    }
    vec![Act::Send(reply)]
}

/// `server` by name, looked up at `bootstrap`.
fn by_name(household: &Household, server: &Private, bootstrap: &Stub) -> config::Upstream {
    let mut config = config(household, &[server]);
    config.servers[0] = UpstreamServer {
        host: Host::Name {
            name: "dns.test".into(),
            port: server.address.port(),
        },
        tls_name: None,
        ..config.servers[0].clone()
    };
    config.bootstrap = vec![UpstreamServer::at(bootstrap.address, Transport::Udp)];
    config
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_many_questions() {
    let household = Household::new();
    for transport in crate::private::transports() {
        let bootstrap = Stub::start(knows);
        let server = household.answering(transport);
        let upstreams = build(&by_name(&household, &server, &bootstrap));
        let mut tasks = Vec::new();
        for index in 0..20 {
            let upstreams = Arc::clone(&upstreams);
            tasks.push(tokio::spawn(async move {
                ask(&upstreams, &format!("n{index}.test")).await
            }));
        }
        for task in tasks {
            assert!(task.await.unwrap().is_ok(), "{transport:?}");
        }
        assert_eq!(server.seen().len(), 20, "{transport:?}");
        let mut asked: Vec<_> = bootstrap.seen().iter().map(|seen| seen.qtype()).collect();
        asked.sort_unstable();
        assert_eq!(asked, [1, 28], "{transport:?}");
    }
}

#[tokio::test]
async fn what_was_found_is_renewed_beside_the_questions_and_kept_while_nobody_knows() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    let household = Household::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let is_known = Arc::new(AtomicBool::new(true));
    let bootstrap = Stub::start({
        let (asked, is_known) = (Arc::clone(&asked), Arc::clone(&is_known));
        move |seen| {
            asked.fetch_add(1, Ordering::SeqCst);
            match is_known.load(Ordering::SeqCst) {
                true => knows(seen),
                false => Vec::new(),
            }
        }
    });
    // Each question needs a connection of its own, and each connection the address.
    let server = household.server(Transport::Tls, |seen| {
        vec![Act::Send(seen.reply(0)), Act::Close]
    });
    let time = ManualTime::starting_at(Timestamp::now());
    let config = by_name(&household, &server, &bootstrap);
    let upstreams = Upstreams::new(&config, &limits(), &[], time.clock());
    let seen = || asked.load(Ordering::SeqCst);
    assert!(ask(&upstreams, "a.test").await.is_ok());
    assert_eq!(seen(), 2);
    // Where one kind of addresses came late, on a busy machine, it is looked for after half a minute.
    time.advance(Duration::from_secs(29));
    assert!(ask(&upstreams, "b.test").await.is_ok());
    assert_eq!(seen(), 2);
    time.advance(Duration::from_secs(32));
    // On a busy machine a connection may be open that somebody has not used yet.
    let mut index = 0;
    while seen() < 4 {
        assert!(index < 1000, "never looked up again");
        assert!(ask(&upstreams, &format!("c{index}.test")).await.is_ok());
        index += 1;
    }
    // Now nobody knows any more; what was known holds.
    is_known.store(false, Ordering::SeqCst);
    let known = seen();
    let mut index = 0;
    while seen() == known {
        assert!(index < 100, "never looked for in vain");
        time.advance(Duration::from_secs(61));
        assert!(ask(&upstreams, &format!("d{index}.test")).await.is_ok());
        index += 1;
    }
    assert!(ask(&upstreams, "g.test").await.is_ok());
}

#[tokio::test]
async fn who_cannot_be_found_is_not_asked_and_said() {
    let household = Household::new();
    let bootstrap = Stub::start(|seen| vec![Act::Send(seen.reply(3))]);
    let server = household.answering(Transport::Tls);
    let upstreams = build(&by_name(&household, &server, &bootstrap));
    let failure = ask(&upstreams, "a.test").await.unwrap_err();
    assert_eq!(
        failure,
        Failure::Unusable {
            server: format!("dns.test:{}", server.address.port()).into(),
            what: "cannot find `dns.test`: it has no address".into(),
        }
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_bootstrap_server_that_lies_leads_nowhere() {
    let household = Household::new();
    let liar = Household::new();
    let bootstrap = Stub::start(knows);
    // It leads to somebody whom nobody vouches for.
    let stranger = liar.answering(Transport::Tls);
    let upstreams = build(&by_name(&household, &stranger, &bootstrap));
    let text = ask(&upstreams, "a.test").await.unwrap_err().to_string();
    assert!(
        text.ends_with("no authority we trust signed its certificate"),
        "{text}"
    );
    assert_eq!(stranger.seen().len(), 0);
}

#[tokio::test]
async fn a_bootstrap_server_may_be_encrypted_itself() {
    let household = Household::new();
    let bootstrap = household.server(Transport::Tls, knows);
    let server = household.answering(Transport::Https);
    let plain = Stub::silent();
    let mut config = by_name(&household, &server, &plain);
    config.bootstrap = vec![bootstrap.server()];
    assert!(ask(&build(&config), "a.test").await.is_ok());
    assert_eq!(bootstrap.seen().len(), 2);
}

#[tokio::test]
async fn who_drops_the_question_for_one_kind_of_address_costs_a_moment() {
    let household = Household::new();
    let bootstrap = Stub::start(|seen| match seen.qtype() {
        28 => Vec::new(),
        _ => knows(seen),
    });
    let server = household.answering(Transport::Tls);
    let upstreams = build(&by_name(&household, &server, &bootstrap));
    let (result, took) = crate::timed(&upstreams, "a.test").await;
    assert_eq!(result, Ok(0));
    assert!(took < Duration::from_millis(600), "{took:?}");
}
