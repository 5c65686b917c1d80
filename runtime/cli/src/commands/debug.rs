//! `wasmill debug`: a recorded job as an ordinary program, with its inputs in a folder.
//!
//! Owns: what is laid out where, and which debugger is started how. Does not know: how programs are built, or what the guest SDK does
//! with the folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use wasmill_abi::{DEFAULT_ENTRY, OUT_DIR, ROOT_VARIABLE, STDIN_VARIABLE, TMP_DIR};
use wasmill_executor::{BuildOutput, SaveError, export, export_file, host_name};
use wasmill_model::interface::Interface;
use wasmill_model::port::{ActionCache as _, BlobStore as _, RunLog as _};
use wasmill_model::{Action, Digest, JobReport, Mount, RunId};

use crate::args::{DebugArgs, Global, OutputFormat};
use crate::error::{CliError, usage};
use crate::exit_code;
use crate::mill::Mill;
use crate::plan_file;
use crate::report::print;
use crate::report::text::harmless;

/// How far back a run is looked for that had the job.
const RUNS_SEARCHED: usize = 100;

/// The longest part of a job's name that its folder has.
const FOLDER_NAME_MAX: usize = 80;

/// Debuggers, the best first. Those that come with Rust know its types.
const DEBUGGERS: [&str; 4] = ["rust-gdb", "rust-lldb", "gdb", "lldb"];

/// A file that says that a folder is ours to empty.
const MARKER: &str = ".wasmill-debug";

/// `wasmill debug`.
pub(crate) fn debug(global: &Global, args: &DebugArgs) -> Result<u8, CliError> {
    let graph = plan_file::load(&args.plan)?;
    let mill = Mill::open(global)?;
    let (run, report) = find(&mill, args.run, graph.name(), &args.job)?;
    let action = action_of(&mill, &report)?;
    // A job that another one yielded may be of any module.
    if let Some((opener, _)) = args.job.split_once('/') {
        let (_, opener) = find(&mill, Some(run), graph.name(), opener)?;
        if action_of(&mill, &opener)?.module != action.module {
            return Err(no_crate(&args.job));
        }
    }
    let quiet = global.quiet || global.format == OutputFormat::Json;
    let output = if quiet { BuildOutput::Kept } else { BuildOutput::Shown };
    let program = graph.native_program(&args.job, output);
    let program = program.map_err(|error| CliError::from_error(exit_code::INPUT, &error))?;
    let program = program.ok_or_else(|| no_crate(&args.job))?;
    let folder = folder(args)?;
    let (root, stdin) = (folder.join("sandbox"), folder.join("stdin"));
    lay_out(&mill, &action, &root, &stdin)?;
    // The job's name is an argument here: `argv[0]` is the program's.
    let args_of_job = match action.args.split_first() {
        Some((entry, args)) if entry == DEFAULT_ENTRY => args,
        _ => &action.args,
    };
    let function = args_of_job.first().and_then(|entry| function(&mill, &action, entry));
    mill.close()?;
    let debugger = match (&args.debugger, args.no_debugger) {
        (_, true) => None,
        (Some(debugger), _) => Some(debugger.clone()),
        (None, false) => DEBUGGERS.iter().find(|name| is_there(name)).map(|name| (*name).to_owned()),
    };
    let mut command = match &debugger {
        Some(debugger) => under(debugger, function.as_deref(), &program)?,
        None => Command::new(&program),
    };
    if debugger.is_none() {
        command.stdin(Stdio::null());
    }
    command.args(args_of_job);
    // What a guest yielded is not to choose what a program of this machine is loaded with.
    if !args.job.contains('/') {
        command.envs(&action.env);
    }
    command.env(ROOT_VARIABLE, &root).env(STDIN_VARIABLE, &stdin);
    tell(global, run, debugger.is_some(), &command, &root);
    let ended = command.status().map_err(|error| {
        let name = command.get_program().display();
        CliError::new(exit_code::INPUT, format!("failed to start `{name}`")).because(&error)
    })?;
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit_code::JOBS_FAILED))
}

