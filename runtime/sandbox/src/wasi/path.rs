//! Calls on paths.
//!
//! Owns: the numbers of the flags, and which errors a path call gives. Does not know: how paths are walked or what
//! is opened.

use super::descriptor::{Descriptor, FLAGS, OpenDirectory, OpenFile, right};
use super::errno::Errno;
use super::fd::{check_time_flags, filestat};
use super::guest::Guest;
use crate::instance::World;
use crate::vfs::{Fail, Opening, Place};

/// The `lookupflags` bit that follows a link at a path's end.
const FOLLOW: u32 = 1;

const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

fn walk(guest: &Guest<'_>, world: &mut World, fd: u32, path: u32, len: u32, follow: bool) -> Result<Place, Fail> {
    let start = world.descriptors.directory(fd)?.node;
    world.vfs.walk(start, guest.path(path, len)?, follow)
}

pub(super) fn path_create_directory(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    path: u32,
    len: u32,
) -> Result<(), Fail> {
    let place = walk(guest, world, fd, path, len, false)?;
    world.vfs.make_directory(&place)
}

pub(super) fn path_filestat_get(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    follow: u32,
    path: u32,
    len: u32,
    stat: u32,
) -> Result<(), Fail> {
    let start = world.descriptors.directory(fd)?.node;
    let node = world.vfs.find(start, guest.path(path, len)?, follow & FOLLOW != 0)?;
    let bytes = filestat(world, node)?;
    Ok(guest.write(stat, &bytes)?)
}

/// Every time is the clock's start and stays so.
#[expect(clippy::too_many_arguments, reason = "the signature is preview 1's")]
pub(super) fn path_filestat_set_times(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    follow: u32,
    path: u32,
    len: u32,
    _accessed: u64,
    _modified: u64,
    flags: u32,
) -> Result<(), Fail> {
    check_time_flags(flags)?;
    walk(guest, world, fd, path, len, follow & FOLLOW != 0)?.existing()?;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the signature is preview 1's")]
pub(super) fn path_link(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    follow: u32,
    path: u32,
    len: u32,
    to_fd: u32,
    to_path: u32,
    to_len: u32,
) -> Result<(), Fail> {
    // Like wasmtime and Linux's linkat without its flag: a link itself cannot be linked to.
    if follow & FOLLOW != 0 {
        return Err(Errno::Inval.into());
    }
    let from = walk(guest, world, fd, path, len, false)?.existing()?;
    let to = walk(guest, world, to_fd, to_path, to_len, false)?;
    world.vfs.make_hard_link(from, &to)
}

#[expect(clippy::too_many_arguments, reason = "the signature is preview 1's")]
pub(super) fn path_open(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    follow: u32,
    path: u32,
    len: u32,
    open_flags: u32,
    base: u64,
    _inheriting: u64,
    flags: u32,
    opened: u32,
) -> Result<(), Fail> {
    let flags = u16::try_from(flags).ok().filter(|flags| flags & !FLAGS == 0).ok_or(Errno::Inval)?;
    let start = world.descriptors.directory(fd)?.node;
    // Before anything is made or cut.
    if world.descriptors.is_full() {
        return Err(Errno::Mfile.into());
    }
    let (may_read, may_write) = (base & right::FD_READ != 0, base & right::FD_WRITE != 0);
    let opening = Opening {
        follow: follow & FOLLOW != 0,
        create: open_flags & CREATE != 0,
        directory: open_flags & DIRECTORY != 0,
        exclusive: open_flags & EXCLUSIVE != 0,
        truncate: open_flags & TRUNCATE != 0,
        write: may_write,
    };
    let (node, is_directory) = world.vfs.open(start, guest.path(path, len)?, opening)?;
    let descriptor = if is_directory {
        Descriptor::Directory(OpenDirectory { node, preopen: None, listing: None })
    } else {
        Descriptor::File(OpenFile { node, offset: 0, flags, may_read, may_write })
    };
    let number = world.descriptors.insert(descriptor)?;
    world.vfs.opened(node);
    Ok(guest.write_u32(opened, number)?)
}

#[expect(clippy::too_many_arguments, reason = "the signature is preview 1's")]
pub(super) fn path_readlink(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    path: u32,
    len: u32,
    buffer: u32,
    buffer_len: u32,
    used: u32,
) -> Result<(), Fail> {
    let node = walk(guest, world, fd, path, len, false)?.existing()?;
    let target = world.vfs.link_target(node)?.as_bytes();
    let fitting = target.len().min(buffer_len as usize);
    guest.write(buffer, target.get(..fitting).unwrap_or_default())?;
    Ok(guest.write_u32(used, u32::try_from(fitting).map_err(|_| Errno::Inval)?)?)
}

pub(super) fn path_remove_directory(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    path: u32,
    len: u32,
) -> Result<(), Fail> {
    let place = walk(guest, world, fd, path, len, false)?;
    world.vfs.remove_directory(&place)
}

#[expect(clippy::too_many_arguments, reason = "the signature is preview 1's")]
pub(super) fn path_rename(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    path: u32,
    len: u32,
    to_fd: u32,
    to_path: u32,
    to_len: u32,
) -> Result<(), Fail> {
    let from = walk(guest, world, fd, path, len, false)?;
    let to = walk(guest, world, to_fd, to_path, to_len, false)?;
    world.vfs.rename(&from, &to)
}

pub(super) fn path_symlink(
    guest: &mut Guest<'_>,
    world: &mut World,
    target: u32,
    target_len: u32,
    fd: u32,
    path: u32,
    len: u32,
) -> Result<(), Fail> {
    let target = guest.path(target, target_len)?;
    let place = walk(guest, world, fd, path, len, false)?;
    world.vfs.make_link(&place, target.to_owned())
}

pub(super) fn path_unlink_file(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    path: u32,
    len: u32,
) -> Result<(), Fail> {
    let place = walk(guest, world, fd, path, len, false)?;
    world.vfs.remove_file(&place)
}
