//! What many runs come to together.

use crate::world::Report;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

pub struct Totals {
    begun: Instant,
    runs: Mutex<Vec<Report>>,
}

impl Totals {
    pub fn new() -> Self {
        Self { begun: Instant::now(), runs: Mutex::default() }
    }

    pub fn add(&self, report: &Report) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.push(report.clone());
        if runs.len().is_power_of_two() || runs.len().is_multiple_of(50) {
            print(&runs, self.begun);
        }
    }

    pub fn print(&self) {
        print(&self.runs.lock().unwrap_or_else(PoisonError::into_inner), self.begun);
    }
}

fn print(runs: &[Report], begun: Instant) {
    let sum = |of: fn(&Report) -> u64| runs.iter().map(of).sum::<u64>();
    let most = |of: fn(&Report) -> u64| runs.iter().map(of).max().unwrap_or(0);
    let attacks = sum(|run| run.attacks.values().sum());
    println!(
        "{} runs in {:.0?}: {:.1} hours of virtual time, {} nodes and {} pairs on average",
        runs.len(),
        begun.elapsed(),
        sum(|run| run.seconds) as f64 / 3600.0,
        sum(|run| run.nodes) / (runs.len() as u64).max(1),
        sum(|run| run.pairs) / (runs.len() as u64).max(1),
    );
    println!(
        "  {} mishaps, {} crashes; {} datagrams, {} forged, {attacks} attacks",
        sum(|run| run.mishaps),
        sum(|run| run.crashes),
        sum(|run| run.datagrams),
        sum(|run| run.forged),
    );
    println!(
        "  {} packets made, {} arrived, {} passed on by relays; {} spoofed, none of which got in",
        sum(|run| run.packets_made),
        sum(|run| run.packets_arrived),
        sum(|run| run.packets_passed_on),
        sum(|run| run.packets_spoofed),
    );
    println!(
        "  connected again after {} s at most; an engine held {} KB at most, and {} KB when all was gone",
        most(|run| run.calm_after),
        most(|run| run.heaviest_in_storm.unsigned_abs()) / 1024,
        most(|run| run.heaviest_after.unsigned_abs()) / 1024,
    );
}
