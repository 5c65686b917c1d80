//! `wasmill exec --action`: executing exactly what a job was asked to do, once more.
//!
//! Owns: finding the action, and passing on what comes of it. Does not know: plans.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;
use wasmill_executor::export;
use wasmill_model::port::{ActionCache as _, BlobStore as _, RunnerError, StoreError};
use wasmill_model::{ActionKey, BlobRef, Timeout};

use crate::args::{Global, OutputFormat};
use crate::error::CliError;
use crate::exit_code;
use crate::mill::Mill;
use crate::report::print;

/// Executes a recorded action; what it leaves goes to `out`, if anything is named there.
pub(super) fn again(global: &Global, key: ActionKey, timeout: Timeout, out: Option<&Path>) -> Result<u8, CliError> {
    let mill = Mill::open(global)?;
    let store = |error| CliError::store(&error);
    let action = mill.storage.action(&key).map_err(store)?.ok_or_else(|| {
        CliError::new(exit_code::INPUT, format!("there is no action {key} in the store"))
            .hint("`wasmill show RUN JOB` has the key of a job's action; old ones go with their runs")
    })?;
    let execution = mill.attempt(&action, key, timeout).map_err(|error| match error {
        RunnerError::Store(StoreError::Missing(digest)) => CliError::new(
            exit_code::INPUT,
            format!("blob {digest}, which the action takes, is not in the store any more"),
        ),
        error => CliError::from_error(exit_code::HOST, &error),
    })?;
    let result = &execution.result;
    let recorded = mill.storage.lookup(&key).map_err(store)?.hit();
    let is_same = recorded.map(|record| record.result == *result);
    if global.format == OutputFormat::Json {
        let said = json!({ "action": key, "result": result, "usage": execution.usage, "as_recorded": is_same });
        print(format!("{said}\n").as_bytes());
    } else {
        let bytes = |blob: BlobRef| mill.storage.get(&blob).map_err(store);
        print(&bytes(result.stdout)?);
        // Nobody could be told.
        let _ = std::io::stderr().write_all(&bytes(result.stderr)?);
        if is_same == Some(false) {
            eprintln!("warning: this is not the result that is recorded; `wasmill verify` says where they differ");
        }
        if !result.outcome.is_success() {
            eprintln!("the guest {}", result.outcome);
        }
    }
    if let Some(out) = out.filter(|_| result.outcome.is_success()) {
        let target = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
        export(mill.storage.as_ref(), result.output, None, &target)
            .map_err(|error| CliError::from_error(exit_code::HOST, &error))?;
    }
    let code = exit_code::of_outcome(&result.outcome);
    mill.close()?;
    Ok(code)
}
