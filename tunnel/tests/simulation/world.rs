//! A mesh from a seed, and its time: what goes wrong when, and what is looked at in between.

use crate::adversary::{Adversary, Attack, Mood};
use crate::inspect::Inspection;
use crate::judge::Judge;
use crate::mishaps::Event;
use crate::node::{Clocks, MeshNode, Shared, Start, Talk};
use crate::recipe::{Recipe, Scale, between, domain_name, nat_address, weather};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use tidegate_ike::Config;
use tidegate_sim::{Conditions, MILLISECOND, NatConfig, NatId, NodeId, SECOND, SimRandom, Simulation};

/// How often everything is looked through.
pub const INSPECTION: u64 = 120 * SECOND;

pub struct World {
    pub seed: u64,
    pub recipe: Recipe,
    pub simulation: Simulation<MeshNode>,
    pub shared: Rc<Shared>,
    pub adversary: Rc<RefCell<Adversary>>,
    pub dice: SimRandom,
    pub nats: Vec<NatId>,
    /// Where each node is at the moment, and each NAT.
    pub home: Vec<usize>,
    pub nat_lives: Vec<u64>,
    /// Nodes that have crashed or sleep.
    pub down: BTreeSet<usize>,
    pub inspection: Inspection,
    pub report: Report,
    pending: BTreeMap<(u64, u64), Event>,
    serial: u64,
    lives: u64,
    pub traced: bool,
}

/// What a run comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub nodes: u64,
    pub pairs: u64,
    pub seconds: u64,
    pub mishaps: u64,
    pub crashes: u64,
    pub datagrams: u64,
    pub forged: u64,
    pub attacks: BTreeMap<Attack, u64>,
    pub packets_made: u64,
    pub packets_arrived: u64,
    pub packets_passed_on: u64,
    pub packets_spoofed: u64,
    /// How long it took until all were connected once the storm was over.
    pub calm_after: u64,
    /// The heaviest engine in the storm and after it, in bytes.
    pub heaviest_in_storm: i64,
    pub heaviest_after: i64,
    pub fingerprint: u64,
}

impl World {
    pub fn new(seed: u64, scale: Scale) -> Self {
        let mut dice = SimRandom::new(seed);
        let recipe = Recipe::draw(&mut dice, scale);
        let shared = Rc::new(Shared::new(Judge::new(&mut dice)));
        let mut simulation = Simulation::new(seed ^ 0x5eed);
        let nats = build_nats(&mut simulation, &recipe, &mut dice);
        let adversary = Adversary::new(Rc::clone(&shared), dice.fork(), recipe.malice);
        let adversary = Rc::new(RefCell::new(adversary));
        let wire = Rc::clone(&adversary);
        simulation.network.set_adversary(move |datagram| wire.borrow_mut().see(datagram));
        simulation.network.set_conditions(weather(&mut dice));
        let count = recipe.sites.len();
        let report = Report { nodes: count as u64, pairs: recipe.pairs().len() as u64, ..Report::default() };
        let mut world = Self {
            seed,
            home: vec![0; count],
            nat_lives: vec![0; nats.len()],
            nats,
            recipe,
            simulation,
            shared,
            adversary,
            dice,
            down: BTreeSet::new(),
            inspection: Inspection::default(),
            report,
            pending: BTreeMap::new(),
            serial: 0,
            lives: 0,
            traced: std::env::var_os("TIDEGATE_TRACE").is_some(),
        };
        for node in 0..count {
            let behind = -((node as u64 * SECOND) as i64);
            let start = world.start(node, Clocks { behind, ahead: 0 });
            let addresses = start.addresses.clone();
            let node = MeshNode::new(0, start, &world.shared);
            world.simulation.add(node, &addresses);
        }
        world
    }

