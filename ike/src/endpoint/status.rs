//! What is there to be seen of an IKE SA.

use super::SaId;
use crate::connection::{Connection, EncapsulationPolicy};
use crate::crypto::{GroupId, PrfId};
use crate::identity::Identity;
use crate::nat::NatView;
use crate::output::Path;
use crate::proposal::{EspProposal, IkeProposal};
use crate::sa::child::Child;
use crate::sa::established::{Agreed, Established, Standing};
use crate::sa::timers::{Timer, Timers};
use crate::sa::{IkeSa, Role, SpiPair, State};
use crate::time::Time;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::crypto::Suite;
use tidegate_esp::{SelectorPair, SequenceNumbers, Spi};

/// How far an IKE SA has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// We are setting it up.
    Connecting,
    /// A peer is setting it up.
    HalfOpen,
    /// It stands.
    Established,
    /// It stands, but another has taken its place or may do so.
    Rekeyed,
    /// It is being deleted.
    Deleting,
}

/// One IKE SA, as it is now.
#[derive(Clone, Copy)]
pub struct SaStatus<'a> {
    sa: &'a IkeSa,
    now: Time,
}

/// One child, as it is now.
#[derive(Clone, Copy)]
pub struct ChildStatus<'a> {
    child: &'a Child,
    timers: &'a Timers,
    now: Time,
}

/// The algorithms of an IKE SA. Written as the words of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeAlgorithms {
    /// Cipher and integrity algorithm.
    pub suite: Suite,
    /// Pseudo-random function.
    pub prf: PrfId,
    /// Key exchange group.
    pub group: GroupId,
}

/// The algorithms of a child. Written as the words of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildAlgorithms {
    /// Cipher and integrity algorithm.
    pub suite: Suite,
    /// Key exchange group, where it had a key exchange of its own.
    pub group: Option<GroupId>,
    /// Width of the sequence number.
    pub sequence_numbers: SequenceNumbers,
}

impl<'a> SaStatus<'a> {
    pub(super) fn of(sa: &'a IkeSa, now: Time) -> Self {
        Self { sa, now }
    }

    fn established(&self) -> Option<&'a Established> {
        match &self.sa.state {
            State::Established(sa) => Some(sa),
            _ => None,
        }
    }

    /// Its name.
    pub fn id(&self) -> SaId {
        self.sa.frame.id
    }

    /// How far it has come.
    pub fn phase(&self) -> Phase {
        match &self.sa.state {
            State::Initiating(_) => Phase::Connecting,
            State::Responding(_) => Phase::HalfOpen,
            State::Established(sa) if sa.standing == Standing::Active => Phase::Established,
            State::Established(_) => Phase::Rekeyed,
            State::Closing(_) | State::Closed => Phase::Deleting,
        }
    }

    /// Which end of it we are.
    pub fn role(&self) -> Role {
        self.sa.frame.role
    }

    /// Its SPIs.
    pub fn spis(&self) -> SpiPair {
        self.sa.frame.spis
    }

    /// Where the peer is.
    pub fn path(&self) -> Path {
        self.sa.frame.path
    }

    /// Its connection, once that is known.
    pub fn connection(&self) -> Option<&'a Arc<Connection>> {
        match &self.sa.state {
            State::Initiating(attempt) => Some(attempt.connection()),
            State::Established(sa) => Some(&sa.connection),
            _ => None,
        }
    }

    /// Who the peer is, once it has proved it.
    pub fn peer(&self) -> Option<&'a Identity> {
        self.established().map(|sa| &*sa.peer)
    }

    /// Its children.
    pub fn children(&self) -> impl Iterator<Item = ChildStatus<'a>> + use<'a> {
        let (timers, now) = (&self.sa.frame.timers, self.now);
        let all = self.established().into_iter().flat_map(|sa| &sa.children);
        all.map(move |child| ChildStatus { child, timers, now })
    }

    /// How old it is.
    pub fn age(&self) -> Duration {
        self.now.since(self.sa.frame.opened)
    }

    /// When it began: its first message was sent, or came.
    pub fn began(&self) -> Time {
        self.sa.frame.began
    }

    /// When it was established; for one that is not, when it began.
    pub fn opened(&self) -> Time {
        self.sa.frame.opened
    }

    /// Where NATs are.
    pub fn nat(&self) -> Option<NatView> {
        self.established().map(|sa| sa.nat)
    }

    /// Whether we claim a NAT where none was found, so that both ends encapsulate.
    pub fn claims_nat(&self) -> bool {
        let forces = |sa: &Established| sa.connection.encapsulation == EncapsulationPolicy::Udp;
        self.established().is_some_and(|sa| forces(sa) && !sa.nat.any())
    }

    /// What protects it.
    pub fn algorithms(&self) -> Option<IkeAlgorithms> {
        let Agreed { group, prf, suite } = self.established()?.choice;
        Some(IkeAlgorithms { suite, prf, group })
    }

    /// When new keys are made for it.
    pub fn rekey_at(&self) -> Option<Time> {
        self.sa.frame.timers.at(Timer::RekeyIke)
    }

    /// When the ends see each other's credentials again.
    pub fn reauthentication_at(&self) -> Option<Time> {
        self.sa.frame.timers.at(Timer::Reauthenticate)
    }

    /// How long the peer took to answer the last request that did not have to be repeated.
    pub fn round_trip(&self) -> Option<Duration> {
        self.sa.frame.window.round_trip()
    }

    /// How long ago the peer proved to be there.
    pub fn silence(&self) -> Option<Duration> {
        self.established().map(|sa| self.now.since(sa.heard))
    }

    /// Addresses that its responder gave its initiator.
    pub fn virtual_addresses(&self) -> &'a [IpAddr] {
        self.established().map_or(&[], |sa| &sa.virtual_addresses)
    }

    /// The IKE SA that it takes the place of, until that has happened; it may be gone by then.
    pub fn replaces(&self) -> Option<SaId> {
        match &self.sa.state {
            State::Initiating(attempt) => attempt.replaces(),
            State::Established(sa) => sa.replaces,
            _ => None,
        }
    }

    /// What it will do next, and when.
    pub fn next(&self) -> Option<(Time, Timer)> {
        self.sa.frame.timers.next()
    }

    /// Whether it waits for nothing: no exchange is under way, and nothing is planned for the window.
    pub fn is_quiet(&self) -> bool {
        match &self.sa.state {
            State::Established(sa) => {
                sa.exchange.is_none()
                    && sa.answering.is_none()
                    && sa.tasks.is_empty()
                    && sa.deferred.is_empty()
                    && !self.sa.frame.window.is_waiting()
            }
            _ => false,
        }
    }
}

