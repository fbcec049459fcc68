//! Against `pebble`, the test authority of Let's Encrypt, with everything on loopback. Where it is not
//! installed the tests say "skipped".

#[path = "../../../tests/support/pebble.rs"]
mod pebble;
#[path = "../../../tests/support/skip.rs"]
mod skip;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::pebble::Pebble;
use super::*;
use crate::certificate::{Issuer, Settings, Tended};
use crate::clock::ManualTime;
use crate::files::MemoryFiles;
use crate::ports::free_port;
use crate::update::SystemResolve;
use crate::wall::Wall;

const NAME: &str = "dns.home.example";

/// What `pebble` is asked for.
fn wanted(pebble: &Pebble, method: Method) -> AcmeSettings {
    AcmeSettings {
        name: NAME.to_owned(),
        directory: pebble.directory.clone(),
        email: Some("parents@home.example".to_owned()),
        method,
        ca: Some(pebble.path("own.pem")),
        folder: pebble.path("certificates"),
    }
}

/// A home that asks.
struct Asking {
    keeper: Keeper,
    certificates: Arc<Certificates>,
    time: Arc<ManualTime>,
    /// Says that the daemon ends.
    stop: watch::Sender<bool>,
}

impl Asking {
    fn new(files: Files) -> Self {
        Self::after_a_start(&Certificates::new(files), &ManualTime::starting_at(now()))
    }

    /// The daemon was started anew.
    fn after_a_start(certificates: &Arc<Certificates>, time: &Arc<ManualTime>) -> Self {
        Self {
            keeper: Keeper::new(Arc::new(SystemResolve), time.clock()),
            certificates: Arc::clone(certificates),
            time: Arc::clone(time),
            stop: watch::Sender::new(false),
        }
    }

    fn again(&self) -> Self {
        Self::after_a_start(&self.certificates, &self.time)
    }

    async fn turn(&mut self, settings: &AcmeSettings) -> Turn {
        let wall = self.time.clock().wall();
        let mut stopped = self.stop.subscribe();
        let turn = self
            .keeper
            .turn(settings, &self.certificates, wall, &mut stopped);
        turn.await
    }

    /// Asks, and gets one.
    async fn succeed(&mut self, settings: &AcmeSettings) {
        let turn = self.turn(settings).await;
        assert!(matches!(turn, Turn::Issued), "{turn:?}");
    }

    /// Asks, and hears why there is none, and how many minutes it waits now.
    async fn fail(&mut self, settings: &AcmeSettings) -> (AcmeError, u64) {
        match self.turn(settings).await {
            Turn::Failed { error, pause } => (error, pause.as_secs() / 60),
            turn => panic!("{turn:?}"),
        }
    }

    /// Lets `minutes` pass.
    fn wait(&self, minutes: u64) {
        self.time.advance(Duration::from_mins(minutes));
    }
}

/// The home's settings with what `acme` had.
fn served_in(acme: &AcmeSettings) -> Settings {
    Settings {
        name: NAME.to_owned(),
        files: Some(acme.files()),
        by_acme: true,
        folder: acme.folder.clone(),
        addresses: vec!["127.0.0.1".parse().unwrap()],
    }
}

fn now() -> Timestamp {
    Clock::system().wall()
}

