//! What clients have loaded, and what has become of it.
//!
//! A connection needs something to prove who its ends are. As long as that is lacking it is in the engine all
//! the same, sealed by a secret that nobody knows: its traffic is caught and goes nowhere, and nobody can use
//! it. When credentials change, connections are resolved anew, and those that differ are updated.

use super::control::Control;
use super::credentials::{Credentials, Lacking};
use super::load::{Described, LoadFault};
use super::message::Message;
use crate::connection::{Connection, Start};
use crate::engine::Target;
use crate::io::udp::RawEsp;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::{ChildStart, EncapsulationPolicy, LocalIdentity, RemoteIdentity};
use tidegate_ike::crypto::Secret;
use tidegate_ike::identity::Identity;
use tokio::sync::Mutex as AsyncMutex;

/// Connections that clients have loaded.
#[derive(Default)]
pub(super) struct Registry {
    entries: AsyncMutex<BTreeMap<Arc<str>, Entry>>,
}

/// A connection that a client has loaded.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) described: Arc<Described>,
    /// What it lacks.
    pub(super) lacking: Option<Lacking>,
}

/// Why a connection is not loaded or unloaded.
#[derive(Debug)]
pub(super) enum RegistryFault<E> {
    /// What the client says of it.
    Load(LoadFault),
    /// Nobody has loaded it.
    Unknown(String),
    /// It is there, but not by clients.
    Foreign(String),
    /// There are as many as we keep.
    TooMany,
    /// The engine does not take it.
    Engine(E),
}

struct Entry {
    /// As it came.
    section: Message,
    described: Arc<Described>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Loaded with credentials of these prints.
    Ready(Vec<[u8; 32]>),
    /// Sealed, and never ready since it was described so.
    Waiting(Lacking),
    /// Sealed after it had been ready: SAs may stand.
    Bereft(Lacking),
}

/// Far more than one node has to do with.
const MOST: usize = 16_384;

impl Registry {
    /// Loads a connection. One that is there as it is stays as it is; one that has changed keeps its SAs.
    pub(super) async fn load<C: Control>(
        &self,
        control: &C,
        credentials: &Mutex<Credentials>,
        name: &str,
        section: &Message,
    ) -> Result<Loaded, RegistryFault<C::Error>> {
        let mut entries = self.entries.lock().await;
        if let Some(entry) = entries.get_mut(name).filter(|entry| entry.section == *section) {
            entry.settle(control, credentials).await.map_err(RegistryFault::Engine)?;
            return Ok(entry.loaded());
        }
        let described = Arc::new(Described::read(name, section).map_err(RegistryFault::Load)?);
        let known = entries.get(name);
        if known.is_none() && is_there(control, name).await? {
            return Err(RegistryFault::Foreign(name.to_owned()));
        }
        if known.is_none() && entries.len() >= MOST {
            return Err(RegistryFault::TooMany);
        }
        let (connection, state) = match resolve(&described, credentials) {
            Ok((connection, prints)) => (connection, State::Ready(prints)),
            Err(lacking) if known.is_some_and(|known| !known.is_waiting()) => {
                (sealed(&described), State::Bereft(lacking))
            }
            Err(lacking) => (waiting(&described), State::Waiting(lacking)),
        };
        let connection = fitted(control, connection);
        let done = match known.is_some_and(|known| !known.is_waiting()) {
            true => control.update(connection).await,
            false => control.load(connection).await,
        };
        done.map_err(RegistryFault::Engine)?;
        let entry = Entry { section: section.clone(), described, state };
        let loaded = entry.loaded();
        entries.insert(Arc::clone(loaded.described.name()), entry);
        Ok(loaded)
    }

    /// Takes a connection away that a client has loaded.
    pub(super) async fn unload<C: Control>(
        &self,
        control: &C,
        name: &str,
    ) -> Result<(), RegistryFault<C::Error>> {
        let mut entries = self.entries.lock().await;
        if !entries.contains_key(name) {
            let foreign = is_there(control, name).await?;
            let fault = if foreign { RegistryFault::Foreign } else { RegistryFault::Unknown };
            return Err(fault(name.to_owned()));
        }
        control.unload(name).await.map_err(RegistryFault::Engine)?;
        entries.remove(name);
        Ok(())
    }

    /// Resolves all connections anew.
    pub(super) async fn follow<C: Control>(&self, control: &C, credentials: &Mutex<Credentials>) {
        for (name, entry) in self.entries.lock().await.iter_mut() {
            if let Err(error) = entry.settle(control, credentials).await {
                tracing::warn!(target: "tidegate::vici", connection = %name, "cannot follow new credentials: {error}");
            }
        }
    }

    /// What all that could be meant lacks; `None` if there is something that can be tried.
    pub(super) async fn obstacle<C: Control>(
        &self,
        control: &C,
        credentials: &Mutex<Credentials>,
        target: &Target,
    ) -> Option<Lacking> {
        let mut obstacle = None;
        for (name, entry) in self.entries.lock().await.iter_mut() {
            if !entry.is_meant(name, target) {
                continue;
            }
            entry.settle(control, credentials).await.ok()?;
            obstacle.get_or_insert(entry.lacking()?.clone());
        }
        obstacle
    }

    /// All that clients have loaded.
    pub(super) async fn all(&self) -> BTreeMap<Arc<str>, Loaded> {
        let entries = self.entries.lock().await;
        entries.iter().map(|(name, entry)| (Arc::clone(name), entry.loaded())).collect()
    }
}

