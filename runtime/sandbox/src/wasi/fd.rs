//! Calls on descriptors.
//!
//! Owns: reading, writing, seeking, listing, and what a descriptor says of itself. Does not know: how paths are
//! walked or where bytes are kept.

use super::descriptor::{APPEND, Descriptor, FLAGS, OpenDirectory, OpenFile, right};
use super::errno::Errno;
use super::guest::Guest;
use crate::clock::Clock;
use crate::instance::World;
use crate::vfs::{Fail, Kind, Listed, NodeId};

/// The standard streams are no terminals, or else programs would colour what they write, and write it line by line.
const TYPE_UNKNOWN: u8 = 0;
const TYPE_DIRECTORY: u8 = 3;
const TYPE_REGULAR_FILE: u8 = 4;
const TYPE_SYMBOLIC_LINK: u8 = 7;

/// Most buffers of one read or write, as `IOV_MAX` of common systems; of more, the rest is left for the next call.
const IOVS_MAX: u32 = 1024;

const DIRENT_BYTES: usize = 24;

fn type_of(kind: Kind) -> u8 {
    match kind {
        Kind::Directory => TYPE_DIRECTORY,
        Kind::File => TYPE_REGULAR_FILE,
        Kind::Link => TYPE_SYMBOLIC_LINK,
    }
}

/// The bytes of a `filestat`. Times are the clock's start for everything, because a guest's own times would
/// depend on how often it read the clock.
pub(super) fn filestat(world: &World, node: NodeId) -> Result<[u8; 64], Fail> {
    let kind = world.vfs.kind(node)?;
    Ok(encode_filestat(node.inode(), type_of(kind), world.vfs.size(node)?))
}

fn encode_filestat(inode: u64, kind: u8, size: u64) -> [u8; 64] {
    let mut stat = [0; 64];
    stat[0..8].copy_from_slice(&1_u64.to_le_bytes());
    stat[8..16].copy_from_slice(&inode.to_le_bytes());
    stat[16] = kind;
    stat[24..32].copy_from_slice(&1_u64.to_le_bytes());
    stat[32..40].copy_from_slice(&size.to_le_bytes());
    for at in [40, 48, 56] {
        stat[at..at + 8].copy_from_slice(&Clock::START_NS.to_le_bytes());
    }
    stat
}

/// How many bytes a descriptor could be read or written for, for `poll_oneoff`.
pub(super) fn ready_bytes(world: &World, fd: u32, for_reading: bool) -> Result<u64, Errno> {
    Ok(match world.descriptors.get(fd)? {
        Descriptor::Stdin { offset } if for_reading => world.stdin.size_bytes.saturating_sub(*offset),
        Descriptor::File(file) if for_reading => world.vfs.size(file.node)?.saturating_sub(file.offset),
        Descriptor::Directory(_) => return Err(Errno::Badf),
        _ => 1,
    })
}

pub(super) fn fd_advise(
    _guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    _offset: u64,
    _len: u64,
    advice: u32,
) -> Result<(), Fail> {
    if advice > 5 {
        return Err(Errno::Inval.into());
    }
    world.descriptors.file(fd)?;
    Ok(())
}

pub(super) fn fd_allocate(
    _guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    offset: u64,
    len: u64,
) -> Result<(), Fail> {
    let node = writable_file(world, fd)?.node;
    let end = offset.checked_add(len).ok_or(Errno::Fbig)?;
    if len == 0 {
        return Err(Errno::Inval.into());
    }
    if end > world.vfs.size(node)? {
        world.vfs.resize(node, end)?;
    }
    Ok(())
}

pub(super) fn fd_close(_guest: &mut Guest<'_>, world: &mut World, fd: u32) -> Result<(), Fail> {
    let closed = world.descriptors.close(fd)?;
    release(world, closed);
    Ok(())
}

/// Gives back what a descriptor held.
fn release(world: &mut World, closed: Descriptor) {
    if let Some(node) = closed.node() {
        world.vfs.closed(node);
    }
    if let Descriptor::Directory(OpenDirectory { listing: Some(listing), .. }) = closed {
        world.vfs.forget(&listing);
    }
}

/// What was written is where it stays: in memory.
pub(super) fn fd_sync(_guest: &mut Guest<'_>, world: &mut World, fd: u32) -> Result<(), Fail> {
    match world.descriptors.get(fd)? {
        Descriptor::File(_) | Descriptor::Directory(_) => Ok(()),
        _ => Err(Errno::Inval.into()),
    }
}

pub(super) fn fd_datasync(guest: &mut Guest<'_>, world: &mut World, fd: u32) -> Result<(), Fail> {
    fd_sync(guest, world, fd)
}

