//! Types that cannot be given or returned, each reported where it is written.

use wasmill_sdk::prelude::*;

struct Plain;

#[job]
fn takes(_plain: Plain) {}

#[job]
fn gives() -> Plain {
    Plain
}

#[derive(Schema)]
union Either {
    number: u8,
}

#[derive(Schema)]
struct Odd {
    #[schema(hidden)]
    part: u8,
}

wasmill_sdk::main!();
