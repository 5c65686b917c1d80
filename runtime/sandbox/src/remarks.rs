//! What a guest says while it works: how far it is, and what it logs.
//!
//! Owns: telling remarks from the rest of standard error, and how many of them are passed on. Does not know: who hears them.
//!
//! A remark is a line of standard error that begins with a mark no text has: a record separator, as in JSON text sequences
//! (RFC 7464), and wasmill's name. It is taken out of the stream, whoever listens, and however the guest cuts its writes: what is left
//! is the same on every machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use wasmill_abi::REMARK_MARK;
use wasmill_model::port::{Listener, LogLevel, Remark};

/// A longer remark is left out.
const REMARK_BYTES_MAX: usize = 16 << 10;

/// How many lines of a log are passed on for one attempt; and as many that only those who look for mistakes want to see.
const LOGGED_MAX: usize = 1_000;

/// How often it is passed on how far a guest is.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);

/// The remarks of one guest.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    state: State,
    listener: Option<Arc<dyn Listener>>,
    logged: usize,
    logged_in_detail: usize,
    progressed: Option<Instant>,
    /// How far it is, where that came too soon to be passed on.
    pending: Option<Remark>,
}

/// Where in the stream it is.
#[derive(Debug)]
enum State {
    /// At the start of a line, of which so many bytes are those of the mark.
    Mark(usize),
    /// In a line that is no remark.
    Line,
    /// In a remark, behind the mark.
    Remark(Vec<u8>),
}

impl Default for State {
    fn default() -> Self {
        Self::Mark(0)
    }
}

/// What follows the mark.
#[derive(Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum Said {
    Progress { done: u64, total: u64 },
    Log { level: LogLevel, message: String },
}

impl Remarks {
    /// Those of a guest that somebody listens to.
    pub(crate) fn heard_by(listener: Option<Arc<dyn Listener>>) -> Self {
        Self { listener, ..Self::default() }
    }

