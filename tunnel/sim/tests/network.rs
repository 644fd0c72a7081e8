//! The network keeps its promises: runs repeat, chances are met, NATs and cuts hold.

use std::net::{IpAddr, SocketAddr};
use tidegate_sim::{
    Chance, Conditions, Datagram, DropCause, Fate, Forgery, MILLISECOND, NatConfig, NatId, NatKind, Node,
    NodeId, Outcome, Outgoing, SECOND, SimRandom, Simulation, Verdict, Way,
};

/// Sends what it is told to and keeps what it gets.
#[derive(Default)]
struct Post {
    out: Vec<Outgoing>,
    got: Vec<(u64, SocketAddr, SocketAddr, Vec<u8>)>,
    wakeup: Option<u64>,
}

impl Node for Post {
    fn receive(&mut self, now: u64, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        self.got.push((now, local, remote, bytes.to_vec()));
    }

    fn next_wakeup(&self) -> Option<u64> {
        self.wakeup
    }

    fn wake(&mut self, _now: u64) {
        self.wakeup = None;
    }

    fn outgoing(&mut self) -> Option<Outgoing> {
        (!self.out.is_empty()).then(|| self.out.remove(0))
    }
}

const A: &str = "192.0.2.1:500";
const B: &str = "192.0.2.2:500";
const C: &str = "192.0.2.3:500";
const INSIDE: &str = "10.0.0.2:500";
const OUTER: &str = "203.0.113.1:0";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn ip(text: &str) -> IpAddr {
    at(text).ip()
}

struct Bench {
    simulation: Simulation<Post>,
}

impl Bench {
    /// Nodes 0, 1, 2 at A, B, C.
    fn new(seed: u64) -> Self {
        let mut simulation = Simulation::new(seed);
        for address in [A, B, C] {
            simulation.add(Post::default(), &[ip(address)]);
        }
        simulation.network.record(100_000);
        Self { simulation }
    }

    /// As before, and node 3 behind a NAT.
    fn with_nat(kind: NatKind) -> (Self, NatId) {
        let mut bench = Self::new(1);
        bench.simulation.add(Post::default(), &[ip(INSIDE)]);
        let config = NatConfig { outer: ip(OUTER), kind, timeout: 60 * SECOND };
        let nat = bench.simulation.network.add_nat(config);
        bench.simulation.network.put_behind(nat, ip(INSIDE));
        (bench, nat)
    }

    fn conditions(mut self, conditions: Conditions) -> Self {
        self.simulation.network.set_conditions(conditions);
        self
    }

    fn tell(&mut self, node: usize, from: SocketAddr, to: SocketAddr, text: &str) {
        let bytes = text.as_bytes().to_vec();
        self.simulation.node_mut(NodeId(node)).out.push(Outgoing { from, to, bytes });
    }

    /// Sends and runs until nothing is under way.
    fn send(&mut self, node: usize, from: &str, to: &str, text: &str) {
        self.tell(node, at(from), at(to), text);
        self.simulation.run_until(u64::MAX, |_| false);
    }

    fn got(&self, node: usize) -> Vec<&str> {
        let got = &self.simulation.node(NodeId(node)).got;
        got.iter().map(|(.., bytes)| std::str::from_utf8(bytes).expect("text")).collect()
    }

    fn last_source(&self, node: usize) -> SocketAddr {
        self.simulation.node(NodeId(node)).got.last().expect("something came").2
    }

    fn dropped(&self, cause: DropCause) -> u64 {
        self.simulation.network.counters().dropped_by(cause)
    }
}

const ROUGH: Conditions = Conditions {
    loss: Chance::percent(20),
    duplication: Chance::percent(10),
    reordering: Chance::percent(10),
    corruption: Chance::percent(5),
    delay: 20 * MILLISECOND,
    jitter: 10 * MILLISECOND,
    hold: 200 * MILLISECOND,
};

// Determinism.

fn rough_run(seed: u64) -> (u64, Vec<u8>) {
    let mut bench = Bench::new(seed).conditions(ROUGH);
    let mut random = SimRandom::new(seed);
    for _ in 0..500 {
        let (from, to) = [(A, B), (B, C), (C, A)][random.below(3) as usize];
        let node = [A, B, C].iter().position(|address| *address == from).expect("one of them");
        bench.tell(node, at(from), at(to), "one of many");
        bench.simulation.run_for(random.below(5 * MILLISECOND));
    }
    bench.simulation.run_for(SECOND);
    let mut pcap = Vec::new();
    bench.simulation.network.trace().write_pcap(&mut pcap).expect("memory takes it");
    (bench.simulation.network.fingerprint(), pcap)
}

