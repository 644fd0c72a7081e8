//! How subjects compare.

use crate::options::Options;
use serde_json::{Value, json};
use std::fmt::{self, Write};
use std::fs;

/// One subject in one round.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) gigabits_per_second: f64,
    /// Of both ends of the tunnel, in user space and in their system calls.
    pub(crate) cpu_seconds_per_gigabit: f64,
    pub(crate) latency_median_us: f64,
    pub(crate) latency_p99_us: f64,
}

/// All rounds.
pub(crate) struct Report<'a> {
    options: &'a Options,
    /// By the subjects' places.
    rounds: Vec<Vec<Measured>>,
}

type Measure = fn(&Measured) -> f64;

/// What is compared, and how it is called.
const MEASURES: [(&str, Measure); 4] = [
    ("gigabits_per_second", |it| it.gigabits_per_second),
    ("cpu_seconds_per_gigabit", |it| it.cpu_seconds_per_gigabit),
    ("latency_median_us", |it| it.latency_median_us),
    ("latency_p99_us", |it| it.latency_p99_us),
];

impl<'a> Report<'a> {
    pub(crate) fn new(options: &'a Options) -> Self {
        Self { options, rounds: vec![Vec::new(); options.subjects.len()] }
    }

    pub(crate) fn add(&mut self, place: usize, measured: Measured) {
        if let Some(rounds) = self.rounds.get_mut(place) {
            rounds.push(measured);
        }
    }

    /// For people: medians, and behind each the median of its ratios to the first subject.
    pub(crate) fn to_text(&self) -> String {
        let Options { rounds, streams, time, .. } = self.options;
        let mut text = format!("{}\n", machine());
        // Writing to a string does not fail.
        let _ = writeln!(text, "TCP, streams: {streams}; {rounds} interleaved rounds of {time:?} each");
        let _ = writeln!(
            text,
            "{:<20} {:>15} {:>17} {:>17} {:>17}",
            "", "Gb/s", "CPU s/Gb", "echo p50 us", "echo p99 us"
        );
        for (place, subject) in self.options.subjects.iter().enumerate() {
            let _ = write!(text, "{:<20}", subject.label);
            for (_, value) in MEASURES {
                let _ =
                    write!(text, " {:>9.3} x{:<6.2}", self.median(place, value), self.ratio(place, value));
            }
            text.push('\n');
        }
        text
    }

    /// For machines, every round included.
    pub(crate) fn to_json(&self) -> String {
        let subjects = self.options.subjects.iter().enumerate().map(|(place, subject)| {
            let measures = MEASURES.map(|(name, value)| {
                let rounds: Vec<_> = self.of(place).iter().map(value).collect();
                let (median, ratio) = (self.median(place, value), self.ratio(place, value));
                (name.to_owned(), json!({ "median": median, "ratio": ratio, "rounds": rounds }))
            });
            json!({ "label": subject.label, "measures": Value::Object(measures.into_iter().collect()) })
        });
        let report = json!({
            "machine": machine(),
            "streams": self.options.streams,
            "seconds": self.options.time.as_secs(),
            "subjects": subjects.collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }

    fn of(&self, place: usize) -> &[Measured] {
        self.rounds.get(place).map_or(&[], Vec::as_slice)
    }

    fn median(&self, place: usize, value: Measure) -> f64 {
        median(self.of(place).iter().map(value))
    }

    /// Each round against the same round of the first subject.
    fn ratio(&self, place: usize, value: Measure) -> f64 {
        median(self.of(place).iter().zip(self.of(0)).map(|(one, first)| value(one) / value(first)))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gigabits_per_second, cpu_seconds_per_gigabit, latency_median_us, latency_p99_us } = self;
        write!(f, "{gigabits_per_second:6.2} Gb/s, {cpu_seconds_per_gigabit:.3} CPU s/Gb")?;
        write!(f, ", echo {latency_median_us:.0} us, p99 {latency_p99_us:.0} us")
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 { at(middle) } else { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 }
}

/// Kernel, processor, and how many cores of it.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("Linux {}, {cores} cores of {model}, load {load}", kernel.trim())
}
