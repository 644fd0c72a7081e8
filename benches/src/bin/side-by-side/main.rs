//! Tunnels side by side: the same load through each of them in turn, round after round, and how they compare.
//!
//! ```sh
//! cargo run --release -p tidegate-benches --bin side-by-side -- \
//!     bare=bare-aead:target/bare-forwarder ours=tidegate:target/release/tidegate
//! ```
//!
//! 1. Two namespaces with a link between them are made, and removed whatever happens ([`lab`]).
//! 2. In each round each subject is started at both ends, waited for, measured, and ended ([`subject`]).
//! 3. What counts is the median of the ratios within rounds: a machine that is busy now and quiet then is so
//!    for all subjects ([`report`]).
//!
//! It needs root, `ip`, and nothing else; what it starts it ends.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

mod lab;
mod load;
mod options;
mod report;
mod subject;

use lab::Lab;
use load::Latency;
use options::Options;
use report::{Measured, Report};
use std::process::ExitCode;
use std::time::Duration;
use subject::Subject;

/// How often a small packet goes there and back, one after the other.
const PINGS: usize = 300;

fn main() -> ExitCode {
    let measured = Options::from_arguments(std::env::args().skip(1)).and_then(|options| run(&options));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("side-by-side: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let mut report = Report::new(options);
    for round in 0..options.rounds {
        for (place, subject) in options.subjects.iter().enumerate() {
            let measured = measure(subject, options)?;
            eprintln!("{} {:<20} {measured}", round + 1, subject.label);
            report.add(place, measured);
        }
    }
    print!("{}", report.to_text());
    match &options.json {
        Some(path) => std::fs::write(path, report.to_json())
            .map_err(|error| format!("{} cannot be written: {error}", path.display())),
        None => Ok(()),
    }
}

fn measure(subject: &Subject, options: &Options) -> Result<Measured, String> {
    let lab = Lab::new()?;
    let running = subject.start(&lab)?;
    let echo = load::Echo::start(&lab)?;
    echo.wait(Duration::from_secs(20)).map_err(|_| format!("{} does not come up", subject.label))?;
    let Latency { median, slow } = echo.latency(PINGS)?;
    let before = running.cpu_time()?;
    let carried = load::tcp(&lab, options.streams, options.time)?;
    let cpu = running.cpu_time()?.saturating_sub(before);
    let gigabits = carried.bytes as f64 * 8.0 / 1e9;
    Ok(Measured {
        gigabits_per_second: gigabits / carried.time.as_secs_f64(),
        cpu_seconds_per_gigabit: cpu.as_secs_f64() / gigabits,
        latency_median_us: median.as_secs_f64() * 1e6,
        latency_p99_us: slow.as_secs_f64() * 1e6,
    })
}
