//! Tries to get out of its sandbox in every way that the standard library offers, and says what came of it.
//!
//! Exits with 0 only if nothing worked. What it may do, it does first, so that a sandbox in which nothing works at
//! all does not pass.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

fn main() {
    fs::write("/out/allowed", b"allowed").expect("/out can be written");
    assert_eq!(fs::read("/out/allowed").expect("/out can be read"), b"allowed");

    let mut escapes = 0;
    let mut attempt = |what: &str, is_out: bool| {
        println!("{what}: {}", if is_out { "ESCAPED" } else { "refused" });
        escapes += u32::from(is_out);
    };
    for path in [
        "/etc/passwd",
        "/etc/hostname",
        "/proc/self/environ",
        "/dev/null",
        "../etc/passwd",
        "../../../../../../etc/passwd",
        "/in/../etc/passwd",
        "/in/../../../../etc/passwd",
        "/out/../../etc/passwd",
        "/out/./../.././etc/passwd",
        "//etc//passwd",
        "C:\\Windows\\win.ini",
        "/in/..\\..\\etc\\passwd",
    ] {
        attempt(&format!("read {path}"), fs::read(path).is_ok());
    }
    for path in ["/escaped", "escaped", "/in/escaped", "/out/../escaped", "/etc/escaped", "/usr/escaped"] {
        attempt(&format!("write {path}"), fs::write(path, b"x").is_ok());
        attempt(&format!("create directory {path}"), fs::create_dir(path).is_ok());
    }
    for (target, link) in [("/etc/passwd", "/out/absolute"), ("../../etc/passwd", "/out/relative"), ("..", "/out/up")] {
        attempt(&format!("read through {link} -> {target}"), reads_through(target, link));
    }
    attempt("hard link", fs::hard_link("/etc/passwd", "/out/hard").is_ok());
    attempt("rename out of /out", fs::rename("/out/allowed", "/allowed").is_ok());
    attempt("list the host's root", ["/etc", "/usr", "/home", "/proc"].iter().any(|dir| fs::read_dir(dir).is_ok()));
    attempt("change an input", changes_an_input());
    attempt("see the host's environment", ["PATH", "HOME", "USER"].iter().any(|name| std::env::var_os(name).is_some()));
    attempt("start a program", std::process::Command::new("/bin/true").status().is_ok());
    attempt("listen", std::net::TcpListener::bind("127.0.0.1:0").is_ok());
    attempt("connect", std::net::TcpStream::connect("127.0.0.1:80").is_ok());
    attempt("start a thread", std::thread::Builder::new().spawn(|| ()).is_ok());
    std::process::exit(i32::from(escapes > 0));
}

/// Whether something outside is read through a symbolic link made here. The link itself may be allowed: what it
/// points to must not be.
fn reads_through(target: &str, link: &str) -> bool {
    // The standard library offers symbolic links on this target to nightly compilers only; libc has them.
    let made = symlink(target, link);
    let through = if target == ".." { Path::new(link).join("../etc/passwd") } else { link.into() };
    let is_read = fs::read(through).is_ok();
    if made {
        // A link left in /out would be part of the output.
        fs::remove_file(link).expect("what was made can be removed");
    }
    is_read
}

fn symlink(target: &str, link: &str) -> bool {
    unsafe extern "C" {
        fn symlink(target: *const std::ffi::c_char, link: *const std::ffi::c_char) -> std::ffi::c_int;
    }
    let (Ok(target), Ok(link)) = (std::ffi::CString::new(target), std::ffi::CString::new(link)) else { return false };
    // SAFETY: both are C strings that live until the call returns.
    unsafe { symlink(target.as_ptr(), link.as_ptr()) == 0 }
}

/// Whether the first file directly below `/in`, if there is one, can be written, shortened or removed.
fn changes_an_input() -> bool {
    let Ok(mut entries) = fs::read_dir("/in") else { return false };
    let Some(path) = entries.find_map(|entry| entry.ok().map(|entry| entry.path()).filter(|path| path.is_file()))
    else {
        return false;
    };
    OpenOptions::new().append(true).open(&path).is_ok()
        || File::create(&path).is_ok()
        || fs::rename(&path, "/out/moved").is_ok()
        || fs::remove_file(&path).is_ok()
}
