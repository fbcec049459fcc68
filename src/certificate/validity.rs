//! From when until when a certificate says it is valid.
//!
//! That is all we need to read of one ourselves (names and signatures are rustls's), so it is read
//! in place: X.509 puts the dates behind three fields that can be stepped over (RFC 5280 section
//! 4.1).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, which the version stands in.
pub(super) const VERSION: u8 = 0xa0;

impl Validity {
    /// What the certificate `der` says; none if it is no certificate.
    pub fn of(der: &[u8]) -> Option<Self> {
        let mut outer = Reader(der);
        let mut certificate = Reader(outer.expect(SEQUENCE)?);
        let mut body = Reader(certificate.expect(SEQUENCE)?);
        if body.0.first() == Some(&VERSION) {
            body.expect(VERSION)?;
        }
        body.expect(INTEGER)?;
        // How it is signed, and by whom.
        body.expect(SEQUENCE)?;
        body.expect(SEQUENCE)?;
        let mut dates = Reader(body.expect(SEQUENCE)?);
        Some(Self {
            not_before: time(dates.next()?)?,
            not_after: time(dates.next()?)?,
        })
    }

    /// When two thirds of it have passed.
    pub fn two_thirds(&self) -> Timestamp {
        let whole = self.not_after.as_second() - self.not_before.as_second();
        let at = self.not_before.as_second() + whole / 3 * 2;
        Timestamp::from_second(at).unwrap_or(self.not_after)
    }
}

/// Elements of DER, one after the other.
pub(super) struct Reader<'d>(pub(super) &'d [u8]);

impl<'d> Reader<'d> {
    /// The tag and content of the next one.
    pub(super) fn next(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let octets = usize::from(first & 0x7f);
            // A certificate of 16 MiB is none.
            if octets == 0 || octets > 3 {
                return None;
            }
            let (number, behind) = rest.split_at_checked(octets)?;
            length = number
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet));
            rest = behind;
        }
        let (content, behind) = rest.split_at_checked(length)?;
        self.0 = behind;
        Some((tag, content))
    }

    pub(super) fn expect(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next().filter(|it| it.0 == tag).map(|it| it.1)
    }
}

/// A time as certificates write it: to the second and in UTC (RFC 5280 section 4.1.2.5).
fn time((tag, content): (u8, &[u8])) -> Option<Timestamp> {
    let (digits, zone) = content.split_at_checked(content.len().checked_sub(1)?)?;
    if zone != b"Z" || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |at: usize| -> Option<i8> {
        let pair = digits.get(at..at + 2)?;
        Some(((pair[0] - b'0') * 10 + (pair[1] - b'0')) as i8)
    };
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = i16::from(number(0)?);
            (year + if year < 50 { 2000 } else { 1900 }, 2)
        }
        (GENERALIZED_TIME, 14) => (i16::from(number(0)?) * 100 + i16::from(number(2)?), 4),
        _ => return None,
    };
    let part = |place: usize| number(rest + 2 * place);
    let date = DateTime::new(year, part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, 0).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["dns.example.org".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn dates_of_either_form_are_read() {
        // Up to 2049 as UTCTime, beyond as GeneralizedTime.
        let der = certificate((1999, 12, 31), (2026, 2, 28));
        let read = Validity::of(&der).unwrap();
        assert_eq!(read.not_before, at("1999-12-31T00:00:00Z"));
        assert_eq!(read.not_after, at("2026-02-28T00:00:00Z"));
        let der = certificate((2026, 11, 22), (2052, 2, 29));
        let read = Validity::of(&der).unwrap();
        assert_eq!(read.not_after, at("2052-02-29T00:00:00Z"));
    }

    #[test]
    fn a_time_is_to_the_second_and_in_utc() {
        assert_eq!(
            time((UTC_TIME, b"261122235959Z")),
            Some(at("2026-11-22T23:59:59Z"))
        );
        for (tag, text) in [
            (UTC_TIME, "2611222359Z"),
            (UTC_TIME, "261122235959+0100"),
            (UTC_TIME, "261322235959Z"),
            (UTC_TIME, "20261122235959Z"),
            (GENERALIZED_TIME, "20261122235959.5Z"),
            (GENERALIZED_TIME, "20261131000000Z"),
            (GENERALIZED_TIME, ""),
            (INTEGER, "261122235959Z"),
        ] {
            assert_eq!(time((tag, text.as_bytes())), None, "{text}");
        }
    }

    #[test]
    fn two_thirds_of_ninety_days_are_sixty() {
        let span = Validity {
            not_before: at("2026-11-01T00:00:00Z"),
            not_after: at("2027-01-30T00:00:00Z"),
        };
        assert_eq!(span.two_thirds(), at("2026-12-31T00:00:00Z"));
    }

    /// Every cut and every octet changed to every other value: something is said or nothing, and
    /// what stands behind the dates changes nothing.
    #[test]
    fn nonsense_is_no_certificate_and_never_a_panic() {
        let der = certificate((2026, 1, 1), (2027, 1, 1));
        let good = Validity::of(&der);
        assert!(good.is_some());
        for end in 0..der.len() {
            assert_eq!(Validity::of(&der[..end]), None, "cut at {end}");
        }
        let mut read = 0;
        for place in 0..der.len() {
            for value in 0..=255 {
                let mut changed = der.clone();
                changed[place] = value;
                read += usize::from(Validity::of(&changed).is_some());
            }
        }
        assert!(read > 10_000, "{read}");
        assert_eq!(Validity::of(&[0x30; 400]), None);
    }
}
