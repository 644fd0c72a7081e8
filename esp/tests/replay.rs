//! The anti-replay window against a model that remembers everything, in every order.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate_esp::replay::{Freshness, Replay, Window};

/// Remembers every number ever committed.
struct Model {
    top: u64,
    size: u64,
    seen: BTreeSet<u64>,
}

impl Model {
    fn new(size: u16) -> Self {
        Self { top: 0, size: size.into(), seen: BTreeSet::new() }
    }

    fn check(&self, number: u64) -> Result<(), Replay> {
        if number == 0 || u128::from(number) + u128::from(self.size) <= u128::from(self.top) {
            Err(Replay::TooOld)
        } else if self.seen.contains(&number) {
            Err(Replay::Duplicate)
        } else {
            Ok(())
        }
    }

    fn commit(&mut self, number: u64) -> Result<Freshness, Replay> {
        self.check(number)?;
        self.seen.insert(number);
        let before = self.top;
        self.top = before.max(number);
        Ok(match before {
            0 => Freshness::First,
            _ if number > before => Freshness::Newest,
            _ => Freshness::Late,
        })
    }

    /// RFC 4303 appendix A2.2 by its meaning: of all numbers with this low half the one that is not below
    /// the window and nearest to it.
    fn recover(&self, low: u32) -> Option<u64> {
        let bottom = (i128::from(self.top) - i128::from(self.size) + 1).max(-(1 << 32));
        let offset = (i128::from(low) - bottom).rem_euclid(1 << 32);
        u64::try_from(bottom + offset).ok()
    }
}

#[test]
fn the_window_agrees_with_the_model_over_millions_of_random_orders() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for size in [32, 33, 63, 64, 100, 1000, 1024, 4096, 8192] {
        for start in [1, 2000, (1 << 32) - 500, u64::MAX - 200_000] {
            let window = Window::new(size);
            let mut model = Model::new(size);
            for step in 0..60_000 {
                let base = if model.top == 0 { start } else { model.top };
                let number = match random.below(100) {
                    // In order, a little ahead, around the window's bottom, anywhere in it, a leap.
                    0..40 => base.saturating_add(1),
                    40..60 => base.saturating_add(random.below(8)),
                    60..75 => base.saturating_sub(u64::from(size) + 3 - random.below(6)),
                    75..99 => base.saturating_sub(random.below(u64::from(size) + 64)),
                    _ => base.saturating_add(random.below(3 * u64::from(size))),
                };
                assert_eq!(check(&window, number), model.check(number), "{size} {step} {number}");
                if random.below(8) > 0 {
                    assert_eq!(commit(&window, number), model.commit(number), "{size} {step} {number}");
                }
                assert_eq!(window.top(), model.top);
            }
        }
    }
}

// RFC 4303 appendix A2.2
#[test]
fn the_high_half_is_recovered_on_both_sides_of_every_wrap() {
    for size in [32, 1024, 8192] {
        for around in [0, 1 << 32, 2 << 32, 0xffff_ffff << 32] {
            for top in near(around, 2 * u64::from(size)) {
                let window = Window::new(size);
                let mut model = Model::new(size);
                if top > 0 {
                    commit(&window, top).unwrap();
                    model.commit(top).unwrap();
                }
                for number in near(around, 64).chain(near(top, 2 * u64::from(size))) {
                    assert_eq!(window.recover(number as u32), model.recover(number as u32), "{top:x}");
                }
            }
        }
    }
}

#[test]
fn what_a_sender_may_send_next_is_always_recovered() {
    let mut random = Random(7);
    for size in [0, 32, 1024, 8192] {
        let window = Window::new(size);
        let mut top = 0_u64;
        for _ in 0..200_000 {
            let number = top + 1 + random.below(1 << 30);
            assert_eq!(window.recover(number as u32), Some(number));
            commit(&window, number).unwrap();
            top = number;
            let late = top.saturating_sub(random.below(u64::from(size.max(1)))).max(1);
            assert_eq!(window.recover(late as u32), Some(late));
        }
        assert!(top > 1 << 46);
    }
}

#[test]
fn the_number_zero_never_comes() {
    for size in [0, 32, 1024] {
        let window = Window::new(size);
        assert_eq!(check(&window, 0), Err(Replay::TooOld));
        assert_eq!(commit(&window, 0), Err(Replay::TooOld));
    }
}

#[test]
fn the_last_number_there_is_can_come_once() {
    let window = Window::new(64);
    assert_eq!(commit(&window, u64::MAX), Ok(Freshness::First));
    assert_eq!(commit(&window, u64::MAX), Err(Replay::Duplicate));
    assert_eq!(commit(&window, u64::MAX - 63), Ok(Freshness::Late));
    assert_eq!(commit(&window, u64::MAX - 64), Err(Replay::TooOld));
}

#[test]
fn without_a_window_anything_may_come_again() {
    let window = Window::new(0);
    assert_eq!(commit(&window, 9), Ok(Freshness::First));
    assert_eq!(commit(&window, 9), Ok(Freshness::Late));
    assert_eq!(commit(&window, 1), Ok(Freshness::Late));
    assert_eq!(commit(&window, 10), Ok(Freshness::Newest));
}

#[test]
fn sizes_out_of_range_become_the_nearest_that_is_in_it() {
    let (small, large) = (Window::new(1), Window::new(u16::MAX));
    for window in [&small, &large] {
        commit(window, 100_000).unwrap();
    }
    assert_eq!((check(&small, 99_969), check(&small, 99_968)), (Ok(()), Err(Replay::TooOld)));
    assert_eq!((check(&large, 91_809), check(&large, 91_808)), (Ok(()), Err(Replay::TooOld)));
}

#[test]
fn of_several_threads_exactly_one_commits_a_number() {
    const NUMBERS: usize = 200_000;
    const THREADS: u64 = 4;
    let window = Window::new(1024);
    let commits: Vec<AtomicU32> = (0..=NUMBERS).map(|_| AtomicU32::new(0)).collect();
    let first = AtomicU32::new(0);

    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (window, commits, first) = (&window, &commits, &first);
            scope.spawn(move || {
                let mut random = Random(thread + 1);
                for number in 1..=NUMBERS as u64 {
                    // Every thread tries every number, in an order of its own within a part of the window.
                    let number = (number ^ random.below(256)).clamp(1, NUMBERS as u64);
                    if let Ok(freshness) = commit(window, number) {
                        commits[number as usize].fetch_add(1, Ordering::Relaxed);
                        first.fetch_add(u32::from(freshness == Freshness::First), Ordering::Relaxed);
                    }
                }
            });
        }
    });

    assert!(commits.iter().all(|count| count.load(Ordering::Relaxed) <= 1));
    assert_eq!(first.load(Ordering::Relaxed), 1);
    let committed: u32 = commits.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    assert!(committed as usize > NUMBERS / 2);
}

fn check(window: &Window, number: u64) -> Result<(), Replay> {
    window.check(number).map(|_| ())
}

fn commit(window: &Window, number: u64) -> Result<Freshness, Replay> {
    window.check(number)?.commit()
}

fn near(around: u64, reach: u64) -> impl Iterator<Item = u64> {
    let step = (reach / 97).max(1) as usize;
    (around.saturating_sub(reach)..around.saturating_add(reach)).step_by(step)
}

/// Steele and Vigna's splitmix64: small, and the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
