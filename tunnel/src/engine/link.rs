//! One loaded connection: what is wanted of it, how far it has come, and when it is tried again.

use super::policy::Named;
use crate::action::LookupId;
use crate::connection::{After, Child, ChildMode, Connection, Start};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use tidegate_esp::policy::Owner;
use tidegate_esp::{AddressRange, Flow, Ports, SelectorPair, Spi, TrafficSelector};
use tidegate_ike::connection::ChildStart;
use tidegate_ike::identity::IdentityPattern;
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::{SaId, Time, Verdict};

/// A packet as selectors of our side and the peer's.
pub(super) type Packet = (TrafficSelector, TrafficSelector);

/// A connection as it is loaded.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) owner: Owner,
    pub(super) wishes: Vec<Wish>,
    pub(super) phase: Phase,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Not before this does it try again.
    pub(super) retry_at: Option<Time>,
    /// Until then the peer may do it.
    pub(super) patience: Option<Time>,
    /// When it is to be looked after.
    pub(super) due: Option<Time>,
    /// Which of the peer's addresses comes next.
    pub(super) turn: usize,
    /// Where the peer was when it was last looked for.
    pub(super) found: Vec<IpAddr>,
    pub(super) verdict: Option<Verdict>,
    /// When traffic last had it tried.
    pub(super) asked_by_traffic: Option<Time>,
    /// Its IKE SAs that stand.
    pub(super) sas: BTreeSet<SaId>,
    /// Whether its listeners have been told that it is up.
    pub(super) up: bool,
}

/// A child as it is loaded.
pub(super) struct Wish {
    pub(super) name: Arc<str>,
    /// The number that it is known by from outside.
    pub(super) reqid: u32,
    pub(super) mode: ChildMode,
    pub(super) want: Want,
    pub(super) start: Start,
    /// Somebody has installed it: its traffic brings it up whenever it does not stand, or is passed or dropped.
    pub(super) trapped: bool,
    /// Its traffic was to bring it back once. What the ends say themselves stays protected from then on.
    pub(super) caught: bool,
    /// Failures in a row since it was last asked for.
    pub(super) tried: u32,
    pub(super) on_close: After,
    pub(super) on_death: After,
    /// The IKE SA, or the attempt at one, on which it has been asked for.
    pub(super) asked: Option<SaId>,
    /// Those that stand, named by their inbound SPIs.
    pub(super) standing: BTreeSet<Spi>,
    /// The packet that wants it.
    pub(super) packet: Option<Packet>,
    /// One that the peer has set up while we were asking for one.
    pub(super) crossed: Option<Spi>,
}

/// How much a child is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Not until somebody asks for it.
    Nothing,
    /// When there is a packet for it.
    Traffic,
    /// It has been asked for; one failure, and it is wanted no more than before.
    Once,
    /// For ever.
    Up,
}

/// Whether there is more to be expected of something that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    Open,
    Over,
}

/// How far a connection has come that wants to be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    /// It waits for its turn.
    Queued,
    /// It waits for its peer's addresses.
    Resolving(LookupId),
    /// An attempt is under way.
    Attempting(SaId),
}

impl Link {
    pub(super) fn new(connection: Connection, owner: Owner) -> Self {
        let wishes = connection.children.iter().map(Wish::new).collect();
        let mut link = Self {
            wishes,
            connection,
            owner,
            phase: Phase::Idle,
            failures: 0,
            retry_at: None,
            patience: None,
            due: None,
            turn: 0,
            found: Vec::new(),
            verdict: None,
            asked_by_traffic: None,
            sas: BTreeSet::new(),
            up: false,
        };
        link.leave_to_peers();
        link
    }

    /// Whether we know whom to ask for a child. A connection for whoever comes from anywhere is of many peers,
    /// none of which is the one.
    pub(super) fn can_ask(&self) -> bool {
        matches!(self.connection.ike.remote.identity, IdentityPattern::Exact(_)) || self.can_initiate()
    }

    /// Wants nothing where there is nobody to ask.
    pub(super) fn leave_to_peers(&mut self) {
        if !self.can_ask() {
            self.wishes.iter_mut().for_each(|wish| wish.want = Want::Nothing);
        }
    }

