//! Peers that speak MOBIKE and come from elsewhere than they have said (RFC 4555 §3.7, §3.8, §3.12).

use crate::bench::{
    Nat, closings, cut, kind, moves, outbound, pair_with, path, run_by, secs, settle_by, straight,
};
use crate::mobike::{A2, A3, INFORM, assert_on, behind, esp, mobile, plain, run, seen_by_b};
use crate::support::{A, B, End, Pair, mirrored};
use std::net::{IpAddr, SocketAddr};
use tidegate_ike::wire::ExchangeType;
use tidegate_ike::{Cause, DataEvent, Path, Transmit};

/// B hears ESP of A's from there.
fn esp_comes(pair: &mut Pair, remote: SocketAddr) {
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.handle_data(now, DataEvent::Activity { child, remote }));
}

fn at(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, 4500)
}

/// A wire on which nothing gets to this address.
fn never_to(dead: IpAddr) -> impl FnMut(End, &Transmit) -> Option<Path> {
    move |_, transmit| (transmit.path.remote.ip() != dead).then(|| mirrored(&transmit.path))
}

/// Somebody is faster than A's IKE_AUTH with a copy of it that has A3 for its source: B takes A to be there.
fn shown_elsewhere(seed: u64, change: impl Fn(End, &mut tidegate_ike::Connection)) -> Pair {
    let mut pair = pair_with(seed, |end, connection| {
        mobile(end, connection);
        change(end, connection);
    });
    pair.initiate(End::A);
    let mut shown = false;
    run_by(&mut pair, secs(2), &mut |from, transmit| {
        let mut seen = never_to(A3)(from, transmit)?;
        if !shown && kind(transmit) == (ExchangeType::IkeAuth, false) {
            shown = true;
            seen.remote = at(A3);
        }
        Some(seen)
    });
    assert_eq!((pair.a.standing().len(), pair.b.standing().len()), (1, 1));
    assert_eq!((path(&mut pair, End::B).remote, esp(&pair.b)), (at(A3), (B, A3)));
    pair
}

#[test]
fn a_peer_that_answers_where_it_was_stays_there() {
    let mut pair = plain(1);
    for _ in 0..20 {
        esp_comes(&mut pair, at(A2));
        run(&mut pair, 1, &mut straight);
    }
    assert_on(&mut pair, A, B);
    assert!(moves(&pair.b).is_empty());
}

#[test]
fn a_peer_from_elsewhere_is_asked_where_it_was_and_seldom() {
    let mut pair = plain(2);
    let mut asked = Vec::new();
    for _ in 0..20 {
        esp_comes(&mut pair, at(A2));
        run(&mut pair, 1, &mut |from, transmit| {
            let question = from == End::B && kind(transmit) == INFORM;
            asked.extend(question.then_some(transmit.path.remote));
            straight(from, transmit)
        });
    }
    assert_eq!(asked, [at(A); 4]);
}

#[test]
fn esp_from_where_it_belongs_raises_no_question() {
    let mut pair = plain(3);
    // Without UDP it comes from no port.
    for port in [4500, 0] {
        esp_comes(&mut pair, SocketAddr::new(A, port));
        assert!(pair.b.sent.is_empty());
    }
    // And from elsewhere nobody could be asked there.
    esp_comes(&mut pair, SocketAddr::new(A2, 0));
    assert!(pair.b.sent.is_empty());
}

#[test]
fn a_peer_whose_ike_auth_was_shown_elsewhere_is_found_by_its_esp() {
    // B: N(COOKIE2), to A3, three times ──▶          nobody
    // B: the same, to A                 ──▶
    //                                   ◀── N(COOKIE2)
    // B: another N(COOKIE2), to A       ──▶
    //                                   ◀── N(COOKIE2)     B: ESP moves
    let mut pair = shown_elsewhere(4, |_, _| {});
    esp_comes(&mut pair, at(A));
    let mut asked = Vec::new();
    run(&mut pair, 5, &mut |from, transmit| {
        let question = from == End::B && kind(transmit) == INFORM;
        asked.extend(question.then_some(transmit.path.remote.ip()));
        never_to(A3)(from, transmit)
    });
    assert_eq!(asked, [A3, A3, A3, A, A]);
    assert_on(&mut pair, A, B);
    assert_eq!(moves(&pair.b).iter().map(|path| path.remote).collect::<Vec<_>>(), [at(A)]);
    assert!(pair.a.failures().is_empty() && pair.b.failures().is_empty());
}

