//! Never ends, and never calls the host: only fuel or an interruption stops it.

fn main() {
    let mut count = 0u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}
