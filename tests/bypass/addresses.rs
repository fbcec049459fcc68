//! Addresses that nobody asked for, from a device that reaches only what it was answered.

use crate::home::{Home, Who, YOUNG};
use crate::{Trick, reaches, steps};

pub fn tricks() -> Vec<Trick> {
    let other = |home: &Home| home.says(Who::Parent, "connect 203.0.113.82 443");
    vec![
        reaches("an address typed in", "connect 203.0.113.66 443").by(Who::Young),
        reaches("an IPv6 address typed in", "connect 2001:db8:80::66 443").by(Who::Young),
        reaches("an address without encryption", "connect 203.0.113.66 80").by(Who::Young),
        reaches("an address by QUIC", "echo 203.0.113.66 443").by(Who::Young),
        reaches("an IPv6 address by QUIC", "echo 2001:db8:80::66 443").by(Who::Young),
        steps("a hosts file", hosts_file, "refused")
            .prize("reached")
            .proved_by_steps(|home| home.says(Who::Parent, "connect 203.0.113.66 443")),
        steps(
            "an address that a parent was told",
            learnt_by_a_parent,
            "refused",
        )
        .prize("reached")
        .proved_by_steps(|home| home.says(Who::Parent, "connect 203.0.113.83 443")),
        steps("an address kept past its time", past_its_time, "refused")
            .prize("reached")
            .proved_by_steps(other),
        steps(
            "the address of a blocked name, asked for first",
            blocked_first,
            "refused",
        )
        .prize("reached")
        .proved_by_steps(|home| home.says(Who::Parent, "connect 203.0.113.66 443")),
        steps("the other family's address", other_family, "refused")
            .prize("reached")
            .proved_by_steps(|home| home.says(Who::Parent, "connect 2001:db8:80::80 443")),
    ]
}

/// What a hosts file does: no question, the address at once.
fn hosts_file(home: &Home) -> String {
    // The name it stands for is allowed, its address in the file is another.
    home.says(Who::Young, "site.example A");
    home.says(Who::Young, "connect 203.0.113.66 443")
}

fn learnt_by_a_parent(home: &Home) -> String {
    home.says(Who::Parent, "parent.site.example A");
    home.says(Who::Young, "connect 203.0.113.83 443")
}

fn past_its_time(home: &Home) -> String {
    home.says(Who::Young, "stale.site.example A");
    let words = "connect 203.0.113.82 443";
    assert_eq!(home.says(Who::Young, words), "reached");
    // What the kernel does by itself ten minutes later.
    let pair = format!("{{ {YOUNG} . 203.0.113.82 }}");
    let words_of_nft = ["delete", "element", "inet", "hedgerow", "answered4", &pair];
    home.router.succeed("nft", &words_of_nft);
    home.says(Who::Young, words)
}

fn blocked_first(home: &Home) -> String {
    let said = home.says(Who::Young, "casino.example A");
    assert!(said.contains("EDE 17"), "{said}");
    home.says(Who::Young, "connect 203.0.113.66 443")
}

fn other_family(home: &Home) -> String {
    home.says(Who::Young, "www.site.example A");
    assert_eq!(home.says(Who::Young, "connect 203.0.113.80 443"), "reached");
    home.says(Who::Young, "connect 2001:db8:80::80 443")
}
