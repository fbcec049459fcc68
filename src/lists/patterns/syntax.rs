//! Reading regular expressions.
//!
//! People write three dialects into lists: POSIX extended as Pi-hole reads it (TRE), Go's as
//! AdGuard Home does, and what they know from elsewhere. Where these agree on what matches, so do
//! we; what cannot be searched in linear time (back-references, looking around) and what says
//! something about case or lines that names do not have is refused or without effect. Letter case
//! means nothing: names are in lower case, and so is everything read here.

use super::PatternFault;

/// An expression, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Matches in front of everything.
    Empty,
    /// One octet of a set.
    Octet(OctetSet),
    /// The begin of the name.
    Begin,
    /// The end of the name.
    End,
    /// The edge of a word, or a place that is none.
    Edge(Edge),
    /// One after the other.
    Row(Vec<Self>),
    /// One of several.
    Either(Vec<Self>),
    /// The same several times.
    Repeat {
        /// What.
        node: Box<Self>,
        /// At least so often.
        least: u32,
        /// At most so often; none for any number.
        most: Option<u32>,
    },
}

/// A place between octets; words are of `[A-Za-z0-9_]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// A word begins or ends.
    Any,
    /// No word begins or ends.
    None,
    /// A word begins.
    Begin,
    /// A word ends.
    End,
}

/// A set of octets: the bit of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct OctetSet([u64; 4]);

impl OctetSet {
    /// Adds an octet.
    pub(super) const fn add(&mut self, octet: u8) {
        self.0[(octet >> 6) as usize] |= 1 << (octet & 63);
    }

    fn add_range(&mut self, from: u8, to: u8) {
        (from..=to).for_each(|octet| self.add(octet));
    }

    fn add_all(&mut self, other: Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// The octets that are not in it.
    const fn inverted(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// The small letters of all capital ones in it too, and the other way round.
    fn without_case(mut self) -> Self {
        for letter in b'a'..=b'z' {
            let capital = letter.to_ascii_uppercase();
            if self.has(letter) || self.has(capital) {
                self.add(letter);
                self.add(capital);
            }
        }
        self
    }

    /// Whether an octet is in it.
    pub(super) const fn has(self, octet: u8) -> bool {
        self.0[(octet >> 6) as usize] >> (octet & 63) & 1 == 1
    }

    /// Those octets of it that a name in lower case can have.
    pub(super) fn octets(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |octet| self.has(*octet) && !octet.is_ascii_uppercase())
    }

    /// The one octet in it, if there is no other but the same letter in the other case.
    fn only(self) -> Option<u8> {
        let mut octets = self.octets();
        octets.next().filter(|_| octets.next().is_none())
    }

    /// As it stands in the section.
    pub(super) fn to_bytes(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().flat_map(u64::to_le_bytes)
    }

    fn of(octets: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::default();
        octets.into_iter().for_each(|octet| set.add(octet));
        set
    }

    fn of_class(is_in: impl Fn(&u8) -> bool) -> Self {
        Self::of((0..=0x7f).filter(is_in))
    }
}

impl Node {
    /// This octet, whatever its case.
    pub(super) fn octet(octet: u8) -> Self {
        Self::Octet(OctetSet::of([octet]).without_case())
    }

    /// Any number of any octets.
    pub(super) fn anything() -> Self {
        Self::Repeat {
            node: Box::new(Self::Octet(any())),
            least: 0,
            most: None,
        }
    }
}

/// Reads an expression.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn parse(text: &str) -> Result<Node, PatternFault> {
    if !text.is_ascii() {
        return Err(PatternFault::Unsupported(
            "a character outside ASCII; a query holds the A-labels of a name",
        ));
    }
    let mut parser = Parser {
        text: text.as_bytes(),
        at: 0,
        depth: 0,
    };
    let node = parser.either()?;
    if parser.at < parser.text.len() {
        return Err(parser.fault("a `)` without its `(`"));
    }
    Ok(node)
}

