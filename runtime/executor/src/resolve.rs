//! From a job to its action.
//!
//! Owns: what a job's plan entry and the results of the jobs before it mean as an action. Does not know: whether
//! the action's result is known, or how it is executed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use wasmill_model::plan::{Bindings, InputSource, JsonTemplate, Stdin};
use wasmill_model::port::{BlobStore, Traits};
use wasmill_model::{
    Action, ActionResult, BlobRef, Digest, Directory, DirectoryNode, FileNode, Floats, GuestPath, Input, Mount,
    OutputPath,
};

use crate::error::ResolveError;
use crate::graph::{Graph, JobId};
use crate::import::{Importer, Staged, Trust};

/// What every job of a run is resolved against.
#[derive(Clone, Copy)]
pub(crate) struct Resolver<'a> {
    pub(crate) graph: &'a Graph,
    /// The digest of each module, by its name in the plan.
    pub(crate) modules: &'a BTreeMap<String, Digest>,
    /// The results of the jobs that have succeeded, by job.
    pub(crate) results: &'a [OnceLock<ActionResult>],
    pub(crate) importer: &'a Importer,
    pub(crate) blobs: &'a dyn BlobStore,
    /// What of the runner can decide a result.
    pub(crate) traits: &'a Traits,
}

impl Resolver<'_> {
    /// Brings together what decides the result of `id`. Blobs that only the action needs are staged.
    pub(crate) fn resolve(&self, id: JobId, trust: Trust) -> Result<(Action, Staged), ResolveError> {
        let job = self.graph.job(id);
        let spec = self.graph.spec(id);
        let mut staged = Staged::default();
        let mut upstream = job.upstream.iter().copied();

        let mut args = Vec::with_capacity(spec.args.len() + 1);
        args.push(spec.entry.clone().unwrap_or_else(|| wasmill_abi::DEFAULT_ENTRY.to_owned()));
        args.extend(spec.args.iter().map(|arg| arg.render(&job.bindings)));
        let env: BTreeMap<String, String> =
            spec.env.iter().map(|(name, value)| (name.clone(), value.render(&job.bindings))).collect();
        check_nul(&args, &env)?;

        let mut mounts: BTreeMap<GuestPath, Input> = BTreeMap::new();
        for mount in &spec.mounts {
            let at = mount.at.value.as_str();
            let content = self.input(at, &mount.source.value, &job.bindings, &mut upstream, &mut staged, trust)?;
            if matches!(content, Mount::File { .. }) && mount.at.value.names().next().is_none() {
                return Err(ResolveError::FileAtRoot);
            }
            mounts.insert(mount.at.value.clone(), Input { content, mode: mount.mode });
        }
        let stdin = match spec.stdin.as_ref().map(|stdin| &stdin.value) {
            None => BlobRef::EMPTY,
            Some(Stdin::Json(value)) => staged.add(json(value, &job.bindings).to_string().into_bytes()),
            Some(Stdin::Blob(blob)) => *blob,
            Some(Stdin::Source(source)) => {
                match self.input("stdin", source, &job.bindings, &mut upstream, &mut staged, trust)? {
                    Mount::File { blob, .. } => blob,
                    Mount::Directory { .. } => return Err(ResolveError::StdinDirectory),
                }
            }
        };
        let action = Action {
            abi: wasmill_abi::VERSION,
            module: self.modules.get(&spec.module.value).copied().unwrap_or(Digest::EMPTY),
            args,
            env,
            stdin,
            mounts,
            outputs: spec.outputs.iter().map(|output| output.value.clone()).collect::<BTreeSet<OutputPath>>(),
            seed: spec.seed,
            limits: spec.limits.clone(),
            fuel_schedule: if spec.limits.fuel.is_some() { self.traits.fuel_schedule } else { 0 },
            floats: match spec.native_floats {
                false => Floats::Canonical,
                true => Floats::Native { architecture: self.traits.float_architecture.clone() },
            },
        };
        Ok((action, staged))
    }

    fn input(
        &self,
        at: &str,
        source: &InputSource,
        bindings: &Bindings,
        upstream: &mut impl Iterator<Item = JobId>,
        staged: &mut Staged,
        trust: Trust,
    ) -> Result<Mount, ResolveError> {
        let import_error = |source| ResolveError::Import { at: at.to_owned(), source };
        match source {
            InputSource::Path(path) => {
                let path = self.graph.base.join(path.render(bindings));
                self.importer.path(&path, staged, trust).map_err(import_error)
            }
            InputSource::Glob(pattern) => {
                let pattern = pattern.render(bindings);
                self.importer.glob(&self.graph.base, &pattern, staged, trust).map_err(import_error)
            }
            InputSource::Text(text) => {
                let blob = staged.add(text.render(bindings).into_bytes());
                Ok(Mount::File { blob, is_executable: false })
            }
            InputSource::Job { path, .. } => match upstream.next() {
                Some(job) => self.output(job, path.as_ref()),
                None => Err(ResolveError::TooEarly { job: at.to_owned() }),
            },
            InputSource::Jobs { jobs, path } => {
                let spec = self.graph.plan.jobs.iter().position(|spec| spec.name.value == *jobs);
                let range = spec.map_or(0..0, |spec| self.graph.ranges[spec].clone());
                self.gather(range.map(JobId), path.as_ref(), staged)
            }
        }
    }

    /// The outputs of several jobs as one directory, each under its label.
    fn gather(
        &self,
        jobs: impl Iterator<Item = JobId>,
        path: Option<&OutputPath>,
        staged: &mut Staged,
    ) -> Result<Mount, ResolveError> {
        let mut all = Directory::default();
        for id in jobs {
            let job = self.graph.job(id);
            let name = if job.label.is_empty() { job.name.clone() } else { job.label.clone() };
            match self.output(id, path)? {
                Mount::File { blob, is_executable } => all.files.push(FileNode { name, blob, is_executable }),
                Mount::Directory { blob } => all.directories.push(DirectoryNode { name, blob }),
            }
        }
        Ok(Mount::Directory { blob: staged.add(all.encode()) })
    }

    /// A job's output, or a part of it.
    fn output(&self, id: JobId, path: Option<&OutputPath>) -> Result<Mount, ResolveError> {
        let job = &self.graph.job(id).name;
        let Some(result) = self.results[id.index()].get() else {
            return Err(ResolveError::TooEarly { job: job.clone() });
        };
        let Some(path) = path else { return Ok(Mount::Directory { blob: result.output }) };
        match find_in_tree(self.blobs, result.output, path) {
            Ok(Some(Found::File(file))) => Ok(Mount::File { blob: file.blob, is_executable: file.is_executable }),
            Ok(Some(Found::Directory(blob))) => Ok(Mount::Directory { blob }),
            Ok(Some(Found::Link) | None) => {
                Err(ResolveError::NoSuchOutput { job: job.clone(), path: path.to_string() })
            }
            Err(FindError::Store(source)) => Err(ResolveError::Store(source)),
            Err(FindError::Tree(source)) => Err(ResolveError::Tree { job: job.clone(), source }),
        }
    }
}

