//! Preview 1 as it is, for the programs that test single calls.
//!
//! Owns: the declarations, and answers as `Result`s. Does not know: what any call is to answer.

#![deny(clippy::undocumented_unsafe_blocks)]

/// The functions, as the host offers them.
pub mod raw {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub fn args_get(argv: u32, buffer: u32) -> u16;
        pub fn clock_res_get(id: u32, resolution: u32) -> u16;
        pub fn clock_time_get(id: u32, precision: u64, time: u32) -> u16;
        pub fn environ_sizes_get(count: u32, size: u32) -> u16;
        pub fn fd_advise(fd: u32, offset: u64, len: u64, advice: u32) -> u16;
        pub fn fd_allocate(fd: u32, offset: u64, len: u64) -> u16;
        pub fn fd_close(fd: u32) -> u16;
        pub fn fd_datasync(fd: u32) -> u16;
        pub fn fd_fdstat_get(fd: u32, stat: u32) -> u16;
        pub fn fd_fdstat_set_flags(fd: u32, flags: u32) -> u16;
        pub fn fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) -> u16;
        pub fn fd_filestat_get(fd: u32, stat: u32) -> u16;
        pub fn fd_filestat_set_size(fd: u32, size: u64) -> u16;
        pub fn fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32) -> u16;
        pub fn fd_pread(fd: u32, iovs: u32, count: u32, offset: u64, read: u32) -> u16;
        pub fn fd_prestat_get(fd: u32, prestat: u32) -> u16;
        pub fn fd_prestat_dir_name(fd: u32, path: u32, len: u32) -> u16;
        pub fn fd_pwrite(fd: u32, iovs: u32, count: u32, offset: u64, written: u32) -> u16;
        pub fn fd_read(fd: u32, iovs: u32, count: u32, read: u32) -> u16;
        pub fn fd_readdir(fd: u32, buffer: u32, len: u32, cookie: u64, used: u32) -> u16;
        pub fn fd_renumber(from: u32, to: u32) -> u16;
        pub fn fd_seek(fd: u32, offset: i64, whence: u32, position: u32) -> u16;
        pub fn fd_sync(fd: u32) -> u16;
        pub fn fd_tell(fd: u32, position: u32) -> u16;
        pub fn fd_write(fd: u32, iovs: u32, count: u32, written: u32) -> u16;
        pub fn path_create_directory(fd: u32, path: u32, len: u32) -> u16;
        pub fn path_filestat_get(fd: u32, follow: u32, path: u32, len: u32, stat: u32) -> u16;
        pub fn path_filestat_set_times(
            fd: u32,
            follow: u32,
            path: u32,
            len: u32,
            accessed: u64,
            modified: u64,
            flags: u32,
        ) -> u16;
        pub fn path_link(fd: u32, follow: u32, path: u32, len: u32, to_fd: u32, to: u32, to_len: u32) -> u16;
        pub fn path_open(
            fd: u32,
            follow: u32,
            path: u32,
            len: u32,
            open_flags: u32,
            base: u64,
            inheriting: u64,
            flags: u32,
            opened: u32,
        ) -> u16;
        pub fn path_readlink(fd: u32, path: u32, len: u32, buffer: u32, buffer_len: u32, used: u32) -> u16;
        pub fn path_remove_directory(fd: u32, path: u32, len: u32) -> u16;
        pub fn path_rename(fd: u32, path: u32, len: u32, to_fd: u32, to: u32, to_len: u32) -> u16;
        pub fn path_symlink(target: u32, target_len: u32, fd: u32, path: u32, len: u32) -> u16;
        pub fn path_unlink_file(fd: u32, path: u32, len: u32) -> u16;
        pub fn poll_oneoff(subscriptions: u32, events: u32, count: u32, happened: u32) -> u16;
        pub fn proc_exit(code: u32) -> !;
        pub fn proc_raise(signal: u32) -> u16;
        pub fn random_get(buffer: u32, len: u32) -> u16;
        pub fn sched_yield() -> u16;
        pub fn sock_accept(fd: u32, flags: u32, accepted: u32) -> u16;
        pub fn sock_recv(fd: u32, iovs: u32, count: u32, flags: u32, read: u32, got: u32) -> u16;
        pub fn sock_send(fd: u32, iovs: u32, count: u32, flags: u32, written: u32) -> u16;
        pub fn sock_shutdown(fd: u32, how: u32) -> u16;
    }
}

/// Calls a function of [`raw`]; an error number is an `Err`.
#[macro_export]
macro_rules! call {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        // SAFETY: the host checks every pointer, and those that are good belong to the caller.
        match unsafe { $crate::raw::$name($($arg),*) } {
            0 => Ok(()),
            errno => Err(errno),
        }
    }};
}

/// Error numbers.
pub mod errno {
    pub const BADF: u16 = 8;
    pub const EXIST: u16 = 20;
    pub const FAULT: u16 = 21;
    pub const ILSEQ: u16 = 25;
    pub const INVAL: u16 = 28;
    pub const ISDIR: u16 = 31;
    pub const LOOP: u16 = 32;
    pub const MFILE: u16 = 33;
    pub const NAMETOOLONG: u16 = 37;
    pub const NOENT: u16 = 44;
    pub const NOTDIR: u16 = 54;
    pub const NOTEMPTY: u16 = 55;
    pub const NOTSOCK: u16 = 57;
    pub const NOTSUP: u16 = 58;
    pub const PERM: u16 = 63;
    pub const ROFS: u16 = 69;
    pub const SPIPE: u16 = 70;
}

