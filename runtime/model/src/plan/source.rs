//! What a job takes in: `in`, `stdin` and `input`.
//!
//! Owns: how inputs are written and where they may be mounted. Does not know: whether what they name exists.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::document::{Key, Node, Value};
use super::fields::{Field, Fields};
use super::graph::{Reference, Target};
use super::places::check_places;
use super::variables::Variables;
use super::{InputSource, JsonTemplate, MountSpec, Spanned, Stdin, Template};
use crate::action::MountMode;
use crate::guest_path::{GuestPath, OutputPath};

/// What is needed to read the inputs of one job.
pub(super) struct Reader<'a> {
    /// The job's position in the plan.
    pub(super) job: usize,
    /// What its templates may use.
    pub(super) variables: &'a Variables<'a>,
    /// Where to note the jobs that it takes from.
    pub(super) references: &'a mut Vec<Reference>,
    /// Whether a job yielded the plan, which then has nothing to do with the host's files.
    pub(super) is_yielded: bool,
}

/// What may stand beside a source, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Beside {
    mode: MountMode,
    is_optional: bool,
}

impl Reader<'_> {
    /// Reads `in`.
    pub(super) fn mounts(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Vec<MountSpec> {
        let entries = field.entries(errors);
        let mut mounts = Vec::with_capacity(entries.len());
        for entry in entries {
            let (key, node) = entry;
            let at = match GuestPath::new(&key.text) {
                Ok(path) => Some(path),
                Err(error) => {
                    let message = format!("{} has an unusable path: {error}", field.subject);
                    errors.push(Diagnostic::new(message, key.span.clone()));
                    None
                }
            };
            self.variables.refuse_in_path(&key.text, &key.span, errors);
            let mut beside = Beside::default();
            let source = self.source(&Field::of(entry, &field.subject), Some(&mut beside), errors);
            if let (Some(at), Some(source)) = (at, source) {
                let at = Spanned { value: at, span: key.span.clone() };
                let source = Spanned { value: source, span: node.span.clone() };
                mounts.push(MountSpec { at, source, mode: beside.mode, is_optional: beside.is_optional });
            }
        }
        check_places(field, &mounts, errors);
        mounts
    }

    /// Reads `stdin`, a source that is one file.
    pub(super) fn stdin(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Spanned<Stdin>> {
        let source = self.file(field, errors)?;
        Some(Spanned { value: Stdin::Source(source), span: field.span() })
    }

    /// Reads a source that is one file.
    pub(super) fn file(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<InputSource> {
        let source = self.source(field, None, errors)?;
        let wrong = match &source {
            InputSource::Path(_)
            | InputSource::Text(_)
            | InputSource::Job { path: Some(_), .. }
            | InputSource::Input(_)
            | InputSource::Output(Some(_)) => None,
            InputSource::Job { path: None, .. } | InputSource::Output(None) => {
                Some("a job's whole output is a directory; say which `path` of it")
            }
            InputSource::Glob(_) => Some("a glob gives a directory"),
            InputSource::Jobs { .. } => Some("the outputs of several jobs are a directory"),
        };
        if let Some(wrong) = wrong {
            let message = format!("{} must be one file", field.subject);
            errors.push(Diagnostic::new(message, field.span()).saying(wrong));
        }
        Some(source)
    }

    /// Refuses what names a host file in a plan that a job yielded.
    pub(super) fn check_host(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<()> {
        if self.is_yielded {
            let message = format!("{} names a host file, which a plan that a job yields cannot do", field.subject);
            errors.push(
                Diagnostic::new(message, field.span()).hint("there are `input`, `output`, `text`, `job` and `jobs`"),
            );
            return None;
        }
        Some(())
    }

    /// Reads `input`, any value.
    pub(super) fn input(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Spanned<Stdin> {
        Spanned { value: Stdin::Json(self.json(field, errors)), span: field.span() }
    }

    fn json(&self, field: &Field<'_>, errors: &mut Diagnostics) -> JsonTemplate {
        match &field.node.value {
            Value::Null => JsonTemplate::Null,
            Value::Bool(value) => JsonTemplate::Bool(*value),
            Value::Int(number) => JsonTemplate::Int(*number),
            Value::Float(number) => {
                if !number.is_finite() {
                    field.wrong("JSON has no infinities and no not-a-number", errors);
                }
                JsonTemplate::Float(*number)
            }
            Value::String(text) => match parsed_variable(text) {
                Some(variable) => {
                    JsonTemplate::Parsed(self.variables.template_of(&variable, field, errors).unwrap_or_default())
                }
                None => JsonTemplate::String(self.variables.template(field, errors).unwrap_or_default()),
            },
            Value::Array(items) => {
                let item = |node: &Node<'_>| self.json(&Field { key_span: &node.span, node, ..*field }, errors);
                JsonTemplate::Array(items.iter().map(item).collect())
            }
            Value::Table(entries) => {
                let entry = |(key, node): &(_, Node<'_>)| {
                    let key: &Key<'_> = key;
                    (key.text.to_string(), self.json(&Field { key_span: &key.span, node, ..*field }, errors))
                };
                JsonTemplate::Object(entries.iter().map(entry).collect())
            }
        }
    }

    /// Reads a source; and, where it is one for a mount, what stands beside it.
    pub(super) fn source(
        &mut self,
        field: &Field<'_>,
        beside: Option<&mut Beside>,
        errors: &mut Diagnostics,
    ) -> Option<InputSource> {
        let entries = match &field.node.value {
            Value::String(_) => {
                self.check_host(field, errors)?;
                return Some(InputSource::Path(self.variables.path(field, errors)?));
            }
            Value::Table(entries) => entries,
            _ => {
                field.wrong_type("a host path or a table with `path`, `glob`, `text`, `job` or `jobs`", errors);
                return None;
            }
        };
        let mut fields = Fields::of(entries, &field.subject);
        let path = fields.take("path");
        let others = [
            fields.take("glob"),
            fields.take("text"),
            fields.take("job"),
            fields.take("jobs"),
            // Only a plan that a job yields has anything around it.
            self.is_yielded.then(|| fields.take("input")).flatten(),
            self.is_yielded.then(|| fields.take("output")).flatten(),
        ];
        let mut is_optional = false;
        if let Some(beside) = beside {
            beside.mode = fields.take("mode").and_then(|field| mount_mode(&field, errors)).unwrap_or_default();
            is_optional = optional(fields.take("optional"), others[2].is_some(), errors);
            beside.is_optional = is_optional;
        }
        let meant = fields.finish(errors);
        let source = one_of(field, others, path, !meant.is_empty(), errors)?;
        self.source_of(&source, is_optional, errors)
    }

    fn source_of(&mut self, source: &Source<'_>, is_optional: bool, errors: &mut Diagnostics) -> Option<InputSource> {
        match source {
            Source::Path(path) => {
                self.check_host(path, errors)?;
                Some(InputSource::Path(self.variables.path(path, errors)?))
            }
            Source::Glob(glob) => {
                self.check_host(glob, errors)?;
                Some(InputSource::Glob(self.variables.path(glob, errors)?))
            }
            Source::Text(text) => Some(InputSource::Text(self.variables.template(text, errors)?)),
            Source::Job(job, path) => self.one_job(job, path.as_ref(), is_optional, errors),
            Source::Jobs(jobs, path) => self.all_jobs(jobs, path.as_ref(), errors),
            Source::Input(field) => {
                let path = GuestPath::new(field.string(errors)?);
                self.variables.refuse_in_path(field.string(errors)?, &field.span(), errors);
                path.map_err(|error| field.wrong(error, errors)).ok().map(InputSource::Input)
            }
            Source::Output(field) => {
                if field.string(errors)? == "." {
                    return Some(InputSource::Output(None));
                }
                Some(InputSource::Output(Some(self.variables.path_of_other(field, errors)?)))
            }
        }
    }

    /// Reads a source that names a job, and notes that.
    pub(super) fn one_job(
        &mut self,
        job: &Field<'_>,
        path: Option<&Field<'_>>,
        is_optional: bool,
        errors: &mut Diagnostics,
    ) -> Option<InputSource> {
        let path = path.and_then(|path| self.variables.path_of_other(path, errors));
        job.name(errors)?;
        let template = self.variables.template(job, errors)?;
        let kept = path.as_ref().filter(|_| !is_optional).and_then(Template::as_literal);
        self.refer(job, Target::of(&template), kept.and_then(|path| OutputPath::new(path).ok()));
        Some(InputSource::Job { job: template, path })
    }

    fn all_jobs(
        &mut self,
        jobs: &Field<'_>,
        path: Option<&Field<'_>>,
        errors: &mut Diagnostics,
    ) -> Option<InputSource> {
        let path = path.and_then(|path| self.variables.output_path(path, errors));
        let name = jobs.name(errors)?;
        self.refer(jobs, Some(Target::All(name.to_owned())), path.clone());
        Some(InputSource::Jobs { jobs: name.to_owned(), path })
    }

    fn refer(&mut self, field: &Field<'_>, target: Option<Target>, path: Option<OutputPath>) {
        if let Some(target) = target {
            self.references.push(Reference { from: self.job, span: field.span(), target, path });
        }
    }
}

/// The one thing that a source is, before it is looked into.
enum Source<'a> {
    Path(Field<'a>),
    Glob(Field<'a>),
    Text(Field<'a>),
    Job(Field<'a>, Option<Field<'a>>),
    Jobs(Field<'a>, Option<Field<'a>>),
    Input(Field<'a>),
    Output(Field<'a>),
}

/// Says which of its keys a source has; exactly one, but that `job` and `jobs` take a `path` too.
fn one_of<'a>(
    field: &Field<'_>,
    others: [Option<Field<'a>>; 6],
    path: Option<Field<'a>>,
    has_misspelt: bool,
    errors: &mut Diagnostics,
) -> Option<Source<'a>> {
    let more_than_one = |first: &Field<'_>, second: &Field<'_>, text: &str, errors: &mut Diagnostics| {
        let message = format!("{} has more than one source", field.subject);
        errors.push(Diagnostic::new(message, first.key_span.clone()).and_at(second.key_span.clone(), text));
    };
    let mut given = others.iter().flatten();
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        more_than_one(first, second, "this is another", errors);
        return None;
    }
    match (others, path) {
        ([_, _, Some(job), ..], path) => Some(Source::Job(job, path)),
        ([_, _, _, Some(jobs), ..], path) => Some(Source::Jobs(jobs, path)),
        ([glob, text, _, _, input, output], Some(path)) => match glob.or(text).or(input).or(output) {
            Some(other) => {
                more_than_one(&other, &path, "`path` is another; only `job` and `jobs` take one", errors);
                None
            }
            None => Some(Source::Path(path)),
        },
        ([Some(glob), ..], None) => Some(Source::Glob(glob)),
        ([_, Some(text), ..], None) => Some(Source::Text(text)),
        ([_, _, _, _, Some(input), _], None) => Some(Source::Input(input)),
        ([_, _, _, _, _, Some(output)], None) => Some(Source::Output(output)),
        _ => {
            if !has_misspelt {
                let message = format!("{} has no source", field.subject);
                let hint = "give it one of `path`, `glob`, `text`, `job` and `jobs`";
                errors.push(Diagnostic::new(message, field.span()).hint(hint));
            }
            None
        }
    }
}

/// Reads `optional`, which goes with `job` only.
fn optional(field: Option<Field<'_>>, is_job: bool, errors: &mut Diagnostics) -> bool {
    let Some(field) = field else { return false };
    let Value::Bool(is_optional) = field.node.value else {
        field.wrong_type("true or false", errors);
        return false;
    };
    if !is_job {
        let wrong = Diagnostic::new(format!("{} goes with `job` only", field.subject), field.key_span.clone());
        errors.push(wrong.hint("`jobs` leaves out what is not there by itself"));
    }
    is_optional
}

fn mount_mode(field: &Field<'_>, errors: &mut Diagnostics) -> Option<MountMode> {
    match field.string(errors)? {
        "ro" => Some(MountMode::ReadOnly),
        "rw" => Some(MountMode::CopyOnWrite),
        _ => {
            field.wrong("it is `ro` (to read) or `rw` (the job changes a copy of its own)", errors);
            None
        }
    }
}

/// The variable in `{NAME:json}`, which stands for a value in place of a text, as `{NAME}`.
fn parsed_variable(text: &str) -> Option<String> {
    let name = text.strip_prefix('{')?.strip_suffix(":json}")?;
    (!name.contains(['{', '}'])).then(|| format!("{{{name}}}"))
}
