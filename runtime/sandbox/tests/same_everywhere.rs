//! What the fuzzer looks for, with fixed seeds: any module comes to the same result in every way of executing it.

#[path = "../../../tests/fuzz/same_everywhere.rs"]
mod same_everywhere;
#[path = "../benches/stores/mod.rs"]
mod stores;

use wasmill_model::Outcome;

/// Bytes that look random and are the same with every run of the test.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(2048).collect()
}

#[test]
fn random_modules_come_to_the_same_however_they_are_executed() {
    let (mut succeeded, mut failed) = (0, 0);
    for seed in 0..500 {
        match same_everywhere::same_everywhere(&bytes(seed)) {
            Some(outcome) if outcome == Outcome::SUCCESS => succeeded += 1,
            Some(_) => failed += 1,
            None => {}
        }
    }
    // Enough of both, or there was nothing to compare.
    assert!(succeeded >= 10 && failed >= 10, "{succeeded} succeeded, {failed} failed");
}
