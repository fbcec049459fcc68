//! Where trust begins, and where nobody checks.

use super::key::{Ds, that_count};
use crate::config;
use crate::name::{Name, NameRef};

/// The keys of the root zone, KSK-2017 and KSK-2024, as IANA publishes them
/// (<https://data.iana.org/root-anchors/root-anchors.xml>; RFC 7958 has the format): key tag, algorithm,
/// digest type, digest.
const ROOT: [(u16, u8, u8, [u8; 32]); 2] = [
    (
        20326,
        8,
        2,
        [
            0xe0, 0x6d, 0x44, 0xb8, 0x0b, 0x8f, 0x1d, 0x39, 0xa9, 0x5c, 0x0b, 0x0d, 0x7c, 0x65,
            0xd0, 0x84, 0x58, 0xe8, 0x80, 0x40, 0x9b, 0xbc, 0x68, 0x34, 0x57, 0x10, 0x42, 0x37,
            0xc7, 0xf8, 0xec, 0x8d,
        ],
    ),
    (
        38696,
        8,
        2,
        [
            0x68, 0x3d, 0x2d, 0x0a, 0xcb, 0x8c, 0x9b, 0x71, 0x2a, 0x19, 0x48, 0xb2, 0x7f, 0x74,
            0x12, 0x19, 0x29, 0x8d, 0x0a, 0x45, 0x0d, 0x61, 0x2c, 0x48, 0x3a, 0xf4, 0x44, 0xa4,
            0xc0, 0xfb, 0x2b, 0x16,
        ],
    ),
];

/// Where trust begins and ends.
#[derive(Debug)]
pub(super) struct Anchors(Vec<(Name, Kind)>);

/// What holds from a name downwards.
#[derive(Debug)]
pub(super) enum Kind {
    /// The household has servers of its own for it: its names are nobody's to sign, unless the
    /// household gives a key.
    Forwarded,
    /// Its keys are known.
    Keys(Vec<Ds>),
    /// Nothing is checked (RFC 7646).
    Negative,
}

impl Anchors {
    /// Those of `settings`, with the root's if it names none of the root; `forwarded` are the domains
    /// with servers of their own.
    pub(super) fn new<'n>(
        settings: &config::Validation,
        forwarded: impl Iterator<Item = &'n Name>,
    ) -> Self {
        let mut all: Vec<(Name, Kind)> = Vec::new();
        let built_in = ROOT.map(|(tag, algorithm, kind, digest)| Ds {
            tag,
            algorithm,
            kind,
            digest: digest.into(),
        });
        let own = settings.anchors.iter();
        let own = own.map(|anchor| {
            let ds = Ds {
                tag: anchor.tag,
                algorithm: anchor.algorithm,
                kind: anchor.digest_type,
                digest: anchor.digest.clone(),
            };
            (anchor.owner.clone(), ds)
        });
        let mut keys: Vec<(Name, Vec<Ds>)> = Vec::new();
        for (owner, ds) in own {
            match keys.iter_mut().find(|(name, _)| *name == owner) {
                Some((_, all)) => all.push(ds),
                None => keys.push((owner, vec![ds])),
            }
        }
        if !keys.iter().any(|(name, _)| name.as_ref().is_root()) {
            keys.push((NameRef::ROOT.to_name(), built_in.into()));
        }
        all.extend(forwarded.map(|name| (name.clone(), Kind::Forwarded)));
        all.extend(
            keys.into_iter()
                .map(|(name, ds)| (name, Kind::Keys(that_count(ds)))),
        );
        let negative = settings.negative.iter();
        all.extend(negative.map(|name| (name.clone(), Kind::Negative)));
        Self(all)
    }

    /// The longest of them above `name`, or the name itself; of two of one name the later in the order
    /// of [`Kind`].
    pub(super) fn above(&self, name: NameRef<'_>) -> Option<(NameRef<'_>, &Kind)> {
        let above = self
            .0
            .iter()
            .filter(|(anchor, _)| name.is_within(anchor.as_ref()));
        // The last of equals.
        let closest = above.max_by_key(|(anchor, _)| anchor.as_ref().label_count());
        closest.map(|(anchor, kind)| (anchor.as_ref(), kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameBuf;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn the_closest_counts_and_who_takes_back_has_the_last_word() {
        let anchor = |owner| config::TrustAnchor {
            owner: name(owner),
            tag: 1,
            algorithm: 13,
            digest_type: 2,
            digest: vec![0; 32].into(),
        };
        let settings = config::Validation {
            negative: vec![name("broken.test"), name("both.test")],
            anchors: vec![
                anchor("home.test"),
                anchor("both.test"),
                anchor("deep.company.test"),
            ],
        };
        let forwarded = [name("company.test"), name("home.test")];
        let anchors = Anchors::new(&settings, forwarded.iter());
        let kind = |text: &str| match anchors.above(NameBuf::parse(text).unwrap().as_ref()) {
            Some((_, Kind::Forwarded)) => "forwarded".to_owned(),
            Some((at, Kind::Keys(keys))) => format!("{} keys of {at}", keys.len()),
            Some((_, Kind::Negative)) => "negative".to_owned(),
            None => "nothing".to_owned(),
        };
        for (name, expected) in [
            (".", "2 keys of ."),
            ("www.example.org", "2 keys of ."),
            ("www.broken.test", "negative"),
            ("both.test", "negative"),
            ("nas.home.test", "1 keys of home.test"),
            ("www.company.test", "forwarded"),
            ("a.deep.company.test", "1 keys of deep.company.test"),
        ] {
            assert_eq!(kind(name), expected, "{name}");
        }
    }
}
