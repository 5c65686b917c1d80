//! From a plan to its graph: items, names, edges.
//!
//! Owns: reading what `for-each` iterates over (globs, lists in files), naming the items, finding the jobs that
//! inputs refer to, and the checks that need all of that. Does not know: what the inputs hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use wasmill_model::check_name;
use wasmill_model::plan::{Bindings, Diagnostic, InputSource, Items, JobSpec, Plan, Span, Spanned, Stdin};

use crate::glob::Glob;
use crate::graph::{Graph, Job, JobId, nearest};

/// Most jobs that a plan may expand to; a slip in a glob should not eat the machine.
const JOBS_MAX: usize = 4_000_000;

/// Expands a plan whose relative paths start from `base`.
///
/// # Errors
/// Everything that is wrong: items that cannot be read, two items or jobs of one name, references to jobs that
/// are not there, cycles, two jobs that save to one path.
pub fn expand(plan: Plan, base: &Path) -> Result<Graph, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let (jobs, ranges) = make_jobs(&plan, base, &mut diagnostics);
    let mut graph =
        Graph { dependencies: vec![Vec::new(); jobs.len()], plan, base: base.to_owned(), jobs, ranges, selected: None };
    if diagnostics.is_empty() {
        connect(&mut graph, &mut diagnostics);
    }
    if diagnostics.is_empty() {
        check_cycles(&graph, &mut diagnostics);
        check_saves(&graph, &mut diagnostics);
    }
    if diagnostics.is_empty() { Ok(graph) } else { Err(diagnostics) }
}