#[tokio::test]
async fn a_page_shows_that_the_name_is_ours() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    let address = SocketAddr::from(([127, 0, 0, 1], pebble.http));
    let settings = wanted(&pebble, Method::Http(address));
    let files = Files::disk();
    let mut home = Asking::new(files.clone());
    assert!(settings.is_due(&files, now()));
    assert!(!settings.is_of_use(&files, None), "there is none");
    home.succeed(&settings).await;
    assert!(!settings.is_due(&files, now()));
    assert!(settings.is_of_use(&files, Some(now())));
    let wall = Wall::Set(now());
    let tended = home.certificates.tend(&served_in(&settings), wall);
    assert!(matches!(tended, Tended::New));
    let served = home.certificates.served().unwrap();
    assert_eq!(served.issuer, Issuer::Acme);
    assert!(served.covers(NAME) && !served.covers_ids());
    let end = served.validity.not_after;
    assert!(!settings.is_of_use(&files, Some(end)), "it is over");
    // Nothing is shown any more, and nothing asked.
    let closed = async {
        while TcpListener::bind(address).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed)
        .await
        .unwrap();
    assert!(matches!(home.turn(&settings).await, Turn::Fine));
    assert_eq!(orders(&pebble), 1);
    // Another e-mail address is told, by the same account.
    let place = settings.folder.join(NAME);
    let kept = |name: &str| std::fs::read(place.join(name)).unwrap();
    for name in ["acme-account.json", "acme.key"] {
        let mode = std::fs::metadata(place.join(name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    let account = |text: &[u8]| {
        let text: serde_json::Value = serde_json::from_slice(text).unwrap();
        (text["credentials"].clone(), text["email"].clone())
    };
    let (credentials, _) = account(&kept("acme-account.json"));
    let settings = AcmeSettings {
        email: Some("parent@home.example".to_owned()),
        ..settings
    };
    // When two thirds of its time have passed it is had again, with the same key.
    grow_old(&settings);
    let before = [kept("acme.key"), kept("acme.pem")];
    assert!(settings.is_due(&files, now()) && settings.is_of_use(&files, Some(now())));
    home.succeed(&settings).await;
    let after = [kept("acme.key"), kept("acme.pem")];
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    let tended = home.certificates.tend(&served_in(&settings), wall);
    assert!(matches!(tended, Tended::New));
    let told = serde_json::json!("parent@home.example");
    assert_eq!(account(&kept("acme-account.json")), (credentials, told));
    assert_eq!(orders(&pebble), 2);
}

/// How often `pebble` was asked for a certificate.
fn orders(pebble: &Pebble) -> usize {
    let log = pebble.log();
    // Not how often it heard of it: it refuses some nonces, so that clients learn to ask again.
    let is_order = |line: &&str| line.contains("Added order ");
    log.lines().filter(is_order).count()
}

/// Puts a certificate in the place of what was issued that has had more than two thirds of its time.
fn grow_old(settings: &AcmeSettings) {
    let (chain, key) = settings.files();
    let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(key).unwrap()).unwrap();
    let mut params = rcgen::CertificateParams::new(settings.names()).unwrap();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |days: i64| {
        let seconds = now().as_second() + days * 86_400;
        epoch + Duration::from_secs(seconds.try_into().unwrap())
    };
    (params.not_before, params.not_after) = (at(-61), at(29));
    let old = params.self_signed(&key).unwrap();
    std::fs::write(chain, old.pem()).unwrap();
}

#[tokio::test]
async fn a_certificate_on_the_port_itself_shows_it_too() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    let certificates = Certificates::new(Files::disk());
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificates) as _);
    config.alpn_protocols = vec![b"h2".to_vec(), b"acme-tls/1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", pebble.tls))
        .await
        .unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(connection).await {
                // Until it hangs up.
                drop(stream.read(&mut [0; 1]).await);
            }
        }
    });
    let settings = wanted(&pebble, Method::TlsAlpn);
    let time = ManualTime::starting_at(now());
    let mut home = Asking::after_a_start(&certificates, &time);
    home.succeed(&settings).await;
    serving.abort();
    assert!(!certificates.is_challenged());
    assert!(!settings.is_due(&Files::disk(), now()));
}

#[tokio::test]
async fn a_record_by_the_hook_gives_names_with_ids() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    if !Command::new("python3")
        .arg("-V")
        .status()
        .is_ok_and(|it| it.success())
    {
        return skip::skip("no python3");
    }
    let hook = Hook::new(
        &pebble,
        "#!/usr/bin/env python3\nimport json, os, sys, urllib.request\n\
         [verb] = sys.argv[1:]\n\
         name, value = os.environ['RECORD_NAME'], os.environ['RECORD_VALUE']\n\
         open(LOG, 'a').write(verb + ' ' + name + '\\n')\n\
         path = {'present': 'set-txt', 'remove': 'clear-txt'}[verb]\n\
         body = json.dumps({'host': name + '.', 'value': value}).encode()\n\
         urllib.request.urlopen('http://127.0.0.1:PORT/' + path, body)\n",
    );
    let settings = wanted(&pebble, Method::Dns(hook.program.clone()));
    let mut home = Asking::new(Files::disk());
    home.succeed(&settings).await;
    let _ = home
        .certificates
        .tend(&served_in(&settings), Wall::Set(now()));
    let served = home.certificates.served().unwrap();
    assert!(served.covers(NAME) && served.covers_ids());
    assert_eq!((hook.calls("present"), hook.calls("remove")), (2, 2));
    assert_eq!(records(&settings), 0);
}

/// How many records are remembered.
fn records(settings: &AcmeSettings) -> usize {
    let state = settings.folder.join(NAME).join("acme-state.json");
    let state: serde_json::Value = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
    state["records"].as_array().unwrap().len()
}

/// A program that writes records, and a file it logs its calls to.
struct Hook {
    program: PathBuf,
    log: PathBuf,
}

