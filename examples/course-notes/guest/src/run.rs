//! The scripts that run a note's cells, and the plans that run the scripts.
//!
//! Owns: what the plans look like that `cut` and `settle` leave. Does not know: how a script runs its cells
//! (`cells.js`), or the engine.

use serde_json::{Map, Value, json};
use wasmill_sdk::prelude::*;

/// Runs cells in JavaScript: an expression that is a function.
const RUNNER: &str = include_str!("cells.js");

/// Where the plan of this example says that plans are left.
const PLAN: &str = "plan.json";

/// Where it mounts what finds the line of an error, for the job that runs cells.
const PARSER: &str = "/lib/acorn.js";

/// Writes the script that runs the first `count` cells.
fn write(codes: &[&str], count: usize) -> Result<()> {
    let cells = serde_json::to_string(&codes[..count]).context("failed to write the cells as JSON")?;
    out::write(file(count), format!("({RUNNER})(globalThis, {cells});\n"))
}

fn file(count: impl std::fmt::Display) -> String {
    format!("scripts/{count}.js")
}

/// Leaves a plan that runs the cells of a note and renders it.
///
/// A cell can go on for ever, or take all of the memory, and then its job fails with all that the cells before it came to. So
/// there is a race between all cells and none, in which none is only the winner where all of them together come to no end.
/// What `settle` then does, others need not know.
pub fn leave_plan(name: &str, course: &str, codes: &[&str]) -> Result<()> {
    let note = json!({ "input": "/in/note" });
    let mut render = json!({
        "entry": "render",
        "in": { "/in/note": note },
        "input": { "name": literal(name), "course": literal(course) },
    });
    let mut jobs = Map::new();
    if !codes.is_empty() {
        jobs.insert("run".to_owned(), race(name, codes, [codes.len(), 0])?);
        let settle = json!({
            "entry": "settle",
            "in": { "/in/note": note, "/in/results": { "job": "run" }, PARSER: { "input": PARSER } },
            "input": { "name": literal(name) },
            "yields": PLAN,
        });
        jobs.insert("settle".to_owned(), settle);
        render["in"]["/in/results"] = json!({ "job": "settle" });
    }
    jobs.insert("render".to_owned(), render);
    write_plan(&jobs, "render")
}

/// Leaves a plan that finds out how many of the cells come to an end: all but the last, or all but the last two, and so on.
pub fn leave_search(name: &str, codes: &[&str]) -> Result<()> {
    let race = race(name, codes, (0..codes.len()).rev())?;
    write_plan(&Map::from_iter([("run".to_owned(), race)]), "run")
}

/// A job that runs so many of the cells, for the first of some counts for which it succeeds.
fn race(name: &str, codes: &[&str], counts: impl IntoIterator<Item = usize>) -> Result<Value> {
    let counts: Vec<_> = counts.into_iter().collect();
    counts.iter().try_for_each(|count| write(codes, *count))?;
    Ok(json!({
        "module": "js",
        "entry": "script",
        "for-each": { "cells": counts },
        "race": { "first": 1 },
        "in": { "/in/script": { "output": file("{cells}") }, "/in/data": { "input": PARSER } },
        "input": { "name": literal(name) },
    }))
}

fn write_plan(jobs: &Map<String, Value>, result: &str) -> Result<()> {
    let plan = json!({ "jobs": jobs, "result": { "job": result } });
    out::write(PLAN, serde_json::to_vec_pretty(&plan).context("failed to write the plan")?)
}

/// A text in which braces are no variables of the plan.
fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}
