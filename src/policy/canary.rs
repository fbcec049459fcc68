//! Names by which software asks whether it may use a resolver of its own.

use crate::name::NameRef;

/// The names by which software asks whether it may use a resolver of its own (Firefox's canary,
/// Apple's private relay, Chrome's prefetch proxy). They must be answered "no such name"; a null address would mean yes.
pub(super) const CANARIES: [&[u8]; 7] = [
    b"\x13use-application-dns\x03net\x00",
    b"\x04mask\x06icloud\x03com\x00",
    b"\x07mask-h2\x06icloud\x03com\x00",
    b"\x08mask-api\x06icloud\x03com\x00",
    b"\x0bmask-canary\x06icloud\x03com\x00",
    b"\x04mask\x09apple-dns\x03net\x00",
    b"\x10dns-tunnel-check\x09googlezip\x03net\x00",
];

/// Whether `name` is one by which software asks whether it may use a resolver of its own; such a
/// name must never be answered with an address.
pub fn is_canary(name: NameRef<'_>) -> bool {
    CANARIES.contains(&name.as_wire())
}
