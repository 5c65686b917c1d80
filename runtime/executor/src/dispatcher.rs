//! Carries out a run: the one loop between the scheduler, the worker threads, the store and whoever listens.
//!
//! Owns: the order of events, the worker threads, what of a job is waited for before it is reported (its record
//! on disk, its outputs on the host). Does not know: which job is next (`scheduler`), how a job is executed
//! (`worker`), how events are shown.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::Instrument as _;
use wasmill_model::port::{Growth, Remark, StoreError};
use wasmill_model::{Event, JobReport, JobStatus, RunCounts, RunRecord, RunState, RunSummary};

use crate::adapt::Adapt;
use crate::durations::Durations;
use crate::error::{ExecuteError, SaveError, chain};
use crate::estimate::Estimate;
use crate::graph::{Graph, JobId, Role};
use crate::inbox::Inbox;
use crate::logs::Logs;
use crate::modules::LoadedModules;
use crate::options::{ExecuteOptions, Ports};
use crate::repeat::{Beginning, Told};
use crate::scheduler::Command;
use crate::shared::Shared;
use crate::targets::{self, Targets};
use crate::traces::Traces;
use crate::watch::{Standing, Watch};
use crate::worker::{self, Ended, Message, Task};
use crate::workers::{How, Workers};

/// What no run should come to.
const STUCK: &str = "nothing is left that could run, and jobs still wait; this is a bug in wasmill";

/// Jobs in one page of a run's record.
const PAGE: usize = 256;

/// How long a report waits for others before its page is written: what of a run's record a kill may cost, though no result.
const PAGE_WAITS: Duration = Duration::from_secs(1);

/// Of more jobs, looking up what each took would take longer than it is worth.
const EXPECTED_JOBS_MAX: usize = 200_000;

/// How long a cancellation may go unnoticed here (running jobs notice it by themselves), and what the threads have to say
/// while they are busy.
const POLL: Duration = Duration::from_millis(20);

/// Executes a graph's selected jobs, telling `on_event` what happens.
///
/// A job is reported once it is durable and its outputs are saved; the jobs behind it may have started by then.
///
/// # Errors
/// Only what stops the run as a whole. Jobs that fail are in the events and the summary.
pub async fn execute(
    graph: Graph,
    modules: LoadedModules,
    ports: Ports,
    options: ExecuteOptions,
    on_event: &mut (dyn FnMut(&Event) + Send),
) -> Result<RunSummary, ExecuteError> {
    let beginning = Beginning::of(&graph, &modules, &ports, &options)?;
    carry_out(graph, modules, beginning, ports, options, on_event).await.map(|(_, summary)| summary)
}

/// The same, and what has become of the graph.
pub(crate) async fn carry_out(
    mut graph: Graph,
    modules: LoadedModules,
    beginning: Beginning,
    ports: Ports,
    options: ExecuteOptions,
    on_event: &mut (dyn FnMut(&Event) + Send),
) -> Result<(Arc<Graph>, RunSummary), ExecuteError> {
    let (workers, jobs) = (options.workers.max(1), graph.len());
    let mut rest = graph.rest.take().unwrap_or_default();
    let (repeated, runs) = (rest.told, ports.runs.as_ref());
    let run = beginning.begin(jobs + repeated.counts.jobs, runs, on_event)?;
    rest.begin(run.id, &graph, runs, on_event)?;
    let growth_before = ports.blobs.growth();

    let span = tracing::info_span!("run", run = run.id.0, plan = run.plan);
    let shared = Arc::new(Shared::new(graph, rest, modules, ports, &options, span.clone()));
    let threads = Workers::of(&shared, workers, options.lost_after).map_err(ExecuteError::Thread)?;
    let mut dispatcher = Dispatcher {
        counts: RunCounts { jobs, ..RunCounts::default() },
        reported: 0,
        repeated,
        timeout: options.timeout,
        adapt: options.adaptive.map(|by| Adapt::new(by, workers, Instant::now())),
        delayed: BinaryHeap::new(),
        targets: Targets::default(),
        watch: Watch::new(Instant::now()),
        expecting: None,
        estimate: Estimate::default(),
        pending: HashMap::new(),
        closed_early: HashMap::new(),
        logs: Logs::default(),
        durable_early: HashSet::new(),
        page: Vec::with_capacity(PAGE),
        looked: Instant::now(),
        paged: Instant::now(),
        summary: RunSummary::default(),
        keep_going: options.keep_going,
        workers: threads,
        shared,
        run,
        growth_before,
        traces: Traces::default(),
        on_event,
    };
    let ended = dispatcher.carry_out().instrument(span).await;
    let finished = match ended {
        Ok(()) => dispatcher.finish().await,
        Err(error) => Err(error),
    };
    if finished.is_err() {
        dispatcher.shared.board.cancel();
        dispatcher.shared.cancel.cancel();
    }
    if let Some(expecting) = dispatcher.expecting.take() {
        let _ = expecting.join();
    }
    // The threads come to their end once the jobs that run have been stopped.
    dispatcher.shared.board.close();
    dispatcher.workers.join();
    finished.map(|summary| (Arc::clone(&dispatcher.shared.graph), summary))
}

