//! `cargo fuzz run store_log`, in the folder `tests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir().expect("there is room");
    wasmill_storage::fuzzing::store(dir.path(), data);
});
