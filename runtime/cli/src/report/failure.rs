//! What is said of a job that did not succeed.
//!
//! Owns: the words for every outcome, its causes and hints. Does not know: where they are shown.

use wasmill_model::port::BlobStore;
use wasmill_model::{BlobRef, JobReport, Outcome};

use super::text::{duration, harmless, size};
use crate::error::CliError;
use crate::exit_code;

/// Frames of a backtrace that are shown; a panic in Rust takes up the first six or so.
const FRAMES_SHOWN: usize = 16;

/// Lines of a guest's standard error that are shown.
const STDERR_LINES: usize = 12;

/// Longest line of a guest's standard error that is shown, in characters.
const STDERR_COLUMNS: usize = 400;

/// Says why a job did not succeed. `who` is how to call it; `stderr` is the end of what it wrote there.
pub(crate) fn describe_failure(report: &JobReport, who: &str, stderr: Option<String>) -> CliError {
    let mut error = match report.result.as_ref().map(|result| &result.outcome) {
        Some(outcome) if !outcome.is_success() => describe_outcome(outcome, who),
        _ => {
            let mut error = CliError::new(exit_code::JOBS_FAILED, format!("{who} could not be carried out"));
            error.causes.extend(report.error.iter().cloned());
            error
        }
    };
    error.hints.extend(report.hint.iter().cloned());
    if let Some(stderr) = stderr {
        error.causes.push(format!("it wrote to stderr:\n{stderr}"));
    }
    error
}

fn describe_outcome(outcome: &Outcome, who: &str) -> CliError {
    let error = CliError::new(exit_code::JOBS_FAILED, format!("{who} {outcome}"));
    let mut error = match outcome {
        Outcome::OutOfFuel { limit } => with(
            error,
            format!("its limit is {limit} units of fuel"),
            "raise `limits.fuel` (`--fuel` of `wasmill exec`)",
        ),
        Outcome::OutOfMemory { limit_bytes, wanted_bytes } => {
            let cause =
                format!("linear memory would grow to {}, the limit is {}", size(*wanted_bytes), size(*limit_bytes));
            with(error, cause, "raise `limits.memory` (`--memory` of `wasmill exec`)")
        }
        Outcome::OutputTooLarge { limit_bytes } => {
            let cause = format!("its limit is {} for /out, /tmp, stdout and stderr together", size(*limit_bytes));
            with(error, cause, "raise `limits.output` (`--output` of `wasmill exec`)")
        }
        Outcome::TimedOut { limit_ms } => {
            let cause = format!("its limit is {} of wall time", duration(limit_ms.saturating_mul(1_000_000)));
            with(
                error,
                cause,
                "raise `limits.timeout`, or `timeout` of the profile (`--timeout` of `wasmill exec`); this result is not cached",
            )
        }
        Outcome::OutputMissing { .. } => error.hint("outputs are paths below /out; leave `out` away to keep all of it"),
        Outcome::StackExhausted { .. } => {
            error.hint("it recurses too deeply; this result is not cached, as it may differ between machines")
        }
        Outcome::Exited { .. } | Outcome::Trapped { .. } | Outcome::Cancelled => error,
    };
    if let Some(backtrace) = backtrace(outcome) {
        error.causes.push(backtrace);
    }
    error
}

fn with(mut error: CliError, cause: String, hint: &str) -> CliError {
    error.causes.push(cause);
    error.hint(hint)
}

fn backtrace(outcome: &Outcome) -> Option<String> {
    let frames = outcome.backtrace();
    if frames.is_empty() {
        return None;
    }
    let mut text = "guest backtrace, innermost first:".to_owned();
    for (index, frame) in frames.iter().take(FRAMES_SHOWN).enumerate() {
        let offset = frame.offset.map_or_else(String::new, |offset| format!(" (+{offset:#x})"));
        text.push_str(&format!("\n{index:>3}: {}{offset}", frame.function));
        if let Some(line) = &frame.line {
            text.push_str(&format!("\n     at {line}"));
        }
    }
    if frames.len() > FRAMES_SHOWN {
        text.push_str(&format!("\n     … {} more", frames.len() - FRAMES_SHOWN));
    }
    Some(text)
}

/// The last lines that a job wrote to standard error, made harmless for a terminal; none if it wrote nothing.
pub(crate) fn stderr_tail(blobs: &dyn BlobStore, stderr: BlobRef) -> Option<String> {
    let bytes = blobs.get(&stderr).ok()?;
    // A hundred KiB hold more than is shown; lossy decoding of gigabytes would not be a favour.
    let tail = &bytes[bytes.len().saturating_sub(100 << 10)..];
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    if lines.is_empty() || text.trim().is_empty() {
        return None;
    }
    let shown = &lines[lines.len().saturating_sub(STDERR_LINES)..];
    let mut kept: Vec<String> =
        shown.iter().map(|line| harmless(&line.chars().take(STDERR_COLUMNS).collect::<String>())).collect();
    if shown.len() < lines.len() {
        kept.insert(0, "…".to_owned());
    }
    Some(kept.join("\n"))
}
