//! Items that one instance does one after the other.
//!
//! Owns: what an item is to a program that does several, which jobs are executed together, and what of that counts. Does not know: which
//! jobs are ready, or how an action is executed.
//!
//! Each item has an action of its own, in which it is the only one of its batch; that is what is looked up and recorded. Several of
//! them are executed as one action that has all their inputs, and what that leaves is taken apart. So nothing that is
//! recorded says who was in a batch with whom. It is right only if an item's result does not depend on those before it, which the
//! plan's author says by asking for batches; the last item of each batch is executed alone as well, to see whether that is so.

use std::collections::{BTreeSet, HashSet};
use std::iter::once;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use wasmill_model::plan::Spanned;
use wasmill_model::port::{Lookup, Miss};
use wasmill_model::{Action, ActionKey, ActionResult, BlobRef, Directory, DirectoryNode, GuestPath, OutputPath, Usage};

use crate::error::ResolveError;
use crate::graph::{JobId, Role};
use crate::import::Trust;
use crate::inbox::Outbox;
use crate::resolve::{Found, find_in_tree};
use crate::shared::Shared;
use crate::worker::{Ended, Failure, Message, await_durable, begin, conclude, record, run, use_cached};
use crate::workers::Desk;

/// Where a program finds its items.
const ITEMS: &str = "/items";

/// Fewer are executed alone: one of them would be executed twice.
const TOGETHER_MIN: usize = 4;

/// What the items of one batch may have together: bytes that a plan gives them, and inputs.
const GIVEN_BYTES_MAX: usize = 16 << 20;
const MOUNTS_MAX: usize = 4_096;

/// Which entries of plans are not executed in batches, as their items depend on each other.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    off: Mutex<HashSet<(u32, String)>>,
}

impl Batches {
    fn is_off(&self, entry: &(u32, String)) -> bool {
        self.off.lock().unwrap_or_else(PoisonError::into_inner).contains(entry)
    }

    /// Whether that is new.
    fn turn_off(&self, entry: (u32, String)) -> bool {
        self.off.lock().unwrap_or_else(PoisonError::into_inner).insert(entry)
    }
}

/// The line of standard input that says what an item is.
pub(crate) fn line(item: &str, args: &[String], input: &serde_json::Value) -> Vec<u8> {
    format!("{}\n", serde_json::json!({ "item": item, "args": args, "input": input })).into_bytes()
}

/// Where a program sees what an item of a batch would see at a path.
pub(crate) fn seen(item: &str, at: &GuestPath) -> Result<GuestPath, ResolveError> {
    // Whether it is written as absolute or as relative.
    let path = at.names().fold(format!("{ITEMS}/{item}"), |path, name| format!("{path}/{name}"));
    GuestPath::new(&path).map_err(|source| ResolveError::Path { path, source })
}

/// What a program is to leave of an item: everything in its directory, or some of it.
pub(crate) fn left(item: &str, outputs: &[Spanned<OutputPath>]) -> Result<BTreeSet<OutputPath>, ResolveError> {
    let path = |path: String| OutputPath::new(&path).map_err(|source| ResolveError::Path { path, source });
    if outputs.is_empty() {
        return Ok(once(path(item.to_owned())?).collect());
    }
    outputs.iter().map(|output| path(format!("{item}/{}", output.value))).collect()
}

/// Takes jobs that can be executed together with one that a thread has in hand.
pub(crate) fn take_also(shared: &Shared, job: JobId, desk: &Desk) -> Vec<JobId> {
    let (graph, first) = (&shared.graph, shared.graph.job(job));
    let (Some(batch), Role::Execute { .. }) = (first.spec.batch, first.role) else { return Vec::new() };
    let is_alone = |job: JobId| shared.progress[job.index()].is_alone.load(Ordering::Relaxed);
    if is_alone(job) || shared.batches.is_off(&entry(shared, job)) {
        return Vec::new();
    }
    let fits = |id: JobId| {
        let other = graph.job(id);
        !is_alone(id)
            && Arc::ptr_eq(&other.spec, &first.spec)
            && other.scope == first.scope
            && matches!(other.role, Role::Execute { .. })
    };
    let at_most = usize::try_from(batch).unwrap_or(usize::MAX).saturating_sub(1);
    shared.board.take_also(job, at_most, fits, desk)
}

