//! One job of a plan, as far as it can be judged by itself.
//!
//! Owns: a job's keys. Does not know: the other jobs.

use std::collections::BTreeMap;

use super::decode::{Defaults, check_label, unknown};
use super::diagnostic::{Diagnostic, Diagnostics, Quoted};
use super::document::{Key, Node, Value};
use super::fields::{Field, Fields, Subject};
use super::for_each::ForEach;
use super::graph::Reference;
use super::limits::LimitFields;
use super::places::check_kept;
use super::source::Reader;
use super::variables::Variables;
use super::{Items, JobSpec, ModuleSource, Outer, Place, Retries, SaveSpec, Spanned, Stdin, Target, Template, python};
use crate::guest_path::OutputPath;
use crate::limits::{Limits, Timeout};

/// What a job is read against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) modules: &'a BTreeMap<String, Spanned<ModuleSource>>,
    pub(super) resources: &'a BTreeMap<String, u64>,
    pub(super) defaults: &'a Defaults,
    /// Where a job yielded the plan: what it may not go beyond.
    pub(super) outer: Option<Outer<'a>>,
}

/// Reads the job at position `index`. Where something is wrong with it, something stands in for that.
pub(super) fn job(
    index: usize,
    (key, node): &(Key<'_>, Node<'_>),
    context: Context<'_>,
    references: &mut Vec<Reference>,
    errors: &mut Diagnostics,
) -> JobSpec {
    let subject = Subject::Job(&key.text);
    check_label("a job", key, errors);
    let mut fields = Fields::of(Field { subject, key_span: &key.span, node }.entries(errors), &subject);

    let is_yielded = context.outer.is_some();
    let for_each = for_each(fields.take("for-each"), index, is_yielded, references, errors);
    let variables = Variables::of(&for_each);
    let race = fields.take("race").and_then(|field| race(&field, &for_each, errors));

    let module = fields.take("module").map(|field| module_name(&field, context, errors));
    let entry = fields.take("entry").and_then(|field| field.name(errors)).map(str::to_owned);
    let args = fields.take("args").map(|field| args(&field, &variables, errors)).unwrap_or_default();
    let own_env = fields.take("env").map(|field| env(&field, &variables, errors)).unwrap_or_default();
    let mut reader = Reader { job: index, variables: &variables, references, is_yielded };
    let mounts = fields.take("in").map(|field| reader.mounts(&field, errors)).unwrap_or_default();
    let stdin = stdin(&subject, &mut reader, fields.take("input"), fields.take("stdin"), errors);
    let when = fields.take("when").map(|field| reader.when(&field, errors)).unwrap_or_default();
    let outputs = fields.take("out").map(|field| outputs(&field, &variables, errors)).unwrap_or_default();
    let yields = fields.take("yields").and_then(|field| yields(&field, race, &variables, &outputs, errors));
    let batch_field = fields.take("batch");
    let kept = if yields.is_some() { None } else { Some(&outputs[..]) };
    let save = fields.take("save").map(|field| save(&field, context, (&for_each, race), &variables, kept, errors));
    let (limits, timeout, timeout_is_default) = limits(fields.take("limits"), context, key, errors);
    let seed = fields.take("seed").and_then(|field| field.whole(0, errors)).unwrap_or(0);
    let floats = fields.take("floats").and_then(|field| native_floats(&field, errors));
    let place = place(&mut fields, context, errors);
    let own_retries = fields.take("retries").and_then(|field| retries(&field, errors));
    let target = fields.take("sla").and_then(|field| target(&field, errors));
    let meant = fields.finish(errors);

    let module = module.or_else(|| default_module(context, key));
    if module.is_none() && !meant.contains(&"module") && matches!(node.value, Value::Table(_)) {
        errors.push(no_module(&subject, key));
    }
    let mut spec = JobSpec {
        name: Spanned { value: key.text.to_string(), span: key.span.clone() },
        module: module.unwrap_or_else(|| Spanned { value: String::new(), span: key.span.clone() }),
        entry,
        args,
        env: context.defaults.env.clone().into_iter().chain(own_env).collect(),
        stdin,
        mounts,
        outputs,
        save: save.unwrap_or_default(),
        fields: variables.into_fields(),
        for_each,
        when,
        race,
        batch: None,
        yields,
        limits,
        timeout,
        timeout_is_default,
        seed,
        native_floats: floats.or(context.defaults.native_floats).unwrap_or(false),
        place,
        retries: own_retries.or(context.defaults.retries).unwrap_or_default(),
        target,
    };
    spec.batch = batch_field.and_then(|field| batch(&field, &spec, is_yielded, errors));
    python::finish(spec, context, errors)
}

