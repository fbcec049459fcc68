//! What holds for any bytes that come from the kernel's routing tables.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

use hedgerow::evidence::netlink::wire::{Message, Messages, Word};

/// Nothing panics; every message takes the room of a header; what was read of a datagram does not
/// depend on what follows.
pub(crate) fn check(bytes: &[u8]) {
    let said: Vec<_> = Messages::new(bytes).collect();
    assert!(said.len() <= bytes.len().div_ceil(16), "{}", said.len());
    let lost = said.iter().position(|it| *it == Message::Lost);
    for message in &said {
        if let Message::Neighbour(neighbour) = message
            && let Word::Is(mac) = neighbour.word
        {
            assert_eq!(mac.octets()[0] & 1, 0, "a group's address");
        }
    }
    let mut longer = bytes.to_vec();
    longer.resize(bytes.len().next_multiple_of(4), 0);
    if lost.is_none() {
        longer.extend([0; 3]);
        let again: Vec<_> = Messages::new(&longer).collect();
        assert_eq!(again[..said.len()], said);
        assert_eq!(again[said.len()..], [Message::Lost]);
    }
}