/// How deep groups may stand in groups.
const MAX_DEPTH: usize = 40;
/// The most a `{n}` may say.
const MAX_COUNT: u32 = 1000;

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.at += 1;
        Some(octet)
    }

    /// Goes on behind `text` if it comes next.
    fn skip(&mut self, text: &str) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = rest.starts_with(text.as_bytes());
        if found {
            self.at += text.len();
        }
        found
    }

    /// Something wrong with what was read last.
    fn fault(&self, what: &'static str) -> PatternFault {
        PatternFault::Syntax {
            at: self.at.max(1),
            what,
        }
    }

    /// `a|b|c`, to the end or a `)`.
    fn either(&mut self) -> Result<Node, PatternFault> {
        let first = self.row()?;
        if self.peek() != Some(b'|') {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.skip("|") {
            all.push(self.row()?);
        }
        Ok(Node::Either(all))
    }

    fn row(&mut self) -> Result<Node, PatternFault> {
        let mut all = Vec::new();
        while let Some(octet) = self.peek().filter(|octet| !matches!(octet, b'|' | b')')) {
            if self.skip(r"\Q") {
                while !self.skip(r"\E") {
                    let Some(octet) = self.next() else { break };
                    all.push(Node::octet(octet));
                }
                continue;
            }
            self.at += 1;
            let atom = self.atom(octet)?;
            all.push(self.repeated(atom)?);
        }
        Ok(match all.len() {
            0 => Node::Empty,
            1 => all.swap_remove(0),
            _ => Node::Row(all),
        })
    }

    /// What begins with `octet`, which was read already.
    fn atom(&mut self, octet: u8) -> Result<Node, PatternFault> {
        Ok(match octet {
            b'(' => self.group()?,
            b'[' => Node::Octet(self.bracket()?),
            b'.' => Node::Octet(any()),
            b'^' => Node::Begin,
            b'$' => Node::End,
            b'*' | b'+' | b'?' => return Err(self.fault("nothing to repeat")),
            b'\\' => self.escape()?,
            other => Node::octet(other),
        })
    }

    /// `atom` with what stands behind it: `*`, `+`, `?`, `{2,3}`.
    fn repeated(&mut self, atom: Node) -> Result<Node, PatternFault> {
        let Some((least, most)) = self.repetition()? else {
            return Ok(atom);
        };
        // A lazy repetition finds the same names.
        self.skip("?");
        if matches!(self.peek(), Some(b'*' | b'+' | b'?')) {
            self.at += 1;
            return Err(self.fault("a repetition of a repetition"));
        }
        let node = Box::new(atom);
        Ok(Node::Repeat { node, least, most })
    }

    /// How often, if a repetition comes next.
    fn repetition(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternFault> {
        let counts = match self.peek() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => return self.counts(),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(counts))
    }

    /// `{2}`, `{2,}`, `{,3}` or `{2,3}`; a `{` that counts nothing is itself, as in Go and Perl.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternFault> {
        let begin = self.at;
        self.at += 1;
        let least = self.number();
        let comma = self.skip(",");
        let most = if comma { self.number() } else { least };
        if !self.skip("}") || (least.is_none() && most.is_none()) {
            self.at = begin;
            return Ok(None);
        }
        let least = least.unwrap_or(0);
        if least.max(most.unwrap_or(0)) > MAX_COUNT {
            return Err(self.fault("a repetition of more than 1000 times"));
        }
        if most.is_some_and(|most| most < least) {
            return Err(self.fault("a repetition whose end is before its begin"));
        }
        Ok(Some((least, most)))
    }

    fn number(&mut self) -> Option<u32> {
        let begin = self.at;
        while self.peek().is_some_and(|octet| octet.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = str::from_utf8(self.text.get(begin..self.at)?).ok()?;
        // More digits than a number has are a number that is too large.
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
    }

    /// What stands behind a `(`.
    fn group(&mut self) -> Result<Node, PatternFault> {
        if self.skip("?#") {
            while let Some(octet) = self.next() {
                if octet == b')' {
                    return Ok(Node::Empty);
                }
            }
            return Err(self.fault("a comment without its `)`"));
        }
        if self.skip("?") && !self.skip(":") && self.group_head()? {
            return Ok(Node::Empty);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault("too many groups in groups"));
        }
        let inside = self.either()?;
        self.depth -= 1;
        if !self.skip(")") {
            return Err(self.fault("a `(` without its `)`"));
        }
        Ok(inside)
    }

    /// What stands behind a `(?`: a name, or flags. Whether the group ends there already.
    fn group_head(&mut self) -> Result<bool, PatternFault> {
        if ["=", "!", "<=", "<!"].iter().any(|look| self.skip(look)) {
            return Err(PatternFault::Unsupported("looking around (`(?=`, `(?!`)"));
        }
        if self.skip(">") {
            return Err(PatternFault::Unsupported("atomic groups (`(?>`)"));
        }
        if self.skip("P<") || self.skip("<") {
            while let Some(octet) = self.next() {
                match octet {
                    b'>' => return Ok(false),
                    octet if octet.is_ascii_alphanumeric() || octet == b'_' => {}
                    _ => break,
                }
            }
            return Err(self.fault("a group's name without its `>`"));
        }
        // Case, lines and greed change nothing about which names match.
        while let Some(octet) = self.next() {
            match octet {
                b'i' | b's' | b'm' | b'U' | b'-' => {}
                b':' => return Ok(false),
                b')' => return Ok(true),
                b'x' => return Err(PatternFault::Unsupported("the flag `x`")),
                _ => return Err(self.fault("an unknown flag")),
            }
        }
        Err(self.fault("a `(` without its `)`"))
    }

    /// What stands behind a `\` outside brackets.
    fn escape(&mut self) -> Result<Node, PatternFault> {
        let edge = match self.peek() {
            Some(b'b') => Node::Edge(Edge::Any),
            Some(b'B') => Node::Edge(Edge::None),
            Some(b'<') => Node::Edge(Edge::Begin),
            Some(b'>') => Node::Edge(Edge::End),
            Some(b'A') => Node::Begin,
            Some(b'z' | b'Z') => Node::End,
            Some(b'1'..=b'9') => return Err(PatternFault::Unsupported("back-references")),
            _ => return Ok(Node::Octet(self.escaped()?)),
        };
        self.at += 1;
        Ok(edge)
    }

    /// What stands behind a `\` and is an octet of some set.
    fn escaped(&mut self) -> Result<OctetSet, PatternFault> {
        let Some(octet) = self.next() else {
            return Err(self.fault("a `\\` at the end"));
        };
        let one = |octet| OctetSet::of([octet]).without_case();
        Ok(match octet {
            b'd' => OctetSet::of_class(u8::is_ascii_digit),
            b'D' => OctetSet::of_class(u8::is_ascii_digit).inverted(),
            b'w' => OctetSet::of_class(is_word),
            b'W' => OctetSet::of_class(is_word).inverted(),
            b's' => OctetSet::of_class(is_space),
            b'S' => OctetSet::of_class(is_space).inverted(),
            b't' => one(b'\t'),
            b'n' => one(b'\n'),
            b'r' => one(b'\r'),
            b'f' => one(0x0c),
            b'v' => one(0x0b),
            b'a' => one(0x07),
            b'x' => one(self.hexadecimal()?),
            b'p' | b'P' => return Err(PatternFault::Unsupported("classes of Unicode (`\\p`)")),
            other if other.is_ascii_alphanumeric() => return Err(self.fault("an unknown escape")),
            other => one(other),
        })
    }

    /// `41` or `{41}`.
    fn hexadecimal(&mut self) -> Result<u8, PatternFault> {
        let braced = self.skip("{");
        let begin = self.at;
        let most = if braced { 8 } else { 2 };
        while self.at - begin < most && self.peek().is_some_and(|it| it.is_ascii_hexdigit()) {
            self.at += 1;
        }
        let digits = self.text.get(begin..self.at).unwrap_or_default();
        let value = str::from_utf8(digits)
            .ok()
            .filter(|digits| braced || digits.len() == 2)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if braced && !self.skip("}") {
            return Err(self.fault("a `{` without its `}`"));
        }
        value
            .and_then(|value| u8::try_from(value).ok())
            .filter(u8::is_ascii)
            .ok_or_else(|| self.fault("no ASCII character in hexadecimal digits"))
    }

    /// What stands behind a `[`.
    fn bracket(&mut self) -> Result<OctetSet, PatternFault> {
        let mut set = OctetSet::default();
        let inverted = self.skip("^");
        let begin = self.at;
        loop {
            if self.at > begin && self.skip("]") {
                break;
            }
            let Some(octet) = self.next() else {
                return Err(self.fault("a `[` without its `]`"));
            };
            let from = match octet {
                b'[' if matches!(self.peek(), Some(b':' | b'.' | b'=')) => {
                    set.add_all(self.class()?);
                    continue;
                }
                b'\\' => {
                    let escaped = self.escaped()?;
                    let Some(octet) = escaped.only() else {
                        set.add_all(escaped);
                        continue;
                    };
                    octet
                }
                other => other,
            };
            let is_range = self.peek() == Some(b'-')
                && !matches!(self.text.get(self.at + 1), None | Some(b']'));
            if !is_range {
                set.add(from);
                continue;
            }
            self.at += 1;
            let to = match self.next() {
                Some(b'\\') => {
                    let escaped = self.escaped()?.only();
                    escaped.ok_or_else(|| self.fault("a range that ends in a class"))?
                }
                Some(octet) => octet,
                None => return Err(self.fault("a `[` without its `]`")),
            };
            if to < from {
                return Err(self.fault("a range whose end is before its begin"));
            }
            set.add_range(from, to);
        }
        let set = set.without_case();
        Ok(if inverted { set.inverted() } else { set })
    }

    /// `[:alpha:]`, behind its `[`.
    fn class(&mut self) -> Result<OctetSet, PatternFault> {
        if !self.skip(":") {
            return Err(PatternFault::Unsupported(
                "collating symbols (`[.a.]`, `[=a=]`)",
            ));
        }
        let inverted = self.skip("^");
        let known = CLASSES.iter().find(|(name, _)| self.skip(name));
        let Some((_, is_in)) = known else {
            return Err(self.fault("an unknown class"));
        };
        let set = OctetSet::of_class(is_in).without_case();
        Ok(if inverted { set.inverted() } else { set })
    }
}

