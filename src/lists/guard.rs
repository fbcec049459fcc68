//! Refusing a list that would do more harm than good.
//!
//! A stub for the signatures; see below.

/// What a new version of a list must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// By what factor a list may shrink or grow from one version to the next; 0 for any.
    pub max_change: u64,
    /// The most lines in a hundred that need not be understood.
    pub max_bad_percent: u8,
    /// How many protected names a list may name before it is refused; those are only dropped.
    pub max_protected: u64,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            max_change: 10,
            max_bad_percent: 50,
            max_protected: 3,
        }
    }
}
