//! `wasmill debug`: a recorded job as an ordinary program, with its inputs in a folder.
//!
//! Owns: what is laid out where, and which debugger is started how. Does not know: how programs are built, or what the guest SDK does
//! with the folder.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use wasmill_abi::{DEFAULT_ENTRY, OUT_DIR, ROOT_STDIN, ROOT_VARIABLE, TMP_DIR};
use wasmill_executor::{BuildOutput, SaveError, export, export_file};
use wasmill_model::interface::Interface;
use wasmill_model::port::{ActionCache as _, BlobStore as _, RunLog as _};
use wasmill_model::{Action, JobReport, Mount, RunId};

use crate::args::{DebugArgs, Global, OutputFormat};
use crate::error::{CliError, usage};
use crate::exit_code;
use crate::mill::Mill;
use crate::plan_file;
use crate::report::print;

/// How far back a run is looked for that had the job.
const RUNS_SEARCHED: usize = 100;

/// Debuggers, the best first. Those that come with Rust know its types.
const DEBUGGERS: [&str; 4] = ["rust-gdb", "rust-lldb", "gdb", "lldb"];

/// `wasmill debug`.
pub(crate) fn debug(global: &Global, args: &DebugArgs) -> Result<u8, CliError> {
    let graph = plan_file::load(&args.plan)?;
    let mill = Mill::open(global)?;
    let report = find(&mill, args.run, &args.job)?;
    let action = match &report.key {
        Some(key) => mill.storage.action(key).map_err(|error| CliError::store(&error))?,
        None => None,
    };
    let action = action.ok_or_else(|| {
        let headline = format!("job `{}` came to no action in that run, or the store has it no more", args.job);
        CliError::new(exit_code::INPUT, headline).hint("run the plan again")
    })?;
    let quiet = global.quiet || global.format == OutputFormat::Json;
    let output = if quiet { BuildOutput::Kept } else { BuildOutput::Shown };
    let program =
        graph.native_program(&args.job, output).map_err(|error| CliError::from_error(exit_code::INPUT, &error))?;
    let program = program.ok_or_else(|| {
        CliError::new(exit_code::INPUT, format!("the module of job `{}` is no crate of this plan", args.job))
            .hint("only what is built from source can run on this machine itself: `crate = \"…\"`")
    })?;
    let folder = folder(args)?;
    lay_out(&mill, &action, &folder)?;
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
    command.args(args_of_job).envs(&action.env).env(ROOT_VARIABLE, &folder);
    tell(global, debugger.as_deref(), &command, &folder);
    let ended = command.status().map_err(|error| {
        let name = command.get_program().display();
        CliError::new(exit_code::INPUT, format!("failed to start `{name}`")).because(&error)
    })?;
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit_code::JOBS_FAILED))
}

/// What became of the job in a run, or in the latest run that had it.
fn find(mill: &Mill, run: Option<RunId>, job: &str) -> Result<JobReport, CliError> {
    let runs = match run {
        Some(run) => vec![run],
        None => {
            let runs = mill.storage.runs(RUNS_SEARCHED).map_err(|error| CliError::store(&error))?;
            runs.into_iter().map(|run| run.id).collect()
        }
    };
    for run in &runs {
        let jobs = mill.storage.jobs(*run).map_err(|error| CliError::store(&error))?;
        if let Some(report) = jobs.into_iter().find(|report| report.job == job && report.key.is_some()) {
            return Ok(report);
        }
    }
    let headline = match run {
        Some(run) => format!("run {run} has no record of a job `{job}`"),
        None => format!("no run has a record of a job `{job}`"),
    };
    Err(CliError::new(exit_code::INPUT, headline).hint("`wasmill runs` lists runs, and `wasmill show RUN` their jobs"))
}

/// The folder that stands for `/`, empty.
fn folder(args: &DebugArgs) -> Result<PathBuf, CliError> {
    let in_the_way = |path: &Path, error: &std::io::Error| {
        CliError::new(exit_code::HOST, format!("failed to empty {}", path.display())).because(error)
    };
    let folder = match &args.dir {
        Some(dir) => {
            if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
                let headline = format!("{} is not empty", dir.display());
                return Err(CliError::new(exit_code::INPUT, headline).hint("name a folder that is not there yet"));
            }
            dir.clone()
        }
        None => {
            let base =
                if args.plan.is_dir() { args.plan.as_path() } else { args.plan.parent().unwrap_or(Path::new("")) };
            let name: String = args
                .job
                .chars()
                .map(|char| if char.is_alphanumeric() || "-_.".contains(char) { char } else { '_' })
                .collect();
            let folder = base.join("target").join("debug-job").join(name);
            // It is ours: nothing else is put there.
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(in_the_way(&folder, &error)),
                _ => folder,
            }
        }
    };
    std::path::absolute(&folder).map_err(|error| in_the_way(&folder, &error))
}

/// Puts what the job saw below the folder.
fn lay_out(mill: &Mill, action: &Action, folder: &Path) -> Result<(), CliError> {
    let blobs = mill.storage.as_ref();
    let failed = |error: SaveError| match error {
        SaveError::Store(error) => CliError::store(&error).hint("a run with `--fresh` brings it back"),
        error => CliError::from_error(exit_code::HOST, &error),
    };
    for dir in [OUT_DIR, TMP_DIR] {
        let dir = folder.join(dir.trim_start_matches('/'));
        fs::create_dir_all(&dir).map_err(|error| {
            CliError::new(exit_code::HOST, format!("failed to create {}", dir.display())).because(&error)
        })?;
    }
    export_file(blobs, action.stdin, &folder.join(ROOT_STDIN)).map_err(failed)?;
    for (at, input) in &action.mounts {
        let target = at.names().fold(folder.to_owned(), |path, name| path.join(name));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| {
                CliError::new(exit_code::HOST, format!("failed to create {}", parent.display())).because(&error)
            })?;
        }
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
    let at = &interface.job(job)?.at;
    Some(format!("{at}::{job}"))
}

/// Says where everything is, for those who start a debugger of their own.
fn tell(global: &Global, debugger: Option<&str>, command: &Command, folder: &Path) {
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
    let command = command.get_program().to_string_lossy();
    if global.format == OutputFormat::Json {
        print(format!("{}\n", json!({ "command": command, "args": args, "root": folder })).as_bytes());
    } else if !global.quiet {
        let none = if debugger.is_none() { " (no debugger)" } else { "" };
        let line = shlex::try_join([command.as_ref()].into_iter().chain(args.iter().map(AsRef::as_ref)));
        eprintln!(
            "the job's files are in {folder}\n{ROOT_VARIABLE}={folder} {line}{none}",
            folder = folder.display(),
            line = line.unwrap_or_default()
        );
    }
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
