//! What is looked at: in the storm that nothing grows without end or stands still, after it that everybody has
//! everybody again and nothing else is left.

use crate::adversary::Mood;
use crate::judge::Number;
use crate::node::MeshNode;
use crate::recipe::name;
use crate::world::{MOST_FRAGMENT_BYTES, MOST_HALF_OPEN, World};
use std::collections::{BTreeMap, BTreeSet};
use tidegate::action::Ticket;
use tidegate::engine::{Engine, Holdings};
use tidegate::status::{ConnectionStatus, IkeSaStatus};
use tidegate_ike::SaId;
use tidegate_sim::{NodeId, SECOND};

/// What earlier inspections have seen.
#[derive(Default)]
pub struct Inspection {
    /// IKE SAs on their way up or down, by node and life, and since when they are seen so.
    passing: BTreeMap<(usize, u64, SaId), u64>,
}

/// Two ends take no longer than this to find each other once nothing keeps them from it.
const RECONNECTED_AFTER: u64 = 120 * SECOND;
/// A packet may come before its receiver knows the SA that it came by; a second one does not.
const AT_ONCE: u64 = 4 * SECOND;
/// Everything takes place in pauses between rekeys; some time there is one.
const PAUSE_WITHIN: u64 = 300 * SECOND;
/// Of so many links of one node, one may be in the middle of a renewal even then. Children may be renewed every 90
/// seconds, and their SPIs stay for 5 more; IKE SAs every 225 seconds, and they stay for 10: with 20 links that
/// makes 2 at any time.
const LINKS_A_RENEWAL: usize = 16;
/// Nothing is on its way up or down for longer: an attempt is given up after half a minute.
const PASSING_FOR: u64 = 4 * 60 * SECOND;
/// IKE SAs of one connection, all that come and go included.
const MOST_SAS_OF_A_LINK: usize = 12;

/// What an engine weighs at most while strangers do what they can.
pub fn most_bytes_in_storm(links: i64) -> i64 {
    (1 << 20) + links * (32 << 10)
}

/// And when all SAs are gone again.
fn most_bytes_at_rest(links: i64) -> i64 {
    (64 << 10) + links * (16 << 10)
}

impl World {
    /// In the storm.
    pub fn inspect(&mut self) {
        let now = self.now();
        let mut passing = BTreeMap::new();
        let up = (0..self.recipe.sites.len()).filter(|node| !self.down.contains(node));
        for number in up {
            let node = self.node(number);
            self.assert_bounded(number, node.engine.holdings());
            for connection in node.engine.status(node.moment(now)) {
                let sas = connection.sas.len();
                assert!(sas <= MOST_SAS_OF_A_LINK, "{}: {sas} SAs with {}", name(number), connection.name);
                for sa in connection.sas.iter().filter(|sa| sa.phase != "ESTABLISHED") {
                    let key = (number, node.life, sa.handle);
                    let since = self.inspection.passing.get(&key).copied().unwrap_or(now);
                    passing.insert(key, since);
                    // Whoever has slept in between has had no time for it.
                    let stuck = now - since >= PASSING_FOR && sa.age >= (PASSING_FOR / SECOND) as f64;
                    assert!(!stuck, "{}: stuck: {sa:#?}", name(number));
                }
            }
        }
        self.inspection.passing = passing;
    }

    fn assert_bounded(&self, node: usize, held: Holdings) {
        let links = self.recipe.sites[node].links.len();
        let most = Holdings {
            ike_sas: links * MOST_SAS_OF_A_LINK + MOST_HALF_OPEN,
            half_open: MOST_HALF_OPEN,
            children: links * 4 * MOST_SAS_OF_A_LINK,
            spis: links * 8 * MOST_SAS_OF_A_LINK,
            leases: 0,
            fragment_bytes: MOST_FRAGMENT_BYTES,
            notes: links * 4 * MOST_SAS_OF_A_LINK,
            timers: links * 8 * MOST_SAS_OF_A_LINK,
        };
        let fine = held.ike_sas <= most.ike_sas
            && held.half_open <= most.half_open
            && held.children <= most.children
            && held.spis <= most.spis
            && held.leases <= most.leases
            && held.fragment_bytes <= most.fragment_bytes
            && held.notes <= most.notes
            && held.timers <= most.timers;
        assert!(fine, "{} holds {held:?}, of which there may be {most:?}", name(node));
    }

