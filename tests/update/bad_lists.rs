//! Lists that are none, or that would do harm. Each is refused, told once, and the last good copy
//! stays.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hedgerow::update::Outcome;

use crate::http::Reply;
use crate::world::{COPY, World, good, names};

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

fn packed(pieces: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for piece in pieces {
        packed.write_all(&piece).unwrap();
    }
    packed.finish().unwrap()
}

#[test]
fn a_packed_list_is_kept_packed() {
    let mut world = World::with_copy();
    let list = packed([names(4).into_bytes()]);
    world.serve("/ads.txt", Reply::with(&list, &["Content-Encoding: gzip"]));
    assert_eq!(world.entries(), 4);
    let kept = world.memory.files().read(COPY.as_ref(), 1 << 20).unwrap();
    assert_eq!(kept, list);
}

#[test]
fn a_bomb() {
    let line = format!("{}\n", "a".repeat(99));
    let mebibyte = line.repeat(10_000).into_bytes();
    let bomb = packed((0..8).map(|_| mebibyte.clone()));
    assert!(bomb.len() < 40_000, "{}", bomb.len());
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::ok(bomb));
    world.refuses("refused: grows more than 200 times while it is unpacked");
}

#[test]
fn a_packed_list_that_is_cut_short() {
    let list = packed([names(4_000).into_bytes()]);
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::ok(&list[..list.len() / 2]));
    world.refuses("refused: cannot read: incomplete deflate stream");
}

/// A file of an archive, of the sort `kind` (`0` a file, `1` a hard link, `2` a link).
fn member(path: &str, kind: u8, link: &str, content: &str) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, path.as_bytes());
    put(100, b"0000644");
    put(124, format!("{:011o}", content.len()).as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.extend(content.bytes());
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

/// What leaves the archive, or is no file in it, is not followed: it is left out.
#[test]
fn an_archive_with_links_and_ways_out() {
    let archive = packed([
        member("../domains", b'0', "", "outside.test\n"),
        member("/etc/domains", b'0', "", "root.test\n"),
        member("link/domains", b'2', "/etc/passwd", ""),
        member("hard/domains", b'1', "../../x", ""),
        member("ads/domains", b'0', "", &names(4)),
        vec![0; 1024],
    ]);
    let mut world = World::with_copy();
    world.serve("/ads.txt", Reply::ok(archive));
    assert_eq!(world.entries(), 4);
    assert_eq!(world.memory.paths().len(), 2);
}
