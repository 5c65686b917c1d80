//! `wasmill plan`: looking at a plan without executing it.
//!
//! Owns: what is said of a valid plan. Does not know: how plans are read, or how a graph is measured.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use wasmill_executor::{Accepts, BuildOutput, Durations, Graph, JobId, PlanSnapshot, chain};
use wasmill_model::RunId;
use wasmill_storage::Storage;

use crate::app::show_error;
use crate::args::{Global, Notation, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::{open_error, store_dir, store_options, toolchain};
use crate::plan_file;
use crate::report::print;
use crate::report::shape::{Drawing, Drawn};
use crate::report::text::{count, duration, harmless_lines};
use crate::settings::Settings;

/// For how many workers it is said how long a plan takes.
const WORKERS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Jobs of a long path that are named: the first ones, and the last.
const PATH_SHOWN: usize = 6;

/// `wasmill plan check`.
pub(crate) fn check(global: &Global, path: &Path) -> Result<u8, CliError> {
    let graph = plan_file::load(path)?;
    let (interfaces, unread) = graph.read_interfaces(&toolchain(), BuildOutput::Kept);
    let unchecked: Vec<String> = unread.iter().map(|error| chain(error).join(": ")).collect();
    graph.check_types(&interfaces).map_err(|wrong| plan_file::refused(&graph, &wrong))?;
    let (name, jobs, edges) = (graph.name(), graph.len(), graph.edges());
    match global.format {
        OutputFormat::Json => {
            let said = json!({ "plan": name, "valid": true, "jobs": jobs, "edges": edges, "unchecked": unchecked });
            print(format!("{said}\n").as_bytes());
        }
        OutputFormat::Human if global.quiet => {}
        OutputFormat::Human => {
            for why in unchecked {
                eprintln!("warning: whether jobs are given what they take was not checked: {}", harmless_lines(&why));
            }
            print(format!("plan `{name}` is valid: {}\n", jobs_and_edges(&graph)).as_bytes());
        }
    }
    Ok(exit_code::SUCCESS)
}

fn jobs_and_edges(graph: &Graph) -> String {
    let edges = graph.edges();
    format!("{}, {edges} dependenc{}", count(graph.len(), "job"), if edges == 1 { "y" } else { "ies" })
}

/// `wasmill plan show`.
pub(crate) fn show(global: &Global, path: &Path) -> Result<u8, CliError> {
    let graph = plan_file::load(path)?;
    let recorded = durations(global, &graph)?;
    let memory_bytes = Settings::find(global, None, None)?.memory_bytes();
    let expected = |id: JobId| recorded.as_ref().map_or(1, |durations| durations.expected(&graph, id));
    let shape = graph.shape(expected);
    let path: Vec<&str> = shape.critical_path.iter().map(|id| graph.job(*id).name.as_str()).collect();
    let times = WORKERS.map(|workers| (workers, graph.makespan(workers, memory_bytes, expected)));
    let run = recorded.as_ref().map(|recorded| recorded.run);
    if global.format == OutputFormat::Json {
        let times = times
            .map(|(workers, time)| json!({ "workers": workers, "time": time, "speed_up": ratio(shape.total, time) }));
        let said = json!({
            "plan": graph.name(), "jobs": graph.len(), "edges": graph.edges(), "depth": shape.depth,
            "width": shape.width, "critical_path": path, "critical": shape.critical, "total": shape.total,
            "unit": if run.is_some() { "ns" } else { "jobs" }, "durations_of_run": run, "workers": times,
        });
        print(format!("{said}\n").as_bytes());
        return Ok(exit_code::SUCCESS);
    }
    let time = |time: u64| if run.is_some() { duration(time) } else { time.to_string() };
    let mut lines = vec![
        format!("plan `{}`: {}", graph.name(), jobs_and_edges(&graph)),
        format!("depth {} (jobs one after the other), width {} (jobs at one depth)", shape.depth, shape.width),
        format!("critical path: {} of {}: {}", time(shape.critical), time(shape.total), shortened(&path)),
        String::new(),
        format!("{:>7}  {:>10}  {:>8}  {:>10}", "workers", "time", "speed-up", "efficiency"),
    ];
    for (workers, took) in times {
        let speed_up = ratio(shape.total, took);
        let efficiency = speed_up / workers as f64 * 100.0;
        lines.push(format!("{workers:>7}  {:>10}  {speed_up:>8.2}  {efficiency:>8.0} %", time(took)));
    }
    lines.push(String::new());
    lines.push(match run {
        Some(run) => format!("durations are those of run {run} and earlier ones; what is between jobs is not counted"),
        None => "no durations are recorded: every job counts as one".to_owned(),
    });
    print((harmless_lines(&lines.join("\n")) + "\n").as_bytes());
    Ok(exit_code::SUCCESS)
}

fn ratio(total: u64, time: u64) -> f64 {
    if time == 0 { 1.0 } else { total as f64 / time as f64 }
}

fn shortened(path: &[&str]) -> String {
    match path.len().checked_sub(PATH_SHOWN) {
        Some(more @ 1..) => {
            let first = path.get(..PATH_SHOWN - 1).unwrap_or_default().join(" → ");
            format!("{first} → … ({} more) → {}", more, path.last().copied().unwrap_or_default())
        }
        _ => path.join(" → "),
    }
}

/// What is known of how long a graph's jobs take, if there is a store. A store that cannot be read is no reason to say nothing.
fn durations(global: &Global, graph: &Graph) -> Result<Option<Durations>, CliError> {
    let (dir, options) = (store_dir(global)?, store_options(global, Some(&Settings::find(global, None, None)?))?);
    // Looking at a plan creates nothing.
    if !dir.join("FORMAT").exists() {
        return Ok(None);
    }
    let found = Storage::open(&dir, options)
        .map_err(|error| open_error(&error))
        .and_then(|storage| Durations::find(&storage, graph).map_err(|error| CliError::store(&error)));
    Ok(found.unwrap_or_else(|error| {
        tracing::warn!("no durations are used, as the store cannot be read");
        show_error(&error, OutputFormat::Human);
        None
    }))
}

/// `wasmill plan graph`.
pub(crate) fn graph(
    global: &Global,
    path: &Path,
    run: Option<RunId>,
    notation: Notation,
    families: bool,
) -> Result<u8, CliError> {
    let (graph, jobs) = match run {
        None => {
            let graph = Arc::new(plan_file::load(path)?);
            let jobs = graph.ids().map(|id| (id, graph.needs(id).into_iter().collect())).collect();
            (graph, jobs)
        }
        Some(run) => {
            let graph = rehearsed(global, run)?;
            let jobs = graph.grown();
            (graph, jobs)
        }
    };
    let drawing = if families { families_of(&graph, &jobs) } else { jobs_of(&graph, &jobs) };
    let text = match notation {
        Notation::Dot => drawing.dot(),
        Notation::Mermaid => drawing.mermaid(),
        Notation::Json => drawing.json(),
    };
    print(text.as_bytes());
    Ok(exit_code::SUCCESS)
}

/// The graph of a run, grown as it did then. Nothing is executed for that, and nothing written to the host.
fn rehearsed(global: &Global, run: RunId) -> Result<Arc<Graph>, CliError> {
    let (mill, graph, modules) =
        super::run::as_it_began(global, &Settings::find(global, None, None)?, run, PlanSnapshot::open_to_look)?;
    mill.rehearse(graph, modules, Accepts::default(), &mut |_| {}).map(|rehearsed| rehearsed.graph)
}

/// Jobs, and what each of them needs.
type Jobs = [(JobId, BTreeSet<JobId>)];

fn jobs_of(graph: &Graph, jobs: &Jobs) -> Drawing {
    let places: HashMap<JobId, usize> = jobs.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
    let boxes = jobs.iter().map(|(id, needs)| Drawn {
        name: graph.job(*id).name.clone(),
        jobs: 1,
        is_late: graph.is_late(*id),
        needs: needs.iter().filter_map(|needed| places.get(needed).copied()).collect(),
    });
    Drawing { name: graph.name().to_owned(), boxes: boxes.collect() }
}

/// One box for each of the plan's job entries that has jobs.
fn families_of(graph: &Graph, jobs: &Jobs) -> Drawing {
    let mut places = HashMap::new();
    let mut boxes: Vec<(Drawn, BTreeSet<usize>)> = Vec::new();
    let mut of: HashMap<JobId, usize> = HashMap::new();
    for (id, _) in jobs {
        let place = *places.entry(graph.family_in_full(*id)).or_insert_with_key(|family| {
            let (name, is_late) = (family.clone(), graph.is_late(*id));
            boxes.push((Drawn { name, jobs: 0, is_late, needs: Vec::new() }, BTreeSet::new()));
            boxes.len() - 1
        });
        of.insert(*id, place);
    }
    for (id, needed) in jobs {
        let Some((place, (drawn, needs))) = of.get(id).and_then(|place| Some((place, boxes.get_mut(*place)?))) else {
            continue;
        };
        drawn.jobs += 1;
        // Items of one job may need each other.
        needs.extend(needed.iter().filter_map(|needed| of.get(needed)).filter(|other| *other != place));
    }
    let boxes = boxes.into_iter().map(|(drawn, needs)| Drawn { needs: needs.into_iter().collect(), ..drawn });
    Drawing { name: graph.name().to_owned(), boxes: boxes.collect() }
}