    /// After the storm: packets get through, all that should be connected is, and both ends say the same of it.
    pub fn assert_recovers(&mut self) {
        let begun = self.now();
        self.assert_all_reach_each_other(RECONNECTED_AFTER);
        self.report.calm_after = (self.now() - begun) / SECOND;
        // What is left of former SAs goes by itself.
        self.simulation.run_for(RECONNECTED_AFTER);
        self.adversary.borrow_mut().set_mood(Mood::Still);
        self.simulation.run_for(60 * SECOND);
        self.assert_comes_to_rest();
        self.assert_all_reach_each_other(AT_ONCE);
    }

    fn of(&self, us: usize, peer: usize) -> Option<ConnectionStatus> {
        let node = self.node(us);
        let all = node.engine.status(node.moment(self.now()));
        all.into_iter().find(|connection| connection.name == name(peer))
    }

    /// Every host sends to every other one that it reaches, until a packet has got there.
    fn assert_all_reach_each_other(&mut self, within: u64) {
        let end = self.now() + within;
        let nodes = self.recipe.sites.len();
        let all = (0..nodes).flat_map(|from| self.recipe.reach(from).into_iter().map(move |to| (from, to)));
        let mut missing: Vec<(usize, usize)> = all.collect();
        let mut sent: BTreeMap<(usize, usize), Vec<Number>> = BTreeMap::new();
        while let Some((from, to)) = missing.first().copied() {
            assert!(
                self.now() < end,
                "after {} s nothing gets from {} to {}, and for {} others: {:#?}",
                within / SECOND,
                name(from),
                name(to),
                missing.len() - 1,
                self.of(from, to)
            );
            for (from, to) in &missing {
                let now = self.now();
                let number = self.node_mut(*from).send(now, *to);
                sent.entry((*from, *to)).or_default().push(number);
            }
            self.simulation.run_for(SECOND);
            let judge = self.shared.judge.borrow();
            missing.retain(|pair| !sent[pair].iter().any(|number| judge.has_arrived(*number)));
        }
    }

    /// Every two ends come to say the same of what is between them, and every node to hold nothing else. Each has
    /// its own pauses between renewals: in a large mesh there is always something under way somewhere.
    fn assert_comes_to_rest(&mut self) {
        let end = self.now() + PAUSE_WITHIN;
        let mut pairs = self.recipe.pairs();
        let mut nodes: Vec<(usize, Holdings)> = self.at_rest(&pairs).into_iter().enumerate().collect();
        loop {
            let said = Said::of(self, &pairs);
            pairs.retain(|pair| said.disagreement(*pair).is_some());
            nodes.retain(|(node, rest)| self.leftover(*node, *rest).is_some());
            let pair = pairs.first().and_then(|pair| said.disagreement(*pair));
            let node = || nodes.first().and_then(|(node, rest)| self.leftover(*node, *rest));
            let Some(what) = pair.or_else(node) else { return };
            assert!(self.now() < end, "for {} s: {what}", PAUSE_WITHIN / SECOND);
            self.simulation.run_for(SECOND);
        }
    }

    /// What each node holds while nothing is under way.
    fn at_rest(&self, pairs: &[(usize, usize)]) -> Vec<Holdings> {
        let mut rest = vec![Holdings::default(); self.recipe.sites.len()];
        for (a, b) in pairs {
            for (us, peer) in [(*a, *b), (*b, *a)] {
                let children = self.recipe.link(us, peer).map_or(0, |link| link.children.len());
                let Holdings { ike_sas, spis, .. } = rest[us];
                let (ike_sas, children) = (ike_sas + 1, spis + children);
                rest[us] = Holdings { ike_sas, children, spis: children, ..Holdings::default() };
            }
        }
        rest
    }

