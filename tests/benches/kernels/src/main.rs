//! One kernel, by name, for long enough to be measured.

use std::collections::BTreeMap;
use std::hint::black_box;

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let answer = match name.as_str() {
        "sieve" => sieve(),
        "blur" => blur(),
        "mandelbrot" => mandelbrot(),
        "sum" => sum(),
        "deflate" => deflate(),
        "sha256" => sha256(),
        "json" => json(),
        "sort" => sort(),
        other => panic!("there is no kernel `{other}`"),
    };
    println!("{name} {answer}");
}

/// Bytes that look random and are the same everywhere.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

/// Integers in memory, in a tight loop.
fn sieve() -> u64 {
    let mut found = 0;
    for _ in 0..20 {
        let mut composite = vec![false; 2_000_000];
        for number in 2..composite.len() {
            if !composite[number] {
                found += 1;
                (number * number..composite.len()).step_by(number).for_each(|multiple| composite[multiple] = true);
            }
        }
    }
    found
}

/// An image kernel: integers, with neighbours.
fn blur() -> u64 {
    const WIDTH: usize = 1024;
    let mut image = bytes(WIDTH * WIDTH);
    for _ in 0..20 {
        let before = image.clone();
        for y in 1..WIDTH - 1 {
            for x in 1..WIDTH - 1 {
                let at = y * WIDTH + x;
                let sum: u32 = [
                    at - WIDTH - 1,
                    at - WIDTH,
                    at - WIDTH + 1,
                    at - 1,
                    at,
                    at + 1,
                    at + WIDTH - 1,
                    at + WIDTH,
                    at + WIDTH + 1,
                ]
                .iter()
                .map(|near| u32::from(before[*near]))
                .sum();
                image[at] = (sum / 9) as u8;
            }
        }
    }
    image.iter().map(|byte| u64::from(*byte)).sum()
}

/// Floating-point numbers without memory.
fn mandelbrot() -> u64 {
    let mut inside = 0;
    for y in 0..600 {
        for x in 0..600 {
            let (cx, cy) = (f64::from(x) / 300.0 - 1.5, f64::from(y) / 300.0 - 1.0);
            let (mut a, mut b) = (0.0_f64, 0.0_f64);
            let mut steps = 0;
            while steps < 200 && a * a + b * b <= 4.0 {
                (a, b) = (a * a - b * b + cx, 2.0 * a * b + cy);
                steps += 1;
            }
            inside += u64::from(steps == 200);
        }
    }
    inside
}

/// Floating-point numbers in memory, in the tightest of loops.
fn sum() -> u64 {
    let numbers: Vec<f64> = bytes(1 << 20).into_iter().map(f64::from).collect();
    let mut scaled = vec![0.0_f64; numbers.len()];
    for round in 0..60 {
        let factor = black_box(1.0 + f64::from(round));
        for (scaled, number) in scaled.iter_mut().zip(&numbers) {
            *scaled = number * factor + *scaled * 0.5;
        }
    }
    scaled.iter().sum::<f64>() as u64
}

fn deflate() -> u64 {
    let text: Vec<u8> = bytes(3 << 20).into_iter().map(|byte| b'a' + byte % 16).collect();
    let packed = miniz_oxide::deflate::compress_to_vec(&text, 6);
    let unpacked = miniz_oxide::inflate::decompress_to_vec(&packed).expect("what was packed");
    assert_eq!(unpacked, text);
    packed.len() as u64
}

fn sha256() -> u64 {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes(24 << 20));
    u64::from(digest[0])
}

fn json() -> u64 {
    let rows: Vec<BTreeMap<String, u32>> =
        (0..40_000).map(|row| (0..8).map(|column| (format!("column {column}"), row * column)).collect()).collect();
    let text = serde_json::to_string(&rows).expect("JSON");
    let back: serde_json::Value = serde_json::from_str(&text).expect("the same");
    back.as_array().map_or(0, Vec::len) as u64 + text.len() as u64
}

fn sort() -> u64 {
    let mut words: Vec<String> = bytes(4 << 20).chunks(8).map(|word| format!("{word:02x?}")).collect();
    words.sort();
    words.len() as u64
}
