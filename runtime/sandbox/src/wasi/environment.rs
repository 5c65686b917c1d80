//! Arguments, environment, randomness, and the calls that concern the process as a whole.
//!
//! Owns: handing over what the action declares. Does not know: files.

use super::errno::Errno;
use super::guest::Guest;
use crate::instance::World;
use crate::patience::Patience;
use crate::vfs::Fail;

/// Writes texts as C has them: pointers at `pointers`, the texts with a NUL each at `buffer`.
fn write_texts(guest: &mut Guest<'_>, texts: &[Vec<u8>], pointers: u32, buffer: u32) -> Result<(), Fail> {
    let (mut pointer, mut at) = (pointers, buffer);
    for text in texts {
        guest.write_u32(pointer, at)?;
        guest.write(at, text)?;
        pointer = pointer.checked_add(4).ok_or(Errno::Fault)?;
        at = u32::try_from(text.len()).ok().and_then(|len| at.checked_add(len)).ok_or(Errno::Fault)?;
    }
    Ok(())
}

fn write_sizes(guest: &mut Guest<'_>, texts: &[Vec<u8>], count: u32, size: u32) -> Result<(), Fail> {
    let total: usize = texts.iter().map(Vec::len).sum();
    guest.write_u32(count, u32::try_from(texts.len()).map_err(|_| Errno::Inval)?)?;
    guest.write_u32(size, u32::try_from(total).map_err(|_| Errno::Inval)?)?;
    Ok(())
}

pub(super) fn args_get(guest: &mut Guest<'_>, world: &mut World, argv: u32, buffer: u32) -> Result<(), Fail> {
    write_texts(guest, &world.args, argv, buffer)
}

pub(super) fn args_sizes_get(guest: &mut Guest<'_>, world: &mut World, count: u32, size: u32) -> Result<(), Fail> {
    write_sizes(guest, &world.args, count, size)
}

pub(super) fn environ_get(guest: &mut Guest<'_>, world: &mut World, environ: u32, buffer: u32) -> Result<(), Fail> {
    write_texts(guest, &world.env, environ, buffer)
}

pub(super) fn environ_sizes_get(guest: &mut Guest<'_>, world: &mut World, count: u32, size: u32) -> Result<(), Fail> {
    write_sizes(guest, &world.env, count, size)
}

pub(super) fn random_get(guest: &mut Guest<'_>, world: &mut World, buffer: u32, len: u32) -> Result<(), Fail> {
    let bytes = guest.bytes_mut(buffer, len)?;
    let mut patience = Patience::clone(&world.vfs.patience);
    let random = world.random();
    let fill = |_, piece: &mut [u8]| {
        random.fill(piece);
        Ok::<_, Fail>(piece.len())
    };
    patience.fill(bytes, fill)?;
    world.vfs.patience = patience;
    Ok(())
}

/// There is nobody to yield to.
pub(super) fn sched_yield(_guest: &mut Guest<'_>, _world: &mut World) -> Result<(), Fail> {
    Ok(())
}

/// There are no signals.
pub(super) fn proc_raise(_guest: &mut Guest<'_>, _world: &mut World, _signal: u32) -> Result<(), Fail> {
    Err(Errno::Notsup.into())
}
