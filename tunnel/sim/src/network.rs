//! The network: who holds which address, and what lies between.

use crate::nat::Nat;
use crate::partition::Partitions;
use crate::trace::{DropCause, Fate, Record, Trace};
use crate::{Conditions, NatConfig, NodeId, PartitionId, SimRandom, Way};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A datagram with the addresses it shows at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Source.
    pub from: SocketAddr,
    /// Destination.
    pub to: SocketAddr,
    /// UDP payload.
    pub bytes: Vec<u8>,
}

/// A datagram that has reached a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose it is.
    pub node: NodeId,
    /// The datagram, with the addresses the node sees.
    pub datagram: Datagram,
}

/// What an adversary does about a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Pass,
    /// It takes it away.
    Drop,
    /// It puts other bytes in.
    Replace(Vec<u8>),
    /// It lets it pass and adds others.
    Inject(Vec<Forgery>),
    /// It takes it away and sends others in its place, or the same one later.
    Instead(Vec<Forgery>),
}

/// A datagram out of nowhere. It travels from the open network, so its source may be anyone's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgery {
    /// The datagram.
    pub datagram: Datagram,
    /// It is sent this much later, in nanoseconds.
    pub after: u64,
}

/// Names a NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NatId(usize);

/// How often each thing has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that nodes sent.
    pub sent: u64,
    /// Datagrams that nodes received.
    pub delivered: u64,
    /// Second copies.
    pub duplicated: u64,
    /// Datagrams that were held back.
    pub reordered: u64,
    /// Datagrams with changed bits.
    pub corrupted: u64,
    /// Datagrams whose bytes the adversary replaced.
    pub replaced: u64,
    /// Datagrams that the adversary added.
    pub forged: u64,
    /// Datagrams that are gone, by cause.
    pub dropped: BTreeMap<DropCause, u64>,
}

type Adversary = Box<dyn FnMut(&Datagram) -> Verdict>;

/// Everything between the nodes.
pub struct Network {
    random: SimRandom,
    stations: BTreeMap<IpAddr, Station>,
    nats: Vec<Nat>,
    nat_at: BTreeMap<IpAddr, NatId>,
    /// What stands behind which NAT: addresses of nodes and outer addresses of further NATs.
    behind: BTreeMap<IpAddr, NatId>,
    conditions: Conditions,
    on_path: BTreeMap<(IpAddr, IpAddr), Conditions>,
    partitions: Partitions,
    adversary: Option<Adversary>,
    /// By time of arrival, then by order of sending.
    under_way: BTreeMap<(u64, u64), UnderWay>,
    serial: u64,
    capacity: usize,
    trace: Trace,
    counters: Counters,
    fingerprint: u64,
}

struct Station {
    node: NodeId,
    link_up: bool,
}

struct UnderWay {
    /// The sender's own address and its NATs'.
    sender: Vec<IpAddr>,
    datagram: Datagram,
}

/// NATs behind NATs go this deep at most.
const DEEPEST: usize = 8;
const UNDER_WAY: usize = 65_536;

impl Network {
    /// A network of no nodes where everything arrives at once.
    pub fn new(seed: u64) -> Self {
        Self {
            random: SimRandom::new(seed),
            stations: BTreeMap::new(),
            nats: Vec::new(),
            nat_at: BTreeMap::new(),
            behind: BTreeMap::new(),
            conditions: Conditions::PERFECT,
            on_path: BTreeMap::new(),
            partitions: Partitions::default(),
            adversary: None,
            under_way: BTreeMap::new(),
            serial: 0,
            capacity: UNDER_WAY,
            trace: Trace::new(0),
            counters: Counters::default(),
            fingerprint: FNV_OFFSET,
        }
    }

    /// Gives an address to a node; it is taken from whoever held it.
    pub fn attach(&mut self, node: NodeId, address: IpAddr) {
        self.stations.insert(address, Station { node, link_up: true });
    }

    /// Takes an address from the network.
    pub fn detach(&mut self, address: IpAddr) {
        self.stations.remove(&address);
    }

    /// Switches the link of an address.
    pub fn set_link(&mut self, address: IpAddr, up: bool) {
        if let Some(station) = self.stations.get_mut(&address) {
            station.link_up = up;
        }
    }

    /// Conditions wherever no others are set.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Conditions one way between two addresses. An end behind a NAT may be named by its own address or by
    /// the NAT's; its own goes first.
    pub fn set_path_conditions(&mut self, from: IpAddr, to: IpAddr, conditions: Conditions) {
        self.on_path.insert((from, to), conditions);
    }

    /// Cuts two groups of addresses off from each other; an end behind a NAT may be named by its own
    /// address or by the NAT's. What is under way is held up too.
    pub fn cut(&mut self, first: &[IpAddr], second: &[IpAddr], way: Way) -> PartitionId {
        self.partitions.cut(first, second, way)
    }

    /// Ends a cut.
    pub fn heal(&mut self, cut: PartitionId) {
        self.partitions.heal(cut);
    }

    /// Ends every cut.
    pub fn heal_all(&mut self) {
        self.partitions.heal_all();
    }

