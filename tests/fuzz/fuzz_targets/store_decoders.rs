//! `cargo fuzz run store_decoders`, in the folder `tests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasmill_storage::fuzzing::decoders(data));
