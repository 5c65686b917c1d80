//! What a worker thread does with a job: resolve it, look its action up, execute it if need be, record the result.
//!
//! Owns: the way of one job from its inputs to its recorded result, and that equal actions of one run are
//! executed once. Does not know: which job is next, or who is told about it (`dispatcher`).

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wasmill_model::plan::Retries;
use wasmill_model::port::{
    Cancel, Execution, Listener, Lookup, Miss, ModuleError, Remark, Request, RunnerError, StoreError,
};
use wasmill_model::{Action, ActionKey, ActionRecord, ActionResult, JobStatus, Outcome, Phases, Traffic, Usage};

use crate::batches;
use crate::board::Told;
use crate::error::{GrowError, ResolveError, SaveError, chain, hint_at_store};
use crate::flight::Boarding;
use crate::graph::{JobId, Role};
use crate::grow;
use crate::import::{Staged, Trust, now_ns};
use crate::inbox::{Inbox, Outbox};
use crate::races;
use crate::save::{Saved, export_and_note};
use crate::scheduler::{Command, Ending};
use crate::shared::Shared;
use crate::workers::Desk;

/// The stack of a thread that runs guests: they get 1 MiB of it (the sandbox's limit); the host calls beneath them need
/// theirs.
pub(crate) const STACK_BYTES: usize = 4 << 20;

/// How many messages may wait for the dispatcher before the threads do.
const UNHEARD_MAX: usize = 50_000;

/// Work for a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Bring a job to its end.
    Execute(JobId),
    /// Copy a job's outputs to where its plan entry says.
    Save(JobId),
}

/// What the dispatcher is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// An attempt begins: the result was not known.
    Started(JobId),
    /// A job has come to its end.
    Ended(JobId, Box<Ended>),
    /// What becomes of a job that will never start.
    Unstarted(Command),
    /// A job said something.
    Remarked(JobId, Remark),
    /// Something that people should know.
    Warned(String),
    /// Nothing runs and nothing can, and there are jobs that have not ended.
    Stuck,
    /// So many jobs have come to be, by what `opener` left or by what it iterates over, among these nodes.
    Grown { opener: JobId, jobs: usize, added: Range<u32> },
    /// An attempt came to no result: which one it was, when there is to be another, and why.
    Retried { job: JobId, attempt: u32, due: Instant, wait: Duration, error: Vec<String> },
    /// What a job recorded is on disk, or cannot get there.
    Durable(JobId, Result<(), Arc<StoreError>>),
    /// A job's outputs are on the host.
    Saved(JobId, Vec<String>, Option<SaveError>),
    /// The run's own record is on disk, or cannot get there.
    RunDurable(Result<(), Arc<StoreError>>),
}

/// How a job came to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: JobStatus,
    pub(crate) key: Option<ActionKey>,
    pub(crate) cached: bool,
    pub(crate) result: Option<ActionResult>,
    pub(crate) usage: Usage,
    pub(crate) ready_ns: u64,
    pub(crate) started_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) error: Vec<String>,
    pub(crate) hint: Option<String>,
    /// Whether a [`Message::Durable`] follows, which is to be waited for before anything is reported.
    pub(crate) awaits_durable: bool,
    /// Another attempt may come to a result, which this one did not.
    is_in_vain: bool,
    /// What was observed.
    pub(crate) seen: Seen,
}

/// What a thread observed while it brought a job to its end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) worker: Option<u32>,
    pub(crate) attempts: u32,
    pub(crate) phases: Phases,
    pub(crate) traffic: Traffic,
}

impl Ended {
    /// A job that has not begun, or of which nothing more is known.
    pub(crate) fn new(status: JobStatus, now_ns: u64) -> Self {
        Self {
            status,
            key: None,
            cached: false,
            result: None,
            usage: Usage::default(),
            ready_ns: now_ns,
            started_ns: now_ns,
            ended_ns: now_ns,
            error: Vec::new(),
            hint: None,
            awaits_durable: false,
            is_in_vain: false,
            seen: Seen::default(),
        }
    }

    /// Why there is no success, from the outside in.
    fn reasons(&self) -> Vec<String> {
        match &self.result {
            Some(result) => vec![result.outcome.to_string()],
            None => self.error.clone(),
        }
    }

