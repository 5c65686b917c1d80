//! Waiting: for clocks, which takes no time; for descriptors, which are ready.

use wasmill_test_guests::{at, at_mut, call, errno, file};

/// A subscription in the layout of preview 1.
fn clock(user: u64, timeout: u64, absolute: bool) -> [u64; 6] {
    [user, 0, 1, timeout, 0, u64::from(absolute)]
}

fn descriptor(user: u64, kind: u64, fd: u32) -> [u64; 6] {
    [user, kind, u64::from(fd), 0, 0, 0]
}

/// Who was woken, with which error.
fn poll(subscriptions: &[[u64; 6]]) -> Result<Vec<(u64, u16)>, u16> {
    let (mut events, mut count) = (vec![[0_u64; 4]; subscriptions.len()], 0_u32);
    let number = subscriptions.len() as u32;
    call!(poll_oneoff(at(subscriptions), at_mut(events.as_mut_slice()), number, at_mut(&mut count)))?;
    Ok(events[..count as usize].iter().map(|event| (event[0], event[1] as u16)).collect())
}

fn now() -> u64 {
    let mut time = 0_u64;
    call!(clock_time_get(1, 0, at_mut(&mut time))).unwrap();
    time
}

fn main() {
    let before = now();
    assert_eq!(poll(&[clock(7, 5_000_000_000, false)]), Ok(vec![(7, 0)]));
    assert!(now() - before >= 5_000_000_000);
    assert_eq!(poll(&[clock(1, 9_000_000, false), clock(2, 1_000, false)]), Ok(vec![(2, 0)]));
    assert_eq!(poll(&[clock(3, before, true)]), Ok(vec![(3, 0)]), "what is past is over");
    let fd = file("out/f", b"x");
    let ready = [descriptor(4, 1, fd), descriptor(5, 2, fd), descriptor(6, 2, 1), clock(8, 1 << 50, false)];
    assert_eq!(poll(&ready), Ok(vec![(4, 0), (5, 0), (6, 0)]));
    assert_eq!(poll(&[descriptor(9, 1, 99)]), Ok(vec![(9, errno::BADF)]));
    assert_eq!(poll(&[]), Err(errno::INVAL));
    assert_eq!(poll(&[descriptor(1, 77, fd)]), Err(errno::INVAL));
}
