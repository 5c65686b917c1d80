//! Simulated runs: the scheduler and random plans that grow, with a clock that only events move. Every seed is a run; it says what
//! each job does, how long it takes, and when the run is cancelled. `cargo xtask sim --seed N` shows one.
//!
//! Owns: what must hold whatever happens: each job ends once and after what it needs, budgets are kept, nobody is passed over for
//! ever, the same seed is the same run, and a run that is cut off anywhere comes, when it goes on, to the same as if it had not been. Does not know: threads, stores, or what a job really does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

use wasmill_model::plan::{Bindings, JobSpec};

use crate::graph::{Graph, Job, JobId, Role};
use crate::scheduler::tests::graph;
use crate::scheduler::{Amounts, Command, Demand, Ending, Needs as _, PASSED_OVER_MAX, Scheduler, Signal};

/// How many seeds are tried.
const SEEDS: u64 = 4_000;

/// Numbers that look random and are the same each time (splitmix64).
struct Rng(u64);

impl Rng {
    fn of(seed: u64, name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, name).hash(&mut hasher);
        Self(hasher.finish())
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    /// Jobs of which each needs some of those before it.
    fn dag(&mut self, most: usize) -> Vec<BTreeSet<usize>> {
        let count = self.index(most);
        let needs = |rng: &mut Self, at: usize| (0..rng.below(4)).map(|_| rng.index(at)).collect();
        (0..count).map(|at| if at == 0 { BTreeSet::new() } else { needs(self, at) }).collect()
    }
}

/// What a job does, which follows from the seed and its name.
struct Acts {
    needs: Amounts,
    priority: i64,
    /// How long each attempt takes, and how it ends.
    attempts: Vec<(u64, Ending)>,
    /// What is added when it has succeeded.
    opens: Option<Vec<BTreeSet<usize>>>,
}

fn acts(seed: u64, name: &str) -> Acts {
    let mut rng = Rng::of(seed, name);
    let needs = if rng.below(5) == 0 { (0..rng.below(4)).map(|_| rng.below(12)).collect() } else { vec![1] };
    let priority = if rng.below(5) == 0 { i64::try_from(rng.below(5)).unwrap() - 2 } else { 0 };
    let takes = 1 + rng.below(10);
    let again = |times: u64, last: Ending| {
        (0..times).map(|_| (takes, Ending::Again)).chain([(takes, last)]).collect::<Vec<_>>()
    };
    let attempts = match rng.below(40) {
        // By itself, or with a trap: it is the same to the scheduler.
        0..3 => again(0, Ending::Failed),
        // It times out, as often as it is tried.
        3 => again(rng.below(4), Ending::Failed),
        // The host cannot carry it out at first.
        4 | 5 => again(1 + rng.below(3), Ending::Succeeded),
        // It is slow.
        6 | 7 => vec![(takes * 100, Ending::Succeeded)],
        _ => again(0, Ending::Succeeded),
    };
    let is_shallow = name.matches('/').count() < 3;
    let opens = (is_shallow && rng.below(6) == 0).then(|| rng.dag(8));
    Acts { needs, priority, attempts, opens }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Executed(Ending),
    Skipped,
    Dropped,
}

/// What a run came to: the fate of each job that had one, and all that happened.
struct Came {
    fates: BTreeMap<String, Fate>,
    log: String,
    events: usize,
}

struct Simulation<'a> {
    seed: u64,
    /// How jobs ended in a run before, of those whose results are durable.
    known: &'a BTreeMap<String, Fate>,
    /// After how many events the process is killed.
    cut: usize,
    graph: Graph,
    spec: Arc<JobSpec>,
    budget: Amounts,
    cancelled_at: Option<u64>,
    scheduler: Scheduler,
    now: u64,
    running: BinaryHeap<Reverse<(u64, JobId)>>,
    delayed: BinaryHeap<Reverse<(u64, JobId)>>,
    tried: HashMap<JobId, usize>,
    fates: HashMap<JobId, Fate>,
    /// What was added before each node that closes.
    added: HashMap<JobId, Vec<JobId>>,
    /// How often each ready job was passed over by one of a lower priority.
    /// Jobs that are executed together with another one.
    riding: HashSet<JobId>,
    passed_over: HashMap<JobId, u32>,
    came: Came,
}

