//! Random numbers: as many as are asked for, not all the same, and nothing beside them.

use wasmill_test_guests::{at_mut, call, errno};

fn main() {
    let mut bytes = [0_u8; 4096];
    call!(random_get(at_mut(&mut bytes[1..4095]), 4094)).unwrap();
    assert_eq!((bytes[0], bytes[4095]), (0, 0));
    let distinct: std::collections::BTreeSet<u8> = bytes.iter().copied().collect();
    assert!(distinct.len() > 200);
    let mut more = [0_u8; 32];
    call!(random_get(at_mut(&mut more), 32)).unwrap();
    assert_ne!(bytes[1..33], more);
    assert_eq!(call!(random_get(at_mut(&mut more), 0)), Ok(()));
    assert_eq!(call!(random_get(u32::MAX - 3, 8)), Err(errno::FAULT));
}
