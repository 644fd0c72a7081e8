//! What can be cut and joined.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::checksum::Sum;
use crate::headers::protocol;

/// TCP or UDP: what can be cut and joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
}

impl Kind {
    pub(super) fn protocol(self) -> u8 {
        match self {
            Self::Tcp => protocol::TCP,
            Self::Udp => protocol::UDP,
        }
    }

    /// Where in the transport header the checksum stands.
    pub(super) fn checksum_offset(self) -> u16 {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }

    pub(super) fn finish(self, sum: Sum) -> [u8; 2] {
        match self {
            Self::Tcp => sum.finish(),
            Self::Udp => sum.finish_udp(),
        }
    }
}
