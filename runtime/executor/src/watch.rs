//! Bottlenecks, while there is still time to do something about them.
//!
//! Owns: when a job is slow among its like, when workers have had nothing to do for too long, and the words for it. Does not
//! know: clocks, who is told, or targets (`targets`). What can be said only at the end is the records' readers' to say.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::graph::JobId;

/// How often it is looked.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// What is over sooner is not worth a word.
const WORTH: Duration = Duration::from_secs(10);

/// So many of a family have to have ended before another one is slow among them.
const FAMILY_MIN: u32 = 4;

/// A job is slow that takes so many times as long as the others of its family.
const SLOW_TIMES: u32 = 3;

/// Jobs that are named in one sentence.
const NAMED: usize = 3;

/// What the run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How many workers there are.
    pub(crate) workers: usize,
    /// Those of them that have nothing to do.
    pub(crate) idle: usize,
    /// Jobs that could start if there was enough of everything.
    pub(crate) ready: usize,
    /// Jobs that have not ended.
    pub(crate) left: usize,
}

/// The attempts under way, and those of each family that have ended.
#[derive(Debug)]
pub(crate) struct Watch {
    running: HashMap<JobId, Instant>,
    /// Of each family: how long attempts took, and how many there were.
    families: HashMap<String, (Duration, u32)>,
    looked: Instant,
    /// Since when more than half of the workers have had nothing to do.
    idle_since: Option<Instant>,
    /// Jobs of which it was said that they are slow.
    said_slow: HashSet<JobId>,
    /// Whether it was said that workers are idle: once is enough.
    said_idle: bool,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            running: HashMap::new(),
            families: HashMap::new(),
            looked: now,
            idle_since: None,
            said_slow: HashSet::new(),
            said_idle: false,
        }
    }

    /// An attempt began.
    pub(crate) fn started(&mut self, job: JobId, now: Instant) {
        self.running.insert(job, now);
    }

    /// An attempt came to no result.
    pub(crate) fn gave_up(&mut self, job: JobId) {
        self.running.remove(&job);
    }

    /// A job ended. Of one that was not executed there is nothing to learn.
    pub(crate) fn ended(&mut self, job: JobId, family: &str, now: Instant) {
        let Some(since) = self.running.remove(&job) else { return };
        if !self.families.contains_key(family) {
            self.families.insert(family.to_owned(), (Duration::ZERO, 0));
        }
        if let Some((sum, count)) = self.families.get_mut(family) {
            *sum += now.duration_since(since);
            *count += 1;
        }
    }

    /// What there is to say now. `names` gives a job's name and its family's.
    pub(crate) fn due<'a>(
        &mut self,
        now: Instant,
        standing: impl FnOnce() -> Standing,
        names: impl Fn(JobId) -> (&'a str, &'a str),
    ) -> Vec<String> {
        if now.duration_since(self.looked) < LOOKS_EVERY {
            return Vec::new();
        }
        self.looked = now;
        let mut said = self.slow(now, &names);
        said.extend(self.idle(now, standing(), &names));
        said
    }

    fn slow<'a>(&mut self, now: Instant, names: &impl Fn(JobId) -> (&'a str, &'a str)) -> Vec<String> {
        let mut slow = Vec::new();
        for (job, since) in self.longest() {
            let takes = now.duration_since(since);
            if takes < WORTH {
                break;
            }
            let (name, family) = names(job);
            let Some((sum, count)) = self.families.get(family).filter(|(_, count)| *count >= FAMILY_MIN) else {
                continue;
            };
            let mean = *sum / *count;
            if takes > mean * SLOW_TIMES && self.said_slow.insert(job) {
                let (takes, mean) = (whole_seconds(takes), tenths(mean));
                slow.push(format!(
                    "`{name}` has been at work for {takes}; the {count} of `{family}` that have ended took {mean} in \
                     the mean"
                ));
            }
        }
        slow
    }

    fn idle<'a>(
        &mut self,
        now: Instant,
        standing: Standing,
        names: &impl Fn(JobId) -> (&'a str, &'a str),
    ) -> Option<String> {
        let Standing { workers, idle, ready, left } = standing;
        let waiting = left.saturating_sub(self.running.len());
        if idle * 2 <= workers || waiting == 0 || self.running.is_empty() {
            self.idle_since = None;
            return None;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now.duration_since(since) < WORTH || self.said_idle {
            return None;
        }
        self.said_idle = true;
        let for_so_long = whole_seconds(now.duration_since(since));
        let began = format!("{idle} of {workers} workers have had nothing to do for {for_so_long}:");
        if ready > 0 {
            let jobs = if ready == 1 { "1 job waits" } else { &format!("{ready} jobs wait") };
            return Some(format!("{began} {jobs} for memory or resources that others have"));
        }
        let named: Vec<String> =
            self.longest().into_iter().take(NAMED).map(|(job, _)| format!("`{}`", names(job).0)).collect();
        let more = if self.running.len() > NAMED { " and others" } else { "" };
        let jobs = if waiting == 1 { "1 job waits" } else { &format!("{waiting} jobs wait") };
        Some(format!("{began} {jobs} for {}{more}", named.join(", ")))
    }

    /// What is under way, the longest first.
    fn longest(&self) -> Vec<(JobId, Instant)> {
        let mut running: Vec<_> = self.running.iter().map(|(job, since)| (*job, *since)).collect();
        running.sort_unstable_by_key(|(job, since)| (*since, *job));
        running
    }
}

