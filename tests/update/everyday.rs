//! What happens day after day: nothing, or a new version.

use std::time::Duration;

use hedgerow::lists::ListFormat;
use hedgerow::update::{ListUpdateSpec, Outcome};

use crate::http::Reply;
use crate::world::{COPY, STATE, World, good, names};

#[test]
fn a_list_comes_and_is_kept_as_it_came() {
    let mut world = World::new();
    let headers = [
        "ETag: \"1\"",
        "Last-Modified: Mon, 31 May 2027 06:00:00 GMT",
        "Date: Tue, 01 Jun 2027 12:00:03 GMT",
    ];
    world.serve("/ads.txt", Reply::with(good() + "no name\n", &headers));
    let result = world.update();
    assert_eq!(
        result.outcome,
        Outcome::Updated {
            entries: 3,
            before: None,
            downloaded: 61,
            by_delta: false,
            bad_lines: 1,
            protected: 0,
        }
    );
    assert!(result.news);
    world.stays(&(good() + "no name\n"));
    let state = world.written();
    assert_eq!(state.etag.as_deref(), Some("\"1\""));
    assert_eq!(state.fetched.as_deref(), Some("2027-06-01T12:00:00Z"));
    assert_eq!(
        state.server_date.as_deref(),
        Some("Tue, 01 Jun 2027 12:00:03 GMT")
    );
    assert_eq!((state.entries, state.bytes, state.bad_lines), (3, 61, 1));
    assert_eq!(state.notes.len(), 1);
    let request = &world.stub.take_requests()[0];
    assert_eq!(request.header("host"), Some("lists.example"));
    assert_eq!(request.header("accept-encoding"), Some("gzip"));
    assert_eq!(request.header("if-none-match"), None);
    let copy = world.updater().copy_of("ads").unwrap();
    assert_eq!(copy.to_str(), Some(COPY));
}

#[test]
fn an_unchanged_list_costs_one_question_and_no_write() {
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::not_modified());
    let (copy, state) = (world.content(COPY), world.content(STATE));
    world.time.advance(Duration::from_secs(23 * 3600));
    let result = world.update();
    assert_eq!((result.outcome, result.news), (Outcome::Unchanged, false));
    let request = &world.stub.take_requests()[0];
    assert_eq!(request.header("if-none-match"), Some("\"1\""));
    assert_eq!(
        (world.content(COPY), world.content(STATE)),
        (copy.clone(), state.clone())
    );
    // Once a day it is noted that somebody looked.
    world.time.advance(Duration::from_secs(3600));
    world.update();
    let noted = world.content(STATE);
    assert_ne!(noted, state);
    assert_eq!(
        world.written().checked.as_deref(),
        Some("2027-06-02T12:00:00Z")
    );
    for _ in 0..3 {
        world.restart();
        world.update();
    }
    world.time.advance(Duration::from_secs(20 * 3600));
    world.restart();
    world.update();
    assert_eq!(world.content(STATE), noted);
    world.time.advance(Duration::from_secs(4 * 3600));
    world.update();
    assert_ne!(world.content(STATE), noted);
    assert_eq!(world.content(COPY), copy);
}

#[test]
fn the_same_list_under_another_etag_is_not_written_again() {
    let mut world = World::with_copy();
    let state = world.content(STATE);
    world.serve("/ads.txt", Reply::with(good(), &["ETag: \"2\""]));
    assert_eq!(world.update().outcome, Outcome::Unchanged);
    assert_eq!(world.content(STATE), state);
    world.stub.take_requests();
    world.update();
    let request = &world.stub.take_requests()[0];
    assert_eq!(request.header("if-none-match"), Some("\"2\""));
}

#[test]
fn a_new_version_takes_the_place_of_the_old_one() {
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::with(names(7), &["ETag: \"2\""]));
    let result = world.update();
    assert!(matches!(
        result.outcome,
        Outcome::Updated {
            entries: 7,
            before: Some(3),
            ..
        }
    ));
    world.stays(&names(7));
    assert_eq!(world.written().etag.as_deref(), Some("\"2\""));
}

#[test]
fn a_list_in_chunks_and_packed_is_a_list() {
    let mut world = World::new();
    world.serve("/ads.txt", Reply::chunked(&[b"one.test\ntw", b"o.test\n"]));
    assert_eq!(world.entries(), 2);
    world.stays("one.test\ntwo.test\n");
}

#[test]
fn redirects_are_followed_with_the_same_questions() {
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::redirect("/new/ads.txt"));
    world.serve("/new/ads.txt", Reply::redirect("newer.txt?key=1"));
    world.serve("/new/newer.txt?key=1", Reply::ok(names(4)));
    assert_eq!(world.entries(), 4);
    let requests = world.stub.take_requests();
    let paths: Vec<&str> = requests.iter().map(|request| &*request.path).collect();
    assert_eq!(paths, ["/ads.txt", "/new/ads.txt", "/new/newer.txt?key=1"]);
    assert_eq!(requests[2].header("if-none-match"), Some("\"1\""));
}

