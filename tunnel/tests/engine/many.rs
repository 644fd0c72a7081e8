//! Many connections at once, and those that come to nothing.

use crate::node::EngineNode;
use crate::world::{Between, add, address, tell, world};
use std::net::IpAddr;
use std::time::Duration;
use tidegate::connection::{Child, Connection};
use tidegate::engine::Settings;
use tidegate_ike::ChildConfig;
use tidegate_ike::crypto::Secret;
use tidegate_sim::SECOND;

/// One of many peers, at an address of its own.
fn numbered(n: u16, address: IpAddr) -> Connection {
    let [high, low] = n.to_be_bytes();
    let net = format!("10.{high}.{low}.0/24").parse().expect("a selector");
    let identity = format!("edge-{n}.example").parse().expect("an identity");
    let secret = Secret::new(b"known to both".to_vec());
    let us = "1.example".parse().expect("an identity");
    let ike = tidegate_ike::Connection::psk(&format!("edge-{n}"), us, identity, secret);
    let config = ChildConfig::new("net", "172.16.0.0/16".parse().expect("a selector"), net);
    Connection::new(ike).with_peer_address(address).with_child(Child::kept_up(config))
}

#[test]
fn one_dead_peer_delays_nobody_of_200() {
    let mut world = world(1);
    let hub = add(&mut world, 1);
    for n in 2..=201 {
        let node = add(&mut world, n);
        // The hundredth is there and says nothing.
        if n != 100 {
            tell(&mut world, node, |node, now| node.load(now, Between::new(n, 1).passive()));
        } else {
            world.crash(node);
        }
    }
    for n in (2..=201).rev() {
        tell(&mut world, hub, |node, now| node.load(now, Between::new(1, n).kept_up()));
    }
    world.run_for(2 * SECOND);
    let hub = &world.node(hub).engine;
    let up = (2..=201).filter(|n| hub.is_active(&format!("to-{n}"))).count();
    assert_eq!(up, 199);
    assert!(!hub.is_active("to-100"));
}

#[test]
fn two_thousand_connections_begin_side_by_side_within_the_rate() {
    let mut world = world(2);
    let settings = Settings { start_rate: 500, ..Settings::default() };
    let hub = world.add(EngineNode::with(7, address(1), settings), &[address(1)]);
    let now = world.now();
    for n in 0..2_000_u16 {
        let [high, low] = n.to_be_bytes();
        let mut connection = numbered(n, IpAddr::from([198, 18, high, low]));
        connection.ike.retransmission.first = Duration::from_secs(30);
        world.node_mut(hub).load(now, connection);
    }
    world.run_for(5 * SECOND);
    let began = &world.node(hub).began;
    assert_eq!(began.len(), 2_000);
    for (at, time) in began.iter().enumerate() {
        let in_a_second = began[at..].iter().take_while(|later| **later < time + SECOND).count();
        assert!(in_a_second <= 550, "{in_a_second} in the second after {time}");
    }
    assert!(began[1_999] - began[0] > 3 * SECOND, "not all at once");
}
