//! Neighbours and leases come and go while everybody asks.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::inside::said;
use crate::street::{LAPTOP, Machine, NOT_YET, Street, TABLET, is_possible, wait_for};

/// Questions a second, all addresses together.
const RATE: u32 = 5_000;
/// From how many addresses they come.
const ASKERS: u32 = 4;
/// The longest anybody may wait for an answer. Tests run unoptimised and beside others, which take
/// the processor from those who ask, too; to measure, build with `--release` and run under
/// `chrt -f 20`.
const LONGEST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 10 });

#[test]
fn nobody_is_mistaken_while_neighbours_and_leases_change() {
    if !is_possible() {
        return;
    }
    let seconds = std::env::var("HEDGEROW_CHURN_SECONDS").unwrap_or_else(|_| "2".to_owned());
    let mut street = Street::new(NOT_YET);
    let leases = street.router.path("dnsmasq.leases");
    std::fs::write(&leases, "").unwrap();
    street
        .router
        .configure(&format!("[identity]\nleases = [{leases:?}]\n"));
    street.router.start(&[]);
    let Street {
        tablet,
        laptop,
        router,
    } = &street;
    let replace = |address: &str, mac: &str| {
        format!("neigh replace {address} lladdr {mac} dev br0 nud stale\n")
    };
    // Only what is there can be deleted.
    let delete = |address: &str, mac: &str| {
        replace(address, mac) + &format!("neigh del {address} dev br0\n")
    };
    let mut changes = Vec::new();
    for last in 100..150 {
        let (v4, v6) = (format!("10.77.0.{last}"), format!("fd77::{last}"));
        changes.extend([
            replace(&v4, &format!("02:00:5e:10:01:{last:02x}")),
            replace(&v4, &format!("02:00:5e:10:02:{last:02x}")),
            // Those who ask, too: the kernel forgets them and finds them again.
            delete("10.77.0.10", TABLET),
            delete(&v4, LAPTOP),
            replace(&v6, TABLET),
            delete("10.77.0.20", LAPTOP),
        ]);
    }
    // These are never deleted: of what they ask nothing may be lost.
    tablet.ip("addr add 10.77.0.11/24 dev eth0");
    laptop.ip("addr add 10.77.0.21/24 dev eth0");
    let churn = router.churn(changes);
    let lies = Lies::begin(&leases);
    let flood = |host: &Machine, from: &str| {
        let task = format!("flood {from}:0 10.77.0.1:53 {} {seconds}", RATE / ASKERS);
        let mut command = host.inside(&task);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let floods = [
        (flood(tablet, "10.77.0.10"), "192.0.2.11", true),
        (flood(tablet, "10.77.0.11"), "192.0.2.11", false),
        (flood(laptop, "10.77.0.20"), "192.0.2.12", true),
        (flood(laptop, "10.77.0.21"), "192.0.2.12", false),
    ];
    assert_eq!(floods.len() as u32, ASKERS);
    let mut lost = 0;
    for (child, expected, is_deleted) in floods {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let output = String::from_utf8_lossy(&output.stdout);
        let outcome = said(&output);
        println!("{outcome}");
        let words: Vec<&str> = outcome.split(' ').collect();
        let number = |at: usize| words[at].parse::<u32>().unwrap();
        let (sent, answered) = (number(0), number(1));
        let longest = Duration::from_micros(number(2).into());
        // Every answer is one of its own.
        assert_eq!(words[5..], [format!("{expected}={answered}")], "{outcome}");
        // The kernel drops what waits for a neighbour that is deleted.
        match is_deleted {
            true => assert!(answered > sent / 2, "{outcome}"),
            false => lost += sent - answered,
        }
        assert!(longest <= LONGEST, "{outcome}");
    }
    // And what finds a socket full, which a busy machine does not empty in time; nothing else.
    let overruns: u32 = [tablet, laptop, &router.machine]
        .iter()
        .map(|machine| machine.overruns())
        .sum();
    assert!(lost <= overruns, "{lost} lost, {overruns} by full sockets");
    let changed = churn.end();
    assert!(changed > 100, "{changed}");
    let written = lies.end();
    assert!(written > 50, "{written}");
    // They were heard, and counted for less than what the kernel sees.
    wait_for("the leases to be read", || {
        router.log().contains(" count=51").then_some(())
    });
}

/// Leases that are written a hundred times a second, all of them the other's.
struct Lies {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Lies {
    fn begin(leases: &Path) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (until, leases) = (Arc::clone(&is_over), leases.to_path_buf());
        let thread = std::thread::spawn(move || {
            let mut round = 0_u32;
            // A busy machine writes more rarely.
            while !until.load(Ordering::Relaxed) || round <= 50 {
                let (mut text, odd) = (String::new(), round % 2 == 1);
                let whose = |is_one| if is_one { TABLET } else { LAPTOP };
                for last in 100..150 {
                    let mac = whose((last % 2 == 1) == odd);
                    text += &format!("0 {mac} 10.77.0.{last} name{last} *\n");
                }
                // In turn that of either of those who ask.
                let (mac, last) = (whose(odd), if odd { 20 } else { 10 });
                text += &format!("0 {mac} 10.77.0.{last} host *\n");
                // As dnsmasq does it: the same file, emptied and written anew.
                std::fs::write(&leases, text).unwrap();
                round += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            round
        });
        Self { is_over, thread }
    }

    /// Ends it; how often they were written.
    fn end(self) -> u32 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
