//! Copying memory, by the instructions that WebAssembly has for it.
//!
//! Owns: what compiled code calls where a copy has no fixed size. libc's functions are 3 KB of loops. The target has these instructions
//! since Rust 1.87; every runtime has had them since 2021. Does not know: who copies what.

use std::ptr;

/// # Safety
/// That of C's `memcpy`.
#[unsafe(no_mangle)]
#[target_feature(enable = "bulk-memory")]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: whoever calls this says so. Compilers also copy a thing to where it is, which is no overlap that C minds.
    unsafe { ptr::copy(from, to, len) };
    to
}

/// # Safety
/// That of C's `memmove`.
#[unsafe(no_mangle)]
#[target_feature(enable = "bulk-memory")]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: whoever calls this says so.
    unsafe { ptr::copy(from, to, len) };
    to
}

/// # Safety
/// That of C's `memset`.
#[unsafe(no_mangle)]
#[target_feature(enable = "bulk-memory")]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
    // SAFETY: whoever calls this says so.
    unsafe { ptr::write_bytes(to, byte as u8, len) };
    to
}
