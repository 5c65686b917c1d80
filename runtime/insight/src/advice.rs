//! What made a run slow, and what to change.
//!
//! Owns: the rules, each with the figure that it rests on. Does not know: how advice is shown, or how anything was measured.

use serde::Serialize;

use crate::anatomy::{Anatomy, total};
use crate::path::CriticalPath;
use crate::summary::{Summary, ratio};
use crate::text::{count, duration, percent};

const SECOND: u64 = 1_000_000_000;

/// A job that takes longer than this, and more than a fifth of the total, is looked at by itself.
const DOMINANT_NS: u64 = 10 * SECOND;

/// What takes less than this in all is not worth a word.
const WORTH_NS: u64 = SECOND / 2;

/// Families of fewer jobs have no mean to speak of.
const FAMILY_MIN: usize = 4;

/// An attempt that takes less is a tiny one.
const TINY_NS: u64 = 2_000_000;

/// Fewer tiny jobs are not worth a batch.
const TINY_MIN: usize = 100;

/// The slowest disk that anybody waits for, in bytes per second.
const DISK_BYTES_PER_SECOND: f64 = 4e6;

/// The most outliers of a family that are named.
const OUTLIERS_NAMED: usize = 3;

/// Something that made a run slow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// By which rule.
    pub kind: Kind,
    /// What, in a few words.
    pub title: String,
    /// The figure that this rests on.
    pub figure: String,
    /// What to change.
    pub change: String,
    /// The jobs that it is about, by their places in the run.
    pub jobs: Vec<usize>,
    /// About how much time it is about, in nanoseconds of wall time: the larger comes first.
    pub weight_ns: u64,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One job takes more than 10 s and more than 20 % of the total.
    Dominant,
    /// One job is most of the run while workers have nothing to do.
    TooLarge,
    /// A job takes more than 1.5 times the mean of its family, and more than twice as long as the next.
    Outlier,
    /// The longest of a family takes more than three times the mean.
    Uneven,
    /// Workers had jobs in hand less than half of the time.
    Idle,
    /// Jobs waited while workers had nothing to do: for memory, or for resources.
    HeldBack,
    /// Attempts used the processor less than half of the time.
    IoBound,
    /// Jobs had no processor for most of their time, and read and wrote little.
    Crowded,
    /// Reading inputs took more than a fifth of the workers' time.
    Inputs,
    /// Handing results to the store took more than a tenth of the workers' time.
    StoreWrites,
    /// Compiling took more than a fifth of the workers' time.
    Compile,
    /// Many jobs are so small that what is around them takes longer.
    TooSmall,
}

/// Says what made a run slow, what matters most first.
pub fn advise(anatomy: &Anatomy<'_>, path: &CriticalPath, summary: &Summary) -> Vec<Advice> {
    let mut all = Vec::new();
    let known = Known { anatomy, path, summary, families: executed_by_family(anatomy) };
    all.extend(known.dominant());
    all.extend(known.too_large(&all));
    all.extend(known.families.iter().enumerate().filter_map(|(family, jobs)| known.uneven(family, jobs)));
    all.extend(known.held_back());
    all.extend(known.idle());
    all.extend(known.phases());
    all.extend(known.families.iter().enumerate().filter_map(|(family, jobs)| known.too_small(family, jobs)));
    all.sort_by_key(|advice| std::cmp::Reverse(advice.weight_ns));
    all
}

struct Known<'a> {
    anatomy: &'a Anatomy<'a>,
    path: &'a CriticalPath,
    summary: &'a Summary,
    /// The executed jobs of each family.
    families: Vec<Vec<usize>>,
}

fn executed_by_family(anatomy: &Anatomy<'_>) -> Vec<Vec<usize>> {
    let mut families = vec![Vec::new(); anatomy.families.len()];
    for job in (0..anatomy.jobs.len()).filter(|job| anatomy.is_executed(*job)) {
        families[anatomy.family_of[job]].push(job);
    }
    families
}

