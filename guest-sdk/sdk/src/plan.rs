//! Plans that a job returns: calls of other jobs, whose result stands for its own.
//!
//! Owns: calls that are put off, what they are given, and the plan that comes of them (`docs/plan.md`). Does not know: when they are
//! executed; the host does that, once the job has ended.
//!
//! As in Dask's `delayed`, a call of a job gives a value that is not there yet, and may be given to other calls. A job has no way to
//! wait for one: it returns the last of them.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use wasmill_abi::{IN_DIR, OUT_DIR, RESULT_FILE};

use crate::each::Each;
use crate::files::{Dir, File, Text};
use crate::root;

/// The result of a job that has not been executed: what `JOB_later(…)` gives. Clones are the same result, of one execution.
#[derive(Debug)]
pub struct Later<T> {
    source: Source,
    result: PhantomData<fn() -> T>,
}

/// What a call leaves, or a path of it.
#[derive(Debug, Clone)]
pub struct Source {
    call: Rc<Call>,
    path: Option<String>,
}

impl<T> Clone for Later<T> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), result: PhantomData }
    }
}

/// The results of many jobs, by name: what an `Each<T>` is made of.
#[derive(Debug)]
pub struct Many<T>(Vec<(String, Later<T>)>);

/// A file or a directory that a job leaves which has not been executed: [`Later::path`], [`Later::dir`].
#[derive(Debug, Clone)]
pub struct LaterPath(Source);

/// A file or a directory of each of many jobs, by name: [`Many::paths`], as one directory.
#[derive(Debug)]
pub struct ManyPaths(Vec<(String, Source)>);

/// What a job returns whose result is that of other jobs. The job has `yields = "result.json"` in the plan that has it.
#[derive(Debug)]
pub struct Plan<T>(Later<T>);

/// A call of a job.
#[derive(Debug)]
pub(crate) struct Call {
    /// The job's name.
    pub job: &'static str,
    /// Whether it returns a plan itself.
    pub is_plan: bool,
    /// What its parameters are given, by their names.
    pub given: Vec<(&'static str, Given)>,
}

/// What a parameter is given.
#[derive(Debug)]
pub enum Given {
    /// A value, or why it cannot be one.
    Value(Result<Value, String>),
    /// A file or a directory that the job itself sees, or has left in `/out`.
    Place(PathBuf),
    /// A text.
    Text(String),
    /// What another job returns.
    Result(Source),
    /// What several others return, each under its name.
    Results(Vec<(String, Source)>),
}

/// Something that a parameter of the type `T` can be given.
pub trait Give<T> {
    /// It, as it is written in a plan.
    fn give(self) -> Given;
}

impl<T: Serialize> Give<T> for T {
    fn give(self) -> Given {
        Given::Value(serde_json::to_value(self).map_err(|error| error.to_string()))
    }
}

impl<T> Give<T> for Later<T> {
    fn give(self) -> Given {
        Given::Result(self.source)
    }
}

impl<T> Give<Option<T>> for Later<T> {
    fn give(self) -> Given {
        Given::Result(self.source)
    }
}

impl<T> Give<Each<T>> for Many<T> {
    fn give(self) -> Given {
        Given::Results(self.0.into_iter().map(|(name, later)| (name, later.source)).collect())
    }
}

macro_rules! later_places {
    ($($to:ty),*) => {
        $(impl Give<$to> for LaterPath {
            fn give(self) -> Given {
                Given::Result(self.0)
            }
        })*
    };
}

later_places! { File, Dir, Text, Option<File>, Option<Dir>, Option<Text> }

impl Give<Dir> for ManyPaths {
    fn give(self) -> Given {
        if self.0.is_empty() {
            return Given::Value(Err("there is nothing to make a directory of".to_owned()));
        }
        Given::Results(self.0)
    }
}

macro_rules! places {
    ($($from:ty as $to:ty),*) => {
        $(impl Give<$to> for $from {
            fn give(self) -> Given {
                Given::Place(self.path().to_owned())
            }
        })*
    };
}

places! { File as File, File as Text, Dir as Dir, File as Option<File>, File as Option<Text>, Dir as Option<Dir> }

macro_rules! texts {
    ($($from:ty),*) => {
        $(impl Give<Text> for $from {
            fn give(self) -> Given {
                Given::Text(self.to_string())
            }
        }

        impl Give<Option<Text>> for $from {
            fn give(self) -> Given {
                Given::Text(self.to_string())
            }
        })*
    };
}

texts! { Text, String, &str }

/// What a parameter is given that may be left out: `None` of a type that cannot be written.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl<T> Give<Option<T>> for Nothing {
    fn give(self) -> Given {
        Given::Value(Ok(Value::Null))
    }
}

