//! Reading plans by several threads.
//!
//! Owns: how many. Does not know: what plans look like.

use std::num::NonZero;
use std::thread::available_parallelism;

use wasmill_model::plan::{Diagnostic, Format, JobsPart, Plan, parse_in_parts};

/// More threads than this wait for the one that has read the text before them.
const THREADS_MAX: usize = 8;

/// A thread that reads fewer parts than this costs more than it spares.
const PARTS_MIN: usize = 2;

/// As much as the main thread has on most systems: what a plan says may be nested 512 deep.
const STACK_BYTES: usize = 8 << 20;

/// Reads a plan; where it has thousands of jobs, by as many threads as there are processors.
///
/// # Errors
/// Everything that is wrong with it, as of [`wasmill_model::plan::parse`].
pub fn read_plan(text: &str, format: Format) -> Result<Plan, Vec<Diagnostic>> {
    parse_in_parts(text, format, spread)
}

fn spread(parts: &mut [JobsPart<'_>]) {
    let threads = (parts.len() / PARTS_MIN).min(THREADS_MAX);
    if threads < 2 {
        return;
    }
    let threads = available_parallelism().map_or(1, NonZero::get).min(threads);
    let mut shares = parts.chunks_mut(parts.len().div_ceil(threads));
    let own = shares.next();
    std::thread::scope(|scope| {
        for share in shares {
            // What no thread can be had for is read by whoever asked.
            let read = || share.iter_mut().for_each(JobsPart::read);
            let _ = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, read);
        }
        own.into_iter().flatten().for_each(JobsPart::read);
    });
}

#[cfg(test)]
mod tests {
    use wasmill_model::plan::parse;

    use super::*;

    fn plan(jobs: usize, job: impl Fn(usize) -> String) -> String {
        let jobs: Vec<String> = (0..jobs).map(|number| format!("\"t{number}\": {}", job(number))).collect();
        format!("{{ \"modules\": {{ \"m\": {{ \"file\": \"m.wasm\" }} }}, \"jobs\": {{ {} }} }}", jobs.join(",\n"))
    }

    #[test]
    fn it_is_the_same_plan_whoever_reads_it() {
        for jobs in [0, 1, 1_024, 5_000] {
            let text = plan(jobs, |number| match number % 3 {
                0 => "{ \"module\": \"m\" }".to_owned(),
                1 => format!("{{ \"module\": \"m\", \"in\": {{ \"/a\": {{ \"job\": \"t{}\" }} }} }}", number - 1),
                _ => "{ \"module\": \"m\", \"for-each\": { \"x\": [\"1\"] }, \"args\": [\"{x}\"] }".to_owned(),
            });
            let read = read_plan(&text, Format::Json).unwrap();
            assert_eq!(read.jobs.len(), jobs);
            assert_eq!(read, parse(&text, Format::Json).unwrap());
        }
    }

    #[test]
    fn the_same_is_wrong_with_it_whoever_reads_it() {
        // Some of it, all of it, and what only shows between jobs.
        for (every, wrong) in [
            (70, "{ \"module\": 1 }"),
            (1, "{}"),
            (2_000, "{ \"module\": \"m\", \"in\": { \"/a\": { \"job\": \"no\" } } }"),
        ] {
            let good = "{ \"module\": \"m\" }";
            let text = plan(5_000, |number| if number.is_multiple_of(every) { wrong } else { good }.to_owned());
            assert_eq!(read_plan(&text, Format::Json).unwrap_err(), parse(&text, Format::Json).unwrap_err());
        }
    }
}
