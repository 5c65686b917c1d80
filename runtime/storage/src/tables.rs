//! The index: every table, and the layout of every row.
//!
//! Owns: table names with their versions, keys, encodings, and the rule that a row which does not decode counts
//! as absent. Does not know: files, when rows are written (`index`), or by whom they are read. Described in
//! `docs/storage-format.md`.

use std::borrow::Cow;

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmill_model::port::{Stamp, StoreError};
use wasmill_model::{
    ActionKey, ActionRecord, ActionResult, BlobRef, Digest, JobReport, JobStatus, JobTrace, RunCounts, RunId,
    RunRecord, RunSetup, RunState, RunSummary, Traffic, Usage,
};

use crate::error::failed;
use crate::layers::{ACTIONS, BLOBS, Places, PlacesMut};
use crate::place::PlaceBytes;
use crate::record::Key;

/// Run number → a [`RunRecord`], see [`encode_run`].
pub(crate) const RUNS: TableDefinition<u64, &[u8]> = TableDefinition::new("runs-1");
/// (run number, page from 0 on) → where some job reports are, see [`pages`].
pub(crate) const RUN_JOBS: TableDefinition<(u64, u32), &PlaceBytes> = TableDefinition::new("run_jobs-3");
/// Host path → postcard of its stamp and blob.
pub(crate) const STATS: TableDefinition<&str, &[u8]> = TableDefinition::new("stats-2");
/// Artifact key → digest and size of its content, see [`encode_artifact`].
pub(crate) const COMPILED: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("compiled-1");
/// Segment → up to where it is in the index, and whether nothing will be added to it.
pub(crate) const SEGMENTS: TableDefinition<u32, (u32, bool)> = TableDefinition::new("segments-1");
/// Digests of blobs that were found damaged or missing, and were not put again since → where the lost copy was.
pub(crate) const LOST: TableDefinition<&[u8; 32], &PlaceBytes> = TableDefinition::new("lost-2");
/// Digest → what was last said of it: the turn, and whether it is kept whatever happens; see [`crate::pins::Pin`].
pub(crate) const PINS: TableDefinition<&[u8; 32], (u64, bool)> = TableDefinition::new("pins-2");

/// The most bytes of job reports in an entry of the log, unless one alone is longer.
const JOB_PAGE_BYTES_MAX: usize = 60_000;

/// The tables as of one commit.
pub(crate) struct View {
    pub(crate) blobs: Places,
    pub(crate) actions: Places,
    pub(crate) runs: ReadOnlyTable<u64, &'static [u8]>,
    pub(crate) run_jobs: ReadOnlyTable<(u64, u32), &'static PlaceBytes>,
    pub(crate) stats: ReadOnlyTable<&'static str, &'static [u8]>,
    pub(crate) compiled: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    pub(crate) segments: ReadOnlyTable<u32, (u32, bool)>,
    pub(crate) lost: ReadOnlyTable<&'static [u8; 32], &'static PlaceBytes>,
    pub(crate) pins: ReadOnlyTable<&'static [u8; 32], (u64, bool)>,
}

impl View {
    /// What the latest commit left, of whichever process.
    pub(crate) fn latest(index: &Database) -> Result<Self, redb::Error> {
        let read = index.begin_read()?;
        Ok(Self {
            blobs: Places::open(&read, BLOBS)?,
            actions: Places::open(&read, ACTIONS)?,
            runs: read.open_table(RUNS)?,
            run_jobs: read.open_table(RUN_JOBS)?,
            stats: read.open_table(STATS)?,
            compiled: read.open_table(COMPILED)?,
            segments: read.open_table(SEGMENTS)?,
            lost: read.open_table(LOST)?,
            pins: read.open_table(PINS)?,
        })
    }

    /// The highest run number.
    pub(crate) fn run_last(&self) -> Result<Option<u64>, redb::Error> {
        Ok(self.runs.last()?.map(|(run, _)| run.value()))
    }
}

/// Creates the tables of a new index.
pub(crate) fn create(index: &Database) -> Result<(), redb::Error> {
    let mut write = index.begin_write()?;
    write.set_two_phase_commit(true);
    write.set_quick_repair(true);
    PlacesMut::open(&write, BLOBS)?.finish()?;
    PlacesMut::open(&write, ACTIONS)?.finish()?;
    write.open_table(RUNS)?;
    write.open_table(RUN_JOBS)?;
    write.open_table(STATS)?;
    write.open_table(COMPILED)?;
    write.open_table(SEGMENTS)?;
    write.open_table(LOST)?;
    write.open_table(PINS)?;
    write.commit()?;
    Ok(())
}

