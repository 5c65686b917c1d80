//! The program's side of the guest protocol (`docs/guest-abi.md`).
//!
//! Owns: choosing the job, reading its input from standard input, writing its result, messages and exit codes.
//! Does not know: what a job does, nor which host runs the program.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::panic::PanicHookInfo;

use wasmill_abi as abi;

use crate::error::render;
use crate::input::Inputs;
use crate::job::{Failure, Job, Written};
use crate::text::text;
use crate::{remarks, root, system};

/// Runs the job that the arguments name and ends the program with its exit code; `wasmill_sdk::main!` calls it.
///
/// Messages go to standard error, because standard output is the job's own.
pub fn run() -> ! {
    std::panic::set_hook(Box::new(|panic| end_panicked("job", panic)));
    remarks::start_logging();
    let invocation = Invocation { arguments: system::arguments(), in_dir: root::in_dir(), out_dir: root::out_dir() };
    let read_stdin = || match root::stdin() {
        Some(path) => system::read(&path).map_err(|error| text!("failed to read `", path, "`\n  caused by: ", error)),
        None => {
            system::read_stdin().map_err(|error| text!("failed to read the input from stdin\n  caused by: ", error))
        }
    };
    match invocation.run(&jobs(), read_stdin) {
        Ok(()) => system::exit(0),
        Err(refusal) => {
            // Standard error may be closed; the exit code still tells.
            system::say(refusal.message.as_bytes());
            system::exit(refusal.exit_code)
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
    system::say(text!("error: the ", what, " panicked", at, "\n  caused by: ", said, "\n").as_bytes());
    system::exit(abi::EXIT_PANIC);
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
    pub in_dir: String,
    /// Where the result goes: [`abi::OUT_DIR`].
    pub out_dir: String,
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
    pub fn run(&self, jobs: &[&Job], read_input: impl FnOnce() -> Result<Vec<u8>, String>) -> Result<(), Refusal> {
        if let Some(pair) = jobs.windows(2).find(|pair| matches!(pair, [one, other] if one.name == other.name)) {
            let name = pair.first().map_or("", |job| job.name);
            let message = text!("error: this module has two jobs named `", name, "`\n");
            return Err(Refusal { exit_code: abi::EXIT_BAD_MODULE, message });
        }
        let named = |argument: &String| jobs.iter().find(|job| job.name == argument);
        let Some(job) = self.arguments.iter().take(2).find_map(named) else {
            return Err(Refusal { exit_code: abi::EXIT_NO_SUCH_JOB, message: usage(&self.arguments, jobs) });
        };
        let io_failed = |error: String| Refusal { exit_code: abi::EXIT_IO, message: text!("error: ", error, "\n") };
        let input = read_input().map_err(io_failed)?;
        let inputs = Inputs::new(input, &*self.in_dir).map_err(|failure| refuse(job.name, failure))?;
        let results = (job.run)(inputs).map_err(|failure| refuse(job.name, failure))?;
        results.into_iter().try_for_each(|result| write_result(&self.out_dir, result)).map_err(io_failed)
    }
}

/// Writes a result and ends its line, so that it reads well in a terminal. One of several has a directory of its own, which then looks
/// like the output of a job that returns just this.
fn write_result(out_dir: &str, result: Written) -> Result<(), String> {
    let Written { name, mut json } = result;
    json.push(b'\n');
    let mut path = out_dir.to_owned();
    if let Some(name) = name {
        path = text!(path, "/", name);
        // The job may have left something there as well.
        system::create_dir(&path).map_err(|error| text!("failed to create `", path, "`\n  caused by: ", error))?;
    }
    path = text!(path, "/", abi::RESULT_FILE);
    system::write(&path, &json)
        .map_err(|error| text!("failed to write the result to `", path, "`\n  caused by: ", error))
}

/// The exit code and the text for a failure.
fn refuse(job: &str, failure: Failure) -> Refusal {
    match failure {
        Failure::Input(wrong) => Refusal {
            exit_code: abi::EXIT_BAD_INPUT,
            message: text!("error: the input does not fit the job `", job, "`\n  caused by: ", wrong, "\n"),
        },
        Failure::Job(error) => Refusal { exit_code: abi::EXIT_JOB_ERROR, message: render(&*error) },
        Failure::Output(error) => Refusal {
            exit_code: abi::EXIT_IO,
            message: text!(
                "error: the result of the job `",
                job,
                "` cannot be written as JSON\n  caused by: ",
                error.to_string(),
                "\n"
            ),
        },
    }
}

/// What to say to a call that names no job.
fn usage(arguments: &[String], jobs: &[&Job]) -> String {
    let mut text = match arguments {
        [] => "error: no job was named\n\n".to_owned(),
        [name] => text!("error: this module has no job `", name, "`\n\n"),
        [name, argument, ..] => text!("error: this module has no job `", name, "`, nor `", argument, "`\n\n"),
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
