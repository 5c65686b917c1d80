//! What the scheduler does in single situations; `simulation` has random ones.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use wasmill_model::plan::{Bindings, Format, parse};

use super::*;
use crate::expand::expand;
use crate::graph::{Graph, Job, Role};

/// A graph with the given dependencies; job `i` may only need jobs before it.
pub(crate) fn graph(dependencies: &[Vec<u32>]) -> Graph {
    let plan = parse("jobs.j.module = 'm'\nmodules.m.file = 'm.wasm'", Format::Toml).unwrap();
    let mut graph = expand(plan, Path::new("")).unwrap();
    let spec = Arc::clone(&graph.jobs[0].spec);
    let job = |(index, needs): (usize, &Vec<u32>)| Job {
        name: format!("j{index}"),
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
fn what_is_expected_later_counts_from_then_on() {
    // 0 -> 1, 2 -> 3, and 4 alone.
    let graph = graph(&[vec![], vec![0], vec![], vec![2], vec![]]);
    let mut scheduler = scheduler(&graph, &[1], false, &vec![one(); 5]);
    assert_eq!(taken(&mut scheduler), [0]);
    scheduler.on(Signal::Ended(JobId(0), Ending::Succeeded), &mut Vec::new());
    // Of 1, 2 and 4, which could start: 2 has 3 behind it, which takes long, and 4 takes longer by itself than 1.
    scheduler.expect(&graph, |job| [1, 1, 1, 50, 10][job.index()]);
    let mut order = Vec::new();
    while let Some(job) = scheduler.take() {
        order.push(job.0);
        scheduler.on(Signal::Ended(job, Ending::Succeeded), &mut Vec::new());
    }
    assert_eq!(order, [2, 3, 4, 1]);
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

/// What stands for the others is there from the beginning.
#[test]
fn nobody_waits_for_what_is_not_selected() {
    // 3 needs 1 and 2, and 4 needs 3 and 0.
    let mut graph = graph(&[vec![], vec![0], vec![0], vec![1, 2], vec![0, 3]]);
    graph.selected = Some(BTreeSet::from([1, 3, 4].map(JobId)));
    let mut scheduler = scheduler(&graph, &[5], true, &[one()]);
    for job in [1, 3, 4] {
        assert_eq!(taken(&mut scheduler), [job]);
        scheduler.on(Signal::Ended(JobId(job), Ending::Succeeded), &mut Vec::new());
    }
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

#[test]
fn fewer_workers_go_as_they_are_free_and_more_start_at_once() {
    let graph = graph(&vec![vec![]; 12]);
    let mut scheduler = scheduler(&graph, &[4], false, &[one()]);
    assert_eq!(taken(&mut scheduler), [0, 1, 2, 3]);
    assert_eq!(scheduler.set_workers(2), 2);
    for job in 0..2 {
        scheduler.on(Signal::Ended(JobId(job), Ending::Succeeded), &mut Vec::new());
        assert!(taken(&mut scheduler).is_empty(), "two are still running");
    }
    scheduler.on(Signal::Ended(JobId(2), Ending::Succeeded), &mut Vec::new());
    assert_eq!(taken(&mut scheduler), [4]);
    assert_eq!(scheduler.set_workers(5), 5);
    assert_eq!(taken(&mut scheduler), [5, 6, 7]);
    // There is always one, and always enough for any job.
    assert_eq!(scheduler.set_workers(0), 1);
    let mut scheduler = self::scheduler(&graph, &[4], false, &[Asks { needs: vec![3], ..one() }]);
    assert_eq!(scheduler.set_workers(1), 3);
    assert_eq!(taken(&mut scheduler), [0]);
}

#[test]
fn what_is_taken_together_takes_one_place_and_leaves_as_much_for_the_others() {
    let graph = graph(&vec![vec![]; 12]);
    let mut scheduler = scheduler(&graph, &[2], false, &[one()]);
    let first = scheduler.take().unwrap();
    // Eleven are left for two workers.
    let also = scheduler.take_also(first, 100, |_| true);
    assert_eq!(also.iter().map(|job| job.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((scheduler.running(), scheduler.ready()), (6, 6));
    // Only as long as the next one fits.
    let second = scheduler.take().unwrap();
    assert_eq!(scheduler.take_also(second, 100, |job| job.0 != 7), []);
    assert_eq!(scheduler.take(), None, "both places are taken");
    for job in also {
        scheduler.on(Signal::Ended(job, Ending::Succeeded), &mut Vec::new());
        assert_eq!(scheduler.take(), None, "these had no place of their own");
    }
    scheduler.on(Signal::Ended(first, Ending::Succeeded), &mut Vec::new());
    assert_eq!(taken(&mut scheduler), [7]);
}

/// However many wait for one: as soon as a few have been looked at, one can be taken.
#[test]
fn the_first_of_many_that_waited_begins_before_all_have_been_looked_at() {
    let many = 50_usize;
    let graph = graph(&std::iter::once(vec![]).chain((0..many).map(|_| vec![0])).collect::<Vec<_>>());
    let mut scheduler = scheduler(&graph, &[2], false, &[one()]);
    assert_eq!(taken(&mut scheduler), [0]);
    scheduler.on(Signal::Ended(JobId(0), Ending::Succeeded), &mut Vec::new());
    assert_eq!(scheduler.ready(), RELEASED_AT_ONCE);
    let mut ended = Vec::new();
    while !scheduler.is_done() {
        assert!(!scheduler.is_stuck());
        let some = taken(&mut scheduler);
        assert!(!some.is_empty() && some.len() <= 2);
        for job in &some {
            scheduler.on(Signal::Ended(JobId(*job), Ending::Succeeded), &mut Vec::new());
        }
        ended.extend(some);
    }
    ended.sort_unstable();
    assert!(ended.into_iter().eq(1..=u32::try_from(many).unwrap()));
}

/// Where nobody is free to take another one, all that waits is not looked at for that.
#[test]
fn what_nobody_can_take_now_is_looked_at_later() {
    let graph = graph(&std::iter::once(vec![]).chain((0..50).map(|_| vec![0])).collect::<Vec<_>>());
    let mut scheduler = scheduler(&graph, &[1], false, &[one()]);
    assert_eq!(taken(&mut scheduler), [0]);
    let mut order = Vec::new();
    scheduler.on(Signal::Ended(JobId(0), Ending::Succeeded), &mut Vec::new());
    while let Some(job) = scheduler.take() {
        order.push(job.0);
        let looked_at = order.len() + scheduler.ready();
        assert!(looked_at <= 50.min((2 * order.len() + 1) * RELEASED_AT_ONCE), "{looked_at} {order:?}");
        scheduler.on(Signal::Ended(job, Ending::Succeeded), &mut Vec::new());
    }
    assert!(scheduler.is_done() && order.into_iter().eq(1..=50));
}

/// Those that are looked at first may not be the ones for which there is room; and a run that stops starts none of the rest.
#[test]
fn what_fits_is_found_behind_many_that_do_not() {
    let graph = graph(
        &[vec![&[] as &[u32], &[]], vec![&[0]; 20]].concat().iter().map(|needs| needs.to_vec()).collect::<Vec<_>>(),
    );
    let mut asks = vec![Asks { needs: vec![2], ..one() }; 22];
    (asks[0], asks[1], asks[21]) = (one(), one(), one());
    let run = || {
        let mut scheduler = scheduler(&graph, &[2], false, &asks);
        assert_eq!(taken(&mut scheduler), [0, 1]);
        scheduler.on(Signal::Ended(JobId(0), Ending::Succeeded), &mut Vec::new());
        assert!(scheduler.has_next());
        assert_eq!(taken(&mut scheduler), [21]);
        scheduler
    };
    let mut scheduler = run();
    for job in [1, 21] {
        scheduler.on(Signal::Ended(JobId(job), Ending::Succeeded), &mut Vec::new());
    }
    assert_eq!(taken(&mut scheduler), [2]);
    let mut scheduler = run();
    let mut commands = Vec::new();
    scheduler.on(Signal::Cancel, &mut commands);
    assert_eq!(commands.len(), 19);
    assert!(!scheduler.has_next() && scheduler.take().is_none());
}
