//! Jobs of the guest SDK that start from what an initialiser made, once for all of them.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use wasmill_sdk::prelude::*;

/// What it costs something to make, and what no other thread may see.
struct Words {
    by_letter: HashMap<char, Vec<Rc<str>>>,
    asked: Cell<u32>,
}

/// Sorts the words by their first letter.
#[init]
fn words() -> Result<Words> {
    log::info!("nobody hears this");
    eprintln!("nor reads this");
    let mut by_letter: HashMap<char, Vec<Rc<str>>> = HashMap::new();
    for word in include_str!("../../../../docs/glossary.md").split(|letter: char| !letter.is_alphabetic()) {
        let letter = word.chars().next().unwrap_or('-');
        by_letter.entry(letter).or_default().push(word.into());
    }
    let asked = Cell::new(0);
    Ok(Words { by_letter, asked })
}

/// How many words begin with a letter, and how often that was asked.
#[job]
fn begin_with(letter: char) -> (usize, u32) {
    let words = words();
    words.asked.set(words.asked.get() + 1);
    (words.by_letter.get(&letter).map_or(0, Vec::len), words.asked.get())
}

/// The first letters in the order of the map, which comes of random numbers.
#[job]
fn order() -> String {
    words().by_letter.keys().collect()
}

wasmill_sdk::main!();
