//! Expressions as steps, and the machine that takes them.
//!
//! The machine is Thompson's: it goes through the name once and is in all places of the program at
//! once that could have led there. A name of n octets and a program of m steps cost at most n · m,
//! whatever either looks like, and no memory but the stack's.
//!
//! A step has three octets: what to do, and a number of 16 bits (little-endian).
//!
//! | step | number |
//! |---|---|
//! | 0 found | |
//! | 1 take an octet | which |
//! | 2 take an octet of a set | the set's number |
//! | 3 go on elsewhere | where |
//! | 4 go on elsewhere and here | where |
//! | 5 go on at an edge | which: begin, end, word's edge, none, word's begin, word's end |

use super::syntax::{Edge, Node, OctetSet, is_word};
use super::{MAX_STEPS, PatternFault};

/// The steps of `node`; sets are found in `sets` or added to it.
///
/// # Errors
/// [`PatternFault::TooComplex`] when there are more than [`MAX_STEPS`].
pub(super) fn compile(node: &Node, sets: &mut Vec<OctetSet>) -> Result<Vec<Step>, PatternFault> {
    let mut compiler = Compiler {
        steps: Vec::new(),
        sets,
    };
    compiler.add(node)?;
    compiler.push(Step::Found)?;
    Ok(compiler.steps)
}

/// Whether a program finds what it looks for in `text`; none if `work` is used up before that is
/// known. Anything may be in the octets: a step that is none ends its way.
///
/// Each step that is taken at an octet uses up one of `work`, or two where there are many, and each
/// octet some more.
pub(super) fn run(steps: &[u8], sets: &[u8], text: &[u8], work: &mut u32) -> Option<bool> {
    let program = Program { steps, sets, text };
    match steps.len() / STEP {
        0..=64 => program.run::<1>(work),
        65..=256 => program.run::<4>(work),
        _ => program.run::<{ MAX_STEPS.div_ceil(64) }>(work),
    }
}

/// A step; see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Found,
    Octet(u8),
    Set(u16),
    Go(u16),
    Fork(u16),
    Edge(u16),
}

/// Octets of a step.
pub(super) const STEP: usize = 3;

const BEGIN: u16 = 0;
const END: u16 = 1;
const WORD_EDGE: u16 = 2;
const NO_WORD_EDGE: u16 = 3;
const WORD_BEGIN: u16 = 4;
const WORD_END: u16 = 5;

impl Step {
    /// As it stands in the section.
    pub(super) fn to_bytes(self) -> [u8; STEP] {
        let (what, number) = match self {
            Self::Found => (0, 0),
            Self::Octet(octet) => (1, u16::from(octet)),
            Self::Set(number) => (2, number),
            Self::Go(to) => (3, to),
            Self::Fork(to) => (4, to),
            Self::Edge(edge) => (5, edge),
        };
        let [low, high] = number.to_le_bytes();
        [what, low, high]
    }

    fn from_bytes([what, low, high]: [u8; STEP]) -> Option<Self> {
        let number = u16::from_le_bytes([low, high]);
        Some(match what {
            0 => Self::Found,
            1 => Self::Octet(low),
            2 => Self::Set(number),
            3 => Self::Go(number),
            4 => Self::Fork(number),
            5 => Self::Edge(number),
            _ => return None,
        })
    }
}

struct Compiler<'s> {
    steps: Vec<Step>,
    sets: &'s mut Vec<OctetSet>,
}

