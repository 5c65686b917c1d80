//! Why a job was executed: what of its action is different from the last time.
//!
//! Owns: comparing an action with an earlier one, field by field and file by file. Does not know: which run the earlier one
//! is of, or how it is found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use wasmill_model::port::BlobStore;
use wasmill_model::{Action, BlobRef, Floats, Input, JobReport, Mount, MountMode, RunId};

use crate::text::size;
use crate::trees::{FirstFile, first_file};

/// The last time that a job of that name had an action.
#[derive(Debug, Clone)]
pub struct Earlier<'a> {
    /// In which run.
    pub run: RunId,
    /// What became of it.
    pub report: &'a JobReport,
    /// What it was asked to do, if that is still in the store.
    pub action: Option<Action>,
}

/// Why a job was executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Reason {
    /// No earlier run had a job of that name.
    New,
    /// What it is asked to do has changed.
    Changed {
        /// In what; at least one.
        changes: Vec<Change>,
    },
    /// It failed the last time, and it was asked for that this be tried again.
    Failed {
        /// How it failed.
        how: String,
    },
    /// It came to something the last time that is never recorded, as another machine may come to something else.
    Unrecorded {
        /// To what.
        how: String,
    },
    /// Its result was recorded and is not in the store any more.
    Evicted,
    /// Recorded results were to be left aside.
    Fresh,
    /// What it is asked to do has changed, and what it was asked to do before is not in the store any more.
    Forgotten,
}

/// A field of an action that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which: `module`, `input /in/text`, `limits memory`.
    pub field: String,
    /// What it was; none if it was not there.
    pub before: Option<String>,
    /// What it is; none if it is not there any more.
    pub after: Option<String>,
    /// Of two directories, the first file that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FirstFile>,
    /// The trees or files before and after, where it is an input.
    #[serde(skip)]
    pub content: Option<(Option<Mount>, Option<Mount>)>,
}

/// Says why a job was executed. `action` is what it was asked to do, if that is in the store, which `blobs` is; `fresh` is what
/// the run was asked for.
pub fn explain(
    report: &JobReport,
    action: Option<&Action>,
    earlier: Option<&Earlier<'_>>,
    fresh: bool,
    blobs: &dyn BlobStore,
) -> Reason {
    let Some(earlier) = earlier else { return Reason::New };
    if earlier.report.key != report.key {
        return match (&earlier.action, action) {
            (Some(before), Some(after)) => Reason::Changed { changes: changes(before, after, blobs) },
            _ => Reason::Forgotten,
        };
    }
    let how = || match &earlier.report.result {
        Some(result) => result.outcome.to_string(),
        None => earlier.report.error.first().cloned().unwrap_or_else(|| "could not be carried out".to_owned()),
    };
    let outcome = earlier.report.result.as_ref().map(|result| &result.outcome);
    match outcome {
        _ if fresh => Reason::Fresh,
        Some(outcome) if !outcome.is_deterministic() => Reason::Unrecorded { how: how() },
        Some(outcome) if !outcome.is_success() => Reason::Failed { how: how() },
        None => Reason::Unrecorded { how: how() },
        Some(_) => Reason::Evicted,
    }
}

impl fmt::Display for Reason {
    /// In one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::New => f.write_str("new job"),
            Reason::Changed { changes } => match changes.as_slice() {
                [] => f.write_str("its action has another form"),
                [one] => one.fmt(f),
                [first, others @ ..] => write!(f, "{first}, and {} more", others.len()),
            },
            Reason::Failed { how } => write!(f, "failed last time: {how}"),
            Reason::Unrecorded { how } => write!(f, "not recorded last time: {how}"),
            Reason::Evicted => f.write_str("evicted: its result is not in the store any more"),
            Reason::Fresh => f.write_str("asked for with --fresh"),
            Reason::Forgotten => f.write_str("changed, and its earlier action is not in the store any more"),
        }
    }
}