#[test]
fn esp_does_not_move_before_a_question_was_answered_that_went_nowhere_else() {
    let mut pair = shown_elsewhere(5, |_, _| {});
    esp_comes(&mut pair, at(A));
    let mut answers = 0;
    run(&mut pair, 5, &mut |from, transmit| {
        answers += u32::from(from == End::A);
        (answers < 2).then(|| never_to(A3)(from, transmit)).flatten()
    });
    assert!(answers >= 2);
    assert_eq!(esp(&pair.b), (B, A3));
    run(&mut pair, 10, &mut never_to(A3));
    assert_on(&mut pair, A, B);
}

#[test]
fn esp_never_goes_where_nobody_answers() {
    // What came from A2 was a copy, and A has gone too.
    let mut pair = plain(6);
    esp_comes(&mut pair, at(A2));
    let mut asked = Vec::new();
    for _ in 0..29 {
        run(&mut pair, 1, &mut |_, transmit| {
            asked.push(transmit.path.remote.ip());
            cut(End::B, transmit)
        });
        assert_eq!(esp(&pair.b), (B, A));
    }
    assert!(asked.contains(&A2) && asked.contains(&A), "either in turn: {asked:?}");
    run(&mut pair, 2, &mut cut);
    assert_eq!(closings(&pair.b)[0].cause, Cause::Unanswered { waited: secs(30) });
}

#[test]
fn a_peer_that_a_nat_maps_anew_is_followed_before_it_notices() {
    let nat = Nat::before(End::A);
    let mut pair = behind(nat);
    run(&mut pair, 1, &mut nat.wire());
    let rebound = Nat { shift: 31_000, ..nat };
    let outside = SocketAddr::new(nat.outside, 35_500);
    esp_comes(&mut pair, outside);
    let mut wire = rebound.wire();
    run(&mut pair, 5, &mut |from, transmit| {
        let forgotten = from == End::B && transmit.path.remote != outside;
        if forgotten { None } else { wire(from, transmit) }
    });
    assert_eq!(seen_by_b(&mut pair), [outside; 2]);
    pair.assert_agree();
}

#[test]
fn an_update_is_believed_before_all_else() {
    let mut pair = shown_elsewhere(7, |_, _| {});
    esp_comes(&mut pair, at(A));
    pair.with(End::A, |endpoint, now| endpoint.set_local_addresses(now, vec![A2]));
    settle_by(&mut pair, &mut never_to(A3));
    run(&mut pair, 10, &mut never_to(A3));
    assert_on(&mut pair, A2, B);
}

#[test]
fn what_comes_from_elsewhere_is_no_sign_of_life() {
    // RFC 4555 §3.12: A asks and is answered, and B's own questions go to nobody.
    let liveness = |end, connection: &mut tidegate_ike::Connection| {
        connection.liveness = Some(secs(if end == End::A { 4 } else { 10 }));
    };
    let mut pair = shown_elsewhere(8, liveness);
    run(&mut pair, 35, &mut never_to(A3));
    assert!(closings(&pair.b).is_empty());
    run(&mut pair, 10, &mut never_to(A3));
    assert_eq!(closings(&pair.b)[0].cause, Cause::Unanswered { waited: secs(30) });
}

#[test]
fn the_initiator_asks_nobody_where_the_responder_is() {
    let mut pair = plain(9);
    let child = pair.child(End::A);
    let activity = DataEvent::Activity { child, remote: at(A2) };
    pair.with(End::A, |endpoint, now| endpoint.handle_data(now, activity));
    assert!(pair.a.sent.is_empty());
    // But it is no sign of life either.
    run(&mut pair, 9, &mut straight);
    let activity = DataEvent::Activity { child, remote: at(A2) };
    pair.with(End::A, |endpoint, now| endpoint.handle_data(now, activity));
    pair.sleep(secs(2));
    assert_eq!(kind(&pair.a.sent[0]), INFORM);
    assert_eq!(outbound(&pair.a).path.remote.ip(), B);
}
