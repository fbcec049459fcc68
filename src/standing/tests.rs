//! What schedules, quotas, grants and pauses do to verdicts, in a small household.

use super::*;
use crate::config::{self, Config};
use crate::lists::{Effect, Entry, IndexBuilder, ListInfo, Reach};
use crate::message::{Fact, rtype};
use crate::name::Name;
use crate::policy::{
    Gate, RuleBook, RuleOwner, SafeSearch, View, judge_answer, judge_name, marks_of,
};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn subject(word: &str) -> Subject {
    let is_category = |id: &str| ["games", "video", "social-media", "adult"].contains(&id);
    Subject::parse(word, is_category, |id| {
        crate::lists::services::find(id).is_some()
    })
    .unwrap()
}

fn subjects(words: &[&str]) -> Vec<Subject> {
    words.iter().map(|word| subject(word)).collect()
}

/// A home with a child who may not play, and lists of every tier.
struct Home {
    lists: Index,
    rules: RuleBook,
    safe_search: SafeSearch,
    gate: Gate,
    profile: Profile,
    standing: Standing,
}

impl Home {
    fn new(written: &str, input: &StandingInput) -> Self {
        let mut builder = IndexBuilder::new();
        let mut add = |id: &'static str, category: &'static str, kind, tier, names: &[&str]| {
            let mut info = ListInfo::new(id, category, kind, tier);
            info.service = crate::lists::services::find(id).map(|service| service.title);
            let entries = names.iter().zip(1..).map(|(text, line)| {
                let entry = Entry {
                    name: name(text),
                    reach: Reach::Subtree,
                    effect: Effect::Listed,
                    modifiers: None,
                };
                (line, entry)
            });
            builder.add_list(info, entries).unwrap();
        };
        use ListKind::{Allow, Block, Lifeline, Sealed};
        use Tier::{ChildSafety, Security};
        add(
            "l-games",
            "games",
            Block,
            ChildSafety,
            &["games.example", "roblox.example"],
        );
        add(
            "l-video",
            "video",
            Block,
            ChildSafety,
            &["video.example", "tube.example"],
        );
        add(
            "l-social",
            "social-media",
            Block,
            ChildSafety,
            &["tube.example"],
        );
        add(
            "l-adult",
            "adult",
            Block,
            ChildSafety,
            &["adult.tube.example"],
        );
        add(
            "l-malware",
            "malware",
            Block,
            Security,
            &["bad.roblox.example"],
        );
        add(
            "l-life",
            "lifelines",
            Lifeline,
            Tier::Lifeline,
            &["help.example"],
        );
        add(
            "l-sealed",
            "sealed",
            Sealed,
            Tier::Sealed,
            &["sealed.roblox.example"],
        );
        add(
            "children",
            "children",
            Allow,
            ChildSafety,
            &["kids.example"],
        );
        add("roblox", "games", Block, ChildSafety, &["roblox.example"]);
        add(
            "minecraft",
            "games",
            Block,
            ChildSafety,
            &["blocks.example"],
        );
        add("youtube", "video", Block, ChildSafety, &["tube.example"]);
        add(
            "tiktok",
            "social-media",
            Block,
            ChildSafety,
            &["tok.example"],
        );
        let lists = builder.build();
        let usual = match written.contains("block = ") {
            true => "",
            false => "block = [\"adult\", \"malware\"]\n",
        };
        let text = format!("[profile.leo]\ninherits = \"adult\"\n{usual}{written}");
        let config = Config::parse(&text);
        let (id, profile) = (0..)
            .zip(&config.profiles)
            .find(|(_, profile)| profile.name == "leo")
            .unwrap();
        let rules = RuleBook::new([(RuleOwner::Profile(id), &profile.rules)]);
        let profile = Profile::compile(id, profile, &lists);
        let safe_search = SafeSearch::embedded().unwrap();
        Self {
            standing: Standing::compile(input, &profile, &lists),
            profile,
            gate: Gate::new(&rules, &safe_search),
            rules,
            lists,
            safe_search,
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
            device: None,
            device_name: None,
            client: None,
        }
    }

