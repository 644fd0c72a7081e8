//! Tables for workers: SAs come, move and go, and readers see one state or the next.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_esp::policy::{Action, FlowCache, Owner, Rule};
use tidegate_esp::snapshot::{Decision, NewOutbound, OutboundId, Publisher, Snapshot, Standing};
use tidegate_esp::spi::SpiAllocator;
use tidegate_esp::{Encapsulation, Flow, Path, SelectorPair, Spi, Transport};

type Tables = Publisher<u32, AtomicU64>;

const EDGE: Owner = Owner(1);

fn pair(local: &str, remote: &str) -> Arc<SelectorPair> {
    let list = |text: &str| vec![text.parse().unwrap()];
    Arc::new(SelectorPair { local: list(local), remote: list(remote) })
}

fn path(port: u16) -> Path {
    let address = |host| SocketAddr::from(([192, 0, 2, host], port));
    Path { local: address(1), remote: address(2), encapsulation: Encapsulation::Udp }
}

fn flow(destination: [u8; 4]) -> Flow {
    Flow {
        source: [10, 0, 0, 1].into(),
        destination: destination.into(),
        protocol: 17,
        transport: Transport::Ports { source: 1, destination: 2 },
    }
}

fn protecting() -> Tables {
    let mut tables = Tables::new();
    let rule = Rule { selectors: pair("10.0.0.0/8", "10.0.0.0/8"), action: Action::Protect(EDGE) };
    tables.add_rule(rule).unwrap();
    tables
}

fn install(tables: &mut Tables, remote: &str, standing: Standing) -> OutboundId {
    let sa = Arc::new(AtomicU64::new(0));
    let selectors = pair("10.0.0.0/8", remote);
    let outbound = NewOutbound { owner: EDGE, selectors, sa, path: path(4500), standing };
    tables.install_outbound(outbound).unwrap()
}

#[test]
fn an_index_finds_its_sa_and_no_former_one() {
    let mut tables = Tables::new();
    let mut spis = SpiAllocator::new(10);
    let first = spis.allocate(1, 0).unwrap();
    assert!(tables.install_inbound(first, Arc::new(1)).is_none());
    assert_eq!(tables.draft().inbound(first).map(|sa| **sa), Some(1));
    assert_eq!(tables.remove_inbound(first).as_deref(), Some(&1));
    assert!(tables.remove_inbound(first).is_none());
    spis.release(first, 5);
    let second = spis.allocate(1, 5).unwrap();
    tables.install_inbound(second, Arc::new(2));
    assert!(tables.draft().inbound(first).is_none());
    assert!(tables.remove_inbound(first).is_none());
    assert_eq!(tables.draft().inbound(second).map(|sa| **sa), Some(2));
    assert!(tables.draft().inbound(Spi::new(u32::MAX).unwrap()).is_none());
}

#[test]
fn without_an_sa_nothing_goes_out() {
    let mut tables = protecting();
    assert_eq!(tables.draft().decide(&flow([10, 1, 0, 1])), Decision::Acquire(EDGE));
    let id = install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    assert_eq!(tables.draft().decide(&flow([10, 1, 0, 1])), Decision::Protect(id));
    assert_eq!(tables.draft().decide(&flow([10, 2, 0, 1])), Decision::Acquire(EDGE));
    tables.remove_outbound(id).unwrap();
    assert_eq!(tables.draft().decide(&flow([10, 1, 0, 1])), Decision::Acquire(EDGE));
    assert!(tables.draft().outbound(id).is_none());
}

#[test]
fn no_sa_carries_what_a_rule_gives_to_another_owner() {
    let mut tables = protecting();
    let other = Owner(2);
    let rule = Rule { selectors: pair("10.0.0.0/8", "10.1.9.0/24"), action: Action::Protect(other) };
    tables.add_rule(rule).unwrap();
    let id = install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    assert_eq!(tables.draft().decide(&flow([10, 1, 8, 1])), Decision::Protect(id));
    assert_eq!(tables.draft().decide(&flow([10, 1, 9, 1])), Decision::Acquire(other));
}

#[test]
fn of_equal_selectors_the_newest_carries_and_the_older_returns() {
    let mut tables = protecting();
    let decide = |tables: &Tables| tables.draft().decide(&flow([10, 1, 0, 1]));
    let older = install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    let newer = install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    assert_eq!(decide(&tables), Decision::Protect(newer));
    tables.remove_outbound(newer);
    assert_eq!(decide(&tables), Decision::Protect(older));
}

