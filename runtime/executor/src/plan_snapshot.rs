//! What a run began with, so that it can be gone on with although files on the host have changed since.
//!
//! Owns: what of a plan is kept for that, how it is written, and which inputs are as they were. Does not know: when a run is resumed,
//! or by whom.
//!
//! The plan's text, the lists that it iterates over and its modules are kept when the run begins. Inputs are not: what the jobs that
//! ended had read is in their actions, and what no job has read yet is not in the store.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmill_model::plan::{Bindings, Diagnostic, Format, InputSource, JobSpec, Plan, Stdin};
use wasmill_model::port::{ActionCache, BlobStore, StoreError};
use wasmill_model::{
    Action, BlobRef, Digest, Directory, DirectoryNode, FileNode, GuestPath, JobReport, Mount, OutputPath,
};

use crate::batches;
use crate::expand::expand_with;
use crate::graph::{Graph, JobId, Scope};
use crate::items::{HostLists, values_of};
use crate::modules::LoadedModules;
use crate::reading::read_plan;
use crate::resolve::{Found, find_in_tree};

/// The version of what is written. In version 1, the text was in the outline.
const VERSION: u32 = 2;

/// Where the outline lies in the tree that is kept.
const FILE: &str = "plan.json";

/// Where the text does, under the name of no file that a plan is in: whether it is another one shows without reading it.
const TEXT: &str = "text";

/// Where the modules lie in it, so that they stay there as long as it does.
const MODULES: &str = "modules";

/// A plan as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its text.
    pub text: String,
    /// The notation.
    pub format: Format,
    /// The file.
    pub file: PathBuf,
}

/// A plan that was read, with what it iterates over on the host, and is not expanded yet.
#[derive(Debug)]
pub struct ReadPlan {
    plan: Plan,
    base: PathBuf,
    written: Written,
    lists: HostLists,
}

impl ReadPlan {
    /// Reads what the plan iterates over, relative paths starting from `base`.
    pub fn new(plan: Plan, base: PathBuf, written: Written) -> Self {
        let mut lists = HostLists::default();
        let sources =
            plan.jobs.iter().flat_map(|job| &job.for_each).filter(|(_, items)| items.value.from_run().is_none());
        // What cannot be read is tried once more when the plan is expanded, which says so.
        sources.for_each(|(_, items)| drop(values_of(items, &base, &mut lists)));
        Self { plan, base, written, lists }
    }

    /// Expands it.
    ///
    /// # Errors
    /// As of [`crate::expand()`].
    pub fn expand(self) -> Result<Graph, Vec<Diagnostic>> {
        let Self { plan, base, written, lists } = self;
        Ok(expand_with(plan, &base, lists)?.written_as(written))
    }

    /// How it is written.
    pub fn written(&self) -> &Written {
        &self.written
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Whether a run of it for which these jobs are asked for would begin with what another began with, if the modules are the
    /// same.
    pub(crate) fn is_as_in(&self, outline: &Outline, select: &[String]) -> bool {
        let Written { text, format, file } = &self.written;
        *format == outline.format()
            && file.to_string_lossy() == outline.file
            && self.base.to_str() == Some(&outline.base)
            && *select == outline.select
            && self.lists == outline.lists
            && outline.text.is(text)
    }
}

/// What a run began with.
#[derive(Debug)]
pub struct PlanSnapshot {
    outline: Outline,
    text: String,
}

/// What a run began with, and where the plan's text is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outline {
    version: u32,
    text: Text,
    is_json: bool,
    file: String,
    base: String,
    /// The jobs that were asked for; none of them means all.
    select: Vec<String>,
    modules: LoadedModules,
    lists: HostLists,
}

/// A plan's text as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Kept(BlobRef),
    /// As in version 1.
    Whole(String),
}

impl Text {
    fn is(&self, text: &str) -> bool {
        match self {
            Self::Kept(blob) => blob.size_bytes == text.len() as u64 && *blob == BlobRef::of(text.as_bytes()),
            Self::Whole(whole) => whole == text,
        }
    }
}

