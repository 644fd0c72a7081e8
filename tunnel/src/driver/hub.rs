//! Where events go to their listeners, and what every handle of an engine shares.

use crate::event::Event;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// What control and its handles share.
pub(crate) struct Hub {
    /// Whether control runs.
    pub(crate) running: AtomicBool,
    listeners: Mutex<Vec<Listener>>,
}

struct Listener {
    sender: mpsc::Sender<Event>,
    missed: u64,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { running: AtomicBool::new(true), listeners: Mutex::default() }
    }

    /// One more listener; it is forgotten when its other end is dropped.
    pub(crate) fn listen(&self, sender: mpsc::Sender<Event>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Listener { sender, missed: 0 });
    }

    /// Tells all listeners. One that does not keep up misses events, and is told how many.
    pub(crate) fn tell(&self, event: &Event) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain_mut(|listener| listener.tell(event));
    }

    /// Nobody will hear anything more.
    pub(crate) fn close(&self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Listener {
    /// Whether there is still somebody to tell.
    fn tell(&mut self, event: &Event) -> bool {
        if self.missed > 0 {
            match self.sender.try_send(Event::Missed(self.missed)) {
                Ok(()) => self.missed = 0,
                Err(TrySendError::Full(_)) => {
                    self.missed += 1;
                    return true;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        match self.sender.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed = 1;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}
