//! The command line as a user meets it: what is printed, letter for letter, and how it ends.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;
use crate::config::{Overrides, load_embedded};
use crate::control::fake::{FakeHousehold, FakeServer};

/// A program that notes what it was asked to do.
#[derive(Default)]
struct FakeBackend {
    served: Mutex<Vec<ServeOptions>>,
    config_is_bad: bool,
}

impl Backend for FakeBackend {
    fn serve(&self, options: &ServeOptions) -> Result<(), BackendError> {
        if self.config_is_bad {
            return Err(BackendError::Config("error: bad\n  --> x.toml:1:1".into()));
        }
        self.served.lock().unwrap().push(options.clone());
        Ok(())
    }

    fn check(&self, config: Option<&Path>) -> Result<CheckReport, BackendError> {
        let line = CheckedLine {
            severity: "error".into(),
            message: "unknown category `gamblng`".into(),
            text: "error: unknown category `gamblng`\n  --> x.toml:12:19".into(),
            ..CheckedLine::default()
        };
        Ok(CheckReport {
            config: config.map_or_else(|| "default".into(), |p| p.display().to_string()),
            ok: !self.config_is_bad,
            diagnostics: self.config_is_bad.then_some(line).into_iter().collect(),
            summary: "3 profiles, 7 devices, 24 lists".into(),
        })
    }

    fn explain(
        &self,
        _config: Option<&Path>,
        request: &ExplainRequest,
    ) -> Result<Explanation, BackendError> {
        if self.config_is_bad {
            return Err(BackendError::Config("error: bad".into()));
        }
        Ok(FakeHousehold::explained(request)?)
    }

    fn config(&self, _place: &Place) -> Result<Config, BackendError> {
        if self.config_is_bad {
            return Err(BackendError::Config("error: bad".into()));
        }
        let text = "[household]\ntime-zone = \"Europe/Berlin\"\n\
                    [schedule.bedtime]\n\
                    windows = [\"sun-thu 20:30-06:30\", \"fri,sat 22:00-07:30\"]\n\
                    except = [\"2026-12-24\"]\n\
                    [profile.mia]\ninherits = \"schoolchild\"\n\
                    during = [{ schedule = \"bedtime\", close = [\"everything\"] }]\n";
        let files = crate::files::MemoryFiles::new().files();
        let loaded = load_embedded(text, &files, &Overrides::default());
        let mut config = loaded.config.unwrap();
        config.list_store.folder = "/nowhere/state".into();
        Ok(config)
    }

    fn world(&self, place: &Place) -> Result<Arc<Snapshot>, BackendError> {
        let files = crate::files::MemoryFiles::new().files();
        let clock = crate::clock::Clock::system();
        Ok(reload::offline_snapshot(self.config(place)?, &files, &clock).unwrap())
    }

    fn schema(&self) -> Result<String, BackendError> {
        Ok("{}".into())
    }
}

/// What a command did.
#[derive(Debug)]
struct Done {
    exit: Exit,
    out: String,
    err: String,
}

fn type_in(line: &str, backend: &FakeBackend, socket: Option<PathBuf>, colour: bool) -> Done {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output {
        out: Box::new(&mut out),
        err: Box::new(&mut err),
        out_is_terminal: false,
        err_is_terminal: false,
        out_colour: colour,
        err_colour: colour,
    };
    let arguments = std::iter::once("hedgerow").chain(line.split_whitespace());
    let exit = execute(arguments.map(OsString::from), socket, backend, &mut output);
    drop(output);
    Done {
        exit,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

/// Types `line` where no daemon runs.
fn alone(line: &str) -> Done {
    type_in(
        line,
        &FakeBackend::default(),
        Some("/nowhere/x.sock".into()),
        false,
    )
}

/// Types `line` beside a running daemon whose tablet asked for a few names.
fn beside(line: &str, colour: bool, prepare: impl FnOnce(&FakeHousehold)) -> Done {
    with_daemon(|household, socket, _| {
        prepare(household);
        type_in(line, &FakeBackend::default(), Some(socket), colour)
    })
}

/// Does `work` beside a running daemon whose tablet asked for a few names.
fn with_daemon<T>(
    work: impl FnOnce(&Arc<FakeHousehold>, PathBuf, &Arc<tokio::sync::Notify>) -> T,
) -> T {
    let (started, server) = std::sync::mpsc::channel();
    // The command waits for the daemon on this thread, so the daemon needs one of its own.
    let daemon = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut server = FakeServer::start();
            let parts = (
                Arc::clone(&server.household),
                server.socket.clone(),
                Arc::clone(&server.stop),
            );
            started.send(parts).unwrap();
            (&mut server.serving).await.unwrap();
        });
    });
    let (household, socket, stop) = server.recv().unwrap();
    for name in ["www.example.org", "casino.example.org", "www.example.org"] {
        household.ask(name);
    }
    let done = work(&household, socket, &stop);
    stop.notify_one();
    daemon.join().unwrap();
    done
}

