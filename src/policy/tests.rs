//! Verdicts of small households.

use super::canary::CANARIES;
use super::*;
use crate::config::{self, BlockAnswer, Pattern, Privacy, Rule, Rules, WhenUnsure, Youtube};
use crate::lists::{Effect, Entry, Index, IndexBuilder, ListFormat, ListInfo, ListKind, Reach};
use crate::message::{Fact, rtype};
use crate::name::{Name, NameBuf};
use crate::profile::Profile;
use crate::standing::Standing;
use crate::verdict::Tier;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn list(builder: &mut IndexBuilder, id: &'static str, kind: ListKind, tier: Tier, lines: &[&str]) {
    let entries = lines.iter().zip(1..).map(|(line, number)| {
        let (text, effect) = match line.strip_prefix("@@") {
            Some(text) => (text, Effect::Excepted),
            None => (*line, Effect::Listed),
        };
        let entry = Entry {
            name: name(text),
            reach: Reach::Subtree,
            effect,
            modifiers: None,
        };
        (number, entry)
    });
    builder
        .add_list(ListInfo::new(id, id, kind, tier), entries)
        .unwrap();
}

fn rules(allow: &[&str], block: &[&str]) -> Rules {
    let read = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| Rule {
                text: (*line).to_owned(),
                written_in: None,
                pattern: match line.strip_prefix('=') {
                    Some(exact) => Pattern::Exact(name(exact)),
                    None if line.contains('*') => Pattern::Glob((*line).to_owned()),
                    None => Pattern::Subtree(name(line)),
                },
            })
            .collect()
    };
    Rules {
        allow: read(allow),
        block: read(block),
    }
}

struct Home {
    lists: Index,
    rules: RuleBook,
    safe_search: SafeSearch,
    gate: Gate,
    profile: Profile,
    standing: Standing,
}

impl Home {
    fn new(change: impl FnOnce(&mut config::Profile), owned: &[(RuleOwner, Rules)]) -> Self {
        let mut builder = IndexBuilder::new();
        let b = &mut builder;
        list(
            b,
            "lifelines",
            ListKind::Lifeline,
            Tier::Lifeline,
            &["help.example"],
        );
        list(
            b,
            "adult",
            ListKind::Block,
            Tier::ChildSafety,
            &[
                "help.example",
                "bad.example",
                "wide.example",
                "cdn.bad.example",
                "@@trick.example",
            ],
        );
        list(
            b,
            "malware",
            ListKind::Block,
            Tier::Security,
            &["virus.example", "games.example"],
        );
        list(
            b,
            "ads",
            ListKind::Block,
            Tier::Lists,
            &[
                "ads.example",
                "@@ok.ads.example",
                "@@bad.example",
                "@@virus.example",
                "fonts.example",
            ],
        );
        list(
            b,
            "children",
            ListKind::Allow,
            Tier::ChildSafety,
            &["games.example", "kids.wide.example", "fonts.example"],
        );
        let lists = builder.build();
        let mut profile = Self::profile();
        change(&mut profile);
        let profile = Profile::compile(0, &profile, &lists);
        let rules = RuleBook::new(owned.iter().map(|(owner, rules)| (*owner, rules)));
        let safe_search = SafeSearch::embedded().unwrap();
        Self {
            standing: Standing::plain(&profile),
            profile,
            lists,
            gate: Gate::new(&rules, &safe_search),
            rules,
            safe_search,
        }
    }

    fn profile() -> config::Profile {
        config::Profile {
            name: "mia".to_owned(),
            preset: "schoolchild".to_owned(),
            lineage: vec![],
            growth: None,
            block_categories: ["adult", "malware", "ads"].map(str::to_owned).to_vec(),
            block_services: vec![],
            open_services: vec![],
            block_lists: vec![],
            allow_lists: vec![],
            allow_only: false,
            rules: Rules::default(),
            safe_search: false,
            block_unsafe_search: false,
            youtube: Youtube::Off,
            close_bypass: false,
            block_rebinding: true,
            pinned_egress: false,
            ways_round: config::WaysRound::default(),
            speech: config::Speech::default(),
            closings: vec![],
            quotas: vec![],
            when_clock_unset: config::WhenClockUnset::Close,
            block_answer: BlockAnswer::Null,
            when_unsure: WhenUnsure::Allow,
            privacy: Privacy::Names,
            resolvers: 0,
            block_ttl: 10,
        }
    }

