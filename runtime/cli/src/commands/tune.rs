//! `wasmill tune`: how many workers suit a plan.
//!
//! Owns: the measurements, and the advice that follows from them. Does not know: how a run is carried out or replayed.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::json;
use wasmill_executor::BuildOutput;
use wasmill_insight::{Anatomy, CriticalPath, WORKERS, waits_for_disk};
use wasmill_model::{Event, RunId, RunSummary};

use crate::args::{Global, OutputFormat, TuneArgs};
use crate::error::{CliError, usage};
use crate::exit_code;
use crate::mill::{How, Mill, Work, default_workers};
use crate::plan_file;
use crate::recorded::Recorded;
use crate::report::print;
use crate::report::text::{count, duration, harmless};
use crate::settings::Settings;

/// Workers that bring less than this part of the time are not worth having.
const WORTH: f64 = 0.05;

/// Jobs that use the processor for less than this part of their time wait for something else.
const WAITING_BELOW: f64 = 0.5;

/// What takes less in all does not show what it waits for.
const TELLING_NS: u64 = 100_000_000;

/// What was found out about one number of workers.
struct Measured {
    workers: usize,
    /// From when jobs could begin until the last had ended, for each repetition, ascending, in nanoseconds.
    times_ns: Vec<u64>,
    /// CPU time and wall time of all attempts together, and what they read and wrote.
    cpu_ns: u64,
    busy_ns: u64,
    bytes: u64,
}

impl Measured {
    fn median_ns(&self) -> u64 {
        self.times_ns.get(self.times_ns.len() / 2).copied().unwrap_or(0)
    }

    /// By how much repetitions differ, as a part of the median.
    fn variation(&self) -> f64 {
        let (first, last) = (self.times_ns.first().copied().unwrap_or(0), self.times_ns.last().copied().unwrap_or(0));
        (last - first) as f64 / self.median_ns().max(1) as f64
    }
}

/// `wasmill tune`.
pub(crate) fn tune(global: &Global, args: &TuneArgs) -> Result<u8, CliError> {
    if args.workers.iter().any(|workers| *workers == 0 || *workers > 4_096) {
        return Err(usage("--workers", "each has to be a number from 1 to 4096"));
    }
    let measured = if args.replay { replayed(global, args)? } else { executed(global, args)? };
    let best = recommended(&measured);
    let text = match global.format {
        OutputFormat::Json => {
            let rows = measured.iter().map(|one| {
                json!({
                    "workers": one.workers, "times_ns": one.times_ns, "median_ns": one.median_ns(),
                    "variation": one.variation(), "speed_up": speed_up(&measured, one),
                    "cpu_ns": one.cpu_ns, "busy_ns": one.busy_ns,
                })
            });
            let rows: Vec<_> = rows.collect();
            let recommended = best.map(|best| {
                let (profile, why) = profile(&measured, best);
                json!({ "workers": best.workers, "profile": profile, "why": why })
            });
            format!("{}\n", json!({ "replay": args.replay, "measured": rows, "recommended": recommended }))
        }
        OutputFormat::Human => {
            let nothing = || "\nnothing was executed, so nothing is recommended\n".to_owned();
            table(&measured, args.replay) + &best.map_or_else(nothing, |best| said(&measured, best))
        }
    };
    print(text.as_bytes());
    Ok(exit_code::SUCCESS)
}