fn shown(line: &str) -> String {
    let done = beside(line, false, |_| ());
    assert_eq!((done.exit, done.err.as_str()), (Exit::Fine, ""), "{done:?}");
    done.out
}

#[test]
fn status_for_people() {
    assert_eq!(
        shown("status"),
        "\
hedgerow 0.1.0, running for 1 d 2 h 3 min (pid 4711)
config     /etc/hedgerow/hedgerow.toml (generation 2)
reload     2026-11-22 11:00:00Z, took effect
listening  0.0.0.0:53 udp
encrypted  dns.home.example, certificate until 2027-02-20 12:00:00Z
queries    3, 1 blocked, 0 in a safe form, 1 waiting for upstream
dropped    4 too many from one client, 0 from addresses not served
cache      100 answers, 64.0 KiB of 4.0 MiB, 75 % found
dnssec     70 secure, 25 insecure, 5 bogus
devices    1 named, 2 new: see `hedgerow device list --new`
lists      2 lists, 1234567 names, 7.6 MiB; failed: school
upstream   192.0.2.53:53 udp: answers, 1 failed, 12.3 ms (19 of 20 within 38.4 ms)
known by   neighbour table: missing, the kernel does not tell it: Operation not permitted
memory     8.5 MiB (journal 68.3 KiB)
workers    2
warning: list `school` could not be loaded: no such file
"
    );
}