    fn view(&self) -> View<'_> {
        View {
            lists: &self.lists,
            rules: &self.rules,
            safe_search: &self.safe_search,
            gate: &self.gate,
            private_domains: &[],
            profile: &self.profile,
            standing: &self.standing,
            device: Some(0),
            device_name: None,
            client: None,
        }
    }

    fn judge(&self, text: &str) -> String {
        let verdict = judge_name(name(text).as_ref(), rtype::A, &self.view());
        format!("{}: {}", verdict.label(), verdict.reason().label())
    }

    fn judge_facts(&self, asked: &str, facts: &[Fact<'_>]) -> Verdict {
        let asked = name(asked);
        let verdict = judge_name(asked.as_ref(), rtype::A, &self.view());
        judge_answer(
            asked.as_ref(),
            rtype::A,
            facts.iter().copied(),
            verdict.reason(),
            &self.view(),
        )
    }
}

#[test]
fn what_may_be_listed_where_nothing_can_be_read_is_a_matter_of_doubt() {
    let judge = |when_unsure, name: &str| {
        let mut home = Home::new(|_| {}, &[]);
        home.lists = Index::broken("a", &["ads.example", "adverts.example", "who.int"]);
        let profile = config::Profile {
            when_unsure,
            ..Home::profile()
        };
        home.profile = Profile::compile(0, &profile, &home.lists);
        home.standing = Standing::plain(&home.profile);
        home.judge(name)
    };
    let unlisted = judge(WhenUnsure::Allow, "www.site.example");
    assert_eq!(judge(WhenUnsure::Allow, "www.ads.example"), unlisted);
    assert_eq!(
        judge(WhenUnsure::Block, "www.ads.example"),
        "block: unreadable"
    );
    assert_eq!(judge(WhenUnsure::Block, "www.who.int"), "allow: lifelines");
    assert_eq!(judge(WhenUnsure::Block, "www.site.example"), unlisted);
}

#[test]
fn each_tier_yields_to_those_above_it_only() {
    let home = Home::new(|_| {}, &[]);
    for (text, expected) in [
        ("www.help.example", "allow: lifelines"),
        ("www.bad.example", "block: adult"),
        ("virus.example", "block: malware"),
        ("ads.example", "block: ads"),
        ("ok.ads.example", "allow: ads"),
        ("open.example", "allow: unlisted"),
    ] {
        assert_eq!(home.judge(text), expected, "{text}");
    }
}

#[test]
fn the_households_word_opens_what_lists_close_but_closes_no_lifeline() {
    let everybody = rules(
        &["bad.example", "virus.example"],
        &["help.example", "open.example"],
    );
    let home = Home::new(|_| {}, &[(RuleOwner::Household, everybody)]);
    for (text, expected) in [
        ("help.example", "allow: lifelines"),
        ("www.bad.example", "allow: rule"),
        ("virus.example", "allow: rule"),
        ("www.open.example", "block: rule"),
    ] {
        assert_eq!(home.judge(text), expected, "{text}");
    }
}

#[test]
fn a_device_speaks_before_its_profile_and_that_before_the_household() {
    let owned = [
        (
            RuleOwner::Household,
            rules(&[], &["one.example", "two.example", "=www.three.example"]),
        ),
        (
            RuleOwner::Profile(0),
            rules(&["one.example"], &["two.example"]),
        ),
        (RuleOwner::Profile(1), rules(&["bad.example"], &[])),
        (RuleOwner::Device(0), rules(&["two.example"], &[])),
        (RuleOwner::Device(1), rules(&["bad.example"], &[])),
    ];
    let home = Home::new(|_| {}, &owned);
    for (text, expected) in [
        ("one.example", "allow: rule"),
        ("two.example", "allow: rule"),
        ("bad.example", "block: adult"),
        ("www.three.example", "block: rule"),
        ("three.example", "allow: unlisted"),
        ("a.www.three.example", "allow: unlisted"),
    ] {
        assert_eq!(home.judge(text), expected, "{text}");
    }
}

