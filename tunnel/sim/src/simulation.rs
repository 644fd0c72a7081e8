//! Nodes on the network, and the loop that jumps from event to event.

use crate::{Datagram, Network};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Something that lives on the network. It has no clock: time comes with every call.
pub trait Node {
    /// A datagram has come to one of the node's addresses.
    fn receive(&mut self, now: u64, local: SocketAddr, remote: SocketAddr, bytes: &[u8]);
    /// When the node wants to be woken next.
    fn next_wakeup(&self) -> Option<u64>;
    /// The time of [`next_wakeup`](Self::next_wakeup) has come.
    fn wake(&mut self, now: u64);
    /// The next datagram that the node wants to send. It is asked until it has none.
    fn outgoing(&mut self) -> Option<Outgoing>;
}

/// A datagram that a node wants to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// One of the node's own addresses.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// UDP payload.
    pub bytes: Vec<u8>,
}

/// Names a node of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The condition holds.
    Met,
    /// The limit is reached.
    Limit,
    /// Nothing is under way and nobody wants to be woken.
    Idle,
}

/// Nodes, the network between them and the clock.
pub struct Simulation<N> {
    /// The network.
    pub network: Network,
    now: u64,
    slots: Vec<Slot<N>>,
    wakeups: BTreeSet<(u64, NodeId)>,
    /// Nodes that something has happened to, so that they may have something to send.
    touched: BTreeSet<NodeId>,
}

struct Slot<N> {
    node: N,
    addresses: Vec<IpAddr>,
    up: bool,
    /// Its entry in the set of wake-ups.
    armed: Option<u64>,
    /// How often it was woken at this very time.
    woken: (u64, u32),
}

/// A node woken this often at one instant is not getting anywhere.
const MOST_WAKEUPS: u32 = 10_000;

impl<N: Node> Simulation<N> {
    /// An empty simulation at time 0.
    pub fn new(seed: u64) -> Self {
        Self {
            network: Network::new(seed),
            now: 0,
            slots: Vec::new(),
            wakeups: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Adds a node with its addresses.
    pub fn add(&mut self, node: N, addresses: &[IpAddr]) -> NodeId {
        let id = NodeId(self.slots.len());
        self.slots.push(Slot { node, addresses: Vec::new(), up: true, armed: None, woken: (0, 0) });
        self.set_addresses(id, addresses);
        self.touched.insert(id);
        id
    }

    /// The time, in nanoseconds.
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &N {
        &self.slots[id.0].node
    }

    /// A node, to be told something; what it sends in consequence leaves at the start of the next run.
    pub fn node_mut(&mut self, id: NodeId) -> &mut N {
        self.touched.insert(id);
        &mut self.slots[id.0].node
    }

    /// All nodes, in the order they were added.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &N)> {
        self.slots.iter().enumerate().map(|(at, slot)| (NodeId(at), &slot.node))
    }

    /// Gives a node other addresses in place of those it has. It is not told.
    pub fn set_addresses(&mut self, id: NodeId, addresses: &[IpAddr]) {
        let old = std::mem::replace(&mut self.slots[id.0].addresses, addresses.to_vec());
        old.into_iter().for_each(|address| self.network.detach(address));
        addresses.iter().for_each(|address| self.network.attach(id, *address));
    }

    /// Whether a node is running.
    pub fn is_up(&self, id: NodeId) -> bool {
        self.slots[id.0].up
    }

    /// Stops a node: it receives nothing, is not woken, and what it was about to send is never sent.
    pub fn crash(&mut self, id: NodeId) {
        self.slots[id.0].up = false;
        self.touched.insert(id);
    }

    /// Lets a stopped node go on with all it knew, as after a sleep.
    pub fn resume(&mut self, id: NodeId) {
        self.slots[id.0].up = true;
        self.touched.insert(id);
    }

    /// Puts another node in the place of one, which is handed back: a restart without its memory.
    pub fn restart(&mut self, id: NodeId, node: N) -> N {
        let old = std::mem::replace(&mut self.slots[id.0].node, node);
        self.resume(id);
        old
    }

    /// Runs until the condition holds, asked after every event, or until the time is `limit`. A run that is
    /// [idle](Outcome::Idle) stays at the time of its last event.
    pub fn run_until(&mut self, limit: u64, mut condition: impl FnMut(&Self) -> bool) -> Outcome {
        loop {
            self.settle();
            if condition(self) {
                return Outcome::Met;
            }
            match self.next_event() {
                None => return Outcome::Idle,
                Some(at) if at > limit => {
                    self.now = self.now.max(limit);
                    return Outcome::Limit;
                }
                Some(at) => self.now = self.now.max(at),
            }
            self.step();
        }
    }

    /// Runs for a span of time, to its very end even where nothing happens.
    pub fn run_for(&mut self, span: u64) {
        let limit = self.now.saturating_add(span);
        self.run_until(limit, |_| false);
        self.now = limit;
    }

    fn next_event(&self) -> Option<u64> {
        let wakeup = self.wakeups.first().map(|(at, _)| *at);
        [wakeup, self.network.next_arrival()].into_iter().flatten().min()
    }

    /// One arrival or one wake-up; of two at the same time the arrival goes first.
    fn step(&mut self) {
        let slots = &self.slots;
        if let Some(delivery) = self.network.receive(self.now, |id| slots[id.0].up) {
            let (now, datagram) = (self.now, delivery.datagram);
            let node = self.node_mut(delivery.node);
            return node.receive(now, datagram.to, datagram.from, &datagram.bytes);
        }
        let Some((at, id)) = self.wakeups.first().copied() else { return };
        if at > self.now {
            return;
        }
        let now = self.now;
        let slot = &mut self.slots[id.0];
        slot.woken = if slot.woken.0 == now { (now, slot.woken.1 + 1) } else { (now, 1) };
        assert!(slot.woken.1 < MOST_WAKEUPS, "node {} wants to be woken at {now} again and again", id.0);
        self.node_mut(id).wake(now);
    }

    /// Takes what the touched nodes send, and notes when they want to be woken.
    fn settle(&mut self) {
        while let Some(id) = self.touched.pop_first() {
            let slot = &mut self.slots[id.0];
            while let Some(Outgoing { from, to, bytes }) = slot.node.outgoing() {
                if slot.up {
                    self.network.send(self.now, id, Datagram { from, to, bytes });
                }
            }
            let wakeup = if slot.up { slot.node.next_wakeup() } else { None };
            if let Some(old) = std::mem::replace(&mut slot.armed, wakeup) {
                self.wakeups.remove(&(old, id));
            }
            self.wakeups.extend(wakeup.map(|at| (at, id)));
        }
    }
}
