//! What the words of a text are.
//!
//! Owns: where words begin and end, and which words are the same. Does not know: what they are needed for. Documents and
//! queries are taken apart by the same rules, so that one finds the other.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// The words of a text, each with the byte at which it starts.
///
/// They are those of Unicode (UAX 29), and these are cut at ASCII punctuation and apostrophes as well: `mill.toml` and
/// `shard_bytes` are two words each. Han characters are a word each.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.unicode_word_indices().flat_map(|(start, word)| {
        let parts = word.split_inclusive(is_joint).scan(start, |at, part| {
            let from = *at;
            *at += part.len();
            Some((from, part.trim_end_matches(is_joint)))
        });
        parts.filter(|(_, part)| !part.is_empty())
    })
}

fn is_joint(char: char) -> bool {
    char.is_ascii_punctuation() || char == '’'
}

/// The form that is the same for all spellings of a word: composed or not, wide or narrow, large or small.
pub fn fold(word: &str) -> Cow<'_, str> {
    if !word.is_ascii() {
        Cow::Owned(word.nfkc().collect::<String>().to_lowercase())
    } else if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Borrowed(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(usize, &str)> {
        words(text).collect()
    }

    #[test]
    fn words_end_at_punctuation() {
        assert_eq!(all("a mill.toml, don't"), [(0, "a"), (2, "mill"), (7, "toml"), (13, "don"), (17, "t")]);
        assert_eq!(all("__init__ it’s 3.12"), [(2, "init"), (9, "it"), (14, "s"), (16, "3"), (18, "12")]);
        assert_eq!(all("-- … ***"), []);
        assert_eq!(all(""), []);
    }

    #[test]
    fn other_scripts_have_words() {
        let found: Vec<_> = words("Ärger naïve 言語 мир").map(|(_, word)| word).collect();
        assert_eq!(found, ["Ärger", "naïve", "言", "語", "мир"]);
    }

    #[test]
    fn spellings_fold_to_one() {
        assert_eq!(fold("WasMill"), "wasmill");
        assert_eq!(fold("e\u{301}TE\u{301}"), "été");
        assert_eq!(fold("ﬁle"), "file");
        assert_eq!(fold("Ｆｕｅｌ"), "fuel");
        assert!(matches!(fold("plain"), Cow::Borrowed("plain")));
    }
}
