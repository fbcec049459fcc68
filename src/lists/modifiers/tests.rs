//! Encoded modifiers against the plain reading of what they say.

use proptest::prelude::*;

use super::*;
use crate::lists::Asker;
use crate::name::{Name, NameBuf};

/// What [`decode`] gives back: each condition once and in order, lower case, no host bits.
fn normal(mut modifiers: Modifiers) -> Modifiers {
    modifiers.important = false;
    modifiers.badfilter = false;
    modifiers.denyallow.sort();
    modifiers.denyallow.dedup();
    for client in &mut modifiers.clients {
        client.value = match &client.value {
            Client::Prefix(net) => Client::Prefix(net.trunc()),
            Client::Name(name) => Client::Name(name.to_lowercase()),
        };
    }
    for tag in &mut modifiers.tags {
        tag.value = tag.value.to_lowercase();
    }
    if let Action::Addresses(addresses) = &mut modifiers.action {
        addresses.sort();
        addresses.dedup();
    }
    modifiers
}

/// The same in an order that does not depend on how they are encoded.
fn in_order(mut modifiers: Modifiers) -> Modifiers {
    modifiers.types.sort();
    modifiers.types.dedup();
    modifiers.clients.sort();
    modifiers.clients.dedup();
    modifiers.tags.sort();
    modifiers.tags.dedup();
    modifiers
}

/// Whether a rule holds, as the documentation of AdGuard's modifiers says it.
fn holds(modifiers: &Modifiers, name: &Name, asker: &Asker<'_>) -> bool {
    fn met<T>(conditions: &[Condition<T>], is: impl Fn(&T) -> bool) -> bool {
        let (not, wanted): (Vec<_>, Vec<_>) = conditions.iter().partition(|it| it.negated);
        not.iter().all(|it| !is(&it.value))
            && (wanted.is_empty() || wanted.iter().any(|it| is(&it.value)))
    }
    let denied = |denied: &Name| name.as_ref().is_within(denied.as_ref());
    !modifiers.denyallow.iter().any(denied)
        && met(&modifiers.types, |rtype| *rtype == asker.qtype)
        && met(&modifiers.clients, |client| match client {
            Client::Prefix(net) => asker.address.is_some_and(|it| net.contains(&it)),
            Client::Name(name) => asker
                .device
                .is_some_and(|device| device.to_lowercase() == name.to_lowercase()),
        })
        && met(&modifiers.tags, |tag| {
            let same = |own: &&str| own.to_lowercase() == tag.to_lowercase();
            asker.tags.iter().any(same)
        })
}

fn name() -> impl Strategy<Value = Name> {
    "([ab]\\.){0,2}(test|org)".prop_map(|text| Name::parse(&text).unwrap())
}

fn conditions<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<Condition<T>>> {
    let one = (any::<bool>(), value).prop_map(|(negated, value)| Condition { negated, value });
    proptest::collection::vec(one, 0..4)
}

fn client() -> impl Strategy<Value = Client> {
    prop_oneof![
        (0_u8..4, 8_u8..=32).prop_map(|(last, length)| {
            Client::Prefix(IpNet::new([192, 0, 2, last].into(), length).unwrap())
        }),
        (0_u16..4, 16_u8..=128).prop_map(|(last, length)| {
            let address = [0x2001, 0xdb8, 0, 0, 0, 0, 0, last];
            Client::Prefix(IpNet::new(address.into(), length).unwrap())
        }),
        "[aAäÄ]{1,2}".prop_map(Client::Name),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let addresses = proptest::collection::vec(address(), 0..3);
    prop_oneof![
        Just(Action::Block),
        Just(Action::NxDomain),
        Just(Action::NoData),
        Just(Action::Refused),
        Just(Action::Drop),
        Just(Action::TcpOnly),
        addresses.prop_map(Action::Addresses),
        name().prop_map(Action::Alias),
        (any::<u16>(), "[a-zä ]{0,9}").prop_map(|(rtype, data)| Action::Record { rtype, data }),
    ]
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..4).prop_map(|last| IpAddr::from([192, 0, 2, last])),
        (0_u16..4).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])),
    ]
}

fn modifiers() -> impl Strategy<Value = Modifiers> {
    let names = proptest::collection::vec(name(), 0..3);
    let tags = conditions("[ab]{1,2}|X".prop_map(String::from));
    (
        any::<(bool, bool)>(),
        names,
        conditions(0_u16..4),
        conditions(client()),
        tags,
        action(),
    )
        .prop_map(
            |((important, badfilter), denyallow, types, clients, tags, action)| Modifiers {
                important,
                badfilter,
                denyallow,
                types,
                clients,
                tags,
                action,
            },
        )
}