    fn judge(&self, text: &str) -> String {
        let verdict = judge_name(name(text).as_ref(), rtype::A, &self.view());
        format!("{}: {}", verdict.label(), verdict.reason().label())
    }

    fn assert(&self, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(self.judge(text), *expected, "{text}");
        }
    }
}

fn bedtime(close: &[&str], open: &[&str]) -> Closing {
    Closing {
        by: Closer::Schedule("bedtime".to_owned()),
        close: subjects(close),
        open: subjects(open),
        since: Some(Timestamp::from_second(1_000).unwrap()),
        until: Some(Timestamp::from_second(2_000).unwrap()),
    }
}

fn closed(closings: Vec<Closing>) -> StandingInput {
    StandingInput {
        closings,
        ..StandingInput::default()
    }
}

fn granting(mut input: StandingInput, words: &[&str]) -> StandingInput {
    for (made, word) in (1..).zip(words) {
        input.grants.push(Grant {
            subject: subject(word),
            made,
            since: None,
            until: None,
        });
    }
    input
}

fn pause(made: u64) -> Option<Pause> {
    Some(Pause {
        by: "parents".to_owned(),
        made,
        since: None,
        until: None,
    })
}

#[test]
fn without_any_word_all_is_as_the_profile_says() {
    let home = Home::new("block-names = [\"no.example\"]", &StandingInput::default());
    assert!(home.standing.is_plain());
    home.assert(&[
        ("games.example", "allow: unlisted"),
        ("adult.tube.example", "block: adult"),
        ("no.example", "block: rule"),
        ("help.example", "allow: lifelines"),
    ]);
    assert_eq!(home.standing.ttl_ceiling(Moment::default()), u32::MAX);
}

#[test]
fn bedtime_closes_everything_but_lifelines_what_it_leaves_open_and_the_households_word() {
    let input = closed(vec![bedtime(
        &["everything"],
        &["roblox", "lullaby.example"],
    )]);
    let home = Home::new(
        "allow = [\"clinic.example\"]\nallow-lists = [\"children\"]",
        &input,
    );
    home.assert(&[
        ("www.example", "block: schedule"),
        ("kids.example", "block: schedule"),
        ("blocks.example", "block: schedule"),
        ("help.example", "allow: lifelines"),
        ("a.lullaby.example", "allow: unlisted"),
        ("roblox.example", "allow: unlisted"),
        ("bad.roblox.example", "block: malware"),
        ("clinic.example", "allow: rule"),
        ("localhost", "allow: unlisted"),
    ]);
    let view = home.view();
    let dnskey = judge_name(name("www.example").as_ref(), rtype::DNSKEY, &view);
    assert!(!dnskey.is_block(), "keys open no site");
}

#[test]
fn a_closing_of_a_category_closes_its_services_and_one_of_a_service_only_that() {
    let home = Home::new("", &closed(vec![bedtime(&["games"], &[])]));
    home.assert(&[
        ("games.example", "block: schedule"),
        ("roblox.example", "block: schedule"),
        ("blocks.example", "block: schedule"),
        ("tube.example", "allow: unlisted"),
    ]);
    let home = Home::new("", &closed(vec![bedtime(&["roblox", "n.example"], &[])]));
    home.assert(&[
        ("roblox.example", "block: schedule"),
        ("games.example", "allow: unlisted"),
        ("x.n.example", "block: schedule"),
    ]);
}

#[test]
fn what_one_closing_leaves_open_another_may_close() {
    let homework = Closing {
        by: Closer::Quota("games".to_owned()),
        ..bedtime(&["games"], &[])
    };
    let home = Home::new(
        "",
        &closed(vec![bedtime(&["everything"], &["games"]), homework]),
    );
    home.assert(&[
        ("games.example", "block: quota"),
        ("www.example", "block: schedule"),
    ]);
}