impl Compiler<'_> {
    fn push(&mut self, step: Step) -> Result<usize, PatternFault> {
        if self.steps.len() >= MAX_STEPS {
            return Err(PatternFault::TooComplex);
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    /// Where the next step will stand.
    fn here(&self) -> u16 {
        // At most `MAX_STEPS`.
        self.steps.len() as u16
    }

    /// Lets the step at `place`, a way elsewhere, lead here.
    fn lead_here(&mut self, place: usize) {
        let here = self.here();
        if let Some(Step::Go(to) | Step::Fork(to)) = self.steps.get_mut(place) {
            *to = here;
        }
    }

    fn add(&mut self, node: &Node) -> Result<(), PatternFault> {
        let step = match node {
            Node::Empty => return Ok(()),
            Node::Octet(set) => self.take(*set),
            Node::Begin => Step::Edge(BEGIN),
            Node::End => Step::Edge(END),
            Node::Edge(edge) => Step::Edge(match edge {
                Edge::Any => WORD_EDGE,
                Edge::None => NO_WORD_EDGE,
                Edge::Begin => WORD_BEGIN,
                Edge::End => WORD_END,
            }),
            Node::Row(all) => return all.iter().try_for_each(|node| self.add(node)),
            Node::Either(all) => return self.either(all),
            Node::Repeat { node, least, most } => return self.repeat(node, *least, *most),
        };
        self.push(step).map(drop)
    }

    /// The step that takes an octet of `set`.
    fn take(&mut self, set: OctetSet) -> Step {
        let mut octets = set.octets();
        if let (Some(only), None) = (octets.next(), octets.next()) {
            return Step::Octet(only);
        }
        let known = self.sets.iter().position(|known| *known == set);
        let number = known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        });
        // Fewer sets than steps of all patterns; the builder bounds those.
        Step::Set(number as u16)
    }

    fn either(&mut self, all: &[Node]) -> Result<(), PatternFault> {
        let Some((last, others)) = all.split_last() else {
            return Ok(());
        };
        let mut ends = Vec::new();
        for node in others {
            let fork = self.push(Step::Fork(0))?;
            self.add(node)?;
            ends.push(self.push(Step::Go(0))?);
            self.lead_here(fork);
        }
        self.add(last)?;
        ends.into_iter().for_each(|end| self.lead_here(end));
        Ok(())
    }

    fn repeat(&mut self, node: &Node, least: u32, most: Option<u32>) -> Result<(), PatternFault> {
        let begin = self.here();
        let mut last = begin;
        for _ in 0..least {
            last = self.here();
            self.add(node)?;
            if self.here() == begin {
                // Nothing, however often.
                return Ok(());
            }
        }
        match most {
            // Once more from the last copy.
            None if least > 0 => self.push(Step::Fork(last)).map(drop),
            None => {
                let fork = self.push(Step::Fork(0))?;
                self.add(node)?;
                self.push(Step::Go(begin))?;
                self.lead_here(fork);
                Ok(())
            }
            Some(most) => {
                let mut forks = Vec::new();
                for _ in least..most {
                    forks.push(self.push(Step::Fork(0))?);
                    self.add(node)?;
                }
                forks.into_iter().for_each(|fork| self.lead_here(fork));
                Ok(())
            }
        }
    }
}

/// A program in the section and the text it runs over.
#[derive(Clone, Copy)]
struct Program<'a> {
    steps: &'a [u8],
    sets: &'a [u8],
    text: &'a [u8],
}

/// Where a program is after an octet.
enum Way<const W: usize> {
    /// At these steps, which take the next.
    On(Steps<W>),
    /// At its end: it found what it looks for.
    Found,
}

/// Steps of a program of at most `W` times 64: a bit for each.
#[derive(Clone, Copy)]
struct Steps<const W: usize>([u64; W]);

