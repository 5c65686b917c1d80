//! Functions that `#[job]` refuses, each for a reason of its own.

use wasmill_sdk::prelude::*;

#[job]
async fn waits() {}

#[job]
fn generic<T>(_: T) {}

#[job]
fn bounded()
where
    u8: Copy,
{
}

#[job]
fn two(_: u8, _: u8) {}

#[job]
unsafe fn dangerous() {}

#[job]
extern "C" fn foreign() {}

#[job]
fn borrowed(_: &str) {}

#[job]
fn some(_: impl Deserialize<'static>) {}

#[job(name = "other")]
fn renamed() {}

struct State;

impl State {
    #[job]
    fn method(&self) {}
}

#[job]
struct Data;

wasmill_sdk::main!();
