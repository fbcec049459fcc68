//! Leaving out what a list says of a name when it says the same of a parent.
//!
//! Lists name `example.org` and `www.example.org` on two lines; the first line is enough. It is
//! not always: of two voices of one tier [`policy`](crate::policy) hears the one about the longer
//! name, so a line left out must not be one that would have outweighed another voice.
//!
//! # The rule
//! A posting is *plain* if it is not important and has no modifiers. Its *side* is whether it lets
//! through or blocks: what a blocklist or a sealed list names is against the name, what an
//! allowlist or a lifeline names is for it, and an exception is the opposite of what its list
//! names. A plain posting of a list is left out when the same list has another plain posting of
//! the same effect that matches every name this one matches, at the same name or at a parent, and
//! from that name down to this one, both included, no list has a posting that is not plain or is on
//! the other side.
//!
//! # Why no verdict changes
//! Say the posting is about c and the one that stays about p, a parent of c, and somebody asks for
//! a name q that the first matches. Only the precision of one voice differs: c's without folding,
//! p's with it. Voices on the same side lead to the same verdict whichever wins. A voice on the
//! other side about a name above p, or below c, compares alike with both. So only those from p to c
//! could matter, and of those there is none. Patterns count as the whole name asked for, so where
//! any list has one (or a fingerprint), the postings on the other side are not folded at all; an
//! exception alone may be a pattern without that, because it is heard in the lowest tier only,
//! where it wins however precise ([`Folder::new`]). What may differ is which of several lists that
//! say the same is told first.

use super::record::is_below;
use crate::lists::{Effect, ListId, ListKind, Reach};

/// For a name or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    For,
    Against,
}

impl Side {
    /// The side of what a list of `kind` says with `effect`.
    pub(super) const fn of(kind: ListKind, effect: Effect) -> Self {
        match (kind, effect) {
            (ListKind::Block | ListKind::Sealed, Effect::Listed)
            | (ListKind::Allow | ListKind::Lifeline, Effect::Excepted) => Self::Against,
            (ListKind::Block | ListKind::Sealed, Effect::Excepted)
            | (ListKind::Allow | ListKind::Lifeline, Effect::Listed) => Self::For,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::For => Self::Against,
            Self::Against => Self::For,
        }
    }
}

/// A posting, as far as folding looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) list: ListId,
    pub(super) reach: Reach,
    pub(super) effect: Effect,
    /// Neither important nor with modifiers.
    pub(super) plain: bool,
}

/// Goes through names in canonical order and says which postings can be left out.
pub(super) struct Folder {
    /// By list.
    kinds: Vec<ListKind>,
    /// Whether what is for a name, or against it, may be folded.
    folds_for: bool,
    folds_against: bool,
    /// The names above the current one, the topmost first.
    frames: Vec<Frame>,
    /// The key of the last of them; those of the others are beginnings of it.
    key: Vec<u8>,
    /// What the frames say, those of the last frame last.
    covers: Vec<Cover>,
}

/// A name under which something can be left out.
struct Frame {
    /// Octets of its key.
    length: usize,
    /// Where what it says begins.
    covers: usize,
}

/// What one list says of all names below, with nothing in the way so far.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cover {
    list: ListId,
    effect: Effect,
}

impl Folder {
    /// For lists of these kinds; `whole` are the sides on which a pattern or a fingerprint stands,
    /// exceptions of blocklists not counted.
    pub(super) fn new(kinds: Vec<ListKind>, whole: &[Side]) -> Self {
        Self {
            kinds,
            folds_for: !whole.contains(&Side::For.other()),
            folds_against: !whole.contains(&Side::Against.other()),
            frames: Vec::new(),
            key: Vec::new(),
            covers: Vec::new(),
        }
    }

    /// Takes what is said of the next name; `drops` gets for each posting whether it can be left
    /// out.
    pub(super) fn next(&mut self, key: &[u8], said: &[Said], drops: &mut Vec<bool>) {
        while let Some(frame) = self.frames.last() {
            if is_below(key, self.key.get(..frame.length).unwrap_or_default()) {
                break;
            }
            self.covers.truncate(frame.covers);
            self.frames.pop();
        }
        let inherited = self
            .frames
            .last()
            .map_or(self.covers.len()..self.covers.len(), |frame| {
                frame.covers..self.covers.len()
            });
        let begin = self.covers.len();
        // Whether nothing here stands in the way of a side.
        let is_open = |kinds: &[ListKind], side: Side| {
            said.iter()
                .all(|it| it.plain && side_of(kinds, it.list, it.effect) == side)
        };
        let (open_for, open_against) = (
            self.folds_for && is_open(&self.kinds, Side::For),
            self.folds_against && is_open(&self.kinds, Side::Against),
        );
        let is_open =
            |kinds: &[ListKind], cover: Cover| match side_of(kinds, cover.list, cover.effect) {
                Side::For => open_for,
                Side::Against => open_against,
            };
        for at in inherited {
            let Some(cover) = self.covers.get(at).copied() else {
                break;
            };
            if is_open(&self.kinds, cover) {
                self.covers.push(cover);
            }
        }
        let survived = begin..self.covers.len();
        drops.clear();
        for it in said {
            let cover = Cover {
                list: it.list,
                effect: it.effect,
            };
            let open = it.plain && is_open(&self.kinds, cover);
            let covered = self.covers.get(survived.clone()).unwrap_or_default();
            let drop = open && covered.contains(&cover)
                || it.reach != Reach::Subtree
                    // The whole subtree by the same name: the same precision for `Below`.
                    && (open || it.plain && it.reach == Reach::Below)
                    && said.contains(&Said {
                        reach: Reach::Subtree,
                        ..*it
                    });
            drops.push(drop);
            let is_new = !drop && open && it.reach != Reach::Exact;
            if is_new && self.covers.len() - begin < MAX_COVERS {
                self.covers.push(cover);
            }
        }
        if begin == self.covers.len() && self.frames.is_empty() {
            return;
        }
        // A frame without covers too: names below must not look at those above.
        self.frames.push(Frame {
            length: key.len(),
            covers: begin,
        });
        self.key.clear();
        self.key.extend_from_slice(key);
    }
}

/// How many lists may cover one name; what is more is not folded.
const MAX_COVERS: usize = 4096;

fn side_of(kinds: &[ListKind], list: ListId, effect: Effect) -> Side {
    let kind = kinds.get(usize::from(list.0)).copied();
    Side::of(kind.unwrap_or(ListKind::Block), effect)
}
