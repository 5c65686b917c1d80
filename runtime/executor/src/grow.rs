//! Jobs that come to be during a run: what opens them, and what closes what was opened.
//!
//! Owns: reading items and plans out of outputs, adding jobs to the graph, and the results of nodes that close. Does not know:
//! how jobs of a plan are made and connected (`expand`), or when any of them is executed.
//!
//! A job never waits inside a sandbox for another one: what it yields is a plan whose result stands for its own (the tail calls
//! of Fix, Deng et al., 2024). So its own result stays a function of its action, and is cached as any other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};

use bytes::Bytes;
use wasmill_model::plan::{Bindings, Diagnostic, InputSource, Items, JobSpec, ModuleSource, Outer, parse_yielded};
use wasmill_model::port::Lookup;
use wasmill_model::{Action, ActionResult, BlobRef, Directory, FileNode, JobStatus, Mount, OutputPath};

use crate::error::{GrowError, ResolveError};
use crate::expand::{Fragment, connect_result, expand_entry, expand_specs};
use crate::extent::extent_bytes;
use crate::graph::{Grown, JobId, Origin, Role, Scope};
use crate::import::{Staged, Trust};
use crate::inbox::Outbox;
use crate::items::{self, HostLists, Item, combine, count, values_of};
use crate::modules::LoadedModules;
use crate::progress::{Known, Progress};
use crate::resolve::{Found, Within, find_in_tree};
use crate::shared::Shared;
use crate::worker::{Ended, Failure, Message};

/// How large a list or a plan may be that is read out of an output.
const READ_BYTES_MAX: u64 = 16 << 20;

/// How many errors of a plan are shown that a job yields.
const SHOWN_MAX: usize = 10;

/// Adds the jobs that an entry comes to, now that there is what it iterates over. False: it was omitted.
pub(crate) fn open_entry(
    shared: &Shared,
    opener: JobId,
    closer: JobId,
    outbox: &mut Outbox<'_, Message>,
) -> Result<bool, Failure> {
    match shared.resolver().is_wanted_at_all(opener) {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(error) => return Err(Failure::Resolve(error)),
    }
    let values = match values(shared, opener) {
        Err(Failure::Resolve(ResolveError::Omitted { .. })) => return Ok(false),
        values => values?,
    };
    let spec = shared.graph.spec(opener);
    let _growing = shared.graph.growing.lock().unwrap_or_else(PoisonError::into_inner);
    // Before anything is made that takes memory.
    let room = room(shared, count(&values))?;
    let items = combine(spec, &values, room).map_err(|wrong| GrowError::Plan(vec![said(&wrong)]))?;
    let (fragment, results) = expand_entry(&shared.graph, opener, items)
        .map_err(|wrong| GrowError::Plan(wrong.iter().take(SHOWN_MAX).map(said).collect()))?;
    let scope = shared.graph.job(opener).scope;
    let results = results.map(JobId).collect();
    add(shared, fragment, closer, Grown { results, scope, added: 0..0 }, outbox);
    Ok(true)
}

/// The values of each variable of a job.
fn values(shared: &Shared, opener: JobId) -> Result<Vec<Vec<Item>>, Failure> {
    let resolver = shared.resolver();
    let job = shared.graph.job(opener);
    let within = Within { scope: shared.graph.scope(opener), bindings: &Bindings::new(), trust: Trust::Remembered };
    let mut upstream = job.upstream.iter();
    let at_most = room(shared, 0)?;
    let mut all = Vec::with_capacity(job.spec.for_each.len());
    for (variable, items) in &job.spec.for_each {
        let Some(source) = items.value.from_run() else {
            // They were read when the plan was expanded.
            let values = values_of(items, &within.scope.base, &mut shared.graph.lists.clone());
            all.push(values.map_err(|wrong| GrowError::Plan(vec![said(&wrong)]))?);
            continue;
        };
        let mut staged = Staged::default();
        let found =
            resolver.input(&variable.value, source, within, &mut upstream, &mut staged).map_err(Failure::Resolve)?;
        // Outputs of several jobs are a directory that only the store could read.
        staged.put_all(resolver.blobs).map_err(Failure::Store)?;
        let what = || variable.value.clone();
        all.push(match &items.value {
            Items::Entries(_) => match found {
                Mount::Directory { blob } => {
                    let directory = Directory::decode(&resolver.blobs.get(&blob).map_err(Failure::Store)?);
                    let wrong = |source| ResolveError::Tree { job: job.name.clone(), source };
                    items::entries(&directory.map_err(wrong).map_err(Failure::Resolve)?)
                }
                Mount::File { .. } => return Err(GrowError::NotADirectory { what: what() }.into()),
            },
            Items::Json(_) => {
                let text = text_of(shared, &found, &variable.value)?;
                items::json(&text, at_most).map_err(|wrong| GrowError::Items { what: what(), wrong })?
            }
            Items::List(_) | Items::Glob(_) | Items::Lines(_) => {
                let text = text_of(shared, &found, &variable.value)?;
                items::lines(&text, at_most).map_err(|wrong| GrowError::Items { what: what(), wrong })?
            }
        });
    }
    Ok(all)
}

