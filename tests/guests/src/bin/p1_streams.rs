//! Standard output and error: pieces, nothing, many pieces; they cannot be read.

use wasmill_test_guests::{at, at_mut, call, errno, read, write};

fn main() {
    let (mut written, pieces) = (0_u32, [at("one "), 4, at(""), 0, at("two\n"), 4]);
    call!(fd_write(1, at(&pieces), 3, at_mut(&mut written))).unwrap();
    assert_eq!(written, 8);
    call!(fd_write(1, at(&pieces), 0, at_mut(&mut written))).unwrap();
    assert_eq!(written, 0);
    let many: Vec<[u32; 2]> = (0..2000).map(|_| [at("x"), 1]).collect();
    call!(fd_write(2, at(many.as_slice()), 2000, at_mut(&mut written))).unwrap();
    assert_eq!(written, 1024, "as many as the system takes at once");
    assert_eq!(read(1, 1), Err(errno::BADF));
    call!(fd_close(1)).unwrap();
    assert_eq!(write(1, b"x"), Err(errno::BADF));
}
