//! What happened how often, for status and metrics.

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Drop {
    /// It is no IKE message, or its envelope makes no sense.
    Malformed,
    /// It is ESP or a keepalive, or lacks the marker that its port wants.
    NotIke,
    /// Its SPIs belong to no IKE SA.
    UnknownSpi,
    /// Its message id is not the next, or it answers nothing.
    OutOfWindow,
    /// One of our own, sent back to us.
    Reflected,
    /// It is protected, and there are no keys yet.
    NoKeys,
    /// It is a forgery, or damaged.
    Integrity,
    /// A fragment that fits no message.
    Fragment,
    /// Its exchange has no place in the state of the IKE SA.
    OutOfState,
    /// An IKE_SA_INIT that came when no more could be taken.
    Flood,
    /// A cookie that we did not make, or too old.
    Cookie,
    /// Its major version is not ours.
    Version,
    /// It came from an address that no connection allows.
    NoConnection,
}

const REASONS: usize = Drop::NoConnection as usize + 1;

/// Counts since the endpoint was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    drops: [u64; REASONS],
    /// Messages of which integrity held.
    pub messages_in: u64,
    /// Requests sent again.
    pub retransmissions: u64,
    /// Answers given again.
    pub repeated_answers: u64,
    /// IKE_SA_INIT requests answered with a cookie.
    pub cookies_sent: u64,
    /// Notifications about unknown SPIs and versions sent outside any IKE SA.
    pub stateless_answers: u64,
    /// IKE SAs that were set up.
    pub established: u64,
    /// Attempts, of either side, that failed.
    pub failed: u64,
}

impl Drop {
    /// All of them, in order.
    pub const ALL: [Self; REASONS] = [
        Self::Malformed,
        Self::NotIke,
        Self::UnknownSpi,
        Self::OutOfWindow,
        Self::Reflected,
        Self::NoKeys,
        Self::Integrity,
        Self::Fragment,
        Self::OutOfState,
        Self::Flood,
        Self::Cookie,
        Self::Version,
        Self::NoConnection,
    ];

    /// A short name, fit for the label of a metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotIke => "not_ike",
            Self::UnknownSpi => "unknown_spi",
            Self::OutOfWindow => "out_of_window",
            Self::Reflected => "reflected",
            Self::NoKeys => "no_keys",
            Self::Integrity => "integrity",
            Self::Fragment => "fragment",
            Self::OutOfState => "out_of_state",
            Self::Flood => "flood",
            Self::Cookie => "cookie",
            Self::Version => "version",
            Self::NoConnection => "no_connection",
        }
    }
}

impl Counters {
    pub(crate) fn drop(&mut self, reason: Drop) {
        if let Some(count) = self.drops.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// How many datagrams were dropped for this reason.
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }
}
