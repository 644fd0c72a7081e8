//! The figures that IKE is held to, as ratios within one run.
//!
//! ```text
//! cargo bench --bench ike_report                       rates, then cost by held SAs
//! cargo bench --bench ike_report -- rates
//! cargo bench --bench ike_report -- held
//! cargo bench --bench ike_report -- profile responder psk 1000
//!     sets up 1,000 SAs; the end's own part is what happens in `watched`, for callgrind's --toggle-collect
//! ```
#![allow(missing_docs, clippy::print_stdout, reason = "a report is printed")]

use std::time::Duration;
use tidegate_benches::ike::{Credentials, Pair};
use tidegate_benches::meter::{Marked, Stopwatch, Unwatched, time};
use tidegate_benches::raw::{self, Signer};

/// Handshakes that go back and forth together.
const BATCH: u32 = 16;
const ROUNDS: usize = 61;
const HELD: [u32; 4] = [1, 1_000, 10_000, 50_000];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            rates();
            held();
        }
        ["rates"] => rates(),
        ["held"] => held(),
        ["profile", end, credentials, count] => profile(end, credentials, count),
        _ => println!("rates, held, or profile END CREDENTIALS COUNT"),
    }
}

/// What one round measures, per handshake.
struct Round {
    responder: Duration,
    initiator: Duration,
    sign: Duration,
    verify: Duration,
    agree: Duration,
}

fn rates() {
    println!("handshakes with a child, a core-second; medians of {ROUNDS} rounds\n");
    println!(
        "{:<11}{:>11}{:>11}{:>9}{:>10}{:>10}{:>12}",
        "", "responder", "initiator", "x25519", "sign", "verify", "arithmetic"
    );
    // The peer's AUTH is verified, and the signature of its certificate.
    let whole: fn(&Round) -> Duration = |r| r.agree + r.sign + 2 * r.verify;
    for credentials in Credentials::ALL {
        let rounds: Vec<Round> = (0..ROUNDS).map(|_| round(credentials)).collect();
        let median = |of: fn(&Round) -> Duration| median(rounds.iter().map(of).collect());
        println!(
            "{:<11}{:>11}{:>11}{:>9}{:>10}{:>10}{:>12}",
            credentials.name(),
            rate(median(|r| r.responder)),
            rate(median(|r| r.initiator)),
            rate(median(|r| r.agree)),
            rate(median(|r| r.sign)),
            rate(median(|r| r.verify)),
            rate(median(whole)),
        );
        let share = |of: fn(&Round) -> Duration, end: fn(&Round) -> Duration| {
            let mut shares: Vec<f64> =
                rounds.iter().map(|round| of(round).as_secs_f64() / end(round).as_secs_f64()).collect();
            shares.sort_by(f64::total_cmp);
            100.0 * shares[shares.len() / 2]
        };
        for (end, spent) in
            [("responder", (|r| r.responder) as fn(&Round) -> Duration), ("initiator", |r| r.initiator)]
        {
            println!("  {end}: {:.0}% of the rate of all arithmetic in it", share(whole, spent));
            if credentials != Credentials::Psk {
                println!(
                    "  {end}: {:.0}% of the rate of signing, {:.0}% of that of signing and verifying",
                    share(|r| r.sign, spent),
                    share(|r| r.sign + 2 * r.verify, spent),
                );
            }
        }
    }
    println!();
}

fn round(credentials: Credentials) -> Round {
    let mut pair = Pair::new(credentials, 2 * BATCH, Stopwatch::default(), Stopwatch::default());
    // The first ones find cold caches and empty tables.
    pair.establish(BATCH);
    pair.forget();
    pair.establish(BATCH);
    let signer = Signer::of(credentials);
    let each = |act: &dyn Fn()| time(BATCH, act) / BATCH;
    Round {
        responder: pair.responder.meter.lap() / BATCH,
        initiator: pair.initiator.meter.lap() / BATCH,
        sign: signer.as_ref().map_or(Duration::ZERO, |signer| each(&|| drop(signer.sign()))),
        verify: signer.as_ref().map_or(Duration::ZERO, |signer| each(&|| signer.verify())),
        agree: each(&raw::agree),
    }
}

/// Pairs of each size take turns, so that all of them see the same machine.
fn held() {
    let room = BATCH * u32::try_from(ROUNDS).unwrap_or(u32::MAX);
    let fresh = |peers| Pair::new(Credentials::Psk, peers, Stopwatch::default(), Stopwatch::default());
    let mut pairs: Vec<_> = HELD
        .map(|held| {
            let mut pair = fresh(held + room);
            for _ in 0..held / 50 {
                pair.establish(50);
            }
            pair
        })
        .into_iter()
        .collect();
    let mut spent = vec![(Vec::new(), Vec::new()); HELD.len()];
    for _ in 0..ROUNDS {
        for (pair, spent) in pairs.iter_mut().zip(&mut spent) {
            pair.forget();
            pair.establish(BATCH);
            spent.0.push(pair.responder.meter.lap() / BATCH);
            spent.1.push(pair.initiator.meter.lap() / BATCH);
        }
        // Ever anew, or it would not stay small.
        pairs[0] = fresh(BATCH + HELD[0]);
        pairs[0].establish(HELD[0]);
    }
    println!("psk, microseconds a handshake by SAs held; medians of {ROUNDS} rounds in turn\n");
    println!("{:>8}{:>11}{:>7}{:>11}{:>7}", "held", "responder", "ratio", "initiator", "ratio");
    let spent: Vec<_> = spent.into_iter().map(|(r, i)| (micros(median(r)), micros(median(i)))).collect();
    let base = spent[0];
    for (held, (responder, initiator)) in HELD.into_iter().zip(&spent) {
        let ratios = (responder / base.0, initiator / base.1);
        println!("{held:>8}{responder:>11.1}{:>7.2}{initiator:>11.1}{:>7.2}", ratios.0, ratios.1);
    }
}

fn profile(end: &str, credentials: &str, count: &str) {
    let known = Credentials::ALL.into_iter().find(|known| known.name() == credentials);
    let (Some(credentials), Ok(count)) = (known, count.parse::<u32>()) else {
        return println!("psk, ecdsa-p256 or rsa-2048, and a number");
    };
    match end {
        "initiator" => {
            let mut pair = Pair::new(credentials, count, Marked, Unwatched);
            (0..count / BATCH).for_each(|_| pair.establish(BATCH));
        }
        _ => {
            let mut pair = Pair::new(credentials, count, Unwatched, Marked);
            (0..count / BATCH).for_each(|_| pair.establish(BATCH));
        }
    }
}

fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort();
    spans[spans.len() / 2]
}

fn rate(span: Duration) -> String {
    if span.is_zero() { "-".into() } else { format!("{:.0}", 1.0 / span.as_secs_f64()) }
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}