pub(super) fn fd_fdstat_get(guest: &mut Guest<'_>, world: &mut World, fd: u32, stat: u32) -> Result<(), Fail> {
    let (kind, flags, base, inheriting) = match world.descriptors.get(fd)? {
        Descriptor::Stdin { .. } => (TYPE_UNKNOWN, 0, right::STREAM & !right::FD_WRITE, 0),
        Descriptor::Stdout | Descriptor::Stderr => (TYPE_UNKNOWN, APPEND, right::STREAM & !right::FD_READ, 0),
        Descriptor::File(file) => {
            let mut rights = right::FILE;
            if !file.may_read {
                rights &= !right::FD_READ;
            }
            if !file.may_write {
                rights &= !right::FD_WRITE;
            }
            (TYPE_REGULAR_FILE, file.flags, rights, 0)
        }
        Descriptor::Directory(_) => (TYPE_DIRECTORY, 0, right::DIRECTORY, right::DIRECTORY | right::FILE),
    };
    let mut bytes = [0; 24];
    bytes[0] = kind;
    bytes[2..4].copy_from_slice(&flags.to_le_bytes());
    bytes[8..16].copy_from_slice(&base.to_le_bytes());
    bytes[16..24].copy_from_slice(&inheriting.to_le_bytes());
    Ok(guest.write(stat, &bytes)?)
}

pub(super) fn fd_fdstat_set_flags(_guest: &mut Guest<'_>, world: &mut World, fd: u32, flags: u32) -> Result<(), Fail> {
    let flags = u16::try_from(flags).ok().filter(|flags| flags & !FLAGS == 0).ok_or(Errno::Inval)?;
    match world.descriptors.get_mut(fd)? {
        Descriptor::File(file) => file.flags = flags,
        Descriptor::Directory(_) => return Err(Errno::Badf.into()),
        _ => {}
    }
    Ok(())
}

/// Rights were dropped from WASI after preview 1; like wasmtime, there is nothing to set.
pub(super) fn fd_fdstat_set_rights(
    _guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    _base: u64,
    _inheriting: u64,
) -> Result<(), Fail> {
    world.descriptors.get(fd)?;
    Err(Errno::Notsup.into())
}

pub(super) fn fd_filestat_get(guest: &mut Guest<'_>, world: &mut World, fd: u32, stat: u32) -> Result<(), Fail> {
    let node = match world.descriptors.get(fd)? {
        Descriptor::File(file) => file.node,
        Descriptor::Directory(directory) => directory.node,
        _ => return Ok(guest.write(stat, &encode_filestat(0, TYPE_UNKNOWN, 0))?),
    };
    let bytes = filestat(world, node)?;
    Ok(guest.write(stat, &bytes)?)
}

pub(super) fn fd_filestat_set_size(_guest: &mut Guest<'_>, world: &mut World, fd: u32, size: u64) -> Result<(), Fail> {
    let node = writable_file(world, fd)?.node;
    world.vfs.resize(node, size)
}

/// Every time is the clock's start and stays so.
pub(super) fn fd_filestat_set_times(
    _guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    _accessed: u64,
    _modified: u64,
    flags: u32,
) -> Result<(), Fail> {
    check_time_flags(flags)?;
    match world.descriptors.get(fd)? {
        Descriptor::File(_) | Descriptor::Directory(_) => Ok(()),
        _ => Err(Errno::Inval.into()),
    }
}

/// A time can be set to a value or to now, not to both.
pub(super) fn check_time_flags(flags: u32) -> Result<(), Errno> {
    if flags > 15 || flags & 3 == 3 || flags & 12 == 12 { Err(Errno::Inval) } else { Ok(()) }
}

fn writable_file(world: &mut World, fd: u32) -> Result<&mut OpenFile, Errno> {
    let file = world.descriptors.file(fd).map_err(|errno| match errno {
        Errno::Spipe => Errno::Inval,
        other => other,
    })?;
    if file.may_write { Ok(file) } else { Err(Errno::Badf) }
}

/// Copies what `read` gives for each offset into the guest's buffers, until it gives less than a buffer takes.
fn scatter(
    guest: &mut Guest<'_>,
    iovs: u32,
    count: u32,
    mut offset: u64,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, Fail>,
) -> Result<u32, Fail> {
    let mut total: u32 = 0;
    for index in 0..count.min(IOVS_MAX) {
        let (at, len) = guest.iov(iovs, index)?;
        let buffer = guest.bytes_mut(at, len)?;
        let got = read(offset, buffer)?;
        total = u32::try_from(got).ok().and_then(|got| total.checked_add(got)).ok_or(Errno::Inval)?;
        offset = offset.saturating_add(got as u64);
        if got < len as usize {
            break;
        }
    }
    Ok(total)
}

