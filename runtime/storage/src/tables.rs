//! The index: every table, and the layout of every row.
//!
//! Owns: table names with their versions, keys, encodings, and the rule that a row which does not decode counts
//! as absent. Does not know: files, when rows are written, or by whom they are read. Described in
//! `docs/storage-format.md`.

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use wasmill_model::port::{Stamp, StoreError};
use wasmill_model::{ActionKey, ActionRecord, BlobRef, Digest, JobReport, RunId, RunRecord};

use crate::error::failed;

/// Digest → [`BlobRow`].
pub(crate) const BLOBS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("blobs-1");
/// Action key → record and action, see [`encode_action`].
pub(crate) const ACTIONS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("actions-2");
/// Run number → postcard of [`RunRecord`].
pub(crate) const RUNS: TableDefinition<u64, &[u8]> = TableDefinition::new("runs-1");
/// (run number, page from 0 on) → some job reports, see [`JobPages`].
pub(crate) const RUN_JOBS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("run_jobs-2");
/// Host path → postcard of its stamp and blob.
pub(crate) const STATS: TableDefinition<&str, &[u8]> = TableDefinition::new("stats-2");
/// Artifact key → digest and size of its content, see [`encode_artifact`].
pub(crate) const COMPILED: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("compiled-1");

/// The largest blob that is kept in the index, in bytes. redb rounds a value to a power of two of 4 KiB pages:
/// with its key and page header a value of 16,000 bytes just fits 16 KiB, one of 16,384 takes 32.
pub(crate) const INLINE_BYTES_MAX: usize = 16_000;

/// The most bytes in a page of job reports, for the same reason.
const JOB_PAGE_BYTES_MAX: usize = 16_000;

const TAG_INLINE: u8 = 0;
const TAG_FILE: u8 = 1;

/// The tables as of one commit.
pub(crate) struct View {
    pub(crate) blobs: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    pub(crate) actions: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    pub(crate) runs: ReadOnlyTable<u64, &'static [u8]>,
    pub(crate) run_jobs: ReadOnlyTable<(u64, u32), &'static [u8]>,
    pub(crate) stats: ReadOnlyTable<&'static str, &'static [u8]>,
    pub(crate) compiled: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
}

impl View {
    /// What the latest commit left.
    pub(crate) fn latest(index: &Database) -> Result<Self, redb::Error> {
        let read = index.begin_read()?;
        Ok(Self {
            blobs: read.open_table(BLOBS)?,
            actions: read.open_table(ACTIONS)?,
            runs: read.open_table(RUNS)?,
            run_jobs: read.open_table(RUN_JOBS)?,
            stats: read.open_table(STATS)?,
            compiled: read.open_table(COMPILED)?,
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
    write.open_table(BLOBS)?;
    write.open_table(ACTIONS)?;
    write.open_table(RUNS)?;
    write.open_table(RUN_JOBS)?;
    write.open_table(STATS)?;
    write.open_table(COMPILED)?;
    write.commit()?;
    Ok(())
}

/// Where a blob is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BlobRow<'a> {
    /// Tag 0, then the content.
    Inline(&'a [u8]),
    /// Tag 1, then the size of the file as a little-endian u64.
    File { size_bytes: u64 },
}

impl<'a> BlobRow<'a> {
    /// Writes the row over `row`.
    pub(crate) fn encode(&self, row: &mut Vec<u8>) {
        row.clear();
        match self {
            BlobRow::Inline(content) => {
                row.push(TAG_INLINE);
                row.extend_from_slice(content);
            }
            BlobRow::File { size_bytes } => {
                row.push(TAG_FILE);
                row.extend_from_slice(&size_bytes.to_le_bytes());
            }
        }
    }

    /// Reads a row; none is a damaged one.
    pub(crate) fn decode(row: &'a [u8]) -> Option<Self> {
        match row.split_first()? {
            (&TAG_INLINE, content) => Some(BlobRow::Inline(content)),
            (&TAG_FILE, size) => Some(BlobRow::File { size_bytes: u64::from_le_bytes(size.try_into().ok()?) }),
            _ => None,
        }
    }
}

/// A row of the action cache: postcard of the record, then the action in its canonical encoding.
pub(crate) fn encode_action(record: &ActionRecord, action: &[u8]) -> Result<Vec<u8>, StoreError> {
    let row = Vec::with_capacity(128 + action.len());
    let mut row = postcard::to_extend(record, row).map_err(failed("encode an action record"))?;
    row.extend_from_slice(action);
    Ok(row)
}

/// Reads a row of the action cache; none is a damaged one.
pub(crate) fn decode_action<'a>(key: &ActionKey, row: &'a [u8]) -> Option<(ActionRecord, &'a [u8])> {
    decoded("action", key, postcard::take_from_bytes(row))
}

pub(crate) fn encode_run(record: &RunRecord) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(record).map_err(failed("encode a run"))
}

pub(crate) fn decode_run(run: RunId, row: &[u8]) -> Option<RunRecord> {
    decoded("run", &run, postcard::from_bytes(row))
}

pub(crate) fn encode_stat(stamp: &Stamp, blob: &BlobRef) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(&(stamp, blob)).map_err(failed("encode a stamp"))
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

/// Job reports in pages: each is the postcard of one report after the other, at least one and no more than fit.
#[derive(Debug, Default, Clone)]
pub(crate) struct JobPages(pub(crate) Vec<Vec<u8>>);

impl JobPages {
    /// Adds an encoded report.
    pub(crate) fn push(&mut self, report: Vec<u8>) {
        match self.0.last_mut() {
            Some(page) if page.len() + report.len() <= JOB_PAGE_BYTES_MAX => page.extend_from_slice(&report),
            _ => self.0.push(report),
        }
    }
}

pub(crate) fn encode_job(report: &JobReport) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(report).map_err(failed("encode a job report"))
}

/// Adds the reports of a page to `reports`; what follows on damage is left out.
pub(crate) fn decode_jobs(run: RunId, mut page: &[u8], reports: &mut Vec<JobReport>) {
    while !page.is_empty() {
        let Some((report, rest)) = decoded("run_jobs", &run, postcard::take_from_bytes(page)) else { return };
        reports.push(report);
        page = rest;
    }
}

fn decoded<T>(table: &str, key: &dyn std::fmt::Display, row: Result<T, postcard::Error>) -> Option<T> {
    row.inspect_err(|error| tracing::warn!(table, %key, %error, "a damaged row of the store is taken for absent")).ok()
}
