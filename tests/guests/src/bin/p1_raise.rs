//! Signals: there are none to raise.

use wasmill_test_guests::{call, errno};

fn main() {
    assert_eq!(call!(proc_raise(9)), Err(errno::NOTSUP));
}
