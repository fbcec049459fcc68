//! The keyed hash of our own tables in memory: fast, and different in every process, so that nobody
//! outside can choose what meets in one place.
//!
//! For tables that compare their keys, where a meeting costs a look and nothing else. Where the hash
//! itself stands for what was hashed, SipHash does.

use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

/// Makes hashers, all with one process's key.
pub type Keyed = SeedableRandomState;
/// A map whose keys are hashed so.
pub type Map<K, V> = std::collections::HashMap<K, V, Keyed>;

/// This process's key and one more for this table.
pub fn keyed() -> Keyed {
    static SHARED: LazyLock<SharedSeed> = LazyLock::new(|| SharedSeed::from_u64(rand::random()));
    SeedableRandomState::with_seed(rand::random(), &SHARED)
}

/// An empty map.
pub fn map<K, V>() -> Map<K, V> {
    Map::with_hasher(keyed())
}
