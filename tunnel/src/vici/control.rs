//! What the server needs of whoever it is a server for.

use crate::event::Event;
use crate::status::ConnectionStatus;
use futures_core::Stream;
use std::fmt::Display;
use std::sync::Arc;
use tidegate_esp::Spi;

/// What an agent wants up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All children of a connection.
    Connection(Arc<str>),
    /// One child.
    Child {
        /// The connection; `None` for the first one that has such a child.
        connection: Option<Arc<str>>,
        /// The child.
        child: Arc<str>,
    },
}

/// What of all that stands an agent means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All IKE SAs of a connection.
    Connection(Arc<str>),
    /// All child SAs of this name.
    Child {
        /// The connection; `None` for all that have such a child.
        connection: Option<Arc<str>>,
        /// The child.
        child: Arc<str>,
    },
    /// The IKE SA of this number.
    IkeSa(u64),
    /// The child SA of this inbound SPI.
    ChildSa(Spi),
    /// Everything.
    All,
}

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
    fn status(&self) -> impl Future<Output = Vec<ConnectionStatus>> + Send;

    /// What happened how often.
    fn counters(&self) -> impl Future<Output = serde_json::Value> + Send;

    /// Listens to what happens from now on.
    fn events(&self) -> Self::Events;
}
