//! How long jobs took in earlier runs of a plan.
//!
//! Owns: which runs are looked at, and what is expected of a job that was not in them. Does not know: what is done with that.

use std::collections::{HashMap, HashSet};

use wasmill_model::port::{RunLog, StoreError};
use wasmill_model::{JobStatus, RunId};

use crate::graph::{Graph, JobId};

/// How many of the latest runs are looked through, of any plan.
const RUNS_SEARCHED: usize = 10;

/// How long jobs took in earlier runs.
#[derive(Debug)]
pub struct Durations {
    /// The latest of these runs.
    pub run: RunId,
    by_job: HashMap<String, u64>,
    /// By the name of the plan's entry: the sum, and of how many.
    by_family: HashMap<String, (u64, u64)>,
    all: (u64, u64),
}

impl Durations {
    /// What is known of a graph's jobs: of each what it took when it succeeded last. None if there is nothing.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn find(runs: &dyn RunLog, graph: &Graph) -> Result<Option<Self>, StoreError> {
        let mut unknown: HashSet<&str> = graph.ids().map(|id| graph.job(id).name.as_str()).collect();
        let mut found: Option<Self> = None;
        for run in runs.runs(RUNS_SEARCHED)?.into_iter().filter(|run| run.plan == graph.name()) {
            for report in runs.jobs(run.id)? {
                // Jobs that come to be are not in the graph yet.
                let is_late = report.job.contains(['[', '/']);
                if report.status == JobStatus::Succeeded && (unknown.remove(report.job.as_str()) || is_late) {
                    let (by_job, by_family) = (HashMap::new(), HashMap::new());
                    let found = found.get_or_insert(Self { run: run.id, by_job, by_family, all: (0, 0) });
                    found.add(report.job, report.usage.wall_ns.max(1));
                }
            }
            if unknown.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    fn add(&mut self, job: String, wall_ns: u64) {
        if self.by_job.contains_key(&job) {
            return;
        }
        let family = self.by_family.entry(family_of(&job).to_owned()).or_default();
        for (sum, count) in [family, &mut self.all] {
            *sum = sum.saturating_add(wall_ns);
            *count += 1;
        }
        self.by_job.insert(job, wall_ns);
    }

    /// How long a job is expected to take, in nanoseconds: as long as it did, else as those of its family in the mean, else as all.
    pub fn expected(&self, graph: &Graph, id: JobId) -> u64 {
        let name = &graph.job(id).name;
        let mean = |(sum, count): (u64, u64)| sum / count.max(1);
        let family = || mean(self.by_family.get(family_of(name)).copied().unwrap_or(self.all));
        self.by_job.get(name).copied().unwrap_or_else(family).max(1)
    }
}

/// The name of a job without its items.
fn family_of(name: &str) -> &str {
    name.split_once('[').map_or(name, |(family, _)| family)
}