    /// Builds a NAT. Its outer address must be no node's.
    pub fn add_nat(&mut self, config: NatConfig) -> NatId {
        let id = NatId(self.nats.len());
        self.nats.push(Nat::new(config, &mut self.random));
        self.nat_at.insert(config.outer, id);
        id
    }

    /// Puts an address, a node's or another NAT's outer one, behind a NAT. Addresses are unique in the whole
    /// network, behind NATs too.
    pub fn put_behind(&mut self, nat: NatId, address: IpAddr) {
        self.behind.insert(address, nat);
    }

    /// Makes a NAT forget its mappings, as a reboot does.
    pub fn rebind(&mut self, nat: NatId) {
        self.nats[nat.0].rebind();
    }

    /// Gives a NAT another outer address, and so makes it forget its mappings.
    pub fn renumber(&mut self, nat: NatId, outer: IpAddr) {
        let inner = &mut self.nats[nat.0];
        self.nat_at.remove(&inner.config.outer);
        self.nat_at.insert(outer, nat);
        if let Some(further) = self.behind.remove(&inner.config.outer) {
            self.behind.insert(outer, further);
        }
        inner.config.outer = outer;
        inner.rebind();
    }

    /// Shows every datagram that a node sends to an adversary, with the addresses that the open network
    /// sees.
    pub fn set_adversary(&mut self, adversary: impl FnMut(&Datagram) -> Verdict + 'static) {
        self.adversary = Some(Box::new(adversary));
    }

    /// Sends the adversary home.
    pub fn remove_adversary(&mut self) {
        self.adversary = None;
    }

    /// Keeps the last `capacity` records from now on.
    pub fn record(&mut self, capacity: usize) {
        self.trace = Trace::new(capacity);
    }

    /// What was recorded.
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What was counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A digest of everything that has happened to every datagram, recorded or not: two runs with the same
    /// one were the same.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// How many datagrams may be under way at once.
    pub fn set_capacity(&mut self, datagrams: usize) {
        self.capacity = datagrams;
    }

    /// When the next datagram arrives, if one is under way.
    pub fn next_arrival(&self) -> Option<u64> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// A node sends from one of its own addresses.
    pub fn send(&mut self, now: u64, node: NodeId, datagram: Datagram) {
        self.counters.sent += 1;
        match self.stations.get(&datagram.from.ip()) {
            Some(station) if station.node != node => return self.dropped(now, DropCause::NoRoute, &datagram),
            Some(station) if station.link_up => {}
            Some(_) => return self.dropped(now, DropCause::LinkDown, &datagram),
            None => return self.dropped(now, DropCause::NoRoute, &datagram),
        }
        let mut sender = vec![datagram.from.ip()];
        let mut outer = datagram;
        if let Err(cause) = self.translate_source(now, &mut outer, &mut sender) {
            return self.dropped(now, cause, &outer);
        }
        self.note(now, Fate::Sent, &outer);
        let verdict = self.adversary.as_mut().map_or(Verdict::Pass, |adversary| adversary(&outer));
        match verdict {
            Verdict::Pass => {}
            Verdict::Drop => return self.dropped(now, DropCause::Adversary, &outer),
            Verdict::Replace(bytes) => {
                self.counters.replaced += 1;
                outer.bytes = bytes;
            }
            Verdict::Inject(forgeries) => self.forge_all(now, forgeries),
            Verdict::Instead(forgeries) => {
                self.forge_all(now, forgeries);
                return self.dropped(now, DropCause::Adversary, &outer);
            }
        }
        self.travel(now, sender, outer);
    }

    /// Puts a datagram on the open network at `at`; its source may be anyone's.
    pub fn forge(&mut self, at: u64, datagram: Datagram) {
        self.counters.forged += 1;
        self.note(at, Fate::Forged, &datagram);
        let delay = self.conditions_of(&[datagram.from.ip()], datagram.to.ip()).delay;
        self.enqueue(at.saturating_add(delay), Vec::new(), datagram);
    }

    fn forge_all(&mut self, now: u64, forgeries: Vec<Forgery>) {
        for forgery in forgeries {
            self.forge(now.saturating_add(forgery.after), forgery.datagram);
        }
    }

    /// The next datagram that has arrived by `now`; `is_up` tells whether a node is there to take it.
    pub fn receive(&mut self, now: u64, is_up: impl Fn(NodeId) -> bool) -> Option<Delivery> {
        while let Some(entry) = self.under_way.first_entry() {
            let at = entry.key().0;
            if at > now {
                return None;
            }
            let UnderWay { sender, mut datagram } = entry.remove();
            match self.arrive(at, &sender, &mut datagram, &is_up) {
                Ok(node) => {
                    self.counters.delivered += 1;
                    self.note(at, Fate::Delivered, &datagram);
                    return Some(Delivery { node, datagram });
                }
                Err(cause) => self.dropped(at, cause, &datagram),
            }
        }
        None
    }