#[test]
fn in_one_scope_the_longer_name_counts() {
    let everybody = rules(
        &["school.wide.example", "cdn*.glob.example"],
        &["wide.example", "glob.example"],
    );
    let home = Home::new(|_| {}, &[(RuleOwner::Household, everybody)]);
    assert_eq!(home.judge("a.school.wide.example"), "allow: rule");
    assert_eq!(home.judge("a.wide.example"), "block: rule");
    assert_eq!(
        home.judge("cdn7.glob.example"),
        "block: rule",
        "a tie is a block"
    );
}

#[test]
fn allow_only_opens_the_allowlist_and_nothing_else() {
    let young = |profile: &mut config::Profile| {
        profile.allow_only = true;
        profile.allow_lists = vec!["children".to_owned()];
    };
    let home = Home::new(
        young,
        &[(RuleOwner::Household, rules(&["open.example"], &[]))],
    );
    for (text, expected) in [
        ("fonts.example", "allow: children"),
        ("kids.wide.example", "allow: children"),
        ("open.example", "allow: rule"),
        ("help.example", "allow: lifelines"),
        ("other.example", "block: allow-only"),
        ("wide.example", "block: adult"),
        ("games.example", "block: malware"),
        ("www.google.com", "block: allow-only"),
    ] {
        assert_eq!(home.judge(text), expected, "{text}");
    }
}

#[test]
fn an_exception_in_a_list_opens_ads_and_nothing_more() {
    let home = Home::new(|_| {}, &[]);
    assert_eq!(home.judge("bad.example"), "block: adult");
    assert_eq!(home.judge("virus.example"), "block: malware");
}

#[test]
fn the_safe_form_changes_an_allow_and_opens_nothing() {
    let strict = |profile: &mut config::Profile| {
        profile.safe_search = true;
        profile.youtube = Youtube::Strict;
    };
    let home = Home::new(
        strict,
        &[(RuleOwner::Household, rules(&["youtube.com"], &["bing.com"]))],
    );
    assert_eq!(home.judge("www.google.de"), "rewrite: safe-search");
    assert_eq!(home.judge("www.youtube.com"), "rewrite: safe-search");
    assert_eq!(home.judge("www.bing.com"), "block: rule");
    let view = home.view();
    let mail = judge_name(name("google.de").as_ref(), 15, &view);
    assert_eq!(mail, Verdict::Allow(Reason::UNLISTED), "mail is not search");
}

#[test]
fn a_rule_reaches_what_stands_behind_the_safe_form() {
    let safe = |profile: &mut config::Profile| profile.safe_search = true;
    let target = name("x.bad.example");
    let behind = [Fact::Cname(target.as_ref())];
    let asked = name("www.bing.com");
    for (allow, blocked) in [(&["bing.com"][..], false), (&[], true)] {
        let home = Home::new(safe, &[(RuleOwner::Household, rules(allow, &[]))]);
        let view = home.view();
        let verdict = judge_name(asked.as_ref(), rtype::A, &view);
        assert_eq!(verdict.label(), "rewrite");
        let allowed = reason_to_allow(asked.as_ref(), rtype::A, &view);
        let verdict = judge_answer(asked.as_ref(), rtype::A, behind, allowed, &view);
        assert_eq!(verdict.is_block(), blocked);
    }
}

/// A household with a list of adblock and RPZ lines.
fn home_with(lines: &str, addresses: &str) -> Home {
    let mut items = Vec::new();
    for (format, text) in [(ListFormat::Adblock, lines), (ListFormat::Rpz, addresses)] {
        for line in text.lines() {
            format.read_line(line.as_bytes(), &mut items).unwrap();
        }
    }
    let mut home = Home::new(|_| {}, &[]);
    let mut builder = IndexBuilder::new();
    let info = ListInfo::new("l", "ads", ListKind::Block, Tier::Lists);
    builder.add_list(info, (1..).zip(items)).unwrap();
    home.lists = builder.build();
    let profile = &config::Profile {
        block_lists: vec!["l".to_owned()],
        ..Home::profile()
    };
    home.profile = Profile::compile(0, profile, &home.lists);
    home.standing = Standing::plain(&home.profile);
    home
}