/// A class of characters by its name, and what is in it.
type Class = (&'static str, fn(&u8) -> bool);

/// POSIX's classes, for ASCII.
const CLASSES: [Class; 13] = [
    ("alnum:]", u8::is_ascii_alphanumeric),
    ("alpha:]", u8::is_ascii_alphabetic),
    ("blank:]", |octet| matches!(octet, b' ' | b'\t')),
    ("cntrl:]", u8::is_ascii_control),
    ("digit:]", u8::is_ascii_digit),
    ("graph:]", u8::is_ascii_graphic),
    ("lower:]", u8::is_ascii_lowercase),
    ("print:]", |octet| matches!(octet, b' '..=b'~')),
    ("punct:]", u8::is_ascii_punctuation),
    ("space:]", is_space),
    ("upper:]", u8::is_ascii_uppercase),
    ("word:]", is_word),
    ("xdigit:]", u8::is_ascii_hexdigit),
];

/// What `.` stands for.
fn any() -> OctetSet {
    OctetSet::of([b'\n']).inverted()
}

/// Of words, for `\w` and `\b`.
pub(super) const fn is_word(octet: &u8) -> bool {
    octet.is_ascii_alphanumeric() || *octet == b'_'
}

/// What `\s` stands for, and `[:space:]`.
const fn is_space(octet: &u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (text, said) in [
            (
                "a(b",
                "the pattern cannot be read at octet 3: a `(` without its `)`",
            ),
            (
                "a)b",
                "the pattern cannot be read at octet 1: a `)` without its `(`",
            ),
            (
                "*.example",
                "the pattern cannot be read at octet 1: nothing to repeat",
            ),
            (
                "a**",
                "the pattern cannot be read at octet 3: a repetition of a repetition",
            ),
            (
                "a++",
                "the pattern cannot be read at octet 3: a repetition of a repetition",
            ),
            (
                "a[b",
                "the pattern cannot be read at octet 3: a `[` without its `]`",
            ),
            (
                "[z-a]",
                "the pattern cannot be read at octet 4: a range whose end is before its begin",
            ),
            (
                "[a-\\d]",
                "the pattern cannot be read at octet 5: a range that ends in a class",
            ),
            (
                "[[:letter:]]",
                "the pattern cannot be read at octet 3: an unknown class",
            ),
            (
                "a{3,2}",
                "the pattern cannot be read at octet 6: a repetition whose end is before its begin",
            ),
            (
                "a{1001}",
                "the pattern cannot be read at octet 7: a repetition of more than 1000 times",
            ),
            (
                "a{99999999999}",
                "the pattern cannot be read at octet 14: a repetition of more than 1000 times",
            ),
            (
                "a\\",
                "the pattern cannot be read at octet 2: a `\\` at the end",
            ),
            (
                "\\y",
                "the pattern cannot be read at octet 2: an unknown escape",
            ),
            (
                "\\x4",
                "the pattern cannot be read at octet 3: no ASCII character in hexadecimal digits",
            ),
            (
                "(?<name",
                "the pattern cannot be read at octet 7: a group's name without its `>`",
            ),
            (
                "(?#comment",
                "the pattern cannot be read at octet 10: a comment without its `)`",
            ),
            ("(a)\\1", "not supported in a pattern: back-references"),
            (
                "(?!a)b",
                "not supported in a pattern: looking around (`(?=`, `(?!`)",
            ),
            (
                "(?<=a)b",
                "not supported in a pattern: looking around (`(?=`, `(?!`)",
            ),
            (
                "(?>a)b",
                "not supported in a pattern: atomic groups (`(?>`)",
            ),
            ("(?x)a b", "not supported in a pattern: the flag `x`"),
            (
                "\\p{L}",
                "not supported in a pattern: classes of Unicode (`\\p`)",
            ),
            (
                "[[.a.]]",
                "not supported in a pattern: collating symbols (`[.a.]`, `[=a=]`)",
            ),
            (
                "münchen",
                "not supported in a pattern: a character outside ASCII; a query holds the A-labels of a name",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), said, "{text}");
        }
        let deep = "(".repeat(41) + &")".repeat(41);
        assert!(matches!(
            parse(&deep),
            Err(PatternFault::Syntax { at: 41, .. })
        ));
    }

    #[test]
    fn dialects_say_the_same() {
        for same in [
            &["[0-9]", "\\d", "[[:digit:]]", "[\\d]", "[0123456789]"][..],
            &[
                "ads",
                "ADS",
                "(?i)ads",
                "(?i:ads)",
                "\\Qads\\E",
                "(?#note)ads",
                "\\x61\\x{64}s",
            ],
            &["a{2,}", "a{2,}?"],
            &["a{,2}", "a{0,2}"],
            &["[a-z.-]", "[A-Z\\.\\-]", "[-.a-z]", "[.[:alpha:]-]"],
            &["[]a]", "[\\]a]"],
            &["(a|b)", "(?:a|b)", "(?<name>a|b)", "(?P<name>a|b)"],
            &["^a$", "\\Aa\\z"],
        ] {
            // A comment and flags leave an empty place behind; a group of one is its content.
            let flat = |text: &&str| match parse(text).unwrap() {
                Node::Row(all) => all.into_iter().filter(|it| *it != Node::Empty).collect(),
                other => vec![other],
            };
            let flat = |text| match flat(text).as_slice() {
                [Node::Row(all)] => all.clone(),
                other => other.to_vec(),
            };
            let first = flat(&same[0]);
            assert!(same.iter().all(|text| flat(text) == first), "{same:?}");
        }
    }
}