fn copy_start(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
    len
}

fn read_file(
    guest: &mut Guest<'_>,
    world: &mut World,
    node: NodeId,
    iovs: u32,
    count: u32,
    offset: u64,
) -> Result<u32, Fail> {
    let vfs = &mut world.vfs;
    scatter(guest, iovs, count, offset, |offset, buffer| vfs.read(node, offset, buffer))
}

pub(super) fn fd_read(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    iovs: u32,
    count: u32,
    read: u32,
) -> Result<(), Fail> {
    let got = match world.descriptors.get(fd)? {
        Descriptor::Stdin { offset } => {
            let offset = *offset;
            let stdin = world.stdin_bytes()?;
            let patience = &mut world.vfs.patience;
            let got = scatter(guest, iovs, count, offset, |offset, buffer| {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(stdin.len());
                patience.fill(buffer, |at, piece| Ok(copy_start(stdin.get(start + at..).unwrap_or_default(), piece)))
            })?;
            if let Descriptor::Stdin { offset } = world.descriptors.get_mut(fd)? {
                *offset += u64::from(got);
            }
            got
        }
        Descriptor::File(file) if file.may_read => {
            let (node, offset) = (file.node, file.offset);
            let got = read_file(guest, world, node, iovs, count, offset)?;
            world.descriptors.file(fd)?.offset += u64::from(got);
            got
        }
        Descriptor::Directory(_) => return Err(Errno::Isdir.into()),
        _ => return Err(Errno::Badf.into()),
    };
    Ok(guest.write_u32(read, got)?)
}

pub(super) fn fd_pread(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    read: u32,
) -> Result<(), Fail> {
    let file = world.descriptors.file(fd)?;
    if !file.may_read {
        return Err(Errno::Badf.into());
    }
    let node = file.node;
    let got = read_file(guest, world, node, iovs, count, offset)?;
    Ok(guest.write_u32(read, got)?)
}

/// Writes the guest's buffers from `offset` on; returns how many bytes they have.
fn gather(
    guest: &Guest<'_>,
    iovs: u32,
    count: u32,
    mut write: impl FnMut(&[u8]) -> Result<(), Fail>,
) -> Result<u32, Fail> {
    let mut total: u32 = 0;
    for index in 0..count.min(IOVS_MAX) {
        let (at, len) = guest.iov(iovs, index)?;
        total = total.checked_add(len).ok_or(Errno::Inval)?;
        write(guest.bytes(at, len)?)?;
    }
    Ok(total)
}

fn write_file(
    guest: &Guest<'_>,
    world: &mut World,
    node: NodeId,
    iovs: u32,
    count: u32,
    mut offset: u64,
) -> Result<(u32, u64), Fail> {
    let vfs = &mut world.vfs;
    let written = gather(guest, iovs, count, |bytes| {
        if !bytes.is_empty() {
            offset = vfs.write(node, offset, bytes)?;
        }
        Ok(())
    })?;
    Ok((written, offset))
}

pub(super) fn fd_write(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    iovs: u32,
    count: u32,
    written: u32,
) -> Result<(), Fail> {
    let wrote = match world.descriptors.get(fd)? {
        Descriptor::Stdout => gather(guest, iovs, count, |bytes| world.write_stdout(bytes))?,
        Descriptor::Stderr => gather(guest, iovs, count, |bytes| world.write_stderr(bytes))?,
        Descriptor::File(file) if file.may_write => {
            let node = file.node;
            let offset = if file.flags & APPEND != 0 { world.vfs.size(node)? } else { file.offset };
            let (wrote, end) = write_file(guest, world, node, iovs, count, offset)?;
            world.descriptors.file(fd)?.offset = end;
            wrote
        }
        Descriptor::Directory(_) => return Err(Errno::Isdir.into()),
        _ => return Err(Errno::Badf.into()),
    };
    Ok(guest.write_u32(written, wrote)?)
}

pub(super) fn fd_pwrite(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    written: u32,
) -> Result<(), Fail> {
    let file = world.descriptors.file(fd)?;
    if !file.may_write {
        return Err(Errno::Badf.into());
    }
    let node = file.node;
    let (wrote, _) = write_file(guest, world, node, iovs, count, offset)?;
    Ok(guest.write_u32(written, wrote)?)
}

pub(super) fn fd_prestat_get(guest: &mut Guest<'_>, world: &mut World, fd: u32, prestat: u32) -> Result<(), Fail> {
    let name = preopen(world, fd)?;
    let len = u32::try_from(name.len()).map_err(|_| Errno::Nametoolong)?;
    // The tag 0 says that it is a directory.
    guest.write_u32(prestat, 0)?;
    Ok(guest.write_u32(prestat.checked_add(4).ok_or(Errno::Fault)?, len)?)
}

