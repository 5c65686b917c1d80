//! `wasmill exec`: one module in the sandbox, without a plan.
//!
//! Owns: turning flags into a plan of one job, and handing the guest's output and exit code on. Does not know:
//! how the job is executed: it is a plan like any other, cached like any other.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Instant;

use wasmill_executor::{BuildOutput, expand};
use wasmill_model::plan::{
    Growth, InputSource, JobSpec, ModuleSource, MountSpec, Place, Plan, Profiles, Retries, SaveSpec, Spanned, Stdin,
    Template, check_mounts, check_outputs, parse_duration, parse_size,
};
use wasmill_model::port::BlobStore as _;
use wasmill_model::{
    ActionKey, BlobRef, Event, GuestPath, JobReport, JobStatus, Limits, MountMode, OutputPath, Timeout,
};

use super::again::again;
use crate::args::{ExecArgs, FloatsName, Global, OutputFormat};
use crate::error::{CliError, usage};
use crate::exit_code;
use crate::mill::{How, Mill, Work};
use crate::report::text::harmless;
use crate::report::{describe_failure, log_level, print, show_json};

/// The name of the one job.
const JOB: &str = "exec";

/// `wasmill exec`.
pub(crate) fn exec(global: &Global, args: ExecArgs) -> Result<u8, CliError> {
    let began = Instant::now();
    let module = match (&args.module, args.action) {
        (None, Some(action)) => {
            let out = args.out.first().map(std::path::Path::new);
            return again(global, ActionKey(action), timeout_of(args.timeout.as_deref())?, out);
        }
        (module, _) => module.clone().unwrap_or_default(),
    };
    let mill = Mill::open(global)?;
    let fresh = args.fresh;
    let shown = module.display().to_string();
    let plan = plan_of(args, &module, &mill)?;
    let base = std::env::current_dir()
        .map_err(|error| CliError::new(exit_code::HOST, "there is no current directory").because(&error))?;
    let graph = expand(plan, &base).map_err(|diagnostics| {
        let said = diagnostics.into_iter().next().map(|diagnostic| diagnostic.message).unwrap_or_default();
        CliError::new(exit_code::USAGE, said)
    })?;
    let loaded = mill.load_modules(&graph, BuildOutput::Kept).map_err(|mut errors| {
        let mut error = errors.pop().unwrap_or_default();
        error.headline = format!("cannot load the module {shown}");
        error
    })?;
    let how = How {
        workers: 1,
        workers_min: None,
        memory_bytes: u64::MAX,
        timeout: None,
        keep_going: false,
        retry_failed: false,
        fresh,
        measuring: false,
        began,
        profile: None,
        tells_each: true,
    };
    let mut report = None;
    let json = global.format == OutputFormat::Json;
    let shown_level = log_level(global.quiet, global.verbose);
    mill.execute(Work::Graph(Box::new(graph), loaded.modules), &how, &mut |event| {
        if json {
            show_json(event);
        }
        match event {
            Event::JobFinished(finished) => report = Some(finished.clone()),
            Event::JobLog { level, message, .. } if !json && *level <= shown_level => {
                let _ = writeln!(anstream::stderr(), "{level}: {}", harmless(message));
            }
            _ => {}
        }
    })?;
    let Some(report) = report else {
        return Err(CliError::new(exit_code::HOST, "the job was not carried out; this is a bug in wasmill"));
    };
    let code = conclude(&mill, &report, json)?;
    mill.collect_if_due();
    mill.close()?;
    Ok(code)
}

