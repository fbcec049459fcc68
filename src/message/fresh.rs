//! How long what we wrote may be kept, for transports that want to be told beside the message.

use super::wire::{HEADER, Record, WireError, read_u16, read_u32, rtype, skip_name};

/// How many seconds `message` may be kept: the smallest TTL of its answer, and where it has none that
/// of the SOA which says so (RFC 8484 section 5.1); 0 where nothing says how long.
pub fn freshness(message: &[u8]) -> u32 {
    smallest_ttl(message).ok().flatten().unwrap_or(0)
}

fn smallest_ttl(message: &[u8]) -> Result<Option<u32>, WireError> {
    let questions = read_u16(message, 4)?;
    let (answers, authorities) = (read_u16(message, 6)?, read_u16(message, 8)?);
    let mut at = HEADER;
    for _ in 0..questions {
        at = skip_name(message, at)? + 4;
    }
    let mut smallest: Option<u32> = None;
    for number in 0..u32::from(answers) + u32::from(authorities) {
        let record = Record::read(message, at)?;
        at = record.end;
        let is_answer = number < u32::from(answers);
        if !is_answer && (answers > 0 || record.rtype != rtype::SOA) {
            continue;
        }
        let mut ttl = record.ttl;
        if !is_answer {
            // MINIMUM is the last field (RFC 2308 section 5).
            ttl = ttl.min(read_u32(message, record.end.saturating_sub(4))?);
        }
        smallest = Some(smallest.map_or(ttl, |least| least.min(ttl)));
    }
    Ok(smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response to `a. A` with these records: whether each stands in the answer section, type, TTL
    /// and data.
    fn message(records: &[(bool, u16, u32, &[u8])]) -> Vec<u8> {
        let answers = records.iter().filter(|it| it.0).count() as u8;
        let authorities = records.len() as u8 - answers;
        let mut out = vec![0, 0, 0x81, 0x80, 0, 1, 0, answers, 0, authorities, 0, 0];
        out.extend(b"\x01a\0\0\x01\0\x01");
        for (_, rtype, ttl, data) in records {
            out.extend([0xc0, 12]);
            out.extend(rtype.to_be_bytes());
            out.extend([0, 1]);
            out.extend(ttl.to_be_bytes());
            out.extend((data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        out
    }

    #[test]
    fn an_answer_is_fresh_as_long_as_its_shortest_record() {
        let mut soa = vec![0; 22];
        soa[18..].copy_from_slice(&40_u32.to_be_bytes());
        for (records, seconds) in [
            (&[][..], 0),
            (&[(true, 1, 300, &[0; 4][..])], 300),
            (
                &[(true, 5, 300, &[1, b'b', 0][..]), (true, 1, 60, &[0; 4])],
                60,
            ),
            (&[(true, 1, 300, &[0; 4][..]), (false, 2, 7, &[0])], 300),
            (&[(false, 6, 90, &soa)], 40),
            (&[(false, 6, 30, &soa)], 30),
            (&[(false, 2, 30, &[0][..])], 0),
        ] {
            assert_eq!(freshness(&message(records)), seconds, "{records:?}");
        }
        assert_eq!(freshness(b"junk"), 0);
    }
}
