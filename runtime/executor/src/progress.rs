//! What a run knows of each of its jobs.
//!
//! Owns: results, and when and how often jobs were tried. Does not know: what that means for others.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use wasmill_model::{ActionResult, BlobRef, Outcome};

/// What a run knows of one job. It grows with its graph, one for each job, under the same lock.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Its result, once it has one; none inside if it was omitted.
    pub(crate) result: OnceLock<Option<Known>>,
    /// Whether that was known before the run.
    pub(crate) cached: AtomicBool,
    /// When it ended, which is when those that need it may begin, in nanoseconds since the run began.
    pub(crate) ended_ns: AtomicU64,
    /// Since when the runner has it, in nanoseconds since the run began; 0 while it does not.
    pub(crate) runs_since_ns: AtomicU64,
    /// It is not to be executed together with others.
    pub(crate) is_alone: AtomicBool,
    /// How often it was tried in vain.
    pub(crate) tried: AtomicU32,
}

impl Progress {
    /// The job is not gone through, and has ended when the run began.
    pub(crate) fn is_known(&self, result: Option<&ActionResult>, now_ns: u64) {
        self.ended_ns.store(now_ns, Ordering::Release);
        self.has(result, true);
    }

    /// The job has its result, where dependants find it; none if it was omitted. That happens once.
    pub(crate) fn has(&self, result: Option<&ActionResult>, cached: bool) {
        self.cached.store(cached, Ordering::Release);
        let _ = self.result.set(result.map(Known::of));
    }
}

/// A result in as little memory as can be: there may be a million, and most have nothing to say beside their output.
#[derive(Debug)]
pub(crate) enum Known {
    /// It succeeded and wrote nothing to its standard output and error.
    Silent(BlobRef),
    /// Any other.
    Whole(Box<ActionResult>),
}

impl Known {
    pub(crate) fn of(result: &ActionResult) -> Self {
        let silent = Self::Silent(result.output);
        if silent.whole() == *result { silent } else { Self::Whole(Box::new(result.clone())) }
    }

    /// The outputs.
    pub(crate) fn output(&self) -> BlobRef {
        match self {
            Self::Silent(output) => *output,
            Self::Whole(result) => result.output,
        }
    }

    /// The result.
    pub(crate) fn whole(&self) -> ActionResult {
        match self {
            Self::Silent(output) => {
                let (outcome, empty) = (Outcome::Exited { code: 0 }, BlobRef::EMPTY);
                ActionResult { outcome, output: *output, stdout: empty, stderr: empty }
            }
            Self::Whole(result) => ActionResult::clone(result),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmill_model::Digest;

    use super::*;

    #[test]
    fn nothing_of_a_result_is_lost() {
        let blob = BlobRef { digest: Digest::of(b"said"), size_bytes: 4 };
        let silent = Known::Silent(blob).whole();
        assert!(matches!(Known::of(&silent), Known::Silent(output) if output == blob));
        let failed = Outcome::Exited { code: 1 };
        for other in [
            ActionResult { stdout: blob, ..silent.clone() },
            ActionResult { stderr: blob, ..silent.clone() },
            ActionResult { outcome: failed, ..silent.clone() },
            silent,
        ] {
            assert_eq!(Known::of(&other).whole(), other);
            assert_eq!(Known::of(&other).output(), other.output);
        }
    }
}
