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

/// Leaves a text in upper case as a file, and its length as a value.
#[job]
fn shout(text: Text) -> Result<u64> {
    out::write("loud", text.to_uppercase())?;
    Ok(text.len() as u64)
}

/// Puts files together.
#[job]
fn pack(files: Dir, first: Option<File>) -> Result<String> {
    let mut all = first.map_or_else(|| Ok(String::new()), |first| first.read_to_string())?;
    for file in files.entries()? {
        all += &format!("{}={}", file.name(), file.file().read_to_string()?);
    }
    Ok(all)
}

/// Shouts each text of a folder and packs what comes of it, by a plan: files go from job to job.
#[job]
fn pack_all(texts: Dir) -> Result<Plan<String>> {
    let shouted = |entry: wasmill_sdk::Entry| (entry.name().to_owned(), shout_later(entry.file()));
    let all: Vec<_> = texts.entries()?.into_iter().map(shouted).collect();
    let first = all.first().context("there are no texts")?.1.path("loud");
    let all: Many<u64> = all.into_iter().collect();
    Ok(pack_later(all.paths("loud"), first).into())
}

/// Adds up the words of each text whose name begins so, by a plan; there may be none.
#[job]
fn sum_of(texts: Dir, prefix: String) -> Result<Plan<u64>> {
    let texts = texts.entries()?.into_iter().filter(|entry| entry.name().starts_with(&prefix));
    let counts: Many<Count> = texts.map(|entry| (entry.name().to_owned(), split_later(entry.file()).count())).collect();
    Ok(counts.then(sum_later))
}

/// The short words, joined, by a plan.
#[job]
fn short(text: Text) -> Plan<String> {
    join_later(split_later(text.into_string()).short()).into()
}

wasmill_sdk::main!();
