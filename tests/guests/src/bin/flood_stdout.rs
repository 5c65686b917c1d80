//! Writes to standard output without end (or to standard error, with the argument `stderr`).

use std::io::Write;

fn main() {
    let line = [b'x'; 4096];
    let mut stream: Box<dyn Write> = if std::env::args().any(|argument| argument == "stderr") {
        Box::new(std::io::stderr())
    } else {
        Box::new(std::io::stdout())
    };
    while stream.write_all(&line).is_ok() {}
}
