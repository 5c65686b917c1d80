//! An input that is mounted to be changed: everything can be done to it, and what was not touched is as it was.

use wasmill_test_guests::{
    ROOT, errno, file, flag::*, link, mkdir, open, read, rename, rmdir, seek, stat, unlink, write,
};

fn main() {
    let fd = open(ROOT, "w/a", 0, READ | WRITE).unwrap();
    let reader = open(ROOT, "w/a", 0, READ).unwrap();
    assert_eq!(read(reader, 9), Ok(b"one".to_vec()));
    seek(fd, 1, 0).unwrap();
    write(fd, b"NCE").unwrap();
    seek(reader, 0, 0).unwrap();
    assert_eq!(read(reader, 9), Ok(b"oNCE".to_vec()), "one file, however it is opened");
    assert_eq!(stat(fd).unwrap().3, 4);
    link("w/a", "w/second").unwrap();
    rename("w/second", "out/taken").unwrap();
    file("w/empty/new", b"new");
    assert_eq!(rmdir("w/empty"), Err(errno::NOTEMPTY));
    unlink("w/empty/new").unwrap();
    rmdir("w/empty").unwrap();
    mkdir("w/made").unwrap();
    unlink("w/a").unwrap();
    assert_eq!(open(ROOT, "w/a", 0, READ), Err(errno::NOENT));
    // What it is a copy of is mounted beside it.
    let original = open(ROOT, "in/d/a", 0, READ).unwrap();
    assert_eq!(read(original, 9), Ok(b"one".to_vec()));
}
