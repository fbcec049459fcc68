//! What a schedule, a quota, a grant or a request is about.

use std::fmt;

use super::rules::{RuleError, parse_rule};
use super::{Pattern, Rule};

/// The word for [`Subject::Everything`].
const EVERYTHING: &str = "everything";

/// What a schedule, a quota, a grant or a request is about.
///
/// It is written as one word: `everything`, the id of a category (`games`) or of a service
/// (`roblox`), or a name as in a rule (`example.org`, `=example.org`, `*.example.org`). Ids have no
/// dot, names have one, and no service is called like a category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All names but lifelines.
    Everything,
    /// A category and the services in it.
    Category(String),
    /// A service.
    Service(String),
    /// Names, as in a rule.
    Name(Box<Rule>),
}

/// Why a word is no subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// No dot in it, and neither a category nor a service is called so.
    #[error("neither a category nor a service, and no name with a dot")]
    Unknown,
    /// A name that is no rule.
    #[error("{0}")]
    Name(String),
}

impl From<RuleError> for SubjectError {
    fn from(error: RuleError) -> Self {
        Self::Name(error.to_string())
    }
}

impl Subject {
    /// Reads a word, where `is_category` and `is_service` tell which ids there are.
    ///
    /// # Errors
    /// When it is neither an id that is known nor a name.
    pub fn parse(
        word: &str,
        is_category: impl FnOnce(&str) -> bool,
        is_service: impl FnOnce(&str) -> bool,
    ) -> Result<Self, SubjectError> {
        let word = word.trim();
        if word == EVERYTHING {
            return Ok(Self::Everything);
        }
        if word.contains('.') {
            return Ok(Self::Name(Box::new(parse_rule(word)?)));
        }
        let id = word.to_ascii_lowercase();
        if is_category(&id) {
            return Ok(Self::Category(id));
        }
        if is_service(&id) {
            return Ok(Self::Service(id));
        }
        Err(SubjectError::Unknown)
    }

    /// Whether both are the same, wherever and however they are written.
    pub fn means_same(&self, other: &Self) -> bool {
        match (self.pattern(), other.pattern()) {
            (Some(one), Some(other)) => one == other,
            _ => self == other,
        }
    }

    /// The names it means, where it means some by themselves.
    pub fn pattern(&self) -> Option<&Pattern> {
        match self {
            Self::Name(rule) => Some(&rule.pattern),
            Self::Everything | Self::Category(_) | Self::Service(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    /// The word that is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everything => EVERYTHING,
            Self::Category(id) | Self::Service(id) => id,
            Self::Name(rule) => &rule.text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(word: &str) -> Result<Subject, SubjectError> {
        Subject::parse(word, |id| id == "games", |id| id == "roblox")
    }

    #[test]
    fn a_word_is_one_of_four() {
        assert_eq!(parse("everything"), Ok(Subject::Everything));
        assert_eq!(parse("Games"), Ok(Subject::Category("games".into())));
        assert_eq!(parse(" roblox"), Ok(Subject::Service("roblox".into())));
        let name = parse("*.example.org").unwrap();
        assert!(matches!(name.pattern(), Some(Pattern::Below(_))));
        assert_eq!(parse("robloks"), Err(SubjectError::Unknown));
        assert!(matches!(parse("a..b"), Err(SubjectError::Name(_))));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for word in [
            "everything",
            "games",
            "roblox",
            "=example.org",
            "cdn*.example.org",
        ] {
            let subject = parse(word).unwrap();
            assert_eq!(subject.to_string(), word);
            assert_eq!(parse(&subject.to_string()), Ok(subject));
        }
    }
}
