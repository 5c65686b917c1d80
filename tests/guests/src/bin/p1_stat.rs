//! What is known of files, directories, links and streams; times are the same for all and cannot be set.

use wasmill_test_guests::{OUT, ROOT, at, at_mut, call, errno, file, stat, symlink};

const START_NS: u64 = 946_684_800_000_000_000;

fn main() {
    let fd = file("out/f", b"12345");
    let (inode, kind, names, size, modified) = stat(fd).unwrap();
    assert_eq!((kind, names, size, modified), (4, 1, 5, START_NS));
    assert_ne!(inode, stat(OUT).unwrap().0);
    assert_eq!(stat(OUT).unwrap().1, 3);
    call!(fd_filestat_set_times(fd, 1, 1, 5)).unwrap();
    call!(path_filestat_set_times(ROOT, 1, at("out/f"), 5, 1, 1, 10)).unwrap();
    assert_eq!(call!(fd_filestat_set_times(fd, 1, 1, 3)), Err(errno::INVAL));
    assert_eq!(stat(fd).unwrap(), (inode, 4, 1, 5, START_NS));
    symlink("f", "out/link").unwrap();
    let mut found = [0_u64; 8];
    call!(path_filestat_get(ROOT, 0, at("out/link"), 8, at_mut(&mut found))).unwrap();
    assert_eq!((found[2] as u8, found[4]), (7, 1));
    call!(path_filestat_get(ROOT, 1, at("out/link"), 8, at_mut(&mut found))).unwrap();
    assert_eq!((found[1], found[2] as u8), (inode, 4));
    let missing = call!(path_filestat_get(ROOT, 1, at("out/none"), 8, at_mut(&mut found)));
    assert_eq!(missing, Err(errno::NOENT));
    assert!(stat(1).is_ok());
    assert_eq!(stat(99), Err(errno::BADF));
}
