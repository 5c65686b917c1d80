//! Reading and writing at a position leaves the descriptor's own alone.

use wasmill_test_guests::{at, at_mut, call, errno, file, read, seek};

fn main() {
    let fd = file("out/f", b"0123456789");
    seek(fd, 3, 0).unwrap();
    let (mut one, mut two, mut count) = ([0_u8; 2], [0_u8; 4], 0_u32);
    let iovs = [at_mut(&mut one), 2, at_mut(&mut two), 4];
    call!(fd_pread(fd, at(&iovs), 2, 5, at_mut(&mut count))).unwrap();
    assert_eq!((one, &two[..3], count), (*b"56", &b"789"[..], 5));
    let iovs = [at(b"AB"), 2, at(b"CD"), 2];
    call!(fd_pwrite(fd, at(&iovs), 2, 8, at_mut(&mut count))).unwrap();
    assert_eq!(count, 4);
    assert_eq!(read(fd, 20), Ok(b"34567ABCD".to_vec()));
    call!(fd_pread(fd, at(&iovs), 2, 1 << 40, at_mut(&mut count))).unwrap();
    assert_eq!(count, 0);
    assert!(call!(fd_pread(0, at(&iovs), 2, 0, at_mut(&mut count))).is_err());
    assert_eq!(call!(fd_pwrite(99, at(&iovs), 2, 0, at_mut(&mut count))), Err(errno::BADF));
}
