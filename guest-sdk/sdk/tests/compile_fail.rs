//! The compiler's words for functions that cannot be jobs.
//!
//! Owns: the cases below `compile_fail/` and the messages that they give. Does not know: how they come about.
//! `TRYBUILD=overwrite` writes the messages anew.

#[test]
fn functions_that_cannot_be_jobs() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
