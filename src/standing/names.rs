//! Names that a few subjects mean, ready to be compared.

use super::can_be_closed;
use crate::config::{Pattern, Subject};
use crate::lists::{Index, ListId};
use crate::name::NameRef;
use crate::profile::{ListSet, ServiceSet};

/// Names that a few subjects mean: those of lists, and those written as names.
#[derive(Debug, Default)]
pub(super) struct Names {
    lists: ListSet,
    /// Of these, services, for the names they share with others.
    services: ServiceSet,
    patterns: Vec<Pattern>,
}

impl Names {
    /// What `subjects` mean; everything is not among it.
    pub(super) fn new(subjects: &[Subject], lists: &Index) -> Self {
        let mut services: Vec<&str> = Vec::new();
        let mut categories: Vec<&str> = Vec::new();
        let mut patterns = Vec::new();
        for subject in subjects {
            match subject {
                Subject::Everything => {}
                Subject::Category(id) => categories.push(id),
                Subject::Service(id) => services.push(id),
                Subject::Name(rule) => patterns.push(rule.pattern.clone()),
            }
        }
        let means = |list: &crate::lists::ListInfo| {
            can_be_closed(list.kind)
                && (categories.contains(&list.category)
                    || list.service.is_some() && services.contains(&list.id))
        };
        Self {
            lists: ListSet::of(lists, means),
            services: ServiceSet::new(&services, lists),
            patterns,
        }
    }

    /// The lists alone.
    pub(super) fn into_lists(self) -> ListSet {
        self.lists
    }

    /// Without the names of these lists.
    pub(super) fn without(self, lists: &ListSet) -> Self {
        Self {
            lists: self.lists.without(lists),
            ..self
        }
    }

    /// The names of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.patterns.extend(other.patterns);
        Self {
            lists: self.lists.union(&other.lists),
            ..self
        }
    }

    /// Whether the names of `list` are among them.
    pub(super) fn has_list(&self, list: ListId) -> bool {
        self.lists.contains(list)
    }

    /// Whether `name` is written among them.
    pub(super) fn has_name(&self, name: NameRef<'_>) -> bool {
        let mut patterns = self.patterns.iter();
        patterns.any(|pattern| pattern.labels_of(name).is_some())
    }

    /// Whether `name` is written among them or shared by one of their services: who opens a service
    /// opens what it shares.
    pub(super) fn may_open(&self, name: NameRef<'_>) -> bool {
        self.has_name(name) || self.services.sharing(name).is_some()
    }
}