fn entry(shared: &Shared, job: JobId) -> (u32, String) {
    (shared.graph.job(job).scope, shared.graph.family(job).to_owned())
}

/// Brings several items to their end together, if that can be. Those that are left are to be executed alone, from now on.
pub(crate) fn execute(shared: &Shared, jobs: &[JobId], outbox: &mut Outbox<'_, Message>) -> Vec<Option<Ended>> {
    let mut done: Vec<Option<Ended>> = jobs.iter().map(|_| None).collect();
    if !shared.board.is_stopping() {
        // What goes wrong here goes wrong alone as well, and is told then.
        let together = catch_unwind(AssertUnwindSafe(|| together(shared, jobs, &mut done, outbox)));
        if !matches!(together, Ok(Ok(()))) {
            tracing::debug!("a batch is executed item by item");
        }
    }
    for (job, _) in jobs.iter().zip(&done).filter(|(_, done)| done.is_none()) {
        shared.progress[job.index()].is_alone.store(true, Ordering::Relaxed);
    }
    done
}

/// An item whose result is not known.
struct Item<'a> {
    at: usize,
    job: JobId,
    action: Action,
    key: ActionKey,
    miss: Miss<'a>,
}

fn together(
    shared: &Shared,
    jobs: &[JobId],
    done: &mut [Option<Ended>],
    outbox: &mut Outbox<'_, Message>,
) -> Result<(), Failure> {
    let mut items = Vec::new();
    let (mut given, mut mounts) = (0_usize, 0_usize);
    for (at, job) in jobs.iter().copied().enumerate() {
        let resolver = shared.resolver();
        if !matches!(resolver.is_wanted(job), Ok(true)) {
            continue;
        }
        let Ok((action, staged)) = resolver.resolve(job, Trust::Remembered) else { continue };
        let key = action.key();
        let miss = match shared.ports.actions.lookup(&key).map_err(Failure::Store)? {
            Lookup::Hit(record) if shared.accepts(&record) => {
                let mut ended = begin(shared, job);
                ended.key = Some(key);
                use_cached(record, &mut ended);
                if shared.flights.has_landed(&key) {
                    // Another job of this run recorded the result just now, so it may not be on disk yet.
                    await_durable(shared, job, &mut ended)?;
                }
                take_out(shared, job, &mut ended)?;
                if let Some(done) = done.get_mut(at) {
                    *done = Some(ended);
                }
                continue;
            }
            Lookup::Hit(_) => shared.ports.actions.again(&key),
            Lookup::Miss(miss) => miss,
        };
        given = given.saturating_add(staged.bytes());
        mounts = mounts.saturating_add(action.mounts.len());
        if given > GIVEN_BYTES_MAX || mounts > MOUNTS_MAX {
            break;
        }
        staged.put_all(shared.ports.blobs.as_ref()).map_err(Failure::Store)?;
        items.push(Item { at, job, action, key, miss });
    }
    if items.len() < TOGETHER_MIN {
        return Ok(());
    }
    let begun: Vec<Ended> = items.iter().map(|item| begin(shared, item.job)).collect();
    for item in &items {
        outbox.post(Message::Started(item.job));
    }
    outbox.flush();
    let Some(results) = results(shared, &items, outbox)? else { return Ok(()) };
    for ((item, mut ended), (result, usage)) in items.into_iter().zip(begun).zip(results) {
        ended.key = Some(item.key);
        ended.awaits_durable = record(shared, item.job, item.miss, &item.action, &result, usage)?;
        shared.flights.land(item.key);
        conclude(result, usage, &mut ended);
        ended.seen.attempts = 1;
        take_out(shared, item.job, &mut ended)?;
        ended.ended_ns = shared.elapsed_ns();
        // Nobody knows when it was its turn; it took its share.
        ended.started_ns = ended.started_ns.max(ended.ended_ns.saturating_sub(usage.wall_ns));
        if let Some(done) = done.get_mut(item.at) {
            *done = Some(ended);
        }
    }
    Ok(())
}

