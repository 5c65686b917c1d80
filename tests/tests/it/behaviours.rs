//! WASI preview 1, one guest program and one test for each behaviour. The programs check for themselves; a program
//! without a test does not compile, and neither does a test without a program (`tests/build.rs`).
//!
//! Each result is then verified: from nothing, and on the other engine.

use crate::support::{Said, TestSpace};

include!(concat!(env!("OUT_DIR"), "/behaviours.rs"));

/// Runs a program, with `/in/d` and whatever the arguments add.
fn run(program: &str, args: &[&str]) -> (TestSpace, Said) {
    let space = TestSpace::new();
    space.guest(program).write("data/a", "one").write("stdin", "some input\n");
    std::fs::create_dir(space.path("data/empty")).expect("a folder can be made");
    let module = format!("{program}.wasm");
    let said = space.run(&[&["exec", module.as_str(), "--in", "/in/d=data"], args].concat());
    let verified = space.run(&["verify", "--engine", "pulley"]);
    assert_eq!(verified.code, 0, "{program}: {verified:?}");
    (space, said)
}

fn succeeds(program: &str, args: &[&str]) -> Said {
    let (_, said) = run(program, args);
    assert_eq!(said.code, 0, "{program}: {said:?}");
    said
}

/// Tests that need nothing but the program.
macro_rules! behaviours {
    ($($test:ident = $program:ident $(with [$($arg:literal),*])?;)*) => {$(
        #[test]
        fn $test() {
            succeeds(program::$program, &[$($($arg),*)?]);
        }
    )*};
}

behaviours! {
    p1_append = P1_APPEND;
    p1_bad_pointers = P1_BAD_POINTERS;
    p1_clocks = P1_CLOCKS;
    p1_copy_on_write = P1_COPY_ON_WRITE with ["--in", "/w=data:rw"];
    p1_descriptors = P1_DESCRIPTORS;
    p1_environment = P1_ENVIRONMENT with ["--env", "NAME=a=b", "--env", "EMPTY=", "--", "one", "", "zwölf 十二", "--flag=x"];
    p1_hard_links = P1_HARD_LINKS;
    p1_open_flags = P1_OPEN_FLAGS;
    p1_paths = P1_PATHS;
    p1_poll = P1_POLL;
    p1_positioned = P1_POSITIONED;
    p1_preopens = P1_PREOPENS with ["--in", "data=data"];
    p1_raise = P1_RAISE;
    p1_random = P1_RANDOM;
    p1_readdir = P1_READDIR;
    p1_read_only = P1_READ_ONLY;
    p1_rename = P1_RENAME;
    p1_seek = P1_SEEK;
    p1_sizes = P1_SIZES;
    p1_sockets = P1_SOCKETS;
    p1_stat = P1_STAT;
    p1_stdin = P1_STDIN with ["--stdin", "stdin"];
    p1_symlinks = P1_SYMLINKS;
    p1_unlink = P1_UNLINK;
}

#[test]
fn p1_exit() {
    for (code, ours) in [("0", 0), ("1", 1), ("126", 126), ("255", 255), ("256", 255), ("4294967295", 255)] {
        let (space, said) = run(program::P1_EXIT, &["--", code]);
        assert_eq!((said.code, said.stdout.as_str()), (ours, "before\n"), "{said:?}");
        let shown = space.run(&["show", "1", "exec", "--format", "json"]).stdout;
        assert!(shown.contains(&format!("\"code\":{code}}}")), "{shown}");
    }
}

#[test]
fn p1_streams() {
    let said = succeeds(program::P1_STREAMS, &[]);
    assert_eq!((said.stdout.as_str(), said.stderr), ("one two\n", "x".repeat(1024)));
}
