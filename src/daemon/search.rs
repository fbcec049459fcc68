//! Which lists name a name, with the line that does and for whom it counts: `lists search`.

use crate::config::{self, Config};
use crate::control::api::{ListMatch, ListSearch, VoiceEffect};
use crate::files::Files;
use crate::lists::{
    Dropped, Effect, Index, Line, ListKind, ListSource, ListSpec, lines_about, services,
};
use crate::name::NameRef;
use crate::reload::{list_spec, tier_of};
use crate::verdict::Tier;

/// Reads all lists of `config` again and gives the lines that match `name`. Takes as long as that.
///
/// Works without an index, since it is asked where something seems wrong with one; but only an
/// index knows what the fingerprints of sealed lists match.
pub fn search_lists(
    config: &Config,
    index: Option<&Index>,
    files: &Files,
    name: NameRef<'_>,
) -> ListSearch {
    let mut search = ListSearch {
        name: name.to_string(),
        ..ListSearch::default()
    };
    let specs: Vec<ListSpec> = config.lists.iter().map(list_spec).collect();
    let protected = ListSpec::protected(&specs);
    let hits = index.map(|index| ids_of_hits(index, name));
    let mut is_withheld = false;
    for (list, spec) in config.lists.iter().zip(&specs) {
        let id = &list.id;
        let in_index = hits.as_ref().map(|hits| hits.contains(&id.as_str()));
        let is_sealed = list.kind == ListKind::Sealed;
        let lines = match lines_about(spec, &protected, files, name) {
            Ok(lines) => lines,
            // That a sealed list says nothing of the name must not be told apart.
            Err(_) if is_sealed => Vec::new(),
            Err(error) => {
                search.notes.push(unread(list, files, &error));
                Vec::new()
            }
        };
        let whole = ListMatch {
            category: list.category.clone(),
            kind: list.kind.label().to_owned(),
            tier: tier_of(list).label().to_owned(),
            everybody: matches!(list.kind, ListKind::Lifeline | ListKind::Sealed),
            ..ListMatch::default()
        };
        if is_sealed {
            // Neither which list nor which line: that it is one says enough.
            let counts = lines.iter().any(|line| line.effect().is_some());
            if counts || in_index == Some(true) {
                search.name = "(withheld)".to_owned();
                is_withheld = true;
                search.found.push(ListMatch {
                    effect: VoiceEffect::Block,
                    ..whole
                });
            }
            continue;
        }
        let counts = lines.iter().any(|line| line.effect().is_some());
        match (in_index, counts) {
            (Some(true), false) => search.notes.push(format!(
                "the index holds it for list `{id}`, whose source does not name it; the list \
                 changed, or holds what it said before"
            )),
            (Some(false), true) => search.notes.push(format!(
                "the index does not hold it for list `{id}`, whose source names it; the list \
                 changed since it was compiled"
            )),
            _ => {}
        }
        let profiles = profiles_that_use(list, config);
        search.found.extend(lines.into_iter().map(|line| ListMatch {
            list: Some(id.clone()),
            effect: effect_of(list.kind, &line),
            rule: Some(line.item.to_string()),
            file: Some(place_of(list)),
            line: Some(line.number),
            note: line.dropped.map(|why| why_dropped(why).to_owned()),
            profiles: profiles.clone(),
            ..whole.clone()
        }));
    }
    if config.services {
        search.found.extend(services_with(config, files, name));
    }
    if is_withheld {
        // Other lists call it by its name.
        for found in &mut search.found {
            (found.rule, found.file, found.line) = (None, None, None);
        }
    }
    search
}

/// The services that `name` belongs to.
fn services_with(config: &Config, files: &Files, name: NameRef<'_>) -> Vec<ListMatch> {
    let protected = ListSpec::protected(&[]);
    let mut found = Vec::new();
    for service in services::all() {
        let lines = lines_about(&ListSpec::service(&service), &protected, files, name);
        let blocks = |profile: &&config::Profile| {
            let has = |words: &[String], word: &str| words.iter().any(|it| it == word);
            !has(&profile.open_services, service.id)
                && (has(&profile.block_services, service.id)
                    || has(&profile.block_categories, service.category()))
        };
        found.extend(lines.unwrap_or_default().into_iter().map(|line| {
            let profiles = config.profiles.iter().filter(blocks);
            ListMatch {
                list: Some(service.id.to_owned()),
                category: service.category().to_owned(),
                kind: ListKind::Block.label().to_owned(),
                tier: Tier::ChildSafety.label().to_owned(),
                effect: effect_of(ListKind::Block, &line),
                rule: Some(line.item.to_string()),
                file: Some(services::ORIGIN.to_owned()),
                note: Some(format!("service {}", service.title)),
                profiles: profiles.map(|profile| profile.name.clone()).collect(),
                ..ListMatch::default()
            }
        }));
    }
    found
}

/// The lists of the configuration that say something of `name` in the index.
fn ids_of_hits(index: &Index, name: NameRef<'_>) -> Vec<&'static str> {
    let mut ids = Vec::new();
    index.look_up(name, |hit| {
        let list = index.list(hit.list);
        if list.service.is_none() {
            ids.push(list.id);
        }
    });
    ids
}

/// Why a list cannot be read.
fn unread(list: &config::List, files: &Files, error: &str) -> String {
    let id = &list.id;
    match &list.source {
        ListSource::File(path) if list.download.is_some() && files.stamp(path).is_none() => {
            format!("list `{id}` was not fetched yet; `hedgerow lists update` does that")
        }
        _ => format!("list `{id}` cannot be read: {error}"),
    }
}

/// What a line of a list of this kind wants.
fn effect_of(kind: ListKind, line: &Line) -> VoiceEffect {
    match (kind, line.effect()) {
        (_, None) => VoiceEffect::None,
        (_, Some(Effect::Excepted)) => VoiceEffect::Exception,
        (ListKind::Block | ListKind::Sealed, Some(Effect::Listed)) => VoiceEffect::Block,
        (ListKind::Allow | ListKind::Lifeline, Some(Effect::Listed)) => VoiceEffect::Allow,
    }
}

const fn why_dropped(why: Dropped) -> &'static str {
    match why {
        Dropped::PublicSuffix => {
            "a public suffix: the line counts for the name alone, or not at all"
        }
        Dropped::Protected => "left out: it would take a name that no list may take",
        Dropped::BadFilter => "taken out by `badfilter`",
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
    use crate::daemon::list_specs;
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
        search_lists(&config.unwrap(), None, &memory.files(), name.as_ref())
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
    fn a_list_that_changed_since_it_was_compiled_is_told() {
        let memory = MemoryFiles::new();
        memory.put("/c.toml", CONFIG);
        memory.put("/games.txt", "old.example\n");
        let config = config::load(&memory.files(), Path::new("/c.toml")).config;
        let config = config.unwrap();
        let files = memory.files();
        let specs = list_specs(&config);
        let index = crate::lists::compile_in_memory(&specs, &files, None, &|| false).unwrap();
        memory.put("/games.txt", "new.example\n");
        let notes = |name: &str| {
            let name = Name::parse(name).unwrap();
            search_lists(&config, Some(&index), &files, name.as_ref()).notes
        };
        assert!(notes("old.example")[0].starts_with("the index holds it for list `games`"));
        assert!(notes("new.example")[0].starts_with("the index does not hold it for list `games`"));
        assert_eq!(notes("other.example").len(), 1);
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
