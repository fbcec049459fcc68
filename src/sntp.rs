//! The time from the network, where the machine has none: the client's side of SNTP (RFC 4330,
//! RFC 5905 section 14), and what several servers agree on.
//!
//! Nobody proves anything here: whoever sits on the line can answer in place of every server, and then
//! all that is left is the bound that no time may be before. So what comes of it is used only as long as
//! the machine's own clock shows a time that cannot be, is behind, or is ahead and something else says so
//! too, and is never remembered. A single server that is wrong, or lies, changes nothing: [`AGREE`] of them
//! have to say the same.
//!
//! Nothing here waits or opens a socket; the daemon does.

use std::time::Duration;

use crate::clock::{RELEASED, Timestamp};

/// Octets of a request, and of a reply without what may follow it.
pub const LENGTH: usize = 48;
/// Servers that have to agree.
pub const AGREE: usize = 3;
/// How far those who agree may be apart. A certificate and a bedtime need no more.
pub const APART: Duration = Duration::from_secs(10);
/// How long an answer may take: the time it shows is that much older at most.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Seconds between 1900, where NTP's count begins, and 1970.
const SINCE_1900: u64 = 2_208_988_800;
/// Seconds after which NTP's count begins anew: 2036 is the first time.
const ERA: u64 = 1 << 32;

/// A request: version 4, as a client, with `cookie` as the time it was sent. Servers repeat that, so
/// that whoever does not see the request cannot answer it; the true time would tell them ours.
pub fn request(cookie: [u8; 8]) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = 4 << 3 | 3;
    packet[40..].copy_from_slice(&cookie);
    packet
}

/// The time that `reply` to the request with `cookie` says, as it was when the reply left; none if it
/// is no reply to it, or its sender does not know the time.
pub fn read_reply(reply: &[u8], cookie: [u8; 8]) -> Option<Timestamp> {
    let packet: &[u8; LENGTH] = reply.first_chunk()?;
    let (leap, version, mode) = (packet[0] >> 6, packet[0] >> 3 & 7, packet[0] & 7);
    // Leap 3 and stratum 0 say that it does not know, the latter with a word why (RFC 5905 section 7.4).
    let is_one = mode == 4 && (3..=4).contains(&version) && leap != 3;
    let knows = (1..=15).contains(&packet[1]);
    if !is_one || !knows || packet[24..32] != cookie {
        return None;
    }
    let [a, b, c, d, fraction @ ..] = *packet.last_chunk::<8>()?;
    let seconds = u64::from(u32::from_be_bytes([a, b, c, d]));
    let fraction = u64::from(u32::from_be_bytes(fraction));
    if (seconds, fraction) == (0, 0) {
        return None;
    }
    // Of the times that a count may mean, the first since the release.
    let since_1970 = seconds + ERA * 2 - SINCE_1900;
    let since_release = since_1970.wrapping_sub(RELEASED) % ERA;
    let seconds = i64::try_from(RELEASED + since_release).ok()?;
    let micros = i64::try_from((fraction * 1_000_000) >> 32).ok()?;
    Timestamp::from_microsecond(seconds.checked_mul(1_000_000)? + micros).ok()
}

/// What [`AGREE`] of `said` or more agree on, all for the same instant: the middle of the largest
/// number of them that lie within [`APART`].
pub fn agreed(said: &[Timestamp]) -> Option<Timestamp> {
    let mut said = said.to_vec();
    said.sort_unstable();
    let apart = i64::try_from(APART.as_micros()).ok()?;
    let runs = (0..said.len()).map(|first| {
        let rest = &said[first..];
        let ends =
            rest.partition_point(|it| it.as_microsecond() - rest[0].as_microsecond() <= apart);
        &rest[..ends]
    });
    let most = runs.max_by_key(|run| run.len())?;
    (most.len() >= AGREE).then(|| most[most.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// What a good server says at `seconds` and a half of NTP's count.
    fn reply(seconds: u32) -> [u8; LENGTH] {
        let mut packet = [0; LENGTH];
        packet[0] = 4 << 3 | 4;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&COOKIE);
        packet[40..44].copy_from_slice(&seconds.to_be_bytes());
        packet[44] = 0x80;
        packet
    }

    /// 2026-12-01T12:00:00Z.
    const NOON: u32 = 4_005_115_200;

    #[test]
    fn a_request_tells_nothing_of_our_clock() {
        let packet = request(COOKIE);
        assert_eq!(packet[0], 0x23);
        assert_eq!(packet[1..40], [0; 39]);
        assert_eq!(packet[40..], COOKIE);
    }

    #[test]
    fn a_reply_is_read_across_the_end_of_an_era() {
        let at = |seconds| read_reply(&reply(seconds), COOKIE);
        assert_eq!(at(NOON), Some(time("2026-12-01T12:00:00.5Z")));
        assert_eq!(at(u32::MAX), Some(time("2036-02-07T06:28:15.5Z")));
        assert_eq!(at(0), Some(time("2036-02-07T06:28:16.5Z")));
        assert_eq!(at(1000), Some(time("2036-02-07T06:44:56.5Z")));
        // What follows is for others (RFC 5905 section 7.5).
        let mut long = reply(NOON).to_vec();
        long.extend([0; 20]);
        assert_eq!(read_reply(&long, COOKIE), at(NOON));
    }

    #[test]
    fn what_is_no_answer_to_us_says_nothing() {
        type Spoil = fn(&mut [u8; LENGTH]);
        let cases: [(&str, Spoil); 8] = [
            ("a client", |it| it[0] = 4 << 3 | 3),
            ("a broadcast", |it| it[0] = 4 << 3 | 5),
            ("version 2", |it| it[0] = 2 << 3 | 4),
            ("not in step", |it| it[0] |= 3 << 6),
            ("go away", |it| it[1] = 0),
            ("too far from any clock", |it| it[1] = 16),
            ("to another", |it| it[31] ^= 1),
            ("no time", |it| it[40..].fill(0)),
        ];
        let mut ran = 0;
        for (what, spoil) in cases {
            let mut packet = reply(NOON);
            spoil(&mut packet);
            assert_eq!(read_reply(&packet, COOKIE), None, "{what}");
            ran += 1;
        }
        assert_eq!(ran, 8);
        assert_eq!(read_reply(&reply(NOON)[..47], COOKIE), None);
    }

    #[test]
    fn three_have_to_agree_and_liars_are_outvoted() {
        let at = |seconds| time("2026-12-01T12:00:00Z") + jiff::SignedDuration::from_secs(seconds);
        assert_eq!(agreed(&[]), None);
        assert_eq!(agreed(&[at(0), at(1)]), None);
        assert_eq!(agreed(&[at(0), at(0), at(11)]), None, "one is off");
        assert_eq!(agreed(&[at(10), at(0), at(5)]), Some(at(5)));
        let said = [at(9999), at(1), at(0), at(-9999), at(2), at(9998)];
        assert_eq!(agreed(&said), Some(at(1)));
    }
}
