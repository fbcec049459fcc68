//! A table for chosen devices: the others are as without it.

use super::{BLOCKED, FREE_V4, FREE_V6, Home, OTHER_V4, SITE_V4, are_possible, router};
use crate::machines::Reached;

#[test]
fn chosen_devices_are_kept_here_and_no_others() {
    if !are_possible(&["ip", "nft", "dig", "bash", "timeout"]) {
        return;
    }
    let chosen = router("").replace("except = [\"laptop\"]", "devices = [\"tablet\"]");
    let home = Home::with(&chosen);
    home.firewall("apply");
    for to in [FREE_V4, FREE_V6] {
        let question = format!("@{to} blocked.example");
        assert_eq!(home.child.dig(&question), BLOCKED, "{question}");
        assert_eq!(home.parent.dig(&question), SITE_V4, "{question}");
        assert_eq!(home.child.connect(to, 853), Reached::Refused, "{to}");
        assert_eq!(home.parent.connect(to, 853), Reached::Yes, "{to}");
    }
}

/// Nobody thinks of the firewall who edits a profile.
#[test]
fn the_table_follows_the_devices_of_the_configuration() {
    if !are_possible(&["ip", "nft", "dig", "bash", "timeout"]) {
        return;
    }
    let home = Home::new("");
    home.firewall("apply");
    assert_eq!(home.child.connect(OTHER_V4, 443), Reached::Yes);
    let reload = |more: &str| home.daemon.reconfigure(&router(more));
    reload("pinned-egress = true\n");
    assert_eq!(home.child.connect(OTHER_V4, 443), Reached::Refused);
    assert_eq!(home.parent.connect(OTHER_V4, 443), Reached::Yes);
    assert_eq!(home.child.dig("@10.78.0.1 site.example"), SITE_V4);
    assert_eq!(home.child.connect(SITE_V4, 443), Reached::Yes);
    reload("");
    assert_eq!(home.child.connect(OTHER_V4, 443), Reached::Yes);
    // Left alone, and not any more.
    let left_alone = router("").replace("[\"laptop\"]", "[\"laptop\", \"tablet\"]");
    home.daemon.reconfigure(&left_alone);
    assert_eq!(home.child.connect(FREE_V4, 853), Reached::Yes);
    reload("");
    assert_eq!(home.child.connect(FREE_V4, 853), Reached::Refused);
}
