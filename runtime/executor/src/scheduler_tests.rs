//! The scheduler against random graphs: whatever happens to jobs, each ends once and in order.

use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;
use wasmill_model::plan::{Bindings, Plan};

use super::*;
use crate::graph::Job;

/// A graph with the given dependencies; job `i` may only need jobs before it.
fn graph(dependencies: &[Vec<u32>]) -> Graph {
    let count = u32::try_from(dependencies.len()).unwrap();
    let job = |index: u32| Job {
        name: format!("j{index}"),
        label: String::new(),
        spec: 0,
        bindings: Bindings::new(),
        upstream: Vec::new(),
    };
    Graph {
        plan: Plan { name: "test".to_owned(), modules: std::collections::BTreeMap::new(), jobs: Vec::new() },
        base: PathBuf::new(),
        jobs: (0..count).map(job).collect(),
        ranges: Vec::new(),
        dependencies: dependencies.iter().map(|ids| ids.iter().copied().map(JobId).collect()).collect(),
        selected: None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Executed(Ending),
    Skipped,
    Dropped,
}

/// Executes a graph with one job after another being picked by `choices` to end, and job `i` ending as
/// `endings[i]` says; returns each job's fate and the log of all commands.
fn simulate(
    graph: &Graph,
    running_max: usize,
    keep_going: bool,
    endings: &[Ending],
    choices: &[usize],
) -> (Vec<Fate>, Vec<Command>) {
    let mut scheduler = Scheduler::new(graph, running_max, keep_going);
    let mut fates: Vec<Option<Fate>> = vec![None; graph.jobs.len()];
    let mut running: Vec<JobId> = Vec::new();
    let mut log = Vec::new();
    let mut commands = scheduler.begin();
    for step in 0.. {
        for command in commands.drain(..) {
            log.push(command);
            match command {
                Command::Start(job) => {
                    for dependency in &graph.dependencies[job.index()] {
                        assert_eq!(fates[dependency.index()], Some(Fate::Executed(Ending::Succeeded)));
                    }
                    assert!(fates[job.index()].is_none() && !running.contains(&job), "{job:?} twice");
                    running.push(job);
                    assert!(running.len() <= running_max);
                }
                Command::Skip { job, because } => {
                    assert!(fates[job.index()].replace(Fate::Skipped).is_none());
                    assert_eq!(fates[because.index()], Some(Fate::Executed(Ending::Failed)));
                }
                Command::Drop(job) => assert!(fates[job.index()].replace(Fate::Dropped).is_none()),
            }
        }
        assert_eq!(scheduler.running(), running.len());
        if running.is_empty() {
            break;
        }
        let job = running.swap_remove(choices[step % choices.len()] % running.len());
        let ending = endings[job.index()];
        assert!(fates[job.index()].replace(Fate::Executed(ending)).is_none());
        scheduler.on(Signal::Ended(job, ending), &mut commands);
    }
    assert!(scheduler.is_done(), "the run stands still: {fates:?}");
    (fates.into_iter().map(|fate| fate.expect("every job ends")).collect(), log)
}

fn dags() -> impl Strategy<Value = Vec<Vec<u32>>> {
    prop::collection::vec(prop::collection::vec(any::<u32>(), 0..4), 1..60).prop_map(|seeds| {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_job_ends_once_and_after_what_it_needs(
        dag in dags(),
        endings in endings(),
        choices in prop::collection::vec(any::<usize>(), 1..20),
        running_max in 1_usize..9,
        keep_going: bool,
    ) {
        let graph = graph(&dag);
        let (fates, log) = simulate(&graph, running_max, keep_going, &endings, &choices);
        let (_, again) = simulate(&graph, running_max, keep_going, &endings, &choices);
        prop_assert_eq!(log, again, "the same signals must give the same commands");
        let cancelled = fates.contains(&Fate::Executed(Ending::Cancelled));
        let failed = fates.contains(&Fate::Executed(Ending::Failed));
        for (index, fate) in fates.iter().enumerate() {
            match fate {
                Fate::Dropped => prop_assert!(cancelled || failed && !keep_going),
                Fate::Skipped => prop_assert!(failed),
                Fate::Executed(ending) => prop_assert_eq!(*ending, endings[index]),
            }
        }
        if keep_going && !cancelled {
            // Everything that does not stand behind a failure is executed.
            for (index, fate) in fates.iter().enumerate() {
                let behind = dag[index].iter().any(|needed| {
                    fates[*needed as usize] != Fate::Executed(Ending::Succeeded)
                });
                prop_assert_eq!(*fate == Fate::Skipped, behind);
            }
        }
    }
}

#[test]
fn the_longest_way_goes_first() {
    // 0 and 1 stand alone; 2 -> 3 -> 4 is a chain.
    let graph = graph(&[vec![], vec![], vec![], vec![2], vec![3]]);
    let mut scheduler = Scheduler::new(&graph, 1, false);
    assert_eq!(scheduler.begin(), [Command::Start(JobId(2))]);
}

#[test]
fn a_cancellation_drops_what_has_not_started() {
    let graph = graph(&[vec![], vec![], vec![0]]);
    let mut scheduler = Scheduler::new(&graph, 1, true);
    assert_eq!(scheduler.begin(), [Command::Start(JobId(0))]);
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
    let endings = [Ending::Succeeded; 4];
    let mut scheduler = Scheduler::new(&graph, 4, false);
    let mut commands = scheduler.begin();
    let mut started = Vec::new();
    while let Some(Command::Start(job)) = commands.pop() {
        started.push(job.0);
        scheduler.on(Signal::Ended(job, endings[job.index()]), &mut commands);
    }
    assert_eq!(started, [0, 1]);
    assert!(scheduler.is_done());
}
