//! Dates and ranges of dates: `2026-12-20..2027-01-06`.

use std::fmt;

use jiff::civil::Date;

/// Days of the calendar from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dates {
    /// The first.
    pub first: Date,
    /// The last.
    pub last: Date,
}

/// Why a text names no dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatesError {
    /// Not written as dates are.
    #[error("not a date, as in `2026-12-24`, and no range of them, as in `2026-12-20..2027-01-06`")]
    Form,
    /// A day or month that the calendar does not have.
    #[error("the calendar has no {year}-{month:02}-{day:02}")]
    NoSuchDay {
        /// The year.
        year: i16,
        /// The month.
        month: u8,
        /// The day.
        day: u8,
    },
    /// A range whose end comes first.
    #[error("ends on {last}, before it begins")]
    Backwards {
        /// The first day of the range that was meant.
        last: Date,
    },
}

impl Dates {
    /// Reads a date or a range of dates.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, DatesError> {
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (date(first.trim())?, date(last.trim())?),
            None => {
                let only = date(text.trim())?;
                (only, only)
            }
        };
        if last < first {
            return Err(DatesError::Backwards { last });
        }
        Ok(Self { first, last })
    }

    /// Whether `date` is one of them.
    pub fn contains(&self, date: Date) -> bool {
        (self.first..=self.last).contains(&date)
    }
}

impl fmt::Display for Dates {
    /// The way it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{}..{}", self.first, self.last)
    }
}

/// Reads `2026-12-24`.
fn date(text: &str) -> Result<Date, DatesError> {
    let number = |range: std::ops::Range<usize>| -> Option<i16> {
        let digits = text.get(range)?;
        let fine = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| fine)
    };
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return Err(DatesError::Form);
    }
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return Err(DatesError::Form);
    };
    // Two digits each.
    let (month, day) = (month as u8, day as u8);
    Date::new(year, month as i8, day as i8).map_err(|_| DatesError::NoSuchDay { year, month, day })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_shown() {
        for text in ["2026-05-01", "2026-12-20..2027-01-06", "2028-02-29"] {
            assert_eq!(Dates::parse(text).unwrap().to_string(), text);
        }
        let one = Dates::parse(" 2026-05-01 .. 2026-05-01 ").unwrap();
        assert_eq!(one.to_string(), "2026-05-01");
        let last = Date::constant(2026, 5, 1);
        for (text, error) in [
            ("", DatesError::Form),
            ("2026-5-1", DatesError::Form),
            ("01.05.2026", DatesError::Form),
            ("2026-05-01..", DatesError::Form),
            ("+026-05-01", DatesError::Form),
            ("ä2026-05-0", DatesError::Form),
            (
                "2027-02-29",
                DatesError::NoSuchDay {
                    year: 2027,
                    month: 2,
                    day: 29,
                },
            ),
            (
                "2026-13-01",
                DatesError::NoSuchDay {
                    year: 2026,
                    month: 13,
                    day: 1,
                },
            ),
            ("2026-05-02..2026-05-01", DatesError::Backwards { last }),
        ] {
            assert_eq!(Dates::parse(text), Err(error), "{text}");
        }
    }
}
