//! From a job to its action.
//!
//! Owns: what a job's plan entry and the results of the jobs before it mean as an action. Does not know: whether
//! the action's result is known, or how it is executed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use wasmill_model::plan::{Bindings, InputSource, JobSpec, JsonTemplate, Stdin, Template};
use wasmill_model::port::{BlobStore, Traits};
use wasmill_model::{
    Action, BlobRef, Digest, Directory, DirectoryNode, FileNode, Floats, GuestPath, Input, Mount, OutputPath,
};

use crate::batches;
use crate::error::ResolveError;
use crate::expand::{has_one_condition, sources};
use crate::graph::{Graph, JobId, Role, Scope, Upstream};
use crate::import::{Importer, Staged, Trust};
use crate::plan_snapshot::HostInput;
use crate::progress::{Known, Progress};

/// How large a file may be that a condition compares with a text.
const COMPARED_BYTES_MAX: u64 = 1 << 20;

/// As much of an item is shown that is wrong.
const SHOWN_CHARS_MAX: usize = 80;

/// What every job of a run is resolved against.
#[derive(Clone, Copy)]
pub(crate) struct Resolver<'a> {
    pub(crate) graph: &'a Graph,
    /// The digest of each module of the outermost plan, by its name.
    pub(crate) modules: &'a BTreeMap<String, Digest>,
    pub(crate) progress: &'a boxcar::Vec<Progress>,
    pub(crate) importer: &'a Importer,
    pub(crate) blobs: &'a dyn BlobStore,
    /// What of the runner can decide a result.
    pub(crate) traits: &'a Traits,
}

/// What an input is resolved against.
#[derive(Clone, Copy)]
pub(crate) struct Within<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) bindings: &'a Bindings,
    pub(crate) trust: Trust,
}