/// Reads `for-each`, in which no variable is known.
fn for_each(
    field: Option<Field<'_>>,
    job: usize,
    is_yielded: bool,
    references: &mut Vec<Reference>,
    errors: &mut Diagnostics,
) -> ForEach {
    let mut reader = Reader { job, variables: &Variables::default(), references, is_yielded };
    field.map_or_else(ForEach::default, |field| reader.for_each(&field, errors))
}

/// The module of a job that names none. The jobs of a program may call each other without knowing what the plan calls their program.
fn default_module(context: Context<'_>, key: &Key<'_>) -> Option<Spanned<String>> {
    let of_outer = || Some(Spanned { value: context.outer?.by.module.value.clone(), span: key.span.clone() });
    context.defaults.module.clone().or_else(of_outer)
}

fn no_module(subject: &Subject<'_>, key: &Key<'_>) -> Diagnostic {
    let missing = Diagnostic::new(format!("{subject} has no `module`"), key.span.clone());
    missing.hint("give it one, or give one to all jobs under `[defaults]`")
}

/// Reads `limits`, and whether nothing is said of how long the job may take. What a job yields may use no more than the job itself.
fn limits(
    field: Option<Field<'_>>,
    context: Context<'_>,
    key: &Key<'_>,
    errors: &mut Diagnostics,
) -> (Limits, Timeout, bool) {
    let span = field.as_ref().map_or_else(|| key.span.clone(), Field::span);
    let own = field.map(|field| LimitFields::read(&field, errors)).unwrap_or_default();
    let Some(outer) = context.outer else {
        let is_default = !own.has_timeout() && !context.defaults.limits.has_timeout();
        let (limits, timeout) = own.over(context.defaults.limits);
        return (limits, timeout, is_default);
    };
    let (limits, timeout) = own.over(context.defaults.limits.over_those_of(&outer.by.limits, outer.by.timeout));
    let exceeded = [
        ("memory", limits.memory_bytes > outer.by.limits.memory_bytes),
        ("fuel", limits.fuel.unwrap_or(u64::MAX) > outer.by.limits.fuel.unwrap_or(u64::MAX)),
        ("output", limits.output_bytes > outer.by.limits.output_bytes),
        ("timeout", timeout.wall_ms > outer.by.timeout.wall_ms),
    ];
    for (what, _) in exceeded.into_iter().filter(|(_, is_exceeded)| *is_exceeded) {
        let message =
            format!("the `{what}` limit of job {} is above that of the job that yields it", Quoted(&key.text));
        errors.push(Diagnostic::new(message, span.clone()));
    }
    (limits, timeout, false)
}

/// Reads `race`.
fn race(field: &Field<'_>, for_each: &ForEach, errors: &mut Diagnostics) -> Option<u64> {
    let mut fields = Fields::of(field.entries(errors), &field.subject);
    let first = fields.take("first");
    let meant = fields.finish(errors);
    if first.is_none() && meant.is_empty() && matches!(field.node.value, Value::Table(_)) {
        let wrong = Diagnostic::new(format!("{} has no `first`", field.subject), field.span());
        errors.push(wrong.hint("say how many are wanted: `race = { first = 1 }`"));
    }
    if for_each.is_empty() {
        let wrong = Diagnostic::new(format!("{}: there is only one candidate", field.subject), field.key_span.clone());
        errors.push(wrong.hint("the candidates are the items of a `for-each`, best first"));
    }
    first?.whole(1, errors)
}

/// The most items of a batch.
const BATCH_MAX: u64 = 10_000;