#[test]
fn what_an_answer_leads_to_is_judged_by_the_type_that_was_asked_for() {
    let home = home_with(
        "||alias.example^$dnstype=AAAA\n||service.example^$dnstype=HTTPS",
        "",
    );
    let asked = name("a.example");
    for (qtype, alias, service) in [
        (rtype::A, false, false),
        (rtype::AAAA, true, false),
        (rtype::HTTPS, false, true),
    ] {
        for (fact, expected) in [
            (Fact::Cname(name("x.alias.example").as_ref()), alias),
            (Fact::SvcbTarget(name("service.example").as_ref()), service),
        ] {
            let view = home.view();
            let verdict = judge_answer(asked.as_ref(), qtype, [fact], Reason::UNLISTED, &view);
            assert_eq!(verdict.is_block(), expected, "{qtype} {fact:?}");
        }
    }
}

#[test]
fn what_the_households_own_resolvers_say_of_its_names_is_no_lists_business() {
    let home = home_with("", "32.1.113.0.203.rpz-ip CNAME .");
    let private = [name("home.example")];
    let facts = [Fact::Address("203.0.113.1".parse().unwrap())];
    for (asked, expected) in [
        ("www.example.org", true),
        ("nas.home.example", false),
        ("home.example", false),
        ("nothome.example", true),
    ] {
        let asked = name(asked);
        let view = View {
            private_domains: &private,
            ..home.view()
        };
        let verdict = judge_answer(asked.as_ref(), rtype::A, facts, Reason::UNLISTED, &view);
        assert_eq!(verdict.is_block(), expected, "{}", asked.as_ref());
    }
}

#[test]
fn an_answer_is_judged_like_the_question() {
    let home = Home::new(
        |_| {},
        &[(RuleOwner::Household, rules(&["mine.example"], &[]))],
    );
    let names = ["x.bad.example", "ads.example", "fine.example"].map(name);
    let [bad, ads, fine] = names.each_ref().map(|name| name.as_ref());
    let address = |text: &str| Fact::Address(text.parse().unwrap());
    for (asked, fact, blocked_by) in [
        ("a.example", Fact::Cname(bad), Some(Tier::ChildSafety)),
        ("a.example", Fact::SvcbTarget(bad), Some(Tier::ChildSafety)),
        ("a.example", Fact::Cname(ads), Some(Tier::Lists)),
        ("a.example", Fact::Cname(fine), None),
        ("mine.example", Fact::Cname(bad), None),
        ("help.example", Fact::Cname(bad), None),
        ("a.example", address("192.168.1.1"), Some(Tier::Security)),
        (
            "a.example",
            address("::ffff:10.0.0.1"),
            Some(Tier::Security),
        ),
        (
            "a.example",
            address("64:ff9b::7f00:1"),
            Some(Tier::Security),
        ),
        ("a.example", address("fe80::1"), Some(Tier::Security)),
        ("a.example", address("::1"), Some(Tier::Security)),
        ("a.example", address("::192.168.1.1"), Some(Tier::Security)),
        (
            "a.example",
            address("2002:c0a8:101::1"),
            Some(Tier::Security),
        ),
        (
            "a.example",
            address("64:ff9b:1::c0a8:101"),
            Some(Tier::Security),
        ),
        ("a.example", address("fec0::1"), Some(Tier::Security)),
        ("a.example", address("2002:cb00:7101::1"), None),
        ("a.example", address("::"), None),
        ("a.example", address("100.64.3.2"), Some(Tier::Security)),
        (
            "a.example",
            Fact::SvcbHint("127.0.0.1".parse().unwrap()),
            Some(Tier::Security),
        ),
        ("a.example", address("0.0.0.0"), None),
        ("a.example", address("203.0.113.1"), None),
        ("mine.example", address("192.168.1.1"), None),
    ] {
        let verdict = home.judge_facts(asked, &[fact]);
        let tier = verdict.is_block().then(|| verdict.reason().tier);
        assert_eq!(tier, blocked_by, "{asked} {fact:?}");
    }
}

#[test]
fn canaries_are_answered_only_where_ways_round_are_closed() {
    let closed = Home::new(|profile| profile.close_bypass = true, &[]);
    let open = Home::new(|_| {}, &[]);
    assert_eq!(CANARIES.len(), 7);
    for canary in CANARIES {
        let (buf, _) = NameBuf::read_wire(canary).unwrap();
        assert_eq!(closed.judge(&buf.to_string()), "block: canary");
        assert_eq!(open.judge(&buf.to_string()), "allow: unlisted");
    }
}