    /// What that means for the jobs behind it.
    fn ending(&self) -> Ending {
        match self.status {
            JobStatus::Succeeded | JobStatus::Omitted => Ending::Succeeded,
            JobStatus::Cancelled => Ending::Cancelled,
            JobStatus::Failed | JobStatus::Error | JobStatus::Skipped => Ending::Failed,
        }
    }
}

/// Works until there are no more tasks, or until nobody expects anything of this thread any more.
pub(crate) fn work(shared: &Shared, desk: &Desk) {
    let mut outbox = Outbox::new(&shared.inbox);
    let mut ended = Vec::new();
    while let Some(task) = shared.board.next(&mut ended, desk, &mut outbox) {
        // Whoever listens may be slow, or wait for somebody who reads.
        while shared.inbox.len() > UNHEARD_MAX && !shared.board.is_stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
        match task {
            Task::Execute(job) => {
                let also = batches::take_also(shared, job, desk);
                if also.is_empty() {
                    let how = execute(shared, job, &mut outbox);
                    ended.push(settle(shared, job, how, desk));
                } else {
                    let all: Vec<JobId> = std::iter::once(job).chain(also).collect();
                    let how = batches::execute(shared, &all, &mut outbox);
                    // What could not be done together is given back.
                    let back = |job| Told { job, ending: Ending::Again, message: None };
                    let told = |(job, how): (JobId, Option<Ended>)| {
                        how.map_or(back(job), |how| settle(shared, job, how, desk))
                    };
                    ended.extend(all.into_iter().zip(how).map(told));
                }
            }
            Task::Save(job) => {
                outbox.flush();
                let (paths, error) = catch_unwind(AssertUnwindSafe(|| save(shared, job))).unwrap_or_else(|_| {
                    let path = shared.graph.scope(job).base.clone();
                    (Vec::new(), Some(SaveError::Write { path, source: panicked() }))
                });
                outbox.post(Message::Saved(job, paths, error));
                outbox.flush_and_wake();
            }
        }
    }
}

/// Notes how an attempt ended for the jobs behind it, and what everybody else is told of it.
fn settle(shared: &Shared, job: JobId, mut ended: Ended, desk: &Desk) -> Told {
    ended.seen.worker = Some(desk.number);
    if let Some(wait) = wait_for_next(shared, job, &ended) {
        let attempt = shared.progress[job.index()].tried.fetch_add(1, Ordering::Relaxed) + 1;
        let due = Instant::now() + wait;
        let message = Message::Retried { job, attempt, due, wait, error: ended.reasons() };
        return Told { job, ending: Ending::Again, message: Some(message) };
    }
    let ending = ended.ending();
    let progress = &shared.progress[job.index()];
    if ending == Ending::Succeeded {
        progress.has(ended.result.as_ref().filter(|_| ended.status == JobStatus::Succeeded), ended.cached);
    }
    progress.ended_ns.store(ended.ended_ns, Ordering::Release);
    Told { job, ending, message: Some(Message::Ended(job, Box::new(ended))) }
}

/// Why outputs are not saved that a thread was saving.
pub(crate) fn panicked() -> io::Error {
    io::Error::other("a worker thread panicked; this is a bug in wasmill")
}

/// Whether there is to be another attempt.
fn is_tried_again(shared: &Shared, job: JobId, ended: &Ended) -> bool {
    let tried = shared.progress[job.index()].tried.load(Ordering::Relaxed);
    ended.is_in_vain && tried < shared.graph.spec(job).retries.count && !shared.board.is_stopping()
}

/// How long to wait before another attempt, if there is to be one.
fn wait_for_next(shared: &Shared, job: JobId, ended: &Ended) -> Option<Duration> {
    if !is_tried_again(shared, job, ended) {
        return None;
    }
    let tried = shared.progress[job.index()].tried.load(Ordering::Relaxed);
    let backoff_ms = shared.graph.spec(job).retries.backoff_ms;
    // Twice as long each time, and up to a quarter more: what failed together is not to come back together.
    let wait_ms = backoff_ms.saturating_mul(1 << tried.min(16)).min(Retries::BACKOFF_MS_MAX);
    let jitter = RandomState::new().hash_one((job, tried)) % (wait_ms / 4 + 1);
    Some(Duration::from_millis(wait_ms + jitter))
}

