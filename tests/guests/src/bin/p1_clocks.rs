//! Clocks: where they start, how they go on, and which there are.

use wasmill_test_guests::{at_mut, call, errno};

const START_NS: u64 = 946_684_800_000_000_000;

fn main() {
    let (mut time, mut last) = (0_u64, START_NS);
    for id in [0, 1, 2, 3, 0] {
        call!(clock_time_get(id, 0, at_mut(&mut time))).unwrap();
        assert!(time == START_NS && last == START_NS || time > last && time - last == 1000, "{time} after {last}");
        last = time;
        call!(clock_res_get(id, at_mut(&mut time))).unwrap();
        assert_eq!(time, 1000);
    }
    assert_eq!(call!(clock_time_get(4, 0, at_mut(&mut time))), Err(errno::INVAL));
    assert_eq!(call!(clock_res_get(9, at_mut(&mut time))), Err(errno::INVAL));
    assert_eq!(call!(sched_yield()), Ok(()));
}
