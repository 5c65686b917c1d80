//! What the program needs of the operating system beyond the standard library.
//!
//! Owns: how a process is asked to end. Does not know: what it does then.

/// Comes back when somebody asks the process to end, by other means than Ctrl-C.
#[cfg(unix)]
pub(crate) async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut asked) => drop(asked.recv().await),
        // Then it ends as it would without this.
        Err(_) => std::future::pending().await,
    }
}

/// Comes back when somebody asks the process to end, by other means than Ctrl-C.
#[cfg(windows)]
pub(crate) async fn asked_to_end() {
    match tokio::signal::windows::ctrl_break() {
        Ok(mut asked) => drop(asked.recv().await),
        // Then it ends as it would without this.
        Err(_) => std::future::pending().await,
    }
}
