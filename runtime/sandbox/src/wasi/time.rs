//! Clocks and waiting.
//!
//! Owns: which clocks there are (all show the virtual time) and that waiting takes no time. Does not know: the
//! host's clocks.

use super::errno::Errno;
use super::guest::Guest;
use crate::clock::Clock;
use crate::instance::World;
use crate::vfs::Fail;

/// realtime, monotonic, process and thread CPU time.
const CLOCKS: u32 = 4;

/// Most subscriptions of one `poll_oneoff`: more than there can be descriptors, and bounded.
const SUBSCRIPTIONS_MAX: u32 = 4096;

const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;

/// The `subclockflags` bit that makes a timeout a point in time.
const ABSOLUTE: u16 = 1;

fn check_clock(id: u32) -> Result<(), Errno> {
    if id < CLOCKS { Ok(()) } else { Err(Errno::Inval) }
}

pub(super) fn clock_res_get(guest: &mut Guest<'_>, _world: &mut World, id: u32, resolution: u32) -> Result<(), Fail> {
    check_clock(id)?;
    Ok(guest.write_u64(resolution, Clock::STEP_NS)?)
}

pub(super) fn clock_time_get(
    guest: &mut Guest<'_>,
    world: &mut World,
    id: u32,
    _precision: u64,
    time: u32,
) -> Result<(), Fail> {
    check_clock(id)?;
    Ok(guest.write_u64(time, world.clock.read())?)
}

/// What one subscription waits for.
enum Awaited {
    Clock { then_ns: u64 },
    Descriptor { answer: Result<u64, Errno> },
}

/// Answers at once. Descriptors are always ready; if there are only clocks, the earliest one rings and the time
/// jumps there.
pub(super) fn poll_oneoff(
    guest: &mut Guest<'_>,
    world: &mut World,
    subscriptions: u32,
    events: u32,
    count: u32,
    happened: u32,
) -> Result<(), Fail> {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(Errno::Inval.into());
    }
    let mut awaited = Vec::with_capacity(count as usize);
    for index in 0..count {
        let at = subscriptions.checked_add(index * SUBSCRIPTION_BYTES).ok_or(Errno::Fault)?;
        awaited.push((guest.read_u64(at)?, read_subscription(guest, world, at)?));
    }
    let any_descriptor = awaited.iter().any(|(_, (_, awaited))| matches!(awaited, Awaited::Descriptor { .. }));
    let earliest = awaited.iter().filter_map(|(_, (_, awaited))| match awaited {
        Awaited::Clock { then_ns } => Some(*then_ns),
        Awaited::Descriptor { .. } => None,
    });
    let earliest = earliest.min();
    if let (false, Some(then_ns)) = (any_descriptor, earliest) {
        world.clock.sleep_until(then_ns);
    }
    let now = world.clock.peek();
    let mut written = 0;
    for (user_data, (kind, awaited)) in awaited {
        let answer = match awaited {
            Awaited::Clock { then_ns } if then_ns > now => continue,
            Awaited::Clock { .. } => Ok(0),
            Awaited::Descriptor { answer } => answer,
        };
        let mut event = [0; EVENT_BYTES as usize];
        event[..8].copy_from_slice(&user_data.to_le_bytes());
        let (errno, bytes) = match answer {
            Ok(bytes) => (Errno::Success, bytes),
            Err(errno) => (errno, 0),
        };
        event[8..10].copy_from_slice(&(errno as u16).to_le_bytes());
        event[10] = kind;
        event[16..24].copy_from_slice(&bytes.to_le_bytes());
        guest.write(events.checked_add(written * EVENT_BYTES).ok_or(Errno::Fault)?, &event)?;
        written += 1;
    }
    Ok(guest.write_u32(happened, written)?)
}

fn read_subscription(guest: &Guest<'_>, world: &mut World, at: u32) -> Result<(u8, Awaited), Fail> {
    let field = |offset: u32| at.checked_add(offset).ok_or(Errno::Fault);
    let kind = guest.read_u8(field(8)?)?;
    let awaited = match kind {
        0 => {
            check_clock(guest.read_u32(field(16)?)?)?;
            let timeout = guest.read_u64(field(24)?)?;
            let is_absolute = guest.read_u16(field(40)?)? & ABSOLUTE != 0;
            let now = world.clock.peek();
            Awaited::Clock { then_ns: if is_absolute { timeout } else { now.saturating_add(timeout) } }
        }
        1 | 2 => {
            let fd = guest.read_u32(field(16)?)?;
            Awaited::Descriptor { answer: super::fd::ready_bytes(world, fd, kind == 1) }
        }
        _ => return Err(Errno::Inval.into()),
    };
    Ok((kind, awaited))
}
