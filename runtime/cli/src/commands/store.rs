//! `wasmill store`, `pin`, `gc`, `scrub` and `doctor`: looking after the store.
//!
//! Owns: their flags' meaning and what they say. Does not know: how any of it is done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use wasmill_model::Digest;
use wasmill_model::plan::{parse_duration, parse_size};
use wasmill_storage::{Collecting, Keep, Repaired, Storage};

use crate::args::{GcArgs, Global, OutputFormat};
use crate::error::{CliError, usage};
use crate::exit_code;
use crate::mill::{Mill, open_error, store_dir, store_options};
use crate::report::print;
use crate::report::text::{count, size};
use crate::settings::Settings;

/// How many of the things that are wrong are listed one by one.
const LISTED_MAX: usize = 20;

/// `wasmill store`.
pub(crate) fn stats(global: &Global) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let totals = mill.storage.totals().map_err(|error| CliError::store(&error))?;
    let cache = mill.storage.cache_stats();
    let text = match global.format {
        OutputFormat::Json => json!({
            "event": "store", "blobs": totals.blobs, "content_bytes": totals.content_bytes, "actions": totals.actions,
            "runs": totals.runs, "host_files": totals.host_files, "lost": totals.lost, "pins": totals.pins,
            "segments": totals.segments, "disk_bytes": totals.disk_bytes, "cache_hits": cache.hits,
            "cache_misses": cache.misses, "cache_bytes": cache.bytes,
        })
        .to_string(),
        OutputFormat::Human => [
            format!("{:>10}  on disk, in {}", size(totals.disk_bytes), counted(totals.segments, "segment")),
            format!("{:>10}  in {}", size(totals.content_bytes), counted(totals.blobs, "blob")),
            format!("{:>10}  results", totals.actions),
            format!("{:>10}  runs", totals.runs),
            format!("{:>10}  pins", totals.pins),
            format!("{:>10}  host files whose digests are remembered", totals.host_files),
            format!("{:>10}  blobs known to be lost", totals.lost),
            format!(
                "{:>10}  in the cache of this process ({} hits, {} misses)",
                size(cache.bytes),
                cache.hits,
                cache.misses
            ),
        ]
        .join("\n"),
    };
    print(format!("{text}\n").as_bytes());
    mill.close()?;
    Ok(exit_code::SUCCESS)
}

/// `wasmill pin`.
pub(crate) fn pin(global: &Global, digests: &[Digest], remove: bool) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let storage = &mill.storage;
    for digest in digests {
        let changed = if remove { storage.unpin(digest) } else { storage.pin(digest) };
        if !changed.map_err(|error| CliError::store(&error))? && remove {
            return Err(
                CliError::new(exit_code::INPUT, format!("{digest} is not pinned")).hint("`wasmill pin` lists what is")
            );
        }
    }
    if digests.is_empty() {
        for digest in storage.pins().map_err(|error| CliError::store(&error))? {
            let line = match global.format {
                OutputFormat::Json => json!({ "event": "pin", "digest": digest }).to_string(),
                OutputFormat::Human => digest.to_string(),
            };
            print(format!("{line}\n").as_bytes());
        }
    }
    mill.close()?;
    Ok(exit_code::SUCCESS)
}

