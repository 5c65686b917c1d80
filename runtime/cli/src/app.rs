//! From the command line to an exit code.
//!
//! Owns: which command is carried out, how errors leave the process, logging. Does not know: what commands do.

use std::io::Write as _;
use std::panic;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command, ConfigCommand, OutputFormat, PlanCommand};
use crate::commands;
use crate::error::CliError;
use crate::exit_code;
use crate::report;

/// A tenth of the time of 10,000 small jobs is asking for memory and giving it back, and threads give back what others asked for. What
/// the system has for that differs much in how well it copes; this one is the same everywhere.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    // This program is its own compiler: see `Compiler::Child`.
    if let Some(code) = wasmill_sandbox::serve() {
        return code;
    }
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(exit_code::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    start_logging(cli.global.verbose);
    let format = cli.global.format;
    let result = match cli.command {
        Command::Run(args) => commands::run::run(&cli.global, &args),
        Command::Exec(args) => commands::exec::exec(&cli.global, *args),
        Command::Plan { command } => match command {
            PlanCommand::Check { plan } => commands::plan::check(&cli.global, &plan),
            PlanCommand::Show { plan } => commands::plan::show(&cli.global, &plan),
            PlanCommand::Graph { plan, run, notation, families } => {
                commands::plan::graph(&cli.global, &plan, run, notation, families)
            }
        },
        Command::New { folder, sdk } => commands::project::new(&cli.global, &folder, sdk.as_deref()),
        Command::Test { plan } => commands::project::test(&cli.global, &plan),
        Command::Debug(args) => commands::debug::debug(&cli.global, &args),
        Command::Inspect { module } => commands::inspect::inspect(&cli.global, &module),
        Command::Runs { limit, csv } => commands::history::runs(&cli.global, limit as usize, csv),
        Command::Show { run, job: Some(job), reproduce: true, .. } => {
            commands::history::reproduce(&cli.global, run, &job)
        }
        Command::Show { run, job, csv, .. } => commands::history::show(&cli.global, run, job.as_deref(), csv),
        Command::Why { job, run } => commands::why::why(&cli.global, job.as_deref(), run),
        Command::Analyze { run, artifacts } => commands::analyze::analyze(&cli.global, run, &artifacts),
        Command::Compare { before, after } => commands::compare::runs(&cli.global, before, after),
        Command::Stats { plan, limit, fail_on_regression, csv } => {
            commands::stats::stats(&cli.global, plan.as_deref(), limit as usize, fail_on_regression, csv)
        }
        Command::Verify { run, sample, jobs } => commands::verify::verify(&cli.global, run, sample, jobs),
        Command::Cat { digest, range } => commands::content::cat(&cli.global, digest, range),
        Command::Put { paths, no_pin } => commands::content::put(&cli.global, &paths, !no_pin),
        Command::Get { digest, target, recursive } => commands::content::get(&cli.global, digest, &target, recursive),
        Command::Export { run, file } => commands::transfer::export(&cli.global, run, file.as_deref()),
        Command::Import { file } => commands::transfer::import(&cli.global, &file),
        Command::Tune(args) => commands::tune::tune(&cli.global, &args),
        Command::Config { command } => match command {
            ConfigCommand::Show { plan, settings } => commands::config::show(&cli.global, plan.as_deref(), &settings),
            ConfigCommand::Profiles => commands::config::profiles(&cli.global),
        },
        Command::Store => commands::store::stats(&cli.global),
        Command::Pin { digests, remove } => commands::store::pin(&cli.global, &digests, remove),
        Command::Gc(args) => commands::store::gc(&cli.global, &args),
        Command::Scrub { rate } => commands::store::scrub(&cli.global, rate.as_deref()),
        Command::Doctor { migrate: true, .. } => commands::store::migrate(&cli.global),
        Command::Doctor { repair, .. } => commands::store::doctor(&cli.global, repair),
        Command::Ls { digest, recursive } => commands::content::ls(&cli.global, digest, recursive),
    };
    let (result, format) = match (result, report::stdout_failure()) {
        (Ok(_), Some(failure)) => {
            let error = CliError::new(exit_code::HOST, "failed to write to standard output").because(failure);
            (Err(error), OutputFormat::Human)
        }
        (result, _) => (result, format),
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        show_error(&error, format);
        error.exit_code
    }))
}

/// Reads the command line, and notes what of it came from the environment.
fn parse() -> Result<Cli, clap::Error> {
    let mut matches = Cli::command().try_get_matches()?;
    let mut last = &matches;
    while let Some((_, below)) = last.subcommand() {
        last = below;
    }
    let is_variable = |id: &&clap::Id| last.value_source(id.as_str()) == Some(ValueSource::EnvVariable);
    let from_environment = last.ids().filter(is_variable).map(ToString::to_string).collect();
    let mut cli = Cli::from_arg_matches_mut(&mut matches)?;
    cli.global.from_environment = from_environment;
    Ok(cli)
}

/// Shows an error in the way that was asked for.
pub(crate) fn show_error(error: &CliError, format: OutputFormat) {
    // Whoever closed our output does not want to hear of it.
    let _ = match format {
        OutputFormat::Human => write!(anstream::stderr(), "{}", error.human()),
        OutputFormat::Json => writeln!(std::io::stdout(), "{}", error.json()),
    };
}

/// The same of what does not keep the command from having done what it was for.
pub(crate) fn show_warning(error: &CliError, format: OutputFormat) {
    let _ = match format {
        OutputFormat::Human => write!(anstream::stderr(), "{}", error.human_warning()),
        OutputFormat::Json => {
            return crate::report::show_json(&wasmill_model::Event::Warning { message: error.line() });
        }
    };
}

/// What is caught is told by whoever catches it, in words.
fn show_panics_that_nobody_expects() {
    let shown = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        if !wasmill_storage::expects_panic() {
            shown(panicked);
        }
    }));
}

fn start_logging(verbose: u8) {
    show_panics_that_nobody_expects();
    let default = match verbose {
        0 => "warn",
        1 => "wasmill=debug,wasmill_executor=debug,wasmill_sandbox=debug,wasmill_storage=debug,info",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("WASMILL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let has_colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt().with_ansi(has_colour).with_writer(std::io::stderr).without_time();
    lines.with_env_filter(filter).init();
}