    /// Takes the place of another: what was up or asked for there is wanted here too.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.up = old.up;
        for wish in &mut self.wishes {
            let before = old.wish(&wish.name).filter(|before| before.mode == wish.mode);
            wish.stay_installed(before);
            if before.is_some_and(|before| before.is_missing() || !before.standing.is_empty()) {
                wish.ask();
            }
        }
        self.leave_to_peers();
    }

    /// Takes the place of another whose SAs stay: what stands there stands here, and what it had to do it has to
    /// do here. A child that is described otherwise than before starts as it is described.
    pub(super) fn go_on_from(&mut self, old: &Self) {
        self.up = old.up;
        self.sas.clone_from(&old.sas);
        self.found.clone_from(&old.found);
        self.verdict.clone_from(&old.verdict);
        self.asked_by_traffic = old.asked_by_traffic;
        for (wish, child) in self.wishes.iter_mut().zip(&self.connection.children) {
            let Some(before) = old.wish(&wish.name).filter(|before| before.mode == wish.mode) else {
                continue;
            };
            wish.stay_installed(Some(before));
            wish.standing.clone_from(&before.standing);
            wish.asked = before.asked.filter(|sa| old.sas.contains(sa));
            wish.crossed = before.crossed;
            wish.caught = before.caught;
            wish.packet = before.packet;
            let given_up = old.connection.tries.is_some_and(|most| before.tried >= most.get());
            let as_before = old.child(&wish.name) == Some(child) && !given_up;
            if as_before || (before.want == Want::Once && before.is_missing()) {
                wish.want = before.want;
            }
        }
        self.leave_to_peers();
    }

    /// Whether it protects exactly this for this child.
    pub(super) fn protects(&self, (child, selectors): &Named) -> bool {
        self.child(child).and_then(fixed).is_some_and(|fixed| fixed == **selectors)
    }

    pub(super) fn child(&self, name: &str) -> Option<&Child> {
        self.connection.children.iter().find(|child| *child.config.name == *name)
    }

    /// What the endpoint is given. When children are set up is decided here alone.
    pub(super) fn for_endpoint(connection: &Connection) -> tidegate_ike::Connection {
        let tunnels = connection.children.iter().filter(|child| child.mode == ChildMode::Tunnel);
        let children = tunnels.map(|child| {
            Arc::new(tidegate_ike::ChildConfig { start: ChildStart::OnDemand, ..child.config.clone() })
        });
        tidegate_ike::Connection { children: children.collect(), ..connection.ike.clone() }
    }

    /// Whether this is the attempt that is under way.
    pub(super) fn is_attempting(&self, sa: SaId) -> bool {
        self.phase == Phase::Attempting(sa)
    }

    /// Nothing is under way any more.
    pub(super) fn rest(&mut self) {
        self.phase = Phase::Idle;
    }

    /// What has not begun need not begin.
    pub(super) fn stop_waiting(&mut self) {
        if matches!(self.phase, Phase::Queued | Phase::Resolving(_)) {
            self.phase = Phase::Idle;
        }
    }

    /// Whether there is an address to go to, or a name of one.
    pub(super) fn can_initiate(&self) -> bool {
        !self.connection.names.is_empty() || self.connection.ike.remote.address().is_some()
    }

    /// The peer's addresses, those that the resolver has found behind those that are configured.
    pub(super) fn candidates(&self, resolved: Vec<IpAddr>) -> Vec<IpAddr> {
        let single = self.connection.ike.remote.addresses.iter().filter(|range| range.start() == range.end());
        let mut all: Vec<IpAddr> = Vec::new();
        for address in single.map(AddressRange::start).chain(resolved) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    /// Children that should stand and do not.
    pub(super) fn missing(&self) -> impl Iterator<Item = usize> {
        let missing = self.wishes.iter().enumerate().filter(|(_, wish)| wish.is_missing());
        missing.map(|(index, _)| index)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing().next().is_none()
    }

    /// Whether any child stands.
    pub(super) fn is_active(&self) -> bool {
        self.wishes.iter().any(|wish| !wish.standing.is_empty())
    }

    /// Whether a packet, or the peer, may bring it up.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_complete() || self.wishes.iter().any(|wish| wish.want == Want::Traffic)
    }

    pub(super) fn wish(&self, name: &str) -> Option<&Wish> {
        self.wishes.iter().find(|wish| *wish.name == *name)
    }

    pub(super) fn wish_mut(&mut self, name: &str) -> Option<&mut Wish> {
        self.wishes.iter_mut().find(|wish| *wish.name == *name)
    }

    /// An IKE SA, or an attempt, is no more; what was asked for on it may be asked for again.
    pub(super) fn forget_asked(&mut self, sa: SaId) {
        for wish in self.wishes.iter_mut().filter(|wish| wish.asked == Some(sa)) {
            wish.asked = None;
            wish.crossed = None;
        }
    }

    /// What is known before there is an SA: all of a child whose peer and addresses are certain.
    pub(super) fn fixed_selectors(connection: &Connection) -> Vec<(Arc<str>, Arc<SelectorPair>)> {
        let IdentityPattern::Exact(_) = connection.ike.remote.identity else { return Vec::new() };
        let tunnels = connection.children.iter().filter(|child| child.mode == ChildMode::Tunnel);
        let named = |child: &Child| Some((Arc::clone(&child.config.name), Arc::new(fixed(child)?)));
        tunnels.filter_map(named).collect()
    }

    /// Children that their traffic brings up, and of which the configuration alone does not say what they carry.
    pub(super) fn open_traps(&self) -> impl Iterator<Item = &Child> {
        let exact = matches!(self.connection.ike.remote.identity, IdentityPattern::Exact(_));
        let pairs = self.connection.children.iter().zip(&self.wishes);
        let trapped = pairs.filter(move |(child, wish)| {
            let waits = wish.trapped || wish.caught || matches!(child.start, Start::OnTraffic | Start::Trap);
            exact && child.mode == ChildMode::Tunnel && waits && fixed(child).is_none()
        });
        trapped.map(|(child, _)| child)
    }

    /// Whether the SAs of this child bring their own rules.
    pub(super) fn is_dynamic(&self, child: &str) -> bool {
        let exact = matches!(self.connection.ike.remote.identity, IdentityPattern::Exact(_));
        let config = self.connection.children.iter().find(|other| *other.config.name == *child);
        !exact || config.is_none_or(|config| fixed(config).is_none())
    }

    /// The first child that may carry a packet.
    pub(super) fn child_for(&self, flow: &Flow) -> Option<usize> {
        let (source, destination) = (flow.source_end(), flow.destination_end());
        self.connection.children.iter().position(|child| {
            let fits = |list: &[ConfiguredSelector], end: &tidegate_esp::flow::End| {
                list.iter().any(|selector| match selector {
                    ConfiguredSelector::Fixed(selector) => {
                        selector.matches(end.address, end.protocol, end.port)
                    }
                    ConfiguredSelector::Dynamic { protocol, ports } => {
                        (*protocol == 0 || *protocol == end.protocol) && ports.contains(end.port)
                    }
                })
            };
            let tunnel = child.mode == ChildMode::Tunnel;
            tunnel && fits(&child.config.local, &source) && fits(&child.config.remote, &destination)
        })
    }
}

