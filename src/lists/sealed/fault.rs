//! What can be wrong with sealed lists. Nothing here repeats a name, a key or a fingerprint.

/// Why a line of a sealed list says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedLineFault {
    /// It is neither a field of the head nor a fingerprint.
    #[error("neither a field of the head nor a fingerprint of 20 hexadecimal digits")]
    NoFingerprint,
    /// A field behind the first fingerprint.
    #[error("a field of the head behind the first fingerprint")]
    LateField,
    /// The fingerprints are not in ascending order.
    #[error("the fingerprint is not greater than the one before it")]
    NotSorted,
}

/// Why a sealed list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedFault {
    /// The first field is not `sealed`.
    #[error("not a sealed list: the first line must be `sealed: 1`")]
    NotSealed,
    /// A version this program does not know.
    #[error("a sealed list of version {0}; this program reads version 1")]
    Version(u32),
    /// A field that must be there.
    #[error("the head has no field `{0}`")]
    Missing(&'static str),
    /// A field that is there twice.
    #[error("the head has the field `{0}` twice")]
    Twice(&'static str),
    /// A field whose value cannot be read; it is not repeated, since it may be the key.
    #[error("the value of the field `{field}` is not {expected}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A hash this program does not know.
    #[error("the names are sealed with a hash this program does not know")]
    Hash,
    /// A field that must be understood and is not.
    #[error("the head demands something this program does not know")]
    Demand,
    /// The key is not the one whose id stands in the head.
    #[error("the key does not fit the `key-id` of the head")]
    KeyId,
    /// A line that says nothing.
    #[error("a line of the list cannot be used: {0}")]
    Line(#[from] SealedLineFault),
    /// Lost or added fingerprints.
    #[error("{found} fingerprints where the head promises {promised}; the list is not whole")]
    Count {
        /// How many the head promises.
        promised: u64,
        /// How many there are.
        found: u64,
    },
}

/// Why names cannot be sealed. Names are told by their place, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// One label: everything under a top-level domain.
    #[error("name {0} is a top-level domain")]
    TopLevel(usize),
    /// More labels than are looked for.
    #[error("name {0} has more than {max} labels", max = super::key::MAX_LABELS)]
    TooDeep(usize),
    /// A field of the head that holds a control character or is empty.
    #[error("the field `{0}` is empty or holds a control character")]
    Field(&'static str),
}
