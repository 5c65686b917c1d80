//! How a plan is carried out: every value, and where it comes from.
//!
//! Owns: the order of precedence (flag, environment, the project's profile, the user's, the built-in one, default) and the
//! user's configuration file. Does not know: what the values do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmill_executor::nearest;
use wasmill_model::plan::{
    Engine, Format, JobSpec, Jobs, Profile, Profiles, Share, built_in, parse_config, parse_duration, parse_size,
};

use crate::args::{Global, SettingArgs};
use crate::error::{CliError, usage};
use crate::exit_code;
use crate::mill::{default_workers, memory_of_machine};
use crate::plan_file;

/// Names the user's configuration file.
const CONFIG_VARIABLE: &str = "WASMILL_CONFIG";

/// The profile that others are based on.
const BASE: &str = "standard";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(String),
    Variable(String),
    /// A profile of a file's, or of none: a built-in one.
    Profile(String, Option<PathBuf>),
    /// What is asked for in a file: which profile counts.
    File(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => write!(f, "flag {flag}"),
            Origin::Variable(name) => write!(f, "environment {name}"),
            Origin::Profile(name, Some(file)) => write!(f, "profile {name} in {}", file.display()),
            Origin::Profile(name, None) => write!(f, "built-in profile {name}"),
            Origin::File(file) => file.display().fmt(f),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) profile: Setting<String>,
    pub(crate) jobs: Setting<Jobs>,
    pub(crate) memory: Setting<Share>,
    pub(crate) store_cache_bytes: Setting<Option<u64>>,
    /// The wall-clock limit of jobs of which the plan says none.
    pub(crate) timeout: Setting<Option<Duration>>,
    pub(crate) run_timeout: Setting<Option<Duration>>,
    /// The target of jobs of which the plan says none.
    pub(crate) sla: Setting<Option<Duration>>,
    pub(crate) engine: Setting<Engine>,
    pub(crate) compile_memory_bytes: Setting<Option<u64>>,
    pub(crate) compile_time: Setting<Option<Duration>>,
    pub(crate) keep_going: Setting<bool>,
}

/// The profiles of a plan, and its file.
pub(crate) type Project<'a> = (&'a Path, &'a Profiles);

impl Settings {
    /// Brings together what the command line, the environment, a plan, and the user's configuration say.
    pub(crate) fn find(
        global: &Global,
        run: Option<&SettingArgs>,
        project: Option<Project<'_>>,
    ) -> Result<Self, CliError> {
        let user_file = user_file();
        let user = read_user(user_file.as_deref())?;
        let mut files: Vec<(PathBuf, &Profiles)> = Vec::new();
        files.extend(project.map(|(file, profiles)| (file.to_owned(), profiles)));
        files.extend(user_file.zip(user.as_ref()));
        let profile = chosen(global, &files, project.is_some() || run.is_some())?;
        let layers = layers(&profile.value, &files);
        let finder = Finder { global, layers };
        let none = SettingArgs::default();
        let run = run.unwrap_or(&none);
        let cache = size("--store-cache", global.tuning.store_cache.as_deref())?;
        let run_ms = time("--run-timeout", run.run_timeout.as_deref())?;
        let memory = size("--compile-memory", global.compile_memory.as_deref())?;
        let compile_ms = time("--compile-time", global.compile_time.as_deref())?;
        let engine = global.engine.map(Engine::from);
        let is_said = run.keep_going || global.from_environment.iter().any(|id| id == "keep_going");
        let keeps = is_said.then_some(run.keep_going);
        Ok(Self {
            jobs: finder.find("jobs", run.jobs, |profile| profile.jobs).or(Jobs::Percent(100)),
            memory: finder.find("memory-budget", run.memory_budget, |profile| profile.memory).or(Share::Percent(80)),
            store_cache_bytes: finder.find("store-cache", cache, |profile| profile.store_cache_bytes).optional(),
            timeout: finder.find("", None, |profile| profile.timeout_ms).optional().map(milliseconds),
            run_timeout: finder
                .find("run-timeout", run_ms, |profile| profile.run_timeout_ms)
                .optional()
                .map(milliseconds),
            sla: finder.find("", None, |profile| profile.sla_ms).optional().map(milliseconds),
            engine: finder.find("engine", engine, |profile| profile.engine).or(Engine::Cranelift),
            compile_memory_bytes: finder
                .find("compile-memory", memory, |profile| profile.compile_memory_bytes)
                .optional(),
            compile_time: finder
                .find("compile-time", compile_ms, |profile| profile.compile_ms)
                .optional()
                .map(milliseconds),
            keep_going: finder.find("keep-going", keeps, |profile| profile.keep_going).or(false),
            profile,
        })
    }

