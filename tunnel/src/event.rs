//! What has happened, for agents and operators.

use crate::connection::{ChildMode, HostAccess};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tidegate_esp::{Encapsulation, SelectorPair, Spi};
use tidegate_ike::identity::Identity;
use tidegate_ike::{SaId, Verdict};

/// Something that an agent or operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What the IKE side has to tell.
    Ike(tidegate_ike::Event),
    /// All children of a connection that should be up are up.
    Up {
        /// Its name.
        connection: Arc<str>,
        /// Where the peer is.
        peer: SocketAddr,
    },
    /// A connection of which children were up has none any more.
    Down {
        /// Its name.
        connection: Arc<str>,
        /// Why.
        verdict: Verdict,
    },
    /// We begin to set an IKE SA up, or ask for a child on one that stands.
    Attempt {
        /// Name of the connection.
        connection: Arc<str>,
        /// The child, where the IKE SA stands already.
        child: Option<Arc<str>>,
        /// The number of the IKE SA, as in [`crate::status::IkeSaStatus::id`].
        ike_sa: u64,
        /// Where the peer is.
        peer: SocketAddr,
    },
    /// An IKE SA has come up. Its successors by rekeying are no news.
    IkeUp(Arc<IkeFacts>),
    /// An IKE SA that was told of as up is gone, and no successor by rekeying is there. Its children have been
    /// told of before.
    IkeDown(Arc<IkeFacts>),
    /// A child has come up. Its successors by rekeying are no news.
    ChildUp(Arc<ChildFacts>),
    /// A child that was told of as up is gone, and no successor by rekeying is there.
    ChildDown {
        /// What is known of it.
        child: Arc<ChildFacts>,
        /// Why.
        verdict: Verdict,
    },
    /// An attempt has failed and is made again.
    Retry {
        /// Name of the connection.
        connection: Arc<str>,
        /// When, in milliseconds from now.
        after_ms: u64,
        /// Why it failed.
        verdict: Verdict,
    },
    /// A child was refused, as what it would carry belongs to another peer's.
    PrefixTaken {
        /// The IKE SA of the one refused.
        sa: SaId,
        /// Its connection.
        connection: Arc<str>,
        /// What it asked for.
        selectors: Arc<SelectorPair>,
        /// The connection that has it.
        holder: Arc<str>,
        /// The child that has it, by inbound SPI.
        child: Spi,
    },
    /// Our own addresses have changed.
    AddressesChanged(Vec<IpAddr>),
    /// Something that an operator should look at; everything goes on.
    Trouble {
        /// Which part says so.
        area: &'static str,
        /// What it is.
        message: String,
    },
    /// A listener was too slow, and this many events were not kept for it.
    Missed(u64),
}

/// All that somebody outside may want to know of an IKE SA that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeFacts {
    /// Name of its connection.
    pub connection: Arc<str>,
    /// What it is called in other events.
    pub sa: SaId,
    /// Its number, as in [`crate::status::IkeSaStatus::id`].
    pub number: u64,
    /// Whether we began it.
    pub initiator: bool,
    /// SPIs, initiator's first.
    pub spis: (u64, u64),
    /// Who we are.
    pub local_id: Identity,
    /// Who the peer has proved to be.
    pub remote_id: Identity,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// All that somebody outside may want to know of a child that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildFacts {
    /// Name of its connection.
    pub connection: Arc<str>,
    /// Name of its configuration.
    pub child: Arc<str>,
    /// The command that its configuration has for this.
    pub updown: Option<Arc<str>>,
    /// Whether that command is to let this host itself talk through it.
    pub host_access: HostAccess,
    /// The number that it is known by from outside.
    pub reqid: u32,
    /// What becomes of its traffic.
    pub mode: ChildMode,
    /// The number of its IKE SA, as in [`crate::status::IkeSaStatus::id`].
    pub ike_sa: u64,
    /// Its number, as in [`crate::status::ChildSaStatus::id`].
    pub number: u64,
    /// Our SPI.
    pub spi_in: Spi,
    /// The peer's SPI.
    pub spi_out: Spi,
    /// Who we are.
    pub local_id: Identity,
    /// Who the peer has proved to be.
    pub remote_id: Identity,
    /// Our outer address.
    pub local: SocketAddr,
    /// The peer's outer address.
    pub remote: SocketAddr,
    /// What surrounds its packets.
    pub encapsulation: Encapsulation,
    /// What it carries.
    pub selectors: Arc<SelectorPair>,
    /// Addresses that the peer has given us.
    pub addresses: Vec<IpAddr>,
    /// DNS servers that the peer has told us of.
    pub dns: Vec<IpAddr>,
    /// Addresses that we have given the peer.
    pub peer_addresses: Vec<IpAddr>,
}
