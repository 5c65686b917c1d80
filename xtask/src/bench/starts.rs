//! What a job takes from a snapshot, and from nothing.
//!
//! Owns: the two kinds of a module, and a run of each in turn. They differ in the name of one export: a module whose
//! initialiser is called something else makes all of it anew in each job. Does not know: what the modules make.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::guests::Guests;
use crate::process;
use crate::toolchain::{GuestToolchain, TARGET};
use crate::workspace::Workspace;

/// What wasmill looks for, and a name of the same length that it does not.
const INITIALISER: (&[u8], &[u8]) = (b"wizer-initialize", b"wizer-initialise");

/// The jobs of a run that start from a snapshot, and of one that start from nothing: some of those take half a second.
const JOBS: (usize, usize) = (300, 12);

/// A module with an initialiser, and a job of it that does next to nothing.
struct Case {
    what: &'static str,
    module: PathBuf,
    entry: &'static str,
    input: Value,
    mounts: Value,
}

/// The medians of one case.
struct Row {
    what: &'static str,
    warm: Duration,
    cold: Duration,
    memory_bytes: u64,
}

/// What the jobs of one run took.
struct Run {
    walls: Vec<Duration>,
    memory_bytes: u64,
}

/// Measures every case and prints the table.
pub(super) fn measure(workspace: &Workspace, wasmill: &Path, folder: &Path, rounds: usize) -> Result<()> {
    println!("| what is made | from the snapshot | from nothing | ratio | memory |\n|---|--:|--:|--:|--:|");
    for (number, case) in cases(workspace)?.iter().enumerate() {
        println!("{}", case.measure(wasmill, &folder.join(number.to_string()), rounds)?);
    }
    Ok(())
}

fn cases(workspace: &Workspace) -> Result<[Case; 2]> {
    let toolchain = GuestToolchain::get()?;
    let guests = Guests::build(workspace, &toolchain)?;
    let folder = workspace.path("examples/warm-javascript/guest");
    let mut build = workspace.cargo("build");
    build.args(["--release", "--locked", "--target", TARGET]).current_dir(&folder);
    // Where `wasmill run` has it built.
    build.arg("--target-dir").arg(folder.join("target"));
    toolchain.compile(&mut build);
    process::run(&mut build)?;
    Ok([
        Case {
            what: "the words of a document by their letters (`tests/guests`, `sdk_init`)",
            module: guests.path("sdk_init"),
            entry: "begin_with",
            input: json!({ "letter": "a" }),
            mounts: json!({}),
        },
        Case {
            what: "a JavaScript engine with five libraries (`examples/warm-javascript`), and a script of one line",
            module: folder.join("target").join(TARGET).join("release/warm-javascript.wasm"),
            entry: "script",
            input: json!({ "name": "one", "seed": "1" }),
            mounts: json!({ "/in/script": "one.js" }),
        },
    ])
}

impl Case {
    fn measure(&self, wasmill: &Path, folder: &Path, rounds: usize) -> Result<Row> {
        fs::create_dir_all(folder).context("cannot create a folder")?;
        let warm = fs::read(&self.module).with_context(|| format!("cannot read `{}`", self.module.display()))?;
        let cold = without_initialiser(&warm)?;
        let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).context("cannot write a project");
        write("one.js", b"1 + 1")?;
        for (name, module, jobs) in [("warm", &warm, JOBS.0), ("cold", &cold, JOBS.1)] {
            write(&format!("{name}.wasm"), module)?;
            write(&format!("{name}.json"), self.plan(name, jobs).to_string().as_bytes())?;
        }
        let (mut warm, mut cold, mut memory_bytes) = (Vec::new(), Vec::new(), 0);
        for round in 0..=rounds {
            for (name, walls) in [("warm", &mut warm), ("cold", &mut cold)] {
                let run = run(wasmill, folder, name)?;
                memory_bytes = run.memory_bytes.max(memory_bytes);
                // The first compiles the module.
                if round > 0 {
                    walls.extend(run.walls);
                }
            }
        }
        let median = |walls| super::report::median(Vec::into_iter(walls)).context("no job was executed");
        Ok(Row { what: self.what, warm: median(warm)?, cold: median(cold)?, memory_bytes })
    }

    fn plan(&self, module: &str, jobs: usize) -> Value {
        json!({
            "modules": { "m": { "file": format!("{module}.wasm") } },
            "jobs": { "one": {
                "module": "m",
                "entry": self.entry,
                "for-each": { "number": (0..jobs).collect::<Vec<_>>() },
                "args": ["{number}"],
                "input": self.input,
                "in": self.mounts,
            } },
        })
    }
}

/// The module with its initialiser called something that nobody looks for.
fn without_initialiser(module: &[u8]) -> Result<Vec<u8>> {
    let places = || module.windows(INITIALISER.0.len()).enumerate().filter(|(_, name)| *name == INITIALISER.0);
    ensure!(places().count() > 0, "the module has no initialiser");
    let mut changed = module.to_owned();
    for (at, name) in places() {
        changed[at..at + name.len()].copy_from_slice(INITIALISER.1);
    }
    Ok(changed)
}

fn run(wasmill: &Path, folder: &Path, name: &str) -> Result<Run> {
    let mut command = Command::new(wasmill);
    command.args(["run", &format!("{name}.json"), "--store", "store", "--jobs", "1", "--fresh", "--format", "json"]);
    let events = process::output(command.current_dir(folder))?;
    let events = events.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>().context("not JSON")?;
    let usages = || events.iter().filter(|event| event["event"] == "job-finished").map(|event| &event["usage"]);
    let number = |usage: &Value, field| usage[field].as_u64().with_context(|| format!("a job has no `{field}`"));
    Ok(Run {
        walls: usages().map(|usage| number(usage, "wall_ns").map(Duration::from_nanos)).collect::<Result<_>>()?,
        memory_bytes: usages().filter_map(|usage| number(usage, "memory_peak_bytes").ok()).max().unwrap_or(0),
    })
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (warm, cold, ratio) = (ms(self.warm), ms(self.cold), ms(self.cold) / ms(self.warm));
        let memory = self.memory_bytes as f64 / 1e6;
        write!(f, "| {} | {warm:.3} ms | {cold:.1} ms | {ratio:.0} | {memory:.1} MB |", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_initialiser_is_called_something_else_and_nothing_moves() {
        assert_eq!(without_initialiser(b"a wizer-initialize z").unwrap(), b"a wizer-initialise z");
        without_initialiser(b"a module without one").unwrap_err();
    }
}