fn no_crate(job: &str) -> CliError {
    CliError::new(exit_code::INPUT, format!("the module of job `{job}` is no crate of this plan"))
        .hint("only what is built from source can run on this machine itself: `crate = \"…\"`")
}

/// What became of the job in a run, or in the latest run of the plan that had it.
fn find(mill: &Mill, run: Option<RunId>, plan: &str, job: &str) -> Result<(RunId, JobReport), CliError> {
    let runs = match run {
        Some(run) => vec![run],
        None => {
            let runs = mill.storage.runs(RUNS_SEARCHED).map_err(|error| CliError::store(&error))?;
            // Other projects have the same store.
            runs.into_iter().filter(|run| run.plan == plan).map(|run| run.id).collect()
        }
    };
    for run in &runs {
        let jobs = mill.storage.jobs(*run).map_err(|error| CliError::store(&error))?;
        if let Some(report) = jobs.into_iter().find(|report| report.job == job && report.key.is_some()) {
            return Ok((*run, report));
        }
    }
    let headline = match run {
        Some(run) => format!("run {run} has no record of a job `{job}`"),
        None => format!("no run of the plan `{plan}` has a record of a job `{job}`"),
    };
    Err(CliError::new(exit_code::INPUT, headline).hint("`wasmill runs` lists runs, and `wasmill show RUN` their jobs"))
}

fn action_of(mill: &Mill, report: &JobReport) -> Result<Action, CliError> {
    let action = match &report.key {
        Some(key) => mill.storage.action(key).map_err(|error| CliError::store(&error))?,
        None => None,
    };
    action.ok_or_else(|| {
        let headline = format!("job `{}` came to no action in that run, or the store has it no more", report.job);
        CliError::new(exit_code::INPUT, headline).hint("run the plan again")
    })
}

/// The folder for the job's files, empty but for a marker.
fn folder(args: &DebugArgs) -> Result<PathBuf, CliError> {
    let folder = match &args.dir {
        Some(dir) => dir.clone(),
        None => {
            let plan = args.plan.as_path();
            let base = if plan.is_dir() { plan } else { plan.parent().unwrap_or(Path::new("")) };
            base.join("target").join("debug-job").join(folder_name(&args.job))
        }
    };
    let failed = |what: &str, error: &std::io::Error| {
        CliError::new(exit_code::HOST, format!("failed to {what} {}", folder.display())).because(error)
    };
    let is_empty = fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty {
        if args.dir.is_some() || !folder.join(MARKER).is_file() {
            let headline = format!("{} is not empty", folder.display());
            return Err(CliError::new(exit_code::INPUT, headline).hint("name a folder that is not there yet: `--dir`"));
        }
        fs::remove_dir_all(&folder).map_err(|error| failed("empty", &error))?;
    }
    fs::create_dir_all(&folder).map_err(|error| failed("create", &error))?;
    fs::write(folder.join(MARKER), "").map_err(|error| failed("write to", &error))?;
    std::path::absolute(&folder).map_err(|error| failed("find", &error))
}

/// A job's name as one of a folder, on every system: where something had to be replaced, what it was still tells it from others.
fn folder_name(job: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let plain: String = job.chars().map(|char| if is_plain(char) { char } else { '_' }).take(FOLDER_NAME_MAX).collect();
    if plain == job && !plain.starts_with('.') && !plain.ends_with('.') {
        return plain;
    }
    let digest = Digest::of(job.as_bytes()).to_string();
    format!("{}-{}", plain.trim_matches('.'), digest.get(..8).unwrap_or_default())
}