impl Known<'_> {
    fn name(&self, job: usize) -> &str {
        &self.anatomy.jobs[job].job
    }

    fn wall(&self, job: usize) -> u64 {
        self.anatomy.jobs[job].usage.wall_ns
    }

    fn dominant(&self) -> Vec<Advice> {
        let total = self.summary.execute_ns;
        let is_dominant = |job: &usize| self.wall(*job) > DOMINANT_NS && ratio(self.wall(*job), total) > 0.2;
        let of = |job: usize| Advice {
            kind: Kind::Dominant,
            title: format!("`{}` takes a large part of the whole", self.name(job)),
            figure: format!(
                "{} of {} in all jobs ({})",
                duration(self.wall(job)),
                duration(total),
                percent(self.wall(job), total)
            ),
            change:
                "make it faster, or split it into jobs that run at the same time (`for-each`, or a plan that it yields)"
                    .to_owned(),
            jobs: vec![job],
            weight_ns: self.saved_by_half(job).unwrap_or(self.wall(job) / 2),
        };
        self.families.iter().flatten().copied().filter(|job| is_dominant(job)).map(of).collect()
    }

    fn saved_by_half(&self, job: usize) -> Option<u64> {
        self.path.steps.iter().find(|step| step.job == job).and_then(|step| step.halved_saves_ns)
    }

    fn too_large(&self, others: &[Advice]) -> Option<Advice> {
        // What compiling takes has a rule of its own.
        let step = self.path.steps.iter().max_by_key(|step| self.wall(step.job))?;
        let (took_ns, wall_ns) = (self.wall(step.job), self.summary.span_ns);
        let is_known = others.iter().any(|advice| advice.jobs == [step.job]);
        let waits = self.anatomy.workers() > 1 && self.summary.utilisation < 0.75;
        if is_known
            || !waits
            || took_ns < SECOND
            || ratio(took_ns, wall_ns) < 0.5
            || !self.anatomy.is_executed(step.job)
        {
            return None;
        }
        Some(Advice {
            kind: Kind::TooLarge,
            title: format!("`{}` keeps everybody waiting", self.name(step.job)),
            figure: format!(
                "{} of {} ({}), with workers busy for {} of the time",
                duration(took_ns),
                duration(wall_ns),
                percent(took_ns, wall_ns),
                whole(self.summary.utilisation)
            ),
            change:
                "split it into jobs that run at the same time, or give it a higher `priority` if it could start earlier"
                    .to_owned(),
            jobs: vec![step.job],
            weight_ns: step.halved_saves_ns.unwrap_or(took_ns / 2),
        })
    }

    /// One rule speaks of a family: it is uneven, or a few of its jobs stand out.
    fn uneven(&self, family: usize, jobs: &[usize]) -> Option<Advice> {
        let sum = total(jobs.iter().map(|job| self.wall(*job)));
        let mean = sum / (jobs.len() as u64).max(1);
        let beyond = |job: &usize| self.wall(*job).saturating_sub(mean.saturating_mul(3) / 2);
        let excess = total(jobs.iter().map(beyond));
        if jobs.len() < FAMILY_MIN || excess < WORTH_NS || mean == 0 {
            return None;
        }
        let mut sorted: Vec<usize> = jobs.to_vec();
        sorted.sort_by_key(|job| std::cmp::Reverse(self.wall(*job)));
        let longest = *sorted.first()?;
        let outliers: Vec<usize> = sorted
            .iter()
            .copied()
            .take_while(|job| self.wall(*job) > mean.saturating_mul(3) / 2)
            .take(OUTLIERS_NAMED)
            .collect();
        let times = self.wall(longest) as f64 / mean as f64;
        let name = &self.anatomy.families[family];
        let figure = format!(
            "the longest, `{}`, takes {} and the mean of {} is {} ({times:.1}x)",
            self.name(longest),
            duration(self.wall(longest)),
            count(jobs.len(), "job"),
            duration(mean)
        );
        let (kind, title, change) = match times {
            times if times > 3.0 => (
                Kind::Uneven,
                format!("the jobs of `{name}` are uneven"),
                "split what takes longest, or cut items of about the same size; the longest are started first once their durations are known",
            ),
            times if times > 1.5 => (
                Kind::Outlier,
                format!("some jobs of `{name}` take longer than the others"),
                "look at what is different about them: `wasmill show RUN JOB`",
            ),
            _ => return None,
        };
        Some(Advice {
            kind,
            title,
            figure,
            change: change.to_owned(),
            jobs: outliers,
            weight_ns: excess / self.anatomy.workers() as u64,
        })
    }

    fn idle(&self) -> Option<Advice> {
        let (workers, utilisation) = (self.anatomy.workers(), self.summary.utilisation);
        let wall_ns = self.summary.span_ns;
        if workers < 2 || utilisation >= 0.5 || wall_ns < SECOND || self.summary.executed == 0 {
            return None;
        }
        let chain = ratio(self.path.length_ns, wall_ns);
        let change = if chain > 0.5 {
            format!(
                "the critical path alone takes {}: shorten it, or let jobs on it depend on less; more workers bring nothing",
                duration(self.path.length_ns)
            )
        } else {
            "there was too little to do for so many workers: use fewer (`--jobs`), or cut the work into more jobs"
                .to_owned()
        };
        Some(Advice {
            kind: Kind::Idle,
            title: "workers had little to do".to_owned(),
            figure: format!("{workers} workers had jobs in hand for {} of the time", whole(utilisation)),
            change,
            jobs: Vec::new(),
            weight_ns: (wall_ns as f64 * (0.5 - utilisation)) as u64,
        })
    }

    /// For how long jobs waited that a worker was free for.
    fn held_back(&self) -> Option<Advice> {
        if self.summary.span_ns < WORTH_NS {
            return None;
        }
        let mut steps: Vec<(u64, i64, i64)> = Vec::new();
        for report in self.anatomy.jobs.iter().filter(|report| report.trace.worker.is_some()) {
            steps.push((report.ready_ns, 0, 1));
            steps.push((report.started_ns, 1, -1));
            steps.push((report.ended_ns, -1, 0));
        }
        steps.sort_unstable();
        let (mut running, mut waiting, mut since, mut held_ns) = (0, 0, 0, 0);
        for (at, runs, waits) in steps {
            // Whoever has just ended one takes the next; who waits for that long is kept from it.
            if waiting > 0 && running > 0 && running < self.anatomy.workers() as i64 {
                held_ns += at - since; // sorted: at most the last of them in all
            }
            (running, waiting, since) = (running + runs, waiting + waits, at);
        }
        let wall_ns = self.summary.span_ns;
        if held_ns < WORTH_NS || ratio(held_ns, wall_ns) < 0.2 {
            return None;
        }
        Some(Advice {
            kind: Kind::HeldBack,
            title: "jobs waited although workers were free".to_owned(),
            figure: format!("for {} of {} ({})", duration(held_ns), duration(wall_ns), percent(held_ns, wall_ns)),
            change: "their `limits.memory`, `cpus` or `resources` did not fit beside what ran: lower them, or raise `--memory-budget` or the plan's `resources`".to_owned(),
            jobs: Vec::new(),
            weight_ns: held_ns / 2,
        })
    }

    fn phases(&self) -> Vec<Advice> {
        let summary = self.summary;
        let workers = self.anatomy.workers() as u64;
        let of = |kind, part_ns: u64, least: f64, title: &str, doing: &str, change: &str| {
            let is_much = part_ns >= WORTH_NS && ratio(part_ns, summary.in_hand_ns) > least;
            is_much.then(|| Advice {
                kind,
                title: title.to_owned(),
                figure: format!(
                    "{} of {} in which workers had jobs in hand went to {doing} ({})",
                    duration(part_ns),
                    duration(summary.in_hand_ns),
                    percent(part_ns, summary.in_hand_ns)
                ),
                change: change.to_owned(),
                jobs: Vec::new(),
                weight_ns: part_ns / workers,
            })
        };
        let waits = summary.execute_ns.saturating_sub(summary.run.cpu_ns);
        let traffic = summary.run.traffic;
        let is_io = waits_for_disk(traffic.read_bytes.saturating_add(traffic.written_bytes), waits);
        let doing = "attempts that did not use the processor";
        let less = "read less, or try more workers than cores: `wasmill tune` measures what suits";
        let fewer = "something else uses the machine, or there are more workers than cores: try `--jobs auto`, or fewer; \
                     `wasmill tune` measures what suits";
        let all = [
            of(
                Kind::Compile,
                summary.prepare_ns,
                0.2,
                "much time goes to compiling",
                "compiling modules or waiting for it",
                "modules are compiled once and kept: the next run has them; a smaller module (`opt-level = \"s\"`, fewer dependencies) compiles faster",
            ),
            of(
                Kind::Inputs,
                summary.resolve_ns,
                0.2,
                "much time goes to reading inputs",
                "reading and digesting inputs",
                "give each job only the files that it needs; unchanged files are not read again in the next run",
            ),
            of(
                Kind::StoreWrites,
                summary.store_ns,
                0.1,
                "much time goes to the store",
                "handing results to the store",
                "write fewer and smaller outputs, name those that count in `out`, or put the store on a faster disk",
            ),
            of(
                Kind::IoBound,
                if is_io { waits } else { 0 },
                0.5,
                "jobs wait for what they read and write",
                doing,
                less,
            ),
            of(Kind::Crowded, if is_io { 0 } else { waits }, 0.5, "jobs wait for a processor", doing, fewer),
        ];
        all.into_iter().flatten().collect()
    }

    fn too_small(&self, family: usize, jobs: &[usize]) -> Option<Advice> {
        let walls = total(jobs.iter().map(|job| self.wall(*job)));
        let in_hand = total(jobs.iter().map(|job| self.anatomy.took_ns(*job)));
        let mean = walls / (jobs.len() as u64).max(1);
        let around = in_hand.saturating_sub(walls);
        if jobs.len() < TINY_MIN || mean > TINY_NS || around < walls || around < WORTH_NS {
            return None;
        }
        Some(Advice {
            kind: Kind::TooSmall,
            title: format!("the jobs of `{}` are tiny", self.anatomy.families[family]),
            figure: format!(
                "{} take {} each, and {} around that",
                count(jobs.len(), "job"),
                duration(mean),
                duration(around / jobs.len() as u64)
            ),
            change: "have many of them executed together: `batch = 100`".to_owned(),
            jobs: Vec::new(),
            weight_ns: around / self.anatomy.workers() as u64,
        })
    }
}