    /// Has the jobs of a plan that say nothing of it keep to this.
    pub(crate) fn apply(&self, job: &mut JobSpec) {
        let ms = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let (timeout_ms, sla_ms) = (ms(self.timeout.value), ms(self.sla.value));
        Profile { timeout_ms, sla_ms, ..Profile::default() }.apply(job);
    }

    /// The fewest workers where their number adapts, and the most.
    pub(crate) fn workers(&self) -> (Option<usize>, usize) {
        let cores = default_workers();
        match self.jobs.value {
            Jobs::Fixed(workers) => (None, usize::from(workers)),
            Jobs::Auto => (Some(1), cores),
            Jobs::Between(min, max) => (Some(usize::from(min)), usize::from(max)),
            Jobs::Percent(percent) => (None, (cores * usize::from(percent) / 100).max(1)),
        }
    }

    /// How much memory the limits of running jobs may come to together, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        match self.memory.value {
            Share::Bytes(bytes) => bytes,
            // Who does not know does not keep anybody from running.
            Share::Percent(percent) => memory_of_machine().map_or(u64::MAX, |all| all / 100 * u64::from(percent)),
        }
    }

    /// The profile, where it is not the one that is always used.
    pub(crate) fn profile_named(&self) -> Option<String> {
        Some(self.profile.value.clone()).filter(|name| name != BASE)
    }
}

fn milliseconds(wall_ms: Option<u64>) -> Option<Duration> {
    wall_ms.map(Duration::from_millis)
}

impl<T> Setting<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), origin: self.origin }
    }
}

/// A value that may not be said anywhere.
struct Found<T>(Option<Setting<T>>);

impl<T> Found<T> {
    fn or(self, default: T) -> Setting<T> {
        self.0.unwrap_or(Setting { value: default, origin: Origin::Default })
    }

    fn optional(self) -> Setting<Option<T>> {
        match self.0 {
            Some(Setting { value, origin }) => Setting { value: Some(value), origin },
            None => Setting { value: None, origin: Origin::Default },
        }
    }
}

struct Finder<'a> {
    global: &'a Global,
    /// What counts first comes first.
    layers: Vec<(Origin, Profile)>,
}

impl Finder<'_> {
    /// Looks for a value, which may be given as a flag of this name or by the variable of the same.
    fn find<T>(&self, flag: &str, given: Option<T>, of: impl Fn(&Profile) -> Option<T>) -> Found<T> {
        if let Some(value) = given {
            return Found(Some(Setting { value, origin: given_by(self.global, flag) }));
        }
        let found = self.layers.iter().find_map(|(origin, profile)| Some((origin.clone(), of(profile)?)));
        Found(found.map(|(origin, value)| Setting { value, origin }))
    }
}

/// Whether it was the flag or the variable that gave a value.
pub(crate) fn given_by(global: &Global, flag: &str) -> Origin {
    let id = flag.replace('-', "_");
    if global.from_environment.contains(&id) {
        Origin::Variable(format!("WASMILL_{}", id.to_uppercase()))
    } else {
        Origin::Flag(format!("--{flag}"))
    }
}

