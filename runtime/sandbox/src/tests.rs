//! The sandbox from the outside: actions in, results out. Guests are small texts of WebAssembly, so that each test
//! shows what it does.

mod components;
mod files;
mod hostile;
mod modules;
mod outcomes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::sync::Mutex;

use bytes::Bytes;
use wasmill_model::port::{Artifact, StoreError};
use wasmill_model::{
    Action, ActionResult, BlobRef, Directory, Floats, GuestPath, Hasher, Limits, Mount, Outcome, OutputPath, Timeout,
};

use super::*;

/// A store in memory, and artifacts in a folder.
struct Memory {
    blobs: Mutex<HashMap<Digest, Bytes>>,
    artifacts: Mutex<HashMap<Digest, Artifact>>,
    dir: tempfile::TempDir,
}

impl BlobStore for Memory {
    fn get(&self, blob: &BlobRef) -> Result<Bytes, StoreError> {
        if *blob == BlobRef::EMPTY {
            return Ok(Bytes::new());
        }
        self.blobs.lock().unwrap().get(&blob.digest).cloned().ok_or(StoreError::Missing(blob.digest))
    }

    fn find(&self, digest: &Digest) -> Result<Option<BlobRef>, StoreError> {
        let size = self.blobs.lock().unwrap().get(digest).map(|bytes| bytes.len() as u64);
        Ok(size.map(|size_bytes| BlobRef { digest: *digest, size_bytes }))
    }

    fn put(&self, bytes: Bytes) -> Result<BlobRef, StoreError> {
        let blob = BlobRef::of(&bytes);
        self.blobs.lock().unwrap().insert(blob.digest, bytes);
        Ok(blob)
    }

    fn put_reader(&self, reader: &mut dyn Read) -> Result<BlobRef, StoreError> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        self.put(bytes.into())
    }
}

impl ArtifactCache for Memory {
    fn artifact(&self, key: &Digest) -> Result<Option<Artifact>, StoreError> {
        Ok(self.artifacts.lock().unwrap().get(key).cloned())
    }

    fn keep_artifact(&self, key: &Digest, bytes: &[u8]) -> Result<Artifact, StoreError> {
        let path = self.dir.path().join(key.to_hex());
        std::fs::write(&path, bytes).unwrap();
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        let artifact = Artifact { path, digest: hasher.finish().digest };
        self.artifacts.lock().unwrap().insert(*key, artifact.clone());
        Ok(artifact)
    }
}

/// A sandbox and the store behind it.
struct Space {
    memory: Arc<Memory>,
    sandbox: Sandbox,
}

impl Space {
    fn new(slots: usize) -> Self {
        let memory = Memory { blobs: Mutex::default(), artifacts: Mutex::default(), dir: tempfile::tempdir().unwrap() };
        let memory = Arc::new(memory);
        let sandbox =
            Sandbox::new(Options { slots, ..Options::default() }, Arc::clone(&memory) as _, Arc::clone(&memory) as _)
                .unwrap();
        Self { memory, sandbox }
    }

    fn put(&self, bytes: impl Into<Vec<u8>>) -> BlobRef {
        self.memory.put(Bytes::from(bytes.into())).unwrap()
    }

    /// An action without inputs.
    fn action(&self, wat: &str) -> Action {
        let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"));
        Action {
            abi: 1,
            module: self.put(wasm).digest,
            args: vec!["main".to_owned()],
            env: BTreeMap::new(),
            stdin: BlobRef::EMPTY,
            mounts: BTreeMap::new(),
            outputs: BTreeSet::new(),
            seed: 0,
            limits: Limits { memory_bytes: 16 << 20, fuel: None, output_bytes: 1 << 20 },
            fuel_schedule: 1,
            floats: Floats::Canonical,
        }
    }

    fn run(&self, action: &Action) -> Execution {
        self.try_run(action).unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn try_run(&self, action: &Action) -> Result<Execution, RunnerError> {
        self.run_with(action, 10_000, &Cancel::new())
    }

    fn run_with(&self, action: &Action, wall_ms: u64, cancel: &Cancel) -> Result<Execution, RunnerError> {
        self.sandbox.run(Request { action, key: action.key(), timeout: Timeout { wall_ms }, listener: None }, cancel)
    }

    fn outcome(&self, wat: &str) -> Outcome {
        self.run(&self.action(wat)).result.outcome
    }

    fn text(&self, blob: BlobRef) -> String {
        String::from_utf8(self.memory.get(&blob).unwrap().to_vec()).unwrap()
    }

    /// The output's files with their content, directories with a `/` at the end, links with their target.
    fn outputs(&self, result: &ActionResult) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        self.list(result.output, "", &mut found);
        found
    }

    fn list(&self, blob: BlobRef, prefix: &str, found: &mut BTreeMap<String, String>) {
        let directory = Directory::decode(&self.memory.get(&blob).unwrap()).unwrap();
        for file in directory.files {
            found.insert(format!("{prefix}{}", file.name), self.text(file.blob));
        }
        for link in directory.symlinks {
            found.insert(format!("{prefix}{}", link.name), link.target);
        }
        for below in directory.directories {
            found.insert(format!("{prefix}{}/", below.name), String::new());
            self.list(below.blob, &format!("{prefix}{}/", below.name), found);
        }
    }
}

