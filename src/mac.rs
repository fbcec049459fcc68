//! MAC addresses: what a device is called on its own link.

use std::fmt;
use std::str::FromStr;

/// An EUI-48 of one device: neither a group's nor all zeroes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac([u8; 6]);

/// Why a text or some octets are no device's MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// Not six octets in hexadecimal digits.
    #[error("expected six pairs of hexadecimal digits, as in `02:00:5e:10:00:01`")]
    Form,
    /// The address of a group or of everybody.
    #[error("the address of a group, which no device has")]
    Group,
    /// All zeroes.
    #[error("an address of zeroes, which no device has")]
    Zero,
}

impl Mac {
    /// The address with these octets.
    ///
    /// # Errors
    /// [`MacError`] when no device can have it.
    pub fn new(octets: [u8; 6]) -> Result<Self, MacError> {
        if octets[0] & 0x01 != 0 {
            return Err(MacError::Group);
        }
        if octets == [0; 6] {
            return Err(MacError::Zero);
        }
        Ok(Self(octets))
    }

    /// The address in a field of any length, as netlink, DHCP and EDNS carry it; none when it is not
    /// six octets or no device's.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        Self::new(octets.try_into().ok()?).ok()
    }

    /// Its octets.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether the device made it up (IEEE 802c, the U/L bit): phones do so for each network, some
    /// anew every other week.
    pub const fn is_made_up(self) -> bool {
        self.0[0] & 0x02 != 0
    }
}

impl FromStr for Mac {
    type Err = MacError;

    /// Reads `02:00:5e:10:00:01`, `02-00-5E-10-00-01`, `0200.5e10.0001` and `02005e100001`, and as
    /// some programs write it, `2:0:5e:10:0:1`.
    fn from_str(text: &str) -> Result<Self, MacError> {
        let digit = |octet: u8| char::from(octet).to_digit(16).ok_or(MacError::Form);
        let mut octets = [0; 6];
        let mut place = octets.iter_mut();
        let mut put = |digits: &[u8]| -> Result<(), MacError> {
            let value = match digits {
                [low] => digit(*low)?,
                [high, low] => digit(*high)? * 16 + digit(*low)?,
                _ => return Err(MacError::Form),
            };
            // Two digits are at most 255.
            *place.next().ok_or(MacError::Form)? = value as u8;
            Ok(())
        };
        let separator = [':', '-'].into_iter().find(|it| text.contains(*it));
        if let Some(separator) = separator {
            for pair in text.split(separator) {
                put(pair.as_bytes())?;
            }
        } else {
            let bare: Vec<u8> = match text.as_bytes() {
                dotted if dotted.len() == 14 && dotted[4] == b'.' && dotted[9] == b'.' => {
                    [&dotted[..4], &dotted[5..9], &dotted[10..]].concat()
                }
                bare if bare.len() == 12 => bare.to_vec(),
                _ => return Err(MacError::Form),
            };
            for pair in bare.chunks(2) {
                put(pair)?;
            }
        }
        if place.next().is_some() {
            return Err(MacError::Form);
        }
        Self::new(octets)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_way_to_write_one_is_read() {
        let expected = Mac::new([0x02, 0, 0x5e, 0x10, 0, 0x01]).unwrap();
        for text in [
            "02:00:5e:10:00:01",
            "02-00-5E-10-00-01",
            "0200.5e10.0001",
            "02005E100001",
            "2:0:5e:10:0:1",
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!(expected.to_string(), "02:00:5e:10:00:01");
    }

    #[test]
    fn what_no_device_has_is_refused() {
        for (text, error) in [
            ("", MacError::Form),
            ("02:00:5e:10:00", MacError::Form),
            ("02:00:5e:10:00:01:02", MacError::Form),
            ("02:00:5e:10:00:0g", MacError::Form),
            ("02:00:5e:10:00:001", MacError::Form),
            ("02:00:5e:10::01", MacError::Form),
            ("02:00:5e:10:00-01", MacError::Form),
            ("0200.5e1.00001", MacError::Form),
            ("02005e1000é", MacError::Form),
            ("+2:00:5e:10:00:01", MacError::Form),
            ("ff:ff:ff:ff:ff:ff", MacError::Group),
            ("01:00:5e:00:00:fb", MacError::Group),
            ("00:00:00:00:00:00", MacError::Zero),
        ] {
            assert_eq!(text.parse::<Mac>(), Err(error), "{text}");
        }
        assert_eq!(Mac::from_slice(&[2, 0, 0, 0, 0, 1, 7]), None);
    }

    #[test]
    fn an_address_that_was_made_up_is_known_by_its_bit() {
        for (text, is_made_up) in [("02:00:5e:10:00:01", true), ("00:00:5e:10:00:01", false)] {
            assert_eq!(text.parse::<Mac>().unwrap().is_made_up(), is_made_up);
        }
    }
}