/// A job that begins now.
pub(crate) fn begin(shared: &Shared, job: JobId) -> Ended {
    let needed = shared.graph.job(job).needs.iter();
    let ready_ns = needed
        .map(|id| shared.progress[id.index()].ended_ns.load(Ordering::Acquire))
        .max()
        .unwrap_or(shared.started_ns);
    Ended { ready_ns, ..Ended::new(JobStatus::Cancelled, shared.elapsed_ns()) }
}

pub(crate) fn execute(shared: &Shared, job: JobId, outbox: &mut Outbox<'_, Message>) -> Ended {
    let mut ended = begin(shared, job);
    if shared.board.is_stopping() || shared.cancel.is_cancelled() {
        return ended;
    }
    let _span =
        tracing::info_span!(parent: &shared.span, "job", number = job.0, job = shared.graph.job(job).name).entered();
    // A bug in one job's handling must not hang the run: whatever was locked is consistent or recovered.
    match catch_unwind(AssertUnwindSafe(|| play(shared, job, &mut ended, outbox))) {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => {
            ended.status = JobStatus::Error;
            ended.is_in_vain = failure.is_of_the_host();
            ended.hint = failure.hint();
            ended.error = failure.lines();
        }
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(ToString::to_string);
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            ended.status = JobStatus::Error;
            ended.error = vec!["a worker thread panicked; this is a bug in wasmill".to_owned(), said];
        }
    }
    ended.ended_ns = shared.elapsed_ns();
    tracing::debug!(status = ?ended.status, cached = ended.cached, key = ended.key.map(tracing::field::display), "ended");
    ended
}

/// Does what is to be done for a node.
fn play(shared: &Shared, job: JobId, ended: &mut Ended, outbox: &mut Outbox<'_, Message>) -> Result<(), Failure> {
    match shared.graph.job(job).role {
        Role::Execute { closer } => {
            let tried = shared.resolver().is_wanted(job).map_err(Failure::Resolve).and_then(|is_wanted| {
                if is_wanted { attempt(shared, job, &shared.cancel, ended, outbox).map(Some) } else { Ok(None) }
            });
            if shared.graph.spec(job).batch.is_some() && tried.is_ok() {
                batches::take_out(shared, job, ended)?;
            }
            match (tried, closer, &ended.result) {
                (Ok(None), ..) | (Err(Failure::Resolve(ResolveError::Omitted { .. })), ..) => {
                    ended.status = JobStatus::Omitted;
                }
                (Ok(Some((action, staged))), Some(closer), Some(result)) if ended.status == JobStatus::Succeeded => {
                    // What it saw may be seen by its plan, and where its result was known it has not been stored.
                    staged.put_all(shared.ports.blobs.as_ref()).map_err(Failure::Store)?;
                    grow::open_plan(shared, job, closer, action, result, outbox)?;
                }
                (tried, ..) => drop(tried?),
            }
        }
        Role::Candidate { judge } => compete(shared, job, judge, ended, outbox)?,
        Role::Judge { first, end } => grow::judge(shared, job, first..end, ended)?,
        Role::Expand { closer } => {
            let is_open = grow::open_entry(shared, job, closer, outbox)?;
            ended.status = if is_open { JobStatus::Succeeded } else { JobStatus::Omitted };
            ended.result = is_open.then(grow::nothing);
        }
        Role::Close { opener } => {
            ended.result = grow::close(shared, job, opener)?;
            ended.status = if ended.result.is_some() { JobStatus::Succeeded } else { JobStatus::Omitted };
        }
    }
    if let (Role::Close { .. } | Role::Judge { .. }, JobStatus::Succeeded) = (shared.graph.job(job).role, ended.status)
    {
        // What it has put together may not be on disk yet.
        await_durable(shared, job, ended)?;
    }
    Ok(())
}

