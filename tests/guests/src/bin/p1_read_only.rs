//! An input that is mounted to be read: every call that would change it says so, and it is as it was.

use wasmill_test_guests::{ROOT, errno::ROFS, flag::*, link, mkdir, open, read, rename, rmdir, symlink, unlink};

fn main() {
    let fd = open(ROOT, "in/d/a", 0, READ).unwrap();
    assert_eq!(open(ROOT, "in/d/a", 0, WRITE), Err(ROFS));
    assert_eq!(open(ROOT, "in/d/a", TRUNC, READ), Err(ROFS));
    assert_eq!(open(ROOT, "in/d/new", CREAT, WRITE), Err(ROFS));
    assert_eq!(mkdir("in/d/new"), Err(ROFS));
    assert_eq!(symlink("a", "in/d/new"), Err(ROFS));
    assert_eq!(unlink("in/d/a"), Err(ROFS));
    assert_eq!(rmdir("in/d/empty"), Err(ROFS));
    assert_eq!(rename("in/d/a", "out/a"), Err(ROFS));
    assert_eq!(rename("in/d/a", "in/d/b"), Err(ROFS));
    assert_eq!(link("in/d/a", "out/a"), Err(ROFS));
    assert_eq!(mkdir("in/new"), Err(ROFS));
    assert_eq!(mkdir("new"), Err(ROFS));
    assert_eq!(read(fd, 10), Ok(b"one".to_vec()));
}
