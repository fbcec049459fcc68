//! Networks that keep us from our upstreams, and what is said of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hedgerow::clock::{ManualTime, Timestamp};
use hedgerow::config::Transport;
use hedgerow::upstream::{Network, Upstreams};

use crate::private::{Certificate, Door, Household, config, transports};
use crate::stub::{Act, Seen, Stub};
use crate::{ask, build, limits, nobody, udp, until};

#[tokio::test]
async fn somebody_else_with_a_certificate_of_its_own_is_a_login_page() {
    let (household, portal) = (Household::new(), Household::new());
    for transport in transports() {
        let stranger = portal.answering(transport);
        let upstreams = build(&config(&household, &[&stranger]));
        let failure = ask(&upstreams, "a.test").await.unwrap_err();
        assert_eq!(
            upstreams.network(),
            Some(Network::Intercepted),
            "{transport:?}"
        );
        let text = failure.to_string();
        let why = "somebody else answers in place of the upstreams: ";
        assert!(text.starts_with(why), "{transport:?}: {text}");
        assert_eq!(failure.ede(), 23);
        assert_eq!(stranger.seen().len(), 0, "nothing was told");
    }
}

/// What devices with a login page show: a certificate they signed themselves, often an authority's, often
/// over for years, now and then the right one for another name.
#[tokio::test]
async fn whatever_certificate_a_login_page_has_is_somebody_else_s() {
    let (household, portal) = (Household::new(), Household::new());
    let over = (2020, 2021);
    let usual = Certificate::default;
    let cases = [
        (
            "own authority",
            &portal,
            Certificate {
                is_own_authority: true,
                ..usual()
            },
        ),
        (
            "own authority, over",
            &portal,
            Certificate {
                is_own_authority: true,
                years: over,
                ..usual()
            },
        ),
        (
            "strangers, over",
            &portal,
            Certificate {
                years: over,
                ..usual()
            },
        ),
        (
            "another name",
            &household,
            Certificate {
                names: vec!["portal.test"],
                ..usual()
            },
        ),
        (
            "another name, over",
            &household,
            Certificate {
                names: vec!["portal.test"],
                years: over,
                ..usual()
            },
        ),
    ];
    for transport in transports() {
        for (what, issuer, certificate) in &cases {
            let answers = |seen: &Seen| vec![Act::Send(seen.reply(0))];
            let stranger = issuer.server_with(transport, certificate, Door::Open, answers);
            let upstreams = build(&config(&household, &[&stranger]));
            assert!(ask(&upstreams, "a.test").await.is_err(), "{what}");
            let network = upstreams.network();
            assert_eq!(network, Some(Network::Intercepted), "{transport:?}, {what}");
            assert_eq!(stranger.seen().len(), 0, "nothing was told");
        }
    }
}

#[tokio::test]
async fn a_stranger_of_whom_nothing_is_heard_is_gone() {
    let (household, portal) = (Household::new(), Household::new());
    let stranger = portal.answering(Transport::Tls);
    let time = ManualTime::starting_at(Timestamp::UNIX_EPOCH);
    let config = config(&household, &[&stranger]);
    let upstreams = Upstreams::new(&config, &limits(), &[], time.clock());
    assert!(ask(&upstreams, "a.test").await.is_err());
    assert_eq!(upstreams.network(), Some(Network::Intercepted));
    time.advance(std::time::Duration::from_mins(1));
    assert_eq!(upstreams.network(), Some(Network::Intercepted));
    time.advance(std::time::Duration::from_mins(2));
    assert_eq!(upstreams.network(), None, "nobody asked anything meanwhile");
}

#[tokio::test]
async fn a_server_with_an_expired_certificate_is_no_login_page() {
    let household = Household::new();
    let old = Certificate {
        years: (2020, 2021),
        ..Default::default()
    };
    let answers = |seen: &Seen| vec![Act::Send(seen.reply(0))];
    let door = Door::Open;
    let server = household.server_with(Transport::Tls, &old, door, answers);
    let upstreams = build(&config(&household, &[&server]));
    assert!(ask(&upstreams, "a.test").await.is_err());
    assert_eq!(upstreams.network(), None);
}

#[tokio::test]
async fn where_only_the_clear_comes_through_this_is_said_until_more_does() {
    let household = Household::new();
    let opens = Arc::new(AtomicBool::new(false));
    let clear = Stub::answering();
    let its = Arc::clone(&opens);
    let server = household.server(Transport::Tls, move |seen| {
        match its.load(Ordering::SeqCst) {
            true => vec![Act::Send(seen.reply(0))],
            false => vec![Act::Close],
        }
    });
    let mut config = config(&household, &[&server]);
    config.fallback = vec![vec![udp(clear.address)]];
    let upstreams = build(&config);
    let mut index = 0;
    while upstreams.network() != Some(Network::Closed) {
        index += 1;
        assert!(index < 1000, "never said");
        // Each is answered, by the fallback.
        assert!(ask(&upstreams, &format!("n{index}.test")).await.is_ok());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    opens.store(true, Ordering::SeqCst);
    let mut index = 0;
    while upstreams.network().is_some() {
        index += 1;
        assert!(index < 3000, "never taken back");
        assert!(ask(&upstreams, &format!("m{index}.test")).await.is_ok());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_line_that_is_down_is_no_closed_network() {
    let household = Household::new();
    let mut server = household.answering(Transport::Tls).server();
    server.host = hedgerow::config::Host::Addresses(vec![nobody()]);
    let mut config = config(&household, &[]);
    config.servers = vec![server];
    config.fallback = vec![vec![udp(nobody())]];
    let upstreams = build(&config);
    for index in 0..10 {
        assert!(ask(&upstreams, &format!("n{index}.test")).await.is_err());
    }
    assert_eq!(upstreams.network(), None);
}

#[tokio::test]
async fn one_address_for_every_name_is_a_login_page() {
    let portal = Stub::start(|seen| {
        let mut reply = seen.reply(0);
        if reply[7] == 1 {
            let end = reply.len();
            reply[end - 4..].copy_from_slice(&[10, 0, 0, 1]);
        }
        vec![Act::Send(reply)]
    });
    let upstreams = build(&crate::config(&[portal.address]));
    for index in 0..8 {
        assert_eq!(upstreams.network(), None);
        assert!(ask(&upstreams, &format!("www.n{index}.test")).await.is_ok());
    }
    let network = Network::Redirected([10, 0, 0, 1].into());
    until("it is said", || upstreams.network() == Some(network)).await;
    assert!(network.advice().contains("http://10.0.0.1 there"));
}
