//! Types that cannot be several results, each for a reason of its own.

use wasmill_sdk::prelude::*;

#[derive(Outputs)]
enum One {
    A,
}

#[derive(Outputs)]
struct Tuple(u8, u8);

#[derive(Outputs)]
struct Empty {}

#[derive(Outputs)]
struct Generic<T> {
    value: T,
}

#[derive(Outputs)]
struct Taken {
    path: u8,
}

struct Unwritable;

#[derive(Outputs)]
struct Parts {
    fine: u8,
    part: Unwritable,
}

fn main() {}
