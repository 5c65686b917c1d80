//! The jobs of a solver: `task`, `inline`, `attempt`, `answer`, `losers`, `explain`, `why` and `report`.
//!
//! Owns: the jobs' inputs and outputs. Does not know: which candidates are tried at once, which are stopped, and what is
//! known from before; all that is wasmill's, by the plan in `mill.toml`.

mod execute;
mod grid;
mod inline;
mod language;
mod page;

use std::collections::BTreeMap;

use wasmill_sdk::prelude::*;

use execute::{Miss, Sample, execute, first_miss};
use grid::Grid;
use language::Program;

/// A puzzle, in the format of the Abstraction and Reasoning Corpus.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Puzzle {
    train: Vec<Sample>,
    test: Vec<Question>,
}

/// A grid of which nobody has said what is to become of it, or which nobody may look up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Question {
    /// What there is.
    pub input: Grid,
    /// What it should become, where a puzzle says that. No candidate sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Grid>,
}

/// The two parts of a puzzle, each for those that need it.
#[derive(Debug, Outputs)]
struct Parts {
    train: Vec<Sample>,
    test: Vec<Question>,
}

/// A program that may solve the puzzle.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
pub struct Candidate {
    /// What it is called; no two may be called the same.
    pub name: String,
    /// What it is, with helpers.
    pub program: String,
    /// How unlikely it seemed to whoever proposed it. It is shown, and decides nothing: the order of the list does.
    pub cost: Option<f64>,
}

/// What a candidate comes to without helpers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum Inlined {
    /// A program, in the one way to write it.
    Program(String),
    /// None, and why.
    Void(String),
}

/// Why a candidate lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is no program.
    Void(String),
    /// It does not reproduce a sample.
    Missed(Miss),
    /// It ran out of fuel or of memory.
    Stopped,
    /// It did not lose.
    Solved,
}

/// How to find out why a candidate lost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// By trying it.
    Try,
    /// By that having come to nothing.
    GiveUp,
}

/// What the winner makes of the test.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
pub struct Answer {
    /// The winner, without helpers.
    pub program: String,
    /// A grid for each question, or nothing where the program cannot do it.
    pub outputs: Vec<Option<Grid>>,
}

/// Checks a puzzle, and takes it apart: who needs the samples does not depend on the test.
#[job]
fn task(puzzle: Puzzle) -> Result<Parts> {
    let Puzzle { train, test } = puzzle;
    if train.is_empty() {
        bail!("the puzzle has no samples: `train` is empty");
    }
    for (at, Sample { input, output }) in train.iter().enumerate() {
        check(input, || format!("`train[{at}].input`"))?;
        check(output, || format!("`train[{at}].output`"))?;
    }
    for (at, Question { input, output }) in test.iter().enumerate() {
        check(input, || format!("`test[{at}].input`"))?;
        output.iter().try_for_each(|output| check(output, || format!("`test[{at}].output`")))?;
    }
    Ok(Parts { train, test })
}

fn check(grid: &Grid, place: impl Fn() -> String) -> Result<()> {
    grid.check().map_err(|error| Error::msg(format!("{} is not a grid: {error}", place())))
}

/// Replaces the helpers of a candidate by what they do.
///
/// What is wrong with the candidate is a result, for it loses by that and nothing else does. What is wrong with the library
/// is an error.
#[job]
fn inline(program: String, library: Text) -> Result<Inlined> {
    let helpers = language::library(&library).map_err(|error| Error::msg(format!("in the library: {error}")))?;
    let inlined = language::parse(&program).and_then(|program| inline::inline(&program, &helpers));
    Ok(match inlined {
        Ok(program) => Inlined::Program(language::write(&program)),
        Err(why) => Inlined::Void(why),
    })
}

/// The program of a candidate that has one. What `inline` wrote can be read again.
fn program(text: &str) -> Result<Program> {
    language::parse(text).map_err(|error| Error::msg(format!("`{text}` is no program: {error}")))
}

/// Succeeds if a candidate reproduces all samples, and fails at the first that it does not.
#[job]
fn attempt(program: Inlined, samples: Vec<Sample>) -> Result<String> {
    match verdict(&program, &samples)? {
        Verdict::Void(why) => bail!("it is no program: {why}"),
        Verdict::Missed(miss) => bail!("sample {}: {}", miss.sample, miss.why),
        Verdict::Stopped => bail!("it was stopped"),
        Verdict::Solved => {}
    }
    let (Inlined::Program(text) | Inlined::Void(text)) = program;
    Ok(text)
}