/// Which profile counts.
fn chosen(global: &Global, files: &[(PathBuf, &Profiles)], has_plan: bool) -> Result<Setting<String>, CliError> {
    let in_file = |(file, profiles): &(PathBuf, &Profiles)| {
        let value = profiles.default.clone()?;
        Some(Setting { value, origin: Origin::File(file.clone()) })
    };
    let chosen = match &global.profile {
        Some(name) => Setting { value: name.clone(), origin: given_by(global, "profile") },
        None => files
            .iter()
            .find_map(in_file)
            .unwrap_or_else(|| Setting { value: BASE.to_owned(), origin: Origin::Default }),
    };
    let built_in = built_in();
    let mut names: Vec<&str> = built_in.iter().map(|one| one.name).collect();
    names.extend(files.iter().flat_map(|(_, profiles)| profiles.by_name.keys().map(String::as_str)));
    if names.contains(&chosen.value.as_str()) {
        return Ok(chosen);
    }
    if !has_plan && !matches!(chosen.origin, Origin::Flag(_)) {
        // A plan may have it, and this command looks at none.
        return Ok(Setting { value: BASE.to_owned(), origin: Origin::Default });
    }
    let code = if matches!(chosen.origin, Origin::File(_)) { exit_code::PLAN } else { exit_code::USAGE };
    let error = CliError::new(code, format!("there is no profile `{}` ({})", chosen.value, chosen.origin));
    Err(match nearest(&chosen.value, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => {
            names.sort_unstable();
            names.dedup();
            error.hint(format!("there are {}", names.join(", ")))
        }
    })
}

/// What says something of a profile, what counts first first: the files and the built-in ones, then the same for the profile
/// that others are based on.
fn layers(name: &str, files: &[(PathBuf, &Profiles)]) -> Vec<(Origin, Profile)> {
    let mut layers = Vec::new();
    let mut names = vec![name, BASE];
    names.dedup();
    for name in names {
        for (file, profiles) in files {
            let profile = profiles.by_name.get(name).cloned();
            layers.extend(profile.map(|profile| (Origin::Profile(name.to_owned(), Some(file.clone())), profile)));
        }
        let own = built_in().into_iter().find(|one| one.name == name);
        layers.extend(own.map(|one| (Origin::Profile(name.to_owned(), None), one.profile)));
    }
    layers
}

/// Where the user's configuration is, if there is a place for it. A variable that is empty says that there is none.
pub(crate) fn user_file() -> Option<PathBuf> {
    match std::env::var_os(CONFIG_VARIABLE) {
        Some(named) => Some(PathBuf::from(named)).filter(|file| !file.as_os_str().is_empty()),
        None => directories::BaseDirs::new().map(|dirs| dirs.config_dir().join("wasmill").join("config.toml")),
    }
}

fn read_user(file: Option<&Path>) -> Result<Option<Profiles>, CliError> {
    let Some(file) = file else { return Ok(None) };
    let named = std::env::var_os(CONFIG_VARIABLE).is_some();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if !named && is_out_of_sight(file, &error) => return Ok(None),
        Err(error) => {
            let wrong = CliError::new(exit_code::PLAN, format!("failed to read the configuration {}", file.display()));
            let wrong = wrong.because(&error);
            return Err(if named { wrong.hint(format!("{CONFIG_VARIABLE} names it")) } else { wrong });
        }
    };
    let shown = file.display().to_string();
    parse_config(&text, Format::Toml).map(Some).map_err(|wrong| CliError {
        headline: format!("the configuration {shown} is not valid"),
        ..plan_file::invalid(&shown, &text, &wrong)
    })
}

/// Whether there is no such file as far as this user can see. Whoever becomes somebody else often keeps the other's HOME,
/// and may not look into it.
fn is_out_of_sight(file: &Path, error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => true,
        ErrorKind::PermissionDenied => file.metadata().is_err(),
        _ => false,
    }
}

fn size(flag: &str, text: Option<&str>) -> Result<Option<u64>, CliError> {
    text.map(parse_size).transpose().map_err(|wrong| usage(flag, &wrong))
}

fn time(flag: &str, text: Option<&str>) -> Result<Option<u64>, CliError> {
    text.map(parse_duration).transpose().map_err(|wrong| usage(flag, &wrong))
}