/// A run cannot be gone on with as it began.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// What was kept of it is not there, or not what it should be.
    #[error("what was kept of its plan cannot be used: {0}")]
    Damaged(String),
    /// The plan cannot be expanded any more.
    #[error("its plan cannot be executed any more")]
    Plan(Vec<Diagnostic>),
    /// A module is gone.
    #[error("its module `{name}` ({digest}) is not in the store any more")]
    Module {
        /// Its name in the plan.
        name: String,
        /// Its digest.
        digest: Digest,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Graph {
    /// Has the plan's text kept with each run of it, so that the run can be resumed.
    #[must_use]
    pub fn written_as(mut self, written: Written) -> Self {
        self.written = Some(written);
        self
    }

    /// How the plan is written, where somebody said that.
    pub fn written(&self) -> Option<&Written> {
        self.written.as_ref()
    }

    /// Keeps what a run of this begins with. None where nobody said how the plan is written.
    pub(crate) fn keep_snapshot(
        &self,
        modules: &LoadedModules,
        blobs: &dyn BlobStore,
    ) -> Result<Option<Digest>, StoreError> {
        let Some(Written { text, format, file }) = &self.written else { return Ok(None) };
        // A folder whose name is no text could not be found again.
        let Some(base) = self.scopes[0].base.to_str().map(str::to_owned) else { return Ok(None) };
        let file = file.to_string_lossy().into_owned();
        let (select, lists, modules) = (self.asked_for.clone(), self.lists.clone(), modules.clone());
        let text = blobs.put(text.clone().into())?;
        let is_json = *format == Format::Json;
        let outline = Outline { version: VERSION, text: Text::Kept(text), is_json, file, base, select, modules, lists };
        outline.keep(text, blobs).map(Some)
    }

    /// Has inputs be as they were when jobs of another run of the same plan read them that came to their end.
    ///
    /// # Errors
    /// The store's failure.
    pub fn take_inputs_of(&mut self, reports: &[JobReport], actions: &dyn ActionCache) -> Result<(), StoreError> {
        let by_name: HashMap<&str, JobId> = self.ids().map(|id| (self.job(id).name.as_str(), id)).collect();
        let (mut inputs, mut stdins) = (HashMap::new(), HashMap::new());
        for report in reports {
            let (Some(id), Some(key)) = (by_name.get(report.job.as_str()), &report.key) else { continue };
            let Some(action) = actions.action(key)? else { continue };
            for (source, content) in self.host_inputs(*id, &action) {
                inputs.entry(source).or_insert(content);
            }
            if let Some(source) = self.host_stdin(*id) {
                stdins.entry(source).or_insert(action.stdin);
            }
        }
        drop(by_name);
        (self.inputs_before, self.stdins_before) = (inputs, stdins);
        Ok(())
    }

    /// How many inputs are as an earlier run found them.
    pub fn inputs_before(&self) -> usize {
        self.inputs_before.len() + self.stdins_before.len()
    }

    /// What a job read of the host, and what that was in an action of it.
    fn host_inputs(&self, id: JobId, action: &Action) -> Vec<(HostInput, Mount)> {
        let (spec, scope, bindings) = (self.spec(id), self.scope(id), &self.job(id).bindings);
        let of = |at: &GuestPath| {
            let at = match spec.batch {
                Some(_) => batches::seen(self.job(id).label(), at).ok()?,
                None => at.clone(),
            };
            action.mounts.get(&at).map(|input| input.content.clone())
        };
        let mounts = spec
            .mounts
            .iter()
            .filter_map(|mount| Some((HostInput::of(&mount.source.value, scope, bindings)?, of(&mount.at.value)?)));
        mounts.collect()
    }

    /// What a job's standard input is on the host. Whether that could be executed decides nothing there, so it is no input.
    pub(crate) fn host_stdin(&self, id: JobId) -> Option<HostInput> {
        match self.spec(id).stdin.as_ref().map(|stdin| &stdin.value) {
            Some(Stdin::Source(source @ InputSource::Path(_))) => {
                HostInput::of(source, self.scope(id), &self.job(id).bindings)
            }
            _ => None,
        }
    }
}

/// A place on the host that a job reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum HostInput {
    Path(PathBuf),
    /// A folder, and a pattern in it.
    Glob(PathBuf, String),
}

impl HostInput {
    /// What a source reads; none where that is nothing of the host's.
    pub(crate) fn of(source: &InputSource, scope: &Scope, bindings: &Bindings) -> Option<Self> {
        match source {
            InputSource::Path(path) => path.render_host(bindings).ok().map(|path| Self::Path(scope.base.join(path))),
            InputSource::Glob(glob) => glob.render_host(bindings).ok().map(|glob| Self::Glob(scope.base.clone(), glob)),
            _ => None,
        }
    }
}