impl Resolver<'_> {
    /// Brings together what decides the result of `id`. Blobs that only the action needs are staged.
    pub(crate) fn resolve(&self, id: JobId, trust: Trust) -> Result<(Action, Staged), ResolveError> {
        let job = self.graph.job(id);
        let spec = self.graph.spec(id);
        let within = Within { scope: self.graph.scope(id), bindings: &job.bindings, trust };
        let mut staged = Staged::default();
        let mut upstream = job.upstream.iter();

        check_len(spec, &job.bindings)?;
        let mut args = Vec::with_capacity(spec.args.len() + 1);
        args.push(spec.entry.clone().unwrap_or_else(|| wasmill_abi::DEFAULT_ENTRY.to_owned()));
        args.extend(spec.args.iter().map(|arg| arg.render(&job.bindings)));
        let env: BTreeMap<String, String> =
            spec.env.iter().map(|(name, value)| (name.clone(), value.render(&job.bindings))).collect();
        check_nul(&args, &env)?;

        let mut mounts: BTreeMap<GuestPath, Input> = BTreeMap::new();
        for mount in &spec.mounts {
            let at = mount.at.value.as_str();
            let content = match self.input(at, &mount.source.value, within, &mut upstream, &mut staged) {
                Err(ResolveError::Omitted { .. } | ResolveError::NoSuchOutput { .. }) if mount.is_optional => continue,
                content => content?,
            };
            if matches!(content, Mount::File { .. }) && mount.at.value.names().next().is_none() {
                return Err(ResolveError::FileAtRoot);
            }
            let at = if spec.batch.is_some() {
                batches::seen(job.label(), &mount.at.value)?
            } else {
                mount.at.value.clone()
            };
            mounts.insert(at, Input { content, mode: mount.mode });
        }
        let stdin = self.stdin(id, within, &mut args, &mut upstream, &mut staged)?;
        let modules = within.scope.origin.as_ref().map_or(self.modules, |origin| &origin.modules);
        let action = Action {
            abi: wasmill_abi::VERSION,
            module: modules.get(&spec.module.value).copied().unwrap_or(Digest::EMPTY),
            args,
            env,
            stdin,
            mounts,
            outputs: match spec.batch {
                Some(_) => batches::left(job.label(), &spec.outputs)?,
                None => spec.outputs.iter().map(|output| output.value.clone()).collect::<BTreeSet<OutputPath>>(),
            },
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

    /// A job's standard input. That of a batch says what the arguments of its items are, which it then has not.
    fn stdin<'u>(
        &self,
        id: JobId,
        within: Within<'_>,
        args: &mut Vec<String>,
        upstream: &mut impl Iterator<Item = &'u Upstream>,
        staged: &mut Staged,
    ) -> Result<BlobRef, ResolveError> {
        let (job, spec) = (self.graph.job(id), self.graph.spec(id));
        Ok(match spec.stdin.as_ref().map(|stdin| &stdin.value) {
            given if spec.batch.is_some() => {
                let input = match given {
                    Some(Stdin::Json(value)) => json(value, &job.bindings)?,
                    _ => serde_json::Value::Null,
                };
                staged.add(batches::line(job.label(), &args.split_off(1), &input))
            }
            None => BlobRef::EMPTY,
            Some(Stdin::Json(value)) => staged.add(json(value, &job.bindings)?.to_string().into_bytes()),
            Some(Stdin::Blob(blob)) => *blob,
            Some(Stdin::Source(_)) if within.trust == Trust::Remembered && self.stdin_before(id).is_some() => {
                self.stdin_before(id).unwrap_or(BlobRef::EMPTY)
            }
            Some(Stdin::Source(source)) => match self.input("stdin", source, within, upstream, staged)? {
                Mount::File { blob, .. } => blob,
                Mount::Directory { .. } => return Err(ResolveError::StdinDirectory),
            },
        })
    }

    /// A job's standard input, where that is to be as an earlier run found it.
    fn stdin_before(&self, id: JobId) -> Option<BlobRef> {
        let before = &self.graph.stdins_before;
        if before.is_empty() { None } else { before.get(&self.graph.host_stdin(id)?).copied() }
    }

    /// Whether a job is to be executed at all.
    pub(crate) fn is_wanted(&self, id: JobId) -> Result<bool, ResolveError> {
        self.holds(id)
    }

    /// Whether any of a job's items may be wanted, as far as that can be said before there are any.
    pub(crate) fn is_wanted_at_all(&self, opener: JobId) -> Result<bool, ResolveError> {
        if has_one_condition(self.graph.spec(opener)) { self.holds(opener) } else { Ok(true) }
    }

    fn holds(&self, id: JobId) -> Result<bool, ResolveError> {
        let (job, spec) = (self.graph.job(id), self.graph.spec(id));
        // Each condition takes from one job, and they come last.
        let mut upstream = job.upstream.iter().skip(job.upstream.len().saturating_sub(spec.when.len()));
        let within = Within { scope: self.graph.scope(id), bindings: &job.bindings, trust: Trust::Remembered };
        for condition in &spec.when {
            let source = &condition.source.value;
            let found = match self.input("when", source, within, &mut upstream, &mut Staged::default()) {
                Ok(found) => Some(found),
                Err(ResolveError::Omitted { .. } | ResolveError::NoSuchOutput { .. }) => None,
                Err(error) => return Err(error),
            };
            let holds = match (&condition.is, found) {
                (None, found) => found.is_some(),
                (Some(text), Some(Mount::File { blob, .. })) if blob.size_bytes <= COMPARED_BYTES_MAX => {
                    let content = self.blobs.get(&blob)?;
                    content.trim_ascii_end() == text.render(&job.bindings).trim_ascii_end().as_bytes()
                }
                (Some(_), _) => false,
            };
            if holds == condition.is_negated {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a source stands for. `upstream` has what those sources lead to that name jobs.
    pub(crate) fn input<'u>(
        &self,
        at: &str,
        source: &InputSource,
        within: Within<'_>,
        upstream: &mut impl Iterator<Item = &'u Upstream>,
        staged: &mut Staged,
    ) -> Result<Mount, ResolveError> {
        if !self.graph.inputs_before.is_empty()
            && within.trust == Trust::Remembered
            && let Some(before) = HostInput::of(source, within.scope, within.bindings)
            && let Some(content) = self.graph.inputs_before.get(&before)
        {
            return Ok(content.clone());
        }
        let import_error = |source| ResolveError::Import { at: at.to_owned(), source };
        let Within { scope, bindings, trust } = within;
        match source {
            InputSource::Path(path) => {
                let path = scope.base.join(path.render_host(bindings)?);
                self.importer.path(&path, staged, trust).map_err(import_error)
            }
            InputSource::Glob(pattern) => {
                let pattern = pattern.render_host(bindings)?;
                self.importer.glob(&scope.base, &pattern, staged, trust).map_err(import_error)
            }
            InputSource::Text(text) => {
                let blob = staged.add(text.render(bindings).into_bytes());
                Ok(Mount::File { blob, is_executable: false })
            }
            InputSource::Job { path, .. } => match upstream.next() {
                Some(Upstream::One(job)) => self.output(*job, rendered(path.as_ref(), bindings)?.as_ref()),
                _ => Err(ResolveError::TooEarly { job: at.to_owned() }),
            },
            InputSource::Jobs { path, .. } => match upstream.next() {
                Some(Upstream::Items(jobs)) => self.gather(jobs.clone().map(JobId), path.as_ref(), staged),
                Some(Upstream::Grown(closer)) => {
                    // There is nothing where what opens was omitted.
                    let grown = self.graph.job(*closer).grown.get();
                    let jobs = grown.into_iter().flat_map(|grown| grown.results.iter().copied());
                    self.gather(jobs, path.as_ref(), staged)
                }
                _ => Err(ResolveError::TooEarly { job: at.to_owned() }),
            },
            InputSource::Input(path) => self.inherited(scope, path),
            InputSource::Output(path) => {
                let Some(origin) = &scope.origin else { return Err(ResolveError::TooEarly { job: at.to_owned() }) };
                let job = &self.graph.job(origin.job).name;
                self.part(job, origin.output, rendered(path.as_ref(), bindings)?.as_ref())
            }
        }
    }

    /// What the job that yielded a plan saw at a path.
    fn inherited(&self, scope: &Scope, path: &GuestPath) -> Result<Mount, ResolveError> {
        let Some(origin) = &scope.origin else { return Err(ResolveError::TooEarly { job: path.to_string() }) };
        let missing =
            || ResolveError::NoSuchInput { job: self.graph.job(origin.job).name.clone(), path: path.to_string() };
        let above = origin.mounts.iter().filter(|(at, _)| at.contains(path));
        let (at, input) = above.max_by_key(|(at, _)| at.names().count()).ok_or_else(missing)?;
        let mut below = path.names().skip(at.names().count()).peekable();
        match (&input.content, below.peek()) {
            (content, None) => Ok(content.clone()),
            (Mount::File { .. }, Some(_)) => Err(missing()),
            (Mount::Directory { blob }, Some(_)) => match find_names(self.blobs, *blob, below) {
                Ok(found) => found.and_then(Found::into_mount).ok_or_else(missing),
                Err(error) => Err(error.of(&self.graph.job(origin.job).name)),
            },
        }
    }

    /// The outputs of several jobs as one directory, each under its label. Those that were omitted are not in it.
    pub(crate) fn gather(
        &self,
        jobs: impl Iterator<Item = JobId>,
        path: Option<&OutputPath>,
        staged: &mut Staged,
    ) -> Result<Mount, ResolveError> {
        let mut all = Directory::default();
        // The winners stand in for their judge.
        let jobs = jobs.flat_map(|id| match self.graph.job(id).role {
            Role::Judge { .. } => self.graph.job(id).grown.get().map_or_else(Vec::new, |grown| grown.results.clone()),
            _ => vec![id],
        });
        for id in jobs {
            let job = self.graph.job(id);
            let name = if job.label().is_empty() { job.name.clone() } else { job.label().to_owned() };
            match self.output(id, path) {
                Ok(Mount::File { blob, is_executable }) => all.files.push(FileNode { name, blob, is_executable }),
                Ok(Mount::Directory { blob }) => all.directories.push(DirectoryNode { name, blob }),
                Err(ResolveError::Omitted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Mount::Directory { blob: staged.add(all.encode()) })
    }

    /// The result of a job that has ended.
    pub(crate) fn result(&self, id: JobId) -> Result<&Known, ResolveError> {
        let job = || self.graph.job(id).name.clone();
        match self.progress[id.index()].result.get() {
            None => Err(ResolveError::TooEarly { job: job() }),
            Some(None) => Err(ResolveError::Omitted { job: job() }),
            Some(Some(result)) => Ok(result),
        }
    }

    /// A job's output, or a part of it.
    fn output(&self, id: JobId, path: Option<&OutputPath>) -> Result<Mount, ResolveError> {
        self.part(&self.graph.job(id).name, self.result(id)?.output(), path)
    }

    fn part(&self, job: &str, output: BlobRef, path: Option<&OutputPath>) -> Result<Mount, ResolveError> {
        let Some(path) = path else { return Ok(Mount::Directory { blob: output }) };
        let found = find_in_tree(self.blobs, output, path).map_err(|error| error.of(job))?;
        let missing = || ResolveError::NoSuchOutput { job: job.to_owned(), path: path.to_string() };
        found.and_then(Found::into_mount).ok_or_else(missing)
    }
}

/// The most bytes of arguments, environment and texts that a job is given by its plan: a few bytes of a template and a value can
/// come to any number.
const GIVEN_BYTES_MAX: usize = 16 << 20;

fn check_len(spec: &JobSpec, bindings: &Bindings) -> Result<(), ResolveError> {
    fn json(value: &JsonTemplate, bindings: &Bindings) -> usize {
        match value {
            JsonTemplate::String(template) | JsonTemplate::Parsed(template) => template.rendered_len(bindings),
            JsonTemplate::Array(values) => values.iter().map(|value| json(value, bindings)).sum(),
            JsonTemplate::Object(values) => values.values().map(|value| json(value, bindings)).sum(),
            _ => 0,
        }
    }
    let texts = sources(spec).filter_map(|(source, _)| match source {
        InputSource::Text(text) => Some(text),
        _ => None,
    });
    let given = spec.args.iter().chain(spec.env.values()).chain(texts);
    let stdin = match spec.stdin.as_ref().map(|stdin| &stdin.value) {
        Some(Stdin::Json(value)) => json(value, bindings),
        _ => 0,
    };
    let bytes = given.map(|template| template.rendered_len(bindings)).fold(stdin, usize::saturating_add);
    if bytes > GIVEN_BYTES_MAX { Err(ResolveError::TooMuch { bytes, max: GIVEN_BYTES_MAX }) } else { Ok(()) }
}

/// A path of an output for one item.
fn rendered(path: Option<&Template>, bindings: &Bindings) -> Result<Option<OutputPath>, ResolveError> {
    let Some(path) = path.map(|path| path.render(bindings)) else { return Ok(None) };
    OutputPath::new(&path).map(Some).map_err(|source| ResolveError::Path { path, source })
}

/// What lies at a path of a stored tree.
pub(crate) enum Found {
    File(FileNode),
    Directory(BlobRef),
    Link,
}

impl Found {
    /// The same as an input, which a link by itself cannot be.
    fn into_mount(self) -> Option<Mount> {
        match self {
            Found::File(file) => Some(Mount::File { blob: file.blob, is_executable: file.is_executable }),
            Found::Directory(blob) => Some(Mount::Directory { blob }),
            Found::Link => None,
        }
    }
}

/// Why a stored tree cannot be searched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    #[error(transparent)]
    Store(#[from] wasmill_model::port::StoreError),
    #[error(transparent)]
    Tree(#[from] wasmill_model::TreeError),
}

impl FindError {
    /// The same, of a tree that a job left.
    pub(crate) fn of(self, job: &str) -> ResolveError {
        match self {
            FindError::Store(source) => ResolveError::Store(source),
            FindError::Tree(source) => ResolveError::Tree { job: job.to_owned(), source },
        }
    }
}

/// Looks a path up in the tree at `root`.
pub(crate) fn find_in_tree(
    blobs: &dyn BlobStore,
    root: BlobRef,
    path: &OutputPath,
) -> Result<Option<Found>, FindError> {
    find_names(blobs, root, path.names())
}

/// How many directories are kept decoded, and how large one may be, encoded.
const DECODED: usize = 8;
const DECODED_BYTES_MAX: u64 = 16 << 20;

thread_local! {
    /// The directories that this thread looked into last: a job for each entry of a directory looks into the same one every time.
    static LATEST: RefCell<VecDeque<(BlobRef, Rc<Directory>)>> = const { RefCell::new(VecDeque::new()) };
}

/// A directory of a stored tree. Its entries are sorted by name.
fn decoded(blobs: &dyn BlobStore, blob: BlobRef) -> Result<Rc<Directory>, FindError> {
    let known = LATEST.with_borrow(|latest| {
        latest.iter().find(|(known, _)| *known == blob).map(|(_, directory)| Rc::clone(directory))
    });
    if let Some(directory) = known {
        return Ok(directory);
    }
    let directory = Rc::new(Directory::decode(&blobs.get(&blob)?)?);
    if blob.size_bytes <= DECODED_BYTES_MAX {
        LATEST.with_borrow_mut(|latest| {
            latest.truncate(DECODED - 1);
            latest.push_front((blob, Rc::clone(&directory)));
        });
    }
    Ok(directory)
}

fn find_names<'n>(
    blobs: &dyn BlobStore,
    root: BlobRef,
    names: impl Iterator<Item = &'n str>,
) -> Result<Option<Found>, FindError> {
    let mut here = Found::Directory(root);
    for name in names {
        let Found::Directory(blob) = here else { return Ok(None) };
        let directory = decoded(blobs, blob)?;
        here = if let Ok(at) = directory.files.binary_search_by(|file| file.name.as_str().cmp(name)) {
            Found::File(directory.files[at].clone())
        } else if let Ok(at) = directory.directories.binary_search_by(|below| below.name.as_str().cmp(name)) {
            Found::Directory(directory.directories[at].blob)
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
fn json(value: &JsonTemplate, bindings: &Bindings) -> Result<serde_json::Value, ResolveError> {
    Ok(match value {
        JsonTemplate::Null => serde_json::Value::Null,
        JsonTemplate::Bool(value) => (*value).into(),
        JsonTemplate::Int(value) => (*value).into(),
        JsonTemplate::Float(value) => (*value).into(),
        JsonTemplate::String(template) => template.render(bindings).into(),
        JsonTemplate::Parsed(template) => {
            let text = template.render(bindings);
            serde_json::from_str(&text).map_err(|wrong| {
                let text = text.chars().take(SHOWN_CHARS_MAX).collect();
                ResolveError::NoJson { text, wrong: wrong.to_string() }
            })?
        }
        JsonTemplate::Array(values) => values.iter().map(|value| json(value, bindings)).collect::<Result<_, _>>()?,
        JsonTemplate::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| Ok((key.clone(), json(value, bindings)?)));
            entries.collect::<Result<serde_json::Map<_, _>, ResolveError>>()?.into()
        }
    })
}
