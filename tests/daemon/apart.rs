//! Lists are compiled by a process of their own, which may die.

use std::path::Path;

use crate::support::wire::rtype;
use crate::support::{Home, wait_for};

const LISTED: &str = "[household]\nguest-profile = \"x\"\n[lists]\nstarter = false\n\
                      [profile.x]\ninherits = \"adult\"\nblock = [\"games\"]\n\
                      [[list]]\nid = \"games\"\ncategory = \"games\"\nfile = \"games.txt\"\n\
                      format = \"domains\"\n";
/// Names that take a moment to compile.
const MANY: usize = 200_000;

/// A list with a name of its own among many.
fn many(name: &str) -> String {
    let mut text = format!("{name}\n");
    for number in 0..MANY {
        text += &format!("n{number}.example\n");
    }
    text
}

fn is_blocked(home: &Home, name: &str) -> bool {
    home.look_up("127.0.0.1", name, rtype::A).ede_code() == Some(17)
}

/// The process that compiles for the daemon, once it has begun to write.
fn compiler(home: &Home) -> u32 {
    wait_for("a process that compiles", || {
        let compiler = children(home.pid()).into_iter().find(|child| {
            let name = std::fs::read_to_string(format!("/proc/{child}/comm"));
            name.is_ok_and(|name| name == "hedgerow-lists\n")
        });
        compiler.filter(|_| draft(home).exists())
    })
}

/// The processes `parent` started that still run.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let numbers = processes.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    numbers
        .filter(|number: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat"));
            // The name, in brackets, may hold anything.
            let stat = stat.unwrap_or_default();
            let behind = stat.rsplit(") ").next().unwrap_or_default();
            behind.split(' ').nth(1) == Some(&parent.to_string())
        })
        .collect()
}

/// What is written and does not stand at its place yet.
fn draft(home: &Home) -> std::path::PathBuf {
    home.path("../state/lists.index.new")
}

/// Sends a signal to a process by its name.
fn send(signal: &str, pid: u32) {
    let mut kill = std::process::Command::new("kill");
    let sent = kill.args(["-s", signal, &pid.to_string()]).status();
    assert!(sent.unwrap().success(), "kill -s {signal} {pid}");
}

