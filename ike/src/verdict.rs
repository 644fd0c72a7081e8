//! Why something failed, and whose fault it was.

use crate::auth::{AuthFailure, Blame};
use crate::crypto::{GroupId, KexError};
use crate::identity::Identity;
use crate::proposal::ProposalMismatch;
use crate::wire::{MessageError, NotifyType};
use std::fmt;
use std::time::Duration;
use tidegate_esp::TrafficSelector;

/// A failure with its culprit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whose fault it is.
    pub culprit: Culprit,
    /// What went wrong.
    pub cause: Cause,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Culprit {
    /// Our configuration, or our own doing.
    Us,
    /// The peer's configuration.
    Peer,
    /// One of the two configurations; they do not fit each other.
    Mismatch,
    /// The peer broke the protocol.
    Misbehaviour,
    /// The network lost or refused our packets, or the peer is not there.
    Network,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No proposal in common; both lists and the nearest miss are inside.
    Proposals(Box<ProposalMismatch>),
    /// The two ends disagree on a key exchange for children, which set-up did not show.
    Pfs(Box<ProposalMismatch>),
    /// The peer takes none of our key exchange methods for children, or wants none, or wants one at all.
    PfsRefused {
        /// What we have.
        ours: Vec<GroupId>,
        /// The method that the peer asked for.
        wanted: Option<u16>,
    },
    /// The peer, or we to it, could not be authenticated.
    Authentication(Box<AuthFailure>),
    /// No connection goes with these identities.
    NoConnection {
        /// Who the peer says it is.
        peer: Identity,
        /// Who the peer wants us to be.
        wanted: Option<Identity>,
    },
    /// The two ends' selectors have nothing in common, or the answer goes beyond what was asked.
    Selectors {
        /// What we have for our side and the peer's.
        ours: (Vec<TrafficSelector>, Vec<TrafficSelector>),
        /// What the peer has for our side and its own.
        theirs: (Vec<TrafficSelector>, Vec<TrafficSelector>),
    },
    /// The peer refused with this notification.
    Refused(NotifyType),
    /// The peer refused with this notification, which nobody has authenticated; nothing better was heard.
    RefusedInClear(NotifyType),
    /// Nobody answered.
    Unanswered {
        /// For how long.
        waited: Duration,
    },
    /// A message that makes no sense.
    Malformed(MessageError),
    /// A key exchange value that is not one.
    KeyExchange(KexError),
    /// The peer left something out that we asked for, or answered with something else.
    Unexpected(&'static str),
    /// No address of a pool is left.
    PoolExhausted,
    /// None of the peer's names has an address.
    Unresolved,
    /// A NAT was found where none is allowed.
    NatFound,
    /// The peer closed it.
    ClosedByPeer,
    /// The peer has lost its state and started anew.
    PeerRestarted,
    /// We closed it.
    ClosedByUs,
    /// Its lifetime is over and no successor came in time.
    Expired,
    /// Another SA with the same peer took its place.
    Replaced,
    /// Too much at once; a limit of ours was reached.
    Limit(&'static str),
    /// Message ids or another counter ran out.
    Exhausted,
}

impl Verdict {
    pub(crate) const fn new(culprit: Culprit, cause: Cause) -> Self {
        Self { culprit, cause }
    }

    /// The peer refused in a message that holds.
    pub(crate) const fn refused(kind: NotifyType) -> Self {
        let culprit = match kind {
            NotifyType::NO_PROPOSAL_CHOSEN | NotifyType::TS_UNACCEPTABLE => Culprit::Mismatch,
            NotifyType::AUTHENTICATION_FAILED => Culprit::Us,
            NotifyType::INVALID_SYNTAX => Culprit::Us,
            _ => Culprit::Peer,
        };
        Self::new(culprit, Cause::Refused(kind))
    }

    pub(crate) fn malformed(error: MessageError) -> Self {
        Self::new(Culprit::Misbehaviour, Cause::Malformed(error))
    }
}

impl From<AuthFailure> for Verdict {
    fn from(failure: AuthFailure) -> Self {
        let culprit = match failure.blame() {
            Blame::Us => Culprit::Us,
            Blame::Peer => Culprit::Peer,
            Blame::Either => Culprit::Mismatch,
            Blame::Protocol => Culprit::Misbehaviour,
        };
        Self::new(culprit, Cause::Authentication(Box::new(failure)))
    }
}

impl From<KexError> for Verdict {
    fn from(error: KexError) -> Self {
        let culprit = if error == KexError::Provider { Culprit::Us } else { Culprit::Misbehaviour };
        Self::new(culprit, Cause::KeyExchange(error))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.cause, self.culprit)
    }
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Us => "our side",
            Self::Peer => "the peer's side",
            Self::Mismatch => "the two configurations differ",
            Self::Misbehaviour => "the peer broke the protocol",
            Self::Network => "the network",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proposals(mismatch) => write!(f, "no proposal in common: {mismatch}"),
            Self::Pfs(mismatch) => write!(f, "no agreement on perfect forward secrecy: {mismatch}"),
            Self::PfsRefused { ours, wanted } => {
                f.write_str("no agreement on perfect forward secrecy: we have ")?;
                if ours.is_empty() {
                    f.write_str("none")?;
                }
                for (i, group) in ours.iter().enumerate() {
                    write!(f, "{}{group}", if i == 0 { "" } else { "," })?;
                }
                match wanted.map(|id| (id, GroupId::from_transform(id))) {
                    Some((_, Some(group))) => write!(f, ", the peer wants {group}"),
                    Some((id, None)) => write!(f, ", the peer wants group {id}"),
                    None => f.write_str(", the peer takes none of it"),
                }
            }
            Self::Authentication(failure) => write!(f, "authentication failed: {failure}"),
            Self::NoConnection { peer, wanted: Some(wanted) } => {
                write!(f, "no connection for peer {peer} that wants {wanted}")
            }
            Self::NoConnection { peer, wanted: None } => write!(f, "no connection for peer {peer}"),
            Self::Selectors { ours, theirs } => {
                write!(f, "no traffic in common: we have {}, the peer has {}", Sides(ours), Sides(theirs))
            }
            Self::Refused(kind) => write!(f, "the peer refused with {kind}"),
            Self::RefusedInClear(kind) => write!(f, "the peer, or a forger, refused with {kind}"),
            Self::Unanswered { waited } => write!(f, "no answer for {:.1} s", waited.as_secs_f64()),
            Self::Malformed(error) => write!(f, "malformed message: {error}"),
            Self::KeyExchange(error) => write!(f, "key exchange failed: {error:?}"),
            Self::Unexpected(what) => write!(f, "unexpected: {what}"),
            Self::PoolExhausted => f.write_str("no address left in the pool"),
            Self::Unresolved => f.write_str("no address for the peer's names"),
            Self::NatFound => f.write_str("a NAT was found where none is allowed"),
            Self::ClosedByPeer => f.write_str("closed by the peer"),
            Self::PeerRestarted => f.write_str("the peer has restarted"),
            Self::ClosedByUs => f.write_str("closed by us"),
            Self::Expired => f.write_str("lifetime over, and no successor"),
            Self::Replaced => f.write_str("another SA took its place"),
            Self::Limit(which) => write!(f, "limit reached: {which}"),
            Self::Exhausted => f.write_str("a counter ran out"),
        }
    }
}

struct Sides<'a>(&'a (Vec<TrafficSelector>, Vec<TrafficSelector>));

impl fmt::Display for Sides<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |f: &mut fmt::Formatter<'_>, list: &[TrafficSelector]| {
            list.iter()
                .enumerate()
                .try_for_each(|(i, selector)| write!(f, "{}{selector}", if i == 0 { "" } else { "," }))
        };
        side(f, &self.0.0)?;
        f.write_str(" to ")?;
        side(f, &self.0.1)
    }
}
