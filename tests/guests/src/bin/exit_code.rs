//! Exits with the code that its first argument names, after writing to both streams and to `/out`.

fn main() {
    let code = std::env::args().nth(1).and_then(|code| code.parse().ok()).expect("an exit code");
    println!("on standard output, before exit code {code}");
    eprintln!("on standard error, before exit code {code}");
    std::fs::write("/out/left-behind", b"only kept after success").expect("/out can be written");
    std::process::exit(code);
}
