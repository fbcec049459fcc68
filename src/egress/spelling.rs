//! Addresses that a name spells: `192-0-2-1.example`, `192.0.2.1.example`, `c0000201.example`.
//!
//! Some zones answer with whatever address their question spells. Who asks there could open any
//! address it likes, so what a question spells it does not open.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name::{MAX_NAME, NameRef};

/// What a name says, with `-` between its labels and for whatever separates within them.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    octets: [u8; MAX_NAME],
    length: usize,
}

/// One way to write an address, on the stack.
#[derive(Default)]
struct Form {
    octets: [u8; 32],
    length: usize,
}

impl Spelling {
    /// What `name` says.
    pub fn of(name: NameRef<'_>) -> Self {
        let mut spelling = Self {
            octets: [b'-'; MAX_NAME],
            length: 0,
        };
        let places = spelling.octets.iter_mut();
        let labels = name.labels().flat_map(|label| label.iter().chain(b"-"));
        for (place, octet) in places.zip(labels) {
            if octet.is_ascii_alphanumeric() {
                *place = *octet;
            }
            spelling.length += 1;
        }
        spelling
    }

    /// Whether it spells `address`, in one of the ways that public zones read.
    pub fn spells(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.spells_v4(v4),
            IpAddr::V6(v6) => self.spells_v6(v6),
        }
    }

    fn spells_v4(&self, v4: Ipv4Addr) -> bool {
        let [a, b, c, d] = v4.octets();
        let number = u32::from(v4);
        let decimal = [
            Form::of(format_args!("{a}-{b}-{c}-{d}")),
            Form::of(format_args!("{d}-{c}-{b}-{a}")),
            Form::of(format_args!("{a:03}-{b:03}-{c:03}-{d:03}")),
            Form::of(format_args!("{a:03}{b:03}{c:03}{d:03}")),
            Form::of(format_args!("{number}")),
        ];
        let hexadecimal = [
            Form::of(format_args!("{number:08x}")),
            Form::of(format_args!("{a:02x}-{b:02x}-{c:02x}-{d:02x}")),
        ];
        decimal
            .iter()
            .any(|form| self.has(form, u8::is_ascii_digit))
            || hexadecimal.iter().any(|form| self.has(form, |_| false))
    }

    fn spells_v6(&self, v6: Ipv6Addr) -> bool {
        // What a network makes of an IPv4 address (RFC 6052).
        if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = v6.segments()
            && self.spells_v4((u32::from(high) << 16 | u32::from(low)).into())
        {
            return true;
        }
        let number = u128::from(v6);
        if self.has(&Form::of(format_args!("{number:032x}")), |_| false) {
            return true;
        }
        // Any way to write it, at the end of what stands between two places for a separator.
        let text = self.as_octets();
        let is_part = |octet: &u8| *octet == b'-' || octet.is_ascii_hexdigit();
        let mut runs = text.split(|octet| !is_part(octet));
        runs.any(|run| {
            let is_border = |at: &usize| *at == 0 || run[*at - 1] == b'-' || run[*at] == b'-';
            let mut begins = (0..run.len()).filter(is_border).take(MOST_BEGINS);
            begins.any(|begin| begins_with(&run[begin..], v6))
        })
    }

    /// Whether it holds `form`, and not as a part of a longer number.
    fn has(&self, form: &Form, goes_on: impl Fn(&u8) -> bool) -> bool {
        let (text, form) = (self.as_octets(), form.as_octets());
        let mut places = text.windows(form.len()).enumerate();
        places.any(|(at, window)| {
            let before = at.checked_sub(1).and_then(|at| text.get(at));
            let after = text.get(at + form.len());
            window == form && ![before, after].into_iter().flatten().any(&goes_on)
        })
    }

    fn as_octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

/// Places in a name where an address may begin that are tried.
const MOST_BEGINS: usize = 64;