/// Adds jobs to a graph, and after them the nodes that close what some of them open. The first needs `also`.
fn add(graph: &Graph, spec: &Arc<JobSpec>, seed: u64, prefix: &str, dag: &[BTreeSet<usize>], also: &[JobId]) {
    let first = graph.jobs.count();
    let id = |index: usize| JobId(u32::try_from(index).unwrap());
    let name = |at: usize| format!("{prefix}{at}");
    let openers: Vec<usize> = (0..dag.len()).filter(|at| acts(seed, &name(*at)).opens.is_some()).collect();
    let closer = |at: usize| openers.iter().position(|opener| *opener == at).map(|n| id(first + dag.len() + n));
    let push = |name: String, needs: BTreeSet<JobId>, role| {
        graph.jobs.push(Job {
            name,
            spec: Arc::clone(spec),
            bindings: Bindings::new(),
            upstream: Vec::new(),
            needs: needs.into_iter().collect(),
            role,
            scope: 0,
            grown: OnceLock::new(),
        });
    };
    for (at, needs) in dag.iter().enumerate() {
        let mut needs: BTreeSet<JobId> = needs.iter().map(|at| closer(*at).unwrap_or_else(|| id(first + at))).collect();
        if at == 0 {
            needs.extend(also);
        }
        let role = closer(at).map_or(Role::Execute { closer: None }, |closer| Role::Expand { closer });
        push(name(at), needs, role);
    }
    for at in openers {
        let opener = id(first + at);
        push(format!("{}.", name(at)), BTreeSet::from([opener]), Role::Close { opener });
    }
}

fn demand(seed: u64, graph: &Graph, job: JobId) -> Demand {
    let Acts { needs, priority, attempts, .. } = acts(seed, &graph.job(job).name);
    Demand { needs, priority, expected: attempts[0].0 }
}

/// Carries a run out, or what of it there is before it is cut off.
fn run(seed: u64, known: &BTreeMap<String, Fate>, cut: usize) -> Came {
    let mut rng = Rng::of(seed, "");
    let spec = Arc::clone(&graph(&[vec![]]).jobs[0].spec);
    let graph = graph(&[]);
    add(&graph, &spec, seed, "", &rng.dag(60), &[]);
    let budget: Amounts = (0..1 + rng.below(3)).map(|_| 1 + rng.below(8)).collect();
    let scheduler = Scheduler::new(&graph, budget.clone(), keeps_going(seed), |job| demand(seed, &graph, job));
    let came = Came { fates: BTreeMap::new(), log: String::new(), events: 0 };
    let mut simulation = Simulation {
        seed,
        known,
        cut,
        graph,
        spec,
        budget,
        cancelled_at: cancelled_at(seed),
        scheduler,
        now: 0,
        running: BinaryHeap::new(),
        delayed: BinaryHeap::new(),
        tried: HashMap::new(),
        fates: HashMap::new(),
        added: HashMap::new(),
        passed_over: HashMap::new(),
        riding: HashSet::new(),
        came,
    };
    while simulation.step() {}
    if simulation.came.events < cut {
        assert!(simulation.scheduler.is_done(), "the run stands still:\n{}", simulation.came.log);
        simulation.check();
    }
    let fates = simulation.fates.iter().map(|(job, fate)| (simulation.graph.job(*job).name.clone(), *fate)).collect();
    Came { fates, ..simulation.came }
}

fn keeps_going(seed: u64) -> bool {
    !seed.is_multiple_of(3)
}

fn cancelled_at(seed: u64) -> Option<u64> {
    seed.is_multiple_of(7).then(|| Rng::of(seed, "cancel").below(100))
}

