//! Households whose clock is not set, or jumps.

use std::time::Duration;

use hedgerow::update::Outcome;

use crate::http::Reply;
use crate::world::{World, good, moment, names};

const HOUR: Duration = Duration::from_secs(3600);

/// How long until the list is due.
fn wait(world: &mut World) -> Duration {
    let now = world.time.clock().now();
    world.updater().next_due().unwrap().since(now)
}

#[test]
fn without_a_clock_lists_come_all_the_same() {
    let mut world = World::new();
    world.time.set_wall(moment("1970-01-01T00:01:00Z"));
    world.serve("/ads.txt", Reply::with(good(), &["ETag: \"1\""]));
    assert_eq!(world.entries(), 3);
    let state = world.written();
    assert_eq!((state.fetched, state.checked), (None, None));
    // And nothing is written only to say that somebody looked.
    let before = world.content(crate::world::STATE);
    world.serve("/ads.txt", Reply::not_modified());
    world.time.advance(HOUR * 20);
    world.restart();
    world.update();
    assert_eq!(world.content(crate::world::STATE), before);
}

#[test]
fn without_a_clock_a_certificate_must_still_be_for_the_server() {
    let mut world = World::new();
    world.time.set_wall(moment("1970-01-01T00:01:00Z"));
    let identity = world.authority.identity(&["other.example"]);
    let stub = crate::http::Stub::tls(&identity, |_| Reply::ok(good()));
    world.net.publish("lists.example", &stub);
    let why = world.failure();
    assert!(why.ends_with("for other names: other.example"), "{why}");
}

#[test]
fn a_certificate_that_expired_before_our_release_is_never_valid() {
    let mut world = World::new();
    let identity = world.authority.identity_of(&["lists.example"], 2026);
    let stub = crate::http::Stub::tls(&identity, |_| Reply::ok(good()));
    world.net.publish("lists.example", &stub);
    let expired = "no safe connection to lists.example: its certificate was valid until \
                   2026-06-01, or this machine's clock is wrong";
    for clock in ["1970-01-01T00:01:00Z", "2027-06-01T00:00:00Z"] {
        world.time.set_wall(moment(clock));
        assert_eq!(world.failure(), expired);
    }
}

#[test]
fn a_clock_in_the_far_future_is_told_and_harms_nothing() {
    let mut world = World::with_copy();
    world.time.set_wall(moment("2037-01-01T00:00:00Z"));
    world.refuses(
        "no safe connection to lists.example: its certificate was valid until 2036-06-01, \
         or this machine's clock is wrong",
    );
    // No program lives to see that: it is no clock.
    world.time.set_wall(moment("2099-01-01T00:00:00Z"));
    world.serve("/ads.txt", Reply::ok(names(5)));
    assert_eq!(world.entries(), 5);
    world.time.set_wall(moment("2027-06-02T00:00:00Z"));
    world.serve("/ads.txt", Reply::ok(names(4)));
    assert_eq!(world.entries(), 4);
}

#[test]
fn a_clock_that_jumps_moves_no_schedule() {
    let mut world = World::with_copy();
    let before = wait(&mut world);
    assert!(before > HOUR * 19 && before < HOUR * 29, "{before:?}");
    for clock in [
        "2099-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2027-06-01T00:00:00Z",
    ] {
        world.time.set_wall(moment(clock));
        assert_eq!(wait(&mut world), before);
    }
    assert!(world.updater().update_due().is_empty());
    world.time.advance(before);
    assert_eq!(world.updater().update_due().len(), 1);
}

#[test]
fn the_first_look_depends_on_what_is_known() {
    let mut world = World::new();
    assert!(wait(&mut world) <= Duration::from_secs(12));
    let mut world = World::with_copy();
    world.time.advance(HOUR * 4);
    world.restart();
    let rest = wait(&mut world);
    assert!(rest >= HOUR * 16 && rest <= HOUR * 24, "{rest:?}");
    // A clock that was wrong then, or is wrong now, says nothing.
    for clock in ["1970-01-01T00:00:00Z", "2027-05-01T00:00:00Z"] {
        world.time.set_wall(moment(clock));
        world.restart();
        let soon = wait(&mut world);
        assert!(soon >= HOUR / 8 && soon <= HOUR / 5, "{soon:?}");
    }
}

#[test]
fn failures_are_tried_again_with_growing_patience() {
    let mut world = World::with_copy();
    world.withdraw("/ads.txt");
    let mut patience = Vec::new();
    for failures in 1..=9 {
        let pause = wait(&mut world);
        world.time.advance(pause);
        let results = world.updater().update_due();
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].failures, failures);
        assert_eq!(results[0].news, failures == 1);
        assert_eq!(results[0].next.as_secs(), wait(&mut world).as_secs());
        patience.push(results[0].next.as_secs() / 60);
    }
    for (minutes, expected) in patience
        .into_iter()
        .zip([5, 10, 20, 40, 80, 160, 320, 360, 360])
    {
        assert!(
            (expected * 8 / 10..=expected * 12 / 10).contains(&minutes),
            "{minutes} {expected}"
        );
    }
    world.serve("/ads.txt", Reply::not_modified());
    assert_eq!(world.update().outcome, Outcome::Unchanged);
    assert!(wait(&mut world) > HOUR * 19);
}
