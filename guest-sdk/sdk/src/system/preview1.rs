//! The system by preview 1's own calls.
//!
//! Owns: how they are called, and what errors are called. Does not know: what for.

use super::{Done, bare};

type Errno = i32;

#[repr(C)]
struct Bytes {
    at: *const u8,
    len: usize,
}

/// `filestat` of the interface.
#[repr(C)]
#[derive(Default)]
struct Status {
    device: u64,
    inode: u64,
    kind: u8,
    links: u64,
    size: u64,
    times: [u64; 3],
}

const DIRECTORY: u8 = 3;
const REGULAR_FILE: u8 = 4;
const FOLLOW: u32 = 1;
const CREATE: u16 = 1;
const TRUNCATE: u16 = 8;
const RIGHT_READ: u64 = 1 << 1;
const RIGHT_SEEK: u64 = 1 << 2;
const RIGHT_WRITE: u64 = 1 << 6;
const RIGHT_STATUS: u64 = 1 << 21;
const EXISTS: Errno = 20;
const BAD_DESCRIPTOR: Errno = 8;
const INTERRUPTED: Errno = 27;
const NOT_WRITTEN: Errno = 29;
const NO_MEMORY: Errno = 48;
const NOTHING: Errno = 44;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn args_sizes_get(count: *mut usize, bytes: *mut usize) -> Errno;
    fn args_get(argv: *mut *mut u8, bytes: *mut u8) -> Errno;
    fn fd_close(fd: u32) -> Errno;
    fn fd_filestat_get(fd: u32, status: *mut Status) -> Errno;
    fn fd_prestat_get(fd: u32, prestat: *mut [u32; 2]) -> Errno;
    fn fd_prestat_dir_name(fd: u32, name: *mut u8, len: usize) -> Errno;
    fn fd_read(fd: u32, into: *const Bytes, count: usize, read: *mut usize) -> Errno;
    fn fd_write(fd: u32, from: *const Bytes, count: usize, written: *mut usize) -> Errno;
    fn path_create_directory(fd: u32, path: *const u8, len: usize) -> Errno;
    fn path_filestat_get(fd: u32, flags: u32, path: *const u8, len: usize, status: *mut Status) -> Errno;
    #[expect(clippy::too_many_arguments, reason = "it has them")]
    fn path_open(
        fd: u32,
        flags: u32,
        path: *const u8,
        len: usize,
        open: u16,
        rights: u64,
        rights_below: u64,
        fd_flags: u16,
        opened: *mut u32,
    ) -> Errno;
}

fn ok(errno: Errno) -> Result<(), Errno> {
    if errno == 0 { Ok(()) } else { Err(errno) }
}

/// What `std` says of it.
#[cold]
fn in_words(errno: Errno) -> String {
    let said = match errno {
        2 => "Permission denied",
        BAD_DESCRIPTOR => "Bad file descriptor",
        EXISTS => "File exists",
        NOT_WRITTEN => "I/O error",
        31 => "Is a directory",
        32 => "Symbolic link loop",
        37 => "Filename too long",
        41 => "No file descriptors available",
        NO_MEMORY => return "out of memory".to_owned(),
        NOTHING => "No such file or directory",
        51 => "No space left on device",
        54 => "Not a directory",
        63 => "Operation not permitted",
        69 => "Read-only file system",
        76 => "Capabilities insufficient",
        _ => "it failed",
    };
    format!("{said} (os error {errno})")
}

pub(crate) fn arguments() -> Vec<String> {
    let (mut count, mut bytes) = (0, 0);
    // SAFETY: both are there to be written.
    if unsafe { args_sizes_get(&mut count, &mut bytes) } != 0 {
        return Vec::new();
    }
    let (mut argv, mut text) = (vec![std::ptr::null_mut(); count], vec![0; bytes]);
    // SAFETY: there is room for as much as was said.
    if unsafe { args_get(argv.as_mut_ptr(), text.as_mut_ptr()) } != 0 {
        return Vec::new();
    }
    // They lie one behind the other, each with a zero at its end.
    let all = text.split(|byte| *byte == 0).take(count.min(2));
    // What is not UTF-8 names no job.
    all.map(|argument| String::from_utf8(argument.to_owned()).unwrap_or_default()).collect()
}

/// The directory open from the start that a path is below, and the rest of the path; of several, the one that says most of it.
fn locate(path: &str) -> Result<(u32, &str), Errno> {
    let path = path.trim_start_matches('/');
    let mut found = Err(NOTHING);
    let mut matched = 0;
    let mut prestat = [0; 2];
    let mut fd = 3;
    // SAFETY: it is there to be written.
    while unsafe { fd_prestat_get(fd, &mut prestat) } == 0 {
        let mut name = vec![0; prestat[1] as usize];
        // SAFETY: there is room for as much as was said.
        ok(unsafe { fd_prestat_dir_name(fd, name.as_mut_ptr(), name.len()) })?;
        let name = bare(&name);
        let below = path.as_bytes().strip_prefix(name);
        // All of a name, or nothing of it.
        let is_whole = |rest: &[u8]| name.is_empty() || matches!(rest, [] | [b'/', ..]);
        if below.is_some_and(is_whole) && (found.is_err() || name.len() >= matched) {
            matched = name.len();
            let rest = path.get(matched..).unwrap_or_default().trim_start_matches('/');
            found = Ok((fd, if rest.is_empty() { "." } else { rest }));
        }
        fd += 1;
    }
    found
}