fn read(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

#[test]
fn a_compile_that_is_killed_costs_the_new_list_and_nothing_else() {
    let home = Home::start_with(LISTED, &[("games.txt", "one.example\n")]);
    assert!(is_blocked(&home, "one.example"));
    home.write("games.txt", &many("two.example"));
    let compiler = compiler(&home);
    send("STOP", compiler);
    assert!(is_blocked(&home, "one.example"), "nobody waits for it");
    // It goes before the daemon when memory runs out, and gives way to everybody.
    assert_eq!(read(format!("/proc/{compiler}/oom_score_adj")), "1000\n");
    let stat = read(format!("/proc/{compiler}/stat"));
    let nice = stat.rsplit(") ").next().unwrap().split(' ').nth(16);
    let own = read(format!("/proc/{}/stat", home.pid()));
    let own = own.rsplit(") ").next().unwrap().split(' ').nth(16);
    let number = |text: Option<&str>| text.unwrap().parse::<i32>().unwrap();
    assert_eq!(number(nice), (number(own) + 10).min(19));
    // Nor does anybody who wakes up wait for the end of its turn (SCHED_IDLE).
    let policy = stat.rsplit(") ").next().unwrap().split(' ').nth(38);
    assert_eq!(policy, Some("5"));
    // Nothing of the household is shown to who looks at processes.
    let words = read(format!("/proc/{compiler}/cmdline"));
    assert_eq!(words, "hedgerow\0compile-for-daemon\0");

    send("KILL", compiler);
    wait_for("the report", || {
        home.log().contains("was killed (signal 9)").then_some(())
    });
    assert!(is_blocked(&home, "one.example"));
    assert!(!is_blocked(&home, "two.example"));
    assert!(draft(&home).exists(), "killed in the middle");

    home.write("games.txt", "three.example\n");
    wait_for("the list", || {
        is_blocked(&home, "three.example").then_some(())
    });
    assert!(!draft(&home).exists(), "something was left behind");
    assert!(
        !home.log().contains("by the daemon itself"),
        "{}",
        home.log()
    );
}

#[test]
fn a_compile_ends_with_its_daemon() {
    let mut home = Home::start_with(LISTED, &[("games.txt", "one.example\n")]);
    home.write("games.txt", &many("two.example"));
    let compiler = compiler(&home);
    // One that is stopped ends by nothing but force.
    send("STOP", compiler);
    home.signal("KILL");
    home.wait_for_end();
    wait_for("its end", || {
        let stat = std::fs::read_to_string(format!("/proc/{compiler}/stat"));
        // Whoever takes over orphans here may leave them as they are.
        let is_over = stat.map_or(true, |stat| stat.contains(") Z "));
        is_over.then_some(())
    });
}

#[test]
fn a_list_that_is_gone_says_on_what_it_said_through_another_process() {
    let home = Home::start_with(LISTED, &[("games.txt", "one.example\n")]);
    // Somebody compiled something else meanwhile: what counts is what the daemon uses.
    let index = home.path("../state/lists.index");
    std::fs::remove_file(&index).unwrap();
    std::fs::remove_file(home.path("games.txt")).unwrap();
    wait_for("the reload", || index.exists().then_some(()));
    assert!(is_blocked(&home, "one.example"));
    let log = home.log();
    assert!(log.contains("compiled by another process"), "{log}");
    assert!(!log.contains("by the daemon itself"), "{log}");
}

#[test]
fn a_first_start_answers_while_another_process_compiles() {
    let own = "[[list]]\nid = \"own\"\ncategory = \"games\"\nlines = [\"own.example\"]\n";
    let config = format!("{LISTED}{own}");
    let mut home = Home::start_with(&config, &[("games.txt", "one.example\n")]);
    home.signal("TERM");
    home.wait_for_end();
    let state = home.path("../state");
    std::fs::remove_file(state.join("lists.index")).unwrap();
    home.write("games.txt", &many("two.example"));
    let lock = std::fs::File::open(&state).unwrap();
    lock.try_lock().unwrap();
    home.restart();
    assert!(is_blocked(&home, "own.example"));
    assert!(!is_blocked(&home, "two.example"));
    let socket = home.path("../run/control.sock");
    let status = home.hedgerow(&["status", "--json", "--socket", socket.to_str().unwrap()]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("these say nothing: `games`"), "{status}");
    // Another attempt that fails says nothing new.
    home.signal("HUP");
    wait_for("the second attempt", || {
        let attempts = home.log().matches("compiled by another process").count();
        (attempts > 1).then_some(())
    });
    drop(lock);
    home.signal("HUP");
    wait_for("the list", || {
        is_blocked(&home, "two.example").then_some(())
    });
    let log = home.log();
    let told = log
        .matches("until they are, these say nothing: `games`")
        .count();
    assert_eq!(told, 1, "{log}");
    assert!(!log.contains("by the daemon itself"), "{log}");
}

#[test]
fn an_index_that_breaks_in_use_is_compiled_again() {
    use std::os::unix::fs::FileExt;
    let home = Home::start_with(LISTED, &[("games.txt", "one.example\n")]);
    let index = home.path("../state/lists.index");
    let file = std::fs::File::options().write(true).open(&index).unwrap();
    // Flash that wears out: the last octets are of no name.
    let length = file.metadata().unwrap().len();
    file.write_all_at(&[0x55; 8], length - 8).unwrap();
    home.write("games.txt", "two.example\n");
    wait_for("the list", || {
        is_blocked(&home, "two.example").then_some(())
    });
    // It is told once the list is in force.
    home.has_said("the lists in force cannot be read again");
}
