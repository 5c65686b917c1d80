//! Profiles: how plans are carried out, under a name.
//!
//! Owns: their keys, their ranges, and the built-in ones. Does not know: which one is used, or what else says how a plan is
//! carried out. Nothing here is part of an action: a profile never changes what a job comes to.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::decode::check_label;
use super::diagnostic::Diagnostics;
use super::document::Value;
use super::fields::{Field, Fields};
use super::{JobSpec, Target};

/// How plans are carried out; what is not said is left to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// How many workers there are.
    pub jobs: Option<Jobs>,
    /// Memory that the limits of running jobs may come to together.
    pub memory: Option<Share>,
    /// Memory for small blobs that were read, in bytes.
    pub store_cache_bytes: Option<u64>,
    /// The wall-clock limit of jobs of which the plan says none, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How long a run may take, in milliseconds.
    pub run_timeout_ms: Option<u64>,
    /// How long jobs should take at most of which the plan says nothing, in milliseconds.
    pub sla_ms: Option<u64>,
    /// What executes machine code.
    pub engine: Option<Engine>,
    /// Most memory to compile a module with, in bytes.
    pub compile_memory_bytes: Option<u64>,
    /// Most CPU time to compile a module in, in milliseconds.
    pub compile_ms: Option<u64>,
    /// Whether jobs that do not depend on a failed one still run.
    pub keep_going: Option<bool>,
}

/// How many workers a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// So many.
    Fixed(u16),
    /// As many as there are cores, or fewer.
    Auto,
    /// As many as suits, between these.
    Between(u16, u16),
    /// So many for each hundred cores, and at least one.
    Percent(u16),
}

/// The most workers.
const JOBS_MAX: u16 = 4_096;

/// The most workers for each hundred cores.
const JOBS_PERCENT_MAX: u16 = 1_600;

impl FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number = text.parse().ok().filter(|number| (1..=JOBS_MAX).contains(number));
            number.ok_or_else(|| {
                format!("`{text}` is no number from 1 to {JOBS_MAX}; it can also be `auto`, or as `2..8` or `150%`")
            })
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok().filter(|percent| (1..=JOBS_PERCENT_MAX).contains(percent));
            return percent
                .map(Jobs::Percent)
                .ok_or_else(|| format!("`{text}` is not from 1% to {JOBS_PERCENT_MAX}% of the cores"));
        }
        match text.split_once("..") {
            None if text == "auto" => Ok(Jobs::Auto),
            None => number(text).map(Jobs::Fixed),
            Some((min, max)) => match (number(min)?, number(max)?) {
                (min, max) if min <= max => Ok(Jobs::Between(min, max)),
                (min, max) => Err(format!("{min} is more than {max}")),
            },
        }
    }
}

impl fmt::Display for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Jobs::Fixed(workers) => workers.fmt(f),
            Jobs::Auto => f.write_str("auto"),
            Jobs::Between(min, max) => write!(f, "{min}..{max}"),
            Jobs::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// A part of the machine's memory, or an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many bytes.
    Bytes(u64),
    /// So much of all there is.
    Percent(u8),
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
            return percent.map(Share::Percent).ok_or_else(|| format!("`{text}` is not from 1% to 100%"));
        }
        match super::parse_size(text)? {
            0 => Err("it must be more than nothing".to_owned()),
            bytes => Ok(Share::Bytes(bytes)),
        }
    }
}

/// What executes machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The processor.
    Cranelift,
    /// An interpreter that gives the same results, some ten times slower.
    Pulley,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Cranelift => "cranelift",
            Engine::Pulley => "pulley",
        })
    }
}

/// The profiles that a file has, by name, and which of them counts where none is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profiles {
    /// By name.
    pub by_name: BTreeMap<String, Profile>,
    /// The one that is used where nobody says another.
    pub default: Option<String>,
}

/// A profile that is always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// What it is for, and why its values are what they are.
    pub reason: &'static str,
    /// Its values.
    pub profile: Profile,
}

const MINUTE_MS: u64 = 60_000;