#[test]
fn force_asks_for_all_of_it_and_believes_a_leap() {
    let mut world = World::new();
    world.serve("/ads.txt", Reply::with(names(2_000), &["ETag: \"1\""]));
    assert_eq!(world.entries(), 2_000);
    world.stub.take_requests();
    world.serve("/ads.txt", Reply::with(names(20), &["ETag: \"2\""]));
    world.refuses(
        "refused: 20 entries after 2000; that looks cut off or wrong; `hedgerow lists update \
         --force ads` takes it all the same",
    );
    let forced = world.updater().update_one("ads", true).unwrap();
    assert!(matches!(
        forced.outcome,
        Outcome::Updated { entries: 20, .. }
    ));
    let requests = world.stub.take_requests();
    assert_eq!(requests[0].header("if-none-match"), Some("\"1\""));
    assert_eq!(requests[2].header("if-none-match"), None);
    assert_eq!(world.written().error, None);
}

#[test]
fn a_copy_that_is_gone_or_another_address_is_fetched_whole() {
    let mut world = World::with_copy();
    world.memory.put(COPY, "something else\n");
    world.update();
    assert_eq!(world.content(COPY), good());
    world.memory.remove(COPY.as_ref());
    world.update();
    assert_eq!(world.content(COPY), good());
    world.spec.url = "https://lists.example/other.txt".into();
    world.serve("/other.txt", Reply::ok(names(3)));
    world.restart();
    assert_eq!(world.entries(), 3);
    for request in world.stub.take_requests() {
        assert_eq!(request.header("if-none-match"), None, "{}", request.path);
    }
}

#[test]
fn a_list_at_another_address_begins_anew() {
    let mut world = World::new();
    world.serve("/ads.txt", Reply::ok(names(2_000)));
    assert_eq!(world.entries(), 2_000);
    world.spec.url = "https://lists.example/other.txt".into();
    world.serve("/other.txt", Reply::ok(names(3)));
    world.restart();
    let Outcome::Updated {
        entries, before, ..
    } = world.update().outcome
    else {
        panic!("refused");
    };
    assert_eq!((entries, before), (3, None));
}

#[test]
fn a_failure_ends_with_news() {
    let mut world = World::with_copy();
    world.withdraw("/ads.txt");
    world.refuses("https://lists.example/ads.txt: the server answers 404");
    world.serve("/ads.txt", Reply::not_modified());
    let result = world.update();
    assert_eq!((result.outcome, result.news), (Outcome::Unchanged, true));
    assert_eq!(result.failures, 0);
    assert_eq!(world.written().error, None);
    assert!(!world.update().news);
}

#[test]
fn an_id_that_leads_out_of_the_folder_is_refused() {
    for id in ["../ads", "a/b", "", ".", "Ads", "a\0"] {
        let mut world = World::new();
        world.spec = ListUpdateSpec::new(id, crate::world::URL);
        let result = world.updater().update_one(id, false).unwrap();
        let why = format!("`{id}` cannot be the name of a file");
        assert_eq!(result.outcome, Outcome::Failed(why));
        assert_eq!(world.memory.paths().len(), 0);
        assert_eq!(world.stub.take_requests().len(), 0);
    }
}

#[test]
fn what_another_process_wrote_is_read() {
    let mut world = World::with_copy();
    let state = world.content(STATE).replace("\\\"1\\\"", "\\\"9\\\"");
    world.memory.put(STATE, state);
    world.serve("/ads.txt", Reply::not_modified());
    world.update();
    let request = &world.stub.take_requests()[0];
    assert_eq!(request.header("if-none-match"), Some("\"9\""));
}

#[test]
fn the_configured_syntax_holds() {
    let mut world = World::new();
    world.spec.format = Some(ListFormat::Hosts);
    world.serve("/ads.txt", Reply::ok(names(3)));
    let why = world.failure();
    assert!(why.contains("not understood as hosts"), "{why}");
}

#[test]
fn a_copy_that_was_cut_off_is_fetched_again_at_once() {
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::ok(good()));
    // As it is it may stay for a day.
    let now = world.time.clock().now();
    world.updater().doubt("ads");
    assert!(world.updater().due("ads").is_some_and(|due| due > now));
    world.memory.put(COPY, "one.example\n");
    world.updater().doubt("ads");
    assert_eq!(world.updater().due("ads"), Some(now));
    let results = world.updater().update_due();
    assert_eq!(results.len(), 1, "{results:?}");
    assert!(matches!(results[0].outcome, Outcome::Updated { .. }));
    world.stays(&good());
    // One that is looked for again anyway is left to its patience.
    world.memory.put(COPY, "one.example\n");
    world.withdraw("/ads.txt");
    world.update();
    let due = world.updater().due("ads");
    world.updater().doubt("ads");
    assert_eq!(world.updater().due("ads"), due);
}
