//! Prints everything that differs between two runs of an ordinary program: clocks, random numbers, the order of a
//! hash map, addresses.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let start = Instant::now();
    println!("system time: {:?}", SystemTime::now().duration_since(UNIX_EPOCH));
    let map: HashMap<u32, u32> = (0..20).map(|key| (key, key * key)).collect();
    println!("hash map order: {:?}", map.keys().collect::<Vec<_>>());
    println!("random: {:016x}", RandomState::new().hash_one(1));
    let local = 0;
    println!("an address: {:p}", &raw const local);
    println!("elapsed: {:?}", start.elapsed());
    let before_sleep = Instant::now();
    std::thread::sleep(Duration::from_millis(1500));
    println!("slept at least 1.5 s by its own clock: {}", before_sleep.elapsed() >= Duration::from_millis(1500));
    println!("system time: {:?}", SystemTime::now().duration_since(UNIX_EPOCH));
}