/// `wasmill gc`.
pub(crate) fn gc(global: &Global, args: &GcArgs) -> Result<u8, CliError> {
    let mut keep = Keep::default();
    keep.runs = args.keep_last.unwrap_or(keep.runs);
    keep.age = args.keep_days.map_or(keep.age, |days| Duration::from_secs(u64::from(days) * 24 * 3600));
    if let Some(text) = &args.max_size {
        keep.bytes_max = parse_size(text).map_err(|wrong| usage("--max-size", &wrong))?;
    }
    if let Some(text) = &args.grace {
        keep.grace = Duration::from_millis(parse_duration(text).map_err(|wrong| usage("--grace", &wrong))?);
    }
    let mill = Mill::open(global)?;
    let bar = progress_bar(global);
    let collected = mill.storage.collect(&keep, args.dry_run, &mut |at| {
        let (message, done, of) = match at {
            Collecting::Marking(done, of) => ("following what runs need", done, of),
            Collecting::Sweeping(done, of) => ("giving space back", done, of),
        };
        bar.set_message(message);
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let Some(done) = collected.map_err(|error| CliError::store(&error))? else {
        return Err(CliError::new(exit_code::STORE, "another process is collecting garbage in this store")
            .hint("wait until it is done"));
    };
    let text = match global.format {
        OutputFormat::Json => json!({
            "event": "collected", "dry_run": args.dry_run,
            "runs_kept": done.runs_kept, "runs_removed": done.runs_removed,
            "actions_kept": done.actions_kept, "actions_removed": done.actions_removed,
            "blobs_kept": done.blobs_kept, "blobs_removed": done.blobs_removed,
            "bytes_kept": done.bytes_kept, "bytes_removed": done.bytes_removed, "bytes_freed": done.bytes_freed,
        })
        .to_string(),
        OutputFormat::Human => {
            let (is, freed) = match args.dry_run {
                true => ("would be removed", String::new()),
                false => ("removed", format!("; the disk has {} back", size(done.bytes_freed))),
            };
            let what = |runs, actions, blobs, bytes| {
                let (runs, actions) = (counted(runs, "run"), counted(actions, "result"));
                format!("{runs}, {actions}, {} ({})", counted(blobs, "blob"), size(bytes))
            };
            let removed = what(done.runs_removed, done.actions_removed, done.blobs_removed, done.bytes_removed);
            let kept = what(done.runs_kept, done.actions_kept, done.blobs_kept, done.bytes_kept);
            format!("{is}: {removed}{freed}\nkept: {kept}")
        }
    };
    print(format!("{text}\n").as_bytes());
    mill.close()?;
    Ok(exit_code::SUCCESS)
}

/// `wasmill scrub`.
pub(crate) fn scrub(global: &Global, rate: Option<&str>) -> Result<u8, CliError> {
    let rate = rate.map(parse_size).transpose().map_err(|wrong| usage("--rate", &wrong))?;
    let mill = Mill::open(global)?;
    let bar = progress_bar(global);
    bar.set_message("reading");
    let scrubbed = mill.storage.scrub(rate, &mut |at| {
        bar.set_length(at.of);
        bar.set_position(at.blobs);
        true
    });
    bar.finish_and_clear();
    let found = scrubbed.map_err(|error| CliError::store(&error))?;
    let text = match global.format {
        OutputFormat::Json => json!({
            "event": "scrubbed", "blobs": found.blobs, "bytes": found.bytes, "actions": found.actions,
            "lost_blobs": found.lost, "lost_actions": found.lost_actions,
        })
        .to_string(),
        OutputFormat::Human => {
            let read = format!("read {} ({})", counted(found.blobs, "blob"), size(found.bytes));
            let read = format!("{read} and {}", counted(found.actions, "result"));
            let lost = listed("lost: blob", &found.lost) + &listed("lost: result", &found.lost_actions);
            match found.is_clean() {
                true => format!("{read}: everything is right"),
                false => format!("{read}\n{lost}the next run computes again what it needs of that"),
            }
        }
    };
    print(format!("{text}\n").as_bytes());
    let is_clean = found.is_clean();
    mill.close()?;
    Ok(if is_clean { exit_code::SUCCESS } else { exit_code::DAMAGED })
}

/// `wasmill doctor`.
pub(crate) fn doctor(global: &Global, repair: bool) -> Result<u8, CliError> {
    let settings = Settings::find(global, None, None)?;
    let (dir, options) = (store_dir(global)?, store_options(global, Some(&settings))?);
    let Repaired { storage, examined, is_rebuilt } = match repair {
        true => Storage::repair(&dir, options),
        false => Storage::open(&dir, options).map(|storage| Repaired { storage, examined: None, is_rebuilt: false }),
    }
    .map_err(|error| open_error(&error))?;
    let mill = Mill::with(&settings, storage, None)?;
    let found = match examined {
        Some(examined) => examined,
        None => mill.storage.examine(repair).map_err(|error| {
            CliError::store(&error).hint("`wasmill doctor --repair` makes a damaged index anew from the log")
        })?,
    };
    // Some damage shows only here.
    mill.close()?;
    let text = match global.format {
        OutputFormat::Json => json!({
            "event": "examined", "repaired": found.is_repaired, "rebuilt": is_rebuilt, "blobs": found.blobs, "actions": found.actions,
            "files": found.files, "segments": found.segments, "missing_blobs": found.missing,
            "missing_actions": found.missing_actions, "incomplete_actions": found.incomplete,
            "unnamed_files": found.unnamed, "taken_in": found.named_again,
            "damaged_segments": found.damaged_segments,
        })
        .to_string(),
        OutputFormat::Human => {
            let rows = format!("{}, {}", counted(found.blobs, "blob"), counted(found.actions, "result"));
            let files = format!("{}, {}", counted(found.segments, "segment"), counted(found.files, "file"));
            let wrong = listed("missing: blob", &found.missing)
                + &listed("missing: result", &found.missing_actions)
                + &listed("a blob is missing of: result", &found.incomplete)
                + &listed("damaged: segment", &found.damaged_segments)
                + &listed("nothing names the file", &found.unnamed);
            let advice = match (found.is_clean(), repair) {
                (true, _) => "everything goes together".to_owned(),
                (false, true) => format!(
                    "repaired: {} taken in; the next run computes again what is missing",
                    counted(found.named_again.len() as u64, "file")
                ),
                (false, false) => "`wasmill doctor --repair` notes it, and the next run computes it again".to_owned(),
            };
            let index = if is_rebuilt { "the index was damaged and is made anew from the log\n" } else { "" };
            format!("{index}{rows}; {files}\n{wrong}{advice}")
        }
    };
    print(format!("{text}\n").as_bytes());
    Ok(if found.is_clean() || repair { exit_code::SUCCESS } else { exit_code::DAMAGED })
}

/// `wasmill doctor --migrate`.
pub(crate) fn migrate(global: &Global) -> Result<u8, CliError> {
    let done = Storage::migrate(&store_dir(global)?).map_err(|error| open_error(&error))?;
    let text = match global.format {
        OutputFormat::Json => json!({
            "event": "migrated", "from": done.from, "to": done.to, "blobs": done.blobs, "actions": done.actions,
            "runs": done.runs, "damaged": done.damaged,
        })
        .to_string(),
        OutputFormat::Human if done.from == done.to => format!("the store has format {} already", done.to),
        OutputFormat::Human => {
            let rows = [counted(done.blobs, "blob"), counted(done.actions, "result"), counted(done.runs, "run")];
            let damaged = match done.damaged {
                0 => String::new(),
                damaged => format!("\nleft out, as damaged: {}", counted(damaged, "row")),
            };
            format!("format {} to {}: {}{damaged}", done.from, done.to, rows.join(", "))
        }
    };
    print(format!("{text}\n").as_bytes());
    Ok(exit_code::SUCCESS)
}

fn counted(number: u64, what: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), what)
}

fn listed(what: &str, things: &[impl std::fmt::Display]) -> String {
    let mut text: String = things.iter().take(LISTED_MAX).map(|thing| format!("{what} {thing}\n")).collect();
    if let Some(more) = things.len().checked_sub(LISTED_MAX).filter(|more| *more > 0) {
        text.push_str(&format!("{what} … and {more} more\n"));
    }
    text
}

fn progress_bar(global: &Global) -> ProgressBar {
    if global.quiet || global.format == OutputFormat::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
