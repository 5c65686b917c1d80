//! Prints everything that a program is given: arguments, environment, standard input.

use std::io::Read as _;

fn main() {
    for (index, argument) in std::env::args().enumerate() {
        println!("arg {index}: {argument}");
    }
    let mut variables: Vec<(String, String)> = std::env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        println!("env {name}={value}");
    }
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("standard input is text");
    println!("stdin: {input}");
    eprintln!("hello on standard error");
}