/// Flags of an open.
pub mod flag {
    pub const CREAT: u32 = 1;
    pub const DIRECTORY: u32 = 2;
    pub const EXCL: u32 = 4;
    pub const TRUNC: u32 = 8;
    pub const APPEND: u32 = 1;
    pub const READ: u64 = 1 << 1;
    pub const WRITE: u64 = 1 << 6;
}

/// `/`, `/out` and `/tmp`, which are open from the start.
pub const ROOT: u32 = 3;
pub const OUT: u32 = 4;
pub const TMP: u32 = 5;

/// Where something is in this program's memory.
pub fn at<T: ?Sized>(value: &T) -> u32 {
    std::ptr::from_ref(value).cast::<u8>() as u32
}

/// Where something that a call writes to is.
pub fn at_mut<T: ?Sized>(value: &mut T) -> u32 {
    std::ptr::from_mut(value).cast::<u8>() as u32
}

/// Opens `path` from a directory.
pub fn open(from: u32, path: &str, flags: u32, rights: u64) -> Result<u32, u16> {
    open_with(from, path, flags, rights, 1, 0)
}

/// The same, with the flag that follows links, and the descriptor's flags.
pub fn open_with(from: u32, path: &str, flags: u32, rights: u64, follow: u32, fd_flags: u32) -> Result<u32, u16> {
    let (len, mut fd) = (path.len() as u32, 0_u32);
    call!(path_open(from, follow, at(path), len, flags, rights, 0, fd_flags, at_mut(&mut fd)))?;
    Ok(fd)
}

/// A new file to read and write, with some content.
pub fn file(path: &str, content: &[u8]) -> u32 {
    let fd = open(ROOT, path, flag::CREAT | flag::TRUNC, flag::READ | flag::WRITE).expect("a file can be made");
    assert_eq!(write(fd, content), Ok(content.len() as u32));
    seek(fd, 0, 0).expect("a file has a start");
    fd
}

pub fn mkdir(path: &str) -> Result<(), u16> {
    call!(path_create_directory(ROOT, at(path), path.len() as u32))
}

pub fn unlink(path: &str) -> Result<(), u16> {
    call!(path_unlink_file(ROOT, at(path), path.len() as u32))
}

pub fn rmdir(path: &str) -> Result<(), u16> {
    call!(path_remove_directory(ROOT, at(path), path.len() as u32))
}

pub fn rename(from: &str, to: &str) -> Result<(), u16> {
    call!(path_rename(ROOT, at(from), from.len() as u32, ROOT, at(to), to.len() as u32))
}

pub fn symlink(target: &str, path: &str) -> Result<(), u16> {
    call!(path_symlink(at(target), target.len() as u32, ROOT, at(path), path.len() as u32))
}

pub fn link(from: &str, to: &str) -> Result<(), u16> {
    call!(path_link(ROOT, 0, at(from), from.len() as u32, ROOT, at(to), to.len() as u32))
}

pub fn write(fd: u32, bytes: &[u8]) -> Result<u32, u16> {
    let (iov, mut written) = ([at(bytes), bytes.len() as u32], 0_u32);
    call!(fd_write(fd, at(&iov), 1, at_mut(&mut written)))?;
    Ok(written)
}

/// At most `len` bytes from where the descriptor is.
pub fn read(fd: u32, len: usize) -> Result<Vec<u8>, u16> {
    let (mut bytes, mut read) = (vec![0; len], 0_u32);
    let iov = [at_mut(bytes.as_mut_slice()), len as u32];
    call!(fd_read(fd, at(&iov), 1, at_mut(&mut read)))?;
    bytes.truncate(read as usize);
    Ok(bytes)
}

pub fn seek(fd: u32, offset: i64, whence: u32) -> Result<u64, u16> {
    let mut position = 0_u64;
    call!(fd_seek(fd, offset, whence, at_mut(&mut position)))?;
    Ok(position)
}

/// Inode, type, number of names, size and time of modification of an open descriptor.
pub fn stat(fd: u32) -> Result<(u64, u8, u64, u64, u64), u16> {
    let mut stat = [0_u64; 8];
    call!(fd_filestat_get(fd, at_mut(&mut stat)))?;
    Ok((stat[1], stat[2] as u8, stat[3], stat[4], stat[6]))
}

/// The names in a directory, read with a buffer of so many bytes at a time.
pub fn list(fd: u32, buffer_bytes: usize) -> Result<Vec<String>, u16> {
    let (mut names, mut cookie) = (Vec::new(), 0_u64);
    loop {
        let (mut buffer, mut used) = (vec![0_u8; buffer_bytes], 0_u32);
        let len = buffer_bytes as u32;
        call!(fd_readdir(fd, at_mut(buffer.as_mut_slice()), len, cookie, at_mut(&mut used)))?;
        let mut rest = &buffer[..used as usize];
        while rest.len() >= 24 {
            let next = u64::from_le_bytes(rest[..8].try_into().expect("8 bytes"));
            let name_len = u32::from_le_bytes(rest[16..20].try_into().expect("4 bytes")) as usize;
            let Some(name) = rest.get(24..24 + name_len) else { break };
            names.push(String::from_utf8(name.to_vec()).expect("a name is text"));
            (cookie, rest) = (next, &rest[24 + name_len..]);
        }
        if (used as usize) < buffer_bytes {
            return Ok(names);
        }
    }
}