/// Executes items together: what each of them came to, and its share of what all of them used. None: they have to be executed
/// alone.
fn results(
    shared: &Shared,
    items: &[Item<'_>],
    outbox: &mut Outbox<'_, Message>,
) -> Result<Option<Vec<(ActionResult, Usage)>>, Failure> {
    let (Some(first), Some(last)) = (items.first(), items.last()) else { return Ok(None) };
    let blobs = shared.ports.blobs.as_ref();
    let mut action = first.action.clone();
    let mounts: usize = items.iter().map(|item| item.action.mounts.len()).sum();
    let mut stdin = Vec::new();
    for item in items {
        stdin.extend_from_slice(&blobs.get(&item.action.stdin).map_err(Failure::Store)?);
        action.mounts.extend(item.action.mounts.clone());
        action.outputs.extend(item.action.outputs.clone());
    }
    if action.mounts.len() != mounts {
        return Ok(None);
    }
    action.stdin = blobs.put(stdin.into()).map_err(Failure::Store)?;
    let all = run(shared, first.job, &action, action.key(), &shared.cancel).map_err(Failure::Runner)?;
    if !all.result.outcome.is_success() {
        return Ok(None);
    }
    let share = |all: u64| all / u64::try_from(items.len()).unwrap_or(u64::MAX).max(1);
    let Usage { wall_ns, cpu_ns, memory_peak_bytes, .. } = all.usage;
    // Fuel is the same on every machine, so it is said only of what was executed alone.
    let usage = Usage { wall_ns: share(wall_ns), cpu_ns: share(cpu_ns), fuel: None, memory_peak_bytes };
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        let label = shared.graph.job(item.job).label();
        let Some(directory) = find(shared, item.job, all.result.output)? else { return Ok(None) };
        let mut output = Directory {
            directories: vec![DirectoryNode { name: label.to_owned(), blob: directory }],
            ..Directory::default()
        };
        let output = blobs.put(output.encode().into()).map_err(Failure::Store)?;
        // What it writes to these says nothing of which item it is about.
        let (stdout, stderr) = (BlobRef::EMPTY, BlobRef::EMPTY);
        results.push((ActionResult { outcome: all.result.outcome.clone(), output, stdout, stderr }, usage));
    }
    let tried = run(shared, last.job, &last.action, last.key, &shared.cancel).map_err(Failure::Runner)?;
    let is_silent = [all.result.stdout, all.result.stderr] == [BlobRef::EMPTY; 2];
    if !is_silent || results.pop().map(|(result, _)| result).as_ref() != Some(&tried.result) {
        if tried.result.outcome.is_deterministic() && shared.batches.turn_off(entry(shared, last.job)) {
            let name = &shared.graph.job(last.job).name;
            outbox.post(Message::Warned(format!(
                "`{name}` comes to something else alone than in a batch, or writes to standard output or standard error: the \
                 items of `{}` are executed one by one",
                shared.graph.family(last.job)
            )));
        }
        return Ok(None);
    }
    results.push((tried.result, tried.usage));
    Ok(Some(results))
}

/// What an item left, in the output of its batch.
fn find(shared: &Shared, job: JobId, output: BlobRef) -> Result<Option<BlobRef>, Failure> {
    let job = shared.graph.job(job);
    let path = OutputPath::new(job.label())
        .map_err(|source| Failure::Resolve(ResolveError::Path { path: job.label().to_owned(), source }))?;
    let found = find_in_tree(shared.ports.blobs.as_ref(), output, &path)
        .map_err(|error| Failure::Resolve(error.of(&job.name)))?;
    Ok(match found {
        Some(Found::Directory(directory)) => Some(directory),
        Some(Found::File(_) | Found::Link) | None => None,
    })
}

/// Has an item's result be what it left, without the directory that tells it from others.
pub(crate) fn take_out(shared: &Shared, job: JobId, ended: &mut Ended) -> Result<(), Failure> {
    let Some(result) = ended.result.as_mut().filter(|result| result.outcome.is_success()) else { return Ok(()) };
    let found = find(shared, job, result.output)?;
    let path = || format!("{} (a directory)", shared.graph.job(job).label());
    let missing = || ResolveError::NoSuchOutput { job: shared.graph.job(job).name.clone(), path: path() };
    result.output = found.ok_or_else(|| Failure::Resolve(missing()))?;
    Ok(())
}
