//! From a document to a plan, with everything that is wrong collected on the way.
//!
//! Owns: the top of a plan, its modules and its defaults, and the order of the steps. Does not know: what a job
//! says of itself (`job`), or what must hold between jobs (`graph`).

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, Diagnostics, Quoted, Span, listed};
use super::document::{Key, Node, Value, read};
use super::fields::{Field, Fields, Subject};
use super::graph::Reference;
use super::job::{self, Context};
use super::limits::LimitFields;
use super::profile::{Profiles, take_profiles};
use super::source::Reader;
use super::spelling::nearest;
use super::variables::Variables;
use super::{Growth, InputSource, JobSpec, ModuleSource, Plan, Retries, Spanned, Template, graph, python};
use crate::digest::{Digest, DigestError};

/// Which notation a plan is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `mill.toml`.
    Toml,
    /// `mill.json`.
    Json,
}

/// How many modules there may be in a plan that a job yields: each such plan inside of it has them all.
const YIELDED_MODULES_MAX: usize = 100;

/// The name of a plan that does not say one.
const NAME_DEFAULT: &str = "plan";

/// How many jobs are read together.
const PART_JOBS: usize = 1_024;

/// What `[defaults]` gives to every job that does not say otherwise.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub(super) module: Option<Spanned<String>>,
    pub(super) env: BTreeMap<String, Template>,
    pub(super) limits: LimitFields,
    pub(super) native_floats: Option<bool>,
    pub(super) retries: Option<Retries>,
}

/// What a plan that a job yields is read against. It cannot name host files, digests, or resources of its own, so that it
/// reaches nothing that the job could not.
#[derive(Debug, Clone, Copy)]
pub struct Outer<'a> {
    /// The modules of the plans around it, which its jobs may run.
    pub modules: &'a BTreeSet<String>,
    /// The resources of the outermost plan.
    pub resources: &'a BTreeMap<String, u64>,
    /// The job that yields it, whose limits are the bounds of its jobs' and their defaults.
    pub by: &'a JobSpec,
}

/// Reads a plan.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text; of more than 100 errors the first 100 that were
/// found, and a last diagnostic without a place that counts the others.
pub fn parse(text: &str, format: Format) -> Result<Plan, Vec<Diagnostic>> {
    parse_in_parts(text, format, |_| {})
}

/// The same, where `spread` may have several threads read parts of the jobs. What it leaves is read after it.
///
/// # Errors
/// As of [`parse`].
pub fn parse_in_parts(
    text: &str,
    format: Format,
    spread: impl FnOnce(&mut [JobsPart<'_>]),
) -> Result<Plan, Vec<Diagnostic>> {
    read_plan(text, format, None, spread)
}

/// Some of a plan's jobs, which can be read by themselves.
#[derive(Debug)]
pub struct JobsPart<'a> {
    /// How many jobs are before them.
    first: usize,
    entries: &'a [(Key<'a>, Node<'a>)],
    /// None until they are read.
    jobs: &'a mut [Option<JobSpec>],
    context: Context<'a>,
    references: Vec<Reference>,
    errors: Diagnostics,
}

impl JobsPart<'_> {
    /// Reads them, once.
    pub fn read(&mut self) {
        for (at, (entry, job)) in self.entries.iter().zip(self.jobs.iter_mut()).enumerate() {
            if job.is_none() {
                *job = Some(job::job(self.first + at, entry, self.context, &mut self.references, &mut self.errors));
            }
        }
    }
}

/// Reads a configuration: profiles, and which of them counts where none is asked for.
///
/// # Errors
/// As of [`parse`].
pub fn parse_config(text: &str, format: Format) -> Result<Profiles, Vec<Diagnostic>> {
    let mut errors = Diagnostics::default();
    let root = read(text, format, &mut errors);
    let config = errors.is_empty().then(|| {
        let root = Field { subject: Subject::Config, key_span: &root.span, node: &root };
        let mut fields = Fields::of(root.entries(&mut errors), &root.subject);
        let profiles = take_profiles(&mut fields, &mut errors);
        fields.finish(&mut errors);
        profiles
    });
    match config {
        Some(profiles) if errors.is_empty() => Ok(profiles),
        _ => Err(errors.into_sorted()),
    }
}

/// Reads a plan that a job yields, as JSON.
///
/// # Errors
/// As of [`parse`].
pub fn parse_yielded(text: &str, outer: Outer<'_>) -> Result<Plan, Vec<Diagnostic>> {
    read_plan(text, Format::Json, Some(outer), |_| {})
}

