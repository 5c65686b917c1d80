//! The DAGs that every tool gets.
//!
//! Owns: their shapes. Does not know: how a tool is told.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;

/// How many layers the layered shape has.
const LAYERS: usize = 20;

/// How many jobs of the layer before a job of the layered shape reads, at most.
const DEPENDENCIES_MAX: u64 = 5;

/// A kind of DAG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Independent jobs.
    Wide,
    /// Every job reads the one before it.
    Chain,
    /// Twenty layers; a job reads one to five jobs of the layer before.
    Layered,
}

/// A DAG of some size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// What it looks like.
    pub(super) kind: Kind,
    /// How many jobs it has.
    pub(super) jobs: usize,
}

/// For every job, the jobs that it reads, all of them earlier ones.
pub(super) type Dag = Vec<Vec<usize>>;

impl Shape {
    /// The DAG, the same each time.
    pub(super) fn dag(self) -> Dag {
        let layer_jobs = (self.jobs / LAYERS).max(1);
        let mut random = Random(42);
        (0..self.jobs)
            .map(|job| match self.kind {
                Kind::Wide => Vec::new(),
                Kind::Chain => job.checked_sub(1).into_iter().collect(),
                Kind::Layered => match (job / layer_jobs).checked_sub(1) {
                    None => Vec::new(),
                    Some(layer) => random.distinct(layer * layer_jobs, layer_jobs),
                },
            })
            .collect()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wide => "wide",
            Self::Chain => "chain",
            Self::Layered => "layered",
        })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.jobs)
    }
}

/// SplitMix64: a few lines that give the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One to five numbers from `first` on, below `first + count`, sorted; drawn twice counts once.
    fn distinct(&mut self, first: usize, count: usize) -> Vec<usize> {
        let draws = 1 + self.next() % DEPENDENCIES_MAX;
        let drawn: BTreeSet<usize> = (0..draws).map(|_| first + (self.next() % count as u64) as usize).collect();
        drawn.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_reads_earlier_jobs_only() {
        for kind in [Kind::Wide, Kind::Chain, Kind::Layered] {
            let dag = Shape { kind, jobs: 200 }.dag();
            assert_eq!(dag.len(), 200);
            for (job, dependencies) in dag.iter().enumerate() {
                assert!(dependencies.iter().all(|dependency| *dependency < job), "{kind} {job}");
                assert!(dependencies.is_sorted());
            }
        }
    }

    #[test]
    fn the_shapes_are_what_they_are_called() {
        assert!(Shape { kind: Kind::Wide, jobs: 50 }.dag().iter().all(Vec::is_empty));
        assert_eq!(Shape { kind: Kind::Chain, jobs: 3 }.dag(), [vec![], vec![0], vec![1]]);
        let layered = Shape { kind: Kind::Layered, jobs: 200 }.dag();
        assert_eq!(layered.iter().filter(|dependencies| dependencies.is_empty()).count(), 10);
        assert!(layered[10..].iter().enumerate().all(|(index, dependencies)| {
            let layer = index / 10;
            dependencies.iter().all(|dependency| dependency / 10 == layer)
        }));
        assert_eq!(layered, Shape { kind: Kind::Layered, jobs: 200 }.dag());
    }
}
