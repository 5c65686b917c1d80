//! Sleeps for an hour (or for as many seconds as its argument says), in one call of the host.

fn main() {
    let seconds = std::env::args().nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(3600);
    std::thread::sleep(std::time::Duration::from_secs(seconds));
    println!("slept for {seconds} s");
}