    /// Takes the remarks out of what a guest writes to standard error; `keep` gets the rest, in pieces.
    pub(crate) fn sift<E>(&mut self, mut bytes: &[u8], mut keep: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Mark(seen) if REMARK_MARK.get(*seen) == Some(first) => {
                    *seen += 1;
                    if *seen == REMARK_MARK.len() {
                        self.state = State::Remark(Vec::new());
                    }
                    bytes = rest;
                }
                State::Mark(seen) => {
                    let seen = *seen;
                    self.state = State::Line;
                    keep(REMARK_MARK.get(..seen).unwrap_or_default())?;
                }
                State::Line => {
                    let (line, rest) = line(bytes);
                    if line.ends_with(b"\n") {
                        self.state = State::default();
                    }
                    keep(line)?;
                    bytes = rest;
                }
                State::Remark(remark) => {
                    let (line, rest) = line(bytes);
                    // One byte more says that it is too long.
                    let room = (REMARK_BYTES_MAX + 1).saturating_sub(remark.len());
                    remark.extend_from_slice(line.get(..room).unwrap_or(line));
                    if line.ends_with(b"\n") {
                        let remark = std::mem::take(remark);
                        self.state = State::default();
                        self.pass_on(&remark);
                    }
                    bytes = rest;
                }
            }
        }
        Ok(())
    }

    /// Gives back what looked like the beginning of a remark where the stream ends, and passes on how far the guest was then.
    pub(crate) fn end<E>(&mut self, keep: impl FnOnce(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if let (Some(listener), Some(latest)) = (&self.listener, self.pending.take()) {
            listener.hear(latest);
        }
        match std::mem::replace(&mut self.state, State::Line) {
            State::Mark(seen @ 1..) => keep(REMARK_MARK.get(..seen).unwrap_or_default()),
            _ => Ok(()),
        }
    }

    fn pass_on(&mut self, remark: &[u8]) {
        let Some(listener) = &self.listener else { return };
        if remark.len() > REMARK_BYTES_MAX {
            return;
        }
        // The mark is the beginning of an object.
        let Ok(said) = serde_json::from_slice(&[b"{", remark].concat()) else { return };
        match said {
            Said::Progress { done, total } => {
                let now = Instant::now();
                let latest = Remark::Progress { done, total };
                if self.progressed.is_none_or(|last| now.duration_since(last) >= PROGRESS_EVERY) {
                    (self.progressed, self.pending) = (Some(now), None);
                    listener.hear(latest);
                } else {
                    self.pending = Some(latest);
                }
            }
            Said::Log { level, message } => {
                // What nobody looks at must not keep out what everybody is to see.
                let (logged, notice) = match level {
                    LogLevel::Debug | LogLevel::Trace => (&mut self.logged_in_detail, LogLevel::Debug),
                    _ => (&mut self.logged, LogLevel::Warn),
                };
                *logged += 1;
                match *logged {
                    ..=LOGGED_MAX => listener.hear(Remark::Log { level, message }),
                    logged if logged == LOGGED_MAX + 1 => {
                        let message = format!("it has logged {LOGGED_MAX} lines; further ones are left out");
                        listener.hear(Remark::Log { level: notice, message });
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The first line with its end, and what comes behind it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    bytes.split_at(end)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<Remark>>);

    impl Listener for Heard {
        fn hear(&self, remark: Remark) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(remark);
        }
    }

    /// What is left of a stream that is written in pieces of `len` bytes, and what was heard.
    fn sifted(stream: &[u8], len: usize) -> (Vec<u8>, Vec<Remark>) {
        let heard = Arc::new(Heard::default());
        let mut remarks = Remarks::heard_by(Some(Arc::clone(&heard) as _));
        let mut left = Vec::new();
        let mut keep = |bytes: &[u8]| -> Result<(), std::convert::Infallible> {
            left.extend_from_slice(bytes);
            Ok(())
        };
        for piece in stream.chunks(len) {
            let Ok(()) = remarks.sift(piece, &mut keep);
        }
        let Ok(()) = remarks.end(&mut keep);
        let heard = heard.0.lock().unwrap().clone();
        (left, heard)
    }

    fn remark(rest: &str) -> Vec<u8> {
        [REMARK_MARK, rest.as_bytes(), b"\n"].concat()
    }

    #[test]
    fn remarks_are_taken_out_however_they_are_written() {
        let stream = [
            b"one\n".to_vec(),
            remark(r#""is":"progress","done":1,"total":2}"#),
            b"two, and a mark \x1e{\"wasmill in it\n\x1e\n\x1e{\"was\n".to_vec(),
            remark(r#""is":"log","level":"warn","message":"careful"}"#),
            remark("no JSON"),
            b"three\x1e{\"was".to_vec(),
        ];
        let stream = stream.concat();
        for len in 1..stream.len() {
            let (left, heard) = sifted(&stream, len);
            let expected = "one\ntwo, and a mark \x1e{\"wasmill in it\n\x1e\n\x1e{\"was\nthree\x1e{\"was";
            assert_eq!(String::from_utf8(left).as_deref(), Ok(expected), "{len}");
            let careful = Remark::Log { level: LogLevel::Warn, message: "careful".to_owned() };
            assert_eq!(heard, [Remark::Progress { done: 1, total: 2 }, careful], "{len}");
        }
        assert_eq!(sifted(b"\x1e{", 1).0, b"\x1e{");
    }

    #[test]
    fn who_says_too_much_is_not_heard() {
        let (left, heard) = sifted(&remark(&"x".repeat(10 << 20)), 1 << 20);
        assert_eq!((left.len(), heard.len()), (0, 0));
        let line = remark(r#""is":"log","level":"info","message":"again"}"#);
        let (left, heard) = sifted(&line.repeat(5_000), 4_096);
        assert_eq!((left.len(), heard.len()), (0, LOGGED_MAX + 1));
        let detail = remark(r#""is":"log","level":"trace","message":"again"}"#);
        let (_, heard) = sifted(&[detail.repeat(5_000), line].concat(), 4_096);
        assert!(
            heard.len() == LOGGED_MAX + 2 && matches!(heard[LOGGED_MAX + 1], Remark::Log { level: LogLevel::Info, .. })
        );
        for end in [1, 2, u64::MAX] {
            let steps =
                [0, 1, 2].map(|done| remark(&format!(r#""is":"progress","done":{done},"total":{}}}"#, end.min(2))));
            let last = remark(&format!(r#""is":"progress","done":{end},"total":2}}"#));
            let (_, heard) = sifted(&[steps.concat().repeat(5_000), last].concat(), 4_096);
            assert!(heard.len() < 100, "{}", heard.len());
            assert_eq!(heard.last(), Some(&Remark::Progress { done: end, total: 2 }));
        }
    }
}
