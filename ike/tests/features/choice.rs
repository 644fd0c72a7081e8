//! Which connection a responder takes: by address, then by identity, then by the best match.

use crate::bench::verdict;
use crate::support::{A, End, Pair, connection, identity};
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::AddressRange;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::connection::Connection;
use tidegate_ike::counters::Drop;
use tidegate_ike::crypto::Secret;
use tidegate_ike::identity::IdentityPattern;
use tidegate_ike::proposal::IkeProposal;
use tidegate_ike::{Cause, Event};

/// A responder's connection for these peers.
fn for_peers(name: &str, pattern: &str, addresses: &[AddressRange]) -> Connection {
    let mut connection = connection(End::B);
    connection.name = name.into();
    connection.remote.identity = pattern.parse().unwrap();
    connection.remote.addresses = addresses.to_vec();
    connection
}

/// B has these connections and no other; A comes as this identity.
fn with(peer: &str, connections: impl IntoIterator<Item = Connection>) -> Pair {
    let mut pair = Pair::psk(1);
    pair.b.endpoint.unload("peer").unwrap();
    for connection in connections {
        pair.b.endpoint.load(connection);
    }
    let mut ours = connection(End::A);
    ours.local.identity = identity(peer);
    pair.a.endpoint.load(ours);
    pair
}

/// The connection that B takes for A.
fn chosen(mut pair: Pair) -> String {
    pair.set_up();
    pair.assert_agree();
    let established = pair.b.events.iter().find_map(|event| match event {
        Event::IkeEstablished { connection, .. } => Some(connection.to_string()),
        _ => None,
    });
    established.unwrap()
}

fn here() -> [AddressRange; 1] {
    [AddressRange::host(A)]
}

#[test]
fn an_address_counts_more_than_an_identity() {
    let pair = with(
        "a.example",
        [for_peers("by identity", "a.example", &[]), for_peers("by address", "%any", &here())],
    );
    assert_eq!(chosen(pair), "by address");
}

#[test]
fn a_connection_for_another_address_is_never_taken() {
    let elsewhere = AddressRange::host(IpAddr::from([192, 0, 2, 77]));
    let pair = with(
        "a.example",
        [for_peers("elsewhere", "a.example", &[elsewhere]), for_peers("anywhere", "%any", &[])],
    );
    assert_eq!(chosen(pair), "anywhere");
}

#[test]
fn an_address_range_holds_all_its_addresses() {
    let range = crate::support::selector("192.0.2.0/25").addresses;
    let pair = with(
        "a.example",
        [for_peers("anywhere", "a.example", &[]), for_peers("range", "a.example", &[range])],
    );
    assert_eq!(chosen(pair), "range");
}

#[test]
fn the_very_identity_comes_before_a_pattern_and_that_before_any() {
    let all = || {
        vec![
            for_peers("any", "%any", &[]),
            for_peers("pattern", "*.example", &[]),
            for_peers("exact", "a.example", &[]),
        ]
    };
    let mut connections = all();
    for expected in ["exact", "pattern", "any"] {
        assert_eq!(chosen(with("a.example", connections.clone())), expected);
        connections.pop();
    }
    assert_eq!(chosen(with("b2.example", all())), "pattern");
    assert_eq!(chosen(with("a.elsewhere", all())), "any");
}

#[test]
fn of_two_wildcard_names_the_one_with_fewer_wildcards_is_taken() {
    let all = || {
        [
            for_peers("one", "C=CN, O=fabedge.io, CN=*", &[]),
            for_peers("two", "C=CN, O=*, CN=*", &[]),
            for_peers("three", "C=*, O=*, CN=*", &[]),
        ]
    };
    assert_eq!(chosen(with("C=CN, O=fabedge.io, CN=fabedge.edge1", all())), "one");
    assert_eq!(chosen(with("C=CN, O=other, CN=x", all())), "two");
    assert_eq!(chosen(with("C=CH, O=other, CN=x", all())), "three");
}

#[test]
fn a_name_in_another_order_fits_no_wildcard_name() {
    let mut pair = with("CN=x, O=fabedge.io, C=CN", [for_peers("one", "C=CN, O=fabedge.io, CN=*", &[])]);
    pair.initiate(End::A);
    pair.settle();
    assert!(matches!(verdict(&pair.b).cause, Cause::NoConnection { .. }));
}

#[test]
fn the_identity_that_the_peer_asks_for_decides_between_two_of_ours() {
    for wanted in ["b.example", "c.example"] {
        let ours = |name: &str| {
            let mut connection = for_peers(name, "a.example", &[]);
            connection.local.identity = identity(name);
            connection
        };
        let mut pair = with("a.example", [ours("b.example"), ours("c.example")]);
        let mut wanting = connection(End::A);
        wanting.remote.identity = IdentityPattern::Exact(identity(wanted));
        pair.a.endpoint.load(wanting);
        assert_eq!(chosen(pair), wanted);
    }
}

#[test]
fn each_of_a_thousand_peers_finds_its_own_secret() {
    let secret = |n: usize| Secret::new(format!("secret number {n}").into_bytes());
    let connections = (0..1000).map(|n| {
        let mut connection = for_peers(&format!("edge {n}"), &format!("edge{n}.example"), &[]);
        connection.remote.auth = Arc::new(RemoteAuth::Psk(secret(n)));
        connection
    });
    let mut pair = with("edge737.example", connections);
    let mut ours = connection(End::A);
    ours.local.identity = identity("edge737.example");
    ours.local.auth = Arc::new(LocalAuth::Psk(secret(737)));
    pair.a.endpoint.load(ours);
    assert_eq!(chosen(pair), "edge 737");
}

#[test]
fn proposals_are_those_of_the_connection_for_the_address() {
    let proposing = |name, addresses: &[AddressRange], list| {
        let mut connection = for_peers(name, "a.example", addresses);
        connection.proposals = IkeProposal::parse_list(list).unwrap();
        connection
    };
    let pair = with(
        "a.example",
        [
            proposing("anywhere", &[], "aes256gcm16-prfsha384-ecp384"),
            proposing("here", &here(), "aes128gcm16-prfsha256-x25519"),
        ],
    );
    assert_eq!(chosen(pair), "here");
}

#[test]
fn a_connection_is_only_for_the_addresses_of_ours_that_it_names() {
    let at = |name: &str, address: [u8; 4]| {
        let mut connection = for_peers(name, "a.example", &[]);
        connection.local.addresses = vec![AddressRange::host(IpAddr::from(address))];
        connection
    };
    let pair = with("a.example", [at("this", [192, 0, 2, 2]), at("another", [192, 0, 2, 200])]);
    assert_eq!(chosen(pair), "this");
}

#[test]
fn a_peer_from_an_address_that_nobody_expects_is_turned_away_without_state() {
    let elsewhere = AddressRange::host(IpAddr::from([192, 0, 2, 77]));
    let mut pair = with("a.example", [for_peers("elsewhere", "a.example", &[elsewhere])]);
    pair.initiate(End::A);
    pair.pass(End::A);
    assert!(pair.b.endpoint.is_empty());
    assert_eq!(pair.b.endpoint.counters().dropped(Drop::NoConnection), 1);
}

#[test]
fn a_connection_that_is_unloaded_is_taken_no_more() {
    let mut pair =
        with("a.example", [for_peers("first", "a.example", &[]), for_peers("second", "%any", &[])]);
    pair.b.endpoint.unload("first").unwrap();
    assert_eq!(chosen(pair), "second");
}
