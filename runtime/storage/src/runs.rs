//! The history of runs.
//!
//! Owns: run numbers, records, and the jobs of each run in the order in which they ended. Does not know: plans.

use std::collections::BTreeMap;

use redb::ReadableTable;
use wasmill_model::port::{OnDurable, RunLog, StoreError};
use wasmill_model::{JobReport, RunId, RunRecord, RunState};

use crate::Storage;
use crate::error::on_index;
use crate::pending::Look;
use crate::tables::{decode_jobs, decode_run, encode_job, encode_run};

impl RunLog for Storage {
    fn begin(&self, plan: &str, started_unix_ms: u64) -> Result<RunId, StoreError> {
        let plan = plan.to_owned();
        self.shared.pending.hand_in(plan.len(), |state| {
            let id = state.take_run_id();
            let row = encode_run(&RunRecord { id, plan, started_unix_ms, state: RunState::Started })?;
            state.filling.runs.insert(id, row);
            Ok(id)
        })?
    }

    fn append(&self, run: RunId, reports: &[JobReport]) -> Result<(), StoreError> {
        if reports.is_empty() {
            return Ok(());
        }
        let rows = reports.iter().map(encode_job).collect::<Result<Vec<_>, _>>()?;
        self.shared.pending.hand_in(rows.iter().map(Vec::len).sum(), |state| {
            let pages = state.filling.jobs.entry(run).or_default();
            rows.into_iter().for_each(|row| pages.push(row));
        })
    }

    fn end(&self, record: &RunRecord, on_durable: OnDurable) -> Result<(), StoreError> {
        let row = encode_run(record)?;
        self.shared.pending.hand_in(row.len(), |state| {
            state.filling.runs.insert(record.id, row);
            state.when_durable(on_durable);
            state.hurry();
        })
    }

    fn runs(&self, at_most: usize) -> Result<Vec<RunRecord>, StoreError> {
        let (view, pending) = self.shared.pending.read().survey(|batch| batch.runs.clone());
        let mut rows = BTreeMap::new();
        on_index("list the runs", || {
            for row in view.runs.iter()?.rev().take(at_most) {
                let (run, row) = row?;
                rows.insert(RunId(run.value()), row.value().to_vec());
            }
            Ok(())
        })?;
        rows.extend(pending.into_iter().flatten());
        Ok(rows.iter().rev().take(at_most).filter_map(|(run, row)| decode_run(*run, row)).collect())
    }

    fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        let look = self.shared.pending.read().look(|batch| batch.runs.get(&run).cloned());
        match look {
            Look::Pending(row) => Ok(decode_run(run, &row)),
            Look::Committed(view) => {
                on_index("look up a run", || Ok(view.runs.get(run.0)?.and_then(|row| decode_run(run, row.value()))))
            }
        }
    }

    fn jobs(&self, run: RunId) -> Result<Vec<JobReport>, StoreError> {
        let (view, pending) = self.shared.pending.read().survey(|batch| batch.jobs.get(&run).cloned());
        let mut reports = Vec::new();
        on_index("list the jobs of a run", || {
            for row in view.run_jobs.range((run.0, 0)..=(run.0, u32::MAX))? {
                decode_jobs(run, row?.1.value(), &mut reports);
            }
            Ok(())
        })?;
        for page in pending.into_iter().flatten().flat_map(|pages| pages.0) {
            decode_jobs(run, &page, &mut reports);
        }
        Ok(reports)
    }
}
