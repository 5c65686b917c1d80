//! Standard input: its bytes, then its end for ever; it cannot be written.

use wasmill_test_guests::{at_mut, call, errno, read, write};

fn main() {
    assert_eq!(read(0, 4), Ok(b"some".to_vec()));
    assert_eq!(read(0, 100), Ok(b" input\n".to_vec()));
    assert_eq!(read(0, 100), Ok(vec![]));
    assert_eq!(read(0, 100), Ok(vec![]));
    assert_eq!(write(0, b"x"), Err(errno::BADF));
    let mut stat = [0_u8; 24];
    call!(fd_fdstat_get(0, at_mut(&mut stat))).unwrap();
    assert_eq!(stat[0], 0, "it is no terminal");
}