impl<T> Give<Option<Each<T>>> for Many<T> {
    fn give(self) -> Given {
        Give::<Each<T>>::give(self)
    }
}

impl<T> Later<T> {
    /// A call that is put off. `#[job]` writes a function for each job that makes one: `JOB_later(…)`.
    #[doc(hidden)]
    pub fn new(job: &'static str, is_plan: bool, given: Vec<(&'static str, Given)>) -> Self {
        let call = Rc::new(Call { job, is_plan, given });
        Self { source: Source { call, path: None }, result: PhantomData }
    }

    /// One of several results. `#[derive(Outputs)]` writes a method for each that calls this.
    #[doc(hidden)]
    pub fn output<O>(&self, name: &'static str) -> Later<O> {
        Later { source: self.at(name), result: PhantomData }
    }

    /// A file or a directory that the job leaves below `/out`, by its path there.
    pub fn path(&self, path: impl Into<String>) -> LaterPath {
        LaterPath(self.at(path))
    }

    /// All that the job leaves, as a directory.
    pub fn dir(&self) -> LaterPath {
        LaterPath(self.source.clone())
    }

    fn at(&self, path: impl Into<String>) -> Source {
        let mut whole = match &self.source.path {
            Some(output) => format!("{output}/"),
            None => String::new(),
        };
        whole.push_str(&path.into());
        Source { call: Rc::clone(&self.source.call), path: Some(whole) }
    }
}

impl<T> From<Later<T>> for Plan<T> {
    fn from(result: Later<T>) -> Self {
        Self(result)
    }
}

impl Plan<()> {
    /// A call for each of some values, with the names `1`, `2` and so on: `Plan::map(files, count_later).then(total_later)`.
    pub fn map<I, T>(items: impl IntoIterator<Item = I>, call: impl Fn(I) -> Later<T>) -> Many<T> {
        let calls: Vec<_> = items.into_iter().map(call).collect();
        // Names are sorted as texts.
        let width = calls.len().to_string().len();
        calls.into_iter().enumerate().map(|(index, later)| (format!("{:0width$}", index + 1), later)).collect()
    }
}

impl<T, N: Into<String>> FromIterator<(N, Later<T>)> for Many<T> {
    fn from_iter<I: IntoIterator<Item = (N, Later<T>)>>(calls: I) -> Self {
        Self(calls.into_iter().map(|(name, later)| (name.into(), later)).collect())
    }
}

impl<T> Many<T> {
    /// The file or the directory at a path of each, as a directory in which each has its name.
    pub fn paths(&self, path: &str) -> ManyPaths {
        ManyPaths(self.0.iter().map(|(name, later)| (name.clone(), later.at(path))).collect())
    }

    /// The plan whose result is that of a call which is given all of these.
    pub fn then<R>(self, call: impl FnOnce(Self) -> Later<R>) -> Plan<R> {
        call(self).into()
    }
}

impl Given {
    /// The calls in it, with the name that each has there.
    fn calls(&self) -> Box<dyn Iterator<Item = (&str, &Rc<Call>)> + '_> {
        match self {
            Given::Result(source) => Box::new(std::iter::once(("", &source.call))),
            Given::Results(all) => Box::new(all.iter().map(|(name, source)| (name.as_str(), &source.call))),
            _ => Box::new(std::iter::empty()),
        }
    }
}

impl Call {
    fn calls(&self) -> impl Iterator<Item = (&str, &Rc<Call>)> {
        self.given.iter().flat_map(|(_, given)| given.calls())
    }
}

/// Calls may be given to each other a million deep; the stack is not.
impl Drop for Call {
    fn drop(&mut self) {
        fn take(call: &mut Call, into: &mut Vec<Rc<Call>>) {
            for (_, given) in call.given.drain(..) {
                match given {
                    Given::Result(source) => into.push(source.call),
                    Given::Results(all) => into.extend(all.into_iter().map(|(_, source)| source.call)),
                    _ => {}
                }
            }
        }
        let mut left = Vec::new();
        take(self, &mut left);
        while let Some(call) = left.pop() {
            if let Some(mut call) = Rc::into_inner(call) {
                take(&mut call, &mut left);
            }
        }
    }
}

