//! Listing: sorted, in pieces, resumed, of many, while entries go away.

use wasmill_test_guests::{ROOT, at_mut, call, errno, file, flag::*, list, mkdir, open, unlink};

fn main() {
    mkdir("tmp/d").unwrap();
    for number in (0..1000).rev() {
        call!(fd_close(file(&format!("tmp/d/{number:04}"), b""))).unwrap();
    }
    let fd = open(ROOT, "tmp/d", DIRECTORY, READ).unwrap();
    let mut expected = vec![".".to_owned(), "..".to_owned()];
    expected.extend((0..1000).map(|number| format!("{number:04}")));
    for buffer_bytes in [1 << 16, 100, 28, 64] {
        assert_eq!(list(fd, buffer_bytes).unwrap(), expected, "{buffer_bytes}");
    }
    // What is removed behind the reader does not hide what comes.
    let mut buffer = [0_u8; 400];
    let mut used = 0_u32;
    call!(fd_readdir(fd, at_mut(&mut buffer), 400, 0, at_mut(&mut used))).unwrap();
    for number in 0..500 {
        unlink(&format!("tmp/d/{number:04}")).unwrap();
    }
    call!(fd_readdir(fd, at_mut(&mut buffer), 400, 502, at_mut(&mut used))).unwrap();
    assert_eq!(&buffer[24..28], b"0500");
    assert_eq!(list(fd, 4096).unwrap().len(), 502);
    call!(fd_readdir(fd, at_mut(&mut buffer), 400, 9999, at_mut(&mut used))).unwrap();
    assert_eq!(used, 0);
    let fd = file("tmp/f", b"");
    assert_eq!(list(fd, 100), Err(errno::NOTDIR));
    assert_eq!(list(99, 100), Err(errno::BADF));
}
