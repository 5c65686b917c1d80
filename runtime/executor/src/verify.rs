//! Executes recorded actions again and compares what comes of it with what was recorded.
//!
//! Owns: which recorded jobs can be verified, and where two results differ first. Does not know: on which engine
//! they are executed, or how the findings are shown.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use wasmill_model::port::{ActionCache, BlobStore, Cancel, Lookup, Request, Runner, RunnerError, StoreError, Traits};
use wasmill_model::{
    Action, ActionKey, ActionRecord, BlobRef, Directory, Floats, JobReport, Outcome, Timeout, TreeError,
};

use crate::error::chain;
use crate::worker::STACK_BYTES;

/// Time that an attempt gets beyond what the recorded one took.
const WALL_MS_MIN: u64 = 300_000;

/// How many times the recorded wall time an attempt gets; an interpreter is some ten times slower.
const WALL_FACTOR: u64 = 100;

/// A recorded job that can be executed again.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The job's name.
    pub job: String,
    /// Its action's key.
    pub key: ActionKey,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The same result, byte for byte.
    Same,
    /// Another result; this is the first difference.
    Different(Difference),
    /// It cannot be executed again here; why.
    Skipped(String),
    /// It could not be executed, or not to its end: what was wrong, from the outside in.
    Failed(Vec<String>),
    /// Cancelled before its end.
    Cancelled,
}

/// Where two results differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// What differs: `the outcome`, `standard output`, `/out/report.html`.
    pub what: String,
    /// What was recorded.
    pub recorded: String,
    /// What came of it now.
    pub now: String,
    /// The first byte that differs, where both are bytes.
    pub at_byte: Option<u64>,
}

/// What is needed to execute recorded actions.
#[derive(Clone, Copy)]
pub struct VerifyPorts<'a> {
    /// Where actions and results are recorded.
    pub actions: &'a dyn ActionCache,
    /// Where their blobs are.
    pub blobs: &'a dyn BlobStore,
    /// Who executes them.
    pub runner: &'a dyn Runner,
}

/// The different actions of a run whose results every machine should come to, in the order of the jobs' ends.
pub fn recorded(jobs: &[JobReport]) -> Vec<Recorded> {
    let mut seen = BTreeSet::new();
    let verifiable = jobs.iter().filter_map(|report| {
        let (key, result) = (report.key?, report.result.as_ref()?);
        let is_new = result.outcome.is_deterministic() && seen.insert(key);
        is_new.then(|| Recorded { job: report.job.clone(), key })
    });
    verifiable.collect()
}

/// Executes actions again on `workers` threads and tells `on_done` about each, in the order in which they end.
pub fn verify(
    recorded: &[Recorded],
    ports: VerifyPorts<'_>,
    workers: usize,
    cancel: &Cancel,
    on_done: &mut (dyn FnMut(&Recorded, Verdict) + Send),
) {
    let next = AtomicUsize::new(0);
    let on_done = Mutex::new(on_done);
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, recorded.len().max(1)) {
            let work = || {
                while let Some(one) = recorded.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = if cancel.is_cancelled() { Verdict::Cancelled } else { judge(one, ports, cancel) };
                    let mut on_done = on_done.lock().unwrap_or_else(PoisonError::into_inner);
                    on_done(one, verdict);
                }
            };
            let thread = std::thread::Builder::new().name("verify".to_owned()).stack_size(STACK_BYTES);
            if thread.spawn_scoped(scope, work).is_err() {
                // The threads that there are do the rest.
                break;
            }
        }
    });
}

fn judge(one: &Recorded, ports: VerifyPorts<'_>, cancel: &Cancel) -> Verdict {
    let (action, record) = match (ports.actions.action(&one.key), ports.actions.lookup(&one.key).map(Lookup::hit)) {
        (Ok(Some(action)), Ok(Some(record))) => (action, record),
        (Err(error), _) | (_, Err(error)) => return Verdict::Failed(chain(&error)),
        _ => return Verdict::Skipped("its action is no longer in the store".to_owned()),
    };
    if let Some(why) = foreign(&action, &ports.runner.traits()) {
        return Verdict::Skipped(why);
    }
    let wall_ms = WALL_MS_MIN.max((record.usage.wall_ns / 1_000_000).saturating_mul(WALL_FACTOR));
    let request = Request { action: &action, key: one.key, timeout: Timeout { wall_ms }, listener: None };
    let execution = match ports.runner.run(request, cancel) {
        Ok(execution) => execution,
        Err(RunnerError::Store(StoreError::Missing(digest))) => {
            return Verdict::Skipped(format!("the store no longer has {digest}, which it needs"));
        }
        Err(error) => return Verdict::Failed(chain(&error)),
    };
    match &execution.result.outcome {
        Outcome::Cancelled => return Verdict::Cancelled,
        Outcome::TimedOut { .. } => {
            return Verdict::Failed(vec![format!("it was not done after {} s", wall_ms / 1000)]);
        }
        _ => {}
    }
    let now = ActionRecord { result: execution.result, usage: execution.usage };
    match compare(&record, &now, ports.blobs) {
        Ok(None) => Verdict::Same,
        Ok(Some(difference)) => Verdict::Different(difference),
        Err(error) => Verdict::Failed(error),
    }
}

