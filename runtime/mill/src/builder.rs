//! Plans that are made by a program.
//!
//! Owns: the words for it. Does not know: what a valid plan is; what is made is read as any plan in JSON, so that there is one
//! reference (`docs/plan.md`) and one set of checks.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use wasmill_executor::read_plan;
use wasmill_model::plan::{Diagnostic, Format, Plan};

/// What is made is no valid plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct PlanError(
    /// Each thing that is wrong with it, as a sentence.
    pub Vec<String>,
);

/// A diagnostic as one line.
pub(crate) fn said(diagnostic: &Diagnostic) -> String {
    let mut line = diagnostic.message.clone();
    let texts = diagnostic.labels.iter().map(|label| label.text.as_str()).chain(diagnostic.hint.as_deref());
    for text in texts.filter(|text| !text.is_empty()) {
        line = format!("{line} ({text})");
    }
    line
}

/// Makes a [`Plan`].
#[derive(Debug, Clone, Default)]
pub struct PlanBuilder {
    top: Map<String, Value>,
    modules: Vec<(String, Value)>,
    resources: Map<String, Value>,
    /// In the order in which they were given, which is that of the plan.
    jobs: Vec<Job>,
}

impl PlanBuilder {
    /// A plan without jobs.
    pub fn new(name: impl Into<String>) -> Self {
        let top = [("name".to_owned(), Value::from(name.into()))].into_iter().collect();
        Self { top, ..Self::default() }
    }

    /// A module in a `.wasm` or `.wat` file; the path is relative to the plan's folder.
    #[must_use]
    pub fn module_file(self, name: &str, path: impl Into<String>) -> Self {
        self.module(name, json!({ "file": path.into() }))
    }

    /// A module that is the program of a Rust crate.
    #[must_use]
    pub fn module_crate(self, name: &str, path: impl Into<String>) -> Self {
        self.module(name, json!({ "crate": path.into() }))
    }

    /// A module that is in the store already.
    #[must_use]
    pub fn module_stored(self, name: &str, digest: wasmill_model::Digest) -> Self {
        self.module(name, json!({ "digest": digest.to_string() }))
    }

    fn module(mut self, name: &str, source: Value) -> Self {
        self.modules.push((name.to_owned(), source));
        self
    }

    /// Something that there is only so much of.
    #[must_use]
    pub fn resource(mut self, name: &str, count: u64) -> Self {
        self.resources.insert(name.to_owned(), count.into());
        self
    }

    /// Bounds on the jobs that come to be during a run, and on how deep plans may be in one another that jobs yield.
    #[must_use]
    pub fn growth(mut self, jobs: u64, depth: u64) -> Self {
        self.top.insert("growth".to_owned(), json!({ "jobs": jobs, "depth": depth }));
        self
    }

    /// One more job.
    #[must_use]
    pub fn job(mut self, job: Job) -> Self {
        self.jobs.push(job);
        self
    }

    /// The plan.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn build(self) -> Result<Plan, PlanError> {
        read_plan(&self.to_json(), Format::Json).map_err(|wrong| PlanError(wrong.iter().map(said).collect()))
    }

    /// The plan as text, for a file that `wasmill run` takes; whether it is valid shows when it is read.
    pub fn to_json(&self) -> String {
        // Nothing of it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for PlanBuilder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut top = serializer.serialize_map(None)?;
        for (key, value) in &self.top {
            top.serialize_entry(key, value)?;
        }
        top.serialize_entry("modules", &InOrder(self.modules.iter().map(|(name, source)| (name, source))))?;
        top.serialize_entry("resources", &self.resources)?;
        top.serialize_entry("jobs", &InOrder(self.jobs.iter().map(|job| (&job.name, job))))?;
        top.end()
    }
}

/// A table whose order counts.
struct InOrder<I>(I);

impl<K: Serialize, V: Serialize, I: Iterator<Item = (K, V)> + Clone> Serialize for InOrder<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// What a job sees at some place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A host file or directory.
    Path(String),
    /// The host files that a glob matches.
    Glob(String),
    /// A file with this text.
    Text(String),
    /// What a job left, or a part of it.
    Output {
        /// The job, with the item in brackets for one of a `for-each`.
        job: String,
        /// A path in its output; none means all of it.
        path: Option<String>,
        /// Whether nothing is there where the job was omitted or left no such output. Else, this job is omitted, or fails.
        is_optional: bool,
    },
    /// What all items of a job left, as a directory with one entry for each.
    Outputs {
        /// The job.
        job: String,
        /// A path in each output; none means all of it.
        path: Option<String>,
    },
}