/// As the JSON of a plan that a job yields. A call that several others are given is in it once.
impl<T> Serialize for Plan<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut jobs = Jobs::default();
        jobs.add_all(&self.0.source.call).map_err(S::Error::custom)?;
        let result = jobs.source(&self.0.source).map_err(S::Error::custom)?;
        let mut plan = serializer.serialize_map(Some(2))?;
        plan.serialize_entry("jobs", &jobs.written)?;
        plan.serialize_entry("result", &result)?;
        plan.end()
    }
}

/// Most bytes of a name, of a job or of a result.
const NAME_BYTES_MAX: usize = 128;
const RESULT_NAME_BYTES_MAX: usize = 255;

/// The jobs of a plan, as they are written.
#[derive(Default)]
struct Jobs {
    written: Map<String, Value>,
    /// The name of each call that was written, by where it is.
    names: BTreeMap<*const Call, String>,
    /// How many jobs have a name that begins so.
    taken: BTreeMap<String, u64>,
}

impl Jobs {
    /// Writes a call after those that it is given.
    fn add_all(&mut self, last: &Rc<Call>) -> Result<(), String> {
        // Each with the calls that it is given and that were not looked at yet.
        let mut open = vec![("", last, last.calls())];
        while let Some((item, call, given)) = open.last_mut() {
            match given.find(|(_, other)| !self.names.contains_key(&Rc::as_ptr(other))) {
                Some((item, other)) => open.push((item, other, other.calls())),
                None => {
                    let (item, call) = (*item, *call);
                    open.pop();
                    self.add(call, item)?;
                }
            }
        }
        Ok(())
    }

    /// What a call leaves, as an input.
    fn source(&self, source: &Source) -> Result<Value, String> {
        let job = literal(self.name_of(&source.call)?.into());
        Ok(match &source.path {
            Some(path) => json!({ "job": job, "path": literal(path.as_str().into()) }),
            None => json!({ "job": job }),
        })
    }

    /// The name of a call that was written.
    fn name_of(&self, call: &Rc<Call>) -> Result<String, String> {
        self.names.get(&Rc::as_ptr(call)).cloned().ok_or_else(|| format!("the job `{}` is given to itself", call.job))
    }

    fn add(&mut self, call: &Rc<Call>, item: &str) -> Result<(), String> {
        if self.names.contains_key(&Rc::as_ptr(call)) {
            return Ok(());
        }
        let (mut mounts, mut input) = (Map::new(), Map::new());
        for (parameter, given) in &call.given {
            let at = format!("{IN_DIR}/{parameter}");
            match given {
                // A plan has whole numbers of 64 bits with a sign.
                Given::Value(Ok(value)) if has_large_number(value) => {
                    mounts.insert(at, json!({ "text": literal(value.to_string().into()) }));
                }
                Given::Value(Ok(value)) => drop(input.insert((*parameter).to_owned(), literal(value.clone()))),
                Given::Value(Err(wrong)) => {
                    return Err(format!("`{parameter}` of the job `{}` cannot be written: {wrong}", call.job));
                }
                Given::Text(text) => drop(mounts.insert(at, json!({ "text": literal(text.as_str().into()) }))),
                Given::Place(path) => drop(mounts.insert(at, place(path)?)),
                Given::Result(other) => {
                    mounts.insert(at, self.source(other)?);
                }
                // No results at all, as a value: a directory cannot be mounted that nobody has left.
                Given::Results(others) if others.is_empty() => drop(input.insert((*parameter).to_owned(), json!({}))),
                Given::Results(others) => {
                    for (name, other) in others {
                        let is_bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
                        if is_bad || name.len() > RESULT_NAME_BYTES_MAX {
                            return Err(format!("`{name}` cannot be the name of a result"));
                        }
                        if mounts.insert(format!("{at}/{name}"), self.source(other)?).is_some() {
                            return Err(format!("two results have the name `{name}`"));
                        }
                    }
                }
            }
        }
        let mut job = Map::from_iter([("entry".to_owned(), call.job.into())]);
        if !mounts.is_empty() {
            job.insert("in".to_owned(), mounts.into());
        }
        if !input.is_empty() {
            job.insert("input".to_owned(), input.into());
        }
        if call.is_plan {
            job.insert("yields".to_owned(), RESULT_FILE.into());
        }
        let name = self.name(call.job, item);
        self.names.insert(Rc::as_ptr(call), name.clone());
        self.written.insert(name, job.into());
        Ok(())
    }

