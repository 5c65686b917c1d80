//! Panics three named functions deep, so that the backtrace of the trap can be looked at.

fn main() {
    outer_function(std::env::args().count());
}

#[inline(never)]
fn outer_function(count: usize) {
    middle_function(std::hint::black_box(count));
}

#[inline(never)]
fn middle_function(count: usize) {
    Innermost { count }.fail_with_a_panic();
}

struct Innermost {
    count: usize,
}

impl Innermost {
    #[inline(never)]
    fn fail_with_a_panic(&self) {
        panic!("this guest panics on purpose, with {} argument(s)", self.count);
    }
}