fn text_of(shared: &Shared, found: &Mount, what: &str) -> Result<String, Failure> {
    let what = || what.to_owned();
    let Mount::File { blob, .. } = found else { return Err(GrowError::NotAFile { what: what() }.into()) };
    if blob.size_bytes > READ_BYTES_MAX {
        return Err(GrowError::TooLarge { what: what(), bytes: blob.size_bytes, max: READ_BYTES_MAX }.into());
    }
    let bytes: Bytes = shared.ports.blobs.get(blob).map_err(Failure::Store)?;
    String::from_utf8(bytes.into()).map_err(|_| GrowError::NotText { what: what() }.into())
}

/// Adds the jobs of the plan that a job has left, if it has.
pub(crate) fn open_plan(
    shared: &Shared,
    job: JobId,
    closer: JobId,
    action: Action,
    result: &ActionResult,
    outbox: &mut Outbox<'_, Message>,
) -> Result<(), Failure> {
    let spec = shared.graph.spec(job);
    let Some(path) = &spec.yields else { return Ok(()) };
    let blobs = shared.ports.blobs.as_ref();
    let name = &shared.graph.job(job).name;
    let find =
        |path: &OutputPath| find_in_tree(blobs, result.output, path).map_err(|error| Failure::Resolve(error.of(name)));
    let text = match find(path)? {
        None => return Ok(()),
        Some(Found::File(FileNode { blob, is_executable, .. })) => {
            text_of(shared, &Mount::File { blob, is_executable }, path.as_str())?
        }
        Some(Found::Directory(_) | Found::Link) => return Err(GrowError::NotAFile { what: path.to_string() }.into()),
    };
    let outer = shared.graph.scope(job);
    let (depth, max) = (outer.depth + 1, shared.graph.growth.depth_max);
    if depth > max {
        return Err(GrowError::TooDeep { depth, max }.into());
    }
    let mut modules: LoadedModules = outer.origin.as_ref().map_or(&shared.modules, |origin| &origin.modules).clone();
    let names: BTreeSet<String> = modules.keys().filter(|name| !is_other_script(shared, spec, name)).cloned().collect();
    let outer = Outer { modules: &names, resources: &shared.graph.resources, by: spec };
    let plan = parse_yielded(&text, outer).map_err(|wrong| {
        GrowError::Plan(wrong.iter().take(SHOWN_MAX).map(|wrong| placed(&text, path.as_str(), wrong)).collect())
    })?;
    for (module, source) in plan.modules {
        let ModuleSource::Output { path } = source.value else { continue };
        let Some(Found::File(file)) = find(&path)? else {
            return Err(GrowError::NoModule { module, path: path.to_string() }.into());
        };
        modules.insert(module, file.blob.digest);
    }
    // Without a result, nothing was read.
    let Some(plan_result) = plan.result else { return Ok(()) };
    let scope = Scope {
        entries: Vec::new(),
        by_name: OnceLock::new(),
        base: shared.graph.scope(job).base.clone(),
        prefix: format!("{name}/"),
        depth,
        awaited: HashMap::new(),
        origin: None,
    };
    let plan_jobs = plan.jobs.len();
    let specs = plan.jobs.into_iter().map(Arc::new).collect();
    let _growing = shared.graph.growing.lock().unwrap_or_else(PoisonError::into_inner);
    let room = room(shared, plan_jobs)?;
    let (fragment, mut scope) =
        expand_specs(&shared.graph, specs, scope, room, &mut HostLists::default()).map_err(|wrong| {
            GrowError::Plan(wrong.iter().take(SHOWN_MAX).map(|wrong| placed(&text, path.as_str(), wrong)).collect())
        })?;
    let mounts: BTreeMap<_, _> = action.mounts;
    let (output, result) = (result.output, plan_result.value);
    scope.origin = Some(Origin { job, mounts, output, modules, result });
    let number = shared.graph.scopes.push(scope);
    let grown = Grown { results: Vec::new(), scope: u32::try_from(number).unwrap_or(u32::MAX), added: 0..0 };
    add(shared, fragment, closer, grown, outbox);
    Ok(())
}

