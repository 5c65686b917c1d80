//! The scheduler against random graphs that grow while they are executed: whatever happens to jobs, each ends once and in order.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use wasmill_model::plan::{Bindings, Format, parse};

use super::*;
use crate::expand::expand;
use crate::graph::{Job, Role};

/// A graph with the given dependencies; job `i` may only need jobs before it.
pub(crate) fn graph(dependencies: &[Vec<u32>]) -> Graph {
    let plan = parse("jobs.j.module = 'm'\nmodules.m.file = 'm.wasm'", Format::Toml).unwrap();
    let mut graph = expand(plan, Path::new("")).unwrap();
    let spec = Arc::clone(&graph.jobs[0].spec);
    let job = |(index, needs): (usize, &Vec<u32>)| Job {
        name: format!("j{index}"),
        label: String::new(),
        spec: Arc::clone(&spec),
        bindings: Bindings::new(),
        upstream: Vec::new(),
        needs: needs.iter().copied().map(JobId).collect(),
        role: Role::Execute { closer: None },
        scope: 0,
        grown: OnceLock::new(),
    };
    graph.jobs = dependencies.iter().enumerate().map(job).collect();
    graph
}

/// A graph in which some jobs open others, up to so deep. What needs a job that opens needs the one that closes.
fn growing_graph(dependencies: &[Vec<u32>], opens: impl Fn(usize) -> bool) -> Graph {
    let graph = graph(&[]);
    add(&graph, &graph_of_one(), dependencies, opens, &[]);
    graph
}

fn graph_of_one() -> Arc<wasmill_model::plan::JobSpec> {
    Arc::clone(&graph(&[vec![]]).jobs[0].spec)
}

/// Adds jobs that need each other as `dependencies` say, and those that close what they open. The first needs `also`.
fn add(
    graph: &Graph,
    spec: &Arc<wasmill_model::plan::JobSpec>,
    dependencies: &[Vec<u32>],
    opens: impl Fn(usize) -> bool,
    also: &[JobId],
) {
    let first = graph.jobs.count();
    let id = |index: usize| JobId(u32::try_from(index).unwrap());
    let openers: Vec<usize> = (0..dependencies.len()).filter(|at| opens(first + at)).collect();
    let closer =
        |at: usize| openers.iter().position(|opener| *opener == at).map(|n| id(first + dependencies.len() + n));
    let push = |needs: Vec<JobId>, role| {
        let index = graph.jobs.count();
        let (name, label, bindings) = (format!("j{index}"), String::new(), Bindings::new());
        let (spec, upstream, grown) = (Arc::clone(spec), Vec::new(), OnceLock::new());
        graph.jobs.push(Job { name, label, spec, bindings, upstream, needs, role, scope: 0, grown });
    };
    for (at, needs) in dependencies.iter().enumerate() {
        let result = |needed: &u32| closer(*needed as usize).unwrap_or_else(|| id(first + *needed as usize));
        let mut needs: BTreeSet<JobId> = needs.iter().map(result).collect();
        if at == 0 {
            needs.extend(also);
        }
        let role = closer(at).map_or(Role::Execute { closer: None }, |closer| Role::Expand { closer });
        push(needs.into_iter().collect(), role);
    }
    for opener in &openers {
        push(vec![id(first + opener)], Role::Close { opener: id(first + opener) });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Executed(Ending),
    Skipped,
    Dropped,
}

/// What a job of these tests asks for.
#[derive(Debug, Clone)]
struct Asks {
    needs: Amounts,
    priority: i64,
    expected: u64,
}

/// One that takes one of the first kind of thing that there is.
fn one() -> Asks {
    Asks { needs: vec![1], priority: 0, expected: 1 }
}

fn demand(asks: &[Asks], job: JobId) -> Demand {
    let Asks { needs, priority, expected } = asks[job.index() % asks.len()].clone();
    Demand { needs, priority, expected }
}

fn scheduler(graph: &Graph, budget: &[u64], keep_going: bool, asks: &[Asks]) -> Scheduler {
    Scheduler::new(graph, budget.to_vec(), keep_going, |job| demand(asks, job))
}

/// What happens in a simulated run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happened {
    Taken(JobId),
    Due(JobId),
    Told(Command),
}

/// What the jobs of a simulated run do.
struct Script<'a> {
    keep_going: bool,
    asks: &'a [Asks],
    /// What is added by jobs that open others.
    fragments: &'a [Vec<Vec<u32>>],
    /// How each job ends.
    endings: &'a [Ending],
    /// How often each job is put off before.
    retries: &'a [usize],
    /// Which of those that could is the next to end, or to be due again.
    choices: &'a [usize],
}

impl Script<'_> {
    fn ending(&self, job: JobId) -> Ending {
        self.endings[job.index() % self.endings.len()]
    }
}