/// Reads `batch`.
fn batch(field: &Field<'_>, job: &JobSpec, is_yielded: bool, errors: &mut Diagnostics) -> Option<u64> {
    let count = field.whole(2, errors)?;
    if count > BATCH_MAX {
        field.wrong(format_args!("there are at most {BATCH_MAX} items in a batch"), errors);
    }
    let wrong = [
        (
            is_yielded,
            "items of a plan that a job yields are not done together: one of them could make results of others",
        ),
        (
            job.outputs.iter().any(|output| output.value.is_absolute()),
            "what an item of a batch leaves is below `/out`; its outputs are paths there",
        ),
        (job.for_each.is_empty(), "only items of a `for-each` can be done together"),
        (job.race.is_some(), "the candidates of a race are stopped one by one, so each has an instance of its own"),
        (job.yields.is_some(), "a job that yields a plan has an instance of its own"),
        (
            matches!(job.stdin, Some(Spanned { value: Stdin::Source(_) | Stdin::Blob(_), .. })),
            "the standard input of a batch says what its items are; use `in`, or `input`",
        ),
        (
            job.env.values().any(|value| value.as_literal().is_none()),
            "all items of a batch have one environment; use `args`, or `input`",
        ),
    ];
    for (_, why) in wrong.iter().filter(|(is_wrong, _)| *is_wrong) {
        errors.push(Diagnostic::new(format!("{}: {why}", field.subject), field.span()));
    }
    Some(count)
}

/// Reads `yields`, a path of the job's own output.
fn yields(
    field: &Field<'_>,
    race: Option<u64>,
    variables: &Variables<'_>,
    outputs: &[Spanned<OutputPath>],
    errors: &mut Diagnostics,
) -> Option<OutputPath> {
    if race.is_some() {
        let wrong = Diagnostic::new(format!("{}: a candidate of a race yields nothing", field.subject), field.span());
        errors.push(wrong.hint("let a job that takes the winner yield the plan"));
    }
    let path = variables.output_path(field, errors)?;
    if !is_kept(&path, outputs) {
        let message = format!("{} is not among the job's outputs", field.subject);
        let kept = super::diagnostic::listed(outputs.iter().map(|output| output.value.as_str()));
        errors.push(Diagnostic::new(message, field.span()).hint(format!("add it to `out`, which has {kept}")));
    }
    Some(path)
}

/// Reads `sla`.
fn target(field: &Field<'_>, errors: &mut Diagnostics) -> Option<Target> {
    let wall_ms = |field: &Field<'_>, errors: &mut Diagnostics| {
        let wall_ms = field.milliseconds(errors)?;
        if wall_ms == 0 {
            field.wrong("it must be more than nothing", errors);
        }
        Some(wall_ms)
    };
    if !matches!(field.node.value, Value::Table(_)) {
        return Some(Target { wall_ms: wall_ms(field, errors)?, is_critical: false });
    }
    let mut fields = Fields::of(field.entries(errors), &field.subject);
    let (target, critical) = (fields.take("target"), fields.take("critical"));
    let meant = fields.finish(errors);
    if target.is_none() && !meant.contains(&"target") {
        errors.push(Diagnostic::new(format!("{} has no `target`", field.subject), field.span()));
    }
    let is_critical = critical.is_some_and(|field| match field.node.value {
        Value::Bool(is_critical) => is_critical,
        _ => {
            field.wrong_type("true or false", errors);
            false
        }
    });
    Some(Target { wall_ms: wall_ms(&target?, errors)?, is_critical })
}

/// The most attempts after the first.
const RETRIES_MAX: u64 = 100;

/// Reads `retries`.
pub(super) fn retries(field: &Field<'_>, errors: &mut Diagnostics) -> Option<Retries> {
    let count = |field: &Field<'_>, errors: &mut Diagnostics| {
        let count = field.whole(0, errors)?;
        if count > RETRIES_MAX {
            field.wrong(format_args!("there are at most {RETRIES_MAX}"), errors);
        }
        u32::try_from(count).ok()
    };
    if !matches!(field.node.value, Value::Table(_)) {
        return Some(Retries { count: count(field, errors)?, ..Retries::default() });
    }
    let mut fields = Fields::of(field.entries(errors), &field.subject);
    let (number, backoff) = (fields.take("count"), fields.take("backoff"));
    let meant = fields.finish(errors);
    if number.is_none() && !meant.contains(&"count") {
        errors.push(Diagnostic::new(format!("{} has no `count`", field.subject), field.span()));
    }
    let backoff_ms = backoff.and_then(|field| {
        let backoff_ms = field.milliseconds(errors)?;
        if backoff_ms > Retries::BACKOFF_MS_MAX {
            field.wrong("it is at most 1h", errors);
        }
        Some(backoff_ms)
    });
    let default = Retries::default();
    let count = number.and_then(|field| count(&field, errors)).unwrap_or(default.count);
    Some(Retries { count, backoff_ms: backoff_ms.unwrap_or(default.backoff_ms) })
}

