//! What brings two ends together again that no longer hold the same: TEMPORARY_FAILURE, refusals,
//! silence (RFC 7296 §2.4, §2.25).

use crate::support::{End, Pair, child, connection};
use crate::world::{Act, Pfs, World};
use std::sync::Arc;
use std::time::Duration;
use tidegate_ike::connection::{ChildConfig, Connection};
use tidegate_ike::proposal::EspProposal;
use tidegate_ike::{Cause, Event};

/// Two ends whose requests meet again and again would refuse each other for ever; a random wait parts them.
#[test]
fn two_ends_that_put_each_other_off_do_not_do_it_for_ever() {
    for seed in 20..40 {
        let mut world = World::new(seed, Pfs::Without);
        world.begin(End::A, Act::RekeyIke);
        world.begin(End::B, Act::Rekey("net"));
        for end in [End::A, End::B, End::A, End::B] {
            world.pass(end);
        }
        assert!(world.pair.a.sent.is_empty() && world.pair.b.sent.is_empty());
        let begun = world.pair.now;
        world.settle();
        for end in [End::A, End::B] {
            let told = world
                .told(end, |event| matches!(event, Event::ChildRekeyed { .. } | Event::IkeRekeyed { .. }));
            assert_eq!(told, 2, "both were done in the end");
        }
        assert!(world.pair.now.since(begun) < Duration::from_secs(600));
        world.assert_settles(&[]);
    }
}

/// PFS on one side only: the rekey fails with its verdict, the child goes on, and it is tried again later.
#[test]
fn a_refused_rekey_leaves_the_child_standing() {
    let with = |end, proposals: &str| {
        let proposals = EspProposal::parse_list(proposals).unwrap();
        let children = vec![Arc::new(ChildConfig { proposals, ..child(end) })];
        Connection { children, ..connection(end) }
    };
    let mut pair = Pair::new(5, with(End::A, "aes128gcm16-x25519"), with(End::B, "aes128gcm16"));
    pair.set_up();
    let old = pair.child(End::A);
    pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, old)).unwrap();
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.child(End::A), old);
    pair.assert_agree();
    let verdict =
        pair.a.failures().into_iter().any(|verdict| matches!(verdict.cause, Cause::PfsRefused { .. }));
    assert!(verdict, "{:?}", pair.a.events);
}

/// A peer that is gone without a word is noticed, whatever was under way, and nothing is left of it.
#[test]
fn a_peer_that_vanishes_in_any_exchange_leaves_nothing_behind() {
    let acts = [
        Act::Create("three"),
        Act::Rekey("net"),
        Act::Delete("net"),
        Act::RekeyIke,
        Act::DeleteIke,
        Act::Liveness,
    ];
    for act in acts {
        for arrived in 0..4 {
            let mut world = World::new(7, Pfs::With);
            world.may_break();
            world.begin(End::A, act);
            for step in 0..arrived {
                let end = if step % 2 == 0 { End::A } else { End::B };
                if !world.pair.host(end).sent.is_empty() {
                    world.pass(end);
                }
            }
            // A has something to say that only B can answer.
            world.begin(End::A, Act::Liveness);
            for _ in 0..40 {
                world.pair.b.sent.clear();
                world.pair.a.sent.clear();
                world.pair.sleep(Duration::from_secs(5));
            }
            let a = &world.pair.a;
            if a.endpoint.is_empty() {
                assert!(a.installed.is_empty(), "{act:?} after {arrived}");
                assert_eq!(a.endpoint.resources(), [0, 0, 0], "{act:?} after {arrived}");
            } else {
                // It had nothing to wait for: without liveness checks nobody notices.
                assert!(a.endpoint.sas().all(|sa| sa.is_quiet()), "{act:?} after {arrived}");
            }
        }
    }
}
