//! `lists update` without a daemon: a server on loopback, lists signed as minisign does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::household::Household;
use crate::http::{Reply, Stub};
use crate::minisign::Signer;

/// A publisher of one list, `/ads.txt`, with its signature beside it.
pub(crate) struct Publisher {
    signer: Signer,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    stub: Stub,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let served = Arc::clone(&files);
        let stub = Stub::plain(move |request| {
            let files = served.lock().unwrap();
            let file = files.get(&request.path);
            file.map_or_else(|| Reply::head(404, &[]), Reply::ok)
        });
        Self {
            signer: Signer::new(1),
            files,
            stub,
        }
    }

    /// Publishes `list` as the version with this number.
    pub(crate) fn publish(&self, list: &str, version: u64) {
        let comment = format!("timestamp:{version}");
        let signature = self.signer.sign(list.as_bytes(), &comment);
        let mut files = self.files.lock().unwrap();
        files.insert("/ads.txt".into(), list.into());
        files.insert("/ads.txt.minisig".into(), signature.into_bytes());
    }

    /// Publishes something nobody signed.
    pub(crate) fn forge(&self, list: &str) {
        let mut files = self.files.lock().unwrap();
        files.insert("/ads.txt".into(), list.into());
    }

    /// A list that comes from here.
    pub(crate) fn section(&self) -> String {
        format!(
            "[[list]]\nid = \"ads\"\ncategory = \"ads\"\nurl = \"http://{}/ads.txt\"\n\
             signature-key = {:?}\nallow-private = true\n",
            self.stub.address,
            self.signer.public()
        )
    }
}

pub(crate) fn names(count: usize) -> String {
    (0..count).map(|n| format!("n{n}.example\n")).collect()
}

#[test]
fn a_new_version_is_fetched_checked_compiled_and_told() {
    let publisher = Publisher::new();
    publisher.publish(&names(120), 1);
    let here = Household::new(&publisher.section());
    let shown = here.lists("show ads").fine();
    assert!(shown.contains("\nfetched        never\n"), "{shown}");
    assert!(shown.contains("\nlast result    none yet\n"), "{shown}");

    let report = here.lists("update --json").json(0);
    assert_eq!(report["lists"][0]["outcome"], "updated");
    assert_eq!(report["lists"][0]["entries"], 120);
    assert_eq!(report["compiled"], true);
    let search = here.lists("search a.n7.example").fine();
    assert!(search.contains("lists/ads.list:8\n"), "{search}");
    let shown = here.lists("show ads --json").json(0);
    assert_eq!(shown["updates"]["signed"], true);
    assert_eq!(shown["updates"]["error"], serde_json::Value::Null);
    assert_eq!(shown["failure"], serde_json::Value::Null);

    // The same again changes nothing.
    let index = std::fs::read(here.path("state/lists.index")).unwrap();
    let told = here.lists("update ads").fine();
    assert!(told.contains("ads   unchanged  -\n"), "{told}");
    assert_eq!(
        std::fs::read(here.path("state/lists.index")).unwrap(),
        index
    );

    publisher.publish(&names(130), 2);
    let told = here.lists("update").fine();
    assert!(
        told.contains("ads   updated  130 entries (before: 120)"),
        "{told}"
    );
    assert!(told.contains(" names in force, "), "{told}");
}

#[test]
fn what_must_not_be_believed_leaves_the_last_good_copy() {
    let publisher = Publisher::new();
    publisher.publish(&names(500), 1);
    let here = Household::new(&publisher.section());
    here.lists("update").fine();
    let index = std::fs::read(here.path("state/lists.index")).unwrap();
    let stays = |cause: &str| {
        let done = here.lists("update");
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.out.contains(cause), "{done:?}");
        assert_eq!(
            std::fs::read(here.path("state/lists.index")).unwrap(),
            index
        );
        let shown = here.lists("show ads").fine();
        assert!(shown.contains(cause), "{shown}");
        assert!(shown.contains("\nentries        500\n"), "{shown}");
    };
    publisher.forge(&names(501));
    stays("the signature does not fit the list");
    publisher.publish("one.example\n", 2);
    stays("1 entries after 500; that looks cut off or wrong");
    publisher.publish("<html><title>Log in</title></html>", 3);
    stays("an HTML or XML page");
    // Whoever knows better says so.
    publisher.publish("one.example\n", 4);
    let report = here.lists("update ads --force --json").json(0);
    assert_eq!(report["lists"][0]["entries"], 1);
    let search = here.lists("search one.example --json").json(0);
    assert_eq!(search["found"][0]["list"], "ads");
    // Nothing is left behind but copies, states and the index.
    assert_eq!(
        here.files("state"),
        [
            "state/lists.index",
            "state/lists.index.sources",
            "state/lists/ads.json",
            "state/lists/ads.list",
        ]
    );
}

#[test]
fn a_file_that_shrank_is_taken_when_somebody_says_so() {
    let section = "[[list]]\nid = \"own\"\ncategory = \"ads\"\nfile = \"own.txt\"\n";
    let here = Household::new(section);
    here.write("own.txt", names(500));
    here.lists("compile").fine();
    here.write("own.txt", "one.example\n");
    let done = here.lists("compile");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.out
            .contains("`hedgerow lists update --force own` takes it"),
        "{done:?}"
    );
    // Without the word there is nothing to fetch.
    assert_eq!(here.lists("update own").code, 1);
    let report = here.lists("update own --force --json").json(0);
    assert_eq!(report["lists"][0]["outcome"], "accepted");
    assert_eq!(report["lists"][0]["entries"], 1);
    let shown = here.lists("show own").fine();
    assert!(shown.contains("\nentries        1\n"), "{shown}");
    assert!(!shown.contains("stale"), "{shown}");
}

#[test]
fn an_index_whose_note_cannot_be_written_is_in_force_all_the_same() {
    let section = "[[list]]\nid = \"own\"\ncategory = \"ads\"\nfile = \"own.txt\"\n";
    let here = Household::new(section);
    here.write("own.txt", "one.example\n");
    // Something stands where the note belongs that no file replaces.
    here.write("state/lists.index.sources/x", "");
    let done = here.lists("update own --force");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.out.contains("stay in force"), "{done:?}");
    assert!(done.out.contains(" in force, "), "{done:?}");
    assert!(
        done.err.contains("lists.index.sources: cannot write")
            && done
                .err
                .contains("the lists are compiled again at the next start"),
        "{done:?}"
    );
    let search = here.lists("search one.example --json").json(0);
    assert_eq!(search["found"][0]["list"], "own");
}
