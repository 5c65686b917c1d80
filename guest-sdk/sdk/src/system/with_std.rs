//! The system by the standard library: on the machine itself, where jobs are tested and debugged, and where modules are components.
//!
//! Owns: what of it a program asks for. Does not know: what for.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use super::Done;

pub(crate) fn arguments() -> Vec<String> {
    std::env::args_os().take(2).map(|argument| argument.to_string_lossy().into_owned()).collect()
}

pub(crate) fn read_stdin() -> Done<Vec<u8>> {
    let mut input = Vec::new();
    std::io::stdin().lock().read_to_end(&mut input).map(|_| input).map_err(|error| error.to_string())
}

pub(crate) fn read(path: &str) -> Done<Vec<u8>> {
    std::fs::read(path).map_err(|error| error.to_string())
}

pub(crate) fn write(path: &str, bytes: &[u8]) -> Done<()> {
    std::fs::write(path, bytes).map_err(|error| error.to_string())
}

/// Makes a directory, if it is not there yet.
pub(crate) fn create_dir(path: &str) -> Done<()> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.to_string()),
        _ => Ok(()),
    }
}

pub(crate) fn is_there(path: &str) -> bool {
    Path::new(path).symlink_metadata().is_ok()
}

pub(crate) fn is_dir(path: &str) -> bool {
    Path::new(path).is_dir()
}

pub(crate) fn is_file(path: &str) -> bool {
    Path::new(path).is_file()
}

/// Nobody has to listen.
pub(crate) fn say(text: &[u8]) {
    let _ = std::io::stderr().lock().write_all(text);
}

pub(crate) fn exit(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