/// A run in which nothing takes time.
struct Simulation<'a> {
    graph: &'a Graph,
    budget: &'a [u64],
    script: &'a Script<'a>,
    scheduler: Scheduler,
    fates: Vec<Option<Fate>>,
    running: Vec<JobId>,
    delayed: Vec<JobId>,
    tried: Vec<usize>,
    /// How often each ready job was passed over by one of a lower priority.
    passed_over: Vec<u32>,
    /// How deep each job that was added is in others.
    depth: HashMap<JobId, usize>,
    /// What was added before each node that closes.
    added: HashMap<JobId, Vec<JobId>>,
    log: Vec<Happened>,
}

/// Executes a graph; returns each job's fate and the log of all that happened.
fn simulate(graph: &Graph, budget: &[u64], script: &Script<'_>) -> (Vec<Fate>, Vec<Happened>, Vec<Vec<JobId>>) {
    let count = graph.jobs.count();
    let mut simulation = Simulation {
        graph,
        budget,
        script,
        scheduler: scheduler(graph, budget, script.keep_going, script.asks),
        fates: vec![None; count],
        running: Vec::new(),
        delayed: Vec::new(),
        tried: vec![0; count],
        passed_over: vec![0; count],
        depth: HashMap::new(),
        added: HashMap::new(),
        log: Vec::new(),
    };
    let mut steps = script.choices.iter().cycle();
    while simulation.step(*steps.next().expect("there are choices")) {}
    assert!(simulation.scheduler.is_done(), "the run stands still: {:?}", simulation.fates);
    let needs = graph.nodes().map(|id| simulation.needs(id)).collect();
    (simulation.fates.into_iter().map(|fate| fate.expect("every job ends")).collect(), simulation.log, needs)
}

impl Simulation<'_> {
    /// Has all jobs taken that can be, and then one of them end or be due. Nothing is left to do after the last.
    fn step(&mut self, choice: usize) -> bool {
        while let Some(job) = self.scheduler.take() {
            self.taken(job);
        }
        assert!(!self.scheduler.has_next());
        assert_eq!(self.scheduler.running(), self.running.len());
        self.delayed.retain(|job| self.fates[job.index()].is_none());
        if !self.delayed.is_empty() && (self.running.is_empty() || choice.is_multiple_of(5)) {
            let job = self.delayed.swap_remove(choice % self.delayed.len());
            self.log.push(Happened::Due(job));
            self.tell(Signal::Due(job));
        } else if !self.running.is_empty() {
            let job = self.running.swap_remove(choice % self.running.len());
            self.end(job);
        }
        !(self.running.is_empty() && self.delayed.is_empty() && !self.scheduler.has_next())
    }

    fn needs(&self, job: JobId) -> Vec<JobId> {
        let added = self.added.get(&job).into_iter().flatten();
        self.graph.job(job).needs.iter().chain(added).copied().collect()
    }

    /// Adds what a job opens.
    fn open(&mut self, opener: JobId, closer: JobId) {
        let first = self.graph.jobs.count();
        let depth = self.depth.get(&opener).copied().unwrap_or(0) + 1;
        let fragment = &self.script.fragments[opener.index() % self.script.fragments.len()];
        // What is added may need what the opener needed, whether that is there or comes to be.
        let also = self.graph.job(opener).needs.clone();
        add(self.graph, &self.graph.job(opener).spec, fragment, |at| at % 3 == 0 && depth < 3, &also);
        let added: Vec<JobId> = self.graph.nodes().skip(first).collect();
        self.depth.extend(added.iter().map(|id| (*id, depth)));
        let count = self.graph.jobs.count();
        self.fates.resize(count, None);
        self.tried.resize(count, 0);
        self.passed_over.resize(count, 0);
        self.added.insert(closer, added);
        let asks = self.script.asks;
        let mut commands = Vec::new();
        self.scheduler.grow(self.graph, closer, |job| demand(asks, job), &mut commands);
        self.hear(commands);
    }

    fn is_ready(&self, job: JobId) -> bool {
        let succeeded = |needed: &JobId| self.fates[needed.index()] == Some(Fate::Executed(Ending::Succeeded));
        self.needs(job).iter().all(succeeded)
    }

    fn taken(&mut self, job: JobId) {
        self.log.push(Happened::Taken(job));
        let is_elsewhere = self.running.contains(&job) || self.delayed.contains(&job);
        assert!(self.is_ready(job) && self.fates[job.index()].is_none() && !is_elsewhere, "{job:?}");
        self.running.push(job);
        let asks = self.script.asks;
        for (resource, all) in self.budget.iter().enumerate() {
            let needed =
                |job: &JobId| asks[job.index() % asks.len()].needs.get(resource).copied().unwrap_or(0).min(*all);
            assert!(self.running.iter().map(needed).sum::<u64>() <= *all, "more of {resource} is taken than there is");
        }
        for id in self.graph.nodes() {
            let waits = self.is_ready(id) && self.fates[id.index()].is_none();
            let waits = waits && !self.running.contains(&id) && !self.delayed.contains(&id);
            let is_passed_over =
                waits && asks[id.index() % asks.len()].priority > asks[job.index() % asks.len()].priority;
            self.passed_over[id.index()] += u32::from(is_passed_over);
        }
        // One for each kind of needs that ranks higher, as each may have to wait for the one before it.
        let most = (PASSED_OVER_MAX + 1) * u32::try_from(self.graph.jobs.count()).unwrap();
        let passed_over = self.passed_over[job.index()];
        assert!(passed_over <= most, "{job:?} was passed over {passed_over} times");
    }

    fn end(&mut self, job: JobId) {
        self.tried[job.index()] += 1;
        if self.tried[job.index()] <= self.script.retries[job.index() % self.script.retries.len()] {
            // Unless the run stops: it is dropped then.
            self.delayed.push(job);
            self.tell(Signal::Ended(job, Ending::Again));
        } else {
            let ending = self.script.ending(job);
            if let (Role::Expand { closer }, Ending::Succeeded) = (self.graph.job(job).role, ending) {
                self.open(job, closer);
            }
            assert!(self.fates[job.index()].replace(Fate::Executed(ending)).is_none());
            self.tell(Signal::Ended(job, ending));
        }
    }

    fn tell(&mut self, signal: Signal) {
        let mut commands = Vec::new();
        self.scheduler.on(signal, &mut commands);
        self.hear(commands);
    }

    fn hear(&mut self, commands: Vec<Command>) {
        for command in commands {
            self.log.push(Happened::Told(command));
            match command {
                Command::Skip { job, because } => {
                    assert!(self.fates[job.index()].replace(Fate::Skipped).is_none());
                    let because = self.fates[because.index()];
                    assert!(!matches!(because, None | Some(Fate::Executed(Ending::Succeeded))), "{because:?}");
                }
                Command::Drop(job) => assert!(self.fates[job.index()].replace(Fate::Dropped).is_none()),
            }
        }
    }
}

