//! Cutting, growing and allocating; what is new is zeros.

use wasmill_test_guests::{ROOT, call, errno, file, flag::*, open, read, seek, stat};

fn main() {
    let fd = file("out/f", b"0123456789");
    call!(fd_filestat_set_size(fd, 4)).unwrap();
    call!(fd_filestat_set_size(fd, 6)).unwrap();
    assert_eq!(read(fd, 20), Ok(b"0123\0\0".to_vec()));
    call!(fd_allocate(fd, 2, 2)).unwrap();
    assert_eq!(stat(fd).unwrap().3, 6, "allocating what is there changes nothing");
    call!(fd_allocate(fd, 6, 4)).unwrap();
    assert_eq!(stat(fd).unwrap().3, 10);
    assert_eq!(call!(fd_allocate(fd, 0, 0)), Err(errno::INVAL));
    let reader = open(ROOT, "out/f", 0, READ).unwrap();
    assert!(call!(fd_filestat_set_size(reader, 0)).is_err());
    assert!(call!(fd_filestat_set_size(1, 0)).is_err());
    seek(fd, 0, 0).unwrap();
    for call in [call!(fd_sync(fd)), call!(fd_datasync(fd)), call!(fd_advise(fd, 0, 10, 3))] {
        call.unwrap();
    }
    assert_eq!(call!(fd_advise(fd, 0, 10, 6)), Err(errno::INVAL));
}
