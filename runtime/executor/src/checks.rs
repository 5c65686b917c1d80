//! What must hold between the jobs that come to be at once.
//!
//! Owns: finding cycles, and jobs that save to one place. Does not know: how jobs are made and connected (`expand`).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use wasmill_model::plan::Diagnostic;

use crate::expand::Fragment;
use crate::graph::{Graph, Job, JobId, Role, Scope};

/// Adds whatever is wrong, unless something is already.
pub(crate) fn check(
    fragment: &Fragment,
    scope: &Scope,
    graph: &Graph,
    is_plan: bool,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if diagnostics.is_empty() {
        check_cycles(fragment, is_plan.then_some(&scope.awaited), diagnostics);
        // Where nothing is saved by jobs that come to be, nobody has to remember the others.
        let remembers = scope.entries.iter().any(|entry| entry.is_late && !entry.spec.save.is_empty());
        check_saves(fragment, &scope.base, remembers.then_some(&graph.saved), diagnostics);
    }
}

/// A cycle among items, which the plan's text alone did not show.
fn check_cycles(fragment: &Fragment, awaited: Option<&HashMap<JobId, Vec<JobId>>>, diagnostics: &mut Vec<Diagnostic>) {
    // What is there already cannot need what comes to be.
    let inside = |ids: &[JobId]| ids.iter().filter_map(|id| id.0.checked_sub(fragment.first)).collect::<Vec<_>>();
    let mut needs: Vec<Vec<u32>> = fragment.jobs.iter().map(|job| inside(&job.needs)).collect();
    for (closer, others) in awaited.into_iter().flatten() {
        if let Some(needs) = needs.get_mut((closer.0 - fragment.first) as usize) {
            needs.append(&mut inside(others));
        }
    }
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependants = vec![Vec::new(); open.len()];
    for (at, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|needed| dependants[*needed as usize].push(at));
    }
    let mut queue: Vec<usize> = (0..open.len()).filter(|at| open[*at] == 0).collect();
    while let Some(job) = queue.pop() {
        for dependant in &dependants[job] {
            open[*dependant] -= 1;
            if open[*dependant] == 0 {
                queue.push(*dependant);
            }
        }
    }
    // Whatever is still open lies on a cycle or behind one; walking up from it must come round.
    let Some(mut job) = (0..open.len()).find(|at| open[*at] > 0) else { return };
    let mut path: Vec<usize> = Vec::new();
    let mut place = BTreeMap::new();
    while !place.contains_key(&job) {
        place.insert(job, path.len());
        path.push(job);
        let Some(&next) = needs[job].iter().find(|needed| open[**needed as usize] > 0) else { return };
        job = next as usize;
    }
    let mut names: Vec<&str> = path[place[&job]..].iter().map(|at| fragment.jobs[*at].name.as_str()).collect();
    // What opens and what closes are one to whoever reads this.
    names.dedup();
    names.push(fragment.jobs[job].name.as_str());
    let message = format!("jobs need each other in a circle: {}", shorten(&names));
    diagnostics.push(Diagnostic::new(message, fragment.jobs[job].spec.name.span.clone()));
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
fn check_saves(
    fragment: &Fragment,
    base: &Path,
    saved: Option<&Mutex<BTreeMap<PathBuf, String>>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut targets = Vec::new();
    // What opens other jobs does not save by itself, and what closes is the same job once more. Where a race has one winner, its
    // candidates may all save to one place.
    let first = |at: usize, job: &Job| at == 0 || !Arc::ptr_eq(&fragment.jobs[at - 1].spec, &job.spec);
    let saves = |(at, job): &(usize, &Job)| match job.role {
        Role::Execute { .. } => true,
        Role::Candidate { .. } => job.spec.race != Some(1) || first(*at, job),
        Role::Judge { .. } | Role::Expand { .. } | Role::Close { .. } => false,
    };
    for (_, job) in fragment.jobs.iter().enumerate().filter(saves) {
        for save in &job.spec.save {
            let Ok(written) = save.to.value.render_host(&job.bindings) else { continue };
            let path = crate::save::lexical(&base.join(&written));
            targets.push((path, job.name.as_str(), &save.to.span));
        }
    }
    targets.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(saved) = saved {
        let mut saved = saved.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, name, span) in &targets {
            let above = path.ancestors().find_map(|above| saved.get(above));
            let below =
                saved.range(path.clone()..).next().filter(|(other, _)| other.starts_with(path)).map(|(_, name)| name);
            if let Some(other) = above.or(below).filter(|_| diagnostics.len() < 100) {
                let message = format!("`{other}` and `{name}` would both save to {}", path.display());
                diagnostics.push(Diagnostic::new(message, (*span).clone()));
            }
        }
        if diagnostics.is_empty() {
            saved.extend(targets.iter().map(|(path, name, _)| (path.clone(), (*name).to_owned())));
        }
    }
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