fn whole_seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

fn tenths(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Standing = Standing { workers: 4, idle: 0, ready: 0, left: 20 };

    fn names(job: JobId) -> (&'static str, &'static str) {
        (["scan[a]", "scan[b]", "scan[c]", "scan[d]", "scan[e]", "train"][job.index()], {
            if job.index() < 5 { "scan" } else { "train" }
        })
    }

    fn seconds(from: Instant, seconds: u64) -> Instant {
        from + Duration::from_secs(seconds)
    }

    /// Four of a family took so long each.
    fn four_ended(took_seconds: u64) -> (Watch, Instant) {
        let began = Instant::now();
        let mut watch = Watch::new(began);
        for job in (0..4).map(JobId) {
            watch.started(job, began);
            watch.ended(job, "scan", seconds(began, took_seconds));
        }
        (watch, began)
    }

    #[test]
    fn a_job_that_is_slow_among_its_like_is_named_once() {
        let (mut watch, began) = four_ended(2);
        watch.started(JobId(4), began);
        let mut due = |at| watch.due(seconds(began, at), || BUSY, names);
        assert_eq!(due(9), [""; 0]);
        let said = "`scan[e]` has been at work for 11 s; the 4 of `scan` that have ended took 2.0 s in the mean";
        assert_eq!(due(11), [said]);
        assert_eq!(due(12), [""; 0]);
    }

    #[test]
    fn a_job_is_not_slow_where_all_of_them_take_their_time() {
        let (mut watch, began) = four_ended(20);
        watch.started(JobId(4), began);
        assert_eq!(watch.due(seconds(began, 50), || BUSY, names), [""; 0]);
        assert_eq!(watch.due(seconds(began, 61), || BUSY, names).len(), 1);
    }

    #[test]
    fn a_job_without_its_like_is_not_slow() {
        let began = Instant::now();
        let mut watch = Watch::new(began);
        watch.started(JobId(5), began);
        assert_eq!(watch.due(seconds(began, 1_000), || BUSY, names), [""; 0]);
    }

    #[test]
    fn attempts_that_came_to_nothing_are_not_counted() {
        let (mut watch, began) = four_ended(2);
        watch.started(JobId(4), began);
        watch.gave_up(JobId(4));
        assert_eq!(watch.due(seconds(began, 60), || BUSY, names), [""; 0]);
        watch.ended(JobId(5), "train", seconds(began, 61));
        assert!(!watch.families.contains_key("train"), "it was never executed");
    }

    #[test]
    fn workers_without_work_are_said_to_wait_for_what_runs() {
        let began = Instant::now();
        let mut watch = Watch::new(began);
        watch.started(JobId(5), began);
        let standing = Standing { workers: 4, idle: 3, ready: 0, left: 8 };
        let mut due = |at, standing| watch.due(seconds(began, at), || standing, names);
        assert_eq!(due(1, standing), [""; 0]);
        assert_eq!(due(5, BUSY), [""; 0], "there was something to do in between");
        assert_eq!(due(6, standing), [""; 0]);
        assert_eq!(due(15, standing), [""; 0]);
        let said = "3 of 4 workers have had nothing to do for 10 s: 7 jobs wait for `train`";
        assert_eq!(due(16, standing), [said]);
        assert_eq!(due(60, standing), [""; 0]);
    }

    #[test]
    fn workers_without_work_are_said_to_wait_for_memory() {
        let began = Instant::now();
        let mut watch = Watch::new(began);
        watch.started(JobId(5), began);
        let standing = Standing { workers: 4, idle: 3, ready: 1, left: 8 };
        watch.due(seconds(began, 1), || standing, names);
        let said =
            "3 of 4 workers have had nothing to do for 10 s: 1 job waits for memory or resources that others have";
        assert_eq!(watch.due(seconds(began, 11), || standing, names), [said]);
    }

    #[test]
    fn nothing_waits_at_the_end() {
        let began = Instant::now();
        let mut watch = Watch::new(began);
        watch.started(JobId(5), began);
        let standing = Standing { workers: 4, idle: 3, ready: 0, left: 1 };
        for at in 1..30 {
            assert_eq!(watch.due(seconds(began, at), || standing, names), [""; 0]);
        }
    }
}
