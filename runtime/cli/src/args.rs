//! The command line.
//!
//! Owns: every command, flag and help text. Does not know: what the commands do.

use std::ops::Range;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use wasmill_model::plan::{Engine, Jobs, Share};
use wasmill_model::{Digest, RunId};

/// Runs jobs that nobody has to trust, and gets the same bytes on every machine.
#[derive(Debug, Parser)]
#[command(name = "wasmill", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Where results are kept [default: a folder `wasmill/store` in your cache directory]
    #[arg(long, global = true, value_name = "DIR", env = "WASMILL_STORE", hide_env_values = true)]
    pub(crate) store: Option<PathBuf>,
    /// For people or for programs (JSON lines on standard output)
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Human)]
    pub(crate) format: OutputFormat,
    /// Who executes machine code: the processor, or an interpreter that gives the same results some ten times slower
    /// [default: cranelift]
    #[arg(long, global = true, value_enum, value_name = "ENGINE", env = "WASMILL_ENGINE", hide_env_values = true)]
    pub(crate) engine: Option<EngineName>,
    /// How plans are carried out, by the name of a profile; `wasmill config profiles` lists the built-in ones [default: standard]
    #[arg(long, global = true, value_name = "NAME", env = "WASMILL_PROFILE", hide_env_values = true)]
    pub(crate) profile: Option<String>,
    /// Most memory to compile a module with [default: 2GiB]
    #[arg(
        long,
        global = true,
        value_name = "SIZE",
        env = "WASMILL_COMPILE_MEMORY",
        hide_short_help = true,
        help_heading = "Tuning"
    )]
    pub(crate) compile_memory: Option<String>,
    /// Most CPU time to compile a module in [default: 2m]
    #[arg(
        long,
        global = true,
        value_name = "TIME",
        env = "WASMILL_COMPILE_TIME",
        hide_short_help = true,
        help_heading = "Tuning"
    )]
    pub(crate) compile_time: Option<String>,
    #[command(flatten)]
    pub(crate) tuning: StoreTuning,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say what is done inside, and what jobs log in detail (-v: what matters, -vv: everything); WASMILL_LOG has finer filters
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// What of all arguments came from the environment.
    #[arg(skip)]
    pub(crate) from_environment: Vec<String>,
}

/// How the store is tuned.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreTuning {
    /// Compress blobs where that pays: less space, but large ones are then unpacked and not mapped
    #[arg(long, global = true, env = "WASMILL_STORE_COMPRESS", hide_short_help = true, help_heading = "Tuning")]
    pub(crate) store_compress: bool,
    /// Memory for small blobs that were read [default: 512MiB]
    #[arg(
        long,
        global = true,
        value_name = "SIZE",
        env = "WASMILL_STORE_CACHE",
        hide_short_help = true,
        help_heading = "Tuning"
    )]
    pub(crate) store_cache: Option<String>,
    /// How large a file of a new store's log becomes, 4KiB to 1GiB [default: 64MiB]
    #[arg(
        long,
        global = true,
        value_name = "SIZE",
        env = "WASMILL_STORE_SEGMENT",
        hide_short_help = true,
        help_heading = "Tuning"
    )]
    pub(crate) store_segment: Option<String>,
    /// The largest blob that goes into a new store's log, at most a quarter of a segment [default: 1MiB]
    #[arg(
        long,
        global = true,
        value_name = "SIZE",
        env = "WASMILL_STORE_LOGGED",
        hide_short_help = true,
        help_heading = "Tuning"
    )]
    pub(crate) store_logged: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Human,
    Json,
}

/// What becomes of NaNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FloatsName {
    Canonical,
    Native,
}

