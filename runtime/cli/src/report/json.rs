//! A run for programs: one event a line, as `docs/events.md` describes them.
//!
//! Owns: what is added to the executor's events. Does not know: their fields.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use wasmill_insight::{Reason, is_executed};
use wasmill_model::{Event, RunId};
use wasmill_storage::Storage;

use super::lines::Lines;
use super::print;
use crate::recorded::Past;

/// An event with why its job was executed.
#[derive(Serialize)]
struct Explained<'a> {
    #[serde(flatten)]
    event: &'a Event,
    why: Value,
}

/// Writes events, and to those of executed jobs why they were executed.
pub(crate) struct Json {
    storage: Arc<Storage>,
    plan: String,
    run: RunId,
    fresh: bool,
    /// What earlier runs know, once something was executed.
    past: Option<Past>,
    lines: Lines,
}

impl Json {
    pub(crate) fn new(storage: Arc<Storage>) -> Self {
        Self { storage, plan: String::new(), run: RunId(0), fresh: false, past: None, lines: Lines::new(print) }
    }

    pub(crate) fn on_event(&mut self, event: &Event) {
        if let Event::RunStarted { run, plan, setup, .. } = event {
            (self.run, self.fresh) = (*run, setup.fresh);
            plan.clone_into(&mut self.plan);
        }
        match (event, self.why(event)) {
            (Event::JobFinished(_), Some(why)) => {
                self.say(&Explained { event, why });
            }
            _ => self.say(event),
        }
    }

    fn say(&mut self, line: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_string(line) {
            line.push('\n');
            self.lines.add(&line);
        }
    }

    /// Writes what waits.
    pub(crate) fn finish(&self) {
        self.lines.flush();
    }

    fn why(&mut self, event: &Event) -> Option<Value> {
        let Event::JobFinished(report) = event else { return None };
        if !is_executed(report) {
            return None;
        }
        if self.past.is_none() {
            self.past = Some(Past::before(&self.storage, &self.plan, self.run).unwrap_or_default());
        }
        let reason = self.past.as_mut()?.reason(&self.storage, self.fresh, report);
        Some(explained(&reason))
    }
}

/// A reason for programs, with its one line for people.
pub(crate) fn explained(reason: &Reason) -> Value {
    let mut why = json!(reason);
    if let Value::Object(fields) = &mut why {
        fields.insert("said".to_owned(), json!(reason.to_string()));
    }
    why
}