impl Simulation<'_> {
    /// Has all jobs taken that can be, and then the next thing happen. False: nothing is left, or the process is killed.
    fn step(&mut self) -> bool {
        while let Some(job) = self.scheduler.take() {
            self.taken(job);
            // In some runs there are batches.
            let at_most = usize::try_from(self.seed % 4).unwrap();
            for also in self.scheduler.take_also(job, at_most, |_| true) {
                self.riding.insert(also);
                self.taken(also);
            }
        }
        assert!(!self.scheduler.has_next());
        assert_eq!(self.scheduler.running(), self.running.len());
        while self.delayed.peek().is_some_and(|Reverse((_, job))| self.fates.contains_key(job)) {
            self.delayed.pop();
        }
        let next = |queue: &BinaryHeap<Reverse<(u64, JobId)>>| queue.peek().map(|Reverse((when, _))| *when);
        let (end, due) = (next(&self.running), next(&self.delayed));
        assert_eq!(self.scheduler.is_stuck(), end.is_none() && due.is_none() && !self.scheduler.is_done());
        let Some(when) = end.into_iter().chain(due).min() else { return false };
        if self.came.events >= self.cut {
            return false;
        }
        self.now = self.now.max(when);
        if self.cancelled_at.take_if(|at| *at <= when).is_some() {
            self.tell(Signal::Cancel, "the run is cancelled");
        } else if Some(when) == end {
            let Some(Reverse((_, job))) = self.running.pop() else { return false };
            self.end(job);
        } else if let Some(Reverse((_, job))) = self.delayed.pop() {
            let said = format!("{} is due again", self.graph.job(job).name);
            self.tell(Signal::Due(job), &said);
        }
        true
    }

    fn note(&mut self, said: &str) {
        writeln!(self.came.log, "{:6}  {said}", self.now).unwrap();
    }

    fn needs(&self, job: JobId) -> impl Iterator<Item = JobId> + use<'_> {
        self.graph.job(job).needs.iter().chain(self.added.get(&job).into_iter().flatten()).copied()
    }

    fn has_succeeded(&self, job: JobId) -> bool {
        self.fates.get(&job) == Some(&Fate::Executed(Ending::Succeeded))
    }

    fn taken(&mut self, job: JobId) {
        let name = self.graph.job(job).name.clone();
        let is_elsewhere = [&self.running, &self.delayed].iter().any(|queue| queue.iter().any(|next| next.0.1 == job));
        assert!(!is_elsewhere && !self.fates.contains_key(&job), "{name} is taken twice:\n{}", self.came.log);
        assert!(self.needs(job).all(|needed| self.has_succeeded(needed)), "{name} is early:\n{}", self.came.log);
        let mine = acts(self.seed, &name);
        let tried = self.tried.get(&job).copied().unwrap_or(0);
        // What is known takes no time.
        let takes = if self.known.contains_key(&name) { 0 } else { mine.attempts[tried].0 };
        self.running.push(Reverse((self.now + takes, job)));
        self.note(&format!("{name} begins"));
        for (thing, all) in self.budget.iter().enumerate() {
            let of = |job: JobId| acts(self.seed, &self.graph.job(job).name).needs.get(thing).copied().unwrap_or(0);
            let takes = |next: &&Reverse<(u64, JobId)>| !self.riding.contains(&next.0.1);
            let taken: u64 = self.running.iter().filter(takes).map(|next| of(next.0.1).min(*all)).sum();
            assert!(taken <= *all, "more of {thing} is taken than there is:\n{}", self.came.log);
        }
        if !self.riding.contains(&job) {
            self.pass_over(job, mine.priority);
        }
    }

    /// Nobody waits for ever: each kind of needs that ranks higher may have to wait for the one before it.
    fn pass_over(&mut self, taken: JobId, priority: i64) {
        let count = u32::try_from(self.graph.jobs.count()).unwrap();
        let passed_over = self.passed_over.get(&taken).copied().unwrap_or(0);
        assert!(passed_over <= (PASSED_OVER_MAX + 1) * count, "{taken:?} waited long:\n{}", self.came.log);
        let is_busy =
            |job: &JobId| [&self.running, &self.delayed].iter().any(|all| all.iter().any(|next| next.0.1 == *job));
        let waits = |job: &JobId| !self.fates.contains_key(job) && self.needs(*job).all(|id| self.has_succeeded(id));
        let waiting: Vec<JobId> = self.graph.nodes().filter(|job| waits(job) && !is_busy(job)).collect();
        for job in waiting {
            if acts(self.seed, &self.graph.job(job).name).priority > priority {
                *self.passed_over.entry(job).or_default() += 1;
            }
        }
    }

    fn end(&mut self, job: JobId) {
        self.riding.remove(&job);
        let name = self.graph.job(job).name.clone();
        let tried = self.tried.entry(job).or_default();
        let ending = match self.known.get(&name) {
            Some(Fate::Executed(ending)) => *ending,
            _ => acts(self.seed, &name).attempts[*tried].1,
        };
        *tried += 1;
        if ending == Ending::Again {
            // Unless the run stops: it is dropped then.
            let wait = 5 << *tried;
            self.delayed.push(Reverse((self.now + wait, job)));
        } else {
            if let (Role::Expand { closer }, Ending::Succeeded) = (self.graph.job(job).role, ending) {
                self.open(job, closer);
            }
            assert!(self.fates.insert(job, Fate::Executed(ending)).is_none());
        }
        self.tell(Signal::Ended(job, ending), &format!("{name} ends: {ending:?}"));
    }

    /// Adds what a job opens.
    fn open(&mut self, opener: JobId, closer: JobId) {
        let first = self.graph.jobs.count();
        let name = &self.graph.job(opener).name;
        let dag = acts(self.seed, name).opens.unwrap_or_default();
        // What is added may need what cannot need it: what stands before it in the plan, whatever has become of that.
        let root: usize = name.split('/').next().and_then(|root| root.parse().ok()).unwrap();
        let before = (root > 0).then(|| Rng::of(self.seed, name).index(root));
        let id_of = |name: String| self.graph.nodes().find(|id| self.graph.job(*id).name == name);
        let also = before.and_then(|at| id_of(format!("{at}.")).or_else(|| id_of(at.to_string())));
        add(&self.graph, &self.spec, self.seed, &format!("{name}/"), &dag, also.as_slice());
        self.added.insert(closer, self.graph.nodes().skip(first).collect());
        let mut commands = Vec::new();
        self.scheduler.grow(&self.graph, closer, |job| demand(self.seed, &self.graph, job), &mut commands);
        self.hear(commands);
    }

    fn tell(&mut self, signal: Signal, said: &str) {
        self.came.events += 1;
        self.note(said);
        // There may be fewer workers, or more again, at any time.
        if self.came.events.is_multiple_of(11) && self.seed.is_multiple_of(5) {
            let workers = Rng::of(self.seed, said).below(self.budget[0] + 1);
            assert!(self.scheduler.set_workers(workers) <= self.budget[0]);
        }
        // What jobs are expected to take may become known at any time.
        if self.came.events == 7 {
            self.scheduler.expect(&self.graph, |job| Rng::of(self.seed, &self.graph.job(job).name).below(100));
        }
        let mut commands = Vec::new();
        self.scheduler.on(signal, &mut commands);
        self.hear(commands);
    }

    fn hear(&mut self, commands: Vec<Command>) {
        for command in commands {
            let (job, fate) = match command {
                Command::Skip { job, because } => {
                    let because = self.fates.get(&because);
                    assert!(!matches!(because, None | Some(Fate::Executed(Ending::Succeeded))), "{because:?}");
                    (job, Fate::Skipped)
                }
                Command::Drop(job) => (job, Fate::Dropped),
            };
            self.note(&format!("{}: {fate:?}", self.graph.job(job).name));
            assert!(self.fates.insert(job, fate).is_none(), "{job:?} ends twice:\n{}", self.came.log);
        }
    }

    /// What must hold at the end.
    fn check(&self) {
        assert_eq!(self.fates.len(), self.graph.jobs.count(), "a job has no fate:\n{}", self.came.log);
        let failed = self.fates.values().any(|fate| *fate == Fate::Executed(Ending::Failed));
        let stops = cancelled_at(self.seed).is_some() || failed && !keeps_going(self.seed);
        for (job, fate) in &self.fates {
            let behind = self.needs(*job).any(|needed| !self.has_succeeded(needed));
            match fate {
                Fate::Dropped => assert!(stops, "{job:?}:\n{}", self.came.log),
                Fate::Skipped => assert!(behind, "{job:?}:\n{}", self.came.log),
                Fate::Executed(_) => assert!(!behind, "{job:?}:\n{}", self.came.log),
            }
        }
    }
}