/// Whether a disk can explain that jobs which moved so many bytes did not use the processor for so long. A guest waits for nothing
/// else: there are no clocks and no network.
pub fn waits_for_disk(bytes: u64, waits_ns: u64) -> bool {
    bytes as f64 >= DISK_BYTES_PER_SECOND * (waits_ns as f64 / SECOND as f64)
}

fn whole(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::tests::{job, record};

    fn kinds(jobs: &[wasmill_model::JobReport], workers: u32) -> Vec<Kind> {
        let record = record(jobs, workers);
        let anatomy = Anatomy::of(&record, jobs);
        let path = CriticalPath::of(&anatomy);
        let summary = Summary::of(&anatomy, &path);
        advise(&anatomy, &path, &summary).iter().map(|advice| advice.kind).collect()
    }

    #[test]
    fn nothing_is_said_of_a_run_that_nothing_is_wrong_with() {
        let even: Vec<_> = (0..8)
            .map(|at| job(at, &format!("a[{at}]"), &[], u64::from(at / 2) * 1_000, u64::from(at / 2 + 1) * 1_000))
            .collect();
        assert_eq!(kinds(&even, 2), []);
        assert_eq!(kinds(&[], 2), []);
    }

    #[test]
    fn a_job_that_takes_most_of_the_time_is_named() {
        let long = [job(0, "long", &[], 0, 15_000), job(1, "short", &[], 0, 2_000)];
        assert_eq!(kinds(&long, 1), [Kind::Dominant]);
        let large = [job(0, "long", &[], 0, 5_000), job(1, "short", &[], 0, 100)];
        assert_eq!(kinds(&large, 2), [Kind::TooLarge]);
    }

    #[test]
    fn uneven_families_are_named() {
        let items = |longest: u64| -> Vec<_> {
            let end = |at: u32| if at == 0 { longest } else { 1_000 };
            (0..8).map(|at| job(at, &format!("a[{at}]"), &[], 0, end(at))).collect()
        };
        assert_eq!(kinds(&items(9_000), 8)[..], [Kind::TooLarge, Kind::Idle, Kind::Uneven]);
        assert_eq!(kinds(&items(2_500), 1), [Kind::Outlier]);
        assert_eq!(kinds(&items(1_100), 1), []);
    }

    #[test]
    fn idle_workers_and_jobs_that_are_held_back_are_named() {
        // One after the other, though nothing makes them wait for each other.
        let mut held: Vec<_> = (0..6_u32)
            .map(|at| job(at, &format!("j{at}"), &[], u64::from(at) * 1_000, u64::from(at + 1) * 1_000))
            .collect();
        held.iter_mut().for_each(|report| report.ready_ns = 0);
        assert_eq!(kinds(&held, 4), [Kind::HeldBack, Kind::Idle]);
    }

    #[test]
    fn what_is_around_jobs_is_named() {
        let with = |change: fn(&mut wasmill_model::JobReport)| {
            let mut one = [job(0, "a", &[], 0, 4_000)];
            change(&mut one[0]);
            kinds(&one, 1)
        };
        assert_eq!(with(|report| report.trace.phases.prepare_ns = 2_000_000_000), [Kind::Compile]);
        assert_eq!(with(|report| report.trace.phases.resolve_ns = 2_000_000_000), [Kind::Inputs]);
        assert_eq!(with(|report| report.trace.phases.store_ns = 2_000_000_000), [Kind::StoreWrites]);
        assert_eq!(with(|report| report.usage.cpu_ns = 100_000_000), [Kind::Crowded]);
        let reads = |report: &mut wasmill_model::JobReport| {
            report.usage.cpu_ns = 100_000_000;
            report.trace.traffic.read_bytes = 100_000_000;
        };
        assert_eq!(with(reads), [Kind::IoBound]);
    }

    #[test]
    fn tiny_jobs_are_better_in_a_batch() {
        let mut tiny: Vec<_> = (0..200_u32)
            .map(|at| job(at, &format!("a[{at}]"), &[], u64::from(at) * 10, u64::from(at + 1) * 10))
            .collect();
        for report in &mut tiny {
            (report.usage.wall_ns, report.usage.cpu_ns) = (1_000_000, 1_000_000);
        }
        assert_eq!(kinds(&tiny, 1), [Kind::TooSmall]);
    }
}
