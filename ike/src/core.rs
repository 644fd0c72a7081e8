//! What every SA works with: algorithms, randomness, configuration, and the queues that lead out.
//!
//! An SA reaches nothing of another SA. What concerns the endpoint's tables, or another SA, it leaves
//! behind as an [`Effect`]; the endpoint carries it out when the step is over.

use crate::connection::{Connection, Unique};
use crate::counters::Counters;
use crate::crypto::{GroupId, Provider, Random};
use crate::event::Event;
use crate::identity::{Identity, IdentityPattern};
use crate::keys::KeySink;
use crate::output::{Framing, Install, Job, JobId, Output, Outputs, Path, Task, Transmit};
use crate::pool::Pools;
use crate::registry::Registry;
use crate::sa::crypt::Crypt;
use crate::sa::established::Luggage;
use crate::sa::{IkeSa, SpiPair};
use crate::tally::Ledger;
use crate::wire::IkeSpi;
use crate::{Config, Now, SaId};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::spi::SpiAllocator;
use tidegate_esp::{AddressRange, Spi};

/// Everything of an endpoint but its table of SAs.
pub(crate) struct Core {
    pub(crate) provider: &'static Provider,
    pub(crate) config: Config,
    pub(crate) random: Box<dyn Random>,
    pub(crate) registry: Registry,
    pub(crate) pools: Pools,
    pub(crate) peers: Peers,
    pub(crate) local_addresses: Vec<IpAddr>,
    pub(crate) sources: Option<Box<dyn Sources>>,
    pub(crate) key_sink: Option<Box<dyn KeySink>>,
    pub(crate) counters: Counters,
    pub(crate) ledger: Ledger,
    pub(crate) outputs: Outputs,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) ids: Ids,
    pub(crate) turn: u64,
    pub(crate) spis: SpiAllocator,
    pub(crate) now: Now,
    /// What incomplete messages take, of all SAs together.
    pub(crate) fragments_held: usize,
}

/// Knows which way a host's packets go.
pub trait Sources: Send {
    /// The address of ours that packets to `remote` leave from; `None` when there is no way.
    fn towards(&self, remote: IpAddr) -> Option<IpAddr>;
}

/// What a step of one SA asks of the endpoint.
pub(crate) enum Effect {
    /// A new IKE SA stands.
    Spawn(Box<IkeSa>),
    /// What an IKE SA held belongs to its successor from now on.
    Adopt {
        /// The old one.
        from: SaId,
        /// The successor.
        to: SaId,
        /// What it held.
        luggage: Box<Luggage>,
    },
    /// The peer has shown which of two successors of `old` it goes on with.
    Settle {
        /// The old one.
        old: SaId,
        /// The successor.
        winner: SaId,
    },
    /// Close an IKE SA, towards the peer too.
    Close(SaId, crate::verdict::Verdict),
    /// An inbound SPI belongs to this IKE SA.
    ChildAdded(Spi, SaId),
    /// An inbound SPI belongs to nobody.
    ChildRemoved(Spi),
    /// The peer has proved who it is.
    Authenticated {
        /// In which IKE SA.
        sa: SaId,
        /// It held no other SA with us when it began this one, which was not before then.
        alone_since: Option<u64>,
    },
    /// An IKE SA that another may have taken the place of has had its time.
    Displaced(SaId),
    /// A half-open SA is half-open no more.
    HalfOpenOver(SaId),
    /// Set up an IKE SA anew, to take the place of this one.
    Reauthenticate(SaId, Arc<Connection>, Path),
}

/// The IKE SAs of each peer that has proved who it is. One peer may have very many.
#[derive(Default)]
pub(crate) struct Peers(BTreeSet<(Arc<Identity>, SaId)>);

/// Hands out names for SAs; a name is never given twice.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    free: Vec<SaId>,
    slots: u32,
}

impl Ids {
    pub(crate) fn take(&mut self) -> SaId {
        self.free.pop().unwrap_or_else(|| {
            let slot = self.slots;
            self.slots = self.slots.saturating_add(1);
            SaId { slot, generation: 0 }
        })
    }

    pub(crate) fn give_back(&mut self, id: SaId) {
        // A slot whose generations are used up rests for ever.
        if let Some(generation) = id.generation.checked_add(1) {
            self.free.push(SaId { slot: id.slot, generation });
        }
    }
}

impl Peers {
    pub(crate) fn add(&mut self, peer: Arc<Identity>, sa: SaId) {
        self.0.insert((peer, sa));
    }

    pub(crate) fn remove(&mut self, peer: Arc<Identity>, sa: SaId) {
        self.0.remove(&(peer, sa));
    }

    /// The IKE SAs of one peer.
    pub(crate) fn of(&self, peer: &Arc<Identity>) -> impl Iterator<Item = SaId> {
        let from_here = self.0.range((Arc::clone(peer), SaId::FIRST)..);
        from_here.take_while(move |(other, _)| other == peer).map(|(_, sa)| *sa)
    }

    fn know(&self, peer: &Identity) -> bool {
        self.of(&Arc::new(peer.clone())).next().is_some()
    }
}

