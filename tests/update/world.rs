//! What the tests of updates share: a household with one list, and a server it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hedgerow::clock::{ManualTime, Timestamp};
use hedgerow::files::MemoryFiles;
use hedgerow::update::{
    ListState, ListUpdateSpec, Outcome, SignatureSpec, Timeouts, UpdateResult, UpdateSettings,
    Updater,
};

use crate::http::{Authority, Net, Reply, Request, Stub};

/// Where the list is.
pub(crate) const URL: &str = "https://lists.example/ads.txt";
/// Its last good copy.
pub(crate) const COPY: &str = "/state/lists/ads.list";
/// What is known of it.
pub(crate) const STATE: &str = "/state/lists/ads.json";

/// Short enough for a test, long enough for a machine that is busy with others.
pub(crate) const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    first_byte: Duration::from_secs(10),
    stall: Duration::from_secs(10),
    total: Duration::from_secs(60),
};

type Pages = Arc<Mutex<BTreeMap<String, Reply>>>;

/// A household with one list.
pub(crate) struct World {
    pub(crate) memory: Arc<MemoryFiles>,
    pub(crate) time: Arc<ManualTime>,
    pub(crate) net: Arc<Net>,
    pub(crate) authority: Authority,
    pub(crate) stub: Stub,
    pub(crate) spec: ListUpdateSpec,
    pub(crate) timeouts: Timeouts,
    pub(crate) cancelled: Arc<AtomicBool>,
    pages: Pages,
    updater: Option<Updater>,
}

impl World {
    /// A household whose list is at [`URL`]; the server has nothing yet.
    pub(crate) fn new() -> Self {
        let authority = Authority::new();
        let pages = Pages::default();
        let shown = Arc::clone(&pages);
        let identity = authority.identity(&["lists.example"]);
        let stub = Stub::tls(&identity, move |request| page(&shown, request));
        let net = Net::new();
        net.publish("lists.example", &stub);
        Self {
            memory: MemoryFiles::new(),
            time: ManualTime::starting_at("2027-06-01T12:00:00Z".parse().unwrap()),
            net,
            authority,
            stub,
            spec: ListUpdateSpec::new("ads", URL),
            timeouts: TIMEOUTS,
            cancelled: Arc::default(),
            pages,
            updater: None,
        }
    }

    /// The same with a server that does not speak TLS, which is fast. Its lists must be signed.
    pub(crate) fn plain() -> Self {
        let mut world = Self::new();
        let shown = Arc::clone(&world.pages);
        world.stub = Stub::plain(move |request| page(&shown, request));
        world.net.publish("lists.example", &world.stub);
        world.spec.url = URL.replace("https", "http");
        world
    }

    /// The same with a good list that was fetched already.
    pub(crate) fn with_copy() -> Self {
        let mut world = Self::new();
        world.serve("/ads.txt", Reply::with(good(), &["ETag: \"1\""]));
        let result = world.update();
        assert!(
            matches!(result.outcome, Outcome::Updated { .. }),
            "{result:?}"
        );
        world.stub.take_requests();
        world
    }

    /// What the server has at `path` from now on.
    pub(crate) fn serve(&self, path: &str, reply: Reply) {
        let mut pages = self.pages.lock().unwrap();
        pages.insert(path.to_owned(), reply);
    }

    /// What the server no longer has.
    pub(crate) fn withdraw(&self, path: &str) {
        self.pages.lock().unwrap().remove(path);
    }

    /// The list and its signature from now on.
    pub(crate) fn serve_signed(&self, path: &str, list: &[u8], signature: &str) {
        self.serve(path, Reply::ok(list));
        self.serve(&format!("{path}.minisig"), Reply::ok(signature));
    }

    /// The list must be signed by one of `keys` from the next start on.
    pub(crate) fn require(&mut self, keys: &[String]) {
        self.spec.signature = Some(SignatureSpec {
            keys: keys.to_vec(),
            url: None,
        });
        self.restart();
    }

    /// Ends the daemon, as a kill does.
    pub(crate) fn restart(&mut self) {
        self.updater = None;
    }

