//! What a tunnel still carries while its gateway is flooded, and whether anybody new gets in.
//!
//! ```sh
//! cargo run --release -p tidegate-benches --bin overload -- --json result.json
//! cargo run --release -p tidegate-benches --bin overload -- --quick --rates 50000 --kinds init,esp-forged
//! ```
//!
//! 1. Two daemons with a tunnel between them, and a crowd from which the second one is reached by whatever
//!    address it likes to say it has ([`scene`]). What the daemons say to each other is listened to ([`overheard`]).
//! 2. Of that floods are made ([`kinds`]), which a thread with a core of its own sends at an even rate ([`flood`]).
//! 3. For each kind and rate, TCP goes through the tunnel as fast as it can, now with the flood at the daemon and
//!    now with the same flood at a socket beside it, whose reader throws all away; meanwhile somebody new connects.
//!    The two take turns, and which of them begins does so too. What counts is the median of the ratios ([`report`]).
//! 4. In the end each kind comes as fast as it can be made, for which there is no bar.
//!
//! It needs root and `ip`. What it makes it removes, on Ctrl-C too. On a machine that has other things to do as well,
//! figures mean something only if it comes first: `setsid sh -c 'echo -20 > /proc/self/autogroup; exec overload …'`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

mod flood;
mod kinds;
mod options;
mod overheard;
mod report;
mod scene;

use flood::Target;
use options::Options;
use report::{Pair, Report};
use scene::Scene;
use std::path::Path;
use std::process::ExitCode;
use tidegate_benches::lab::cleanup;

fn main() -> ExitCode {
    let done = cleanup::on_signals().and_then(|()| Options::from_arguments(std::env::args().skip(1)));
    match done.and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("overload: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces take root".into());
    }
    let scene = Scene::new()?;
    let mut report = Report::new();
    let rates = options.rates.iter().copied().map(Some).chain([None]);
    for rate in rates {
        for round in 0..options.rounds {
            for &kind in &options.kinds {
                let pair = measure(&scene, options, round, (kind, rate))?;
                eprintln!("round {}, {}", round + 1, report::line(kind, rate, &pair));
                report.add(kind, rate, pair);
            }
            // A run that is broken off has something to show.
            write(&report, options)?;
        }
    }
    report.finish(&scene);
    print!("{}", report.to_text());
    write(&report, options)
}

/// The flood at the daemon and at the sink, in this order or the other way round.
fn measure(
    scene: &Scene,
    options: &Options,
    round: usize,
    (kind, rate): (kinds::Kind, Option<f64>),
) -> Result<Pair, String> {
    let slice = |target| scene.slice(kind, rate, target, options.time);
    if round.is_multiple_of(2) {
        let sink = slice(Target::Sink)?;
        Ok(Pair { daemon: slice(Target::Daemon)?, sink })
    } else {
        let daemon = slice(Target::Daemon)?;
        Ok(Pair { daemon, sink: slice(Target::Sink)? })
    }
}

fn write(report: &Report, options: &Options) -> Result<(), String> {
    let write = |path: &Path| {
        std::fs::write(path, report.to_json())
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))
    };
    options.json.as_deref().map_or(Ok(()), write)
}
