//! Callers that may go away before they have their answer.

use crate::action::Ticket;
use tokio::sync::{mpsc, oneshot};

/// Held by a caller for as long as it waits; nothing is ever sent through it.
pub(crate) type Presence = oneshot::Sender<()>;

/// Ends when the caller does not wait any more.
pub(crate) type StillWaiting = oneshot::Receiver<()>;

/// Requests of callers that are watched.
pub(crate) struct Askers {
    sender: mpsc::UnboundedSender<Ticket>,
    gone: mpsc::UnboundedReceiver<Ticket>,
}

impl Askers {
    pub(crate) fn new() -> Self {
        // Each entry is a request that was taken, which bounds them.
        let (sender, gone) = mpsc::unbounded_channel();
        Self { sender, gone }
    }

    /// Watches a caller until it goes away, with its answer or without.
    pub(crate) fn watch(&self, ticket: Ticket, waiting: StillWaiting) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let _ = waiting.await;
            let _ = sender.send(ticket);
        });
    }

    /// A request whose caller has gone.
    pub(crate) async fn next(&mut self) -> Option<Ticket> {
        self.gone.recv().await
    }
}
