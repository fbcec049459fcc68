//! Why something is blocked, in words a child understands, in the languages of `lang/`.
//!
//! The sentences are text in the binary and are handed out where they stand: a file's sentence is
//! between quotes, holds none itself and no escape, so that it can go into JSON as it is.

use std::sync::LazyLock;

use crate::verdict::{Cause, Reason, Tier};

/// The sentences of one language.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// Its tag (RFC 5646).
    pub tag: &'static str,
    sentences: [&'static str; Sentence::ALL.len()],
}

impl Language {
    /// The language with this tag.
    pub fn find(tag: &str) -> Option<&'static Self> {
        LANGUAGES.iter().find(|language| language.tag == tag)
    }

    /// What is spoken unless somebody chose.
    pub fn english() -> &'static Self {
        &LANGUAGES[0]
    }

    /// The sentence that says it.
    pub const fn say(&self, sentence: Sentence) -> &'static str {
        self.sentences[sentence as usize]
    }

    fn read(tag: &'static str, text: &'static str) -> Self {
        let sentence = |sentence: Sentence| {
            let of_key = |line: &'static str| {
                let (key, value) = line.split_once(" = ")?;
                (key == sentence.key()).then(|| value.trim_matches('"'))
            };
            // A file that lacks one fails the tests below.
            text.lines().find_map(of_key).unwrap_or_default()
        };
        Self {
            tag,
            sentences: Sentence::ALL.map(sentence),
        }
    }
}

/// The tags of all languages, English first.
pub const TAGS: [&str; 10] = ["en", "ar", "de", "es", "fr", "hi", "pt", "ru", "vi", "zh"];

const FILES: [&str; TAGS.len()] = [
    include_str!("../lang/en.toml"),
    include_str!("../lang/ar.toml"),
    include_str!("../lang/de.toml"),
    include_str!("../lang/es.toml"),
    include_str!("../lang/fr.toml"),
    include_str!("../lang/hi.toml"),
    include_str!("../lang/pt.toml"),
    include_str!("../lang/ru.toml"),
    include_str!("../lang/vi.toml"),
    include_str!("../lang/zh.toml"),
];

static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| {
    let pairs = TAGS.into_iter().zip(FILES);
    pairs.map(|(tag, text)| Language::read(tag, text)).collect()
});

/// What can be said.
macro_rules! sentences {
    ($($variant:ident = $key:literal, $headline:literal;)*) => {
        /// What can be said about a block; `lang/README.md` says when which is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sentence {
            $(#[doc = $headline] $variant,)*
        }

        impl Sentence {
            /// All of them, in the order of the files.
            pub const ALL: [Self; [$($key),*].len()] = [$(Self::$variant),*];

            /// Its key in the files.
            pub const fn key(self) -> &'static str {
                match self {
                    $(Self::$variant => $key,)*
                }
            }
        }
    };
}

sentences! {
    Adult = "adult", "For adults.";
    Gambling = "gambling", "Games about money.";
    Drugs = "drugs", "Drugs.";
    Violence = "violence", "Violence.";
    SelfHarm = "self-harm", "What could lead to harm.";
    Extremism = "extremism", "Hate.";
    Dating = "dating", "Looking for a partner.";
    Chat = "chat", "Talking to strangers.";
    SocialMedia = "social-media", "Social networks.";
    Games = "games", "Games.";
    Video = "video", "Videos.";
    Search = "search", "A search engine without a safe form.";
    WayRound = "way-round", "A way round the rules.";
    Malware = "malware", "What damages a device.";
    Phishing = "phishing", "What steals passwords.";
    Ads = "ads", "Advertising and trackers.";
    Other = "other", "A list of another category.";
    Rule = "rule", "A rule of the family.";
    AllowOnly = "allow-only", "Not among the chosen pages.";
    Unsure = "unsure", "A list is missing.";
    Rebinding = "rebinding", "A public name that leads into the home.";
    Law = "law", "Closed by law.";
    LookAlike = "look-alike", "Looks like a closed name.";
    OddQuestion = "odd-question", "Nothing that ordinary programs ask.";
    Tunnel = "tunnel", "Data hidden in names.";
    UnusualName = "unusual-name", "A name that nobody would type.";
    Schedule = "schedule", "Not at this time.";
    Quota = "quota", "The time is used up.";
    Pause = "pause", "A break.";
}