/// The profiles that are always there. Files may say something else of them, key by key.
pub fn built_in() -> Vec<BuiltIn> {
    let profile = |name, reason, profile| BuiltIn { name, reason, profile };
    vec![
        profile(
            "quick",
            "while you write: a job that hangs is stopped after half a minute, a slow one is named after five seconds, and \
             nothing takes more than five minutes",
            Profile {
                timeout_ms: Some(MINUTE_MS / 2),
                run_timeout_ms: Some(5 * MINUTE_MS),
                sla_ms: Some(5_000),
                ..Profile::default()
            },
        ),
        profile("standard", "what is used where nothing else is said: every value is the default", Profile::default()),
        profile(
            "thorough",
            "over night: jobs may take an hour, and a failure keeps nothing from running that does not depend on it, so \
             that the morning shows everything that is wrong",
            Profile { timeout_ms: Some(60 * MINUTE_MS), keep_going: Some(true), ..Profile::default() },
        ),
        profile(
            "cpu-intensive",
            "jobs that compute for long: one for each core, as more would only take turns; half an hour each; large \
             modules may take ten minutes of CPU time to compile, as they pay for it",
            Profile {
                jobs: Some(Jobs::Percent(100)),
                timeout_ms: Some(30 * MINUTE_MS),
                compile_ms: Some(10 * MINUTE_MS),
                ..Profile::default()
            },
        ),
        profile(
            "io-intensive",
            "jobs that mostly read and write: twice as many workers as cores, as half of them wait for the disk at any \
             time, and a larger cache of small blobs",
            Profile { jobs: Some(Jobs::Percent(200)), store_cache_bytes: Some(2 << 30), ..Profile::default() },
        ),
        profile(
            "memory-constrained",
            "a small machine, or one that others use: jobs together may take a quarter of the memory, the cache of small \
             blobs is 64 MiB, compiling gets 1 GiB, and workers become fewer while little memory is free",
            Profile {
                jobs: Some(Jobs::Auto),
                memory: Some(Share::Percent(25)),
                store_cache_bytes: Some(64 << 20),
                compile_memory_bytes: Some(1 << 30),
                ..Profile::default()
            },
        ),
        profile(
            "large-data",
            "inputs and outputs of gigabytes: they are mapped and not copied, so half of the memory is left to the \
             system's page cache; reading them takes its time, so jobs may take two hours",
            Profile { memory: Some(Share::Percent(50)), timeout_ms: Some(120 * MINUTE_MS), ..Profile::default() },
        ),
    ]
}

impl Profile {
    /// Has a job of which the plan says nothing of it keep to this.
    pub fn apply(&self, job: &mut JobSpec) {
        if let Some(wall_ms) = self.timeout_ms.filter(|_| job.timeout_is_default) {
            job.timeout.wall_ms = wall_ms;
        }
        if let Some(wall_ms) = self.sla_ms.filter(|_| job.target.is_none()) {
            job.target = Some(Target { wall_ms, is_critical: false });
        }
    }
}

/// Takes profiles out of a plan's or a configuration's top.
pub(super) fn take_profiles(fields: &mut Fields<'_>, errors: &mut Diagnostics) -> Profiles {
    let default = fields.take("default-profile").and_then(|field| field.name(errors).map(str::to_owned));
    let mut by_name = BTreeMap::new();
    if let Some(field) = fields.take("profile") {
        for entry in field.entries(errors) {
            check_label("a profile", &entry.0, errors);
            by_name.insert(entry.0.text.to_string(), profile(&Field::of(entry, &field.subject), errors));
        }
    }
    Profiles { by_name, default }
}

fn profile(field: &Field<'_>, errors: &mut Diagnostics) -> Profile {
    let mut fields = Fields::of(field.entries(errors), &field.subject);
    let positive = |field: Option<Field<'_>>, errors: &mut Diagnostics| {
        let field = field?;
        let wall_ms = field.milliseconds(errors)?;
        if wall_ms == 0 {
            field.wrong("it must be more than nothing", errors);
        }
        Some(wall_ms)
    };
    let profile = Profile {
        jobs: fields.take("jobs").and_then(|field| jobs(&field, errors)),
        memory: fields.take("memory").and_then(|field| read(&field, errors)),
        store_cache_bytes: fields.take("store-cache").and_then(|field| field.bytes(errors)),
        timeout_ms: positive(fields.take("timeout"), errors),
        run_timeout_ms: positive(fields.take("run-timeout"), errors),
        sla_ms: positive(fields.take("sla"), errors),
        engine: fields.take("engine").and_then(|field| engine(&field, errors)),
        compile_memory_bytes: fields.take("compile-memory").and_then(|field| field.bytes(errors)),
        compile_ms: positive(fields.take("compile-time"), errors),
        keep_going: fields.take("keep-going").and_then(|field| boolean(&field, errors)),
    };
    fields.finish(errors);
    profile
}

