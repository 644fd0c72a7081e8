//! What has happened, for operators and agents.

use crate::SaId;
use crate::identity::Identity;
use crate::output::Path;
use crate::verdict::Verdict;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::{SelectorPair, Spi};

/// Something that an operator or agent wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An IKE SA stands.
    IkeEstablished {
        /// Which one.
        sa: SaId,
        /// Name of its connection.
        connection: Arc<str>,
        /// Who the peer has proved to be.
        peer: Identity,
        /// Where it is.
        path: Path,
    },
    /// An attempt to set up an IKE SA has failed.
    IkeFailed {
        /// Which one.
        sa: SaId,
        /// Name of its connection, once that is known.
        connection: Option<Arc<str>>,
        /// Where the peer was.
        path: Path,
        /// Why.
        verdict: Verdict,
    },
    /// A peer that nobody knows yet was turned away.
    Refused {
        /// Where it was.
        path: Path,
        /// Why.
        verdict: Verdict,
    },
    /// An IKE SA has been replaced by another with new keys; its children have moved there.
    IkeRekeyed {
        /// The old one.
        old: SaId,
        /// The new one.
        new: SaId,
    },
    /// An IKE SA is gone, and its children with it.
    IkeClosed {
        /// Which one.
        sa: SaId,
        /// Name of its connection.
        connection: Arc<str>,
        /// Why.
        verdict: Verdict,
    },
    /// Nothing is left of an IKE SA, or of an attempt at one: the peer has agreed to its end, or was given up.
    IkeGone {
        /// Which one.
        sa: SaId,
    },
    /// The peer is at another address.
    PeerMoved {
        /// Which IKE SA.
        sa: SaId,
        /// The new path.
        path: Path,
    },
    /// A child stands.
    ChildEstablished {
        /// Its IKE SA.
        sa: SaId,
        /// Its inbound SPI.
        child: Spi,
        /// Name of its configuration.
        name: Arc<str>,
        /// What it carries.
        selectors: Arc<SelectorPair>,
    },
    /// A child has been replaced by another with new keys.
    ChildRekeyed {
        /// Its IKE SA.
        sa: SaId,
        /// Inbound SPI of the old one.
        old: Spi,
        /// Inbound SPI of the new one.
        new: Spi,
    },
    /// A child, or the attempt at one, has failed.
    ChildFailed {
        /// Its IKE SA.
        sa: SaId,
        /// Name of its configuration, where that is known.
        name: Option<Arc<str>>,
        /// Why.
        verdict: Verdict,
    },
    /// A child is gone.
    ChildClosed {
        /// Its IKE SA.
        sa: SaId,
        /// Its inbound SPI.
        child: Spi,
        /// Name of its configuration.
        name: Arc<str>,
        /// Why.
        verdict: Verdict,
    },
    /// The responder gave us addresses, DNS servers and subnets.
    Configured {
        /// Which IKE SA.
        sa: SaId,
        /// Our virtual addresses.
        addresses: Vec<IpAddr>,
        /// DNS servers inside.
        dns: Vec<IpAddr>,
        /// Subnets behind the responder, as address and prefix length.
        subnets: Vec<(IpAddr, u8)>,
    },
    /// Something an operator should know that ends nothing: it has its verdict, and work goes on.
    Warning {
        /// Which IKE SA.
        sa: SaId,
        /// What it is.
        verdict: Verdict,
    },
}
