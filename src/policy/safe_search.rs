//! The safe forms of search engines and the video service: which names stand for which restricted
//! name of the same provider.
//!
//! The table is `blocklists/safe-search.toml`, part of the program. Targets are names and are
//! resolved when a child asks; an address frozen into a list would break when the provider moves.

use std::collections::HashMap;

use crate::config::Youtube;
use crate::intern::intern;
use crate::name::{MAX_NAME, Name, NameError, NameRef};
use crate::verdict::RewriteTarget;

const TABLE: &str = include_str!("../../blocklists/safe-search.toml");

/// Which names have a safe form.
#[derive(Debug)]
pub struct SafeSearch {
    engines: Vec<Engine>,
    /// Index into `engines`.
    names: HashMap<Name, u16>,
    targets: Vec<Name>,
}

#[derive(Debug)]
struct Engine {
    name: &'static str,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    /// One safe form, for search.
    Search(RewriteTarget),
    /// Two, for video.
    Video {
        strict: RewriteTarget,
        moderate: RewriteTarget,
    },
}

/// Why a table of safe forms cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SafeSearchError {
    /// Not the TOML we expect.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A name that is none.
    #[error("`{name}`: {error}")]
    Name {
        /// As written.
        name: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// An engine with neither `target` nor both of `strict` and `moderate`.
    #[error("engine `{0}` has no target")]
    Target(String),
    /// A name two engines claim, or one that is itself a target: it would lead to itself.
    #[error("`{0}` stands in the table twice")]
    Duplicate(Name),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TableSpec {
    engine: Vec<EngineSpec>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineSpec {
    name: String,
    #[serde(rename = "title")]
    _title: String,
    target: Option<String>,
    strict: Option<String>,
    moderate: Option<String>,
    names: Vec<String>,
    #[serde(default)]
    apex: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "checked")]
    _checked: String,
    #[serde(default, rename = "note")]
    _note: String,
}

impl SafeSearch {
    /// The table that came with the program.
    ///
    /// # Errors
    /// None for the table in this source tree; a test reads it.
    pub fn embedded() -> Result<Self, SafeSearchError> {
        Self::parse(TABLE)
    }

    /// Reads a table.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SafeSearchError> {
        let spec: TableSpec = toml::from_str(text)?;
        let mut table = Self {
            engines: Vec::new(),
            names: HashMap::new(),
            targets: Vec::new(),
        };
        for engine in spec.engine {
            table.add(engine)?;
        }
        match table.targets.iter().find(|t| table.names.contains_key(*t)) {
            Some(target) => Err(SafeSearchError::Duplicate(target.clone())),
            None => Ok(table),
        }
    }

    fn add(&mut self, spec: EngineSpec) -> Result<(), SafeSearchError> {
        let form = match (spec.target, spec.strict, spec.moderate) {
            (Some(target), None, None) => Form::Search(self.add_target(&target)?),
            (None, Some(strict), Some(moderate)) => Form::Video {
                strict: self.add_target(&strict)?,
                moderate: self.add_target(&moderate)?,
            },
            _ => return Err(SafeSearchError::Target(spec.name)),
        };
        let index = self.engines.len() as u16;
        self.engines.push(Engine {
            name: intern(&spec.name),
            form,
        });
        for text in spec.names.iter().chain(&spec.apex) {
            let name = parse_name(text)?;
            if self.names.insert(name.clone(), index).is_some() {
                return Err(SafeSearchError::Duplicate(name));
            }
        }
        Ok(())
    }

    fn add_target(&mut self, text: &str) -> Result<RewriteTarget, SafeSearchError> {
        let target = RewriteTarget(self.targets.len() as u16);
        self.targets.push(parse_name(text)?);
        Ok(target)
    }

    /// The engine whose name this is and the name to answer with, as the profile's switches say.
    pub fn find(
        &self,
        name: NameRef<'_>,
        search: bool,
        youtube: Youtube,
    ) -> Option<(&'static str, RewriteTarget)> {
        if !search && youtube == Youtube::Off {
            return None;
        }
        let engine = self.engine_of(name).or_else(|| self.engine_behind(name))?;
        let target = match (engine.form, youtube) {
            (Form::Search(target), _) if search => target,
            (Form::Video { strict, .. }, Youtube::Strict) => strict,
            (Form::Video { moderate, .. }, Youtube::Moderate) => moderate,
            _ => return None,
        };
        Some((engine.name, target))
    }

    fn engine_of(&self, name: NameRef<'_>) -> Option<&Engine> {
        let index = self.names.get(name.as_wire())?;
        self.engines.get(usize::from(*index))
    }

    /// The engine of a name whose first label has a number at its end: `www4.bing.com` is one more
    /// machine of `www.bing.com`. `bing4.com` is somebody else.
    fn engine_behind(&self, name: NameRef<'_>) -> Option<&Engine> {
        let first = name.labels().next()?;
        let figures = first.iter().rev().take_while(|it| it.is_ascii_digit());
        let figures = figures.count();
        if figures == 0 || figures == first.len() || name == name.registrable_guess() {
            return None;
        }
        let kept = first.len() - figures;
        let rest = name.as_wire().get(1 + first.len()..)?;
        let mut wire = [0; MAX_NAME];
        // A label has 63 octets at most.
        wire[0] = kept as u8;
        wire[1..=kept].copy_from_slice(&first[..kept]);
        let end = 1 + kept + rest.len();
        wire.get_mut(1 + kept..end)?.copy_from_slice(rest);
        self.engine_of(NameRef::from_wire(wire.get(..end)?).ok()?)
    }

    /// The restricted name.
    pub fn target(&self, target: RewriteTarget) -> NameRef<'_> {
        self.targets[usize::from(target.0)].as_ref()
    }

    /// The names that have a safe form.
    pub(super) fn names(&self) -> impl Iterator<Item = NameRef<'_>> {
        self.names.keys().map(Name::as_ref)
    }

    /// How many names have a safe form.
    pub fn name_count(&self) -> usize {
        self.names.len()
    }
}

