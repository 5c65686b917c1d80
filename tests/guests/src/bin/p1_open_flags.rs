//! What each flag of an open does, alone and with others.

use wasmill_test_guests::{ROOT, errno, file, flag::*, mkdir, open, read, stat};

fn main() {
    assert_eq!(open(ROOT, "out/new", 0, READ), Err(errno::NOENT));
    assert_eq!(open(ROOT, "out/none/new", CREAT, WRITE), Err(errno::NOENT));
    let made = open(ROOT, "out/new", CREAT, READ | WRITE).unwrap();
    assert_eq!(stat(made).unwrap().3, 0);
    open(ROOT, "out/new", CREAT, READ).unwrap();
    assert_eq!(open(ROOT, "out/new", CREAT | EXCL, WRITE), Err(errno::EXIST));
    open(ROOT, "out/exclusive", CREAT | EXCL, WRITE).unwrap();
    let full = file("out/full", b"content");
    assert_eq!(stat(full).unwrap().3, 7);
    open(ROOT, "out/full", TRUNC, WRITE).unwrap();
    assert_eq!(stat(full).unwrap().3, 0);
    assert_eq!(read(full, 10), Ok(vec![]));
    mkdir("out/dir").unwrap();
    open(ROOT, "out/dir", DIRECTORY, READ).unwrap();
    open(ROOT, "out/dir", 0, READ).unwrap();
    assert_eq!(open(ROOT, "out/full", DIRECTORY, READ), Err(errno::NOTDIR));
    assert_eq!(open(ROOT, "out/dir", 0, WRITE), Err(errno::ISDIR));
    assert_eq!(open(ROOT, "out/dir", TRUNC, 0), Err(errno::ISDIR));
    assert_eq!(open(ROOT, "out/fresh", CREAT | DIRECTORY, 0), Err(errno::INVAL));
    assert_eq!(open(made, "x", CREAT, WRITE), Err(errno::NOTDIR));
    assert_eq!(open(99, "x", CREAT, WRITE), Err(errno::BADF));
}
