//! Which seeds a test runs.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs a simulation for each of `default` seeds from 0 on, on all cores. `TIDEGATE_SEEDS=N` runs N of them,
/// `TIDEGATE_FIRST=N` begins at N, and `TIDEGATE_SEED=N` runs the one seed N: that is how a failure is replayed.
///
/// # Panics
/// When `run` has panicked for any seed, once all have run, with the seeds that failed; and when a variable
/// holds no number.
pub fn for_each_seed(default: u64, run: impl Fn(u64) + Sync) {
    run_all(choose(default, |name| std::env::var(name).ok()), run);
}

fn choose(default: u64, variable: impl Fn(&str) -> Option<String>) -> Range<u64> {
    let number = |name| variable(name).map(|text| text.parse::<u64>().expect("a number of seeds"));
    if let Some(seed) = number("TIDEGATE_SEED") {
        return seed..seed.saturating_add(1);
    }
    let first = number("TIDEGATE_FIRST").unwrap_or(0);
    first..first.saturating_add(number("TIDEGATE_SEEDS").unwrap_or(default))
}

fn run_all(seeds: Range<u64>, run: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return failed;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
                failed.push((seed, message(panic.as_ref())));
            }
        }
    };
    let mut failed: Vec<(u64, String)> = std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("panics are caught")).collect()
    });
    failed.sort_unstable();
    let shown = failed.iter().take(SHOWN).map(|(seed, why)| format!("\nTIDEGATE_SEED={seed}: {why}"));
    let (count, all) = (failed.len(), seeds.end - seeds.start);
    assert!(failed.is_empty(), "{count} of {all} seeds failed:{}", shown.collect::<String>());
}

/// How many failures are told in full.
const SHOWN: usize = 10;

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").lines().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn every_seed_runs_once() {
        let seen = Mutex::new(Vec::new());
        run_all(3..100, |seed| seen.lock().expect("no run panics").push(seed));
        let mut seen = seen.into_inner().expect("no run panics");
        seen.sort_unstable();
        assert!(seen.into_iter().eq(3..100));
    }

    #[test]
    fn variables_choose_how_many_from_where_or_which_one() {
        let with = |set: &'static [(&str, &str)]| {
            choose(7, move |name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(with(&[]), 0..7);
        assert_eq!(with(&[("TIDEGATE_SEEDS", "50")]), 0..50);
        assert_eq!(with(&[("TIDEGATE_FIRST", "100")]), 100..107);
        assert_eq!(with(&[("TIDEGATE_FIRST", "100"), ("TIDEGATE_SEEDS", "50")]), 100..150);
        let all = &[("TIDEGATE_SEED", "33"), ("TIDEGATE_SEEDS", "50"), ("TIDEGATE_FIRST", "100")];
        assert_eq!(with(all), 33..34);
    }

    #[test]
    fn the_seeds_that_fail_are_named_and_the_others_run_on() {
        let ran = AtomicU64::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            run_all(0..10, |seed| {
                ran.fetch_add(1, Ordering::Relaxed);
                assert!(seed % 4 != 1, "no good");
            });
        }));
        let why = message(outcome.expect_err("seeds 1, 5 and 9 fail").as_ref());
        assert_eq!(why, "3 of 10 seeds failed: TIDEGATE_SEED=1: no good TIDEGATE_SEED=5: no good");
        assert_eq!(ran.into_inner(), 10);
    }
}