impl Program<'_> {
    fn run<const W: usize>(self, work: &mut u32) -> Option<bool> {
        // Where an octet is to be taken.
        let mut now = Steps::<W>::NONE;
        let anchored = self.step(0) == Some(Step::Edge(BEGIN));
        for at in 0..=self.text.len() {
            *work = work.checked_sub(Steps::<W>::WORK)?;
            let mut waiting = now;
            let mut reached = Steps::NONE;
            if at == 0 || !anchored {
                reached.add(0);
            }
            if let Some(before) = at.checked_sub(1) {
                let octet = self.text.get(before).copied().unwrap_or_default();
                while let Some(step) = waiting.take_first() {
                    *work = work.checked_sub(Steps::<W>::EACH)?;
                    let taken = match self.step(step) {
                        Some(Step::Octet(wanted)) => wanted == octet,
                        Some(Step::Set(set)) => self.set_has(set, octet),
                        _ => false,
                    };
                    if taken {
                        reached.add(step + 1);
                    }
                }
            }
            match self.go_on(reached, at, work)? {
                Way::On(next) if anchored && next.is_empty() => return Some(false),
                Way::On(next) => now = next,
                Way::Found => return Some(true),
            }
        }
        Some(false)
    }

    /// All steps to which the way leads from `waiting` without taking an octet, as far as they
    /// take one; none where there is no work left.
    fn go_on<const W: usize>(
        self,
        mut waiting: Steps<W>,
        at: usize,
        work: &mut u32,
    ) -> Option<Way<W>> {
        let mut seen = waiting;
        let mut takers = Steps::NONE;
        while let Some(step) = waiting.take_first() {
            *work = work.checked_sub(Steps::<W>::EACH)?;
            let mut lead = |to: u16| {
                if seen.add(to) {
                    waiting.add(to);
                }
            };
            match self.step(step) {
                Some(Step::Found) => return Some(Way::Found),
                Some(Step::Octet(_) | Step::Set(_)) => {
                    takers.add(step);
                }
                Some(Step::Go(to)) => lead(to),
                Some(Step::Fork(to)) => {
                    lead(to);
                    lead(step + 1);
                }
                Some(Step::Edge(edge)) if self.is_edge(edge, at) => lead(step + 1),
                Some(Step::Edge(_)) | None => {}
            }
        }
        Some(Way::On(takers))
    }

    fn step(self, number: u16) -> Option<Step> {
        let (step, _) = self
            .steps
            .get(usize::from(number) * STEP..)?
            .split_first_chunk()?;
        Step::from_bytes(*step)
    }

    fn set_has(self, set: u16, octet: u8) -> bool {
        let at = usize::from(set) * SET + usize::from(octet >> 3);
        self.sets
            .get(at)
            .is_some_and(|bits| bits >> (octet & 7) & 1 == 1)
    }

    fn is_edge(self, edge: u16, at: usize) -> bool {
        let word_at = |at: Option<usize>| at.and_then(|at| self.text.get(at)).is_some_and(is_word);
        let before = word_at(at.checked_sub(1));
        let behind = word_at(Some(at));
        match edge {
            BEGIN => at == 0,
            END => at == self.text.len(),
            WORD_EDGE => before != behind,
            NO_WORD_EDGE => before == behind,
            WORD_BEGIN => !before && behind,
            WORD_END => before && !behind,
            _ => false,
        }
    }
}

impl<const W: usize> Steps<W> {
    const NONE: Self = Self([0; W]);
    /// What an octet costs beside its steps.
    const WORK: u32 = 2 + W as u32;
    /// What a step costs: among many, the next one takes longer to find.
    const EACH: u32 = if W > 4 { 2 } else { 1 };