fn parse_name(text: &str) -> Result<Name, SafeSearchError> {
    Name::parse(text).map_err(|error| SafeSearchError::Name {
        name: text.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn the_embedded_table_knows_the_engines() {
        let table = SafeSearch::embedded().unwrap();
        assert!(table.name_count() > 400, "{}", table.name_count());
        for (asked, youtube, target) in [
            (
                "www.google.co.uk",
                Youtube::Off,
                "forcesafesearch.google.com",
            ),
            ("www.bing.com", Youtube::Off, "strict.bing.com"),
            ("duckduckgo.com", Youtube::Off, "safe.duckduckgo.com"),
            ("www.youtube.com", Youtube::Strict, "restrict.youtube.com"),
            (
                "www.youtube.com",
                Youtube::Moderate,
                "restrictmoderate.youtube.com",
            ),
        ] {
            let (_, found) = table.find(name(asked).as_ref(), true, youtube).unwrap();
            assert_eq!(table.target(found), name(target).as_ref(), "{asked}");
        }
        let www = name("www.google.com");
        assert_eq!(table.find(www.as_ref(), false, Youtube::Strict), None);
        assert_eq!(
            table.find(name("mail.google.com").as_ref(), true, Youtube::Off),
            None
        );
    }

    #[test]
    fn a_number_more_is_the_same_engine_and_other_names_of_the_company_are_not() {
        let table = SafeSearch::embedded().unwrap();
        for (asked, target) in [
            ("www2.bing.com", Some("strict.bing.com")),
            ("www4.bing.com", Some("strict.bing.com")),
            ("www17.google.co.uk", Some("forcesafesearch.google.com")),
            ("global.bing.com", Some("strict.bing.com")),
            ("fr.bing.com", Some("strict.bing.com")),
            ("images.google.de", Some("forcesafesearch.google.com")),
            ("cse.google.com", Some("forcesafesearch.google.com")),
            ("ipv6.google.com", Some("forcesafesearch.google.com")),
            ("m2.youtube.com", Some("restrict.youtube.com")),
            ("youtube.com", Some("restrict.youtube.com")),
            ("eu3.startpage.com", Some("safe.startpage.com")),
            ("bing4.com", None),
            ("google2.co.uk", None),
            ("duckduckgo1.com", None),
            ("4.bing.com", None),
            ("th.bing.com", None),
            ("r.bing.com", None),
            ("mt1.google.com", None),
            ("clients4.google.com", None),
            ("maps.google.com", None),
            ("www3.l.google.com", None),
            ("accounts.youtube.com", None),
        ] {
            let found = table.find(name(asked).as_ref(), true, Youtube::Strict);
            let found = found.map(|(_, target)| table.target(target).to_string());
            assert_eq!(found.as_deref(), target, "{asked}");
        }
        let numbered = name("m2.youtube.com");
        assert_eq!(table.find(numbered.as_ref(), true, Youtube::Off), None);
    }

    #[test]
    fn a_target_that_is_rewritten_itself_is_refused() {
        let text = "[[engine]]\nname='x'\ntitle=''\nsource=''\nchecked=''\n\
                    target='safe.example'\nnames=['www.example','safe.example']";
        let error = SafeSearch::parse(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`safe.example` stands in the table twice"
        );
    }
}