impl Outline {
    fn keep(&self, text: BlobRef, blobs: &dyn BlobStore) -> Result<Digest, StoreError> {
        let (mut modules, mut seen) = (Directory::default(), HashSet::new());
        for digest in self.modules.values() {
            // By their digests, as their names need not be names of files.
            if let Some(blob) = blobs.find(digest)?.filter(|_| seen.insert(*digest)) {
                modules.files.push(FileNode { name: digest.to_string(), blob, is_executable: false });
            }
        }
        // Nothing of it can fail to be written.
        let outline = blobs.put(serde_json::to_vec(&self).unwrap_or_default().into())?;
        let modules = blobs.put(modules.encode().into())?;
        let file = |name: &str, blob| FileNode { name: name.to_owned(), blob, is_executable: false };
        let mut all = Directory {
            files: vec![file(FILE, outline), file(TEXT, text)],
            directories: vec![DirectoryNode { name: MODULES.to_owned(), blob: modules }],
            ..Directory::default()
        };
        Ok(blobs.put(all.encode().into())?.digest)
    }

    /// Reads what was kept, but for the text.
    pub(crate) fn find(digest: &Digest, blobs: &dyn BlobStore) -> Result<Self, SnapshotError> {
        let root: BlobRef = blobs.find(digest)?.ok_or_else(|| damaged("it is not in the store any more"))?;
        let path = OutputPath::new(FILE).map_err(|error| damaged(&error.to_string()))?;
        let found = find_in_tree(blobs, root, &path).map_err(|error| damaged(&error.to_string()))?;
        let Some(Found::File(file)) = found else { return Err(damaged("there is no plan in it")) };
        let outline: Self =
            serde_json::from_slice(&blobs.get(&file.blob)?).map_err(|error| damaged(&error.to_string()))?;
        match (outline.version, &outline.text) {
            (VERSION, Text::Kept(text)) if blobs.find(&text.digest)?.is_none() => {
                Err(damaged("the plan's text is not in the store any more"))
            }
            (VERSION, Text::Kept(_)) | (1, Text::Whole(_)) => Ok(outline),
            (other, _) => Err(damaged(&format!("it was written by another version of wasmill ({other})"))),
        }
    }

    /// The digest of each module that its jobs run.
    pub(crate) fn modules(&self) -> &LoadedModules {
        &self.modules
    }

    fn format(&self) -> Format {
        if self.is_json { Format::Json } else { Format::Toml }
    }
}

fn damaged(wrong: &str) -> SnapshotError {
    SnapshotError::Damaged(wrong.to_owned())
}

impl PlanSnapshot {
    /// Reads what was kept.
    ///
    /// # Errors
    /// It is not there, or damaged.
    pub fn find(digest: &Digest, blobs: &dyn BlobStore) -> Result<Self, SnapshotError> {
        let mut outline = Outline::find(digest, blobs)?;
        let text = match &mut outline.text {
            Text::Whole(text) => std::mem::take(text),
            Text::Kept(text) => {
                String::from_utf8(blobs.get(text)?.into()).map_err(|error| damaged(&error.to_string()))?
            }
        };
        Ok(Self { outline, text })
    }

    /// The file that the plan was in.
    pub fn file(&self) -> &str {
        &self.outline.file
    }

    /// The plan's text, which diagnostics point into.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The plan.
    ///
    /// # Errors
    /// This version of wasmill reads it otherwise, and finds something wrong with it.
    pub fn plan(&self) -> Result<Plan, SnapshotError> {
        read_plan(&self.text, self.outline.format()).map_err(SnapshotError::Plan)
    }

    /// The same graph as then, with the same modules.
    ///
    /// # Errors
    /// The plan cannot be expanded by this version of wasmill; a module is not there any more.
    pub fn open(self, blobs: &dyn BlobStore) -> Result<(Graph, LoadedModules), SnapshotError> {
        self.open_as(blobs, |_| {})
    }

    /// The same for [`crate::rehearse`]: nothing is saved to the host, or tried again.
    ///
    /// # Errors
    /// As of [`PlanSnapshot::open`].
    pub fn open_to_look(self, blobs: &dyn BlobStore) -> Result<(Graph, LoadedModules), SnapshotError> {
        self.open_as(blobs, |job| {
            job.save.clear();
            job.retries.count = 0;
        })
    }

