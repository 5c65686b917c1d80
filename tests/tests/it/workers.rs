//! How many workers a run has.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::TestSpace;

/// Jobs that compute for a tenth of a second each, or some more.
fn space(jobs: usize) -> TestSpace {
    let space = TestSpace::new();
    space.write("list", (0..jobs).map(|job| format!("{job}\n")).collect::<String>());
    space.guest("loop_forever").write(
        "mill.toml",
        r#"
            [modules.loop]
            file = "loop_forever.wasm"
            [jobs.loop]
            module = "loop"
            for-each = { number = { lines = "list" } }
            args = ["{number}"]
            limits = { fuel = 300_000_000 }
        "#,
    );
    space
}

fn changes(events: &[Value]) -> Vec<(u64, &str)> {
    let changed = events.iter().filter(|event| event["event"] == "workers-changed");
    changed.map(|event| (event["workers"].as_u64().unwrap(), event["why"].as_str().unwrap())).collect()
}

#[test]
fn workers_that_get_no_processor_become_fewer() {
    let space = space(40);
    let cores = std::thread::available_parallelism().unwrap().get();
    let stop = AtomicBool::new(false);
    let events = std::thread::scope(|scope| {
        // Whatever else this machine has to do: four times as much as it can.
        for _ in 0..cores * 4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let (code, events) = space.events(&["run", "-k", "-j", &format!("1..{}", cores * 2)]);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(code, 100, "each of them runs out of fuel");
        events
    });
    let changes = changes(&events);
    let (workers, why) = changes.first().expect("there were too many workers");
    assert!(*workers < cores as u64 * 2, "{changes:?}");
    assert!(why.starts_with("jobs got ") && why.contains(" % of a processor each"), "{changes:?}");
    assert!(changes.iter().all(|(workers, _)| (1..=cores as u64 * 2).contains(workers)), "{changes:?}");
}

#[test]
fn a_fixed_number_of_workers_stays() {
    let space = space(4);
    let (_, events) = space.events(&["run", "-k", "-j", "8"]);
    assert_eq!(events[0]["workers"], 8);
    assert!(changes(&events).is_empty());
}

#[test]
fn what_is_no_number_of_workers_is_a_clear_error() {
    let space = space(1);
    for (jobs, says) in [
        ("0", "`0` is no number from 1 to 4096; it can also be `auto`, or as `2..8`"),
        ("many", "`many` is no number"),
        ("8..2", "8 is more than 2"),
        ("1..x", "`x` is no number"),
    ] {
        let wrong = space.run(&["run", "-j", jobs]);
        assert_eq!(wrong.code, 101, "{jobs}");
        assert!(wrong.stderr.contains(says), "{}", wrong.stderr);
    }
    assert_eq!(space.events(&["run", "-k", "-j", "auto"]).0, 100);
}
