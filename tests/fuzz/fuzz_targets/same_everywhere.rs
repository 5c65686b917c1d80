//! `cargo fuzz run same_everywhere`, in the folder `tests`.
#![no_main]

#[path = "../same_everywhere.rs"]
mod same_everywhere;
#[path = "../../../runtime/sandbox/benches/stores/mod.rs"]
mod stores;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    same_everywhere::same_everywhere(data);
});
