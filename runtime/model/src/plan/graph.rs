//! What must hold between the jobs of a plan.
//!
//! Owns: references from job to job, cycles, and saves to the same place. Does not know: the document.

use std::collections::{HashMap, HashSet};

use super::decode::unknown;
use super::diagnostic::{Diagnostic, Diagnostics, Quoted, Span, listed};
use super::job::is_kept;
use super::overlap::{host_names, overlaps};
use super::{JobSpec, Label, Template};
use crate::guest_path::OutputPath;

/// A job that takes something from another.
#[derive(Debug)]
pub(super) struct Reference {
    /// The position of the job that takes.
    pub(super) from: usize,
    /// Where it says so.
    pub(super) span: Span,
    /// From whom.
    pub(super) target: Target,
    /// What of it; none means the whole output.
    pub(super) path: Option<OutputPath>,
}

/// What a reference names.
#[derive(Debug)]
pub(super) enum Target {
    /// A job by its name alone.
    One(String),
    /// One item of a `for-each` job.
    Item(String),
    /// The same with its closing bracket missing.
    Unclosed(String),
    /// Every item of a `for-each` job.
    All(String),
}

impl Target {
    /// What `job = "…"` names; none where variables decide which job it is, so that only the items tell.
    pub(super) fn of(template: &Template) -> Option<Self> {
        let prefix = template.literal_prefix();
        match (prefix.split_once('['), template.as_literal()) {
            (Some((name, item)), Some(_)) if !item.ends_with(']') => Some(Self::Unclosed(name.to_owned())),
            (Some((name, _)), _) => Some(Self::Item(name.to_owned())),
            (None, Some(name)) => Some(Self::One(name.to_owned())),
            (None, None) => None,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::One(name) | Self::Item(name) | Self::Unclosed(name) | Self::All(name) => name,
        }
    }
}

/// One job's need for another.
#[derive(Debug)]
struct Edge {
    to: usize,
    span: Span,
}

/// Checks everything that takes more than one job to see.
pub(super) fn check(jobs: &[JobSpec], references: &[Reference], errors: &mut Diagnostics) {
    // A million jobs that know nothing of each other need no table of names.
    if !references.is_empty() {
        check_references(jobs, references, errors);
    }
    check_saves(jobs, errors);
}

fn check_references(jobs: &[JobSpec], references: &[Reference], errors: &mut Diagnostics) {
    let mut edges: Vec<Vec<Edge>> = jobs.iter().map(|_| Vec::new()).collect();
    let positions: HashMap<&str, usize> =
        jobs.iter().enumerate().map(|(index, job)| (job.name.value.as_str(), index)).collect();
    let mut seen = HashSet::new();
    for reference in references {
        let Some(to) = positions.get(reference.target.name()).copied() else {
            let name = reference.target.name();
            let message = format!("there is no job {}", Quoted(name));
            let known = jobs.iter().map(|job| job.name.value.as_str());
            unknown(message, name, reference.span.clone(), known, "jobs", errors);
            continue;
        };
        if let Some(target) = jobs.get(to) {
            check_reference(reference, target, errors);
        }
        // Items of one job may form a chain; whether they form a cycle shows when they are known.
        if let Some(edges) = edges.get_mut(reference.from)
            && !matches!(reference.target, Target::Item(_))
            && seen.insert((reference.from, to))
        {
            edges.push(Edge { to, span: reference.span.clone() });
        }
    }
    check_cycles(jobs, &edges, errors);
}

fn check_reference(reference: &Reference, target: &JobSpec, errors: &mut Diagnostics) {
    let name = Quoted(&target.name.value);
    let is_repeated = !target.for_each.is_empty();
    let span = reference.span.clone();
    let written = &target.name.value;
    match (&reference.target, is_repeated) {
        // One winner can stand for all candidates.
        (Target::One(_), true) if target.race == Some(1) => {}
        (Target::Item(_), true) if target.race.is_some() => errors.push(
            Diagnostic::new(format!("job {name} is a race: its items cannot be taken by their names"), span)
                .hint(format!("write `jobs = \"{written}\"` for the winners")),
        ),
        (Target::One(_), true) => errors.push(
            Diagnostic::new(format!("job {name} has a `for-each`: say which of its items"), span)
                .hint(format!("write `{written}[…]` for one item, or `jobs = \"{written}\"` for all of them")),
        ),
        (Target::All(_), false) => errors.push(
            Diagnostic::new(format!("job {name} has no `for-each`, so there is only one"), span)
                .hint(format!("write `job = \"{written}\"`")),
        ),
        (Target::Item(_) | Target::Unclosed(_), false) => errors.push(
            Diagnostic::new(format!("job {name} has no `for-each`, so it has no items"), span)
                .hint(format!("write `{written}` without brackets")),
        ),
        (Target::Unclosed(_), true) => {
            errors.push(Diagnostic::new(format!("the bracket after {name} is not closed"), span));
        }
        (Target::One(_), false) | (Target::All(_) | Target::Item(_), true) => {}
    }
    // Nobody knows yet what is in the output of a plan that the job yields.
    let of_own = reference.path.as_ref().filter(|_| target.yields.is_none());
    if let Some(path) = of_own.filter(|path| !is_kept(path, &target.outputs)) {
        let outputs = listed(target.outputs.iter().map(|output| output.value.as_str()));
        let message = format!("job {name} does not keep {}", Quoted(path.as_str()));
        errors.push(
            Diagnostic::new(message, reference.span.clone()).hint(format!("add it to `out`, which has {outputs}")),
        );
    }
}

