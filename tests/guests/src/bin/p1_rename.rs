//! Renaming files and directories onto each other, into themselves, and away under open descriptors.

use wasmill_test_guests::{ROOT, errno::*, file, flag::READ, mkdir, open, read, rename};

fn main() {
    let fd = file("out/a", b"a");
    file("out/b", b"b");
    rename("out/a", "out/b").unwrap();
    assert_eq!(open(ROOT, "out/a", 0, READ), Err(NOENT));
    assert_eq!(read(open(ROOT, "out/b", 0, READ).unwrap(), 9), Ok(b"a".to_vec()));
    assert_eq!(read(fd, 9), Ok(b"a".to_vec()));
    rename("out/b", "out/b").unwrap();
    for path in ["out/d", "out/empty", "out/full", "out/full/x"] {
        mkdir(path).unwrap();
    }
    rename("out/d", "out/empty").unwrap();
    assert_eq!(rename("out/empty", "out/full"), Err(NOTEMPTY));
    assert_eq!(rename("out/empty", "out/b"), Err(NOTDIR));
    assert_eq!(rename("out/b", "out/empty"), Err(ISDIR));
    assert_eq!(rename("out/full", "out/full/x/y"), Err(INVAL));
    assert_eq!(rename("out/none", "out/x"), Err(NOENT));
    assert_eq!(rename("out/b", "out/none/x"), Err(NOENT));
    assert_eq!(rename("out/b", "out/new/"), Err(NOTDIR));
    rename("out/full", "tmp/moved").unwrap();
    open(ROOT, "tmp/moved/x", 0, READ).unwrap();
}