    /// Adds a step; whether it was not there. One that no program has is not added.
    fn add(&mut self, step: u16) -> bool {
        let Some(word) = self.0.get_mut(usize::from(step >> 6)) else {
            return false;
        };
        let bit = 1 << (step & 63);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes out the first step.
    fn take_first(&mut self) -> Option<u16> {
        let (number, word) = (0..).zip(&mut self.0).find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros() as u16;
        *word &= *word - 1;
        Some(number * 64 + bit)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// Octets of a set: a bit for each octet there is.
pub(super) const SET: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::syntax::parse;
    use super::*;

    fn matches(expression: &str, text: &str) -> bool {
        let mut sets = Vec::new();
        let steps = compile(&parse(expression).unwrap(), &mut sets).unwrap();
        let steps: Vec<u8> = steps.iter().flat_map(|it| it.to_bytes()).collect();
        let sets: Vec<u8> = sets.iter().flat_map(|it| it.to_bytes()).collect();
        run(&steps, &sets, text.as_bytes(), &mut { u32::MAX }).unwrap()
    }

    #[test]
    fn expressions_find_what_they_say() {
        for (expression, text, expected) in [
            ("^ad[sx]?[0-9]*[.-]", "ads12.example.org", true),
            ("^ad[sx]?[0-9]*[.-]", "adserver.example.org", false),
            (r"(^|\.)ads\.", "www.ads.example", true),
            (r"(^|\.)ads\.", "wwwads.example", false),
            ("a{2,3}", "xaax", true),
            ("^a{2,3}$", "aaaa", false),
            ("^(ab){2}$", "abab", true),
            ("^a{0}b$", "b", true),
            ("(|a)+b$", "aab", true),
            ("^(a*)*$", "aaa", true),
            ("^$", "", true),
            ("^$", "a", false),
            (r"\bads\b", "my-ads.example", true),
            (r"\bads\b", "myads.example", false),
            (r"\Bads", "myads.example", true),
            (r"\<ads\>", "ads.example", true),
            ("ADS", "ads.example", true),
            ("[^a-y.]", "abc.z", true),
            ("[^A-Z.]", "abc.xyz", false),
            ("a|b|c", "xxc", true),
            ("a||b", "", true),
            ("x{", "x{", true),
            ("x{a}", "x{a}", true),
        ] {
            assert_eq!(matches(expression, text), expected, "{expression} {text}");
        }
    }

    #[test]
    fn too_many_steps_are_refused() {
        for expression in [
            "((a{100}){100}){100}",
            "((a{0,100}){100}){100}",
            "[a-z]{1000}",
        ] {
            let node = parse(expression).unwrap();
            let compiled = compile(&node, &mut Vec::new());
            assert_eq!(compiled, Err(PatternFault::TooComplex), "{expression}");
        }
        // Nothing, a thousand million times, is nothing.
        let node = parse("((((){1000}){1000}){1000}){1000}").unwrap();
        assert!(compile(&node, &mut Vec::new()).is_ok());
    }

    /// A search that steps back would take 2^200 steps here and never end.
    #[test]
    fn an_expression_made_to_be_slow_is_not() {
        let text = "a".repeat(252) + "!";
        for (expression, expected) in [
            ("^(a*)*$", false),
            ("(a|a|aa)*b", false),
            ("^(a?){200}a{200}!", true),
            ("(.*)(.*)(.*)(.*)(.*)[^!]$", false),
            ("((((a*)*)*)*)*!", true),
        ] {
            assert_eq!(matches(expression, &text), expected, "{expression}");
        }
    }

    #[test]
    fn a_program_stops_where_its_work_is_used_up() {
        let mut sets = Vec::new();
        let steps = compile(&parse("[a-z]{5}[0-9]").unwrap(), &mut sets).unwrap();
        let steps: Vec<u8> = steps.iter().flat_map(|it| it.to_bytes()).collect();
        let sets: Vec<u8> = sets.iter().flat_map(|it| it.to_bytes()).collect();
        let text = "a".repeat(200);
        let all = 100_000;
        let mut work = all;
        assert_eq!(run(&steps, &sets, text.as_bytes(), &mut work), Some(false));
        let needed = all - work;
        assert!((1000..5000).contains(&needed), "{needed}");
        for (given, expected) in [(needed, Some(false)), (needed - 1, None), (0, None)] {
            let mut work = given;
            assert_eq!(run(&steps, &sets, text.as_bytes(), &mut work), expected);
        }
    }

    proptest::proptest! {
        /// Any octets are a program that ends.
        #[test]
        fn a_program_of_any_octets_ends(
            steps in proptest::collection::vec(proptest::num::u8::ANY, 0..3100),
            text in "[a-c.]{0,40}",
        ) {
            run(&steps, &[0xff; 64], text.as_bytes(), &mut 1_000_000);
        }
    }
}
