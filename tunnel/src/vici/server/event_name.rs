//! Events that clients may register for.

/// An event that we raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EventName {
    /// A line of the log.
    Log,
    /// A line of the log while a command is under way that it has to do with.
    ControlLog,
    ListSa,
    ListConn,
    ListPolicy,
    ListCert,
    ListAuthority,
    IkeUpdown,
    IkeRekey,
    /// A peer, or we, are at another address.
    IkeUpdate,
    ChildUpdown,
    ChildRekey,
    /// Something that an operator should look at.
    Alert,
    /// All that we tell of an event, for our own tools.
    Event,
    /// All that we know of a connection, for our own tools.
    Status,
}

impl EventName {
    const ALL: [Self; 15] = [
        Self::Log,
        Self::ControlLog,
        Self::ListSa,
        Self::ListConn,
        Self::ListPolicy,
        Self::ListCert,
        Self::ListAuthority,
        Self::IkeUpdown,
        Self::IkeRekey,
        Self::IkeUpdate,
        Self::ChildUpdown,
        Self::ChildRekey,
        Self::Alert,
        Self::Event,
        Self::Status,
    ];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::ControlLog => "control-log",
            Self::ListSa => "list-sa",
            Self::ListConn => "list-conn",
            Self::ListPolicy => "list-policy",
            Self::ListCert => "list-cert",
            Self::ListAuthority => "list-authority",
            Self::IkeUpdown => "ike-updown",
            Self::IkeRekey => "ike-rekey",
            Self::IkeUpdate => "ike-update",
            Self::ChildUpdown => "child-updown",
            Self::ChildRekey => "child-rekey",
            Self::Alert => "alert",
            Self::Event => "tidegate-event",
            Self::Status => "tidegate-connection",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.text() == text)
    }

    /// Whether one has to look at SAs to raise it.
    pub(super) const fn shows_sas(self) -> bool {
        use EventName::{Alert, ChildRekey, ChildUpdown, IkeRekey, IkeUpdate, IkeUpdown};
        matches!(self, IkeUpdown | IkeRekey | IkeUpdate | ChildUpdown | ChildRekey | Alert)
    }
}
