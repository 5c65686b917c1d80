//! `wasmill stats`: how the jobs of a plan did over many runs.
//!
//! Owns: which runs are looked at, and how trends are listed. Does not know: what a regression is (`wasmill-insight` does).

use std::fmt::Write as _;

use wasmill_insight::{FamilyTrend, Trend, trend};
use wasmill_model::port::RunLog as _;
use wasmill_model::{JobReport, RunRecord, RunState};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::recorded::find_run;
use crate::report::text::{count, duration, harmless};
use crate::report::{csv, print};

/// Families that are listed for people: those that took most.
const FAMILIES_SHOWN: usize = 20;

/// How many runs are looked at for those of the plan.
const RUNS_LISTED: usize = 10_000;

/// `wasmill stats`.
pub(crate) fn stats(
    global: &Global,
    plan: Option<&str>,
    limit: usize,
    fails: bool,
    as_rows: bool,
) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let store = |error| CliError::store(&error);
    let all = mill.storage.runs(RUNS_LISTED).map_err(store)?;
    let plan = match plan {
        Some(plan) => plan.to_owned(),
        None => find_run(&mill.storage, None)?.plan,
    };
    let names = all.iter().map(|record| record.plan.clone()).collect::<Vec<_>>();
    // What was only measured had other numbers of workers.
    let is_for_itself = |record: &RunRecord| record.setup.as_ref().is_none_or(|setup| !setup.measuring);
    let is_over = |record: &RunRecord| matches!(record.state, RunState::Ended(_)) && is_for_itself(record);
    let mut runs: Vec<(RunRecord, Vec<JobReport>)> = Vec::new();
    for record in all.into_iter().filter(|record| record.plan == plan && is_over(record)).take(limit) {
        let jobs = mill.storage.jobs(record.id).map_err(store)?;
        runs.push((record, jobs));
    }
    if runs.is_empty() && names.contains(&plan) {
        let error = CliError::new(exit_code::INPUT, format!("no run of plan `{plan}` has ended"));
        return Err(error.hint("`wasmill runs` lists runs, with what became of them"));
    }
    if runs.is_empty() {
        let error = CliError::new(exit_code::INPUT, format!("no run of a plan `{plan}` is recorded"));
        return Err(match wasmill_executor::nearest(&plan, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`wasmill runs` lists runs with the names of their plans"),
        });
    }
    runs.reverse();
    let found = trend(&runs);
    let text = match global.format {
        _ if as_rows => as_csv(&found),
        OutputFormat::Json => format!("{}\n", serde_json::json!({ "plan": plan, "trend": found })),
        OutputFormat::Human => as_text(&plan, &found),
    };
    print(text.as_bytes());
    Ok(if fails && !found.regressions.is_empty() { exit_code::REGRESSION } else { exit_code::SUCCESS })
}

fn as_text(plan: &str, found: &Trend) -> String {
    let (first, last) = (found.runs.first(), found.runs.last());
    let mut text = format!("plan `{}`, {}", harmless(plan), count(found.runs.len(), "run"));
    if let (Some(first), Some(last)) = (first, last) {
        let _ = write!(text, " ({first} to {last})");
    }
    text.push('\n');
    if found.families.is_empty() {
        return text + "nothing was executed in them\n";
    }
    let _ = writeln!(
        text,
        "  {:>8}  {:>7}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:16}  FAMILY",
        "EXECUTED", "CACHED", "IN ALL", "P50", "P95", "P99", "MAX", "JOBS/S, TREND"
    );
    let mut families: Vec<&FamilyTrend> = found.families.iter().collect();
    families.sort_by_key(|family| std::cmp::Reverse(family.busy_ns));
    let others = families.split_off(families.len().min(FAMILIES_SHOWN));
    for family in families {
        let wall = &family.wall;
        let [all, p50, p95, p99, max] =
            [family.busy_ns, wall.p50_ns, wall.p95_ns, wall.p99_ns, wall.max_ns].map(duration);
        let trend = sparkline(family);
        let (executed, cached, name) = (family.executed, family.cached, harmless(&family.family));
        let _ = writeln!(
            text,
            "  {executed:>8}  {cached:>7}  {all:>9}  {p50:>9}  {p95:>9}  {p99:>9}  {max:>9}  {trend:16}  {name}"
        );
    }
    if !others.is_empty() {
        let took = duration(others.iter().map(|family| family.busy_ns).sum());
        let others = match others.len() {
            1 => "1 other family".to_owned(),
            many => format!("{many} other families"),
        };
        let _ = writeln!(text, "  {others} took {took} in all; `--csv` has them");
    }
    for one in &found.regressions {
        let _ = writeln!(
            text,
            "regression: `{}` did {:.1} jobs in a second of busy time in run {}, {:.0} % of the {:.1} of the runs before",
            harmless(&one.family),
            one.now,
            one.run,
            one.now / one.before * 100.0,
            one.before
        );
    }
    text
}

/// The throughput of the last runs as bars, with the latest figure.
fn sparkline(family: &FamilyTrend) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last: Vec<f64> = family.throughput.iter().rev().take(8).rev().map(|(_, each_second)| *each_second).collect();
    let most = last.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let bar = |each_second: &f64| BARS[((each_second / most * 7.0).round() as usize).min(7)];
    let bars: String = last.iter().map(bar).collect();
    format!("{bars} {:.1}", last.last().copied().unwrap_or(0.0))
}

fn as_csv(found: &Trend) -> String {
    let header =
        ["family", "run", "jobs_per_busy_second", "executed", "cached", "p50_ns", "p95_ns", "p99_ns", "max_ns"];
    let rows = found.families.iter().flat_map(|family| {
        family.throughput.iter().map(|(run, each_second)| {
            let wall = &family.wall;
            vec![
                family.family.clone(),
                run.to_string(),
                format!("{each_second:.3}"),
                family.executed.to_string(),
                family.cached.to_string(),
                wall.p50_ns.to_string(),
                wall.p95_ns.to_string(),
                wall.p99_ns.to_string(),
                wall.max_ns.to_string(),
            ]
        })
    });
    csv(&header, rows)
}
