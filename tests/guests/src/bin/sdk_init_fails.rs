//! A module of the guest SDK whose initialiser returns an error.

use wasmill_sdk::prelude::*;

#[init]
fn table() -> Result<Vec<u32>> {
    let table: Result<Vec<u32>> = "1 2 x".split(' ').map(|number| Ok(number.parse()?)).collect();
    table.context("the table is no table")
}

/// Uses it.
#[job]
fn len() -> usize {
    table().len()
}

wasmill_sdk::main!();
