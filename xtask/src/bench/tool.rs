//! The tools, and how each is told a DAG.
//!
//! Owns: the files of a project. Job `i` reads `in/i` and the results of the jobs it depends on, and its result is
//! a copy of `in/i`. For make and ninja that is `cat in/i >out/i`; for wasmill a sandboxed guest that copies one
//! file; for dask a function that reads it. Does not know: what is measured.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::shape::{Dag, Kind, Shape};
use crate::process;

/// A tool that executes DAGs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Tool {
    /// wasmill, with every job written out.
    Wasmill,
    /// wasmill, with one `for-each` job: how a wide plan is written by hand.
    WasmillForEach,
    /// The same, saying what happens: a line for each job.
    WasmillLines,
    /// The same, saying everything: a line of JSON for each event.
    WasmillJson,
    /// GNU make.
    Make,
    /// ninja.
    Ninja,
    /// dask's scheduler with threads, which keeps nothing: neither on disk nor from one run to the next.
    Dask,
}

/// Names the Python that has dask, where that is not the one on the search path.
const PYTHON: &str = "WASMILL_BENCH_PYTHON";

/// A DAG for dask: each task reads a file and gives what is in it, as the jobs of the other tools.
const DASK: &str = r#"
import json, sys
from dask.threaded import get
def task(job, *needed):
    with open(f"in/{job}", "rb") as file:
        return file.read()
dag = json.load(open("dag.json"))
graph = {f"t{job}": (task, job, *(f"t{needed}" for needed in needs)) for job, needs in enumerate(dag)}
results = get(graph, list(graph), num_workers=int(sys.argv[1]))
assert len(results) == len(dag) and all(results)
"#;

/// A DAG in the words of one tool, in a folder of its own.
pub(super) struct Project {
    tool: Tool,
    dir: PathBuf,
    wasmill: PathBuf,
    workers: usize,
}

impl Tool {
    /// All of them, ours first: ratios are taken to the first.
    pub(super) const ALL: [Tool; 7] = [
        Tool::Wasmill,
        Tool::WasmillForEach,
        Tool::WasmillLines,
        Tool::WasmillJson,
        Tool::Make,
        Tool::Ninja,
        Tool::Dask,
    ];