    /// Leads a datagram out through NATs until it is where its destination is.
    fn translate_source(
        &mut self,
        now: u64,
        datagram: &mut Datagram,
        sender: &mut Vec<IpAddr>,
    ) -> Result<(), DropCause> {
        let goal = self.behind.get(&datagram.to.ip()).copied();
        for _ in 0..DEEPEST {
            let here = self.behind.get(&datagram.from.ip()).copied();
            if here == goal {
                return Ok(());
            }
            let Some(NatId(at)) = here else { return Err(DropCause::NoRoute) };
            let nat = &mut self.nats[at];
            if datagram.to.ip() == nat.config.outer {
                return Err(DropCause::Nat);
            }
            datagram.from =
                nat.outbound(now, datagram.from, datagram.to, &mut self.random).ok_or(DropCause::Nat)?;
            sender.push(datagram.from.ip());
        }
        Err(DropCause::NoRoute)
    }

    /// The dice fall in the same order for every datagram, whatever they show.
    fn travel(&mut self, now: u64, sender: Vec<IpAddr>, mut datagram: Datagram) {
        if self.partitions.hold_up(&sender, &[datagram.to.ip()]) {
            return self.dropped(now, DropCause::Partition, &datagram);
        }
        let conditions = self.conditions_of(&sender, datagram.to.ip());
        let lost = conditions.loss.happens(&mut self.random);
        let corrupted = conditions.corruption.happens(&mut self.random);
        let duplicated = conditions.duplication.happens(&mut self.random);
        let (first, reordered) = conditions.travel_time(&mut self.random);
        let (second, _) = conditions.travel_time(&mut self.random);
        if lost {
            return self.dropped(now, DropCause::Lost, &datagram);
        }
        self.counters.reordered += u64::from(reordered);
        if duplicated {
            self.counters.duplicated += 1;
            self.enqueue(now.saturating_add(second), sender.clone(), datagram.clone());
        }
        if corrupted {
            self.counters.corrupted += 1;
            Conditions::corrupt(&mut datagram.bytes, &mut self.random);
        }
        self.enqueue(now.saturating_add(first), sender, datagram);
    }

    fn conditions_of(&self, sender: &[IpAddr], to: IpAddr) -> Conditions {
        let set = sender.iter().find_map(|from| self.on_path.get(&(*from, to)));
        *set.unwrap_or(&self.conditions)
    }

    fn enqueue(&mut self, at: u64, sender: Vec<IpAddr>, datagram: Datagram) {
        if self.under_way.len() >= self.capacity {
            return self.dropped(at, DropCause::Overflow, &datagram);
        }
        self.under_way.insert((at, self.serial), UnderWay { sender, datagram });
        self.serial += 1;
    }

    /// Leads a datagram in through NATs to whoever holds its destination.
    fn arrive(
        &mut self,
        at: u64,
        sender: &[IpAddr],
        datagram: &mut Datagram,
        is_up: &impl Fn(NodeId) -> bool,
    ) -> Result<NodeId, DropCause> {
        let mut receiver = vec![datagram.to.ip()];
        for _ in 0..DEEPEST {
            let Some(NatId(at_nat)) = self.nat_at.get(&datagram.to.ip()).copied() else { break };
            let nat = &mut self.nats[at_nat];
            datagram.to = nat.inbound(at, datagram.to.port(), datagram.from).ok_or(DropCause::Nat)?;
            receiver.push(datagram.to.ip());
        }
        if self.partitions.hold_up(sender, &receiver) {
            return Err(DropCause::Partition);
        }
        let station = self.stations.get(&datagram.to.ip()).ok_or(DropCause::NoRoute)?;
        match (station.link_up, is_up(station.node)) {
            (false, _) => Err(DropCause::LinkDown),
            (true, false) => Err(DropCause::NodeDown),
            (true, true) => Ok(station.node),
        }
    }

    fn dropped(&mut self, at: u64, cause: DropCause, datagram: &Datagram) {
        *self.counters.dropped.entry(cause).or_default() += 1;
        self.note(at, Fate::Dropped(cause), datagram);
    }

    fn note(&mut self, at: u64, fate: Fate, datagram: &Datagram) {
        let fate_number = match fate {
            Fate::Sent => 0,
            Fate::Forged => 1,
            Fate::Delivered => 2,
            Fate::Dropped(cause) => 3 + cause as u8,
        };
        for end in [datagram.from, datagram.to] {
            match end.ip() {
                IpAddr::V4(address) => self.digest(&address.octets()),
                IpAddr::V6(address) => self.digest(&address.octets()),
            }
            self.digest(&end.port().to_be_bytes());
        }
        self.digest(&at.to_be_bytes());
        self.digest(&[fate_number]);
        self.digest(&datagram.bytes);
        if self.trace.is_kept() {
            self.trace.push(Record { at, fate, datagram: datagram.clone() });
        }
    }

    /// FNV-1a.
    fn digest(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Counters {
    /// How many datagrams are gone for this cause.
    pub fn dropped_by(&self, cause: DropCause) -> u64 {
        self.dropped.get(&cause).copied().unwrap_or(0)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("under_way", &self.under_way.len())
            .field("counters", &self.counters)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
