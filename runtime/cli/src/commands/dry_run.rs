//! `wasmill run --dry-run`: what a run would execute, and why.
//!
//! Owns: what is said of each job. Does not know: how a run is rehearsed, or why jobs are executed.

use std::collections::HashSet;

use serde_json::{Value, json};
use wasmill_executor::{Accepts, Graph, LoadedModules, NOT_RECORDED};
use wasmill_insight::Reason;
use wasmill_model::{Event, JobReport, JobStatus, RunId};

use crate::args::{Global, OutputFormat, RunArgs};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::recorded::Past;
use crate::report::json::explained;
use crate::report::print;
use crate::report::summary::reasons;
use crate::report::text::{count, harmless};

/// What would become of a job.
enum Would {
    /// It would be executed.
    Execute(Reason),
    /// It would be looked up once others have been executed, and may turn out to be known.
    LookUp(String),
    /// It cannot be carried out, as things are, or its failure is recorded.
    Fail(String),
    /// It takes from one that fails.
    Skip(String),
}

/// Says what a run would execute, and why. What depends on it may turn out to need nothing.
pub(super) fn dry_run(
    global: &Global,
    args: &RunArgs,
    mill: &Mill,
    graph: Graph,
    modules: LoadedModules,
) -> Result<u8, CliError> {
    let mut past = Past::before(&mill.storage, graph.name(), RunId(u64::MAX))?;
    let accepts = Accepts { retry_failed: args.retry_failed, fresh: args.fresh };
    let (mut cached, mut open) = (0, Vec::new());
    let rehearsed = mill.rehearse(graph, modules, accepts, &mut |event| {
        let Event::JobFinished(report) = event else { return };
        match report.status {
            JobStatus::Failed if report.cached => open.push(report.clone()),
            _ if report.cached => cached += 1,
            JobStatus::Error | JobStatus::Skipped => open.push(report.clone()),
            JobStatus::Omitted if is_unrecorded(report) => open.push(report.clone()),
            _ => {}
        }
    })?;
    let mut found = Found { cached, ..Found::default() };
    for report in &open {
        let action = || rehearsed.unrecorded.get(report.key.as_ref()?).cloned();
        let would = match report.status {
            JobStatus::Failed => Would::Fail(recorded_failure(report)),
            JobStatus::Skipped if found.is_behind_failure(report) => Would::Skip(report.error.join(": ")),
            JobStatus::Skipped => {
                Would::LookUp(report.error.join(": ").replace("did not succeed", "would be executed first"))
            }
            _ if !is_unrecorded(report) => Would::Fail(report.error.join(": ")),
            _ if report.trace.attempts > 0 => {
                Would::Execute(past.reason_for(&mill.storage, args.fresh, report, action))
            }
            _ => Would::LookUp("jobs that it takes from would be executed first".to_owned()),
        };
        found.add(report, would);
    }
    // In the order of the plan, whichever was looked at first.
    found.jobs.sort_by_key(|(report, _)| report.trace.number);
    found.jobs.iter().for_each(|(report, would)| say(global, report, would));
    let fails = found.fails > 0;
    conclude(global, found);
    Ok(if fails { exit_code::JOBS_FAILED } else { exit_code::SUCCESS })
}

/// What would become of all jobs.
#[derive(Default)]
struct Found<'a> {
    jobs: Vec<(&'a JobReport, Would)>,
    cached: usize,
    looked_up: usize,
    fails: usize,
    skipped: usize,
    /// Those that fail or are skipped, by their names.
    lost: HashSet<&'a str>,
}

impl<'a> Found<'a> {
    fn add(&mut self, report: &'a JobReport, would: Would) {
        match would {
            Would::Execute(_) => {}
            Would::LookUp(_) => self.looked_up += 1,
            Would::Fail(_) => self.fails += 1,
            Would::Skip(_) => self.skipped += 1,
        }
        if self.fails + self.skipped > self.lost.len() {
            self.lost.insert(&report.job);
        }
        self.jobs.push((report, would));
    }

    fn is_behind_failure(&self, report: &JobReport) -> bool {
        let named = |error: &String| Some(error.strip_prefix("job `")?.strip_suffix("` did not succeed")?.to_owned());
        report.error.first().and_then(named).is_some_and(|job| self.lost.contains(job.as_str()))
    }
}

fn recorded_failure(report: &JobReport) -> String {
    let how = report.result.as_ref().map_or_else(String::new, |result| format!(": {}", result.outcome));
    format!("its failure is recorded{how}; `--retry-failed` executes it again")
}

/// Whether all that is wrong with a job is that nothing is executed.
fn is_unrecorded(report: &JobReport) -> bool {
    report.error.iter().any(|line| line.ends_with(NOT_RECORDED))
}

fn say(global: &Global, report: &JobReport, would: &Would) {
    let (word, line, why) = match would {
        Would::Execute(reason) => ("execute", reason.to_string(), explained(reason)),
        Would::LookUp(why) => ("look-up", why.clone(), json!({ "said": why })),
        Would::Fail(why) => ("fail", why.clone(), json!({ "said": why })),
        Would::Skip(why) => ("skip", why.clone(), json!({ "said": why })),
    };
    if global.format == OutputFormat::Json {
        let said: Value = json!({ "event": "job-rehearsed", "job": report.job, "would": word, "why": why });
        print(format!("{said}\n").as_bytes());
    } else if !global.quiet {
        print(format!("{word:8}  {}: {}\n", harmless(&report.job), harmless(&line)).as_bytes());
    }
}

fn conclude(global: &Global, found: Found<'_>) {
    let Found { jobs, cached, looked_up, fails, skipped, .. } = found;
    let why = |(_, would)| if let Would::Execute(why) = would { Some(why) } else { None };
    let whys: Vec<Reason> = jobs.into_iter().filter_map(why).collect();
    if global.format == OutputFormat::Json {
        let said = json!({
            "event": "run-rehearsed", "execute": whys.len(), "cached": cached, "look_up": looked_up, "fail": fails,
            "skip": skipped,
        });
        print(format!("{said}\n").as_bytes());
    } else if !global.quiet {
        let mut line = format!("{} would be executed, {cached} cached", count(whys.len(), "job"));
        for (jobs, what) in [(looked_up, "looked up behind them"), (fails, "would fail"), (skipped, "would be skipped")]
        {
            if jobs > 0 {
                line += &format!(", {jobs} {what}");
            }
        }
        print(format!("{line}\n").as_bytes());
        if let Some(why) = reasons(whys.into_iter()) {
            print(format!("  {}\n", harmless(&why)).as_bytes());
        }
    }
}
