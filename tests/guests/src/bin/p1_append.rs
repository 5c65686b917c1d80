//! Appending goes to the end whatever the position, as long as the flag is set.

use wasmill_test_guests::{ROOT, at_mut, call, errno, file, flag::*, open_with, read, seek, write};

fn main() {
    file("out/f", b"start ");
    let fd = open_with(ROOT, "out/f", 0, READ | WRITE, 1, APPEND).unwrap();
    let mut stat = [0_u8; 24];
    call!(fd_fdstat_get(fd, at_mut(&mut stat))).unwrap();
    assert_eq!((stat[0], stat[2]), (4, APPEND as u8));
    seek(fd, 0, 0).unwrap();
    write(fd, b"end").unwrap();
    call!(fd_fdstat_set_flags(fd, 0)).unwrap();
    seek(fd, 0, 0).unwrap();
    write(fd, b"S").unwrap();
    call!(fd_fdstat_set_flags(fd, APPEND)).unwrap();
    write(fd, b"!").unwrap();
    seek(fd, 0, 0).unwrap();
    assert_eq!(read(fd, 20), Ok(b"Start end!".to_vec()));
    assert_eq!(call!(fd_fdstat_set_flags(fd, 1 << 9)), Err(errno::INVAL));
    assert_eq!(call!(fd_fdstat_set_rights(fd, 0, 0)), Err(errno::NOTSUP));
    assert_eq!(call!(fd_fdstat_set_flags(99, 0)), Err(errno::BADF));
}
