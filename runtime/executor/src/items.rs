//! What a `for-each` iterates over.
//!
//! Owns: reading items (globs, lists in files, what is in an output), naming them, and every combination of several variables'.
//! Does not know: what is done for each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use wasmill_model::plan::{Binding, Bindings, Diagnostic, InputSource, Items, JobSpec, Span, Spanned};
use wasmill_model::{Directory, check_name};

use crate::expand::JOBS_MAX;
use crate::glob::Glob;

/// As many characters of a value are shown.
const SHOWN_CHARS: usize = 80;

/// One value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// What the item is called by.
    called: Arc<str>,
    value: Arc<str>,
    /// Its parts, where it is a JSON object.
    fields: Vec<(String, Arc<str>)>,
}

impl Item {
    fn plain(value: impl AsRef<str>) -> Self {
        Self::shared(value.as_ref().into())
    }

    fn shared(value: Arc<str>) -> Self {
        Self { called: Arc::clone(&value), value, fields: Vec::new() }
    }

    fn field(&self, name: &str) -> Option<&Arc<str>> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// What the host had for a plan to iterate over, as it was when it was read first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostLists {
    /// The texts of files, by their paths in the plan.
    texts: BTreeMap<String, Arc<str>>,
    /// What globs matched.
    globs: BTreeMap<String, Arc<[Arc<str>]>>,
}

/// The values of each variable of a job, where they are all known before the run.
pub(crate) fn values_before(job: &JobSpec, base: &Path, lists: &mut HostLists) -> Result<Vec<Vec<Item>>, Diagnostic> {
    job.for_each.iter().map(|(_, source)| values_of(source, base, lists)).collect()
}

/// The values of a variable that are known before the run.
pub(crate) fn values_of(source: &Spanned<Items>, base: &Path, lists: &mut HostLists) -> Result<Vec<Item>, Diagnostic> {
    let mut read = |path: &InputSource| {
        let InputSource::Path(path) = path else { return Ok(Arc::from("")) };
        let path = path.as_literal().unwrap_or_default();
        if let Some(text) = lists.texts.get(path) {
            return Ok(Arc::clone(text));
        }
        let shown = base.join(path);
        let text: Arc<str> = std::fs::read_to_string(&shown).map(Arc::from).map_err(|error| {
            Diagnostic::new(format!("cannot read the list `{path}`"), source.span.clone())
                .saying(error.to_string())
                .hint(format!("it is looked for at {}", shown.display()))
        })?;
        lists.texts.insert(path.to_owned(), Arc::clone(&text));
        Ok(text)
    };
    match &source.value {
        Items::List(values) => Ok(values.iter().map(Item::plain).collect()),
        Items::Lines(path) => {
            lines(&read(path)?, JOBS_MAX).map_err(|wrong| Diagnostic::new(wrong, source.span.clone()))
        }
        Items::Json(path) => json(&read(path)?, JOBS_MAX).map_err(|wrong| Diagnostic::new(wrong, source.span.clone())),
        // What is in an output is read during the run.
        Items::Entries(_) => Ok(Vec::new()),
        Items::Glob(pattern) => {
            let fail = |error: &dyn std::fmt::Display| {
                Diagnostic::new(format!("cannot expand the glob `{pattern}`"), source.span.clone())
                    .saying(error.to_string())
            };
            if let Some(found) = lists.globs.get(pattern) {
                return Ok(found.iter().map(|found| Item::shared(Arc::clone(found))).collect());
            }
            let glob = Glob::new(pattern).map_err(|error| fail(&error))?;
            let found = glob.expand(base).map_err(|error| fail(&error))?;
            let found: Arc<[Arc<str>]> = found.into_iter().map(|relative| glob.display(&relative).into()).collect();
            lists.globs.insert(pattern.clone(), Arc::clone(&found));
            Ok(found.iter().map(|found| Item::shared(Arc::clone(found))).collect())
        }
    }
}

/// The lines of a text, empty ones left out; at most so many.
pub(crate) fn lines(text: &str, at_most: usize) -> Result<Vec<Item>, String> {
    // Some editors put a byte order mark in front.
    let text = text.trim_start_matches('\u{feff}');
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().count() > at_most { Err(too_many(at_most)) } else { Ok(lines().map(Item::plain).collect()) }
}

fn too_many(at_most: usize) -> String {
    format!("there are more than {at_most} items")
}

/// The elements of a JSON list; at most so many. An object is called by its `name`, or by its place from 0 on.
pub(crate) fn json(text: &str, at_most: usize) -> Result<Vec<Item>, String> {
    let text = text.trim_start_matches('\u{feff}');
    // Counting takes no memory.
    if serde_json::from_str(text).is_ok_and(|values: Vec<IgnoredAny>| values.len() > at_most) {
        return Err(too_many(at_most));
    }
    let values: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|error| format!("this is no list in JSON: {error}"))?;
    let item = |(place, value): (usize, serde_json::Value)| match value {
        serde_json::Value::Object(entries) => {
            let value = serde_json::Value::Object(entries.clone()).to_string();
            let called = entries.get("name").and_then(serde_json::Value::as_str);
            let called = called.map_or_else(|| place.to_string().into(), Arc::from);
            let fields = entries.into_iter().map(|(key, value)| (key, plain(&value).into())).collect();
            Item { called, value: value.into(), fields }
        }
        serde_json::Value::Array(_) => Item { called: place.to_string().into(), ..Item::plain(value.to_string()) },
        other => Item::plain(plain(&other)),
    };
    Ok(values.into_iter().enumerate().map(item).collect())
}

