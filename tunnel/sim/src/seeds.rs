//! Which seeds a test runs.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs a simulation for each of `default` seeds from 0 on, on all cores. `TIDEGATE_SEEDS=N` runs N of them,
/// `TIDEGATE_SEED=N` the one seed N: that is how a failure is replayed, and each failure says so.
///
/// # Panics
/// When `run` panics for a seed, and when a variable holds no number.
pub fn for_each_seed(default: u64, run: impl Fn(u64) + Sync) {
    run_all(choose(default, |name| std::env::var(name).ok()), run);
}

fn run_all(seeds: Range<u64>, run: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let _blame = Blame { seed, end: seeds.end, next: &next };
            run(seed);
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
}

fn choose(default: u64, variable: impl Fn(&str) -> Option<String>) -> Range<u64> {
    let number = |name| variable(name).map(|text| text.parse::<u64>().expect("a number of seeds"));
    match (number("TIDEGATE_SEED"), number("TIDEGATE_SEEDS")) {
        (Some(seed), _) => seed..seed.saturating_add(1),
        (None, Some(count)) => 0..count,
        (None, None) => 0..default,
    }
}

/// Names the seed when its run panics, and keeps the others from starting.
struct Blame<'a> {
    seed: u64,
    end: u64,
    next: &'a AtomicU64,
}

impl Drop for Blame<'_> {
    #[expect(clippy::print_stderr, reason = "the harness shows it under the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.next.store(self.end, Ordering::Relaxed);
            eprintln!("TIDEGATE_SEED={} replays this failure", self.seed);
        }
    }
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
    fn variables_choose_how_many_or_which_one() {
        let with = |set: &'static [(&str, &str)]| {
            choose(7, move |name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(with(&[]), 0..7);
        assert_eq!(with(&[("TIDEGATE_SEEDS", "50")]), 0..50);
        assert_eq!(with(&[("TIDEGATE_SEED", "33"), ("TIDEGATE_SEEDS", "50")]), 33..34);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_seed_that_fails_fails_the_test() {
        run_all(0..10, |seed| assert_ne!(seed, 5));
    }
}
