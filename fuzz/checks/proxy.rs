//! What holds for any bytes that a load balancer begins a connection with.
//!
//! The fuzzer looks for bytes for which it does not; `tests/corpus.rs` runs it over the seeds.

use std::net::IpAddr;

use hedgerow::listener::proxy::{Header, MAX_HEADER};

/// Nothing panics; a header has the length it says, is read the same whatever follows it, is waited
/// for when it is cut, and holds the client that stands in it.
pub(crate) fn check(bytes: &[u8]) {
    let read = Header::read(bytes);
    let (header, length) = match read {
        Ok(Some(found)) => found,
        Ok(None) => {
            assert!(bytes.len() < MAX_HEADER, "what can still come is bounded");
            return;
        }
        Err(fault) => {
            // More octets make nothing better.
            let more = [bytes, &[0; 64]].concat();
            assert_eq!(Header::read(&more), Err(fault));
            return;
        }
    };
    let told = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    assert!(length == 16 + told && length <= bytes.len() && length <= MAX_HEADER);
    assert_eq!(Header::read(&bytes[..length]), Ok(Some((header, length))));
    assert_eq!(Header::read(&bytes[..length - 1]), Ok(None));
    let Header::Proxied { client, subscriber } = header else {
        assert_eq!(bytes[12], 0x20);
        return;
    };
    let at = &bytes[16..length];
    let expected = match bytes[13] >> 4 {
        0 => None,
        1 => at.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        _ => at
            .first_chunk::<16>()
            .map(|octets| IpAddr::from(*octets).to_canonical()),
    };
    assert_eq!(client, expected);
    if let Some(id) = subscriber {
        let id = id.octets();
        assert!((1..=64).contains(&id.len()));
        assert!(at.windows(id.len()).any(|window| window == id));
    }
}