/// Whether a module is a script that a job does not see: it is a host file, and the job sees its own only.
fn is_other_script(shared: &Shared, job: &JobSpec, module: &str) -> bool {
    let source = shared.graph.modules.get(module).map(|source| &source.value);
    matches!(source, Some(ModuleSource::Python { .. })) && module != job.module.value
}

/// How many jobs may still come to be, if `wanted` more are not too many. Whoever calls it has the lock.
fn room(shared: &Shared, wanted: usize) -> Result<usize, GrowError> {
    let (there, max) = (shared.graph.grown.load(Ordering::Relaxed), shared.graph.growth.jobs_max);
    let left = usize::try_from(max.saturating_sub(there)).unwrap_or(usize::MAX);
    if wanted > left {
        return Err(GrowError::TooMany { more: wanted, there, max });
    }
    Ok(left)
}

/// Adds jobs to everything that has one place for each. Whoever calls it has the lock.
fn add(shared: &Shared, fragment: Fragment, closer: JobId, mut grown: Grown, outbox: &mut Outbox<'_, Message>) {
    let Role::Close { opener } = shared.graph.job(closer).role else { return };
    let seen = fragment.jobs.iter().filter(|job| !matches!(job.role, Role::Close { .. })).count();
    shared.graph.grown.fetch_add(u64::try_from(seen).unwrap_or(u64::MAX), Ordering::Relaxed);
    let added = fragment.first..fragment.next();
    grown.added = added.clone();
    for job in fragment.jobs {
        shared.progress.push(Progress::default());
        shared.graph.jobs.push(job);
    }
    let _ = shared.graph.job(closer).grown.set(Box::new(grown));
    // Before anybody can begin with one of them.
    outbox.post(Message::Grown { opener, jobs: seen, added });
    outbox.flush();
    for command in shared.board.grow(&shared.graph, closer) {
        outbox.post(Message::Unstarted(command));
    }
}

/// The result of a node that closes; none if what it closes was omitted.
pub(crate) fn close(shared: &Shared, closer: JobId, opener: JobId) -> Result<Option<ActionResult>, Failure> {
    let resolver = shared.resolver();
    let opened = match resolver.result(opener) {
        Err(ResolveError::Omitted { .. }) => return Ok(None),
        opened => opened.map_err(Failure::Resolve)?,
    };
    let Some(grown) = shared.graph.job(closer).grown.get() else { return Ok(Some(opened.whole())) };
    let scope = &shared.graph.scopes[grown.scope as usize];
    if let Role::Expand { .. } = shared.graph.job(opener).role {
        // Only a job without items, or a race with one winner, has a result of its own.
        let spec = shared.graph.spec(opener);
        let has_one = spec.for_each.is_empty() || spec.race == Some(1);
        let only = grown.results.first().filter(|_| has_one);
        return match only.map(|id| resolver.result(*id)) {
            Some(Err(ResolveError::Omitted { .. })) => Ok(None),
            Some(result) => result.map(|result| Some(result.whole())).map_err(Failure::Resolve),
            None => Ok(Some(opened.whole())),
        };
    }
    let Some(origin) = &scope.origin else { return Ok(Some(opened.whole())) };
    let within = Within { scope, bindings: &Bindings::new(), trust: Trust::Remembered };
    let upstream = connect_result(&shared.graph, scope, opener, &origin.result)
        .map_err(|wrong| GrowError::Plan(vec![said(&wrong)]))?;
    let mut staged = Staged::default();
    let found = resolver.input("result", &origin.result, within, &mut upstream.iter(), &mut staged);
    let output = match found {
        Err(ResolveError::Omitted { .. }) => return Ok(None),
        Err(error) => return Err(Failure::Resolve(error)),
        Ok(Mount::Directory { blob }) => blob,
        Ok(Mount::File { blob, is_executable }) => {
            let name = match &origin.result {
                InputSource::Job { path: Some(path), .. } | InputSource::Output(Some(path)) => {
                    path.render(&Bindings::new())
                }
                _ => String::new(),
            };
            let name = name.rsplit('/').find(|name| !name.is_empty()).unwrap_or("result").to_owned();
            staged
                .add(Directory { files: vec![FileNode { name, blob, is_executable }], ..Directory::default() }.encode())
        }
    };
    staged.put_all(resolver.blobs).map_err(Failure::Store)?;
    // It stands for the job's own output, and whoever wrote the plan may be whom nobody trusts.
    let bytes = extent_bytes(resolver.blobs, output);
    let bytes = bytes.map_err(|error| Failure::Resolve(error.of(&shared.graph.job(opener).name)))?;
    let max = shared.graph.spec(opener).limits.output_bytes;
    if bytes > max {
        return Err(GrowError::Large { bytes, max }.into());
    }
    Ok(Some(ActionResult { output, ..opened.whole() }))
}

