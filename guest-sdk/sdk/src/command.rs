//! The program's side of the guest protocol (`docs/guest-abi.md`).
//!
//! Owns: choosing the job, reading its input from standard input, writing its result, messages and exit codes.
//! Does not know: what a job does, nor which host runs the program.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wasmill_abi as abi;

use crate::error::{Context as _, Error, render};
use crate::input::Inputs;
use crate::job::{Failure, Job, Written};
use crate::{remarks, root};

/// Runs the job that the arguments name and gives the exit code; `wasmill_sdk::main!` calls it.
///
/// Messages go to standard error, because standard output is the job's own.
// Inline, like all from here to where JSON is read: so it is compiled with the author's crate, which reads JSON too, and what both need
// of `serde_json` is in the program once.
#[inline]
#[must_use]
pub fn run() -> ExitCode {
    let arguments = std::env::args_os().take(2).map(|argument| argument.to_string_lossy().into_owned()).collect();
    std::panic::set_hook(Box::new(|panic| end_panicked("job", panic)));
    remarks::start_logging();
    let invocation = Invocation { arguments, in_dir: root::in_dir(), out_dir: root::out_dir() };
    let read_stdin = || {
        if let Some(path) = root::stdin() {
            return std::fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()));
        }
        let mut input = Vec::new();
        std::io::stdin().lock().read_to_end(&mut input).context("failed to read the input from stdin")?;
        Ok(input)
    };
    match invocation.run(&jobs(), read_stdin) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            // Standard error may be closed; the exit code still tells.
            let _ = std::io::stderr().lock().write_all(refusal.message.as_bytes());
            ExitCode::from(refusal.exit_code)
        }
    }
}

/// Calls the module's initialiser; `#[init]` has it called before the first job.
pub fn initialise(make: fn()) {
    std::panic::set_hook(Box::new(|panic| end_panicked("initialiser", panic)));
    make();
}

/// What an initialiser made. One that fails ends the program as a panic does: there is nobody yet to give an error to.
///
/// # Panics
/// There is an error.
#[track_caller]
pub fn or_panic<T, E: Into<Box<dyn StdError>>>(made: Result<T, E>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => {
            let error = render(&*error.into());
            panic!("{}", error.trim_end().trim_start_matches("error: "))
        }
    }
}

/// Says where it was and what, and ends the program: a trap would say less.
fn end_panicked(what: &str, panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let said = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let said = said.unwrap_or("it says no more");
    let at = panic.location().map_or_else(String::new, |at| format!(", at {at}"));
    let _ = writeln!(std::io::stderr().lock(), "error: the {what} panicked{at}\n  caused by: {said}");
    std::process::exit(i32::from(abi::EXIT_PANIC));
}

/// The jobs of this module, by name.
pub fn jobs() -> Vec<&'static Job> {
    // There are few: sorting them is larger as a program than this.
    let mut jobs: Vec<&'static Job> = Vec::new();
    for job in inventory::iter::<Job> {
        jobs.insert(jobs.partition_point(|before| before.name <= job.name), job);
    }
    jobs
}

/// One call of the program.
#[derive(Debug)]
pub struct Invocation {
    /// `argv[0]` and `argv[1]`, as far as there are any.
    pub arguments: Vec<String>,
    /// Where files and directories are mounted: [`abi::IN_DIR`].
    pub in_dir: PathBuf,
    /// Where the result goes: [`abi::OUT_DIR`].
    pub out_dir: PathBuf,
}

/// How a call ends that gives no result.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of the exit codes of the protocol.
    pub exit_code: u8,
    /// What to print, with its line ends.
    pub message: String,
}

impl Invocation {
    /// Runs the job that is asked for. The input is only read once there is one.
    ///
    /// # Errors
    /// Everything that gives an exit code other than 0.
    #[inline]
    pub fn run(&self, jobs: &[&Job], read_input: impl FnOnce() -> Result<Vec<u8>, Error>) -> Result<(), Refusal> {
        if let Some(pair) = jobs.windows(2).find(|pair| matches!(pair, [one, other] if one.name == other.name)) {
            let name = pair.first().map_or("", |job| job.name);
            let message = format!("error: this module has two jobs named `{name}`\n");
            return Err(Refusal { exit_code: abi::EXIT_BAD_MODULE, message });
        }
        let named = |argument: &String| jobs.iter().find(|job| job.name == argument);
        let Some(job) = self.arguments.iter().take(2).find_map(named) else {
            return Err(Refusal { exit_code: abi::EXIT_NO_SUCH_JOB, message: usage(&self.arguments, jobs) });
        };
        let io_failed = |error: Error| Refusal { exit_code: abi::EXIT_IO, message: format!("{error:?}\n") };
        let input = read_input().map_err(io_failed)?;
        let inputs = Inputs::new(&input, &self.in_dir).map_err(|failure| refuse(job.name, failure))?;
        let results = (job.run)(inputs).map_err(|failure| refuse(job.name, failure))?;
        results.into_iter().try_for_each(|result| write_result(&self.out_dir, result)).map_err(io_failed)
    }
}

/// Writes a result and ends its line, so that it reads well in a terminal. One of several has a directory of its own, which then looks
/// like the output of a job that returns just this.
fn write_result(out_dir: &Path, result: Written) -> Result<(), Error> {
    let Written { name, mut json } = result;
    json.push(b'\n');
    let mut path = out_dir.to_owned();
    if let Some(name) = name {
        path.push(name);
        match std::fs::create_dir(&path) {
            // The job has left something there as well.
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::from(error).context(format_args!("failed to create `{}`", path.display())));
            }
            _ => {}
        }
    }
    path.push(abi::RESULT_FILE);
    std::fs::write(&path, json).with_context(|| format!("failed to write the result to `{}`", path.display()))
}

/// The exit code and the text for a failure.
fn refuse(job: &str, failure: Failure) -> Refusal {
    match failure {
        Failure::Input(wrong) => Refusal {
            exit_code: abi::EXIT_BAD_INPUT,
            message: format!("error: the input does not fit the job `{job}`\n  caused by: {wrong}\n"),
        },
        Failure::Job(error) => Refusal { exit_code: abi::EXIT_JOB_ERROR, message: render(&*error) },
        Failure::Output(error) => Refusal {
            exit_code: abi::EXIT_IO,
            message: format!("error: the result of the job `{job}` cannot be written as JSON\n  caused by: {error}\n"),
        },
    }
}

/// What to say to a call that names no job.
fn usage(arguments: &[String], jobs: &[&Job]) -> String {
    let mut text = match arguments {
        [] => "error: no job was named\n\n".to_owned(),
        [name] => format!("error: this module has no job `{name}`\n\n"),
        [name, argument, ..] => format!("error: this module has no job `{name}`, nor `{argument}`\n\n"),
    };
    if jobs.is_empty() {
        text.push_str("This is a wasmill module, but without any job: put `#[job]` on a function.\n");
        return text;
    }
    text.push_str("This is a wasmill module. Its jobs are:\n");
    let width = jobs.iter().map(|job| job.name.len()).max().unwrap_or(0);
    for job in jobs {
        let line = format!("  {:width$}  {}", job.name, job.about);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push_str(
        "\nIt is run by wasmill, as a module of a plan: `entry` names the job, `in` mounts its files at /in/PARAMETER,\n\
         and `input` gives values of other parameters. Any other WASI runtime will do as well: the job's name as\n\
         first argument, the values as an object of JSON on standard input, and directories /in and /out.\n",
    );
    text
}