/// The household's allow, a category block, malware and ads for the same name, in all
/// combinations: the highest tier that speaks decides.
#[test]
fn all_combinations_of_tiers_obey_the_order() {
    let mut cases = 0;
    for set in 0..32_u8 {
        let has = |bit: u8| set >> bit & 1 == 1;
        let mut builder = IndexBuilder::new();
        let listed: &[&str] = &["x.example"];
        let empty: &[&str] = &[];
        for (bit, id, kind, tier) in [
            (0, "life", ListKind::Lifeline, Tier::Lifeline),
            (2, "adult", ListKind::Block, Tier::ChildSafety),
            (3, "malware", ListKind::Block, Tier::Security),
            (4, "ads", ListKind::Block, Tier::Lists),
        ] {
            list(
                &mut builder,
                id,
                kind,
                tier,
                if has(bit) { listed } else { empty },
            );
        }
        let allow = if has(1) {
            rules(listed, &[])
        } else {
            Rules::default()
        };
        let mut home = Home::new(|_| {}, &[(RuleOwner::Household, allow)]);
        home.lists = builder.build();
        let config = config::Profile {
            block_categories: ["adult", "malware", "ads"].map(str::to_owned).to_vec(),
            ..profile_like(&home.profile)
        };
        home.profile = Profile::compile(0, &config, &home.lists);
        home.standing = Standing::plain(&home.profile);
        let expected = match (0..5).find(|&bit| has(bit)) {
            None => "allow: unlisted",
            Some(0) => "allow: life",
            Some(1) => "allow: rule",
            Some(2) => "block: adult",
            Some(3) => "block: malware",
            Some(_) => "block: ads",
        };
        assert_eq!(home.judge("x.example"), expected, "{set:05b}");
        cases += 1;
    }
    assert_eq!(cases, 32);
}

fn profile_like(profile: &Profile) -> config::Profile {
    config::Profile {
        name: profile.name.to_owned(),
        preset: profile.preset.to_owned(),
        lineage: vec![],
        growth: None,
        block_categories: vec![],
        block_services: vec![],
        open_services: vec![],
        block_lists: vec![],
        allow_lists: vec![],
        allow_only: profile.allow_only,
        rules: Rules::default(),
        safe_search: profile.safe_search,
        block_unsafe_search: false,
        youtube: profile.youtube,
        close_bypass: profile.close_bypass,
        block_rebinding: profile.block_rebinding,
        pinned_egress: profile.pinned_egress,
        ways_round: profile.ways_round,
        speech: config::Speech::default(),
        closings: vec![],
        quotas: vec![],
        when_clock_unset: config::WhenClockUnset::Close,
        block_answer: profile.block_answer.clone(),
        when_unsure: profile.when_unsure,
        privacy: profile.privacy,
        resolvers: 0,
        block_ttl: profile.block_ttl,
    }
}

#[test]
fn a_name_that_looks_like_a_blocked_one_is_blocked_for_that_reason() {
    let closing = config::WaysRound {
        look_alikes: true,
        ..config::WaysRound::default()
    };
    let owned = [(
        RuleOwner::Household,
        rules(
            &["xn--bd-mia.example", "open.virus.example"],
            &["school.example"],
        ),
    )];
    let closed = Home::new(|profile| profile.ways_round = closing, &owned);
    let open = Home::new(|_| {}, &owned);
    for (asked, expected) in [
        // `bаd`, `vіrus`, `ѕсhооl`, each with Cyrillic letters.
        ("www.xn--bd-7kc.example", "block: look-alike"),
        ("xn--vrus-l9d.example", "block: look-alike"),
        ("xn--hl-fmcam3j.example", "block: look-alike"),
        // What the household opens itself, and what looks like something that is open.
        ("xn--bd-mia.example", "allow: rule"),
        ("xn--fne-rma.example", "allow: unlisted"),
        ("bad.example", "block: adult"),
    ] {
        assert_eq!(closed.judge(asked), expected, "{asked}");
        if expected.ends_with("look-alike") {
            assert_eq!(open.judge(asked), "allow: unlisted", "{asked}");
        }
    }
    let asked = name("www.xn--bd-7kc.example");
    let verdict = judge_name(asked.as_ref(), rtype::A, &closed.view());
    assert_eq!(
        verdict.reason().to_string(),
        "looks like a name that is blocked: adult (adult)"
    );
}

