//! The configuration payload: a responder gives its peers addresses (RFC 7296 §2.19).

use crate::bench::{established_with, outbound, pair_with, refused_with, secs, verdict};
use crate::support::{A, End, Pair, WALL, connection, fixed, identity, selector};
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::{AddressRange, Ports, TrafficSelector};
use tidegate_ike::connection::{AddressRequest, Connection};
use tidegate_ike::identity::IdentityPattern;
use tidegate_ike::narrow::ConfiguredSelector;
use tidegate_ike::pool::Pool;
use tidegate_ike::wire::NotifyType;
use tidegate_ike::{Cause, Culprit, Event, Initiate, Now};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn pool(name: &str, prefix: &str) -> Pool {
    Pool {
        name: name.into(),
        addresses: selector(prefix).addresses,
        dns: vec![ip("10.2.0.53"), ip("fd00:b::53")],
        subnets: vec![(ip("10.2.0.0"), 16), (ip("fd00:b::"), 64)],
        attributes: Vec::new(),
    }
}

/// A asks for addresses and B has pools to give them from.
fn change(end: End, connection: &mut Connection) {
    let child = Arc::make_mut(&mut connection.children[0]);
    let dynamic = vec![ConfiguredSelector::Dynamic { protocol: 0, ports: Ports::Range(0, 65_535) }];
    match end {
        End::A => {
            connection.request_addresses = vec![AddressRequest::V4(None), AddressRequest::V6(None)];
            child.local = dynamic;
            child.remote = fixed(&["10.2.0.0/16", "fd00:b::/64"]);
        }
        End::B => {
            connection.pools = vec!["four".into(), "six".into()];
            child.local = fixed(&["10.2.0.0/16", "fd00:b::/64"]);
            child.remote = dynamic;
        }
    }
}

fn pools(pair: &mut Pair) {
    pair.b.endpoint.load_pool(pool("four", "10.8.0.0/30"));
    pair.b.endpoint.load_pool(pool("six", "fd08::/126"));
}

fn given(seed: u64) -> Pair {
    let mut pair = pair_with(seed, change);
    pools(&mut pair);
    pair.set_up();
    pair
}

/// Addresses, DNS servers and subnets.
type Given = (Vec<IpAddr>, Vec<IpAddr>, Vec<(IpAddr, u8)>);

/// What A was given, by its last event about it.
fn configured(pair: &Pair) -> Option<Given> {
    pair.a.events.iter().rev().find_map(|event| match event {
        Event::Configured { addresses, dns, subnets, .. } => {
            Some((addresses.clone(), dns.clone(), subnets.clone()))
        }
        _ => None,
    })
}

fn addresses(pair: &mut Pair, end: End) -> Vec<IpAddr> {
    let sa = pair.sa(end);
    pair.host(end).endpoint.status(sa).unwrap().virtual_addresses().to_vec()
}

fn sorted<T: Ord + Copy>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list.dedup();
    list
}

#[test]
fn an_address_of_each_family_is_given_with_dns_and_subnets() {
    let mut pair = given(1);
    pair.assert_agree();
    let (addresses_given, dns, subnets) = configured(&pair).unwrap();
    assert_eq!(addresses_given, [ip("10.8.0.0"), ip("fd08::")]);
    assert_eq!(sorted(&dns), [ip("10.2.0.53"), ip("fd00:b::53")]);
    assert_eq!(sorted(&subnets), [(ip("10.2.0.0"), 16), (ip("fd00:b::"), 64)]);
    assert_eq!(addresses(&mut pair, End::A), addresses_given);
    assert_eq!(addresses(&mut pair, End::B), addresses_given);
    // The child is for these addresses and no others.
    let host = |text| TrafficSelector { addresses: AddressRange::host(ip(text)), ..selector("::/0") };
    assert_eq!(outbound(&pair.a).selectors.local, [host("10.8.0.0"), host("fd08::")]);
}

#[test]
fn one_family_is_given_where_one_is_asked_for() {
    let mut pair = pair_with(2, |end, connection| {
        change(end, connection);
        if end == End::A {
            connection.request_addresses = vec![AddressRequest::V6(None)];
        }
    });
    pools(&mut pair);
    pair.set_up();
    assert_eq!(configured(&pair).unwrap().0, [ip("fd08::")]);
}

#[test]
fn an_address_wished_for_is_given_where_it_is_free() {
    let wish = "10.8.0.2";
    let mut pair = pair_with(3, |end, connection| {
        change(end, connection);
        if end == End::A {
            connection.request_addresses = vec![AddressRequest::V4(Some(wish.parse().unwrap()))];
        }
    });
    pools(&mut pair);
    pair.set_up();
    assert_eq!(configured(&pair).unwrap().0, [ip(wish)]);
}

#[test]
fn an_empty_pool_leaves_the_ike_sa_without_a_child() {
    // RFC 7296 §2.19 and §3.15.4
    let mut pair = pair_with(4, change);
    pair.b.endpoint.load_pool(pool("four", "10.8.0.0/30"));
    pair.set_up();
    assert!(refused_with(&verdict(&pair.a), NotifyType::INTERNAL_ADDRESS_FAILURE));
    assert_eq!(verdict(&pair.a).culprit, Culprit::Peer);
    assert_eq!(verdict(&pair.b).cause, Cause::PoolExhausted);
    assert_eq!(verdict(&pair.b).culprit, Culprit::Us);
    assert!(pair.a.children().is_empty() && pair.b.children().is_empty());
    assert_eq!(pair.b.endpoint.resources(), [0, 0, 0], "half a lease is given back");
    pair.assert_agree();
}

