//! Compiling a module before it is asked for.
//!
//! Owns: that what was begun is used by whoever asks for just this code, or stopped. Does not know: how a child compiles (`child`), or
//! where machine code is kept.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmill_model::Digest;
use wasmill_model::port::Cancel;

use super::child::{self, CompileError, Compiler, Order};
use crate::engine::{Backend, EngineKind};
use crate::validate;

/// How often whoever waits for the code looks whether that is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// A module that is compiled while it is not known yet whether it will be executed: a run that is certain to need it can read its plan and
/// make its store meanwhile. Nothing is kept of it unless somebody asks for it; when this is dropped, the compiler is stopped.
pub struct Ahead {
    order: Order,
    program: PathBuf,
    cancel: Cancel,
    state: Mutex<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    /// Which module it is: nothing comes where its file cannot be read.
    read: Receiver<Digest>,
    digest: Option<Digest>,
    made: Option<Receiver<Result<Vec<u8>, CompileError>>>,
}

impl Ahead {
    /// Begins to compile the module in a file as most jobs need it, with snapshots, or with a limit of fuel. `None` where it would be this
    /// process that compiles: that cannot be stopped.
    pub fn begin(file: &Path, compiler: &Compiler, backend: Backend, metered: bool) -> Option<Arc<Self>> {
        let Compiler::Child { program, limits } = compiler else { return None };
        let kind = EngineKind { backend, metered, native_floats: false };
        let order = Order { kind, with_snapshot: true, limits: *limits };
        let (says_which, read) = mpsc::channel();
        let (gives, made) = mpsc::channel();
        let cancel = Cancel::new();
        let (file, own_program, own_cancel) = (file.to_owned(), program.clone(), cancel.clone());
        let work = move || compile(&file, &own_program, order, &own_cancel, &says_which, &gives);
        let thread = thread::Builder::new().name("wasmill-ahead".to_owned()).spawn(work).ok()?;
        let state = Mutex::new(State { read, digest: None, made: Some(made) });
        Some(Arc::new(Self { order, program: program.clone(), cancel, state, thread: Some(thread) }))
    }

    /// The machine code, if it is this which was begun, and nobody has taken it: waits until it is made.
    pub(super) fn take(
        &self,
        digest: &Digest,
        order: Order,
        program: &Path,
        cancel: &Cancel,
    ) -> Option<Result<Vec<u8>, CompileError>> {
        if order != self.order || program != self.program {
            return None;
        }
        let made = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.digest.is_none() {
                state.digest = state.read.recv().ok();
            }
            if state.digest.as_ref() != Some(digest) {
                return None;
            }
            state.made.take()?
        };
        loop {
            match made.recv_timeout(LOOK) {
                // Perhaps it goes well when it is tried again.
                Ok(Err(CompileError::Runner(_))) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(code) => return Some(code),
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                    self.cancel.cancel();
                    return Some(Err(CompileError::Cancelled));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Whoever does not listen any more needs nothing.
fn compile(
    file: &Path,
    program: &PathBuf,
    order: Order,
    cancel: &Cancel,
    says_which: &Sender<Digest>,
    gives: &Sender<Result<Vec<u8>, CompileError>>,
) {
    // What is wrong with a file is said by those who need it. One that is no regular file could be waited for without end.
    if !fs::metadata(file).is_ok_and(|metadata| metadata.is_file()) {
        return;
    }
    let Ok(wasm) = fs::read(file) else { return };
    if validate::check_header(&wasm).is_err() || says_which.send(Digest::of(&wasm)).is_err() {
        return;
    }
    let bounded = validate::check_bounds(&wasm).map_err(CompileError::Module);
    let _ = gives.send(bounded.and_then(|()| child::compile(program, order, &wasm, cancel)));
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.cancel.cancel();
        // So that no compiler is left behind.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("order", &self.order).finish_non_exhaustive()
    }
}
