//! Guessing what was meant: the known word nearest to a misspelt one.

/// The known word nearest to `word`, if one is near enough to be worth asking about.
///
/// Near is: a third of the letters wrong at most, and never more than three. Of two equally near
/// the first counts.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let folded: Vec<char> = fold(word).collect();
    if folded.len() > MAX_CHARS {
        return None;
    }
    let allowed = (folded.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter_map(|candidate| {
            let letters: Vec<char> = fold(candidate).collect();
            let distance = distance(&folded, &letters);
            // Two words of one or two letters share nothing when a letter differs.
            let near = distance <= allowed && distance < folded.len().min(letters.len()).max(1);
            near.then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longest word we guess about.
const MAX_CHARS: usize = 64;

/// `_` for `-` and capitals are no mistakes of spelling.
fn fold(word: &str) -> impl Iterator<Item = char> {
    word.chars().take(MAX_CHARS + 1).map(|c| {
        if c == '_' {
            '-'
        } else {
            c.to_ascii_lowercase()
        }
    })
}

/// Letters to insert, drop, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["adult", "gambling", "games", "safe-search", "listen"];
        for (word, guess) in [
            ("gamblng", Some("gambling")),
            ("lisetn", Some("listen")),
            ("Safe_Search", Some("safe-search")),
            ("game", Some("games")),
            ("weather", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), guess, "{word}");
        }
    }

    #[test]
    fn a_swap_costs_one() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(distance(&chars("ab"), &chars("ba")), 1);
        assert_eq!(distance(&chars("kitten"), &chars("sitting")), 3);
        assert_eq!(distance(&chars(""), &chars("abc")), 3);
    }

    #[test]
    fn an_endless_word_is_not_guessed_about() {
        assert_eq!(nearest(&"a".repeat(1_000_000), ["a"]), None);
    }
}