    /// What a node begins with, in each of its lives.
    pub fn start(&mut self, node: usize, clocks: Clocks) -> Start {
        self.lives += 1;
        self.shared.directory.borrow_mut().insert(domain_name(node), self.address(node));
        let credentials = self.recipe.credentials(node);
        let site = &self.recipe.sites[node];
        Start {
            number: node,
            seed: self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.lives),
            clocks,
            addresses: vec![self.address(node)],
            config: Config {
                cookie_threshold: self.recipe.cookie_threshold,
                half_open_limit: MOST_HALF_OPEN,
                fragment_memory: MOST_FRAGMENT_BYTES,
                ..Config::default()
            },
            connections: site.links.iter().map(|link| link.connection(&credentials)).collect(),
            talk: Talk { to: self.recipe.reach(node), pace: self.recipe.pace },
        }
    }

    /// The address that a node has at the moment.
    pub fn address(&self, node: usize) -> IpAddr {
        self.recipe.sites[node].homes[self.home[node]]
    }

    pub fn now(&self) -> u64 {
        self.simulation.now()
    }

    pub fn node(&self, node: usize) -> &MeshNode {
        self.simulation.node(NodeId(node))
    }

    pub fn node_mut(&mut self, node: usize) -> &mut MeshNode {
        self.simulation.node_mut(NodeId(node))
    }

    pub fn any_node(&mut self) -> usize {
        self.dice.below(self.recipe.sites.len() as u64) as usize
    }

    /// Something will happen after a while.
    pub fn plan(&mut self, after: u64, event: Event) {
        self.serial += 1;
        self.pending.insert((self.now() + after, self.serial), event);
    }

    /// Everything goes wrong for as long as the recipe says.
    pub fn storm(&mut self) {
        self.plan(0, Event::Mishap);
        self.plan(INSPECTION, Event::Inspect);
        let end = self.now() + self.recipe.storm;
        while let Some(entry) = self.pending.first_entry().filter(|entry| entry.key().0 <= end) {
            let at = entry.key().0;
            let event = entry.remove();
            self.simulation.run_for(at.saturating_sub(self.now()));
            self.trace(&event);
            self.happen(event);
        }
        self.simulation.run_for(end.saturating_sub(self.now()));
    }

    /// The storm is over: what has begun comes to its end at once, and nothing new begins.
    pub fn calm(&mut self) {
        // Whoever is told to connect has to be up.
        for last in [false, true] {
            let due: Vec<Event> = self.pending.values().copied().collect();
            for event in due.into_iter().filter(|event| event.ends_something()) {
                if matches!(event, Event::InitiateAll(_)) == last {
                    self.happen(event);
                }
            }
        }
        self.pending.clear();
        self.simulation.network.heal_all();
        self.simulation.network.set_conditions(Conditions { delay: 20 * MILLISECOND, ..Conditions::PERFECT });
        self.adversary.borrow_mut().set_mood(Mood::Meddling);
        if self.traced {
            eprintln!("{:10.3} calm", self.now() as f64 / SECOND as f64);
        }
    }

    /// What it has come to.
    pub fn report(&self) -> Report {
        let judge = self.shared.judge.borrow();
        let counters = self.simulation.network.counters();
        Report {
            seconds: self.now() / SECOND,
            datagrams: counters.sent,
            forged: counters.forged,
            attacks: self.adversary.borrow().done().clone(),
            packets_made: judge.made,
            packets_arrived: judge.arrived,
            packets_passed_on: judge.passed_on,
            packets_spoofed: judge.spoofed,
            fingerprint: self.simulation.network.fingerprint(),
            ..self.report.clone()
        }
    }

    fn trace(&self, event: &Event) {
        if self.traced {
            eprintln!("{:10.3} {event:?}", self.now() as f64 / SECOND as f64);
        }
    }
}

/// What nodes may hold of strangers; so little that the adversary gets there.
pub const MOST_HALF_OPEN: usize = 256;
pub const MOST_FRAGMENT_BYTES: usize = 1 << 18;

fn build_nats(simulation: &mut Simulation<MeshNode>, recipe: &Recipe, dice: &mut SimRandom) -> Vec<NatId> {
    let mut nats = Vec::new();
    for (number, kind) in recipe.nats.iter().enumerate() {
        let timeout = between(dice, (30, 180)) * SECOND;
        let config = NatConfig { outer: nat_address(number, 0), kind: *kind, timeout };
        nats.push(simulation.network.add_nat(config));
    }
    for site in &recipe.sites {
        for (nat, home) in site.nat.iter().flat_map(|nat| site.homes.iter().map(move |home| (*nat, *home))) {
            simulation.network.put_behind(nats[nat], home);
        }
    }
    nats
}
