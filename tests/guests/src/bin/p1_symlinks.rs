//! Symbolic links: followed, not followed, dangling, in circles, in the middle of a path, out of the sandbox.

use wasmill_test_guests::{
    OUT, ROOT, at, at_mut, call, errno, file, flag::*, mkdir, open, open_with, read, symlink, unlink,
};

fn main() {
    file("out/file", b"content");
    mkdir("out/dir").unwrap();
    file("out/dir/inner", b"");
    symlink("file", "out/link").unwrap();
    symlink("dir", "out/to_dir").unwrap();
    symlink("nowhere", "out/dangling").unwrap();
    symlink("circle", "out/circle").unwrap();
    symlink("../../etc", "out/dir/out_of_it").unwrap();
    let fd = open(ROOT, "out/link", 0, READ).unwrap();
    assert_eq!(read(fd, 10), Ok(b"content".to_vec()));
    assert_eq!(open_with(ROOT, "out/link", 0, READ, 0, 0), Err(errno::LOOP));
    open(ROOT, "out/to_dir/inner", 0, READ).unwrap();
    open_with(ROOT, "out/to_dir/inner", 0, READ, 0, 0).unwrap();
    assert_eq!(open(ROOT, "out/dangling", 0, READ), Err(errno::NOENT));
    assert_eq!(open(ROOT, "out/circle", 0, READ), Err(errno::LOOP));
    assert_eq!(open(ROOT, "out/circle/x", 0, READ), Err(errno::LOOP));
    // From `/` it leads to a place that is not there; from `/out` it leads out.
    assert_eq!(open(ROOT, "out/dir/out_of_it", 0, READ), Err(errno::NOENT));
    assert_eq!(open(OUT, "dir/out_of_it", 0, READ), Err(errno::PERM));
    assert_eq!(open(ROOT, "out/link", CREAT | EXCL, WRITE), Err(errno::EXIST));
    assert_eq!(open(ROOT, "out/dangling", CREAT | EXCL, WRITE), Err(errno::EXIST));
    assert_eq!(symlink("/etc/passwd", "out/absolute"), Err(errno::PERM));
    assert_eq!(symlink("x", "out/link"), Err(errno::EXIST));
    assert_eq!(symlink("", "out/empty"), Err(errno::NOENT));
    let (mut target, mut used) = ([0_u8; 16], 0_u32);
    call!(path_readlink(ROOT, at("out/link"), 8, at_mut(&mut target), 16, at_mut(&mut used))).unwrap();
    assert_eq!((&target[..4], used), (&b"file"[..], 4));
    call!(path_readlink(ROOT, at("out/link"), 8, at_mut(&mut target), 2, at_mut(&mut used))).unwrap();
    assert_eq!(used, 2);
    let not_a_link = call!(path_readlink(ROOT, at("out/file"), 8, at_mut(&mut target), 16, at_mut(&mut used)));
    assert_eq!(not_a_link, Err(errno::INVAL));
    unlink("out/link").unwrap();
    open(ROOT, "out/file", 0, READ).unwrap();
}
