//! Lists that must be signed.

use hedgerow::update::{ListUpdateSpec, Outcome};

use crate::http::{Reply, Stub};
use crate::minisign::Signer;
use crate::world::{COPY, World, good, names};

/// A household whose list must be signed by `signer`, with a copy of the version `timestamp:100`.
fn signed(signer: &Signer) -> World {
    let mut world = World::new();
    world.require(&[signer.public()]);
    let signature = signer.sign(good().as_bytes(), "timestamp:100\tfile:ads.txt\thashed");
    world.serve_signed("/ads.txt", good().as_bytes(), &signature);
    assert_eq!(world.entries(), 3);
    world.stub.take_requests();
    world
}

/// Publishes `count` names, signed as `comment` says.
fn publish(world: &World, signer: &Signer, count: usize, comment: &str) {
    let list = names(count);
    let signature = signer.sign(list.as_bytes(), comment);
    world.serve_signed("/ads.txt", list.as_bytes(), &signature);
}

#[test]
fn a_signed_list_comes_with_its_version() {
    let signer = Signer::new(1);
    let mut world = signed(&signer);
    let state = world.written();
    assert_eq!(state.version.as_deref(), Some("timestamp:100"));
    assert_eq!(state.signed_by, Some(signer.public()));
    publish(&world, &signer, 4, "timestamp:101\tfile:ads.txt\thashed");
    assert_eq!(world.entries(), 4);
    assert_eq!(world.written().version.as_deref(), Some("timestamp:101"));
    world.stays(&names(4));
    // A signature is over the file as it lies there, so nothing is to be packed on the way.
    let requests = world.stub.take_requests();
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
    assert_eq!(requests[1].path, "/ads.txt.minisig");
}

#[test]
fn an_older_version_is_not_taken_even_after_a_restart() {
    let signer = Signer::new(1);
    let mut world = signed(&signer);
    publish(&world, &signer, 4, "timestamp:99\tfile:ads.txt");
    world.restart();
    world.refuses("an older version was replayed: timestamp:99 after timestamp:100");
    publish(&world, &signer, 4, "serial:7");
    world.refuses_anew("an older version was replayed: serial:7 after timestamp:100");
    publish(&world, &signer, 4, "timestamp:100");
    assert_eq!(world.entries(), 4);
}

#[test]
fn what_nobody_signed_is_not_taken() {
    let signer = Signer::new(1);
    let mut world = signed(&signer);
    world.serve("/ads.txt", Reply::ok(names(4)));
    world.refuses("the signature does not fit the list");
    world.withdraw("/ads.txt.minisig");
    world.refuses_anew(
        "no signature: https://lists.example/ads.txt.minisig: the server answers 404",
    );
    world.serve("/ads.txt.minisig", Reply::ok("<html>"));
    world.refuses_anew("what the server gives as signature is none");
    world.serve("/ads.txt.minisig", Reply::ok("a".repeat(5000)));
    world.refuses_anew(
        "no signature: https://lists.example/ads.txt.minisig: larger than 4096 bytes",
    );
}

#[test]
fn what_somebody_else_signed_is_not_taken() {
    let signer = Signer::new(1);
    let mut world = signed(&signer);
    publish(&world, &Signer::new(2), 4, "timestamp:101");
    world.refuses("signed by a key that is not in the configuration");
    // The id of a key is not the key.
    publish(&world, &Signer::new(1), 4, "timestamp:101");
    world.refuses_anew("the signature does not fit the list");
    publish(&world, &signer, 4, "timestamp:101\tfile:allow.txt");
    world.refuses_anew("signed for a file named `allow.txt`, not `ads.txt`");
    publish(&world, &signer, 4, "the newest and best");
    world.refuses_anew(
        "the trusted comment has neither `timestamp:` nor `serial:`, \
         so an old list could be replayed",
    );
    let list = names(4);
    let forged = signer
        .sign(list.as_bytes(), "timestamp:99")
        .replace(":99", ":101");
    world.serve_signed("/ads.txt", list.as_bytes(), &forged);
    world.refuses_anew("the signature does not fit the list");
    world.require(&["nonsense".to_owned()]);
    assert_eq!(
        world.failure(),
        "`nonsense` is not a public key of minisign"
    );
}

#[test]
fn a_key_is_replaced_by_a_new_one() {
    let (old, new) = (Signer::new(1), Signer::new(2));
    let mut world = signed(&old);
    world.require(&[old.public(), new.public()]);
    publish(&world, &new, 4, "timestamp:101");
    assert_eq!(world.entries(), 4);
    // As long as both are accepted, what the old one signed before does not come back.
    publish(&world, &old, 3, "timestamp:100");
    world.refuses("an older version was replayed: timestamp:100 after timestamp:101");
    // Somebody who puts in another key begins anew.
    let third = Signer::new(3);
    world.require(&[third.public()]);
    publish(&world, &third, 5, "serial:1");
    world.stub.take_requests();
    assert_eq!(world.entries(), 5);
    let request = &world.stub.take_requests()[0];
    assert_eq!(request.header("if-modified-since"), None);
}