/// An open file, closed at the end.
struct Open(u32);

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: it is nobody else's.
        unsafe { fd_close(self.0) };
    }
}

fn open(path: &str, how: u16, rights: u64) -> Result<Open, Errno> {
    let (dir, path) = locate(path)?;
    let mut fd = 0;
    // SAFETY: the path is as long as is said, and the number is there to be written.
    ok(unsafe { path_open(dir, FOLLOW, path.as_ptr(), path.len(), how, rights, 0, 0, &mut fd) })?;
    Ok(Open(fd))
}

/// Reads to the end, which may be `expected` bytes away.
fn read_all(fd: u32, expected: u64) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    // One byte more, with which the end is found.
    let mut room = usize::try_from(expected).unwrap_or(usize::MAX).saturating_add(1);
    loop {
        if all.capacity() == all.len() {
            // Inputs may be larger than memory.
            all.try_reserve(room).map_err(|_| NO_MEMORY)?;
            room = 4096;
        }
        let room = all.spare_capacity_mut();
        let (at, len) = (room.as_mut_ptr().cast::<u8>(), room.len());
        let into = Bytes { at, len };
        let mut read = 0;
        // SAFETY: the room is as large as is said.
        match unsafe { fd_read(fd, &into, 1, &mut read) } {
            0 if read == 0 => return Ok(all),
            // SAFETY: so much of the room was written.
            0 => unsafe { all.set_len(all.len() + read.min(len)) },
            INTERRUPTED => {}
            errno => return Err(errno),
        }
    }
}

fn write_all(fd: u32, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let from = Bytes { at: bytes.as_ptr(), len: bytes.len() };
        let mut written = 0;
        // SAFETY: there are as many bytes as is said.
        match unsafe { fd_write(fd, &from, 1, &mut written) } {
            // It would go on for ever.
            0 if written == 0 => return Err(NOT_WRITTEN),
            0 => bytes = bytes.get(written..).unwrap_or_default(),
            INTERRUPTED => {}
            errno => return Err(errno),
        }
    }
    Ok(())
}

pub(crate) fn read_stdin() -> Done<Vec<u8>> {
    match read_all(0, 0) {
        // There is none: it is closed.
        Err(BAD_DESCRIPTOR) => Ok(Vec::new()),
        read => read.map_err(in_words),
    }
}

pub(crate) fn read(path: &str) -> Done<Vec<u8>> {
    let read = || {
        let file = open(path, 0, RIGHT_READ | RIGHT_SEEK | RIGHT_STATUS)?;
        let mut status = Status::default();
        // It is a hint: who does not say it is read all the same.
        // SAFETY: it is there to be written.
        let _ = unsafe { fd_filestat_get(file.0, &mut status) };
        read_all(file.0, status.size)
    };
    read().map_err(in_words)
}

pub(crate) fn write(path: &str, bytes: &[u8]) -> Done<()> {
    open(path, CREATE | TRUNCATE, RIGHT_WRITE).and_then(|file| write_all(file.0, bytes)).map_err(in_words)
}

/// Makes a directory, if it is not there yet.
pub(crate) fn create_dir(path: &str) -> Done<()> {
    let (dir, path) = locate(path).map_err(in_words)?;
    // SAFETY: the path is as long as is said.
    match unsafe { path_create_directory(dir, path.as_ptr(), path.len()) } {
        0 | EXISTS => Ok(()),
        errno => Err(in_words(errno)),
    }
}

/// What kind of thing is at a path; none is 0.
fn kind(path: &str, flags: u32) -> Option<u8> {
    let (dir, path) = locate(path).ok()?;
    let mut status = Status::default();
    // SAFETY: the path is as long as is said, and the status is there to be written.
    ok(unsafe { path_filestat_get(dir, flags, path.as_ptr(), path.len(), &mut status) }).ok()?;
    Some(status.kind)
}

pub(crate) fn is_there(path: &str) -> bool {
    kind(path, 0).is_some()
}

pub(crate) fn is_dir(path: &str) -> bool {
    kind(path, FOLLOW) == Some(DIRECTORY)
}

pub(crate) fn is_file(path: &str) -> bool {
    kind(path, FOLLOW) == Some(REGULAR_FILE)
}

/// Nobody has to listen.
pub(crate) fn say(text: &[u8]) {
    let _ = write_all(2, text);
}

pub(crate) fn exit(code: u8) -> ! {
    // What the job wrote to standard output is written.
    std::process::exit(i32::from(code))
}
