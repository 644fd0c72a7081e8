//! What waits for the caller, with a descriptor that can be polled for it.

use crate::error::Failure;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A bounded queue. Its descriptor is readable while there is something in it, and always once it is closed.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    bell: OwnedFd,
    arrived: Condvar,
    taken: Notify,
    most: Room,
}

/// How much there may be in a queue.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
}

/// What could not be put in, and why.
pub(crate) enum Refused<T> {
    /// There is no room just now.
    Full(T),
    /// There will never be.
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(most: Room) -> Result<Self, Failure> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(Failure::system)?;
        let state = State { items: VecDeque::new(), bytes: 0, closed: false };
        let (arrived, taken) = (Condvar::new(), Notify::new());
        Ok(Self { state: Mutex::new(state), bell, arrived, taken, most })
    }

    /// Puts something in that has so many bytes, if there is room.
    pub(crate) fn push(&self, item: T, bytes: usize) -> Result<(), Refused<T>> {
        let state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items.len() >= self.most.items || state.bytes + bytes > self.most.bytes {
            return Err(Refused::Full(item));
        }
        self.put(state, item, bytes);
        Ok(())
    }

    /// Puts something in that others have made room for.
    pub(crate) fn push_beyond(&self, item: T) {
        let state = self.lock();
        self.put(state, item, 0);
    }

    /// The next one, if there is one.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        self.take(&mut state)
    }

    /// The next one, if it is as `fits` says; else it stays.
    pub(crate) fn pop_if(&self, fits: impl FnOnce(&T) -> bool) -> Option<T> {
        let mut state = self.lock();
        match state.items.front() {
            Some((item, _)) if fits(item) => self.take(&mut state),
            _ => None,
        }
    }

    /// Looks at the next one without taking it.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.lock().items.front().map(|(item, _)| look(item))
    }

    /// The next one, waited for; `None` once it is closed and empty.
    pub(crate) fn wait(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = self.take(&mut state) {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ready when there may be room again.
    pub(crate) async fn room(&self) {
        self.taken.notified().await;
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ring();
        self.arrived.notify_all();
        self.taken.notify_one();
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn put(&self, mut state: MutexGuard<'_, State<T>>, item: T, bytes: usize) {
        let first = state.items.is_empty();
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        if first {
            self.ring();
        }
        drop(state);
        self.arrived.notify_one();
    }

    fn take(&self, state: &mut MutexGuard<'_, State<T>>) -> Option<T> {
        let (item, bytes) = state.items.pop_front()?;
        state.bytes -= bytes;
        if state.items.is_empty() && !state.closed {
            // It was counted up when the first one came.
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
        self.taken.notify_one();
        Some(item)
    }

    /// Fails only where it has been counted up further than can be, and is readable anyway.
    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
