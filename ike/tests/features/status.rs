//! What there is to be seen of an IKE SA and its children, and when nothing is left to be seen.

use crate::bench::{established_with, pair_with, secs};
use crate::support::{B, End};
use tidegate_ike::endpoint::{ChildStatus, SuiteIds};
use tidegate_ike::proposal::{EspProposal, IkeProposal};
use tidegate_ike::{Event, Role};

#[test]
fn algorithms_are_written_as_in_proposals_and_known_by_their_ids() {
    let (ike, esp) = ("aes256-sha384-prfsha384-ecp384", "aes128gcm16-x25519-esn");
    let mut pair = established_with(1, |_, connection| {
        connection.proposals = IkeProposal::parse_list(ike).unwrap();
        let child = std::sync::Arc::make_mut(&mut connection.children[0]);
        child.proposals = EspProposal::parse_list(esp).unwrap();
    });
    let sa = pair.sa(End::A);
    let algorithms = pair.a.endpoint.status(sa).unwrap().algorithms().unwrap();
    assert_eq!(algorithms.to_string(), ike);
    let ids = SuiteIds { encryption: 12, key_bits: Some(256), integrity: Some(13) };
    assert_eq!(SuiteIds::of(algorithms.suite), ids);
    let child_of = |pair: &crate::support::Pair| {
        let child = pair.a.endpoint.status(sa).unwrap().children().find(ChildStatus::is_current).unwrap();
        (child.algorithms().to_string(), child.role())
    };
    assert_eq!(child_of(&pair), ("aes128gcm16-esn".to_owned(), Role::Initiator), "IKE_AUTH has no group");
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    pair.settle();
    assert_eq!(child_of(&pair), (esp.to_owned(), Role::Responder));
}

#[test]
fn times_are_told_from_the_beginning_to_the_next_keys() {
    let mut pair = pair_with(2, |_, connection| connection.lifetimes.jitter = secs(0));
    let began = pair.now;
    pair.initiate(End::A);
    for from in [End::A, End::B, End::A, End::B] {
        pair.sleep(secs(1) / 10);
        assert!(pair.pass(from));
    }
    pair.settle();
    let sa = pair.sa(End::A);
    let status = pair.a.endpoint.status(sa).unwrap();
    assert_eq!(status.began(), began);
    assert_eq!(status.opened().since(began), secs(4) / 10);
    assert_eq!(status.round_trip(), Some(secs(2) / 10));
    let rekey = pair_lifetime(&pair);
    assert_eq!(status.rekey_at(), Some(status.opened() + rekey));
    assert_eq!(status.reauthentication_at(), None);
    let child = status.children().next().unwrap();
    assert!(child.rekey_at().is_some_and(|at| at > pair.now));
    assert!(status.nat().is_some());
}

fn pair_lifetime(pair: &crate::support::Pair) -> std::time::Duration {
    let sa = pair.a.endpoint.sas().next().unwrap();
    sa.connection().unwrap().lifetimes.rekey.unwrap()
}

#[test]
fn an_ike_sa_is_gone_when_the_peer_has_agreed_and_not_before() {
    let mut pair = established_with(3, |_, _| {});
    let sa = pair.sa(End::A);
    let gone = |pair: &crate::support::Pair| pair.a.events.contains(&Event::IkeGone { sa });
    pair.with(End::A, |endpoint, now| endpoint.terminate(now, sa)).unwrap();
    assert!(!gone(&pair));
    pair.settle();
    assert!(gone(&pair));
    assert!(pair.a.endpoint.status(sa).is_none());
}

#[test]
fn whoever_begins_and_lets_it_lie_is_told_of_by_no_event() {
    let mut pair = pair_with(4, |_, _| {});
    pair.initiate(End::A);
    assert!(pair.pass(End::A));
    pair.a.sent.clear();
    pair.b.sent.clear();
    let half_open = pair.b.endpoint.sas().next().unwrap().path().local.ip();
    assert_eq!(half_open, B);
    while !pair.b.endpoint.is_empty() {
        pair.sleep(secs(5));
        pair.a.sent.clear();
        pair.b.sent.clear();
    }
    assert!(!pair.b.events.iter().any(|event| matches!(event, Event::IkeGone { .. })));
}
