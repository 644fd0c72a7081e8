//! Inbound SPIs for children.

use crate::crypto::Random;
use crate::time::Time;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use tidegate_esp::Spi;

/// An SPI that was in use rests this long, so that a straggler meets no stranger.
const QUARANTINE: Duration = Duration::from_secs(5);

/// Those in use, and those at rest.
#[derive(Default)]
pub(crate) struct Spis {
    taken: BTreeSet<Spi>,
    resting: VecDeque<(Time, Spi)>,
}

impl Spis {
    pub(crate) fn take(&mut self, random: &mut dyn Random) -> Option<Spi> {
        let mut bytes = [0; 4];
        (0..64).find_map(|_| {
            random.fill(&mut bytes);
            Spi::new(u32::from_be_bytes(bytes)).filter(|spi| self.taken.insert(*spi))
        })
    }

    pub(crate) fn give_back(&mut self, spi: Spi, now: Time) {
        while let Some(&(_, rested)) = self.resting.front().filter(|(at, _)| *at <= now) {
            self.resting.pop_front();
            self.taken.remove(&rested);
        }
        self.resting.push_back((now + QUARANTINE, spi));
    }

    pub(crate) fn in_use(&self) -> usize {
        self.taken.len() - self.resting.len()
    }
}
