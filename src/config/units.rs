//! Sizes and times as people write them: `4 MiB`, `1.5s`, `10m`.

use std::time::Duration;

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnitError {
    /// No number in front.
    #[error("no number")]
    Number,
    /// A number, and nothing behind it that says of what.
    #[error("the unit is missing")]
    NoUnit,
    /// Something behind the number that is no unit.
    #[error("unknown unit")]
    Unit,
    /// More than can be counted.
    #[error("too large")]
    TooLarge,
}

/// The units of a size, in bytes.
const SIZES: [(&str, u64); 6] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
];

/// The units of a time, in milliseconds.
const TIMES: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads a size such as `4 MiB` or `0`.
pub(super) fn parse_size(text: &str) -> Result<u64, UnitError> {
    parse_amount(text, &SIZES)
}

/// Reads a size such as `4 MiB` that must be within `range`, as the command line takes it.
///
/// # Errors
/// What is wrong with it, in words.
pub fn size_of(text: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let size = parse_size(text).map_err(|error| format!("{error}; write it as in `24MiB`"))?;
    if range.contains(&size) {
        return Ok(size);
    }
    let (least, most) = (show_size(*range.start()), show_size(*range.end()));
    Err(format!("must be {least} to {most}"))
}

/// Reads a time such as `30m` or `1.5h`, as the command line takes it.
///
/// # Errors
/// What is wrong with it, in words.
pub fn duration_of(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// Reads a time such as `1.5s` or `0`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    parse_amount(text, &TIMES).map(Duration::from_millis)
}

/// Reads a number with up to three decimals and one of `units`; a bare 0 needs none.
fn parse_amount(text: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let thousandths = parse_thousandths(number)?;
    let unit = unit.trim_start();
    let factor = match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() && thousandths == 0 => 1,
        None if unit.is_empty() => return Err(UnitError::NoUnit),
        None => return Err(UnitError::Unit),
    };
    let amount = thousandths * u128::from(factor) / 1000;
    u64::try_from(amount).map_err(|_| UnitError::TooLarge)
}

/// `1.5` as 1500.
fn parse_thousandths(number: &str) -> Result<u128, UnitError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return Err(UnitError::Number);
    }
    let whole: u64 = whole.parse().map_err(|_| UnitError::TooLarge)?;
    let fraction: u64 = format!("{fraction:0<3}")
        .parse()
        .map_err(|_| UnitError::Number)?;
    Ok(u128::from(whole) * 1000 + u128::from(fraction))
}

/// A size as people read it.
pub(super) fn show_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0".to_owned();
    }
    for (name, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{} {name}", bytes / factor);
        }
    }
    format!("{bytes} B")
}

/// A time as people read it.
pub fn show_duration(time: Duration) -> String {
    let millis = time.as_millis();
    if millis == 0 {
        return "0".to_owned();
    }
    for (name, factor) in TIMES.iter().rev() {
        let factor = u128::from(*factor);
        if millis >= factor && millis.is_multiple_of(factor) {
            return format!("{}{name}", millis / factor);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("4 MiB", Ok(4 << 20)),
            ("4MiB", Ok(4 << 20)),
            ("1.5 KiB", Ok(1536)),
            ("0", Ok(0)),
            ("10 kB", Ok(10_000)),
            ("4", Err(UnitError::NoUnit)),
            ("4 MiBs", Err(UnitError::Unit)),
            ("MiB", Err(UnitError::Number)),
            ("", Err(UnitError::Number)),
            ("1.2.3 B", Err(UnitError::Number)),
            (". B", Err(UnitError::Number)),
            ("-1 B", Err(UnitError::Number)),
            ("18446744073709551615 GiB", Err(UnitError::TooLarge)),
            ("99999999999999999999 B", Err(UnitError::TooLarge)),
        ] {
            assert_eq!(parse_size(text), size, "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, millis) in [
            ("1.5s", 1500),
            ("10m", 600_000),
            ("1d", 86_400_000),
            ("0", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        assert_eq!(parse_duration("10"), Err(UnitError::NoUnit));
        assert_eq!(parse_duration("10 MiB"), Err(UnitError::Unit));
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["1ms", "90s", "2h", "7d"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["1536 B", "4 MiB", "3 KiB", "2 GiB"] {
            let size = parse_size(text).unwrap();
            assert_eq!(parse_size(&show_size(size)), Ok(size));
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
    }
}
