//! Calls itself until the stack is gone.

fn main() {
    println!("{}", descend(std::hint::black_box(1)));
}

// The sum after the call keeps it from becoming a loop.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    if depth == 0 { 0 } else { std::hint::black_box(descend(std::hint::black_box(depth + 1))) + depth }
}