impl Wish {
    fn new(child: &Child) -> Self {
        Self {
            name: Arc::clone(&child.config.name),
            reqid: 0,
            mode: child.mode,
            want: match child.mode {
                ChildMode::Tunnel => Want::at_rest(child.start),
                ChildMode::Pass | ChildMode::Drop => Want::Nothing,
            },
            start: child.start,
            trapped: child.mode == ChildMode::Tunnel && child.start == Start::Trap,
            caught: false,
            tried: 0,
            on_close: child.on_close,
            on_death: child.on_death,
            asked: None,
            standing: BTreeSet::new(),
            packet: None,
            crossed: None,
        }
    }

    /// Whether it should stand and does not.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.want, Want::Once | Want::Up) && self.standing.is_empty()
    }

    /// Somebody asks for it now.
    pub(super) fn ask(&mut self) {
        if self.want != Want::Up {
            self.want = if self.start == Start::AtOnce { Want::Up } else { Want::Once };
        }
        self.tried = 0;
    }

    /// An attempt at it has failed, of as many as there may be in a row. What is kept up for ever is tried for
    /// ever, but whoever has asked for it hears of the first failure.
    pub(super) fn failed(&mut self, tries: Option<NonZeroU32>) -> Outlook {
        self.packet = None;
        self.tried = self.tried.saturating_add(1);
        match (tries, self.want) {
            (Some(most), _) if self.tried < most.get() => return Outlook::Open,
            (None, Want::Up) => {}
            (_, Want::Up) => self.rest(),
            (_, Want::Once) => self.want = Want::at_rest(self.start),
            (_, Want::Nothing | Want::Traffic) => {}
        }
        Outlook::Over
    }

    /// It is wanted no more than whoever has installed it does.
    pub(super) fn rest(&mut self) {
        self.want =
            if self.trapped && self.mode == ChildMode::Tunnel { Want::Traffic } else { Want::Nothing };
    }

    /// What was installed by hand remains so; what its start has installed is a matter of its start.
    fn stay_installed(&mut self, before: Option<&Self>) {
        let by_start = |before: &Self| match before.mode {
            ChildMode::Tunnel => before.start == Start::Trap,
            ChildMode::Pass | ChildMode::Drop => before.start != Start::Wait,
        };
        if before.is_some_and(|before| before.trapped && !by_start(before)) {
            self.trapped = true;
            if self.want == Want::Nothing {
                self.rest();
            }
        }
    }

    /// The last of its SAs has ended.
    pub(super) fn ended(&mut self, after: After) {
        self.tried = 0;
        match after {
            After::Clear => self.rest(),
            After::OnTraffic => {
                self.want = Want::Traffic;
                self.caught = true;
            }
            After::Restart => self.want = Want::Up,
        }
    }
}

