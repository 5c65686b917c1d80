//! Functions that `#[init]` refuses, each for a reason of its own.

use wasmill_sdk::prelude::*;

#[init]
async fn waits() -> u8 { loop {} }

#[init]
fn generic<T>() -> T { loop {} }

#[init]
fn takes(value: u8) -> u8 { loop {} }

#[init]
unsafe fn dangerous() -> u8 { loop {} }

#[init]
extern "C" fn foreign() -> u8 { loop {} }

#[init]
fn nothing() {}

#[init]
fn hidden() -> impl Serialize { 1 }

#[init(early)]
fn early() -> u8 { loop {} }

#[init]
struct Data;

#[init]
fn fails() -> Result<u8, u8> {
    Ok(1)
}

fn main() {}