pub(super) fn fd_prestat_dir_name(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    path: u32,
    len: u32,
) -> Result<(), Fail> {
    let name = preopen(world, fd)?;
    if name.len() > len as usize {
        return Err(Errno::Nametoolong.into());
    }
    Ok(guest.write(path, name.as_bytes())?)
}

fn preopen(world: &World, fd: u32) -> Result<&str, Errno> {
    match world.descriptors.get(fd)? {
        Descriptor::Directory(directory) => directory.preopen.as_deref().ok_or(Errno::Badf),
        _ => Err(Errno::Badf),
    }
}

/// Lists a directory: `.`, `..`, then the entries by name. A cookie is the number of entries before.
pub(super) fn fd_readdir(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    buffer: u32,
    len: u32,
    cookie: u64,
    used: u32,
) -> Result<(), Fail> {
    let directory = world.descriptors.directory(fd)?;
    if cookie == 0
        && let Some(listing) = directory.listing.take()
    {
        world.vfs.forget(&listing);
    }
    let listing = match &directory.listing {
        Some(listing) => listing,
        None => directory.listing.insert(world.vfs.list(directory.node)?),
    };
    let listing = &listing.entries;
    let out = guest.bytes_mut(buffer, len)?;
    let mut filled = 0;
    let first = usize::try_from(cookie).unwrap_or(usize::MAX).min(listing.len());
    for (index, Listed { name, node, kind }) in listing.iter().enumerate().skip(first) {
        let mut entry = [0; DIRENT_BYTES];
        entry[0..8].copy_from_slice(&(index as u64 + 1).to_le_bytes());
        entry[8..16].copy_from_slice(&node.inode().to_le_bytes());
        entry[16..20].copy_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        entry[20] = type_of(*kind);
        // An entry that does not fit is cut off: a full buffer tells the guest that there is more.
        for bytes in [entry.as_slice(), name.as_bytes()] {
            let rest = out.get_mut(filled..).unwrap_or_default();
            filled += copy_start(bytes, rest);
        }
        if filled == out.len() {
            break;
        }
    }
    Ok(guest.write_u32(used, u32::try_from(filled).map_err(|_| Errno::Inval)?)?)
}

pub(super) fn fd_renumber(_guest: &mut Guest<'_>, world: &mut World, from: u32, to: u32) -> Result<(), Fail> {
    if let Some(closed) = world.descriptors.renumber(from, to)? {
        release(world, closed);
    }
    Ok(())
}

pub(super) fn fd_seek(
    guest: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    offset: i64,
    whence: u32,
    position: u32,
) -> Result<(), Fail> {
    let file = world.descriptors.file(fd).map_err(|errno| match errno {
        Errno::Isdir => Errno::Badf,
        other => other,
    })?;
    let from = match whence {
        0 => 0,
        1 => file.offset,
        2 => world.vfs.size(file.node)?,
        _ => return Err(Errno::Inval.into()),
    };
    let offset = from.checked_add_signed(offset).filter(|offset| i64::try_from(*offset).is_ok()).ok_or(Errno::Inval)?;
    file.offset = offset;
    Ok(guest.write_u64(position, offset)?)
}

pub(super) fn fd_tell(guest: &mut Guest<'_>, world: &mut World, fd: u32, position: u32) -> Result<(), Fail> {
    let file = world.descriptors.file(fd).map_err(|errno| match errno {
        Errno::Isdir => Errno::Badf,
        other => other,
    })?;
    Ok(guest.write_u64(position, file.offset)?)
}

/// No descriptor is a socket.
fn not_a_socket(world: &World, fd: u32) -> Result<(), Fail> {
    world.descriptors.get(fd)?;
    Err(Errno::Notsock.into())
}

pub(super) fn sock_accept(_: &mut Guest<'_>, world: &mut World, fd: u32, _: u32, _: u32) -> Result<(), Fail> {
    not_a_socket(world, fd)
}

#[expect(clippy::too_many_arguments, reason = "the signature is preview 1's")]
pub(super) fn sock_recv(
    _: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
) -> Result<(), Fail> {
    not_a_socket(world, fd)
}

pub(super) fn sock_send(
    _: &mut Guest<'_>,
    world: &mut World,
    fd: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
) -> Result<(), Fail> {
    not_a_socket(world, fd)
}

pub(super) fn sock_shutdown(_: &mut Guest<'_>, world: &mut World, fd: u32, _: u32) -> Result<(), Fail> {
    not_a_socket(world, fd)
}
