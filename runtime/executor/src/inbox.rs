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

    /// Adds a message; wakes the reader if there was none.
    pub(crate) fn push(&self, message: T) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
        if messages.len() == 1 {
            drop(messages);
            self.filled.notify_one();
        }
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
