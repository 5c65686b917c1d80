//! Modules as machine code.
//!
//! Owns: compiling each module once per engine, keeping the code in the artifact cache, and loading it from there
//! only if its digest is right. Does not know: what is wrong with a bad module (`validate`).

use std::collections::HashMap;
use std::fs::File;
use std::hash::{Hash, Hasher as _};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmill_model::port::{Artifact, ArtifactCache, BlobStore, ModuleError, RunnerError, StoreError};
use wasmill_model::{Digest, Hasher};
use wasmtime::component::Component;
use wasmtime::{Engine, InstancePre, Module, ModuleExport};

use crate::component::{self, PreparedComponent};
use crate::engine::{PreparedEngine, host};
use crate::instance::World;
use crate::validate::{self, Layer};

/// What an artifact's key starts with; a change of how artifacts are made takes a new number.
const KEY_MAGIC: &[u8] = b"wasmill artifact 1\n";

/// What the key of a component's artifact starts with: it is no module's, and is loaded by another way.
const COMPONENT_KEY_MAGIC: &[u8] = b"wasmill component artifact 1\n";

/// A module or component that is ready to be instantiated.
pub(crate) enum PreparedModule {
    Core {
        instance: InstancePre<World>,
        /// `_start`, looked up once.
        start: ModuleExport,
    },
    Component(PreparedComponent),
}

/// Machine code that is loaded.
enum Code {
    Module(Module),
    Component(Component),
}

/// A module that some thread makes while others wait for it.
#[derive(Default)]
struct Making {
    made: OnceLock<Arc<PreparedModule>>,
    one_at_a_time: Mutex<()>,
}

/// The modules of one sandbox.
pub(crate) struct Modules {
    artifacts: Arc<dyn ArtifactCache>,
    /// By digest, and by whether the engine counts fuel.
    prepared: Mutex<HashMap<(Digest, bool), Arc<Making>>>,
}

impl Modules {
    pub(crate) fn new(artifacts: Arc<dyn ArtifactCache>) -> Self {
        Self { artifacts, prepared: Mutex::new(HashMap::new()) }
    }

    /// The module of a digest, compiled for `engine`. Threads that ask for the same one wait for the first.
    pub(crate) fn get(
        &self,
        digest: &Digest,
        engine: &PreparedEngine,
        blobs: &dyn BlobStore,
    ) -> Result<Arc<PreparedModule>, RunnerError> {
        let making = {
            let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(prepared.entry((*digest, engine.metered)).or_default())
        };
        if let Some(module) = making.made.get() {
            return Ok(Arc::clone(module));
        }
        let _one_at_a_time = making.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = making.made.get() {
            return Ok(Arc::clone(module));
        }
        let module = Arc::new(self.prepare(digest, engine, blobs)?);
        Ok(Arc::clone(making.made.get_or_init(|| module)))
    }

    fn prepare(
        &self,
        digest: &Digest,
        engine: &PreparedEngine,
        blobs: &dyn BlobStore,
    ) -> Result<PreparedModule, RunnerError> {
        let bad = |source: ModuleError| RunnerError::Module { module: *digest, source };
        let code = match self.load(digest, &engine.engine)? {
            Some(code) => code,
            None => {
                let blob = blobs.find(digest)?.ok_or(StoreError::Missing(*digest))?;
                let wasm = blobs.get(&blob)?;
                self.compile(digest, &wasm, &engine.engine).map_err(|error| match error {
                    CompileError::Module(error) => bad(error),
                    CompileError::Store(error) => RunnerError::Store(error),
                })?
            }
        };
        let module = match code {
            Code::Module(module) => module,
            Code::Component(component) => {
                let linker =
                    engine.component_linker().map_err(|error| host("offer WASI preview 2 to components", error))?;
                return component::prepare(&component, linker).map(PreparedModule::Component).map_err(bad);
            }
        };
        validate::check_tables(&module).map_err(bad)?;
        validate::check_imports(&module, &engine.linker, &engine.engine).map_err(bad)?;
        let start = validate::find_start(&module).map_err(bad)?;
        let instance = engine.linker.instantiate_pre(&module).map_err(|error| host("link the module", error))?;
        Ok(PreparedModule::Core { instance, start })
    }

