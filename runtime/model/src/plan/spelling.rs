//! What somebody may have meant by a name that is not there.
//!
//! Owns: how near is near. Does not know: what the names stand for.

/// Names of a plan are compared with no more than this many others: a plan that has more was written by a
/// program, which makes no typing errors.
const CANDIDATES_MAX: usize = 2_000;

/// Longer names are not compared: the comparison takes the product of the lengths.
const COMPARED_BYTES_MAX: usize = 64;

/// The nearest of `candidates` to `word`: at most one change (an insertion, deletion, replacement or swap of
/// neighbours) for every three characters, and at least one.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let chars = word.chars().count();
    // Any other name of one character is one change away from it.
    if chars < 2 || word.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let changes_max = (chars / 3).max(1);
    (candidates.into_iter().take(CANDIDATES_MAX))
        .filter(|candidate| candidate.len() <= COMPARED_BYTES_MAX)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(changes, _)| *changes <= changes_max)
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_recognised_and_another_word_is_not() {
        let keys = ["module", "entry", "args", "env", "in", "out"];
        assert_eq!(nearest("modul", keys), Some("module"));
        assert_eq!(nearest("mdoule", keys), Some("module"));
        assert_eq!(nearest("ni", keys), Some("in"));
        assert_eq!(nearest("Entry", keys), Some("entry"));
        assert_eq!(nearest("output", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), keys), None);
    }
}
