//! What a job takes in: `in`, `stdin` and `input`.
//!
//! Owns: how inputs are written and where they may be mounted. Does not know: whether what they name exists.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::document::{Key, Node, Value};
use super::fields::{Field, Fields};
use super::graph::{Reference, Target};
use super::job::Variables;
use super::places::check_places;
use super::{InputSource, JsonTemplate, MountSpec, Spanned, Stdin};
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
}

impl Reader<'_> {
    /// Reads `in`.
    pub(super) fn mounts(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Vec<MountSpec> {
        let mut mounts = Vec::new();
        for entry in field.entries(errors) {
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
            let mut mode = MountMode::ReadOnly;
            let source = self.source(&Field::of(entry, &field.subject), Some(&mut mode), errors);
            if let (Some(at), Some(source)) = (at, source) {
                let at = Spanned { value: at, span: key.span.clone() };
                mounts.push(MountSpec { at, source: Spanned { value: source, span: node.span.clone() }, mode });
            }
        }
        check_places(field, &mounts, errors);
        mounts
    }

    /// Reads `stdin`, a source that is one file.
    pub(super) fn stdin(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Spanned<Stdin>> {
        let source = self.source(field, None, errors)?;
        let wrong = match &source {
            InputSource::Path(_) | InputSource::Text(_) | InputSource::Job { path: Some(_), .. } => None,
            InputSource::Job { path: None, .. } => Some("a job's whole output is a directory; say which `path` of it"),
            InputSource::Glob(_) => Some("a glob gives a directory"),
            InputSource::Jobs { .. } => Some("the outputs of several jobs are a directory"),
        };
        if let Some(wrong) = wrong {
            let message = format!("{} must be one file", field.subject);
            errors.push(Diagnostic::new(message, field.span()).saying(wrong));
        }
        Some(Spanned { value: Stdin::Source(source), span: field.span() })
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
            Value::String(_) => JsonTemplate::String(self.variables.template(field, errors).unwrap_or_default()),
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

    /// Reads a source; and, where it is one for a mount, the `mode` beside it.
    fn source(
        &mut self,
        field: &Field<'_>,
        mode: Option<&mut MountMode>,
        errors: &mut Diagnostics,
    ) -> Option<InputSource> {
        let entries = match &field.node.value {
            Value::String(_) => return Some(InputSource::Path(self.variables.path(field, errors)?)),
            Value::Table(entries) => entries,
            _ => {
                field.wrong_type("a host path or a table with `path`, `glob`, `text`, `job` or `jobs`", errors);
                return None;
            }
        };
        let mut fields = Fields::of(entries, &field.subject);
        let path = fields.take("path");
        let others = [fields.take("glob"), fields.take("text"), fields.take("job"), fields.take("jobs")];
        if let Some(mode) = mode {
            *mode = fields.take("mode").and_then(|field| mount_mode(&field, errors)).unwrap_or_default();
        }
        let meant = fields.finish(errors);
        let mut given = others.iter().flatten();
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            let message = format!("{} has more than one source", field.subject);
            errors.push(
                Diagnostic::new(message, first.key_span.clone()).and_at(second.key_span.clone(), "this is another"),
            );
            return None;
        }
        let [glob, text, job, jobs] = others;
        if let (Some(other), Some(path)) = (glob.or(text), path) {
            let message = format!("{} has more than one source", field.subject);
            errors.push(
                Diagnostic::new(message, other.key_span.clone())
                    .and_at(path.key_span.clone(), "`path` is another; only `job` and `jobs` take one"),
            );
            return None;
        }
        if let Some(glob) = glob {
            Some(InputSource::Glob(self.variables.path(&glob, errors)?))
        } else if let Some(text) = text {
            Some(InputSource::Text(self.variables.template(&text, errors)?))
        } else if let Some(job) = job {
            self.one_job(&job, path.as_ref(), errors)
        } else if let Some(jobs) = jobs {
            self.all_jobs(&jobs, path.as_ref(), errors)
        } else if let Some(path) = path {
            Some(InputSource::Path(self.variables.path(&path, errors)?))
        } else {
            if meant.is_empty() {
                let message = format!("{} has no source", field.subject);
                let hint = "give it one of `path`, `glob`, `text`, `job` and `jobs`";
                errors.push(Diagnostic::new(message, field.span()).hint(hint));
            }
            None
        }
    }

    fn one_job(&mut self, job: &Field<'_>, path: Option<&Field<'_>>, errors: &mut Diagnostics) -> Option<InputSource> {
        let path = path.and_then(|path| self.variables.output_path(path, errors));
        job.name(errors)?;
        let template = self.variables.template(job, errors)?;
        self.refer(job, Target::of(&template), path.as_ref());
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
        self.refer(jobs, Some(Target::All(name.to_owned())), path.as_ref());
        Some(InputSource::Jobs { jobs: name.to_owned(), path })
    }

    fn refer(&mut self, field: &Field<'_>, target: Option<Target>, path: Option<&OutputPath>) {
        if let Some(target) = target {
            self.references.push(Reference { from: self.job, span: field.span(), target, path: path.cloned() });
        }
    }
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
