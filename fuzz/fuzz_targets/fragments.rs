//! Any sequence of fragments, against a plain model of RFC 7383 §2.6.
//!
//! The input is a row of records: number, total, first payload, length of the plaintext, each a byte. A number
//! or total above 200 is stretched, so that the bounds are met too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use tidegate_ike::wire::{Novelty, PayloadChain, Progress, Reassembly};

fuzz_target!(|input: &[u8]| {
    let mut buffer = Reassembly::default();
    let mut model = Model::default();
    for (round, record) in input.chunks_exact(4).enumerate() {
        let [number, total, first, length] = record else { continue };
        let (number, total) = (stretched(*number), stretched(*total));
        let plain = vec![round as u8; usize::from(*length) * 33];

        let novelty = buffer.check(number, total);
        let progress = buffer.add(number, total, *first, &plain);
        assert_eq!(novelty == Ok(Novelty::Duplicate), progress == Ok(Progress::Duplicate));
        assert_eq!(progress.ok(), model.add(number, total, *first, plain));
        assert_eq!(buffer.is_empty(), model.chunks.is_empty());
    }
});

#[derive(Default)]
struct Model {
    total: u16,
    chunks: BTreeMap<u16, (u8, Vec<u8>)>,
}

impl Model {
    /// `None` where the fragment must be refused.
    fn add(&mut self, number: u16, total: u16, first: u8, plain: Vec<u8>) -> Option<Progress> {
        if number == 0 || number > total || total > Reassembly::MAX_FRAGMENTS || total < self.total {
            return None;
        }
        if total == self.total && self.chunks.contains_key(&number) {
            return Some(Progress::Duplicate);
        }
        let kept =
            if total == self.total { self.chunks.values().map(|(_, plain)| plain.len()).sum() } else { 0 };
        if kept + plain.len() > Reassembly::MAX_BYTES {
            return None;
        }
        if total > self.total {
            self.chunks.clear();
            self.total = total;
        }
        self.chunks.insert(number, (first, plain));
        if self.chunks.len() < usize::from(total) {
            return Some(Progress::Incomplete);
        }
        let whole = std::mem::take(self).chunks;
        let first = whole[&1].0;
        let bytes = whole.into_values().flat_map(|(_, plain)| plain).collect();
        Some(Progress::Complete(PayloadChain { first, bytes }))
    }
}

fn stretched(byte: u8) -> u16 {
    let value = u16::from(byte);
    if byte > 200 { value * 257 } else { value }
}
