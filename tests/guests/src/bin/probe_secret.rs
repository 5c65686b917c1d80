//! Looks for what an earlier job left.
//!
//! `plant MIB` fills so many mebibytes, a file and standard error with a secret, and leaves descriptors open. `search
//! MIB` looks for anything in as much fresh memory, which must be all zeros, in `/tmp`, and for descriptors that it did
//! not open; it exits with 1 if anything is there.

use wasmill_test_guests::{call, stat};

const SECRET: &[u8; 16] = b"left by a friend";

fn main() {
    let mut args = std::env::args().skip(1);
    let what = args.next();
    let bytes = args.next().map_or(4, |mib| mib.parse().expect("a number")) << 20;
    match what.as_deref() {
        Some("plant") => {
            let planted = std::hint::black_box(SECRET.repeat(bytes / SECRET.len()));
            println!("planted {} bytes", planted.len());
            eprintln!("{}", String::from_utf8_lossy(SECRET));
            std::fs::write("/tmp/secret", SECRET).expect("a file can be written");
            std::mem::forget(std::fs::File::open("/tmp/secret"));
            // Not given back: the memory keeps it when the job ends.
            std::mem::forget(planted);
        }
        Some("search") => {
            // Whole pages straight from the host, in place of the allocator's, which may reuse what this program
            // wrote itself.
            let first = core::arch::wasm32::memory_grow::<0>(bytes >> 16);
            assert_ne!(first, usize::MAX, "the host has {bytes} bytes more");
            // SAFETY: the pages were just added to the memory, nothing else knows them, and every bit pattern is
            // a valid byte.
            let fresh = unsafe { std::slice::from_raw_parts((first << 16) as *const u8, bytes) };
            let used = fresh.iter().filter(|byte| **byte != 0).count();
            println!("{used} bytes of fresh memory are not zero");
            let files = std::fs::read_dir("/tmp").expect("there is /tmp").count();
            println!("{files} files in /tmp");
            // 0 to 2 are streams, then come the directories that are open from the start.
            let opened = (3..2000).filter(|fd| stat(*fd).is_ok_and(|found| found.1 != 3)).count();
            println!("{opened} descriptors that nobody opened");
            assert!(call!(fd_close(100)).is_err());
            std::process::exit(i32::from(used + files + opened > 0));
        }
        _ => panic!("plant or search?"),
    }
}
