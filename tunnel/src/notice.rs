//! What packet workers tell the engine.

use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use tidegate_esp::policy::Owner;
use tidegate_esp::{Flow, Spi};
use tidegate_ike::Path;

/// An IKE message, as it came from a socket: the non-ESP marker is still in front where the path has one.
#[derive(Clone, Debug)]
pub struct IkeDatagram {
    /// From where to where.
    pub path: Path,
    /// UDP payload.
    pub bytes: Bytes,
}

/// Something a packet worker has seen that control has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A packet of this owner has no SA to go by.
    Acquire {
        /// Whose packet it is.
        owner: Owner,
        /// The packet.
        flow: Flow,
    },
    /// A child, named by its inbound SPI, wants new keys.
    SoftLimit(Spi),
    /// A child has carried all that it may.
    HardLimit(Spi),
    /// The first authentic packet has come in on a child.
    FirstInbound(Spi),
    /// An authentic packet, newer than all before it, of a child came from elsewhere than its path says.
    PeerMoved {
        /// The child.
        child: Spi,
        /// Where it came from.
        remote: SocketAddr,
    },
    /// Authentic packets have come in on a child: the peer is alive. Told no more than once a second.
    Activity {
        /// The child.
        child: Spi,
        /// Where the last of them came from; port 0 where it came without UDP.
        remote: SocketAddr,
    },
    /// ESP came with an index that no child has.
    UnknownSpi {
        /// Where it came to.
        local: SocketAddr,
        /// Where it came from.
        remote: SocketAddr,
        /// The index.
        spi: Spi,
    },
    /// The network has told something new of what the path to this address carries; it is written down where
    /// workers look. Lost, it costs an answer to packets that are too long, no packet that is not.
    PathMtu(IpAddr),
}
