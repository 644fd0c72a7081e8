//! What has happened, for agents and operators.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tidegate_esp::{SelectorPair, Spi};
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