/// What is kept of an action: postcard of the record, then the action in its canonical encoding.
pub(crate) fn encode_action(record: &ActionRecord, action: &[u8]) -> Result<Vec<u8>, StoreError> {
    let row = Vec::with_capacity(128 + action.len());
    let mut row = postcard::to_extend(record, row).map_err(failed("encode an action record"))?;
    row.extend_from_slice(action);
    Ok(row)
}

/// Reads what is kept of an action; none is a damaged one.
pub(crate) fn decode_action<'a>(key: &ActionKey, row: &'a [u8]) -> Option<(ActionRecord, &'a [u8])> {
    decoded("action", key, postcard::take_from_bytes(row))
}

/// A run's record; behind it stands what was not noted from the beginning.
pub(crate) fn encode_run(record: &RunRecord) -> Result<Vec<u8>, StoreError> {
    let failed = |error| failed("encode a run")(error);
    let mut row = postcard::to_stdvec(&row_of(record)).map_err(failed)?;
    let (omitted, observed) = match &record.state {
        RunState::Ended(summary) => {
            let Traffic { read_bytes, written_bytes } = summary.traffic;
            (
                summary.counts.omitted,
                [summary.retries, read_bytes, written_bytes, summary.stored_bytes, summary.known_bytes],
            )
        }
        RunState::Started => (0, [0; 5]),
    };
    let later: LaterRow = (omitted, record.snapshot.map(|digest| *digest.as_bytes()));
    row = postcard::to_extend(&later, row).map_err(failed)?;
    if let Some(setup) = &record.setup {
        row = postcard::to_extend(&(observed, setup), row).map_err(failed)?;
        let again: AgainRow = (record.footprint.map(|digest| *digest.as_bytes()), record.repeats);
        if again != AgainRow::default() {
            row = postcard::to_extend(&again, row).map_err(failed)?;
            if record.own_jobs > 0 {
                row = postcard::to_extend(&record.own_jobs, row).map_err(failed)?;
            }
        }
    }
    Ok(row)
}

pub(crate) fn decode_run(run: RunId, row: &[u8]) -> Option<RunRecord> {
    let (row, mut later) = decoded("run", &run, postcard::take_from_bytes::<RunRow>(row))?;
    // What was added to rows since the first of them were written: nothing, or the first so many of these.
    let omitted = next::<usize>(run, &mut later)?.unwrap_or_default();
    let snapshot = next::<Option<[u8; 32]>>(run, &mut later)?.flatten();
    // What was only observed is not worth the rest.
    let observed: Option<ObservedRow> = next(run, &mut later).flatten();
    let mut record = RunRecord { snapshot: snapshot.map(Digest::from_bytes), ..record_of(row, omitted) };
    if let Some(([retries, read_bytes, written_bytes, stored_bytes, known_bytes], setup)) = observed {
        record.setup = Some(setup);
        if let RunState::Ended(summary) = &mut record.state {
            (summary.retries, summary.stored_bytes, summary.known_bytes) = (retries, stored_bytes, known_bytes);
            summary.traffic = Traffic { read_bytes, written_bytes };
        }
        let (footprint, repeats) = next::<AgainRow>(run, &mut later).flatten().unwrap_or_default();
        (record.footprint, record.repeats) = (footprint.map(Digest::from_bytes), repeats);
        record.own_jobs = next(run, &mut later).flatten().unwrap_or_default();
        if let RunState::Ended(summary) = &mut record.state {
            summary.repeats = repeats;
        }
    }
    Some(record)
}

/// Reads what comes next in a run's row; none inside if the row ends here.
fn next<T: DeserializeOwned>(run: RunId, row: &mut &[u8]) -> Option<Option<T>> {
    if row.is_empty() {
        return Some(None);
    }
    let (value, rest) = decoded("run", &run, postcard::take_from_bytes(row))?;
    *row = rest;
    Some(Some(value))
}

/// How many jobs were omitted, and what the run began with.
type LaterRow = (usize, Option<[u8; 32]>);

