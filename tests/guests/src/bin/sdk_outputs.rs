//! Jobs of the guest SDK that give several results, and jobs that take one of them.

use wasmill_sdk::prelude::*;

/// The words of a text, by their length.
#[derive(Outputs)]
struct Split {
    short: Vec<String>,
    long: Vec<String>,
    /// How many there are.
    count: Count,
}

#[derive(Serialize, Deserialize, Schema)]
struct Count {
    words: u64,
}

/// Splits a text into its words.
#[job]
fn split(text: Text) -> Result<Split> {
    let (short, long): (Vec<String>, Vec<String>) =
        text.split_whitespace().map(str::to_owned).partition(|word| word.len() < 5);
    let count = Count { words: (short.len() + long.len()) as u64 };
    out::write("note.txt", "written by itself")?;
    Ok(Split { short, long, count })
}

/// Joins words.
#[job]
fn join(words: Vec<String>) -> String {
    words.join("-")
}

/// Adds up.
#[job]
fn sum(counts: Each<Count>) -> Result<u64> {
    counts.iter()?.map(|(_, count)| Ok(count?.words)).sum()
}

/// The long words of a text, by a plan.
#[job]
fn long(text: Text) -> Plan<Vec<String>> {
    split_later(text.into_string()).long().into()
}

/// The short words, joined, by a plan.
#[job]
fn short(text: Text) -> Plan<String> {
    join_later(split_later(text.into_string()).short()).into()
}

wasmill_sdk::main!();
