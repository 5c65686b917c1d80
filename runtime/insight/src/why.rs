//! Why a job was executed: what of its action is different from the last time.
//!
//! Owns: comparing an action with an earlier one, field by field and file by file. Does not know: which run the earlier one
//! is of, or how it is found.

use std::fmt;

use serde::Serialize;
use wasmill_model::port::BlobStore;
use wasmill_model::{Action, BlobRef, Directory, Floats, Input, JobReport, Mount, MountMode, RunId};

use crate::text::size;

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
    /// The trees or files before and after, where it is an input.
    #[serde(skip)]
    pub content: Option<(Option<Mount>, Option<Mount>)>,
}

/// A file of a tree that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeChange {
    /// Where it lies in the tree.
    pub path: String,
    /// Its digest, or what its link leads to, before.
    pub before: Option<String>,
    /// The same, after.
    pub after: Option<String>,
}

/// Says why a job was executed. `action` is what it was asked to do, if that is in the store; `fresh` and `retry_failed` are
/// what the run was asked for.
pub fn explain(report: &JobReport, action: Option<&Action>, earlier: Option<&Earlier<'_>>, fresh: bool) -> Reason {
    let Some(earlier) = earlier else { return Reason::New };
    if earlier.report.key != report.key {
        return match (&earlier.action, action) {
            (Some(before), Some(after)) => Reason::Changed { changes: changes(before, after) },
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
        let Self { field, before, after, .. } = self;
        match (before, after) {
            _ if field == "module" => f.write_str("module changed"),
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
pub(crate) fn changes(before: &Action, after: &Action) -> Vec<Change> {
    let mut all = Changes::default();
    all.add("module", Some(before.module.to_string()), Some(after.module.to_string()));
    for at in before.mounts.keys().chain(after.mounts.keys().filter(|at| !before.mounts.contains_key(*at))) {
        all.add_input(at.as_str(), before.mounts.get(at), after.mounts.get(at));
    }
    let stdin = |blob: BlobRef| (blob != BlobRef::EMPTY).then(|| Mount::File { blob, is_executable: false });
    let (stdin_before, stdin_after) = (stdin(before.stdin), stdin(after.stdin));
    let said = |mount: &Option<Mount>| mount.as_ref().map(digest_of);
    if all.add("stdin", said(&stdin_before), said(&stdin_after)) {
        all.with_content(stdin_before, stdin_after);
    }
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
            self.0.push(Change { field: field.to_owned(), before, after, content: None });
        }
        has_changed
    }

    fn with_content(&mut self, before: Option<Mount>, after: Option<Mount>) {
        if let Some(change) = self.0.last_mut() {
            change.content = Some((before, after));
        }
    }

    fn add_input(&mut self, at: &str, before: Option<&Input>, after: Option<&Input>) {
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
            self.with_content(before.map(|input| input.content.clone()), after.map(|input| input.content.clone()));
        } else if !self.add(&format!("{field} (mode)"), mode(before), mode(after)) {
            self.add(&format!("{field} (kind)"), kind(before), kind(after));
        }
    }
}

fn digest_of(mount: &Mount) -> String {
    let (Mount::File { blob, .. } | Mount::Directory { blob }) = mount;
    blob.digest.to_string()
}

/// The files of two trees that differ, in the order of their paths, at most so many, and whether there are more. Trees that
/// are not in the store any more have no files.
pub fn tree_changes(
    blobs: &dyn BlobStore,
    before: Option<BlobRef>,
    after: Option<BlobRef>,
    at_most: usize,
) -> (Vec<TreeChange>, bool) {
    let mut found = Vec::new();
    // One more than is wanted, to know whether there are more.
    walk(blobs, before, after, "", at_most.saturating_add(1), 0, &mut found);
    let has_more = found.len() > at_most;
    found.truncate(at_most);
    (found, has_more)
}

/// Trees are not deeper than this; what a damaged store says is.
const DEPTH_MAX: usize = 1_024;

fn walk(
    blobs: &dyn BlobStore,
    before: Option<BlobRef>,
    after: Option<BlobRef>,
    prefix: &str,
    at_most: usize,
    depth: usize,
    found: &mut Vec<TreeChange>,
) {
    if before == after || depth > DEPTH_MAX {
        return;
    }
    let read = |blob: Option<BlobRef>| {
        blob.and_then(|blob| Directory::decode(&blobs.get(&blob).ok()?).ok()).unwrap_or_default()
    };
    let (old, new) = (Names::of(&read(before)), Names::of(&read(after)));
    let mut names: Vec<&String> = old.0.keys().chain(new.0.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        if found.len() >= at_most {
            return;
        }
        let (was, is) = (old.0.get(name), new.0.get(name));
        if was == is {
            continue;
        }
        let path = format!("{prefix}{name}");
        let below = |node: Option<&Node>| match node {
            Some(Node::Directory(blob)) => Some(*blob),
            _ => None,
        };
        let said = |node: Option<&Node>| match node {
            Some(Node::Leaf(said)) => Some(said.clone()),
            _ => None,
        };
        if said(was).is_some() || said(is).is_some() {
            found.push(TreeChange { path: path.clone(), before: said(was), after: said(is) });
        }
        walk(blobs, below(was), below(is), &format!("{path}/"), at_most, depth + 1, found);
    }
}

#[derive(PartialEq, Eq)]
enum Node {
    /// A digest, or where a link leads.
    Leaf(String),
    Directory(BlobRef),
}

struct Names(std::collections::BTreeMap<String, Node>);

impl Names {
    fn of(directory: &Directory) -> Self {
        let files = directory.files.iter().map(|file| {
            let mark = if file.is_executable { " (executable)" } else { "" };
            (file.name.clone(), Node::Leaf(format!("{}{mark}", file.blob.digest)))
        });
        let directories = directory.directories.iter().map(|one| (one.name.clone(), Node::Directory(one.blob)));
        let links = directory.symlinks.iter().map(|link| (link.name.clone(), Node::Leaf(format!("→ {}", link.target))));
        Self(files.chain(directories).chain(links).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use wasmill_model::{ActionKey, ActionResult, Digest, GuestPath, JobStatus, Limits, Outcome};

    use super::*;
    use crate::anatomy::tests::job;

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
        let (before, after) = (action(|_| {}), action(change));
        let mut report = job(0, "a", &[], 0, 1);
        report.key = Some(after.key());
        let mut was = job(0, "a", &[], 0, 1);
        was.key = Some(before.key());
        let earlier = Earlier { run: RunId(1), report: &was, action: Some(before) };
        explain(&report, Some(&after), Some(&earlier), false).to_string()
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
            action.mounts.values_mut().for_each(|input| input.content = mount.clone())
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
            assert_eq!(super::changes(&action(|_| {}), &action(change)).len(), 1, "change {at}");
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
            explain(&now, None, Some(&Earlier { run: RunId(1), report: was, action: None }), fresh).to_string()
        };
        let success = ended(Outcome::SUCCESS, JobStatus::Succeeded);
        assert_eq!(why(&success, false), "evicted: its result is not in the store any more");
        assert_eq!(why(&success, true), "asked for with --fresh");
        let failed = ended(Outcome::Exited { code: 3 }, JobStatus::Failed);
        assert_eq!(why(&failed, false), "failed last time: exited with code 3");
        let late = ended(Outcome::TimedOut { limit_ms: 5 }, JobStatus::Failed);
        assert_eq!(why(&late, false), "not recorded last time: timed out");
        let now = ended(Outcome::SUCCESS, JobStatus::Succeeded);
        assert_eq!(explain(&now, None, None, false), Reason::New);
        let other = JobReport { key: Some(ActionKey(Digest::of(b"other"))), ..success };
        assert_eq!(why(&other, false), "changed, and its earlier action is not in the store any more");
    }
}