/// The highest priority, and, with a minus, the lowest.
const PRIORITY_MAX: i64 = 1_000;

/// Reads how a job stands to others.
fn place(fields: &mut Fields<'_>, context: Context<'_>, errors: &mut Diagnostics) -> Place {
    let known = context.resources;
    let cpus = fields.take("cpus").and_then(|field| field.whole(1, errors)).unwrap_or(1);
    let resources = fields.take("resources").map(|field| taken(&field, known, errors)).unwrap_or_default();
    let priority = fields.take("priority").and_then(|field| match field.node.value {
        Value::Int(number) if (-PRIORITY_MAX..=PRIORITY_MAX).contains(&number) => Some(number),
        Value::Int(_) => {
            field.wrong(format_args!("it must be from -{PRIORITY_MAX} to {PRIORITY_MAX}"), errors);
            None
        }
        _ => {
            field.wrong_type("a whole number", errors);
            None
        }
    });
    Place { cpus, resources, priority: priority.unwrap_or(0) }
}

/// Reads what a job takes of the plan's resources.
fn taken(field: &Field<'_>, known: &BTreeMap<String, u64>, errors: &mut Diagnostics) -> BTreeMap<String, u64> {
    let mut taken = BTreeMap::new();
    for entry in field.entries(errors) {
        let (key, _) = entry;
        let value = Field::of(entry, &field.subject);
        let Some(count) = value.whole(1, errors) else { continue };
        match known.get(key.text.as_ref()) {
            None => {
                let message = format!("there is no resource {}", Quoted(&key.text));
                let names = known.keys().map(String::as_str).collect::<Vec<_>>();
                unknown(message, &key.text, key.span.clone(), names.into_iter(), "resources", errors);
            }
            Some(all) if count > *all => {
                let wrong = Diagnostic::new(format!("{} asks for more than there is", value.subject), value.span());
                errors.push(wrong.saying(format!("there are {all} of it under `[resources]`")));
            }
            Some(_) => drop(taken.insert(key.text.to_string(), count)),
        }
    }
    taken
}

/// Reads `floats`.
pub(super) fn native_floats(field: &Field<'_>, errors: &mut Diagnostics) -> Option<bool> {
    match field.string(errors)? {
        "canonical" => Some(false),
        "native" => Some(true),
        _ => {
            field.wrong("it is `canonical` (the same NaNs everywhere) or `native` (as the processor has them)", errors);
            None
        }
    }
}

/// Reads the name of a module that has to be there.
pub(super) fn module_name(field: &Field<'_>, context: Context<'_>, errors: &mut Diagnostics) -> Spanned<String> {
    let name = field.string(errors);
    let of_outer = context.outer.iter().flat_map(|outer| outer.modules.iter());
    let mut known = context.modules.keys().chain(of_outer).map(String::as_str);
    if let Some(name) = name.filter(|name| !known.clone().any(|known| known == *name)) {
        let message = format!("there is no module {}", Quoted(name));
        let known = known.by_ref().collect::<Vec<_>>();
        unknown(message, name, field.span(), known.into_iter(), "modules", errors);
    }
    Spanned { value: name.unwrap_or_default().to_owned(), span: field.span() }
}

/// Reads an `env` table.
pub(super) fn env(
    field: &Field<'_>,
    variables: &Variables<'_>,
    errors: &mut Diagnostics,
) -> BTreeMap<String, Template> {
    let mut env = BTreeMap::new();
    for entry in field.entries(errors) {
        let (key, _) = entry;
        if key.text.is_empty() || key.text.contains(['=', '\0']) {
            let message = format!("{} cannot be the name of an environment variable", Quoted(&key.text));
            let wrong = Diagnostic::new(message, key.span.clone());
            errors.push(wrong.saying("a name is not empty and has no `=` and no NUL character in it"));
        }
        let value = variables.argument(&Field::of(entry, &field.subject), errors);
        env.insert(key.text.to_string(), value);
    }
    env
}

