//! One job of a plan, as far as it can be judged by itself.
//!
//! Owns: a job's keys, its variables and templates. Does not know: the other jobs.

use std::collections::{BTreeMap, HashMap};

use super::decode::{Defaults, check_label, unknown};
use super::diagnostic::{Diagnostic, Diagnostics, Quoted, Span};
use super::document::{Key, Node, Value};
use super::fields::{Field, Fields, Subject};
use super::graph::Reference;
use super::limits::LimitFields;
use super::places::check_kept;
use super::source::Reader;
use super::{Items, JobSpec, ModuleSource, Place, Retries, SaveSpec, Spanned, Stdin, Target, Template, TemplateError};
use crate::guest_path::OutputPath;

/// What a job is read against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) modules: &'a BTreeMap<String, Spanned<ModuleSource>>,
    pub(super) resources: &'a BTreeMap<String, u64>,
    pub(super) defaults: &'a Defaults,
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
    let field = Field { subject, key_span: &key.span, node };
    let mut fields = Fields::of(field.entries(errors), &subject);

    let for_each = fields.take("for-each").map_or_else(ForEach::default, |field| for_each(&field, errors));
    let variables = Variables::of(&for_each);

    let module = fields.take("module").map(|field| module_name(&field, context.modules, errors));
    let entry = fields.take("entry").and_then(|field| field.name(errors)).map(str::to_owned);
    let args = fields.take("args").map(|field| args(&field, &variables, errors)).unwrap_or_default();
    let own_env = fields.take("env").map(|field| env(&field, &variables, errors)).unwrap_or_default();
    let mut reader = Reader { job: index, variables: &variables, references };
    let mounts = fields.take("in").map(|field| reader.mounts(&field, errors)).unwrap_or_default();
    let stdin = stdin(&subject, &mut reader, fields.take("input"), fields.take("stdin"), errors);
    let outputs = fields.take("out").map(|field| outputs(&field, &variables, errors)).unwrap_or_default();
    let save = fields.take("save").map(|field| save(&field, &for_each, &variables, errors)).unwrap_or_default();
    check_saved(&subject, &save, &outputs, errors);
    let own_limits = fields.take("limits").map(|field| LimitFields::read(&field, errors)).unwrap_or_default();
    let (limits, timeout) = own_limits.over(context.defaults.limits);
    let seed = fields.take("seed").and_then(|field| field.whole(0, errors)).unwrap_or(0);
    let floats = fields.take("floats").and_then(|field| native_floats(&field, errors));
    let place = place(&mut fields, context.resources, errors);
    let own_retries = fields.take("retries").and_then(|field| retries(&field, errors));
    let target = fields.take("sla").and_then(|field| target(&field, errors));
    let meant = fields.finish(errors);

    let module = module.or_else(|| context.defaults.module.clone()).unwrap_or_else(|| {
        if !meant.contains(&"module") && matches!(node.value, Value::Table(_)) {
            let missing = Diagnostic::new(format!("{subject} has no `module`"), key.span.clone());
            errors.push(missing.hint("give it one, or give one to all jobs under `[defaults]`"));
        }
        Spanned { value: String::new(), span: key.span.clone() }
    });
    let mut env = context.defaults.env.clone();
    env.extend(own_env);
    let name = Spanned { value: key.text.to_string(), span: key.span.clone() };
    let save = save.into_iter().map(|(save, _)| save).collect();
    let native_floats = floats.or(context.defaults.native_floats).unwrap_or(false);
    JobSpec {
        name,
        module,
        entry,
        args,
        env,
        stdin,
        mounts,
        outputs,
        save,
        for_each,
        limits,
        timeout,
        seed,
        native_floats,
        place,
        retries: own_retries.or(context.defaults.retries).unwrap_or_default(),
        target,
    }
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
fn place(fields: &mut Fields<'_>, known: &BTreeMap<String, u64>, errors: &mut Diagnostics) -> Place {
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
pub(super) fn module_name(
    field: &Field<'_>,
    modules: &BTreeMap<String, Spanned<ModuleSource>>,
    errors: &mut Diagnostics,
) -> Spanned<String> {
    let name = field.string(errors);
    if let Some(name) = name.filter(|name| !modules.contains_key(*name)) {
        let message = format!("there is no module {}", Quoted(name));
        let known = modules.keys().map(String::as_str).collect::<Vec<_>>();
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

type ForEach = Vec<(Spanned<String>, Spanned<Items>)>;

/// What stands in for the variable of a `for-each` that could not be read. Templates with any other variable are
/// then let pass: nobody knows which ones there are.
const UNREADABLE: &str = "";

fn for_each(field: &Field<'_>, errors: &mut Diagnostics) -> ForEach {
    if !matches!(field.node.value, Value::Table(_)) {
        field.wrong_type("a table of variables", errors);
        let stand_in = Spanned { value: UNREADABLE.to_owned(), span: field.span() };
        return vec![(stand_in, Spanned { value: Items::List(Vec::new()), span: field.span() })];
    }
    let entries = field.entries(errors);
    if entries.is_empty() {
        let wrong = Diagnostic::new(format!("{} has no variable", field.subject), field.span());
        errors.push(wrong.hint("name one, for instance `for-each = { file = \"data/*.csv\" }`"));
    }
    let mut variables = Vec::new();
    for entry in entries {
        let (key, node) = entry;
        let mut chars = key.text.chars();
        let is_identifier = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && chars.all(|char| char.is_ascii_alphanumeric() || char == '_');
        if !is_identifier {
            let wrong = Diagnostic::new(format!("{} cannot be a variable", Quoted(&key.text)), key.span.clone());
            errors.push(wrong.saying("a variable has letters, digits and `_` only, and starts with no digit"));
        }
        let items = items(&Field::of(entry, &field.subject), errors);
        let name = Spanned { value: key.text.to_string(), span: key.span.clone() };
        variables.push((name, Spanned { value: items, span: node.span.clone() }));
    }
    variables
}

fn items(field: &Field<'_>, errors: &mut Diagnostics) -> Items {
    let empty = || Items::List(Vec::new());
    match &field.node.value {
        Value::String(_) => field.name(errors).map_or_else(empty, |glob| Items::Glob(glob.to_owned())),
        Value::Array(_) => Items::List(list(field, errors)),
        Value::Table(entries) => {
            let mut fields = Fields::of(entries, &field.subject);
            let (lines, glob) = (fields.take("lines"), fields.take("glob"));
            let meant = fields.finish(errors);
            match (lines, glob) {
                (Some(lines), None) => lines.name(errors).map_or_else(empty, |file| Items::Lines(file.to_owned())),
                (None, Some(glob)) => glob.name(errors).map_or_else(empty, |glob| Items::Glob(glob.to_owned())),
                (lines, _) => {
                    if lines.is_some() || meant.is_empty() {
                        let message = format!("{} must have either `lines` or `glob`", field.subject);
                        errors.push(Diagnostic::new(message, field.span()));
                    }
                    empty()
                }
            }
        }
        _ => {
            field.wrong_type("a glob, a list, or a table with `lines` or `glob`", errors);
            empty()
        }
    }
}

fn list(field: &Field<'_>, errors: &mut Diagnostics) -> Vec<String> {
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut list = Vec::new();
    for item in field.items(errors) {
        let text = match &item.node.value {
            Value::Int(number) => number.to_string(),
            Value::String(text) => text.to_string(),
            _ => {
                item.wrong_type("a string or a whole number", errors);
                continue;
            }
        };
        if text.is_empty() || text.contains(char::is_control) {
            item.wrong("it becomes part of a job's name, which is not empty and has no control characters", errors);
        }
        if let Some(first) = seen.insert(text.clone(), item.span()) {
            let message = format!("{} is twice in {}", Quoted(&text), field.subject);
            errors.push(Diagnostic::new(message, item.span()).and_at(first, "it stands here first"));
        }
        list.push(text);
    }
    list
}

/// Reads `save`; each entry comes with the place of its key.
fn save(
    field: &Field<'_>,
    for_each: &ForEach,
    variables: &Variables<'_>,
    errors: &mut Diagnostics,
) -> Vec<(SaveSpec, Span)> {
    let mut saves = Vec::new();
    for entry in field.entries(errors) {
        let (key, node) = entry;
        let from = if key.text == "." { None } else { variables.checked_output(&key.text, &key.span, errors) };
        let value = Field::of(entry, &field.subject);
        let Some(to) = variables.path(&value, errors) else { continue };
        // A variable with one item needs no telling apart.
        let untold = for_each.iter().find(|(name, items)| {
            !matches!(&items.value, Items::List(list) if list.len() <= 1)
                && !to.variables().any(|used| used == name.value)
        });
        if let Some((name, _)) = untold {
            let message = format!("{} is one path for every `{{{}}}`", value.subject, name.value);
            errors.push(
                Diagnostic::new(message, node.span.clone())
                    .saying("each item would overwrite the one before")
                    .hint(format!("put `{{{}}}` or `{{{}.name}}` into the path", name.value, name.value)),
            );
        }
        saves.push((SaveSpec { from, to: Spanned { value: to, span: node.span.clone() } }, key.span.clone()));
    }
    saves
}

/// What is saved has to be kept: where `out` says what is, it must lie in there.
fn check_saved(
    subject: &Subject<'_>,
    saves: &[(SaveSpec, Span)],
    outputs: &[Spanned<OutputPath>],
    errors: &mut Diagnostics,
) {
    for (save, span) in saves {
        if let Some(from) = save.from.as_ref().filter(|from| !is_kept(from, outputs)) {
            let message = format!("{subject} saves {}, which is not among its outputs", Quoted(from.as_str()));
            let kept = super::diagnostic::listed(outputs.iter().map(|output| output.value.as_str()));
            errors.push(Diagnostic::new(message, span.clone()).hint(format!("add it to `out`, which has {kept}")));
        }
    }
}

/// Whether there is something at `path` once only `outputs` are kept; none means that all are.
pub(super) fn is_kept(path: &OutputPath, outputs: &[Spanned<OutputPath>]) -> bool {
    let overlaps = |output: &Spanned<OutputPath>| path.names().zip(output.value.names()).all(|(a, b)| a == b);
    outputs.is_empty() || outputs.iter().any(overlaps)
}

/// The variables that a job's templates may use.
#[derive(Debug, Default)]
pub(super) struct Variables<'a> {
    names: Vec<&'a str>,
}

impl<'a> Variables<'a> {
    fn of(for_each: &'a ForEach) -> Self {
        Self { names: for_each.iter().map(|(name, _)| name.value.as_str()).collect() }
    }

    /// Reads any text.
    pub(super) fn template(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Template> {
        let template = Template::parse(field.string(errors)?, &self.names);
        template.map_err(|error| self.report(field, &error, errors)).ok()
    }

    /// Reads an argument or the value of an environment variable.
    pub(super) fn argument(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Template {
        if let Value::String(text) = &field.node.value {
            field.without_nul(text, errors);
        }
        self.template(field, errors).unwrap_or_default()
    }

    /// Reads a host path or a glob.
    pub(super) fn path(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Template> {
        field.name(errors)?;
        self.template(field, errors)
    }

    /// Reads a path of an output.
    pub(super) fn output_path(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<OutputPath> {
        self.checked_output(field.string(errors)?, &field.span(), errors)
    }

    /// Checks a path of an output.
    fn checked_output(&self, text: &str, span: &Span, errors: &mut Diagnostics) -> Option<OutputPath> {
        self.refuse_in_path(text, span, errors);
        let path = OutputPath::new(text);
        path.map_err(|error| errors.push(Diagnostic::new(format!("unusable output path: {error}"), span.clone()))).ok()
    }

    /// Refuses a variable in a path inside the sandbox, where it would stand for itself.
    pub(super) fn refuse_in_path(&self, text: &str, span: &Span, errors: &mut Diagnostics) {
        let template = Template::parse(text, &self.names);
        if let Some(variable) = template.iter().flat_map(Template::variables).next() {
            let message = format!("`{{{variable}}}` has no meaning in a path inside the sandbox");
            let wrong = Diagnostic::new(message, span.clone());
            errors.push(wrong.hint("use the same path for every item: each has a sandbox of its own"));
        }
    }

    fn report(&self, field: &Field<'_>, error: &TemplateError, errors: &mut Diagnostics) {
        let subject = field.subject;
        match error {
            TemplateError::Unknown { .. } if self.names.contains(&UNREADABLE) => {}
            TemplateError::Unknown { name } if self.names.is_empty() => errors.push(
                Diagnostic::new(format!("there is no variable {} in {subject}", Quoted(name)), field.span())
                    .hint("variables come from a job's `for-each`; write `{{` and `}}` for the braces themselves"),
            ),
            TemplateError::Unknown { name } => {
                let message = format!("there is no variable {} in {subject}", Quoted(name));
                unknown(message, name, field.span(), self.names.iter().copied(), "variables", errors);
            }
            TemplateError::View { name, view } => errors.push(
                Diagnostic::new(format!("variable {} has no {}", Quoted(name), Quoted(view)), field.span())
                    .hint("there are `.name`, the last part of a path, and `.stem`, that without its extension"),
            ),
            TemplateError::Brace(_) => field.wrong(error, errors),
        }
    }
}