/// Retries, bytes read and written by jobs, bytes by which the store grew, and bytes that it was given and had; and how the run was carried out.
type ObservedRow = ([u64; 5], RunSetup);

/// What the run saw of the host, and the run that it repeats.
type AgainRow = (Option<[u8; 32]>, Option<RunId>);

/// What a run's record was when it was first written: its number, the plan's name, when it started, and how it ended.
type RunRow = (RunId, String, u64, Option<EndRow>);

/// The counts (all, succeeded, cached, failed, errors, skipped, cancelled), the times (wall, CPU, busy, saved), and whether it
/// was cancelled.
type EndRow = ([usize; 7], [u64; 4], bool);

fn row_of(record: &RunRecord) -> RunRow {
    let end = match &record.state {
        RunState::Started => None,
        RunState::Ended(RunSummary { counts, wall_ns, cpu_ns, busy_ns, saved_ns, cancelled, .. }) => {
            let counts = [
                counts.jobs,
                counts.succeeded,
                counts.cached,
                counts.failed,
                counts.errors,
                counts.skipped,
                counts.cancelled,
            ];
            Some((counts, [*wall_ns, *cpu_ns, *busy_ns, *saved_ns], *cancelled))
        }
    };
    (record.id, record.plan.clone(), record.started_unix_ms, end)
}

fn record_of((id, plan, started_unix_ms, end): RunRow, omitted: usize) -> RunRecord {
    let state = match end {
        None => RunState::Started,
        Some((counts, [wall_ns, cpu_ns, busy_ns, saved_ns], is_cancelled)) => {
            let [jobs, succeeded, cached, failed, errors, skipped, cancelled] = counts;
            let counts = RunCounts { jobs, succeeded, cached, failed, errors, skipped, cancelled, omitted };
            let cancelled = is_cancelled;
            RunState::Ended(RunSummary {
                counts,
                wall_ns,
                cpu_ns,
                busy_ns,
                saved_ns,
                cancelled,
                ..RunSummary::default()
            })
        }
    };
    RunRecord {
        id,
        plan,
        started_unix_ms,
        snapshot: None,
        footprint: None,
        repeats: None,
        own_jobs: 0,
        setup: None,
        state,
    }
}

/// Whether a row says that a run began, of which another one says how it ended.
pub(crate) fn is_older_run(run: RunId, row: &[u8], than: &[u8]) -> bool {
    let is_over = |row| decode_run(run, row).is_some_and(|record| record.state != RunState::Started);
    !is_over(row) && is_over(than)
}

pub(crate) fn encode_stat(stamp: &Stamp, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(&(stamp, blob)).map_err(failed("encode a stamp"))
}

/// Paths with their rows, as they are in the log.
pub(crate) fn encode_paths(rows: &[(String, Vec<u8>)]) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(rows).map_err(failed("encode stamps"))
}

/// Reads paths with their rows; none is a damaged one.
pub(crate) fn decode_paths(body: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    decoded("stats", &"log", postcard::from_bytes(body))
}

pub(crate) fn decode_stat(path: &str, row: &[u8]) -> Option<(Stamp, BlobRef)> {
    decoded("stat", &path, postcard::from_bytes(row))
}

/// A row for an artifact: the digest of its content, which names its file, and its size as a little-endian u64.
pub(crate) fn encode_artifact(content: &BlobRef) -> [u8; 40] {
    let mut row = [0; 40];
    let (digest, size) = row.split_at_mut(32);
    digest.copy_from_slice(content.digest.as_bytes());
    size.copy_from_slice(&content.size_bytes.to_le_bytes());
    row
}

/// Reads a row for an artifact; none is a damaged one.
pub(crate) fn decode_artifact(row: &[u8]) -> Option<BlobRef> {
    let (digest, size) = row.split_first_chunk()?;
    let size_bytes = u64::from_le_bytes(size.try_into().ok()?);
    Some(BlobRef { digest: Digest::from_bytes(*digest), size_bytes })
}

/// Puts encoded job reports together into pages: one after the other, at least one in each and no more than fit.
pub(crate) fn pages(reports: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut pages: Vec<Vec<u8>> = Vec::new();
    for report in reports {
        match pages.last_mut() {
            Some(page) if page.len() + report.len() <= JOB_PAGE_BYTES_MAX => page.extend_from_slice(&report),
            _ => pages.push(report),
        }
    }
    pages
}

