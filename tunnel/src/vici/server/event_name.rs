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
    ListCert,
    ListAuthority,
    IkeUpdown,
    IkeRekey,
    ChildUpdown,
    ChildRekey,
    /// All that we tell of an event, for our own tools.
    Event,
    /// All that we know of a connection, for our own tools.
    Status,
}

impl EventName {
    const ALL: [Self; 12] = [
        Self::Log,
        Self::ControlLog,
        Self::ListSa,
        Self::ListConn,
        Self::ListCert,
        Self::ListAuthority,
        Self::IkeUpdown,
        Self::IkeRekey,
        Self::ChildUpdown,
        Self::ChildRekey,
        Self::Event,
        Self::Status,
    ];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::ControlLog => "control-log",
            Self::ListSa => "list-sa",
            Self::ListConn => "list-conn",
            Self::ListCert => "list-cert",
            Self::ListAuthority => "list-authority",
            Self::IkeUpdown => "ike-updown",
            Self::IkeRekey => "ike-rekey",
            Self::ChildUpdown => "child-updown",
            Self::ChildRekey => "child-rekey",
            Self::Event => "tidegate-event",
            Self::Status => "tidegate-connection",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.text() == text)
    }

    /// Whether one has to look at SAs to raise it.
    pub(super) const fn shows_sas(self) -> bool {
        matches!(self, Self::IkeUpdown | Self::IkeRekey | Self::ChildUpdown | Self::ChildRekey)
    }
}
