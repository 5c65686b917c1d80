//! Does all the items of a batch, or the only one there is. What it does with one depends on what is in it.

use std::fs;
use std::hint::black_box;

fn main() -> std::io::Result<()> {
    // What takes long is done once, whatever follows.
    let mut sum = 0_u64;
    for number in 0..200_000_u64 {
        sum = black_box(sum ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let stdin = std::io::read_to_string(std::io::stdin())?;
    for (number, line) in stdin.lines().enumerate() {
        let (_, item) = line.split_once("\"item\":\"").expect("a line says what its item is called");
        let (item, _) = item.split_once('"').expect("its name ends");
        let content = fs::read_to_string(format!("/items/{item}/in/leaf"))?;
        fs::create_dir(format!("/out/{item}"))?;
        let result = match content.as_str() {
            "fail" => std::process::exit(3),
            "nothing" => continue,
            "number" => format!("{number}"),
            "line" => format!("{line}\n"),
            "spin" | "spin for a while" | "spin for long" => {
                let rounds = match content.as_str() {
                    "spin" => 3_000_000_u64,
                    "spin for a while" => 30_000_000,
                    _ => 300_000_000,
                };
                for number in 0..rounds {
                    sum = black_box(sum ^ number);
                }
                content
            }
            "print" => {
                println!("this is {item}");
                content
            }
            _ => content,
        };
        fs::write(format!("/out/{item}/result"), result)?;
    }
    Ok(())
}
