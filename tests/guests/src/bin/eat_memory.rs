//! Takes memory, a MiB at a time, until there is no more, and says how much it got.
//!
//! With the argument `handle` a refusal is noticed and is no failure; without, it ends the program as it ends any
//! Rust program.

fn main() {
    let is_handled = std::env::args().any(|argument| argument == "handle");
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut block = Vec::new();
        if is_handled && block.try_reserve_exact(1 << 20).is_err() {
            println!("refused after {} MiB", blocks.len());
            return;
        }
        block.resize(1 << 20, 1);
        blocks.push(std::hint::black_box(block));
    }
}
