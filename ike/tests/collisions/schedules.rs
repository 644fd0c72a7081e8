//! Every pair of exchanges in every schedule.

use crate::explorer::{Scenario, extra_depth, with_losses};
use crate::world::{Act, Pfs};

/// What A begins. Other children than these are in no other case than B's.
const OURS: [Act; 6] = [
    Act::Create("three"),
    Act::Rekey("net"),
    Act::Delete("net"),
    Act::RekeyIke,
    Act::DeleteIke,
    Act::Liveness,
];

/// What B begins, about the same thing or another.
const THEIRS: [Act; 9] = [
    Act::Create("three"),
    Act::Create("four"),
    Act::Rekey("net"),
    Act::Rekey("two"),
    Act::Delete("net"),
    Act::Delete("two"),
    Act::RekeyIke,
    Act::DeleteIke,
    Act::Liveness,
];

/// Every ordered pair. Two rekeys of the same thing are seen twice, so that either end's nonces win.
fn each_pair(mut explore: impl FnMut(Act, Act, u64) -> Result<usize, String>) {
    let mut failed = Vec::new();
    for a in OURS {
        for b in THEIRS {
            let decided_by_nonces = a == b && matches!(a, Act::Rekey(_) | Act::RekeyIke);
            let seeds: &[u64] = if decided_by_nonces { &[7, 8, 9] } else { &[7] };
            failed.extend(seeds.iter().filter_map(|seed| explore(a, b, *seed).err()));
        }
    }
    assert!(failed.is_empty(), "{} pairs\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn both_ends_agree_after_every_crossing_with_a_loss() {
    each_pair(|a, b, seed| Scenario { seed, ..Scenario::crossing(a, b) }.explore());
}

#[test]
fn both_ends_agree_whenever_the_second_begins() {
    each_pair(|a, b, seed| Scenario { seed, late: true, ..Scenario::crossing(a, b) }.explore());
}

#[test]
fn both_ends_agree_in_whatever_order_arithmetic_is_done() {
    let depth = 7 + extra_depth();
    each_pair(|a, b, seed| {
        let crossing = Scenario::crossing(a, b);
        Scenario { seed, pfs: Pfs::With, losses: 0, waits: 0, depth, ..crossing }.explore()
    });
}

#[test]
fn both_ends_agree_while_packets_flow() {
    each_pair(|a, b, seed| Scenario { seed, talking: true, losses: 0, ..Scenario::crossing(a, b) }.explore());
}

#[test]
fn both_ends_agree_after_the_loss_of_each_message_once_and_twice() {
    for a in OURS {
        for b in THEIRS {
            let messages = with_losses(a, b, &[]).unwrap();
            for message in 0..messages {
                for times in 1..=2 {
                    with_losses(a, b, &[(message, times)]).unwrap();
                }
            }
        }
    }
}

#[test]
fn both_ends_agree_after_the_loss_of_any_two_messages() {
    for a in OURS {
        for b in THEIRS {
            let messages = with_losses(a, b, &[]).unwrap();
            for first in 0..messages {
                // A loss makes new messages, so that there may be more than without.
                for second in first + 1..messages + 2 {
                    with_losses(a, b, &[(first, 1), (second, 1)]).unwrap();
                }
            }
        }
    }
}
