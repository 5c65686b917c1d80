//! Races: candidates in an order, best first, of which the first few that succeed are wanted.
//!
//! Owns: which candidates are beaten, and stopping those that run. Does not know: how a candidate is executed, or what becomes
//! of the winners.
//!
//! A candidate is beaten once as many as are wanted have succeeded among those *before* it. So who wins depends on the
//! candidates alone, never on which of them was faster: one that was slower and is better still wins. What is behind the winners
//! is stopped at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmill_model::port::Cancel;
use wasmill_model::{ActionResult, Outcome};

use crate::graph::JobId;

/// The races of a run, each known by the node that judges it.
#[derive(Debug, Default)]
pub(crate) struct Races(Mutex<HashMap<JobId, Race>>);

#[derive(Debug, Default)]
struct Race {
    /// How many winners there are to be.
    wanted: usize,
    succeeded: BTreeSet<JobId>,
    running: HashMap<JobId, Cancel>,
    /// Whether any candidate came to a result.
    has_begun: bool,
    /// Candidates that are to be tried again.
    waiting: BTreeSet<JobId>,
    /// Those that could not be carried out, and why.
    errors: BTreeMap<JobId, Vec<String>>,
}

/// Whether a candidate that came to this might have won on another day: then a run that decides the race again need not come to the
/// same.
pub(crate) fn is_by_chance(result: Option<&ActionResult>) -> bool {
    result.is_some_and(|result| matches!(result.outcome, Outcome::TimedOut { .. }))
}

impl Race {
    /// The last of the winners, if there are as many as are wanted.
    fn last(&self) -> Option<JobId> {
        self.succeeded.iter().nth(self.wanted.checked_sub(1)?).copied()
    }

    fn is_beaten(&self, candidate: JobId) -> bool {
        self.last().is_some_and(|last| last < candidate)
    }
}

impl Races {
    fn races(&self) -> MutexGuard<'_, HashMap<JobId, Race>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a candidate run; none if it is beaten. `known` finds the candidates of which it is known that they succeed; it is asked
    /// when the first candidate of a race comes, so that nothing is executed that a result of before makes useless.
    pub(crate) fn begin(
        &self,
        judge: JobId,
        candidate: JobId,
        wanted: usize,
        cancel: &Cancel,
        known: impl FnOnce() -> BTreeSet<JobId>,
    ) -> Option<Cancel> {
        // Looking takes time, and others race meanwhile; two may look at the same time.
        let is_new = !self.races().contains_key(&judge);
        let succeeded = if is_new { known() } else { BTreeSet::new() };
        let mut races = self.races();
        let race = races.entry(judge).or_insert_with(|| Race { wanted, succeeded, ..Race::default() });
        if race.is_beaten(candidate) {
            return None;
        }
        let cancel = cancel.child();
        race.waiting.remove(&candidate);
        race.running.insert(candidate, cancel.clone());
        Some(cancel)
    }

    /// Notes how a candidate ended, if it came to a result at all, and stops those that it beats. Returns whether it is beaten itself.
    pub(crate) fn end(&self, judge: JobId, candidate: JobId, is_success: bool, has_result: bool) -> bool {
        let mut races = self.races();
        let Some(race) = races.get_mut(&judge) else { return false };
        race.running.remove(&candidate);
        if is_success {
            race.succeeded.insert(candidate);
        } else {
            // What was known of it may have been lost since.
            race.succeeded.remove(&candidate);
        }
        let is_beaten = race.is_beaten(candidate);
        race.has_begun |= has_result && !is_beaten;
        for (_, cancel) in race.running.iter().filter(|(running, _)| race.is_beaten(**running)) {
            cancel.cancel();
        }
        is_beaten
    }

    /// Notes that a candidate will be tried again. False: it is beaten, and need not be.
    pub(crate) fn wait(&self, judge: JobId, candidate: JobId) -> bool {
        let mut races = self.races();
        let Some(race) = races.get_mut(&judge).filter(|race| !race.is_beaten(candidate)) else { return false };
        race.running.remove(&candidate);
        race.waiting.insert(candidate)
    }

    /// Those that wait to be tried again and are beaten by now.
    pub(crate) fn beaten_waiting(&self, judge: JobId) -> Vec<JobId> {
        let mut races = self.races();
        let Some(race) = races.get_mut(&judge) else { return Vec::new() };
        let beaten: Vec<JobId> = race.waiting.iter().copied().filter(|id| race.is_beaten(*id)).collect();
        race.waiting.retain(|id| !beaten.contains(id));
        beaten
    }

    /// Notes why a candidate could not be carried out.
    pub(crate) fn fail(&self, judge: JobId, candidate: JobId, error: Vec<String>) {
        if let Some(race) = self.races().get_mut(&judge) {
            race.errors.insert(candidate, error);
        }
    }

    /// The first candidate that could not be carried out, and why.
    pub(crate) fn first_error(&self, judge: JobId) -> Option<(JobId, Vec<String>)> {
        let races = self.races();
        races.get(&judge)?.errors.first_key_value().map(|(candidate, error)| (*candidate, error.clone()))
    }

    /// Whether any candidate of a race came to a result.
    pub(crate) fn has_begun(&self, judge: JobId) -> bool {
        self.races().get(&judge).is_some_and(|race| race.has_begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUDGE: JobId = JobId(100);

    fn begin(races: &Races, candidate: u32, wanted: usize) -> Option<Cancel> {
        races.begin(JUDGE, JobId(candidate), wanted, &Cancel::new(), BTreeSet::new)
    }

    #[test]
    fn who_is_behind_as_many_as_are_wanted_is_stopped() {
        let races = Races::default();
        let cancels: Vec<Cancel> = (0..5).filter_map(|candidate| begin(&races, candidate, 2)).collect();
        assert!(!races.end(JUDGE, JobId(3), true, true));
        assert!(!races.end(JUDGE, JobId(0), false, true));
        assert!(cancels.iter().all(|cancel| !cancel.is_cancelled()));
        // 1 and 3 have succeeded: 4 is beaten, 2 is not.
        assert!(!races.end(JUDGE, JobId(1), true, true));
        assert_eq!(cancels.iter().map(Cancel::is_cancelled).collect::<Vec<_>>(), [false, false, false, false, true]);
        assert!(begin(&races, 5, 2).is_none());
        assert!(races.end(JUDGE, JobId(4), false, true));
        // A better one that is slower displaces 3.
        assert!(!races.end(JUDGE, JobId(2), true, true));
        assert!(races.has_begun(JUDGE));
    }

    #[test]
    fn what_is_known_keeps_others_from_beginning() {
        let races = Races::default();
        let known = || BTreeSet::from([JobId(1)]);
        assert!(races.begin(JUDGE, JobId(2), 1, &Cancel::new(), known).is_none());
        assert!(races.begin(JUDGE, JobId(0), 1, &Cancel::new(), known).is_some());
        assert!(races.begin(JUDGE, JobId(1), 1, &Cancel::new(), known).is_some());
        assert!(!races.has_begun(JUDGE));
    }

    #[test]
    fn who_stops_everything_stops_each() {
        let (races, all) = (Races::default(), Cancel::new());
        let one = races.begin(JUDGE, JobId(0), 1, &all, BTreeSet::new).unwrap();
        all.cancel();
        assert!(one.is_cancelled());
    }
}
