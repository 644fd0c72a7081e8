//! What came of it.

use crate::kinds::Kind;
use crate::scene::{Scene, Slice};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;
use tidegate_benches::lab::Machine;
use tidegate_benches::median;

/// What has to be left of what is carried while the flood goes to the sink.
const BAR: f64 = 0.8;

/// The same flood at the daemon and at the sink.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) daemon: Slice,
    pub(crate) sink: Slice,
}

/// All that was measured.
pub(crate) struct Report {
    machine: Machine,
    cells: Vec<Cell>,
    /// Lines of the daemon's log in all.
    logged: usize,
    last_words: String,
    counters: String,
}

/// All rounds of one kind at one rate.
struct Cell {
    kind: Kind,
    /// As fast as it goes, if none.
    rate: Option<f64>,
    pairs: Vec<Pair>,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.daemon.gigabits_per_second / self.sink.gigabits_per_second
    }
}

impl Cell {
    fn median(&self, value: impl Fn(&Pair) -> f64) -> f64 {
        median(self.pairs.iter().map(value).collect())
    }

    /// How long it took to get in, one time after the other; none if it did not work out.
    fn handshakes(&self, of: impl Fn(&Pair) -> Slice) -> Vec<Option<Duration>> {
        self.pairs.iter().map(|pair| of(pair).handshake).collect()
    }

    /// From the first round to the last, in bytes.
    fn memory(&self) -> [u64; 2] {
        let before = self.pairs.first().map_or(0, |pair| pair.daemon.memory[0]);
        [before, self.pairs.iter().map(|pair| pair.daemon.memory[1]).max().unwrap_or(0)]
    }

    fn verdict(&self) -> &'static str {
        match self.rate {
            None => "",
            Some(_) if self.median(Pair::ratio) >= BAR => "reached",
            Some(_) => "MISSED",
        }
    }

    fn to_json(&self) -> Value {
        let slice = |it: &Slice| {
            json!({
                "tcp_gigabits_per_second": it.gigabits_per_second,
                "handshake_seconds": it.handshake.map(|time| time.as_secs_f64()),
                "flood_packets_per_second": it.flood,
                "memory_before_and_after": it.memory,
                "lines_logged": it.logged,
            })
        };
        let rounds = self.pairs.iter().map(|pair| json!([slice(&pair.daemon), slice(&pair.sink)]));
        let rounds: Vec<_> = rounds.collect();
        json!({
            "kind": self.kind.name(),
            "rate": self.rate,
            "ratio": self.median(Pair::ratio),
            "bar": self.rate.map(|_| BAR),
            "rounds_at_daemon_and_sink": rounds,
        })
    }
}

impl Report {
    pub(crate) fn new() -> Self {
        let none = String::new();
        Self {
            machine: Machine::this(),
            cells: Vec::new(),
            logged: 0,
            last_words: none.clone(),
            counters: none,
        }
    }

    pub(crate) fn add(&mut self, kind: Kind, rate: Option<f64>, pair: Pair) {
        match self.cells.iter_mut().find(|cell| cell.kind == kind && cell.rate == rate) {
            Some(cell) => cell.pairs.push(pair),
            None => self.cells.push(Cell { kind, rate, pairs: vec![pair] }),
        }
    }

    /// Asks the daemon what it has to say at the end.
    pub(crate) fn finish(&mut self, scene: &Scene) {
        self.logged = scene.logged();
        self.last_words = scene.last_words();
        self.counters = scene.counters().unwrap_or_else(|error| error);
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        let mut by_kind: BTreeMap<Kind, Vec<&Cell>> = BTreeMap::new();
        self.cells.iter().for_each(|cell| by_kind.entry(cell.kind).or_default().push(cell));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:<24}{:>10}{:>10}{:>8}{:>8}{:>8}{:>9}{:>9}{:>9}{:>14}",
            "flood",
            "packets/s",
            "sent",
            "daemon",
            "sink",
            "ratio",
            "in, med",
            "in, max",
            "at sink",
            "RSS, MiB"
        );
        for cell in by_kind.into_values().flatten() {
            let _ = writeln!(text, "{}", cell.line());
        }
        let _ = writeln!(
            text,
            "\ndaemon, sink: Gb/s of TCP through the tunnel while the flood goes there; in: ms until somebody new is \
             in, -: not within 20 s\nThe daemon has logged {} lines, at the end: {}\n{}",
            self.logged, self.last_words, self.counters
        );
        text
    }

    pub(crate) fn to_json(&self) -> String {
        let machine = &self.machine;
        let report = json!({
            "machine": {
                "kernel": machine.kernel,
                "processor": machine.processor,
                "cores": machine.cores,
                "memory": machine.memory,
                "load": machine.load,
            },
            "cells": self.cells.iter().map(Cell::to_json).collect::<Vec<_>>(),
            "lines_logged": self.logged,
        });
        format!("{report:#}\n")
    }
}

impl Cell {
    fn line(&self) -> String {
        let [before, after] = self.memory().map(|bytes| bytes as f64 / f64::from(1 << 20));
        let at_daemon = self.handshakes(|pair| pair.daemon);
        let at_sink = self.handshakes(|pair| pair.sink);
        format!(
            "{:<24}{:>10}{:>10.0}{:>8.2}{:>8.2}{:>8.2}{:>9}{:>9}{:>9}{:>14} {}",
            self.kind.title(),
            self.rate.map_or("most".to_owned(), |rate| rate.to_string()),
            self.median(|pair| pair.daemon.flood),
            self.median(|pair| pair.daemon.gigabits_per_second),
            self.median(|pair| pair.sink.gigabits_per_second),
            self.median(Pair::ratio),
            shown(middle(at_daemon.clone())),
            shown(slowest(&at_daemon)),
            shown(middle(at_sink)),
            format!("{before:.1} -> {after:.1}"),
            self.verdict(),
        )
    }
}

/// For the progress of a run.
pub(crate) fn line(kind: Kind, rate: Option<f64>, pair: &Pair) -> String {
    let rate = rate.map_or("most".to_owned(), |rate| rate.to_string());
    let Pair { daemon, sink } = pair;
    format!(
        "{:<24} {rate:>7}: {:.2} and {:.2} Gb/s, in after {} and {} ms, {:.0} and {:.0} packets/s, {} lines logged",
        kind.title(),
        daemon.gigabits_per_second,
        sink.gigabits_per_second,
        shown(daemon.handshake),
        shown(sink.handshake),
        daemon.flood,
        sink.flood,
        daemon.logged,
    )
}

/// What never came takes longest.
fn middle(mut times: Vec<Option<Duration>>) -> Option<Duration> {
    times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
    times.get(times.len() / 2).copied().flatten()
}

fn slowest(times: &[Option<Duration>]) -> Option<Duration> {
    times.iter().copied().collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn shown(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| format!("{:.0}", time.as_secs_f64() * 1e3))
}