    /// The machine code of a digest, if it is there. Which of the two keys it has says what it is.
    fn load(&self, digest: &Digest, engine: &Engine) -> Result<Option<Code>, RunnerError> {
        for layer in [Layer::Module, Layer::Component] {
            let Some(artifact) = self.artifacts.artifact(&artifact_key(layer, digest, engine))? else { continue };
            match load(layer, &artifact, engine) {
                Ok(code) => return Ok(Some(code)),
                Err(error) => {
                    tracing::warn!("machine code in {} is not usable: {error:#}", artifact.path.display());
                }
            }
        }
        Ok(None)
    }

    fn compile(&self, digest: &Digest, wasm: &[u8], engine: &Engine) -> Result<Code, CompileError> {
        let invalid = |error: wasmtime::Error| CompileError::Module(validate::invalid(&error));
        let layer = validate::check_header(wasm).map_err(CompileError::Module)?;
        let code = match layer {
            Layer::Module => engine.precompile_module(wasm),
            Layer::Component => engine.precompile_component(wasm),
        };
        let code = code.map_err(invalid)?;
        let key = artifact_key(layer, digest, engine);
        let artifact = self.artifacts.keep_artifact(&key, &code).map_err(CompileError::Store)?;
        // Loaded from the file, as every later time, so that the pages are shared; or else from memory.
        match (load(layer, &artifact, engine), layer) {
            (Ok(code), _) => Ok(code),
            (Err(_), Layer::Module) => Module::new(engine, wasm).map(Code::Module).map_err(invalid),
            (Err(_), Layer::Component) => Component::new(engine, wasm).map(Code::Component).map_err(invalid),
        }
    }
}

enum CompileError {
    Module(ModuleError),
    Store(StoreError),
}

/// The name of a module's machine code: whatever shapes the code is in it.
fn artifact_key(layer: Layer, module: &Digest, engine: &Engine) -> Digest {
    /// Lets wasmtime's hash of its version and settings flow into a digest.
    struct Feed(Hasher);
    impl std::hash::Hasher for Feed {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut feed = Feed(Hasher::new());
    feed.write(match layer {
        Layer::Module => KEY_MAGIC,
        Layer::Component => COMPONENT_KEY_MAGIC,
    });
    feed.write(module.as_bytes());
    engine.precompile_compatibility_hash().hash(&mut feed);
    feed.0.finish().digest
}

fn load(layer: Layer, artifact: &Artifact, engine: &Engine) -> wasmtime::Result<Code> {
    match layer {
        Layer::Module => deserialize(engine, open_checked(artifact)?).map(Code::Module),
        Layer::Component => deserialize_component(engine, &read_checked(artifact)?).map(Code::Component),
    }
}

/// Opens an artifact and makes sure that its bytes are the ones that were written.
fn open_checked(artifact: &Artifact) -> std::io::Result<File> {
    let mut file = File::open(&artifact.path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    if hasher.finish().digest != artifact.digest {
        return Err(std::io::Error::other("its digest is not what it was"));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Reads an artifact and makes sure that its bytes are the ones that were written.
fn read_checked(artifact: &Artifact) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::read(&artifact.path)?;
    if Digest::of(&bytes) != artifact.digest {
        return Err(std::io::Error::other("its digest is not what it was"));
    }
    Ok(bytes)
}

#[expect(unsafe_code, reason = "wasmtime trusts machine code that is handed to it")]
fn deserialize(engine: &Engine, file: File) -> wasmtime::Result<Module> {
    // SAFETY: wasmtime asks that the bytes come from `precompile_module` of the same version and are not changed
    // while the module lives. They were written by `Modules::compile` into a directory that only this user can
    // write, under a key that has wasmtime's version and settings in it; their digest was checked through this
    // very handle; and artifacts are replaced by renaming, never written to.
    unsafe { Module::deserialize_open_file(engine, file) }
}

/// wasmtime maps a component's code by its path only, so it is copied: what was checked is what is used.
#[expect(unsafe_code, reason = "wasmtime trusts machine code that is handed to it")]
fn deserialize_component(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: as in `deserialize`, with `precompile_component`; the bytes are ours, and copied.
    unsafe { Component::deserialize(engine, bytes) }
}
