//! Lists that are none, or that would do harm. Each is refused, told once, and the last good copy
//! stays.

use hedgerow::update::Outcome;

use crate::http::Reply;
use crate::world::{World, good, names};

#[track_caller]
fn refused(body: impl AsRef<[u8]>, cause: &str) {
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::ok(body));
    world.refuses(cause);
}

#[test]
fn a_login_page() {
    refused(
        "<!DOCTYPE html>\n<html><body>Please sign in</body></html>\n",
        "refused: an HTML or XML page, not a list",
    );
}

#[test]
fn an_empty_file() {
    refused("", "refused: no entry in it");
    refused("# nothing today\n", "refused: no entry in it");
}

#[test]
fn a_list_that_lost_most_of_its_lines() {
    let list = format!("{}{}", names(20), "no name\n".repeat(30));
    refused(
        list,
        "refused: 30 of 50 lines not understood as domains; \
         a list that lost most of its lines is not used",
    );
}

#[test]
fn more_bad_lines_than_this_list_may_have() {
    let mut world = World::with_copy();
    world.spec.limits.max_bad_percent = 10;
    world.restart();
    world.serve(
        "/ads.txt",
        Reply::ok(format!("{}{}", names(80), "no name\n".repeat(20))),
    );
    world.refuses("refused: 20 of 100 lines not understood; 10 in a hundred is the most");
}

#[test]
fn a_list_that_names_where_it_comes_from_loses_that_entry() {
    let mut world = World::with_copy();
    let list = good() + "0.0.0.0 lists.example\n";
    world.serve("/ads.txt", Reply::ok(&list));
    let Outcome::Updated { protected, .. } = world.update().outcome else {
        panic!("refused");
    };
    assert_eq!(protected, 1);
    assert_eq!(
        world.written().notes,
        ["line 4: `||lists.example^` would take the protected name `lists.example`"]
    );
}

#[test]
fn a_list_against_helplines() {
    let mut list = names(100);
    for name in ["ecpat.org", "findahelpline.com", "unicef.org", "who.int"] {
        list += &format!("www.{name}\n");
    }
    refused(
        list,
        "refused: 4 entries name what no list may take, such as `ecpat.org`",
    );
}

#[test]
fn a_list_with_half_a_country() {
    refused(
        names(5) + "gouv.fr\n",
        "refused: line 6 covers 4 names that no list may take, such as `allo119.gouv.fr`",
    );
}

#[test]
fn entries_for_everything_are_bad_lines() {
    let mut world = World::with_copy();
    world.serve(
        "/ads.txt",
        Reply::ok(good() + "0.0.0.0 com\n0.0.0.0 .\n0.0.0.0 *\n"),
    );
    let Outcome::Updated {
        entries, bad_lines, ..
    } = world.update().outcome
    else {
        panic!("refused");
    };
    assert_eq!((entries, bad_lines), (3, 3));
}

#[test]
fn odd_octets_cost_their_lines() {
    let mut world = World::with_copy();
    let list = "\u{feff}one.test\r\n\0\0\0\ntwo.test\r\nthr\0ee.test\n".to_owned() + &names(500);
    world.serve("/ads.txt", Reply::ok(list));
    assert_eq!(world.entries(), 502);
}

#[test]
fn a_line_without_an_end_costs_one_line() {
    let mut world = World::with_copy();
    let list = format!("{}{}\nlast.test\n", names(10), "a".repeat(6 << 20));
    world.serve("/ads.txt", Reply::ok(list));
    let Outcome::Updated {
        entries, bad_lines, ..
    } = world.update().outcome
    else {
        panic!("refused");
    };
    assert_eq!((entries, bad_lines), (11, 1));
}