/// Why this runner cannot come to the recorded result.
fn foreign(action: &Action, traits: &Traits) -> Option<String> {
    match &action.floats {
        Floats::Native { architecture } if *architecture != traits.float_architecture => {
            let here = &traits.float_architecture;
            return Some(format!("its floating-point numbers are those of {architecture}; here they are of {here}"));
        }
        _ => {}
    }
    let is_other_schedule = action.limits.fuel.is_some() && action.fuel_schedule != traits.fuel_schedule;
    is_other_schedule.then(|| format!("its fuel is of schedule {}, this engine's is not", action.fuel_schedule))
}

/// The first difference of two results: how they ended, what they used, what they said, what they left.
fn compare(
    recorded: &ActionRecord,
    now: &ActionRecord,
    blobs: &dyn BlobStore,
) -> Result<Option<Difference>, Vec<String>> {
    let differ = |what: &str, recorded: String, now: String| {
        Ok(Some(Difference { what: what.to_owned(), recorded, now, at_byte: None }))
    };
    let (theirs, ours) = (&recorded.result, &now.result);
    if !theirs.outcome.is_same_as(&ours.outcome) {
        let (theirs, ours) = (&theirs.outcome, &ours.outcome);
        if theirs.to_string() != ours.to_string() {
            return differ("the outcome", theirs.to_string(), ours.to_string());
        }
        return differ("the outcome", format!("{theirs:?}"), format!("{ours:?}"));
    }
    if let (Some(theirs), Some(ours)) = (recorded.usage.fuel, now.usage.fuel)
        && theirs != ours
    {
        return differ("the fuel used", theirs.to_string(), ours.to_string());
    }
    for (what, theirs, ours) in
        [("standard output", theirs.stdout, ours.stdout), ("standard error", theirs.stderr, ours.stderr)]
    {
        if theirs != ours {
            return Ok(Some(bytes_differ(what, theirs, ours, blobs)));
        }
    }
    trees_differ("/out", theirs.output, ours.output, blobs)
}

/// The first difference of two blobs of which one is known to differ from the other.
fn bytes_differ(what: &str, recorded: BlobRef, now: BlobRef, blobs: &dyn BlobStore) -> Difference {
    let show = |blob: BlobRef| format!("{} ({} bytes)", blob.digest, blob.size_bytes);
    let at_byte = match (blobs.get(&recorded), blobs.get(&now)) {
        (Ok(theirs), Ok(ours)) => {
            let same = theirs.iter().zip(ours.iter()).take_while(|(theirs, ours)| theirs == ours).count();
            Some(same as u64)
        }
        _ => None,
    };
    Difference { what: what.to_owned(), recorded: show(recorded), now: show(now), at_byte }
}

/// The first difference of two trees, in the order of the names. They may be nested to any depth.
fn trees_differ(
    at: &str,
    mut recorded: BlobRef,
    mut now: BlobRef,
    blobs: &dyn BlobStore,
) -> Result<Option<Difference>, Vec<String>> {
    let mut at = at.to_owned();
    while recorded != now {
        let decode = |blob: BlobRef| -> Result<Directory, Vec<String>> {
            let bytes = blobs.get(&blob).map_err(|error| chain(&error))?;
            Directory::decode(&bytes).map_err(|error: TreeError| chain(&error))
        };
        let (theirs, ours) = (decode(recorded)?, decode(now)?);
        let names: BTreeSet<&str> = [&theirs, &ours].into_iter().flat_map(entry_names).collect();
        let entries = names.into_iter().map(|name| (name, Entry::of(&theirs, name), Entry::of(&ours, name)));
        let Some((name, theirs, ours)) = entries.into_iter().find(|(_, theirs, ours)| theirs != ours) else {
            return Ok(Some(bytes_differ(&at, recorded, now, blobs)));
        };
        let path = format!("{at}/{name}");
        match (theirs, ours) {
            (Entry::Directory(theirs), Entry::Directory(ours)) => (at, recorded, now) = (path, theirs, ours),
            (Entry::File(theirs, _), Entry::File(ours, _)) if theirs != ours => {
                return Ok(Some(bytes_differ(&path, theirs, ours, blobs)));
            }
            _ => {
                let (recorded, now) = (theirs.describe(), ours.describe());
                return Ok(Some(Difference { what: path, recorded, now, at_byte: None }));
            }
        }
    }
    Ok(None)
}

fn entry_names(directory: &Directory) -> impl Iterator<Item = &str> {
    let files = directory.files.iter().map(|file| file.name.as_str());
    let below = directory.directories.iter().map(|below| below.name.as_str());
    files.chain(below).chain(directory.symlinks.iter().map(|link| link.name.as_str()))
}

/// What has a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry<'a> {
    Nothing,
    File(BlobRef, bool),
    Directory(BlobRef),
    Link(&'a str),
}

impl<'a> Entry<'a> {
    fn of(directory: &'a Directory, name: &str) -> Self {
        if let Some(file) = directory.files.iter().find(|file| file.name == name) {
            return Entry::File(file.blob, file.is_executable);
        }
        if let Some(below) = directory.directories.iter().find(|below| below.name == name) {
            return Entry::Directory(below.blob);
        }
        match directory.symlinks.iter().find(|link| link.name == name) {
            Some(link) => Entry::Link(&link.target),
            None => Entry::Nothing,
        }
    }

    fn describe(self) -> String {
        match self {
            Entry::Nothing => "nothing".to_owned(),
            Entry::File(_, true) => "an executable file".to_owned(),
            Entry::File(_, false) => "a file".to_owned(),
            Entry::Directory(_) => "a directory".to_owned(),
            Entry::Link(target) => format!("a link to `{}`", target.escape_debug()),
        }
    }
}