impl Core {
    /// The address of ours to reach a peer from: the one that its packets leave from where that is known and
    /// the connection may use it, and the first that it may use elsewhere.
    pub(crate) fn local_for(&self, connection: &Connection, remote: IpAddr) -> Option<IpAddr> {
        let hosts = connection.local.addresses.iter().filter(|range| range.start() == range.end());
        let mut configured = hosts.map(AddressRange::start).chain(self.local_addresses.iter().copied());
        let fits = |local: &IpAddr| local.is_ipv4() == remote.is_ipv4() && connection.local.allows(*local);
        let known = self.sources.as_ref().and_then(|sources| sources.towards(remote));
        let known = known.filter(|local| fits(local) && self.local_addresses.contains(local));
        known.or_else(|| configured.find(fits))
    }

    /// The next place in the order in which SAs begin and are established: clocks are too coarse for it.
    pub(crate) fn turn(&mut self) -> u64 {
        self.turn = self.turn.saturating_add(1);
        self.turn
    }

    /// Random bytes of a fixed number.
    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A nonce of the length that suits every PRF we speak (RFC 7296 §2.10).
    pub(crate) fn nonce(&mut self) -> Vec<u8> {
        self.random::<32>().to_vec()
    }

    /// An IKE SPI; zero stands for none, so it is never given.
    pub(crate) fn ike_spi(&mut self) -> IkeSpi {
        loop {
            let value = u64::from_be_bytes(self.random());
            if value != 0 {
                return IkeSpi(value);
            }
        }
    }

    /// An SPI for a child to be; `None` when all are taken.
    pub(crate) fn inbound_spi(&mut self) -> Option<Spi> {
        let random = u32::from_be_bytes(self.random());
        self.spis.allocate(random, self.now.time.as_nanos()).ok()
    }

    /// Nobody receives on it any more. It rests for a while, so that a straggler meets no stranger.
    pub(crate) fn give_back_spi(&mut self, spi: Spi) {
        self.spis.release(spi, (self.now.time + SPI_REST).as_nanos());
    }

    /// A span shortened at random by up to `jitter`.
    pub(crate) fn jittered(&mut self, span: Duration, jitter: Duration) -> Duration {
        let draw = u64::from(u32::from_be_bytes(self.random()));
        let nanos = u64::try_from(jitter.min(span).as_nanos()).unwrap_or(u64::MAX);
        let part = (u128::from(nanos).saturating_mul(u128::from(draw))) >> 32;
        span.saturating_sub(Duration::from_nanos(u64::try_from(part).unwrap_or(0)))
    }

    /// An amount lessened at random by up to `jitter`; none stays none.
    pub(crate) fn lessened(&mut self, amount: u64, jitter: u64) -> u64 {
        if amount == u64::MAX || jitter == 0 {
            return amount;
        }
        let draw = u64::from(u32::from_be_bytes(self.random()));
        let part = (u128::from(jitter.min(amount)).saturating_mul(u128::from(draw))) >> 32;
        amount.saturating_sub(u64::try_from(part).unwrap_or(0))
    }

    /// A private value for a key exchange that we begin.
    pub(crate) fn generate(
        &mut self,
        group: GroupId,
    ) -> Result<Box<dyn crate::crypto::PrivateValue>, crate::crypto::KexError> {
        let group = self.provider.group(group).ok_or(crate::crypto::KexError::Provider)?;
        group.generate(&mut *self.random)
    }

    /// An IKE SA has keys.
    pub(crate) fn disclose(&mut self, spis: SpiPair, crypt: &Crypt) {
        if let Some(sink) = &mut self.key_sink {
            sink.ike(crypt.disclosed(spis));
        }
    }

    /// One direction of a child is to be taken into use.
    pub(crate) fn install(&mut self, install: Install) {
        if let Some(sink) = &mut self.key_sink {
            sink.child(&install.params);
        }
        self.outputs.push_back(Output::Install(Box::new(install)));
    }

    /// Sends datagrams, with the marker where the path wants it.
    pub(crate) fn transmit(&mut self, path: Path, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            let bytes = match path.framing {
                Framing::Bare => datagram.clone(),
                Framing::Marked => [&NON_ESP_MARKER, datagram.as_slice()].concat(),
            };
            self.outputs.push_back(Output::Transmit(Transmit { path, bytes }));
        }
    }

    /// Hands a task to whoever does the arithmetic.
    pub(crate) fn submit(&mut self, id: JobId, task: Task) {
        self.outputs.push_back(Output::Job(Job::new(id, task)));
    }

    /// Whether we hold no IKE SA with the one peer that this can be, and say so (RFC 7296 §2.4).
    pub(crate) fn is_first_contact(&self, connection: &Connection) -> bool {
        let IdentityPattern::Exact(peer) = &connection.remote.identity else { return false };
        connection.unique != Unique::Never && !self.peers.know(peer)
    }

    pub(crate) fn event(&mut self, event: Event) {
        if matches!(event, Event::ChildRekeyed { .. }) {
            self.ledger.child_rekeyed();
        }
        self.outputs.push_back(Output::Event(event));
    }
}

/// How long an SPI rests before it may be given again.
const SPI_REST: Duration = Duration::from_secs(5);

/// Stands before an IKE message that shares its port with ESP (RFC 3948 §2.2).
pub(crate) const NON_ESP_MARKER: [u8; 4] = [0; 4];