/// What follows on a job's report begins with this: no report does, as its first field is the length of the job's name.
const MORE_MARK: u8 = 0;

/// Behind the mark, what was observed begins with this: the lines of a log do not, as there is one at least.
const TRACE_MARK: u8 = 0;

/// A report as it was first written.
#[derive(Serialize, Deserialize)]
struct JobRow<'a> {
    job: Cow<'a, str>,
    status: JobStatus,
    key: Option<ActionKey>,
    cached: bool,
    result: Option<Cow<'a, ActionResult>>,
    usage: Usage,
    ready_ns: u64,
    started_ns: u64,
    ended_ns: u64,
    error: Cow<'a, [String]>,
    hint: Option<Cow<'a, str>>,
}

impl<'a> JobRow<'a> {
    fn of(report: &'a JobReport) -> Self {
        Self {
            job: Cow::Borrowed(&report.job),
            status: report.status,
            key: report.key,
            cached: report.cached,
            result: report.result.as_ref().map(Cow::Borrowed),
            usage: report.usage,
            ready_ns: report.ready_ns,
            started_ns: report.started_ns,
            ended_ns: report.ended_ns,
            error: Cow::Borrowed(&report.error),
            hint: report.hint.as_deref().map(Cow::Borrowed),
        }
    }

    fn into_report(self) -> JobReport {
        JobReport {
            job: self.job.into_owned(),
            status: self.status,
            key: self.key,
            cached: self.cached,
            result: self.result.map(Cow::into_owned),
            usage: self.usage,
            ready_ns: self.ready_ns,
            started_ns: self.started_ns,
            ended_ns: self.ended_ns,
            error: self.error.into_owned(),
            hint: self.hint.map(Cow::into_owned),
            log: Vec::new(),
            trace: JobTrace::default(),
        }
    }
}

pub(crate) fn encode_job(report: &JobReport) -> Result<Vec<u8>, StoreError> {
    let failed = |error| failed("encode a job report")(error);
    let mut row = postcard::to_stdvec(&JobRow::of(report)).map_err(failed)?;
    if report.trace != JobTrace::default() {
        row.extend_from_slice(&[MORE_MARK, TRACE_MARK]);
        row = postcard::to_extend(&report.trace, row).map_err(failed)?;
    }
    if !report.log.is_empty() {
        row.push(MORE_MARK);
        row = postcard::to_extend(&report.log, row).map_err(failed)?;
    }
    Ok(row)
}

/// Adds the reports of a page to `reports`; what follows on damage is left out.
pub(crate) fn decode_jobs(run: RunId, mut page: &[u8], reports: &mut Vec<JobReport>) {
    while !page.is_empty() {
        let Some((row, mut rest)) = decoded::<(JobRow<'_>, &[u8])>("run_jobs", &run, postcard::take_from_bytes(page))
        else {
            return;
        };
        let mut report = row.into_report();
        while let [MORE_MARK, more @ ..] = rest {
            let read = match more {
                [TRACE_MARK, trace @ ..] => {
                    decoded("run_jobs", &run, postcard::take_from_bytes(trace)).map(|(trace, behind)| {
                        report.trace = trace;
                        behind
                    })
                }
                log => decoded("run_jobs", &run, postcard::take_from_bytes(log)).map(|(log, behind)| {
                    report.log = log;
                    behind
                }),
            };
            // Where that is damaged, nobody knows where what is behind it begins.
            rest = read.unwrap_or_default();
        }
        reports.push(report);
        page = rest;
    }
}

/// The key of a run's record in the log.
pub(crate) fn run_key(run: RunId) -> Key {
    page_key(run, 0)
}

/// The key of a page of a run's job reports in the log: the run's number and the page's, in little-endian.
pub(crate) fn page_key(run: RunId, page: u32) -> Key {
    let mut key = [0; 32];
    let fields = run.0.to_le_bytes().into_iter().chain(page.to_le_bytes());
    key.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    key
}

/// Reads either key.
pub(crate) fn run_and_page(key: &Key) -> (RunId, u32) {
    let run = key.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let page = key.get(8..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes);
    (RunId(run), page)
}

fn decoded<T>(table: &str, key: &dyn std::fmt::Display, row: Result<T, postcard::Error>) -> Option<T> {
    row.inspect_err(|error| tracing::warn!(table, %key, %error, "a damaged row of the store is taken for absent")).ok()
}
