//! Tunnels side by side: the same loads through each of them in turn, round after round, and how they compare.
//!
//! ```sh
//! cargo run --release -p tidegate-benches --bin side-by-side -- --json result.json --svg result.svg
//! cargo run --release -p tidegate-benches --bin side-by-side -- tidegate old=tidegate:/tmp/old/tidegate
//! ```
//!
//! 1. Programs are looked for, built or fetched ([`tools`]).
//! 2. In each round and for each subject, two namespaces with a link between them are made ([`Lab`](tidegate_benches::lab::Lab)), the
//!    subject is started at both ends ([`subject`]), carries all loads ([`workload`]), and is ended.
//! 3. What counts is the median of the ratios within rounds: a machine that is busy now and quiet then is so
//!    for all subjects ([`report`]).
//! 4. Tidegate alone is shown with keys that change all the time, and with many SAs ([mod@own]).
//!
//! It needs root, `ip`, and what the peers need. What it makes it removes, on Ctrl-C too ([`cleanup`]).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

mod measure;
mod options;
mod own;
mod report;
mod subject;
mod tools;
mod workload;

use options::{Options, Own};
use report::Report;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use subject::Subject;
use tidegate_benches::lab::cleanup;

/// How many SAs there are while one of them is loaded.
const CROWDS: [u32; 3] = [1, 1_000, 10_000];

fn main() -> ExitCode {
    let done = cleanup::on_signals().and_then(|()| Options::from_arguments(std::env::args().skip(1)));
    match done.and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("side-by-side: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut options: Options) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces take root".into());
    }
    let mut missing = Vec::new();
    if options.subjects.is_empty() {
        (options.subjects, missing) = tools::usual_subjects();
    }
    missing.iter().for_each(|reason| eprintln!("{reason}"));
    let mut report = Report::new(options.subjects.clone(), missing);
    let begun = Instant::now();
    for round in 0..options.rounds {
        for (place, subject) in options.subjects.iter().enumerate() {
            measure(&mut report, round, place, subject, &options);
        }
        // A run that is broken off has something to show.
        write(&report, &options)?;
    }
    if let Some(subject) = options.subjects.iter().find(|subject| subject.kind.is_tidegate()) {
        own(&mut report, subject, options.own);
    }
    report.took = begun.elapsed();
    print!("{}", report.to_text());
    write(&report, &options)
}

/// A subject that fails is left out of this round and not of the next.
fn measure(report: &mut Report, round: usize, place: usize, subject: &Subject, options: &Options) {
    let begun = Instant::now();
    match workload::measure(subject, &options.plan) {
        Ok(figures) => {
            let seconds = begun.elapsed().as_secs();
            eprintln!(
                "round {}, {:<20} {seconds:>3} s  {}",
                round + 1,
                subject.label,
                report::line(&figures)
            );
            report.add(place, round, figures);
        }
        Err(failure) => eprintln!("round {}, {:<20} failed: {failure}", round + 1, subject.label),
    }
}

fn own(report: &mut Report, subject: &Subject, own: Own) {
    let (time, crowds, rounds) = match own {
        Own::Full => (Duration::from_secs(4), &CROWDS[..], 3),
        Own::Quick => (Duration::from_secs(2), &CROWDS[..2], 1),
    };
    match own::rekeying(subject, time) {
        Ok(rekeying) => report.rekeying = Some(rekeying),
        Err(failure) => eprintln!("rekeying failed: {failure}"),
    }
    for round in 0..rounds {
        for &sas in crowds {
            match own::crowd(subject, sas, time / 4) {
                Ok(crowd) => {
                    eprintln!("round {}, {sas} SAs: {:.2} Gb/s", round + 1, crowd.gigabits_per_second);
                    report.add_crowd(round, crowd);
                }
                Err(failure) => eprintln!("round {}, {sas} SAs failed: {failure}", round + 1),
            }
        }
    }
}

fn write(report: &Report, options: &Options) -> Result<(), String> {
    let write = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
    };
    if let Some(path) = &options.json {
        write(path, report.to_json())?;
    }
    if let Some(path) = &options.svg {
        write(path, report.to_svg())?;
    }
    Ok(())
}