/// Does what is to be done for a candidate of a race. That one does not succeed, or is beaten, is no failure: nobody wants it then.
fn compete(
    shared: &Shared,
    job: JobId,
    judge: JobId,
    ended: &mut Ended,
    outbox: &mut Outbox<'_, Message>,
) -> Result<(), Failure> {
    let is_wanted = match shared.resolver().is_wanted(job) {
        Err(ResolveError::Omitted { .. }) => false,
        is_wanted => is_wanted.map_err(Failure::Resolve)?,
    };
    let beaten = || vec!["candidates before it have won the race".to_owned()];
    let wanted = usize::try_from(shared.graph.spec(job).race.unwrap_or(1)).unwrap_or(usize::MAX);
    let known = || grow::known_winners(shared, judge, wanted);
    let begun = is_wanted.then(|| shared.races.begin(judge, job, wanted, &shared.cancel, known));
    let Some(Some(cancel)) = begun else {
        ended.status = JobStatus::Omitted;
        ended.error = if is_wanted { beaten() } else { Vec::new() };
        return Ok(());
    };
    let tried = attempt(shared, job, &cancel, ended, outbox);
    let is_success = tried.is_ok() && ended.status == JobStatus::Succeeded;
    if let Err(failure) = &tried {
        ended.is_in_vain = failure.is_of_the_host();
    }
    if is_tried_again(shared, job, ended) && shared.races.wait(judge, job) {
        return tried.map(drop);
    }
    ended.is_in_vain = false;
    let is_omitted = matches!(tried, Err(Failure::Resolve(ResolveError::Omitted { .. })));
    if !is_omitted && (tried.is_err() || races::is_by_chance(ended.result.as_ref())) {
        shared.importer.sights().spoil();
    }
    let is_beaten = shared.races.end(judge, job, is_success, !is_omitted);
    for beaten in shared.races.beaten_waiting(judge) {
        shared.board.due(beaten);
    }
    match tried {
        // Whether it counts shows when it is known who has won.
        Err(failure) if !is_beaten && !is_omitted => {
            ended.status = JobStatus::Omitted;
            (ended.error, ended.hint) = (failure.lines(), failure.hint());
            shared.races.fail(judge, job, failure.lines());
        }
        Ok(_) if is_success || shared.cancel.is_cancelled() => {}
        _ => {
            ended.status = JobStatus::Omitted;
            ended.error = match &ended.result {
                Some(result) if !is_beaten => vec![format!("it did not win the race: {}", result.outcome)],
                None if !is_beaten => Vec::new(),
                _ => beaten(),
            };
        }
    }
    Ok(())
}

/// Why a job has no outcome.
pub(crate) enum Failure {
    Resolve(ResolveError),
    Grow(GrowError),
    /// With the module's name in the plan.
    Module(String, ModuleError),
    Runner(RunnerError),
    Store(StoreError),
}

impl Failure {
    fn lines(&self) -> Vec<String> {
        match self {
            Failure::Resolve(error) => chain(error),
            Failure::Grow(GrowError::Plan(lines)) => {
                let mut all = vec!["the jobs that come of it cannot be executed".to_owned()];
                all.extend(lines.iter().cloned());
                all
            }
            Failure::Grow(error) => chain(error),
            Failure::Module(name, error) => {
                let mut lines = vec![format!("module `{name}` cannot be used")];
                lines.append(&mut chain(error));
                lines
            }
            Failure::Runner(error) => chain(error),
            Failure::Store(error) => chain(error),
        }
    }

    /// Whether another attempt may come to a result. A store that has stopped does not go on, and what is lost stays so.
    fn is_of_the_host(&self) -> bool {
        let store = match self {
            Failure::Runner(RunnerError::Host { .. }) => return true,
            Failure::Runner(RunnerError::Store(store)) | Failure::Store(store) => store,
            Failure::Resolve(ResolveError::Store(store)) => store,
            Failure::Resolve(_) | Failure::Grow(_) | Failure::Module(..) | Failure::Runner(_) => return false,
        };
        matches!(store, StoreError::Backend { .. })
    }

    fn hint(&self) -> Option<String> {
        match self {
            Failure::Resolve(error) => error.hint(),
            Failure::Grow(error) => error.hint(),
            Failure::Module(_, ModuleError::CompileMemory(_)) => {
                Some("if the module is to be trusted, allow more with `--compile-memory SIZE`".to_owned())
            }
            Failure::Module(_, ModuleError::CompileTime(_)) => {
                Some("if the module is to be trusted, allow more with `--compile-time TIME`".to_owned())
            }
            Failure::Store(error) | Failure::Runner(RunnerError::Store(error)) => hint_at_store(error),
            Failure::Module(..) | Failure::Runner(_) => None,
        }
    }
}

