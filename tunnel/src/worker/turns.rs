//! Taking turns at an SA, where several workers send.
//!
//! Peers' windows may be as small as 32 packets, so the numbers of an SA have to leave in order. A worker takes the
//! SA's turn before it takes numbers, and gives it back when what it has sealed was sent. It never waits for a turn
//! while it has one itself: nobody ever waits for each other.

use super::Outward;
use crate::io::batch::SendBatch;
use crate::tables::Sealing;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, yield_now};
use std::time::Duration;

/// How many SAs a worker has the turn of at a time.
const HELD: usize = 32;
/// How often a turn is looked at without a pause: whoever has it is about to send, as a rule.
const SPINS: u32 = 200;
/// Until so many looks others are let run in between; whoever has the turn may need the core.
const YIELDS: u32 = 250;
/// The pause after that.
const PAUSE: Duration = Duration::from_micros(50);

/// Whose turn it is to send by an SA.
#[derive(Debug, Default)]
pub struct Turn(AtomicBool);

/// The turns that a worker has, for what is in its batch.
pub(super) struct Turns(Vec<Arc<Sealing>>);

impl Turn {
    fn try_take(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    fn take(&self) {
        let mut tries = 0_u32;
        while !self.try_take() {
            tries = tries.saturating_add(1);
            match tries {
                0..SPINS => spin_loop(),
                SPINS..YIELDS => yield_now(),
                _ => sleep(PAUSE),
            }
        }
    }

    fn give_back(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Turns {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(HELD))
    }

    /// Takes the turn of an SA, if this worker does not have it. Where another one has, or this one has too many,
    /// the batch goes out first.
    pub(super) fn take(&mut self, sa: &Arc<Sealing>, batch: &mut SendBatch, outward: &mut impl Outward) {
        if self.0.iter().rev().any(|held| Arc::ptr_eq(held, sa)) {
            return;
        }
        if self.0.len() >= HELD || !sa.turn.try_take() {
            if !batch.is_empty() {
                outward.send(batch);
                batch.clear();
            }
            self.give_back();
            sa.turn.take();
        }
        self.0.push(Arc::clone(sa));
    }

    /// Gives all back: what they were taken for was sent, or is thrown away.
    pub(super) fn give_back(&mut self) {
        self.0.drain(..).for_each(|held| held.turn.give_back());
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.give_back();
    }
}
