//! The exit codes of `wasmill`, all of them.
//!
//! Owns: the numbers and what each one means; `docs/exit-codes.md` repeats them for users. Does not know: when
//! each is used. `wasmill exec` passes a guest's exit code through, so everything of our own is 100 or more.

use wasmill_model::Outcome;

/// Everything went well.
pub(crate) const SUCCESS: u8 = 0;
/// At least one job did not succeed.
pub(crate) const JOBS_FAILED: u8 = 100;
/// The command line cannot be understood.
pub(crate) const USAGE: u8 = 101;
/// The plan is not valid.
pub(crate) const PLAN: u8 = 102;
/// A module, an input, or something else that was named cannot be had or used.
pub(crate) const INPUT: u8 = 103;
/// The store cannot be opened, read or written.
pub(crate) const STORE: u8 = 104;
/// The host could not do what was needed, or wasmill has a bug.
pub(crate) const HOST: u8 = 105;

/// `verify`: a recorded result did not come about again.
pub(crate) const NOT_REPRODUCED: u8 = 106;

/// `scrub`, `doctor`: something in the store is damaged or was lost.
pub(crate) const DAMAGED: u8 = 107;

/// `stats --fail-on-regression`: jobs have become slower.
pub(crate) const REGRESSION: u8 = 108;

/// `exec`: the guest trapped.
pub(crate) const TRAPPED: u8 = 110;
/// `exec`: the guest ran out of fuel.
pub(crate) const OUT_OF_FUEL: u8 = 111;
/// `exec`: the guest ran out of memory.
pub(crate) const OUT_OF_MEMORY: u8 = 112;
/// `exec`: the guest wrote too much.
pub(crate) const OUTPUT_TOO_LARGE: u8 = 113;
/// `exec`: the guest exhausted its call stack.
pub(crate) const STACK_EXHAUSTED: u8 = 114;
/// `exec`: the guest took too long.
pub(crate) const TIMED_OUT: u8 = 115;
/// `exec`: the guest did not write an output that was asked for.
pub(crate) const OUTPUT_MISSING: u8 = 116;

/// Stopped from outside, by Ctrl-C: 128 + SIGINT, as shells have it.
pub(crate) const CANCELLED: u8 = 130;

/// The exit code of `exec` for an outcome. A guest's own code is passed through as its lowest eight bits, except
/// that a failure never becomes 0.
pub(crate) fn of_outcome(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Exited { code: 0 } => SUCCESS,
        Outcome::Exited { code } => match code.to_le_bytes()[0] {
            0 => 255,
            low => low,
        },
        Outcome::Trapped { .. } => TRAPPED,
        Outcome::OutOfFuel { .. } => OUT_OF_FUEL,
        Outcome::OutOfMemory { .. } => OUT_OF_MEMORY,
        Outcome::OutputTooLarge { .. } => OUTPUT_TOO_LARGE,
        Outcome::OutputMissing { .. } => OUTPUT_MISSING,
        Outcome::StackExhausted { .. } => STACK_EXHAUSTED,
        Outcome::TimedOut { .. } => TIMED_OUT,
        Outcome::Cancelled => CANCELLED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_never_a_success() {
        assert_eq!(of_outcome(&Outcome::Exited { code: 0 }), SUCCESS);
        assert_eq!(of_outcome(&Outcome::Exited { code: 3 }), 3);
        assert_eq!(of_outcome(&Outcome::Exited { code: 256 }), 255);
        assert_eq!(of_outcome(&Outcome::Exited { code: u32::MAX }), 255);
    }
}
