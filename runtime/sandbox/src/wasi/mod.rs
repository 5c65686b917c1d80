//! WASI preview 1 over the virtual filesystem: <https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md>.
//!
//! Owns: the functions that a guest can import, and how each answers. Does not know: the engine, the limits
//! outside a call, what becomes of what was written.

mod descriptor;
mod environment;
mod errno;
mod fd;
mod guest;
mod path;
mod time;

use wasmtime::{Caller, Extern, Linker};

pub(crate) use descriptor::Descriptors;
pub(crate) use errno::Errno;
use guest::Guest;

use crate::instance::{Stop, World};
use crate::vfs::Fail;

/// The module that preview 1's functions are imported from.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// Lets `call` work on the guest's memory and world, and turns its answer into the guest's error number.
fn call(
    caller: &mut Caller<'_, World>,
    call: impl FnOnce(&mut Guest<'_>, &mut World) -> Result<(), Fail>,
) -> wasmtime::Result<u32> {
    let memory = match caller.data().memory {
        Some(memory) => Some(memory),
        // The first call; it may come from the module's start function, before there is an instance.
        None => {
            let exported = caller.get_export("memory").and_then(Extern::into_memory);
            caller.data_mut().memory = exported;
            exported
        }
    };
    let answer = match memory {
        Some(memory) => {
            let (bytes, world) = memory.data_and_store_mut(&mut *caller);
            call(&mut Guest::new(bytes), world)
        }
        // A module without a memory has nothing to point at.
        None => call(&mut Guest::new(&mut []), caller.data_mut()),
    };
    match answer {
        Ok(()) => Ok(Errno::Success as u32),
        Err(Fail::Errno(errno)) => Ok(errno as u32),
        Err(Fail::OutputTooLarge) => Err(caller.data_mut().stop(Stop::OutputTooLarge)),
        Err(Fail::Store(error)) => Err(caller.data_mut().stop(Stop::Store(error))),
        Err(Fail::Disk(error)) => Err(caller.data_mut().stop(Stop::Disk(error))),
        Err(Fail::Over(over)) => Err(caller.data_mut().stop(Stop::Over(over))),
    }
}

macro_rules! define {
    ($linker:ident, $check:ident: $($module:ident :: $name:ident($($arg:ident: $type:ty),*);)*) => {
        $($linker.func_wrap(
            MODULE,
            stringify!($name),
            move |mut caller: Caller<'_, World>, $($arg: $type),*| {
                $check(&mut caller, stringify!($name))?;
                call(&mut caller, |guest, world| $module::$name(guest, world, $($arg),*))
            },
        )?;)*
    };
}

/// The descriptor of standard error.
const STDERR: u32 = 2;

/// What an initialiser may call beside: it gives the same to every job.
const FOR_INITIALISERS: [&str; 5] = ["clock_res_get", "clock_time_get", "random_get", "sched_yield", "fd_fdstat_get"];

/// Offers all of preview 1 to modules.
pub(crate) fn add_to_linker(linker: &mut Linker<World>) -> wasmtime::Result<()> {
    add(linker, |_, _| Ok(()))
}

/// Offers all of preview 1 to modules that initialise themselves: what they do before there is a job must not depend on
/// one, so most functions then stop them. Standard error is there for saying why it does not go well.
pub(crate) fn add_initialising_to_linker(linker: &mut Linker<World>) -> wasmtime::Result<()> {
    add(linker, |caller, name| {
        if caller.data().is_initialising && !FOR_INITIALISERS.contains(&name) {
            return Err(caller.data_mut().stop(Stop::Forbidden(name)));
        }
        Ok(())
    })?;
    linker.allow_shadowing(true);
    let write = |mut caller: Caller<'_, World>, fd: u32, iovs: u32, count: u32, written: u32| {
        if caller.data().is_initialising && fd != STDERR {
            return Err(caller.data_mut().stop(Stop::Forbidden("fd_write")));
        }
        call(&mut caller, |guest, world| fd::fd_write(guest, world, fd, iovs, count, written))
    };
    linker.func_wrap(MODULE, "fd_write", write)?;
    Ok(())
}