/// A job that has ended and is not reported yet.
struct Pending {
    report: JobReport,
    awaits_durable: bool,
    /// What it yields has not come to its end.
    awaits_closer: bool,
    awaits_save: bool,
}

impl Pending {
    /// What it left is on disk now.
    fn is_durable(&mut self, now_ns: u64) {
        self.awaits_durable = false;
        self.report.trace.phases.durable_ns = now_ns.saturating_sub(self.report.ended_ns);
    }
}

struct Dispatcher<'a> {
    shared: Arc<Shared>,
    workers: Workers,
    run: RunRecord,
    /// What the store had been given when the run began.
    growth_before: Growth,
    traces: Traces,
    counts: RunCounts,
    reported: usize,
    /// What stands for the jobs that are not gone through.
    repeated: Told,
    timeout: Option<Duration>,
    adapt: Option<Adapt>,
    /// Jobs that are to be tried again, and when.
    delayed: BinaryHeap<Reverse<(Instant, JobId)>>,
    targets: Targets,
    watch: Watch,
    /// What looks up how long jobs are expected to take.
    expecting: Option<JoinHandle<()>>,
    estimate: Estimate,
    pending: HashMap<JobId, Box<Pending>>,
    /// What became of nodes that close, where those that open had not said yet that they ended: one of the jobs between them
    /// may fail before.
    closed_early: HashMap<JobId, JobReport>,
    logs: Logs,
    /// Jobs whose record was on disk before the thread had said that they ended.
    durable_early: HashSet<JobId>,
    /// Reports that are not in the run's record yet.
    page: Vec<JobReport>,
    /// When it was looked last how the threads and the machine are doing.
    looked: Instant,
    /// When a page was written last.
    paged: Instant,
    summary: RunSummary,
    keep_going: bool,
    on_event: &'a mut (dyn FnMut(&Event) + Send),
}