impl From<GrowError> for Failure {
    fn from(error: GrowError) -> Self {
        Self::Grow(error)
    }
}

/// Comes to the result of a job's action. Returns the action, and what of it is not in the store yet.
fn attempt(
    shared: &Shared,
    job: JobId,
    cancel: &Cancel,
    ended: &mut Ended,
    outbox: &mut Outbox<'_, Message>,
) -> Result<(Action, Staged), Failure> {
    let (mut action, mut staged) = shared.resolver().resolve(job, Trust::Remembered).map_err(Failure::Resolve)?;
    let mut key = action.key();
    ended.key = Some(key);
    let ticket = match shared.flights.board(key, job, || outbox.flush()) {
        Boarding::Landed => {
            // Another job of this run recorded the result just now, so it may not be on disk yet.
            if let Lookup::Hit(record) = shared.ports.actions.lookup(&key).map_err(Failure::Store)? {
                await_durable(shared, job, ended)?;
                use_cached(record, ended);
                return Ok((action, staged));
            }
            None
        }
        Boarding::First(ticket) => Some(ticket),
    };
    let mut miss = match shared.ports.actions.lookup(&key).map_err(Failure::Store)? {
        Lookup::Hit(record) if shared.accepts(&record) => {
            use_cached(record, ended);
            return Ok((action, staged));
        }
        Lookup::Hit(_) => shared.ports.actions.again(&key),
        Lookup::Miss(miss) => miss,
    };
    std::mem::take(&mut staged).put_all(shared.ports.blobs.as_ref()).map_err(Failure::Store)?;
    let executed_ns = shared.elapsed_ns();
    ended.seen.phases.resolve_ns = executed_ns.saturating_sub(ended.started_ns);
    ended.seen.attempts = shared.progress[job.index()].tried.load(Ordering::Relaxed) + 1;
    outbox.post(Message::Started(job));
    outbox.flush();
    let mut execution = run(shared, job, &action, key, cancel);
    if let Err(RunnerError::Store(StoreError::Missing(_))) = execution {
        // The store has lost an input that the stat cache still knows: read everything again, once.
        grow::restore(shared, job)?;
        (action, staged) = shared.resolver().resolve(job, Trust::Nothing).map_err(Failure::Resolve)?;
        key = action.key();
        ended.key = Some(key);
        miss = shared.ports.actions.again(&key);
        std::mem::take(&mut staged).put_all(shared.ports.blobs.as_ref()).map_err(Failure::Store)?;
        execution = run(shared, job, &action, key, cancel);
    }
    let Execution { result, usage, traffic } = execution.map_err(|error| match error {
        RunnerError::Module { source, .. } => Failure::Module(shared.graph.spec(job).module.value.clone(), source),
        other => Failure::Runner(other),
    })?;
    ended.seen.traffic = traffic;
    let stored_ns = shared.elapsed_ns();
    ended.seen.phases.prepare_ns = stored_ns.saturating_sub(executed_ns).saturating_sub(usage.wall_ns);
    if record(shared, job, miss, &action, &result, usage)? {
        ended.awaits_durable = true;
        if let Some(ticket) = ticket {
            ticket.landed();
        }
    }
    ended.seen.phases.store_ns = shared.elapsed_ns().saturating_sub(stored_ns);
    conclude(result, usage, ended);
    Ok((action, staged))
}

/// Has a job wait until what was recorded before is on disk.
pub(crate) fn await_durable(shared: &Shared, job: JobId, ended: &mut Ended) -> Result<(), Failure> {
    let inbox = Arc::clone(&shared.inbox);
    let on_durable = Box::new(move |durable| inbox.push(Message::Durable(job, durable)));
    shared.ports.actions.barrier(on_durable).map_err(Failure::Store)?;
    ended.awaits_durable = true;
    Ok(())
}

