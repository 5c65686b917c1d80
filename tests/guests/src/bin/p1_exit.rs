//! Ending with a code, from within.

fn main() {
    let code = std::env::args().nth(1).unwrap().parse().unwrap();
    println!("before");
    // SAFETY: it does not come back.
    unsafe { wasmill_test_guests::raw::proc_exit(code) }
}