fn path(text: &str) -> GuestPath {
    GuestPath::new(text).unwrap()
}

/// A program whose `_start` does `body`, with all of preview 1 imported under its own names, a memory of one page,
/// and some helpers: `$exit_unless` ends it with the number of the first thing that went otherwise than it should.
fn program(body: &str) -> String {
    format!(
        r#"(module
  {imports}
  (memory (export "memory") 1)
  ;; Exits with `step` unless `got` is `wanted`.
  (func $expect (param $step i32) (param $got i32) (param $wanted i32)
    (if (i32.ne (local.get $got) (local.get $wanted))
      (then (call $proc_exit (i32.add (i32.mul (local.get $step) (i32.const 1000)) (local.get $got))))))
  ;; Opens a path below `/` and returns the descriptor, or minus the error.
  (func $open (param $path i32) (param $len i32) (param $oflags i32) (param $rights i64) (param $flags i32) (result i32)
    (local $errno i32)
    (local.set $errno (call $path_open (i32.const 3) (i32.const 1) (local.get $path) (local.get $len)
      (local.get $oflags) (local.get $rights) (i64.const 0) (local.get $flags) (i32.const 60000)))
    (if (result i32) (local.get $errno)
      (then (i32.sub (i32.const 0) (local.get $errno)))
      (else (i32.load (i32.const 60000)))))
  ;; Writes bytes to a descriptor and returns the error.
  (func $write (param $fd i32) (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 60008) (local.get $at))
    (i32.store (i32.const 60012) (local.get $len))
    (call $fd_write (local.get $fd) (i32.const 60008) (i32.const 1) (i32.const 60016)))
  ;; Reads bytes from a descriptor and returns how many, or minus the error.
  (func $read (param $fd i32) (param $at i32) (param $len i32) (result i32)
    (local $errno i32)
    (i32.store (i32.const 60008) (local.get $at))
    (i32.store (i32.const 60012) (local.get $len))
    (local.set $errno (call $fd_read (local.get $fd) (i32.const 60008) (i32.const 1) (i32.const 60016)))
    (if (result i32) (local.get $errno)
      (then (i32.sub (i32.const 0) (local.get $errno)))
      (else (i32.load (i32.const 60016)))))
  {body})"#,
        imports = imports().iter().map(|(name, params)| import(name, params)).collect::<String>()
    )
}

fn import(name: &str, params: &str) -> String {
    let result = if name == "proc_exit" { "" } else { "(result i32)" };
    let params: Vec<&str> = params.chars().map(|kind| if kind == 'l' { "i64" } else { "i32" }).collect();
    let params = if params.is_empty() { String::new() } else { format!("(param {})", params.join(" ")) };
    format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {params} {result}))\n  ")
}

/// Every function of preview 1 with its parameters, `i` for i32 and `l` for i64, as the specification has them.
fn imports() -> Vec<(&'static str, &'static str)> {
    vec![
        ("args_get", "ii"),
        ("args_sizes_get", "ii"),
        ("environ_get", "ii"),
        ("environ_sizes_get", "ii"),
        ("clock_res_get", "ii"),
        ("clock_time_get", "ili"),
        ("fd_advise", "illi"),
        ("fd_allocate", "ill"),
        ("fd_close", "i"),
        ("fd_datasync", "i"),
        ("fd_fdstat_get", "ii"),
        ("fd_fdstat_set_flags", "ii"),
        ("fd_fdstat_set_rights", "ill"),
        ("fd_filestat_get", "ii"),
        ("fd_filestat_set_size", "il"),
        ("fd_filestat_set_times", "illi"),
        ("fd_pread", "iiili"),
        ("fd_prestat_get", "ii"),
        ("fd_prestat_dir_name", "iii"),
        ("fd_pwrite", "iiili"),
        ("fd_read", "iiii"),
        ("fd_readdir", "iiili"),
        ("fd_renumber", "ii"),
        ("fd_seek", "ilii"),
        ("fd_sync", "i"),
        ("fd_tell", "ii"),
        ("fd_write", "iiii"),
        ("path_create_directory", "iii"),
        ("path_filestat_get", "iiiii"),
        ("path_filestat_set_times", "iiiilli"),
        ("path_link", "iiiiiii"),
        ("path_open", "iiiiillii"),
        ("path_readlink", "iiiiii"),
        ("path_remove_directory", "iii"),
        ("path_rename", "iiiiii"),
        ("path_symlink", "iiiii"),
        ("path_unlink_file", "iii"),
        ("poll_oneoff", "iiii"),
        ("proc_exit", "i"),
        ("proc_raise", "i"),
        ("random_get", "ii"),
        ("sched_yield", ""),
        ("sock_accept", "iii"),
        ("sock_recv", "iiiiii"),
        ("sock_send", "iiiii"),
        ("sock_shutdown", "ii"),
    ]
}
