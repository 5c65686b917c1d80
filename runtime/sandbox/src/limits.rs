//! What a guest may take of the host's memory.
//!
//! Owns: the answers to a guest's wish for more memory or a larger table, which are the same on every machine.
//! Does not know: what becomes of a guest that is refused.

use wasmill_model::Limits;
use wasmtime::ResourceLimiter;

use crate::engine::{CORE_INSTANCES_MAX, TABLE_ELEMENTS_MAX};

/// The limits of one attempt, and how near they were.
#[derive(Debug)]
pub(crate) struct MemoryLimits {
    limit_bytes: u64,
    /// What all memories have together; none shrinks.
    pub(crate) held_bytes: u64,
    /// The size that was refused last.
    pub(crate) refused_bytes: Option<u64>,
    /// The host could not give what the limits allow: no result can be trusted to be the same elsewhere.
    pub(crate) host_failed: bool,
}

impl MemoryLimits {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes: limit_bytes.min(Limits::MEMORY_BYTES_MAX),
            held_bytes: 0,
            refused_bytes: None,
            host_failed: false,
        }
    }
}

impl ResourceLimiter for MemoryLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let (current, desired) = (current as u64, desired as u64);
        let own_maximum = maximum.map(|maximum| maximum as u64).filter(|maximum| *maximum < Limits::MEMORY_BYTES_MAX);
        if own_maximum.is_some_and(|maximum| desired > maximum) {
            // The module's own maximum, which is no matter of ours.
            return Ok(false);
        }
        // A component may have several memories, and one limit.
        let held = self.held_bytes.saturating_add(desired.saturating_sub(current));
        if held > self.limit_bytes {
            self.refused_bytes = Some(held);
            return Ok(false);
        }
        self.held_bytes = held;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.host_failed = true;
        Err(error)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.host_failed = true;
        Err(error)
    }
}