#[test]
fn one_seed_gives_one_run() {
    assert_eq!(rough_run(42), rough_run(42));
    assert_ne!(rough_run(42).0, rough_run(43).0);
}

#[test]
fn what_is_sent_at_once_arrives_in_order() {
    let mut bench = Bench::new(1);
    for text in ["1", "2", "3", "4"] {
        bench.tell(0, at(A), at(B), text);
    }
    assert_eq!(bench.simulation.run_until(SECOND, |_| false), Outcome::Idle);
    assert_eq!(bench.got(1), ["1", "2", "3", "4"]);
    assert_eq!(bench.simulation.now(), 0);
}

// The clock.

#[test]
fn the_clock_jumps_to_the_next_event() {
    let mut bench = Bench::new(1).conditions(Conditions { delay: 7 * SECOND, ..Conditions::PERFECT });
    bench.simulation.node_mut(NodeId(2)).wakeup = Some(3600 * SECOND);
    bench.tell(0, at(A), at(B), "late");
    let arrived =
        bench.simulation.run_until(u64::MAX, |simulation| !simulation.node(NodeId(1)).got.is_empty());
    assert_eq!((arrived, bench.simulation.now()), (Outcome::Met, 7 * SECOND));
    assert_eq!(bench.simulation.run_until(1000 * SECOND, |_| false), Outcome::Limit);
    assert_eq!(bench.simulation.now(), 1000 * SECOND);
    assert_eq!(bench.simulation.run_until(u64::MAX, |_| false), Outcome::Idle);
    assert_eq!(bench.simulation.now(), 3600 * SECOND);
}

#[test]
#[should_panic(expected = "again and again")]
fn a_node_that_never_sleeps_is_found_out() {
    struct Restless;
    impl Node for Restless {
        fn receive(&mut self, _: u64, _: SocketAddr, _: SocketAddr, _: &[u8]) {}
        fn next_wakeup(&self) -> Option<u64> {
            Some(0)
        }
        fn wake(&mut self, _: u64) {}
        fn outgoing(&mut self) -> Option<Outgoing> {
            None
        }
    }
    let mut simulation = Simulation::new(1);
    simulation.add(Restless, &[ip(A)]);
    simulation.run_for(SECOND);
}

// Chance.

fn many(conditions: Conditions) -> Bench {
    let mut bench = Bench::new(9).conditions(conditions);
    for number in 0..10_000 {
        bench.tell(0, at(A), at(B), &number.to_string());
    }
    bench.simulation.run_until(u64::MAX, |_| false);
    bench
}

#[test]
fn loss_and_duplication_are_as_frequent_as_asked() {
    let bench = many(Conditions { loss: Chance::percent(30), ..Conditions::PERFECT });
    assert!((6_800..7_200).contains(&bench.got(1).len()));
    assert_eq!(bench.dropped(DropCause::Lost) + bench.got(1).len() as u64, 10_000);
    let bench = many(Conditions { duplication: Chance::percent(10), ..Conditions::PERFECT });
    assert!((10_900..11_100).contains(&bench.got(1).len()));
}

#[test]
fn reordering_lets_later_datagrams_overtake() {
    let mut bench = Bench::new(2).conditions(Conditions {
        reordering: Chance::percent(20),
        hold: SECOND,
        ..Conditions::PERFECT
    });
    for number in 0..100 {
        bench.tell(0, at(A), at(B), &format!("{number:03}"));
        bench.simulation.run_for(MILLISECOND);
    }
    bench.simulation.run_for(2 * SECOND);
    let got = bench.got(1);
    let mut sorted = got.clone();
    sorted.sort_unstable();
    assert_eq!(got.len(), 100);
    assert_ne!(got, sorted);
}

#[test]
fn jitter_stays_within_its_bounds() {
    let conditions = Conditions { delay: 10 * MILLISECOND, jitter: 5 * MILLISECOND, ..Conditions::PERFECT };
    let bench = many(conditions);
    let times: Vec<u64> = bench.simulation.node(NodeId(1)).got.iter().map(|(at, ..)| *at).collect();
    assert!(times.iter().all(|at| (10 * MILLISECOND..=15 * MILLISECOND).contains(at)));
    assert!(times.first().is_some_and(|first| *first < 11 * MILLISECOND));
    assert!(times.last().is_some_and(|last| *last > 14 * MILLISECOND));
}