    /// Something beside what belongs to the connections that stand.
    fn leftover(&self, node: usize, rest: Holdings) -> Option<String> {
        let held = self.node(node).engine.holdings();
        let under_way = rest.ike_sas / LINKS_A_RENEWAL;
        let fits = |held: usize, rest: usize| (rest..=rest + under_way).contains(&held);
        let Holdings { ike_sas, children, spis, .. } = rest;
        let fine = fits(held.ike_sas, ike_sas)
            && fits(held.children, children)
            && fits(held.spis, spis)
            && Holdings { ike_sas, children, spis, timers: 0, ..held } == rest;
        (!fine).then(|| format!("{} holds {held:?} and not {rest:?}", name(node)))
    }

    /// Everybody leaves, and nothing stays behind.
    pub fn assert_everything_goes(&mut self) {
        let now = self.now();
        let mut tickets: Vec<Ticket> = Vec::new();
        for node in 0..self.recipe.sites.len() {
            self.node_mut(node).stop_talking();
            tickets.push(self.node_mut(node).ask(now, Engine::shutdown));
        }
        self.simulation.run_for(90 * SECOND);
        for (node, ticket) in tickets.into_iter().enumerate() {
            let held = self.node(node).engine.holdings();
            let rest = Holdings { timers: held.timers, ..Holdings::default() };
            assert_eq!(held, rest, "{} has shut down", name(node));
            assert!(self.node(node).done.contains(&ticket), "{} does not end", name(node));
        }
    }

    /// Lets all nodes go, and weighs them.
    pub fn assert_light(&mut self) {
        for number in 0..self.recipe.sites.len() {
            let now = self.now();
            let clocks = self.node(number).clocks;
            let start = crate::node::Start { connections: Vec::new(), ..self.start(number, clocks) };
            let fresh = MeshNode::new(now, start, &self.shared);
            let weight = self.simulation.restart(NodeId(number), fresh).into_weight();
            let most = most_bytes_at_rest(self.recipe.sites[number].links.len() as i64);
            assert!(weight < most, "{}: {weight} bytes are held, {most} would be much", name(number));
            self.report.heaviest_after = self.report.heaviest_after.max(weight);
        }
    }
}

/// What nodes say of their connections, all at one time.
struct Said(BTreeMap<usize, BTreeMap<String, ConnectionStatus>>);

impl Said {
    /// By both ends of these pairs.
    fn of(world: &World, pairs: &[(usize, usize)]) -> Self {
        let ends: BTreeSet<usize> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let said = |end| {
            let node = world.node(end);
            let all = node.engine.status(node.moment(world.now()));
            (end, all.into_iter().map(|connection| (connection.name.clone(), connection)).collect())
        };
        Self(ends.into_iter().map(said).collect())
    }

    /// Something that two ends see differently, or one has that it should not have.
    fn disagreement(&self, (a, b): (usize, usize)) -> Option<String> {
        let said = |us, peer| self.0.get(&us).and_then(|all| all.get(&name(peer)));
        let (Some(ours), Some(theirs)) = (said(a, b), said(b, a)) else {
            return Some(format!("{a} and {b} are not configured for each other"));
        };
        match (only_one(ours), only_one(theirs)) {
            (Some(one), Some(other)) if facts(one) == facts(other) => None,
            _ => Some(format!("{a} and {b} disagree: {ours:#?} {theirs:#?}")),
        }
    }
}

/// The one IKE SA of a connection, with all its children once.
fn only_one(connection: &ConnectionStatus) -> Option<&IkeSaStatus> {
    let [sa] = &connection.sas[..] else { return None };
    let names: Vec<&str> = sa.children.iter().map(|child| child.name.as_str()).collect();
    let each_once =
        connection.children.iter().all(|child| names.iter().filter(|name| **name == child.name).count() == 1);
    let whole = sa.children.iter().all(|child| child.current) && names.len() == connection.children.len();
    (sa.phase == "ESTABLISHED" && each_once && whole).then_some(sa)
}

/// What both ends have to say in the same words.
fn facts(sa: &IkeSaStatus) -> ((u64, u64), Vec<(u32, u32)>) {
    let mut children: Vec<(u32, u32)> = sa
        .children
        .iter()
        .map(|child| (child.spi_in.min(child.spi_out), child.spi_in.max(child.spi_out)))
        .collect();
    children.sort_unstable();
    (sa.spis, children)
}