impl Reason {
    /// The reason without what differs from job to job, so that jobs can be counted by it.
    pub fn family(&self) -> String {
        match self {
            Reason::Changed { changes } => match changes.as_slice() {
                [] => self.to_string(),
                [first, ..] => format!("{} changed", first.field),
            },
            Reason::Failed { .. } => "failed last time".to_owned(),
            Reason::Unrecorded { .. } => "not recorded last time".to_owned(),
            Reason::Evicted => "evicted".to_owned(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, before, after, file, .. } = self;
        match (before, after) {
            _ if field == "module" => f.write_str("module changed"),
            _ if let Some(FirstFile { path, more }) = file => {
                write!(f, "{field} changed: {path}{}", if *more { " and more" } else { "" })
            }
            (Some(before), Some(after)) => write!(f, "{field} changed: {} → {}", short(before), short(after)),
            (Some(_), None) => write!(f, "{field} is gone"),
            (None, _) => write!(f, "{field} is new"),
        }
    }
}

/// A digest as people name it, or a text that is not too long.
pub(crate) fn short(text: &str) -> String {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = if is_digest { 8 } else { 40 };
    if text.chars().count() <= shown { text.to_owned() } else { text.chars().take(shown).collect::<String>() + "…" }
}

/// What of an action has changed, what matters most first.
pub(crate) fn changes(before: &Action, after: &Action, blobs: &dyn BlobStore) -> Vec<Change> {
    let mut all = Changes::default();
    all.add("module", Some(before.module.to_string()), Some(after.module.to_string()));
    for at in before.mounts.keys().chain(after.mounts.keys().filter(|at| !before.mounts.contains_key(*at))) {
        all.add_input(at.as_str(), before.mounts.get(at), after.mounts.get(at), blobs);
    }
    all.add_stdin(before.stdin, after.stdin, blobs);
    all.add("entry", before.args.first().cloned(), after.args.first().cloned());
    let rest = |action: &Action| Some(action.args.get(1..).unwrap_or_default().join(" "));
    all.add("args", rest(before), rest(after));
    for name in before.env.keys().chain(after.env.keys().filter(|name| !before.env.contains_key(*name))) {
        all.add(&format!("env {name}"), before.env.get(name).cloned(), after.env.get(name).cloned());
    }
    let outputs = |action: &Action| {
        let outputs: Vec<String> = action.outputs.iter().map(ToString::to_string).collect();
        Some(if outputs.is_empty() { "everything".to_owned() } else { outputs.join(", ") })
    };
    all.add("out", outputs(before), outputs(after));
    let (old, new) = (&before.limits, &after.limits);
    all.add("limits memory", Some(size(old.memory_bytes)), Some(size(new.memory_bytes)));
    all.add("limits output", Some(size(old.output_bytes)), Some(size(new.output_bytes)));
    all.add("limits fuel", old.fuel.map(|fuel| fuel.to_string()), new.fuel.map(|fuel| fuel.to_string()));
    all.add("seed", Some(before.seed.to_string()), Some(after.seed.to_string()));
    let floats = |action: &Action| match &action.floats {
        Floats::Canonical => Some("canonical".to_owned()),
        Floats::Native { architecture } => Some(format!("native ({architecture})")),
    };
    all.add("floats", floats(before), floats(after));
    all.add("fuel schedule", Some(before.fuel_schedule.to_string()), Some(after.fuel_schedule.to_string()));
    all.add("abi", Some(before.abi.to_string()), Some(after.abi.to_string()));
    all.0
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    /// Notes a field if it has changed, and says whether it has.
    fn add(&mut self, field: &str, before: Option<String>, after: Option<String>) -> bool {
        let has_changed = before != after;
        if has_changed {
            self.0.push(Change { field: field.to_owned(), before, after, file: None, content: None });
        }
        has_changed
    }

    fn with_content(&mut self, before: Option<Mount>, after: Option<Mount>, blobs: &dyn BlobStore) {
        let Some(change) = self.0.last_mut() else { return };
        if let (Some(Mount::Directory { blob: before }), Some(Mount::Directory { blob: after })) = (&before, &after) {
            change.file = first_file(blobs, *before, *after, "", 0);
        }
        change.content = Some((before, after));
    }

    /// What a job has on its standard input is mostly the plan's `input`: then its values are looked at one by one.
    fn add_stdin(&mut self, before: BlobRef, after: BlobRef, blobs: &dyn BlobStore) {
        if before == after {
            return;
        }
        let values = |blob: BlobRef| Values::of(blob, blobs);
        if let (Some(old), Some(new)) = (values(before), values(after)) {
            let known = self.0.len();
            for name in old.0.keys().chain(new.0.keys().filter(|name| !old.0.contains_key(*name))) {
                self.add(&format!("value {name}"), old.0.get(name).cloned(), new.0.get(name).cloned());
            }
            if self.0.len() > known {
                return;
            }
        }
        let file = |blob: BlobRef| (blob != BlobRef::EMPTY).then_some(Mount::File { blob, is_executable: false });
        let (before, after) = (file(before), file(after));
        if self.add("stdin", before.as_ref().map(digest_of), after.as_ref().map(digest_of)) {
            self.with_content(before, after, blobs);
        }
    }

    fn add_input(&mut self, at: &str, before: Option<&Input>, after: Option<&Input>, blobs: &dyn BlobStore) {
        let field = format!("input {at}");
        let said = |input: Option<&Input>| input.map(|input| digest_of(&input.content));
        let mode = |input: Option<&Input>| {
            input.map(|input| if input.mode == MountMode::CopyOnWrite { "rw" } else { "ro" }.to_owned())
        };
        let kind = |input: Option<&Input>| match &input?.content {
            Mount::File { is_executable: true, .. } => Some("executable file".to_owned()),
            Mount::File { .. } => Some("file".to_owned()),
            Mount::Directory { .. } => Some("directory".to_owned()),
        };
        if self.add(&field, said(before), said(after)) {
            let content = |input: Option<&Input>| input.map(|input| input.content.clone());
            self.with_content(content(before), content(after), blobs);
        } else if !self.add(&format!("{field} (mode)"), mode(before), mode(after)) {
            self.add(&format!("{field} (kind)"), kind(before), kind(after));
        }
    }
}

/// A larger standard input is not looked into.
const VALUES_BYTES_MAX: u64 = 64 << 10;

/// The values of a JSON object by their paths, each in JSON: `options.depth` is `3`.
struct Values(BTreeMap<String, String>);

impl Values {
    /// Of a blob; none if it is no such object, or not in the store. What is not there at all is an object without values.
    fn of(blob: BlobRef, blobs: &dyn BlobStore) -> Option<Self> {
        if blob == BlobRef::EMPTY {
            return Some(Self(BTreeMap::new()));
        }
        if blob.size_bytes > VALUES_BYTES_MAX {
            return None;
        }
        let object: Value = serde_json::from_slice(&blobs.get(&blob).ok()?).ok()?;
        let mut values = Self(BTreeMap::new());
        object.as_object()?.iter().for_each(|(name, value)| values.add(name.clone(), value));
        Some(values)
    }

