//! Sealed lists: fingerprints of names that nobody must read.
//!
//! A hotline hands out a *feed* ([`feed`]): a head and the fingerprints of its names, made with a
//! key ([`key`]). The compiler writes them into their section of the index ([`section`]), where
//! they are found by whoever has the key ([`view`]). A sealed name covers itself and everything
//! below it. `docs/sealed-lists.md` specifies the format and says what it protects against and
//! what not.
//!
//! Nothing here shows a name, a key or a fingerprint: not in an error, not with `{:?}`. What has
//! to be said names the list, a line's number or a key's id.

mod fault;
mod feed;
mod key;
mod section;
mod view;
mod walk;

pub use fault::{FeedFault, SealFault, SealedLineFault};
pub use feed::{Edition, FeedHead, FeedReader, HASH, KeyDelivery, is_feed, read_line, seal};
pub use key::{
    Day, KEYS_FILE, KeyId, MAX_KEYS, MAX_KEYS_FILE, MAX_LABELS, SealKey, SealKeys, SealKeysFault,
};
pub use section::{SealedList, SealedWriter};
pub use view::{Sealed, SealedHit, SealedInfo};

#[cfg(test)]
use key::hex;
#[cfg(test)]
mod tests;