/// Who executes machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    Cranelift,
    Pulley,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Cranelift => Engine::Cranelift,
            EngineName::Pulley => Engine::Pulley,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Execute a plan; what is known already is not executed again
    Run(RunArgs),
    /// Execute one module in the sandbox, without a plan
    #[command(after_help = "The guest's standard output, standard error and exit code are passed through; exit \
                            codes of wasmill's own are 100 or more.")]
    Exec(Box<ExecArgs>),
    /// Look at a plan without executing it
    Plan {
        #[command(subcommand)]
        command: PlanCommand,
    },
    /// Make a project: a folder with a plan, a crate of jobs, and a little data
    New {
        /// The folder, which is not there yet, or is empty; the project is called as it is
        folder: PathBuf,
        /// The folder of a guest SDK to use [default: a copy of the one that this program was made with]
        #[arg(long, value_name = "DIR")]
        sdk: Option<PathBuf>,
    },
    /// Run the tests of a plan's crates, then its jobs in the sandbox, and some of these again: they have to give the same bytes
    Test {
        /// The plan, or the folder that has it
        #[arg(default_value = ".", value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Run a job of the guest SDK as a program of this machine, under a debugger, with the inputs that it had in a run
    #[command(
        after_help = "The program is built from the plan's `crate`. A breakpoint is set at the job's function. The job's \
                            files are laid out in a folder that stands for `/`, so that any other debugger can be used as well."
    )]
    Debug(DebugArgs),
    /// Say what a module says of itself: its jobs, what they take and what they give
    Inspect {
        /// A `.wasm` file
        module: PathBuf,
    },
    /// List the latest runs
    Runs {
        /// How many
        #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// As comma-separated values
        #[arg(long, conflicts_with = "format")]
        csv: bool,
    },
    /// Show a run, or one of its jobs
    Show {
        /// The run's number, as `wasmill runs` has it
        run: RunId,
        /// The job's name
        job: Option<String>,
        /// The jobs as comma-separated values
        #[arg(long, conflicts_with_all = ["format", "job"])]
        csv: bool,
        /// Print the command that executes exactly this action again
        #[arg(long, requires = "job", conflicts_with = "csv")]
        reproduce: bool,
    },
    /// Say why jobs were executed: what is different since the last time
    Why {
        /// The job's name [default: one line for each job]
        job: Option<String>,
        /// The run's number [default: the latest run]
        #[arg(long, value_name = "RUN")]
        run: Option<RunId>,
    },
    /// Say where a run's time went: critical path, other numbers of workers, bottlenecks, advice
    Analyze {
        /// The run's number [default: the latest run]
        run: Option<RunId>,
        #[command(flatten)]
        artifacts: ArtifactArgs,
    },
    /// Say what is different between two runs: plan, inputs, durations, results
    Compare {
        /// The first run's number [default: the latest of the same plan before the second]
        before: Option<RunId>,
        /// The second run's number [default: the latest]
        after: Option<RunId>,
    },
    /// Say how the jobs of a plan did over its latest runs
    Stats {
        /// The plan's name [default: that of the plan in this folder, or of the latest run]
        plan: Option<String>,
        /// How many runs
        #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// End with exit code 108 where a family of jobs has become slower: below 0.8 of the mean of the runs before
        #[arg(long)]
        fail_on_regression: bool,
        /// As comma-separated values
        #[arg(long, conflicts_with = "format")]
        csv: bool,
    },
    /// Execute the recorded actions of a run again, from nothing, and compare every digest
    #[command(after_help = "With `--engine pulley`, on an interpreter instead of the processor.")]
    Verify {
        /// The run's number [default: the latest run]
        run: Option<RunId>,
        /// Only so many of its actions, spread evenly
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        sample: Option<u32>,
        /// Worker threads [default: one for each core]
        #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
        jobs: Option<u16>,
    },
    /// Take files and folders into the store, and pin them
    Put {
        /// What to take in
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Do not pin it: the next `wasmill gc` may remove it again
        #[arg(long)]
        no_pin: bool,
    },
    /// Copy a blob to a file, or a directory of the store to a folder
    Get {
        /// Its digest
        digest: Digest,
        /// Where to
        target: PathBuf,
        /// It is a directory
        #[arg(long, short)]
        recursive: bool,
    },
    /// Write a blob to standard output
    Cat {
        /// Its digest
        digest: Digest,
        /// Only these bytes, as in `100..200`, `100..` or `..200`: the first one that is wanted, and the first that is not
        #[arg(long, value_name = "FROM..TO", value_parser = parse_range)]
        range: Option<Range<u64>>,
    },
    /// List a directory of the store, or all blobs
    Ls {
        /// Its digest
        digest: Option<Digest>,
        /// List directories in it as well
        #[arg(long, short)]
        recursive: bool,
    },
    /// Write a run's record to a file, for `wasmill import` on another machine
    Export {
        /// The run's number
        run: RunId,
        /// The file [default: standard output]
        file: Option<PathBuf>,
    },
    /// Take in a run's record that was exported, to look at and to compare with; results stay where they are
    Import {
        /// The file
        file: PathBuf,
    },
    /// Find out how many workers suit a plan: execute it with several numbers of them, and compare
    Tune(TuneArgs),
    /// Say how plans are carried out here
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Say how much there is in the store
    Store,
    /// Keep something whatever happens, or list what is kept
    Pin {
        /// A blob, a directory with everything in it, or an action with its result and inputs [default: list the pins]
        digests: Vec<Digest>,
        /// Take the pins away
        #[arg(long, requires = "digests")]
        remove: bool,
    },
    /// Remove what no kept run and no pin needs; done once a day without being asked
    Gc(GcArgs),
    /// Read everything in the store again, to find what the disk has lost; goes on where it was interrupted
    Scrub {
        /// Most bytes to read in a second, such as 50MiB [default: as many as the disk gives]
        #[arg(long, value_name = "SIZE")]
        rate: Option<String>,
    },
    /// Compare the store's index with its files
    Doctor {
        /// Note what is missing as lost, take in or remove files that nothing names, and make a damaged index anew
        #[arg(long)]
        repair: bool,
        /// Bring a store of an earlier wasmill to the format of this one
        #[arg(long, conflicts_with = "repair")]
        migrate: bool,
    },
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("it is not of the form `FROM..TO`")?;
    let number = |text: &str, default| match text {
        "" => Ok(default),
        text => text.parse::<u64>().map_err(|error| format!("`{text}`: {error}")),
    };
    Ok(number(from, 0)?..number(to, u64::MAX)?)
}

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Keep the latest runs, however old [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) keep_last: Option<usize>,
    /// Keep runs that are not older, however many [default: 30]
    #[arg(long, value_name = "DAYS")]
    pub(crate) keep_days: Option<u32>,
    /// Where the store is larger, the oldest runs go until it has four fifths of that [default: 20GiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<String>,
    /// Keep what was written more lately than this, even if no run names it [default: 1h]
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    pub(crate) grace: Option<String>,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What of how a plan is carried out can be said on the command line, beside what all commands know.
#[derive(Debug, Default, Args)]
pub(crate) struct SettingArgs {
    /// Worker threads: a number; `auto` for as many as there are cores, or fewer while they get no processor or little memory is
    /// free; `MIN..MAX` for the same between these; `N%` of the cores [default: one for each core]
    #[arg(long, short = 'j', value_name = "N", env = "WASMILL_JOBS", hide_env_values = true)]
    pub(crate) jobs: Option<Jobs>,
    /// Memory that the limits of running jobs may come to together: a size, or `N%` of the machine's [default: 80%]
    #[arg(long, value_name = "SIZE", env = "WASMILL_MEMORY_BUDGET", hide_env_values = true)]
    pub(crate) memory_budget: Option<Share>,
    /// Cancel the run after so long; what is durable by then stays
    #[arg(long, value_name = "TIME", env = "WASMILL_RUN_TIMEOUT", hide_env_values = true)]
    pub(crate) run_timeout: Option<String>,
    /// After a failure, go on with what does not depend on it
    #[arg(long, short, env = "WASMILL_KEEP_GOING", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) keep_going: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// The plan, or the folder that has it
    #[arg(default_value = ".", value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// Only this job and what it needs; may be given several times
    #[arg(long = "job", value_name = "NAME")]
    pub(crate) select: Vec<String>,
    /// Go on with a run of which `wasmill runs` has the number, with its plan, lists, modules and what its jobs had read as they
    /// were then, whatever changed since. (To go on with a plan as it is now, run it again.)
    #[arg(long, value_name = "RUN", conflicts_with_all = ["plan", "select"])]
    pub(crate) resume: Option<RunId>,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Execute jobs again whose failure is recorded
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Execute every job again, whatever is recorded
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) artifacts: ArtifactArgs,
    /// Only say what would be executed, and why
    #[arg(long, conflicts_with_all = ["resume", "report", "trace", "otlp"])]
    pub(crate) dry_run: bool,
}

