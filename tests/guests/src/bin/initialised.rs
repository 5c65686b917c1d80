//! Does costly work in an initialiser, once for all of its jobs: the primes below two million, and some random numbers.
//! Then says what it has, so that a run from a snapshot can be compared with one that initialises itself.

use std::collections::HashMap;
use std::sync::OnceLock;

struct Prepared {
    primes: Vec<u32>,
    /// Its order comes from random numbers that the initialiser drew.
    map: HashMap<u32, u32>,
}

static PREPARED: OnceLock<Prepared> = OnceLock::new();

fn prepare() -> Prepared {
    const BOUND: usize = 2_000_000;
    let mut composite = vec![false; BOUND];
    let mut primes = Vec::new();
    for number in 2..BOUND {
        if !composite[number] {
            primes.push(number as u32);
            (2 * number..BOUND).step_by(number).for_each(|multiple| composite[multiple] = true);
        }
    }
    let map = primes.iter().take(20).map(|prime| (*prime, prime * prime)).collect();
    Prepared { primes, map }
}

#[unsafe(export_name = "wizer-initialize")]
extern "C" fn initialise() {
    let _ = PREPARED.set(prepare());
}

fn main() {
    let prepared = PREPARED.get().expect("the initialiser has run");
    println!("args {:?}", std::env::args().skip(1).collect::<Vec<_>>());
    println!("NAME {:?}", std::env::var("NAME"));
    println!("{} primes, the last is {:?}", prepared.primes.len(), prepared.primes.last());
    println!("{:?}", prepared.map.iter().collect::<Vec<_>>());
    let own: HashMap<u32, u32> = (0..20).map(|number| (number, number)).collect();
    println!("{:?}", own.keys().collect::<Vec<_>>());
    let read = std::fs::read_to_string("/in/text");
    std::fs::write("/out/copy", format!("{read:?}")).expect("a file can be written");
}
