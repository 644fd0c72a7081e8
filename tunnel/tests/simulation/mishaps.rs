//! What befalls a mesh.

use crate::identities::{DAY, GOOD_AFTER, GOOD_BEFORE};
use crate::inspect::most_bytes_in_storm;
use crate::node::{Clocks, MeshNode};
use crate::recipe::{between, domain_name, happens, name, nat_address, weather};
use crate::world::{INSPECTION, World};
use std::net::IpAddr;
use tidegate::connection::Connection;
use tidegate::engine::{Manner, Selection, Target};
use tidegate_sim::{NodeId, PartitionId, SECOND, Way};

/// Something that happens at its time.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The next thing goes wrong.
    Mishap,
    /// Everything is looked through.
    Inspect,
    // What ends something that went wrong.
    Boot(usize),
    Wake {
        node: usize,
        since: u64,
        clock: Clock,
    },
    Heal(PartitionId),
    LinkUp(IpAddr),
    ClockRight(usize),
    InitiateAll(usize),
}

/// What the monotonic clock of a machine does while that sleeps.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    GoesOn,
    Stands,
}

impl Event {
    pub const fn ends_something(self) -> bool {
        !matches!(self, Self::Mishap | Self::Inspect)
    }
}

impl World {
    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Mishap => {
                self.mishap();
                let pause = between(&mut self.dice, (self.recipe.pause / 4, self.recipe.pause));
                self.plan(pause, Event::Mishap);
            }
            Event::Inspect => {
                self.inspect();
                self.plan(INSPECTION, Event::Inspect);
            }
            Event::Boot(node) => self.boot(node),
            Event::Wake { node, since, clock } => self.wake(node, since, clock),
            Event::Heal(cut) => self.simulation.network.heal(cut),
            Event::LinkUp(address) => self.simulation.network.set_link(address, true),
            Event::ClockRight(node) => self.node_mut(node).clocks.ahead = 0,
            Event::InitiateAll(node) => self.initiate_all(node),
        }
    }

    fn mishap(&mut self) {
        self.report.mishaps += 1;
        let node = self.any_node();
        match self.dice.below(24) {
            0..=2 => self.crash(node),
            3 => self.crash_many(),
            4 | 5 => self.fall_asleep(node),
            6..=8 => self.cut(),
            9 | 10 => self.link_down(node),
            11 | 12 => self.rebind(),
            13 | 14 => self.move_away(node),
            15 | 16 => self.wall_clock_jumps(node),
            17 | 18 => {
                let weather = weather(&mut self.dice);
                self.simulation.network.set_conditions(weather);
            }
            19 => self.renew_everything(node),
            20 => self.reauthenticate(node),
            21 => self.take_down(node),
            22 => self.reload(node),
            _ => self.spoof(node),
        }
    }

    /// A node loses all it knows and comes back after a while, now and then on a machine that has started anew.
    fn crash(&mut self, node: usize) {
        if !self.down.insert(node) {
            return;
        }
        self.report.crashes += 1;
        self.simulation.crash(NodeId(node));
        let span = between(&mut self.dice, (0, 120)) * SECOND;
        self.plan(span, Event::Boot(node));
    }

    /// All connectors, or half of everybody.
    fn crash_many(&mut self) {
        let connectors = happens(&mut self.dice, 50);
        for node in 0..self.recipe.sites.len() {
            let chosen = match connectors {
                true => self.recipe.sites[node].is_connector(),
                false => happens(&mut self.dice, 50),
            };
            if chosen {
                self.crash(node);
            }
        }
    }

    fn boot(&mut self, node: usize) {
        let now = self.now();
        let mut clocks = self.node(node).clocks;
        if happens(&mut self.dice, 50) {
            // The monotonic clock of a machine that has just started shows some seconds.
            clocks.behind = (now - now.min(5 * SECOND)) as i64;
        }
        let start = self.start(node, clocks);
        let fresh = MeshNode::new(now, start, &self.shared);
        let old = self.simulation.restart(NodeId(node), fresh);
        self.down.remove(&node);
        self.weigh_in_storm(old);
    }

    fn fall_asleep(&mut self, node: usize) {
        if !self.down.insert(node) {
            return;
        }
        self.simulation.crash(NodeId(node));
        let clock = if happens(&mut self.dice, 50) { Clock::GoesOn } else { Clock::Stands };
        let span = [10, 60, 300, 1500][self.dice.below(4) as usize];
        let span = between(&mut self.dice, (1, span)) * SECOND;
        let since = self.now();
        self.plan(span, Event::Wake { node, since, clock });
    }

    fn wake(&mut self, node: usize, since: u64, clock: Clock) {
        let slept = self.now() - since;
        self.down.remove(&node);
        if let Clock::Stands = clock {
            let Clocks { behind, .. } = &mut self.node_mut(node).clocks;
            *behind += slept as i64;
        }
        self.simulation.resume(NodeId(node));
        let (now, address) = (self.now(), self.address(node));
        self.node_mut(node).move_to(now, vec![address]);
    }

    /// Some cannot reach the others, or are not reached by them.
    fn cut(&mut self) {
        let share = between(&mut self.dice, (5, 50));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for node in 0..self.recipe.sites.len() {
            let side = if happens(&mut self.dice, share) { &mut first } else { &mut second };
            side.extend(&self.recipe.sites[node].homes);
        }
        let way = if happens(&mut self.dice, 60) { Way::Both } else { Way::FirstToSecond };
        let cut = self.simulation.network.cut(&first, &second, way);
        let span = [5, 40, 400][self.dice.below(3) as usize];
        let span = between(&mut self.dice, (1, span)) * SECOND;
        self.plan(span, Event::Heal(cut));
    }

    fn link_down(&mut self, node: usize) {
        let address = self.address(node);
        self.simulation.network.set_link(address, false);
        let span = between(&mut self.dice, (1, 120)) * SECOND;
        self.plan(span, Event::LinkUp(address));
    }

    /// A NAT forgets its mappings, or gets another address.
    fn rebind(&mut self) {
        let at = self.dice.below(self.nats.len() as u64) as usize;
        let nat = self.nats[at];
        if happens(&mut self.dice, 50) {
            return self.simulation.network.rebind(nat);
        }
        self.nat_lives[at] += 1;
        self.simulation.network.renumber(nat, nat_address(at, self.nat_lives[at]));
    }

    /// A node gets another address, and the names that lead to it follow.
    fn move_away(&mut self, node: usize) {
        let homes = self.recipe.sites[node].homes.len();
        self.home[node] = (self.home[node] + 1) % homes;
        let (now, address) = (self.now(), self.address(node));
        self.shared.directory.borrow_mut().insert(domain_name(node), address);
        self.simulation.set_addresses(NodeId(node), &[address]);
        // One that is down finds out when it is up again.
        if !self.down.contains(&node) {
            self.node_mut(node).move_to(now, vec![address]);
        }
    }

    fn wall_clock_jumps(&mut self, node: usize) {
        let jump = match self.dice.below(6) {
            0 => between(&mut self.dice, (1, 3600)) as i64,
            1 => -(between(&mut self.dice, (1, 3600)) as i64),
            2 => (GOOD_AFTER + DAY) as i64,
            3 => (GOOD_AFTER - between(&mut self.dice, (60, 3600))) as i64,
            4 => -((GOOD_BEFORE + DAY) as i64),
            // To 1970.
            _ => i64::MIN / 2,
        };
        self.node_mut(node).clocks.ahead = jump;
        let span = between(&mut self.dice, (10, 600)) * SECOND;
        self.plan(span, Event::ClockRight(node));
    }

    /// Everything gets new keys, often at both ends at once.
    fn renew_everything(&mut self, node: usize) {
        let mut nodes = vec![node];
        for _ in 0..self.dice.below(4) {
            nodes.push(self.any_node());
        }
        nodes.retain(|node| !self.down.contains(node));
        let now = self.now();
        for node in nodes {
            self.node_mut(node).ask(now, |engine, now, ticket| engine.rekey(now, &Selection::All, ticket));
        }
    }

    fn reauthenticate(&mut self, node: usize) {
        if self.down.contains(&node) {
            return;
        }
        let now = self.now();
        self.node_mut(node)
            .ask(now, |engine, now, ticket| engine.reauthenticate(now, &Selection::All, ticket));
    }

    /// Somebody takes everything down, and up again soon.
    fn take_down(&mut self, node: usize) {
        if self.down.contains(&node) {
            return;
        }
        let manner = if happens(&mut self.dice, 50) { Manner::Ask } else { Manner::Force };
        let now = self.now();
        self.node_mut(node)
            .ask(now, |engine, now, ticket| engine.terminate(now, &Selection::All, manner, ticket));
        let span = between(&mut self.dice, (0, 60)) * SECOND;
        self.plan(span, Event::InitiateAll(node));
    }

    /// What a node would keep up by itself, it is told to bring up.
    fn initiate_all(&mut self, node: usize) {
        if self.down.contains(&node) {
            return self.plan(SECOND, Event::InitiateAll(node));
        }
        let now = self.now();
        let links = &self.recipe.sites[node].links;
        let ours = links.iter().filter(|link| link.initiator != tidegate::mesh::Initiator::Peer);
        let names: Vec<_> = ours.map(|link| link.name.clone()).collect();
        for name in names {
            let target = Target::Connection(name);
            self.node_mut(node).ask(now, |engine, now, ticket| engine.initiate(now, &target, ticket));
        }
    }

    /// A connection is loaded again as it was, after it was unloaded or in its place.
    fn reload(&mut self, node: usize) {
        if self.down.contains(&node) {
            return;
        }
        let now = self.now();
        let credentials = self.recipe.credentials(node);
        let links: Vec<Connection> =
            self.recipe.sites[node].links.iter().map(|link| link.connection(&credentials)).collect();
        let manner = self.dice.below(3);
        for connection in links {
            if happens(&mut self.dice, 50) {
                continue;
            }
            self.node_mut(node)
                .with(now, |engine, now| match manner {
                    0 => {
                        let _ = engine.unload(now, &connection.name().clone());
                        engine.load(now, connection)
                    }
                    1 => engine.load(now, connection),
                    _ => engine.update(now, connection),
                })
                .expect("it is in order");
        }
    }

    /// A member of the mesh sends packets to its peers in the name of others.
    fn spoof(&mut self, node: usize) {
        if self.down.contains(&node) || self.recipe.sites[node].is_connector() {
            return;
        }
        for peer in 0..self.recipe.sites.len() {
            let claims = self.any_node();
            if peer != node && claims != node && claims != peer && self.recipe.link(node, peer).is_some() {
                self.node_mut(node).spoof(claims, peer);
            }
        }
    }

    fn weigh_in_storm(&mut self, old: MeshNode) {
        let number = old.number;
        let weight = old.into_weight();
        self.report.heaviest_in_storm = self.report.heaviest_in_storm.max(weight);
        let links = self.recipe.sites[number].links.len() as i64;
        let most = most_bytes_in_storm(links);
        assert!(weight < most, "{}: {weight} bytes are held, {most} would be much", name(number));
    }
}
