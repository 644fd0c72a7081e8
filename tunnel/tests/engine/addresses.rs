//! What depends on where the ends are: names of ours, and traps for what the ends themselves say to each other.

use crate::node::Stream;
use crate::world::{ONE, TWO, World, add, address, ask, pair, tell, wait_for, world};
use std::net::IpAddr;
use tidegate::action::Outcome;
use tidegate::connection::{After, Connection, Start};
use tidegate::engine::{Manner, Selection, Target};
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_sim::{NodeId, SECOND};

/// From one end itself to the other.
const ENDS: Stream = Stream {
    from: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    to: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)),
};

fn dynamic() -> Vec<ConfiguredSelector> {
    let any = tidegate_esp::TrafficSelector::any_v4();
    vec![ConfiguredSelector::Dynamic { protocol: any.protocol, ports: any.ports }]
}

fn of_the_ends(mut connection: Connection) -> Connection {
    let config = &mut connection.children[0].config;
    (config.local, config.remote) = (dynamic(), dynamic());
    connection
}

fn carried(world: &World, node: NodeId, name: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let children = world.node(node).children(world.now(), name);
    children.into_iter().map(|child| (child.local, child.remote)).collect()
}

fn send(world: &mut World, node: NodeId) -> bool {
    tell(world, node, |node, now| node.send(now, ENDS))
}

#[test]
fn traffic_between_the_ends_brings_up_what_is_for_them() {
    for start in [Start::OnTraffic, Start::Trap] {
        let one = of_the_ends(ONE.connection(start, After::OnTraffic));
        let (mut world, a, b) = pair(1, one, of_the_ends(TWO.passive()));
        world.run_for(SECOND);
        assert!(world.node(a).began.is_empty());
        assert_eq!(world.node(a).captures.len(), 1, "it is caught before there is an SA");
        assert!(!send(&mut world, a));
        world.run_for(SECOND);
        let ends = [(vec!["192.0.2.1/32".to_owned()], vec!["192.0.2.2/32".to_owned()])];
        assert_eq!(carried(&world, a, "to-2"), ends);
        assert!(send(&mut world, a));
        world.run_for(SECOND);
        assert!(world.node(b).total_received() > 0);
        tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.unload(now, "to-2")))
            .expect("loaded");
        world.run_for(SECOND);
        assert!(world.node(a).captures.is_empty(), "all of it goes with the connection");
    }
}

#[test]
fn one_end_may_be_a_subnet() {
    let mut one = ONE.connection(Start::Trap, After::Clear);
    one.children[0].config.remote = dynamic();
    let mut two = TWO.passive();
    two.children[0].config.local = dynamic();
    let (mut world, a, b) = pair(2, one, two);
    let stream = Stream { to: address(2), ..ONE.stream() };
    assert!(!tell(&mut world, a, |node, now| node.send(now, stream)));
    world.run_for(SECOND);
    assert_eq!(carried(&world, b, "to-1"), [(vec!["192.0.2.2/32".into()], vec!["10.1.0.0/16".into()])]);
}

#[test]
fn what_waits_for_somebody_to_install_it_is_caught_from_then_on() {
    let (mut world, a, _) = pair(3, of_the_ends(ONE.passive()), of_the_ends(TWO.passive()));
    assert!(world.node(a).captures.is_empty());
    let net = Target::Child { connection: None, child: "net".into() };
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.install(now, &net)))
        .expect("there is one");
    assert_eq!(world.node(a).captures.len(), 1);
    assert!(!send(&mut world, a));
    world.run_for(SECOND);
    assert_eq!(carried(&world, a, "to-2").len(), 1);
    tell(&mut world, a, |node, now| node.act(now, |engine, now| engine.uninstall(now, &net))).expect("still");
    assert_eq!(world.node(a).captures.len(), 1, "the SA stands, and what it carries is caught");
}

#[test]
fn what_is_to_come_back_with_its_traffic_is_caught_after_its_end() {
    let one = of_the_ends(ONE.connection(Start::Wait, After::OnTraffic));
    let (mut world, a, b) = pair(7, one, of_the_ends(TWO.passive()));
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
    let all = Selection::Connection("to-1".into());
    let down = ask(&mut world, b, |engine, now, ticket| engine.terminate(now, &all, Manner::Ask, ticket));
    assert_eq!(wait_for(&mut world, b, down), Outcome::Done(1));
    world.run_for(20 * SECOND);
    assert!(carried(&world, a, "to-2").is_empty());
    assert_eq!(world.node(a).captures.len(), 1, "nothing goes in clear");
    assert!(!send(&mut world, a));
    world.run_for(SECOND);
    assert_eq!(carried(&world, a, "to-2").len(), 1);
}

#[test]
fn a_trap_follows_our_address_and_the_peers_name() {
    let mut world = world(4);
    let a = add(&mut world, 1);
    let mut one = of_the_ends(ONE.connection(Start::Trap, After::Clear));
    one.ike.remote.addresses.clear();
    one.names = vec!["two.example".to_owned()];
    tell(&mut world, a, |node, now| {
        node.names.insert("two.example".into(), vec![address(2)]);
        node.load(now, one);
    });
    world.run_for(SECOND);
    let caught = |world: &World| -> Vec<String> {
        let pairs = world.node(a).captures.values();
        pairs.map(|pair| format!("{} {}", pair.local[0], pair.remote[0])).collect()
    };
    assert_eq!(caught(&world), ["192.0.2.1/32 192.0.2.2/32"]);
    tell(&mut world, a, |node, now| {
        node.act(now, |engine, now| engine.set_local_addresses(now, vec![address(7)]));
    });
    assert_eq!(caught(&world), ["192.0.2.7/32 192.0.2.2/32"]);
}

#[test]
fn names_of_ours_say_where_attempts_go_from_and_where_peers_find_us() {
    let named = |mut connection: Connection| {
        connection.local_names = vec!["us.example".to_owned()];
        connection
    };
    let mut world = world(5);
    let (a, b) = (add(&mut world, 1), add(&mut world, 2));
    for (node, other, here, connection) in [(a, 9, 1, ONE.passive()), (b, 8, 2, TWO.passive())] {
        tell(&mut world, node, |node, now| {
            node.act(now, |engine, now| engine.set_local_addresses(now, vec![address(other), address(here)]));
            node.names.insert("us.example".into(), vec![address(here)]);
            node.load(now, named(connection));
        });
    }
    world.run_for(SECOND);
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert_eq!(wait_for(&mut world, a, up), Outcome::Done(1));
    let sa = &world.node(a).standing(world.now(), "to-2")[0];
    assert_eq!((sa.local.ip(), sa.remote.ip()), (address(1), address(2)));
    assert_eq!(world.node(a).connection(world.now(), "to-2").local_addresses.len(), 1);
    assert!(world.node(a).lookups.len() >= 2, "when it is loaded, and before the attempt");
}

#[test]
fn a_name_of_ours_that_leads_elsewhere_is_not_served_here() {
    let (mut world, a, b) = pair(6, ONE.passive(), TWO.passive());
    let mut two = TWO.passive();
    two.local_names = vec!["us.example".to_owned()];
    tell(&mut world, b, |node, now| {
        node.names.insert("us.example".into(), vec![address(7)]);
        node.load(now, two);
    });
    world.run_for(SECOND);
    let up = tell(&mut world, a, |node, now| node.initiate(now, "to-2"));
    assert!(matches!(wait_for(&mut world, a, up), Outcome::Failed(_)));
}
