//! All upstreams fall silent and one returns.

use std::time::{Duration, Instant};

use crate::OPEN;
use crate::support::upstream::{Say, address};
use crate::support::wire::rtype;
use crate::support::{Home, wait_for};

#[test]
fn what_was_known_is_answered_within_5_ms_and_the_first_question_after_the_outage_is_answered() {
    let home = Home::start(&format!("{OPEN}[upstream]\nbudget = \"300ms\"\n"));
    let known = Say::one(address("192.0.2.7").ttl(1));
    home.upstream.on_name("known.example.org", known);
    home.upstream
        .on_name("new.example.org", Say::address("192.0.2.8"));
    assert_eq!(
        home.look_up("127.0.0.1", "known.example.org", rtype::A)
            .ttls(),
        [1]
    );
    home.upstream.be_silent(true);
    // What the household asks, until what is known is answered at once.
    let mut index = 0;
    wait_for("everybody to be known as dead", || {
        index += 1;
        let lost = home.look_up("127.0.0.1", &format!("n{index}.example.org"), rtype::A);
        assert_eq!(lost.rcode(), 2);
        let begun = Instant::now();
        let known = home.look_up("127.0.0.1", "known.example.org", rtype::A);
        assert_eq!(known.answers(), ["A 192.0.2.7"]);
        let is_dead = home.log().contains("upstream does not answer");
        (is_dead && begun.elapsed() < Duration::from_millis(50)).then_some(())
    });
    // More than a second went by, so that what is known is of the past.
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_millis(800) {
        let asked = Instant::now();
        let reply = home.look_up("127.0.0.1", "known.example.org", rtype::A);
        slowest = slowest.max(asked.elapsed());
        assert_eq!(reply.answers(), ["A 192.0.2.7"]);
        count += 1;
    }
    // A busy machine may be slow for once; that somebody waits for upstream would be 300 ms.
    assert!(count > 100, "{count} answers");
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
    let mean = begun.elapsed() / count;
    assert!(mean < Duration::from_millis(5), "{mean:?}");
    home.upstream.be_silent(false);
    // The household asks for what it knows; that is enough to find out.
    wait_for("the return to be noticed", || {
        home.look_up("127.0.0.1", "known.example.org", rtype::A);
        (home
            .look_up("127.0.0.1", "new.example.org", rtype::A)
            .rcode()
            == 0)
            .then_some(())
    });
}