fn make_jobs(plan: &Plan, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> (Vec<Job>, Vec<std::ops::Range<u32>>) {
    let mut jobs = Vec::new();
    let mut ranges = Vec::new();
    for (spec, job) in plan.jobs.iter().enumerate() {
        let first = jobs.len();
        if job.for_each.is_empty() {
            let name = job.name.value.clone();
            jobs.push(Job { name, label: String::new(), spec, bindings: Bindings::new(), upstream: Vec::new() });
        } else {
            match items_of(job, base) {
                Err(diagnostic) => diagnostics.push(diagnostic),
                Ok(items) if items.len() + first > JOBS_MAX => diagnostics.push(Diagnostic::new(
                    format!("the plan expands to more than {JOBS_MAX} jobs"),
                    job.name.span.clone(),
                )),
                Ok(items) => jobs.extend(items.into_iter().map(|(label, bindings)| Job {
                    name: format!("{}[{label}]", job.name.value),
                    label,
                    spec,
                    bindings,
                    upstream: Vec::new(),
                })),
            }
        }
        let end = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        ranges.push(end(first)..end(jobs.len()));
    }
    (jobs, ranges)
}

/// The items of a job: every combination of its variables' values, with a label that is unique among them.
fn items_of(job: &JobSpec, base: &Path) -> Result<Vec<(String, Bindings)>, Diagnostic> {
    let mut items = vec![(String::new(), Bindings::new())];
    for (variable, source) in &job.for_each {
        let values = values_of(source, base)?;
        let labels = labels_of(&values, &source.span)?;
        if items.len().saturating_mul(values.len()) > JOBS_MAX {
            let message = format!("job `{}` expands to more than {JOBS_MAX} jobs", job.name.value);
            return Err(Diagnostic::new(message, source.span.clone()));
        }
        items = (items.iter())
            .flat_map(|(label, bindings)| {
                values.iter().zip(&labels).map(move |(value, own)| {
                    let label = if label.is_empty() { own.clone() } else { format!("{label},{own}") };
                    let mut bindings = bindings.clone();
                    bindings.insert(variable.value.clone(), value.clone());
                    (label, bindings)
                })
            })
            .collect();
    }
    Ok(items)
}

fn values_of(source: &Spanned<Items>, base: &Path) -> Result<Vec<String>, Diagnostic> {
    match &source.value {
        Items::List(values) => Ok(values.clone()),
        Items::Lines(path) => {
            let shown = base.join(path);
            let text = std::fs::read_to_string(&shown).map_err(|error| {
                Diagnostic::new(format!("cannot read the list `{path}`"), source.span.clone())
                    .saying(error.to_string())
                    .hint(format!("it is looked for at {}", shown.display()))
            })?;
            // Some editors put a byte order mark in front.
            let text = text.trim_start_matches('\u{feff}');
            Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
        }
        Items::Glob(pattern) => {
            let fail = |error: &dyn std::fmt::Display| {
                Diagnostic::new(format!("cannot expand the glob `{pattern}`"), source.span.clone())
                    .saying(error.to_string())
            };
            let glob = Glob::new(pattern).map_err(|error| fail(&error))?;
            let found = glob.expand(base).map_err(|error| fail(&error))?;
            Ok(found.into_iter().map(|relative| glob.display(&relative)).collect())
        }
    }
}

/// Names items by the last part of their value where that tells them apart, else by all of it.
fn labels_of(values: &[String], span: &Span) -> Result<Vec<String>, Diagnostic> {
    fn last(value: &str) -> &str {
        value.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(value)
    }
    let distinct: BTreeSet<&str> = values.iter().map(|value| last(value)).collect();
    let labels: Vec<String> = if distinct.len() == values.len() {
        values.iter().map(|value| last(value).to_owned()).collect()
    } else {
        values.iter().map(|value| value.replace(['/', '\\'], "-")).collect()
    };
    let mut seen = BTreeSet::new();
    for (label, value) in labels.iter().zip(values) {
        if value.contains(char::is_control) {
            let message = format!("`{}` cannot name an item of a `for-each`", value.escape_debug());
            return Err(Diagnostic::new(message, span.clone()).saying("there are control characters in it"));
        }
        if let Err(error) = check_name(label) {
            let message = format!("`{value}` cannot name an item of a `for-each`");
            return Err(Diagnostic::new(message, span.clone()).saying(error.to_string()));
        }
        if !seen.insert(label) {
            let message = format!("two items of this `for-each` have the same name `{label}`");
            return Err(Diagnostic::new(message, span.clone())
                .hint("an item is named by the last part of its path, or by the whole where that is not unique"));
        }
    }
    Ok(labels)
}

/// Finds the jobs that inputs refer to.
fn connect(graph: &mut Graph, diagnostics: &mut Vec<Diagnostic>) {
    // A wide plan refers to no job by name, and need not pay for an index of its names.
    let is_needed =
        (graph.plan.jobs.iter()).flat_map(sources).any(|(source, _)| matches!(source, InputSource::Job { .. }));
    let ids = graph.ids().filter(|_| is_needed);
    let by_name: HashMap<&str, JobId> = ids.map(|id| (graph.job(id).name.as_str(), id)).collect();
    let spec_by_name: HashMap<&str, usize> =
        graph.plan.jobs.iter().enumerate().map(|(index, spec)| (spec.name.value.as_str(), index)).collect();
    let mut upstreams = Vec::with_capacity(graph.jobs.len());
    let mut dependencies = Vec::with_capacity(graph.jobs.len());
    for job in &graph.jobs {
        let spec = &graph.plan.jobs[job.spec];
        let mut upstream = Vec::new();
        let mut needed = BTreeSet::new();
        for (source, span) in sources(spec) {
            match source {
                InputSource::Job { job: name, .. } => {
                    let name = name.render(&job.bindings);
                    match by_name.get(name.as_str()) {
                        Some(&id) => {
                            upstream.push(id);
                            needed.insert(id);
                        }
                        None => diagnostics.push(missing_job(&name, &job.name, span, by_name.keys().copied())),
                    }
                }
                InputSource::Jobs { jobs, .. } => match spec_by_name.get(jobs.as_str()) {
                    Some(&other) => needed.extend(graph.ranges[other].clone().map(JobId)),
                    None => diagnostics.push(missing_job(jobs, &job.name, span, spec_by_name.keys().copied())),
                },
                InputSource::Path(_) | InputSource::Glob(_) | InputSource::Text(_) => {}
            }
        }
        upstreams.push(upstream);
        dependencies.push(needed.into_iter().collect());
        if diagnostics.len() >= 100 {
            return;
        }
    }
    graph.dependencies = dependencies;
    for (job, upstream) in graph.jobs.iter_mut().zip(upstreams) {
        job.upstream = upstream;
    }
}

/// Every input of a job in the plan's order, standard input last: the order of [`Job::upstream`].
pub(crate) fn sources(spec: &JobSpec) -> impl Iterator<Item = (&InputSource, &Span)> {
    let mounts = spec.mounts.iter().map(|mount| (&mount.source.value, &mount.source.span));
    let stdin = spec.stdin.iter().filter_map(|stdin| match &stdin.value {
        Stdin::Source(source) => Some((source, &stdin.span)),
        Stdin::Json(_) | Stdin::Blob(_) => None,
    });
    mounts.chain(stdin)
}

fn missing_job<'a>(name: &str, by: &str, span: &Span, all: impl Iterator<Item = &'a str>) -> Diagnostic {
    let diagnostic =
        Diagnostic::new(format!("there is no job `{name}`"), span.clone()).saying(format!("needed by `{by}`"));
    match nearest(name, all) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

/// A cycle among items, which the plan's text alone did not show.
fn check_cycles(graph: &Graph, diagnostics: &mut Vec<Diagnostic>) {
    let mut open: Vec<usize> = graph.dependencies.iter().map(Vec::len).collect();
    let mut dependants = vec![Vec::new(); open.len()];
    for id in graph.ids() {
        for dependency in &graph.dependencies[id.index()] {
            dependants[dependency.index()].push(id);
        }
    }
    let mut queue: Vec<JobId> = graph.ids().filter(|id| open[id.index()] == 0).collect();
    while let Some(job) = queue.pop() {
        for dependant in &dependants[job.index()] {
            open[dependant.index()] -= 1;
            if open[dependant.index()] == 0 {
                queue.push(*dependant);
            }
        }
    }
    // Whatever is still open lies on a cycle or behind one; walking up from it must come round.
    let Some(mut job) = graph.ids().find(|id| open[id.index()] > 0) else { return };
    let mut path: Vec<JobId> = Vec::new();
    let mut place = BTreeMap::new();
    while !place.contains_key(&job) {
        place.insert(job, path.len());
        path.push(job);
        let Some(&next) = graph.dependencies[job.index()].iter().find(|id| open[id.index()] > 0) else { return };
        job = next;
    }
    let mut names: Vec<&str> = path[place[&job]..].iter().map(|&id| graph.job(id).name.as_str()).collect();
    names.push(graph.job(job).name.as_str());
    let message = format!("jobs need each other in a circle: {}", shorten(&names));
    diagnostics.push(Diagnostic::new(message, graph.spec(job).name.span.clone()));
}

fn shorten(names: &[&str]) -> String {
    match names {
        [first, second, .., last] if names.len() > 8 => {
            format!("{first} -> {second} -> … ({} more) -> {last}", names.len() - 3)
        }
        _ => names.join(" -> "),
    }
}

/// Two jobs that would write to one host path, or one inside what the other writes.
fn check_saves(graph: &Graph, diagnostics: &mut Vec<Diagnostic>) {
    let mut targets = Vec::new();
    for job in &graph.jobs {
        for save in &graph.plan.jobs[job.spec].save {
            let written = save.to.value.render(&job.bindings);
            let path = crate::save::lexical(&graph.base.join(&written));
            targets.push((path, job.name.as_str(), &save.to.span));
        }
    }
    targets.sort_by(|a, b| a.0.cmp(&b.0));
    for pair in targets.windows(2) {
        let ((first, one, here), (second, other, there)) = (&pair[0], &pair[1]);
        if second.starts_with(first) && diagnostics.len() < 100 {
            let message = format!("`{one}` and `{other}` would both save to {}", first.display());
            let diagnostic = Diagnostic::new(message, (*here).clone());
            diagnostics.push(if here == there {
                diagnostic.hint("put a variable of the `for-each` into the path")
            } else {
                diagnostic.and_at((*there).clone(), "also written here")
            });
        }
    }
}
