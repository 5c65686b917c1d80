//! One job: runs a script of JavaScript, in an engine that was started and given its libraries beforehand.
//!
//! Owns: the job's parameters and its initialiser. Does not know: how the engine works, which scripts there are.

mod engine;

use wasmill_sdk::prelude::*;

use engine::Engine;

/// The engine with all libraries loaded, made once, when the module is prepared.
#[init]
fn engine() -> Result<Engine> {
    Engine::new().map_err(Error::msg)
}

/// Runs a script and gives what it comes to, as JSON.
///
/// `name` is what the script is called in messages, `data` what it finds in its variable `data`, and `seed`, any text, decides
/// what `Math.random` gives.
#[job]
fn script(name: Option<String>, script: Text, data: Option<Text>, seed: Option<String>) -> Result<serde_json::Value> {
    let name = name.as_deref().unwrap_or("script.js");
    engine().run(name, &script, data.as_deref(), seed.as_deref().unwrap_or_default()).map_err(Error::msg)
}

wasmill_sdk::main!();
