//! Jobs made with the SDK: what they take, what they give, and the ways in which they fail.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use wasmill_sdk::prelude::*;

/// How to count.
#[derive(Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Shorter words do not count.
    #[serde(default)]
    letters_min: u32,
    case: Case,
}

#[derive(Clone, Copy, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
enum Case {
    AsItIs,
    Ignored,
}

#[derive(Serialize, Deserialize, Schema)]
struct Counts {
    words: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize, Schema)]
struct Lines {
    lines: Vec<String>,
}

#[derive(Serialize, Deserialize, Schema)]
struct Report {
    texts: Vec<String>,
    words: u64,
    note: Option<String>,
}

/// Counts the words of one text.
#[job]
fn count(text: Text, options: Options) -> Result<Counts> {
    let mut words = BTreeMap::new();
    for word in text.split_whitespace().filter(|word| word.chars().count() >= options.letters_min as usize) {
        let word = match options.case {
            Case::AsItIs => word.to_owned(),
            Case::Ignored => word.to_lowercase(),
        };
        *words.entry(word).or_default() += 1;
    }
    Ok(Counts { words })
}

/// Splits a text into its lines.
#[job]
fn lines(text: Text) -> Lines {
    Lines { lines: text.lines().map(str::to_owned).collect() }
}

/// Adds up what every `count` found.
#[job]
fn total(counts: Each<Counts>, note: Option<String>) -> Result<Report> {
    let mut report = Report { texts: Vec::new(), words: 0, note };
    for (name, counts) in counts.iter()? {
        report.words += counts.with_context(|| format!("failed to add up `{name}`"))?.words.values().sum::<u64>();
        report.texts.push(name);
    }
    Ok(report)
}

/// A plan that counts each text of a folder, and adds up what comes of it.
#[job]
fn fan_out(texts: Dir, case: Case) -> Result<Plan<Report>> {
    let mut counts = Vec::new();
    for entry in texts.entries()? {
        let options = Options { letters_min: 2, case };
        counts.push((entry.name().to_owned(), count_later(entry.file(), options)));
    }
    let counts: Many<Counts> = counts.into_iter().collect();
    Ok(counts.then(|counts| total_later(counts, Some("{fanned} out".to_owned()))))
}

/// Adds up the numbers up to one, by a plan of two halves, whose plans are of two halves again.
#[job]
fn sum_to(from: u64, to: u64) -> Result<Plan<u64>> {
    let middle = from.midpoint(to);
    let half = |from, to| if to - from <= 2 { few_later(from, to) } else { sum_to_later(from, to) };
    Ok(add_later(half(from, middle), half(middle, to)).into())
}

/// Adds up at most two numbers.
#[job]
fn few(from: u64, to: u64) -> u64 {
    (from..to).sum()
}

/// Adds two numbers.
#[job]
fn add(left: u64, right: u64) -> u64 {
    left + right
}

/// Takes a report as it was returned.
#[job]
fn headline(report: Report) -> Result<String> {
    if report.words == 0 {
        bail!("there are no words in {:?}", report.texts);
    }
    Ok(format!("{} words in {} texts", report.words, report.texts.len()))
}

/// Panics.
#[job]
fn panics(at: usize) -> u8 {
    let bytes = [1, 2, 3];
    bytes[at]
}

/// Says how far it is and what it does, and gives what it was given.
#[job]
fn talks(steps: u64) -> u64 {
    for step in 1..=steps {
        progress(step, steps);
        log::debug!("step {step}");
    }
    eprintln!("this stays");
    log::warn!("{steps} steps are \x1b[31mmany");
    tracing::debug!(steps, "traced");
    steps
}

/// Reads a piece of a file from its end, and one from its middle on, without the rest.
#[job]
fn pieces(file: File, bytes: u64) -> Result<[String; 2]> {
    let middle = file.size_bytes()? / 2;
    let mut file = file.open()?;
    let mut piece = |from| {
        let mut text = String::new();
        file.seek(from)?;
        (&file).take(bytes).read_to_string(&mut text)?;
        Ok::<_, Error>(text)
    };
    Ok([piece(SeekFrom::End(-i64::try_from(bytes)?))?, piece(SeekFrom::Start(middle))?])
}

/// Without a description.
#[derive(Serialize, Deserialize)]
struct Undescribed {
    words: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Folder(Dir);

#[derive(Default, Serialize, Deserialize, Schema)]
#[serde(default)]
struct Defaults {
    a: u8,
    b: u8,
}

/// Takes what says little of itself.
#[job]
fn undescribed(
    all: Each<Undescribed>,
    folder: Folder,
    maybe: Option<Each<Undescribed>>,
    default: Defaults,
) -> Result<u64> {
    let mut words = u64::from(default.a + default.b) + folder.0.entries()?.len() as u64;
    for each in [Some(all), maybe].into_iter().flatten() {
        for (_, counts) in each.iter()? {
            words += counts?.words.values().sum::<u64>();
        }
    }
    Ok(words)
}

/// Writes its result itself.
#[job]
fn writes() -> Result<()> {
    out::write("result.json", r#"{"texts": ["a"], "words": 3, "note": null}"#)
}

/// Takes and gives nothing.
#[job]
fn nothing() {}

wasmill_sdk::main!();