/// Passes on what the guest wrote and how it ended.
fn conclude(mill: &Mill, report: &JobReport, json: bool) -> Result<u8, CliError> {
    let Some(result) = &report.result else {
        return Err(match report.status {
            JobStatus::Cancelled => CliError::new(exit_code::CANCELLED, "cancelled"),
            _ => {
                let mut lines = report.error.iter().cloned();
                let headline = lines.next().unwrap_or_default();
                CliError {
                    causes: lines.collect(),
                    hints: report.hint.iter().cloned().collect(),
                    ..CliError::new(exit_code::INPUT, headline)
                }
            }
        });
    };
    if !json {
        let bytes = |blob: BlobRef| mill.storage.get(&blob).map_err(|error| CliError::store(&error));
        print(&bytes(result.stdout)?);
        // Nobody could be told.
        let _ = std::io::stderr().write_all(&bytes(result.stderr)?);
    }
    if report.status == JobStatus::Error {
        // The guest did well, but its outputs could not be copied.
        let mut lines = report.error.iter().cloned();
        let headline = lines.next().unwrap_or_default();
        return Err(CliError { causes: lines.collect(), ..CliError::new(exit_code::HOST, headline) });
    }
    let code = exit_code::of_outcome(&result.outcome);
    if !json && !matches!(result.outcome, wasmill_model::Outcome::Exited { .. }) {
        let error = describe_failure(report, "the guest", None);
        let _ = write!(anstream::stderr(), "{}", error.human());
    }
    Ok(code)
}

fn timeout_of(text: Option<&str>) -> Result<Timeout, CliError> {
    let mut timeout = Timeout::default();
    if let Some(text) = text {
        timeout.wall_ms = parse_duration(text).map_err(|wrong| usage("--timeout", &wrong))?;
    }
    Ok(timeout)
}

fn plan_of(args: ExecArgs, module: &Path, mill: &Mill) -> Result<Plan, CliError> {
    let mut limits = Limits { fuel: args.fuel, ..Limits::default() };
    if let Some(text) = &args.memory {
        limits.memory_bytes = parse_size(text).map_err(|wrong| usage("--memory", &wrong))?;
        if !(65_536..=Limits::MEMORY_BYTES_MAX).contains(&limits.memory_bytes) {
            return Err(usage("--memory", "it must be between 64KiB and 4GiB"));
        }
    }
    if let Some(text) = &args.output {
        limits.output_bytes = parse_size(text).map_err(|wrong| usage("--output", &wrong))?;
    }
    let timeout = timeout_of(args.timeout.as_deref())?;
    let mounts = mounts_of(&args.inputs)?;
    let save = saves(&args.out)?;
    let outputs: Vec<OutputPath> = save.iter().filter_map(|save| save.from.clone()).collect();
    check_outputs(&outputs).map_err(|wrong| usage("--out", &wrong))?;
    let input = args.input.map(|json| input_of(&json, mill)).transpose()?;
    let stdin = args.stdin.map(|path| stdin_of(&path, mill)).transpose()?.or(input);
    let shown = module.display().to_string();
    let job = JobSpec {
        name: spanned(JOB.to_owned()),
        module: spanned(shown.clone()),
        entry: args.entry,
        args: (args.args.into_iter())
            .enumerate()
            .map(|(index, arg)| match arg.into_string() {
                Ok(arg) => Ok(Template::literal(arg)),
                Err(arg) => Err(usage(&format!("argument {}", index + 1), &format!("{arg:?} is not valid UTF-8"))),
            })
            .collect::<Result<_, _>>()?,
        env: args.env.iter().map(|pair| variable(pair)).collect::<Result<BTreeMap<_, _>, _>>()?,
        stdin,
        mounts,
        outputs: outputs.into_iter().map(spanned).collect(),
        save,
        for_each: Vec::new(),
        fields: Vec::new(),
        when: Vec::new(),
        race: None,
        batch: None,
        yields: None,
        limits,
        timeout,
        timeout_is_default: false,
        seed: args.seed,
        native_floats: args.floats == FloatsName::Native,
        place: Place::default(),
        retries: Retries::default(),
        target: None,
    };
    let source = match module.to_str().map(str::parse) {
        Some(Ok(digest)) if !module.exists() => ModuleSource::Digest(digest),
        _ => ModuleSource::File { path: module.to_string_lossy().into_owned() },
    };
    let name = module.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Plan {
        name: format!("exec {name}"),
        modules: BTreeMap::from([(shown, spanned(source))]),
        resources: BTreeMap::new(),
        growth: Growth::default(),
        profiles: Profiles::default(),
        jobs: vec![job],
        result: None,
    })
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned { value, span: 0..0 }
}

