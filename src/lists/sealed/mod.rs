//! Sealed lists: fingerprints of names that nobody must read.

mod fault;
mod feed;
mod key;
mod section;
mod view;

pub use fault::{FeedFault, SealFault, SealedLineFault};
pub use feed::{Edition, FeedHead, FeedReader, HASH, KeyDelivery, is_feed, read_line, seal};
pub use key::{Day, KeyId, MAX_KEYS, MAX_LABELS, SealKey, SealKeys, SealKeysFault};
pub use section::{SealedList, SealedWriter};
pub use view::{Sealed, SealedHit, SealedInfo};
