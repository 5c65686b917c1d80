//! The modules of a plan, as blobs, and what they say of themselves.
//!
//! Owns: getting the bytes of each module that a run needs. Does not know: whether they are valid; the runner
//! says so when the first job of a module is executed.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use wasmill_model::interface::Interface;
use wasmill_model::plan::{Diagnostic, Interfaces, ModuleSource, check_types};
use wasmill_model::port::BlobStore;
use wasmill_model::{Digest, Mount};

use crate::error::{ImportError, ModuleLoadError, ModuleLoadErrorKind};
use crate::graph::Graph;
use crate::guest_build::{BuildOutput, Toolchain, What, build_guest, build_native};
use crate::import::{Importer, Staged, Trust};

/// The digest of each module, by its name in the plan.
pub type LoadedModules = BTreeMap<String, Digest>;

/// A plan's modules.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Those that are in the store.
    pub modules: LoadedModules,
    /// What those say of themselves that are files or crates.
    pub interfaces: Interfaces,
}

impl Graph {
    /// Puts the modules that the selected jobs run into the store, but for those that are `known` to be there, building what has to be
    /// built.
    ///
    /// # Errors
    /// Every module that cannot be had.
    pub fn load_modules(
        &self,
        importer: &Importer,
        blobs: &dyn BlobStore,
        toolchain: &Toolchain,
        output: BuildOutput,
        known: Loaded,
    ) -> Result<Loaded, Vec<ModuleLoadError>> {
        let mut all = known;
        let unknown = self.sources_used().filter(|(name, _)| !all.modules.contains_key(*name));
        let loaded = load(unknown, &self.scopes[0].base, importer, blobs, toolchain, output)?;
        all.modules.extend(loaded.modules);
        all.interfaces.extend(loaded.interfaces);
        Ok(all)
    }

    /// What the modules say of themselves that the selected jobs run, building what has to be built. There may be others, of which
    /// nothing can be said here, and why.
    pub fn read_interfaces(&self, toolchain: &Toolchain, output: BuildOutput) -> (Interfaces, Vec<ModuleLoadError>) {
        let mut interfaces = Interfaces::new();
        let mut errors = Vec::new();
        for (name, source) in self.sources_used() {
            let found = module_file(source, &self.scopes[0].base, toolchain, output).and_then(|file| match file {
                Some(file) => looks_like_module(&file).and_then(|()| interface(&file)),
                None => Ok(None),
            });
            match found {
                Ok(found) => interfaces.extend(found.map(|interface| (name.clone(), interface))),
                Err(kind) => errors.push(ModuleLoadError { module: name.clone(), kind }),
            }
        }
        (interfaces, errors)
    }

    /// Whether the jobs of the plan are given what their modules say that they take.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check_types(&self, interfaces: &Interfaces) -> Result<(), Vec<Diagnostic>> {
        let errors = check_types(self.scopes[0].entries.iter().map(|entry| entry.spec.as_ref()), interfaces);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The folders of the crates that are built for the selected jobs.
    pub fn crates(&self) -> BTreeSet<PathBuf> {
        let base = &self.scopes[0].base;
        let folders = self.sources_used().filter_map(|(_, source)| match source {
            ModuleSource::Crate { path, .. } => Some(base.join(path)),
            _ => None,
        });
        folders.collect()
    }

    /// The program of a job, built for this machine. `None` where there is no such job in the plan, or its module is no crate. Of a job that
    /// came to be during a run it is that of the job which it came from.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn native_program(&self, job: &str, output: BuildOutput) -> Result<Option<PathBuf>, ModuleLoadErrorKind> {
        let scope = &self.scopes[0];
        let written = job.split(['/', '[']).next().unwrap_or(job);
        let spec = scope.entries.iter().map(|entry| &entry.spec).find(|spec| spec.name.value == written);
        match spec.and_then(|spec| self.modules.get(&spec.module.value)).map(|source| &source.value) {
            Some(ModuleSource::Crate { path, bin, .. }) => {
                Ok(Some(build_native(&scope.base.join(path), bin.as_deref(), output)?))
            }
            _ => Ok(None),
        }
    }

    fn sources_used(&self) -> impl Iterator<Item = (&String, &ModuleSource)> {
        let used = self.modules_used();
        let sources = self.modules.iter().filter(move |(name, _)| used.contains(name.as_str()));
        sources.map(|(name, source)| (name, &source.value))
    }
}

