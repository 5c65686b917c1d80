//! The library as another program uses it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use wasmill::{Event, Job, Mill, PlanBuilder, RunError, RunOptions};

#[path = "../../../examples/embed/main.rs"]
#[expect(dead_code, reason = "its `main` is that of a program")]
mod embed;

const SPINS: &[u8] =
    br#"(module (func (export "_start") (loop $for_ever (br $for_ever))) (memory (export "memory") 1))"#;

#[test]
fn the_example_tells_each_result_and_knows_it_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("texts");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.txt"), "hello, world").unwrap();
    std::fs::write(folder.join("b.txt"), "x".repeat(200_000)).unwrap();
    for cached in [0, 2] {
        let mut told = BTreeMap::new();
        let note = &mut |file: &str, text: &str| drop(told.insert(file.to_owned(), text.to_owned()));
        let summary = embed::shout(&dir.path().join("store"), &folder, note).unwrap();
        assert_eq!((summary.counts.succeeded, summary.counts.cached), (2, cached));
        assert_eq!(told["shout[a.txt]"], "HELLO, WORLD");
        assert_eq!(told["shout[b.txt]"], "X".repeat(200_000));
    }
}

fn spinning(mill: &Mill) -> wasmill::Plan {
    let module = mill.store_module(SPINS).unwrap();
    let job = Job::new("spin", "m").for_each("n", ["1", "2", "3"]);
    PlanBuilder::new("spin").module_stored("m", module).job(job).build().unwrap()
}

/// Some work, of which the sandbox may have 64 MiB.
const WORKS: &[u8] = br#"(module (memory (export "memory") 1) (func (export "_start") (local $left i32)
    (local.set $left (i32.const 20000000))
    (loop $more (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;

#[test]
fn runs_that_go_on_together_share_what_the_machine_has() {
    let dir = tempfile::tempdir().unwrap();
    // Enough memory for one at a time, whatever each run may have by itself.
    let options = wasmill::Options { memory_bytes: 100 << 20, ..wasmill::Options::default() };
    let mill = Mill::open_with(dir.path(), options).unwrap();
    let module = mill.store_module(WORKS).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut ended: Vec<(&str, u64)> = Vec::new();
    runtime.block_on(async {
        let started = Instant::now();
        let follow = |name: &'static str, args: [&str; 4]| {
            let job = Job::new("work", "m").for_each("n", args).arg("{n}").limit("memory", "64MiB");
            let plan = PlanBuilder::new(name).module_stored("m", module).job(job).build().unwrap();
            let began = started.elapsed().as_nanos() as u64;
            let mut run = mill.run(plan, ".", RunOptions { workers: Some(2), ..RunOptions::default() }).unwrap();
            async move {
                let mut jobs = Vec::new();
                while let Some(event) = run.next().await {
                    if let Event::JobFinished(report) = event {
                        assert!(report.result.as_ref().is_some_and(|result| result.outcome.is_success()), "{report:?}");
                        jobs.push((name, began + report.ended_ns));
                    }
                }
                jobs
            }
        };
        let (one, other) = (follow("one", ["1", "2", "3", "4"]), follow("other", ["5", "6", "7", "8"]));
        let (one, other) = futures_util::future::join(one, other).await;
        ended.extend(one.into_iter().chain(other));
    });
    ended.sort_by_key(|(_, end)| *end);
    assert_eq!(ended.len(), 8);
    // Neither waits until the other is through.
    let of = |half: &[(&str, u64)]| half.iter().filter(|(name, _)| *name == "one").count();
    assert!((1..=3).contains(&of(&ended[..4])), "{ended:?}");
}

#[test]
fn a_run_is_cancelled_by_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let mill = Mill::open(dir.path()).unwrap();
    let began = Instant::now();
    // Dropped: nobody wants it. Others that were given the same options go on.
    let options = RunOptions::default();
    drop(mill.run(spinning(&mill), ".", options.clone()).unwrap());
    assert!(!options.cancel.is_cancelled());
    let mut run = mill.run(spinning(&mill), ".", options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        while let Some(event) = run.next().await {
            if let Event::JobStarted { .. } = event {
                run.cancel();
            }
        }
    });
    let summary = runtime.block_on(run.ended()).unwrap();
    assert!(summary.cancelled && summary.counts.cancelled == 3, "{summary:?}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn who_takes_no_events_still_gets_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mill = Mill::open(dir.path()).unwrap();
    let module = mill.store_module(br#"(module (func (export "_start")) (memory (export "memory") 1))"#).unwrap();
    // More events than may wait.
    let items: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    let job = Job::new("many", "m").for_each("n", items).arg("{n}");
    let plan = PlanBuilder::new("many").module_stored("m", module).job(job).build().unwrap();
    let run = mill.run(plan, ".", RunOptions::default()).unwrap();
    assert_eq!(run.finish().unwrap().counts.succeeded, 2_000);
}

#[test]
fn what_cannot_be_run_is_an_error_before_anything_is() {
    let dir = tempfile::tempdir().unwrap();
    let mill = Mill::open(dir.path()).unwrap();
    assert!(mill.store_module(b"(module").is_err());
    let plan = |job: Job| PlanBuilder::new("p").module_file("m", "missing.wasm").job(job).build().unwrap();
    let run = |plan, options| mill.run(plan, dir.path(), options);
    let none = run(plan(Job::new("a", "m")), RunOptions::default()).unwrap_err();
    assert!(matches!(none, RunError::Module(_)), "{none}");
    let select = RunOptions { select: vec!["b".to_owned()], ..RunOptions::default() };
    assert!(matches!(run(plan(Job::new("a", "m")), select).unwrap_err(), RunError::UnknownJob(_)));
    let twice = run(
        plan(Job::new("a", "m").for_each("x", wasmill::Items::Lines(wasmill::Input::Path("none".to_owned())))),
        RunOptions::default(),
    );
    assert!(twice.unwrap_err().to_string().contains("cannot read the list"));
}

#[test]
fn a_small_run_beside_a_large_one_has_its_share() {
    const LARGE: usize = 400;
    const SMALL: usize = 20;
    /// Computes for some milliseconds, and then runs out of fuel.
    fn computing(mill: &Mill, name: &str, jobs: usize) -> wasmill::Plan {
        let module = mill.store_module(SPINS).unwrap();
        let items: Vec<String> = (0..jobs).map(|job| format!("{name}{job}")).collect();
        let job = Job::new("spin", "m").for_each("n", items).arg("{n}");
        let job = job.set("limits", serde_json::json!({ "fuel": 30_000_000 }));
        PlanBuilder::new(name).module_stored("m", module).job(job).build().unwrap()
    }
    let dir = tempfile::tempdir().unwrap();
    let mill = Mill::open(dir.path()).unwrap();
    let options = RunOptions { keep_going: true, ..RunOptions::default() };
    let mut large = mill.run(computing(&mill, "large", LARGE), ".", options.clone()).unwrap();
    while !matches!(large.wait(), Some(Event::JobFinished(_)) | None) {}
    let small = mill.run(computing(&mill, "small", SMALL), ".", options).unwrap();
    assert_eq!(small.finish().unwrap().counts.failed, SMALL);
    // What the large one has done by now; what it does from here on does not count.
    large.cancel();
    let done = large.finish().unwrap().counts.failed;
    assert!(done < LARGE / 2, "the small run waited for {done} of {LARGE} jobs of the large one");
}
