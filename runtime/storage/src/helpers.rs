//! Threads that take a part of somebody's work upon themselves: mostly waiting for the disk.
//!
//! Owns: the threads, which are kept for the next time. Does not know: what they do.

use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use wasmill_model::port::StoreError;

use crate::error::failed;

type Work = Box<dyn FnOnce() + Send>;

/// How many threads are kept while they have nothing to do.
const IDLE_MAX: usize = 16;

/// Threads that wait for something to do: starting one takes as long as digesting 64 KiB. There are as many as are needed at
/// the same time. They end when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Helpers {
    idle: Mutex<Vec<mpsc::Sender<Work>>>,
}

impl Helpers {
    /// Has a thread do something that goes on together with what the caller does.
    ///
    /// # Errors
    /// There is no thread, and none can be started.
    pub(crate) fn start<T, W>(&self, work: W) -> Result<Task<'_, T>, StoreError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let thread = self.thread().map_err(failed("start a thread"))?;
        let (work, result) = with_result(work);
        // If the thread is gone, there will be no result.
        let _ = thread.send(work);
        Ok(Task { helpers: self, thread: Some(thread), result: Some(result) })
    }

    /// Has a thread do something, or does it at once where there is none.
    pub(crate) fn start_or_do<T, W>(&self, work: W) -> Task<'_, T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (work, result) = with_result(work);
        let thread = self.thread().ok();
        match &thread {
            Some(thread) => drop(thread.send(work)),
            None => work(),
        }
        Task { helpers: self, thread, result: Some(result) }
    }

    fn thread(&self) -> io::Result<mpsc::Sender<Work>> {
        if let Some(thread) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(thread);
        }
        let (give, work) = mpsc::channel::<Work>();
        let thread = thread::Builder::new().name("wasmill-disk".to_owned());
        thread.spawn(move || work.into_iter().for_each(|work| work()))?;
        Ok(give)
    }

    fn keep(&self, thread: mpsc::Sender<Work>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(thread);
        }
    }
}

fn with_result<T, W>(work: W) -> (Work, mpsc::Receiver<T>)
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let (tell, result) = mpsc::sync_channel(1);
    let work = Box::new(move || {
        // Somebody waits for it, always.
        let _ = tell.send(work());
    });
    (work, result)
}

/// Something that a thread does. Dropping this waits for its end: nothing goes on behind the back of who closes the store.
pub(crate) struct Task<'a, T> {
    helpers: &'a Helpers,
    thread: Option<mpsc::Sender<Work>>,
    /// Until it was waited for.
    result: Option<mpsc::Receiver<T>>,
}

impl<T> Task<'_, T> {
    /// Waits for it.
    ///
    /// # Errors
    /// It panicked.
    pub(crate) fn join(mut self) -> Result<T, StoreError> {
        self.wait().ok_or_else(|| failed("wait for a thread")("it panicked"))
    }

    fn wait(&mut self) -> Option<T> {
        let result = self.result.take()?.recv().ok()?;
        self.thread.take().into_iter().for_each(|thread| self.helpers.keep(thread));
        Some(result)
    }
}

impl<T> Drop for Task<'_, T> {
    fn drop(&mut self) {
        drop(self.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_used_again_unless_it_panicked() {
        let helpers = Helpers::default();
        let name = || thread::current().id();
        let first = helpers.start(name).unwrap().join().unwrap();
        assert_eq!(helpers.start(name).unwrap().join().unwrap(), first);
        let panicked = helpers.start(|| -> u32 { panic!("on purpose") }).unwrap();
        assert!(panicked.join().unwrap_err().to_string().contains("wait for a thread"));
        assert_ne!(helpers.start(name).unwrap().join().unwrap(), first);
    }

    #[test]
    fn tasks_go_on_at_the_same_time() {
        let helpers = Helpers::default();
        let (give, take) = mpsc::sync_channel::<u32>(0);
        let taking = helpers.start(move || take.recv().unwrap()).unwrap();
        let giving = helpers.start(move || give.send(7).unwrap()).unwrap();
        giving.join().unwrap();
        assert_eq!(taking.join().unwrap(), 7);
    }

    #[test]
    fn who_lets_go_of_a_task_waits_for_its_end() {
        let helpers = Helpers::default();
        let (give, take) = mpsc::channel::<u32>();
        let (tell, told) = mpsc::channel();
        let task = helpers.start(move || take.into_iter().for_each(|number| tell.send(number).unwrap())).unwrap();
        give.send(7).unwrap();
        drop(give);
        drop(task);
        assert_eq!(told.try_recv(), Ok(7));
    }
}
