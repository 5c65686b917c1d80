//! Removing: what is open lives on, what is not empty stays, what is gone is gone.

use wasmill_test_guests::{ROOT, errno::*, file, flag::*, mkdir, open, read, rmdir, seek, stat, unlink, write};

fn main() {
    let fd = file("out/f", b"content");
    unlink("out/f").unwrap();
    assert_eq!(unlink("out/f"), Err(NOENT));
    assert_eq!(open(ROOT, "out/f", 0, READ), Err(NOENT));
    write(fd, b"C").unwrap();
    seek(fd, 0, 0).unwrap();
    assert_eq!(read(fd, 9), Ok(b"Content".to_vec()));
    let again = file("out/f", b"new");
    assert_ne!(stat(fd).unwrap().0, stat(again).unwrap().0);
    mkdir("out/d").unwrap();
    mkdir("out/d/e").unwrap();
    assert_eq!(unlink("out/d"), Err(ISDIR));
    assert_eq!(rmdir("out/d"), Err(NOTEMPTY));
    assert_eq!(rmdir("out/f"), Err(NOTDIR));
    let open_dir = open(ROOT, "out/d/e", DIRECTORY, READ).unwrap();
    rmdir("out/d/e").unwrap();
    assert_eq!(open(open_dir, "x", CREAT, WRITE), Err(NOENT));
    rmdir("out/d").unwrap();
    assert_eq!(rmdir("out/d"), Err(NOENT));
}
