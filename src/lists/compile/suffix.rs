//! Names under which anybody can have a name of their own.
//!
//! A list that names `co.uk` does not mean every company of a country, and one that names
//! `github.io` means a page there. What registries run (the ICANN section of the public suffix
//! list) cannot be listed with all that is below it, as a top-level domain cannot; what companies
//! run (its private section) is taken as the name alone.
//!
//! Without the cargo feature `public-suffixes`, which saves half a megabyte of program, only a
//! guess is left: the second-level names of country registries that are known to be used for it
//! (`co.uk`, `com.au`), and nothing of companies.

use crate::name::NameRef;

/// Whose names are found below a public suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicSuffix {
    /// A registry's.
    Registry,
    /// A company's customers'.
    Company,
}

/// What kind of public suffix `name` is, if it is one and has more than one label.
#[cfg(feature = "public-suffixes")]
pub fn public_suffix(name: NameRef<'_>) -> Option<PublicSuffix> {
    use psl::{Psl, Type};
    // None in the list has more labels.
    const MOST: usize = 8;
    let wire = name.as_wire();
    let mut labels = [&[][..]; MOST];
    let mut count = 0;
    for label in name.labels() {
        *labels.get_mut(count)? = label;
        count += 1;
    }
    if count < 2 {
        return None;
    }
    let info = psl::List.find(labels.into_iter().take(count).rev());
    // A text has a dot between labels; the wire format a length for each, and the root.
    if info.len + 2 != wire.len() {
        return None;
    }
    match info.typ? {
        Type::Icann => Some(PublicSuffix::Registry),
        Type::Private => Some(PublicSuffix::Company),
    }
}

/// What kind of public suffix `name` is, as far as its look tells.
#[cfg(not(feature = "public-suffixes"))]
pub fn public_suffix(name: NameRef<'_>) -> Option<PublicSuffix> {
    const USUAL: [&[u8]; 18] = [
        b"ac", b"co", b"com", b"ed", b"edu", b"gob", b"gov", b"gv", b"ltd", b"me", b"mil", b"ne",
        b"net", b"nom", b"or", b"org", b"plc", b"sch",
    ];
    let mut labels = name.labels();
    match (labels.next(), labels.next(), labels.next()) {
        (Some(second), Some([_, _]), None) if USUAL.contains(&second) => {
            Some(PublicSuffix::Registry)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn what_registries_and_companies_run() {
        use PublicSuffix::{Company, Registry};
        let whole = cfg!(feature = "public-suffixes");
        for (text, expected) in [
            ("co.uk", Some(Registry)),
            ("com.au", Some(Registry)),
            ("example.co.uk", None),
            ("example.org", None),
            ("org", None),
            (".", None),
            ("github.io", Some(Company).filter(|_| whole)),
            ("somebody.github.io", None),
            // `*.ck` but for `www.ck`.
            ("anything.ck", Some(Registry).filter(|_| whole)),
            ("www.ck", None),
            // A top-level domain nobody registered.
            ("co.nowhere-at-all", None),
            ("xn--80au.xn--90a3ac", Some(Registry).filter(|_| whole)),
            ("a.b.c.d.e.f.g.h.i.j.k.example", None),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!(public_suffix(name.as_ref()), expected, "{text}");
        }
    }
}
