//! The modules of a plan, as blobs.
//!
//! Owns: getting the bytes of each module that a run needs. Does not know: whether they are valid; the runner
//! says so when the first job of a module is executed.

use std::collections::BTreeMap;
use std::path::Path;

use wasmill_model::plan::ModuleSource;
use wasmill_model::port::BlobStore;
use wasmill_model::{Digest, Mount};

use crate::error::{ImportError, ModuleLoadError, ModuleLoadErrorKind};
use crate::graph::Graph;
use crate::guest_build::{BuildOutput, Toolchain, build_guest};
use crate::import::{Importer, Staged, Trust};

/// The digest of each module, by its name in the plan.
pub type LoadedModules = BTreeMap<String, Digest>;

impl Graph {
    /// Puts the modules that the selected jobs run into the store, building what has to be built.
    ///
    /// # Errors
    /// Every module that cannot be had.
    pub fn load_modules(
        &self,
        importer: &Importer,
        blobs: &dyn BlobStore,
        toolchain: &Toolchain,
        output: BuildOutput,
    ) -> Result<LoadedModules, Vec<ModuleLoadError>> {
        let used = self.modules_used();
        let base = &self.scopes[0].base;
        let mut loaded = LoadedModules::new();
        let mut errors = Vec::new();
        for (name, source) in self.modules.iter().filter(|(name, _)| used.contains(name.as_str())) {
            let digest = match &source.value {
                ModuleSource::Digest(digest) => stored(*digest, blobs),
                // Only a plan that is yielded has these.
                ModuleSource::Output { .. } => continue,
                ModuleSource::File { path } => load_file(&base.join(path), importer, blobs),
                ModuleSource::Crate { path, bin } => build_guest(&base.join(path), bin.as_deref(), toolchain, output)
                    .map_err(ModuleLoadErrorKind::from)
                    .and_then(|wasm| load_file(&wasm, importer, blobs)),
            };
            match digest {
                Ok(digest) => drop(loaded.insert(name.clone(), digest)),
                Err(kind) => errors.push(ModuleLoadError { module: name.clone(), kind }),
            }
        }
        if errors.is_empty() { Ok(loaded) } else { Err(errors) }
    }
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