    fn add(&mut self, path: String, value: &Value) {
        match value.as_object().filter(|fields| !fields.is_empty()) {
            // The parser bounds how deep this goes.
            Some(fields) => fields.iter().for_each(|(name, value)| self.add(format!("{path}.{name}"), value)),
            None => drop(self.0.insert(path, value.to_string())),
        }
    }
}

fn digest_of(mount: &Mount) -> String {
    let (Mount::File { blob, .. } | Mount::Directory { blob }) = mount;
    blob.digest.to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wasmill_model::port::StoreError;
    use wasmill_model::{
        ActionKey, ActionResult, Digest, Directory, DirectoryNode, FileNode, GuestPath, JobStatus, Limits, Outcome,
    };

    use super::*;
    use crate::anatomy::tests::job;

    /// What is in it, and nothing else.
    #[derive(Default)]
    struct Blobs(BTreeMap<Digest, Vec<u8>>);

    impl Blobs {
        fn add(&mut self, bytes: &[u8]) -> BlobRef {
            self.0.insert(Digest::of(bytes), bytes.to_vec());
            BlobRef::of(bytes)
        }
    }

    impl BlobStore for Blobs {
        fn get(&self, blob: &BlobRef) -> Result<bytes::Bytes, StoreError> {
            self.0.get(&blob.digest).map(|bytes| bytes.clone().into()).ok_or(StoreError::Missing(blob.digest))
        }
        fn find(&self, _digest: &Digest) -> Result<Option<BlobRef>, StoreError> {
            Ok(None)
        }
        fn put(&self, bytes: bytes::Bytes) -> Result<BlobRef, StoreError> {
            Err(StoreError::Missing(Digest::of(&bytes)))
        }
        fn put_reader(&self, _reader: &mut dyn std::io::Read) -> Result<BlobRef, StoreError> {
            Err(StoreError::Missing(Digest::EMPTY))
        }
    }

    fn action(change: impl Fn(&mut Action)) -> Action {
        let mount = Mount::File { blob: BlobRef::of(b"text"), is_executable: false };
        let mut action = Action {
            abi: 1,
            module: Digest::of(b"module"),
            args: vec!["job".to_owned(), "-v".to_owned()],
            env: BTreeMap::new(),
            stdin: BlobRef::EMPTY,
            mounts: BTreeMap::from([(GuestPath::new("/in/text").expect("a path"), mount.into())]),
            outputs: BTreeSet::new(),
            seed: 0,
            limits: Limits { memory_bytes: 64 << 20, fuel: None, output_bytes: 1 << 20 },
            fuel_schedule: 0,
            floats: Floats::Canonical,
        };
        change(&mut action);
        action
    }

    fn reason(change: impl Fn(&mut Action)) -> String {
        reason_between(&Blobs::default(), action(|_| {}), &action(change))
    }

    fn reason_between(blobs: &Blobs, before: Action, after: &Action) -> String {
        let mut report = job(0, "a", &[], 0, 1);
        report.key = Some(after.key());
        let mut was = job(0, "a", &[], 0, 1);
        was.key = Some(before.key());
        let earlier = Earlier { run: RunId(1), report: &was, action: Some(before) };
        explain(&report, Some(after), Some(&earlier), false, blobs).to_string()
    }

    #[test]
    fn the_values_that_changed_are_said() {
        let mut blobs = Blobs::default();
        let mut between = |before: &str, after: &str| {
            let stdin = [before, after].map(|text| blobs.add(text.as_bytes()));
            let [before, after] = stdin.map(|stdin| action(|action| action.stdin = stdin));
            reason_between(&blobs, before, &after)
        };
        assert_eq!(between(r#"{"at":1,"b":"x"}"#, r#"{"at":2,"b":"x"}"#), "value at changed: 1 → 2");
        assert_eq!(between(r#"{"o":{"at":"x"}}"#, r#"{"o":{"at":"y"}}"#), r#"value o.at changed: "x" → "y""#);
        assert_eq!(between(r#"{"a":[1]}"#, r#"{"a":[1],"b":{}}"#), "value b is new");
        assert_eq!(between("", r#"{"a":1,"b":2}"#), "value a is new, and 1 more");
        let stdin = |text: &str| text.starts_with("stdin changed: ");
        assert!(stdin(&between("a text", r#"{"a":1}"#)));
        assert!(stdin(&between(r#"{"a":1}"#, r#"{"a": 1}"#)), "other bytes, and the same values");
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000));
        assert!(stdin(&between(r#"{"a":1}"#, &large)));
    }

    #[test]
    fn the_file_of_a_directory_that_changed_is_said() {
        let mut blobs = Blobs::default();
        let mut tree = |text: &str, others: &[&str], is_kept: bool| {
            let file = |name: &str, text: &str| FileNode {
                name: name.to_owned(),
                blob: BlobRef::of(text.as_bytes()),
                is_executable: false,
            };
            let below = Directory { files: vec![file("lib.rs", text)], ..Directory::default() }.encode();
            let below = if is_kept { blobs.add(&below) } else { BlobRef::of(&below) };
            let files = others.iter().map(|name| file(name, "")).collect();
            let directories = vec![DirectoryNode { name: "src".to_owned(), blob: below }];
            let blob = blobs.add(&Directory { files, directories, ..Directory::default() }.encode());
            let content = Mount::Directory { blob };
            action(|action| action.mounts.values_mut().for_each(|input| input.content = content.clone()))
        };
        let (one, other, more) = (tree("a", &["a"], true), tree("b", &["a"], true), tree("b", &["a", "z"], true));
        let unknown = tree("c", &["a"], false);
        assert_eq!(reason_between(&blobs, one.clone(), &other), "input /in/text changed: src/lib.rs");
        assert_eq!(reason_between(&blobs, one.clone(), &more), "input /in/text changed: src/lib.rs and more");
        assert_eq!(reason_between(&blobs, other, &more), "input /in/text changed: z");
        let digests = reason_between(&blobs, one, &unknown);
        assert!(digests.contains("… → "), "{digests}");
    }

    #[test]
    fn each_field_has_its_words() {
        assert_eq!(reason(|action| action.module = Digest::of(b"other")), "module changed");
        assert_eq!(reason(|action| action.limits.memory_bytes = 32 << 20), "limits memory changed: 64 MiB → 32 MiB");
        assert_eq!(reason(|action| action.limits.fuel = Some(7)), "limits fuel is new");
        assert_eq!(reason(|action| action.args[1] = "-q".to_owned()), "args changed: -v → -q");
        assert_eq!(reason(|action| drop(action.env.insert("A".to_owned(), "b".to_owned()))), "env A is new");
        assert_eq!(reason(|action| action.mounts.clear()), "input /in/text is gone");
        let text = |bytes: &[u8]| Mount::File { blob: BlobRef::of(bytes), is_executable: false };
        let set = |action: &mut Action, mount: Mount| {
            action.mounts.values_mut().for_each(|input| input.content = mount.clone());
        };
        assert_eq!(reason(|action| set(action, text(b"new"))), "input /in/text changed: 982d9e3e… → 11507a0e…");
        assert_eq!(
            reason(|action| set(action, Mount::File { blob: BlobRef::of(b"text"), is_executable: true })),
            "input /in/text (kind) changed: file → executable file"
        );
        assert_eq!(
            reason(|action| {
                action.module = Digest::EMPTY;
                action.seed = 3;
            }),
            "module changed, and 1 more"
        );
    }

    /// Whatever is in the key is explained.
    #[test]
    fn whatever_changes_the_key_has_words() {
        let changes: [fn(&mut Action); 14] = [
            |a| a.abi += 1,
            |a| a.module = Digest::EMPTY,
            |a| a.args.push("x".to_owned()),
            |a| a.args[0] = "other".to_owned(),
            |a| drop(a.env.insert(String::new(), String::new())),
            |a| a.stdin = BlobRef::of(b"{}"),
            |a| a.mounts.clear(),
            |a| a.outputs.extend([wasmill_model::OutputPath::new("x").expect("a path")]),
            |a| a.seed += 1,
            |a| a.limits.fuel = Some(1),
            |a| a.limits.output_bytes += 1 << 20,
            |a| a.fuel_schedule += 1,
            |a| a.floats = Floats::Native { architecture: "x86_64".to_owned() },
            |a| a.mounts.values_mut().for_each(|input| input.mode = MountMode::CopyOnWrite),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            assert_eq!(super::changes(&action(|_| {}), &action(change), &Blobs::default()).len(), 1, "change {at}");
        }
    }

    #[test]
    fn the_same_action_is_executed_again_for_a_reason() {
        let ended = |outcome: Outcome, status| {
            let empty = BlobRef::EMPTY;
            let result = Some(ActionResult { outcome, output: empty, stdout: empty, stderr: empty });
            JobReport { result, status, key: Some(ActionKey(Digest::EMPTY)), ..job(0, "a", &[], 0, 1) }
        };
        let why = |was: &JobReport, fresh| {
            let now = ended(Outcome::SUCCESS, JobStatus::Succeeded);
            explain(&now, None, Some(&Earlier { run: RunId(1), report: was, action: None }), fresh, &Blobs::default())
                .to_string()
        };
        let success = ended(Outcome::SUCCESS, JobStatus::Succeeded);
        assert_eq!(why(&success, false), "evicted: its result is not in the store any more");
        assert_eq!(why(&success, true), "asked for with --fresh");
        let failed = ended(Outcome::Exited { code: 3 }, JobStatus::Failed);
        assert_eq!(why(&failed, false), "failed last time: exited with code 3");
        let late = ended(Outcome::TimedOut { limit_ms: 5 }, JobStatus::Failed);
        assert_eq!(why(&late, false), "not recorded last time: timed out");
        let now = ended(Outcome::SUCCESS, JobStatus::Succeeded);
        assert_eq!(explain(&now, None, None, false, &Blobs::default()), Reason::New);
        let other = JobReport { key: Some(ActionKey(Digest::of(b"other"))), ..success };
        assert_eq!(why(&other, false), "changed, and its earlier action is not in the store any more");
    }
}
