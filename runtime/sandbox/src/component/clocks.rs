//! `wasi:clocks`, `wasi:io/poll` and `wasi:random`: time, waiting for it, and chance.
//!
//! Owns: what is ready when, and that waiting takes no time. Does not know: where time starts or numbers come from.

use wasmtime::component::Resource;

use super::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use super::bindings::wasi::io::poll;
use super::bindings::wasi::random::{insecure, insecure_seed, random};
use super::resources::Pollable;
use crate::clock::Clock;
use crate::instance::World;

const NANOSECONDS: u64 = 1_000_000_000;

/// Most random bytes of one call, which are made in the host's memory; a seed has some dozen.
const RANDOM_BYTES_MAX: u64 = 16 << 20;

/// A time as a record of seconds and nanoseconds.
pub(super) fn datetime(nanoseconds: u64) -> wall_clock::Datetime {
    let rest = u32::try_from(nanoseconds % NANOSECONDS).unwrap_or(0);
    wall_clock::Datetime { seconds: nanoseconds / NANOSECONDS, nanoseconds: rest }
}

impl monotonic_clock::Host for World {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.read())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(Clock::STEP_NS)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        self.hold(Pollable::Instant(when))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<Pollable>> {
        self.hold(Pollable::Instant(self.clock.peek().saturating_add(duration)))
    }
}

impl wall_clock::Host for World {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(self.clock.read()))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(Clock::STEP_NS))
    }
}

impl poll::Host for World {
    /// As preview 1's `poll_oneoff`: streams are ready at once; if there are only points of time, the earliest one
    /// comes.
    fn poll(&mut self, pollables: Vec<Resource<Pollable>>) -> wasmtime::Result<Vec<u32>> {
        if pollables.is_empty() {
            return Err(wasmtime::Error::msg("a poll of nothing"));
        }
        let mut earliest = None;
        let mut any_stream = false;
        for pollable in &pollables {
            match *self.held.get(pollable)? {
                Pollable::Stream => any_stream = true,
                Pollable::Instant(then) => earliest = Some(earliest.map_or(then, |earlier: u64| earlier.min(then))),
            }
        }
        if let (false, Some(then)) = (any_stream, earliest) {
            self.clock.sleep_until(then);
        }
        let now = self.clock.peek();
        let mut ready = Vec::new();
        for (index, pollable) in (0..).zip(&pollables) {
            match *self.held.get(pollable)? {
                Pollable::Instant(then) if then > now => {}
                _ => ready.push(index),
            }
        }
        Ok(ready)
    }
}

impl poll::HostPollable for World {
    /// Asking takes a reading's time, so that a loop that waits for the answer comes to an end.
    fn ready(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<bool> {
        match *self.held.get(&pollable)? {
            Pollable::Stream => Ok(true),
            Pollable::Instant(then) => Ok(then <= self.clock.read()),
        }
    }

    fn block(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        if let Pollable::Instant(then) = *self.held.get(&pollable)? {
            self.clock.sleep_until(then);
        }
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        self.held.remove(pollable).map(drop)
    }
}

impl World {
    fn random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let len = usize::try_from(len).ok().filter(|len| *len as u64 <= RANDOM_BYTES_MAX);
        let len = len.ok_or_else(|| wasmtime::Error::msg("too many random bytes at once"))?;
        let mut bytes = vec![0; len];
        self.random().fill(&mut bytes);
        Ok(bytes)
    }

    fn random_number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.random().fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

impl random::Host for World {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random_number())
    }
}

impl insecure::Host for World {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random_number())
    }
}

impl insecure_seed::Host for World {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_number(), self.random_number()))
    }
}