#[test]
fn an_accent_is_no_disguise_unless_the_household_means_that_very_site() {
    let closing = config::WaysRound {
        look_alikes: true,
        ..config::WaysRound::default()
    };
    let owned = [(RuleOwner::Household, rules(&[], &["school.example"]))];
    let home = Home::new(|profile| profile.ways_round = closing, &owned);
    for (asked, expected) in [
        // `bád` and `schoól`: a list somebody else made, and a rule.
        ("xn--bd-mia.example", "allow: unlisted"),
        ("xn--schol-3ta.example", "block: look-alike"),
    ] {
        assert_eq!(home.judge(asked), expected, "{asked}");
    }
}

#[test]
fn a_rule_opens_a_way_round_by_its_name_alone() {
    let canary = "mask.icloud.com";
    for (allow, expected) in [
        ("icloud.com", "block: canary"),
        ("*.icloud.com", "block: canary"),
        ("mask.icloud.com", "allow: rule"),
        ("=mask.icloud.com", "allow: rule"),
    ] {
        let owned = [(RuleOwner::Household, rules(&[allow], &[]))];
        let home = Home::new(|profile| profile.close_bypass = true, &owned);
        assert_eq!(home.judge(canary), expected, "{allow}");
        assert_ne!(home.judge("www.icloud.com"), "block: canary");
    }
    // A type that nobody asks for is opened with the name.
    let closing = config::WaysRound {
        unusual_types: true,
        ..config::WaysRound::default()
    };
    let owned = [(RuleOwner::Household, rules(&["example.org"], &[]))];
    let home = Home::new(|profile| profile.ways_round = closing, &owned);
    let verdict = judge_name(name("t.example.org").as_ref(), 10, &home.view());
    assert_eq!(verdict.label(), "allow");
}

#[test]
fn keys_are_needed_down_to_what_is_registered_and_no_further() {
    let young = |profile: &mut config::Profile| {
        profile.allow_only = true;
        profile.allow_lists = vec!["children".to_owned()];
    };
    let home = Home::new(young, &[]);
    for (asked, qtype, is_open) in [
        ("example.org", rtype::DNSKEY, true),
        ("org", rtype::DS, true),
        ("example.co.uk", rtype::DS, true),
        ("data.example.org", rtype::DNSKEY, false),
        ("data.example.org", rtype::DS, false),
        ("data.abc.me", rtype::DNSKEY, false),
        ("www.fonts.example", rtype::DNSKEY, true),
        ("example.org", rtype::A, false),
    ] {
        let verdict = judge_name(name(asked).as_ref(), qtype, &home.view());
        assert_eq!(!verdict.is_block(), is_open, "{asked} {qtype}");
    }
}

#[test]
fn a_name_that_points_to_a_public_resolver_is_blocked_where_ways_round_are_closed() {
    let closed = Home::new(|profile| profile.close_bypass = true, &[]);
    let open = Home::new(|_| {}, &[]);
    let facts = [Fact::SvcbHint("9.9.9.9".parse().unwrap())];
    let verdict = closed.judge_facts("mine.example", &facts);
    assert!(verdict.is_block());
    assert_eq!(
        verdict.reason().to_string(),
        "encrypted-dns (list resolver-addresses), found in the answer (svcb-hint)"
    );
    assert!(!open.judge_facts("mine.example", &facts).is_block());
    assert!(!closed.judge_facts("help.example", &facts).is_block());
}

#[test]
fn unusual_types_are_closed_by_their_switch() {
    let closing = config::WaysRound {
        unusual_types: true,
        ..config::WaysRound::default()
    };
    let closed = Home::new(|profile| profile.ways_round = closing, &[]);
    let asked = name("t.example");
    let verdict = |qtype, home: &Home| judge_name(asked.as_ref(), qtype, &home.view()).label();
    assert_eq!(verdict(10, &closed), "block");
    assert_eq!(verdict(65_399, &closed), "block");
    assert_eq!(verdict(16, &closed), "allow");
    assert_eq!(verdict(10, &Home::new(|_| {}, &[])), "allow");
    let asked = name("help.example");
    let verdict = judge_name(asked.as_ref(), 10, &closed.view());
    assert_eq!(verdict.label(), "allow", "a lifeline stays open");
}
