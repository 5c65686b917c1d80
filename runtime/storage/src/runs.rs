//! The history of runs.
//!
//! Owns: run numbers, records, and the jobs of each run in the order in which they ended. Does not know: plans.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use memchr::memmem;
use redb::ReadableTable;
use wasmill_model::port::{OnDurable, RunLog, StoreError};
use wasmill_model::{Digest, JobReport, JobStatus, RunId, RunRecord, RunStart, RunState};

use crate::Storage;
use crate::error::{failed, on_index};
use crate::log::{Beside, Entry};
use crate::place::Place;
use crate::record::Kind;
use crate::tables::{decode_jobs, decode_run, encode_job, encode_run, page_key, pages, run_key};
use crate::tail::Look;

impl RunLog for Storage {
    fn begin(&self, start: &RunStart) -> Result<RunId, StoreError> {
        let id = self.take_run_id()?;
        let record = RunRecord::started(id, start.clone());
        let row = encode_run(&record)?;
        let entry = Entry { kind: Kind::Run, key: run_key(id), size_bytes: 0, body: &row };
        self.shared.log.hand_in(&entry, |tail, _| {
            tail.active.runs.insert(id, row.clone());
        })?;
        Ok(id)
    }

    fn append(&self, run: RunId, reports: &[JobReport]) -> Result<(), StoreError> {
        let rows = reports.iter().map(encode_job).collect::<Result<Vec<_>, _>>()?;
        let pages = pages(rows);
        let first = self.shared.take_pages(run, pages.len(), || self.next_page(run))?;
        for (page, body) in (first..).zip(&pages) {
            let entry = Entry { kind: Kind::Jobs, key: page_key(run, page), size_bytes: 0, body };
            self.shared.log.hand_in(&entry, |tail, place| {
                tail.active.jobs.insert((run, page), place);
            })?;
        }
        Ok(())
    }

    fn end(&self, record: &RunRecord, on_durable: OnDurable) -> Result<(), StoreError> {
        let row = encode_run(record)?;
        let entry = Entry { kind: Kind::Run, key: run_key(record.id), size_bytes: 0, body: &row };
        self.shared.log.hand_in_with(&entry, Beside::on_durable(on_durable), |tail, _| {
            tail.active.runs.insert(record.id, row.clone());
        })?;
        self.shared.log.hurry();
        Ok(())
    }

    fn runs(&self, at_most: usize) -> Result<Vec<RunRecord>, StoreError> {
        self.refresh()?;
        let (view, tail) = self.shared.log.tail().survey(|rows| rows.runs.clone());
        let mut rows = BTreeMap::new();
        on_index("list the runs", || {
            for row in view.runs.iter()?.rev().take(at_most) {
                let (run, row) = row?;
                rows.insert(RunId(run.value()), row.value().to_vec());
            }
            Ok(())
        })?;
        rows.extend(tail.into_iter().flatten());
        Ok(rows.iter().rev().take(at_most).filter_map(|(run, row)| decode_run(*run, row)).collect())
    }

    fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.refresh()?;
        let look = self.shared.log.tail().look(|rows| rows.runs.get(&run).cloned());
        match look {
            Look::Tail(row) => Ok(decode_run(run, &row)),
            Look::Index(view) => {
                on_index("look up a run", || Ok(view.runs.get(run.0)?.and_then(|row| decode_run(run, row.value()))))
            }
        }
    }

    fn jobs(&self, run: RunId) -> Result<Vec<JobReport>, StoreError> {
        let mut reports = Vec::new();
        self.each_job(run, &mut |report| reports.push(report))?;
        Ok(reports)
    }

    fn each_job(&self, run: RunId, each: &mut dyn FnMut(JobReport)) -> Result<(), StoreError> {
        self.refresh()?;
        let Some((repeated, record)) = self.run(run)?.and_then(|record| Some((record.repeats?, record))) else {
            return self.each_report(run, each);
        };
        let own = self.own_jobs(run)?;
        if (own.len() as u64) < record.own_jobs {
            // It was killed before it had said which they are, or a page is lost: nobody knows what became of the others.
            own.into_iter().filter(|report| !is_open(report)).for_each(each);
            return Ok(());
        }
        let ended_ns = match record.state {
            RunState::Ended(summary) => summary.wall_ns,
            RunState::Started => 0,
        };
        let at_ns = own.iter().map(|report| report.started_ns).min().unwrap_or(ended_ns);
        let names: HashSet<&str> = own.iter().map(|report| report.job.as_str()).collect();
        self.each_report(repeated, &mut |report| {
            if !names.contains(report.job.as_str()) {
                each(report.repeated(at_ns));
            }
        })?;
        drop(names);
        own.into_iter().filter(|report| !is_open(report)).for_each(each);
        Ok(())
    }

    fn job(&self, run: RunId, job: &str) -> Result<Option<JobReport>, StoreError> {
        self.refresh()?;
        if let Some(own) = self.own_job(run, job)? {
            return Ok(Some(own).filter(|report| !is_open(report)));
        }
        let Some((repeated, record)) = self.run(run)?.and_then(|record| Some((record.repeats?, record))) else {
            return Ok(None);
        };
        if record.own_jobs > 0 && (self.own_jobs(run)?.len() as u64) < record.own_jobs {
            return Ok(None);
        }
        Ok(self.own_job(repeated, job)?.map(|report| report.repeated(0)))
    }

    fn own_jobs(&self, run: RunId) -> Result<Vec<JobReport>, StoreError> {
        self.refresh()?;
        let mut own: Vec<JobReport> = Vec::new();
        self.each_report(run, &mut |report| own.push(report))?;
        // What is said later counts.
        let mut seen = HashSet::new();
        let mut is_latest: Vec<bool> = own.iter().rev().map(|report| seen.insert(report.job.as_str())).collect();
        own.retain(|_| is_latest.pop().unwrap_or(true));
        Ok(own)
    }

    fn settle(&self) {
        self.shared.log.settle();
    }

    fn hold(&self, run: RunId) -> Result<bool, StoreError> {
        loop {
            let seen = self.shared.epoch_seen.load(Ordering::Acquire);
            // A blob that is lost has to be made again.
            if self.run(run)?.is_none() || self.lacks_any()? {
                return Ok(false);
            }
            self.shared.lease.rely_on_run(run).map_err(failed("say what this process relies on"))?;
            if self.is_relied_on(seen)? {
                return Ok(true);
            }
        }
    }

    fn has_all_jobs(&self, run: RunId) -> Result<bool, StoreError> {
        let pages = self.pages(run)?;
        if !pages.keys().copied().eq((0..).take(pages.len())) {
            return Ok(false);
        }
        let is_whole =
            |(page, place): (&u32, &Place)| Ok(self.entry(Kind::Jobs, &page_key(run, *page), place, &run)?.is_some());
        pages.iter().try_fold(true, |all, page| Ok(all && is_whole(page)?))
    }
}

