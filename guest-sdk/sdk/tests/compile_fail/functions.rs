//! Functions that `#[job]` refuses, each for a reason of its own.

use wasmill_sdk::prelude::*;

#[job]
async fn waits() {}

#[job]
fn generic<T>(value: T) {}

#[job]
fn bounded()
where
    u8: Copy,
{
}

#[job]
fn nameless(_: u8) {}

#[job]
fn two((a, b): (u8, u8)) {}

#[job]
unsafe fn dangerous() {}

#[job]
extern "C" fn foreign() {}

#[job]
fn borrowed(text: &str) {}

#[job]
fn some(value: impl Deserialize<'static>) {}

#[job(name = "other")]
fn renamed() {}

#[job]
fn hidden() -> impl Serialize {}

struct State;

impl State {
    #[job]
    fn method(&self) {}
}

#[job]
struct Data;

wasmill_sdk::main!();
