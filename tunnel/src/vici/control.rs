//! What the server needs of whoever it is a server for.

use crate::connection::Connection;
use crate::engine::{Manner, Selection, Target};
use crate::event::Event;
use crate::io::udp::RawEsp;
use crate::manager::{Error, Events, TunnelManager};
use crate::status::{ConnectionStatus, CountersReport};
use futures_core::Stream;
use std::fmt::Display;
use std::sync::Arc;
use tidegate_ike::ApiMisuse;
use tidegate_ike::pool::{Pool, PoolReport};
use tidegate_ike::tally::{Tallies, TallyOf};

/// Something that has connections, and does with them what clients ask for.
///
/// A client that goes away, or whose time is over, drops the future it waited for; what was begun goes on.
pub trait Control: Clone + Send + Sync + 'static {
    /// Why it did not do what it was asked for, in words that go to the client.
    type Error: Refusal;
    /// What happens from now on.
    type Events: Stream<Item = Event> + Send + Unpin + 'static;

    /// Brings something up; done when it is, or with the reason why it is not.
    fn initiate(&self, target: Target) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes something down in this manner; done when it is gone. Gives the number of SAs.
    fn terminate(
        &self,
        selection: Selection,
        manner: Manner,
    ) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Makes new keys; done when they are in use. Gives the number of SAs.
    fn rekey(&self, selection: Selection) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Has both ends prove anew who they are; done when the old SAs have gone. Gives the number of SAs.
    fn reauthenticate(&self, selection: Selection)
    -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Lets traffic bring something up, or puts in force what its traffic passes or is dropped by.
    fn install(&self, target: Target) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Undoes that; SAs that stand stay.
    fn uninstall(&self, target: Target) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// All connections and their SAs.
    fn status(&self) -> impl Future<Output = Result<Vec<ConnectionStatus>, Self::Error>> + Send;

    /// What happened how often.
    fn counters(&self) -> impl Future<Output = Result<CountersReport, Self::Error>> + Send;

    /// Messages and rekeyings, by connection.
    fn tallies(&self) -> impl Future<Output = Result<Tallies, Self::Error>> + Send;

    /// Begins some of them anew; true if there was something.
    fn reset_tallies(&self, which: TallyOf) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Names of all connections.
    fn connections(&self) -> impl Future<Output = Result<Vec<Arc<str>>, Self::Error>> + Send;

    /// Adds a connection, or replaces the one of this name with all its SAs.
    fn load(&self, connection: Connection) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a connection another: SAs stay, new ones are as it says now. Children that it has no more are
    /// closed, and those that it did not have are started as it says.
    fn update(&self, connection: Connection) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes a connection away with all its SAs.
    fn unload(&self, name: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Adds a pool, or replaces the one of this name.
    fn load_pool(&self, pool: Pool) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes a pool away; true if there was one.
    fn unload_pool(&self, name: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Who has what of all pools.
    fn pools(&self) -> impl Future<Output = Result<Vec<PoolReport>, Self::Error>> + Send;

    /// The revocation lists that were fetched and are kept, in DER or in PEM.
    fn revocation_lists(&self) -> impl Future<Output = Vec<Vec<u8>>> + Send;

    /// Forgets them, so that they are fetched anew when they are wanted.
    fn forget_revocation_lists(&self) -> impl Future<Output = ()> + Send;

    /// Whether ESP can go without UDP.
    fn raw_esp(&self) -> RawEsp;

    /// Listens to what happens from now on.
    fn events(&self) -> Self::Events;
}

/// Why something was not done.
pub trait Refusal: Display + Send + 'static {
    /// Whether there is nothing of the name or number that was given.
    fn is_about_nothing(&self) -> bool;
}

impl Refusal for Error {
    fn is_about_nothing(&self) -> bool {
        use ApiMisuse::{NoSuchChild, NoSuchConnection, NoSuchSa};
        matches!(self, Self::Misuse(NoSuchConnection(_) | NoSuchChild(_) | NoSuchSa))
    }
}

impl Control for TunnelManager {
    type Error = Error;
    type Events = Events;

    async fn initiate(&self, target: Target) -> Result<(), Error> {
        self.initiate_in_any_case(target).await
    }

    async fn terminate(&self, selection: Selection, manner: Manner) -> Result<usize, Error> {
        self.terminate(selection, manner).await
    }

    async fn reauthenticate(&self, selection: Selection) -> Result<usize, Error> {
        self.reauthenticate(selection).await
    }

    async fn install(&self, target: Target) -> Result<(), Error> {
        self.install(target).await
    }

    async fn uninstall(&self, target: Target) -> Result<(), Error> {
        self.uninstall(target).await
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

    async fn tallies(&self) -> Result<Tallies, Error> {
        self.tallies().await
    }

    async fn reset_tallies(&self, which: TallyOf) -> Result<bool, Error> {
        self.reset_tallies(which).await
    }

    async fn connections(&self) -> Result<Vec<Arc<str>>, Error> {
        self.connections().await
    }

    async fn load(&self, connection: Connection) -> Result<(), Error> {
        self.load(connection).await
    }

    async fn update(&self, connection: Connection) -> Result<(), Error> {
        self.update(connection).await
    }

    async fn unload(&self, name: &str) -> Result<(), Error> {
        self.unload(name).await
    }

    async fn load_pool(&self, pool: Pool) -> Result<(), Error> {
        self.load_pool(pool).await
    }

    async fn unload_pool(&self, name: &str) -> Result<bool, Error> {
        self.unload_pool(name).await
    }

    async fn pools(&self) -> Result<Vec<PoolReport>, Error> {
        self.pools().await
    }

    async fn revocation_lists(&self) -> Vec<Vec<u8>> {
        self.revocation_lists().await
    }

    async fn forget_revocation_lists(&self) {
        self.forget_revocation_lists().await;
    }

    fn raw_esp(&self) -> RawEsp {
        self.raw_esp()
    }

    fn events(&self) -> Events {
        self.events()
    }
}