/// A string without its quotes, anything else as JSON.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What is directly in a directory, by name; links are left out, as they cannot be inputs.
pub(crate) fn entries(directory: &Directory) -> Vec<Item> {
    let files = directory.files.iter().map(|file| file.name.as_str());
    let mut names: Vec<&str> = files.chain(directory.directories.iter().map(|below| below.name.as_str())).collect();
    names.sort_unstable();
    names.into_iter().map(Item::plain).collect()
}

/// How many jobs a combination of values comes to.
pub(crate) fn count(values: &[Vec<Item>]) -> usize {
    values.iter().map(Vec::len).fold(1, usize::saturating_mul)
}

/// Every combination of the values of a job's variables, each with a label that is unique among them; at most so many.
pub(crate) fn combine(
    job: &JobSpec,
    values: &[Vec<Item>],
    at_most: usize,
) -> Result<Vec<(String, Bindings)>, Diagnostic> {
    if count(values) > at_most {
        let message = format!("job `{}` expands to more than {at_most} jobs", job.name.value);
        return Err(Diagnostic::new(message, job.name.span.clone()));
    }
    let mut items = vec![(String::new(), Bindings::new())];
    for ((variable, source), values) in job.for_each.iter().zip(values) {
        check_fields(job, &variable.value, values, &source.span)?;
        let labels = labels_of(values, &source.span)?;
        let is_found = source.value.from_run().is_some();
        // Names and values are shared by all items that have them.
        let own: Arc<str> = variable.value.as_str().into();
        let used = job.fields.iter().filter(|(of, _)| *of == variable.value);
        let fields: Vec<(Arc<str>, &str)> =
            used.map(|(of, field)| (format!("{of}.{field}").into(), field.as_str())).collect();
        let combined = |(label, bindings): &(String, Bindings), item: &Item, mine: &str| {
            let label = if label.is_empty() { mine.to_owned() } else { format!("{label},{mine}") };
            let bind = |name: &Arc<str>, value: &Arc<str>| Binding {
                name: Arc::clone(name),
                value: Arc::clone(value),
                is_found,
            };
            let mut bound = vec![bind(&own, &item.value)];
            bound.extend(fields.iter().filter_map(|(name, field)| Some(bind(name, item.field(field)?))));
            (label, bindings.with(bound.into_iter()))
        };
        items = (items.iter())
            .flat_map(|before| {
                values.iter().zip(&labels).map(|(item, mine)| combined(before, item, mine)).collect::<Vec<_>>()
            })
            .collect();
    }
    // Two values with commas in them may come to the same.
    if !are_distinct(items.iter().map(|(label, _)| label.as_str())) {
        let message = format!("two items of job `{}` have the same name", job.name.value);
        return Err(Diagnostic::new(message, job.name.span.clone())
            .hint("names of items are put together with commas: leave them out of the values"));
    }
    Ok(items)
}

/// What a job uses of its items has to be there in each.
fn check_fields(job: &JobSpec, variable: &str, values: &[Item], span: &Span) -> Result<(), Diagnostic> {
    for (_, field) in job.fields.iter().filter(|(of, _)| of == variable) {
        if let Some(without) = values.iter().find(|item| item.field(field).is_none()) {
            let shown = shortened(&without.value);
            let message = format!("`{{{variable}.{field}}}` is used, and an item has no `{field}`: {shown}");
            return Err(Diagnostic::new(message, span.clone()));
        }
    }
    Ok(())
}

/// A value as it is shown: a guest may have chosen it.
fn shortened(value: &str) -> String {
    value.chars().take(SHOWN_CHARS).collect()
}

/// Whether all of some texts are different. What is sorted already, as paths are, is only gone through.
fn are_distinct<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let mut sorted: Vec<&str> = texts.collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|two| two.first() != two.last())
}

/// Names items by the last part of their value where that tells them apart, else by all of it.
fn labels_of(values: &[Item], span: &Span) -> Result<Vec<String>, Diagnostic> {
    fn last(value: &str) -> &str {
        value.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(value)
    }
    let labels: Vec<String> = if are_distinct(values.iter().map(|item| last(&item.called))) {
        values.iter().map(|item| last(&item.called).to_owned()).collect()
    } else {
        values.iter().map(|item| item.called.replace(['/', '\\'], "-")).collect()
    };
    let are_distinct = are_distinct(labels.iter().map(String::as_str));
    let mut seen = BTreeSet::new();
    for (label, item) in labels.iter().zip(values) {
        // As much as is shown of it.
        if item.called.chars().take(SHOWN_CHARS).any(char::is_control) {
            let message = format!("`{}` cannot name an item of a `for-each`", shortened(&item.called).escape_debug());
            return Err(Diagnostic::new(message, span.clone()).saying("there are control characters in it"));
        }
        if let Err(error) = check_name(label) {
            let message = format!("`{}` cannot name an item of a `for-each`", shortened(&item.called));
            return Err(Diagnostic::new(message, span.clone()).saying(error.to_string()));
        }
        if !are_distinct && !seen.insert(label) {
            let message = format!("two items of this `for-each` have the same name `{label}`");
            return Err(Diagnostic::new(message, span.clone())
                .hint("an item is named by the last part of its path, or by the whole where that is not unique"));
        }
    }
    Ok(labels)
}
