//! Which lists name a name, with the line that does and for whom it counts: `lists search`.

use crate::config::{self, Config};
use crate::control::api::{ListMatch, ListSearch, VoiceEffect};
use crate::files::Files;
use crate::lists::parse::read_list;
use crate::lists::{self, Effect, Item, ListKind, ListSource, Reach};
use crate::name::NameRef;
use crate::reload::{list_spec, tier_of};

/// Reads all lists of `config` again and gives the lines that match `name`. Takes as long as that.
///
/// Works without an index, since it is asked where something seems wrong with one.
pub fn search_lists(config: &Config, files: &Files, name: NameRef<'_>) -> ListSearch {
    let mut search = ListSearch {
        name: name.to_string(),
        ..ListSearch::default()
    };
    for list in &config.lists {
        let found = match lines_about(list, files, name) {
            Ok(found) => found,
            Err(error) => {
                let id = &list.id;
                search
                    .notes
                    .push(format!("list `{id}` cannot be read: {error}"));
                continue;
            }
        };
        let whole = ListMatch {
            category: list.category.clone(),
            kind: list.kind.label().to_owned(),
            tier: tier_of(list).label().to_owned(),
            everybody: matches!(list.kind, ListKind::Lifeline | ListKind::Sealed),
            ..ListMatch::default()
        };
        if list.kind == ListKind::Sealed {
            // Neither which list nor which line: that it is one says enough.
            if !found.is_empty() {
                search.name = "(withheld)".to_owned();
                search.found.push(ListMatch {
                    effect: VoiceEffect::Block,
                    ..whole
                });
            }
            continue;
        }
        let profiles = profiles_that_use(list, config);
        search.found.extend(found.into_iter().map(|line| ListMatch {
            list: Some(list.id.clone()),
            effect: effect_of(list.kind, line.effect),
            rule: Some(line.rule),
            file: Some(place_of(list)),
            line: Some(line.number),
            profiles: profiles.clone(),
            ..whole.clone()
        }));
    }
    search
}

/// A line that matches.
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u32,
    /// What it says.
    pub(super) rule: String,
    /// Whether it takes something back.
    pub(super) effect: Effect,
}

pub(super) fn lines_about(
    list: &config::List,
    files: &Files,
    name: NameRef<'_>,
) -> Result<Vec<Line>, String> {
    let spec = list_spec(list);
    let (_, source) = lists::open(&spec.source, files)?;
    let mut found = Vec::new();
    read_list(source, &spec.read_options(), |number, item| {
        if let Some(effect) = effect_on(item, name) {
            found.push(Line {
                number,
                rule: item.to_string(),
                effect,
            });
        }
    });
    Ok(found)
}

/// What `item` says of `name`, if it matches.
fn effect_on(item: &Item, name: NameRef<'_>) -> Option<Effect> {
    match item {
        Item::Name(entry) => {
            let is_name = entry.name.as_ref() == name;
            let matches = match entry.reach {
                Reach::Subtree => name.is_within(entry.name.as_ref()),
                Reach::Exact => is_name,
                Reach::Below => !is_name && name.is_within(entry.name.as_ref()),
            };
            matches.then_some(entry.effect)
        }
        Item::Pattern(_) | Item::Address(_) | Item::Sealed(_) => None,
    }
}

/// What a line of a list of this kind wants.
const fn effect_of(kind: ListKind, effect: Effect) -> VoiceEffect {
    match (kind, effect) {
        (_, Effect::Excepted) => VoiceEffect::Exception,
        (ListKind::Block | ListKind::Sealed, Effect::Listed) => VoiceEffect::Block,
        (ListKind::Allow | ListKind::Lifeline, Effect::Listed) => VoiceEffect::Allow,
    }
}

/// Where people find the list.
fn place_of(list: &config::List) -> String {
    match &list.source {
        ListSource::Embedded(file) => format!("embedded blocklists/{file}"),
        ListSource::File(path) => path.display().to_string(),
        ListSource::Inline(_) => "configuration".to_owned(),
    }
}

/// The profiles for which the list counts.
fn profiles_that_use(list: &config::List, config: &Config) -> Vec<String> {
    let uses = |profile: &&config::Profile| {
        let names = |words: &[String], word: &String| words.contains(word);
        match list.kind {
            ListKind::Block => {
                names(&profile.block_categories, &list.category)
                    || names(&profile.block_lists, &list.id)
            }
            ListKind::Allow => {
                names(&profile.allow_lists, &list.id) || names(&profile.allow_lists, &list.category)
            }
            ListKind::Lifeline | ListKind::Sealed => true,
        }
    };
    let profiles = config.profiles.iter().filter(uses);
    profiles.map(|profile| profile.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::MemoryFiles;
    use crate::name::Name;

    const CONFIG: &str = "
        [lists]
        starter = false

        [[list]]
        id = \"games\"
        category = \"games\"
        file = \"games.txt\"

        [[list]]
        id = \"gone\"
        category = \"games\"
        file = \"gone.txt\"

        [[list]]
        id = \"homework\"
        category = \"homework\"
        kind = \"allow\"
        lines = [\"example.org\"]

        [[list]]
        id = \"order\"
        kind = \"sealed\"
        lines = [\"sealed.example\"]

        [profile.mia]
        inherits = \"adult\"
        block = [\"games\"]
        allow-lists = [\"homework\"]
        ";

    fn search(name: &str) -> ListSearch {
        let memory = MemoryFiles::new();
        memory.put("/c.toml", CONFIG);
        memory.put(
            "/games.txt",
            "! games\n||example.org^\n@@|www.example.org^\n||*.www.example.org^\n||other.example^\n",
        );
        let config = config::load(&memory.files(), Path::new("/c.toml")).config;
        let name = Name::parse(name).unwrap();
        search_lists(&config.unwrap(), &memory.files(), name.as_ref())
    }

    #[test]
    fn every_line_that_matches_is_told_with_its_place_and_for_whom() {
        let found = search("www.example.org");
        assert_eq!(found.name, "www.example.org");
        let told: Vec<_> = found
            .found
            .iter()
            .map(|line| {
                let (list, rule) = (line.list.as_deref().unwrap(), line.rule.as_deref().unwrap());
                let profiles = line.profiles.join(" ");
                let place = format!("{}:{}", line.file.as_deref().unwrap(), line.line.unwrap());
                format!("{list} {} {rule} {place} {profiles}", line.effect.label())
            })
            .collect();
        assert_eq!(
            told,
            [
                "games block ||example.org^ /games.txt:2 mia",
                "games exception @@|www.example.org^ /games.txt:3 mia",
                "homework allow ||example.org^ configuration:1 mia",
            ]
        );
        assert_eq!(
            found.notes,
            ["list `gone` cannot be read: /gone.txt: cannot open: entity not found"]
        );
        assert_eq!(search("a.www.example.org").found.len(), 3);
        assert_eq!(search("example.net").found, []);
    }

    #[test]
    fn of_a_sealed_list_nothing_but_that_it_is_one() {
        let search = search("a.sealed.example");
        assert_eq!(search.name, "(withheld)");
        let text = serde_json::to_string(&search).unwrap();
        assert!(
            !text.contains("order") && !text.contains("sealed.example"),
            "{text}"
        );
        assert!(search.found[0].everybody);
        assert_eq!(search.found[0].effect, VoiceEffect::Block);
    }
}
