//! The keys of sealed lists, which a daemon finds in the list or in the file `sealed-keys`.

use std::os::unix::fs::PermissionsExt;

use hedgerow::lists::sealed::SealKey;

use crate::beside::{json, lists};
use crate::daemon::{Home, wait_for};
use crate::household::Household;

const KEY: &str = "00112233445566778899aabbccddeeff";
const OTHER: &str = "ffeeddccbbaa99887766554433221100";
/// A protected name, and one that is not.
const NAMES: &str = "www.msftconnecttest.com\nsecret.example\n";

/// A list of [`NAMES`], whose key is in it or not.
fn feed(with_key: bool) -> String {
    let here = Household::new("");
    here.write("key", KEY);
    let more = if with_key { "--with-key" } else { "" };
    let line = format!("lists seal --key key {more} --title Hotline --issuer Test --serial 1");
    here.run(&line, NAMES).fine()
}

/// A daemon with the list `hotline`, which is `feed`.
fn home(feed: &str) -> Home {
    let config = "[lists]\nstarter = false\n\
                  [[list]]\nid = \"hotline\"\nkind = \"sealed\"\nfile = \"hotline.txt\"\n";
    Home::start_with(config, &[("hotline.txt", feed)])
}

fn is_blocked(home: &Home, name: &str) -> bool {
    let found = json(&lists(home, &format!("search {name} --json")));
    !found["found"].as_array().unwrap().is_empty()
}

/// Puts `text` where keys are kept and has the daemon look.
fn hand_over(home: &mut Home, text: &str) {
    std::fs::write(home.path("../state/sealed-keys"), text).unwrap();
    home.signal("TERM");
    home.wait_for_end();
    home.restart();
}

#[test]
fn a_list_whose_key_is_missing_or_another_blocks_nothing_and_says_so() {
    let mut home = home(&feed(false));
    let id = SealKey::parse(KEY).unwrap().id();
    let told = format!("list `hotline` blocks nothing: its key {id} is not on this machine");
    home.has_said(&told);
    assert!(!is_blocked(&home, "secret.example"));
    hand_over(&mut home, &format!("{OTHER}\n"));
    // A daemon that starts begins a log.
    home.has_said(&told);
    assert!(!is_blocked(&home, "secret.example"));
    // The key of another list stays for it.
    let kept = std::fs::read_to_string(home.path("../state/sealed-keys")).unwrap();
    assert!(kept.contains(OTHER), "{kept}");
    // No log holds a key or a name.
    for secret in [KEY, OTHER, "secret.example"] {
        assert!(!home.log().contains(secret), "{secret}");
    }
}

#[test]
fn a_key_that_is_handed_over_unlocks_and_tells_what_no_list_may_take() {
    let mut home = home(&feed(false));
    hand_over(&mut home, &format!("{KEY}\n"));
    assert!(is_blocked(&home, "secret.example"));
    // It takes the protected name all the same, and somebody hears of it.
    assert!(is_blocked(&home, "www.msftconnecttest.com"));
    let told = "an entry takes the protected name `www.msftconnecttest.com`";
    let shown = json(&lists(&home, "show hotline --json"));
    assert_eq!(shown["flagged_lines"], 1, "{shown}");
    assert_eq!(shown["first_flags"][0]["error"], told, "{shown}");
    home.has_said(told);
}

#[test]
fn a_key_that_comes_with_a_list_is_kept_for_the_daemon_alone() {
    let home = home(&feed(true));
    let path = home.path("../state/sealed-keys");
    let mode = wait_for("the key", || {
        let found = std::fs::metadata(&path).ok()?;
        Some(found.permissions().mode() & 0o777)
    });
    assert_eq!(mode, 0o600);
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.contains(KEY), "{kept}");
    assert!(is_blocked(&home, "secret.example"));
    // Its key was at hand when it was compiled, so what is protected was left out.
    assert!(!is_blocked(&home, "www.msftconnecttest.com"));
}
