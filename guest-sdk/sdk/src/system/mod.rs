//! The few things that every job asks of the system: memory, its arguments, its input, its files, an end.
//!
//! Owns: how they are asked for, which is all of this crate that is unsafe. In a module for preview 1 that is the interface itself:
//! `std::fs`, `std::io`, libc's files and libc's heap are 40 KB of a program, all of this is 5. Elsewhere it is `std`. Does not know: what
//! any of it is for.

#[cfg(all(feature = "heap", target_os = "wasi", target_env = "p1", not(target_feature = "atomics")))]
#[expect(unsafe_code, reason = "it is the place of what others call malloc")]
mod heap;
#[cfg(all(target_os = "wasi", target_env = "p1"))]
#[expect(unsafe_code, reason = "it is the place of what others call memcpy")]
mod memory;
#[cfg(all(target_os = "wasi", target_env = "p1"))]
#[expect(unsafe_code, reason = "the interface's calls take pointers")]
mod preview1;
#[cfg(not(all(target_os = "wasi", target_env = "p1")))]
mod with_std;

#[cfg(all(target_os = "wasi", target_env = "p1"))]
pub(crate) use preview1::{arguments, create_dir, exit, is_dir, is_file, is_there, read, read_stdin, say, write};
#[cfg(not(all(target_os = "wasi", target_env = "p1")))]
pub(crate) use with_std::{arguments, create_dir, exit, is_dir, is_file, is_there, read, read_stdin, say, write};

/// Why something failed, in words.
type Done<T> = Result<T, String>;

#[cfg(any(test, all(target_os = "wasi", target_env = "p1")))]
/// The name of a directory without what says that it is one: `/in/`, `./in` and `in` are one name, `.` is none.
fn bare(mut name: &[u8]) -> &[u8] {
    while let [b'/', rest @ ..] | [b'.', b'/', rest @ ..] = name {
        name = rest;
    }
    while let [rest @ .., b'/' | 0] = name {
        name = rest;
    }
    if name == b"." { b"" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_name_however_it_is_written() {
        for name in ["/in", "in", "./in", "/in/", "//in//", "in\0", "./in/"] {
            assert_eq!(bare(name.as_bytes()), b"in", "{name}");
        }
        for name in ["/", ".", "./", "", "/./"] {
            assert_eq!(bare(name.as_bytes()), b"", "{name}");
        }
        assert_eq!(bare(b"/in/a.b/"), b"in/a.b");
        assert_eq!(bare(b"..in"), b"..in");
    }
}