/// How far a job has been searched for cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    OnPath,
    Done,
}

/// Depth-first, with a path of its own instead of recursion: a chain of jobs may be longer than any stack. Each
/// edge back onto the path closes a cycle.
fn check_cycles(jobs: &[JobSpec], edges: &[Vec<Edge>], errors: &mut Diagnostics) {
    let mut marks = vec![Mark::New; jobs.len()];
    for start in 0..jobs.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::OnPath;
        // Each job on the path, with how many of its edges have been followed.
        let mut path = vec![(start, 0)];
        while let Some((job, followed)) = path.last_mut() {
            let Some(edge) = edges[*job].get(*followed) else {
                marks[*job] = Mark::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            match marks[edge.to] {
                Mark::New => {
                    marks[edge.to] = Mark::OnPath;
                    path.push((edge.to, 0));
                }
                Mark::OnPath => errors.push_with(|| {
                    let on_cycle = path.iter().skip_while(|(job, _)| *job != edge.to);
                    let edges = on_cycle.map(|(job, followed)| (*job, &edges[*job][*followed - 1])).collect::<Vec<_>>();
                    cycle(jobs, &edges)
                }),
                Mark::Done => {}
            }
        }
    }
}

/// How many jobs of a cycle are named.
const CYCLE_SHOWN_MAX: usize = 10;

fn cycle(jobs: &[JobSpec], edges: &[(usize, &Edge)]) -> Diagnostic {
    let name = |job: usize| Quoted(jobs.get(job).map_or("", |job| job.name.value.as_str()));
    let shown = || edges.iter().take(CYCLE_SHOWN_MAX);
    let mut names: Vec<String> = shown().map(|(from, _)| name(*from).to_string()).collect();
    if edges.len() > CYCLE_SHOWN_MAX {
        names.push(format!("({} more)", edges.len() - CYCLE_SHOWN_MAX));
    }
    names.extend(names.first().cloned());
    let label = |(from, edge): &(usize, &Edge)| Label {
        span: edge.span.clone(),
        text: format!("{} needs {}", name(*from), name(edge.to)),
    };
    Diagnostic {
        message: format!("jobs need each other in a circle: {}", names.join(" -> ")),
        labels: shown().map(label).collect(),
        hint: None,
    }
}

/// Paths with variables are left to whoever knows the items.
fn check_saves(jobs: &[JobSpec], errors: &mut Diagnostics) {
    let saves: Vec<_> = (jobs.iter())
        .flat_map(|job| job.save.iter().map(move |save| (job, save)))
        .filter_map(|(job, save)| Some((job, &save.to.span, save.to.value.as_literal()?)))
        .collect();
    let paths: Vec<_> = saves.iter().map(|(_, _, path)| host_names(path)).collect();
    for overlap in overlaps(&paths) {
        let (outer_job, outer_span, outer) = &saves[overlap.outer];
        let (inner_job, inner_span, inner) = &saves[overlap.inner];
        let names = (Quoted(&outer_job.name.value), Quoted(&inner_job.name.value));
        let message = match (overlap.is_same, outer_job.name.value == inner_job.name.value) {
            (true, true) => format!("job {} saves twice to {}", names.0, Quoted(inner)),
            (true, false) => format!("jobs {} and {} both save to {}", names.0, names.1, Quoted(inner)),
            (false, _) => format!("job {} saves to {} inside {}", names.1, Quoted(inner), Quoted(outer)),
        };
        let text = format!("job {} saves here too", names.0);
        errors.push(Diagnostic::new(message, (*inner_span).clone()).and_at((*outer_span).clone(), text));
    }
}