/// Puts some modules into the store, building what has to be built; relative paths start from `base`.
pub(crate) fn load<'a>(
    sources: impl Iterator<Item = (&'a String, &'a ModuleSource)>,
    base: &Path,
    importer: &Importer,
    blobs: &dyn BlobStore,
    toolchain: &Toolchain,
    output: BuildOutput,
) -> Result<Loaded, Vec<ModuleLoadError>> {
    let mut loaded = Loaded::default();
    let mut errors = Vec::new();
    for (name, source) in sources {
        let digest = match module_file(source, base, toolchain, output) {
            Ok(Some(file)) => load_file(&file, importer, blobs).inspect(|_| match interface(&file) {
                Ok(found) => loaded.interfaces.extend(found.map(|interface| (name.clone(), interface))),
                // It decides nothing about how a job runs.
                Err(error) => {
                    tracing::warn!(module = name, error = &error as &dyn Error, "its jobs are not checked");
                }
            }),
            Ok(None) => match source {
                ModuleSource::Digest(digest) => stored(*digest, blobs),
                // Only a plan that is yielded has others.
                _ => continue,
            },
            Err(kind) => Err(kind),
        };
        match digest {
            Ok(digest) => drop(loaded.modules.insert(name.clone(), digest)),
            Err(kind) => errors.push(ModuleLoadError { module: name.clone(), kind }),
        }
    }
    if errors.is_empty() { Ok(loaded) } else { Err(errors) }
}

/// The file of a module that is on the host, or is built from what is.
fn module_file(
    source: &ModuleSource,
    base: &Path,
    toolchain: &Toolchain,
    output: BuildOutput,
) -> Result<Option<PathBuf>, ModuleLoadErrorKind> {
    match source {
        ModuleSource::Digest(_) | ModuleSource::Output { .. } => Ok(None),
        ModuleSource::File { path } | ModuleSource::Python { interpreter: path, .. } => Ok(Some(base.join(path))),
        ModuleSource::Crate { path, bin, profile } => {
            let what = What { folder: &base.join(path), bin: bin.as_deref(), profile: profile.as_deref() };
            Ok(Some(build_guest(what, toolchain, output)?))
        }
    }
}

/// Makes sure that a file begins as a module does. Whether it is a good one shows when it is compiled.
fn looks_like_module(path: &Path) -> Result<(), ModuleLoadErrorKind> {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut begin));
    let is_text = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wat"));
    // What cannot be read is told by whoever reads it next.
    if read.is_err() || is_text || begin == b"\0asm" {
        return Ok(());
    }
    Err(ModuleLoadErrorKind::NotAModule { path: path.to_owned() })
}

/// What the module in a file says of itself.
fn interface(path: &Path) -> Result<Option<Interface>, ModuleLoadErrorKind> {
    let damaged = |source| ModuleLoadErrorKind::Interface { path: path.to_owned(), source };
    let file = File::open(path).map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(ModuleLoadErrorKind::Directory { path: path.to_owned() });
    }
    // Most of it is skipped: a large buffer would read what nobody needs.
    Interface::find(BufReader::with_capacity(4096, file)).map_err(damaged)
}

fn stored(digest: Digest, blobs: &dyn BlobStore) -> Result<Digest, ModuleLoadErrorKind> {
    match blobs.find(&digest)? {
        Some(_) => Ok(digest),
        None => Err(ModuleLoadErrorKind::NotStored { digest }),
    }
}

/// Puts the module in a `.wasm` or `.wat` file into the store.
fn load_file(path: &Path, importer: &Importer, blobs: &dyn BlobStore) -> Result<Digest, ModuleLoadErrorKind> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wat")) {
        let text = std::fs::read(path).map_err(|source| ImportError::Read { path: path.to_owned(), source })?;
        let wasm = wat::parse_bytes(&text)
            .map_err(|error| ModuleLoadErrorKind::Wat { path: path.to_owned(), wrong: error.to_string() })?;
        return Ok(blobs.put(wasm.into_owned().into())?.digest);
    }
    for trust in [Trust::Remembered, Trust::Nothing] {
        match importer.path(path, &mut Staged::default(), trust)? {
            // A remembered file may be one that the store has lost since; then it is read again.
            Mount::File { blob, .. } if trust == Trust::Nothing || blobs.find(&blob.digest)?.is_some() => {
                return Ok(blob.digest);
            }
            Mount::File { .. } => {}
            Mount::Directory { .. } => break,
        }
    }
    Err(ModuleLoadErrorKind::Directory { path: path.to_owned() })
}
