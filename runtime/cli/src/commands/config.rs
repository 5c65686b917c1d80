//! `wasmill config`: how plans are carried out here.
//!
//! Owns: how values, their origins and profiles are listed. Does not know: what the values are.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use wasmill_model::plan::{Profile, Share, built_in};

use crate::args::{Global, OutputFormat, SettingArgs};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::{store_dir, store_options};
use crate::plan_file;
use crate::report::print;
use crate::report::text::{duration, size};
use crate::settings::{Origin, Setting, Settings, given_by, user_file};

/// `wasmill config show`.
pub(crate) fn show(global: &Global, plan: Option<&Path>, args: &SettingArgs) -> Result<u8, CliError> {
    // Without a plan being named, one in this folder counts.
    let path = plan.unwrap_or(Path::new("."));
    let read = if plan.is_some() || plan_file::is_there(path) { Some(plan_file::read(path)?) } else { None };
    let project = read.as_ref().map(|read| (read.file.as_path(), &read.plan.profiles));
    let settings = Settings::find(global, Some(args), project)?;
    let mut rows = rows(&settings);
    rows.extend(store_rows(global, &settings)?);
    let (store, user) = (store_dir(global)?, user_file());
    let text = match global.format {
        OutputFormat::Json => {
            let values =
                rows.iter().map(|(key, value, origin)| json!({ "key": key, "value": value, "origin": origin }));
            let values: Vec<_> = values.collect();
            format!("{}\n", json!({ "store": store, "user_config": user, "values": values }))
        }
        OutputFormat::Human => {
            let mut text = format!("{:16}  {:24}  ORIGIN\n", "KEY", "VALUE");
            for (key, value, origin) in &rows {
                let _ = writeln!(text, "{key:16}  {value:24}  {origin}");
            }
            let is_there = user.as_ref().is_some_and(|file| file.exists());
            let user = match user {
                Some(file) if is_there => file.display().to_string(),
                Some(file) => format!("{} (not there)", file.display()),
                None => "none".to_owned(),
            };
            let _ = writeln!(text, "{:16}  {user}", "your config");
            text
        }
    };
    print(text.as_bytes());
    Ok(exit_code::SUCCESS)
}

fn rows(settings: &Settings) -> Vec<(&'static str, String, String)> {
    fn row<T>(key: &'static str, setting: &Setting<T>, said: impl Fn(&T) -> String) -> (&'static str, String, String) {
        (key, said(&setting.value), setting.origin.to_string())
    }
    let time = |default: &'static str| {
        move |time: &Option<Duration>| {
            let ns = time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
            ns.map_or_else(|| default.to_owned(), duration)
        }
    };
    let bytes = |default: &'static str| move |bytes: &Option<u64>| bytes.map_or_else(|| default.to_owned(), size);
    let (least, most) = settings.workers();
    let workers = least.map_or_else(|| most.to_string(), |least| format!("{least} to {most}"));
    let memory = match settings.memory_bytes() {
        u64::MAX => "unknown".to_owned(),
        bytes => size(bytes),
    };
    vec![
        row("profile", &settings.profile, String::clone),
        row("jobs", &settings.jobs, |jobs| format!("{jobs} ({workers})")),
        row("memory", &settings.memory, |share| match share {
            Share::Percent(percent) => format!("{percent}% ({memory})"),
            Share::Bytes(bytes) => size(*bytes),
        }),
        row("timeout", &settings.timeout, time("5 min")),
        row("run-timeout", &settings.run_timeout, time("none")),
        row("sla", &settings.sla, time("none")),
        row("keep-going", &settings.keep_going, ToString::to_string),
        row("engine", &settings.engine, ToString::to_string),
        row("store-cache", &settings.store_cache_bytes, bytes("512 MiB")),
        row("compile-memory", &settings.compile_memory_bytes, bytes("2 GiB")),
        row("compile-time", &settings.compile_time, time("2 min")),
    ]
}

/// Where the store is, and how it is tuned, which no profile says.
fn store_rows(global: &Global, settings: &Settings) -> Result<[(&'static str, String, String); 4], CliError> {
    let origin = |flag: &str, is_given: bool| {
        let origin = if is_given { given_by(global, flag) } else { Origin::Default };
        origin.to_string()
    };
    let (tuning, options) = (&global.tuning, store_options(global, Some(settings))?);
    let (segment, logged) = (options.layout.segment_bytes, options.layout.logged_bytes_max);
    let of_new = |bytes: u32| format!("{} (new stores)", size(u64::from(bytes)));
    Ok([
        ("store-compress", tuning.store_compress.to_string(), origin("store-compress", tuning.store_compress)),
        ("store-segment", of_new(segment), origin("store-segment", tuning.store_segment.is_some())),
        ("store-logged", of_new(logged), origin("store-logged", tuning.store_logged.is_some())),
        ("store", store_dir(global)?.display().to_string(), origin("store", global.store.is_some())),
    ])
}

/// `wasmill config profiles`.
pub(crate) fn profiles(global: &Global) -> Result<u8, CliError> {
    let mut text = String::new();
    for one in built_in() {
        match global.format {
            OutputFormat::Json => {
                let values: serde_json::Map<_, _> =
                    values(&one.profile).into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
                let said = json!({ "profile": one.name, "reason": one.reason, "values": values });
                let _ = writeln!(text, "{said}");
            }
            OutputFormat::Human => {
                let values: Vec<String> =
                    values(&one.profile).into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
                let _ = writeln!(text, "{}: {}", one.name, one.reason);
                if !values.is_empty() {
                    let _ = writeln!(text, "  {}", values.join(", "));
                }
            }
        }
    }
    print(text.as_bytes());
    Ok(exit_code::SUCCESS)
}

/// What a profile says.
fn values(profile: &Profile) -> Vec<(&'static str, String)> {
    let ms = |ms: u64| duration(ms.saturating_mul(1_000_000));
    let memory = profile.memory.map(|share| match share {
        Share::Percent(percent) => format!("{percent}%"),
        Share::Bytes(bytes) => size(bytes),
    });
    let all = [
        ("jobs", profile.jobs.map(|jobs| jobs.to_string())),
        ("memory", memory),
        ("timeout", profile.timeout_ms.map(ms)),
        ("run-timeout", profile.run_timeout_ms.map(ms)),
        ("sla", profile.sla_ms.map(ms)),
        ("keep-going", profile.keep_going.map(|keeps| keeps.to_string())),
        ("engine", profile.engine.map(|engine| engine.to_string())),
        ("store-cache", profile.store_cache_bytes.map(size)),
        ("compile-memory", profile.compile_memory_bytes.map(size)),
        ("compile-time", profile.compile_ms.map(ms)),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}
