//! What can be wrong with a pattern.

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// Longer than any pattern somebody wrote by hand.
    #[error("the pattern has {0} octets; {max} is the most", max = super::MAX_TEXT)]
    TooLong(usize),
    /// It cannot be read.
    #[error("the pattern cannot be read at octet {at}: {what}")]
    Syntax {
        /// Where, from 1.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// It asks for what a search in linear time cannot do, or what no name can have.
    #[error("not supported in a pattern: {0}")]
    Unsupported(&'static str),
    /// Too many steps once compiled, as in `((a{100}){100}){100}`.
    #[error("the pattern is too complex: it has more than {max} steps", max = super::MAX_STEPS)]
    TooComplex,
    /// It says something about every name there is.
    #[error("the pattern matches every name")]
    Everything,
    /// All lists together have too many.
    #[error("more than {0} patterns in all lists")]
    TooMany(usize),
    /// All lists together have too many that must be tried for every name.
    #[error("more than {0} patterns that have to be tried for every name")]
    TooManyAlways(usize),
    /// All lists together have too many steps that must be tried for every name.
    #[error("the patterns that have to be tried for every name have more than {0} steps")]
    TooManyAlwaysSteps(usize),
    /// All lists together have too many that are looked for alike.
    #[error(
        "more than {0} patterns in all lists, or more than its part of them in this one, that are looked for by the same letters"
    )]
    TooManyAlike(usize),
    /// All lists together have too many steps.
    #[error("the patterns of all lists have more than {0} steps")]
    TooManySteps(usize),
}