impl Hook {
    /// Runs `text`, in which LOG and PORT are replaced.
    fn new(pebble: &Pebble, text: &str) -> Self {
        let (program, log) = (pebble.path("hook"), pebble.path("hook.log"));
        let text = text.replace("LOG", &format!("{:?}", log.display().to_string()));
        let text = text.replace("PORT", &pebble.management.to_string());
        // Not by us: a file that another thread's child inherits open cannot be run.
        let mut writing = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&program)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = writing.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        drop(input);
        assert!(writing.wait().unwrap().success());
        Self { program, log }
    }

    /// How often it was called with `verb` for the name's record.
    fn calls(&self, verb: &str) -> usize {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let line = format!("{verb} _acme-challenge.{NAME}");
        said.lines().filter(|it| **it == line).count()
    }

    /// Waits until it was called with `present`.
    async fn is_called(&self) {
        self.is_called_times(1).await;
    }

    /// Waits until it was called so a second time.
    async fn is_called_again(&self) {
        self.is_called_times(2).await;
    }

    async fn is_called_times(&self, times: usize) {
        let waiting = async {
            while self.calls("present") < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_record_goes_whatever_comes_of_the_order() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    // It says that it wrote the record.
    let hook = Hook::new(&pebble, "#!/bin/sh\necho \"$1 $RECORD_NAME\" >> LOG\n");
    let settings = wanted(&pebble, Method::Dns(hook.program.clone()));
    let mut home = Asking::new(Files::disk());
    let (error, _) = home.fail(&settings).await;
    assert!(matches!(error, AcmeError::Refused(_)), "{error}");
    let presented = hook.calls("present");
    assert!(presented > 0);
    assert_eq!(hook.calls("remove"), presented);
    assert_eq!(records(&settings), 0);
}

#[tokio::test]
async fn a_record_goes_when_the_daemon_ends_or_its_power() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    // It waits until everybody can see the record, which takes its time.
    let hook = Hook::new(
        &pebble,
        "#!/bin/sh\necho \"$1 $RECORD_NAME\" >> LOG\n[ $1 = remove ] || exec sleep 600\n",
    );
    let settings = wanted(&pebble, Method::Dns(hook.program.clone()));
    let mut home = Asking::new(Files::disk());
    let stop = home.stop.clone();
    let ending = async {
        hook.is_called().await;
        stop.send(true).unwrap();
    };
    let (turn, ()) = tokio::join!(home.turn(&settings), ending);
    assert!(matches!(turn, Turn::Stopped), "{turn:?}");
    assert_eq!((hook.calls("remove"), records(&settings)), (1, 0));
    // That was no failure: the next start asks at once. This time the power goes.
    std::fs::remove_file(&hook.log).unwrap();
    let mut home = home.again();
    tokio::select! {
        turn = home.turn(&settings) => panic!("{turn:?}"),
        () = hook.is_called() => {}
    }
    assert_eq!((hook.calls("remove"), records(&settings)), (0, 1));
    let mut home = home.again();
    let turn = home.turn(&settings).await;
    // An attempt that was cut off counts, since nobody knows what it used up.
    assert!(matches!(turn, Turn::Rest), "{turn:?}");
    assert_eq!((hook.calls("remove"), records(&settings)), (1, 0));
    assert_eq!(hook.calls("present"), 1);
    // Each start goes on with the order of the first.
    home.wait(15);
    tokio::select! {
        turn = home.turn(&settings) => panic!("{turn:?}"),
        () = hook.is_called_again() => {}
    }
    assert_eq!(orders(&pebble), 1);
}

