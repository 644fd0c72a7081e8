//! Numbers with names. What comes in from C is a plain number, and is looked at before it is one of these.

/// What became of a call.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_code {
    /// It was done.
    Ok = 0,
    /// An argument is of no use: a null pointer, a text that is not UTF-8, a number without meaning.
    Argument = 1,
    /// A struct holds something in a part that this version of the library does not know.
    Unsupported = 2,
    /// The configuration has mistakes. The message has a line for each.
    Config = 3,
    /// The system refuses something: a socket, an interface, a thread.
    System = 4,
    /// What was asked for was tried and has failed; `tidegate_error_culprit` says whose fault it is.
    Failed = 5,
    /// There is no connection, child or SA of this name.
    NotFound = 6,
    /// The call makes no sense as things are.
    Misuse = 7,
    /// The engine has been shut down.
    Stopped = 8,
    /// It was not done in the time given, and goes on.
    Timeout = 9,
    /// Too much waits for the caller already; for an engine, another call is still under way.
    Busy = 10,
    /// A mistake in the library. What it was asked for may be half done.
    Bug = 11,
}

/// Whose fault a failure is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum tidegate_culprit {
    /// There was no failure, or it is not about a peer.
    None = 0,
    /// Our configuration, or our own doing.
    Us = 1,
    /// The peer's configuration.
    Peer = 2,
    /// One of the two configurations; they do not fit each other.
    Mismatch = 3,
    /// The peer broke the protocol.
    Misbehaviour = 4,
    /// The network lost or refused packets, or the peer is not there.
    Network = 5,
}

impl From<tidegate_ike::Culprit> for tidegate_culprit {
    fn from(culprit: tidegate_ike::Culprit) -> Self {
        use tidegate_ike::Culprit;
        match culprit {
            Culprit::Us => Self::Us,
            Culprit::Peer => Self::Peer,
            Culprit::Mismatch => Self::Mismatch,
            Culprit::Misbehaviour => Self::Misbehaviour,
            Culprit::Network => Self::Network,
        }
    }
}
