//! That the program starts. What it does is tested in `tests/`; this test is here so that cargo builds the program along
//! with the tests, with the same features of everything, and need not compile wasmtime a second time for it.

#[test]
fn the_program_says_its_version() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wasmill")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("wasmill {}", env!("CARGO_PKG_VERSION")));
}