    /// All files, to come back to; see [`Self::restore`].
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = self.memory.files();
        let paths = self.memory.paths().into_iter();
        paths
            .map(|path| {
                let content = files.read(&path, 1 << 30).unwrap();
                (path, content)
            })
            .collect()
    }

    /// The files as they were, and a start of the daemon.
    pub(crate) fn restore(&mut self, snapshot: &[(PathBuf, Vec<u8>)]) {
        self.memory.recover();
        for path in self.memory.paths() {
            self.memory.remove(&path);
        }
        for (path, content) in snapshot {
            self.memory.put(path, content.clone());
        }
        self.restart();
    }

    /// The updater, made anew after a restart.
    pub(crate) fn updater(&mut self) -> &mut Updater {
        let settings = UpdateSettings {
            timeouts: self.timeouts,
            extra_roots: self.authority.pem(),
            resolve: Arc::<Net>::clone(&self.net),
            memory: 0,
            cancelled: Arc::clone(&self.cancelled),
            ..UpdateSettings::new("/state", "/run")
        };
        let (files, clock) = (self.memory.files(), self.time.clock());
        self.updater
            .get_or_insert_with(|| Updater::new(vec![self.spec.clone()], settings, files, clock))
    }

    /// Looks for a new version now.
    pub(crate) fn update(&mut self) -> UpdateResult {
        self.updater().update_one("ads", false).unwrap()
    }

    /// Looks for a new version, which must fail: why.
    #[track_caller]
    pub(crate) fn failure(&mut self) -> String {
        match self.update().outcome {
            Outcome::Failed(why) => why,
            other => panic!("{other:?}"),
        }
    }

    /// Looks for a new version, which must be there: its entries.
    #[track_caller]
    pub(crate) fn entries(&mut self) -> u64 {
        match self.update().outcome {
            Outcome::Updated { entries, .. } => entries,
            other => panic!("{other:?}"),
        }
    }

    /// A file's content as text; empty if there is none.
    pub(crate) fn content(&self, path: &str) -> String {
        let content = self.memory.files().read(Path::new(path), 1 << 30);
        String::from_utf8(content.unwrap_or_default()).unwrap()
    }

    /// What is known of the list, as written to the disk.
    pub(crate) fn written(&self) -> ListState {
        serde_json::from_str(&self.content(STATE)).unwrap()
    }

    /// Looks twice for a version that must be refused with `cause`: it is told once, the last good
    /// copy stays, and nothing is left behind.
    #[track_caller]
    pub(crate) fn refuses(&mut self, cause: &str) {
        self.refuses_after(0, cause);
    }

    /// The same for a household that has been refusing since another cause.
    #[track_caller]
    pub(crate) fn refuses_anew(&mut self, cause: &str) {
        let failures = self.written().failures;
        assert!(failures > 0);
        self.restart();
        self.refuses_after(failures, cause);
    }

    #[track_caller]
    fn refuses_after(&mut self, failures: u32, cause: &str) {
        let before = self.content(COPY);
        assert!(!before.is_empty());
        let first = self.update();
        assert_eq!(first.outcome, Outcome::Failed(cause.to_owned()));
        assert!(first.news, "{cause}");
        let second = self.update();
        assert_eq!(second.outcome, first.outcome);
        assert!(!second.news, "{cause}: told twice");
        assert_eq!(
            (first.failures, second.failures),
            (failures + 1, failures + 2)
        );
        self.stays(&before);
        assert_eq!(self.written().error.as_deref(), Some(cause));
    }

    /// The copy is `content`, and there is nothing but what belongs there.
    #[track_caller]
    pub(crate) fn stays(&self, content: &str) {
        assert_eq!(self.content(COPY), content);
        let there = [STATE, COPY].map(PathBuf::from);
        assert_eq!(self.memory.paths(), there);
    }
}

fn page(pages: &Pages, request: &Request) -> Reply {
    let pages = pages.lock().unwrap();
    let page = pages.get(&request.path).cloned();
    page.unwrap_or_else(|| Reply::head(404, &["Content-Length: 0"]))
}

/// A list of three.
pub(crate) fn good() -> String {
    "0.0.0.0 one.test\n0.0.0.0 two.test\n0.0.0.0 three.test\n".to_owned()
}

/// A list of `count` names.
pub(crate) fn names(count: usize) -> String {
    (0..count)
        .map(|number| format!("name{number}.test\n"))
        .collect()
}

/// A moment in text.
pub(crate) fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}