#[test]
fn a_successor_waits_until_it_is_told_to_carry() {
    // RFC 7296 §2.8
    let mut tables = protecting();
    let decide = |tables: &Tables| tables.draft().decide(&flow([10, 1, 0, 1]));
    let old = install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    let new = install(&mut tables, "10.1.0.0/16", Standing::Waiting);
    assert_eq!(decide(&tables), Decision::Protect(old));
    assert!(tables.move_outbound(new));
    assert_eq!(decide(&tables), Decision::Protect(new));
    assert!(tables.move_outbound(old), "and back, if that is what control wants");
    assert_eq!(decide(&tables), Decision::Protect(old));
    tables.remove_outbound(old);
    assert_eq!(decide(&tables), Decision::Protect(new));
    tables.remove_outbound(new);
    assert!(!tables.move_outbound(new));
    assert_eq!(decide(&tables), Decision::Acquire(EDGE));
}

#[test]
fn a_new_path_keeps_the_counters() {
    let mut tables = protecting();
    let mut reader = tables.reader();
    let mut cache = FlowCache::new(8, 3);
    let id = install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    tables.publish();
    let snapshot = reader.current();
    assert_eq!(snapshot.decide_cached(&mut cache, &flow([10, 1, 0, 1])), Decision::Protect(id));
    let carrier = snapshot.outbound(id).unwrap();
    carrier.sa.store(77, Ordering::Relaxed);
    assert_eq!(carrier.path, path(4500));
    assert!(tables.repath(id, path(9999)));
    tables.publish();
    let carrier = reader.current().outbound(id).unwrap();
    assert_eq!((carrier.path, carrier.sa.load(Ordering::Relaxed)), (path(9999), 77));
}

#[test]
fn readers_see_what_is_published_and_all_of_it() {
    let mut tables = protecting();
    let mut reader = tables.reader();
    let spi = Spi::new(0x0010_0007).unwrap();
    tables.install_inbound(spi, Arc::new(5));
    install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    assert!(reader.current().inbound(spi).is_none());
    assert_eq!(reader.current().decide(&flow([10, 1, 0, 1])), Decision::NoRule);
    tables.publish();
    let generation = reader.current().generation();
    assert!(reader.current().inbound(spi).is_some());
    assert!(matches!(reader.current().decide(&flow([10, 1, 0, 1])), Decision::Protect(_)));
    tables.publish();
    assert_eq!(reader.current().generation(), generation, "nothing changed, nothing was published");
}

#[test]
fn a_name_is_not_used_again() {
    let mut tables = protecting();
    let first = install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    tables.remove_outbound(first);
    let second = install(&mut tables, "10.1.0.0/16", Standing::Carrying);
    assert_ne!(first, second);
    assert!(tables.draft().outbound(first).is_none());
    assert!(tables.draft().outbound(second).is_some());
}

/// Every state that is published has as many inbound as outbound halves, and both of the same peers.
#[test]
fn no_reader_sees_a_mixture() {
    const PEERS: u8 = 200;
    const SLOT: u32 = 0x0010_0000;
    let spi = |peer: u8| Spi::new(SLOT + u32::from(peer)).unwrap();
    let consistent = |snapshot: &Snapshot<u32, AtomicU64>| {
        let there = |peer| {
            let decision = snapshot.decide(&flow([10, 1, peer, 1]));
            let carried = matches!(decision, Decision::Protect(id) if snapshot.outbound(id).is_some());
            assert_eq!(snapshot.inbound(spi(peer)).is_some(), carried);
            carried
        };
        (0..PEERS).filter(|peer| there(*peer)).count()
    };
    let mut tables = protecting();
    let readers: Vec<_> = (0..2).map(|_| tables.reader()).collect();
    std::thread::scope(|scope| {
        for mut reader in readers {
            scope.spawn(move || while consistent(reader.current()) < PEERS.into() {});
        }
        for peer in 0..PEERS {
            tables.install_inbound(spi(peer), Arc::new(u32::from(peer)));
            install(&mut tables, &format!("10.1.{peer}.0/24"), Standing::Carrying);
            tables.publish();
        }
    });
}