/// What an authority had issued while the daemon ended was once ordered again.
#[tokio::test]
async fn what_was_issued_and_not_kept_is_had_without_another_order() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    let page = SocketAddr::from(([127, 0, 0, 1], pebble.http));
    let settings = wanted(&pebble, Method::Http(page));
    let (chain, key) = settings.files();
    // Nothing can be put where a folder with something in it is.
    std::fs::create_dir_all(chain.join("in the way")).unwrap();
    let mut home = Asking::new(Files::disk());
    let (error, _) = home.fail(&settings).await;
    assert!(matches!(error, AcmeError::File(_)), "{error}");
    let before = std::fs::read(&key).unwrap();
    std::fs::remove_dir_all(&chain).unwrap();
    let mut home = home.again();
    assert!(matches!(home.turn(&settings).await, Turn::Waiting(_)));
    home.wait(15);
    home.succeed(&settings).await;
    assert_eq!(orders(&pebble), 1);
    assert_eq!(std::fs::read(&key).unwrap(), before);
    // What has lain there for too long, or for a key that is lost, is of no use.
    let state = settings.folder.join(NAME).join("acme-state.json");
    let told = pebble.log();
    let (_, id) = told.split_once("Added order \"").unwrap();
    let (id, _) = id.split_once('"').unwrap();
    let url = settings
        .directory
        .replace("/dir", &format!("/my-order/{id}"));
    let begin = || {
        let mut kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
        assert_eq!(kept["order"], serde_json::Value::Null);
        kept["order"] = url.clone().into();
        std::fs::write(&state, kept.to_string()).unwrap();
    };
    begin();
    std::fs::remove_file(&chain).unwrap();
    home.time.set_wall(after_days(4 * 365));
    let mut home = home.again();
    home.fail(&settings).await;
    assert_eq!(orders(&pebble), 2, "one that is not older than it must be");
    home.time.set_wall(now());
    begin();
    std::fs::remove_file(&key).unwrap();
    let mut home = home.again();
    let (error, minutes) = home.fail(&settings).await;
    assert!(matches!(error, AcmeError::Certificate(_)), "{error}");
    home.wait(minutes);
    home.succeed(&settings).await;
    assert_eq!(orders(&pebble), 3);
}

/// An account and an order were once made before it was known that the page could be shown.
#[tokio::test]
async fn nothing_is_ordered_where_the_page_cannot_be_shown() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = wanted(&pebble, Method::Http(taken.local_addr().unwrap()));
    let mut home = Asking::new(Files::disk());
    let (error, _) = home.fail(&settings).await;
    assert!(matches!(error, AcmeError::Listen { .. }), "{error}");
    let account = settings.folder.join(NAME).join("acme-account.json");
    assert_eq!((orders(&pebble), account.exists()), (0, false));
}

/// It was once written as Rust shows things, which is promised to nobody.
#[test]
fn what_is_asked_for_has_a_form_that_stays() {
    let settings = AcmeSettings {
        name: NAME.to_owned(),
        directory: "https://acme.example/dir".to_owned(),
        email: None,
        method: Method::Dns("/etc/hook".into()),
        ca: None,
        folder: "/var/lib".into(),
    };
    assert_eq!(
        settings.asked(),
        r#"{"by":"/etc/hook","ca":null,"challenge":"dns","directory":"https://acme.example/dir","email":null,"name":"dns.home.example"}"#
    );
    let elsewhere = AcmeSettings {
        folder: "/srv".into(),
        ..settings.clone()
    };
    assert_eq!(
        settings.asked(),
        elsewhere.asked(),
        "the same from elsewhere"
    );
    let otherwise = AcmeSettings {
        method: Method::TlsAlpn,
        ..settings.clone()
    };
    assert_ne!(settings.asked(), otherwise.asked());
}

#[tokio::test]
async fn who_cannot_show_it_gets_none_and_hears_why() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    // The page is shown where nobody looks.
    let elsewhere = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = wanted(&pebble, Method::Http(elsewhere));
    let mut home = Asking::new(Files::disk());
    let (error, minutes) = home.fail(&settings).await;
    let why = error.to_string();
    assert!(matches!(error, AcmeError::Refused(_)), "{why}");
    assert!(why.contains("connection refused"), "{why}");
    assert_eq!(minutes, 15);
    assert!(settings.is_due(&Files::disk(), now()));
    // Nobody is asked before it is time, also not after a restart, and the cause is known then.
    home.wait(14);
    assert!(matches!(home.turn(&settings).await, Turn::Rest));
    let mut home = home.again();
    let turn = home.turn(&settings).await;
    assert!(
        matches!(&turn, Turn::Waiting(told) if *told == why),
        "{turn:?}"
    );
    assert!(matches!(home.turn(&settings).await, Turn::Rest));
    assert_eq!(orders(&pebble), 1);
    home.wait(1);
    assert_eq!(home.fail(&settings).await.1, 30);
    assert_eq!(orders(&pebble), 2);
    // A clock that was years ahead when it was written does not hold it up.
    home.time.set_wall(after_days(-400));
    let mut home = home.again();
    assert_eq!(home.fail(&settings).await.1, 60);
    home.time.set_wall(now());
    // Who changes something is not kept waiting.
    let page = SocketAddr::from(([127, 0, 0, 1], pebble.http));
    home.succeed(&wanted(&pebble, Method::Http(page))).await;
}

fn after_days(days: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + days * 86_400).unwrap()
}