#[test]
fn explain_for_people() {
    let text = "\
casino.example.org AAAA is blocked for tablet
  why      gambling (list starter-gambling)
  device   tablet, known by its name
  profile  mia (preset schoolchild), inherits from schoolchild
  answer   0.0.0.0, for 10 s

In the order of authority:
  1 lifeline      -
  2 sealed        -
  3 household     -
> 4 child-safety  block      list starter-gambling, gambling: `||casino.example.org^` \
(/etc/hedgerow/lists/gambling.txt:12)
  5 security      -
  6 lists         exception  list starter-gambling: `@@||casino.example.org^`
                             (an exception can't lift a block of a higher tier)
";
    let asked = "explain casino.example.org --device tablet --type AAAA";
    assert_eq!(shown(asked), text);
    for offline in ["--offline", "--config /etc/x.toml"] {
        let done = alone(&format!("{asked} {offline}"));
        assert_eq!((done.exit, done.out.as_str()), (Exit::Fine, text));
    }
}

#[test]
fn log_for_people() {
    let allowed = "2026-11-22 12:01:30Z  tablet        allow    \
        www.example.org A                         not on any list                 1.5 ms\n";
    let blocked = "2026-11-22 12:01:30Z  tablet        block    \
        casino.example.org A                      \
        gambling (list starter-gambling)  1.5 ms\n";
    assert_eq!(shown("log -n 2"), format!("{blocked}{allowed}"));
    assert_eq!(shown("log --blocked"), blocked);
    assert_eq!(shown("log --device nobody"), "");
}

#[test]
fn top_for_people() {
    assert_eq!(
        shown("top --once"),
        "\
3 queries since 2026-11-22 12:01:30Z, 1 blocked

Queries  Devices
      3  tablet

Queries  Blocked categories
      1  gambling

Queries  Blocked or replaced
      1  casino.example.org

Queries  Let through
      2  www.example.org
"
    );
}

#[test]
fn tables_for_people() {
    assert_eq!(
        shown("lists show"),
        "\
List              Category  Kind      Tier            Names  Bad lines  Format   Age  Origin
starter-gambling  gambling  block     child-safety  1234567          1  domains  -    embedded
school            school    allow     household           0          0  -        -    \
/etc/hedgerow/school.txt
malware           malware   block     security         5000         21  hosts    2 d  \
https://lists.example/malware.txt
helplines         lifeline  lifeline  lifeline           42          0  -        -    embedded
1234567 names in 4 lists, 7.6 MiB, 6.4 octets a name
starter-gambling: embedded:7: the name is empty
failed: school: no such file
stale: malware holds what it said before: 1 entry after 5000
malware: https://lists.example/malware.txt:9: `github.io` is a public suffix
"
    );
    assert_eq!(
        shown("device list"),
        "\
Device  Profile  Queries  Blocked  Last seen             Sure  Addresses                          \
Known by
tablet  mia            3        1  2026-11-22 12:01:30Z  high  192.0.2.7, 2001:db8::7 and 2 more  \
02:00:5e:10:00:01, interface wlan1
guest   unknown        -        -  -                     -     -                                  \
-
tablet: several machines ask with 02:00:5e:10:00:01, as behind a repeater
"
    );
    assert_eq!(
        shown("device list --new"),
        "\
Number  MAC address                  Host name    Addresses     First \
seen            Last seen             Queries  Blocked
     3  02:00:5e:10:00:09 (made up)  mias-tablet  192.0.2.9     2026-11-22 \
11:00:00Z  2026-11-22 12:00:00Z        5        1
     4  -                            -            198.51.100.7  \
-                     -                           0        0
3: looks like tablet (profile mia; same host name mias-tablet, which a device says of itself). \
If it is: hedgerow device assign tablet --mac 02:00:5e:10:00:09
"
    );
    assert_eq!(
        shown("profile list"),
        "\
Profile  Preset       Stance                Privacy  Devices
mia      schoolchild  2 categories blocked  names    tablet
"
    );
    let profile = shown("profile show mia");
    for line in [
        "blocked categories     adult, gambling",
        "block rules            video.example.net",
        "block answer           null, for 10 s",
    ] {
        assert!(profile.lines().any(|l| l == line), "{line} in\n{profile}");
    }
}

#[test]
fn one_device_in_full() {
    let tablet = shown("device show tablet");
    assert_eq!(shown("device show 0200.5e10.0001"), tablet);
    for line in [
        "MAC addresses  02:00:5e:10:00:01 (made up) (several machines)",
        "confidence     high",
        "stands in      /var/lib/hedgerow/devices.toml:4",
    ] {
        assert!(tablet.lines().any(|it| it == line), "{line} in\n{tablet}");
    }
    let new = shown("device show #3");
    assert!(new.contains("a guess           looks like tablet"), "{new}");
    let done = beside("device show nobody", false, |_| ());
    assert_eq!(done.exit, Exit::Failed);
    assert!(done.err.starts_with("error: there is no device `nobody`\n"));
}

#[test]
fn devices_are_named_assigned_and_forgotten() {
    for (line, out) in [
        (
            "device name 3 tv",
            "tv is added: profile guest, known by 02:00:5e:10:00:09\n",
        ),
        (
            "device assign tablet --profile mia --mac 02:00:5e:10:00:09",
            "tablet is changed: profile guest, known by 02:00:5e:10:00:09\n",
        ),
        ("device forget tablet", "tablet is forgotten\n"),
    ] {
        let done = beside(line, false, |_| ());
        assert_eq!(
            (done.exit, done.out.as_str()),
            (Exit::Fine, out),
            "{done:?}"
        );
        assert_eq!(done.err, "note: somebody should know this\n");
    }
    let done = beside("device revoke tablet", false, |_| ());
    assert_eq!(done.out, "the ids of tablet are revoked\n");
    let done = beside("device name nobody tv", false, |_| ());
    assert_eq!(done.exit, Exit::Failed);
    assert_eq!(done.err, "error: nobody is known as `nobody`\n");
    let done = beside("device assign tablet", false, |_| ());
    assert_eq!(done.exit, Exit::Failed);
    assert!(
        done.err.contains("neither a profile nor a MAC address"),
        "{done:?}"
    );
}

#[test]
fn one_list_in_full() {
    assert_eq!(
        shown("lists show malware"),
        "\
list           malware
title          Malware of the day
category       malware
kind           block
tier           security
origin         https://lists.example/malware.txt
format         hosts
entries        5000
bad lines      21
flagged lines  1
address        https://lists.example/malware.txt
looked for     every 1 d
signed         yes
fetched        2026-11-20 12:00:00Z, 2 d 1 h ago, 120.5 KiB
checked        2026-11-22 11:00:00Z
last result    1 entry after 5000, 2 times in a row
next attempt   in 1 h
not obeyed     1, protected
stale: malware holds what it said before: 1 entry after 5000
malware: https://lists.example/malware.txt:9: `github.io` is a public suffix
and 21 more bad lines
"
    );
    let done = beside("lists show nobody", false, |_| ());
    assert_eq!(done.exit, Exit::Failed);
    assert_eq!(
        done.err,
        "error: there is no list `nobody`\n\
         help: known lists: starter-gambling, school, malware, helplines\n"
    );
}

#[test]
fn lists_without_a_daemon_are_what_the_files_say() {
    let done = alone("lists show");
    assert_eq!(done.exit, Exit::Fine);
    assert!(
        done.err.starts_with("note: no daemon answers; "),
        "{}",
        done.err
    );
    let gambling = "starter-gambling       gambling       block ";
    assert!(done.out.contains(gambling), "{}", done.out);
    let done = alone("lists search gambling.hedgerow.test");
    let place = "\n           embedded blocklists/gambling.txt:";
    assert!(done.out.contains(place), "{}", done.out);
    assert!(done.out.contains("\n           for "), "{}", done.out);
    let done = alone("lists update");
    assert_eq!(done.exit, Exit::Fine);
    assert!(done.out.starts_with("no list has an address; "));
    let done = alone("lists update starter-ads");
    assert_eq!(done.exit, Exit::Failed);
    assert!(
        done.err.ends_with(
            "error: list `starter-ads` has no address to fetch it from\n\
             help: no list of the configuration has a `url`\n"
        ),
        "{}",
        done.err
    );
}

#[test]
fn an_update_says_what_came_of_each_list() {
    let done = beside("lists update", false, |_| ());
    assert_eq!(done.exit, Exit::Failed, "one of them failed");
    assert_eq!(
        done.out,
        "\
List     Outcome    What came of it
malware  updated    5010 entries (before: 5000), 2.0 KiB downloaded by a delta, 21 lines not understood
ads      unchanged  -
adult    failed     lists.example: connection refused, 3 times in a row, tried again in 2 h
1239577 names in force, 7.7 MiB, after 1234 ms
"
    );
    with_daemon(|household, socket, _| {
        let line = "lists update malware --force --json";
        let done = type_in(line, &FakeBackend::default(), Some(socket.clone()), false);
        let report: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!(report["lists"][0]["outcome"], "updated");
        let asked = household.updates.lock().unwrap().clone();
        assert_eq!(asked[0].ids, ["malware"]);
        assert!(asked[0].force);
        let line = "lists update nobody";
        let done = type_in(line, &FakeBackend::default(), Some(socket), false);
        assert_eq!(done.exit, Exit::Failed);
        assert!(
            done.err.contains("help: known lists: malware"),
            "{}",
            done.err
        );
    });
}

#[test]
fn a_search_says_which_line_and_for_whom() {
    let done = beside("lists search www.casino.example.org", false, |_| ());
    assert_eq!(
        done.out,
        "\
block      starter-gambling (gambling): `||casino.example.org^`
           /etc/hedgerow/lists/gambling.txt:12
           for guest, mia
"
    );
    assert_eq!(
        done.err,
        "note: list `school` could not be read: no such file\n"
    );
    let done = beside("lists search a.sealed.example", false, |_| ());
    assert_eq!(done.out, "block      a sealed list, for everybody\n");
    let done = beside("lists search example.net", false, |_| ());
    assert_eq!(done.out, "no list names example.net or a parent of it\n");
}

#[test]
fn the_catalogue_is_a_table_with_licences() {
    let done = alone("lists catalogue");
    assert!(
        done.out
            .lines()
            .any(|line| line.starts_with("ut1-adult ") && line.contains("CC BY-SA 4.0"))
    );
    assert_eq!(done.out.lines().count(), 85);
    let done = alone("lists catalogue --category vpn --json");
    let entries: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(entries.as_array().unwrap().len(), 2);
    assert_eq!(entries[0]["licence"], "CC BY-SA 4.0");
}

#[test]
fn every_reading_verb_speaks_json() {
    let mut checked = 0;
    for line in [
        "status",
        "explain casino.example.org",
        "log",
        "top",
        "lists show",
        "lists show malware",
        "lists search casino.example.org",
        "lists catalogue",
        "device list",
        "profile list",
        "profile show mia",
        "reload",
        "cache flush",
    ] {
        let text = shown(&format!("{line} --json"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value.is_object() || value.is_array(), "{line}");
        checked += 1;
    }
    assert_eq!(checked, 13);
    let done = alone("check --json");
    let report: CheckReport = serde_json::from_str(&done.out).unwrap();
    assert!(report.ok);
}

#[test]
fn colour_only_where_it_is_wanted() {
    for line in [
        "status",
        "log",
        "lists show",
        "explain a.test",
        "top --once",
    ] {
        assert!(!shown(line).contains('\x1b'), "{line}");
    }
    let done = beside("log --blocked", true, |_| ());
    assert!(done.out.contains("\x1b[31mblock  \x1b[0m"), "{}", done.out);
    let done = beside("log --json", true, |_| ());
    assert!(!done.out.contains('\x1b'));
}

#[test]
fn a_followed_log_shows_what_comes_and_ends_with_the_daemon() {
    /// Takes what is printed; after the second entry the daemon is told to end.
    struct Watching<'a> {
        seen: &'a mut Vec<u8>,
        household: Arc<FakeHousehold>,
        stop: Arc<tokio::sync::Notify>,
    }
    impl Write for Watching<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.seen.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            match self.seen.iter().filter(|&&byte| byte == b'\n').count() {
                1 => self.household.ask("casino.example.net"),
                2 => self.stop.notify_one(),
                _ => {}
            }
            Ok(())
        }
    }
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = with_daemon(|household, socket, stop| {
        let mut output = Output {
            out: Box::new(Watching {
                seen: &mut out,
                household: Arc::clone(household),
                stop: Arc::clone(stop),
            }),
            err: Box::new(&mut err),
            out_is_terminal: false,
            err_is_terminal: false,
            out_colour: false,
            err_colour: false,
        };
        let line = [
            "hedgerow",
            "log",
            "--follow",
            "-n",
            "1",
            "--json",
            "--blocked",
        ];
        let arguments = line.iter().map(OsString::from);
        execute(
            arguments,
            Some(socket),
            &FakeBackend::default(),
            &mut output,
        )
    });
    assert_eq!(exit, Exit::Fine);
    let names: Vec<_> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<crate::journal::LogEntry>(line).unwrap())
        .map(|entry| entry.name.unwrap())
        .collect();
    assert_eq!(names, ["casino.example.org", "casino.example.net"]);
    assert_eq!(err, b"note: the daemon has ended\n");
}