impl Input {
    /// A part of what a job left.
    pub fn output(job: impl Into<String>, path: impl Into<String>) -> Self {
        Self::Output { job: job.into(), path: Some(path.into()), is_optional: false }
    }

    /// All that a job left.
    pub fn all_of(job: impl Into<String>) -> Self {
        Self::Output { job: job.into(), path: None, is_optional: false }
    }

    fn value(self) -> Value {
        let mut value = match &self {
            Self::Path(path) => json!({ "path": path }),
            Self::Glob(glob) => json!({ "glob": glob }),
            Self::Text(text) => json!({ "text": text }),
            Self::Output { job, is_optional: true, .. } => json!({ "job": job, "optional": true }),
            Self::Output { job, .. } => json!({ "job": job }),
            Self::Outputs { job, .. } => json!({ "jobs": job }),
        };
        if let (Self::Output { path: Some(path), .. } | Self::Outputs { path: Some(path), .. }, Value::Object(keys)) =
            (self, &mut value)
        {
            keys.insert("path".to_owned(), path.into());
        }
        value
    }
}

/// What a job is repeated for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Items {
    /// These.
    List(Vec<String>),
    /// The host paths that a glob matches.
    Glob(String),
    /// The lines of a file.
    Lines(Input),
    /// The elements of a JSON list in a file.
    Json(Input),
    /// The names that are in a directory of an output.
    Entries(Input),
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Items {
    fn from(items: [T; N]) -> Self {
        Self::List(items.map(Into::into).into())
    }
}

impl From<Vec<String>> for Items {
    fn from(items: Vec<String>) -> Self {
        Self::List(items)
    }
}

/// A job of a plan. Texts are templates: `{NAME}` stands for the value of a `for-each` variable, `{{` and `}}` for braces.
#[derive(Debug, Clone)]
pub struct Job {
    name: String,
    keys: Map<String, Value>,
    /// The variables in the order in which they were given, which is that in the items' names.
    for_each: Vec<(String, Value)>,
}

impl Serialize for Job {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut keys = serializer.serialize_map(None)?;
        for (key, value) in &self.keys {
            keys.serialize_entry(key, value)?;
        }
        if !self.for_each.is_empty() {
            keys.serialize_entry(
                "for-each",
                &InOrder(self.for_each.iter().map(|(variable, items)| (variable, items))),
            )?;
        }
        keys.end()
    }
}

impl Job {
    /// A job that runs a module of the plan.
    pub fn new(name: impl Into<String>, module: impl Into<String>) -> Self {
        let keys = [("module".to_owned(), Value::from(module.into()))].into_iter().collect();
        Self { name: name.into(), keys, for_each: Vec::new() }
    }