/// The candidates of a race that are known to succeed, and have so few before them that they win.
pub(crate) fn known_winners(shared: &Shared, judge: JobId, wanted: usize) -> BTreeSet<JobId> {
    let Role::Judge { first, end } = shared.graph.job(judge).role else { return BTreeSet::new() };
    let resolver = shared.resolver();
    let is_known = |id: &JobId| -> Result<bool, ResolveError> {
        if !resolver.is_wanted(*id)? {
            return Ok(false);
        }
        let (action, _) = resolver.resolve(*id, Trust::Remembered)?;
        match shared.ports.actions.lookup(&action.key())? {
            Lookup::Hit(record) => Ok(shared.accepts(&record) && record.result.outcome.is_success()),
            Lookup::Miss(_) => Ok(false),
        }
    };
    // What cannot be resolved yet, or at all, is found out when it is its turn.
    (first.0..end.0).map(JobId).filter(|id| is_known(id).unwrap_or(false)).take(wanted).collect()
}

/// Finds the winners of a race: of those that succeeded, the first.
pub(crate) fn judge(shared: &Shared, judge: JobId, candidates: Range<JobId>, ended: &mut Ended) -> Result<(), Failure> {
    let wanted = usize::try_from(shared.graph.spec(judge).race.unwrap_or(1)).unwrap_or(usize::MAX);
    let resolver = shared.resolver();
    let succeeded = (candidates.start.0..candidates.end.0).map(JobId).filter(|id| resolver.result(*id).is_ok());
    let winners: Vec<JobId> = succeeded.take(wanted).collect();
    // One that could not be carried out might have won, unless as many as are wanted have before it.
    let last = winners.get(wanted.saturating_sub(1)).copied();
    if let Some((candidate, error)) =
        shared.races.first_error(judge).filter(|(id, _)| last.is_none_or(|last| *id < last))
    {
        ended.status = JobStatus::Error;
        ended.error = vec![format!("candidate `{}` could not be carried out", shared.graph.job(candidate).name)];
        ended.error.extend(error);
        return Ok(());
    }
    if winners.len() < wanted {
        let has_begun = shared.races.has_begun(judge);
        let is_failed = has_begun || candidates.is_empty();
        ended.status = if is_failed { JobStatus::Failed } else { JobStatus::Omitted };
        if is_failed {
            let of = candidates.end.0 - candidates.start.0;
            ended.error = vec![format!("{} of {of} candidates succeeded, and {wanted} are wanted", winners.len())];
        }
        return Ok(());
    }
    let mut result = nothing();
    if let [winner] = winners[..] {
        result = resolver.result(winner).map_err(Failure::Resolve)?.whole();
    } else {
        let mut staged = Staged::default();
        let gathered = resolver.gather(winners.iter().copied(), None, &mut staged).map_err(Failure::Resolve)?;
        if let Mount::Directory { blob } = gathered {
            result.output = blob;
        }
        staged.put_all(resolver.blobs).map_err(Failure::Store)?;
    }
    ended.cached = winners.iter().all(|id| shared.progress[id.index()].cached.load(Ordering::Acquire));
    let scope = shared.graph.job(judge).scope;
    let _ = shared.graph.job(judge).grown.set(Box::new(Grown { results: winners, scope, added: 0..0 }));
    (ended.status, ended.result) = (JobStatus::Succeeded, Some(result));
    Ok(())
}

/// Puts into the store again what the jobs around a plan saw, as something of it is lost.
pub(crate) fn restore(shared: &Shared, job: JobId) -> Result<(), Failure> {
    let mut scope = shared.graph.scope(job);
    while let Some(origin) = &scope.origin {
        let (_, staged) = shared.resolver().resolve(origin.job, Trust::Nothing).map_err(Failure::Resolve)?;
        staged.put_all(shared.ports.blobs.as_ref()).map_err(Failure::Store)?;
        scope = shared.graph.scope(origin.job);
    }
    Ok(())
}

/// What a node leaves that only stands for others.
pub(crate) fn nothing() -> ActionResult {
    Known::Silent(BlobRef::EMPTY).whole()
}

/// A diagnostic as one line, where there is no text to show.
fn said(diagnostic: &Diagnostic) -> String {
    let mut line = diagnostic.message.clone();
    let labels = diagnostic.labels.iter().map(|label| label.text.as_str()).chain(diagnostic.hint.as_deref());
    for text in labels.filter(|text| !text.is_empty()) {
        line = format!("{line}; {text}");
    }
    line
}

/// A diagnostic as one line, with its place.
fn placed(text: &str, path: &str, diagnostic: &Diagnostic) -> String {
    let before = diagnostic.labels.first().and_then(|label| text.get(..label.span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{path}:{line}:{column}: {}", said(diagnostic))
}