#[test]
fn changes_are_reported() {
    assert_eq!(
        shown("reload"),
        "generation 3 took effect after 5 ms\n  profile `mia`: blocks `games`\n"
    );
    assert_eq!(shown("cache flush"), "100 answers forgotten\n");
    let done = beside("reload", false, |household| {
        household
            .reload_works
            .store(false, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(done.exit, Exit::BadConfig);
    assert_eq!(done.out, "reload failed; generation 2 still holds\n");
    assert_eq!(
        done.err,
        "error: unknown category `gamblng`\n  --> x.toml:1:1\n"
    );
}

#[test]
fn each_way_to_end_has_its_number() {
    let codes = [
        (Exit::Fine, 0),
        (Exit::Failed, 1),
        (Exit::Usage, 2),
        (Exit::NotRunning, 3),
        (Exit::BadConfig, 78),
    ];
    for (exit, code) in codes {
        assert_eq!(exit.code(), code);
    }
    for (line, exit) in [
        ("", Exit::Usage),
        ("--help", Exit::Fine),
        ("--version", Exit::Fine),
        ("explain", Exit::Usage),
        ("explain a..b", Exit::Usage),
        ("explain a.test --type X", Exit::Usage),
        ("explain a.test --offline --device nobody", Exit::Failed),
        ("frobnicate", Exit::Usage),
        ("log -n many", Exit::Usage),
        ("serve --listen here", Exit::Usage),
        ("serve --demo --config x", Exit::Usage),
        ("serve --demo", Exit::Fine),
        ("status", Exit::NotRunning),
        ("log --follow", Exit::NotRunning),
        ("top", Exit::NotRunning),
        ("reload", Exit::NotRunning),
        ("lists catalogue", Exit::Fine),
        ("lists catalogue --category nothing", Exit::Failed),
        ("lists search a..b", Exit::Usage),
        ("lists compile --memory 1MiB", Exit::Usage),
        ("lists compile --memory much", Exit::Usage),
        ("lists export --format regex", Exit::Usage),
        ("lists export --json --format hosts", Exit::Usage),
        ("lists diff a b --json", Exit::Usage),
        ("lists diff /nowhere/a /nowhere/b", Exit::Failed),
        ("lists apply /nowhere/a /nowhere/b", Exit::Failed),
        ("lists seal --key k", Exit::Usage),
        (
            "lists seal --key /nowhere/k --title a --issuer b --serial 1",
            Exit::Failed,
        ),
        (
            "lists seal --key k --title a --issuer b --serial 1 --expires soon",
            Exit::Usage,
        ),
        ("schedule list", Exit::Fine),
        ("schedule show bedtime --at soon", Exit::Usage),
        ("cache flush", Exit::NotRunning),
        ("explain a.test", Exit::NotRunning),
        ("schema", Exit::Fine),
        ("completions bash", Exit::Fine),
        ("check", Exit::Fine),
    ] {
        let done = alone(line);
        assert_eq!(done.exit, exit, "{line}: {done:?}");
        assert_eq!(done.err.is_empty(), exit == Exit::Fine, "{line}: {done:?}");
    }
    let bad = FakeBackend {
        config_is_bad: true,
        ..FakeBackend::default()
    };
    for line in [
        "check",
        "check --json",
        "serve",
        "explain a.test --offline",
        "lists compile",
        "lists show --config x",
        "lists update --state x",
        "lists search a.test --config x",
        "lists verify",
        "lists export",
    ] {
        let done = type_in(line, &bad, None, false);
        assert_eq!(done.exit, Exit::BadConfig, "{line}: {done:?}");
    }
    let done = beside("profile show nobody", false, |_| ());
    assert_eq!(done.exit, Exit::Failed);
    assert_eq!(
        done.err,
        "error: there is no profile `nobody`\nhelp: known profiles: mia\n"
    );
}

#[test]
fn schedules_are_shown_on_the_clocks_of_the_household() {
    let done = alone("schedule list --at 2026-12-23T19:29:59Z");
    assert_eq!(
        done.out,
        "Schedule  Holds  Until                 Windows\n\
         bedtime   no     Wed 2026-12-23 20:30  sun-thu 20:30-06:30, fri,sat 22:00-07:30\n\n\
         On the clocks of Europe/Berlin.\n",
        "{done:?}"
    );
    let done = alone("schedule show bedtime --at 2026-12-23T19:30:00Z");
    let begin = "schedule   bedtime\n\
                 time zone  Europe/Berlin\n\
                 windows    sun-thu 20:30-06:30, fri,sat 22:00-07:30\n\
                 dates      -\n\
                 except     2026-12-24\n\
                 profiles   mia\n\
                 now        holds until Thu 2026-12-24 06:30\n\n\
                 It holds next\n  \
                   Fri 2026-12-25 22:00 to Sat 2026-12-26 07:30\n";
    assert!(done.out.starts_with(begin), "{}", done.out);
    assert_eq!(done.out.lines().count(), 9 + 7);
    let done = alone("schedule show bedtime --json --at 2026-12-23T19:30:00Z");
    let shown: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(shown["holds"], true);
    assert_eq!(shown["since"], "2026-12-23T20:30:00+01:00");
    assert_eq!(shown["next"][0]["to"], "2026-12-26T07:30:00+01:00");
    let done = alone("schedule show bedtim");
    assert_eq!(done.exit, Exit::Failed);
    assert_eq!(
        done.err,
        "error: there is no schedule `bedtim`\nhelp: known schedules: bedtime\n"
    );
}

#[test]
fn a_missing_daemon_is_said_with_its_socket() {
    let done = alone("status");
    assert_eq!(
        done.err,
        "error: no daemon answers on /nowhere/x.sock: No such file or directory (os error 2)\n\
         help: start it with `hedgerow serve`, or name its socket with `--socket`\n"
    );
    let done = alone("status --socket /else/y.sock");
    assert!(done.err.contains("/else/y.sock"), "{}", done.err);
}

#[test]
fn serve_is_told_what_was_typed() {
    let backend = FakeBackend::default();
    let line = "serve --config /etc/x.toml --listen 127.0.0.1:5353 --listen ::1 --listen [::1]:54";
    assert_eq!(type_in(line, &backend, None, false).exit, Exit::Fine);
    let served = backend.served.lock().unwrap();
    assert_eq!(
        served[0],
        ServeOptions {
            config: Some("/etc/x.toml".into()),
            listen: vec![
                "127.0.0.1:5353".parse().unwrap(),
                "[::1]:53".parse().unwrap(),
                "[::1]:54".parse().unwrap(),
            ],
            demo: false,
            socket: None,
            state: None,
        }
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut err = Vec::new();
    let mut output = Output {
        out: Box::new(Closed),
        err: Box::new(&mut err),
        out_is_terminal: false,
        err_is_terminal: false,
        out_colour: false,
        err_colour: false,
    };
    for line in [
        ["hedgerow", "schema"].as_slice(),
        &["hedgerow", "completions", "zsh"],
    ] {
        let arguments = line.iter().map(OsString::from);
        let exit = execute(arguments, None, &FakeBackend::default(), &mut output);
        assert_eq!(exit, Exit::Fine);
    }
    drop(output);
    assert_eq!(err, b"");
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn a_day_of_a_household() {
    let done = with_daemon(|_, socket, _| {
        let type_in = |line: &str| {
            let done = type_in(line, &FakeBackend::default(), Some(socket.clone()), false);
            assert_eq!((done.exit, done.err.as_str()), (Exit::Fine, ""), "{line}");
            done.out
        };
        let mut out = String::new();
        for line in [
            "allow games --profile mia --for 30m --why marks --by anna",
            "pause internet --everybody --until 2026-12-01T14:00:00+01:00 --by ben",
            "bonus 15 --profile mia --quota games --by anna",
            "grants undo 2 --by anna",
            "request roblox --device tablet --why please",
            "request roblox --device tablet",
            "requests list",
            "requests grant 4 --for 2h --by ben",
            "grants list --all",
            "requests list",
        ] {
            out.push_str(&format!("$ {line}\n{}", type_in(line)));
        }
        out
    });
    assert_eq!(
        done,
        "\
$ allow games --profile mia --for 30m --why marks --by anna
number 1 is added: allow games for mia, until 2026-12-01 12:30:00Z
$ pause internet --everybody --until 2026-12-01T14:00:00+01:00 --by ben
number 2 is added: pause internet for everybody, until 2026-12-01 13:00:00Z
$ bonus 15 --profile mia --quota games --by anna
number 3 is added: 15 minutes more of games for mia, until 2026-12-01 20:00:00Z
$ grants undo 2 --by anna
number 2 is undone: pause internet for everybody
$ request roblox --device tablet --why please
request 4 is asked: roblox for mia
$ request roblox --device tablet
request 4 is counted: roblox for mia, asked for 2 times
$ requests list
Number  What    Profile  Device  Since                 Times  Why     State
     4  roblox  mia      tablet  2026-12-01 12:00:00Z      2  please  waiting
$ requests grant 4 --for 2h --by ben
request 4 is granted: roblox for mia, until 2026-12-01 14:00:00Z (grant 5)
$ grants list --all
Number  What                      For        Since                 Until                 \
By    Why     State
     1  allow games               mia        2026-12-01 12:00:00Z  2026-12-01 12:30:00Z  \
anna  marks   holds
     2  pause internet            everybody  2026-12-01 12:00:00Z  2026-12-01 13:00:00Z  \
ben   -       undone by anna at 2026-12-01 12:00:00Z
     3  15 minutes more of games  mia        2026-12-01 12:00:00Z  2026-12-01 20:00:00Z  \
anna  -       holds
     5  allow roblox              mia        2026-12-01 12:00:00Z  2026-12-01 14:00:00Z  \
ben   please  holds
$ requests list
no request waits
"
    );
}

#[test]
fn how_much_of_a_quota_is_used() {
    assert_eq!(
        shown("quota show"),
        "\
Profile  Quota  Used        Give or take  Left        Carried on  Bonus   Since                 \
Until                 Counted by
mia      games  1 h 15 min  -6 min        1 h 15 min  15 min      15 min  2026-12-01 03:00:00Z  \
2026-12-02 03:00:00Z  DNS activity
"
    );
    assert_eq!(
        shown("quota show --profile leo"),
        "no profile has a quota\n"
    );
    assert_eq!(shown("grants list"), "no grant or pause holds\n");
}

#[test]
fn what_cannot_be_said_is_told_exactly() {
    for (line, exit, error) in [
        (
            "allow games --profile mia --for 30",
            Exit::Failed,
            "error: `for`: `30`: the unit is missing\nhelp: as in `--for 30m` or `--for 2h`\n",
        ),
        (
            "allow robloks --profile mia --for 30m",
            Exit::Failed,
            "error: neither a category nor a service, and no name with a dot\n",
        ),
        (
            "allow games --profile mia --until noon",
            Exit::Failed,
            "error: `noon` is no time\n",
        ),
        (
            "bonus 0 --profile mia",
            Exit::Failed,
            "error: 0 bonus minutes: 1 to 1440 can be given at a time\n",
        ),
        (
            "grants undo 7",
            Exit::Failed,
            "error: there is no grant or pause number 7\n",
        ),
        (
            "requests deny 7",
            Exit::Failed,
            "error: there is no request number 7\n",
        ),
    ] {
        let done = beside(line, false, |_| ());
        assert_eq!((done.exit, done.err.as_str()), (exit, error), "{line}");
    }
    for line in [
        "allow games --for 30m",
        "allow games --profile mia",
        "allow games --profile mia --device tablet --for 30m",
        "allow games --profile mia --for 30m --until bedtime",
        "pause internet --for 30m",
        "pause everything --everybody --for 30m",
        "pause internet --everybody --profile mia --for 30m",
        "requests grant 7",
    ] {
        assert_eq!(alone(line).exit, Exit::Usage, "{line}");
    }
    for line in [
        "allow games --profile mia --for 30m",
        "pause filter --device tablet --for 30m",
        "bonus 5 --profile mia",
        "grants list",
        "grants undo 1",
        "request roblox --device tablet",
        "requests list",
        "requests deny 1",
        "quota show --json",
    ] {
        assert_eq!(alone(line).exit, Exit::NotRunning, "{line}");
    }
}

#[test]
fn an_invitation_is_told_in_four_shapes() {
    let id = "mzxw6ytboi5hk3tpojsxg5dbnq";
    let done = beside("device invite tablet", false, |_| ());
    assert_eq!(done.exit, Exit::Fine, "{done:?}");
    for part in [
        "Whoever has what stands here asks as tablet",
        "hedgerow device revoke tablet",
        &format!("  https://dns.home.example/invite/{id}\n"),
        &format!("  https://dns.home.example/dns-query/{id}\n"),
        &format!("  {id}.dns.home.example\n"),
        "█▀▀▀",
        "Certificate Trust Settings",
    ] {
        assert!(done.out.contains(part), "{part}: {}", done.out);
    }
    // Its authority is the household's, which Android's private DNS does not take.
    assert!(!done.out.contains("Android"), "{}", done.out);
    assert_eq!(done.err, "note: somebody should know this\n");
    let svg = beside("device invite tablet --format svg", false, |_| ());
    assert!(svg.out.starts_with("<svg ") && svg.out.ends_with("</svg>\n"));
    let list = beside(
        "device invite tablet --format mobileconfig --locked",
        false,
        |_| (),
    );
    assert_eq!(list.out, "<plist locked=\"true\"/>\n");
    let json = beside("device invite tablet --format json", false, |_| ());
    let read: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(read["id"], id);
    let none = beside("device invite phone", false, |_| ());
    assert_eq!(none.exit, Exit::Failed);
    assert_eq!(none.err, "error: nobody is known as `phone`\n");
}

#[test]
fn encrypted_dns_is_shown_to_people_and_to_servers() {
    let done = beside("encrypted show", false, |_| ());
    let [sum, next] = ["AB", "CD"].map(|octet| vec![octet; 32].join(":"));
    assert_eq!(
        done.out,
        format!(
            "name                  dns.home.example\n\
             DNS over TLS          port 853\n\
             DNS over HTTPS        https://dns.home.example/dns-query\n\
             devices find it       by themselves (DDR)\n\
             certificate           of the household's own authority\n\
             valid until           2027-02-20 12:00:00Z\n\
             authority until       2036-11-22 00:00:00Z\n\
             its SHA-256           {sum}\n\
             next authority until  2046-11-22 00:00:00Z\n\
             its SHA-256           {next}\n"
        )
    );
    for (server, out) in [
        ("dnsmasq", "dhcp-option=162,00:01\n"),
        (
            "odhcpd",
            "list dnr '1 dns.home.example 192.0.2.1 alpn=dot port=853'\n",
        ),
        ("ca", "-----BEGIN CERTIFICATE-----\nMAo=\n"),
    ] {
        let done = beside(&format!("encrypted show --for {server}"), false, |_| ());
        assert_eq!(done.out, out);
    }
}