#[test]
fn a_grant_of_a_name_opens_like_a_rule_and_no_sealed_list() {
    let home = Home::new(
        "block-names = [\"roblox.example\"]\nblock = [\"adult\", \"malware\", \"games\"]",
        &granting(
            closed(vec![bedtime(&["everything"], &[])]),
            &["roblox.example"],
        ),
    );
    home.assert(&[
        ("roblox.example", "allow: grant"),
        ("bad.roblox.example", "allow: grant"),
        ("sealed.roblox.example", "block: sealed"),
        ("games.example", "block: schedule"),
    ]);
}

#[test]
fn a_grant_of_a_service_opens_neither_security_nor_what_is_sealed() {
    let home = Home::new(
        "block-names = [\"roblox.example\"]\nblock = [\"games\", \"malware\"]",
        &granting(closed(vec![bedtime(&["everything"], &[])]), &["roblox"]),
    );
    home.assert(&[
        ("roblox.example", "allow: grant"),
        ("bad.roblox.example", "block: malware"),
        ("sealed.roblox.example", "block: sealed"),
        ("games.example", "block: schedule"),
    ]);
}

#[test]
fn a_grant_of_a_category_takes_back_its_lists_and_nothing_else() {
    let home = Home::new(
        "block-names = [\"no.games.example\"]\nblock = [\"games\", \"video\", \"social-media\"]",
        &granting(
            closed(vec![bedtime(&["everything", "games"], &[])]),
            &["games", "video"],
        ),
    );
    home.assert(&[
        ("games.example", "allow: unlisted"),
        ("blocks.example", "allow: unlisted"),
        ("video.example", "allow: unlisted"),
        ("tube.example", "block: social-media"),
        ("no.games.example", "block: rule"),
        ("www.example", "block: schedule"),
    ]);
}

#[test]
fn a_grant_of_everything_ends_closings_and_opens_no_category() {
    let home = Home::new(
        "block = [\"games\"]",
        &granting(
            closed(vec![bedtime(&["everything", "video"], &[])]),
            &["everything"],
        ),
    );
    home.assert(&[
        ("www.example", "allow: unlisted"),
        ("video.example", "allow: unlisted"),
        ("games.example", "block: games"),
    ]);
}

#[test]
fn a_pause_of_the_internet_holds_against_all_but_lifelines_and_what_was_granted_later() {
    let paused = |made| {
        let mut input = granting(StandingInput::default(), &["roblox", "later.example"]);
        input.internet_pause = pause(made);
        Home::new("allow = [\"clinic.example\"]", &input)
    };
    paused(9).assert(&[
        ("www.example", "block: pause"),
        ("clinic.example", "block: pause"),
        ("roblox.example", "block: pause"),
        ("help.example", "allow: lifelines"),
        ("sealed.roblox.example", "block: sealed"),
        ("router.home.arpa", "allow: unlisted"),
    ]);
    paused(1).assert(&[
        ("later.example", "allow: grant"),
        ("roblox.example", "block: pause"),
    ]);
    paused(0).assert(&[
        ("roblox.example", "allow: grant"),
        ("www.example", "block: pause"),
    ]);
}

#[test]
fn a_pause_of_the_filter_lifts_categories_and_not_what_is_above_or_beside_them() {
    let mut input = closed(vec![bedtime(&["games"], &[])]);
    input.filter_pause = pause(1);
    let home = Home::new(
        "block-names = [\"no.example\"]\nblock = [\"video\", \"malware\"]\nallow-only = true",
        &input,
    );
    home.assert(&[
        ("video.example", "allow: unlisted"),
        ("adult.tube.example", "allow: unlisted"),
        ("www.example", "allow: unlisted"),
        ("no.example", "block: rule"),
        ("bad.roblox.example", "block: schedule"),
        ("games.example", "block: schedule"),
        ("sealed.roblox.example", "block: sealed"),
    ]);
    let home = Home::new(
        "",
        &StandingInput {
            filter_pause: pause(1),
            ..StandingInput::default()
        },
    );
    home.assert(&[("bad.roblox.example", "block: malware")]);
}

