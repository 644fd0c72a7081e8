//! What an agent asks of one peer.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tidegate_esp::AddressRange;
use tidegate_ike::ChildConfig;

/// One peer, or one kind of peer, and what is to be kept up with it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// What is negotiated. Its list of children is left empty: it is made of [`Self::children`].
    pub ike: tidegate_ike::Connection,
    /// DNS names of the peer. Where there are any they are looked up before each attempt, and tried in turn
    /// after the addresses of [`Self::ike`].
    pub names: Vec<String>,
    /// DNS names of ours. Where there are any they are looked up when it is loaded and before each attempt, and what
    /// is found is put in place of our addresses in [`Self::ike`].
    pub local_names: Vec<String>,
    /// What is carried, each by an SA of its own.
    pub children: Vec<Child>,
    /// How failed attempts are repeated.
    pub retry: Retry,
    /// After so many failures in a row it is given up, until somebody or something asks for it anew, and so
    /// long whoever has asked for it waits. `None` never gives up what is kept up; whoever asks is told of the
    /// first failure.
    pub tries: Option<NonZeroU32>,
}

/// What one child SA carries, and when it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Selectors, proposals, lifetimes.
    pub config: ChildConfig,
    /// What becomes of its traffic.
    pub mode: ChildMode,
    /// What brings it up.
    pub start: Start,
    /// What happens when the peer closes it.
    pub on_close: After,
    /// What happens when the peer is found dead.
    pub on_death: After,
    /// It is closed when nothing has gone either way for so long.
    pub inactivity: Option<Duration>,
    /// A command for whoever runs commands when it comes up and goes down; the engine only passes it on.
    pub updown: Option<Arc<str>>,
    /// Whether that command is to let this host itself talk through it.
    pub host_access: HostAccess,
    /// The number that it is known by from outside; `None` for one that no other child has.
    pub reqid: Option<NonZeroU32>,
}

/// What becomes of the traffic of a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildMode {
    /// It goes through an SA.
    #[default]
    Tunnel,
    /// It goes in clear, where no rule that is more specific says otherwise. There is no SA, and nobody to
    /// negotiate with.
    Pass,
    /// It goes nowhere.
    Drop,
}

/// What a script is told of the host that it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostAccess {
    /// Nothing.
    #[default]
    Untold,
    /// It may talk through the child itself.
    Wanted,
}

/// What brings a child up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The peer, or the agent.
    #[default]
    Wait,
    /// The first packet for it.
    OnTraffic,
    /// The first packet for it, and again the first one after its end, whoever has ended it.
    Trap,
    /// Its being loaded.
    AtOnce,
}

/// What happens when a child is gone that should be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// Nothing, until somebody asks for it.
    #[default]
    Clear,
    /// The next packet brings it up.
    OnTraffic,
    /// It is set up again, for ever.
    Restart,
}

/// How failed attempts are repeated: after `first`, then ever longer, up to `most`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// The wait after the first failure.
    pub first: Duration,
    /// Growth from each wait to the next.
    pub factor: f64,
    /// The longest wait.
    pub most: Duration,
    /// Up to this share is taken off each wait at random, so that a thousand edges do not come back at once.
    pub jitter: f64,
}

impl Connection {
    /// A connection without children, kept as most want it.
    pub fn new(ike: tidegate_ike::Connection) -> Self {
        Self {
            ike,
            names: Vec::new(),
            local_names: Vec::new(),
            children: Vec::new(),
            retry: Retry::default(),
            tries: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.ike.name
    }

    /// Adds an address of the peer.
    #[must_use]
    pub fn with_peer_address(mut self, address: IpAddr) -> Self {
        self.ike.remote.addresses.push(AddressRange::host(address));
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn with_child(mut self, child: Child) -> Self {
        self.children.push(child);
        self
    }
}

impl Child {
    /// A child that waits for the peer or the agent, and is forgotten when it ends.
    pub fn new(config: ChildConfig) -> Self {
        Self {
            config,
            mode: ChildMode::default(),
            start: Start::default(),
            on_close: After::default(),
            on_death: After::default(),
            inactivity: None,
            updown: None,
            host_access: HostAccess::default(),
            reqid: None,
        }
    }

    /// A child that comes up at once and is kept up for ever.
    pub fn kept_up(config: ChildConfig) -> Self {
        Self { start: Start::AtOnce, on_close: After::Restart, on_death: After::Restart, ..Self::new(config) }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), factor: 2.0, most: Duration::from_secs(60), jitter: 0.5 }
    }
}

impl Retry {
    /// The wait after the `failures`-th failure, counted from 1, before jitter.
    pub fn wait(&self, failures: u32) -> Duration {
        let growth = self.factor.powi(failures.saturating_sub(1).min(64) as i32);
        Duration::try_from_secs_f64(self.first.as_secs_f64() * growth).unwrap_or(self.most).min(self.most)
    }
}