impl Entry {
    /// Brings the engine up to date with the credentials.
    async fn settle<C: Control>(
        &mut self,
        control: &C,
        credentials: &Mutex<Credentials>,
    ) -> Result<(), C::Error> {
        let (connection, state) = match (resolve(&self.described, credentials), &self.state) {
            (Ok((_, prints)), State::Ready(before)) if prints == *before => return Ok(()),
            (Ok((connection, prints)), _) => (Some(connection), State::Ready(prints)),
            (Err(lacking), State::Ready(_)) => (Some(sealed(&self.described)), State::Bereft(lacking)),
            (Err(lacking), State::Waiting(_)) => (None, State::Waiting(lacking)),
            (Err(lacking), State::Bereft(_)) => (None, State::Bereft(lacking)),
        };
        match connection.map(|connection| fitted(control, connection)) {
            Some(connection) if self.is_waiting() => control.load(connection).await?,
            Some(connection) => control.update(connection).await?,
            None => {}
        }
        self.state = state;
        Ok(())
    }

    fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    fn lacking(&self) -> Option<&Lacking> {
        match &self.state {
            State::Ready(_) => None,
            State::Waiting(lacking) | State::Bereft(lacking) => Some(lacking),
        }
    }

    fn loaded(&self) -> Loaded {
        Loaded { described: Arc::clone(&self.described), lacking: self.lacking().cloned() }
    }

    fn is_meant(&self, name: &Arc<str>, target: &Target) -> bool {
        let has = |child: &Arc<str>| self.described.plan().children.iter().any(|it| it.config.name == *child);
        match target {
            Target::Connection(wanted) => wanted == name,
            Target::Child { connection, child } => {
                connection.as_ref().is_none_or(|wanted| wanted == name) && has(child)
            }
        }
    }
}

async fn is_there<C: Control>(control: &C, name: &str) -> Result<bool, RegistryFault<C::Error>> {
    let names = control.connections().await.map_err(RegistryFault::Engine)?;
    Ok(names.iter().any(|there| **there == *name))
}

/// The connection with what its ends prove who they are by, and the prints of that.
fn resolve(
    described: &Described,
    credentials: &Mutex<Credentials>,
) -> Result<(Connection, Vec<[u8; 32]>), Lacking> {
    let credentials = credentials.lock().unwrap_or_else(PoisonError::into_inner);
    let mut prints = Vec::new();
    let mut local = Vec::new();
    for (at, round) in described.local.iter().enumerate() {
        let peer = described.remote.get(at).or(described.remote.first());
        let peer = peer.map_or(&tidegate_ike::identity::IdentityPattern::Any, |peer| &peer.identity);
        let (identity, proof) = credentials.local(round, peer)?;
        prints.push(proof.print);
        local.push(LocalIdentity { identity, auth: proof.auth });
    }
    let mut remote = Vec::new();
    for (at, round) in described.remote.iter().enumerate() {
        let ours = local.get(at).or(local.first()).map(|ours| &ours.identity);
        let proof = credentials.remote(round, ours.ok_or(Lacking::OurIdentity)?)?;
        prints.push(proof.print);
        remote.push(RemoteIdentity { identity: round.identity.clone(), auth: proof.auth });
    }
    let connection = described.connection(local, remote).ok_or(Lacking::OurIdentity)?;
    Ok((connection, prints))
}

/// The connection as nobody can use it.
fn sealed(described: &Described) -> Connection {
    let secret = || {
        let mut bytes = vec![0; 32];
        // Without randomness nothing could be negotiated in any case.
        let _ = SystemRandom::new().fill(&mut bytes);
        Secret::new(bytes)
    };
    let nobody = || Identity::KeyId(b"nobody".to_vec());
    let mut connection = described.plan().clone();
    let (local, remote) = (&mut connection.ike.local, &mut connection.ike.remote);
    local.identity = described.local.first().and_then(|it| it.identity.clone()).unwrap_or_else(nobody);
    local.auth = Arc::new(LocalAuth::Psk(secret()));
    if let Some(round) = described.remote.first() {
        remote.identity = round.identity.clone();
    }
    remote.auth = Arc::new(RemoteAuth::Psk(secret()));
    connection
}

/// Where ESP cannot go without UDP, peers are led to believe that it must not.
fn fitted<C: Control>(control: &C, mut connection: Connection) -> Connection {
    if control.raw_esp() == RawEsp::Off && connection.ike.encapsulation == EncapsulationPolicy::Auto {
        connection.ike.encapsulation = EncapsulationPolicy::Udp;
    }
    connection
}

/// The same, and nobody tries in vain.
fn waiting(described: &Described) -> Connection {
    let mut connection = sealed(described);
    for child in &mut connection.children {
        if child.mode == crate::connection::ChildMode::Tunnel {
            child.start = Start::Wait;
            child.config.start = ChildStart::OnDemand;
        }
    }
    connection
}

impl<E: fmt::Display> fmt::Display for RegistryFault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(fault) => fault.fmt(f),
            Self::Unknown(name) => write!(f, "unload: connection '{name}' not found"),
            Self::Foreign(name) => {
                write!(f, "connection '{name}' comes from the configuration file, which alone can change it")
            }
            Self::TooMany => write!(f, "there are {MOST} connections already"),
            Self::Engine(error) => error.fmt(f),
        }
    }
}
