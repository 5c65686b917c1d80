//! Two names of one file.

use wasmill_test_guests::{ROOT, at, call, errno, file, flag::READ, link, mkdir, open, read, stat, unlink, write};

fn main() {
    let fd = file("out/a", b"one");
    link("out/a", "out/b").unwrap();
    let other = open(ROOT, "out/b", 0, READ).unwrap();
    assert_eq!(stat(fd).unwrap().0, stat(other).unwrap().0);
    write(fd, b"two").unwrap();
    assert_eq!(read(other, 9), Ok(b"two".to_vec()));
    unlink("out/a").unwrap();
    open(ROOT, "out/b", 0, READ).unwrap();
    assert_eq!(link("out/a", "out/c"), Err(errno::NOENT));
    file("out/a", b"");
    assert_eq!(link("out/a", "out/b"), Err(errno::EXIST));
    mkdir("out/d").unwrap();
    assert_eq!(link("out/d", "out/e"), Err(errno::PERM));
    let followed = call!(path_link(ROOT, 1, at("out/a"), 5, ROOT, at("out/z"), 5));
    assert_eq!(followed, Err(errno::INVAL));
}