#[tokio::test]
async fn with_a_wrong_clock_it_is_asked_once_and_not_again_and_again() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    let page = SocketAddr::from(([127, 0, 0, 1], pebble.http));
    let settings = wanted(&pebble, Method::Http(page));
    let mut home = Asking::new(Files::disk());
    home.time.set_wall(after_days(20 * 365));
    let (error, minutes) = home.fail(&settings).await;
    assert!(matches!(error, AcmeError::Unsuitable), "{error}");
    assert_eq!(minutes, 15);
    assert!(matches!(home.turn(&settings).await, Turn::Rest));
    assert_eq!(orders(&pebble), 1);
    // What came of it is there once the clock is right.
    home.time.set_wall(now());
    assert!(matches!(home.turn(&settings).await, Turn::Fine));
}

#[tokio::test]
async fn a_full_disk_uses_up_no_certificate() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    let page = SocketAddr::from(([127, 0, 0, 1], pebble.http));
    let settings = wanted(&pebble, Method::Http(page));
    let memory = MemoryFiles::new();
    let ca = settings.ca.clone().unwrap();
    memory.put(&ca, std::fs::read(&ca).unwrap());
    let mut home = Asking::new(memory.files());
    home.succeed(&settings).await;
    let tended = home
        .certificates
        .tend(&served_in(&settings), Wall::Set(now()));
    assert!(matches!(tended, Tended::New));
    let served = home.certificates.served().unwrap();
    let late = served.validity.two_thirds();
    home.time.set_wall(late);
    memory.fail_after(0, std::io::ErrorKind::StorageFull);
    for minutes in [15, 30] {
        let (error, pause) = home.fail(&settings).await;
        assert!(matches!(error, AcmeError::File(_)), "{error}");
        assert_eq!(pause, minutes);
        home.wait(minutes);
    }
    assert_eq!(orders(&pebble), 1, "nothing was asked for");
    memory.recover();
    let wall = Wall::Set(home.time.clock().wall());
    assert!(matches!(
        home.certificates.tend(&served_in(&settings), wall),
        Tended::Same
    ));
    assert!(Arc::ptr_eq(&served, &home.certificates.served().unwrap()));
}

#[tokio::test]
async fn an_authority_that_is_not_there_or_forgot_us_is_survived() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    let page = SocketAddr::from(([127, 0, 0, 1], pebble.http));
    let settings = wanted(&pebble, Method::Http(page));
    let mut home = Asking::new(Files::disk());
    let nowhere = AcmeSettings {
        directory: format!("https://127.0.0.1:{}/dir", free_port()),
        ..settings.clone()
    };
    let (error, _) = home.fail(&nowhere).await;
    assert!(error.to_string().contains("Connection refused"), "{error}");
    // One that nobody trusts.
    let stranger = AcmeSettings {
        ca: None,
        ..settings.clone()
    };
    let (error, _) = home.fail(&stranger).await;
    assert!(matches!(error, AcmeError::Server(_)), "{error}");
    home.succeed(&settings).await;
    // An account of before its disk was lost.
    let path = settings.folder.join(NAME).join("acme-account.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut account: serde_json::Value = serde_json::from_str(&text).unwrap();
    let id = account["credentials"]["id"].as_str().unwrap();
    let (start, _) = id.rsplit_once('/').unwrap();
    account["credentials"]["id"] = format!("{start}/4711").into();
    std::fs::write(&path, account.to_string()).unwrap();
    grow_old(&settings);
    home.succeed(&settings).await;
    assert!(!std::fs::read_to_string(&path).unwrap().contains("4711"));
}

#[tokio::test]
async fn a_hook_that_fails_is_heard() {
    let Some(pebble) = Pebble::start() else {
        return skip::skip("no pebble");
    };
    let mut home = Asking::new(Files::disk());
    let hook = Hook::new(
        &pebble,
        "#!/bin/sh\n[ $1 = remove ] && exit 0\n\
         yes noise | head -n 100000 >&2\necho no zone >&2\nexit 3\n",
    );
    let settings = wanted(&pebble, Method::Dns(hook.program));
    let (error, _) = home.fail(&settings).await;
    let text = error.to_string();
    assert!(text.ends_with("exit status: 3: no zone"), "{text}");
    let nothing = wanted(&pebble, Method::Dns("/nowhere/hook".into()));
    let (error, _) = home.fail(&nothing).await;
    let text = error.to_string();
    assert!(text.starts_with("the hook /nowhere/hook: "), "{text}");
}

#[test]
fn failures_are_followed_by_longer_and_longer_pauses() {
    let minutes = |failures| pause_after(failures).as_secs() / 60;
    assert_eq!([1, 2, 3, 4].map(minutes), [15, 30, 60, 120]);
    assert_eq!(minutes(100), 24 * 60);
}