impl Sentence {
    /// What there is to say about a block.
    pub fn about(reason: &Reason) -> Self {
        // What a sealed list is about is nobody's business.
        if reason.tier == Tier::Sealed {
            return Self::Law;
        }
        match reason.cause {
            Cause::List { category, .. } | Cause::Service { category, .. } => {
                Self::about_category(category)
            }
            Cause::Schedule { .. } => Self::Schedule,
            Cause::Quota { .. } => Self::Quota,
            Cause::Pause { .. } => Self::Pause,
            Cause::Rule { .. } => Self::Rule,
            Cause::AllowOnly => Self::AllowOnly,
            Cause::Canary => Self::WayRound,
            Cause::Unsure { .. } | Cause::Unreadable => Self::Unsure,
            Cause::Rebinding => Self::Rebinding,
            Cause::LookAlike { .. } => Self::LookAlike,
            Cause::UnusualType => Self::OddQuestion,
            Cause::Tunnel => Self::Tunnel,
            Cause::UnusualName => Self::UnusualName,
            // These block nothing.
            Cause::Unlisted
            | Cause::SafeSearch { .. }
            | Cause::SpecialUse
            | Cause::OpenService { .. }
            | Cause::Grant { .. } => Self::Other,
        }
    }

    /// What there is to say about a name on a list of `category`.
    pub fn about_category(category: &str) -> Self {
        match category {
            "proxy" | "vpn" | "encrypted-dns" => Self::WayRound,
            "unsafe-search" => Self::Search,
            "ads" | "trackers" => Self::Ads,
            _ => Self::ALL[..=Self::Video as usize]
                .iter()
                .chain([&Self::Malware, &Self::Phishing])
                .copied()
                .find(|sentence| sentence.key() == category)
                .unwrap_or(Self::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Trigger;

    #[test]
    fn every_language_says_everything_in_the_same_order_and_no_more() {
        for (tag, text) in TAGS.into_iter().zip(FILES) {
            let table: toml::Table = text.parse().unwrap();
            assert_eq!(table["language"].as_str(), Some(tag));
            assert_eq!(table.len(), Sentence::ALL.len() + 1, "{tag}");
            let keys = text.lines().filter_map(|line| line.split_once(" = "));
            let keys: Vec<&str> = keys.map(|(key, _)| key).skip(1).collect();
            assert_eq!(keys, Sentence::ALL.map(Sentence::key), "{tag}");
            // The short way to read it gives what the long way gives.
            for sentence in Sentence::ALL {
                let said = Language::find(tag).unwrap().say(sentence);
                assert_eq!(table[sentence.key()].as_str(), Some(said), "{tag}");
            }
        }
        assert_eq!(Language::english().tag, "en");
        assert_eq!(Language::find("xx"), None);
    }

    #[test]
    fn every_sentence_is_short_and_can_stand_in_json_as_it_is() {
        for language in LANGUAGES.iter() {
            for sentence in Sentence::ALL {
                let said = language.say(sentence);
                let place = format!("{} {}", language.tag, sentence.key());
                assert!((5..=100).contains(&said.chars().count()), "{place}");
                assert!(said.len() <= 240, "{place}: {}", said.len());
                assert!(said.ends_with(['.', '。', '।']), "{place}");
                let json = serde_json::to_string(said).unwrap();
                assert_eq!(json, format!("\"{said}\""), "{place}");
            }
        }
    }

    #[test]
    fn no_two_languages_say_the_same() {
        for sentence in Sentence::ALL {
            let mut said: Vec<&str> = LANGUAGES.iter().map(|it| it.say(sentence)).collect();
            said.sort_unstable();
            said.dedup();
            assert_eq!(said.len(), TAGS.len(), "{}", sentence.key());
        }
    }

    #[test]
    fn each_category_has_its_sentence_and_a_sealed_one_has_none() {
        let about = |tier, category| {
            let cause = Cause::List {
                list: "l",
                category,
                labels: 2,
            };
            let trigger = Trigger::Qname;
            Sentence::about(&Reason {
                tier,
                cause,
                trigger,
            })
        };
        for (category, expected) in [
            ("adult", Sentence::Adult),
            ("video", Sentence::Video),
            ("vpn", Sentence::WayRound),
            ("trackers", Sentence::Ads),
            ("phishing", Sentence::Phishing),
            ("tunnel", Sentence::Other),
            ("our-own", Sentence::Other),
        ] {
            assert_eq!(about(Tier::ChildSafety, category), expected, "{category}");
            assert_eq!(about(Tier::Sealed, category), Sentence::Law, "{category}");
        }
    }
}