impl Dispatcher<'_> {
    /// Runs the loop until every job is reported.
    async fn carry_out(&mut self) -> Result<(), ExecuteError> {
        let inbox = Arc::clone(&self.shared.inbox);
        let mut messages = Vec::new();
        let mut poll = tokio::time::interval(POLL);
        tracing::debug!(jobs = self.counts.jobs, "begun");
        while self.reported < self.counts.jobs {
            tokio::select! {
                biased;
                () = inbox.take(&mut messages) => {
                    for message in messages.drain(..) {
                        self.hear(message)?;
                    }
                }
                _ = poll.tick() => {}
            }
            if self.looked.elapsed() >= POLL {
                self.looked = Instant::now();
                self.replace_lost()?;
                self.adapt();
                self.estimate.due(&self.shared, self.looked).iter().for_each(&mut self.on_event);
                self.warn_of_bottlenecks();
            }
            while let Some(Reverse((due, job))) = self.delayed.peek().copied().filter(|next| next.0.0 <= Instant::now())
            {
                tracing::debug!(?due, "a job is tried again");
                self.delayed.pop();
                self.shared.board.due(job);
            }
            for job in self.targets.due(Instant::now()) {
                let (name, target) = (&self.shared.graph.job(job).name, self.shared.graph.spec(job).target);
                let target = Duration::from_millis(target.map_or(0, |target| target.wall_ms));
                let message = format!("`{name}` has taken four fifths of its target of {target:?}, and goes on");
                (self.on_event)(&Event::Warning { message });
            }
            if let Some(timeout) = self.timeout.take_if(|timeout| self.shared.began.elapsed() >= *timeout) {
                let message = format!("the run is cancelled, as it took longer than {} s", timeout.as_secs_f64());
                (self.on_event)(&Event::Warning { message });
                self.shared.cancel.cancel();
            }
            if self.paged.elapsed() >= PAGE_WAITS {
                self.turn_page()?;
            }
            if self.shared.cancel.is_cancelled() && !self.summary.cancelled {
                self.summary.cancelled = true;
                self.stop()?;
            }
        }
        Ok(())
    }

    /// Has it looked up, once, how long jobs took in earlier runs. Where everything is cached nobody needs to know.
    fn expect(&mut self) {
        if self.expecting.is_some() || !(2..=EXPECTED_JOBS_MAX).contains(&self.counts.jobs) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let look_up = move || match Durations::find(shared.ports.runs.as_ref(), &shared.graph) {
            Ok(Some(durations)) => {
                shared.board.expect(&shared.graph, |id| durations.expected(&shared.graph, id));
                let _ = shared.durations.set(durations);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "no durations are expected"),
        };
        // Without it, jobs are only taken in another order.
        self.expecting = std::thread::Builder::new().name("wasmill-expect".to_owned()).spawn(look_up).ok();
    }

    /// Ends what threads have in hand that are lost, and starts others in their place.
    fn replace_lost(&mut self) -> Result<(), ExecuteError> {
        for lost in self.workers.lost(&self.shared) {
            let had = self.shared.board.give_up(&lost);
            let how = match lost.how {
                How::Panicked => "panicked",
                // It has come back.
                How::Stuck(_) if had.is_none() => continue,
                How::Stuck(_) => "does not come back from a job whose time is over",
            };
            self.workers.replace(&lost, &self.shared).map_err(ExecuteError::Thread)?;
            let message = format!("a worker thread {how}; this is a bug in wasmill; another one takes its place");
            (self.on_event)(&Event::Warning { message });
            let Some((tasks, commands)) = had else { continue };
            // What it said before comes first.
            for message in self.shared.inbox.take_now() {
                self.hear(message)?;
            }
            tasks.into_iter().try_for_each(|task| self.lose(task, how))?;
            commands.into_iter().try_for_each(|command| self.hear_unstarted(command))?;
        }
        Ok(())
    }

    fn warn_of_bottlenecks(&mut self) {
        let (board, graph) = (&self.shared.board, &self.shared.graph);
        let left = self.counts.jobs.saturating_sub(self.reported);
        let standing = || {
            let (workers, idle, ready) = board.load();
            Standing { workers, idle, ready, left }
        };
        let names = |job| (graph.job(job).name.as_str(), graph.family(job));
        for message in self.watch.due(self.looked, standing, names) {
            (self.on_event)(&Event::Warning { message });
        }
    }

    /// Changes the number of workers where the machine asks for it.
    fn adapt(&mut self) {
        let Some(adapt) = &mut self.adapt else { return };
        let (had, memory) = (adapt.workers(), adapt.memory);
        let Some((workers, why)) = adapt.decide(Instant::now(), self.shared.board.has_waiting(), memory) else {
            return;
        };
        // Some jobs need more.
        let workers = self.shared.board.set_workers(workers);
        adapt.has(workers);
        if workers != had {
            (self.on_event)(&Event::WorkersChanged { workers, why });
        }
    }

    /// Ends what a thread had in hand that is lost.
    fn lose(&mut self, task: Task, how: &str) -> Result<(), ExecuteError> {
        match task {
            Task::Execute(job) => {
                self.shared.flights.lose(job);
                let mut ended = Ended::new(JobStatus::Error, self.shared.elapsed_ns());
                ended.error = vec![format!("its worker thread {how}; this is a bug in wasmill")];
                self.hear_ended(job, ended)
            }
            Task::Save(job) => {
                let (path, source) = (self.shared.graph.scope(job).base.clone(), worker::panicked());
                self.hear(Message::Saved(job, Vec::new(), Some(SaveError::Write { path, source })))
            }
        }
    }

    /// Starts nothing further.
    fn stop(&mut self) -> Result<(), ExecuteError> {
        let commands = self.shared.board.cancel();
        // Jobs that have come to be are announced before the scheduler knows them, so whatever it drops has been.
        for message in self.shared.inbox.take_now() {
            self.hear(message)?;
        }
        commands.into_iter().try_for_each(|command| self.hear_unstarted(command))
    }

    fn pass_on(&mut self, job: JobId, remark: Remark) {
        if let Remark::Log { level, message } = &remark {
            self.logs.add(job, *level, message);
        }
        let job = self.shared.graph.job(job).name.clone();
        (self.on_event)(&match remark {
            Remark::Progress { done, total } => Event::JobProgress { job, done, total },
            Remark::Log { level, message } => Event::JobLog { job, level, message },
        });
    }

    fn hear(&mut self, message: Message) -> Result<(), ExecuteError> {
        match message {
            Message::Started(job) => {
                self.expect();
                let now = Instant::now();
                self.targets.started(job, self.shared.graph.spec(job).target, now);
                self.watch.started(job, now);
                let job = self.shared.graph.job(job).name.clone();
                (self.on_event)(&Event::JobStarted { job });
                Ok(())
            }
            Message::Grown { opener, jobs, added } => {
                self.counts.jobs += jobs;
                self.traces.add(added, opener);
                let opener = self.shared.graph.job(opener);
                let instead = matches!(opener.role, Role::Expand { .. });
                (self.on_event)(&Event::JobsAdded { job: opener.name.clone(), jobs, instead });
                Ok(())
            }
            Message::Remarked(job, remark) => {
                self.pass_on(job, remark);
                Ok(())
            }
            Message::Warned(message) => {
                (self.on_event)(&Event::Warning { message });
                Ok(())
            }
            Message::Stuck => {
                let message = STUCK.to_owned();
                (self.on_event)(&Event::Warning { message });
                self.shared.cancel.cancel();
                self.stop()
            }
            Message::Ended(job, ended) => self.hear_ended(job, *ended),
            Message::Unstarted(command) => self.hear_unstarted(command),
            Message::Retried { job, attempt, due, wait, error } => {
                self.hear_retried(job, attempt, wait, error);
                self.delayed.push(Reverse((due, job)));
                Ok(())
            }
            Message::Durable(job, Ok(())) => {
                match self.pending.get_mut(&job) {
                    Some(pending) => pending.is_durable(self.shared.elapsed_ns()),
                    None => drop(self.durable_early.insert(job)),
                }
                self.advance(job)
            }
            Message::RunDurable(Ok(())) => Ok(()),
            Message::Durable(_, Err(error)) | Message::RunDurable(Err(error)) => {
                self.shared.cancel.cancel();
                Err(ExecuteError::Keep(error))
            }
            Message::Saved(job, paths, error) => {
                paths.into_iter().for_each(|path| self.hear_saved(job, path));
                let failed = error.is_some();
                if let Some(pending) = self.pending.get_mut(&job) {
                    pending.awaits_save = false;
                    if let Some(error) = error {
                        pending.report.status = JobStatus::Error;
                        pending.report.error = chain(&error);
                        pending.report.hint = error.hint();
                    }
                }
                self.advance(job)?;
                if failed && !self.keep_going { self.stop() } else { Ok(()) }
            }
        }
    }

    fn hear_saved(&mut self, job: JobId, path: String) {
        let job = self.shared.graph.job(job).name.clone();
        self.shared.importer.sights().told(&job, &path);
        (self.on_event)(&Event::Saved { job, path });
    }

    fn hear_retried(&mut self, job: JobId, attempt: u32, wait: Duration, error: Vec<String>) {
        self.targets.ended(job);
        self.watch.gave_up(job);
        self.summary.retries += 1;
        let job = self.shared.graph.job(job).name.clone();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        (self.on_event)(&Event::JobRetried { job, attempt, wait_ms, error });
    }

    fn hear_ended(&mut self, id: JobId, mut ended: Ended) -> Result<(), ExecuteError> {
        let graph = Arc::clone(&self.shared.graph);
        if matches!(graph.job(id).role, Role::Expand { .. }) && ended.status == JobStatus::Succeeded {
            // The jobs that it opened stand in its place.
            self.counts.jobs -= 1;
            return Ok(());
        }
        self.targets.ended(id);
        self.watch.ended(id, graph.family(id), Instant::now());
        self.estimate.ended(&self.shared, id);
        if let Some(adapt) = self.adapt.as_mut().filter(|_| !ended.cached) {
            adapt.ended(&ended.usage);
        }
        let is_missed = targets::is_missed(graph.spec(id).target, &mut ended, &graph.job(id).name, self.on_event);
        let role = graph.job(id).role;
        let is_success = ended.status == JobStatus::Succeeded;
        let awaits_closer = is_success && matches!(role, Role::Execute { closer: Some(_) });
        let saves = matches!(role, Role::Execute { .. } | Role::Judge { .. });
        let awaits_save = is_success && saves && !graph.spec(id).save.is_empty();
        let awaits_durable = !self.durable_early.remove(&id) && ended.awaits_durable;
        let report = JobReport {
            trace: self.traces.of(&graph, id, &ended),
            job: graph.job(id).name.clone(),
            status: ended.status,
            key: ended.key,
            cached: ended.cached,
            result: ended.result,
            usage: ended.usage,
            ready_ns: ended.ready_ns,
            started_ns: ended.started_ns,
            ended_ns: ended.ended_ns,
            error: ended.error,
            hint: ended.hint,
            log: self.logs.take(id),
        };
        self.pending.insert(id, Box::new(Pending { report, awaits_durable, awaits_closer, awaits_save }));
        match self.closed_early.remove(&id).filter(|_| awaits_closer) {
            Some(closed) => self.close(id, closed)?,
            None => self.advance(id)?,
        }
        if is_missed && !self.keep_going { self.stop() } else { Ok(()) }
    }

    /// Takes a job that has ended one step on: to its saving, or to its report.
    fn advance(&mut self, job: JobId) -> Result<(), ExecuteError> {
        match self.pending.get(&job) {
            Some(pending) if pending.awaits_durable || pending.awaits_closer => Ok(()),
            Some(pending) if pending.awaits_save => {
                self.shared.board.save(job);
                Ok(())
            }
            Some(_) => match self.pending.remove(&job) {
                Some(pending) => match self.shared.graph.job(job).role {
                    Role::Close { opener } => self.close(opener, pending.report),
                    _ => self.report(pending.report),
                },
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Takes a job one step on of which what it yielded has come to its end.
    fn close(&mut self, opener: JobId, closed: JobReport) -> Result<(), ExecuteError> {
        let Some(pending) = self.pending.get_mut(&opener) else {
            self.closed_early.insert(opener, closed);
            return Ok(());
        };
        // A job that failed has said so itself.
        if pending.awaits_closer {
            pending.awaits_closer = false;
            if closed.status == JobStatus::Succeeded {
                pending.report.result = closed.result;
            } else {
                pending.awaits_save = false;
                (pending.report.status, pending.report.error) = (closed.status, closed.error);
                pending.report.hint = closed.hint;
            }
        }
        self.advance(opener)
    }

    fn hear_unstarted(&mut self, command: Command) -> Result<(), ExecuteError> {
        match command {
            Command::Skip { job, because } => {
                let error = format!("job `{}` did not succeed", self.shared.graph.job(because).name);
                self.report_unstarted(job, JobStatus::Skipped, vec![error])
            }
            Command::Drop(job) => self.report_unstarted(job, JobStatus::Cancelled, Vec::new()),
        }
    }

    fn report_unstarted(&mut self, job: JobId, status: JobStatus, error: Vec<String>) -> Result<(), ExecuteError> {
        let now = self.shared.elapsed_ns();
        let role = self.shared.graph.job(job).role;
        let name = self.shared.graph.job(job).name.clone();
        let trace = self.traces.unstarted(&self.shared.graph, job);
        let report = JobReport { error, trace, ..JobReport::unstarted(name, status, now) };
        match role {
            Role::Close { opener } => self.close(opener, report),
            _ => self.report(report),
        }
    }

    fn report(&mut self, report: JobReport) -> Result<(), ExecuteError> {
        self.reported += 1;
        self.counts.add(report.status, report.cached);
        if report.cached {
            self.summary.saved_ns += report.usage.wall_ns;
        } else {
            self.summary.cpu_ns += report.usage.cpu_ns;
            self.summary.busy_ns += report.usage.wall_ns;
            self.summary.traffic.read_bytes += report.trace.traffic.read_bytes;
            self.summary.traffic.written_bytes += report.trace.traffic.written_bytes;
        }
        let event = Event::JobFinished(Box::new(report));
        (self.on_event)(&event);
        if let Event::JobFinished(report) = event {
            self.page.push(*report);
        }
        if self.page.len() >= PAGE { self.turn_page() } else { Ok(()) }
    }

    fn turn_page(&mut self) -> Result<(), ExecuteError> {
        self.paged = Instant::now();
        if !self.page.is_empty() {
            self.shared.ports.runs.append(self.run.id, &self.page)?;
            self.page.clear();
        }
        Ok(())
    }

    /// Makes the run's record durable and tells its end.
    async fn finish(&mut self) -> Result<RunSummary, ExecuteError> {
        self.turn_page()?;
        self.shared.importer.remember()?;
        self.shared.ports.runs.settle();
        self.summary.counts = self.counts;
        self.summary.counts.merge(&self.repeated.counts);
        self.summary.saved_ns += self.repeated.saved_ns;
        self.summary.repeats = self.run.repeats;
        // Nothing was left to cancel.
        self.summary.cancelled &= self.counts.cancelled > 0;
        self.summary.wall_ns = self.shared.elapsed_ns();
        let footprint = self.shared.footprint(&self.run, &self.summary)?;
        let grown = self.shared.ports.blobs.growth().since(self.growth_before);
        (self.summary.stored_bytes, self.summary.known_bytes) = (grown.added_bytes, grown.known_bytes);
        let record = RunRecord { footprint, state: RunState::Ended(self.summary.clone()), ..self.run.clone() };
        let inbox = Arc::clone(&self.shared.inbox);
        let answer: Arc<Inbox<Message>> = Arc::clone(&inbox);
        let on_durable = Box::new(move |durable: Result<(), Arc<StoreError>>| {
            answer.push(Message::RunDurable(durable));
        });
        self.shared.ports.runs.end(&record, on_durable)?;
        let mut messages = Vec::new();
        loop {
            inbox.take(&mut messages).await;
            for message in messages.drain(..) {
                let is_last = matches!(message, Message::RunDurable(Ok(())));
                self.hear(message)?;
                if is_last {
                    let summary = self.summary.clone();
                    (self.on_event)(&Event::RunFinished(summary.clone()));
                    return Ok(summary);
                }
            }
        }
    }
}
