//! Which contexts share a code.

use super::alphabet::SYMBOLS;

/// Contexts divided into classes.
pub(super) struct Classes {
    /// The class of each first context.
    pub(super) first: Vec<u8>,
    /// The class of each next context.
    pub(super) next: Vec<u8>,
    /// The symbols of each class.
    pub(super) counts: Vec<[u64; SYMBOLS]>,
}

/// Divides contexts into classes, given how often each symbol occurs in each.
pub(super) fn divide(first: &[[u32; SYMBOLS]], next: &[[u32; SYMBOLS]]) -> Classes {
    let mut counts = vec![[0_u64; SYMBOLS]; 2 * SYMBOLS];
    let mut join = |contexts: &[[u32; SYMBOLS]], class_of: &dyn Fn(usize) -> usize| {
        let mut classes = Vec::with_capacity(contexts.len());
        for (pair, symbols) in contexts.iter().enumerate() {
            let class = class_of(pair);
            for (sum, count) in counts[class].iter_mut().zip(symbols) {
                *sum += u64::from(*count);
            }
            classes.push(class as u8);
        }
        classes
    };
    let first = join(first, &|pair| SYMBOLS + pair / SYMBOLS);
    let next = join(next, &|pair| pair % SYMBOLS);
    Classes {
        first,
        next,
        counts,
    }
}
