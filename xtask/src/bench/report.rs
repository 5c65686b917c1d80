//! The table of results.
//!
//! Owns: medians, ratios, and the part of docs/benchmarks.md between two markers. Does not know: how anything was
//! measured.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Scenario;
use super::measure::Sample;
use super::shape::Shape;
use super::tool::Tool;

/// Between these lines the document belongs to this program.
const BEGIN: &str = "<!-- begin: written by `cargo xtask bench --write` -->";
const END: &str = "<!-- end -->";

/// The samples of one tool in one scenario, in the order of the rounds.
pub(super) struct Series {
    /// Whose.
    pub(super) tool: Tool,
    /// Of what.
    pub(super) scenario: Scenario,
    /// One for each round.
    pub(super) samples: Vec<Sample>,
}

/// Everything that was measured.
pub(super) struct Report {
    machine: Vec<String>,
    rows: Vec<(Shape, Series)>,
}

impl Report {
    /// Nothing yet, on a machine.
    pub(super) fn new(machine: Vec<String>) -> Self {
        Self { machine, rows: Vec::new() }
    }

    /// Adds what was measured of one shape.
    pub(super) fn add(&mut self, shape: Shape, series: Vec<Series>) {
        self.rows.extend(series.into_iter().map(|series| (shape, series)));
    }

    /// Puts the table into the document, in place of the one that is there.
    pub(super) fn write(&self, document: &Path) -> Result<()> {
        let old = fs::read_to_string(document).with_context(|| format!("cannot read `{}`", document.display()))?;
        let new = replace_between_markers(&old, &self.to_string()).with_context(|| {
            format!("`{}` does not have the markers that the table goes between", document.display())
        })?;
        fs::write(document, new).with_context(|| format!("cannot write `{}`", document.display()))
    }

    /// How often the wall time of `series` takes that of wasmill, in the same scenario of the same shape.
    fn ratio(&self, shape: Shape, series: &Series) -> Option<f64> {
        let ours = self.rows.iter().find_map(|(other, candidate)| {
            let is_same = other.kind == shape.kind && candidate.scenario == series.scenario;
            (is_same && candidate.tool == Tool::Wasmill).then_some(candidate)
        })?;
        Some(series.wall()?.as_secs_f64() / ours.wall()?.as_secs_f64())
    }
}

impl Series {
    fn wall(&self) -> Option<Duration> {
        median(self.samples.iter().map(|sample| sample.wall))
    }

    fn cpu(&self) -> Option<Duration> {
        median(self.samples.iter().filter_map(|sample| sample.cpu))
    }

    /// The most of all rounds, because a limit on memory has to hold in each.
    fn resident_bytes(&self) -> Option<u64> {
        self.samples.iter().filter_map(|sample| sample.resident_bytes).max()
    }

    fn spread(&self) -> Option<(Duration, Duration)> {
        let walls = || self.samples.iter().map(|sample| sample.wall);
        Some((walls().min()?, walls().max()?))
    }
}

/// The middle value; of two, the lower.
pub(super) fn median<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort();
    let middle = values.len().checked_sub(1)? / 2;
    values.into_iter().nth(middle)
}

fn replace_between_markers(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.machine {
            writeln!(f, "- {line}")?;
        }
        let rounds = self.rows.iter().map(|(_, series)| series.samples.len()).max().unwrap_or(0);
        writeln!(f, "- Medians of {rounds} rounds, with the fastest and the slowest\n")?;
        writeln!(f, "| plan | run | tool | wall | fastest to slowest | per job | CPU | peak RSS | wall ÷ wasmill's |")?;
        writeln!(f, "|---|---|---|--:|--:|--:|--:|--:|--:|")?;
        for (shape, series) in &self.rows {
            let wall = show(series.wall(), milliseconds);
            let spread = show(series.spread(), |(low, high)| format!("{} – {}", milliseconds(low), milliseconds(high)));
            let per_job = show(series.wall(), |wall| format!("{:.1} µs", wall.as_secs_f64() * 1e6 / shape.jobs as f64));
            let cpu = show(series.cpu(), milliseconds);
            let memory = show(series.resident_bytes(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
            let ratio = show(self.ratio(*shape, series), |ratio| format!("{ratio:.2}"));
            writeln!(
                f,
                "| {shape} | {} | {} | {wall} | {spread} | {per_job} | {cpu} | {memory} | {ratio} |",
                series.scenario,
                series.tool.name()
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cold => "cold",
            Self::NoOp => "no-op",
            Self::OneChanged => "first input changed",
        })
    }
}

fn show<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), text)
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::shape::Kind;
    use super::*;

    fn series(tool: Tool, walls_ms: &[u64]) -> Series {
        let sample = |wall_ms: &u64| Sample {
            wall: Duration::from_millis(*wall_ms),
            cpu: None,
            resident_bytes: Some(*wall_ms * 1_000_000),
        };
        Series { tool, scenario: Scenario::Cold, samples: walls_ms.iter().map(sample).collect() }
    }

    #[test]
    fn the_table_has_medians_and_ratios() {
        let mut report = Report::new(vec!["CPU: abacus".to_owned()]);
        let shape = Shape { kind: Kind::Wide, jobs: 100 };
        report.add(shape, vec![series(Tool::Wasmill, &[30, 10, 20]), series(Tool::Make, &[100, 300, 200])]);
        let text = report.to_string();
        assert!(text.contains("- CPU: abacus\n- Medians of 3 rounds"), "{text}");
        let make = "| wide:100 | cold | make | 200.0 ms | 100.0 ms – 300.0 ms | 2000.0 µs | – | 300 MB | 10.00 |";
        assert!(text.lines().any(|line| line == make), "{text}");
    }

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let document = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let once = replace_between_markers(&document, "| new |\n").unwrap();
        assert_eq!(once, format!("before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"));
        assert_eq!(replace_between_markers(&once, "| new |\n").unwrap(), once);
        assert_eq!(replace_between_markers("no markers", ""), None);
    }
}