#[test]
fn corruption_is_counted() {
    let mut bench =
        Bench::new(3).conditions(Conditions { corruption: Chance::ALWAYS, ..Conditions::PERFECT });
    bench.send(0, A, B, "\0\0\0\0\0\0\0\0");
    assert_eq!(bench.simulation.network.counters().corrupted, 1);
    assert_ne!(bench.simulation.node(NodeId(1)).got[0].3, [0; 8]);
}

#[test]
fn a_path_may_have_conditions_of_its_own_one_way() {
    let mut bench = Bench::new(1);
    let lossy = Conditions { loss: Chance::ALWAYS, ..Conditions::PERFECT };
    bench.simulation.network.set_path_conditions(ip(A), ip(B), lossy);
    bench.send(0, A, B, "lost");
    bench.send(0, A, C, "other path");
    bench.send(1, B, A, "other way");
    assert_eq!((bench.got(0), bench.got(1), bench.got(2)), (vec!["other way"], vec![], vec!["other path"]));
}

#[test]
fn the_network_holds_no_more_than_it_may() {
    let mut bench = Bench::new(1).conditions(Conditions { delay: SECOND, ..Conditions::PERFECT });
    bench.simulation.network.set_capacity(3);
    for _ in 0..5 {
        bench.tell(0, at(A), at(B), "x");
    }
    bench.simulation.run_for(2 * SECOND);
    assert_eq!((bench.got(1).len(), bench.dropped(DropCause::Overflow)), (3, 2));
}

// Cuts, links, crashes, addresses.

#[test]
fn a_cut_holds_up_both_ways_until_it_heals() {
    let mut bench = Bench::new(1);
    let cut = bench.simulation.network.cut(&[ip(A)], &[ip(B), ip(C)], Way::Both);
    bench.send(0, A, B, "1");
    bench.send(1, B, A, "2");
    bench.send(1, B, C, "3");
    bench.simulation.network.heal(cut);
    bench.send(0, A, B, "4");
    assert_eq!((bench.got(0), bench.got(1), bench.got(2)), (vec![], vec!["4"], vec!["3"]));
    assert_eq!(bench.dropped(DropCause::Partition), 2);
}

#[test]
fn a_cut_may_be_one_way() {
    let mut bench = Bench::new(1);
    bench.simulation.network.cut(&[ip(A)], &[ip(B)], Way::FirstToSecond);
    bench.send(0, A, B, "1");
    bench.send(1, B, A, "2");
    assert_eq!((bench.got(0), bench.got(1)), (vec!["2"], vec![]));
    bench.simulation.network.heal_all();
    bench.send(0, A, B, "3");
    assert_eq!(bench.got(1), ["3"]);
}

#[test]
fn a_cut_catches_what_is_under_way() {
    let mut bench = Bench::new(1).conditions(Conditions { delay: SECOND, ..Conditions::PERFECT });
    bench.tell(0, at(A), at(B), "too late");
    bench.simulation.run_for(SECOND / 2);
    bench.simulation.network.cut(&[ip(A)], &[ip(B)], Way::Both);
    bench.simulation.run_for(SECOND);
    assert_eq!(bench.dropped(DropCause::Partition), 1);
}

#[test]
fn a_link_that_is_down_carries_nothing_either_way() {
    let mut bench = Bench::new(1);
    bench.simulation.network.set_link(ip(B), false);
    bench.send(0, A, B, "1");
    bench.send(1, B, A, "2");
    assert_eq!(bench.dropped(DropCause::LinkDown), 2);
    bench.simulation.network.set_link(ip(B), true);
    bench.send(0, A, B, "3");
    assert_eq!(bench.got(1), ["3"]);
}

#[test]
fn a_crashed_node_is_deaf_and_dumb_and_sleeps() {
    let mut bench = Bench::new(1);
    bench.simulation.node_mut(NodeId(1)).wakeup = Some(SECOND);
    bench.tell(1, at(B), at(A), "never sent");
    bench.simulation.crash(NodeId(1));
    bench.send(0, A, B, "1");
    assert_eq!(bench.dropped(DropCause::NodeDown), 1);
    assert_eq!(bench.simulation.now(), 0);

    bench.simulation.resume(NodeId(1));
    bench.simulation.run_until(u64::MAX, |_| false);
    assert_eq!(bench.simulation.now(), SECOND);

    bench.simulation.crash(NodeId(1));
    let old = bench.simulation.restart(NodeId(1), Post::default());
    assert!(old.got.is_empty());
    bench.send(0, A, B, "2");
    assert_eq!((bench.got(1), bench.got(0)), (vec!["2"], vec![]));
}