    /// A name that no other job has: that of the job's function, and of what it is for.
    fn name(&mut self, job: &str, item: &str) -> String {
        // Names of jobs have no brackets, braces and slashes, and are not long. There is room for a number behind.
        let mut base = job.to_owned();
        if !item.is_empty() {
            base.push('-');
            base.extend(item.chars().filter(|char| char.is_alphanumeric() || "-_.".contains(*char)));
        }
        base.truncate(cut(&base, NAME_BYTES_MAX - 24));
        loop {
            let number = self.taken.entry(base.clone()).or_default();
            *number += 1;
            let name = if *number == 1 { base.clone() } else { format!("{base}-{number}") };
            if !self.written.contains_key(&name) {
                return name;
            }
        }
    }
}

/// Where a text can be cut so that it has at most so many bytes.
fn cut(text: &str, bytes_max: usize) -> usize {
    (0..=bytes_max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn has_large_number(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_u64() && !number.is_i64(),
        Value::Array(values) => values.iter().any(has_large_number),
        Value::Object(fields) => fields.values().any(has_large_number),
        _ => false,
    }
}

/// A place that the job sees, as its plan names it.
fn place(path: &Path) -> Result<Value, String> {
    let below_root = root::folder().and_then(|root| Some(Path::new("/").join(path.strip_prefix(root).ok()?)));
    let path = below_root.as_deref().unwrap_or(path);
    let shown = path.to_string_lossy();
    match path.strip_prefix(OUT_DIR) {
        Ok(below) if below.as_os_str().is_empty() => Ok(json!({ "output": "." })),
        Ok(below) => Ok(json!({ "output": literal(below.to_string_lossy().into()) })),
        Err(_) if path.is_absolute() && !path.starts_with(wasmill_abi::TMP_DIR) => Ok(json!({ "input": shown })),
        Err(_) => Err(format!("`{shown}` cannot be given to another job: it is neither an input nor below {OUT_DIR}")),
    }
}

/// A value in which no brace stands for a variable.
fn literal(value: Value) -> Value {
    match value {
        Value::String(text) => text.replace('{', "{{").replace('}', "}}").into(),
        Value::Array(values) => values.into_iter().map(literal).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, literal(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<T>(job: &'static str, given: Vec<(&'static str, Given)>) -> Later<T> {
        Later::new(job, false, given)
    }

    #[test]
    fn a_call_that_two_are_given_is_written_once() {
        let read: Later<String> = call("read", vec![("file", Give::<File>::give(File::new("/in/texts/a")))]);
        let left: Later<u64> = call("left", vec![("text", Give::<String>::give(read.clone()))]);
        let right: Later<u64> = call("right", vec![("text", Give::<String>::give(read)), ("by", Give::<u64>::give(2))]);
        let both: Many<u64> = [("left one", left), ("right", right)].into_iter().collect();
        let plan = both.then(|both| call::<u64>("sum", vec![("all", Give::<Each<u64>>::give(both))]));
        let written = serde_json::to_value(&plan).expect("a plan");
        let expected = json!({
            "jobs": {
                "read": { "entry": "read", "in": { "/in/file": { "input": "/in/texts/a" } } },
                "left-leftone": { "entry": "left", "in": { "/in/text": { "job": "read" } } },
                "right-right": { "entry": "right", "in": { "/in/text": { "job": "read" } }, "input": { "by": 2 } },
                "sum": {
                    "entry": "sum",
                    "in": { "/in/all/left one": { "job": "left-leftone" }, "/in/all/right": { "job": "right-right" } },
                },
            },
            "result": { "job": "sum" },
        });
        assert_eq!(written, expected);
    }

    #[test]
    fn files_of_calls_are_given_and_nothing_of_nobody() {
        let cut: Later<u8> = call("cut", Vec::new());
        let given = vec![
            ("file", Give::<File>::give(cut.path("a {b}"))),
            ("dir", Give::<Dir>::give(cut.dir())),
            ("one", Give::<Text>::give(cut.output::<u8>("part").path("text"))),
            ("all", Give::<Dir>::give([("x", cut)].into_iter().collect::<Many<u8>>().paths("index"))),
            ("none", Give::<Each<u8>>::give(Many::<u8>(Vec::new()))),
        ];
        let plan: Plan<u8> = call("merge", given).into();
        let written = serde_json::to_value(&plan).expect("a plan");
        let expected = json!({
            "/in/file": { "job": "cut", "path": "a {{b}}" },
            "/in/dir": { "job": "cut" },
            "/in/one": { "job": "cut", "path": "part/text" },
            "/in/all/x": { "job": "cut", "path": "index" },
        });
        assert_eq!(written["jobs"]["merge"]["in"], expected);
        assert_eq!(written["jobs"]["merge"]["input"], json!({ "none": {} }));
    }

    #[test]
    fn many_calls_are_numbered_so_that_names_sort_as_numbers_do() {
        let many = Plan::map(0..12, |number: u64| call::<u64>("count", vec![("n", Give::<u64>::give(number))]));
        let plan = many.then(|all| call::<u64>("sum", vec![("all", Give::<Each<u64>>::give(all))]));
        let written = serde_json::to_value(&plan).expect("a plan");
        let mounts: Vec<_> = written["jobs"]["sum"]["in"].as_object().expect("mounts").keys().cloned().collect();
        assert_eq!((mounts.len(), mounts[0].as_str(), mounts[11].as_str()), (12, "/in/all/01", "/in/all/12"));
        assert_eq!(written["jobs"]["count-03"]["input"]["n"], 2);
    }

    #[test]
    fn plans_may_be_deep_and_wide() {
        // In a stack as a guest has it.
        let deep = || {
            let start: Later<u64> = call("add", vec![("left", Give::<u64>::give(0))]);
            let chain = (0..100_000).fold(start, |sum, _| call("add", vec![("left", Give::<u64>::give(sum))]));
            let written = serde_json::to_value(Plan::from(chain)).expect("a plan");
            assert_eq!(written["result"]["job"], "add-100001");
        };
        std::thread::Builder::new().stack_size(256 << 10).spawn(deep).expect("a thread").join().expect("no overflow");
    }

    #[test]
    fn names_fit_and_numbers_are_whole() {
        let long: Many<u64> = [("语".repeat(60), call("count", Vec::new()))].into_iter().collect();
        let plan = long.then(|all| {
            call::<u64>("sum", vec![("all", Give::<Each<u64>>::give(all)), ("of", Give::<u64>::give(u64::MAX))])
        });
        let written = serde_json::to_value(&plan).expect("a plan");
        let jobs = written["jobs"].as_object().expect("jobs");
        assert!(jobs.keys().all(|name| name.len() <= NAME_BYTES_MAX), "{jobs:?}");
        assert_eq!(jobs["sum"]["in"]["/in/of"]["text"], "18446744073709551615");
        let nothing = Plan::from(call::<u8>("job", vec![("it", Give::<Option<File>>::give(Nothing))]));
        assert_eq!(serde_json::to_value(&nothing).expect("a plan")["jobs"]["job"]["input"]["it"], Value::Null);
    }

    #[test]
    fn what_cannot_be_given_is_an_error() {
        let plan = |given| serde_json::to_value(Plan::from(call::<u8>("job", vec![("it", given)])));
        let refused = |given| plan(given).expect_err("refused").to_string();
        assert!(refused(Give::<File>::give(File::new("/tmp/x"))).contains("neither an input nor below /out"));
        assert!(refused(Give::<File>::give(File::new("x"))).contains("neither an input nor below /out"));
        let keys: BTreeMap<(u8, u8), u8> = [((1, 2), 3)].into();
        assert!(
            refused(Give::<BTreeMap<(u8, u8), u8>>::give(keys)).contains("`it` of the job `job` cannot be written")
        );
        assert!(refused(Give::<Dir>::give(Many::<u8>(Vec::new()).paths("a"))).contains("make a directory of"));
        let twice: Many<u8> = [("a", call("one", Vec::new())), ("a", call("two", Vec::new()))].into_iter().collect();
        assert!(refused(Give::<Each<u8>>::give(twice)).contains("two results have the name `a`"));
        assert_eq!(plan(Give::<Text>::give("{x}")).expect("a plan")["jobs"]["job"]["in"]["/in/it"]["text"], "{{x}}");
        assert_eq!(
            plan(Give::<File>::give(File::new("/out/a/b"))).expect("a plan")["jobs"]["job"]["in"]["/in/it"]["output"],
            "a/b"
        );
    }
}