/// Records a result if every machine would come to it, and says whether it did. Of what is not recorded, what was asked for is
/// kept, so that it can be looked at: the key is the digest of its encoding.
pub(crate) fn record(
    shared: &Shared,
    job: JobId,
    miss: Miss<'_>,
    action: &Action,
    result: &ActionResult,
    usage: Usage,
) -> Result<bool, Failure> {
    let is_recorded = result.outcome.is_deterministic();
    if is_recorded {
        let inbox = Arc::clone(&shared.inbox);
        let on_durable = Box::new(move |durable| inbox.push(Message::Durable(job, durable)));
        let record = ActionRecord { result: result.clone(), usage };
        miss.record(action, &record, on_durable).map_err(Failure::Store)?;
    } else {
        shared.ports.blobs.put(action.encode().into()).map_err(Failure::Store)?;
    }
    Ok(is_recorded)
}

pub(crate) fn run(
    shared: &Shared,
    job: JobId,
    action: &Action,
    key: ActionKey,
    cancel: &Cancel,
) -> Result<Execution, RunnerError> {
    let timeout = shared.graph.spec(job).timeout;
    // Where it is cancelled meanwhile, that is what the runner finds.
    let _turn = shared.machine.as_ref().and_then(|machine| machine.enter(action.limits.memory_bytes, cancel));
    let since_ns = &shared.progress[job.index()].runs_since_ns;
    since_ns.store(shared.elapsed_ns().max(1), Ordering::Release);
    let listener: Arc<dyn Listener> = Arc::new(Heard { job, inbox: Arc::clone(&shared.inbox) });
    let execution = shared.ports.runner.run(Request { action, key, timeout, listener: Some(&listener) }, cancel);
    since_ns.store(0, Ordering::Release);
    execution
}

/// Hears what a job says while it works.
#[derive(Debug)]
struct Heard {
    job: JobId,
    inbox: Arc<Inbox<Message>>,
}

impl Listener for Heard {
    fn hear(&self, remark: Remark) {
        self.inbox.push(Message::Remarked(self.job, remark));
    }
}

pub(crate) fn use_cached(record: ActionRecord, ended: &mut Ended) {
    ended.cached = true;
    conclude(record.result, record.usage, ended);
}

pub(crate) fn conclude(result: ActionResult, usage: Usage, ended: &mut Ended) {
    ended.is_in_vain = matches!(result.outcome, Outcome::TimedOut { .. });
    ended.status = match &result.outcome {
        outcome if outcome.is_success() => JobStatus::Succeeded,
        Outcome::Cancelled => JobStatus::Cancelled,
        _ => JobStatus::Failed,
    };
    ended.result = Some(result);
    ended.usage = usage;
}

fn save(shared: &Shared, job: JobId) -> (Vec<String>, Option<SaveError>) {
    let mut paths = Vec::new();
    // What a job yields stands for its output, and winners for their judge.
    let winners = shared.graph.job(job).grown.get().map(|grown| grown.results.iter().map(|id| (*id, *id)).collect());
    let savers = winners.unwrap_or_else(|| vec![(job, shared.graph.closer(job).unwrap_or(job))]);
    let saves = savers.iter().flat_map(|saver| shared.graph.spec(job).save.iter().map(move |save| (saver, save)));
    for ((saver, node), save) in saves {
        let Some(Some(result)) = shared.progress[node.index()].result.get() else { continue };
        let written = match save.to.value.render_host(&shared.graph.job(*saver).bindings) {
            Ok(written) => written,
            Err(error) => return (paths, Some(error.into())),
        };
        let target = shared.graph.scope(job).base.join(&written);
        let blobs = shared.ports.blobs.as_ref();
        let asked_ns = now_ns();
        let mut note = |path: &Path, saved: Saved<'_>| match saved {
            Saved::File(file, there) => shared.importer.sights().saved_file(path, there, file, asked_ns),
            Saved::Folder => shared.importer.sights().saved_folder(path),
            Saved::Link => shared.importer.sights().spoil(),
        };
        match export_and_note(blobs, result.output(), save.from.as_ref(), &target, &mut note) {
            Ok(()) => paths.push(target.display().to_string()),
            Err(error) => return (paths, Some(error)),
        }
    }
    (paths, None)
}