#[test]
fn a_node_may_move() {
    let mut bench = Bench::new(1);
    bench.simulation.set_addresses(NodeId(1), &[ip("198.51.100.1:0")]);
    bench.send(0, A, B, "to the old place");
    bench.send(0, A, "198.51.100.1:500", "to the new place");
    bench.send(1, B, A, "from the old place");
    assert_eq!((bench.got(1), bench.got(0)), (vec!["to the new place"], vec![]));
    assert_eq!(bench.dropped(DropCause::NoRoute), 2);
}

#[test]
fn nobody_sends_from_anothers_address() {
    let mut bench = Bench::new(1);
    bench.send(0, B, C, "forged");
    assert_eq!((bench.got(2).len(), bench.dropped(DropCause::NoRoute)), (0, 1));
}

// NATs.

#[test]
fn a_nat_shows_its_own_address_and_leads_answers_in() {
    for kind in [NatKind::FullCone, NatKind::AddressRestricted, NatKind::PortRestricted, NatKind::Symmetric] {
        let (mut bench, _) = Bench::with_nat(kind);
        bench.send(3, INSIDE, A, "out");
        let mapped = bench.last_source(0);
        assert_eq!(mapped.ip(), ip(OUTER));
        assert_ne!(mapped.port(), 500);
        bench.send(0, A, &mapped.to_string(), "in");
        assert_eq!(bench.got(3), ["in"]);
        assert_eq!(bench.simulation.node(NodeId(3)).got[0].1, at(INSIDE));
    }
}

#[test]
fn strangers_get_in_by_a_full_cone_only() {
    for (kind, expected) in [(NatKind::FullCone, 1), (NatKind::PortRestricted, 0), (NatKind::Symmetric, 0)] {
        let (mut bench, _) = Bench::with_nat(kind);
        bench.send(3, INSIDE, A, "out");
        let mapped = bench.last_source(0);
        bench.send(1, B, &mapped.to_string(), "in");
        assert_eq!(bench.got(3).len(), expected, "{kind:?}");
        assert_eq!(bench.dropped(DropCause::Nat), 1 - expected as u64);
    }
}

#[test]
fn a_private_address_cannot_be_reached_from_outside() {
    let (mut bench, _) = Bench::with_nat(NatKind::FullCone);
    bench.send(0, A, INSIDE, "in");
    assert_eq!((bench.got(3).len(), bench.dropped(DropCause::NoRoute)), (0, 1));
}

#[test]
fn a_mapping_times_out_and_a_rebound_nat_gives_another_port() {
    let (mut bench, nat) = Bench::with_nat(NatKind::PortRestricted);
    bench.send(3, INSIDE, A, "1");
    let first = bench.last_source(0);
    bench.simulation.run_for(61 * SECOND);
    bench.send(0, A, &first.to_string(), "too late");
    bench.send(3, INSIDE, A, "2");
    let second = bench.last_source(0);
    bench.simulation.network.rebind(nat);
    bench.send(0, A, &second.to_string(), "gone");
    bench.send(3, INSIDE, A, "3");
    let third = bench.last_source(0);
    assert!(bench.got(3).is_empty());
    assert!(first != second && second != third);
}

#[test]
fn a_renumbered_nat_shows_its_new_address() {
    let (mut bench, nat) = Bench::with_nat(NatKind::FullCone);
    bench.send(3, INSIDE, A, "1");
    let old = bench.last_source(0);
    bench.simulation.network.renumber(nat, ip("203.0.113.77:0"));
    bench.send(0, A, &old.to_string(), "to the old one");
    bench.send(3, INSIDE, A, "2");
    assert_eq!(bench.last_source(0).ip(), ip("203.0.113.77:0"));
    bench.send(0, A, &bench.last_source(0).to_string(), "to the new one");
    assert_eq!(bench.got(3), ["to the new one"]);
}

#[test]
fn neighbours_behind_one_nat_meet_inside_and_not_by_hairpin() {
    let (mut bench, nat) = Bench::with_nat(NatKind::FullCone);
    let neighbour = "10.0.0.3:500";
    bench.simulation.add(Post::default(), &[ip(neighbour)]);
    bench.simulation.network.put_behind(nat, ip(neighbour));
    bench.send(4, neighbour, A, "out");
    let mapped = bench.last_source(0);
    bench.send(3, INSIDE, neighbour, "direct");
    bench.send(3, INSIDE, &mapped.to_string(), "hairpin");
    assert_eq!(bench.got(4), ["direct"]);
    assert_eq!(bench.last_source(4), at(INSIDE));
    assert_eq!(bench.dropped(DropCause::Nat), 1);
}

