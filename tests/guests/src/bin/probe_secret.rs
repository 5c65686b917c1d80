//! Looks for what an earlier job left in memory.
//!
//! `plant` fills 4 MiB with a secret. `search` looks for it in as much fresh memory, which must be all zeros, and
//! exits with 1 if anything else is there.

const SECRET: &[u8; 16] = b"left by a friend";
const BYTES: usize = 4 << 20;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("plant") => {
            let planted = std::hint::black_box(SECRET.repeat(BYTES / SECRET.len()));
            println!("planted {} bytes", planted.len());
            // Not given back: the memory keeps it when the job ends.
            std::mem::forget(planted);
        }
        Some("search") => {
            // Whole pages straight from the host, in place of the allocator's, which may reuse what this program
            // wrote itself.
            let first = core::arch::wasm32::memory_grow::<0>(BYTES >> 16);
            assert_ne!(first, usize::MAX, "the host has {BYTES} bytes more");
            // SAFETY: the pages were just added to the memory, nothing else knows them, and every bit pattern is
            // a valid byte.
            let fresh = unsafe { std::slice::from_raw_parts((first << 16) as *const u8, BYTES) };
            let used = fresh.iter().filter(|byte| **byte != 0).count();
            println!("{used} bytes of fresh memory are not zero");
            std::process::exit(i32::from(used > 0));
        }
        _ => panic!("plant or search?"),
    }
}
