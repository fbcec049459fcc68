//! The index file against a plain map of the same names, and against bytes that are no index.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use hedgerow::lists::{Effect, Index, Reach};
use hedgerow::name::{Name, NameRef};
use proptest::prelude::*;
use proptest::sample::select;

#[path = "support/index_model.rs"]
mod model;
use model::{Model, Said, told, walked};

/// Checks that an index says what the model says: of these names, of all names of the model, of
/// what is below and beside them.
fn compare(model: &Model, questions: &[Name]) -> Result<(), TestCaseError> {
    let (bytes, totals) = model.write(1 << 20).unwrap();
    prop_assert_eq!(totals.bytes, bytes.len() as u64);
    prop_assert_eq!(totals.names, model.names.len() as u64);
    let index = Index::from_bytes(bytes).unwrap();
    prop_assert_eq!(index.name_count(), model.names.len());
    prop_assert_eq!(index.lists().len(), model.lists());
    prop_assert_eq!(index.patterns_section(), b"");
    prop_assert_eq!(index.addresses_section(), b"");
    prop_assert_eq!(index.sealed_section(), b"");
    prop_assert_eq!(index.recipe(), &[7; 32]);
    let all: Vec<(Name, Vec<Said>)> = model
        .names
        .iter()
        .map(|(n, s)| (n.0.clone(), s.clone()))
        .collect();
    prop_assert_eq!(walked(&index), all);
    let listed = model.names.keys().map(|name| &name.0);
    for name in questions.iter().chain(listed) {
        let below = Name::parse(&format!("x.{name}"));
        let beside = Name::parse(&format!("x{name}"));
        for question in [Ok(name.clone()), below, beside].into_iter().flatten() {
            let question = question.as_ref();
            prop_assert_eq!(told(&index, question), model.told(question), "{}", question);
        }
    }
    Ok(())
}

/// Names of few labels from a small alphabet, so that they often are parents of each other.
fn near(most_labels: usize) -> impl Strategy<Value = Name> {
    let label = select(vec![
        "a",
        "b",
        "c",
        "ab",
        "a-",
        "a_b",
        "0",
        "eight888",
        "nine99999",
    ]);
    prop::collection::vec(label, 1..=most_labels)
        .prop_map(|labels| Name::parse(&labels.join(".")).unwrap())
}

/// Any name that a list can have.
fn any_name() -> impl Strategy<Value = Name> {
    prop_oneof![
        "[a-z0-9_-]{1,12}(\\.[a-z0-9_-]{1,8}){0,4}",
        "[a-z0-9_-]{63}(\\.[ab]{1,63}){0,2}",
        "([a-c]\\.){60,126}[ab]",
    ]
    .prop_filter_map("longer than a name", |text| Name::parse(&text).ok())
}

fn said(lists: u16) -> impl Strategy<Value = Said> {
    let modifiers = prop_oneof![
        8 => Just(None),
        1 => Just(Some(vec![1])),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Some),
    ];
    let reach = select(vec![Reach::Subtree, Reach::Exact, Reach::Below]);
    let effect = select(vec![Effect::Listed, Effect::Listed, Effect::Excepted]);
    (0..lists, reach, effect, any::<bool>(), modifiers).prop_map(
        |(list, reach, effect, important, modifiers)| Said {
            list,
            reach,
            effect,
            important,
            modifiers,
        },
    )
}

fn model(
    name: impl Strategy<Value = Name>,
    lists: u16,
    most: usize,
) -> impl Strategy<Value = Model> {
    prop::collection::vec((name, said(lists)), 0..most).prop_map(|lines| {
        let mut model = Model::default();
        for (name, said) in lines {
            model.add(&name, said);
        }
        model
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn names_that_are_near_each_other(
        model in model(near(5), 4, 300),
        questions in prop::collection::vec(near(20), 20),
    ) {
        compare(&model, &questions)?;
    }

    #[test]
    fn any_names(
        model in model(any_name(), 300, 100),
        questions in prop::collection::vec(any_name(), 20),
    ) {
        compare(&model, &questions)?;
    }

    #[test]
    fn names_with_one_long_beginning(
        ends in prop::collection::vec("[a-c]{0,8}", 0..400),
        level in 0_usize..4,
    ) {
        let mut model = Model::default();
        let parent = ["org", "thesamelongname.org", "a.thesamelongname.org", "thesamelongname.a.org"][level];
        for end in &ends {
            let text = format!("thesamelongname{end}.{parent}");
            model.add(&Name::parse(&text).unwrap(), Said::plain(end.len() as u16));
        }
        compare(&model, &[])?;
    }
}

#[test]
fn the_root_may_be_named() {
    let mut model = Model::default();
    let root = NameRef::ROOT.to_name();
    for reach in [Reach::Subtree, Reach::Exact, Reach::Below] {
        model.add(
            &root,
            Said {
                reach,
                ..Said::plain(1)
            },
        );
    }
    let questions = [root, Name::parse("a.b").unwrap()];
    compare(&model, &questions[..]).unwrap();
    model.add(&questions[1], Said::plain(0));
    compare(&model, &questions).unwrap();
}