    /// The same, with jobs that were changed in how they are carried out.
    ///
    /// # Errors
    /// As of [`PlanSnapshot::open`].
    pub fn open_as(
        self,
        blobs: &dyn BlobStore,
        change: impl FnMut(&mut JobSpec),
    ) -> Result<(Graph, LoadedModules), SnapshotError> {
        for (name, digest) in &self.outline.modules {
            // What is read stays there as long as this process lives.
            let module = blobs.find(digest)?.map(|blob| blobs.get(&blob));
            if !matches!(module, Some(Ok(_))) {
                return Err(SnapshotError::Module { name: name.clone(), digest: *digest });
            }
        }
        let mut plan = self.plan()?;
        let Self { outline, text } = self;
        let format = outline.format();
        plan.jobs.iter_mut().for_each(change);
        let graph = expand_with(plan, Path::new(&outline.base), outline.lists).map_err(SnapshotError::Plan)?;
        let written = Written { format, text, file: outline.file.into() };
        let mut graph = graph.written_as(written);
        if !outline.select.is_empty() {
            graph.select(&outline.select).map_err(|unknown| SnapshotError::Damaged(unknown.to_string()))?;
        }
        Ok((graph, outline.modules))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_kept_is_found_and_damage_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let storage = wasmill_storage::Storage::open(dir.path(), wasmill_storage::Options::default()).unwrap();
        let written = |text: &str| Written { text: text.to_owned(), format: Format::Toml, file: "mill.toml".into() };
        let text = "name = \"p\"\n[modules.m]\nfile = \"m.wasm\"\n[jobs.a]\nmodule = \"m\"\n";
        let module = storage.put(b"a module".as_slice().into()).unwrap().digest;
        let graph = crate::expand(read_plan(text, Format::Toml).unwrap(), Path::new("/p")).unwrap();
        let modules: LoadedModules = BTreeMap::from([("m".to_owned(), module)]);
        assert_eq!(graph.keep_snapshot(&modules, &storage).unwrap(), None);
        let kept = graph.written_as(written(text)).keep_snapshot(&modules, &storage).unwrap().unwrap();
        let (graph, found) = PlanSnapshot::find(&kept, &storage).unwrap().open(&storage).unwrap();
        assert_eq!((graph.name(), graph.len(), found), ("p", 1, modules));
        assert_eq!(graph.written().unwrap().text, text);
        let wrong = PlanSnapshot::find(&module, &storage).unwrap_err();
        assert!(matches!(wrong, SnapshotError::Damaged(_)), "{wrong:?}");
        let gone = PlanSnapshot::find(&Digest::of(b"nothing"), &storage).unwrap_err();
        assert!(gone.to_string().contains("not in the store any more"));
        let lost: LoadedModules = BTreeMap::from([("m".to_owned(), Digest::of(b"nothing"))]);
        let kept = graph.keep_snapshot(&lost, &storage).unwrap().unwrap();
        let wrong = PlanSnapshot::find(&kept, &storage).unwrap().open(&storage).unwrap_err();
        assert!(matches!(wrong, SnapshotError::Module { .. }), "{wrong:?}");
    }

    #[test]
    fn what_the_first_version_wrote_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let storage = wasmill_storage::Storage::open(dir.path(), wasmill_storage::Options::default()).unwrap();
        let text = "name = \"p\"\n[modules.m]\nfile = \"m.wasm\"\n[jobs.a]\nmodule = \"m\"\n";
        let module = storage.put(b"a module".as_slice().into()).unwrap();
        let outline = |version: u32| {
            let outline = serde_json::json!({
                "version": version, "text": text, "is_json": false, "file": "mill.toml", "base": "/p", "select": ["a"],
                "modules": { "m": module.digest.to_string() }, "lists": HostLists::default(),
            });
            let blob = storage.put(outline.to_string().into()).unwrap();
            let files = vec![FileNode { name: FILE.to_owned(), blob, is_executable: false }];
            storage.put(Directory { files, ..Directory::default() }.encode().into()).unwrap().digest
        };
        let snapshot = PlanSnapshot::find(&outline(1), &storage).unwrap();
        assert_eq!((snapshot.text(), snapshot.file()), (text, "mill.toml"));
        let (graph, _) = snapshot.open(&storage).unwrap();
        assert_eq!((graph.written().unwrap().text.as_str(), graph.len()), (text, 1));
        for other in [0, VERSION, VERSION + 1] {
            assert!(PlanSnapshot::find(&outline(other), &storage).is_err(), "{other}");
        }
    }
}