#[test]
fn nats_may_stand_behind_nats() {
    let (mut bench, home) = Bench::with_nat(NatKind::PortRestricted);
    bench.simulation.network.renumber(home, ip("100.64.0.1:0"));
    let carrier = NatConfig { outer: ip(OUTER), kind: NatKind::Symmetric, timeout: 60 * SECOND };
    let carrier = bench.simulation.network.add_nat(carrier);
    bench.simulation.network.put_behind(carrier, ip("100.64.0.1:0"));
    bench.send(3, INSIDE, A, "out");
    assert_eq!(bench.last_source(0).ip(), ip(OUTER));
    bench.send(0, A, &bench.last_source(0).to_string(), "in");
    assert_eq!(bench.got(3), ["in"]);
}

#[test]
fn a_cut_knows_a_node_behind_a_nat_by_either_address() {
    for name in [INSIDE, OUTER] {
        let (mut bench, _) = Bench::with_nat(NatKind::FullCone);
        bench.send(3, INSIDE, A, "1");
        let mapped = bench.last_source(0);
        bench.simulation.network.cut(&[ip(name)], &[ip(A)], Way::Both);
        bench.send(3, INSIDE, A, "2");
        bench.send(0, A, &mapped.to_string(), "3");
        assert_eq!((bench.got(0), bench.got(3)), (vec!["1"], vec![]), "{name}");
    }
}

// Adversaries.

#[test]
fn an_adversary_holds_a_datagram_back_and_sends_it_later() {
    let mut bench = Bench::new(1);
    bench.simulation.network.set_adversary(|datagram| match datagram.bytes.as_slice() {
        b"late" => Verdict::Instead(vec![Forgery { datagram: datagram.clone(), after: SECOND }]),
        _ => Verdict::Pass,
    });
    bench.tell(0, at(A), at(B), "late");
    bench.send(0, A, B, "early");
    assert_eq!(bench.got(1), ["early", "late"]);
    assert_eq!((bench.last_source(1), bench.simulation.now()), (at(A), SECOND));
    assert_eq!(bench.simulation.network.counters().dropped_by(DropCause::Adversary), 1);
}

#[test]
fn an_adversary_drops_replaces_and_injects() {
    let mut bench = Bench::new(1);
    bench.simulation.network.set_adversary(|datagram| match datagram.bytes.as_slice() {
        b"drop" => Verdict::Drop,
        b"replace" => Verdict::Replace(b"replaced".to_vec()),
        b"inject" => Verdict::Inject(vec![
            Forgery { datagram: Datagram { bytes: b"at once".to_vec(), ..datagram.clone() }, after: 0 },
            Forgery {
                datagram: Datagram { from: at(C), to: datagram.from, bytes: b"reflected".to_vec() },
                after: SECOND,
            },
        ]),
        _ => Verdict::Pass,
    });
    for text in ["pass", "drop", "replace", "inject"] {
        bench.send(0, A, B, text);
    }
    assert_eq!(bench.got(1), ["pass", "replaced", "at once", "inject"]);
    assert_eq!((bench.got(0), bench.last_source(0)), (vec!["reflected"], at(C)));
    assert_eq!(bench.simulation.now(), SECOND);
    let counters = bench.simulation.network.counters();
    assert_eq!((counters.replaced, counters.forged, bench.dropped(DropCause::Adversary)), (1, 2, 1));

    bench.simulation.network.remove_adversary();
    bench.send(0, A, B, "drop");
    assert_eq!(bench.got(1).last(), Some(&"drop"));
}

#[test]
fn an_adversary_sees_what_the_open_network_sees() {
    let (mut bench, _) = Bench::with_nat(NatKind::FullCone);
    bench.simulation.network.set_adversary(|datagram| {
        assert_eq!(datagram.from.ip(), ip(OUTER));
        Verdict::Pass
    });
    bench.send(3, INSIDE, A, "out");
    assert_eq!(bench.got(0), ["out"]);
}

// Records.

#[test]
fn the_trace_tells_the_fate_of_each_datagram() {
    let mut bench = Bench::new(1);
    bench.send(0, A, B, "1");
    bench.simulation.crash(NodeId(1));
    bench.send(0, A, B, "2");
    let fates: Vec<Fate> = bench.simulation.network.trace().records().map(|record| record.fate).collect();
    assert_eq!(fates, [Fate::Sent, Fate::Delivered, Fate::Sent, Fate::Dropped(DropCause::NodeDown)]);
}