fn jobs(field: &Field<'_>, errors: &mut Diagnostics) -> Option<Jobs> {
    if let Value::Int(number) = field.node.value {
        let jobs = number.to_string().parse().map_err(|wrong: String| field.wrong(wrong, errors));
        return jobs.ok();
    }
    read(field, errors)
}

fn read<T: FromStr<Err = String>>(field: &Field<'_>, errors: &mut Diagnostics) -> Option<T> {
    field.string(errors)?.parse().map_err(|wrong: String| field.wrong(wrong, errors)).ok()
}

fn engine(field: &Field<'_>, errors: &mut Diagnostics) -> Option<Engine> {
    match field.string(errors)? {
        "cranelift" => Some(Engine::Cranelift),
        "pulley" => Some(Engine::Pulley),
        _ => {
            field.wrong("it is `cranelift` or `pulley`", errors);
            None
        }
    }
}

fn boolean(field: &Field<'_>, errors: &mut Diagnostics) -> Option<bool> {
    let Value::Bool(value) = field.node.value else {
        field.wrong_type("true or false", errors);
        return None;
    };
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::super::{Format, parse, parse_config};
    use super::*;

    #[test]
    fn a_file_has_profiles() {
        let text = "default-profile = 'night'\n[profile.night]\njobs = 3\nmemory = '50%'\ntimeout = '2h'\nkeep-going = true\n\
                    engine = 'pulley'\n[profile.quick]\njobs = '1..4'\nsla = '1s'";
        let profiles = parse_config(text, Format::Toml).expect("it is valid");
        assert_eq!(profiles.default.as_deref(), Some("night"));
        let night = &profiles.by_name["night"];
        assert_eq!((night.jobs, night.memory), (Some(Jobs::Fixed(3)), Some(Share::Percent(50))));
        assert_eq!((night.timeout_ms, night.keep_going), (Some(7_200_000), Some(true)));
        assert_eq!((night.engine, night.sla_ms), (Some(Engine::Pulley), None));
        assert_eq!(profiles.by_name["quick"].jobs, Some(Jobs::Between(1, 4)));
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_said() {
        let wrong = |text: &str| {
            let errors = parse_config(text, Format::Toml).expect_err("it is not valid");
            errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; ")
        };
        assert!(wrong("[profile.a]\njobs = 0").contains("is no number from 1 to 4096"));
        assert!(wrong("[profile.a]\nmemory = '200%'").contains("not from 1% to 100%"));
        assert!(wrong("[profile.a]\nworkers = 3").contains("unknown key `workers`"));
        assert!(wrong("[profile.a]\nengine = 'fast'").contains("it is `cranelift` or `pulley`"));
        assert!(wrong("[profile.a]\ntimeout = '0s'").contains("it must be more than nothing"));
        assert!(wrong("[jobs.a]").contains("unknown key `jobs`"));
    }

    #[test]
    fn jobs_that_say_nothing_keep_to_the_profile() {
        let text = "modules.m.file = 'm.wasm'\n[jobs.a]\nmodule = 'm'\n[jobs.b]\nmodule = 'm'\nsla = '9s'\nlimits = { timeout = '5m' }";
        let mut plan = parse(text, Format::Toml).expect("it is valid");
        let profile = Profile { timeout_ms: Some(1), sla_ms: Some(2), ..Profile::default() };
        plan.jobs.iter_mut().for_each(|job| profile.apply(job));
        let of = |job: usize| (plan.jobs[job].timeout.wall_ms, plan.jobs[job].target.map(|target| target.wall_ms));
        assert_eq!([of(0), of(1)], [(1, Some(2)), (300_000, Some(9_000))]);
    }

    #[test]
    fn numbers_of_workers_are_written_in_several_ways() {
        for text in ["7", "auto", "2..8", "150%"] {
            assert_eq!(text.parse::<Jobs>().expect("it is valid").to_string(), text);
        }
        for text in ["0", "9999", "8..2", "0%", "x", "1..", "2000%", ""] {
            assert!(text.parse::<Jobs>().is_err(), "{text}");
        }
    }
}