fn variable(pair: &str) -> Result<(String, Template), CliError> {
    match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), Template::literal(value))),
        _ => Err(usage("--env", &format!("`{pair}` is not of the form NAME=VALUE"))),
    }
}

fn mount(pair: &str) -> Result<MountSpec, CliError> {
    let Some((guest, host)) = pair.split_once('=') else {
        return Err(usage("--in", &format!("`{pair}` is not of the form GUEST=HOST")));
    };
    let at = GuestPath::new(guest).map_err(|error| usage("--in", &error.to_string()))?;
    let (host, mode) = match (host.strip_suffix(":rw"), host.strip_suffix(":ro")) {
        (Some(host), _) => (host, MountMode::CopyOnWrite),
        (_, Some(host)) => (host, MountMode::ReadOnly),
        _ => (host, MountMode::ReadOnly),
    };
    Ok(MountSpec {
        at: spanned(at),
        source: spanned(InputSource::Path(Template::literal(host))),
        mode,
        is_optional: false,
    })
}

/// What to copy where. All of `/out`, or some paths: what is not named is not kept.
fn saves(outs: &[String]) -> Result<Vec<SaveSpec>, CliError> {
    let mut saves = Vec::new();
    for out in outs {
        let (from, to) = match out.split_once('=') {
            Some((guest, host)) if guest.starts_with('/') => (Some(guest), host),
            _ => (None, out.as_str()),
        };
        let from = match from.map(|guest| guest.trim_end_matches('/')) {
            None | Some("/out") => None,
            Some("") => Some(OutputPath::new("/").map_err(|error| usage("--out", &error.to_string()))?),
            Some(guest) => Some(OutputPath::new(guest).map_err(|error| usage("--out", &error.to_string()))?),
        };
        saves.push(SaveSpec { from, to: spanned(Template::literal(to)) });
    }
    let whole = saves.iter().filter(|save| save.from.is_none()).count();
    if whole > 0 && whole < saves.len() {
        return Err(usage("--out", "either all of /out is copied, or some paths; name those below /out as well"));
    }
    Ok(saves)
}

fn mounts_of(inputs: &[String]) -> Result<Vec<MountSpec>, CliError> {
    let mounts = inputs.iter().map(|pair| mount(pair)).collect::<Result<Vec<_>, _>>()?;
    let places: Vec<_> = mounts.iter().map(|mount| (mount.at.value.clone(), mount.mode)).collect();
    check_mounts(&places).map_err(|wrong| usage("--in", &wrong))?;
    Ok(mounts)
}

/// As it is written: what it means is for the guest to say.
fn input_of(json: &str, mill: &Mill) -> Result<Spanned<Stdin>, CliError> {
    let _: serde::de::IgnoredAny = serde_json::from_str(json).map_err(|wrong| usage("--input", &wrong.to_string()))?;
    let blob = mill.storage.put(json.trim().to_owned().into()).map_err(|error| CliError::store(&error))?;
    Ok(spanned(Stdin::Blob(blob)))
}

fn stdin_of(path: &Path, mill: &Mill) -> Result<Spanned<Stdin>, CliError> {
    if path.as_os_str() != "-" {
        let source = InputSource::Path(Template::literal(path.to_string_lossy()));
        return Ok(spanned(Stdin::Source(source)));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::new(exit_code::INPUT, "failed to read standard input").because(&error))?;
    let blob = mill.storage.put(bytes.into()).map_err(|error| CliError::store(&error))?;
    Ok(spanned(Stdin::Blob(blob)))
}