#[test]
fn an_unblocked_service_is_let_through_other_categories_and_not_through_adult() {
    let written = "block = [\"video\", \"social-media\", \"adult\"]\nunblock = [\"youtube\"]";
    let home = Home::new(written, &StandingInput::default());
    home.assert(&[
        ("tube.example", "allow: open-service"),
        ("adult.tube.example", "block: adult"),
        ("video.example", "block: video"),
        ("tok.example", "block: social-media"),
    ]);
    let home = Home::new(written, &closed(vec![bedtime(&["video"], &[])]));
    home.assert(&[("tube.example", "block: schedule")]);
}

#[test]
fn a_service_can_be_blocked_by_itself() {
    let home = Home::new("block = [\"roblox\"]", &StandingInput::default());
    home.assert(&[
        ("roblox.example", "block: games"),
        ("games.example", "allow: unlisted"),
        ("blocks.example", "allow: unlisted"),
    ]);
    let verdict = judge_name(name("roblox.example").as_ref(), rtype::A, &home.view());
    assert_eq!(
        verdict.reason().to_string(),
        "Roblox (service roblox, category games)"
    );
}

#[test]
fn what_an_answer_leads_to_is_not_closed_by_a_closing_of_everything() {
    let input = closed(vec![bedtime(
        &["everything", "games"],
        &["lullaby.example"],
    )]);
    let home = Home::new("", &input);
    let asked = name("lullaby.example");
    let view = home.view();
    let allowed = judge_name(asked.as_ref(), rtype::A, &view).reason();
    for (target, expected) in [("cdn.example", false), ("games.example", true)] {
        let alias = name(target);
        let facts = [Fact::Cname(alias.as_ref())];
        let verdict = judge_answer(asked.as_ref(), rtype::A, facts, allowed, &view);
        assert_eq!(verdict.is_block(), expected, "{target}");
    }
}

#[test]
fn no_ttl_outlasts_the_span_nor_a_minute_of_what_is_counted() {
    let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
    let input = StandingInput {
        meters: vec![
            Meter {
                of: subjects(&["games"]),
                used_up_at: Some(at(40)),
                count: None,
            },
            Meter {
                of: subjects(&["video"]),
                used_up_at: None,
                count: None,
            },
        ],
        ends: Some(at(90)),
        ..StandingInput::default()
    };
    let home = Home::new("", &input);
    let ceiling = |text: &str, now| {
        let marks = marks_of(name(text).as_ref(), rtype::A, &home.view());
        let standing = &home.standing;
        let metered = standing.metered_ceiling(&marks, now);
        standing.ttl_ceiling(now).min(metered)
    };
    assert_eq!(ceiling("www.example", at(0)), 90);
    assert_eq!(ceiling("video.example", at(0)), 60);
    assert_eq!(ceiling("video.example", at(50)), 40);
    assert_eq!(ceiling("games.example", at(10)), 30);
    assert_eq!(ceiling("games.example", at(41)), 0);
    assert_eq!(ceiling("www.example", at(91)), 0);
}

#[test]
fn a_query_finds_its_span_and_a_late_renewal_opens_nothing() {
    let home = Home::new("", &StandingInput::default());
    let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
    let span = |ends, closings| StandingInput {
        closings,
        ends,
        ..StandingInput::default()
    };
    let mut inputs = vec![Vec::new(); usize::from(home.profile.id)];
    inputs.push(vec![
        span(Some(at(10)), vec![]),
        span(Some(at(20)), vec![bedtime(&["everything"], &[])]),
    ]);
    let config = Config::default_home();
    let mut profiles: Vec<Profile> = (0..home.profile.id)
        .zip(&config.profiles)
        .map(|(id, profile)| Profile::compile(id, profile, &home.lists))
        .collect();
    let id = home.profile.id;
    profiles.push(home.profile);
    let standings = Standings::compile(&profiles, &inputs, &home.lists);
    for (now, closed) in [(0, false), (9, false), (10, true), (19, true), (99, true)] {
        let standing = standings.at(id, None, at(now));
        assert_eq!(standing.may_close_everything(), closed, "{now}");
    }
    assert_eq!(standings.last_until(), Some(at(20)));
    assert_eq!(Standings::plain(&profiles).last_until(), None);
    assert!(Standings::plain(&profiles).at(id, None, at(5)).is_plain());
    let cause = Cause::Schedule {
        schedule: "bedtime",
        of: "everything",
    };
    let times = standings.at(id, None, at(15)).times_of(&cause).unwrap();
    assert_eq!(times.since.unwrap().as_second(), 1_000);
    assert_eq!(times.until.unwrap().as_second(), 2_000);
}

