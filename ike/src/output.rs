//! What the engine hands to its driver: datagrams, orders for the packet side, jobs, events.

use crate::auth::{AuthFailure, Authenticated, RevocationList, SignTask, VerifyTask, WantedList};
use crate::crypto::{GroupId, KexError, PrivateValue, Provider, Random, Secret};
use crate::event::Event;
use crate::wire::AuthPayload;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate_esp::{Params, Spi};

/// One thing for the driver to do. They come in the order in which they must be done.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Transmit(Transmit),
    /// Take one direction of a child into use.
    Install(Box<Install>),
    /// What went out on child `from` goes out on child `to` from now on.
    MoveOutbound {
        /// Inbound SPI of the child that carried the traffic.
        from: Spi,
        /// Inbound SPI of the child that carries it now.
        to: Spi,
    },
    /// The outer addresses of a child have changed.
    Repath {
        /// Inbound SPI of the child.
        child: Spi,
        /// Its new outer addresses.
        path: tidegate_esp::Path,
    },
    /// One direction of a child is gone. A child that has expired loses both at once, and is removed again
    /// when the peer has agreed to its end.
    Remove {
        /// Inbound SPI of the child.
        child: Spi,
        /// Which direction.
        direction: tidegate_esp::Direction,
    },
    /// Arithmetic to be done anywhere, its result to be given back by `Endpoint::job_done`.
    Job(Job),
    /// Something an operator or agent wants to know.
    Event(Event),
}

/// A datagram for the network, the non-ESP marker included where the path has one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// From where to where.
    pub path: Path,
    /// UDP payload.
    pub bytes: Vec<u8>,
}

/// Outer addresses of an IKE message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// What stands before the IKE header.
    pub framing: Framing,
}

/// What stands before the IKE header (RFC 3948 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Framing {
    /// Nothing: port 500.
    Bare,
    /// The non-ESP marker: every other port, shared with ESP in UDP.
    Marked,
}

/// One direction of a child for the packet side.
pub struct Install {
    /// The child that it belongs to, named by its inbound SPI.
    pub child: Spi,
    /// Name of the child's configuration.
    pub name: Arc<str>,
    /// The SA itself.
    pub params: Params,
    /// Whether traffic goes onto it at once; an inbound direction is always in use.
    pub duty: Duty,
}

/// Whether a new direction carries traffic at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// At once.
    Active,
    /// After a `MoveOutbound`.
    Standby,
}

impl fmt::Debug for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Install")
            .field("child", &self.child)
            .field("name", &self.name)
            .field("direction", &self.params.direction)
            .field("spi", &self.params.spi)
            .field("duty", &self.duty)
            .finish_non_exhaustive()
    }
}

/// Names a job; means nothing to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    pub(crate) sa: crate::SaId,
    pub(crate) serial: u32,
}

/// Slow arithmetic, cut loose from the engine. Run it anywhere, once.
pub struct Job {
    id: JobId,
    task: Task,
}

pub(crate) enum Task {
    /// Responder of a key exchange: make a value and agree at once.
    Respond {
        provider: &'static Provider,
        group: GroupId,
        peer: Vec<u8>,
    },
    /// Initiator of a key exchange: agree with the value made earlier.
    Finish {
        private: Box<dyn PrivateValue>,
        peer: Vec<u8>,
    },
    Sign(Box<SignTask>),
    Verify(Box<VerifyTask>),
}

/// The result of a job.
pub struct JobDone {
    pub(crate) id: JobId,
    pub(crate) result: TaskResult,
}

pub(crate) enum TaskResult {
    Agreed(Result<Agreement, KexError>),
    Signed(Result<AuthPayload, AuthFailure>),
    Verified(Result<Authenticated, AuthFailure>),
}

/// A shared secret, and for a responder the public value that goes with it.
pub(crate) struct Agreement {
    pub(crate) shared: Secret,
    pub(crate) public: Vec<u8>,
}

impl Path {
    /// The same path seen as outer addresses of ESP, which is never inside UDP on port 500: nothing there
    /// would tell it from IKE (RFC 7296 §2.23).
    pub fn esp(&self, wanted: tidegate_esp::Encapsulation) -> tidegate_esp::Path {
        let encapsulation = match self.framing {
            Framing::Bare => tidegate_esp::Encapsulation::None,
            Framing::Marked => wanted,
        };
        tidegate_esp::Path { local: self.local, remote: self.remote, encapsulation }
    }
}

impl Job {
    pub(crate) fn new(id: JobId, task: Task) -> Self {
        Self { id, task }
    }

    /// Its name.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Revocation lists without which less can be said of a peer that has proven itself; whoever cannot get
    /// them, or does not want to wait, runs the job without. This is arithmetic too.
    pub fn wanted_lists(&self) -> Vec<WantedList> {
        match &self.task {
            Task::Verify(task) => task.wanted_lists(),
            _ => Vec::new(),
        }
    }

    /// Does the arithmetic. Nothing else of the engine waits for it.
    pub fn run(self, random: &mut dyn Random) -> JobDone {
        self.run_with(random, &[])
    }

    /// The same with revocation lists that were got of those [wanted](Self::wanted_lists).
    pub fn run_with(self, random: &mut dyn Random, lists: &[Arc<RevocationList>]) -> JobDone {
        let result = match self.task {
            Task::Respond { provider, group, peer } => {
                TaskResult::Agreed(respond(provider, group, &peer, random))
            }
            Task::Finish { private, peer } => TaskResult::Agreed(
                private.agree(&peer).map(|shared| Agreement { shared, public: Vec::new() }),
            ),
            Task::Sign(task) => TaskResult::Signed(task.run(random)),
            Task::Verify(task) => TaskResult::Verified(task.run_with(lists)),
        };
        JobDone { id: self.id, result }
    }
}

fn respond(
    provider: &'static Provider,
    group: GroupId,
    peer: &[u8],
    random: &mut dyn Random,
) -> Result<Agreement, KexError> {
    let private = provider.group(group).ok_or(KexError::Provider)?.generate(random)?;
    let public = private.public().to_vec();
    private.agree(peer).map(|shared| Agreement { shared, public })
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for JobDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobDone").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Outputs that wait for the driver.
pub(crate) type Outputs = VecDeque<Output>;
