//! Names that nobody would type: `xkqzvbwtplrm.example`.
//!
//! What was registered this morning for a fraud, and what a worm makes up to find its master, has not
//! stood on any list yet. It often has a registrable name of letters that no one could say. Such a
//! name is told by the letters alone, without a memory of what the home has asked before: a rule
//! that needs such a memory would close half the web to a child on its first day.
//!
//! # How it is told
//! Only the label somebody registered is looked at, if it has twelve letters and figures or more:
//! content networks put made-up labels below theirs. Each of these counts:
//!
//! - a change between letters and figures (`k7d2…`),
//! - each consonant that ends a row of five or more,
//! - two consonants side by side with a `j`, `q`, `v` or `x` in them.
//!
//! Two of these for five letters are more than words have, in the languages we write sentences in
//! and in those whose words are rows of consonants: German compounds, Polish and Czech names. Names
//! in other scripts are left alone.
//!
//! It is cautious: of random letters about four in ten are noticed, with figures in between two in
//! three. None of the eight thousand names on our own lists is.

use crate::name::NameRef;

/// Letters and figures that an unusual label has at least.
pub(super) const LONG: usize = 12;
/// Consonants in a row that hardly a word has.
const ROW: usize = 5;

/// Whether the label of `name` that somebody registered is one that nobody would type.
pub(super) fn is_unusual(name: NameRef<'_>) -> bool {
    let registered = name.registrable_guess();
    let Some(label) = registered.labels().next() else {
        return false;
    };
    let is_other = label.starts_with(b"xn--") || name.labels().last() == Some(b"arpa");
    registered.label_count() > 1 && label.len() >= LONG && !is_other && is_unsayable(label)
}

fn is_unsayable(label: &[u8]) -> bool {
    let (mut letters, mut signs, mut row) = (0, 0, 0);
    let mut before = b'-';
    for &octet in label {
        let is_figure = octet.is_ascii_digit();
        if is_figure || octet.is_ascii_lowercase() {
            letters += 1;
            let was = before.is_ascii_digit();
            signs += usize::from(before != b'-' && was != is_figure);
        }
        if is_consonant(octet) {
            row += 1;
            signs += usize::from(row >= ROW);
            let is_rare = RARE.contains(&octet) || RARE.contains(&before);
            signs += usize::from(is_consonant(before) && is_rare);
        } else {
            row = 0;
        }
        before = if is_figure || octet.is_ascii_lowercase() {
            octet
        } else {
            b'-'
        };
    }
    letters >= LONG && signs * 5 >= letters * 2
}

/// Consonants that seldom stand beside another one.
const RARE: &[u8] = b"jqvx";

const fn is_consonant(octet: u8) -> bool {
    octet.is_ascii_lowercase() && !matches!(octet, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn is(text: &str) -> bool {
        is_unusual(Name::parse(text).unwrap().as_ref())
    }

    #[test]
    fn made_up_names_are_unusual() {
        for text in [
            "xkqzvbwtplrm.com",
            "www.xkqzvbwtplrm.co.uk",
            "k7d2m9x4q1z8.net",
            "qh5vgx0zjrtkbw3d.top",
            "3f8a1c9e7b2d4f60a1.info",
        ] {
            assert!(is(text), "{text}");
        }
    }

    #[test]
    fn what_people_and_programs_use_is_not() {
        for text in [
            "rechtschreibung.de",
            "weltschmerz-angstschweiss.de",
            "szczebrzeszyn.pl",
            "zmrzlinovyctvrtek.cz",
            "llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch.co.uk",
            "msftconnecttest.com",
            "googlesyndication.com",
            "cloudflareinsights.com",
            "d3nb3h1j8u0ab9.cloudfront.net",
            "xkqzvbwtplrm.github.io",
            "zhongguancunxiaoxue.cn",
            "xn--80ak6aa92e1x2y3z.com",
            "12306123061230.cn",
            "nguyenthiminhkhai.edu.vn",
            "xkqzv.com",
            "1.0.0.127.in-addr.arpa",
            "k7d2m9x4q1z8",
        ] {
            assert!(!is(text), "{text}");
        }
    }

    /// Every name that came with the program: sites, services, devices.
    #[test]
    fn no_name_of_ours_is_unusual() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/blocklists");
        let mut count = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|it| it != "txt") {
                continue;
            }
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let text = line.split('#').next().unwrap_or_default().trim();
                let Ok(name) = Name::parse(text) else {
                    continue;
                };
                assert!(!is_unusual(name.as_ref()), "{text}");
                count += 1;
            }
        }
        assert!(count > 5000, "{count}");
    }

    #[test]
    fn many_random_names_are_noticed() {
        let mut seed = 7_u64;
        let mut letter = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (seed >> 33) as u8 % 26)
        };
        let mut text = || (0..16).map(|_| letter()).collect::<String>();
        let found = (0..1000)
            .filter(|_| is(&format!("{}.example", text())))
            .count();
        assert!((350..650).contains(&found), "{found}");
    }
}