fn kind(action: &Action) -> ActionKind {
    match action {
        Action::Block => ActionKind::Block,
        Action::NxDomain => ActionKind::NxDomain,
        Action::NoData => ActionKind::NoData,
        Action::Refused => ActionKind::Refused,
        Action::Drop => ActionKind::Drop,
        Action::TcpOnly => ActionKind::TcpOnly,
        Action::Addresses(_) | Action::Alias(_) | Action::Record { .. } => ActionKind::Elsewhere,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_was_encoded_comes_back(modifiers in modifiers()) {
        let encoded = encode(&modifiers);
        let decoded = decode(&encoded).unwrap();
        prop_assert_eq!(encode(&decoded), encoded.clone());
        prop_assert_eq!(super::action(&encoded), kind(&modifiers.action));
        prop_assert_eq!(in_order(decoded), in_order(normal(modifiers)));
    }

    #[test]
    fn the_same_in_another_order_is_the_same(modifiers in modifiers()) {
        let mut other = modifiers.clone();
        other.denyallow.reverse();
        other.types.reverse();
        other.clients.reverse();
        other.tags.reverse();
        other.tags.extend_from_within(..);
        prop_assert_eq!(encode(&other), encode(&modifiers));
    }

    #[test]
    fn rules_hold_as_they_say(
        modifiers in modifiers(),
        name in name(),
        qtype in 0_u16..4,
        address in proptest::option::of(address()),
        device in proptest::option::of("[aAäÄ]{1,2}"),
        tags in proptest::collection::vec("[ab]{1,2}|x", 0..3),
    ) {
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let asker = Asker { qtype, address, device: device.as_deref(), tags: &tags };
        let encoded = encode(&modifiers);
        prop_assert_eq!(
            applies(&encoded, name.as_ref(), &asker),
            holds(&modifiers, &name, &asker)
        );
    }

    /// Octets nobody encoded hold for nobody, and reading them breaks nothing.
    #[test]
    fn any_octets_are_read_safely(
        modifiers in modifiers(),
        changes in proptest::collection::vec((0_usize..99, any::<u8>(), 0..3), 1..4),
    ) {
        let mut octets = encode(&modifiers);
        for (at, value, how) in changes {
            let at = at % (octets.len() + 1);
            match how {
                0 => octets.truncate(at),
                1 => octets.insert(at, value),
                _ => if let Some(octet) = octets.get_mut(at) { *octet = value },
            }
        }
        let asker = Asker { qtype: 1, address: None, device: Some("a"), tags: &[] };
        let name = Name::parse("a.test").unwrap();
        match decode(&octets) {
            Some(read) => prop_assert_eq!(
                applies(&octets, name.as_ref(), &asker),
                holds(&read, &name, &asker)
            ),
            None => prop_assert!(!applies(&octets, name.as_ref(), &asker)),
        }
    }
}

#[test]
fn nothing_but_words_kept_elsewhere_is_nothing() {
    let modifiers = Modifiers {
        important: true,
        badfilter: true,
        ..Modifiers::default()
    };
    assert!(encode(&modifiers).is_empty());
    let asker = Asker {
        qtype: 1,
        address: None,
        device: None,
        tags: &[],
    };
    assert!(applies(&[], NameBuf::ROOT.as_ref(), &asker));
    assert_eq!(super::action(&[]), ActionKind::Block);
}

#[test]
fn badfilter_is_the_only_difference() {
    let plain = Modifiers::default();
    let important = Modifiers {
        important: true,
        ..plain.clone()
    };
    let taken_back = Modifiers {
        badfilter: true,
        ..plain.clone()
    };
    assert!(same_but_for_badfilter(None, Some(&taken_back)));
    assert!(same_but_for_badfilter(Some(&plain), Some(&taken_back)));
    assert!(!same_but_for_badfilter(Some(&important), Some(&taken_back)));
}

#[test]
fn clients_of_both_families_and_their_mapped_form() {
    let client = |text: &str| Modifiers {
        clients: vec![Condition {
            negated: false,
            value: Client::Prefix(text.parse().unwrap()),
        }],
        ..Modifiers::default()
    };
    let asks = |modifiers: &Modifiers, address: &str| {
        let asker = Asker {
            qtype: 1,
            address: Some(address.parse().unwrap()),
            device: None,
            tags: &[],
        };
        applies(&encode(modifiers), NameBuf::ROOT.as_ref(), &asker)
    };
    assert!(asks(&client("192.0.2.0/24"), "192.0.2.7"));
    assert!(asks(&client("192.0.2.0/24"), "::ffff:192.0.2.7"));
    assert!(!asks(&client("192.0.2.0/24"), "198.51.100.7"));
    assert!(asks(&client("2001:db8::/32"), "2001:db8::7"));
    assert!(!asks(&client("2001:db8::/32"), "192.0.2.7"));
}

#[test]
fn a_tag_that_nobody_can_know_is_guessed() {
    let tag = |negated, value: &str| Condition {
        negated,
        value: value.to_owned(),
    };
    let child: &[&str] = &["user_child"];
    for (tags, asker, expected) in [
        (vec![], child, false),
        (vec![tag(true, "user_child")], child, false),
        (vec![tag(true, "user_regular")], child, false),
        (vec![tag(true, "user_child")], &[], true),
        (vec![tag(false, "user_child")], &[], false),
        (vec![tag(true, "device_tv")], child, true),
        (vec![tag(false, "device_tv")], child, false),
        (
            vec![tag(true, "user_admin"), tag(true, "os_ios")],
            child,
            true,
        ),
    ] {
        let modifiers = Modifiers {
            tags: tags.clone(),
            ..Modifiers::default()
        };
        let asker = Asker {
            qtype: 1,
            address: None,
            device: None,
            tags: asker,
        };
        assert_eq!(guesses(&encode(&modifiers), &asker), expected, "{tags:?}");
    }
    let asker = Asker {
        qtype: 1,
        address: None,
        device: None,
        tags: &[],
    };
    assert!(!guesses(&[4, 200, 1], &asker), "no octets of ours");
}
