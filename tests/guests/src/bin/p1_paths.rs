//! Paths: dots, slashes, what leads out, what is too long or no text.

use wasmill_test_guests::{OUT, ROOT, at, call, errno, file, flag::*, mkdir, open, unlink};

fn main() {
    mkdir("out/a").unwrap();
    mkdir("out/a/b").unwrap();
    file("out/a/f", b"");
    for path in ["out/a/f", "out//a/./f", "./out/a/b/../f", "out/a/../../out/a/f"] {
        open(ROOT, path, 0, READ).unwrap();
    }
    assert_eq!(open(ROOT, "", 0, READ), Err(errno::NOENT));
    for path in ["/out/a/f", "..", "../out", "out/../.."] {
        assert_eq!(open(ROOT, path, 0, READ), Err(errno::PERM), "{path}");
    }
    // Not even where it would come back.
    assert_eq!(open(OUT, "../out/a", 0, READ), Err(errno::PERM));
    assert_eq!(open(ROOT, "out/a/f/", 0, READ), Err(errno::NOTDIR));
    assert_eq!(open(ROOT, "out/a/f/x", 0, READ), Err(errno::NOTDIR));
    assert_eq!(open(ROOT, "out/new/", CREAT, WRITE), Err(errno::ISDIR));
    assert_eq!(open(ROOT, "out/a/b/", 0, READ).map(drop), Ok(()));
    assert_eq!(mkdir("out/a/"), Err(errno::EXIST));
    assert_eq!(mkdir("out/c/"), Ok(()));
    assert_eq!(unlink("out/a/f/"), Err(errno::NOTDIR));
    assert_eq!(open(ROOT, &"x".repeat(256), 0, READ), Err(errno::NAMETOOLONG));
    assert_eq!(open(ROOT, &"x/".repeat(2100), 0, READ), Err(errno::NAMETOOLONG));
    assert_eq!(open(ROOT, "out/a\0b", 0, READ), Err(errno::INVAL));
    assert_eq!(call!(path_create_directory(ROOT, at(b"out/\xff"), 5)), Err(errno::ILSEQ));
    // Case counts, and so does the form of letters.
    file("out/A", b"");
    assert_eq!(open(ROOT, "out/a/F", 0, READ), Err(errno::NOENT));
}
