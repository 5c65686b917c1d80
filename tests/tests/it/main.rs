//! The integration tests of wasmill, in one binary, so that they link once.

mod tidy;
