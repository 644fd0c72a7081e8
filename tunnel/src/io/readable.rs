//! Waiting in a task until a descriptor has something to read.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A descriptor that a task can wait for.
#[derive(Debug)]
pub(crate) struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Watches what `descriptor` names, which may be closed meanwhile: that then never becomes readable. Has
    /// to be called within a tokio runtime.
    pub(crate) fn new(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let own = descriptor.try_clone_to_owned()?;
        // SAFETY: the descriptor is owned, names the same file for as long as it is registered, and is closed
        // only by the drop that takes it off the reactor first.
        let watched = unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) };
        watched.map(Self).map_err(|error| error.into_parts().1)
    }

    /// Ready when there may be something to read. The guard is told once all of it has been.
    pub(crate) async fn ready(&self) -> io::Result<AsyncFdReadyGuard<'_, OwnedFd>> {
        self.0.readable().await
    }
}
