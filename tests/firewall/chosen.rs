//! A table for chosen devices: the others are as without it.

use super::{BLOCKED, FREE_V4, FREE_V6, Home, SITE_V4, are_possible, router};
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
