//! Sockets: there are none, which is an answer and no trap.

use wasmill_test_guests::{OUT, at_mut, call, errno, file};

fn main() {
    let mut word = 0_u32;
    let fd = file("out/f", b"");
    for fd in [0, 1, OUT, fd] {
        for answer in [
            call!(sock_accept(fd, 0, at_mut(&mut word))),
            call!(sock_recv(fd, 0, 0, 0, at_mut(&mut word), at_mut(&mut word))),
            call!(sock_send(fd, 0, 0, 0, at_mut(&mut word))),
            call!(sock_shutdown(fd, 1)),
        ] {
            assert!(matches!(answer, Err(errno::NOTSOCK | errno::NOTSUP)), "{fd}: {answer:?}");
        }
    }
    assert_eq!(call!(sock_shutdown(99, 1)), Err(errno::BADF));
}
