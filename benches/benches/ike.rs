//! Complete handshakes with a child, each end by itself, and the arithmetic in them.
//!
//! What is timed is one end's calls and its jobs; the other end's work is not in it. Whoever wants ratios
//! takes `ike_report`, which measures everything in turn.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;
use tidegate_benches::ike::{Credentials, Pair};
use tidegate_benches::meter::{Stopwatch, Unwatched};
use tidegate_benches::raw::{self, Signer};

criterion_group!(benches, responder, initiator, arithmetic);
criterion_main!(benches);

/// Handshakes that go back and forth together.
const BATCH: u32 = 16;

fn responder(c: &mut Criterion) {
    let mut group = c.benchmark_group("handshake/responder");
    for credentials in Credentials::ALL {
        group.bench_function(credentials.name(), |b| {
            b.iter_custom(|handshakes| {
                batches(handshakes, || {
                    let mut pair = Pair::new(credentials, BATCH, Unwatched, Stopwatch::default());
                    pair.establish(BATCH);
                    pair.responder.meter.lap()
                })
            });
        });
    }
}

fn initiator(c: &mut Criterion) {
    let mut group = c.benchmark_group("handshake/initiator");
    for credentials in Credentials::ALL {
        group.bench_function(credentials.name(), |b| {
            b.iter_custom(|handshakes| {
                batches(handshakes, || {
                    let mut pair = Pair::new(credentials, BATCH, Stopwatch::default(), Unwatched);
                    pair.establish(BATCH);
                    pair.initiator.meter.lap()
                })
            });
        });
    }
}

fn arithmetic(c: &mut Criterion) {
    let mut group = c.benchmark_group("arithmetic");
    group.bench_function("x25519", |b| b.iter(raw::agree));
    for credentials in Credentials::ALL {
        let Some(signer) = Signer::of(credentials) else { continue };
        group.bench_function(format!("sign/{}", credentials.name()), |b| b.iter(|| signer.sign()));
        group.bench_function(format!("verify/{}", credentials.name()), |b| b.iter(|| signer.verify()));
    }
}

/// The time of so many handshakes, made in whole batches.
fn batches(handshakes: u64, mut batch: impl FnMut() -> Duration) -> Duration {
    let rounds = handshakes.div_ceil(BATCH.into()).max(1);
    let spent: Duration = (0..rounds).map(|_| batch()).sum();
    let made = rounds * u64::from(BATCH);
    spent.mul_f64(handshakes as f64 / made as f64)
}
