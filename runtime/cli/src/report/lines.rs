//! Lines that come faster than anybody reads.
//!
//! Owns: that many of them are written at once, and none of them late. Does not know: what they say.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a line may wait for others. Writing each by itself is a call into the system for each.
const WAITS: Duration = Duration::from_millis(40);

/// More than this is written at once by whoever adds to it.
const WAITING_BYTES_MAX: usize = 64 << 10;

/// Writes lines in order.
pub(crate) struct Lines {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Writes bytes to where lines go.
    write: fn(&[u8]),
}

#[derive(Default)]
struct State {
    waiting: String,
    is_over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits, each time a little after the first line of it came.
    fn write_on(&self) {
        let mut state = self.state();
        while !state.is_over {
            if state.waiting.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.changed.wait_timeout_while(state, WAITS, |state| !state.is_over);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            self.write(&mut state);
        }
    }

    fn write(&self, state: &mut State) {
        if !state.waiting.is_empty() {
            (self.write)(state.waiting.as_bytes());
            state.waiting.clear();
        }
    }
}

impl Lines {
    pub(crate) fn new(write: fn(&[u8])) -> Self {
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), write };
        Self { shared: Arc::new(shared), thread: None }
    }

    /// Adds a text with a line feed at its end, to be written soon.
    pub(crate) fn add(&mut self, text: &str) {
        let mut state = self.shared.state();
        let was_empty = state.waiting.is_empty();
        state.waiting.push_str(text);
        if state.waiting.len() > WAITING_BYTES_MAX {
            self.shared.write(&mut state);
        } else if was_empty {
            self.shared.changed.notify_one();
        }
        drop(state);
        if self.thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("wasmill-lines".to_owned());
            self.thread = thread.spawn(move || shared.write_on()).ok();
            if self.thread.is_none() {
                self.flush();
            }
        }
    }

    /// Writes what waits.
    pub(crate) fn flush(&self) {
        self.shared.write(&mut self.shared.state());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.flush();
    }
}
