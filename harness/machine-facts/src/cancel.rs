//! Stopping early: Ctrl-C asks, and what works in steps looks.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

/// A request to stop. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

/// The exit status of a command that Ctrl-C ended.
pub const INTERRUPTED: i32 = 130;

/// Why a process would not hear of Ctrl-C.
#[derive(Debug, Error)]
pub enum SignalsError {
    /// The system gave no thread, or no handler.
    #[error("cannot wait for Ctrl-C and other signals, which takes a thread: {0}")]
    System(io::Error),
    /// Another part of this process waits for them.
    #[error("cannot wait for Ctrl-C and other signals: {0}")]
    Handler(ctrlc::Error),
}

impl Cancel {
    /// Makes SIGINT, SIGTERM and SIGHUP a request to stop; a second one ends the process at once.
    ///
    /// # Errors
    /// What the system says when it doesn't allow it.
    pub fn on_signals(&self) -> Result<(), SignalsError> {
        let cancel = self.clone();
        let set = ctrlc::set_handler(move || {
            if cancel.is_requested() {
                std::process::exit(INTERRUPTED);
            }
            cancel.request();
        });
        set.map_err(|error| match error {
            // Its own message leaves out what the system said.
            ctrlc::Error::System(source) => SignalsError::System(source),
            other => SignalsError::Handler(other),
        })
    }

    /// Asks.
    pub fn request(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether somebody has asked.
    pub fn is_requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for a time, or until somebody asks; returns whether somebody has.
    pub fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut requested = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*requested {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.0.1.wait_timeout(requested, left);
            requested = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        *requested
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_the_sleep_of_a_clone() {
        let cancel = Cancel::default();
        assert!(!cancel.sleep(Duration::from_millis(1)));
        let sleeper = cancel.clone();
        let thread = std::thread::spawn(move || sleeper.sleep(Duration::from_secs(600)));
        cancel.request();
        assert!(thread.join().unwrap() && cancel.is_requested());
    }
}