    /// Its name in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wasmill => "wasmill",
            Self::WasmillForEach => "wasmill for-each",
            Self::WasmillLines => "wasmill for-each, lines",
            Self::WasmillJson => "wasmill for-each, JSON",
            Self::Make => "make",
            Self::Ninja => "ninja",
            Self::Dask => "dask",
        }
    }

    /// The program that is looked for on the search path; ours is built.
    fn program(self) -> String {
        match self {
            Self::Wasmill | Self::WasmillForEach | Self::WasmillLines | Self::WasmillJson => "wasmill".to_owned(),
            Self::Make => "make".to_owned(),
            Self::Ninja => "ninja".to_owned(),
            Self::Dask => std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned()),
        }
    }

    /// Whether it can be measured here.
    pub(super) fn is_here(self) -> bool {
        match self {
            Self::Wasmill | Self::WasmillForEach | Self::WasmillLines | Self::WasmillJson => true,
            Self::Make | Self::Ninja => process::find(&self.program()).is_some(),
            Self::Dask => {
                let mut python = Command::new(self.program());
                python.args(["-c", "import dask"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
            }
        }
    }

    /// Whether it is ours.
    pub(super) fn is_wasmill(self) -> bool {
        matches!(self, Self::Wasmill) || self.is_for_each()
    }

    fn is_for_each(self) -> bool {
        matches!(self, Self::WasmillForEach | Self::WasmillLines | Self::WasmillJson)
    }

    /// Whether it has words for a shape.
    pub(super) fn can_write(self, shape: Shape) -> bool {
        !self.is_for_each() || shape.kind == Kind::Wide
    }
}

impl Project {
    /// Writes a DAG down; `guest` is the module that copies a file.
    pub(super) fn create(
        tool: Tool,
        dir: &Path,
        dag: &Dag,
        wasmill: &Path,
        guest: &Path,
        workers: usize,
    ) -> Result<Self> {
        let project = Self { tool, dir: dir.to_owned(), wasmill: wasmill.to_owned(), workers };
        let create = |folder: &str| {
            fs::create_dir_all(dir.join(folder)).with_context(|| format!("cannot create `{}`", dir.display()))
        };
        create("in")?;
        create("out")?;
        for job in 0..dag.len() {
            project.write(&format!("in/{job}"), &format!("{job}\n"))?;
        }
        match tool {
            Tool::Wasmill => project.write("mill.json", &listed_plan(dag).to_string())?,
            Tool::WasmillForEach | Tool::WasmillLines | Tool::WasmillJson => {
                project.write("mill.json", &for_each_plan().to_string())?;
            }
            Tool::Make => project.write("Makefile", &makefile(dag))?,
            Tool::Ninja => project.write("build.ninja", &ninja_file(dag))?,
            Tool::Dask => {
                project.write("dag.json", &json!(dag).to_string())?;
                project.write("dag.py", DASK)?;
            }
        }
        if tool.is_wasmill() {
            let to = dir.join("copy.wasm");
            fs::copy(guest, &to).with_context(|| format!("cannot copy `{}`", guest.display()))?;
        }
        Ok(project)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Whose project it is.
    pub(super) fn tool(&self) -> Tool {
        self.tool
    }

    /// Forgets every result.
    pub(super) fn reset(&self) -> Result<()> {
        for state in ["out", "store"] {
            let dir = self.dir.join(state);
            if dir.exists() {
                fs::remove_dir_all(&dir).with_context(|| format!("cannot remove `{}`", dir.display()))?;
            }
        }
        for log in [".ninja_log", ".ninja_deps"] {
            // Only ninja has them.
            let _ = fs::remove_file(self.dir.join(log));
        }
        fs::create_dir(self.dir.join("out")).context("cannot create the folder for results")?;
        self.write("in/0", "0\n")
    }

    /// Gives the first job another input.
    pub(super) fn change_first_input(&self, round: usize) -> Result<()> {
        self.write("in/0", &format!("changed in round {round}\n"))
    }

    /// The run that is measured.
    pub(super) fn command(&self) -> Command {
        let workers = self.workers.to_string();
        let mut command = match self.tool {
            Tool::Wasmill | Tool::WasmillForEach | Tool::WasmillLines | Tool::WasmillJson => {
                let mut command = Command::new(&self.wasmill);
                command.args(["run", "mill.json", "--store", "store", "--jobs", &workers]);
                match self.tool {
                    Tool::WasmillLines => {}
                    Tool::WasmillJson => drop(command.args(["--format", "json"])),
                    _ => drop(command.arg("--quiet")),
                }
                command
            }
            Tool::Make => {
                let mut command = Command::new("make");
                command.args(["--silent", "-j", &workers]);
                command
            }
            Tool::Ninja => {
                let mut command = Command::new("ninja");
                command.args(["--quiet", "-j", &workers]);
                command
            }
            Tool::Dask => {
                let mut command = Command::new(self.tool.program());
                command.args(["dag.py", &workers]);
                command
            }
        };
        command.current_dir(&self.dir);
        command
    }

    /// Removes all its files.
    pub(super) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove `{}`", self.dir.display()))
    }
}

fn listed_plan(dag: &Dag) -> Value {
    let mut jobs = Map::new();
    for (job, dependencies) in dag.iter().enumerate() {
        let mut inputs = Map::from_iter([("/in/leaf".to_owned(), Value::from(format!("in/{job}")))]);
        for (index, dependency) in dependencies.iter().enumerate() {
            inputs.insert(format!("/in/d{index}"), json!({ "job": format!("t{dependency}"), "path": "result" }));
        }
        jobs.insert(format!("t{job}"), json!({ "module": "copy", "in": inputs }));
    }
    json!({ "name": "bench", "modules": { "copy": { "file": "copy.wasm" } }, "jobs": jobs })
}

fn for_each_plan() -> Value {
    json!({
        "name": "bench",
        "modules": { "copy": { "file": "copy.wasm" } },
        "jobs": { "t": { "module": "copy", "for-each": { "leaf": "in/*" }, "in": { "/in/leaf": "{leaf}" } } },
    })
}

/// What a job reads, for tools that know host files only.
fn inputs(job: usize, dependencies: &[usize]) -> String {
    dependencies.iter().fold(format!("in/{job}"), |mut text, dependency| {
        text.push_str(&format!(" out/{dependency}"));
        text
    })
}

fn all_outputs(dag: &Dag) -> String {
    (0..dag.len()).map(|job| format!(" out/{job}")).collect()
}

/// Without make's built-in rules, which only cost it time here.
fn makefile(dag: &Dag) -> String {
    let mut text = format!(".PHONY: all\nMAKEFLAGS += -rR\n.SUFFIXES:\nall:{}\n", all_outputs(dag));
    for (job, dependencies) in dag.iter().enumerate() {
        let _ = writeln!(text, "out/{job}: {}\n\t@cat in/{job} >$@", inputs(job, dependencies));
    }
    text
}

fn ninja_file(dag: &Dag) -> String {
    let mut text = "rule copy\n  command = cat $leaf >$out\n\n".to_owned();
    for (job, dependencies) in dag.iter().enumerate() {
        let _ = writeln!(text, "build out/{job}: copy {}\n  leaf = in/{job}", inputs(job, dependencies));
    }
    let _ = writeln!(text, "build all: phony{}\ndefault all", all_outputs(dag));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dag() -> Dag {
        vec![vec![], vec![0], vec![0, 1]]
    }

    #[test]
    fn a_listed_plan_has_every_job_with_its_inputs() {
        let plan = listed_plan(&dag());
        assert_eq!(
            plan["jobs"]["t2"]["in"],
            json!({
                "/in/leaf": "in/2",
                "/in/d0": { "job": "t0", "path": "result" },
                "/in/d1": { "job": "t1", "path": "result" },
            })
        );
        assert_eq!(plan["jobs"].as_object().unwrap().len(), 3);
    }

    /// The peers must really do the work that they are measured at.
    #[test]
    fn make_and_ninja_build_every_result_where_they_are_installed() {
        for tool in [Tool::Make, Tool::Ninja] {
            if !tool.is_here() {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let project = Project::create(tool, dir.path(), &dag(), Path::new(""), Path::new(""), 2).unwrap();
            let result = |job: usize| fs::read_to_string(dir.path().join(format!("out/{job}"))).ok();
            process::output(&mut project.command()).unwrap();
            assert_eq!(result(2).as_deref(), Some("2\n"));
            project.change_first_input(1).unwrap();
            process::output(&mut project.command()).unwrap();
            assert_eq!(result(0).as_deref(), Some("changed in round 1\n"));
            project.reset().unwrap();
            assert_eq!(result(0), None);
        }
    }
}