fn add(
    linker: &mut Linker<World>,
    check: impl Fn(&mut Caller<'_, World>, &'static str) -> wasmtime::Result<()> + Copy + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    define! { linker, check:
        environment::args_get(argv: u32, buffer: u32);
        environment::args_sizes_get(count: u32, size: u32);
        environment::environ_get(environ: u32, buffer: u32);
        environment::environ_sizes_get(count: u32, size: u32);
        environment::random_get(buffer: u32, len: u32);
        environment::sched_yield();
        environment::proc_raise(signal: u32);
        time::clock_res_get(id: u32, resolution: u32);
        time::clock_time_get(id: u32, precision: u64, time: u32);
        time::poll_oneoff(subscriptions: u32, events: u32, count: u32, happened: u32);
        fd::fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
        fd::fd_allocate(fd: u32, offset: u64, len: u64);
        fd::fd_close(fd: u32);
        fd::fd_datasync(fd: u32);
        fd::fd_fdstat_get(fd: u32, stat: u32);
        fd::fd_fdstat_set_flags(fd: u32, flags: u32);
        fd::fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
        fd::fd_filestat_get(fd: u32, stat: u32);
        fd::fd_filestat_set_size(fd: u32, size: u64);
        fd::fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
        fd::fd_pread(fd: u32, iovs: u32, count: u32, offset: u64, read: u32);
        fd::fd_prestat_get(fd: u32, prestat: u32);
        fd::fd_prestat_dir_name(fd: u32, path: u32, len: u32);
        fd::fd_pwrite(fd: u32, iovs: u32, count: u32, offset: u64, written: u32);
        fd::fd_read(fd: u32, iovs: u32, count: u32, read: u32);
        fd::fd_readdir(fd: u32, buffer: u32, len: u32, cookie: u64, used: u32);
        fd::fd_renumber(from: u32, to: u32);
        fd::fd_seek(fd: u32, offset: i64, whence: u32, position: u32);
        fd::fd_sync(fd: u32);
        fd::fd_tell(fd: u32, position: u32);
        fd::fd_write(fd: u32, iovs: u32, count: u32, written: u32);
        fd::sock_accept(fd: u32, flags: u32, accepted: u32);
        fd::sock_recv(fd: u32, iovs: u32, count: u32, flags: u32, read: u32, got: u32);
        fd::sock_send(fd: u32, iovs: u32, count: u32, flags: u32, written: u32);
        fd::sock_shutdown(fd: u32, how: u32);
        path::path_create_directory(fd: u32, path: u32, len: u32);
        path::path_filestat_get(fd: u32, follow: u32, path: u32, len: u32, stat: u32);
        path::path_filestat_set_times(
            fd: u32, follow: u32, path: u32, len: u32, accessed: u64, modified: u64, flags: u32
        );
        path::path_link(
            fd: u32, follow: u32, path: u32, len: u32, to_fd: u32, to_path: u32, to_len: u32
        );
        path::path_open(
            fd: u32, follow: u32, path: u32, len: u32, open_flags: u32, base: u64, inheriting: u64,
            flags: u32, opened: u32
        );
        path::path_readlink(fd: u32, path: u32, len: u32, buffer: u32, buffer_len: u32, used: u32);
        path::path_remove_directory(fd: u32, path: u32, len: u32);
        path::path_rename(fd: u32, path: u32, len: u32, to_fd: u32, to_path: u32, to_len: u32);
        path::path_symlink(target: u32, target_len: u32, fd: u32, path: u32, len: u32);
        path::path_unlink_file(fd: u32, path: u32, len: u32);
    }
    linker.func_wrap(MODULE, "proc_exit", |mut caller: Caller<'_, World>, code: u32| -> wasmtime::Result<()> {
        Err(caller.data_mut().stop(Stop::Exit(code)))
    })?;
    Ok(())
}