/// Tries one seed. Returns the log of its run, and whether jobs came to be in it.
fn try_seed(seed: u64) -> (String, bool) {
    let nothing = BTreeMap::new();
    let whole = run(seed, &nothing, usize::MAX);
    assert_eq!(whole.log, run(seed, &nothing, usize::MAX).log, "seed {seed}: the same seed must be the same run");
    if whole.events > 0 {
        // Killed at any event: what ended is durable, and what goes on comes to the same.
        let killed = run(seed, &nothing, Rng::of(seed, "cut").index(whole.events));
        let known = killed.fates.into_iter().filter(|(_, fate)| matches!(fate, Fate::Executed(_))).collect();
        let resumed = run(seed, &known, usize::MAX);
        if keeps_going(seed) && cancelled_at(seed).is_none() {
            assert_eq!(whole.fates, resumed.fates, "seed {seed}: what goes on came to something else");
        }
    }
    let has_grown = whole.fates.keys().any(|name| name.contains('/'));
    (whole.log, has_grown)
}

#[test]
fn whatever_happens_each_job_ends_once_and_in_order() {
    if let Ok(seed) = std::env::var("WASMILL_SIM_SEED") {
        let seed = seed.parse().expect("a number");
        println!("{}", run(seed, &BTreeMap::new(), usize::MAX).log);
        try_seed(seed);
        return;
    }
    let grown = (0..SEEDS).filter(|seed| {
        let tried = std::panic::catch_unwind(|| try_seed(*seed).1);
        tried.unwrap_or_else(|_| panic!("`cargo xtask sim --seed {seed}` shows this run"))
    });
    assert!(grown.count() > 1_000);
}
