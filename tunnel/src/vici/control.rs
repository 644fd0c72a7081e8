//! What the server needs of whoever it is a server for.

use crate::engine::{Manner, Selection, Target};
use crate::event::Event;
use crate::manager::{Error, Events, TunnelManager};
use crate::status::{ConnectionStatus, CountersReport};
use futures_core::Stream;
use std::fmt::Display;

/// Something that has connections, and does with them what clients ask for.
///
/// A client that goes away, or whose time is over, drops the future it waited for; what was begun goes on.
pub trait Control: Clone + Send + Sync + 'static {
    /// Why it did not do what it was asked for, in words that go to the client.
    type Error: Display + Send;
    /// What happens from now on.
    type Events: Stream<Item = Event> + Send + Unpin + 'static;

    /// Brings something up; done when it is, or with the reason why it is not.
    fn initiate(&self, target: Target) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes something down; done when the peers have agreed. Gives the number of SAs.
    fn terminate(&self, selection: Selection) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Makes new keys; done when they are in use. Gives the number of SAs.
    fn rekey(&self, selection: Selection) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// All connections and their SAs.
    fn status(&self) -> impl Future<Output = Result<Vec<ConnectionStatus>, Self::Error>> + Send;

    /// What happened how often.
    fn counters(&self) -> impl Future<Output = Result<CountersReport, Self::Error>> + Send;

    /// Listens to what happens from now on.
    fn events(&self) -> Self::Events;
}

impl Control for TunnelManager {
    type Error = Error;
    type Events = Events;

    async fn initiate(&self, target: Target) -> Result<(), Error> {
        self.initiate_in_any_case(target).await
    }

    async fn terminate(&self, selection: Selection) -> Result<usize, Error> {
        self.terminate(selection, Manner::Ask).await
    }

    async fn rekey(&self, selection: Selection) -> Result<usize, Error> {
        self.rekey(selection).await
    }

    async fn status(&self) -> Result<Vec<ConnectionStatus>, Error> {
        self.status().await
    }

    async fn counters(&self) -> Result<CountersReport, Error> {
        self.counters().await
    }

    fn events(&self) -> Events {
        self.events()
    }
}