    /// Any key of `docs/plan.md`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.keys.insert(key.to_owned(), value.into());
        self
    }

    fn within(mut self, table: &str, key: String, value: Value) -> Self {
        let entry = self.keys.entry(table).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(entries) = entry {
            entries.insert(key, value);
        }
        self
    }

    fn push(mut self, list: &str, value: Value) -> Self {
        let entry = self.keys.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = entry {
            values.push(value);
        }
        self
    }

    /// `argv[0]`; in a module made with the SDK, which of its jobs.
    #[must_use]
    pub fn entry(self, entry: impl Into<String>) -> Self {
        self.set("entry", entry.into())
    }

    /// One more argument.
    #[must_use]
    pub fn arg(self, arg: impl Into<String>) -> Self {
        self.push("args", Value::from(arg.into()))
    }

    /// An environment variable.
    #[must_use]
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.within("env", name.into(), Value::from(value.into()))
    }

    /// What the job sees at a path of its sandbox.
    #[must_use]
    pub fn input(self, at: impl Into<String>, input: Input) -> Self {
        self.within("in", at.into(), input.value())
    }

    /// The job's standard input: one file.
    #[must_use]
    pub fn stdin(self, input: Input) -> Self {
        self.set("stdin", input.value())
    }

    /// The job's standard input, as JSON; how an SDK job gets its argument. What is no JSON becomes `null`.
    #[must_use]
    pub fn argument(self, argument: &impl Serialize) -> Self {
        let value = serde_json::to_value(argument).unwrap_or_default();
        self.set("input", value)
    }

    /// One more output to keep; without any, all are.
    #[must_use]
    pub fn output(self, path: impl Into<String>) -> Self {
        self.push("out", Value::from(path.into()))
    }

    /// Copies a part of the output to the host, or all of it (`"."`).
    #[must_use]
    pub fn save(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.within("save", from.into(), Value::from(to.into()))
    }

    /// Repeats the job for every item; several variables give every combination.
    #[must_use]
    pub fn for_each(mut self, variable: impl Into<String>, items: impl Into<Items>) -> Self {
        // A file on the host is named by its path alone.
        let list = |input: Input| match input {
            Input::Path(path) => Value::from(path),
            other => other.value(),
        };
        let value = match items.into() {
            Items::List(items) => json!(items),
            Items::Glob(glob) => json!({ "glob": glob }),
            Items::Lines(input) => json!({ "lines": list(input) }),
            Items::Json(input) => json!({ "json": list(input) }),
            Items::Entries(input) => json!({ "entries": input.value() }),
        };
        self.for_each.push((variable.into(), value));
        self
    }

    /// A limit: `memory`, `output` (sizes such as `"64MiB"`), `fuel` (a number), `timeout` (such as `"10s"`).
    #[must_use]
    pub fn limit(self, what: &str, limit: impl Into<Value>) -> Self {
        self.within("limits", what.to_owned(), limit.into())
    }

    /// What the job takes of a resource of the plan while it runs.
    #[must_use]
    pub fn takes(self, resource: &str, count: u64) -> Self {
        self.within("resources", resource.to_owned(), count.into())
    }

    /// Of the jobs that could start, the one with the highest goes first.
    #[must_use]
    pub fn priority(self, priority: i64) -> Self {
        self.set("priority", priority)
    }

    /// How often it is tried again after a timeout, or where the host could not carry it out.
    #[must_use]
    pub fn retries(self, count: u32) -> Self {
        self.set("retries", count)
    }

    /// Executes the job only if a path is in the output of another one.
    #[must_use]
    pub fn when(self, job: impl Into<String>, path: impl Into<String>) -> Self {
        self.push("when", json!({ "job": job.into(), "path": path.into() }))
    }

    /// Of its items, wants only the first so many that succeed.
    #[must_use]
    pub fn race(self, first: u64) -> Self {
        self.set("race", json!({ "first": first }))
    }

    /// Where in its output the job may leave a plan, whose result then stands for its own.
    #[must_use]
    pub fn yields(self, path: impl Into<String>) -> Self {
        self.set("yields", path.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_read_as_any_plan() {
        let plan = PlanBuilder::new("made")
            .module_file("m", "m.wasm")
            .resource("licence", 2)
            .growth(10, 2)
            .job(Job::new("split", "m").output("parts").output("list").argument(&json!({ "n": 3 })))
            .job(
                Job::new("scan", "m")
                    .entry("scan")
                    .for_each("part", Items::Entries(Input::output("split", "parts")))
                    .for_each("kind", ["a", "b"])
                    .arg("{part}")
                    .arg("{kind}")
                    .env("KIND", "{kind}")
                    .input("/in/part", Input::output("split", "parts/{part}"))
                    .input("/in/text", Input::Text("{{}}".to_owned()))
                    .limit("memory", "1MiB")
                    .limit("fuel", 1_000)
                    .takes("licence", 1)
                    .priority(-3)
                    .retries(2)
                    .when("split", "list"),
            )
            .job(
                Job::new("all", "m")
                    .input("/in", Input::Outputs { job: "scan".to_owned(), path: None })
                    .save(".", "all"),
            )
            .job(Job::new("solve", "m").for_each("c", Items::Lines(Input::Path("list".to_owned()))).race(1))
            .job(Job::new("plan", "m").stdin(Input::output("split", "list")).yields("plan.json"))
            .build()
            .unwrap();
        assert_eq!(plan.jobs.len(), 5);
        assert_eq!(plan.jobs[1].args.len(), 2);
        assert_eq!(plan.jobs[1].place.resources["licence"], 1);
        assert_eq!(plan.jobs[1].limits.fuel, Some(1_000));
        assert_eq!(plan.jobs[3].race, Some(1));
    }

    #[test]
    fn what_is_wrong_is_said_all_at_once() {
        let job = Job::new("a", "nothing").input("/in", Input::all_of("b")).arg("{x}");
        let error = PlanBuilder::new("bad").job(job).build().unwrap_err();
        assert_eq!(error.0.len(), 3, "{error}");
        let twice = PlanBuilder::new("bad").job(Job::new("a", "m")).job(Job::new("a", "m")).build().unwrap_err();
        assert_eq!(twice.0, ["duplicate key `a` (it stands here first)"]);
    }
}