#[test]
fn more_closings_than_can_be_told_apart_are_closed_all_the_same() {
    let mut closings: Vec<Closing> = (0..MAX_MARKS + 3)
        .map(|number| bedtime(&[&format!("n{number}.example")], &[]))
        .collect();
    closings.push(bedtime(&["games"], &["games.example"]));
    let home = Home::new("", &closed(closings));
    assert_eq!(home.judge("n0.example"), "block: schedule");
    assert_eq!(home.judge("n66.example"), "block: schedule");
    assert_eq!(home.judge("games.example"), "block: schedule");
    assert_eq!(home.judge("www.example"), "allow: unlisted");
}

#[test]
fn what_a_closing_of_very_many_names_leaves_open_is_open() {
    let names: Vec<String> = (0..=MAX_MARKS)
        .map(|number| format!("n{number}.example"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let closings = vec![
        bedtime(&names, &["open.n64.example"]),
        bedtime(&["games"], &["games.example"]),
    ];
    let home = Home::new("", &closed(closings));
    assert_eq!(home.judge("n0.example"), "block: schedule");
    assert_eq!(home.judge("www.n64.example"), "block: schedule");
    assert_eq!(home.judge("open.n64.example"), "allow: unlisted");
    assert_eq!(home.judge("games.example"), "allow: unlisted");
}

#[test]
fn how_devices_see_that_there_is_a_network_stays_open_when_everything_is_closed() {
    let cases = [
        ("captive.apple.com", "allow: unlisted"),
        ("connectivitycheck.gstatic.com", "allow: unlisted"),
        ("www.msftconnecttest.com", "allow: unlisted"),
        ("help.example", "allow: lifelines"),
    ];
    let home = Home::new("", &closed(vec![bedtime(&["everything"], &[])]));
    home.assert(&cases);
    home.assert(&[
        ("www.apple.com", "block: schedule"),
        ("x.captive.apple.com", "block: schedule"),
    ]);
    let paused = StandingInput {
        internet_pause: pause(1),
        ..StandingInput::default()
    };
    let home = Home::new("", &paused);
    home.assert(&cases);
    home.assert(&[("www.apple.com", "block: pause")]);
    // The household's own word about the very name counts all the same.
    let home = Home::new("", &closed(vec![bedtime(&["captive.apple.com"], &[])]));
    home.assert(&[("captive.apple.com", "block: schedule")]);
}

#[test]
fn a_granted_category_is_open_where_nothing_but_the_allowlist_is() {
    let small = "allow-only = true\nallow-lists = [\"children\"]";
    let home = Home::new(small, &StandingInput::default());
    home.assert(&[("games.example", "block: allow-only")]);
    let home = Home::new(small, &granting(StandingInput::default(), &["games"]));
    home.assert(&[
        ("games.example", "allow: unlisted"),
        ("blocks.example", "allow: unlisted"),
        ("kids.example", "allow: children"),
        ("video.example", "block: allow-only"),
        ("bad.roblox.example", "block: malware"),
        ("sealed.roblox.example", "block: sealed"),
    ]);
}

impl Config {
    /// What `text` means; it is fine.
    fn parse(text: &str) -> Self {
        let files = crate::files::MemoryFiles::new();
        files.put("/etc/h.toml", text);
        let path = std::path::Path::new("/etc/h.toml");
        let loaded = config::load_with(&files.files(), path, &config::Overrides::default());
        let problems: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        let config = loaded.config;
        config.unwrap_or_else(|| panic!("{}", problems.join("\n")))
    }
}