/// Whether `text` begins with `wanted` in any of its spellings, with `-` for `:`.
fn begins_with(text: &[u8], wanted: Ipv6Addr) -> bool {
    let wanted = wanted.segments();
    let (mut groups, mut gap) = ([0_u16; 8], None);
    let (mut count, mut at) = (0, 0);
    let fits = |groups: &[u16; 8], count: usize, gap: Option<usize>| match gap {
        None => count == 8 && *groups == wanted,
        Some(gap) => {
            let behind = count - gap;
            groups[..gap] == wanted[..gap]
                && groups[gap..count] == wanted[8 - behind..]
                && wanted[gap..8 - behind].iter().all(|group| *group == 0)
        }
    };
    loop {
        if gap.is_none() && text[at..].starts_with(b"--") {
            gap = Some(count);
            at += 2;
        } else if count > 0 {
            if text.get(at) != Some(&b'-') {
                return false;
            }
            at += 1;
        }
        let digits = text[at..]
            .iter()
            .take_while(|it| it.is_ascii_hexdigit())
            .count();
        let group = std::str::from_utf8(&text[at..at + digits]).unwrap_or_default();
        let group = u16::from_str_radix(group, 16).ok().filter(|_| digits <= 4);
        match (group, groups.get_mut(count)) {
            (Some(group), Some(place)) => *place = group,
            _ => return gap.is_some_and(|_| fits(&groups, count, gap)),
        }
        (count, at) = (count + 1, at + digits);
        if fits(&groups, count, gap) {
            return true;
        }
    }
}

impl Form {
    fn of(text: std::fmt::Arguments<'_>) -> Self {
        let mut form = Self::default();
        // One that does not fit is no form of an address.
        let _cut = form.write_fmt(text);
        form
    }

    fn as_octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl std::fmt::Write for Form {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let place = self.octets.get_mut(self.length..end);
        place
            .ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    fn spells(name: &str, address: &str) -> bool {
        let name = NameBuf::parse(name).unwrap();
        Spelling::of(name.as_ref()).spells(address.parse().unwrap())
    }

    #[test]
    fn an_address_in_a_name() {
        let v4 = "203.0.113.66";
        for name in [
            "203.0.113.66.nip.example",
            "203-0-113-66.sslip.example",
            "www-203-0-113-66.sslip.example",
            "app203-0-113-66x.sslip.example",
            "www.203-0-113-66.nip.example",
            "203-0-113-66.0123456789abcdef0123456789abcdef.direct.example",
            "cb007142.nip.example",
            "magic-cb007142.nip.example",
            "cb007142.7f000001.rebind.example",
            "0xcb.0x00.0x71.0x42.none.203.0.113.66.example",
            "203_0_113_66.example",
            "66.113.0.203.example",
            "203-000-113-066.example",
            "203000113066.example",
            "3405803842.example",
            "CB-00-71-42.example",
        ] {
            assert!(spells(name, v4), "{name}");
            assert!(spells(name, "64:ff9b::cb00:7142"), "{name}, translated");
            assert!(!spells(name, "203.0.113.67"), "{name}");
        }
        let v6 = "2001:db8::1:0:42";
        for name in [
            "2001-db8--1-0-42.sslip.example",
            "www-2001-db8--1-0-42.sslip.example",
            "2001-db8-0-0-0-1-0-42.sslip.example",
            "2001-0db8-0000-0000-0000-0001-0000-0042.example",
            "2001-db8-0-0-0-1--42.example",
            "a.2001.db8.0.0.0.1.0.42.example",
            "20010db8000000000000000100000042.example",
        ] {
            assert!(spells(name, v6), "{name}");
            assert!(!spells(name, "2001:db8::1:0:43"), "{name}");
        }
        assert!(spells("2001-db8--.example", "2001:db8::"));
        assert!(spells("--1.example", "::1"));
    }

    #[test]
    fn names_of_sites_spell_nothing() {
        for (name, address) in [
            ("www.example.org", "203.0.113.66"),
            ("1203-0-113-66.example", "203.0.113.66"),
            ("203-0-113-661.example", "203.0.113.66"),
            ("cdn-203.example", "203.0.113.66"),
            ("a2001-db8.example", "2001:db8::1"),
            ("1.example", "::1"),
            ("dead-beef.example", "dead:beef::1"),
        ] {
            assert!(!spells(name, address), "{name}");
        }
        let longest = ["a-".repeat(31), "a-".repeat(31), "a-".repeat(31)].join(".");
        assert!(!spells(&longest, "a:a:a:a:a:a:a:b"));
    }
}
