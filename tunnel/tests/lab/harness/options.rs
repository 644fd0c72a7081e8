//! The command line, as much of libtest's as is of use here.

use std::env;
use std::io::{Write, stdout};
use std::process::ExitCode;

/// What to run, and how.
pub(crate) struct Options {
    /// Only names, nothing run.
    pub(crate) list: bool,
    /// How many suites run side by side.
    pub(crate) lanes: usize,
    exact: bool,
    only: Vec<String>,
    without: Vec<String>,
}

/// Most of a case is waiting, so a few more than there are cores.
const LANES: usize = 4;

impl Options {
    /// Flags of libtest that make no difference here are passed over.
    pub(crate) fn from_command_line() -> Self {
        let mut options = Self { list: false, lanes: LANES, exact: false, only: vec![], without: vec![] };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--skip" => options.without.extend(words.next()),
                "--test-threads" => {
                    options.lanes = words.next().and_then(|lanes| lanes.parse().ok()).unwrap_or(LANES);
                }
                "--format" | "--color" | "-Z" => drop(words.next()),
                flag if flag.starts_with('-') => {}
                name => options.only.push(name.to_owned()),
            }
        }
        options
    }

    /// Whether a case of this name is to run.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let meant =
            |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern.as_str()) };
        (self.only.is_empty() || self.only.iter().any(meant)) && !self.without.iter().any(meant)
    }

    /// Prints the selected ones of `names`.
    pub(crate) fn print_list<'a>(&self, names: impl Iterator<Item = &'a String>) -> ExitCode {
        let mut out = stdout().lock();
        for name in names.filter(|name| self.selects(name)) {
            if writeln!(out, "{name}: test").is_err() {
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }
}
