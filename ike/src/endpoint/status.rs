//! What is there to be seen of an IKE SA.

use super::SaId;
use crate::connection::Connection;
use crate::identity::Identity;
use crate::output::Path;
use crate::sa::child::Child;
use crate::sa::established::{Established, Standing};
use crate::sa::timers::Timer;
use crate::sa::{IkeSa, Role, SpiPair, State};
use crate::time::Time;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::{SelectorPair, Spi};

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
        self.established().into_iter().flat_map(|sa| &sa.children).map(|child| ChildStatus { child })
    }

    /// How old it is.
    pub fn age(&self) -> Duration {
        self.now.since(self.sa.frame.opened)
    }

    /// How long ago the peer proved to be there.
    pub fn silence(&self) -> Option<Duration> {
        self.established().map(|sa| self.now.since(sa.heard))
    }

    /// Addresses that its responder gave its initiator.
    pub fn virtual_addresses(&self) -> &'a [IpAddr] {
        self.established().map_or(&[], |sa| &sa.virtual_addresses)
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

    /// Whether it is the one that counts, and not on its way out.
    pub fn is_current(&self) -> bool {
        self.child.fate == crate::sa::child::Fate::Standing
    }
}
