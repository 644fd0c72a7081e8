//! What became of the cases.

use crate::support::prerequisites::Missing;
use std::io::{Write, stdout};
use std::panic;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What became of one case.
pub(crate) struct Outcome {
    /// How long it ran.
    pub(crate) took: Duration,
    /// What it had to say.
    pub(crate) said: String,
    /// Why it failed, with what the logs tell.
    pub(crate) failure: Option<String>,
}

/// Prints outcomes as they come and adds them up.
pub(crate) struct Report {
    start: Instant,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    passed: usize,
    left_out: usize,
    failed: Vec<String>,
}

impl Default for Report {
    fn default() -> Self {
        Self { start: Instant::now(), tally: Mutex::default() }
    }
}

impl Report {
    /// Prints what became of a case.
    pub(crate) fn add(&self, name: &str, outcome: Outcome) {
        let mut tally = self.tally();
        let verdict = if outcome.failure.is_some() { "FAILED" } else { "ok" };
        print(&format!("test {name} ... {verdict} ({:.1} s)\n{}", outcome.took.as_secs_f64(), outcome.said));
        match outcome.failure {
            Some(why) => {
                print(&format!("---- {name} ----\n{why}\n"));
                tally.failed.push(name.to_owned());
            }
            None => tally.passed += 1,
        }
    }

    /// Counts cases that cannot run here.
    pub(crate) fn leave_out(&self, cases: usize) {
        self.tally().left_out += cases;
    }

    /// Prints the sums. On a machine that has to have everything, what is missing is a failure.
    pub(crate) fn finish(&self, missing: &[Missing]) -> ExitCode {
        let tally = self.tally();
        if !tally.failed.is_empty() {
            print(&format!("\nfailures:\n    {}\n", tally.failed.join("\n    ")));
        }
        if tally.left_out > 0 {
            let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
            print(&format!("\nleft out {} cases:\n    {}\n", tally.left_out, missing.join("\n    ")));
        }
        let incomplete = tally.left_out > 0 && std::env::var("CI").is_ok_and(|value| value == "true");
        let failed = incomplete || !tally.failed.is_empty();
        print(&format!(
            "\ntest result: {}. {} passed; {} failed; {} left out; finished in {:.1} s\n\n",
            if failed { "FAILED" } else { "ok" },
            tally.passed,
            tally.failed.len(),
            tally.left_out,
            self.start.elapsed().as_secs_f64()
        ));
        if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn print(text: &str) {
    // Nobody is left to hear of it if this fails.
    let _ = stdout().lock().write_all(text.as_bytes());
}

static PANICS: Mutex<Vec<(Option<String>, String)>> = Mutex::new(Vec::new());

/// Keeps what panics say, so that it is printed with the case it belongs to.
pub(crate) fn catch_panics() {
    panic::set_hook(Box::new(|panic| {
        let entry = (thread::current().name().map(str::to_owned), panic.to_string());
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }));
}

/// What panics said on threads of this thread's name since the last call.
pub(super) fn take_panics() -> String {
    let mut all = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    let (ours, others) = all.drain(..).partition(|(name, _)| name.as_deref() == thread::current().name());
    *all = others;
    let ours: Vec<(Option<String>, String)> = ours;
    ours.into_iter().map(|(_, text)| format!("{text}\n")).collect()
}
