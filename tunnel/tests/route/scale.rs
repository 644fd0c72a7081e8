//! Many peers.

use crate::world::{World, pair};
use std::time::{Duration, Instant};
use tidegate::action::CaptureId;
use tidegate::route::Routes;

const MANY: u64 = 5000;

fn capture_many(world: &World, routes: &mut Routes, from: u64, to: u64) -> Duration {
    let pairs: Vec<_> = (from..to)
        .map(|id| {
            let remote = format!("10.{}.{}.0/24", 128 + id / 256, id % 256);
            (CaptureId(id), pair(&["10.1.0.0/24", "192.0.2.1"], &[&remote]))
        })
        .collect();
    world.node.run(|| {
        let start = Instant::now();
        for (id, pair) in &pairs {
            routes.capture(*id, pair).unwrap();
        }
        start.elapsed()
    })
}

/// The middle of several, as others use the machine too.
fn one_more_and_away(world: &World, routes: &mut Routes) -> Duration {
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let start = Instant::now();
            capture_many(world, routes, MANY + 1, MANY + 2);
            world.release(routes, MANY + 1);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[10]
}

#[test]
fn thousands_of_peers_are_captured_in_seconds_and_one_more_costs_the_same() {
    let Some(world) = World::new() else { return };
    let _tun = world.tun();
    let mut routes = world.open();
    capture_many(&world, &mut routes, 0, 10);
    let few = one_more_and_away(&world, &mut routes);
    let all = capture_many(&world, &mut routes, 10, MANY);
    let many = one_more_and_away(&world, &mut routes);
    eprintln!("{MANY} peers: {all:?}; one more and away: {few:?} among few, {many:?} among many");
    assert!(all < Duration::from_secs(20), "{all:?}");
    assert!(many < few * 5 + Duration::from_millis(2), "{few:?} {many:?}");
    // Rules do not grow with peers.
    assert!(world.node.ip("rule").lines().count() < 12);
    assert_eq!(world.node.way("10.140.7.9 from 10.1.0.5 iif pods"), "tidegate0");

    let start = Instant::now();
    drop(routes);
    let routes = world.open();
    eprintln!("adopted in {:?}", start.elapsed());
    assert_eq!(routes.dropped_in_clear(), Some(0));
    let start = Instant::now();
    world.node.run(|| routes.close());
    eprintln!("closed in {:?}", start.elapsed());
    assert_eq!(world.node.way("10.140.7.9 from 10.1.0.5 iif pods"), "wan");
}