impl<'a> ChildStatus<'a> {
    /// Name of its configuration.
    pub fn name(&self) -> &'a Arc<str> {
        &self.child.config.name
    }

    /// Our SPI.
    pub fn inbound(&self) -> Spi {
        self.child.inbound
    }

    /// The peer's SPI.
    pub fn outbound(&self) -> Spi {
        self.child.outbound
    }

    /// What it carries.
    pub fn selectors(&self) -> &'a Arc<SelectorPair> {
        &self.child.selectors
    }

    /// Which end asked for it.
    pub fn role(&self) -> Role {
        self.child.role
    }

    /// How old it is.
    pub fn age(&self) -> Duration {
        self.now.since(self.child.since)
    }

    /// What protects it.
    pub fn algorithms(&self) -> ChildAlgorithms {
        let Child { suite, group, sequence_numbers, .. } = *self.child;
        ChildAlgorithms { suite, group, sequence_numbers }
    }

    /// When new keys are made for it.
    pub fn rekey_at(&self) -> Option<Time> {
        self.timers.at(Timer::RekeyChild(self.child.inbound))
    }

    /// When it ends, whatever has become of its successor.
    pub fn expires_at(&self) -> Option<Time> {
        self.timers.at(Timer::ExpireChild(self.child.inbound))
    }

    /// Whether it is the one that counts, and not on its way out.
    pub fn is_current(&self) -> bool {
        self.child.fate == crate::sa::child::Fate::Standing
    }
}

/// Transform ids of a cipher and its integrity algorithm, with the length of the key where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuiteIds {
    /// Transform type 1.
    pub encryption: u16,
    /// Key length in bits.
    pub key_bits: Option<u16>,
    /// Transform type 3.
    pub integrity: Option<u16>,
}

impl SuiteIds {
    /// The ids of a suite.
    pub fn of(suite: Suite) -> Self {
        let (encryption, key_bits) = crate::proposal::encryption_id(suite.cipher());
        let integrity = suite.integrity().map(crate::proposal::integrity_id);
        Self { encryption, key_bits, integrity }
    }
}

impl fmt::Display for IkeAlgorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proposal = IkeProposal {
            encryption: vec![self.suite.cipher()],
            integrity: self.suite.integrity().into_iter().collect(),
            prfs: vec![self.prf],
            groups: vec![self.group],
        };
        write!(f, "{proposal}")
    }
}

impl fmt::Display for ChildAlgorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proposal = EspProposal {
            encryption: vec![self.suite.cipher()],
            integrity: self.suite.integrity().into_iter().collect(),
            groups: self.group.into_iter().collect(),
            extended_sequence: vec![self.sequence_numbers],
        };
        write!(f, "{proposal}")
    }
}
