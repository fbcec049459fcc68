//! Words people give: reasons, names, times.

use std::time::Duration;

use jiff::ToSpan;

use crate::clock::Timestamp;
use crate::schedule::{Zone, minute_of_day};

/// `text` without what would move a cursor or spoil a line, cut to `max_bytes` at a letter.
pub fn bounded_words(text: &str, max_bytes: usize) -> String {
    let mut words = String::new();
    for letter in text.trim().chars() {
        let letter = if is_harmless(letter) { letter } else { ' ' };
        if words.len() + letter.len_utf8() > max_bytes {
            break;
        }
        words.push(letter);
    }
    words
}

/// Whether a letter is only what it looks like: no control character, none that turns the
/// direction of the text round or joins lines.
fn is_harmless(letter: char) -> bool {
    !letter.is_control()
        && !matches!(
            u32::from(letter),
            0x200e | 0x200f | 0x2028..=0x202e | 0x2066..=0x2069 | 0xfeff
        )
}

/// When something ends that is to last `for_how_long`, or until a time in words: one of RFC 3339,
/// or what `named` knows (`21:30`, `tomorrow`, a schedule such as `bedtime`).
///
/// # Errors
/// In words, without a full stop.
pub fn resolve_until(
    for_how_long: Option<Duration>,
    until: Option<&str>,
    now: Timestamp,
    named: impl FnOnce(&str) -> Result<Timestamp, String>,
) -> Result<Timestamp, String> {
    match (for_how_long, until) {
        (Some(_), Some(_)) => Err("both `for` and `until` are given".to_owned()),
        (None, None) => Err("neither `for` nor `until` is given".to_owned()),
        (Some(time), None) => now
            .checked_add(time)
            .map_err(|_| "that is too long".to_owned()),
        (None, Some(text)) => match text.parse() {
            Ok(time) => Ok(time),
            Err(_) => named(text),
        },
    }
}

/// The next time that the clocks of `zone` show what `word` says: `21:30`, or `tomorrow` for the
/// moment it begins; none if it says something else.
pub fn time_of_day(word: &str, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let today = zone.clock_at(now).date();
    let tomorrow = today.checked_add(1.day()).ok()?;
    if word == "tomorrow" {
        return Some(zone.moment_of(tomorrow.at(0, 0, 0, 0)));
    }
    let minute = minute_of_day(word).ok()?;
    let (hour, minute) = (minute / 60, minute % 60);
    let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
    let moments = [today, tomorrow].map(|date| zone.moment_of(date.at(hour, minute, 0, 0)));
    moments.into_iter().find(|moment| *moment > now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let zone = "CET-1CEST,M3.5.0,M10.5.0/3";
        let zone = Zone::parse(zone, &MemoryFiles::new().files()).unwrap();
        let next = |word: &str, now: &str| {
            let moment = time_of_day(word, now.parse().unwrap(), &zone);
            moment.map(|it| it.to_string()).unwrap_or_default()
        };
        let noon = "2026-12-01T11:00:00Z";
        assert_eq!(next("21:30", noon), "2026-12-01T20:30:00Z");
        assert_eq!(next("12:00", noon), "2026-12-02T11:00:00Z");
        assert_eq!(next("tomorrow", noon), "2026-12-01T23:00:00Z");
        // The night clocks are put forward.
        assert_eq!(
            next("07:00", "2027-03-27T22:00:00Z"),
            "2027-03-28T05:00:00Z"
        );
        assert_eq!(next("bedtime", noon), "");
        assert_eq!(next("24:30", noon), "");
    }

    #[test]
    fn words_are_cut_at_a_letter_and_cannot_move_a_cursor() {
        assert_eq!(bounded_words("  homework\u{1b}[2J\n", 64), "homework [2J");
        assert_eq!(bounded_words("äöü", 5), "äö");
        assert_eq!(bounded_words("a\u{202e}b", 64), "a b");
    }

    #[test]
    fn an_end_is_said_in_one_way() {
        let now: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let until = |time, text| {
            let named = |word: &str| Err(format!("`{word}` is no time"));
            resolve_until(time, text, now, named).map(|it| it.to_string())
        };
        let half_hour = Some(Duration::from_secs(1800));
        assert_eq!(until(half_hour, None).unwrap(), "2026-12-01T12:30:00Z");
        assert_eq!(
            until(None, Some("2026-12-01T14:00:00+01:00")).unwrap(),
            "2026-12-01T13:00:00Z"
        );
        assert_eq!(until(None, Some("noon")).unwrap_err(), "`noon` is no time");
        assert!(until(half_hour, Some("noon")).is_err());
        assert!(until(None, None).is_err());
    }
}
