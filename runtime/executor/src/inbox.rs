//! What the worker threads and the store tell the dispatcher.
//!
//! Owns: one queue that many threads fill and one task empties whole, so that a thousand small messages cost one
//! wake-up. Does not know: what the messages mean.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// A queue with many writers and one reader.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    messages: Mutex<Vec<T>>,
    filled: Notify,
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self { messages: Mutex::new(Vec::new()), filled: Notify::new() }
    }

    /// Adds a message and wakes the reader.
    pub(crate) fn push(&self, message: T) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.filled.notify_one();
    }

    /// Adds several messages at once and leaves `from` empty. Wakes the reader if it is asked for, or if there are many: else it
    /// finds them when it looks by itself.
    fn append(&self, from: &mut Vec<T>, wakes: bool) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let before = messages.len();
        messages.append(from);
        let wakes = wakes && !messages.is_empty() || before < UNSEEN_MAX && messages.len() >= UNSEEN_MAX;
        drop(messages);
        if wakes {
            self.filled.notify_one();
        }
    }

    /// How many messages nobody has taken.
    pub(crate) fn len(&self) -> usize {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The messages that are there now.
    pub(crate) fn take_now(&self) -> Vec<T> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there are messages, and takes them all by swapping with the empty `into`.
    pub(crate) async fn take(&self, into: &mut Vec<T>) {
        loop {
            {
                let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
                if !messages.is_empty() {
                    std::mem::swap(&mut *messages, into);
                    return;
                }
            }
            self.filled.notified().await;
        }
    }
}

/// Most messages that an [`Outbox`] keeps back.
const HELD_MAX: usize = 16;

/// How many messages may be there before the reader is woken in any case.
const UNSEEN_MAX: usize = 256;

/// One thread's way to an inbox. What it posts may be kept back for a moment, and waking the reader costs more than a job
/// whose result is known; the thread flushes before it does anything that takes time, and wakes the reader when it has
/// nothing more to do.
pub(crate) struct Outbox<'a, T> {
    inbox: &'a Inbox<T>,
    held: Vec<T>,
}

impl<'a, T> Outbox<'a, T> {
    pub(crate) fn new(inbox: &'a Inbox<T>) -> Self {
        Self { inbox, held: Vec::with_capacity(HELD_MAX) }
    }

    /// Sends a message now or a little later.
    pub(crate) fn post(&mut self, message: T) {
        self.held.push(message);
        if self.held.len() >= HELD_MAX {
            self.flush();
        }
    }

    /// Sends what was kept back.
    pub(crate) fn flush(&mut self) {
        if !self.held.is_empty() {
            self.inbox.append(&mut self.held, false);
        }
    }

    /// Sends what was kept back, and has the reader look at all that was sent.
    pub(crate) fn flush_and_wake(&mut self) {
        self.inbox.append(&mut self.held, true);
    }
}

impl<T> Drop for Outbox<'_, T> {
    fn drop(&mut self) {
        self.flush_and_wake();
    }
}
