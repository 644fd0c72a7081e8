//! What the command line asks for.

use crate::kinds::Kind;
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "usage: overload [--quick] [--rounds N] [--seconds S] [--rates N,…] [--kinds KIND,…] [--json FILE]
kinds: init, init-malformed, fragments, fragments-known, esp, esp-forged, esp-replayed, ike-replayed; without any
given, all of them. A rate is in packets a second; 10000, 50000 and 100000 unless others are given.";

const RATES: [f64; 3] = [10_000.0, 50_000.0, 100_000.0];

/// What is measured, and how.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    /// How long TCP goes each time.
    pub(crate) time: Duration,
    pub(crate) rates: Vec<f64>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    pub(crate) fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rounds: 5,
            time: Duration::from_millis(1500),
            rates: RATES.to_vec(),
            kinds: Kind::ALL.to_vec(),
            json: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match argument.as_str() {
                "--quick" => (options.rounds, options.time) = (2, Duration::from_millis(700)),
                "--rounds" => options.rounds = value()?.parse().ok().filter(|n| *n > 0).ok_or(USAGE)?,
                "--seconds" => {
                    let seconds = value()?.parse().ok().filter(|seconds| *seconds > 0.0).ok_or(USAGE)?;
                    options.time = Duration::try_from_secs_f64(seconds).map_err(|_| USAGE)?;
                }
                "--rates" => options.rates = list(&value()?, |text| text.parse().ok().filter(|n| *n >= 1.0))?,
                "--kinds" => options.kinds = list(&value()?, Kind::named)?,
                "--json" => options.json = Some(value()?.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    text.split(',').map(|word| parse(word).ok_or_else(|| USAGE.to_owned())).collect()
}
