//! Seeking: from each end, past the end, before the start; on what has no position.

use wasmill_test_guests::{OUT, at_mut, call, errno, file, read, seek, stat, write};

fn main() {
    let fd = file("out/f", b"0123456789");
    assert_eq!(seek(fd, 4, 0), Ok(4));
    assert_eq!(seek(fd, 2, 1), Ok(6));
    assert_eq!(seek(fd, -1, 2), Ok(9));
    assert_eq!(read(fd, 10), Ok(b"9".to_vec()));
    assert_eq!(seek(fd, -11, 2), Err(errno::INVAL));
    assert_eq!(seek(fd, -1, 0), Err(errno::INVAL));
    assert_eq!(seek(fd, 0, 3), Err(errno::INVAL));
    let mut position = 0_u64;
    call!(fd_tell(fd, at_mut(&mut position))).unwrap();
    assert_eq!(position, 10);
    assert_eq!(seek(fd, 20, 0), Ok(20));
    assert_eq!(read(fd, 10), Ok(vec![]));
    assert_eq!(stat(fd).unwrap().3, 10, "seeking makes nothing larger");
    write(fd, b"x").unwrap();
    assert_eq!(stat(fd).unwrap().3, 21);
    assert_eq!(seek(fd, 9, 0).and_then(|_| read(fd, 20)), Ok(b"9\0\0\0\0\0\0\0\0\0\0x".to_vec()));
    assert_eq!(seek(0, 0, 0), Err(errno::SPIPE));
    assert_eq!(seek(1, 0, 1), Err(errno::SPIPE));
    assert!(seek(OUT, 0, 0).is_err());
    assert_eq!(seek(99, 0, 0), Err(errno::BADF));
}