/// Puts what the job saw below a folder.
fn lay_out(mill: &Mill, action: &Action, root: &Path, stdin: &Path) -> Result<(), CliError> {
    let blobs = mill.storage.as_ref();
    let failed = |error: SaveError| match error {
        SaveError::Store(error) => CliError::store(&error).hint("a run with `--fresh` brings it back"),
        error => CliError::from_error(exit_code::HOST, &error),
    };
    let create = |dir: &Path| {
        fs::create_dir_all(dir).map_err(|error| {
            CliError::new(exit_code::HOST, format!("failed to create {}", dir.display())).because(&error)
        })
    };
    for dir in [OUT_DIR, TMP_DIR] {
        create(&root.join(dir.trim_start_matches('/')))?;
    }
    export_file(blobs, action.stdin, stdin).map_err(failed)?;
    for (at, input) in &action.mounts {
        // A guest may have chosen it, in a plan that it yielded.
        let mut target = root.to_owned();
        for name in at.names() {
            target.push(host_name(name).map_err(failed)?);
        }
        create(target.parent().unwrap_or(root))?;
        match &input.content {
            Mount::File { blob, .. } => export_file(blobs, *blob, &target).map_err(failed)?,
            Mount::Directory { blob } => export(blobs, *blob, None, &target).map_err(failed)?,
        }
    }
    Ok(())
}

/// The program under a debugger, with a breakpoint at a function.
fn under(debugger: &str, function: Option<&str>, program: &Path) -> Result<Command, CliError> {
    let words = shlex::split(debugger).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| usage("--debugger", "it is a command, in which quotes are closed"))?;
    let mut command = Command::new(&words[0]);
    let is_lldb = words[0].contains("lldb");
    if let Some(function) = function {
        match is_lldb {
            true => command.args(["-o", &format!("breakpoint set --name {function}")]),
            false => command.args(["-ex", &format!("break {function}")]),
        };
    }
    command.args(&words[1..]).arg(if is_lldb { "--" } else { "--args" }).arg(program);
    Ok(command)
}

/// The whole name of a job's function, as its module says it.
fn function(mill: &Mill, action: &Action, job: &str) -> Option<String> {
    let blob = mill.storage.find(&action.module).ok()??;
    let module = mill.storage.get(&blob).ok()?;
    let interface = Interface::find(Cursor::new(&module[..])).ok()??;
    let function = format!("{}::{job}", interface.job(job)?.at);
    // It goes into a debugger's command, and is the module's to say.
    let is_path = function
        .split("::")
        .all(|part| !part.is_empty() && part.chars().all(|char| char.is_alphanumeric() || char == '_'));
    is_path.then_some(function)
}

/// Says where everything is, for those who start a debugger of their own.
fn tell(global: &Global, run: RunId, is_debugged: bool, command: &Command, root: &Path) {
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
    let program = command.get_program().to_string_lossy();
    if global.format == OutputFormat::Json {
        let env: BTreeMap<_, _> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_string_lossy(), value?.to_string_lossy())))
            .collect();
        print(format!("{}\n", json!({ "run": run, "command": program, "args": args, "env": env })).as_bytes());
    } else if !global.quiet {
        let none = if is_debugged { "" } else { " (no debugger)" };
        let line = shlex::try_join([program.as_ref()].into_iter().chain(args.iter().map(AsRef::as_ref)));
        let line = harmless(&line.unwrap_or_default());
        eprintln!(
            "the job's files, as of run {run}, are in {root}\n{ROOT_VARIABLE}={root} {line}{none}",
            root = root.display()
        );
    }
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_a_folder_of_its_own_below_the_others() {
        assert_eq!(folder_name("total"), "total");
        assert_eq!(folder_name("count.all-1_2"), "count.all-1_2");
        let odd = ["..", ".", "...", "a/b", "a_b", "a.", ".a", "count[ß]", "count[_]", "C:\\x", &"x".repeat(200)];
        let names: Vec<String> = odd.iter().map(|job| folder_name(job)).collect();
        for name in &names {
            assert!(!name.starts_with('.') && !name.ends_with('.') && !name.contains(['/', '\\', ':']), "{name}");
        }
        let mut different = names.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }
}