/// A further peer of B's, at A's address, with an IKE SA of its own.
fn another_peer(pair: &mut Pair, name: &str) {
    let mut theirs = connection(End::B);
    change(End::B, &mut theirs);
    theirs.name = name.into();
    theirs.remote.identity = IdentityPattern::Exact(identity(name));
    pair.b.endpoint.load(theirs);
    let mut ours = connection(End::A);
    change(End::A, &mut ours);
    ours.name = name.into();
    ours.local.identity = identity(name);
    pair.a.endpoint.load(ours);
    let wish = Initiate { connection: name, child: None, local: None, remote: None };
    pair.with(End::A, |endpoint, now| endpoint.initiate(now, &wish)).unwrap();
    pair.settle();
}

#[test]
fn every_peer_has_an_address_of_its_own_until_none_is_left() {
    let mut pair = given(5);
    for name in ["one.example", "two.example", "three.example"] {
        another_peer(&mut pair, name);
    }
    assert!(pair.a.failures().is_empty());
    another_peer(&mut pair, "four.example");
    assert!(refused_with(&verdict(&pair.a), NotifyType::INTERNAL_ADDRESS_FAILURE));
    let mut all: Vec<_> = pair.b.endpoint.sas().flat_map(|sa| sa.virtual_addresses().to_vec()).collect();
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!((count, all.len()), (8, 8));
}

#[test]
fn an_address_comes_back_with_the_end_of_its_ike_sa() {
    for end in [End::A, End::B] {
        let mut pair = given(6);
        assert_eq!(pair.b.endpoint.resources()[1], 2);
        let sa = pair.sa(end);
        pair.with(end, |endpoint, now| endpoint.terminate(now, sa)).unwrap();
        pair.run(secs(20));
        assert_eq!(pair.b.endpoint.resources(), [0, 0, 0]);
    }
}

#[test]
fn the_same_identity_gets_the_same_address_again() {
    let mut pair = given(7);
    let before = configured(&pair).unwrap().0;
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.terminate(now, sa)).unwrap();
    pair.run(secs(20));
    another_peer(&mut pair, "one.example");
    pair.initiate(End::A);
    pair.settle();
    assert_eq!(configured(&pair).unwrap().0, before);
}

#[test]
fn a_peer_that_has_restarted_gets_the_address_that_its_old_ike_sa_still_holds() {
    let mut pair = given(8);
    let before = configured(&pair).unwrap().0;
    let mut fresh = Pair::new(80, connection(End::A), connection(End::B)).a;
    let mut ours = connection(End::A);
    change(End::A, &mut ours);
    fresh.endpoint.load(ours);
    pair.a = fresh;
    pair.set_up();
    assert_eq!(configured(&pair).unwrap().0, before);
    assert_eq!(pair.b.endpoint.resources()[1], 2);
    pair.assert_agree();
}

#[test]
fn a_reauthentication_keeps_the_addresses() {
    let mut pair = given(9);
    let before = configured(&pair).unwrap().0;
    let sa = pair.sa(End::A);
    pair.with(End::A, |endpoint, now| endpoint.reauthenticate(now, sa)).unwrap();
    pair.run(secs(20));
    assert_ne!(pair.sa(End::A), sa);
    assert_eq!(addresses(&mut pair, End::A), before);
    assert_eq!(addresses(&mut pair, End::B), before);
    assert_eq!(pair.b.endpoint.resources()[1], 2);
    pair.assert_agree();
}

#[test]
fn addresses_are_kept_over_an_ike_rekey_and_released_at_the_end() {
    for end in [End::A, End::B] {
        let mut pair = given(10);
        let before = configured(&pair).unwrap().0;
        let sa = pair.sa(end);
        pair.with(end, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
        pair.run(secs(20));
        assert_eq!(addresses(&mut pair, End::A), before);
        assert_eq!(addresses(&mut pair, End::B), before);
        assert_eq!(pair.b.endpoint.resources()[1], 2, "still taken, rekey by {end:?}");
        let sa = pair.sa(End::A);
        pair.with(End::A, |endpoint, now| endpoint.terminate(now, sa)).unwrap();
        pair.run(secs(20));
        assert_eq!(pair.b.endpoint.resources(), [0, 0, 0]);
    }
}

#[test]
fn a_later_child_is_for_the_given_addresses_too() {
    let mut pair = given(11);
    let sa = pair.sa(End::A);
    let first = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.create_child(now, sa, "net")).unwrap();
    pair.settle();
    pair.with(End::A, |endpoint, now| endpoint.terminate_child(now, first)).unwrap();
    pair.run(secs(6));
    pair.assert_agree();
    let local: Vec<_> = outbound(&pair.a).selectors.local.iter().map(|s| s.addresses.start()).collect();
    assert_eq!(local, [ip("10.8.0.0"), ip("fd08::")]);
}

#[test]
fn a_responder_without_pools_gives_nothing_and_the_outer_address_counts() {
    let mut pair = pair_with(12, |end, connection| {
        change(end, connection);
        connection.pools.clear();
    });
    pair.set_up();
    assert!(configured(&pair).is_none());
    pair.assert_agree();
    assert_eq!(outbound(&pair.a).selectors.local[0].addresses, AddressRange::host(A));
}

#[test]
fn a_peer_that_asks_for_nothing_is_given_nothing() {
    let pair = established_with(13, |end, connection| {
        if end == End::B {
            change(end, connection);
            connection.children = vec![Arc::new(crate::support::child(End::B))];
        }
    });
    assert!(configured(&pair).is_none());
    assert_eq!(pair.b.endpoint.resources()[1], 0);
    assert_eq!(pair.now(), Now { time: pair.now, wall: WALL });
}
