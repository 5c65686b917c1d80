//! The `limits` of a job and of `[defaults]`.
//!
//! Owns: their keys and ranges, and how defaults and a job's own are put together. Does not know: who enforces
//! them.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::fields::{Field, Fields};
use super::quantity::show_bytes;
use crate::limits::{Limits, Timeout};

/// One page of linear memory: nothing smaller can be given.
const MEMORY_BYTES_MIN: u64 = 64 << 10;

/// A year: long enough for anybody, and far from where clocks overflow.
const TIMEOUT_MS_MAX: u64 = 365 * 24 * 3_600_000;

/// Limits as far as they are written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LimitFields {
    memory_bytes: Option<u64>,
    fuel: Option<u64>,
    output_bytes: Option<u64>,
    wall_ms: Option<u64>,
}

impl LimitFields {
    /// Reads a `limits` table.
    pub(super) fn read(field: &Field<'_>, errors: &mut Diagnostics) -> Self {
        let mut fields = Fields::of(field.entries(errors), &field.subject);
        let limits = Self {
            memory_bytes: fields.take("memory").and_then(|field| memory(&field, errors)),
            fuel: fields.take("fuel").and_then(|field| field.whole(1, errors)),
            output_bytes: fields.take("output").and_then(|field| field.bytes(errors)),
            wall_ms: fields.take("timeout").and_then(|field| timeout(&field, errors)),
        };
        fields.finish(errors);
        limits
    }

    /// Whether they say how long a job may take.
    pub(super) fn has_timeout(&self) -> bool {
        self.wall_ms.is_some()
    }

    /// These, and for what is not among them given limits.
    pub(super) fn over_those_of(self, limits: &Limits, timeout: Timeout) -> Self {
        Self {
            memory_bytes: self.memory_bytes.or(Some(limits.memory_bytes)),
            fuel: self.fuel.or(limits.fuel),
            output_bytes: self.output_bytes.or(Some(limits.output_bytes)),
            wall_ms: self.wall_ms.or(Some(timeout.wall_ms)),
        }
    }

    /// These, and for what is not among them `defaults`, and for what is not among those the built-in ones.
    pub(super) fn over(self, defaults: Self) -> (Limits, Timeout) {
        let built_in = Limits::default();
        let limits = Limits {
            memory_bytes: self.memory_bytes.or(defaults.memory_bytes).unwrap_or(built_in.memory_bytes),
            fuel: self.fuel.or(defaults.fuel).or(built_in.fuel),
            output_bytes: self.output_bytes.or(defaults.output_bytes).unwrap_or(built_in.output_bytes),
        };
        let wall_ms = self.wall_ms.or(defaults.wall_ms).unwrap_or(Timeout::default().wall_ms);
        (limits, Timeout { wall_ms })
    }
}

fn memory(field: &Field<'_>, errors: &mut Diagnostics) -> Option<u64> {
    let bytes = field.bytes(errors)?;
    if !(MEMORY_BYTES_MIN..=Limits::MEMORY_BYTES_MAX).contains(&bytes) {
        let (min, max) = (show_bytes(MEMORY_BYTES_MIN), show_bytes(Limits::MEMORY_BYTES_MAX));
        errors.push(
            Diagnostic::new(format!("{} is out of range", field.subject), field.span())
                .saying(format!("it must be from {min} to {max}")),
        );
        return None;
    }
    Some(bytes)
}

fn timeout(field: &Field<'_>, errors: &mut Diagnostics) -> Option<u64> {
    let wall_ms = field.milliseconds(errors)?;
    if !(1..=TIMEOUT_MS_MAX).contains(&wall_ms) {
        errors.push(
            Diagnostic::new(format!("{} is out of range", field.subject), field.span())
                .saying("it must be from 1ms to 8760h"),
        );
        return None;
    }
    Some(wall_ms)
}
