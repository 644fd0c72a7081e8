//! An attacker on the path that delays, reorders and repeats everything, and forges nothing, loses nothing
//! for ever: both ends behave as on a bad network.

use crate::support::{End, Pair, connection};
use std::time::Duration;
use tidegate_ike::Transmit;

/// How much more than usual to try.
#[expect(clippy::disallowed_methods, reason = "a test is told its depth by the environment")]
pub fn effort() -> u64 {
    std::env::var("TIDEGATE_DEPTH").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Chance that can be repeated.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[test]
fn reordering_and_repetition_without_end_break_nothing() {
    for seed in 0..200 * (1 + effort()) {
        let mut dice = Dice(seed * 7919 + 1);
        let mut pair = Pair::new(seed, connection(End::A), connection(End::B));
        pair.set_up();
        let mut heard: Vec<(End, Transmit)> = Vec::new();
        for _ in 0..40 {
            let end = if dice.below(2) == 0 { End::A } else { End::B };
            let children = pair.host(end).children();
            let sas = pair.host(end).standing();
            match dice.below(4) {
                0 if !children.is_empty() => {
                    pair.with(end, |endpoint, now| endpoint.rekey_child(now, children[0])).unwrap();
                }
                1 if !sas.is_empty() => pair.with(end, |endpoint, now| endpoint.rekey(now, sas[0])).unwrap(),
                _ => pair.sleep(Duration::from_millis(300)),
            }
            for _ in 0..dice.below(12) {
                let from = if dice.below(2) == 0 { End::A } else { End::B };
                let waiting = pair.host(from).sent.len();
                if waiting > 0 {
                    let transmit = pair.host(from).sent.remove(dice.below(waiting)).unwrap();
                    heard.push((from.other(), transmit.clone()));
                    pair.deliver(from.other(), &transmit);
                }
                if !heard.is_empty() && dice.below(2) == 0 {
                    // To whom it was meant, or back to where it came from.
                    let (to, transmit) = heard[dice.below(heard.len())].clone();
                    let to = if dice.below(3) == 0 { to.other() } else { to };
                    pair.deliver(to, &transmit);
                }
            }
        }
        pair.run(Duration::from_secs(150));
        pair.assert_agree();
        assert_eq!(pair.a.standing().len(), 1, "seed {seed}: {:?}", pair.a.events);
        assert_eq!(pair.a.children().len(), 1, "seed {seed}");
        assert_eq!(pair.a.installed.len(), 2, "seed {seed}");
    }
}