fn read_plan(
    text: &str,
    format: Format,
    outer: Option<Outer<'_>>,
    spread: impl FnOnce(&mut [JobsPart<'_>]),
) -> Result<Plan, Vec<Diagnostic>> {
    let mut errors = Diagnostics::default();
    let root = read(text, format, &mut errors);
    // What is not well-formed is mostly misread: looking into it would only bring up errors that are none.
    let plan = errors.is_empty().then(|| plan(&root, outer, spread, &mut errors));
    match plan {
        Some(plan) if errors.is_empty() => Ok(plan),
        _ => Err(errors.into_sorted()),
    }
}

fn plan(
    root: &Node<'_>,
    outer: Option<Outer<'_>>,
    spread: impl FnOnce(&mut [JobsPart<'_>]),
    errors: &mut Diagnostics,
) -> Plan {
    let root = Field { subject: Subject::Plan, key_span: &root.span, node: root };
    let mut fields = Fields::of(root.entries(errors), &root.subject);
    let name = fields.take("name").and_then(|field| label(&field, errors));
    let module_fields = fields.take("modules").map_or(&[][..], |field| field.entries(errors));
    let modules: BTreeMap<_, _> = module_fields.iter().map(|entry| module(entry, outer, errors)).collect();
    if let (Some(_), Some(module)) = (outer, module_fields.get(YIELDED_MODULES_MAX)) {
        let message = format!("a plan that a job yields has at most {YIELDED_MODULES_MAX} modules");
        errors.push(Diagnostic::new(message, module.0.span.clone()));
    }
    let resources = match outer {
        Some(outer) => outer.resources.clone(),
        None => fields.take("resources").map(|field| resources(&field, errors)).unwrap_or_default(),
    };
    let growth = if outer.is_some() { None } else { fields.take("growth") };
    let growth = growth.map(|field| growth_of(&field, errors)).unwrap_or_default();
    let profiles = if outer.is_some() { Profiles::default() } else { take_profiles(&mut fields, errors) };
    let none = Defaults::default();
    let context = Context { modules: &modules, resources: &resources, defaults: &none, outer };
    let defaults = fields.take("defaults").map(|field| defaults(&field, context, errors)).unwrap_or_default();
    let context = Context { defaults: &defaults, ..context };
    let job_fields = fields.take("jobs").map_or(&[][..], |field| field.entries(errors));
    let mut references = Vec::new();
    let result =
        outer.and_then(|_| result(fields.take("result"), job_fields.len(), root.span(), &mut references, errors));
    fields.finish(errors);

    let jobs = jobs(job_fields, context, spread, &mut references, errors);
    graph::check(&jobs, &references, errors);
    Plan { name: name.unwrap_or(NAME_DEFAULT).to_owned(), modules, resources, growth, profiles, jobs, result }
}

/// Reads the jobs, part by part.
fn jobs(
    entries: &[(Key<'_>, Node<'_>)],
    context: Context<'_>,
    spread: impl FnOnce(&mut [JobsPart<'_>]),
    references: &mut Vec<Reference>,
    errors: &mut Diagnostics,
) -> Vec<JobSpec> {
    let mut jobs: Vec<Option<JobSpec>> = entries.iter().map(|_| None).collect();
    let parts = entries.chunks(PART_JOBS).zip(jobs.chunks_mut(PART_JOBS)).enumerate();
    let mut parts: Vec<_> = parts
        .map(|(part, (entries, jobs))| {
            let (first, references, errors) = (part * PART_JOBS, Vec::new(), Diagnostics::default());
            JobsPart { first, entries, jobs, context, references, errors }
        })
        .collect();
    spread(&mut parts);
    for mut part in parts {
        part.read();
        references.append(&mut part.references);
        errors.append(part.errors);
    }
    // Each has been read, and stays where it is.
    jobs.into_iter().map_while(|job| job).collect()
}

/// Reads how many jobs may come to be.
fn growth_of(field: &Field<'_>, errors: &mut Diagnostics) -> Growth {
    let mut fields = Fields::of(field.entries(errors), &field.subject);
    let (jobs, depth) = (fields.take("jobs"), fields.take("depth"));
    fields.finish(errors);
    let default = Growth::default();
    Growth {
        jobs_max: jobs.and_then(|field| field.whole(0, errors)).unwrap_or(default.jobs_max),
        depth_max: depth.and_then(|field| field.whole(0, errors)).unwrap_or(default.depth_max),
    }
}

/// Reads what stands for the output of the job that yields a plan. It refers to jobs as a job at position `index` would.
fn result(
    field: Option<Field<'_>>,
    index: usize,
    plan: Span,
    references: &mut Vec<Reference>,
    errors: &mut Diagnostics,
) -> Option<Spanned<InputSource>> {
    let Some(field) = field else {
        let wrong = Diagnostic::new("the plan has no `result`", plan);
        let hint = "say what stands for the output of the job that yields it: `\"result\": { \"job\": \"NAME\" }`";
        errors.push(wrong.hint(hint));
        return None;
    };
    let mut reader = Reader { job: index, variables: &Variables::default(), references, is_yielded: true };
    let value = reader.source(&field, None, errors)?;
    if let InputSource::Text(_) | InputSource::Input(_) = value {
        field.wrong("it has to be an output: one of `job`, `jobs` and `output`", errors);
    }
    Some(Spanned { value, span: field.span() })
}

/// Reads what there is only so much of.
fn resources(field: &Field<'_>, errors: &mut Diagnostics) -> BTreeMap<String, u64> {
    let mut resources = BTreeMap::new();
    for entry in field.entries(errors) {
        check_label("a resource", &entry.0, errors);
        let count = Field::of(entry, &field.subject).whole(1, errors).unwrap_or(u64::MAX);
        resources.insert(entry.0.text.to_string(), count);
    }
    resources
}

fn module(
    (key, node): &(Key<'_>, Node<'_>),
    outer: Option<Outer<'_>>,
    errors: &mut Diagnostics,
) -> (String, Spanned<ModuleSource>) {
    let subject = Subject::Module(&key.text);
    check_label("a module", key, errors);
    let field = Field { subject, key_span: &key.span, node };
    let mut fields = Fields::of(field.entries(errors), &subject);
    if let Some(outer) = outer {
        return (key.text.to_string(), yielded_module(&field, fields, key, outer, errors));
    }
    let sources = [fields.take("crate"), fields.take("file"), fields.take("digest"), fields.take("python")];
    let (bin, profile, interpreter) = (fields.take("bin"), fields.take("profile"), fields.take("interpreter"));
    let meant = fields.finish(errors);

    for (field, source, with) in
        [(&bin, &sources[0], "crate"), (&profile, &sources[0], "crate"), (&interpreter, &sources[3], "python")]
    {
        if let Some(field) = field.as_ref().filter(|_| source.is_none() && !meant.contains(&with)) {
            errors.push(Diagnostic::new(format!("{} goes with `{with}` only", field.subject), field.key_span.clone()));
        }
    }
    let text = |field: Field<'_>, errors: &mut Diagnostics| field.name(errors).unwrap_or_default().to_owned();
    let source = match sources {
        [Some(folder), None, None, None] => {
            let mut named = |field: Option<Field<'_>>| field.map(|field| text(field, errors));
            let (bin, profile) = (named(bin), named(profile));
            ModuleSource::Crate { path: text(folder, errors), bin, profile }
        }
        [None, Some(file), None, None] => ModuleSource::File { path: text(file, errors) },
        [None, None, Some(digest), None] => ModuleSource::Digest(digest_of(&digest, errors)),
        [None, None, None, Some(script)] => {
            let interpreter = interpreter.map(|field| text(field, errors));
            let interpreter = interpreter.unwrap_or_else(|| python::INTERPRETER_DEFAULT.to_owned());
            ModuleSource::Python { script: python::script(&script, errors), interpreter }
        }
        sources => {
            let given: Vec<_> = sources.iter().flatten().collect();
            if let [first, second, ..] = given.as_slice() {
                errors.push(
                    Diagnostic::new(format!("{subject} has more than one source"), first.key_span.clone())
                        .and_at(second.key_span.clone(), "this is another")
                        .hint("leave one of `crate`, `file`, `python` and `digest`"),
                );
            } else if meant.is_empty() && matches!(node.value, Value::Table(_)) {
                errors.push(Diagnostic::new(format!("{subject} has no source"), key.span.clone()).hint(
                    "give it `crate = \"FOLDER\"`, `file = \"FILE\"`, `python = \"FILE\"` or `digest = \"sha256:…\"`",
                ));
            }
            ModuleSource::Digest(Digest::EMPTY)
        }
    };
    (key.text.to_string(), Spanned { value: source, span: key.span.clone() })
}

/// Reads a module of a plan that a job yields: it can only be in what the job left.
fn yielded_module(
    field: &Field<'_>,
    mut fields: Fields<'_>,
    key: &Key<'_>,
    outer: Outer<'_>,
    errors: &mut Diagnostics,
) -> Spanned<ModuleSource> {
    let output = fields.take("output");
    let meant = fields.finish(errors);
    if outer.modules.contains(key.text.as_ref()) {
        let message = format!("there is a {} around this plan already", field.subject);
        errors.push(Diagnostic::new(message, key.span.clone()).hint("give this one another name"));
    }
    if output.is_none() && meant.is_empty() && matches!(field.node.value, Value::Table(_)) {
        let wrong = Diagnostic::new(format!("{} has no source", field.subject), key.span.clone());
        errors.push(wrong.hint("in a plan that a job yields, that is `output`: a file of the job's own output"));
    }
    let path = output.and_then(|field| Variables::default().output_path(&field, errors));
    let value = path.map_or(ModuleSource::Digest(Digest::EMPTY), |path| ModuleSource::Output { path });
    Spanned { value, span: key.span.clone() }
}

fn digest_of(field: &Field<'_>, errors: &mut Diagnostics) -> Digest {
    let Some(text) = field.name(errors) else { return Digest::EMPTY };
    text.parse().unwrap_or_else(|error: DigestError| {
        field.wrong(error, errors);
        Digest::EMPTY
    })
}

fn defaults(field: &Field<'_>, context: Context<'_>, errors: &mut Diagnostics) -> Defaults {
    let subject = Subject::Defaults;
    let mut fields = Fields::of(field.entries(errors), &subject);
    let module = fields.take("module").map(|field| job::module_name(&field, context, errors));
    let env = fields.take("env").map(|field| job::env(&field, &Variables::default(), errors));
    let limits = fields.take("limits").map(|field| LimitFields::read(&field, errors));
    let native_floats = fields.take("floats").and_then(|field| job::native_floats(&field, errors));
    let retries = fields.take("retries").and_then(|field| job::retries(&field, errors));
    fields.finish(errors);
    Defaults { module, env: env.unwrap_or_default(), limits: limits.unwrap_or_default(), native_floats, retries }
}

/// The value as a name that is shown to people.
fn label<'a>(field: &Field<'a>, errors: &mut Diagnostics) -> Option<&'a str> {
    let text = field.name(errors)?;
    if let Some(wrong) = wrong_label(text, |_| false) {
        field.wrong(wrong, errors);
    }
    Some(text)
}

/// Says what is wrong with the name of `what`, which takes part in the names of `job[item]` and in templates.
pub(super) fn check_label(what: &str, key: &Key<'_>, errors: &mut Diagnostics) {
    let is_reserved = |char| matches!(char, '[' | ']' | '{' | '}' | '/' | '\\');
    if let Some(wrong) = wrong_label(&key.text, is_reserved) {
        let name = Quoted(&key.text);
        errors.push(Diagnostic::new(format!("{name} cannot be the name of {what}: {wrong}"), key.span.clone()));
    }
}

/// Longest name of a plan, module or job in bytes: it has to fit into one line of a terminal, with something else.
const LABEL_BYTES_MAX: usize = 128;

fn wrong_label(text: &str, is_reserved: impl Fn(char) -> bool) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty".to_owned());
    }
    if text.len() > LABEL_BYTES_MAX {
        return Some(format!("it is {} bytes long; at most {LABEL_BYTES_MAX} are allowed", text.len()));
    }
    if text.trim() != text {
        return Some("it has white space at its start or end".to_owned());
    }
    text.chars().find(|char| char.is_control() || is_reserved(*char)).map(|char| {
        if char.is_control() {
            "it has a control character in it".to_owned()
        } else {
            format!("it has a `{char}` in it, which names do not have")
        }
    })
}

/// Reports a name that is not there, with the nearest that is.
pub(super) fn unknown<'n>(
    message: String,
    name: &str,
    span: Span,
    known: impl ExactSizeIterator<Item = &'n str> + Clone,
    known_as: &str,
    errors: &mut Diagnostics,
) {
    errors.push_with(|| {
        let hint = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean {}?", Quoted(near)),
            None if known.len() == 0 => format!("there are no {known_as}"),
            None => format!("the {known_as} here are {}", listed(known)),
        };
        Diagnostic::new(message, span).hint(hint)
    });
}
