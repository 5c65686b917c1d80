//! The variables of a job, and the texts that use them.
//!
//! Owns: which variables a text may use, and what is said of one that is not there. Does not know: their values.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::decode::unknown;
use super::diagnostic::{Diagnostic, Diagnostics, Quoted, Span};
use super::document::Value;
use super::fields::Field;
use super::for_each::{ForEach, UNREADABLE};
use super::{Items, Template, TemplateError};
use crate::guest_path::OutputPath;

/// The variables that a job's templates may use.
#[derive(Debug, Default)]
pub(super) struct Variables<'a> {
    names: Vec<&'a str>,
    /// Those whose values may be JSON objects, so that `{variable.field}` is a part of them.
    objects: Vec<&'a str>,
    /// The fields that were used.
    fields: RefCell<BTreeSet<(String, String)>>,
}

impl<'a> Variables<'a> {
    pub(super) fn of(for_each: &'a ForEach) -> Self {
        let objects = for_each.iter().filter(|(_, items)| matches!(items.value, Items::Json(_)));
        Self {
            names: for_each.iter().map(|(name, _)| name.value.as_str()).collect(),
            objects: objects.map(|(name, _)| name.value.as_str()).collect(),
            fields: RefCell::default(),
        }
    }

    /// The fields of variables that were used, each with its variable.
    pub(super) fn into_fields(self) -> Vec<(String, String)> {
        self.fields.into_inner().into_iter().collect()
    }

    /// Reads any text.
    pub(super) fn template(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Template> {
        self.template_of(field.string(errors)?, field, errors)
    }

    /// Reads a text that a field has in it.
    pub(super) fn template_of(&self, text: &str, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Template> {
        match Template::parse_with(text, &self.names, &self.objects) {
            Ok(template) => {
                let used = template.fields().map(|(name, field)| (name.to_owned(), field.to_owned()));
                self.fields.borrow_mut().extend(used);
                Some(template)
            }
            Err(error) => {
                self.report(field, &error, errors);
                None
            }
        }
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

    /// Reads a path of an output, which is the same for all items.
    pub(super) fn output_path(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<OutputPath> {
        self.checked_output(field.string(errors)?, &field.span(), errors)
    }

    /// Reads a path of another job's output, which may be another one for each item.
    pub(super) fn path_of_other(&self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Template> {
        let template = self.path(field, errors)?;
        match template.as_literal() {
            Some(text) => Some(Template::literal(output_path(text, &field.span(), errors)?.as_str())),
            None => Some(template),
        }
    }

    /// Checks a path of an output.
    pub(super) fn checked_output(&self, text: &str, span: &Span, errors: &mut Diagnostics) -> Option<OutputPath> {
        self.refuse_in_path(text, span, errors);
        output_path(text, span, errors)
    }

    /// Refuses a variable in a path inside the sandbox, where it would stand for itself.
    pub(super) fn refuse_in_path(&self, text: &str, span: &Span, errors: &mut Diagnostics) {
        let template = Template::parse_with(text, &self.names, &self.objects);
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

fn output_path(text: &str, span: &Span, errors: &mut Diagnostics) -> Option<OutputPath> {
    let path = OutputPath::new(text);
    path.map_err(|error| errors.push(Diagnostic::new(format!("unusable output path: {error}"), span.clone()))).ok()
}