impl Want {
    pub(super) const fn at_rest(start: Start) -> Self {
        match start {
            Start::Wait => Self::Nothing,
            Start::OnTraffic | Start::Trap => Self::Traffic,
            Start::AtOnce => Self::Up,
        }
    }
}

/// The flow as the selectors that match it alone, ours first (RFC 7296 §2.9).
pub(super) fn packet_of(flow: &Flow) -> Packet {
    let exact = |end: tidegate_esp::flow::End| TrafficSelector {
        addresses: AddressRange::host(end.address),
        protocol: end.protocol,
        ports: end.port.map_or(Ports::ANY, |port| Ports::Range(port, port)),
    };
    (exact(flow.source_end()), exact(flow.destination_end()))
}

/// All that a child carries, where the configuration alone says it.
pub(super) fn fixed(child: &Child) -> Option<SelectorPair> {
    let list = |side: &[ConfiguredSelector]| {
        side.iter()
            .map(|selector| match selector {
                ConfiguredSelector::Fixed(selector) => Some(*selector),
                ConfiguredSelector::Dynamic { .. } => None,
            })
            .collect::<Option<Vec<_>>>()
    };
    Some(SelectorPair { local: list(&child.config.local)?, remote: list(&child.config.remote)? })
}

/// All that a child carries, where each end is at this address.
pub(super) fn at_addresses(child: &Child, ours: IpAddr, theirs: IpAddr) -> SelectorPair {
    let list = |side: &[ConfiguredSelector], host: IpAddr| {
        let placed = |selector: &ConfiguredSelector| match *selector {
            ConfiguredSelector::Fixed(selector) => selector,
            ConfiguredSelector::Dynamic { protocol, ports } => {
                TrafficSelector { protocol, ports, addresses: AddressRange::host(host) }
            }
        };
        side.iter().map(placed).collect()
    };
    SelectorPair { local: list(&child.config.local, ours), remote: list(&child.config.remote, theirs) }
}

/// All that a child carries, where an address that is not certain is any.
pub(super) fn open(child: &Child) -> SelectorPair {
    let list = |side: &[ConfiguredSelector]| {
        let any = |selector: &ConfiguredSelector| match *selector {
            ConfiguredSelector::Fixed(selector) => vec![selector],
            ConfiguredSelector::Dynamic { protocol, ports } => {
                let of = |family: TrafficSelector| TrafficSelector { protocol, ports, ..family };
                vec![of(TrafficSelector::any_v4()), of(TrafficSelector::any_v6())]
            }
        };
        side.iter().flat_map(any).collect()
    };
    SelectorPair { local: list(&child.config.local), remote: list(&child.config.remote) }
}
