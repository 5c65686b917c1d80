//! How many workers there should be, where that is to follow from how the machine is doing.
//!
//! Owns: the rules, and why the number changes. Does not know: clocks, where the figures come from, or who the workers are.
//!
//! A guest waits for nothing: its inputs are in memory or mapped, and there are no clocks and no network to wait for. So an attempt that
//! takes longer by the wall clock than it computes did not get a processor, and fewer workers would do as much. (What it does not show
//! is processors that get in each other's way while they compute: sharing a core, or the way to the memory.)

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use wasmill_model::Usage;

/// For how long attempts are observed before anything is decided.
const WINDOW: Duration = Duration::from_millis(500);

/// For how long there are not more workers again after there were too many.
const CALM: Duration = Duration::from_secs(2);

/// The part of a processor that attempts have to get, in hundredths: with less there are too many workers, with more there may be
/// more.
const LOW: u64 = 75;
const HIGH: u64 = 90;

/// The part of the machine's memory that has to be free.
const FREE_TENTHS: u64 = 1;

/// A machine's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What can be had without anything's being moved to disk.
    pub free_bytes: u64,
    /// All there is.
    pub all_bytes: u64,
}

/// How the number of workers adapts.
#[derive(Debug, Clone, Copy)]
pub struct Adaptive {
    /// The fewest; the most is what the run has otherwise.
    pub workers_min: usize,
    /// Asks the machine. None: it does not say.
    pub memory: fn() -> Option<Memory>,
}

/// The number of workers of one run.
#[derive(Debug)]
pub(crate) struct Adapt {
    bounds: RangeInclusive<usize>,
    workers: usize,
    /// Asks the machine.
    pub(crate) memory: fn() -> Option<Memory>,
    /// When the attempts began to be observed that are added up here.
    since: Instant,
    cpu_ns: u64,
    wall_ns: u64,
    calm_until: Option<Instant>,
}

impl Adapt {
    /// Begins with as many as there may be.
    pub(crate) fn new(by: Adaptive, workers: usize, now: Instant) -> Self {
        let (bounds, memory) = (by.workers_min.clamp(1, workers)..=workers, by.memory);
        Self { bounds, workers, memory, since: now, cpu_ns: 0, wall_ns: 0, calm_until: None }
    }

    /// How many there are.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// There are so many in fact.
    pub(crate) fn has(&mut self, workers: usize) {
        self.workers = workers;
    }

    /// An attempt has ended.
    pub(crate) fn ended(&mut self, usage: &Usage) {
        self.cpu_ns = self.cpu_ns.saturating_add(usage.cpu_ns);
        self.wall_ns = self.wall_ns.saturating_add(usage.wall_ns);
    }

    /// How many workers there are to be from now on, and why, if that changes. `is_more_wanted`: jobs wait for a worker.
    pub(crate) fn decide(
        &mut self,
        now: Instant,
        is_more_wanted: bool,
        memory: impl FnOnce() -> Option<Memory>,
    ) -> Option<(usize, String)> {
        // Where nothing has ended, as each takes long, there is nothing to be seen.
        let observed = Duration::from_nanos(self.wall_ns);
        if now.saturating_duration_since(self.since) < WINDOW || observed < WINDOW {
            return None;
        }
        let share = self.cpu_ns.saturating_mul(100) / self.wall_ns.max(1);
        (self.since, self.cpu_ns, self.wall_ns) = (now, 0, 0);
        let (min, max) = (*self.bounds.start(), *self.bounds.end());
        let is_calm = self.calm_until.is_none_or(|until| now >= until);
        let (workers, why) = match memory() {
            Some(Memory { free_bytes, all_bytes }) if free_bytes < all_bytes / 10 * FREE_TENTHS => {
                let percent = free_bytes.saturating_mul(100) / all_bytes.max(1);
                (self.workers.saturating_sub(1), format!("{percent} % of the memory are free"))
            }
            _ if share < LOW => {
                let enough = (self.workers as u64).saturating_mul(share).div_ceil(100);
                let fewer = usize::try_from(enough).unwrap_or(usize::MAX).min(self.workers.saturating_sub(1));
                (fewer, format!("jobs got {share} % of a processor each"))
            }
            _ if share >= HIGH && is_more_wanted && is_calm => {
                (self.workers + 1, format!("jobs got {share} % of a processor each, and more of them wait"))
            }
            _ => return None,
        };
        let workers = workers.clamp(min, max);
        if workers < self.workers {
            self.calm_until = now.checked_add(CALM);
        }
        let has_changed = workers != self.workers;
        self.workers = workers;
        has_changed.then_some((workers, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapting(workers_min: usize, workers: usize, now: Instant) -> Adapt {
        Adapt::new(Adaptive { workers_min, memory: || None }, workers, now)
    }

    fn after(adapt: &mut Adapt, at: Instant, percent: u64, waits: bool, free_bytes: u64) -> Option<(usize, String)> {
        adapt.ended(&Usage { wall_ns: 1_000_000_000, cpu_ns: percent * 10_000_000, ..Usage::default() });
        adapt.decide(at, waits, || Some(Memory { free_bytes, all_bytes: 1_000 }))
    }

    #[test]
    fn fewer_workers_where_they_get_no_processor_and_more_again_later() {
        let began = Instant::now();
        let mut adapt = adapting(2, 16, began);
        let at = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(after(&mut adapt, at(1), 97, true, 500), None, "there are as many as there may be");
        let (workers, why) = after(&mut adapt, at(2), 50, true, 500).unwrap();
        assert_eq!((workers, why.as_str()), (8, "jobs got 50 % of a processor each"));
        assert_eq!(after(&mut adapt, at(3), 95, true, 500), None, "not at once");
        assert_eq!(after(&mut adapt, at(5), 95, false, 500), None, "nobody waits");
        assert_eq!(after(&mut adapt, at(6), 95, true, 500).unwrap().0, 9);
        assert_eq!(after(&mut adapt, at(7), 80, true, 500), None, "neither well nor badly");
        assert_eq!(after(&mut adapt, at(8), 0, true, 500).unwrap().0, 2, "there are at least so many");
        assert_eq!(after(&mut adapt, at(9), 0, true, 500), None);
    }

    #[test]
    fn fewer_workers_where_little_memory_is_free() {
        let began = Instant::now();
        let mut adapt = adapting(1, 3, began);
        let at = |seconds| began + Duration::from_secs(seconds);
        let (workers, why) = after(&mut adapt, at(1), 99, true, 60).unwrap();
        assert_eq!((workers, why.as_str()), (2, "6 % of the memory are free"));
        assert_eq!(after(&mut adapt, at(2), 99, true, 60).unwrap().0, 1);
        assert_eq!(after(&mut adapt, at(3), 99, true, 60), None);
        assert_eq!(after(&mut adapt, at(9), 99, true, 600).unwrap().0, 2);
    }

    #[test]
    fn nothing_is_decided_on_little() {
        let began = Instant::now();
        let mut adapt = adapting(1, 4, began);
        assert_eq!(after(&mut adapt, began + Duration::from_millis(100), 10, true, 500), None, "too early");
        let mut adapt = adapting(1, 4, began);
        adapt.ended(&Usage { wall_ns: 1_000_000, ..Usage::default() });
        assert_eq!(adapt.decide(began + Duration::from_secs(9), true, || None), None, "too little was seen");
    }
}
