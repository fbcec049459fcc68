//! Ids of devices: secrets by which they are known on encrypted connections, wherever they are.
//!
//! Whoever shows one is taken for the device, so nobody must be able to guess it, and it must fit
//! into a server's name and into the path of a URL. So it is one label of a DNS name in the letters
//! of base32 (RFC 4648 section 6), lower case.

use rand::RngExt as _;

/// Characters of an id that we make: five bits each, 130 in all.
const LENGTH: usize = 26;
/// The longest label of a name (RFC 1035 section 2.3.4).
const MAX_LENGTH: usize = 63;
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdError {
    /// Somebody could try them all.
    #[error("has {found} characters; at least {LENGTH} cannot be guessed")]
    Short {
        /// How many it has.
        found: usize,
    },
    /// It is no label of a name.
    #[error("has {found} characters; at most {MAX_LENGTH} fit into a name")]
    Long {
        /// How many it has.
        found: usize,
    },
    /// Something that is no letter of base32.
    #[error("holds `{}`; an id is made of a to z and 2 to 7", .found.escape_debug())]
    Letter {
        /// The first that is none.
        found: char,
    },
    /// A row or a repetition: no generator made it.
    #[error("can be guessed: too few different characters, or too many in a row")]
    Guessable,
}

/// Whether `id` can be the id of a device.
///
/// # Errors
/// Why it cannot.
pub fn check_client_id(id: &str) -> Result<(), ClientIdError> {
    let mut letters = id.chars();
    let is_letter = |it: &char| matches!(it, 'a'..='z' | '2'..='7');
    if let Some(found) = letters.find(|it| !is_letter(it)) {
        return Err(ClientIdError::Letter { found });
    }
    match id.len() {
        found @ ..LENGTH => Err(ClientIdError::Short { found }),
        found @ MAX_LENGTH.. if found > MAX_LENGTH => Err(ClientIdError::Long { found }),
        _ if is_guessable(id.as_bytes()) => Err(ClientIdError::Guessable),
        _ => Ok(()),
    }
}

/// Whether a person's habits show in it. Of random ids of 26 characters one in 10^9 would look so.
fn is_guessable(id: &[u8]) -> bool {
    /// Different characters; random ids have 18 on average.
    const FEWEST: usize = 9;
    let mut seen = id.to_vec();
    seen.sort_unstable();
    seen.dedup();
    let near = |pair: &&[u8]| pair[0].abs_diff(pair[1]) <= 1;
    let in_rows = id.windows(2).filter(near).count();
    seen.len() < FEWEST || in_rows * 2 > id.len() || id.windows(2 * 8).any(is_repetition)
}

/// Whether the second half says what the first said.
fn is_repetition(part: &[u8]) -> bool {
    let (first, second) = part.split_at(part.len() / 2);
    first == second
}

/// An id that nobody can guess: 130 bits of the system's generator.
pub fn new_client_id() -> String {
    let mut random = rand::rng();
    loop {
        let letter = |_| char::from(LETTERS[usize::from(random.random::<u8>() % 32)]);
        let id: String = (0..LENGTH).map(letter).collect();
        if check_client_id(&id).is_ok() {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_guessed_is_no_id() {
        use ClientIdError::*;
        let good = "mzxw6ytboi5hk3tpojsxg5dbnq";
        assert_eq!(check_client_id(good), Ok(()));
        for (id, error) in [
            ("", Short { found: 0 }),
            ("tablet", Short { found: 6 }),
            (&good[1..], Short { found: 25 }),
            (&good.repeat(3), Long { found: 78 }),
            ("MZXW6YTBOI5HK3TPOJSXG5DBNQ", Letter { found: 'M' }),
            ("mzxw6ytboi5hk3tpojsxg5dbn0", Letter { found: '0' }),
            ("mias-tablet", Letter { found: '-' }),
            ("tablet.mzxw6ytboi5hk3tpojsx", Letter { found: '.' }),
            ("abcdefghijklmnopqrstuvwxyz", Guessable),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaa", Guessable),
            ("tablettablettablettablettablet", Guessable),
            ("mzxw6ytbmzxw6ytbmzxw6ytbmz", Guessable),
        ] {
            assert_eq!(check_client_id(id), Err(error), "{id}");
        }
    }

    #[test]
    fn new_ids_are_ids_and_never_the_same() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new_client_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| check_client_id(id).is_ok()));
        let letters: std::collections::HashSet<_> = ids.iter().flat_map(|id| id.chars()).collect();
        assert_eq!(letters.len(), 32);
    }
}