/// What is to be written or sent about a run.
#[derive(Debug, Default, Args)]
pub(crate) struct ArtifactArgs {
    /// Write a report of the run, one HTML file that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Write a trace of the run for Perfetto or Chrome
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Send the run as OpenTelemetry spans to a collector, such as http://localhost:4318 (OTLP over HTTP, as JSON)
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// The plan, or the folder that has it
    #[arg(default_value = ".", value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// The numbers of workers, such as 1,2,4,8 [default: 1, 2, 4 … up to twice as many as there are cores]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub(crate) workers: Vec<u16>,
    /// How often the plan is executed with each number
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeats: u32,
    /// Execute nothing: replay the latest run of the plan in simulation
    #[arg(long, conflicts_with = "repeats")]
    pub(crate) replay: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DebugArgs {
    /// The job's name, as `wasmill show RUN` has it
    pub(crate) job: String,
    /// The plan, or the folder that has it
    #[arg(default_value = ".", value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// The run whose inputs it gets [default: the latest that had the job]
    #[arg(long)]
    pub(crate) run: Option<RunId>,
    /// Where to lay out the job's files [default: target/debug-job/JOB beside the plan]
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// The debugger, with its options [default: the first there is of rust-gdb, rust-lldb, gdb and lldb]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) debugger: Option<String>,
    /// Run the program by itself
    #[arg(long, conflicts_with = "debugger")]
    pub(crate) no_debugger: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// A .wasm or .wat file, or the digest of a module in the store
    #[arg(required_unless_present = "action")]
    pub(crate) module: Option<PathBuf>,
    /// Exactly what a job was asked to do, by its action key, as `wasmill show RUN JOB --reproduce` has it
    #[arg(long, value_name = "KEY", conflicts_with_all = [
        "module", "inputs", "env", "stdin", "input", "entry", "memory", "fuel", "output", "seed", "args",
    ])]
    pub(crate) action: Option<Digest>,
    /// Show the guest a host file or directory: GUEST=HOST, such as /in/data=./data; with :rw at the end, it changes
    /// a copy of its own
    #[arg(long = "in", value_name = "GUEST=HOST[:rw]")]
    pub(crate) inputs: Vec<String>,
    /// Copy what the guest wrote to /out into this folder; or what is at a path of the guest's, such as /work=./changed
    #[arg(long, value_name = "[GUEST=]HOST")]
    pub(crate) out: Vec<String>,
    /// Set an environment variable: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// The guest's standard input: a file, or - for ours [default: nothing]
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin: Option<PathBuf>,
    /// A value in JSON as standard input; for a module made with the SDK, an object with a field for each parameter
    #[arg(long, value_name = "JSON", conflicts_with = "stdin")]
    pub(crate) input: Option<String>,
    /// What the guest is called (the first of its arguments): for a module made with the SDK, which of its jobs
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,
    /// Most memory, such as 64MiB [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// Most fuel, about one unit for each instruction [default: not metered]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) fuel: Option<u64>,
    /// Most wall time, such as 10s [default: 5m]
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
    /// Most output, such as 1MiB: /out, /tmp, stdout and stderr together [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) output: Option<String>,
    /// Whether NaNs are the same everywhere, or as this kind of processor makes them, which can be faster
    #[arg(long, value_enum, default_value_t = FloatsName::Canonical, value_name = "FLOATS")]
    pub(crate) floats: FloatsName,
    /// Makes random numbers differ
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) seed: u64,
    /// Execute it again, whatever is recorded
    #[arg(long)]
    pub(crate) fresh: bool,
    /// The guest's arguments
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<std::ffi::OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Say everything that is wrong with a plan
    Check {
        /// The plan, or the folder that has it
        #[arg(default_value = ".", value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Show how deep and wide a plan is, its critical path, and what more workers would bring
    Show {
        /// The plan, or the folder that has it
        #[arg(default_value = ".", value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Write a plan's graph for a program that draws it
    Graph {
        /// The plan, or the folder that has it
        #[arg(default_value = ".", value_name = "PLAN")]
        plan: PathBuf,
        /// The graph of a run instead, with the jobs that came to be in it
        #[arg(long, value_name = "RUN", conflicts_with = "plan")]
        run: Option<RunId>,
        /// The notation
        #[arg(long = "as", value_enum, default_value = "dot", value_name = "NOTATION")]
        notation: Notation,
        /// One box for all items of a job
        #[arg(long)]
        families: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every effective value, with where it comes from
    Show {
        /// The plan, or the folder that has it [default: the one in this folder, if there is one]
        plan: Option<PathBuf>,
        #[command(flatten)]
        settings: SettingArgs,
    },
    /// The built-in profiles, with their values and the reasons for them
    Profiles,
}

/// What programs that draw graphs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Notation {
    /// Graphviz
    Dot,
    /// Mermaid, as in Markdown
    Mermaid,
    /// For any other program
    Json,
}
