//! What has outlived its time is not used (RFC 7296 §2.8).

use crate::evil::Said;
use crate::puppet::{Puppet, deleted, notification};
use crate::support::{End, Pair, connection};
use std::sync::Arc;
use std::time::Duration;
use tidegate_ike::connection::{ChildLifetimes, Connection, IkeLifetimes};
use tidegate_ike::endpoint::Phase;
use tidegate_ike::wire::{CreateChildRequest, Delete, ExchangeType, Informational, NotifyType, PayloadChain};

const LIFE: Duration = Duration::from_secs(100);
const OVERTIME: Duration = Duration::from_secs(10);

fn short_lived(change: impl FnOnce(&mut Connection)) -> Pair {
    let mut b = connection(End::B);
    b.liveness = None;
    b.lifetimes = IkeLifetimes { rekey: None, ..IkeLifetimes::default() };
    Arc::make_mut(&mut b.children[0]).lifetimes.rekey = None;
    change(&mut b);
    Pair::new(1, connection(End::A), b)
}

fn short_child(connection: &mut Connection) {
    Arc::make_mut(&mut connection.children[0]).lifetimes = ChildLifetimes {
        rekey: Some(LIFE),
        overtime: OVERTIME,
        jitter: Duration::ZERO,
        ..ChildLifetimes::default()
    };
}

/// Answers every request of the engine's: CREATE_CHILD_SA with this error, all else with nothing. Gives
/// what was asked.
fn refuse_for(
    pair: &mut Pair,
    puppet: &mut Puppet,
    span: Duration,
    kind: NotifyType,
) -> Vec<(ExchangeType, PayloadChain)> {
    let mut asked = Vec::new();
    let end = pair.now + span;
    while pair.now < end {
        pair.sleep(Duration::from_millis(500));
        while let Some(transmit) = pair.b.sent.pop_front() {
            let Said { header, first, bytes } = puppet.open(&transmit);
            let answer = match header.exchange {
                ExchangeType::CreateChildSa => notification(kind),
                _ => PayloadChain::default(),
            };
            puppet.answer(pair, &header, &answer);
            asked.push((header.exchange, PayloadChain { first, bytes }));
        }
    }
    asked
}

#[test]
fn an_expired_child_carries_nothing_even_if_the_peer_does_not_answer() {
    let (mut pair, mut puppet) = Puppet::with(short_lived(short_child));
    refuse_for(&mut pair, &mut puppet, LIFE + OVERTIME / 2, NotifyType::NO_PROPOSAL_CHOSEN);
    assert_eq!(pair.b.installed.len(), 2);
    pair.sleep(OVERTIME);
    // The Delete is out; nobody has answered it.
    assert_eq!(pair.b.sent.len(), 4, "repeated");
    assert!(pair.b.installed.is_empty());
    assert!(pair.b.carries.is_empty());
}

#[test]
fn a_child_that_is_never_rekeyed_may_end_all_the_same() {
    let (mut pair, _) = Puppet::with(short_lived(|connection| {
        let lifetimes = &mut Arc::make_mut(&mut connection.children[0]).lifetimes;
        (lifetimes.rekey, lifetimes.unrenewed) = (None, Some(LIFE));
    }));
    pair.sleep(LIFE - Duration::from_secs(1));
    assert_eq!((pair.b.installed.len(), pair.b.sent.len()), (2, 0), "nothing is asked for");
    pair.sleep(Duration::from_secs(2));
    assert!(pair.b.installed.is_empty());
    assert!(!pair.b.sent.is_empty(), "the peer is told");
}

// RFC 7296 §4: a peer that makes no further SAs gets the old one deleted and is asked for a new one.
#[test]
fn a_child_that_cannot_be_rekeyed_is_deleted_and_asked_for_anew() {
    let (mut pair, mut puppet) = Puppet::with(short_lived(short_child));
    let child = pair.child(End::B);
    let asked = refuse_for(&mut pair, &mut puppet, LIFE + 2 * OVERTIME, NotifyType::NO_ADDITIONAL_SAS);
    let (first, last) = (&asked[0], asked.last().unwrap());
    let create = |(_, chain): &(ExchangeType, PayloadChain)| match CreateChildRequest::parse(
        chain.first,
        &chain.bytes,
    )
    .unwrap()
    {
        CreateChildRequest::Child(request) => request.rekeys,
        CreateChildRequest::RekeyIke(_) => panic!("an IKE SA"),
    };
    assert_eq!(create(first), Some(child));
    let gone = asked.iter().filter(|(exchange, _)| *exchange == ExchangeType::Informational);
    assert_eq!(gone.flat_map(|(_, chain)| deleted(chain.first, &chain.bytes)).collect::<Vec<_>>(), [child]);
    let anew = asked.iter().filter(|(exchange, _)| *exchange == ExchangeType::CreateChildSa);
    assert!(anew.map(create).any(|rekeys| rekeys.is_none()), "{last:?}");
    assert_eq!(pair.b.standing().len(), 1);
}

#[test]
fn an_ike_sa_that_cannot_be_rekeyed_is_closed_with_its_children() {
    let (mut pair, mut puppet) = Puppet::with(short_lived(|connection| {
        connection.lifetimes = IkeLifetimes {
            rekey: Some(LIFE),
            overtime: OVERTIME,
            jitter: Duration::ZERO,
            ..IkeLifetimes::default()
        };
    }));
    let asked = refuse_for(&mut pair, &mut puppet, LIFE + 2 * OVERTIME, NotifyType::NO_ADDITIONAL_SAS);
    let (_, last) = asked.last().unwrap();
    let last = Informational::parse(last.first, &last.bytes).unwrap();
    assert_eq!(last.deletes, [Delete::Ike]);
    assert!(pair.b.installed.is_empty());
    assert_eq!(pair.b.endpoint.sas().filter(|sa| sa.phase() == Phase::Established).count(), 0);
}
