//! The jobs of this project: functions that read what the plan gives them, and return what comes of it.

use std::collections::BTreeMap;

use wasmill_sdk::prelude::*;

/// What to count.
#[derive(Deserialize, Schema)]
struct Options {
    /// Shorter words are left out.
    letters_min: usize,
}

/// How often each word is there.
#[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
struct Counts {
    words: BTreeMap<String, u64>,
}

/// What all texts have together.
#[derive(Debug, PartialEq, Serialize, Deserialize, Schema)]
struct Report {
    texts: u64,
    words: u64,
    most_frequent: Option<String>,
}

/// Counts the words of one text.
#[job]
fn count(text: Text, options: Options) -> Result<Counts> {
    let mut words = BTreeMap::new();
    for word in text.split(|letter: char| !letter.is_alphanumeric()) {
        if !word.is_empty() && word.chars().count() >= options.letters_min {
            *words.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    Ok(Counts { words })
}

/// Adds up what every `count` found.
#[job]
fn total(counts: Each<Counts>) -> Result<Report> {
    let mut texts = 0;
    let mut words = BTreeMap::<String, u64>::new();
    for (name, counts) in counts.iter()? {
        let counts = counts.with_context(|| format!("failed to add up `{name}`"))?;
        texts += 1;
        for (word, times) in counts.words {
            *words.entry(word).or_default() += times;
        }
    }
    // Of equally frequent ones the first in the alphabet, so that the result is the same each time.
    let most_frequent = words.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
    let most_frequent = most_frequent.map(|(word, _)| word.clone());
    Ok(Report { texts, words: words.values().sum(), most_frequent })
}

wasmill_sdk::main!();

// Jobs are functions: tests call them. `wasmill test` runs these, and then the plan.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_whatever_their_case() {
        let counts = count("To be, or not to be".into(), Options { letters_min: 2 }).expect("counted");
        let expected = [("be", 2), ("not", 1), ("or", 1), ("to", 2)];
        assert_eq!(counts.words, expected.map(|(word, times)| (word.to_owned(), times)).into());
    }

    #[test]
    fn results_are_added_up() {
        let counts = |words: [(&str, u64); 2]| Counts { words: words.map(|(word, n)| (word.to_owned(), n)).into() };
        let all = [("one", counts([("a", 1), ("b", 2)])), ("two", counts([("b", 1), ("c", 3)]))];
        let report = total(Each::from(all)).expect("added up");
        assert_eq!(report, Report { texts: 2, words: 7, most_frequent: Some("b".to_owned()) });
    }
}