fn dags(most: usize) -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(any::<u32>(), 0..4), 0..most).prop_map(|seeds| {
        let below = |index: usize, seeds: Vec<u32>| -> Vec<u32> {
            let index = u32::try_from(index).unwrap();
            if index == 0 {
                return Vec::new();
            }
            seeds.into_iter().map(|seed| seed % index).collect::<BTreeSet<_>>().into_iter().collect()
        };
        seeds.into_iter().enumerate().map(|(index, seeds)| below(index, seeds)).collect()
    })
}

fn endings() -> impl Strategy<Value = Vec<Ending>> {
    let ending = prop_oneof![
        12 => Just(Ending::Succeeded),
        2 => Just(Ending::Failed),
        1 => Just(Ending::Cancelled),
    ];
    prop::collection::vec(ending, 60)
}

fn asks() -> impl Strategy<Value = Vec<Asks>> {
    let needs = prop_oneof![4 => Just(vec![1]), 1 => prop::collection::vec(0_u64..12, 0..4)];
    let asks = (needs, prop_oneof![4 => Just(0), 1 => -2_i64..3], 0_u64..5);
    let asks = asks.prop_map(|(needs, priority, expected)| Asks { needs, priority, expected });
    prop::collection::vec(asks, 60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_job_ends_once_and_after_what_it_needs(
        dag in dags(60),
        fragments in prop::collection::vec(dags(8), 1..4),
        opens in prop::collection::vec(any::<bool>(), 60),
        endings in endings(),
        choices in prop::collection::vec(any::<usize>(), 1..20),
        asks in asks(),
        retries in prop::collection::vec(prop_oneof![6 => Just(0_usize), 1 => 1_usize..4], 60),
        budget in prop::collection::vec(1_u64..9, 1..4),
        keep_going: bool,
    ) {
        let grows = |at: usize| opens[at] && at.is_multiple_of(2);
        let graph = growing_graph(&dag, grows);
        let script = Script {
            keep_going,
            asks: &asks,
            fragments: &fragments,
            endings: &endings,
            retries: &retries,
            choices: &choices,
        };
        let (fates, log, needs) = simulate(&graph, &budget, &script);
        let (_, again, _) = simulate(&growing_graph(&dag, grows), &budget, &script);
        prop_assert_eq!(log, again, "the same signals must give the same commands");
        let cancelled = fates.contains(&Fate::Executed(Ending::Cancelled));
        let failed = fates.contains(&Fate::Executed(Ending::Failed));
        for (index, fate) in fates.iter().enumerate() {
            match fate {
                Fate::Dropped => prop_assert!(cancelled || failed && !keep_going),
                Fate::Skipped => prop_assert!(failed),
                Fate::Executed(ending) => prop_assert_eq!(*ending, endings[index % endings.len()]),
            }
        }
        if keep_going && !cancelled {
            // Everything that does not stand behind a failure is executed.
            for (fate, needs) in fates.iter().zip(needs) {
                let behind = needs.iter().any(|needed| {
                    fates[needed.index()] != Fate::Executed(Ending::Succeeded)
                });
                prop_assert_eq!(*fate == Fate::Skipped, behind);
            }
        }
    }
}

fn taken(scheduler: &mut Scheduler) -> Vec<u32> {
    std::iter::from_fn(|| scheduler.take()).map(|job| job.0).collect()
}

#[test]
fn the_longest_way_goes_first() {
    // 0 and 1 stand alone; 2 -> 3 -> 4 is a chain.
    let graph = graph(&[vec![], vec![], vec![], vec![2], vec![3]]);
    assert_eq!(taken(&mut scheduler(&graph, &[1], false, &vec![one(); 5])), [2]);
    // Unless another one is expected to take longer than all of that, or is said to be more important.
    let long = [Asks { expected: 4, ..one() }, one(), one(), one(), one()];
    assert_eq!(taken(&mut scheduler(&graph, &[1], false, &long)), [0]);
    let important = [one(), Asks { priority: 1, ..one() }, one(), one(), one()];
    assert_eq!(taken(&mut scheduler(&graph, &[1], false, &important)), [1]);
}

#[test]
fn what_fits_is_not_kept_from_starting_and_what_does_not_starts_in_the_end() {
    // The first needs everything, and there is always one of the others running.
    let graph = graph(&vec![vec![]; 100]);
    let asks: Vec<Asks> = (0..100).map(|job| Asks { needs: vec![if job == 1 { 9 } else { 1 }], ..one() }).collect();
    let mut scheduler = scheduler(&graph, &[2], true, &asks);
    let mut commands = Vec::new();
    let mut running = taken(&mut scheduler);
    assert_eq!(running, [0, 2]);
    let mut order = running.clone();
    while !running.is_empty() {
        scheduler.on(Signal::Ended(JobId(running.remove(0)), Ending::Succeeded), &mut commands);
        let next = taken(&mut scheduler);
        order.extend(&next);
        running.extend(next);
    }
    assert!(scheduler.is_done());
    let place = order.iter().position(|job| *job == 1).unwrap();
    assert!(place <= 2 + PASSED_OVER_MAX as usize, "it was the {place}th");
}

#[test]
fn a_cancellation_drops_what_has_not_started() {
    let graph = graph(&[vec![], vec![], vec![0]]);
    let mut scheduler = scheduler(&graph, &[1], true, &[one(), one(), one()]);
    assert_eq!(taken(&mut scheduler), [0]);
    let mut commands = Vec::new();
    scheduler.on(Signal::Cancel, &mut commands);
    assert_eq!(commands, [Command::Drop(JobId(1)), Command::Drop(JobId(2))]);
    assert!(!scheduler.is_done());
    scheduler.on(Signal::Ended(JobId(0), Ending::Cancelled), &mut commands);
    assert!(scheduler.is_done());
}

#[test]
fn only_what_is_selected_is_started() {
    let mut graph = graph(&[vec![], vec![0], vec![1], vec![0]]);
    graph.selected = Some(BTreeSet::from([JobId(0), JobId(1)]));
    let mut scheduler = scheduler(&graph, &[4], false, &vec![one(); 4]);
    let mut started = Vec::new();
    while let Some(job) = scheduler.take() {
        started.push(job.0);
        scheduler.on(Signal::Ended(job, Ending::Succeeded), &mut Vec::new());
    }
    assert_eq!(started, [0, 1]);
    assert!(scheduler.is_done());
}

#[test]
fn who_waits_for_one_thing_keeps_nobody_from_another() {
    // Two take the only licence, the first of them for good; the others take none.
    let graph = graph(&vec![vec![]; 100]);
    let needs = |job: u32| if job < 2 { vec![1, 1] } else { vec![1, 0] };
    let asks: Vec<Asks> = (0..100).map(|job| Asks { needs: needs(job), ..one() }).collect();
    let mut scheduler = scheduler(&graph, &[4, 1], true, &asks);
    let mut commands = Vec::new();
    let mut running = taken(&mut scheduler);
    assert_eq!(running, [0, 2, 3, 4]);
    let mut ended = 0;
    while running.len() > 1 {
        scheduler.on(Signal::Ended(JobId(running.remove(1)), Ending::Succeeded), &mut commands);
        ended += 1;
        running.extend(taken(&mut scheduler));
        assert!(running.len() == 4 || ended > 94, "a worker waits after {ended}");
    }
    assert_eq!((running.as_slice(), ended), ([0].as_slice(), 98));
}