/// What lies at a path of a stored tree.
pub(crate) enum Found {
    File(FileNode),
    Directory(BlobRef),
    Link,
}

/// Why a stored tree cannot be searched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    #[error(transparent)]
    Store(#[from] wasmill_model::port::StoreError),
    #[error(transparent)]
    Tree(#[from] wasmill_model::TreeError),
}

/// Looks a path up in the tree at `root`.
pub(crate) fn find_in_tree(
    blobs: &dyn BlobStore,
    root: BlobRef,
    path: &OutputPath,
) -> Result<Option<Found>, FindError> {
    let mut here = Found::Directory(root);
    for name in path.names() {
        let Found::Directory(blob) = here else { return Ok(None) };
        let directory = Directory::decode(&blobs.get(&blob)?)?;
        here = if let Some(file) = directory.files.into_iter().find(|file| file.name == name) {
            Found::File(file)
        } else if let Some(below) = directory.directories.into_iter().find(|below| below.name == name) {
            Found::Directory(below.blob)
        } else if directory.symlinks.iter().any(|link| link.name == name) {
            Found::Link
        } else {
            return Ok(None);
        };
    }
    Ok(Some(here))
}

/// WASI hands texts over with a NUL at the end, so none can be inside.
fn check_nul(args: &[String], env: &BTreeMap<String, String>) -> Result<(), ResolveError> {
    if let Some(index) = args.iter().position(|arg| arg.contains('\0')) {
        return Err(ResolveError::Nul { what: format!("argument {index}") });
    }
    if let Some((name, _)) = env.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(ResolveError::Nul { what: format!("environment variable `{}`", name.escape_default()) });
    }
    Ok(())
}

/// The value with its strings rendered. Keys come out sorted, so that equal values are equal bytes.
fn json(value: &JsonTemplate, bindings: &Bindings) -> serde_json::Value {
    match value {
        JsonTemplate::Null => serde_json::Value::Null,
        JsonTemplate::Bool(value) => (*value).into(),
        JsonTemplate::Int(value) => (*value).into(),
        JsonTemplate::Float(value) => (*value).into(),
        JsonTemplate::String(template) => template.render(bindings).into(),
        JsonTemplate::Array(values) => values.iter().map(|value| json(value, bindings)).collect(),
        JsonTemplate::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), json(value, bindings))).collect()
        }
    }
}
