//! Modules that are Python scripts: `python = "words.py"`.
//!
//! Owns: how a job of such a module is written for the interpreter, which is a program like any other: with the script and the SDK's
//! runner mounted beside what the job sees, and both in front of its arguments. Does not know: what the runner does with them
//! (`guest-sdk/python/wasmill.py`), or which interpreter it is.

use super::diagnostic::{Diagnostic, Diagnostics, Quoted};
use super::fields::Field;
use super::job::Context;
use super::{InputSource, JobSpec, ModuleSource, MountSpec, Span, Spanned, Template};
use crate::action::MountMode;
use crate::guest_path::GuestPath;

/// The interpreter where a module names none, beside the plan.
pub(super) const INTERPRETER_DEFAULT: &str = "python.wasm";

/// Where the script and the runner are. Other scripts that are mounted here can be imported.
const DIR: &str = "/wasmill";
const RUNNER: &str = "wasmill.py";
const RUNNER_SOURCE: &str = include_str!("../../../../guest-sdk/python/wasmill.py");

/// Nothing of the environment and of a home directory, and no compiled files, which nobody would see.
const OPTIONS: [&str; 3] = ["-E", "-s", "-B"];

/// Reads the path of a script.
pub(super) fn script(field: &Field<'_>, errors: &mut Diagnostics) -> String {
    let script = field.name(errors).unwrap_or_default();
    match script.rsplit('/').next().unwrap_or_default() {
        _ if script.is_empty() => {}
        RUNNER => field.wrong(format_args!("another name has to be found for it: {RUNNER} is the SDK's own"), errors),
        file if GuestPath::new(&format!("{DIR}/{file}")).is_err() || !file.ends_with(".py") => {
            field.wrong("it is the path of a script: a file `NAME.py`", errors);
        }
        _ => {}
    }
    script.to_owned()
}

/// Finishes a job, if its module is a script: what it takes beside what the plan says.
pub(super) fn finish(mut spec: JobSpec, context: Context<'_>, errors: &mut Diagnostics) -> JobSpec {
    match (context.modules.get(&spec.module.value).map(|module| &module.value), context.outer) {
        (Some(ModuleSource::Python { script, .. }), _) => finish_own(&mut spec, script, errors),
        (None, Some(outer)) if spec.module.value == outer.by.module.value => {
            finish_yielded(&mut spec, outer.by, errors);
        }
        _ => {}
    }
    spec
}

fn finish_own(spec: &mut JobSpec, script: &str, errors: &mut Diagnostics) {
    let file = script.rsplit('/').next().unwrap_or(script).to_owned();
    let span = spec.name.span.clone();
    let own = [
        mount(&file, InputSource::Path(Template::literal(script)), &span),
        mount(RUNNER, InputSource::Text(Template::literal(RUNNER_SOURCE)), &span),
    ];
    for own in own.into_iter().flatten() {
        let (at, beside) = (&own.at.value, &spec.mounts);
        match beside.iter().find(|other| at.contains(&other.at.value) || other.at.value.contains(at)) {
            Some(other) => {
                let message = format!("job {} mounts something where its script is", Quoted(&spec.name.value));
                let taken =
                    format!("{DIR} has the script and {RUNNER}; other files can be mounted below it, one by one");
                errors.push(Diagnostic::new(message, other.at.span.clone()).saying(taken));
            }
            None => spec.mounts.push(own),
        }
    }
    command(spec, &file, errors);
}

/// Finishes a job of a plan that a job of the same module yields: what that sees of Python, this sees.
fn finish_yielded(spec: &mut JobSpec, by: &JobSpec, errors: &mut Diagnostics) {
    let Some(file) = script_of(by).map(str::to_owned) else { return };
    let span = spec.name.span.clone();
    for theirs in by.mounts.iter().filter(|theirs| theirs.at.value.names().next() == Some(&DIR[1..])) {
        let at = theirs.at.value.clone();
        if !spec.mounts.iter().any(|other| other.at.value.names().eq(at.names())) {
            let source = Spanned { value: InputSource::Input(at.clone()), span: span.clone() };
            let at = Spanned { value: at, span: span.clone() };
            spec.mounts.push(MountSpec { at, source, mode: MountMode::ReadOnly, is_optional: false });
        }
    }
    command(spec, &file, errors);
}

/// The script of a job that was finished here.
fn script_of(job: &JobSpec) -> Option<&str> {
    let options = job.args.iter().map(Template::as_literal).take(OPTIONS.len());
    if !options.eq(OPTIONS.map(Some)) {
        return None;
    }
    let at = |index: usize| job.args.get(OPTIONS.len() + index)?.as_literal();
    match at(0)?.strip_prefix(DIR)?.strip_prefix('/')? {
        RUNNER => at(1),
        _ => at(0)?.rsplit('/').next(),
    }
}

fn mount(file: &str, source: InputSource, span: &Span) -> Option<MountSpec> {
    // A name that is none was refused where the plan has it.
    let at = GuestPath::new(&format!("{DIR}/{file}")).ok()?;
    let at = Spanned { value: at, span: span.clone() };
    let source = Spanned { value: source, span: span.clone() };
    Some(MountSpec { at, source, mode: MountMode::ReadOnly, is_optional: false })
}

/// Puts the command in front of a job's arguments: a function of the script where it has an `entry`, else all of the script.
fn command(spec: &mut JobSpec, file: &str, errors: &mut Diagnostics) {
    if spec.batch.is_some() {
        let message =
            format!("job {} is one of a Python script, which cannot be done in batches", Quoted(&spec.name.value));
        errors.push(Diagnostic::new(message, spec.name.span.clone()).hint("leave `batch` out"));
    }
    let command: Vec<String> = match &spec.entry {
        Some(entry) => vec![format!("{DIR}/{RUNNER}"), file.to_owned(), entry.clone()],
        None => vec![format!("{DIR}/{file}")],
    };
    let own = OPTIONS.map(str::to_owned).into_iter().chain(command).map(Template::literal);
    spec.args.splice(0..0, own);
}