fn verdict(candidate: &Inlined, samples: &[Sample]) -> Result<Verdict> {
    Ok(match candidate {
        Inlined::Void(why) => Verdict::Void(why.clone()),
        Inlined::Program(text) => first_miss(&program(text)?, samples).map_or(Verdict::Solved, Verdict::Missed),
    })
}

/// What the winner makes of the test.
#[job]
fn answer(winner: String, questions: Vec<Question>) -> Result<Answer> {
    let program = program(&winner)?;
    let mut outputs = Vec::new();
    for (at, question) in questions.iter().enumerate() {
        let output = execute(&program, question.input.clone());
        if let Err(error) = &output {
            log::warn!("the winner cannot do question {}: {error}", at + 1);
        }
        outputs.push(output.ok());
    }
    Ok(Answer { program: winner, outputs })
}

/// The candidates before the winner, which is the first that comes to the winning program.
#[job]
fn losers(candidates: Vec<Candidate>, programs: Each<Inlined>, winner: String) -> Result<Vec<String>> {
    let programs = by_name(&programs)?;
    let place = page::place_of_winner(&candidates, &programs, &winner)?;
    Ok(candidates.into_iter().take(place).map(|candidate| candidate.name).collect())
}

fn by_name<T: serde::de::DeserializeOwned>(each: &Each<T>) -> Result<BTreeMap<String, T>> {
    each.iter()?.map(|(name, value)| Ok((name, value?))).collect()
}

/// Leaves a plan: a race between trying the candidate and giving up. Trying wins if it comes to an end.
#[job]
fn explain() -> Result<()> {
    out::write("plan.json", include_str!("explain.json"))
}

/// Why a candidate lost, as a result.
#[job]
fn why(how: How, program: Inlined, samples: Vec<Sample>) -> Result<Verdict> {
    match how {
        How::Try => verdict(&program, &samples),
        How::GiveUp => Ok(Verdict::Stopped),
    }
}

/// Puts all that is known on a page.
#[job]
fn report(
    title: String,
    candidates: Vec<Candidate>,
    programs: Each<Inlined>,
    verdicts: Each<Verdict>,
    samples: Vec<Sample>,
    questions: Vec<Question>,
    answer: Answer,
) -> Result<()> {
    let (programs, verdicts) = (by_name(&programs)?, by_name(&verdicts)?);
    let place = page::place_of_winner(&candidates, &programs, &answer.program)?;
    let page = page::Page { title, candidates, programs, verdicts, samples, questions, answer, place };
    out::write("report.html", page.html())
}

wasmill_sdk::main!();

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rows: &[&[u8]]) -> Grid {
        Grid(rows.iter().map(|row| row.to_vec()).collect())
    }

    fn samples() -> Vec<Sample> {
        vec![Sample { input: grid(&[&[1, 2]]), output: grid(&[&[2, 1]]) }]
    }

    #[test]
    fn puzzles_are_checked() {
        let test = vec![Question { input: grid(&[&[1], &[]]), output: None }];
        let said = task(Puzzle { train: samples(), test }).expect_err("a bad grid");
        assert_eq!(said.to_string(), "`test[0].input` is not a grid: row 2 has 0 cells, and the first has 1");
        assert!(task(Puzzle { train: Vec::new(), test: Vec::new() }).is_err());
        assert_eq!(task(Puzzle { train: samples(), test: Vec::new() }).expect("a puzzle").train, samples());
    }

    #[test]
    fn only_what_reproduces_all_samples_succeeds() {
        let candidate = |text: &str| Inlined::Program(text.to_owned());
        assert_eq!(attempt(candidate("mirror"), samples()).expect("it does"), "mirror");
        let said = attempt(candidate("flip"), samples()).expect_err("it does not").to_string();
        assert!(said.starts_with("sample 1: 2 of 2 cells differ"), "{said}");
        let said = attempt(Inlined::Void("odd".to_owned()), samples()).expect_err("it does not").to_string();
        assert_eq!(said, "it is no program: odd");
    }

    #[test]
    fn those_before_the_winner_have_lost() {
        let candidate = |name: &str| Candidate { name: name.to_owned(), program: String::new(), cost: None };
        let programs = [("a", "flip"), ("b", "mirror"), ("c", "mirror")];
        let programs: Each<Inlined> =
            programs.map(|(name, text)| (name, Inlined::Program(text.to_owned()))).into_iter().collect();
        let all = ["a", "b", "c"].map(candidate).to_vec();
        assert_eq!(losers(all.clone(), programs.clone(), "mirror".to_owned()).expect("known"), ["a"]);
        assert!(losers(all, programs, "crop".to_owned()).is_err());
    }
}