/// The numbers of workers that are asked for; else those up to twice as many as there are cores.
fn counts(args: &TuneArgs) -> Vec<usize> {
    let mut counts: Vec<usize> = args.workers.iter().map(|workers| usize::from(*workers)).collect();
    if counts.is_empty() {
        let cores = default_workers();
        counts = WORKERS.into_iter().filter(|workers| *workers <= 2 * cores).chain([cores]).collect();
    }
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// Executes the plan with each number of workers, in turn so that what slows the machine down slows all of them down.
fn executed(global: &Global, args: &TuneArgs) -> Result<Vec<Measured>, CliError> {
    let counts = counts(args);
    let mut measured: Vec<Measured> = counts
        .iter()
        .map(|workers| Measured { workers: *workers, times_ns: Vec::new(), cpu_ns: 0, busy_ns: 0, bytes: 0 })
        .collect();
    let read = plan_file::read(&args.plan)?;
    let settings = Settings::find(global, None, Some((&read.file, &read.plan.profiles)))?;
    let mill = Mill::open_as(global, &settings)?;
    let most = counts.last().copied().unwrap_or(1);
    // The first execution compiles modules and reads files that the others find, so it does not count.
    execute(global, args, &mill, &settings, most)?;
    for round in 1..=args.repeats {
        for one in &mut measured {
            if global.format == OutputFormat::Human && !global.quiet {
                eprintln!("round {round} of {}: {}", args.repeats, count(one.workers, "worker"));
            }
            let (time_ns, summary) = execute(global, args, &mill, &settings, one.workers)?;
            one.times_ns.push(time_ns);
            one.cpu_ns += summary.cpu_ns;
            one.busy_ns += summary.busy_ns;
            one.bytes += summary.traffic.read_bytes + summary.traffic.written_bytes;
        }
    }
    measured.iter_mut().for_each(|one| one.times_ns.sort_unstable());
    mill.close()?;
    Ok(measured)
}

/// Executes everything once, and saves nothing: how long all jobs took together, and the run in numbers.
fn execute(
    global: &Global,
    args: &TuneArgs,
    mill: &Mill,
    settings: &Settings,
    workers: usize,
) -> Result<(u64, RunSummary), CliError> {
    let mut read = plan_file::read(&args.plan)?;
    for job in &mut read.plan.jobs {
        settings.apply(job);
        job.save.clear();
    }
    let graph = read.expand()?;
    let loaded = mill.load_modules(&graph, BuildOutput::Kept).map_err(|mut errors| {
        errors.pop().unwrap_or_else(|| CliError::new(exit_code::INPUT, "a module cannot be loaded"))
    })?;
    let how = How {
        workers,
        workers_min: None,
        memory_bytes: settings.memory_bytes(),
        timeout: settings.run_timeout.value,
        keep_going: settings.keep_going.value,
        retry_failed: false,
        fresh: true,
        measuring: true,
        profile: settings.profile_named(),
        tells_each: true,
        began: Instant::now(),
    };
    let mut id: Option<RunId> = None;
    let summary = mill.execute(Work::Graph(Box::new(graph), loaded.modules), &how, &mut |event| {
        if let Event::RunStarted { run, .. } = event {
            id = Some(*run);
        }
    })?;
    if !summary.is_success() {
        let error = CliError::new(exit_code::JOBS_FAILED, "the plan does not succeed, so its times say nothing");
        return Err(match id {
            Some(run) => error.hint(format!("`wasmill show {run}` says what failed")),
            None => error,
        });
    }
    if global.verbose > 0 {
        eprintln!("{}: {}", count(workers, "worker"), duration(summary.wall_ns));
    }
    let recorded = Recorded::find(&mill.storage, id)?;
    let anatomy = Anatomy::of(&recorded.record, &recorded.jobs);
    Ok((anatomy.span_ns(), summary))
}

/// Replays the latest run of the plan, or of any if none is named.
fn replayed(global: &Global, args: &TuneArgs) -> Result<Vec<Measured>, CliError> {
    let mill = Mill::open(global)?;
    let name = plan_file::read(&args.plan)?.plan.name;
    let recorded = Recorded::latest_of(&mill.storage, &name)?;
    let anatomy = Anatomy::of(&recorded.record, &recorded.jobs);
    let summary = anatomy.summary();
    let path = CriticalPath::warm(&anatomy, &counts(args));
    let one = |workers: &wasmill_insight::Workers| Measured {
        workers: workers.workers,
        times_ns: vec![workers.time_ns],
        cpu_ns: summary.cpu_ns,
        busy_ns: summary.busy_ns,
        bytes: summary.traffic.read_bytes.saturating_add(summary.traffic.written_bytes),
    };
    let wanted = counts(args);
    Ok(path.workers.iter().filter(|workers| wanted.contains(&workers.workers)).map(one).collect())
}

fn speed_up(measured: &[Measured], one: &Measured) -> f64 {
    let first = measured.first().map_or(0, Measured::median_ns);
    first as f64 / one.median_ns().max(1) as f64
}

fn table(measured: &[Measured], is_replay: bool) -> String {
    let base = measured.first().map_or(1, |first| first.workers);
    let mut text =
        if is_replay { "replayed from what the jobs took the last time\n".to_owned() } else { String::new() };
    let _ =
        writeln!(text, "{:>7}  {:>10}  {:>9}  {:>8}  {:>10}", "WORKERS", "TIME", "VARIATION", "SPEED-UP", "EFFICIENCY");
    for one in measured {
        let speed_up = speed_up(measured, one);
        let efficiency = speed_up / one.workers as f64 * base as f64 * 100.0;
        let variation =
            if one.times_ns.len() < 2 { "-".to_owned() } else { format!("{:.0} %", one.variation() * 100.0) };
        let time = duration(one.median_ns());
        let _ = writeln!(text, "{:>7}  {time:>10}  {variation:>9}  {speed_up:>8.2}  {efficiency:>8.0} %", one.workers);
    }
    text
}

/// The fewest workers that are nearly as fast as any other number.
fn recommended(measured: &[Measured]) -> Option<&Measured> {
    if measured.iter().all(|one| one.busy_ns == 0) {
        return None; // nothing was executed
    }
    let best = measured.iter().map(Measured::median_ns).min()?;
    let near = best as f64 * (1.0 + WORTH);
    measured.iter().find(|one| one.median_ns() as f64 <= near)
}

/// The built-in profile that fits, and why.
fn profile(measured: &[Measured], best: &Measured) -> (&'static str, String) {
    // Of the fewest workers, as more of them than cores take turns, and wait for each other and not for the disk.
    let Some(few) = measured.iter().find(|one| one.busy_ns >= TELLING_NS) else {
        return (
            "standard",
            format!("jobs take less than {} in all, which is too little to tell", duration(TELLING_NS)),
        );
    };
    let cpu = few.cpu_ns as f64 / few.busy_ns as f64;
    let share = format!("jobs use the processor for {:.0} % of their time", (cpu * 100.0).min(100.0));
    let waits_ns = few.busy_ns.saturating_sub(few.cpu_ns);
    match cpu {
        cpu if cpu < WAITING_BELOW && waits_for_disk(few.bytes, waits_ns) => {
            ("io-intensive", format!("{share}, and wait for what they read and write else"))
        }
        _ if best.workers >= default_workers() => {
            ("cpu-intensive", format!("{share}, and each core is worth a worker"))
        }
        _ => ("standard", format!("{share}, and there is not enough to do at the same time for all cores")),
    }
}

fn said(measured: &[Measured], best: &Measured) -> String {
    let (name, why) = profile(measured, best);
    let first = measured.first().map_or(1, |first| first.workers);
    let times = speed_up(measured, best);
    let what = match measured.iter().map(Measured::median_ns).min().unwrap_or(0) {
        _ if best.workers == first => "more are no faster".to_owned(),
        fastest if best.median_ns() == fastest => format!("{times:.2} times as fast as {first}"),
        _ => format!("{times:.2} times as fast as {first}; others are less than 5 % faster"),
    };
    let workers = count(best.workers, "worker");
    // Both can be had: a profile in a plan changes of a built-in one what it says.
    let (name, why) = (harmless(name), harmless(&why));
    format!(
        "\nrecommended: {workers} ({what}) and profile `{name}`: {why}\n\n[profile.{name}]\njobs = {}\n",
        best.workers
    )
}