/// Whether a report only says that nothing is known of its job yet.
fn is_open(report: &JobReport) -> bool {
    report.status == JobStatus::Cancelled && report.ended_ns == 0
}

impl Storage {
    /// The reports of a run itself, in the order in which they were written.
    fn each_report(&self, run: RunId, each: &mut dyn FnMut(JobReport)) -> Result<(), StoreError> {
        let mut reports = Vec::new();
        self.each_page(run, &mut |page| {
            decode_jobs(run, page, &mut reports);
            reports.drain(..).for_each(&mut *each);
        })
    }

    /// The pages of a run's own reports.
    fn each_page(&self, run: RunId, each: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        for (page, place) in self.pages(run)? {
            let mut body = self.entry(Kind::Jobs, &page_key(run, page), &place, &run)?;
            if body.is_none() {
                // It may have been moved.
                self.refresh_now()?;
                if let Some(moved) = self.pages(run)?.get(&page).filter(|moved| **moved != place) {
                    body = self.entry(Kind::Jobs, &page_key(run, page), moved, &run)?;
                }
            }
            each(body.as_deref().unwrap_or_default());
        }
        Ok(())
    }

    /// What a run itself says of a job at last.
    fn own_job(&self, run: RunId, job: &str) -> Result<Option<JobReport>, StoreError> {
        let (mut found, mut reports) = (None, Vec::new());
        let name = memmem::Finder::new(job);
        self.each_page(run, &mut |page| {
            // Names stand there as they are, so most pages need not be decoded.
            if name.find(page).is_some() {
                decode_jobs(run, page, &mut reports);
                found = reports.drain(..).rfind(|report| report.job == job).or(found.take());
            }
        })?;
        Ok(found)
    }

    /// Whether a blob is lost and was not put again.
    fn lacks_any(&self) -> Result<bool, StoreError> {
        let lost: Vec<Digest> = self.shared.log.tail().lost.iter().copied().collect();
        lost.iter().try_fold(false, |lacks, digest| Ok(lacks || self.locate(digest)?.is_none()))
    }

    /// Where the pages of a run's reports are.
    pub(crate) fn pages(&self, run: RunId) -> Result<BTreeMap<u32, Place>, StoreError> {
        let of_run = (run, 0)..=(run, u32::MAX);
        let (view, tail) = self.shared.log.tail().survey(|rows| {
            rows.jobs.range(of_run.clone()).map(|((_, page), place)| (*page, *place)).collect::<Vec<_>>()
        });
        let mut pages = BTreeMap::new();
        on_index("list the jobs of a run", || {
            for row in view.run_jobs.range((run.0, 0)..=(run.0, u32::MAX))? {
                let (key, place) = row?;
                pages.insert(key.value().1, Place::decode(place.value()));
            }
            Ok(())
        })?;
        pages.extend(tail.into_iter().flatten());
        Ok(pages)
    }

    fn next_page(&self, run: RunId) -> Result<u32, StoreError> {
        Ok(self.pages(run)?.last_key_value().map_or(0, |(page, _)| page.saturating_add(1)))
    }
}
