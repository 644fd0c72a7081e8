//! The window's commit under a model checker, which tries every interleaving of a few threads.
//!
//! The source is compiled a second time here, with the checker's atomics in place of the real ones.

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[allow(dead_code, unreachable_pub)]
#[path = "../src/replay.rs"]
mod replay;

use loom::sync::Arc;
use loom::thread;
use replay::{Claim, Freshness, Replay, Window};

#[test]
fn a_number_is_committed_once_whoever_else_commits() {
    loom::model(|| {
        let results = commit_from_threads([[5, 6], [6, 5]]);
        for number in [5, 6] {
            assert_eq!(results.iter().filter(|(n, result)| *n == number && result.is_ok()).count(), 1);
        }
    });
}

#[test]
fn a_block_claimed_for_a_newer_round_forgets_and_never_forgives() {
    // The smallest ring has two blocks, so 5, 69 and 133 fight for one word.
    loom::model(|| {
        let results = commit_from_threads([[5, 69], [133, 5]]);
        for number in [5, 69, 133] {
            assert!(results.iter().filter(|(n, result)| *n == number && result.is_ok()).count() <= 1);
        }
        assert!(
            results.contains(&(133, Ok(Freshness::Newest))) || results.contains(&(133, Ok(Freshness::First)))
        );
        let refused = results.iter().filter(|(n, result)| *n == 5 && result.is_err());
        assert!(refused.count() >= 1);
    });
}

#[test]
fn the_first_packet_is_told_once() {
    loom::model(|| {
        let results = commit_from_threads([[1, 2], [3, 4]]);
        let first = results.iter().filter(|(_, result)| *result == Ok(Freshness::First));
        assert_eq!(first.count(), 1);
        assert!(results.iter().all(|(_, result)| result.is_ok()));
    });
}

type Outcome = (u64, Result<Freshness, Replay>);

fn commit_from_threads(numbers: [[u64; 2]; 2]) -> Vec<Outcome> {
    let window = Arc::new(Window::new(32));
    let threads = numbers.map(|numbers| {
        let window = Arc::clone(&window);
        thread::spawn(move || numbers.map(|number| (number, window.check(number).and_then(Claim::commit))))
    });
    let mut results = Vec::new();
    for thread in threads {
        match thread.join() {
            Ok(outcomes) => results.extend(outcomes),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    results
}
