//! Numbers of descriptors: the lowest free one, moving, closing, and that there is an end of them.

use wasmill_test_guests::{ROOT, call, errno, file, flag::*, open, read};

fn main() {
    let (a, b, c) = (file("out/a", b"a"), file("out/b", b"b"), file("out/c", b"c"));
    assert_eq!((b, c), (a + 1, a + 2));
    call!(fd_close(b)).unwrap();
    assert_eq!(call!(fd_close(b)), Err(errno::BADF));
    assert_eq!(file("out/d", b"d"), b);
    call!(fd_renumber(c, a)).unwrap();
    assert_eq!(read(a, 9), Ok(b"c".to_vec()));
    assert_eq!(read(c, 9), Err(errno::BADF));
    assert_eq!(call!(fd_renumber(a, 99)), Err(errno::BADF));
    assert_eq!(call!(fd_renumber(99, a)), Err(errno::BADF));
    let mut opened = 2;
    let refused = loop {
        match open(ROOT, "out/a", 0, READ) {
            Ok(_) => opened += 1,
            Err(errno) => break errno,
        }
    };
    assert_eq!((refused, opened), (errno::MFILE, 1024));
    // Nothing is made where there is no descriptor for it.
    assert_eq!(open(ROOT, "out/new", CREAT, WRITE), Err(errno::MFILE));
    call!(fd_close(a)).unwrap();
    assert_eq!(open(ROOT, "out/new", 0, READ), Err(errno::NOENT));
    // Standard streams can be closed like anything else.
    call!(fd_close(1)).unwrap();
    assert_eq!(call!(fd_close(1)), Err(errno::BADF));
}
