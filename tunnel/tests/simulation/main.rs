//! Meshes through hours of everything: NATs, partitions, crashes, machines that sleep, clocks that jump, networks
//! that lose, double, reorder and damage, and an adversary who sees and forges all that is on the wire.
//!
//! A run is drawn from its seed. It begins with a storm (`mishaps.rs`), in which a judge sees every datagram on the
//! wire and every inner packet that is let in (`judge.rs`); from time to time everything is looked through
//! (`inspect.rs`). Then it is calm, all have to find each other again, and in the end everything goes.
//!
//! - `TIDEGATE_SEEDS` sets how many seeds a run takes and `TIDEGATE_FIRST` where it begins, `TIDEGATE_SEED` runs one
//!   of them, and `TIDEGATE_TRACE=1` tells what happens in it.
//! - The long one is run by hand: `cargo test --release -p tidegate --test simulation -- --ignored --nocapture`.

#![allow(
    unreachable_pub,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test binary: it is told its seeds by the environment, and may tell its run"
)]

mod adversary;
mod forge;
mod identities;
mod inspect;
mod judge;
mod mishaps;
mod node;
mod recipe;
mod totals;
mod world;

use recipe::Scale;
use tidegate_alloc::Counting;
use tidegate_sim::for_each_seed;
use totals::Totals;
use world::{Report, World};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SMALL: Scale = Scale { nodes: (5, 12), minutes: (10, 20) };
const LARGE: Scale = Scale { nodes: (50, 50), minutes: (60, 240) };

/// All of a large mesh, for a little while.
const BRIEF: Scale = Scale { nodes: (50, 50), minutes: (10, 10) };

/// How many a run takes unless it is told otherwise.
const SMALL_SEEDS: u64 = 12;
const LARGE_SEEDS: u64 = 1000;

#[test]
fn a_small_mesh_outlives_everything_and_is_whole_again() {
    let totals = Totals::new();
    for_each_seed(SMALL_SEEDS, |seed| totals.add(&run(seed, SMALL)));
    totals.print();
}

#[test]
fn a_mesh_of_50_outlives_ten_minutes_of_everything_and_is_whole_again() {
    let totals = Totals::new();
    for_each_seed(1, |seed| totals.add(&run(seed, BRIEF)));
    totals.print();
}

#[test]
#[ignore = "thousands of seeds by hours: to be run by hand, in release"]
fn a_mesh_of_50_outlives_hours_of_everything_and_is_whole_again() {
    let totals = Totals::new();
    for_each_seed(LARGE_SEEDS, |seed| totals.add(&run(seed, LARGE)));
    totals.print();
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scale = Scale { nodes: (6, 6), minutes: (5, 5) };
    // Keys of certificates are drawn anew by each process, and once in it.
    for seed in 0..2 {
        assert_eq!(run(seed, scale), run(seed, scale), "seed {seed}");
    }
}

fn run(seed: u64, scale: Scale) -> Report {
    let mut world = World::new(seed, scale);
    world.storm();
    world.calm();
    world.assert_recovers();
    world.assert_everything_goes();
    world.assert_light();
    world.report()
}
