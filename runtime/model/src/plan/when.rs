//! On what condition a job is executed.
//!
//! Owns: how `when` is written. Does not know: whether a condition holds.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::document::Value;
use super::fields::{Field, Fields};
use super::source::Reader;
use super::{Condition, Spanned};

impl Reader<'_> {
    /// Reads `when`: one condition, or several that must all hold.
    pub(super) fn when(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Vec<Condition> {
        match &field.node.value {
            Value::Array(_) => {
                let items = field.items(errors);
                items.iter().filter_map(|item| self.condition(item, errors)).collect()
            }
            _ => self.condition(field, errors).into_iter().collect(),
        }
    }

    fn condition(&mut self, field: &Field<'_>, errors: &mut Diagnostics) -> Option<Condition> {
        let mut fields = Fields::of(field.entries(errors), &field.subject);
        let (job, path) = (fields.take("job"), fields.take("path"));
        let is = fields.take("is").and_then(|field| self.variables.template(&field, errors));
        let is_negated = fields.take("not").is_some_and(|field| match field.node.value {
            Value::Bool(is_negated) => is_negated,
            _ => {
                field.wrong_type("true or false", errors);
                false
            }
        });
        let meant = fields.finish(errors);
        let (Some(job), Some(path)) = (&job, &path) else {
            let is_table = matches!(field.node.value, Value::Table(_));
            if is_table && !meant.contains(&"job") && !meant.contains(&"path") {
                let wrong = Diagnostic::new(format!("{} needs a `job` and a `path`", field.subject), field.span());
                errors
                    .push(wrong.hint("it is about a path of that job's output: whether it is there, or what it `is`"));
            }
            return None;
        };
        let value = self.one_job(job, Some(path), false, errors)?;
        Some(Condition { source: Spanned { value, span: field.span() }, is, is_negated })
    }
}
