//! Names that outlive reloads: the labels of devices, profiles, categories and lists.
//!
//! A [`crate::policy::Reason`] travels through log, counters and statistics long after the
//! snapshot that produced it was replaced. So that it can be copied without a reference count that
//! all workers fight over, the few words it consists of are kept once for the life of the process.
//! Only words an admin wrote (or that came with the program) are interned, never a word from the
//! network, so the pool grows with edits of the configuration and with nothing else.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

static POOL: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

/// The one copy of `word` that lives as long as the process.
pub fn intern(word: &str) -> &'static str {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = pool.get(word) {
        return known;
    }
    let kept: &'static str = Box::leak(word.into());
    pool.insert(kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_word_is_kept_once() {
        let first = intern(&String::from("tablet"));
        let second = intern(&String::from("tablet"));
        assert!(std::ptr::eq(first, second));
    }
}
