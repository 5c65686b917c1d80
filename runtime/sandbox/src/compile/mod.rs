//! Modules as machine code.
//!
//! Owns: compiling each module once per engine, keeping the code in the artifact cache, and loading it from there
//! only if its digest is right. Does not know: what is wrong with a bad module (`validate`), which process compiles
//! (`child`), what is compiled before it is asked for (`ahead`).

mod ahead;
mod child;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{Hash, Hasher as _};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmill_model::port::{Artifact, ArtifactCache, BlobStore, Cancel, ModuleError, RunnerError, StoreError};
use wasmill_model::{Digest, Hasher};
use wasmtime::component::Component;
use wasmtime::{Engine, InstancePre, Module, ModuleExport};

pub use ahead::Ahead;
pub(crate) use child::CompileError;
use child::Order;
pub use child::{CompileLimits, Compiler, serve};

use crate::component::{self, PreparedComponent};
use crate::engine::{EngineKind, PreparedEngine, host};
use crate::instance::World;
use crate::prepare;
use crate::validate::{self, Layer};

/// What an artifact's key starts with; a change of how artifacts are made takes a new number.
const KEY_MAGIC: &[u8] = b"wasmill artifact 2\n";

/// What the key of a component's artifact starts with: it is no module's, and is loaded by another way.
const COMPONENT_KEY_MAGIC: &[u8] = b"wasmill component artifact 2\n";

/// A module or component that is ready to be instantiated.
pub(crate) enum PreparedModule {
    Core {
        instance: InstancePre<World>,
        /// `_start`, looked up once.
        start: ModuleExport,
        /// Whether and when it is initialised.
        initialised: Initialised,
    },
    Component(PreparedComponent),
}

/// Whether and when a module's initialiser runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Initialised {
    /// It has none.
    Never,
    /// It ran when the module was compiled: this is a snapshot.
    Before,
    /// It runs in each instance, before that starts.
    Each,
}

/// Machine code that is loaded.
enum Code {
    Module(Module),
    Component(Component),
}

/// A module that some thread makes while others wait for it. What is wrong with a bad one is remembered too: finding
/// it out may have cost minutes.
#[derive(Default)]
struct Making {
    made: OnceLock<Result<Arc<PreparedModule>, ModuleError>>,
    one_at_a_time: Mutex<()>,
}

/// The modules of one sandbox.
pub(crate) struct Modules {
    artifacts: Arc<dyn ArtifactCache>,
    compiler: Compiler,
    /// What was begun before there was a sandbox.
    ahead: Option<Arc<Ahead>>,
    /// Whether modules with an initialiser are initialised once for all instances.
    snapshots: bool,
    prepared: Mutex<HashMap<(Digest, EngineKind), Arc<Making>>>,
}

impl Modules {
    pub(crate) fn new(
        artifacts: Arc<dyn ArtifactCache>,
        compiler: Compiler,
        ahead: Option<Arc<Ahead>>,
        snapshots: bool,
    ) -> Self {
        Self { artifacts, compiler, ahead, snapshots, prepared: Mutex::new(HashMap::new()) }
    }

    /// The module of a digest, compiled for `engine`. Threads that ask for the same one wait for the first.
    pub(crate) fn get(
        &self,
        digest: &Digest,
        engine: &PreparedEngine,
        blobs: &dyn BlobStore,
        cancel: &Cancel,
    ) -> Result<Arc<PreparedModule>, CompileError> {
        let making = {
            let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(prepared.entry((*digest, engine.kind)).or_default())
        };
        if let Some(made) = making.made.get() {
            return made.clone().map_err(CompileError::Module);
        }
        let _one_at_a_time = making.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = making.made.get() {
            return made.clone().map_err(CompileError::Module);
        }
        let made = match self.prepare(digest, engine, blobs, cancel) {
            Ok(module) => Ok(Arc::new(module)),
            Err(CompileError::Module(error)) => Err(error),
            // Perhaps it goes well next time.
            Err(other) => return Err(other),
        };
        making.made.get_or_init(|| made).clone().map_err(CompileError::Module)
    }

    fn prepare(
        &self,
        digest: &Digest,
        engine: &PreparedEngine,
        blobs: &dyn BlobStore,
        cancel: &Cancel,
    ) -> Result<PreparedModule, CompileError> {
        let bad = CompileError::Module;
        let code = match self.load(digest, &engine.engine)? {
            Some(code) => code,
            None => {
                let blob = blobs.find(digest).map_err(RunnerError::from)?;
                let blob = blob.ok_or(RunnerError::Store(StoreError::Missing(*digest)))?;
                let wasm = blobs.get(&blob).map_err(RunnerError::from)?;
                self.compile(digest, &wasm, engine, cancel)?
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
        let initialised = match (module.get_export(prepare::INITIALISER), self.snapshots) {
            (None, _) => Initialised::Never,
            (Some(_), true) => Initialised::Before,
            (Some(_), false) => Initialised::Each,
        };
        let is_each = initialised == Initialised::Each;
        let linker = if is_each { &engine.initialising_linker } else { &engine.linker };
        let instance = linker.instantiate_pre(&module).map_err(|error| host("link the module", error))?;
        Ok(PreparedModule::Core { instance, start, initialised })
    }

    /// The machine code of a digest, if it is there. Which of the two keys it has says what it is.
    fn load(&self, digest: &Digest, engine: &Engine) -> Result<Option<Code>, RunnerError> {
        for layer in [Layer::Module, Layer::Component] {
            let Some(artifact) = self.artifacts.artifact(&artifact_key(layer, digest, engine, self.snapshots))? else {
                continue;
            };
            match load(layer, &artifact, engine) {
                Ok(code) => return Ok(Some(code)),
                Err(error) => {
                    tracing::warn!("machine code in {} is not usable: {error:#}", artifact.path.display());
                }
            }
        }
        Ok(None)
    }

    fn compile(
        &self,
        digest: &Digest,
        wasm: &[u8],
        engine: &PreparedEngine,
        cancel: &Cancel,
    ) -> Result<Code, CompileError> {
        let layer = validate::check_header(wasm).map_err(CompileError::Module)?;
        validate::check_bounds(wasm).map_err(CompileError::Module)?;
        let code = match &self.compiler {
            Compiler::Here => prepare::machine_code(&engine.engine, layer, wasm, self.snapshots)
                .map_err(|wrong| CompileError::Module(ModuleError::Invalid(wrong)))?,
            Compiler::Child { program, limits } => {
                let order = Order { kind: engine.kind, with_snapshot: self.snapshots, limits: *limits };
                let begun = self.ahead.as_ref().and_then(|ahead| ahead.take(digest, order, program, cancel));
                begun.unwrap_or_else(|| child::compile(program, order, wasm, cancel))?
            }
        };
        let key = artifact_key(layer, digest, &engine.engine, self.snapshots);
        let artifact = self.artifacts.keep_artifact(&key, &code).map_err(RunnerError::from)?;
        // Loaded from the file, as every later time, so that the pages are shared. What the pool has no room for is
        // refused here.
        load(layer, &artifact, &engine.engine)
            .map_err(|error| CompileError::Module(ModuleError::Invalid(validate::compiler_text(&error))))
    }
}

/// The name of a module's machine code: whatever shapes the code is in it.
fn artifact_key(layer: Layer, module: &Digest, engine: &Engine, with_snapshot: bool) -> Digest {
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
    feed.write(&[u8::from(with_snapshot)]);
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
