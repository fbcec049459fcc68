//! Lists that come by deltas.

use hedgerow::files::MemoryFiles;
use hedgerow::lists::ListFormat;
use hedgerow::lists::parse::ReadOptions;
use hedgerow::update::{Outcome, Workshop, diff, version};

use crate::http::Reply;
use crate::minisign::Signer;
use crate::world::{COPY, World, names};

fn with<T>(work: impl FnOnce(&Workshop<'_>, &ReadOptions) -> T) -> T {
    let files = MemoryFiles::new().files();
    let workshop = Workshop {
        files: &files,
        folder: "/run".as_ref(),
        memory: 0,
    };
    work(&workshop, &ReadOptions::default())
}

/// What leads from `old` to `new`, and where a household with `old` looks for it.
fn delta(old: &str, new: &str) -> (String, Vec<u8>) {
    let mut text = Vec::new();
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let summary = with(|shop, options| diff(old, new, options, shop, &mut text)).unwrap();
    (format!("/ads-{}.delta", &summary.from[..16]), text)
}

fn version_of(list: &str) -> String {
    with(|shop, options| version(list.as_bytes(), options, shop)).unwrap()
}

/// A household that looks for deltas, with a copy of five names.
fn world() -> World {
    let mut world = World::new();
    world.spec.delta_url = Some("https://lists.example/ads-{from}.delta".into());
    world.serve("/ads.txt", Reply::with(names(5), &["ETag: \"1\""]));
    assert_eq!(world.entries(), 5);
    world.stub.take_requests();
    world
}

fn by_delta(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Updated { by_delta: true, .. })
}

#[test]
fn a_delta_saves_the_download() {
    let mut world = world();
    // The configured syntax is that of the full file; what deltas leave is read all the same.
    world.spec.format = Some(ListFormat::Domains);
    world.restart();
    let (path, text) = delta(&names(5), &names(7));
    world.serve(&path, Reply::ok(&text));
    let result = world.update();
    assert_eq!(
        result.outcome,
        Outcome::Updated {
            entries: 7,
            before: Some(5),
            downloaded: text.len() as u64,
            by_delta: true,
            bad_lines: 0,
            protected: 0,
        }
    );
    assert_eq!(result.remark, None);
    assert_eq!(world.stub.take_requests().len(), 1);
    assert_eq!(version_of(&world.content(COPY)), version_of(&names(7)));
    // The next one begins where this one led.
    let (path, text) = delta(&names(7), &names(6));
    world.serve(&path, Reply::ok(text));
    world.restart();
    assert!(by_delta(&world.update().outcome));
    assert_eq!(version_of(&world.content(COPY)), version_of(&names(6)));
    // A delta to the same version says that nothing changed.
    let before = world.content(COPY);
    let (path, text) = delta(&names(6), &names(6));
    world.serve(&path, Reply::ok(text));
    assert_eq!(world.update().outcome, Outcome::Unchanged);
    world.stays(&before);
}

#[test]
fn without_a_delta_the_full_file_is_asked_for() {
    let mut world = world();
    world.serve("/ads.txt", Reply::not_modified());
    let result = world.update();
    assert_eq!((result.outcome, result.remark), (Outcome::Unchanged, None));
    let requests = world.stub.take_requests();
    assert!(requests[0].path.ends_with(".delta"));
    assert_eq!(requests[1].header("if-none-match"), Some("\"1\""));
}

#[test]
fn a_delta_that_does_not_fit_is_made_up_for_by_the_full_file() {
    let (path, good) = delta(&names(5), &names(6));
    let (_, other) = delta(&names(4), &names(6));
    let bent = String::from_utf8(good.clone())
        .unwrap()
        .replace("+||name5", "+||name9");
    for (reply, remark) in [
        (Reply::ok("<html>"), "not a delta of lists"),
        (Reply::ok(other), "the full file is needed"),
        (Reply::ok(bent), "does not lead to the version it says"),
        (
            Reply::ok(&good[..good.len() - 18]),
            "does not lead to the version it says",
        ),
        (
            Reply::head(200, &["Content-Length: 9999"]).then(&good),
            "cut short",
        ),
        (Reply::head(500, &["Content-Length: 0"]), "answers 500"),
    ] {
        let mut world = world();
        world.serve(&path, reply);
        world.serve("/ads.txt", Reply::ok(names(6)));
        let result = world.update();
        assert!(!by_delta(&result.outcome));
        let told = result.remark.unwrap();
        assert!(told.contains(remark), "{told} is not {remark}");
        world.stays(&names(6));
    }
}

#[test]
fn a_delta_to_a_list_that_is_refused_is_refused() {
    let mut world = world();
    let before = world.content(COPY);
    let bad = names(5) + "gouv.fr\n";
    let (path, text) = delta(&names(5), &bad);
    world.serve(&path, Reply::ok(text));
    world.serve("/ads.txt", Reply::ok(bad));
    let why = world.failure();
    assert!(why.contains("covers 4 names"), "{why}");
    world.stays(&before);
}

#[test]
fn a_signed_list_needs_signed_deltas() {
    let signer = Signer::new(1);
    let mut world = World::new();
    world.spec.delta_url = Some("https://lists.example/ads-{from}.delta".into());
    world.require(&[signer.public()]);
    let list = names(5);
    world.serve_signed(
        "/ads.txt",
        list.as_bytes(),
        &signer.sign(list.as_bytes(), "serial:5"),
    );
    assert_eq!(world.entries(), 5);
    let (path, text) = delta(&names(5), &names(6));
    world.serve(&path, Reply::ok(&text));
    let result = world.update();
    assert_eq!(result.outcome, Outcome::Unchanged);
    assert!(result.remark.unwrap().starts_with("no signature: "));
    world.serve_signed(&path, &text, &signer.sign(&text, "serial:4"));
    let remark = world.update().remark.unwrap();
    assert!(remark.contains("serial:4 after serial:5"), "{remark}");
    world.serve_signed(&path, &text, &signer.sign(&text, "serial:6"));
    assert!(by_delta(&world.update().outcome));
    assert_eq!(world.written().version.as_deref(), Some("serial:6"));
}