#[test]
fn a_signed_list_may_be_empty_and_lie_elsewhere() {
    let signer = Signer::new(1);
    let mut world = World::new();
    world.require(&[signer.public()]);
    if let Some(signature) = &mut world.spec.signature {
        signature.url = Some("https://lists.example/signatures/ads".into());
    }
    let long = names(500);
    let signature = signer.sign(long.as_bytes(), "serial:1");
    world.serve("/ads.txt", Reply::ok(&long));
    world.serve("/signatures/ads", Reply::ok(signature));
    assert_eq!(world.entries(), 500);
    // Whoever signs an empty one means it, however long it was.
    let signature = signer.sign(b"# none\n", "serial:2");
    world.serve("/ads.txt", Reply::ok("# none\n"));
    world.serve("/signatures/ads", Reply::ok(signature));
    assert!(matches!(
        world.update().outcome,
        Outcome::Updated { entries: 0, .. }
    ));
    assert_eq!(world.content(COPY), "# none\n");
}

#[test]
fn a_signed_list_may_come_over_plain_http() {
    let signer = Signer::new(1);
    let list = good();
    let signature = signer.sign(list.as_bytes(), "timestamp:1");
    let stub = Stub::plain(move |request| match &*request.path {
        // Without a length: the signature tells whether the end is missing.
        "/ads.txt" => Reply::head(200, &[]).then(&list),
        _ => Reply::ok(&signature),
    });
    let mut world = World::new();
    world.net.publish("plain.example", &stub);
    world.spec = ListUpdateSpec::new("ads", "http://plain.example/ads.txt");
    world.require(&[signer.public()]);
    assert_eq!(world.entries(), 3);
    world.restart();
    world.spec.signature = None;
    let why = world.failure();
    assert!(why.contains("plain `http:` needs a signature"), "{why}");
}

#[test]
fn an_old_edition_of_a_sealed_list_is_not_taken() {
    let feed = |serial: u64| {
        format!(
            "sealed: 1\ntitle: Test\nissuer: hotline.example\nserial: {serial}\n\
             date: 2026-11-22\nhash: siphash-2-4-128/80\n\
             key: 000102030405060708090a0b0c0d0e0f\ncount: 1\n\n0123456789abcdef{serial:04}\n"
        )
    };
    let mut world = World::new();
    world.spec.kind = hedgerow::lists::ListKind::Sealed;
    world.serve("/ads.txt", Reply::ok(feed(7)));
    assert_eq!(world.entries(), 1);
    assert_eq!(world.written().edition, Some(7));
    world.restart();
    world.serve("/ads.txt", Reply::ok(feed(6)));
    world.refuses("an older version was replayed: serial:6 after serial:7");
    world.serve("/ads.txt", Reply::ok(feed(8)));
    assert!(matches!(world.update().outcome, Outcome::Updated { .. }));
    // At another address there is another feed, which counts for itself.
    world.spec.url = "https://lists.example/other.txt".into();
    world.serve("/other.txt", Reply::ok(feed(2)));
    world.restart();
    assert!(matches!(world.update().outcome, Outcome::Updated { .. }));
    assert_eq!(world.written().edition, Some(2));
}

#[test]
fn a_sealed_list_of_what_is_protected_is_refused() {
    use hedgerow::lists::sealed::{Day, Edition, KeyDelivery, SealKey, seal};
    use hedgerow::name::Name;

    let feed_with = |delivery, names: &[&str]| {
        let names: Vec<Name> = names.iter().map(|it| Name::parse(it).unwrap()).collect();
        let edition = Edition {
            title: "Test".to_owned(),
            issuer: "hotline.example".to_owned(),
            serial: 1,
            date: Day::parse("2026-11-22").unwrap(),
            expires: None,
        };
        let names = names.iter().map(Name::as_ref);
        let key = SealKey::new([3; 16]);
        seal(names, &key, delivery, &edition).unwrap()
    };
    let feed = |names: &[&str]| feed_with(KeyDelivery::InFeed, names);
    let mut world = World::new();
    world.spec.kind = hedgerow::lists::ListKind::Sealed;
    world.serve(
        "/ads.txt",
        Reply::ok(feed(&["bad.example", "lists.example"])),
    );
    assert_eq!(world.entries(), 2);
    assert_eq!(world.written().protected, 1);
    let notes = world.written().notes;
    assert_eq!(notes.len(), 1);
    let told = "an entry would take the protected name `lists.example`";
    assert!(notes[0].ends_with(told), "{notes:?}");
    world.serve("/ads.txt", Reply::ok(feed(&["google.com", "bad.example"])));
    let why = world.failure();
    assert!(why.contains("names that no list may take"), "{why}");
    // So it is where the key was handed over, and there are lines that hold none.
    let apart = feed_with(KeyDelivery::Apart, &["google.com", "bad.example"]);
    let keys = format!("no key\n{}\n", "03".repeat(16));
    world.memory.put("/state/sealed-keys", keys);
    world.serve("/ads.txt", Reply::ok(&apart));
    let why = world.failure();
    assert!(why.contains("names that no list may take"), "{why}");
    // Without it nobody can know.
    world.memory.remove("/state/sealed-keys".as_ref());
    assert_eq!(world.entries(), 2);
}