fn args(field: &Field<'_>, variables: &Variables<'_>, errors: &mut Diagnostics) -> Vec<Template> {
    field.items(errors).iter().map(|item| variables.argument(item, errors)).collect()
}

fn stdin(
    subject: &Subject<'_>,
    reader: &mut Reader<'_>,
    input: Option<Field<'_>>,
    stdin: Option<Field<'_>>,
    errors: &mut Diagnostics,
) -> Option<Spanned<Stdin>> {
    if let (Some(input), Some(stdin)) = (&input, &stdin) {
        let (first, second) = if input.key_span.start < stdin.key_span.start { (input, stdin) } else { (stdin, input) };
        errors.push(
            Diagnostic::new(format!("{subject} has its standard input twice"), second.key_span.clone())
                .and_at(first.key_span.clone(), "it stands here first")
                .hint("leave one of `input` and `stdin`"),
        );
    }
    let source = stdin.and_then(|field| reader.stdin(&field, errors));
    let value = input.map(|field| reader.input(&field, errors));
    value.or(source)
}

fn outputs(field: &Field<'_>, variables: &Variables<'_>, errors: &mut Diagnostics) -> Vec<Spanned<OutputPath>> {
    if matches!(&field.node.value, Value::Array(items) if items.is_empty()) {
        let wrong = Diagnostic::new(format!("{} names no output", field.subject), field.span());
        errors.push(wrong.hint("leave `out` out to keep everything that the job writes"));
    }
    let mut outputs = Vec::new();
    for item in field.items(errors) {
        if let Some(value) = variables.output_path(&item, errors) {
            outputs.push(Spanned { value, span: item.span() });
        }
    }
    check_kept(field, &outputs, errors);
    outputs
}

/// Reads `save`. What is saved has to be among what the job keeps, where that is known.
fn save(
    field: &Field<'_>,
    context: Context<'_>,
    (for_each, race): (&ForEach, Option<u64>),
    variables: &Variables<'_>,
    kept: Option<&[Spanned<OutputPath>]>,
    errors: &mut Diagnostics,
) -> Vec<SaveSpec> {
    let mut saves = Vec::new();
    if context.outer.is_some() {
        let wrong = Diagnostic::new(format!("{}: a plan that a job yields saves nothing", field.subject), field.span());
        errors.push(wrong.hint("what its `result` names can be saved by the job that yields it"));
        return saves;
    }
    for entry in field.entries(errors) {
        let (key, node) = entry;
        let from = if key.text == "." { None } else { variables.checked_output(&key.text, &key.span, errors) };
        let value = Field::of(entry, &field.subject);
        let Some(to) = variables.path(&value, errors) else { continue };
        // A variable with one item needs no telling apart.
        let untold = for_each.iter().find(|(name, items)| {
            !matches!(&items.value, Items::List(list) if list.len() <= 1)
                && !to.variables().any(|used| used == name.value)
                // One winner is all that is saved.
                && race != Some(1)
        });
        if let Some((name, _)) = untold {
            let message = format!("{} is one path for every `{{{}}}`", value.subject, name.value);
            errors.push(
                Diagnostic::new(message, node.span.clone())
                    .saying("each item would overwrite the one before")
                    .hint(format!("put `{{{}}}` or `{{{}.name}}` into the path", name.value, name.value)),
            );
        }
        if let Some((from, outputs)) = from.as_ref().zip(kept).filter(|(from, outputs)| !is_kept(from, outputs)) {
            let message =
                format!("{} has {}, which is not among the job's outputs", field.subject, Quoted(from.as_str()));
            let listed = super::diagnostic::listed(outputs.iter().map(|output| output.value.as_str()));
            errors
                .push(Diagnostic::new(message, key.span.clone()).hint(format!("add it to `out`, which has {listed}")));
        }
        saves.push(SaveSpec { from, to: Spanned { value: to, span: node.span.clone() } });
    }
    saves
}

/// Whether there is something at `path` once only `outputs` are kept; none means that all are.
pub(super) fn is_kept(path: &OutputPath, outputs: &[Spanned<OutputPath>]) -> bool {
    let overlaps = |output: &Spanned<OutputPath>| path.names().zip(output.value.names()).all(|(a, b)| a == b);
    outputs.is_empty() || outputs.iter().any(overlaps)
}
