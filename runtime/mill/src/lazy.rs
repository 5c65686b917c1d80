//! A sandbox that is made when it is first needed.
//!
//! Owns: that a run in which everything is cached starts no engine. Does not know: what is executed.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmill_model::port::{Cancel, Execution, Request, Runner, RunnerError, Traits};
use wasmill_sandbox::{Options, Sandbox};
use wasmill_storage::Storage;

/// A sandbox that is made when the first action has to be executed.
pub struct LazySandbox {
    options: Options,
    storage: Arc<Storage>,
    made: OnceLock<Sandbox>,
    making: Mutex<()>,
}

impl LazySandbox {
    /// One that will be made with these options.
    pub fn new(options: Options, storage: Arc<Storage>) -> Self {
        Self { options, storage, made: OnceLock::new(), making: Mutex::new(()) }
    }

    fn sandbox(&self) -> Result<&Sandbox, RunnerError> {
        if let Some(sandbox) = self.made.get() {
            return Ok(sandbox);
        }
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sandbox) = self.made.get() {
            return Ok(sandbox);
        }
        let sandbox =
            Sandbox::new(self.options.clone(), Arc::clone(&self.storage) as _, Arc::clone(&self.storage) as _)
                .map_err(|error| RunnerError::Host {
                    doing: "start the WebAssembly engine",
                    source: Box::new(error),
                })?;
        Ok(self.made.get_or_init(|| sandbox))
    }
}

impl Runner for LazySandbox {
    fn run(&self, request: Request<'_>, cancel: &Cancel) -> Result<Execution, RunnerError> {
        self.sandbox()?.run(request, cancel)
    }

    fn traits(&self) -> Traits {
        wasmill_sandbox::traits(self.options.backend)
    }
}
