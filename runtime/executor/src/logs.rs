//! What jobs have said in this run, until it is put down with what became of them.
//!
//! Owns: how much of it is kept. Does not know: who else hears it, or where it is put.

use std::collections::HashMap;

use wasmill_model::port::{LogLevel, LogLine};

use crate::graph::JobId;

/// So much of a job's log is kept with the run's record: it is for looking at. The events have all of it.
const LINES_MAX: usize = 200;
const BYTES_MAX: usize = 32 << 10;

/// The logs of jobs that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Logs(HashMap<JobId, Log>);

#[derive(Debug, Default)]
struct Log {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: u64,
}

impl Logs {
    /// Keeps a line, if it is not only for looking into a program, and there is room.
    pub(crate) fn add(&mut self, job: JobId, level: LogLevel, message: &str) {
        if level > LogLevel::Info {
            return;
        }
        let log = self.0.entry(job).or_default();
        if log.dropped == 0 && log.lines.len() < LINES_MAX && log.bytes + message.len() <= BYTES_MAX {
            log.bytes += message.len();
            log.lines.push(LogLine { level, message: message.to_owned() });
        } else {
            log.dropped += 1;
        }
    }

    /// What a job that ended has said.
    pub(crate) fn take(&mut self, job: JobId) -> Vec<LogLine> {
        let Some(mut log) = self.0.remove(&job) else { return Vec::new() };
        if log.dropped > 0 {
            let message = format!("({} more lines are not kept)", log.dropped);
            log.lines.push(LogLine { level: LogLevel::Info, message });
        }
        log.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_log_is_bounded_and_says_so() {
        let mut logs = Logs::default();
        let job = JobId(7);
        for number in 0..LINES_MAX + 3 {
            logs.add(job, LogLevel::Info, &number.to_string());
            logs.add(job, LogLevel::Debug, "not for everybody");
        }
        let lines = logs.take(job);
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines.last().map(|line| line.message.as_str()), Some("(3 more lines are not kept)"));
        assert!(logs.take(job).is_empty());

        logs.add(job, LogLevel::Warn, &"x".repeat(BYTES_MAX));
        logs.add(job, LogLevel::Error, "y");
        assert_eq!(logs.take(job).len(), 2);
    }
}
